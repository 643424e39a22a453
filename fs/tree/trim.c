/* SPDX-License-Identifier: MIT */
#include "fs/tree/trim.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>

#include "fs/base/clock.h"
#include "fs/tree/invalidate.h"

#define FORGET_MS 50 /* the kernel needs time to forget */
#define GIVE_BACK_MS 200
#define REST 10 /* times as long as a pass in vain, before the next pass */
#define MS UINT64_C(1000000)

/* Waits until there is something to do. Call with the lock of the nodes held. */
static void wait_for_work(struct ipcfs_filesystem *fs)
{
	struct ipcfs_nodes *nodes = &fs->nodes;

	while (!fs->trim.stopping && !nodes->pressed && !nodes->shrunk)
		pthread_cond_wait(&nodes->wake, &nodes->lock);
}

/*
 * Waits for `ms`, or until the thread has to end. Returns whether it has to. *gone: how many nodes
 * were freed since the start.
 */
static bool ends_within(struct ipcfs_filesystem *fs, unsigned ms, uint64_t *gone)
{
	struct timespec end = ipcfs_clock_after(CLOCK_MONOTONIC, ms);
	bool stopping;
	int err = 0;

	pthread_mutex_lock(&fs->nodes.lock);
	while (!fs->trim.stopping && !err)
		err = pthread_cond_timedwait(&fs->nodes.wake, &fs->nodes.lock, &end);
	stopping = fs->trim.stopping;
	*gone = fs->nodes.gone;
	pthread_mutex_unlock(&fs->nodes.lock);
	return stopping;
}

/*
 * Has the kernel forget what nobody uses of this uid's nodes. If it does not forget them, the uid
 * holds them, and the next pass has to wait, so that it takes little of the time.
 */
static void relieve(struct ipcfs_filesystem *fs, uid_t uid)
{
	uint64_t start = ipcfs_clock_ns(), before, gone;
	uint32_t from = IPCFS_NODE_ROOT_ID;
	bool ends = ends_within(fs, 0, &before), vain;
	unsigned took;
	size_t names = 0;

	while (!ends && ipcfs_invalidate_of(fs, uid, &from, &names))
		ends = ends_within(fs, 0, &gone);
	took = (unsigned)((ipcfs_clock_ns() - start) / MS);
	if (ends || ends_within(fs, FORGET_MS, &gone))
		return;
	vain = !names || gone - before < names / 2;
	ipcfs_quota_set_holding(fs->quota, uid, names && vain);
	if (vain)
		(void)ends_within(fs, REST * took, &gone);
}

/* Gives memory back that was freed; a moment later, as more nodes may be about to go. */
static void give_memory_back(struct ipcfs_filesystem *fs)
{
	uint64_t gone;

	(void)ends_within(fs, GIVE_BACK_MS, &gone);
#ifdef __GLIBC__
	(void)malloc_trim(0);
#endif
}

static void *trimmer(void *arg)
{
	struct ipcfs_filesystem *fs = arg;
	struct ipcfs_nodes *nodes = &fs->nodes;
	bool pressed, shrunk, stopping;
	uid_t uid;

	ipcfs_space_start_home();
	do {
		pthread_mutex_lock(&nodes->lock);
		wait_for_work(fs);
		stopping = fs->trim.stopping;
		pressed = nodes->pressed && !stopping;
		shrunk = nodes->shrunk;
		uid = nodes->presser;
		nodes->pressed = nodes->shrunk = false;
		pthread_mutex_unlock(&nodes->lock);
		if (shrunk)
			give_memory_back(fs);
		if (pressed)
			relieve(fs, uid);
	} while (!stopping);
	return NULL;
}

int ipcfs_trim_start(struct ipcfs_filesystem *fs)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	err = pthread_create(&fs->trim.thread, NULL, trimmer, fs);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	fs->trim.started = !err;
	return -err;
}

void ipcfs_trim_stop(struct ipcfs_filesystem *fs)
{
	if (!fs->trim.started)
		return;
	pthread_mutex_lock(&fs->nodes.lock);
	fs->trim.stopping = true;
	pthread_cond_signal(&fs->nodes.wake);
	pthread_mutex_unlock(&fs->nodes.lock);
	(void)pthread_join(fs->trim.thread, NULL);
	fs->trim.started = false;
}
