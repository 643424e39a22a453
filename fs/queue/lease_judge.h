/* SPDX-License-Identifier: MIT */
/* Verdicts: what is written to `lease`. */
#ifndef IPCFS_LEASE_JUDGE_H
#define IPCFS_LEASE_JUDGE_H

#include "fs/request/file.h"

/*
 * Handles a write, which is one verdict, and answers it, at once or, if a broker is to be told,
 * when that is done:
 * -EINVAL, -ENAMETOOLONG: it is none. As after each error, nothing is changed.
 * -EPERM: no message is leased, or the writer has a right that the opener did not have.
 * -ENOENT, -EACCES: `dead QUEUE`: there is no such queue, or the writer may not send there.
 * -EMSGSIZE, -EAGAIN: `dead QUEUE`: the message is too long for it, or it has no room now.
 * -EHOSTDOWN: `dead QUEUE`, of a broker: the message may be there all the same.
 * -EINTR: a broker may be told all the same, or the message be there. The file has its lease still.
 * -ENOMEM
 * After the errors of `settle`, and -EHOSTDOWN where it does not end, the file has no lease any
 * more.
 */
void ipcfs_lease_write(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io);

#endif
