/* SPDX-License-Identifier: MIT */
/*
 * For: the contract between fs/, which knows files and no IPC, and the classes of IPC objects,
 * which know IPC and no files.
 * Called by: fs/, which may include nothing else of backends/, and the rooms of backends/ above.
 * May call: backends/base, the C library, libacl.
 *
 * One `struct ipcfs_class` stands behind one directory of the tree, such as sysv/msg. Its functions
 * return 0 or a count, or a negative errno: one of the list in the comment, or any other of their
 * system calls. They do not block, unless the comment says so. Any thread may call them at any
 * time.
 *
 * They act with the daemon's rights, and do not check the caller's. Exceptions are make, remove,
 * change, set_acl and ipcfs_limit_write: these act with the caller's credentials, and the kernel
 * decides. For a class with `makers`, fs/ judges before make and remove.
 *
 * A class keeps no state between two calls but that of its handles and of semaphore holds. A class
 * of queues on another machine (backends/amqp) keeps its connection, too. Its find, stat,
 * stat_brief, make, remove and status wait up to two seconds for an answer, and fail with
 * -EHOSTDOWN without one. The first step of its walk waits as long, and then tells what it knows.
 */
#ifndef IPCFS_CONTRACT_H
#define IPCFS_CONTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "backends/contract/acl.h"
#include "backends/contract/caller.h"
#include "backends/contract/object_info.h"
#include "backends/contract/queue_ops.h"
#include "backends/contract/segment_ops.h"
#include "backends/contract/semaphore_ops.h"
#include "backends/contract/space.h"
#include "backends/contract/text.h"

/* How owner and mode are checked. */
enum ipcfs_rule {
	IPCFS_RULE_FILE, /* as for a file: owner, group, other (POSIX objects) */
	IPCFS_RULE_SYSV, /* as the kernel's ipcperms(): owner or creator, their groups, other */
};

/*
 * How far a walk over the objects of a class has got. Begin with IPCFS_WALK_START, and end it with
 * ipcfs_walk_end.
 */
struct ipcfs_walk {
	int index;     /* System V: of the kernel's table */
	int directory; /* POSIX: descriptor of the open directory, or -1; owned */
};

#define IPCFS_WALK_START                                                                           \
	(struct ipcfs_walk)                                                                        \
	{                                                                                          \
		.directory = -1                                                                    \
	}

struct ipcfs_class {
	const char *family; /* "posix", "sysv", "amqp": the directory above */
	const char *name;   /* "mq", "msg": the directory */
	enum ipcfs_rule rule;
	uint32_t spec_keys;	/* IPCFS_SPEC_* that make understands */
	uint32_t change_fields; /* IPCFS_CHANGE_* that change understands */
	bool by_id;		/* objects have numbers: by-id/ links, and decimal names */
	bool bound;  /* all functions act in the thread's IPC namespace; else only make does */
	bool in_shm; /* objects are in a /dev/shm, and not in the IPC namespace */
	bool trail;  /* the kernel tells of names that are made and removed: see trail.h */
	struct ipcfs_space *space; /* where the objects are, whatever is looked at; NULL: there */
	/* owner and mode of the directory: who may make and remove; NULL: the kernel judges that */
	const struct ipcfs_perm *_Atomic makers;
	/* the file of limits/ whose last number is how many objects there may be; NULL: none */
	const char *limit;

	/*
	 * Checks that make could make an object of this name (System V: a key in any spelling).
	 * -EINVAL, -ENAMETOOLONG.
	 */
	int (*check_name)(const char *name);

	/*
	 * Finds the object of this name, in any spelling. info->ref.name is the canonical name.
	 * Fields that say what is queued may be 0.
	 * -ENOENT: there is no such object, also where no object can have this name.
	 */
	int (*find)(const struct ipcfs_space *space, const char *name, struct ipcfs_info *info);

	/*
	 * Sets owner, mode and times of *info, in the cheapest way. Other fields may be 0.
	 * -ENOENT: the object was removed, also where another one has its name.
	 */
	int (*stat_brief)(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
			  struct ipcfs_info *info);

	/*
	 * Sets all fields of *info but max_message.
	 * -ENOENT: the object was removed, also where another one has its name.
	 */
	int (*stat)(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		    struct ipcfs_info *info);

	/*
	 * Goes on with a walk: calls each(arg) for at most a few hundred more objects, whatever
	 * their mode. An object that exists during the whole walk comes once. With by_id, *info is
	 * as `find` tells; else it has the name and the serial alone, and may be of a file that
	 * `find` does not take for an object: see ipcfs_walk_find. Returns 1 when there may be more
	 * objects, 0 at the end. Ends early with the result of `each` when that is not 0; the walk
	 * cannot go on then.
	 */
	int (*walk)(const struct ipcfs_space *space, struct ipcfs_walk *walk,
		    int (*each)(void *arg, const struct ipcfs_info *info), void *arg);

	/*
	 * Returns a number that is not less than that of the objects, without a walk. UINT64_MAX:
	 * none is known.
	 */
	uint64_t (*at_most)(const struct ipcfs_space *space);

	/*
	 * Makes an object as the caller, who has to be loaded. After an error nothing is left. May
	 * block for the start of a process (POSIX queues: less than 1 ms).
	 * -EEXIST: there is an object of this name.
	 * -EINVAL, -ENAMETOOLONG: no object can have this name, or a value is nonsense.
	 * -ERANGE: a value is beyond what the kernel allows.
	 * -ENOSPC: a limit was reached.
	 * After -ERANGE, -ENOSPC and -EPERM *limit is a static string that names the limit, that of
	 * a file in limits/ if there is one. NULL: none is known.
	 * -EACCES: the caller may not.
	 * -EPERM: the daemon cannot act as the caller.
	 */
	int (*make)(const struct ipcfs_space *space, const struct ipcfs_spec *spec,
		    const struct ipcfs_caller *caller, struct ipcfs_info *info, const char **limit);

	/*
	 * Removes the object as the caller, who has to be loaded.
	 * -EPERM, -EACCES: the caller may not, or the daemon cannot act as the caller.
	 * -ENOENT: the object was removed, also where another one has its name.
	 * -ERESTART: it takes long (long_work.h).
	 */
	int (*remove)(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      const struct ipcfs_caller *caller);

	/*
	 * Changes the object as the caller, who has to be loaded.
	 * -EPERM: the caller may not, or the daemon cannot act as the caller.
	 * -EINVAL: the class has no such field, or the id has no number in the caller's user
	 * namespace.
	 * -ENOENT: the object was removed, also where another one has its name.
	 * -ERANGE: max_bytes is 0, or too large.
	 */
	int (*change)(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      const struct ipcfs_change *change, const struct ipcfs_caller *caller);

	/*
	 * Read the access control list that the kernel keeps with an object: acl of a named object,
	 * acl_of of the object behind a handle. *acl has to be freed; it has a count of 0 where the
	 * object has no list. NULL, as is set_acl: the kernel keeps no lists for this class.
	 * -ENOENT: the object was removed, also where another one has its name.
	 * -ENOMEM.
	 */
	int (*acl)(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		   struct ipcfs_acl *acl);
	int (*acl_of)(int handle, struct ipcfs_acl *acl);

	/*
	 * Sets the list, and the mode with it, as the caller, who has to be loaded. A list that is
	 * not extended removes the object's list.
	 * -EPERM: the caller may not, or the daemon cannot act as the caller.
	 * -ENOENT: the object was removed, also where another one has its name.
	 * -EOPNOTSUPP: the file system has no lists, and this one is extended.
	 * -EINVAL: an id has no number in the caller's user namespace.
	 * -ENOSPC, -ENOMEM.
	 */
	int (*set_acl)(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		       const struct ipcfs_acl *acl, const struct ipcfs_caller *caller);

	/*
	 * Appends the lines of the status file, all of one moment.
	 * -ENOENT: the object was removed, also where another one has its name.
	 * -ERESTART: it takes long (long_work.h).
	 * -ENOMEM.
	 */
	int (*status)(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      struct ipcfs_text *out);

	/*
	 * Sets *trace. NULL: no process keeps an object of this class open, mapped or attached.
	 * -ENOENT: the object was removed, also where another one has its name.
	 */
	int (*trace)(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		     struct ipcfs_trace *trace);

	/*
	 * Makes *watch, a descriptor, become readable when an object of this space may have been
	 * removed or may have got other permissions. Its bytes mean nothing. A *watch of -1 is
	 * replaced by a new descriptor, to be closed; else the space is added to *watch. NULL: the
	 * calls that wait for an object notice its removal themselves.
	 */
	int (*watch)(const struct ipcfs_space *space, int *watch);

	const struct ipcfs_queue_ops *queue;	     /* NULL: not a queue */
	const struct ipcfs_segment_ops *segment;     /* NULL: not a segment */
	const struct ipcfs_semaphore_ops *semaphore; /* NULL: not a semaphore */
};

struct ipcfs_holds_hooks {
	/* Limits the system calls of the process, and runs in it. NULL: they stay the daemon's. */
	int (*confine)(void);
	/*
	 * Gives a descriptor to the supervisor, for ipcfs_holds_keep: the process gives holds back
	 * when all who have it have ended. NULL: there is no supervisor, whose holds are shared.
	 */
	void (*hand_over)(void *arg, int descriptor);
	void *arg;
};

/*
 * Starts the process that gives back holds of POSIX semaphores when the daemon has ended. Call
 * before the first request is read, as the process has a copy of the daemon's memory, and in the
 * next worker of a supervisor when the semaphores are open whose holds go on: it goes on with the
 * process, which gives back the others.
 * -ENOMEM.
 * Errors of fork(2) and socketpair(2).
 */
int ipcfs_holds_start(const struct ipcfs_holds_hooks *hooks);

/*
 * Has the processes that are forked from now on, one after the other, share the holds of POSIX
 * semaphores: what one has left, the next one finds when it opens the semaphore. *memory: -1, or what
 * this gave to a program that has executed this one; then a descriptor of the memory that they share,
 * or -1 where it has none. Call in the supervisor, as the next two.
 * -ENOMEM.
 */
int ipcfs_holds_share(int *memory);

/* Takes over a descriptor that a worker has handed over, in place of the one before. */
void ipcfs_holds_keep(int descriptor);

/*
 * Has the holds given back that no worker goes on with. *memory as of ipcfs_holds_share, which is
 * other memory then. Call without a worker.
 * -ENOMEM: the next ones are not shared.
 */
int ipcfs_holds_drop(int *memory);

/*
 * Add to a hash (layout.h) the layout of what holds, and kept messages, are in memory that workers
 * share, and of the orders to the processes that outlive a worker.
 */
uint64_t ipcfs_holds_layout(uint64_t hash);
uint64_t ipcfs_leases_layout(uint64_t hash);

/*
 * Starts another such process if it was killed. Call at SIGCHLD.
 * Errors as of ipcfs_holds_start: holds that were granted are without it until the next hold.
 */
int ipcfs_holds_check(void);

/*
 * Starts the process that sends kept messages (`keep`) when the daemon has ended. Call before the
 * first request is read, as the process has a copy of the daemon's memory. `confine` limits the
 * system calls of this process, and of those that are started later, and runs in them; NULL: they
 * stay the daemon's. After an error the first message that is kept tries again.
 * -ENOMEM.
 * -ENOLCK: it has ended at once, or is not ready in time.
 * Errors of fork(2) and socketpair(2).
 */
int ipcfs_leases_start(int (*confine)(void));

/*
 * For a worker that has a successor (fs/daemon/supervisor.h): the descriptors by which the
 * successor goes on with the process for the daemon's own namespace and with the messages.
 */
#define IPCFS_LEASES_DESCRIPTORS 3

/*
 * Has the process send nothing before the supervisor has ended, too. `entrust` gives the
 * descriptors to the supervisor, in place of those before. Call before ipcfs_leases_start.
 */
void ipcfs_leases_entrust(int (*entrust)(void *arg,
					 const int descriptors[IPCFS_LEASES_DESCRIPTORS]),
			  void *arg);

/*
 * Goes on with what a worker before has entrusted, and takes the descriptors over. Call before
 * ipcfs_leases_start.
 * -ENOMEM: then call ipcfs_leases_abandon.
 */
int ipcfs_leases_inherit(const int descriptors[IPCFS_LEASES_DESCRIPTORS]);

/*
 * Forgets what a worker before has entrusted: its process sends all messages when the supervisor
 * has got other descriptors.
 */
void ipcfs_leases_abandon(void);

/*
 * Notes that all messages were asked for that a worker before has left and that somebody has.
 * Returns how many others there are: they are sent when the supervisor has ended.
 */
size_t ipcfs_leases_settle(void);

/*
 * Starts another such process for each that was killed while it had messages. Call at SIGCHLD.
 * -ENOLCK: one could not start; its messages are without it until the next one is kept.
 */
int ipcfs_leases_check(void);

/* Closes what the walk has open. */
void ipcfs_walk_end(struct ipcfs_walk *walk);

/*
 * Completes what a walk tells of an object: sets *info as `find` does, by another call only where
 * the walk does not tell it.
 * Errors of `find`.
 */
int ipcfs_walk_find(const struct ipcfs_class *class, const struct ipcfs_space *space,
		    const struct ipcfs_info *walked, struct ipcfs_info *info);

/*
 * Calls each(arg) for every object, as `find` tells of it. Ends early with the result of `each`
 * when that is not 0. Takes time for each object of the class: no request should wait for it.
 */
int ipcfs_walk_all(const struct ipcfs_class *class, const struct ipcfs_space *space,
		   int (*each)(void *arg, const struct ipcfs_info *info), void *arg);

#define IPCFS_CLASSES_MAX 32 /* no more classes than this */

/*
 * All classes, in the order in which the tree lists them; ends with NULL. Constant from the first
 * request on.
 */
extern const struct ipcfs_class *ipcfs_classes[];

/*
 * Adds a class, before the first request. Borrows it.
 * -ENOSPC: there are IPCFS_CLASSES_MAX.
 */
int ipcfs_classes_add(const struct ipcfs_class *class);

#endif
