/* SPDX-License-Identifier: MIT */
/*
 * The file `events`: a line of JSON for each object that the reader may see, one that says that
 * these were all, and then one for each event, as it happens. events_text.h makes the lines.
 */
#ifndef IPCFS_CONTROL_EVENTS_H
#define IPCFS_CONTROL_EVENTS_H

#include "fs/request/file_ops.h"

extern const struct ipcfs_file_ops ipcfs_events_file_ops;

/* Answers the reads that can be answered now, and tells pollers. For struct ipcfs_events. */
void ipcfs_events_serve(struct ipcfs_feed *feed);

#endif
