/* SPDX-License-Identifier: MIT */
/*
 * Starts and ends containers: each is an IPC and a mount namespace (every third one also a user
 * namespace of an ordinary user), and uses one object of each class through the mount.
 *
 *	lives MOUNT COUNT
 *
 * Half of them remove what they made. All end with files open and semaphores held. Prints what
 * failed; exits 0 or 1.
 */
#include <dirent.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "peer.h"

enum { USER = 1234 };

static const char *mount_point;
static char path_room[PEER_PATH];

static const char *in_mount(const char *rest)
{
	return peer_path(path_room, "%s/%s", mount_point, rest);
}

static void become_ordinary(void)
{
	char line[64];

	if (setgroups(0, NULL) || setresgid(USER, USER, USER) || setresuid(USER, USER, USER) ||
	    unshare(CLONE_NEWUSER))
		peer_die("a user namespace");
	/* Otherwise its /proc files are not its own, since it has changed its user. */
	prctl(PR_SET_DUMPABLE, 1);
	snprintf(line, sizeof(line), "0 %d 1", USER);
	if (peer_write_file("/proc/self/setgroups", "deny") ||
	    peer_write_file("/proc/self/gid_map", line) ||
	    peer_write_file("/proc/self/uid_map", line))
		peer_die("the maps of a user namespace");
}

static void begin(unsigned number)
{
	if (number % 3 == 2)
		become_ordinary();
	if (unshare(CLONE_NEWIPC | CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777"))
		peer_die("a container");
}

/* Its own namespace, by number. */
static void look(void)
{
	char wanted[64], got[64] = "";
	struct stat st;

	if (stat("/proc/self/ns/ipc", &st))
		peer_die("/proc");
	snprintf(wanted, sizeof(wanted), "ns/%lu", (unsigned long)st.st_ino);
	if (readlink(in_mount("self"), got, sizeof(got) - 1) < 0)
		peer_fail("self: %s", strerror(errno));
	else
		CHECK(!strcmp(wanted, got), "self is %s, not %s", got, wanted);
}

static void pass_message(const char *file)
{
	char text[8192];
	int fd = open(in_mount(file), O_RDWR | O_NONBLOCK);

	if (!CHECK(fd >= 0, "%s: %s", file, strerror(errno)))
		return;
	if (CHECK(write(fd, "life", 4) == 4, "%s: write: %s", file, strerror(errno)))
		CHECK(read(fd, text, sizeof(text)) == 4 && !memcmp(text, "life", 4), "%s: read: %s",
		      file, strerror(errno));
	CHECK(write(fd, "left", 4) == 4, "%s: write: %s", file, strerror(errno));
}

static void list_all(void)
{
	DIR *dir = opendir(in_mount("posix/mq"));
	struct dirent *entry;
	unsigned seen = 0;

	if (!CHECK(dir, "posix/mq: %s", strerror(errno)))
		return;
	while ((entry = readdir(dir)))
		seen += entry->d_name[0] != '.';
	CHECK(seen == 1, "%u queues, where there is one", seen);
	closedir(dir);
}

static void live(unsigned number)
{
	static const char *const made[] = { "posix/mq/jobs",	   "sysv/msg/0x00000051",
					    "posix/shm/seg",	   "posix/sem/lock",
					    "sysv/shm/0x00000053", "sysv/sem/0x00000052" };
	static const char *const held[] = { "posix/sem/lock/hold", "sysv/sem/0x52/0/hold" };
	char value[16];

	look();
	/* Small: one user is charged for all these queues until their namespaces have ended. */
	CHECK(!peer_write_file(in_mount("create"), "posix/mq/jobs maxmsg=2 msgsize=64\n"),
	      "create: %s", strerror(errno));
	for (size_t i = 1; i < sizeof(made) / sizeof(*made); i++)
		CHECK(!mkdir(in_mount(made[i]), 0777), "mkdir %s: %s", made[i], strerror(errno));
	pass_message("posix/mq/jobs/packets");
	pass_message("sysv/msg/0x51/packets");
	list_all();
	CHECK(!peer_write_file(in_mount("posix/shm/seg/data"), "bytes"), "data: %s",
	      strerror(errno));
	CHECK(!chmod(in_mount("sysv/msg/0x51"), 0660), "chmod: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(held) / sizeof(*held); i++)
		CHECK(open(in_mount(held[i]), O_WRONLY) >= 0, "%s: %s", held[i], strerror(errno));
	if (CHECK(peer_read_file(in_mount("sysv/sem/0x52/0/value"), value, sizeof(value)) > 0,
		  "value"))
		CHECK(!strcmp(value, "0\n"), "held, and its value is %s", value);
	for (size_t i = 0; number % 2 && i < sizeof(made) / sizeof(*made); i++)
		CHECK(!rmdir(in_mount(made[i])), "rmdir %s: %s", made[i], strerror(errno));
}

int main(int argc, char **argv)
{
	unsigned count = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
	int status;
	pid_t pid;

	if (!count)
		peer_die("usage: lives MOUNT COUNT");
	mount_point = argv[1];
	for (unsigned i = 0; i < count; i++) {
		pid = fork();
		if (pid < 0)
			peer_die("fork");
		if (!pid) {
			begin(i);
			live(i);
			_exit(peer_failures ? 1 : 0);
		}
		if (waitpid(pid, &status, 0) != pid)
			peer_die("waitpid");
		CHECK(!status, "life %u: status 0x%x", i, (unsigned)status);
	}
	return peer_result("lives");
}
