/* SPDX-License-Identifier: MIT */
/*
 * Makes the system calls on semaphores from the command line: the tests compare the mount with it.
 *
 *	semtool posix NAME make VALUE | get | wait | trywait | post | remove
 *	semtool sysv KEY|ID make COUNT | get N | pid N | ncnt N | zcnt N | set N VALUE
 *	semtool sysv KEY|ID all | remove
 *	semtool sysv KEY|ID op N:DELTA[u] ...	one semop(2); u: SEM_UNDO
 *
 * KEY is 0x..., ID decimal. Exits 1 and prints the error (EAGAIN: ...) when a call fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

__attribute__((noreturn)) static void fail(const char *call)
{
	fprintf(stderr, "%s: %s\n", call, strerrorname_np(errno));
	exit(1);
}

__attribute__((noreturn)) static void usage(void)
{
	fputs("semtool: bad arguments\n", stderr);
	exit(2);
}

static void posix_one(const char *name, const char *what, const char *value)
{
	char path[300];
	sem_t *semaphore;
	int number;

	snprintf(path, sizeof(path), "/%s", name);
	if (!strcmp(what, "remove")) {
		if (sem_unlink(path))
			fail("sem_unlink");
		return;
	}
	if (!strcmp(what, "make"))
		semaphore = sem_open(path, O_CREAT | O_EXCL, 0600, value ? atoi(value) : 1);
	else
		semaphore = sem_open(path, 0);
	if (semaphore == SEM_FAILED)
		fail("sem_open");
	if (!strcmp(what, "get")) {
		if (sem_getvalue(semaphore, &number))
			fail("sem_getvalue");
		printf("%d\n", number);
	} else if (!strcmp(what, "wait")      ? sem_wait(semaphore)
		   : !strcmp(what, "trywait") ? sem_trywait(semaphore)
		   : !strcmp(what, "post")    ? sem_post(semaphore)
					      : 0) {
		fail(what);
	}
}

static void operate(int id, int count, char **texts)
{
	struct sembuf ops[500];

	for (int i = 0; i < count; i++) {
		int number, delta;
		char undo = 0;

		if (sscanf(texts[i], "%d:%d%c", &number, &delta, &undo) < 2)
			usage();
		ops[i] = (struct sembuf){
			.sem_num = (unsigned short)number,
			.sem_op = (short)delta,
			.sem_flg = undo == 'u' ? SEM_UNDO : 0,
		};
	}
	if (semop(id, ops, (size_t)count))
		fail("semop");
}

static void show_all(int id)
{
	unsigned short values[32000];
	struct semid_ds ds;

	if (semctl(id, 0, IPC_STAT, (union semun){ .buf = &ds }))
		fail("IPC_STAT");
	if (semctl(id, 0, GETALL, (union semun){ .array = values }))
		fail("GETALL");
	for (unsigned long i = 0; i < ds.sem_nsems; i++)
		printf("%u%c", values[i], i + 1 < ds.sem_nsems ? ' ' : '\n');
}

static void sysv_set(const char *name, const char *what, int count, char **rest)
{
	int number = count > 0 ? atoi(rest[0]) : 0, result;
	int id;

	if (!strcmp(what, "make")) {
		if (semget((key_t)strtoul(name, NULL, 16), number, IPC_CREAT | IPC_EXCL | 0600) < 0)
			fail("semget");
		return;
	}
	id = strncmp(name, "0x", 2) ? atoi(name) : semget((key_t)strtoul(name, NULL, 16), 0, 0);
	if (id < 0)
		fail("semget");
	if (!strcmp(what, "op")) {
		operate(id, count, rest);
		return;
	}
	if (!strcmp(what, "all")) {
		show_all(id);
		return;
	}
	if (!strcmp(what, "remove"))
		result = semctl(id, 0, IPC_RMID);
	else if (!strcmp(what, "set") && count == 2)
		result = semctl(id, number, SETVAL, (union semun){ .val = atoi(rest[1]) });
	else if (!strcmp(what, "get"))
		result = semctl(id, number, GETVAL);
	else if (!strcmp(what, "pid"))
		result = semctl(id, number, GETPID);
	else if (!strcmp(what, "ncnt"))
		result = semctl(id, number, GETNCNT);
	else if (!strcmp(what, "zcnt"))
		result = semctl(id, number, GETZCNT);
	else
		usage();
	if (result < 0)
		fail(what);
	if (strcmp(what, "set") && strcmp(what, "remove"))
		printf("%d\n", result);
}

int main(int argc, char **argv)
{
	if (argc >= 4 && !strcmp(argv[1], "posix"))
		posix_one(argv[2], argv[3], argv[4]);
	else if (argc >= 4 && !strcmp(argv[1], "sysv"))
		sysv_set(argv[2], argv[3], argc - 4, argv + 4);
	else
		usage();
	return 0;
}
