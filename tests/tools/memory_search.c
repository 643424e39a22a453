/* SPDX-License-Identifier: MIT */
/*
 * memory_search PID...: searches the memory of these processes for the secret on standard input.
 *
 * Any 12 consecutive bytes of it count, at every 4th place: free(3) overwrites the start. Prints
 * every place. Exits 0: nowhere; 1: somewhere; 2: could not look.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE 12
#define STEP 4
#define SECRET_MAX 256
#define CHUNK (1024 * 1024)

static char secret[SECRET_MAX];
static size_t secret_size;
static char memory[CHUNK + SECRET_MAX];

__attribute__((noreturn)) static void fail(const char *what)
{
	perror(what);
	exit(2);
}

/* Returns the first piece in these bytes, or NULL. */
static const char *find_piece(const char *bytes, size_t size)
{
	for (size_t start = 0; start + PIECE <= secret_size; start += STEP) {
		const char *found = memmem(bytes, size, secret + start, PIECE);

		if (found)
			return found;
	}
	return NULL;
}

/* Pages that cannot be read (a guard page, a file that was cut) hold nothing. */
static bool search_range(int mem, uint64_t start, uint64_t end, const char *mapping)
{
	bool found = false;

	while (start < end && !found) {
		uint64_t left = end - start;
		size_t want = left < sizeof(memory) ? (size_t)left : sizeof(memory);
		ssize_t got = pread(mem, memory, want, (off_t)start);
		const char *place;

		if (got <= 0)
			break;
		place = find_piece(memory, (size_t)got);
		if (place) {
			printf("at %#jx: \"%.*s\" in %s",
			       (uintmax_t)(start + (size_t)(place - memory)), PIECE, place,
			       mapping);
			found = true;
		}
		/* Read some bytes again: a piece may lie across the boundary. */
		start += (size_t)got < want || want == left ? (size_t)got : CHUNK;
	}
	return found;
}

static bool search_process(const char *pid)
{
	char path[64], line[4096];
	bool found = false;
	unsigned ranges = 0;
	FILE *maps;
	int mem;

	(void)snprintf(path, sizeof(path), "/proc/%s/mem", pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	if (mem < 0)
		fail(path);
	(void)snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		fail(path);
	while (fgets(line, sizeof(line), maps)) {
		uintmax_t start, end;
		char readable;

		if (sscanf(line, "%jx-%jx %c", &start, &end, &readable) != 3)
			fail("maps");
		if (readable != 'r')
			continue;
		ranges++;
		found |= search_range(mem, start, end, line);
	}
	if (ferror(maps) || !ranges)
		fail("maps");
	fclose(maps);
	close(mem);
	return found;
}

int main(int argc, char **argv)
{
	bool found = false;

	secret_size = fread(secret, 1, sizeof(secret), stdin);
	while (secret_size && secret[secret_size - 1] == '\n')
		secret_size--;
	if (argc < 2 || secret_size < PIECE) {
		fputs("memory_search: no process, or too short a secret\n", stderr);
		return 2;
	}
	for (int i = 1; i < argc; i++)
		found |= search_process(argv[i]);
	return found;
}
