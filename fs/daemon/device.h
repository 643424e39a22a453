/* SPDX-License-Identifier: MIT */
/* How libfuse reads and writes /dev/fuse. */
#ifndef IPCFS_DEVICE_H
#define IPCFS_DEVICE_H

struct fuse_session;

/*
 * Makes libfuse send short replies by write(2), which costs the kernel less than writev(2), and
 * say nothing about memory that was taken away while the kernel read a reply from it. Counts the
 * errors of replies. Call once, after fuse_session_mount. -ENOMEM.
 */
int ipcfs_device_use(struct fuse_session *session);

#endif
