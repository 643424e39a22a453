/* SPDX-License-Identifier: MIT */
/*
 * mount.ipcfs SOURCE DIRECTORY [-sfnv] [-N NAMESPACE] [-o OPTION,...] [-t TYPE]
 *
 * mount(8) has removed the options that are its own. The exit status is that of mount(8).
 */
#define FUSE_USE_VERSION 314
#include "fs/daemon/mount_program.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_opt.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <syslog.h>
#include <unistd.h>

#include "fs/base/log.h"
#include "fs/daemon/explain.h"

#define PREFIX "mount."

enum {
	STATUS_OK = 0,
	STATUS_USAGE = 1,
	STATUS_SYSTEM = 2,
	STATUS_INTERNAL = 4,
	STATUS_INTERRUPTED = 8,
	STATUS_FAILED = 32,
};

/* Tells whether the last part of this path is a name of the mount program. argv may be empty. */
static bool is_mount_program(const char *path)
{
	const char *slash;

	if (!path)
		return false;
	slash = strrchr(path, '/');
	return strncmp(slash ? slash + 1 : path, PREFIX, sizeof(PREFIX) - 1) == 0;
}

static int wrong_usage(void)
{
	ipcfs_log(LOG_ERR, "usage: mount.ipcfs SOURCE MOUNTPOINT [-sfnv] [-N NAMESPACE] "
			   "[-o OPTION,...] [-t TYPE] (see ipcfs --help)");
	return -EINVAL;
}

static int add(struct fuse_args *args, const char *arg)
{
	return fuse_opt_add_arg(args, arg) < 0 ? -ENOMEM : 0;
}

/*
 * Adds -o and a list of options. In mount(8) a comma between quotation marks belongs to the value,
 * and the marks do not. libfuse wants a backslash before such a comma.
 * -EINVAL: a quotation mark has no partner.
 */
static int add_list(struct fuse_args *args, const char *list)
{
	char *copy = malloc(2 * strlen(list) + 1), *end = copy;
	bool quoted = false;
	int err;

	if (!copy)
		return -ENOMEM;
	for (; *list; list++) {
		if (*list == '"') {
			quoted = !quoted;
			continue;
		}
		if (quoted && (*list == ',' || *list == '\\'))
			*end++ = '\\';
		*end++ = *list;
	}
	*end = '\0';
	err = quoted ? -EINVAL : 0;
	if (err)
		ipcfs_log(LOG_ERR, "a quotation mark of the options has no partner: %s", copy);
	else if (end != copy)
		err = add(args, "-o") ? -ENOMEM : add(args, copy);
	free(copy);
	return err;
}

/*
 * With auto_unmount libfuse runs fusermount3, which -N would take from the other namespace, with
 * all rights of the caller.
 * -EINVAL: both are given.
 */
static int check_namespace(const struct ipcfs_mount_program *program, const struct fuse_args *made)
{
	for (int i = 1; program->mount_ns && i < made->argc; i++) {
		if (!strstr(made->argv[i], "auto_unmount"))
			continue;
		ipcfs_log(LOG_ERR, "-N and -o auto_unmount can't be used together");
		return -EINVAL;
	}
	return 0;
}

static int check_type(const char *type)
{
	if (strcmp(type, "ipcfs") == 0 || strcmp(type, "fuse.ipcfs") == 0)
		return 0;
	ipcfs_log(LOG_ERR, "type %s: only ipcfs can be mounted", type);
	return -EINVAL;
}

/* Takes one option. `key` is a result of getopt_long(3). */
static int take(struct ipcfs_mount_program *program, struct fuse_args *made, int key)
{
	switch (key) {
	case 'f':
		program->fake = true;
		return 0;
	case 's':
		program->sloppy = true;
		return 0;
	case 'n': /* there is no /etc/mtab to write */
	case 'v': /* mount(8) itself says what it did */
		return 0;
	case 'N':
		program->mount_ns = optarg;
		return 0;
	case 'o':
		return add_list(made, optarg);
	case 't':
		return check_type(optarg);
	case 'h':
		return add(made, "--help");
	case 'V':
		return add(made, "--version");
	}
	return wrong_usage();
}

static int parse(const struct fuse_args *args, struct ipcfs_mount_program *program,
		 struct fuse_args *made)
{
	static const struct option names[] = { { "help", no_argument, NULL, 'h' },
					       { "version", no_argument, NULL, 'V' },
					       { 0 } };
	bool told = false;
	int key, err = add(made, "ipcfs");

	opterr = 0;
	while (!err &&
	       (key = getopt_long(args->argc, args->argv, "sfnvN:o:t:hV", names, NULL)) != -1) {
		told = told || key == 'h' || key == 'V';
		err = take(program, made, key);
	}
	if (err || told)
		return err;
	if (args->argc - optind != 2)
		return wrong_usage();
	err = check_namespace(program, made);
	if (err)
		return err;
	if (add(made, "--") || add(made, args->argv[optind]) || add(made, args->argv[optind + 1]))
		return -ENOMEM;
	return 0;
}

int ipcfs_mount_program_parse(struct fuse_args *args, struct ipcfs_mount_program *program)
{
	struct fuse_args made = FUSE_ARGS_INIT(0, NULL);
	int err;

	*program = (struct ipcfs_mount_program){ .called = is_mount_program(args->argv[0]) };
	if (!program->called)
		return 0;
	err = parse(args, program, &made);
	fuse_opt_free_args(args);
	*args = made;
	return err;
}

static int enter(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0 || setns(fd, CLONE_NEWNS) < 0)
		err = -errno;
	if (fd >= 0)
		close(fd);
	if (err)
		ipcfs_log(LOG_ERR, "mount namespace %s: %s", path, strerror(-err));
	return err;
}

int ipcfs_mount_program_enter(const struct ipcfs_mount_program *program)
{
	char path[PATH_MAX];
	const char *name = program->mount_ns;
	int err;

	if (!name)
		return 0;
	if (*name && name[strspn(name, "0123456789")] == '\0') {
		snprintf(path, sizeof(path), "/proc/%s/ns/mnt", name);
		name = path;
	}
	err = enter(name);
	return err ? err : ipcfs_explain_check_proc();
}

static void end_interrupted(int signal)
{
	(void)signal;
	_exit(STATUS_INTERRUPTED);
}

void ipcfs_mount_program_begin(const struct ipcfs_mount_program *program)
{
	const struct sigaction action = { .sa_handler = end_interrupted };

	if (!program->called)
		return;
	prctl(PR_SET_NAME, "ipcfs");
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

int ipcfs_mount_program_status(int err)
{
	switch (-err) {
	case 0:
		return STATUS_OK;
	case EINVAL: /* of the command line */
	case EPERM:
	case EACCES:
		return STATUS_USAGE;
	case ENOMEM:
	case EAGAIN: /* of fork(2) */
	case EMFILE:
	case ENFILE:
		return STATUS_SYSTEM;
	case EOWNERDEAD: /* the daemon was killed before it was ready */
		return STATUS_INTERNAL;
	case EINTR:
		return STATUS_INTERRUPTED;
	}
	return STATUS_FAILED;
}
