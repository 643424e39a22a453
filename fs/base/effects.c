/* SPDX-License-Identifier: MIT */
#include "fs/base/effects.h"

#include <string.h>

#include "fs/base/unanswered_inside.h"

#define HAND_KEEP (128 * 1024) /* bytes; what is larger is given back after the request */

/* A call that is made now; 0: none is. */
enum { UNSURE = 1, SURE };

bool ipcfs_effects_act(void)
{
	const struct ipcfs_own *self = ipcfs_own();

	return self->effects && atomic_exchange(&self->effects->lost, 1);
}

void ipcfs_effects_set(bool lost)
{
	const struct ipcfs_own *self = ipcfs_own();

	if (self->effects)
		atomic_store(&self->effects->lost, lost);
}

enum ipcfs_call ipcfs_effects_call(void)
{
	const struct ipcfs_own *self = ipcfs_own();
	struct ipcfs_effects *effects = self->effects;

	if (!effects)
		return IPCFS_CALL_NEW;
	if (atomic_load(&effects->skip)) {
		atomic_fetch_sub(&effects->skip, 1);
		return IPCFS_CALL_DONE;
	}
	switch (atomic_load(&effects->calls) % IPCFS_CALL) {
	case UNSURE:
		return IPCFS_CALL_PERHAPS;
	case SURE:
		return IPCFS_CALL_SURELY;
	default:
		return IPCFS_CALL_NEW;
	}
}

void ipcfs_effects_calling(bool sure)
{
	const struct ipcfs_own *self = ipcfs_own();

	if (self->effects) {
		uint32_t calls = atomic_load(&self->effects->calls);

		atomic_store_explicit(&self->effects->calls,
				      calls / IPCFS_CALL * IPCFS_CALL + (sure ? SURE : UNSURE),
				      memory_order_release);
	}
}

void ipcfs_effects_called(bool done)
{
	const struct ipcfs_own *self = ipcfs_own();

	if (self->effects) {
		uint32_t calls = atomic_load(&self->effects->calls);

		atomic_store(&self->effects->calls, (calls / IPCFS_CALL + done) * IPCFS_CALL);
	}
}

void ipcfs_effects_settle(void)
{
	const struct ipcfs_own *self = ipcfs_own();

	if (self->effects)
		atomic_store(&self->effects->skip, 0);
}

unsigned ipcfs_effects_to_come(void)
{
	const struct ipcfs_effects *effects = ipcfs_own()->effects;

	if (!effects)
		return 0;
	return atomic_load(&effects->skip) + (atomic_load(&effects->calls) % IPCFS_CALL != 0);
}

void *ipcfs_effects_hand(size_t size)
{
	const struct ipcfs_own *self = ipcfs_own();
	uint32_t index = self->effects ? ipcfs_own_hand(self) : 0;
	size_t capacity = 0;
	char *hand;

	if (!index)
		return NULL;
	hand = ipcfs_ledger_at(self->ledger, IPCFS_LEDGER_HANDS, index, &capacity);
	if (self->in_hand + size > capacity)
		hand = ipcfs_ledger_reserve(self->ledger, IPCFS_LEDGER_HANDS, index,
					    self->in_hand + size, SIZE_MAX);
	return hand ? hand + self->in_hand : NULL;
}

void *ipcfs_effects_in_hand(size_t *size)
{
	const struct ipcfs_own *self = ipcfs_own();
	uint32_t index = self->effects ? ipcfs_own_hand(self) : 0;
	char *hand = index ? ipcfs_ledger_at(self->ledger, IPCFS_LEDGER_HANDS, index, size) : NULL;

	if (!hand || self->in_hand > *size)
		return NULL;
	*size -= self->in_hand;
	return hand + self->in_hand;
}

void ipcfs_effects_took(size_t size)
{
	ipcfs_own()->in_hand += (size + 7) / 8 * 8;
}

void ipcfs_own_empty_hand(struct ipcfs_own *self)
{
	size_t size;
	char *hand;

	if (!self->in_hand)
		return;
	hand = ipcfs_ledger_at(self->ledger, IPCFS_LEDGER_HANDS, ipcfs_own_hand(self), &size);
	if (hand && size > HAND_KEEP)
		ipcfs_ledger_drop(self->ledger, IPCFS_LEDGER_HANDS, ipcfs_own_hand(self));
	else if (hand)
		explicit_bzero(hand, self->in_hand < size ? self->in_hand : size);
	self->in_hand = 0;
}

bool ipcfs_effects_is_noted(void)
{
	return ipcfs_own()->effects != NULL;
}

uint32_t ipcfs_effects_made(void)
{
	const struct ipcfs_effects *effects = ipcfs_own()->effects;

	return effects ? atomic_load(&effects->calls) / IPCFS_CALL : 0;
}

struct ipcfs_effects *ipcfs_effects_use(struct ipcfs_effects *effects)
{
	struct ipcfs_own *self = ipcfs_own();
	struct ipcfs_effects *before = self->effects;

	self->effects = effects;
	return before;
}

enum ipcfs_effects_end ipcfs_effects_end(struct ipcfs_effects *effects)
{
	uint32_t calls = atomic_load(&effects->calls);

	if (calls / IPCFS_CALL || calls % IPCFS_CALL == SURE)
		return IPCFS_EFFECTS_HAD;
	atomic_store(&effects->calls, 0);
	return IPCFS_EFFECTS_NONE;
}
