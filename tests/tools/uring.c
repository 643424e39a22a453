/* SPDX-License-Identifier: MIT */
/*
 * uring CASE PATH: opens PATH for writing by io_uring(7), and prints "yes" or the error. A request
 * is always done by a worker thread. Run it as root.
 *
 *	open         by a caller as it is
 *	dropped      by a caller that has made the worker, and has since given up its capabilities
 *	personality  by an ordinary user, with the credentials of root, registered before
 *
 * uring write PATH TEXT opens PATH by open(2), and writes TEXT to it by io_uring.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define USER 1234

struct ring {
	int fd;
	uint16_t personality; /* 0: the caller's own credentials */
	struct io_uring_params params;
	char *submitted, *completed;
	struct io_uring_sqe *entries;
};

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static char *map(const struct ring *ring, size_t size, off_t offset)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd,
			    offset);

	if (memory == MAP_FAILED)
		die("mmap");
	return memory;
}

static void set_up(struct ring *ring)
{
	const struct io_uring_params *params = &ring->params;

	ring->fd = (int)syscall(SYS_io_uring_setup, 1, &ring->params);
	if (ring->fd < 0)
		die("io_uring_setup");
	ring->submitted = map(ring, params->sq_off.array + params->sq_entries * sizeof(uint32_t),
			      IORING_OFF_SQ_RING);
	ring->completed =
		map(ring, params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe),
		    IORING_OFF_CQ_RING);
	ring->entries = (struct io_uring_sqe *)map(
		ring, params->sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
}

/* Does one request by a worker, and returns its result. */
static int run(struct ring *ring, struct io_uring_sqe entry)
{
	_Atomic uint32_t *tail = (_Atomic uint32_t *)(ring->submitted + ring->params.sq_off.tail);
	_Atomic uint32_t *head = (_Atomic uint32_t *)(ring->completed + ring->params.cq_off.head);
	const struct io_uring_cqe *results =
		(const struct io_uring_cqe *)(ring->completed + ring->params.cq_off.cqes);
	int result;

	entry.flags |= IOSQE_ASYNC;
	entry.personality = ring->personality;
	ring->entries[0] = entry;
	((uint32_t *)(ring->submitted + ring->params.sq_off.array))[0] = 0;
	atomic_fetch_add(tail, 1);
	while (syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		if (errno != EINTR)
			die("io_uring_enter");
	result = results[*head % ring->params.cq_entries].res;
	atomic_fetch_add(head, 1);
	return result;
}

static int open_by(struct ring *ring, const char *path)
{
	return run(ring, (struct io_uring_sqe){ .opcode = IORING_OP_OPENAT,
						.fd = AT_FDCWD,
						.addr = (uintptr_t)path,
						.open_flags = O_WRONLY | O_NONBLOCK });
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capset, &header, none))
		die("capset");
}

int main(int argc, char **argv)
{
	struct ring ring = { 0 };
	int result;

	if (argc < 3)
		return 2;
	set_up(&ring);
	/* The worker lives on for some seconds, with the credentials of now. */
	if (open_by(&ring, "/dev/null") < 0)
		return 2;
	if (strcmp(argv[1], "dropped") == 0) {
		drop_capabilities();
	} else if (strcmp(argv[1], "personality") == 0) {
		result = (int)syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_PERSONALITY,
				      NULL, 0);
		if (result <= 0)
			die("IORING_REGISTER_PERSONALITY");
		ring.personality = (uint16_t)result;
		if (setresgid(USER, USER, USER) || setresuid(USER, USER, USER))
			die("setresuid");
	}
	if (strcmp(argv[1], "write") == 0 && argc == 4) {
		result = open(argv[2], O_WRONLY);
		if (result < 0)
			die(argv[2]);
		result = run(&ring, (struct io_uring_sqe){ .opcode = IORING_OP_WRITE,
							   .fd = result,
							   .addr = (uintptr_t)argv[3],
							   .len = (uint32_t)strlen(argv[3]) });
	} else {
		result = open_by(&ring, argv[2]);
	}
	printf("%s\n", result < 0 ? strerrorname_np(-result) : "yes");
	return 0;
}
