/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/daemon/notify.h"

struct listener {
	char directory[64];
	struct sockaddr_un address;
	int socket;
};

static int listen_for(void **state)
{
	static struct listener listener;

	listener.address.sun_family = AF_UNIX;
	(void)strcpy(listener.directory, "/tmp/ipcfs-notify-XXXXXX");
	assert_non_null(mkdtemp(listener.directory));
	(void)snprintf(listener.address.sun_path, sizeof(listener.address.sun_path), "%s/socket",
		       listener.directory);
	listener.socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(listener.socket >= 0);
	assert_return_code(bind(listener.socket, (struct sockaddr *)&listener.address,
				sizeof(listener.address)),
			   0);
	assert_return_code(setenv("NOTIFY_SOCKET", listener.address.sun_path, 1), 0);
	*state = &listener;
	return 0;
}

static int stop_listening(void **state)
{
	struct listener *listener = *state;

	close(listener->socket);
	(void)unlink(listener->address.sun_path);
	return rmdir(listener->directory);
}

/* Returns what was sent, or "" for nothing. */
static const char *heard(void **state)
{
	static char text[256];
	const struct listener *listener = *state;
	ssize_t got = recv(listener->socket, text, sizeof(text) - 1, 0);

	text[got > 0 ? got : 0] = '\0';
	return text;
}

static void the_manager_hears_each_notice(void **state)
{
	const char reloading[] = "RELOADING=1\nMONOTONIC_USEC=";
	const char *text;

	ipcfs_notify(IPCFS_NOTICE_READY);
	assert_string_equal(heard(state), "READY=1");
	ipcfs_notify(IPCFS_NOTICE_RELOADING);
	text = heard(state);
	assert_memory_equal(text, reloading, strlen(reloading));
	assert_true(strtoull(text + strlen(reloading), NULL, 10) > 0);
	ipcfs_notify(IPCFS_NOTICE_STOPPING);
	assert_string_equal(heard(state), "STOPPING=1");
	assert_string_equal(heard(state), "");
}

static void without_a_manager_nothing_happens(void **state)
{
	assert_return_code(unsetenv("NOTIFY_SOCKET"), 0);
	ipcfs_notify(IPCFS_NOTICE_READY);
	assert_string_equal(heard(state), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_manager_hears_each_notice, listen_for,
						stop_listening),
		cmocka_unit_test_setup_teardown(without_a_manager_nothing_happens, listen_for,
						stop_listening),
	};

	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
