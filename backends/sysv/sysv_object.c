/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "backends/caller/act_as.h"
#include "backends/sysv/sysv_key.h"
#include "backends/sysv/sysv_object.h"

#define WALK_STEP 256 /* places of the kernel's table that one step of a walk looks at */

void ipcfs_sysv_perm(const struct ipc_perm *from, struct ipcfs_perm *perm)
{
	*perm = (struct ipcfs_perm){
		.uid = from->uid,
		.cuid = from->cuid,
		.gid = from->gid,
		.cgid = from->cgid,
		.mode = from->mode & 0777,
	};
}

static void set_ref(int id, struct ipcfs_info *info)
{
	info->ref.serial = (uint64_t)id;
	ipcfs_sysv_name(info->ref.key, id, info->ref.name);
}

/*
 * Reads the object of this id.
 * -EIDRM: it was removed.
 */
static int stat_id(const struct ipcfs_sysv_class *calls, int id, struct ipcfs_info *info)
{
	int found;

	memset(info, 0, sizeof(*info));
	found = calls->stat_any(id, info);
	if (found < 0)
		return found == -EINVAL ? -EIDRM : found;
	if (found != id)
		return -EIDRM;
	set_ref(id, info);
	return 0;
}

/*
 * Checks that the object exists.
 * -ENOENT: it was removed.
 * -EIDRM: another object has its key.
 */
static int verify(const struct ipcfs_sysv_class *calls, const struct ipcfs_ref *ref)
{
	struct ipcfs_info info;
	int error = stat_id(calls, (int)ref->serial, &info);

	if (!error && info.ref.key == ref->key)
		return 0;
	if (error && error != -EIDRM)
		return error;
	/* Asked for no permission, msgget(2) and its likes find any object, whatever its mode. */
	if (ref->key && calls->get_id((key_t)ref->key) >= 0)
		return -EIDRM;
	return -ENOENT;
}

int ipcfs_sysv_open(const struct ipcfs_sysv_class *calls, const struct ipcfs_ref *ref, int *handle)
{
	int error = verify(calls, ref);

	if (!error)
		*handle = (int)ref->serial;
	return error;
}

int ipcfs_sysv_find_id(const struct ipcfs_sysv_class *calls, int id, struct ipcfs_info *info)
{
	int error = stat_id(calls, id, info);

	return error == -EIDRM ? -ENOENT : error;
}

int ipcfs_sysv_find(const struct ipcfs_sysv_class *calls, const char *name, struct ipcfs_info *info)
{
	uint32_t key;
	int id, error;

	if (!ipcfs_sysv_id_parse(name, &id))
		return ipcfs_sysv_find_id(calls, id, info);
	if (ipcfs_sysv_key_parse(name, &key))
		return -ENOENT;
	id = calls->get_id((key_t)key);
	if (id < 0)
		return id;
	error = ipcfs_sysv_find_id(calls, id, info);
	return error ? error : info->ref.key == key ? 0 : -ENOENT;
}

int ipcfs_sysv_stat(const struct ipcfs_sysv_class *calls, const struct ipcfs_ref *ref,
		    struct ipcfs_info *info)
{
	int error = ipcfs_sysv_find_id(calls, (int)ref->serial, info);

	return error ? error : info->ref.key == ref->key ? 0 : -ENOENT;
}

int ipcfs_sysv_walk(const struct ipcfs_sysv_class *calls, struct ipcfs_walk *walk,
		    int (*each)(void *arg, const struct ipcfs_info *info), void *arg)
{
	int highest = calls->highest_index();
	int end = walk->index + WALK_STEP;

	if (highest < 0)
		return highest;
	for (; walk->index <= highest && walk->index < end; walk->index++) {
		struct ipcfs_info info;
		int id, result;

		memset(&info, 0, sizeof(info));
		id = calls->stat_any(walk->index, &info);
		/* the place is free, or a security module hides the object */
		if (id < 0)
			continue;
		set_ref(id, &info);
		result = each(arg, &info);
		if (result)
			return result;
	}
	return walk->index <= highest;
}

uint64_t ipcfs_sysv_at_most(const struct ipcfs_sysv_class *calls)
{
	int count = calls->at_most();

	return count < 0 ? UINT64_MAX : (uint64_t)count;
}

int ipcfs_sysv_make_key(const char *name, key_t *key)
{
	uint32_t parsed;
	int error = ipcfs_sysv_name_check(name);

	if (error)
		return error;
	*key = IPC_PRIVATE;
	if (!strcmp(name, IPCFS_SYSV_PRIVATE))
		return 0;
	error = ipcfs_sysv_key_parse(name, &parsed);
	if (!error)
		*key = (key_t)parsed;
	return error;
}

enum ipcfs_sysv_life ipcfs_sysv_life_of(pid_t pid)
{
	if (pid <= 0)
		return IPCFS_SYSV_UNKNOWN;
	return kill(pid, 0) && errno == ESRCH ? IPCFS_SYSV_ENDED : IPCFS_SYSV_LIVES;
}

int ipcfs_sysv_status(const char *class, const struct ipcfs_ref *ref, const struct ipc_perm *perm,
		      struct ipcfs_text *out)
{
	char name[NAME_MAX + 1];
	int id = (int)ref->serial;

	if ((uint32_t)perm->__key != ref->key)
		return -ENOENT;
	ipcfs_sysv_name(ref->key, id, name);
	return ipcfs_text_printf(out,
				 "class=%s\n"
				 "name=%s\n"
				 "key=0x%08x\n"
				 "id=%d\n"
				 "uid=%u\n"
				 "gid=%u\n"
				 "cuid=%u\n"
				 "cgid=%u\n"
				 "mode=0%03o\n",
				 class, name, ref->key, id, perm->uid, perm->gid, perm->cuid,
				 perm->cgid, (unsigned)perm->mode & 0777);
}

/*
 * Returns the error of IPC_SET or IPC_RMID, which also say EINVAL of an object that was removed.
 * -ENOENT: it was removed.
 */
static int change_error(const struct ipcfs_sysv_class *calls, int id, int error)
{
	struct ipcfs_info info;

	if (error == -EIDRM || (error == -EINVAL && stat_id(calls, id, &info) == -EIDRM))
		return -ENOENT;
	return error;
}

struct removal {
	const struct ipcfs_sysv_class *calls;
	int id;
};

/* Removes the object as the caller. */
static int remove_as_caller(void *arg)
{
	const struct removal *removal = arg;

	return removal->calls->remove_id(removal->id);
}

int ipcfs_sysv_remove(const struct ipcfs_sysv_class *calls, const struct ipcfs_ref *ref,
		      const struct ipcfs_caller *caller)
{
	struct removal removal = { .calls = calls, .id = (int)ref->serial };
	int error = verify(calls, ref);

	if (error)
		return error == -EIDRM ? -ENOENT : error;
	error = ipcfs_act_as(caller, remove_as_caller, &removal, sizeof(removal));
	return error ? change_error(calls, removal.id, error) : 0;
}

struct object_change {
	const struct ipcfs_sysv_class *calls;
	int id;
	struct ipcfs_change all;
};

/* Changes the object as the caller. */
static int change_as_caller(void *arg)
{
	const struct object_change *change = arg;

	return change->calls->set_fields(change->id, &change->all);
}

/*
 * Translates both owners into numbers of the caller's user namespace: IPC_SET always sets both.
 * -EINVAL: the new owner has no number there.
 * -EOVERFLOW: the present owner has none.
 */
static int translate_owners(const struct ipcfs_caller *caller, uint32_t wanted,
			    struct ipcfs_change *all)
{
	if (ipcfs_act_as_uid(caller, all->uid, &all->uid))
		return wanted & IPCFS_CHANGE_UID ? -EINVAL : -EOVERFLOW;
	if (ipcfs_act_as_gid(caller, all->gid, &all->gid))
		return wanted & IPCFS_CHANGE_GID ? -EINVAL : -EOVERFLOW;
	return 0;
}

int ipcfs_sysv_change(const struct ipcfs_sysv_class *calls, const struct ipcfs_ref *ref,
		      const struct ipcfs_change *wanted, const struct ipcfs_caller *caller)
{
	struct object_change change = { .calls = calls, .id = (int)ref->serial };
	struct ipcfs_info info;
	int error;

	if (wanted->mask & ~calls->fields)
		return -EINVAL;
	if (wanted->mask & IPCFS_CHANGE_MAX_BYTES &&
	    (!wanted->max_bytes || wanted->max_bytes > ULONG_MAX))
		return -ERANGE;
	error = ipcfs_sysv_stat(calls, ref, &info);
	if (error)
		return error;
	change.all = (struct ipcfs_change){
		.mask = calls->fields,
		.mode = wanted->mask & IPCFS_CHANGE_MODE ? wanted->mode & 0666 : info.perm.mode,
		.uid = wanted->mask & IPCFS_CHANGE_UID ? wanted->uid : info.perm.uid,
		.gid = wanted->mask & IPCFS_CHANGE_GID ? wanted->gid : info.perm.gid,
		.max_bytes = wanted->mask & IPCFS_CHANGE_MAX_BYTES ? wanted->max_bytes
								   : info.max_bytes,
	};
	error = translate_owners(caller, wanted->mask, &change.all);
	if (error)
		return error;
	error = ipcfs_act_as(caller, change_as_caller, &change, sizeof(change));
	return error ? change_error(calls, change.id, error) : 0;
}
