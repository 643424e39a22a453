/* SPDX-License-Identifier: MIT */
/*
 * Operations on System V semaphores: semop(2), semctl(2). A handle is the set's id.
 *
 * A hold is an operation with SEM_UNDO. For each semaphore, the kernel keeps the sum of these
 * operations of all threads that share it: the adjustment, which it adds to the value when the last
 * of them ends. It sets the adjustment to 0 when any process sets the value: the holds are void
 * then.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>

#include "backends/contract/long_work.h"
#include "backends/sysv/sysv_sem.h"

#define VALUE_MAX 32767 /* SEMVMX of the kernel */
#define WAIT_NS (500 * 1000 * 1000)
#define OPS_SMALL 16 /* operations that need no allocation */

/*
 * Translates an errno of semctl(2) or semop(2). EINVAL means that the set was removed, that the
 * number is wrong, or that an argument is.
 * -EIDRM: the set was removed.
 * -EFBIG: any other EINVAL.
 */
static int set_error(int handle, int error)
{
	struct semid_ds ds;

	if (error == EINVAL) {
		int gone = ipcfs_sysv_sem_stat_id(handle, &ds);

		return gone ? gone : -EFBIG;
	}
	return -error;
}

static int open_set(const struct ipcfs_space *space, const struct ipcfs_ref *ref, int *handle)
{
	(void)space;
	return ipcfs_sysv_open(&ipcfs_sysv_sem_calls, ref, handle);
}

static void close_set(int handle)
{
	(void)handle; /* an id is not closed */
}

static int perm(int handle, struct ipcfs_perm *perm)
{
	struct semid_ds ds;
	int error = ipcfs_sysv_sem_stat_id(handle, &ds);

	if (!error)
		ipcfs_sysv_perm(&ds.sem_perm, perm);
	return error;
}

static int get(int handle, uint32_t number, uint32_t *value)
{
	int found;

	if (number > INT_MAX)
		return -EFBIG;
	found = semctl(handle, (int)number, GETVAL);
	if (found < 0)
		return set_error(handle, errno);
	*value = (uint32_t)found;
	return 0;
}

static int set(int handle, uint32_t number, uint32_t value)
{
	if (value > VALUE_MAX)
		return -ERANGE;
	if (number > INT_MAX)
		return -EFBIG;
	if (semctl(handle, (int)number, SETVAL, (union ipcfs_semun){ .val = (int)value }))
		return set_error(handle, errno);
	return 0;
}

/*
 * Allocates memory for all values of the set, to be freed. Returns the number of semaphores.
 * -EIDRM: the set was removed.
 * -ENOMEM.
 */
static ssize_t allocate_values(int handle, unsigned short **values)
{
	struct semid_ds ds;
	int error = ipcfs_sysv_sem_stat_id(handle, &ds);

	if (error)
		return error;
	*values = malloc((ds.sem_nsems + 1) * sizeof(**values));
	return *values ? (ssize_t)ds.sem_nsems : -ENOMEM;
}

static int get_all(int handle, struct ipcfs_text *out)
{
	IPCFS_SYSV_SEM_VALUES_AUTO values = NULL;
	ssize_t count = allocate_values(handle, &values);
	size_t start = out->size;
	int error = 0;

	if (count < 0)
		return (int)count;
	if (semctl(handle, 0, GETALL, (union ipcfs_semun){ .array = values }))
		return set_error(handle, errno);
	for (ssize_t i = 0; i < count && !error; i++) {
		uint32_t value = values[i];

		error = ipcfs_text_add(out, &value, sizeof(value));
	}
	if (error)
		ipcfs_text_cut(out, start);
	return error;
}

static int set_all(int handle, const uint32_t *wanted, size_t count)
{
	IPCFS_SYSV_SEM_VALUES_AUTO values = NULL;
	ssize_t existing = allocate_values(handle, &values);

	if (existing < 0)
		return (int)existing;
	if ((size_t)existing != count)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (wanted[i] > VALUE_MAX)
			return -ERANGE;
		values[i] = (unsigned short)wanted[i];
	}
	if (semctl(handle, 0, SETALL, (union ipcfs_semun){ .array = values }))
		return set_error(handle, errno);
	return 0;
}

static int fill_sembufs(struct sembuf *to, const struct ipcfs_semaphore_op *from, size_t count,
			unsigned flags)
{
	short how = 0;

	if (!(flags & IPCFS_SEMAPHORE_WAIT))
		how |= IPC_NOWAIT;
	if (flags & IPCFS_SEMAPHORE_UNDO)
		how |= SEM_UNDO;
	for (size_t i = 0; i < count; i++) {
		if (from[i].number > USHRT_MAX)
			return -EFBIG;
		if (from[i].delta > VALUE_MAX || from[i].delta < -VALUE_MAX)
			return -ERANGE;
		to[i].sem_num = (unsigned short)from[i].number;
		to[i].sem_op = (short)from[i].delta;
		to[i].sem_flg = how;
	}
	return 0;
}

static int call_semop(int handle, struct sembuf *ops, size_t count, bool wait)
{
	const struct timespec limit = { .tv_nsec = WAIT_NS };

	if (!semtimedop(handle, ops, count, wait ? &limit : NULL))
		return 0;
	if (errno == EAGAIN)
		return wait ? -EINTR : -EAGAIN; /* the time limit */
	return set_error(handle, errno);
}

static int operate(int handle, const struct ipcfs_semaphore_op *ops, size_t count, unsigned flags)
{
	struct sembuf small[OPS_SMALL], *all = small;
	int error;

	if (count == 0)
		return -EINVAL;
	if (count > OPS_SMALL)
		all = malloc(count * sizeof(*all));
	if (!all)
		return -ENOMEM;
	error = fill_sembufs(all, ops, count, flags);
	if (!error)
		error = call_semop(handle, all, count, flags & IPCFS_SEMAPHORE_WAIT);
	if (all != small)
		free(all);
	return error;
}

/*
 * The kernel does not show the adjustment. But it refuses, with ERANGE, an operation that would
 * make the adjustment less than -32768, and then does none of the operations of the call. So an
 * adjustment is at least N if it cannot be lowered by 32768 + N.
 *
 * To lower it and keep the value, one operation adds to the semaphore with SEM_UNDO, and another
 * subtracts the same without. Each step changes the value for a moment, so it adds first while the
 * value is small, and subtracts first while it is large.
 */
#define ADJUSTMENT_MIN 32768
#define STEP_MAX 16383
#define PROBE_MAX 32

struct probe {
	struct sembuf ops[PROBE_MAX];
	size_t count;
	unsigned short number;
	bool is_large; /* the value is near VALUE_MAX */
};

static void add_op(struct probe *probe, int delta, bool undo)
{
	probe->ops[probe->count++] = (struct sembuf){
		.sem_num = probe->number,
		.sem_op = (short)delta,
		.sem_flg = (short)(IPC_NOWAIT | (undo ? SEM_UNDO : 0)),
	};
}

/* Appends operations that lower or raise the adjustment by `amount`, and keep the value. */
static void add_shift(struct probe *probe, unsigned amount, bool lower)
{
	while (amount > 0) {
		int step = amount < STEP_MAX ? (int)amount : STEP_MAX;

		/* adding with SEM_UNDO lowers the adjustment, subtracting raises it */
		add_op(probe, probe->is_large ? -step : step, probe->is_large != lower);
		add_op(probe, probe->is_large ? step : -step, probe->is_large == lower);
		amount -= (unsigned)step;
	}
}

static int start_probe(struct probe *probe, int handle, uint32_t number, unsigned least,
		       uint32_t *value)
{
	int error = get(handle, number, value);

	probe->count = 0;
	probe->number = (unsigned short)number;
	probe->is_large = *value > VALUE_MAX - STEP_MAX;
	if (!error)
		add_shift(probe, ADJUSTMENT_MIN + least, true);
	return error;
}

/*
 * A probe also fails with ERANGE where the value has grown or shrunk since it was read. Only a
 * failure that repeats itself is believed.
 */
#define PROBE_TRIES 4

/*
 * Returns 1 when the adjustment is at least `least`, else 0 or a negative errno. Changes nothing:
 * the last operation of the probe can never be done.
 */
static int is_at_least(int handle, uint32_t number, unsigned least)
{
	int error = 0, attempts = 0;

	while (attempts < PROBE_TRIES) {
		struct probe probe;
		uint32_t value = 0;

		error = start_probe(&probe, handle, number, least, &value);
		if (error)
			return error;
		add_op(&probe, -VALUE_MAX, false);
		add_op(&probe, -VALUE_MAX, false);
		error = call_semop(handle, probe.ops, probe.count, false);
		if (error == -EAGAIN)
			return 1;
		if (error != -ERANGE)
			return error;
		attempts++;
	}
	return 0;
}

static int held(int handle, uint32_t number, unsigned taken)
{
	unsigned least = 0;

	if (taken > VALUE_MAX)
		taken = VALUE_MAX;
	/* the result is at least `least` and at most `taken` */
	while (least < taken) {
		unsigned middle = least + (taken - least + 1) / 2;
		int found = is_at_least(handle, number, middle);

		if (found < 0)
			return found;
		if (found)
			least = middle;
		else
			taken = middle - 1;
	}
	return (int)least;
}

/* Gives back one hold without a probe: for a kernel whose SEMOPM is too small for that. */
static int give_back_unprobed(int handle, uint32_t number)
{
	struct sembuf op = {
		.sem_num = (unsigned short)number,
		.sem_op = 1,
		.sem_flg = IPC_NOWAIT | SEM_UNDO,
	};

	return call_semop(handle, &op, 1, false);
}

static int give_back(int handle, uint32_t number, unsigned rank)
{
	int attempts = 0;

	if (rank > VALUE_MAX)
		return 1;
	while (attempts < PROBE_TRIES) {
		struct probe probe;
		uint32_t value = 0;
		int error = start_probe(&probe, handle, number, rank, &value);

		if (error)
			return error;
		add_shift(&probe, ADJUSTMENT_MIN + rank, false);
		if (value ==
		    VALUE_MAX) /* at its maximum, the value stays, as at the end of a process */
			add_op(&probe, -1, false);
		add_op(&probe, 1, true);
		error = call_semop(handle, probe.ops, probe.count, false);
		if (error == -E2BIG)
			return give_back_unprobed(handle, number);
		if (error == -ERANGE)
			attempts++;
		else if (error != -EAGAIN)
			return error;
	}
	return 1;
}

#define DESCRIBE_STEP 1024 /* semaphores between two looks whether the reader is gone: 2 ms */
#define DESCRIBE_LONG 4096 /* more semaphores are long work: 5 ms and more */

/* Appends what semctl(2) shows of one semaphore to callers with read permission. */
static int describe_one(int handle, int number, unsigned value, struct ipcfs_text *out)
{
	int pid = semctl(handle, number, GETPID);
	int increase = semctl(handle, number, GETNCNT);
	int zero = semctl(handle, number, GETZCNT);

	if (pid < 0 || increase < 0 || zero < 0)
		return set_error(handle, errno);
	return ipcfs_text_printf(
		out, "value_%d=%u\nlast_pid_%d=%d\nwaiting_inc_%d=%d\nwaiting_zero_%d=%d\n", number,
		value, number, pid, number, increase, number, zero);
}

static int describe(int handle, bool (*is_gone)(void *arg), void *arg, struct ipcfs_text *out)
{
	IPCFS_SYSV_SEM_VALUES_AUTO values = NULL;
	ssize_t count = allocate_values(handle, &values);
	int error = 0;

	if (count < 0)
		return (int)count;
	if (count > DESCRIBE_LONG)
		error = ipcfs_long_work();
	if (error)
		return error;
	if (semctl(handle, 0, GETALL, (union ipcfs_semun){ .array = values }))
		return set_error(handle, errno);
	for (ssize_t i = 0; i < count && !error; i++) {
		error = describe_one(handle, (int)i, values[i], out);
		if (!error && i % DESCRIBE_STEP == DESCRIBE_STEP - 1 && is_gone(arg))
			error = -EINTR;
	}
	return error;
}

const struct ipcfs_semaphore_ops ipcfs_sysv_sem_ops = {
	.sets = true,
	.value_max = VALUE_MAX,
	.open = open_set,
	.close = close_set,
	.perm = perm,
	.get = get,
	.set = set,
	.get_all = get_all,
	.set_all = set_all,
	.operate = operate,
	.give_back = give_back,
	.held = held,
	.describe = describe,
};
