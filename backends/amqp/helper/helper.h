/* SPDX-License-Identifier: MIT */
/*
 * For: ipcfs-amqp, the program that talks to a broker. It is one thread; all its state is here.
 * Called by: nobody; it is a program of its own. May call: backends/amqp/records.h, librabbitmq.
 *
 * After the log-in only frames are sent and received, and nothing waits for an answer. Functions
 * that fail note the reason (ipcfs_amqp_fail) and return nothing. Then nothing more is sent, and
 * the loop of main.c ends.
 */
#ifndef IPCFS_AMQP_HELPER_H
#define IPCFS_AMQP_HELPER_H

#include <amqp.h>
#include <amqp_framing.h>
#include <stdbool.h>
#include <stdint.h>

#include "backends/amqp/helper/process.h"

enum {
	IPCFS_AMQP_FIRST_CHANNEL = 3, /* of queues; those before are for questions */
};

struct ipcfs_amqp_queue;
struct ipcfs_amqp_question;
struct ipcfs_amqp_outcome;
struct ipcfs_amqp_helper;

/* A channel for questions, which are asked one after the other. */
struct ipcfs_amqp_asker {
	amqp_channel_t channel;
	bool making; /* MAKE, REMOVE: it has been seen whether the queue exists */
	struct ipcfs_amqp_question *first, **end; /* the first one is being asked */
};

struct ipcfs_amqp_helper {
	amqp_connection_state_t connection;
	bool publishes; /* else it consumes */
	bool blocked;	/* the broker takes no messages */
	int error;	/* why the helper ends; 0: it does not */
	char reason[IPCFS_AMQP_REASON_SIZE];

	/* of the log-in */
	char source[65];
	uint64_t max_message;
	long heartbeat; /* seconds */

	struct ipcfs_amqp_asker look, change;
	void (*looked)(struct ipcfs_amqp_helper *helper, uint32_t queue, uint64_t put,
		       const struct ipcfs_amqp_outcome *outcome);
	struct ipcfs_amqp_queue **channels; /* by channel */
	amqp_channel_t channel_max;
	uint32_t last_queue;   /* the largest number so far */
	uint64_t last_message; /* likewise */
};

/* Has the helper end. The first call counts. reason: of any bytes. */
void ipcfs_amqp_fail(struct ipcfs_amqp_helper *helper, int error, const char *reason);

/* Sends the daemon a record, and waits while the socket has no room. */
void ipcfs_amqp_tell(struct ipcfs_amqp_helper *helper, const struct ipcfs_amqp_record *record,
		     const void *text, const void *body);

/* Sends the broker a method. */
void ipcfs_amqp_method(struct ipcfs_amqp_helper *helper, amqp_channel_t channel,
		       amqp_method_number_t id, void *method);

/* Opens a channel; closes it, to be answered by close-ok; answers the broker's close. */
void ipcfs_amqp_channel_open(struct ipcfs_amqp_helper *helper, amqp_channel_t channel);
void ipcfs_amqp_channel_close(struct ipcfs_amqp_helper *helper, amqp_channel_t channel);
void ipcfs_amqp_channel_closed(struct ipcfs_amqp_helper *helper, amqp_channel_t channel);

/*
 * Returns what the reply of a channel.close, connection.close or of the log-in means: -ENOENT,
 * -EHOSTDOWN, -EACCES, -EBUSY, -EINVAL, -ETIMEDOUT or -EIO, see `enum ipcfs_amqp_type`.
 */
int ipcfs_amqp_reply_error(unsigned code, amqp_bytes_t text);

/* Writes bytes as printable ASCII, and a NUL; others become '?'. Returns the length. */
uint32_t ipcfs_amqp_printable(amqp_bytes_t bytes, char *line, size_t capacity);

#endif
