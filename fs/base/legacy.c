/* SPDX-License-Identifier: MIT */
#include "fs/base/legacy.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "backends/contract/descriptor.h"
#include "backends/contract/layout.h"
#include "fs/base/fuse_header.h"

#define BEGUN_MAX 3 /* workers that may die of what was left */

struct ipcfs_legacy *ipcfs_legacy_create(bool keeps, uint64_t layout, int *file)
{
	struct ipcfs_legacy *legacy;

	*file = ipcfs_descriptor_memory("ipcfs-legacy", sizeof(struct ipcfs_legacy));
	legacy = mmap(NULL, sizeof(struct ipcfs_legacy), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_NORESERVE | (*file < 0 ? MAP_ANONYMOUS : 0), *file, 0);
	if (legacy == MAP_FAILED) {
		ipcfs_descriptor_close(file);
		return NULL;
	}
	legacy->keeps = keeps;
	legacy->layout = layout;
	return legacy;
}

struct ipcfs_legacy *ipcfs_legacy_map(int file, uint64_t layout)
{
	struct ipcfs_legacy *legacy;
	struct stat st;

	if (fstat(file, &st) < 0 || st.st_size != (off_t)sizeof(struct ipcfs_legacy))
		return NULL;
	legacy = mmap(NULL, sizeof(struct ipcfs_legacy), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_NORESERVE, file, 0);
	if (legacy == MAP_FAILED)
		return NULL;
	if (legacy->layout == layout)
		return legacy;
	(void)munmap(legacy, sizeof(struct ipcfs_legacy)); /* cannot fail: it is mapped */
	return NULL;
}

uint64_t ipcfs_legacy_layout(uint64_t hash)
{
	const uint64_t numbers[] = {
		sizeof(struct ipcfs_legacy),
		offsetof(struct ipcfs_legacy, files),
		offsetof(struct ipcfs_legacy, init),
		offsetof(struct ipcfs_legacy, answer),
		offsetof(struct ipcfs_legacy, backings),
		offsetof(struct ipcfs_legacy, polls),
		offsetof(struct ipcfs_legacy, keeps),
		offsetof(struct ipcfs_legacy, dropped),
		offsetof(struct ipcfs_legacy, begun),
		offsetof(struct ipcfs_legacy, trial),
		offsetof(struct ipcfs_legacy, arrivals),
		offsetof(struct ipcfs_legacy, slots),
		offsetof(struct ipcfs_legacy, ledger),
		sizeof(struct ipcfs_slot),
		offsetof(struct ipcfs_slot, arrived),
		offsetof(struct ipcfs_slot, effects),
		offsetof(struct ipcfs_slot, interrupted),
		offsetof(struct ipcfs_slot, done),
		offsetof(struct ipcfs_effects, calls),
		offsetof(struct ipcfs_effects, skip),
		IPCFS_CALL,
		offsetof(struct ipcfs_ledger_memory, most),
		offsetof(struct ipcfs_ledger_memory, area),
		IPCFS_LEDGER_SHELVES,
		IPCFS_LEDGER_CHUNK,
		IPCFS_TABLE_MAX,
	};

	return ipcfs_layout_numbers(hash, numbers, sizeof(numbers) / sizeof(*numbers));
}

bool ipcfs_legacy_is_bad(const struct ipcfs_legacy *legacy)
{
	return !atomic_load(&legacy->trial) && atomic_load(&legacy->begun) >= BEGUN_MAX;
}

void ipcfs_legacy_drop(struct ipcfs_legacy *legacy)
{
	for (int shelf = 0; shelf < IPCFS_LEDGER_REQUESTS; shelf++)
		for (uint32_t i = 0; i <= atomic_load(&legacy->ledger.most[shelf]); i++)
			atomic_store(&legacy->ledger.places[shelf][i], 0);
	legacy->dropped = true;
}

static void note_poll(struct ipcfs_legacy *legacy, uint64_t file, uint64_t pollers)
{
	uint32_t index = ipcfs_table_index(file);
	uint32_t most = atomic_load(&legacy->polled);

	while (index > most && !atomic_compare_exchange_weak(&legacy->polled, &most, index))
		;
	atomic_store(&legacy->polls[index], pollers);
}

void ipcfs_legacy_request(struct ipcfs_legacy *legacy, const void *request, size_t size)
{
	uint64_t file, pollers;

	if (ipcfs_fuse_header_poll(request, size, &file, &pollers)) {
		note_poll(legacy, file, pollers);
	} else if (!atomic_load_explicit(&legacy->init_size, memory_order_relaxed) &&
		   size <= sizeof(legacy->init)) {
		/* INIT is the first request of a connection */
		memcpy(legacy->init, request, size);
		atomic_store(&legacy->init_size, size);
	}
}

bool ipcfs_legacy_answer(struct ipcfs_legacy *legacy, const void *answer, size_t size)
{
	size_t before = atomic_load(&legacy->answer_size);

	if (size > sizeof(legacy->answer))
		return false;
	if (before)
		return before == size && memcmp(legacy->answer, answer, size) == 0;
	memcpy(legacy->answer, answer, size);
	atomic_store(&legacy->answer_size, size);
	return true;
}

void ipcfs_legacy_backing(struct ipcfs_legacy *legacy, int id)
{
	int32_t none = 0;

	if (legacy)
		(void)atomic_compare_exchange_strong(&legacy->backings[id % IPCFS_LEGACY_BACKINGS],
						     &none, id);
}

void ipcfs_legacy_backing_closed(struct ipcfs_legacy *legacy, int id)
{
	int32_t noted = id;

	if (legacy)
		(void)atomic_compare_exchange_strong(&legacy->backings[id % IPCFS_LEGACY_BACKINGS],
						     &noted, 0);
}

void ipcfs_legacy_backing_keep(struct ipcfs_legacy *legacy, int id)
{
	int32_t noted = id;

	if (id)
		(void)atomic_compare_exchange_strong(&legacy->backings[id % IPCFS_LEGACY_BACKINGS],
						     &noted, -id);
}

void ipcfs_legacy_wake_pollers(struct ipcfs_legacy *legacy, int device)
{
	uint32_t most = atomic_exchange(&legacy->polled, 0);

	for (uint32_t index = 1; index <= most; index++) {
		uint64_t pollers = atomic_exchange(&legacy->polls[index], 0);

		if (pollers)
			ipcfs_fuse_header_wake(device, pollers);
	}
}
