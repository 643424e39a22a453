/* SPDX-License-Identifier: MIT */
/*
 * Requests that wait for a session thread: their payer has its share of the threads already, or
 * they are long work (long_work.h). They are kept as the kernel wrote them. The threads' lock
 * guards the list (session_inside.h).
 */
#ifndef IPCFS_ASIDE_H
#define IPCFS_ASIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The bound for each payer. */
#define IPCFS_ASIDE_REQUESTS_MAX 1024
#define IPCFS_ASIDE_BYTES_MAX (4 * 1024 * 1024)

struct ipcfs_aside_request {
	uint64_t unique;
	uint64_t node;
	uid_t payer;
	pid_t tid;
	bool locks; /* the kernel has a directory locked for it */
	bool interrupted;
	bool is_long;	/* it is long work */
	bool asked;	/* ipcfs_aside_look has returned it as interrupted, before others */
	unsigned looks; /* how often ipcfs_aside_look saw it */
	struct ipcfs_aside_request *next, *prev;
	size_t size;
	char bytes[] __attribute__((aligned(8)));
};

struct ipcfs_aside {
	struct ipcfs_aside_request *first;
};

/*
 * Copies a request of at least IPCFS_FUSE_HEADER_SIZE bytes behind the others.
 *   -EINPROGRESS: it is there.
 *   -EAGAIN: the payer has too many there.
 *   -ENOMEM
 */
int ipcfs_aside_put(struct ipcfs_aside *aside, const void *request, size_t size, uid_t payer);

/*
 * The same for a request that is long work. If the kernel has a directory locked for it, it comes
 * before other long work of the payer, for which others do not wait. `interrupted`: it was
 * interrupted before.
 */
int ipcfs_aside_put_long(struct ipcfs_aside *aside, const void *request, size_t size, uid_t payer,
			 bool interrupted);

/*
 * Takes the first request off the list for which `may` returns true. It is not asked about further
 * long work of a payer of whom it has refused some. NULL: there is none. Free the request with
 * ipcfs_aside_free.
 */
struct ipcfs_aside_request *ipcfs_aside_take(struct ipcfs_aside *aside,
					     bool (*may)(const void *arg,
							 const struct ipcfs_aside_request *request),
					     const void *arg);

/* Notes that the kernel interrupts request `unique`. False: it is not in the list. */
bool ipcfs_aside_interrupt(struct ipcfs_aside *aside, uint64_t unique);

/* A request that may be due for an answer, while it is in the list. */
struct ipcfs_aside_due {
	uint64_t unique;
	pid_t tid;
	bool overdue; /* otherwise it is interrupted: if its caller ends, it is due */
};

/*
 * Finds up to `max` requests that are interrupted or overdue. Overdue is one for which a directory
 * is locked and that was seen here `looks` times. These come first, and of the interrupted ones
 * each in its turn. Returns their number.
 */
size_t ipcfs_aside_look(struct ipcfs_aside *aside, unsigned looks, struct ipcfs_aside_due *due,
			size_t max);

/* Takes request `unique` off the list and frees it. False: it is not in the list. */
bool ipcfs_aside_drop(struct ipcfs_aside *aside, uint64_t unique);

/* Clears the bytes, which may be a message, and frees the request. */
void ipcfs_aside_free(struct ipcfs_aside_request *request);

/* Frees all requests. */
void ipcfs_aside_destroy(struct ipcfs_aside *aside);

#endif
