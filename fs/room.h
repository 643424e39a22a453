/* SPDX-License-Identifier: MIT */
/*
 * The waiting room: requests that would block are parked here, so that the session's threads are
 * always free, and pollers wait here for readiness. Waiters for the same thing stand in a line, first come first
 * served. Lines whose queue has a descriptor are served by one thread with epoll; the others each
 * have a thread with a small stack that sits in the blocking call, for as long as somebody waits.
 */
#ifndef IPCFS_ROOM_H
#define IPCFS_ROOM_H

#include "open.h"

struct ipcfs_line;

/*
 * A request that moves messages. It lives on the handler's stack; parking moves it to the heap. What
 * it does is in two functions: attempt, which may be tried many times, and answer, which is called once.
 */
struct ipcfs_waiter {
	struct ipcfs_filesystem *fs;
	fuse_req_t req;		 /* NULL: nobody waits for the answer (detached) */
	struct ipcfs_open *open; /* NULL when detached; cannot go before the answer */
	struct ipcfs_object *object;
	enum ipcfs_direction direction;
	int handle;    /* of the queue; a detached waiter owns a use of it */
	long selector; /* which messages to receive */
	bool patient;  /* signals whose default is to be ignored don't end it */
	bool counted;  /* against the limits on waiters */
	bool alone;    /* for something of its own: nobody waits in front of it */
	time_t since;  /* when it was parked */
	uid_t uid;
	pid_t tid;

	/*
	 * Try. -EAGAIN: would block. With `wait` it may block instead (IPCFS_SEND where the backend waits
	 * by a call), then -EINTR: woken by a signal. Keeps in the struct how far it got.
	 */
	ssize_t (*attempt)(struct ipcfs_waiter *waiter, bool wait);
	/* Reply, with what attempt returned or why waiting ended; then free what the struct holds. */
	void (*answer)(struct ipcfs_waiter *waiter, ssize_t result);

	/* transfer.c, channel_read.c and channel_write.c: what is moved and how far */
	size_t size;		 /* bytes asked for, bytes given by write(2) */
	struct ipcfs_text data;	 /* bytes received as they are shown; bytes to send */
	struct ipcfs_text taken; /* of struct ipcfs_taken: where messages stand in data */
	size_t carried, sent;	 /* bytes of data from earlier writes; bytes done */
	uint64_t owner;
	long type;   /* plain messages are sent with it */
	int framing; /* enum ipcfs_framing, or -1: all of data is one message */
	bool last;   /* nothing follows: an unfinished line is one */

	/* semaphore.c, which has struct ipcfs_semaphore_op in data */
	struct ipcfs_hold *hold; /* what it becomes when it is taken; NULL: not to be held */

	/* the room's own; guarded by its lock */
	struct ipcfs_line *line;
	struct ipcfs_waiter *next, *prev;
	struct ipcfs_waiter *next_interrupted;
	bool arming, interrupted, watched, busy;
	int end; /* why waiting ends, a negative errno; 0 = it goes on */
};

/* -ENOMEM, or what epoll and eventfd said. The thread is started by ipcfs_room_start. */
int ipcfs_room_create(struct ipcfs_filesystem *fs, struct ipcfs_room **room);
int ipcfs_room_start(struct ipcfs_room *room);

/* Answer every waiter with ENOTCONN and end all threads. Parking is refused from now on. */
void ipcfs_room_stop(struct ipcfs_room *room);
void ipcfs_room_destroy(struct ipcfs_room *room);

/*
 * Park a request whose attempt would block. 0: the room has it, the caller's struct is void. -EAGAIN:
 * too many waiters; -ENOMEM; -ENOTCONN: stopping; the request is still the caller's to answer.
 */
int ipcfs_room_park(struct ipcfs_room *room, struct ipcfs_waiter *waiter);

/* Try an object's waiters again: who may do what has changed, or it was removed. */
void ipcfs_room_recheck(struct ipcfs_room *room, struct ipcfs_object *object);

/* Other objects are to be noticed as well when they go: those of this space. -errno. */
int ipcfs_room_watch(struct ipcfs_room *room, const struct ipcfs_space *space);

/* The space has ended: answer every waiter there with EIDRM. */
void ipcfs_room_ended(struct ipcfs_room *room, const struct ipcfs_space *space);

/* Call `each` for every request that is parked for this object, under the room's lock; ends early when not 0. */
int ipcfs_room_waiters(struct ipcfs_room *room, const struct ipcfs_object *object,
		       int (*each)(void *arg, const struct ipcfs_waiter *waiter), void *arg);

/* A message passed through the mount: who polls the object may want to know. */
void ipcfs_room_moved(struct ipcfs_room *room, struct ipcfs_object *object);

/*
 * Notify this poll handle when the queue becomes ready in one of the directions (a bit set, 1 <<
 * direction). The handle is the room's from now on, also on failure, until the next one. -ENOMEM.
 */
int ipcfs_room_poll(struct ipcfs_room *room, struct ipcfs_open *open, unsigned directions,
		    struct fuse_pollhandle *handle);
/*
 * A read or write of this open file has found nothing to do: an edge-triggered epoll, which has asked before and
 * will not ask again, wants to know when there is.
 */
void ipcfs_room_poll_again(struct ipcfs_room *room, struct ipcfs_open *open,
			   enum ipcfs_direction direction);

/* The open file goes: forget its handle. */
void ipcfs_room_unpoll(struct ipcfs_room *room, struct ipcfs_open *open);

#endif
