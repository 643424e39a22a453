/* SPDX-License-Identifier: MIT */
#include "fs/request/file_check.h"

#include <errno.h>

#include "fs/access/caller.h"
#include "fs/request/audit_event.h"
#include "fs/request/judge.h"
#include "fs/tree/permission.h"

struct ipcfs_caller *ipcfs_file_enter_opener(struct ipcfs_file *file, struct ipcfs_caller *now)
{
	pthread_mutex_lock(&file->lock);
	if (!file->opened || file->opener.loaded)
		return &file->opener;
	*now = file->opener;
	now->before = file->since;
	return now;
}

void ipcfs_file_leave_opener(struct ipcfs_file *file, struct ipcfs_caller *judged)
{
	if (judged != &file->opener)
		ipcfs_caller_free(judged);
	pthread_mutex_unlock(&file->lock);
}

/* Returns how to load groups and capabilities. NULL: another thread opened the file. */
static int (*loader(const struct ipcfs_file *file, pid_t tid))(struct ipcfs_caller *)
{
	return tid && tid == file->opener.tid ? ipcfs_caller_load : NULL;
}

int ipcfs_file_admitted(struct ipcfs_filesystem *fs, struct ipcfs_file *file, pid_t tid)
{
	struct ipcfs_caller now, *judged;
	int err;

	if (!atomic_load_explicit(&fs->gate.listed, memory_order_relaxed))
		return 0;
	judged = ipcfs_file_enter_opener(file, &now);
	err = ipcfs_gate_allows(&fs->gate, judged, loader(file, tid));
	ipcfs_file_leave_opener(file, judged);
	return err;
}

/*
 * Checks that the opener may use the object, whose permissions are `perm`; `err` is the result of
 * asking for them. Reports a use to the audit; for an open, keeps the reason in the file.
 */
static int check_opener(struct ipcfs_filesystem *fs, struct ipcfs_file *file,
			enum ipcfs_direction direction, pid_t tid, int err,
			const struct ipcfs_perm *perm)
{
	const struct ipcfs_object *object = ipcfs_file_object(fs, file);
	const struct ipcfs_class *class = object->class;
	unsigned want = direction == IPCFS_SEND ? IPCFS_WANT_WRITE : IPCFS_WANT_READ;
	const struct ipcfs_permission_target target = {
		.space = object->space,
		.class = class,
		.ref = &object->ref,
		.perm = perm,
		.handle = file->handle[direction],
	};
	struct ipcfs_caller now, *judged;
	const char *by = "whitelist";
	enum ipcfs_reason reason;

	if (err == -EIDRM && class->queue && direction == IPCFS_RECEIVE &&
	    class->rule == IPCFS_RULE_FILE)
		err = 0; /* a removed POSIX queue still gives its messages */
	if (err)
		return err;
	err = ipcfs_file_admitted(fs, file, tid);
	if (!err) {
		judged = ipcfs_file_enter_opener(file, &now);
		err = ipcfs_permission_check(&target, want, judged, loader(file, tid), &reason);
		ipcfs_file_leave_opener(file, judged);
		by = ipcfs_reason_name(reason);
	}
	if (file->opened)
		ipcfs_audit_event_use(fs, file, direction, tid, err, by);
	else
		file->reason = by;
	return err;
}

int ipcfs_file_check(struct ipcfs_filesystem *fs, struct ipcfs_file *file,
		     enum ipcfs_direction direction, pid_t tid)
{
	struct ipcfs_perm perm;
	int err = ipcfs_object_perm(ipcfs_file_object(fs, file), file->handle[direction], &perm);

	return check_opener(fs, file, direction, tid, err, &perm);
}

int ipcfs_file_check_fstat(struct ipcfs_filesystem *fs, struct ipcfs_file *file,
			   enum ipcfs_direction direction, pid_t tid, struct ipcfs_info *info)
{
	int err = ipcfs_file_object(fs, file)->class->queue->fstat(file->handle[direction], info);

	return check_opener(fs, file, direction, tid, err, &info->perm);
}

int ipcfs_file_check_writer(fuse_req_t req, struct ipcfs_file *file)
{
	struct ipcfs_caller writer = ipcfs_request_caller(req);
	const char *by = "whitelist";
	int err = ipcfs_caller_load(&writer);

	if (!err)
		err = ipcfs_gate_allows(&ipcfs_of(req)->gate, &writer, NULL);
	if (!err) {
		by = "opener";
		err = ipcfs_caller_is_within(&writer, &file->opener) ? 0 : -EPERM;
	}
	ipcfs_caller_free(&writer);
	ipcfs_audit_event_use_by(req, file, IPCFS_SEND, err, by);
	return err;
}
