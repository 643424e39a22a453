/* SPDX-License-Identifier: MIT */
/*
 * How System V objects are named. An object with a key is named by it, 0x%08x; one without by its
 * decimal id. A key may be written with fewer or more zeros and in upper case, never in decimal. Pure.
 */
#ifndef IPCFS_SYSV_KEY_H
#define IPCFS_SYSV_KEY_H

#include <limits.h>
#include <stdint.h>

/* "private": what asks for a new object without a key. */
#define IPCFS_SYSV_PRIVATE "private"

/* A key in any spelling. -EINVAL: it is none, or 0, which is no key but IPC_PRIVATE. */
int ipcfs_sysv_key_parse(const char *name, uint32_t *key);

/* An id: decimal, no sign, no leading zeros, at most INT_MAX. -EINVAL: it is none. */
int ipcfs_sysv_id_parse(const char *name, int *id);

/* The canonical name of the object with this key (0: none) and id. */
void ipcfs_sysv_name(uint32_t key, int id, char name[NAME_MAX + 1]);

/*
 * Could an object of this name be made: a key in any spelling, or IPCFS_SYSV_PRIVATE? 0, -EINVAL,
 * -ENAMETOOLONG.
 */
int ipcfs_sysv_name_check(const char *name);

#endif
