/* SPDX-License-Identifier: MIT */
/*
 * Opening and closing spaces. The POSIX queues of an IPC namespace are a file system: a mount that
 * is attached to no directory reaches those of the daemon's namespace, whatever is mounted on
 * /dev/mqueue.
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

#include "backends/caller/authority.h"
#include "backends/caller/impersonate.h"
#include "backends/caller/impersonate_child.h"
#include "backends/contract/descriptor.h"
#include "backends/space/message_keeper.h"
#include "backends/space/namespace.h"
#include "backends/space/reference.h"
#include "backends/space/shm_mount.h"
#include "backends/space/target.h"
#include "backends/space/thread_ns.h"

#define MQUEUE_FS_MAGIC 0x19800202
#define INITIAL_INODE 0xefffffff	/* fixed by the kernel; the initial namespace never ends */
#define GET_ID _IOR(0xb7, 13, uint64_t) /* NS_GET_ID of <linux/nsfs.h>, which older headers lack */

/*
 * Mounts a new file system, attached to no directory. Returns a descriptor of its root, and of the
 * mount in *mount, both to be closed. The mount stays open with the root: closing it waits for all
 * readers of mounts in the kernel, perhaps a millisecond.
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
	/* fsmount(2) gives an O_PATH descriptor; listing needs one for reading */
	root = openat(*mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root < 0 ? -errno : root;
}

static int mount_mqueue(struct ipcfs_space *space)
{
	return mount_new("mqueue", 0, &space->mq_mount);
}

/*
 * A directory that is empty for ever, which replaces the directories of a space that has ended. Set
 * once, while the process has one thread.
 */
static int empty_directory = -1;

static int open_empty_directory(void)
{
	IPCFS_DESCRIPTOR_AUTO int mount = -1;
	int root = mount_new("tmpfs", MOUNT_ATTR_RDONLY, &mount);

	if (root < 0)
		return root;
	empty_directory = root;
	return 0;
}

/* Opens /dev/mqueue. Returns -1 if there is none. */
static int open_dev_mqueue(void)
{
	struct statfs fs;
	int root = open("/dev/mqueue", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	/* without the mount, /dev/mqueue is an empty directory */
	if (root >= 0 && (fstatfs(root, &fs) || fs.f_type != MQUEUE_FS_MAGIC))
		ipcfs_descriptor_close(&root);
	return root;
}

/*
 * Identifies the IPC namespace of a descriptor. *identity is all zero where /proc does not show it.
 */
static void read_identity(int fd, struct ipcfs_space_identity *identity)
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

static void read_own_identity(struct ipcfs_space *space)
{
	IPCFS_DESCRIPTOR_AUTO int fd = open("/proc/thread-self/ns/ipc", O_RDONLY | O_CLOEXEC);

	read_identity(fd, &space->identity);
	ipcfs_authority_own(&space->authority);
}

/*
 * The spaces with a /dev/shm. While one is open, its device number belongs to no other file system.
 */
static struct {
	pthread_mutex_t lock;
	struct ipcfs_space *spaces; /* linked from set_shm_id until ipcfs_space_end or destroy */
} listed = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool is_listed(dev_t device)
{
	const struct ipcfs_space *space;

	pthread_mutex_lock(&listed.lock);
	DL_FOREACH (listed.spaces, space)
		if (space->shm_device == device)
			break;
	pthread_mutex_unlock(&listed.lock);
	return space;
}

static void unlist(struct ipcfs_space *space)
{
	pthread_mutex_lock(&listed.lock);
	if (space->listed)
		DL_DELETE(listed.spaces, space);
	space->listed = false;
	pthread_mutex_unlock(&listed.lock);
}

static void destroy(struct ipcfs_space *space);

static struct ipcfs_space *new_space(void)
{
	struct ipcfs_space *space = malloc(sizeof(*space));

	if (space)
		*space = (struct ipcfs_space){ .references = 1,
					       .destroy = destroy,
					       .mq = -1,
					       .mq_mount = -1,
					       .shm = -1,
					       .process = -1,
					       .ns = -1 };
	return space;
}

static void drop_space(struct ipcfs_space **space)
{
	ipcfs_space_unref(*space);
}

/*
 * Declares a space whose reference is given back at the end of the scope, unless move_space has
 * taken it.
 */
#define SPACE_AUTO __attribute__((cleanup(drop_space))) struct ipcfs_space *

static void move_space(struct ipcfs_space **from, struct ipcfs_space **to)
{
	*to = *from;
	*from = NULL;
}

static void set_shm_id(struct ipcfs_space *space)
{
	struct statvfs fs;
	struct stat st;

	if (space->shm < 0 || fstat(space->shm, &st) || fstatvfs(space->shm, &fs))
		return;
	space->shm_id = (struct ipcfs_shm_id){
		.device = st.st_dev,
		.inode = st.st_ino,
		.read_only = fs.f_flag & ST_RDONLY,
	};
	pthread_mutex_lock(&listed.lock);
	DL_APPEND(listed.spaces, space);
	space->listed = true;
	pthread_mutex_unlock(&listed.lock);
}

static int open_own(struct ipcfs_space *space)
{
	space->mq = mount_mqueue(space);
	if (space->mq == -ENOMEM)
		return space->mq;
	if (space->mq < 0)
		space->mq = open_dev_mqueue();
	space->shm = ipcfs_shm_mount_open(&space->shm_device);
	set_shm_id(space);
	read_own_identity(space);
	return 0;
}

int ipcfs_space_open(struct ipcfs_space **space)
{
	SPACE_AUTO opened = new_space();
	int error = opened ? open_own(opened) : -ENOMEM;

	if (!error)
		move_space(&opened, space);
	return error;
}

/*
 * Opens the namespace of a process. The daemon's own /dev/mqueue and /dev/shm are not used in place
 * of what cannot be opened: they have other objects.
 */
static int open_joined(struct ipcfs_space *space, pid_t pid)
{
	IPCFS_TARGET_AUTO struct ipcfs_target target = IPCFS_TARGET_NONE;
	int error = ipcfs_target_open(pid, &target);

	if (!error)
		error = ipcfs_target_join(&target);
	if (error)
		return error;
	ipcfs_message_keeper_joined();
	space->mq = mount_mqueue(space);
	if (space->mq < 0)
		return space->mq;
	space->shm = ipcfs_target_shm(&target, is_listed, &space->shm_device);
	space->process = target.pidfd;
	target.pidfd = -1;
	read_own_identity(space);
	return 0;
}

int ipcfs_space_join(pid_t pid, struct ipcfs_space **space)
{
	SPACE_AUTO opened = new_space();
	int error = !opened ? -ENOMEM : pid > 0 ? open_joined(opened, pid) : -EINVAL;

	if (!error)
		move_space(&opened, space);
	return error;
}

/* Opens the IPC namespace of the descriptor `ns`, which belongs to the space from now on. */
static int open_namespace(struct ipcfs_space *space, int ns)
{
	const struct ipcfs_space *before;
	int error;

	space->ns = ns;
	read_identity(ns, &space->identity);
	error = ipcfs_authority_read(ns, &space->authority);
	if (error)
		return error;
	space->worker = ipcfs_ns_worker_new();
	if (!space->worker)
		return -ENOMEM;
	error = ipcfs_space_enter(space, &before);
	if (error)
		return error;
	space->mq = mount_mqueue(space);
	ipcfs_space_leave(before);
	return space->mq < 0 ? space->mq : 0;
}

/*
 * Checks CAP_SYS_PTRACE: without it, the kernel shows nothing of callers who have capabilities that
 * the daemon lacks.
 */
static int check_ptrace(void)
{
	struct ipcfs_credentials own;
	int error = ipcfs_credentials_read(&own);

	if (!error && !(own.capabilities.effective >> CAP_SYS_PTRACE & 1))
		error = -EPERM;
	ipcfs_credentials_free(&own);
	return error;
}

int ipcfs_space_open_home(struct ipcfs_space **space)
{
	SPACE_AUTO opened = new_space();
	int error = opened ? check_ptrace() : -ENOMEM;
	int ns;

	if (!error)
		error = ipcfs_thread_ns_start();
	if (!error)
		error = open_empty_directory();
	if (error)
		return error;
	ns = open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC);
	if (ns < 0)
		return -errno;
	opened->home = true;
	error = open_namespace(opened, ns);
	if (error)
		return error;
	opened->shm = ipcfs_shm_mount_open(&opened->shm_device);
	set_shm_id(opened);
	ipcfs_impersonate_child_enable();
	move_space(&opened, space);
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
		move_space(&opened, space);
	return error;
}

int ipcfs_space_open_shm(pid_t tid, uint64_t inode, struct ipcfs_space **space)
{
	IPCFS_TARGET_AUTO struct ipcfs_target target = IPCFS_TARGET_NONE;
	SPACE_AUTO opened = new_space();
	int error = opened ? ipcfs_target_find(tid, inode, &target) : -ENOMEM;

	errno = 0;
	if (!error)
		opened->shm = ipcfs_target_shm(&target, is_listed, &opened->shm_device);
	else if (error != -ENOENT)
		return error;
	/* a space without a /dev/shm would tell the caller that there is none */
	if (opened->shm < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
		return -errno;
	set_shm_id(opened);
	move_space(&opened, space);
	return 0;
}

int ipcfs_space_process(const struct ipcfs_space *space)
{
	return space->process;
}

bool ipcfs_space_has_mq(const struct ipcfs_space *space)
{
	return space->mq >= 0;
}

bool ipcfs_space_has_shm(const struct ipcfs_space *space)
{
	return space->shm >= 0;
}

const struct ipcfs_shm_id *ipcfs_space_shm_id(const struct ipcfs_space *space)
{
	return &space->shm_id;
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

static void replace_directory(int fd)
{
	if (fd >= 0)
		(void)dup3(empty_directory, fd, O_CLOEXEC); /* cannot fail: both are open */
}

void ipcfs_space_end(struct ipcfs_space *space)
{
	atomic_store(&space->ended, true);
	unlist(space);
	ipcfs_message_keeper_end(space);
	if (space->worker)
		ipcfs_ns_worker_end(space->worker);
	replace_directory(space->mq);
	replace_directory(space->mq_mount);
	replace_directory(space->shm);
	if (space->ns >= 0)
		ipcfs_thread_ns_empty(space->ns);
	if (space->worker)
		ipcfs_ns_worker_evict(space->worker);
}

static void destroy(struct ipcfs_space *space)
{
	unlist(space);
	ipcfs_message_keeper_release(space);
	ipcfs_ns_worker_free(space->worker);
	if (space->disown)
		space->disown(space->owner);
	ipcfs_descriptor_close(&space->mq);
	ipcfs_descriptor_close(&space->mq_mount);
	ipcfs_descriptor_close(&space->shm);
	ipcfs_descriptor_close(&space->process);
	ipcfs_descriptor_close(&space->ns);
	free(space);
}
