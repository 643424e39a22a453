/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/daemon/handover.h"
#include "fs/ops/state_layout.h"

static int set(struct ipcfs_settings *settings, const char *name, const char *value)
{
	char wanted[IPCFS_SETTINGS_WANTED];

	return ipcfs_settings_set(settings, name, value, wanted);
}

static void fill(struct ipcfs_handover *handover)
{
	ipcfs_handover_init(handover);
	handover->layout = UINT64_C(0xfedcba9876543210);
	handover->mount_id = 5;
	handover->device = 7;
	handover->legacy = 0;
	handover->leases[IPCFS_LEASES_DESCRIPTORS - 1] = 12;
	handover->worker = 1234;
	handover->reloaded = true;
	handover->program = strdup("/usr/bin/a program=1\nof two lines");
	handover->mountpoint = strdup("/run/ipcfs");
	handover->options.audit = strdup("/var/log/a,b\\c");
	handover->options.audit_level = IPCFS_AUDIT_ALL;
	handover->options.target = 99;
	handover->options.foreground = true;
	handover->options.settings.read_only = true;
	assert_int_equal(set(&handover->options.given, "max_opens", "5"), 0);
	assert_int_equal(set(&handover->options.settings, "max_opens", "5"), 0);
	assert_int_equal(set(&handover->options.settings, "allow_uid", "3,1:2"), 0);
	assert_int_equal(set(&handover->options.settings, "hide", NULL), 0);
	assert_int_equal(set(&handover->options.settings, "max_bytes", "2M"), 0);
	assert_int_equal(fuse_opt_add_arg(&handover->args, "ipcfs"), 0);
	assert_int_equal(fuse_opt_add_arg(&handover->args, "-oallow_other,fsname=a b"), 0);
}

static void comes_back(void **state)
{
	struct ipcfs_handover written, read;
	int file;

	(void)state;
	fill(&written);
	file = ipcfs_handover_write(&written);
	assert_true(file >= 0);
	assert_int_equal(ipcfs_handover_read(file, &read), 0);
	assert_true(read.layout == written.layout);
	assert_true(read.mount_id == 5 && read.number == 0);
	assert_int_equal(read.device, 7);
	assert_int_equal(read.legacy, 0);
	assert_int_equal(read.leases[IPCFS_LEASES_DESCRIPTORS - 1], 12);
	assert_int_equal(read.leases[0], -1);
	assert_int_equal(read.client, -1);
	assert_int_equal(read.worker, 1234);
	assert_true(read.reloaded && !read.back && !read.remembers);
	assert_string_equal(read.program, written.program);
	assert_string_equal(read.mountpoint, written.mountpoint);
	assert_null(read.why);
	assert_string_equal(read.options.audit, written.options.audit);
	assert_int_equal(read.options.audit_level, IPCFS_AUDIT_ALL);
	assert_int_equal(read.options.target, 99);
	assert_true(read.options.foreground && read.options.supervise && !read.options.debug);
	assert_null(read.options.config);
	assert_true(read.options.settings.read_only && read.options.given.read_only);
	assert_int_equal(read.options.given.max_opens, 5);
	assert_true(read.options.given.given == written.options.given.given);
	assert_true(read.options.settings.given == written.options.settings.given);
	assert_int_equal(read.options.settings.allow_uid.count, 3);
	assert_int_equal(read.options.settings.allow_uid.ids[2], 3);
	assert_true(read.options.settings.hide);
	assert_int_equal(read.options.settings.max_bytes, 2 * 1024 * 1024);
	assert_int_equal(read.args.argc, 2);
	assert_string_equal(read.args.argv[1], "-oallow_other,fsname=a b");
	close(file);
	ipcfs_handover_free(&written);
	ipcfs_handover_free(&read);
}

/* Reads a handover that has these bytes. */
static int read_bytes(const char *bytes, size_t size)
{
	struct ipcfs_handover read;
	int file = memfd_create("test", MFD_CLOEXEC), err;

	assert_true(file >= 0 && write(file, bytes, size) == (ssize_t)size);
	err = ipcfs_handover_read(file, &read);
	ipcfs_handover_free(&read);
	close(file);
	return err;
}

#define READ(text) read_bytes(text, sizeof(text))

static void what_is_unknown_is_refused(void **state)
{
	(void)state;
	assert_int_equal(READ("worker=1\0foreground=1"), 0);
	assert_int_equal(READ("of_a_later_version=1"), -EINVAL);
	assert_int_equal(READ("worker=x"), -EINVAL);
	assert_int_equal(READ("worker=-1"), -EINVAL);
	assert_int_equal(READ("worker"), -EINVAL);
	assert_int_equal(READ("setting.max_opens=many"), -EINVAL);
	assert_int_equal(READ("setting.of_a_later_version=1"), -ENOENT);
	assert_int_equal(read_bytes("", 0), -EINVAL);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void descriptors_are_inherited_and_no_others(void **state)
{
	struct ipcfs_handover handover;
	int others[3];

	(void)state;
	ipcfs_handover_init(&handover);
	others[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	handover.line = open("/dev/null", O_RDONLY | O_CLOEXEC);
	others[1] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	handover.device = open("/dev/null", O_RDONLY | O_CLOEXEC);
	others[2] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ipcfs_handover_inherit(&handover, true);
	assert_int_equal(fcntl(handover.line, F_GETFD), 0);
	assert_int_equal(fcntl(handover.device, F_GETFD), 0);
	assert_int_equal(fcntl(others[1], F_GETFD), FD_CLOEXEC);
	ipcfs_handover_inherit(&handover, false);
	assert_int_equal(fcntl(handover.line, F_GETFD), FD_CLOEXEC);
	assert_int_equal(ipcfs_handover_close_others(&handover), 0);
	assert_true(is_open(STDERR_FILENO) && is_open(handover.line) && is_open(handover.device));
	for (int i = 0; i < 3; i++)
		assert_false(is_open(others[i]));
	close(handover.line);
	close(handover.device);
	ipcfs_handover_free(&handover);
}

static void the_layout_is_the_same_each_time(void **state)
{
	(void)state;
	assert_true(ipcfs_state_layout() == ipcfs_state_layout());
	assert_true(ipcfs_state_layout() != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(what_is_unknown_is_refused),
		cmocka_unit_test(descriptors_are_inherited_and_no_others),
		cmocka_unit_test(the_layout_is_the_same_each_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
