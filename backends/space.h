/* SPDX-License-Identifier: MIT */
/* What ipcfs_space_open of backend.h opens. */
#ifndef IPCFS_SPACE_H
#define IPCFS_SPACE_H

#include <stdatomic.h>

#include "authority.h"
#include "backend.h"

struct ipcfs_space {
	atomic_uint references;
	int mq;	 /* the root directory of the namespace's mqueue file system, open for reading */
	int shm; /* /dev/shm, with O_PATH; -1: there is none */
	dev_t shm_device;
	int process; /* a pidfd of the process that was joined; -1: none */
	struct ipcfs_space_identity identity;
	struct ipcfs_authority authority;
};

#endif
