/* SPDX-License-Identifier: MIT */
/* One session thread: its requests, one after the other. */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fuse_lowlevel.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "backends/contract/caller.h"
#include "backends/contract/long_work.h"
#include "fs/base/clear_stack.h"
#include "fs/base/counters.h"
#include "fs/base/fuse_header.h"
#include "fs/base/unanswered.h"
#include "fs/daemon/session.h"
#include "fs/daemon/session_inside.h"
#include "fs/daemon/session_threads.h"

/* A thread gives memory of requests above this size back when only smaller ones follow. */
#define BUFFER_KEEP (128 * 1024)
#define SMALL_MAX 64 /* smaller requests in a row before that */

#define MEMORY_MS 10 /* until a request is read again for which there was no memory */

/* Sizes of a thread's requests. */
struct request_sizes {
	size_t large;	/* bytes of its buffer that have to be given back; 0: none */
	unsigned small; /* small requests since the last large one */
};

/* Clears message bytes from the thread's buffer, and gives memory of large requests back. */
static void clear_request(const struct fuse_buf *buf, struct request_sizes *sizes, bool shared)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t start, end;

	if (buf->mem == NULL || (buf->flags & FUSE_BUF_IS_FD))
		return;
	explicit_bzero(buf->mem, buf->size);
	if (buf->size > BUFFER_KEEP) {
		if (buf->size > sizes->large)
			sizes->large = buf->size;
		sizes->small = 0;
		return;
	}
	if (sizes->large == 0 || ++sizes->small < SMALL_MAX)
		return;
	start = ((uintptr_t)buf->mem + page - 1) & ~(page - 1);
	end = ((uintptr_t)buf->mem + sizes->large) & ~(page - 1);
	sizes->large = 0;
	/* If this fails, the pages only stay in use. */
	if (start < end && shared)
		ipcfs_unanswered_give_back(start - (uintptr_t)buf->mem, end - (uintptr_t)buf->mem);
	else if (start < end)
		(void)madvise((void *)start, end - start, MADV_DONTNEED);
}

/*
 * Returns whether the payer has less than its share of the threads, in all and for the node. Call
 * with the lock held.
 */
static bool has_share(const struct ipcfs_session_threads *threads, uid_t payer, uint64_t node)
{
	unsigned all = 0, at_node = 0;

	if (payer == IPCFS_SESSION_NOBODY)
		return true;
	for (unsigned i = 0; i < IPCFS_SESSION_THREADS_MAX; i++) {
		const struct session_thread *other = &threads->all[i];

		if (other->payer != payer || !(atomic_load(&other->turns.now) & 1))
			continue;
		all++;
		at_node += other->node == node;
	}
	return all < IPCFS_SESSION_SHARE && at_node < IPCFS_SESSION_NODE_SHARE;
}

/* Returns whether the payer has a thread that does long work. Call with the lock held. */
static bool does_long_work(const struct ipcfs_session_threads *threads, uid_t payer)
{
	for (unsigned i = 0; i < IPCFS_SESSION_THREADS_MAX; i++)
		if (threads->all[i].is_long && threads->all[i].payer == payer)
			return true;
	return false;
}

/* Returns whether a thread may begin with a request that is aside. Call with the lock held. */
static bool may_begin(const void *arg, const struct ipcfs_aside_request *request)
{
	if (request->is_long && does_long_work(arg, request->payer))
		return false;
	return has_share(arg, request->payer, request->node);
}

static void begin_turn(struct session_thread *self, const void *request, size_t size, bool second)
{
	self->turns.second = second;
	self->turns.again = false;
	self->head = (struct ipcfs_fuse_header){ 0 };
	if (size >= IPCFS_FUSE_HEADER_SIZE)
		ipcfs_fuse_header_read(request, &self->head);
	atomic_store_explicit(&self->unique, self->head.unique, memory_order_relaxed);
	atomic_store_explicit(&self->uid, self->head.uid, memory_order_relaxed);
	atomic_store_explicit(&self->late, ipcfs_fuse_header_late(request, size),
			      memory_order_relaxed);
	atomic_fetch_add(&self->turns.now, 1);
}

/* Begins a turn, and wakes the watcher if it sleeps. */
static void begin(struct session_thread *self, const void *request, size_t size)
{
	struct ipcfs_session_threads *threads = self->threads;

	begin_turn(self, request, size, false);
	ipcfs_count_request(self->head.opcode);
	if (!atomic_load(&threads->asleep))
		return;
	pthread_mutex_lock(&threads->lock);
	atomic_store(&threads->asleep, false);
	pthread_cond_signal(&threads->wake);
	pthread_mutex_unlock(&threads->lock);
}

/* The counterpart of begin. */
static void end(struct session_thread *self)
{
	ipcfs_clear_stack();
	ipcfs_unanswered_end();
	self->threads->hooks->done(self->threads->hooks->arg);
	if (self->payer != IPCFS_SESSION_NOBODY) { /* only this thread writes it */
		pthread_mutex_lock(&self->threads->lock);
		self->payer = IPCFS_SESSION_NOBODY;
		self->is_long = false;
		pthread_mutex_unlock(&self->threads->lock);
	}
	atomic_fetch_add(&self->turns.now, 1);
}

/*
 * Counts a request for its payer. 0: this thread handles it.
 *   -EINPROGRESS: it was put aside.
 *   Errors of ipcfs_aside_put.
 */
static int count(struct session_thread *self, const void *request, size_t size, uid_t payer)
{
	struct ipcfs_session_threads *threads = self->threads;
	int err = 0;

	pthread_mutex_lock(&threads->lock);
	self->payer = IPCFS_SESSION_NOBODY;
	if (has_share(threads, payer, self->head.node)) {
		self->payer = payer;
		self->node = self->head.node;
	} else {
		(void)ipcfs_unanswered_park();
		err = ipcfs_aside_put(&threads->aside, request, size, payer);
		atomic_store(&threads->any_aside, threads->aside.first != NULL);
	}
	pthread_mutex_unlock(&threads->lock);
	return err;
}

/* Notes that a request is interrupted. False: it is not aside. */
static bool interrupt_aside(struct ipcfs_session_threads *threads, uint64_t unique)
{
	bool aside;

	pthread_mutex_lock(&threads->lock);
	aside = ipcfs_aside_interrupt(&threads->aside, unique);
	pthread_mutex_unlock(&threads->lock);
	return aside;
}

/* Looks at a request that came while others are held up. Returns as `takes`. */
static bool take_share(struct session_thread *self, const void *request, size_t size)
{
	struct ipcfs_session_threads *threads = self->threads;
	const struct ipcfs_fuse_header *head = &self->head;
	uid_t payer = IPCFS_SESSION_NOBODY;
	int err;

	if (ipcfs_fuse_header_subject(request, size) != IPCFS_FUSE_ON_NOTHING)
		payer = ipcfs_authority_payer(head->tid, head->uid);
	err = count(self, request, size, payer);
	if (err && err != -EINPROGRESS)
		ipcfs_unanswered_refuse(fuse_session_fd(threads->fuse), head->unique, err);
	return !err;
}

/* Returns whether this thread handles a request; otherwise it is aside, or was answered. */
static bool takes(struct session_thread *self, const void *request, size_t size)
{
	struct ipcfs_session_threads *threads = self->threads;
	bool others_held = atomic_load(&threads->running) > threads->ready;

	if (self->head.interrupts && (others_held || atomic_load(&threads->any_aside)) &&
	    interrupt_aside(threads, self->head.interrupts))
		return false;
	return !others_held || take_share(self, request, size);
}

/* Puts aside a request that is long work. */
static void put_long(struct session_thread *self, const struct fuse_buf *buf)
{
	struct ipcfs_session_threads *threads = self->threads;
	const struct ipcfs_fuse_header *head = &self->head;
	uid_t payer = ipcfs_authority_payer(head->tid, head->uid);
	int err;

	(void)ipcfs_unanswered_park();
	pthread_mutex_lock(&threads->lock);
	err = ipcfs_aside_put_long(&threads->aside, buf->mem, buf->size, payer,
				   self->turns.interrupted);
	atomic_store(&threads->any_aside, threads->aside.first != NULL);
	pthread_mutex_unlock(&threads->lock);
	if (err != -EINPROGRESS)
		ipcfs_unanswered_refuse(fuse_session_fd(threads->fuse), head->unique, err);
}

static void handle(struct session_thread *self, const struct fuse_buf *buf)
{
	struct ipcfs_session_threads *threads = self->threads;

	if (!threads->hooks->admit(threads->hooks->arg, buf->mem, buf->size))
		return;
	fuse_session_process_buf(threads->fuse, buf);
	if (self->turns.again)
		put_long(self, buf);
}

/*
 * Leaves a request that was begun to the next worker, if no thread may begin with another one.
 * Returns true when the session has ended. FORGET is not handled again, and so goes on.
 */
static bool leave_request(struct session_thread *self)
{
	struct ipcfs_session_threads *threads = self->threads;

	if (!atomic_load(&threads->resting) || self->head.forgets)
		return false;
	atomic_fetch_add(&self->turns.now, 1);
	while (!fuse_session_exited(threads->fuse))
		pause();
	return true;
}

/* Takes and handles one request. 1: go on; 0: the session has ended; or a negative errno. */
static int serve(struct session_thread *self, struct fuse_buf *buf, struct request_sizes *sizes)
{
	struct ipcfs_session_threads *threads = self->threads;
	int size = fuse_session_receive_buf(threads->fuse, buf);

	switch (size) {
	case -EINTR:
		threads->hooks->done(threads->hooks->arg);
		return 1;
	case -EAGAIN:
		return 1;
	case -ENOMEM:
		/* The request stays in the kernel until there is memory for it. */
		nanosleep(&(struct timespec){ .tv_nsec = MEMORY_MS * 1000000 }, NULL);
		return 1;
	case -ENODEV:
	case -ECONNABORTED:
		return 0;
	}
	if (size <= 0)
		return size;
	if (buf->flags & FUSE_BUF_IS_FD)
		return -EPROTO; /* splicing was not asked for */
	begin(self, buf->mem, (size_t)size);
	if (leave_request(self))
		return 0;
	if (takes(self, buf->mem, (size_t)size))
		handle(self, buf);
	end(self);
	clear_request(buf, sizes, self->shares);
	return 1;
}

/* Takes a request that is aside, and whose payer has less than its share now. NULL: none. */
static struct ipcfs_aside_request *take_aside(struct session_thread *self)
{
	struct ipcfs_session_threads *threads = self->threads;
	struct ipcfs_aside_request *request;

	pthread_mutex_lock(&threads->lock);
	request = ipcfs_aside_take(&threads->aside, may_begin, threads);
	atomic_store(&threads->any_aside, threads->aside.first != NULL);
	if (request) {
		self->payer = request->payer;
		self->node = request->node;
		self->is_long = request->is_long;
		begin_turn(self, request->bytes, request->size, request->is_long);
	}
	pthread_mutex_unlock(&threads->lock);
	return request;
}

/* Tells libfuse that a request is interrupted. It keeps that for the request, which follows. */
static void interrupt(const struct session_thread *self, uint64_t unique)
{
	char request[IPCFS_FUSE_INTERRUPT_SIZE] __attribute__((aligned(8)));
	const struct fuse_buf buf = { .mem = request, .size = sizeof(request) };

	ipcfs_fuse_header_interrupt(request, unique);
	fuse_session_process_buf(self->threads->fuse, &buf);
}

/* Handles a request that was aside. False: there is none for which it is time. */
static bool serve_aside(struct session_thread *self)
{
	struct ipcfs_aside_request *request = take_aside(self);
	struct fuse_buf buf;

	if (!request || leave_request(self))
		return false;
	ipcfs_unanswered_begin(request->unique);
	if (request->interrupted)
		interrupt(self, request->unique);
	buf = (struct fuse_buf){ .mem = request->bytes, .size = request->size };
	ipcfs_long_work_allow(request->is_long);
	handle(self, &buf);
	ipcfs_long_work_allow(false);
	end(self);
	ipcfs_aside_free(request);
	return true;
}

/* Ends this thread's part if there are more threads than wanted. Returns whether it did. */
static bool is_superfluous(struct session_thread *self)
{
	struct ipcfs_session_threads *threads = self->threads;
	bool ends;

	if (atomic_load(&threads->running) <= atomic_load(&threads->wanted) ||
	    atomic_load(&threads->any_aside))
		return false;
	pthread_mutex_lock(&threads->lock);
	ends = threads->running > threads->wanted && !threads->aside.first;
	if (ends) {
		threads->running--;
		self->state = SESSION_THREAD_ENDED;
	}
	pthread_mutex_unlock(&threads->lock);
	return ends;
}

void *ipcfs_session_thread_run(void *arg)
{
	struct session_thread *self = arg;
	struct ipcfs_session_threads *threads = self->threads;
	struct fuse_buf buf = { .mem = NULL };
	struct request_sizes sizes = { 0 };
	int result = 1, none = 0;
	bool superfluous = false;

	self->tid = gettid();
	buf.mem = ipcfs_unanswered_slot((unsigned)(self - threads->all) + 1);
	self->shares = buf.mem != NULL;
	ipcfs_answered_init(&self->turns);
	ipcfs_long_work_allow(false);
	while (result > 0 && !superfluous && !fuse_session_exited(threads->fuse)) {
		if (!atomic_load(&threads->any_aside) || !serve_aside(self))
			result = serve(self, &buf, &sizes);
		superfluous = is_superfluous(self);
	}
	threads->hooks->leave(threads->hooks->arg);
	if (!self->shares)
		free(buf.mem);
	if (superfluous)
		return NULL;
	if (result < 0)
		atomic_compare_exchange_strong(&threads->error, &none, result);
	fuse_session_exit(threads->fuse);
	(void)syscall(SYS_tgkill, getpid(), threads->main, SIGUSR1);
	return NULL;
}

int ipcfs_session_threads_serve_init(struct ipcfs_session_threads *threads)
{
	struct session_thread self = { .threads = threads, .payer = IPCFS_SESSION_NOBODY };
	struct fuse_buf buf = { .mem = NULL };
	struct request_sizes sizes = { 0 };
	int result = serve(&self, &buf, &sizes);

	while (result == 1 && buf.size == 0)
		result = serve(&self, &buf, &sizes);
	free(buf.mem);
	if (result < 0)
		return result;
	if (result == 0)
		return -ENODEV;
	return fuse_session_exited(threads->fuse) ? -EPROTO : 0;
}

/* Handles a request that a worker before has left. */
static void replay(void *arg, const struct ipcfs_unanswered *left)
{
	struct session_thread *self = arg;
	const struct fuse_buf buf = { .mem = left->bytes, .size = left->size };

	begin_turn(self, left->bytes, left->size, true);
	if (left->bad || (left->lost && !self->head.uses)) {
		bool waited = ipcfs_unanswered_refuse(fuse_session_fd(self->threads->fuse),
						      self->head.unique, -EIO);

		self->threads->hooks->abandon(self->threads->hooks->arg, left->bytes, left->size,
					      waited);
	} else {
		if (left->interrupted)
			interrupt(self, self->head.unique);
		handle(self, &buf);
	}
	end(self);
}

int ipcfs_session_threads_replay(struct ipcfs_session_threads *threads)
{
	struct session_thread self = { .threads = threads, .payer = IPCFS_SESSION_NOBODY };

	if (!ipcfs_unanswered_slot(0))
		return 0;
	ipcfs_answered_init(&self.turns);
	return ipcfs_unanswered_replay(replay, &self);
}
