/* SPDX-License-Identifier: MIT */
#include "fs/base/ledger.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK IPCFS_LEDGER_CHUNK
#define CHUNKS IPCFS_LEDGER_CHUNKS
#define BLOCK_MIN 64 /* bytes; the blocks of each further size are twice as long */
#define SIZES 12     /* the last one is half a chunk; what is longer has chunks of its own */
#define WORDS (CHUNK / BLOCK_MIN / 64)

/* Stands in front of the bytes of an entry. */
struct block {
	uint64_t magic;
	uint64_t size; /* bytes of the entry */
};
#define MAGIC 0x6970636673626c6bULL

enum { FREE = -2, LONG = -1 }; /* beside the sizes of blocks, 0 to SIZES - 1 */

struct chunk {
	int kind;	  /* FREE, LONG: part of a long block, or the size of its blocks */
	unsigned count;	  /* blocks in use */
	uint64_t *in_use; /* a bit for each block; kept when the chunk is free; NULL: none yet */
};

struct ipcfs_ledger {
	struct ipcfs_ledger_memory *memory; /* not owned */
	pthread_mutex_t lock;		    /* guards what follows */
	unsigned first[SIZES];		    /* no chunk before it has a free block of this size */
	unsigned spare[SIZES];		    /* a chunk without blocks in use, plus 1; 0: none */
	unsigned first_free;		    /* no chunk before it is free */
	struct chunk chunks[CHUNKS];
};

static size_t bytes_of(int kind)
{
	return (size_t)BLOCK_MIN << kind;
}

/* Returns the size of block for `size` bytes, or LONG. */
static int kind_for(size_t size)
{
	int kind = 0;

	while (kind < SIZES && bytes_of(kind) < size)
		kind++;
	return kind < SIZES ? kind : LONG;
}

static unsigned chunks_for(size_t size)
{
	return (unsigned)((size + CHUNK - 1) / CHUNK);
}

static unsigned blocks_in(int kind)
{
	return (unsigned)(CHUNK / bytes_of(kind));
}

/* Gives the memory of chunks back to the system. */
static void give_back(const struct ipcfs_ledger *ledger, unsigned chunk, unsigned count)
{
	/* an error only leaves the memory in use */
	(void)madvise(ledger->memory->area + (size_t)chunk * CHUNK, (size_t)count * CHUNK,
		      MADV_REMOVE);
}

/* Has a free chunk hold blocks of this size. Call with the lock held. -ENOMEM. */
static int begin_chunk(struct chunk *chunk, int kind)
{
	if (!chunk->in_use)
		chunk->in_use = calloc(WORDS, sizeof(*chunk->in_use));
	if (!chunk->in_use)
		return -ENOMEM;
	chunk->kind = kind;
	return 0;
}

/* Returns a chunk with a free block of this size. CHUNKS: there is none. Call with the lock held. */
static unsigned find_chunk(struct ipcfs_ledger *ledger, int kind)
{
	unsigned at = ledger->first[kind];

	while (at < CHUNKS &&
	       (ledger->chunks[at].kind != kind || ledger->chunks[at].count == blocks_in(kind)))
		at++;
	if (at == CHUNKS) {
		for (at = ledger->first_free; at < CHUNKS && ledger->chunks[at].kind != FREE; at++)
			;
		ledger->first_free = at;
		if (at == CHUNKS || begin_chunk(&ledger->chunks[at], kind))
			return CHUNKS;
	}
	ledger->first[kind] = at;
	return at;
}

/* Takes a block of this size. Returns its place. 0: there is none. Call with the lock held. */
static uint64_t take_block(struct ipcfs_ledger *ledger, int kind)
{
	unsigned at = find_chunk(ledger, kind), word = 0, bit;
	struct chunk *chunk = &ledger->chunks[at];

	if (at == CHUNKS)
		return 0;
	while (chunk->in_use[word] == UINT64_MAX)
		word++;
	bit = (unsigned)__builtin_ctzll(~chunk->in_use[word]);
	chunk->in_use[word] |= UINT64_C(1) << bit;
	chunk->count++;
	if (ledger->spare[kind] == at + 1)
		ledger->spare[kind] = 0;
	return (uint64_t)at * CHUNK + (word * 64U + bit) * bytes_of(kind) + 1;
}

/* Takes chunks that follow each other. Returns as take_block. Call with the lock held. */
static uint64_t take_long(struct ipcfs_ledger *ledger, unsigned count)
{
	unsigned found = 0;

	for (unsigned at = ledger->first_free; at < CHUNKS; at++) {
		found = ledger->chunks[at].kind == FREE ? found + 1 : 0;
		if (found < count)
			continue;
		for (unsigned i = 0; i < count; i++)
			ledger->chunks[at - i].kind = LONG;
		return (uint64_t)(at + 1 - count) * CHUNK + 1;
	}
	return 0;
}

static struct block *block_at(const struct ipcfs_ledger *ledger, uint64_t place)
{
	return (struct block *)(void *)(ledger->memory->area + place - 1);
}

/* Keeps the lower one of two chunks without blocks in use, and frees the other one. */
static void keep_spare(struct ipcfs_ledger *ledger, int kind, unsigned at)
{
	unsigned other = ledger->spare[kind], drop;

	ledger->spare[kind] = other && other < at + 1 ? other : at + 1;
	if (!other)
		return;
	drop = other < at + 1 ? at : other - 1;
	ledger->chunks[drop].kind = FREE;
	if (drop < ledger->first_free)
		ledger->first_free = drop;
	give_back(ledger, drop, 1);
}

static void free_block(struct ipcfs_ledger *ledger, uint64_t place)
{
	unsigned at = (unsigned)((place - 1) / CHUNK), block;
	struct chunk *chunk = &ledger->chunks[at];

	block = (unsigned)((place - 1) % CHUNK / bytes_of(chunk->kind));
	chunk->in_use[block / 64] &= ~(UINT64_C(1) << block % 64);
	if (at < ledger->first[chunk->kind])
		ledger->first[chunk->kind] = at;
	if (--chunk->count == 0)
		keep_spare(ledger, chunk->kind, at);
}

static void free_long(struct ipcfs_ledger *ledger, uint64_t place, unsigned count)
{
	unsigned at = (unsigned)((place - 1) / CHUNK);

	for (unsigned i = 0; i < count; i++)
		ledger->chunks[at + i].kind = FREE;
	if (at < ledger->first_free)
		ledger->first_free = at;
	give_back(ledger, at, count);
}

/* Clears and frees the block of an entry that was dropped. 0: there was none. */
static void free_place(struct ipcfs_ledger *ledger, uint64_t place)
{
	struct block *block = place ? block_at(ledger, place) : NULL;
	size_t size = block ? sizeof(*block) + block->size : 0;

	if (!block)
		return;
	explicit_bzero(block, size);
	pthread_mutex_lock(&ledger->lock);
	if (kind_for(size) == LONG)
		free_long(ledger, place, chunks_for(size));
	else
		free_block(ledger, place);
	pthread_mutex_unlock(&ledger->lock);
}

/* Notes chunks that a long block has. False: they have something else. */
static bool claim_long(struct ipcfs_ledger *ledger, unsigned at, unsigned count)
{
	if (count > CHUNKS - at)
		return false;
	for (unsigned i = 0; i < count; i++)
		if (ledger->chunks[at + i].kind != FREE)
			return false;
	for (unsigned i = 0; i < count; i++)
		ledger->chunks[at + i].kind = LONG;
	return true;
}

/* Notes a block that is part of a chunk. False: the chunk has other blocks there. */
static bool claim_block(struct chunk *chunk, int kind, size_t offset)
{
	size_t block = offset / bytes_of(kind);
	uint64_t bit = UINT64_C(1) << block % 64;

	if (offset % bytes_of(kind) || (chunk->kind != FREE && chunk->kind != kind) ||
	    (chunk->kind == FREE && begin_chunk(chunk, kind)) || chunk->in_use[block / 64] & bit)
		return false;
	chunk->in_use[block / 64] |= bit;
	chunk->count++;
	return true;
}

/*
 * Notes the block of an entry that a worker before has left. False: the entry can't be. It is
 * outside of the area, too long, or in another one. Call before there are threads.
 */
static bool claim(struct ipcfs_ledger *ledger, uint64_t place)
{
	unsigned at = (unsigned)((place - 1) / CHUNK);
	size_t offset = (place - 1) % CHUNK;
	const struct block *found;
	int kind;

	if (place > (uint64_t)CHUNKS * CHUNK || offset % BLOCK_MIN)
		return false;
	found = block_at(ledger, place);
	if (found->magic != MAGIC || found->size > (uint64_t)CHUNKS * CHUNK)
		return false;
	kind = kind_for(sizeof(*found) + found->size);
	if (kind != LONG)
		return claim_block(&ledger->chunks[at], kind, offset);
	return !offset && claim_long(ledger, at, chunks_for(sizeof(*found) + found->size));
}

/* Finds out which blocks are in use. */
static void claim_all(struct ipcfs_ledger *ledger)
{
	for (int shelf = 0; shelf < IPCFS_LEDGER_SHELVES; shelf++) {
		_Atomic uint64_t *places = ledger->memory->places[shelf];

		for (uint32_t i = 0; (i = ipcfs_ledger_next(ledger, shelf, i)) != 0;)
			if (!claim(ledger, atomic_load(&places[i])))
				atomic_store(&places[i], 0);
	}
}

struct ipcfs_ledger *ipcfs_ledger_open(struct ipcfs_ledger_memory *memory)
{
	struct ipcfs_ledger *ledger = calloc(1, sizeof(*ledger));

	if (!ledger)
		return NULL;
	ledger->memory = memory;
	pthread_mutex_init(&ledger->lock, NULL);
	for (unsigned i = 0; i < CHUNKS; i++)
		ledger->chunks[i].kind = FREE;
	claim_all(ledger);
	/* a process that acts for somebody has no use for it */
	(void)madvise(memory, sizeof(*memory), MADV_DONTFORK);
	return ledger;
}

void ipcfs_ledger_close(struct ipcfs_ledger *ledger)
{
	if (!ledger)
		return;
	for (unsigned i = 0; i < CHUNKS; i++)
		free(ledger->chunks[i].in_use);
	pthread_mutex_destroy(&ledger->lock);
	free(ledger);
}

/* Notes that an index has an entry. */
static void note_index(struct ipcfs_ledger_memory *memory, enum ipcfs_ledger_shelf shelf,
		       uint32_t index)
{
	uint32_t most = atomic_load(&memory->most[shelf]);

	while (index > most && !atomic_compare_exchange_weak(&memory->most[shelf], &most, index))
		;
}

/* Takes a block for an entry of `size` bytes. Returns its place; 0: there is no memory. */
static uint64_t take(struct ipcfs_ledger *ledger, size_t size)
{
	int kind = kind_for(sizeof(struct block) + size);
	uint64_t place;

	pthread_mutex_lock(&ledger->lock);
	place = kind == LONG ? take_long(ledger, chunks_for(sizeof(struct block) + size))
			     : take_block(ledger, kind);
	pthread_mutex_unlock(&ledger->lock);
	if (place)
		*block_at(ledger, place) = (struct block){ MAGIC, size };
	return place;
}

/* Puts an entry in place of the one that was there. */
static void replace(struct ipcfs_ledger *ledger, enum ipcfs_ledger_shelf shelf, uint32_t index,
		    uint64_t place)
{
	note_index(ledger->memory, shelf, index);
	free_place(ledger, atomic_exchange(&ledger->memory->places[shelf][index], place));
}

int ipcfs_ledger_put(struct ipcfs_ledger *ledger, enum ipcfs_ledger_shelf shelf, uint32_t index,
		     const struct iovec *parts, int count)
{
	size_t size = 0;
	uint64_t place;
	char *bytes;

	for (int i = 0; i < count; i++)
		size += parts[i].iov_len;
	place = take(ledger, size);
	if (!place)
		return -ENOMEM;
	bytes = (char *)(block_at(ledger, place) + 1);
	for (int i = 0; i < count; i++) {
		if (parts[i].iov_len)
			memcpy(bytes, parts[i].iov_base, parts[i].iov_len);
		bytes += parts[i].iov_len;
	}
	replace(ledger, shelf, index, place);
	return 0;
}

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t smaller = a < b ? a : b;

	return smaller < c ? smaller : c;
}

void *ipcfs_ledger_reserve(struct ipcfs_ledger *ledger, enum ipcfs_ledger_shelf shelf,
			   uint32_t index, size_t size, size_t keep)
{
	uint64_t place = take(ledger, size);
	const void *old;
	size_t before;

	if (!place)
		return NULL;
	old = ipcfs_ledger_at(ledger, shelf, index, &before);
	if (old && keep)
		memcpy(block_at(ledger, place) + 1, old, smallest(keep, before, size));
	replace(ledger, shelf, index, place);
	return block_at(ledger, place) + 1;
}

void ipcfs_ledger_move(struct ipcfs_ledger *ledger, enum ipcfs_ledger_shelf shelf, uint32_t from,
		       uint32_t to)
{
	_Atomic uint64_t *places = ledger->memory->places[shelf];
	uint64_t place = atomic_load(&places[from]);

	if (!place)
		return;
	note_index(ledger->memory, shelf, to);
	atomic_store(&places[to], place); /* if it is killed here, claim_all drops one of the two */
	atomic_store(&places[from], 0);
}

void ipcfs_ledger_drop(struct ipcfs_ledger *ledger, enum ipcfs_ledger_shelf shelf, uint32_t index)
{
	free_place(ledger, atomic_exchange(&ledger->memory->places[shelf][index], 0));
}

void *ipcfs_ledger_at(const struct ipcfs_ledger *ledger, enum ipcfs_ledger_shelf shelf,
		      uint32_t index, size_t *size)
{
	uint64_t place = atomic_load(&ledger->memory->places[shelf][index]);

	if (!place)
		return NULL;
	*size = block_at(ledger, place)->size;
	return block_at(ledger, place) + 1;
}

uint32_t ipcfs_ledger_next(const struct ipcfs_ledger *ledger, enum ipcfs_ledger_shelf shelf,
			   uint32_t after)
{
	uint32_t most = atomic_load(&ledger->memory->most[shelf]);

	for (uint32_t i = after + 1; i <= most && i < IPCFS_TABLE_MAX; i++)
		if (atomic_load_explicit(&ledger->memory->places[shelf][i], memory_order_relaxed))
			return i;
	return 0;
}
