/* SPDX-License-Identifier: MIT */
/*
 * POSIX named semaphores as objects (sem_overview(7)): the files of /dev/shm whose names begin with
 * "sem.". A file without the size of a semaphore is not shown.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "backends/caller/act_as.h"
#include "backends/contract/classes.h"
#include "backends/contract/descriptor.h"
#include "backends/posix/posix_file.h"
#include "backends/posix/posix_sem.h"
#include "backends/posix/shm_dir.h"
#include "backends/space/reference.h"

#define PREFIX_SIZE (sizeof(IPCFS_SHM_SEMAPHORE) - 1)

/*
 * Checks that a semaphore can have this name.
 * -EINVAL, -ENAMETOOLONG.
 */
static int name_check(const char *name)
{
	if (strnlen(name, NAME_MAX + 1) + PREFIX_SIZE > NAME_MAX)
		return -ENAMETOOLONG;
	return ipcfs_posix_name_check(name);
}

/*
 * Formats the name of the semaphore's file.
 * -ENOENT: no semaphore can have this name.
 */
static int file_name(const char *name, char file[NAME_MAX + 1])
{
	if (name_check(name))
		return -ENOENT;
	(void)snprintf(file, NAME_MAX + 1, IPCFS_SHM_SEMAPHORE "%s", name);
	return 0;
}

bool ipcfs_posix_sem_is(const struct statx *st)
{
	return S_ISREG(st->stx_mode) && st->stx_size == sizeof(sem_t);
}

int ipcfs_posix_sem_open(int path, int flags)
{
	int fd = ipcfs_posix_file_reopen(path, flags | O_NOATIME);

	return fd == -EPERM ? ipcfs_posix_file_reopen(path, flags) : fd;
}

int ipcfs_posix_sem_word(int fd, uint64_t *word)
{
	ssize_t size = pread(fd, word, sizeof(*word), 0);

	if (size < 0)
		return -errno;
	return size == sizeof(*word) ? 0 : -EIO;
}

/*
 * Opens the semaphore of this name with O_PATH. Returns the descriptor, to be closed.
 * -ENOENT: there is none.
 */
static int open_name(const struct ipcfs_space *space, const char *name, struct statx *st)
{
	char file[NAME_MAX + 1];
	int fd = file_name(name, file);

	if (!fd)
		fd = ipcfs_shm_dir_find(space, file, st);
	if (fd < 0 || ipcfs_posix_sem_is(st))
		return fd;
	ipcfs_descriptor_close(&fd);
	return -ENOENT;
}

/*
 * Returns whether this file is the ref's. A ref has the semaphore's name; its key is computed with
 * the file's.
 */
static bool is_same(const struct ipcfs_ref *ref, const struct statx *st)
{
	struct ipcfs_ref file = { .serial = ref->serial, .key = ref->key };

	return !file_name(ref->name, file.name) && ipcfs_shm_dir_same(&file, st);
}

int ipcfs_posix_sem_find(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
			 struct statx *st)
{
	int fd = open_name(space, ref->name, st);

	if (fd < 0 || is_same(ref, st))
		return fd;
	ipcfs_descriptor_close(&fd);
	return -EIDRM;
}

static void fill_info(const char *name, const struct statx *st, struct ipcfs_info *info)
{
	struct ipcfs_ref file;
	char path[NAME_MAX + 1];

	memset(info, 0, sizeof(*info));
	if (file_name(name, path))
		return; /* not reached: the file was found by this name */
	ipcfs_shm_dir_ref(path, st, &file);
	info->ref.serial = file.serial;
	info->ref.key = file.key;
	memcpy(info->ref.name, name, strlen(name) + 1);
	ipcfs_shm_dir_fill(st, info);
}

static int find(const struct ipcfs_space *space, const char *name, struct ipcfs_info *info)
{
	char file[NAME_MAX + 1];
	struct statx st;
	int error = file_name(name, file);

	if (!error)
		error = ipcfs_shm_dir_stat(space, file, &st);
	if (!error && !ipcfs_posix_sem_is(&st))
		error = -ENOENT;
	if (!error)
		fill_info(name, &st, info);
	return error;
}

/* Reads the whole state of a semaphore. A value that the daemon can't read is 0. */
static int stat_name(const struct ipcfs_space *space, const char *name, struct ipcfs_info *info)
{
	IPCFS_DESCRIPTOR_AUTO int path = -1;
	IPCFS_DESCRIPTOR_AUTO int fd = -1;
	struct statx st;
	uint64_t word;
	int error = find(space, name, info);

	if (error)
		return error;
	info->size = 0;
	path = ipcfs_posix_sem_find(space, &info->ref, &st);
	if (path >= 0)
		fd = ipcfs_posix_sem_open(path, O_RDONLY);
	if (fd >= 0 && !ipcfs_posix_sem_word(fd, &word))
		info->size = IPCFS_POSIX_SEM_VALUE(word);
	return 0;
}

static int check_ref(const struct ipcfs_ref *ref, const struct ipcfs_info *info)
{
	return info->ref.serial == ref->serial && info->ref.key == ref->key ? 0 : -ENOENT;
}

static int stat_brief(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      struct ipcfs_info *info)
{
	int error = find(space, ref->name, info);

	return error ? error : check_ref(ref, info);
}

static int stat_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		    struct ipcfs_info *info)
{
	int error = stat_name(space, ref->name, info);

	return error ? error : check_ref(ref, info);
}

struct walker {
	int (*each)(void *arg, const struct ipcfs_info *info);
	void *arg;
};

/* Passes on semaphores, by the names that they have as objects. For ipcfs_posix_file_walk. */
static int walk_file(void *arg, const struct ipcfs_info *info)
{
	const struct walker *walker = arg;
	const char *file = info->ref.name;
	struct ipcfs_info semaphore = { .ref.serial = info->ref.serial };

	if (strncmp(file, IPCFS_SHM_SEMAPHORE, PREFIX_SIZE) != 0 || !file[PREFIX_SIZE])
		return 0;
	strcpy(semaphore.ref.name, file + PREFIX_SIZE); /* both have NAME_MAX bytes */
	return walker->each(walker->arg, &semaphore);
}

static int walk(const struct ipcfs_space *space, struct ipcfs_walk *at,
		int (*each)(void *arg, const struct ipcfs_info *info), void *arg)
{
	struct walker walker = { each, arg };

	return ipcfs_posix_file_walk(space->shm, at, walk_file, &walker);
}

static uint64_t at_most(const struct ipcfs_space *space)
{
	return ipcfs_posix_file_at_most(space->shm);
}

/*
 * Makes the bytes that sem_open(3) would write.
 * -EINVAL: there is not one value.
 * -ERANGE: the value is too large.
 */
static int make_semaphore(const struct ipcfs_spec *spec, sem_t *semaphore)
{
	uint32_t value = 1;

	if (spec->given & IPCFS_SPEC_VALUES) {
		if (spec->values.size != sizeof(value))
			return -EINVAL;
		memcpy(&value, spec->values.data, sizeof(value));
	}
	if (value > ipcfs_posix_sem_ops.value_max)
		return -ERANGE;
	memset(semaphore, 0, sizeof(*semaphore));
	return sem_init(semaphore, 1, value) ? -errno : 0;
}

struct new_file {
	const struct ipcfs_space *space;
	char name[NAME_MAX + 1];
	mode_t mode;
	sem_t semaphore;
};

/*
 * Makes the file as the caller. It gets its name when it is complete, so that no process sees a
 * part.
 */
static int make_file(void *arg)
{
	const struct new_file *file = arg;
	IPCFS_DESCRIPTOR_AUTO int fd = ipcfs_shm_dir_make(file->space, file->mode);
	ssize_t written;

	if (fd < 0)
		return fd;
	written = write(fd, &file->semaphore, sizeof(file->semaphore));
	if (written < 0)
		return -errno;
	if (written != sizeof(file->semaphore))
		return -ENOSPC;
	return ipcfs_shm_dir_name(file->space, fd, file->name);
}

static int make(const struct ipcfs_space *space, const struct ipcfs_spec *spec,
		const struct ipcfs_caller *caller, struct ipcfs_info *info, const char **limit)
{
	struct new_file file = { .space = space, .mode = spec->mode };
	int error;

	*limit = NULL;
	error = name_check(spec->name);
	if (!error)
		error = file_name(spec->name, file.name);
	if (!error)
		error = make_semaphore(spec, &file.semaphore);
	if (!error)
		error = ipcfs_act_as(caller, make_file, &file, sizeof(file));
	if (error == -ENOSPC)
		*limit = "size or nr_inodes of /dev/shm";
	return error ? error : stat_name(space, spec->name, info);
}

static int remove_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      const struct ipcfs_caller *caller)
{
	char file[NAME_MAX + 1];
	struct statx st;
	IPCFS_DESCRIPTOR_AUTO int fd = ipcfs_posix_sem_find(space, ref, &st);
	int error;

	if (fd < 0)
		return fd == -EIDRM ? -ENOENT : fd;
	error = file_name(ref->name, file);
	return error ? error : ipcfs_posix_file_remove(space->shm, file, caller);
}

IPCFS_SHM_DIR_FUNCTIONS(ipcfs_posix_sem_find)

static int status(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		  struct ipcfs_text *out)
{
	size_t start = out->size;
	struct ipcfs_info info;
	int error = stat_brief(space, ref, &info);

	if (!error)
		error = ipcfs_posix_file_status("posix/sem", &info, out);
	if (!error)
		error = ipcfs_shm_dir_status_times(&info, out);
	if (error)
		ipcfs_text_cut(out, start);
	return error;
}

static int trace(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		 struct ipcfs_trace *trace)
{
	struct statx st;
	IPCFS_DESCRIPTOR_AUTO int fd = ipcfs_posix_sem_find(space, ref, &st);

	if (fd < 0)
		return fd == -EIDRM ? -ENOENT : fd;
	ipcfs_shm_dir_trace(&st, trace);
	return 0;
}

static int watch(const struct ipcfs_space *space, int *watch)
{
	/* without a watch, waiting calls return twice a second */
	(void)ipcfs_posix_file_watch(space->shm, IN_DELETE | IN_ATTRIB | IN_MOVE, watch);
	return 0;
}

const struct ipcfs_class ipcfs_posix_sem = {
	.family = "posix",
	.name = "sem",
	.rule = IPCFS_RULE_FILE,
	.spec_keys = IPCFS_SPEC_MODE | IPCFS_SPEC_VALUES,
	.change_fields = IPCFS_POSIX_CHANGE_FIELDS,
	.by_id = false,
	.in_shm = true,
	.trail = true,
	.check_name = name_check,
	.find = find,
	.stat_brief = stat_brief,
	.stat = stat_ref,
	.walk = walk,
	.at_most = at_most,
	.make = make,
	.remove = remove_ref,
	.change = change,
	.acl = acl,
	.acl_of = ipcfs_posix_file_acl,
	.set_acl = set_acl,
	.status = status,
	.trace = trace,
	.watch = watch,
	.semaphore = &ipcfs_posix_sem_ops,
};
