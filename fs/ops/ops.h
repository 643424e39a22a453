/* SPDX-License-Identifier: MIT */
/*
 * The FUSE operations: each has its caller judged and its work done, and makes sure of one reply.
 * Called by daemon/, through ipcfs_filesystem_ops.
 * Calls control/ and the rooms below it.
 */
#ifndef IPCFS_OPS_H
#define IPCFS_OPS_H

#include "fs/request/file.h"

/* ops_name.c: names and attributes */
void ipcfs_op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void ipcfs_op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count);
void ipcfs_op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void ipcfs_op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ipcfs_op_readlink(fuse_req_t req, fuse_ino_t ino);
void ipcfs_op_access(fuse_req_t req, fuse_ino_t ino, int mask);
void ipcfs_op_statfs(fuse_req_t req, fuse_ino_t ino);
/*
 * Opens what the open of a file of a worker that has ended has opened. -ESTALE: such a file can't
 * go on. Other errors of opening the object.
 */
int ipcfs_op_reopen(struct ipcfs_filesystem *fs, struct ipcfs_file *file);

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
/* These always fail with EPERM: mkdir and rmdir are the only changes of names. */
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
void ipcfs_op_fallocate(fuse_req_t req, fuse_ino_t ino, int flags, off_t offset, off_t size,
			struct fuse_file_info *fi);
void ipcfs_op_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock);
void ipcfs_op_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lock,
		    int wait);
void ipcfs_op_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int operation);
void ipcfs_op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ipcfs_op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ipcfs_op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		   struct fuse_pollhandle *handle);

/* ops_file.c: closes what the group of the file has open, and frees the file. */
void ipcfs_file_close(struct ipcfs_filesystem *fs, struct ipcfs_file *file);

#endif
