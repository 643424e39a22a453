/* SPDX-License-Identifier: MIT */
/*
 * Checks that the data file of a segment is its memory, at once and in both directions.
 *
 *	coherence MOUNT [ROUNDS [SEED]]
 *
 * For both families: one side has the memory mapped by the direct calls, the other uses `data`:
 * read(2) and write(2) at random places, and, where the kernel allows it, mmap(2) with atomics from
 * two processes. (With IPCFS_TEST_PASSTHROUGH=1 mmap must work; with 0 it must be ENODEV.) Also:
 * nothing changes the size of a System V segment.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "peer.h"

#define SIZE (1 << 20)
#define BLOCK_MAX 70000

struct shared {
	_Atomic unsigned turn;
	_Atomic unsigned sum;
	_Atomic unsigned other;
};

static const char *mount;
static uint64_t rng;
static unsigned rounds;

struct segment {
	bool posix;
	char dir[PEER_PATH], data[PEER_PATH];
	int id; /* System V */
	char *direct;
};

static void make(struct segment *segment, bool posix, size_t size)
{
	int fd;

	segment->posix = posix;
	if (posix) {
		fd = shm_open("/coherent", O_CREAT | O_EXCL | O_RDWR, 0600);
		if (fd < 0 || ftruncate(fd, (off_t)size))
			peer_die("shm_open");
		segment->direct = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (segment->direct == MAP_FAILED)
			peer_die("mmap");
		close(fd);
		peer_path(segment->dir, "%s/posix/shm/coherent", mount);
	} else {
		segment->id = shmget(0x5151, size, IPC_CREAT | IPC_EXCL | 0600);
		segment->direct = shmat(segment->id, NULL, 0);
		if (segment->direct == (void *)-1)
			peer_die("shmat");
		peer_path(segment->dir, "%s/sysv/shm/0x00005151", mount);
	}
	peer_path(segment->data, "%s/data", segment->dir);
}

static void end(struct segment *segment, size_t size)
{
	if (segment->posix) {
		munmap(segment->direct, size);
		shm_unlink("/coherent");
	} else {
		shmdt(segment->direct);
		shmctl(segment->id, IPC_RMID, NULL);
	}
}

/* Each side reads what the other side writes. */
static void exchange(const struct segment *segment, int fd)
{
	static unsigned char block[BLOCK_MAX];

	for (unsigned round = 0; round < rounds; round++) {
		size_t at = peer_random(&rng) % SIZE, size = peer_random(&rng) % BLOCK_MAX;
		unsigned char mark = (unsigned char)peer_random(&rng);

		if (size > SIZE - at)
			size = SIZE - at;
		if (round % 2) {
			memset(segment->direct + at, mark, size);
			memset(block, ~mark, size);
			if (!CHECK(pread(fd, block, size, (off_t)at) == (ssize_t)size,
				   "%s: reading %zu at %zu: %s", segment->data, size, at,
				   strerror(errno)))
				return;
			for (size_t i = 0; i < size; i++)
				if (!CHECK(block[i] == mark, "%s: %zu of %zu bytes at %zu are new",
					   segment->data, i, size, at))
					return;
		} else {
			memset(block, mark, size);
			if (!CHECK(pwrite(fd, block, size, (off_t)at) == (ssize_t)size,
				   "%s: writing %zu at %zu: %s", segment->data, size, at,
				   strerror(errno)))
				return;
			CHECK(!memcmp(segment->direct + at, block, size),
			      "%s: %zu bytes at %zu are not all there", segment->data, size, at);
		}
	}
}

/* Two processes, one with the direct mapping and one with the mount's: by turns, and at once. */
static void take_turns(struct shared *shared, unsigned mine, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		double late = peer_now() + 30 * peer_slow();

		while (atomic_load(&shared->turn) % 2 != mine)
			if (peer_now() > late)
				_exit(3);
		atomic_fetch_add(&shared->turn, 1);
	}
	for (unsigned i = 0; i < 100 * times; i++)
		atomic_fetch_add(&shared->sum, 1);
}

static void with_atomics(const struct segment *segment, int fd)
{
	const char *expected = getenv("IPCFS_TEST_PASSTHROUGH");
	struct shared *direct = (struct shared *)(void *)segment->direct, *mapped;
	int result = -1;
	pid_t child;

	mapped = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapped == MAP_FAILED) {
		CHECK(errno == ENODEV, "%s: mmap: %s", segment->data, strerror(errno));
		CHECK(!expected || *expected == '0', "%s: mmap is refused", segment->data);
		return;
	}
	CHECK(!expected || *expected == '1', "%s: mmap is not refused", segment->data);
	memset(direct, 0, sizeof(*direct));
	child = fork();
	if (!child) {
		take_turns(mapped, 1, rounds);
		_exit(0);
	}
	take_turns(direct, 0, rounds);
	if (waitpid(child, &result, 0) < 0 || result)
		peer_fail("%s: the other process ended with %x", segment->data, (unsigned)result);
	CHECK(atomic_load(&mapped->turn) == 2 * rounds, "%s: %u turns", segment->data,
	      atomic_load(&mapped->turn));
	CHECK(atomic_load(&direct->sum) == 200 * rounds, "%s: sum %u", segment->data,
	      atomic_load(&direct->sum));
	/* The mapping shows what read(2) shows. */
	atomic_store(&mapped->other, 0x12345678);
	result = 0;
	CHECK(pread(fd, &result, sizeof(result), offsetof(struct shared, other)) ==
			      sizeof(result) &&
		      result == 0x12345678,
	      "%s: read %x", segment->data, (unsigned)result);
	munmap(mapped, SIZE);
}

/* Two writers, each with every other block: no byte of either is lost. */
static void two_writers(const struct segment *segment)
{
	pid_t children[2];
	int result;

	for (int writer = 0; writer < 2; writer++) {
		children[writer] = fork();
		if (!children[writer]) {
			int fd = open(segment->data, O_WRONLY | O_CLOEXEC);
			char block[1000];

			memset(block, 'A' + writer, sizeof(block));
			for (int i = writer; i < 1000; i += 2)
				if (pwrite(fd, block, sizeof(block), i * 1000) != sizeof(block))
					_exit(1);
			_exit(0);
		}
	}
	for (int writer = 0; writer < 2; writer++)
		CHECK(waitpid(children[writer], &result, 0) > 0 && !result, "%s: writer %d",
		      segment->data, writer);
	for (int i = 0; i < 1000 * 1000; i++)
		if (!CHECK(segment->direct[i] == 'A' + i / 1000 % 2, "%s: byte %d is %c",
			   segment->data, i, segment->direct[i]))
			return;
}

/* Is the segment's own file as long as before? Only a privileged process can see it. */
static void check_file(const struct segment *segment, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t mapped = (size + page - 1) & ~(page - 1);
	char path[PEER_PATH];
	struct stat st;

	peer_path(path, "/proc/self/map_files/%jx-%jx", (uintmax_t)segment->direct,
		  (uintmax_t)segment->direct + mapped);
	if (stat(path, &st))
		CHECK(errno == EPERM, "%s: %s", path, strerror(errno));
	else
		CHECK(st.st_size == (off_t)size, "its file has %lld bytes", (long long)st.st_size);
}

static void fixed_size(size_t size)
{
	struct segment segment;
	struct stat st;
	char bytes[100] = { 'x' };
	int fd;

	make(&segment, false, size);
	fd = open(segment.data, O_RDWR | O_TRUNC | O_CLOEXEC);
	if (!CHECK(fd >= 0, "%s: %s", segment.data, strerror(errno))) {
		end(&segment, size);
		return;
	}
	CHECK(ftruncate(fd, 0) && errno == EPERM, "ftruncate to 0: %s", strerror(errno));
	CHECK(ftruncate(fd, (off_t)size + 1) && errno == EPERM, "ftruncate: %s", strerror(errno));
	CHECK(!ftruncate(fd, (off_t)size), "ftruncate to its size: %s", strerror(errno));
	CHECK(truncate(segment.data, 0) && errno == EPERM, "truncate to 0: %s", strerror(errno));
	CHECK(truncate(segment.data, 1 << 24) && errno == EPERM, "truncate: %s", strerror(errno));
	CHECK(!truncate(segment.data, (off_t)size), "truncate to its size: %s", strerror(errno));
	CHECK(fallocate(fd, 0, 0, 1 << 24), "fallocate makes it longer");
	CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1), "it gets a hole");
	CHECK(pwrite(fd, bytes, 100, (off_t)size) < 0 && errno == ENOSPC,
	      "a write past the end: %s", strerror(errno));
	CHECK(pwrite(fd, bytes, 100, (off_t)1 << 40) < 0 && errno == ENOSPC, "far past it: %s",
	      strerror(errno));
	CHECK(pwrite(fd, bytes, 100, (off_t)size - 1) == 1, "a write over the end");
	CHECK(pread(fd, bytes, 100, (off_t)size - 1) == 1, "a read over the end");
	CHECK(pread(fd, bytes, 100, (off_t)size) == 0, "a read past the end");
	CHECK(!fstat(fd, &st) && st.st_size == (off_t)size, "its size is %lld",
	      (long long)st.st_size);
	CHECK(lseek(fd, 0, SEEK_END) == (off_t)size, "its end is at %lld",
	      (long long)lseek(fd, 0, SEEK_END));
	check_file(&segment, size);
	memset(segment.direct, 1, size);
	close(fd);
	end(&segment, size);
}

static void one_kind(bool posix)
{
	struct segment segment;
	int fd;

	make(&segment, posix, SIZE);
	fd = open(segment.data, O_RDWR | O_CLOEXEC);
	if (CHECK(fd >= 0, "%s: %s", segment.data, strerror(errno))) {
		exchange(&segment, fd);
		with_atomics(&segment, fd);
		exchange(&segment, fd);
		two_writers(&segment);
		close(fd);
	}
	end(&segment, SIZE);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s MOUNT [ROUNDS [SEED]]\n", argv[0]);
		return 2;
	}
	mount = argv[1];
	rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 500;
	rng = peer_seed(argc > 3 ? argv[3] : NULL);
	one_kind(true);
	one_kind(false);
	fixed_size(1);
	fixed_size(5000);
	fixed_size(65536);
	return peer_result("coherence");
}
