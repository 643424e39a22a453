/* SPDX-License-Identifier: MIT */
#include "fs/queue/lease_dead.h"

#include <errno.h>
#include <string.h>

#include "fs/access/access.h"
#include "fs/access/caller.h"
#include "fs/queue/transfer.h"
#include "fs/request/audit_event.h"
#include "fs/request/file_check.h"
#include "fs/request/judge.h"
#include "fs/tree/hide.h"
#include "fs/wait/waits.h"

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

/* Notes that the queue has one message more. */
static void count_sent(struct ipcfs_filesystem *fs, struct ipcfs_object *object)
{
	ipcfs_transfer_count(object, IPCFS_MOVE_SENT);
	ipcfs_waits_check_pollers(fs->waits, object);
}

/*
 * Sends by a handle, without waiting for room, and without overtaking those who wait to send.
 * -EAGAIN: the queue has no room.
 * Errors of send; -EINPROGRESS with the token in *token.
 */
static int send_by(struct ipcfs_object *object, int handle, long type,
		   const struct ipcfs_text *text, uint64_t *token)
{
	struct ipcfs_text buffer = { 0 };
	struct ipcfs_message *message = ipcfs_transfer_message(&buffer, text->size);
	int err = message ? 0 : -ENOMEM;

	if (!err && object->waits.parked[IPCFS_SEND])
		err = -EAGAIN;
	if (!err) {
		message->type = type;
		if (text->size)
			memcpy(message->text, text->data, text->size);
		buffer.size = sizeof(*message) + text->size;
		err = ipcfs_transfer_send_elsewhere(object, handle, message, text->size);
		*token = message->token;
	}
	ipcfs_text_free(&buffer);
	return err == -ENOBUFS ? -EAGAIN : err;
}

/* Sends one message. sending->object is set. Errors as ipcfs_lease_dead; then nothing is open. */
static int send_now(struct ipcfs_filesystem *fs, long type, const struct ipcfs_text *text,
		    struct ipcfs_lease_sending *sending)
{
	struct ipcfs_object *object = sending->object;
	int err = ipcfs_object_open(&fs->objects, object, IPCFS_SEND, &sending->handle);

	if (err)
		return err;
	err = send_by(object, sending->handle, type, text, &sending->token);
	if (err == -EINPROGRESS)
		return err;
	ipcfs_object_close(&fs->objects, object, IPCFS_SEND);
	if (!err)
		count_sent(fs, object);
	return err;
}

void ipcfs_lease_dead_end(struct ipcfs_filesystem *fs, struct ipcfs_lease_sending *sending, int err)
{
	if (err)
		sending->object->class->queue->unsend(sending->handle, sending->token);
	else
		count_sent(fs, sending->object);
	ipcfs_object_close(&fs->objects, sending->object, IPCFS_SEND);
	ipcfs_object_unref(&fs->objects, sending->object);
}

/* Finds the queue, judges the caller and sends. Call in the namespace of the queue. */
static int send_to(fuse_req_t req, const struct ipcfs_file *file, long type,
		   const struct ipcfs_text *text, const struct ipcfs_class *class, const char *name,
		   struct ipcfs_lease_sending *sending)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	const struct ipcfs_view *view = ipcfs_view_at(fs->registry, file->key.view);
	int err = find_queue(req, class, ipcfs_view_space(view, class), name, &sending->object);

	if (err)
		return err;
	err = check_sender(req, file, sending->object);
	if (!err)
		err = send_now(fs, type, text, sending);
	if (err != -EINPROGRESS)
		ipcfs_object_unref(&fs->objects, sending->object);
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
		     const struct ipcfs_text *text, const char *path,
		     struct ipcfs_lease_sending *sending)
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
	err = send_to(req, file, type, text, class, name, sending);
	ipcfs_space_leave(before);
	return err;
}
