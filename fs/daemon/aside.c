/* SPDX-License-Identifier: MIT */
#include "fs/daemon/aside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "fs/base/fuse_header.h"

/* Returns whether the payer may have a request of `size` bytes more in the list. */
static bool has_room(const struct ipcfs_aside *aside, size_t size, uid_t payer)
{
	const struct ipcfs_aside_request *request;
	size_t requests = 1, bytes = size;

	DL_FOREACH (aside->first, request) {
		if (request->payer != payer)
			continue;
		requests++;
		bytes += request->size;
	}
	return requests <= IPCFS_ASIDE_REQUESTS_MAX && bytes <= IPCFS_ASIDE_BYTES_MAX;
}

int ipcfs_aside_put(struct ipcfs_aside *aside, const void *request, size_t size, uid_t payer)
{
	struct ipcfs_aside_request *copy;
	struct ipcfs_fuse_header head;

	if (!has_room(aside, size, payer))
		return -EAGAIN;
	copy = malloc(sizeof(*copy) + size);
	if (!copy)
		return -ENOMEM;
	ipcfs_fuse_header_read(request, &head);
	*copy = (struct ipcfs_aside_request){ .unique = head.unique,
					      .node = head.node,
					      .payer = payer,
					      .tid = head.tid,
					      .locks = ipcfs_fuse_header_late(request, size) != 0,
					      .size = size };
	memcpy(copy->bytes, request, size);
	DL_APPEND(aside->first, copy);
	return -EINPROGRESS;
}

/* Moves a request before the long work of its payer for which no directory is locked. */
static void advance(struct ipcfs_aside *aside, struct ipcfs_aside_request *request)
{
	struct ipcfs_aside_request *other;

	DL_FOREACH (aside->first, other)
		if (other->payer == request->payer && other->is_long && !other->locks)
			break;
	DL_DELETE(aside->first, request);
	DL_PREPEND_ELEM(aside->first, other, request); /* NULL: behind all */
}

int ipcfs_aside_put_long(struct ipcfs_aside *aside, const void *request, size_t size, uid_t payer,
			 bool interrupted)
{
	struct ipcfs_aside_request *copy;
	int err = ipcfs_aside_put(aside, request, size, payer);

	if (err != -EINPROGRESS)
		return err;
	copy = aside->first->prev; /* the last one */
	copy->is_long = true;
	copy->interrupted = interrupted;
	if (copy->locks)
		advance(aside, copy);
	return err;
}

struct ipcfs_aside_request *ipcfs_aside_take(struct ipcfs_aside *aside,
					     bool (*may)(const void *arg,
							 const struct ipcfs_aside_request *request),
					     const void *arg)
{
	const struct ipcfs_aside_request *refused = NULL; /* the last long work */
	struct ipcfs_aside_request *request;

	DL_FOREACH (aside->first, request) {
		if (request->is_long && refused && request->payer == refused->payer)
			continue;
		if (!may(arg, request)) {
			refused = request->is_long ? request : refused;
			continue;
		}
		DL_DELETE(aside->first, request);
		return request;
	}
	return NULL;
}

static struct ipcfs_aside_request *find(const struct ipcfs_aside *aside, uint64_t unique)
{
	struct ipcfs_aside_request *request;

	DL_SEARCH_SCALAR(aside->first, request, unique, unique);
	return request;
}

bool ipcfs_aside_interrupt(struct ipcfs_aside *aside, uint64_t unique)
{
	struct ipcfs_aside_request *request = find(aside, unique);

	if (request)
		request->interrupted = true;
	return request != NULL;
}

static void add_due(struct ipcfs_aside_due *due, size_t *count,
		    const struct ipcfs_aside_request *request, bool overdue)
{
	due[(*count)++] = (struct ipcfs_aside_due){ .unique = request->unique,
						    .tid = request->tid,
						    .overdue = overdue };
}

/* Adds interrupted requests that were not asked about since all had their turn. */
static void add_interrupted(struct ipcfs_aside *aside, struct ipcfs_aside_due *due, size_t *count,
			    size_t max)
{
	struct ipcfs_aside_request *request;

	DL_FOREACH (aside->first, request) {
		if (!request->interrupted || request->asked)
			continue;
		if (*count == max)
			return;
		request->asked = true;
		add_due(due, count, request, false);
	}
	DL_FOREACH (aside->first, request)
		request->asked = false;
}

size_t ipcfs_aside_look(struct ipcfs_aside *aside, unsigned looks, struct ipcfs_aside_due *due,
			size_t max)
{
	struct ipcfs_aside_request *request;
	size_t count = 0;

	DL_FOREACH (aside->first, request)
		if (request->locks && ++request->looks >= looks && count < max)
			add_due(due, &count, request, true);
	add_interrupted(aside, due, &count, max);
	return count;
}

bool ipcfs_aside_drop(struct ipcfs_aside *aside, uint64_t unique)
{
	struct ipcfs_aside_request *request = find(aside, unique);

	if (!request)
		return false;
	DL_DELETE(aside->first, request);
	ipcfs_aside_free(request);
	return true;
}

void ipcfs_aside_free(struct ipcfs_aside_request *request)
{
	explicit_bzero(request->bytes, request->size);
	free(request);
}

void ipcfs_aside_destroy(struct ipcfs_aside *aside)
{
	struct ipcfs_aside_request *request, *next;

	DL_FOREACH_SAFE (aside->first, request, next)
		ipcfs_aside_free(request);
	aside->first = NULL;
}
