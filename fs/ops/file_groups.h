/* SPDX-License-Identifier: MIT */
/* The operations of the groups of files. */
#ifndef IPCFS_FILE_GROUPS_H
#define IPCFS_FILE_GROUPS_H

#include "fs/request/file_ops.h"

/* Returns the operations on files of this kind. Those of directories and links are all NULL. */
const struct ipcfs_file_ops *ipcfs_ops_of(enum ipcfs_node_kind kind);

#endif
