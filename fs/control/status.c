/* SPDX-License-Identifier: MIT */
#include "fs/control/status.h"

#include "backends/contract/long_work.h"
#include "fs/access/caller.h"
#include "fs/queue/lease.h"
#include "fs/request/judge.h"
#include "fs/semaphore/hold.h"
#include "fs/semaphore/semaphore.h"

#define LONG_STATUS 2048 /* to tell of more holders and waiters is long work: 5 ms and more */

/* Returns how many holders and waiters status tells of. */
static size_t count_processes(struct ipcfs_object *object)
{
	if (object->class->queue)
		return ipcfs_lease_count(object);
	if (!object->class->semaphore)
		return 0;
	return ipcfs_hold_number(object) + object->waits.parked[IPCFS_RECEIVE] +
	       object->waits.parked[IPCFS_SEND];
}

int ipcfs_status_lines(fuse_req_t req, struct ipcfs_object *object, struct ipcfs_text *out)
{
	int err = count_processes(object) > LONG_STATUS ? ipcfs_long_work() : 0;

	if (!err)
		err = object->class->status(object->space, &object->ref, out);
	if (!err && object->class->semaphore)
		return ipcfs_semaphore_status(req, object, out);
	if (err || !object->class->queue)
		return err;
	err = ipcfs_text_printf(out, "returned=%llu\nwaiting_readers=%u\nwaiting_writers=%u\n",
				(unsigned long long)object->queue.returned,
				object->waits.parked[IPCFS_RECEIVE],
				object->waits.parked[IPCFS_SEND]);
	return !err && ipcfs_queue_leases(object->class->queue) ? ipcfs_lease_status(object, out)
								: err;
}

/*
 * Returns the number of a process in the caller's pid namespace, or 0. The last one is remembered:
 * many lines of a set have the same process.
 */
static pid_t number_of(void *arg, pid_t pid)
{
	struct ipcfs_status_reader *reader = arg;

	if (reader->pid != pid) {
		reader->pid = pid;
		reader->number = ipcfs_namespace_number(reader->caller.tid, pid);
	}
	return reader->number;
}

int ipcfs_status_reader_begin(fuse_req_t req, struct ipcfs_status_reader *reader)
{
	int err;

	*reader = (struct ipcfs_status_reader){ .caller = ipcfs_request_caller(req) };
	err = ipcfs_caller_load(&reader->caller);
	reader->idmap.arg = reader;
	reader->idmap.ids = reader->caller.foreign;
	reader->idmap.map = reader->caller.map;
	if (!ipcfs_namespace_shares_numbers(reader->caller.tid))
		reader->idmap.process = number_of;
	return err;
}

void ipcfs_status_reader_end(struct ipcfs_status_reader *reader)
{
	ipcfs_caller_free(&reader->caller);
}

int ipcfs_status_map(const struct ipcfs_status_reader *reader, struct ipcfs_text *lines)
{
	if (!reader->idmap.ids && !reader->idmap.process)
		return 0;
	return ipcfs_status_idmap_apply(lines, &reader->idmap);
}

int ipcfs_status_text(fuse_req_t req, struct ipcfs_object *object, struct ipcfs_text *out)
{
	struct ipcfs_status_reader reader;
	int err = ipcfs_status_lines(req, object, out);

	if (err)
		return err;
	err = ipcfs_status_reader_begin(req, &reader);
	if (!err)
		err = ipcfs_status_map(&reader, out);
	ipcfs_status_reader_end(&reader);
	return err;
}
