/* SPDX-License-Identifier: MIT */
/*
 * ipcfs [options] [SOURCE] MOUNTPOINT
 *
 * Exit status:
 *	0  mounted (background), or served to an orderly end (foreground); --help, --version
 *	1  wrong usage, unknown option, bad value
 *	2  can't mount or serve; the message says why
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

#include "config.h"
#include "explain.h"
#include "filesystem.h"
#include "log.h"
#include "mountpoint.h"
#include "options.h"
#include "privilege.h"
#include "sandbox.h"
#include "session.h"

enum { EXIT_OK = 0, EXIT_USAGE = 1, EXIT_SERVE = 2 };

/* Where the hard limit is beyond reason. */
#define DESCRIPTORS_MAX (1024 * 1024)

#if defined(__SANITIZE_ADDRESS__)
#define MAY_PROTECT_MEMORY 0 /* the leak checker must be able to look in */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MAY_PROTECT_MEMORY 0
#endif
#endif
#ifndef MAY_PROTECT_MEMORY
#define MAY_PROTECT_MEMORY 1
#endif

/* libfuse's messages go where ours go. */
__attribute__((format(printf, 2, 0))) static void log_libfuse(enum fuse_log_level level,
							      const char *format, va_list args)
{
	char line[512];
	size_t length;

	if (vsnprintf(line, sizeof(line), format, args) < 0)
		return;
	length = strlen(line);
	if (length > 0 && line[length - 1] == '\n')
		line[length - 1] = '\0';
	ipcfs_log((int)level, "%s", line);
}

/* Nothing that is opened later may become a standard stream. */
static int open_standard_streams(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return -errno;
	} while (fd <= STDERR_FILENO);
	close(fd);
	return 0;
}

/*
 * A daemon that goes on holding what its starter happened to have open makes others wait: for the
 * end of a pipe, or to unmount.
 */
static void close_inherited(void)
{
	if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0) < 0)
		ipcfs_log(LOG_WARNING, "close_range: %s", strerror(errno));
}

static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (limit.rlim_cur >= limit.rlim_max || limit.rlim_cur >= DESCRIPTORS_MAX)
		return;
	limit.rlim_cur = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		ipcfs_log(LOG_WARNING, "RLIMIT_NOFILE: %s", strerror(errno));
}

/*
 * Message bytes must not reach a core dump, a debugger or a look into /proc. The kernel undoes
 * the first whenever a thread changes its ids, where fs.suid_dumpable asks for that; a core limit
 * of one byte is what programs named in core_pattern obey too.
 */
static void protect_memory(void)
{
	const struct rlimit none = { .rlim_cur = 1, .rlim_max = 1 };

	if (!MAY_PROTECT_MEMORY)
		return;
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		ipcfs_log(LOG_WARNING, "PR_SET_DUMPABLE: %s", strerror(errno));
	if (setrlimit(RLIMIT_CORE, &none) < 0) {
		/* A limit of 0 can't be raised to 1 without privilege, and is fine. */
		if (errno != EPERM)
			ipcfs_log(LOG_WARNING, "RLIMIT_CORE: %s", strerror(errno));
	}
}

static int close_on_exec(int fd)
{
	int flags = fcntl(fd, F_GETFD);

	if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0)
		return -errno;
	return 0;
}

/* What serves, and where its settings come from. */
struct service {
	struct ipcfs_filesystem *fs;
	const struct ipcfs_options *options;
};

/* The mount is made and everything that takes more is open. */
static int start_service(void *arg, struct fuse_session *session)
{
	const struct service *service = arg;
	const char *audit = service->options->audit;
	int result = ipcfs_privilege_drop(audit != NULL && strcmp(audit, "audit") == 0);

	if (result == 0)
		result = ipcfs_sandbox_enter(service->options->namespaces, service->options->debug);
	return result < 0 ? result : ipcfs_filesystem_start(service->fs, session);
}

static void stop_service(void *arg)
{
	ipcfs_filesystem_stop(((struct service *)arg)->fs);
}

static void finish_request(void *arg)
{
	ipcfs_filesystem_done(((struct service *)arg)->fs);
}

static void leave_requests(void *arg)
{
	ipcfs_filesystem_leave(((struct service *)arg)->fs);
}

static bool admit_request(void *arg, const void *request, size_t size)
{
	return ipcfs_filesystem_admit(((struct service *)arg)->fs, request, size);
}

/* All of the file, or nothing of it. */
static void reload_settings(void *arg)
{
	const struct service *service = arg;
	const struct ipcfs_options *options = service->options;
	struct ipcfs_settings settings;
	int err = ipcfs_config_load(options->config, &options->given, &settings);

	if (!err) {
		err = ipcfs_filesystem_set(service->fs, &settings);
		ipcfs_settings_free(&settings);
	}
	if (err)
		ipcfs_log(LOG_ERR, "the settings are as they were");
	else
		ipcfs_log(LOG_NOTICE, "%s was read again", options->config);
}

static int mount_and_serve(struct fuse_session *session, struct ipcfs_filesystem *fs,
			   const char *mountpoint, const struct ipcfs_options *options)
{
	struct service service = { .fs = fs, .options = options };
	const struct ipcfs_session_hooks hooks = {
		.start = start_service,
		.stop = stop_service,
		.admit = admit_request,
		.done = finish_request,
		.leave = leave_requests,
		.reload = options->config ? reload_settings : NULL,
		.arg = &service,
		.process = ipcfs_filesystem_target(fs),
	};
	int result;

	if (fuse_session_mount(session, mountpoint) < 0) {
		ipcfs_explain_mount(mountpoint);
		return -EPERM;
	}
	/* A child that kept it would keep a dead connection alive. */
	result = close_on_exec(fuse_session_fd(session));
	if (result < 0) {
		ipcfs_log(LOG_ERR, "FD_CLOEXEC: %s", strerror(-result));
		fuse_session_unmount(session);
		return result;
	}
	return ipcfs_session_run(session, mountpoint, options->foreground, &hooks);
}

static void explain_failure(int error, const struct ipcfs_options *options)
{
	if (options->target && error != -ENOMEM)
		ipcfs_explain_target(options->target, -error);
	else if (options->namespaces && error == -EPERM)
		ipcfs_log(LOG_ERR, "can't show all IPC namespaces: that takes the capabilities "
				   "CAP_SYS_ADMIN and CAP_SYS_PTRACE");
	else if (error == -ENOENT)
		ipcfs_explain_queues();
	else
		ipcfs_log(LOG_ERR, "can't start: %s", strerror(-error));
}

static int run(struct fuse_args *args, const struct ipcfs_options *options)
{
	struct ipcfs_filesystem *fs = NULL;
	struct fuse_session *session = NULL;
	char *mountpoint = NULL;
	int result;

	result = ipcfs_mountpoint_prepare(options->mountpoint, &mountpoint);
	if (result < 0)
		return result;
	result = ipcfs_mountpoint_check_device();
	if (result < 0)
		goto out;
	result = ipcfs_filesystem_create(options, &fs);
	if (result < 0) {
		explain_failure(result, options);
		goto out;
	}
	session = fuse_session_new(args, &ipcfs_filesystem_ops, sizeof(ipcfs_filesystem_ops), fs);
	if (session == NULL) {
		ipcfs_log(LOG_ERR, "can't make a session");
		result = -EINVAL;
		goto out;
	}
	result = mount_and_serve(session, fs, mountpoint, options);
out:
	if (session != NULL)
		fuse_session_destroy(session);
	if (fs != NULL)
		ipcfs_filesystem_destroy(fs);
	free(mountpoint);
	return result;
}

/* An arena for each thread that ever waited would keep what only one of them needs at a time. */
static void share_arenas(void)
{
#ifdef M_ARENA_MAX
	mallopt(M_ARENA_MAX, 2);
#endif
}

int main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	struct ipcfs_options options;
	int status = EXIT_OK;

	if (open_standard_streams() < 0)
		return EXIT_SERVE;
	fuse_set_log_func(log_libfuse);
	if (ipcfs_options_parse(&args, &options) < 0) {
		status = EXIT_USAGE;
	} else if (options.help) {
		ipcfs_options_help();
	} else if (options.version) {
		printf("ipcfs %s\nlibfuse %s\n", IPCFS_VERSION, fuse_pkgversion());
	} else {
		/* Debug lines come in pieces. */
		if (options.debug)
			fuse_set_log_func(NULL);
		else
			protect_memory();
		if (!options.foreground)
			close_inherited();
		/* Modes are what the caller asked for. */
		umask(0);
		raise_descriptors();
		share_arenas();
		if (run(&args, &options) < 0)
			status = EXIT_SERVE;
	}
	ipcfs_options_free(&options);
	fuse_opt_free_args(&args);
	return status;
}
