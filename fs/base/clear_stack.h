/* SPDX-License-Identifier: MIT */
/* Bytes of messages on the stacks of threads, and in their registers. */
#ifndef IPCFS_CLEAR_STACK_H
#define IPCFS_CLEAR_STACK_H

/*
 * Clears 12 KiB of the stack below the caller's frame, enough for a signal's frame below the
 * deepest call, and the registers that the C library copies with. Copying a message leaves bytes of
 * it there, and a signal or a call saves the registers on the stack: a thread that waits would keep
 * these bytes.
 */
void ipcfs_clear_stack(void);

#endif
