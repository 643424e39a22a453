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
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

#include "fs/base/legacy.h"
#include "fs/base/log.h"
#include "fs/base/number.h"
#include "fs/daemon/brokers.h"
#include "fs/daemon/command_line.h"
#include "fs/daemon/device.h"
#include "fs/daemon/explain.h"
#include "fs/daemon/handover.h"
#include "fs/daemon/mount_program.h"
#include "fs/daemon/mountpoint.h"
#include "fs/daemon/process.h"
#include "fs/daemon/service.h"
#include "fs/daemon/session.h"
#include "fs/daemon/upgrade.h"
#include "fs/daemon/upgrade_ask.h"
#include "fs/daemon/upgrade_program.h"
#include "fs/ops/filesystem.h"
#include "fs/ops/state_layout.h"

enum { EXIT_OK = 0, EXIT_USAGE = 1, EXIT_SERVE = 2 };

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

static int close_on_exec(int fd)
{
	int flags = fcntl(fd, F_GETFD);

	if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0)
		return -errno;
	return 0;
}

/* Sets up a new mount. A negative errno was logged. */
static int set_up_mount(struct fuse_session *session, struct ipcfs_service *service)
{
	const struct ipcfs_options *options = service->options;
	int result;

	service->device = ipcfs_mountpoint_device(service->mountpoint);
	service->state->number = service->device;
	ipcfs_filesystem_set_device(service->fs, service->device);
	/* A program that inherited the descriptor would keep the connection open. */
	result = close_on_exec(fuse_session_fd(session));
	if (result == 0 && options->no_links)
		result = ipcfs_mountpoint_forbid_links(service->mountpoint,
						       options->settings.read_only);
	if (result < 0)
		ipcfs_log(LOG_ERR, "can't set up the mount: %s", strerror(-result));
	return result;
}

static int mount_and_serve(struct fuse_session *session, struct ipcfs_service *service,
			   struct ipcfs_legacy *legacy, struct ipcfs_upgrade *upgrade)
{
	const struct ipcfs_session_hooks hooks = ipcfs_service_hooks(service);
	int result;

	if (fuse_session_mount(session, service->mountpoint) < 0) {
		ipcfs_explain_mount(service->mountpoint);
		return ipcfs_mountpoint_privileged() ? -EIO : -EPERM;
	}
	result = set_up_mount(session, service);
	if (result < 0) {
		fuse_session_unmount(session);
		return result;
	}
	return ipcfs_session_run(session, service->mountpoint, service->options->foreground, legacy,
				 upgrade, &hooks);
}

/* Returns why a mount can't be upgraded. NULL: it can. */
static const char *refusal(const struct ipcfs_handover *state)
{
	if (state->options.namespaces)
		return "with -o namespaces the requests that are under way would fail; unmount it "
		       "and mount it again";
	if (state->options.auto_unmount)
		return "with -o auto_unmount it would be unmounted; unmount it and mount it again";
	if (state->legacy < 0)
		return "there is no file in memory for its state";
	return state->program ? NULL : "the path of the program is unknown";
}

/* Notes what another program has to know. -ENOMEM. */
static int note_start(struct ipcfs_handover *state, const struct fuse_args *args)
{
	char path[PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", path, sizeof(path));

	if (size > 0 && size < (ssize_t)sizeof(path))
		state->program = strndup(path, (size_t)size);
	state->privileged = ipcfs_mountpoint_privileged();
	for (int i = 0; i < args->argc; i++)
		if (fuse_opt_add_arg(&state->args, args->argv[i]) < 0)
			return -ENOMEM;
	return 0;
}

/*
 * Makes the file system: open, unless workers open it. *legacy: for the workers. A negative errno
 * was logged.
 */
static int make_service(struct ipcfs_service *service, struct ipcfs_legacy **legacy)
{
	const struct ipcfs_options *options = service->options;
	struct ipcfs_handover *state = service->state;

	*legacy = options->supervise
			  ? ipcfs_legacy_create(!options->namespaces, state->layout, &state->legacy)
			  : NULL;
	if (!options->supervise || *legacy)
		service->fs = ipcfs_filesystem_create(*legacy);
	if (!service->fs) {
		ipcfs_log(LOG_ERR, "can't start: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	if (!options->supervise)
		return ipcfs_service_open(service);
	if (options->target)
		state->target = (int)syscall(SYS_pidfd_open, options->target, 0);
	return 0;
}

static struct fuse_session *make_session(struct fuse_args *args,
					 const struct ipcfs_service *service)
{
	struct fuse_session *session = fuse_session_new(args, &ipcfs_filesystem_ops,
							sizeof(ipcfs_filesystem_ops), service->fs);

	if (session == NULL)
		ipcfs_log(LOG_ERR, "can't make a session");
	return session;
}

static void end_service(struct fuse_session *session, struct ipcfs_service *service)
{
	if (session != NULL)
		fuse_session_destroy(session);
	ipcfs_service_free(service);
}

static int run(struct fuse_args *args, struct ipcfs_handover *state, char **arguments)
{
	struct ipcfs_options *options = &state->options;
	struct ipcfs_service service = { .state = state, .options = options };
	struct ipcfs_legacy *legacy = NULL;
	struct fuse_session *session = NULL;
	struct ipcfs_upgrade upgrade;
	int result;

	if (options->no_links && !ipcfs_mountpoint_privileged()) {
		ipcfs_log(LOG_ERR, "option nosymfollow takes the capability CAP_SYS_ADMIN");
		return -EPERM;
	}
	result = ipcfs_explain_check_proc();
	if (result < 0)
		return result;
	result = ipcfs_brokers_load(options);
	if (result < 0)
		return result;
	result = ipcfs_mountpoint_prepare(options->mountpoint, &state->mountpoint);
	if (result < 0)
		return result;
	service.mountpoint = state->mountpoint;
	result = ipcfs_explain_check_device();
	if (result == 0)
		result = note_start(state, args);
	if (result == 0)
		result = make_service(&service, &legacy);
	if (result == 0) {
		session = make_session(args, &service);
		result = session ? 0 : -EINVAL;
	}
	ipcfs_upgrade_init(&upgrade, state, arguments);
	upgrade.refusal = refusal(state);
	if (result == 0)
		result = mount_and_serve(session, &service, legacy, &upgrade);
	ipcfs_upgrade_leave(&upgrade);
	end_service(session, &service);
	return result;
}

/*
 * Goes on for another program, with its connection. With `check` only tries whether that is
 * possible. A negative errno: it is not, which was logged, or the mount could not be served.
 * *begun: it was taken over.
 */
static int go_on(struct ipcfs_handover *state, struct ipcfs_upgrade *upgrade, bool check,
		 bool *begun)
{
	struct ipcfs_service service = { .state = state,
					 .options = &state->options,
					 .mountpoint = state->mountpoint };
	const struct ipcfs_session_hooks hooks = ipcfs_service_hooks(&service);
	struct ipcfs_legacy *legacy = ipcfs_legacy_map(state->legacy, state->layout);
	struct fuse_session *session = NULL;
	char path[32];
	int result = ipcfs_brokers_load(&state->options);

	state->device = ipcfs_process_own(state->device);
	snprintf(path, sizeof(path), "/dev/fd/%d", state->device);
	if (result == 0 && legacy)
		service.fs = ipcfs_filesystem_create(legacy);
	if (service.fs)
		session = make_session(&state->args, &service);
	if (result == 0 && (!session || fuse_session_mount(session, path) < 0))
		result = -ENOMEM;
	if (result == 0 && check)
		result = ipcfs_device_use(session, legacy);
	if (result == 0 && check && atomic_load(&legacy->init_size))
		result = ipcfs_device_replay_init(session);
	if (result == 0 && !check) {
		*begun = true;
		service.device = (dev_t)state->number;
		ipcfs_filesystem_set_device(service.fs, service.device);
		result = ipcfs_session_run(session, service.mountpoint, state->options.foreground,
					   legacy, upgrade, &hooks);
	}
	end_service(session, &service);
	return result;
}

/* Reads a handover. A negative errno was logged. */
static int read_state(int file, struct ipcfs_handover *state)
{
	int err = ipcfs_handover_read(file, state);

	if (err)
		ipcfs_log(LOG_ERR, "what another program has handed over: %s", strerror(-err));
	if (!err && state->layout != ipcfs_state_layout()) {
		ipcfs_log(LOG_ERR, "the state of the mount has another layout");
		err = -EPROTO;
	}
	if (!err && state->privileged && !ipcfs_mountpoint_privileged()) {
		ipcfs_log(LOG_ERR, "this program has not the capability CAP_SYS_ADMIN");
		err = -EPERM;
	}
	return err;
}

/* For --check-state: says whether this program could go on. Returns the exit status. */
static int check_state(int file, char **arguments)
{
	struct ipcfs_handover state;
	struct ipcfs_upgrade upgrade;
	bool begun;
	int err = read_state(file, &state);

	ipcfs_process_set_up(state.options.debug);
	ipcfs_upgrade_init(&upgrade, &state, arguments);
	if (!err)
		err = go_on(&state, &upgrade, true, &begun);
	if (!err)
		printf(IPCFS_UPGRADE_YES "%s\n", IPCFS_VERSION);
	ipcfs_upgrade_leave(&upgrade);
	ipcfs_handover_free(&state);
	return err ? EXIT_SERVE : EXIT_OK;
}

/* For --resume: takes the place of another program. Returns the exit status. */
static int resume(int file, char **arguments)
{
	struct ipcfs_handover state;
	struct ipcfs_upgrade upgrade;
	bool begun = false;
	int err = read_state(file, &state);

	(void)prctl(PR_SET_NAME, "ipcfs"); /* the kernel has named it after a descriptor */
	close(file);
	ipcfs_handover_inherit(&state, false);
	if (ipcfs_handover_close_others(&state) < 0)
		ipcfs_log(LOG_WARNING, "close_range: %s", strerror(errno));
	if (!state.options.foreground)
		ipcfs_log_background();
	ipcfs_process_set_up(state.options.debug);
	ipcfs_upgrade_init(&upgrade, &state, arguments);
	upgrade.taken = true;
	upgrade.trial = !state.back;
	if (!err)
		err = go_on(&state, &upgrade, false, &begun);
	if (err && !begun && !state.back)
		ipcfs_upgrade_go_back(&upgrade, "it can't be set up");
	ipcfs_upgrade_leave(&upgrade);
	ipcfs_handover_free(&state);
	return err ? EXIT_SERVE : EXIT_OK;
}

/* Tells whether the first argument is this option with a descriptor. */
static bool has_descriptor(char **arguments, const char *option, int *fd)
{
	const char *first = arguments[0] ? arguments[1] : NULL;
	size_t size = strlen(option);
	long number;

	if (!first || strncmp(first, option, size) != 0 ||
	    ipcfs_number_parse(first + size, strlen(first + size), 0, INT_MAX, &number))
		return false;
	*fd = (int)number;
	return true;
}

static void print_version(void)
{
	printf("ipcfs %s\nlibfuse %s\n", IPCFS_VERSION, fuse_pkgversion());
}

/* Does what the command line says. Returns the exit status. */
static int obey(struct fuse_args *args, char **arguments)
{
	struct ipcfs_mount_program program;
	struct ipcfs_handover state;
	const struct ipcfs_options *options = &state.options;
	bool parsed = false;
	int err = ipcfs_mount_program_parse(args, &program);

	ipcfs_handover_init(&state);
	state.layout = ipcfs_state_layout();
	ipcfs_mount_program_begin(&program);
	if (!err)
		err = ipcfs_mount_program_enter(&program);
	if (!err)
		err = ipcfs_options_parse(args, program.sloppy, &state.options);
	if (!err) {
		parsed = true;
		if (options->help)
			ipcfs_options_help();
		else if (options->version)
			print_version();
		else if (options->upgrade)
			err = ipcfs_upgrade_ask(options->mountpoint);
		else if (program.fake)
			err = ipcfs_mountpoint_check(options->mountpoint);
		else {
			ipcfs_process_set_up(options->debug);
			err = run(args, &state, arguments);
		}
	}
	ipcfs_handover_free(&state);
	if (program.called)
		return ipcfs_mount_program_status(err);
	if (err < 0)
		return parsed ? EXIT_SERVE : EXIT_USAGE;
	return EXIT_OK;
}

int main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	int status, fd;

	if (open_standard_streams() < 0)
		return EXIT_SERVE;
	fuse_set_log_func(log_libfuse);
	if (has_descriptor(argv, IPCFS_UPGRADE_CHECK, &fd))
		return check_state(fd, argv);
	if (has_descriptor(argv, IPCFS_UPGRADE_RESUME, &fd))
		return resume(fd, argv);
	/* Until the session takes SIGHUP, it has nothing to read again. */
	signal(SIGHUP, SIG_IGN);
	close_inherited();
	status = obey(&args, argv);
	fuse_opt_free_args(&args);
	return status;
}
