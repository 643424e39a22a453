/* SPDX-License-Identifier: MIT */
#include "fs/daemon/covers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <syslog.h>
#include <unistd.h>

#include "fs/base/log.h"
#include "fs/daemon/mountpoint.h"

#define THREAD_STACK (128 * 1024)

/* A line of /proc/self/mountinfo (proc(5)). */
struct mount {
	unsigned long id, parent;
	dev_t device;
	unsigned user; /* who mounted a FUSE file system; 0: root, or it is of another type */
	char *path;    /* owned */
};

struct ipcfs_covers {
	pthread_t thread;
	dev_t device; /* of the mount */
	FILE *mountinfo;
	int end;		/* an eventfd, readable when the thread has to end */
	unsigned long hopeless; /* the last mount that could not be unmounted, which was logged */
	struct mount *found;	/* those of this file system, and those to be unmounted */
	size_t count;
};

/* Replaces \ooo by the byte. */
static void unescape(char *path)
{
	char *to = path;

	while (*path) {
		unsigned byte;

		if (*path == '\\' && sscanf(path + 1, "%3o", &byte) == 1) {
			*to++ = (char)byte;
			path += 4;
		} else {
			*to++ = *path++;
		}
	}
	*to = '\0';
}

/*
 * Returns the user_id= of a FUSE mount. 0: root's, or of another type. The user chooses type and
 * source; the options are the last field, as blanks in the others are escaped.
 */
static unsigned user_of(const char *line)
{
	const char *type = strstr(line, " - fuse"), *options = strrchr(line, ' '), *option;
	unsigned user;

	option = type && options ? strstr(options, ",user_id=") : NULL;
	return option && sscanf(option, ",user_id=%u", &user) == 1 ? user : 0;
}

/* Parses a line. False: it is malformed, or there is no memory. */
static bool parse(const char *line, struct mount *mount)
{
	unsigned major, minor;
	int start, end;

	if (sscanf(line, "%lu %lu %u:%u %*s %n%*s%n", &mount->id, &mount->parent, &major, &minor,
		   &start, &end) != 4)
		return false;
	mount->device = makedev(major, minor);
	mount->user = user_of(line);
	mount->path = strndup(line + start, (size_t)(end - start));
	if (mount->path)
		unescape(mount->path);
	return mount->path;
}

/* Tells whether a mount stands on a file of this file system, or on another one that does. */
static bool covers_file(const struct ipcfs_covers *covers, const struct mount *mount)
{
	for (size_t i = 0; i < covers->count; i++) {
		const struct mount *below = &covers->found[i];

		if (below->id == mount->parent &&
		    (below->device == covers->device || !strcmp(below->path, mount->path)))
			return true;
	}
	return false;
}

static bool is_wanted(const struct ipcfs_covers *covers, const struct mount *mount)
{
	return mount->device == covers->device || (mount->user && covers_file(covers, mount));
}

static void forget(struct ipcfs_covers *covers)
{
	while (covers->count)
		free(covers->found[--covers->count].path);
}

/* Takes over the mount. A mount for which there is no memory is found at the next change. */
static void add(struct ipcfs_covers *covers, const struct mount *mount)
{
	struct mount *found = realloc(covers->found, (covers->count + 1) * sizeof(*found));

	if (!found) {
		free(mount->path);
		return;
	}
	covers->found = found;
	found[covers->count++] = *mount;
}

/* Finds all mounts of this file system, and those that cover its files. A lower one comes first. */
static void find(struct ipcfs_covers *covers)
{
	char *line = NULL;
	size_t capacity = 0;

	forget(covers);
	rewind(covers->mountinfo);
	while (getline(&line, &capacity, covers->mountinfo) > 0) {
		struct mount mount = { 0 };

		if (!parse(line, &mount))
			continue;
		if (is_wanted(covers, &mount))
			add(covers, &mount);
		else
			free(mount.path);
	}
	free(line);
}

/* Opens a place without asking the file system there. Returns a descriptor. */
static int open_place(const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/*
 * Unmounts it, if it still is on top at its path. Does nothing if a file of the mount is on top:
 * the kernel unmounts by itself when a lookup is answered with a new node, as for `msg`.
 *   -EBUSY: another one is on top.
 *   Errors of open(2) and umount2(2).
 */
static int detach(const struct ipcfs_covers *covers, const struct mount *mount)
{
	char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
	int fd = open_place(mount->path), err;
	uint64_t number;
	dev_t device;

	if (fd < 0)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	err = ipcfs_mountpoint_of(fd, &number, &device);
	if (!err && number == mount->id && device == mount->device)
		err = umount2(path, MNT_DETACH) ? -errno : 0;
	else if (!err && device != covers->device)
		err = -EBUSY;
	close(fd);
	return err;
}

/* Returns whether it was unmounted. */
static bool take_away(struct ipcfs_covers *covers, const struct mount *mount)
{
	int err = detach(covers, mount);

	if (!err)
		ipcfs_log(LOG_WARNING, "unmounted what user %u had mounted on %s", mount->user,
			  mount->path);
	else if (mount->id != covers->hopeless)
		ipcfs_log(LOG_WARNING, "user %u has mounted on %s, which can't be unmounted: %s",
			  mount->user, mount->path, strerror(-err));
	if (err)
		covers->hopeless = mount->id;
	return !err;
}

/* Returns whether the way to the mount leads through another one, which may not answer. */
static bool is_behind_another(const struct ipcfs_covers *covers, const struct mount *mount)
{
	for (size_t i = 0; i < covers->count; i++) {
		const struct mount *other = &covers->found[i];
		size_t size = strlen(other->path);

		if (other->device != covers->device && !strncmp(other->path, mount->path, size) &&
		    mount->path[size] == '/')
			return true;
	}
	return false;
}

/* Takes one mount away that can be. Returns whether there was one. */
static bool take_one_away(struct ipcfs_covers *covers)
{
	for (size_t i = covers->count; i > 0; i--) {
		const struct mount *mount = &covers->found[i - 1];

		if (mount->device != covers->device && !is_behind_another(covers, mount) &&
		    take_away(covers, mount))
			return true;
	}
	return false;
}

/* Takes mounts away, one by one: after each the others may have changed. */
static void look(struct ipcfs_covers *covers)
{
	do
		find(covers);
	while (take_one_away(covers));
}

static void *watch(void *arg)
{
	struct ipcfs_covers *covers = arg;
	struct pollfd events[] = {
		{ .fd = fileno(covers->mountinfo), .events = POLLPRI },
		{ .fd = covers->end, .events = POLLIN },
	};

	do {
		look(covers);
		while (poll(events, 2, -1) < 0) /* EINTR */
			;
	} while (!events[1].revents);
	return NULL;
}

static int start_thread(struct ipcfs_covers *covers)
{
	pthread_attr_t attr;
	int err = pthread_attr_init(&attr);

	if (err)
		return -err;
	err = pthread_attr_setstacksize(&attr, THREAD_STACK);
	if (!err)
		err = pthread_create(&covers->thread, &attr, watch, covers);
	pthread_attr_destroy(&attr);
	return -err;
}

static void destroy(struct ipcfs_covers *covers)
{
	forget(covers);
	free(covers->found);
	if (covers->mountinfo)
		fclose(covers->mountinfo);
	if (covers->end >= 0)
		close(covers->end);
	free(covers);
}

/* Reads the device number of the mount. */
static int read_device(const char *mountpoint, dev_t *device)
{
	int fd = open_place(mountpoint), err;
	uint64_t number;

	if (fd < 0)
		return fd;
	err = ipcfs_mountpoint_of(fd, &number, device);
	close(fd);
	return err;
}

static int start(struct ipcfs_covers *covers, const char *mountpoint)
{
	int err = read_device(mountpoint, &covers->device);

	if (err)
		return err;
	covers->end = eventfd(0, EFD_CLOEXEC);
	if (covers->end < 0)
		return -errno;
	covers->mountinfo = fopen("/proc/self/mountinfo", "re");
	return covers->mountinfo ? start_thread(covers) : -errno;
}

struct ipcfs_covers *ipcfs_covers_start(const char *mountpoint)
{
	struct ipcfs_covers *covers = calloc(1, sizeof(*covers));
	int err = -ENOMEM;

	if (covers) {
		covers->end = -1;
		err = start(covers, mountpoint);
	}
	if (!err)
		return covers;
	ipcfs_log(LOG_WARNING, "mounts of users over files of the mount are not watched: %s",
		  strerror(-err));
	if (covers)
		destroy(covers);
	return NULL;
}

void ipcfs_covers_stop(struct ipcfs_covers *covers)
{
	if (!covers)
		return;
	if (eventfd_write(covers->end, 1) == 0) /* cannot fail: it is written once */
		pthread_join(covers->thread, NULL);
	destroy(covers);
}
