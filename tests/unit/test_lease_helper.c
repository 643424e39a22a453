/* SPDX-License-Identifier: MIT */
/* The helper that sends kept messages: it is killed, stopped, replaced, and may do little. */
#include <dirent.h>
#include <linux/capability.h>

#include "leases_stage.h"

static void keep_while_senders_are_killed(struct queue *queue)
{
	long plain = queue->ops->type_plain;
	uint64_t number;

	keep(queue, plain, "before");
	number = keep(queue, plain, "done");
	kill_sender();
	if (ipcfs_leases_check())
		_exit(1);
	kill_sender();
	keep(queue, plain, "between");
	kill_sender();
	queue->ops->forget(number);
	if (ipcfs_leases_check() || ipcfs_leases_check())
		_exit(1);
}

static void a_killed_helper_is_replaced_and_nothing_is_lost(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue queue = new_queue(class, 5);
		pid_t sender = kill_daemon(start_daemon(keep_while_senders_are_killed, &queue));

		assert_comes(&queue, queue.ops->type_plain, "before");
		assert_comes(&queue, queue.ops->type_plain, "between");
		assert_ends(sender);
		assert_empty(&queue);
		end_queue(&queue);
	}
}

static void keep_then_kill_idle_sender(struct queue *queue)
{
	keep_and_forget(queue);
	kill_sender();
	if (ipcfs_leases_check() || child_of(getpid()))
		_exit(1);
}

static void a_killed_helper_that_has_nothing_is_not_replaced(void **state)
{
	struct queue queue = new_queue(&ipcfs_posix_mq, 6);

	(void)state;
	assert_int_equal(kill_daemon(start_daemon(keep_then_kill_idle_sender, &queue)), 0);
	end_queue(&queue);
}

static void stop_sender(void)
{
	pid_t sender = child_of(getpid());
	siginfo_t info;

	if (!sender || kill(sender, SIGSTOP) ||
	    waitid(P_PID, (id_t)sender, &info, WSTOPPED | WNOWAIT))
		_exit(1);
}

static void keep_while_sender_is_stopped(struct queue *queue)
{
	keep(queue, queue->ops->type_plain, "before");
	stop_sender();
	keep(queue, queue->ops->type_plain, "after");
}

static void a_stopped_helper_goes_on_when_the_daemon_has_ended(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue queue = new_queue(class, 7);
		pid_t sender = kill_daemon(start_daemon(keep_while_sender_is_stopped, &queue));

		assert_comes(&queue, queue.ops->type_plain, "before");
		assert_comes(&queue, queue.ops->type_plain, "after");
		assert_ends(sender);
		end_queue(&queue);
	}
}

static void keep_many_while_sender_is_stopped(struct queue *queue)
{
	uint64_t number = keep(queue, queue->ops->type_plain, "one");
	pid_t stopped;

	stop_sender();
	stopped = child_of(getpid());
	queue->ops->forget(number);
	/* each takes an order for its descriptor, and one when that is closed */
	for (int i = 0; i < 1000; i++) {
		struct queue again = queue_of(queue->class, &queue->info);

		queue->ops->forget(keep(&again, queue->ops->type_plain, "two"));
		close_queue(&again);
	}
	if (child_of(getpid()) == stopped)
		_exit(1);
	keep(queue, queue->ops->type_plain, "three");
}

static void a_helper_that_takes_no_orders_is_replaced(void **state)
{
	struct queue queue = new_queue(&ipcfs_posix_mq, 8);
	pid_t sender = kill_daemon(start_daemon(keep_many_while_sender_is_stopped, &queue));

	(void)state;
	assert_comes(&queue, queue.ops->type_plain, "three");
	assert_ends(sender);
	assert_empty(&queue);
	end_queue(&queue);
}

static int refuse(void)
{
	return -EPERM;
}

static void keep_without_process(struct queue *queue)
{
	const struct ipcfs_message *message = message_of(queue->ops->type_plain, "none");
	uint64_t number;

	if (ipcfs_leases_start(refuse) != -ENOLCK)
		_exit(1);
	if (queue->ops->keep(queue->out, message, 4, 0, &number) != -ENOLCK)
		_exit(1);
	if (child_of(getpid()))
		_exit(1);
	if (ipcfs_leases_start(NULL) || !child_of(getpid()))
		_exit(1);
	keep(queue, queue->ops->type_plain, "kept");
}

static void a_helper_that_does_not_start_is_told(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue queue = new_queue(class, 9);
		pid_t sender = kill_daemon(start_daemon(keep_without_process, &queue));

		assert_comes(&queue, queue.ops->type_plain, "kept");
		assert_ends(sender);
		assert_empty(&queue);
		end_queue(&queue);
	}
}

static unsigned long long status_of(pid_t process, const char *field, int base)
{
	char path[64], line[256];
	unsigned long long value = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", process);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, field, strlen(field)))
			value = strtoull(line + strlen(field), NULL, base);
	fclose(file);
	return value;
}

static unsigned count_descriptors(pid_t process)
{
	char path[64];
	unsigned number = 0;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/fd", process);
	directory = opendir(path);
	assert_non_null(directory);
	while (readdir(directory))
		number++;
	closedir(directory);
	return number - 2; /* . and .. */
}

/* Waits until the process has this many descriptors. */
static void assert_descriptors(pid_t process, unsigned number)
{
	for (unsigned tried = 0; count_descriptors(process) != number && more_tries(&tried);)
		;
	assert_int_equal(count_descriptors(process), number);
}

static void the_helper_has_one_capability_and_few_descriptors(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue queue = new_queue(class, 14);
		pid_t daemon = start_daemon(keep_one, &queue), sender = child_of(daemon);
		uint64_t mine = status_of(getpid(), "CapPrm:", 16) & 1ULL << CAP_IPC_OWNER;

		assert_true(status_of(sender, "CapEff:", 16) == mine);
		assert_true(status_of(sender, "CapPrm:", 16) == mine);
		assert_true(status_of(sender, "CapInh:", 16) == 0);
		/* the socket, the messages, the queue */
		assert_descriptors(sender, class == &ipcfs_posix_mq ? 3 : 2);
		kill_daemon(daemon);
		assert_comes(&queue, queue.ops->type_plain, "one");
		assert_ends(sender);
		end_queue(&queue);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_killed_helper_is_replaced_and_nothing_is_lost),
		cmocka_unit_test(a_killed_helper_that_has_nothing_is_not_replaced),
		cmocka_unit_test(a_stopped_helper_goes_on_when_the_daemon_has_ended),
		cmocka_unit_test(a_helper_that_takes_no_orders_is_replaced),
		cmocka_unit_test(a_helper_that_does_not_start_is_told),
		cmocka_unit_test(the_helper_has_one_capability_and_few_descriptors),
	};

	if (prctl(PR_SET_CHILD_SUBREAPER, 1)) /* of the helpers that outlive their daemon */
		return 1;
	return cmocka_run_group_tests(tests, enter_namespace, leave_namespace);
}
