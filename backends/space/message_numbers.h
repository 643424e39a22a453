/* SPDX-License-Identifier: MIT */
/*
 * The numbers under which ipcfs-leases has descriptors of POSIX queues. They are not those of the
 * daemon, as the process may outlive a worker (fs/daemon/supervisor.h), whose successor opens the
 * queues anew. Not thread-safe.
 */
#ifndef IPCFS_MESSAGE_NUMBERS_H
#define IPCFS_MESSAGE_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>

/* The queue of a number. */
struct ipcfs_message_queue {
	bool used;  /* the process has a descriptor of this number */
	bool left;  /* its owner has left the handle to the keeper, which closes it at the end */
	int handle; /* the daemon's descriptor; -1: the process alone has one */
	unsigned users; /* messages that go to it */
};

/* All zeros: there are none. */
struct ipcfs_message_numbers {
	struct ipcfs_message_queue *queues; /* by number */
	size_t size;
	int *by_handle; /* the number of a handle; 0: none */
	size_t handles;
};

/* Returns the number of a handle. 0: it has none. */
int ipcfs_message_number_of(const struct ipcfs_message_numbers *numbers, int handle);

/* Returns what a number that is used stands for, until there is another one. */
struct ipcfs_message_queue *ipcfs_message_number_at(const struct ipcfs_message_numbers *numbers,
						    int number);

/* Gives a handle a number. -ENOMEM. */
int ipcfs_message_number_new(struct ipcfs_message_numbers *numbers, int handle, int *number);

/* Notes that a worker before has left a number. -ENOMEM. */
int ipcfs_message_number_left(struct ipcfs_message_numbers *numbers, int number);

/* Notes the handle of a number that was left, unless one of both has another. -ENOMEM. */
int ipcfs_message_number_attach(struct ipcfs_message_numbers *numbers, int number, int handle);

/* Frees a number. */
void ipcfs_message_number_free(struct ipcfs_message_numbers *numbers, int number);

/* Forgets all. */
void ipcfs_message_numbers_free(struct ipcfs_message_numbers *numbers);

#endif
