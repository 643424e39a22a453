/* SPDX-License-Identifier: MIT */
/* Which namespaces a caller may see, and with which /dev/shm. */
#include <errno.h>
#include <linux/capability.h>

#include "fs/access/caller.h"
#include "fs/namespaces/registry_inside.h"

#define NOBODY 0 /* stands for a thread without a /dev/shm */

/* Checks that the caller has CAP_SYS_ADMIN in a namespace of this authority. -EPERM: it has not. */
static int check_root(const struct ipcfs_authority *authority, struct ipcfs_caller *caller)
{
	int err = ipcfs_caller_load(caller);

	if (err)
		return err;
	if (ipcfs_authority_held(authority, caller) >> CAP_SYS_ADMIN & 1)
		return 0;
	/*
	 * The user who made a user namespace has all capabilities in it. Root of a container may
	 * have the same uid as the user who made another container's: it counts only outside of
	 * containers, in the daemon's pid namespace.
	 */
	if (ipcfs_authority_caps(authority, caller) >> CAP_SYS_ADMIN & 1 &&
	    ipcfs_namespace_shares_numbers(caller->tid))
		return 0;
	return -EPERM;
}

int ipcfs_registry_check_root(const struct ipcfs_view *view, struct ipcfs_caller *caller)
{
	return check_root(ipcfs_space_authority(view->ipc), caller);
}

int ipcfs_registry_check(const struct ipcfs_view *view, struct ipcfs_caller *caller)
{
	int err;

	if (ipcfs_namespace_of(caller->tid) == view->inode)
		return 0;
	err = ipcfs_registry_check_root(view, caller);
	return err == -EPERM ? -EACCES : err;
}

int ipcfs_registry_check_process(pid_t pid, uint64_t inode, struct ipcfs_caller *caller)
{
	struct ipcfs_authority authority;
	int err;

	if (ipcfs_namespace_of(caller->tid) == inode)
		return 0;
	err = ipcfs_namespace_authority(pid, inode, &authority);
	if (!err)
		err = check_root(&authority, caller);
	return err == -EPERM ? -ENOENT : err;
}

/*
 * Finds the caller's own namespace, or one in which it has CAP_SYS_ADMIN. *found comes with a
 * reference to its space.
 */
static int find_namespace(struct ipcfs_registry *registry, uint64_t inode,
			  struct ipcfs_caller *caller, bool own, struct ipcfs_namespace **found)
{
	pid_t pid;
	int err;

	if (own)
		return ipcfs_registry_get_namespace(registry, inode, caller->tid, found);
	pthread_mutex_lock(&registry->lock);
	*found = ipcfs_registry_known(registry, inode);
	pthread_mutex_unlock(&registry->lock);
	if (*found) {
		err = check_root(ipcfs_space_authority((*found)->space), caller);
		if (err)
			ipcfs_space_unref((*found)->space);
		return err == -EPERM ? -ENOENT : err;
	}
	pid = ipcfs_process_scan_oldest(registry->scan, inode, NULL);
	if (pid < 0)
		return pid;
	err = pid ? ipcfs_registry_check_process(pid, inode, caller) : -ENOENT;
	return err ? err : ipcfs_registry_get_namespace(registry, inode, pid, found);
}

/*
 * Returns the process whose /dev/shm is shown to callers that are not in the namespace. 0: none.
 * -ERESTART: it takes long (long_work.h).
 */
static pid_t oldest_pid_of(struct ipcfs_registry *registry, struct ipcfs_namespace *namespace)
{
	pid_t oldest_pid = namespace->oldest_pid;

	if (!oldest_pid || ipcfs_namespace_of(oldest_pid) != namespace->inode) {
		oldest_pid = ipcfs_process_scan_oldest(registry->scan, namespace->inode,
						       ipcfs_space_authority(namespace->space));
		if (oldest_pid >= 0)
		namespace->oldest_pid = oldest_pid;
	}
	return oldest_pid;
}

/*
 * Finds the view with the /dev/shm of this thread. Errors of ipcfs_space_open_shm and
 * ipcfs_registry_get_view.
 */
static int find_view(struct ipcfs_registry *registry, struct ipcfs_namespace *namespace, pid_t tid,
		     uint64_t inode, uid_t uid, struct ipcfs_view **view)
{
	struct ipcfs_space *shm;
	int err = ipcfs_space_open_shm(tid, inode, &shm);

	if (err)
		return err;
	err = ipcfs_registry_get_view(registry, namespace, shm, uid, view);
	ipcfs_space_unref(shm);
	return err;
}

int ipcfs_registry_find(struct ipcfs_registry *registry, uint64_t inode,
			struct ipcfs_caller *caller, struct ipcfs_view **view)
{
	bool own = ipcfs_namespace_of(caller->tid) == inode;
	struct ipcfs_namespace *namespace;
	struct ipcfs_space *ipc;
	pid_t pid;
	int err = find_namespace(registry, inode, caller, own, &namespace);

	if (err)
		return err;
	ipc = namespace->space;
	pid = own ? caller->tid : oldest_pid_of(registry, namespace);
	if (pid < 0)
		err = pid;
	else
		err = find_view(registry, namespace, pid, own ? 0 : inode, caller->uid, view);
	if (err == -EDQUOT)
		err = find_view(registry, namespace, NOBODY, inode, caller->uid, view);
	ipcfs_space_unref(ipc);
	return err;
}

struct lister {
	struct ipcfs_caller *caller;
	int (*each)(void *arg, uint64_t inode);
	void *arg;
};

static int list_namespace(void *arg, uint64_t inode, pid_t pid)
{
	const struct lister *lister = arg;
	int err = ipcfs_registry_check_process(pid, inode, lister->caller);

	if (err)
		return err == -ENOMEM ? err : 0;
	return lister->each(lister->arg, inode);
}

int ipcfs_registry_list(struct ipcfs_registry *registry, struct ipcfs_caller *caller,
			int (*each)(void *arg, uint64_t inode), void *arg)
{
	struct lister lister = { caller, each, arg };

	return ipcfs_process_scan_list(registry->scan, list_namespace, &lister);
}
