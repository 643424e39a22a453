/* SPDX-License-Identifier: MIT */
#include "backends/space/message_keeper.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "backends/contract/descriptor.h"
#include "backends/contract/fault.h"
#include "backends/contract/layout.h"
#include "backends/space/message_numbers.h"
#include "backends/space/message_places.h"
#include "backends/space/message_process.h"
#include "backends/space/message_store.h"
#include "backends/space/thread_ns.h"

/* The sender of the messages of one namespace. */
struct sender {
	uint32_t number;		 /* no other one ever has it */
	const struct ipcfs_space *space; /* NULL: home */
	struct ipcfs_message_process process;
	uint64_t kept; /* its messages */
	bool orphan;   /* its space is freed: nothing more is kept, and no process started */
	struct sender *next, *prev;
};

/* Guarded by the lock. */
static struct {
	pthread_mutex_t lock;
	int (*confine)(void);
	/* for a successor of this process; NULL: there is none */
	int (*entrust)(void *arg, const int descriptors[IPCFS_LEASES_DESCRIPTORS]);
	void *entrust_arg;
	bool joined; /* home is not the namespace that the process was started in */
	int file;    /* see message_store.h; -1: no message was kept yet */
	uint64_t sequence;
	struct ipcfs_message_places places;
	struct ipcfs_message_numbers numbers;
	struct sender *senders;
	uint32_t last_number;
} keeper = { .lock = PTHREAD_MUTEX_INITIALIZER, .file = -1, .places = IPCFS_MESSAGE_PLACES_NONE };

/* All static functions below are called with the lock held. */

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
	sender->process = (struct ipcfs_message_process)IPCFS_MESSAGE_PROCESS_NONE;
	DL_PREPEND(keeper.senders, sender);
	return sender;
}

/* Tells a process of the queue of a number, as the table says. */
static int tell_of(const struct ipcfs_message_process *process, int number)
{
	const struct ipcfs_message_queue *queue = ipcfs_message_number_at(&keeper.numbers, number);
	const struct ipcfs_message_sender_order order = {
		.what = queue->used ? IPCFS_MESSAGE_SENDER_KEEP : IPCFS_MESSAGE_SENDER_CLOSE,
		.descriptor = number,
		.last = number,
	};

	return ipcfs_message_process_order(process, &order, queue->used ? queue->handle : -1);
}

/* Tells a new process of all queues. */
static int tell_all(const struct ipcfs_message_process *process)
{
	int error = 0;

	for (size_t i = IPCFS_MESSAGE_SENDER_FIRST; !error && i < keeper.numbers.size; i++) {
		const struct ipcfs_message_queue *queue = ipcfs_message_number_at(&keeper.numbers,
										  (int)i);

		if (queue->used && queue->handle >= 0)
			error = tell_of(process, (int)i);
	}
	return error;
}

/*
 * Leaves the process to the next worker, too, and has it begin. Before, a process whose daemon has
 * ended sends nothing: the next worker does not know it.
 */
static int hand_over(const struct ipcfs_message_process *process)
{
	const struct ipcfs_message_sender_order begin = { .what = IPCFS_MESSAGE_SENDER_BEGIN };
	const int descriptors[IPCFS_LEASES_DESCRIPTORS] = { process->socket, keeper.file,
							    process->life };
	int error = keeper.entrust(keeper.entrust_arg, descriptors);

	return error ? error : ipcfs_message_process_order(process, &begin, -1);
}

/*
 * Starts a process, and then ends the one before, so that there is one at every moment. After an
 * error the old one stays.
 */
static int start_process(struct sender *sender)
{
	bool lasts = keeper.entrust && !sender->space;
	const struct ipcfs_message_sender start = {
		.number = sender->number,
		.file = keeper.file,
		.space = sender->space,
		.elsewhere = sender->space || keeper.joined,
		.awaits = lasts,
		.confine = keeper.confine,
	};
	struct ipcfs_message_process fresh;
	int error = ipcfs_message_process_start(&fresh, &start, lasts);

	if (!error && !sender->space)
		error = tell_all(&fresh);
	if (error) {
		ipcfs_message_process_end(&fresh);
		return error;
	}
	ipcfs_message_process_end(&sender->process);
	sender->process = fresh;
	return lasts ? hand_over(&sender->process) : 0;
}

/* Makes sure that a process runs. */
static int check_process(struct sender *sender)
{
	if (sender->process.socket >= 0 && !ipcfs_message_process_has_ended(&sender->process))
		return 0;
	return start_process(sender);
}

/*
 * Tells the process of a number, as the table says. A process that takes no orders, as it has ended
 * or was stopped, is replaced.
 */
static int tell_process(struct sender *sender, int number)
{
	if (sender->process.socket >= 0 && !tell_of(&sender->process, number))
		return 0;
	return start_process(sender);
}

/* Makes sure that the process has a descriptor. *number: its number there. */
static int share_descriptor(struct sender *sender, int descriptor, int *number)
{
	int error;

	*number = ipcfs_message_number_of(&keeper.numbers, descriptor);
	if (*number)
		return 0;
	error = ipcfs_message_number_new(&keeper.numbers, descriptor, number);
	if (error)
		return error;
	error = tell_process(sender, *number);
	if (error)
		ipcfs_message_number_free(&keeper.numbers, *number);
	return error;
}

/* Has the process of the daemon's namespace close a descriptor. */
static void take_back(int number)
{
	struct sender *home;

	ipcfs_message_number_free(&keeper.numbers, number);
	DL_SEARCH_SCALAR(keeper.senders, home, space, NULL);
	/* an error leaves no process, or one that is replaced: the next message starts one */
	if (home && home->process.socket >= 0)
		(void)tell_process(home, number);
}

/* Counts one message less that goes to a number, and closes a descriptor that nobody else has. */
static void release_number(int number)
{
	struct ipcfs_message_queue *queue = ipcfs_message_number_at(&keeper.numbers, number);
	int handle = queue->handle;

	if (--queue->users || (handle >= 0 && !queue->left))
		return;
	take_back(number);
	if (handle >= 0)
		(void)close(handle);
}

/* Makes the message of a place count. */
static int mark_place(struct sender *sender, uint32_t place,
		      const struct ipcfs_message_target *target, size_t size, uint64_t owner)
{
	struct ipcfs_kept entry = {
		.sequence = ++keeper.sequence,
		.size = size,
		.owner = owner,
		.sender = sender->number,
		.handle = target->handle,
		.descriptor = target->descriptor,
	};
	int error = 0;

	if (target->descriptor)
		error = share_descriptor(sender, target->handle, &entry.handle);
	if (!error)
		error = ipcfs_message_store_mark(keeper.file, place, &entry);
	if (error)
		return error;
	if (target->descriptor)
		ipcfs_message_number_at(&keeper.numbers, entry.handle)->users++;
	keeper.places.all[place] = (struct ipcfs_message_place){
		.number = ipcfs_message_place_number(place, entry.sequence),
		.sender = sender->number,
		.queue = target->descriptor ? entry.handle : 0,
	};
	sender->kept++;
	return 0;
}

/* Keeps a message that was written to a place. */
static int keep_place(uint32_t place, const struct ipcfs_message_target *target, size_t size,
		      uint64_t owner)
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
		error = mark_place(sender, place, target, size, owner);
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

/* Takes over a message that a worker before has left. -ENOMEM. */
static int take_left(uint32_t place, const struct ipcfs_kept *entry)
{
	int number = entry->descriptor ? entry->handle : 0;

	if (number && ipcfs_message_number_left(&keeper.numbers, number))
		return -ENOMEM;
	if (number)
		ipcfs_message_number_at(&keeper.numbers, number)->users++;
	keeper.places.all[place] = (struct ipcfs_message_place){
		.number = ipcfs_message_place_number(place, entry->sequence),
		.owner = entry->owner,
		.sender = entry->sender,
		.queue = number,
		.left = true,
	};
	if (entry->sequence > keeper.sequence)
		keeper.sequence = entry->sequence;
	keeper.places.left++;
	return 0;
}

/* Takes over the place that comes next; with_bytes: the first one that has bytes. -ENOMEM. */
static int take_next(struct sender *home, uint32_t with_bytes)
{
	struct ipcfs_kept entry;
	uint32_t place;
	int error = ipcfs_message_place_new(&keeper.places, true, &place);

	if (error)
		return error;
	if (place == with_bytes && ipcfs_message_store_entry(keeper.file, place, &entry)) {
		home->kept++;
		return take_left(place, &entry);
	}
	if (place == with_bytes) /* a message that does not count */
		ipcfs_message_store_erase(keeper.file, place);
	ipcfs_message_place_free(&keeper.places, place);
	return 0;
}

/* Takes over the messages of a worker before. -ENOMEM. */
static int take_all_left(struct sender *home)
{
	uint32_t with_bytes = 0;
	int error = 0;

	while (!error && (with_bytes = ipcfs_message_store_next(keeper.file, with_bytes)) !=
				 IPCFS_MESSAGE_NO_PLACE) {
		while (!error && keeper.places.used <= with_bytes)
			error = take_next(home, with_bytes);
		with_bytes++;
	}
	return error;
}

/* Notes that a message that was left has a user. A failure costs the descriptor's other number. */
static void claim(uint32_t place, const struct ipcfs_message_target *target)
{
	struct ipcfs_message_place *claimed = &keeper.places.all[place];

	keeper.places.left -= claimed->left;
	claimed->left = false;
	if (target->descriptor && target->handle >= 0 && claimed->queue)
		(void)ipcfs_message_number_attach(&keeper.numbers, claimed->queue, target->handle);
}

/* Has the process close the descriptors that no message goes to any more. */
static void close_others(struct sender *home)
{
	struct ipcfs_message_sender_order order = { .what = IPCFS_MESSAGE_SENDER_CLOSE,
						    .descriptor = IPCFS_MESSAGE_SENDER_FIRST };

	for (size_t i = (size_t)order.descriptor; i < keeper.numbers.size; i++) {
		if (!ipcfs_message_number_at(&keeper.numbers, (int)i)->used)
			continue;
		order.last = (int)i - 1;
		if (order.last >= order.descriptor)
			(void)ipcfs_message_process_order(&home->process, &order, -1);
		order.descriptor = (int)i + 1;
	}
	order.last = INT_MAX;
	(void)ipcfs_message_process_order(&home->process, &order, -1);
}

/* Ends the process, and forgets the sender. */
static void remove_sender(struct sender *sender)
{
	DL_DELETE(keeper.senders, sender);
	ipcfs_message_process_end(&sender->process);
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
		error = ipcfs_message_place_new(&keeper.places, false, place);
	pthread_mutex_unlock(&keeper.lock);
	return error;
}

/* Keeps a message that no worker before has kept. Errors as of `keep`. */
static int keep_new(const struct ipcfs_message_target *target, const struct ipcfs_message *message,
		    size_t size, uint64_t owner, uint64_t *number)
{
	uint32_t place;
	int error = take_place(&place);

	if (error)
		return error;
	error = ipcfs_message_store_write(keeper.file, place, message, size);
	pthread_mutex_lock(&keeper.lock);
	if (!error)
		error = keep_place(place, target, size, owner);
	if (error) {
		ipcfs_message_store_erase(keeper.file, place);
		ipcfs_message_place_free(&keeper.places, place);
	} else {
		*number = keeper.places.all[place].number;
	}
	pthread_mutex_unlock(&keeper.lock);
	return error;
}

int ipcfs_message_keep(const struct ipcfs_message_target *target,
		       const struct ipcfs_message *message, size_t size, uint64_t owner,
		       uint64_t *number)
{
	uint32_t place;

	pthread_mutex_lock(&keeper.lock);
	place = ipcfs_message_place_find(&keeper.places, owner);
	if (place != IPCFS_MESSAGE_NO_PLACE) {
		claim(place, target);
		*number = keeper.places.all[place].number;
	}
	pthread_mutex_unlock(&keeper.lock);
	return place != IPCFS_MESSAGE_NO_PLACE ? 0 : keep_new(target, message, size, owner, number);
}

bool ipcfs_message_kept(const struct ipcfs_message_target *target, uint64_t number)
{
	uint32_t place = ipcfs_message_place_of(number);
	bool kept;

	pthread_mutex_lock(&keeper.lock);
	kept = ipcfs_message_place_has(&keeper.places, number);
	if (kept)
		claim(place, target);
	pthread_mutex_unlock(&keeper.lock);
	return kept;
}

void ipcfs_message_forget(uint64_t number)
{
	uint32_t place = ipcfs_message_place_of(number);
	struct sender *sender;

	ipcfs_message_store_erase(keeper.file, place);
	pthread_mutex_lock(&keeper.lock);
	DL_SEARCH_SCALAR(keeper.senders, sender, number, keeper.places.all[place].sender);
	if (sender) /* else its namespace has ended */
		sender->kept--;
	if (keeper.places.all[place].queue)
		release_number(keeper.places.all[place].queue);
	ipcfs_message_place_free(&keeper.places, place);
	pthread_mutex_unlock(&keeper.lock);
}

bool ipcfs_message_keeper_leave(int descriptor)
{
	struct ipcfs_message_queue *queue = NULL;
	bool taken = false;
	int number;

	pthread_mutex_lock(&keeper.lock);
	number = ipcfs_message_number_of(&keeper.numbers, descriptor);
	if (number)
		queue = ipcfs_message_number_at(&keeper.numbers, number);
	if (queue && queue->users)
		taken = queue->left = true;
	else if (queue)
		take_back(number);
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

uint64_t ipcfs_leases_layout(uint64_t hash)
{
	const uint64_t numbers[] = {
		sizeof(struct ipcfs_kept),
		offsetof(struct ipcfs_kept, size),
		offsetof(struct ipcfs_kept, owner),
		offsetof(struct ipcfs_kept, sender),
		offsetof(struct ipcfs_kept, handle),
		offsetof(struct ipcfs_kept, descriptor),
		sizeof(struct ipcfs_message),
		ipcfs_message_place_number(0, 1),
		sizeof(struct ipcfs_message_sender_order),
		offsetof(struct ipcfs_message_sender_order, descriptor),
		offsetof(struct ipcfs_message_sender_order, last),
		IPCFS_MESSAGE_SENDER_BEGIN,
		IPCFS_MESSAGE_SENDER_FIRST,
		IPCFS_LEASES_DESCRIPTORS,
	};

	return ipcfs_layout_numbers(hash, numbers, sizeof(numbers) / sizeof(*numbers));
}

void ipcfs_leases_entrust(int (*entrust)(void *arg,
					 const int descriptors[IPCFS_LEASES_DESCRIPTORS]),
			  void *arg)
{
	keeper.entrust = entrust;
	keeper.entrust_arg = arg;
}

int ipcfs_leases_inherit(const int descriptors[IPCFS_LEASES_DESCRIPTORS])
{
	struct sender *home;
	int error;

	pthread_mutex_lock(&keeper.lock);
	home = sender_for(NULL);
	error = home ? 0 : -ENOMEM;
	if (home) {
		home->process = (struct ipcfs_message_process){ .socket = descriptors[0],
								.life = descriptors[2] };
		keeper.file = descriptors[1];
		error = take_all_left(home);
	}
	pthread_mutex_unlock(&keeper.lock);
	return error;
}

void ipcfs_leases_abandon(void)
{
	struct sender *home;

	pthread_mutex_lock(&keeper.lock);
	DL_SEARCH_SCALAR(keeper.senders, home, space, NULL);
	if (home) {
		ipcfs_descriptor_close(&home->process.socket);
		ipcfs_descriptor_close(&home->process.life);
		home->kept = 0;
	}
	ipcfs_descriptor_close(&keeper.file);
	ipcfs_message_numbers_free(&keeper.numbers);
	ipcfs_message_places_free(&keeper.places);
	pthread_mutex_unlock(&keeper.lock);
}

size_t ipcfs_leases_settle(void)
{
	struct sender *home;
	size_t left;

	pthread_mutex_lock(&keeper.lock);
	DL_SEARCH_SCALAR(keeper.senders, home, space, NULL);
	if (home && home->process.socket >= 0)
		close_others(home);
	left = keeper.places.left;
	keeper.places.left = 0;
	pthread_mutex_unlock(&keeper.lock);
	return left;
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
		error = home ? check_process(home) : -ENOMEM;
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
		if (!ipcfs_message_process_has_ended(&sender->process))
			continue;
		ipcfs_message_process_end(&sender->process);
		if (sender->kept && !sender->orphan && start_process(sender))
			error = -ENOLCK;
	}
	pthread_mutex_unlock(&keeper.lock);
	return error;
}
