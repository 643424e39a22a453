/* SPDX-License-Identifier: MIT */
/* Where access control lists are kept: the place, who owns it, and what somebody else may put there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "acl_stage.h"
#include "fs/acl_record.h"

static void write_file(const char *name, const void *bytes, size_t size)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	assert_int_equal(close(fd), 0);
}

/* Lists can be set, and nothing of it is on disk. */
static void is_in_memory_only(void)
{
	struct ipcfs_acl_store *store = open_store();

	assert_int_equal(set(store, 0, BOB), 0);
	assert_string_equal(get(store, 0), BOB);
	assert_false(exists(FILE_0));
	ipcfs_acl_store_destroy(store);
	store = open_store();
	assert_string_equal(get(store, 0), "");
	assert_int_equal(ipcfs_acl_store_claim(store), 0);
	ipcfs_acl_store_destroy(store);
}

static void directories_of_others_are_not_used(void **state)
{
	char real[256];

	(void)state;
	assert_int_equal(chmod(directory, 0710), 0);
	is_in_memory_only();
	assert_int_equal(chmod(directory, 0707), 0);
	is_in_memory_only();
	assert_int_equal(chmod(directory, 0700), 0);

	assert_int_equal(chown(directory, 1234, 0), 0);
	is_in_memory_only();
	assert_int_equal(chown(directory, 0, 0), 0);

	/* the one of the namespace as well */
	assert_int_equal(mkdir(inner, 0755), 0);
	is_in_memory_only();
	assert_int_equal(rmdir(inner), 0);

	(void)snprintf(real, sizeof(real), "%s/real", directory);
	assert_int_equal(mkdir(real, 0700), 0);
	assert_int_equal(symlink("real", inner), 0);
	is_in_memory_only();
	assert_int_equal(rmdir(real), 0); /* it is empty */
	assert_int_equal(unlink(inner), 0);

	assert_int_equal(mkfifo(inner, 0700), 0);
	is_in_memory_only();
}

static void nor_are_links_and_files(void **state)
{
	size_t size = strlen(directory);

	(void)state;
	(void)strcat(directory, "/other");
	assert_int_equal(symlink(".", directory), 0);
	is_in_memory_only();
	assert_int_equal(unlink(directory), 0);
	assert_int_equal(mkfifo(directory, 0700), 0);
	is_in_memory_only();
	assert_int_equal(unlink(directory), 0);
	(void)strcat(directory, "/missing");
	is_in_memory_only();
	directory[size] = '\0';
}

static void the_lock_is_a_file(void **state)
{
	char target[256];

	(void)state;
	(void)snprintf(target, sizeof(target), "%s/target", directory);
	assert_int_equal(mkdir(inner, 0700), 0);
	assert_int_equal(symlink(target, path_of("lock")), 0);
	is_in_memory_only();
	assert_int_equal(access(target, F_OK), -1);
	assert_int_equal(unlink(path_of("lock")), 0);
	assert_int_equal(mkfifo(path_of("lock"), 0600), 0);
	is_in_memory_only();
	assert_int_equal(unlink(path_of("lock")), 0);
	assert_int_equal(mkdir(path_of("lock"), 0700), 0);
	is_in_memory_only();
}

/* The file of a good record of object 0, which is then restored with write_file. */
static size_t good_file(char *bytes, size_t room)
{
	struct ipcfs_acl_store *store = open_store();
	size_t size;

	assert_int_equal(set(store, 0, BOB), 0);
	/* so that the directory stays */
	assert_int_equal(set(store, 2, DEV), 0);
	size = read_whole(FILE_0, bytes, room);
	ipcfs_acl_store_destroy(store);
	assert_int_equal(unlink(path_of(FILE_0)), 0);
	return size;
}

/* Object 0 has no list now, what is there in its place stays or is replaced, and object 2's is unharmed. */
static void is_ignored(bool replaced)
{
	struct ipcfs_acl_store *store = open_store();

	assert_string_equal(get(store, 0), "");
	assert_string_equal(get(store, 2), DEV);
	assert_true(exists(FILE_0));
	assert_int_equal(set(store, 0, BOB), replaced ? 0 : -EIO);
	assert_string_equal(get(store, 0), replaced ? BOB : "");
	ipcfs_acl_store_destroy(store);
	if (!replaced)
		return;
	store = open_store();
	assert_string_equal(get(store, 0), BOB);
	assert_int_equal(set(store, 0, PLAIN), 0);
	ipcfs_acl_store_destroy(store);
}

static void what_is_no_record_is_ignored(void **state)
{
	char bytes[4096];
	size_t size = good_file(bytes, sizeof(bytes));
	int fd;

	(void)state;
	/* the good one again, but not quite: a link to it, another name, others may write it */
	write_file("kept", bytes, size);
	assert_int_equal(symlink("kept", path_of(FILE_0)), 0);
	is_ignored(true);
	write_file("kept", bytes, size);
	(void)strcpy(bytes, path_of("kept"));
	assert_int_equal(link(bytes, path_of(FILE_0)), 0);
	is_ignored(true);
	(void)read_whole("kept", bytes, sizeof(bytes));
	write_file(FILE_0, bytes, size);
	assert_int_equal(chmod(path_of(FILE_0), 0622), 0);
	is_ignored(true);
	write_file(FILE_0, bytes, size);
	assert_int_equal(chown(path_of(FILE_0), 1234, 0), 0);
	is_ignored(true);

	/* more behind it */
	bytes[size] = '\0';
	write_file(FILE_0, bytes, size + 1);
	is_ignored(true);

	/* of another object */
	write_file(FILE_0, bytes, read_whole(FILE_2, bytes, sizeof(bytes)));
	is_ignored(true);

	assert_int_equal(mkfifo(path_of(FILE_0), 0600), 0);
	is_ignored(true);
	fd = open(path_of(FILE_0), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
	assert_int_equal(close(fd), 0);
	is_ignored(true);
	write_file(FILE_0, "", 0);
	is_ignored(true);
	assert_int_equal(mkdir(path_of(FILE_0), 0700), 0);
	is_ignored(false);
}

static void every_changed_byte_is_noticed(void **state)
{
	char bytes[4096], changed[4096];
	size_t size = good_file(bytes, sizeof(bytes));
	struct ipcfs_acl_store *store;

	(void)state;
	for (size_t i = 0; i < size; i += 7) {
		memcpy(changed, bytes, size);
		changed[i] = '\0';
		write_file(FILE_0, changed, size);
		store = open_store();
		assert_string_equal(get(store, 0), "");
		ipcfs_acl_store_destroy(store);
	}
	assert_int_equal(unlink(path_of(FILE_0)), 0);
	write_file(FILE_0, bytes, size);
	store = open_store();
	assert_string_equal(get(store, 0), BOB);
	ipcfs_acl_store_destroy(store);
}

static int parse(const char *text)
{
	struct ipcfs_acl_record record = { 0 };
	int error = ipcfs_acl_record_parse(&record, &space.identity, text);

	ipcfs_acl_free(&record.acl);
	return error;
}

#define NAMESPACE "namespace 41db85bc-6956-47a8-9b01-338691300f32 4026532000 12486\n"

static void records_have_one_form(void **state)
{
	static const char *const bad[] = {
		"",
		"ipcfs-acl 2\n" NAMESPACE "object sysv/msg 100 0 0 0 0 0\nname n\n" BOB,
		"ipcfs-acl 1\n" NAMESPACE "object sysv/none 100 0 0 0 0 0\nname n\n" BOB,
		"ipcfs-acl 1\n" NAMESPACE "object sysv/msg 0100 0 0 0 0 0\nname n\n" BOB,
		"ipcfs-acl 1\n" NAMESPACE "object sysv/msg -1 0 0 0 0 0\nname n\n" BOB,
		"ipcfs-acl 1\n" NAMESPACE "object sysv/msg 18446744073709551616 0 0 0 0 0\n"
		"name n\n" BOB,
		"ipcfs-acl 1\n" NAMESPACE "object sysv/msg 100 4294967296 0 0 0 0\nname n\n" BOB,
		"ipcfs-acl 1\n" NAMESPACE "object sysv/msg 100 0 0 4294967296 0 0\nname n\n" BOB,
		"ipcfs-acl 1\n" NAMESPACE "object sysv/msg 100 0 0 0 0 0\nname n\n",
		"ipcfs-acl 1\n" NAMESPACE "object sysv/msg 100 0 0 0 0 0\nname n m\n" BOB,
		"ipcfs-acl 1\n" NAMESPACE "object sysv/msg 100 0 0 0 0 0\nname n\n" BOB "\n",
		"ipcfs-acl 1\n" NAMESPACE "object sysv/msg 100 0 0 0 0 0\nname \\057\n" BOB,
		"ipcfs-acl 1\n" NAMESPACE "object sysv/msg 100 0 0 0 0 0\nname \\000\n" BOB,
		"ipcfs-acl 1\n" NAMESPACE "object sysv/msg 100 0 0 0 0 0\nname \\1\n" BOB,
		"ipcfs-acl 1\n" NAMESPACE "object sysv/msg 100 0 0 0 0 0\nname \\141\n" BOB,
		"ipcfs-acl 1\n" NAMESPACE "object sysv/msg 100 0 0 0 0 0\nname a/b\n" BOB,
		"ipcfs-acl  1\n" NAMESPACE "object sysv/msg 100 0 0 0 0 0\nname n\n" BOB,
	};

	(void)state;
	assert_int_equal(
		parse("ipcfs-acl 1\n" NAMESPACE "object sysv/msg 100 0 0 0 0 0\nname n\n" BOB), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (parse(bad[i]) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
	space.identity.id++;
	assert_int_equal(parse("ipcfs-acl 1\n" NAMESPACE
			       "object sysv/msg 100 0 0 0 0 0\nname n\n" BOB),
			 -ESTALE);
}

static void what_a_crash_left_is_removed(void **state)
{
	struct ipcfs_acl_store *store;
	char bytes[4096];

	(void)state;
	(void)good_file(bytes, sizeof(bytes));
	write_file("new", "ipcfs-acl 1\nnamesp", 18);
	store = open_store();
	assert_false(exists("new"));
	/* and what takes its place later is in nobody's way */
	assert_int_equal(symlink("/nowhere", path_of("new")), 0);
	assert_int_equal(set(store, 0, BOB), 0);
	assert_false(exists("new"));
	assert_int_equal(mkdir(path_of("new"), 0700), 0);
	assert_int_equal(set(store, 0, DEV), -EIO);
	assert_string_equal(get(store, 0), BOB);
	ipcfs_acl_store_destroy(store);
	store = open_store();
	assert_string_equal(get(store, 0), BOB);
	ipcfs_acl_store_destroy(store);
}

static void a_directory_full_of_others(void **state)
{
	struct ipcfs_acl_store *store;
	char bytes[4096], name[32];
	size_t size = good_file(bytes, sizeof(bytes));

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		(void)snprintf(name, sizeof(name), "sysv-msg-%u-00000000", i);
		write_file(name, bytes, i % 2 ? size : size / 2);
	}
	write_file(FILE_0, bytes, size);
	store = open_store();
	assert_string_equal(get(store, 0), BOB);
	assert_string_equal(get(store, 2), DEV);
	ipcfs_acl_store_destroy(store);
}

static void the_usual_places(void **state)
{
	struct ipcfs_acl_store *store;
	char path[256];

	(void)state;
	assert_int_equal(mount("none", "/run", "tmpfs", 0, "mode=755"), 0);
	assert_int_equal(ipcfs_acl_store_create(&space, NULL, &store), 0);
	assert_int_equal(set(store, 0, BOB), 0);
	assert_int_equal(access("/run/ipcfs-state/4026532000/" FILE_0, F_OK), 0);
	ipcfs_acl_store_destroy(store);

	/* an ordinary user's */
	assert_int_equal(chown(directory, 1234, 1234), 0);
	assert_int_equal(setenv("XDG_RUNTIME_DIR", directory, 1), 0);
	assert_int_equal(seteuid(1234), 0);
	assert_int_equal(ipcfs_acl_store_create(&space, NULL, &store), 0);
	assert_string_equal(get(store, 0), "");
	assert_int_equal(set(store, 0, DEV), 0);
	(void)snprintf(path, sizeof(path), "%s/ipcfs-state/4026532000/" FILE_0, directory);
	assert_int_equal(access(path, F_OK), 0);
	ipcfs_acl_store_destroy(store);
	assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
	assert_int_equal(ipcfs_acl_store_create(&space, NULL, &store), 0);
	assert_int_equal(set(store, 0, DEV), 0);
	ipcfs_acl_store_destroy(store);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(umount("/run"), 0);
}

/* Daemons come and go, and take the empty directory with them: no two of them have it at once. */
static void there_are_never_two(void **state)
{
	atomic_int *owners = mmap(NULL, sizeof(*owners), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[2];
	int status;

	(void)state;
	assert_true(owners != MAP_FAILED);
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i])
			continue;
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		for (int round = 0; round < 2000; round++) {
			struct ipcfs_acl_store *store = open_store();

			if (!ipcfs_acl_store_claim(store)) {
				if (atomic_fetch_add(owners, 1) > 0)
					_exit(1);
				(void)sched_yield();
				(void)atomic_fetch_sub(owners, 1);
			}
			ipcfs_acl_store_destroy(store);
		}
		_exit(0);
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(munmap(owners, sizeof(*owners)), 0);
}

#define STAGED(test) cmocka_unit_test_setup_teardown(test, stage_setup, stage_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAGED(directories_of_others_are_not_used),
		STAGED(nor_are_links_and_files),
		STAGED(the_lock_is_a_file),
		STAGED(what_is_no_record_is_ignored),
		STAGED(every_changed_byte_is_noticed),
		STAGED(records_have_one_form),
		STAGED(what_a_crash_left_is_removed),
		STAGED(a_directory_full_of_others),
		STAGED(the_usual_places),
		STAGED(there_are_never_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
