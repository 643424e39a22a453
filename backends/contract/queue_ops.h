/* SPDX-License-Identifier: MIT */
/* The part of a class of queues: messages. contract.h says what holds for all its functions. */
#ifndef IPCFS_QUEUE_OPS_H
#define IPCFS_QUEUE_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "backends/contract/caller.h"
#include "backends/contract/object_info.h"
#include "backends/contract/space.h"
#include "backends/contract/text.h"

/* A message. From `type` on it is as msgsnd(2) has it, so that System V messages need no copy. */
struct ipcfs_message {
	uint64_t token; /* of a class with `confirm`: which message it is, or which send */
	long type;	/* System V: 1 or more; POSIX, AMQP: the priority */
	char text[];
};

enum ipcfs_direction { IPCFS_RECEIVE, IPCFS_SEND };

/* How a lease ends. */
enum ipcfs_settlement {
	IPCFS_SETTLE_DONE,  /* the message is gone */
	IPCFS_SETTLE_AGAIN, /* it goes back */
	IPCFS_SETTLE_DEAD,  /* it is gone, or goes where the queue sends those that failed */
};

/*
 * Sending and receiving. A handle comes from open and stays valid until close, also after the queue
 * was removed. A selector chooses the messages to receive: for System V, it is the msgtyp of
 * msgrcv(2); for POSIX, it is 0.
 */
struct ipcfs_queue_ops {
	bool typed_receive;	 /* receive obeys a selector: there is type/N, and else prio/N */
	long type_min, type_max; /* the types that a message can have */
	long type_plain;	 /* the type of messages that are sent without one */

	/*
	 * Opens the queue.
	 * -ENOENT: the queue was removed.
	 * -EIDRM: another queue has the name now.
	 * -EACCES: the daemon may not open it.
	 */
	int (*open)(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		    enum ipcfs_direction direction, int *handle);
	void (*close)(int handle);

	/*
	 * Sets perm, messages, max_message and max_bytes of *info, size if that is not 0, and else
	 * for a queue of the kernel max_messages. Leaves the other fields alone.
	 * -EIDRM: the queue was removed. For a POSIX queue, the fields are set all the same.
	 */
	int (*fstat)(int handle, struct ipcfs_info *info);

	/*
	 * Sets *perm in the cheapest way, as it is called for every request.
	 * -EIDRM: the queue was removed. For a POSIX queue, *perm is set all the same.
	 */
	int (*perm)(int handle, struct ipcfs_perm *perm);

	/*
	 * Takes one message with at most `capacity` bytes of text out of the queue. Returns its
	 * bytes. The kernel itself stores to the first bytes of message->type, and to no byte
	 * behind the text, when it gives the message: this is seen also if the process dies in the
	 * call.
	 * -EAGAIN: there is no message for the selector.
	 * -EINPROGRESS: a class with `confirm` has asked; the handle becomes readable when an
	 * answer is there, and receive gives it.
	 * -EHOSTDOWN: of such a class, nobody can be asked now. The handle becomes readable when
	 * that has changed.
	 * -EMSGSIZE: the message is longer than `capacity`, and stays. For a POSIX queue: capacity
	 * is less than max_message.
	 * -EIDRM: the queue was removed. A removed POSIX queue gives out its messages first.
	 */
	ssize_t (*receive)(int handle, long selector, struct ipcfs_message *message,
			   size_t capacity);

	/*
	 * Sends one message with `size` bytes of text. With `wait`, blocks until the message is
	 * sent; only for classes whose function `wait` below is not NULL.
	 * -EAGAIN: the queue is full, and `wait` is false.
	 * -EINPROGRESS: of a class with `sent`, which has a copy of the message and sets
	 * message->token: `sent` tells the result.
	 * -ENOBUFS: of such a class, so many messages of the handle are on the way that `sent` has
	 * to tell of one first.
	 * -EINTR: a signal ended the waiting.
	 * -EMSGSIZE: the queue can never take a message of this size.
	 * -EINVAL: the queue can take no message of this type.
	 * -EIDRM: the queue was removed. A removed POSIX queue accepts messages all the same, for
	 * processes that have it open: call perm before.
	 */
	int (*send)(int handle, struct ipcfs_message *message, size_t size, bool wait);

	/*
	 * Tells what became of a message that send has taken over. NULL: send is final. The handle
	 * becomes writable when the answer may be another one than before. After 0 and after all
	 * errors but these three the token is forgotten.
	 * -EINPROGRESS: no answer has come yet.
	 * -EAGAIN: the queue is full. The message is sent again later.
	 * -EHOSTDOWN: nobody can be asked now. So is it then.
	 * -ENOENT, -EIDRM: there is no such queue any more.
	 * -EMSGSIZE, -EACCES.
	 */
	int (*sent)(int handle, uint64_t token);

	/* Forgets such a message, which may be sent or not. The token is invalid then. */
	void (*unsend)(int handle, uint64_t token);

	/*
	 * Tells that a message from receive has reached its reader. NULL, as are the next five:
	 * receive is final, as for all queues of the kernel; a message that did not reach its
	 * reader is sent again.
	 * -ESTALE: the queue has given the message to another reader meanwhile, or will.
	 */
	int (*confirm)(int handle, uint64_t token);

	/* Gives a message from receive back to its queue. */
	void (*give_back)(int handle, uint64_t token);

	/*
	 * Leases a message from receive: it is neither gone nor another reader's before `settle` or
	 * give_back. Appends to *about lines about it, and sets *deliveries to how often the queue
	 * has handed it out, with this time; 0: the queue does not count. NULL: the class has no
	 * leases, or those of `keep`.
	 * -EHOSTDOWN: the queue has the message again, and nobody can be asked for another one.
	 * After the other errors, it is to be given back.
	 * -EMFILE: the class can have no more leases.
	 * -ENOMEM.
	 */
	int (*lease)(int handle, uint64_t token, struct ipcfs_text *about, uint64_t *deliveries);

	/*
	 * Ends a lease, once that is on its way. The first call decides how. The token is invalid
	 * after all results but -EINPROGRESS.
	 * -EINPROGRESS: nothing tells so yet. The handle becomes readable when the next call may
	 * have another result.
	 * -ESTALE: the queue has the message again, or will.
	 * -ETIMEDOUT: so it has, as the lease was too long for the queue.
	 * -EIDRM: the queue was removed.
	 */
	int (*settle)(int handle, uint64_t token, enum ipcfs_settlement how);

	/* Asks for the next message that comes, for a reader that waits after an -EAGAIN. */
	void (*want)(int handle);

	/*
	 * Tells that no reader waits any more: nothing is asked for, and what has come meanwhile
	 * goes back. Never blocks.
	 */
	void (*idle)(int handle);

	/*
	 * Returns when a request is to give up that began at `since` and got -EINPROGRESS or
	 * -EHOSTDOWN just now, ns of CLOCK_MONOTONIC; 0: never. The handle becomes ready then.
	 * NULL: the class never says so, or never gives up.
	 */
	uint64_t (*patience)(int handle, uint64_t since);

	/*
	 * Has the message sent to the queue's tail if the daemon ends, in whatever way, before it
	 * is forgotten. `handle` is of direction IPCFS_SEND, and may be closed meanwhile. Copies
	 * the message. Sets *number, which is not 0. NULL: the queue has no `lease`.
	 * `owner`, not 0: if a worker before has kept the message for it, and nobody has asked for
	 * the message since, that goes on.
	 * -ENOLCK: the process that does it does not answer or does not start.
	 * -ENOMEM.
	 */
	int (*keep)(int handle, const struct ipcfs_message *message, size_t size, uint64_t owner,
		    uint64_t *number);

	/*
	 * Returns whether the message that a worker before has kept for this queue is still kept.
	 * If so it is to be forgotten. `handle`: as of keep; -1: the queue is gone.
	 */
	bool (*kept)(int handle, uint64_t number);

	/* Forgets it: the message is done or was sent. Never blocks for long. */
	void (*forget)(uint64_t number);

	/* The handle is a descriptor for epoll(7) and poll(2). Else `wait` is how to wait. */
	bool pollable;

	/*
	 * Blocks until there is a message for the selector, and returns 0. Returns 1 when the
	 * message was empty: waiting has taken it out of the queue, and its type is in *type. NULL:
	 * the handle is pollable.
	 * -EINTR: a signal ended the waiting.
	 * -EIDRM: the queue was removed.
	 */
	int (*wait)(int handle, long selector, long *type);

	/*
	 * Returns POLLIN when receive would not fail with -EAGAIN, POLLOUT when there is room for a
	 * message of one byte, or both.
	 * -EIDRM: the queue was removed. A removed POSIX queue with messages is still ready.
	 */
	int (*ready)(int handle, long selector);

	/*
	 * Copies message number `index`, 0 being the oldest, and leaves it in the queue. At most
	 * `capacity` bytes of its text are copied; returns the bytes copied. NULL: the kernel
	 * cannot copy messages of this class.
	 * -ENOENT: there is no message of this number.
	 * -EMSGSIZE: the kernel cannot copy the message any more, as msgmax was lowered.
	 * -EIDRM: the queue was removed.
	 * -ENOMEM.
	 */
	ssize_t (*peek)(int handle, size_t index, struct ipcfs_message *message, size_t capacity);
};

/* Returns whether messages of the queue can be leased. */
static inline bool ipcfs_queue_leases(const struct ipcfs_queue_ops *queue)
{
	return queue->keep || queue->lease;
}

#endif
