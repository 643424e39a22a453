/* SPDX-License-Identifier: MIT */
#include "fs/access/caller.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backends/contract/caller.h"
#include "backends/contract/descriptor.h"
#include "fs/base/answered.h"
#include "fs/base/proc_file.h"

/* Reads the real, the effective and the file system id, of four, behind `key`. */
static bool status_ids(const struct ipcfs_proc_file *status, const char *key, unsigned *real,
		       unsigned *effective, unsigned *fs)
{
	const char *value = ipcfs_proc_file_value(status, key);

	return value && sscanf(value, "%u %u %*u %u", real, effective, fs) == 3;
}

/* Reads the next number of a line. False: the line has ended. */
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

/*
 * Returns the inode number of a user namespace, from its link in /proc: readlink(2) takes half the
 * time of stat(2). 0: it can't be seen.
 */
static uint64_t read_user_namespace(int directory, const char *path)
{
	char link[IPCFS_PROC_PATH_SIZE];
	ssize_t size = readlinkat(directory, path, link, sizeof(link) - 1);
	uint64_t inode;

	link[size < 0 ? 0 : size] = '\0';
	return sscanf(link, "user:[%" SCNu64 "]", &inode) == 1 ? inode : 0;
}

/*
 * Returns the inode number of the daemon's user namespace, which never changes. 0: it can't be
 * seen.
 */
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
 * Loads the user namespace of the thread. Call after its capabilities were read: a thread can only
 * move to a namespace below its own, and has all capabilities there, so those read before are never
 * too many. In an unknown namespace it has no capabilities.
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
 * Tells whether the thread surely started before this time, so that its number was not another
 * thread's then. Start times are rounded down to ticks: a thread that started in the same tick
 * counts as a later one.
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
		      " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
		      "%*d %" SCNu64,
		      &start) == 1 &&
	       start < before;
}

/* Flags in /proc/TID/stat. The kernel defines them in a header that programs can't include. */
#define PF_IO_WORKER 0x00000010
#define PF_KTHREAD 0x00200000

/*
 * Tells whether the thread does requests for others: a worker of io_uring, or before Linux 5.12 a
 * kernel thread. Such a thread acts with the credentials of the submitter, but /proc shows its own.
 * It blocks all signals but two, or ignores all, which few other threads do: the flags, in a second
 * file, are read for those alone.
 */
static bool is_worker(int directory, const struct ipcfs_proc_file *status)
{
	const uint64_t kept = (uint64_t)1 << (SIGKILL - 1) | (uint64_t)1 << (SIGSTOP - 1);
	IPCFS_PROC_FILE_AUTO struct ipcfs_proc_file file;
	uint64_t blocked, ignored;
	const char *name_end;
	unsigned flags;

	file.text = file.small;
	if (!ipcfs_proc_file_mask(status, "\nSigBlk:", &blocked) ||
	    !ipcfs_proc_file_mask(status, "\nSigIgn:", &ignored))
		return true;
	if ((blocked | kept) != UINT64_MAX && !(ignored & kept))
		return false;
	if (ipcfs_proc_file_read_at(&file, directory, "stat"))
		return true;
	name_end = strrchr(file.text, ')');
	return !name_end || sscanf(name_end + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) != 1 ||
	       flags & (PF_IO_WORKER | PF_KTHREAD);
}

/* Sets what is loaded to the values of a caller without a thread. */
static void clear_loaded(struct ipcfs_caller *caller)
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

/*
 * Loads from the thread's directory, which stays this thread's even if another one gets its number.
 */
static int load_thread(struct ipcfs_caller *caller, int directory)
{
	IPCFS_PROC_FILE_AUTO struct ipcfs_proc_file status;
	unsigned ruid, euid, uid, rgid, egid, gid;
	int err = ipcfs_proc_file_read_at(&status, directory, "status");

	/*
	 * A request carries the file system ids of the thread that made it. A thread with other ids
	 * is another one, or has changed them since: its rights are not those of the request.
	 */
	if (err || !status_ids(&status, "\nUid:", &ruid, &euid, &uid) || uid != caller->uid ||
	    !status_ids(&status, "\nGid:", &rgid, &egid, &gid) || gid != caller->gid ||
	    (caller->before && !started_before(directory, caller->before)))
		return err == -ENOMEM ? err : 0;
	if (is_worker(directory, &status))
		return load_user_namespace(caller, directory);
	err = load_groups(caller, &status);
	if (err)
		return err;
	caller->ruid = ruid;
	caller->rgid = rgid;
	/* setfsuid(2): it acts for that user, but has kept the capabilities that are not of files */
	if (euid != uid || !ipcfs_proc_file_mask(&status, "\nCapEff:", &caller->caps))
		caller->caps = 0;
	return load_user_namespace(caller, directory);
}

int ipcfs_caller_load(struct ipcfs_caller *caller)
{
	IPCFS_DESCRIPTOR_AUTO int directory = -1;
	char path[IPCFS_PROC_PATH_SIZE];
	int err = -ESRCH;

	if (caller->loaded)
		return 0;
	clear_loaded(caller);
	if (caller->tid > 0) {
		ipcfs_proc_path(path, caller->tid, "");
		directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (directory < 0)
			err = ipcfs_proc_open_error();
		else if (!ipcfs_answered()) /* so the thread was there when that was opened */
			err = load_thread(caller, directory);
	}
	if (err == -ENOMEM) {
		free(caller->groups);
		clear_loaded(caller);
		return err;
	}
	caller->loaded = true;
	return 0;
}

static bool has_group(const struct ipcfs_caller *caller, gid_t gid)
{
	for (size_t i = 0; i < caller->ngroups; i++)
		if (caller->groups[i] == gid)
			return true;
	return false;
}

bool ipcfs_caller_is_within(const struct ipcfs_caller *inner, const struct ipcfs_caller *outer)
{
	if (inner->uid != outer->uid || inner->gid != outer->gid ||
	    inner->user_ns != outer->user_ns || inner->caps & ~outer->caps)
		return false;
	for (size_t i = 0; i < inner->ngroups; i++)
		if (!has_group(outer, inner->groups[i]))
			return false;
	return true;
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
