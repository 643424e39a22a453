/* SPDX-License-Identifier: MIT */
/* The part of a class of segments: memory. contract.h says what holds for all its functions. */
#ifndef IPCFS_SEGMENT_OPS_H
#define IPCFS_SEGMENT_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "backends/contract/object_info.h"
#include "backends/contract/space.h"
#include "backends/contract/text.h"

/* Bytes of a segment as memory, which only system calls may touch: it can be taken away. */
struct ipcfs_mapped {
	const void *bytes;
	size_t size;
	unsigned which; /* for unmap */
};

/* How much memory a request can add to a segment. */
struct ipcfs_growth {
	uint64_t
		most; /* bytes that it can add at most, if the segment's pages have the usual size */
	uint64_t now; /* bytes that there are: the difference of two calls is what was added */
	uint64_t unwritten; /* bytes of the range: what was added beyond them is somebody else's */
};

/*
 * Shared memory. A handle comes from open and stays valid until close, also after the segment was
 * removed. Sizes and offsets are in bytes; offsets are not negative.
 */
struct ipcfs_segment_ops {
	bool resizable;

	/*
	 * Opens the segment for reading, or with `write` for both.
	 * -ENOENT: the segment was removed.
	 * -EIDRM: another segment has the name now.
	 * -EACCES: the daemon may not open it.
	 * -ENOMEM.
	 */
	int (*open)(const struct ipcfs_space *space, const struct ipcfs_ref *ref, bool write,
		    int *handle);
	void (*close)(int handle);

	/*
	 * Sets perm, size, allocated and the times of *info, and leaves the other fields alone.
	 * -EIDRM: the segment was removed (System V). A POSIX object lives while it is open.
	 */
	int (*fstat)(int handle, struct ipcfs_info *info);

	/*
	 * Reads, and returns the bytes read; 0 at the end. Never raises SIGBUS.
	 * -EIO: the memory is not there.
	 */
	ssize_t (*read)(int handle, void *bytes, size_t size, off_t offset);

	/*
	 * Maps up to `size` bytes, fewer at the end, for a reader that needs no copy of them; unmap
	 * after that. False, also at the end: call read. NULL: the class has no such call.
	 */
	bool (*map)(int handle, size_t size, off_t offset, struct ipcfs_mapped *mapped);
	void (*unmap)(const struct ipcfs_mapped *mapped);

	/*
	 * Writes, and returns the bytes written: fewer than `size` at the end of a segment that is
	 * not resizable. Never raises SIGBUS.
	 * -ENOSPC: at the end of a segment that is not resizable; or there is no memory left.
	 * -EFBIG: the segment would become too large.
	 * -EIO: the memory is not there.
	 */
	ssize_t (*write)(int handle, const void *bytes, size_t size, off_t offset);

	/*
	 * Tells of the memory of a range that is about to be written or reserved, or was.
	 * Errors of statx(2) and mincore(2).
	 */
	int (*growth)(int handle, off_t offset, uint64_t size, struct ipcfs_growth *growth);

	/*
	 * Sets the size. New bytes are 0.
	 * -EFBIG: the size is too large.
	 * -EPERM: the segment is not resizable, and has another size.
	 * -ERESTART: it takes long (long_work.h).
	 */
	int (*resize)(int handle, uint64_t size);

	/*
	 * Reserves or frees memory as fallocate(2) does, with the same flags, from the beginning of
	 * the range, and for a few ms. Returns how many bytes of the range it has done; call it
	 * again for the others. The size changes with the last ones. NULL: the class has no such
	 * call.
	 * -EOPNOTSUPP: the file system does not know the flags.
	 * -ENOSPC: there is no memory left. Nothing has changed where that can be seen beforehand.
	 * -EFBIG: the segment would become too large.
	 * -ERESTART: it takes long (long_work.h).
	 */
	off_t (*allocate)(int handle, int flags, off_t offset, off_t size);

	/*
	 * Returns a descriptor of a file that is the memory itself, which the kernel can read,
	 * write and map for FUSE passthrough. It belongs to the handle.
	 * -EOPNOTSUPP: there is no such file.
	 */
	int (*backing)(int handle);

	/*
	 * Sets *bytes to the memory that all segments of this thread's IPC namespace take now.
	 * Takes time for each of them, 0.1 us. NULL: info.allocated says it of each segment.
	 * Errors of shmctl(2).
	 */
	int (*memory)(uint64_t *bytes);
};

#endif
