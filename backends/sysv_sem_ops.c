/* SPDX-License-Identifier: MIT */
/*
 * What is done to System V semaphores. A handle is the set's id.
 *
 * A hold is an operation with SEM_UNDO: the kernel keeps, for all threads of this process together,
 * how much to add to a semaphore when the process is gone (its adjustment), and sets that to 0 when
 * somebody sets the value.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <time.h>

#include "sysv_object.h"
#include "sysv_sem.h"

#define VALUE_MAX 32767 /* SEMVMX */
#define WAIT_NS (500 * 1000 * 1000)
#define OPS_SMALL 16 /* need no allocation */

/* semctl and semop say EINVAL of a set that is gone, of a number that is none, and of nonsense. */
static int reason(int handle, int error)
{
	struct semid_ds ds;

	if (error == EINVAL) {
		int gone = ipcfs_sysv_sem_look(handle, &ds);

		return gone ? gone : -EFBIG;
	}
	return -error;
}

static int open_set(const struct ipcfs_space *space, const struct ipcfs_ref *ref, int *handle)
{
	int error = ipcfs_sysv_sem_verify(ref);

	(void)space;
	if (!error)
		*handle = (int)ref->serial;
	return error;
}

static void close_set(int handle)
{
	(void)handle; /* an id needs no closing */
}

static int perm(int handle, struct ipcfs_perm *perm)
{
	struct semid_ds ds;
	int error = ipcfs_sysv_sem_look(handle, &ds);

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
		return reason(handle, errno);
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
		return reason(handle, errno);
	return 0;
}

static void free_shorts(unsigned short **values)
{
	free(*values);
}

/* Room for all values of the set, owned by the caller. The number of semaphores, negative errno. */
static ssize_t values_room(int handle, unsigned short **values)
{
	struct semid_ds ds;
	int error = ipcfs_sysv_sem_look(handle, &ds);

	if (error)
		return error;
	*values = malloc((ds.sem_nsems + 1) * sizeof(**values));
	return *values ? (ssize_t)ds.sem_nsems : -ENOMEM;
}

static int get_all(int handle, struct ipcfs_text *out)
{
	__attribute__((cleanup(free_shorts))) unsigned short *values = NULL;
	ssize_t count = values_room(handle, &values);
	size_t start = out->size;
	int error = 0;

	if (count < 0)
		return (int)count;
	if (semctl(handle, 0, GETALL, (union ipcfs_semun){ .array = values }))
		return reason(handle, errno);
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
	__attribute__((cleanup(free_shorts))) unsigned short *values = NULL;
	ssize_t room = values_room(handle, &values);

	if (room < 0)
		return (int)room;
	if ((size_t)room != count)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (wanted[i] > VALUE_MAX)
			return -ERANGE;
		values[i] = (unsigned short)wanted[i];
	}
	if (semctl(handle, 0, SETALL, (union ipcfs_semun){ .array = values }))
		return reason(handle, errno);
	return 0;
}

static int fill(struct sembuf *to, const struct ipcfs_semaphore_op *from, size_t count,
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

static int call(int handle, struct sembuf *ops, size_t count, bool wait)
{
	const struct timespec limit = { .tv_nsec = WAIT_NS };

	if (!semtimedop(handle, ops, count, wait ? &limit : NULL))
		return 0;
	if (errno == EAGAIN)
		return wait ? -EINTR : -EAGAIN; /* the time is over */
	return reason(handle, errno);
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
	error = fill(all, ops, count, flags);
	if (!error)
		error = call(handle, all, count, flags & IPCFS_SEMAPHORE_WAIT);
	if (all != small)
		free(all);
	return error;
}

/*
 * The kernel does not show the adjustment, but an operation that would take it below -32768 fails with
 * ERANGE, and all that were to be done with it are not done. So "is it at least N" can be asked: lower
 * it by 32768 + N. It is lowered by adding to the semaphore with SEM_UNDO and taking the same without,
 * in steps that the value allows: up first while it is small, down first while it is large.
 */
#define ADJUSTMENT_MIN 32768
#define STEP_MAX 16383
#define PROBE_MAX 32

struct probe {
	struct sembuf ops[PROBE_MAX];
	size_t count;
	unsigned short number;
	bool high; /* the value is large */
};

static void add_op(struct probe *probe, int delta, bool undo)
{
	probe->ops[probe->count++] = (struct sembuf){
		.sem_num = probe->number,
		.sem_op = (short)delta,
		.sem_flg = (short)(IPC_NOWAIT | (undo ? SEM_UNDO : 0)),
	};
}

/* Change the adjustment by `amount`, lower or higher, and leave the value. */
static void shift(struct probe *probe, unsigned amount, bool lower)
{
	while (amount > 0) {
		int step = amount < STEP_MAX ? (int)amount : STEP_MAX;

		/* what is added with SEM_UNDO lowers it, what is taken raises it */
		add_op(probe, probe->high ? -step : step, probe->high != lower);
		add_op(probe, probe->high ? step : -step, probe->high == lower);
		amount -= (unsigned)step;
	}
}

static int start_probe(struct probe *probe, int handle, uint32_t number, unsigned least,
		       uint32_t *value)
{
	int error = get(handle, number, value);

	probe->count = 0;
	probe->number = (unsigned short)number;
	probe->high = *value > VALUE_MAX - STEP_MAX;
	if (!error)
		shift(probe, ADJUSTMENT_MIN + least, true);
	return error;
}

/* A value that left its half meanwhile fails as well: only what is said again is believed. */
#define PROBE_TRIES 4

/* Is the adjustment at least this? 1, 0 or negative errno. Changes nothing: its last operation fails. */
static int is_held(int handle, uint32_t number, unsigned least)
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
		error = call(handle, probe.ops, probe.count, false);
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
	/* at least `least`, at most `taken` */
	while (least < taken) {
		unsigned middle = least + (taken - least + 1) / 2;
		int found = is_held(handle, number, middle);

		if (found < 0)
			return found;
		if (found)
			least = middle;
		else
			taken = middle - 1;
	}
	return (int)least;
}

/* Give one back without asking: for systems that allow but few operations at once. */
static int give_back_plainly(int handle, uint32_t number)
{
	struct sembuf op = {
		.sem_num = (unsigned short)number,
		.sem_op = 1,
		.sem_flg = IPC_NOWAIT | SEM_UNDO,
	};

	return call(handle, &op, 1, false);
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
		shift(&probe, ADJUSTMENT_MIN + rank, false);
		if (value ==
		    VALUE_MAX) /* it can't grow: as the kernel does at the end of a process */
			add_op(&probe, -1, false);
		add_op(&probe, 1, true);
		error = call(handle, probe.ops, probe.count, false);
		if (error == -E2BIG)
			return give_back_plainly(handle, number);
		if (error == -ERANGE)
			attempts++;
		else if (error != -EAGAIN)
			return error;
	}
	return 1;
}

/* semctl(2) of the numbers that only those who may read can ask for. */
static int describe_one(int handle, int number, unsigned value, struct ipcfs_text *out)
{
	int pid = semctl(handle, number, GETPID);
	int increase = semctl(handle, number, GETNCNT);
	int zero = semctl(handle, number, GETZCNT);

	if (pid < 0 || increase < 0 || zero < 0)
		return reason(handle, errno);
	return ipcfs_text_printf(
		out, "value_%d=%u\nlast_pid_%d=%d\nwaiting_inc_%d=%d\nwaiting_zero_%d=%d\n", number,
		value, number, pid, number, increase, number, zero);
}

static int describe(int handle, struct ipcfs_text *out)
{
	__attribute__((cleanup(free_shorts))) unsigned short *values = NULL;
	ssize_t count = values_room(handle, &values);
	int error = 0;

	if (count < 0)
		return (int)count;
	if (semctl(handle, 0, GETALL, (union ipcfs_semun){ .array = values }))
		return reason(handle, errno);
	for (ssize_t i = 0; i < count && !error; i++)
		error = describe_one(handle, (int)i, values[i], out);
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
