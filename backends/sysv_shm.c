/* SPDX-License-Identifier: MIT */
/* System V shared memory segments as objects. Nothing here attaches one. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "identity.h"
#include "kinds.h"
#include "sysv_key.h"
#include "sysv_object.h"
#include "sysv_shm.h"

#define MODE_BITS 0666

int ipcfs_sysv_shm_look(int id, struct shmid_ds *ds)
{
	int found = shmctl(id, SHM_STAT_ANY, ds);

	if (found < 0)
		return errno == EINVAL ? -EIDRM : -errno;
	return found == id ? 0 : -EIDRM;
}

void ipcfs_sysv_shm_fill(const struct shmid_ds *ds, struct ipcfs_info *info)
{
	ipcfs_sysv_perm(&ds->shm_perm, &info->perm);
	info->ctime.tv_sec = ds->shm_ctime;
	info->mtime.tv_sec = ds->shm_ctime;
	info->atime.tv_sec = ds->shm_atime ? ds->shm_atime : ds->shm_ctime;
	info->size = ds->shm_segsz;
	info->allocated = ds->shm_segsz; /* what it may take; how much it does is dear to ask */
}

static int look_at(int place, struct ipcfs_info *info)
{
	struct shmid_ds ds;
	int id = shmctl(place, SHM_STAT_ANY, &ds);

	if (id < 0)
		return -errno;
	info->ref.key = (uint32_t)ds.shm_perm.__key;
	ipcfs_sysv_shm_fill(&ds, info);
	return id;
}

static int highest(void)
{
	struct shminfo limits;
	/* Not SHM_INFO, which adds up the memory of all. */
	int index = shmctl(0, IPC_INFO, (struct shmid_ds *)(void *)&limits);

	return index < 0 ? -errno : index;
}

static int get(key_t key)
{
	int id = shmget(key, 0, 0);

	return id < 0 ? -errno : id;
}

static int remove_id(int id)
{
	return shmctl(id, IPC_RMID, NULL) ? -errno : 0;
}

static int set(int id, const struct ipcfs_change *all)
{
	struct shmid_ds ds = {
		.shm_perm = { .uid = all->uid, .gid = all->gid, .mode = (unsigned short)all->mode },
	};

	return shmctl(id, IPC_SET, &ds) ? -errno : 0;
}

static const struct ipcfs_sysv_kind kind = {
	.look = look_at,
	.highest = highest,
	.get = get,
	.remove = remove_id,
	.fields = IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID | IPCFS_CHANGE_GID,
	.set = set,
};

int ipcfs_sysv_shm_verify(const struct ipcfs_ref *ref)
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

/* shmget says ENOSPC of two limits. */
static const char *limit_reached(void)
{
	struct shm_info used;
	struct shminfo limits;

	if (shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&used) >= 0 &&
	    shmctl(0, IPC_INFO, (struct shmid_ds *)(void *)&limits) >= 0 &&
	    (unsigned long)used.used_ids < limits.shmmni)
		return "shmall";
	return "shmmni";
}

struct new_segment {
	key_t key;
	size_t size;
	int mode;
};

/* With the caller's identity. Returns the id. */
static int make_segment(void *arg)
{
	const struct new_segment *segment = arg;
	int id = shmget(segment->key, segment->size, IPC_CREAT | IPC_EXCL | segment->mode);

	return id < 0 ? -errno : id;
}

static int make(const struct ipcfs_space *space, const struct ipcfs_spec *spec,
		const struct ipcfs_caller *caller, struct ipcfs_info *info, const char **limit)
{
	uint64_t size = (uint64_t)sysconf(_SC_PAGESIZE);
	struct new_segment segment = { .mode = (int)(spec->mode & MODE_BITS) };
	int id, error;

	(void)space;
	*limit = NULL;
	error = ipcfs_sysv_make_key(spec->name, &segment.key);
	if (error)
		return error;
	if (spec->given & IPCFS_SPEC_SIZE)
		size = spec->size;
	if (!size || size > SIZE_MAX)
		return -ERANGE;
	segment.size = (size_t)size;

	id = ipcfs_identity_run(caller, make_segment, &segment, sizeof(segment));
	if (id == -ENOSPC)
		*limit = limit_reached();
	if (id == -EINVAL)
		return -ERANGE; /* more than shmmax */
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

/* The segment of this ref, whoever may read it. */
static int look_at_ref(const struct ipcfs_ref *ref, struct shmid_ds *ds)
{
	int error = ipcfs_sysv_shm_look((int)ref->serial, ds);

	if (error)
		return error == -EIDRM ? -ENOENT : error;
	return (uint32_t)ds->shm_perm.__key == ref->key ? 0 : -ENOENT;
}

static int change(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		  const struct ipcfs_change *wanted, const struct ipcfs_caller *caller)
{
	(void)space;
	return ipcfs_sysv_change(&kind, ref, wanted, caller);
}

/* Is this process gone for certain, here for certain? The kernel shows foreign ones as 0. */
enum life { LIFE_UNKNOWN, LIFE_HERE, LIFE_GONE };

static enum life life_of(pid_t pid)
{
	if (pid <= 0)
		return LIFE_UNKNOWN;
	return kill(pid, 0) && errno == ESRCH ? LIFE_GONE : LIFE_HERE;
}

/*
 * yes: nobody has it attached, and who made it and who attached or detached last are gone. When we
 * were the last, reading it for somebody, it is not known who was before us.
 */
static const char *staleness(const struct shmid_ds *ds)
{
	bool never = !ds->shm_atime && !ds->shm_dtime;
	enum life creator = life_of(ds->shm_cpid);
	enum life last = never ? LIFE_GONE : life_of(ds->shm_lpid);

	if (ds->shm_nattch)
		return "no";
	if (ds->shm_lpid == getpid())
		last = LIFE_UNKNOWN;
	if (creator == LIFE_HERE || last == LIFE_HERE)
		return "no";
	return creator == LIFE_GONE && last == LIFE_GONE ? "yes" : "unknown";
}

/* Resident and swapped bytes, which only a table of all segments tells. -ENOENT: it is not there. */
static int read_memory(int id, unsigned long long *resident, unsigned long long *swapped)
{
	FILE *table = fopen("/proc/sysvipc/shm", "re");
	int error = -ENOENT;
	char line[512];

	if (!table)
		return -errno;
	while (error && fgets(line, sizeof(line), table)) {
		int row;

		if (sscanf(line, "%*d %d %*o %*u %*d %*d %*u %*u %*u %*u %*u %*u %*u %*u %llu %llu",
			   &row, resident, swapped) == 3 &&
		    row == id)
			error = 0;
	}
	(void)fclose(table); /* only read */
	return error;
}

static int add_memory(struct ipcfs_text *out, int id)
{
	unsigned long long resident, swapped;

	if (read_memory(id, &resident, &swapped))
		return ipcfs_text_printf(out, "rss=unknown\nswap=unknown\n");
	return ipcfs_text_printf(out, "rss=%llu\nswap=%llu\n", resident, swapped);
}

static int status(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		  struct ipcfs_text *out)
{
	size_t start = out->size;
	int id = (int)ref->serial;
	char name[NAME_MAX + 1];
	struct shmid_ds ds;
	int error = look_at_ref(ref, &ds);

	(void)space;
	if (error)
		return error;
	ipcfs_sysv_name(ref->key, id, name);
	error = ipcfs_text_printf(
		out,
		"class=sysv/shm\n"
		"name=%s\n"
		"key=0x%08x\n"
		"id=%d\n"
		"uid=%u\n"
		"gid=%u\n"
		"cuid=%u\n"
		"cgid=%u\n"
		"mode=0%03o\n"
		"size=%llu\n"
		"nattch=%llu\n"
		"creator_pid=%d\n"
		"last_pid=%d\n"
		"attach_time=%lld\n"
		"detach_time=%lld\n"
		"change_time=%lld\n"
		"locked=%s\n"
		"dest=%s\n",
		name, ref->key, id, ds.shm_perm.uid, ds.shm_perm.gid, ds.shm_perm.cuid,
		ds.shm_perm.cgid, (unsigned)ds.shm_perm.mode & 0777,
		(unsigned long long)ds.shm_segsz, (unsigned long long)ds.shm_nattch, ds.shm_cpid,
		ds.shm_lpid, (long long)ds.shm_atime, (long long)ds.shm_dtime,
		(long long)ds.shm_ctime, ds.shm_perm.mode & SHM_LOCKED ? "yes" : "no",
		ds.shm_perm.mode & SHM_DEST ? "yes" : "no");
	if (!error)
		error = add_memory(out, id);
	if (!error)
		error = ipcfs_text_printf(out, "stale=%s\n", staleness(&ds));
	if (error)
		ipcfs_text_cut(out, start);
	return error;
}

const struct ipcfs_backend ipcfs_sysv_shm = {
	.family = "sysv",
	.class_name = "shm",
	.rule = IPCFS_RULE_SYSV,
	.spec_keys = IPCFS_SPEC_MODE | IPCFS_SPEC_SIZE,
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
	.segment = &ipcfs_sysv_shm_segment,
};
