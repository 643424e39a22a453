/* SPDX-License-Identifier: MIT */
/*
 * Makes the system calls on queues from the command line: the tests compare the mount with it.
 *
 *	mqtool posix NAME make [MODE [MAXMSG MSGSIZE]] | remove | count | mode
 *	mqtool sysv KEY|ID make [MODE] | remove | count | mode [MODE] | qbytes BYTES
 *	mqtool FAMILY QUEUE send TYPE [TEXT]	the text is standard input unless given
 *	mqtool FAMILY QUEUE receive [TYPE]	prints the text; System V: msgrcv's type
 *	mqtool FAMILY QUEUE tagged [TYPE]	prints TYPE, a tab, the text and a newline
 *
 * KEY is 0x..., ID decimal. "private" makes a queue without a key and prints its id. With -n as the
 * first argument nothing waits. Exits 1 and prints the error (EAGAIN: ...) when a call fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/stat.h>
#include <unistd.h>

#define CAPACITY (1 << 20)

struct message {
	long type;
	char text[CAPACITY];
};

static struct message message;
static bool nonblock;

__attribute__((noreturn)) static void fail(const char *call)
{
	fprintf(stderr, "%s: %s\n", call, strerrorname_np(errno));
	exit(1);
}

__attribute__((noreturn)) static void usage(void)
{
	fputs("mqtool: bad arguments\n", stderr);
	exit(2);
}

static size_t load_text(const char *text)
{
	size_t size = 0;
	ssize_t got;

	if (text) {
		size = strnlen(text, CAPACITY);
		memcpy(message.text, text, size);
		return size;
	}
	while ((got = read(STDIN_FILENO, message.text + size, CAPACITY - size)) > 0)
		size += (size_t)got;
	if (got < 0)
		fail("read");
	return size;
}

static void show(const char *verb, size_t size)
{
	if (!strcmp(verb, "tagged"))
		printf("%ld\t", message.type);
	fwrite(message.text, 1, size, stdout);
	if (!strcmp(verb, "tagged"))
		putchar('\n');
}

static mode_t mode_of(int argc, char **argv, int index)
{
	return index < argc ? (mode_t)strtoul(argv[index], NULL, 8) : 0600;
}

static mqd_t open_posix(const char *name, int flags)
{
	mqd_t queue = mq_open(name, flags | (nonblock ? O_NONBLOCK : 0));

	if (queue < 0)
		fail("mq_open");
	return queue;
}

static void make_posix(const char *name, int argc, char **argv)
{
	struct mq_attr attr = { .mq_maxmsg = 10, .mq_msgsize = 8192 };

	if (argc > 5) {
		attr.mq_maxmsg = strtol(argv[4], NULL, 10);
		attr.mq_msgsize = strtol(argv[5], NULL, 10);
	}
	umask(0);
	if (mq_open(name, O_RDWR | O_CREAT | O_EXCL, mode_of(argc, argv, 3), &attr) < 0)
		fail("mq_open");
}

static void posix(int argc, char **argv)
{
	const char *verb = argv[2];
	char name[300];
	struct mq_attr attr;
	struct stat st;
	unsigned priority;
	ssize_t got;

	snprintf(name, sizeof(name), "/%s", argv[1]);
	if (!strcmp(verb, "make")) {
		make_posix(name, argc, argv);
	} else if (!strcmp(verb, "remove")) {
		if (mq_unlink(name))
			fail("mq_unlink");
	} else if (!strcmp(verb, "send") && argc > 3) {
		size_t size = load_text(argc > 4 ? argv[4] : NULL);

		if (mq_send(open_posix(name, O_WRONLY), message.text, size,
			    (unsigned)strtoul(argv[3], NULL, 10)))
			fail("mq_send");
	} else if (!strcmp(verb, "receive") || !strcmp(verb, "tagged")) {
		got = mq_receive(open_posix(name, O_RDONLY), message.text, CAPACITY, &priority);
		if (got < 0)
			fail("mq_receive");
		message.type = (long)priority;
		show(verb, (size_t)got);
	} else if (!strcmp(verb, "count")) {
		if (mq_getattr(open_posix(name, O_RDONLY), &attr))
			fail("mq_getattr");
		printf("%ld\n", attr.mq_curmsgs);
	} else if (!strcmp(verb, "mode")) {
		if (fstat(open_posix(name, O_RDONLY), &st))
			fail("fstat");
		printf("%04o %u %u\n", st.st_mode & 07777, st.st_uid, st.st_gid);
	} else {
		usage();
	}
}

static int find_sysv(const char *name)
{
	int id;

	if (strncmp(name, "0x", 2))
		return (int)strtol(name, NULL, 10);
	id = msgget((key_t)strtoul(name, NULL, 16), 0);
	if (id < 0)
		fail("msgget");
	return id;
}

static void sysv(int argc, char **argv)
{
	const char *verb = argv[2];
	int id, wait = nonblock ? IPC_NOWAIT : 0;
	struct msqid_ds ds;
	ssize_t got;

	if (!strcmp(verb, "make")) {
		key_t key = (key_t)strtoul(argv[1], NULL, 16);

		if (!strcmp(argv[1], "private"))
			key = IPC_PRIVATE;
		id = msgget(key, IPC_CREAT | IPC_EXCL | (int)mode_of(argc, argv, 3));
		if (id < 0)
			fail("msgget");
		printf("%d\n", id);
		return;
	}
	id = find_sysv(argv[1]);
	if (!strcmp(verb, "remove")) {
		if (msgctl(id, IPC_RMID, NULL))
			fail("msgctl");
	} else if (!strcmp(verb, "send") && argc > 3) {
		size_t size = load_text(argc > 4 ? argv[4] : NULL);

		message.type = strtol(argv[3], NULL, 10);
		if (msgsnd(id, &message, size, wait))
			fail("msgsnd");
	} else if (!strcmp(verb, "receive") || !strcmp(verb, "tagged")) {
		got = msgrcv(id, &message, CAPACITY, argc > 3 ? strtol(argv[3], NULL, 10) : 0,
			     wait);
		if (got < 0)
			fail("msgrcv");
		show(verb, (size_t)got);
	} else {
		if (msgctl(id, IPC_STAT, &ds))
			fail("msgctl");
		if (!strcmp(verb, "count")) {
			printf("%lu\n", (unsigned long)ds.msg_qnum);
		} else if (!strcmp(verb, "mode") && argc > 3) {
			ds.msg_perm.mode = mode_of(argc, argv, 3);
			if (msgctl(id, IPC_SET, &ds))
				fail("msgctl");
		} else if (!strcmp(verb, "mode")) {
			printf("%04o %u %u %u %u\n", ds.msg_perm.mode & 0777U, ds.msg_perm.uid,
			       ds.msg_perm.gid, ds.msg_perm.cuid, ds.msg_perm.cgid);
		} else if (!strcmp(verb, "qbytes") && argc > 3) {
			ds.msg_qbytes = strtoul(argv[3], NULL, 10);
			if (msgctl(id, IPC_SET, &ds))
				fail("msgctl");
		} else {
			usage();
		}
	}
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "-n")) {
		nonblock = true;
		argc--;
		argv++;
	}
	argc--;
	argv++;
	if (argc < 3)
		usage();
	if (!strcmp(argv[0], "posix"))
		posix(argc, argv);
	else if (!strcmp(argv[0], "sysv"))
		sysv(argc, argv);
	else
		usage();
	return fflush(stdout) ? 1 : 0;
}
