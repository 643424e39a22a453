/* SPDX-License-Identifier: MIT */
/* How libfuse reads and writes /dev/fuse. */
#ifndef IPCFS_DEVICE_H
#define IPCFS_DEVICE_H

struct fuse_session;
struct ipcfs_legacy;

/*
 * Makes libfuse send short replies by write(2), which costs the kernel less than writev(2), and
 * say nothing about memory that was taken away while the kernel read a reply from it. Counts the
 * errors of replies. Notes what `legacy` has to know, unless that is NULL. Call once, after
 * fuse_session_mount. -ENOMEM.
 */
int ipcfs_device_use(struct fuse_session *session, struct ipcfs_legacy *legacy);

/*
 * Has libfuse handle the INIT request that an earlier worker has read, and drops the answer, which
 * the kernel got then. Call while there is one thread. -EPROTO: libfuse refuses it, or would answer
 * another thing now, which was logged.
 */
int ipcfs_device_replay_init(struct fuse_session *session);

#endif
