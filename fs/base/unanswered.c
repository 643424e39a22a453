/* SPDX-License-Identifier: MIT */
#include "fs/base/unanswered.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "backends/contract/fault.h"
#include "backends/contract/layout.h"
#include "fs/base/clock.h"
#include "fs/base/fuse_header.h"
#include "fs/base/hash.h"
#include "fs/base/ledger.h"
#include "fs/base/legacy.h"
#include "fs/base/unanswered_inside.h"

#define KEPT_MAX (IPCFS_TABLE_MAX - 1 - IPCFS_SLOTS) /* requests in the ledger */
#define TRIES_MAX 1 /* workers that may die of it, after the one that read it */

/* The entry of a request in the ledger: this, and its bytes. */
struct kept {
	uint64_t arrived;
	uint64_t since; /* when it was kept, ns of ipcfs_clock_ns */
	struct ipcfs_effects effects;
	_Atomic uint32_t interrupted, tries;
};

/* A request in the ledger. */
struct known {
	uint64_t unique;
	uint32_t index;
	UT_hash_handle hh;
};

static struct {
	struct ipcfs_legacy *legacy; /* NULL: nothing is noted */
	struct ipcfs_ledger *ledger;
	pthread_mutex_t lock; /* guards what follows */
	struct known *known;  /* by unique */
	uint32_t next;	      /* an index that may be free */
	struct ipcfs_own threads[IPCFS_SLOTS];
} all = { .lock = PTHREAD_MUTEX_INITIALIZER };

static _Thread_local struct ipcfs_own *own;
static _Thread_local struct ipcfs_own elsewhere; /* of threads without a slot */

struct ipcfs_own *ipcfs_own(void)
{
	return own ? own : &elsewhere;
}

uint32_t ipcfs_own_hand(const struct ipcfs_own *self)
{
	uint32_t kept = self->resumed ? self->resumed : self->index;

	if (kept)
		return IPCFS_SLOTS + kept;
	return self->slot ? (uint32_t)(self->slot - all.legacy->slots) + 1 : 0;
}

uint64_t ipcfs_unanswered_layout(uint64_t hash)
{
	const uint64_t numbers[] = {
		sizeof(struct kept),
		offsetof(struct kept, since),
		offsetof(struct kept, effects),
		offsetof(struct kept, interrupted),
		offsetof(struct kept, tries),
	};

	return ipcfs_layout_numbers(hash, numbers, sizeof(numbers) / sizeof(*numbers));
}

void ipcfs_unanswered_use(struct ipcfs_legacy *legacy, struct ipcfs_ledger *ledger)
{
	all.legacy = legacy;
	all.ledger = ledger;
}

void *ipcfs_unanswered_slot(unsigned index)
{
	if (!all.legacy)
		return NULL;
	own = &all.threads[index];
	own->slot = &all.legacy->slots[index];
	own->ledger = all.ledger;
	return own->slot->request;
}

void ipcfs_unanswered_give_back(size_t from, size_t to)
{
	(void)madvise(own->slot->request + from, to - from, MADV_REMOVE);
}

static _Atomic uint32_t *size_word(struct ipcfs_slot *slot)
{
	return (_Atomic uint32_t *)(void *)slot->request;
}

/* Returns the index of a request in the ledger. 0: it is not there. Call with the lock held. */
static uint32_t find(uint64_t unique)
{
	struct known *known;

	HASH_FIND(hh, all.known, &unique, sizeof(unique), known);
	return known ? known->index : 0;
}

/* Returns the thread that has this request in its slot. NULL: none has. */
static struct ipcfs_own *find_thread(uint64_t unique)
{
	for (unsigned i = 0; i < IPCFS_SLOTS; i++)
		if (atomic_load(&all.threads[i].unique) == unique)
			return &all.threads[i];
	return NULL;
}

static struct kept *kept_at(uint32_t index)
{
	size_t size;

	return ipcfs_ledger_at(all.ledger, IPCFS_LEDGER_REQUESTS, index, &size);
}

/* Notes that the kernel has interrupted a request. */
static void note_interrupt(uint64_t unique)
{
	const struct ipcfs_own *thread;
	uint32_t index;

	pthread_mutex_lock(&all.lock);
	index = find(unique);
	thread = index ? NULL : find_thread(unique);
	if (index)
		atomic_store(&kept_at(index)->interrupted, 1);
	else if (thread)
		atomic_store(&thread->slot->interrupted, 1);
	pthread_mutex_unlock(&all.lock);
}

/* Notes what was read into this thread's slot. */
static void note_request(struct ipcfs_own *self, size_t size)
{
	struct ipcfs_fuse_header head = { 0 };

	if (size < IPCFS_FUSE_HEADER_SIZE)
		return;
	ipcfs_fuse_header_read(self->slot->request, &head);
	atomic_store(&self->slot->arrived, atomic_fetch_add(&all.legacy->arrivals, 1) + 1);
	self->size = size;
	atomic_store(&self->unique, head.unique);
	/* If a node is forgotten twice, the kernel still has it: so rather never. */
	if (head.forgets)
		atomic_store(&self->slot->done, 1);
	if (head.interrupts) {
		atomic_store(&self->answered, true); /* the kernel waits for no answer */
		note_interrupt(head.interrupts);
	}
}

long ipcfs_unanswered_read(int fd, void *bytes, size_t size)
{
	struct ipcfs_own *self = ipcfs_own();
	ssize_t got;

	if (!self->slot || bytes != self->slot->request)
		return read(fd, bytes, size);
	atomic_store(&self->slot->arrived, 0);
	memset(&self->slot->effects, 0, sizeof(self->slot->effects));
	self->in_hand = 0;
	atomic_store(&self->slot->interrupted, 0);
	atomic_store(&self->slot->done, 0);
	atomic_store(&self->answered, false);
	self->index = 0;
	self->effects = &self->slot->effects;
	got = read(fd, bytes, size < IPCFS_SLOT_BYTES ? size : IPCFS_SLOT_BYTES);
	if (got > 0)
		note_request(self, (size_t)got);
	return got;
}

/* Finds an index in the ledger without an entry. Call with the lock held. 0: there is none. */
static uint32_t free_index(void)
{
	size_t size;

	for (uint32_t tried = 0; tried < KEPT_MAX; tried++) {
		all.next = all.next % KEPT_MAX + 1;
		if (!ipcfs_ledger_at(all.ledger, IPCFS_LEDGER_REQUESTS, all.next, &size))
			return all.next;
	}
	return 0;
}

/* Has the request of an entry found by its number. Call with the lock held. -ENOMEM. */
static int add_known(uint64_t unique, uint32_t index)
{
	struct known *known = calloc(1, sizeof(*known));

	if (!known)
		return -ENOMEM;
	known->unique = unique;
	known->index = index;
	HASH_ADD(hh, all.known, unique, sizeof(known->unique), known);
	if (known->hh.tbl)
		return 0;
	free(known);
	return -ENOMEM;
}

/*
 * Makes an entry of what a slot has. Returns its index. 0: there is no memory. Call with the lock
 * held.
 */
static uint32_t keep(struct ipcfs_slot *slot, size_t size, uint64_t unique)
{
	struct kept kept = { .arrived = atomic_load(&slot->arrived),
			     .since = ipcfs_clock_ns(),
			     .effects = slot->effects,
			     .interrupted = atomic_load(&slot->interrupted) };
	const struct iovec parts[] = { { &kept, sizeof(kept) }, { slot->request, size } };
	uint32_t index = free_index();

	if (!index || ipcfs_ledger_put(all.ledger, IPCFS_LEDGER_REQUESTS, index, parts, 2))
		return 0;
	if (!add_known(unique, index)) {
		ipcfs_ledger_move(all.ledger, IPCFS_LEDGER_HANDS,
				  (uint32_t)(slot - all.legacy->slots) + 1, IPCFS_SLOTS + index);
		return index;
	}
	ipcfs_ledger_drop(all.ledger, IPCFS_LEDGER_REQUESTS, index);
	return 0;
}

/* Empties a slot. Its request is answered, or in the ledger. */
static void empty(struct ipcfs_slot *slot)
{
	atomic_store(size_word(slot), 0);
}

uint32_t ipcfs_unanswered_park(void)
{
	struct ipcfs_own *self = ipcfs_own();

	if (!self->slot || self->index) {
		self->effects = NULL;
		return self->index;
	}
	pthread_mutex_lock(&all.lock);
	self->index = keep(self->slot, self->size, atomic_load(&self->unique));
	if (self->index)
		atomic_store(&self->slot->done, 1);
	self->effects = NULL; /* another thread may answer it, and drop the entry */
	pthread_mutex_unlock(&all.lock);
	return self->index;
}

/* Keeps the request of a thread, which another thread is going to answer, unless it just has. */
static void keep_own(struct ipcfs_own *self)
{
	pthread_mutex_lock(&all.lock);
	if (!atomic_load(&self->answered) && !self->index && !atomic_load(&self->slot->done) &&
	    self->size)
		(void)keep(self->slot, self->size, atomic_load(&self->unique));
	atomic_store(&self->unique, 0);
	pthread_mutex_unlock(&all.lock);
}

void ipcfs_unanswered_begin(uint64_t unique)
{
	struct ipcfs_own *self = ipcfs_own();

	if (!self->slot)
		return;
	pthread_mutex_lock(&all.lock);
	self->index = find(unique);
	self->effects = self->index ? &kept_at(self->index)->effects : NULL;
	pthread_mutex_unlock(&all.lock);
}

bool ipcfs_unanswered_refuse(int fd, uint64_t unique, int err)
{
	bool waited = ipcfs_fuse_header_refuse(fd, unique, err);

	ipcfs_unanswered_answered(unique);
	return waited;
}

void ipcfs_unanswered_end(void)
{
	struct ipcfs_own *self = ipcfs_own();

	if (!self->slot)
		return;
	if (!atomic_load(&self->answered))
		keep_own(self);
	atomic_store(&self->unique, 0);
	empty(self->slot);
	if (!self->index)
		ipcfs_own_empty_hand(self);
	self->in_hand = 0;
	self->size = 0;
	self->index = 0;
	self->effects = NULL;
}

/* Drops the entry of a request. False: it has none. Call with the lock held. */
static bool drop(uint64_t unique)
{
	struct ipcfs_own *self = ipcfs_own();
	struct known *known;

	HASH_FIND(hh, all.known, &unique, sizeof(unique), known);
	if (!known)
		return false;
	if ((self->resumed ? self->resumed : self->index) == known->index)
		self->effects = NULL; /* they were in the entry */
	ipcfs_ledger_drop(all.ledger, IPCFS_LEDGER_REQUESTS, known->index);
	ipcfs_ledger_drop(all.ledger, IPCFS_LEDGER_HANDS, IPCFS_SLOTS + known->index);
	HASH_DEL(all.known, known);
	free(known);
	return true;
}

void ipcfs_unanswered_answered(uint64_t unique)
{
	struct ipcfs_own *self = ipcfs_own(), *other;

	if (!all.legacy || !unique)
		return;
	if (self->slot && !self->index && atomic_load(&self->unique) == unique) {
		atomic_store(&self->answered, true);
		return;
	}
	pthread_mutex_lock(&all.lock);
	if (!drop(unique)) {
		/* its thread goes on with it: it was parked just now, or it is held up */
		other = find_thread(unique);
		if (other)
			atomic_store(&other->answered, true);
	}
	pthread_mutex_unlock(&all.lock);
}

struct ipcfs_unanswered_before ipcfs_unanswered_resume(uint32_t index)
{
	struct ipcfs_own *self = ipcfs_own();
	struct kept *kept = index ? kept_at(index) : NULL;
	struct ipcfs_unanswered_before before = { self->effects, self->resumed, self->in_hand };

	self->ledger = all.ledger;
	self->resumed = index;
	self->in_hand = 0;
	self->effects = kept ? &kept->effects : NULL;
	return before;
}

void ipcfs_unanswered_rest(struct ipcfs_unanswered_before before)
{
	struct ipcfs_own *self = ipcfs_own();

	self->effects = before.effects;
	self->resumed = before.index;
	self->in_hand = before.in_hand;
}

void ipcfs_unanswered_called(uint32_t index)
{
	if (index)
		(void)atomic_fetch_add(&kept_at(index)->effects.calls, IPCFS_CALL);
}

uint64_t ipcfs_unanswered_since(void)
{
	const struct ipcfs_own *self = ipcfs_own();

	return self->since ? self->since : ipcfs_clock_ns();
}

bool ipcfs_unanswered_misses(uint64_t unique)
{
	const struct ipcfs_effects *effects = ipcfs_own()->effects;

	return effects && atomic_load(&effects->skip) && ipcfs_unanswered_unique() == unique;
}

uint64_t ipcfs_unanswered_unique(void)
{
	const struct ipcfs_own *self = ipcfs_own();
	struct ipcfs_fuse_header head = { 0 };

	if (self->resumed)
		ipcfs_fuse_header_read(kept_at(self->resumed) + 1, &head);
	return self->resumed ? head.unique : atomic_load(&self->unique);
}

bool ipcfs_unanswered_is_left(void)
{
	return ipcfs_own()->since != 0;
}

bool ipcfs_unanswered_is_lost(void)
{
	return ipcfs_own()->lost;
}

/* Returns the number of the request with these bytes. */
static uint64_t unique_of(const void *request)
{
	struct ipcfs_fuse_header head;

	ipcfs_fuse_header_read(request, &head);
	return head.unique;
}

/* Returns the effects of a request that a worker before has left. NULL: it was answered. */
static const struct ipcfs_effects *effects_of(uint64_t unique)
{
	for (unsigned i = 0; i < IPCFS_SLOTS; i++) {
		struct ipcfs_slot *slot = &all.legacy->slots[i];

		if (atomic_load(size_word(slot)) >= IPCFS_FUSE_HEADER_SIZE &&
		    !atomic_load(&slot->done) && unique_of(slot->request) == unique)
			return &slot->effects;
	}
	for (uint32_t i = 0; (i = ipcfs_ledger_next(all.ledger, IPCFS_LEDGER_REQUESTS, i)) != 0;) {
		size_t size;
		const struct kept *kept = ipcfs_ledger_at(all.ledger, IPCFS_LEDGER_REQUESTS, i,
							  &size);

		if (size >= sizeof(*kept) + IPCFS_FUSE_HEADER_SIZE && unique_of(kept + 1) == unique)
			return &kept->effects;
	}
	return NULL;
}

bool ipcfs_unanswered_has_made(uint64_t unique, uint32_t calls)
{
	const struct ipcfs_effects *effects = effects_of(unique);

	return !effects || atomic_load(&effects->calls) / IPCFS_CALL > calls;
}

/* A request that a worker before has left. */
struct left {
	uint64_t arrived;
	uint32_t index;
};

static int compare(const void *a, const void *b)
{
	const struct left *left = a, *right = b;

	return (left->arrived > right->arrived) - (left->arrived < right->arrived);
}

/* Makes entries of what slots have. */
static int keep_slots(void)
{
	struct ipcfs_fuse_header head;
	int err = 0;

	for (unsigned i = 0; i < IPCFS_SLOTS; i++) {
		struct ipcfs_slot *slot = &all.legacy->slots[i];
		size_t size = atomic_load(size_word(slot));

		if (size < IPCFS_FUSE_HEADER_SIZE || size > IPCFS_SLOT_BYTES ||
		    atomic_load(&slot->done)) {
			empty(slot);
			continue;
		}
		ipcfs_fuse_header_read(slot->request, &head);
		if (!atomic_load(&slot->arrived)) /* it came last */
			atomic_store(&slot->arrived,
				     atomic_fetch_add(&all.legacy->arrivals, 1) + 1);
		if (!find(head.unique) && !keep(slot, size, head.unique))
			err = -ENOMEM;
		empty(slot);
	}
	return err;
}

/* Has the entries that a worker before has made found by their numbers. */
static int know_all(void)
{
	struct ipcfs_fuse_header head;
	int err = 0;

	for (uint32_t i = 0; (i = ipcfs_ledger_next(all.ledger, IPCFS_LEDGER_REQUESTS, i)) != 0;) {
		size_t size;
		const struct kept *kept = ipcfs_ledger_at(all.ledger, IPCFS_LEDGER_REQUESTS, i,
							  &size);

		if (size < sizeof(*kept) + IPCFS_FUSE_HEADER_SIZE) {
			ipcfs_ledger_drop(all.ledger, IPCFS_LEDGER_REQUESTS, i);
			continue;
		}
		ipcfs_fuse_header_read(kept + 1, &head);
		if (find(head.unique))
			ipcfs_ledger_drop(all.ledger, IPCFS_LEDGER_REQUESTS, i);
		else if (add_known(head.unique, i))
			err = -ENOMEM;
	}
	return err;
}

/* Returns what was left, in the order in which it came. NULL: nothing, or no memory. */
static struct left *list(size_t *count)
{
	struct left *list = calloc(HASH_COUNT(all.known) + 1, sizeof(*list));
	struct known *known, *next;

	*count = 0;
	if (!list)
		return NULL;
	HASH_ITER (hh, all.known, known, next)
		list[(*count)++] = (struct left){ kept_at(known->index)->arrived, known->index };
	qsort(list, *count, sizeof(*list), compare);
	return list;
}

/* Notes that no worker has died of a request. Drops it if the kernel waits for no answer. */
static void end_try(const struct ipcfs_fuse_header *head)
{
	uint32_t index;

	pthread_mutex_lock(&all.lock);
	if (head->forgets || head->interrupts)
		(void)drop(head->unique);
	index = find(head->unique);
	if (index)
		atomic_store(&kept_at(index)->tries, 0);
	pthread_mutex_unlock(&all.lock);
}

/* Counts a try. Returns whether workers have died of the request. */
static bool is_tried(struct kept *kept)
{
	if (atomic_load(&all.legacy->trial)) {
		/* of another program: the one before would not die of it */
		(void)ipcfs_fault("upgrade.replay");
		return false;
	}
	return atomic_fetch_add(&kept->tries, 1) >= TRIES_MAX;
}

/* Handles a request again. -ENOMEM. */
static int replay(uint32_t index, void (*handle)(void *arg, const struct ipcfs_unanswered *request),
		  void *arg)
{
	struct ipcfs_unanswered request = { 0 };
	struct ipcfs_fuse_header head;
	size_t size;
	struct kept *kept = ipcfs_ledger_at(all.ledger, IPCFS_LEDGER_REQUESTS, index, &size);

	request.size = size - sizeof(*kept);
	request.bytes = malloc(request.size);
	if (!request.bytes)
		return -ENOMEM;
	memcpy(request.bytes, kept + 1, request.size);
	ipcfs_fuse_header_read(request.bytes, &head);
	request.interrupted = atomic_load(&kept->interrupted);
	own->lost = atomic_load(&kept->effects.lost);
	own->in_hand = 0;
	request.bad = all.legacy->dropped || is_tried(kept);
	request.lost = own->lost;
	own->index = index;
	own->since = kept->since;
	own->effects = &kept->effects;
	atomic_store(&kept->effects.skip, atomic_load(&kept->effects.calls) / IPCFS_CALL);
	atomic_store(&own->unique, head.unique);
	handle(arg, &request);
	end_try(&head);
	own->index = 0;
	own->since = 0;
	own->lost = false;
	own->effects = NULL;
	atomic_store(&own->unique, 0);
	explicit_bzero(request.bytes, request.size);
	free(request.bytes);
	return 0;
}

int ipcfs_unanswered_replay(void (*handle)(void *arg, const struct ipcfs_unanswered *request),
			    void *arg)
{
	int err = know_all();
	struct left *left;
	size_t count;

	if (!err)
		err = keep_slots();
	left = list(&count);
	for (size_t i = 0; left && i < count; i++)
		if (replay(left[i].index, handle, arg))
			err = -ENOMEM;
	free(left);
	return left ? err : -ENOMEM;
}
