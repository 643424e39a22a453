/* SPDX-License-Identifier: MIT */
/* Objects of several IPC namespaces in one table. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/contract/classes.h"
#include "backends/space/reference.h"
#include "children.h"
#include "fs/namespaces/process_scan.h"
#include "fs/namespaces/registry_inside.h"
#include "fs/tree/object.h"

static void the_same_reference_is_another_object_in_another_space(void **state)
{
	const struct ipcfs_ref ref = { .serial = 5, .key = 7 };
	struct ipcfs_object *first, *second;
	struct ipcfs_objects objects;
	struct ipcfs_space *one, *two;

	(void)state;
	assert_int_equal(ipcfs_space_open(&one), 0);
	assert_int_equal(ipcfs_space_open(&two), 0);
	ipcfs_objects_init(&objects);
	first = ipcfs_object_get(&objects, one, &ipcfs_sysv_msg, &ref);
	second = ipcfs_object_get(&objects, two, &ipcfs_sysv_msg, &ref);
	assert_non_null(first);
	assert_non_null(second);
	assert_ptr_not_equal(first, second);
	assert_ptr_equal(first->space, one);
	assert_ptr_equal(second->space, two);
	assert_ptr_equal(ipcfs_object_get(&objects, one, &ipcfs_sysv_msg, &ref), first);
	ipcfs_object_unref(&objects, first);
	ipcfs_object_unref(&objects, first);
	ipcfs_object_unref(&objects, second);
	ipcfs_objects_destroy(&objects);
	ipcfs_space_unref(one);
	ipcfs_space_unref(two);
}

static void a_space_is_open_for_as_long_as_an_object_is_in_use(void **state)
{
	const struct ipcfs_ref ref = { .serial = 5, .key = 7 };
	struct ipcfs_object *object;
	struct ipcfs_objects objects;
	struct ipcfs_space *space;
	int root;

	(void)state;
	assert_int_equal(ipcfs_space_open(&space), 0);
	root = space->mq;
	ipcfs_objects_init(&objects);
	object = ipcfs_object_get(&objects, space, &ipcfs_sysv_msg, &ref);
	assert_non_null(object);
	assert_ptr_equal(ipcfs_object_get(&objects, space, &ipcfs_sysv_msg, &ref), object);
	ipcfs_space_unref(space);
	ipcfs_object_unref(&objects, object);
	assert_true(fcntl(root, F_GETFD) >= 0);
	ipcfs_object_unref(&objects, object);
	assert_int_equal(fcntl(root, F_GETFD), -1);
	ipcfs_objects_destroy(&objects);
}

/* The number of an ended namespace may be that of a new one by now. */
static void a_namespace_is_removed_but_not_another_one_with_its_number(void **state)
{
	const struct ipcfs_registry_hooks hooks = { 0 };
	struct ipcfs_registry *registry;
	struct ipcfs_namespace *there, ended = { 0 };
	struct ipcfs_space *home;

	(void)state;
	assert_int_equal(ipcfs_space_open(&home), 0);
	assert_int_equal(ipcfs_registry_create(home, true, NULL, &hooks, &registry), 0);
	there = registry->namespaces;
	assert_non_null(there);
	ended.inode = there->inode;
	assert_false(ipcfs_registry_remove(registry, &ended));
	assert_ptr_equal(ipcfs_registry_known(registry, there->inode), there);
	ipcfs_space_unref(there->space); /* the reference comes with it */
	ipcfs_registry_destroy(registry);
}

static bool be_elsewhere(void)
{
	return !unshare(CLONE_NEWIPC);
}

static int fail_at_first(void *arg, uint64_t inode, pid_t pid)
{
	int *calls = arg;

	(void)inode, (void)pid;
	return (*calls)++ == 0 ? -EIO : 0;
}

static void an_error_ends_the_list_of_namespaces(void **state)
{
	struct ipcfs_process_scan *scan = ipcfs_process_scan_new();
	pid_t elsewhere = child_start(be_elsewhere);
	int calls = 1;

	(void)state;
	assert_true(scan && elsewhere > 0);
	assert_int_equal(ipcfs_process_scan_list(scan, fail_at_first, &calls), 0);
	assert_true(calls > 2); /* there are two namespaces */
	calls = 0;
	assert_int_equal(ipcfs_process_scan_list(scan, fail_at_first, &calls), -EIO);
	assert_int_equal(calls, 1);
	child_end(elsewhere);
	ipcfs_process_scan_free(scan);
}

#define THREADS 8
#define TURNS 200

/* A thread that has the worker of a namespace do work. */
struct turns {
	struct ipcfs_space *space;
	pthread_t thread;
	int done;
};

static int count_turn(void *arg)
{
	return ++*(int *)arg;
}

/* Returns how many turns gave another result than the work of this thread. */
static void *take_turns(void *arg)
{
	struct turns *turns = arg;
	uintptr_t wrong = 0;

	for (int i = 1; i <= TURNS; i++)
		wrong += ipcfs_space_run(turns->space, count_turn, &turns->done) != i;
	return (void *)wrong;
}

static void the_worker_of_a_namespace_does_all_that_threads_want_at_the_same_time(void **state)
{
	struct turns all[THREADS];
	struct ipcfs_space *home, *space;
	void *wrong;

	(void)state;
	assert_int_equal(ipcfs_space_open_home(&home), 0);
	assert_int_equal(ipcfs_space_open_of(getpid(), &space), 0);
	for (int i = 0; i < THREADS; i++) {
		all[i] = (struct turns){ .space = space };
		assert_int_equal(pthread_create(&all[i].thread, NULL, take_turns, &all[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(all[i].thread, &wrong), 0);
		assert_null(wrong);
		assert_int_equal(all[i].done, TURNS);
	}
	ipcfs_space_unref(space);
	ipcfs_space_unref(home);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_ends_the_list_of_namespaces),
		cmocka_unit_test(a_namespace_is_removed_but_not_another_one_with_its_number),
		cmocka_unit_test(the_same_reference_is_another_object_in_another_space),
		cmocka_unit_test(a_space_is_open_for_as_long_as_an_object_is_in_use),
		cmocka_unit_test(
			the_worker_of_a_namespace_does_all_that_threads_want_at_the_same_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
