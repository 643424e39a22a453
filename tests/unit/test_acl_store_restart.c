/* SPDX-License-Identifier: MIT */
/* The store of access control lists: what survives a restart or a crash, and what must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "acl_stage.h"

static void lists_survive_a_restart(void **state)
{
	struct ipcfs_acl_store *store = open_store();

	(void)state;
	assert_int_equal(set(store, 0, BOB), 0);
	assert_int_equal(set(store, 1, DEV), 0);
	assert_int_equal(set(store, 2, DEV), 0);
	assert_int_equal(set(store, 3, BOB), 0);
	store = restart(store);
	assert_string_equal(get(store, 0), BOB);
	assert_string_equal(get(store, 1), DEV);
	assert_string_equal(get(store, 2), DEV);
	assert_string_equal(get(store, 3), BOB);
	ipcfs_acl_store_removed(store, &sysv, &world.info[1].ref);
	assert_int_equal(set(store, 3, PLAIN), 0);
	store = restart(store);
	assert_string_equal(get(store, 0), BOB);
	assert_string_equal(get(store, 1), "");
	assert_string_equal(get(store, 3), "");
	ipcfs_acl_store_destroy(store);
}

static void every_name_survives(void **state)
{
	unsigned char byte = 1;

	(void)state;
	while (byte) {
		struct ipcfs_acl_store *store;
		size_t size = 0;

		memset(world.info[2].ref.name, 0, sizeof(world.info[2].ref.name));
		for (; byte && size < 100; byte++)
			if (byte != '/')
				world.info[2].ref.name[size++] = (char)byte;
		store = open_store();
		assert_int_equal(set(store, 2, BOB), 0);
		store = restart(store);
		assert_string_equal(get(store, 2), BOB);
		ipcfs_acl_store_removed(store, &posix, &world.info[2].ref);
		ipcfs_acl_store_destroy(store);
	}
}

/* Reasons for which a store that is opened again has neither lists nor files. */
static void starts_clean_after(void (*change)(void))
{
	struct ipcfs_acl_store *store = open_store();

	assert_int_equal(set(store, 0, BOB), 0);
	assert_string_equal(get(store, 0), BOB);
	ipcfs_acl_store_destroy(store);
	assert_true(recorded(0));
	change();
	store = open_store();
	assert_string_equal(get(store, 0), "");
	assert_false(recorded(0));
	ipcfs_acl_store_destroy(store);
	assert_int_equal(stage_teardown(NULL), 0);
	assert_int_equal(stage_setup(NULL), 0);
}

static void other_boot(void)
{
	space.identity.boot[0] = 'a';
}

static void other_namespace(void)
{
	space.identity.id++;
}

static void unknown_namespace(void)
{
	space.identity.id = 0;
}

static void object_gone(void)
{
	world.there[0] = false;
}

static void other_creator(void)
{
	world.info[0].perm.cuid++;
}

static void changed_while_away(void)
{
	world.info[0].ctime.tv_sec++;
}

static void what_is_not_proved_starts_clean(void **state)
{
	(void)state;
	starts_clean_after(other_boot);
	starts_clean_after(other_namespace);
	starts_clean_after(unknown_namespace);
	starts_clean_after(object_gone);
	starts_clean_after(other_creator);
	starts_clean_after(changed_while_away);
}

static void a_namespace_that_is_not_known_for_sure(void **state)
{
	struct ipcfs_acl_store *store;

	(void)state;
	space.identity.id = 0;
	store = open_store();
	assert_int_equal(set(store, 0, BOB), 0);
	assert_string_equal(get(store, 0), BOB);
	store = restart(store);
	assert_string_equal(get(store, 0), "");
	ipcfs_acl_store_destroy(store);
	/* nothing at all is known of the namespace */
	memset(&space.identity, 0, sizeof(space.identity));
	store = open_store();
	assert_int_equal(set(store, 0, BOB), 0);
	assert_string_equal(get(store, 0), BOB);
	ipcfs_acl_store_destroy(store);
}

/* A queue's times change with each message: they do not identify it. */
static void times_of_posix_queues_do_not_matter(void **state)
{
	struct ipcfs_acl_store *store = open_store();

	(void)state;
	assert_int_equal(set(store, 2, BOB), 0);
	world.info[2].ctime.tv_sec++;
	world.info[2].perm.cuid = world.info[2].perm.uid = 5;
	store = restart(store);
	assert_string_equal(get(store, 2), BOB);
	ipcfs_acl_store_removed(store, &posix, &world.info[2].ref);
	ipcfs_acl_store_destroy(store);
}

/* A daemon that is killed at any moment leaves the old list or the new one. */
static void a_crash_loses_nothing(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		struct ipcfs_acl_store *store;
		int ready[2], status;
		const char *found;
		char byte;
		pid_t pid;

		assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			store = open_store();
			for (unsigned i = 0;; i++) {
				if (set(store, 0, i % 2 ? BOB : DEV))
					_exit(1);
				if (i == round && write(ready[1], "x", 1) != 1)
					_exit(1);
			}
		}
		assert_int_equal(read(ready[0], &byte, 1), 1);
		for (unsigned i = 0; i < round; i++)
			(void)sched_yield();
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(close(ready[0]) || close(ready[1]), 0);
		store = open_store();
		found = get(store, 0);
		assert_true(strcmp(found, BOB) == 0 || strcmp(found, DEV) == 0);
		ipcfs_acl_store_destroy(store);
	}
}

static void namespaces_have_identities(void **state)
{
	struct ipcfs_space_identity here, again, there;
	struct ipcfs_space *opened;
	struct stat st;

	(void)state;
	assert_int_equal(ipcfs_space_open(&opened), 0);
	ipcfs_space_identity(opened, &here);
	ipcfs_space_unref(opened);
	assert_int_equal(strlen(here.boot), 36);
	assert_int_equal(stat("/proc/self/ns/ipc", &st), 0);
	assert_int_equal(here.inode, st.st_ino);
	assert_int_equal(ipcfs_space_open(&opened), 0);
	ipcfs_space_identity(opened, &again);
	ipcfs_space_unref(opened);
	assert_int_equal(again.inode, here.inode);
	assert_int_equal(again.id, here.id);

	assert_int_equal(unshare(CLONE_NEWIPC), 0);
	assert_int_equal(ipcfs_space_open(&opened), 0);
	ipcfs_space_identity(opened, &there);
	ipcfs_space_unref(opened);
	assert_string_equal(there.boot, here.boot);
	assert_int_not_equal(there.inode, here.inode);
	assert_true(!there.id || there.id != here.id);
}

#define STAGED(test) cmocka_unit_test_setup_teardown(test, stage_setup, stage_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAGED(lists_survive_a_restart),
		STAGED(every_name_survives),
		STAGED(what_is_not_proved_starts_clean),
		STAGED(a_namespace_that_is_not_known_for_sure),
		STAGED(times_of_posix_queues_do_not_matter),
		STAGED(a_crash_loses_nothing),
		cmocka_unit_test(namespaces_have_identities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
