/* SPDX-License-Identifier: MIT */
#include "backends/base/mapping.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGES_MAX 257 /* of 1 MiB that does not begin with a page; a page has at least 4096 bytes */

struct mapping {
	char *bytes; /* NULL: none */
	off_t start;
	uint64_t last_use;
	unsigned users;
	int fd;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static struct mapping mappings[IPCFS_MAPPINGS];
static uint64_t uses;

/* Returns the mapping of this part of the file, or NULL. Call with the lock held. */
static struct mapping *find(int fd, off_t start)
{
	for (unsigned i = 0; i < IPCFS_MAPPINGS; i++)
		if (mappings[i].bytes && mappings[i].fd == fd && mappings[i].start == start)
			return &mappings[i];
	return NULL;
}

/* Returns the unused mapping that was not used for the longest time. Call with the lock held. */
static struct mapping *oldest(void)
{
	struct mapping *found = NULL;

	for (unsigned i = 0; i < IPCFS_MAPPINGS; i++)
		if (!mappings[i].users && (!found || mappings[i].last_use < found->last_use))
			found = &mappings[i];
	return found;
}

static void unmap(char *bytes)
{
	if (bytes)
		(void)munmap(bytes, IPCFS_MAPPING_BYTES);
}

/* Takes a mapping of this part of the file into use. NULL: all are in use, or none can be made. */
static struct mapping *take(int fd, off_t start)
{
	struct mapping *mapping;
	char *before = NULL, *bytes;
	bool fresh;

	pthread_mutex_lock(&lock);
	mapping = find(fd, start);
	fresh = !mapping;
	if (fresh)
		mapping = oldest();
	if (mapping) {
		mapping->users++;
		mapping->last_use = ++uses;
	}
	if (mapping && fresh) {
		before = mapping->bytes;
		mapping->bytes = NULL;
	}
	pthread_mutex_unlock(&lock);
	if (!mapping || !fresh)
		return mapping;

	unmap(before);
	bytes = mmap(NULL, IPCFS_MAPPING_BYTES, PROT_READ, MAP_SHARED, fd, start);
	pthread_mutex_lock(&lock);
	if (bytes == MAP_FAILED) {
		mapping->users--;
		mapping->last_use = 0;
	} else {
		mapping->bytes = bytes;
		mapping->fd = fd;
		mapping->start = start;
	}
	pthread_mutex_unlock(&lock);
	return bytes == MAP_FAILED ? NULL : mapping;
}

/* Returns whether all pages of these bytes are in memory. */
static bool are_there(const char *bytes, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t before = (uintptr_t)bytes % page, count = (before + size + page - 1) / page;
	unsigned char pages[PAGES_MAX];

	if (count > PAGES_MAX || mincore((void *)(uintptr_t)(bytes - before), before + size, pages))
		return false;
	for (size_t i = 0; i < count; i++)
		if (!(pages[i] & 1))
			return false;
	return true;
}

const void *ipcfs_mapping_get(int fd, off_t offset, size_t size, unsigned *which)
{
	size_t inside = (size_t)offset % IPCFS_MAPPING_BYTES;
	const struct mapping *mapping;

	if (size > IPCFS_MAPPING_BYTES - inside)
		return NULL;
	mapping = take(fd, offset - (off_t)inside);
	if (!mapping)
		return NULL;
	*which = (unsigned)(mapping - mappings);
	if (are_there(mapping->bytes + inside, size))
		return mapping->bytes + inside;
	ipcfs_mapping_put(*which);
	return NULL;
}

void ipcfs_mapping_put(unsigned which)
{
	pthread_mutex_lock(&lock);
	mappings[which].users--;
	pthread_mutex_unlock(&lock);
}

/* Takes a mapping of the file out of the table. NULL: there is none. */
static char *take_out(int fd)
{
	char *bytes = NULL;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < IPCFS_MAPPINGS && !bytes; i++) {
		if (!mappings[i].bytes || mappings[i].fd != fd)
			continue;
		bytes = mappings[i].bytes;
		/* `users` stays: a READ that has replied may not have put it back yet */
		mappings[i].bytes = NULL;
		mappings[i].last_use = 0;
	}
	pthread_mutex_unlock(&lock);
	return bytes;
}

void ipcfs_mapping_drop(int fd)
{
	char *bytes;

	while ((bytes = take_out(fd)))
		unmap(bytes);
}
