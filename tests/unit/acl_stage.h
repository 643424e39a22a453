/* SPDX-License-Identifier: MIT */
/*
 * The stage for tests of the store of access control lists: objects in a table, directories of
 * their own.
 */
#ifndef IPCFS_TESTS_ACL_STAGE_H
#define IPCFS_TESTS_ACL_STAGE_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/space/reference.h"
#include "fs/access/acl_store.h"

#define OBJECTS 4

/* The objects that stat_brief finds. The lock is for the thread that checks objects. */
static struct {
	pthread_mutex_t lock;
	bool there[OBJECTS];
	struct ipcfs_info info[OBJECTS];
	unsigned long glances;
} world = { .lock = PTHREAD_MUTEX_INITIALIZER };

static inline int stat_brief(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
			     struct ipcfs_info *info)
{
	int result = -ENOENT;

	(void)space;
	pthread_mutex_lock(&world.lock);
	world.glances++;
	for (size_t i = 0; i < OBJECTS; i++)
		if (world.there[i] && world.info[i].ref.serial == ref->serial &&
		    world.info[i].ref.key == ref->key) {
			*info = world.info[i];
			result = 0;
		}
	pthread_mutex_unlock(&world.lock);
	return result;
}

static const struct ipcfs_class sysv = {
	.family = "sysv",
	.name = "msg",
	.rule = IPCFS_RULE_SYSV,
	.stat_brief = stat_brief,
};

static const struct ipcfs_class posix = {
	.family = "posix",
	.name = "mq",
	.rule = IPCFS_RULE_FILE,
	.stat_brief = stat_brief,
};

/* Used in place of the real classes. */
const struct ipcfs_class *ipcfs_classes[] = { &posix, &sysv, NULL };

static struct ipcfs_space space = { .ns = -1 };
static char directory[128], inner[192];

/* Objects 0 and 1 are System V queues, the others POSIX queues; in an empty directory. */
static inline int stage_setup(void **state)
{
	(void)state;
	space.identity = (struct ipcfs_space_identity){
		.boot = "41db85bc-6956-47a8-9b01-338691300f32",
		.inode = 4026532000,
		.id = 12486,
	};
	for (unsigned i = 0; i < OBJECTS; i++) {
		world.there[i] = true;
		world.info[i] = (struct ipcfs_info){
			.ref = { .serial = 100 + i, .key = i < 2 ? 0x4b00 + i : 0 },
			.perm = { 1000, 1001, 2000, 2001, 0640 },
			.ctime = { .tv_sec = 1700000000 },
		};
		(void)snprintf(world.info[i].ref.name, sizeof(world.info[i].ref.name), "name%u", i);
	}
	world.glances = 0;
	(void)snprintf(directory, sizeof(directory), "%s/acl-XXXXXX",
		       getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(directory))
		return -1;
	(void)snprintf(inner, sizeof(inner), "%s/4026532000", directory);
	return 0;
}

static inline int stage_teardown(void **state)
{
	char command[192];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	return system(command);
}

static inline const char *path_of(const char *name)
{
	static char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", inner, name);
	return path;
}

static inline bool exists(const char *name)
{
	struct stat st;

	return lstat(path_of(name), &st) == 0;
}

static inline size_t read_whole(const char *name, char *bytes, size_t capacity)
{
	int fd = open(path_of(name), O_RDONLY | O_CLOEXEC);
	ssize_t size;

	assert_true(fd >= 0);
	size = read(fd, bytes, capacity - 1);
	assert_true(size >= 0);
	bytes[size] = '\0';
	assert_int_equal(close(fd), 0);
	return (size_t)size;
}

/* Tells whether the file of all lists has a record of the object that counts. */
static inline bool recorded(unsigned object)
{
	static char bytes[1 << 20];
	char wanted[64];
	size_t size, at = 64;

	if (!exists("lists"))
		return false;
	(void)snprintf(wanted, sizeof(wanted), "\nobject %s %u ",
		       object < 2 ? "sysv/msg" : "posix/mq", 100 + object);
	size = read_whole("lists", bytes, sizeof(bytes));
	for (; at < size; at += 64)
		if (bytes[at] == '+' && strstr(bytes + at, wanted) &&
		    (size_t)(strstr(bytes + at, wanted) - bytes) < at + 192)
			return true;
	return false;
}

static inline struct ipcfs_acl_store *open_store(void)
{
	struct ipcfs_acl_store *store = NULL;

	assert_int_equal(ipcfs_acl_store_create(&space, directory, &store), 0);
	return store;
}

static inline const struct ipcfs_class *class_of(unsigned object)
{
	return object < 2 ? &sysv : &posix;
}

static inline int set(struct ipcfs_acl_store *store, unsigned object, const char *text)
{
	IPCFS_ACL_AUTO acl = { 0 };

	assert_int_equal(ipcfs_acl_read(&acl, text), 0);
	return ipcfs_acl_store_set(store, class_of(object), &world.info[object], &acl);
}

/* Returns the list as text, "" for none; valid until the next call. */
static inline const char *get(struct ipcfs_acl_store *store, unsigned object)
{
	static struct ipcfs_text text;
	IPCFS_ACL_AUTO acl = { 0 };
	struct ipcfs_info info;

	pthread_mutex_lock(&world.lock);
	info = world.info[object];
	pthread_mutex_unlock(&world.lock);
	ipcfs_text_free(&text);
	assert_int_equal(ipcfs_acl_store_get(store, class_of(object), &info.ref, &info.perm, &acl),
			 0);
	if (acl.count)
		assert_int_equal(ipcfs_acl_print(&acl, &text), 0);
	assert_int_equal(ipcfs_text_add(&text, "", 1), 0);
	return text.data;
}

static inline struct ipcfs_acl_store *restart(struct ipcfs_acl_store *store)
{
	ipcfs_acl_store_destroy(store);
	return open_store();
}

#define BOB "user::rw-\nuser:1234:rw-\ngroup::r--\nmask::rw-\nother::---\n"
#define DEV "user::rw-\ngroup::r--\ngroup:77:rw-\nmask::rw-\nother::---\n"
#define PLAIN "user::rw-\ngroup::r--\nother::---\n"

#define FILE_0 "sysv-msg-100-00004b00"
#define FILE_1 "sysv-msg-101-00004b01"
#define FILE_2 "posix-mq-102-00000000"

#endif
