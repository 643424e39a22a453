/* SPDX-License-Identifier: MIT */
/* The text of the file `status`. */
#ifndef IPCFS_STATUS_H
#define IPCFS_STATUS_H

#include "fs/control/status_idmap.h"
#include "fs/tree/state.h"

/* The reader of status, with what is the same for all objects that it reads. */
struct ipcfs_status_reader {
	struct ipcfs_caller caller; /* loaded */
	pid_t pid, number;	    /* the last process that was asked for, and its number */
	struct ipcfs_status_idmap idmap;
};

/*
 * Initialises a reader, the caller of the request. It must not move in memory, and belongs to one
 * thread. End it with ipcfs_status_reader_end, also after an error.
 * -ENOMEM, and the errors of ipcfs_caller_load.
 */
int ipcfs_status_reader_begin(fuse_req_t req, struct ipcfs_status_reader *reader);
void ipcfs_status_reader_end(struct ipcfs_status_reader *reader);

/*
 * Appends the lines of an object's status: those of its class, and those that only the daemon
 * knows. Ids of users, groups and processes are as the daemon's namespaces number them.
 * -ENOENT: the object is gone.
 * -ERESTART: it takes long (long_work.h).
 * -ENOMEM.
 */
int ipcfs_status_lines(fuse_req_t req, struct ipcfs_object *object, struct ipcfs_text *out);

/* Replaces the ids in lines by those of the reader's user and pid namespaces. -ENOMEM. */
int ipcfs_status_map(const struct ipcfs_status_reader *reader, struct ipcfs_text *lines);

/*
 * Appends the lines of an object's status as the caller of the request reads them.
 * -ENOENT: the object is gone.
 * -ERESTART: it takes long (long_work.h).
 * -ENOMEM.
 */
int ipcfs_status_text(fuse_req_t req, struct ipcfs_object *object, struct ipcfs_text *out);

#endif
