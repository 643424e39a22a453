/* SPDX-License-Identifier: MIT */
/*
 * The matrix: every operation, by every sort of caller, on objects of every class and mode, once by
 * the direct call and once through the mount. Its parts share: objects, made by direct calls
 * (matrix_posix.c, matrix_sysv.c); operations on both sides (the same files, and matrix_mount.c);
 * and callers (matrix_caller.c), which are processes that carry out one operation after another.
 */
#ifndef IPCFS_MATRIX_H
#define IPCFS_MATRIX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MATRIX_PATH 200
#define MATRIX_LIST 128
#define MATRIX_ATTRIBUTE "system.posix_acl_access"
#define MATRIX_SUPPLEMENTARY 20

enum matrix_op {
	OP_LIST,     /* is it in the list of its class? */
	OP_STAT,     /* owner, group and mode */
	OP_FILES,    /* the names in its directory; directly: may the caller read it? */
	OP_STATUS,   /* everything that there is to know */
	OP_MAY_READ, /* access(2) */
	OP_MAY_WRITE,
	OP_OPEN_READ,
	OP_OPEN_WRITE,
	OP_OPEN_BOTH,
	OP_READ, /* a message, a byte, a value */
	OP_WRITE,
	OP_READ_MORE,  /* peek at a message; all values of a set */
	OP_WRITE_MORE, /* all values of a set; size of a segment */
	OP_POST,
	OP_WAIT,
	OP_ZERO,
	OP_OPERATE, /* a semop(2) that changes, and one that only looks */
	OP_LOOK,
	OP_HOLD,
	OP_CHMOD,
	OP_CHOWN_SELF, /* to the caller */
	OP_CHOWN_OTHER,
	OP_CHGRP_SELF,	 /* to the caller's group */
	OP_CHGRP_MEMBER, /* to one of the supplementary groups */
	OP_CHGRP_OTHER,
	OP_QBYTES,
	OP_QBYTES_MORE, /* more than the kernel's default */
	OP_REMOVE,
	OP_SET_LIST, /* an access control list: arguments.list */
	OP_KEEP,     /* open for reading and for writing, keep both files, then use them */
	OP_KEPT_READ,
	OP_KEPT_WRITE,
	OP_COUNT
};

/* The answers of direct calls. content: the number of messages, the first byte, or the value. */
struct matrix_facts {
	bool there;
	uid_t uid, cuid;
	gid_t gid, cgid;
	mode_t mode;
	long long content, size;
};

struct matrix_object {
	int kind; /* index into matrix_kinds */
	int id;	  /* System V */
	int fd;	  /* POSIX: the maker's descriptor */
	uint32_t key;
	char name[32];		     /* as in the mount */
	char file[MATRIX_PATH];	     /* POSIX: its path in the system */
	char directory[MATRIX_PATH]; /* in the mount */
};

/* The arguments and the result of one operation. */
struct matrix_arguments {
	uid_t uid;
	gid_t gid;
	mode_t mode;
	unsigned variant;	/* which of several files or ways */
	char list[MATRIX_LIST]; /* the value of the attribute */
	size_t list_size;
	struct matrix_facts now; /* for calls that need all values to change some */
};

struct matrix_outcome {
	int error;		   /* 0 or errno */
	const char *exception;	   /* the name of the exception that was used */
	long long value;	   /* what was read */
	struct matrix_facts facts; /* of OP_STAT: uid, gid and mode */
};

struct matrix_kind {
	const char *name; /* "posix/mq", also its directory in the mount */
	bool sysv;
	uint64_t ops; /* 1 << OP_x */
	int (*make)(struct matrix_object *object, const char *name,
		    uint32_t key); /* with the thread's ids */
	void (*facts)(const struct matrix_object *object, struct matrix_facts *facts);
	/* Gives the existing object this content and these attributes, as root. */
	void (*refill)(const struct matrix_object *object, long long content);
	void (*restore)(const struct matrix_object *object, const struct matrix_facts *facts);
	void (*direct)(enum matrix_op op, const struct matrix_object *object,
		       const struct matrix_arguments *arguments, struct matrix_outcome *outcome);
	void (*remove)(const struct matrix_object *object);
	/* files of the mount, relative to the object's directory; "" where there is none */
	const char *read_files[6], *write_files[4]; /* files with one message, byte or value */
};

enum { MATRIX_MQ, MATRIX_PSHM, MATRIX_PSEM, MATRIX_MSG, MATRIX_SHM, MATRIX_SEM, MATRIX_KINDS };
extern const struct matrix_kind *const matrix_kinds[MATRIX_KINDS];
extern const struct matrix_kind matrix_mq, matrix_posix_shm, matrix_posix_sem, matrix_msg,
	matrix_sysv_shm, matrix_sysv_sem;
extern const char *const matrix_op_names[OP_COUNT];

/* Mounts this namespace's POSIX queues on a new directory of $TMPDIR. */
void matrix_start(const char *mount);
void matrix_end(void);
extern const char *matrix_mount, *matrix_queues;

void matrix_through_mount(enum matrix_op op, const struct matrix_object *object,
			  const struct matrix_arguments *arguments, struct matrix_outcome *outcome);

/* Which file OP_READ reads. */
const char *matrix_read_file(const struct matrix_kind *kind, unsigned variant);

/* Turns the result of a system call into an error; closes what open(2) returned. */
int matrix_error(long result);
int matrix_open(const char *path, int flags);

enum {
	MATRIX_OWNER = 20001,
	MATRIX_CREATOR,
	MATRIX_OTHER,
	MATRIX_GROUP = 30001,
	MATRIX_CREATOR_GROUP,
	MATRIX_OTHER_GROUP,
};

struct matrix_caller {
	const char *name;
	uid_t uid;
	gid_t gid;
	gid_t member;  /* one of 20 supplementary groups; 0: no groups at all */
	uint64_t caps; /* effective */
	uid_t real;    /* real user id, if it is another one */
	uint64_t idle; /* permitted, and not effective */
};

/* A process of this caller. */
struct matrix_worker {
	const struct matrix_caller *caller;
	pid_t pid;
	int socket;
};

/* MATRIX_FILE: on object->file, whatever it is; MATRIX_PLAIN: the same without capabilities. */
enum matrix_side { MATRIX_DIRECT, MATRIX_MOUNT, MATRIX_FILE, MATRIX_PLAIN };

void matrix_worker_start(struct matrix_worker *worker, const struct matrix_caller *caller);
void matrix_worker_end(struct matrix_worker *worker);
void matrix_ask(const struct matrix_worker *worker, enum matrix_side side, enum matrix_op op,
		const struct matrix_object *object, const struct matrix_arguments *arguments,
		struct matrix_outcome *outcome);

extern const struct matrix_caller matrix_callers[];
extern const unsigned matrix_caller_count;

#define MATRIX_CAP(cap) ((uint64_t)1 << (cap))

#endif
