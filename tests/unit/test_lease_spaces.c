/* SPDX-License-Identifier: MIT */
/* Messages that are kept in other IPC namespaces. */
#include <sys/msg.h>

#include "leases_stage.h"

#include "backends/space/reference.h"

/* Another IPC namespace, with a process and a System V queue in it. */
static struct {
	pid_t member;
	uint64_t inode;
	int queue;
} other;

static int make_namespace(int number)
{
	return unshare(CLONE_NEWIPC) || msgget(number, IPC_CREAT | IPC_EXCL | 0600) != 0;
}

/* Begins another namespace. Its first queue has the id 0, as that of every new one. */
static void begin_other(void)
{
	other.member = start_process(make_namespace, 77);
	other.inode = ipcfs_namespace_of(other.member);
	other.queue = 0;
	assert_int_not_equal(other.inode, ipcfs_namespace_of(getpid()));
}

static void check(bool good)
{
	if (!good)
		_exit(1);
}

/* Goes to the other namespace as a request does. Returns its space, with a reference. */
static struct ipcfs_space *visit_other(void)
{
	struct ipcfs_space *home, *there;

	check(!ipcfs_space_open_home(&home));
	check(!ipcfs_space_open_of(other.member, &there));
	check(!ipcfs_space_visit(there));
	return there;
}

static uint64_t keep_there(const char *text)
{
	const struct queue queue = { .ops = ipcfs_sysv_msg.queue, .out = other.queue };

	return keep(&queue, 1, text);
}

/* Returns whether the other namespace's queue gets this message. */
static bool comes_there(const char *text)
{
	pid_t receiver = fork();
	int status;

	if (!receiver) {
		struct {
			long type;
			char text[64];
		} message = { 0 };
		char path[64];
		ssize_t size = -1;
		int ns;

		snprintf(path, sizeof(path), "/proc/%d/ns/ipc", other.member);
		ns = open(path, O_RDONLY | O_CLOEXEC);
		check(ns >= 0 && !setns(ns, CLONE_NEWIPC));
		for (unsigned tried = 0; size < 0 && more_tries(&tried);)
			size = msgrcv(other.queue, &message, sizeof(message.text), 0, IPC_NOWAIT);
		_exit(strcmp(message.text, text) != 0);
	}
	assert_int_equal(waitpid(receiver, &status, 0), receiver);
	return !status;
}

static void keep_in_namespaces(struct queue *queue)
{
	const struct queue there = { .ops = ipcfs_sysv_msg.queue, .out = other.queue };

	(void)visit_other();
	keep(&there, 1, "there");
	/* a POSIX queue is known by its descriptor, wherever the thread is */
	if (queue->class == &ipcfs_sysv_msg)
		ipcfs_space_go_home();
	keep(queue, queue->ops->type_plain, "home");
	/* from another thread's place, the helpers of both are replaced */
	kill_sender();
	check(!ipcfs_leases_check());
	kill_sender();
	check(!ipcfs_leases_check());
	ipcfs_space_go_home();
}

static void messages_come_back_in_their_namespace(void **state)
{
	(void)state;
	FOR_EACH_QUEUE(class)
	{
		struct queue queue = new_queue(class, 16);

		begin_other();
		if (class == &ipcfs_sysv_msg) /* the queues have the same id */
			assert_int_equal(queue.out, other.queue);
		(void)kill_daemon(start_daemon(keep_in_namespaces, &queue));
		assert_comes(&queue, queue.ops->type_plain, "home");
		assert_true(comes_there("there"));
		assert_ends(-1);
		assert_ends(-1);
		assert_empty(&queue);
		end_process(other.member);
		end_queue(&queue);
	}
}

static int count_members(void *arg, uint64_t inode, pid_t pid)
{
	(void)pid;
	*(int *)arg += inode == other.inode;
	return 0;
}

static void keep_until_the_namespace_ends(struct queue *queue)
{
	struct ipcfs_space *there = visit_other();
	uint64_t number = keep_there("pointless"), none;
	const struct ipcfs_space *before;
	int members = 0;

	(void)queue;
	ipcfs_space_go_home();
	check(child_of(getpid()) > 0);
	check(!ipcfs_namespace_each(count_members, &members) && members == 1);
	check(!ipcfs_space_enter(there, &before));
	ipcfs_space_end(there);
	check(!child_of(getpid()));
	check(ipcfs_sysv_msg.queue->keep(other.queue, message_of(1, "late"), 4, 0, &none) ==
	      -ENOLCK);
	ipcfs_space_leave(before);
	ipcfs_sysv_msg.queue->forget(number);
	ipcfs_space_unref(there);
}

static void a_namespace_that_has_ended_has_no_helper(void **state)
{
	(void)state;
	begin_other();
	assert_int_equal(kill_daemon(start_daemon(keep_until_the_namespace_ends, NULL)), 0);
	end_process(other.member);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_come_back_in_their_namespace), /* first, for its ids */
		cmocka_unit_test(a_namespace_that_has_ended_has_no_helper),
	};

	if (prctl(PR_SET_CHILD_SUBREAPER, 1)) /* of the helpers that outlive their daemon */
		return 1;
	return cmocka_run_group_tests(tests, enter_namespace, leave_namespace);
}
