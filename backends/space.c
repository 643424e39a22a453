/* SPDX-License-Identifier: MIT */
/*
 * The POSIX queues of an IPC namespace are a file system. A mount of our own, attached nowhere,
 * reaches those of our namespace whatever is or is not mounted on /dev/mqueue.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <utlist.h>

#include "authority.h"
#include "descriptor.h"
#include "identity.h"
#include "namespace.h"
#include "presence.h"
#include "shm_dir.h"
#include "space.h"
#include "stand_in.h"
#include "target.h"

#define MQUEUE_FS_MAGIC 0x19800202
#define INITIAL_INODE 0xefffffff /* fixed by the kernel, and such a namespace lives for ever */
#define GET_ID _IOR(0xb7, 13, uint64_t) /* NS_GET_ID, which older headers lack */

/*
 * The root of a new file system, attached nowhere. *mount is what keeps it so: closing it makes the kernel wait for all
 * that look at mounts, a millisecond perhaps.
 */
static int mount_new(const char *type, unsigned attributes, int *mount)
{
	IPCFS_DESCRIPTOR_AUTO int context = -1;
	int root;

	context = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
	if (context < 0)
		return -errno;
	if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -errno;
	*mount = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
			      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
				      attributes);
	if (*mount < 0)
		return -errno;
	/* What fsmount gives is for paths only; listing needs a descriptor that can be read. */
	root = openat(*mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root < 0 ? -errno : root;
}

static int mount_mqueue(struct ipcfs_space *space)
{
	return mount_new("mqueue", 0, &space->mq_mount);
}

/* In the place of what is let go: a directory that is empty for ever. Set once, before there are threads. */
static int nothing = -1;

static int open_nothing(void)
{
	IPCFS_DESCRIPTOR_AUTO int mount = -1;
	int root = mount_new("tmpfs", MOUNT_ATTR_RDONLY, &mount);

	if (root < 0)
		return root;
	nothing = root;
	return 0;
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

/* Of the namespace behind this descriptor. Leaves it empty where /proc does not tell. */
static void identify(int fd, struct ipcfs_space_identity *identity)
{
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

static void identify_own(struct ipcfs_space *space)
{
	IPCFS_DESCRIPTOR_AUTO int fd = open("/proc/thread-self/ns/ipc", O_RDONLY | O_CLOEXEC);

	identify(fd, &space->identity);
	ipcfs_authority_own(&space->authority);
}

/* Spaces that have a /dev/shm, which keeps the number of its device from being another's. */
static struct {
	pthread_mutex_t lock;
	struct ipcfs_space *spaces; /* until they end, or are closed */
} known = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool is_known(dev_t device)
{
	const struct ipcfs_space *space;

	pthread_mutex_lock(&known.lock);
	DL_FOREACH (known.spaces, space)
		if (space->shm_device == device)
			break;
	pthread_mutex_unlock(&known.lock);
	return space;
}

static void forget_device(struct ipcfs_space *space)
{
	pthread_mutex_lock(&known.lock);
	if (space->known)
		DL_DELETE(known.spaces, space);
	space->known = false;
	pthread_mutex_unlock(&known.lock);
}

static struct ipcfs_space *new_space(void)
{
	struct ipcfs_space *space = malloc(sizeof(*space));

	if (space)
		*space = (struct ipcfs_space){ .references = 1,
					       .mq = -1,
					       .mq_mount = -1,
					       .shm = -1,
					       .process = -1,
					       .ns = -1 };
	return space;
}

static void drop_space(struct ipcfs_space **space)
{
	ipcfs_space_put(*space);
}

/* One that goes with its scope unless it was given away. */
#define SPACE_AUTO __attribute__((cleanup(drop_space))) struct ipcfs_space *

static void give(struct ipcfs_space **from, struct ipcfs_space **to)
{
	*to = *from;
	*from = NULL;
}

static void set_place(struct ipcfs_space *space)
{
	struct statvfs fs;
	struct stat st;

	if (space->shm < 0 || fstat(space->shm, &st) || fstatvfs(space->shm, &fs))
		return;
	space->place = (struct ipcfs_place){
		.device = st.st_dev,
		.inode = st.st_ino,
		.read_only = fs.f_flag & ST_RDONLY,
	};
	pthread_mutex_lock(&known.lock);
	DL_APPEND(known.spaces, space);
	space->known = true;
	pthread_mutex_unlock(&known.lock);
}

static int open_own(struct ipcfs_space *space)
{
	space->mq = mount_mqueue(space);
	if (space->mq < 0 && space->mq != -ENOMEM)
		space->mq = open_dev_mqueue();
	if (space->mq < 0)
		return space->mq;
	space->shm = ipcfs_shm_dir_open(&space->shm_device);
	set_place(space);
	identify_own(space);
	return 0;
}

int ipcfs_space_open(struct ipcfs_space **space)
{
	SPACE_AUTO opened = new_space();
	int error = opened ? open_own(opened) : -ENOMEM;

	if (!error)
		give(&opened, space);
	return error;
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
	space->mq = mount_mqueue(space);
	if (space->mq < 0)
		return space->mq;
	space->shm = ipcfs_target_shm(&target, is_known, &space->shm_device);
	space->process = target.pidfd;
	target.pidfd = -1;
	identify_own(space);
	return 0;
}

int ipcfs_space_join(pid_t pid, struct ipcfs_space **space)
{
	SPACE_AUTO opened = new_space();
	int error = !opened ? -ENOMEM : pid > 0 ? open_joined(opened, pid) : -EINVAL;

	if (!error)
		give(&opened, space);
	return error;
}

/* Takes the descriptor of the namespace. */
static int open_namespace(struct ipcfs_space *space, int ns)
{
	const struct ipcfs_space *before;
	int error;

	space->ns = ns;
	identify(ns, &space->identity);
	error = ipcfs_authority_read(ns, &space->authority);
	if (error)
		return error;
	space->resident = ipcfs_resident_new();
	if (!space->resident)
		return -ENOMEM;
	error = ipcfs_space_enter(space, &before);
	if (error)
		return error;
	space->mq = mount_mqueue(space);
	ipcfs_space_leave(before);
	return space->mq < 0 ? space->mq : 0;
}

/* Without this capability the kernel shows us nothing of callers who have more than we. */
static int check_sight(void)
{
	struct ipcfs_identity own;
	int error = ipcfs_identity_read(&own);

	if (!error && !(own.capabilities.effective >> CAP_SYS_PTRACE & 1))
		error = -EPERM;
	ipcfs_identity_free(&own);
	return error;
}

int ipcfs_space_open_home(struct ipcfs_space **space)
{
	SPACE_AUTO opened = new_space();
	int error = opened ? check_sight() : -ENOMEM;
	int ns;

	if (!error)
		error = ipcfs_presence_start();
	if (!error)
		error = open_nothing();
	if (error)
		return error;
	ns = open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC);
	if (ns < 0)
		return -errno;
	opened->home = true;
	error = open_namespace(opened, ns);
	if (error)
		return error;
	opened->shm = ipcfs_shm_dir_open(&opened->shm_device);
	set_place(opened);
	ipcfs_stand_in_enable();
	give(&opened, space);
	return 0;
}

int ipcfs_space_open_of(pid_t tid, struct ipcfs_space **space)
{
	SPACE_AUTO opened = new_space();
	int ns = ipcfs_namespace_open(tid);
	int error;

	if (ns < 0)
		return ns;
	if (!opened) {
		ipcfs_descriptor_close(&ns);
		return -ENOMEM;
	}
	error = open_namespace(opened, ns);
	if (!error)
		give(&opened, space);
	return error;
}

int ipcfs_space_open_shm(pid_t tid, uint64_t inode, struct ipcfs_space **space)
{
	IPCFS_TARGET_AUTO struct ipcfs_target target = IPCFS_TARGET_NONE;
	SPACE_AUTO opened = new_space();
	int error = opened ? ipcfs_target_find(tid, inode, &target) : -ENOMEM;

	errno = 0;
	if (!error)
		opened->shm = ipcfs_target_shm(&target, is_known, &opened->shm_device);
	else if (error != -ENOENT)
		return error;
	/* an empty directory would say something else */
	if (opened->shm < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
		return -errno;
	set_place(opened);
	give(&opened, space);
	return 0;
}

int ipcfs_space_process(const struct ipcfs_space *space)
{
	return space->process;
}

bool ipcfs_space_has_shm(const struct ipcfs_space *space)
{
	return space->shm >= 0;
}

const struct ipcfs_place *ipcfs_space_place(const struct ipcfs_space *space)
{
	return &space->place;
}

void ipcfs_space_identity(const struct ipcfs_space *space, struct ipcfs_space_identity *identity)
{
	*identity = space->identity;
}

const struct ipcfs_authority *ipcfs_space_authority(const struct ipcfs_space *space)
{
	return &space->authority;
}

void ipcfs_space_own(struct ipcfs_space *space, void *owner, void (*disown)(void *owner))
{
	space->owner = owner;
	space->disown = disown;
}

void *ipcfs_space_owner(const struct ipcfs_space *space)
{
	return space->owner;
}

static void replace(int fd)
{
	if (fd >= 0)
		(void)dup3(nothing, fd, O_CLOEXEC); /* both are open */
}

void ipcfs_space_end(struct ipcfs_space *space)
{
	atomic_store(&space->ended, true);
	forget_device(space);
	if (space->resident)
		ipcfs_resident_end(space->resident);
	replace(space->mq);
	replace(space->mq_mount);
	replace(space->shm);
	if (space->ns >= 0)
		ipcfs_presence_forget(space->ns);
	if (space->resident)
		ipcfs_resident_evict(space->resident);
}

bool ipcfs_space_has_ended(const struct ipcfs_space *space)
{
	return atomic_load_explicit(&space->ended, memory_order_acquire);
}

void ipcfs_space_hold(struct ipcfs_space *space)
{
	atomic_fetch_add_explicit(&space->references, 1, memory_order_relaxed);
}

void ipcfs_space_put(struct ipcfs_space *space)
{
	if (!space || atomic_fetch_sub_explicit(&space->references, 1, memory_order_acq_rel) > 1)
		return;
	forget_device(space);
	ipcfs_resident_free(space->resident);
	if (space->disown)
		space->disown(space->owner);
	ipcfs_descriptor_close(&space->mq);
	ipcfs_descriptor_close(&space->mq_mount);
	ipcfs_descriptor_close(&space->shm);
	ipcfs_descriptor_close(&space->process);
	ipcfs_descriptor_close(&space->ns);
	free(space);
}
