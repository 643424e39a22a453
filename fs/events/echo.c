/* SPDX-License-Identifier: MIT */
#include "fs/events/echo.h"

#include <stdio.h>
#include <unistd.h>

void ipcfs_echo_order(const struct ipcfs_echo *echo, const struct ipcfs_event *event)
{
	struct ipcfs_echo_order order = { .makes = event->kind == IPCFS_EVENT_CREATED };

	if (event->by_mount ||
	    (event->kind != IPCFS_EVENT_CREATED && event->kind != IPCFS_EVENT_REMOVED))
		return;
	snprintf(order.path, sizeof(order.path), "%s/%s/%s", event->class->family,
		 event->class->name, event->ref.name);
	if (write(echo->orders, &order, sizeof(order)) < 0)
		return; /* the pipe is full, or the process has ended */
}
