/* SPDX-License-Identifier: MIT */
#include "fs/tree/file_kinds.h"

#include <sys/stat.h>

#define OBJECT IPCFS_NODE_OBJECT
#define SELECTED IPCFS_NODE_SELECTED
#define SEMAPHORE IPCFS_NODE_SEMAPHORE
#define QUEUE IPCFS_HAS_QUEUE
#define TYPES IPCFS_HAS_TYPES
#define ONE IPCFS_HAS_ONE_SEMAPHORE
#define SETS IPCFS_HAS_SETS
#define LEASES IPCFS_HAS_LEASES
#define HAS_WAITS IPCFS_HAS_WAITS

#define DIRECTORY .type = S_IFDIR
#define LINK .type = S_IFLNK, .mode = 0777
#define CHANNEL .group = IPCFS_GROUP_QUEUE, .type = S_IFREG
#define OPERATION .group = IPCFS_GROUP_SEMAPHORE, .type = S_IFREG, .mode = 0666
#define CONTROL .group = IPCFS_GROUP_CONTROL, .type = S_IFREG

#define SIZELESS IPCFS_FILE_SIZELESS
#define STREAM (IPCFS_FILE_SIZELESS | IPCFS_FILE_STREAM)
#define COMPLETES IPCFS_FILE_CLOSE_COMPLETES
#define WAITS IPCFS_FILE_WRITE_WAITS
#define TIMED IPCFS_FILE_TIMED

/* The rows stand in the order of the enum, in which a directory lists its files. */
const struct ipcfs_file_kind ipcfs_file_kinds[IPCFS_NODE_KINDS] = {
	[IPCFS_NODE_ROOT] = { .name = "", DIRECTORY, .mode = 0555 },
	[IPCFS_NODE_NAMESPACES] = { "ns", { { IPCFS_NODE_ROOT, 0 } }, DIRECTORY, .mode = 0555 },
	[IPCFS_NODE_PROCESSES] = { "pid", { { IPCFS_NODE_ROOT, 0 } }, DIRECTORY, .mode = 0555 },
	[IPCFS_NODE_PROCESS] = { LINK, .traits = IPCFS_FILE_PER_CALLER },
	[IPCFS_NODE_SELF] = { "self", { { IPCFS_NODE_ROOT, 0 } }, LINK },
	[IPCFS_NODE_INTO_SELF] = { LINK },

	[IPCFS_NODE_TREE] = { DIRECTORY, .mode = 0555, .traits = IPCFS_FILE_PER_CALLER },
	[IPCFS_NODE_CREATE] = { "create",
				{ { IPCFS_NODE_TREE, 0 } },
				CONTROL,
				.mode = 0666,
				.traits = STREAM | WAITS | IPCFS_FILE_WRITER_JUDGED |
					  IPCFS_FILE_IN_NAMESPACE },
	[IPCFS_NODE_LIMITS] = { "limits", { { IPCFS_NODE_TREE, 0 } }, DIRECTORY, .mode = 0555 },
	[IPCFS_NODE_LIMIT] = { CONTROL, .mode = 0644,
			       .traits = SIZELESS | WAITS | IPCFS_FILE_WRITER_JUDGED |
					 IPCFS_FILE_IN_NAMESPACE },
	[IPCFS_NODE_OBJECTS] = { "objects",
				 { { IPCFS_NODE_TREE, 0 } },
				 CONTROL,
				 .mode = 0444,
				 .traits = STREAM | IPCFS_FILE_IN_NAMESPACE },
	[IPCFS_NODE_METRICS] = { "metrics",
				 { { IPCFS_NODE_TREE, 0 } },
				 CONTROL,
				 .mode = 0444,
				 .traits = STREAM | IPCFS_FILE_IN_NAMESPACE },
	[IPCFS_NODE_EVENTS] = { "events",
				{ { IPCFS_NODE_TREE, 0 } },
				.group = IPCFS_GROUP_EVENTS,
				.type = S_IFREG,
				.mode = 0444,
				.traits = STREAM | IPCFS_FILE_IN_NAMESPACE },
	[IPCFS_NODE_POSIX] = { "posix", { { IPCFS_NODE_TREE, 0 } }, DIRECTORY, .mode = 0555 },
	[IPCFS_NODE_SYSV] = { "sysv", { { IPCFS_NODE_TREE, 0 } }, DIRECTORY, .mode = 0555 },
	[IPCFS_NODE_AMQP] = { "amqp", { { IPCFS_NODE_TREE, 0 } }, DIRECTORY, .mode = 0555 },
	[IPCFS_NODE_AMQP_STATUS] = { "status",
				     { { IPCFS_NODE_AMQP, 0 } },
				     CONTROL,
				     .mode = 0444,
				     .traits = SIZELESS },
	[IPCFS_NODE_CLASS] = { DIRECTORY, .mode = 01777, .traits = IPCFS_FILE_IN_NAMESPACE },
	[IPCFS_NODE_BY_ID] = { "by-id", { { IPCFS_NODE_SYSV, 0 } }, DIRECTORY, .mode = 0555 },
	[IPCFS_NODE_IDS] = { DIRECTORY, .mode = 0555, .traits = IPCFS_FILE_IN_NAMESPACE },

	[IPCFS_NODE_ID_LINK] = { LINK },
	[IPCFS_NODE_OBJECT] = { DIRECTORY, .mode = 0666, .traits = IPCFS_FILE_OBJECT_SIZE },
	[IPCFS_NODE_TYPES] = { "type", { { OBJECT, TYPES } }, DIRECTORY, .mode = 0666 },
	[IPCFS_NODE_PRIORITIES] = { "prio",
				    { { OBJECT, IPCFS_HAS_PRIORITIES } },
				    DIRECTORY,
				    .mode = 0666 },
	[IPCFS_NODE_SELECTED] = { DIRECTORY, .mode = 0666 },
	[IPCFS_NODE_WITHIN] = { "within",
				{ { OBJECT, HAS_WAITS }, { SELECTED, 0 }, { SEMAPHORE, 0 } },
				DIRECTORY,
				.mode = 0666,
				.traits = IPCFS_FILE_NAME_STAYS },
	[IPCFS_NODE_TIMED] = { DIRECTORY, .mode = 0666, .traits = IPCFS_FILE_NAME_STAYS },
	[IPCFS_NODE_MSG] = { "msg",
			     { { OBJECT, QUEUE }, { SELECTED, QUEUE } },
			     CHANNEL,
			     .mode = 0666,
			     .traits = STREAM | COMPLETES | TIMED },
	[IPCFS_NODE_LINES] = { "lines",
			       { { OBJECT, QUEUE }, { SELECTED, QUEUE } },
			       CHANNEL,
			       .mode = 0666,
			       .traits = STREAM | COMPLETES | WAITS | TIMED },
	[IPCFS_NODE_TAGGED] = { "tagged",
				{ { OBJECT, QUEUE }, { SELECTED, TYPES } },
				CHANNEL,
				.mode = 0666,
				.traits = STREAM | COMPLETES | WAITS | TIMED },
	[IPCFS_NODE_PACKETS] = { "packets",
				 { { OBJECT, QUEUE }, { SELECTED, QUEUE } },
				 CHANNEL,
				 .mode = 0666,
				 .traits = STREAM | WAITS | TIMED },
	[IPCFS_NODE_RECORDS] = { "records",
				 { { OBJECT, QUEUE }, { SELECTED, TYPES } },
				 CHANNEL,
				 .mode = 0666,
				 .traits = STREAM | COMPLETES | WAITS | TIMED },
	[IPCFS_NODE_LEASE] = { "lease",
			       { { OBJECT, LEASES }, { SELECTED, TYPES | LEASES } },
			       CHANNEL,
			       .mode = 0666,
			       .traits = STREAM | WAITS | TIMED | IPCFS_FILE_READERS_WRITE },
	[IPCFS_NODE_DRAIN] = { "drain",
			       { { OBJECT, QUEUE }, { SELECTED, TYPES } },
			       CHANNEL,
			       .mode = 0444,
			       .traits = STREAM },
	[IPCFS_NODE_STATUS] = { "status",
				{ { OBJECT, 0 } },
				CONTROL,
				.mode = 0444,
				.traits = IPCFS_FILE_TEXT_SIZE | IPCFS_FILE_OWN_MODE },
	[IPCFS_NODE_USERS] = { "users",
			       { { OBJECT, 0 } },
			       CONTROL,
			       .mode = 0444,
			       .traits = STREAM | IPCFS_FILE_OWN_MODE },
	[IPCFS_NODE_MAX_BYTES] = { "qbytes",
				   { { OBJECT, IPCFS_HAS_MAX_BYTES } },
				   CONTROL,
				   .mode = 0644,
				   .traits = SIZELESS | WAITS | IPCFS_FILE_OWN_MODE |
					     IPCFS_FILE_WRITER_JUDGED },
	[IPCFS_NODE_PEEKS] = { "peek",
			       { { OBJECT, IPCFS_HAS_PEEK } },
			       DIRECTORY,
			       .mode = 0666,
			       .traits = IPCFS_FILE_READERS_ONLY },
	[IPCFS_NODE_PEEK] = { CONTROL, .mode = 0444,
			      .traits = IPCFS_FILE_OBJECT_SIZE | IPCFS_FILE_READERS_ONLY },
	[IPCFS_NODE_DATA] = { "data",
			      { { OBJECT, IPCFS_HAS_SEGMENT } },
			      .group = IPCFS_GROUP_SEGMENT,
			      .type = S_IFREG,
			      .mode = 0666,
			      .traits = IPCFS_FILE_OBJECT_SIZE },

	[IPCFS_NODE_SEMAPHORE] = { DIRECTORY, .mode = 0666 },
	[IPCFS_NODE_VALUE] = { "value",
			       { { OBJECT, ONE }, { SEMAPHORE, 0 } },
			       OPERATION,
			       .traits = SIZELESS | WAITS },
	[IPCFS_NODE_WAIT] = { "wait",
			      { { OBJECT, ONE }, { SEMAPHORE, 0 } },
			      OPERATION,
			      .traits = SIZELESS | WAITS | TIMED },
	[IPCFS_NODE_TRYWAIT] = { "trywait",
				 { { OBJECT, ONE }, { SEMAPHORE, 0 } },
				 OPERATION,
				 .traits = SIZELESS | WAITS },
	[IPCFS_NODE_POST] = { "post",
			      { { OBJECT, ONE }, { SEMAPHORE, 0 } },
			      OPERATION,
			      .traits = SIZELESS | WAITS },
	[IPCFS_NODE_ZERO] = { "zero",
			      { { SEMAPHORE, 0 } },
			      OPERATION,
			      .traits = SIZELESS | WAITS | TIMED },
	[IPCFS_NODE_HOLD] = { "hold",
			      { { OBJECT, ONE }, { SEMAPHORE, 0 } },
			      OPERATION,
			      .traits = SIZELESS | IPCFS_FILE_OPEN_TAKES | TIMED },
	[IPCFS_NODE_TRYHOLD] = { "tryhold",
				 { { OBJECT, ONE }, { SEMAPHORE, 0 } },
				 OPERATION,
				 .traits = SIZELESS | IPCFS_FILE_OPEN_TAKES },
	[IPCFS_NODE_MONITOR] = { "monitor",
				 { { OBJECT, ONE }, { SEMAPHORE, 0 } },
				 OPERATION,
				 .traits = SIZELESS | WAITS | TIMED | IPCFS_FILE_OPEN_TAKES },
	[IPCFS_NODE_VALUES] = { "values",
				{ { OBJECT, SETS } },
				OPERATION,
				.traits = SIZELESS | COMPLETES | WAITS },
	[IPCFS_NODE_OP] = { "op",
			    { { OBJECT, SETS } },
			    OPERATION,
			    .traits = SIZELESS | WAITS | TIMED },
};

/* Returns what a class of queues has. */
static unsigned queue_parts(const struct ipcfs_queue_ops *queue)
{
	unsigned parts = QUEUE | (queue->peek ? IPCFS_HAS_PEEK : 0U) |
			 (ipcfs_queue_leases(queue) ? LEASES : 0U);

	return parts | (queue->typed_receive ? TYPES : IPCFS_HAS_PRIORITIES);
}

unsigned ipcfs_class_parts(const struct ipcfs_class *class)
{
	unsigned parts = 0;

	if (!class)
		return 0;
	if (class->queue)
		parts |= queue_parts(class->queue);
	if (class->change_fields & IPCFS_CHANGE_MAX_BYTES)
		parts |= IPCFS_HAS_MAX_BYTES;
	if (class->segment)
		parts |= IPCFS_HAS_SEGMENT;
	if (class->semaphore)
		parts |= class->semaphore->sets ? SETS : ONE;
	if (class->queue || class->semaphore)
		parts |= HAS_WAITS;
	return parts;
}

bool ipcfs_file_kind_stands_in(enum ipcfs_node_kind kind, enum ipcfs_node_kind directory,
			       unsigned parts)
{
	for (size_t i = 0; i < IPCFS_FILE_PLACES; i++) {
		const struct ipcfs_file_place *place = &ipcfs_file_kinds[kind].places[i];

		if (place->directory == directory && !(place->needs & ~parts))
			return directory != IPCFS_NODE_NONE;
	}
	return false;
}
