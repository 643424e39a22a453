/* SPDX-License-Identifier: MIT */
#include "notify.h"

#ifdef IPCFS_SYSTEMD

#include <inttypes.h>
#include <stdint.h>
#include <string.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "log.h"

/* Units of Type=notify-reload match READY to RELOADING by the time. */
static uint64_t now_us(void)
{
	struct timespec now = { 0 };

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void ipcfs_notify(enum ipcfs_notice notice)
{
	int result = 0;

	switch (notice) {
	case IPCFS_NOTICE_READY:
		result = sd_notify(0, "READY=1");
		break;
	case IPCFS_NOTICE_RELOADING:
		result = sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now_us());
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
