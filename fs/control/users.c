/* SPDX-License-Identifier: MIT */
#include "fs/control/users.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/contract/descriptor.h"
#include "fs/base/proc_file.h"
#include "fs/control/line_stream.h"
#include "fs/control/users_probe.h"
#include "fs/tree/attr.h"

#define BATCH 32 /* processes about which the kernel is asked at once */
#define NAME_SIZE 64

/* A process that was found in /proc. */
struct process {
	pid_t pid;
	int directory;	/* a descriptor of /proc/PID; owned */
	long place;	/* of its entry in /proc */
	uint64_t space; /* its IPC namespace; 0: unknown */
	bool may;	/* the reader may look into it */
};

/* A read of `users`. */
struct reading {
	struct ipcfs_line_stream stream;
	struct ipcfs_sought sought;
	struct ipcfs_prober prober;
	DIR *proc;
	struct process processes[BATCH];
	size_t count;
};

/* Adds the inode number of an open file of the object. For ipcfs_nodes_each_open. */
static int add_inode(void *arg, const struct ipcfs_node *node)
{
	struct reading *reading = arg;
	struct ipcfs_text *inodes = &reading->sought.inodes;
	uint64_t inode = ipcfs_attr_ino(reading->stream.fs, &node->key);

	/* `users` itself is open, by the reader at least */
	return node->key.kind == IPCFS_NODE_USERS ? 0
						  : ipcfs_text_add(inodes, &inode, sizeof(inode));
}

/* Finds out what to look for. -EIDRM: the object was removed. -ENOMEM, and errors of the class. */
static int seek(struct reading *reading)
{
	struct ipcfs_filesystem *fs = reading->stream.fs;
	const struct ipcfs_file *file = reading->stream.file;
	const struct ipcfs_object *object = ipcfs_file_object(fs, file);
	uint32_t from = IPCFS_NODE_ROOT_ID;
	struct ipcfs_info info;
	int err;

	if (object->class->trace)
		err = object->class->trace(object->space, &object->ref, &reading->sought.trace);
	else
		err = object->class->stat_brief(object->space, &object->ref, &info);
	if (err)
		return err == -ENOENT ? -EIDRM : err;
	reading->sought.mount = fs->device;
	do
		err = ipcfs_nodes_each_open(&fs->nodes, file->key.object, &from, add_inode,
					    reading);
	while (err > 0);
	ipcfs_sought_sort(&reading->sought);
	return err;
}

/* Begins to make lines. The rest of earlier ones takes no work. */
static int begin(struct reading *reading)
{
	int err = seek(reading);

	reading->prober.sought = &reading->sought;
	if (err)
		return err;
	reading->proc = opendir("/proc");
	if (!reading->proc)
		return ipcfs_proc_open_error();
	if (reading->stream.file->lines.place)
		seekdir(reading->proc, reading->stream.file->lines.place);
	return 0;
}

static void end(struct reading *reading)
{
	ipcfs_prober_end(&reading->prober);
	if (reading->proc)
		(void)closedir(reading->proc); /* no error to report: it was only read */
	ipcfs_text_free(&reading->sought.inodes);
}

/* Returns the process of an entry of /proc. 0: it is none, or the daemon. */
static pid_t pid_of(const struct dirent *entry)
{
	char *end;
	long pid = strtol(entry->d_name, &end, 10);

	return pid > 0 && pid <= INT_MAX && !*end && pid != getpid() ? (pid_t)pid : 0;
}

/* Adds a process to the batch, unless it has ended. -ENOMEM. */
static int add_process(struct reading *reading, pid_t pid, long place)
{
	struct process *process = &reading->processes[reading->count];
	char path[IPCFS_PROC_PATH_SIZE];
	int err;

	*process = (struct process){ .pid = pid, .place = place };
	ipcfs_proc_path(path, pid, "");
	process->directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (process->directory >= 0) {
		reading->count++;
		return 0;
	}
	err = ipcfs_proc_open_error();
	return err == -ENOMEM ? err : 0;
}

static void drop_batch(struct reading *reading)
{
	for (size_t i = 0; i < reading->count; i++)
		ipcfs_descriptor_close(&reading->processes[i].directory);
	reading->count = 0;
}

/* Finds the next processes. Returns 1 if there are no more. -ENOMEM, errors of readdir(3). */
static int find_batch(struct reading *reading)
{
	int err = 0;

	while (!err && reading->count < BATCH) {
		long place = telldir(reading->proc);
		const struct dirent *entry;
		pid_t pid;

		errno = 0;
		entry = readdir(reading->proc);
		if (!entry)
			return errno ? -errno : 1;
		pid = pid_of(entry);
		if (pid)
			err = add_process(reading, pid, place);
	}
	return err;
}

/*
 * Notes that the caller may not look into a process, if it is still there. The kernel says EACCES
 * also of one that ends at this moment.
 */
static void note_hidden(struct reading *reading, const struct process *process)
{
	bool *hidden = &reading->stream.file->lines.hidden;
	struct stat st;

	if (!*hidden)
		*hidden = !fstatat(process->directory, "stat", &st, 0);
}

/*
 * Returns whether a process on which this error was met has ended. Where /proc hides the processes
 * of others (hidepid=2), the caller's error is the same, and the daemon still sees it.
 */
static bool has_gone(const struct process *process, int error)
{
	char link[32];

	if (error == ESRCH)
		return true;
	if (error != ENOENT)
		return false;
	return readlinkat(process->directory, "ns/ipc", link, sizeof(link)) < 0;
}

/*
 * Takes from the batch those processes that the caller may not look into. If nobody can act as the
 * caller, these are all.
 * -ENOMEM, -EAGAIN.
 */
static int judge(struct reading *reading, const struct ipcfs_caller *caller)
{
	struct ipcfs_look looks[BATCH];
	int err;

	for (size_t i = 0; i < reading->count; i++)
		looks[i].directory = reading->processes[i].directory;
	err = ipcfs_caller_look(caller, looks, reading->count);
	if (err == -ENOMEM || err == -EAGAIN)
		return err;
	for (size_t i = 0; i < reading->count; i++) {
		struct process *process = &reading->processes[i];
		unsigned long long space;

		process->may &= !err && looks[i].may;
		if (err || (!looks[i].may && !has_gone(process, looks[i].error)))
			note_hidden(reading, process);
		else if (looks[i].may && sscanf(looks[i].space, "ipc:[%llu]", &space) == 1)
			process->space = space;
	}
	return 0;
}

/* Judges the batch for the reader, and for the opener if that one may do less. */
static int judge_all(struct reading *reading)
{
	int err;

	for (size_t i = 0; i < reading->count; i++)
		reading->processes[i].may = true;
	err = judge(reading, &reading->stream.reader.caller);
	if (!err && reading->stream.opener_too)
		err = judge(reading, &reading->stream.file->opener);
	return err;
}

/*
 * Copies the name of a program from a status file, in which a newline is \n and a backslash is \\.
 * Control characters become '?', as a program can choose its name, and a line is to stay one.
 */
static void copy_name(const char *from, char name[NAME_SIZE])
{
	size_t size = 0;

	for (; *from && *from != '\n' && size < NAME_SIZE - 1; from++) {
		char byte = *from;

		if (byte == '\\' && from[1] && from[1] != '\n')
			byte = *++from == 'n' ? '\n' : '\\';
		name[size++] = (unsigned char)byte < ' ' || byte == '\x7f' ? '?' : byte;
	}
	name[size] = '\0';
}

/* Appends the names of the uses, a comma between two. -ENOMEM. */
static int add_uses(struct ipcfs_text *line, int uses)
{
	static const char *const names[] = { "open",	   "mapped", "attached",
					     "registered", "mount",  "unknown" };
	const char *before = " how=";
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(names) / sizeof(*names); i++) {
		if (!(uses >> i & 1))
			continue;
		err = ipcfs_text_printf(line, "%s%s", before, names[i]);
		before = ",";
	}
	return err ? err : ipcfs_text_add(line, "\n", 1);
}

/*
 * Makes the line of a process, as the reader's namespaces number it. `status` is its status file. A
 * process without a number there is left out.
 */
static int make_line(struct reading *reading, const struct process *process,
		     const struct ipcfs_proc_file *status, int uses, struct ipcfs_text *line)
{
	const struct ipcfs_status_idmap *idmap = &reading->stream.reader.idmap;
	const char *ids = ipcfs_proc_file_value(status, "\nUid:");
	pid_t number = idmap->process ? idmap->process(idmap->arg, process->pid) : process->pid;
	char name[NAME_SIZE] = "";
	unsigned uid;
	uid_t inside;
	int err;

	if (!number || !ids || sscanf(ids, "%*u %u", &uid) != 1) {
		reading->stream.file->lines.hidden |= !number;
		return 0;
	}
	if (idmap->ids)
		uid = ipcfs_id_map_uid(idmap->map, uid, &inside) ? IPCFS_OVERFLOW_ID : inside;
	if (strncmp(status->text, "Name:\t", strlen("Name:\t")) == 0)
		copy_name(status->text + strlen("Name:\t"), name);
	err = ipcfs_text_printf(line, "pid=%d uid=%u ", (int)number, uid);
	if (!err)
		err = ipcfs_text_pair(line, "program", name);
	if (err)
		return err;
	ipcfs_text_cut(line, line->size - 1); /* the newline */
	return add_uses(line, uses);
}

/*
 * Tells whether it is a process of the daemon's, as the keeper of holds is; a supervisor gets those
 * of a worker that has ended. Process 1 gets the children of others, too.
 */
static bool is_ours(const struct ipcfs_filesystem *fs, const struct ipcfs_proc_file *status)
{
	const char *value = ipcfs_proc_file_value(status, "\nPPid:");
	int parent;

	if (!value || sscanf(value, "%d", &parent) != 1 || parent == 1)
		return false;
	return parent == getpid() || (fs->legacy && parent == getppid());
}

/*
 * Tells whether the process has ended, or is about to: it has no memory any more. Its directory
 * stays until its parent has seen that. Who may look into it then is not what was before.
 */
static bool has_ended(const struct ipcfs_proc_file *status)
{
	return !ipcfs_proc_file_value(status, "\nVmSize:");
}

/* Keeps the line of a process that uses the object. -ENOMEM. */
static int add_user(struct reading *reading, const struct process *process, int uses)
{
	IPCFS_PROC_FILE_AUTO struct ipcfs_proc_file status;
	struct ipcfs_text line = { 0 };
	int err = ipcfs_proc_file_read_at(&status, process->directory, "status");

	if (err)
		return err == -ENOMEM ? err : 0; /* it has ended */
	if (is_ours(reading->stream.fs, &status) || has_ended(&status))
		return 0;
	reading->stream.file->lines.hidden |= (uses & IPCFS_USE_UNKNOWN) != 0;
	err = make_line(reading, process, &status, uses, &line);
	if (!err && line.size)
		err = ipcfs_line_stream_keep(&reading->stream, &line);
	ipcfs_text_free(&line);
	return err;
}

/* Tells whether the reader is gone. For the prober. */
static bool is_gone(void *arg)
{
	return fuse_req_interrupted(arg);
}

/* Looks into a process. -EINTR: the reader is gone. -ENOMEM. */
static int look_into(struct reading *reading, const struct process *process)
{
	const struct ipcfs_trace *trace = &reading->sought.trace;
	int uses;

	if (!process->may)
		return 0;
	if (fuse_req_interrupted(reading->stream.req))
		return -EINTR;
	uses = ipcfs_prober_look(&reading->prober, process->directory, process->pid);
	if (uses < 0)
		return uses;
	if (process->space != trace->space) /* it has a segment with the same number attached */
		uses &= ~IPCFS_USE_ATTACHED;
	if (process->pid == trace->registered)
		uses |= IPCFS_USE_REGISTERED;
	return uses ? add_user(reading, process, uses) : 0;
}

/* Keeps the last line. */
static int add_end(struct reading *reading)
{
	struct ipcfs_file *file = reading->stream.file;
	struct ipcfs_text line = { 0 };
	int err = ipcfs_text_printf(&line, "complete=%s\n", file->lines.hidden ? "no" : "yes");

	if (!err)
		err = ipcfs_line_stream_keep(&reading->stream, &line);
	ipcfs_text_free(&line);
	file->lines.ended = !err;
	return err;
}

/*
 * Tells whether there are enough lines for now: bytes for the reader, or one line if the prober
 * looks into no more processes. The next read has a new prober.
 */
static bool is_enough(const struct reading *reading)
{
	size_t size = reading->stream.file->text.size;

	return size >= reading->stream.wanted || (size && reading->prober.spent >= IPCFS_PROBER_NS);
}

/*
 * Looks into the next processes, until there are enough lines, and notes how far it has got. The
 * whole batch was judged, which may have taken longer than the rest. Returns 1 after the last one.
 */
static int look_further(struct reading *reading)
{
	struct ipcfs_file *file = reading->stream.file;
	bool last;
	int err = find_batch(reading);

	last = err == 1;
	if (err >= 0)
		err = judge_all(reading);
	for (size_t i = 0; !err && i < reading->count; i++) {
		file->lines.place = reading->processes[i].place;
		if (is_enough(reading)) {
			seekdir(reading->proc, file->lines.place);
			drop_batch(reading);
			return 0;
		}
		err = look_into(reading, &reading->processes[i]);
	}
	if (!err)
		file->lines.place = telldir(reading->proc);
	drop_batch(reading);
	return !err && last ? 1 : err;
}

/* Makes lines for a few ms, or until there are enough bytes. Returns 1 after the last one. */
static int make_lines(void *arg)
{
	struct reading *reading = arg;
	int err = reading->proc ? 0 : begin(reading);

	while (!err && ipcfs_line_stream_goes_on(&reading->stream)) {
		if (reading->stream.file->lines.ended)
			return 1;
		err = look_further(reading);
		if (err == 1)
			err = add_end(reading);
	}
	return err;
}

void ipcfs_users_read(fuse_req_t req, struct ipcfs_file *file, const struct ipcfs_io *io)
{
	struct reading reading = { 0 };
	int err = ipcfs_line_stream_begin(&reading.stream, req, file, io);

	reading.prober.is_gone = is_gone;
	reading.prober.arg = req;
	if (!err)
		err = ipcfs_line_stream_take(&reading.stream, make_lines, &reading);
	ipcfs_line_stream_end(&reading.stream, err);
	end(&reading);
}
