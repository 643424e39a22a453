/* SPDX-License-Identifier: MIT */
/* Who is calling: what /proc tells of the requesting thread. */
#ifndef IPCFS_CALLER_H
#define IPCFS_CALLER_H

#include "../backends/backend.h"

/*
 * Fill in real ids, supplementary groups, capabilities and user namespace of caller->tid, if not loaded yet. A
 * thread that is unknown (0), gone, unreadable, or has other file system ids than the caller, has
 * none of either, and its real ids are its effective ones: that is no error. So has one that did not
 * surely start before caller->before. Capabilities are those in the thread's own user namespace, none where that
 * can't be seen; where it is another than the daemon's, which ids it has is read as well. -ENOMEM, also when
 * descriptors ran out (the caller stays unloaded). Free with ipcfs_caller_free.
 */
int ipcfs_caller_load(struct ipcfs_caller *caller);

/* The time now, for caller->before. */
uint64_t ipcfs_caller_clock(void);

/* Free what load allocated; the struct is then an unloaded caller of the same ids. */
void ipcfs_caller_free(struct ipcfs_caller *caller);

/* A deep copy; what `to` held is not freed. -ENOMEM (*to is as it was). */
int ipcfs_caller_copy(struct ipcfs_caller *to, const struct ipcfs_caller *from);

#define IPCFS_PROGRAM_ROOM 16 /* of a program's name, with its NUL: TASK_COMM_LEN */

/*
 * The thread's process and the name of its program, which is whatever the process calls itself. Where
 * it can't be told: `tid` itself, and an empty name.
 */
void ipcfs_caller_program(pid_t tid, pid_t *pid, char name[IPCFS_PROGRAM_ROOM]);

/*
 * Does what is pending for this thread end a write, a close or an open that waits? Signals whose
 * default is to be ignored (SIGCHLD, SIGCONT, SIGURG, SIGWINCH) do not; any other that is pending
 * and not blocked does, and so does the end of the thread. An unknown thread (0) can't be asked:
 * true. signal(7), SigPnd, ShdPnd and SigBlk in proc(5).
 */
bool ipcfs_caller_interrupted(pid_t tid);

/*
 * Will it never see what it asked for? True where a signal is pending that it neither catches nor
 * ignores, and that does not just stop it; also for a thread that is gone or unknown (0).
 */
bool ipcfs_caller_ends(pid_t tid);

/*
 * Is this thread in open(2) or one of its kin, by the number in /proc/TID/syscall? False where that can't
 * be read, and for a thread of another architecture than ours.
 */
bool ipcfs_caller_opens(pid_t tid);

enum ipcfs_caller_state {
	IPCFS_CALLER_RUNNING, /* also where it can't be told, and for an unknown thread (0) */
	IPCFS_CALLER_EXITING, /* by exit(3): it can't be interrupted any more */
	IPCFS_CALLER_KILLED,  /* by a signal, or gone already */
};

/*
 * How this thread is ending, if it is: PF_EXITING and PF_SIGNALED of its flags in proc(5). exit(3)
 * ends the other threads of a process as SIGKILL would: the exit code tells them apart, where the daemon may see
 * it (PTRACE_MODE_READ).
 */
enum ipcfs_caller_state ipcfs_caller_state(pid_t tid);

#endif
