/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314
#include "fs/daemon/session.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <syslog.h>
#include <unistd.h>

#include "fs/base/legacy.h"
#include "fs/base/log.h"
#include "fs/daemon/covers.h"
#include "fs/daemon/daemonize.h"
#include "fs/daemon/device.h"
#include "fs/daemon/mountpoint.h"
#include "fs/daemon/notify.h"
#include "fs/daemon/session_threads.h"
#include "fs/daemon/signals.h"
#include "fs/daemon/supervisor.h"
#include "fs/daemon/unmounter.h"
#include "fs/daemon/upgrade.h"

#define DEADLINE_US (800 * 1000) /* for the end of the process */

struct session {
	struct fuse_session *fuse;
	const struct ipcfs_session_hooks *hooks;
	const char *mountpoint;
	uint64_t mount_id;		  /* 0: unknown */
	struct ipcfs_unmounter unmounter; /* of an ordinary user's mount */
	struct ipcfs_covers *covers;	  /* NULL: mounts of others are not watched */
	bool foreground;
	int ready; /* of ipcfs_daemonize_fork; -1: nobody waits for it any more */
	struct ipcfs_session_threads *threads;
	struct ipcfs_legacy *legacy; /* NULL: there is no supervisor */
	struct ipcfs_upgrade *upgrade;
	struct ipcfs_worker worker;
	bool is_worker;
	bool resumed;  /* the process was a supervisor of another program */
	bool ending;   /* begin_end was called */
	bool orphaned; /* the worker's supervisor has ended */
};

/* The path that the forced end still has to unmount. Set and cleared by end_session only. */
static const char *_Atomic mounted;

static void end_now(int signal)
{
	(void)signal;
	_exit(0);
}

static void end_by_force(int signal)
{
	const struct sigaction now = { .sa_handler = end_now };
	const char *mountpoint = mounted;

	(void)signal;
	if (mountpoint)
		(void)ipcfs_mountpoint_umount(mountpoint);
	/*
	 * A thread that waits for a lock of the kernel keeps the process. Its requests, the lock of
	 * the access control lists and the keeper's socket must not wait for it.
	 */
	(void)sigaction(SIGABRT, &now, NULL); /* of a thread that can't leave a namespace then */
	(void)syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
	_exit(0);
}

/* Tells whether this mount still is the one at the mount point: after umount -l it is not. */
static bool is_mounted_there(const struct session *session)
{
	return session->mount_id == 0 ||
	       ipcfs_mountpoint_id(session->mountpoint) == session->mount_id;
}

/*
 * Replaces the connection by the write end of a pipe without a reader. libfuse sees an error on it,
 * and then does not unmount another mount that is at the mount point now.
 */
static int make_look_dead(struct session *session)
{
	int ends[2], result = 0;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	close(ends[0]);
	if (dup2(ends[1], fuse_session_fd(session->fuse)) < 0)
		result = -errno;
	close(ends[1]);
	return result;
}

static void unmount(struct session *session)
{
	if (session->is_worker) {
		/* The supervisor unmounts. Without one, an ordinary user's mount stays, and is dead. */
		if (session->orphaned && is_mounted_there(session))
			(void)ipcfs_mountpoint_umount(session->mountpoint);
		if (make_look_dead(session) == 0)
			fuse_session_unmount(session->fuse);
		return;
	}
	if (session->unmounter.fd >= 0) {
		/* Closes the connection first: requests of the program would not be answered. */
		if (make_look_dead(session) == 0)
			fuse_session_unmount(session->fuse);
		if (is_mounted_there(session) && ipcfs_unmounter_detach(&session->unmounter) < 0)
			ipcfs_log(LOG_WARNING, "%s: can't unmount", session->mountpoint);
		ipcfs_unmounter_end(&session->unmounter);
		return;
	}
	/*
	 * Before libfuse, which leaves the mount alone when the connection was cut through
	 * /sys/fs/fuse, and does not cut it itself.
	 */
	if (session->mount_id != 0 && is_mounted_there(session))
		(void)ipcfs_mountpoint_detach(session->mountpoint);
	/* of another program libfuse does not know the mount */
	if (session->resumed && session->mount_id == 0)
		(void)ipcfs_mountpoint_detach(session->mountpoint);
	/* Closes /dev/fuse, which fails every request that is left. */
	if ((!session->resumed && is_mounted_there(session)) || make_look_dead(session) == 0)
		fuse_session_unmount(session->fuse);
	mounted = NULL;
}

/* Has the process end within DEADLINE_US, and tells the service manager. */
static void begin_end(struct session *session)
{
	struct sigaction by_force = { .sa_handler = end_by_force };
	struct itimerval deadline = { .it_value.tv_usec = DEADLINE_US };
	sigset_t alarm;

	if (session->ending)
		return;
	session->ending = true;
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigaction(SIGALRM, &by_force, NULL);
	pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
	setitimer(ITIMER_REAL, &deadline, NULL);
	if (!session->is_worker && session->mount_id != 0 && is_mounted_there(session))
		mounted = session->mountpoint;
	if (session->is_worker)
		ipcfs_worker_ends(&session->worker);
	else if (session->foreground)
		ipcfs_notify(IPCFS_NOTICE_STOPPING);
}

static void end_session(struct session *session)
{
	begin_end(session);
	session->hooks->stop(session->hooks->arg);
	ipcfs_session_threads_stop(session->threads);
	unmount(session);
	ipcfs_covers_stop(session->covers);
}

/* Starts a process that can unmount, if this one will not be able to. */
static int start_unmounter(struct session *session)
{
	if (ipcfs_mountpoint_privileged())
		return 0;
	return ipcfs_unmounter_start(session->mountpoint, &session->unmounter);
}

/* Tells everyone who waits for it that the mount answers, or has other settings. */
static void tell_ready(void *arg)
{
	struct session *session = arg;

	if (session->legacy)
		atomic_store(&session->legacy->trial, 0);
	if (session->foreground) {
		ipcfs_notify(IPCFS_NOTICE_READY);
	} else if (session->ready >= 0) {
		ipcfs_daemonize_ready(session->ready);
		session->ready = -1;
	}
}

/* The same, in the process that serves. */
static void tell_served(struct session *session)
{
	if (!session->is_worker) {
		tell_ready(session);
		return;
	}
	if (session->ready >= 0) {
		close(session->ready);
		session->ready = -1;
		ipcfs_daemonize_leave();
	}
	ipcfs_worker_ready(&session->worker);
}

/* Reads the settings again, and tells the service manager before and after. */
static void reload(struct session *session)
{
	if (session->foreground && !session->is_worker)
		ipcfs_notify(IPCFS_NOTICE_RELOADING);
	session->hooks->reload(session->hooks->arg);
	tell_served(session);
}

/* For struct ipcfs_supervisor_hooks. */
static void remember(void *arg)
{
	const struct session *session = arg;

	if (session->foreground)
		ipcfs_notify(IPCFS_NOTICE_RELOADING);
	session->hooks->remember(session->hooks->arg);
}

/* For struct ipcfs_supervisor_hooks. */
static void program_changes(void *arg)
{
	const struct session *session = arg;

	if (session->foreground)
		ipcfs_notify(IPCFS_NOTICE_RELOADING);
}

/* For struct ipcfs_supervisor_hooks. */
static void supervisor_ends(void *arg)
{
	begin_end(arg);
}

/* For struct ipcfs_supervisor_hooks. */
static bool worker_begins(void *arg)
{
	const struct session *session = arg;

	if (!session->legacy->keeps || !ipcfs_legacy_is_bad(session->legacy))
		return false;
	session->hooks->drop(session->hooks->arg);
	return true;
}

/* For struct ipcfs_supervisor_hooks. */
static void keep(void *arg, char word, const int *descriptors)
{
	const struct session *session = arg;

	session->hooks->keep(session->hooks->arg, word, descriptors);
}

/*
 * Does what the supervisor asks: the worker stops, and is ended. Returns if the supervisor has
 * ended instead.
 */
static void obey(struct session *session)
{
	if (ipcfs_worker_is_to_stop(&session->worker)) {
		ipcfs_session_threads_rest(session->threads);
		session->hooks->rest(session->hooks->arg);
		ipcfs_worker_stopped(&session->worker);
	}
	ipcfs_log(LOG_ERR, "the supervisor was killed: the mount ends");
	session->orphaned = true;
}

/*
 * Waits until a signal, the end of hooks->process or a session thread ends the session. An error of
 * signalfd(2): it can't wait.
 */
static int wait_for_end(struct session *session, const sigset_t *taken)
{
	enum { SIGNALS, PROCESS, SUPERVISOR, COUNT };
	struct pollfd events[COUNT] = {
		[SIGNALS] = { .events = POLLIN },
		[PROCESS] = { .fd = session->hooks->process(session->hooks->arg),
			      .events = POLLIN },
		[SUPERVISOR] = { .fd = session->worker.line, .events = POLLIN },
	};
	sigset_t waited = *taken, kick;
	int signal;

	/* Blocked only now: the threads that were made before need it unblocked. */
	sigemptyset(&kick);
	sigaddset(&kick, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &kick, NULL);
	sigaddset(&waited, SIGUSR1);
	events[SIGNALS].fd = signalfd(-1, &waited, SFD_CLOEXEC | SFD_NONBLOCK);
	if (events[SIGNALS].fd < 0)
		return -errno;
	while (!fuse_session_exited(session->fuse)) {
		if (poll(events, COUNT, -1) < 0)
			continue;
		if (events[PROCESS].revents) {
			ipcfs_log(LOG_NOTICE, "the target process has ended");
			break;
		}
		if (events[SUPERVISOR].revents) {
			obey(session);
			break;
		}
		signal = events[SIGNALS].revents ? ipcfs_signals_take(events[SIGNALS].fd) : 0;
		if (signal == SIGHUP)
			reload(session);
		else if (signal == SIGCHLD)
			session->hooks->children(session->hooks->arg);
		else if (signal > 0 && signal != SIGUSR1)
			break;
	}
	close(events[SIGNALS].fd);
	return 0;
}

/* Serves INIT, which the kernel sends once. `again`: to an earlier worker. */
static int serve_init(const struct session *session, bool again)
{
	if (again)
		return ipcfs_device_replay_init(session->fuse);
	return ipcfs_session_threads_serve_init(session->threads);
}

/*
 * Serves requests until the session ends. A negative errno, which was logged: they could not be
 * served.
 */
static int serve(struct session *session, const sigset_t *taken)
{
	bool succeeds = session->legacy && atomic_load(&session->legacy->init_size);
	int result = serve_init(session, succeeds);

	if (result == 0)
		result = ipcfs_session_threads_replay(session->threads);
	if (result == 0 && session->legacy)
		atomic_store(&session->legacy->begun, 0); /* what was left can be lived with */
	if (result == 0)
		result = ipcfs_session_threads_start(session->threads);
	if (result < 0) {
		ipcfs_log(LOG_ERR, "can't serve requests: %s", strerror(-result));
		return result;
	}
	if (succeeds)
		session->hooks->succeed(session->hooks->arg);
	session->covers = ipcfs_covers_start(session->mountpoint);
	tell_served(session);
	result = wait_for_end(session, taken);
	if (result < 0)
		ipcfs_log(LOG_ERR, "waiting for signals: %s", strerror(-result));
	return result;
}

/*
 * Goes into the background. In the parent a negative errno, which was logged: the mount, if the
 * child left one, is unmounted.
 */
static int go_background(struct session *session)
{
	int result = ipcfs_daemonize_fork(&session->ready);

	if (result == 0)
		return 0;
	if (result != -ECHILD && result != -EOWNERDEAD && result != -EINTR)
		ipcfs_log(LOG_ERR, "can't go into the background: %s", strerror(-result));
	unmount(session); /* the child may have crashed */
	return result;
}

/* Closes what only the supervisor has, and opens the file system. A negative errno was logged. */
static int begin_worker(struct session *session)
{
	int result;

	session->is_worker = true;
	if (session->unmounter.fd >= 0)
		close(session->unmounter.fd);
	session->unmounter.fd = -1;
	result = session->hooks->open(session->hooks->arg, &session->worker);
	if (result == -ESRCH) /* the target has ended: no other worker will find it */
		ipcfs_worker_ends(&session->worker);
	if (result < 0)
		unmount(session);
	return result;
}

/* Notes what another program has to know of the session. */
static void hand_over(const struct session *session)
{
	struct ipcfs_handover *state = session->upgrade->state;

	state->device = fuse_session_fd(session->fuse);
	state->mount_id = session->mount_id;
	state->unmounter = session->unmounter.fd;
	state->unmounter_process = session->unmounter.process;
}

/* Returns 1 in the process that serves the mount. Else the mount has ended: 0 or a negative errno. */
static int supervise(struct session *session, const sigset_t *taken)
{
	const struct ipcfs_supervisor_hooks hooks = { .ready = tell_ready,
						      .reload = remember,
						      .upgrade = program_changes,
						      .ending = supervisor_ends,
						      .begin = worker_begins,
						      .keep = keep,
						      .arg = session };
	struct ipcfs_upgrade *upgrade = session->upgrade;
	dev_t device;
	int result;

	if (!session->legacy)
		return 1;
	atomic_store(&session->legacy->trial, upgrade->trial);
	if (session->legacy->keeps)
		session->hooks->share(session->hooks->arg);
	hand_over(session);
	device = (dev_t)upgrade->state->number;
	ipcfs_upgrade_listen(upgrade, device);
	result = ipcfs_supervise(fuse_session_fd(session->fuse), session->legacy->keeps, taken,
				 &hooks, upgrade, &session->worker);
	if (result == 1)
		return 1;
	begin_end(session);
	ipcfs_upgrade_end(upgrade, device);
	unmount(session);
	return result;
}

/* Serves the mount from the start of the service to its end. */
static int run(struct session *session, const sigset_t *taken)
{
	const struct ipcfs_session_hooks *hooks = session->hooks;
	int result = 0;

	session->threads = ipcfs_session_threads_create(session->fuse, hooks, gettid());
	if (!session->threads)
		result = -ENOMEM;
	if (result == 0)
		result = ipcfs_device_use(session->fuse, session->legacy);
	if (result == 0)
		result = hooks->start(hooks->arg, session->fuse);
	if (result < 0) {
		ipcfs_log(LOG_ERR, "can't start: %s", strerror(-result));
		unmount(session);
		goto out;
	}
	result = serve(session, taken);
	end_session(session);
	if (result == 0 && ipcfs_session_threads_error(session->threads)) {
		result = ipcfs_session_threads_error(session->threads);
		ipcfs_log(LOG_ERR, "reading requests: %s", strerror(-result));
	}
out:
	if (session->threads)
		ipcfs_session_threads_destroy(session->threads);
	return result;
}

/* Goes into the background, and starts a process that can unmount. A negative errno was logged. */
static int begin(struct session *session, const sigset_t *before)
{
	int result = session->foreground || session->resumed ? 0 : go_background(session);

	if (result < 0) {
		pthread_sigmask(SIG_SETMASK, before, NULL);
		return result;
	}
	if (session->resumed) {
		session->unmounter.fd = session->upgrade->state->unmounter;
		session->unmounter.process = session->upgrade->state->unmounter_process;
		return 0;
	}
	result = start_unmounter(session);
	if (result < 0) {
		ipcfs_log(LOG_ERR, "can't start: %s", strerror(-result));
		unmount(session);
	}
	return result;
}

int ipcfs_session_run(struct fuse_session *fuse, const char *mountpoint, bool foreground,
		      struct ipcfs_legacy *legacy, struct ipcfs_upgrade *upgrade,
		      const struct ipcfs_session_hooks *hooks)
{
	struct session session = {
		.fuse = fuse,
		.hooks = hooks,
		.mountpoint = mountpoint,
		.mount_id = ipcfs_mountpoint_id(mountpoint),
		.foreground = foreground,
		.ready = -1,
		.unmounter = { .fd = -1 },
		.legacy = legacy,
		.upgrade = upgrade,
		.resumed = upgrade && upgrade->taken,
		.worker = { .line = -1, .watch = -1 },
	};
	sigset_t taken, before;
	int result;

	if (session.resumed) /* another one may be mounted there since */
		session.mount_id = upgrade->state->mount_id;
	fflush(NULL);
	ipcfs_signals_block(&taken, &before);
	result = begin(&session, &before);
	if (result < 0)
		return result;
	result = supervise(&session, &taken);
	if (result != 1)
		return result;
	result = legacy ? begin_worker(&session) : 0;
	return result ? result : run(&session, &taken);
}
