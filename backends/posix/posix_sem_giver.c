/* SPDX-License-Identifier: MIT */
/* The keeper's side of posix_sem_keeper.h. It makes system calls only, and uses no heap. */
#include "backends/posix/posix_sem_giver.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/base/guard.h"
#include "backends/base/order.h"
#include "backends/contract/contract.h"
#include "backends/contract/descriptor.h"
#include "backends/posix/posix_sem.h"
#include "backends/posix/posix_sem_slots.h"

struct give_back {
	volatile _Atomic uint64_t *word;
	uint64_t entry; /* of the record */
	uint64_t seen;
	uint32_t count;
};

IPCFS_GUARDED static void give_back_step(void *arg)
{
	struct give_back *give_back = arg;

	give_back->seen = *give_back->word;
	give_back->count = ipcfs_posix_sem_holds(give_back->entry,
						 IPCFS_POSIX_SEM_VALUE(give_back->seen));
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

/* Returns whether the order was followed. */
static bool follow_order(const struct ipcfs_posix_sem_order *order, int fd)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	volatile _Atomic uint64_t **word = &ipcfs_posix_sem_words[order->slot];
	void *page;

	if (order->action == IPCFS_POSIX_SEM_GIVE_BACK && *word)
		give_back(*word, ipcfs_posix_sem_slot_at(order->slot)->record);
	if (*word)
		(void)munmap((void *)(uintptr_t)*word, size);
	*word = NULL;
	if (order->action != IPCFS_POSIX_SEM_WATCH)
		return true;
	if (fd < 0)
		return false;
	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page != MAP_FAILED)
		*word = page;
	return page != MAP_FAILED;
}

/* Never waits: a daemon that does not read answers has asked for none. */
static void send_answer(int socket, uint32_t serial, bool done)
{
	const struct ipcfs_posix_sem_answer answer = { .serial = serial, .done = done };

	(void)send(socket, &answer, sizeof(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Receives and follows an order. Returns false when the daemon has ended. */
static bool receive_order(int socket)
{
	struct ipcfs_posix_sem_order order;
	int fd;
	enum ipcfs_order received = ipcfs_order_receive(socket, &order, sizeof(order), &fd);

	if (received == IPCFS_ORDER_RECEIVED) {
		bool done = order.slot < IPCFS_POSIX_SEM_SLOTS && follow_order(&order, fd);

		ipcfs_descriptor_close(&fd);
		if (order.action != IPCFS_POSIX_SEM_UNWATCH)
			send_answer(socket, order.serial, done);
	}
	return received != IPCFS_ORDER_ENDED;
}

/* Gives up all capabilities, and all system calls but the few that are made below. */
static int confine_keeper(int (*confine)(void))
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capset, &header, none))
		return -errno;
	return confine ? confine() : 0;
}

_Noreturn void ipcfs_posix_sem_giver_run(int socket, int (*confine)(void))
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
	if (confine_keeper(confine))
		_exit(1);
	send_answer(socket, IPCFS_POSIX_SEM_STARTED, true);
	while (receive_order(socket))
		;
	for (uint32_t i = 0; i < IPCFS_POSIX_SEM_SLOTS; i++)
		if (ipcfs_posix_sem_words[i])
			give_back(ipcfs_posix_sem_words[i], ipcfs_posix_sem_slot_at(i)->record);
	_exit(0);
}
