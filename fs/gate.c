/* SPDX-License-Identifier: MIT */
/* The library's headers and the kernel's don't go together; this file reads what the kernel wrote. */
#include "gate.h"

#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int ipcfs_gate_init(struct ipcfs_gate *gate, const struct ipcfs_settings *settings,
		    struct ipcfs_account *account)
{
	*gate = (struct ipcfs_gate){ .account = account };
	pthread_mutex_init(&gate->lock, NULL);
	return ipcfs_gate_set(gate, settings);
}

static void free_lists(struct ipcfs_ids *uids, struct ipcfs_ids *gids)
{
	struct ipcfs_settings old = { .allow_uid = *uids, .allow_gid = *gids };

	ipcfs_settings_free(&old);
}

void ipcfs_gate_destroy(struct ipcfs_gate *gate)
{
	free_lists(&gate->uids, &gate->gids);
	pthread_mutex_destroy(&gate->lock);
}

int ipcfs_gate_set(struct ipcfs_gate *gate, const struct ipcfs_settings *settings)
{
	bool listed = settings->allow_uid.count || settings->allow_gid.count;
	struct ipcfs_ids uids, gids, old;

	if (ipcfs_ids_copy(&uids, &settings->allow_uid))
		return -ENOMEM;
	if (ipcfs_ids_copy(&gids, &settings->allow_gid)) {
		free_lists(&uids, &gids);
		return -ENOMEM;
	}
	pthread_mutex_lock(&gate->lock);
	old = gate->uids;
	gate->uids = uids;
	uids = old;
	old = gate->gids;
	gate->gids = gids;
	gids = old;
	pthread_mutex_unlock(&gate->lock);
	free_lists(&uids, &gids);
	ipcfs_account_limit(gate->account, settings);
	atomic_store(&gate->listed, listed);
	atomic_store(&gate->hides, settings->hide);
	atomic_store(&gate->armed, listed || settings->rate);
	return 0;
}

/* By uid and gid, and by the groups as far as they are known. Empty lists: by now there is none any more. */
static bool is_listed(struct ipcfs_gate *gate, const struct ipcfs_caller *caller)
{
	bool listed;

	pthread_mutex_lock(&gate->lock);
	listed = (!gate->uids.count && !gate->gids.count) ||
		 ipcfs_ids_have(&gate->uids, caller->uid) ||
		 ipcfs_ids_have(&gate->gids, caller->gid);
	for (size_t i = 0; !listed && caller->loaded && i < caller->ngroups; i++)
		listed = ipcfs_ids_have(&gate->gids, caller->groups[i]);
	pthread_mutex_unlock(&gate->lock);
	return listed;
}

static bool groups_count(struct ipcfs_gate *gate)
{
	bool count;

	pthread_mutex_lock(&gate->lock);
	count = gate->gids.count > 0;
	pthread_mutex_unlock(&gate->lock);
	return count;
}

int ipcfs_gate_ask_list(struct ipcfs_gate *gate, struct ipcfs_caller *caller,
			int (*load)(struct ipcfs_caller *caller))
{
	int err;

	if (is_listed(gate, caller))
		return 0;
	if (caller->loaded || !load || !groups_count(gate))
		return -EACCES;
	err = load(caller);
	if (err)
		return err;
	return is_listed(gate, caller) ? 0 : -EACCES;
}

/* Newer than some systems' headers; a GETATTR with more to ask for. */
#if FUSE_KERNEL_MINOR_VERSION < 39
#define FUSE_STATX 52
#endif

enum sort {
	FREE,	 /* the kernel is rid of something: always */
	LOOK,	 /* what umount(8) and df(1) ask of a mount, whoever runs them */
	ON_FILE, /* of an open file: its opener is judged, elsewhere */
	ON_PATH,
};

/* ftruncate(2) */
static bool is_of_file(const void *request, size_t size)
{
	struct fuse_setattr_in setattr;

	if (size - sizeof(struct fuse_in_header) < sizeof(setattr))
		return false;
	memcpy(&setattr, (const char *)request + sizeof(struct fuse_in_header), sizeof(setattr));
	return setattr.valid & FATTR_FH;
}

static enum sort sort_of(const struct fuse_in_header *in, const void *request, size_t size)
{
	switch (in->opcode) {
	case FUSE_INIT:
	case FUSE_DESTROY:
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_FLUSH:
	case FUSE_NOTIFY_REPLY:
		return FREE;
	case FUSE_READ:
	case FUSE_WRITE:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
	case FUSE_FSYNC:
	case FUSE_FSYNCDIR:
	case FUSE_GETLK:
	case FUSE_SETLK:
	case FUSE_SETLKW:
	case FUSE_IOCTL:
	case FUSE_POLL:
	case FUSE_FALLOCATE:
	case FUSE_LSEEK:
	case FUSE_COPY_FILE_RANGE:
		return ON_FILE;
	case FUSE_GETATTR:
	case FUSE_STATX:
		/* fstat(2) can't be told from stat(2), whose caller had to look the name up */
		return in->nodeid == FUSE_ROOT_ID ? LOOK : ON_FILE;
	case FUSE_STATFS:
		return in->nodeid == FUSE_ROOT_ID ? LOOK : ON_PATH;
	case FUSE_SETATTR:
		return is_of_file(request, size) ? ON_FILE : ON_PATH;
	default:
		return ON_PATH;
	}
}

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int judge(struct ipcfs_gate *gate, const struct fuse_in_header *in, enum sort sort)
{
	struct ipcfs_caller caller = {
		.uid = in->uid,
		.gid = in->gid,
		.tid = (pid_t)in->pid,
	};
	int err = 0;

	/* First: a flood of those who may not come in at all costs them their tokens, and us no look into /proc. */
	if (sort != LOOK || in->uid != 0)
		err = ipcfs_account_take(gate->account, in->uid, clock_ns());
	if (err || sort != ON_PATH)
		return err;
	err = ipcfs_gate_allows(gate, &caller, ipcfs_caller_load);
	ipcfs_caller_free(&caller);
	return err;
}

/* That the request was interrupted, or the mount is gone, is no concern of ours: nobody waits then. */
static void refuse(int fd, uint64_t unique, int err)
{
	const struct fuse_out_header out = { .len = sizeof(out), .error = err, .unique = unique };

	while (write(fd, &out, sizeof(out)) < 0 && errno == EINTR)
		;
}

int ipcfs_gate_admit_armed(struct ipcfs_gate *gate, int fd, const void *request, size_t size)
{
	struct fuse_in_header in;
	enum sort sort;
	int err;

	if (size < sizeof(in))
		return 0; /* no request at all; the library says so */
	memcpy(&in, request, sizeof(in));
	sort = sort_of(&in, request, size);
	if (sort == FREE)
		return 0;
	err = judge(gate, &in, sort);
	if (err)
		refuse(fd, in.unique, err);
	return err;
}
