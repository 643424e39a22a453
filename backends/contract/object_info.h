/* SPDX-License-Identifier: MIT */
/* An object of any class: its identity, its state, and how one is made or changed. Plain data. */
#ifndef IPCFS_OBJECT_INFO_H
#define IPCFS_OBJECT_INFO_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "backends/contract/acl.h"

/* Owner, creator and mode (9 bits). A POSIX object has no creator: cuid = uid, cgid = gid. */
struct ipcfs_perm {
	uid_t uid, cuid;
	gid_t gid, cgid;
	mode_t mode;
};

/*
 * Identifies one object for ever. Plain data. Refs with the same serial and key are the same
 * object.
 */
struct ipcfs_ref {
	uint64_t serial; /* System V: the id with its sequence number; POSIX: the inode number */
	uint32_t key;	 /* System V: the key, 0 = none; POSIX shm and sem: a hash, see shm_dir.h */
	char name[NAME_MAX + 1]; /* canonical name in the class directory */
};

/* The state of an object at one moment. A field that the object's class does not have is 0. */
struct ipcfs_info {
	struct ipcfs_ref ref;
	struct ipcfs_perm perm;
	struct timespec atime, mtime, ctime;
	/* queue: bytes queued; segment: bytes; set: semaphores; POSIX semaphore: its value */
	uint64_t size;
	uint64_t messages;     /* messages queued */
	uint64_t max_bytes;    /* System V: msg_qbytes */
	uint64_t max_messages; /* that the queue takes; stat, and fstat of a POSIX queue, set it */
	/* bytes of the largest message that can be sent; only fstat sets it */
	uint64_t max_message;
	uint64_t allocated; /* segment: bytes of memory behind it, as far as that is known */
	/* System V segment: nobody uses it any more; it goes with its last user. Only stat sets them */
	bool stale, removed;
};

/* By what /proc shows that a process uses an object. Plain data. */
struct ipcfs_trace {
	dev_t device; /* of the object's file */
	uint64_t inode;
	bool opened;   /* processes may have the file open */
	bool mapped;   /* processes may have the file mapped */
	bool attached; /* it is mapped by shmat(2), under a number of the IPC namespace `space` */
	uint64_t space;
	pid_t registered; /* the process that asked for a notification; 0: none */
};

/* An object to be made, by mkdir(2) or a write to `create`. */
struct ipcfs_spec {
	const struct ipcfs_class *class;
	char name[NAME_MAX + 1]; /* as the user wrote it; "private": without a key (System V) */
	uint32_t given;		 /* IPCFS_SPEC_*: the fields below that the user has set */
	mode_t mode;		 /* valid in any case: 0600 unless the user has set it */
	uint64_t max_messages, max_message, max_bytes;
	uint64_t size;
	struct {
		char type[16], dead[NAME_MAX + 1];
		uint64_t max_length, max_bytes, ttl, redeliver, priorities;
	} broker;		  /* valid as `given` says */
	struct ipcfs_text values; /* initial semaphore values, as uint32_t; see ipcfs_spec_free */
};

enum ipcfs_spec_key {
	IPCFS_SPEC_MODE = 1 << 0,	  /* mode= */
	IPCFS_SPEC_MAX_MESSAGES = 1 << 1, /* maxmsg=, POSIX queues */
	IPCFS_SPEC_MAX_MESSAGE = 1 << 2,  /* msgsize=, POSIX queues */
	IPCFS_SPEC_MAX_BYTES = 1 << 3,	  /* qbytes=, System V queues */
	IPCFS_SPEC_SIZE = 1 << 4,	  /* size=, segments */
	IPCFS_SPEC_VALUES = 1 << 5,	  /* values=, semaphores; not set: one, of value 1 */
	/* queues of a broker */
	IPCFS_SPEC_BROKER_TYPE = 1 << 6,	/* type=, a word; not set: "quorum" */
	IPCFS_SPEC_BROKER_MAX_LENGTH = 1 << 7,	/* maxlen=, messages */
	IPCFS_SPEC_BROKER_MAX_BYTES = 1 << 8,	/* maxbytes=, of all messages */
	IPCFS_SPEC_BROKER_TTL = 1 << 9,		/* ttl=, ms */
	IPCFS_SPEC_BROKER_DEAD = 1 << 10,	/* dead=, a queue's name, as the tree has it */
	IPCFS_SPEC_BROKER_REDELIVER = 1 << 11,	/* redeliver=, deliveries beside the first */
	IPCFS_SPEC_BROKER_PRIORITIES = 1 << 12, /* prio=, the highest priority */
	IPCFS_SPEC_BROKER = 0x1fc0,		/* all of these */
};

/*
 * A change by chmod(2), chown(2), utimensat(2) or a write to `qbytes`. Several fields are changed
 * at once, but for the times.
 */
struct ipcfs_change {
	uint32_t mask; /* IPCFS_CHANGE_*: the fields to change */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	uint64_t max_bytes;
	struct timespec times[2]; /* access and modification, as for utimensat(2) */
};

enum ipcfs_change_field {
	IPCFS_CHANGE_MODE = 1 << 0,
	IPCFS_CHANGE_UID = 1 << 1,
	IPCFS_CHANGE_GID = 1 << 2,
	IPCFS_CHANGE_MAX_BYTES = 1 << 3,
	IPCFS_CHANGE_TIMES = 1 << 4, /* in a change of its own */
};

#endif
