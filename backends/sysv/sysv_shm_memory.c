/* SPDX-License-Identifier: MIT */
/*
 * How much memory a System V segment takes. Only /proc/sysvipc/shm has it, in a table of all
 * segments of the namespace. To show the status of n segments must not take n tables, so the latest
 * table is kept for a moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backends/contract/descriptor.h"
#include "backends/contract/long_work.h"
#include "backends/sysv/sysv_shm.h"

#define KEPT_NS (50 * 1000 * 1000) /* ns for which a table is taken for true, at least */
#define KEPT_TIMES 4		   /* and at least so many times as long as its reading took */
#define LONG_TABLE 1024		   /* a table of more segments is long work: 3 ms and more */
#define PART 8192		   /* bytes: the kernel gives 4096 at once */

/* The columns of the table that are read, counted from 0. */
enum { COLUMN_ID = 1, COLUMN_RESIDENT = 14, COLUMN_SWAPPED = 15, COLUMNS };

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

/* Appends the row of a line, which ends in a null byte. The first line has the titles. -ENOMEM. */
static int add_row(const char *line, struct ipcfs_text *rows)
{
	unsigned long long found[COLUMNS] = { 0 };
	struct row row;

	for (unsigned column = 0; column < COLUMNS; column++) {
		line += strspn(line, " ");
		if (*line != '-' && (*line < '0' || *line > '9'))
			return 0;
		if (column == COLUMN_ID || column >= COLUMN_RESIDENT)
			found[column] = strtoull(line, NULL, 10);
		line += strcspn(line, " ");
	}
	row = (struct row){ (int)found[COLUMN_ID],
			    { found[COLUMN_RESIDENT], found[COLUMN_SWAPPED] } };
	return ipcfs_text_add(rows, &row, sizeof(row));
}

/* Appends the rows of all whole lines of the text, and keeps the rest of it. -ENOMEM. */
static int add_rows(char *text, size_t *size, struct ipcfs_text *rows)
{
	char *line = text, *end;
	int error = 0;

	while (!error && (end = memchr(line, '\n', (size_t)(text + *size - line)))) {
		*end = '\0';
		error = add_row(line, rows);
		line = end + 1;
	}
	*size -= (size_t)(line - text);
	memmove(text, line, *size);
	return error;
}

/* Reads the table of the thread's namespace. -ENOMEM, and the errors of open(2) and read(2). */
static int read_table(struct ipcfs_text *rows)
{
	IPCFS_DESCRIPTOR_AUTO int table = open("/proc/sysvipc/shm", O_RDONLY | O_CLOEXEC);
	char text[PART];
	size_t size = 0;
	ssize_t got = 1;
	int error = 0;

	if (table < 0)
		return -errno;
	while (!error && got > 0) {
		got = read(table, text + size, sizeof(text) - size);
		if (got < 0)
			error = -errno;
		size += got > 0 ? (size_t)got : 0;
		if (!error)
			error = add_rows(text, &size, rows);
	}
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
	if (ipcfs_sysv_shm_calls.highest_index() >= LONG_TABLE) {
		error = ipcfs_long_work();
		if (error)
			return error;
	}
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
