/* SPDX-License-Identifier: MIT */
/* The records between the daemon and ipcfs-amqp: they arrive as they were sent, or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/amqp/records.h"

static int sockets[2]; /* daemon, helper */
static struct ipcfs_amqp_packet packet;

static int connect_ends(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets);
}

static int close_ends(void **state)
{
	(void)state;
	(void)close(sockets[0]);
	(void)close(sockets[1]);
	return 0;
}

/* Sends as the daemon, and returns what the helper gets. */
static int pass(const struct ipcfs_amqp_record *record, const void *text, const void *body)
{
	assert_int_equal(ipcfs_amqp_send(sockets[0], record, text, body), 0);
	return ipcfs_amqp_receive(sockets[1], IPCFS_AMQP_FROM_DAEMON, &packet);
}

static void short_body(void **state)
{
	const struct ipcfs_amqp_record put = {
		.type = IPCFS_AMQP_PUT, .queue = 3, .number = 7, .priority = 9, .body = 5
	};
	char body[5];

	(void)state;
	assert_int_equal(pass(&put, NULL, "ab\0cd"), 1);
	assert_memory_equal(&packet.record, &put, sizeof(put));
	assert_int_equal(packet.descriptor, -1);
	assert_int_equal(ipcfs_amqp_body(&packet, body), 0);
	assert_memory_equal(body, "ab\0cd", 5);
}

/* Returns whether a record of ipcfs-amqp-api with this text or list is legal. */
static bool is_legal(enum ipcfs_amqp_type type, const char *text, uint32_t size, bool list)
{
	packet.record = (struct ipcfs_amqp_record){ .type = (uint8_t)type, .number = 1 };
	packet.descriptor = -1;
	*(list ? &packet.record.body : &packet.record.text) = size;
	memcpy(packet.bytes, text, size);
	return ipcfs_amqp_is_legal(&packet, sizeof(packet.record) + size, IPCFS_AMQP_FROM_HELPER);
}

static void lists(void **state)
{
	struct ipcfs_amqp_listed queue = { .messages = 7, .bytes = UINT64_MAX }, got;
	static char list[IPCFS_AMQP_INLINE_MAX];
	const char *at = list;
	uint32_t size = 0, count = 0;

	(void)state;
	memset(queue.name, 'q', IPCFS_AMQP_NAME_MAX);
	while (!ipcfs_amqp_listed_add(list, &size, &queue))
		count++;
	assert_int_equal(count, IPCFS_AMQP_INLINE_MAX / (17 + IPCFS_AMQP_NAME_MAX));
	assert_true(is_legal(IPCFS_AMQP_LISTED, list, size, true));
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(ipcfs_amqp_listed_next(&at, list + size, &got), 1);
		assert_memory_equal(&got, &queue, sizeof(got));
	}
	assert_int_equal(ipcfs_amqp_listed_next(&at, list + size, &got), 0);
	assert_false(is_legal(IPCFS_AMQP_LISTED, "", 0, true));
}

static void wrong_lists(void **state)
{
	struct ipcfs_amqp_listed queue = { .name = "q" };
	char list[IPCFS_AMQP_INLINE_MAX];
	uint32_t size = 0;

	(void)state;
	assert_int_equal(ipcfs_amqp_listed_add(list, &size, &queue), 0);
	assert_int_equal(size, 18);
	for (uint32_t cut = 1; cut < size; cut++)
		assert_false(is_legal(IPCFS_AMQP_LISTED, list, cut, true));
	list[16] = 2; /* of the name */
	assert_false(is_legal(IPCFS_AMQP_LISTED, list, size, true));
	list[16] = 0;
	assert_false(is_legal(IPCFS_AMQP_LISTED, list, 17, true));
	list[16] = 1;
	list[17] = '\0';
	assert_false(is_legal(IPCFS_AMQP_LISTED, list, size, true));
	list[17] = '\n';
	assert_true(is_legal(IPCFS_AMQP_LISTED, list, size, true));
}

static void details(void **state)
{
	(void)state;
	assert_true(is_legal(IPCFS_AMQP_DETAILS, "1\0a b\0", 6, false));
	assert_false(is_legal(IPCFS_AMQP_DETAILS, "1\0a b", 5, false));
	assert_false(is_legal(IPCFS_AMQP_DETAILS, "1\0a\nb\0", 6, false));
	assert_false(is_legal(IPCFS_AMQP_DETAILS, "\xc3\xbc\0", 3, false));
	assert_false(is_legal(IPCFS_AMQP_DETAILS, "", 0, false));
}

static void long_body(void **state)
{
	const uint32_t size = IPCFS_AMQP_INLINE_MAX + 1;
	const struct ipcfs_amqp_record put = {
		.type = IPCFS_AMQP_PUT, .queue = 3, .number = 7, .body = size
	};
	char *body = malloc(size);
	char *got = malloc(size);

	(void)state;
	memset(body, 'x', size);
	assert_int_equal(pass(&put, NULL, body), 1);
	assert_true(packet.descriptor >= 0);
	assert_int_equal(ipcfs_amqp_body(&packet, got), 0);
	assert_memory_equal(got, body, size);
	/* The other end may make it shorter at any time. */
	assert_int_equal(ftruncate(packet.descriptor, size - 1), 0);
	assert_int_equal(ipcfs_amqp_body(&packet, got), -EPROTO);
	(void)close(packet.descriptor);
	free(body);
	free(got);
}

static void largest(void **state)
{
	struct ipcfs_amqp_record message = { .type = IPCFS_AMQP_MESSAGE,
					     .queue = 1,
					     .number = 1,
					     .text = IPCFS_AMQP_TEXT_MAX,
					     .body = IPCFS_AMQP_INLINE_MAX };
	char *text = malloc(IPCFS_AMQP_TEXT_MAX);
	char *body = calloc(1, IPCFS_AMQP_INLINE_MAX);

	(void)state;
	memset(text, '\n', IPCFS_AMQP_TEXT_MAX);
	assert_int_equal(ipcfs_amqp_send(sockets[1], &message, text, body), 0);
	assert_int_equal(ipcfs_amqp_receive(sockets[0], IPCFS_AMQP_FROM_HELPER, &packet), 1);
	assert_memory_equal(packet.bytes, text, IPCFS_AMQP_TEXT_MAX);
	free(text);
	free(body);
}

static void ends(void **state)
{
	const struct ipcfs_amqp_record get = { .type = IPCFS_AMQP_GET, .queue = 1 };

	(void)state;
	assert_int_equal(ipcfs_amqp_receive(sockets[1], IPCFS_AMQP_FROM_DAEMON, &packet), -EAGAIN);
	assert_int_equal(close(sockets[0]), 0);
	assert_int_equal(ipcfs_amqp_receive(sockets[1], IPCFS_AMQP_FROM_DAEMON, &packet), 0);
	assert_int_equal(ipcfs_amqp_send(sockets[1], &get, NULL, NULL), -EPIPE);
}

/* Sends what a peer should not send. */
static void refused(struct ipcfs_amqp_record record, const void *text)
{
	assert_int_equal(pass(&record, text, "body"), -EPROTO);
	assert_int_equal(packet.descriptor, -1);
}

#define WITH(...) ((struct ipcfs_amqp_record){ __VA_ARGS__ })

static void wrong_fields(void **state)
{
	(void)state;
	refused(WITH(.type = 0), NULL);
	refused(WITH(.type = IPCFS_AMQP_TYPES), NULL);
	refused(WITH(.type = 255), NULL);
	refused(WITH(.type = IPCFS_AMQP_UNBLOCKED), NULL); /* of the helper only */
	refused(WITH(.type = IPCFS_AMQP_GET), NULL);
	refused(WITH(.type = IPCFS_AMQP_GET, .queue = 1, .unused = 1), NULL);
	refused(WITH(.type = IPCFS_AMQP_GET, .queue = 1, .flags = IPCFS_AMQP_TELL), NULL);
	refused(WITH(.type = IPCFS_AMQP_GET, .queue = 1, .number = 1), NULL);
	refused(WITH(.type = IPCFS_AMQP_GET, .queue = 1, .priority = 1), NULL);
	refused(WITH(.type = IPCFS_AMQP_GET, .queue = 1, .messages = 1), NULL);
	refused(WITH(.type = IPCFS_AMQP_GET, .queue = 1, .error = -1), NULL);
	refused(WITH(.type = IPCFS_AMQP_GET, .queue = 1, .readers = 1), NULL);
	refused(WITH(.type = IPCFS_AMQP_GET, .queue = 1, .body = 1), NULL);
	refused(WITH(.type = IPCFS_AMQP_GET, .queue = 1, .text = 1), "x");
	refused(WITH(.type = IPCFS_AMQP_ACK, .queue = 1), NULL);
	refused(WITH(.type = IPCFS_AMQP_ACK, .queue = 1, .number = 1, .flags = 8), NULL);
	refused(WITH(.type = IPCFS_AMQP_WANT, .queue = 1, .readers = 17), NULL);
	refused(WITH(.type = IPCFS_AMQP_LOOK, .number = 1), NULL);
	refused(WITH(.type = IPCFS_AMQP_LEASE, .queue = 1), NULL);
	refused(WITH(.type = IPCFS_AMQP_LEASE, .queue = 1, .number = 1, .flags = IPCFS_AMQP_TELL),
		NULL);
	refused(WITH(.type = IPCFS_AMQP_LOST, .queue = 1, .number = 1, .error = -1), NULL);
}

static void wrong_texts(void **state)
{
	char name[IPCFS_AMQP_NAME_MAX + 1];

	(void)state;
	memset(name, 'n', sizeof(name));
	refused(WITH(.type = IPCFS_AMQP_OPEN, .queue = 1, .text = sizeof(name)), name);
	refused(WITH(.type = IPCFS_AMQP_OPEN, .queue = 1, .text = 3), "a\0b");
	refused(WITH(.type = IPCFS_AMQP_LOGIN, .text = 3), "abc");
	assert_int_equal(
		pass(&WITH(.type = IPCFS_AMQP_OPEN, .queue = 1, .text = IPCFS_AMQP_NAME_MAX), name,
		     NULL),
		1);
}

static void is_illegal(struct ipcfs_amqp_record record, const char *text, size_t size)
{
	packet.record = record;
	packet.descriptor = -1;
	memcpy(packet.bytes, text, strlen(text));
	assert_false(ipcfs_amqp_is_legal(&packet, size, IPCFS_AMQP_FROM_HELPER));
}

static void wrong_from_helper(void **state)
{
	const size_t bare = sizeof(struct ipcfs_amqp_record);

	(void)state;
	is_illegal(WITH(.type = IPCFS_AMQP_UNBLOCKED), "", bare - 1);
	is_illegal(WITH(.type = IPCFS_AMQP_UNBLOCKED), "", bare + 1);
	is_illegal(WITH(.type = IPCFS_AMQP_GET, .queue = 1), "", bare);
	is_illegal(WITH(.type = IPCFS_AMQP_DOWN), "", bare);
	is_illegal(WITH(.type = IPCFS_AMQP_DOWN, .error = 1), "", bare);
	is_illegal(WITH(.type = IPCFS_AMQP_DOWN, .error = -4096), "", bare);
	is_illegal(WITH(.type = IPCFS_AMQP_LOST, .queue = 1, .number = 1), "", bare);
	is_illegal(WITH(.type = IPCFS_AMQP_LOST, .queue = 1, .error = -1), "", bare);
	is_illegal(WITH(.type = IPCFS_AMQP_LEASE, .queue = 1, .number = 1), "", bare);
	is_illegal(WITH(.type = IPCFS_AMQP_UP, .text = 2), "a\n", bare + 2);
	is_illegal(WITH(.type = IPCFS_AMQP_UP, .text = 1), "\x7f", bare + 1);
	is_illegal(WITH(.type = IPCFS_AMQP_MESSAGE, .queue = 1, .number = 1, .text = 3), "a=b",
		   bare + 3);
	is_illegal(WITH(.type = IPCFS_AMQP_MESSAGE, .queue = 1, .number = 1,
			.body = IPCFS_AMQP_INLINE_MAX + 1),
		   "", bare);
	is_illegal(WITH(.type = IPCFS_AMQP_MESSAGE, .queue = 1, .number = 1, .body = UINT32_MAX),
		   "", bare);
	is_illegal(WITH(.type = IPCFS_AMQP_MESSAGE, .queue = 1, .number = 1, .text = UINT32_MAX,
			.body = 1),
		   "", bare);
	is_illegal(WITH(.type = IPCFS_AMQP_STORED, .queue = 1, .number = 1, .body = 7), "",
		   bare + 7);
	is_illegal(WITH(.type = IPCFS_AMQP_STORED, .queue = 1, .number = 1,
			.body = 8 * IPCFS_AMQP_PUTS_MAX),
		   "", bare + (size_t)8 * IPCFS_AMQP_PUTS_MAX);
	packet.record = WITH(.type = IPCFS_AMQP_STORED, .queue = 1, .number = 1, .body = 16);
	assert_true(ipcfs_amqp_is_legal(&packet, bare + 16, IPCFS_AMQP_FROM_HELPER));
	packet.record = WITH(.type = IPCFS_AMQP_ANSWER, .number = 1, .messages = 9, .readers = 900);
	assert_true(ipcfs_amqp_is_legal(&packet, bare, IPCFS_AMQP_FROM_HELPER));
}

/* Sends raw bytes with `count` descriptors. */
static void send_raw(const void *bytes, size_t size, size_t count)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(3 * sizeof(int))] = { 0 };
	struct iovec part = { (void *)bytes, size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control };
	struct cmsghdr *header;

	message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	for (size_t i = 0; i < count; i++)
		memcpy(CMSG_DATA(header) + i * sizeof(int), &sockets[0], sizeof(int));
	assert_int_equal(sendmsg(sockets[0], &message, 0), size);
}

/* Descriptors that nobody asked for are closed. */
static void unwanted_descriptors(void **state)
{
	const struct ipcfs_amqp_record get = { .type = IPCFS_AMQP_GET, .queue = 1 };
	int next = dup(0);

	(void)state;
	(void)close(next);
	for (size_t count = 1; count <= 3; count++) {
		send_raw(&get, sizeof(get), count);
		assert_int_equal(ipcfs_amqp_receive(sockets[1], IPCFS_AMQP_FROM_DAEMON, &packet),
				 -EPROTO);
	}
	assert_int_equal(dup(0), next);
	(void)close(next);
}

static void strings(void **state)
{
	char text[IPCFS_AMQP_TEXT_MAX];
	char filler[IPCFS_AMQP_TEXT_MAX];
	const char *found[3];
	uint32_t size = 0;

	(void)state;
	assert_int_equal(ipcfs_amqp_string_add(text, &size, "one"), 0);
	assert_int_equal(ipcfs_amqp_string_add(text, &size, ""), 0);
	assert_true(ipcfs_amqp_strings(text, size, found, 2));
	assert_string_equal(found[0], "one");
	assert_string_equal(found[1], "");
	assert_false(ipcfs_amqp_strings(text, size, found, 1));
	assert_false(ipcfs_amqp_strings(text, size, found, 3));
	assert_false(ipcfs_amqp_strings(text, 3, found, 1));
	memset(filler, 'f', sizeof(filler) - 1 - size);
	filler[sizeof(filler) - 1 - size] = '\0';
	assert_int_equal(ipcfs_amqp_string_add(text, &size, filler), 0);
	assert_int_equal(size, IPCFS_AMQP_TEXT_MAX);
	assert_int_equal(ipcfs_amqp_string_add(text, &size, ""), -E2BIG);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, connect_ends, close_ends)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(short_body),
		cmocka_unit_test(lists),
		cmocka_unit_test(wrong_lists),
		cmocka_unit_test(details),
		TEST(long_body),
		TEST(largest),
		TEST(ends),
		TEST(wrong_fields),
		TEST(wrong_texts),
		TEST(strings),
		TEST(wrong_from_helper),
		TEST(unwanted_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
