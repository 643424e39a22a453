/* SPDX-License-Identifier: MIT */
/* Messages through the backends' contract, compared with the kernel. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/msg.h>

#include "ipc.h"

#define FOR_EACH_QUEUE(class)                                                                      \
	FOR_EACH_KIND(class)                                                                       \
	if (class->queue)

struct queue {
	const struct ipcfs_class *class;
	const struct ipcfs_queue_ops *ops;
	struct ipcfs_info info;
	int in, out; /* handles */
};

static struct queue open_new(const struct ipcfs_class *class, const char *name)
{
	struct queue queue = { .class = class, .ops = class->queue };

	assert_int_equal(make(class, name, &queue.info), 0);
	assert_int_equal(queue.ops->open(space, &queue.info.ref, IPCFS_RECEIVE, &queue.in), 0);
	assert_int_equal(queue.ops->open(space, &queue.info.ref, IPCFS_SEND, &queue.out), 0);
	return queue;
}

static void close_queue(struct queue *queue)
{
	queue->ops->close(queue->in);
	queue->ops->close(queue->out);
}

static void end_queue(struct queue *queue)
{
	close_queue(queue);
	remove_it(queue->class, &queue->info);
}

static struct ipcfs_message *message_of(size_t size)
{
	struct ipcfs_message *message = calloc(1, sizeof(*message) + size + 1);

	assert_non_null(message);
	return message;
}

static int send_sized(const struct queue *queue, long type, const void *text, size_t size)
{
	struct ipcfs_message *message = message_of(size);
	int error;

	message->type = type;
	if (text)
		memcpy(message->text, text, size);
	error = queue->ops->send(queue->out, message, size, false);
	free(message);
	return error;
}

static int send_text(const struct queue *queue, long type, const char *text)
{
	return send_sized(queue, type, text, strlen(text));
}

/* Returns what was received; or "", with the error in *result. */
static const char *receive(const struct queue *queue, long selector, size_t capacity,
			   ssize_t *result, long *type)
{
	static char copy[10000];
	struct ipcfs_message *message = message_of(capacity);

	*result = queue->ops->receive(queue->in, selector, message, capacity);
	copy[0] = '\0';
	if (*result >= 0) {
		memcpy(copy, message->text, (size_t)*result);
		copy[*result] = '\0';
		*type = message->type;
	}
	free(message);
	return copy;
}

static void assert_next(const struct queue *queue, long selector, long type, const char *text)
{
	ssize_t size;
	long got = -1;

	assert_string_equal(receive(queue, selector, 8192, &size, &got), text);
	assert_int_equal(size, strlen(text));
	assert_int_equal(got, type);
}

static void assert_no_message(const struct queue *queue, long selector, int error)
{
	ssize_t size;
	long type;

	receive(queue, selector, 8192, &size, &type);
	assert_int_equal(size, error);
}

static void messages_pass_unchanged(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue queue = open_new(class, name_for(class, 1));
		long plain = queue.ops->type_plain;
		struct ipcfs_info now;

		assert_no_message(&queue, 0, -EAGAIN);
		assert_int_equal(send_text(&queue, plain, "one"), 0);
		assert_int_equal(send_sized(&queue, plain, NULL, 0), 0);
		assert_int_equal(send_text(&queue, plain, "t\no"), 0);
		assert_int_equal(queue.ops->fstat(queue.in, &now), 0);
		assert_int_equal(now.messages, 3);
		assert_int_equal(now.perm.mode, 0600);
		assert_int_equal(now.max_message, 8192);
		assert_int_equal(queue.class->stat(space, &queue.info.ref, &now), 0);
		assert_int_equal(now.messages, 3);
		assert_int_equal(now.size, 6);
		assert_next(&queue, 0, plain, "one");
		assert_next(&queue, 0, plain, "");
		assert_next(&queue, 0, plain, "t\no");
		assert_no_message(&queue, 0, -EAGAIN);
		end_queue(&queue);
	}
}

static void long_messages_are_refused(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue queue = open_new(class, name_for(class, 2));
		long plain = queue.ops->type_plain, type;
		ssize_t size;

		assert_int_equal(send_sized(&queue, plain, NULL, 8193), -EMSGSIZE);
		assert_int_equal(send_sized(&queue, plain, NULL, 8192), 0);
		receive(&queue, 0, 100, &size, &type);
		assert_int_equal(size, -EMSGSIZE);
		receive(&queue, 0, 8192, &size, &type);
		assert_int_equal(size, 8192);
		end_queue(&queue);
	}
}

static void types_have_a_range(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue queue = open_new(class, name_for(class, 3));

		assert_int_equal(send_text(&queue, queue.ops->type_min - 1, "x"), -EINVAL);
		assert_int_equal(send_text(&queue, queue.ops->type_min, "low"), 0);
		assert_int_equal(send_text(&queue, queue.ops->type_max, "high"), 0);
		if (queue.ops->type_max < LONG_MAX)
			assert_int_equal(send_text(&queue, queue.ops->type_max + 1, "x"), -EINVAL);
		if (!queue.ops->typed_receive)
			assert_next(&queue, 0, queue.ops->type_max, "high");
		assert_next(&queue, 0, queue.ops->type_min, "low");
		if (queue.ops->typed_receive)
			assert_next(&queue, 0, queue.ops->type_max, "high");
		end_queue(&queue);
	}
}

static void full_queues_say_so(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue queue = open_new(class, name_for(class, 4));
		long plain = queue.ops->type_plain;
		int sent = 0, error;

		assert_int_equal(queue.ops->ready(queue.out, 0), POLLOUT);
		while (!(error = send_sized(&queue, plain, NULL, 1024)))
			sent++;
		assert_int_equal(error, -EAGAIN);
		assert_int_equal(sent, queue.class->by_id ? 16 : 10);
		assert_int_equal(queue.ops->ready(queue.out, 0), POLLIN);
		/* A message that can never be sent is not taken for one that cannot be sent now. */
		assert_int_equal(send_sized(&queue, plain, NULL, 8193), -EMSGSIZE);
		end_queue(&queue);
	}
}

static void removed_queues_end(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue queue = open_new(class, name_for(class, 5));
		bool outlives = !queue.class->by_id;
		struct ipcfs_perm perm = { 0 };
		struct ipcfs_info now;
		int handle;

		assert_int_equal(send_text(&queue, queue.ops->type_plain, "left"), 0);
		remove_it(queue.class, &queue.info);
		assert_int_equal(queue.ops->perm(queue.in, &perm), -EIDRM);
		assert_int_equal(perm.mode, outlives ? 0600 : 0);
		assert_int_equal(queue.ops->fstat(queue.in, &now), -EIDRM);
		if (!queue.ops->pollable)
			assert_int_equal(send_text(&queue, queue.ops->type_plain, "more"), -EIDRM);
		if (outlives) {
			assert_int_equal(queue.ops->ready(queue.in, 0), POLLIN | POLLOUT);
			assert_next(&queue, 0, queue.ops->type_plain, "left");
		}
		assert_int_equal(queue.ops->ready(queue.in, 0), -EIDRM);
		assert_no_message(&queue, 0, -EIDRM);
		assert_int_equal(queue.ops->open(space, &queue.info.ref, IPCFS_SEND, &handle),
				 -ENOENT);

		/* The name means another queue now, which is not touched. */
		assert_int_equal(make(queue.class, queue.info.ref.name, &now), 0);
		assert_int_equal(queue.ops->open(space, &queue.info.ref, IPCFS_SEND, &handle),
				 -EIDRM);
		assert_no_message(&queue, 0, -EIDRM);
		close_queue(&queue);
		remove_it(queue.class, &now);
	}
}

static void selectors_are_obeyed(void **state)
{
	struct queue queue = open_new(&ipcfs_sysv_msg, "private");

	(void)state;
	assert_int_equal(send_text(&queue, 5, "five"), 0);
	assert_int_equal(send_text(&queue, 3, "three"), 0);
	assert_int_equal(send_text(&queue, 9, "nine"), 0);
	assert_int_equal(send_sized(&queue, 7, NULL, 4000), 0);
	assert_int_equal(queue.ops->ready(queue.in, 9), POLLIN | POLLOUT);
	assert_int_equal(queue.ops->ready(queue.in, 7), POLLIN | POLLOUT);
	assert_int_equal(queue.ops->ready(queue.in, 4), POLLOUT);
	assert_int_equal(queue.ops->ready(queue.in, -3), POLLIN | POLLOUT);
	assert_int_equal(queue.ops->ready(queue.in, -2), POLLOUT);
	assert_int_equal(queue.ops->ready(queue.in, LONG_MIN), POLLIN | POLLOUT);
	assert_no_message(&queue, 4, -EAGAIN);
	assert_no_message(&queue, -2, -EAGAIN);
	assert_next(&queue, 9, 9, "nine");
	assert_next(&queue, -5, 3, "three");
	assert_next(&queue, -5, 5, "five");
	assert_no_message(&queue, -5, -EAGAIN);
	end_queue(&queue);
}

static void priorities_order(void **state)
{
	struct queue queue = open_new(&ipcfs_posix_mq, "order");

	(void)state;
	assert_int_equal(send_text(&queue, 0, "a"), 0);
	assert_int_equal(send_text(&queue, 7, "b"), 0);
	assert_int_equal(send_text(&queue, 7, "c"), 0);
	assert_next(&queue, 0, 7, "b");
	assert_next(&queue, 0, 7, "c");
	assert_next(&queue, 0, 0, "a");
	end_queue(&queue);
}

static void peeking_takes_nothing(void **state)
{
	struct queue queue = open_new(&ipcfs_sysv_msg, "0x51");
	struct ipcfs_message *message = message_of(8192);
	char big[4000];

	(void)state;
	memset(big, 'b', sizeof(big));
	assert_int_equal(queue.ops->peek(queue.in, 0, message, 8192), -ENOENT);
	assert_int_equal(send_text(&queue, 5, "first"), 0);
	assert_int_equal(send_sized(&queue, 6, NULL, 0), 0);
	assert_int_equal(send_sized(&queue, 7, big, sizeof(big)), 0);
	for (int twice = 0; twice < 2; twice++) {
		assert_int_equal(queue.ops->peek(queue.in, 0, message, 8192), 5);
		assert_int_equal(message->type, 5);
		assert_memory_equal(message->text, "first", 5);
		assert_int_equal(queue.ops->peek(queue.in, 1, message, 0), 0);
		assert_int_equal(message->type, 6);
		assert_int_equal(queue.ops->peek(queue.in, 2, message, 3), 3);
		assert_int_equal(message->type, 7);
		assert_memory_equal(message->text, "bbbst", 5);
		assert_int_equal(queue.ops->peek(queue.in, 2, message, 8192), sizeof(big));
		assert_memory_equal(message->text, big, sizeof(big));
		assert_int_equal(queue.ops->peek(queue.in, 3, message, 8192), -ENOENT);
		assert_int_equal(queue.ops->peek(queue.in, SIZE_MAX, message, 8192), -ENOENT);
	}
	assert_next(&queue, 0, 5, "first");
	end_queue(&queue);
	assert_int_equal(queue.ops->peek(queue.in, 0, message, 8192), -EIDRM);
	free(message);
}

struct waiting {
	struct queue *queue;
	long selector, type;
	int result;
	bool send;
};

static void *wait_in_thread(void *arg)
{
	struct waiting *waiting = arg;
	const struct ipcfs_queue_ops *ops = waiting->queue->ops;
	struct ipcfs_message *message = message_of(8192);

	message->type = 1;
	if (waiting->send)
		waiting->result = ops->send(waiting->queue->out, message, 8192, true);
	else
		waiting->result = ops->wait(waiting->queue->in, waiting->selector, &waiting->type);
	free(message);
	return NULL;
}

static pthread_t start_waiting(struct waiting *waiting)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, wait_in_thread, waiting), 0);
	usleep(50000);
	return thread;
}

static void on_signal(int number)
{
	(void)number;
}

/* Sends signals until the thread ends: the first one may come before it waits. */
static void interrupt(pthread_t thread)
{
	do {
		assert_int_equal(pthread_kill(thread, SIGUSR1), 0);
		usleep(10000);
	} while (pthread_tryjoin_np(thread, NULL));
}

static void waiting_ends(void **state)
{
	struct queue queue = open_new(&ipcfs_sysv_msg, "private");
	struct waiting waiting = { .queue = &queue, .selector = 4 };
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t thread;

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);

	/* A message wakes the waiter, and stays. */
	assert_int_equal(send_text(&queue, 3, "not this"), 0);
	thread = start_waiting(&waiting);
	assert_int_equal(send_text(&queue, 4, "this"), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(waiting.result, 0);
	assert_next(&queue, 4, 4, "this");

	/* An empty message wakes it, and is taken. */
	thread = start_waiting(&waiting);
	assert_int_equal(send_sized(&queue, 4, NULL, 0), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(waiting.result, 1);
	assert_int_equal(waiting.type, 4);
	assert_no_message(&queue, 4, -EAGAIN);

	/* A signal wakes it; also one that sends to a full queue. */
	thread = start_waiting(&waiting);
	interrupt(thread);
	assert_int_equal(waiting.result, -EINTR);
	assert_int_equal(send_sized(&queue, 5, NULL, 8192), 0);
	waiting.send = true;
	thread = start_waiting(&waiting);
	interrupt(thread);
	assert_int_equal(waiting.result, -EINTR);

	/* Room in the queue wakes it. */
	thread = start_waiting(&waiting);
	assert_next(&queue, 3, 3, "not this");
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(waiting.result, 0);

	/* Removal wakes it. */
	thread = start_waiting(&waiting);
	end_queue(&queue);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(waiting.result, -EIDRM);
}

/* The kernel would let the sender sleep for ever. */
static void sending_waits_for_no_impossible_room(void **state)
{
	struct queue queue = open_new(&ipcfs_sysv_msg, "private");
	struct ipcfs_change less = { .mask = IPCFS_CHANGE_MAX_BYTES, .max_bytes = 100 };
	struct ipcfs_message *message = message_of(101);
	struct ipcfs_caller root = root_caller();

	(void)state;
	assert_int_equal(ipcfs_sysv_msg.change(space, &queue.info.ref, &less, &root), 0);
	message->type = 1;
	assert_int_equal(queue.ops->send(queue.out, message, 101, true), -EMSGSIZE);
	assert_int_equal(queue.ops->send(queue.out, message, 101, false), -EMSGSIZE);
	assert_int_equal(queue.ops->send(queue.out, message, 100, true), 0);
	message->type = 0;
	assert_int_equal(queue.ops->send(queue.out, message, 1, true), -EINVAL);
	free(message);
	end_queue(&queue);
}

static void descriptors_can_be_polled(void **state)
{
	struct queue queue = open_new(&ipcfs_posix_mq, "poll");
	struct pollfd fd = { .fd = queue.in, .events = POLLIN };

	(void)state;
	assert_true(queue.ops->pollable);
	assert_int_equal(poll(&fd, 1, 0), 0);
	assert_int_equal(send_text(&queue, 0, "x"), 0);
	assert_int_equal(poll(&fd, 1, 0), 1);
	end_queue(&queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_pass_unchanged),
		cmocka_unit_test(long_messages_are_refused),
		cmocka_unit_test(types_have_a_range),
		cmocka_unit_test(full_queues_say_so),
		cmocka_unit_test(removed_queues_end),
		cmocka_unit_test(selectors_are_obeyed),
		cmocka_unit_test(priorities_order),
		cmocka_unit_test(peeking_takes_nothing),
		cmocka_unit_test(waiting_ends),
		cmocka_unit_test(sending_waits_for_no_impossible_room),
		cmocka_unit_test(descriptors_can_be_polled),
	};

	return cmocka_run_group_tests(tests, enter_namespace, leave_namespace);
}
