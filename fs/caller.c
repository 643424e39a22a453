/* SPDX-License-Identifier: MIT */
#include "caller.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "../backends/id_map.h"

#define PATH_ROOM 64
#define FILE_ROOM 4096 /* enough for nearly every status file */

/* <linux/sched.h> of the kernel: part of the stat file's format, but in no header for programs. */
#define PF_EXITING 0x00000004
#define PF_SIGNALED 0x00000400

/* What a file of /proc holds; larger ones move to the heap. */
struct proc_file {
	char *text; /* ends with a NUL */
	char small[FILE_ROOM];
};

static void proc_file_free(struct proc_file *file)
{
	if (file->text != file->small)
		free(file->text);
	file->text = file->small;
}

static void close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static void proc_path(char path[PATH_ROOM], pid_t tid, const char *name)
{
	snprintf(path, PATH_ROOM, "/proc/%d/%s", (int)tid, name);
}

/* Double the room. -ENOMEM: the file is as it was. */
static int proc_file_grow(struct proc_file *file, size_t *room)
{
	bool on_heap = file->text != file->small;
	char *text = realloc(on_heap ? file->text : NULL, 2 * *room);

	if (!text)
		return -ENOMEM;
	if (!on_heap)
		memcpy(text, file->small, sizeof(file->small));
	file->text = text;
	*room *= 2;
	return 0;
}

/* What an error of open(2) tells: what ran out here tells nothing about the thread. */
static int open_error(void)
{
	return errno == EMFILE || errno == ENFILE ? -ENOMEM : -errno;
}

/* proc_file_read below, by the thread's directory. */
static int proc_file_read_at(struct proc_file *file, int directory, const char *name)
{
	__attribute__((cleanup(close_fd))) int fd = -1;
	size_t size = 0, room = sizeof(file->small);

	file->text = file->small;
	file->small[0] = '\0';
	fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return open_error();
	for (;;) {
		ssize_t got = read(fd, file->text + size, room - size - 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		size += (size_t)got;
		file->text[size] = '\0';
		/* The kernel makes these files in one piece: a short read was the last one. */
		if (size < room - 1)
			return 0;
		if (proc_file_grow(file, &room))
			return -ENOMEM;
	}
}

/*
 * Read /proc/TID/NAME. -ENOMEM: something ran out here, which tells nothing about the thread;
 * -ENOENT and -ESRCH: there is no such thread to be seen. To be freed in each case.
 */
static int proc_file_read(struct proc_file *file, pid_t tid, const char *name)
{
	char path[PATH_ROOM];

	proc_path(path, tid, name);
	return proc_file_read_at(file, AT_FDCWD, path);
}

/*
 * What stands behind `key` in a status file, or NULL. Keys are "\nName:"; a line can't be forged,
 * as the kernel escapes newlines in the command's name.
 */
static const char *status_value(const struct proc_file *status, const char *key)
{
	const char *at = strstr(status->text, key);

	return at ? at + strlen(key) : NULL;
}

static bool status_mask(const struct proc_file *status, const char *key, uint64_t *mask)
{
	const char *value = status_value(status, key);

	return value && sscanf(value, "%" SCNx64, mask) == 1;
}

/* Real and file system id; only these matter here. */
static bool status_ids(const struct proc_file *status, const char *key, unsigned *real,
		       unsigned *fs)
{
	const char *value = status_value(status, key);

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

static int load_groups(struct ipcfs_caller *caller, const struct proc_file *status)
{
	const char *line = status_value(status, "\nGroups:"), *at;
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
	char link[PATH_ROOM];
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
	__attribute__((cleanup(proc_file_free))) struct proc_file file;
	const char *name_end;
	uint64_t start;
	int err;

	err = proc_file_read_at(&file, directory, "stat");
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
	__attribute__((cleanup(proc_file_free))) struct proc_file status;
	unsigned ruid, uid, rgid, gid;
	int err = proc_file_read_at(&status, directory, "status");

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
	if (!status_mask(&status, "\nCapEff:", &caller->caps))
		caller->caps = 0;
	return load_user_namespace(caller, directory);
}

int ipcfs_caller_load(struct ipcfs_caller *caller)
{
	__attribute__((cleanup(close_fd))) int directory = -1;
	char path[PATH_ROOM];
	int err = -ESRCH;

	if (caller->loaded)
		return 0;
	forget(caller);
	if (caller->tid > 0) {
		proc_path(path, caller->tid, "");
		directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		err = directory < 0 ? open_error() : load_thread(caller, directory);
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

static uint64_t signal_bit(int signal)
{
	return (uint64_t)1 << (signal - 1);
}

/* What a thread is about to see. */
struct signals {
	uint64_t pending; /* and not blocked */
	uint64_t handled; /* caught or ignored */
};

/* -ESRCH: the thread is gone, or can't be told from one that is; -ENOMEM: nothing was learnt. */
static int signals_read(pid_t tid, struct signals *signals)
{
	__attribute__((cleanup(proc_file_free))) struct proc_file status;
	uint64_t own, shared, blocked, ignored, caught;
	const char *state;
	int err;

	status.text = status.small;
	if (tid <= 0)
		return -ESRCH;
	err = proc_file_read(&status, tid, "status");
	if (err)
		return err == -ENOMEM ? err : -ESRCH;
	state = status_value(&status, "\nState:\t");
	if (!state || *state == 'X' || *state == 'Z')
		return -ESRCH;
	if (!status_mask(&status, "\nSigPnd:", &own) ||
	    !status_mask(&status, "\nShdPnd:", &shared) ||
	    !status_mask(&status, "\nSigBlk:", &blocked) ||
	    !status_mask(&status, "\nSigIgn:", &ignored) ||
	    !status_mask(&status, "\nSigCgt:", &caught))
		return -ESRCH;
	signals->pending = (own | shared) & ~blocked;
	signals->handled = ignored | caught;
	return 0;
}

static uint64_t harmless_signals(void)
{
	return signal_bit(SIGCHLD) | signal_bit(SIGCONT) | signal_bit(SIGURG) |
	       signal_bit(SIGWINCH);
}

bool ipcfs_caller_interrupted(pid_t tid)
{
	struct signals signals;
	int err = signals_read(tid, &signals);

	if (err)
		return err != -ENOMEM; /* a wait that goes on looks again */
	return (signals.pending & ~harmless_signals()) != 0;
}

bool ipcfs_caller_ends(pid_t tid)
{
	uint64_t stops = signal_bit(SIGSTOP) | signal_bit(SIGTSTP) | signal_bit(SIGTTIN) |
			 signal_bit(SIGTTOU);
	struct signals signals;

	if (signals_read(tid, &signals))
		return true;
	return (signals.pending & ~signals.handled & ~harmless_signals() & ~stops) != 0;
}

/*
 * Flags and exit code of a stat file, the 9th and the last field. The command's name, in
 * parentheses, may hold anything, parentheses and blanks too.
 */
static bool stat_fields(const struct proc_file *file, unsigned *flags, int *exit_code)
{
	const char *name_end = strrchr(file->text, ')');
	const char *last = strrchr(file->text, ' ');

	return name_end && last &&
	       sscanf(name_end + 1, " %*c %*d %*d %*d %*d %*d %u", flags) == 1 &&
	       sscanf(last, "%d", exit_code) == 1;
}

/* May we see the exit code of this thread? Both are shown to those who may trace it. */
static bool shows_exit_code(pid_t tid)
{
	struct stat other;
	char path[PATH_ROOM];

	proc_path(path, tid, "ns/user");
	return stat(path, &other) == 0;
}

/*
 * Does the thread still have its memory? An exiting one gives it up before it closes its files. A
 * tenth of the price of asking /proc; false where it can't be told.
 */
static bool has_memory(pid_t tid)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { NULL, 1 };

	return process_vm_readv(tid, &here, 1, &there, 1, 0) < 0 && errno == EFAULT;
}

enum ipcfs_caller_state ipcfs_caller_state(pid_t tid)
{
	__attribute__((cleanup(proc_file_free))) struct proc_file file;
	unsigned flags;
	int exit_code, err;

	file.text = file.small;
	if (tid <= 0 || has_memory(tid))
		return IPCFS_CALLER_RUNNING;
	err = proc_file_read(&file, tid, "stat");
	/* Where /proc hides others' processes, they are there all the same. */
	if (err == -ENOENT || err == -ESRCH)
		return kill(tid, 0) < 0 && errno == ESRCH ? IPCFS_CALLER_KILLED
							  : IPCFS_CALLER_RUNNING;
	if (err || !stat_fields(&file, &flags, &exit_code))
		return IPCFS_CALLER_RUNNING;
	/* exit(3) ends all other threads of its process as by SIGKILL, but the exit code tells. */
	if ((flags & PF_SIGNALED) && ((exit_code & 0x7f) != 0 || !shows_exit_code(tid)))
		return IPCFS_CALLER_KILLED;
	return flags & (PF_SIGNALED | PF_EXITING) ? IPCFS_CALLER_EXITING : IPCFS_CALLER_RUNNING;
}

/* The name of a status file, in which a newline is \n and a backslash \\. */
static void copy_name(const char *from, char name[IPCFS_PROGRAM_ROOM])
{
	size_t size = 0;

	for (; *from && *from != '\n' && size < IPCFS_PROGRAM_ROOM - 1; from++) {
		if (from[0] == '\\' && (from[1] == 'n' || from[1] == '\\'))
			name[size++] = *++from == 'n' ? '\n' : '\\';
		else
			name[size++] = *from;
	}
	name[size] = '\0';
}

void ipcfs_caller_program(pid_t tid, pid_t *pid, char name[IPCFS_PROGRAM_ROOM])
{
	__attribute__((cleanup(proc_file_free))) struct proc_file status;
	static const char key[] = "Name:\t";
	const char *value;
	int process;

	*pid = tid;
	name[0] = '\0';
	status.text = status.small;
	if (tid <= 0 || proc_file_read(&status, tid, "status"))
		return;
	if (strncmp(status.text, key, sizeof(key) - 1) == 0)
		copy_name(status.text + sizeof(key) - 1, name);
	value = status_value(&status, "\nTgid:");
	if (value && sscanf(value, "%d", &process) == 1)
		*pid = process;
}

bool ipcfs_caller_opens(pid_t tid)
{
	static const long calls[] = {
#ifdef SYS_open
		SYS_open,
		SYS_creat,
#endif
		SYS_openat,
		SYS_openat2,
	};
	__attribute__((cleanup(proc_file_free))) struct proc_file file;
	long call;

	file.text = file.small;
	if (tid <= 0 || proc_file_read(&file, tid, "syscall") ||
	    sscanf(file.text, "%ld", &call) != 1)
		return false;
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (call == calls[i])
			return true;
	return false;
}
