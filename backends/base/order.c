/* SPDX-License-Identifier: MIT */
#include "backends/base/order.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int ipcfs_order_send(int socket, const void *order, size_t size, int fd, int flags)
{
	union control control = { .header = { .cmsg_len = CMSG_LEN(sizeof(fd)),
					      .cmsg_level = SOL_SOCKET,
					      .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)order, .iov_len = size };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL | flags) < 0 ? -errno : 0;
}

enum ipcfs_order ipcfs_order_receive(int socket, void *order, size_t size, int *fd)
{
	union control control;
	struct iovec iov = { .iov_base = order, .iov_len = size };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	const struct cmsghdr *header;
	ssize_t got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);

	*fd = -1;
	if (got < 0 && (errno == EINTR || errno == ENOBUFS || errno == ENOMEM))
		return IPCFS_ORDER_NONE;
	if (got <= 0)
		return IPCFS_ORDER_ENDED;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(header), sizeof(*fd));
	if (got == (ssize_t)size)
		return IPCFS_ORDER_RECEIVED;
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
	return IPCFS_ORDER_NONE;
}
