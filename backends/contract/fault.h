/* SPDX-License-Identifier: MIT */
/*
 * Fault points: places at which a test can hold, kill or fail the daemon. They exist only in a
 * build with -Dfault_points=true. In every other build a point is the constant 0, and neither its
 * name nor any function of this header is in the program.
 *
 * tests/README.md says how a test uses them.
 */
#ifndef IPCFS_FAULT_H
#define IPCFS_FAULT_H

#ifdef IPCFS_FAULT_POINTS

#include <stdbool.h>

/*
 * Does what the file `point` of the directory $IPCFS_FAULTS says, and returns 0 where it says
 * nothing. Without such a file does nothing. Keeps errno.
 * Any negative errno: the file asks for it.
 */
int ipcfs_fault(const char *point);

/*
 * Counts one request for memory, a descriptor, a thread or a process. Returns whether a test wants
 * this one to fail.
 */
bool ipcfs_fault_counts(void);

#else
#define ipcfs_fault(point) 0
#endif

#endif
