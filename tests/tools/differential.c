/* SPDX-License-Identifier: MIT */
/*
 * Checks that the mount shows what the direct calls say.
 *
 *	differential MOUNT [COUNT [SEED]]
 *
 * Makes COUNT random queues of both families with direct calls. Compares every listed value and
 * every value of `status` with msgctl, mq_getattr, the text of the queue's own file, ipcs and
 * lsipc. Then makes random changes on one side and looks for them on the other.
 */
#include <dirent.h>

#include "direct.h"

static struct queue *queues;
static size_t count; /* of all queues; the first half is POSIX */

/* The mount against the direct calls. */

/*
 * Reading the text of a POSIX queue, as the daemon does for the bytes queued, sets its ctime. So
 * the shown ctime lies between the one before and the one after.
 */
static void compare_time(const struct queue *queue, const char *what, struct timespec before,
			 struct timespec shown, struct timespec after)
{
	CHECK(shown.tv_sec >= before.tv_sec && shown.tv_sec <= after.tv_sec,
	      "%s: %s is %lld, directly %lld before and %lld after", queue->dir, what,
	      (long long)shown.tv_sec, (long long)before.tv_sec, (long long)after.tv_sec);
}

static void compare(const struct queue *queue)
{
	char path[PEER_PATH], text[4096];
	struct facts before, facts;
	struct stat st;
	ssize_t got;

	get_facts(queue, &before);
	if (!CHECK(!lstat(queue->dir, &st), "%s: %s", queue->dir, strerror(errno)))
		return;
	get_facts(queue, &facts);
	CHECK(S_ISDIR(st.st_mode) && (st.st_mode & 07777) == ((facts.mode & 0666) | 0111 |
							      peer_sticky((mode_t)facts.mode)),
	      "%s: mode is %o, directly %llo", queue->dir, st.st_mode, facts.mode);
	CHECK(st.st_uid == facts.uid && st.st_gid == facts.gid,
	      "%s: owner is %u:%u, directly %lld:%lld", queue->dir, st.st_uid, st.st_gid, facts.uid,
	      facts.gid);
	CHECK(st.st_size == facts.bytes, "%s: size is %lld, directly %lld", queue->dir,
	      (long long)st.st_size, facts.bytes);
	/* looking sets a POSIX queue's atime, too; the mount shows when a message passed */
	compare_time(queue, "atime", queue->posix ? before.mtime : before.atime, st.st_atim,
		     queue->posix ? facts.mtime : facts.atime);
	compare_time(queue, "mtime", before.mtime, st.st_mtim, facts.mtime);
	compare_time(queue, "ctime", before.ctime, st.st_ctim, facts.ctime);

	got = peer_read_file(peer_path(path, "%s/status", queue->dir), text, sizeof(text));
	if (!CHECK(got > 0, "%s: %s", path, strerror((int)-got)))
		return;
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		long long direct = *(long long *)((char *)&facts + fields[i].offset);
		long long shown = peer_number(text, fields[i].name, -2);

		if (direct != -1)
			CHECK(shown == direct, "%s: %s is %lld, directly %lld", path,
			      fields[i].name, shown, direct);
	}
	if (queue->posix)
		return;
	snprintf(path, sizeof(path), "\nkey=0x%08x\n", queue->key);
	CHECK(!strncmp(text, path + 1, strlen(path + 1)) || strstr(text, path), "%s/status: no %s",
	      queue->dir, path + 1);
}

static size_t known(bool posix)
{
	size_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += queues[i].posix == posix && !queues[i].gone;
	return sum;
}

/* Are exactly the queues that exist listed, once each? */
static void compare_listing(bool posix)
{
	char path[PEER_PATH], target[PEER_PATH], wanted[PEER_PATH];
	size_t listed = 0, found = 0;
	struct dirent *entry;
	DIR *dir = opendir(peer_path(path, "%s/%s", mount, posix ? "posix/mq" : "sysv/msg"));

	if (!CHECK(dir != NULL, "%s: %s", path, strerror(errno)))
		return;
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		listed++;
		for (size_t i = 0; i < count; i++)
			found += queues[i].posix == posix && !queues[i].gone &&
				 !strcmp(queues[i].name, entry->d_name);
	}
	closedir(dir);
	CHECK(listed == known(posix) && found == listed,
	      "%s: %zu entries, %zu of them known, %zu queues", path, listed, found, known(posix));
	for (size_t i = 0; !posix && i < count; i++) {
		ssize_t got;

		if (queues[i].posix || queues[i].gone)
			continue;
		peer_path(path, "%s/sysv/by-id/msg/%d", mount, queues[i].id);
		got = readlink(path, target, sizeof(target) - 1);
		target[got < 0 ? 0 : got] = '\0';
		peer_path(wanted, "../../msg/%s", queues[i].name);
		CHECK(!strcmp(target, wanted), "%s -> %s, not %s", path, target, wanted);
	}
}

/* ipcs and lsipc against the mount. */

static struct queue *queue_of_id(int id)
{
	for (size_t i = 0; i < count; i++)
		if (!queues[i].posix && !queues[i].gone && queues[i].id == id)
			return &queues[i];
	return NULL;
}

static long long shown_value(const struct queue *queue, const char *field)
{
	char path[PEER_PATH], text[4096];

	if (peer_read_file(peer_path(path, "%s/status", queue->dir), text, sizeof(text)) < 0)
		return -3;
	return peer_number(text, field, -2);
}

static void compare_ipcs(void)
{
	char line[512], command[64];
	unsigned key, perms;
	long long bytes, messages;
	size_t rows = 0;
	int id;
	FILE *pipe = popen("ipcs -q", "r");

	if (!pipe)
		peer_die("ipcs");
	while (fgets(line, sizeof(line), pipe)) {
		struct queue *queue;

		if (sscanf(line, "0x%x %d %*s %o %lld %lld", &key, &id, &perms, &bytes,
			   &messages) != 5)
			continue;
		rows++;
		queue = queue_of_id(id);
		if (!CHECK(queue != NULL, "ipcs shows %d", id))
			continue;
		CHECK(queue->key == key && shown_value(queue, "mode") == perms &&
			      shown_value(queue, "bytes") == bytes &&
			      shown_value(queue, "messages") == messages,
		      "%s/status is not what ipcs says: %s", queue->dir, line);
	}
	pclose(pipe);
	CHECK(rows == known(false), "ipcs shows %zu queues", rows);

	for (size_t i = 0; i < count; i += 7) {
		long long got[10] = { 0 };
		static const char *const names[] = { "uid",	     "gid",	 "cuid",
						     "cgid",	     "mode",	 "bytes",
						     "max_bytes",    "messages", "last_send_pid",
						     "last_recv_pid" };
		static char text[4096];
		const char *values;
		size_t size;

		if (queues[i].posix || queues[i].gone)
			continue;
		snprintf(command, sizeof(command), "ipcs -q -i %d", queues[i].id);
		pipe = popen(command, "r");
		size = pipe ? fread(text, 1, sizeof(text) - 1, pipe) : 0;
		text[size] = '\0';
		if (pipe)
			pclose(pipe);
		values = strstr(text, "uid=");
		if (!CHECK(values &&
				   sscanf(values,
					  "uid=%lld gid=%lld cuid=%lld cgid=%lld mode=%lli cbytes=%lld "
					  "qbytes=%lld qnum=%lld lspid=%lld lrpid=%lld",
					  &got[0], &got[1], &got[2], &got[3], &got[4], &got[5],
					  &got[6], &got[7], &got[8], &got[9]) == 10,
			   "ipcs -i %d: %s", queues[i].id, text))
			continue;
		for (size_t f = 0; f < 10; f++)
			CHECK(got[f] == shown_value(&queues[i], names[f]),
			      "%s/status: %s is not %lld as ipcs says", queues[i].dir, names[f],
			      got[f]);
	}
}

/* The number behind "NAME": in a JSON object, quoted or not. */
static long long json_number(const char *object, const char *name, int base)
{
	char quoted[32];
	const char *at;

	snprintf(quoted, sizeof(quoted), "\"%s\":", name);
	at = strstr(object, quoted);
	if (!at)
		return -4;
	at += strlen(quoted);
	return strtoll(at + strspn(at, " \""), NULL, base);
}

/* "perms": "rw-r--r--" as a mode. */
static long long json_mode(const char *object)
{
	const char *at = strstr(object, "\"perms\":");
	long long mode = 0;

	at = at ? strpbrk(at + 8, "rw-") : NULL;
	for (int i = 0; at && i < 9 && at[i]; i++)
		mode = mode << 1 | (at[i] != '-');
	return at ? mode : -4;
}

static void compare_lsipc(void)
{
	static const struct {
		const char *theirs, *ours;
		int base;
	} names[] = { { "uid", "uid", 10 },
		      { "gid", "gid", 10 },
		      { "cuid", "cuid", 10 },
		      { "cgid", "cgid", 10 },
		      { "usedbytes", "bytes", 10 },
		      { "msgs", "messages", 10 },
		      { "lspid", "last_send_pid", 10 },
		      { "lrpid", "last_recv_pid", 10 },
		      { "key", "key", 16 } };
	FILE *pipe = popen(
		"lsipc -q -J -b -o KEY,ID,PERMS,UID,GID,CUID,CGID,USEDBYTES,MSGS,LSPID,LRPID", "r");
	static char text[4 << 20];
	size_t rows = 0, size = pipe ? fread(text, 1, sizeof(text) - 1, pipe) : 0;
	char *object = strchr(text, '['), *end;

	text[size] = '\0';
	if (pipe)
		pclose(pipe);
	for (; object && (object = strchr(object, '{')); object = end) {
		struct queue *queue;

		end = strchr(object, '}');
		if (!end)
			break;
		*end++ = '\0';
		rows++;
		queue = queue_of_id((int)json_number(object, "id", 10));
		if (!CHECK(queue != NULL, "lsipc shows %s", object))
			continue;
		CHECK(json_mode(object) == shown_value(queue, "mode"),
		      "%s/status: mode is %llo, lsipc: %s", queue->dir, shown_value(queue, "mode"),
		      object);
		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
			CHECK(json_number(object, names[i].theirs, names[i].base) ==
				      shown_value(queue, names[i].ours),
			      "%s/status: %s is %lld, lsipc: %s", queue->dir, names[i].ours,
			      shown_value(queue, names[i].ours), object);
	}
	CHECK(rows == known(false), "lsipc shows %zu queues", rows);
}

/* Changes. */

static void change_through_mount(struct queue *queue)
{
	static const char *const files[] = { "",       "/msg",	  "/lines",  "/packets",
					     "/drain", "/tagged", "/records" };
	mode_t mode = below(5) ? below(07777 + 1) : 0;
	uid_t uid = below(70000);
	gid_t gid = below(70000);
	struct facts before, after;
	char path[PEER_PATH], number[32];

	peer_path(path, "%s%s", queue->dir, files[below(7)]);
	get_facts(queue, &before);
	switch (below(queue->posix ? 3 : 4)) {
	case 0:
		CHECK(!chmod(path, mode), "chmod %o %s: %s", mode, path, strerror(errno));
		before.mode = mode & 0666;
		break;
	case 1:
		CHECK(!chown(path, uid, (gid_t)-1), "chown %u %s: %s", uid, path, strerror(errno));
		before.uid = uid;
		break;
	case 2:
		CHECK(!chown(path, uid, gid), "chown %u:%u %s: %s", uid, gid, path,
		      strerror(errno));
		before.uid = uid;
		before.gid = gid;
		break;
	case 3:
		before.max_bytes = 1 + below(1 << 20);
		snprintf(number, sizeof(number), "%lld\n", before.max_bytes);
		peer_path(path, "%s/qbytes", queue->dir);
		CHECK(!peer_write_file(path, number), "write to %s: %s", path, strerror(errno));
		break;
	}
	get_facts(queue, &after);
	CHECK(before.mode == after.mode && before.uid == after.uid && before.gid == after.gid &&
		      before.max_bytes == after.max_bytes && before.messages == after.messages,
	      "%s: after a change mode %llo (wanted %llo), owner %lld:%lld (%lld:%lld), qbytes %lld (%lld)",
	      path, after.mode, before.mode, after.uid, after.gid, before.uid, before.gid,
	      after.max_bytes, before.max_bytes);
	compare(queue);
}

static void remove_through_mount(struct queue *queue)
{
	struct stat st;

	if (!CHECK(!rmdir(queue->dir), "rmdir %s: %s", queue->dir, strerror(errno)))
		return;
	CHECK(!exists_direct(queue), "%s is still there after rmdir", queue->dir);
	CHECK(lstat(queue->dir, &st) && errno == ENOENT, "%s is still shown after rmdir",
	      queue->dir);
	queue->gone = true;
	if (queue->posix)
		mq_close(queue->id);
}

static void change_random(void)
{
	struct queue *queue = &queues[below((uint32_t)count)];
	struct stat st;

	if (queue->gone)
		return;
	switch (below(6)) {
	case 0:
	case 1:
	case 2:
		change_through_mount(queue);
		break;
	case 3:
		set_random(queue);
		send_some(queue, 3);
		receive_some(queue, 3);
		compare(queue);
		break;
	case 4:
		remove_through_mount(queue);
		break;
	case 5:
		remove_direct(queue);
		CHECK(lstat(queue->dir, &st) && errno == ENOENT, "%s is still shown", queue->dir);
		break;
	}
	if (queue->gone && below(2) && make_direct(queue))
		compare(queue);
}

static void each(void (*act)(const struct queue *))
{
	for (size_t i = 0; i < count; i++)
		if (!queues[i].gone)
			act(&queues[i]);
}

static void send_a_few(const struct queue *queue)
{
	if (below(4))
		send_some(queue, 5);
}

static void receive_a_few(const struct queue *queue)
{
	if (below(2))
		receive_some(queue, 4);
}

static void compare_all(void)
{
	compare_listing(true);
	compare_listing(false);
	peer_sleep_ms(100); /* a listing may be 50 ms old */
	each(compare);
	compare_ipcs();
	compare_lsipc();
}

int main(int argc, char **argv)
{
	const struct rlimit files = { 20000, 20000 };

	if (argc < 2) {
		fprintf(stderr, "usage: %s MOUNT [COUNT [SEED]]\n", argv[0]);
		return 2;
	}
	mount = argv[1];
	count = 2 * (argc > 2 ? strtoul(argv[2], NULL, 10) : 300);
	rng = peer_seed(argc > 3 ? argv[3] : NULL);
	peer_raise_limits();
	setrlimit(RLIMIT_NOFILE, &files);
	queues = calloc(count, sizeof(*queues));
	if (!queues)
		peer_die("calloc");
	for (size_t i = 0; i < count; i++) {
		queues[i].posix = i < count / 2;
		for (int tries = 0; !make_direct(&queues[i]); tries++)
			if (tries == 20)
				peer_die("making queue %zu", i);
	}
	/* The times of System V queues have a resolution of one second. */
	peer_sleep_ms(1100);
	each(send_a_few);
	peer_sleep_ms(1100);
	each(receive_a_few);
	for (size_t i = 0; i < count; i++)
		if (below(4))
			set_random(&queues[i]);
	compare_all();
	for (size_t i = 0; i < 3 * count; i++)
		change_random();
	compare_all();
	for (size_t i = 0; i < count; i++)
		if (!queues[i].gone)
			remove_direct(&queues[i]);
	compare_listing(true);
	compare_listing(false);
	return peer_result("differential");
}
