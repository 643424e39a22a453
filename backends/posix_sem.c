/* SPDX-License-Identifier: MIT */
/*
 * POSIX named semaphores as objects: the files of /dev/shm whose names begin with "sem.". One that
 * has not the size of a semaphore is none, and is not shown.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "descriptor.h"
#include "identity.h"
#include "kinds.h"
#include "posix_file.h"
#include "posix_sem.h"
#include "shm_dir.h"
#include "space.h"

#define PREFIX_SIZE (sizeof(IPCFS_SHM_SEMAPHORE) - 1)

int ipcfs_posix_sem_name_check(const char *name)
{
	if (strnlen(name, NAME_MAX + 1) + PREFIX_SIZE > NAME_MAX)
		return -ENAMETOOLONG;
	return ipcfs_posix_name_check(name);
}

int ipcfs_posix_sem_file(const char *name, char file[NAME_MAX + 1])
{
	if (ipcfs_posix_sem_name_check(name))
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

/* The file of this name as an O_PATH descriptor. */
static int find_file(const struct ipcfs_space *space, const char *name, struct statx *st)
{
	char file[NAME_MAX + 1];
	int fd = ipcfs_posix_sem_file(name, file);

	if (!fd)
		fd = ipcfs_shm_dir_find(space, file, st);
	if (fd < 0 || ipcfs_posix_sem_is(st))
		return fd;
	ipcfs_descriptor_close(&fd);
	return -ENOENT;
}

/* A ref has the semaphore's name, what tells files apart is made with the file's. */
static bool is_same(const struct ipcfs_ref *ref, const struct statx *st)
{
	struct ipcfs_ref file = { .serial = ref->serial, .key = ref->key };

	return !ipcfs_posix_sem_file(ref->name, file.name) && ipcfs_shm_dir_same(&file, st);
}

int ipcfs_posix_sem_find(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
			 struct statx *st)
{
	int fd = find_file(space, ref->name, st);

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
	if (ipcfs_posix_sem_file(name, path))
		return; /* it was found by this name */
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
	int error = ipcfs_posix_sem_file(name, file);

	if (!error)
		error = ipcfs_shm_dir_look(space, file, &st);
	if (!error && !ipcfs_posix_sem_is(&st))
		error = -ENOENT;
	if (!error)
		fill_info(name, &st, info);
	return error;
}

/* With the value, but where we may not read it. */
static int sample(const struct ipcfs_space *space, const char *name, struct ipcfs_info *info)
{
	struct statx st;
	IPCFS_DESCRIPTOR_AUTO int path = find_file(space, name, &st);
	IPCFS_DESCRIPTOR_AUTO int fd = -1;
	uint64_t word;

	if (path < 0)
		return path;
	fill_info(name, &st, info);
	fd = ipcfs_posix_sem_open(path, O_RDONLY);
	if (fd >= 0 && !ipcfs_posix_sem_word(fd, &word))
		info->size = IPCFS_POSIX_SEM_VALUE(word);
	return 0;
}

static int same(const struct ipcfs_ref *ref, const struct ipcfs_info *info)
{
	return info->ref.serial == ref->serial && info->ref.key == ref->key ? 0 : -ENOENT;
}

static int glance(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		  struct ipcfs_info *info)
{
	int error = find(space, ref->name, info);

	return error ? error : same(ref, info);
}

static int stat_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		    struct ipcfs_info *info)
{
	int error = sample(space, ref->name, info);

	return error ? error : same(ref, info);
}

struct lister {
	const struct ipcfs_space *space;
	int (*each)(void *arg, const struct ipcfs_info *info);
	void *arg;
};

static int list_file(void *arg, const char *name, const struct statx *st)
{
	const struct lister *lister = arg;
	struct ipcfs_info info;
	int error;

	if (strncmp(name, IPCFS_SHM_SEMAPHORE, PREFIX_SIZE) != 0 || !ipcfs_posix_sem_is(st))
		return 0;
	error = sample(lister->space, name + PREFIX_SIZE, &info);
	if (error == -ENOENT || error == -EIDRM || error == -ENAMETOOLONG)
		return 0;
	return error ? error : lister->each(lister->arg, &info);
}

static int list(const struct ipcfs_space *space,
		int (*each)(void *arg, const struct ipcfs_info *info), void *arg)
{
	struct lister lister = { space, each, arg };

	return ipcfs_shm_dir_list(space, list_file, &lister);
}

/* What sem_open(3) would write. */
static int start_bytes(const struct ipcfs_spec *spec, sem_t *semaphore)
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

/* With the caller's identity: it gets its name when it is whole, so that nobody sees half of it. */
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
	error = ipcfs_posix_sem_name_check(spec->name);
	if (!error)
		error = ipcfs_posix_sem_file(spec->name, file.name);
	if (!error)
		error = start_bytes(spec, &file.semaphore);
	if (!error)
		error = ipcfs_identity_run(caller, make_file, &file, sizeof(file));
	if (error == -ENOSPC)
		*limit = "size or nr_inodes of /dev/shm";
	return error ? error : sample(space, spec->name, info);
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
	error = ipcfs_posix_sem_file(ref->name, file);
	return error ? error : ipcfs_posix_file_remove(space->shm, file, caller);
}

static int change(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		  const struct ipcfs_change *wanted, const struct ipcfs_caller *caller)
{
	struct statx st;
	IPCFS_DESCRIPTOR_AUTO int fd = ipcfs_posix_sem_find(space, ref, &st);

	if (fd < 0)
		return fd == -EIDRM ? -ENOENT : fd;
	return ipcfs_posix_file_change(fd, st.stx_mode, wanted, caller);
}

static int acl(const struct ipcfs_space *space, const struct ipcfs_ref *ref, struct ipcfs_acl *out)
{
	struct statx st;
	IPCFS_DESCRIPTOR_AUTO int fd = ipcfs_posix_sem_find(space, ref, &st);

	if (fd < 0)
		return fd == -EIDRM ? -ENOENT : fd;
	return ipcfs_posix_file_acl(fd, out);
}

static int set_acl(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		   const struct ipcfs_acl *wanted, const struct ipcfs_caller *caller)
{
	struct statx st;
	IPCFS_DESCRIPTOR_AUTO int fd = ipcfs_posix_sem_find(space, ref, &st);

	if (fd < 0)
		return fd == -EIDRM ? -ENOENT : fd;
	return ipcfs_posix_file_set_acl(fd, wanted, caller);
}

static int status(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		  struct ipcfs_text *out)
{
	size_t start = out->size;
	struct statx st;
	IPCFS_DESCRIPTOR_AUTO int fd = ipcfs_posix_sem_find(space, ref, &st);
	int error;

	if (fd < 0)
		return fd == -EIDRM ? -ENOENT : fd;
	error = ipcfs_text_pair(out, "class", "posix/sem");
	if (!error)
		error = ipcfs_text_pair(out, "name", ref->name);
	if (!error)
		error = ipcfs_text_printf(out,
					  "inode=%llu\n"
					  "uid=%u\n"
					  "gid=%u\n"
					  "mode=0%03o\n"
					  "access_time=%lld\n"
					  "modify_time=%lld\n"
					  "change_time=%lld\n"
					  "stale=unknown\n",
					  (unsigned long long)st.stx_ino, st.stx_uid, st.stx_gid,
					  st.stx_mode & 0777U, (long long)st.stx_atime.tv_sec,
					  (long long)st.stx_mtime.tv_sec,
					  (long long)st.stx_ctime.tv_sec);
	if (error)
		ipcfs_text_cut(out, start);
	return error;
}

static int watch(const struct ipcfs_space *space, int *watch)
{
	/* Without it, whoever waits looks twice a second. */
	(void)ipcfs_posix_file_watch(space->shm, IN_DELETE | IN_ATTRIB | IN_MOVE, watch);
	return 0;
}

const struct ipcfs_backend ipcfs_posix_sem = {
	.family = "posix",
	.class_name = "sem",
	.rule = IPCFS_RULE_FILE,
	.spec_keys = IPCFS_SPEC_MODE | IPCFS_SPEC_VALUES,
	.change_fields = IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID | IPCFS_CHANGE_GID,
	.by_id = false,
	.in_shm = true,
	.check_name = ipcfs_posix_sem_name_check,
	.find = find,
	.glance = glance,
	.stat = stat_ref,
	.list = list,
	.make = make,
	.remove = remove_ref,
	.change = change,
	.acl = acl,
	.acl_of = ipcfs_posix_file_acl,
	.set_acl = set_acl,
	.status = status,
	.watch = watch,
	.semaphore = &ipcfs_posix_sem_ops,
};
