/* SPDX-License-Identifier: MIT */
/* The store of access control lists: its answers, its limits, when lists are dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#include "acl_stage.h"
#include "fs/access/acl_share.h"

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
	assert_true(recorded(0) && recorded(2) && !recorded(1));

	assert_int_equal(set(store, 0, PLAIN), 0);
	assert_string_equal(get(store, 0), "");
	assert_int_equal(set(store, 1, PLAIN), 0);
	ipcfs_acl_store_removed(store, &posix, &world.info[2].ref);
	assert_string_equal(get(store, 2), "");
	assert_false(recorded(0) || recorded(1) || recorded(2));
	ipcfs_acl_store_destroy(store);
	assert_int_equal(access(inner, F_OK), -1);
}

static void direct_changes_of_the_mode_show(void **state)
{
	struct ipcfs_acl_store *store = open_store();

	(void)state;
	/* the mode grants the group more than the mask does: the kernel's bits are r-- */
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
	/* the owner may change, the creator may not */
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
	for (uint32_t i = 0; i < IPCFS_ACL_RECORD_ENTRIES - 4; i++)
		assert_int_equal(ipcfs_text_printf(&text, "user:%u:rw-\n", UINT32_MAX - 1000 + i),
				 0);
	assert_int_equal(ipcfs_text_printf(&text, "group::r--\nmask::rw-\nother::---\n"), 0);
	assert_int_equal(ipcfs_text_add(&text, "", 1), 0);
	/* the longest list that is taken, of an object with the longest name, is read again */
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
	assert_int_equal(chmod(directory, 0750), 0); /* in memory only, which is quick */
	store = open_store();
	assert_int_equal(ipcfs_acl_read(&acl, BOB), 0);
	for (count = 0; !error && count < 100000; count++) {
		info.ref.serial = count;
		info.perm.uid = count / 4000; /* below the share of one owner */
		error = ipcfs_acl_store_set(store, &sysv, &info, &acl);
	}
	assert_int_equal(error, -ENOSPC);
	assert_int_equal(count, 65537);
	/* an existing list may still change, and a dropped one makes room */
	info.ref.serial = 7;
	assert_int_equal(ipcfs_acl_store_set(store, &sysv, &info, &acl), 0);
	ipcfs_acl_store_removed(store, &sysv, &info.ref);
	info.ref.serial = 70000;
	assert_int_equal(ipcfs_acl_store_set(store, &sysv, &info, &acl), 0);
	ipcfs_acl_store_destroy(store);
}

static int set_text(struct ipcfs_acl_store *store, const struct ipcfs_info *info, const char *text)
{
	IPCFS_ACL_AUTO acl = { 0 };

	assert_int_equal(ipcfs_acl_read(&acl, text), 0);
	return ipcfs_acl_store_set(store, &sysv, info, &acl);
}

static void each_owner_has_a_share(void **state)
{
	struct ipcfs_acl_store *store;
	struct ipcfs_info info = world.info[0];
	int error = 0;
	unsigned count;

	(void)state;
	assert_int_equal(chmod(directory, 0750), 0); /* in memory only, which is quick */
	store = open_store();
	for (count = 0; !error && count < 100000; count++) {
		info.ref.serial = count;
		error = set_text(store, &info, BOB);
	}
	assert_int_equal(error, -ENOSPC);
	assert_int_equal(count, IPCFS_ACL_SHARE_LISTS + 1);
	/* others have theirs, and what takes no more entries is set */
	info.perm.uid++;
	assert_int_equal(set_text(store, &info, BOB), 0);
	info.perm.uid--;
	info.ref.serial = 7;
	assert_int_equal(set_text(store, &info, DEV), 0);
	/* an object that changes its owner goes to the other share, full or not */
	info.perm.uid++;
	assert_int_equal(set_text(store, &info, DEV), 0);
	info.perm.uid--;
	info.ref.serial = 70000;
	assert_int_equal(set_text(store, &info, BOB), 0);
	info.ref.serial++;
	assert_int_equal(set_text(store, &info, BOB), -ENOSPC);
	/* what is dropped comes back, three times the share in turn */
	for (count = 0; count < 3 * IPCFS_ACL_SHARE_LISTS; count++) {
		info.ref.serial = 100000 + count;
		assert_int_equal(set_text(store, &info, BOB), count ? 0 : -ENOSPC);
		if (count == 0)
			info.ref.serial = 70000;
		ipcfs_acl_store_removed(store, &sysv, &info.ref);
	}
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
	while (recorded(0) || recorded(1) || recorded(2))
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
	size_t size;

	(void)state;
	assert_int_equal(ipcfs_acl_store_start(store), 0);
	assert_int_equal(set(store, 0, BOB), 0);
	pthread_mutex_lock(&world.lock);
	world.info[0].ctime.tv_sec = 1700000100;
	pthread_mutex_unlock(&world.lock);
	/* what a killed daemon would leave */
	do {
		pause_a_little();
		size = read_whole("lists", file, sizeof(file));
	} while (!memmem(file, size, " 1700000100 ", 12));
	assert_string_equal(get(store, 0), BOB);
	ipcfs_acl_store_stop(store);
	store = restart(store);
	assert_string_equal(get(store, 0), BOB);

	/* the last check is at the end */
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
	/* the daemon that ends leaves nothing, and the other one can begin */
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
	assert_int_equal(access(inner, F_OK), -1); /* nothing was left that had to be kept */

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	store = open_store();
	assert_int_equal(set(store, 0, BOB), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(set(store, 0, DEV), -EIO);
	/* what fails counts for no share, however often */
	for (unsigned i = 0; i <= IPCFS_ACL_SHARE_LISTS; i++)
		assert_int_equal(set(store, 1, DEV), -EIO);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_string_equal(get(store, 0), BOB);
	assert_string_equal(get(store, 1), "");
	assert_false(recorded(1));
	store = restart(store);
	assert_string_equal(get(store, 0), BOB);
	assert_int_equal(set(store, 1, DEV), 0);
	ipcfs_acl_store_destroy(store);
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

#define STAGED(test) cmocka_unit_test_setup_teardown(test, stage_setup, stage_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAGED(lists_are_set_and_forgotten),
		STAGED(direct_changes_of_the_mode_show),
		STAGED(another_object_has_none),
		STAGED(too_long_lists),
		STAGED(too_many_lists),
		STAGED(each_owner_has_a_share),
		STAGED(objects_that_go_are_noticed),
		STAGED(changes_are_noted),
		STAGED(nothing_is_asked_for_without_lists),
		STAGED(only_one_daemon_keeps_lists),
		STAGED(what_can_not_be_written_is_not_set),
		STAGED(many_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
