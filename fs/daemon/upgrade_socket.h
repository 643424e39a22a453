/* SPDX-License-Identifier: MIT */
/*
 * The socket by which a client asks a supervisor for an upgrade (upgrade.h). It stands in the usual
 * state directory, to which only the user who mounted has access, and is named by the device number
 * of the mount. Each end asks the kernel for the user of the other one.
 */
#ifndef IPCFS_UPGRADE_SOCKET_H
#define IPCFS_UPGRADE_SOCKET_H

#include <sys/types.h>

#define IPCFS_UPGRADE_ANSWER 512 /* bytes of an answer: '0' or '1' for success or not, and text */

/*
 * Makes the socket, in place of one that an ended supervisor has left. Returns a descriptor.
 * -ENOENT: there is no state directory.
 * Errors of socket(2), bind(2) and listen(2).
 */
int ipcfs_upgrade_socket_listen(dev_t device);

/* Removes the name of the socket. */
void ipcfs_upgrade_socket_remove(dev_t device);

/* Connects to the supervisor of the mount, which `owner` has made. Returns a descriptor.
 * -ENOENT, -ECONNREFUSED: nobody listens.
 * -EACCES: this process may not ask.
 * -EPERM: somebody else listens.
 */
int ipcfs_upgrade_socket_connect(dev_t device, uid_t owner);

/* Returns the user of the process at the other end. (uid_t)-1: unknown. */
uid_t ipcfs_upgrade_socket_user(int fd);

#endif
