/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "backends/contract/fault.h"

#define HOLD_NS (2 * 1000 * 1000) /* between two looks whether the test has ended a hold */

/*
 * $IPCFS_FAULTS, an absolute path; NULL: there are no faults. A descriptor would not do: the daemon
 * closes those that it finds at its start.
 */
static const char *directory;

/*
 * The file `countdown` of the directory, which the test has mapped as well: how many requests
 * for resources are left until one fails; 0: none fails.
 */
static _Atomic int64_t *countdown;

/* Writes the path of a file of the directory. */
static void place(char path[PATH_MAX], const char *name, const char *suffix)
{
	(void)snprintf(path, PATH_MAX, "%s/%s%s", directory, name, suffix);
}

/* Maps the countdown before main(). */
__attribute__((constructor)) static void open_directory(void)
{
	char path[PATH_MAX];
	void *page;
	int fd;

	directory = getenv("IPCFS_FAULTS");
	if (!directory)
		return;
	place(path, "countdown", "");
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(*countdown)))
		abort();
	page = mmap(NULL, sizeof(*countdown), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		abort();
	countdown = page;
	(void)close(fd);
}

bool ipcfs_fault_counts(void)
{
	int64_t left = countdown ? atomic_load(countdown) : 0;

	while (left > 0)
		if (atomic_compare_exchange_weak(countdown, &left, left - 1))
			return left == 1;
	return false;
}

/* Reads the file of a point into `text`. Returns false if there is none. */
static bool read_order(const char *point, char *text, size_t size)
{
	char path[PATH_MAX];
	ssize_t got;
	int fd;

	place(path, point, "");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	got = read(fd, text, size - 1);
	(void)close(fd);
	text[got > 0 ? got : 0] = '\0';
	return true;
}

/* Makes POINT.reached. Returns false if the file is there: another thread was here before. */
static bool reach(const char *point)
{
	char path[PATH_MAX];
	int fd;

	place(path, point, ".reached");
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return false;
	(void)close(fd);
	return true;
}

static int follow(const char *point)
{
	const struct timespec pause = { .tv_nsec = HOLD_NS };
	char text[64], path[PATH_MAX];

	place(path, point, "");
	if (!read_order(point, text, sizeof(text)))
		return 0;
	if (strncmp(text, "kill", 4) == 0)
		(void)kill(getpid(), SIGKILL);
	if (strncmp(text, "fail ", 5) == 0) {
		(void)reach(point);
		return -atoi(text + 5);
	}
	if (strncmp(text, "hold", 4) == 0 && reach(point))
		while (!access(path, F_OK))
			(void)nanosleep(&pause, NULL);
	return 0;
}

int ipcfs_fault(const char *point)
{
	int saved = errno, result = !directory ? 0 : follow(point);

	errno = saved;
	return result;
}
