/* SPDX-License-Identifier: MIT */
/* Any record of either direction: a legal one has texts and sizes within its packet. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backends/amqp/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

/* Strings of a legal text are the text, one after the other. */
static void check_strings(const struct ipcfs_amqp_packet *packet)
{
	const char *strings[IPCFS_AMQP_LOGIN_STRINGS];
	char text[IPCFS_AMQP_TEXT_MAX];
	uint32_t size = 0;

	for (size_t count = 1; count <= IPCFS_AMQP_LOGIN_STRINGS; count++) {
		if (!ipcfs_amqp_strings(packet->bytes, packet->record.text, strings, count))
			continue;
		for (size_t i = 0; i < count; i++)
			require(!ipcfs_amqp_string_add(text, &size, strings[i]));
		require(size == packet->record.text && !memcmp(text, packet->bytes, size));
	}
}

/* The queues of a legal list are the list, one after the other. */
static void check_list(const struct ipcfs_amqp_packet *packet)
{
	static char list[IPCFS_AMQP_INLINE_MAX];
	const char *at = packet->bytes, *end = at + packet->record.body;
	struct ipcfs_amqp_listed queue;
	uint32_t size = 0;

	while (ipcfs_amqp_listed_next(&at, end, &queue) == 1) {
		require(*queue.name);
		require(!ipcfs_amqp_listed_add(list, &size, &queue));
	}
	require(at == end && size == packet->record.body && !memcmp(list, packet->bytes, size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ipcfs_amqp_packet packet;
	static char body[IPCFS_AMQP_INLINE_MAX];
	const struct ipcfs_amqp_record *record = &packet.record;
	enum ipcfs_amqp_direction direction;
	size_t first;

	if (size < 1 || size > sizeof(*record) + sizeof(packet.bytes))
		return 0;
	direction = data[0] & 1 ? IPCFS_AMQP_FROM_HELPER : IPCFS_AMQP_FROM_DAEMON;
	data++, size--;
	memset(&packet.record, 0, sizeof(packet.record));
	first = size < sizeof(*record) ? size : sizeof(*record);
	memcpy(&packet.record, data, first);
	memcpy(packet.bytes, data + first, size - first);
	packet.descriptor = -1;
	if (!ipcfs_amqp_is_legal(&packet, size, direction))
		return 0;
	require(!ipcfs_amqp_is_legal(&packet, size, !direction));
	require(sizeof(*record) + record->text + record->body == size && record->error <= 0);
	require(!ipcfs_amqp_body(&packet, body));
	if (record->type == IPCFS_AMQP_LOGIN || record->type == IPCFS_AMQP_MAKE)
		check_strings(&packet);
	if (record->type == IPCFS_AMQP_LISTED)
		check_list(&packet);
	return 0;
}
