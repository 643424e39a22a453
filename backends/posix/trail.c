/* SPDX-License-Identifier: MIT */
/*
 * Trails by inotify(7). mq_open(3) and mq_unlink(3) are seen, too: the kernel makes and removes the
 * files of the mqueue file system as others.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "backends/contract/classes.h"
#include "backends/contract/descriptor.h"
#include "backends/contract/trail.h"
#include "backends/posix/posix_file.h"
#include "backends/posix/shm_dir.h"
#include "backends/space/reference.h"

#define MADE (IN_CREATE | IN_MOVED_TO)
#define REMOVED (IN_DELETE | IN_MOVED_FROM)
#define STEP_SIZE 6 /* characters of the name that sem_open(3) makes a semaphore under */
#define READ_BYTES 16384

/* Watches a directory, whose watch gets the number *watch; -1: there is no directory. */
static int watch_directory(int inotify, int directory, int *watch)
{
	*watch = -1;
	if (directory >= 0)
		*watch = ipcfs_posix_file_watch_more(inotify, directory,
						     MADE | REMOVED | IN_ATTRIB);
	return directory >= 0 && *watch < 0 ? *watch : 0;
}

int ipcfs_trail_open(struct ipcfs_trail *trail, const struct ipcfs_space *ipc,
		     const struct ipcfs_space *shm)
{
	int err;

	*trail = (struct ipcfs_trail){ .inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK) };
	if (trail->inotify < 0)
		return -errno;
	err = watch_directory(trail->inotify, ipc->mq, &trail->mq);
	if (!err)
		err = watch_directory(trail->inotify, shm->shm, &trail->shm);
	if (err)
		ipcfs_trail_close(trail);
	return err;
}

void ipcfs_trail_close(struct ipcfs_trail *trail)
{
	ipcfs_descriptor_close(&trail->inotify);
}

/*
 * sem_open(3) makes a file with a random name, links it to the name that it was asked for, and
 * removes the first name. Notes such a name, and tells when it is removed.
 */
static void note_step(struct ipcfs_trail *trail, struct ipcfs_trail_record *record)
{
	if (record->class != &ipcfs_posix_sem || record->kind == IPCFS_TRAIL_CHANGED)
		return;
	if (record->kind == IPCFS_TRAIL_REMOVED) {
		record->step = trail->step_done && !strcmp(trail->step, record->name);
		return;
	}
	trail->step_done = *trail->step && !trail->step_done;
	if (trail->step_done)
		return;
	strcpy(trail->step, strlen(record->name) == STEP_SIZE ? record->name : "");
}

/* Fills in class and name. Returns false for what is no object's name. */
static bool name_record(const struct ipcfs_trail *trail, const struct inotify_event *event,
			struct ipcfs_trail_record *record)
{
	const size_t prefix = strlen(IPCFS_SHM_SEMAPHORE);
	const char *name = event->name;

	if (!event->len || event->mask & IN_ISDIR)
		return false;
	record->class = event->wd == trail->mq ? &ipcfs_posix_mq : &ipcfs_posix_shm;
	if (event->wd == trail->shm && !strncmp(name, IPCFS_SHM_SEMAPHORE, prefix)) {
		record->class = &ipcfs_posix_sem;
		name += prefix;
	}
	memset(record->name, 0, sizeof(record->name));
	memcpy(record->name, name, strnlen(name, NAME_MAX));
	return *record->name;
}

/* Passes on what one event says. */
static int pass(struct ipcfs_trail *trail, const struct inotify_event *event,
		int (*each)(void *arg, const struct ipcfs_trail_record *record), void *arg)
{
	struct ipcfs_trail_record record = { .kind = IPCFS_TRAIL_CHANGED };

	if (event->mask & IN_Q_OVERFLOW)
		return -EOVERFLOW;
	if (event->mask & IN_IGNORED)
		return -EIO;
	if (!name_record(trail, event, &record))
		return 0;
	if (event->mask & MADE)
		record.kind = IPCFS_TRAIL_MADE;
	else if (event->mask & REMOVED)
		record.kind = IPCFS_TRAIL_REMOVED;
	note_step(trail, &record);
	return each(arg, &record);
}

int ipcfs_trail_read(struct ipcfs_trail *trail,
		     int (*each)(void *arg, const struct ipcfs_trail_record *record), void *arg)
{
	_Alignas(struct inotify_event) char bytes[READ_BYTES];
	ssize_t size = read(trail->inotify, bytes, sizeof(bytes));
	int err = 0;

	if (size < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (ssize_t at = 0; at < size && !err;) {
		const struct inotify_event *event = (const void *)(bytes + at);

		at += (ssize_t)(sizeof(*event) + event->len);
		err = pass(trail, event, each, arg);
	}
	return err ? err : 1;
}
