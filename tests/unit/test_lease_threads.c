/* SPDX-License-Identifier: MIT */
/*
 * Several threads lease messages of one queue, and end their leases, while another one reads the
 * queue's status. Each sends its requests as the kernel writes them.
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/base/settings.h"
#include "fs/ops/filesystem.h"
#include "fs/ops/options.h"

#define KEY 0x51
#define THREADS 4
#define LEASES 400 /* of each thread */
#define PAYLOAD 256

static struct ipcfs_filesystem *fs;
static struct fuse_session *session;
static _Atomic uint64_t last_unique;
static int queue;
static uint64_t status_node, lease_nodes[THREADS];
static atomic_uint at_work;

/* The answer to the thread's last request: no request here is answered later. */
static _Thread_local struct {
	struct fuse_out_header head;
	union {
		char bytes[4096];
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} body;
} answer;

static ssize_t take_answer(int fd, struct iovec *parts, int count, void *arg)
{
	size_t size = 0;

	(void)fd, (void)arg;
	memset(&answer, 0, sizeof(answer));
	for (int i = 0; i < count; i++) {
		if (parts[i].iov_len && size + parts[i].iov_len <= sizeof(answer))
			memcpy((char *)&answer + size, parts[i].iov_base, parts[i].iov_len);
		size += parts[i].iov_len;
	}
	return (ssize_t)size;
}

static ssize_t no_request(int fd, void *bytes, size_t size, void *arg)
{
	(void)fd, (void)bytes, (void)size, (void)arg;
	return -1;
}

/* Has the daemon handle a request. Returns its answer, 0 or a negative errno. */
static int ask(uint32_t opcode, uint64_t node, const void *payload, size_t size)
{
	union {
		char bytes[sizeof(struct fuse_in_header) + PAYLOAD];
		struct fuse_in_header in;
	} request;
	struct fuse_buf buf = { .mem = &request, .size = sizeof(request.in) + size };

	request.in = (struct fuse_in_header){ .len = (uint32_t)buf.size,
					      .opcode = opcode,
					      .unique = atomic_fetch_add(&last_unique, 2) + 2,
					      .nodeid = node,
					      .uid = geteuid(),
					      .gid = getegid(),
					      .pid = (uint32_t)gettid() };
	memcpy(request.bytes + sizeof(request.in), payload, size);
	fuse_session_process_buf(session, &buf);
	ipcfs_filesystem_done(fs);
	return answer.head.error;
}

static uint64_t look_up(uint64_t parent, const char *name)
{
	return ask(FUSE_LOOKUP, parent, name, strlen(name) + 1) ? 0 : answer.body.entry.nodeid;
}

static uint64_t open_node(uint64_t node, int flags)
{
	const struct fuse_open_in in = { .flags = (uint32_t)flags };

	return ask(FUSE_OPEN, node, &in, sizeof(in)) ? 0 : answer.body.open.fh;
}

/* Reads what the file has, into the answer. Returns how much it is, or a negative errno. */
static int read_file(uint64_t node, uint64_t file)
{
	const struct fuse_read_in in = { .fh = file,
					 .size = 2048,
					 .lock_owner = 1,
					 .read_flags = FUSE_READ_LOCKOWNER,
					 .flags = O_RDWR | O_NONBLOCK };
	int err = ask(FUSE_READ, node, &in, sizeof(in));

	return err ? err : (int)(answer.head.len - sizeof(answer.head));
}

static int write_done(uint64_t node, uint64_t file)
{
	struct {
		struct fuse_write_in in;
		char text[4];
	} request = { .in = { .fh = file, .size = 4, .flags = O_RDWR | O_NONBLOCK },
		      .text = { 'd', 'o', 'n', 'e' } };

	return ask(FUSE_WRITE, node, &request, sizeof(request.in) + sizeof(request.text));
}

static int release(uint64_t node, uint64_t file)
{
	const struct fuse_release_in in = { .fh = file, .flags = O_RDWR };

	return ask(FUSE_RELEASE, node, &in, sizeof(in));
}

/* Leases a message, which is there for this thread. Every other one goes back. Returns an error. */
static int lease_one(uint64_t node, bool returns)
{
	uint64_t file = open_node(node, O_RDWR | O_NONBLOCK);
	int err;

	if (!file)
		return 1;
	err = read_file(node, file) == 3 ? 0 : 2;
	if (!err && !returns)
		err = write_done(node, file);
	return err ? err : release(node, file);
}

static void *work(void *arg)
{
	const struct {
		long type;
		char text[3];
	} message = { .type = 1, .text = { 'j', 'o', 'b' } };
	uint64_t node = *(const uint64_t *)arg;
	intptr_t err = 0;

	for (int i = 0; !err && i < LEASES; i++) {
		if (i % 2 == 0)
			err = msgsnd(queue, &message, sizeof(message.text), 0);
		if (!err)
			err = lease_one(node, i % 2 == 0);
	}
	at_work--;
	return (void *)err;
}

/* Returns how many messages are leased, as status says. */
static int leased(void)
{
	uint64_t file = open_node(status_node, O_RDONLY);
	const char *line;
	int number = -1;

	assert_in_range(read_file(status_node, file), 1, 2047);
	line = strstr(answer.body.bytes, "\nleased=");
	if (line)
		number = atoi(line + 8);
	assert_int_equal(release(status_node, file), 0);
	return number;
}

static void leases_of_several_threads(void **state)
{
	pthread_t threads[THREADS];
	void *result;

	(void)state;
	at_work = THREADS;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, &lease_nodes[i]), 0);
	while (at_work)
		assert_in_range(leased(), 0, THREADS);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_null(result);
	}
	assert_int_equal(leased(), 0);
}

static int find_nodes(void)
{
	char name[16];
	uint64_t at = look_up(FUSE_ROOT_ID, "sysv");

	snprintf(name, sizeof(name), "0x%08x", KEY);
	at = look_up(look_up(at, "msg"), name);
	status_node = look_up(at, "status");
	for (int i = 0; i < THREADS; i++)
		lease_nodes[i] = look_up(at, "lease");
	return status_node && lease_nodes[0] ? 0 : -1;
}

static int start(void **state)
{
	static char name[] = "ipcfs", *argv[] = { name, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	const struct fuse_custom_io io = { .writev = take_answer, .read = no_request };
	const struct fuse_init_in init = { .major = 7, .minor = 36, .max_readahead = 4096 };
	struct ipcfs_options options = { 0 };

	(void)state;
	ipcfs_settings_init(&options.settings);
	queue = msgget(KEY, IPC_CREAT | 0600);
	fs = ipcfs_filesystem_create(NULL);
	if (queue < 0 || !fs || ipcfs_filesystem_open(fs, &options))
		return -1;
	session = fuse_session_new(&args, &ipcfs_filesystem_ops, sizeof(ipcfs_filesystem_ops), fs);
	fuse_opt_free_args(&args);
	if (!session || fuse_session_custom_io(session, &io, open("/dev/null", O_RDWR)) ||
	    ipcfs_filesystem_start(fs, session) || ask(FUSE_INIT, 0, &init, sizeof(init)))
		return -1;
	return find_nodes();
}

static int end(void **state)
{
	(void)state;
	ipcfs_filesystem_stop(fs);
	fuse_session_destroy(session);
	ipcfs_filesystem_destroy(fs);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leases_of_several_threads),
	};

	return cmocka_run_group_tests(tests, start, end);
}
