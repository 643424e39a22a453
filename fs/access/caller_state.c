/* SPDX-License-Identifier: MIT */
/* The other half of caller.h: whether a thread ends, is interrupted, or opens a file. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/access/caller.h"
#include "fs/base/proc_file.h"

/* Flags in /proc/TID/stat. The kernel defines them in a header that programs can't include. */
#define PF_EXITING 0x00000004
#define PF_SIGNALED 0x00000400

static uint64_t signal_bit(int signal)
{
	return (uint64_t)1 << (signal - 1);
}

/* Signals of a thread, a bit for each. */
struct signals {
	uint64_t pending; /* for the thread or its process, and not blocked */
	uint64_t handled; /* caught or ignored */
};

/* Returns why /proc does not show a thread. kill(2) also finds one that it hides. */
static int why_unreadable(pid_t tid)
{
	return tid > 0 && kill(tid, 0) < 0 && errno == ESRCH ? -ESRCH : -EACCES;
}

/*
 * Reads the thread's signals.
 *   -ESRCH: the thread has ended.
 *   -EACCES: the thread is unknown, or /proc does not show it.
 *   -ENOMEM: memory or descriptors ran out; nothing was learnt.
 */
static int signals_read(pid_t tid, struct signals *signals)
{
	IPCFS_PROC_FILE_AUTO struct ipcfs_proc_file status;
	uint64_t own, shared, blocked, ignored, caught;
	const char *state;
	int err;

	status.text = status.small;
	err = tid > 0 ? ipcfs_proc_file_read(&status, tid, "status") : -EACCES;
	if (err)
		return err == -ENOMEM ? err : why_unreadable(tid);
	state = ipcfs_proc_file_value(&status, "\nState:\t");
	if (state && (*state == 'X' || *state == 'Z'))
		return -ESRCH;
	if (!ipcfs_proc_file_mask(&status, "\nSigPnd:", &own) ||
	    !ipcfs_proc_file_mask(&status, "\nShdPnd:", &shared) ||
	    !ipcfs_proc_file_mask(&status, "\nSigBlk:", &blocked) ||
	    !ipcfs_proc_file_mask(&status, "\nSigIgn:", &ignored) ||
	    !ipcfs_proc_file_mask(&status, "\nSigCgt:", &caught))
		return -EACCES;
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
		return err != -ENOMEM; /* the wait goes on, and this is asked again */
	return (signals.pending & ~harmless_signals()) != 0;
}

/* Returns the pending signals that will kill the thread. */
static uint64_t deadly_signals(const struct signals *signals)
{
	uint64_t stops = signal_bit(SIGSTOP) | signal_bit(SIGTSTP) | signal_bit(SIGTTIN) |
			 signal_bit(SIGTTOU);

	return signals->pending & ~signals->handled & ~harmless_signals() & ~stops;
}

bool ipcfs_caller_ends(pid_t tid)
{
	struct signals signals;

	return signals_read(tid, &signals) || deadly_signals(&signals);
}

enum ipcfs_interrupt ipcfs_caller_interrupt(pid_t tid, bool again)
{
	struct signals signals;
	int err = signals_read(tid, &signals);

	if (err == -ENOMEM)
		return IPCFS_INTERRUPT_NONE;
	if (err)
		return err == -ESRCH ? IPCFS_INTERRUPT_END : IPCFS_INTERRUPT_PAUSE;
	if (deadly_signals(&signals) || (signals.pending & signal_bit(SIGINT)))
		return IPCFS_INTERRUPT_END;
	if (signals.pending & signals.handled & ~harmless_signals())
		return IPCFS_INTERRUPT_CAUGHT;
	if (signals.pending & ~harmless_signals())
		return IPCFS_INTERRUPT_PAUSE;
	return signals.pending || again ? IPCFS_INTERRUPT_NONE : IPCFS_INTERRUPT_PAUSE;
}

/*
 * Reads flags and exit code, the 9th and the last field of a stat file. The program's name, in
 * parentheses, may itself hold parentheses and blanks.
 */
static bool stat_fields(const struct ipcfs_proc_file *file, unsigned *flags, int *exit_code)
{
	const char *name_end = strrchr(file->text, ')');
	const char *last = strrchr(file->text, ' ');

	return name_end && last &&
	       sscanf(name_end + 1, " %*c %*d %*d %*d %*d %*d %u", flags) == 1 &&
	       sscanf(last, "%d", exit_code) == 1;
}

/*
 * Tells whether the daemon sees the exit code of this thread. The kernel shows it, as ns/user, with
 * PTRACE_MODE_READ.
 */
static bool shows_exit_code(pid_t tid)
{
	struct stat other;
	char path[IPCFS_PROC_PATH_SIZE];

	ipcfs_proc_path(path, tid, "ns/user");
	return stat(path, &other) == 0;
}

/*
 * Tells whether the thread still has its memory. An exiting thread gives it up before it closes its
 * files. Takes a tenth of the time of reading /proc. False also if the daemon may not ask.
 */
static bool has_memory(pid_t tid)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { NULL, 1 };

	return process_vm_readv(tid, &here, 1, &there, 1, 0) < 0 && errno == EFAULT;
}

enum ipcfs_caller_state ipcfs_caller_state(pid_t tid)
{
	IPCFS_PROC_FILE_AUTO struct ipcfs_proc_file file;
	unsigned flags;
	int exit_code, err;

	file.text = file.small;
	if (tid <= 0 || has_memory(tid))
		return IPCFS_CALLER_RUNNING;
	err = ipcfs_proc_file_read(&file, tid, "stat");
	if (err == -ENOENT || err == -ESRCH)
		return why_unreadable(tid) == -ESRCH ? IPCFS_CALLER_KILLED : IPCFS_CALLER_RUNNING;
	if (err || !stat_fields(&file, &flags, &exit_code))
		return IPCFS_CALLER_RUNNING;
	/* PF_SIGNALED is also set for other threads at exit(3); their exit code has no signal. */
	if ((flags & PF_SIGNALED) && ((exit_code & 0x7f) != 0 || !shows_exit_code(tid)))
		return IPCFS_CALLER_KILLED;
	return flags & (PF_SIGNALED | PF_EXITING) ? IPCFS_CALLER_EXITING : IPCFS_CALLER_RUNNING;
}

/* Copies a name from a status file, in which a newline is \n and a backslash is \\. */
static void copy_name(const char *from, char name[IPCFS_PROGRAM_SIZE])
{
	size_t size = 0;

	for (; *from && *from != '\n' && size < IPCFS_PROGRAM_SIZE - 1; from++) {
		if (from[0] == '\\' && (from[1] == 'n' || from[1] == '\\'))
			name[size++] = *++from == 'n' ? '\n' : '\\';
		else
			name[size++] = *from;
	}
	name[size] = '\0';
}

void ipcfs_caller_program(pid_t tid, pid_t *pid, char name[IPCFS_PROGRAM_SIZE])
{
	IPCFS_PROC_FILE_AUTO struct ipcfs_proc_file status;
	static const char key[] = "Name:\t";
	const char *value;
	int process;

	*pid = tid;
	name[0] = '\0';
	status.text = status.small;
	if (tid <= 0 || ipcfs_proc_file_read(&status, tid, "status"))
		return;
	if (strncmp(status.text, key, sizeof(key) - 1) == 0)
		copy_name(status.text + sizeof(key) - 1, name);
	value = ipcfs_proc_file_value(&status, "\nTgid:");
	if (value && sscanf(value, "%d", &process) == 1)
		*pid = process;
}

bool ipcfs_caller_same_process(pid_t tid, pid_t other)
{
	char path[IPCFS_PROC_PATH_SIZE], task[IPCFS_PROC_PATH_SIZE];

	if (tid == other)
		return true;
	if (tid <= 0 || other <= 0)
		return false;
	snprintf(task, sizeof(task), "task/%d", other);
	ipcfs_proc_path(path, tid, task);
	return access(path, F_OK) == 0;
}

/* Tells whether the effective uid, which owns /proc/TID, is known and is not `uid`. */
static bool acts_as_another(pid_t tid, uid_t uid)
{
	char path[IPCFS_PROC_PATH_SIZE];
	struct stat st;

	ipcfs_proc_path(path, tid, "");
	return stat(path, &st) == 0 && st.st_uid != uid;
}

bool ipcfs_caller_stands_in(pid_t tid, uid_t uid)
{
	IPCFS_PROC_FILE_AUTO struct ipcfs_proc_file status;
	unsigned real, effective, saved, files;
	const char *value;

	status.text = status.small;
	/* the owner first, as it takes a tenth of the time */
	if (tid <= 0 || !acts_as_another(tid, uid) || ipcfs_proc_file_read(&status, tid, "status"))
		return false;
	value = ipcfs_proc_file_value(&status, "\nUid:");
	return value && sscanf(value, "%u %u %u %u", &real, &effective, &saved, &files) == 4 &&
	       real == uid && files == uid && effective != uid;
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
	IPCFS_PROC_FILE_AUTO struct ipcfs_proc_file file;
	long call;

	file.text = file.small;
	if (tid <= 0 || ipcfs_proc_file_read(&file, tid, "syscall") ||
	    sscanf(file.text, "%ld", &call) != 1)
		return false;
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (call == calls[i])
			return true;
	return false;
}

pid_t ipcfs_caller_living(pid_t opener, pid_t taker)
{
	if (ipcfs_caller_state(opener) == IPCFS_CALLER_RUNNING)
		return opener;
	return ipcfs_caller_state(taker) == IPCFS_CALLER_RUNNING ? taker : 0;
}
