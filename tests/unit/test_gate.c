/* SPDX-License-Identifier: MIT */
/* Requests as the kernel writes them: which are admitted, and what the others are told. */
#include <errno.h>
#include <linux/fuse.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/access/gate.h"

static struct ipcfs_gate gate;
static struct ipcfs_quota *quota;
static struct ipcfs_settings settings;
static int ends[2]; /* the replies can be read from the first */

static int start(void **state)
{
	(void)state;
	ipcfs_settings_init(&settings);
	if (ipcfs_quota_create(&settings, &quota) || pipe(ends))
		return -1;
	return ipcfs_gate_init(&gate, &settings, quota);
}

static int end(void **state)
{
	(void)state;
	ipcfs_gate_destroy(&gate);
	ipcfs_quota_destroy(quota);
	ipcfs_settings_free(&settings);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static void set(const char *name, const char *value)
{
	char wanted[IPCFS_SETTINGS_WANTED];

	assert_int_equal(ipcfs_settings_set(&settings, name, value, wanted), 0);
	assert_int_equal(ipcfs_gate_set(&gate, &settings), 0);
}

struct request {
	struct fuse_in_header in;
	char body[200];
};

/* Returns 0 if the request was admitted, else the error in the reply to it. */
static int admitted(const struct request *request, size_t size)
{
	struct fuse_out_header out;
	int err = ipcfs_gate_admit(&gate, ends[1], request, size);

	if (!err)
		return 0;
	assert_int_equal(read(ends[0], &out, sizeof(out)), sizeof(out));
	assert_int_equal(out.len, sizeof(out));
	assert_int_equal(out.unique, request->in.unique);
	assert_int_equal(out.error, err);
	return err;
}

static int asks(uint32_t opcode, uid_t uid, gid_t gid)
{
	static uint64_t unique;
	struct request request = {
		.in = { .opcode = opcode, .unique = ++unique, .nodeid = 5, .uid = uid, .gid = gid },
	};

	return admitted(&request, sizeof(request));
}

static const uint32_t always[] = { FUSE_INIT,	   FUSE_DESTROY, FUSE_FORGET,	  FUSE_BATCH_FORGET,
				   FUSE_INTERRUPT, FUSE_RELEASE, FUSE_RELEASEDIR, FUSE_FLUSH };
static const uint32_t on_files[] = { FUSE_READ,	       FUSE_WRITE, FUSE_READDIR,
				     FUSE_READDIRPLUS, FUSE_POLL,  FUSE_GETATTR };
static const uint32_t on_paths[] = {
	FUSE_LOOKUP,   FUSE_SETATTR,	 FUSE_OPEN,	FUSE_OPENDIR,	FUSE_MKDIR,
	FUSE_RMDIR,    FUSE_GETXATTR,	 FUSE_SETXATTR, FUSE_LISTXATTR, FUSE_ACCESS,
	FUSE_READLINK, FUSE_REMOVEXATTR, FUSE_STATFS,	FUSE_RENAME2,	FUSE_CREATE,
	FUSE_SYMLINK,  FUSE_TMPFILE,	 4711, /* an operation of the future */
};
#define EACH(list, opcode)                                                                         \
	for (const uint32_t *opcode = list; opcode < list + sizeof(list) / sizeof(*list); opcode++)

static void all_may_where_nothing_is_set(void **state)
{
	(void)state;
	EACH(on_paths, opcode)
	assert_int_equal(asks(*opcode, 1, 1), 0);
}

static void a_list_is_for_paths(void **state)
{
	(void)state;
	set("allow_uid", "1:2");
	set("allow_gid", "7");
	EACH(on_paths, opcode)
	{
		assert_int_equal(asks(*opcode, 1, 1), 0);
		assert_int_equal(asks(*opcode, 3, 7), 0);
		assert_int_equal(asks(*opcode, 3, 1), -EACCES);
		assert_int_equal(asks(*opcode, 0, 0), -EACCES);
	}
	EACH(on_files, opcode)
	assert_int_equal(asks(*opcode, 3, 3), 0);
	EACH(always, opcode)
	assert_int_equal(asks(*opcode, 3, 3), 0);
}

static void a_list_stays(void **state)
{
	struct ipcfs_settings without;

	(void)state;
	set("allow_uid", "1");
	ipcfs_settings_init(&without);
	without.rate = 1;
	assert_int_equal(ipcfs_gate_set(&gate, &without), -EPERM);
	ipcfs_settings_free(&without);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(asks(FUSE_LOOKUP, 3, 3), -EACCES);
		assert_int_equal(asks(FUSE_LOOKUP, 1, 1), 0);
	}
}

static void the_mount_itself_can_be_looked_at(void **state)
{
	struct request request = { .in = { .uid = 3, .nodeid = FUSE_ROOT_ID } };

	(void)state;
	set("allow_uid", "1");
	request.in.opcode = FUSE_STATFS;
	assert_int_equal(admitted(&request, sizeof(request)), 0);
	request.in.opcode = FUSE_GETATTR;
	assert_int_equal(admitted(&request, sizeof(request)), 0);
	request.in.opcode = 52; /* FUSE_STATX */
	assert_int_equal(admitted(&request, sizeof(request)), 0);
	request.in.opcode = FUSE_OPENDIR;
	assert_int_equal(admitted(&request, sizeof(request)), -EACCES);
	set("rate", "1");
	request.in.opcode = FUSE_STATFS;
	request.in.uid = 0;
	for (int i = 0; i < 10; i++)
		assert_int_equal(admitted(&request, sizeof(request)), 0);
	request.in.uid = 3;
	admitted(&request, sizeof(request));
	assert_int_equal(admitted(&request, sizeof(request)), -EAGAIN);
}

static void open_files_are_told_by_the_request(void **state)
{
	struct request request = { .in = { .uid = 3, .nodeid = 5 } };
	struct fuse_setattr_in setattr = { .valid = FATTR_FH };

	(void)state;
	set("allow_uid", "1");
	request.in.opcode = FUSE_SETATTR;
	memcpy(request.body, &setattr, sizeof(setattr));
	assert_int_equal(admitted(&request, sizeof(request)), 0);
	assert_int_equal(admitted(&request, sizeof(request.in) + 4), -EACCES);
}

static void a_rate_is_for_all_but_what_must_be(void **state)
{
	(void)state;
	set("rate", "3");
	EACH(always, opcode)
	for (int i = 0; i < 10; i++)
		assert_int_equal(asks(*opcode, 1, 1), 0);
	EACH(on_files, opcode)
	asks(*opcode, 1, 1);
	EACH(on_files, opcode)
	assert_int_equal(asks(*opcode, 1, 1), -EAGAIN);
	EACH(on_paths, opcode)
	assert_int_equal(asks(*opcode, 1, 1), -EAGAIN);
	assert_int_equal(asks(FUSE_READ, 2, 1), 0);
	set("rate", "0");
	assert_int_equal(asks(FUSE_READ, 1, 1), 0);
}

static unsigned loads;

static int load_groups(struct ipcfs_caller *caller)
{
	static gid_t groups[] = { 50, 7 };

	loads++;
	caller->groups = groups;
	caller->ngroups = 2;
	caller->loaded = true;
	return 0;
}

static int load_nothing(struct ipcfs_caller *caller)
{
	(void)caller;
	return -ENOMEM;
}

static void groups_are_asked_for_where_they_decide(void **state)
{
	struct ipcfs_caller listed = { .uid = 1, .gid = 1 }, other = { .uid = 2, .gid = 2 };

	(void)state;
	set("allow_uid", "1");
	assert_int_equal(ipcfs_gate_allows(&gate, &other, load_groups), -EACCES);
	assert_int_equal(loads, 0);
	set("allow_gid", "7");
	assert_int_equal(ipcfs_gate_allows(&gate, &listed, load_groups), 0);
	assert_int_equal(loads, 0);
	assert_int_equal(ipcfs_gate_allows(&gate, &other, NULL), -EACCES);
	assert_int_equal(ipcfs_gate_allows(&gate, &other, load_nothing), -ENOMEM);
	assert_int_equal(ipcfs_gate_allows(&gate, &other, load_groups), 0);
	assert_int_equal(loads, 1);
	assert_int_equal(ipcfs_gate_allows(&gate, &other, NULL), 0);
}

static void what_is_no_request_goes_on(void **state)
{
	struct request request = { .in = { .uid = 3 } };

	(void)state;
	set("allow_uid", "1");
	assert_int_equal(ipcfs_gate_admit(&gate, ends[1], &request, sizeof(request.in) - 1), 0);
	assert_int_equal(ipcfs_gate_admit(&gate, ends[1], NULL, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_may_where_nothing_is_set, start, end),
		cmocka_unit_test_setup_teardown(a_list_is_for_paths, start, end),
		cmocka_unit_test_setup_teardown(a_list_stays, start, end),
		cmocka_unit_test_setup_teardown(the_mount_itself_can_be_looked_at, start, end),
		cmocka_unit_test_setup_teardown(open_files_are_told_by_the_request, start, end),
		cmocka_unit_test_setup_teardown(a_rate_is_for_all_but_what_must_be, start, end),
		cmocka_unit_test_setup_teardown(groups_are_asked_for_where_they_decide, start, end),
		cmocka_unit_test_setup_teardown(what_is_no_request_goes_on, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
