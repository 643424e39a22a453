/* SPDX-License-Identifier: MIT */
/*
 * The contract between fs/, which knows files and no IPC, and the kinds of IPC, which know no
 * files. One `struct ipcfs_backend` is one directory of the tree, such as sysv/msg.
 *
 * Every function returns 0 (or a count) or a negative errno, never blocks unless it says so, and
 * may be called by any thread at any time: a backend keeps no state of its own but what a handle
 * stands for and who holds a semaphore. None looks at what the caller may do, but for make, remove, change and
 * ipcfs_limit_write, which act with the caller's own credentials and let the kernel judge.
 */
#ifndef IPCFS_BACKEND_H
#define IPCFS_BACKEND_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "acl.h"
#include "text.h"

#define IPCFS_USER_NAMESPACES 33 /* they nest no deeper */

/*
 * Objects as they are reached: those of one IPC namespace, by the opened file system of its POSIX queues,
 * those of one /dev/shm, or both.
 */
struct ipcfs_space;

/*
 * Open the IPC namespace of the calling process. *space is a reference, for ipcfs_space_put.
 * -ENOENT where POSIX queues can't be reached (no privilege to mount and no /dev/mqueue), -ENOMEM.
 */
int ipcfs_space_open(struct ipcfs_space **space);

/*
 * Join the IPC namespace of another process, for good (also where something fails after that), and
 * open it with the /dev/shm of that process. To be called by the only thread there is: those made later follow.
 * -ESRCH: there is no such process, or it has ended; -EINVAL: it is a kernel thread, or a thread that
 * does not lead its process; -EPERM: no privilege over that namespace; -ENOENT: /proc does not show it;
 * -ENOMEM; other errors of fsopen(2) and its kin.
 */
int ipcfs_space_join(pid_t pid, struct ipcfs_space **space);

/* A pidfd of the process that was joined, readable once it has ended; -1: none was. The space's own. */
int ipcfs_space_process(const struct ipcfs_space *space);

/* Is there a /dev/shm to be shown? */
bool ipcfs_space_has_shm(const struct ipcfs_space *space);

/*
 * From now on namespaces other than our own may be entered: to be called before there are other threads.
 * Our own one, with our /dev/shm. -EPERM: no privilege; errors of ipcfs_space_open.
 */
int ipcfs_space_open_home(struct ipcfs_space **space);

/*
 * The IPC namespace of a thread that waits for us, without a /dev/shm. -ENOENT: it is unknown, or its namespace
 * can't be seen; -EPERM; -ENOMEM, -EMFILE; other errors of fsopen(2) and its kin.
 */
int ipcfs_space_open_of(pid_t tid, struct ipcfs_space **space);

/* Which directory a /dev/shm is, so that one is not taken for another; plain data, compared as a whole. */
struct ipcfs_place {
	uint64_t device, inode;
	uint64_t read_only; /* as it was mounted where it was found */
};

/*
 * The /dev/shm that a thread of this IPC namespace (0: it waits for us, and is known to be) has below its root, alone. One without a /dev/shm, and with a
 * place of zeros, where there is none that may be shown (see target.h), or no such thread. -ENOMEM, -EMFILE.
 */
int ipcfs_space_open_shm(pid_t tid, uint64_t inode, struct ipcfs_space **space);
const struct ipcfs_place *ipcfs_space_place(const struct ipcfs_space *space);

/*
 * Let this thread act in the IPC namespace, until it leaves: *before is for that. Calls of kinds that are
 * `bound` are to be made in there. One that has ended is empty. -ENOMEM. NULL: nothing happens. Nothing happens where the process is in it anyway.
 */
int ipcfs_space_enter(const struct ipcfs_space *space, const struct ipcfs_space **before);
void ipcfs_space_leave(const struct ipcfs_space *before);

/*
 * The same for a thread that serves one request after another: it stays there until it visits another one, goes home, or rests
 * when the namespace has ended. SIGUSR1, which only interrupts its calls, then tells it to rest. It is to be at home when it ends.
 */
int ipcfs_space_visit(struct ipcfs_space *space);
void ipcfs_space_rest(void);
void ipcfs_space_go_home(void);

/*
 * Have work(arg) done, and wait for it, by the thread that dwells in the IPC namespace and has all that is held
 * there of System V semaphores; threads that it makes share that, and are to call ipcfs_space_dwell first. By
 * the calling thread where the process, or this thread, is in it for good. What work returned; -EIDRM: it has ended; -EAGAIN, -ENOMEM.
 */
int ipcfs_space_run(struct ipcfs_space *space, int (*work)(void *arg), void *arg);
void ipcfs_space_dwell(const struct ipcfs_space *space);

/*
 * A thread starts where its maker is, perhaps for one request only: this one, which has just started, or this process,
 * goes home. By those that ipcfs_space_run has not made.
 */
void ipcfs_space_settle(void);

/*
 * Nobody is in the IPC namespace any more but us, or nobody has this /dev/shm: let go of it. References stay good, and find nothing.
 * Not to be called in there.
 */
void ipcfs_space_end(struct ipcfs_space *space);
bool ipcfs_space_has_ended(const struct ipcfs_space *space);

/* Something of the caller's that goes with the space: disown(owner) is called by the last put. */
void ipcfs_space_own(struct ipcfs_space *space, void *owner, void (*disown)(void *owner));
void *ipcfs_space_owner(const struct ipcfs_space *space);

/* One reference more, and one less: with the last one it is closed. NULL is fine for put. */
void ipcfs_space_hold(struct ipcfs_space *space);
void ipcfs_space_put(struct ipcfs_space *space);

/* Which IPC namespace it is; plain data. */
struct ipcfs_space_identity {
	char boot[40];	/* which boot of the kernel; "": that, or the namespace, is not known */
	uint64_t inode; /* no other namespace has it while this one lives */
	/* No other namespace of this boot ever has it (Linux 6.18, or the initial one); 0: not known. */
	uint64_t id;
};
void ipcfs_space_identity(const struct ipcfs_space *space, struct ipcfs_space_identity *identity);

/*
 * In which user namespaces a capability counts for an IPC namespace (user_namespaces(7)): in the one that
 * owns it, which is the first, and in those around it; and who made a user namespace has all in it while
 * in the one around. Plain data.
 */
struct ipcfs_authority {
	size_t count;
	struct {
		uint64_t user_ns; /* inode number */
		uid_t owner;	  /* who made it, as we number users */
	} chain[IPCFS_USER_NAMESPACES];
};
const struct ipcfs_authority *ipcfs_space_authority(const struct ipcfs_space *space);

/*
 * IPC namespaces by inode numbers, and who is in them: what /proc tells. The namespace of this thread; 0: it is
 * unknown, or can't be seen.
 */
uint64_t ipcfs_namespace_of(pid_t tid);

/* Call `each` for every process and its namespace; ends early with its result when not 0. -errno of opendir. */
int ipcfs_namespace_each(int (*each)(void *arg, uint64_t inode, pid_t pid), void *arg);

/* The process that this thread knows by that number, in its own pid namespace. 0: none; before Linux 6.12 also where that is not ours. */
pid_t ipcfs_namespace_process(pid_t tid, pid_t number);

/* Does this thread number processes as we do? An unknown one does. */
bool ipcfs_namespace_shares_numbers(pid_t tid);

/* The number by which this thread knows a process, in its own pid namespace. 0: it has none there, or is gone. */
pid_t ipcfs_namespace_number(pid_t tid, pid_t pid);

/*
 * Who has rights in the IPC namespace of a process, if it still is that one. -ENOENT: it is not, or can't be seen;
 * -ENOMEM, -EMFILE.
 */
int ipcfs_namespace_authority(pid_t pid, uint64_t inode, struct ipcfs_authority *authority);

/* When a process started, on a clock of its own. 0: it is gone. */
uint64_t ipcfs_namespace_start(pid_t pid);

/* Is a process in the user namespace that owns an IPC namespace of this authority, or in one below? */
bool ipcfs_namespace_governs(const struct ipcfs_authority *authority, pid_t pid);

/* Who asks. What stands behind `loaded` is only meaningful once loaded (see fs/caller.h). */
struct ipcfs_caller {
	uid_t uid;
	gid_t gid;
	pid_t tid; /* thread id in our pid namespace; 0 = unknown */
	uint64_t
		before; /* another thread has the id if it started later; 0 = it has not changed hands */
	bool loaded; /* what stands below is known */
	uid_t ruid;  /* real ids: POSIX queues are charged to them */
	gid_t rgid;
	uint64_t caps;	  /* effective capabilities, 1 << CAP_x, in its own user namespace */
	uint64_t user_ns; /* that one's inode number; 0: not known, it has no capabilities then */
	bool foreign;	  /* it is another than ours */
	struct ipcfs_id_map
		*map; /* and its ids are these of ours; owned as groups are; NULL: unknown */
	size_t ngroups;
	gid_t *groups; /* supplementary groups; owned by whoever owns the struct */
};

/* Owner, creator and mode (9 bits). POSIX objects have no creator: cuid = uid, cgid = gid. */
struct ipcfs_perm {
	uid_t uid, cuid;
	gid_t gid, cgid;
	mode_t mode;
};

/* What names one object for ever; plain data. Two refs with equal serial and key are one object. */
struct ipcfs_ref {
	uint64_t serial; /* System V: the id with its sequence number; POSIX: the inode number */
	uint32_t key;	 /* System V: the key, 0 = none; POSIX: what else tells two files apart */
	char name[NAME_MAX + 1]; /* canonical name in the class directory */
};

/* One consistent look at an object. What a kind does not have is 0. */
struct ipcfs_info {
	struct ipcfs_ref ref;
	struct ipcfs_perm perm;
	struct timespec atime, mtime, ctime;
	/* bytes queued; bytes of a segment; semaphores in a set; a POSIX semaphore's value */
	uint64_t size;
	uint64_t messages;    /* messages queued */
	uint64_t max_bytes;   /* System V: msg_qbytes */
	uint64_t max_message; /* the largest message that can ever be sent, bytes; look tells */
	uint64_t allocated;   /* segments: bytes of memory behind it, as far as that is known */
};

/* What mkdir and `create` ask for. `given` says which of the values below name were set. */
struct ipcfs_spec {
	const struct ipcfs_backend *backend;
	char name[NAME_MAX + 1]; /* as written; "private" = an object without a key (System V) */
	uint32_t given;		 /* IPCFS_SPEC_* */
	mode_t mode;		 /* always set: 0600 where nobody asked for another */
	uint64_t max_messages, max_message, max_bytes;
	uint64_t size;
	struct ipcfs_text
		values; /* of uint32_t: where semaphores start; freed by ipcfs_spec_free */
};

enum ipcfs_spec_key {
	IPCFS_SPEC_MODE = 1 << 0,	  /* mode= */
	IPCFS_SPEC_MAX_MESSAGES = 1 << 1, /* maxmsg=, POSIX queues */
	IPCFS_SPEC_MAX_MESSAGE = 1 << 2,  /* msgsize=, POSIX queues */
	IPCFS_SPEC_MAX_BYTES = 1 << 3,	  /* qbytes=, System V queues */
	IPCFS_SPEC_SIZE = 1 << 4,	  /* size=, segments */
	IPCFS_SPEC_VALUES = 1 << 5,	  /* values=, semaphores; one of value 1 where not given */
};

/* chmod, chown and writes to qbytes; several at once are one change. */
struct ipcfs_change {
	uint32_t mask;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	uint64_t max_bytes;
};

enum ipcfs_change_field {
	IPCFS_CHANGE_MODE = 1 << 0,
	IPCFS_CHANGE_UID = 1 << 1,
	IPCFS_CHANGE_GID = 1 << 2,
	IPCFS_CHANGE_MAX_BYTES = 1 << 3,
};

/* A message as System V wants it in memory, so that none is copied on its way. */
struct ipcfs_message {
	long type; /* System V: 1 or more; POSIX: the priority */
	char text[];
};

enum ipcfs_direction { IPCFS_RECEIVE, IPCFS_SEND };

/*
 * Sending and receiving. A handle is what open gave; it stays valid until close, also after the
 * queue was removed. "Selector" says which messages: msgrcv(2)'s msgtyp for System V, 0 for POSIX.
 */
struct ipcfs_queue_ops {
	bool typed_receive; /* receive obeys a selector (type/N); else there is prio/N */
	long type_min, type_max, type_plain; /* range of message types; what plain files send */

	/* -ENOENT, -EIDRM (another object has the name now), -EACCES (the daemon may not). */
	int (*open)(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		    enum ipcfs_direction direction, int *handle);
	void (*close)(int handle);

	/*
	 * Look at the queue now: perm, messages, max_message, max_bytes; the rest of info is left
	 * alone. -EIDRM when it was removed (perm is then still filled for a POSIX queue).
	 */
	int (*look)(int handle, struct ipcfs_info *info);

	/*
	 * perm only, the cheapest way: asked once for every request. -EIDRM as look.
	 */
	int (*perm)(int handle, struct ipcfs_perm *perm);

	/*
	 * Take one message, at most `room` bytes of text. Returns its size. -EAGAIN: none there.
	 * -EMSGSIZE: it is longer (POSIX: could be longer) than room and stays. -EIDRM: removed
	 * (POSIX: and empty).
	 */
	ssize_t (*receive)(int handle, long selector, struct ipcfs_message *message, size_t room);

	/*
	 * Send one message. With `wait` false -EAGAIN when full. With `wait` true (only where `wait`
	 * below is not NULL) blocks until sent, -EINTR at a signal. -EMSGSIZE: it could never be sent.
	 * -EIDRM: removed (a removed POSIX queue takes it still, for those who have it open: ask perm
	 * first). -EINVAL: the type.
	 */
	int (*send)(int handle, const struct ipcfs_message *message, size_t size, bool wait);

	/*
	 * A message that receive took has reached its reader. NULL where taking is final, as in the
	 * kernel's queues; a message is given back with send.
	 */
	int (*confirm)(int handle, const struct ipcfs_message *message);

	/*
	 * How to wait. Either the handle is a descriptor for epoll (pollable), or `wait` blocks until a
	 * message that fits the selector is there: 0; -EINTR at a signal; -EIDRM. It returns 1 when
	 * looking took a message: always an empty one, its type in *type; it is then the caller's.
	 */
	bool pollable;
	int (*wait)(int handle, long selector, long *type);

	/* POLLIN where receive would not give -EAGAIN, POLLOUT where a message of one byte would fit. */
	int (*ready)(int handle, long selector);

	/*
	 * Copy message number `index` (0 = oldest) without taking it; NULL where the kernel can't.
	 * At most `room` bytes of text are copied; returns the bytes copied. -ENOENT: no such message;
	 * -EMSGSIZE: one the kernel can't copy any more (msgmax was lowered); -EIDRM; -ENOMEM.
	 */
	ssize_t (*peek)(int handle, size_t index, struct ipcfs_message *message, size_t room);
};

/*
 * Shared memory. A handle is what open gave and stays valid until close, also after the segment was
 * removed. Offsets and sizes are bytes, offsets never negative.
 */
struct ipcfs_segment_ops {
	bool resizable;

	/*
	 * For reading, or for both. -ENOENT, -EIDRM (another object has the name now), -EACCES (the
	 * daemon may not), -ENOMEM.
	 */
	int (*open)(const struct ipcfs_space *space, const struct ipcfs_ref *ref, bool write,
		    int *handle);
	void (*close)(int handle);

	/*
	 * Look at the segment now: perm, size, allocated and the times; the rest of info is left
	 * alone. -EIDRM: a System V segment that is gone (POSIX objects live while they are open).
	 */
	int (*look)(int handle, struct ipcfs_info *info);

	/* How many bytes were read, 0 at the end. -EIO: memory that can't be had. Never SIGBUS. */
	ssize_t (*read)(int handle, void *bytes, size_t size, off_t offset);

	/*
	 * How many bytes were written, perhaps fewer: at the end of a segment that can't grow, which is
	 * then -ENOSPC. -EFBIG, -ENOSPC (no memory left), -EIO.
	 */
	ssize_t (*write)(int handle, const void *bytes, size_t size, off_t offset);

	/* Make it so long, what is new being zero. -EFBIG, -EPERM where it is not resizable. */
	int (*resize)(int handle, uint64_t size);

	/*
	 * A file that is the memory itself, for the kernel to read, write and map in our place; it
	 * belongs to the handle. -EOPNOTSUPP: there is none.
	 */
	int (*backing)(int handle);
};

/* One of the operations that are atomic together: add to a semaphore, or (0) see that it is 0. */
struct ipcfs_semaphore_op {
	uint32_t number;
	int32_t delta;
};

enum ipcfs_semaphore_flag {
	IPCFS_SEMAPHORE_WAIT = 1 << 0, /* until it can be done */
	/* A hold: one operation of -1, which is undone when this process ends, however it ends. */
	IPCFS_SEMAPHORE_UNDO = 1 << 1,
};

/*
 * Semaphores: one, or a set. A handle is what open gave; it stays valid until close. Every function
 * returns -EIDRM once the semaphore was removed.
 */
struct ipcfs_semaphore_ops {
	bool sets; /* many with numbers, which operations can join; else there is number 0 */
	uint32_t value_max; /* the largest value */

	/* -ENOENT, -EIDRM (another object has the name now), -EACCES (the daemon may not), -ENOMEM. */
	int (*open)(const struct ipcfs_space *space, const struct ipcfs_ref *ref, int *handle);
	void (*close)(int handle);

	/* The cheapest way to the permissions: asked once for every request. */
	int (*perm)(int handle, struct ipcfs_perm *perm);

	/* The value now. -EFBIG: no such number. */
	int (*get)(int handle, uint32_t number, uint32_t *value);

	/* Make it so, and forget what is held of it: nothing is given back later. -ERANGE, -EFBIG. */
	int (*set)(int handle, uint32_t number, uint32_t value);

	/* All at once, as uint32_t behind what is in *values; -ENOMEM. NULL where there are no sets. */
	int (*get_all)(int handle, struct ipcfs_text *values);
	/* -EINVAL: `count` is not the number of semaphores. */
	int (*set_all)(int handle, const uint32_t *values, size_t count);

	/*
	 * Do all of it at once, or nothing. -EAGAIN: it would have to wait. With IPCFS_SEMAPHORE_WAIT it
	 * blocks instead, half a second at most, then -EINTR, as at a signal: the caller looks who may
	 * still do what and calls again. -ERANGE: a value would be too large, or a delta is; -EFBIG: no
	 * such number; -E2BIG: too many operations; -EINVAL: not for this kind.
	 */
	int (*operate)(int handle, const struct ipcfs_semaphore_op *ops, size_t count,
		       unsigned flags);

	/*
	 * Give one hold back. `rank` is its place among those taken of this semaphore and not given back,
	 * the newest being 1. Returns 1, and gives nothing, when it was forgotten: the value was set,
	 * by anybody, since it was taken. No two calls at once for one semaphore.
	 */
	int (*give_back)(int handle, uint32_t number, unsigned rank);

	/* How many of the `taken` holds of this semaphore are not forgotten. */
	int (*held)(int handle, uint32_t number, unsigned taken);

	/* Append the lines of the status file that are for those who may read only. -ENOMEM. */
	int (*describe)(int handle, struct ipcfs_text *out);
};

enum ipcfs_rule {
	IPCFS_RULE_FILE, /* as on a file: owner, group, other (POSIX objects) */
	IPCFS_RULE_SYSV, /* ipcperms: owner or creator, either's group, other */
};

struct ipcfs_backend {
	const char *family;	/* "posix", "sysv": the directory above */
	const char *class_name; /* "mq", "msg": the directory */
	enum ipcfs_rule rule;
	uint32_t spec_keys;	/* IPCFS_SPEC_* it understands */
	uint32_t change_fields; /* IPCFS_CHANGE_* it understands */
	bool by_id;		/* objects have numbers: by-id/ links, bare decimal names */
	bool bound; /* its calls act in the IPC namespace of the thread; for the others, only make does */
	bool in_shm; /* its objects are in a /dev/shm, and not in the IPC namespace */

	/* Is this a name that make would take (System V: a key in any spelling)? 0, -EINVAL, -ENAMETOOLONG. */
	int (*check_name)(const char *name);

	/*
	 * The object of this name, in any spelling. info->ref.name is the canonical name; where it
	 * differs from `name`, the name given is an alias. What is queued need not be told: 0 then.
	 * -ENOENT, also for names that can't be.
	 */
	int (*find)(const struct ipcfs_space *space, const char *name, struct ipcfs_info *info);

	/* Owner, mode and times now, as cheaply as can be. -ENOENT when it is gone (or another one has its name). */
	int (*glance)(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      struct ipcfs_info *info);

	/* All of it. -ENOENT as above. */
	int (*stat)(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		    struct ipcfs_info *info);

	/* Call `each` for every object, readable or not; ends early with its result when not 0. */
	int (*list)(const struct ipcfs_space *space,
		    int (*each)(void *arg, const struct ipcfs_info *info), void *arg);

	/*
	 * Make what spec asks for, as the caller (loaded). -EEXIST, -EINVAL, -ERANGE, -ENOSPC
	 * (*limit = static string naming the limit that was reached), -EPERM (this daemon can't take
	 * the caller's identity), -EACCES. Nothing is made on error. May block for a process's
	 * start (POSIX queues: under 1 ms).
	 */
	int (*make)(const struct ipcfs_space *space, const struct ipcfs_spec *spec,
		    const struct ipcfs_caller *caller, struct ipcfs_info *info, const char **limit);

	/* Remove it, as the caller (loaded). -EPERM, -EACCES, -ENOENT. */
	int (*remove)(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      const struct ipcfs_caller *caller);

	/* Change it, as the caller (loaded). -EPERM, -EINVAL, -ENOENT, -ERANGE. */
	int (*change)(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      const struct ipcfs_change *change, const struct ipcfs_caller *caller);

	/*
	 * The access control list that the kernel keeps with the object, count 0 where it has none; of a
	 * named object, and of any that a handle stands for. Freed with ipcfs_acl_free. -ENOENT, -ENOMEM.
	 * All three are NULL where the kernel keeps none for this kind.
	 */
	int (*acl)(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		   struct ipcfs_acl *acl);
	int (*acl_of)(int handle, struct ipcfs_acl *acl);

	/*
	 * Set it, and with it the mode, as the caller (loaded); one that is not extended takes it away.
	 * -EPERM, -ENOENT, -EOPNOTSUPP (a file system without lists), -EINVAL, -ENOSPC, -ENOMEM.
	 */
	int (*set_acl)(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		       const struct ipcfs_acl *acl, const struct ipcfs_caller *caller);

	/* Append the lines of the status file: one sample. -ENOENT, -ENOMEM. */
	int (*status)(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      struct ipcfs_text *out);

	/*
	 * Let *watch, a descriptor, become readable when an object of this space may have been removed or its
	 * permissions changed by others; what is read from it means nothing. It may have been given for other spaces; -1: a new
	 * one is made. NULL: waiting calls notice.
	 */
	int (*watch)(const struct ipcfs_space *space, int *watch);

	const struct ipcfs_queue_ops *queue;	     /* NULL: not a queue */
	const struct ipcfs_segment_ops *segment;     /* NULL: not a segment */
	const struct ipcfs_semaphore_ops *semaphore; /* NULL: not one */
};

/* All kinds, in the order they are listed; ends with NULL. */
extern const struct ipcfs_backend *const ipcfs_backends[];

/* The kernel's limits, as limits/ shows them; ends with a NULL name. */
struct ipcfs_limit {
	const char *name; /* "msgmax" */
	const char *path; /* "/proc/sys/kernel/msgmax" */
};
extern const struct ipcfs_limit ipcfs_limits[];

/* Append the limit's value, with its newline. */
int ipcfs_limit_read(const struct ipcfs_limit *limit, struct ipcfs_text *out);

/* Set it, as the caller (loaded), who needs what the kernel asks for. -EACCES, -EPERM, -EINVAL, -ERANGE. */
int ipcfs_limit_write(const struct ipcfs_limit *limit, const struct ipcfs_caller *caller,
		      const char *value, size_t size);

#endif
