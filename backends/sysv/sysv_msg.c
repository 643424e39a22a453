/* SPDX-License-Identifier: MIT */
/* System V message queues as objects: msgget(2), msgctl(2). */
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "backends/caller/act_as.h"
#include "backends/contract/classes.h"
#include "backends/sysv/sysv_key.h"
#include "backends/sysv/sysv_msg.h"

#define MODE_BITS 0666

int ipcfs_sysv_msg_stat_id(int id, struct msqid_ds *ds)
{
	return ipcfs_sysv_stat_result(msgctl(id, MSG_STAT_ANY, ds), id);
}

uint64_t ipcfs_sysv_msg_largest(const struct msqid_ds *ds)
{
	struct msginfo limits;

	/* without the system's limit, the queue's own one has to do */
	if (msgctl(0, IPC_INFO, (struct msqid_ds *)(void *)&limits) < 0 || limits.msgmax < 0)
		return ds->msg_qbytes;
	if ((uint64_t)limits.msgmax < ds->msg_qbytes)
		return (uint64_t)limits.msgmax;
	return ds->msg_qbytes;
}

static int stat_any(int index, struct ipcfs_info *info)
{
	struct msqid_ds ds;
	int id = msgctl(index, MSG_STAT_ANY, &ds);

	if (id < 0)
		return -errno;
	info->ref.key = (uint32_t)ds.msg_perm.__key;
	ipcfs_sysv_perm(&ds.msg_perm, &info->perm);
	info->ctime.tv_sec = ds.msg_ctime;
	info->mtime.tv_sec = ds.msg_stime ? ds.msg_stime : ds.msg_ctime;
	info->atime.tv_sec = ds.msg_rtime ? ds.msg_rtime : ds.msg_ctime;
	info->size = ds.__msg_cbytes;
	info->messages = ds.msg_qnum;
	info->max_bytes = ds.msg_qbytes;
	info->max_messages = ds.msg_qbytes; /* as the kernel has it: empty ones count, too */
	return id;
}

static int highest_index(void)
{
	struct msginfo used;
	int index = msgctl(0, MSG_INFO, (struct msqid_ds *)(void *)&used);

	return index < 0 ? -errno : index;
}

static int count_queues(void)
{
	struct msginfo used;

	if (msgctl(0, MSG_INFO, (struct msqid_ds *)(void *)&used) < 0)
		return -errno;
	return used.msgpool;
}

static int get_id(key_t key)
{
	int id = msgget(key, 0);

	return id < 0 ? -errno : id;
}

static int remove_id(int id)
{
	return msgctl(id, IPC_RMID, NULL) ? -errno : 0;
}

static int set_fields(int id, const struct ipcfs_change *all)
{
	struct msqid_ds ds = {
		.msg_perm = { .uid = all->uid, .gid = all->gid, .mode = (unsigned short)all->mode },
		.msg_qbytes = (msglen_t)all->max_bytes,
	};

	return msgctl(id, IPC_SET, &ds) ? -errno : 0;
}

const struct ipcfs_sysv_class ipcfs_sysv_msg_calls = {
	.stat_any = stat_any,
	.highest_index = highest_index,
	.at_most = count_queues,
	.get_id = get_id,
	.remove_id = remove_id,
	.fields = IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID | IPCFS_CHANGE_GID | IPCFS_CHANGE_MAX_BYTES,
	.set_fields = set_fields,
};

IPCFS_SYSV_FUNCTIONS(&ipcfs_sysv_msg_calls)

struct new_queue {
	const struct ipcfs_spec *spec;
	key_t key;
	const char *limit; /* that was reached */
};

/* Makes the queue as the caller. Returns its id. */
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

	error = ipcfs_sysv_msg_stat_id(id, &ds);
	if (!error) {
		ds.msg_qbytes = (msglen_t)spec->max_bytes;
		error = msgctl(id, IPC_SET, &ds) ? -errno : 0;
	}
	if (!error)
		return id;
	if (error == -EPERM)
		queue->limit = "msgmnb";
	(void)msgctl(id, IPC_RMID, NULL); /* fails only where it was removed already */
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

	id = ipcfs_act_as(caller, make_queue, &queue, sizeof(queue));
	*limit = queue.limit;
	if (id < 0)
		return id;
	return ipcfs_sysv_find_id(&ipcfs_sysv_msg_calls, id, info);
}

static int status(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		  struct ipcfs_text *out)
{
	size_t start = out->size;
	struct msqid_ds ds;
	int error = ipcfs_sysv_msg_stat_id((int)ref->serial, &ds);

	(void)space;
	if (error)
		return error == -EIDRM ? -ENOENT : error;
	error = ipcfs_sysv_status("sysv/msg", ref, &ds.msg_perm, out);
	if (!error)
		error = ipcfs_text_printf(out,
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
					  (unsigned long long)ds.msg_qnum,
					  (unsigned long long)ds.__msg_cbytes,
					  (unsigned long long)ds.msg_qbytes,
					  (unsigned long long)ipcfs_sysv_msg_largest(&ds),
					  ds.msg_lspid, ds.msg_lrpid, (long long)ds.msg_stime,
					  (long long)ds.msg_rtime, (long long)ds.msg_ctime);
	if (error)
		ipcfs_text_cut(out, start);
	return error;
}

const struct ipcfs_class ipcfs_sysv_msg = {
	.family = "sysv",
	.name = "msg",
	.rule = IPCFS_RULE_SYSV,
	.spec_keys = IPCFS_SPEC_MODE | IPCFS_SPEC_MAX_BYTES,
	.change_fields = IPCFS_CHANGE_MODE | IPCFS_CHANGE_UID | IPCFS_CHANGE_GID |
			 IPCFS_CHANGE_MAX_BYTES,
	.by_id = true,
	.bound = true,
	.limit = "msgmni",
	.check_name = ipcfs_sysv_name_check,
	.find = find,
	.stat_brief = stat_ref,
	.stat = stat_ref,
	.walk = walk,
	.at_most = at_most,
	.make = make,
	.remove = remove_ref,
	.change = change,
	.status = status,
	.watch = NULL,
	.queue = &ipcfs_sysv_msg_queue,
};
