/* SPDX-License-Identifier: MIT */
/*
 * Queues in use, each with a channel of its own: their state, their beginning and their end. A
 * lease takes the channel of its queue with it, and the queue goes on with another one: see
 * lease.h.
 */
#ifndef IPCFS_AMQP_QUEUE_H
#define IPCFS_AMQP_QUEUE_H

#include "backends/amqp/helper/helper.h"

/* A message that the broker is sending: a method, a header, and parts of a body. */
struct ipcfs_amqp_content {
	amqp_method_number_t method; /* 0: none is on its way */
	bool has_header;
	bool too_long; /* the body is not kept */
	bool redelivered;
	uint8_t priority;
	uint32_t consumer; /* of a delivery */
	uint64_t tag;
	uint64_t put; /* of a message that comes back: its number, 0: unknown */
	uint64_t size, received;
	uint32_t text_size;
	char *body; /* owned */
	char text[IPCFS_AMQP_TEXT_MAX];
};

/* A message that the daemon has not settled. */
struct ipcfs_amqp_held {
	uint64_t number, tag;
	uint32_t consumer; /* to which it came; 0: none */
	struct ipcfs_amqp_held *next;
};

/* A message without a confirm. */
struct ipcfs_amqp_put {
	uint64_t number;   /* 0: this place is free */
	uint64_t sequence; /* the broker's number */
	bool returned;	   /* it came back, the confirm does not count */
	bool looking;	   /* the confirm has come; the reason is not known yet */
};

struct ipcfs_amqp_queue {
	uint32_t number;
	amqp_channel_t channel;
	bool closing; /* all frames but close-ok are ignored */
	bool leases;  /* has leased messages, and is used for nothing new */
	bool spare;   /* had a lease, and waits for the next one to come */
	amqp_bytes_t name;
	char name_bytes[IPCFS_AMQP_NAME_MAX];
	struct ipcfs_amqp_content content;

	/* consume.c */
	unsigned gets;				    /* without an answer */
	uint32_t consumers[IPCFS_AMQP_READERS_MAX]; /* their tags, as numbers; 0: none */
	uint32_t last_consumer;
	unsigned cancels;  /* without cancel-ok */
	unsigned unwanted; /* UNWANTED that the daemon waits for */
	struct ipcfs_amqp_held *held;

	/* publish.c */
	uint64_t sequence; /* of the last PUT */
	struct ipcfs_amqp_put puts[IPCFS_AMQP_PUTS_MAX];
};

/* Takes OPEN and CLOSE. */
void ipcfs_amqp_queue_open(struct ipcfs_amqp_helper *helper,
			   const struct ipcfs_amqp_packet *packet);
void ipcfs_amqp_queue_close(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue);

/* Returns the queue of this number, on the channel for what is new; NULL: it has ended. */
struct ipcfs_amqp_queue *ipcfs_amqp_queue_find(struct ipcfs_amqp_helper *helper, uint32_t number);

/* Opens one more channel for a queue. NULL: there is no memory, or no channel is left. */
struct ipcfs_amqp_queue *ipcfs_amqp_queue_more(struct ipcfs_amqp_helper *helper, uint32_t number,
					       amqp_bytes_t name);

/*
 * Returns the queue that holds the message of this number, on whichever of the channels of the
 * queue `number`. NULL: none does.
 */
struct ipcfs_amqp_queue *ipcfs_amqp_queue_holder(struct ipcfs_amqp_helper *helper, uint32_t number,
						 uint64_t message);

/* Returns the spare channel of the queue `number`; NULL: it has none. */
struct ipcfs_amqp_queue *ipcfs_amqp_queue_spare(struct ipcfs_amqp_helper *helper, uint32_t number);

/* Makes a channel spare, or closes it, if it was for leases and has nothing to do any more. */
void ipcfs_amqp_queue_retire(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue);

/* Closes this one channel of a queue that has others. */
void ipcfs_amqp_queue_close_channel(struct ipcfs_amqp_helper *helper,
				    struct ipcfs_amqp_queue *queue);

/* Frees a queue whose channel is closed. */
void ipcfs_amqp_queue_free(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue);

/*
 * Says ENDED and frees the queue. The channel must be closed; others of the queue are closed here.
 * text: what the broker said.
 */
void ipcfs_amqp_queue_end(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			  int error, amqp_bytes_t text);

/* Says ENDED, and closes all channels of the queue. */
void ipcfs_amqp_queue_abandon(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			      int error, amqp_bytes_t text);

#endif
