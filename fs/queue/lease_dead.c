/* SPDX-License-Identifier: MIT */
#include "fs/queue/lease_dead.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "fs/access/access.h"
#include "fs/access/caller.h"
#include "fs/queue/transfer.h"
#include "fs/request/audit_event.h"
#include "fs/request/file_check.h"
#include "fs/request/judge.h"
#include "fs/tree/hide.h"
#include "fs/wait/waits.h"

#define SEND_NS 2000000000ULL /* a broker has so long to take a message */
#define SEND_STEP_MS 50	      /* between two looks whether the caller is gone */

/* Returns whether the path begins with this word and a slash; then steps behind them. */
static bool step(const char **path, const char *word)
{
	size_t size = strlen(word);

	if (strncmp(*path, word, size) != 0 || (*path)[size] != '/')
		return false;
	*path += size + 1;
	return true;
}

/* Returns the class of queues of the path, and in *name the object's name. NULL: there is none. */
static const struct ipcfs_class *class_of(const char *path, const char **name)
{
	for (size_t i = 0; ipcfs_classes[i]; i++) {
		*name = path;
		if (ipcfs_classes[i]->queue && step(name, ipcfs_classes[i]->family) &&
		    step(name, ipcfs_classes[i]->name))
			return ipcfs_classes[i];
	}
	return NULL;
}

/*
 * Finds the queue as a lookup by the caller does. *object is a reference.
 * -ENOENT: there is none, or it is hidden from the caller.
 * -ENOMEM, and the errors of find.
 */
static int find_queue(fuse_req_t req, const struct ipcfs_class *class, struct ipcfs_space *space,
		      const char *name, struct ipcfs_object **object)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_caller caller = ipcfs_request_caller(req);
	struct ipcfs_info info;
	int err = class->find(space, name, &info);

	if (!err)
		err = ipcfs_hide_check(fs, space, class, &info, &caller);
	ipcfs_caller_free(&caller);
	if (err)
		return err;
	*object = ipcfs_object_get(&fs->objects, space, class, &info.ref);
	return *object ? 0 : -ENOMEM;
}

/* Judges the caller as one that opens the queue for sending, and reports to the audit. */
static int check_sender(fuse_req_t req, const struct ipcfs_file *file,
			const struct ipcfs_object *object)
{
	const struct ipcfs_node msg = {
		.key = { .kind = IPCFS_NODE_MSG, .view = file->key.view, .object = object->number },
	};

	return ipcfs_judge_node(req, IPCFS_AUDIT_OPEN, &msg, IPCFS_WANT_WRITE);
}

/*
 * Waits for what becomes of a message that the class has taken over, but not after the caller was
 * killed. The class forgets the message then, if it does not know: it may be sent or not.
 * -EHOSTDOWN: it did not know in time.
 * -EINTR: the caller was killed.
 * Errors of `sent`.
 */
static int await_sent(fuse_req_t req, const struct ipcfs_queue_ops *queue, int handle,
		      uint64_t token)
{
	struct pollfd writable = { .fd = handle, .events = POLLOUT };
	uint64_t end = ipcfs_clock_ns() + SEND_NS;
	bool killed = false;
	int err;

	while ((err = queue->sent(handle, token)) == -EINPROGRESS && !killed &&
	       ipcfs_clock_ns() < end) {
		killed = fuse_req_interrupted(req) && ipcfs_caller_ends(fuse_req_ctx(req)->pid);
		(void)poll(&writable, 1, SEND_STEP_MS); /* whatever it says: `sent` tells */
	}
	if (err == -EINPROGRESS || err == -EAGAIN || err == -EHOSTDOWN)
		queue->unsend(handle, token);
	if (err == -EINPROGRESS)
		return killed ? -EINTR : -EHOSTDOWN;
	return err;
}

/* Sends by a handle, without overtaking those who wait to send. Errors as send_now. */
static int send_by(fuse_req_t req, const struct ipcfs_object *object, int handle,
		   struct ipcfs_message *message, size_t size)
{
	const struct ipcfs_queue_ops *queue = object->class->queue;
	int err;

	if (object->waits.parked[IPCFS_SEND])
		return -EAGAIN;
	err = queue->send(handle, message, size, false);
	if (err == -EINPROGRESS)
		err = await_sent(req, queue, handle, message->token);
	return err == -ENOBUFS ? -EAGAIN : err;
}

/*
 * Sends one message without waiting for room, and without overtaking those who wait to send.
 * -EAGAIN: the queue has no room.
 * -ENOMEM, and the errors of send and await_sent.
 */
static int send_now(fuse_req_t req, struct ipcfs_object *object, long type,
		    const struct ipcfs_text *text)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_text buffer = { 0 };
	struct ipcfs_message *message = ipcfs_transfer_message(&buffer, text->size);
	int handle, err;

	if (!message)
		return -ENOMEM;
	message->type = type;
	if (text->size)
		memcpy(message->text, text->data, text->size);
	buffer.size = sizeof(*message) + text->size;
	err = ipcfs_object_open(&fs->objects, object, IPCFS_SEND, &handle);
	if (!err) {
		err = send_by(req, object, handle, message, text->size);
		ipcfs_object_close(&fs->objects, object, IPCFS_SEND);
	}
	ipcfs_text_free(&buffer);
	if (err)
		return err;
	ipcfs_transfer_count(object, IPCFS_MOVE_SENT);
	ipcfs_waits_check_pollers(fs->waits, object);
	return 0;
}

/* Finds the queue, judges the caller and sends. Call in the namespace of the queue. */
static int send_to(fuse_req_t req, const struct ipcfs_file *file, long type,
		   const struct ipcfs_text *text, const struct ipcfs_class *class, const char *name)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	const struct ipcfs_view *view = ipcfs_view_at(fs->registry, file->key.view);
	struct ipcfs_object *object;
	int err = find_queue(req, class, ipcfs_view_space(view, class), name, &object);

	if (err)
		return err;
	err = check_sender(req, file, object);
	if (!err)
		err = send_now(req, object, type, text);
	ipcfs_object_unref(&fs->objects, object);
	return err == -ESTALE || err == -EIDRM ? -ENOENT : err;
}

/* Returns the type in a queue of class `to` of a message that has this type in class `from`. */
static long type_in(const struct ipcfs_class *to, const struct ipcfs_class *from, long type)
{
	const struct ipcfs_queue_ops *queue = to->queue;
	bool has = type >= queue->type_min && type <= queue->type_max;

	return !has || type == from->queue->type_plain ? queue->type_plain : type;
}

int ipcfs_lease_dead(fuse_req_t req, struct ipcfs_file *file, long type,
		     const struct ipcfs_text *text, const char *path)
{
	const struct ipcfs_view *view = ipcfs_view_at(ipcfs_of(req)->registry, file->key.view);
	const struct ipcfs_space *before;
	const struct ipcfs_class *class;
	const char *name;
	int err = ipcfs_file_check_writer(req, file);

	if (err)
		return err;
	class = class_of(path, &name);
	if (!class)
		return -ENOENT;
	err = ipcfs_space_enter(class->bound ? ipcfs_view_space(view, class) : NULL, &before);
	if (err)
		return err;
	type = type_in(class, ipcfs_file_object(ipcfs_of(req), file)->class, type);
	err = send_to(req, file, type, text, class, name);
	ipcfs_space_leave(before);
	return err;
}
