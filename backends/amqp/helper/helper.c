/* SPDX-License-Identifier: MIT */
#include "backends/amqp/helper/helper.h"

#include <errno.h>
#include <string.h>

void ipcfs_amqp_fail(struct ipcfs_amqp_helper *helper, int error, const char *reason)
{
	if (helper->error)
		return;
	helper->error = error;
	(void)ipcfs_amqp_printable(amqp_cstring_bytes(reason), helper->reason,
				   sizeof(helper->reason));
}

void ipcfs_amqp_tell(struct ipcfs_amqp_helper *helper, const struct ipcfs_amqp_record *record,
		     const void *text, const void *body)
{
	int err;

	if (helper->error)
		return;
	err = ipcfs_amqp_send_daemon(record, text, body);
	if (err)
		ipcfs_amqp_fail(helper, err, "can't send to the daemon");
}

void ipcfs_amqp_method(struct ipcfs_amqp_helper *helper, amqp_channel_t channel,
		       amqp_method_number_t id, void *method)
{
	int status;

	if (helper->error)
		return;
	status = amqp_send_method(helper->connection, channel, id, method);
	if (status != AMQP_STATUS_OK)
		ipcfs_amqp_fail(helper, -EHOSTDOWN, amqp_error_string2(status));
}

void ipcfs_amqp_channel_open(struct ipcfs_amqp_helper *helper, amqp_channel_t channel)
{
	amqp_channel_open_t open = { .out_of_band = amqp_empty_bytes };

	ipcfs_amqp_method(helper, channel, AMQP_CHANNEL_OPEN_METHOD, &open);
}

void ipcfs_amqp_channel_close(struct ipcfs_amqp_helper *helper, amqp_channel_t channel)
{
	amqp_channel_close_t close = { .reply_code = AMQP_REPLY_SUCCESS,
				       .reply_text = amqp_empty_bytes };

	ipcfs_amqp_method(helper, channel, AMQP_CHANNEL_CLOSE_METHOD, &close);
}

void ipcfs_amqp_channel_closed(struct ipcfs_amqp_helper *helper, amqp_channel_t channel)
{
	amqp_channel_close_ok_t ok = { 0 };

	ipcfs_amqp_method(helper, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
}

static bool begins_with(amqp_bytes_t text, const char *start)
{
	size_t length = strlen(start);

	return text.len >= length && !memcmp(text.bytes, start, length);
}

int ipcfs_amqp_reply_error(unsigned code, amqp_bytes_t text)
{
	switch (code) {
	case AMQP_NOT_FOUND:
		/* Otherwise the home node is down, or the queue's process has stopped. */
		return begins_with(text, "NOT_FOUND - no queue") ? -ENOENT : -EHOSTDOWN;
	case AMQP_ACCESS_REFUSED:
	case AMQP_NOT_ALLOWED:
		return -EACCES;
	case AMQP_RESOURCE_LOCKED:
		return -EBUSY;
	case AMQP_PRECONDITION_FAILED:
		return begins_with(text, "PRECONDITION_FAILED - delivery acknowledgement")
			       ? -ETIMEDOUT
			       : -EINVAL;
	default:
		return -EIO;
	}
}

uint32_t ipcfs_amqp_printable(amqp_bytes_t bytes, char *line, size_t capacity)
{
	return ipcfs_amqp_to_printable(bytes.bytes, bytes.len, line, capacity);
}
