/* SPDX-License-Identifier: MIT */
/* Random queues, made and changed by direct calls, and what direct calls say about them. */
#ifndef IPCFS_DIRECT_H
#define IPCFS_DIRECT_H

#include <limits.h>
#include <mqueue.h>
#include <stddef.h>
#include <sys/msg.h>
#include <sys/stat.h>

#include "peer.h"

struct queue {
	bool posix, gone;
	uint32_t key;
	int id; /* msqid or mqd_t */
	char name[NAME_MAX + 1];
	char dir[PEER_PATH];
};

/*
 * The answers of direct calls about a queue. -1: this family does not have it, and it is not
 * compared.
 */
struct facts {
	long long key, id, uid, gid, cuid, cgid, mode, messages, bytes, max_bytes, max_messages,
		max_message_size, last_send_pid, last_recv_pid, last_send_time, last_recv_time,
		change_time;
	struct timespec atime, mtime, ctime;
};

static const struct {
	const char *name;
	size_t offset;
} fields[] = {
#define FIELD(name)                                                                                \
	{                                                                                          \
#name, offsetof(struct facts, name)                                                \
	}
	FIELD(key),
	FIELD(id),
	FIELD(uid),
	FIELD(gid),
	FIELD(cuid),
	FIELD(cgid),
	FIELD(mode),
	FIELD(messages),
	FIELD(bytes),
	FIELD(max_bytes),
	FIELD(max_messages),
	FIELD(max_message_size),
	FIELD(last_send_pid),
	FIELD(last_recv_pid),
	FIELD(last_send_time),
	FIELD(last_recv_time),
	FIELD(change_time),
#undef FIELD
};

static const char *mount;
static uint64_t rng;

/* Returns a random number from 0 up to, but not including, the limit. */
static uint32_t below(uint32_t limit)
{
	return peer_random(&rng) % limit;
}

static void send_some(const struct queue *queue, uint32_t most)
{
	static struct {
		long type;
		char text[4096];
	} message;

	for (uint32_t i = below(most + 1); i; i--) {
		struct mq_attr attr;

		if (queue->posix) {
			mq_getattr(queue->id, &attr);
			mq_send(queue->id, message.text, below((uint32_t)attr.mq_msgsize + 1),
				below(32768));
		} else {
			message.type = 1 + (long)below(INT_MAX);
			msgsnd(queue->id, &message, below(1000), IPC_NOWAIT);
		}
	}
}

static void receive_some(const struct queue *queue, uint32_t most)
{
	static char text[16384];

	for (uint32_t i = below(most + 1); i; i--) {
		if (queue->posix)
			mq_receive(queue->id, text, sizeof(text), NULL);
		else
			msgrcv(queue->id, text, sizeof(text) - sizeof(long), 0, IPC_NOWAIT);
	}
}

/* Owner, group, mode and size limit; this process is root, so it keeps its own access. */
static void set_random(const struct queue *queue)
{
	uid_t uid = below(3) ? below(70000) : 0;
	gid_t gid = below(3) ? below(70000) : 0;
	mode_t mode = below(5) ? below(0777 + 1) & 0666 : 0;
	struct msqid_ds info;

	if (queue->posix) {
		if (fchown(queue->id, uid, gid) || fchmod(queue->id, mode))
			peer_die("changing %s", queue->name);
		return;
	}
	if (msgctl(queue->id, IPC_STAT, &info))
		peer_die("IPC_STAT");
	info.msg_perm.uid = uid;
	info.msg_perm.gid = gid;
	info.msg_perm.mode = mode;
	info.msg_qbytes = 1 + below(60000);
	if (msgctl(queue->id, IPC_SET, &info))
		peer_die("IPC_SET");
}

static void random_name(char *name)
{
	size_t size = below(8) ? 1 + below(20) : 1 + below(NAME_MAX);

	do {
		for (size_t i = 0; i < size; i++) {
			char c = (char)(1 + below(255));

			name[i] = c == '/' ? '_' : c;
		}
		name[size] = '\0';
		if (below(2)) /* one without a priority */
			snprintf(name, NAME_MAX, "q%u", below(1000000000));
	} while (!strcmp(name, ".") || !strcmp(name, ".."));
}

static bool make_direct(struct queue *queue)
{
	struct mq_attr attr = { .mq_maxmsg = 1 + below(50), .mq_msgsize = 1 + below(2000) };
	char path[NAME_MAX + 2];

	if (queue->posix) {
		random_name(queue->name);
		snprintf(path, sizeof(path), "/%s", queue->name);
		/*
		 * Queues are charged to real user ids: with a user for each queue no limit is
		 * reached. In a user namespace the limit of its owner holds for all queues, so they
		 * must be small.
		 */
		if (peer_kernel_checks())
			attr = (struct mq_attr){ .mq_maxmsg = 1 + below(10),
						 .mq_msgsize = 1 + below(200) };
		if (setresuid(peer_kernel_checks() ? 1000 + below(60000) : 100000 + below(1000000),
			      (uid_t)-1, (uid_t)-1))
			peer_die("setresuid");
		queue->id = mq_open(path, O_CREAT | O_EXCL | O_RDWR | O_NONBLOCK | O_CLOEXEC, 0600,
				    &attr);
		if (setresuid(0, (uid_t)-1, (uid_t)-1))
			peer_die("setresuid");
		snprintf(queue->dir, sizeof(queue->dir), "%s/posix/mq/%s", mount, queue->name);
	} else {
		queue->key = below(8) ? peer_random(&rng) : IPC_PRIVATE;
		queue->id = msgget((key_t)queue->key, IPC_CREAT | IPC_EXCL | 0600);
		if (queue->key)
			snprintf(queue->name, sizeof(queue->name), "0x%08x", queue->key);
		else
			snprintf(queue->name, sizeof(queue->name), "%d", queue->id);
		snprintf(queue->dir, sizeof(queue->dir), "%s/sysv/msg/%s", mount, queue->name);
	}
	queue->gone = queue->id < 0;
	return !queue->gone;
}

static void remove_direct(struct queue *queue)
{
	char path[NAME_MAX + 2];

	snprintf(path, sizeof(path), "/%s", queue->name);
	if (queue->posix ? mq_unlink(path) : msgctl(queue->id, IPC_RMID, NULL))
		peer_fail("direct removal of %s: %s", queue->dir, strerror(errno));
	if (queue->posix)
		mq_close(queue->id);
	queue->gone = true;
}

static bool exists_direct(const struct queue *queue)
{
	char path[NAME_MAX + 2];
	struct msqid_ds info;
	mqd_t mqd;

	if (!queue->posix)
		return !msgctl(queue->id, IPC_STAT, &info);
	snprintf(path, sizeof(path), "/%s", queue->name);
	mqd = mq_open(path, O_RDONLY);
	if (mqd >= 0)
		mq_close(mqd);
	return mqd >= 0;
}

static void get_facts(const struct queue *queue, struct facts *facts)
{
	struct msqid_ds info;
	struct mq_attr attr;
	struct stat st;
	char text[256] = "";

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		*(long long *)((char *)facts + fields[i].offset) = -1;
	if (queue->posix) {
		if (fstat(queue->id, &st) || mq_getattr(queue->id, &attr) ||
		    pread(queue->id, text, sizeof(text) - 1, 0) < 0)
			peer_die("facts of %s", queue->name);
		facts->uid = st.st_uid;
		facts->gid = st.st_gid;
		facts->mode = st.st_mode & 0777;
		facts->messages = attr.mq_curmsgs;
		facts->max_messages = attr.mq_maxmsg;
		facts->max_message_size = attr.mq_msgsize;
		if (sscanf(text, "QSIZE:%lld", &facts->bytes) != 1)
			peer_die("text of %s", queue->name);
		facts->atime = st.st_atim;
		facts->mtime = st.st_mtim;
		facts->ctime = st.st_ctim;
		return;
	}
	if (msgctl(queue->id, IPC_STAT, &info))
		peer_die("facts of %s", queue->name);
	facts->key = (uint32_t)info.msg_perm.__key;
	facts->id = queue->id;
	facts->uid = info.msg_perm.uid;
	facts->gid = info.msg_perm.gid;
	facts->cuid = info.msg_perm.cuid;
	facts->cgid = info.msg_perm.cgid;
	facts->mode = info.msg_perm.mode & 0777;
	facts->messages = (long long)info.msg_qnum;
	facts->bytes = (long long)info.__msg_cbytes;
	facts->max_bytes = (long long)info.msg_qbytes;
	facts->last_send_pid = info.msg_lspid;
	facts->last_recv_pid = info.msg_lrpid;
	facts->last_send_time = info.msg_stime;
	facts->last_recv_time = info.msg_rtime;
	facts->change_time = info.msg_ctime;
	facts->ctime.tv_sec = info.msg_ctime;
	facts->mtime.tv_sec = info.msg_stime ? info.msg_stime : info.msg_ctime;
	facts->atime.tv_sec = info.msg_rtime ? info.msg_rtime : info.msg_ctime;
}

#endif
