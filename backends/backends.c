/* SPDX-License-Identifier: MIT */
/* The list of classes. A new class is a line here and a declaration in classes.h. */
#include <errno.h>

#include "backends/contract/classes.h"

const struct ipcfs_class *ipcfs_classes[IPCFS_CLASSES_MAX + 1] = {
	&ipcfs_posix_mq,
	&ipcfs_posix_shm,
	&ipcfs_posix_sem,
	&ipcfs_sysv_msg,
	&ipcfs_sysv_shm,
	&ipcfs_sysv_sem,
	NULL,
};

int ipcfs_classes_add(const struct ipcfs_class *class)
{
	size_t count = 0;

	while (ipcfs_classes[count])
		count++;
	if (count == IPCFS_CLASSES_MAX)
		return -ENOSPC;
	ipcfs_classes[count] = class;
	return 0;
}
