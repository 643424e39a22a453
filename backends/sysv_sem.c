/* SPDX-License-Identifier: MIT */
/* System V semaphore sets as objects. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "identity.h"
#include "kinds.h"
#include "sysv_key.h"
#include "sysv_object.h"
#include "sysv_sem.h"

#define MODE_BITS 0666
#define OWNER_WRITES 0200

int ipcfs_sysv_sem_look(int id, struct semid_ds *ds)
{
	int found = semctl(id, 0, SEM_STAT_ANY, (union ipcfs_semun){ .buf = ds });

	if (found < 0)
		return errno == EINVAL ? -EIDRM : -errno;
	return found == id ? 0 : -EIDRM;
}

static int look_at(int place, struct ipcfs_info *info)
{
	struct semid_ds ds;
	int id = semctl(place, 0, SEM_STAT_ANY, (union ipcfs_semun){ .buf = &ds });

	if (id < 0)
		return -errno;
	info->ref.key = (uint32_t)ds.sem_perm.__key;
	ipcfs_sysv_perm(&ds.sem_perm, &info->perm);
	info->ctime.tv_sec = ds.sem_ctime;
	info->mtime.tv_sec = info->atime.tv_sec = ds.sem_otime ? ds.sem_otime : ds.sem_ctime;
	info->size = ds.sem_nsems;
	return id;
}

static int highest(void)
{
	struct seminfo used;
	int index = semctl(0, 0, SEM_INFO, (union ipcfs_semun){ .info = &used });

	return index < 0 ? -errno : index;
}

static int get(key_t key)
{
	int id = semget(key, 0, 0);

	return id < 0 ? -errno : id;
}

static int remove_id(int id)
{
	return semctl(id, 0, IPC_RMID) ? -errno : 0;
}

static int set(int id, const struct ipcfs_change *all)
{
	struct semid_ds ds = {
		.sem_perm = { .uid = all->uid, .gid = all->gid, .mode = (unsigned short)all->mode },
	};

	return semctl(id, 0, IPC_SET, (union ipcfs_semun){ .buf = &ds }) ? -errno : 0;
}

static const struct ipcfs_sysv_kind kind = {
	.look = look_at,
	.highest = highest,
	.get = get,
	.remove = remove_id,
	.fields = IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID | IPCFS_CHANGE_GID,
	.set = set,
};

int ipcfs_sysv_sem_verify(const struct ipcfs_ref *ref)
{
	return ipcfs_sysv_verify(&kind, ref);
}

static int find(const struct ipcfs_space *space, const char *name, struct ipcfs_info *info)
{
	(void)space;
	return ipcfs_sysv_find(&kind, name, info);
}

static int stat_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		    struct ipcfs_info *info)
{
	(void)space;
	return ipcfs_sysv_stat(&kind, ref, info);
}

static int list(const struct ipcfs_space *space,
		int (*each)(void *arg, const struct ipcfs_info *info), void *arg)
{
	(void)space;
	return ipcfs_sysv_list(&kind, each, arg);
}

/* The values a new set starts with, as the kernel takes them. Owned by the caller. */
static int start_values(const struct ipcfs_spec *spec, size_t *count, unsigned short **values)
{
	const uint32_t one = 1;
	const uint32_t *wanted = &one;

	*count = 1;
	if (spec->given & IPCFS_SPEC_VALUES) {
		*count = spec->values.size / sizeof(*wanted);
		wanted = (const void *)spec->values.data;
	}
	if (*count == 0)
		return -EINVAL;
	if (*count > INT_MAX)
		return -ERANGE;
	*values = malloc(*count * sizeof(**values));
	if (!*values)
		return -ENOMEM;
	for (size_t i = 0; i < *count; i++) {
		if (wanted[i] > ipcfs_sysv_sem_ops.value_max)
			return -ERANGE;
		(*values)[i] = (unsigned short)wanted[i];
	}
	return 0;
}

/* With the caller's identity. */
static int start_set(int id, unsigned short *values, mode_t mode)
{
	struct semid_ds ds;
	int error;

	if (semctl(id, 0, SETALL, (union ipcfs_semun){ .array = values }))
		return -errno;
	if (mode & OWNER_WRITES)
		return 0;
	error = ipcfs_sysv_sem_look(id, &ds);
	if (error)
		return error;
	ds.sem_perm.mode = (unsigned short)mode;
	return semctl(id, 0, IPC_SET, (union ipcfs_semun){ .buf = &ds }) ? -errno : 0;
}

struct new_set {
	key_t key;
	size_t count;
	unsigned short *values;
	mode_t mode;
	const char *limit; /* the one that was reached */
};

/* With the caller's identity. Returns the id. */
static int make_set(void *arg)
{
	struct new_set *set = arg;
	/* Who makes it must be able to set the values, whatever its mode will be. */
	int flags = IPC_CREAT | IPC_EXCL | (int)set->mode | OWNER_WRITES;
	int id = semget(set->key, (int)set->count, flags);
	int error;

	if (id < 0) {
		if (errno == ENOSPC)
			set->limit = "sem";
		/* The kernel's word for more than SEMMSL. */
		return errno == EINVAL ? -ERANGE : -errno;
	}
	error = start_set(id, set->values, set->mode);
	if (!error)
		return id;
	(void)semctl(id, 0, IPC_RMID); /* fails only where someone else was faster */
	return error;
}

static void free_values(unsigned short **values)
{
	free(*values);
}

static int make(const struct ipcfs_space *space, const struct ipcfs_spec *spec,
		const struct ipcfs_caller *caller, struct ipcfs_info *info, const char **limit)
{
	__attribute__((cleanup(free_values))) unsigned short *values = NULL;
	struct new_set set = { .mode = spec->mode & MODE_BITS };
	int id, error;

	(void)space;
	*limit = NULL;
	error = ipcfs_sysv_make_key(spec->name, &set.key);
	if (!error)
		error = start_values(spec, &set.count, &values);
	if (error)
		return error;
	set.values = values;
	id = ipcfs_identity_run(caller, make_set, &set, sizeof(set));
	*limit = set.limit;
	if (id < 0)
		return id;
	error = ipcfs_sysv_look(&kind, id, info);
	return error == -EIDRM ? -ENOENT : error;
}

static int remove_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      const struct ipcfs_caller *caller)
{
	(void)space;
	return ipcfs_sysv_remove(&kind, ref, caller);
}

static int change(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		  const struct ipcfs_change *wanted, const struct ipcfs_caller *caller)
{
	(void)space;
	return ipcfs_sysv_change(&kind, ref, wanted, caller);
}

static int status(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		  struct ipcfs_text *out)
{
	char name[NAME_MAX + 1];
	struct semid_ds ds;
	int error = ipcfs_sysv_sem_look((int)ref->serial, &ds);

	(void)space;
	if (error)
		return error == -EIDRM ? -ENOENT : error;
	if ((uint32_t)ds.sem_perm.__key != ref->key)
		return -ENOENT;
	ipcfs_sysv_name(ref->key, (int)ref->serial, name);
	return ipcfs_text_printf(out,
				 "class=sysv/sem\n"
				 "name=%s\n"
				 "key=0x%08x\n"
				 "id=%d\n"
				 "uid=%u\n"
				 "gid=%u\n"
				 "cuid=%u\n"
				 "cgid=%u\n"
				 "mode=0%03o\n"
				 "nsems=%lu\n"
				 "op_time=%lld\n"
				 "change_time=%lld\n"
				 "stale=unknown\n",
				 name, ref->key, (int)ref->serial, ds.sem_perm.uid, ds.sem_perm.gid,
				 ds.sem_perm.cuid, ds.sem_perm.cgid,
				 (unsigned)ds.sem_perm.mode & 0777, (unsigned long)ds.sem_nsems,
				 (long long)ds.sem_otime, (long long)ds.sem_ctime);
}

const struct ipcfs_backend ipcfs_sysv_sem = {
	.family = "sysv",
	.class_name = "sem",
	.rule = IPCFS_RULE_SYSV,
	.spec_keys = IPCFS_SPEC_MODE | IPCFS_SPEC_VALUES,
	.change_fields = IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID | IPCFS_CHANGE_GID,
	.by_id = true,
	.bound = true,
	.check_name = ipcfs_sysv_name_check,
	.find = find,
	.glance = stat_ref,
	.stat = stat_ref,
	.list = list,
	.make = make,
	.remove = remove_ref,
	.change = change,
	.status = status,
	.watch = NULL,
	.semaphore = &ipcfs_sysv_sem_ops,
};
