/* SPDX-License-Identifier: MIT */
/* Open files: the state that is neither the object's nor the node's. A file handle is an index. */
#ifndef IPCFS_OPEN_H
#define IPCFS_OPEN_H

#include "core.h"

/* What one process has written to an open file and not yet completed. */
struct ipcfs_pending {
	uint64_t owner; /* FUSE's lock owner: one for each process */
	struct ipcfs_text text;
	bool refused;  /* too long: what follows belongs to no message */
	bool nonblock; /* O_NONBLOCK at its last write */
	struct ipcfs_pending *next;
};

struct ipcfs_line;
struct ipcfs_hold;

/* A place among those who poll a line; guarded by the waiting room's lock. */
struct ipcfs_poller {
	struct ipcfs_open *open;
	struct ipcfs_line *line; /* NULL: not registered */
	struct ipcfs_poller *next, *prev;
};

struct ipcfs_open {
	uint32_t index;
	struct ipcfs_node *node;
	struct ipcfs_object *object; /* of the node; NULL in fixed files */
	struct ipcfs_gate *gate;
	struct ipcfs_account *account;
	bool reads, writes;
	uint64_t since;		 /* when it was opened, by ipcfs_caller_clock */
	int handle[2];		 /* of the queue or segment, by direction, where it reads, writes */
	bool opened;		 /* what is asked now is its use */
	const char *reason;	 /* by what opening it was decided; NULL: that says nothing more */
	_Atomic bool refused[2]; /* by direction: the last answer to its use */
	int backing;		 /* the id of the file that the kernel uses in our place; 0: none */

	pthread_mutex_t lock; /* guards what follows, up to the pollers */
	struct ipcfs_caller opener;
	struct ipcfs_text text; /* to be read next: rest of a message, content of a control file */
	size_t at;		/* bytes of text already read */
	bool end_due;		/* msg: the next read is end of file */
	bool counted;		/* drain: left says how many messages it still gives */
	uint64_t left;
	struct ipcfs_pending *pending;

	struct fuse_pollhandle *poll; /* guarded by the waiting room's lock */
	struct ipcfs_poller pollers[2];

	struct ipcfs_listing *listing; /* directories */
	struct ipcfs_hold *hold;       /* hold, tryhold: what it took; NULL: nothing */
};

/*
 * A new open file of this node; the opener is the request's caller. *open is freed with
 * ipcfs_open_free. -EMFILE: the caller has too many; -EACCES: is not on the whitelist; -ENOMEM.
 */
int ipcfs_open_new(struct ipcfs_filesystem *fs, fuse_req_t req, struct ipcfs_node *node, int flags,
		   struct ipcfs_open **open);
void ipcfs_open_free(struct ipcfs_filesystem *fs, struct ipcfs_open *open);
struct ipcfs_open *ipcfs_open_at(struct ipcfs_filesystem *fs, uint64_t handle);

/* Is the opener still on the whitelist? `tid` as below. -EACCES, -ENOMEM. */
int ipcfs_open_admitted(struct ipcfs_open *open, pid_t tid);

/*
 * May the opener still do this with the queue or segment? Asked at every request, against it as it is
 * now. `tid` is the thread that asks: only the opener's own thread may tell groups and capabilities that were
 * not needed at open, and only for itself. -EACCES; -EIDRM when sending to a removed queue (or receiving from a removed
 * System V queue).
 */
int ipcfs_open_check(struct ipcfs_filesystem *fs, struct ipcfs_open *open,
		     enum ipcfs_direction direction, pid_t tid);

/* As above, and look at the queue by the way: *info as the backend's look fills it. */
int ipcfs_open_look(struct ipcfs_filesystem *fs, struct ipcfs_open *open,
		    enum ipcfs_direction direction, pid_t tid, struct ipcfs_info *info);

/*
 * What this owner has pending. With `create` it is made where there is none; NULL: there is none, no
 * memory, too many owners, or the opener has too many in all files. Called with open->lock held.
 */
struct ipcfs_pending *ipcfs_open_pending(struct ipcfs_open *open, uint64_t owner, bool create);

/* Forget an owner's pending bytes. Called with open->lock held. */
void ipcfs_open_forget(struct ipcfs_open *open, uint64_t owner);

#endif
