/* SPDX-License-Identifier: MIT */
#include "fs/control/objects.h"

#include <errno.h>

#include "fs/access/caller.h"
#include "fs/control/line_stream.h"
#include "fs/control/objects_walk.h"
#include "fs/control/status_json.h"
#include "fs/tree/hide.h"
#include "fs/tree/permission.h"

/* A read of `objects`. */
struct reading {
	struct ipcfs_line_stream stream;
	struct ipcfs_objects_walk walk;
};

/*
 * Checks that the reader may read the object's status, and the opener. Everybody may read that of a
 * System V object; but the values of a semaphore, which the reader would be told, are for readers.
 * -EACCES.
 */
static int check_status(struct reading *reading, const struct ipcfs_space *space,
			const struct ipcfs_class *class, const struct ipcfs_info *info)
{
	bool open_to_all = class->rule == IPCFS_RULE_SYSV;
	int err = open_to_all ? 0
			      : ipcfs_permission_check_found(space, class, info, IPCFS_WANT_READ,
							     &reading->stream.reader.caller);

	if (!err && reading->stream.opener_too && (!open_to_all || class->semaphore))
		err = ipcfs_permission_check_found(space, class, info, IPCFS_WANT_READ,
						   &reading->stream.file->opener);
	return err;
}

/* Checks that the opener may see the object that the reader sees. -ENOENT, as ipcfs_hide_check. */
static int check_opener(struct reading *reading, const struct ipcfs_info *info)
{
	if (!reading->stream.opener_too)
		return 0;
	return ipcfs_hide_check(reading->stream.fs, ipcfs_objects_walk_space(&reading->walk),
				ipcfs_objects_walk_class(&reading->walk), info,
				&reading->stream.file->opener);
}

/* Appends the lines of the object's status. The errors of ipcfs_status_lines. */
static int add_status(struct reading *reading, struct ipcfs_space *space,
		      const struct ipcfs_class *class, const struct ipcfs_ref *ref,
		      struct ipcfs_text *out)
{
	struct ipcfs_objects *objects = &reading->stream.fs->objects;
	struct ipcfs_object *object = ipcfs_object_get(objects, space, class, ref);
	int err;

	if (!object)
		return -ENOMEM;
	err = ipcfs_status_lines(reading->stream.req, object, out);
	ipcfs_object_unref(objects, object);
	return err;
}

/*
 * Appends what the object's name and stat(2) tell everybody, in the words of status.
 * -ENOENT: the object is gone.
 * -ENOMEM, and the errors of the class.
 */
static int add_stat(const struct ipcfs_space *space, const struct ipcfs_class *class,
		    struct ipcfs_info *info, struct ipcfs_text *out)
{
	const struct ipcfs_ref ref = info->ref;
	int err = class->stat_brief(space, &ref, info);

	if (!err)
		err = ipcfs_text_printf(out, "class=%s/%s\n", class->family, class->name);
	if (!err)
		err = ipcfs_text_pair(out, "name", ref.name);
	if (err)
		return err;
	info->ref = ref;
	return ipcfs_text_printf(
		out,
		"uid=%u\ngid=%u\nmode=0%03o\naccess_time=%lld\nmodify_time=%lld\nchange_time=%lld\n",
		info->perm.uid, info->perm.gid, (unsigned)ipcfs_permission_mode(space, class, info),
		(long long)info->atime.tv_sec, (long long)info->mtime.tv_sec,
		(long long)info->ctime.tv_sec);
}

/*
 * Appends the fields of an object that the reader may know.
 * -ENOENT: the object is gone.
 * -ERESTART: it takes long (long_work.h).
 * -ENOMEM.
 */
static int add_fields(struct reading *reading, struct ipcfs_info *info, struct ipcfs_text *out)
{
	const struct ipcfs_class *class = ipcfs_objects_walk_class(&reading->walk);
	struct ipcfs_space *space = ipcfs_objects_walk_space(&reading->walk);
	int err = check_status(reading, space, class, info);

	if (!err)
		err = add_status(reading, space, class, &info->ref, out);
	if (err == -EIDRM || err == -ESTALE)
		return -ENOENT;
	if (err == -ERESTART)
		return err;
	if (err && err != -ENOENT && err != -ENOMEM) { /* also where the daemon itself may not */
		ipcfs_text_cut(out, 0);
		err = add_stat(space, class, info, out);
	}
	return err ? err : ipcfs_status_map(&reading->stream.reader, out);
}

/* Makes the line of the next object of the listing, unless the object is gone or hidden. */
static int add_next(struct reading *reading)
{
	struct ipcfs_text fields = { 0 }, line = { 0 };
	struct ipcfs_listing_entry entry;
	int err = ipcfs_objects_walk_entry(&reading->walk, &entry);

	if (!err && entry.has_info) /* "." and ".." have none */
		err = check_opener(reading, &entry.info);
	if (!err && entry.has_info)
		err = add_fields(reading, &entry.info, &fields);
	if (!err && fields.size)
		err = ipcfs_status_json(&fields, &line);
	if (!err)
		err = ipcfs_line_stream_keep(&reading->stream, &line);
	ipcfs_text_free(&fields);
	ipcfs_text_free(&line);
	/*
	 * After an error the lines that are there go first, and the object is tried again. An
	 * object that fails without such lines is told of once, by the error.
	 */
	if (err != -ERESTART && (!err || err == -ENOENT || !reading->stream.file->text.size))
		reading->stream.file->lines.next++;
	return err == -ENOENT ? 0 : err;
}

/* Makes lines for a few ms, or until there are enough bytes. Returns 1 after the last object. */
static int make_lines(void *arg)
{
	struct reading *reading = arg;
	int err = 0;

	while (err >= 0 && ipcfs_line_stream_goes_on(&reading->stream)) {
		err = ipcfs_objects_walk_step(&reading->walk, reading->stream.file->text.size);
		if (err == IPCFS_WALK_AT_END)
			return 1;
		if (err == IPCFS_WALK_AT_NAME)
			err = add_next(reading);
	}
	return err < 0 ? err : 0;
}

void ipcfs_objects_read(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io)
{
	struct reading reading = { 0 };
	int err = ipcfs_line_stream_begin(&reading.stream, req, file, io);

	if (!err)
		err = ipcfs_objects_walk_begin(&reading.walk, reading.stream.fs, file,
					       &reading.stream.reader.caller);
	if (!err)
		err = ipcfs_line_stream_take(&reading.stream, make_lines, &reading);
	ipcfs_line_stream_end(&reading.stream, err);
}
