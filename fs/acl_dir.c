/* SPDX-License-Identifier: MIT */
#include "acl_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "../backends/descriptor.h"
#include "acl_store.h"
#include "log.h"

/* Not where the mount usually is, which would be asked what the daemon is about to answer. */
#define USUAL_PLACE "/run/ipcfs-state"
#define USUAL_NAME "ipcfs-state"
#define LOCK_FILE "lock"
#define NEW_FILE "new"

#define FILE_ROOM 32768	    /* more than the longest record, IPCFS_ACL_STORE_ENTRIES entries, has */
#define ENTRIES_MAX 1048576 /* of the directory; what comes then is not looked at */
#define COMPLAINTS_MAX 8
#define LOCK_TRIES 100

/* Why not, if this is not a directory that is ours alone. */
static const char *check_directory(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return strerror(errno);
	if (st.st_uid != geteuid())
		return "it belongs to somebody else";
	if (st.st_mode & 077)
		return "others have access to it";
	return NULL;
}

/* Open the directory, make it where it is missing. */
static int open_own(int at, const char *name, const char **why)
{
	int fd, error;

	*why = NULL;
	if (mkdirat(at, name, 0700) && errno != EEXIST) {
		error = errno;
		*why = strerror(error);
		return -error;
	}
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		error = errno;
		*why = strerror(error);
		return -error;
	}
	*why = check_directory(fd);
	if (*why)
		ipcfs_descriptor_close(&fd);
	return *why ? -EPERM : fd;
}

/* That a usual place can't be had is usual, in containers and for ordinary users; a strange one is not. */
static int try_place(struct ipcfs_acl_dir *dir, const char *path, bool usual)
{
	const char *why;

	dir->above = open_own(AT_FDCWD, path, &why);
	if (dir->above >= 0)
		return 0;
	if (!usual || dir->above == -EPERM)
		ipcfs_log(LOG_WARNING, "%s is not used to keep access control lists: %s", path,
			  why);
	return dir->above;
}

static int try_usual_places(struct ipcfs_acl_dir *dir)
{
	const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
	char path[PATH_MAX];

	if (geteuid() == 0 && !try_place(dir, USUAL_PLACE, true))
		return 0;
	if (!runtime || runtime[0] != '/' ||
	    snprintf(path, sizeof(path), "%s/" USUAL_NAME, runtime) >= (int)sizeof(path))
		return -ENOENT;
	return try_place(dir, path, true);
}

int ipcfs_acl_dir_open(struct ipcfs_acl_dir *dir, const char *above)
{
	dir->above = dir->fd = dir->lock = -1;
	(void)snprintf(dir->name, sizeof(dir->name), "%" PRIu64, dir->space.inode);
	if (!dir->space.boot[0]) {
		ipcfs_log(LOG_NOTICE, "/proc does not tell which IPC namespace this is");
		return -ENOENT;
	}
	return above ? try_place(dir, above, false) : try_usual_places(dir);
}

/* Why not, if this is not a file that only we write. */
static const char *check_file(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "it is no regular file";
	if (st->st_uid != geteuid())
		return "it belongs to somebody else";
	if (st->st_mode & 022)
		return "others may write it";
	if (st->st_nlink > 1)
		return "it has other names";
	return NULL;
}

static int open_file(const struct ipcfs_acl_dir *dir, const char *name, int flags, const char **why)
{
	struct stat st;
	int fd, error;

	/* nothing but a regular file is even opened; what is opened is looked at again */
	*why = NULL;
	if (!fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW))
		*why = check_file(&st);
	if (*why)
		return -EPERM;
	fd = openat(dir->fd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &st)) {
		error = errno;
		*why = strerror(error);
		ipcfs_descriptor_close(&fd);
		return -error;
	}
	*why = check_file(&st);
	if (!*why && st.st_size >= FILE_ROOM)
		*why = "it is too large";
	if (*why)
		ipcfs_descriptor_close(&fd);
	return *why ? -EPERM : fd;
}

/* -EAGAIN: who had it has just removed it. */
static int lock_file(int fd)
{
	struct stat st;

	while (flock(fd, LOCK_EX | LOCK_NB))
		if (errno != EINTR)
			return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (fstat(fd, &st))
		return -errno;
	return st.st_nlink ? 0 : -EAGAIN;
}

static int try_lock(struct ipcfs_acl_dir *dir, const char **why)
{
	int error;

	ipcfs_descriptor_close(&dir->fd);
	dir->fd = open_own(dir->above, dir->name, why);
	if (dir->fd < 0)
		return dir->fd;
	dir->lock = open_file(dir, LOCK_FILE, O_RDWR | O_CREAT, why);
	if (dir->lock < 0)
		return dir->lock;
	error = lock_file(dir->lock);
	if (!error)
		return 0;
	*why = strerror(-error);
	ipcfs_descriptor_close(&dir->lock);
	return error;
}

int ipcfs_acl_dir_lock(struct ipcfs_acl_dir *dir)
{
	const char *why = NULL;
	int tries = 0, error;

	/* the directory, or the lock, may be gone with a daemon that ends just now */
	do
		error = try_lock(dir, &why);
	while ((error == -ENOENT || error == -EAGAIN) && ++tries < LOCK_TRIES);
	if (error == -EAGAIN)
		return -EBUSY;
	if (error && error != -EBUSY)
		ipcfs_log(LOG_WARNING, "the directory %s of access control lists is not used: %s",
			  dir->name, why);
	return error;
}

void ipcfs_acl_dir_unlock(struct ipcfs_acl_dir *dir, bool empty)
{
	if (dir->lock >= 0 && empty) {
		/* whoever waits for the lock sees that it is gone, and makes another */
		(void)unlinkat(dir->fd, LOCK_FILE, 0);
		(void)unlinkat(dir->above, dir->name, AT_REMOVEDIR);
	}
	ipcfs_descriptor_close(&dir->lock);
	ipcfs_descriptor_close(&dir->fd);
}

void ipcfs_acl_dir_close(struct ipcfs_acl_dir *dir, bool empty)
{
	ipcfs_acl_dir_unlock(dir, empty);
	ipcfs_descriptor_close(&dir->above);
}

/* One pass over the directory. */
struct load {
	const struct ipcfs_acl_dir *dir;
	int (*each)(void *arg, struct ipcfs_acl_record *record);
	void *arg;
	char *bytes; /* FILE_ROOM */
	unsigned complaints;
};

static void complain(struct load *load, const char *name, const char *why)
{
	if (load->complaints++ < COMPLAINTS_MAX)
		ipcfs_log(LOG_WARNING, "the access control list in %s is ignored: %s", name, why);
}

static int read_record(struct load *load, const char *name, struct ipcfs_acl_record *record)
{
	char wanted[IPCFS_ACL_RECORD_NAME];
	const char *why;
	IPCFS_DESCRIPTOR_AUTO int fd = open_file(load->dir, name, O_RDONLY, &why);
	ssize_t size;
	int error;

	if (fd < 0) {
		complain(load, name, why);
		return -EINVAL;
	}
	size = ipcfs_descriptor_read(fd, load->bytes, FILE_ROOM);
	if (size < 0) {
		complain(load, name, strerror((int)-size));
		return -EINVAL;
	}
	error = strlen(load->bytes) == (size_t)size
			? ipcfs_acl_record_parse(record, &load->dir->space, load->bytes)
			: -EINVAL;
	if (error == -EINVAL)
		complain(load, name, "it is malformed");
	if (error)
		return error;
	ipcfs_acl_record_name(record->class, &record->ref, wanted);
	if (strcmp(wanted, name) == 0 && record->acl.count <= IPCFS_ACL_STORE_ENTRIES)
		return 0;
	complain(load, name, "it is of another object");
	ipcfs_acl_free(&record->acl);
	return -EINVAL;
}

static int load_one(struct load *load, const char *name)
{
	struct ipcfs_acl_record record = { 0 };
	int result = read_record(load, name, &record);

	if (result == -EINVAL)
		return 0;
	if (!result)
		result = load->each(load->arg, &record);
	if (result)
		ipcfs_acl_free(&record.acl);
	if (result == 1 || result == -ESTALE) {
		(void)unlinkat(load->dir->fd, name, 0); /* at worst it is found void again */
		result = 0;
	}
	return result;
}

static int load_entries(struct load *load, DIR *directory)
{
	for (unsigned seen = 0; seen < ENTRIES_MAX; seen++) {
		struct dirent *entry;
		int error;

		errno = 0;
		entry = readdir(directory);
		if (!entry)
			return -errno;
		if (entry->d_name[0] == '.' || strcmp(entry->d_name, LOCK_FILE) == 0)
			continue;
		error = load_one(load, entry->d_name);
		if (error)
			return error;
	}
	ipcfs_log(LOG_WARNING, "there are too many files beside the access control lists");
	return 0;
}

int ipcfs_acl_dir_load(const struct ipcfs_acl_dir *dir,
		       int (*each)(void *arg, struct ipcfs_acl_record *record), void *arg)
{
	struct load load = { .dir = dir, .each = each, .arg = arg, .bytes = malloc(FILE_ROOM) };
	/* opened anew: the position in a directory belongs to its open file */
	int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	int error;

	if (!load.bytes || !directory) {
		error = load.bytes ? -errno : -ENOMEM;
	} else {
		(void)unlinkat(dir->fd, NEW_FILE, 0); /* usually there is none */
		error = load_entries(&load, directory);
	}
	if (directory)
		(void)closedir(directory);
	else
		ipcfs_descriptor_close(&fd);
	free(load.bytes);
	if (load.complaints > COMPLAINTS_MAX)
		ipcfs_log(LOG_WARNING, "%u more access control lists are ignored",
			  load.complaints - COMPLAINTS_MAX);
	return error;
}

static int write_all(int fd, const char *bytes, size_t size)
{
	while (size) {
		ssize_t written = write(fd, bytes, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		bytes += written;
		size -= (size_t)written;
	}
	return 0;
}

static int write_new(const struct ipcfs_acl_dir *dir, const struct ipcfs_text *text)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, error;
	IPCFS_DESCRIPTOR_AUTO int fd = openat(dir->fd, NEW_FILE, flags, 0600);

	if (fd < 0 && errno == EEXIST && !unlinkat(dir->fd, NEW_FILE, 0))
		fd = openat(dir->fd, NEW_FILE, flags, 0600);
	if (fd < 0)
		return -errno;
	/* not synced: after the next boot it is void in any case */
	error = write_all(fd, text->data, text->size);
	if (error)
		(void)unlinkat(dir->fd, NEW_FILE, 0);
	return error;
}

int ipcfs_acl_dir_write(const struct ipcfs_acl_dir *dir, const struct ipcfs_acl_record *record)
{
	char name[IPCFS_ACL_RECORD_NAME];
	struct ipcfs_text text = { 0 };
	int error = ipcfs_acl_record_format(record, &dir->space, &text);

	ipcfs_acl_record_name(record->class, &record->ref, name);
	if (!error)
		error = write_new(dir, &text);
	ipcfs_text_free(&text);
	if (!error && renameat(dir->fd, NEW_FILE, dir->fd, name))
		error = -errno;
	if (!error || error == -ENOMEM)
		return error;
	ipcfs_log(LOG_ERR, "the access control list %s can't be written: %s", name,
		  strerror(-error));
	return error == -ENOSPC || error == -EDQUOT ? -ENOSPC : -EIO;
}

int ipcfs_acl_dir_remove(const struct ipcfs_acl_dir *dir, const struct ipcfs_backend *class,
			 const struct ipcfs_ref *ref)
{
	char name[IPCFS_ACL_RECORD_NAME];

	ipcfs_acl_record_name(class, ref, name);
	if (!unlinkat(dir->fd, name, 0) || errno == ENOENT)
		return 0;
	ipcfs_log(LOG_ERR, "the access control list %s can't be removed: %s", name,
		  strerror(errno));
	return -EIO;
}
