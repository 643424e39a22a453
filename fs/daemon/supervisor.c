/* SPDX-License-Identifier: MIT */
#include "fs/daemon/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "backends/contract/descriptor.h"
#include "backends/contract/fault.h"
#include "fs/base/clock.h"
#include "fs/base/log.h"

/* As <linux/fuse.h> has it, which conflicts with the header of libfuse. */
#define CLONE_DEVICE _IOR(229, 0, uint32_t)

/* So many workers may die in this time before the next one has to wait. */
#define DEATHS_MAX 10
#define DEATHS_NS (10ULL * 1000 * 1000 * 1000)
#define PAUSE_MIN_MS 100
#define PAUSE_MAX_MS 10000 /* a caller waits no longer for the next worker */

struct supervisor {
	const struct ipcfs_supervisor_hooks *hooks;
	int device, signals; /* descriptors */
	bool keeps;	     /* see supervisor.h */
	int line;	     /* to the worker; -1: there is none */
	int watch;	     /* the worker's, see supervisor.h; -1: there is none */
	int old_watch;	     /* of the worker before; -1: it was closed */
	int entrusted[IPCFS_LEASES_DESCRIPTORS]; /* see supervisor.h */
	pid_t worker;				 /* 0: there is none */
	int status; /* of the last worker that ended, as wait(2) has it */
	bool ready; /* some worker was */
	bool reloaded;
	bool ending;		     /* no other worker follows */
	uint64_t deaths[DEATHS_MAX]; /* when the last ones were, in ns; 0: never */
	unsigned death;		     /* the place of the oldest */
	int pause;		     /* ms before the next worker; 0: none */
};

/* What a worker says. */
enum { WORD_READY = 'r', WORD_ENDS = 'e', WORD_ENTRUSTS = 'd' };

union entrusted {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(IPCFS_LEASES_DESCRIPTORS * sizeof(int))];
};

/* Returns another descriptor of the connection, or a negative errno. */
static int clone_device(int device)
{
	uint32_t from = (uint32_t)device;
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, CLONE_DEVICE, &from) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* Leaves the supervisor's descriptors to the supervisor. */
static void become_worker(struct supervisor *self, int fresh, int line, struct ipcfs_worker *worker)
{
	close(self->line);
	close(self->signals);
	ipcfs_descriptor_close(&self->old_watch); /* takes no time: the supervisor has it, too */
	if (fresh >= 0 && dup3(fresh, self->device, O_CLOEXEC) < 0)
		_exit(1); /* the supervisor logs it */
	ipcfs_descriptor_close(&fresh);
	(void)prctl(PR_SET_NAME, "ipcfs-worker");
	*worker = (struct ipcfs_worker){ .line = line,
					 .watch = self->watch,
					 .reloaded = self->reloaded };
	memcpy(worker->entrusted, self->entrusted, sizeof(worker->entrusted));
}

/* Makes the watch of the next worker, and keeps that of the dead one. */
static void renew_watch(struct supervisor *self)
{
	ipcfs_descriptor_close(&self->old_watch); /* if the dead worker was never ready */
	self->old_watch = self->watch;
	self->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK); /* or the worker tries */
}

/* Forks a worker. Returns 1 in it, and 0 in the supervisor, or a negative errno. */
static int fork_worker(struct supervisor *self, struct ipcfs_worker *worker)
{
	int fresh = self->keeps ? -1 : clone_device(self->device), ends[2], err = 0;

	if (fresh < 0 && !self->keeps)
		return fresh;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		err = -errno;
		ipcfs_descriptor_close(&fresh);
		return err;
	}
	renew_watch(self);
	self->line = ends[0];
	self->worker = fork();
	if (self->worker == 0) {
		become_worker(self, fresh, ends[1], worker);
		return 1;
	}
	if (self->worker < 0) {
		err = -errno;
		self->worker = 0;
		ipcfs_descriptor_close(&self->line);
	}
	close(ends[1]);
	ipcfs_descriptor_close(&fresh);
	return err;
}

static void pass_on(const struct supervisor *self, int signal)
{
	if (self->worker)
		(void)kill(self->worker, signal); /* it was not waited for: it is there */
}

/* Takes the descriptors that came with a word, in place of those before. */
static void take_entrusted(struct supervisor *self, struct msghdr *message)
{
	const struct cmsghdr *header = CMSG_FIRSTHDR(message);

	if (!header || header->cmsg_len != CMSG_LEN(sizeof(self->entrusted)))
		return; /* there was no room for them */
	for (int i = 0; i < IPCFS_LEASES_DESCRIPTORS; i++)
		ipcfs_descriptor_close(&self->entrusted[i]);
	memcpy(self->entrusted, CMSG_DATA(header), sizeof(self->entrusted));
}

/* Takes a word of the worker, if there is one. Returns whether others may follow. */
static bool take_word(struct supervisor *self)
{
	union entrusted control;
	char word;
	struct iovec bytes = { &word, 1 };
	struct msghdr message = { .msg_iov = &bytes,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	if (recvmsg(self->line, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1)
		return false;
	if (word == WORD_ENDS) {
		self->ending = true;
	} else if (word == WORD_ENTRUSTS) {
		take_entrusted(self, &message);
	} else {
		self->ready = true;
		ipcfs_descriptor_close(&self->old_watch);
		self->hooks->ready(self->hooks->arg);
	}
	return true;
}

/* Notes the end of the worker. What it has said before counts. */
static void worker_ended(struct supervisor *self)
{
	self->worker = 0;
	while (self->line >= 0 && take_word(self))
		;
	ipcfs_descriptor_close(&self->line);
}

/*
 * Reaps processes. Those that a dead worker has started are children of the supervisor then: the
 * next worker learns of their end, too.
 */
static void reap(struct supervisor *self)
{
	bool others = false;
	pid_t ended;
	int status;

	while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
		others |= ended != self->worker;
		if (ended != self->worker)
			continue;
		self->status = status;
		worker_ended(self);
	}
	if (others)
		pass_on(self, SIGCHLD);
}

static void take_signal(struct supervisor *self)
{
	struct signalfd_siginfo info;

	if (read(self->signals, &info, sizeof(info)) != sizeof(info))
		return;
	switch (info.ssi_signo) {
	case SIGCHLD:
		reap(self);
		break;
	case SIGHUP:
		self->hooks->reload(self->hooks->arg);
		self->reloaded = true;
		pass_on(self, SIGHUP);
		break;
	default:
		self->ending = true;
		self->hooks->ending(self->hooks->arg);
		pass_on(self, SIGTERM);
	}
}

/* Looks after the worker until it has ended, or, without a worker, until `end` (ns). */
static void watch(struct supervisor *self, uint64_t end)
{
	bool works = self->worker != 0;

	while (works ? self->worker != 0 : !self->ending && ipcfs_clock_ns() < end) {
		struct pollfd events[] = { { .fd = self->signals, .events = POLLIN },
					   { .fd = self->line, .events = POLLIN } };
		uint64_t now = ipcfs_clock_ns();
		int wait = works ? -1 : end <= now ? 0 : (int)((end - now) / 1000000 + 1);

		if (poll(events, 2, wait) < 0)
			continue;
		if (events[1].revents && !take_word(self))
			ipcfs_descriptor_close(&self->line); /* it ends: SIGCHLD follows */
		if (events[0].revents)
			take_signal(self);
	}
}

/* Sets the pause: longer each time, as long as too many workers die. */
static void set_pause(struct supervisor *self)
{
	uint64_t now = ipcfs_clock_ns(), oldest = self->deaths[self->death];

	self->deaths[self->death] = now;
	self->death = (self->death + 1) % DEATHS_MAX;
	if (!oldest || now - oldest > DEATHS_NS)
		self->pause = 0;
	else
		self->pause = self->pause ? 2 * self->pause : PAUSE_MIN_MS;
	if (self->pause > PAUSE_MAX_MS)
		self->pause = PAUSE_MAX_MS;
	if (ipcfs_fault("supervisor.pause"))
		self->pause = 0;
}

/* Logs a death. `err`: no process could be made. */
static void log_death(const struct supervisor *self, int err)
{
	if (err)
		ipcfs_log(LOG_ERR, "can't start a process that serves the mount: %s",
			  strerror(-err));
	else if (WIFSIGNALED(self->status))
		ipcfs_log(LOG_ERR,
			  "the process that served the mount was ended by signal %d; the next "
			  "one starts in %d ms",
			  WTERMSIG(self->status), self->pause);
	else
		ipcfs_log(LOG_ERR,
			  "the process that served the mount has failed; the next one starts in "
			  "%d ms",
			  self->pause);
}

/* Runs workers, one after the other. 1: this is one. 0: the mount ends. */
static int run(struct supervisor *self, struct ipcfs_worker *worker)
{
	while (!self->ending) {
		int result = fork_worker(self, worker);

		if (result == 1)
			return 1;
		if (!result)
			watch(self, 0);
		if (!result && self->status == 0)
			return 0;
		if (self->ending)
			return !result && WIFEXITED(self->status) ? -ECANCELED : 0;
		set_pause(self);
		if (self->ready || result || WIFSIGNALED(self->status))
			log_death(self, result);
		if (!self->ready)
			return result ? result : -ECANCELED;
		watch(self, ipcfs_clock_ns() + (uint64_t)self->pause * 1000000);
	}
	return 0;
}

int ipcfs_supervise(int device, bool keeps, const sigset_t *signals,
		    const struct ipcfs_supervisor_hooks *hooks, struct ipcfs_worker *worker)
{
	struct supervisor self = { .hooks = hooks,
				   .device = device,
				   .keeps = keeps,
				   .line = -1,
				   .watch = -1,
				   .old_watch = -1,
				   .entrusted = { -1, -1, -1 } };
	int result;

	(void)prctl(PR_SET_CHILD_SUBREAPER,
		    1); /* see reap; an error leaves that to the next lease */
	self.signals = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (self.signals < 0) {
		result = -errno;
		ipcfs_log(LOG_ERR, "waiting for signals: %s", strerror(-result));
		return result;
	}
	result = run(&self, worker);
	if (result != 1) {
		ipcfs_descriptor_close(&self.watch);
		ipcfs_descriptor_close(&self.old_watch);
		for (int i = 0; i < IPCFS_LEASES_DESCRIPTORS; i++)
			ipcfs_descriptor_close(&self.entrusted[i]);
		close(self.signals);
	}
	return result;
}

static void say(const struct ipcfs_worker *worker, char word)
{
	/* EPIPE: the supervisor has ended, which poll(2) tells */
	(void)send(worker->line, &word, 1, MSG_NOSIGNAL);
}

void ipcfs_worker_ready(const struct ipcfs_worker *worker)
{
	say(worker, WORD_READY);
}

void ipcfs_worker_ends(const struct ipcfs_worker *worker)
{
	say(worker, WORD_ENDS);
}

int ipcfs_worker_entrust(void *arg, const int descriptors[IPCFS_LEASES_DESCRIPTORS])
{
	const struct ipcfs_worker *worker = arg;
	const size_t size = IPCFS_LEASES_DESCRIPTORS * sizeof(descriptors[0]);
	union entrusted control = { .header = { .cmsg_len = CMSG_LEN(size),
						.cmsg_level = SOL_SOCKET,
						.cmsg_type = SCM_RIGHTS } };
	char word = WORD_ENTRUSTS;
	struct iovec bytes = { &word, 1 };
	const struct msghdr message = { .msg_iov = &bytes,
					.msg_iovlen = 1,
					.msg_control = &control,
					.msg_controllen = CMSG_SPACE(size) };

	memcpy(CMSG_DATA(&control.header), descriptors, size);
	return sendmsg(worker->line, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}
