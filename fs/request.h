/* SPDX-License-Identifier: MIT */
/* A request as it was read from /dev/fuse, for those who look at each before it is handled. */
#ifndef IPCFS_REQUEST_H
#define IPCFS_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum ipcfs_request_sort {
	IPCFS_REQUEST_FREE,    /* the kernel is rid of something: always */
	IPCFS_REQUEST_LOOK,    /* what umount(8) and df(1) ask of a mount, whoever runs them */
	IPCFS_REQUEST_ON_FILE, /* of an open file: its opener is judged, elsewhere */
	IPCFS_REQUEST_ON_PATH,
};

/* What is too short to be a request is free. */
enum ipcfs_request_sort ipcfs_request_sort(const void *request, size_t size);

struct ipcfs_request {
	uint64_t unique; /* its number */
	uint64_t node;	 /* the node it is about, or below which a name is */
	uid_t uid;
	gid_t gid;
	pid_t tid;     /* 0: unknown */
	bool releases; /* RELEASE or FLUSH */
	bool writes;   /* WRITE */
	bool looks;    /* LOOKUP and others that only tell what is there */
};

#define IPCFS_REQUEST_HEAD 40 /* bytes; less is none */

/* Of one that is not too short. */
void ipcfs_request_head(const void *request, struct ipcfs_request *head);

/* Answer it with this negative errno; `fd` is the connection. */
void ipcfs_request_refuse(int fd, uint64_t unique, int err);

#endif
