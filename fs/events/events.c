/* SPDX-License-Identifier: MIT */
#include "fs/events/events.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <utlist.h>

#include "fs/base/clock.h"
#include "fs/events/known.h"
#include "fs/events/sampler.h"

void ipcfs_events_init(struct ipcfs_events *events, struct ipcfs_quota *quota,
		       void (*serve)(struct ipcfs_feed *feed))
{
	*events = (struct ipcfs_events){ .serve = serve, .quota = quota };
	pthread_mutex_init(&events->lock, NULL);
	pthread_cond_init(&events->freed, NULL);
}

void ipcfs_events_destroy(struct ipcfs_events *events)
{
	pthread_cond_destroy(&events->freed);
	pthread_mutex_destroy(&events->lock);
}

unsigned ipcfs_events_begin_act(struct ipcfs_events *events)
{
	unsigned act = atomic_load(&events->phase) % 2;

	atomic_fetch_add(&events->acts[act], 1);
	return act;
}

void ipcfs_events_end_act(struct ipcfs_events *events, unsigned act)
{
	atomic_fetch_sub(&events->acts[act], 1);
}

/* Notes what a caller of the mount did. Returns false where a look has told of it already. */
static bool note(struct ipcfs_feed *feed, const struct ipcfs_event *event)
{
	const struct ipcfs_info info = { .ref = event->ref, .perm = event->perm };
	const struct ipcfs_finding finding = { ipcfs_feed_found, feed };
	struct ipcfs_known *known = &feed->known;

	switch (event->kind) {
	case IPCFS_EVENT_CREATED:
		return ipcfs_known_created(known, event->class, &info, &finding);
	case IPCFS_EVENT_REMOVED:
		return ipcfs_known_removed(known, event->class, &info, &finding);
	case IPCFS_EVENT_CHANGED:
		ipcfs_known_changed(known, event->class, &event->ref);
		return true;
	default:
		return true;
	}
}

void ipcfs_events_tell(struct ipcfs_events *events, const struct ipcfs_space *space,
		       struct ipcfs_event *event)
{
	struct ipcfs_feed *feed;

	if (!ipcfs_events_wanted(events))
		return;
	event->by_mount = true;
	pthread_mutex_lock(&events->lock);
	DL_FOREACH (events->feeds, feed) {
		if (ipcfs_view_space(feed->view, event->class) != space)
			continue;
		pthread_mutex_lock(&feed->lock);
		if (note(feed, event))
			ipcfs_feed_add(feed, event);
		pthread_mutex_unlock(&feed->lock);
	}
	pthread_mutex_unlock(&events->lock);
}

/* Has the feed's threads end, and its reads fail with `reason`. Call with events->lock held. */
static void end(struct ipcfs_feed *feed, int reason)
{
	pthread_mutex_lock(&feed->lock);
	if (!feed->ended)
		feed->ended = reason;
	pthread_cond_signal(&feed->sample);
	ipcfs_feed_has_news(feed);
	pthread_mutex_unlock(&feed->lock);
}

static void feed_free(struct ipcfs_feed *feed)
{
	ipcfs_ring_free(&feed->ring);
	ipcfs_known_free(&feed->known);
	pthread_cond_destroy(&feed->sample);
	pthread_cond_destroy(&feed->serve);
	pthread_mutex_destroy(&feed->lock);
	ipcfs_view_unref(feed->view);
	free(feed);
}

/* Frees a feed that has neither readers nor threads any more. Call with events->lock held. */
static void free_unused(struct ipcfs_feed *feed)
{
	struct ipcfs_events *events = feed->events;

	if (feed->readers || feed->threads)
		return;
	feed_free(feed);
	events->alive--;
	pthread_cond_broadcast(&events->freed);
}

static void thread_ends(struct ipcfs_feed *feed)
{
	struct ipcfs_events *events = feed->events;

	pthread_mutex_lock(&events->lock);
	feed->threads--;
	pthread_cond_broadcast(&events->freed);
	free_unused(feed);
	pthread_mutex_unlock(&events->lock);
}

static void *sampler(void *arg)
{
	ipcfs_sampler_run(arg);
	thread_ends(arg);
	return NULL;
}

/* Serves until the feed has ended and every read has its answer. */
static void *server(void *arg)
{
	struct ipcfs_feed *feed = arg;
	bool ended;

	ipcfs_space_start_home();
	do {
		pthread_mutex_lock(&feed->lock);
		while (!feed->news)
			pthread_cond_wait(&feed->serve, &feed->lock);
		feed->news = false;
		ended = feed->ended;
		pthread_mutex_unlock(&feed->lock);
		feed->events->serve(feed);
	} while (!ended);
	thread_ends(feed);
	return NULL;
}

/* Starts a thread that nobody joins. -EAGAIN. Call with events->lock held. */
static int start(struct ipcfs_feed *feed, void *(*run)(void *arg))
{
	sigset_t all, before;
	pthread_t thread;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	feed->threads++;
	err = -pthread_create(&thread, NULL, run, feed);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		feed->threads--;
	else
		(void)pthread_detach(thread);
	return err;
}

/* Makes a feed without readers, which the caller has to free. NULL: no memory. */
static struct ipcfs_feed *feed_new(struct ipcfs_events *events, struct ipcfs_view *view)
{
	struct ipcfs_feed *feed = calloc(1, sizeof(*feed));

	if (!feed || ipcfs_ring_init(&feed->ring)) {
		free(feed);
		return NULL;
	}
	feed->events = events;
	pthread_mutex_init(&feed->lock, NULL);
	ipcfs_clock_cond_init(&feed->sample);
	pthread_cond_init(&feed->serve, NULL);
	ipcfs_view_ref(view);
	feed->view = view;
	feed->known.grow = ipcfs_feed_grow;
	feed->known.arg = feed;
	return feed;
}

/* Adds and removes a reader. Call with events->lock held. */
static void add_reader(struct ipcfs_feed *feed, struct ipcfs_event_reader *reader)
{
	feed->readers++;
	reader->feed = feed;
	pthread_mutex_lock(&feed->lock);
	DL_APPEND2(feed->all, reader, prev_reader, next_reader);
	ipcfs_feed_join_charge(feed, reader);
	pthread_mutex_unlock(&feed->lock);
}

static void remove_reader(struct ipcfs_feed *feed, struct ipcfs_event_reader *reader)
{
	pthread_mutex_lock(&feed->lock);
	DL_DELETE2(feed->all, reader, prev_reader, next_reader);
	ipcfs_feed_leave_charge(feed, reader);
	pthread_mutex_unlock(&feed->lock);
	reader->feed = NULL;
	feed->readers--;
}

/*
 * Makes a feed with its first reader, who pays for what its threads will know, and starts these.
 * Call with events->lock held.
 */
static int feed_start(struct ipcfs_events *events, struct ipcfs_view *view,
		      struct ipcfs_event_reader *reader)
{
	struct ipcfs_feed *feed = feed_new(events, view);
	int err;

	if (!feed)
		return -ENOMEM;
	events->alive++;
	add_reader(feed, reader);
	err = start(feed, server);
	if (!err)
		err = start(feed, sampler);
	if (err) {
		remove_reader(feed, reader);
		end(feed, err);
		free_unused(feed);
		return err;
	}
	DL_APPEND(events->feeds, feed);
	events->count++;
	return 0;
}

int ipcfs_feed_join(struct ipcfs_events *events, struct ipcfs_view *view,
		    struct ipcfs_event_reader *reader)
{
	struct ipcfs_feed *feed;
	int err = 0;

	pthread_mutex_lock(&events->lock);
	DL_SEARCH_SCALAR(events->feeds, feed, view, view);
	if (events->stopping)
		err = -ENOTCONN;
	else if (feed)
		add_reader(feed, reader);
	else
		err = feed_start(events, view, reader);
	pthread_mutex_unlock(&events->lock);
	return err;
}

void ipcfs_feed_leave(struct ipcfs_event_reader *reader)
{
	struct ipcfs_feed *feed = reader->feed;
	struct ipcfs_events *events = feed->events;

	pthread_mutex_lock(&events->lock);
	remove_reader(feed, reader);
	if (!feed->readers) {
		DL_DELETE(events->feeds, feed);
		events->count--;
		end(feed, -ENOTCONN);
		free_unused(feed);
	}
	pthread_mutex_unlock(&events->lock);
}

void ipcfs_events_space_ended(struct ipcfs_events *events, const struct ipcfs_space *ipc)
{
	struct ipcfs_feed *feed;

	pthread_mutex_lock(&events->lock);
	DL_FOREACH (events->feeds, feed)
		if (feed->view->ipc == ipc)
			end(feed, -EIDRM);
	pthread_mutex_unlock(&events->lock);
}

/* Returns whether a thread of a feed is left. Call with events->lock held. */
static bool has_threads(const struct ipcfs_events *events)
{
	const struct ipcfs_feed *feed;
	unsigned listed = 0;

	DL_FOREACH (events->feeds, feed) {
		listed++;
		if (feed->threads)
			return true;
	}
	return listed < events->alive; /* one without readers lives for its threads alone */
}

void ipcfs_events_stop(struct ipcfs_events *events)
{
	struct ipcfs_feed *feed;

	pthread_mutex_lock(&events->lock);
	events->stopping = true;
	DL_FOREACH (events->feeds, feed)
		end(feed, -ENOTCONN);
	while (has_threads(events))
		pthread_cond_wait(&events->freed, &events->lock);
	pthread_mutex_unlock(&events->lock);
}
