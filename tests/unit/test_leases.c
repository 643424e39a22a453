/* SPDX-License-Identifier: MIT */
/* Messages that are kept come back when their daemon has ended. */
#include "leases_stage.h"

static void keep_three(struct queue *queue)
{
	long plain = queue->ops->type_plain;
	uint64_t number;

	keep(queue, plain + 2, "first");
	number = keep(queue, plain + 2, "done");
	keep(queue, plain + 2, "");
	queue->ops->forget(number);
	/* gets the place of the one that was forgotten */
	keep(queue, plain + 2, "third");
}

static void a_killed_daemon_leaves_its_messages_in_the_queue(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue queue = new_queue(class, 1);
		long type = queue.ops->type_plain + 2;
		pid_t daemon = start_daemon(keep_three, &queue), sender;

		assert_empty(&queue);
		sender = kill_daemon(daemon);
		assert_comes(&queue, type, "first");
		assert_comes(&queue, type, "");
		assert_comes(&queue, type, "third");
		assert_ends(sender);
		assert_empty(&queue);
		end_queue(&queue);
	}
}

static void what_was_forgotten_is_not_sent(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue queue = new_queue(class, 2);

		assert_ends(kill_daemon(start_daemon(keep_and_forget, &queue)));
		assert_empty(&queue);
		end_queue(&queue);
	}
}

static void keep_and_exit(struct queue *queue)
{
	keep(queue, queue->ops->type_plain, "left");
	_exit(0);
}

static void an_orderly_end_is_the_same(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue queue = new_queue(class, 3);
		pid_t daemon = fork();

		if (!daemon)
			keep_and_exit(&queue);
		assert_int_equal(waitpid(daemon, NULL, 0), daemon);
		assert_comes(&queue, queue.ops->type_plain, "left");
		assert_ends(-1);
		end_queue(&queue);
	}
}

/* As many large messages as the queue has room for, and many small ones. */
static void keep_large(struct queue *queue)
{
	struct ipcfs_message *message = calloc(1, sizeof(*message) + 8192);
	uint64_t number;

	if (!message)
		_exit(1);
	message->type = queue->ops->type_plain;
	memset(message->text, 'x', 8192);
	for (int i = 0; i < 1000; i++) {
		if (queue->ops->keep(queue->out, message, 8192, 0, &number))
			_exit(1);
		if (i != 500)
			queue->ops->forget(number);
	}
	free(message);
}

static void large_messages_are_kept_whole(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue queue = new_queue(class, 4);
		pid_t sender = kill_daemon(start_daemon(keep_large, &queue));
		char text[8193] = "";

		memset(text, 'x', 8192);
		assert_comes(&queue, queue.ops->type_plain, text);
		assert_ends(sender);
		assert_empty(&queue);
		end_queue(&queue);
	}
}

/* Returns the bytes of memory that the file of the kept messages takes. */
static long long kept_bytes(void)
{
	char path[32], link[32];
	struct stat st;

	for (int fd = 0; fd < 256; fd++) {
		ssize_t size;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		size = readlink(path, link, sizeof(link));
		if (size > 19 && !memcmp(link, "/memfd:ipcfs-leases", 19) && !fstat(fd, &st))
			return st.st_blocks * 512LL;
	}
	return -1;
}

static void keep_and_forget_many(struct queue *queue)
{
	uint64_t numbers[64];

	for (int i = 0; i < 64; i++)
		numbers[i] = keep(queue, queue->ops->type_plain, "done");
	if (kept_bytes() <= 0)
		_exit(1);
	for (int i = 0; i < 64; i++)
		queue->ops->forget(numbers[i]);
	if (kept_bytes() != 0)
		_exit(1);
}

static void what_was_forgotten_takes_no_memory(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue queue = new_queue(class, 5);

		assert_ends(kill_daemon(start_daemon(keep_and_forget_many, &queue)));
		assert_empty(&queue);
		end_queue(&queue);
	}
}

/* The queue that is full, of a pair. */
static struct queue *full;

static void keep_in_two(struct queue *queue)
{
	keep(full, full->ops->type_plain, "first");
	keep(queue, queue->ops->type_plain, "free");
	keep(full, full->ops->type_plain, "two");
}

static void a_full_queue_is_waited_for_and_holds_up_no_other(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue first = new_queue(class, 10), second = new_queue(class, 11);
		unsigned sent = 0;
		pid_t sender;

		while (!send_text(&first,
				  "full!")) /* System V: leaves 4 bytes of 16384, room for "two" */
			sent++;
		full = &first;
		sender = kill_daemon(start_daemon(keep_in_two, &second));
		assert_comes(&second, second.ops->type_plain, "free");
		assert_true(is_running(sender));
		for (; sent; sent--)
			assert_comes(&first, first.ops->type_plain, "full!");
		assert_comes(&first, first.ops->type_plain, "first");
		assert_comes(&first, first.ops->type_plain, "two");
		assert_ends(sender);
		end_queue(&first);
		end_queue(&second);
	}
}

static void a_removed_queue_ends_the_wait(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue queue = new_queue(class, 12);
		pid_t sender;

		while (!send_text(&queue, "full"))
			;
		sender = kill_daemon(start_daemon(keep_one, &queue));
		pause_ms(50);
		assert_true(is_running(sender));
		end_queue(&queue);
		assert_ends(sender);
	}
}

static void a_queue_of_another_user_without_any_mode_gets_its_message(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct ipcfs_caller other = other_caller();
		struct ipcfs_info info;
		struct ipcfs_change none = { .mask = IPCFS_CHANGE_MODE };
		struct queue queue;
		pid_t sender;

		assert_int_equal(make_as(other, class, name_for(class, 13), &info), 0);
		queue = queue_of(class, &info);
		assert_int_equal(class->change(space, &info.ref, &none, &other), 0);
		sender = kill_daemon(start_daemon(keep_one, &queue));
		assert_comes(&queue, queue.ops->type_plain, "one");
		assert_ends(sender);
		end_queue(&queue);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_killed_daemon_leaves_its_messages_in_the_queue),
		cmocka_unit_test(what_was_forgotten_is_not_sent),
		cmocka_unit_test(an_orderly_end_is_the_same),
		cmocka_unit_test(large_messages_are_kept_whole),
		cmocka_unit_test(what_was_forgotten_takes_no_memory),
		cmocka_unit_test(a_full_queue_is_waited_for_and_holds_up_no_other),
		cmocka_unit_test(a_removed_queue_ends_the_wait),
		cmocka_unit_test(a_queue_of_another_user_without_any_mode_gets_its_message),
	};

	if (prctl(PR_SET_CHILD_SUBREAPER, 1)) /* of the helpers that outlive their daemon */
		return 1;
	return cmocka_run_group_tests(tests, enter_namespace, leave_namespace);
}
