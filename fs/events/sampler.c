/* SPDX-License-Identifier: MIT */
#include "fs/events/sampler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/contract/trail.h"
#include "fs/base/clock.h"
#include "fs/events/known.h"
#include "fs/events/known_record.h"

#define LOOK_MS 200 /* between two looks */
#define REST 4	    /* times as long as the look took, if that is longer */
#define ACT_MS 500  /* a look waits no longer for one caller of the mount */
#define ACT_STEP_MS 1
#define MS UINT64_C(1000000)
#define TRAILS_MAX 8	/* each is an instance of inotify(7), of 128 that root has */
#define PACE_MS 5	/* between two steps of a trail */
#define RECORD_STEPS 64 /* of a trail in one look, a few hundred records each */

/* What one step of a walk has seen. */
struct step {
	const struct ipcfs_class *class;
	const struct ipcfs_space *space;
	unsigned *patience;	/* ms that the look still waits for callers of the mount */
	struct ipcfs_text seen; /* array of struct ipcfs_info */
};

/* Returns whether the class tells more by `stat` than `find` does. */
static bool needs_stat(const struct ipcfs_class *class)
{
	return class->queue || (class->segment && class->segment->memory);
}

/* Keeps an object as it is now. One that is gone is left out. For class->walk. */
static int see_one(void *arg, const struct ipcfs_info *walked)
{
	struct step *step = arg;
	struct ipcfs_info info = { 0 };
	int err = ipcfs_walk_find(step->class, step->space, walked, &info);

	if (!err && needs_stat(step->class)) {
		const struct ipcfs_ref found = info.ref;

		err = step->class->stat(step->space, &found, &info);
		info.ref = found;
	}
	if (err == -ENOENT || err == -EIDRM || err == -ESTALE)
		return 0;
	return err ? err : ipcfs_text_add(&step->seen, &info, sizeof(info));
}

/* Waits for a moment, or until the feed ends. Returns whether it has. Call with the lock held. */
static bool ends_within(struct ipcfs_feed *feed, uint64_t ms)
{
	struct timespec end = ipcfs_clock_after(CLOCK_MONOTONIC, (unsigned)ms);
	int err = 0;

	while (!feed->ended && !err)
		err = pthread_cond_timedwait(&feed->sample, &feed->lock, &end);
	return feed->ended;
}

/*
 * Waits until there is no act of a phase, while others begin in the other one. Returns whether
 * there is none. Call with the lock held.
 */
static bool acts_end(struct ipcfs_feed *feed, unsigned phase, unsigned *patience)
{
	struct ipcfs_events *events = feed->events;

	while (atomic_load(&events->acts[phase])) {
		if (atomic_load(&events->phase) % 2 == phase)
			atomic_fetch_add(&events->phase, 1);
		if (!*patience || ends_within(feed, ACT_STEP_MS))
			return false;
		*patience -= ACT_STEP_MS;
	}
	return true;
}

/*
 * Waits until all callers of the mount that are in an act now have told what they have done: the
 * step may have seen it. An act that takes long is waited for once in a look. Call with the lock
 * held.
 */
static void let_acts_end(struct ipcfs_feed *feed, unsigned *patience)
{
	if (acts_end(feed, 0, patience) && acts_end(feed, 1, patience))
		*patience = ACT_MS;
}

/* Compares what the step has seen. */
static void take_step(struct ipcfs_feed *feed, const struct step *step)
{
	const struct ipcfs_finding finding = { ipcfs_feed_found, feed };
	const struct ipcfs_info *infos = (const void *)step->seen.data;

	pthread_mutex_lock(&feed->lock);
	let_acts_end(feed, step->patience);
	for (size_t i = 0; i < step->seen.size / sizeof(*infos); i++)
		ipcfs_known_see(&feed->known, step->class, &infos[i], &finding);
	pthread_mutex_unlock(&feed->lock);
}

static bool has_ended(struct ipcfs_feed *feed)
{
	bool ended;

	pthread_mutex_lock(&feed->lock);
	ended = feed->ended;
	pthread_mutex_unlock(&feed->lock);
	return ended;
}

/* Tells that so many events are not told. Call with the lock held. */
static void add_lost(struct ipcfs_feed *feed, uint64_t count, const char *detail)
{
	struct ipcfs_event event = { .kind = IPCFS_EVENT_LOST, .count = count };

	snprintf(event.detail, sizeof(event.detail), "%s", detail);
	ipcfs_feed_add(feed, &event);
}

/* A record, and what its name leads to since. */
struct found_record {
	struct ipcfs_trail_record record;
	struct ipcfs_info info;
	bool there;
};

/* Records of a trail that are not told yet. */
struct records {
	struct ipcfs_feed *feed;
	struct ipcfs_text all; /* array of struct found_record */
};

/* Keeps a record. For ipcfs_trail_read. */
static int keep_record(void *arg, const struct ipcfs_trail_record *record)
{
	struct records *records = arg;
	const struct ipcfs_space *space = ipcfs_view_space(records->feed->view, record->class);
	struct found_record found = { .record = *record };

	if (record->kind == IPCFS_TRAIL_MADE)
		found.there = !record->class->find(space, record->name, &found.info);
	return ipcfs_text_add(&records->all, &found, sizeof(found));
}

/*
 * Takes the records that were kept. Then gives readers a moment of `pace` ms, as the ring has no
 * room for many steps. Returns whether the feed has ended.
 */
static bool take_records(struct records *records, bool overtaken, uint64_t pace, unsigned *patience)
{
	struct ipcfs_feed *feed = records->feed;
	const struct ipcfs_finding finding = { ipcfs_feed_found, feed };
	const struct found_record *found = (const void *)records->all.data;
	bool ended;

	pthread_mutex_lock(&feed->lock);
	let_acts_end(feed, patience);
	for (size_t i = 0; i < records->all.size / sizeof(*found); i++)
		ipcfs_known_record(&feed->known, &found[i].record,
				   found[i].there ? &found[i].info : NULL, &finding);
	if (overtaken) {
		ipcfs_known_overtaken(&feed->known);
		add_lost(feed, 0, "acts");
	}
	ended = ends_within(feed, pace);
	pthread_mutex_unlock(&feed->lock);
	ipcfs_text_cut(&records->all, 0);
	return ended;
}

static void end_trail(struct ipcfs_feed *feed, struct ipcfs_trail *trail)
{
	if (trail->inotify < 0)
		return;
	ipcfs_trail_close(trail);
	atomic_fetch_sub(&feed->events->trails, 1);
}

/* Has looks alone tell of POSIX objects from now on, and says so. */
static void give_up_trail(struct ipcfs_feed *feed, struct ipcfs_trail *trail)
{
	end_trail(feed, trail);
	pthread_mutex_lock(&feed->lock);
	feed->known.trailed = false;
	add_lost(feed, 0, "acts");
	pthread_mutex_unlock(&feed->lock);
}

/* Opens the feed's trail, unless there are too many. */
static void begin_trail(struct ipcfs_feed *feed, struct ipcfs_trail *trail)
{
	const struct ipcfs_view *view = feed->view;

	trail->inotify = -1;
	if (atomic_fetch_add(&feed->events->trails, 1) >= TRAILS_MAX ||
	    ipcfs_trail_open(trail, view->ipc, view->shm)) {
		atomic_fetch_sub(&feed->events->trails, 1);
		return;
	}
	pthread_mutex_lock(&feed->lock);
	feed->known.trailed = true;
	pthread_mutex_unlock(&feed->lock);
}

/* Tells what the trail says of the time since the last look. */
static void follow_trail(struct ipcfs_feed *feed, struct ipcfs_trail *trail, unsigned *patience)
{
	struct records records = { .feed = feed };
	int more = trail->inotify < 0 ? 0 : 1;

	for (unsigned i = 0; more == 1 && i < RECORD_STEPS; i++) {
		bool overtaken;

		more = ipcfs_trail_read(trail, keep_record, &records);
		overtaken = more == -EOVERFLOW || more == -ENOMEM;
		if (overtaken)
			more = 1;
		if (take_records(&records, overtaken, more ? PACE_MS : 0, patience))
			break;
	}
	ipcfs_text_free(&records.all);
	pthread_mutex_lock(&feed->lock);
	feed->known.behind = more == 1;
	pthread_mutex_unlock(&feed->lock);
	if (more < 0)
		give_up_trail(feed, trail);
}

/* Looks at the objects of a class. After an error none is told as removed. */
static void look_at_class(struct ipcfs_feed *feed, const struct ipcfs_class *class,
			  unsigned *patience)
{
	const struct ipcfs_finding finding = { ipcfs_feed_found, feed };
	struct ipcfs_walk walk = IPCFS_WALK_START;
	struct step step = {
		.class = class,
		.space = ipcfs_view_space(feed->view, class),
		.patience = patience,
	};
	int more;

	do {
		ipcfs_text_cut(&step.seen, 0);
		more = class->walk(step.space, &walk, see_one, &step);
		if (more >= 0)
			take_step(feed, &step);
	} while (more == 1 && !has_ended(feed));
	ipcfs_walk_end(&walk);
	ipcfs_text_free(&step.seen);
	if (more)
		return;
	pthread_mutex_lock(&feed->lock);
	ipcfs_known_sweep(&feed->known, class, &finding);
	pthread_mutex_unlock(&feed->lock);
}

/* Begins a look: the first one, if readers have left who paid for what is known. */
static void begin_look(struct ipcfs_feed *feed)
{
	pthread_mutex_lock(&feed->lock);
	if (feed->spilled) {
		ipcfs_known_free(&feed->known);
		feed->spilled = false;
		add_lost(feed, 0, "acts");
	}
	ipcfs_known_begin(&feed->known);
	pthread_mutex_unlock(&feed->lock);
}

/* Ends a look: tells how many objects are not known, once. */
static void end_look(struct ipcfs_feed *feed)
{
	struct ipcfs_known *known = &feed->known;

	pthread_mutex_lock(&feed->lock);
	if (known->left_out > known->left_last)
		add_lost(feed, known->left_out - known->left_last, "objects");
	if (known->untold)
		add_lost(feed, known->untold, "acts");
	ipcfs_known_end(known);
	ipcfs_feed_shrink(feed);
	if (!feed->ready)
		ipcfs_feed_has_news(feed);
	feed->ready = true;
	pthread_mutex_unlock(&feed->lock);
}

static void look(struct ipcfs_feed *feed, struct ipcfs_trail *trail)
{
	const struct ipcfs_space *before;
	unsigned patience = ACT_MS;

	if (ipcfs_space_enter(feed->view->ipc, &before))
		return; /* the next look tries again */
	begin_look(feed);
	follow_trail(feed, trail, &patience);
	/* what is in a space of its own is in no namespace */
	for (size_t i = 0; ipcfs_classes[i]; i++)
		if (!ipcfs_classes[i]->space)
			look_at_class(feed, ipcfs_classes[i], &patience);
	ipcfs_space_leave(before);
	end_look(feed);
}

void ipcfs_sampler_run(struct ipcfs_feed *feed)
{
	struct ipcfs_trail trail;
	bool ended;

	ipcfs_space_start_home();
	begin_trail(feed, &trail);
	do {
		uint64_t start = ipcfs_clock_ns(), rest;

		look(feed, &trail);
		/* all feeds together use the processor no more than one alone */
		rest = (ipcfs_clock_ns() - start) * REST * atomic_load(&feed->events->count) / MS;
		pthread_mutex_lock(&feed->lock);
		ended = ends_within(feed, rest > LOOK_MS ? rest : LOOK_MS);
		pthread_mutex_unlock(&feed->lock);
	} while (!ended);
	end_trail(feed, &trail);
}
