/* SPDX-License-Identifier: MIT */
#include "backends/space/message_places.h"

#include <errno.h>
#include <stdlib.h>

/* A message's number has its place, and above that its sequence. */
#define PLACE_BITS 24
#define PLACE_MASK ((1U << PLACE_BITS) - 1)

uint64_t ipcfs_message_place_number(uint32_t place, uint64_t sequence)
{
	return sequence << PLACE_BITS | place;
}

uint32_t ipcfs_message_place_of(uint64_t number)
{
	return (uint32_t)(number & PLACE_MASK);
}

/* Makes room for one more place. -ENOMEM. */
static int grow(struct ipcfs_message_places *places)
{
	uint32_t size = places->size ? 2 * places->size : 64;
	struct ipcfs_message_place *all;

	if (places->used < places->size)
		return 0;
	if (places->used > PLACE_MASK)
		return -ENOMEM;
	all = reallocarray(places->all, size, sizeof(*all));
	if (!all)
		return -ENOMEM;
	places->all = all;
	places->size = size;
	return 0;
}

int ipcfs_message_place_new(struct ipcfs_message_places *places, bool last, uint32_t *place)
{
	if (!last && places->free != IPCFS_MESSAGE_NO_PLACE) {
		*place = places->free;
		places->free = places->all[*place].next;
		return 0;
	}
	if (grow(places))
		return -ENOMEM;
	*place = places->used++;
	places->all[*place] = (struct ipcfs_message_place){ 0 };
	return 0;
}

void ipcfs_message_place_free(struct ipcfs_message_places *places, uint32_t place)
{
	places->all[place] = (struct ipcfs_message_place){ .next = places->free };
	places->free = place;
}

bool ipcfs_message_place_has(const struct ipcfs_message_places *places, uint64_t number)
{
	uint32_t place = ipcfs_message_place_of(number);

	return place < places->used && places->all[place].number == number;
}

uint32_t ipcfs_message_place_find(const struct ipcfs_message_places *places, uint64_t owner)
{
	for (uint32_t place = 0; places->left && owner && place < places->used; place++)
		if (places->all[place].left && places->all[place].owner == owner)
			return place;
	return IPCFS_MESSAGE_NO_PLACE;
}

void ipcfs_message_places_free(struct ipcfs_message_places *places)
{
	free(places->all);
	*places = (struct ipcfs_message_places)IPCFS_MESSAGE_PLACES_NONE;
}
