/* SPDX-License-Identifier: MIT */
#include "visit.h"

#include <errno.h>

#include "caller.h"
#include "request.h"

/* Of the request that this thread handles. */
static _Thread_local uint64_t visited;

/* Is more said there about a caller than what the open file's opener may? */
static bool is_judged(const struct ipcfs_node *node, const struct ipcfs_request *head,
		      enum ipcfs_request_sort sort)
{
	switch (node->key.kind) {
	case IPCFS_NODE_CREATE:
	case IPCFS_NODE_LIMIT:
	case IPCFS_NODE_MAX_BYTES:
		return sort == IPCFS_REQUEST_ON_PATH || head->writes;
	default: /* who has a directory open may look at what is in it */
		return sort == IPCFS_REQUEST_ON_PATH && !head->looks;
	}
}

/* Memory that is open lives on; whoever waits for anything else would wait for ever. */
static int check_end(const struct ipcfs_node *node, enum ipcfs_request_sort sort)
{
	const struct ipcfs_object *object = node->key.object;

	if (sort == IPCFS_REQUEST_ON_PATH)
		return ipcfs_space_has_ended(node->key.view->ipc) ? -ENOENT : 0;
	if (!object)
		return ipcfs_space_has_ended(node->key.view->ipc) ? -EIDRM : 0;
	if (object->class->segment && !object->class->bound)
		return 0;
	return ipcfs_space_has_ended(object->space) ? -EIDRM : 0;
}

static int check_caller(const struct ipcfs_node *node, const struct ipcfs_request *head)
{
	struct ipcfs_caller caller = { .uid = head->uid, .gid = head->gid, .tid = head->tid };
	int err = ipcfs_registry_check(node->key.view, &caller);

	ipcfs_caller_free(&caller);
	return err;
}

/* Do calls for requests on this node act in the thread's IPC namespace? */
static bool is_bound(const struct ipcfs_node *node)
{
	switch (node->key.kind) {
	case IPCFS_NODE_CREATE:
	case IPCFS_NODE_LIMIT:
	case IPCFS_NODE_CLASS: /* to make one; and all that there are may be counted */
	case IPCFS_NODE_IDS:
		return true;
	default:
		return node->key.object && node->key.object->class->bound;
	}
}

int ipcfs_visit_begin(struct ipcfs_filesystem *fs, const void *request, size_t size)
{
	enum ipcfs_request_sort sort;
	const struct ipcfs_node *node;
	struct ipcfs_request head;
	int err = 0;

	if (!ipcfs_registry_is_all(fs->registry))
		return 0;
	sort = ipcfs_request_sort(request, size);
	if (sort == IPCFS_REQUEST_LOOK || size < IPCFS_REQUEST_HEAD)
		return 0;
	ipcfs_request_head(request, &head);
	if (sort == IPCFS_REQUEST_FREE && !head.releases)
		return 0;
	node = ipcfs_node_at(&fs->nodes, head.node);
	if (!node || !node->key.view)
		return 0;
	if (sort != IPCFS_REQUEST_FREE)
		err = check_end(node, sort);
	if (!err && is_judged(node, &head, sort))
		err = check_caller(node, &head);
	if (!err && is_bound(node))
		err = ipcfs_space_visit(node->key.view->ipc);
	visited = node->key.view->inode;
	if (err)
		ipcfs_request_refuse(fuse_session_fd(fs->session), head.unique, err);
	return err;
}

void ipcfs_visit_end(void)
{
	visited = 0;
	ipcfs_space_rest();
}

void ipcfs_visit_leave(void)
{
	ipcfs_space_go_home();
}

uint64_t ipcfs_visited(void)
{
	return visited;
}
