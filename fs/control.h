/* SPDX-License-Identifier: MIT */
/* The files that are text: status, qbytes, peek/, limits/, create. */
#ifndef IPCFS_CONTROL_H
#define IPCFS_CONTROL_H

#include "open.h"

/* May this file be opened so? -EPERM: it can't be written; -EACCES; -ESTALE: the object is gone. */
int ipcfs_control_open(fuse_req_t req, struct ipcfs_open *open);

/* How many bytes reading it now would give the caller; 0 where it can't be read. */
size_t ipcfs_control_size(fuse_req_t req, const struct ipcfs_node *node);

/* Requests; each is answered here. */
void ipcfs_control_read(fuse_req_t req, struct ipcfs_open *open, size_t size, off_t offset);
void ipcfs_control_write(fuse_req_t req, struct ipcfs_open *open, const char *bytes, size_t size);

#endif
