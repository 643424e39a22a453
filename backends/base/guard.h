/* SPDX-License-Identifier: MIT */
/*
 * For: touching memory that another process can take away; orders to helper processes (order.h).
 * Called by: every room of backends/.
 * May call: the C library.
 *
 * A read or write behind the end of a mapped file raises SIGBUS, and any process that may write the
 * file can truncate it.
 */
#ifndef IPCFS_GUARD_H
#define IPCFS_GUARD_H

#include <stddef.h>

/*
 * Marks the body of a guarded call, which has to be compiled without a sanitizer: the sanitizer's
 * own code may hold locks while it touches memory for the body, and must not be left in the middle.
 */
#if defined(__clang__)
#define IPCFS_GUARDED __attribute__((disable_sanitizer_instrumentation))
#else
#define IPCFS_GUARDED __attribute__((no_sanitize("thread")))
#endif

/*
 * Calls body(arg), which touches the `size` bytes at `start`, and returns 0.
 * -EFAULT: some of these bytes are not there. body was left in the middle.
 *
 * As body may be left at any access, it is marked IPCFS_GUARDED, holds no lock, owns nothing, and
 * calls no function that does. A SIGBUS at another address, or outside of a guarded call, ends the
 * process.
 */
int ipcfs_guard(const volatile void *start, size_t size, void (*body)(void *arg), void *arg);

#endif
