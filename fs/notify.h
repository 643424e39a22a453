/* SPDX-License-Identifier: MIT */
/* What a service manager hears of us, as in sd_notify(3). */
#ifndef IPCFS_NOTIFY_H
#define IPCFS_NOTIFY_H

enum ipcfs_notice {
	IPCFS_NOTICE_READY,	/* the mount answers; settings that were read again are in force */
	IPCFS_NOTICE_RELOADING, /* settings are read again; READY has to follow */
	IPCFS_NOTICE_STOPPING,	/* the end has begun */
};

/*
 * Tell whoever made the socket $NOTIFY_SOCKET. Nothing is done where that is not set, or the program
 * was built without libsystemd. Failing is logged and changes nothing else. May wait for the
 * listener: call it without locks. Reads the environment, which must not change at the same time.
 */
void ipcfs_notify(enum ipcfs_notice notice);

#endif
