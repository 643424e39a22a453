/* SPDX-License-Identifier: MIT */
#include "backends/amqp/helper/lease.h"

#include <errno.h>

#include "backends/amqp/helper/consume.h"

void ipcfs_amqp_lease_take(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			   uint64_t number)
{
	struct ipcfs_amqp_queue *holder = ipcfs_amqp_queue_holder(helper, queue->number, number);
	struct ipcfs_amqp_queue *next;

	if (number > helper->last_message)
		ipcfs_amqp_fail(helper, -EPROTO, "a message that never came is leased");
	if (holder != queue)
		return; /* it came while the queue changed its channel, or the broker has it again */
	next = ipcfs_amqp_queue_spare(helper, queue->number);
	if (!next)
		next = ipcfs_amqp_queue_more(helper, queue->number, queue->name);
	if (!next)
		return; /* it shares the channel */
	next->spare = false;
	queue->leases = true;
	ipcfs_amqp_consume_move(helper, queue, next);
}

static void say_lost(struct ipcfs_amqp_helper *helper, const struct ipcfs_amqp_queue *queue,
		     int error, amqp_bytes_t text)
{
	char line[IPCFS_AMQP_REASON_SIZE];
	struct ipcfs_amqp_record record = {
		.type = IPCFS_AMQP_LOST,
		.queue = queue->number,
		.error = error,
		.text = ipcfs_amqp_printable(text, line, sizeof(line)),
	};

	for (const struct ipcfs_amqp_held *held = queue->held; held; held = held->next) {
		record.number = held->number;
		ipcfs_amqp_tell(helper, &record, line, NULL);
	}
}

bool ipcfs_amqp_lease_closed(struct ipcfs_amqp_helper *helper, struct ipcfs_amqp_queue *queue,
			     int error, amqp_bytes_t text)
{
	bool waits = queue->gets || queue->unwanted; /* for an answer that does not come any more */

	if (!(queue->leases || queue->spare) || waits)
		return false;
	say_lost(helper, queue, error, text);
	ipcfs_amqp_queue_free(helper, queue);
	return true;
}
