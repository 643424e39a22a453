/* SPDX-License-Identifier: MIT */
/* A waiter that receives or sends messages. */
#ifndef IPCFS_QUEUE_WAITER_H
#define IPCFS_QUEUE_WAITER_H

#include "fs/queue/framing.h"
#include "fs/wait/waiter.h"

/* A message that the class sends: `sent` of struct ipcfs_queue_ops tells the result. */
struct ipcfs_underway {
	uint64_t token;
	size_t length; /* in data, bytes */
};

struct ipcfs_queue_waiter {
	struct ipcfs_waiter base; /* at the start: all that the wait room knows */
	size_t size;		  /* of the read or write, bytes */
	struct ipcfs_text data;	  /* received bytes, as the reader sees them, or bytes to send */
	struct ipcfs_text taken;  /* of struct ipcfs_taken: the received messages in data */
	size_t carried;		  /* bytes at the start of data that earlier writes left */
	size_t sent;		  /* bytes at the start of data that were sent */
	size_t handed;		  /* bytes at the start of data that the class was given to send */
	struct ipcfs_text
		underway;    /* of struct ipcfs_underway: handed, not yet sent; oldest first */
	uint64_t owner;	     /* FUSE's lock owner of the request */
	uint64_t begun;	     /* when the request came, ns of ipcfs_clock_ns; 0: it is none */
	long type;	     /* of messages that name no type themselves */
	size_t reserved;     /* bytes that its opener is charged for what it may lease */
	uint64_t kept;	     /* of `keep`: of the one message received or to send; 0: none */
	uint32_t saved;	     /* of a detached waiter: index of its entry (detached.h); 0: none */
	uint64_t deliveries; /* of `lease`: how often the one message was handed out */
	enum ipcfs_framing framing;
	bool last;    /* no bytes follow: an unfinished line is a message */
	bool whole;   /* the one message of IPCFS_FRAMING_NONE was handed */
	bool hurried; /* the attempt tells what it waits for: see ipcfs_transfer_hurry */
	bool returns; /* the message was taken out of the queue, and goes back */
	bool expired; /* a poll(2) has just waited as long as this request may */
};

/* Returns the queue waiter that this waiter is part of. */
static inline struct ipcfs_queue_waiter *ipcfs_queue_waiter(struct ipcfs_waiter *waiter)
{
	return (struct ipcfs_queue_waiter *)(void *)waiter;
}

/* Returns how messages are framed in the bytes of this file. */
enum ipcfs_framing ipcfs_channel_framing(const struct ipcfs_file *file);

/*
 * Returns the type (System V) or priority (POSIX) of messages that are written to this file, except
 * where each message names its own (tagged, records).
 */
long ipcfs_channel_type(const struct ipcfs_class *class, const struct ipcfs_file *file);

#endif
