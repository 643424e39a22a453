/* SPDX-License-Identifier: MIT */
/* The URL of a management API: what is refused, and what is this machine's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/daemon/amqp_url.h"

static void urls(void **state)
{
	static const char *const good[] = {
		"http://a",
		"https://mq1.example.net:15671",
		"http://127.0.0.1:15672",
		"https://[::1]:1",
		"https://[fe80::1]",
		"https://a.example/rabbit/api-1",
		"http://a:65535/x",
	};
	static const char *const bad[] = {
		"",
		"a",
		"http:",
		"http://",
		"ftp://a",
		"HTTP://a",
		"file:///etc/passwd",
		"http://a/",
		"http://a:",
		"http://a:0",
		"http://a:65536",
		"http://a:1x",
		"http://a:-1",
		"http://u@a",
		"http://u:p@a",
		"http://a?x",
		"http://a/x?y",
		"http://a#x",
		"http://a/%2e",
		"http://a b",
		"http://[::1",
		"http://[]",
		"http://[a.example]x",
		"http://a[::1]",
		"http://a\\b",
		"https://http://a",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (!ipcfs_amqp_url_check(good[i]))
			fail_msg("%s is refused", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (ipcfs_amqp_url_check(bad[i]))
			fail_msg("%s is taken", bad[i]);
}

static void passwords_leave_the_machine_in_the_clear(void **state)
{
	(void)state;
	assert_false(ipcfs_amqp_url_is_open("https://a"));
	assert_false(ipcfs_amqp_url_is_open("http://localhost:15672"));
	assert_false(ipcfs_amqp_url_is_open("http://127.8.0.1/x"));
	assert_false(ipcfs_amqp_url_is_open("http://[::1]:1"));
	assert_true(ipcfs_amqp_url_is_open("http://a"));
	assert_true(ipcfs_amqp_url_is_open("http://127.0.0.1.example"));
	assert_true(ipcfs_amqp_url_is_open("http://localhost.example"));
	assert_true(ipcfs_amqp_url_is_open("http://[::2]"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls),
		cmocka_unit_test(passwords_leave_the_machine_in_the_clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
