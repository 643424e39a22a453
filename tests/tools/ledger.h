/* SPDX-License-Identifier: MIT */
/*
 * The ledger of numbered messages: what became of each, in memory that outlives the processes that
 * write it. A message is WRITER:SEQUENCE:ID:SIZE:SUM:padding.
 */
#ifndef IPCFS_LEDGER_H
#define IPCFS_LEDGER_H

#include <stdatomic.h>
#include <sys/mman.h>

#include "peer.h"

enum { IDS = 1 << 25, WRITERS = 1 << 16, LARGEST = 4000, BUFFER = 256 * 1024, BATCH = 8 };
enum fate { FATE_NONE, FATE_ATTEMPTED, FATE_SENT };

struct shared {
	atomic_uint next_id;
	atomic_uint tempo; /* 0: all fast, 1: slow readers, 2: slow writers */
	atomic_uint cut, doubled, unknown, disorder;
	atomic_uint errors;
	atomic_uint eintr;
};
static struct shared *shared;
static atomic_uchar *fate;
static atomic_uint *taken;

static uint64_t rng;

static void *share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		peer_die("mmap");
	return memory;
}

static unsigned sum_of(const char *text, size_t size)
{
	unsigned sum = 2166136261u;

	while (size--)
		sum = (sum ^ (unsigned char)*text++) * 16777619u;
	return sum;
}

static size_t compose(char *text, uint32_t writer, uint32_t sequence, uint32_t id)
{
	size_t size = peer_random(&rng) % (peer_random(&rng) % 16 ? 200 : LARGEST);
	char padding[LARGEST];

	for (size_t i = 0; i < size; i++)
		padding[i] = (char)('a' + (id + i) % 26);
	return (size_t)snprintf(text, LARGEST + 100, "%u:%u:%u:%zu:%u:%.*s", writer, sequence, id,
				size, sum_of(padding, size), (int)size, padding);
}

/*
 * Notes that a reader got a message. `last`: the last sequence number of each writer (NULL: do not
 * check the order). `dead`: the message was found in the buffer of a killed reader, where it may be
 * cut, or noted already.
 */
static void note(const char *name, uint32_t life, const char *text, size_t size, uint32_t *last,
		 bool dead)
{
	uint32_t writer, sequence, id, none = 0;
	unsigned sum;
	size_t padding;
	int head = 0;
	char copy[LARGEST + 200];

	if (size && text[size - 1] == '\n')
		size--;
	if (size >= sizeof(copy)) {
		peer_fail("%s: a message of %zu bytes", name, size);
		atomic_fetch_add(&shared->cut, 1);
		return;
	}
	memcpy(copy, text, size);
	copy[size] = '\0';
	if (sscanf(copy, "%u:%u:%u:%zu:%u:%n", &writer, &sequence, &id, &padding, &sum, &head) !=
		    5 ||
	    !head ||
	    (!dead && (size - (size_t)head != padding || sum_of(copy + head, padding) != sum))) {
		if (dead && !size)
			return;
		atomic_fetch_add(&shared->cut, 1);
		peer_fail("%s got a cut message of %zu bytes: %.60s", name, size, copy);
		return;
	}
	if (id >= IDS || !fate[id]) {
		atomic_fetch_add(&shared->unknown, 1);
		peer_fail("%s got a message that nobody sent: %.60s", name, copy);
		return;
	}
	if (!atomic_compare_exchange_strong(&taken[id], &none, life)) {
		if (dead && none == life)
			return;
		atomic_fetch_add(&shared->doubled, 1);
		peer_fail("%s got message %u of writer %u, which reader %u got already", name,
			  sequence, writer, none);
	}
	if (!last || writer >= WRITERS)
		return;
	if (sequence < last[writer])
		atomic_fetch_add(&shared->disorder, 1);
	else
		last[writer] = sequence;
}

static void ledger_open(void)
{
	shared = share(sizeof(*shared));
	fate = share(IDS * sizeof(*fate));
	taken = share(IDS * sizeof(*taken));
}

#endif
