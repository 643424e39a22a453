/* SPDX-License-Identifier: MIT */
/* Callers: processes with given ids, groups and capabilities that carry out operations. */
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "matrix.h"
#include "peer.h"

#define ALL_CAPS (~(uint64_t)0)
#define NO_CLASS 30009 /* a group that is none of the object's */

const struct matrix_caller matrix_callers[] = {
	{ .name = "owner", .uid = MATRIX_OWNER, .gid = NO_CLASS },
	{ .name = "owner, in the group", .uid = MATRIX_OWNER, .gid = MATRIX_GROUP },
	{ .name = "owner, with groups",
	  .uid = MATRIX_OWNER,
	  .gid = NO_CLASS,
	  .member = MATRIX_OTHER_GROUP },
	{ .name = "creator", .uid = MATRIX_CREATOR, .gid = NO_CLASS },
	{ .name = "creator, in the group", .uid = MATRIX_CREATOR, .gid = MATRIX_GROUP },
	{ .name = "group", .uid = 20010, .gid = MATRIX_GROUP },
	{ .name = "creator's group", .uid = 20011, .gid = MATRIX_CREATOR_GROUP },
	{ .name = "group, one of 20", .uid = 20012, .gid = NO_CLASS, .member = MATRIX_GROUP },
	{ .name = "creator's group, one of 20",
	  .uid = 20013,
	  .gid = NO_CLASS,
	  .member = MATRIX_CREATOR_GROUP },
	{ .name = "other", .uid = MATRIX_OTHER, .gid = NO_CLASS },
	{ .name = "other, with groups",
	  .uid = MATRIX_OTHER,
	  .gid = NO_CLASS,
	  .member = MATRIX_OTHER_GROUP },
	{ .name = "root", .caps = ALL_CAPS },
	{ .name = "uid 0 without capabilities" },
	{ .name = "uid 0 in the group", .gid = MATRIX_GROUP },
	{ .name = "CAP_IPC_OWNER",
	  .uid = 20020,
	  .gid = NO_CLASS,
	  .caps = MATRIX_CAP(CAP_IPC_OWNER) },
	{ .name = "CAP_DAC_OVERRIDE",
	  .uid = 20021,
	  .gid = NO_CLASS,
	  .caps = MATRIX_CAP(CAP_DAC_OVERRIDE) },
	{ .name = "CAP_DAC_READ_SEARCH",
	  .uid = 20022,
	  .gid = NO_CLASS,
	  .caps = MATRIX_CAP(CAP_DAC_READ_SEARCH) },
	{ .name = "CAP_SYS_ADMIN",
	  .uid = 20023,
	  .gid = NO_CLASS,
	  .caps = MATRIX_CAP(CAP_SYS_ADMIN) },
	{ .name = "CAP_FOWNER", .uid = 20024, .gid = NO_CLASS, .caps = MATRIX_CAP(CAP_FOWNER) },
	{ .name = "CAP_CHOWN", .uid = 20025, .gid = NO_CLASS, .caps = MATRIX_CAP(CAP_CHOWN) },
	{ .name = "owner with CAP_SYS_RESOURCE",
	  .uid = MATRIX_OWNER,
	  .gid = NO_CLASS,
	  .caps = MATRIX_CAP(CAP_SYS_RESOURCE) },
	{ .name = "owner by real uid only",
	  .uid = MATRIX_OTHER,
	  .gid = NO_CLASS,
	  .real = MATRIX_OWNER },
	{ .name = "capabilities not effective", .uid = 20026, .gid = NO_CLASS, .idle = ALL_CAPS },
};
const unsigned matrix_caller_count = sizeof(matrix_callers) / sizeof(*matrix_callers);

struct order {
	enum matrix_side side;
	enum matrix_op op;
	struct matrix_object object;
	struct matrix_arguments arguments;
};

/* The capabilities of this process: no caller can have more. */
static uint64_t known_caps;

static void learn_caps(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct halves[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, halves))
		peer_die("capget");
	known_caps = halves[0].permitted | (uint64_t)halves[1].permitted << 32;
}

static int set_caps(uint64_t permitted, uint64_t effective)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct halves[_LINUX_CAPABILITY_U32S_3] = {
		{ .effective = (uint32_t)effective, .permitted = (uint32_t)permitted },
		{ .effective = (uint32_t)(effective >> 32),
		  .permitted = (uint32_t)(permitted >> 32) },
	};

	return (int)syscall(SYS_capset, &header, halves);
}

static void become(const struct matrix_caller *caller)
{
	gid_t groups[MATRIX_SUPPLEMENTARY];
	size_t count = caller->member ? MATRIX_SUPPLEMENTARY : 0;
	uid_t real = caller->real ? caller->real : caller->uid;

	for (size_t i = 0; i < count; i++)
		groups[i] = i == 11 ? caller->member : (gid_t)(40000 + i);
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || setgroups(count, groups) ||
	    setresgid(caller->gid, caller->gid, caller->gid) ||
	    setresuid(real, caller->uid, caller->uid) ||
	    set_caps((caller->caps | caller->idle) & known_caps, caller->caps & known_caps) ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		peer_die("becoming: %s", caller->name);
}

/*
 * Returns what the kernel says for an ordinary file, to the nearest operation. Operations that need
 * no right succeed.
 */
static int on_file(const struct order *order)
{
	const struct matrix_arguments *arguments = &order->arguments;
	const char *file = order->object.file;

	switch (order->op) {
	case OP_LIST:
	case OP_STAT:
	case OP_STATUS:
		return 0;
	case OP_FILES:
	case OP_OPEN_READ:
	case OP_READ:
	case OP_READ_MORE:
		return matrix_open(file, O_RDONLY);
	case OP_OPEN_BOTH:
		return matrix_open(file, O_RDWR);
	case OP_MAY_READ:
	case OP_MAY_WRITE:
		return matrix_error(syscall(SYS_faccessat2, AT_FDCWD, file,
					    order->op == OP_MAY_READ ? R_OK : W_OK, AT_EACCESS));
	case OP_CHMOD:
		return matrix_error(chmod(file, arguments->mode));
	case OP_CHOWN_SELF:
	case OP_CHOWN_OTHER:
	case OP_CHGRP_SELF:
	case OP_CHGRP_MEMBER:
	case OP_CHGRP_OTHER:
		return matrix_error(chown(file, arguments->uid, arguments->gid));
	case OP_REMOVE:
		return matrix_error(unlink(file));
	case OP_SET_LIST:
		return matrix_error(
			setxattr(file, MATRIX_ATTRIBUTE, arguments->list, arguments->list_size, 0));
	default:
		return matrix_open(file, O_WRONLY);
	}
}

static void act(const struct matrix_caller *caller, const struct order *order,
		struct matrix_outcome *outcome)
{
	uint64_t permitted = (caller->caps | caller->idle) & known_caps;

	memset(outcome, 0, sizeof(*outcome));
	switch (order->side) {
	case MATRIX_DIRECT:
		matrix_kinds[order->object.kind]->direct(order->op, &order->object,
							 &order->arguments, outcome);
		break;
	case MATRIX_MOUNT:
		matrix_through_mount(order->op, &order->object, &order->arguments, outcome);
		break;
	case MATRIX_FILE:
		outcome->error = on_file(order);
		break;
	case MATRIX_PLAIN:
		if (set_caps(permitted, 0))
			peer_die("capset");
		outcome->error = on_file(order);
		if (set_caps(permitted, caller->caps & permitted))
			peer_die("capset");
	}
}

static void serve(const struct matrix_caller *caller, int socket)
{
	struct matrix_outcome outcome;
	struct order order;

	while (recv(socket, &order, sizeof(order), 0) == (ssize_t)sizeof(order)) {
		act(caller, &order, &outcome);
		if (send(socket, &outcome, sizeof(outcome), 0) != (ssize_t)sizeof(outcome))
			break;
	}
}

void matrix_worker_start(struct matrix_worker *worker, const struct matrix_caller *caller)
{
	int sockets[2];

	learn_caps();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		peer_die("socketpair");
	*worker = (struct matrix_worker){ .caller = caller, .socket = sockets[0] };
	worker->pid = fork();
	if (worker->pid < 0)
		peer_die("fork");
	if (!worker->pid) {
		close(sockets[0]);
		become(caller);
		serve(caller, sockets[1]);
		_exit(0);
	}
	close(sockets[1]);
}

void matrix_worker_end(struct matrix_worker *worker)
{
	int status;

	close(worker->socket);
	if (waitpid(worker->pid, &status, 0) != worker->pid || status)
		peer_fail("the process of \"%s\" ended with status %d", worker->caller->name,
			  status);
}

void matrix_ask(const struct matrix_worker *worker, enum matrix_side side, enum matrix_op op,
		const struct matrix_object *object, const struct matrix_arguments *arguments,
		struct matrix_outcome *outcome)
{
	struct order order = { .side = side, .op = op, .object = *object, .arguments = *arguments };

	if (send(worker->socket, &order, sizeof(order), 0) != (ssize_t)sizeof(order) ||
	    recv(worker->socket, outcome, sizeof(*outcome), 0) != (ssize_t)sizeof(*outcome))
		peer_die("the process of \"%s\" is gone", worker->caller->name);
}
