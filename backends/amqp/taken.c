/* SPDX-License-Identifier: MIT */
/* Messages that readers have taken: confirmed, given back or leased. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "backends/amqp/connection.h"
#include "backends/amqp/handle.h"

void ipcfs_amqp_taken_free(struct ipcfs_amqp_handle *handle, struct ipcfs_amqp_delivery *delivery)
{
	DL_DELETE(handle->taken, delivery);
	ipcfs_amqp_delivery_free(handle, delivery);
}

/* Returns what a reader has taken by this token. NULL: the broker has it again. */
static struct ipcfs_amqp_delivery *taken_by(const struct ipcfs_amqp_handle *handle, uint64_t token)
{
	struct ipcfs_amqp_delivery *delivery;

	DL_SEARCH_SCALAR(handle->taken, delivery, token, token);
	return delivery;
}

/* Does with a message what the token says, without waiting. -ESTALE: the broker has it already. */
static int settle_now(int number, uint64_t token, enum ipcfs_amqp_type type)
{
	struct ipcfs_amqp_handle *handle = ipcfs_amqp_enter(number);
	struct ipcfs_amqp_delivery *delivery = taken_by(handle, token);
	int err = delivery && !delivery->error ? 0 : -ESTALE;

	if (!err)
		ipcfs_amqp_settle(handle, type, delivery->number);
	if (delivery)
		ipcfs_amqp_taken_free(handle, delivery);
	ipcfs_amqp_leave(handle);
	return err;
}

int ipcfs_amqp_confirm(int number, uint64_t token)
{
	return settle_now(number, token, IPCFS_AMQP_ACK);
}

void ipcfs_amqp_give_back(int number, uint64_t token)
{
	(void)settle_now(number, token, IPCFS_AMQP_BACK); /* stale: the broker has it */
}

/* Returns how often the broker has handed out a message, with this time. 0: it has not said. */
static uint64_t handed_out(const struct ipcfs_amqp_delivery *delivery)
{
	static const char header[] = "header.x-delivery-count=";
	const char *line = delivery->properties;
	long count;

	while (line && strncmp(line, header, sizeof(header) - 1) != 0) {
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	if (line) {
		count = strtol(line + sizeof(header) - 1, NULL, 10);
		return count >= 0 && count < LONG_MAX ? (uint64_t)count + 1 : 0;
	}
	return delivery->redelivered ? 0 : 1;
}

/* Appends what is known about a message. -ENOMEM. */
static int describe(const struct ipcfs_amqp_delivery *delivery, struct ipcfs_text *about)
{
	int err = ipcfs_text_printf(about, "redelivered=%s\npriority=%u\n",
				    delivery->redelivered ? "yes" : "no", delivery->priority);

	if (!err && delivery->properties)
		err = ipcfs_text_add(about, delivery->properties, strlen(delivery->properties));
	return err;
}

int ipcfs_amqp_lease(int number, uint64_t token, struct ipcfs_text *about, uint64_t *deliveries)
{
	struct ipcfs_amqp_handle *handle = ipcfs_amqp_enter(number);
	struct ipcfs_amqp_delivery *delivery = taken_by(handle, token);
	struct ipcfs_amqp_record record = { .type = IPCFS_AMQP_LEASE };
	int err = delivery ? 0 : -EHOSTDOWN;

	if (!err && handle->connection->leases >= IPCFS_AMQP_LEASES_MAX)
		err = -EMFILE;
	if (!err)
		err = describe(delivery, about);
	if (!err) {
		record.number = delivery->number;
		err = ipcfs_amqp_tell(handle, &record, NULL);
	}
	if (!err) {
		*deliveries = handed_out(delivery);
		delivery->leased = true;
		handle->connection->leases++;
	}
	ipcfs_amqp_leave(handle);
	return err;
}

/* Tells ipcfs-amqp what settles a lease, if that was not done. As `settle`. */
static int settle_lease(struct ipcfs_amqp_handle *handle, struct ipcfs_amqp_delivery *delivery,
			enum ipcfs_amqp_type type)
{
	const struct ipcfs_amqp_record record = {
		.type = (uint8_t)type,
		.flags = IPCFS_AMQP_TELL,
		.number = delivery->number,
	};

	if (delivery->settled)
		return 0;
	if (delivery->error)
		return delivery->error;
	if (!delivery->settling && ipcfs_amqp_tell(handle, &record, NULL))
		return -ESTALE;
	if (!delivery->settling && type == IPCFS_AMQP_BACK)
		handle->connection->returned++;
	delivery->settling = true;
	ipcfs_amqp_unready(handle);
	return -EINPROGRESS;
}

int ipcfs_amqp_lease_settle(int number, uint64_t token, enum ipcfs_settlement how)
{
	static const enum ipcfs_amqp_type types[] = {
		[IPCFS_SETTLE_DONE] = IPCFS_AMQP_ACK,
		[IPCFS_SETTLE_AGAIN] = IPCFS_AMQP_BACK,
		[IPCFS_SETTLE_DEAD] = IPCFS_AMQP_DEAD,
	};
	struct ipcfs_amqp_handle *handle = ipcfs_amqp_enter(number);
	struct ipcfs_amqp_delivery *delivery = taken_by(handle, token);
	int err = handle->queue->gone ? -EIDRM : -ESTALE;

	if (delivery && !handle->queue->gone)
		err = settle_lease(handle, delivery, types[how]);
	if (delivery && err != -EINPROGRESS)
		ipcfs_amqp_taken_free(handle, delivery);
	ipcfs_amqp_leave(handle);
	return err;
}
