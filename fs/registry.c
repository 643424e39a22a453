/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "../backends/authority.h"
#include "acl_store.h"
#include "caller.h"
#include "registry_inside.h"

#define VIEWS_MAX 32 /* of one namespace, for one user */
#define NOBODY 0     /* a thread that there is not, and so has no /dev/shm */

static void free_namespace(void *owner)
{
	struct ipcfs_namespace *namespace = owner;

	ipcfs_acl_store_stop(namespace->acls);
	ipcfs_acl_store_destroy(namespace->acls);
	free(namespace);
}

/* Of a space that was just opened, with which it goes from now on. */
static int new_namespace(const struct ipcfs_registry *registry, struct ipcfs_space *space,
			 struct ipcfs_namespace **fresh)
{
	struct ipcfs_namespace *namespace = calloc(1, sizeof(*namespace));
	struct ipcfs_space_identity identity;
	int err;

	if (!namespace)
		return -ENOMEM;
	ipcfs_space_identity(space, &identity);
	namespace->inode = identity.inode;
	namespace->space = space;
	err = ipcfs_acl_store_create(space, registry->state, &namespace->acls);
	if (err) {
		free(namespace);
		return err;
	}
	ipcfs_space_own(space, namespace, free_namespace);
	*fresh = namespace;
	return 0;
}

struct ipcfs_acl_store *ipcfs_registry_acls(const struct ipcfs_space *ipc)
{
	const struct ipcfs_namespace *namespace = ipcfs_space_owner(ipc);

	return namespace->acls;
}

void ipcfs_view_hold(struct ipcfs_view *view)
{
	if (!view)
		return;
	pthread_mutex_lock(&view->registry->lock);
	view->references++;
	pthread_mutex_unlock(&view->registry->lock);
}

/* Called with the lock held, as the next two. */
static struct ipcfs_shm *known_shm(const struct ipcfs_registry *registry,
				   const struct ipcfs_space *space)
{
	struct ipcfs_shm *shm;

	HASH_FIND(hh, registry->shms, ipcfs_space_place(space), sizeof(shm->place), shm);
	return shm;
}

/* One view more of this place; its space is the first one's. NULL: no memory. */
static struct ipcfs_shm *enter_shm(struct ipcfs_registry *registry, struct ipcfs_space *space)
{
	struct ipcfs_shm *shm = known_shm(registry, space);

	if (!shm) {
		shm = calloc(1, sizeof(*shm));
		if (!shm)
			return NULL;
		shm->place = *ipcfs_space_place(space);
		shm->space = space;
		HASH_ADD(hh, registry->shms, place, sizeof(shm->place), shm);
		if (!shm->hh.tbl) {
			free(shm);
			return NULL;
		}
	}
	shm->views++;
	return shm;
}

static void leave_shm(struct ipcfs_registry *registry, const struct ipcfs_space *space)
{
	struct ipcfs_shm *shm = known_shm(registry, space);

	if (!shm || shm->space != space || --shm->views)
		return;
	HASH_DEL(registry->shms, shm);
	free(shm);
}

void ipcfs_view_put(struct ipcfs_view *view)
{
	struct ipcfs_namespace *namespace;
	bool last;

	if (!view)
		return;
	pthread_mutex_lock(&view->registry->lock);
	last = --view->references == 0;
	if (last) {
		namespace = ipcfs_space_owner(view->ipc);
		DL_DELETE(namespace->views, view);
		if (namespace->current == view)
		namespace->current = NULL;
		leave_shm(view->registry, view->shm);
	}
	pthread_mutex_unlock(&view->registry->lock);
	if (!last)
		return;
	ipcfs_space_put(view->shm);
	ipcfs_space_put(view->ipc);
	free(view);
}

/* Called with the lock held. NULL: no memory. */
static struct ipcfs_view *new_view(struct ipcfs_registry *registry,
				   struct ipcfs_namespace *namespace, struct ipcfs_space *space,
				   uid_t uid, bool *first)
{
	struct ipcfs_view *view = calloc(1, sizeof(*view));
	struct ipcfs_shm *shm = view ? enter_shm(registry, space) : NULL;

	if (!shm) {
		free(view);
		return NULL;
	}
	ipcfs_space_hold(shm->space);
	ipcfs_space_hold(namespace->space);
	*view = (struct ipcfs_view){
		.ipc = namespace->space,
		.shm = shm->space,
		.inode = registry->all ? namespace->inode : 0,
		.registry = registry,
		.uid = uid,
		.references = 1,
	};
	*first = shm->views == 1;
	DL_APPEND(namespace->views, view);
	return view;
}

/* Called with the lock held. */
static struct ipcfs_view *known_view(const struct ipcfs_namespace *namespace,
				     const struct ipcfs_place *place)
{
	struct ipcfs_view *view;

	DL_FOREACH (namespace->views, view)
		if (memcmp(ipcfs_space_place(view->shm), place, sizeof(*place)) == 0)
			return view;
	return NULL;
}

void ipcfs_registry_stale(struct ipcfs_registry *registry, struct ipcfs_view *view)
{
	if (view->stale)
		return;
	view->stale = true;
	view->patience = view->turns = 0;
	view->references++;
	LL_PREPEND2(registry->stale, view, next_stale);
	pthread_cond_signal(&registry->wake);
}

/* The namespace's name leads there from now on, for whom it concerns. Called with the lock held. */
static void make_current(struct ipcfs_registry *registry, struct ipcfs_namespace *namespace,
			 const struct ipcfs_view *view)
{
	struct ipcfs_view *old;

	if (namespace->current == view)
		return;
	namespace->current = view;
	DL_FOREACH (namespace->views, old)
		if (old != view)
			ipcfs_registry_stale(registry, old);
}

/* Called with the lock held. Each is a descriptor of ours, and keeps memory. */
static bool has_too_many(const struct ipcfs_namespace *namespace, uid_t uid)
{
	const struct ipcfs_view *view;
	unsigned count = 0;

	DL_FOREACH (namespace->views, view)
		count += view->uid == uid && ipcfs_space_has_shm(view->shm);
	return count >= VIEWS_MAX;
}

/* A reference to the view of this namespace and that /dev/shm. -EDQUOT: it would be one too many; -ENOMEM. */
static int get_view(struct ipcfs_registry *registry, struct ipcfs_namespace *namespace,
		    struct ipcfs_space *shm, uid_t uid, struct ipcfs_view **found)
{
	struct ipcfs_view *view;
	bool first = false;
	int err = 0;

	pthread_mutex_lock(&registry->lock);
	view = known_view(namespace, ipcfs_space_place(shm));
	if (view)
		view->references++;
	else if (ipcfs_space_has_shm(shm) && has_too_many(namespace, uid))
		err = -EDQUOT;
	else
		view = new_view(registry, namespace, shm, uid, &first);
	if (view)
		make_current(registry, namespace, view);
	else if (!err)
		err = -ENOMEM;
	pthread_mutex_unlock(&registry->lock);
	if (first && registry->home) /* without it, whoever waits there looks now and then */
		(void)registry->hooks.began(registry->hooks.arg, shm);
	*found = view;
	return err;
}

/* Called with the lock held. With one more reference to its space; NULL. */
static struct ipcfs_namespace *known_namespace(const struct ipcfs_registry *registry,
					       uint64_t inode)
{
	struct ipcfs_namespace *namespace;

	HASH_FIND(hh, registry->namespaces, &inode, sizeof(inode), namespace);
	if (namespace)
		ipcfs_space_hold(namespace->space);
	return namespace;
}

/* Called with the lock held. It has the space's reference then. -ENOMEM. */
static int add_namespace(struct ipcfs_registry *registry, struct ipcfs_namespace *namespace)
{
	HASH_ADD(hh, registry->namespaces, inode, sizeof(namespace->inode), namespace);
	if (!namespace->hh.tbl)
		return -ENOMEM;
	ipcfs_space_hold(namespace->space);
	pthread_cond_signal(&registry->wake);
	return 0;
}

bool ipcfs_registry_remove(struct ipcfs_registry *registry, struct ipcfs_namespace *namespace)
{
	struct ipcfs_namespace *found;

	HASH_FIND(hh, registry->namespaces, &namespace->inode, sizeof(found->inode), found);
	if (found != namespace)
		return false;
	HASH_DEL(registry->namespaces, namespace);
	return true;
}

/* It is there for others to find: what else it takes. On failure the reference to its space is given back. */
static int begin(struct ipcfs_registry *registry, struct ipcfs_namespace *namespace)
{
	struct ipcfs_space *space = namespace->space;
	int err = ipcfs_acl_store_start(namespace->acls);
	bool removed;

	if (!err)
		err = registry->hooks.began(registry->hooks.arg, space);
	if (!err)
		return 0;
	pthread_mutex_lock(&registry->lock);
	removed = ipcfs_registry_remove(registry, namespace);
	pthread_mutex_unlock(&registry->lock);
	if (removed)
		ipcfs_space_put(space);
	ipcfs_space_put(space);
	return err;
}

/* The namespace of this thread, which is no known one; *found comes with a reference to its space. */
static int open_namespace(struct ipcfs_registry *registry, uint64_t inode, pid_t tid,
			  struct ipcfs_namespace **found)
{
	struct ipcfs_namespace *fresh;
	struct ipcfs_space *space;
	int err = ipcfs_space_open_of(tid, &space);

	if (err)
		return err;
	err = new_namespace(registry, space, &fresh);
	if (!err && fresh->inode != inode)
		err = -ENOENT; /* it has moved on */
	if (!err) {
		fresh->witness = tid;
		pthread_mutex_lock(&registry->lock);
		*found = known_namespace(registry, inode);
		if (!*found) {
			err = add_namespace(registry, fresh);
			*found = fresh;
		}
		pthread_mutex_unlock(&registry->lock);
	}
	if (err || *found != fresh)
		ipcfs_space_put(space);
	if (!err && *found == fresh)
		err = begin(registry, fresh);
	return err;
}

static int get_namespace(struct ipcfs_registry *registry, uint64_t inode, pid_t tid,
			 struct ipcfs_namespace **found)
{
	pthread_mutex_lock(&registry->lock);
	*found = known_namespace(registry, inode);
	pthread_mutex_unlock(&registry->lock);
	return *found ? 0 : open_namespace(registry, inode, tid, found);
}

static int check_root(const struct ipcfs_authority *authority, struct ipcfs_caller *caller)
{
	int err = ipcfs_caller_load(caller);

	if (err)
		return err;
	if (ipcfs_authority_held(authority, caller) >> CAP_SYS_ADMIN & 1)
		return 0;
	/*
	 * Who made the user namespace is root of it, but has to see it: root of a container, who has the uid of the
	 * one who made another's, can't.
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

/* The caller's own namespace, or one in which it is root. With a reference to its space. */
static int find_namespace(struct ipcfs_registry *registry, uint64_t inode,
			  struct ipcfs_caller *caller, bool own, struct ipcfs_namespace **found)
{
	pid_t pid;
	int err;

	if (own)
		return get_namespace(registry, inode, caller->tid, found);
	pthread_mutex_lock(&registry->lock);
	*found = known_namespace(registry, inode);
	pthread_mutex_unlock(&registry->lock);
	if (*found) {
		err = check_root(ipcfs_space_authority((*found)->space), caller);
		if (err)
			ipcfs_space_put((*found)->space);
		return err == -EPERM ? -ENOENT : err;
	}
	pid = ipcfs_census_oldest(registry->census, inode, NULL);
	err = pid ? ipcfs_registry_check_process(pid, inode, caller) : -ENOENT;
	return err ? err : get_namespace(registry, inode, pid, found);
}

/* Whose /dev/shm is shown to those who are not in the namespace. 0: nobody's. */
static pid_t elder_of(struct ipcfs_registry *registry, struct ipcfs_namespace *namespace)
{
	pid_t elder = namespace->elder;

	if (!elder || ipcfs_namespace_of(elder) != namespace->inode) {
		elder = ipcfs_census_oldest(registry->census, namespace->inode,
					    ipcfs_space_authority(namespace->space));
		namespace->elder = elder;
	}
	return elder;
}

/* With the /dev/shm of this thread, or none where the caller has too many. */
static int find_view(struct ipcfs_registry *registry, struct ipcfs_namespace *namespace, pid_t tid,
		     uint64_t inode, uid_t uid, struct ipcfs_view **view)
{
	struct ipcfs_space *shm;
	int err = ipcfs_space_open_shm(tid, inode, &shm);

	if (err)
		return err;
	err = get_view(registry, namespace, shm, uid, view);
	ipcfs_space_put(shm);
	return err;
}

int ipcfs_registry_find(struct ipcfs_registry *registry, uint64_t inode,
			struct ipcfs_caller *caller, struct ipcfs_view **view)
{
	bool own = ipcfs_namespace_of(caller->tid) == inode;
	struct ipcfs_namespace *namespace;
	struct ipcfs_space *ipc;
	int err = find_namespace(registry, inode, caller, own, &namespace);

	if (err)
		return err;
	ipc = namespace->space;
	if (own)
		err = find_view(registry, namespace, caller->tid, 0, caller->uid, view);
	else
		err = find_view(registry, namespace, elder_of(registry, namespace), inode,
				caller->uid, view);
	if (err == -EDQUOT)
		err = find_view(registry, namespace, NOBODY, inode, caller->uid, view);
	ipcfs_space_put(ipc);
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

	return ipcfs_census_list(registry->census, list_namespace, &lister);
}

bool ipcfs_registry_is_all(const struct ipcfs_registry *registry)
{
	return registry->all;
}

struct ipcfs_view *ipcfs_registry_home(const struct ipcfs_registry *registry)
{
	return registry->home;
}

/* The space's reference is the registry's then. */
static int open_home(struct ipcfs_registry *registry, struct ipcfs_space *space)
{
	struct ipcfs_namespace *namespace;
	int err = new_namespace(registry, space, &namespace);

	if (err)
		return err;
	err = add_namespace(registry, namespace);
	if (err)
		return err;
	err = get_view(registry, namespace, space, geteuid(), &registry->home);
	if (err)
		return err;
	ipcfs_space_put(space);
	return 0;
}

int ipcfs_registry_create(struct ipcfs_space *space, bool all, const char *state,
			  const struct ipcfs_registry_hooks *hooks,
			  struct ipcfs_registry **registry)
{
	struct ipcfs_registry *fresh = calloc(1, sizeof(*fresh));
	pthread_condattr_t attributes;
	int err;

	if (!fresh)
		return -ENOMEM;
	*fresh = (struct ipcfs_registry){ .all = all, .state = state, .hooks = *hooks };
	pthread_mutex_init(&fresh->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&fresh->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	fresh->census = ipcfs_census_new();
	err = fresh->census ? open_home(fresh, space) : -ENOMEM;
	if (err)
		ipcfs_registry_destroy(fresh);
	else
		*registry = fresh;
	return err;
}

void ipcfs_registry_destroy(struct ipcfs_registry *registry)
{
	struct ipcfs_namespace *namespace, *next;

	if (!registry)
		return;
	while (registry->stale) {
		struct ipcfs_view *view = registry->stale;

		LL_DELETE2(registry->stale, view, next_stale);
		ipcfs_view_put(view);
	}
	ipcfs_view_put(registry->home);
	HASH_ITER (hh, registry->namespaces, namespace, next) {
		HASH_DEL(registry->namespaces, namespace);
		ipcfs_space_put(namespace->space);
	}
	ipcfs_census_free(registry->census);
	pthread_cond_destroy(&registry->wake);
	pthread_mutex_destroy(&registry->lock);
	free(registry);
}
