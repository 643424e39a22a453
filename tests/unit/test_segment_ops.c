/* SPDX-License-Identifier: MIT */
/* The memory of segments through the backends' contract, and files of /dev/shm. Needs root. */
#include <linux/falloc.h>
#include <linux/limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "backends/contract/long_work.h"
#include "backends/sysv/sysv_shm.h"
#include "ipc.h"

struct segment {
	const struct ipcfs_class *class;
	const struct ipcfs_segment_ops *ops;
	struct ipcfs_info info;
	int in, out;
};

/* tests/env/isolate says so. */
static bool in_user_namespace(void)
{
	const char *world = getenv("IPCFS_TEST_WORLD");

	return world && !strcmp(world, "userns");
}

#define FOR_EACH_SEGMENT(class)                                                                    \
	FOR_EACH_KIND(class)                                                                       \
	if (class->segment)

static struct segment open_new(const struct ipcfs_class *class, const char *name, uint64_t size)
{
	struct segment segment = { .class = class, .ops = class->segment };
	struct ipcfs_spec spec = spec_for(class, name);
	struct ipcfs_caller root = root_caller();
	const char *limit = NULL;

	spec.given = IPCFS_SPEC_SIZE;
	spec.size = size;
	assert_int_equal(class->make(space, &spec, &root, &segment.info, &limit), 0);
	assert_int_equal(segment.info.size, size);
	assert_int_equal(segment.ops->open(space, &segment.info.ref, false, &segment.in), 0);
	assert_int_equal(segment.ops->open(space, &segment.info.ref, true, &segment.out), 0);
	return segment;
}

static void close_both(const struct segment *segment)
{
	segment->ops->close(segment->in);
	segment->ops->close(segment->out);
}

static void end_segment(const struct segment *segment)
{
	close_both(segment);
	remove_it(segment->class, &segment->info);
}

static void bytes_pass_unchanged(void **state)
{
	(void)state;
	FOR_EACH_SEGMENT(class)
	{
		struct segment segment = open_new(class, name_for(class, 1), 5000);
		struct ipcfs_info now;
		char bytes[6000];

		assert_int_equal(segment.ops->read(segment.in, bytes, 6000, 0), 5000);
		for (int i = 0; i < 5000; i++)
			assert_int_equal(bytes[i], 0);
		assert_int_equal(segment.ops->write(segment.out, "hello", 5, 4990), 5);
		assert_int_equal(segment.ops->read(segment.in, bytes, 100, 4990), 10);
		assert_memory_equal(bytes, "hello\0\0\0\0\0", 10);
		assert_int_equal(segment.ops->read(segment.out, bytes, 5, 4990), 5);
		assert_memory_equal(bytes, "hello", 5);
		assert_int_equal(segment.ops->read(segment.in, bytes, 1, 5000), 0);
		assert_int_equal(segment.ops->read(segment.in, bytes, 1, (off_t)1 << 62), 0);
		assert_int_equal(segment.ops->fstat(segment.in, &now), 0);
		assert_int_equal(now.size, 5000);
		assert_int_equal(now.perm.mode, 0600);
		end_segment(&segment);
	}
}

static void sizes(void **state)
{
	(void)state;
	FOR_EACH_SEGMENT(class)
	{
		struct segment segment = open_new(class, name_for(class, 2), 5000);
		char bytes[10] = { 'x' };
		struct ipcfs_info now;

		assert_int_equal(segment.ops->resize(segment.out, 5000), 0);
		if (segment.ops->resizable) {
			assert_int_equal(segment.ops->resize(segment.out, 10), 0);
			assert_int_equal(segment.ops->write(segment.out, bytes, 10, 5), 10);
			assert_int_equal(segment.ops->resize(segment.out, UINT64_MAX), -EFBIG);
			assert_int_equal(segment.ops->resize(segment.out, (uint64_t)1 << 62), 0);
			assert_int_equal(segment.ops->read(segment.in, bytes, 10, (off_t)1 << 61),
					 10);
			assert_int_equal(segment.ops->resize(segment.out, 15), 0);
		} else {
			assert_int_equal(segment.ops->resize(segment.out, 10), -EPERM);
			assert_int_equal(segment.ops->resize(segment.out, 5001), -EPERM);
			assert_int_equal(segment.ops->write(segment.out, bytes, 10, 4999), 1);
			assert_int_equal(segment.ops->write(segment.out, bytes, 10, 5000), -ENOSPC);
			assert_int_equal(segment.ops->write(segment.out, bytes, 10, INT64_MAX),
					 -ENOSPC);
			assert_int_equal(segment.ops->write(segment.out, bytes, 0, 5000), 0);
		}
		assert_int_equal(class->stat(space, &segment.info.ref, &now), 0);
		assert_int_equal(now.size, segment.ops->resizable ? 15 : 5000);
		end_segment(&segment);
	}
}

static void removed_segments(void **state)
{
	(void)state;
	FOR_EACH_SEGMENT(class)
	{
		struct segment segment = open_new(class, name_for(class, 3), 100);
		/* In a user namespace an open segment is attached: docs/containers.md. */
		const int gone = class->by_id && !in_user_namespace() ? -EIDRM : 0;
		struct ipcfs_info now;
		int handle;

		remove_it(class, &segment.info);
		assert_int_equal(segment.ops->open(space, &segment.info.ref, true, &handle),
				 -ENOENT);
		assert_int_equal(segment.ops->fstat(segment.in, &now), gone);
		assert_int_equal(segment.ops->write(segment.out, "x", 1, 0), 1);

		/* The name means another segment now, which is not touched. */
		assert_int_equal(make(class, segment.info.ref.name, &now), 0);
		assert_int_equal(segment.ops->open(space, &segment.info.ref, true, &handle),
				 -EIDRM);
		assert_int_equal(segment.ops->fstat(segment.in, &now), gone);
		assert_int_equal(class->find(space, segment.info.ref.name, &now), 0);
		remove_it(class, &now);
		close_both(&segment);
	}
}

static void attached_segments_outlive_their_key(void **state)
{
	struct segment segment = open_new(&ipcfs_sysv_shm, "0x51", 4096);
	void *at = shmat((int)segment.info.ref.serial, NULL, 0);
	struct ipcfs_info now, removed;
	char byte, id[32];

	(void)state;
	assert_true(at != (void *)-1);
	remove_it(segment.class, &segment.info);
	assert_int_equal(segment.class->stat(space, &segment.info.ref, &now), -ENOENT);
	assert_int_equal(segment.class->find(space, "0x00000051", &now), -ENOENT);
	snprintf(id, sizeof(id), "%d", (int)segment.info.ref.serial);
	assert_int_equal(segment.class->find(space, id, &removed), 0);
	assert_string_equal(removed.ref.name, id);
	assert_int_equal(removed.ref.key, 0);
	assert_true(status_says(segment.class, &removed.ref,
				in_user_namespace() ? "nattch=3\n" : "nattch=1\n"));
	assert_true(status_says(segment.class, &removed.ref, "dest=yes\n"));
	assert_int_equal(segment.ops->fstat(segment.in, &now), 0);
	*(char *)at = 'x';
	assert_int_equal(segment.ops->read(segment.in, &byte, 1, 0), 1);
	assert_int_equal(byte, 'x');
	close_both(&segment);
	shmdt(at);
	assert_int_equal(segment.class->stat(space, &removed.ref, &now), -ENOENT);
}

/* A process that the daemon starts does not keep the daemon's segments attached. */
static bool is_attached_twice_while_forked(int id)
{
	struct shmid_ds ds;
	int result;
	pid_t child = fork();

	if (!child)
		_exit(shmctl(id, IPC_STAT, &ds) || ds.shm_nattch != 2);
	return waitpid(child, &result, 0) == child && result == 0;
}

/* Opens, reads, writes and closes as a process without any capability must. */
static int without_privilege(int id)
{
	const struct ipcfs_segment_ops *ops = ipcfs_sysv_shm.segment;
	struct ipcfs_info info;
	struct shmid_ds ds;
	int in, out;
	char bytes[100];

	if (setgid(OTHER_GID) || setuid(OTHER_UID) || ipcfs_sysv_shm.find(space, "0x51", &info))
		return 1;
	if (ops->open(space, &info.ref, false, &in) || ops->open(space, &info.ref, true, &out))
		return 2;
	if (shmctl(id, IPC_STAT, &ds) || ds.shm_nattch != 2)
		return 3;
	if (!is_attached_twice_while_forked(id))
		return 7;
	if (ops->backing(in) != -EOPNOTSUPP || ops->write(out, "hello", 5, 4998) != 2 ||
	    ops->write(out, "x", 1, 5000) != -ENOSPC || ops->read(in, bytes, 100, 4998) != 2 ||
	    memcmp(bytes, "he", 2) || ops->read(in, bytes, 100, 5000) != 0)
		return 4;
	if (ops->write(in, "x", 1, 0) != -EIO)
		return 5;
	ops->close(in);
	ops->close(out);
	return shmctl(id, IPC_STAT, &ds) || ds.shm_nattch ? 6 : 0;
}

static void memory_that_has_to_stay_attached(void **state)
{
	struct ipcfs_spec spec = spec_for(&ipcfs_sysv_shm, "0x51");
	struct ipcfs_caller other = other_caller();
	const char *limit = NULL;
	struct ipcfs_info info;
	int result;
	pid_t child;

	(void)state;
	spec.given = IPCFS_SPEC_SIZE;
	spec.size = 5000;
	assert_int_equal(ipcfs_sysv_shm.make(space, &spec, &other, &info, &limit), 0);
	child = fork();
	if (!child)
		_exit(without_privilege((int)info.ref.serial));
	assert_int_equal(waitpid(child, &result, 0), child);
	assert_int_equal(result, 0);
	remove_it(&ipcfs_sysv_shm, &info);
}

static void many_handles(void **state)
{
	struct segment first = open_new(&ipcfs_sysv_shm, "private", 10);
	int handles[100];

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 100; i++) {
			assert_int_equal(first.ops->open(space, &first.info.ref, true, &handles[i]),
					 0);
			assert_int_equal(first.ops->write(handles[i], "x", 1, i % 10), 1);
		}
		for (int i = 0; i < 100; i++)
			first.ops->close(handles[(i * 37) % 100]);
	}
	end_segment(&first);
}

#define LARGE ((off_t)2 * IPCFS_LONG_FREE)

/* Returns how many blocks of /dev/shm are free. */
static fsblkcnt_t free_blocks(void)
{
	struct statvfs fs;

	assert_int_equal(statvfs("/dev/shm", &fs), 0);
	return fs.f_bfree;
}

/* Reserves LARGE bytes, which threads that do no long work refuse to do, and to free. */
static void fill(struct segment *segment)
{
	const int hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	for (off_t at = 0, done; at < LARGE; at += done) {
		done = segment->ops->allocate(segment->out, 0, at, LARGE - at);
		assert_true(done > 0);
	}
	ipcfs_long_work_allow(false);
	assert_int_equal(segment->ops->allocate(segment->out, 0, 0, LARGE), -ERESTART);
	assert_int_equal(segment->ops->allocate(segment->out, hole, 0, 2 * LARGE), -ERESTART);
	assert_int_equal(segment->ops->resize(segment->out, 0), -ERESTART);
	ipcfs_long_work_allow(true);
	assert_int_equal(segment->ops->fstat(segment->in, &segment->info), 0);
	assert_int_equal(segment->info.size, LARGE);
	assert_int_equal(segment->info.allocated, LARGE);
}

static void freeing_much_memory_is_long_work(void **state)
{
	struct ipcfs_caller root = root_caller();
	fsblkcnt_t before = free_blocks();
	struct segment segment = open_new(&ipcfs_posix_shm, "large", 10);
	struct ipcfs_ref ref = segment.info.ref;

	(void)state;
	fill(&segment);
	assert_int_equal(segment.ops->resize(segment.out, 10), 0);
	fill(&segment);
	/* a removal, and the last close, leave it to another thread */
	ipcfs_long_work_allow(false);
	assert_int_equal(ipcfs_posix_shm.remove(space, &ref, &root), 0);
	assert_true(free_blocks() < before);
	segment.ops->close(segment.in);
	segment.ops->close(segment.out);
	ipcfs_long_work_allow(true);
	while (free_blocks() != before)
		sched_yield();
}

/* The kernel lets root alone open the memory, so that a thread of its own frees it. */
static void freeing_a_large_system_v_segment_is_long_work(void **state)
{
	struct ipcfs_caller root = root_caller();
	struct segment segment = open_new(&ipcfs_sysv_shm, "0x52", LARGE);
	struct ipcfs_ref ref = segment.info.ref;
	struct ipcfs_info info;
	void *attached;

	(void)state;
	segment.ops->close(segment.in);
	segment.ops->close(segment.out);
	ipcfs_long_work_allow(false);
	if (!in_user_namespace()) {
		assert_int_equal(ipcfs_sysv_shm.remove(space, &ref, &root), 0);
		assert_int_equal(ipcfs_sysv_shm.stat(space, &ref, &info), -ENOENT);
		ipcfs_long_work_allow(true);
		return;
	}
	assert_int_equal(ipcfs_sysv_shm.remove(space, &ref, &root), -ERESTART);
	assert_int_equal(ipcfs_sysv_shm.stat(space, &ref, &info), 0);
	attached = shmat((int)ref.serial, NULL, 0);
	assert_ptr_not_equal(attached, (void *)-1);
	assert_int_equal(ipcfs_sysv_shm.remove(space, &ref, &root), 0);
	ipcfs_long_work_allow(true);
	assert_int_equal(shmdt(attached), 0);
}

/* Devices cannot be made in a user namespace, but mounted. */
/* Asks for the memory of a segment that is not there, so that each call reads the table anew. */
static void *ask_for_memory(void *arg)
{
	struct ipcfs_sysv_shm_memory memory;
	uintptr_t wrong = 0;

	for (int i = 0; i < 500; i++)
		wrong += ipcfs_sysv_shm_memory(arg, -1, &memory) != -ENOENT;
	return (void *)wrong;
}

static void many_threads_read_the_table_of_segments(void **state)
{
	struct segment segment = open_new(&ipcfs_sysv_shm, name_for(&ipcfs_sysv_shm, 4711), 100);
	pthread_t threads[8];
	void *wrong;

	(void)state;
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_for_memory, space), 0);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	end_segment(&segment);
}

static void put_device(void)
{
	int fd;

	if (!in_user_namespace()) {
		assert_int_equal(mknod("/dev/shm/device", S_IFCHR | 0666, 0x105), 0);
		return;
	}
	assert_int_equal(mknod("/dev/shm/device", S_IFCHR | 0666, 0x105), -1);
	assert_int_equal(errno, EPERM);
	fd = open("/dev/shm/device", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(mount("/dev/zero", "/dev/shm/device", NULL, MS_BIND, NULL), 0);
}

static void put_things(void)
{
	int fd;

	assert_int_equal(symlink("/etc/passwd", "/dev/shm/link"), 0);
	assert_int_equal(mkfifo("/dev/shm/fifo", 0666), 0);
	assert_int_equal(mkdir("/dev/shm/directory", 0777), 0);
	put_device();
	fd = open("/dev/shm/sem.x", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void remove_things(void)
{
	static const char *const names[] = { "link", "fifo", "directory", "device", "sem.x" };
	char path[PATH_MAX];

	if (in_user_namespace())
		assert_int_equal(umount2("/dev/shm/device", 0), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "/dev/shm/%s", names[i]);
		assert_int_equal(remove(path), 0);
	}
}

static void only_regular_files_are_objects(void **state)
{
	static const char *const names[] = { "link", "fifo", "directory", "device", "sem.x" };
	const struct ipcfs_class *class = &ipcfs_posix_shm;
	struct segment segment = open_new(class, "file", 10);
	struct ipcfs_change change = { .mask = IPCFS_CHANGE_MODE, .mode = 0666 };
	struct ipcfs_caller root = root_caller();
	struct ipcfs_info info;
	int counts[3] = { 0 };

	(void)state;
	put_things();
	assert_int_equal(ipcfs_walk_all(class, space, count, counts), 0);
	assert_int_equal(counts[0], 1);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct ipcfs_ref ref = segment.info.ref;
		struct ipcfs_text text = { 0 };
		int handle;

		snprintf(ref.name, sizeof(ref.name), "%s", names[i]);
		assert_int_equal(class->find(space, names[i], &info), -ENOENT);
		assert_int_equal(class->stat(space, &ref, &info), -ENOENT);
		assert_int_equal(class->status(space, &ref, &text), -ENOENT);
		assert_int_equal(class->change(space, &ref, &change, &root), -ENOENT);
		assert_int_equal(class->remove(space, &ref, &root), -ENOENT);
		assert_true(segment.ops->open(space, &ref, true, &handle) < 0);
	}
	assert_int_equal(make(class, "sem.y", &info), -EINVAL);
	assert_int_equal(make(class, "link", &info), -EEXIST);
	remove_things();
	end_segment(&segment);
}

static void names_of_one_file_are_two_objects(void **state)
{
	const struct ipcfs_class *class = &ipcfs_posix_shm;
	struct segment segment = open_new(class, "one", 10);
	struct ipcfs_info other, now;

	(void)state;
	assert_int_equal(link("/dev/shm/one", "/dev/shm/two"), 0);
	assert_int_equal(class->find(space, "two", &other), 0);
	assert_int_equal(other.ref.serial, segment.info.ref.serial);
	assert_int_not_equal(other.ref.key, segment.info.ref.key);
	close_both(&segment);
	remove_it(class, &segment.info);
	assert_int_equal(class->stat(space, &other.ref, &now), 0);
	remove_it(class, &other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_pass_unchanged),
		cmocka_unit_test(sizes),
		cmocka_unit_test(removed_segments),
		cmocka_unit_test(attached_segments_outlive_their_key),
		cmocka_unit_test(memory_that_has_to_stay_attached),
		cmocka_unit_test(many_handles),
		cmocka_unit_test(freeing_much_memory_is_long_work),
		cmocka_unit_test(freeing_a_large_system_v_segment_is_long_work),
		cmocka_unit_test(many_threads_read_the_table_of_segments),
		cmocka_unit_test(only_regular_files_are_objects),
		cmocka_unit_test(names_of_one_file_are_two_objects),
	};

	return cmocka_run_group_tests(tests, enter_namespace, leave_namespace);
}
