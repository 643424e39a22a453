/* SPDX-License-Identifier: MIT */
/* Bytes of messages on the stacks of threads. */
#ifndef IPCFS_CLEAR_STACK_H
#define IPCFS_CLEAR_STACK_H

/*
 * Clears 12 KiB of the stack below the caller's frame, enough for a signal's frame below the
 * deepest call. Copying a message leaves bytes of it in the processor's registers, and a signal or
 * a call saves the registers on the stack: a thread that waits would keep these bytes.
 */
void ipcfs_clear_stack(void);

#endif
