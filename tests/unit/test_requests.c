/* SPDX-License-Identifier: MIT */
/*
 * Requests as the kernel writes them, with node ids and file handles that are anything: of another
 * file, forgotten, closed, never given. The daemon may not crash, answers ESTALE where the number
 * names nothing, never gives a number twice, and answers each request once.
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <mqueue.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/base/settings.h"
#include "fs/ops/filesystem.h"
#include "fs/ops/options.h"

#define KEY 0x51
#define ROUNDS 60000
#define NUMBERS 4096 /* nodes, and files, at once */
#define PAYLOAD 512

/* A node that the kernel would know, or an open file. */
struct number {
	uint64_t number;
	uint64_t lookups; /* of a node; 0: it is forgotten */
	uint64_t node;	  /* of a file */
	uint64_t open;	  /* files of a node; of a file 1, or 0: it is closed */
	bool directory;
};

static struct ipcfs_filesystem *fs;
static struct fuse_session *session;
static struct number nodes[NUMBERS], files[NUMBERS];
static size_t nnodes, nfiles;
static uint64_t last_unique;
static uint32_t state = 1;

/* The daemon's answers. Its other threads answer, too. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned char *answers; /* how many, by half the number of the request */
static uint64_t *files_of; /* the open file that the request is on, by half its number; 0: none */
static uint64_t nanswers;
static struct fuse_out_header head; /* of the answer to the last request */
static union {
	char bytes[4096];
	struct fuse_entry_out entry;
	struct fuse_open_out open;
} body;

static uint32_t any(uint32_t below)
{
	state = state * 1664525 + 1013904223;
	return (state >> 8) % below;
}

static ssize_t take_answer(int fd, struct iovec *parts, int count, void *arg)
{
	size_t size = 0, at = 0;
	char bytes[sizeof(head) + sizeof(body)];
	struct fuse_out_header out;

	(void)fd, (void)arg;
	for (int i = 0; i < count; i++) {
		size_t fits = sizeof(bytes) - at;

		if (parts[i].iov_len < fits)
			fits = parts[i].iov_len;
		if (fits)
			memcpy(bytes + at, parts[i].iov_base, fits);
		at += fits;
		size += parts[i].iov_len;
	}
	memcpy(&out, bytes, sizeof(out));
	if (!out.unique)
		return (ssize_t)size; /* a notification */
	pthread_mutex_lock(&lock);
	answers[out.unique / 2]++;
	nanswers++;
	if (out.unique == last_unique) {
		head = out;
		memcpy(&body, bytes + sizeof(out), sizeof(body));
	}
	pthread_mutex_unlock(&lock);
	return (ssize_t)size;
}

static ssize_t no_request(int fd, void *bytes, size_t size, void *arg)
{
	(void)fd, (void)bytes, (void)size, (void)arg;
	return -1;
}

/*
 * Has the daemon handle a request. Returns its answer, 0 or a negative errno; 1: it has not
 * answered yet.
 */
static int ask(uint32_t opcode, uint64_t node, const void *payload, size_t size)
{
	static union {
		char bytes[sizeof(struct fuse_in_header) + PAYLOAD];
		struct fuse_in_header in;
	} request;
	struct fuse_buf buf = { .mem = &request, .size = sizeof(request.in) + size };
	bool answered;

	pthread_mutex_lock(&lock);
	last_unique += 2;
	pthread_mutex_unlock(&lock);
	request.in = (struct fuse_in_header){ .len = (uint32_t)buf.size,
					      .opcode = opcode,
					      .unique = last_unique,
					      .nodeid = node,
					      .uid = geteuid(),
					      .gid = getegid(),
					      .pid = (uint32_t)gettid() };
	memcpy(request.bytes + sizeof(request.in), payload, size);
	fuse_session_process_buf(session, &buf);
	ipcfs_filesystem_done(fs);
	pthread_mutex_lock(&lock);
	answered = answers[last_unique / 2];
	pthread_mutex_unlock(&lock);
	return answered ? head.error : 1;
}

/* Sends FORGET, which has no answer. */
static void forget(uint64_t node, const struct fuse_forget_in *in)
{
	assert_int_equal(ask(FUSE_FORGET, node, in, sizeof(*in)), 1);
	pthread_mutex_lock(&lock);
	answers[last_unique / 2]++;
	nanswers++;
	pthread_mutex_unlock(&lock);
}

static struct number *find(struct number *all, size_t count, uint64_t number)
{
	for (size_t i = 0; i < count; i++)
		if (all[i].number == number)
			return &all[i];
	return NULL;
}

static bool is_live(const struct number *node)
{
	return node && (node->lookups || node->open);
}

/* Looks a name up, and counts the lookup. A node is new if its number is. */
static int look_up(uint64_t parent, const char *name)
{
	int err = ask(FUSE_LOOKUP, parent, name, strlen(name) + 1);
	struct number *node;

	if (err)
		return err;
	node = find(nodes, nnodes, body.entry.nodeid);
	if (!node && nnodes < NUMBERS) {
		node = &nodes[nnodes++];
		*node = (struct number){ .number = body.entry.nodeid,
					 .directory = S_ISDIR(body.entry.attr.mode) };
	} else {
		assert_true(is_live(node)); /* else it was forgotten, and comes again */
	}
	node->lookups++;
	return 0;
}

static int open_node(struct number *node, int flags)
{
	const struct fuse_open_in in = { .flags = (uint32_t)flags };
	int err = ask(node->directory ? FUSE_OPENDIR : FUSE_OPEN, node->number, &in, sizeof(in));

	if (err)
		return err;
	assert_null(find(files, nfiles, body.open.fh));
	assert_true(nfiles < NUMBERS);
	files[nfiles++] = (struct number){ .number = body.open.fh,
					   .node = node->number,
					   .open = 1,
					   .directory = node->directory };
	node->open++;
	return 0;
}

/* Returns whether a request on this file is not answered yet: the kernel sends no RELEASE then. */
static bool is_waited_for(uint64_t file)
{
	bool waited_for = false;

	pthread_mutex_lock(&lock);
	for (uint64_t i = 1; i <= last_unique / 2; i++)
		waited_for |= !answers[i] && files_of[i] == file;
	pthread_mutex_unlock(&lock);
	return waited_for;
}

/* Makes a number that is wrong in one of the ways in which it can be. */
static uint64_t distort(uint64_t number)
{
	const uint64_t wrong[] = { 0,
				   number + 1,
				   number % (1 << 22),
				   number + (1ULL << 22),
				   number - (1ULL << 22),
				   UINT64_MAX,
				   (1ULL << 22) - 1,
				   (uint64_t)any(1 << 20) << any(44) };

	return wrong[any(sizeof(wrong) / sizeof(wrong[0]))];
}

static uint64_t any_number(const struct number *all, size_t count)
{
	uint64_t number = count ? all[any((uint32_t)count)].number : 0;

	return any(4) ? number : distort(number);
}

static const char *const names[] = { "sysv",	"posix",      "msg",	"mq",	  "sem",
				     "shm",	"0x00000051", "lines",	"tagged", "status",
				     "peek",	"type",	      "1",	"within", "5",
				     "queue",	"lock",	      "value",	"hold",	  "data",
				     "objects", "limits",     "create", "lease",  "records",
				     "monitor", "op",	      "values", "prio",	  "drain" };

static void look_anywhere(void)
{
	uint64_t parent = any_number(nodes, nnodes);
	const struct number *node = find(nodes, nnodes, parent);
	int err;

	if (nnodes == NUMBERS)
		return;
	err = look_up(parent, names[any(sizeof(names) / sizeof(names[0]))]);
	if (!is_live(node))
		assert_int_equal(err, -ESTALE);
}

static void open_anything(void)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	const struct fuse_open_in in = { 0 };
	uint64_t number = any_number(nodes, nnodes);
	struct number *node = find(nodes, nnodes, number);

	if (!is_live(node)) {
		assert_int_equal(ask(any(2) ? FUSE_OPEN : FUSE_OPENDIR, number, &in, sizeof(in)),
				 -ESTALE);
		return;
	}
	/* what is no directory may also be a link */
	if (any(8) == 0 && node->directory)
		assert_int_equal(ask(FUSE_OPEN, number, &in, sizeof(in)), -ESTALE);
	else if (any(8) == 0 && !node->directory)
		assert_int_equal(ask(FUSE_OPENDIR, number, &in, sizeof(in)), -ESTALE);
	else if (nfiles < NUMBERS)
		(void)open_node(node, modes[any(3)] | O_NONBLOCK);
}

static void forget_anything(void)
{
	const struct fuse_forget_in in = { .nlookup = 1 + any(2) };
	uint64_t number = any_number(nodes, nnodes);
	struct number *node = find(nodes, nnodes, number);

	if (node && node->number == FUSE_ROOT_ID)
		return;
	if (is_live(node))
		node->lookups -= in.nlookup < node->lookups ? in.nlookup : node->lookups;
	forget(number, &in);
}

static void close_anything(void)
{
	uint64_t number = any_number(files, nfiles);
	struct number *file = find(files, nfiles, number);
	const struct fuse_release_in in = { .fh = number, .flags = O_RDWR };
	bool directory = any(2), right = file && file->open && any(8);
	uint64_t node = right ? file->node : any_number(nodes, nnodes);

	if (file && file->open && is_waited_for(number))
		return;
	if (right)
		directory = file->directory;
	if (file && file->open && file->node == node && file->directory == directory) {
		file->open = 0;
		find(nodes, nnodes, node)->open--;
	}
	assert_int_equal(ask(directory ? FUSE_RELEASEDIR : FUSE_RELEASE, node, &in, sizeof(in)), 0);
}

/* Sends a request on a node, which any number may be. */
static void use_node(void)
{
	static const uint32_t opcodes[] = { FUSE_GETATTR, FUSE_SETATTR,	 FUSE_READLINK,
					    FUSE_ACCESS,  FUSE_GETXATTR, FUSE_LISTXATTR };
	uint64_t number = any_number(nodes, nnodes);
	char payload[PAYLOAD] = { 0 };
	int err;

	memcpy(payload, &(uint64_t){ any(4) ? 0 : any_number(files, nfiles) }, 8);
	memcpy(payload + sizeof(struct fuse_getxattr_in), "user.ipcfs.deliveries", 22);
	err = ask(opcodes[any(sizeof(opcodes) / sizeof(opcodes[0]))], number, payload, 128);
	if (!is_live(find(nodes, nnodes, number)))
		assert_int_equal(err, -ESTALE);
}

/* The requests on an open file, and how long their arguments are. */
static const struct {
	uint32_t opcode;
	size_t size;
	bool directory;
} on_files[] = {
	{ FUSE_READ, sizeof(struct fuse_read_in), false },
	{ FUSE_WRITE, sizeof(struct fuse_write_in), false },
	{ FUSE_FLUSH, sizeof(struct fuse_flush_in), false },
	{ FUSE_POLL, sizeof(struct fuse_poll_in), false },
	{ FUSE_FALLOCATE, sizeof(struct fuse_fallocate_in), false },
	{ FUSE_GETLK, sizeof(struct fuse_lk_in), false },
	{ FUSE_SETLK, sizeof(struct fuse_lk_in), false },
	{ FUSE_READDIR, sizeof(struct fuse_read_in), true },
	{ FUSE_READDIRPLUS, sizeof(struct fuse_read_in), true },
};

/* Fills the arguments of a request on a file. All of them begin with its handle. */
static void fill(uint32_t opcode, uint64_t number, char *payload)
{
	const struct fuse_read_in in = { .fh = number,
					 .size = 256,
					 .lock_owner = 1,
					 .read_flags = FUSE_READ_LOCKOWNER,
					 .flags = O_RDWR | O_NONBLOCK };
	const struct fuse_write_in out = { .fh = number,
					   .size = 8,
					   .lock_owner = 1,
					   .write_flags = FUSE_WRITE_LOCKOWNER,
					   .flags = O_RDWR | O_NONBLOCK };

	memcpy(payload, &number, sizeof(number));
	if (opcode == FUSE_READ || opcode == FUSE_READDIR || opcode == FUSE_READDIRPLUS)
		memcpy(payload, &in, sizeof(in));
	if (opcode == FUSE_WRITE) {
		memcpy(payload, &out, sizeof(out));
		memcpy(payload + sizeof(out), any(2) ? "1 hello\n" : "\n\n\n\n\n\n\n\n", 8);
	}
}

/* Sends a request on an open file, which any number may be, of a node that may be another one. */
static void use_file(void)
{
	uint32_t i = any(sizeof(on_files) / sizeof(on_files[0]));
	uint64_t number = any_number(files, nfiles);
	const struct number *file = find(files, nfiles, number);
	uint64_t node = file && any(4) ? file->node : any_number(nodes, nnodes);
	char payload[PAYLOAD] = { 0 };
	bool right = file && file->open && file->node == node &&
		     file->directory == on_files[i].directory;
	int err;

	/* its answer would have lookups */
	if (right && on_files[i].opcode == FUSE_READDIRPLUS)
		return;
	fill(on_files[i].opcode, number, payload);
	files_of[last_unique / 2 + 1] = number;
	err = ask(on_files[i].opcode, node, payload,
		  on_files[i].size + (on_files[i].opcode == FUSE_WRITE ? 8 : 0));
	if (!right)
		assert_int_equal(err, -ESTALE);
}

static void test_any_numbers(void **unused)
{
	static void (*const all[])(void) = { look_anywhere, look_anywhere,   look_anywhere,
					     open_anything, forget_anything, close_anything,
					     use_node,	    use_file,	     use_file };
	(void)unused;
	for (unsigned i = 0; i < ROUNDS; i++)
		all[any(sizeof(all) / sizeof(all[0]))]();
	/* the walk has come to files and directories of objects */
	assert_true(nnodes > 200);
	assert_true(nfiles > 200);
}

/* A node that was forgotten, and a file that was closed, leave a number that nothing else gets. */
static void test_numbers_never_come_again(void **unused)
{
	const struct fuse_forget_in once = { .nlookup = 1 };
	uint64_t before = 0;

	(void)unused;
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(ask(FUSE_LOOKUP, FUSE_ROOT_ID, "limits", 7), 0);
		assert_true(body.entry.nodeid > before);
		before = body.entry.nodeid;
		forget(before, &once);
		assert_int_equal(ask(FUSE_LOOKUP, before, "msgmni", 7), -ESTALE);
	}
}

/* In the end each request was answered, and none twice. */
static void test_answered_once(void **unused)
{
	(void)unused;
	ipcfs_filesystem_stop(fs);
	assert_int_equal(nanswers, last_unique / 2);
	for (uint64_t i = 1; i <= last_unique / 2; i++)
		assert_int_equal(answers[i], 1);
}

static int make_objects(void)
{
	const struct mq_attr attr = { .mq_maxmsg = 2, .mq_msgsize = 64 };
	mqd_t mq = mq_open("/queue", O_CREAT | O_RDWR, 0600, &attr);

	if (mq >= 0)
		mq_close(mq);
	return msgget(KEY, IPC_CREAT | 0600) < 0 || semget(KEY, 2, IPC_CREAT | 0600) < 0 ||
	       shmget(KEY, 4096, IPC_CREAT | 0600) < 0;
}

static int start(void **unused)
{
	static char name[] = "ipcfs", *argv[] = { name, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	const struct fuse_custom_io io = { .writev = take_answer, .read = no_request };
	const struct fuse_init_in init = { .major = 7, .minor = 36, .max_readahead = 4096 };
	struct ipcfs_options options = { 0 };

	(void)unused;
	answers = calloc(4 * ROUNDS, sizeof(*answers));
	files_of = calloc(4 * ROUNDS, sizeof(*files_of));
	ipcfs_settings_init(&options.settings);
	fs = ipcfs_filesystem_create(NULL);
	if (!answers || !files_of || !fs || make_objects() || ipcfs_filesystem_open(fs, &options))
		return -1;
	session = fuse_session_new(&args, &ipcfs_filesystem_ops, sizeof(ipcfs_filesystem_ops), fs);
	fuse_opt_free_args(&args);
	if (!session || fuse_session_custom_io(session, &io, open("/dev/null", O_RDWR)) ||
	    ipcfs_filesystem_start(fs, session) || ask(FUSE_INIT, 0, &init, sizeof(init)))
		return -1;
	nodes[nnodes++] =
		(struct number){ .number = FUSE_ROOT_ID, .lookups = 1, .directory = true };
	return 0;
}

static int end(void **unused)
{
	(void)unused;
	fuse_session_destroy(session);
	ipcfs_filesystem_destroy(fs);
	free(answers);
	free(files_of);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_never_come_again),
		cmocka_unit_test(test_any_numbers),
		cmocka_unit_test(test_answered_once),
	};

	return cmocka_run_group_tests(tests, start, end);
}
