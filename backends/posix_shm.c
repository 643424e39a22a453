/* SPDX-License-Identifier: MIT */
/*
 * POSIX shared memory objects: files of /dev/shm, but for those that are semaphores. A handle is a
 * descriptor of the file, which outlives its name.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "descriptor.h"
#include "identity.h"
#include "kinds.h"
#include "posix_file.h"
#include "shm_dir.h"
#include "space.h"

static bool is_semaphore(const char *name)
{
	return !strncmp(name, IPCFS_SHM_SEMAPHORE, strlen(IPCFS_SHM_SEMAPHORE));
}

static int check_name(const char *name)
{
	int error = ipcfs_posix_name_check(name);

	return !error && is_semaphore(name) ? -EINVAL : error;
}

static void fill_look(const struct statx *st, struct ipcfs_info *info)
{
	ipcfs_shm_dir_fill(st, info);
	info->size = st->stx_size;
	info->allocated = st->stx_blocks * 512;
}

static void fill_info(const char *name, const struct statx *st, struct ipcfs_info *info)
{
	memset(info, 0, sizeof(*info));
	ipcfs_shm_dir_ref(name, st, &info->ref);
	fill_look(st, info);
}

static int find(const struct ipcfs_space *space, const char *name, struct ipcfs_info *info)
{
	struct statx st;
	int error = is_semaphore(name) ? -ENOENT : ipcfs_shm_dir_look(space, name, &st);

	if (!error)
		fill_info(name, &st, info);
	return error;
}

static int look_at_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		       struct statx *st)
{
	int error = ipcfs_shm_dir_look(space, ref->name, st);

	return !error && !ipcfs_shm_dir_same(ref, st) ? -ENOENT : error;
}

static int stat_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		    struct ipcfs_info *info)
{
	struct statx st;
	int error = look_at_ref(space, ref, &st);

	if (!error)
		fill_info(ref->name, &st, info);
	return error;
}

struct lister {
	int (*each)(void *arg, const struct ipcfs_info *info);
	void *arg;
};

static int list_file(void *arg, const char *name, const struct statx *st)
{
	const struct lister *lister = arg;
	struct ipcfs_info info;

	if (is_semaphore(name))
		return 0;
	fill_info(name, st, &info);
	return lister->each(lister->arg, &info);
}

static int list(const struct ipcfs_space *space,
		int (*each)(void *arg, const struct ipcfs_info *info), void *arg)
{
	struct lister lister = { each, arg };

	return ipcfs_shm_dir_list(space, list_file, &lister);
}

static int set_size(int fd, uint64_t size)
{
	int error;

	if (size > INT64_MAX)
		return -EFBIG;
	do {
		error = ftruncate(fd, (off_t)size) ? -errno : 0;
	} while (error == -EINTR);
	return error;
}

struct new_file {
	const struct ipcfs_space *space;
	const struct ipcfs_spec *spec;
	struct statx st; /* what was made; the ids are numbers of the caller's user namespace */
};

/* With the caller's identity: it gets its name when it is all that was asked for. */
static int make_file(void *arg)
{
	struct new_file *file = arg;
	const struct ipcfs_spec *spec = file->spec;
	IPCFS_DESCRIPTOR_AUTO int fd = ipcfs_shm_dir_make(file->space, spec->mode);
	int error = 0;

	if (fd < 0)
		return fd;
	if (spec->given & IPCFS_SPEC_SIZE)
		error = set_size(fd, spec->size);
	if (!error)
		error = ipcfs_shm_dir_look_at(fd, &file->st);
	if (!error)
		error = ipcfs_shm_dir_name(file->space, fd, spec->name);
	return error == -EFBIG ? -ERANGE : error;
}

static int make(const struct ipcfs_space *space, const struct ipcfs_spec *spec,
		const struct ipcfs_caller *caller, struct ipcfs_info *info, const char **limit)
{
	struct new_file file = { .space = space, .spec = spec };
	struct ipcfs_ref made;
	int error;

	*limit = NULL;
	error = check_name(spec->name);
	if (!error)
		error = ipcfs_identity_run(caller, make_file, &file, sizeof(file));
	if (error == -ENOSPC)
		*limit = "nr_inodes of /dev/shm";
	if (error)
		return error;
	ipcfs_shm_dir_ref(spec->name, &file.st, &made);
	return stat_ref(space, &made, info);
}

static int remove_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      const struct ipcfs_caller *caller)
{
	struct statx st;
	int error = look_at_ref(space, ref, &st);

	return error ? error : ipcfs_posix_file_remove(space->shm, ref->name, caller);
}

/* The file of this ref, as ipcfs_shm_dir_find gives it. -EIDRM: another one has the name. */
static int find_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref, struct statx *st)
{
	int fd = ipcfs_shm_dir_find(space, ref->name, st);

	if (fd < 0 || ipcfs_shm_dir_same(ref, st))
		return fd;
	ipcfs_descriptor_close(&fd);
	return -EIDRM;
}

static int change(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		  const struct ipcfs_change *wanted, const struct ipcfs_caller *caller)
{
	struct statx st;
	IPCFS_DESCRIPTOR_AUTO int fd = find_ref(space, ref, &st);

	if (fd < 0)
		return fd == -EIDRM ? -ENOENT : fd;
	return ipcfs_posix_file_change(fd, st.stx_mode, wanted, caller);
}

static int acl(const struct ipcfs_space *space, const struct ipcfs_ref *ref, struct ipcfs_acl *out)
{
	struct statx st;
	IPCFS_DESCRIPTOR_AUTO int fd = find_ref(space, ref, &st);

	if (fd < 0)
		return fd == -EIDRM ? -ENOENT : fd;
	return ipcfs_posix_file_acl(fd, out);
}

static int set_acl(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		   const struct ipcfs_acl *wanted, const struct ipcfs_caller *caller)
{
	struct statx st;
	IPCFS_DESCRIPTOR_AUTO int fd = find_ref(space, ref, &st);

	if (fd < 0)
		return fd == -EIDRM ? -ENOENT : fd;
	return ipcfs_posix_file_set_acl(fd, wanted, caller);
}

static int status(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		  struct ipcfs_text *out)
{
	size_t start = out->size;
	struct statx st;
	int error = look_at_ref(space, ref, &st);

	if (!error)
		error = ipcfs_text_pair(out, "class", "posix/shm");
	if (!error)
		error = ipcfs_text_pair(out, "name", ref->name);
	if (!error)
		error = ipcfs_text_printf(out,
					  "inode=%llu\n"
					  "uid=%u\n"
					  "gid=%u\n"
					  "mode=0%03o\n"
					  "size=%llu\n"
					  "allocated=%llu\n"
					  "access_time=%lld\n"
					  "modify_time=%lld\n"
					  "change_time=%lld\n"
					  "stale=unknown\n",
					  (unsigned long long)st.stx_ino, st.stx_uid, st.stx_gid,
					  st.stx_mode & 0777U, (unsigned long long)st.stx_size,
					  (unsigned long long)st.stx_blocks * 512,
					  (long long)st.stx_atime.tv_sec,
					  (long long)st.stx_mtime.tv_sec,
					  (long long)st.stx_ctime.tv_sec);
	if (error)
		ipcfs_text_cut(out, start);
	return error;
}

static int open_segment(const struct ipcfs_space *space, const struct ipcfs_ref *ref, bool write,
			int *handle)
{
	struct statx st;
	IPCFS_DESCRIPTOR_AUTO int path = find_ref(space, ref, &st);
	int fd;

	if (path < 0)
		return path;
	fd = ipcfs_posix_file_reopen(path, write ? O_RDWR : O_RDONLY);
	if (fd < 0)
		return fd;
	*handle = fd;
	return 0;
}

static void close_segment(int handle)
{
	ipcfs_descriptor_close(&handle);
}

static int look(int handle, struct ipcfs_info *info)
{
	struct statx st;
	int error = ipcfs_shm_dir_look_at(handle, &st);

	if (!error)
		fill_look(&st, info);
	return error;
}

static ssize_t read_bytes(int handle, void *bytes, size_t size, off_t offset)
{
	ssize_t got;

	do {
		got = pread(handle, bytes, size, offset);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static ssize_t write_bytes(int handle, const void *bytes, size_t size, off_t offset)
{
	ssize_t done;

	do {
		done = pwrite(handle, bytes, size, offset);
	} while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : done;
}

static int backing(int handle)
{
	return handle;
}

static const struct ipcfs_segment_ops segment = {
	.resizable = true,
	.open = open_segment,
	.close = close_segment,
	.look = look,
	.read = read_bytes,
	.write = write_bytes,
	.resize = set_size,
	.backing = backing,
};

const struct ipcfs_backend ipcfs_posix_shm = {
	.family = "posix",
	.class_name = "shm",
	.rule = IPCFS_RULE_FILE,
	.spec_keys = IPCFS_SPEC_MODE | IPCFS_SPEC_SIZE,
	.change_fields = IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID | IPCFS_CHANGE_GID,
	.by_id = false,
	.in_shm = true,
	.check_name = check_name,
	.find = find,
	.glance = stat_ref,
	.stat = stat_ref,
	.list = list,
	.make = make,
	.remove = remove_ref,
	.change = change,
	.acl = acl,
	.acl_of = ipcfs_posix_file_acl,
	.set_acl = set_acl,
	.status = status,
	.watch = NULL,
	.segment = &segment,
};
