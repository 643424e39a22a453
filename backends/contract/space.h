/* SPDX-License-Identifier: MIT */
/*
 * Spaces: the IPC namespaces and the /dev/shm directories whose objects the daemon shows. Opening
 * them, acting in them, and what /proc tells of them.
 */
#ifndef IPCFS_CONTRACT_SPACE_H
#define IPCFS_CONTRACT_SPACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "backends/contract/caller.h"

/*
 * An open IPC namespace, an open /dev/shm, or both. It has references: ipcfs_space_unref closes it
 * with the last one. May be used by any thread.
 */
struct ipcfs_space;

/*
 * Opens the IPC namespace and the /dev/shm of the daemon. The space has no POSIX queues where the
 * daemon may not mount their file system and there is no /dev/mqueue. *space is a new reference.
 * -ENOMEM.
 */
int ipcfs_space_open(struct ipcfs_space **space);

/*
 * Makes this thread join the IPC namespace of another process, and opens it with the /dev/shm of
 * that process. The thread stays there, even where a later step fails. Call it while the process
 * has one thread: threads that are made later start in the same namespace. *space is a new
 * reference.
 * -ESRCH: there is no such process, or it has ended.
 * -EINVAL: it is a kernel thread, or a thread that does not lead its process.
 * -EPERM: the daemon has no privilege over that namespace.
 * -ENOENT: /proc does not show the process.
 * -ENOMEM.
 * Errors of fsopen(2), fsconfig(2) and fsmount(2).
 */
int ipcfs_space_join(pid_t pid, struct ipcfs_space **space);

/*
 * Returns a pidfd of the process that was joined, readable once it has ended; -1: none was joined.
 * It belongs to the space.
 */
int ipcfs_space_process(const struct ipcfs_space *space);

/* Return whether the space has POSIX queues, and whether it has a /dev/shm. */
bool ipcfs_space_has_mq(const struct ipcfs_space *space);
bool ipcfs_space_has_shm(const struct ipcfs_space *space);

/*
 * Prepares the process for entering other IPC namespaces, and opens its own one ("home") with its
 * /dev/shm. Call it once, while the process has one thread. *space is a new reference.
 * -EPERM: the daemon lacks a privilege.
 * Errors of ipcfs_space_open.
 */
int ipcfs_space_open_home(struct ipcfs_space **space);

/*
 * Opens the IPC namespace of a thread, without a /dev/shm. The thread must be waiting for the
 * daemon's reply, so that its tid stays its own. *space is a new reference.
 * -ENOENT: the thread is unknown, or /proc does not show its namespace.
 * -EPERM: the daemon has no privilege over that namespace.
 * -ENOMEM, -EMFILE, -ENFILE.
 * Errors of fsopen(2), fsconfig(2) and fsmount(2).
 */
int ipcfs_space_open_of(pid_t tid, struct ipcfs_space **space);

/* Identifies the directory that is a /dev/shm. Plain data, compared as a whole. */
struct ipcfs_shm_id {
	uint64_t device, inode;
	uint64_t read_only; /* ST_RDONLY of the mount by which it was found, or 0 */
};

/*
 * Opens the /dev/shm that a thread has below its root, without an IPC namespace. `inode` is the
 * thread's IPC namespace, which is checked; 0: it is not, as the thread is waiting for the daemon's
 * reply. *space is a new reference. Where there is no such thread, or no /dev/shm that may be shown
 * (see ipcfs_target_shm), the space has no /dev/shm and an all-zero ipcfs_shm_id.
 * -ENOMEM, -EMFILE, -ENFILE.
 */
int ipcfs_space_open_shm(pid_t tid, uint64_t inode, struct ipcfs_space **space);

/* Returns which /dev/shm the space has. It belongs to the space. */
const struct ipcfs_shm_id *ipcfs_space_shm_id(const struct ipcfs_space *space);

/*
 * Makes this thread act in the space's IPC namespace until ipcfs_space_leave(*before). Functions of
 * a class that is `bound` are called between the two. Does nothing where the space is NULL, and
 * where the whole process or this thread is in the namespace for good. A namespace that has ended
 * is empty.
 * -ENOMEM.
 */
int ipcfs_space_enter(const struct ipcfs_space *space, const struct ipcfs_space **before);
void ipcfs_space_leave(const struct ipcfs_space *before);

/*
 * Makes this thread act in the space's IPC namespace, as a visitor: the thread stays, with a
 * reference to the space, until it visits another one or goes home. For threads that serve one
 * request after another. When the namespace ends, its visitors get SIGUSR1, which interrupts a
 * system call, and have to call ipcfs_space_rest.
 * -ENOMEM: the thread is at home now.
 */
int ipcfs_space_visit(struct ipcfs_space *space);

/* Makes this thread go home if it visits a namespace that has ended. */
void ipcfs_space_rest(void);

/* Makes this thread, a visitor, go home. To be called before the thread ends. */
void ipcfs_space_go_home(void);

/*
 * Runs work(arg) on the space's namespace worker, and waits for it. Returns the result of work. The
 * worker is a thread that stays in the namespace, and all SEM_UNDO adjustments are made by it and
 * by threads that it makes, which share them. Where the whole process or this thread is in the
 * namespace for good, this thread runs work.
 * -EIDRM: the namespace has ended.
 * -EAGAIN, -ENOMEM: the worker could not be started.
 */
int ipcfs_space_run(struct ipcfs_space *space, int (*work)(void *arg), void *arg);

/*
 * Pins this thread to the space, for good. Each thread that work(arg) of ipcfs_space_run makes
 * calls it first.
 */
void ipcfs_space_pin(const struct ipcfs_space *space);

/*
 * Makes this thread, which has just started, go home. A thread starts in the IPC namespace where
 * its maker is, perhaps for one request only; so does a forked process. For all but those that
 * ipcfs_space_run makes.
 */
void ipcfs_space_start_home(void);

/*
 * Lets go of an IPC namespace that no process but the daemon is in, or of a /dev/shm that no
 * process has, so that the daemon does not keep it alive. References stay valid, and find no
 * objects. Waits up to a second for visitors to leave. Not to be called in the namespace itself.
 */
void ipcfs_space_end(struct ipcfs_space *space);

/* Returns whether ipcfs_space_end was called. */
bool ipcfs_space_has_ended(const struct ipcfs_space *space);

/* Attaches something of the user's to the space: the last ipcfs_space_unref calls disown(owner). */
void ipcfs_space_own(struct ipcfs_space *space, void *owner, void (*disown)(void *owner));

/* Returns what ipcfs_space_own attached; NULL: nothing. */
void *ipcfs_space_owner(const struct ipcfs_space *space);

/* Takes a reference. */
void ipcfs_space_ref(struct ipcfs_space *space);

/* Gives a reference back, and closes the space with the last one. NULL: does nothing. */
void ipcfs_space_unref(struct ipcfs_space *space);

/* Identifies an IPC namespace. Plain data. */
struct ipcfs_space_identity {
	char boot[40];	/* the kernel's boot_id; "": it or the namespace is unknown */
	uint64_t inode; /* no other namespace has this number while this one exists */
	/*
	 * No other namespace of this boot ever has this number. 0: unknown, as before Linux 6.18.
	 */
	uint64_t id;
};

/* Returns in *identity which IPC namespace the space has. */
void ipcfs_space_identity(const struct ipcfs_space *space, struct ipcfs_space_identity *identity);

/* Returns whose capabilities count for the space's IPC namespace. It belongs to the space. */
const struct ipcfs_authority *ipcfs_space_authority(const struct ipcfs_space *space);

/*
 * Returns the inode number of a thread's IPC namespace, by which namespaces are known below. 0: the
 * thread is unknown, or /proc does not show its namespace.
 */
uint64_t ipcfs_namespace_of(pid_t tid);

/*
 * Calls each(arg) for every process in /proc, with its IPC namespace. Ends early with the result of
 * `each` when that is not 0.
 * Errors of opendir(3) and readdir(3).
 */
int ipcfs_namespace_each(int (*each)(void *arg, uint64_t inode, pid_t pid), void *arg);

/*
 * Translates a pid of the thread's pid namespace into the daemon's. 0: there is no such process;
 * before Linux 6.12 also where the thread's pid namespace is another one.
 */
pid_t ipcfs_namespace_process(pid_t tid, pid_t number);

/*
 * Returns whether the thread is in the daemon's pid namespace. True for a thread that is unknown.
 */
bool ipcfs_namespace_shares_numbers(pid_t tid);

/*
 * Translates a pid of the daemon's pid namespace into the thread's. 0: the process has no number
 * there, or has ended.
 */
pid_t ipcfs_namespace_number(pid_t tid, pid_t pid);

/*
 * Reads whose capabilities count for the IPC namespace `inode`, which process `pid` is in.
 * -ENOENT: the process is not in it, or /proc does not show that.
 * -ENOMEM, -EMFILE, -ENFILE.
 * Errors of ioctl_ns(2).
 */
int ipcfs_namespace_authority(pid_t pid, uint64_t inode, struct ipcfs_authority *authority);

/* Returns when a process started, in clock ticks since the boot (proc(5)). 0: it has ended. */
uint64_t ipcfs_namespace_start(pid_t pid);

/*
 * Returns whether a process is in the user namespace that owns the IPC namespace of this authority,
 * or in a user namespace inside of that.
 */
bool ipcfs_namespace_governs(const struct ipcfs_authority *authority, pid_t pid);

#endif
