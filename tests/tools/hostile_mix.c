/* SPDX-License-Identifier: MIT */
/*
 * hostile_mix MOUNT SECONDS [SEED]: users who do at random what they can, hostile and ordinary, to
 * the same few objects, by the mount and by direct calls. Root runs it. Prints its seed.
 *
 * Each process has a seed of its own, and is killed or ends now and then, with requests under way;
 * another one takes its place. No result is looked at: the caller looks at the daemon, and at an
 * innocent user beside. Exits 0 when all processes have ended.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <grp.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "peer.h"

enum { FIRST_USER = 1234, USERS = 4, PROCESSES = 8, NAMES = 5, FILES = 48, SIZE = 70000 };

static const char *mount_point;
static uint64_t state; /* of the generator */
static int files[FILES];
static char bytes[SIZE];

static uint32_t below(uint32_t n)
{
	return peer_random(&state) % n;
}

static const char *one_of(const char *const *words, size_t count)
{
	return words[below((uint32_t)count)];
}

#define ONE_OF(words) one_of(words, sizeof(words) / sizeof(*(words)))

enum class { QUEUE, SEGMENT, SEMAPHORE };

/* A path of an object of the class, which may exist or not. */
static const char *object_of(enum class class, char *path)
{
	static const char *const classes[] = { [QUEUE] = "posix/mq", "posix/shm", "posix/sem",
					       "sysv/msg",	     "sysv/shm",  "sysv/sem" };
	bool sysv = below(2);

	return peer_path(path, sysv ? "%s/%s/0x3000000%u" : "%s/%s/mix%u", mount_point,
			 classes[class + (sysv ? 3 : 0)], below(NAMES));
}

static const char *object(char *path)
{
	return object_of((enum class)below(3), path);
}

static const char *file(char *path)
{
	static const char *const queues[] = { "msg",	"lines",    "packets",	  "tagged",
					      "drain",	"records",  "status",	  "peek",
					      "qbytes", "peek/0.1", "type/1/msg", "prio/3/lines",
					      "lease" };
	static const char *const semaphores[] = { "values",
						  "value",
						  "wait",
						  "zero",
						  "op",
						  "post",
						  "hold",
						  "tryhold",
						  "trywait",
						  "0",
						  "0/hold",
						  "0/wait",
						  "0/value",
						  "status",
						  "monitor",
						  "0/monitor",
						  "within/0.01/hold",
						  "within/0.01/lines" };
	static const char *const segments[] = { "data", "data", "status", ".", "..", "none" };
	static const char *const fixed[] = { "create",	"limits/msgmax", "limits",   "objects",
					     "metrics", "posix/mq",	 "sysv/msg", "." };
	char dir[PEER_PATH];

	switch (below(8)) {
	case 0:
		return peer_path(path, "%s/%s", mount_point, ONE_OF(fixed));
	case 1:
		return peer_path(path, "%s/%s", object_of(SEGMENT, dir), ONE_OF(segments));
	case 2:
	case 3:
	case 4:
		return peer_path(path, "%s/%s", object_of(SEMAPHORE, dir), ONE_OF(semaphores));
	default:
		return peer_path(path, "%s/%s", object_of(QUEUE, dir), ONE_OF(queues));
	}
}

/* Bytes that some file takes, or none. */
static size_t text(void)
{
	static const char *const words[] = { "1\n",
					     "0\n",
					     "-1\n",
					     "5000\n",
					     "1 2 3\n",
					     "+1\n",
					     "0:-1\n",
					     "4K\n",
					     "x",
					     "\n",
					     "1\t2\n",
					     "#\n",
					     "posix/sem/mix1\n",
					     "wait\n",
					     "wait a\n",
					     "notify a 3\n",
					     "broadcast\n",
					     "leave\n",
					     "enter\n" };
	size_t size = 0;

	if (below(3) == 0) {
		size = below(4) ? below(300) : below(SIZE);
		for (size_t i = 0; i < size; i++)
			bytes[i] = (char)peer_random(&state);
		return size;
	}
	for (uint32_t i = below(4) ? 1 : 1000; i; i--) {
		const char *word = ONE_OF(words);

		memcpy(bytes + size, word, strlen(word));
		size += strlen(word);
	}
	return size;
}

static void change_object(void)
{
	static const mode_t modes[] = { 0, 0200, 0600, 0622, 0666, 0666, 0666, 07777 };
	char path[PEER_PATH];

	object(path);
	switch (below(10)) {
	case 0:
		(void)rmdir(path);
		break;
	case 1:
		(void)chmod(path, modes[below(8)]);
		break;
	case 2:
		(void)!chown(path, FIRST_USER + below(USERS), (gid_t)-1);
		break;
	case 3:
		(void)setxattr(path, "system.posix_acl_access", bytes, below(100), 0);
		break;
	case 4:
		(void)utimensat(AT_FDCWD, path, NULL, 0);
		break;
	default:
		(void)mkdir(path, below(8) ? 0777 : 0600); /* without a umask: 0666 */
	}
}

static void look_up(void)
{
	char path[PEER_PATH];
	struct stat st;

	file(path);
	(void)stat(path, &st);
	(void)access(path, (int)below(8));
	(void)listxattr(path, bytes, below(SIZE));
	(void)!truncate(path, (off_t)below(10000));
}

static void open_one(void)
{
	static const int flags[] = { 0,	       O_NONBLOCK, O_NONBLOCK, O_TRUNC | O_NONBLOCK,
				     O_DIRECT, O_PATH,	   O_APPEND,   O_CREAT | O_NONBLOCK };
	char path[PEER_PATH];
	int *fd = &files[below(FILES)];

	if (*fd >= 0)
		close(*fd);
	*fd = open(file(path), (int)below(3) | flags[below(8)] | O_CLOEXEC, 0666);
}

/* One of the open files, if there are enough. */
static int any_open(void)
{
	for (int i = 0; i < 20; i++) {
		int fd = files[below(FILES)];

		if (fd >= 0)
			return fd;
	}
	return -1;
}

static void use_one(void)
{
	int fd = any_open();
	struct pollfd ready = { fd, (short)(POLLIN | POLLOUT), 0 };
	struct flock lock = { .l_type = (short)below(3), .l_len = (off_t)below(100) };
	void *memory;

	switch (below(9)) {
	case 0:
	case 1:
		(void)!write(fd, bytes, text());
		break;
	case 2:
	case 3:
		(void)!read(fd, bytes, below(3) ? SIZE : below(100));
		break;
	case 4:
		(void)poll(&ready, 1, (int)below(5));
		break;
	case 5:
		(void)fcntl(fd, F_SETLK, &lock);
		(void)flock(fd, (int)below(8) | LOCK_NB);
		break;
	case 6:
		memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (memory != MAP_FAILED)
			munmap(memory, SIZE);
		break;
	case 7:
		(void)!ftruncate(fd, (off_t)below(100000));
		(void)posix_fallocate(fd, (off_t)below(100000), 1 + (off_t)below(1000000));
		break;
	default:
		(void)lseek(fd, (off_t)below(100), (int)below(5));
		(void)fsync(fd);
	}
}

static void list(void)
{
	char path[PEER_PATH];
	DIR *dir = opendir(below(2) ? file(path) : object(path));

	if (!dir)
		return;
	for (uint32_t i = below(100); i && readdir(dir); i--)
		if (below(20) == 0)
			rewinddir(dir);
	closedir(dir);
}

static void act_directly(void)
{
	key_t key = (key_t)(0x30000000 + below(NAMES));
	struct sembuf step = { 0, (short)((int)below(5) - 2), IPC_NOWAIT };
	int id = msgget(key, (below(2) ? IPC_CREAT : 0) | 0666);
	struct msqid_ds queue;
	struct {
		long type;
		char text[100];
	} message = { 1 + below(3), "direct" };
	char name[32];

	(void)snprintf(name, sizeof(name), "/mix%u", below(NAMES));
	switch (below(7)) {
	case 0:
		(void)msgsnd(id, &message, below(100), IPC_NOWAIT);
		break;
	case 1:
		(void)!msgrcv(id, &message, 100, 0, IPC_NOWAIT | MSG_NOERROR);
		break;
	case 2:
		if (!msgctl(id, IPC_STAT, &queue)) {
			queue.msg_qbytes = below(2) ? 0 : 16384;
			(void)msgctl(id, IPC_SET, &queue);
		}
		break;
	case 3:
		(void)msgctl(id, IPC_RMID, NULL);
		break;
	case 4:
		(void)mq_unlink(name);
		break;
	case 5:
		(void)semop(semget(key, 1 + (int)below(20), IPC_CREAT | 0666), &step, 1);
		break;
	default:
		(void)shmctl(shmget(key, 1 + below(100000), IPC_CREAT | 0666), IPC_RMID, NULL);
	}
}

/* Puts something into /dev/shm that is no segment, no semaphore, or a damaged one. */
static void litter(void)
{
	char path[PEER_PATH];
	int fd;

	peer_path(path, "/dev/shm/%smix%u", below(2) ? "sem." : "", below(NAMES));
	switch (below(6)) {
	case 0:
		(void)mkfifo(path, 0666);
		break;
	case 1:
		(void)!symlink("/etc/passwd", path);
		break;
	case 2:
		(void)mkdir(path, 0777);
		break;
	case 3:
		(void)!truncate(path, (off_t)below(40));
		break;
	case 4:
		fd = open(path, O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0666);
		(void)!write(fd, bytes, below(64));
		close(fd);
		break;
	default:
		if (unlink(path))
			(void)rmdir(path);
	}
}

/* Sends a signal to a process of about this time: its own, or one that makes a queue for it. */
static void disturb(void)
{
	static const int signals[] = { SIGSTOP, SIGCONT, SIGALRM, SIGKILL };

	(void)kill(getpid() + 1 + (pid_t)below(20), signals[below(4)]);
}

/* A process that inherits all open files, uses one, and ends as it likes. */
static void branch(void)
{
	pid_t child = fork();

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(1);
		use_one();
		if (below(2))
			(void)raise(SIGKILL);
		_exit(0);
	}
	if (child > 0 && below(2))
		(void)kill(child, SIGKILL);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void interrupt(int signal)
{
	(void)signal; /* ends a call that waits */
}

__attribute__((noreturn)) static void be_hostile(uid_t uid)
{
	static void (*const acts[])(void) = {
		open_one,     open_one, open_one,      use_one,	      use_one, use_one,
		use_one,      use_one,	change_object, change_object, look_up, list,
		act_directly, litter,	branch,	       disturb,
	};
	struct sigaction action = { .sa_handler = interrupt };
	struct itimerval often = { { 0, 20000 }, { 0, 20000 } };

	if (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		peer_die("becoming %u", uid);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	umask(0);
	memset(files, -1, sizeof(files));
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	while (below(5000))
		acts[below(sizeof(acts) / sizeof(*acts))]();
	_exit(0);
}

static pid_t start(unsigned number)
{
	uint64_t seed = ((uint64_t)peer_random(&state) << 32) + peer_random(&state);
	pid_t pid = fork();

	if (pid < 0)
		peer_die("fork");
	if (pid == 0) {
		state = seed | 1;
		be_hostile(FIRST_USER + number % USERS);
	}
	return pid;
}

/* Ends all processes, also those whose parents have ended. */
static void end_all(void)
{
	char text[4096];

	while (peer_read_file("/proc/thread-self/children", text, sizeof(text)) > 0) {
		for (char *rest = text, *word; (word = strtok_r(rest, " ", &rest));)
			kill((pid_t)strtol(word, NULL, 10), SIGKILL);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		peer_sleep_ms(10);
	}
}

int main(int argc, char **argv)
{
	double end = peer_now() + (argc > 2 ? strtod(argv[2], NULL) : 0);
	pid_t processes[PROCESSES];
	unsigned started = 0;

	if (argc < 3)
		return 2;
	mount_point = argv[1];
	state = peer_seed(argv[3]);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		peer_die("prctl");
	while (started < PROCESSES) {
		processes[started] = start(started);
		started++;
	}
	while (peer_now() < end) {
		for (unsigned i = 0; i < PROCESSES; i++) {
			kill(processes[i], SIGCONT); /* others may have stopped it */
			if (waitpid(processes[i], NULL, WNOHANG) > 0) {
				processes[i] = start(i);
				started++;
			}
		}
		peer_sleep_ms(20);
	}
	end_all();
	printf("%u processes\n", started);
	return 0;
}
