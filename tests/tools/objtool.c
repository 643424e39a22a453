/* SPDX-License-Identifier: MIT */
/*
 * Makes the system calls on objects of every class from the command line.
 *
 *	objtool CLASS NAME make [MODE] | mode | chmod MODE | chown UID GID | remove | use HOW
 *
 * CLASS is posix/mq, posix/shm, posix/sem, sysv/msg, sysv/shm or sysv/sem; NAME is as in the mount.
 * `mode` prints mode, owner and group. `use` has the object "open", "mapped" (and closed) or both,
 * "attached", or "registered" for notification, prints a line, and waits to be killed. Exits 1 and prints the error when a call fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

union semun {
	int val;
	struct semid_ds *buf;
};

static const char *class, *verb;
static const char *way;		  /* of use */
static unsigned new_uid, new_gid; /* of chown */
static char slashed[300];

__attribute__((noreturn)) static void fail(const char *call)
{
	fprintf(stderr, "%s: %s\n", call, strerrorname_np(errno));
	exit(1);
}

__attribute__((noreturn)) static void usage(void)
{
	fputs("objtool: bad arguments\n", stderr);
	exit(2);
}

static void show(unsigned mode, unsigned uid, unsigned gid)
{
	printf("%04o %u %u\n", mode & 0777, uid, gid);
}

/* Makes an object, then sets its permissions and puts one byte or message into it. */
static void make_posix(mode_t mode)
{
	struct mq_attr attr = { .mq_maxmsg = 4, .mq_msgsize = 8192 };
	int fd = -1;

	umask(0);
	if (!strcmp(class, "posix/mq"))
		fd = mq_open(slashed, O_RDWR | O_CREAT | O_EXCL, mode, &attr);
	else if (!strcmp(class, "posix/shm"))
		fd = shm_open(slashed, O_RDWR | O_CREAT | O_EXCL, mode);
	else if (sem_open(slashed, O_CREAT | O_EXCL, mode, 1) != SEM_FAILED)
		return;
	if (fd < 0)
		fail("make");
	if (!strcmp(class, "posix/shm") && ftruncate(fd, 4096))
		fail("ftruncate");
}

static int open_posix(const char *name)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "/dev/shm/sem.%s", name);
	if (!strcmp(class, "posix/mq"))
		fd = mq_open(slashed, O_RDONLY);
	else if (!strcmp(class, "posix/shm"))
		fd = shm_open(slashed, O_RDONLY, 0);
	else
		fd = open(path, O_RDONLY);
	if (fd < 0)
		fail("open");
	return fd;
}

/* Uses the object, in the way that argv[4] says. */
__attribute__((noreturn)) static void use(const char *how, int fd, int id)
{
	struct sigevent event = { .sigev_notify = SIGEV_NONE };

	if (strstr(how, "mapped") && mmap(NULL, 32, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
		fail("mmap");
	if (!strcmp(how, "mapped"))
		close(fd);
	if (!strcmp(how, "attached") && shmat(id, NULL, 0) == (void *)-1)
		fail("shmat");
	if (!strcmp(how, "registered") && mq_notify(fd, &event))
		fail("mq_notify");
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

static void posix(const char *name, mode_t mode)
{
	struct stat st;
	int error;

	snprintf(slashed, sizeof(slashed), "/%s", name);
	if (!strcmp(verb, "make")) {
		make_posix(mode);
	} else if (!strcmp(verb, "mode")) {
		if (fstat(open_posix(name), &st))
			fail("fstat");
		show(st.st_mode, st.st_uid, st.st_gid);
	} else if (!strcmp(verb, "use")) {
		use(way, open_posix(name), -1);
	} else if (!strcmp(verb, "chmod")) {
		if (fchmod(open_posix(name), mode))
			fail("fchmod");
	} else if (!strcmp(verb, "chown")) {
		if (fchown(open_posix(name), new_uid, new_gid))
			fail("fchown");
	} else if (!strcmp(verb, "remove")) {
		error = !strcmp(class, "posix/mq")    ? mq_unlink(slashed)
			: !strcmp(class, "posix/shm") ? shm_unlink(slashed)
						      : sem_unlink(slashed);
		if (error)
			fail("unlink");
	} else {
		usage();
	}
}

/* The same interface for the three classes of System V: get is 0 to find, or flags to make. */
static int get(key_t key, int flags)
{
	int id;

	if (!strcmp(class, "sysv/msg"))
		id = msgget(key, flags);
	else if (!strcmp(class, "sysv/shm"))
		id = shmget(key, flags ? 4096 : 0, flags);
	else
		id = semget(key, flags ? 1 : 0, flags);
	if (id < 0)
		fail("get");
	return id;
}

static struct ipc_perm *control(int id, int command)
{
	static struct msqid_ds msg;
	static struct shmid_ds shm;
	static struct semid_ds sem;
	struct ipc_perm *perm;
	int result;

	if (!strcmp(class, "sysv/msg")) {
		result = msgctl(id, command, &msg);
		perm = &msg.msg_perm;
	} else if (!strcmp(class, "sysv/shm")) {
		result = shmctl(id, command, &shm);
		perm = &shm.shm_perm;
	} else {
		result = semctl(id, 0, command, (union semun){ .buf = &sem });
		perm = &sem.sem_perm;
	}
	if (result < 0)
		fail("control");
	return perm;
}

static void sysv(const char *name, mode_t mode)
{
	key_t key = (key_t)strtoul(name, NULL, 16);
	bool makes = !strcmp(verb, "make");
	int id = get(key, makes ? IPC_CREAT | IPC_EXCL | (int)mode : 0);
	struct ipc_perm *perm;

	if (makes)
		return;
	if (!strcmp(verb, "use"))
		use(way, -1, id);
	if (!strcmp(verb, "remove")) {
		control(id, IPC_RMID);
		return;
	}
	perm = control(id, IPC_STAT);
	if (!strcmp(verb, "mode")) {
		show(perm->mode, perm->uid, perm->gid);
	} else if (!strcmp(verb, "chmod")) {
		perm->mode = (unsigned short)mode;
		control(id, IPC_SET);
	} else if (!strcmp(verb, "chown")) {
		perm->uid = new_uid;
		perm->gid = new_gid;
		control(id, IPC_SET);
	} else {
		usage();
	}
}

int main(int argc, char **argv)
{
	mode_t mode = argc > 4 ? (mode_t)strtoul(argv[4], NULL, 8) : 0600;

	if (argc < 4)
		usage();
	class = argv[1];
	verb = argv[3];
	way = argc > 4 ? argv[4] : "";
	if (!strcmp(verb, "chown")) {
		if (argc < 6)
			usage();
		new_uid = (unsigned)strtoul(argv[4], NULL, 10);
		new_gid = (unsigned)strtoul(argv[5], NULL, 10);
	}
	if (!strncmp(class, "posix/", 6))
		posix(argv[2], mode);
	else
		sysv(argv[2], mode);
	return 0;
}
