/* SPDX-License-Identifier: MIT */
#include "fs/daemon/service.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <syslog.h>

#include "backends/contract/contract.h"
#include "backends/contract/descriptor.h"
#include "fs/base/log.h"
#include "fs/daemon/brokers.h"
#include "fs/daemon/config.h"
#include "fs/daemon/echo.h"
#include "fs/daemon/explain.h"
#include "fs/daemon/handover.h"
#include "fs/daemon/privilege.h"
#include "fs/daemon/sandbox.h"
#include "fs/daemon/supervisor.h"
#include "fs/ops/filesystem.h"

static int start_echo(const struct ipcfs_service *service)
{
	int result = ipcfs_echo_start(ipcfs_filesystem_echo(service->fs), service->mountpoint,
				      service->device);

	if (result < 0)
		ipcfs_log(LOG_ERR, "the process for inotify(7): %s", strerror(-result));
	return result;
}

/* What a worker hands over: a descriptor of ipcfs_holds_keep, or those of ipcfs_leases_inherit. */
enum { WORD_HOLDS = 'H', WORD_LEASES = 'L' };

_Static_assert(IPCFS_LEASES_DESCRIPTORS <= IPCFS_HANDED_MAX, "they are handed over at once");

/* For struct ipcfs_holds_hooks. */
static void hand_over(void *arg, int descriptor)
{
	/* an error: the supervisor ends */
	(void)ipcfs_worker_hand_over(arg, WORD_HOLDS, &descriptor, 1);
}

/* For ipcfs_leases_entrust. */
static int entrust(void *arg, const int descriptors[IPCFS_LEASES_DESCRIPTORS])
{
	return ipcfs_worker_hand_over(arg, WORD_LEASES, descriptors, IPCFS_LEASES_DESCRIPTORS);
}

static void share_holds(void *arg)
{
	struct ipcfs_handover *state = ((struct ipcfs_service *)arg)->state;
	int err = ipcfs_holds_share(&state->holds);

	if (err)
		ipcfs_log(LOG_WARNING, "holds end with the process that serves the mount: %s",
			  strerror(-err));
	if (err) /* the keeper of the program before gives back what it has */
		ipcfs_descriptor_close(&state->keeper);
	else if (state->keeper >= 0)
		ipcfs_holds_keep(state->keeper);
}

static void drop_holds(void *arg)
{
	struct ipcfs_handover *state = ((struct ipcfs_service *)arg)->state;
	int err = ipcfs_holds_drop(&state->holds);

	state->keeper = -1;
	if (err)
		ipcfs_log(LOG_WARNING, "holds end with the process that serves the mount: %s",
			  strerror(-err));
}

/* Takes descriptors of a worker over, in place of those before. */
static void keep(void *arg, char word, const int *descriptors)
{
	struct ipcfs_handover *state = ((struct ipcfs_service *)arg)->state;

	if (descriptors[0] < 0)
		return; /* there was no room for them */
	if (word == WORD_HOLDS) {
		ipcfs_holds_keep(descriptors[0]);
		state->keeper = descriptors[0];
		return;
	}
	for (int i = 0; i < IPCFS_LEASES_DESCRIPTORS; i++) {
		ipcfs_descriptor_close(&state->leases[i]);
		state->leases[i] = descriptors[i];
	}
}

/*
 * Gives up privileges, as the mount is made and everything that needs them is open, and starts
 * threads.
 */
static int start_service(void *arg, struct fuse_session *session)
{
	const struct ipcfs_service *service = arg;
	const char *audit = service->options->audit;
	const bool shares = service->worker && !service->options->namespaces;
	const struct ipcfs_holds_hooks holds = { ipcfs_sandbox_keeper, shares ? hand_over : NULL,
						 (void *)(uintptr_t)service->worker };
	int result = ipcfs_brokers_fork();

	if (result == 0)
		result = ipcfs_privilege_drop(audit != NULL && strcmp(audit, "audit") == 0);
	if (result == 0)
		result = ipcfs_sandbox_enter(service->options->namespaces, service->options->debug);
	if (result < 0)
		return result;
	result = ipcfs_holds_start(&holds);
	if (result < 0)
		ipcfs_log(LOG_WARNING, "the process that keeps holds: %s", strerror(-result));
	result = ipcfs_leases_start(ipcfs_sandbox_leases);
	if (result < 0)
		ipcfs_log(LOG_WARNING, "the process that keeps leased messages: %s",
			  strerror(-result));
	result = service->options->inotify ? start_echo(service) : 0;
	if (result == 0)
		result = ipcfs_filesystem_start(service->fs, session);
	if (result == 0)
		result = ipcfs_brokers_start(service->fs);
	if (result == 0 && service->reloaded)
		ipcfs_brokers_reload(service->options);
	return result;
}

static void stop_service(void *arg)
{
	ipcfs_filesystem_stop(((struct ipcfs_service *)arg)->fs);
	ipcfs_brokers_stop();
}

static void rest(void *arg)
{
	ipcfs_filesystem_rest(((struct ipcfs_service *)arg)->fs);
}

static void succeed(void *arg)
{
	ipcfs_filesystem_succeed(((struct ipcfs_service *)arg)->fs);
}

static void finish_request(void *arg)
{
	ipcfs_filesystem_done(((struct ipcfs_service *)arg)->fs);
}

static void abandon_request(void *arg, const void *request, size_t size, bool waited)
{
	ipcfs_filesystem_abandon(((struct ipcfs_service *)arg)->fs, request, size, waited);
}

static void leave_requests(void *arg)
{
	ipcfs_filesystem_leave(((struct ipcfs_service *)arg)->fs);
}

static bool admit_request(void *arg, const void *request, size_t size)
{
	return ipcfs_filesystem_admit(((struct ipcfs_service *)arg)->fs, request, size);
}

/*
 * Reads the configuration files again, if there are any. After an error no setting of that file is
 * changed. The log says what was done.
 */
static void reload_settings(void *arg)
{
	const struct ipcfs_service *service = arg;
	const struct ipcfs_options *options = service->options;
	struct ipcfs_settings settings;
	int err;

	ipcfs_brokers_reload(options);
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

/*
 * Reads the configuration file as reload_settings does in the worker, which says that it has.
 * Settings that the worker refuses are not remembered.
 */
static void remember_settings(void *arg)
{
	const struct ipcfs_service *service = arg;
	const struct ipcfs_options *options = service->options;
	struct ipcfs_handover *state = service->state;
	const struct ipcfs_settings *now = state->remembers ? &state->latest : &options->settings;
	struct ipcfs_settings settings;

	if (!options->config || ipcfs_config_load(options->config, &options->given, &settings))
		return;
	if (ipcfs_settings_are_listed(now) && !ipcfs_settings_are_listed(&settings)) {
		ipcfs_settings_free(&settings);
		return;
	}
	ipcfs_settings_free(&state->latest);
	state->latest = settings;
	state->remembers = true;
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

/* Tells whether the process that had the target's number at the start has ended. */
static bool target_has_ended(const struct ipcfs_service *service)
{
	struct pollfd target = { .fd = service->state->target, .events = POLLIN };

	return target.fd >= 0 && poll(&target, 1, 0) > 0;
}

int ipcfs_service_open(struct ipcfs_service *service)
{
	int result = ipcfs_filesystem_open(service->fs, service->options);

	/* Another process may have the number now. */
	if (!result && target_has_ended(service))
		result = -ESRCH;
	if (!result && service->state->remembers)
		result = ipcfs_filesystem_set(service->fs, &service->state->latest);
	if (result < 0)
		explain_failure(result, service->options);
	else if (!ipcfs_filesystem_has_queues(service->fs))
		ipcfs_explain_queues();
	return result;
}

/* Has leased messages go on with the next worker, and goes on with those of the one before. */
static void go_on_with_leases(const struct ipcfs_service *service)
{
	int result = 0;

	ipcfs_leases_entrust(entrust, (void *)(uintptr_t)service->worker);
	if (service->state->leases[0] >= 0)
		result = ipcfs_leases_inherit(service->state->leases);
	if (!result)
		return;
	ipcfs_log(LOG_ERR, "leased messages go back to their queues: %s", strerror(-result));
	ipcfs_leases_abandon();
}

/* Opens the file system in a worker. */
static int open_service(void *arg, const struct ipcfs_worker *worker)
{
	struct ipcfs_service *service = arg;

	service->worker = worker;
	if (!service->options->namespaces)
		go_on_with_leases(service);
	service->reloaded = worker->reloaded;
	ipcfs_filesystem_set_watch(service->fs, worker->watch);
	return ipcfs_service_open(service);
}

static int process_of(void *arg)
{
	return ipcfs_filesystem_target(((struct ipcfs_service *)arg)->fs);
}

struct ipcfs_session_hooks ipcfs_service_hooks(struct ipcfs_service *service)
{
	return (struct ipcfs_session_hooks){
		.open = open_service,
		.share = share_holds,
		.drop = drop_holds,
		.keep = keep,
		.start = start_service,
		.succeed = succeed,
		.rest = rest,
		.stop = stop_service,
		.admit = admit_request,
		.done = finish_request,
		.abandon = abandon_request,
		.leave = leave_requests,
		.reload = reload_settings,
		.remember = remember_settings,
		.children = replace_keepers,
		.process = process_of,
		.arg = service,
	};
}

void ipcfs_service_free(struct ipcfs_service *service)
{
	if (service->fs)
		ipcfs_filesystem_destroy(service->fs);
}
