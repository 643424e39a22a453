/* SPDX-License-Identifier: MIT */
/*
 * Looking into a process that does not let itself be looked into. Directories stand for those of
 * processes in /proc; one whose `maps` is a FIFO makes a thread wait until somebody writes.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/base/clock.h"
#include "fs/control/users_probe.h"

static char top[] = "/tmp/users.XXXXXX";
static struct ipcfs_sought sought;

static const char *path_of(const char *name)
{
	static char path[100];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* A process that has the object open and mapped, and one that is stuck. */
static int make(void **state)
{
	char target[200], line[200];
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(top));
	write_file("object", "");
	assert_int_equal(stat(path_of("object"), &st), 0);
	sought.trace = (struct ipcfs_trace){
		.device = st.st_dev,
		.inode = st.st_ino,
		.opened = true,
		.mapped = true,
	};

	snprintf(line, sizeof(line), "1000-2000 rw-s 00000000 %x:%x %llu /object\n",
		 major(st.st_dev), minor(st.st_dev), (unsigned long long)st.st_ino);
	snprintf(target, sizeof(target), "%s/object", top);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(mkdir(path_of(i ? "stuck" : "user"), 0700), 0);
		assert_int_equal(mkdir(path_of(i ? "stuck/fd" : "user/fd"), 0700), 0);
		assert_int_equal(symlink(target, path_of(i ? "stuck/fd/7" : "user/fd/7")), 0);
	}
	write_file("user/maps", line);
	assert_int_equal(mkfifo(path_of("stuck/maps"), 0600), 0);
	return 0;
}

static int clean(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", top);
	return system(command);
}

static int look(struct ipcfs_prober *prober, const char *name)
{
	int directory = open(path_of(name), O_RDONLY | O_DIRECTORY | O_CLOEXEC), uses;

	assert_true(directory >= 0);
	uses = ipcfs_prober_look(prober, directory, getpid());
	close(directory);
	return uses;
}

static void uses_are_found(void **state)
{
	struct ipcfs_prober prober = { .sought = &sought };

	(void)state;
	assert_int_equal(look(&prober, "user"), IPCFS_USE_OPEN | IPCFS_USE_MAPPED);
	assert_int_equal(look(&prober, "user/fd"), 0);
	assert_int_equal(look(&prober, "user"), IPCFS_USE_OPEN | IPCFS_USE_MAPPED);
	ipcfs_prober_end(&prober);
}

static void only_what_is_sought_is_found(void **state)
{
	struct ipcfs_sought less = sought;
	struct ipcfs_prober prober = { .sought = &less };
	const uint64_t inodes[] = { UINT64_MAX, sought.trace.inode, 3, sought.trace.inode, 2 };

	(void)state;
	less.trace.opened = false;
	assert_int_equal(look(&prober, "user"), IPCFS_USE_MAPPED);
	ipcfs_prober_end(&prober);
	less.trace = (struct ipcfs_trace){ 0 };
	assert_int_equal(look(&prober, "user"), 0);
	less.mount = sought.trace.device;
	assert_int_equal(ipcfs_text_add(&less.inodes, inodes, sizeof(inodes)), 0);
	ipcfs_sought_sort(&less);
	assert_int_equal(look(&prober, "user"), IPCFS_USE_MOUNT);
	ipcfs_prober_end(&prober);
	ipcfs_text_free(&less.inodes);
}

/* The descriptors of this process. */
static size_t descriptors(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 200; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Lets the threads go on that wait for a writer, until none has a descriptor any more. */
static void release(size_t before)
{
	uint64_t end = ipcfs_clock_ns() + UINT64_C(30000000000);

	while (descriptors() > before) {
		int fd = open(path_of("stuck/maps"), O_WRONLY | O_NONBLOCK | O_CLOEXEC);

		if (fd >= 0)
			close(fd);
		assert_true(ipcfs_clock_ns() < end);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL); /* and look again */
	}
}

/* Nobody waits for ever, and while a thread is stuck no other one gets stuck with this user. */
static void a_stuck_process_is_left(void **state)
{
	struct ipcfs_prober prober = { .sought = &sought }, other = { .sought = &sought };
	size_t before = descriptors();
	uint64_t end = ipcfs_clock_ns() + UINT64_C(30000000000);
	int uses;

	(void)state;
	assert_int_equal(look(&prober, "stuck"), IPCFS_USE_UNKNOWN);
	assert_null(prober.thread);
	assert_int_equal(look(&prober, "user"), IPCFS_USE_UNKNOWN);
	assert_int_equal(look(&other, "stuck"), IPCFS_USE_UNKNOWN);
	assert_null(prober.thread);
	assert_null(other.thread);
	release(before);
	do /* the thread closes its descriptors before it says that it is free */
		uses = look(&prober, "user");
	while (uses == IPCFS_USE_UNKNOWN && ipcfs_clock_ns() < end);
	assert_int_equal(uses, IPCFS_USE_OPEN | IPCFS_USE_MAPPED);
	ipcfs_prober_end(&prober);
	ipcfs_prober_end(&other);
}

/* A prober that has looked long enough looks into nothing more. */
static void the_time_of_a_prober_is_limited(void **state)
{
	struct ipcfs_prober prober = { .sought = &sought };

	(void)state;
	assert_int_equal(look(&prober, "user"), IPCFS_USE_OPEN | IPCFS_USE_MAPPED);
	assert_true(prober.spent > 0);
	prober.spent = IPCFS_PROBER_NS;
	assert_int_equal(look(&prober, "user"), IPCFS_USE_UNKNOWN);
	ipcfs_prober_end(&prober);
}

static bool is_gone(void *arg)
{
	(void)arg;
	return true;
}

static void nobody_looks_for_a_reader_that_is_gone(void **state)
{
	struct ipcfs_prober prober = { .sought = &sought, .is_gone = is_gone };
	size_t before = descriptors();

	(void)state;
	assert_int_equal(look(&prober, "stuck"), -EINTR);
	assert_null(prober.thread);
	assert_int_equal(look(&prober, "user"), IPCFS_USE_UNKNOWN); /* a thread is still stuck */
	release(before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(uses_are_found),
		cmocka_unit_test(only_what_is_sought_is_found),
		cmocka_unit_test(a_stuck_process_is_left),
		cmocka_unit_test(the_time_of_a_prober_is_limited),
		cmocka_unit_test(nobody_looks_for_a_reader_that_is_gone),
	};

	return cmocka_run_group_tests(tests, make, clean);
}
