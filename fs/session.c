/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "daemonize.h"
#include "log.h"
#include "mountpoint.h"
#include "notify.h"
#include "unmounter.h"

#define WORKERS_MIN 2
#define WORKERS_MAX 8
#define WORKER_STACK (256 * 1024)

/* A worker that had to hold larger requests gives the memory back when no more of them come. */
#define BUFFER_KEEP (128 * 1024)
#define SMALL_MAX 64 /* requests in a row that tell so */

#define KICK_NS (10 * 1000 * 1000)
#define DEADLINE_US (800 * 1000)

struct session {
	struct fuse_session *fuse;
	const struct ipcfs_session_hooks *hooks;
	const char *mountpoint;
	uint64_t mount_id;		  /* 0 = unknown */
	struct ipcfs_unmounter unmounter; /* of an ordinary user's mount */
	bool foreground;
	pthread_t main;
	unsigned nworkers;
	pthread_t workers[WORKERS_MAX];
	atomic_int error; /* of the first worker that could not go on; negative */
};

/* What the end by force still has to take off. Set and cleared by end_session() alone. */
static const char *volatile mounted;

static void end_by_force(int signal)
{
	(void)signal;
	if (mounted != NULL)
		umount2(mounted, MNT_DETACH | UMOUNT_NOFOLLOW);
	_exit(0);
}

static void wake_up(int signal)
{
	(void)signal;
}

/* How large a worker's requests are. */
struct sizes {
	size_t large;	/* bytes of its buffer that it has to give back some day; 0: none */
	unsigned small; /* small requests since the last large one */
};

/* Message bytes must not stay in the memory that the request came in. */
static void clear_request(const struct fuse_buf *buf, struct sizes *sizes)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t start, end;

	if (buf->mem == NULL || (buf->flags & FUSE_BUF_IS_FD))
		return;
	explicit_bzero(buf->mem, buf->size);
	if (buf->size > BUFFER_KEEP) {
		if (buf->size > sizes->large)
			sizes->large = buf->size;
		sizes->small = 0;
		return;
	}
	if (sizes->large == 0 || ++sizes->small < SMALL_MAX)
		return;
	start = ((uintptr_t)buf->mem + page - 1) & ~(page - 1);
	end = ((uintptr_t)buf->mem + sizes->large) & ~(page - 1);
	sizes->large = 0;
	/* Failing only means that the pages stay. */
	if (start < end)
		(void)madvise((void *)start, end - start, MADV_DONTNEED);
}

/* Take and handle one request. 1: go on; 0: the session has ended; or a negative errno. */
static int serve(const struct session *session, struct fuse_buf *buf, struct sizes *sizes)
{
	const struct ipcfs_session_hooks *hooks = session->hooks;
	int size = fuse_session_receive_buf(session->fuse, buf);

	switch (size) {
	case -EINTR:
		hooks->done(hooks->arg);
		return 1;
	case -EAGAIN:
		return 1;
	case -ENOMEM:
		/* No room for a request yet; it waits in the kernel. */
		nanosleep(&(struct timespec){ .tv_nsec = KICK_NS }, NULL);
		return 1;
	case -ENODEV:
	case -ECONNABORTED:
		return 0;
	}
	if (size <= 0)
		return size;
	if (buf->flags & FUSE_BUF_IS_FD)
		return -EPROTO; /* nobody has asked for splicing */
	if (hooks->admit(hooks->arg, buf->mem, (size_t)size))
		fuse_session_process_buf(session->fuse, buf);
	hooks->done(hooks->arg);
	clear_request(buf, sizes);
	return 1;
}

static void *work(void *arg)
{
	struct session *session = arg;
	struct fuse_buf buf = { .mem = NULL };
	int result = 1, none = 0;
	struct sizes sizes = { 0 };

	while (result > 0 && !fuse_session_exited(session->fuse))
		result = serve(session, &buf, &sizes);
	session->hooks->leave(session->hooks->arg);
	free(buf.mem);
	if (result < 0)
		atomic_compare_exchange_strong(&session->error, &none, result);
	fuse_session_exit(session->fuse);
	pthread_kill(session->main, SIGUSR1);
	return NULL;
}

/* The kernel asks nothing else before INIT was answered. */
static int serve_init(struct session *session)
{
	struct fuse_buf buf = { .mem = NULL };
	struct sizes sizes = { 0 };
	int result = serve(session, &buf, &sizes);

	while (result == 1 && buf.size == 0)
		result = serve(session, &buf, &sizes);
	free(buf.mem);
	if (result < 0)
		return result;
	if (result == 0)
		return -ENODEV;
	return fuse_session_exited(session->fuse) ? -EPROTO : 0;
}

static int start_workers(struct session *session)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned wanted = WORKERS_MIN;
	pthread_attr_t attr;
	int error;

	if (cpus > WORKERS_MAX)
		wanted = WORKERS_MAX;
	else if (cpus > WORKERS_MIN)
		wanted = (unsigned)cpus;

	error = pthread_attr_init(&attr);
	if (error != 0)
		return -error;
	error = pthread_attr_setstacksize(&attr, WORKER_STACK);
	while (error == 0 && session->nworkers < wanted) {
		error = pthread_create(&session->workers[session->nworkers], &attr, work, session);
		if (error == 0)
			session->nworkers++;
	}
	pthread_attr_destroy(&attr);
	return -error;
}

/* A kick that comes just before the worker goes to sleep is lost: kick until it is gone. */
static void join_workers(struct session *session)
{
	struct timespec until;

	fuse_session_exit(session->fuse);
	for (unsigned i = 0; i < session->nworkers; i++) {
		do {
			for (unsigned j = i; j < session->nworkers; j++)
				pthread_kill(session->workers[j], SIGUSR1);
			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_nsec += KICK_NS;
			if (until.tv_nsec >= 1000000000) {
				until.tv_nsec -= 1000000000;
				until.tv_sec++;
			}
		} while (pthread_timedjoin_np(session->workers[i], NULL, &until) == ETIMEDOUT);
	}
	session->nworkers = 0;
}

/* What is at the mount point now may be somebody else's: umount -l leaves us without a place. */
static bool in_place(const struct session *session)
{
	return session->mount_id == 0 ||
	       ipcfs_mountpoint_id(session->mountpoint) == session->mount_id;
}

/*
 * libfuse would take off whatever is at the mount point now, unless its descriptor shows an error,
 * as the write end of a pipe without a reader does.
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
	if (session->unmounter.fd >= 0) {
		/* The connection first: nobody is left to answer what the program may ask. */
		if (make_look_dead(session) == 0)
			fuse_session_unmount(session->fuse);
		if (in_place(session) && ipcfs_unmounter_detach(&session->unmounter) < 0)
			ipcfs_log(LOG_WARNING, "%s: can't unmount", session->mountpoint);
		ipcfs_unmounter_end(&session->unmounter);
		return;
	}
	/* Closes /dev/fuse, which fails every request that is left. */
	if (in_place(session) || make_look_dead(session) == 0)
		fuse_session_unmount(session->fuse);
	/* libfuse leaves the mount alone when the connection was cut through /sys/fs/fuse. */
	if (session->mount_id != 0 && in_place(session))
		(void)ipcfs_mountpoint_detach(session->mountpoint);
	mounted = NULL;
}

static void end_session(struct session *session)
{
	struct sigaction by_force = { .sa_handler = end_by_force };
	struct itimerval deadline = { .it_value.tv_usec = DEADLINE_US };
	sigset_t alarm;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigaction(SIGALRM, &by_force, NULL);
	pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
	setitimer(ITIMER_REAL, &deadline, NULL);
	if (session->mount_id != 0 && in_place(session))
		mounted = session->mountpoint;

	if (session->foreground)
		ipcfs_notify(IPCFS_NOTICE_STOPPING);
	session->hooks->stop(session->hooks->arg);
	join_workers(session);
	unmount(session);
}

/* Where the mount can't be taken off by a mere call, keep a process that can do it. */
static int start_unmounter(struct session *session)
{
	if (ipcfs_mountpoint_privileged())
		return 0;
	return ipcfs_unmounter_start(session->mountpoint, &session->unmounter);
}

/* Before there are threads. *ends: signals that end the session; *before: the mask as it was. */
static void hold_signals(bool hang_up, sigset_t *ends, sigset_t *before)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, wake = { .sa_handler = wake_up }, old;
	sigset_t kick;

	sigemptyset(ends);
	sigaddset(ends, SIGTERM);
	sigaddset(ends, SIGINT);
	/* nohup(1) is obeyed where a hang-up can come. */
	if (hang_up || sigaction(SIGHUP, NULL, &old) < 0 || old.sa_handler != SIG_IGN)
		sigaddset(ends, SIGHUP);
	pthread_sigmask(SIG_BLOCK, ends, before);

	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL); /* too large is an error, also where ulimit says so */
	sigaction(SIGUSR1, &wake, NULL);
	sigemptyset(&kick);
	sigaddset(&kick, SIGUSR1);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
}

/* One that is there; 0: none is. */
static int take_signal(int signals)
{
	struct signalfd_siginfo info;

	return read(signals, &info, sizeof(info)) == sizeof(info) ? (int)info.ssi_signo : 0;
}

/*
 * Sleep until a signal or the end of a process ends the session, or a worker found its end.
 * -EMFILE, -ENFILE, -ENOMEM: there is no sleeping.
 */
static int wait_for_end(struct session *session, const sigset_t *ends)
{
	enum { SIGNALS, PROCESS, COUNT };
	struct pollfd events[COUNT] = {
		[SIGNALS] = { .events = POLLIN },
		[PROCESS] = { .fd = session->hooks->process, .events = POLLIN },
	};
	sigset_t waited = *ends, kick;
	int signal;

	/* Blocked only now, when all threads were made: they need it open. */
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
		signal = events[SIGNALS].revents ? take_signal(events[SIGNALS].fd) : 0;
		if (signal == SIGHUP && session->hooks->reload)
			session->hooks->reload(session->hooks->arg);
		else if (signal > 0 && signal != SIGUSR1)
			break;
	}
	close(events[SIGNALS].fd);
	return 0;
}

int ipcfs_session_run(struct fuse_session *fuse, const char *mountpoint, bool foreground,
		      const struct ipcfs_session_hooks *hooks)
{
	struct session session = {
		.fuse = fuse,
		.hooks = hooks,
		.mountpoint = mountpoint,
		.mount_id = ipcfs_mountpoint_id(mountpoint),
		.foreground = foreground,
		.unmounter = { .fd = -1 },
		.main = pthread_self(),
	};
	sigset_t ends, before;
	int ready = -1, result;

	fflush(NULL);
	hold_signals(!foreground || hooks->reload, &ends, &before);
	if (!foreground) {
		result = ipcfs_daemonize_fork(&ready);
		if (result < 0) {
			/* The parent, which may have to clean up after a child that crashed. */
			pthread_sigmask(SIG_SETMASK, &before, NULL);
			if (result != -ECHILD)
				ipcfs_log(LOG_ERR, "can't go into the background: %s",
					  strerror(-result));
			unmount(&session);
			return result;
		}
		session.main = pthread_self();
	}

	result = start_unmounter(&session);
	if (result == 0)
		result = hooks->start(hooks->arg, fuse);
	if (result < 0) {
		ipcfs_log(LOG_ERR, "can't start: %s", strerror(-result));
		unmount(&session);
		return result;
	}
	result = serve_init(&session);
	if (result == 0)
		result = start_workers(&session);
	if (result < 0) {
		ipcfs_log(LOG_ERR, "can't serve requests: %s", strerror(-result));
	} else {
		if (foreground)
			ipcfs_notify(IPCFS_NOTICE_READY);
		else
			ipcfs_daemonize_ready(ready);
		result = wait_for_end(&session, &ends);
		if (result < 0)
			ipcfs_log(LOG_ERR, "waiting for signals: %s", strerror(-result));
	}
	end_session(&session);
	if (result == 0 && session.error != 0) {
		result = session.error;
		ipcfs_log(LOG_ERR, "reading requests: %s", strerror(-result));
	}
	return result;
}
