/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "backends/contract/contract.h"
#include "backends/contract/descriptor.h"

void ipcfs_walk_end(struct ipcfs_walk *walk)
{
	ipcfs_descriptor_close(&walk->directory);
}

/* A walk that tells the whole state of each object. */
struct finder {
	const struct ipcfs_class *class;
	const struct ipcfs_space *space;
	int (*each)(void *arg, const struct ipcfs_info *info);
	void *arg;
};

/* For class->walk. */
static int find_one(void *arg, const struct ipcfs_ref *ref)
{
	const struct finder *finder = arg;
	struct ipcfs_info info;
	int error = finder->class->find(finder->space, ref->name, &info);

	if (error)
		return error == -ENOENT ? 0 : error;
	return finder->each(finder->arg, &info);
}

int ipcfs_walk_all(const struct ipcfs_class *class, const struct ipcfs_space *space,
		   int (*each)(void *arg, const struct ipcfs_info *info), void *arg)
{
	struct finder finder = { class, space, each, arg };
	struct ipcfs_walk walk = IPCFS_WALK_START;
	int result;

	do {
		result = class->walk(space, &walk, find_one, &finder);
	} while (result == 1);
	ipcfs_walk_end(&walk);
	return result;
}
