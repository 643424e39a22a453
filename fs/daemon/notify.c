/* SPDX-License-Identifier: MIT */
#include "fs/daemon/notify.h"

#ifdef IPCFS_SYSTEMD

#include <inttypes.h>
#include <string.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>

#include "fs/base/clock.h"
#include "fs/base/log.h"

void ipcfs_notify(enum ipcfs_notice notice)
{
	int result = 0;

	switch (notice) {
	case IPCFS_NOTICE_READY:
		result = sd_notify(0, "READY=1");
		break;
	case IPCFS_NOTICE_RELOADING:
		/* With Type=notify-reload systemd matches READY to RELOADING by this time. */
		result = sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
				    ipcfs_clock_ns() / 1000);
		break;
	case IPCFS_NOTICE_STOPPING:
		result = sd_notify(0, "STOPPING=1");
		break;
	}
	if (result < 0)
		ipcfs_log(LOG_WARNING, "NOTIFY_SOCKET: %s", strerror(-result));
}

#else

void ipcfs_notify(enum ipcfs_notice notice)
{
	(void)notice;
}

#endif
