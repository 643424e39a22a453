/* SPDX-License-Identifier: MIT */
/*
 * Orders to a helper process: packets on a socket of SOCK_SEQPACKET, some with a descriptor. Makes
 * system calls only, so that a process that was forked by a thread may receive them.
 */
#ifndef IPCFS_ORDER_H
#define IPCFS_ORDER_H

#include <stddef.h>

/*
 * Sends an order of `size` bytes with this descriptor. -1: without one. `flags` are those of
 * sendmsg(2), to which MSG_NOSIGNAL is added.
 * Errors of sendmsg(2).
 */
int ipcfs_order_send(int socket, const void *order, size_t size, int fd, int flags);

enum ipcfs_order {
	IPCFS_ORDER_RECEIVED, /* *fd is to be closed, unless it is -1 */
	IPCFS_ORDER_NONE,     /* a signal, no memory, or another size: receive again */
	IPCFS_ORDER_ENDED,    /* the other end of the socket is closed */
};

/* Receives an order of `size` bytes, and waits for it. */
enum ipcfs_order ipcfs_order_receive(int socket, void *order, size_t size, int *fd);

#endif
