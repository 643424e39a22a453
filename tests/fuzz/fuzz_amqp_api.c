/* SPDX-License-Identifier: MIT */
/* Any answer of a management API: queues fit into a record, and details are legal ones. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backends/amqp/helper/api_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

/* For ipcfs_amqp_api_page. */
static int add(void *arg, const struct ipcfs_amqp_listed *queue)
{
	static char list[IPCFS_AMQP_INLINE_MAX];
	const char *at = list;
	struct ipcfs_amqp_listed got;
	uint32_t used = 0;

	(void)arg;
	require(!ipcfs_amqp_listed_add(list, &used, queue));
	require(ipcfs_amqp_listed_next(&at, list + used, &got) == 1 && at == list + used);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ipcfs_amqp_packet packet;
	const char *text = (const char *)data;
	uint64_t pages;

	(void)ipcfs_amqp_api_page(text, size, &pages, add, NULL);
	packet = (struct ipcfs_amqp_packet){ .record = { .type = IPCFS_AMQP_DETAILS, .number = 1 },
					     .descriptor = -1 };
	if (!ipcfs_amqp_api_details(text, size, packet.bytes, &packet.record.text))
		require(ipcfs_amqp_is_legal(&packet, sizeof(packet.record) + packet.record.text,
					    IPCFS_AMQP_FROM_HELPER));
	return 0;
}
