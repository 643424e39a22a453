/* SPDX-License-Identifier: MIT */
#include "fs/daemon/explain.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "fs/base/log.h"
#include "fs/daemon/mountpoint.h"

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
	"no --ipc=host (docker, podman); or mount -t mqueue mqueue /dev/mqueue outside and bind "  \
	"it in"
#define FLAGS_QUEUES "it is enough if root has run mount -t mqueue mqueue /dev/mqueue before"
#define FLAGS_FILTER                                                                               \
	"grant it with --security-opt seccomp=FILE, FILE a profile that permits mount, umount2, "  \
	"fsopen, fsconfig and fsmount (docker, podman), --system-call-filter=@mount "              \
	"(systemd-nspawn)"
#define FLAGS_LABEL                                                                                \
	"look for AppArmor or SELinux in the kernel's log; --security-opt apparmor=unconfined, "   \
	"--security-opt label=disable (docker, podman)"

/*
 * Tells whether the daemon's namespace of this kind belongs to an outer user namespace, where it
 * has no rights.
 */
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

/* Tells whether a seccomp filter was installed before the start. */
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

int ipcfs_explain_check_proc(void)
{
	char text[32];
	ssize_t size = readlink("/proc/self", text, sizeof(text) - 1);

	if (size > 0) {
		text[size] = '\0';
		if (strtol(text, NULL, 10) == getpid())
			return 0;
	}
	ipcfs_log(LOG_ERR, "/proc of this mount namespace does not show the processes of this pid "
			   "namespace");
	ipcfs_log(LOG_ERR, "mount one there: unshare --mount-proc; to enter all namespaces of a "
			   "process, use nsenter(1)");
	return -ESRCH;
}

static void explain_device(int error)
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
			  DEVICE " can't be opened (%s): check its mode, and that its file system "
				 "is not mounted nodev",
			  strerror(error));
		ipcfs_log(LOG_ERR, "%s", FLAGS_DEVICE);
		break;
	default:
		ipcfs_log(LOG_ERR, DEVICE ": %s", strerror(error));
	}
}

int ipcfs_explain_check_device(void)
{
	int device = open(DEVICE, O_RDWR | O_CLOEXEC);
	int error = errno;

	if (device >= 0) {
		close(device);
		return 0;
	}
	explain_device(error);
	return -error;
}

/*
 * Tells whether fusermount3 could have mounted. Its reason for an error then counts, which it wrote
 * to stderr. Without the power it only says that mount(2) failed.
 */
static bool has_fusermount(void)
{
	static const char *const places[] = { "/usr/bin/fusermount3", "/bin/fusermount3",
					      "/usr/local/bin/fusermount3" };
	bool found = false;
	struct stat st;

	for (size_t i = 0; !found && i < sizeof(places) / sizeof(places[0]); i++)
		found = stat(places[i], &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == 0 &&
			st.st_mode & S_ISUID;
	return found && prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) == 1 &&
	       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 && !is_foreign("/proc/self/ns/mnt") &&
	       !is_filtered();
}

void ipcfs_explain_mount(const char *mountpoint)
{
	if (!ipcfs_mountpoint_privileged() && has_fusermount()) {
		ipcfs_log(LOG_ERR, "can't mount on %s: fusermount3 has said why", mountpoint);
	} else if (!ipcfs_mountpoint_privileged()) {
		ipcfs_log(LOG_ERR,
			  "can't mount on %s: without the capability CAP_SYS_ADMIN the "
			  "set-user-id program fusermount3 must be there and allow it",
			  mountpoint);
		ipcfs_log(LOG_ERR, "%s", FLAGS_ADMIN);
	} else if (is_foreign("/proc/self/ns/mnt")) {
		ipcfs_log(LOG_ERR,
			  "can't mount on %s: CAP_SYS_ADMIN is limited to this user namespace, and "
			  "the mount namespace belongs to an outer one",
			  mountpoint);
		ipcfs_log(LOG_ERR, "%s", FLAGS_MOUNT);
	} else if (is_filtered()) {
		ipcfs_log(LOG_ERR,
			  "can't mount on %s, though CAP_SYS_ADMIN is there: perhaps the seccomp "
			  "profile forbids mount(2)",
			  mountpoint);
		ipcfs_log(LOG_ERR, "%s", FLAGS_FILTER);
	} else {
		ipcfs_log(LOG_ERR, "can't mount on %s, though CAP_SYS_ADMIN is there", mountpoint);
		ipcfs_log(LOG_ERR, "%s", FLAGS_LABEL);
	}
}

void ipcfs_explain_queues(void)
{
	const char *reason = "", *remedy = FLAGS_QUEUES;

	if (!ipcfs_mountpoint_privileged()) {
		reason = " without the capability CAP_SYS_ADMIN";
	} else if (is_foreign("/proc/self/ns/ipc")) {
		reason = ", as the IPC namespace belongs to an outer user namespace";
		remedy = FLAGS_IPC;
	} else if (is_filtered()) {
		reason = ": perhaps the seccomp profile forbids fsopen(2)";
		remedy = FLAGS_FILTER;
	}
	ipcfs_log(LOG_WARNING,
		  "posix/mq is empty: nothing is on /dev/mqueue, and POSIX queues can't be "
		  "mounted%s (%s)",
		  reason, remedy);
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
			"target=%d: its IPC namespace can't be joined: that takes CAP_SYS_ADMIN in "
			"the user namespaces of ipcfs and of the process, and CAP_SYS_PTRACE for a "
			"process of another user",
			(int)pid);
		break;
	default:
		ipcfs_log(LOG_ERR, "target=%d: %s", (int)pid, strerror(error));
	}
}
