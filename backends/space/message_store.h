/* SPDX-License-Identifier: MIT */
/*
 * The kept messages: a file in memory that has no name. The daemon writes it, and the processes that
 * send the messages when the daemon has ended (message_sender.c) read it. A message has a place in
 * the file, and counts from the moment at which its entry is written: a daemon that is killed before
 * leaves a free place.
 */
#ifndef IPCFS_MESSAGE_STORE_H
#define IPCFS_MESSAGE_STORE_H

#include "backends/contract/contract.h"

/* The entry of a place. Plain data. */
struct ipcfs_kept {
	uint64_t sequence; /* of a later message it is higher; 0: the place is free */
	uint64_t size;	   /* bytes of text */
	uint64_t owner;	   /* of `keep` in struct ipcfs_queue_ops */
	uint32_t sender;   /* number of the process that sends it */
	int handle;	   /* a System V id; or a descriptor of that number in the process */
	bool descriptor;
};

/*
 * Makes the file. Returns a descriptor, to be closed.
 * -ENOMEM.
 */
int ipcfs_message_store_open(void);

/*
 * Writes a message to a free place, which stays free.
 * -ENOMEM.
 */
int ipcfs_message_store_write(int file, uint32_t place, const struct ipcfs_message *message,
			      size_t size);

/*
 * Writes the entry of a place.
 * -ENOMEM.
 */
int ipcfs_message_store_mark(int file, uint32_t place, const struct ipcfs_kept *entry);

/* Frees the place, and the memory of its message. */
void ipcfs_message_store_erase(int file, uint32_t place);

/* Returns the first place from this one on that has bytes. UINT32_MAX: there is none. */
uint32_t ipcfs_message_store_next(int file, uint32_t place);

/* Returns the number of places, the free ones with them. */
uint32_t ipcfs_message_store_places(int file);

/* Reads the entry of a place. False: it is free. */
bool ipcfs_message_store_entry(int file, uint32_t place, struct ipcfs_kept *entry);

/* Reads the message of a place, with `size` bytes of text. False: it cannot be read now. */
bool ipcfs_message_store_read(int file, uint32_t place, struct ipcfs_message *message, size_t size);

#endif
