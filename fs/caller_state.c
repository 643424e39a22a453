/* SPDX-License-Identifier: MIT */
/* What a thread is about to do: end, be interrupted, open a file. The other half of caller.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "caller.h"
#include "proc_file.h"

/* <linux/sched.h> of the kernel: part of the stat file's format, but in no header for programs. */
#define PF_EXITING 0x00000004
#define PF_SIGNALED 0x00000400

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
	IPCFS_PROC_FILE_AUTO struct ipcfs_proc_file status;
	uint64_t own, shared, blocked, ignored, caught;
	const char *state;
	int err;

	status.text = status.small;
	if (tid <= 0)
		return -ESRCH;
	err = ipcfs_proc_file_read(&status, tid, "status");
	if (err)
		return err == -ENOMEM ? err : -ESRCH;
	state = ipcfs_proc_file_value(&status, "\nState:\t");
	if (!state || *state == 'X' || *state == 'Z')
		return -ESRCH;
	if (!ipcfs_proc_file_mask(&status, "\nSigPnd:", &own) ||
	    !ipcfs_proc_file_mask(&status, "\nShdPnd:", &shared) ||
	    !ipcfs_proc_file_mask(&status, "\nSigBlk:", &blocked) ||
	    !ipcfs_proc_file_mask(&status, "\nSigIgn:", &ignored) ||
	    !ipcfs_proc_file_mask(&status, "\nSigCgt:", &caught))
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
static bool stat_fields(const struct ipcfs_proc_file *file, unsigned *flags, int *exit_code)
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
	char path[IPCFS_PROC_PATH_ROOM];

	ipcfs_proc_path(path, tid, "ns/user");
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
	IPCFS_PROC_FILE_AUTO struct ipcfs_proc_file file;
	unsigned flags;
	int exit_code, err;

	file.text = file.small;
	if (tid <= 0 || has_memory(tid))
		return IPCFS_CALLER_RUNNING;
	err = ipcfs_proc_file_read(&file, tid, "stat");
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
