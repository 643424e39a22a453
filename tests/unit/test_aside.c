/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linux/fuse.h>

#include "fs/daemon/aside.h"

enum { ONE = 1000, OTHER = 2000 };

#define LOOKS 3

static struct ipcfs_aside aside;

static int teardown(void **state)
{
	(void)state;
	ipcfs_aside_destroy(&aside);
	return 0;
}

/* Puts a request of `size` bytes aside. */
static int put_bytes(uint32_t opcode, uint64_t unique, uid_t payer, size_t size)
{
	struct fuse_in_header *request = calloc(1, size);
	int err;

	assert_non_null(request);
	*request = (struct fuse_in_header){ .len = (uint32_t)size,
					    .opcode = opcode,
					    .unique = unique,
					    .nodeid = unique + 1,
					    .pid = (uint32_t)unique + 2 };
	err = ipcfs_aside_put(&aside, request, size, payer);
	free(request);
	return err;
}

static void put(uint32_t opcode, uint64_t unique, uid_t payer)
{
	assert_int_equal(put_bytes(opcode, unique, payer, sizeof(struct fuse_in_header)),
			 -EINPROGRESS);
}

/* Returns whether the payer is the one at `arg`. */
static bool is_of(const void *arg, const struct ipcfs_aside_request *request)
{
	return request->payer == *(const uid_t *)arg;
}

static bool is_node(const void *arg, const struct ipcfs_aside_request *request)
{
	return request->node == *(const uint64_t *)arg;
}

/* Takes the first request of the payer. Returns its number; 0: there is none. */
static uint64_t take(uid_t payer)
{
	struct ipcfs_aside_request *request = ipcfs_aside_take(&aside, is_of, &payer);
	uint64_t unique = request ? request->unique : 0;

	if (!request)
		return 0;
	assert_int_equal(((struct fuse_in_header *)request->bytes)->unique, unique);
	assert_int_equal(request->size, ((struct fuse_in_header *)request->bytes)->len);
	ipcfs_aside_free(request);
	return unique;
}

static void test_first_come_first_served(void **state)
{
	(void)state;
	put(FUSE_READ, 10, ONE);
	put(FUSE_READ, 20, OTHER);
	put(FUSE_READ, 30, ONE);
	assert_int_equal(take(ONE), 10);
	assert_int_equal(take(ONE), 30);
	assert_int_equal(take(ONE), 0);
	assert_int_equal(take(OTHER), 20);
	assert_null(aside.first);
}

static void test_by_node(void **state)
{
	uint64_t node = 21;
	struct ipcfs_aside_request *request;

	(void)state;
	put(FUSE_READ, 10, ONE);
	put(FUSE_READ, 20, ONE);
	request = ipcfs_aside_take(&aside, is_node, &node);
	assert_non_null(request);
	assert_int_equal(request->unique, 20);
	ipcfs_aside_free(request);
}

static void test_bound_of_requests(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= IPCFS_ASIDE_REQUESTS_MAX; i++)
		put(FUSE_READ, i, ONE);
	assert_int_equal(put_bytes(FUSE_READ, 5000, ONE, sizeof(struct fuse_in_header)), -EAGAIN);
	put(FUSE_READ, 6000, OTHER);
	assert_int_equal(take(ONE), 1);
	put(FUSE_READ, 5000, ONE);
}

static void test_bound_of_bytes(void **state)
{
	size_t size = IPCFS_ASIDE_BYTES_MAX / 4;

	(void)state;
	for (uint64_t i = 1; i <= 4; i++)
		assert_int_equal(put_bytes(FUSE_WRITE, i, ONE, size), -EINPROGRESS);
	assert_int_equal(put_bytes(FUSE_READ, 5, ONE, sizeof(struct fuse_in_header)), -EAGAIN);
	assert_int_equal(put_bytes(FUSE_WRITE, 6, OTHER, size), -EINPROGRESS);
}

static void put_long(uint32_t opcode, uint64_t unique, uid_t payer, bool interrupted)
{
	const struct fuse_in_header request = { .len = sizeof(request),
						.opcode = opcode,
						.unique = unique };

	assert_int_equal(ipcfs_aside_put_long(&aside, &request, sizeof(request), payer,
					      interrupted),
			 -EINPROGRESS);
}

/* Counts how often it is asked, and refuses long work of ONE. */
static bool is_allowed(const void *arg, const struct ipcfs_aside_request *request)
{
	++**(unsigned *const *)arg;
	return !request->is_long || request->payer != ONE;
}

static void test_long_work(void **state)
{
	static const uint64_t order[] = { 30, 40, 50 };
	unsigned asked = 0, *counter = &asked;

	(void)state;
	put_long(FUSE_READ, 10, ONE, false);
	put_long(FUSE_READ, 20, ONE, true);
	put_long(FUSE_READ, 30, OTHER, false);
	put(FUSE_READ, 40, ONE);
	put_long(FUSE_READ, 50, OTHER, false);
	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
		struct ipcfs_aside_request *request = ipcfs_aside_take(&aside, is_allowed,
								       &counter);

		assert_non_null(request);
		assert_int_equal(request->unique, order[i]);
		assert_false(request->interrupted);
		ipcfs_aside_free(request);
	}
	assert_null(ipcfs_aside_take(&aside, is_allowed, &counter));
	assert_int_equal(asked, 7); /* of the refused payer, each time about the first alone */
	assert_true(aside.first->next->interrupted);
	assert_int_equal(take(ONE), 10);
	assert_int_equal(take(ONE), 20);
}

static void test_long_work_with_a_lock(void **state)
{
	static const uint64_t order[] = { 10, 20, 50, 60, 30, 70 };

	(void)state;
	put(FUSE_READ, 10, ONE);
	put_long(FUSE_MKDIR, 20, ONE, false);
	put_long(FUSE_WRITE, 30, ONE, false);
	put_long(FUSE_WRITE, 40, OTHER, false);
	put_long(FUSE_MKDIR, 50, ONE, false);
	put_long(FUSE_MKDIR, 60, ONE, false);
	put_long(FUSE_WRITE, 70, ONE, false);
	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
		assert_int_equal(take(ONE), order[i]);
	assert_int_equal(take(OTHER), 40);
}

static void test_interrupted(void **state)
{
	struct ipcfs_aside_due due[2];

	(void)state;
	put(FUSE_READ, 10, ONE);
	put(FUSE_READ, 20, ONE);
	assert_false(ipcfs_aside_interrupt(&aside, 30));
	assert_int_equal(ipcfs_aside_look(&aside, LOOKS, due, 2), 0);
	assert_true(ipcfs_aside_interrupt(&aside, 20));
	assert_int_equal(ipcfs_aside_look(&aside, LOOKS, due, 2), 1);
	assert_int_equal(due[0].unique, 20);
	assert_int_equal(due[0].tid, 22);
	assert_false(due[0].overdue);
	/* it stays until it is taken or dropped */
	assert_int_equal(ipcfs_aside_look(&aside, LOOKS, due, 2), 1);
	assert_true(ipcfs_aside_drop(&aside, 20));
	assert_false(ipcfs_aside_drop(&aside, 20));
	assert_int_equal(take(ONE), 10);
}

static void test_interrupted_in_turn(void **state)
{
	static const uint64_t turns[] = { 10, 20, 30, 10 };
	struct ipcfs_aside_due due[1];

	(void)state;
	for (uint64_t unique = 10; unique <= 30; unique += 10) {
		put(FUSE_READ, unique, ONE);
		assert_true(ipcfs_aside_interrupt(&aside, unique));
	}
	for (size_t i = 0; i < sizeof(turns) / sizeof(*turns); i++) {
		assert_int_equal(ipcfs_aside_look(&aside, LOOKS, due, 1), 1);
		assert_int_equal(due[0].unique, turns[i]);
	}
}

static void test_overdue(void **state)
{
	struct ipcfs_aside_due due[1];

	(void)state;
	put(FUSE_READ, 10, ONE); /* nothing is locked for it */
	put(FUSE_LOOKUP, 20, ONE);
	put(FUSE_MKDIR, 30, ONE);
	for (int i = 1; i < LOOKS; i++)
		assert_int_equal(ipcfs_aside_look(&aside, LOOKS, due, 1), 0);
	assert_int_equal(ipcfs_aside_look(&aside, LOOKS, due, 1), 1);
	assert_true(due[0].overdue);
	assert_int_equal(due[0].unique, 20);
	assert_true(ipcfs_aside_drop(&aside, 20));
	assert_int_equal(ipcfs_aside_look(&aside, LOOKS, due, 1), 1);
	assert_int_equal(due[0].unique, 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_first_come_first_served, teardown),
		cmocka_unit_test_teardown(test_by_node, teardown),
		cmocka_unit_test_teardown(test_bound_of_requests, teardown),
		cmocka_unit_test_teardown(test_bound_of_bytes, teardown),
		cmocka_unit_test_teardown(test_long_work, teardown),
		cmocka_unit_test_teardown(test_long_work_with_a_lock, teardown),
		cmocka_unit_test_teardown(test_interrupted, teardown),
		cmocka_unit_test_teardown(test_interrupted_in_turn, teardown),
		cmocka_unit_test_teardown(test_overdue, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
