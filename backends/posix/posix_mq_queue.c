/* SPDX-License-Identifier: MIT */
/*
 * Sending to and receiving from POSIX message queues. A handle is a descriptor of the queue's file,
 * which is what the C library's mqd_t is. It stays valid after mq_unlink(3).
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <string.h>

#include "backends/posix/posix_file.h"
#include "backends/posix/posix_mq.h"
#include "backends/space/message_keeper.h"

#define PRIORITY_MAX 32767 /* MQ_PRIO_MAX - 1 of the kernel */

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
	if (!ipcfs_message_keeper_leave(handle))
		ipcfs_posix_file_close(handle);
}

static int perm(int handle, struct ipcfs_perm *perm)
{
	struct stat st;

	if (fstat(handle, &st))
		return -errno;
	ipcfs_posix_mq_perm(&st, perm);
	return st.st_nlink ? 0 : -EIDRM;
}

static int fstat_queue(int handle, struct ipcfs_info *info)
{
	struct mq_attr attr;

	if (mq_getattr(handle, &attr))
		return -errno;
	info->messages = (uint64_t)attr.mq_curmsgs;
	info->max_message = (uint64_t)attr.mq_msgsize;
	info->max_messages = (uint64_t)attr.mq_maxmsg;
	info->max_bytes = 0;
	return perm(handle, &info->perm);
}

static ssize_t receive(int handle, long selector, struct ipcfs_message *message, size_t capacity)
{
	unsigned priority;
	ssize_t size;

	(void)selector;
	/* at once, as a worker that is killed in the call leaves the message to the next one */
	do {
		size = mq_receive(handle, message->text, capacity, (void *)&message->type);
	} while (size < 0 && errno == EINTR);
	if (size >= 0) {
		memcpy(&priority, &message->type, sizeof(priority));
		message->type = (long)priority;
		return size;
	}
	if (errno == EAGAIN) {
		struct ipcfs_perm ignored;
		int error = perm(handle, &ignored);

		return error ? error : -EAGAIN;
	}
	return -errno;
}

static int send(int handle, struct ipcfs_message *message, size_t size, bool wait)
{
	int error;

	(void)wait; /* a pollable queue never waits here */
	if (message->type < 0 || message->type > PRIORITY_MAX)
		return -EINVAL;
	do {
		error = mq_send(handle, message->text, size, (unsigned)message->type) ? errno : 0;
	} while (error == EINTR);
	return -error;
}

static int keep(int handle, const struct ipcfs_message *message, size_t size, uint64_t owner,
		uint64_t *number)
{
	const struct ipcfs_message_target target = { .handle = handle, .descriptor = true };

	return ipcfs_message_keep(&target, message, size, owner, number);
}

static bool kept(int handle, uint64_t number)
{
	const struct ipcfs_message_target target = { .handle = handle, .descriptor = true };

	return ipcfs_message_kept(&target, number);
}

static int ready(int handle, long selector)
{
	struct ipcfs_perm ignored;
	struct mq_attr attr;
	int events = 0;
	int error;

	(void)selector;
	if (mq_getattr(handle, &attr))
		return -errno;
	error = perm(handle, &ignored);
	/*
	 * A removed queue gives out its messages. Sending to it fails, but does not wait: it is
	 * ready.
	 */
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
	.fstat = fstat_queue,
	.perm = perm,
	.receive = receive,
	.send = send,
	.keep = keep,
	.kept = kept,
	.forget = ipcfs_message_forget,
	.pollable = true,
	.wait = NULL,
	.ready = ready,
	.peek = NULL,
};
