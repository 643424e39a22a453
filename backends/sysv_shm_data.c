/* SPDX-License-Identifier: MIT */
/*
 * The memory of System V segments. Its file can be opened while the segment is attached, by its place
 * in our own address space: then it is attached for that moment only, and read and written as a file, which
 * can't fault. Where the kernel doesn't let us (no CAP_CHECKPOINT_RESTORE) or the file can't be written (huge
 * pages), it stays attached, and is copied by a call that fails where we would be killed.
 *
 * A handle is a place in a table of ours: what is open, by which kernel object.
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

#include "descriptor.h"
#include "sysv_shm.h"

struct memory {
	int id;
	uint32_t key;
	size_t size;
	int fd;	    /* the segment's file, or -1: */
	void *base; /* it is attached here */
	bool used;
};

/* Guarded by the lock; all that is kept of segments between two calls. */
static struct {
	pthread_mutex_t lock;
	struct memory *places; /* owned */
	size_t count;
} table = { .lock = PTHREAD_MUTEX_INITIALIZER };

static int table_add(const struct memory *memory)
{
	size_t free_place = 0;
	int handle = -ENOMEM;

	pthread_mutex_lock(&table.lock);
	while (free_place < table.count && table.places[free_place].used)
		free_place++;
	if (free_place == table.count && table.count < INT_MAX / 2) {
		size_t count = 2 * table.count + 8;
		struct memory *places = reallocarray(table.places, count, sizeof(*places));

		if (places) {
			for (size_t i = table.count; i < count; i++)
				places[i].used = false;
			table.places = places;
			table.count = count;
		}
	}
	if (free_place < table.count) {
		table.places[free_place] = *memory;
		table.places[free_place].used = true;
		handle = (int)free_place;
	}
	pthread_mutex_unlock(&table.lock);
	return handle;
}

static struct memory table_get(int handle)
{
	struct memory memory;

	pthread_mutex_lock(&table.lock);
	memory = table.places[handle];
	pthread_mutex_unlock(&table.lock);
	return memory;
}

/* The last one takes the table with it. */
static struct memory table_take(int handle)
{
	struct memory memory;
	bool last = true;

	pthread_mutex_lock(&table.lock);
	memory = table.places[handle];
	table.places[handle].used = false;
	for (size_t i = 0; i < table.count && last; i++)
		last = !table.places[i].used;
	if (last) {
		free(table.places);
		table.places = NULL;
		table.count = 0;
	}
	pthread_mutex_unlock(&table.lock);
	return memory;
}

/* The file behind an attached segment, or -1 where we get none that reads and writes. */
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
	int error = ipcfs_sysv_shm_verify(ref);
	struct shmid_ds ds;

	if (!error)
		error = ipcfs_sysv_shm_look((int)ref->serial, &ds);
	if (error)
		return error;
	memory->base = shmat((int)ref->serial, NULL, write ? 0 : SHM_RDONLY);
	if (memory->base == (void *)-1) {
		error = -errno;
		return error == -EINVAL ? -EIDRM : error;
	}
	/* A process that we start would keep it attached. Huge pages may not allow it. */
	(void)madvise(memory->base, ds.shm_segsz, MADV_DONTFORK);
	memory->id = (int)ref->serial;
	memory->key = ref->key;
	memory->size = ds.shm_segsz;
	return 0;
}

static void release(struct memory *memory)
{
	ipcfs_descriptor_close(&memory->fd);
	if (memory->base)
		(void)shmdt(memory->base); /* it is attached */
}

static int open_segment(const struct ipcfs_space *space, const struct ipcfs_ref *ref, bool write,
			int *handle)
{
	struct memory memory = { .fd = -1 };
	int error = attach(ref, write, &memory);
	int place;

	(void)space;
	if (error)
		return error;
	memory.fd = open_file(memory.base, memory.size, write);
	if (memory.fd >= 0) {
		(void)shmdt(memory.base); /* it is attached */
		memory.base = NULL;
	}
	place = table_add(&memory);
	if (place < 0) {
		release(&memory);
		return place;
	}
	*handle = place;
	return 0;
}

static void close_segment(int handle)
{
	struct memory memory = table_take(handle);

	release(&memory);
}

static int look(int handle, struct ipcfs_info *info)
{
	struct memory memory = table_get(handle);
	struct shmid_ds ds;
	int error = ipcfs_sysv_shm_look(memory.id, &ds);
	uint32_t key;

	if (error)
		return error;
	/* One that is removed while it is attached loses its key. */
	key = (uint32_t)ds.shm_perm.__key;
	if (key != memory.key && !(ds.shm_perm.mode & SHM_DEST && !key))
		return -EIDRM;
	ipcfs_sysv_shm_fill(&ds, info);
	return 0;
}

/* How much of `size` bytes from `offset` on the segment has. */
static size_t within(const struct memory *memory, size_t size, off_t offset)
{
	uint64_t start = (uint64_t)offset;

	if (start >= memory->size)
		return 0;
	return size < memory->size - start ? size : memory->size - start;
}

static ssize_t copy(const struct memory *memory, void *bytes, size_t size, off_t offset, bool write)
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
	ssize_t got;

	size = within(&memory, size, offset);
	if (!size)
		return 0;
	if (memory.base)
		return copy(&memory, bytes, size, offset, false);
	do {
		got = pread(memory.fd, bytes, size, offset);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

static ssize_t write_bytes(int handle, const void *bytes, size_t size, off_t offset)
{
	struct memory memory = table_get(handle);
	size_t fits = within(&memory, size, offset);
	ssize_t done;

	if (!fits)
		return size ? -ENOSPC : 0;
	if (memory.base)
		return copy(&memory, (void *)(uintptr_t)bytes, fits, offset, true);
	do {
		done = pwrite(memory.fd, bytes, fits, offset);
	} while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : done;
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
	.look = look,
	.read = read_bytes,
	.write = write_bytes,
	.resize = resize,
	.backing = backing,
};
