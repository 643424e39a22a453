/* SPDX-License-Identifier: MIT */
/* The arguments that mount(8) passes, its exit status, and a start that does not become ready. */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fuse_opt.h>
#include <getopt.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/daemon/daemonize.h"
#include "fs/daemon/mount_program.h"

#define ARGUMENTS_MAX 16
#define READY_AND_ENDED 7 /* an exit status */

/* Parses words that are separated by single blanks. Returns the result in the same form. */
static int parsed(const char *line, struct ipcfs_mount_program *program, char *result, size_t size)
{
	char copy[256], *argv[ARGUMENTS_MAX + 1] = { NULL }, *rest = copy;
	struct fuse_args args = FUSE_ARGS_INIT(0, argv);
	int err;

	snprintf(copy, sizeof(copy), "%s", line);
	while (rest && args.argc < ARGUMENTS_MAX)
		argv[args.argc++] = strsep(&rest, " ");
	optind = 0; /* getopt_long(3) begins anew */
	err = ipcfs_mount_program_parse(&args, program);
	result[0] = '\0';
	for (int i = 0; i < args.argc; i++)
		snprintf(result + strlen(result), size - strlen(result), "%s%s", i ? " " : "",
			 args.argv[i]);
	fuse_opt_free_args(&args);
	return err;
}

static void becomes(const char *line, const char *expected)
{
	struct ipcfs_mount_program program;
	char result[512];

	assert_int_equal(parsed(line, &program, result, sizeof(result)), 0);
	assert_string_equal(result, expected);
}

static void is_refused(const char *line)
{
	struct ipcfs_mount_program program;
	char result[512];

	assert_int_equal(parsed(line, &program, result, sizeof(result)), -EINVAL);
}

static void other_names_keep_their_arguments(void **state)
{
	(void)state;
	becomes("ipcfs -f /a", "ipcfs -f /a");
	becomes("/mount.d/ipcfs -s a /b", "/mount.d/ipcfs -s a /b");
	becomes("amount.ipcfs /b", "amount.ipcfs /b");
}

static void arguments_are_those_of_mount(void **state)
{
	(void)state;
	becomes("mount.ipcfs a /b", "ipcfs -- a /b");
	becomes("/sbin/mount.fuse.ipcfs a /b -o ro,hide", "ipcfs -o ro,hide -- a /b");
	becomes("mount.ipcfs -o ro -nv a -o hide /b", "ipcfs -o ro -o hide -- a /b");
	becomes("mount.ipcfs a /b -o ", "ipcfs -- a /b");
	becomes("mount.ipcfs -t fuse.ipcfs -- -a -b", "ipcfs -- -a -b");
	becomes("mount.ipcfs --help", "ipcfs --help");
	becomes("mount.ipcfs -V", "ipcfs --version");
}

static void flags_are_kept_apart(void **state)
{
	struct ipcfs_mount_program program;
	char result[512];

	(void)state;
	assert_int_equal(parsed("mount.ipcfs a /b -sf -N 12", &program, result, sizeof(result)), 0);
	assert_string_equal(result, "ipcfs -- a /b");
	assert_true(program.called && program.fake && program.sloppy);
	assert_non_null(program.mount_ns);
	assert_int_equal(parsed("mount.ipcfs a /b", &program, result, sizeof(result)), 0);
	assert_true(program.called && !program.fake && !program.sloppy && !program.mount_ns);
}

static void wrong_usage_is_refused(void **state)
{
	(void)state;
	is_refused("mount.ipcfs");
	is_refused("mount.ipcfs a");
	is_refused("mount.ipcfs a /b /c");
	is_refused("mount.ipcfs a /b -x");
	is_refused("mount.ipcfs a /b -o");
	is_refused("mount.ipcfs a /b --none");
	is_refused("mount.ipcfs a /b -t ext4");
	is_refused("mount.ipcfs a /b -o context=\"a,b");
}

static void quoted_commas_belong_to_the_value(void **state)
{
	(void)state;
	becomes("mount.ipcfs a /b -o ro,context=\"s0:c1,c2\",hide",
		"ipcfs -o ro,context=s0:c1\\,c2,hide -- a /b");
	becomes("mount.ipcfs a /b -o fsname=\"x\\y\"", "ipcfs -o fsname=x\\\\y -- a /b");
	/* as with fuse.ipcfs and mount.fuse3 */
	becomes("mount.ipcfs a /b -o fsname=x\\,y", "ipcfs -o fsname=x\\,y -- a /b");
}

static void errors_have_the_status_of_mount(void **state)
{
	static const struct {
		int error, status;
	} table[] = {
		{ 0, 0 },	{ EINVAL, 1 }, { EPERM, 1 },  { EACCES, 1 },	 { ENOMEM, 2 },
		{ EAGAIN, 2 },	{ EMFILE, 2 }, { ENFILE, 2 }, { EOWNERDEAD, 4 }, { EINTR, 8 },
		{ ENOENT, 32 }, { EBUSY, 32 }, { EIO, 32 },   { ECHILD, 32 },	 { ECANCELED, 32 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		assert_int_equal(ipcfs_mount_program_status(-table[i].error), table[i].status);
}

static void a_killed_child_is_told_from_one_that_exits(void **state)
{
	int ready, err;

	(void)state;
	err = ipcfs_daemonize_fork(&ready);
	if (err == 0)
		raise(SIGKILL);
	assert_int_equal(err, -EOWNERDEAD);
	err = ipcfs_daemonize_fork(&ready);
	if (err == 0)
		_exit(0);
	assert_int_equal(err, -ECHILD);
}

/* Starts a daemon that becomes ready, while SIGTERM is pending. Exits. */
static void start_interrupted(void)
{
	sigset_t taken;
	int ready, err, signal;

	sigemptyset(&taken);
	sigaddset(&taken, SIGTERM);
	sigprocmask(SIG_BLOCK, &taken, NULL);
	raise(SIGTERM);
	err = ipcfs_daemonize_fork(&ready);
	if (err == 0) {
		ipcfs_daemonize_ready(ready);
		sigwait(&taken, &signal);
		_exit(0);
	}
	_exit(err == -EINTR ? READY_AND_ENDED : 1);
}

static void a_signal_ends_the_child(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0)
		start_interrupted();
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), READY_AND_ENDED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_names_keep_their_arguments),
		cmocka_unit_test(arguments_are_those_of_mount),
		cmocka_unit_test(flags_are_kept_apart),
		cmocka_unit_test(wrong_usage_is_refused),
		cmocka_unit_test(quoted_commas_belong_to_the_value),
		cmocka_unit_test(errors_have_the_status_of_mount),
		cmocka_unit_test(a_killed_child_is_told_from_one_that_exits),
		cmocka_unit_test(a_signal_ends_the_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
