/* SPDX-License-Identifier: MIT */
#include "filesystem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "backing.h"
#include "channel.h"
#include "decision.h"
#include "forget.h"
#include "log.h"
#include "ops.h"
#include "room.h"
#include "segment.h"
#include "semaphore.h"
#include "tree.h"
#include "visit.h"

#define USER_NAMESPACE_INITIAL 0xEFFFFFFDU /* PROC_USER_INIT_INO of the kernel */
#define REQUEST_MAX (1024 * 1024) /* bytes of one write(2); the longest message of `packets` */

static int open_target(pid_t pid, struct ipcfs_space **space)
{
	struct ipcfs_space_identity identity;
	int err = ipcfs_space_join(pid, space);

	if (err)
		return err;
	ipcfs_space_identity(*space, &identity);
	ipcfs_log(LOG_NOTICE, "target: process %d, IPC namespace %" PRIu64 "%s", (int)pid,
		  identity.inode,
		  ipcfs_space_has_shm(*space) ? "" : ", without a /dev/shm that could be shown");
	return 0;
}

static int open_space(const struct ipcfs_options *options, struct ipcfs_space **space)
{
	if (options->target)
		return open_target(options->target, space);
	return options->namespaces ? ipcfs_space_open_home(space) : ipcfs_space_open(space);
}

int ipcfs_filesystem_target(const struct ipcfs_filesystem *fs)
{
	return ipcfs_space_process(ipcfs_registry_home(fs->registry)->ipc);
}

static int namespace_began(void *arg, struct ipcfs_space *space)
{
	const struct ipcfs_filesystem *fs = arg;

	return ipcfs_room_watch(fs->room, space);
}

/* What the kernel keeps of its tree goes, and with it our nodes, but for files that are open. */
static void namespace_ended(void *arg, struct ipcfs_space *space, uint64_t inode)
{
	struct ipcfs_filesystem *fs = arg;
	uint64_t parent;
	char name[24];

	ipcfs_room_ended(fs->room, space);
	ipcfs_objects_ended(&fs->objects, space);
	if (!inode)
		return;
	parent = ipcfs_tree_namespaces(fs);
	snprintf(name, sizeof(name), "%" PRIu64, inode);
	/* -ENOENT: the kernel has nothing of it */
	if (parent)
		(void)fuse_lowlevel_notify_inval_entry(fs->session, parent, name, strlen(name));
}

static void forget_view(void *arg, const struct ipcfs_view *view)
{
	ipcfs_forget_view(arg, view);
}

static int open_audit(struct ipcfs_filesystem *fs, const struct ipcfs_options *options)
{
	int err = ipcfs_audit_create(&fs->audit, options->audit, options->audit_level);

	if (!err || err == -ENOMEM)
		return err;
	ipcfs_log(LOG_ERR, "audit: %s: %s", options->audit, strerror(-err));
	return -EINVAL;
}

static void free_limits(struct ipcfs_filesystem *fs)
{
	if (fs->account)
		ipcfs_gate_destroy(&fs->gate);
	ipcfs_account_destroy(fs->account);
}

int ipcfs_filesystem_create(const struct ipcfs_options *options, struct ipcfs_filesystem **out)
{
	const struct ipcfs_settings *settings = &options->settings;
	struct ipcfs_filesystem *fs = calloc(1, sizeof(*fs));
	const struct ipcfs_registry_hooks hooks = { namespace_began, namespace_ended, forget_view,
						    fs };
	struct ipcfs_space *space;
	int err;

	if (!fs)
		return -ENOMEM;
	fs->settings = *settings;
	fs->uid = geteuid();
	fs->gid = getegid();
	clock_gettime(CLOCK_REALTIME, &fs->started);
	err = ipcfs_account_create(settings, &fs->account);
	if (!err)
		err = ipcfs_gate_init(&fs->gate, settings, fs->account);
	if (!err)
		err = open_space(options, &space);
	if (err) {
		free_limits(fs);
		free(fs);
		return err;
	}
	ipcfs_objects_init(&fs->objects);
	ipcfs_buffers_init(&fs->buffers);
	err = ipcfs_registry_create(space, options->namespaces, options->state, &hooks,
				    &fs->registry);
	if (!err)
		err = ipcfs_table_init(&fs->opens, sizeof(struct ipcfs_open));
	if (!err)
		err = ipcfs_nodes_init(&fs->nodes, &fs->objects,
				       options->namespaces ? NULL
							   : ipcfs_registry_home(fs->registry));
	if (!err)
		err = ipcfs_room_create(fs, &fs->room);
	if (!err && options->audit)
		err = open_audit(fs, options);
	if (err)
		ipcfs_filesystem_destroy(fs);
	else
		*out = fs;
	return err;
}

int ipcfs_filesystem_start(void *arg, struct fuse_session *session)
{
	struct ipcfs_filesystem *fs = arg;
	const struct ipcfs_view *home = ipcfs_registry_home(fs->registry);
	int err = ipcfs_room_watch(fs->room, home->ipc);

	fs->session = session;
	if (!err)
		err = ipcfs_registry_start(fs->registry);
	if (!err)
		err = ipcfs_audit_start(&fs->audit);
	return err ? err : ipcfs_room_start(fs->room);
}

void ipcfs_filesystem_stop(void *arg)
{
	struct ipcfs_filesystem *fs = arg;

	ipcfs_room_stop(fs->room);
	ipcfs_registry_stop(fs->registry);
}

bool ipcfs_filesystem_admit(void *arg, const void *request, size_t size)
{
	struct ipcfs_filesystem *fs = arg;

	int err = ipcfs_gate_admit(&fs->gate, fuse_session_fd(fs->session), request, size);

	if (err) {
		ipcfs_decided_entry(fs, request, err, err == -EAGAIN ? "rate" : "whitelist");
		return false;
	}
	err = ipcfs_visit_begin(fs, request, size);
	if (err)
		ipcfs_decided_entry(fs, request, err, "namespace");
	return err == 0;
}

void ipcfs_filesystem_done(void *arg)
{
	(void)arg;
	ipcfs_visit_end();
}

void ipcfs_filesystem_leave(void *arg)
{
	(void)arg;
	ipcfs_visit_leave();
}

int ipcfs_filesystem_set(struct ipcfs_filesystem *fs, const struct ipcfs_settings *settings)
{
	return ipcfs_gate_set(&fs->gate, settings);
}

/*
 * Files that were open when the connection went: no RELEASE comes for them. What is pending in them may be
 * half a message, and its writer will be told that the rest can't be written.
 */
static void close_all(struct ipcfs_filesystem *fs)
{
	for (uint32_t i = 1; i < fs->opens.used; i++) {
		struct ipcfs_open *open = ipcfs_open_at(fs, i);
		const struct ipcfs_space *before;

		if (!open->index)
			continue;
		while (open->pending)
			ipcfs_open_forget(open, open->pending->owner);
		before = open->object ? ipcfs_object_enter(open->object) : NULL;
		if (ipcfs_node_is_channel(open->node))
			ipcfs_channel_release(fs, open);
		else if (ipcfs_node_is_segment(open->node))
			ipcfs_segment_release(fs, open);
		else if (ipcfs_node_is_semaphore(open->node))
			ipcfs_semaphore_release(fs, open);
		if (open->object)
			ipcfs_space_leave(before);
		ipcfs_open_free(fs, open);
	}
}

void ipcfs_filesystem_destroy(struct ipcfs_filesystem *fs)
{
	fs->session = NULL; /* it is gone, and what the kernel kept for it */
	if (fs->opens.chunks && fs->room)
		close_all(fs);
	ipcfs_room_destroy(fs->room);
	ipcfs_audit_destroy(&fs->audit);
	ipcfs_nodes_destroy(&fs->nodes);
	ipcfs_table_destroy(&fs->opens);
	ipcfs_objects_destroy(&fs->objects);
	ipcfs_buffers_destroy(&fs->buffers);
	ipcfs_registry_destroy(fs->registry);
	free_limits(fs);
	free(fs);
}

/* Also where it can't be told: there the kernel gives what it gives. */
static bool is_initial_user_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/user", &st) != 0 || st.st_ino == USER_NAMESPACE_INITIAL;
}

static void op_init(void *arg, struct fuse_conn_info *conn)
{
	const unsigned wanted = FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_DONT_MASK |
				FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
				FUSE_CAP_PARALLEL_DIROPS;
	struct ipcfs_filesystem *fs = arg;

	conn->want |= wanted & conn->capable;
	/* a request in a pipe can't be looked at */
	conn->want &= ~(unsigned)FUSE_CAP_SPLICE_READ;
#ifdef FUSE_CAP_PASSTHROUGH
	if (ipcfs_backing_possible() && (conn->capable & FUSE_CAP_PASSTHROUGH)) {
		conn->want |= FUSE_CAP_PASSTHROUGH;
		fs->passthrough = true;
	}
#endif
	/* Without it the kernel lets nobody set lists in a mount of a user namespace. It then checks as well. */
	if (!is_initial_user_namespace() && (conn->capable & FUSE_CAP_POSIX_ACL)) {
		conn->want |= FUSE_CAP_POSIX_ACL;
		fs->kernel_checks = true;
	}
	conn->max_write = REQUEST_MAX;
	conn->time_gran = 1;
}

const struct fuse_lowlevel_ops ipcfs_filesystem_ops = {
	.init = op_init,

	.lookup = ipcfs_op_lookup,
	.forget = ipcfs_op_forget,
	.forget_multi = ipcfs_op_forget_multi,
	.getattr = ipcfs_op_getattr,
	.readlink = ipcfs_op_readlink,
	.access = ipcfs_op_access,
	.statfs = ipcfs_op_statfs,
	.opendir = ipcfs_op_opendir,
	.readdir = ipcfs_op_readdir,
	.readdirplus = ipcfs_op_readdirplus,
	.releasedir = ipcfs_op_releasedir,

	.mkdir = ipcfs_op_mkdir,
	.rmdir = ipcfs_op_rmdir,
	.setattr = ipcfs_op_setattr,
	.unlink = ipcfs_op_unlink,
	.mknod = ipcfs_op_mknod,
	.create = ipcfs_op_create,
	.symlink = ipcfs_op_symlink,
	.link = ipcfs_op_link,
	.rename = ipcfs_op_rename,

	.getxattr = ipcfs_op_getxattr,
	.listxattr = ipcfs_op_listxattr,
	.setxattr = ipcfs_op_setxattr,
	.removexattr = ipcfs_op_removexattr,

	.open = ipcfs_op_open,
	.read = ipcfs_op_read,
	.write = ipcfs_op_write,
	.flush = ipcfs_op_flush,
	.release = ipcfs_op_release,
	.poll = ipcfs_op_poll,
};
