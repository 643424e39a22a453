/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/base/order.h"
#include "backends/contract/contract.h"
#include "backends/contract/descriptor.h"
#include "backends/contract/fault.h"
#include "backends/contract/layout.h"
#include "backends/posix/posix_sem_giver.h"
#include "backends/posix/posix_sem_keeper.h"
#include "backends/posix/posix_sem_slots.h"

#define SIGNALS_MAX 50
#define ANSWER_MS 1000 /* on a loaded machine, the keeper may not run for a while */
#define START_MS 1000
#define NONE IPCFS_POSIX_SEM_NO_SLOT

/* The daemon's side of the keeper, which is one for the whole process. Guarded by the lock. */
static struct {
	pthread_mutex_t lock;
	struct ipcfs_holds_hooks hooks;
	int socket;	/* to the keeper; -1: there is none */
	pid_t process;	/* 0: it is not a child of this process */
	uint32_t asked; /* the serial of the last order that is answered */
	bool late;	/* the keeper has not answered it in time */
} keeper = { .lock = PTHREAD_MUTEX_INITIALIZER, .socket = -1 };

/* From here to ipcfs_posix_sem_keep, call with the lock held. */

/* Sends an order. To watch no more never waits. */
static int send_order(uint32_t slot, enum ipcfs_posix_sem_order_action action, int fd)
{
	const struct ipcfs_posix_sem_order order = { .slot = slot,
						     .serial = keeper.asked,
						     .action = action };
	int error;

	do {
		error = ipcfs_order_send(keeper.socket, &order, sizeof(order), fd,
					 action == IPCFS_POSIX_SEM_UNWATCH ? MSG_DONTWAIT : 0);
	} while (error == -EINTR);
	return error;
}

/*
 * Receives the answer to the last order that has one, and drops those to earlier ones.
 * -EAGAIN: it has not come.
 * -EPIPE: the keeper has ended.
 * -ENOLCK: the keeper can't do it.
 */
static int receive_answer(int flags)
{
	struct ipcfs_posix_sem_answer answer;
	ssize_t size;

	for (unsigned signals = 0;;) {
		size = recv(keeper.socket, &answer, sizeof(answer), flags);
		if (size == 0)
			return -EPIPE;
		/* each signal, as the kicks of a waiting thread, begins the time anew */
		if (size < 0 && (errno != EINTR || ++signals > SIGNALS_MAX))
			return errno == EINTR ? -EAGAIN : -errno;
		if (size == sizeof(answer) && answer.serial == keeper.asked)
			return answer.done ? 0 : -ENOLCK;
	}
}

/*
 * Gives the keeper an order, and waits for the answer, but not for a keeper that has not answered
 * the order before.
 */
static int ask_keeper(uint32_t slot, enum ipcfs_posix_sem_order_action action, int fd)
{
	int error = keeper.late ? receive_answer(MSG_DONTWAIT) : 0;

	if (error && error != -ENOLCK)
		return error;
	keeper.asked = ipcfs_posix_sem_slots_serial();
	keeper.late = false;
	error = send_order(slot, action, fd);
	if (error) /* no answer will come */
		return error;
	error = receive_answer(0);
	keeper.late = error == -EAGAIN;
	return error;
}

static int fork_keeper(int ends[2])
{
	sigset_t all, before;
	pid_t process;
	int error;

	/* The keeper has to outlive the daemon, and so whatever signal ends the daemon. */
	(void)sigfillset(&all);
	(void)sigdelset(&all,
			SIGBUS); /* raised by a semaphore's file that is too short: see guard.h */
	error = -pthread_sigmask(SIG_SETMASK, &all, &before);
	if (error)
		return error;
	process = fork();
	if (process == 0)
		ipcfs_posix_sem_giver_run(ends[1], keeper.hooks.confine);
	error = process < 0 ? -errno : 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* cannot fail: a valid mask */
	if (!error)
		keeper.process = process;
	return error;
}

/* Limits the time that an order and an answer may take. */
static void limit_time(int socket, long ms)
{
	const struct timeval timeout = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	(void)setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	(void)setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
}

/* Ends the keeper, if there is one. It gives nothing back. */
static void end_keeper(void)
{
	/* Its end comes first: a keeper whose socket is closed takes the daemon for dead. */
	if (keeper.process && !kill(keeper.process, SIGKILL))
		while (waitpid(keeper.process, NULL, 0) < 0 && errno == EINTR)
			;
	keeper.process = 0;
	ipcfs_descriptor_close(&keeper.socket);
}

/*
 * Starts a keeper. From its fork it has all semaphores with holds, mapped as the daemon has them:
 * it gives them back even if it never comes to run before the daemon's end. After an error there
 * is none.
 */
static int start_keeper(void)
{
	int ends[2], error;

	error = ipcfs_posix_sem_slots_map();
	if (error)
		return error;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	if (keeper.hooks.hand_over) /* first: it must not end with this process */
		keeper.hooks.hand_over(keeper.hooks.arg, ends[0]);
	limit_time(ends[0], START_MS);
	error = fork_keeper(ends);
	ipcfs_descriptor_close(&ends[1]);
	if (error) {
		ipcfs_descriptor_close(&ends[0]);
		return error;
	}
	(void)ipcfs_fault("keeper.forked");
	keeper.socket = ends[0];
	keeper.asked = IPCFS_POSIX_SEM_STARTED;
	error = receive_answer(0);
	limit_time(keeper.socket, ANSWER_MS);
	keeper.late = error == -EAGAIN;
	if (error && !keeper.late)
		end_keeper();
	return keeper.late ? 0 : error;
}

static bool is_lost(int error)
{
	return error == -EPIPE || error == -ECONNRESET;
}

/* Makes the keeper watch a mapped semaphore. Starts another keeper where it was killed. */
static int watch(uint32_t slot, int fd)
{
	int error = ipcfs_fault("keeper.order");

	if (!error)
		error = keeper.socket < 0 ? -EPIPE : ask_keeper(slot, IPCFS_POSIX_SEM_WATCH, fd);
	if (!is_lost(error))
		return error;
	end_keeper();
	return start_keeper();
}

/*
 * Makes the keeper watch a semaphore no more. One that was killed watches none, and is left to
 * ipcfs_holds_check.
 */
static int unwatch(uint32_t slot)
{
	int error = ipcfs_fault("keeper.order");

	if (!error && keeper.socket >= 0)
		error = send_order(slot, IPCFS_POSIX_SEM_UNWATCH, -1);
	return is_lost(error) ? 0 : error;
}

/*
 * Returns the error of a hold for an error of the keeper. It is never -EAGAIN, which says that the
 * value is 0.
 */
static int hold_error(int error)
{
	return error && error != -ENOMEM && error != -ENOSPC ? -ENOLCK : error;
}

/* Takes a slot for a semaphore that is mapped at `word`. NONE: there are too many. */
static uint32_t begin_slot(volatile _Atomic uint64_t *word)
{
	uint32_t slot = ipcfs_posix_sem_slot_take();

	if (slot != NONE)
		ipcfs_posix_sem_words[slot] = word;
	return slot;
}

/* The same as ipcfs_posix_sem_keep, with the errors of the keeper. */
static int keep(int fd, const struct ipcfs_posix_sem_id *id, volatile _Atomic uint64_t *word,
		ipcfs_posix_sem_record **record)
{
	int error = ipcfs_posix_sem_slots_map();
	uint32_t slot;

	if (error)
		return error;
	if (*record)
		return watch(ipcfs_posix_sem_slot_index(*record), fd);
	slot = begin_slot(word);
	if (slot == NONE)
		return -ENOSPC;
	error = watch(slot, fd);
	if (error) {
		ipcfs_posix_sem_slot_drop(slot, true);
		return error;
	}
	*record = &ipcfs_posix_sem_slot_at(slot)->record;
	ipcfs_posix_sem_slot_at(slot)->key = id->key;
	ipcfs_posix_sem_slot_at(slot)->serial = id->serial;
	return 0;
}

int ipcfs_posix_sem_keep(int fd, const struct ipcfs_posix_sem_id *id,
			 volatile _Atomic uint64_t *word, ipcfs_posix_sem_record **record)
{
	int error;

	pthread_mutex_lock(&keeper.lock);
	error = keep(fd, id, word, record);
	pthread_mutex_unlock(&keeper.lock);
	return hold_error(error);
}

ipcfs_posix_sem_record *ipcfs_posix_sem_adopt(const struct ipcfs_posix_sem_id *id,
					      volatile _Atomic uint64_t *word)
{
	ipcfs_posix_sem_record *record = NULL;
	uint32_t slot;

	pthread_mutex_lock(&keeper.lock);
	slot = ipcfs_posix_sem_slot_find(id);
	if (slot != NONE) {
		ipcfs_posix_sem_words[slot] = word;
		record = &ipcfs_posix_sem_slot_at(slot)->record;
	}
	pthread_mutex_unlock(&keeper.lock);
	return record;
}

/* Returns whether there was a keeper, and it has ended. */
static bool has_ended(void)
{
	struct pollfd end = { .fd = keeper.socket };

	return keeper.socket >= 0 && poll(&end, 1, 0) == 1 && end.revents & (POLLHUP | POLLERR);
}

int ipcfs_posix_sem_kept(void)
{
	int error = 0;

	pthread_mutex_lock(&keeper.lock);
	if (has_ended())
		end_keeper();
	if (keeper.socket < 0)
		error = start_keeper();
	pthread_mutex_unlock(&keeper.lock);
	return hold_error(error);
}

/* Has the keeper give back what a worker before has left, and what no open file goes on with. */
static void give_left_back(void)
{
	for (uint32_t slot = 0; (slot = ipcfs_posix_sem_slot_left(slot)) != NONE; slot++)
		if (!ask_keeper(slot, IPCFS_POSIX_SEM_GIVE_BACK, -1))
			ipcfs_posix_sem_slot_drop(slot, true);
}

int ipcfs_holds_start(const struct ipcfs_holds_hooks *hooks)
{
	int error = 0;

	pthread_mutex_lock(&keeper.lock);
	keeper.hooks = *hooks;
	if (has_ended())
		end_keeper();
	if (keeper.socket < 0)
		error = start_keeper();
	else
		give_left_back();
	pthread_mutex_unlock(&keeper.lock);
	return error;
}

int ipcfs_holds_share(int *memory)
{
	return ipcfs_posix_sem_slots_share(memory);
}

void ipcfs_holds_keep(int socket)
{
	ipcfs_descriptor_close(&keeper.socket);
	keeper.socket = socket;
}

int ipcfs_holds_drop(int *memory)
{
	ipcfs_descriptor_close(&keeper.socket);
	ipcfs_descriptor_close(memory);
	return ipcfs_posix_sem_slots_share(memory);
}

uint64_t ipcfs_holds_layout(uint64_t hash)
{
	const uint64_t numbers[] = {
		sizeof(struct ipcfs_posix_sem_order),
		offsetof(struct ipcfs_posix_sem_order, serial),
		offsetof(struct ipcfs_posix_sem_order, action),
		IPCFS_POSIX_SEM_GIVE_BACK,
		sizeof(struct ipcfs_posix_sem_answer),
		offsetof(struct ipcfs_posix_sem_answer, done),
	};

	hash = ipcfs_layout_numbers(hash, numbers, sizeof(numbers) / sizeof(*numbers));
	return ipcfs_posix_sem_slots_layout(hash);
}

int ipcfs_holds_check(void)
{
	int error = 0;

	(void)ipcfs_fault("keeper.check");
	pthread_mutex_lock(&keeper.lock);
	/* One that could not start is left to the next hold: it would fail again and again. */
	if (has_ended()) {
		end_keeper();
		error = start_keeper();
	}
	pthread_mutex_unlock(&keeper.lock);
	return error;
}

void ipcfs_posix_sem_unkeep(ipcfs_posix_sem_record *record)
{
	uint32_t slot;

	pthread_mutex_lock(&keeper.lock);
	slot = ipcfs_posix_sem_slot_index(record);
	*record = 0;
	/* after an error the keeper may still have the semaphore: the slot stays used */
	ipcfs_posix_sem_slot_drop(slot, !unwatch(slot));
	pthread_mutex_unlock(&keeper.lock);
}
