/* SPDX-License-Identifier: MIT */
/* Waits whose requests the kernel has interrupted. For the loop thread of the wait room only. */
#ifndef IPCFS_INTERRUPTS_H
#define IPCFS_INTERRUPTS_H

#include <stdbool.h>

struct ipcfs_waits;

/*
 * Ends the waits that are interrupted. A waiter whose thread has nothing but signals pending that
 * are ignored by default goes on waiting. With `ignored_too` looks again at such waiters. One that
 * is interrupted meanwhile has woken the loop thread again.
 */
void ipcfs_interrupts_handle(struct ipcfs_waits *waits, bool ignored_too);

#endif
