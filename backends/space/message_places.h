/* SPDX-License-Identifier: MIT */
/* The places of the file of kept messages (message_store.h), as the daemon knows them. */
#ifndef IPCFS_MESSAGE_PLACES_H
#define IPCFS_MESSAGE_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IPCFS_MESSAGE_NO_PLACE UINT32_MAX

struct ipcfs_message_place {
	uint64_t number; /* of its message; 0: it is free */
	uint64_t owner;	 /* of `keep` in struct ipcfs_queue_ops, if a worker before has left it */
	uint32_t sender; /* number of the process that sends it */
	int queue;	 /* the number of the POSIX queue (message_numbers.h); 0: none */
	uint32_t next;	 /* behind a place of the free list */
	bool left;	 /* a worker before has left it, and nobody has asked for it */
};

struct ipcfs_message_places {
	struct ipcfs_message_place *all;
	uint32_t used, size, free; /* ever used; allocated; the first one of the free list */
	size_t left;		   /* places that a worker before has left */
};

#define IPCFS_MESSAGE_PLACES_NONE                                                                  \
	{                                                                                          \
		.free = IPCFS_MESSAGE_NO_PLACE                                                     \
	}

/* Returns the number of the message with this sequence in a place. None comes again soon. */
uint64_t ipcfs_message_place_number(uint32_t place, uint64_t sequence);

/* Returns the place that a message of this number has. */
uint32_t ipcfs_message_place_of(uint64_t number);

/* Takes a free place, or with `last` the one behind all that were used. -ENOMEM. */
int ipcfs_message_place_new(struct ipcfs_message_places *places, bool last, uint32_t *place);
void ipcfs_message_place_free(struct ipcfs_message_places *places, uint32_t place);

/* Returns whether a message has this number. */
bool ipcfs_message_place_has(const struct ipcfs_message_places *places, uint64_t number);

/*
 * Finds a message that was left by its owner. IPCFS_MESSAGE_NO_PLACE: there is none, or no owner.
 */
uint32_t ipcfs_message_place_find(const struct ipcfs_message_places *places, uint64_t owner);

/* Forgets all. */
void ipcfs_message_places_free(struct ipcfs_message_places *places);

#endif
