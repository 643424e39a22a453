/* SPDX-License-Identifier: MIT */
/* Callers: their ids, the ids of their user namespaces, and where their capabilities count. */
#ifndef IPCFS_CONTRACT_CALLER_H
#define IPCFS_CONTRACT_CALLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define IPCFS_USER_NAMESPACES 33 /* the kernel nests user namespaces no deeper */

/* The thread that made a request. The fields behind `loaded` are filled in by ipcfs_caller_load. */
struct ipcfs_caller {
	uid_t uid; /* file system uid and gid */
	gid_t gid;
	pid_t tid; /* in the daemon's pid namespace; 0: unknown */
	/*
	 * A thread with this tid that started later is another one. On the clock of
	 * ipcfs_caller_clock; 0: the tid cannot have been given to another thread.
	 */
	uint64_t before;
	bool loaded;
	uid_t ruid; /* real ids: the kernel charges POSIX queues to the real uid */
	gid_t rgid;
	uint64_t caps;		  /* effective capabilities in the own user namespace, 1 << CAP_x */
	uint64_t user_ns;	  /* inode number of that namespace; 0: unknown, and caps is 0 */
	bool foreign;		  /* that namespace is not the daemon's */
	struct ipcfs_id_map *map; /* of a foreign caller: its ids; owned; NULL: unknown */
	size_t ngroups;
	gid_t *groups; /* supplementary groups; owned */
};

/* Some ids of another user namespace, and the same ids in the daemon's (user_namespaces(7)). */
struct ipcfs_id_range {
	uint32_t inside;  /* the first id in the other namespace */
	uint32_t outside; /* the same id in the daemon's */
	uint32_t count;
};

/* All ids of another user namespace. In one piece of memory, freed with free(3). NULL: no ids. */
struct ipcfs_id_map {
	size_t uids, gids;		/* the numbers of ranges */
	struct ipcfs_id_range ranges[]; /* those of users, then those of groups */
};

/*
 * Parses the texts of /proc/PID/uid_map and gid_map into *map, to be freed with free(3). Ranges
 * without ids in the daemon's user namespace are left out. Pure.
 * -EINVAL: a text has another form.
 * -ENOMEM.
 */
int ipcfs_id_map_parse(const char *uids, const char *gids, struct ipcfs_id_map **map);

/*
 * Reads the map of a thread into *map, to be freed with free(3). `proc` is a descriptor of the
 * thread's directory in /proc. The thread must not be in the daemon's user namespace: of that one,
 * the kernel shows the ids in the namespace around it.
 * Errors of openat(2), read(2) and ipcfs_id_map_parse.
 */
int ipcfs_id_map_read(int proc, struct ipcfs_id_map **map);

/* Return whether an id of the daemon's user namespace has a number in the other one. */
bool ipcfs_id_map_has_uid(const struct ipcfs_id_map *map, uid_t uid);
bool ipcfs_id_map_has_gid(const struct ipcfs_id_map *map, gid_t gid);

/*
 * Translate an id of the daemon's user namespace into the number it has in the other one.
 * -EINVAL: it has none there.
 */
int ipcfs_id_map_uid(const struct ipcfs_id_map *map, uid_t uid, uid_t *inside);
int ipcfs_id_map_gid(const struct ipcfs_id_map *map, gid_t gid, gid_t *inside);

#define IPCFS_LOOKS_MAX 64

/* A process that a caller wants to look into. Plain data. */
struct ipcfs_look {
	int directory;	/* a descriptor of /proc/PID; borrowed */
	bool may;	/* the answer: the kernel lets the caller look into the process */
	int error;	/* errno, where it does not: the process may have ended */
	char space[32]; /* where it does, the link to the IPC namespace: "ipc:[INUM]" */
};

/*
 * Asks the kernel which of these processes, at most IPCFS_LOOKS_MAX, the caller may look into: it
 * answers as to a readlink(2) in /proc/PID by the caller, who has to be loaded. Starts a process
 * for a caller of another user namespace; the caller can make that take a second.
 * -EPERM: the daemon may not become the caller, or the caller is gone.
 * -EINTR: the caller killed that process.
 * -ENOMEM, -EAGAIN.
 */
int ipcfs_caller_look(const struct ipcfs_caller *caller, struct ipcfs_look *looks, size_t count);

/*
 * The user namespaces in which a capability counts for an IPC namespace (user_namespaces(7)): the
 * one that owns the IPC namespace, which comes first, then those around it, from the inside to the
 * outside.
 * A user namespace has an owner, the uid that made it. Callers of this uid in the next namespace
 * around it have all capabilities in it.
 */
struct ipcfs_authority {
	size_t count;
	struct {
		uint64_t user_ns; /* inode number */
		uid_t owner;	  /* in the daemon's user namespace */
	} chain[IPCFS_USER_NAMESPACES];
};

/*
 * Returns the capabilities that the caller has for the IPC namespace, 1 << CAP_x: its own ones, and
 * those of an owner. A caller that is not loaded has none; for an authority of NULL nobody has any.
 * Pure.
 */
uint64_t ipcfs_authority_caps(const struct ipcfs_authority *authority,
			      const struct ipcfs_caller *caller);

/*
 * Returns the uid that answers for what this thread, with the ids of `uid`, causes: the owner of
 * the outermost user namespace below the daemon's that the thread is in. The owner may have many
 * ids in it. `uid`: the thread is in the daemon's, gone, or can't be seen.
 */
uid_t ipcfs_authority_payer(pid_t tid, uid_t uid);

/* Returns the caller's own capabilities alone, without those of an owner. Pure. */
uint64_t ipcfs_authority_held(const struct ipcfs_authority *authority,
			      const struct ipcfs_caller *caller);

#endif
