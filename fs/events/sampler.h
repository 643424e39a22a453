/* SPDX-License-Identifier: MIT */
/* The looks at the objects of a view, for the events that no caller of the mount tells of. */
#ifndef IPCFS_SAMPLER_H
#define IPCFS_SAMPLER_H

#include "fs/events/feed.h"

/* Looks at the feed's objects until the feed ends. Runs in a thread of its own. */
void ipcfs_sampler_run(struct ipcfs_feed *feed);

#endif
