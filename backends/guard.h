/* SPDX-License-Identifier: MIT */
/*
 * Touching memory that others can take away: a mapped file that is truncated sends SIGBUS to whoever
 * reads or writes behind its end.
 */
#ifndef IPCFS_GUARD_H
#define IPCFS_GUARD_H

#include <stddef.h>

/*
 * Call body(arg), which touches the `size` bytes at `start`. 0, or -EFAULT: some of them were not
 * there, and body was left in the middle. It holds no lock and owns nothing then, and calls nothing that
 * does. SIGBUS elsewhere, and outside of a guarded call, ends the process as ever.
 */
int ipcfs_guard(const volatile void *start, size_t size, void (*body)(void *arg), void *arg);

#endif
