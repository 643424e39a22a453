/* SPDX-License-Identifier: MIT */
/*
 * The state directory of access control lists: its place, its owner, and what other users may put
 * there.
 */
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
#include "fs/access/acl_dir.h"
#include "fs/access/acl_lists.h"
#include "fs/access/acl_record.h"

static void write_file(const char *name, const void *bytes, size_t size)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	assert_int_equal(close(fd), 0);
}

/* Lists can be set, and nothing of them is on disk. */
static void is_in_memory_only(void)
{
	struct ipcfs_acl_store *store = open_store();

	assert_int_equal(set(store, 0, BOB), 0);
	assert_string_equal(get(store, 0), BOB);
	assert_false(exists("lists"));
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

	/* and the namespace's own directory */
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

/* Makes the record of object 0, as earlier versions kept it in a file. Returns its size. */
static size_t good_file(char *bytes, size_t capacity)
{
	struct ipcfs_acl_store *store = open_store();
	struct ipcfs_text text = { 0 };
	struct ipcfs_acl_record record;
	size_t size;

	/* so that the directory stays */
	assert_int_equal(set(store, 2, DEV), 0);
	ipcfs_acl_store_destroy(store);
	ipcfs_acl_record_of(&record, &sysv, &world.info[0]);
	assert_int_equal(ipcfs_acl_read(&record.acl, BOB), 0);
	assert_int_equal(ipcfs_acl_record_format(&record, &space.identity, &text), 0);
	size = text.size;
	assert_true(size < capacity);
	memcpy(bytes, text.data, size);
	ipcfs_text_free(&text);
	ipcfs_acl_free(&record.acl);
	return size;
}

/* Object 0 has no list; the file stays, and is in nobody's way; object 2's list is unharmed. */
static void is_ignored(void)
{
	struct ipcfs_acl_store *store = open_store();

	assert_string_equal(get(store, 0), "");
	assert_string_equal(get(store, 2), DEV);
	assert_true(exists(FILE_0));
	assert_int_equal(set(store, 0, BOB), 0);
	ipcfs_acl_store_destroy(store);
	store = open_store();
	assert_string_equal(get(store, 0), BOB);
	assert_int_equal(set(store, 0, PLAIN), 0);
	ipcfs_acl_store_destroy(store);
	assert_int_equal(remove(path_of(FILE_0)), 0);
}

static void files_of_earlier_versions_are_taken_over(void **state)
{
	char bytes[4096];
	size_t size = good_file(bytes, sizeof(bytes));
	struct ipcfs_acl_store *store;

	(void)state;
	write_file(FILE_0, bytes, size);
	store = open_store();
	assert_string_equal(get(store, 0), BOB);
	assert_false(exists(FILE_0));
	assert_true(recorded(0));
	assert_int_equal(set(store, 0, DEV), 0);
	ipcfs_acl_store_destroy(store);
	/* one that a crash left is older */
	write_file(FILE_0, bytes, size);
	store = open_store();
	assert_string_equal(get(store, 0), DEV);
	assert_false(exists(FILE_0));
	ipcfs_acl_store_destroy(store);
}

/* Has no memory for the lists of the file of all lists, or for those of earlier versions. */
static int no_memory(void *arg, struct ipcfs_acl_record *record,
		     const struct ipcfs_acl_place *place)
{
	const bool *listed = arg;

	if ((place->slot != 0) == *listed)
		return -ENOMEM;
	ipcfs_acl_free(&record->acl);
	return 0;
}

static void lists_for_which_there_is_no_memory_stay(void **state)
{
	char bytes[4096];
	size_t size = good_file(bytes, sizeof(bytes));
	struct ipcfs_acl_store *store;

	(void)state;
	write_file(FILE_0, bytes, size);
	for (int i = 0; i < 2; i++) {
		struct ipcfs_acl_dir dir = { .space = space.identity };
		bool listed = i;

		assert_int_equal(ipcfs_acl_dir_open(&dir, directory), 0);
		assert_int_equal(ipcfs_acl_dir_lock(&dir), 0);
		assert_int_equal(ipcfs_acl_dir_load(&dir, no_memory, &listed), -ENOMEM);
		ipcfs_acl_dir_close(&dir, false);
	}
	store = open_store();
	assert_string_equal(get(store, 0), BOB);
	assert_string_equal(get(store, 2), DEV);
	ipcfs_acl_store_destroy(store);
}

static void what_is_no_record_is_ignored(void **state)
{
	char bytes[4096];
	size_t size = good_file(bytes, sizeof(bytes));
	int fd;

	(void)state;
	/* the good one, but as a link, with another name, or writable by others */
	write_file("kept", bytes, size);
	assert_int_equal(symlink("kept", path_of(FILE_0)), 0);
	is_ignored();
	write_file("kept", bytes, size);
	(void)strcpy(bytes, path_of("kept"));
	assert_int_equal(link(bytes, path_of(FILE_0)), 0);
	is_ignored();
	(void)read_whole("kept", bytes, sizeof(bytes));
	assert_int_equal(unlink(path_of("kept")), 0);
	write_file(FILE_0, bytes, size);
	assert_int_equal(chmod(path_of(FILE_0), 0622), 0);
	is_ignored();
	write_file(FILE_0, bytes, size);
	assert_int_equal(chown(path_of(FILE_0), 1234, 0), 0);
	is_ignored();

	/* more bytes behind it */
	bytes[size] = '\0';
	write_file(FILE_0, bytes, size + 1);
	is_ignored();

	assert_int_equal(mkfifo(path_of(FILE_0), 0600), 0);
	is_ignored();
	fd = open(path_of(FILE_0), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
	assert_int_equal(close(fd), 0);
	is_ignored();
	write_file(FILE_0, "", 0);
	is_ignored();
	assert_int_equal(mkdir(path_of(FILE_0), 0700), 0);
	is_ignored();
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
	write_file(FILE_0, bytes, size);
	store = open_store();
	assert_string_equal(get(store, 0), BOB);
	ipcfs_acl_store_destroy(store);

	/* and in the file of all lists; what is malformed there is void */
	size = read_whole("lists", bytes, sizeof(bytes));
	for (size_t i = 64; i < size; i++) {
		memcpy(changed, bytes, size);
		changed[i] = '\0';
		/* a store without a list removes it */
		assert_true(mkdir(inner, 0700) == 0 || errno == EEXIST);
		write_file("lists", changed, size);
		store = open_store();
		if (strcmp(get(store, 0), BOB) != 0)
			assert_string_equal(get(store, 0), "");
		if (strcmp(get(store, 2), DEV) != 0)
			assert_string_equal(get(store, 2), "");
		ipcfs_acl_store_destroy(store);
	}
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

/* Writes bytes into the file of all lists. */
static void patch(size_t at, const char *bytes)
{
	int fd = open(path_of("lists"), O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, strlen(bytes), (off_t)at), strlen(bytes));
	assert_int_equal(close(fd), 0);
}

static void what_a_crash_left_is_removed(void **state)
{
	struct ipcfs_acl_store *store = open_store();
	char before[4096], after[4096];
	size_t size, old, new;

	(void)state;
	assert_int_equal(set(store, 2, DEV), 0);
	assert_int_equal(set(store, 0, DEV), 0);
	size = read_whole("lists", before, sizeof(before));
	old = (size_t)((char *)memmem(before, size, "object sysv/msg", 15) - before) / 64 * 64;
	while (before[old] != '+')
		old -= 64;
	assert_int_equal(set(store, 0, BOB), 0);
	ipcfs_acl_store_destroy(store);
	size = read_whole("lists", after, sizeof(after));
	for (new = 64; new < size; new += 64)
		if (after[new] == '+' && memmem(after + new, size - new, ":1234:", 6) &&
		    (char *)memmem(after + new, size - new, ":1234:", 6) < after + new + 320)
			break;
	assert_true(new < size &&new != old);
	assert_int_equal(after[old], '-');

	/* killed before the new record counted: the old one is still there */
	patch(new, "-");
	patch(old, "+");
	store = open_store();
	assert_string_equal(get(store, 0), DEV);
	assert_string_equal(get(store, 2), DEV);
	ipcfs_acl_store_destroy(store);
	/* killed before the old record was void: the new one counts */
	write_file("lists", after, size);
	patch(old, "+");
	store = open_store();
	assert_string_equal(get(store, 0), BOB);
	ipcfs_acl_store_destroy(store);
	(void)read_whole("lists", after, sizeof(after));
	assert_int_equal(after[old], '-');
	/* killed in the middle of the new record */
	write_file("lists", before, new < size / 2 ? new : size / 2);
	store = open_store();
	assert_int_equal(set(store, 0, BOB), 0);
	ipcfs_acl_store_destroy(store);
	store = open_store();
	assert_string_equal(get(store, 0), BOB);
	ipcfs_acl_store_destroy(store);
}

static void the_file_of_all_lists_is_checked(void **state)
{
	struct ipcfs_acl_store *store;
	char other[256];
	int fd;

	(void)state;
	(void)snprintf(other, sizeof(other), "%s/other", directory);
	fd = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && close(fd) == 0);
	assert_int_equal(mkdir(inner, 0700), 0);
	for (int i = 0; i < 3; i++) {
		if (i == 0)
			assert_int_equal(symlink(other, path_of("lists")), 0);
		else if (i == 1)
			assert_int_equal(link(other, path_of("lists")), 0);
		else
			assert_int_equal(mkfifo(path_of("lists"), 0600), 0);
		store = open_store();
		assert_int_equal(set(store, 0, BOB), 0);
		assert_true(recorded(0));
		ipcfs_acl_store_destroy(store);
		assert_int_equal(unlink(path_of("lists")), 0);
		fd = open(other, O_RDONLY | O_CLOEXEC);
		assert_int_equal(lseek(fd, 0, SEEK_END), 0);
		assert_int_equal(close(fd), 0);
	}
}

static int set_of(struct ipcfs_acl_store *store, unsigned serial, const char *text)
{
	struct ipcfs_info info = world.info[0];
	IPCFS_ACL_AUTO acl = { 0 };

	info.ref.serial = serial;
	assert_int_equal(ipcfs_acl_read(&acl, text), 0);
	return ipcfs_acl_store_set(store, &sysv, &info, &acl);
}

#define NOBODY "user::rw-\nuser:1234:---\ngroup::---\nmask::---\nother::---\n"
#define CLOSED "user::rw-\nuser:1234:rw-\ngroup::---\nmask::rw-\nother::---\n"

static void rights_are_taken_away_without_room(void **state)
{
	struct ipcfs_text longer = { 0 };
	struct ipcfs_acl_store *store;
	struct stat st;
	unsigned serial = 1000;

	(void)state;
	assert_int_equal(mount("none", directory, "tmpfs", 0, "mode=700,size=64k"), 0);
	store = open_store();
	assert_int_equal(set(store, 0, BOB), 0);
	world.info[0].perm.mode = world.info[1].perm.mode = 0600;
	assert_int_equal(set(store, 1, CLOSED), 0);
	while (!set_of(store, serial, BOB))
		serial++;
	assert_true(serial > 1100); /* less than 1 KiB for a list */
	assert_int_equal(stat(path_of("lists"), &st), 0);
	assert_true((size_t)st.st_blocks * 512 <= (serial - 998) * (size_t)400);
	assert_int_equal(set_of(store, serial, BOB), -ENOSPC);
	assert_int_equal(set(store, 2, DEV), -ENOSPC);
	assert_string_equal(get(store, 2), "");

	/* what fits into the old place is written there */
	assert_int_equal(set(store, 0, NOBODY), 0);
	assert_string_equal(get(store, 0), NOBODY);
	/* what does not is kept in memory, and the old record goes */
	assert_int_equal(ipcfs_text_printf(&longer, "user::rw-\nuser:1234:r--\n"), 0);
	for (unsigned uid = 2000; uid < 2020; uid++)
		assert_int_equal(ipcfs_text_printf(&longer, "user:%u:---\n", uid), 0);
	assert_int_equal(ipcfs_text_add(&longer, "group::---\nmask::rw-\nother::---\n", 33), 0);
	assert_int_equal(ipcfs_text_add(&longer, "", 1), 0);
	assert_int_equal(set(store, 1, longer.data), 0);
	assert_string_equal(get(store, 1), longer.data);
	assert_false(recorded(1));
	/* a list that the mode alone would not stand for, or that grants more, is refused */
	longer.data[strlen("user::rw-\nuser:1234:r--\nuser:2000:")] = 'r';
	assert_int_equal(set(store, 1, longer.data), -ENOSPC);
	assert_int_equal(set_of(store, serial - 1, longer.data), -ENOSPC);
	/* and a list can go */
	assert_int_equal(set(store, 0, PLAIN), 0);
	assert_string_equal(get(store, 0), "");
	ipcfs_text_free(&longer);
	ipcfs_acl_store_destroy(store);
	store = open_store();
	assert_string_equal(get(store, 0), "");
	assert_string_equal(get(store, 1), "");
	ipcfs_acl_store_destroy(store);
	assert_int_equal(umount(directory), 0);
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
	assert_int_equal(access("/run/ipcfs-state/4026532000/lists", F_OK), 0);
	ipcfs_acl_store_destroy(store);

	/* an ordinary user's */
	assert_int_equal(chown(directory, 1234, 1234), 0);
	assert_int_equal(setenv("XDG_RUNTIME_DIR", directory, 1), 0);
	assert_int_equal(seteuid(1234), 0);
	assert_int_equal(ipcfs_acl_store_create(&space, NULL, &store), 0);
	assert_string_equal(get(store, 0), "");
	assert_int_equal(set(store, 0, DEV), 0);
	(void)snprintf(path, sizeof(path), "%s/ipcfs-state/4026532000/lists", directory);
	assert_int_equal(access(path, F_OK), 0);
	ipcfs_acl_store_destroy(store);
	/* nothing is looked for in the working directory */
	assert_int_equal(chdir(directory), 0);
	assert_int_equal(setenv("XDG_RUNTIME_DIR", ".", 1), 0);
	assert_int_equal(ipcfs_acl_store_create(&space, NULL, &store), 0);
	assert_string_equal(get(store, 0), "");
	ipcfs_acl_store_destroy(store);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
	assert_int_equal(ipcfs_acl_store_create(&space, NULL, &store), 0);
	assert_int_equal(set(store, 0, DEV), 0);
	ipcfs_acl_store_destroy(store);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(umount("/run"), 0);
}

/* Daemons start and end, and remove the empty directory: no two of them hold it at once. */
static void the_last_list_leaves_an_empty_file(void **state)
{
	struct ipcfs_acl_store *store = open_store();
	struct stat st;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(set(store, 0, BOB), 0);
		assert_int_equal(stat(path_of("lists"), &st), 0);
		assert_true(st.st_size > 64);
		assert_int_equal(set(store, 0, PLAIN), 0);
		assert_int_equal(stat(path_of("lists"), &st), 0);
		assert_int_equal(st.st_size, 0);
	}
	ipcfs_acl_store_destroy(store);
}

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

/* Counts the records; the first one is of no use. */
static int without_first(void *arg, const char *text, const struct ipcfs_acl_place *place)
{
	(void)place;
	++*(unsigned *)arg;
	return strcmp(text, "first") == 0;
}

static unsigned load_lists(int fd, struct ipcfs_acl_lists *lists)
{
	unsigned count = 0;

	assert_int_equal(ipcfs_acl_lists_load(lists, dup(fd), without_first, &count), 0);
	return count;
}

static void a_record_that_is_dropped_at_the_start_leaves_the_others(void **state)
{
	static const char *const texts[] = { "first", "second", "third" };
	struct ipcfs_acl_place places[3] = { 0 };
	int fd = memfd_create("lists", MFD_CLOEXEC);
	struct ipcfs_acl_lists lists;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(load_lists(fd, &lists), 0);
	for (size_t i = 0; i < 3; i++) {
		struct ipcfs_text text = { 0 };

		assert_int_equal(ipcfs_text_add(&text, texts[i], strlen(texts[i])), 0);
		assert_int_equal(ipcfs_acl_lists_write(&lists, &text, &places[i]), 0);
		ipcfs_text_free(&text);
	}
	ipcfs_acl_lists_close(&lists);
	assert_int_equal(load_lists(fd, &lists), 3);
	ipcfs_acl_lists_close(&lists);
	assert_int_equal(load_lists(fd, &lists), 2);
	ipcfs_acl_lists_close(&lists);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAGED(directories_of_others_are_not_used),
		STAGED(nor_are_links_and_files),
		STAGED(the_lock_is_a_file),
		STAGED(what_is_no_record_is_ignored),
		cmocka_unit_test(a_record_that_is_dropped_at_the_start_leaves_the_others),
		STAGED(every_changed_byte_is_noticed),
		STAGED(records_have_one_form),
		STAGED(files_of_earlier_versions_are_taken_over),
		STAGED(lists_for_which_there_is_no_memory_stay),
		STAGED(what_a_crash_left_is_removed),
		STAGED(the_file_of_all_lists_is_checked),
		STAGED(rights_are_taken_away_without_room),
		STAGED(a_directory_full_of_others),
		STAGED(the_usual_places),
		STAGED(the_last_list_leaves_an_empty_file),
		STAGED(there_are_never_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
