/* SPDX-License-Identifier: MIT */
/* Telling the readers of `events` what callers of the mount do. One load if there are none. */
#ifndef IPCFS_TELL_H
#define IPCFS_TELL_H

#include "fs/request/file.h"

/* Returns the caller of the request. */
static inline struct ipcfs_actor ipcfs_actor_of(fuse_req_t req)
{
	const struct fuse_ctx *context = fuse_req_ctx(req);

	return (struct ipcfs_actor){ context->uid, context->gid, context->pid };
}

/* Returns the opener of a file, with the number of the thread `tid`. */
static inline struct ipcfs_actor ipcfs_actor_opener(const struct ipcfs_file *file, pid_t tid)
{
	return (struct ipcfs_actor){ file->opener.uid, file->opener.gid, tid };
}

/*
 * Tells of an event of an object, as it is now. `detail` is a short text; NULL: none. Call without
 * any lock, by a thread that is in the object's namespace.
 */
void ipcfs_tell(struct ipcfs_filesystem *fs, const struct ipcfs_object *object,
		enum ipcfs_event_kind kind, const struct ipcfs_actor *actor, const char *detail);

/* Tells that the caller of the request has made or removed an object of the space. */
void ipcfs_tell_name(fuse_req_t req, const struct ipcfs_space *space,
		     const struct ipcfs_class *class, const struct ipcfs_info *info,
		     enum ipcfs_event_kind kind);

#endif
