/* SPDX-License-Identifier: MIT */
#include "fs/control/users_probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backends/contract/descriptor.h"
#include "fs/base/clock.h"
#include "fs/base/proc_file.h"
#include "fs/control/users_maps.h"

#define WAIT_MS 50	   /* between two looks at whether there is an answer, or no reader */
#define ASLEEP_WAITS 10	   /* after so many, and every so many more, a thread that sleeps is left */
#define STACK (512 * 1024) /* of which a few pages are touched; a sanitizer needs more */
#define MAPS_BYTES 4096	   /* the kernel gives no more in one read(2) */
#define STUCK_MAX 64	   /* threads that are stuck, of different owners */

/* A thread that looks. It and its prober share this; the last one of them frees it. */
struct ipcfs_probe_thread {
	struct ipcfs_sought sought; /* a copy; constant */
	pthread_mutex_t lock;	    /* guards what follows */
	pthread_cond_t wake;
	bool asked;    /* `directory` is to be looked into; the thread resets this when it has */
	bool left;     /* one of the two has let go */
	int directory; /* a descriptor that the thread closes */
	int uses;
	pid_t tid;  /* of the thread; 0: it has not begun */
	uid_t user; /* who answers for the process, if the prober did not wait for it */
	bool noted; /* the user is among the stuck ones */
};

/* The users who answer for the processes in which threads are stuck. */
static struct {
	pthread_mutex_t lock; /* innermost */
	uid_t users[STUCK_MAX];
	size_t count;
} stuck = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool any_is_stuck(void)
{
	bool any;

	pthread_mutex_lock(&stuck.lock);
	any = stuck.count > 0;
	pthread_mutex_unlock(&stuck.lock);
	return any;
}

/* Returns whether no process of this user may be looked into now. */
static bool is_stuck(uid_t user)
{
	bool found;

	pthread_mutex_lock(&stuck.lock);
	found = stuck.count == STUCK_MAX;
	for (size_t i = 0; i < stuck.count; i++)
		found |= stuck.users[i] == user;
	pthread_mutex_unlock(&stuck.lock);
	return found;
}

/* Notes the user. Returns whether there was room: there is, unless some get stuck at once. */
static bool note_stuck(uid_t user)
{
	bool room;

	pthread_mutex_lock(&stuck.lock);
	room = stuck.count < STUCK_MAX;
	if (room)
		stuck.users[stuck.count++] = user;
	pthread_mutex_unlock(&stuck.lock);
	return room;
}

static void note_free(uid_t user)
{
	pthread_mutex_lock(&stuck.lock);
	for (size_t i = 0; i < stuck.count; i++) {
		if (stuck.users[i] != user)
			continue;
		stuck.users[i] = stuck.users[--stuck.count];
		break;
	}
	pthread_mutex_unlock(&stuck.lock);
}

/* Returns who answers for a process: by its real uid, as a set-user-id program has its caller's. */
static uid_t user_of(pid_t pid)
{
	IPCFS_PROC_FILE_AUTO struct ipcfs_proc_file status;
	const char *value;
	unsigned uid;

	if (ipcfs_proc_file_read(&status, pid, "status"))
		return 0;
	value = ipcfs_proc_file_value(&status, "\nUid:");
	return value && sscanf(value, "%u", &uid) == 1 ? ipcfs_authority_payer(pid, uid) : 0;
}

static int compare(const void *one, const void *other)
{
	const uint64_t *a = one, *b = other;

	return (*a > *b) - (*a < *b);
}

void ipcfs_sought_sort(struct ipcfs_sought *sought)
{
	const size_t size = sizeof(uint64_t);

	if (sought->inodes.size)
		qsort(sought->inodes.data, sought->inodes.size / size, size, compare);
}

static bool is_of_mount(const struct ipcfs_sought *sought, dev_t device, uint64_t inode)
{
	const size_t size = sizeof(inode);

	if (!sought->mount || device != sought->mount || !sought->inodes.size)
		return false;
	return bsearch(&inode, sought->inodes.data, sought->inodes.size / size, size, compare);
}

static bool is_of_object(const struct ipcfs_sought *sought, dev_t device, uint64_t inode)
{
	return sought->trace.inode == inode && sought->trace.device == device;
}

static bool looks_at_descriptors(const struct ipcfs_sought *sought)
{
	return sought->trace.opened || sought->inodes.size;
}

static bool looks_at_mappings(const struct ipcfs_sought *sought)
{
	return sought->trace.mapped || sought->trace.attached || sought->inodes.size;
}

/* Returns what is known of a process after this error of a call in its directory of /proc. */
static int use_after(int error)
{
	return error == ENOENT || error == ESRCH ? 0 : IPCFS_USE_UNKNOWN; /* it has ended */
}

/*
 * Returns how the descriptor of this name uses the object. statx(2) asks no file system that could
 * wait for its server. A file that can't be asked about is one of a user's own FUSE mount.
 */
static int use_of_descriptor(const struct ipcfs_sought *sought, int directory, const char *name)
{
	struct statx st;
	dev_t device;

	if (statx(directory, name, AT_STATX_DONT_SYNC, STATX_INO, &st))
		return errno == ENOMEM ? IPCFS_USE_UNKNOWN : 0;
	device = makedev(st.stx_dev_major, st.stx_dev_minor);
	if (sought->trace.opened && is_of_object(sought, device, st.stx_ino))
		return IPCFS_USE_OPEN;
	return is_of_mount(sought, device, st.stx_ino) ? IPCFS_USE_MOUNT : 0;
}

/* Adds how the process uses the object by its descriptors. */
static void look_at_descriptors(const struct ipcfs_sought *sought, int process, int *uses)
{
	int fd = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!directory) {
		*uses |= use_after(errno);
		ipcfs_descriptor_close(&fd);
		return;
	}
	for (errno = 0; (entry = readdir(directory)); errno = 0)
		if (entry->d_name[0] != '.')
			*uses |= use_of_descriptor(sought, dirfd(directory), entry->d_name);
	if (errno)
		*uses |= use_after(errno);
	(void)closedir(directory); /* no error to report: it was only read */
}

struct mappings {
	const struct ipcfs_sought *sought;
	int *uses;
};

/* For ipcfs_maps_feed. */
static int add_mapping(void *arg, const struct ipcfs_mapping *mapping)
{
	const struct mappings *mappings = arg;
	const struct ipcfs_sought *sought = mappings->sought;

	if (is_of_mount(sought, mapping->device, mapping->inode))
		*mappings->uses |= IPCFS_USE_MOUNT;
	if (!is_of_object(sought, mapping->device, mapping->inode))
		return 0;
	if (sought->trace.mapped)
		*mappings->uses |= IPCFS_USE_MAPPED;
	if (sought->trace.attached && mapping->attached)
		*mappings->uses |= IPCFS_USE_ATTACHED;
	return 0;
}

/* Adds how the process uses the object by its mappings. May wait as long as the process likes. */
static void look_at_mappings(const struct ipcfs_sought *sought, int process, int *uses)
{
	IPCFS_DESCRIPTOR_AUTO int fd = openat(process, "maps", O_RDONLY | O_CLOEXEC);
	struct mappings mappings = { sought, uses };
	struct ipcfs_maps maps = { .size = 0 };
	char bytes[MAPS_BYTES];
	ssize_t size = fd;

	while (size >= 0 && (size = read(fd, bytes, sizeof(bytes))) > 0)
		(void)ipcfs_maps_feed(&maps, bytes, (size_t)size, add_mapping, &mappings);
	if (size < 0)
		*uses |= use_after(errno);
}

static int look(const struct ipcfs_sought *sought, int process)
{
	int uses = 0;

	if (looks_at_descriptors(sought))
		look_at_descriptors(sought, process, &uses);
	if (looks_at_mappings(sought))
		look_at_mappings(sought, process, &uses);
	return uses;
}

static void destroy(struct ipcfs_probe_thread *thread)
{
	ipcfs_text_free(&thread->sought.inodes);
	pthread_cond_destroy(&thread->wake);
	pthread_mutex_destroy(&thread->lock);
	free(thread);
}

/* Lets go of it. Call with its lock held, which this releases. */
static void leave(struct ipcfs_probe_thread *thread)
{
	bool last = thread->left;

	thread->left = true;
	pthread_cond_broadcast(&thread->wake);
	pthread_mutex_unlock(&thread->lock);
	if (last)
		destroy(thread);
}

/* Looks into the process that was asked for. Call with the lock held. */
static void answer(struct ipcfs_probe_thread *thread)
{
	int directory = thread->directory, uses;

	pthread_mutex_unlock(&thread->lock);
	uses = look(&thread->sought, directory);
	ipcfs_descriptor_close(&directory);
	pthread_mutex_lock(&thread->lock);
	thread->uses = uses;
	thread->asked = false;
	if (thread->noted)
		note_free(thread->user);
	pthread_cond_broadcast(&thread->wake);
}

static void *run(void *arg)
{
	struct ipcfs_probe_thread *thread = arg;

	ipcfs_space_start_home();
	pthread_mutex_lock(&thread->lock);
	thread->tid = gettid();
	while (thread->asked || !thread->left) {
		if (thread->asked)
			answer(thread);
		else
			pthread_cond_wait(&thread->wake, &thread->lock);
	}
	leave(thread);
	return NULL;
}

static int start(struct ipcfs_probe_thread *thread)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t id;
	int err = pthread_attr_init(&attr);

	if (err)
		return -ENOMEM;
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	err = pthread_create(&id, &attr, run, thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return err ? -ENOMEM : 0;
}

/* Makes a thread for the prober. -ENOMEM. */
static int new_thread(struct ipcfs_prober *prober)
{
	const struct ipcfs_text *inodes = &prober->sought->inodes;
	struct ipcfs_probe_thread *thread = calloc(1, sizeof(*thread));
	int err;

	if (!thread)
		return -ENOMEM;
	pthread_mutex_init(&thread->lock, NULL);
	ipcfs_clock_cond_init(&thread->wake);
	thread->sought = *prober->sought;
	thread->sought.inodes = (struct ipcfs_text){ 0 };
	err = ipcfs_text_add(&thread->sought.inodes, inodes->data, inodes->size);
	if (!err)
		err = start(thread);
	if (err)
		destroy(thread);
	else
		prober->thread = thread;
	return err;
}

/* Lets go of a thread that has not answered in time. Call with its lock held. */
static void leave_stuck(struct ipcfs_prober *prober, uid_t user)
{
	prober->thread->user = user;
	prober->thread->noted = note_stuck(user);
	leave(prober->thread);
	prober->thread = NULL;
}

/* Waits for the answer, for a moment. Returns whether it is there; *tid: of the thread. */
static bool wait_for_answer(struct ipcfs_probe_thread *thread, pid_t *tid)
{
	struct timespec end = ipcfs_clock_after(CLOCK_MONOTONIC, WAIT_MS);
	bool answered;
	int err = 0;

	pthread_mutex_lock(&thread->lock);
	while (thread->asked && !err)
		err = pthread_cond_timedwait(&thread->wake, &thread->lock, &end);
	answered = !thread->asked;
	*tid = thread->tid;
	pthread_mutex_unlock(&thread->lock);
	return answered;
}

/* Tells whether a thread works, or waits for a CPU. 0: it has not begun. */
static bool is_running(pid_t tid)
{
	IPCFS_PROC_FILE_AUTO struct ipcfs_proc_file stat;
	const char *name_end;

	if (!tid)
		return true;
	if (ipcfs_proc_file_read(&stat, tid, "stat"))
		return false;
	name_end = strrchr(stat.text, ')');
	return name_end && strncmp(name_end, ") R", strlen(") R")) == 0;
}

/*
 * Waits for the answer as long as the thread works and there is time. Returns whether it is there.
 * *err is -EINTR if the reader is gone.
 */
static bool wait_long(struct ipcfs_prober *prober, int *err)
{
	uint64_t began = ipcfs_clock_ns(), spent = prober->spent;
	pid_t tid;

	for (unsigned waits = 1; !wait_for_answer(prober->thread, &tid); waits++) {
		prober->spent = spent + ipcfs_clock_ns() - began;
		if (prober->is_gone && prober->is_gone(prober->arg))
			*err = -EINTR;
		if (*err || prober->spent >= IPCFS_PROBER_NS ||
		    (waits % ASLEEP_WAITS == 0 && !is_running(tid)))
			return false;
	}
	prober->spent = spent + ipcfs_clock_ns() - began;
	return true;
}

/* Has the thread look into a process. `directory` becomes the thread's. */
static int ask(struct ipcfs_prober *prober, int directory, pid_t pid)
{
	struct ipcfs_probe_thread *thread = prober->thread;
	uid_t user;
	int uses, err = 0;

	pthread_mutex_lock(&thread->lock);
	thread->directory = directory;
	thread->asked = true;
	pthread_cond_broadcast(&thread->wake);
	pthread_mutex_unlock(&thread->lock);
	if (wait_long(prober, &err))
		return thread->uses;
	user = user_of(pid);
	pthread_mutex_lock(&thread->lock);
	if (thread->asked) {
		leave_stuck(prober, user);
		return err ? err : IPCFS_USE_UNKNOWN;
	}
	uses = thread->uses;
	pthread_mutex_unlock(&thread->lock);
	return uses;
}

int ipcfs_prober_look(struct ipcfs_prober *prober, int directory, pid_t pid)
{
	int own, err = 0;

	if (!looks_at_descriptors(prober->sought) && !looks_at_mappings(prober->sought))
		return 0;
	if (prober->spent >= IPCFS_PROBER_NS || (any_is_stuck() && is_stuck(user_of(pid))))
		return IPCFS_USE_UNKNOWN;
	if (!prober->thread)
		err = new_thread(prober);
	if (err)
		return err;
	own = fcntl(directory, F_DUPFD_CLOEXEC, 0);
	return own < 0 ? -ENOMEM : ask(prober, own, pid);
}

void ipcfs_prober_end(struct ipcfs_prober *prober)
{
	if (!prober->thread)
		return;
	pthread_mutex_lock(&prober->thread->lock);
	leave(prober->thread);
	prober->thread = NULL;
}
