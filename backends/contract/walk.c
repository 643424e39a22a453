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

int ipcfs_walk_find(const struct ipcfs_class *class, const struct ipcfs_space *space,
		    const struct ipcfs_info *walked, struct ipcfs_info *info)
{
	if (!class->by_id)
		return class->find(space, walked->ref.name, info);
	*info = *walked;
	return 0;
}

/* For class->walk. */
static int find_one(void *arg, const struct ipcfs_info *walked)
{
	const struct finder *finder = arg;
	struct ipcfs_info info;
	int error = ipcfs_walk_find(finder->class, finder->space, walked, &info);

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
