/* SPDX-License-Identifier: MIT */
/*
 * Checks that the mount shows of segments what the direct calls say, and that looking changes
 * nothing.
 *
 *	segments MOUNT [COUNT [SEED]]
 *
 * Makes COUNT random segments of both families with direct calls, some of them attached, locked, or
 * removed while attached. Compares what is listed and every value of `status` with shmctl, fstat,
 * ipcs and lsipc. Then makes random changes on one side and looks for them on the other.
 */
#include <dirent.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include "peer.h"

#define IDS 65000 /* a user namespace maps at most 65536 */

struct segment {
	bool posix, gone;
	int id; /* System V */
	void *at;
	char name[32], dir[PEER_PATH];
};

static struct segment *segments;
static size_t count; /* of all; the first half is POSIX */
static const char *mount;
static uint64_t rng;

static uint32_t below(uint32_t limit)
{
	return peer_random(&rng) % limit;
}

static char *shm_path(const struct segment *segment, char path[PEER_PATH])
{
	peer_path(path, "/dev/shm/%s", segment->name);
	return path;
}

static void name_it(struct segment *segment)
{
	struct shmid_ds ds;

	if (!segment->posix) {
		if (shmctl(segment->id, IPC_STAT, &ds))
			peer_die("IPC_STAT");
		if (ds.shm_perm.__key)
			snprintf(segment->name, sizeof(segment->name), "0x%08x",
				 (unsigned)ds.shm_perm.__key);
		else
			snprintf(segment->name, sizeof(segment->name), "%d", segment->id);
	}
	peer_path(segment->dir, "%s/%s/shm/%s", mount, segment->posix ? "posix" : "sysv",
		  segment->name);
}

static void change_direct(struct segment *segment)
{
	char path[PEER_PATH];
	struct shmid_ds ds;

	if (segment->posix) {
		shm_path(segment, path);
		if (truncate(path, below(1 << 20)) || chmod(path, below(01000)) ||
		    chown(path, below(IDS), below(IDS)))
			peer_die("%s", path);
		return;
	}
	if (!segment->at && below(2)) {
		segment->at = shmat(segment->id, NULL, 0);
		if (segment->at == (void *)-1)
			peer_die("shmat");
		*(volatile char *)segment->at = 1;
	} else if (segment->at && below(3) == 0) {
		shmdt(segment->at);
		segment->at = NULL;
		segment->gone = shmctl(segment->id, IPC_STAT, &ds) != 0; /* dest */
		if (segment->gone)
			return;
	}
	if (shmctl(segment->id, IPC_STAT, &ds))
		peer_die("IPC_STAT");
	ds.shm_perm.mode = below(01000);
	ds.shm_perm.uid = below(IDS);
	ds.shm_perm.gid = below(IDS);
	if (shmctl(segment->id, IPC_SET, &ds))
		peer_die("IPC_SET");
	/* root of a user namespace may lock RLIMIT_MEMLOCK bytes */
	if (below(4) == 0 && shmctl(segment->id, below(2) ? SHM_LOCK : SHM_UNLOCK, NULL) &&
	    errno != ENOMEM)
		peer_die("SHM_LOCK");
	if (segment->at && below(4) == 0) {
		shmctl(segment->id, IPC_RMID, NULL);
		name_it(segment);
	}
}

static void make_direct(struct segment *segment)
{
	static unsigned numbers;
	int fd;

	segment->gone = false;
	segment->at = NULL;
	if (segment->posix) {
		snprintf(segment->name, sizeof(segment->name), "segment %u", numbers++);
		fd = shm_open(segment->name, O_CREAT | O_EXCL | O_RDWR, 0600);
		if (fd < 0)
			peer_die("shm_open");
		close(fd);
	} else {
		segment->id = shmget(below(3) ? (key_t)(0x1000 + numbers++) : IPC_PRIVATE,
				     1 + below(1 << 20), IPC_CREAT | IPC_EXCL | 0600);
		if (segment->id < 0)
			peer_die("shmget");
	}
	name_it(segment);
	change_direct(segment);
}

static void remove_direct(struct segment *segment)
{
	char path[PEER_PATH];

	if (segment->posix) {
		if (unlink(shm_path(segment, path)))
			peer_die("%s", path);
	} else {
		shmctl(segment->id, IPC_RMID, NULL);
		if (segment->at)
			shmdt(segment->at);
	}
	segment->gone = true;
}

static void check_number(const struct segment *segment, const char *text, const char *key,
			 long long direct)
{
	long long shown = peer_number(text, key, -2);

	CHECK(shown == direct, "%s/status: %s is %lld, directly %lld", segment->dir, key, shown,
	      direct);
}

static void check_word(const struct segment *segment, const char *text, const char *key,
		       const char *direct)
{
	char shown[64];

	CHECK(peer_value(text, key, shown, sizeof(shown)) && !strcmp(shown, direct),
	      "%s/status: %s is not %s", segment->dir, key, direct);
}

static void check_stat(const struct segment *segment, mode_t mode, uid_t uid, gid_t gid,
		       uint64_t size)
{
	char path[PEER_PATH];
	struct stat st;

	if (!CHECK(!lstat(segment->dir, &st), "%s: %s", segment->dir, strerror(errno)))
		return;
	CHECK(st.st_mode == (S_IFDIR | (mode & 0666) | 0111 | peer_sticky(mode)),
	      "%s: mode is %o, directly %o", segment->dir, st.st_mode, mode);
	CHECK(st.st_uid == uid && st.st_gid == gid, "%s: owner is %u:%u", segment->dir, st.st_uid,
	      st.st_gid);
	CHECK((uint64_t)st.st_size == size, "%s: size is %lld", segment->dir,
	      (long long)st.st_size);
	if (!CHECK(!lstat(peer_path(path, "%s/data", segment->dir), &st), "%s: %s", path,
		   strerror(errno)))
		return;
	CHECK(st.st_mode == (S_IFREG | (mode & 0666)) && (uint64_t)st.st_size == size,
	      "%s: mode %o, size %lld", path, st.st_mode, (long long)st.st_size);
}

static void compare_posix(const struct segment *segment, const char *text)
{
	char path[PEER_PATH];
	struct stat st;

	if (stat(shm_path(segment, path), &st))
		peer_die("%s", path);
	check_stat(segment, st.st_mode, st.st_uid, st.st_gid, (uint64_t)st.st_size);
	check_number(segment, text, "inode", (long long)st.st_ino);
	check_number(segment, text, "uid", st.st_uid);
	check_number(segment, text, "gid", st.st_gid);
	check_number(segment, text, "mode", st.st_mode & 0777);
	check_number(segment, text, "size", st.st_size);
	check_number(segment, text, "allocated", st.st_blocks * 512);
	check_number(segment, text, "change_time", st.st_ctime);
	check_number(segment, text, "modify_time", st.st_mtime);
}

static void compare_sysv(const struct segment *segment, const char *text,
			 const struct shmid_ds *before)
{
	struct shmid_ds ds;
	char number[64];

	if (shmctl(segment->id, IPC_STAT, &ds))
		peer_die("IPC_STAT");
	CHECK(!memcmp(&ds, before, sizeof(ds)), "%s: looking has changed it", segment->dir);
	check_stat(segment, ds.shm_perm.mode, ds.shm_perm.uid, ds.shm_perm.gid, ds.shm_segsz);
	snprintf(number, sizeof(number), "0x%08x", (unsigned)ds.shm_perm.__key);
	check_word(segment, text, "key", number);
	check_number(segment, text, "id", segment->id);
	check_number(segment, text, "uid", ds.shm_perm.uid);
	check_number(segment, text, "gid", ds.shm_perm.gid);
	check_number(segment, text, "cuid", ds.shm_perm.cuid);
	check_number(segment, text, "cgid", ds.shm_perm.cgid);
	check_number(segment, text, "mode", ds.shm_perm.mode & 0777);
	check_number(segment, text, "size", (long long)ds.shm_segsz);
	check_number(segment, text, "nattch", (long long)ds.shm_nattch);
	check_number(segment, text, "creator_pid", ds.shm_cpid);
	check_number(segment, text, "last_pid", ds.shm_lpid);
	check_number(segment, text, "attach_time", ds.shm_atime);
	check_number(segment, text, "detach_time", ds.shm_dtime);
	check_number(segment, text, "change_time", ds.shm_ctime);
	check_word(segment, text, "locked", ds.shm_perm.mode & SHM_LOCKED ? "yes" : "no");
	check_word(segment, text, "dest", ds.shm_perm.mode & SHM_DEST ? "yes" : "no");
	check_word(segment, text, "stale", "no"); /* this process made it, and is alive */
}

static void compare(const struct segment *segment)
{
	char path[PEER_PATH], text[4096];
	struct shmid_ds before = { 0 };
	ssize_t got;

	if (!segment->posix && shmctl(segment->id, IPC_STAT, &before))
		peer_die("IPC_STAT");
	got = peer_read_file(peer_path(path, "%s/status", segment->dir), text, sizeof(text));
	if (!CHECK(got > 0, "%s: %s", path, strerror((int)-got)))
		return;
	if (segment->posix)
		compare_posix(segment, text);
	else
		compare_sysv(segment, text, &before);
}

static size_t known(bool posix)
{
	size_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += segments[i].posix == posix && !segments[i].gone;
	return sum;
}

static void compare_listing(bool posix)
{
	char path[PEER_PATH];
	size_t listed = 0, found = 0;
	struct dirent *entry;
	DIR *dir = opendir(peer_path(path, "%s/%s/shm", mount, posix ? "posix" : "sysv"));

	if (!CHECK(dir != NULL, "%s: %s", path, strerror(errno)))
		return;
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		listed++;
		for (size_t i = 0; i < count; i++)
			found += segments[i].posix == posix && !segments[i].gone &&
				 !strcmp(segments[i].name, entry->d_name);
	}
	closedir(dir);
	CHECK(listed == known(posix) && found == listed, "%s: %zu entries, %zu known, %zu segments",
	      path, listed, found, known(posix));
}

static long long shown_value(int id, const char *field)
{
	char path[PEER_PATH], text[4096];

	if (peer_read_file(peer_path(path, "%s/sysv/by-id/shm/%d/status", mount, id), text,
			   sizeof(text)) < 0)
		return -3;
	return peer_number(text, field, -2);
}

/* Parses a table of text: the named columns, the id among them, one object a line. */
static void compare_table(const char *command, const char *const *names, size_t columns)
{
	FILE *pipe = popen(command, "r");
	size_t rows = 0;
	char line[1024];

	if (!pipe)
		peer_die("%s", command);
	while (fgets(line, sizeof(line), pipe)) {
		char *rest = line, *word, words[16][64];
		size_t n = 0;
		int id = -1;

		while ((word = strsep(&rest, " \n")) && n < 16)
			if (*word)
				snprintf(words[n++], sizeof(words[0]), "%s", word);
		if (n < columns || strspn(words[0], "0123456789abcdefx") != strlen(words[0]))
			continue;
		for (size_t i = 0; i < columns; i++)
			if (!strcmp(names[i], "id"))
				id = atoi(words[i]);
		rows++;
		for (size_t i = 0; i < columns; i++) {
			int base = !strcmp(names[i], "mode") ? 8 : 0;

			if (*names[i])
				CHECK(shown_value(id, names[i]) == strtoll(words[i], NULL, base),
				      "segment %d: %s is %lld; %s: %s", id, names[i],
				      shown_value(id, names[i]), command, words[i]);
		}
	}
	pclose(pipe);
	CHECK(rows == known(false), "%s: %zu rows", command, rows);
}

static void compare_all(void)
{
	static const char *const ipcs[] = { "key", "id", "", "mode", "size", "nattch" };
	static const char *const pids[] = { "id", "", "creator_pid", "last_pid" };
	static const char *const lsipc[] = { "key",  "id",   "uid",    "gid",	      "cuid",
					     "cgid", "size", "nattch", "creator_pid", "last_pid" };
	char command[PEER_PATH];

	if (system(peer_path(command, "ls -lR %s >/dev/null", mount)))
		peer_fail("ls -lR");
	compare_listing(true);
	compare_listing(false);
	peer_sleep_ms(100); /* a listing may be 50 ms old */
	for (size_t i = 0; i < count; i++)
		if (!segments[i].gone)
			compare(&segments[i]);
	compare_table("ipcs -m", ipcs, 6);
	compare_table("ipcs -m -p", pids, 4);
	compare_table(
		"lsipc -m -r -b --noheadings -o KEY,ID,UID,GID,CUID,CGID,SIZE,NATTCH,CPID,LPID",
		lsipc, 10);
}

static void change_through_mount(struct segment *segment)
{
	mode_t mode = below(07777 + 1);
	uid_t uid = below(IDS);
	gid_t gid = below(IDS);
	char path[PEER_PATH];
	struct stat st;

	peer_path(path, "%s%s", segment->dir, below(2) ? "/data" : "");
	CHECK(!chmod(path, mode), "chmod %o %s: %s", mode, path, strerror(errno));
	CHECK(!chown(path, uid, gid), "chown %s: %s", path, strerror(errno));
	if (CHECK(!lstat(path, &st), "%s: %s", path, strerror(errno)))
		CHECK((st.st_mode & 0666) == (mode & 0666) && st.st_uid == uid && st.st_gid == gid,
		      "%s: mode %o, owner %u:%u after a change", path, st.st_mode, st.st_uid,
		      st.st_gid);
}

static void remove_through_mount(struct segment *segment)
{
	struct stat st;

	if (!CHECK(!rmdir(segment->dir), "rmdir %s: %s", segment->dir, strerror(errno)))
		return;
	if (segment->at) {
		name_it(segment); /* it lives on without its key */
		CHECK(!lstat(segment->dir, &st), "%s: %s", segment->dir, strerror(errno));
		return;
	}
	CHECK(lstat(segment->dir, &st) && errno == ENOENT, "%s is still shown", segment->dir);
	segment->gone = true;
}

static void change_random(void)
{
	struct segment *segment = &segments[below((uint32_t)count)];

	if (segment->gone)
		make_direct(segment);
	switch (below(5)) {
	case 0:
	case 1:
		change_through_mount(segment);
		break;
	case 2:
		change_direct(segment);
		break;
	case 3:
		remove_through_mount(segment);
		break;
	case 4:
		remove_direct(segment);
		break;
	}
	if (!segment->gone)
		compare(segment);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s MOUNT [COUNT [SEED]]\n", argv[0]);
		return 2;
	}
	mount = argv[1];
	count = 2 * (argc > 2 ? strtoul(argv[2], NULL, 10) : 100);
	rng = peer_seed(argc > 3 ? argv[3] : NULL);
	segments = calloc(count, sizeof(*segments));
	if (!segments)
		peer_die("calloc");
	for (size_t i = 0; i < count; i++) {
		segments[i].posix = i < count / 2;
		make_direct(&segments[i]);
	}
	compare_all();
	for (size_t i = 0; i < 3 * count; i++)
		change_random();
	compare_all();
	for (size_t i = 0; i < count; i++)
		if (!segments[i].gone)
			remove_direct(&segments[i]);
	compare_listing(true);
	compare_listing(false);
	return peer_result("segments");
}
