/* SPDX-License-Identifier: MIT */
/*
 * The files that show or set something: create, limits/, objects, status, qbytes, peek/. Making
 * objects.
 * Called by ops/.
 * Calls queue/, semaphore/, segment/ and the rooms below them.
 */
#ifndef IPCFS_CONTROL_H
#define IPCFS_CONTROL_H

#include "fs/request/file_ops.h"

extern const struct ipcfs_file_ops ipcfs_control_file_ops;

#endif
