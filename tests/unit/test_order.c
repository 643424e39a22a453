/* SPDX-License-Identifier: MIT */
/* Orders to helper processes, with both ends in one process. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/base/order.h"

struct order {
	uint32_t number, other;
};

static int ends[2];

static int make_ends(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

static int close_ends(void **state)
{
	(void)state;
	close(ends[0]);
	return close(ends[1]);
}

static enum ipcfs_order receive(struct order *order, int *fd)
{
	return ipcfs_order_receive(ends[1], order, sizeof(*order), fd);
}

/* Returns the lowest number that no descriptor has. */
static int free_number(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

static void an_order_brings_its_descriptor(void **state)
{
	struct order sent = { 1, 2 }, got = { 0 };
	struct stat one, other;
	int fd, root = open("/", O_PATH | O_CLOEXEC);

	(void)state;
	assert_int_equal(ipcfs_order_send(ends[0], &sent, sizeof(sent), root, 0), 0);
	assert_int_equal(receive(&got, &fd), IPCFS_ORDER_RECEIVED);
	assert_memory_equal(&got, &sent, sizeof(got));
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fstat(root, &one) | fstat(fd, &other), 0);
	assert_int_equal(one.st_ino, other.st_ino);
	close(fd);
	close(root);
	assert_int_equal(ipcfs_order_send(ends[0], &sent, sizeof(sent), -1, 0), 0);
	assert_int_equal(receive(&got, &fd), IPCFS_ORDER_RECEIVED);
	assert_int_equal(fd, -1);
}

static void an_order_of_another_size_leaves_nothing_open(void **state)
{
	struct order sent = { 1, 2 }, got;
	int fd, number = free_number();

	(void)state;
	assert_int_equal(ipcfs_order_send(ends[0], &sent, sizeof(sent.number), ends[0], 0), 0);
	assert_int_equal(receive(&got, &fd), IPCFS_ORDER_NONE);
	assert_int_equal(fd, -1);
	assert_int_equal(free_number(), number);
}

static void the_end_is_told(void **state)
{
	struct order sent = { 1, 2 }, got;
	int fd;

	(void)state;
	assert_int_equal(ipcfs_order_send(ends[0], &sent, sizeof(sent), -1, 0), 0);
	assert_int_equal(shutdown(ends[0], SHUT_RDWR), 0);
	assert_int_equal(receive(&got, &fd), IPCFS_ORDER_RECEIVED);
	assert_int_equal(receive(&got, &fd), IPCFS_ORDER_ENDED);
	assert_int_equal(ipcfs_order_send(ends[1], &sent, sizeof(sent), -1, 0), -EPIPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_order_brings_its_descriptor, make_ends,
						close_ends),
		cmocka_unit_test_setup_teardown(an_order_of_another_size_leaves_nothing_open,
						make_ends, close_ends),
		cmocka_unit_test_setup_teardown(the_end_is_told, make_ends, close_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
