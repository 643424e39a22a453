/* SPDX-License-Identifier: MIT */
/* The file system's state, all of it: who owns what. */
#ifndef IPCFS_CORE_H
#define IPCFS_CORE_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "audit.h"
#include "buffers.h"
#include "filesystem.h"
#include "gate.h"
#include "node.h"
#include "object.h"
#include "table.h"

struct ipcfs_room;

struct ipcfs_filesystem {
	struct ipcfs_settings settings; /* as at the start; the lists in it are not ours */
	struct ipcfs_account *account;	/* what each uid uses */
	struct ipcfs_gate gate;
	struct ipcfs_registry *registry; /* the IPC namespaces */
	struct fuse_session *session;
	struct ipcfs_objects objects;
	struct ipcfs_nodes nodes;
	struct ipcfs_table opens; /* struct ipcfs_open, by file handle */
	struct ipcfs_room *room;  /* the waiters */
	struct ipcfs_buffers buffers;
	struct ipcfs_audit audit;
	_Atomic bool passthrough; /* the kernel may be asked to use files in our place */
	bool kernel_checks;	  /* it judges by the shown modes and lists before it asks us */
	struct timespec started;  /* the times of fixed nodes */
	uid_t uid;		  /* the owner of fixed nodes: who runs the daemon */
	gid_t gid;
};

static inline struct ipcfs_filesystem *ipcfs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

#endif
