/* SPDX-License-Identifier: MIT */
/*
 * System V shared memory segments as objects: shmget(2), shmctl(2). They are attached in
 * sysv_shm_data.c.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "backends/caller/act_as.h"
#include "backends/contract/classes.h"
#include "backends/contract/descriptor.h"
#include "backends/contract/long_work.h"
#include "backends/sysv/sysv_key.h"
#include "backends/sysv/sysv_shm.h"

#define MODE_BITS 0666

int ipcfs_sysv_shm_stat_id(int id, struct shmid_ds *ds)
{
	return ipcfs_sysv_stat_result(shmctl(id, SHM_STAT_ANY, ds), id);
}

void ipcfs_sysv_shm_fill(const struct shmid_ds *ds, struct ipcfs_info *info)
{
	ipcfs_sysv_perm(&ds->shm_perm, &info->perm);
	info->ctime.tv_sec = ds->shm_ctime;
	info->mtime.tv_sec = ds->shm_ctime;
	info->atime.tv_sec = ds->shm_atime ? ds->shm_atime : ds->shm_ctime;
	info->size = ds->shm_segsz;
	info->allocated =
		ds->shm_segsz; /* what it may use; what it does use takes long to find out */
}

static int stat_any(int index, struct ipcfs_info *info)
{
	struct shmid_ds ds;
	int id = shmctl(index, SHM_STAT_ANY, &ds);

	if (id < 0)
		return -errno;
	info->ref.key = (uint32_t)ds.shm_perm.__key;
	ipcfs_sysv_shm_fill(&ds, info);
	return id;
}

static int highest_index(void)
{
	struct shminfo limits;
	/* Not SHM_INFO, which adds up the memory of all segments. */
	int index = shmctl(0, IPC_INFO, (struct shmid_ds *)(void *)&limits);

	return index < 0 ? -errno : index;
}

/* SHM_INFO would count them, and add up the memory of all. */
static int count_places(void)
{
	int highest = highest_index();

	return highest < 0 ? highest : highest + 1;
}

static int get_id(key_t key)
{
	int id = shmget(key, 0, 0);

	return id < 0 ? -errno : id;
}

static int remove_id(int id)
{
	return shmctl(id, IPC_RMID, NULL) ? -errno : 0;
}

static int set_fields(int id, const struct ipcfs_change *all)
{
	struct shmid_ds ds = {
		.shm_perm = { .uid = all->uid, .gid = all->gid, .mode = (unsigned short)all->mode },
	};

	return shmctl(id, IPC_SET, &ds) ? -errno : 0;
}

const struct ipcfs_sysv_class ipcfs_sysv_shm_calls = {
	.stat_any = stat_any,
	.highest_index = highest_index,
	.at_most = count_places,
	.get_id = get_id,
	.remove_id = remove_id,
	.fields = IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID | IPCFS_CHANGE_GID,
	.set_fields = set_fields,
};

IPCFS_SYSV_FUNCTIONS(&ipcfs_sysv_shm_calls)

/* Returns which limit was reached: shmget(2) says ENOSPC of two. */
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

/* Makes the segment as the caller. Returns its id. */
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

	id = ipcfs_act_as(caller, make_segment, &segment, sizeof(segment));
	if (id == -ENOSPC)
		*limit = limit_reached();
	if (id == -EINVAL) {
		*limit = "shmmax";
		return -ERANGE;
	}
	if (id < 0)
		return id;
	return ipcfs_sysv_find_id(&ipcfs_sysv_shm_calls, id, info);
}

/*
 * Returns the value of `stale`. "yes": no process has the segment attached, and both its maker and
 * the last process that attached or detached it have ended. If the last one was the daemon, which
 * attaches segments to read them, the one before is unknown.
 */
static const char *staleness(const struct shmid_ds *ds)
{
	bool never = !ds->shm_atime && !ds->shm_dtime;
	enum ipcfs_sysv_life creator = ipcfs_sysv_life_of(ds->shm_cpid);
	enum ipcfs_sysv_life last = never ? IPCFS_SYSV_ENDED : ipcfs_sysv_life_of(ds->shm_lpid);

	if (ds->shm_nattch)
		return "no";
	if (ds->shm_lpid == getpid())
		last = IPCFS_SYSV_UNKNOWN;
	if (creator == IPCFS_SYSV_LIVES || last == IPCFS_SYSV_LIVES)
		return "no";
	return creator == IPCFS_SYSV_ENDED && last == IPCFS_SYSV_ENDED ? "yes" : "unknown";
}

/*
 * The kernel frees the memory of a segment that nobody has attached. The memory of a large one is
 * kept until its name is gone: the caller does not wait for it.
 */
static int remove_segment(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
			  const struct ipcfs_caller *caller)
{
	struct shmid_ds ds;
	int held = -1, error = 0;

	if (!ipcfs_sysv_shm_stat_id((int)ref->serial, &ds) && !ds.shm_nattch &&
	    ds.shm_segsz > IPCFS_LONG_FREE) {
		held = ipcfs_sysv_shm_hold(ref);
		error = held < 0 ? ipcfs_long_work() : 0;
	}
	if (!error)
		error = remove_ref(space, ref, caller);
	ipcfs_descriptor_close_apart(&held);
	return error;
}

static int stat_whole(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      struct ipcfs_info *info)
{
	struct shmid_ds ds;
	int error = stat_ref(space, ref, info);

	if (error)
		return error;
	error = ipcfs_sysv_shm_stat_id((int)ref->serial, &ds);
	if (error)
		return error == -EIDRM ? -ENOENT : error;
	info->removed = ds.shm_perm.mode & SHM_DEST;
	info->stale = !strcmp(staleness(&ds), "yes");
	return 0;
}

static int add_memory(struct ipcfs_text *out, const struct ipcfs_space *space, int id)
{
	struct ipcfs_sysv_shm_memory memory;
	int error = ipcfs_sysv_shm_memory(space, id, &memory);

	if (error == -ERESTART)
		return error;
	if (error)
		return ipcfs_text_printf(out, "rss=unknown\nswap=unknown\n");
	return ipcfs_text_printf(out, "rss=%llu\nswap=%llu\n", memory.resident, memory.swapped);
}

static int status(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		  struct ipcfs_text *out)
{
	size_t start = out->size;
	int id = (int)ref->serial;
	struct shmid_ds ds;
	int error = ipcfs_sysv_shm_stat_id(id, &ds);

	if (error)
		return error == -EIDRM ? -ENOENT : error;
	error = ipcfs_sysv_status("sysv/shm", ref, &ds.shm_perm, out);
	if (!error)
		error = ipcfs_text_printf(out,
					  "size=%llu\n"
					  "nattch=%llu\n"
					  "creator_pid=%d\n"
					  "last_pid=%d\n"
					  "attach_time=%lld\n"
					  "detach_time=%lld\n"
					  "change_time=%lld\n"
					  "locked=%s\n"
					  "dest=%s\n",
					  (unsigned long long)ds.shm_segsz,
					  (unsigned long long)ds.shm_nattch, ds.shm_cpid,
					  ds.shm_lpid, (long long)ds.shm_atime,
					  (long long)ds.shm_dtime, (long long)ds.shm_ctime,
					  ds.shm_perm.mode & SHM_LOCKED ? "yes" : "no",
					  ds.shm_perm.mode & SHM_DEST ? "yes" : "no");
	if (!error)
		error = add_memory(out, space, id);
	if (!error)
		error = ipcfs_text_printf(out, "stale=%s\n", staleness(&ds));
	if (error)
		ipcfs_text_cut(out, start);
	return error;
}

const struct ipcfs_class ipcfs_sysv_shm = {
	.family = "sysv",
	.name = "shm",
	.rule = IPCFS_RULE_SYSV,
	.spec_keys = IPCFS_SPEC_MODE | IPCFS_SPEC_SIZE,
	.change_fields = IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID | IPCFS_CHANGE_GID,
	.by_id = true,
	.bound = true,
	.limit = "shmmni",
	.check_name = ipcfs_sysv_name_check,
	.find = find,
	.stat_brief = stat_ref,
	.stat = stat_whole,
	.walk = walk,
	.at_most = at_most,
	.make = make,
	.remove = remove_segment,
	.change = change,
	.status = status,
	.trace = ipcfs_sysv_shm_trace,
	.watch = NULL,
	.segment = &ipcfs_sysv_shm_segment,
};
