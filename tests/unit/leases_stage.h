/* SPDX-License-Identifier: MIT */
/*
 * For tests of messages that are kept: the test forks a process that plays the daemon. It keeps and
 * forgets messages, and is killed.
 */
#ifndef TEST_LEASES_STAGE_H
#define TEST_LEASES_STAGE_H

#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "ipc.h"

#define TRIES 500 /* of 20 ms */

#define FOR_EACH_QUEUE(class)                                                                      \
	FOR_EACH_KIND(class)                                                                       \
	if (class->queue)

/* The daemon that is played, and what it has of the queue. */
struct queue {
	const struct ipcfs_class *class;
	const struct ipcfs_queue_ops *ops;
	struct ipcfs_info info;
	int in, out;
};

static inline void pause_ms(long ms)
{
	const struct timespec time = { .tv_nsec = ms * 1000 * 1000 };

	nanosleep(&time, NULL);
}

static inline bool more_tries(unsigned *tried)
{
	const char *slow = getenv("IPCFS_TEST_SLOW");

	if (*tried)
		pause_ms(20);
	return (*tried)++ < TRIES * (slow ? (unsigned)atoi(slow) : 1);
}

static inline struct queue queue_of(const struct ipcfs_class *class, const struct ipcfs_info *info)
{
	struct queue queue = { .class = class, .ops = class->queue, .info = *info };

	assert_int_equal(queue.ops->open(space, &info->ref, IPCFS_RECEIVE, &queue.in), 0);
	assert_int_equal(queue.ops->open(space, &info->ref, IPCFS_SEND, &queue.out), 0);
	return queue;
}

static inline struct queue new_queue(const struct ipcfs_class *class, int number)
{
	struct ipcfs_info info;

	assert_int_equal(make(class, name_for(class, number), &info), 0);
	return queue_of(class, &info);
}

static inline void close_queue(struct queue *queue)
{
	queue->ops->close(queue->in);
	queue->ops->close(queue->out);
}

static inline void end_queue(struct queue *queue)
{
	close_queue(queue);
	remove_it(queue->class, &queue->info);
}

/* Returns the message, until the next call. */
static inline struct ipcfs_message *message_of(long type, const char *text)
{
	static _Alignas(struct ipcfs_message) char memory[128];
	struct ipcfs_message *message = (struct ipcfs_message *)(void *)memory;

	message->type = type;
	snprintf(message->text, sizeof(memory) - sizeof(*message), "%s", text);
	return message;
}

static inline int send_text(const struct queue *queue, const char *text)
{
	return queue->ops->send(queue->out, message_of(queue->ops->type_plain, text), strlen(text),
				false);
}

/* Keeps a message, or ends the process with an error. Returns its number. */
static inline uint64_t keep(const struct queue *queue, long type, const char *text)
{
	uint64_t number = 0;
	int error = queue->ops->keep(queue->out, message_of(type, text), strlen(text), 0, &number);

	if (error || !number) {
		fprintf(stderr, "keep %s: %s\n", text, strerror(-error));
		_exit(1);
	}
	return number;
}

/* Waits for the next message of the queue, which is this one. */
static inline void assert_comes(const struct queue *queue, long type, const char *text)
{
	char bytes[sizeof(struct ipcfs_message) + 8192];
	struct ipcfs_message *message = (struct ipcfs_message *)(void *)bytes;
	ssize_t size = -EAGAIN;

	for (unsigned tried = 0; size == -EAGAIN && more_tries(&tried);)
		size = queue->ops->receive(queue->in, 0, message, 8192);
	assert_int_equal(size, strlen(text));
	assert_memory_equal(message->text, text, (size_t)size);
	assert_int_equal(message->type, type);
}

static inline void assert_empty(const struct queue *queue)
{
	struct ipcfs_info now;

	assert_int_equal(queue->ops->fstat(queue->in, &now), 0);
	assert_int_equal(now.messages, 0);
}

/* Returns a child of the process, which has at most one; 0: it has none. */
static inline pid_t child_of(pid_t process)
{
	char path[64], text[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", process, process);
	file = fopen(path, "re");
	if (file && !fgets(text, sizeof(text), file))
		text[0] = '\0';
	if (file)
		fclose(file);
	return atoi(text);
}

/* Starts a daemon that does `work` and then waits to be killed. */
static inline pid_t start_daemon(void (*work)(struct queue *queue), struct queue *queue)
{
	int ready[2];
	pid_t daemon;
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	daemon = fork();
	if (!daemon) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		work(queue);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return daemon;
}

/* Kills the daemon. Its helper, if it has one, is a child of the test then; returns it. */
static inline pid_t kill_daemon(pid_t daemon)
{
	pid_t sender = child_of(daemon);

	end_process(daemon);
	return sender;
}

/* Waits for the end of a helper. -1: of the one that there is. */
static inline void assert_ends(pid_t sender)
{
	pid_t ended = 0;
	int status = -1;

	for (unsigned tried = 0; !ended && more_tries(&tried);)
		ended = waitpid(sender, &status, WNOHANG);
	assert_true(sender == -1 ? ended > 0 : ended == sender);
	assert_int_equal(status, 0);
}

static inline bool is_running(pid_t process)
{
	return !waitpid(process, NULL, WNOHANG);
}

static inline void keep_and_forget(struct queue *queue)
{
	for (int i = 0; i < 3; i++)
		queue->ops->forget(keep(queue, queue->ops->type_plain, "gone"));
}

/* Kills the helper, and waits until it has ended, but does not reap it. */
static inline void kill_sender(void)
{
	pid_t sender = child_of(getpid());
	siginfo_t info;

	if (!sender || kill(sender, SIGKILL) ||
	    waitid(P_PID, (id_t)sender, &info, WEXITED | WNOWAIT))
		_exit(1);
}

static inline void keep_one(struct queue *queue)
{
	keep(queue, queue->ops->type_plain, "one");
}

#endif
