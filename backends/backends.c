/* SPDX-License-Identifier: MIT */
/* A new kind is one line here. */
#include "kinds.h"

const struct ipcfs_backend *const ipcfs_backends[] = {
	&ipcfs_posix_mq,
	&ipcfs_posix_shm,
	&ipcfs_posix_sem,
	&ipcfs_sysv_msg,
	&ipcfs_sysv_shm,
	&ipcfs_sysv_sem,
	NULL,
};
