/* SPDX-License-Identifier: MIT */
#include "fs/daemon/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "backends/contract/descriptor.h"
#include "backends/contract/fault.h"
#include "fs/base/clock.h"
#include "fs/base/log.h"
#include "fs/daemon/upgrade.h"

/* As <linux/fuse.h> has it, which conflicts with the header of libfuse. */
#define CLONE_DEVICE _IOR(229, 0, uint32_t)

/* So many workers may die in this time before the next one has to wait. */
#define DEATHS_MAX 10
#define DEATHS_NS (10ULL * 1000 * 1000 * 1000)
#define PAUSE_MIN_MS 100
#define PAUSE_MAX_MS 10000 /* a caller waits no longer for the next worker */

/* In an upgrade: for the worker of the program before to stop, and for one of this to be ready. */
#define STOP_NS (1000ULL * 1000 * 1000)
#define TRIAL_NS (10ULL * 1000 * 1000 * 1000)

struct supervisor {
	const struct ipcfs_supervisor_hooks *hooks;
	struct ipcfs_upgrade *upgrade;
	int device, signals; /* descriptors */
	bool keeps;	     /* see supervisor.h */
	int line;	     /* to the worker; -1: there is none */
	int watch;	     /* the worker's, see supervisor.h; -1: there is none */
	int old_watch;	     /* of the worker before; -1: it was closed */
	pid_t worker;	     /* 0: there is none */
	bool own;	     /* the worker is of this program */
	int status;	     /* of the last worker that ended, as wait(2) has it */
	bool ready;	     /* some worker was */
	bool reloaded;
	bool ending;		     /* no other worker follows */
	uint64_t deaths[DEATHS_MAX]; /* when the last ones were, in ns; 0: never */
	unsigned death;		     /* the place of the oldest */
	int pause;		     /* ms before the next worker; 0: none */
	uint64_t limit;		     /* when the worker is killed, ns; 0: never */
};

/* What a worker says, and what it is told. */
enum { WORD_READY = 'r', WORD_ENDS = 'e', WORD_STOPPED = 's', WORD_STOP = 's' };

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
	ipcfs_upgrade_leave(self->upgrade);
	ipcfs_descriptor_close(&self->old_watch); /* takes no time: the supervisor has it, too */
	if (fresh >= 0 && dup3(fresh, self->device, O_CLOEXEC) < 0)
		_exit(1); /* the supervisor logs it */
	ipcfs_descriptor_close(&fresh);
	(void)prctl(PR_SET_NAME, "ipcfs-worker");
	*worker = (struct ipcfs_worker){ .line = line,
					 .watch = self->watch,
					 .reloaded = self->reloaded };
}

/*
 * Has the kernel give back the holds of System V semaphores that workers before have left: nobody
 * shares the list of adjustments any more but this process.
 */
static void give_holds_back(void)
{
	if (unshare(CLONE_SYSVSEM) < 0)
		ipcfs_log(LOG_ERR, "holds can't be given back: %s", strerror(errno));
}

/* Makes the watch of the next worker, and keeps that of the dead one. */
static void renew_watch(struct supervisor *self)
{
	ipcfs_descriptor_close(&self->old_watch); /* if the dead worker was never ready */
	self->old_watch = self->watch;
	self->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK); /* or the worker tries */
}

/*
 * As fork(2), in a process with one thread. `shares`: the child shares the list of System V
 * adjustments (SEM_UNDO), which the kernel applies when the last process that shares it ends. The
 * kernel writes the child's number to where the C library has that of its thread, as fork(3) asks
 * for; only kernels without CONFIG_CHECKPOINT_RESTORE don't tell where that is.
 */
static pid_t fork_sharing(bool shares)
{
	unsigned long flags = SIGCHLD | (shares ? CLONE_SYSVSEM : 0UL), stack = 0;
	int *number = NULL;

	if (!prctl(PR_GET_TID_ADDRESS, &number) && number)
		flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
#ifdef __s390__
	return (pid_t)syscall(SYS_clone, stack, flags, NULL, number, number);
#else /* an architecture has `number` behind what is unused here, or before */
	return (pid_t)syscall(SYS_clone, flags, stack, NULL, number, number);
#endif
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
	if (self->hooks->begin(self->hooks->arg))
		give_holds_back();
	self->line = ends[0];
	if (self->hooks->begin(self->hooks->arg))
		give_holds_back();
	self->line = ends[0];
	self->own = true;
	self->worker = fork_sharing(self->keeps);
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

static void kill_worker(struct supervisor *self)
{
	self->limit = 0;
	if (self->worker)
		(void)kill(self->worker, SIGKILL);
}

static void pass_on(const struct supervisor *self, int signal)
{
	if (self->worker)
		(void)kill(self->worker, signal); /* it was not waited for: it is there */
}

/* A word of the worker, and descriptors that may come with it. */
union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(IPCFS_HANDED_MAX * sizeof(int))];
};

/* Receives a word. Returns 0 if there is none. The descriptors are -1, or to be closed. */
static char receive_word(int line, int descriptors[IPCFS_HANDED_MAX])
{
	union control control;
	char word = 0;
	struct iovec iov = { .iov_base = &word, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen =
					  CMSG_LEN(IPCFS_HANDED_MAX * sizeof(int)) }; /* not more */
	const struct cmsghdr *header;

	for (unsigned i = 0; i < IPCFS_HANDED_MAX; i++)
		descriptors[i] = -1;
	if (recvmsg(line, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1)
		return 0;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(descriptors, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
	return word;
}

/* Takes a word of the worker, if there is one. Returns whether others may follow. */
static bool take_word(struct supervisor *self)
{
	int descriptors[IPCFS_HANDED_MAX];
	char word = receive_word(self->line, descriptors);

	switch (word) {
	case 0:
		return false;
	case WORD_ENDS:
		/* of a program that has not served yet, this says nothing about the mount */
		if (!self->upgrade->trial || !self->own)
			self->ending = true;
		break;
	case WORD_STOPPED:
		kill_worker(self);
		break;
	case WORD_READY:
		self->ready = true;
		self->limit = 0;
		ipcfs_descriptor_close(&self->old_watch);
		self->hooks->ready(self->hooks->arg);
		ipcfs_upgrade_ready(self->upgrade);
		break;
	default:
		self->hooks->keep(self->hooks->arg, word, descriptors);
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
 * worker learns of their end, too, as it may have to start another one.
 */
static void reap(struct supervisor *self)
{
	bool others = false;
	siginfo_t ended;
	int status;

	for (;;) {
		ended.si_pid = 0;
		if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) < 0 || !ended.si_pid)
			break;
		if (ipcfs_upgrade_reap(self->upgrade, ended.si_pid) ||
		    waitpid(ended.si_pid, &status, WNOHANG) != ended.si_pid)
			continue;
		others |= ended.si_pid != self->worker;
		if (ended.si_pid != self->worker)
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

/* Hands the worker over to another program. */
static void hand_over(const struct supervisor *self)
{
	struct ipcfs_handover *state = self->upgrade->state;

	state->worker = self->worker;
	state->line = self->line;
	state->watch = self->watch;
	state->reloaded = self->reloaded;
}

/* The counterpart: the worker is this program's. */
static void forget_handed(const struct supervisor *self)
{
	struct ipcfs_handover *state = self->upgrade->state;

	state->worker = 0;
	state->line = state->watch = -1;
}

/* Executes another program. Returns only if that fails. */
static void upgrade(struct supervisor *self)
{
	self->hooks->upgrade(self->hooks->arg);
	hand_over(self);
	ipcfs_upgrade_execute(self->upgrade);
	forget_handed(self);
	self->hooks->ready(self->hooks->arg);
}

/* Returns when poll(2) has to end: the earlier one of two times, of which 0 is none. */
static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a && (!b || a < b) ? a : b;
}

/* Waits for what comes, until `end` (ns; 0: for any time), and serves it. */
static void serve(struct supervisor *self, uint64_t end)
{
	enum { SIGNALS, LINE, UPGRADE };
	struct pollfd events[UPGRADE + IPCFS_UPGRADE_EVENTS] = {
		[SIGNALS] = { .fd = self->signals, .events = POLLIN },
		[LINE] = { .fd = self->line, .events = POLLIN },
	};
	uint64_t now = ipcfs_clock_ns();
	int wait = -1;

	end = earlier(end, ipcfs_upgrade_events(self->upgrade, events + UPGRADE));
	end = earlier(end, self->limit);
	if (end)
		wait = end <= now ? 0 : (int)((end - now) / 1000000 + 1);
	if (poll(events, UPGRADE + IPCFS_UPGRADE_EVENTS, wait) < 0)
		return;
	if (events[LINE].revents && !take_word(self))
		ipcfs_descriptor_close(&self->line); /* it ends: SIGCHLD follows */
	if (events[SIGNALS].revents)
		take_signal(self);
	if (self->limit && ipcfs_clock_ns() >= self->limit)
		kill_worker(self);
	if (ipcfs_upgrade_serve(self->upgrade, events + UPGRADE) && !self->ending)
		upgrade(self);
}

/* Looks after the worker until it has ended, or, without a worker, until `end` (ns). */
static void watch(struct supervisor *self, uint64_t end)
{
	bool works = self->worker != 0;

	while (works ? self->worker != 0 : !self->ending && ipcfs_clock_ns() < end)
		serve(self, works ? 0 : end);
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

/*
 * Takes over from another program: its worker stops and ends, or, if that program has failed, goes
 * on. False: the mount ends.
 */
static bool take_over(struct supervisor *self)
{
	const char stop = WORD_STOP;

	if (!self->upgrade->taken)
		return true;
	forget_handed(self);
	reap(self); /* its SIGCHLD may have been lost */
	if (self->worker && !self->upgrade->trial) {
		self->hooks->ready(self->hooks->arg);
		ipcfs_upgrade_ready(self->upgrade);
		return true;
	}
	if (self->worker) {
		(void)send(self->line, &stop, 1, MSG_NOSIGNAL);
		self->limit = ipcfs_clock_ns() + STOP_NS;
		watch(self, 0);
	}
	self->limit = 0;
	return !self->ending && self->status != 0;
}

/* Counts a worker that was not ready in the trial, and goes back after some. False: no trial. */
static bool try_again(struct supervisor *self)
{
	if (!self->upgrade->trial)
		return false;
	if (++self->upgrade->deaths < IPCFS_UPGRADE_DEATHS)
		return true;
	hand_over(self);
	ipcfs_upgrade_go_back(self->upgrade, "the processes that were to serve have failed");
	forget_handed(self);
	return true;
}

/* Runs workers, one after the other. 1: this is one. 0: the mount ends. */
static int run(struct supervisor *self, struct ipcfs_worker *worker)
{
	if (!take_over(self))
		return 0;
	while (!self->ending) {
		int result = self->worker ? 0 : fork_worker(self, worker);

		if (result == 1)
			return 1;
		if (self->upgrade->trial)
			self->limit = ipcfs_clock_ns() + TRIAL_NS;
		if (!result)
			watch(self, 0);
		if (!result && self->status == 0)
			return 0;
		if (self->ending)
			return !result && WIFEXITED(self->status) ? -ECANCELED : 0;
		if (try_again(self))
			continue;
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
		    const struct ipcfs_supervisor_hooks *hooks, struct ipcfs_upgrade *upgrade,
		    struct ipcfs_worker *worker)
{
	struct supervisor self = { .hooks = hooks,
				   .upgrade = upgrade,
				   .device = device,
				   .keeps = keeps,
				   .line = upgrade->state->line,
				   .watch = upgrade->state->watch,
				   .old_watch = -1,
				   .worker = upgrade->state->worker,
				   .status = SIGKILL,
				   .ready = upgrade->taken,
				   .reloaded = upgrade->state->reloaded };
	int result;

	(void)prctl(PR_SET_CHILD_SUBREAPER,
		    1); /* see reap; an error leaves that to the next hold */
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
		close(self.signals);
	}
	return result;
}

int ipcfs_worker_hand_over(const struct ipcfs_worker *worker, char word, const int *descriptors,
			   unsigned count)
{
	const size_t size = count * sizeof(*descriptors);
	union control control = { .header = { .cmsg_len = CMSG_LEN(size),
					      .cmsg_level = SOL_SOCKET,
					      .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { .iov_base = &word, .iov_len = 1 };
	const struct msghdr message = { .msg_iov = &iov,
					.msg_iovlen = 1,
					.msg_control = &control,
					.msg_controllen = CMSG_SPACE(size) };

	memcpy(CMSG_DATA(&control.header), descriptors, size);
	return sendmsg(worker->line, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
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

bool ipcfs_worker_is_to_stop(const struct ipcfs_worker *worker)
{
	char word;

	return recv(worker->line, &word, 1, MSG_DONTWAIT) == 1;
}

void ipcfs_worker_stopped(const struct ipcfs_worker *worker)
{
	char word;

	say(worker, WORD_STOPPED);
	while (recv(worker->line, &word, 1, 0) < 0 && errno == EINTR)
		;
}

void ipcfs_worker_ends(const struct ipcfs_worker *worker)
{
	say(worker, WORD_ENDS);
}
