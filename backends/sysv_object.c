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

int ipcfs_sysv_remove(const struct ipcfs_sysv_kind *kind, const struct ipcfs_ref *ref,
		      const struct ipcfs_caller *caller)
{
	int id = (int)ref->serial;
	struct ipcfs_identity own;
	int error = ipcfs_sysv_verify(kind, ref);

	if (error)
		return error == -EIDRM ? -ENOENT : error;
	error = ipcfs_identity_take(caller, &own);
	if (error)
		return error;
	error = kind->remove(id);
	ipcfs_identity_give_back(&own);
	return error ? changed(kind, id, error) : 0;
}

int ipcfs_sysv_change(const struct ipcfs_sysv_kind *kind, const struct ipcfs_ref *ref,
		      const struct ipcfs_change *wanted, const struct ipcfs_caller *caller)
{
	int id = (int)ref->serial;
	struct ipcfs_identity own;
	struct ipcfs_change all;
	struct ipcfs_info info;
	int error;

	if (wanted->mask & ~kind->fields)
		return -EINVAL;
	error = ipcfs_sysv_stat(kind, ref, &info);
	if (error)
		return error;
	all = (struct ipcfs_change){
		.mask = kind->fields,
		.mode = wanted->mask & IPCFS_CHANGE_MODE ? wanted->mode & 0666 : info.perm.mode,
		.uid = wanted->mask & IPCFS_CHANGE_UID ? wanted->uid : info.perm.uid,
		.gid = wanted->mask & IPCFS_CHANGE_GID ? wanted->gid : info.perm.gid,
		.max_bytes = wanted->mask & IPCFS_CHANGE_MAX_BYTES ? wanted->max_bytes
								   : info.max_bytes,
	};
	error = ipcfs_identity_take(caller, &own);
	if (error)
		return error;
	error = kind->set(id, &all);
	ipcfs_identity_give_back(&own);
	return error ? changed(kind, id, error) : 0;
}
