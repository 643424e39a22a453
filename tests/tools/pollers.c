/* SPDX-License-Identifier: MIT */
/*
 * Checks poll, select and epoll on channel files.
 *
 *	pollers MOUNT
 *
 * A child acts 30 ms after the parent began to wait. The time between the act and the parent's
 * return counts. The parent must see an act through the mount at once, and a direct call at the
 * sampling rate (System V) or at once (POSIX).
 */
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "peer.h"

/* For the best of three rounds: a loaded machine delays others. */
enum { AT_ONCE_MS = 250, SAMPLED_MS = 400, LATE_MS = 3000 };
enum action {
	SEND_MOUNT,
	SEND_DIRECT,
	TAKE_MOUNT,
	TAKE_DIRECT,
	REMOVE_MOUNT,
	REMOVE_DIRECT,
	SIGNAL
};
static const char *const action_names[] = {
	"send through the mount",
	"direct send",
	"receive through the mount",
	"direct receive",
	"rmdir",
	"direct removal",
	"signal",
};

/* The result of a way of waiting for `events` (POLLIN or POLLOUT): events, 0: timeout, -errno. */
struct waiting {
	const char *name;
	int (*wait)(int fd, short events, int timeout_ms);
};

static bool posix;
static char dir[PEER_PATH];
static const char mq_name[] = "/pollers";
static int msqid = -1;
static mqd_t mqd = (mqd_t)-1;
static double *stamp; /* shared: when the child acted */

static int wait_poll(int fd, short events, int timeout_ms)
{
	struct pollfd entry = { .fd = fd, .events = events };
	int got = poll(&entry, 1, timeout_ms);

	return got < 0 ? -errno : got ? entry.revents : 0;
}

static int wait_select(int fd, short events, int timeout_ms)
{
	struct timeval timeout = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	fd_set set;
	int got;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	got = select(fd + 1, events == POLLIN ? &set : NULL, events == POLLOUT ? &set : NULL, NULL,
		     timeout_ms < 0 ? NULL : &timeout);
	return got < 0 ? -errno : got ? events : 0;
}

static int wait_epoll(int fd, short events, int timeout_ms, uint32_t flags)
{
	struct epoll_event event = { .events = (uint32_t)events | flags };
	int result, epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		peer_die("epoll");
	result = epoll_wait(epoll, &event, 1, timeout_ms);
	result = result < 0 ? -errno : result ? (int)event.events : 0;
	close(epoll);
	return result;
}

static int wait_epoll_level(int fd, short events, int timeout_ms)
{
	return wait_epoll(fd, events, timeout_ms, 0);
}

static int wait_epoll_edge(int fd, short events, int timeout_ms)
{
	return wait_epoll(fd, events, timeout_ms, EPOLLET);
}

static const struct waiting waitings[] = {
	{ "poll", wait_poll },
	{ "select", wait_select },
	{ "epoll", wait_epoll_level },
	{ "epoll edge", wait_epoll_edge },
};

static int open_file(const char *name, int flags)
{
	char path[PEER_PATH];
	int fd = open(peer_path(path, "%s/%s", dir, name), flags | O_CLOEXEC);

	if (fd < 0)
		peer_die("%s", path);
	return fd;
}

static int send_direct(void)
{
	struct {
		long type;
		char text[16];
	} message = { 1, "direct" };

	return posix ? mq_send(mqd, "direct", 6, 0) : msgsnd(msqid, &message, 6, IPC_NOWAIT);
}

static int take_direct(void)
{
	static char text[64 * 1024];

	return (int)(posix ? mq_receive(mqd, text, sizeof(text), NULL)
			   : msgrcv(msqid, text, sizeof(text) - 8, 0, IPC_NOWAIT));
}

static void make_queue(const char *mount)
{
	struct mq_attr attr = { .mq_maxmsg = 4, .mq_msgsize = 64 };
	struct msqid_ds info;

	if (posix) {
		mq_unlink(mq_name);
		mqd = mq_open(mq_name, O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0600, &attr);
		peer_path(dir, "%s/posix/mq/%s", mount, mq_name + 1);
	} else {
		msqid = msgget(0x0b0111e2, IPC_CREAT | 0600);
		peer_path(dir, "%s/sysv/msg/0x%08x", mount, 0x0b0111e2);
	}
	if (posix ? mqd < 0 : msqid < 0)
		peer_die("making a queue");
	if (posix || msgctl(msqid, IPC_STAT, &info))
		return;
	info.msg_qbytes = 24; /* room for four messages, sent directly or through the mount */
	if (msgctl(msqid, IPC_SET, &info))
		peer_die("IPC_SET");
}

static void remove_queue(void)
{
	if (posix) {
		mq_unlink(mq_name);
		mq_close(mqd);
	} else {
		msgctl(msqid, IPC_RMID, NULL);
	}
}

static void empty(void)
{
	while (take_direct() >= 0)
		;
}

static void fill(void)
{
	while (!send_direct())
		;
}

static int act(enum action action, pid_t parent)
{
	char text[256];
	int fd;

	switch (action) {
	case SEND_MOUNT:
		fd = open_file("packets", O_WRONLY);
		*stamp = peer_now();
		return write(fd, "mount.", 6) == 6 ? 0 : -1;
	case TAKE_MOUNT:
		fd = open_file("packets", O_RDONLY);
		*stamp = peer_now();
		return read(fd, text, sizeof(text)) > 0 ? 0 : -1;
	case SEND_DIRECT:
		*stamp = peer_now();
		return send_direct();
	case TAKE_DIRECT:
		*stamp = peer_now();
		return take_direct() < 0;
	case REMOVE_MOUNT:
		*stamp = peer_now();
		return rmdir(dir);
	case REMOVE_DIRECT:
		*stamp = peer_now();
		return posix ? mq_unlink(mq_name) : msgctl(msqid, IPC_RMID, NULL);
	case SIGNAL:
		*stamp = peer_now();
		return kill(parent, SIGUSR1);
	}
	return -1;
}

/* Waits while a child acts. Returns the result of waiting; *late: ms from the act to the return. */
static int wait_for(const struct waiting *how, int fd, short events, enum action action,
		    double *late)
{
	pid_t parent = getpid(), child;
	double back;
	int result, status;

	fflush(stdout);
	*stamp = 0;
	child = fork();
	if (child < 0)
		peer_die("fork");
	if (!child) {
		peer_sleep_ms(30);
		_exit(act(action, parent) ? 1 : 0);
	}
	result = how->wait(fd, events, LATE_MS);
	back = peer_now();
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	CHECK(status == 0, "%s did not work", action_names[action]);
	*late = (back - *stamp) * 1000;
	if (*stamp == 0)
		peer_fail("waiting returned %#x before anything happened", result);
	return result;
}

static void check_wake(const struct waiting *how, const char *file, int fd, short events,
		       enum action action)
{
	bool sampled = !posix && (action == SEND_DIRECT || action == TAKE_DIRECT);
	double late, best = LATE_MS, worst = 0;

	for (int round = 0; round < 3; round++) {
		int got;

		empty();
		if (events == POLLOUT)
			fill();
		got = how->wait(fd, events, 0);
		CHECK(got == 0, "%s of %s, %s, not ready: %#x", how->name, file,
		      events == POLLIN ? "empty" : "full", got);
		got = wait_for(how, fd, events, action, &late);
		CHECK(got > 0 && (got & events), "%s of %s after %s: %d", how->name, file,
		      action_names[action], got);
		best = late < best ? late : best;
		worst = late > worst ? late : worst;
	}
	CHECK(best < (sampled ? SAMPLED_MS : AT_ONCE_MS) * peer_slow(),
	      "%s of %s %s: noticed after %.1f to %.1f ms", how->name, file, action_names[action],
	      best, worst);
	printf("  %-10s %-8s %-26s %6.2f to %6.2f ms\n", how->name, file, action_names[action],
	       best, worst);
}

/* Readiness is reported at once, timeouts are kept, and what was reported is true. */
static void check_levels(const struct waiting *how, const char *file)
{
	int in = open_file(file, O_RDONLY | O_NONBLOCK),
	    out = open_file(file, O_WRONLY | O_NONBLOCK);
	char text[256];
	double began;
	int got;

	empty();
	began = peer_now();
	got = how->wait(in, POLLIN, 80);
	CHECK(got == 0, "%s of empty %s: %#x", how->name, file, got);
	began = peer_now() - began;
	CHECK(began > 0.075 && began < peer_slow(), "%s of %s: 80 ms took %.0f ms", how->name, file,
	      began * 1000);
	CHECK(read(in, text, sizeof(text)) < 0 && errno == EAGAIN,
	      "%s: nonblocking read of nothing", file);
	got = how->wait(out, POLLOUT, 1000);
	CHECK(got > 0 && (got & POLLOUT), "%s for writing of empty %s: %d", how->name, file, got);
	fill();
	got = how->wait(out, POLLOUT, 60);
	CHECK(got == 0, "%s for writing of full %s: %#x", how->name, file, got);
	began = peer_now();
	got = how->wait(in, POLLIN, 1000);
	CHECK(got > 0 && (got & POLLIN), "%s of full %s: %d", how->name, file, got);
	CHECK(peer_now() - began < 0.5 * peer_slow(), "%s of full %s is slow", how->name, file);
	CHECK(read(in, text, sizeof(text)) > 0, "%s: nonblocking read of a ready file: %s", file,
	      strerror(errno));
	close(in);
	close(out);
}

/* Opens the file, and an epoll that waits for it edge triggered. */
static void open_edge(const char *file, int *fd, int *epoll)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };

	*fd = open_file(file, O_RDONLY | O_NONBLOCK);
	*epoll = epoll_create1(EPOLL_CLOEXEC);
	if (*epoll < 0 || epoll_ctl(*epoll, EPOLL_CTL_ADD, *fd, &event))
		peer_die("epoll");
}

/*
 * Edge triggered: one event for an arrival, none while nothing arrives, one more for more. One open
 * of msg gives this process one message.
 */
static void check_edges(const char *file)
{
	bool once = !strcmp(file, "msg");
	struct epoll_event event;
	int fd, epoll, got;
	char text[256];

	empty();
	open_edge(file, &fd, &epoll);
	for (int direct = 0; direct < 2; direct++) {
		for (int round = 0; round < 3; round++) {
			pid_t child = fork();
			int status;

			if (!child) {
				peer_sleep_ms(10);
				_exit(act(direct ? SEND_DIRECT : SEND_MOUNT, 0) ? 1 : 0);
			}
			got = epoll_wait(epoll, &event, 1, 1000);
			CHECK(got == 1, "edge %d of %s (%s): %d", round, file,
			      direct ? "direct" : "mount", got);
			if (waitpid(child, &status, 0) < 0 || status)
				peer_fail("sending did not work");
			while (read(fd, text, sizeof(text)) > 0)
				;
			CHECK(errno == EAGAIN || once, "read of %s: %s", file, strerror(errno));
			/* epoll(7) allows a stray event, but not a second one for nothing. */
			got = epoll_wait(epoll, &event, 1, 40);
			got = got ? epoll_wait(epoll, &event, 1, 40) : 0;
			CHECK(got == 0, "edge of %s without a reason", file);
			empty();
			if (once) {
				close(epoll);
				close(fd);
				open_edge(file, &fd, &epoll);
			}
		}
	}
	close(epoll);
	close(fd);
}

static void check_many(const char *file)
{
	enum { MANY = 50 };
	struct pollfd entries[MANY];
	int ready = 0;

	empty();
	for (int i = 0; i < MANY; i++)
		entries[i] = (struct pollfd){ .fd = open_file(file, O_RDONLY), .events = POLLIN };
	CHECK(poll(entries, MANY, 30) == 0, "poll of %d empty %s", MANY, file);
	CHECK(!act(SEND_MOUNT, 0), "sending did not work");
	for (int tries = 0; tries < 50 && ready < MANY; tries++) {
		ready = poll(entries, MANY, 1000);
		peer_sleep_ms(1);
	}
	CHECK(ready == MANY, "%d of %d polled %s are ready", ready, MANY, file);
	for (int i = 0; i < MANY; i++)
		close(entries[i].fd);
	empty();
}

static void check_removal(const char *mount, const struct waiting *how, const char *file,
			  enum action action)
{
	int fd = open_file(file, O_RDONLY), got;
	char text[256];
	double late;

	empty();
	got = wait_for(how, fd, POLLIN, action, &late);
	CHECK(got > 0 && late < 500 * peer_slow(), "%s of %s after %s: %d after %.0f ms", how->name,
	      file, action_names[action], got, late);
	CHECK(read(fd, text, sizeof(text)) < 0 && errno == EIDRM, "read of %s after %s: %s", file,
	      action_names[action], strerror(errno));
	close(fd);
	remove_queue();
	make_queue(mount);
}

static void on_signal(int signal)
{
	(void)signal;
}

static void check_kind(const char *mount)
{
	static const char *const files[] = { "msg", "lines", "packets" };
	double late;

	make_queue(mount);
	printf("%s\n", posix ? "posix" : "sysv");
	for (size_t f = 0; f < sizeof(files) / sizeof(*files); f++) {
		const char *file = files[f];

		for (size_t w = 0; w < sizeof(waitings) / sizeof(*waitings); w++) {
			const struct waiting *how = &waitings[w];
			int in, out;

			check_levels(how, file);
			in = open_file(file, O_RDONLY);
			out = open_file(file, O_WRONLY);
			check_wake(how, file, in, POLLIN, SEND_MOUNT);
			check_wake(how, file, in, POLLIN, SEND_DIRECT);
			check_wake(how, file, out, POLLOUT, TAKE_MOUNT);
			check_wake(how, file, out, POLLOUT, TAKE_DIRECT);
			empty();
			CHECK(wait_for(how, in, POLLIN, SIGNAL, &late) == -EINTR &&
				      late < AT_ONCE_MS * peer_slow(),
			      "%s of %s is not interrupted (%.0f ms)", how->name, file, late);
			close(in);
			close(out);
			check_removal(mount, how, file, REMOVE_MOUNT);
			check_removal(mount, how, file, REMOVE_DIRECT);
		}
		check_edges(file);
		check_many(file);
	}
	remove_queue();
}

int main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = on_signal };

	if (argc < 2) {
		fprintf(stderr, "usage: %s MOUNT\n", argv[0]);
		return 2;
	}
	stamp = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (stamp == MAP_FAILED || sigaction(SIGUSR1, &action, NULL))
		peer_die("setup");
	posix = true;
	check_kind(argv[1]);
	posix = false;
	check_kind(argv[1]);
	return peer_result("pollers");
}
