/* SPDX-License-Identifier: MIT */
#include "fs/tree/peek.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "fs/base/number.h"

/* Copies message `index` of the queue of this handle. The errors of ipcfs_peek_copy. */
static int copy_by_handle(const struct ipcfs_queue_ops *queue, int handle, size_t index,
			  struct ipcfs_text *out, long *type)
{
	struct ipcfs_text space = { 0 };
	struct ipcfs_message *message;
	struct ipcfs_info info;
	size_t capacity;
	ssize_t got;
	int err;

	if (!queue->peek)
		return -ENOENT;
	err = queue->fstat(handle, &info);
	if (err)
		return err == -EIDRM ? -ENOENT : err;
	/*
	 * msgmax or the queue's bytes may have been lowered, to 0 even, after the message was
	 * sent
	 */
	for (capacity = info.max_message;; capacity = 2 * capacity + 1) {
		ipcfs_text_free(&space);
		err = ipcfs_text_reserve(&space, sizeof(*message) + capacity + 1);
		if (err)
			return err;
		message = (struct ipcfs_message *)(void *)space.data;
		got = queue->peek(handle, index, message, capacity + 1);
		if (got <= (ssize_t)capacity || capacity > INT_MAX / 4)
			break;
	}
	if (got >= 0) {
		*type = message->type;
		err = ipcfs_text_add(out, message->text, (size_t)got);
		space.size = sizeof(*message) + (size_t)got;
	}
	ipcfs_text_free(&space);
	return got < 0 ? (int)got : err;
}

int ipcfs_peek_copy(struct ipcfs_filesystem *fs, struct ipcfs_object *object, size_t index,
		    struct ipcfs_text *out, long *type)
{
	int handle, err;

	err = ipcfs_object_open(&fs->objects, object, IPCFS_RECEIVE, &handle);
	if (err)
		return err == -EIDRM ? -ENOENT : err;
	err = copy_by_handle(object->class->queue, handle, index, out, type);
	ipcfs_object_close(&fs->objects, object, IPCFS_RECEIVE);
	return err;
}

int ipcfs_peek_size(struct ipcfs_filesystem *fs, const struct ipcfs_node_key *key, uint64_t *size)
{
	struct ipcfs_text text = { 0 };
	long type;
	int err;

	err = ipcfs_peek_copy(fs, ipcfs_object_at(&fs->objects, key->object), (size_t)key->selector,
			      &text, &type);
	*size = text.size;
	ipcfs_text_free(&text);
	if (!err && type != key->detail)
		return -ENOENT;
	return err;
}

int ipcfs_peek_parse(const char *name, size_t *index, long *type)
{
	const char *dot = strchr(name, '.');
	long number;

	if (!dot || ipcfs_number_parse(name, (size_t)(dot - name), 0, INT_MAX, &number) ||
	    ipcfs_number_parse(dot + 1, strlen(dot + 1), 1, LONG_MAX, type))
		return -ENOENT;
	*index = (size_t)number;
	return 0;
}
