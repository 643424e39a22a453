/* SPDX-License-Identifier: MIT */
/*
 * uthash, set so that HASH_ADD does not end the process when memory runs out: the item was not
 * added if its hh.tbl is NULL.
 */
#ifndef IPCFS_HASH_H
#define IPCFS_HASH_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#endif
