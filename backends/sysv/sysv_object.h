/* SPDX-License-Identifier: MIT */
/*
 * For: System V IPC objects, sysvipc(7): this file has what the three classes have in common.
 * Called by: fs/ by contract/ only.
 * May call: backends/space, backends/caller, backends/contract, backends/base, the C library.
 *
 * An object is found by its key or its id, and known by its id, which contains a sequence number.
 * The *_STAT_ANY calls (msgctl(2), semctl(2), shmctl(2)) need no read permission. They take an
 * index of the kernel's table, or an id, of which they ignore the sequence number, and return the
 * id of the object that is there now.
 */
#ifndef IPCFS_SYSV_OBJECT_H
#define IPCFS_SYSV_OBJECT_H

#include <errno.h>
#include <sys/ipc.h>

#include "backends/contract/contract.h"

/* The system calls of one class. Each function returns a negative errno when its call fails. */
struct ipcfs_sysv_class {
	/*
	 * Calls *_STAT_ANY and returns the id. Sets *info, but of info->ref only the key: the other
	 * two follow from it and the id.
	 */
	int (*stat_any)(int index, struct ipcfs_info *info);
	int (*highest_index)(void); /* returns the highest index in use */
	int (*at_most)(void);	    /* returns how many objects there are, or a larger number */
	int (*get_id)(key_t key);   /* returns the id of the object with this key */
	int (*remove_id)(int id);   /* IPC_RMID */
	uint32_t fields;	    /* IPCFS_CHANGE_*: what the class has */
	int (*set_fields)(int id, const struct ipcfs_change *all); /* IPC_SET of all of these */
};

/* Converts the permissions of a *_STAT_ANY call. */
void ipcfs_sysv_perm(const struct ipc_perm *from, struct ipcfs_perm *perm);

/*
 * Converts the result of *_STAT_ANY for an id: returns 0 when `found` is this id.
 * -EIDRM: the object was removed.
 * Any other errno of the call. Call it before errno changes.
 */
static inline int ipcfs_sysv_stat_result(int found, int id)
{
	if (found < 0)
		return errno == EINVAL ? -EIDRM : -errno;
	return found == id ? 0 : -EIDRM;
}

/*
 * Reads the object of this id.
 * -ENOENT: it was removed.
 */
int ipcfs_sysv_find_id(const struct ipcfs_sysv_class *calls, int id, struct ipcfs_info *info);

/*
 * Opens an object, and returns its id in *handle: nothing to be closed.
 * -ENOENT: the object was removed.
 * -EIDRM: another object has its key.
 */
int ipcfs_sysv_open(const struct ipcfs_sysv_class *calls, const struct ipcfs_ref *ref, int *handle);

/*
 * Translates a name that an object is to be made by: a key in any spelling, or IPCFS_SYSV_PRIVATE
 * for IPC_PRIVATE.
 * -EINVAL, -ENAMETOOLONG.
 */
int ipcfs_sysv_make_key(const char *name, key_t *key);

/*
 * Appends the status lines that all classes have in common; `class` is the value of the first one.
 * -ENOENT: `perm`, which was read by the id, is that of another object.
 * -ENOMEM.
 */
int ipcfs_sysv_status(const char *class, const struct ipcfs_ref *ref, const struct ipc_perm *perm,
		      struct ipcfs_text *out);

/* Whether a process that the kernel names by its pid is there. */
enum ipcfs_sysv_life { IPCFS_SYSV_UNKNOWN, IPCFS_SYSV_LIVES, IPCFS_SYSV_ENDED };

/* A process of another pid namespace has number 0, and can't be asked about. */
enum ipcfs_sysv_life ipcfs_sysv_life_of(pid_t pid);

/* Functions of struct ipcfs_class, which IPCFS_SYSV_FUNCTIONS defines for a class. */
int ipcfs_sysv_find(const struct ipcfs_sysv_class *calls, const char *name,
		    struct ipcfs_info *info);
int ipcfs_sysv_stat(const struct ipcfs_sysv_class *calls, const struct ipcfs_ref *ref,
		    struct ipcfs_info *info);
int ipcfs_sysv_walk(const struct ipcfs_sysv_class *calls, struct ipcfs_walk *walk,
		    int (*each)(void *arg, const struct ipcfs_info *info), void *arg);
uint64_t ipcfs_sysv_at_most(const struct ipcfs_sysv_class *calls);
int ipcfs_sysv_remove(const struct ipcfs_sysv_class *calls, const struct ipcfs_ref *ref,
		      const struct ipcfs_caller *caller);
int ipcfs_sysv_change(const struct ipcfs_sysv_class *calls, const struct ipcfs_ref *ref,
		      const struct ipcfs_change *wanted, const struct ipcfs_caller *caller);

/* Defines find, stat_ref, walk, at_most, remove_ref and change of a class with these system calls. */
#define IPCFS_SYSV_FUNCTIONS(calls)                                                                \
	static int find(const struct ipcfs_space *space, const char *name,                         \
			struct ipcfs_info *info)                                                   \
	{                                                                                          \
		(void)space;                                                                       \
		return ipcfs_sysv_find(calls, name, info);                                         \
	}                                                                                          \
	static int stat_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref,          \
			    struct ipcfs_info *info)                                               \
	{                                                                                          \
		(void)space;                                                                       \
		return ipcfs_sysv_stat(calls, ref, info);                                          \
	}                                                                                          \
	static int walk(const struct ipcfs_space *space, struct ipcfs_walk *at,                    \
			int (*each)(void *arg, const struct ipcfs_info *info), void *arg)          \
	{                                                                                          \
		(void)space;                                                                       \
		return ipcfs_sysv_walk(calls, at, each, arg);                                      \
	}                                                                                          \
	static uint64_t at_most(const struct ipcfs_space *space)                                   \
	{                                                                                          \
		(void)space;                                                                       \
		return ipcfs_sysv_at_most(calls);                                                  \
	}                                                                                          \
	static int remove_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref,        \
			      const struct ipcfs_caller *caller)                                   \
	{                                                                                          \
		(void)space;                                                                       \
		return ipcfs_sysv_remove(calls, ref, caller);                                      \
	}                                                                                          \
	static int change(const struct ipcfs_space *space, const struct ipcfs_ref *ref,            \
			  const struct ipcfs_change *wanted, const struct ipcfs_caller *caller)    \
	{                                                                                          \
		(void)space;                                                                       \
		return ipcfs_sysv_change(calls, ref, wanted, caller);                              \
	}

#endif
