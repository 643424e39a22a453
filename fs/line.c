/* SPDX-License-Identifier: MIT */
#include "line.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utlist.h>

struct ipcfs_line *ipcfs_line_get(struct ipcfs_room *room, struct ipcfs_object *object,
				  enum ipcfs_direction direction, long selector, bool alone)
{
	struct ipcfs_line *line;

	if (direction == IPCFS_SEND || !object->class->queue->typed_receive)
		selector = 0;
	for (line = alone ? NULL : object->lines; line; line = line->next_of_object)
		if (line->direction == direction && line->selector == selector)
			return line;

	line = calloc(1, sizeof(*line));
	if (!line)
		return NULL;
	/* whoever waits has the queue open, so that this only counts one more user */
	if (ipcfs_object_open(&room->fs->objects, object, direction, &line->handle)) {
		free(line);
		return NULL;
	}
	ipcfs_object_hold(&room->fs->objects, object);
	line->object = object;
	line->direction = direction;
	line->selector = selector;
	line->alone = alone;
	pthread_cond_init(&line->arrival, NULL);
	line->next_of_object = object->lines;
	object->lines = line;
	DL_APPEND(room->lines, line);
	return line;
}

void ipcfs_line_touch(struct ipcfs_room *room, struct ipcfs_line *line)
{
	if (line->dirty)
		return;
	line->dirty = true;
	line->next_dirty = room->dirty;
	room->dirty = line;
}

bool ipcfs_line_is_idle(const struct ipcfs_line *line)
{
	return !line->head && !line->pollers && !line->threaded && !line->dirty;
}

void ipcfs_line_remove(struct ipcfs_room *room, struct ipcfs_line *line)
{
	struct ipcfs_line **link = &line->object->lines;

	while (*link != line)
		link = &(*link)->next_of_object;
	*link = line->next_of_object;
	DL_DELETE(room->lines, line);
}

void ipcfs_line_free(struct ipcfs_room *room, struct ipcfs_line *line)
{
	ipcfs_object_close(&room->fs->objects, line->object, line->direction);
	ipcfs_object_put(&room->fs->objects, line->object);
	pthread_cond_destroy(&line->arrival);
	free(line);
}

void ipcfs_waiter_leave(struct ipcfs_room *room, struct ipcfs_waiter *waiter)
{
	struct ipcfs_line *line = waiter->line;

	DL_DELETE(line->head, waiter);
	waiter->line = NULL;
	waiter->busy = false;
	waiter->object->parked[waiter->direction]--;
	if (line->head)
		return;
	if (line->threaded)
		ipcfs_line_kick(room, line);
	else
		ipcfs_line_touch(room, line); /* to be freed */
}

void ipcfs_line_kick(struct ipcfs_room *room, struct ipcfs_line *line)
{
	if (!line->threaded || !line->calling)
		return;
	if (!line->kick) {
		line->kick = true;
		room->calls_to_end++;
		ipcfs_room_wake(room);
	}
	/* Too early, it finds the thread before its call: the loop thread repeats it. */
	(void)syscall(SYS_tgkill, getpid(), line->tid, SIGUSR1);
}
