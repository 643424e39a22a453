/* SPDX-License-Identifier: MIT */
#include "fs/request/file_saved.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/contract/layout.h"
#include "fs/base/effects.h"
#include "fs/base/ledger.h"
#include "fs/request/lease_item.h"

/*
 * The entry of a file: this; the opener's groups and map of ids; the text; the readers; the
 * bytes of the last READ; and for each owner of pending bytes a struct pending_entry and the bytes.
 */
struct file_entry {
	uint64_t number, node, request, since;
	struct ipcfs_caller opener;		      /* its addresses mean nothing */
	uint64_t map, text, readers, answer, pending; /* bytes, and the number of owners */
	struct ipcfs_done done;			      /* its address means nothing */
	uint64_t at, message, left, end, ended;
	struct ipcfs_lease lease; /* its addresses mean nothing */
	uint32_t generation;
	int32_t backing;
	bool reads, writes, opened, eof_next, counted, leased;
};

struct pending_entry {
	uint64_t owner, size;
	bool refused, nonblock;
};

uint64_t ipcfs_file_layout(uint64_t hash)
{
	const uint64_t numbers[] = {
		sizeof(struct file_entry),
		offsetof(struct file_entry, node),
		offsetof(struct file_entry, since),
		offsetof(struct file_entry, opener),
		offsetof(struct file_entry, map),
		offsetof(struct file_entry, text),
		offsetof(struct file_entry, readers),
		offsetof(struct file_entry, answer),
		offsetof(struct file_entry, pending),
		offsetof(struct file_entry, done),
		offsetof(struct file_entry, at),
		offsetof(struct file_entry, message),
		offsetof(struct file_entry, left),
		offsetof(struct file_entry, end),
		offsetof(struct file_entry, ended),
		offsetof(struct file_entry, lease),
		offsetof(struct file_entry, generation),
		offsetof(struct file_entry, backing),
		offsetof(struct file_entry, reads),
		offsetof(struct file_entry, writes),
		offsetof(struct file_entry, opened),
		offsetof(struct file_entry, eof_next),
		offsetof(struct file_entry, counted),
		offsetof(struct file_entry, leased),
		sizeof(struct ipcfs_lease),
		offsetof(struct ipcfs_lease, mark),
		offsetof(struct ipcfs_lease, size),
		offsetof(struct ipcfs_lease, kept),
		offsetof(struct ipcfs_lease, token),
		offsetof(struct ipcfs_lease, deliveries),
		offsetof(struct ipcfs_lease, node),
		offsetof(struct ipcfs_lease_holder, taker),
		offsetof(struct ipcfs_lease_holder, uid),
		offsetof(struct ipcfs_lease_holder, since),
		offsetof(struct ipcfs_message_mark, size),
		offsetof(struct ipcfs_message_mark, hash),
		sizeof(struct pending_entry),
		offsetof(struct pending_entry, size),
		offsetof(struct pending_entry, refused),
		offsetof(struct pending_entry, nonblock),
		offsetof(struct ipcfs_caller, before),
		offsetof(struct ipcfs_caller, loaded),
		offsetof(struct ipcfs_caller, caps),
		offsetof(struct ipcfs_caller, user_ns),
		offsetof(struct ipcfs_caller, ngroups),
		offsetof(struct ipcfs_id_map, ranges),
		sizeof(struct ipcfs_id_range),
		IPCFS_DONE_MAX,
		offsetof(struct ipcfs_done, next),
		offsetof(struct ipcfs_done, read),
	};

	return ipcfs_layout_numbers(hash, numbers, sizeof(numbers) / sizeof(*numbers));
}

/* Returns whether the file has something that can't be made anew. */
static bool is_bound(const struct ipcfs_file *file)
{
	return file->segment.locks || file->events.feed || file->lines.class || file->lines.place ||
	       file->lines.ended;
}

static size_t map_bytes(const struct ipcfs_id_map *map)
{
	return map ? sizeof(*map) + (map->uids + map->gids) * sizeof(map->ranges[0]) : 0;
}

/* Returns what the entry begins with. */
static struct file_entry entry_of(const struct ipcfs_filesystem *fs, const struct ipcfs_file *file)
{
	struct file_entry entry = {
		.number = file->number,
		.node = file->node,
		.request = file->request,
		.since = file->since,
		.opener = file->opener,
		.map = map_bytes(file->opener.map),
		.text = file->text.size,
		.readers = file->queue.readers.size,
		.answer = file->done.bytes.size,
		.done = file->done,
		.at = file->at,
		.message = file->queue.message,
		.left = file->queue.left,
		.end = file->queue.end,
		.ended = file->queue.ended,
		.leased = file->queue.lease != NULL,
		.generation = ipcfs_table_generation(&fs->files, ipcfs_table_index(file->number)),
		.backing = file->segment.backing,
		.reads = file->reads,
		.writes = file->writes,
		.opened = file->opened,
		.eof_next = file->queue.eof_next,
		.counted = file->queue.counted,
	};

	if (file->queue.lease) /* its links have another lock */
		memcpy(&entry.lease, file->queue.lease, offsetof(struct ipcfs_lease, next));
	for (const struct ipcfs_pending *pending = file->pending; pending; pending = pending->next)
		entry.pending++;
	return entry;
}

/* Appends what is pending. -ENOMEM. */
static int add_pending(struct ipcfs_text *bytes, const struct ipcfs_pending *pending)
{
	int err = 0;

	for (; pending && !err; pending = pending->next) {
		const struct pending_entry entry = { .owner = pending->owner,
						     .size = pending->text.size,
						     .refused = pending->refused,
						     .nonblock = pending->nonblock };

		err = ipcfs_text_add(bytes, &entry, sizeof(entry));
		if (!err)
			err = ipcfs_text_add(bytes, pending->text.data, pending->text.size);
	}
	return err;
}

void ipcfs_file_save(struct ipcfs_filesystem *fs, const struct ipcfs_file *file)
{
	uint32_t index = ipcfs_table_index(file->number);
	struct ipcfs_text pending = { 0 };
	struct file_entry entry;
	int err;

	if (!fs->ledger)
		return;
	entry = entry_of(fs, file);
	err = is_bound(file) ? -ENOTSUP : add_pending(&pending, file->pending);
	if (!err) {
		const struct iovec parts[] = {
			{ &entry, sizeof(entry) },
			{ file->opener.groups, file->opener.ngroups * sizeof(gid_t) },
			{ file->opener.map, entry.map },
			{ file->text.data, file->text.size },
			{ file->queue.readers.data, file->queue.readers.size },
			{ file->done.bytes.data, file->done.bytes.size },
			{ pending.data, pending.size },
		};

		err = ipcfs_ledger_put(fs->ledger, IPCFS_LEDGER_FILES, index, parts, 7);
	}
	ipcfs_text_free(&pending);
	if (err) /* what is there is of before */
		ipcfs_ledger_drop(fs->ledger, IPCFS_LEDGER_FILES, index);
}

void ipcfs_file_done(struct ipcfs_filesystem *fs, struct ipcfs_file *file, ssize_t result,
		     const void *bytes)
{
	struct ipcfs_done *done = &file->done;

	if (!fs->ledger)
		return;
	done->requests[done->next].unique = ipcfs_unanswered_unique();
	done->requests[done->next].result = result;
	done->next = (done->next + 1) % IPCFS_DONE_MAX;
	ipcfs_text_cut(&done->bytes, 0);
	done->read = 0;
	/* without memory for its bytes, or beyond max_bytes, the request gets EIO */
	if (bytes && result > 0 && !ipcfs_text_add(&done->bytes, bytes, (size_t)result))
		done->read = ipcfs_unanswered_unique();
	if (ipcfs_file_charge(fs, file)) {
		ipcfs_text_free(&done->bytes);
		done->read = 0;
	}
	ipcfs_file_save(fs, file);
}

/* Finds the answer of a request that has changed the file. NULL: it has not, or long ago. */
static const int64_t *find_done(const struct ipcfs_done *done, uint64_t unique)
{
	for (unsigned i = 0; i < IPCFS_DONE_MAX; i++)
		if (done->requests[i].unique == unique)
			return &done->requests[i].result;
	return NULL;
}

bool ipcfs_file_was_done(struct ipcfs_file *file, int64_t *result, struct ipcfs_text *bytes)
{
	uint64_t unique = ipcfs_unanswered_unique();
	const int64_t *found;

	*result = -EIO;
	*bytes = (struct ipcfs_text){ 0 };
	if (!ipcfs_unanswered_is_left())
		return false;
	pthread_mutex_lock(&file->lock);
	found = find_done(&file->done, unique);
	if (found)
		*result = *found;
	if (file->done.read == unique &&
	    ipcfs_text_add(bytes, file->done.bytes.data, file->done.bytes.size))
		*result = -ENOMEM;
	pthread_mutex_unlock(&file->lock);
	if (found)
		ipcfs_effects_settle();
	return found || ipcfs_unanswered_is_lost();
}

/* Bytes of an entry that are not taken yet. */
struct rest {
	const char *bytes;
	size_t size;
};

/* Takes `size` bytes into *text. -EINVAL: there are fewer. -ENOMEM. */
static int take_text(struct rest *rest, size_t size, struct ipcfs_text *text)
{
	int err;

	if (size > rest->size)
		return -EINVAL;
	err = ipcfs_text_add(text, rest->bytes, size);
	rest->bytes += size;
	rest->size -= size;
	return err;
}

/* Takes `size` bytes. *out is for free(3), or NULL if there are none. Errors as take_text. */
static int take_array(struct rest *rest, size_t size, void **out)
{
	*out = NULL;
	if (size > rest->size)
		return -EINVAL;
	if (size)
		*out = malloc(size);
	if (size && !*out)
		return -ENOMEM;
	if (size)
		memcpy(*out, rest->bytes, size);
	rest->bytes += size;
	rest->size -= size;
	return 0;
}

static int take_pending(struct ipcfs_filesystem *fs, struct ipcfs_file *file, struct rest *rest)
{
	struct ipcfs_pending *pending;
	struct pending_entry entry;
	int err;

	if (rest->size < sizeof(entry))
		return -EINVAL;
	memcpy(&entry, rest->bytes, sizeof(entry));
	rest->bytes += sizeof(entry);
	rest->size -= sizeof(entry);
	pending = ipcfs_file_pending(fs, file, entry.owner, true);
	if (!pending)
		return -ENOMEM;
	pending->refused = entry.refused;
	pending->nonblock = entry.nonblock;
	err = ipcfs_pending_reserve(fs, file, pending, entry.size);
	return err ? err : take_text(rest, entry.size, &pending->text);
}

/* Takes what stands behind the struct of an entry. */
static int take_rest(struct ipcfs_filesystem *fs, struct ipcfs_file *file,
		     const struct file_entry *entry, struct rest *rest)
{
	void *groups, *map = NULL;
	int err;

	if (entry->opener.ngroups > rest->size / sizeof(gid_t))
		return -EINVAL;
	err = take_array(rest, entry->opener.ngroups * sizeof(gid_t), &groups);
	if (!err)
		err = take_array(rest, entry->map, &map);
	file->opener.groups = groups;
	file->opener.map = map;
	if (!err)
		err = take_text(rest, entry->text, &file->text);
	if (!err)
		err = take_text(rest, entry->readers, &file->queue.readers);
	if (!err)
		err = take_text(rest, entry->answer, &file->done.bytes);
	if (!err)
		err = ipcfs_file_charge(fs, file);
	for (uint64_t i = 0; !err && i < entry->pending; i++)
		err = take_pending(fs, file, rest);
	return err;
}

/* Makes the file, without what is behind the struct. NULL: no memory, or the opener has too many. */
static struct ipcfs_file *make(struct ipcfs_filesystem *fs, const struct file_entry *entry,
			       struct ipcfs_node *node)
{
	struct ipcfs_file *file;

	if (ipcfs_quota_open(fs->quota, entry->opener.uid))
		return NULL;
	file = ipcfs_table_restore(&fs->files, ipcfs_table_index(entry->number), entry->number,
				   entry->generation);
	if (!file) {
		ipcfs_quota_closed(fs->quota, entry->opener.uid);
		return NULL;
	}
	file->number = entry->number;
	file->request = entry->request;
	file->since = entry->since;
	file->opened = entry->opened;
	file->opener = entry->opener;
	file->opener.groups = NULL;
	file->opener.map = NULL;
	file->at = entry->at < entry->text ? entry->at : entry->text;
	file->queue.message = entry->message;
	file->queue.left = entry->left;
	file->queue.end = entry->end;
	file->queue.ended = entry->ended;
	file->queue.eof_next = entry->eof_next;
	file->queue.counted = entry->counted;
	file->segment.backing = entry->backing;
	file->done = entry->done;
	file->done.next %= IPCFS_DONE_MAX;
	file->done.bytes = (struct ipcfs_text){ 0 };
	ipcfs_file_begin(fs, file, node, entry->reads, entry->writes);
	return file;
}

/* Makes the lease of a file anew, but for its place among those of the queue. -ENOMEM. */
static int take_lease(struct ipcfs_file *file, const struct file_entry *entry)
{
	if (!entry->leased)
		return 0;
	file->queue.lease = malloc(sizeof(*file->queue.lease));
	if (!file->queue.lease)
		return -ENOMEM;
	*file->queue.lease = entry->lease;
	file->queue.lease->next = file->queue.lease->prev = NULL;
	return 0;
}

/* Makes a file anew. Returns an error if it is stale. */
static int restore(struct ipcfs_filesystem *fs, uint32_t index, const struct file_entry *entry,
		   size_t size, int (*reopen)(struct ipcfs_filesystem *fs, struct ipcfs_file *file))
{
	struct rest rest = { (const char *)(entry + 1), size - sizeof(*entry) };
	struct ipcfs_file *file;
	struct ipcfs_node *node;
	int err;

	if (size < sizeof(*entry) || ipcfs_table_index(entry->number) != index)
		return -EINVAL;
	node = ipcfs_node_at(&fs->nodes, entry->node);
	file = node ? make(fs, entry, node) : NULL;
	if (!file)
		return -ESTALE;
	err = take_lease(file, entry);
	if (!err)
		err = take_rest(fs, file, entry, &rest);
	if (!err)
		err = reopen(fs, file);
	if (!err)
		return 0;
	free(file->queue.lease);
	ipcfs_file_free(fs, file); /* drops the entry, too */
	return err;
}

struct ipcfs_file *ipcfs_file_of_request(struct ipcfs_filesystem *fs, uint64_t node)
{
	uint64_t unique = ipcfs_unanswered_is_left() ? ipcfs_unanswered_unique() : 0;

	for (uint32_t i = 1; unique && i < fs->files.used; i++) {
		struct ipcfs_file *file = ipcfs_table_at(&fs->files, i);

		if (file && file->number && file->request == unique && file->node == node)
			return file;
	}
	return NULL;
}

void ipcfs_files_restore(struct ipcfs_filesystem *fs,
			 int (*reopen)(struct ipcfs_filesystem *fs, struct ipcfs_file *file))
{
	for (uint32_t i = 0; (i = ipcfs_ledger_next(fs->ledger, IPCFS_LEDGER_FILES, i)) != 0;) {
		size_t size;
		const struct file_entry *entry = ipcfs_ledger_at(fs->ledger, IPCFS_LEDGER_FILES, i,
								 &size);

		if (restore(fs, i, entry, size, reopen))
			ipcfs_ledger_drop(fs->ledger, IPCFS_LEDGER_FILES, i);
	}
}
