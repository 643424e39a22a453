/* SPDX-License-Identifier: MIT */
/*
 * Sending to and receiving from POSIX message queues. A handle is a descriptor of the queue's file,
 * which is what the C library's mqd_t is. It outlives the removal of the name.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>

#include "descriptor.h"
#include "posix_mq.h"

#define PRIORITY_MAX 32767 /* the kernel's MQ_PRIO_MAX - 1 */

static int open_queue(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      enum ipcfs_direction direction, int *handle)
{
	struct stat st;
	int fd = ipcfs_posix_mq_open(space, ref->name, ref->serial,
				     direction == IPCFS_SEND ? O_WRONLY : O_RDONLY, &st);

	if (fd < 0)
		return fd;
	*handle = fd;
	return 0;
}

static void close_queue(int handle)
{
	ipcfs_descriptor_close(&handle);
}

static int perm(int handle, struct ipcfs_perm *perm)
{
	struct stat st;

	if (fstat(handle, &st))
		return -errno;
	ipcfs_posix_mq_perm(&st, perm);
	return st.st_nlink ? 0 : -EIDRM;
}

/* 0 while the queue has a name, else -EIDRM. */
static int check_linked(int handle)
{
	struct stat st;

	if (fstat(handle, &st))
		return -errno;
	return st.st_nlink ? 0 : -EIDRM;
}

static int look(int handle, struct ipcfs_info *info)
{
	struct mq_attr attr;

	if (mq_getattr(handle, &attr))
		return -errno;
	info->messages = (uint64_t)attr.mq_curmsgs;
	info->max_message = (uint64_t)attr.mq_msgsize;
	info->max_bytes = 0;
	return perm(handle, &info->perm);
}

static ssize_t receive(int handle, long selector, struct ipcfs_message *message, size_t room)
{
	unsigned priority;
	ssize_t size;

	(void)selector;
	do {
		size = mq_receive(handle, message->text, room, &priority);
	} while (size < 0 && errno == EINTR);
	if (size >= 0) {
		message->type = (long)priority;
		return size;
	}
	if (errno == EAGAIN) {
		int error = check_linked(handle);

		return error ? error : -EAGAIN;
	}
	return -errno;
}

static int send(int handle, const struct ipcfs_message *message, size_t size, bool wait)
{
	int error;

	(void)wait; /* there is a descriptor to wait with */
	if (message->type < 0 || message->type > PRIORITY_MAX)
		return -EINVAL;
	do {
		error = mq_send(handle, message->text, size, (unsigned)message->type) ? errno : 0;
	} while (error == EINTR);
	return -error;
}

static int ready(int handle, long selector)
{
	struct mq_attr attr;
	int events = 0;
	int error;

	(void)selector;
	if (mq_getattr(handle, &attr))
		return -errno;
	error = check_linked(handle);
	/* A removed queue still gives what it holds; sending fails, but without waiting. */
	if (error && !attr.mq_curmsgs)
		return error;
	if (attr.mq_curmsgs)
		events |= POLLIN;
	if (error || attr.mq_curmsgs < attr.mq_maxmsg)
		events |= POLLOUT;
	return events;
}

const struct ipcfs_queue_ops ipcfs_posix_mq_queue = {
	.typed_receive = false,
	.type_min = 0,
	.type_max = PRIORITY_MAX,
	.type_plain = 0,
	.open = open_queue,
	.close = close_queue,
	.look = look,
	.perm = perm,
	.receive = receive,
	.send = send,
	.confirm = NULL,
	.pollable = true,
	.wait = NULL,
	.ready = ready,
	.peek = NULL,
};
