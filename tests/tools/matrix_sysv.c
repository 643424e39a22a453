/* SPDX-License-Identifier: MIT */
/* System V queues, segments and sets, by direct calls. */
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "matrix.h"
#include "peer.h"

#define SEMAPHORES 2
#define SLOT 0x7fff /* of an id: its place in the kernel's table, which *_STAT_ANY wants */

/* <linux/msg.h> and the like conflict with the C library's headers. */
#define MSG_STAT_ANY_CALL 13
#define SHM_STAT_ANY_CALL 15
#define SEM_STAT_ANY_CALL 20
#define MSG_COPY_FLAG 040000

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

/* The same interface for all three classes. */
struct state {
	struct ipc_perm perm;
	struct msqid_ds msg;
	struct shmid_ds shm;
	struct semid_ds sem;
};

static struct ipc_perm *perm_of(int kind, struct state *state)
{
	return kind == MATRIX_MSG   ? &state->msg.msg_perm
	       : kind == MATRIX_SHM ? &state->shm.shm_perm
				    : &state->sem.sem_perm;
}

static int control(const struct matrix_object *object, int command, struct state *state)
{
	switch (object->kind) {
	case MATRIX_MSG:
		return msgctl(object->id, command, &state->msg);
	case MATRIX_SHM:
		return shmctl(object->id, command, &state->shm);
	default:
		return semctl(object->id, 0, command, (union semun){ .buf = &state->sem });
	}
}

/* Reads the state as ipcs(1) does, which needs no right. */
static int look(const struct matrix_object *object, struct state *state)
{
	struct matrix_object slot = *object;
	int command = object->kind == MATRIX_MSG   ? MSG_STAT_ANY_CALL
		      : object->kind == MATRIX_SHM ? SHM_STAT_ANY_CALL
						   : SEM_STAT_ANY_CALL;

	slot.id &= SLOT;
	memset(state, 0, sizeof(*state));
	if (control(&slot, command, state) != object->id) {
		errno = errno ? errno : EINVAL;
		return -1;
	}
	return 0;
}

static int make(struct matrix_object *object, const char *name, uint32_t key)
{
	static const char *const classes[] = {
		[MATRIX_MSG] = "msg", [MATRIX_SHM] = "shm", [MATRIX_SEM] = "sem"
	};
	int flags = IPC_CREAT | IPC_EXCL | 0600;

	(void)name;
	object->key = key;
	snprintf(object->name, sizeof(object->name), "0x%08x", key);
	snprintf(object->directory, sizeof(object->directory), "%s/sysv/%s/%s", matrix_mount,
		 classes[object->kind], object->name);
	switch (object->kind) {
	case MATRIX_MSG:
		object->id = msgget((key_t)key, flags);
		break;
	case MATRIX_SHM:
		object->id = shmget((key_t)key, 4096, flags);
		break;
	default:
		object->id = semget((key_t)key, SEMAPHORES, flags);
	}
	return object->id < 0 ? -errno : 0;
}

static long long byte_of(int id)
{
	unsigned char *memory = shmat(id, NULL, SHM_RDONLY);
	long long byte;

	if (memory == (void *)-1)
		peer_die("shmat");
	byte = *memory;
	shmdt(memory);
	return byte;
}

static void facts(const struct matrix_object *object, struct matrix_facts *facts)
{
	struct state state;
	const struct ipc_perm *perm = perm_of(object->kind, &state);

	memset(facts, 0, sizeof(*facts));
	errno = 0;
	/* A removed segment that is attached has no key. */
	if (look(object, &state) || (uint32_t)perm->__key != object->key)
		return;
	facts->there = true;
	facts->uid = perm->uid;
	facts->gid = perm->gid;
	facts->cuid = perm->cuid;
	facts->cgid = perm->cgid;
	facts->mode = perm->mode & 0777;
	facts->size = object->kind == MATRIX_MSG ? (long long)state.msg.msg_qbytes : 0;
	facts->content = object->kind == MATRIX_MSG   ? (long long)state.msg.msg_qnum
			 : object->kind == MATRIX_SHM ? byte_of(object->id)
						      : semctl(object->id, 0, GETVAL);
}

/* IPC_SET with the known values, changed. */
static int set(const struct matrix_object *object, const struct matrix_facts *wanted)
{
	struct state state;
	struct ipc_perm *perm = perm_of(object->kind, &state);

	memset(&state, 0, sizeof(state));
	perm->uid = wanted->uid;
	perm->gid = wanted->gid;
	perm->mode = (unsigned short)wanted->mode;
	state.msg.msg_qbytes = (msglen_t)wanted->size;
	return control(object, IPC_SET, &state);
}

static void refill(const struct matrix_object *object, long long content)
{
	struct {
		long type;
		char text[64];
	} message = { 1, "x" };
	struct matrix_facts now;
	unsigned char *memory;
	bool done = true;

	facts(object, &now);
	switch (object->kind) {
	case MATRIX_MSG:
		for (; done && now.content < content; now.content++)
			done = !msgsnd(object->id, &message, 1, IPC_NOWAIT);
		for (; done && now.content > content; now.content--)
			done = msgrcv(object->id, &message, sizeof(message.text), 0, IPC_NOWAIT) >=
			       0;
		break;
	case MATRIX_SHM:
		memory = shmat(object->id, NULL, 0);
		done = memory != (void *)-1;
		if (done) {
			*memory = (unsigned char)content;
			shmdt(memory);
		}
		break;
	default:
		done = !semctl(object->id, 0, SETVAL, (union semun){ .val = (int)content });
	}
	if (!done)
		peer_die("refilling %s", object->name);
}

static void restore(const struct matrix_object *object, const struct matrix_facts *wanted)
{
	if (set(object, wanted))
		peer_die("IPC_SET of %s", object->name);
	refill(object, wanted->content);
}

static void remove_object(const struct matrix_object *object)
{
	struct matrix_facts now;
	struct state unused;

	facts(object, &now);
	if (now.there && control(object, IPC_RMID, &unused))
		peer_die("removing %s", object->name);
}

/* Is there a line with this id, in the second field? */
static int is_listed(const struct matrix_object *object)
{
	static const char *const files[] = { [MATRIX_MSG] = "/proc/sysvipc/msg",
					     [MATRIX_SHM] = "/proc/sysvipc/shm",
					     [MATRIX_SEM] = "/proc/sysvipc/sem" };
	FILE *file = fopen(files[object->kind], "re");
	char line[512];
	bool found = false;
	int id;

	if (!file)
		return errno;
	while (fgets(line, sizeof(line), file))
		found |= sscanf(line, "%*d %d", &id) == 1 && id == object->id;
	fclose(file);
	return found ? 0 : ENOENT;
}

static int get(const struct matrix_object *object, int flags)
{
	switch (object->kind) {
	case MATRIX_MSG:
		return matrix_error(msgget((key_t)object->key, flags));
	case MATRIX_SHM:
		return matrix_error(shmget((key_t)object->key, 0, flags));
	default:
		return matrix_error(semget((key_t)object->key, 0, flags));
	}
}

static int attach(int id, int flags, int write, long long *value)
{
	unsigned char *memory = shmat(id, NULL, flags);

	if (memory == (void *)-1)
		return errno;
	if (write >= 0)
		*memory = (unsigned char)write;
	*value = flags & SHM_RDONLY ? *memory : 0;
	shmdt(memory);
	return 0;
}

static int operate(int id, int delta, int flags)
{
	struct sembuf op = { .sem_op = (short)delta, .sem_flg = (short)(flags | IPC_NOWAIT) };

	return matrix_error(semop(id, &op, 1));
}

static void on_memory(enum matrix_op op, const struct matrix_object *object,
		      struct matrix_outcome *outcome)
{
	long long unused;

	switch (op) {
	case OP_OPEN_READ:
	case OP_MAY_READ:
		outcome->error = attach(object->id, SHM_RDONLY, -1, &unused);
		break;
	case OP_READ:
		outcome->error = attach(object->id, SHM_RDONLY, -1, &outcome->value);
		break;
	default: /* writing also takes read permission */
		outcome->error = attach(object->id, 0, op == OP_WRITE ? 77 : -1, &unused);
	}
}

static void on_queue(enum matrix_op op, const struct matrix_object *object,
		     struct matrix_outcome *outcome)
{
	struct {
		long type;
		char text[64];
	} message = { 1, "x" };
	int flags = IPC_NOWAIT | (op == OP_READ_MORE ? MSG_COPY_FLAG : 0);

	if (op == OP_WRITE) {
		outcome->error = matrix_error(msgsnd(object->id, &message, 1, IPC_NOWAIT));
		return;
	}
	outcome->error = matrix_error(msgrcv(object->id, &message, sizeof(message.text), 0, flags));
	outcome->value = outcome->error ? 0 : message.text[0];
}

static void on_set(enum matrix_op op, const struct matrix_object *object,
		   struct matrix_outcome *outcome)
{
	struct sembuf both[] = { { .sem_op = 1 }, { .sem_num = 1 } };
	unsigned short values[SEMAPHORES] = { 3, 0 };
	int result, id = object->id;

	switch (op) {
	case OP_READ:
		result = semctl(id, 0, GETVAL);
		outcome->error = matrix_error(result);
		outcome->value = result < 0 ? 0 : result;
		break;
	case OP_WRITE:
		outcome->error = matrix_error(semctl(id, 0, SETVAL, (union semun){ .val = 3 }));
		break;
	case OP_READ_MORE:
		outcome->error =
			matrix_error(semctl(id, 0, GETALL, (union semun){ .array = values }));
		outcome->value = outcome->error ? 0 : values[0];
		break;
	case OP_WRITE_MORE:
		outcome->error =
			matrix_error(semctl(id, 0, SETALL, (union semun){ .array = values }));
		break;
	case OP_POST:
		outcome->error = operate(id, 1, 0);
		break;
	case OP_WAIT:
		outcome->error = operate(id, -1, 0);
		break;
	case OP_ZERO:
	case OP_LOOK:
		outcome->error = operate(id, 0, 0);
		break;
	case OP_OPERATE:
		outcome->error = matrix_error(semop(id, both, 2));
		break;
	default: /* OP_HOLD */
		outcome->error = operate(id, -1, SEM_UNDO);
		if (!outcome->error)
			outcome->error = operate(id, 1, SEM_UNDO);
	}
}

static int change(enum matrix_op op, const struct matrix_object *object,
		  const struct matrix_arguments *arguments)
{
	struct matrix_facts wanted = arguments->now;

	if (op == OP_CHMOD)
		wanted.mode = arguments->mode;
	if (arguments->uid != (uid_t)-1)
		wanted.uid = arguments->uid;
	if (arguments->gid != (gid_t)-1)
		wanted.gid = arguments->gid;
	if (op == OP_QBYTES)
		wanted.size = 1000;
	if (op == OP_QBYTES_MORE)
		wanted.size = 1 << 20;
	return matrix_error(set(object, &wanted));
}

static void direct(enum matrix_op op, const struct matrix_object *object,
		   const struct matrix_arguments *arguments, struct matrix_outcome *outcome)
{
	struct state state;
	const struct ipc_perm *perm = perm_of(object->kind, &state);

	switch (op) {
	case OP_LIST:
		outcome->error = is_listed(object);
		return;
	case OP_STAT:
	case OP_STATUS:
		outcome->error = matrix_error(look(object, &state));
		if (op == OP_STATUS)
			return;
		outcome->facts.uid = perm->uid;
		outcome->facts.gid = perm->gid;
		outcome->facts.mode = perm->mode & 0666;
		return;
	case OP_CHMOD:
	case OP_CHOWN_SELF:
	case OP_CHOWN_OTHER:
	case OP_CHGRP_SELF:
	case OP_CHGRP_MEMBER:
	case OP_CHGRP_OTHER:
	case OP_QBYTES:
	case OP_QBYTES_MORE:
		outcome->error = change(op, object, arguments);
		return;
	case OP_REMOVE:
		outcome->error = matrix_error(control(object, IPC_RMID, &state));
		return;
	default:
		break;
	}
	if (op == OP_FILES)
		outcome->error = get(object, 0444);
	else if (object->kind == MATRIX_SHM)
		on_memory(op, object, outcome);
	else if (op == OP_OPEN_READ || op == OP_MAY_READ)
		outcome->error = get(object, 0444);
	else if (op == OP_OPEN_WRITE || op == OP_MAY_WRITE)
		outcome->error = get(object, 0222);
	else if (op == OP_OPEN_BOTH)
		outcome->error = get(object, 0666);
	else if (object->kind == MATRIX_MSG)
		on_queue(op, object, outcome);
	else
		on_set(op, object, outcome);
}

#define BIT(op) ((uint64_t)1 << (op))
#define SYSV_OPS                                                                                   \
	(BIT(OP_LIST) | BIT(OP_STAT) | BIT(OP_FILES) | BIT(OP_STATUS) | BIT(OP_MAY_READ) |         \
	 BIT(OP_MAY_WRITE) | BIT(OP_OPEN_READ) | BIT(OP_OPEN_WRITE) | BIT(OP_OPEN_BOTH) |          \
	 BIT(OP_READ) | BIT(OP_WRITE) | BIT(OP_CHMOD) | BIT(OP_CHOWN_SELF) | BIT(OP_CHOWN_OTHER) | \
	 BIT(OP_CHGRP_SELF) | BIT(OP_CHGRP_MEMBER) | BIT(OP_CHGRP_OTHER) | BIT(OP_REMOVE))
#define CALLS                                                                                      \
	.sysv = true, .make = make, .facts = facts, .refill = refill, .restore = restore,          \
	.direct = direct, .remove = remove_object

const struct matrix_kind matrix_msg = {
	.name = "sysv/msg",
	.ops = SYSV_OPS | BIT(OP_READ_MORE) | BIT(OP_QBYTES) | BIT(OP_QBYTES_MORE),
	CALLS,
	.read_files = { "packets", "msg", "type/1/lines", "tagged", "records", "drain" },
	.write_files = { "packets", "msg", "lines", "type/1/msg" },
};

const struct matrix_kind matrix_sysv_shm = {
	.name = "sysv/shm",
	.ops = SYSV_OPS,
	CALLS,
	.read_files = { "data" },
	.write_files = { "data" },
};

const struct matrix_kind matrix_sysv_sem = {
	.name = "sysv/sem",
	.ops = SYSV_OPS | BIT(OP_READ_MORE) | BIT(OP_WRITE_MORE) | BIT(OP_POST) | BIT(OP_WAIT) |
	       BIT(OP_ZERO) | BIT(OP_LOOK) | BIT(OP_OPERATE) | BIT(OP_HOLD),
	CALLS,
	.read_files = { "0/value" },
	.write_files = { "0/value" },
};
