/* SPDX-License-Identifier: MIT */
/*
 * ipcfs [options] [SOURCE] MOUNTPOINT
 *
 * Exit status:
 *	0  mounted (background), or unmounted (foreground); --help, --version
 *	1  wrong usage, unknown option, bad value
 *	2  can't mount or serve; the message says why
 *
 * Under the name mount.ipcfs, the arguments and exit status are those that mount(8) knows:
 * mount_program.c.
 */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <malloc.h>
#include <signal.h>
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

#include "backends/contract/amqp.h"
#include "backends/contract/contract.h"
#include "fs/base/log.h"
#include "fs/daemon/amqp_config.h"
#include "fs/daemon/command_line.h"
#include "fs/daemon/config.h"
#include "fs/daemon/echo.h"
#include "fs/daemon/explain.h"
#include "fs/daemon/mount_program.h"
#include "fs/daemon/mountpoint.h"
#include "fs/daemon/privilege.h"
#include "fs/daemon/sandbox.h"
#include "fs/daemon/session.h"
#include "fs/ops/filesystem.h"

enum { EXIT_OK = 0, EXIT_USAGE = 1, EXIT_SERVE = 2 };

/* The soft limit is not raised beyond this, even if the hard limit is higher. */
#define DESCRIPTORS_MAX (1024 * 1024)

#define LARGE_BLOCK (128 * 1024) /* bytes */

#if defined(__SANITIZE_ADDRESS__)
#define MAY_PROTECT_MEMORY 0 /* the leak checker needs access to the memory */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MAY_PROTECT_MEMORY 0
#endif
#endif
#ifndef MAY_PROTECT_MEMORY
#define MAY_PROTECT_MEMORY 1
#endif

/* Logs a message of libfuse as one of the daemon. */
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

/* Opens missing standard streams, so that no descriptor opened later takes their number. */
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
 * Closes descriptors of the process that started the daemon. If the daemon kept them, others would
 * wait for the end of a pipe, or could not unmount a file system.
 */
static void close_inherited(void)
{
	if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0) < 0)
		ipcfs_log(LOG_WARNING, "close_range: %s", strerror(errno));
}

/* Raises the limit on open descriptors. */
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
 * Keeps message bytes from core dumps, debuggers and readers of /proc. Depending on
 * fs.suid_dumpable, the kernel makes the daemon dumpable again when a thread changes its ids. So
 * the size of core dumps is limited too, to one byte: unlike a limit of 0 that also applies to
 * programs of core_pattern (core(5)).
 */
static void protect_memory(void)
{
	const struct rlimit none = { .rlim_cur = 1, .rlim_max = 1 };

	if (!MAY_PROTECT_MEMORY)
		return;
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		ipcfs_log(LOG_WARNING, "PR_SET_DUMPABLE: %s", strerror(errno));
	if (setrlimit(RLIMIT_CORE, &none) < 0) {
		/* A limit of 0 can't be raised to 1 without privilege, and is kept. */
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

/* The argument of the session's hooks. */
struct service {
	struct ipcfs_filesystem *fs;
	const struct ipcfs_options *options;
	const char *mountpoint;
	dev_t device;
};

#ifdef IPCFS_AMQP
/* Adds the connections to brokers. A negative errno was logged, but for -ENOMEM. */
static int load_brokers(const struct ipcfs_options *options)
{
	return options->amqp ? ipcfs_amqp_config_load(options->amqp) : 0;
}

static int start_brokers(void)
{
	int result = ipcfs_amqp_fork();

	if (result < 0)
		ipcfs_log(LOG_ERR, "the process that starts ipcfs-amqp: %s", strerror(-result));
	return result;
}

static int serve_brokers(void)
{
	return ipcfs_amqp_start();
}

static void stop_brokers(void)
{
	ipcfs_amqp_stop();
}

static void reload_brokers(const struct ipcfs_options *options)
{
	if (options->amqp)
		ipcfs_amqp_config_reload(options->amqp);
}
#else
static int load_brokers(const struct ipcfs_options *options)
{
	(void)options;
	return 0;
}

static int start_brokers(void)
{
	return 0;
}

static int serve_brokers(void)
{
	return 0;
}

static void stop_brokers(void)
{
}

static void reload_brokers(const struct ipcfs_options *options)
{
	(void)options;
}
#endif

static int start_echo(const struct service *service)
{
	int result = ipcfs_echo_start(ipcfs_filesystem_echo(service->fs), service->mountpoint,
				      service->device);

	if (result < 0)
		ipcfs_log(LOG_ERR, "the process for inotify(7): %s", strerror(-result));
	return result;
}

/*
 * Gives up privileges, as the mount is made and everything that needs them is open, and starts
 * threads.
 */
static int start_service(void *arg, struct fuse_session *session)
{
	const struct service *service = arg;
	const char *audit = service->options->audit;
	int result = start_brokers();

	if (result == 0)
		result = ipcfs_privilege_drop(audit != NULL && strcmp(audit, "audit") == 0);
	if (result == 0)
		result = ipcfs_sandbox_enter(service->options->namespaces, service->options->debug);
	if (result < 0)
		return result;
	result = ipcfs_holds_start(ipcfs_sandbox_keeper);
	if (result < 0)
		ipcfs_log(LOG_WARNING, "the process that keeps holds: %s", strerror(-result));
	result = ipcfs_leases_start(ipcfs_sandbox_leases);
	if (result < 0)
		ipcfs_log(LOG_WARNING, "the process that keeps leased messages: %s",
			  strerror(-result));
	result = service->options->inotify ? start_echo(service) : 0;
	if (result == 0)
		result = ipcfs_filesystem_start(service->fs, session);
	return result ? result : serve_brokers();
}

static void stop_service(void *arg)
{
	ipcfs_filesystem_stop(((struct service *)arg)->fs);
	stop_brokers();
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

/*
 * Reads the configuration files again, if there are any. After an error no setting of that file is
 * changed. The log says what was done.
 */
static void reload_settings(void *arg)
{
	const struct service *service = arg;
	const struct ipcfs_options *options = service->options;
	struct ipcfs_settings settings;
	int err;

	reload_brokers(options);
	if (!options->config && !options->amqp)
		ipcfs_log(LOG_NOTICE, "SIGHUP: there is no config= to read again");
	if (!options->config)
		return;
	err = ipcfs_config_load(options->config, &options->given, &settings);
	if (!err) {
		err = ipcfs_filesystem_set(service->fs, &settings);
		if (err == -EPERM)
			ipcfs_log(
				LOG_ERR,
				"%s: neither allow_uid nor allow_gid is left. To let everybody in, "
				"start ipcfs again",
				options->config);
		ipcfs_settings_free(&settings);
	}
	if (err)
		ipcfs_log(LOG_ERR, "the settings are unchanged");
	else
		ipcfs_log(LOG_NOTICE, "%s was read again", options->config);
}

static void replace_keepers(void *arg)
{
	int err = ipcfs_holds_check();

	(void)arg;
	if (err)
		ipcfs_log(LOG_WARNING, "the process that keeps holds: %s", strerror(-err));
	err = ipcfs_leases_check();
	if (err)
		ipcfs_log(LOG_WARNING, "the process that keeps leased messages: %s",
			  strerror(-err));
}

/* Returns the device number of the mount, without asking it. 0: unknown. */
static dev_t device_of(const char *mountpoint)
{
	int fd = open(mountpoint, O_PATH | O_CLOEXEC);
	dev_t device = 0;
	uint64_t number;

	if (fd >= 0 && ipcfs_mountpoint_of(fd, &number, &device))
		device = 0;
	if (fd >= 0)
		close(fd);
	return device;
}

static int mount_and_serve(struct fuse_session *session, struct ipcfs_filesystem *fs,
			   const char *mountpoint, const struct ipcfs_options *options)
{
	struct service service = { .fs = fs, .options = options, .mountpoint = mountpoint };
	const struct ipcfs_session_hooks hooks = {
		.start = start_service,
		.stop = stop_service,
		.admit = admit_request,
		.done = finish_request,
		.leave = leave_requests,
		.reload = reload_settings,
		.children = replace_keepers,
		.arg = &service,
		.process = ipcfs_filesystem_target(fs),
	};
	int result;

	if (fuse_session_mount(session, mountpoint) < 0) {
		ipcfs_explain_mount(mountpoint);
		return ipcfs_mountpoint_privileged() ? -EIO : -EPERM;
	}
	service.device = device_of(mountpoint);
	ipcfs_filesystem_set_device(fs, service.device);
	if (!ipcfs_filesystem_has_queues(fs))
		ipcfs_explain_queues();
	/* A program that inherited the descriptor would keep the connection open. */
	result = close_on_exec(fuse_session_fd(session));
	if (result == 0 && options->no_links)
		result = ipcfs_mountpoint_forbid_links(mountpoint, options->settings.read_only);
	if (result < 0) {
		ipcfs_log(LOG_ERR, "can't set up the mount: %s", strerror(-result));
		fuse_session_unmount(session);
		return result;
	}
	return ipcfs_session_run(session, mountpoint, options->foreground, &hooks);
}

static void explain_failure(int error, const struct ipcfs_options *options)
{
	if (error == -ECANCELED)
		return; /* the reason was logged */
	if (options->target && error != -ENOMEM)
		ipcfs_explain_target(options->target, -error);
	else if (options->namespaces && error == -EPERM)
		ipcfs_log(LOG_ERR, "can't show all IPC namespaces: that takes the capabilities "
				   "CAP_SYS_ADMIN and CAP_SYS_PTRACE");
	else
		ipcfs_log(LOG_ERR, "can't start: %s", strerror(-error));
}

static int run(struct fuse_args *args, const struct ipcfs_options *options)
{
	struct ipcfs_filesystem *fs = NULL;
	struct fuse_session *session = NULL;
	char *mountpoint = NULL;
	int result;

	if (options->no_links && !ipcfs_mountpoint_privileged()) {
		ipcfs_log(LOG_ERR, "option nosymfollow takes the capability CAP_SYS_ADMIN");
		return -EPERM;
	}
	result = ipcfs_explain_check_proc();
	if (result < 0)
		return result;
	result = load_brokers(options);
	if (result < 0)
		return result;
	result = ipcfs_mountpoint_prepare(options->mountpoint, &mountpoint);
	if (result < 0)
		return result;
	result = ipcfs_explain_check_device();
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

/*
 * Keeps malloc(3) from holding unused memory: two arenas instead of one for each waiting thread, and
 * large blocks of their own, which go back to the system when they are freed. Without a fixed size
 * for these, freed blocks become part of an arena.
 */
static void tune_malloc(void)
{
#ifdef M_ARENA_MAX
	mallopt(M_ARENA_MAX, 2);
#endif
#ifdef M_MMAP_THRESHOLD
	mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
#endif
}

static int start(struct fuse_args *args, const struct ipcfs_options *options)
{
	/* libfuse writes its debug lines in pieces, which can't be logged as lines. */
	if (options->debug)
		fuse_set_log_func(NULL);
	else
		protect_memory();
	/* Objects get the mode that the caller asked for. */
	umask(0);
	raise_descriptors();
	tune_malloc();
	return run(args, options);
}

static void print_version(void)
{
	printf("ipcfs %s\nlibfuse %s\n", IPCFS_VERSION, fuse_pkgversion());
}

/* Does what the command line says. Returns the exit status. */
static int obey(struct fuse_args *args)
{
	struct ipcfs_mount_program program;
	struct ipcfs_options options = { 0 };
	bool parsed = false;
	int err = ipcfs_mount_program_parse(args, &program);

	ipcfs_mount_program_begin(&program);
	if (!err)
		err = ipcfs_mount_program_enter(&program);
	if (!err)
		err = ipcfs_options_parse(args, program.sloppy, &options);
	if (!err) {
		parsed = true;
		if (options.help)
			ipcfs_options_help();
		else if (options.version)
			print_version();
		else if (program.fake)
			err = ipcfs_mountpoint_check(options.mountpoint);
		else
			err = start(args, &options);
	}
	ipcfs_options_free(&options);
	if (program.called)
		return ipcfs_mount_program_status(err);
	if (err < 0)
		return parsed ? EXIT_SERVE : EXIT_USAGE;
	return EXIT_OK;
}

int main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	int status;

	if (open_standard_streams() < 0)
		return EXIT_SERVE;
	/* Until the session takes SIGHUP, it has nothing to read again. */
	signal(SIGHUP, SIG_IGN);
	close_inherited();
	fuse_set_log_func(log_libfuse);
	status = obey(&args);
	fuse_opt_free_args(&args);
	return status;
}
