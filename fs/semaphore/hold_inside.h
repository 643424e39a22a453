/* SPDX-License-Identifier: MIT */
/* What hold.c and hold_saved.c know of each other. */
#ifndef IPCFS_HOLD_INSIDE_H
#define IPCFS_HOLD_INSIDE_H

#include "fs/request/file.h"

/* The part of a hold that status shows. Constant once the hold is in the object's list. */
struct ipcfs_holder {
	uint32_t number;     /* of the semaphore in its set */
	pid_t pid;	     /* of the opener's thread */
	pid_t taker;	     /* the thread whose request took it */
	uid_t uid;	     /* of the opener */
	gid_t gid;	     /* of the opener */
	time_t since;	     /* when it was taken */
	uint64_t generation; /* how many the object had with this one */
};

enum ipcfs_hold_state {
	IPCFS_HOLD_NEW,
	IPCFS_HOLD_TAKING,   /* the call that takes it is made, or was */
	IPCFS_HOLD_HELD,     /* the file has it */
	IPCFS_HOLD_GIVING,   /* the call that gives it back is made, or was */
	IPCFS_HOLD_DROPPING, /* the same, and the request that gives it back has another purpose */
};

/* The entry of a hold in the ledger. */
struct ipcfs_hold_entry {
	struct ipcfs_holder holder;
	uint64_t file;	  /* the number of the file that has it, or for which it is taken */
	uint64_t request; /* the number of the request that takes it */
	uint32_t object;  /* the object's number */
	uint32_t state;	  /* enum ipcfs_hold_state */
	/* Guarded by the lock of the file that has the hold. */
	pid_t dead;	  /* the killed thread that closed the file last; 0: none */
	bool opener_died; /* that was the opener: later closes change nothing */
	bool unseen;	  /* who closed it last is not to be seen here, and may have been killed */
};

struct ipcfs_hold {
	struct ipcfs_hold_entry is;
	uint32_t index; /* in ipcfs_filesystem.holds, and in the ledger */
	bool given;	/* a worker before has given it back, and was killed before it said so */
	/* Guarded by the lock of object->semaphore. */
	bool listed; /* in the object's list */
	struct ipcfs_hold *next, *prev;
	struct ipcfs_hold *next_orphan;
};

/* A call about holds, for ipcfs_space_run: the space's thread, which took them, has to make it. */
struct ipcfs_hold_call {
	const struct ipcfs_semaphore_ops *semaphore;
	int handle;
	uint32_t number;
	unsigned count; /* to give back: the rank; held: the holds taken */
};

/*
 * Returns how many of so many holds of a semaphore are not void, or an error. Call with the lock of
 * object->semaphore held.
 */
int ipcfs_hold_count_held(const struct ipcfs_object *object, int handle, uint32_t number,
			  unsigned taken);

/* Makes a hold, for this file. NULL: there is no memory. */
struct ipcfs_hold *ipcfs_hold_new(struct ipcfs_filesystem *fs, const struct ipcfs_file *file);

/*
 * Notes the hold in the ledger, in this state.
 * -ENOMEM: what is there is of before.
 */
int ipcfs_hold_save(struct ipcfs_filesystem *fs, struct ipcfs_hold *hold,
		    enum ipcfs_hold_state state);

/* Returns the hold that a worker before has taken for this request. NULL: there is none. */
struct ipcfs_hold *ipcfs_hold_take_orphan(struct ipcfs_filesystem *fs, uint64_t request);

#endif
