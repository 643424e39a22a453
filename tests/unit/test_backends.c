/* SPDX-License-Identifier: MIT */
/* Finding, listing and reading attributes of objects through the backends' contract. Needs root. */
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/msg.h>

#include "backends/caller/act_as.h"
#include "ipc.h"

static void names_are_checked(void **state)
{
	char name[NAME_MAX + 2];
	struct ipcfs_info info;

	(void)state;
	memset(name, 'a', sizeof(name));
	name[NAME_MAX + 1] = '\0';
	FOR_EACH_KIND(class)
	{
		assert_int_equal(class->check_name(name), -ENAMETOOLONG);
		assert_int_equal(class->check_name(""), -EINVAL);
		assert_int_equal(class->find(space, "", &info), -ENOENT);
		assert_int_equal(class->find(space, ".", &info), -ENOENT);
		assert_int_equal(class->find(space, "..", &info), -ENOENT);
		assert_int_equal(class->find(space, "a/b", &info), -ENOENT);
		assert_int_equal(class->find(space, name, &info), -ENOENT);
	}
	name[NAME_MAX] = '\0';
	assert_int_equal(ipcfs_posix_mq.check_name(name), 0);
	assert_int_equal(ipcfs_posix_mq.check_name("\x01\xff\n "), 0);
	assert_int_equal(ipcfs_posix_mq.check_name("a/b"), -EINVAL);
	assert_int_equal(ipcfs_posix_mq.check_name("."), -EINVAL);
	assert_int_equal(ipcfs_posix_mq.check_name(".."), -EINVAL);
	assert_int_equal(ipcfs_posix_mq.check_name("..."), 0);
	assert_int_equal(ipcfs_sysv_msg.check_name("12"), -EINVAL);
	assert_int_equal(ipcfs_sysv_msg.find(space, "private", &info), -ENOENT);
	assert_int_equal(ipcfs_sysv_msg.find(space, "0x0", &info), -ENOENT);
}

static void what_is_made_is_found(void **state)
{
	(void)state;
	FOR_EACH_KIND(class)
	{
		const char *name = name_for(class, 0x4b45);
		struct ipcfs_info made, found, again;

		assert_int_equal(class->find(space, name, &found), -ENOENT);
		assert_int_equal(make(class, name, &made), 0);
		assert_string_equal(made.ref.name, name);
		assert_int_equal(made.perm.mode, 0600);
		assert_int_equal(make(class, name, &again), -EEXIST);
		assert_int_equal(class->find(space, name, &found), 0);
		assert_memory_equal(&found.ref, &made.ref, sizeof(found.ref));
		assert_memory_equal(&found.perm, &made.perm, sizeof(found.perm));
		assert_int_equal(class->stat_brief(space, &made.ref, &again), 0);
		assert_memory_equal(&again, &found, sizeof(found));
		assert_int_equal(class->stat(space, &made.ref, &found), 0);
		assert_memory_equal(&found, &made, sizeof(found));
		remove_it(class, &made);
		assert_int_equal(class->find(space, name, &found), -ENOENT);
		assert_int_equal(remove_as(root_caller(), class, &made), -ENOENT);
	}
}

static void old_refs_never_mean_new_objects(void **state)
{
	struct ipcfs_change change = { .mask = IPCFS_CHANGE_MODE, .mode = 0666 };
	struct ipcfs_caller root = root_caller();

	(void)state;
	FOR_EACH_KIND(class)
	{
		struct ipcfs_text text = { 0 };
		struct ipcfs_info old, new, now;

		assert_int_equal(make(class, name_for(class, 7), &old), 0);
		remove_it(class, &old);
		assert_int_equal(make(class, name_for(class, 7), &new), 0);
		assert_true(old.ref.serial != new.ref.serial);
		assert_int_equal(class->stat(space, &old.ref, &now), -ENOENT);
		assert_int_equal(class->status(space, &old.ref, &text), -ENOENT);
		assert_int_equal(class->change(space, &old.ref, &change, &root), -ENOENT);
		assert_int_equal(remove_as(root, class, &old), -ENOENT);
		assert_int_equal(class->stat(space, &new.ref, &now), 0);
		assert_int_equal(now.perm.mode, 0600);
		remove_it(class, &new);
		ipcfs_text_free(&text);
	}
}

static void system_v_names_have_spellings(void **state)
{
	struct ipcfs_info keyed, private, found;
	char id[32];

	(void)state;
	assert_int_equal(make(&ipcfs_sysv_msg, "0X000000ABCD", &keyed), 0);
	assert_string_equal(keyed.ref.name, "0x0000abcd");
	assert_int_equal(keyed.ref.key, 0xabcd);
	assert_int_equal(make(&ipcfs_sysv_msg, "private", &private), 0);
	snprintf(id, sizeof(id), "%d", (int)private.ref.serial);
	assert_string_equal(private.ref.name, id);
	assert_int_equal(private.ref.key, 0);
	assert_int_equal(ipcfs_sysv_msg.find(space, id, &found), 0);
	assert_memory_equal(&found, &private, sizeof(found));

	assert_int_equal(ipcfs_sysv_msg.find(space, "0xabcD", &found), 0);
	assert_memory_equal(&found, &keyed, sizeof(found));
	snprintf(id, sizeof(id), "%d", (int)keyed.ref.serial);
	assert_int_equal(ipcfs_sysv_msg.find(space, id, &found), 0);
	assert_memory_equal(&found, &keyed, sizeof(found));

	/* An old id: the same slot in the table, another sequence number. */
	snprintf(id, sizeof(id), "%d", (int)keyed.ref.serial + 32768);
	assert_int_equal(ipcfs_sysv_msg.find(space, id, &found), -ENOENT);
	remove_it(&ipcfs_sysv_msg, &keyed);
	remove_it(&ipcfs_sysv_msg, &private);
}

/* In a process that may read nothing: list and stat need no right. */
static int list_without_rights(void *arg)
{
	(void)arg;
	FOR_EACH_KIND(class)
	{
		int counts[3] = { 0 };

		if (ipcfs_walk_all(class, space, count, counts) || counts[0] != 2 || counts[1] != 1)
			return 1;
	}
	return 0;
}

static void list_shows_what_may_not_be_read(void **state)
{
	struct ipcfs_caller root = root_caller();
	struct ipcfs_caller nobody = other_caller();
	struct ipcfs_change change = { .mask = IPCFS_CHANGE_MODE, .mode = 0 };
	struct ipcfs_info made[32];
	int n = 0;

	(void)state;
	FOR_EACH_KIND(class)
	{
		int counts[3] = { 0 };

		assert_int_equal(ipcfs_walk_all(class, space, count, counts), 0);
		assert_int_equal(counts[0], 0);
		assert_int_equal(make_as(other_caller(), class, name_for(class, 1), &made[n]), 0);
		assert_int_equal(class->change(space, &made[n].ref, &change, &root), 0);
		n++;
		assert_int_equal(make(class, name_for(class, 2), &made[n++]), 0);
		counts[2] = 1;
		assert_int_equal(ipcfs_walk_all(class, space, count, counts), -ECANCELED);
		assert_int_equal(counts[0], 1);
		assert_in_range(class->at_most(space), 2, 20);
	}
	nobody.uid = nobody.gid = 65533;
	assert_int_equal(ipcfs_act_as(&nobody, list_without_rights, NULL, 0), 0);
	while (n--)
		remove_it(ipcfs_classes[n / 2], &made[n]);
}

static void many_are_listed(void **state)
{
	const struct ipcfs_class *class = &ipcfs_sysv_msg;
	struct ipcfs_info *made = calloc(1000, sizeof(*made));
	int counts[3] = { 0 };

	(void)state;
	assert_non_null(made);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(make(class, "private", &made[i]), 0);
	for (int i = 0; i < 1000; i += 2)
		remove_it(class, &made[i]);
	assert_int_equal(ipcfs_walk_all(class, space, count, counts), 0);
	assert_int_equal(counts[0], 500);
	assert_int_equal(class->at_most(space), 500);
	for (int i = 1; i < 1000; i += 2)
		remove_it(class, &made[i]);
	free(made);
}

static int be_notified(int fd)
{
	return mq_notify(fd, &(struct sigevent){ .sigev_notify = SIGEV_NONE });
}

static void status_tells_what_ipcs_does(void **state)
{
	struct ipcfs_info info;
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 10 };
	char line[64];
	pid_t child;
	mqd_t fd;

	(void)state;
	assert_int_equal(make_as(other_caller(), &ipcfs_sysv_msg, "0x77", &info), 0);
	assert_int_equal(msgsnd((int)info.ref.serial, &(long[2]){ 1 }, 5, 0), 0);
	assert_true(status_says(&ipcfs_sysv_msg, &info.ref, "class=sysv/msg\n"));
	assert_true(status_says(&ipcfs_sysv_msg, &info.ref, "name=0x00000077\nkey=0x00000077\n"));
	assert_true(status_says(&ipcfs_sysv_msg, &info.ref, "uid=4711\ngid=4712\ncuid=4711\n"));
	assert_true(status_says(&ipcfs_sysv_msg, &info.ref, "mode=0600\n"));
	assert_true(status_says(&ipcfs_sysv_msg, &info.ref, "messages=1\nbytes=5\n"));
	assert_true(status_says(&ipcfs_sysv_msg, &info.ref, "last_recv_time=0\n"));
	snprintf(line, sizeof(line), "last_send_pid=%d\n", getpid());
	assert_true(status_says(&ipcfs_sysv_msg, &info.ref, line));
	assert_true(status_says(&ipcfs_sysv_msg, &info.ref, "stale=unknown\n"));
	remove_it(&ipcfs_sysv_msg, &info);

	fd = mq_open("/it's\n", O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0640, &attr);
	assert_true(fd >= 0);
	assert_int_equal(mq_send(fd, "abc", 3, 0), 0);
	assert_int_equal(ipcfs_posix_mq.find(space, "it's\n", &info), 0);
	assert_true(status_says(&ipcfs_posix_mq, &info.ref, "name='it'\\''s\n'\n"));
	assert_true(status_says(&ipcfs_posix_mq, &info.ref, "mode=0640\nmessages=1\nbytes=3\n"));
	assert_true(status_says(&ipcfs_posix_mq, &info.ref, "max_messages=1\n"));
	assert_true(status_says(&ipcfs_posix_mq, &info.ref, "notify_pid=0\n"));
	child = start_process(be_notified, fd);
	snprintf(line, sizeof(line), "notify_pid=%d\n", child);
	assert_true(status_says(&ipcfs_posix_mq, &info.ref, line));
	end_process(child);
	assert_int_equal(mq_close(fd), 0);
	remove_it(&ipcfs_posix_mq, &info);
}

static bool noticed(int fd)
{
	struct pollfd watched = { .fd = fd, .events = POLLIN };
	char events[4096];
	int count_ready = poll(&watched, 1, 0);

	while (read(fd, events, sizeof(events)) > 0)
		;
	return count_ready == 1;
}

static void removal_and_chmod_are_noticed(void **state)
{
	struct ipcfs_change change = { .mask = IPCFS_CHANGE_MODE, .mode = 0666 };
	struct ipcfs_caller root = root_caller();
	struct ipcfs_info info;
	int fd = -1;

	(void)state;
	assert_int_equal(ipcfs_posix_mq.watch(space, &fd), 0);
	assert_true(fd >= 0);
	assert_int_equal(make(&ipcfs_posix_mq, "watched", &info), 0);
	(void)noticed(fd);
	assert_false(noticed(fd));
	assert_int_equal(ipcfs_posix_mq.change(space, &info.ref, &change, &root), 0);
	assert_true(noticed(fd));
	assert_int_equal(mq_unlink("/watched"), 0);
	assert_true(noticed(fd));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_checked),
		cmocka_unit_test(what_is_made_is_found),
		cmocka_unit_test(old_refs_never_mean_new_objects),
		cmocka_unit_test(system_v_names_have_spellings),
		cmocka_unit_test(list_shows_what_may_not_be_read),
		cmocka_unit_test(many_are_listed),
		cmocka_unit_test(status_tells_what_ipcs_does),
		cmocka_unit_test(removal_and_chmod_are_noticed),
	};

	return cmocka_run_group_tests(tests, enter_namespace, leave_namespace);
}
