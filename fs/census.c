/* SPDX-License-Identifier: MIT */
#include "census.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hash.h"

#define FRESH_NS (20 * 1000 * 1000)

/* A namespace and who was there, in the order of their numbers. */
struct place {
	uint64_t inode;
	struct ipcfs_text people; /* of pid_t */
	UT_hash_handle hh;
};

struct ipcfs_census {
	pthread_mutex_t lock; /* guards what follows */
	struct place *places;
	int64_t taken; /* when, ns of a monotonic clock; 0: never */
};

static int64_t now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void free_places(struct place **places)
{
	struct place *place, *next;

	HASH_ITER (hh, *places, place, next) {
		HASH_DEL(*places, place);
		ipcfs_text_free(&place->people);
		free(place);
	}
}

struct ipcfs_census *ipcfs_census_new(void)
{
	struct ipcfs_census *census = calloc(1, sizeof(*census));

	if (census)
		pthread_mutex_init(&census->lock, NULL);
	return census;
}

void ipcfs_census_free(struct ipcfs_census *census)
{
	if (!census)
		return;
	free_places(&census->places);
	pthread_mutex_destroy(&census->lock);
	free(census);
}

static int count(void *arg, uint64_t inode, pid_t pid)
{
	struct place **places = arg, *place;

	HASH_FIND(hh, *places, &inode, sizeof(inode), place);
	if (!place) {
		place = calloc(1, sizeof(*place));
		if (!place)
			return -ENOMEM;
		place->inode = inode;
		HASH_ADD(hh, *places, inode, sizeof(place->inode), place);
		if (!place->hh.tbl) {
			free(place);
			return -ENOMEM;
		}
	}
	return ipcfs_text_add(&place->people, &pid, sizeof(pid));
}

/* -ENOMEM, or why /proc can't be read: all is as it was. */
static int take(struct ipcfs_census *census)
{
	struct place *fresh = NULL, *old;
	int64_t start = now();
	int err = ipcfs_namespace_each(count, &fresh);

	if (!err) {
		pthread_mutex_lock(&census->lock);
		old = census->places;
		census->places = fresh;
		census->taken = start;
		pthread_mutex_unlock(&census->lock);
		fresh = old;
	}
	free_places(&fresh);
	return err;
}

/* A copy of who was there; freed with ipcfs_text_free. True: it is not worth while to look again. */
static bool look_up(struct ipcfs_census *census, uint64_t inode, struct ipcfs_text *people)
{
	struct place *place;
	bool fresh;

	ipcfs_text_cut(people, 0);
	pthread_mutex_lock(&census->lock);
	HASH_FIND(hh, census->places, &inode, sizeof(inode), place);
	/* Without memory nobody is there. */
	if (place)
		(void)ipcfs_text_add(people, place->people.data, place->people.size);
	fresh = census->taken && now() - census->taken < FRESH_NS;
	pthread_mutex_unlock(&census->lock);
	return fresh;
}

static pid_t oldest_of(const struct ipcfs_text *people, uint64_t inode,
		       const struct ipcfs_authority *authority)
{
	const pid_t *pids = (const void *)people->data;
	uint64_t first = UINT64_MAX;
	pid_t found = 0;

	for (size_t i = 0; i < people->size / sizeof(*pids); i++) {
		uint64_t start = ipcfs_namespace_start(pids[i]);

		if (!start || start >= first || ipcfs_namespace_of(pids[i]) != inode ||
		    (authority && !ipcfs_namespace_governs(authority, pids[i])))
			continue;
		first = start;
		found = pids[i];
	}
	return found;
}

pid_t ipcfs_census_oldest(struct ipcfs_census *census, uint64_t inode,
			  const struct ipcfs_authority *authority)
{
	struct ipcfs_text people = { 0 };
	bool fresh = look_up(census, inode, &people);
	pid_t found = oldest_of(&people, inode, authority);

	if (!found && !fresh && !take(census)) {
		(void)look_up(census, inode, &people);
		found = oldest_of(&people, inode, authority);
	}
	ipcfs_text_free(&people);
	return found;
}

/* One of each namespace, as plain data: `each` may take its time, and ask for more. */
struct sample {
	uint64_t inode;
	pid_t pid;
};

static int take_samples(struct ipcfs_census *census, struct ipcfs_text *samples)
{
	struct place *place, *next;
	int err = 0;

	pthread_mutex_lock(&census->lock);
	HASH_ITER (hh, census->places, place, next) {
		struct sample sample = { .inode = place->inode };

		memcpy(&sample.pid, place->people.data, sizeof(sample.pid));
		err = ipcfs_text_add(samples, &sample, sizeof(sample));
		if (err)
			break;
	}
	pthread_mutex_unlock(&census->lock);
	return err;
}

int ipcfs_census_list(struct ipcfs_census *census,
		      int (*each)(void *arg, uint64_t inode, pid_t pid), void *arg)
{
	struct ipcfs_text samples = { 0 };
	const struct sample *sample;
	int err = take(census);

	if (!err)
		err = take_samples(census, &samples);
	sample = (const void *)samples.data;
	for (size_t i = 0; !err && i < samples.size / sizeof(*sample); i++)
		err = each(arg, sample[i].inode, sample[i].pid);
	ipcfs_text_free(&samples);
	return err;
}
