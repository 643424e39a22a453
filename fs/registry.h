/* SPDX-License-Identifier: MIT */
/*
 * The IPC namespaces that the mount shows: one, or with -o namespaces all those of the machine, as they are asked for. A
 * view is an IPC namespace together with the /dev/shm that somebody in it has.
 *
 * A namespace is known from the first look at it until the last process has left it, which a thread sees
 * within a moment; then everything that was kept for it goes.
 */
#ifndef IPCFS_REGISTRY_H
#define IPCFS_REGISTRY_H

#include "../backends/backend.h"

struct ipcfs_acl_store;
struct ipcfs_registry;

struct ipcfs_view {
	struct ipcfs_space *ipc; /* a reference */
	struct ipcfs_space *shm; /* another, perhaps to the same */
	uint64_t inode;		 /* the IPC namespace's; 0 in a mount that shows only one */
	struct ipcfs_registry *registry;
	uid_t uid;	     /* who looked first */
	unsigned references; /* guarded by the registry's lock, as what follows */
	struct ipcfs_view *next, *prev;
	bool stale; /* no name leads to it any more; it is among those that are to be forgotten */
	unsigned patience,
		turns; /* rounds of the watcher until it is tried again, and left of them */
	struct ipcfs_view *next_stale;
};

/* What objects of this class are reached by. */
static inline struct ipcfs_space *ipcfs_view_space(const struct ipcfs_view *view,
						   const struct ipcfs_backend *class)
{
	return class->in_shm ? view->shm : view->ipc;
}

/* NULL is fine for both. With the last put a view goes. */
void ipcfs_view_hold(struct ipcfs_view *view);
void ipcfs_view_put(struct ipcfs_view *view);

/* What other rooms have to do when a namespace is there for the first time (-errno), and when it has ended. */
struct ipcfs_registry_hooks {
	int (*began)(void *arg, struct ipcfs_space *ipc);
	void (*ended)(void *arg, struct ipcfs_space *ipc, uint64_t inode);
	/* The kernel is to forget what it knows of this view's tree, as far as it is not in use. */
	void (*forget)(void *arg, const struct ipcfs_view *view);
	void *arg;
};

/*
 * One that shows this space alone (a reference, which it takes), or, where that was opened as our home, all
 * namespaces. `state` as for ipcfs_acl_store_create. -ENOMEM.
 */
int ipcfs_registry_create(struct ipcfs_space *space, bool all, const char *state,
			  const struct ipcfs_registry_hooks *hooks,
			  struct ipcfs_registry **registry);

/* Starts its thread, and those of its home's lists; -errno. Before destroy it is to be stopped, and all views put. */
int ipcfs_registry_start(struct ipcfs_registry *registry);
void ipcfs_registry_stop(struct ipcfs_registry *registry);
void ipcfs_registry_destroy(struct ipcfs_registry *registry);

/* Does it show all namespaces? */
bool ipcfs_registry_is_all(const struct ipcfs_registry *registry);

/* The space and the view it was made with; not another reference. */
struct ipcfs_view *ipcfs_registry_home(const struct ipcfs_registry *registry);

/*
 * What this caller sees of the IPC namespace with this inode number: of its own one with the /dev/shm it has
 * itself, of another's, which asks for CAP_SYS_ADMIN there, with that of the oldest process that belongs there. *view is a
 * reference. -ENOENT: there is no such namespace, or it is not for this caller to see; -ENOMEM, -EMFILE.
 */
int ipcfs_registry_find(struct ipcfs_registry *registry, uint64_t inode,
			struct ipcfs_caller *caller, struct ipcfs_view **view);

/* May the caller use what is in this view? 0; -EACCES; -ENOMEM. */
int ipcfs_registry_check(const struct ipcfs_view *view, struct ipcfs_caller *caller);

/* Is it root there: CAP_SYS_ADMIN in the user namespace that owns the IPC namespace? 0; -EPERM; -ENOMEM. */
int ipcfs_registry_check_root(const struct ipcfs_view *view, struct ipcfs_caller *caller);

/*
 * May the caller see that this process is in that namespace? -ENOENT: it is not, or it is not for this caller to see;
 * -ENOMEM, -EMFILE.
 */
int ipcfs_registry_check_process(pid_t pid, uint64_t inode, struct ipcfs_caller *caller);

/* Call `each` for every namespace that the caller may see; ends early with its result when not 0. */
int ipcfs_registry_list(struct ipcfs_registry *registry, struct ipcfs_caller *caller,
			int (*each)(void *arg, uint64_t inode), void *arg);

/* Where the lists of objects in this space are kept, of kinds for which the kernel keeps none. */
struct ipcfs_acl_store *ipcfs_registry_acls(const struct ipcfs_space *ipc);

#endif
