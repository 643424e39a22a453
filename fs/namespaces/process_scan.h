/* SPDX-License-Identifier: MIT */
/*
 * The processes in each IPC namespace, as found by the last scan of /proc. One scan serves many
 * questions in a row. Its results are checked before they are returned, so that only processes that
 * started since the scan are missed. Thread-safe.
 */
#ifndef IPCFS_PROCESS_SCAN_H
#define IPCFS_PROCESS_SCAN_H

#include "backends/contract/contract.h"

struct ipcfs_process_scan;

/* NULL: no memory. */
struct ipcfs_process_scan *ipcfs_process_scan_new(void);
void ipcfs_process_scan_free(struct ipcfs_process_scan *scan);

/*
 * Returns the oldest process in the IPC namespace with this inode number, of those whose user
 * namespace is the one that owns it, or is below that (authority NULL: of all processes). 0: there
 * is none. Scans again if no process is known, but not more than 50 times a second.
 * -ERESTART: it takes long (long_work.h).
 */
pid_t ipcfs_process_scan_oldest(struct ipcfs_process_scan *scan, uint64_t inode,
				const struct ipcfs_authority *authority);

/*
 * Scans all processes, and calls `each` for every namespace with one process in it. A result other
 * than 0 ends the calls and is returned.
 * -ERESTART: it takes long (long_work.h); `each` was not called.
 * -ENOMEM, or an error of reading /proc.
 */
int ipcfs_process_scan_list(struct ipcfs_process_scan *scan,
			    int (*each)(void *arg, uint64_t inode, pid_t pid), void *arg);

#endif
