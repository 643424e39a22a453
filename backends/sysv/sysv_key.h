/* SPDX-License-Identifier: MIT */
/*
 * Names of System V objects. An object with a key has the name 0x%08x of its key, an object without
 * one has its id in decimal. A key may also be written with fewer or more zeros and in upper case,
 * but not in decimal. All functions are pure.
 */
#ifndef IPCFS_SYSV_KEY_H
#define IPCFS_SYSV_KEY_H

#include <limits.h>
#include <stdint.h>

/* The name by which an object without a key is made. */
#define IPCFS_SYSV_PRIVATE "private"

/*
 * Parses a key in any spelling.
 * -EINVAL: this is no key, or it is 0, which means IPC_PRIVATE.
 */
int ipcfs_sysv_key_parse(const char *name, uint32_t *key);

/*
 * Parses an id: decimal, without a sign or leading zeros, at most INT_MAX.
 * -EINVAL: this is no id.
 */
int ipcfs_sysv_id_parse(const char *name, int *id);

/* Formats the canonical name of the object with this key (0: none) and id. */
void ipcfs_sysv_name(uint32_t key, int id, char name[NAME_MAX + 1]);

/*
 * Checks that an object of this name can be made: a key in any spelling, or IPCFS_SYSV_PRIVATE.
 * -EINVAL, -ENAMETOOLONG.
 */
int ipcfs_sysv_name_check(const char *name);

#endif
