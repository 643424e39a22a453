/* SPDX-License-Identifier: MIT */
/*
 * Requests as they were read from /dev/fuse, for the checks that come before libfuse handles them.
 */
#ifndef IPCFS_FUSE_HEADER_H
#define IPCFS_FUSE_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The subject of a request. */
enum ipcfs_fuse_subject {
	IPCFS_FUSE_ON_NOTHING, /* the kernel gives something back (FORGET, RELEASE, ...) */
	IPCFS_FUSE_ON_MOUNT,   /* attributes of the root, or statfs: for umount(8) and df(1) */
	IPCFS_FUSE_ON_FILE,    /* an open file, of which the opener has been checked */
	IPCFS_FUSE_ON_PATH,    /* a name, or a node without an open file */
};

/*
 * Returns the subject of a request of `size` bytes. Too short for a header: IPCFS_FUSE_ON_NOTHING.
 */
enum ipcfs_fuse_subject ipcfs_fuse_header_subject(const void *request, size_t size);

struct ipcfs_fuse_header {
	uint64_t unique; /* the request's number */
	uint32_t opcode;
	uint64_t node; /* the node it is about, or the directory of the name it is about */
	uid_t uid;
	gid_t gid;
	pid_t tid;	     /* the caller's thread; 0: unknown */
	bool releases;	     /* RELEASE or FLUSH */
	bool lists;	     /* READDIR or READDIRPLUS */
	bool writes;	     /* WRITE */
	bool uses;	     /* READ, WRITE or FLUSH: of an open file */
	bool forgets;	     /* FORGET or BATCH_FORGET */
	bool looks;	     /* LOOKUP, ACCESS and others that only tell what is there */
	uint64_t interrupts; /* INTERRUPT: the request that is interrupted; 0: another request */
};

#define IPCFS_FUSE_HEADER_SIZE 40 /* bytes; anything shorter is no request */
#define IPCFS_FUSE_INTERRUPT_SIZE 48

/* Reads the header of a request of at least IPCFS_FUSE_HEADER_SIZE bytes, all of which is there. */
void ipcfs_fuse_header_read(const void *request, struct ipcfs_fuse_header *head);

/*
 * Returns the error that answers a request of `size` bytes which is held up while the kernel keeps
 * the lock of a directory for it, so that all who look below it hang. -EINPROGRESS: a change, which
 * may still be made; -EBUSY: no change. 0: there is no such lock.
 */
int ipcfs_fuse_header_late(const void *request, size_t size);

/* Writes the INTERRUPT that the kernel sends for request `unique`. */
void ipcfs_fuse_header_interrupt(char request[IPCFS_FUSE_INTERRUPT_SIZE], uint64_t unique);

#define IPCFS_FUSE_ANSWER_SIZE 16 /* bytes; no answer is shorter */

/*
 * Returns the number of the request of an answer of at least IPCFS_FUSE_ANSWER_SIZE bytes. 0: it is
 * a notification.
 */
uint64_t ipcfs_fuse_header_answered(const void *answer);

/*
 * Returns the negative errno of an answer of at least IPCFS_FUSE_ANSWER_SIZE bytes. 0: the request
 * has succeeded, or this is no answer but a notification.
 */
int ipcfs_fuse_header_error(const void *answer);

/*
 * Reads a POLL request that asks for a notification: the handle of the open file, and the number by
 * which the kernel knows those who poll it. False: it is another request.
 */
bool ipcfs_fuse_header_poll(const void *request, size_t size, uint64_t *file, uint64_t *pollers);

/* Returns the file that a RELEASE is for. 0: another request. */
uint64_t ipcfs_fuse_header_closed(const void *request, size_t size);

/* Tells the kernel on `fd`, the connection, to wake those who poll a file. */
void ipcfs_fuse_header_wake(int fd, uint64_t pollers);

/*
 * Answers request `unique` with a negative errno on `fd`, the connection. Returns whether the
 * kernel has waited for it.
 */
bool ipcfs_fuse_header_refuse(int fd, uint64_t unique, int err);

#endif
