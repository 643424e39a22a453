/* SPDX-License-Identifier: MIT */
/* The same operations, through the mount. */
#include <dirent.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "matrix.h"
#include "peer.h"

const struct matrix_kind *const matrix_kinds[MATRIX_KINDS] = {
	&matrix_mq,  &matrix_posix_shm, &matrix_posix_sem,
	&matrix_msg, &matrix_sysv_shm,	&matrix_sysv_sem,
};

const char *const matrix_op_names[OP_COUNT] = {
	[OP_LIST] = "list",
	[OP_STAT] = "stat",
	[OP_FILES] = "files",
	[OP_STATUS] = "status",
	[OP_MAY_READ] = "access for reading",
	[OP_MAY_WRITE] = "access for writing",
	[OP_OPEN_READ] = "open for reading",
	[OP_OPEN_WRITE] = "open for writing",
	[OP_OPEN_BOTH] = "open for both",
	[OP_READ] = "read",
	[OP_WRITE] = "write",
	[OP_READ_MORE] = "peek, or read all values",
	[OP_WRITE_MORE] = "resize, or write all values",
	[OP_POST] = "post",
	[OP_WAIT] = "wait",
	[OP_ZERO] = "wait for zero",
	[OP_OPERATE] = "semop",
	[OP_LOOK] = "semop of zeros",
	[OP_HOLD] = "hold",
	[OP_CHMOD] = "chmod",
	[OP_CHOWN_SELF] = "chown to the caller",
	[OP_CHOWN_OTHER] = "chown to another",
	[OP_CHGRP_SELF] = "chgrp to the caller's group",
	[OP_CHGRP_MEMBER] = "chgrp to a supplementary group",
	[OP_CHGRP_OTHER] = "chgrp to another",
	[OP_QBYTES] = "qbytes",
	[OP_QBYTES_MORE] = "more qbytes",
	[OP_REMOVE] = "remove",
	[OP_SET_LIST] = "setfacl",
	[OP_KEEP] = "open, and keep it so",
	[OP_KEPT_READ] = "read an open file",
	[OP_KEPT_WRITE] = "write an open file",
};

static const char *path_of(char *path, const struct matrix_object *object, const char *file)
{
	return peer_path(path, "%s/%s", object->directory, file);
}

/* Returns the file for this variant, of several files that do the same. */
static const char *one_of(const char *const *files, size_t capacity, unsigned variant)
{
	size_t count = 0;

	while (count < capacity && files[count])
		count++;
	return files[variant % count];
}

const char *matrix_read_file(const struct matrix_kind *kind, unsigned variant)
{
	return one_of(kind->read_files, 6, variant);
}

static int has_name(const char *directory, const char *name)
{
	bool found = !name;
	struct dirent *entry;
	DIR *open = opendir(directory);
	int error;

	if (!open)
		return errno;
	for (errno = 0; (entry = readdir(open));)
		found |= name && !strcmp(entry->d_name, name);
	error = errno;
	closedir(open);
	return error ? error : found ? 0 : ENOENT;
}

/* Returns what one read(2) gives: the first byte. */
static int read_text(const char *path, char *text, size_t capacity)
{
	int error, fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t got;

	error = matrix_error(fd);
	memset(text, 0, capacity);
	if (fd >= 0) {
		got = read(fd, text, capacity - 1);
		error = matrix_error(got);
		close(fd);
	}
	return error;
}

static int write_text(const char *path, const char *text)
{
	int error, fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	error = matrix_error(fd);
	if (fd >= 0) {
		error = matrix_error(write(fd, text, strlen(text)));
		if (close(fd) && !error)
			error = errno;
	}
	return error;
}

static int hold(const char *path)
{
	int error, fd = open(path, O_WRONLY | O_CLOEXEC);

	error = matrix_error(fd);
	if (fd >= 0)
		close(fd);
	return error;
}

/* Returns the bytes of a message in this file that come before its text. */
static size_t before_text(const char *file)
{
	if (strstr(file, "records"))
		return 8;
	return strstr(file, "tagged") ? 2 : 0;
}

static void read_one(const struct matrix_object *object, const char *file,
		     struct matrix_outcome *outcome)
{
	char path[PEER_PATH], text[8192];

	outcome->error = read_text(path_of(path, object, file), text, sizeof(text));
	if (outcome->error)
		return;
	if (strstr(file, "value"))
		outcome->value = strtoll(text, NULL, 10);
	else
		outcome->value = (unsigned char)text[before_text(file)];
}

static void read_more(const struct matrix_object *object, struct matrix_outcome *outcome)
{
	read_one(object, object->kind == MATRIX_SEM ? "values" : "peek/0.1", outcome);
}

static void write_one(const struct matrix_object *object, const char *file,
		      struct matrix_outcome *outcome)
{
	char path[PEER_PATH];

	path_of(path, object, file);
	outcome->error = write_text(path, strstr(file, "value")	  ? "3\n"
					  : strstr(file, "lines") ? "x\n"
					  : strstr(file, "data")  ? "M"
								  : "x");
}

/* Returns the path of a file of a semaphore; of a set's first semaphore. */
static void operate(const struct matrix_object *object, const char *file, const char *text,
		    struct matrix_outcome *outcome)
{
	bool set = object->kind == MATRIX_SEM && strcmp(file, "op");
	char path[PEER_PATH];

	peer_path(path, "%s/%s%s", object->directory, set ? "0/" : "", file);
	outcome->error = text ? write_text(path, text) : hold(path);
}

/* Attributes of the object may be asked of its directory or of any file in it. */
static const char *any_file(char *path, const struct matrix_object *object, unsigned variant)
{
	const struct matrix_kind *kind = matrix_kinds[object->kind];

	if (variant % 2)
		return object->directory;
	return path_of(path, object, one_of(kind->read_files, 6, variant / 2));
}

static void status(const struct matrix_object *object, struct matrix_outcome *outcome)
{
	char path[PEER_PATH], text[4096];

	outcome->error = read_text(path_of(path, object, "status"), text, sizeof(text));
	if (!outcome->error && peer_number(text, "mode", -1) < 0)
		outcome->error = ENODATA;
}

static void look(const struct matrix_object *object, struct matrix_outcome *outcome)
{
	struct stat st = { 0 };

	outcome->error = matrix_error(stat(object->directory, &st));
	outcome->facts.uid = st.st_uid;
	outcome->facts.gid = st.st_gid;
	outcome->facts.mode = st.st_mode & 0666;
	if (!outcome->error && (st.st_mode & ~0666U) != (S_IFDIR | 0111 | peer_sticky(st.st_mode)))
		outcome->error = EBADMSG;
}

static void change(enum matrix_op op, const struct matrix_object *object,
		   const struct matrix_arguments *arguments, struct matrix_outcome *outcome)
{
	char path[PEER_PATH];
	const char *file = any_file(path, object, arguments->variant);

	if (op == OP_CHMOD)
		outcome->error = matrix_error(chmod(file, arguments->mode));
	else
		outcome->error = matrix_error(chown(file, arguments->uid, arguments->gid));
}

/* The files that OP_KEEP has opened. */
static int kept[2] = { -1, -1 };

static int keep(const struct matrix_object *object)
{
	const struct matrix_kind *kind = matrix_kinds[object->kind];
	const char *const files[] = { kind->read_files[0], kind->write_files[0] };
	char path[PEER_PATH];

	for (int i = 0; i < 2; i++) {
		if (kept[i] >= 0)
			close(kept[i]);
		kept[i] = open(path_of(path, object, files[i]),
			       (i ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_CLOEXEC);
		if (kept[i] < 0)
			return errno;
	}
	return 0;
}

static int use_kept(enum matrix_op op, const struct matrix_object *object)
{
	bool queue = object->kind == MATRIX_MQ || object->kind == MATRIX_MSG;
	char text[8192];

	if (op == OP_KEPT_READ)
		return matrix_error(queue ? read(kept[0], text, sizeof(text))
					  : pread(kept[0], text, sizeof(text), 0));
	return matrix_error(queue ? write(kept[1], "x", 1) : pwrite(kept[1], "1", 1, 0));
}

void matrix_through_mount(enum matrix_op op, const struct matrix_object *object,
			  const struct matrix_arguments *arguments, struct matrix_outcome *outcome)
{
	const struct matrix_kind *kind = matrix_kinds[object->kind];
	const char *reads = one_of(kind->read_files, 6, arguments->variant);
	const char *writes = one_of(kind->write_files, 4, arguments->variant);
	char path[PEER_PATH];

	switch (op) {
	case OP_LIST:
		peer_path(path, "%s/%s", matrix_mount, kind->name);
		outcome->error = has_name(path, object->name);
		break;
	case OP_STAT:
		look(object, outcome);
		break;
	case OP_FILES:
		outcome->error = has_name(object->directory, NULL);
		break;
	case OP_STATUS:
		status(object, outcome);
		break;
	case OP_MAY_READ:
	case OP_MAY_WRITE:
		path_of(path, object, kind->read_files[0]);
		outcome->error = matrix_error(syscall(SYS_faccessat2, AT_FDCWD, path,
						      op == OP_MAY_READ ? R_OK : W_OK, AT_EACCESS));
		break;
	case OP_OPEN_READ:
		outcome->error = matrix_open(path_of(path, object, reads), O_RDONLY);
		break;
	case OP_OPEN_WRITE:
		outcome->error = matrix_open(path_of(path, object, writes), O_WRONLY);
		break;
	case OP_OPEN_BOTH:
		outcome->error = matrix_open(path_of(path, object, kind->read_files[0]), O_RDWR);
		break;
	case OP_READ:
		read_one(object, reads, outcome);
		break;
	case OP_WRITE:
		write_one(object, writes, outcome);
		break;
	case OP_READ_MORE:
		read_more(object, outcome);
		break;
	case OP_WRITE_MORE:
		if (object->kind == MATRIX_SEM)
			outcome->error = write_text(path_of(path, object, "values"), "3 0\n");
		else
			outcome->error =
				matrix_error(truncate(path_of(path, object, "data"), 8192));
		break;
	case OP_POST:
		operate(object, "post", "1\n", outcome);
		break;
	case OP_WAIT:
		operate(object, "trywait", "1\n", outcome);
		break;
	case OP_ZERO:
		operate(object, "zero", "\n", outcome);
		break;
	case OP_OPERATE:
		operate(object, "op", "0:+1 1:0\n", outcome);
		break;
	case OP_LOOK:
		operate(object, "op", "0:0\n", outcome);
		break;
	case OP_HOLD:
		operate(object, "tryhold", NULL, outcome);
		break;
	case OP_CHMOD:
	case OP_CHOWN_SELF:
	case OP_CHOWN_OTHER:
	case OP_CHGRP_SELF:
	case OP_CHGRP_MEMBER:
	case OP_CHGRP_OTHER:
		change(op, object, arguments, outcome);
		break;
	case OP_QBYTES:
	case OP_QBYTES_MORE:
		outcome->error = write_text(path_of(path, object, "qbytes"),
					    op == OP_QBYTES ? "1000\n" : "1048576\n");
		break;
	case OP_REMOVE:
		outcome->error = matrix_error(rmdir(object->directory));
		break;
	case OP_SET_LIST: /* not on drain, which shows other bits than the object's */
		outcome->error = matrix_error(
			setxattr(any_file(path, object, arguments->variant % 8), MATRIX_ATTRIBUTE,
				 arguments->list, arguments->list_size, 0));
		break;
	case OP_KEEP:
		outcome->error = keep(object);
		break;
	case OP_KEPT_READ:
	case OP_KEPT_WRITE:
		outcome->error = use_kept(op, object);
		break;
	default:
		peer_die("no operation");
	}
}
