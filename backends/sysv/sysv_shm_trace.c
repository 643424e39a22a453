/* SPDX-License-Identifier: MIT */
/*
 * By what /proc shows that a process has a System V segment attached. The kernel keeps the memory
 * in a file of its own tmpfs, whose inode number is the segment's id. So segments of two IPC
 * namespaces may look the same.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backends/sysv/sysv_shm.h"

/* Returns the device of the file that is mapped at `address` in this process. 0: unknown. */
static uint64_t device_at(const void *address)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	uint64_t device = 0;
	char line[512];

	if (!maps)
		return 0;
	while (!device && fgets(line, sizeof(line), maps)) {
		unsigned long long start;
		unsigned major, minor;

		if (sscanf(line, "%llx-%*x %*s %*x %x:%x", &start, &major, &minor) == 3 &&
		    start == (uintptr_t)address)
			device = makedev(major, minor);
	}
	(void)fclose(maps); /* no error to report: it was only read */
	return device;
}

/*
 * Returns the device of the kernel's own tmpfs, which has the memory that processes share without a
 * file, too. It never changes. 0: unknown.
 */
static uint64_t memory_device(void)
{
	static _Atomic uint64_t known;
	uint64_t device = atomic_load_explicit(&known, memory_order_relaxed);
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *shared;

	if (device)
		return device;
	shared = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 0;
	device = device_at(shared);
	(void)munmap(shared, size); /* cannot fail: it is mapped */
	atomic_store_explicit(&known, device, memory_order_relaxed);
	return device;
}

int ipcfs_sysv_shm_trace(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
			 struct ipcfs_trace *trace)
{
	struct ipcfs_space_identity identity;
	struct shmid_ds ds;
	int error = ipcfs_sysv_shm_stat_id((int)ref->serial, &ds);

	if (error)
		return error == -EIDRM ? -ENOENT : error;
	ipcfs_space_identity(space, &identity);
	*trace = (struct ipcfs_trace){
		.device = memory_device(),
		.inode = ref->serial,
		.attached = true,
		.space = identity.inode,
	};
	return trace->device ? 0 : -ENOMEM;
}
