/* SPDX-License-Identifier: MIT */
#include "backends/space/message_sender.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <mqueue.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "backends/base/order.h"
#include "backends/contract/descriptor.h"
#include "backends/space/message_store.h"
#include "backends/space/thread_ns.h"

/* Numbers of descriptors that no queue has: they are the daemon's standard streams. */
enum { SOCKET, STORE, OTHERS = IPCFS_MESSAGE_SENDER_FIRST };

#define PAUSE_MIN_MS 10
#define PAUSE_MAX_MS 500
/* The process keeps another namespace alive, and cannot see whether it is the last one there. */
#define ELSEWHERE_S 600

/* Leaves the terminal, the working directory, and signals that end the daemon. */
static int leave_surroundings(const struct ipcfs_message_sender *sender)
{
	int error = ipcfs_thread_ns_join(sender->space);

	(void)setsid();
	(void)prctl(PR_SET_NAME, "ipcfs-leases");
	(void)prctl(PR_SET_DUMPABLE, 0);
	/* a process that was stopped goes on when the daemon has ended */
	(void)prctl(PR_SET_PDEATHSIG, SIGCONT);
	return error ? error : chdir("/");
}

/* Closes what the daemon has open but for what this process uses. */
static int keep_descriptors(const struct ipcfs_message_sender *sender)
{
	if (dup2(sender->socket, SOCKET) < 0 || dup2(sender->file, STORE) < 0)
		return -errno;
	(void)syscall(SYS_close_range, OTHERS, ~0U, 0);
	return 0;
}

/* Gives up all capabilities but CAP_IPC_OWNER, if there is that one. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = { 0 };
	uint32_t left;

	if (syscall(SYS_capget, &header, sets))
		return -errno;
	left = sets[0].permitted & 1U << CAP_IPC_OWNER;
	memset(sets, 0, sizeof(sets));
	sets[0].permitted = sets[0].effective = left;
	return syscall(SYS_capset, &header, sets) ? -errno : 0;
}

/* Keeps `fd` open under another number. It is not open under its own afterwards. */
static void keep(int number, int fd)
{
	if (fd == number)
		return;
	(void)dup3(fd, number, O_CLOEXEC);
	ipcfs_descriptor_close(&fd);
}

/*
 * Follows an order. `fd` is what came with it, or -1, and is not open afterwards. *begun: it was
 * the one to begin.
 */
static void follow_order(const struct ipcfs_message_sender_order *order, int fd, bool *begun)
{
	bool valid = order->descriptor >= OTHERS;

	if (order->what == IPCFS_MESSAGE_SENDER_KEEP && fd >= 0 && valid) {
		keep(order->descriptor, fd);
		return;
	}
	ipcfs_descriptor_close(&fd);
	if (order->what == IPCFS_MESSAGE_SENDER_BEGIN)
		*begun = true;
	else if (order->what == IPCFS_MESSAGE_SENDER_CLOSE && valid)
		(void)syscall(SYS_close_range, order->descriptor, order->last, 0);
}

/* Receives and follows an order. Returns false when the daemon has ended. */
static bool receive_order(bool *begun)
{
	struct ipcfs_message_sender_order order;
	int fd;
	enum ipcfs_order received = ipcfs_order_receive(SOCKET, &order, sizeof(order), &fd);

	if (received == IPCFS_ORDER_RECEIVED)
		follow_order(&order, fd, begun);
	return received != IPCFS_ORDER_ENDED;
}

/* A message that is to be sent. */
struct due {
	struct ipcfs_kept entry;
	uint64_t queue; /* an inode, or a System V id */
	uint32_t place;
};

/* Returns what is the same for all messages of a queue, by whichever descriptor it is reached. */
static uint64_t queue_of(const struct ipcfs_kept *entry)
{
	struct stat st;

	if (entry->descriptor && !fstat(entry->handle, &st))
		return st.st_ino;
	return (uint64_t)entry->handle;
}

static bool is_same_queue(const struct due *one, const struct due *other)
{
	return one->entry.descriptor == other->entry.descriptor && one->queue == other->queue;
}

/* Orders by queue, and the messages of a queue as they were kept. For qsort. */
static int compare(const void *one, const void *other)
{
	const struct due *a = one, *b = other;

	if (a->entry.descriptor != b->entry.descriptor)
		return a->entry.descriptor ? 1 : -1;
	if (a->queue != b->queue)
		return a->queue > b->queue ? 1 : -1;
	return a->entry.sequence > b->entry.sequence ? 1 : -1;
}

static void *allocate(size_t size)
{
	void *memory = mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* Collects this process's messages. Returns their number. */
static size_t collect(uint32_t number, uint32_t places, struct due *due)
{
	size_t count = 0;

	for (uint32_t place = 0; place < places; place++) {
		struct due *next = &due[count];

		if (!ipcfs_message_store_entry(STORE, place, &next->entry) ||
		    next->entry.sender != number)
			continue;
		next->place = place;
		next->queue = queue_of(&next->entry);
		count++;
	}
	qsort(due, count, sizeof(*due), compare);
	return count;
}

static size_t largest_of(const struct due *due, size_t count)
{
	size_t largest = 0;

	for (size_t i = 0; i < count; i++)
		if (due[i].entry.size > largest)
			largest = due[i].entry.size;
	return largest;
}

/*
 * Returns whether the queue was removed, so that nobody will make room in it. A kernel that says
 * EINVAL may mean the queue or the message.
 */
static bool is_removed(const struct ipcfs_kept *entry)
{
	struct msqid_ds ds;
	struct stat st;

	if (entry->descriptor)
		return fstat(entry->handle, &st) ? errno == EBADF : !st.st_nlink;
	return msgctl(entry->handle, IPC_STAT, &ds) && (errno == EINVAL || errno == EIDRM);
}

/* Sends a message, if that can be done now. Returns whether it is done, or pointless. */
static bool send_one(const struct due *due, struct ipcfs_message *message)
{
	const struct ipcfs_kept *entry = &due->entry;
	const struct timespec now = { .tv_sec = 0 };
	int error;

	if (!ipcfs_message_store_read(STORE, due->place, message, entry->size))
		return false;
	if (entry->descriptor)
		error = mq_timedsend(entry->handle, message->text, entry->size,
				     (unsigned)message->type, &now);
	else
		error = msgsnd(entry->handle, &message->type, entry->size, IPC_NOWAIT);
	return !error || is_removed(entry);
}

/*
 * Sends what can be sent now. A message that cannot holds up those behind it in its queue, and no
 * others. Moves what is left to the front, and returns its number.
 */
static size_t send_some(struct due *due, size_t count, struct ipcfs_message *message)
{
	size_t left = 0;

	for (size_t i = 0; i < count; i++) {
		bool held_up = left && is_same_queue(&due[left - 1], &due[i]);

		if (held_up || !send_one(&due[i], message))
			due[left++] = due[i];
	}
	return left;
}

static void sleep_ms(long ms)
{
	const struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000 * 1000 };

	(void)nanosleep(&time, NULL);
}

static time_t now_s(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

/* Sends all messages, and waits for room where a queue is full. */
static void send_all(struct due *due, size_t count, struct ipcfs_message *message, bool elsewhere)
{
	const time_t end = now_s() + ELSEWHERE_S;
	long pause = PAUSE_MIN_MS;
	size_t before;

	for (;;) {
		before = count;
		count = send_some(due, count, message);
		if (!count || (elsewhere && now_s() >= end))
			return;
		if (count < before)
			pause = PAUSE_MIN_MS;
		sleep_ms(pause);
		pause = 2 * pause < PAUSE_MAX_MS ? 2 * pause : PAUSE_MAX_MS;
	}
}

/* Allocates, and waits for memory where there is none. */
static void *allocate_at_last(size_t size)
{
	void *memory;

	while (!(memory = allocate(size)))
		sleep_ms(PAUSE_MAX_MS);
	return memory;
}

/* Sends what is kept, when the daemon has ended. */
static void send_kept(const struct ipcfs_message_sender *sender)
{
	uint32_t places = ipcfs_message_store_places(STORE);
	struct due *due = allocate_at_last((places + 1) * sizeof(*due));
	size_t count = collect(sender->number, places, due);
	struct ipcfs_message *message = allocate_at_last(sizeof(*message) + largest_of(due, count));

	send_all(due, count, message, sender->elsewhere);
}

_Noreturn void ipcfs_message_sender_run(const struct ipcfs_message_sender *sender)
{
	bool begun = !sender->awaits;

	if (leave_surroundings(sender) || keep_descriptors(sender) || drop_capabilities() ||
	    (sender->confine && sender->confine()))
		_exit(1);
	(void)send(SOCKET, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (receive_order(&begun))
		;
	if (begun)
		send_kept(sender);
	_exit(0);
}
