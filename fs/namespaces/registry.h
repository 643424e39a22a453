/* SPDX-License-Identifier: MIT */
/*
 * Room fs/namespaces: the IPC namespaces that the mount shows, and who may see which.
 * May be called by the rooms above it, from audit to daemon.
 * May call fs/access, fs/base and backends/contract.
 *
 * The registry: the IPC namespaces of the mount. It shows one or, with -o namespaces, all of the
 * machine. A namespace is added when a caller first looks it up. When its last process has left, a
 * thread notices within a second, and everything that was kept for it is freed.
 *
 * A view is an IPC namespace together with the /dev/shm that a process in it has.
 */
#ifndef IPCFS_REGISTRY_H
#define IPCFS_REGISTRY_H

#include "backends/contract/contract.h"

struct ipcfs_acl_store;
struct ipcfs_registry;

struct ipcfs_view {
	uint32_t number;	 /* in the registry's table; 0 is none */
	struct ipcfs_space *ipc; /* a reference */
	struct ipcfs_space *shm; /* another reference, perhaps to the same space */
	uint64_t inode;		 /* of the IPC namespace; 0 in a mount that shows only one */
	struct ipcfs_registry *registry;
	uid_t uid;	     /* of the caller who looked it up first */
	unsigned references; /* guarded by the registry's lock, as are the fields below */
	struct ipcfs_view *next, *prev;
	bool stale; /* no name leads to it any more: it is in the list of stale views */
	/* Rounds of the watcher between two attempts to have the kernel drop a stale view. */
	unsigned wait_rounds, rounds_left;
	struct ipcfs_view *next_stale;
};

/* Returns the space in which objects of this class are. */
static inline struct ipcfs_space *ipcfs_view_space(const struct ipcfs_view *view,
						   const struct ipcfs_class *class)
{
	if (class->space)
		return class->space;
	return class->in_shm ? view->shm : view->ipc;
}

/*
 * Returns the view of this number. NULL: the number is 0. Call only while there is a reference to
 * the view.
 */
struct ipcfs_view *ipcfs_view_at(const struct ipcfs_registry *registry, uint32_t number);

/* Take and give back a reference; the last one frees the view. NULL: nothing happens. */
void ipcfs_view_ref(struct ipcfs_view *view);
void ipcfs_view_unref(struct ipcfs_view *view);

/* Calls to the rooms above. */
struct ipcfs_registry_hooks {
	/* A space is used for the first time. A negative errno: it can't be used. */
	int (*began)(void *arg, struct ipcfs_space *ipc);
	/* A space has ended. inode: that of the IPC namespace; 0: it is a /dev/shm. */
	void (*ended)(void *arg, struct ipcfs_space *ipc, uint64_t inode);
	/* The kernel has to drop what it caches of this view's tree and does not use. */
	void (*invalidate)(void *arg, const struct ipcfs_view *view);
	void *arg;
};

/*
 * Creates a registry that shows `space` or, with `all`, every IPC namespace; `space` was then
 * opened with ipcfs_space_open_home. Takes the reference, after an error too. `state` as for
 * ipcfs_acl_store_create. -ENOMEM.
 */
int ipcfs_registry_create(struct ipcfs_space *space, bool all, const char *state,
			  const struct ipcfs_registry_hooks *hooks,
			  struct ipcfs_registry **registry);

/*
 * Starts the registry's thread, if it needs one, and that of the home's lists. A negative errno:
 * there is none. Stop it, and give back all views, before destroying it.
 */
int ipcfs_registry_start(struct ipcfs_registry *registry);
void ipcfs_registry_stop(struct ipcfs_registry *registry);
void ipcfs_registry_destroy(struct ipcfs_registry *registry);

/* Tells whether it shows all namespaces. */
bool ipcfs_registry_is_all(const struct ipcfs_registry *registry);

/* Returns the view of the daemon's own namespace, or of the only one. Takes no reference. */
struct ipcfs_view *ipcfs_registry_home(const struct ipcfs_registry *registry);

/*
 * Finds the caller's view of the IPC namespace with this inode number. The caller's own namespace
 * has the caller's /dev/shm. Another namespace, for which the caller needs CAP_SYS_ADMIN in it, has
 * that of the oldest process that belongs there. *view is a reference.
 *   -ENOENT: there is no such namespace, or the caller may not see it.
 *   -ENOMEM, -EMFILE
 *   Other errors of opening the namespace, and those of hooks->began.
 */
int ipcfs_registry_find(struct ipcfs_registry *registry, uint64_t inode,
			struct ipcfs_caller *caller, struct ipcfs_view **view);

/* Checks that the caller may use the objects of this view. -EACCES: it may not; -ENOMEM. */
int ipcfs_registry_check(const struct ipcfs_view *view, struct ipcfs_caller *caller);

/*
 * Checks that the caller has CAP_SYS_ADMIN in the user namespace that owns the IPC namespace.
 * -EPERM: it has not; -ENOMEM.
 */
int ipcfs_registry_check_root(const struct ipcfs_view *view, struct ipcfs_caller *caller);

/*
 * Checks that the caller may see that this process is in the IPC namespace.
 *   -ENOENT: it is not, or the caller may not see it.
 *   -ENOMEM, -EMFILE
 */
int ipcfs_registry_check_process(pid_t pid, uint64_t inode, struct ipcfs_caller *caller);

/*
 * Calls `each` for every namespace that the caller may see. A result other than 0 ends the calls
 * and is returned. -ENOMEM, or an error of reading /proc.
 */
int ipcfs_registry_list(struct ipcfs_registry *registry, struct ipcfs_caller *caller,
			int (*each)(void *arg, uint64_t inode), void *arg);

/* How a message went through the mount. */
enum ipcfs_move {
	IPCFS_MOVE_SENT,     /* a writer's went into the queue */
	IPCFS_MOVE_RECEIVED, /* was taken out of the queue for a reader */
	IPCFS_MOVE_RETURNED, /* went back into the queue, as its reader was gone */
	IPCFS_MOVES,	     /* the number of moves */
};

/*
 * Counts a message of a class, by its number (1 to IPCFS_CLASSES_MAX), for an IPC namespace.
 * Takes no lock.
 */
void ipcfs_registry_count(const struct ipcfs_space *ipc, uint32_t class, enum ipcfs_move move);

/* Returns the messages that were counted since the daemon first used the namespace. */
uint64_t ipcfs_registry_counted(const struct ipcfs_space *ipc, uint32_t class,
				enum ipcfs_move move);

/* Returns how many IPC namespaces the daemon has open. */
unsigned ipcfs_registry_size(struct ipcfs_registry *registry);

/* Returns the store with the lists of objects in this IPC namespace. */
struct ipcfs_acl_store *ipcfs_registry_acls(const struct ipcfs_space *ipc);

#endif
