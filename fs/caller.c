/* SPDX-License-Identifier: MIT */
#include "caller.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../backends/id_map.h"
#include "proc_file.h"

/* Real and file system id; only these matter here. */
static bool status_ids(const struct ipcfs_proc_file *status, const char *key, unsigned *real,
		       unsigned *fs)
{
	const char *value = ipcfs_proc_file_value(status, key);

	return value && sscanf(value, "%u %*u %*u %u", real, fs) == 2;
}

/* The next number of a line; false at the line's end. */
static bool next_number(const char **at, gid_t *number)
{
	char *end;

	while (**at == ' ' || **at == '\t')
		(*at)++;
	if (**at < '0' || **at > '9')
		return false;
	*number = (gid_t)strtoul(*at, &end, 10);
	*at = end;
	return true;
}

static int load_groups(struct ipcfs_caller *caller, const struct ipcfs_proc_file *status)
{
	const char *line = ipcfs_proc_file_value(status, "\nGroups:"), *at;
	size_t count = 0;
	gid_t group;

	if (!line)
		return 0;
	for (at = line; next_number(&at, &group);)
		count++;
	if (count == 0)
		return 0;
	caller->groups = calloc(count, sizeof(*caller->groups));
	if (!caller->groups)
		return -ENOMEM;
	for (at = line; caller->ngroups < count; caller->ngroups++)
		next_number(&at, &caller->groups[caller->ngroups]);
	return 0;
}

/* The inode number of a link to a user namespace, which costs half of what stat(2) does. 0: it can't be seen. */
static uint64_t read_user_namespace(int directory, const char *path)
{
	char link[IPCFS_PROC_PATH_ROOM];
	ssize_t size = readlinkat(directory, path, link, sizeof(link) - 1);
	uint64_t inode;

	link[size < 0 ? 0 : size] = '\0';
	return sscanf(link, "user:[%" SCNu64 "]", &inode) == 1 ? inode : 0;
}

/* Ours, which stays the same. 0: it can't be seen. */
static uint64_t own_user_namespace(void)
{
	static _Atomic uint64_t own;
	uint64_t inode = atomic_load_explicit(&own, memory_order_relaxed);

	if (!inode) {
		inode = read_user_namespace(AT_FDCWD, "/proc/self/ns/user");
		atomic_store_explicit(&own, inode, memory_order_relaxed);
	}
	return inode;
}

/*
 * Which user namespace the thread is in, and whether that is another than ours. After its capabilities were read:
 * it can go from one only to one inside of that, where it has all. Unknown: it has no capabilities.
 */
static int load_user_namespace(struct ipcfs_caller *caller, int directory)
{
	uint64_t user_ns = read_user_namespace(directory, "ns/user"), own = own_user_namespace();
	int err;

	if (!user_ns || !own) {
		caller->caps = 0;
		return 0;
	}
	caller->user_ns = user_ns;
	caller->foreign = user_ns != own;
	if (!caller->foreign)
		return 0;
	err = ipcfs_id_map_read(directory, &caller->map);
	return err == -ENOMEM || err == -EMFILE || err == -ENFILE ? -ENOMEM : 0;
}

uint64_t ipcfs_caller_clock(void)
{
	uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);
	struct timespec now;

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * ticks + (uint64_t)now.tv_nsec / (1000000000 / ticks);
}

/*
 * The thread started before this time, so that its number was not somebody else's then. Times are
 * rounded down: one that started in the same tick can't be told from a later one.
 */
static bool started_before(int directory, uint64_t before)
{
	IPCFS_PROC_FILE_AUTO struct ipcfs_proc_file file;
	const char *name_end;
	uint64_t start;
	int err;

	err = ipcfs_proc_file_read_at(&file, directory, "stat");
	name_end = strrchr(file.text, ')');
	return !err && name_end &&
	       sscanf(name_end + 1,
		      " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
		      "%" SCNu64,
		      &start) == 1 &&
	       start < before;
}

/* To what is known of a caller without a thread. */
static void forget(struct ipcfs_caller *caller)
{
	caller->ruid = caller->uid;
	caller->rgid = caller->gid;
	caller->caps = 0;
	caller->user_ns = 0;
	caller->foreign = false;
	caller->map = NULL;
	caller->ngroups = 0;
	caller->groups = NULL;
}

/* By its directory, which is no other thread's, even when another one gets the number. */
static int load_thread(struct ipcfs_caller *caller, int directory)
{
	IPCFS_PROC_FILE_AUTO struct ipcfs_proc_file status;
	unsigned ruid, uid, rgid, gid;
	int err = ipcfs_proc_file_read_at(&status, directory, "status");

	/*
	 * A request has the file system ids of the thread that made it. A thread that has others
	 * now is another one, or became somebody else: its rights are not the request's.
	 */
	if (err || !status_ids(&status, "\nUid:", &ruid, &uid) || uid != caller->uid ||
	    !status_ids(&status, "\nGid:", &rgid, &gid) || gid != caller->gid ||
	    (caller->before && !started_before(directory, caller->before)))
		return err == -ENOMEM ? err : 0;
	err = load_groups(caller, &status);
	if (err)
		return err;
	caller->ruid = ruid;
	caller->rgid = rgid;
	if (!ipcfs_proc_file_mask(&status, "\nCapEff:", &caller->caps))
		caller->caps = 0;
	return load_user_namespace(caller, directory);
}

int ipcfs_caller_load(struct ipcfs_caller *caller)
{
	IPCFS_PROC_CLOSE_AUTO int directory = -1;
	char path[IPCFS_PROC_PATH_ROOM];
	int err = -ESRCH;

	if (caller->loaded)
		return 0;
	forget(caller);
	if (caller->tid > 0) {
		ipcfs_proc_path(path, caller->tid, "");
		directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		err = directory < 0 ? ipcfs_proc_open_error() : load_thread(caller, directory);
	}
	if (err == -ENOMEM) {
		free(caller->groups);
		forget(caller);
		return err;
	}
	caller->loaded = true;
	return 0;
}

void ipcfs_caller_free(struct ipcfs_caller *caller)
{
	if (caller->loaded) {
		free(caller->groups);
		free(caller->map);
	}
	*caller = (struct ipcfs_caller){
		.uid = caller->uid,
		.gid = caller->gid,
		.tid = caller->tid,
		.before = caller->before,
	};
}

int ipcfs_caller_copy(struct ipcfs_caller *to, const struct ipcfs_caller *from)
{
	struct ipcfs_caller copy = *from;

	copy.groups = NULL;
	copy.map = NULL;
	if (!from->loaded)
		copy.ngroups = 0;
	if (copy.ngroups) {
		copy.groups = calloc(from->ngroups, sizeof(*copy.groups));
		if (!copy.groups)
			return -ENOMEM;
		memcpy(copy.groups, from->groups, from->ngroups * sizeof(*copy.groups));
	}
	if (from->loaded && ipcfs_id_map_copy(&copy.map, from->map)) {
		free(copy.groups);
		return -ENOMEM;
	}
	*to = copy;
	return 0;
}
