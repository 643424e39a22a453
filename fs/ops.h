/* SPDX-License-Identifier: MIT */
/*
 * The operations: each decodes its request, asks who may, calls the room that does the work, and sees
 * to it that there is one reply.
 */
#ifndef IPCFS_OPS_H
#define IPCFS_OPS_H

#include "core.h"

/* ops_name.c: names and attributes */
void ipcfs_op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void ipcfs_op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count);
void ipcfs_op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void ipcfs_op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ipcfs_op_readlink(fuse_req_t req, fuse_ino_t ino);
void ipcfs_op_access(fuse_req_t req, fuse_ino_t ino, int mask);
void ipcfs_op_statfs(fuse_req_t req, fuse_ino_t ino);
void ipcfs_op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ipcfs_op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		      struct fuse_file_info *fi);
void ipcfs_op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			  struct fuse_file_info *fi);
void ipcfs_op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

/* ops_change.c: making, removing, changing objects */
void ipcfs_op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void ipcfs_op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void ipcfs_op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		      struct fuse_file_info *fi);
/* Names can't be added to or taken from the tree in any other way. */
void ipcfs_op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void ipcfs_op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device);
void ipcfs_op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		     struct fuse_file_info *fi);
void ipcfs_op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void ipcfs_op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void ipcfs_op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to_parent,
		     const char *to_name, unsigned flags);

/* ops_acl.c: access control lists, as extended attributes */
void ipcfs_op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void ipcfs_op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void ipcfs_op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
		       size_t size, int flags);
void ipcfs_op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

/* ops_file.c: open files */
void ipcfs_op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ipcfs_op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		   struct fuse_file_info *fi);
void ipcfs_op_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
		    struct fuse_file_info *fi);
void ipcfs_op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ipcfs_op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ipcfs_op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		   struct fuse_pollhandle *handle);

/* Who makes the request; groups and capabilities not loaded. */
static inline struct ipcfs_caller ipcfs_op_caller(fuse_req_t req)
{
	const struct fuse_ctx *context = fuse_req_ctx(req);

	return (struct ipcfs_caller){ .uid = context->uid,
				      .gid = context->gid,
				      .tid = context->pid };
}

/*
 * May the caller of the request do this (IPCFS_WANT_*) to the object now? 0, -EACCES, -ESTALE. *reason
 * (which may be NULL) is by what it was decided.
 */
int ipcfs_op_allowed(fuse_req_t req, const struct ipcfs_object *object, unsigned want,
		     const char **reason);

/* The same for the object of this node, and the audit is told. */
int ipcfs_op_judge(fuse_req_t req, enum ipcfs_audit_op op, const struct ipcfs_node *node,
		   unsigned want);

#endif
