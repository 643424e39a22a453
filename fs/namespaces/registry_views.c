/* SPDX-License-Identifier: MIT */
/* Namespaces and their views. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "fs/access/acl_store.h"
#include "fs/base/clock.h"
#include "fs/namespaces/registry_inside.h"

#define VIEWS_MAX 32 /* of one namespace, for one user */

static void free_namespace(void *owner)
{
	struct ipcfs_namespace *namespace = owner;

	ipcfs_acl_store_stop(namespace->acls);
	ipcfs_acl_store_destroy(namespace->acls);
	free(namespace);
}

/*
 * Makes the namespace of a space that was just opened; it is freed with the space. After an error
 * the space is the caller's.
 */
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

void ipcfs_registry_count(const struct ipcfs_space *ipc, uint32_t class, enum ipcfs_move move)
{
	struct ipcfs_namespace *namespace = ipcfs_space_owner(ipc);

	atomic_fetch_add_explicit(&namespace->moves[class][move], 1, memory_order_relaxed);
}

uint64_t ipcfs_registry_counted(const struct ipcfs_space *ipc, uint32_t class, enum ipcfs_move move)
{
	struct ipcfs_namespace *namespace = ipcfs_space_owner(ipc);

	return atomic_load_explicit(&namespace->moves[class][move], memory_order_relaxed);
}

unsigned ipcfs_registry_size(struct ipcfs_registry *registry)
{
	unsigned size;

	pthread_mutex_lock(&registry->lock);
	size = HASH_COUNT(registry->namespaces);
	pthread_mutex_unlock(&registry->lock);
	return size;
}

/* Returns a zeroed view that has its number. NULL: no memory. */
static struct ipcfs_view *allocate_view(struct ipcfs_registry *registry)
{
	struct ipcfs_view *view = calloc(1, sizeof(*view)), **item;

	if (!view)
		return NULL;
	item = ipcfs_table_new(&registry->views, &view->number);
	if (!item) {
		free(view);
		return NULL;
	}
	*item = view;
	return view;
}

static void free_view(struct ipcfs_registry *registry, struct ipcfs_view *view)
{
	if (!view)
		return;
	ipcfs_table_free(&registry->views, view->number);
	free(view);
}

struct ipcfs_view *ipcfs_view_at(const struct ipcfs_registry *registry, uint32_t number)
{
	struct ipcfs_view *const *item = ipcfs_table_at(&registry->views, number);

	return item ? *item : NULL;
}

void ipcfs_view_ref(struct ipcfs_view *view)
{
	if (!view)
		return;
	pthread_mutex_lock(&view->registry->lock);
	view->references++;
	pthread_mutex_unlock(&view->registry->lock);
}

/* Returns the entry of a space's /dev/shm, or NULL. Call with registry->lock held. */
static struct ipcfs_shm *known_shm(const struct ipcfs_registry *registry,
				   const struct ipcfs_space *space)
{
	struct ipcfs_shm *shm;

	HASH_FIND(hh, registry->shms, ipcfs_space_shm_id(space), sizeof(shm->shm_id), shm);
	return shm;
}

/*
 * Counts a view of this /dev/shm. The entry's space is that of the first view. Call with
 * registry->lock held. NULL: no memory.
 */
static struct ipcfs_shm *enter_shm(struct ipcfs_registry *registry, struct ipcfs_space *space)
{
	struct ipcfs_shm *shm = known_shm(registry, space);

	if (!shm) {
		shm = calloc(1, sizeof(*shm));
		if (!shm)
			return NULL;
		shm->shm_id = *ipcfs_space_shm_id(space);
		shm->space = space;
		HASH_ADD(hh, registry->shms, shm_id, sizeof(shm->shm_id), shm);
		if (!shm->hh.tbl) {
			free(shm);
			return NULL;
		}
	}
	shm->views++;
	return shm;
}

/* The opposite of enter_shm. Call with registry->lock held. */
static void leave_shm(struct ipcfs_registry *registry, const struct ipcfs_space *space)
{
	struct ipcfs_shm *shm = known_shm(registry, space);

	if (!shm || shm->space != space || --shm->views)
		return;
	HASH_DEL(registry->shms, shm);
	free(shm);
}

void ipcfs_view_unref(struct ipcfs_view *view)
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
	ipcfs_space_unref(view->shm);
	ipcfs_space_unref(view->ipc);
	free_view(view->registry, view);
}

/*
 * Makes a view. *first: it is the only one of its /dev/shm. Call with registry->lock held. NULL: no
 * memory.
 */
static struct ipcfs_view *new_view(struct ipcfs_registry *registry,
				   struct ipcfs_namespace *namespace, struct ipcfs_space *space,
				   uid_t uid, bool *first)
{
	struct ipcfs_view *view = allocate_view(registry);
	struct ipcfs_shm *shm = view ? enter_shm(registry, space) : NULL;

	if (!shm) {
		free_view(registry, view);
		return NULL;
	}
	ipcfs_space_ref(shm->space);
	ipcfs_space_ref(namespace->space);
	view->ipc = namespace->space;
	view->shm = shm->space;
	view->inode = registry->all ? namespace->inode : 0;
	view->registry = registry;
	view->uid = uid;
	view->references = 1;
	*first = shm->views == 1;
	DL_APPEND(namespace->views, view);
	return view;
}

/* Returns the view with this /dev/shm, or NULL. Call with registry->lock held. */
static struct ipcfs_view *known_view(const struct ipcfs_namespace *namespace,
				     const struct ipcfs_shm_id *shm_id)
{
	struct ipcfs_view *view;

	DL_FOREACH (namespace->views, view)
		if (memcmp(ipcfs_space_shm_id(view->shm), shm_id, sizeof(*shm_id)) == 0)
			return view;
	return NULL;
}

void ipcfs_registry_mark_stale(struct ipcfs_registry *registry, struct ipcfs_view *view)
{
	if (view->stale)
		return;
	view->stale = true;
	view->wait_rounds = view->rounds_left = 0;
	view->references++;
	LL_PREPEND2(registry->stale, view, next_stale);
	pthread_cond_signal(&registry->wake);
}

/*
 * Makes the namespace's name lead to this view; the others become stale. Call with registry->lock
 * held.
 */
static void make_current(struct ipcfs_registry *registry, struct ipcfs_namespace *namespace,
			 const struct ipcfs_view *view)
{
	struct ipcfs_view *old;

	if (namespace->current == view)
		return;
	namespace->current = view;
	DL_FOREACH (namespace->views, old)
		if (old != view)
			ipcfs_registry_mark_stale(registry, old);
}

/*
 * Tells whether the uid has too many views: each takes a descriptor and memory. Call with
 * registry->lock held.
 */
static bool has_too_many_views(const struct ipcfs_namespace *namespace, uid_t uid)
{
	const struct ipcfs_view *view;
	unsigned count = 0;

	DL_FOREACH (namespace->views, view)
		count += view->uid == uid && ipcfs_space_has_shm(view->shm);
	return count >= VIEWS_MAX;
}

int ipcfs_registry_get_view(struct ipcfs_registry *registry, struct ipcfs_namespace *namespace,
			    struct ipcfs_space *shm, uid_t uid, struct ipcfs_view **found)
{
	struct ipcfs_view *view;
	bool first = false;
	int err = 0;

	pthread_mutex_lock(&registry->lock);
	view = known_view(namespace, ipcfs_space_shm_id(shm));
	if (view)
		view->references++;
	else if (ipcfs_space_has_shm(shm) && has_too_many_views(namespace, uid))
		err = -EDQUOT;
	else
		view = new_view(registry, namespace, shm, uid, &first);
	if (view)
		make_current(registry, namespace, view);
	else if (!err)
		err = -ENOMEM;
	pthread_mutex_unlock(&registry->lock);
	/* If this fails, waiting requests check from time to time. */
	if (first && registry->home)
		(void)registry->hooks.began(registry->hooks.arg, shm);
	*found = view;
	return err;
}

struct ipcfs_namespace *ipcfs_registry_known(const struct ipcfs_registry *registry, uint64_t inode)
{
	struct ipcfs_namespace *namespace;

	HASH_FIND(hh, registry->namespaces, &inode, sizeof(inode), namespace);
	if (namespace)
		ipcfs_space_ref(namespace->space);
	return namespace;
}

/*
 * Adds the namespace to the table, with a reference to its space. Call with registry->lock held.
 * -ENOMEM.
 */
static int add_namespace(struct ipcfs_registry *registry, struct ipcfs_namespace *namespace)
{
	HASH_ADD(hh, registry->namespaces, inode, sizeof(namespace->inode), namespace);
	if (!namespace->hh.tbl)
		return -ENOMEM;
	ipcfs_space_ref(namespace->space);
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

/*
 * Starts what a namespace needs that was just added. After an error it is removed, and the caller's
 * reference to its space is given back.
 */
static int start_namespace(struct ipcfs_registry *registry, struct ipcfs_namespace *namespace)
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
		ipcfs_space_unref(space);
	ipcfs_space_unref(space);
	return err;
}

/*
 * Adds the namespace of this thread, or finds it if another thread has just added it. *found comes
 * with a reference to its space.
 */
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
		err = -ENOENT; /* the thread has moved to another one */
	if (!err) {
		fresh->member_pid = tid;
		pthread_mutex_lock(&registry->lock);
		*found = ipcfs_registry_known(registry, inode);
		if (!*found) {
			err = add_namespace(registry, fresh);
			*found = fresh;
		}
		pthread_mutex_unlock(&registry->lock);
	}
	if (err || *found != fresh)
		ipcfs_space_unref(space);
	if (!err && *found == fresh)
		err = start_namespace(registry, fresh);
	return err;
}

int ipcfs_registry_get_namespace(struct ipcfs_registry *registry, uint64_t inode, pid_t tid,
				 struct ipcfs_namespace **found)
{
	pthread_mutex_lock(&registry->lock);
	*found = ipcfs_registry_known(registry, inode);
	pthread_mutex_unlock(&registry->lock);
	return *found ? 0 : open_namespace(registry, inode, tid, found);
}

bool ipcfs_registry_is_all(const struct ipcfs_registry *registry)
{
	return registry->all;
}

struct ipcfs_view *ipcfs_registry_home(const struct ipcfs_registry *registry)
{
	return registry->home;
}

/* Adds the home namespace and its view. */
static int open_home(struct ipcfs_registry *registry, struct ipcfs_space *space)
{
	struct ipcfs_namespace *namespace;
	int err = new_namespace(registry, space, &namespace);

	if (err)
		return err;
	err = add_namespace(registry, namespace);
	if (err)
		return err;
	return ipcfs_registry_get_view(registry, namespace, space, geteuid(), &registry->home);
}

int ipcfs_registry_create(struct ipcfs_space *space, bool all, const char *state,
			  const struct ipcfs_registry_hooks *hooks,
			  struct ipcfs_registry **registry)
{
	struct ipcfs_registry *fresh = calloc(1, sizeof(*fresh));
	int err;

	if (!fresh) {
		ipcfs_space_unref(space);
		return -ENOMEM;
	}
	*fresh = (struct ipcfs_registry){ .all = all, .state = state, .hooks = *hooks };
	pthread_mutex_init(&fresh->lock, NULL);
	ipcfs_clock_cond_init(&fresh->wake);
	fresh->scan = ipcfs_process_scan_new();
	err = fresh->scan ? ipcfs_table_init(&fresh->views, sizeof(struct ipcfs_view *)) : -ENOMEM;
	if (!err)
		err = open_home(fresh, space);
	if (err)
		ipcfs_registry_destroy(fresh);
	else
		*registry = fresh;
	/* The table and the view have references of their own. */
	ipcfs_space_unref(space);
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
		ipcfs_view_unref(view);
	}
	ipcfs_view_unref(registry->home);
	HASH_ITER (hh, registry->namespaces, namespace, next) {
		HASH_DEL(registry->namespaces, namespace);
		ipcfs_space_unref(namespace->space);
	}
	ipcfs_process_scan_free(registry->scan);
	ipcfs_table_destroy(&registry->views);
	pthread_cond_destroy(&registry->wake);
	pthread_mutex_destroy(&registry->lock);
	free(registry);
}
