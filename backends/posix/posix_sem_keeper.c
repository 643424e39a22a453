/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/base/guard.h"
#include "backends/base/order.h"
#include "backends/contract/contract.h"
#include "backends/contract/descriptor.h"
#include "backends/contract/fault.h"
#include "backends/posix/posix_sem.h"
#include "backends/posix/posix_sem_keeper.h"

/* Semaphores with holds. Each is a mapping of the keeper, of which a process may have 65,530. */
#define SLOTS 32768
#define SIGNALS_MAX 50
#define ANSWER_MS 1000 /* on a loaded machine, the keeper may not run for a while */
#define START_MS 1000
#define NONE UINT32_MAX
#define STARTED 0

/* The daemon's side of the keeper, which is one for the whole process. Guarded by the lock. */
static struct {
	pthread_mutex_t lock;
	ipcfs_posix_sem_record *records; /* shared with the keeper */
	int (*confine)(void);		 /* limits the keeper's system calls */
	int socket;			 /* to the keeper; -1: there is none */
	pid_t process;
	uint32_t asked;	      /* the serial of the last order to watch */
	bool late;	      /* the keeper has not answered it in time */
	uint32_t used, free;  /* slots ever used; first slot of the free list */
	uint32_t next[SLOTS]; /* behind a slot of the free list */
	/* mapped semaphores, of the daemon, or in the keeper its own; NULL: there is none */
	volatile _Atomic uint64_t *words[SLOTS];
} keeper = { .lock = PTHREAD_MUTEX_INITIALIZER, .socket = -1, .free = NONE };

/*
 * A message to the keeper: to watch a semaphore, whose descriptor comes with it, or to watch it no
 * more.
 */
struct order {
	uint32_t slot;
	uint32_t serial; /* of orders to watch, which the keeper answers */
	bool watch;
};

/* The keeper's answer to an order to watch, and before the first one. */
struct answer {
	uint32_t serial; /* of the order; STARTED: the keeper is ready */
	bool watches;
};

/*
 * From here to run_keeper, the code runs in the keeper. It makes system calls only, and uses no
 * heap.
 */

struct give_back {
	volatile _Atomic uint64_t *word;
	uint64_t entry; /* of the record */
	uint64_t seen;
	uint32_t count;
};

/*
 * Returns how many holds are out, by a record's entry and the semaphore's value. An entry may say
 * that a hold is being taken or given back: the value before shows whether this was done, if no
 * other process has changed the value in between.
 */
static uint32_t count_holds(uint64_t entry, uint32_t value)
{
	uint32_t count = ipcfs_posix_sem_count(entry), before = (uint32_t)(entry >> 32);

	switch ((enum ipcfs_posix_sem_action)(entry >> 30 & 3)) {
	case IPCFS_POSIX_SEM_TAKING:
		return value == before - 1 ? count + 1 : count;
	case IPCFS_POSIX_SEM_GIVING:
		return value == before + 1 ? count - 1 : count;
	default:
		return count;
	}
}

IPCFS_GUARDED static void give_back_step(void *arg)
{
	struct give_back *give_back = arg;

	give_back->seen = *give_back->word;
	give_back->count = count_holds(give_back->entry, IPCFS_POSIX_SEM_VALUE(give_back->seen));
	do {
		if (IPCFS_POSIX_SEM_VALUE(give_back->seen) > SEM_VALUE_MAX - give_back->count)
			give_back->count = 0;
	} while (!atomic_compare_exchange_weak(give_back->word, &give_back->seen,
					       give_back->seen + give_back->count));
}

/* Gives back all holds of one semaphore. */
static void give_back(volatile _Atomic uint64_t *word, uint64_t entry)
{
	struct give_back give_back = { .word = word, .entry = entry };

	if (!entry || ipcfs_guard(word, sizeof(*word), give_back_step, &give_back))
		return;
	if (give_back.count && IPCFS_POSIX_SEM_WAITERS(give_back.seen))
		(void)syscall(SYS_futex,
			      (char *)(uintptr_t)word +
				      4 * (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__),
			      FUTEX_WAKE, give_back.count, NULL, NULL, 0);
}

/* Returns whether the semaphore of the order is watched now. */
static bool follow_order(const struct order *order, int fd)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *page = MAP_FAILED;

	if (order->slot >= SLOTS)
		return false;
	if (keeper.words[order->slot])
		(void)munmap((void *)(uintptr_t)keeper.words[order->slot], size);
	keeper.words[order->slot] = NULL;
	if (order->watch && fd >= 0)
		page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page != MAP_FAILED)
		keeper.words[order->slot] = page;
	return page != MAP_FAILED;
}

/* Never waits: a daemon that does not read answers has asked for none. */
static void send_answer(int socket, uint32_t serial, bool watches)
{
	const struct answer answer = { .serial = serial, .watches = watches };

	(void)send(socket, &answer, sizeof(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Receives and follows an order. Returns false when the daemon has ended. */
static bool receive_order(int socket)
{
	struct order order;
	int fd;
	enum ipcfs_order received = ipcfs_order_receive(socket, &order, sizeof(order), &fd);
	bool watches;

	if (received == IPCFS_ORDER_RECEIVED) {
		watches = follow_order(&order, fd);
		ipcfs_descriptor_close(&fd);
		if (order.watch)
			send_answer(socket, order.serial, watches);
	}
	return received != IPCFS_ORDER_ENDED;
}

/* Gives up all capabilities, and all system calls but the few that are made below. */
static int confine_keeper(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capset, &header, none))
		return -errno;
	return keeper.confine ? keeper.confine() : 0;
}

static _Noreturn void run_keeper(int socket, ipcfs_posix_sem_record *records)
{
	/*
	 * The keeper leaves the terminal, the working directory and other IPC namespaces, and
	 * closes what the daemon has open.
	 */
	ipcfs_space_start_home();
	(void)setsid();
	(void)prctl(PR_SET_NAME, "ipcfs-holds");
	(void)prctl(PR_SET_DUMPABLE, 0);
	/* a keeper that was stopped goes on when the daemon has ended */
	(void)prctl(PR_SET_PDEATHSIG, SIGCONT);
	if (chdir("/"))
		_exit(1);
	if (socket > 0)
		(void)syscall(SYS_close_range, 0U, (unsigned)socket - 1, 0);
	(void)syscall(SYS_close_range, (unsigned)socket + 1, ~0U, 0);
	if (confine_keeper())
		_exit(1);
	send_answer(socket, STARTED, true);
	while (receive_order(socket))
		;
	for (uint32_t i = 0; i < SLOTS; i++)
		if (keeper.words[i])
			give_back(keeper.words[i], records[i]);
	_exit(0);
}

/* From here on, the code runs in the daemon, with the lock held. */

/* Sends an order. A descriptor of -1: to watch no more, which never waits. */
static int send_order(uint32_t slot, int fd)
{
	const struct order order = { .slot = slot, .serial = keeper.asked, .watch = fd >= 0 };
	int error;

	do {
		error = ipcfs_order_send(keeper.socket, &order, sizeof(order), fd,
					 fd < 0 ? MSG_DONTWAIT : 0);
	} while (error == -EINTR);
	return error;
}

/*
 * Receives the answer to the last order to watch, and drops those to earlier ones.
 * -EAGAIN: it has not come.
 * -EPIPE: the keeper has ended.
 * -ENOLCK: the keeper can't watch the semaphore.
 */
static int receive_answer(int flags)
{
	struct answer answer;
	ssize_t size;

	for (unsigned signals = 0;;) {
		size = recv(keeper.socket, &answer, sizeof(answer), flags);
		if (size == 0)
			return -EPIPE;
		/* each signal, as the kicks of a waiting thread, begins the time anew */
		if (size < 0 && (errno != EINTR || ++signals > SIGNALS_MAX))
			return errno == EINTR ? -EAGAIN : -errno;
		if (size == sizeof(answer) && answer.serial == keeper.asked)
			return answer.watches ? 0 : -ENOLCK;
	}
}

/*
 * Makes the keeper watch a semaphore, and waits for the answer, but not for a keeper that has not
 * answered the order before.
 */
static int ask_keeper(uint32_t slot, int fd)
{
	int error = keeper.late ? receive_answer(MSG_DONTWAIT) : 0;

	if (error && error != -ENOLCK)
		return error;
	keeper.asked++;
	error = send_order(slot, fd);
	if (error) { /* no answer will come */
		keeper.asked--;
		keeper.late = false;
		return error;
	}
	error = receive_answer(0);
	keeper.late = error == -EAGAIN;
	return error;
}

static int map_records(void)
{
	void *table;

	if (keeper.records)
		return 0;
	table = mmap(NULL, SLOTS * sizeof(*keeper.records), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (table == MAP_FAILED)
		return -ENOMEM;
	keeper.records = table;
	return 0;
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
		run_keeper(ends[1], keeper.records);
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

	error = map_records();
	if (error)
		return error;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	limit_time(ends[0], START_MS);
	error = fork_keeper(ends);
	ipcfs_descriptor_close(&ends[1]);
	if (error) {
		ipcfs_descriptor_close(&ends[0]);
		return error;
	}
	(void)ipcfs_fault("keeper.forked");
	keeper.socket = ends[0];
	keeper.asked = STARTED;
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

/* Makes the keeper watch a semaphore of `words`. Starts another keeper where it was killed. */
static int watch(uint32_t slot, int fd)
{
	int error = ipcfs_fault("keeper.order");

	if (!error)
		error = keeper.socket < 0 ? -EPIPE : ask_keeper(slot, fd);
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
		error = send_order(slot, -1);
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

static uint32_t allocate_slot(void)
{
	uint32_t slot = keeper.free;

	if (slot != NONE) {
		keeper.free = keeper.next[slot];
		return slot;
	}
	return keeper.used < SLOTS ? keeper.used++ : NONE;
}

static void free_slot(uint32_t slot)
{
	keeper.next[slot] = keeper.free;
	keeper.free = slot;
}

int ipcfs_posix_sem_keep(int fd, volatile _Atomic uint64_t *word, ipcfs_posix_sem_record **record)
{
	uint32_t slot;
	int error;

	pthread_mutex_lock(&keeper.lock);
	slot = allocate_slot();
	if (slot == NONE) {
		pthread_mutex_unlock(&keeper.lock);
		return -ENOSPC;
	}
	error = map_records();
	if (!error) {
		keeper.records[slot] = 0;
		keeper.words[slot] = word;
		error = watch(slot, fd);
	}
	if (error) {
		keeper.words[slot] = NULL;
		free_slot(slot);
	} else {
		*record = &keeper.records[slot];
	}
	pthread_mutex_unlock(&keeper.lock);
	return hold_error(error);
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

int ipcfs_holds_start(int (*confine)(void))
{
	int error;

	pthread_mutex_lock(&keeper.lock);
	keeper.confine = confine;
	error = start_keeper();
	pthread_mutex_unlock(&keeper.lock);
	return error;
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
	slot = (uint32_t)(record - keeper.records);
	*record = 0;
	keeper.words[slot] = NULL;
	if (!unwatch(slot)) /* else the keeper may still have the semaphore: the slot stays used */
		free_slot(slot);
	pthread_mutex_unlock(&keeper.lock);
}
