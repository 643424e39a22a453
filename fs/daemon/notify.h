/* SPDX-License-Identifier: MIT */
/* Messages to the service manager, as in sd_notify(3). */
#ifndef IPCFS_NOTIFY_H
#define IPCFS_NOTIFY_H

enum ipcfs_notice {
	IPCFS_NOTICE_READY, /* the mount answers, or settings that were read again are in force */
	IPCFS_NOTICE_RELOADING, /* settings are being read again; READY follows */
	IPCFS_NOTICE_STOPPING,	/* the end has begun */
};

/*
 * Sends a message to the socket $NOTIFY_SOCKET. Does nothing if that is not set, or ipcfs was built
 * without libsystemd. An error is logged. May wait for the receiver, so call it without locks. No
 * thread may change the environment meanwhile.
 */
void ipcfs_notify(enum ipcfs_notice notice);

#endif
