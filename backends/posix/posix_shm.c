/* SPDX-License-Identifier: MIT */
/*
 * POSIX shared memory objects (shm_overview(7)): the files of /dev/shm that are not semaphores. A
 * handle is a descriptor of the file, which stays valid after shm_unlink(3).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "backends/base/mapping.h"
#include "backends/caller/act_as.h"
#include "backends/contract/classes.h"
#include "backends/contract/descriptor.h"
#include "backends/contract/long_work.h"
#include "backends/posix/posix_file.h"
#include "backends/posix/shm_dir.h"
#include "backends/space/reference.h"

#define MAP_MIN 32768 /* bytes; fewer are read faster than mapped */

/* Bytes that one call of fallocate(2) reserves, or frees: a few ms. */
#define ALLOCATE_SLICE (INT64_C(8) << 20)
#define PUNCH_SLICE (INT64_C(64) << 20)

static bool is_semaphore(const char *name)
{
	return !strncmp(name, IPCFS_SHM_SEMAPHORE, strlen(IPCFS_SHM_SEMAPHORE));
}

static int check_name(const char *name)
{
	int error = ipcfs_posix_name_check(name);

	return !error && is_semaphore(name) ? -EINVAL : error;
}

static void fill_stat(const struct statx *st, struct ipcfs_info *info)
{
	ipcfs_shm_dir_fill(st, info);
	info->size = st->stx_size;
	info->allocated = st->stx_blocks * 512;
}

static void fill_info(const char *name, const struct statx *st, struct ipcfs_info *info)
{
	memset(info, 0, sizeof(*info));
	ipcfs_shm_dir_ref(name, st, &info->ref);
	fill_stat(st, info);
}

static int find(const struct ipcfs_space *space, const char *name, struct ipcfs_info *info)
{
	struct statx st;
	int error = is_semaphore(name) ? -ENOENT : ipcfs_shm_dir_stat(space, name, &st);

	if (!error)
		fill_info(name, &st, info);
	return error;
}

static int stat_file(const struct ipcfs_space *space, const struct ipcfs_ref *ref, struct statx *st)
{
	int error = ipcfs_shm_dir_stat(space, ref->name, st);

	return !error && !ipcfs_shm_dir_same(ref, st) ? -ENOENT : error;
}

static int stat_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		    struct ipcfs_info *info)
{
	struct statx st;
	int error = stat_file(space, ref, &st);

	if (!error)
		fill_info(ref->name, &st, info);
	return error;
}

struct walker {
	int (*each)(void *arg, const struct ipcfs_info *info);
	void *arg;
};

/* Passes on what is no semaphore. For ipcfs_posix_file_walk. */
static int walk_file(void *arg, const struct ipcfs_info *info)
{
	const struct walker *walker = arg;

	return is_semaphore(info->ref.name) ? 0 : walker->each(walker->arg, info);
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

/* As set_size. Frees the memory beyond the size. */
static int resize(int handle, uint64_t size)
{
	struct statx st;
	int error = ipcfs_shm_dir_fstat(handle, &st);

	if (!error && size < st.stx_size && st.stx_blocks * 512 > IPCFS_LONG_FREE)
		error = ipcfs_long_work();
	return error ? error : set_size(handle, size);
}

struct new_file {
	const struct ipcfs_space *space;
	const struct ipcfs_spec *spec;
	struct statx st; /* of the new file; its ids are numbers of the caller's user namespace */
};

/* Makes the file as the caller. It gets its name when it is complete. */
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
		error = ipcfs_shm_dir_fstat(fd, &file->st);
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
		error = ipcfs_act_as(caller, make_file, &file, sizeof(file));
	if (error == -ENOSPC)
		*limit = "nr_inodes of /dev/shm";
	if (error)
		return error;
	ipcfs_shm_dir_ref(spec->name, &file.st, &made);
	return stat_ref(space, &made, info);
}

/*
 * Opens the ref's file with O_PATH. Returns the descriptor, to be closed.
 * -ENOENT: there is no file of this name.
 * -EIDRM: another file has the name.
 */
static int open_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref, struct statx *st)
{
	int fd = ipcfs_shm_dir_find(space, ref->name, st);

	if (fd < 0 || ipcfs_shm_dir_same(ref, st))
		return fd;
	ipcfs_descriptor_close(&fd);
	return -EIDRM;
}

/* Closes a descriptor of a segment, which may be the last one of a removed segment. */
static void close_file(int fd)
{
	struct statx st;

	if (!ipcfs_shm_dir_fstat(fd, &st) && !st.stx_nlink && st.stx_blocks * 512 > IPCFS_LONG_FREE)
		ipcfs_descriptor_close_apart(&fd);
	else
		ipcfs_descriptor_close(&fd);
}

/* Keeps the file open until its name is gone: the caller does not wait for its memory. */
static int remove_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      const struct ipcfs_caller *caller)
{
	struct statx st;
	int path = open_ref(space, ref, &st), error;

	if (path < 0)
		return path == -EIDRM ? -ENOENT : path;
	error = ipcfs_posix_file_remove(space->shm, ref->name, caller);
	close_file(path);
	return error;
}

IPCFS_SHM_DIR_FUNCTIONS(open_ref)

static int status(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		  struct ipcfs_text *out)
{
	size_t start = out->size;
	struct ipcfs_info info;
	int error = stat_ref(space, ref, &info);

	if (!error)
		error = ipcfs_posix_file_status("posix/shm", &info, out);
	if (!error)
		error = ipcfs_text_printf(out, "size=%llu\nallocated=%llu\n",
					  (unsigned long long)info.size,
					  (unsigned long long)info.allocated);
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
	int error = stat_file(space, ref, &st);

	if (!error)
		ipcfs_shm_dir_trace(&st, trace);
	return error;
}

static int open_segment(const struct ipcfs_space *space, const struct ipcfs_ref *ref, bool write,
			int *handle)
{
	struct statx st;
	IPCFS_DESCRIPTOR_AUTO int path = open_ref(space, ref, &st);
	int fd;

	if (path < 0)
		return path;
	fd = ipcfs_posix_file_reopen(path, write ? O_RDWR : O_RDONLY);
	if (fd < 0)
		return fd;
	*handle = fd;
	return 0;
}

static int fstat_segment(int handle, struct ipcfs_info *info)
{
	struct statx st;
	int error = ipcfs_shm_dir_fstat(handle, &st);

	if (!error)
		fill_stat(&st, info);
	return error;
}

static void close_segment(int handle)
{
	ipcfs_mapping_drop(handle);
	close_file(handle);
}

static bool map(int handle, size_t size, off_t offset, struct ipcfs_mapped *mapped)
{
	struct statx st;

	if (size < MAP_MIN || ipcfs_shm_dir_fstat(handle, &st) || (uint64_t)offset >= st.stx_size)
		return false;
	mapped->size = size < st.stx_size - (uint64_t)offset ? size
							     : st.stx_size - (uint64_t)offset;
	mapped->bytes = ipcfs_mapping_get(handle, offset, mapped->size, &mapped->which);
	return mapped->bytes;
}

static void unmap(const struct ipcfs_mapped *mapped)
{
	ipcfs_mapping_put(mapped->which);
}

static int call_fallocate(int fd, int flags, off_t offset, off_t size)
{
	int error;

	do {
		error = fallocate(fd, flags, offset, size) ? -errno : 0;
	} while (error == -EINTR);
	return error;
}

/*
 * Checks that the file system may have room for the range, part of which may be reserved already.
 * -ENOSPC: it has not.
 */
static int check_room(int fd, off_t size)
{
	struct statfs fs;
	struct statx st;
	uint64_t room;
	int error = ipcfs_shm_dir_fstat(fd, &st);

	if (error)
		return error;
	if (fstatfs(fd, &fs))
		return -errno;
	if (!fs.f_blocks) /* no limit */
		return 0;
	room = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize + st.stx_blocks * 512;
	return (uint64_t)size > room ? -ENOSPC : 0;
}

/* Frees memory. Holes cost nothing, so that a range of any size takes some thousands of slices. */
static off_t punch(int fd, int flags, off_t offset, off_t size)
{
	off_t slice = size >> 10 > PUNCH_SLICE ? size >> 10 : PUNCH_SLICE;
	off_t part = slice < size ? slice : size;
	int error = part < size ? ipcfs_long_work() : 0;

	if (!error)
		error = call_fallocate(fd, flags, offset, part);
	return error ? error : part;
}

static off_t allocate(int handle, int flags, off_t offset, off_t size)
{
	off_t part = size < ALLOCATE_SLICE ? size : ALLOCATE_SLICE;
	int error;

	if (flags & FALLOC_FL_PUNCH_HOLE)
		return punch(handle, flags, offset, size);
	if (offset > INT64_MAX - size)
		return -EFBIG;
	error = check_room(handle, size);
	if (!error && part < size)
		error = ipcfs_long_work();
	if (!error)
		error = call_fallocate(handle, part < size ? flags | FALLOC_FL_KEEP_SIZE : flags,
				       offset, part);
	return error ? error : part;
}

static int backing(int handle)
{
	return handle;
}

static const struct ipcfs_segment_ops segment = {
	.resizable = true,
	.open = open_segment,
	.close = close_segment,
	.fstat = fstat_segment,
	.read = ipcfs_descriptor_read_at,
	.map = map,
	.unmap = unmap,
	.write = ipcfs_descriptor_write_at,
	.growth = ipcfs_descriptor_growth,
	.resize = resize,
	.allocate = allocate,
	.backing = backing,
};

const struct ipcfs_class ipcfs_posix_shm = {
	.family = "posix",
	.name = "shm",
	.rule = IPCFS_RULE_FILE,
	.spec_keys = IPCFS_SPEC_MODE | IPCFS_SPEC_SIZE,
	.change_fields = IPCFS_POSIX_CHANGE_FIELDS,
	.by_id = false,
	.in_shm = true,
	.trail = true,
	.check_name = check_name,
	.find = find,
	.stat_brief = stat_ref,
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
	.watch = NULL,
	.segment = &segment,
};
