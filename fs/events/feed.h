/* SPDX-License-Identifier: MIT */
/*
 * Feeds: the events of a view, while somebody has its file `events` open. A feed has two threads.
 * The sampler looks at the objects five times a second at most, and tells what direct callers did.
 * The server answers the reads that wait. Neither is a session thread, and no caller that has an
 * event told waits for them.
 */
#ifndef IPCFS_FEED_H
#define IPCFS_FEED_H

#include <pthread.h>
#include <stdatomic.h>

#include "fs/events/known_table.h"
#include "fs/events/ring.h"
#include "fs/namespaces/registry.h"

struct fuse_pollhandle;
struct ipcfs_echo;
struct ipcfs_events;
struct ipcfs_event_waiter;
struct ipcfs_quota;

/* How far a reader has got. */
enum ipcfs_reader_stage {
	IPCFS_READER_STARTS,  /* the feed may not be ready yet */
	IPCFS_READER_WALKS,   /* through the objects that are there */
	IPCFS_READER_FOLLOWS, /* the events */
};

/* An open file `events`. All but `poll`, `notified` and the links belongs to its reads. */
struct ipcfs_event_reader {
	struct ipcfs_feed *feed; /* a reference; NULL: the file is another one */
	enum ipcfs_reader_stage stage;
	uint64_t next; /* the number of the next event */
	struct fuse_pollhandle *poll;
	bool notified;	/* since the last poll(2), or read that found nothing */
	uid_t uid;	/* who pays for what the feed knows */
	size_t charged; /* for that; guarded by the feed's lock */
	struct ipcfs_event_reader *next_reader, *prev_reader;
};

struct ipcfs_feed {
	struct ipcfs_events *events;
	struct ipcfs_view *view;   /* a reference */
	unsigned readers, threads; /* guarded by the lock of struct ipcfs_events */
	struct ipcfs_feed *next, *prev;

	pthread_mutex_t lock;	      /* guards what follows */
	pthread_cond_t sample, serve; /* of the sampler and of the server */
	struct ipcfs_ring ring;
	struct ipcfs_known known;
	bool ready;	  /* the first look has ended */
	bool spilled;	  /* more is known than is paid for, as a reader has left */
	int ended;	  /* a negative errno for all reads; 0: it goes on */
	uint64_t changes; /* how often there was something new for readers */
	bool news;	  /* the server has something to do */
	struct ipcfs_event_reader *all;
	struct ipcfs_event_waiter *waiting; /* reads */
	const struct ipcfs_echo *echo;	    /* repeats what is found; NULL: nobody does */
};

/* All feeds of a mount. */
struct ipcfs_events {
	_Atomic unsigned count; /* of feeds */
	/* acts of callers of the mount that go on, by the phase in which they have begun; its number */
	_Atomic unsigned acts[2], phase;
	_Atomic unsigned trails; /* of samplers */
	/* Answers the reads that can be answered, and tells pollers. For the server. */
	void (*serve)(struct ipcfs_feed *feed);
	struct ipcfs_quota *quota;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t freed; /* a feed was freed */
	struct ipcfs_feed *feeds;
	unsigned alive; /* feeds that are not freed */
	bool stopping;
};

/* Adds what was found to the ring, and has the server look. Call with feed->lock held. */
void ipcfs_feed_add(struct ipcfs_feed *feed, struct ipcfs_event *event);

/* Adds what no caller of the mount has told of. For struct ipcfs_finding, whose arg is the feed. */
void ipcfs_feed_found(void *feed, enum ipcfs_event_kind kind, const struct ipcfs_class *class,
		      const struct ipcfs_info *info, const char *detail);

/*
 * Charge the readers for what the feed knows: each one, if it can pay. `join` charges as much of it
 * as the reader can pay. `shrink` gives back what is not needed any more. Call with feed->lock held.
 */
bool ipcfs_feed_grow(void *feed, size_t more);
void ipcfs_feed_join_charge(struct ipcfs_feed *feed, struct ipcfs_event_reader *reader);
void ipcfs_feed_leave_charge(struct ipcfs_feed *feed, struct ipcfs_event_reader *reader);
void ipcfs_feed_shrink(struct ipcfs_feed *feed);

/* Has the server look. Call with feed->lock held. */
void ipcfs_feed_has_news(struct ipcfs_feed *feed);

#endif
