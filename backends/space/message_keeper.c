/* SPDX-License-Identifier: MIT */
#include "backends/space/message_keeper.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utlist.h>

#include "backends/base/order.h"
#include "backends/contract/descriptor.h"
#include "backends/contract/fault.h"
#include "backends/space/message_sender.h"
#include "backends/space/message_store.h"
#include "backends/space/thread_ns.h"

#define START_MS 2000
#define ORDER_MS 1000 /* on a loaded machine, the process may not run for a while */
#define SIGNALS_MAX 50
#define NONE UINT32_MAX

struct process {
	int socket; /* to it; -1: there is none */
	pid_t pid;  /* 0: there is none */
};

/* The sender of the messages of one namespace. */
struct sender {
	uint32_t number;		 /* no other one ever has it */
	const struct ipcfs_space *space; /* NULL: home */
	struct process process;
	uint64_t kept; /* its messages */
	bool orphan;   /* its space is freed: nothing more is kept, and no process started */
	struct sender *next, *prev;
};

/* A place of the file, as the daemon knows it. */
struct place {
	uint32_t sender; /* its number */
	int descriptor;	 /* of the POSIX queue; -1: none */
	uint32_t next;	 /* behind a place of the free list */
};

/* Guarded by the lock. */
static struct {
	pthread_mutex_t lock;
	int (*confine)(void);
	bool joined; /* home is not the namespace that the process was started in */
	int file;    /* see message_store.h; -1: no message was kept yet */
	uint64_t sequence;
	struct place *places;
	uint32_t used, size, free; /* places ever used; allocated; the first one of the free list */
	struct ipcfs_message_descriptor *descriptors; /* by their number */
	size_t count;				      /* of descriptors */
	struct sender *senders;
	uint32_t last_number;
} keeper = { .lock = PTHREAD_MUTEX_INITIALIZER, .file = -1, .free = NONE };

/* All static functions below are called with the lock held. */

static int allocate_place(uint32_t *place)
{
	if (keeper.free != NONE) {
		*place = keeper.free;
		keeper.free = keeper.places[*place].next;
		return 0;
	}
	if (keeper.used == keeper.size) {
		uint32_t size = keeper.size ? 2 * keeper.size : 64;
		struct place *places = reallocarray(keeper.places, size, sizeof(*places));

		if (!places)
			return -ENOMEM;
		keeper.places = places;
		keeper.size = size;
	}
	*place = keeper.used++;
	return 0;
}

static void free_place(uint32_t place)
{
	keeper.places[place].next = keeper.free;
	keeper.free = place;
}

/* Makes room for a descriptor in the table. */
static int know_descriptor(int descriptor)
{
	size_t needed = (size_t)descriptor + 1, count = needed + needed / 2;
	struct ipcfs_message_descriptor *descriptors;

	if (needed <= keeper.count)
		return 0;
	descriptors = reallocarray(keeper.descriptors, count, sizeof(*descriptors));
	if (!descriptors)
		return -ENOMEM;
	memset(descriptors + keeper.count, 0, (count - keeper.count) * sizeof(*descriptors));
	keeper.descriptors = descriptors;
	keeper.count = count;
	return 0;
}

/* Returns the sender of a namespace, of which nothing need run yet. NULL: no memory. */
static struct sender *sender_for(const struct ipcfs_space *space)
{
	struct sender *sender;

	DL_SEARCH_SCALAR(keeper.senders, sender, space, space);
	if (sender)
		return sender;
	sender = calloc(1, sizeof(*sender));
	if (!sender)
		return NULL;
	sender->number = ++keeper.last_number;
	sender->space = space;
	sender->process.socket = -1;
	DL_PREPEND(keeper.senders, sender);
	return sender;
}

/* Ends the process, if there is one. It sends nothing. */
static void end_process(struct process *process)
{
	/* Its end comes first: a process whose socket is closed takes the daemon for dead. */
	if (process->pid && !kill(process->pid, SIGKILL))
		while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
			;
	process->pid = 0;
	ipcfs_descriptor_close(&process->socket);
}

/* Returns the process's number, or a negative error. */
static pid_t fork_process(const struct sender *sender, int socket)
{
	const struct ipcfs_message_sender start = {
		.number = sender->number,
		.socket = socket,
		.file = keeper.file,
		.space = sender->space,
		.elsewhere = sender->space || keeper.joined,
		.descriptors = keeper.descriptors,
		.count = sender->space ? 0 : keeper.count,
		.confine = keeper.confine,
	};
	sigset_t all, before;
	pid_t pid;
	int error;

	/* The process has to outlive the daemon, and so whatever signal ends the daemon. */
	(void)sigfillset(&all);
	error = -pthread_sigmask(SIG_SETMASK, &all, &before);
	if (error)
		return error;
	pid = fork();
	if (pid == 0)
		ipcfs_message_sender_run(&start);
	error = -errno;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* cannot fail: a valid mask */
	return pid < 0 ? error : pid;
}

/* Waits until the socket can be read (POLLIN) or written (POLLOUT), or the process has ended. */
static bool wait_for(int socket, short events, int ms)
{
	struct pollfd ready = { .fd = socket, .events = events };
	unsigned signals = 0;
	int found;

	do { /* each signal, as the kicks of a waiting thread, begins the time anew */
		found = poll(&ready, 1, ms);
	} while (found < 0 && errno == EINTR && ++signals < SIGNALS_MAX);
	return found == 1;
}

/* Waits until the process is ready. */
static int await_start(int socket)
{
	char byte;

	if (wait_for(socket, POLLIN, START_MS) && recv(socket, &byte, 1, MSG_DONTWAIT) == 1)
		return 0;
	return -ENOLCK;
}

/*
 * Starts a process, and then ends the one before, so that there is one at every moment. It has the
 * messages and the descriptors of the sender from its start. After an error the old one stays.
 */
static int start_process(struct sender *sender)
{
	struct process fresh = { .socket = -1 };
	int ends[2], error = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	fresh.socket = ends[0];
	fresh.pid = fork_process(sender, ends[1]);
	ipcfs_descriptor_close(&ends[1]);
	if (fresh.pid < 0) {
		error = fresh.pid;
		fresh.pid = 0;
	}
	if (!error)
		error = await_start(fresh.socket);
	if (error) {
		end_process(&fresh);
		return error;
	}
	end_process(&sender->process);
	sender->process = fresh;
	return 0;
}

/* Returns whether there was a process, and it has ended. */
static bool has_ended(const struct sender *sender)
{
	struct pollfd end = { .fd = sender->process.socket };

	return sender->process.socket >= 0 && poll(&end, 1, 0) == 1 &&
	       end.revents & (POLLHUP | POLLERR);
}

/* Makes sure that a process runs. */
static int check_process(struct sender *sender)
{
	return sender->process.socket < 0 || has_ended(sender) ? start_process(sender) : 0;
}

/* Sends an order about a descriptor, if there is room for it. */
static int try_order(const struct sender *sender, int descriptor, bool keep)
{
	const struct ipcfs_message_sender_order order = { .descriptor = descriptor, .keep = keep };

	return ipcfs_order_send(sender->process.socket, &order, sizeof(order),
				keep ? descriptor : -1, MSG_DONTWAIT);
}

/* Sends an order about a descriptor, and waits for room. */
static int send_order(const struct sender *sender, int descriptor, bool keep)
{
	int error = try_order(sender, descriptor, keep);

	if (error == -EAGAIN && wait_for(sender->process.socket, POLLOUT, ORDER_MS))
		error = try_order(sender, descriptor, keep);
	return error;
}

/*
 * Tells the process of a descriptor, as the table says. A process that takes no orders, as it has
 * ended or was stopped, is replaced.
 */
static int tell_process(struct sender *sender, int descriptor)
{
	if (sender->process.socket >= 0 &&
	    !send_order(sender, descriptor, keeper.descriptors[descriptor].sent))
		return 0;
	return start_process(sender);
}

/* Makes sure that the process has a descriptor. */
static int share_descriptor(struct sender *sender, int descriptor)
{
	int error = know_descriptor(descriptor);

	if (error || keeper.descriptors[descriptor].sent)
		return error;
	keeper.descriptors[descriptor].sent = true;
	error = tell_process(sender, descriptor);
	if (error)
		keeper.descriptors[descriptor].sent = false;
	return error;
}

/* Has the process of the daemon's namespace close a descriptor. */
static void take_back(int descriptor)
{
	struct sender *home;

	keeper.descriptors[descriptor].sent = false;
	DL_SEARCH_SCALAR(keeper.senders, home, space, NULL);
	/* an error leaves no process, or one that is replaced: the next message starts one */
	if (home && home->process.socket >= 0)
		(void)tell_process(home, descriptor);
}

/* Counts one message less that goes to a descriptor, and closes one that its owner has left. */
static void release_descriptor(int descriptor)
{
	struct ipcfs_message_descriptor *entry = &keeper.descriptors[descriptor];

	if (--entry->users || !entry->left)
		return;
	entry->left = false;
	take_back(descriptor);
	(void)close(descriptor);
}

/* Makes the message of a place count. */
static int mark_place(struct sender *sender, uint32_t place,
		      const struct ipcfs_message_target *target, size_t size)
{
	const struct ipcfs_kept entry = {
		.sequence = ++keeper.sequence,
		.size = size,
		.sender = sender->number,
		.handle = target->handle,
		.descriptor = target->descriptor,
	};
	int error = 0;

	if (target->descriptor)
		error = share_descriptor(sender, target->handle);
	if (!error)
		error = ipcfs_message_store_mark(keeper.file, place, &entry);
	if (error)
		return error;
	if (target->descriptor)
		keeper.descriptors[target->handle].users++;
	keeper.places[place] = (struct place){
		.sender = sender->number,
		.descriptor = target->descriptor ? target->handle : -1,
	};
	sender->kept++;
	return 0;
}

/* Keeps a message that was written to a place. */
static int keep_place(uint32_t place, const struct ipcfs_message_target *target, size_t size)
{
	const struct ipcfs_space *space = target->descriptor ? NULL : ipcfs_space_here();
	struct sender *sender;
	int error;

	if (space && ipcfs_space_has_ended(space))
		return -ENOLCK;
	sender = sender_for(space);
	if (!sender)
		return -ENOMEM;
	error = ipcfs_fault("leases.keep");
	if (!error)
		error = check_process(sender);
	if (!error)
		error = mark_place(sender, place, target, size);
	return error && error != -ENOMEM ? -ENOLCK : error;
}

static int open_file(void)
{
	int file;

	if (keeper.file >= 0)
		return 0;
	file = ipcfs_message_store_open();
	if (file < 0)
		return file;
	keeper.file = file;
	return 0;
}

/* Ends the process, and forgets the sender. */
static void remove_sender(struct sender *sender)
{
	DL_DELETE(keeper.senders, sender);
	end_process(&sender->process);
	free(sender);
}

/* From here on, the lock is not held. */

/* Takes a free place. */
static int take_place(uint32_t *place)
{
	int error;

	pthread_mutex_lock(&keeper.lock);
	error = open_file();
	if (!error)
		error = allocate_place(place);
	pthread_mutex_unlock(&keeper.lock);
	return error;
}

int ipcfs_message_keep(const struct ipcfs_message_target *target,
		       const struct ipcfs_message *message, size_t size, uint64_t *number)
{
	uint32_t place;
	int error = take_place(&place);

	if (error)
		return error;
	error = ipcfs_message_store_write(keeper.file, place, message, size);
	pthread_mutex_lock(&keeper.lock);
	if (!error)
		error = keep_place(place, target, size);
	if (error) {
		ipcfs_message_store_erase(keeper.file, place);
		free_place(place);
	}
	pthread_mutex_unlock(&keeper.lock);
	if (!error)
		*number = (uint64_t)place + 1;
	return error;
}

void ipcfs_message_forget(uint64_t number)
{
	uint32_t place = (uint32_t)(number - 1);
	struct sender *sender;

	ipcfs_message_store_erase(keeper.file, place);
	pthread_mutex_lock(&keeper.lock);
	DL_SEARCH_SCALAR(keeper.senders, sender, number, keeper.places[place].sender);
	if (sender) /* else its namespace has ended */
		sender->kept--;
	if (keeper.places[place].descriptor >= 0)
		release_descriptor(keeper.places[place].descriptor);
	free_place(place);
	pthread_mutex_unlock(&keeper.lock);
}

bool ipcfs_message_keeper_leave(int descriptor)
{
	struct ipcfs_message_descriptor *entry;
	bool taken = false;

	pthread_mutex_lock(&keeper.lock);
	entry = (size_t)descriptor < keeper.count ? &keeper.descriptors[descriptor] : NULL;
	if (entry && entry->users) {
		taken = entry->left = true;
	} else if (entry && entry->sent) {
		take_back(descriptor);
	}
	pthread_mutex_unlock(&keeper.lock);
	return taken;
}

void ipcfs_message_keeper_end(const struct ipcfs_space *space)
{
	struct sender *sender;

	pthread_mutex_lock(&keeper.lock);
	DL_SEARCH_SCALAR(keeper.senders, sender, space, space);
	if (sender)
		remove_sender(sender);
	pthread_mutex_unlock(&keeper.lock);
}

void ipcfs_message_keeper_release(const struct ipcfs_space *space)
{
	struct sender *sender;

	pthread_mutex_lock(&keeper.lock);
	DL_SEARCH_SCALAR(keeper.senders, sender, space, space);
	if (sender && sender->kept) {
		sender->orphan = true;
		sender->space = (const void *)sender; /* an address that no space has */
	} else if (sender) {
		remove_sender(sender);
	}
	pthread_mutex_unlock(&keeper.lock);
}

void ipcfs_message_keeper_joined(void)
{
	keeper.joined = true;
}

bool ipcfs_message_keeper_is(pid_t process)
{
	const struct sender *sender;

	pthread_mutex_lock(&keeper.lock);
	DL_FOREACH (keeper.senders, sender)
		if (sender->process.pid == process)
			break;
	pthread_mutex_unlock(&keeper.lock);
	return sender;
}

int ipcfs_leases_start(int (*confine)(void))
{
	struct sender *home;
	int error;

	pthread_mutex_lock(&keeper.lock);
	keeper.confine = confine;
	error = open_file();
	home = sender_for(NULL);
	if (!error)
		error = home ? start_process(home) : -ENOMEM;
	pthread_mutex_unlock(&keeper.lock);
	return error;
}

int ipcfs_leases_check(void)
{
	struct sender *sender;
	int error = 0;

	pthread_mutex_lock(&keeper.lock);
	/* One that could not start is left to the next message: it would fail again and again. */
	DL_FOREACH (keeper.senders, sender) {
		if (!has_ended(sender))
			continue;
		end_process(&sender->process);
		if (sender->kept && !sender->orphan && start_process(sender))
			error = -ENOLCK;
	}
	pthread_mutex_unlock(&keeper.lock);
	return error;
}
