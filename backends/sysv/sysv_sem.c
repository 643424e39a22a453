/* SPDX-License-Identifier: MIT */
/* System V semaphore sets as objects: semget(2), semctl(2). */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "backends/caller/act_as.h"
#include "backends/contract/classes.h"
#include "backends/contract/fault.h"
#include "backends/sysv/sysv_key.h"
#include "backends/sysv/sysv_sem.h"

#define MODE_BITS 0666
#define OWNER_WRITES 0200
#define STALE_MAX 1024 /* semaphores of a set about which is asked one by one: 1 ms */

int ipcfs_sysv_sem_stat_id(int id, struct semid_ds *ds)
{
	return ipcfs_sysv_stat_result(semctl(id, 0, SEM_STAT_ANY, (union ipcfs_semun){ .buf = ds }),
				      id);
}

static int stat_any(int index, struct ipcfs_info *info)
{
	struct semid_ds ds;
	int id = semctl(index, 0, SEM_STAT_ANY, (union ipcfs_semun){ .buf = &ds });

	if (id < 0)
		return -errno;
	info->ref.key = (uint32_t)ds.sem_perm.__key;
	ipcfs_sysv_perm(&ds.sem_perm, &info->perm);
	info->ctime.tv_sec = ds.sem_ctime;
	info->mtime.tv_sec = info->atime.tv_sec = ds.sem_otime ? ds.sem_otime : ds.sem_ctime;
	info->size = ds.sem_nsems;
	return id;
}

static int highest_index(void)
{
	struct seminfo used;
	int index = semctl(0, 0, SEM_INFO, (union ipcfs_semun){ .info = &used });

	return index < 0 ? -errno : index;
}

static int count_sets(void)
{
	struct seminfo used;

	if (semctl(0, 0, SEM_INFO, (union ipcfs_semun){ .info = &used }) < 0)
		return -errno;
	return used.semusz;
}

static int get_id(key_t key)
{
	int id = semget(key, 0, 0);

	return id < 0 ? -errno : id;
}

static int remove_id(int id)
{
	return semctl(id, 0, IPC_RMID) ? -errno : 0;
}

static int set_fields(int id, const struct ipcfs_change *all)
{
	struct semid_ds ds = {
		.sem_perm = { .uid = all->uid, .gid = all->gid, .mode = (unsigned short)all->mode },
	};

	return semctl(id, 0, IPC_SET, (union ipcfs_semun){ .buf = &ds }) ? -errno : 0;
}

const struct ipcfs_sysv_class ipcfs_sysv_sem_calls = {
	.stat_any = stat_any,
	.highest_index = highest_index,
	.at_most = count_sets,
	.get_id = get_id,
	.remove_id = remove_id,
	.fields = IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID | IPCFS_CHANGE_GID,
	.set_fields = set_fields,
};

IPCFS_SYSV_FUNCTIONS(&ipcfs_sysv_sem_calls)

/*
 * Makes the values that a new set starts with, in the form of semctl(2). *values has to be freed in
 * any case.
 * -EINVAL: there are none.
 * -ERANGE: they are too many, or one is too large.
 * -ENOMEM.
 */
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

/* Sets the values and the mode of a new set, as the caller. */
static int start_set(int id, unsigned short *values, mode_t mode)
{
	struct semid_ds ds;
	int error = ipcfs_fault("set.values");

	if (error)
		return error;
	if (semctl(id, 0, SETALL, (union ipcfs_semun){ .array = values }))
		return -errno;
	if (mode & OWNER_WRITES)
		return 0;
	error = ipcfs_sysv_sem_stat_id(id, &ds);
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
	const char *limit; /* that was reached */
};

/* Makes the set as the caller. Returns its id. */
static int make_set(void *arg)
{
	struct new_set *set_fields = arg;
	/* SETALL requires write permission: the mode follows when the values are set */
	int flags = IPC_CREAT | IPC_EXCL | (int)set_fields->mode | OWNER_WRITES;
	int id = semget(set_fields->key, (int)set_fields->count, flags);
	int error;

	if (id < 0) {
		/*
		 * semget(2) says EINVAL of more than SEMMSL semaphores, ENOSPC of the other
		 * limits
		 */
		if (errno == ENOSPC || errno == EINVAL)
			set_fields->limit = "sem";
		return errno == EINVAL ? -ERANGE : -errno;
	}
	error = start_set(id, set_fields->values, set_fields->mode);
	if (!error)
		return id;
	(void)semctl(id, 0, IPC_RMID); /* fails only where it was removed already */
	return error;
}

static int make(const struct ipcfs_space *space, const struct ipcfs_spec *spec,
		const struct ipcfs_caller *caller, struct ipcfs_info *info, const char **limit)
{
	IPCFS_SYSV_SEM_VALUES_AUTO values = NULL;
	struct new_set set_fields = { .mode = spec->mode & MODE_BITS };
	int id, error;

	(void)space;
	*limit = NULL;
	error = ipcfs_sysv_make_key(spec->name, &set_fields.key);
	if (!error)
		error = start_values(spec, &set_fields.count, &values);
	if (error)
		return error;
	set_fields.values = values;
	id = ipcfs_act_as(caller, make_set, &set_fields, sizeof(set_fields));
	*limit = set_fields.limit;
	if (id < 0)
		return id;
	return ipcfs_sysv_find_id(&ipcfs_sysv_sem_calls, id, info);
}

/* Tells whether somebody waits for this semaphore, or the process that changed it last is there. */
static bool is_needed(int id, int number)
{
	int last = semctl(id, number, GETPID);

	if (semctl(id, number, GETNCNT) > 0 || semctl(id, number, GETZCNT) > 0)
		return true;
	return last != getpid() && ipcfs_sysv_life_of(last) == IPCFS_SYSV_LIVES;
}

/*
 * Returns the value of `stale`. That a set is needed can be known; not that it is not, as nothing
 * tells which processes have taken a semaphore.
 */
static const char *staleness(int id, unsigned long count)
{
	if (count > STALE_MAX)
		return "unknown";
	for (int number = 0; number < (int)count; number++)
		if (is_needed(id, number))
			return "no";
	return "unknown";
}

static int status(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		  struct ipcfs_text *out)
{
	size_t start = out->size;
	struct semid_ds ds;
	int error = ipcfs_sysv_sem_stat_id((int)ref->serial, &ds);

	(void)space;
	if (error)
		return error == -EIDRM ? -ENOENT : error;
	error = ipcfs_sysv_status("sysv/sem", ref, &ds.sem_perm, out);
	if (!error)
		error = ipcfs_text_printf(out,
					  "nsems=%lu\n"
					  "op_time=%lld\n"
					  "change_time=%lld\n"
					  "stale=%s\n",
					  (unsigned long)ds.sem_nsems, (long long)ds.sem_otime,
					  (long long)ds.sem_ctime,
					  staleness((int)ref->serial, ds.sem_nsems));
	if (error)
		ipcfs_text_cut(out, start);
	return error;
}

const struct ipcfs_class ipcfs_sysv_sem = {
	.family = "sysv",
	.name = "sem",
	.rule = IPCFS_RULE_SYSV,
	.spec_keys = IPCFS_SPEC_MODE | IPCFS_SPEC_VALUES,
	.change_fields = IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID | IPCFS_CHANGE_GID,
	.by_id = true,
	.bound = true,
	.limit = "sem",
	.check_name = ipcfs_sysv_name_check,
	.find = find,
	.stat_brief = stat_ref,
	.stat = stat_ref,
	.walk = walk,
	.at_most = at_most,
	.make = make,
	.remove = remove_ref,
	.change = change,
	.status = status,
	.watch = NULL,
	.semaphore = &ipcfs_sysv_sem_ops,
};
