/* SPDX-License-Identifier: MIT */
/*
 * The answers to the process of -o inotify (fs/events/echo.h). It makes and removes directories of
 * objects that a direct caller has made and removed; nothing of that reaches an object. Each returns
 * whether the request was one of the process, and has its answer.
 */
#ifndef IPCFS_ECHO_OPS_H
#define IPCFS_ECHO_OPS_H

#include "fs/tree/state.h"

bool ipcfs_echo_lookup(fuse_req_t req, const struct ipcfs_node *directory, const char *name);
bool ipcfs_echo_mkdir(fuse_req_t req, const struct ipcfs_node *directory, const char *name);
bool ipcfs_echo_rmdir(fuse_req_t req, const struct ipcfs_node *directory);

#endif
