/* SPDX-License-Identifier: MIT */
/*
 * Records of a trail, as events: each act of a direct caller is told, also one that is undone before
 * a look. A record of what a caller of the mount has done is owed, and says nothing. Pure; the
 * caller locks.
 */
#ifndef IPCFS_KNOWN_RECORD_H
#define IPCFS_KNOWN_RECORD_H

#include "backends/contract/trail.h"
#include "fs/events/known_table.h"

/*
 * Takes a record. `info` is what class->find has told of the name since, or NULL. Call it in the
 * order of the records, and after the acts of the mount were noted that had begun before the record
 * was read.
 */
void ipcfs_known_record(struct ipcfs_known *known, const struct ipcfs_trail_record *record,
			const struct ipcfs_info *info, const struct ipcfs_finding *finding);

/* Notes that the kernel has dropped records. The looks tell what has become of the objects. */
void ipcfs_known_overtaken(struct ipcfs_known *known);

#endif
