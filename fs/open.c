/* SPDX-License-Identifier: MIT */
#include "open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "caller.h"
#include "decision.h"
#include "permission.h"
#include "tree.h"

#define OWNERS_MAX 1024 /* processes with something pending on one open file */

int ipcfs_open_new(struct ipcfs_filesystem *fs, fuse_req_t req, struct ipcfs_node *node, int flags,
		   struct ipcfs_open **open)
{
	const struct fuse_ctx *context = fuse_req_ctx(req);
	struct ipcfs_open *fresh;
	uint32_t index;
	int err;

	err = ipcfs_account_open(fs->account, context->uid);
	if (err)
		return err;
	fresh = ipcfs_table_new(&fs->opens, &index);
	if (!fresh) {
		ipcfs_account_closed(fs->account, context->uid);
		return -ENOMEM;
	}
	fresh->index = index;
	fresh->node = node;
	fresh->object = node->key.object;
	fresh->reads = (flags & O_ACCMODE) != O_WRONLY;
	fresh->writes = (flags & O_ACCMODE) != O_RDONLY;
	fresh->opener.uid = context->uid;
	fresh->opener.gid = context->gid;
	fresh->opener.tid = context->pid;
	fresh->since = ipcfs_caller_clock();
	fresh->gate = &fs->gate;
	fresh->account = fs->account;
	fresh->pollers[0].open = fresh->pollers[1].open = fresh;
	pthread_mutex_init(&fresh->lock, NULL);
	ipcfs_node_opened(&fs->nodes, node, fresh->reads, fresh->writes);
	/* now is the time to learn the groups that let it in: others may use the file */
	err = ipcfs_gate_allows(fresh->gate, &fresh->opener, ipcfs_caller_load);
	if (err) {
		ipcfs_open_free(fs, fresh);
		return err;
	}
	*open = fresh;
	return 0;
}

void ipcfs_open_free(struct ipcfs_filesystem *fs, struct ipcfs_open *open)
{
	struct ipcfs_node *node = open->node;
	bool reads = open->reads, writes = open->writes;

	while (open->pending)
		ipcfs_open_forget(open, open->pending->owner);
	ipcfs_text_free(&open->text);
	ipcfs_account_closed(fs->account, open->opener.uid);
	ipcfs_caller_free(&open->opener);
	if (open->listing) {
		ipcfs_listing_free(open->listing);
		free(open->listing);
	}
	pthread_mutex_destroy(&open->lock);
	ipcfs_table_free(&fs->opens, open->index);
	ipcfs_node_closed(&fs->nodes, node, reads, writes);
}

struct ipcfs_open *ipcfs_open_at(struct ipcfs_filesystem *fs, uint64_t handle)
{
	return ipcfs_table_at(&fs->opens, handle);
}

static int handle_perm(const struct ipcfs_backend *class, int handle, struct ipcfs_perm *perm)
{
	struct ipcfs_info info;
	int err;

	if (class->queue)
		return class->queue->perm(handle, perm);
	if (class->semaphore)
		return class->semaphore->perm(handle, perm);
	err = class->segment->look(handle, &info);
	if (!err)
		*perm = info.perm;
	return err;
}

/*
 * Who is judged: the opener, with the groups and capabilities that opening it asked for. Those that only its use
 * asks for are what the opener's own thread has for this request, if it was there already when it opened
 * the file; they are not kept, for whoever else has it. To be given back with leave_opener. Takes open->lock.
 */
static struct ipcfs_caller *enter_opener(struct ipcfs_open *open, struct ipcfs_caller *now)
{
	pthread_mutex_lock(&open->lock);
	if (!open->opened || open->opener.loaded)
		return &open->opener;
	*now = open->opener;
	now->before = open->since;
	return now;
}

static void leave_opener(struct ipcfs_open *open, struct ipcfs_caller *judged)
{
	if (judged != &open->opener)
		ipcfs_caller_free(judged);
	pthread_mutex_unlock(&open->lock);
}

/* Only the opener's own thread can tell. */
static int (*loader(const struct ipcfs_open *open, pid_t tid))(struct ipcfs_caller *)
{
	return tid && tid == open->opener.tid ? ipcfs_caller_load : NULL;
}

int ipcfs_open_admitted(struct ipcfs_open *open, pid_t tid)
{
	struct ipcfs_caller now, *judged;
	int err;

	if (!atomic_load_explicit(&open->gate->listed, memory_order_relaxed))
		return 0;
	judged = enter_opener(open, &now);
	err = ipcfs_gate_allows(open->gate, judged, loader(open, tid));
	leave_opener(open, judged);
	return err;
}

/* `err` is what looking at the queue said. */
static int judge(struct ipcfs_filesystem *fs, struct ipcfs_open *open,
		 enum ipcfs_direction direction, pid_t tid, int err, const struct ipcfs_perm *perm)
{
	const struct ipcfs_backend *class = open->object->class;
	unsigned want = direction == IPCFS_SEND ? IPCFS_WANT_WRITE : IPCFS_WANT_READ;
	struct ipcfs_caller now, *judged;
	const char *by = "whitelist";
	enum ipcfs_reason reason;

	if (err == -EIDRM && class->queue && direction == IPCFS_RECEIVE &&
	    class->rule == IPCFS_RULE_FILE)
		err = 0; /* it still gives what it holds */
	if (err)
		return err;
	err = ipcfs_open_admitted(open, tid);
	if (!err) {
		judged = enter_opener(open, &now);
		err = ipcfs_permission_check(open->object->space, class, &open->object->ref, perm,
					     open->handle[direction], want, judged,
					     loader(open, tid), &reason);
		leave_opener(open, judged);
		by = ipcfs_reason_name(reason);
	}
	if (open->opened)
		ipcfs_decided_use(fs, open, direction, tid, err, by);
	else
		open->reason = by;
	return err;
}

int ipcfs_open_check(struct ipcfs_filesystem *fs, struct ipcfs_open *open,
		     enum ipcfs_direction direction, pid_t tid)
{
	struct ipcfs_perm perm;
	int err = handle_perm(open->object->class, open->handle[direction], &perm);

	return judge(fs, open, direction, tid, err, &perm);
}

int ipcfs_open_look(struct ipcfs_filesystem *fs, struct ipcfs_open *open,
		    enum ipcfs_direction direction, pid_t tid, struct ipcfs_info *info)
{
	int err = open->object->class->queue->look(open->handle[direction], info);

	return judge(fs, open, direction, tid, err, &info->perm);
}

struct ipcfs_pending *ipcfs_open_pending(struct ipcfs_open *open, uint64_t owner, bool create)
{
	struct ipcfs_pending *pending;
	unsigned owners = 0;

	for (pending = open->pending; pending; pending = pending->next, owners++)
		if (pending->owner == owner)
			return pending;
	if (!create || owners >= OWNERS_MAX)
		return NULL;
	if (ipcfs_account_begin(open->account, open->opener.uid))
		return NULL;
	pending = calloc(1, sizeof(*pending));
	if (!pending) {
		ipcfs_account_finished(open->account, open->opener.uid);
		return NULL;
	}
	pending->owner = owner;
	pending->next = open->pending;
	open->pending = pending;
	return pending;
}

void ipcfs_open_forget(struct ipcfs_open *open, uint64_t owner)
{
	struct ipcfs_pending **link = &open->pending, *pending;

	while (*link && (*link)->owner != owner)
		link = &(*link)->next;
	pending = *link;
	if (!pending)
		return;
	*link = pending->next;
	ipcfs_account_finished(open->account, open->opener.uid);
	ipcfs_text_free(&pending->text);
	free(pending);
}
