/* SPDX-License-Identifier: MIT */
/*
 * For: queues of RabbitMQ brokers, by the program ipcfs-amqp.
 * Called by: backends/, and fs/ by contract/ only.
 * May call: backends/space, backends/caller, backends/contract, the C library.
 *
 * The state of a connection. One lock guards all of it, and is held for no longer than a few system
 * calls that don't wait. The connection's thread (link.c) reads all that ipcfs-amqp says, and makes
 * eventfds ready, by which fs/ waits.
 */
#ifndef IPCFS_AMQP_CONNECTION_H
#define IPCFS_AMQP_CONNECTION_H

#include <limits.h>
#include <pthread.h>

#define HASH_NONFATAL_OOM 1 /* an item that was not added has an hh.tbl of NULL */
#include <uthash.h>

#include "backends/amqp/records.h"
#include "backends/amqp/starter.h"
#include "backends/contract/amqp.h"
#include "backends/contract/contract.h"
#include "backends/space/reference.h"

/* A queue that the mount has seen. A queue that was deleted and is made again is another one. */
struct ipcfs_amqp_queue {
	char name[IPCFS_AMQP_NAME_MAX + 1]; /* as the broker has it */
	char shown[NAME_MAX + 1];	    /* as the tree has it */
	uint64_t serial;
	struct ipcfs_perm perm;
	bool gone;
	unsigned handles;
	uint64_t looked;   /* when the broker told of it last, ns of CLOCK_MONOTONIC; 0: never */
	uint64_t question; /* of a LOOK that has no answer yet; 0: there is none */
	uint64_t asked;	   /* when that was sent, ns */
	uint64_t messages;
	uint32_t readers;
	/* of the management API */
	uint64_t told;		/* when a list had the queue last, ns; 0: never */
	uint64_t told_messages; /* then */
	uint64_t sized;		/* when it told of the bytes last, ns; 0: never */
	uint64_t bytes;		/* of all messages, then */
	uint64_t detail;	/* of a DETAIL that has no answer yet; 0: there is none */
	bool down;		/* its node was, at the last use that was answered */
	uint64_t resent, redelivered;
	struct timespec since; /* when the mount saw it first */
	UT_hash_handle hh;     /* by name, unless it is gone */
};

/* A message that a broker has delivered. */
struct ipcfs_amqp_delivery {
	uint64_t number; /* of the record */
	uint64_t token;	 /* for fs/ */
	uint8_t priority;
	bool redelivered;
	size_t size;
	char *body;	  /* owned; NULL: a reader has it */
	char *properties; /* of the record; owned; NULL: none */
	bool leased;
	bool settling; /* ipcfs-amqp was told what settles it */
	bool settled;  /* and has told the broker */
	int error;     /* why the broker has it again; 0: it has not */
	struct ipcfs_amqp_delivery *next, *prev;
};

/* A message that is to be stored. It is kept until the broker has it. */
struct ipcfs_amqp_put {
	uint64_t number;
	int result;	   /* as `sent` of struct ipcfs_queue_ops */
	bool asked;	   /* ipcfs-amqp has it */
	bool lost;	   /* an earlier one had it, and its answer is lost */
	bool forgotten;	   /* nobody waits for the answer; the body is freed */
	uint64_t again;	   /* when it is sent again, ns; 0: not by time */
	unsigned pause_ms; /* before that */
	uint8_t priority;
	size_t size;
	char *body; /* owned */
	struct ipcfs_amqp_put *next, *prev;
};

/* An open queue, in one direction. The number of the handle is the descriptor. */
struct ipcfs_amqp_handle {
	struct ipcfs_amqp_connection *connection;
	struct ipcfs_amqp_queue *queue;
	enum ipcfs_direction direction;
	int event;	 /* an eventfd, ready when the next call may have another result */
	bool is_ready;	 /* the event */
	bool to_ready;	 /* it becomes so at the end of the round */
	bool crowded;	 /* of a sender: a writer waits for a place */
	uint32_t number; /* by which ipcfs-amqp knows it; 0: it does not */
	int error;	 /* why ipcfs-amqp has ended it; 0: it has not */
	uint64_t reopen; /* when it is opened again, ns; 0: with the connection */
	uint64_t silent; /* since when an answer or the connection is waited for, ns; 0: none is */
	uint64_t over; /* when a request has waited for too long, ns; 0: none waits, or for ever */
	/* of a receiver */
	bool asked;    /* a GET has no answer yet */
	bool outdated; /* of that GET: its reader has gone, and who comes later asks anew */
	bool empty;    /* the answer was that the queue is empty, and receive has not told it */
	bool wanting;  /* a reader waits for the next message, and ipcfs-amqp knows */
	bool idle;     /* no reader waits */
	bool polled;   /* a poller waits for the next look */
	uint64_t next_look;
	struct ipcfs_amqp_delivery *deliveries; /* that no reader has taken */
	struct ipcfs_amqp_delivery *taken;	/* and not settled */
	/* of a sender */
	struct ipcfs_amqp_put *puts; /* the oldest first */
	struct ipcfs_amqp_handle *next, *prev;
};

/* One ipcfs-amqp. */
struct ipcfs_amqp_link {
	int socket; /* -1: none */
	bool up, blocked;
	bool failed;	   /* the thread is to end it */
	uint64_t retry;	   /* when to start another one, ns */
	unsigned pause_ms; /* before that */
	size_t host;	   /* to try next */
	unsigned connects;
};

/* A question that a thread waits for. */
struct ipcfs_amqp_question {
	uint64_t number;
	bool done;
	int error;
	uint64_t messages;
	uint32_t readers;
	struct ipcfs_amqp_question *next, *prev;
};

/* A thread that waits for the answer to DETAIL. */
struct ipcfs_amqp_detail {
	uint64_t number; /* 0: nothing was asked */
	bool done;
	uint32_t size; /* of the text; 0: there is no answer */
	char text[IPCFS_AMQP_TEXT_MAX];
	struct ipcfs_amqp_detail *next, *prev;
};

/* The ipcfs-amqp-api of a connection with `api`. */
struct ipcfs_amqp_api_link {
	int program;	   /* for the starter */
	char *path;	   /* of that */
	int socket;	   /* -1: none */
	bool anew;	   /* the thread is to start another one */
	bool failed;	   /* the last list was refused, or did not come in time */
	uint64_t retry;	   /* when to start another one, ns */
	unsigned pause_ms; /* before that */
	uint64_t list;	   /* number of the LIST that has no answer yet; 0: there is none */
	size_t count;	   /* queues that it has told of */
	uint64_t asked;	   /* when that was sent, ns */
	uint64_t listed;   /* when the last list was asked for that is complete, ns; 0: none is */
	unsigned open;	   /* questions that have no answer yet */
	uint64_t heard;	   /* when a record came, or the first of these was sent, ns */
	char error[160];
	struct ipcfs_amqp_detail *details; /* that are waited for */
};

struct ipcfs_amqp_connection {
	struct ipcfs_space space;
	struct ipcfs_class class;
	struct ipcfs_perm makers[2]; /* one of them is the class's */
	struct ipcfs_amqp_settings settings;
	int program; /* for the starter */
	pthread_t thread;
	bool started;
	ipcfs_amqp_ready_hook *ready; /* NULL: nobody is told */
	void *ready_arg;

	pthread_mutex_t lock;	 /* guards what follows */
	pthread_cond_t answered; /* a question */
	bool stopping;
	bool in_round; /* the thread handles records, and has the lock */
	int epoll, wake;
	struct ipcfs_amqp_link links[2]; /* index: enum ipcfs_direction */
	struct ipcfs_amqp_handle *handles;
	struct ipcfs_amqp_queue **queues; /* some NULL */
	size_t queue_count;
	size_t first_free; /* none of those before is NULL */
	struct ipcfs_amqp_queue *by_name;
	struct ipcfs_amqp_api_link api;
	struct ipcfs_amqp_question *questions;
	uint64_t next_question;
	uint64_t next_token;
	unsigned leases;
	uint64_t next_put;
	uint32_t next_number; /* of a handle */
	uint64_t next_serial;
	uint64_t silent_until; /* ns: no question is asked before, as one had no answer */
	char source[40];       /* part of each message_id */
	int refused;	       /* why the broker refuses the log-in; 0: it does not */
	char last_error[160];
	char version[32]; /* the broker's, at the last log-in */
	time_t since;	  /* of the state */
	uint64_t resent, redelivered, returned;
};

/* Returns the connection of a space. */
static inline struct ipcfs_amqp_connection *ipcfs_amqp_of(const struct ipcfs_space *space)
{
	return (struct ipcfs_amqp_connection *)(void *)space; /* its first member */
}

/* Returns CLOCK_MONOTONIC in ns. */
uint64_t ipcfs_amqp_clock(void);

/* link.c. Call all of them with the connection's lock held. */

/* Has the thread look at the connection: something is to be done now or later. */
void ipcfs_amqp_wake(struct ipcfs_amqp_connection *connection);

/*
 * Asks the broker, and waits for the answer, two seconds at most; the lock is released meanwhile.
 * `text`: of the record, `size` bytes. Returns 0, with messages and readers of a LOOK in *question.
 * -EHOSTDOWN: there is no connection, or no answer.
 * The errors of ANSWER.
 */
int ipcfs_amqp_ask(struct ipcfs_amqp_connection *connection, enum ipcfs_amqp_type type,
		   const char *text, size_t size, struct ipcfs_amqp_question *question);

/*
 * Starts a program, and has the thread wait for its socket, which it returns. The lock is released
 * meanwhile. Errors of ipcfs_amqp_starter_run and epoll_ctl(2).
 */
int ipcfs_amqp_run(struct ipcfs_amqp_connection *connection, int program,
		   enum ipcfs_amqp_role role);

/* Returns a time in `ms`, ns, a quarter more or less, so that many hosts don't come at once. */
uint64_t ipcfs_amqp_after_about(unsigned ms);

/* Waits for any answer, until `end` at most, ns; the lock is released meanwhile. */
void ipcfs_amqp_pause(struct ipcfs_amqp_connection *connection, uint64_t end);

/*
 * Has the connection try to log in at once where it is down, with the first host. With `all` it
 * ends what is up before.
 */
void ipcfs_amqp_connect_anew(struct ipcfs_amqp_connection *connection, bool all);

/* api.c. Call all of them with the connection's lock held. */

/* Prepares the link of a connection that has its settings. */
void ipcfs_amqp_api_init(struct ipcfs_amqp_connection *connection);

/* Does what is due, and returns when something is to be done next, ns; UINT64_MAX: never. */
uint64_t ipcfs_amqp_api_due(struct ipcfs_amqp_connection *connection, uint64_t now);

/* Reads all that ipcfs-amqp-api has said. */
void ipcfs_amqp_api_read(struct ipcfs_amqp_connection *connection,
			 struct ipcfs_amqp_packet *packet);

/* Ends ipcfs-amqp-api. Another one is started later. */
void ipcfs_amqp_api_down(struct ipcfs_amqp_connection *connection);

/* Has another one started at once where there is none, or with `all` in any case. */
void ipcfs_amqp_api_anew(struct ipcfs_amqp_connection *connection, bool all);

/* Returns whether the management API lists the queues. */
bool ipcfs_amqp_api_lists(const struct ipcfs_amqp_connection *connection);

/*
 * Has the list of queues renewed, if it is older than a second, and waits for it, two seconds at
 * most; the lock is released meanwhile. Nobody waits where the last list has failed.
 */
void ipcfs_amqp_api_list(struct ipcfs_amqp_connection *connection);

/*
 * Asks about a queue. An answer comes into *detail until ipcfs_amqp_api_detail_end is called, which
 * waits for it until `end`, ns. The lock is released meanwhile.
 */
void ipcfs_amqp_api_detail(struct ipcfs_amqp_connection *connection, const char *name,
			   struct ipcfs_amqp_detail *detail);
void ipcfs_amqp_api_detail_end(struct ipcfs_amqp_connection *connection, uint64_t end,
			       struct ipcfs_amqp_detail *detail);

/*
 * Has the number of bytes of a known queue renewed, if the broker may know a newer one. Waits two
 * seconds at most for a first answer, and else 10 ms: then the older one counts. The lock is
 * released meanwhile.
 * -ENOENT: the queue has gone meanwhile.
 */
int ipcfs_amqp_api_size(struct ipcfs_amqp_connection *connection, struct ipcfs_amqp_queue **queue);

/* status.c */

/* Of struct ipcfs_class. Takes the connection's lock. */
int ipcfs_amqp_queue_status(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
			    struct ipcfs_text *out);

/* Appends the lines of a connection to amqp/status. Call with its lock held. -ENOMEM. */
int ipcfs_amqp_connection_status(const struct ipcfs_amqp_connection *connection,
				 struct ipcfs_text *out);

/* change.c. They take the connection's lock. */

/* Sets the class's makers to those of the settings. Call with the lock held, or before the start. */
void ipcfs_amqp_connection_makers(struct ipcfs_amqp_connection *connection);

/* Returns whether the connection can get these settings while the daemon runs. */
bool ipcfs_amqp_connection_can_change(const struct ipcfs_amqp_connection *connection,
				      const struct ipcfs_amqp_settings *settings);

/* Gives a connection these settings, and takes what they own. */
void ipcfs_amqp_connection_change(struct ipcfs_amqp_connection *connection,
				  struct ipcfs_amqp_settings *settings);

/* ready.c. Call all of them with the connection's lock held. */

/*
 * Make the handle's descriptor ready, or not. The connection's thread does so at the end of its
 * round only: a thread that is woken before has to wait for the lock.
 */
void ipcfs_amqp_ready(struct ipcfs_amqp_handle *handle);
void ipcfs_amqp_unready(struct ipcfs_amqp_handle *handle);

/*
 * Tells of handles that become ready, so that who waits for them is served by this thread. The lock
 * is released meanwhile.
 */
void ipcfs_amqp_tell_ready(struct ipcfs_amqp_connection *connection);

/* Ends a round of the connection's thread: what it has made ready is. */
void ipcfs_amqp_end_round(struct ipcfs_amqp_connection *connection);

/* handle.c. Call all of them with the connection's lock held. */

/* Opens a handle at ipcfs-amqp, if the connection is up, and sends what is to be stored. */
void ipcfs_amqp_handle_open(struct ipcfs_amqp_handle *handle);

/* Notes that ipcfs-amqp does not know the handle: deliveries are the broker's again. */
void ipcfs_amqp_handle_lost(struct ipcfs_amqp_handle *handle);

/* Handles a record about the handle. */
void ipcfs_amqp_handle_record(struct ipcfs_amqp_handle *handle,
			      const struct ipcfs_amqp_packet *packet);

/* Does what is due, and returns when something is to be done next, ns; UINT64_MAX: never. */
uint64_t ipcfs_amqp_handle_due(struct ipcfs_amqp_handle *handle, uint64_t now);

/* Tells a handle that polls what a LOOK has found. */
void ipcfs_amqp_looked(struct ipcfs_amqp_handle *handle);

extern const struct ipcfs_queue_ops ipcfs_amqp_queue_ops;

/* known.c. Call all of them with the connection's lock held. */

/* Translates a name of the tree into the broker's. -ENOENT: no queue is shown under this name. */
int ipcfs_amqp_name_read(const char *shown, char name[IPCFS_AMQP_NAME_MAX + 1]);

/*
 * Finds a queue as the broker or the cache of a second knows it. For the answer about a queue that
 * the mount has seen it waits `patience` at most, ns; then the older answer counts. With `looks`
 * what the management API has told is no answer.
 * -ENOENT: there is none.
 * -EHOSTDOWN: it is not known, and the broker can't be asked.
 * -EACCES, -ENOMEM.
 */
int ipcfs_amqp_queue_find(struct ipcfs_amqp_connection *connection, const char *shown,
			  uint64_t patience, bool looks, struct ipcfs_amqp_queue **queue);

/* Asks the broker about a queue, if no such question is on its way, and does not wait. */
void ipcfs_amqp_queue_look(struct ipcfs_amqp_connection *connection,
			   struct ipcfs_amqp_queue *queue);

/* Takes the answer to ipcfs_amqp_queue_look, if `record` is one. */
void ipcfs_amqp_queue_looked(struct ipcfs_amqp_connection *connection,
			     const struct ipcfs_amqp_record *record);

/* Notes that no question about a queue, or no DETAIL, is answered any more. */
void ipcfs_amqp_queues_unasked(struct ipcfs_amqp_connection *connection, bool details);

/* Notes that there is a queue of this name. -ENOMEM. */
int ipcfs_amqp_queue_note(struct ipcfs_amqp_connection *connection, const char *name,
			  struct ipcfs_amqp_queue **queue);

/* Notes what the management API tells of a queue. One queue too many is not noted. -ENOMEM. */
int ipcfs_amqp_queue_told(struct ipcfs_amqp_connection *connection,
			  const struct ipcfs_amqp_listed *told);

/* Returns the queue about which this DETAIL was. NULL: there is none. */
struct ipcfs_amqp_queue *ipcfs_amqp_queue_detailed(const struct ipcfs_amqp_connection *connection,
						   uint64_t number);

/* Returns the queue of this serial number that is not gone. NULL: there is none. */
struct ipcfs_amqp_queue *ipcfs_amqp_queue_at(struct ipcfs_amqp_connection *connection,
					     uint64_t serial);

/* Notes that a queue is gone. The struct stays while it has handles. */
void ipcfs_amqp_queue_gone(struct ipcfs_amqp_connection *connection,
			   struct ipcfs_amqp_queue *queue);

/* Frees a queue that is gone, once it has no handles. */
void ipcfs_amqp_queue_release(struct ipcfs_amqp_connection *connection,
			      struct ipcfs_amqp_queue *queue);

#endif
