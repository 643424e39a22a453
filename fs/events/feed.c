/* SPDX-License-Identifier: MIT */
#include "fs/events/feed.h"

#include <stdio.h>

#include "fs/base/counters.h"
#include "fs/events/echo.h"

void ipcfs_feed_has_news(struct ipcfs_feed *feed)
{
	feed->changes++;
	feed->news = true;
	pthread_cond_signal(&feed->serve);
}

void ipcfs_feed_add(struct ipcfs_feed *feed, struct ipcfs_event *event)
{
	clock_gettime(CLOCK_REALTIME, &event->time);
	ipcfs_count_event(ipcfs_event_word(event->kind));
	ipcfs_ring_add(&feed->ring, event);
	if (feed->echo)
		ipcfs_echo_order(feed->echo, event);
	ipcfs_feed_has_news(feed);
}

void ipcfs_feed_found(void *feed, enum ipcfs_event_kind kind, const struct ipcfs_class *class,
		      const struct ipcfs_info *info, const char *detail)
{
	struct ipcfs_event event = {
		.kind = kind,
		.class = class,
		.ref = info->ref,
		.perm = info->perm,
	};

	snprintf(event.detail, sizeof(event.detail), "%s", detail);
	ipcfs_feed_add(feed, &event);
}
