/* SPDX-License-Identifier: MIT */
/* What is told of leases. */
#include <utlist.h>

#include "fs/access/caller.h"
#include "fs/queue/lease.h"
#include "fs/request/lease_item.h"

#define NS 1000000000

uint64_t ipcfs_lease_deliveries(struct ipcfs_object *object, uint64_t node)
{
	const struct ipcfs_lease *lease;
	uint64_t count = 0;

	pthread_mutex_lock(&object->queue.lock);
	DL_FOREACH (object->queue.leases, lease)
		if (lease->node == node)
			count = lease->deliveries;
	pthread_mutex_unlock(&object->queue.lock);
	return count;
}

/* Appends the lines of one holder, the n-th. -ENOMEM. */
static int add_holder(const struct ipcfs_lease_holder *holder, size_t n, struct ipcfs_text *out)
{
	pid_t pid = ipcfs_caller_living(holder->pid, holder->taker);
	int err = 0;

	if (pid) /* no number for none: a program that kills the holder must not kill 0 */
		err = ipcfs_text_printf(out, "lease_%zu_pid=%d\n", n, pid);
	if (err)
		return err;
	return ipcfs_text_printf(out, "lease_%zu_uid=%u\nlease_%zu_age=%llu\n", n, holder->uid, n,
				 (unsigned long long)((ipcfs_clock_ns() - holder->since) / NS));
}

size_t ipcfs_lease_count(struct ipcfs_object *object)
{
	const struct ipcfs_lease *lease;
	size_t count;

	pthread_mutex_lock(&object->queue.lock);
	DL_COUNT(object->queue.leases, lease, count);
	pthread_mutex_unlock(&object->queue.lock);
	return count;
}

int ipcfs_lease_status(struct ipcfs_object *object, struct ipcfs_text *out)
{
	const struct ipcfs_lease *lease;
	struct ipcfs_text copies = { 0 };
	const struct ipcfs_lease_holder *holders;
	size_t count;
	int err = 0;

	pthread_mutex_lock(&object->queue.lock);
	DL_FOREACH (object->queue.leases, lease)
		if (!err)
			err = ipcfs_text_add(&copies, &lease->holder, sizeof(lease->holder));
	pthread_mutex_unlock(&object->queue.lock);
	holders = (const void *)copies.data;
	count = copies.size / sizeof(*holders);
	if (!err)
		err = ipcfs_text_printf(out, "leased=%zu\nleases_returned=%llu\n", count,
					(unsigned long long)object->queue.leases_returned);
	for (size_t i = 0; !err && i < count; i++)
		err = add_holder(&holders[i], i + 1, out);
	ipcfs_text_free(&copies);
	return err;
}
