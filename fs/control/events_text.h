/* SPDX-License-Identifier: MIT */
/* The lines of the file `events`, as its reader may know them. */
#ifndef IPCFS_EVENTS_TEXT_H
#define IPCFS_EVENTS_TEXT_H

#include "fs/control/objects_walk.h"
#include "fs/control/status.h"
#include "fs/request/file.h"

/* One read, or one poll(2). */
struct ipcfs_event_reading {
	fuse_req_t req;
	struct ipcfs_filesystem *fs;
	struct ipcfs_file *file;
	size_t wanted; /* bytes; whole lines that fit */
	bool looks; /* only finds out whether there is a line; nothing moves on but what is hidden */
	struct ipcfs_status_reader reader;
	bool opener_too; /* the opener has not all rights of the reader, and is judged, too */
	struct ipcfs_objects_walk walk;
	struct ipcfs_text bytes; /* the lines */
};

/*
 * Appends to reading->bytes the lines that are there, as many as are ready in a few ms. Call with
 * file->lines.turn held, by a thread that is in the namespace of the file.
 * -EAGAIN: there is none now.
 * -EINVAL: the first line does not fit.
 * -EINTR: the reader is gone.
 * -ENOMEM, and errors of the classes.
 */
int ipcfs_events_fill(struct ipcfs_event_reading *reading);

#endif
