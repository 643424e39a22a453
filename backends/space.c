/* SPDX-License-Identifier: MIT */
/*
 * The POSIX queues of an IPC namespace are a file system. A mount of our own, attached nowhere,
 * reaches those of our namespace whatever is or is not mounted on /dev/mqueue.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "descriptor.h"
#include "shm_dir.h"
#include "space.h"
#include "target.h"

#define MQUEUE_FS_MAGIC 0x19800202
#define INITIAL_INODE 0xefffffff /* fixed by the kernel, and such a namespace lives for ever */
#define GET_ID _IOR(0xb7, 13, uint64_t) /* NS_GET_ID, which older headers lack */

static int mount_mqueue(void)
{
	IPCFS_DESCRIPTOR_AUTO int context = -1;
	IPCFS_DESCRIPTOR_AUTO int mount = -1;
	int root;

	context = (int)syscall(SYS_fsopen, "mqueue", FSOPEN_CLOEXEC);
	if (context < 0)
		return -errno;
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -errno;
	mount = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
			     MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (mount < 0)
		return -errno;
	/* What fsmount gives is for paths only; listing needs a descriptor that can be read. */
	root = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root < 0 ? -errno : root;
}

static int open_dev_mqueue(void)
{
	struct statfs fs;
	int root = open("/dev/mqueue", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (root < 0)
		return -ENOENT;
	/* An empty directory where the mount is missing must not pass for a system without queues. */
	if (fstatfs(root, &fs) || fs.f_type != MQUEUE_FS_MAGIC) {
		ipcfs_descriptor_close(&root);
		return -ENOENT;
	}
	return root;
}

/* Leaves it empty where /proc does not tell. */
static void identify(struct ipcfs_space_identity *identity)
{
	IPCFS_DESCRIPTOR_AUTO int fd = open("/proc/thread-self/ns/ipc", O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t size;

	memset(identity, 0, sizeof(*identity));
	if (fd < 0 || fstat(fd, &st))
		return;
	size = ipcfs_descriptor_read_path("/proc/sys/kernel/random/boot_id", identity->boot,
					  sizeof(identity->boot));
	if (size <= 0) {
		identity->boot[0] = '\0';
		return;
	}
	identity->boot[strcspn(identity->boot, "\n")] = '\0';
	identity->inode = st.st_ino;
	if (identity->inode == INITIAL_INODE)
		identity->id = INITIAL_INODE;
	else if (ioctl(fd, GET_ID, &identity->id))
		identity->id = 0;
}

static int open_own(struct ipcfs_space *space)
{
	space->mq = mount_mqueue();
	if (space->mq < 0 && space->mq != -ENOMEM)
		space->mq = open_dev_mqueue();
	if (space->mq < 0)
		return space->mq;
	space->shm = ipcfs_shm_dir_open(&space->shm_device);
	return 0;
}

/* /dev/mqueue and /dev/shm of our mount namespace are no substitute: they have other objects. */
static int open_joined(struct ipcfs_space *space, pid_t pid)
{
	IPCFS_TARGET_AUTO struct ipcfs_target target = IPCFS_TARGET_NONE;
	int error = ipcfs_target_open(pid, &target);

	if (!error)
		error = ipcfs_target_join(&target);
	if (error)
		return error;
	space->mq = mount_mqueue();
	if (space->mq < 0)
		return space->mq;
	space->shm = ipcfs_target_shm(&target, &space->shm_device);
	space->process = target.pidfd;
	target.pidfd = -1;
	return 0;
}

static int open_space(pid_t pid, struct ipcfs_space **space)
{
	struct ipcfs_space *opened = malloc(sizeof(*opened));
	int error;

	if (!opened)
		return -ENOMEM;
	*opened = (struct ipcfs_space){ .references = 1, .mq = -1, .shm = -1, .process = -1 };
	error = pid ? open_joined(opened, pid) : open_own(opened);
	if (error) {
		ipcfs_space_put(opened);
		return error;
	}
	identify(&opened->identity);
	ipcfs_authority_own(&opened->authority);
	*space = opened;
	return 0;
}

int ipcfs_space_open(struct ipcfs_space **space)
{
	return open_space(0, space);
}

int ipcfs_space_join(pid_t pid, struct ipcfs_space **space)
{
	return pid > 0 ? open_space(pid, space) : -EINVAL;
}

int ipcfs_space_process(const struct ipcfs_space *space)
{
	return space->process;
}

bool ipcfs_space_has_shm(const struct ipcfs_space *space)
{
	return space->shm >= 0;
}

void ipcfs_space_identity(const struct ipcfs_space *space, struct ipcfs_space_identity *identity)
{
	*identity = space->identity;
}

const struct ipcfs_authority *ipcfs_space_authority(const struct ipcfs_space *space)
{
	return &space->authority;
}

void ipcfs_space_hold(struct ipcfs_space *space)
{
	atomic_fetch_add_explicit(&space->references, 1, memory_order_relaxed);
}

void ipcfs_space_put(struct ipcfs_space *space)
{
	if (!space || atomic_fetch_sub_explicit(&space->references, 1, memory_order_acq_rel) > 1)
		return;
	ipcfs_descriptor_close(&space->mq);
	ipcfs_descriptor_close(&space->shm);
	ipcfs_descriptor_close(&space->process);
	free(space);
}
