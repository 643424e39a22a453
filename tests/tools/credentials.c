/* SPDX-License-Identifier: MIT */
/*
 * Checks open files that are passed on, and processes whose rights change.
 *
 *	credentials hands MOUNT		opens, passes on, dies, comes again as another user
 *	credentials asks FILE		what a set-user-id program gets, before and after it drops
 *
 * `hands` checks, and exits 0 or 1. `asks` prints what it got; the caller judges.
 */
#include <grp.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "peer.h"

enum { USER = 1234, OTHER = 1235, GROUP = 5678 };

#define CAPABILITIES (1U << CAP_DAC_OVERRIDE | 1U << CAP_IPC_OWNER)

static char dir[PEER_PATH], packets[PEER_PATH];

/* A process that carries out orders. */
struct actor {
	pid_t pid;
	int socket;
};

struct rights {
	uid_t uid;
	bool group;
	unsigned permitted, effective;
};

static void set_capabilities(unsigned permitted, unsigned effective)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { .effective = effective,
						    .permitted = permitted } };

	if (syscall(SYS_capset, &header, data))
		peer_die("capset");
}

static void become(const struct rights *rights)
{
	gid_t group = GROUP;

	if (prctl(PR_SET_KEEPCAPS, 1) || setgroups(rights->group, &group) ||
	    setresgid(rights->uid, rights->uid, rights->uid) ||
	    setresuid(rights->uid, rights->uid, rights->uid))
		peer_die("becoming %u", rights->uid);
	set_capabilities(rights->permitted, rights->effective);
}

/* Sends a number, and a descriptor unless it is -1. */
static void tell(int socket, int number, int fd)
{
	union {
		struct cmsghdr header;
		char capacity[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec bytes = { &number, sizeof(number) };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	if (sendmsg(socket, &message, MSG_NOSIGNAL) != sizeof(number))
		peer_die("sendmsg");
}

/* False: the other side has ended. */
static bool hear(int socket, int *number, int *fd)
{
	union {
		struct cmsghdr header;
		char capacity[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec bytes = { number, sizeof(*number) };
	struct msghdr message = {
		.msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != sizeof(*number))
		return false;
	if (message.msg_controllen)
		memcpy(fd, CMSG_DATA(&control.header), sizeof(*fd));
	return true;
}

/* 0: receiving is allowed, whether a message is there or not. */
static int receive(int fd)
{
	char text[8192];

	return read(fd, text, sizeof(text)) >= 0 || errno == EAGAIN ? 0 : -errno;
}

static int open_packets(void)
{
	int fd = open(packets, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Orders: 'o' open and pass on; 'r' read from what was passed; 'u' raise, 'd' drop capabilities. */
__attribute__((noreturn)) static void act(int socket)
{
	int order, fd = -1, result;

	while (hear(socket, &order, &fd)) {
		switch (order) {
		case 'o':
			fd = open_packets();
			tell(socket, fd < 0 ? fd : 0, fd);
			break;
		case 'r':
			result = receive(fd);
			tell(socket, result, -1);
			break;
		default:
			set_capabilities(CAPABILITIES, order == 'u' ? CAPABILITIES : 0);
			tell(socket, 0, -1);
		}
	}
	_exit(0);
}

/* Starts an actor, with this process id unless it is 0. */
static struct actor start(pid_t pid, struct rights rights)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = pid ? (uintptr_t)&pid : 0,
		.set_tid_size = pid != 0,
	};
	int sockets[2];
	struct actor actor;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		peer_die("socketpair");
	actor.pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (actor.pid < 0)
		peer_die("clone3");
	if (!actor.pid) {
		close(sockets[0]);
		become(&rights);
		act(sockets[1]);
	}
	close(sockets[1]);
	actor.socket = sockets[0];
	return actor;
}

static void end(const struct actor *actor)
{
	/* other processes have inherited the descriptor */
	if (shutdown(actor->socket, SHUT_RDWR) || close(actor->socket))
		peer_die("shutdown");
	if (waitpid(actor->pid, NULL, 0) != actor->pid)
		peer_die("waitpid");
}

/* Sends an order, with `fd`, and returns the answer, with a descriptor in `fd`. */
static int order(const struct actor *actor, int what, int *fd)
{
	int answer;

	tell(actor->socket, what, what == 'r' ? *fd : -1);
	if (!hear(actor->socket, &answer, fd))
		peer_die("an actor is gone");
	return answer;
}

static int opens(const struct actor *actor)
{
	int fd = -1, error = order(actor, 'o', &fd);

	return error ? error : fd;
}

static int reads(const struct actor *actor, int fd)
{
	return order(actor, 'r', &fd);
}

static int opens_and_closes(const struct actor *actor)
{
	int fd = opens(actor);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* Opens the queue to everybody, or to its owner and a group only. */
static void set_mode(mode_t mode, gid_t group)
{
	if (chown(dir, 0, group) || chmod(dir, mode))
		peer_die("changing %s", dir);
}

#define REFUSED(what, ...) CHECK((what) == -EACCES, __VA_ARGS__)
#define SERVED(what, ...) CHECK((what) == 0, __VA_ARGS__)

/*
 * A process with the number, user and group of a dead opener does not get what the opener lacked.
 */
static void number_comes_again(struct rights later, const char *what)
{
	struct actor actor;
	pid_t pid;
	int fd;

	set_mode(0666, 0);
	actor = start(0, (struct rights){ .uid = USER });
	fd = opens(&actor);
	pid = actor.pid;
	if (fd < 0)
		peer_die("%s can not be opened", packets);
	SERVED(reads(&actor, fd), "its opener can not read %s", packets);
	end(&actor);
	set_mode(later.group ? 0660 : 0600, GROUP);
	actor = start(pid, later);
	CHECK(actor.pid == pid, "no such number");
	SERVED(opens_and_closes(&actor), "%s lets nobody in", what);
	REFUSED(reads(&actor, fd),
		"%s: a process with the dead opener's id has its own rights counted", what);
	REFUSED(receive(fd), "%s: what another process may went to the open file", what);
	end(&actor);
	close(fd);
}

/* A living opener has the rights it had at open, even if open did not need them. */
static void opener_lives(void)
{
	struct actor actor = start(0, (struct rights){ .uid = USER, .group = true });
	int fd;

	set_mode(0666, 0);
	peer_sleep_ms(30); /* younger than a clock tick, it could be a later process */
	fd = opens(&actor);
	set_mode(0660, GROUP);
	SERVED(reads(&actor, fd), "an opener in the group is refused");
	REFUSED(receive(fd),
		"the opener's groups were taken for those at opening, though they were not");
	end(&actor);
	close(fd);
}

/* Capabilities that the opener's thread gets later count for its own requests only. */
static void rights_come_and_go(void)
{
	struct actor actor = start(0, (struct rights){ .uid = USER, .permitted = CAPABILITIES });
	struct actor weak = start(0, (struct rights){ .uid = USER });
	int fd;

	set_mode(0666, 0);
	peer_sleep_ms(30);
	fd = opens(&actor);
	set_mode(0600, 0);
	REFUSED(reads(&actor, fd), "capabilities that are not effective count");
	order(&actor, 'u', &(int){ -1 });
	(void)reads(&actor, fd);
	order(&actor, 'd', &(int){ -1 });
	REFUSED(reads(&actor, fd), "capabilities that were given up count");
	REFUSED(reads(&weak, fd),
		"capabilities that the opener had for a moment count for another process");
	end(&actor);
	end(&weak);
	close(fd);
}

/* The opener is judged, whatever rights the users of the file have. */
static void passed_on(void)
{
	struct actor weak = start(0, (struct rights){ .uid = OTHER });
	struct actor strong = start(0, (struct rights){ USER, true, CAPABILITIES, CAPABILITIES });
	int fd = -1, own;

	set_mode(0600, 0);
	REFUSED(opens_and_closes(&weak), "another user may open it");
	fd = opens(&strong);
	SERVED(reads(&weak, fd), "to one with fewer rights: refused");
	close(fd);
	set_mode(0604, 0);
	own = opens(&weak);
	SERVED(reads(&strong, own), "to one with more rights: refused");
	set_mode(0600, 0);
	REFUSED(reads(&strong, own), "to one with more rights: these count");
	REFUSED(reads(&weak, own), "the opener has lost the right and keeps the file");
	REFUSED(receive(own), "to root: root's rights count");
	close(own);
	end(&weak);
	end(&strong);
}

static void hands(const char *mount, const char *queue)
{
	peer_path(dir, "%s/%s", mount, queue);
	peer_path(packets, "%s/packets", dir);
	if (mkdir(dir, 0600))
		peer_die("mkdir %s", dir);
	number_comes_again((struct rights){ .uid = USER, .group = true }, "a group");
	number_comes_again((struct rights){ USER, false, CAPABILITIES, CAPABILITIES },
			   "a capability");
	opener_lives();
	rights_come_and_go();
	passed_on();
	if (rmdir(dir))
		peer_fail("rmdir %s: %s", dir, strerror(errno));
}

static void say(const char *what, int result)
{
	printf("%s:%s ", what, result < 0 ? strerrorname_np(-result) : "yes");
}

static void asks(const char *file)
{
	int fd;

	snprintf(packets, sizeof(packets), "%s", file);
	say("inherited", receive(STDIN_FILENO));
	fd = open_packets();
	say("open", fd);
	if (seteuid(getuid()))
		peer_die("seteuid");
	say("dropped", open_packets());
	say("kept", fd < 0 ? fd : receive(fd));
	putchar('\n');
}

int main(int argc, char **argv)
{
	if (argc != 3)
		peer_die("bad arguments");
	if (!strcmp(argv[1], "asks")) {
		asks(argv[2]);
		fflush(stdout);
		_exit(0); /* the leak sanitizer cannot look into a set-user-id program */
	}
	hands(argv[2], "posix/mq/hands");
	hands(argv[2], "sysv/msg/0x0000a11d");
	return peer_result("credentials");
}
