/* SPDX-License-Identifier: MIT */
#include "fs/daemon/upgrade_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "backends/contract/descriptor.h"
#include "fs/access/acl_dir.h"

#define CLIENTS_MAX 4 /* that have connected, and wait to be accepted */

static void name_of(dev_t device, char name[NAME_MAX])
{
	(void)snprintf(name, NAME_MAX, "upgrade.%u:%u", major(device), minor(device));
}

/* Sets the address of the socket in a directory, whose path may be too long for one. */
static void set_address(int directory, dev_t device, struct sockaddr_un *address)
{
	char name[NAME_MAX];

	name_of(device, name);
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	(void)snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%.60s",
		       directory, name);
}

int ipcfs_upgrade_socket_listen(dev_t device)
{
	IPCFS_DESCRIPTOR_AUTO int directory = ipcfs_acl_dir_usual();
	struct sockaddr_un address;
	int fd, err = 0;

	if (directory < 0)
		return directory;
	set_address(directory, device, &address);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	ipcfs_upgrade_socket_remove(device);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, CLIENTS_MAX) < 0)
		err = -errno;
	if (err)
		ipcfs_descriptor_close(&fd);
	return err ? err : fd;
}

void ipcfs_upgrade_socket_remove(dev_t device)
{
	IPCFS_DESCRIPTOR_AUTO int directory = ipcfs_acl_dir_usual();
	char name[NAME_MAX];

	name_of(device, name);
	if (directory >= 0) /* ENOENT: there is none */
		(void)unlinkat(directory, name, 0);
}

uid_t ipcfs_upgrade_socket_user(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || size != sizeof(peer))
		return (uid_t)-1;
	return peer.uid;
}

/* Connects to the socket in this directory. Errors as ipcfs_upgrade_socket_connect. */
static int connect_in(const char *path, dev_t device, uid_t owner)
{
	IPCFS_DESCRIPTOR_AUTO int directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct sockaddr_un address;
	int fd, err = 0;

	if (directory < 0)
		return -errno;
	set_address(directory, device, &address);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		err = -errno;
	else if (ipcfs_upgrade_socket_user(fd) != owner)
		err = -EPERM;
	if (err)
		ipcfs_descriptor_close(&fd);
	return err ? err : fd;
}

int ipcfs_upgrade_socket_connect(dev_t device, uid_t owner)
{
	const char *runtime = owner == geteuid() ? secure_getenv("XDG_RUNTIME_DIR") : NULL;
	char path[PATH_MAX];
	int fd = -ENOENT;

	if (owner == 0)
		fd = connect_in(IPCFS_ACL_DIR_PATH, device, owner);
	if (fd == -ENOENT && runtime &&
	    snprintf(path, sizeof(path), "%s/" IPCFS_ACL_DIR_NAME, runtime) < (int)sizeof(path))
		fd = connect_in(path, device, owner);
	if (fd != -ENOENT)
		return fd;
	(void)snprintf(path, sizeof(path), "/run/user/%u/" IPCFS_ACL_DIR_NAME, owner);
	return connect_in(path, device, owner);
}
