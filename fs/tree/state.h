/* SPDX-License-Identifier: MIT */
/* The state of one mount. Everything in it is owned by it, unless a comment says otherwise. */
#ifndef IPCFS_STATE_H
#define IPCFS_STATE_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "fs/access/gate.h"
#include "fs/audit/audit.h"
#include "fs/base/buffers.h"
#include "fs/base/table.h"
#include "fs/events/echo.h"
#include "fs/events/events.h"
#include "fs/tree/node.h"
#include "fs/tree/object.h"

struct ipcfs_legacy;
struct ipcfs_waits;

struct ipcfs_filesystem {
	struct ipcfs_settings settings; /* as at the start; lists belong to ipcfs_options */
	struct ipcfs_quota *quota;	/* what each uid uses, and its limits */
	struct ipcfs_gate gate;
	struct ipcfs_registry *registry; /* the IPC namespaces */
	struct fuse_session *session;	 /* not owned */
	struct ipcfs_legacy *legacy;	 /* for the next worker; not owned; NULL: there is none */
	struct ipcfs_ledger *ledger;	 /* in it; NULL: a worker's files end with it */
	dev_t device;			 /* of the mount; 0: unknown */
	int watch;			 /* for ipcfs_waits_create */
	struct ipcfs_objects objects;
	struct ipcfs_nodes nodes;
	struct ipcfs_table files;  /* struct ipcfs_file, by file handle */
	struct ipcfs_table holds;  /* struct ipcfs_hold */
	struct ipcfs_waits *waits; /* the waiters */
	struct ipcfs_buffers buffers;
	struct ipcfs_audit audit;
	struct ipcfs_events events; /* who reads what happens */
	struct ipcfs_echo echo;	    /* -o inotify */
	struct ipcfs_event_reader echo_reader;
	struct {
		pthread_t thread;
		bool started, stopping; /* guarded by nodes.lock */
	} trim;
	_Atomic bool passthrough; /* the kernel can be given backing files */
	bool kernel_checks;	  /* the kernel checks shown modes and lists before it asks */
	bool kernel_answers;	  /* the kernel answers access(2), from the shown modes */
	bool target;		  /* the mount shows the namespace of another process */
	bool reexport;		  /* the kernel passes on offsets of files that have none */
	struct timespec started;  /* the times that fixed nodes show */
	uid_t uid;		  /* the owner that fixed nodes show: the daemon's effective ids */
	gid_t gid;
};

/* Returns the state of the mount that the request came from. */
static inline struct ipcfs_filesystem *ipcfs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* Returns the object of a node, which lives as long as the node. NULL: the node has none. */
static inline struct ipcfs_object *ipcfs_node_object(const struct ipcfs_filesystem *fs,
						     const struct ipcfs_node *node)
{
	return ipcfs_object_at(&fs->objects, node->key.object);
}

/* Returns the view of a node, which lives as long as the node. NULL: above the namespaces. */
static inline struct ipcfs_view *ipcfs_node_view(const struct ipcfs_filesystem *fs,
						 const struct ipcfs_node *node)
{
	return ipcfs_view_at(fs->registry, node->key.view);
}

/* Returns the space whose objects a directory of a class shows. NULL: the node is none. */
static inline struct ipcfs_space *ipcfs_node_space(const struct ipcfs_filesystem *fs,
						   const struct ipcfs_node *node)
{
	const struct ipcfs_class *class = ipcfs_class_at(node->key.class);

	return class ? ipcfs_view_space(ipcfs_node_view(fs, node), class) : NULL;
}

#endif
