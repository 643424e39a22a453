/* SPDX-License-Identifier: MIT */
#include "fs/base/counters.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* By opcode. Number 0 stands for requests that ipcfs does not handle. */
static const char *const ops[] = {
	[0] = "other",
	[FUSE_LOOKUP] = "lookup",
	[FUSE_FORGET] = "forget",
	[FUSE_GETATTR] = "getattr",
	[FUSE_SETATTR] = "setattr",
	[FUSE_READLINK] = "readlink",
	[FUSE_SYMLINK] = "symlink",
	[FUSE_MKNOD] = "mknod",
	[FUSE_MKDIR] = "mkdir",
	[FUSE_UNLINK] = "unlink",
	[FUSE_RMDIR] = "rmdir",
	[FUSE_RENAME] = "rename",
	[FUSE_LINK] = "link",
	[FUSE_OPEN] = "open",
	[FUSE_READ] = "read",
	[FUSE_WRITE] = "write",
	[FUSE_STATFS] = "statfs",
	[FUSE_RELEASE] = "release",
	[FUSE_SETXATTR] = "setxattr",
	[FUSE_GETXATTR] = "getxattr",
	[FUSE_LISTXATTR] = "listxattr",
	[FUSE_REMOVEXATTR] = "removexattr",
	[FUSE_FLUSH] = "flush",
	[FUSE_INIT] = "init",
	[FUSE_OPENDIR] = "opendir",
	[FUSE_READDIR] = "readdir",
	[FUSE_RELEASEDIR] = "releasedir",
	[FUSE_GETLK] = "getlk",
	[FUSE_SETLK] = "setlk",
	[FUSE_SETLKW] = "setlkw",
	[FUSE_ACCESS] = "access",
	[FUSE_CREATE] = "create",
	[FUSE_INTERRUPT] = "interrupt",
	[FUSE_POLL] = "poll",
	[FUSE_BATCH_FORGET] = "batch_forget",
	[FUSE_FALLOCATE] = "fallocate",
	[FUSE_READDIRPLUS] = "readdirplus",
};

#define ERROR(name) [name] = #name

/* By number. Number 0 stands for all others. */
static const char *const errors[] = {
	[0] = "other",	 ERROR(EPERM),	   ERROR(ENOENT),      ERROR(ESRCH),
	ERROR(EINTR),	 ERROR(EIO),	   ERROR(ENXIO),       ERROR(E2BIG),
	ERROR(EBADF),	 ERROR(EAGAIN),	   ERROR(ENOMEM),      ERROR(EACCES),
	ERROR(EFAULT),	 ERROR(EBUSY),	   ERROR(EEXIST),      ERROR(EXDEV),
	ERROR(ENODEV),	 ERROR(ENOTDIR),   ERROR(EISDIR),      ERROR(EINVAL),
	ERROR(ENFILE),	 ERROR(EMFILE),	   ERROR(ENOTTY),      ERROR(EFBIG),
	ERROR(ENOSPC),	 ERROR(EROFS),	   ERROR(EMLINK),      ERROR(EPIPE),
	ERROR(EDOM),	 ERROR(ERANGE),	   ERROR(EDEADLK),     ERROR(ENAMETOOLONG),
	ERROR(ENOLCK),	 ERROR(ENOSYS),	   ERROR(ELOOP),       ERROR(EIDRM),
	ERROR(ENODATA),	 ERROR(EOVERFLOW), ERROR(EMSGSIZE),    ERROR(EOPNOTSUPP),
	ERROR(ENOTCONN), ERROR(ETIMEDOUT), ERROR(EINPROGRESS), ERROR(ESTALE),
	ERROR(EDQUOT),	 ERROR(ECANCELED),
};

/* The words of ipcfs_reason_name and of fs/request. The last one stands for all others. */
static const char *const reasons[] = {
	"owner",  "named user", "group", "other",     "capability", "kernel",
	"opener", "whitelist",	"rate",	 "namespace", "unknown",
};

static const char *const losses[] = { "flood", "buffer", "target" };

/* Those of fs/events that are told to all readers. The last one stands for all others. */
static const char *const happenings[] = {
	"created",  "removed",		 "changed", "full",	"empty",  "stale", "held",
	"released", "released_by_death", "leased",  "returned", "denied", "lost",
};

static _Atomic uint64_t by_op[COUNT(ops)], by_error[COUNT(errors)], by_reason[COUNT(reasons)],
	by_loss[COUNT(losses)], by_happening[COUNT(happenings)];

/* All that is counted, by enum ipcfs_counted. */
static const struct kind {
	const char *label;
	const char *const *words;
	_Atomic uint64_t *counts;
	size_t size;
	bool sparse; /* only what has occurred is told */
} kinds[] = {
	[IPCFS_COUNTED_REQUESTS] = { "op", ops, by_op, COUNT(ops), false },
	[IPCFS_COUNTED_ERRORS] = { "errno", errors, by_error, COUNT(errors), true },
	[IPCFS_COUNTED_DENIED] = { "reason", reasons, by_reason, COUNT(reasons), false },
	[IPCFS_COUNTED_LOST] = { "reason", losses, by_loss, COUNT(losses), false },
	[IPCFS_COUNTED_EVENTS] = { "event", happenings, by_happening, COUNT(happenings), false },
};

static void count(enum ipcfs_counted what, size_t at)
{
	atomic_fetch_add_explicit(&kinds[what].counts[at], 1, memory_order_relaxed);
}

/* Counts under the number `at`, or under 0 if the table does not have it. */
static void count_number(enum ipcfs_counted what, size_t at)
{
	count(what, at < kinds[what].size && kinds[what].words[at] ? at : 0);
}

/* Counts under a word, or under the last one if the table does not have it. */
static void count_word(enum ipcfs_counted what, const char *word)
{
	const struct kind *kind = &kinds[what];
	size_t at = 0;

	while (at + 1 < kind->size && !(word && !strcmp(kind->words[at], word)))
		at++;
	count(what, at);
}

void ipcfs_count_request(uint32_t opcode)
{
	count_number(IPCFS_COUNTED_REQUESTS, opcode);
}

void ipcfs_count_error(int err)
{
	if (err)
		count_number(IPCFS_COUNTED_ERRORS, (size_t) - (int64_t)err);
}

void ipcfs_count_denied(const char *reason)
{
	count_word(IPCFS_COUNTED_DENIED, reason);
}

void ipcfs_count_lost(const char *reason)
{
	count_word(IPCFS_COUNTED_LOST, reason);
}

void ipcfs_count_event(const char *word)
{
	if (strcmp(word, "lost") != 0)
		count_word(IPCFS_COUNTED_EVENTS, word);
}

void ipcfs_count_events_lost(uint64_t events)
{
	atomic_fetch_add_explicit(&by_happening[COUNT(happenings) - 1], events,
				  memory_order_relaxed);
}

const char *ipcfs_counters_label(enum ipcfs_counted what)
{
	return kinds[what].label;
}

int ipcfs_counters_each(enum ipcfs_counted what,
			int (*each)(void *arg, const char *word, uint64_t count), void *arg)
{
	const struct kind *kind = &kinds[what];
	int result = 0;

	for (size_t i = 0; !result && i < kind->size; i++) {
		uint64_t number = atomic_load_explicit(&kind->counts[i], memory_order_relaxed);

		if (kind->words[i] && (number || !kind->sparse))
			result = each(arg, kind->words[i], number);
	}
	return result;
}
