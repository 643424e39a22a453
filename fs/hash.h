/* SPDX-License-Identifier: MIT */
/*
 * uthash, told that running out of memory is an answer: after HASH_ADD an item whose hh.tbl is NULL
 * was not added.
 */
#ifndef IPCFS_HASH_H
#define IPCFS_HASH_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#endif
