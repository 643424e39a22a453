/* SPDX-License-Identifier: MIT */
/*
 * The memory of System V segments. While a segment is attached, its file can be opened by its
 * addresses in the daemon (/proc/self/map_files). So it is attached for a moment only, and then
 * read and written as a file, which never raises SIGBUS. Where the kernel does not allow this (no
 * CAP_CHECKPOINT_RESTORE), or the file cannot be written (huge pages), the segment stays attached,
 * and its memory is copied by process_vm_readv(2) and process_vm_writev(2), which fail where an
 * access would raise SIGBUS.
 *
 * A handle is an index of the table of open segments.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "backends/contract/descriptor.h"
#include "backends/sysv/sysv_shm.h"

struct memory {
	int id;
	uint32_t key;
	size_t size;
	int fd;	    /* the segment's file; -1: none */
	void *base; /* where the segment is attached; NULL: it is not */
	bool used;
};

/* The open segments. Guarded by the lock. */
static struct {
	pthread_mutex_t lock;
	struct memory *entries; /* owned */
	size_t count;
} table = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int table_add(const struct memory *memory)
{
	size_t free_entry = 0;
	int handle = -ENOMEM;

	pthread_mutex_lock(&table.lock);
	while (free_entry < table.count && table.entries[free_entry].used)
		free_entry++;
	if (free_entry == table.count && table.count < INT_MAX / 2) {
		size_t count = 2 * table.count + 8;
		struct memory *entries = reallocarray(table.entries, count, sizeof(*entries));

		if (entries) {
			for (size_t i = table.count; i < count; i++)
				entries[i].used = false;
			table.entries = entries;
			table.count = count;
		}
	}
	if (free_entry < table.count) {
		table.entries[free_entry] = *memory;
		table.entries[free_entry].used = true;
		handle = (int)free_entry;
	}
	pthread_mutex_unlock(&table.lock);
	return handle;
}

static struct memory table_get(int handle)
{
	struct memory memory;

	pthread_mutex_lock(&table.lock);
	memory = table.entries[handle];
	pthread_mutex_unlock(&table.lock);
	return memory;
}

/* Removes an entry from the table, and returns it. With the last one, frees the table. */
static struct memory table_take(int handle)
{
	struct memory memory;
	bool last = true;

	pthread_mutex_lock(&table.lock);
	memory = table.entries[handle];
	table.entries[handle].used = false;
	for (size_t i = 0; i < table.count && last; i++)
		last = !table.entries[i].used;
	if (last) {
		free(table.entries);
		table.entries = NULL;
		table.count = 0;
	}
	pthread_mutex_unlock(&table.lock);
	return memory;
}

/*
 * Opens the file of an attached segment. -1: the kernel does not allow it, or it cannot be read and
 * written.
 */
static int open_file(const void *base, size_t size, bool write)
{
	char path[sizeof("/proc/self/map_files/-") + 4 * sizeof(uintptr_t)];
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)base;
	struct statfs fs;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/map_files/%jx-%jx", (uintmax_t)start,
		       (uintmax_t)(start + ((size + page - 1) & ~(page - 1))));
	fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (fd >= 0 && (fstatfs(fd, &fs) || fs.f_type != TMPFS_MAGIC))
		ipcfs_descriptor_close(&fd);
	return fd;
}

static int attach(const struct ipcfs_ref *ref, bool write, struct memory *memory)
{
	struct shmid_ds ds;
	int error = ipcfs_sysv_open(&ipcfs_sysv_shm_calls, ref, &memory->id);

	if (!error)
		error = ipcfs_sysv_shm_stat_id(memory->id, &ds);
	if (error)
		return error;
	memory->base = shmat(memory->id, NULL, write ? 0 : SHM_RDONLY);
	if (memory->base == (void *)-1) {
		error = -errno;
		return error == -EINVAL ? -EIDRM : error;
	}
	/* A child process would keep the segment attached. Fails for some huge pages. */
	(void)madvise(memory->base, ds.shm_segsz, MADV_DONTFORK);
	memory->key = ref->key;
	memory->size = ds.shm_segsz;
	return 0;
}

static void release_memory(struct memory *memory)
{
	ipcfs_descriptor_close(&memory->fd);
	if (memory->base)
		(void)shmdt(memory->base); /* cannot fail: it is attached */
}

static int open_segment(const struct ipcfs_space *space, const struct ipcfs_ref *ref, bool write,
			int *handle)
{
	struct memory memory = { .fd = -1 };
	int error = attach(ref, write, &memory);
	int entry;

	(void)space;
	if (error)
		return error;
	memory.fd = open_file(memory.base, memory.size, write);
	if (memory.fd >= 0) {
		(void)shmdt(memory.base); /* cannot fail: it is attached */
		memory.base = NULL;
	}
	entry = table_add(&memory);
	if (entry < 0) {
		release_memory(&memory);
		return entry;
	}
	*handle = entry;
	return 0;
}

int ipcfs_sysv_shm_hold(const struct ipcfs_ref *ref)
{
	struct memory memory;
	int fd;

	if (attach(ref, false, &memory))
		return -1;
	fd = open_file(memory.base, memory.size, false);
	(void)shmdt(memory.base); /* cannot fail: it is attached */
	return fd;
}

static void close_segment(int handle)
{
	struct memory memory = table_take(handle);

	release_memory(&memory);
}

static int fstat_segment(int handle, struct ipcfs_info *info)
{
	struct memory memory = table_get(handle);
	struct shmid_ds ds;
	int error = ipcfs_sysv_shm_stat_id(memory.id, &ds);
	uint32_t key;

	if (error)
		return error;
	/* the kernel sets the key of a segment to 0 when it is removed while it is attached */
	key = (uint32_t)ds.shm_perm.__key;
	if (key != memory.key && !(ds.shm_perm.mode & SHM_DEST && !key))
		return -EIDRM;
	ipcfs_sysv_shm_fill(&ds, info);
	return 0;
}

/* Returns how many of the `size` bytes from `offset` are in the segment. */
static size_t clamp_size(const struct memory *memory, size_t size, off_t offset)
{
	uint64_t start = (uint64_t)offset;

	if (start >= memory->size)
		return 0;
	return size < memory->size - start ? size : memory->size - start;
}

static ssize_t copy_attached(const struct memory *memory, void *bytes, size_t size, off_t offset,
			     bool write)
{
	struct iovec ours = { bytes, size };
	struct iovec theirs = { (char *)memory->base + offset, size };
	ssize_t done;

	do {
		done = write ? process_vm_writev(getpid(), &ours, 1, &theirs, 1, 0)
			     : process_vm_readv(getpid(), &ours, 1, &theirs, 1, 0);
	} while (done < 0 && errno == EINTR);
	if (done < 0)
		return errno == ENOMEM ? -ENOMEM : -EIO;
	return done;
}

static ssize_t read_bytes(int handle, void *bytes, size_t size, off_t offset)
{
	struct memory memory = table_get(handle);

	size = clamp_size(&memory, size, offset);
	if (!size)
		return 0;
	if (memory.base)
		return copy_attached(&memory, bytes, size, offset, false);
	return ipcfs_descriptor_read_at(memory.fd, bytes, size, offset);
}

static ssize_t write_bytes(int handle, const void *bytes, size_t size, off_t offset)
{
	struct memory memory = table_get(handle);
	size_t fits = clamp_size(&memory, size, offset);

	if (!fits)
		return size ? -ENOSPC : 0;
	if (memory.base)
		return copy_attached(&memory, (void *)(uintptr_t)bytes, fits, offset, true);
	return ipcfs_descriptor_write_at(memory.fd, bytes, fits, offset);
}

/* Finds the growth of an attached segment, by the pages of the range that are in memory. */
static int growth_attached(const struct memory *memory, off_t offset, size_t size,
			   struct ipcfs_growth *growth)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), start = (size_t)offset / page * page;
	size_t pages = ((size_t)offset + size - start + page - 1) / page;
	unsigned char *resident = calloc(pages + 1, 1); /* of 0 bytes it could be NULL */
	int error = 0;

	if (!resident)
		return -ENOMEM;
	*growth = (struct ipcfs_growth){ .most = pages * page };
	if (pages && mincore((char *)memory->base + start, pages * page, resident))
		error = -errno;
	for (size_t i = 0; !error && i < pages; i++)
		growth->now += resident[i] & 1 ? page : 0;
	growth->most -= growth->now;
	growth->unwritten = growth->most;
	free(resident);
	return error;
}

static int growth(int handle, off_t offset, uint64_t size, struct ipcfs_growth *growth)
{
	struct memory memory = table_get(handle);
	size_t fits = clamp_size(&memory, size, offset);

	if (memory.base)
		return growth_attached(&memory, fits ? offset : 0, fits, growth);
	return ipcfs_descriptor_growth(memory.fd, fits ? offset : 0, fits, growth);
}

static int resize(int handle, uint64_t size)
{
	return table_get(handle).size == size ? 0 : -EPERM;
}

static int backing(int handle)
{
	int fd = table_get(handle).fd;

	return fd < 0 ? -EOPNOTSUPP : fd;
}

const struct ipcfs_segment_ops ipcfs_sysv_shm_segment = {
	.resizable = false,
	.open = open_segment,
	.close = close_segment,
	.fstat = fstat_segment,
	.read = read_bytes,
	.write = write_bytes,
	.growth = growth,
	.resize = resize,
	.backing = backing,
	.memory = ipcfs_sysv_shm_memory_all,
};
