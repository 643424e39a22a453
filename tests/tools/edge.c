/* SPDX-License-Identifier: MIT */
/*
 * edge OBJECT FAMILY NAME TRIES: what arrives in the moment in which a wait through within/ ends.
 *
 * OBJECT is the object's directory in the mount: of a queue, or of a semaphore. Waits TRIES times
 * for 1 ms, to receive a message or to take the semaphore, while another thread sends messages or
 * posts by direct calls, at about that moment. NAME is the object's name for these calls: of a
 * POSIX object, or a System V key.
 *
 * Each message is received once, in order; the semaphore's value is what was posted and not taken.
 */
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/stat.h>

#include "peer.h"

#define EARLIEST_US 600 /* the direct call comes so long after the wait began */
#define LATEST_US 2600

struct message {
	long type;
	uint32_t number;
};

static struct {
	bool semaphore, sysv;
	int id; /* System V */
	mqd_t queue;
	sem_t *posix;
	uint32_t sent; /* by the other thread */
	uint64_t state;
} object;

/* Both threads meet at the beginning of each try, and at its end. */
static pthread_barrier_t meeting;

static void open_object(const char *name)
{
	char path[PEER_PATH];
	key_t key = (key_t)strtoul(name, NULL, 0);

	if (object.sysv) {
		object.id = object.semaphore ? semget(key, 0, 0) : msgget(key, 0);
		if (object.id < 0)
			peer_die("getting %s", name);
		return;
	}
	(void)peer_path(path, "/%s", name);
	if (object.semaphore)
		object.posix = sem_open(path, 0);
	else
		object.queue = mq_open(path, O_WRONLY | O_NONBLOCK);
	if (object.semaphore ? object.posix == SEM_FAILED : object.queue == (mqd_t)-1)
		peer_die("opening %s", name);
}

/* Sends message number `number`, or posts. Returns whether there was room. */
static bool send_one(uint32_t number)
{
	const struct message message = { 1, number };
	struct sembuf post = { .sem_op = 1 };

	if (object.semaphore)
		return !(object.sysv ? semop(object.id, &post, 1) : sem_post(object.posix));
	if (object.sysv)
		return !msgsnd(object.id, &message, sizeof(number), IPC_NOWAIT);
	return !mq_send(object.queue, (const char *)&number, sizeof(number), 0);
}

static void *send_at_the_end(void *arg)
{
	const uint32_t tries = *(const uint32_t *)arg;

	for (uint32_t i = 1; i <= tries; i++) {
		long us = EARLIEST_US + peer_random(&object.state) % (LATEST_US - EARLIEST_US);

		pthread_barrier_wait(&meeting);
		(void)nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
		object.sent += send_one(object.sent + 1);
		pthread_barrier_wait(&meeting);
	}
	return NULL;
}

/* Waits once. Returns 1: something was received or taken, and 0: the time ended. */
static int wait_once(int fd, uint32_t received)
{
	uint32_t number = 0;
	char text[1 << 14];
	ssize_t got = object.semaphore ? write(fd, "1\n", 2) : read(fd, text, sizeof(text));

	if (got < 0) {
		CHECK(errno == ETIMEDOUT || errno == EAGAIN, "a wait ends with %s",
		      strerror(errno));
		return 0;
	}
	if (object.semaphore)
		return 1;
	memcpy(&number, text, sizeof(number));
	CHECK(got == sizeof(number), "received %zd bytes", got);
	CHECK(number == received + 1, "received %u behind %u", number, received);
	return 1;
}

int main(int argc, char **argv)
{
	uint32_t tries, in_time = 0, late = 0;
	char path[PEER_PATH];
	pthread_t thread;
	struct stat st;
	int fd, rest;

	if (argc != 5)
		return 2;
	tries = (uint32_t)atoi(argv[4]);
	object.sysv = !strcmp(argv[2], "sysv");
	object.semaphore = stat(peer_path(path, "%s/post", argv[1]), &st) == 0;
	object.state = peer_seed(NULL);
	open_object(argv[3]);
	pthread_barrier_init(&meeting, NULL, 2);
	peer_path(path, "%s/within/0.001/%s", argv[1], object.semaphore ? "wait" : "packets");
	fd = open(path, object.semaphore ? O_WRONLY : O_RDONLY);
	rest = open(path, (object.semaphore ? O_WRONLY : O_RDONLY) | O_NONBLOCK);
	if (fd < 0 || rest < 0 || pthread_create(&thread, NULL, send_at_the_end, &tries))
		peer_die("%s", path);
	for (uint32_t i = 1; i <= tries && !peer_failures; i++) {
		pthread_barrier_wait(&meeting);
		in_time += (uint32_t)wait_once(fd, in_time + late);
		pthread_barrier_wait(&meeting);
		late += (uint32_t)wait_once(rest, in_time + late);
	}
	if (peer_failures)
		return peer_result("edge");
	pthread_join(thread, NULL);
	CHECK(in_time + late == object.sent, "%u and %u of %u", in_time, late, object.sent);
	/* or the moment was missed */
	CHECK(in_time > tries / 50 && late > tries / 50, "%u in time, %u late", in_time, late);
	printf("%u in time, %u late\n", in_time, late);
	return peer_result("edge");
}
