/* SPDX-License-Identifier: MIT */
/*
 * Touching memory that others can take away: a mapped file that is truncated sends SIGBUS to whoever
 * reads or writes behind its end.
 */
#ifndef IPCFS_GUARD_H
#define IPCFS_GUARD_H

#include <stddef.h>

/*
 * For what is called so: a sanitizer's own code may hold locks while it touches memory for us, and
 * can't be left in the middle.
 */
#if defined(__clang__)
#define IPCFS_GUARDED __attribute__((disable_sanitizer_instrumentation))
#else
#define IPCFS_GUARDED __attribute__((no_sanitize("thread")))
#endif

/*
 * Call body(arg), which is IPCFS_GUARDED and touches the `size` bytes at `start`. 0, or -EFAULT: some
 * of them were not there, and body was left in the middle. It holds no lock and owns nothing then,
 * and calls nothing that does. SIGBUS elsewhere, and outside of a guarded call, ends the process as
 * ever.
 */
int ipcfs_guard(const volatile void *start, size_t size, void (*body)(void *arg), void *arg);

#endif
