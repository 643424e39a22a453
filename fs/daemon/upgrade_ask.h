/* SPDX-License-Identifier: MIT */
/* `ipcfs --upgrade MOUNTPOINT`: asks the supervisor of the mount (upgrade.h). */
#ifndef IPCFS_UPGRADE_ASK_H
#define IPCFS_UPGRADE_ASK_H

/*
 * Has the mount at `path` served by the installed program, and waits until it is. Says on stdout
 * that it is. A negative errno, whose reason was logged: it is not.
 */
int ipcfs_upgrade_ask(const char *path);

#endif
