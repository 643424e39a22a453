/* SPDX-License-Identifier: MIT */
#include "fs/request/ns_entry.h"

#include <errno.h>

#include "fs/access/caller.h"
#include "fs/base/fuse_header.h"
#include "fs/base/unanswered.h"

/* The inode number of the namespace of the request that this thread handles; 0: none. */
static _Thread_local uint64_t entered;

/* Returns whether the caller, and not only the opener, needs a right to the namespace. */
static bool checks_caller(const struct ipcfs_node *node, const struct ipcfs_fuse_header *head,
			  enum ipcfs_fuse_subject subject)
{
	if (ipcfs_file_kind_has(node->key.kind, IPCFS_FILE_WRITER_JUDGED))
		return subject == IPCFS_FUSE_ON_PATH || head->writes;
	/* names and attributes may be looked up by a directory that was handed over */
	return subject == IPCFS_FUSE_ON_PATH && !head->looks;
}

/*
 * Checks that the namespace of the request has not ended. An open POSIX segment lives on. All other
 * requests are refused: nothing could end their wait.
 */
static int check_not_ended(const struct ipcfs_filesystem *fs, const struct ipcfs_node *node,
			   enum ipcfs_fuse_subject subject)
{
	const struct ipcfs_object *object = ipcfs_node_object(fs, node);
	const struct ipcfs_space *ipc = ipcfs_node_view(fs, node)->ipc;

	if (subject == IPCFS_FUSE_ON_PATH)
		return ipcfs_space_has_ended(ipc) ? -ENOENT : 0;
	if (!object)
		return ipcfs_space_has_ended(ipc) ? -EIDRM : 0;
	if (object->class->segment && !object->class->bound)
		return 0;
	return ipcfs_space_has_ended(object->space) ? -EIDRM : 0;
}

/* Checks that the caller of the request may use the namespace. */
static int check_caller(const struct ipcfs_view *view, const struct ipcfs_fuse_header *head)
{
	struct ipcfs_caller caller = { .uid = head->uid, .gid = head->gid, .tid = head->tid };
	int err = ipcfs_registry_check(view, &caller);

	ipcfs_caller_free(&caller);
	return err;
}

/* Returns whether the calls for requests on this node act in the IPC namespace of the thread. */
static bool acts_inside(const struct ipcfs_filesystem *fs, const struct ipcfs_node *node)
{
	const struct ipcfs_object *object = ipcfs_node_object(fs, node);

	if (ipcfs_file_kind_has(node->key.kind, IPCFS_FILE_IN_NAMESPACE))
		return true;
	return object && object->class->bound;
}

int ipcfs_ns_enter(struct ipcfs_filesystem *fs, const void *request, size_t size)
{
	enum ipcfs_fuse_subject subject;
	const struct ipcfs_node *node;
	const struct ipcfs_view *view;
	struct ipcfs_fuse_header head;
	int err = 0;

	if (!ipcfs_registry_is_all(fs->registry))
		return 0;
	subject = ipcfs_fuse_header_subject(request, size);
	if (subject == IPCFS_FUSE_ON_MOUNT || size < IPCFS_FUSE_HEADER_SIZE)
		return 0;
	ipcfs_fuse_header_read(request, &head);
	if (subject == IPCFS_FUSE_ON_NOTHING && !head.releases)
		return 0;
	node = ipcfs_node_at(&fs->nodes, head.node);
	view = node ? ipcfs_node_view(fs, node) : NULL;
	if (!view)
		return 0;
	if (subject != IPCFS_FUSE_ON_NOTHING)
		err = check_not_ended(fs, node, subject);
	if (!err && checks_caller(node, &head, subject))
		err = check_caller(view, &head);
	if (!err && acts_inside(fs, node))
		err = ipcfs_space_visit(view->ipc);
	entered = view->inode;
	if (err)
		ipcfs_unanswered_refuse(fuse_session_fd(fs->session), head.unique, err);
	return err;
}

void ipcfs_ns_request_done(void)
{
	entered = 0;
	ipcfs_space_rest();
}

void ipcfs_ns_leave(void)
{
	ipcfs_space_go_home();
}

uint64_t ipcfs_ns_entered(void)
{
	return entered;
}
