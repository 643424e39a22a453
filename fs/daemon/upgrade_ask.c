/* SPDX-License-Identifier: MIT */
#include "fs/daemon/upgrade_ask.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <syslog.h>

#include "backends/contract/descriptor.h"
#include "fs/base/log.h"
#include "fs/daemon/mountpoint.h"
#include "fs/daemon/upgrade_socket.h"

#define ANSWER_MS 60000 /* more than a supervisor needs for a program that fails in every way */

/* Logs why nobody can be asked. */
static void explain(const char *path, int err)
{
	switch (err) {
	case -ENOENT:
	case -ECONNREFUSED:
		ipcfs_log(LOG_ERR,
			  "%s: no supervisor of this mount listens: it was not mounted with -o "
			  "supervise, or by a version that can't be upgraded",
			  path);
		break;
	case -EPERM:
		ipcfs_log(LOG_ERR, "%s: another user listens in place of the supervisor", path);
		break;
	case -EACCES:
		ipcfs_log(LOG_ERR,
			  "%s: only root and the user who mounted it may upgrade this mount", path);
		break;
	default:
		ipcfs_log(LOG_ERR, "%s: %s", path, strerror(-err));
	}
}

/* Waits for the answer. 0: the mount is upgraded. A negative errno was logged. */
static int wait_for_answer(int fd, const char *path)
{
	struct pollfd event = { .fd = fd, .events = POLLIN };
	char text[IPCFS_UPGRADE_ANSWER];
	ssize_t size;

	if (poll(&event, 1, ANSWER_MS) == 0) {
		ipcfs_log(LOG_ERR, "%s: the supervisor does not answer", path);
		return -ETIMEDOUT;
	}
	size = recv(fd, text, sizeof(text) - 1, 0);
	if (size <= 1) {
		ipcfs_log(LOG_ERR, "%s: the supervisor has ended: the log says why", path);
		return -ECONNRESET;
	}
	text[size] = '\0';
	if (text[0] != '0') {
		ipcfs_log(LOG_ERR, "%s: not upgraded: %s", path, text + 1);
		return -ECANCELED;
	}
	printf("%s: %s\n", path, text + 1);
	return 0;
}

int ipcfs_upgrade_ask(const char *path)
{
	IPCFS_DESCRIPTOR_AUTO int fd = -1;
	dev_t device;
	uid_t owner;
	int err = ipcfs_mountpoint_owner(path, &device, &owner);

	if (err == -EINVAL)
		ipcfs_log(LOG_ERR, "%s: no ipcfs is mounted there", path);
	else if (err)
		ipcfs_log(LOG_ERR, "%s: %s", path, strerror(-err));
	if (err)
		return err;
	fd = ipcfs_upgrade_socket_connect(device, owner);
	if (fd < 0) {
		explain(path, fd);
		return fd;
	}
	return wait_for_answer(fd, path);
}
