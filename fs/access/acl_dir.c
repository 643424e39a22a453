/* SPDX-License-Identifier: MIT */
#include "fs/access/acl_dir.h"

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

#include "backends/contract/descriptor.h"
#include "backends/contract/fault.h"
#include "fs/base/log.h"

#define LOCK_FILE "lock"
#define NEW_FILE "new" /* of earlier versions */
#define LISTS_FILE "lists"

#define FILE_SIZE 32768	     /* bytes of a file of one list, or less */
#define LISTS_SIZE (1 << 27) /* bytes of the file of all lists, or less */
#define ENTRIES_MAX 1048576  /* of the directory; later ones are ignored */
#define COMPLAINTS_MAX 8
#define LOCK_TRIES 100

/* Checks that only the daemon's user has access to a directory. Returns the reason if not. */
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

/* Opens a directory, which is made if it is missing. After an error *why is the reason. */
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

/*
 * Opens a directory for dir->above. A usual one is often missing in containers and for ordinary
 * users: only one that others may use is then logged.
 */
static int try_location(struct ipcfs_acl_dir *dir, const char *path, bool usual)
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

static int try_usual_locations(struct ipcfs_acl_dir *dir)
{
	const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
	char path[PATH_MAX];

	if (geteuid() == 0 && !try_location(dir, IPCFS_ACL_DIR_PATH, true))
		return 0;
	if (!runtime || runtime[0] != '/' ||
	    snprintf(path, sizeof(path), "%s/" IPCFS_ACL_DIR_NAME, runtime) >= (int)sizeof(path))
		return -ENOENT;
	return try_location(dir, path, true);
}

int ipcfs_acl_dir_usual(void)
{
	struct ipcfs_acl_dir dir = { .above = -1 };
	int err = try_usual_locations(&dir);

	return err ? err : dir.above;
}

int ipcfs_acl_dir_open(struct ipcfs_acl_dir *dir, const char *above)
{
	dir->above = dir->fd = dir->lock = dir->lists.fd = -1;
	(void)snprintf(dir->name, sizeof(dir->name), "%" PRIu64, dir->space.inode);
	if (!dir->space.boot[0]) {
		ipcfs_log(LOG_NOTICE, "/proc does not tell which IPC namespace this is");
		return -ENOENT;
	}
	return above ? try_location(dir, above, false) : try_usual_locations(dir);
}

/* Checks that only the daemon's user can write a file. Returns the reason if not. */
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

static int open_file(const struct ipcfs_acl_dir *dir, const char *name, int flags, off_t size,
		     const char **why)
{
	struct stat st;
	int fd, error;

	/* Only a regular file is opened, and it is checked again after that. */
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
	if (!*why && st.st_size >= size)
		*why = "it is too large";
	if (*why)
		ipcfs_descriptor_close(&fd);
	return *why ? -EPERM : fd;
}

/*
 * Locks the lock file.
 *   -EBUSY: another daemon has the lock.
 *   -EAGAIN: that daemon has just removed the file.
 *   Errors of flock(2) and fstat(2).
 */
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

/* Opens the namespace's directory, as dir->fd, and its lock file. Returns the latter. */
static int open_lock(struct ipcfs_acl_dir *dir, const char **why)
{
	ipcfs_descriptor_close(&dir->fd);
	dir->fd = open_own(dir->above, dir->name, why);
	return dir->fd < 0 ? dir->fd : open_file(dir, LOCK_FILE, O_RDWR | O_CREAT, FILE_SIZE, why);
}

int ipcfs_acl_dir_open_lock(struct ipcfs_acl_dir *dir)
{
	const char *why;

	return open_lock(dir, &why);
}

static int try_lock(struct ipcfs_acl_dir *dir, const char **why)
{
	int error;

	dir->lock = open_lock(dir, why);
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

	/* A daemon that ends at this moment may remove the directory or the lock file. */
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
	ipcfs_acl_lists_close(&dir->lists);
	if (dir->lock >= 0 && empty) {
		(void)unlinkat(dir->fd, LISTS_FILE, 0);
		/* A daemon that gets the removed file's lock makes another file. */
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

/* State of loading a directory. */
struct load {
	const struct ipcfs_acl_dir *dir;
	int (*each)(void *arg, struct ipcfs_acl_record *record,
		    const struct ipcfs_acl_place *place);
	void *arg;
	char *bytes; /* FILE_SIZE */
	unsigned complaints;
};

static void complain(struct load *load, const char *name, const char *why)
{
	if (load->complaints++ < COMPLAINTS_MAX)
		ipcfs_log(LOG_WARNING, "the access control list in %s is ignored: %s", name, why);
}

/* Parses a record. The errors of ipcfs_acl_record_parse; -EINVAL is logged with the file's name. */
static int parse(struct load *load, const char *name, const char *text,
		 struct ipcfs_acl_record *record)
{
	int error = ipcfs_acl_record_parse(record, &load->dir->space, text);

	if (!error && record->acl.count > IPCFS_ACL_RECORD_ENTRIES) {
		ipcfs_acl_free(&record->acl);
		error = -EINVAL;
	}
	if (error == -EINVAL)
		complain(load, name, "it is malformed");
	return error;
}

/* Loads a record of the file of all lists. For ipcfs_acl_lists_load. */
static int load_listed(void *arg, const char *text, const struct ipcfs_acl_place *place)
{
	struct load *load = arg;
	struct ipcfs_acl_record record = { 0 };
	int result = parse(load, LISTS_FILE, text, &record);

	if (result)
		return result == -ENOMEM ? result : 1;
	result = load->each(load->arg, &record, place);
	if (result)
		ipcfs_acl_free(&record.acl);
	return result;
}

/* Opens the file of all lists. One that can't be used is removed, and made anew. */
static int open_lists(struct load *load)
{
	const char *why;
	int fd = open_file(load->dir, LISTS_FILE, O_RDWR | O_CREAT, LISTS_SIZE, &why);

	if (fd != -EPERM)
		return fd;
	complain(load, LISTS_FILE, why);
	if (unlinkat(load->dir->fd, LISTS_FILE, 0))
		return -errno;
	return open_file(load->dir, LISTS_FILE, O_RDWR | O_CREAT, LISTS_SIZE, &why);
}

static int read_record(struct load *load, const char *name, struct ipcfs_acl_record *record)
{
	char wanted[IPCFS_ACL_RECORD_NAME];
	const char *why;
	IPCFS_DESCRIPTOR_AUTO int fd = open_file(load->dir, name, O_RDONLY, FILE_SIZE, &why);
	ssize_t size;
	int error;

	if (fd < 0) {
		complain(load, name, why);
		return -EINVAL;
	}
	size = ipcfs_descriptor_read(fd, load->bytes, FILE_SIZE);
	if (size < 0) {
		complain(load, name, strerror((int)-size));
		return -EINVAL;
	}
	error = strlen(load->bytes) == (size_t)size ? parse(load, name, load->bytes, record)
						    : -EINVAL;
	if (error)
		return error;
	ipcfs_acl_record_name(record->class, &record->ref, wanted);
	if (strcmp(wanted, name) == 0)
		return 0;
	complain(load, name, "it is of another object");
	ipcfs_acl_free(&record->acl);
	return -EINVAL;
}

/* Loads a file of an earlier version, and removes it. */
static int load_one(struct load *load, const char *name)
{
	const struct ipcfs_acl_place none = { 0 };
	struct ipcfs_acl_record record = { 0 };
	int result = read_record(load, name, &record);

	if (result == -EINVAL)
		return 0;
	if (!result)
		result = load->each(load->arg, &record, &none);
	if (result)
		ipcfs_acl_free(&record.acl);
	if (result < 0 && result != -ESTALE)
		return result;
	/* If this fails, the record is void at the next start. */
	(void)unlinkat(load->dir->fd, name, 0);
	return 0;
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
		if (entry->d_name[0] == '.' || strcmp(entry->d_name, LOCK_FILE) == 0 ||
		    strcmp(entry->d_name, LISTS_FILE) == 0)
			continue;
		error = load_one(load, entry->d_name);
		if (error)
			return error;
	}
	ipcfs_log(LOG_WARNING, "there are too many files beside the access control lists");
	return 0;
}

int ipcfs_acl_dir_load(struct ipcfs_acl_dir *dir,
		       int (*each)(void *arg, struct ipcfs_acl_record *record,
				   const struct ipcfs_acl_place *place),
		       void *arg)
{
	struct load load = { .dir = dir, .each = each, .arg = arg, .bytes = malloc(FILE_SIZE) };
	/* Opened again, as the position in a directory belongs to the open file. */
	int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	int error;

	if (!load.bytes || !directory) {
		error = load.bytes ? -errno : -ENOMEM;
	} else {
		(void)unlinkat(dir->fd, NEW_FILE, 0); /* usually not there */
		error = open_lists(&load);
		if (error >= 0)
			error = ipcfs_acl_lists_load(&dir->lists, error, load_listed, &load);
		if (!error)
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

/* Logs an error of writing, but not each of many. Returns what the functions below return. */
static int report(struct ipcfs_acl_dir *dir, const char *name, int error)
{
	if (error == -ENOMEM)
		return error;
	if (!dir->complained)
		ipcfs_log(LOG_ERR, "the access control list %s can't be written: %s", name,
			  strerror(-error));
	dir->complained = true;
	return error == -ENOSPC || error == -EDQUOT ? -ENOSPC : -EIO;
}

int ipcfs_acl_dir_write(struct ipcfs_acl_dir *dir, const struct ipcfs_acl_record *record,
			struct ipcfs_acl_place *place)
{
	char name[IPCFS_ACL_RECORD_NAME];
	struct ipcfs_text text = { 0 };
	int error = ipcfs_acl_record_format(record, &dir->space, &text);

	ipcfs_acl_record_name(record->class, &record->ref, name);
	/* Not synced: after the next boot every record is void anyway. */
	if (!error)
		error = ipcfs_acl_lists_write(&dir->lists, &text, place);
	ipcfs_text_free(&text);
	if (error)
		return report(dir, name, error);
	dir->complained = false;
	return 0;
}

int ipcfs_acl_dir_remove(struct ipcfs_acl_dir *dir, struct ipcfs_acl_place *place)
{
	int error = ipcfs_fault("acl.remove");

	if (!error)
		error = ipcfs_acl_lists_drop(&dir->lists, place);
	if (!error)
		return 0;
	(void)report(dir, "of an object", error);
	return -EIO;
}
