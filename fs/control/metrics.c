/* SPDX-License-Identifier: MIT */
#include "fs/control/metrics.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/contract/limits.h"
#include "fs/access/caller.h"
#include "fs/base/clock.h"
#include "fs/base/proc_file.h"
#include "fs/control/metrics_text.h"
#include "fs/control/objects_walk.h"
#include "fs/queue/lease.h"
#include "fs/request/file_saved.h"
#include "fs/request/reply.h"
#include "fs/semaphore/hold.h"
#include "fs/tree/permission.h"
#include "fs/wait/waits.h"

/* What a read gives where it has taken its time, and the objects are not all counted. */
static const char not_yet[] = "# counting objects\n";

/* A read of `metrics`. */
struct reading {
	struct ipcfs_filesystem *fs;
	struct ipcfs_file *file;
	struct ipcfs_objects_walk walk;
};

/*
 * Checks that the opener may know the state of an object: who may read its status. What stat(2) of
 * /dev/shm tells of a segment everybody may know. -EACCES.
 */
static int check_opener(const struct reading *reading, const struct ipcfs_info *info)
{
	const struct ipcfs_class *class = ipcfs_objects_walk_class(&reading->walk);
	const struct ipcfs_permission_target target = {
		.space = ipcfs_objects_walk_space(&reading->walk),
		.class = class,
		.ref = &info->ref,
		.perm = &info->perm,
		.handle = -1,
	};
	enum ipcfs_reason reason;

	if (class->rule == IPCFS_RULE_SYSV || class->segment)
		return 0;
	return ipcfs_permission_check(&target, IPCFS_WANT_READ, &reading->file->opener,
				      ipcfs_caller_load, &reason);
}

/* Reads what `find` does not tell of an object. The errors of class->stat. */
static int complete(const struct reading *reading, struct ipcfs_info *info)
{
	const struct ipcfs_class *class = ipcfs_objects_walk_class(&reading->walk);
	const struct ipcfs_ref ref = info->ref;

	if (!class->queue && !(class->segment && class->segment->memory))
		return 0;
	return class->stat(ipcfs_objects_walk_space(&reading->walk), &ref, info);
}

static void add_queue(const struct ipcfs_info *info, struct ipcfs_class_sums *sums)
{
	sums->messages += info->messages;
	sums->bytes += info->size;
	/* a limit of 0 is one that the daemon could not read */
	sums->full += (info->max_messages && info->messages >= info->max_messages) ||
		      (info->max_bytes && info->size >= info->max_bytes);
}

static void add_segment(const struct ipcfs_info *info, struct ipcfs_class_sums *sums)
{
	sums->bytes += info->size;
	sums->memory += info->allocated;
	sums->stale += info->stale;
	sums->removed += info->removed;
}

/* Adds what the mount knows of an object: holds, leases and waiters. Errors of ipcfs_hold_count. */
static int add_known(const struct reading *reading, const struct ipcfs_ref *ref,
		     struct ipcfs_class_sums *sums)
{
	const struct ipcfs_class *class = ipcfs_objects_walk_class(&reading->walk);
	struct ipcfs_objects *objects = &reading->fs->objects;
	struct ipcfs_object *object;
	int holds = 0;

	object = ipcfs_object_known(objects, ipcfs_objects_walk_space(&reading->walk), class, ref);
	if (!object)
		return 0;
	if (class->queue) {
		sums->waiting[IPCFS_RECEIVE] += object->waits.parked[IPCFS_RECEIVE];
		sums->waiting[IPCFS_SEND] += object->waits.parked[IPCFS_SEND];
		sums->leases += ipcfs_lease_count(object);
	} else {
		ipcfs_semaphore_count_waiting(reading->fs->waits, object, sums->waiting);
		holds = ipcfs_hold_count(objects, object);
	}
	ipcfs_object_unref(objects, object);
	if (holds > 0)
		sums->holds += (uint64_t)holds;
	return holds < 0 ? holds : 0;
}

/* Adds an object whose state the opener may know. */
static int add_state(const struct reading *reading, struct ipcfs_info *info,
		     struct ipcfs_class_sums *sums)
{
	const struct ipcfs_class *class = ipcfs_objects_walk_class(&reading->walk);
	int err = complete(reading, info);

	if (err)
		return err;
	if (class->queue)
		add_queue(info, sums);
	if (class->segment)
		add_segment(info, sums);
	return class->segment ? 0 : add_known(reading, &info->ref, sums);
}

/* Adds an object. -ENOMEM; an object that is gone meanwhile is no error. */
static int add_object(const struct reading *reading, struct ipcfs_info *info)
{
	const struct ipcfs_class *class = ipcfs_objects_walk_class(&reading->walk);
	struct ipcfs_class_sums *all =
		&reading->file->lines.sums->classes[ipcfs_class_number(class)];
	struct ipcfs_class_sums sums = *all;
	int err = check_opener(reading, info);

	sums.objects++;
	if (class->semaphore)
		sums.semaphores += class->semaphore->sets ? info->size : 1;
	if (!err)
		err = add_state(reading, info, &sums);
	if (err == -ENOMEM || err == -EMFILE || err == -ENFILE)
		return err;
	if (err == -ENOENT || err == -EIDRM || err == -ESTALE)
		return 0;
	if (err) { /* also where the daemon itself may not */
		all->objects = sums.objects;
		all->semaphores = sums.semaphores;
		all->withheld++;
		return 0;
	}
	*all = sums;
	return 0;
}

/* Counts the object that the walk is at, if it is one and is still there. */
static int count_next(struct reading *reading)
{
	struct ipcfs_listing_entry entry;
	int err = ipcfs_objects_walk_entry(&reading->walk, &entry);

	if (!err && entry.has_info)
		err = add_object(reading, &entry.info);
	reading->file->lines.next++;
	return err == -ENOENT ? 0 : err;
}

/* Counts objects for a few ms. Returns 1 after the last one. */
static int count_objects(struct reading *reading)
{
	uint64_t end = ipcfs_clock_ns() + IPCFS_OBJECTS_WALK_NS;
	int err = 0;

	while (err >= 0 && ipcfs_clock_ns() < end) {
		err = ipcfs_objects_walk_step(&reading->walk, false);
		if (err == IPCFS_WALK_AT_END)
			return 1;
		if (err == IPCFS_WALK_AT_NAME)
			err = count_next(reading);
	}
	return err < 0 ? err : 0;
}

/* Returns the last number of a text. 0: there is none. */
static uint64_t last_number(const char *text)
{
	const char *last = text;

	for (const char *at = text; *at; at++)
		if (isdigit((unsigned char)*at) && (at == text || !isdigit((unsigned char)at[-1])))
			last = at;
	return strtoull(last, NULL, 10);
}

/* Returns the last number of a limit in *value. False: the limit can't be read. */
static bool read_limit(const char *name, uint64_t *value)
{
	const struct ipcfs_limit *limit = ipcfs_limits;
	struct ipcfs_text text = { 0 };
	bool known;

	while (limit->name && strcmp(limit->name, name) != 0)
		limit++;
	known = limit->name && !ipcfs_limit_read(limit, &text) && !ipcfs_text_add(&text, "", 1);
	if (known)
		*value = last_number(text.data);
	ipcfs_text_free(&text);
	return known;
}

/* Fills in what is told of the classes beside the sums of their objects. */
static void fill_classes(const struct reading *reading, struct ipcfs_metrics *metrics)
{
	const struct ipcfs_view *view = ipcfs_view_at(reading->fs->registry,
						      reading->file->key.view);
	const struct ipcfs_class *class;

	for (uint32_t i = 1; (class = ipcfs_class_at(i)); i++) {
		uint64_t *memory = &reading->file->lines.sums->classes[i].memory;

		if (class->limit)
			metrics->limited[i] = read_limit(class->limit, &metrics->limits[i]);
		if (class->segment && class->segment->memory && class->segment->memory(memory))
			*memory = 0;
		for (unsigned move = 0; move < IPCFS_MOVES; move++)
			metrics->moves[i][move] = ipcfs_registry_counted(view->ipc, i, move);
	}
}

/* Returns the bytes of the daemon that are in memory. 0: /proc does not tell. */
static uint64_t resident_bytes(void)
{
	IPCFS_PROC_FILE_AUTO struct ipcfs_proc_file status;
	const char *value = NULL;

	if (!ipcfs_proc_file_read(&status, getpid(), "status"))
		value = ipcfs_proc_file_value(&status, "\nVmRSS:");
	return value ? strtoull(value, NULL, 10) * 1024 : 0;
}

/* Returns whether nothing is hidden from the opener, as one with CAP_SYS_ADMIN over the namespace. */
static bool sees_all(const struct reading *reading)
{
	const struct ipcfs_filesystem *fs = reading->fs;
	const struct ipcfs_view *view = ipcfs_view_at(fs->registry, reading->file->key.view);

	return !atomic_load_explicit(&fs->gate.hides, memory_order_relaxed) ||
	       !ipcfs_registry_check_root(view, &reading->file->opener);
}

/* Makes the text of all that was counted, and keeps it in the open file. -ENOMEM. */
static int make_text(const struct reading *reading)
{
	struct ipcfs_filesystem *fs = reading->fs;
	const struct ipcfs_view *home = ipcfs_registry_home(fs->registry);
	struct ipcfs_metrics metrics = {
		.whole = sees_all(reading),
		.home = reading->file->key.view == home->number,
		.sums = reading->file->lines.sums,
		.namespaces = ipcfs_registry_size(fs->registry),
		.resident = resident_bytes(),
		.started = fs->started,
	};
	struct ipcfs_text text = { 0 };
	int err;

	fill_classes(reading, &metrics);
	ipcfs_quota_totals(fs->quota, &metrics.used);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &metrics.cpu);
	err = ipcfs_metrics_text(&metrics, &text);
	if (!err)
		err = ipcfs_file_keep(fs, reading->file, text.data, text.size);
	ipcfs_text_free(&text);
	return err;
}

/* Sets the sums of an open file, and counts their bytes for the opener. -ENOMEM. */
static int set_sums(const struct reading *reading, struct ipcfs_sums *sums)
{
	struct ipcfs_file *file = reading->file;
	int err;

	pthread_mutex_lock(&file->lock);
	free(file->lines.sums);
	file->lines.sums = sums;
	err = ipcfs_file_charge(reading->fs, file);
	pthread_mutex_unlock(&file->lock);
	return err;
}

/* Begins the walk, or goes on with it. -ENOMEM. */
static int begin(struct reading *reading)
{
	struct ipcfs_file *file = reading->file;
	bool fresh = !file->directory.listing;
	struct ipcfs_sums *sums;
	int err = ipcfs_objects_walk_begin(&reading->walk, reading->fs, file, &file->opener);

	if (err || !fresh)
		return err;
	sums = calloc(1, sizeof(*sums));
	return sums ? set_sums(reading, sums) : -ENOMEM;
}

/* Drops what was counted: the next read begins anew. */
static void begin_anew(const struct reading *reading)
{
	struct ipcfs_file *file = reading->file;

	if (file->directory.listing)
		ipcfs_listing_free(file->directory.listing);
	free(file->directory.listing);
	file->directory.listing = NULL;
	file->lines.next = 0;
	(void)set_sums(reading, NULL); /* fewer bytes never fail */
}

/* Sees that there is text to read, unless all was read already. */
static int make_some(struct reading *reading)
{
	int err = begin(reading);

	if (err || !reading->file->lines.sums)
		return err;
	err = count_objects(reading);
	if (!err)
		return ipcfs_file_keep(reading->fs, reading->file, not_yet, strlen(not_yet));
	if (err > 0)
		err = make_text(reading);
	if (!err)
		err = set_sums(reading, NULL);
	return err;
}

void ipcfs_metrics_read(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io)
{
	struct reading reading = { .fs = ipcfs_of(req), .file = file };
	struct ipcfs_text bytes = { 0 };
	int err = 0;

	pthread_mutex_lock(&file->lines.turn);
	if (!file->text.size)
		err = make_some(&reading);
	if (err)
		begin_anew(&reading);
	pthread_mutex_lock(&file->lock);
	if (!err)
		err = ipcfs_file_take(reading.fs, file, io->size, &bytes);
	ipcfs_file_save(reading.fs, file);
	pthread_mutex_unlock(&file->lock);
	pthread_mutex_unlock(&file->lines.turn);
	if (err)
		ipcfs_reply_error(req, err);
	else
		ipcfs_reply_bytes(req, bytes.data, bytes.size);
	ipcfs_text_free(&bytes);
}
