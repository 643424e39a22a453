/* SPDX-License-Identifier: MIT */
/*
 * How much memory a System V segment takes. Only /proc/sysvipc/shm has it, in a table of all
 * segments of the namespace. To show the status of n segments must not take n tables, so the latest
 * table is kept for a moment.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "backends/sysv/sysv_shm.h"

#define KEPT_NS (50 * 1000 * 1000) /* ns for which a table is taken for true, at least */
#define KEPT_TIMES 4		   /* and at least so many times as long as its reading took */

struct row {
	int id;
	struct ipcfs_sysv_shm_memory memory;
};

/* The latest table. */
static struct {
	pthread_mutex_t lock; /* innermost; held for a walk over the rows */
	const struct ipcfs_space *space;
	uint64_t until;		/* as now_ns */
	struct ipcfs_text rows; /* array of struct row */
} latest = { .lock = PTHREAD_MUTEX_INITIALIZER };

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Reads the table of the thread's namespace. -ENOMEM, and the errors of open(2). */
static int read_table(struct ipcfs_text *rows)
{
	FILE *table = fopen("/proc/sysvipc/shm", "re");
	char line[512];
	int error = 0;

	if (!table)
		return -errno;
	while (!error && fgets(line, sizeof(line), table)) {
		struct row row;

		if (sscanf(line, "%*d %d %*o %*u %*d %*d %*u %*u %*u %*u %*u %*u %*u %*u %llu %llu",
			   &row.id, &row.memory.resident, &row.memory.swapped) == 3)
			error = ipcfs_text_add(rows, &row, sizeof(row));
	}
	(void)fclose(table); /* no error to report: it was only read */
	return error;
}

/* Finds the segment. -ENOENT: it is not in the table. */
static int find(const struct ipcfs_text *rows, int id, struct ipcfs_sysv_shm_memory *memory)
{
	const struct row *row = (const void *)rows->data;

	for (size_t i = 0; i < rows->size / sizeof(*row); i++) {
		if (row[i].id == id) {
			*memory = row[i].memory;
			return 0;
		}
	}
	return -ENOENT;
}

int ipcfs_sysv_shm_memory(const struct ipcfs_space *space, int id,
			  struct ipcfs_sysv_shm_memory *memory)
{
	struct ipcfs_text rows = { 0 }, old;
	int error = -ENOENT;
	uint64_t start, now;

	pthread_mutex_lock(&latest.lock);
	if (latest.space == space && now_ns() < latest.until)
		error = find(&latest.rows, id, memory);
	pthread_mutex_unlock(&latest.lock);
	if (!error)
		return 0;
	/* the lock is not held, as this takes a moment: others may read a table as well */
	start = now_ns();
	error = read_table(&rows);
	if (!error)
		error = find(&rows, id, memory);
	now = now_ns();
	pthread_mutex_lock(&latest.lock);
	old = latest.rows;
	latest.rows = rows;
	latest.space = space;
	latest.until = now + KEPT_NS;
	if ((now - start) * KEPT_TIMES > KEPT_NS)
		latest.until = now + (now - start) * KEPT_TIMES;
	pthread_mutex_unlock(&latest.lock);
	ipcfs_text_free(&old);
	return error;
}

int ipcfs_sysv_shm_memory_all(uint64_t *bytes)
{
	struct shm_info used;

	/* much cheaper than the table */
	if (shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&used) < 0)
		return -errno;
	*bytes = ((uint64_t)used.shm_rss + used.shm_swp) * (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}
