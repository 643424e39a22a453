/* SPDX-License-Identifier: MIT */
#include "fs/control/events_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/contract/long_work.h"
#include "fs/access/caller.h"
#include "fs/base/clock.h"
#include "fs/base/counters.h"
#include "fs/control/status_json.h"
#include "fs/events/feed.h"
#include "fs/request/judge.h"
#include "fs/tree/hide.h"
#include "fs/tree/permission.h"

#define FULL 1 /* the next line does not fit: it stays for the next read */

/* Appends the fields of an object's event. -ENOMEM. */
static int add_object(const struct ipcfs_event *event, struct ipcfs_text *out)
{
	const struct ipcfs_class *class = event->class;
	bool acts = event->kind >= IPCFS_EVENT_HELD;
	bool unknown = !acts && event->perm.uid == (uid_t)-1; /* it had gone */
	int err;

	err = ipcfs_text_printf(out, "class=%s/%s\n", class->family, class->name);
	if (!err)
		err = ipcfs_text_pair(out, "name", event->ref.name);
	if (!err && (class->by_id || event->ref.serial))
		err = ipcfs_text_printf(out, "id=%llu\n", (unsigned long long)event->ref.serial);
	if (!err && !unknown)
		err = ipcfs_text_printf(out, "uid=%u\ngid=%u\n",
					acts ? event->actor.uid : event->perm.uid,
					acts ? event->actor.gid : event->perm.gid);
	if (!err && !acts && !unknown)
		err = ipcfs_text_printf(out, "mode=0%03o\n", (unsigned)event->perm.mode & 0777);
	return err;
}

/* Appends how the daemon knows of the event. -ENOMEM. */
static int add_source(const struct ipcfs_event *event, struct ipcfs_text *out)
{
	/* a write(2) may have extended a segment, also through the mount */
	bool changes = event->kind >= IPCFS_EVENT_CREATED && event->kind <= IPCFS_EVENT_CHANGED &&
		       strcmp(event->detail, "size") != 0;
	int err = 0;

	if (event->by_mount && event->actor.pid)
		err = ipcfs_text_printf(out, "pid=%d\n", (int)event->actor.pid);
	if (!err && (event->by_mount || changes))
		err = ipcfs_text_printf(out, "by=%s\n", event->by_mount ? "mount" : "direct");
	if (!err && event->kind == IPCFS_EVENT_LOST && event->count)
		err = ipcfs_text_printf(out, "lost=%llu\n", (unsigned long long)event->count);
	if (!err && *event->detail)
		err = ipcfs_text_pair(out, "detail", event->detail);
	return err;
}

/*
 * Appends the line of an event, unless it does not fit. -ENOMEM.
 * -EINVAL: it is the first one.
 */
static int add_line(struct ipcfs_event_reading *reading, const struct ipcfs_event *event)
{
	struct ipcfs_text fields = { 0 }, line = { 0 };
	int err;

	err = ipcfs_text_printf(&fields, "seq=%llu\ntime=%lld\nevent=%s\n",
				(unsigned long long)reading->file->events.next,
				(long long)event->time.tv_sec * 1000000 +
					event->time.tv_nsec / 1000,
				ipcfs_event_word(event->kind));
	if (!err && event->class)
		err = add_object(event, &fields);
	if (!err)
		err = add_source(event, &fields);
	if (!err)
		err = ipcfs_status_map(&reading->reader, &fields);
	if (!err)
		err = ipcfs_status_json(&fields, &line);
	if (!err && reading->looks)
		err = FULL;
	else if (!err && line.size > reading->wanted - reading->bytes.size)
		err = reading->bytes.size ? FULL : -EINVAL;
	if (!err)
		err = ipcfs_text_add(&reading->bytes, line.data, line.size);
	ipcfs_text_free(&fields);
	ipcfs_text_free(&line);
	return err;
}

/* Checks that a caller may know of an event. -EACCES, -ENOENT: it may not. -ENOMEM. */
static int check_one(const struct ipcfs_event_reading *reading, const struct ipcfs_event *event,
		     struct ipcfs_caller *caller)
{
	const struct ipcfs_filesystem *fs = reading->fs;
	const struct ipcfs_view *view = reading->file->events.feed->view;
	const struct ipcfs_space *space = ipcfs_view_space(view, event->class);
	const struct ipcfs_info info = { .ref = event->ref, .perm = event->perm };
	bool open_to_all = event->class->rule == IPCFS_RULE_SYSV && !event->class->semaphore;
	bool owns = caller->uid == event->perm.uid || caller->uid == event->perm.cuid;
	int err = 0;

	if (owns)
		return 0;
	if (event->kind != IPCFS_EVENT_DENIED)
		err = ipcfs_hide_check(fs, space, event->class, &info, caller);
	if (!err && event->kind >= IPCFS_EVENT_FULL && event->kind < IPCFS_EVENT_DENIED &&
	    !open_to_all)
		err = ipcfs_permission_check_found(space, event->class, &info, IPCFS_WANT_READ,
						   caller);
	if (!err && event->kind != IPCFS_EVENT_DENIED)
		return 0;
	/* the object may have gone, with its list */
	return err == -ENOMEM || !ipcfs_registry_check_root(view, caller)
		       ? (err == -ENOMEM ? err : 0)
		       : -EACCES;
}

/* Checks that the reader, and the opener, may know of an event. The errors of check_one. */
static int check(struct ipcfs_event_reading *reading, const struct ipcfs_event *event)
{
	int err = event->class ? check_one(reading, event, &reading->reader.caller) : 0;

	if (!err && event->class && reading->opener_too)
		err = check_one(reading, event, &reading->file->opener);
	return err;
}

/* Adds the object that the walk is at, if it is one, is still there and may be seen. */
static int add_present(struct ipcfs_event_reading *reading)
{
	struct ipcfs_event event = { .kind = IPCFS_EVENT_PRESENT };
	struct ipcfs_listing_entry entry;
	int err = ipcfs_objects_walk_entry(&reading->walk, &entry);

	if (!err && entry.has_info) {
		event.class = ipcfs_objects_walk_class(&reading->walk);
		event.ref = entry.info.ref;
		event.perm = entry.info.perm;
		clock_gettime(CLOCK_REALTIME, &event.time);
		err = check(reading, &event);
		if (!err)
			err = add_line(reading, &event);
	}
	if (err == -ENOENT || err == -EACCES)
		err = 0;
	/* after another error the lines that are there go first, and the object is tried again */
	if (!err || (err != FULL && err != -EINVAL && err != -ENOMEM && !reading->bytes.size))
		reading->file->lines.next++;
	return err;
}

/* Says that all objects were told of. The events that come next follow. */
static int add_sync(struct ipcfs_event_reading *reading)
{
	struct ipcfs_event event = { .kind = IPCFS_EVENT_SYNC };
	struct ipcfs_file *file = reading->file;
	int err;

	pthread_mutex_lock(&file->events.feed->lock);
	if (!file->events.feed->known.trailed)
		strcpy(event.detail, "sampled");
	pthread_mutex_unlock(&file->events.feed->lock);
	clock_gettime(CLOCK_REALTIME, &event.time);
	err = add_line(reading, &event);
	if (err)
		return err;
	file->events.stage = IPCFS_READER_FOLLOWS;
	pthread_mutex_lock(&file->lock);
	ipcfs_listing_free(file->directory.listing);
	free(file->directory.listing);
	file->directory.listing = NULL;
	(void)ipcfs_file_charge(reading->fs, file); /* fewer bytes never fail */
	pthread_mutex_unlock(&file->lock);
	return 0;
}

static int walk(struct ipcfs_event_reading *reading)
{
	int step = ipcfs_objects_walk_step(&reading->walk, reading->bytes.size);

	if (step == IPCFS_WALK_AT_END)
		return add_sync(reading);
	return step == IPCFS_WALK_AT_NAME ? add_present(reading) : step;
}

/* Adds the next event, if the reader may know of it. -EAGAIN: there is none yet. */
static int follow(struct ipcfs_event_reading *reading)
{
	struct ipcfs_event_reader *reader = &reading->file->events;
	struct ipcfs_event event;
	uint64_t moves;
	int err;

	pthread_mutex_lock(&reader->feed->lock);
	moves = ipcfs_ring_read(&reader->feed->ring, reader->next, &event);
	pthread_mutex_unlock(&reader->feed->lock);
	if (!moves)
		return -EAGAIN;
	err = check(reading, &event);
	if (!err)
		err = add_line(reading, &event);
	if (err && err != -EACCES && err != -ENOENT)
		return err;
	if (!err && event.kind == IPCFS_EVENT_LOST)
		ipcfs_count_events_lost(moves);
	reader->next += moves;
	return 0;
}

/* Begins the walk, when the feed knows what is there: what happens from now on is an event. */
static int begin(struct ipcfs_event_reading *reading)
{
	struct ipcfs_event_reader *reader = &reading->file->events;
	int err;

	pthread_mutex_lock(&reader->feed->lock);
	err = reader->feed->ready ? 0 : -EAGAIN;
	reader->next = reader->feed->ring.next;
	pthread_mutex_unlock(&reader->feed->lock);
	if (!err)
		reader->stage = IPCFS_READER_WALKS;
	return err;
}

/* Takes one step. Errors as of ipcfs_events_fill. */
static int go_on(struct ipcfs_event_reading *reading)
{
	struct ipcfs_file *file = reading->file;
	int err;

	switch (file->events.stage) {
	case IPCFS_READER_STARTS:
		return begin(reading);
	case IPCFS_READER_WALKS:
		err = reading->walk.file ? 0
					 : ipcfs_objects_walk_begin(&reading->walk, reading->fs,
								    file, &reading->reader.caller);
		return err ? err : walk(reading);
	default:
		return follow(reading);
	}
}

/* Takes steps for a few ms, or until there are enough bytes. The errors of go_on. */
static int take_steps(struct ipcfs_event_reading *reading)
{
	uint64_t end = ipcfs_clock_ns() + IPCFS_OBJECTS_WALK_NS;
	int err = 0;

	while (!err && ipcfs_clock_ns() < end)
		err = go_on(reading);
	return err;
}

/*
 * Tells whether there is no event for a reader that follows, whoever it is. Of many reads that wait
 * for an event all but one find that.
 */
static bool is_at_end(const struct ipcfs_event_reader *reader)
{
	bool at_end;

	pthread_mutex_lock(&reader->feed->lock);
	at_end = reader->stage == IPCFS_READER_FOLLOWS && reader->next >= reader->feed->ring.next;
	pthread_mutex_unlock(&reader->feed->lock);
	return at_end;
}

int ipcfs_events_fill(struct ipcfs_event_reading *reading)
{
	int err;

	if (is_at_end(&reading->file->events))
		return -EAGAIN;
	err = ipcfs_status_reader_begin(reading->req, &reading->reader);
	reading->opener_too = !ipcfs_caller_is_within(&reading->reader.caller,
						      &reading->file->opener);
	while (!err && !reading->bytes.size) {
		err = fuse_req_interrupted(reading->req) ? -EINTR : take_steps(reading);
		if (!err && !reading->bytes.size)
			err = ipcfs_long_work(); /* it goes on from where it has got to */
	}
	ipcfs_status_reader_end(&reading->reader);
	return err == FULL || reading->bytes.size ? 0 : err;
}
