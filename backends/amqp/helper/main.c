/* SPDX-License-Identifier: MIT */
/*
 * ipcfs-amqp publish|consume [NAME]: talks to a broker for ipcfs, which starts it. NAME is shown by
 * ps(1) only. Descriptor 0 is a socket, see backends/amqp/records.h. Ends with its connection.
 * Exit status: 0: the daemon closed the socket; 1: anything else, which the last record tells.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "backends/amqp/helper/channel.h"
#include "backends/amqp/helper/confine.h"
#include "backends/amqp/helper/helper.h"
#include "backends/amqp/helper/login.h"
#include "backends/contract/descriptor.h"

/* Records that are taken before frames are looked at again. */
enum { RECORDS_AT_ONCE = 64, SECOND_MS = 1000 };

static struct ipcfs_amqp_helper helper;
static struct ipcfs_amqp_packet packet;

/* Takes all frames that have come: poll(2) does not see those in the library's memory. */
static void take_frames(void)
{
	struct timeval now = { 0 };
	amqp_frame_t frame;
	int status;

	while (!helper.error) {
		status = amqp_simple_wait_frame_noblock(helper.connection, &frame, &now);
		if (status == AMQP_STATUS_TIMEOUT)
			return;
		if (status != AMQP_STATUS_OK) {
			ipcfs_amqp_fail(&helper, -EHOSTDOWN, amqp_error_string2(status));
			return;
		}
		ipcfs_amqp_channel_frame(&helper, &frame);
		amqp_maybe_release_buffers(helper.connection);
	}
}

/* Takes a record of the daemon. Returns 1; 0: the daemon is gone; -EAGAIN; or fails the helper. */
static int take_record(void)
{
	int got = ipcfs_amqp_receive(IPCFS_AMQP_SOCKET, IPCFS_AMQP_FROM_DAEMON, &packet);

	if (got == 0)
		ipcfs_amqp_fail(&helper, -EPIPE, "the daemon has ended");
	else if (got < 0 && got != -EAGAIN)
		ipcfs_amqp_fail(&helper, got, "a record of the daemon is wrong");
	return got;
}

/*
 * Has the kernel gather what is sent to the broker, or send what it has gathered: the broker takes
 * many messages in one part for far less than each in its own.
 */
static void gather(int on)
{
	(void)setsockopt(amqp_get_sockfd(helper.connection), IPPROTO_TCP, TCP_CORK, &on,
			 sizeof(on)); /* after an error they go in parts of their own */
}

static void take_records(void)
{
	int count = 0;

	while (count < RECORDS_AT_ONCE && !helper.blocked && !helper.error && take_record() == 1) {
		if (++count == 2)
			gather(true);
		ipcfs_amqp_channel_record(&helper, &packet);
		ipcfs_descriptor_close(&packet.descriptor);
	}
	if (count > 1)
		gather(false);
}

/*
 * Waits for a frame, a record or, to send a heartbeat, half of its time. While the broker takes no
 * messages, only the end of the daemon's socket is waited for. Returns whether a record has come.
 */
static bool wait_for_either(void)
{
	struct pollfd sources[] = {
		{ .fd = IPCFS_AMQP_SOCKET, .events = helper.blocked ? 0 : POLLIN },
		{ .fd = amqp_get_sockfd(helper.connection), .events = POLLIN },
	};

	if (poll(sources, 2, (int)helper.heartbeat * SECOND_MS / 2) < 0 && errno != EINTR)
		ipcfs_amqp_fail(&helper, -errno, "poll failed");
	if (helper.blocked && sources[0].revents & (POLLHUP | POLLERR))
		ipcfs_amqp_fail(&helper, -EPIPE, "the daemon has ended");
	return sources[0].revents;
}

static void log_in(void)
{
	struct pollfd socket = { .fd = IPCFS_AMQP_SOCKET, .events = POLLIN };
	int err;

	if (poll(&socket, 1, -1) < 0)
		ipcfs_amqp_fail(&helper, -errno, "poll failed");
	else if (take_record() == 1)
		ipcfs_amqp_login(&helper, &packet);
	ipcfs_descriptor_close(&packet.descriptor);
	if (helper.error)
		return;
	err = ipcfs_amqp_confine(helper.max_message, false);
	if (err)
		ipcfs_amqp_fail(&helper, err, "can't give up rights");
}

/* Says that the connection is up, with the version that the broker told. */
static void say_up(void)
{
	const amqp_table_t *server = amqp_get_server_properties(helper.connection);
	struct ipcfs_amqp_record record = { .type = IPCFS_AMQP_UP };
	char line[IPCFS_AMQP_REASON_SIZE];

	for (int i = 0; i < server->num_entries; i++) {
		const amqp_table_entry_t *entry = &server->entries[i];

		if (entry->key.len == strlen("version") &&
		    !memcmp(entry->key.bytes, "version", entry->key.len) &&
		    entry->value.kind == AMQP_FIELD_KIND_UTF8)
			record.text = ipcfs_amqp_printable(entry->value.value.bytes, line,
							   sizeof(line));
	}
	ipcfs_amqp_tell(&helper, &record, line, NULL);
}

/* Says why the connection has ended; nobody listens if the daemon has. */
static void say_down(void)
{
	int error = helper.error;
	struct ipcfs_amqp_record record = {
		.type = IPCFS_AMQP_DOWN,
		.error = error,
		.text = (uint32_t)strlen(helper.reason),
	};

	helper.error = 0;
	ipcfs_amqp_tell(&helper, &record, helper.reason, NULL);
	helper.error = error;
}

int main(int argc, char **argv)
{
	if (argc < 2 || argc > 3 || (strcmp(argv[1], "publish") && strcmp(argv[1], "consume"))) {
		(void)fputs("usage: ipcfs-amqp publish|consume [NAME]; started by ipcfs\n", stderr);
		return EXIT_FAILURE;
	}
	helper.publishes = !strcmp(argv[1], "publish");
	packet.descriptor = -1;
	if (ipcfs_amqp_confine_early())
		ipcfs_amqp_fail(&helper, -EIO, "can't give up rights");
	else
		log_in();
	if (!helper.error) {
		say_up();
		ipcfs_amqp_channel_start(&helper);
	}
	while (!helper.error) {
		take_frames();
		if (!helper.error && wait_for_either())
			take_records();
	}
	if (helper.error == -EPIPE)
		return EXIT_SUCCESS;
	say_down();
	return EXIT_FAILURE;
}
