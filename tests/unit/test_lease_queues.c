/* SPDX-License-Identifier: MIT */
/* Queues that the daemon closes while messages for them are kept. */
#include "leases_stage.h"

/* Returns how many descriptors the process has that are of queues. */
static unsigned count_queues(pid_t process)
{
	char path[64], target[64];
	unsigned count = 0;

	for (int number = 0; number < 64; number++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", process, number);
		count += readlink(path, target, sizeof(target)) > 0 && number > 1;
	}
	return count;
}

/* The last of these is told to the helper after the first was closed. */
static struct queue opened[3];

static void keep_and_close(struct queue *queue)
{
	long plain = queue->ops->type_plain;

	queue->ops->forget(keep(&opened[0], plain, "one"));
	keep(&opened[1], plain, "two");
	close_queue(&opened[0]);
	keep(&opened[2], plain, "three");
}

static void the_helper_closes_a_queue_with_the_daemon(void **state)
{
	struct queue queue = new_queue(&ipcfs_posix_mq, 15);
	pid_t daemon, sender;

	(void)state;
	for (int i = 0; i < 3; i++)
		opened[i] = queue_of(queue.class, &queue.info);
	daemon = start_daemon(keep_and_close, &queue);
	sender = child_of(daemon);
	for (unsigned tried = 0; count_queues(sender) != 2 && more_tries(&tried);)
		;
	assert_int_equal(count_queues(sender), 2);
	kill_daemon(daemon);
	assert_comes(&queue, queue.ops->type_plain, "two");
	assert_comes(&queue, queue.ops->type_plain, "three");
	assert_ends(sender);
	for (int i = 0; i < 3; i++)
		close_queue(&opened[i]);
	end_queue(&queue);
}

static void keep_and_close_all(struct queue *queue)
{
	keep(queue, queue->ops->type_plain, "one");
	close_queue(queue);
}

static void a_daemon_that_closes_its_queues_as_it_ends_leaves_its_messages(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue queue = new_queue(class, 17);
		pid_t sender = kill_daemon(start_daemon(keep_and_close_all, &queue));

		assert_comes(&queue, queue.ops->type_plain, "one");
		assert_ends(sender);
		end_queue(&queue);
	}
}

/* The queue that is full, of a pair. */
static struct queue *full;

/* Two queues, one after the other, by the same descriptor. */
static void keep_in_two_by_one_number(struct queue *queue)
{
	struct queue again = *full;

	queue->ops->forget(keep(&again, queue->ops->type_plain, "gone"));
	close_queue(&again);
	again = queue_of(queue->class, &queue->info);
	if (again.out != full->out)
		_exit(1);
	keep(&again, queue->ops->type_plain, "here");
}

static void a_number_that_is_used_again_is_another_queue(void **state)
{
	struct queue first = new_queue(&ipcfs_posix_mq, 18),
		     second = new_queue(&ipcfs_posix_mq, 19);
	pid_t sender;

	(void)state;
	full = &first;
	sender = kill_daemon(start_daemon(keep_in_two_by_one_number, &second));
	assert_comes(&second, second.ops->type_plain, "here");
	assert_ends(sender);
	assert_empty(&first);
	end_queue(&first);
	end_queue(&second);
}

/* A queue that is closed while messages for it are kept, and another one that is opened then. */
static void keep_and_close_and_open(struct queue *queue)
{
	struct queue again = *full;
	uint64_t gone = keep(&again, queue->ops->type_plain, "gone");
	uint64_t stays = keep(&again, queue->ops->type_plain, "stays");
	int descriptor = again.out;

	close_queue(&again);
	again = queue_of(queue->class, &queue->info);
	keep(&again, queue->ops->type_plain, "here");
	queue->ops->forget(gone);
	if (queue->class->family[0] == 'p' && fcntl(descriptor, F_GETFD) < 0)
		_exit(1); /* the number would be free */
	queue->ops->forget(stays);
	if (queue->class->family[0] == 'p' && fcntl(descriptor, F_GETFD) >= 0)
		_exit(1);
	again = *full;
	again.out = queue_of(queue->class, &full->info).out;
	keep(&again, queue->ops->type_plain, "stays");
	close_queue(&again);
	again = queue_of(queue->class, &queue->info);
	keep(&again, queue->ops->type_plain, "too");
}

static void a_queue_that_is_closed_gets_its_messages_and_no_other_one(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue first = new_queue(class, 20), second = new_queue(class, 21);
		pid_t sender;

		full = &first;
		sender = kill_daemon(start_daemon(keep_and_close_and_open, &second));
		assert_comes(&first, first.ops->type_plain, "stays");
		assert_comes(&second, second.ops->type_plain, "here");
		assert_comes(&second, second.ops->type_plain, "too");
		assert_ends(sender);
		assert_empty(&first);
		assert_empty(&second);
		end_queue(&first);
		end_queue(&second);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_helper_closes_a_queue_with_the_daemon),
		cmocka_unit_test(a_daemon_that_closes_its_queues_as_it_ends_leaves_its_messages),
		cmocka_unit_test(a_number_that_is_used_again_is_another_queue),
		cmocka_unit_test(a_queue_that_is_closed_gets_its_messages_and_no_other_one),
	};

	if (prctl(PR_SET_CHILD_SUBREAPER, 1)) /* of the helpers that outlive their daemon */
		return 1;
	return cmocka_run_group_tests(tests, enter_namespace, leave_namespace);
}
