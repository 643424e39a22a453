/* SPDX-License-Identifier: MIT */
#include "fs/request/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "fs/access/caller.h"
#include "fs/base/ledger.h"
#include "fs/base/lock_list.h"
#include "fs/tree/listing.h"

#define OWNERS_MAX 1024 /* processes with pending bytes in one open file */

/* An open file, with its two pollers, their waitqueues and the handle by which they are told. */
#define FILE_BYTES 1024
#define PENDING_BYTES 64
#define SUMS_BYTES 1280
#define LOCKS_BYTES (IPCFS_LOCKS_MAX * sizeof(struct ipcfs_lock))

/* Returns what the file keeps, but for its text and what is pending. Call with file->lock held. */
static size_t bytes_beside_text(const struct ipcfs_file *file)
{
	const struct ipcfs_listing *listing = file->directory.listing;

	return FILE_BYTES + file->queue.readers.capacity +
	       file->opener.ngroups * sizeof(*file->opener.groups) +
	       (listing ? ipcfs_listing_bytes(listing) : 0) + (file->lines.sums ? SUMS_BYTES : 0) +
	       (file->segment.locks ? LOCKS_BYTES : 0) +
	       (file->events.feed ? IPCFS_RING_BYTES : 0) + file->done.bytes.capacity +
	       (file->queue.lease ? IPCFS_LEASE_BYTES + file->text.size : 0);
}

int ipcfs_file_charge(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	return ipcfs_quota_recharge(fs->quota, file->opener.uid, &file->charged,
				    bytes_beside_text(file) + file->text.capacity);
}

/*
 * Reserves memory behind a text that is counted with `beside` more bytes in *charged.
 * -ENOMEM: nothing is changed.
 */
static int reserve(struct ipcfs_quota *quota, uid_t uid, size_t *charged, size_t beside,
		   struct ipcfs_text *text, size_t more)
{
	size_t capacity = ipcfs_text_grown(text, more);
	int err = -ENOMEM;

	if (capacity <= SIZE_MAX / 2)
		err = ipcfs_quota_recharge(quota, uid, charged, beside + capacity);
	if (err)
		return err;
	err = ipcfs_text_reserve(text, more);
	if (err)
		(void)ipcfs_quota_recharge(quota, uid, charged, beside + text->capacity);
	return err;
}

int ipcfs_file_reserve(struct ipcfs_filesystem *fs, struct ipcfs_file *file, size_t more)
{
	return reserve(fs->quota, file->opener.uid, &file->charged, bytes_beside_text(file),
		       &file->text, more);
}

int ipcfs_file_keep(struct ipcfs_filesystem *fs, struct ipcfs_file *file, const char *bytes,
		    size_t size)
{
	int err;

	pthread_mutex_lock(&file->lock);
	err = ipcfs_file_reserve(fs, file, size);
	if (!err)
		err = ipcfs_text_add(&file->text, bytes, size);
	pthread_mutex_unlock(&file->lock);
	return err;
}

int ipcfs_file_take(struct ipcfs_filesystem *fs, struct ipcfs_file *file, size_t size,
		    struct ipcfs_text *out)
{
	int err;

	if (size > file->text.size)
		size = file->text.size;
	err = ipcfs_text_add(out, file->text.data, size);
	if (err)
		return err;
	ipcfs_text_drop(&file->text, size);
	if (file->text.size)
		return 0;
	ipcfs_text_free(&file->text);
	(void)ipcfs_file_charge(fs, file); /* fewer bytes never fail */
	return 0;
}

int ipcfs_pending_reserve(struct ipcfs_filesystem *fs, const struct ipcfs_file *file,
			  struct ipcfs_pending *pending, size_t more)
{
	return reserve(fs->quota, file->opener.uid, &pending->charged, PENDING_BYTES,
		       &pending->text, more);
}

void ipcfs_file_begin(struct ipcfs_filesystem *fs, struct ipcfs_file *file, struct ipcfs_node *node,
		      bool reads, bool writes)
{
	file->node = node->id;
	file->key = node->key;
	file->reads = reads;
	file->writes = writes;
	file->waits.pollers[0].file = file->waits.pollers[1].file = file;
	pthread_mutex_init(&file->lock, NULL);
	pthread_mutex_init(&file->lines.turn, NULL);
	ipcfs_node_opened(&fs->nodes, node, reads, writes);
}

int ipcfs_file_new(struct ipcfs_filesystem *fs, fuse_req_t req, struct ipcfs_node *node, int flags,
		   struct ipcfs_file **file)
{
	const struct fuse_ctx *context = fuse_req_ctx(req);
	struct ipcfs_file *fresh;
	uint32_t index;
	int err;

	err = ipcfs_quota_open(fs->quota, context->uid);
	if (err)
		return err;
	fresh = ipcfs_table_new(&fs->files, &index);
	if (!fresh) {
		ipcfs_quota_closed(fs->quota, context->uid);
		return -ENOMEM;
	}
	fresh->number = ipcfs_table_number(&fs->files, index);
	fresh->opener.uid = context->uid;
	fresh->opener.gid = context->gid;
	fresh->opener.tid = context->pid;
	fresh->since = ipcfs_caller_clock();
	fresh->request = ipcfs_unanswered_unique();
	ipcfs_file_begin(fs, fresh, node, (flags & O_ACCMODE) != O_WRONLY,
			 (flags & O_ACCMODE) != O_RDONLY);
	err = ipcfs_file_charge(fs, fresh);
	/* the groups are loaded now: later requests may come from other processes */
	if (!err)
		err = ipcfs_gate_allows(&fs->gate, &fresh->opener, ipcfs_caller_load);
	if (err) {
		ipcfs_file_free(fs, fresh);
		return err;
	}
	*file = fresh;
	return 0;
}

void ipcfs_file_free(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	struct ipcfs_node *node = ipcfs_node_at(&fs->nodes, file->node);
	bool reads = file->reads, writes = file->writes;

	while (file->pending)
		ipcfs_file_drop_pending(fs, file, file->pending->owner);
	ipcfs_text_free(&file->text);
	ipcfs_text_free(&file->queue.readers);
	ipcfs_text_free(&file->done.bytes);
	ipcfs_quota_release(fs->quota, file->opener.uid, file->charged);
	ipcfs_quota_closed(fs->quota, file->opener.uid);
	ipcfs_caller_free(&file->opener);
	if (file->directory.listing) {
		ipcfs_listing_free(file->directory.listing);
		free(file->directory.listing);
	}
	free(file->lines.sums);
	pthread_mutex_destroy(&file->lines.turn);
	pthread_mutex_destroy(&file->lock);
	if (fs->ledger)
		ipcfs_ledger_drop(fs->ledger, IPCFS_LEDGER_FILES, ipcfs_table_index(file->number));
	ipcfs_table_free(&fs->files, ipcfs_table_index(file->number));
	ipcfs_node_closed(&fs->nodes, node, reads, writes);
}

struct ipcfs_file *ipcfs_file_at(struct ipcfs_filesystem *fs, uint64_t handle, uint64_t node,
				 bool directory)
{
	struct ipcfs_file *file = ipcfs_table_find(&fs->files, handle);

	if (!file || file->node != node)
		return NULL;
	return S_ISDIR(ipcfs_file_kinds[file->key.kind].type) == directory ? file : NULL;
}

struct ipcfs_pending *ipcfs_file_pending(struct ipcfs_filesystem *fs, struct ipcfs_file *file,
					 uint64_t owner, bool create)
{
	struct ipcfs_pending *pending;
	unsigned owners = 0;

	for (pending = file->pending; pending; pending = pending->next, owners++)
		if (pending->owner == owner)
			return pending;
	if (!create || owners >= OWNERS_MAX)
		return NULL;
	pending = calloc(1, sizeof(*pending));
	if (!pending || ipcfs_pending_reserve(fs, file, pending, 0)) {
		free(pending);
		return NULL;
	}
	pending->owner = owner;
	pending->next = file->pending;
	file->pending = pending;
	return pending;
}

struct ipcfs_pending *ipcfs_file_take_pending(struct ipcfs_file *file, uint64_t owner)
{
	struct ipcfs_pending **link = &file->pending, *pending;

	while (*link && (*link)->owner != owner)
		link = &(*link)->next;
	pending = *link;
	if (pending)
		*link = pending->next;
	return pending;
}

void ipcfs_file_drop_pending(struct ipcfs_filesystem *fs, struct ipcfs_file *file, uint64_t owner)
{
	struct ipcfs_pending *pending = ipcfs_file_take_pending(file, owner);

	if (!pending)
		return;
	ipcfs_quota_release(fs->quota, file->opener.uid, pending->charged);
	ipcfs_text_free(&pending->text);
	free(pending);
}
