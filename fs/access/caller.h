/* SPDX-License-Identifier: MIT */
/* Callers: what /proc tells about the thread that made a request. */
#ifndef IPCFS_CALLER_H
#define IPCFS_CALLER_H

#include "backends/contract/contract.h"

/*
 * Loads real ids, supplementary groups, capabilities and user namespace of the thread caller->tid,
 * unless they are loaded already. Free with ipcfs_caller_free.
 *
 * The caller gets no groups, no capabilities and caller->uid and caller->gid as its real ids if the
 * thread is unknown (0), gone or unreadable, has other file system ids than the caller, or may have
 * started at or after caller->before. The same if the request was answered already (answered.h).
 * That is no error.
 *
 * A worker thread of io_uring(7) gives its caller no groups and no capabilities: it does the
 * request with the credentials of the submitter, and has kept those of the time it was made.
 *
 * The capabilities are those in the thread's own user namespace; none if that can't be seen. If it
 * is not the daemon's, the map of its ids is loaded too.
 *   -ENOMEM: memory or descriptors ran out; the caller stays unloaded.
 */
int ipcfs_caller_load(struct ipcfs_caller *caller);

/*
 * Returns whether `inner` may do nothing that `outer` may not: it has the same ids and the same
 * user namespace, and no group and no capability that `outer` does not have. Both are loaded. Pure.
 */
bool ipcfs_caller_is_within(const struct ipcfs_caller *inner, const struct ipcfs_caller *outer);

/* Returns the time since boot for caller->before, in ticks as in /proc/TID/stat. */
uint64_t ipcfs_caller_clock(void);

/* Frees what ipcfs_caller_load allocated. The caller keeps its ids and is unloaded. */
void ipcfs_caller_free(struct ipcfs_caller *caller);

#define IPCFS_PROGRAM_SIZE 16 /* bytes of a program's name with its NUL: TASK_COMM_LEN */

/*
 * Reads the process of a thread and the name of its program, which the process may choose freely.
 * If /proc does not tell, *pid is `tid` and the name is empty.
 */
void ipcfs_caller_program(pid_t tid, pid_t *pid, char name[IPCFS_PROGRAM_SIZE]);

/* Why the kernel interrupted a write, close or open that waits. */
enum ipcfs_interrupt {
	IPCFS_INTERRUPT_NONE,	/* by nothing but signals that are ignored by default */
	IPCFS_INTERRUPT_PAUSE,	/* the thread is to stop, be frozen or be traced, and lives on */
	IPCFS_INTERRUPT_CAUGHT, /* by a signal that is caught */
	IPCFS_INTERRUPT_END,	/* the thread ends, or SIGINT, caught or not, asks it to */
};

/*
 * Tells why the request of this thread was interrupted, by its pending signals that are not
 * blocked. Those that are ignored by default are SIGCHLD, SIGCONT, SIGURG and SIGWINCH. The
 * freezer, a tracer, and a stop of the whole process leave no pending signal. With `again`, for a
 * thread for which the answer was NONE before, no pending signal says nothing. NONE also if memory
 * or descriptors ran out: ask again. PAUSE also for a thread that the daemon does not see. See
 * signal(7), and SigPnd, ShdPnd and SigBlk in proc(5).
 */
enum ipcfs_interrupt ipcfs_caller_interrupt(pid_t tid, bool again);

/*
 * Tells whether a signal is pending for the thread that is not ignored by default, or the thread
 * has ended. True also for an unknown thread (0). False if memory or descriptors ran out.
 */
bool ipcfs_caller_interrupted(pid_t tid);

/*
 * Tells whether the thread will never see the result of its request: a signal is pending that it
 * neither catches nor ignores, and that does not just stop it. True also if its signals can't be
 * read, as for a thread that is gone or unknown (0).
 */
bool ipcfs_caller_ends(pid_t tid);

/*
 * Tells whether the thread is in open(2), creat(2), openat(2) or openat2(2), by the number in
 * /proc/TID/syscall. False if that can't be read, and for a thread of another architecture than the
 * daemon's.
 */
bool ipcfs_caller_opens(pid_t tid);

/*
 * Tells whether the thread runs a set-user-id program that opens files with the rights of the user
 * `uid` who started it, but has kept its own: its real and file system uid are `uid`, its effective
 * uid is not. fusermount3 opens what a user wants to mount on in this way. False also if /proc does
 * not show the thread.
 */
bool ipcfs_caller_stands_in(pid_t tid, uid_t uid);

/* Tells whether two threads are of one process. False also if /proc does not show the first. */
bool ipcfs_caller_same_process(pid_t tid, pid_t other);

enum ipcfs_caller_state {
	IPCFS_CALLER_RUNNING, /* also if /proc does not tell, and for an unknown thread (0) */
	IPCFS_CALLER_EXITING, /* by exit(3): it can't be interrupted any more */
	IPCFS_CALLER_KILLED,  /* by a signal, or gone already */
};

/*
 * Returns how the thread is ending, if it is, by PF_EXITING and PF_SIGNALED in its flags (proc(5)).
 * exit(3) ends the other threads of its process as SIGKILL does. Their exit code shows the
 * difference, if the daemon may see it (PTRACE_MODE_READ).
 */
enum ipcfs_caller_state ipcfs_caller_state(pid_t tid);

/*
 * Returns the thread that opened a file, else the one that took what the file has; 0: both have
 * ended, and a process that inherited the file has it. Reads /proc.
 */
pid_t ipcfs_caller_living(pid_t opener, pid_t taker);

#endif
