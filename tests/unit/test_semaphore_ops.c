/* SPDX-License-Identifier: MIT */
/* Semaphores of both families through the backends' contract. */
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/sem.h>
#include <sys/stat.h>

#include "backends/contract/long_work.h"
#include "backends/posix/posix_sem_keeper.h"
#include "ipc.h"

struct semaphore {
	const struct ipcfs_class *class;
	const struct ipcfs_semaphore_ops *ops;
	struct ipcfs_info info;
	int handle;
};

static const struct ipcfs_class *const kinds[] = { &ipcfs_posix_sem, &ipcfs_sysv_sem };

/* Makes a semaphore, or a set of `count`, with this value. */
static struct semaphore open_many(const struct ipcfs_class *class, uint32_t value, unsigned count)
{
	struct ipcfs_spec spec = spec_for(class, name_for(class, 77));
	struct semaphore semaphore = { .class = class, .ops = class->semaphore };
	struct ipcfs_caller root = root_caller();
	const char *limit;

	spec.given |= IPCFS_SPEC_VALUES;
	while (count--)
		assert_int_equal(ipcfs_text_add(&spec.values, &value, sizeof(value)), 0);
	assert_int_equal(class->make(space, &spec, &root, &semaphore.info, &limit), 0);
	ipcfs_text_free(&spec.values);
	assert_int_equal(semaphore.ops->open(space, &semaphore.info.ref, &semaphore.handle), 0);
	return semaphore;
}

static struct semaphore open_new(const struct ipcfs_class *class, uint32_t value)
{
	return open_many(class, value, 1);
}

static void close_and_remove(struct semaphore *semaphore)
{
	semaphore->ops->close(semaphore->handle);
	remove_it(semaphore->class, &semaphore->info);
}

static int add(const struct semaphore *semaphore, int32_t delta, unsigned flags)
{
	struct ipcfs_semaphore_op op = { .delta = delta };

	return semaphore->ops->operate(semaphore->handle, &op, 1, flags);
}

static uint32_t value_of(const struct semaphore *semaphore)
{
	uint32_t value = 0;

	assert_int_equal(semaphore->ops->get(semaphore->handle, 0, &value), 0);
	return value;
}

static void values_change_as_asked(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct semaphore semaphore = open_new(kinds[i], 2);
		uint32_t max = semaphore.ops->value_max;

		assert_int_equal(add(&semaphore, -3, 0), -EAGAIN);
		assert_int_equal(add(&semaphore, -2, 0), 0);
		assert_int_equal(add(&semaphore, -1, 0), -EAGAIN);
		assert_int_equal(add(&semaphore, 5, 0), 0);
		assert_int_equal(value_of(&semaphore), 5);
		assert_int_equal(semaphore.ops->set(semaphore.handle, 0, max), 0);
		assert_int_equal(value_of(&semaphore), max);
		assert_int_equal(add(&semaphore, 1, 0), -ERANGE);
		assert_int_equal(semaphore.ops->set(semaphore.handle, 0, max - 2), 0);
		assert_int_equal(add(&semaphore, 3, 0), -ERANGE);
		assert_int_equal(add(&semaphore, 2, 0), 0);
		assert_int_equal(value_of(&semaphore), max);
		assert_int_equal(semaphore.ops->set(semaphore.handle, 0, max + 1), -ERANGE);
		assert_int_equal(semaphore.ops->set(semaphore.handle, 9, 1), -EFBIG);
		assert_int_equal(semaphore.ops->get(semaphore.handle, 9, &max), -EFBIG);
		close_and_remove(&semaphore);
	}
}

static void waiting_ends_in_time(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct semaphore semaphore = open_new(kinds[i], 0);
		struct timespec before, after;

		clock_gettime(CLOCK_MONOTONIC, &before);
		assert_int_equal(add(&semaphore, -1, IPCFS_SEMAPHORE_WAIT), -EINTR);
		clock_gettime(CLOCK_MONOTONIC, &after);
		assert_in_range((after.tv_sec - before.tv_sec) * 1000 +
					(after.tv_nsec - before.tv_nsec) / 1000000,
				400, 5000);
		close_and_remove(&semaphore);
	}
}

static void *give_later(void *arg)
{
	usleep(50000);
	assert_int_equal(add(arg, 1, 0), 0);
	return NULL;
}

static void waiting_ends_with_what_is_given(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct semaphore semaphore = open_new(kinds[i], 0);
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, give_later, &semaphore), 0);
		assert_int_equal(add(&semaphore, -1, IPCFS_SEMAPHORE_WAIT), 0);
		pthread_join(thread, NULL);
		assert_int_equal(value_of(&semaphore), 0);
		close_and_remove(&semaphore);
	}
}

/* Returns how many wait for a POSIX semaphore, as its own word says. */
static unsigned waiting(const struct semaphore *semaphore)
{
	struct ipcfs_text text = { 0 };
	unsigned value, count = 0;

	assert_int_equal(semaphore->ops->describe(semaphore->handle, NULL, NULL, &text), 0);
	assert_int_equal(ipcfs_text_add(&text, "", 1), 0);
	assert_int_equal(sscanf(text.data, "value=%u\nwaiting=%u", &value, &count), 2);
	ipcfs_text_free(&text);
	return count;
}

/* Returns NULL if the semaphore was taken. A call that ends for its time is made again. */
static void *take(void *arg)
{
	int error;

	do
		error = add(arg, -1, IPCFS_SEMAPHORE_WAIT);
	while (error == -EINTR);
	return (void *)(intptr_t)error;
}

static void *take_directly(void *arg)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 20;
	return (void *)(intptr_t)sem_timedwait(arg, &end);
}

static void setting_the_value_wakes_all_who_may_go_on(void **state)
{
	struct semaphore semaphore = open_new(&ipcfs_posix_sem, 0);
	pthread_t threads[6];
	char path[300];
	sem_t *direct;

	(void)state;
	snprintf(path, sizeof(path), "/%s", semaphore.info.ref.name);
	direct = sem_open(path, 0);
	assert_ptr_not_equal(direct, SEM_FAILED);
	for (int i = 0; i < 6; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, i % 2 ? take : take_directly,
						i % 2 ? (void *)&semaphore : direct),
				 0);
	while (waiting(&semaphore) < 6)
		usleep(1000);
	assert_int_equal(semaphore.ops->set(semaphore.handle, 0, 7), 0);
	for (int i = 0; i < 6; i++) {
		void *result;

		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_null(result);
	}
	assert_int_equal(value_of(&semaphore), 1);
	assert_int_equal(waiting(&semaphore), 0);
	sem_close(direct);
	close_and_remove(&semaphore);
}

static int hold(const struct semaphore *semaphore)
{
	return add(semaphore, -1, IPCFS_SEMAPHORE_UNDO);
}

static int give_back(const struct semaphore *semaphore, unsigned rank)
{
	return semaphore->ops->give_back(semaphore->handle, 0, rank);
}

static void holds_are_counted(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct semaphore semaphore = open_new(kinds[i], 5);
		const struct ipcfs_semaphore_ops *ops = semaphore.ops;

		assert_int_equal(hold(&semaphore), 0);
		assert_int_equal(hold(&semaphore), 0);
		assert_int_equal(hold(&semaphore), 0);
		assert_int_equal(ops->held(semaphore.handle, 0, 3), 3);
		assert_int_equal(ops->held(semaphore.handle, 0, 2), 2);
		assert_int_equal(give_back(&semaphore, 2), 0);
		assert_int_equal(value_of(&semaphore), 3);
		assert_int_equal(ops->held(semaphore.handle, 0, 9), 2);
		assert_int_equal(ops->set(semaphore.handle, 0, 7), 0);
		assert_int_equal(ops->held(semaphore.handle, 0, 2), 0);
		assert_int_equal(hold(&semaphore), 0);
		assert_int_equal(give_back(&semaphore, 3), 1);
		assert_int_equal(give_back(&semaphore, 2), 1);
		assert_int_equal(value_of(&semaphore), 6);
		assert_int_equal(give_back(&semaphore, 1), 0);
		assert_int_equal(give_back(&semaphore, 1), 1);
		assert_int_equal(value_of(&semaphore), 7);
		close_and_remove(&semaphore);
	}
}

static void holds_at_every_value(void **state)
{
	static const uint32_t values[] = { 1, 2, 16382, 16383, 16384, 16385, 16386, 32766, 32767 };
	struct semaphore semaphore = open_new(&ipcfs_sysv_sem, 1);

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		assert_int_equal(semaphore.ops->set(semaphore.handle, 0, values[i]), 0);
		assert_int_equal(hold(&semaphore), 0);
		assert_int_equal(semaphore.ops->held(semaphore.handle, 0, 5), 1);
		assert_int_equal(value_of(&semaphore), values[i] - 1);
		assert_int_equal(give_back(&semaphore, 1), 0);
		assert_int_equal(value_of(&semaphore), values[i]);
		assert_int_equal(semaphore.ops->held(semaphore.handle, 0, 5), 0);
	}
	/* the most that a set can have */
	for (int i = 0; i < 32767; i++)
		assert_int_equal(hold(&semaphore), 0);
	assert_int_equal(semaphore.ops->held(semaphore.handle, 0, 40000), 32767);
	assert_int_equal(hold(&semaphore), -EAGAIN);
	for (int i = 32767; i > 0; i--)
		assert_int_equal(give_back(&semaphore, (unsigned)i), 0);
	assert_int_equal(value_of(&semaphore), 32767);
	assert_int_equal(give_back(&semaphore, 1), 1);
	close_and_remove(&semaphore);
}

/* The keeper has a fixed number of slots. A slot is the place of a record. */
static void slots_are_used_again(void **state)
{
	struct semaphore semaphore = open_new(&ipcfs_posix_sem, 1);
	int unmappable = open("/", O_PATH | O_CLOEXEC);
	const struct ipcfs_posix_sem_id id = { 1, 1 };
	ipcfs_posix_sem_record *first = NULL, *record = NULL;
	static _Atomic uint64_t word; /* the keeper of this test has been there since before it */

	(void)state;
	assert_int_equal(ipcfs_posix_sem_keep(semaphore.handle, &id, &word, &first), 0);
	ipcfs_posix_sem_unkeep(first);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ipcfs_posix_sem_keep(unmappable, &id, &word, &record), -ENOLCK);
	assert_int_equal(ipcfs_posix_sem_keep(semaphore.handle, &id, &word, &record), 0);
	assert_ptr_equal(record, first);
	ipcfs_posix_sem_unkeep(record);
	close(unmappable);
	close_and_remove(&semaphore);
}

static void removed_ones_say_so(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct semaphore semaphore = open_new(kinds[i], 1);
		struct ipcfs_perm perm;
		int other;

		remove_it(kinds[i], &semaphore.info);
		assert_int_equal(semaphore.ops->perm(semaphore.handle, &perm), -EIDRM);
		assert_int_equal(semaphore.ops->open(space, &semaphore.info.ref, &other), -ENOENT);
		semaphore.ops->close(semaphore.handle);
	}
}

static void cut_files_are_errors(void **state)
{
	struct semaphore semaphore = open_new(&ipcfs_posix_sem, 1);
	char path[300];
	uint32_t value;
	sem_t *direct;

	(void)state;
	snprintf(path, sizeof(path), "/%s", semaphore.info.ref.name);
	direct = sem_open(path, 0);
	assert_ptr_not_equal(direct, SEM_FAILED);
	assert_int_equal(sem_trywait(direct), 0);
	assert_int_equal(add(&semaphore, -1, 0), -EAGAIN);
	assert_int_equal(sem_post(direct), 0);
	sem_close(direct);
	assert_int_equal(hold(&semaphore), 0);

	snprintf(path, sizeof(path), "/dev/shm/sem.%s", semaphore.info.ref.name);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(add(&semaphore, -1, 0), -EIDRM);
	assert_int_equal(add(&semaphore, 1, 0), -EIDRM);
	assert_int_equal(add(&semaphore, -1, IPCFS_SEMAPHORE_WAIT), -EIDRM);
	assert_int_equal(semaphore.ops->set(semaphore.handle, 0, 3), -EIDRM);
	assert_int_equal(semaphore.ops->get(semaphore.handle, 0, &value), -EIDRM);
	assert_int_equal(give_back(&semaphore, 1), -EIDRM);
	assert_int_equal(truncate(path, 32), 0);
	assert_int_equal(add(&semaphore, 1, 0), 0);
	assert_int_equal(value_of(&semaphore), 1);
	close_and_remove(&semaphore);
}

/* Counts the looks, and says "gone" at the one that *arg counts down to. For ops->describe. */
static bool is_gone(void *arg)
{
	return --*(int *)arg == 0;
}

static void describing_a_large_set_ends_when_its_reader_is_gone(void **state)
{
	struct semaphore semaphore = open_many(&ipcfs_sysv_sem, 3, 8000);
	struct ipcfs_text text = { 0 };
	size_t size;
	int looks = 1000;

	(void)state;
	assert_int_equal(semaphore.ops->describe(semaphore.handle, is_gone, &looks, &text), 0);
	size = text.size;
	assert_in_range(1000 - looks, 5, 100);
	ipcfs_text_cut(&text, 0);
	looks = 2;
	assert_int_equal(semaphore.ops->describe(semaphore.handle, is_gone, &looks, &text), -EINTR);
	assert_int_equal(looks, 0);
	assert_in_range(text.size, 1, size / 2);
	ipcfs_text_free(&text);
	close_and_remove(&semaphore);
}

/* Returns what describing a set of `count` semaphores gives in a thread without long work. */
static int describe_in_short(unsigned count)
{
	struct semaphore semaphore = open_many(&ipcfs_sysv_sem, 3, count);
	struct ipcfs_text text = { 0 };
	int looks = 1000, err;

	ipcfs_long_work_allow(false);
	err = semaphore.ops->describe(semaphore.handle, is_gone, &looks, &text);
	ipcfs_long_work_allow(true);
	assert_true(err ? !text.size : text.size > 0);
	ipcfs_text_free(&text);
	close_and_remove(&semaphore);
	return err;
}

static void describing_a_large_set_is_long_work(void **state)
{
	(void)state;
	assert_int_equal(describe_in_short(100), 0);
	assert_int_equal(describe_in_short(8000), -ERESTART);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/*
		 * first: the handler of SIGBUS is set once, and cmocka sets its own for every test
		 */
		cmocka_unit_test(cut_files_are_errors),
		cmocka_unit_test(values_change_as_asked),
		cmocka_unit_test(waiting_ends_in_time),
		cmocka_unit_test(waiting_ends_with_what_is_given),
		cmocka_unit_test(setting_the_value_wakes_all_who_may_go_on),
		cmocka_unit_test(holds_are_counted),
		cmocka_unit_test(holds_at_every_value),
		cmocka_unit_test(slots_are_used_again),
		cmocka_unit_test(removed_ones_say_so),
		cmocka_unit_test(describing_a_large_set_ends_when_its_reader_is_gone),
		cmocka_unit_test(describing_a_large_set_is_long_work),
	};

	return cmocka_run_group_tests(tests, enter_namespace, leave_namespace);
}
