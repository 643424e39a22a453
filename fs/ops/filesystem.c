/* SPDX-License-Identifier: MIT */
#include "fs/ops/filesystem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "backends/contract/fault.h"
#include "fs/base/answered.h"
#include "fs/base/fuse_header.h"
#include "fs/base/legacy.h"
#include "fs/base/log.h"
#include "fs/base/unanswered.h"
#include "fs/control/events.h"
#include "fs/ops/ops.h"
#include "fs/queue/detached_left.h"
#include "fs/queue/transfer.h"
#include "fs/request/audit_event.h"
#include "fs/request/file_saved.h"
#include "fs/request/ns_entry.h"
#include "fs/segment/backing.h"
#include "fs/segment/lock.h"
#include "fs/semaphore/hold.h"
#include "fs/tree/invalidate.h"
#include "fs/tree/tree.h"
#include "fs/tree/trim.h"
#include "fs/wait/waits.h"

#define USER_NAMESPACE_INITIAL 0xEFFFFFFDU /* PROC_USER_INIT_INO of the kernel */
#define RELEASES_MAX 128
#define REQUEST_MAX (1024 * 1024) /* bytes of one write(2); the longest message of `packets` */

/* Joins the IPC namespace of the target process. */
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

bool ipcfs_filesystem_has_queues(const struct ipcfs_filesystem *fs)
{
	return ipcfs_space_has_mq(ipcfs_registry_home(fs->registry)->ipc);
}

/* Watches the objects of a namespace at its first use. For struct ipcfs_registry_hooks. */
static int namespace_began(void *arg, struct ipcfs_space *space)
{
	const struct ipcfs_filesystem *fs = arg;

	return ipcfs_waits_watch(fs->waits, space);
}

/*
 * Ends the waits and objects of a namespace, and tells the kernel to drop ns/INUM. The kernel
 * then forgets the nodes below it, but for those of open files. For struct ipcfs_registry_hooks.
 */
static void namespace_ended(void *arg, struct ipcfs_space *space, uint64_t inode)
{
	struct ipcfs_filesystem *fs = arg;
	uint64_t parent;
	char name[24];

	ipcfs_waits_space_ended(fs->waits, space);
	ipcfs_segment_locks_space_ended(space);
	ipcfs_events_space_ended(&fs->events, space);
	ipcfs_objects_ended(&fs->objects, space);
	if (!inode)
		return;
	parent = ipcfs_tree_namespaces_node(fs);
	snprintf(name, sizeof(name), "%" PRIu64, inode);
	/* -ENOENT: the kernel does not have the name */
	if (parent)
		(void)fuse_lowlevel_notify_inval_entry(fs->session, parent, name, strlen(name));
}

/* For struct ipcfs_registry_hooks. */
static void forget_view(void *arg, const struct ipcfs_view *view)
{
	ipcfs_invalidate_view(arg, view);
}

/*
 * Opens the audit.
 * -ECANCELED: it can't be used. The reason was logged.
 * -ENOMEM.
 */
static int open_audit(struct ipcfs_filesystem *fs, const struct ipcfs_options *options)
{
	int err = ipcfs_audit_create(&fs->audit, options->audit, options->audit_level);

	if (!err || err == -ENOMEM)
		return err;
	ipcfs_log(LOG_ERR, "audit: %s: %s", options->audit, strerror(-err));
	return -ECANCELED;
}

static void free_limits(struct ipcfs_filesystem *fs)
{
	if (fs->quota)
		ipcfs_gate_destroy(&fs->gate);
	ipcfs_quota_destroy(fs->quota);
}

static void keep_owner(void *owner)
{
	(void)owner;
}

/* Has the messages of queues that are in no IPC namespace counted for that of the daemon. */
static void count_elsewhere(const struct ipcfs_filesystem *fs)
{
	void *owner = ipcfs_space_owner(ipcfs_registry_home(fs->registry)->ipc);

	for (size_t i = 0; ipcfs_classes[i]; i++)
		if (ipcfs_classes[i]->space)
			ipcfs_space_own(ipcfs_classes[i]->space, owner, keep_owner);
}

struct ipcfs_filesystem *ipcfs_filesystem_create(struct ipcfs_legacy *legacy)
{
	struct ipcfs_filesystem *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return NULL;
	fs->legacy = legacy;
	fs->watch = -1;
	return fs;
}

void ipcfs_filesystem_set_watch(struct ipcfs_filesystem *fs, int watch)
{
	fs->watch = watch;
}

/* Makes the tables. Their numbers go on after those of the worker before. */
static int make_tables(struct ipcfs_filesystem *fs)
{
	int err = ipcfs_objects_init(&fs->objects);

	fs->objects.quota = fs->quota;
	if (!err)
		err = ipcfs_table_init(&fs->files, sizeof(struct ipcfs_file));
	if (!err)
		err = ipcfs_holds_init(fs);
	if (!err)
		err = ipcfs_nodes_init(&fs->nodes, &fs->objects, fs->registry, fs->quota);
	if (!err && fs->legacy) {
		ipcfs_table_continue(&fs->files, &fs->legacy->files);
		ipcfs_table_continue(&fs->nodes.table, &fs->legacy->nodes);
	}
	return err;
}

/* Opens what the workers share, and takes over what the one before has left. -ENOMEM. */
static int take_over(struct ipcfs_filesystem *fs)
{
	bool bad;

	if (!fs->legacy || !fs->legacy->keeps)
		return 0;
	bad = ipcfs_legacy_is_bad(fs->legacy);
	if (!atomic_load(&fs->legacy->trial))
		atomic_fetch_add(&fs->legacy->begun, 1);
	if (bad) {
		ipcfs_log(LOG_ERR, "what was open is dropped: the processes that were to serve the "
				   "mount have died of it");
		ipcfs_legacy_drop(fs->legacy);
		ipcfs_leases_abandon();
	}
	fs->ledger = ipcfs_ledger_open(&fs->legacy->ledger);
	if (!fs->ledger)
		return -ENOMEM;
	fs->nodes.ledger = fs->objects.ledger = fs->ledger;
	if (!fs->legacy->dropped)
		(void)ipcfs_fault("supervise.take_over");
	ipcfs_unanswered_use(fs->legacy, fs->ledger);
	ipcfs_objects_restore(&fs->objects, ipcfs_registry_home(fs->registry));
	ipcfs_nodes_restore(&fs->nodes);
	ipcfs_files_restore(fs, ipcfs_op_reopen);
	ipcfs_holds_restore(fs);
	ipcfs_detached_hold(fs);
	ipcfs_nodes_restored(&fs->nodes);
	ipcfs_objects_restored(&fs->objects);
	return 0;
}

/* Frees what ipcfs_filesystem_open has made. */
static void close_filesystem(struct ipcfs_filesystem *fs);

int ipcfs_filesystem_open(struct ipcfs_filesystem *fs, const struct ipcfs_options *options)
{
	const struct ipcfs_settings *settings = &options->settings;
	const struct ipcfs_registry_hooks hooks = { namespace_began, namespace_ended, forget_view,
						    fs };
	struct ipcfs_space *space;
	int err;

	fs->settings = *settings;
	fs->kernel_answers = options->default_permissions;
	fs->target = options->target != 0;
	fs->reexport = options->reexport;
	fs->uid = geteuid();
	fs->gid = getegid();
	clock_gettime(CLOCK_REALTIME, &fs->started);
	err = ipcfs_quota_create(settings, &fs->quota);
	if (!err)
		err = ipcfs_gate_init(&fs->gate, settings, fs->quota);
	if (!err)
		err = open_space(options, &space);
	if (err) {
		free_limits(fs);
		fs->quota = NULL;
		return err;
	}
	ipcfs_buffers_init(&fs->buffers);
	ipcfs_events_init(&fs->events, fs->quota, ipcfs_events_serve);
	err = ipcfs_registry_create(space, options->namespaces, options->state, &hooks,
				    &fs->registry);
	if (!err)
		count_elsewhere(fs);
	if (!err)
		err = make_tables(fs);
	if (!err)
		err = ipcfs_waits_create(fs, ipcfs_transfer_unclaimed, fs->watch, &fs->waits);
	if (!err)
		err = take_over(fs);
	if (!err && options->audit)
		err = open_audit(fs, options);
	if (err)
		close_filesystem(fs);
	return err;
}

void ipcfs_filesystem_set_device(struct ipcfs_filesystem *fs, dev_t device)
{
	fs->device = device;
}

struct ipcfs_echo *ipcfs_filesystem_echo(struct ipcfs_filesystem *fs)
{
	return &fs->echo;
}

/* Follows the objects for the echo, as a reader of `events` does. */
static int follow_objects(struct ipcfs_filesystem *fs)
{
	struct ipcfs_feed *feed;
	int err;

	fs->echo_reader.uid = fs->uid;
	err = ipcfs_feed_join(&fs->events, ipcfs_registry_home(fs->registry), &fs->echo_reader);

	if (err)
		return err;
	feed = fs->echo_reader.feed;
	pthread_mutex_lock(&feed->lock);
	feed->echo = &fs->echo;
	pthread_mutex_unlock(&feed->lock);
	return 0;
}

int ipcfs_filesystem_start(void *arg, struct fuse_session *session)
{
	struct ipcfs_filesystem *fs = arg;
	const struct ipcfs_view *home = ipcfs_registry_home(fs->registry);
	int err = ipcfs_waits_watch(fs->waits, home->ipc);

	fs->session = session;
	if (fs->legacy)
		ipcfs_backing_close_old(fs->legacy, fuse_session_fd(session));
	if (!err)
		err = ipcfs_registry_start(fs->registry);
	if (!err)
		err = ipcfs_audit_start(&fs->audit);
	if (!err)
		err = ipcfs_trim_start(fs);
	if (!err && fs->echo.process)
		err = follow_objects(fs);
	if (!err)
		err = ipcfs_waits_start(fs->waits);
	if (!err)
		ipcfs_detached_send_left(fs);
	return err;
}

void ipcfs_filesystem_succeed(void *arg)
{
	struct ipcfs_filesystem *fs = arg;
	size_t left = ipcfs_leases_settle();

	if (left)
		ipcfs_log(LOG_WARNING,
			  "leased messages that no open file has any more: %zu. They go "
			  "back to their queues when ipcfs ends",
			  left);
	if (fs->ledger)
		ipcfs_holds_restored(fs);
	ipcfs_legacy_wake_pollers(fs->legacy, fuse_session_fd(fs->session));
	if (!fs->ledger || fs->legacy->dropped)
		ipcfs_invalidate_all(fs);
	fs->legacy->dropped = false;
}

void ipcfs_filesystem_rest(void *arg)
{
	struct ipcfs_filesystem *fs = arg;

	ipcfs_waits_rest(fs->waits);
	ipcfs_audit_finish(&fs->audit);
}

void ipcfs_filesystem_stop(void *arg)
{
	struct ipcfs_filesystem *fs = arg;

	ipcfs_waits_stop(fs->waits);
	ipcfs_segment_locks_stop();
	if (fs->echo_reader.feed)
		ipcfs_feed_leave(&fs->echo_reader);
	ipcfs_events_stop(&fs->events);
	ipcfs_trim_stop(fs);
	ipcfs_registry_stop(fs->registry);
}

/* The node of the request that this thread handles, if another thread may answer it. 0: none. */
static _Thread_local uint64_t held_node;

/*
 * Holds the node of a request that another thread may answer while this one is held up. The kernel
 * may then forget the node.
 */
static void hold_node(struct ipcfs_filesystem *fs, const void *request, size_t size)
{
	struct ipcfs_fuse_header head;

	if (!ipcfs_fuse_header_late(request, size))
		return;
	ipcfs_fuse_header_read(request, &head);
	if (!ipcfs_node_hold(&fs->nodes, head.node))
		return;
	held_node = head.node;
	if (!head.lists) /* that keeps the open directory first */
		ipcfs_answered_allow();
}

bool ipcfs_filesystem_admit(void *arg, const void *request, size_t size)
{
	struct ipcfs_filesystem *fs = arg;
	int err = 0;

	if (!ipcfs_answered_second()) /* `rate` counts a request once */
		err = ipcfs_gate_admit(&fs->gate, fuse_session_fd(fs->session), request, size);
	if (err) {
		ipcfs_audit_event_entry(fs, request, err, err == -EAGAIN ? "rate" : "whitelist");
		return false;
	}
	err = ipcfs_ns_enter(fs, request, size);
	if (err)
		ipcfs_audit_event_entry(fs, request, err, "namespace");
	else
		hold_node(fs, request, size);
	return err == 0;
}

void ipcfs_filesystem_done(void *arg)
{
	struct ipcfs_filesystem *fs = arg;

	if (held_node)
		ipcfs_node_forget(&fs->nodes, held_node, 1);
	held_node = 0;
	ipcfs_ns_request_done();
	ipcfs_quota_tell(fs->quota);
}

void ipcfs_filesystem_abandon(void *arg, const void *request, size_t size, bool waited)
{
	struct ipcfs_filesystem *fs = arg;
	uint64_t closed = ipcfs_fuse_header_closed(request, size);
	struct ipcfs_fuse_header head;
	struct ipcfs_file *file = NULL;

	ipcfs_fuse_header_read(request, &head);
	if (closed)
		file = ipcfs_file_at(fs, closed, head.node, false);
	else if (waited)
		file = ipcfs_file_of_request(fs, head.node);
	if (file)
		ipcfs_file_close(fs, file);
}

void ipcfs_filesystem_leave(void *arg)
{
	(void)arg;
	ipcfs_ns_leave();
}

int ipcfs_filesystem_set(struct ipcfs_filesystem *fs, const struct ipcfs_settings *settings)
{
	return ipcfs_gate_set(&fs->gate, settings);
}

/*
 * Closes the files that were open when the connection to the kernel ended, which sends no RELEASE
 * for them. Bytes that are pending in them are dropped, not sent: they may be half a message, and
 * their writer gets an error for the rest.
 */
static void close_all(struct ipcfs_filesystem *fs)
{
	for (uint32_t i = 1; i < fs->files.used; i++) {
		struct ipcfs_file *file = ipcfs_table_at(&fs->files, i);
		const struct ipcfs_space *before;
		struct ipcfs_object *object;

		if (!file || !file->number)
			continue;
		while (file->pending)
			ipcfs_file_drop_pending(fs, file, file->pending->owner);
		object = ipcfs_file_object(fs, file);
		before = object ? ipcfs_object_enter(object) : NULL;
		ipcfs_file_close(fs, file);
		if (object)
			ipcfs_space_leave(before);
	}
}

static void close_filesystem(struct ipcfs_filesystem *fs)
{
	fs->session = NULL; /* the session has ended: nothing can be sent to the kernel */
	if (fs->files.chunks && fs->waits)
		close_all(fs);
	ipcfs_waits_destroy(fs->waits);
	ipcfs_audit_destroy(&fs->audit);
	ipcfs_nodes_destroy(&fs->nodes);
	ipcfs_table_destroy(&fs->files);
	ipcfs_table_destroy(&fs->holds);
	ipcfs_objects_destroy(&fs->objects);
	ipcfs_buffers_destroy(&fs->buffers);
	ipcfs_events_destroy(&fs->events);
	ipcfs_registry_destroy(fs->registry);
	ipcfs_ledger_close(fs->ledger);
	fs->ledger = NULL;
	free_limits(fs);
	fs->quota = NULL;
}

void ipcfs_filesystem_destroy(struct ipcfs_filesystem *fs)
{
	if (fs->quota)
		close_filesystem(fs);
	free(fs);
}

/* Returns whether the daemon is in the initial user namespace, or can't tell. */
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
	/*
	 * An asynchronous read with O_DIRECT would be a background request. Those that wait would
	 * hold up every RELEASE, could not be ended, and would not say which thread asks. Without
	 * this flag io_submit(2) waits itself.
	 */
	conn->want &= ~(unsigned)FUSE_CAP_ASYNC_DIO;
	/* ipcfs_filesystem_admit reads the requests, and can't read them in a pipe */
	conn->want &= ~(unsigned)FUSE_CAP_SPLICE_READ;
#ifdef FUSE_CAP_PASSTHROUGH
	if (ipcfs_backing_possible() && (conn->capable & FUSE_CAP_PASSTHROUGH)) {
		conn->want |= FUSE_CAP_PASSTHROUGH;
		fs->passthrough = true;
	}
#endif
	/*
	 * In a mount of a user namespace, the kernel lets nobody set a list without this flag.
	 * With the flag, the kernel checks the shown modes and lists, too.
	 */
	if (!is_initial_user_namespace() && (conn->capable & FUSE_CAP_POSIX_ACL)) {
		conn->want |= FUSE_CAP_POSIX_ACL;
		fs->kernel_checks = fs->kernel_answers = true;
	}
	conn->max_write = REQUEST_MAX;
	/*
	 * The kernel hands over so many RELEASEs at once. With its default of 12, 64 threads that
	 * open and close are faster than their RELEASEs, and reach max_opens.
	 */
	conn->max_background = RELEASES_MAX;
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
	.fallocate = ipcfs_op_fallocate,
	.getlk = ipcfs_op_getlk,
	.setlk = ipcfs_op_setlk,
	.flock = ipcfs_op_flock,
	.flush = ipcfs_op_flush,
	.release = ipcfs_op_release,
	.poll = ipcfs_op_poll,
};
