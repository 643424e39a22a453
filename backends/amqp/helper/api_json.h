/* SPDX-License-Identifier: MIT */
/* Reads the answers of a management API. Pure. */
#ifndef IPCFS_AMQP_API_JSON_H
#define IPCFS_AMQP_API_JSON_H

#include "backends/amqp/records.h"

/*
 * Calls each(arg) for each queue of a page of a list, and sets *pages to their number. Queues
 * without a name, or with one that a record can't have, are left out. Ends early with the result of
 * `each` if that is not 0.
 * -EPROTO: the text is no such page.
 */
int ipcfs_amqp_api_page(const char *text, size_t size, uint64_t *pages,
			int (*each)(void *arg, const struct ipcfs_amqp_listed *queue), void *arg);

/*
 * Appends the strings of DETAILS to `strings`, which has room for them, by what is told of a queue.
 * -EPROTO: the text tells of no queue.
 * -E2BIG: there is no room.
 */
int ipcfs_amqp_api_details(const char *text, size_t size, char strings[IPCFS_AMQP_TEXT_MAX],
			   uint32_t *used);

#endif
