/* SPDX-License-Identifier: MIT */
#include "explain.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <syslog.h>
#include <unistd.h>

#include "log.h"
#include "mountpoint.h"

#define DEVICE "/dev/fuse"

#define FLAGS_DEVICE                                                                               \
	"in a container: --device " DEVICE " (docker, podman), --dev-bind " DEVICE " " DEVICE      \
	" (bwrap), --bind=" DEVICE " (systemd-nspawn), linux.devices in config.json (crun, runc)"
#define FLAGS_ADMIN                                                                                \
	"in a container: --cap-add SYS_ADMIN (docker, podman), --unshare-user --cap-add "          \
	"CAP_SYS_ADMIN (bwrap), --capability=CAP_SYS_ADMIN (systemd-nspawn), "                     \
	"process.capabilities in config.json (crun, runc); without a container: unshare -Urmi"
#define FLAGS_MOUNT "with unshare: -m"
#define FLAGS_IPC                                                                                  \
	"a user namespace needs an IPC namespace of its own: unshare -i, bwrap --unshare-ipc, "    \
	"no --ipc=host (docker, podman); or mount -t mqueue mqueue /dev/mqueue outside and bind it in"
#define FLAGS_QUEUES                                                                               \
	"it is enough if somebody who may did mount -t mqueue mqueue /dev/mqueue before"
#define FLAGS_FILTER                                                                               \
	"grant it with --security-opt seccomp=FILE, FILE a profile that permits mount, umount2, "  \
	"fsopen, fsconfig and fsmount (docker, podman), --system-call-filter=@mount "              \
	"(systemd-nspawn)"
#define FLAGS_LABEL                                                                                \
	"look for AppArmor or SELinux in the kernel's log; --security-opt apparmor=unconfined, "   \
	"--security-opt label=disable (docker, podman)"

/* Our namespace of this kind belongs to a user namespace around ours, where we have no rights. */
static bool is_foreign(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int owner;
	bool foreign;

	if (fd < 0)
		return false;
	owner = ioctl(fd, NS_GET_USERNS);
	foreign = owner < 0 && errno == EPERM;
	if (owner >= 0)
		close(owner);
	close(fd);
	return foreign;
}

static bool is_filtered(void)
{
	char line[128];
	int mode = 0;
	FILE *file = fopen("/proc/self/status", "re");

	if (file == NULL)
		return false;
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "Seccomp: %d", &mode) == 1)
			break;
	fclose(file);
	return mode != 0;
}

void ipcfs_explain_device(int error)
{
	switch (error) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		ipcfs_log(LOG_ERR,
			  DEVICE " is missing (%s): load the kernel's module (modprobe fuse)",
			  strerror(error));
		ipcfs_log(LOG_ERR, "%s", FLAGS_DEVICE);
		break;
	case EPERM:
		ipcfs_log(LOG_ERR,
			  DEVICE " can't be opened (%s): the container's list of devices does not "
				 "permit it",
			  strerror(error));
		ipcfs_log(LOG_ERR, "%s", FLAGS_DEVICE);
		break;
	case EACCES:
		ipcfs_log(LOG_ERR,
			  DEVICE " can't be opened (%s): look at its mode, and whether what it is "
				 "on is mounted nodev",
			  strerror(error));
		ipcfs_log(LOG_ERR, "%s", FLAGS_DEVICE);
		break;
	default:
		ipcfs_log(LOG_ERR, DEVICE ": %s", strerror(error));
	}
}

void ipcfs_explain_mount(const char *mountpoint)
{
	if (!ipcfs_mountpoint_privileged()) {
		ipcfs_log(LOG_ERR,
			  "can't mount on %s: without the capability CAP_SYS_ADMIN the "
			  "set-user-id program fusermount3 must be there and allow it",
			  mountpoint);
		ipcfs_log(LOG_ERR, "%s", FLAGS_ADMIN);
	} else if (is_foreign("/proc/self/ns/mnt")) {
		ipcfs_log(LOG_ERR,
			  "can't mount on %s: CAP_SYS_ADMIN holds in this user namespace, but its "
			  "mount namespace is that of the outside",
			  mountpoint);
		ipcfs_log(LOG_ERR, "%s", FLAGS_MOUNT);
	} else if (is_filtered()) {
		ipcfs_log(LOG_ERR,
			  "can't mount on %s: CAP_SYS_ADMIN is there, so it may be the seccomp "
			  "profile that forbids mount(2)",
			  mountpoint);
		ipcfs_log(LOG_ERR, "%s", FLAGS_FILTER);
	} else {
		ipcfs_log(LOG_ERR, "can't mount on %s, though CAP_SYS_ADMIN is there", mountpoint);
		ipcfs_log(LOG_ERR, "%s", FLAGS_LABEL);
	}
}

void ipcfs_explain_queues(void)
{
	static const char what[] = "POSIX message queues can't be reached: nothing is on "
				   "/dev/mqueue, and they can't be mounted";

	if (!ipcfs_mountpoint_privileged()) {
		ipcfs_log(LOG_ERR, "%s without the capability CAP_SYS_ADMIN", what);
		ipcfs_log(LOG_ERR, "%s", FLAGS_ADMIN);
		ipcfs_log(LOG_ERR, "%s", FLAGS_QUEUES);
	} else if (is_foreign("/proc/self/ns/mnt")) {
		ipcfs_log(LOG_ERR, "%s, as the mount namespace is that of the outside", what);
		ipcfs_log(LOG_ERR, "%s", FLAGS_MOUNT);
	} else if (is_foreign("/proc/self/ns/ipc")) {
		ipcfs_log(LOG_ERR, "%s, as the IPC namespace is that of the outside", what);
		ipcfs_log(LOG_ERR, "%s", FLAGS_IPC);
	} else if (is_filtered()) {
		ipcfs_log(LOG_ERR, "%s: it may be the seccomp profile that forbids fsopen(2)",
			  what);
		ipcfs_log(LOG_ERR, "%s", FLAGS_FILTER);
		ipcfs_log(LOG_ERR, "%s", FLAGS_QUEUES);
	} else {
		ipcfs_log(LOG_ERR, "%s", what);
		ipcfs_log(LOG_ERR, "%s", FLAGS_QUEUES);
	}
}

void ipcfs_explain_target(pid_t pid, int error)
{
	switch (error) {
	case ESRCH:
		ipcfs_log(LOG_ERR, "target=%d: there is no such process, or it has ended",
			  (int)pid);
		break;
	case EINVAL:
		ipcfs_log(LOG_ERR,
			  "target=%d: a kernel thread, or not the main thread of a process",
			  (int)pid);
		break;
	case EPERM:
		ipcfs_log(
			LOG_ERR,
			"target=%d: its IPC namespace can't be joined: that takes CAP_SYS_ADMIN, in "
			"our user namespace and in that of the process, and for a process of "
			"another user CAP_SYS_PTRACE",
			(int)pid);
		break;
	default:
		ipcfs_log(LOG_ERR, "target=%d: %s", (int)pid, strerror(error));
	}
}
