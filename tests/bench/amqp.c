/* SPDX-License-Identifier: MIT */
/*
 * Measures a message of 100 bytes to and from a queue of a broker on 127.0.0.1, user guest.
 *
 *	amqp ROUNDS EACH QUEUE DIRECTORY HELPER PASSWORD_FILE
 *
 * The subjects are librabbitmq alone, the program HELPER (ipcfs-amqp) with this one as its daemon,
 * and the queue's DIRECTORY in a mount. They take turns, round by round, so that other work of the
 * machine affects all of them: with EACH 1 message by message. The queue must be empty, and is
 * emptied after each round. Of the rounds of `pipeline` there are fewer.
 *
 * Prints a line for each measurement: its name, the microseconds of a message by the library, the
 * helper (0: not measured) and the mount, and the latter two over the library's. The figures are
 * medians over the rounds, the last two are medians of the neighbouring rounds' ratios.
 *
 *	publish   one message at a time, until the broker has confirmed it
 *	pipeline  1000 messages, at most 100 unconfirmed; with one write(2)
 *	get       basic.get and ack, sent; read(2) of `packets`
 *	loop      to a worker that waits, and until the sender has the confirm
 */
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "../tools/peer.h"
#include "backends/amqp/records.h"

enum {
	ROUNDS = 1000,
	SIZE = 100,
	BATCH = 1000,
	WINDOW = 100,
	SUBJECTS = 3,
	CHANNEL = 1,
	FEWER = 25
};
enum { LIBRARY, HELPER, MOUNT };

static amqp_connection_state_t publisher, consumer;
static amqp_bytes_t queue;
static uint64_t published; /* on the publisher's channel */
static int helper;
static uint64_t last_put;
static struct ipcfs_amqp_packet packet;
static int lines, packets;
static char text[BATCH * SIZE];
static int to_worker[2], from_worker[2];
static double times[SUBJECTS][ROUNDS];

/* Part one: the library alone. */

static void must(amqp_rpc_reply_t reply, const char *what)
{
	if (reply.reply_type != AMQP_RESPONSE_NORMAL)
		peer_die("%s", what);
}

static amqp_connection_state_t log_in(void)
{
	amqp_connection_state_t connection = amqp_new_connection();
	amqp_socket_t *socket = amqp_tcp_socket_new(connection);

	if (amqp_socket_open(socket, "127.0.0.1", 5672))
		peer_die("no broker");
	must(amqp_login(connection, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest"),
	     "login");
	amqp_channel_open(connection, CHANNEL);
	must(amqp_get_rpc_reply(connection), "channel");
	return connection;
}

static void send_one(void)
{
	char id[32];
	amqp_basic_properties_t properties = {
		._flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG,
		.delivery_mode = 2,
	};
	const amqp_bytes_t body = { SIZE - 1, text };

	snprintf(id, sizeof(id), "bench-%lu", (unsigned long)++published);
	properties.message_id = amqp_cstring_bytes(id);
	if (amqp_basic_publish(publisher, CHANNEL, amqp_empty_bytes, queue, true, false,
			       &properties, body))
		peer_die("publish");
}

/* Waits for a frame of this method, and returns what it says. */
static void *await(amqp_connection_state_t connection, amqp_method_number_t method)
{
	amqp_frame_t frame;

	do {
		amqp_maybe_release_buffers(connection);
		if (amqp_simple_wait_frame(connection, &frame))
			peer_die("the connection is lost");
	} while (frame.frame_type != AMQP_FRAME_METHOD || frame.payload.method.id != method);
	return frame.payload.method.decoded;
}

/* Publishes messages, so many unconfirmed at most. */
static void publish(unsigned count, unsigned window)
{
	static bool confirmed[BATCH + 1];
	uint64_t first = published + 1, end = first + count, low = first;

	memset(confirmed, 0, sizeof(confirmed));
	while (low < end) {
		const amqp_basic_ack_t *ack;

		while (published + 1 < end && published + 1 - low < window)
			send_one();
		ack = await(publisher, AMQP_BASIC_ACK_METHOD);
		for (uint64_t tag = ack->multiple ? low : ack->delivery_tag;
		     tag <= ack->delivery_tag; tag++)
			confirmed[tag - first] = true;
		while (low < end && confirmed[low - first])
			low++;
	}
}

/* Takes the rest of a message whose first frame has come. */
static void take_body(amqp_connection_state_t connection, uint64_t tag)
{
	amqp_message_t message;

	must(amqp_read_message(connection, CHANNEL, &message, 0), "message");
	if (message.body.len != SIZE - 1)
		peer_die("the message is not ours");
	amqp_destroy_message(&message);
	if (amqp_basic_ack(connection, CHANNEL, tag, false))
		peer_die("ack");
}

/* Returns false if the queue is empty. */
static bool get(void)
{
	amqp_rpc_reply_t reply;

	amqp_maybe_release_buffers(consumer);
	reply = amqp_basic_get(consumer, CHANNEL, queue, false);
	must(reply, "get");
	if (reply.reply.id == AMQP_BASIC_GET_EMPTY_METHOD)
		return false;
	take_body(consumer, ((amqp_basic_get_ok_t *)reply.reply.decoded)->delivery_tag);
	return true;
}

/* Part two: the helper. */

static void start_helper(const char *program, const char *password_file)
{
	const char *strings[IPCFS_AMQP_LOGIN_STRINGS] = {
		"127.0.0.1", "5672",  "/", "guest", password_file, "", "", "", "10",
		"1000000",   "bench", "",  "",
	};
	struct ipcfs_amqp_record record = { .type = IPCFS_AMQP_LOGIN };
	char login[IPCFS_AMQP_TEXT_MAX];
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		peer_die("socketpair");
	if (!fork()) {
		dup2(ends[1], STDIN_FILENO);
		execl(program, "ipcfs-amqp", "publish", NULL);
		_exit(127);
	}
	close(ends[1]);
	helper = ends[0];
	for (size_t i = 0; i < IPCFS_AMQP_LOGIN_STRINGS; i++)
		ipcfs_amqp_string_add(login, &record.text, strings[i]);
	ipcfs_amqp_send(helper, &record, login, NULL);
}

/* Waits for a record of the helper. */
static void await_record(enum ipcfs_amqp_type type)
{
	struct pollfd readable = { .fd = helper, .events = POLLIN };

	if (poll(&readable, 1, 10000) != 1 ||
	    ipcfs_amqp_receive(helper, IPCFS_AMQP_FROM_HELPER, &packet) != 1 ||
	    packet.record.type != type)
		peer_die("ipcfs-amqp says %d: %.*s", packet.record.type, (int)packet.record.text,
			 packet.bytes);
}

static void open_at_helper(void)
{
	const struct ipcfs_amqp_record record = {
		.type = IPCFS_AMQP_OPEN,
		.queue = 1,
		.text = (uint32_t)queue.len,
	};

	await_record(IPCFS_AMQP_UP);
	ipcfs_amqp_send(helper, &record, queue.bytes, NULL);
}

static void put(void)
{
	const struct ipcfs_amqp_record record = {
		.type = IPCFS_AMQP_PUT,
		.queue = 1,
		.number = ++last_put,
		.body = SIZE - 1,
	};

	if (ipcfs_amqp_send(helper, &record, NULL, text))
		peer_die("put");
	await_record(IPCFS_AMQP_STORED);
}

/* Part three: the mount, and a worker that waits. */

static void write_lines(size_t count)
{
	if (write(lines, text, count * SIZE) != (ssize_t)(count * SIZE))
		peer_die("write");
}

static void read_packet(void)
{
	char message[2 * SIZE];

	if (read(packets, message, sizeof(message)) != SIZE - 1)
		peer_die("read");
}

/* Waits for a message by the library, as `read` does by the mount. */
static void deliver_one(void)
{
	const amqp_basic_consume_ok_t *ok = amqp_basic_consume(
		consumer, CHANNEL, queue, amqp_empty_bytes, false, false, false, amqp_empty_table);
	amqp_bytes_t tag = ok ? amqp_bytes_malloc_dup(ok->consumer_tag) : amqp_empty_bytes;
	char said = LIBRARY;
	const amqp_basic_deliver_t *deliver = await(consumer, AMQP_BASIC_DELIVER_METHOD);

	take_body(consumer, deliver->delivery_tag);
	if (write(from_worker[1], &said, 1) != 1)
		_exit(1);
	amqp_basic_cancel(consumer, CHANNEL, tag);
	amqp_bytes_free(tag);
}

/* Receives a message whenever it is told, and says so. */
static _Noreturn void work(void)
{
	char subject;

	consumer = log_in();
	while (read(to_worker[0], &subject, 1) == 1) {
		if (subject == LIBRARY) {
			deliver_one();
			continue;
		}
		read_packet();
		if (write(from_worker[1], &subject, 1) != 1)
			break;
	}
	_exit(0);
}

static void start_worker(void)
{
	if (pipe(to_worker) || pipe(from_worker))
		peer_die("pipe");
	if (!fork()) {
		close(to_worker[1]);
		work();
	}
	close(to_worker[0]);
}

/* Returns the seconds until a worker that waits has the message, and its sender the confirm. */
static double loop(char subject)
{
	double start;

	if (write(to_worker[1], &subject, 1) != 1)
		peer_die("the worker has ended");
	peer_sleep_ms(5); /* it waits then */
	start = peer_now();
	if (subject == LIBRARY)
		publish(1, 1);
	else
		write_lines(1);
	if (read(from_worker[0], &subject, 1) != 1)
		peer_die("the worker has ended");
	return peer_now() - start;
}

/* The measurements: each returns the seconds of `each` messages. */

static double measure_publish(int subject, unsigned each)
{
	double start = peer_now();

	for (unsigned i = 0; i < each; i++) {
		if (subject == LIBRARY)
			publish(1, 1);
		else if (subject == HELPER)
			put();
		else
			write_lines(1);
	}
	return peer_now() - start;
}

static double measure_pipeline(int subject, unsigned each)
{
	double start = peer_now();

	if (subject == LIBRARY)
		publish(BATCH, WINDOW);
	else
		write_lines(BATCH);
	return (peer_now() - start) / BATCH * each;
}

static double measure_get(int subject, unsigned each)
{
	double start;

	publish(each, WINDOW);
	start = peer_now();
	for (unsigned i = 0; i < each; i++) {
		if (subject == MOUNT)
			read_packet();
		else if (!get())
			peer_die("a message is lost");
	}
	return peer_now() - start;
}

static double measure_loop(int subject, unsigned each)
{
	double sum = 0;

	for (unsigned i = 0; i < each; i++)
		sum += loop((char)subject);
	return sum;
}

static const struct measurement {
	const char *name;
	double (*measure)(int subject, unsigned each);
	bool helper;
} measurements[] = {
	{ "publish", measure_publish, true },
	{ "pipeline", measure_pipeline, false },
	{ "get", measure_get, false },
	{ "loop", measure_loop, false },
};

static int by_value(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median(const double *values, const double *divisors, size_t count)
{
	static double sorted[ROUNDS];

	for (size_t i = 0; i < count; i++)
		sorted[i] = values[i] / (divisors ? divisors[i] : 1);
	qsort(sorted, count, sizeof(*sorted), by_value);
	return sorted[count / 2];
}

static void run(const struct measurement *measurement, size_t rounds, unsigned each)
{
	for (size_t i = 0; i < rounds; i++) {
		for (size_t turn = 0; turn < SUBJECTS; turn++) {
			/* The first one after a purge is slower. */
			int subject = (int)((i + turn) % SUBJECTS);

			if (subject == HELPER && !measurement->helper)
				continue;
			times[subject][i] = measurement->measure(subject, each) / each * 1e6;
		}
		if (!amqp_queue_purge(consumer, CHANNEL, queue))
			peer_die("purge");
	}
	printf("%s", measurement->name);
	for (int subject = 0; subject < SUBJECTS; subject++)
		printf(" %.1f", median(times[subject], NULL, rounds));
	for (int subject = HELPER; subject < SUBJECTS; subject++)
		printf(" %.3f", median(times[subject], times[LIBRARY], rounds));
	putchar('\n');
}

static int open_file(const char *directory, const char *name, int flags)
{
	char path[PEER_PATH];
	int fd = open(peer_path(path, "%s/%s", directory, name), flags | O_CLOEXEC);

	if (fd < 0)
		peer_die("%s", path);
	return fd;
}

int main(int argc, char **argv)
{
	const size_t count = sizeof(measurements) / sizeof(*measurements);
	size_t rounds = argc == 7 ? strtoul(argv[1], NULL, 10) : 0;
	unsigned each = argc == 7 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;

	if (!rounds || rounds > ROUNDS || !each || each > BATCH) {
		fprintf(stderr, "usage: %s ROUNDS EACH QUEUE DIRECTORY HELPER PASSWORD_FILE\n",
			argv[0]);
		return 2;
	}
	memset(text, 'x', sizeof(text));
	for (size_t i = 1; i <= BATCH; i++)
		text[i * SIZE - 1] = '\n';
	queue = amqp_cstring_bytes(argv[3]);
	lines = open_file(argv[4], "lines", O_WRONLY);
	packets = open_file(argv[4], "packets", O_RDONLY);
	start_worker();
	start_helper(argv[5], argv[6]);
	open_at_helper();
	consumer = log_in();
	publisher = log_in();
	if (!amqp_confirm_select(publisher, CHANNEL))
		peer_die("confirm.select");
	for (const struct measurement *one = measurements; one < measurements + count; one++)
		run(one, one->measure == measure_pipeline ? rounds / FEWER + 1 : rounds, each);
	return 0;
}
