/* SPDX-License-Identifier: MIT */
/*
 * Shared by the test programs: counted complaints, paths, small files, clocks. A program gets the
 * mount's path as its first argument, prints what failed, and exits 0 or 1.
 */
#ifndef IPCFS_PEER_H
#define IPCFS_PEER_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define PEER_PATH 512

static unsigned peer_failures;

/* Counts and prints a complaint; after the first hundred only counts. */
__attribute__((format(printf, 1, 2))) static inline void peer_fail(const char *format, ...)
{
	va_list args;

	if (++peer_failures > 100)
		return;
	va_start(args, format);
	fputs("failed: ", stdout);
	vfprintf(stdout, format, args);
	fputc('\n', stdout);
	va_end(args);
	fflush(stdout);
}

/* For errors that make the test itself impossible. */
__attribute__((format(printf, 1, 2), noreturn)) static inline void peer_die(const char *format, ...)
{
	va_list args;
	int error = errno;

	va_start(args, format);
	fputs("cannot test: ", stdout);
	vfprintf(stdout, format, args);
	printf(" (%s)\n", strerror(error));
	va_end(args);
	fflush(stdout);
	_exit(2);
}

/* The result is also the value of the expression, so that dependent steps can be left out. */
#define CHECK(what, ...) ((what) ? true : (peer_fail(__VA_ARGS__), false))

__attribute__((format(printf, 2, 3))) static inline const char *peer_path(char *path,
									  const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(path, PEER_PATH, format, args);
	va_end(args);
	if (length < 0 || length >= PEER_PATH)
		peer_die("path too long");
	return path;
}

static inline double peer_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline void peer_sleep_ms(long ms)
{
	struct timespec left = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

/*
 * In a mount of a user namespace (tests/env/isolate says so) the kernel checks the shown modes and
 * lists, as for files, before it asks the daemon.
 */
static inline bool peer_kernel_checks(void)
{
	const char *world = getenv("IPCFS_TEST_WORLD");

	return world && !strcmp(world, "userns");
}

/* Returns the sticky bit that the directory of an object of this mode has in such a mount. */
static inline mode_t peer_sticky(mode_t mode)
{
	return peer_kernel_checks() && mode & 0022 ? S_ISVTX : 0;
}

/* Limits of time are multiplied by this where the daemon is slower (sanitizers). */
static inline int peer_slow(void)
{
	const char *text = getenv("IPCFS_TEST_SLOW");
	int factor = text ? atoi(text) : 1;

	return factor > 0 ? factor : 1;
}

/* Reads a small file as a string. Returns its length, or -errno. */
static inline ssize_t peer_read_file(const char *path, char *text, size_t capacity)
{
	ssize_t got, sum = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while ((got = read(fd, text + sum, capacity - 1 - (size_t)sum)) > 0)
		sum += got;
	if (got < 0)
		sum = -errno;
	text[sum < 0 ? 0 : sum] = '\0';
	close(fd);
	return sum;
}

/* Writes the file with one write(2). Returns 0 or -errno. */
static inline int peer_write_file(const char *path, const char *text)
{
	int error = 0, fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		error = -errno;
	if (close(fd) && !error)
		error = -errno;
	return error;
}

/* Returns the value of `key=` in a status file, with its quotes; NULL: there is none. */
static inline const char *peer_value(const char *text, const char *key, char *value,
				     size_t capacity)
{
	size_t length = strlen(key), n = 0;

	for (const char *line = text; line && *line;) {
		if (!strncmp(line, key, length) && line[length] == '=') {
			for (const char *c = line + length + 1;
			     *c && *c != '\n' && n + 1 < capacity; c++)
				value[n++] = *c;
			value[n] = '\0';
			return value;
		}
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	return NULL;
}

/* Returns a number in a status file, `missing` if there is none. A leading 0 means octal. */
static inline long long peer_number(const char *text, const char *key, long long missing)
{
	char value[64], *end;
	long long number;

	if (!peer_value(text, key, value, sizeof(value)))
		return missing;
	number = strtoll(value, &end, 0);
	return end == value || *end ? missing : number;
}

/* A small generator: the same seed makes the same test everywhere. */
static inline uint32_t peer_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 32);
}

static inline uint64_t peer_seed(const char *text)
{
	uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL) ^ (uint64_t)getpid();

	seed = seed ? seed : 1;
	printf("seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	return seed;
}

/* Raises the limits of the IPC namespace. A limit that cannot be raised shows later as an error. */
static inline void peer_raise_limits(void)
{
	static const char *const files[][2] = {
		{ "/proc/sys/fs/mqueue/queues_max", "5000" },
		{ "/proc/sys/fs/mqueue/msg_max", "4096" },
		{ "/proc/sys/fs/mqueue/msgsize_max", "65536" },
		{ "/proc/sys/kernel/msgmax", "65536" },
		{ "/proc/sys/kernel/msgmnb", "1048576" },
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		int error = peer_write_file(files[i][0], files[i][1]);

		if (error)
			printf("note: %s: %s\n", files[i][0], strerror(-error));
	}
}

static inline int peer_result(const char *name)
{
	if (peer_failures)
		printf("%s: %u failures\n", name, peer_failures);
	else
		printf("%s: ok\n", name);
	return peer_failures ? 1 : 0;
}

#endif
