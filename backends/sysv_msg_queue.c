/* SPDX-License-Identifier: MIT */
/* Sending to and receiving from System V message queues. A handle is the queue's id. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "sysv_msg.h"

#ifndef MSG_COPY
#define MSG_COPY 040000 /* as the kernel has it; not in musl */
#endif

/* How many messages `ready` looks at to find one of a type, before it says: perhaps. */
#define READY_LOOKS 1024
#define LOOK_LONGS 16 /* room for the text of most */

/* msgrcv and msgsnd know a message as its type and the text behind it. */
_Static_assert(offsetof(struct ipcfs_message, text) == sizeof(long),
	       "a message has to look as msgsnd(2) wants it");

static int open_queue(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      enum ipcfs_direction direction, int *handle)
{
	int error = ipcfs_sysv_msg_verify(ref);

	(void)space;
	(void)direction;
	if (!error)
		*handle = (int)ref->serial;
	return error;
}

static void close_queue(int handle)
{
	(void)handle; /* an id needs no closing */
}

static int look(int handle, struct ipcfs_info *info)
{
	struct msqid_ds ds;
	int error = ipcfs_sysv_msg_look(handle, &ds);

	if (error)
		return error;
	ipcfs_sysv_msg_perm(&ds, &info->perm);
	info->messages = ds.msg_qnum;
	info->max_bytes = ds.msg_qbytes;
	info->max_message = ipcfs_sysv_msg_largest(&ds);
	return 0;
}

static int perm(int handle, struct ipcfs_perm *perm)
{
	struct msqid_ds ds;
	int error = ipcfs_sysv_msg_look(handle, &ds);

	if (!error)
		ipcfs_sysv_msg_perm(&ds, perm);
	return error;
}

static ssize_t receive(int handle, long selector, struct ipcfs_message *message, size_t room)
{
	ssize_t size = msgrcv(handle, message, room, selector, IPC_NOWAIT);

	if (size >= 0)
		return size;
	switch (errno) {
	case ENOMSG:
		return -EAGAIN;
	case E2BIG:
		return -EMSGSIZE;
	case EINVAL:
		return -EIDRM;
	default:
		return -errno;
	}
}

/* Could this message be sent when there is room: 0, -EINVAL, -EIDRM, -EMSGSIZE. */
static int check_message(int handle, const struct ipcfs_message *message, size_t size)
{
	struct msqid_ds ds;
	int error;

	if (message->type < 1)
		return -EINVAL;
	error = ipcfs_sysv_msg_look(handle, &ds);
	if (error)
		return error;
	return size > ipcfs_sysv_msg_largest(&ds) ? -EMSGSIZE : 0;
}

static int send(int handle, const struct ipcfs_message *message, size_t size, bool wait)
{
	int error, reason;

	/* The kernel would wait for ever for room that the queue can never have. */
	if (wait) {
		reason = check_message(handle, message, size);
		if (reason)
			return reason;
	}
	if (!msgsnd(handle, message, size, wait ? 0 : IPC_NOWAIT))
		return 0;
	error = errno;
	/* EINVAL means the type, the size or the queue; EAGAIN is also said of what never fits. */
	if (error == EINVAL || error == EAGAIN) {
		reason = check_message(handle, message, size);
		if (reason)
			return reason;
	}
	return -error;
}

static int wait_message(int handle, long selector, long *type)
{
	struct {
		long type;
		char text[1];
	} empty = { 0 };

	/* A message that does not fit into nothing stays, and E2BIG tells that it is there. */
	if (msgrcv(handle, &empty, 0, selector, 0) >= 0) {
		*type = empty.type;
		return 1;
	}
	switch (errno) {
	case E2BIG:
		return 0;
	case EINVAL:
		return -EIDRM;
	default:
		return -errno;
	}
}

/* Copy one message whole, into `message` of this room: -EMSGSIZE when it is longer. */
static ssize_t copy_whole(int handle, size_t index, struct ipcfs_message *message, size_t room)
{
	ssize_t size;

	if (index > LONG_MAX)
		return -ENOENT;
	size = msgrcv(handle, message, room, (long)index, MSG_COPY | IPC_NOWAIT);
	if (size >= 0)
		return size;
	switch (errno) {
	case ENOMSG:
		return -ENOENT;
	case E2BIG:
		return -EMSGSIZE;
	case EINVAL: {
		/* Gone, or msgmax was lowered below this message and nothing can copy it. */
		struct msqid_ds ds;
		int error = ipcfs_sysv_msg_look(handle, &ds);

		return error ? error : -EMSGSIZE;
	}
	default:
		return -errno;
	}
}

static ssize_t peek(int handle, size_t index, struct ipcfs_message *message, size_t room)
{
	ssize_t size = copy_whole(handle, index, message, room);
	struct ipcfs_message *whole;
	struct msqid_ds ds;
	size_t largest;
	int error;

	if (size != -EMSGSIZE)
		return size;

	/* The kernel copies whole messages only, whatever MSG_NOERROR says. */
	error = ipcfs_sysv_msg_look(handle, &ds);
	if (error)
		return error;
	/* Not qbytes, which may have been lowered since: no message is longer than all. */
	largest = ds.__msg_cbytes;
	if (largest <= room)
		return -EMSGSIZE;
	whole = malloc(sizeof(*whole) + largest);
	if (!whole)
		return -ENOMEM;
	size = copy_whole(handle, index, whole, largest);
	if (size >= 0) {
		message->type = whole->type;
		if ((size_t)size > room)
			size = (ssize_t)room;
		memcpy(message->text, whole->text, (size_t)size);
	}
	explicit_bzero(whole, sizeof(*whole) + largest);
	free(whole);
	return size;
}

static bool selected(long type, long selector)
{
	if (selector >= 0)
		return !selector || type == selector;
	return selector == LONG_MIN || type <= -selector;
}

/* Is there a message for this selector: 1, 0 or negative errno. */
static int find_selected(int handle, long selector)
{
	for (size_t index = 0; index < READY_LOOKS; index++) {
		long head[1 + LOOK_LONGS];
		struct ipcfs_message *message = (struct ipcfs_message *)(void *)head;
		ssize_t size = peek(handle, index, message, sizeof(head) - sizeof(long));
		long type = size < 0 ? 0 : message->type;

		explicit_bzero(head, sizeof(head));
		if (size == -ENOENT)
			return 0;
		/* Kernels without checkpoint and restore can't copy: let receive find out. */
		if (size == -ENOSYS || size == -EMSGSIZE)
			return 1;
		if (size < 0)
			return (int)size;
		if (selected(type, selector))
			return 1;
	}
	return 1;
}

static int ready(int handle, long selector)
{
	struct msqid_ds ds;
	int events = 0;
	int found = ipcfs_sysv_msg_look(handle, &ds);

	if (found)
		return found;
	found = ds.msg_qnum > 0;
	if (found && selector)
		found = find_selected(handle, selector);
	if (found < 0)
		return found;
	if (found)
		events |= POLLIN;
	if (ds.__msg_cbytes < ds.msg_qbytes && ds.msg_qnum < ds.msg_qbytes)
		events |= POLLOUT;
	return events;
}

const struct ipcfs_queue_ops ipcfs_sysv_msg_queue = {
	.typed_receive = true,
	.type_min = 1,
	.type_max = LONG_MAX,
	.type_plain = 1,
	.open = open_queue,
	.close = close_queue,
	.look = look,
	.perm = perm,
	.receive = receive,
	.send = send,
	.confirm = NULL,
	.pollable = false,
	.wait = wait_message,
	.ready = ready,
	.peek = peek,
};
