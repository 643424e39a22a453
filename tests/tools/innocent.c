/* SPDX-License-Identifier: MIT */
/*
 * innocent MOUNT SECONDS [LIMIT_MS]: what a user meets who uses objects of its own while other
 * users do what they like.
 *
 * Every 5 ms it asks for the attributes of a queue, sends a message to a queue of each family and
 * receives it, and takes a semaphore of each family and gives it back. Prints "ready" when it has
 * made its objects; they stay, and the next run uses them again. After SECONDS, or at SIGTERM,
 * prints one line with the number, the median, the 99th percentile and the longest time of each
 * kind, in milliseconds.
 *
 * A time above 5 ms also counts for the operations that would have begun meanwhile, and an
 * operation that has not ended counts with its time so far. So one stop of a second shows.
 *
 * Exits 1 if an operation failed, if one kind was not done at all, or if a 99th percentile is above
 * LIMIT_MS.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

#include "peer.h"

#define INTERVAL 5.0 /* ms */
#define SAMPLES (1 << 18)

enum kind { STAT, MESSAGE, HOLD, KINDS };

static struct samples {
	const char *name;
	size_t count;
	double ms[SAMPLES];
} samples[KINDS] = { { .name = "stat" }, { .name = "message" }, { .name = "hold" } };

/* What the other thread does now. The lock guards this, and the samples. */
static struct {
	pthread_mutex_t lock;
	double since; /* 0: nothing */
	enum kind kind;
	bool ends;
} now = { .lock = PTHREAD_MUTEX_INITIALIZER };

static char queues[2][PEER_PATH], semaphores[2][PEER_PATH], values[2][PEER_PATH];

static void look(const char *queue)
{
	struct stat st;

	CHECK(!stat(queue, &st), "stat %s: %s", queue, strerror(errno));
}

static void talk(const char *queue)
{
	static unsigned number;
	static char got[1 << 16]; /* for the queue's largest message */
	unsigned sent = ++number;
	char path[PEER_PATH];
	int fd = open(peer_path(path, "%s/packets", queue), O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (!CHECK(fd >= 0, "open %s: %s", path, strerror(errno)))
		return;
	if (CHECK(write(fd, &sent, sizeof(sent)) == sizeof(sent), "send: %s", strerror(errno)) &&
	    CHECK(read(fd, got, sizeof(got)) == sizeof(sent), "receive: %s", strerror(errno)))
		CHECK(!memcmp(got, &sent, sizeof(sent)), "received another message");
	close(fd);
}

static void hold(const char *semaphore)
{
	char path[PEER_PATH];
	int fd = open(peer_path(path, "%s/hold", semaphore), O_WRONLY | O_CLOEXEC);

	if (CHECK(fd >= 0, "open %s: %s", path, strerror(errno)))
		CHECK(!close(fd), "close %s: %s", path, strerror(errno));
}

static const struct step {
	enum kind kind;
	void (*act)(const char *path);
	const char *path;
} steps[] = {
	{ STAT, look, queues[0] },    { MESSAGE, talk, queues[0] }, { HOLD, hold, values[0] },
	{ MESSAGE, talk, queues[1] }, { HOLD, hold, values[1] },
};

static void add(enum kind kind, double ms)
{
	struct samples *of = &samples[kind];

	do {
		if (of->count < SAMPLES)
			of->ms[of->count++] = ms;
		ms -= INTERVAL;
	} while (ms > 0);
}

/* Returns whether to go on. */
static bool take(const struct step *step)
{
	bool more;

	pthread_mutex_lock(&now.lock);
	more = !now.ends;
	now.kind = step->kind;
	now.since = more ? peer_now() : 0;
	pthread_mutex_unlock(&now.lock);
	if (!more)
		return false;
	step->act(step->path);
	pthread_mutex_lock(&now.lock);
	if (!now.ends)
		add(step->kind, (peer_now() - now.since) * 1000);
	now.since = 0;
	more = !now.ends && !peer_failures;
	pthread_mutex_unlock(&now.lock);
	return more;
}

static void *go_on(void *arg)
{
	for (size_t i = 0; take(&steps[i]);) {
		i = (i + 1) % (sizeof(steps) / sizeof(*steps));
		if (i == 0)
			peer_sleep_ms((long)INTERVAL);
	}
	kill(getpid(), SIGTERM); /* also when an operation has failed */
	return arg;
}

/* Ends the counting. What is in progress counts as far as it got. */
static void end(void)
{
	pthread_mutex_lock(&now.lock);
	now.ends = true;
	if (now.since > 0)
		add(now.kind, (peer_now() - now.since) * 1000);
	pthread_mutex_unlock(&now.lock);
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

/* Prints the times of one kind. Returns whether the limit holds. */
static bool report(struct samples *of, double limit)
{
	double p99, *ms = of->ms;

	qsort(ms, of->count, sizeof(*ms), compare);
	if (of->count == 0) {
		printf("%s n=0; ", of->name);
		return false;
	}
	p99 = ms[of->count * 99 / 100];
	printf("%s n=%zu median=%.2f p99=%.2f max=%.2f; ", of->name, of->count, ms[of->count / 2],
	       p99, ms[of->count - 1]);
	return limit <= 0 || p99 <= limit;
}

static bool report_all(double limit)
{
	bool good = !peer_failures;

	for (size_t i = 0; i < KINDS; i++)
		good = report(&samples[i], limit) && good;
	printf("ms, %s\n", good ? "ok" : "FAILED");
	fflush(stdout);
	return good;
}

static void make(const char *path)
{
	struct stat st;

	/* mkdir alone would wait for every other mkdir in that directory */
	if (stat(path, &st) && mkdir(path, 0700))
		peer_die("mkdir %s", path);
}

/* Removes what an operation that was stuck has left. */
static void drain(const char *queue)
{
	char path[PEER_PATH], text[PEER_PATH];

	if (peer_read_file(peer_path(path, "%s/drain", queue), text, sizeof(text)) < 0)
		peer_die("%s", path);
}

static void make_all(const char *mount)
{
	unsigned uid = getuid();

	peer_path(queues[0], "%s/posix/mq/innocents-%u", mount, uid);
	peer_path(queues[1], "%s/sysv/msg/0x%08x", mount, 0x10000000 + uid);
	peer_path(semaphores[0], "%s/posix/sem/innocents-%u", mount, uid);
	peer_path(semaphores[1], "%s/sysv/sem/0x%08x", mount, 0x10000000 + uid);
	peer_path(values[0], "%s", semaphores[0]);
	peer_path(values[1], "%s/0", semaphores[1]);
	for (size_t i = 0; i < 2; i++) {
		make(queues[i]);
		make(semaphores[i]);
		drain(queues[i]);
	}
}

int main(int argc, char **argv)
{
	double seconds = argc > 2 ? strtod(argv[2], NULL) : 0;
	struct timespec time = { (time_t)seconds,
				 (long)((seconds - (double)(time_t)seconds) * 1e9) };
	pthread_t other;
	sigset_t signals;

	if (argc < 3 || argc > 4)
		return 2;
	make_all(argv[1]);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	if (pthread_create(&other, NULL, go_on, NULL) || pthread_detach(other))
		peer_die("the other thread");
	puts("ready");
	fflush(stdout);
	sigtimedwait(&signals, NULL, &time);
	end();
	_exit(report_all(argc > 3 ? strtod(argv[3], NULL) : 0) ? 0 : 1);
}
