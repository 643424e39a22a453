/* SPDX-License-Identifier: MIT */
/* System V message queues as objects. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "identity.h"
#include "kinds.h"
#include "sysv_key.h"
#include "sysv_msg.h"
#include "sysv_object.h"

#define MODE_BITS 0666

int ipcfs_sysv_msg_look(int id, struct msqid_ds *ds)
{
	int found = msgctl(id, MSG_STAT_ANY, ds);

	if (found < 0)
		return errno == EINVAL ? -EIDRM : -errno;
	return found == id ? 0 : -EIDRM;
}

void ipcfs_sysv_msg_perm(const struct msqid_ds *ds, struct ipcfs_perm *perm)
{
	ipcfs_sysv_perm(&ds->msg_perm, perm);
}

uint64_t ipcfs_sysv_msg_largest(const struct msqid_ds *ds)
{
	struct msginfo limits;

	/* Never seen to fail; then the queue's own limit is the best guess. */
	if (msgctl(0, IPC_INFO, (struct msqid_ds *)(void *)&limits) < 0 || limits.msgmax < 0)
		return ds->msg_qbytes;
	if ((uint64_t)limits.msgmax < ds->msg_qbytes)
		return (uint64_t)limits.msgmax;
	return ds->msg_qbytes;
}

static int look_at(int place, struct ipcfs_info *info)
{
	struct msqid_ds ds;
	int id = msgctl(place, MSG_STAT_ANY, &ds);

	if (id < 0)
		return -errno;
	info->ref.key = (uint32_t)ds.msg_perm.__key;
	ipcfs_sysv_msg_perm(&ds, &info->perm);
	info->ctime.tv_sec = ds.msg_ctime;
	info->mtime.tv_sec = ds.msg_stime ? ds.msg_stime : ds.msg_ctime;
	info->atime.tv_sec = ds.msg_rtime ? ds.msg_rtime : ds.msg_ctime;
	info->size = ds.__msg_cbytes;
	info->messages = ds.msg_qnum;
	info->max_bytes = ds.msg_qbytes;
	return id;
}

static int highest(void)
{
	struct msginfo used;
	int index = msgctl(0, MSG_INFO, (struct msqid_ds *)(void *)&used);

	return index < 0 ? -errno : index;
}

static int get(key_t key)
{
	int id = msgget(key, 0);

	return id < 0 ? -errno : id;
}

static int remove_id(int id)
{
	return msgctl(id, IPC_RMID, NULL) ? -errno : 0;
}

static int set(int id, const struct ipcfs_change *all)
{
	struct msqid_ds ds = {
		.msg_perm = { .uid = all->uid, .gid = all->gid, .mode = (unsigned short)all->mode },
		.msg_qbytes = (msglen_t)all->max_bytes,
	};

	return msgctl(id, IPC_SET, &ds) ? -errno : 0;
}

static const struct ipcfs_sysv_kind kind = {
	.look = look_at,
	.highest = highest,
	.get = get,
	.remove = remove_id,
	.fields = IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID | IPCFS_CHANGE_GID | IPCFS_CHANGE_MAX_BYTES,
	.set = set,
};

int ipcfs_sysv_msg_verify(const struct ipcfs_ref *ref)
{
	return ipcfs_sysv_verify(&kind, ref);
}

static int find(const struct ipcfs_space *space, const char *name, struct ipcfs_info *info)
{
	(void)space;
	return ipcfs_sysv_find(&kind, name, info);
}

static int stat_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		    struct ipcfs_info *info)
{
	(void)space;
	return ipcfs_sysv_stat(&kind, ref, info);
}

static int list(const struct ipcfs_space *space,
		int (*each)(void *arg, const struct ipcfs_info *info), void *arg)
{
	(void)space;
	return ipcfs_sysv_list(&kind, each, arg);
}

struct new_queue {
	const struct ipcfs_spec *spec;
	key_t key;
	const char *limit; /* the one that was reached */
};

/* With the caller's identity. Returns the id. */
static int make_queue(void *arg)
{
	struct new_queue *queue = arg;
	const struct ipcfs_spec *spec = queue->spec;
	int id = msgget(queue->key, IPC_CREAT | IPC_EXCL | (int)(spec->mode & MODE_BITS));
	struct msqid_ds ds;
	int error;

	if (id < 0) {
		if (errno == ENOSPC)
			queue->limit = "msgmni";
		return -errno;
	}
	if (!(spec->given & IPCFS_SPEC_MAX_BYTES))
		return id;

	error = ipcfs_sysv_msg_look(id, &ds);
	if (!error) {
		ds.msg_qbytes = (msglen_t)spec->max_bytes;
		error = msgctl(id, IPC_SET, &ds) ? -errno : 0;
	}
	if (!error)
		return id;
	(void)msgctl(id, IPC_RMID, NULL); /* fails only where someone else was faster */
	return error;
}

static int make(const struct ipcfs_space *space, const struct ipcfs_spec *spec,
		const struct ipcfs_caller *caller, struct ipcfs_info *info, const char **limit)
{
	struct new_queue queue = { .spec = spec };
	int id, error;

	(void)space;
	*limit = NULL;
	error = ipcfs_sysv_make_key(spec->name, &queue.key);
	if (error)
		return error;
	if (spec->given & IPCFS_SPEC_MAX_BYTES && (!spec->max_bytes || spec->max_bytes > ULONG_MAX))
		return -ERANGE;

	id = ipcfs_identity_run(caller, make_queue, &queue, sizeof(queue));
	*limit = queue.limit;
	if (id < 0)
		return id;
	error = ipcfs_sysv_look(&kind, id, info);
	return error == -EIDRM ? -ENOENT : error;
}

static int remove_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      const struct ipcfs_caller *caller)
{
	(void)space;
	return ipcfs_sysv_remove(&kind, ref, caller);
}

static int change(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		  const struct ipcfs_change *wanted, const struct ipcfs_caller *caller)
{
	(void)space;
	if (wanted->mask & IPCFS_CHANGE_MAX_BYTES &&
	    (!wanted->max_bytes || wanted->max_bytes > ULONG_MAX))
		return -ERANGE;
	return ipcfs_sysv_change(&kind, ref, wanted, caller);
}

static int status(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		  struct ipcfs_text *out)
{
	char name[NAME_MAX + 1];
	struct msqid_ds ds;
	int error = ipcfs_sysv_msg_look((int)ref->serial, &ds);

	(void)space;
	if (error)
		return error == -EIDRM ? -ENOENT : error;
	if ((uint32_t)ds.msg_perm.__key != ref->key)
		return -ENOENT;
	ipcfs_sysv_name(ref->key, (int)ref->serial, name);
	return ipcfs_text_printf(out,
				 "class=sysv/msg\n"
				 "name=%s\n"
				 "key=0x%08x\n"
				 "id=%d\n"
				 "uid=%u\n"
				 "gid=%u\n"
				 "cuid=%u\n"
				 "cgid=%u\n"
				 "mode=0%03o\n"
				 "messages=%llu\n"
				 "bytes=%llu\n"
				 "max_bytes=%llu\n"
				 "max_message_size=%llu\n"
				 "last_send_pid=%d\n"
				 "last_recv_pid=%d\n"
				 "last_send_time=%lld\n"
				 "last_recv_time=%lld\n"
				 "change_time=%lld\n"
				 "stale=unknown\n",
				 name, ref->key, (int)ref->serial, ds.msg_perm.uid, ds.msg_perm.gid,
				 ds.msg_perm.cuid, ds.msg_perm.cgid,
				 (unsigned)ds.msg_perm.mode & 0777, (unsigned long long)ds.msg_qnum,
				 (unsigned long long)ds.__msg_cbytes,
				 (unsigned long long)ds.msg_qbytes,
				 (unsigned long long)ipcfs_sysv_msg_largest(&ds), ds.msg_lspid,
				 ds.msg_lrpid, (long long)ds.msg_stime, (long long)ds.msg_rtime,
				 (long long)ds.msg_ctime);
}

const struct ipcfs_backend ipcfs_sysv_msg = {
	.family = "sysv",
	.class_name = "msg",
	.rule = IPCFS_RULE_SYSV,
	.spec_keys = IPCFS_SPEC_MODE | IPCFS_SPEC_MAX_BYTES,
	.change_fields = IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID | IPCFS_CHANGE_GID |
			 IPCFS_CHANGE_MAX_BYTES,
	.by_id = true,
	.bound = true,
	.check_name = ipcfs_sysv_name_check,
	.find = find,
	.glance = stat_ref,
	.stat = stat_ref,
	.list = list,
	.make = make,
	.remove = remove_ref,
	.change = change,
	.status = status,
	.watch = NULL,
	.queue = &ipcfs_sysv_msg_queue,
};
