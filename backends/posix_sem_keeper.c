/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend.h"
#include "descriptor.h"
#include "guard.h"
#include "posix_sem.h"
#include "posix_sem_keeper.h"

#define SLOTS 32768 /* each is a page of the keeper's, of which a process may have some 65,000 */
#define ANSWER_US (100 * 1000)
#define NONE UINT32_MAX

/* The keeper is one for the process, and this is all there is of it. Guarded by the lock. */
static struct {
	pthread_mutex_t lock;
	ipcfs_posix_sem_record *records; /* shared with the keeper */
	int socket;			 /* to it, -1: there is none */
	pid_t process;
	uint32_t used, free;	/* slots below were handed out once; first of the free ones */
	uint32_t next[SLOTS];	/* after a free one */
	int descriptors[SLOTS]; /* of those in use, -1 of the others */
} keeper = { .lock = PTHREAD_MUTEX_INITIALIZER, .socket = -1, .free = NONE };

/* What the keeper is told: watch over this one (a descriptor comes with it), or not any more. */
struct order {
	uint32_t slot;
	bool watch;
};

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

/* From here to run_keeper: in the keeper. It makes system calls only, and no memory of the heap. */

struct settle {
	volatile _Atomic uint64_t *word;
	uint64_t entry; /* of the record */
	uint64_t seen;
	uint32_t count;
};

/* Was what stands in the record as under way done? If nobody else came in between, the value tells. */
static uint32_t outstanding(uint64_t entry, uint32_t value)
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

IPCFS_GUARDED static void settle_step(void *arg)
{
	struct settle *settle = arg;

	settle->seen = *settle->word;
	settle->count = outstanding(settle->entry, IPCFS_POSIX_SEM_VALUE(settle->seen));
	do {
		if (IPCFS_POSIX_SEM_VALUE(settle->seen) > SEM_VALUE_MAX - settle->count)
			settle->count = 0;
	} while (!atomic_compare_exchange_weak(settle->word, &settle->seen,
					       settle->seen + settle->count));
}

/* Give back what is out of one semaphore. */
static void settle(volatile _Atomic uint64_t *word, uint64_t entry)
{
	struct settle settle = { .word = word, .entry = entry };

	if (!entry || ipcfs_guard(word, sizeof(*word), settle_step, &settle))
		return;
	if (settle.count && IPCFS_POSIX_SEM_WAITERS(settle.seen))
		(void)syscall(SYS_futex,
			      (char *)(uintptr_t)word +
				      4 * (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__),
			      FUTEX_WAKE, settle.count, NULL, NULL, 0);
}

static volatile _Atomic uint64_t **keeper_pages;

static void obey(const struct order *order, int fd)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *page = MAP_FAILED;

	if (order->slot >= SLOTS)
		return;
	if (keeper_pages[order->slot])
		(void)munmap((void *)(uintptr_t)keeper_pages[order->slot], size);
	keeper_pages[order->slot] = NULL;
	if (order->watch && fd >= 0)
		page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page != MAP_FAILED)
		keeper_pages[order->slot] = page;
}

/* The next order; false: who gave them is gone. */
static bool take_order(int socket)
{
	union control control;
	struct order order;
	struct iovec iov = { .iov_base = &order, .iov_len = sizeof(order) };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	const struct cmsghdr *header;
	ssize_t size;
	int fd = -1;

	size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	if (size < 0)
		return errno == EINTR || errno == ENOBUFS || errno == ENOMEM;
	if (size == 0)
		return false;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	if (size == sizeof(order))
		obey(&order, fd);
	ipcfs_descriptor_close(&fd);
	return true;
}

static _Noreturn void run_keeper(int socket, ipcfs_posix_sem_record *records)
{
	/* Away from the terminal, the directory and others' namespaces, and without whatever we have open. */
	ipcfs_space_settle();
	(void)setsid();
	(void)prctl(PR_SET_NAME, "ipcfs-holds");
	(void)prctl(PR_SET_DUMPABLE, 0);
	if (chdir("/"))
		_exit(1);
	if (socket > 0)
		(void)syscall(SYS_close_range, 0U, (unsigned)socket - 1, 0);
	(void)syscall(SYS_close_range, (unsigned)socket + 1, ~0U, 0);
	keeper_pages = mmap(NULL, SLOTS * sizeof(*keeper_pages), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (keeper_pages == MAP_FAILED)
		_exit(1);
	while (take_order(socket))
		;
	for (uint32_t i = 0; i < SLOTS; i++)
		if (keeper_pages[i])
			settle(keeper_pages[i], records[i]);
	_exit(0);
}

/* From here on: in the daemon, with the lock held. */

static int send_order(uint32_t slot, int fd)
{
	struct order order = { .slot = slot, .watch = fd >= 0 };
	union control control = { .header = { .cmsg_len = 0 } };
	struct iovec iov = { .iov_base = &order, .iov_len = sizeof(order) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t sent;

	if (fd >= 0) {
		control.header.cmsg_len = CMSG_LEN(sizeof(fd));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	do {
		sent = sendmsg(keeper.socket, &message, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
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

	/* It lives as long as we do, and must not be ended by what ends us. */
	(void)sigfillset(&all);
	(void)sigdelset(&all, SIGBUS); /* see guard.h */
	error = -pthread_sigmask(SIG_SETMASK, &all, &before);
	if (error)
		return error;
	process = fork();
	if (process == 0)
		run_keeper(ends[1], keeper.records);
	error = process < 0 ? -errno : 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* can't fail: it was valid before */
	if (!error)
		keeper.process = process;
	return error;
}

/* A keeper, told of all there is. */
static int start_keeper(void)
{
	const struct timeval patience = { .tv_usec = ANSWER_US };
	int ends[2], error;

	error = map_records();
	if (error)
		return error;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	(void)setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	error = fork_keeper(ends);
	ipcfs_descriptor_close(&ends[1]);
	if (error) {
		ipcfs_descriptor_close(&ends[0]);
		return error;
	}
	keeper.socket = ends[0];
	for (uint32_t i = 0; i < keeper.used && !error; i++)
		if (keeper.descriptors[i] >= 0)
			error = send_order(i, keeper.descriptors[i]);
	return error;
}

/* Tell it; where it was killed there has to be another. */
static int tell_keeper(uint32_t slot, int fd)
{
	int error = keeper.socket < 0 ? -EPIPE : send_order(slot, fd);

	if (error != -EPIPE && error != -ECONNRESET)
		return error;
	ipcfs_descriptor_close(&keeper.socket);
	if (keeper.process)
		(void)waitpid(keeper.process, NULL, WNOHANG);
	keeper.process = 0;
	if (fd < 0)
		return 0; /* the next hold makes one */
	error = start_keeper();
	return error ? error : send_order(slot, fd);
}

static uint32_t take_slot(void)
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

int ipcfs_posix_sem_keep(int fd, ipcfs_posix_sem_record **record)
{
	uint32_t slot;
	int error;

	pthread_mutex_lock(&keeper.lock);
	slot = take_slot();
	if (slot == NONE) {
		pthread_mutex_unlock(&keeper.lock);
		return -ENOSPC;
	}
	keeper.descriptors[slot] = -1;
	error = map_records();
	if (!error) {
		keeper.records[slot] = 0;
		error = tell_keeper(slot, fd);
	}
	if (error) {
		free_slot(slot);
	} else {
		keeper.descriptors[slot] = fd;
		*record = &keeper.records[slot];
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
	keeper.descriptors[slot] = -1;
	if (!tell_keeper(slot, -1)) /* else it may still have it there: the slot is lost */
		free_slot(slot);
	pthread_mutex_unlock(&keeper.lock);
}
