/* SPDX-License-Identifier: MIT */
/* Messages that are kept go on with the next worker. The test is the supervisor. */
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "leases_stage.h"

/* Shared with the workers. */
static struct {
	uint64_t one, two;
} * numbers;

static int line[2];
static int entrusted[IPCFS_LEASES_DESCRIPTORS] = { -1, -1, -1 };

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(entrusted))];
};

static struct msghdr message_with(union control *control, struct iovec *bytes)
{
	*control = (union control){ .header = { .cmsg_len = CMSG_LEN(sizeof(entrusted)),
						.cmsg_level = SOL_SOCKET,
						.cmsg_type = SCM_RIGHTS } };
	return (struct msghdr){ .msg_iov = bytes,
				.msg_iovlen = 1,
				.msg_control = control,
				.msg_controllen = sizeof(*control) };
}

static int entrust(void *arg, const int descriptors[IPCFS_LEASES_DESCRIPTORS])
{
	union control control;
	struct iovec bytes = { (void *)"", 1 };
	struct msghdr message = message_with(&control, &bytes);

	(void)arg;
	memcpy(CMSG_DATA(&control.header), descriptors, sizeof(entrusted));
	return sendmsg(line[1], &message, 0) == 1 ? 0 : -errno;
}

/* Takes what a worker has entrusted. */
static void take_entrusted(void)
{
	union control control;
	char byte;
	struct iovec bytes = { &byte, 1 };
	struct msghdr message = message_with(&control, &bytes);

	assert_int_equal(recvmsg(line[0], &message, MSG_DONTWAIT), 1);
	for (int i = 0; i < IPCFS_LEASES_DESCRIPTORS; i++)
		if (entrusted[i] >= 0)
			close(entrusted[i]);
	memcpy(entrusted, CMSG_DATA(&control.header), sizeof(entrusted));
}

static void end_supervisor(void)
{
	for (int i = 0; i < IPCFS_LEASES_DESCRIPTORS; i++) {
		close(entrusted[i]);
		entrusted[i] = -1;
	}
}

static void check(bool good)
{
	if (!good)
		_exit(1);
}

static uint64_t keep_for(const struct queue *queue, const char *text, uint64_t owner)
{
	uint64_t number = 0;

	check(!queue->ops->keep(queue->out, message_of(queue->ops->type_plain, text), strlen(text),
				owner, &number));
	return number;
}

static void first_worker(struct queue *queue)
{
	ipcfs_leases_entrust(entrust, NULL);
	check(!ipcfs_leases_start(NULL));
	numbers->one = keep_for(queue, "one", 0);
	numbers->two = keep_for(queue, "two", 0);
	(void)keep_for(queue, "for 7", 7);
	queue->ops->forget(numbers->two);
	(void)keep_for(queue, "left", 0);
}

static void second_worker(struct queue *queue)
{
	struct queue again = queue_of(queue->class, &queue->info);

	ipcfs_leases_entrust(entrust, NULL);
	check(!ipcfs_leases_inherit(entrusted));
	check(!ipcfs_leases_start(NULL));
	check(!child_of(getpid())); /* the process goes on */
	check(again.ops->kept(again.out, numbers->one));
	check(!again.ops->kept(again.out, numbers->two));
	again.ops->forget(keep_for(&again, "not this text", 7));
	check(keep_for(&again, "new", 7) != numbers->one);
	check(ipcfs_leases_settle() == 1);
}

static void messages_go_on_with_the_next_worker(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue queue = new_queue(class, 21);

		kill_daemon(start_daemon(first_worker, &queue));
		take_entrusted();
		kill_daemon(start_daemon(second_worker, &queue));
		pause_ms(50);
		assert_empty(&queue);
		end_supervisor();
		assert_comes(&queue, queue.ops->type_plain, "one");
		assert_comes(&queue, queue.ops->type_plain, "left");
		assert_comes(&queue, queue.ops->type_plain, "new");
		assert_ends(-1);
		assert_empty(&queue);
		end_queue(&queue);
	}
}

static void third_worker(struct queue *queue)
{
	struct pollfd life = { .fd = entrusted[2], .events = POLLIN };

	(void)queue;
	ipcfs_leases_entrust(entrust, NULL);
	check(!ipcfs_leases_inherit(entrusted));
	/* a process that the worker has not made */
	check(!syscall(SYS_pidfd_send_signal, entrusted[2], SIGKILL, NULL, 0));
	check(poll(&life, 1, 10000) == 1);
	check(queue->ops->kept(queue->out, numbers->one));
	check(!ipcfs_leases_check());
	check(child_of(getpid()));
}

static void the_next_worker_replaces_a_process_that_was_killed(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue queue = new_queue(class, 22);

		kill_daemon(start_daemon(first_worker, &queue));
		take_entrusted();
		kill_daemon(start_daemon(third_worker, &queue));
		assert_true(waitpid(-1, NULL, 0) > 0);
		take_entrusted();
		end_supervisor();
		assert_comes(&queue, queue.ops->type_plain, "one");
		assert_comes(&queue, queue.ops->type_plain, "for 7");
		assert_comes(&queue, queue.ops->type_plain, "left");
		assert_ends(-1);
		end_queue(&queue);
	}
}

static void worker_that_drops(struct queue *queue)
{
	ipcfs_leases_entrust(entrust, NULL);
	check(!ipcfs_leases_inherit(entrusted));
	ipcfs_leases_abandon();
	check(!ipcfs_leases_start(NULL));
	check(!queue->ops->kept(queue->out, numbers->one));
}

static void what_is_abandoned_is_sent_at_once(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue queue = new_queue(class, 23);

		kill_daemon(start_daemon(first_worker, &queue));
		take_entrusted();
		kill_daemon(start_daemon(worker_that_drops, &queue));
		take_entrusted(); /* closes those of before */
		assert_comes(&queue, queue.ops->type_plain, "one");
		assert_comes(&queue, queue.ops->type_plain, "for 7");
		assert_comes(&queue, queue.ops->type_plain, "left");
		end_supervisor();
		assert_ends(-1);
		assert_ends(-1);
		end_queue(&queue);
	}
}

static int refuse_entrust(void *arg, const int descriptors[IPCFS_LEASES_DESCRIPTORS])
{
	(void)arg, (void)descriptors;
	return -EPIPE;
}

static void worker_that_fails(struct queue *queue)
{
	uint64_t number;

	ipcfs_leases_entrust(refuse_entrust, NULL);
	check(ipcfs_leases_start(NULL) == -EPIPE);
	(void)queue->ops->keep(queue->out, message_of(queue->ops->type_plain, "no"), 2, 0, &number);
}

static void a_process_that_was_not_entrusted_sends_nothing(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue queue = new_queue(class, 24);

		kill_daemon(start_daemon(worker_that_fails, &queue));
		assert_ends(-1);
		assert_empty(&queue);
		end_queue(&queue);
	}
}

static int begin(void **state)
{
	numbers = mmap(NULL, sizeof(*numbers), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (numbers == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line))
		return -1;
	return enter_namespace(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_go_on_with_the_next_worker),
		cmocka_unit_test(the_next_worker_replaces_a_process_that_was_killed),
		cmocka_unit_test(what_is_abandoned_is_sent_at_once),
		cmocka_unit_test(a_process_that_was_not_entrusted_sends_nothing),
	};

	if (prctl(PR_SET_CHILD_SUBREAPER, 1)) /* of the helpers that outlive their worker */
		return 1;
	return cmocka_run_group_tests(tests, begin, leave_namespace);
}
