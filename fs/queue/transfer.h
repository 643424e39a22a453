/* SPDX-License-Identifier: MIT */
/* Moves messages between a queue and the bytes of a waiter: what reads and writes attempt. */
#ifndef IPCFS_TRANSFER_H
#define IPCFS_TRANSFER_H

#include "fs/queue/queue_waiter.h"

/* Where the text of a received message is in waiter->data, without header, tag or added newline. */
struct ipcfs_taken {
	uint64_t token; /* of a class with `confirm` */
	long type;
	size_t start, size; /* bytes */
};

/*
 * A read of lines, tagged or drain of more than this many bytes takes as many whole messages as are
 * there and fit, as every read of records does. Another read takes one message.
 */
#define IPCFS_BATCH (64 * 1024)

/*
 * Attempts to receive, for the base of a struct ipcfs_queue_waiter. Never blocks. Returns 0 and
 * fills data and taken. drain may get no message at all, which is its end of file.
 * -EAGAIN: no message is there, or none can be asked for now.
 * -EINPROGRESS, -EHOSTDOWN: of a hurried waiter, as of receive in struct ipcfs_queue_ops.
 * -ETIMEDOUT: of another one, as of patience.
 * -EACCES: the opener may not receive.
 * -EIDRM: the queue was removed.
 * -EMSGSIZE: packets, records: the message is longer than the read, or could be (POSIX), and stays.
 * -ENOMEM: the message went back to the tail of the queue.
 * -EOVERFLOW: records: so did a message whose type has more than 32 bits.
 */
ssize_t ipcfs_transfer_receive(struct ipcfs_waiter *waiter, bool wait);

/*
 * Attempts to send, for the base of a struct ipcfs_queue_waiter. Returns 0 when every whole message
 * in data was sent; the bytes after `sent` are then an unfinished line or record. After an error
 * `sent` says what was sent before.
 * -EAGAIN: the queue is full. With `wait` it blocks instead, if the class waits in a call. So of a
 * message that is on its way, or can't be on it now.
 * -EINPROGRESS, -EHOSTDOWN: of a hurried waiter, as of sent in struct ipcfs_queue_ops.
 * -ETIMEDOUT: of another one, as of patience. The messages may be sent or not.
 * -EINTR: a signal ended the blocking call.
 * -EACCES: the opener may not send.
 * -EIDRM: the queue was removed.
 * -EMSGSIZE: the queue can never take the message, or what is unfinished is too long for it.
 * -EINVAL, -ERANGE: a tagged line or a record has no valid type.
 * -ENOMEM
 */
ssize_t ipcfs_transfer_send(struct ipcfs_waiter *waiter, bool wait);

/*
 * Returns how many bytes the class copies when it is given what the waiter has to send. 0: none, and
 * nothing tells later what became of a message.
 */
size_t ipcfs_transfer_copied(const struct ipcfs_queue_waiter *waiter);

/*
 * Attempts what may not wait. A class that has to ask first is waited for, two seconds at most, but
 * not after the caller was killed. The other results are those of the attempt.
 * -EHOSTDOWN: no answer came.
 * -EINTR: the caller was killed.
 */
ssize_t ipcfs_transfer_hurry(struct ipcfs_queue_waiter *waiter);

/*
 * Returns the result for the wait room: a waiter that is not hurried waits for the handle where the
 * class waits for an answer, and gives up when the class says so.
 */
int ipcfs_transfer_for_waits(const struct ipcfs_queue_waiter *waiter, int err);

/* Tells the class that no reader waits any more, unless one is parked. */
void ipcfs_transfer_idle(const struct ipcfs_waiter *waiter);

/* Tells the class that its reader has the messages that the waiter received. */
void ipcfs_transfer_confirm_all(struct ipcfs_queue_waiter *waiter);

/*
 * Gives the waiter an empty message that the wait room received. For struct ipcfs_waiter_ops.
 * -EACCES: the opener may not receive.
 * -EIDRM: the queue was removed.
 * -ENOMEM
 */
int ipcfs_transfer_accept(struct ipcfs_waiter *waiter, long type);

/*
 * Does the same, and leaves it to the caller to count the message as received, once nothing can
 * fail any more: ipcfs_transfer_unclaimed counts one that is refused. Errors as above.
 */
int ipcfs_transfer_accept_uncounted(struct ipcfs_waiter *waiter, long type);

/*
 * Puts one message at the tail of the queue, and counts it as returned. A detached waiter sends it
 * later if the queue is full. A class with `give_back` gets the message's token instead. `of`: who
 * received it: fs, object, handle and uid are used.
 */
void ipcfs_transfer_put_back(const struct ipcfs_waiter *of, const struct ipcfs_taken *taken,
			     const char *text);

/*
 * Puts every message that the waiter received at the tail of the queue, as the function before.
 * A number of `keep` is the only message's, and is forgotten when that was sent.
 */
void ipcfs_transfer_put_back_all(struct ipcfs_queue_waiter *waiter);

/*
 * Puts an empty message that no waiter can have at the tail of the queue, and counts it as
 * received and returned. For ipcfs_waits_create.
 */
void ipcfs_transfer_unclaimed(struct ipcfs_filesystem *fs, struct ipcfs_object *object, long type);

/*
 * Sends a message of this thread's request to another queue, without waiting for room. Notes it as
 * a call of the request. Errors as send in struct ipcfs_queue_ops.
 * -EIO: a worker has died in the call, and nobody knows.
 */
int ipcfs_transfer_send_elsewhere(struct ipcfs_object *object, int handle,
				  struct ipcfs_message *message, size_t size);

/*
 * Sends the message in data by a detached waiter, now or when the queue has room for it. The
 * caller sets fs, object, uid, charged, data, type, framing, last, and perhaps first, kept and
 * saved.
 * Afterwards data is no longer the caller's. A message that can't be sent is logged as lost. One
 * that has a number of `keep` is forgotten when it was sent, and is not lost at the daemon's end.
 */
void ipcfs_transfer_send_detached(struct ipcfs_queue_waiter *waiter);

/*
 * Hands the message that a waiter waits to send to a detached waiter. For struct ipcfs_waiter_ops.
 * Returns 0 if nothing else is left to send.
 * -EINTR: other lines are left.
 * -EMSGSIZE, and the errors of ipcfs_transfer_send but -EAGAIN: nothing was handed over.
 */
ssize_t ipcfs_transfer_detach(struct ipcfs_waiter *waiter, struct ipcfs_waiter **detached);

/* Counts a message of the queue, for `metrics`. */
void ipcfs_transfer_count(const struct ipcfs_object *object, enum ipcfs_move move);

/* Returns a message with `capacity` bytes of text, which *buffer owns. NULL: no memory. */
struct ipcfs_message *ipcfs_transfer_message(struct ipcfs_text *buffer, size_t capacity);

/*
 * Has the class forget what is still on its way. Call before the reply, as the file may be closed
 * behind it.
 */
void ipcfs_transfer_forget(struct ipcfs_queue_waiter *waiter);

/* Frees data, taken and underway, and releases what is charged for them. */
void ipcfs_transfer_clear(struct ipcfs_queue_waiter *waiter);

#endif
