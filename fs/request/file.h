/* SPDX-License-Identifier: MIT */
/*
 * One request: the open file it is on, the judging of its caller, its namespace, its reply.
 * Called by wait/ and the rooms above it.
 * Calls tree/ and the rooms below it.
 *
 * This header has the open files. A file handle is the number of an item of ipcfs_filesystem.files,
 * so that the handle of a file that was closed never comes again.
 */
#ifndef IPCFS_FILE_H
#define IPCFS_FILE_H

#include "fs/base/clock.h"
#include "fs/base/timer.h"
#include "fs/base/unanswered.h"
#include "fs/tree/state.h"

/* The arguments of a read or a write. */
struct ipcfs_io {
	const char *bytes; /* to write; NULL: a read */
	size_t size;	   /* bytes */
	off_t offset;
	int flags;	/* O_* of the open file, as they are now */
	uint64_t owner; /* FUSE's lock owner: one for each process */
};

/* The start of a message that one process has written to an open file. */
struct ipcfs_pending {
	uint64_t owner; /* FUSE's lock owner: one for each process */
	struct ipcfs_text text;
	size_t charged; /* bytes counted for the file's opener */
	bool refused;	/* it was too long: the bytes that follow belong to no message */
	bool nonblock;	/* O_NONBLOCK was set at the last write */
	struct ipcfs_pending *next;
};

/* What the kept copy of a leased message takes beside its bytes (backends/space/message_store.h). */
#define IPCFS_LEASE_BYTES 8192

#define IPCFS_DONE_MAX 8 /* requests on one open file that a worker may have under way at its end */

/* Requests that have changed an open file, and their answers. */
struct ipcfs_done {
	struct {
		uint64_t unique; /* the request's number */
		int64_t result;	 /* a number of bytes, or a negative errno */
	} requests[IPCFS_DONE_MAX];
	unsigned next; /* the place of the oldest */
	uint64_t read; /* the number of the READ that got `bytes`; 0: none */
	struct ipcfs_text bytes;
};

struct ipcfs_waitqueue;
struct ipcfs_hold;
struct ipcfs_sums;
struct ipcfs_lease;

/* An open file that polls a waitqueue. Guarded by the lock of struct ipcfs_waits. */
struct ipcfs_poller {
	struct ipcfs_file *file;
	struct ipcfs_waitqueue *wq; /* NULL: it does not poll */
	struct ipcfs_timer timer;   /* of within/SECONDS/, while it polls */
	uint64_t expired;	    /* when the time was over, ns; the next read or write sets 0 */
	struct ipcfs_poller *next, *prev;
};

/* An open file. Each subject has a part of its own. */
struct ipcfs_file {
	uint64_t number;	   /* the file handle */
	uint64_t node;		   /* node id; the node lives as long as the file is open */
	uint64_t request;	   /* the number of its OPEN, for the next worker; 0: unknown */
	struct ipcfs_node_key key; /* a copy of the node's; the node has the references */
	bool reads, writes;
	bool opened;	    /* the open was judged: later checks are about the use of the file */
	uint64_t since;	    /* time of the open, as ipcfs_caller_clock */
	int handle[2];	    /* of the object; index: enum ipcfs_direction */
	const char *reason; /* static word for the rule that decided about the open, or NULL */
	_Atomic bool refused[2]; /* the last use was refused; index: enum ipcfs_direction */

	pthread_mutex_t lock; /* guards opener, text, at, pending and all parts but waits */
	struct ipcfs_caller opener;
	struct ipcfs_text text; /* what reads give next: the rest of a message, or a sample */
	size_t at;		/* bytes of text already read */
	struct ipcfs_pending *pending;
	size_t charged;		/* bytes counted for the opener, without those of pending */
	struct ipcfs_done done; /* what was answered last; for the worker that comes next */
	struct {
		bool eof_next;		   /* msg: the next read is end of file */
		uint64_t message;	   /* msg: number of the message that text is of */
		struct ipcfs_text readers; /* msg: of struct reader (queue/reader.c) */
		bool counted;		   /* drain: left is set */
		uint64_t left;		   /* drain: number of messages that it still gives */
		struct ipcfs_lease *lease; /* lease: the message is in text; NULL: none is leased */
		/* lease: the number, of `keep`, of a message that is done but not forgotten; or 0 */
		uint64_t ended;
		size_t end; /* lease: where reads of text come to an end of file */
	} queue;
	struct {
		struct fuse_pollhandle *poll;	/* guarded by the lock of struct ipcfs_waits */
		struct ipcfs_poller pollers[2]; /* index: enum ipcfs_direction */
	} waits;
	struct {
		int backing; /* the kernel's id of its backing file; 0: none */
		bool locks;  /* a lock was asked for: all that it can have are counted */
	} segment;
	struct {
		struct ipcfs_hold *hold; /* what the open took; NULL: nothing */
	} semaphore;
	struct {
		/* `objects`, `users`, `metrics`: one read at a time; guards this part, and the listing */
		pthread_mutex_t turn;
		/* text is the rest of a line that was made for a caller with these rights */
		uid_t uid;
		gid_t gid;
		uint64_t caps;
		/* objects, metrics: number of the class whose objects are listed; 0: not begun */
		uint32_t class;
		size_t next; /* objects, metrics: index of the next object of the listing */
		struct ipcfs_sums *sums; /* metrics: of the objects so far; owned, plain data */
		long place;		 /* users: position in /proc; 0: not begun */
		bool hidden;		 /* users: some processes could not be looked into */
		bool ended;		 /* users: all lines were made */
	} lines;
	struct ipcfs_event_reader events; /* of `events`; guarded by lines.turn and the feed */
	struct {
		struct ipcfs_listing
			*listing;	/* of an open directory, `objects` or others; owned */
		_Atomic unsigned users; /* the open, and each READDIR that goes on */
	} directory;
};

/* Returns the object of an open file. NULL: the file has none. */
static inline struct ipcfs_object *ipcfs_file_object(const struct ipcfs_filesystem *fs,
						     const struct ipcfs_file *file)
{
	return ipcfs_object_at(&fs->objects, file->key.object);
}

/* Returns when a wait for the file that begins now has to end, ns of ipcfs_clock_ns. 0: never. */
static inline uint64_t ipcfs_file_deadline(const struct ipcfs_file *file)
{
	return file->key.within ? ipcfs_unanswered_since() + (file->key.within - 1) * 1000 : 0;
}

/* Returns whether the kind of the file has this trait. */
static inline bool ipcfs_file_has(const struct ipcfs_file *file, enum ipcfs_file_trait trait)
{
	return ipcfs_file_kind_has(file->key.kind, trait);
}

/*
 * Makes an open file of a node. The opener is the request's caller. `flags` are those of open(2).
 * Free the file with ipcfs_file_free.
 * -EMFILE: the caller has too many open files.
 * -EACCES: the caller is not on the whitelist.
 * -ENOMEM: also if max_bytes is reached.
 */
int ipcfs_file_new(struct ipcfs_filesystem *fs, fuse_req_t req, struct ipcfs_node *node, int flags,
		   struct ipcfs_file **file);

/* Begins a file, which has its number, as an open file of the node. */
void ipcfs_file_begin(struct ipcfs_filesystem *fs, struct ipcfs_file *file, struct ipcfs_node *node,
		      bool reads, bool writes);
void ipcfs_file_free(struct ipcfs_filesystem *fs, struct ipcfs_file *file);

/*
 * Counts for the opener what the open file keeps now: itself, its text, its listing and its locks.
 * Call with file->lock held after each change, or before another thread knows the file.
 * -ENOMEM: max_bytes is reached. Free what was added, and call again.
 */
int ipcfs_file_charge(struct ipcfs_filesystem *fs, struct ipcfs_file *file);

/*
 * Reserves memory for `more` bytes behind file->text, and counts it as ipcfs_file_charge does.
 * -ENOMEM: also if max_bytes is reached; nothing is changed.
 */
int ipcfs_file_reserve(struct ipcfs_filesystem *fs, struct ipcfs_file *file, size_t more);

/*
 * Appends bytes to file->text. Call without file->lock held.
 * -ENOMEM: also if the opener can't pay for it.
 */
int ipcfs_file_keep(struct ipcfs_filesystem *fs, struct ipcfs_file *file, const char *bytes,
		    size_t size);

/*
 * Moves up to `size` bytes from the start of file->text to *out. When no byte is left, its memory
 * is freed. Call with file->lock held.
 * -ENOMEM: nothing is changed.
 */
int ipcfs_file_take(struct ipcfs_filesystem *fs, struct ipcfs_file *file, size_t size,
		    struct ipcfs_text *out);

/*
 * Returns the open file of this file handle and node id, whatever the kernel sent. NULL: there is
 * no such file. Only an open directory is found with `directory`, only another file without.
 */
struct ipcfs_file *ipcfs_file_at(struct ipcfs_filesystem *fs, uint64_t handle, uint64_t node,
				 bool directory);

/*
 * Returns what this owner has pending in the file. With `create`, makes it if there is none.
 * NULL: there is none, there is no memory, or the file has too many owners. Call with file->lock
 * held.
 */
struct ipcfs_pending *ipcfs_file_pending(struct ipcfs_filesystem *fs, struct ipcfs_file *file,
					 uint64_t owner, bool create);

/*
 * Reserves memory for `more` bytes behind what an owner has pending, and counts it for the opener.
 * With 0 it counts what is there. Call with file->lock held.
 * -ENOMEM: also if max_bytes is reached; nothing is changed.
 */
int ipcfs_pending_reserve(struct ipcfs_filesystem *fs, const struct ipcfs_file *file,
			  struct ipcfs_pending *pending, size_t more);

/*
 * Takes out of the file what an owner has pending. NULL: nothing. The caller frees it and its text,
 * and releases what is charged for it to the opener. Call with file->lock held.
 */
struct ipcfs_pending *ipcfs_file_take_pending(struct ipcfs_file *file, uint64_t owner);

/* Drops what an owner has pending, if anything. Call with file->lock held. */
void ipcfs_file_drop_pending(struct ipcfs_filesystem *fs, struct ipcfs_file *file, uint64_t owner);

#endif
