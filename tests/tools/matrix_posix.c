/* SPDX-License-Identifier: MIT */
/* POSIX queues, shared memory and semaphores, by direct calls. */
#include <dirent.h>
#include <mqueue.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "matrix.h"
#include "peer.h"

const char *matrix_mount, *matrix_queues;
static char queues[MATRIX_PATH];

void matrix_start(const char *mount_point)
{
	const char *tmp = getenv("TMPDIR");

	matrix_mount = mount_point;
	snprintf(queues, sizeof(queues), "%s/queues.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(queues) || mount("mqueue", queues, "mqueue", 0, NULL))
		peer_die("mounting the queues");
	matrix_queues = queues;
}

void matrix_end(void)
{
	if (umount(queues) || rmdir(queues))
		peer_die("%s", queues);
}

int matrix_error(long result)
{
	return result < 0 ? errno : 0;
}

int matrix_open(const char *path, int flags)
{
	int error, fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);

	error = matrix_error(fd);
	if (fd >= 0)
		close(fd);
	return error;
}

static int keep(struct matrix_object *object, const char *name, const char *directory,
		const char *prefix, const char *class)
{
	snprintf(object->name, sizeof(object->name), "%s", name);
	snprintf(object->file, sizeof(object->file), "%s/%s%s", directory, prefix, name);
	snprintf(object->directory, sizeof(object->directory), "%s/%s/%s", matrix_mount, class,
		 name);
	return object->fd < 0 ? -errno : 0;
}

static int make_mq(struct matrix_object *object, const char *name, uint32_t key)
{
	struct mq_attr attr = { .mq_maxmsg = 4, .mq_msgsize = 64 };
	char path[40];

	(void)key;
	snprintf(path, sizeof(path), "/%s", name);
	object->fd = mq_open(path, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK | O_CLOEXEC, 0600, &attr);
	return keep(object, name, matrix_queues, "", "posix/mq");
}

static int make_shm(struct matrix_object *object, const char *name, uint32_t key)
{
	(void)key;
	object->fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (object->fd >= 0 && ftruncate(object->fd, 4096))
		peer_die("ftruncate");
	return keep(object, name, "/dev/shm", "", "posix/shm");
}

static int make_sem(struct matrix_object *object, const char *name, uint32_t key)
{
	sem_t *sem = sem_open(name, O_CREAT | O_EXCL, 0600, 1);

	(void)key;
	if (sem == SEM_FAILED)
		return -errno;
	sem_close(sem);
	object->fd = -1;
	keep(object, name, "/dev/shm", "sem.", "posix/sem");
	object->fd = open(object->file, O_RDWR | O_CLOEXEC);
	return object->fd < 0 ? -errno : 0;
}

static void facts(const struct matrix_object *object, struct matrix_facts *facts)
{
	struct stat st;

	if (fstat(object->fd, &st))
		peer_die("fstat of %s", object->file);
	memset(facts, 0, sizeof(*facts));
	facts->there = st.st_nlink > 0;
	facts->uid = facts->cuid = st.st_uid;
	facts->gid = facts->cgid = st.st_gid;
	facts->mode = st.st_mode & 07777;
	facts->size = object->kind == MATRIX_MQ ? 0 : st.st_size;
}

static void facts_mq(const struct matrix_object *object, struct matrix_facts *all)
{
	struct mq_attr attr;

	facts(object, all);
	if (mq_getattr(object->fd, &attr))
		peer_die("mq_getattr");
	all->content = attr.mq_curmsgs;
}

static void facts_byte(const struct matrix_object *object, struct matrix_facts *all)
{
	unsigned char byte = 0;

	facts(object, all);
	if (all->there && pread(object->fd, &byte, 1, 0) < 0)
		peer_die("pread");
	all->content = byte;
}

static void set_owner(const struct matrix_object *object, const struct matrix_facts *wanted)
{
	if (fchown(object->fd, wanted->uid, wanted->gid) || fchmod(object->fd, wanted->mode))
		peer_die("restoring %s", object->file);
}

static void refill_mq(const struct matrix_object *object, long long content)
{
	struct matrix_facts now;
	char text[64];

	for (facts_mq(object, &now); now.content != content; facts_mq(object, &now))
		if (now.content < content ? mq_send(object->fd, "x", 1, 0)
					  : mq_receive(object->fd, text, sizeof(text), NULL) < 0)
			peer_die("refilling %s", object->file);
}

static void restore_mq(const struct matrix_object *object, const struct matrix_facts *wanted)
{
	set_owner(object, wanted);
	refill_mq(object, wanted->content);
}

static void refill_byte(const struct matrix_object *object, long long content)
{
	unsigned char byte = (unsigned char)content;

	if (pwrite(object->fd, &byte, 1, 0) != 1)
		peer_die("refilling %s", object->file);
}

static void restore_byte(const struct matrix_object *object, const struct matrix_facts *wanted)
{
	set_owner(object, wanted);
	if (ftruncate(object->fd, wanted->size))
		peer_die("restoring %s", object->file);
	refill_byte(object, wanted->content);
}

static void remove_file(const struct matrix_object *object)
{
	struct matrix_facts now;

	facts(object, &now);
	if (now.there && unlink(object->file))
		peer_die("removing %s", object->file);
	close(object->fd);
}

static int is_listed(const struct matrix_object *object)
{
	const char *base = strrchr(object->file, '/') + 1;
	char path[MATRIX_PATH];
	struct dirent *entry;
	bool found = false;
	DIR *directory;

	snprintf(path, sizeof(path), "%.*s", (int)(base - object->file), object->file);
	directory = opendir(path);
	if (!directory)
		return errno;
	while ((entry = readdir(directory)))
		found |= !strcmp(entry->d_name, base);
	closedir(directory);
	return found ? 0 : ENOENT;
}

/* Operations that are the same for all files. */
static void on_file(enum matrix_op op, const struct matrix_object *object,
		    const struct matrix_arguments *arguments, struct matrix_outcome *outcome)
{
	const char *file = object->file;
	struct stat st;

	switch (op) {
	case OP_LIST:
		outcome->error = is_listed(object);
		break;
	case OP_STAT:
		outcome->error = matrix_error(stat(file, &st));
		outcome->facts.uid = st.st_uid;
		outcome->facts.gid = st.st_gid;
		outcome->facts.mode = st.st_mode & 0666;
		break;
	case OP_FILES:
	case OP_STATUS:
	case OP_OPEN_READ:
		outcome->error = matrix_open(file, O_RDONLY);
		break;
	case OP_OPEN_WRITE:
		outcome->error = matrix_open(file, O_WRONLY);
		break;
	case OP_OPEN_BOTH:
		outcome->error = matrix_open(file, O_RDWR);
		/*
		 * CAP_DAC_READ_SEARCH reads where the mode allows writing only, but not in one
		 * open.
		 */
		if (outcome->error == EACCES && !matrix_open(file, O_RDONLY) &&
		    !matrix_open(file, O_WRONLY)) {
			outcome->error = 0;
			outcome->exception = "open for both is two opens";
		}
		break;
	case OP_MAY_READ:
	case OP_MAY_WRITE:
		outcome->error = matrix_error(syscall(SYS_faccessat2, AT_FDCWD, file,
						      op == OP_MAY_READ ? R_OK : W_OK, AT_EACCESS));
		break;
	case OP_WRITE_MORE:
		outcome->error = matrix_error(truncate(file, 8192));
		break;
	case OP_CHMOD:
		outcome->error = matrix_error(chmod(file, arguments->mode));
		break;
	case OP_CHOWN_SELF:
	case OP_CHOWN_OTHER:
	case OP_CHGRP_SELF:
	case OP_CHGRP_MEMBER:
	case OP_CHGRP_OTHER:
		outcome->error = matrix_error(chown(file, arguments->uid, arguments->gid));
		break;
	case OP_REMOVE:
		outcome->error = matrix_error(object->kind == MATRIX_MQ
						      ? syscall(SYS_mq_unlink, object->name)
						      : unlink(file));
		break;
	default:
		peer_die("%s has no %s", object->file, matrix_op_names[op]);
	}
}

static void direct_mq(enum matrix_op op, const struct matrix_object *object,
		      const struct matrix_arguments *arguments, struct matrix_outcome *outcome)
{
	bool reads = op == OP_READ;
	char path[40], text[64] = "x";
	mqd_t queue;

	if (op != OP_READ && op != OP_WRITE) {
		on_file(op, object, arguments, outcome);
		return;
	}
	snprintf(path, sizeof(path), "/%s", object->name);
	queue = mq_open(path, (reads ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_CLOEXEC);
	outcome->error = matrix_error(queue);
	if (queue < 0)
		return;
	outcome->error = matrix_error(reads ? mq_receive(queue, text, sizeof(text), NULL)
					    : mq_send(queue, text, 1, 0));
	outcome->value = reads ? text[0] : 0;
	mq_close(queue);
}

static int write_byte(const char *file, long long value)
{
	unsigned char byte = (unsigned char)value;
	int error, fd = open(file, O_WRONLY | O_CLOEXEC);

	error = matrix_error(fd);
	if (fd >= 0) {
		error = matrix_error(pwrite(fd, &byte, 1, 0));
		close(fd);
	}
	return error;
}

static int read_byte(const char *file, long long *value)
{
	unsigned char byte = 0;
	int error, fd = open(file, O_RDONLY | O_CLOEXEC);

	error = matrix_error(fd);
	if (fd >= 0) {
		error = matrix_error(pread(fd, &byte, 1, 0));
		close(fd);
	}
	*value = byte;
	return error;
}

static void direct_shm(enum matrix_op op, const struct matrix_object *object,
		       const struct matrix_arguments *arguments, struct matrix_outcome *outcome)
{
	if (op == OP_READ)
		outcome->error = read_byte(object->file, &outcome->value);
	else if (op == OP_WRITE)
		outcome->error = write_byte(object->file, 77);
	else
		on_file(op, object, arguments, outcome);
}

/* With sem_open(3), which asks for read and write permission. */
static int operate(enum matrix_op op, const char *name, struct matrix_outcome *outcome)
{
	sem_t *sem = sem_open(name, 0);
	int value = 0, error;

	if (sem == SEM_FAILED)
		return errno;
	switch (op) {
	case OP_READ:
		error = matrix_error(sem_getvalue(sem, &value));
		break;
	case OP_WRITE:
		for (error = 0; !error && value < 3; sem_getvalue(sem, &value))
			error = matrix_error(sem_post(sem));
		value = 0;
		break;
	case OP_POST:
		error = matrix_error(sem_post(sem));
		break;
	case OP_WAIT:
		error = matrix_error(sem_trywait(sem));
		break;
	default: /* OP_HOLD */
		error = matrix_error(sem_trywait(sem));
		if (!error)
			error = matrix_error(sem_post(sem));
	}
	outcome->value = value;
	sem_close(sem);
	return error;
}

static void direct_sem(enum matrix_op op, const struct matrix_object *object,
		       const struct matrix_arguments *arguments, struct matrix_outcome *outcome)
{
	long long value = arguments->now.content;

	if (op != OP_READ && op != OP_WRITE && op != OP_POST && op != OP_WAIT && op != OP_HOLD) {
		on_file(op, object, arguments, outcome);
		return;
	}
	outcome->error = operate(op, object->name, outcome);
	if (outcome->error != EACCES)
		return;
	/*
	 * The file itself allows reading with read permission, and writing with write permission.
	 */
	value = op == OP_WRITE ? 3 : op == OP_POST ? value + 1 : op == OP_WAIT ? value - 1 : value;
	outcome->error = op == OP_READ ? read_byte(object->file, &outcome->value)
				       : write_byte(object->file, value);
	if (!outcome->error)
		outcome->exception = "sem_open wants to read and write";
}

#define BIT(op) ((uint64_t)1 << (op))
#define FILE_OPS                                                                                   \
	(BIT(OP_LIST) | BIT(OP_STAT) | BIT(OP_FILES) | BIT(OP_STATUS) | BIT(OP_MAY_READ) |         \
	 BIT(OP_MAY_WRITE) | BIT(OP_OPEN_READ) | BIT(OP_OPEN_WRITE) | BIT(OP_OPEN_BOTH) |          \
	 BIT(OP_READ) | BIT(OP_WRITE) | BIT(OP_CHMOD) | BIT(OP_CHOWN_SELF) | BIT(OP_CHOWN_OTHER) | \
	 BIT(OP_CHGRP_SELF) | BIT(OP_CHGRP_MEMBER) | BIT(OP_CHGRP_OTHER) | BIT(OP_REMOVE))

const struct matrix_kind matrix_mq = {
	.name = "posix/mq",
	.ops = FILE_OPS,
	.make = make_mq,
	.facts = facts_mq,
	.refill = refill_mq,
	.restore = restore_mq,
	.direct = direct_mq,
	.remove = remove_file,
	.read_files = { "packets", "msg", "lines", "tagged", "records", "drain" },
	.write_files = { "packets", "msg", "lines", "prio/0/msg" },
};

const struct matrix_kind matrix_posix_shm = {
	.name = "posix/shm",
	.ops = FILE_OPS | BIT(OP_WRITE_MORE),
	.make = make_shm,
	.facts = facts_byte,
	.refill = refill_byte,
	.restore = restore_byte,
	.direct = direct_shm,
	.remove = remove_file,
	.read_files = { "data" },
	.write_files = { "data" },
};

const struct matrix_kind matrix_posix_sem = {
	.name = "posix/sem",
	.ops = FILE_OPS | BIT(OP_POST) | BIT(OP_WAIT) | BIT(OP_HOLD),
	.make = make_sem,
	.facts = facts_byte,
	.refill = refill_byte,
	.restore = restore_byte,
	.direct = direct_sem,
	.remove = remove_file,
	.read_files = { "value" },
	.write_files = { "value" },
};
