/* SPDX-License-Identifier: MIT */
/* Sending to and receiving from System V message queues: msgop(2). A handle is the queue's id. */
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/space/message_keeper.h"
#include "backends/sysv/sysv_msg.h"

#ifndef MSG_COPY
#define MSG_COPY 040000 /* the kernel's value; musl has none */
#endif

/* How many messages `ready` tests for a selector. Beyond these, it says that there may be one. */
#define READY_MESSAGES 1024
#define READY_LONGS 16 /* space for the text of most messages */

/* msgsnd(2) and msgrcv(2) take a message as its type with the text behind it. */
_Static_assert(offsetof(struct ipcfs_message, text) ==
		       offsetof(struct ipcfs_message, type) + sizeof(long),
	       "a message has to look as msgsnd(2) wants it");

static bool is_ipc_owner(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return !syscall(SYS_capget, &header, sets) && sets[0].effective & 1U << CAP_IPC_OWNER;
}

static bool is_in_group(gid_t gid)
{
	int count = getgroups(0, NULL);
	gid_t *groups = count > 0 ? calloc((size_t)count, sizeof(*groups)) : NULL;
	bool found = getegid() == gid;

	count = groups ? getgroups(count, groups) : 0;
	for (int i = 0; i < count; i++)
		found |= groups[i] == gid;
	free(groups);
	return found;
}

/*
 * Returns whether msgsnd(2) has the right, as the kernel's ipcperms() decides. A message that was
 * taken could not go back otherwise.
 */
static bool may_send(const struct ipc_perm *perm)
{
	uid_t uid = geteuid();

	if (is_ipc_owner())
		return true;
	if (uid == perm->uid || uid == perm->cuid)
		return perm->mode & 0200;
	if (is_in_group(perm->gid) || is_in_group(perm->cgid))
		return perm->mode & 0020;
	return perm->mode & 0002;
}

static int open_queue(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      enum ipcfs_direction direction, int *handle)
{
	struct msqid_ds ds;
	int error = ipcfs_sysv_open(&ipcfs_sysv_msg_calls, ref, handle);

	(void)space;
	/* where the state is not told, msgsnd(2) tells */
	if (!error && direction == IPCFS_SEND && !ipcfs_sysv_msg_stat_id(*handle, &ds) &&
	    !may_send(&ds.msg_perm))
		error = -EACCES;
	return error;
}

static void close_queue(int handle)
{
	(void)handle; /* an id is not closed */
}

static int fstat_queue(int handle, struct ipcfs_info *info)
{
	struct msqid_ds ds;
	int error = ipcfs_sysv_msg_stat_id(handle, &ds);

	if (error)
		return error;
	ipcfs_sysv_perm(&ds.msg_perm, &info->perm);
	info->messages = ds.msg_qnum;
	info->size = ds.__msg_cbytes;
	info->max_bytes = ds.msg_qbytes;
	info->max_message = ipcfs_sysv_msg_largest(&ds);
	return 0;
}

static int perm(int handle, struct ipcfs_perm *perm)
{
	struct msqid_ds ds;
	int error = ipcfs_sysv_msg_stat_id(handle, &ds);

	if (!error)
		ipcfs_sysv_perm(&ds.msg_perm, perm);
	return error;
}

static ssize_t receive(int handle, long selector, struct ipcfs_message *message, size_t capacity)
{
	ssize_t size = msgrcv(handle, &message->type, capacity, selector, IPC_NOWAIT);

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

/*
 * Checks that this message can be sent once there is room.
 * -EINVAL: the type is less than 1.
 * -EMSGSIZE: it is larger than the queue can ever take.
 * -EIDRM: the queue was removed.
 */
static int check_message(int handle, const struct ipcfs_message *message, size_t size)
{
	struct msqid_ds ds;
	int error;

	if (message->type < 1)
		return -EINVAL;
	error = ipcfs_sysv_msg_stat_id(handle, &ds);
	if (error)
		return error;
	return size > ipcfs_sysv_msg_largest(&ds) ? -EMSGSIZE : 0;
}

static int send(int handle, struct ipcfs_message *message, size_t size, bool wait)
{
	int error, reason;

	/* msgsnd(2) would wait for ever for room that the queue never has. */
	if (wait) {
		reason = check_message(handle, message, size);
		if (reason)
			return reason;
	}
	if (!msgsnd(handle, &message->type, size, wait ? 0 : IPC_NOWAIT))
		return 0;
	error = errno;
	/*
	 * EINVAL: the type, the size or the queue is wrong. EAGAIN: full, or the message never
	 * fits.
	 */
	if (error == EINVAL || error == EAGAIN) {
		reason = check_message(handle, message, size);
		if (reason)
			return reason;
	}
	return -error;
}

static int keep(int handle, const struct ipcfs_message *message, size_t size, uint64_t owner,
		uint64_t *number)
{
	const struct ipcfs_message_target target = { .handle = handle };

	return ipcfs_message_keep(&target, message, size, owner, number);
}

static bool kept(int handle, uint64_t number)
{
	const struct ipcfs_message_target target = { .handle = handle };

	return ipcfs_message_kept(&target, number);
}

static int wait_message(int handle, long selector, long *type)
{
	struct {
		long type;
		char text[1];
	} empty = { 0 };

	/*
	 * With a capacity of 0, msgrcv(2) leaves a message with text in the queue, and says E2BIG.
	 */
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

/*
 * Copies message number `index` as a whole.
 * -ENOENT: there is no message of this number.
 * -EMSGSIZE: it has more than `capacity` bytes, or the kernel cannot copy it any more.
 * -EIDRM: the queue was removed.
 */
static ssize_t copy_whole(int handle, size_t index, struct ipcfs_message *message, size_t capacity)
{
	ssize_t size;

	if (index > LONG_MAX)
		return -ENOENT;
	size = msgrcv(handle, &message->type, capacity, (long)index, MSG_COPY | IPC_NOWAIT);
	if (size >= 0)
		return size;
	switch (errno) {
	case ENOMSG:
		return -ENOENT;
	case E2BIG:
		return -EMSGSIZE;
	case EINVAL: {
		/* the queue is gone, or msgmax was lowered below the size of this message */
		struct msqid_ds ds;
		int error = ipcfs_sysv_msg_stat_id(handle, &ds);

		return error ? error : -EMSGSIZE;
	}
	default:
		return -errno;
	}
}

static ssize_t peek(int handle, size_t index, struct ipcfs_message *message, size_t capacity)
{
	ssize_t size = copy_whole(handle, index, message, capacity);
	struct ipcfs_message *whole;
	struct msqid_ds ds;
	size_t largest;
	int error;

	if (size != -EMSGSIZE)
		return size;

	/* MSG_COPY copies whole messages only, also with MSG_NOERROR */
	error = ipcfs_sysv_msg_stat_id(handle, &ds);
	if (error)
		return error;
	/*
	 * Not msg_qbytes, which may have been lowered: no message is longer than all messages
	 * together.
	 */
	largest = ds.__msg_cbytes;
	if (largest <= capacity)
		return -EMSGSIZE;
	whole = malloc(sizeof(*whole) + largest);
	if (!whole)
		return -ENOMEM;
	size = copy_whole(handle, index, whole, largest);
	if (size >= 0) {
		message->type = whole->type;
		if ((size_t)size > capacity)
			size = (ssize_t)capacity;
		memcpy(message->text, whole->text, (size_t)size);
	}
	explicit_bzero(whole, sizeof(*whole) + largest);
	free(whole);
	return size;
}

static bool is_selected(long type, long selector)
{
	if (selector >= 0)
		return !selector || type == selector;
	return selector == LONG_MIN || type <= -selector;
}

/* Returns 1 when there is, or may be, a message for this selector, else 0 or a negative errno. */
static int find_selected(int handle, long selector)
{
	for (size_t index = 0; index < READY_MESSAGES; index++) {
		_Alignas(struct ipcfs_message) char
			head[sizeof(struct ipcfs_message) + READY_LONGS * sizeof(long)];
		struct ipcfs_message *message = (struct ipcfs_message *)(void *)head;
		ssize_t size = peek(handle, index, message, sizeof(head) - sizeof(*message));
		long type = size < 0 ? 0 : message->type;

		explicit_bzero(head, sizeof(head));
		if (size == -ENOENT)
			return 0;
		/* this kernel or this message allows no copy: receive will tell */
		if (size == -ENOSYS || size == -EMSGSIZE)
			return 1;
		if (size < 0)
			return (int)size;
		if (is_selected(type, selector))
			return 1;
	}
	return 1;
}

static int ready(int handle, long selector)
{
	struct msqid_ds ds;
	int events = 0;
	int found = ipcfs_sysv_msg_stat_id(handle, &ds);

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
	.fstat = fstat_queue,
	.perm = perm,
	.receive = receive,
	.send = send,
	.keep = keep,
	.kept = kept,
	.forget = ipcfs_message_forget,
	.pollable = false,
	.wait = wait_message,
	.ready = ready,
	.peek = peek,
};
