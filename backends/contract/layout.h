/* SPDX-License-Identifier: MIT */
/*
 * The layout of the state that one program leaves to the next one, as a hash of sizes, offsets and
 * names. Each unit that writes into the ledger adds its own. Pure.
 */
#ifndef IPCFS_LAYOUT_H
#define IPCFS_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

/* Adds numbers, or a name, to a hash. Returns the new one. */
uint64_t ipcfs_layout_numbers(uint64_t hash, const uint64_t *numbers, size_t count);
uint64_t ipcfs_layout_name(uint64_t hash, const char *name);

#endif
