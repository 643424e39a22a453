/* SPDX-License-Identifier: MIT */
/* The store of access control lists: what it says, what survives a restart, when it forgets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "acl_stage.h"

static void lists_are_set_and_forgotten(void **state)
{
	struct ipcfs_acl_store *store = open_store();

	(void)state;
	assert_string_equal(get(store, 0), "");
	assert_int_equal(set(store, 0, BOB), 0);
	assert_int_equal(set(store, 2, DEV), 0);
	assert_string_equal(get(store, 0), BOB);
	assert_string_equal(get(store, 1), "");
	assert_string_equal(get(store, 2), DEV);
	assert_int_equal(set(store, 0, DEV), 0);
	assert_string_equal(get(store, 0), DEV);
	assert_true(exists(FILE_0) && exists(FILE_2) && !exists("new"));

	assert_int_equal(set(store, 0, PLAIN), 0);
	assert_string_equal(get(store, 0), "");
	assert_int_equal(set(store, 1, PLAIN), 0);
	ipcfs_acl_store_removed(store, &posix, &world.info[2].ref);
	assert_string_equal(get(store, 2), "");
	assert_false(exists(FILE_0) || exists(FILE_1) || exists(FILE_2));
	ipcfs_acl_store_destroy(store);
	assert_int_equal(access(inner, F_OK), -1);
}

static void direct_changes_of_the_mode_show(void **state)
{
	struct ipcfs_acl_store *store = open_store();

	(void)state;
	/* the group may do more than the mask says: the kernel's bits are r-- */
	assert_int_equal(
		set(store, 0, "user::rw-\nuser:5:rw-\ngroup::rw-\nmask::r--\nother::---\n"), 0);
	assert_string_equal(get(store, 0),
			    "user::rw-\nuser:5:rw-\ngroup::rw-\nmask::r--\nother::---\n");
	world.info[0].perm.mode = 0246;
	assert_string_equal(get(store, 0),
			    "user::-w-\nuser:5:rw-\ngroup::rw-\nmask::r--\nother::rw-\n");
	world.info[0].perm.mode = 0600;
	assert_string_equal(get(store, 0),
			    "user::rw-\nuser:5:rw-\ngroup::---\nmask::r--\nother::---\n");
	world.info[0].perm.mode = 0777;
	assert_string_equal(get(store, 0),
			    "user::rw-\nuser:5:rw-\ngroup::rw-\nmask::r--\nother::rw-\n");
	ipcfs_acl_store_destroy(store);
}

static void another_object_has_none(void **state)
{
	struct ipcfs_acl_store *store = open_store();

	(void)state;
	assert_int_equal(set(store, 0, BOB), 0);
	assert_int_equal(set(store, 2, BOB), 0);
	/* owners may change, creators do not */
	world.info[0].perm.uid = world.info[0].perm.gid = 5;
	assert_string_equal(get(store, 0), BOB);
	world.info[0].perm.cuid++;
	assert_string_equal(get(store, 0), "");
	world.info[0].perm.cuid--;
	world.info[0].perm.cgid++;
	assert_string_equal(get(store, 0), "");
	world.info[0].perm.cgid--;
	world.info[0].ref.key++;
	assert_string_equal(get(store, 0), "");
	world.info[0].ref.key--;
	assert_string_equal(get(store, 0), BOB);
	strcpy(world.info[2].ref.name, "other");
	assert_string_equal(get(store, 2), "");
	ipcfs_acl_store_destroy(store);
}

static void too_long_lists(void **state)
{
	struct ipcfs_acl_store *store = open_store();
	IPCFS_ACL_AUTO acl = { 0 };
	struct ipcfs_text text = { 0 };

	(void)state;
	assert_int_equal(ipcfs_text_printf(&text, "user::rw-\n"), 0);
	for (uint32_t i = 0; i < IPCFS_ACL_STORE_ENTRIES - 4; i++)
		assert_int_equal(ipcfs_text_printf(&text, "user:%u:rw-\n", UINT32_MAX - 1000 + i),
				 0);
	assert_int_equal(ipcfs_text_printf(&text, "group::r--\nmask::rw-\nother::---\n"), 0);
	assert_int_equal(ipcfs_text_add(&text, "", 1), 0);
	/* the longest that is taken, of an object with the longest name, is read again */
	memset(world.info[2].ref.name, '\n', NAME_MAX);
	assert_int_equal(set(store, 2, text.data), 0);
	ipcfs_acl_store_destroy(store);
	store = open_store();
	assert_string_equal(get(store, 2), text.data);

	assert_int_equal(ipcfs_acl_read(&acl, text.data), 0);
	acl.entries = realloc(acl.entries, (acl.count + 1) * sizeof(*acl.entries));
	assert_non_null(acl.entries);
	acl.entries[acl.count++] = acl.entries[0];
	assert_int_equal(ipcfs_acl_store_set(store, &sysv, &world.info[0], &acl), -ENOSPC);
	assert_string_equal(get(store, 0), "");
	ipcfs_text_free(&text);
	ipcfs_acl_store_destroy(store);
}

static void too_many_lists(void **state)
{
	struct ipcfs_acl_store *store;
	struct ipcfs_info info = world.info[0];
	IPCFS_ACL_AUTO acl = { 0 };
	int error = 0;
	unsigned count;

	(void)state;
	assert_int_equal(chmod(directory, 0750), 0); /* in memory only: that is quick */
	store = open_store();
	assert_int_equal(ipcfs_acl_read(&acl, BOB), 0);
	for (count = 0; !error && count < 100000; count++) {
		info.ref.serial = count;
		error = ipcfs_acl_store_set(store, &sysv, &info, &acl);
	}
	assert_int_equal(error, -ENOSPC);
	assert_int_equal(count, 65537);
	/* one that is there may still change, and one that goes makes room */
	info.ref.serial = 7;
	assert_int_equal(ipcfs_acl_store_set(store, &sysv, &info, &acl), 0);
	ipcfs_acl_store_removed(store, &sysv, &info.ref);
	info.ref.serial = 70000;
	assert_int_equal(ipcfs_acl_store_set(store, &sysv, &info, &acl), 0);
	ipcfs_acl_store_destroy(store);
}

static struct ipcfs_acl_store *restart(struct ipcfs_acl_store *store)
{
	ipcfs_acl_store_destroy(store);
	return open_store();
}

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

/* What is different when the store is opened again, and then it has no lists, nor files of them. */
static void starts_clean_after(void (*change)(void))
{
	struct ipcfs_acl_store *store = open_store();

	assert_int_equal(set(store, 0, BOB), 0);
	assert_string_equal(get(store, 0), BOB);
	ipcfs_acl_store_destroy(store);
	assert_true(exists(FILE_0));
	change();
	store = open_store();
	assert_string_equal(get(store, 0), "");
	assert_false(exists(FILE_0));
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
	/* nothing at all is known */
	memset(&space.identity, 0, sizeof(space.identity));
	store = open_store();
	assert_int_equal(set(store, 0, BOB), 0);
	assert_string_equal(get(store, 0), BOB);
	ipcfs_acl_store_destroy(store);
}

/* A queue has other times after each message: they say nothing of it. */
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

static unsigned long glances(void)
{
	unsigned long count;

	pthread_mutex_lock(&world.lock);
	count = world.glances;
	pthread_mutex_unlock(&world.lock);
	return count;
}

static void pause_a_little(void)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
}

static void objects_that_go_are_noticed(void **state)
{
	struct ipcfs_acl_store *store = open_store();

	(void)state;
	assert_int_equal(ipcfs_acl_store_start(store), 0);
	assert_int_equal(set(store, 0, BOB), 0);
	assert_int_equal(set(store, 1, BOB), 0);
	assert_int_equal(set(store, 2, BOB), 0);
	assert_int_equal(set(store, 3, BOB), 0);
	pthread_mutex_lock(&world.lock);
	world.there[0] = false;
	world.info[1].perm.cgid++;
	strcpy(world.info[2].ref.name, "other");
	pthread_mutex_unlock(&world.lock);
	while (exists(FILE_0) || exists(FILE_1) || exists(FILE_2))
		pause_a_little();
	assert_string_equal(get(store, 0), "");
	assert_string_equal(get(store, 3), BOB);
	ipcfs_acl_store_stop(store);
	ipcfs_acl_store_destroy(store);
}

static void changes_are_noted(void **state)
{
	struct ipcfs_acl_store *store = open_store();
	char file[4096];

	(void)state;
	assert_int_equal(ipcfs_acl_store_start(store), 0);
	assert_int_equal(set(store, 0, BOB), 0);
	pthread_mutex_lock(&world.lock);
	world.info[0].ctime.tv_sec = 1700000100;
	pthread_mutex_unlock(&world.lock);
	/* what would be left if it were killed */
	do {
		pause_a_little();
		(void)read_whole(FILE_0, file, sizeof(file));
	} while (!strstr(file, " 1700000100 "));
	assert_string_equal(get(store, 0), BOB);
	ipcfs_acl_store_stop(store);
	store = restart(store);
	assert_string_equal(get(store, 0), BOB);

	/* the last look is at the end */
	assert_int_equal(ipcfs_acl_store_start(store), 0);
	world.info[0].ctime.tv_sec += 100;
	ipcfs_acl_store_stop(store);
	store = restart(store);
	assert_string_equal(get(store, 0), BOB);
	ipcfs_acl_store_destroy(store);
}

static void nothing_is_asked_for_without_lists(void **state)
{
	struct ipcfs_acl_store *store = open_store();
	unsigned long before;

	(void)state;
	assert_int_equal(ipcfs_acl_store_start(store), 0);
	assert_int_equal(set(store, 0, BOB), 0);
	while (!glances())
		pause_a_little();
	ipcfs_acl_store_removed(store, &sysv, &world.info[0].ref);
	before = glances();
	ipcfs_acl_store_stop(store);
	assert_int_equal(glances(), before);
	ipcfs_acl_store_destroy(store);
}

static void only_one_daemon_keeps_lists(void **state)
{
	struct ipcfs_acl_store *first = open_store(), *second;

	(void)state;
	assert_int_equal(set(first, 0, BOB), 0);
	second = open_store();
	assert_string_equal(get(second, 0), "");
	assert_int_equal(ipcfs_acl_store_claim(first), 0);
	assert_int_equal(ipcfs_acl_store_claim(second), -EBUSY);
	assert_int_equal(set(second, 0, DEV), -EBUSY);
	assert_int_equal(set(second, 0, PLAIN), -EBUSY);
	assert_string_equal(get(first, 0), BOB);
	ipcfs_acl_store_destroy(first);

	assert_int_equal(ipcfs_acl_store_claim(second), 0);
	assert_string_equal(get(second, 0), BOB);
	assert_int_equal(set(second, 0, DEV), 0);
	first = open_store();
	assert_int_equal(ipcfs_acl_store_claim(first), -EBUSY);
	/* the one that ends leaves nothing, and the other can begin */
	assert_int_equal(set(second, 0, PLAIN), 0);
	ipcfs_acl_store_destroy(second);
	assert_int_equal(ipcfs_acl_store_claim(first), 0);
	assert_int_equal(set(first, 0, BOB), 0);
	first = restart(first);
	assert_string_equal(get(first, 0), BOB);
	ipcfs_acl_store_destroy(first);
}

static void what_can_not_be_written_is_not_set(void **state)
{
	struct rlimit small = { 100, RLIM_INFINITY }, before;
	struct ipcfs_acl_store *store = open_store();

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(set(store, 0, BOB), -EIO);
	ipcfs_acl_store_destroy(store);
	assert_int_equal(access(inner, F_OK), -1); /* nothing was left to be kept */

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	store = open_store();
	assert_int_equal(set(store, 0, BOB), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(set(store, 0, DEV), -EIO);
	assert_int_equal(set(store, 1, DEV), -EIO);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_string_equal(get(store, 0), BOB);
	assert_string_equal(get(store, 1), "");
	assert_false(exists(FILE_1) || exists("new"));
	store = restart(store);
	assert_string_equal(get(store, 0), BOB);
	assert_int_equal(set(store, 1, DEV), 0);
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
		assert_false(exists("new"));
		ipcfs_acl_store_destroy(store);
	}
}

static atomic_bool over;

static void *disturb(void *arg)
{
	struct ipcfs_acl_store *store = arg;
	IPCFS_ACL_AUTO acl = { 0 };

	(void)ipcfs_acl_read(&acl, DEV);
	while (!over) {
		IPCFS_ACL_AUTO found = { 0 };

		(void)ipcfs_acl_store_get(store, &sysv, &world.info[0].ref, &world.info[0].perm,
					  &found);
		(void)ipcfs_acl_store_set(store, &sysv, &world.info[1], &acl);
		(void)ipcfs_acl_store_removed(store, &sysv, &world.info[0].ref);
	}
	return NULL;
}

static void many_at_once(void **state)
{
	struct ipcfs_acl_store *store = open_store();
	pthread_t other;

	(void)state;
	assert_int_equal(ipcfs_acl_store_start(store), 0);
	assert_int_equal(set(store, 3, BOB), 0);
	assert_int_equal(pthread_create(&other, NULL, disturb, store), 0);
	while (glances() < 4) {
		assert_int_equal(set(store, 0, BOB), 0);
		assert_int_equal(set(store, 1, PLAIN), 0);
		assert_string_equal(get(store, 3), BOB);
	}
	over = true;
	assert_int_equal(pthread_join(other, NULL), 0);
	ipcfs_acl_store_stop(store);
	ipcfs_acl_store_destroy(store);
}

static void namespaces_have_identities(void **state)
{
	struct ipcfs_space_identity here, again, there;
	struct ipcfs_space *opened;
	struct stat st;

	(void)state;
	assert_int_equal(ipcfs_space_open(&opened), 0);
	ipcfs_space_identity(opened, &here);
	ipcfs_space_put(opened);
	assert_int_equal(strlen(here.boot), 36);
	assert_int_equal(stat("/proc/self/ns/ipc", &st), 0);
	assert_int_equal(here.inode, st.st_ino);
	assert_int_equal(ipcfs_space_open(&opened), 0);
	ipcfs_space_identity(opened, &again);
	ipcfs_space_put(opened);
	assert_int_equal(again.inode, here.inode);
	assert_int_equal(again.id, here.id);

	assert_int_equal(unshare(CLONE_NEWIPC), 0);
	assert_int_equal(ipcfs_space_open(&opened), 0);
	ipcfs_space_identity(opened, &there);
	ipcfs_space_put(opened);
	assert_string_equal(there.boot, here.boot);
	assert_int_not_equal(there.inode, here.inode);
	assert_true(!there.id || there.id != here.id);
}

#define STAGED(test) cmocka_unit_test_setup_teardown(test, stage_setup, stage_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAGED(lists_are_set_and_forgotten),
		STAGED(direct_changes_of_the_mode_show),
		STAGED(another_object_has_none),
		STAGED(too_long_lists),
		STAGED(too_many_lists),
		STAGED(lists_survive_a_restart),
		STAGED(every_name_survives),
		STAGED(what_is_not_proved_starts_clean),
		STAGED(a_namespace_that_is_not_known_for_sure),
		STAGED(times_of_posix_queues_do_not_matter),
		STAGED(objects_that_go_are_noticed),
		STAGED(changes_are_noted),
		STAGED(nothing_is_asked_for_without_lists),
		STAGED(only_one_daemon_keeps_lists),
		STAGED(what_can_not_be_written_is_not_set),
		STAGED(a_crash_loses_nothing),
		STAGED(many_at_once),
		cmocka_unit_test(namespaces_have_identities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
