/* SPDX-License-Identifier: MIT */
#include "fs/base/legacy.h"

#include <string.h>
#include <sys/mman.h>

#include "fs/base/fuse_header.h"

#define BEGUN_MAX 3 /* workers that may die of what was left */

struct ipcfs_legacy *ipcfs_legacy_create(bool keeps)
{
	struct ipcfs_legacy *legacy = mmap(NULL, sizeof(struct ipcfs_legacy),
					   PROT_READ | PROT_WRITE,
					   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (legacy == MAP_FAILED)
		return NULL;
	legacy->keeps = keeps;
	return legacy;
}

bool ipcfs_legacy_is_bad(const struct ipcfs_legacy *legacy)
{
	return atomic_load(&legacy->begun) >= BEGUN_MAX;
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
