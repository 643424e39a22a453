/* SPDX-License-Identifier: MIT */
/* Whether two programs mean the same by the state that a worker leaves (base/legacy.h). */
#ifndef IPCFS_STATE_LAYOUT_H
#define IPCFS_STATE_LAYOUT_H

#include <stdint.h>

/*
 * Returns a number that programs with the same layout have in common: the sizes and offsets of what
 * the legacy and the ledger have, the kinds of files, the classes, and a name for the rest.
 */
uint64_t ipcfs_state_layout(void);

#endif
