/* SPDX-License-Identifier: MIT */
/* What the readers of a feed pay for what it knows. */
#include <utlist.h>

#include "fs/access/quota.h"
#include "fs/events/feed.h"

#define STEP ((size_t)256 * 1024) /* bytes that are charged at once */

static size_t in_steps(size_t bytes)
{
	return (bytes + STEP - 1) / STEP * STEP;
}

static int charge(const struct ipcfs_feed *feed, struct ipcfs_event_reader *reader, size_t bytes)
{
	return ipcfs_quota_recharge(feed->events->quota, reader->uid, &reader->charged, bytes);
}

bool ipcfs_feed_grow(void *arg, size_t more)
{
	struct ipcfs_feed *feed = arg;
	size_t wanted = in_steps(feed->known.bytes + more);
	struct ipcfs_event_reader *reader;
	bool paid = false;

	DL_FOREACH2(feed->all, reader, next_reader)
	paid = !charge(feed, reader, wanted) || paid;
	if (paid)
		feed->known.room = wanted;
	return paid;
}

void ipcfs_feed_join_charge(struct ipcfs_feed *feed, struct ipcfs_event_reader *reader)
{
	size_t wanted = feed->known.room;

	while (wanted && charge(feed, reader, wanted))
		wanted = wanted > STEP ? in_steps(wanted / 2) : 0;
}

void ipcfs_feed_leave_charge(struct ipcfs_feed *feed, struct ipcfs_event_reader *left)
{
	struct ipcfs_event_reader *reader;
	size_t most = 0;

	(void)charge(feed, left, 0); /* fewer bytes never fail */
	DL_FOREACH2(feed->all, reader, next_reader)
	if (reader->charged > most)
		most = reader->charged;
	feed->known.room = most;
	feed->spilled = feed->known.bytes > most;
}

void ipcfs_feed_shrink(struct ipcfs_feed *feed)
{
	size_t enough = in_steps(feed->known.bytes) + STEP;
	struct ipcfs_event_reader *reader;

	if (feed->known.room <= enough)
		return;
	DL_FOREACH2(feed->all, reader, next_reader)
	if (reader->charged > enough)
		(void)charge(feed, reader, enough);
	feed->known.room = enough;
}
