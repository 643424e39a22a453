/* SPDX-License-Identifier: MIT */
/*
 * Operations on POSIX semaphores. A handle is a descriptor of the file, which is mapped as well.
 * The value is changed in memory, with the futex of sem_wait(3) and sem_post(3), but by code of
 * this file: the C library trusts the other words of the file, and a process that writes these
 * could end the daemon. Here only the first word is used, any content of it is a value, and a file
 * that is too short is an error (guard.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "backends/base/guard.h"
#include "backends/contract/descriptor.h"
#include "backends/contract/fault.h"
#include "backends/posix/posix_sem.h"
#include "backends/posix/posix_sem_keeper.h"
#include "backends/posix/shm_dir.h"

#define WAIT_NS (500 * 1000 * 1000LL)
#define SAMPLE_NS (10 * 1000 * 1000)
#define SECOND_NS (1000 * 1000 * 1000LL)

struct mapping {
	volatile _Atomic uint64_t *word;
	struct ipcfs_posix_sem_id id;
	pthread_mutex_t lock;		/* guards what follows; held for a few instructions */
	ipcfs_posix_sem_record *record; /* NULL: no hold was ever taken */
	bool kept;			/* the keeper is known to watch it */
};

/*
 * The mappings of handles, by descriptor number. A block is allocated when it is needed, and never
 * freed.
 */
#define BLOCK 1024
#define BLOCKS 1024
static _Atomic(_Atomic(struct mapping *) *) blocks[BLOCKS];

/*
 * Returns where the mapping of this descriptor is kept. NULL: no memory, or the number is too
 * large.
 */
static _Atomic(struct mapping *) *slot_of(int fd)
{
	_Atomic(struct mapping *) *block, *fresh;

	if (fd >= BLOCK * BLOCKS)
		return NULL;
	block = blocks[fd / BLOCK];
	if (!block) {
		fresh = calloc(BLOCK, sizeof(*fresh));
		if (!fresh)
			return NULL;
		if (atomic_compare_exchange_strong(&blocks[fd / BLOCK], &block, fresh))
			block = fresh;
		else
			free(fresh);
	}
	return &block[fd % BLOCK];
}

static struct mapping *mapping_of(int handle)
{
	return *slot_of(handle);
}

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static int map_file(int fd, const struct ipcfs_ref *ref)
{
	_Atomic(struct mapping *) *slot = slot_of(fd);
	struct mapping *mapping = slot ? calloc(1, sizeof(*mapping)) : NULL;
	void *page;

	if (!mapping)
		return -ENOMEM;
	page = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED) {
		int error = -errno;

		free(mapping);
		return error;
	}
	mapping->word = page;
	mapping->id = (struct ipcfs_posix_sem_id){ ref->serial, ref->key };
	pthread_mutex_init(&mapping->lock, NULL);
	*slot = mapping;
	return 0;
}

static int perm(int handle, struct ipcfs_perm *perm)
{
	struct statx st;
	int error = ipcfs_shm_dir_fstat(handle, &st);

	if (error)
		return error;
	if (st.stx_nlink == 0 || !ipcfs_posix_sem_is(&st))
		return -EIDRM;
	ipcfs_shm_dir_perm(&st, perm);
	return 0;
}

static int get(int handle, uint32_t number, uint32_t *value)
{
	uint64_t word;
	int error;

	if (number != 0)
		return -EFBIG;
	error = ipcfs_posix_sem_word(handle, &word);
	if (error)
		return error == -EIO ? -EIDRM : error;
	*value = IPCFS_POSIX_SEM_VALUE(word);
	return 0;
}

/* Returns the futex: the half of the word that has the value. */
static volatile uint32_t *futex_of(const struct mapping *mapping)
{
	volatile uint32_t *halves = (volatile uint32_t *)(uintptr_t)mapping->word;

	return halves + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

/* A step is one atomic change of the word, in a guarded call. */
struct step {
	const struct mapping *mapping;
	uint64_t seen;	  /* the word before the change */
	uint32_t amount;  /* to subtract, to add, or to set */
	uint64_t waiters; /* to add to the waiters, or in decrement_step to remove from them */
	ipcfs_posix_sem_record *record;
	int result;
};

IPCFS_GUARDED static void decrement_step(void *arg)
{
	struct step *step = arg;
	volatile _Atomic uint64_t *word = step->mapping->word;
	uint64_t entry = step->record ? *step->record : 0;
	uint32_t held = ipcfs_posix_sem_count(entry);

	step->result = -EAGAIN;
	step->seen = *word;
	while (IPCFS_POSIX_SEM_VALUE(step->seen) >= step->amount) {
		if (step->record)
			*step->record = ipcfs_posix_sem_entry(held, IPCFS_POSIX_SEM_TAKING,
							      IPCFS_POSIX_SEM_VALUE(step->seen));
		if (atomic_compare_exchange_weak(word, &step->seen,
						 step->seen - step->amount - step->waiters)) {
			step->result = 0;
			held += step->record != NULL;
			(void)ipcfs_fault("record.taking");
			break;
		}
	}
	if (step->record)
		*step->record = ipcfs_posix_sem_entry(held, IPCFS_POSIX_SEM_IDLE, 0);
}

IPCFS_GUARDED static void increment_step(void *arg)
{
	struct step *step = arg;
	volatile _Atomic uint64_t *word = step->mapping->word;
	uint64_t entry = step->record ? *step->record : 0;
	uint32_t held = ipcfs_posix_sem_count(entry);

	step->result = 0;
	step->seen = *word;
	do {
		if (IPCFS_POSIX_SEM_VALUE(step->seen) > SEM_VALUE_MAX - step->amount) {
			step->result = -ERANGE;
			break;
		}
		if (step->record)
			*step->record = ipcfs_posix_sem_entry(held, IPCFS_POSIX_SEM_GIVING,
							      IPCFS_POSIX_SEM_VALUE(step->seen));
	} while (!atomic_compare_exchange_weak(word, &step->seen, step->seen + step->amount));
	(void)ipcfs_fault("record.giving");
	if (step->record) /* also where the value is at its maximum: the hold is given back then */
		*step->record = ipcfs_posix_sem_entry(held - 1, IPCFS_POSIX_SEM_IDLE, 0);
}

IPCFS_GUARDED static void set_step(void *arg)
{
	struct step *step = arg;
	volatile _Atomic uint64_t *word = step->mapping->word;

	step->seen = *word;
	while (!atomic_compare_exchange_weak(word, &step->seen,
					     (step->seen >> 32 << 32) | step->amount))
		;
	if (step->record)
		*step->record = ipcfs_posix_sem_entry(0, IPCFS_POSIX_SEM_IDLE, 0);
}

IPCFS_GUARDED static void add_waiters_step(void *arg)
{
	struct step *step = arg;

	atomic_fetch_add(step->mapping->word, step->waiters);
}

static int run_step(struct step *step, void (*body)(void *arg))
{
	/* a step that was left in the middle has done nothing, whatever it has recorded */
	uint64_t entry = step->record ? *step->record : 0;

	if (!ipcfs_guard(step->mapping->word, sizeof(*step->mapping->word), body, step))
		return step->result;
	if (step->record)
		*step->record = entry;
	return -EIDRM;
}

/* Runs a step with the record. Only one such step of a semaphore runs at a time. */
static int run_recorded(struct mapping *mapping, struct step *step, void (*body)(void *arg))
{
	int error;

	pthread_mutex_lock(&mapping->lock);
	step->record = mapping->record;
	error = run_step(step, body);
	pthread_mutex_unlock(&mapping->lock);
	return error;
}

static void wake(const struct mapping *mapping, const struct step *step, uint32_t count)
{
	if (IPCFS_POSIX_SEM_WAITERS(step->seen) == 0)
		return;
	if (count > INT_MAX)
		count = INT_MAX;
	(void)syscall(SYS_futex, futex_of(mapping), FUTEX_WAKE, count, NULL, NULL, 0);
}

IPCFS_GUARDED static void settle_step(void *arg)
{
	struct step *step = arg;

	step->seen = *step->mapping->word;
	step->result = 0;
	*step->record = ipcfs_posix_sem_entry(
		ipcfs_posix_sem_holds(*step->record, IPCFS_POSIX_SEM_VALUE(step->seen)),
		IPCFS_POSIX_SEM_IDLE, 0);
}

/*
 * Goes on with the holds that a worker before has left. It may have died before it woke those who
 * wait for what it gave back.
 */
static void adopt(struct mapping *mapping)
{
	struct step step = { .mapping = mapping };

	mapping->record = ipcfs_posix_sem_adopt(&mapping->id, mapping->word);
	if (mapping->record && !run_recorded(mapping, &step, settle_step))
		wake(mapping, &step, IPCFS_POSIX_SEM_VALUE(step.seen));
}

static int open_semaphore(const struct ipcfs_space *space, const struct ipcfs_ref *ref, int *handle)
{
	struct statx st;
	IPCFS_DESCRIPTOR_AUTO int path = ipcfs_posix_sem_find(space, ref, &st);
	int fd, error;

	if (path < 0)
		return path;
	fd = ipcfs_posix_sem_open(path, O_RDWR);
	if (fd < 0)
		return fd == -EAGAIN ? -EACCES : fd; /* another process has a lease on the file */
	error = map_file(fd, ref);
	if (error) {
		ipcfs_descriptor_close(&fd);
		return error;
	}
	adopt(mapping_of(fd));
	*handle = fd;
	return 0;
}

static void close_semaphore(int handle)
{
	struct mapping *mapping = mapping_of(handle);

	*slot_of(handle) = NULL;
	if (mapping->record)
		ipcfs_posix_sem_unkeep(mapping->record);
	(void)munmap((void *)(uintptr_t)mapping->word, page_size());
	pthread_mutex_destroy(&mapping->lock);
	free(mapping);
	ipcfs_descriptor_close(&handle);
}

static int try_decrement(struct mapping *mapping, uint32_t amount, unsigned flags, uint64_t waiters)
{
	struct step step = { .mapping = mapping, .amount = amount, .waiters = waiters };

	if (flags & IPCFS_SEMAPHORE_UNDO)
		return run_recorded(mapping, &step, decrement_step);
	return run_step(&step, decrement_step);
}

static long long monotonic_ns(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * SECOND_NS + time.tv_nsec;
}

/*
 * Waits as sem_wait(3) does, until `end`. A woken thread tries to decrement before anything else,
 * so that no wake-up is lost.
 */
static int wait_on_futex(struct mapping *mapping, unsigned flags, long long end)
{
	struct step step = { .mapping = mapping, .waiters = IPCFS_POSIX_SEM_WAITER };
	int error = run_step(&step, add_waiters_step);

	if (error)
		return error;
	for (;;) {
		long long left = end - monotonic_ns();
		struct timespec limit = { .tv_nsec = left > 0 ? left % SECOND_NS : 0 };

		error = try_decrement(mapping, 1, flags, IPCFS_POSIX_SEM_WAITER);
		if (error != -EAGAIN)
			break;
		if (left <= 0) {
			error = -EINTR;
			break;
		}
		/* EFAULT: the file is too short, as the next step will say */
		if (syscall(SYS_futex, futex_of(mapping), FUTEX_WAIT, 0, &limit, NULL, 0) &&
		    (errno == EINTR || errno == ETIMEDOUT)) {
			error = -EINTR;
			break;
		}
	}
	if (error && error != -EIDRM) {
		step.waiters = -IPCFS_POSIX_SEM_WAITER;
		(void)run_step(&step, add_waiters_step);
	}
	return error;
}

/*
 * Waits until several can be subtracted at once, by trying again and again: as a waiter of the
 * futex, this thread would take wake-ups from threads that need only one.
 */
static int retry_until(struct mapping *mapping, uint32_t amount, long long end)
{
	const struct timespec pause = { .tv_nsec = SAMPLE_NS };
	int error;

	while ((error = try_decrement(mapping, amount, 0, 0)) == -EAGAIN)
		if (monotonic_ns() >= end || nanosleep(&pause, NULL))
			return -EINTR;
	return error;
}

static int start_record(struct mapping *mapping, int handle)
{
	int error;

	pthread_mutex_lock(&mapping->lock);
	error = mapping->kept ? ipcfs_posix_sem_kept()
			      : ipcfs_posix_sem_keep(handle, &mapping->id, mapping->word,
						     &mapping->record);
	mapping->kept = !error;
	pthread_mutex_unlock(&mapping->lock);
	return error;
}

static int decrement(int handle, uint32_t amount, unsigned flags)
{
	struct mapping *mapping = mapping_of(handle);
	long long end;
	int error = 0;

	if (flags & IPCFS_SEMAPHORE_UNDO)
		error = amount == 1 ? start_record(mapping, handle) : -EINVAL;
	if (!error)
		error = try_decrement(mapping, amount, flags, 0);
	if (error != -EAGAIN || !(flags & IPCFS_SEMAPHORE_WAIT))
		return error;
	end = monotonic_ns() + WAIT_NS;
	return amount == 1 ? wait_on_futex(mapping, flags, end) : retry_until(mapping, amount, end);
}

static int increment(int handle, uint32_t amount)
{
	struct mapping *mapping = mapping_of(handle);
	struct step step = { .mapping = mapping, .amount = amount };
	int error = run_step(&step, increment_step);

	if (!error)
		wake(mapping, &step, amount);
	return error;
}

static int operate(int handle, const struct ipcfs_semaphore_op *ops, size_t count, unsigned flags)
{
	int32_t delta = ops->delta;

	if (count != 1 || delta == 0)
		return -EINVAL;
	if (ops->number != 0)
		return -EFBIG;
	if (delta == INT32_MIN)
		return -ERANGE;
	return delta < 0 ? decrement(handle, (uint32_t)-delta, flags)
			 : increment(handle, (uint32_t)delta);
}

static int set(int handle, uint32_t number, uint32_t value)
{
	struct mapping *mapping = mapping_of(handle);
	struct step step = { .mapping = mapping, .amount = value };
	int error;

	if (number != 0)
		return -EFBIG;
	if (value > SEM_VALUE_MAX)
		return -ERANGE;
	error = run_recorded(mapping, &step, set_step);
	if (!error)
		wake(mapping, &step, value);
	return error;
}

static int held(int handle, uint32_t number, unsigned taken)
{
	struct mapping *mapping = mapping_of(handle);
	uint32_t count = 0;

	(void)number;
	pthread_mutex_lock(&mapping->lock);
	if (mapping->record)
		count = ipcfs_posix_sem_count(*mapping->record);
	pthread_mutex_unlock(&mapping->lock);
	return (int)(count < taken ? count : taken);
}

static int give_back(int handle, uint32_t number, unsigned rank)
{
	struct mapping *mapping = mapping_of(handle);
	struct step step = { .mapping = mapping, .amount = 1 };
	int error;

	if (held(handle, number, rank) < (int)rank)
		return 1;
	error = run_recorded(mapping, &step, increment_step);
	if (!error)
		wake(mapping, &step, 1);
	return error == -ERANGE ? 0 : error;
}

static int describe(int handle, bool (*is_gone)(void *arg), void *arg, struct ipcfs_text *out)
{
	uint64_t word;
	int error = ipcfs_posix_sem_word(handle, &word);

	(void)is_gone;
	(void)arg;
	if (error)
		return error == -EIO ? -EIDRM : error;
	return ipcfs_text_printf(out, "value=%u\nwaiting=%u\n", IPCFS_POSIX_SEM_VALUE(word),
				 IPCFS_POSIX_SEM_WAITERS(word));
}

const struct ipcfs_semaphore_ops ipcfs_posix_sem_ops = {
	.sets = false,
	.value_max = SEM_VALUE_MAX,
	.open = open_semaphore,
	.close = close_semaphore,
	.perm = perm,
	.get = get,
	.set = set,
	.operate = operate,
	.give_back = give_back,
	.held = held,
	.describe = describe,
};
