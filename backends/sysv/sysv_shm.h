/* SPDX-License-Identifier: MIT */
/* Shared by sysv_shm.c (segments as objects), sysv_shm_data.c and others (memory). */
#ifndef IPCFS_SYSV_SHM_H
#define IPCFS_SYSV_SHM_H

#include <sys/shm.h>

#include "backends/sysv/sysv_object.h"

extern const struct ipcfs_sysv_class ipcfs_sysv_shm_calls;
extern const struct ipcfs_segment_ops ipcfs_sysv_shm_segment;

/*
 * Reads the state of the segment of this id, whatever its mode.
 * -EIDRM: it was removed.
 */
int ipcfs_sysv_shm_stat_id(int id, struct shmid_ds *ds);

/* Sets perm, size, allocated and the times of *info. */
void ipcfs_sysv_shm_fill(const struct shmid_ds *ds, struct ipcfs_info *info);

/* The memory that a segment takes now, in bytes. */
struct ipcfs_sysv_shm_memory {
	unsigned long long resident, swapped;
};

/*
 * Returns what the segment takes, as it was at most 50 ms ago.
 * -ENOENT: there is no such segment.
 * -ERESTART: it takes long (long_work.h).
 * -ENOMEM, and the errors of open(2) and read(2).
 */
int ipcfs_sysv_shm_memory(const struct ipcfs_space *space, int id,
			  struct ipcfs_sysv_shm_memory *memory);

/*
 * Opens the memory of a segment, which is freed no sooner than the descriptor is closed. Sets the
 * segment's time of attachment. Returns the descriptor. -1: the kernel does not allow it.
 */
int ipcfs_sysv_shm_hold(const struct ipcfs_ref *ref);

/*
 * Implements `trace` of struct ipcfs_class.
 * -ENOMEM: also where the daemon can't read its own maps.
 */
int ipcfs_sysv_shm_trace(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
			 struct ipcfs_trace *trace);

/* Is the function `memory` of struct ipcfs_segment_ops. */
int ipcfs_sysv_shm_memory_all(uint64_t *bytes);

#endif
