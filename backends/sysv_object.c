/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "identity.h"
#include "sysv_key.h"
#include "sysv_object.h"

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

static void name_it(int id, struct ipcfs_info *info)
{
	info->ref.serial = (uint64_t)id;
	ipcfs_sysv_name(info->ref.key, id, info->ref.name);
}

int ipcfs_sysv_look(const struct ipcfs_sysv_kind *kind, int id, struct ipcfs_info *info)
{
	int found;

	memset(info, 0, sizeof(*info));
	found = kind->look(id, info);
	if (found < 0)
		return found == -EINVAL ? -EIDRM : found;
	if (found != id)
		return -EIDRM;
	name_it(id, info);
	return 0;
}

int ipcfs_sysv_verify(const struct ipcfs_sysv_kind *kind, const struct ipcfs_ref *ref)
{
	struct ipcfs_info info;
	int error = ipcfs_sysv_look(kind, (int)ref->serial, &info);

	if (!error && info.ref.key == ref->key)
		return 0;
	if (error && error != -EIDRM)
		return error;
	/* Asking for no permission, *get tells whether there is one, whoever owns it. */
	if (ref->key && kind->get((key_t)ref->key) >= 0)
		return -EIDRM;
	return -ENOENT;
}

static int find_id(const struct ipcfs_sysv_kind *kind, int id, struct ipcfs_info *info)
{
	int error = ipcfs_sysv_look(kind, id, info);

	return error == -EIDRM ? -ENOENT : error;
}

int ipcfs_sysv_find(const struct ipcfs_sysv_kind *kind, const char *name, struct ipcfs_info *info)
{
	uint32_t key;
	int id, error;

	if (!ipcfs_sysv_id_parse(name, &id))
		return find_id(kind, id, info);
	if (ipcfs_sysv_key_parse(name, &key))
		return -ENOENT;
	id = kind->get((key_t)key);
	if (id < 0)
		return id;
	error = find_id(kind, id, info);
	return error ? error : info->ref.key == key ? 0 : -ENOENT;
}

int ipcfs_sysv_stat(const struct ipcfs_sysv_kind *kind, const struct ipcfs_ref *ref,
		    struct ipcfs_info *info)
{
	int error = find_id(kind, (int)ref->serial, info);

	return error ? error : info->ref.key == ref->key ? 0 : -ENOENT;
}

int ipcfs_sysv_list(const struct ipcfs_sysv_kind *kind,
		    int (*each)(void *arg, const struct ipcfs_info *info), void *arg)
{
	int highest = kind->highest();

	if (highest < 0)
		return highest;
	for (int index = 0; index <= highest; index++) {
		struct ipcfs_info info;
		int id, result;

		memset(&info, 0, sizeof(info));
		id = kind->look(index, &info);
		/* A free place, one just removed, or one a security module hides. */
		if (id < 0)
			continue;
		name_it(id, &info);
		result = each(arg, &info);
		if (result)
			return result;
	}
	return 0;
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

/* IPC_SET and IPC_RMID say EINVAL also of an object that is gone. */
static int changed(const struct ipcfs_sysv_kind *kind, int id, int error)
{
	struct ipcfs_info info;

	if (error == -EIDRM || (error == -EINVAL && ipcfs_sysv_look(kind, id, &info) == -EIDRM))
		return -ENOENT;
	return error;
}

struct removal {
	const struct ipcfs_sysv_kind *kind;
	int id;
};

/* With the caller's identity. */
static int remove_as_caller(void *arg)
{
	const struct removal *removal = arg;

	return removal->kind->remove(removal->id);
}

int ipcfs_sysv_remove(const struct ipcfs_sysv_kind *kind, const struct ipcfs_ref *ref,
		      const struct ipcfs_caller *caller)
{
	struct removal removal = { .kind = kind, .id = (int)ref->serial };
	int error = ipcfs_sysv_verify(kind, ref);

	if (error)
		return error == -EIDRM ? -ENOENT : error;
	error = ipcfs_identity_run(caller, remove_as_caller, &removal, sizeof(removal));
	return error ? changed(kind, removal.id, error) : 0;
}

struct object_change {
	const struct ipcfs_sysv_kind *kind;
	int id;
	struct ipcfs_change all;
};

/* With the caller's identity. */
static int change_as_caller(void *arg)
{
	const struct object_change *change = arg;

	return change->kind->set(change->id, &change->all);
}

/* Both owners are always set: an owner that is kept has to have a number there, too. */
static int number_owners(const struct ipcfs_caller *caller, uint32_t wanted,
			 struct ipcfs_change *all)
{
	if (ipcfs_identity_uid(caller, all->uid, &all->uid))
		return wanted & IPCFS_CHANGE_UID ? -EINVAL : -EOVERFLOW;
	if (ipcfs_identity_gid(caller, all->gid, &all->gid))
		return wanted & IPCFS_CHANGE_GID ? -EINVAL : -EOVERFLOW;
	return 0;
}

int ipcfs_sysv_change(const struct ipcfs_sysv_kind *kind, const struct ipcfs_ref *ref,
		      const struct ipcfs_change *wanted, const struct ipcfs_caller *caller)
{
	struct object_change change = { .kind = kind, .id = (int)ref->serial };
	struct ipcfs_info info;
	int error;

	if (wanted->mask & ~kind->fields)
		return -EINVAL;
	error = ipcfs_sysv_stat(kind, ref, &info);
	if (error)
		return error;
	change.all = (struct ipcfs_change){
		.mask = kind->fields,
		.mode = wanted->mask & IPCFS_CHANGE_MODE ? wanted->mode & 0666 : info.perm.mode,
		.uid = wanted->mask & IPCFS_CHANGE_UID ? wanted->uid : info.perm.uid,
		.gid = wanted->mask & IPCFS_CHANGE_GID ? wanted->gid : info.perm.gid,
		.max_bytes = wanted->mask & IPCFS_CHANGE_MAX_BYTES ? wanted->max_bytes
								   : info.max_bytes,
	};
	error = number_owners(caller, wanted->mask, &change.all);
	if (error)
		return error;
	error = ipcfs_identity_run(caller, change_as_caller, &change, sizeof(change));
	return error ? changed(kind, change.id, error) : 0;
}
