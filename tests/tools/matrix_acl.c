/* SPDX-License-Identifier: MIT */
/*
 * Checks that an access control list set through the mount lets exactly those callers read and
 * write that a file with the same list would let.
 *
 *	matrix_acl MOUNT [LISTS [SEED]]
 *
 * For every class LISTS random lists are set by setfacl, then changed by a chmod through the mount
 * and by a direct one; every caller reads and writes. The answer is compared with open(2) of a file
 * of a tmpfs with the same owner, group and list. Three rules turn the file into a System V object:
 * the creator has the owner's rights, the creator's group those of the group, and CAP_IPC_OWNER
 * overrides. Then rights are taken away while files are open.
 *
 * In a mount of a user namespace the kernel checks the list first, and has none of the three rules.
 */
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "matrix.h"
#include "matrix_list.h"
#include "peer.h"

static struct matrix_worker *workers;
static struct matrix_object object;	  /* of the class under test */
static struct matrix_object oracle;	  /* the tmpfs's file */
static struct matrix_object shown_oracle; /* another, with the list as the mount shows it */
static struct matrix_facts base;
static uint64_t rng;
static unsigned long cases, allowed, creators, checked;

static uint32_t below(uint32_t limit)
{
	return peer_random(&rng) % limit;
}

static uint16_t any_perm(void)
{
	return (uint16_t)(below(4) << 1);
}

static void random_list(struct list *list, bool sysv)
{
	static const gid_t groups[] = { MATRIX_GROUP, MATRIX_OTHER_GROUP, 30009, 40003, 0 };
	uint32_t named = below(4) ? below(6) : 0;

	list->count = 0;
	add(list, ACL_USER_OBJ, 0, any_perm());
	add(list, ACL_GROUP_OBJ, 0, any_perm());
	add(list, ACL_OTHER, 0, any_perm());
	for (uint32_t i = 0; i < named; i++)
		if (below(2))
			add(list, ACL_USER, matrix_callers[below(matrix_caller_count)].uid,
			    any_perm());
		else if (!sysv && !below(4))
			add(list, ACL_GROUP, MATRIX_CREATOR_GROUP, any_perm());
		else
			add(list, ACL_GROUP, groups[below(sizeof(groups) / sizeof(*groups))],
			    any_perm());
	if (list->count > 3 || !below(4))
		add(list, ACL_MASK, 0, below(2) ? 6 : any_perm());
}

/* Returns the list of a file that lets the same callers in. */
static void set_oracle(const struct list *list)
{
	struct matrix_arguments arguments;
	struct list all = *list;

	if (matrix_kinds[object.kind]->sysv && base.cgid != base.gid) {
		if (!find(&all, ACL_MASK, 0))
			add(&all, ACL_MASK, 0, 6);
		add(&all, ACL_GROUP, base.cgid, find(&all, ACL_GROUP_OBJ, 0)->perm);
	}
	put_list(&all, &arguments);
	if (setxattr(oracle.file, MATRIX_ATTRIBUTE, arguments.list, arguments.list_size, 0))
		peer_die("%s: a list", oracle.file);
}

/* Returns what a file with this list would say, with the rules of System V. */
static int judged(const struct matrix_worker *worker, struct list *list, enum matrix_op op)
{
	const struct matrix_kind *kind = matrix_kinds[object.kind];
	const struct matrix_caller *caller = worker->caller;
	struct matrix_arguments none = { 0 };
	struct matrix_outcome outcome;
	bool memory = object.kind == MATRIX_SHM && op == OP_WRITE;
	uint16_t want = op == OP_READ ? 4 : memory ? 6 : 2;
	const struct entry *middle = find_middle(list);

	if (kind->sysv && caller->caps & MATRIX_CAP(CAP_IPC_OWNER))
		return 0;
	if (kind->sysv && caller->uid == base.cuid)
		return want & ~find(list, ACL_USER_OBJ, 0)->perm ? EACCES : 0;
	/*
	 * A file has no creator's group. If the mask grants nothing, Linux ignores named entries.
	 */
	if (kind->sysv && !middle->perm && caller->uid != base.uid &&
	    (caller->gid == base.cgid || caller->member == base.cgid))
		return EACCES;
	/* Writing to a System V segment also takes read permission. */
	matrix_ask(worker, kind->sysv ? MATRIX_PLAIN : MATRIX_FILE, memory ? OP_OPEN_BOTH : op,
		   &oracle, &none, &outcome);
	return outcome.error;
}

/* Returns what the kernel says before it asks the daemon, by the list that the file shows. */
static int kernel_says(const struct matrix_worker *worker, const struct list *list,
		       enum matrix_op op, unsigned variant)
{
	bool drain = !strcmp(matrix_read_file(matrix_kinds[object.kind], variant), "drain");
	struct matrix_arguments arguments;
	struct matrix_outcome outcome;
	struct list seen = *list;

	for (size_t i = 0; i < seen.count && op == OP_READ && drain; i++)
		seen.entries[i].perm &= 4;
	put_list(&seen, &arguments);
	if (setxattr(shown_oracle.file, MATRIX_ATTRIBUTE, arguments.list, arguments.list_size, 0))
		peer_die("%s: a list", shown_oracle.file);
	matrix_ask(worker, MATRIX_FILE, op, &shown_oracle, &arguments, &outcome);
	return outcome.error;
}

static int expected(const struct matrix_worker *worker, struct list *list, enum matrix_op op,
		    unsigned variant)
{
	int error = judged(worker, list, op);
	int first = 0;

	if (peer_kernel_checks() && matrix_kinds[object.kind]->sysv)
		first = kernel_says(worker, list, op, variant);
	checked += first && !error;
	return first ? first : error;
}

/* Every caller reads and writes. */
static void compare(struct list *list, const char *after, unsigned variant)
{
	static const enum matrix_op ops[] = { OP_READ, OP_WRITE };
	const struct matrix_kind *kind = matrix_kinds[object.kind];

	for (unsigned i = 0; i < 2 * matrix_caller_count; i++) {
		const struct matrix_worker *worker = &workers[i / 2];
		struct matrix_arguments arguments = { .variant = variant };
		struct matrix_outcome outcome;
		int error = expected(worker, list, ops[i % 2], variant);

		matrix_ask(worker, MATRIX_MOUNT, ops[i % 2], &object, &arguments, &outcome);
		kind->refill(&object, 1);
		cases++;
		allowed += !error;
		if (CHECK(outcome.error == error,
			  "%s of %u:%u (creator %u:%u) after %s, %s, %s: expected %s, got %s",
			  kind->name, base.uid, base.gid, base.cuid, base.cgid, after,
			  worker->caller->name, matrix_op_names[ops[i % 2]],
			  error ? strerrorname_np(error) : "success",
			  outcome.error ? strerrorname_np(outcome.error) : "success"))
			continue;
		describe(list);
	}
}

/* Of /dev/shm, with a list of the kernel's own. */
static bool is_file(void)
{
	return object.kind == MATRIX_PSHM || object.kind == MATRIX_PSEM;
}

/* Compares what is shown, and what direct callers see: the mask never widens the group's rights. */
static void compare_modes(struct list *list, const char *after)
{
	const struct matrix_kind *kind = matrix_kinds[object.kind];
	struct entry *mask = find(list, ACL_MASK, 0);
	mode_t outer = (mode_t)(find(list, ACL_USER_OBJ, 0)->perm << 6 |
				find(list, ACL_OTHER, 0)->perm);
	mode_t group = find(list, ACL_GROUP_OBJ, 0)->perm;
	mode_t shown = outer | (mode_t)(mask ? mask->perm : group) << 3;
	mode_t plain = outer | (mode_t)(group & (mask ? mask->perm : 6)) << 3;
	struct matrix_facts facts;
	struct stat st;

	if (is_file())
		plain = shown; /* files, whose lists are the kernel's */
	kind->facts(&object, &facts);
	if (!CHECK(facts.mode == plain, "%s: after %s the mode is directly %03o, not %03o",
		   kind->name, after, facts.mode, plain))
		describe(list);
	CHECK(!stat(object.directory, &st) && (st.st_mode & 0666) == shown,
	      "%s: after %s stat shows %03o, not %03o", kind->name, after, st.st_mode, shown);
}

/* getfacl shows what setfacl set, on the directory (which all may search) and on its files. */
static void compare_lists(const struct list *set, const char *after)
{
	const struct matrix_kind *kind = matrix_kinds[object.kind];
	const char *const files[] = { "", kind->read_files[0] };
	struct matrix_arguments arguments;
	char path[PEER_PATH], value[1024];
	struct list list = *set;

	for (int i = 0; i < 2; i++) {
		ssize_t size;

		for (size_t j = 0; j < list.count; j++)
			list.entries[j].perm = set->entries[j].perm | (i ? 0 : 1);
		put_list(&list, &arguments);

		peer_path(path, "%s/%s", object.directory, files[i]);
		size = getxattr(path, MATRIX_ATTRIBUTE, value, sizeof(value));
		if (list.count == 3 && size < 0 && errno == ENODATA)
			continue; /* nine bits are the whole list */
		if (!CHECK(size == (ssize_t)arguments.list_size &&
				   !memcmp(value, arguments.list, (size_t)size),
			   "%s: after %s there is another list, of %zd bytes", path, after, size))
			describe(&list);
	}
}

static bool set_list(const struct list *list, unsigned variant)
{
	struct matrix_arguments arguments = { .variant = variant };
	struct matrix_outcome outcome;

	put_list(list, &arguments);
	matrix_through_mount(OP_SET_LIST, &object, &arguments, &outcome);
	return CHECK(!outcome.error, "%s: setfacl: %s", matrix_kinds[object.kind]->name,
		     strerror(outcome.error));
}

static mode_t random_mode(void)
{
	return (mode_t)(any_perm() << 6 | any_perm() << 3 | any_perm());
}

static void direct_mode(mode_t mode)
{
	struct matrix_facts changed = base;

	changed.mode = mode;
	matrix_kinds[object.kind]->restore(&object, &changed);
}

static void one_list(unsigned variant)
{
	struct list list;
	mode_t mode;

	random_list(&list, matrix_kinds[object.kind]->sysv);
	if (!set_list(&list, variant))
		return;
	set_oracle(&list);
	compare_modes(&list, "setfacl");
	compare_lists(&list, "setfacl");
	compare(&list, "setfacl", variant);

	mode = random_mode();
	chmod_list(&list, mode);
	CHECK(!chmod(object.directory, mode), "chmod: %s", strerror(errno));
	set_oracle(&list);
	compare_modes(&list, "chmod");
	compare_lists(&list, "chmod");
	compare(&list, "chmod", variant);

	mode = random_mode();
	direct_mode(mode);
	if (is_file())
		chmod_list(&list, mode);
	else
		follow_mode(&list, mode);
	set_oracle(&list);
	compare_lists(&list, "a direct chmod");
	compare(&list, "a direct chmod", variant);
}

/* A list may be set by the file's owner, or CAP_FOWNER; with IPC_SET also those that it lets. */
static void who_may_set(void)
{
	const struct matrix_kind *kind = matrix_kinds[object.kind];
	struct list plain = {
		3, { { ACL_USER_OBJ, 6, 0 }, { ACL_GROUP_OBJ, 4, 0 }, { ACL_OTHER, 0, 0 } }
	};
	struct list list = plain;

	add(&list, ACL_USER, 20003, 6);
	add(&list, ACL_MASK, 0, 6);
	for (unsigned i = 0; i < matrix_caller_count; i++) {
		struct matrix_arguments arguments = {
			.uid = (uid_t)-1, .gid = (gid_t)-1, .mode = 0640, .variant = i, .now = base
		};
		struct matrix_outcome file, direct = { 0 }, outcome;

		kind->restore(&object, &base);
		put_list(&list, &arguments);
		matrix_ask(&workers[i], MATRIX_FILE, OP_SET_LIST, &oracle, &arguments, &file);
		if (kind->sysv)
			matrix_ask(&workers[i], MATRIX_DIRECT, OP_CHMOD, &object, &arguments,
				   &direct);
		matrix_ask(&workers[i], MATRIX_MOUNT, OP_SET_LIST, &object, &arguments, &outcome);
		cases++;
		/*
		 * IPC_SET lets the creator and CAP_SYS_ADMIN, setxattr(2) the owner and
		 * CAP_FOWNER
		 */
		creators += file.error && kind->sysv && !direct.error;
		CHECK(outcome.error == (file.error ? file.error : direct.error),
		      "%s: setfacl by %s: %s; on a file %s", kind->name, workers[i].caller->name,
		      strerror(outcome.error), strerror(file.error));
		if (!outcome.error)
			set_list(&plain, i);
	}
}

/* Takes rights away while the object is open. */

static const struct matrix_worker *worker_named(const char *name)
{
	for (unsigned i = 0; i < matrix_caller_count; i++)
		if (!strcmp(workers[i].caller->name, name))
			return &workers[i];
	peer_die("no caller is named %s", name);
}

static int ask_kept(const struct matrix_worker *worker, enum matrix_op op)
{
	struct matrix_arguments none = { 0 };
	struct matrix_outcome outcome;

	matrix_ask(worker, MATRIX_MOUNT, op, &object, &none, &outcome);
	matrix_kinds[object.kind]->refill(&object, 1);
	return outcome.error;
}

static void expect_kept(const struct matrix_worker *worker, const char *after, int error)
{
	static const enum matrix_op ops[] = { OP_KEPT_READ, OP_KEPT_WRITE };

	for (int i = 0; i < 2; i++) {
		int got = ask_kept(worker, ops[i]);

		cases++;
		CHECK(got == error, "%s: %s by %s, after %s: %s", matrix_kinds[object.kind]->name,
		      matrix_op_names[ops[i]], worker->caller->name, after, strerror(got));
	}
}

static void take_away(void)
{
	const struct matrix_worker *other = worker_named("other");
	struct list open = {
		3, { { ACL_USER_OBJ, 6, 0 }, { ACL_GROUP_OBJ, 6, 0 }, { ACL_OTHER, 6, 0 } }
	};
	struct list closed = open, named, elsewhere;

	find(&closed, ACL_OTHER, 0)->perm = 0;
	named = elsewhere = closed;
	add(&named, ACL_USER, other->caller->uid, 6);
	add(&named, ACL_MASK, 0, 6);
	elsewhere = open;
	add(&elsewhere, ACL_USER, 20077, 6);
	add(&elsewhere, ACL_MASK, 0, 6);

	set_list(&named, 0);
	if (!CHECK(!ask_kept(other, OP_KEEP), "%s: opening it by a list",
		   matrix_kinds[object.kind]->name))
		return;
	expect_kept(other, "setfacl -m", 0);
	set_list(&closed, 1);
	expect_kept(other, "setfacl -x", EACCES);
	set_list(&named, 0);
	expect_kept(other, "setfacl -m again", 0);
	CHECK(!chmod(object.directory, 0), "chmod: %s", strerror(errno));
	expect_kept(other, "chmod 0, which cuts by the mask", EACCES);
	set_list(&elsewhere, 0);
	expect_kept(other, "setfacl o::rw", 0);
	direct_mode(0600);
	expect_kept(other, "a direct chmod", EACCES);
	direct_mode(0666);
	expect_kept(other, "a direct chmod back", 0);
	set_list(&open, 0);
	CHECK(!chmod(object.directory, 0), "chmod: %s", strerror(errno));
	expect_kept(other, "chmod 0", EACCES);
}

static void make_file(struct matrix_object *file, const char *name, unsigned number)
{
	*file = (struct matrix_object){ .kind = MATRIX_PSHM };
	snprintf(file->file, sizeof(file->file), "/dev/shm/.%s-%u", name, number);
	file->fd = open(file->file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (file->fd < 0 || fchown(file->fd, base.uid, base.gid))
		peer_die("%s", file->file);
}

static void remove_file(const struct matrix_object *file)
{
	if (unlink(file->file))
		peer_die("%s", file->file);
	close(file->fd);
}

static void make_objects(int kind, bool own, unsigned number)
{
	const struct matrix_kind *calls = matrix_kinds[kind];
	char name[32];
	int err;

	object = (struct matrix_object){ .kind = kind };
	snprintf(name, sizeof(name), "acl-%u", number);
	if (setegid(own ? MATRIX_GROUP : MATRIX_CREATOR_GROUP) ||
	    seteuid(own ? MATRIX_OWNER : MATRIX_CREATOR))
		peer_die("becoming the creator");
	err = calls->make(&object, name, 0x5b00 + number);
	if (seteuid(0) || setegid(0))
		peer_die("becoming root");
	if (err)
		peer_die("making %s", name);
	calls->facts(&object, &base);
	base.uid = MATRIX_OWNER;
	base.gid = MATRIX_GROUP;
	base.mode = 0640;
	base.content = 1;
	calls->restore(&object, &base);

	make_file(&oracle, "oracle", number);
	make_file(&shown_oracle, "shown", number);
}

static void one_kind(int kind, bool own, unsigned number, unsigned lists)
{
	make_objects(kind, own, number);
	for (unsigned i = 0; i < lists; i++)
		one_list(i);
	who_may_set();
	take_away();
	matrix_kinds[kind]->remove(&object);
	remove_file(&oracle);
	remove_file(&shown_oracle);
}

int main(int argc, char **argv)
{
	unsigned lists, number = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: %s MOUNT [LISTS [SEED]]\n", argv[0]);
		return 2;
	}
	lists = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 20;
	rng = peer_seed(argc > 3 ? argv[3] : NULL);
	umask(0);
	matrix_start(argv[1]);
	workers = calloc(matrix_caller_count, sizeof(*workers));
	if (!workers)
		peer_die("calloc");
	for (unsigned i = 0; i < matrix_caller_count; i++)
		matrix_worker_start(&workers[i], &matrix_callers[i]);
	for (int kind = 0; kind < MATRIX_KINDS; kind++) {
		one_kind(kind, true, number++, lists);
		if (matrix_kinds[kind]->sysv)
			one_kind(kind, false, number++, lists);
	}
	/* The last one first: each has the sockets of the ones before it. */
	for (unsigned i = matrix_caller_count; i--;)
		matrix_worker_end(&workers[i]);
	free(workers);
	matrix_end();
	printf("%lu cases, %lu of them allowed\n", cases, allowed);
	printf("exception: setfacl is the owner's, not the creator's: %lu\n", creators);
	printf("exception: the kernel checks as well: %lu\n", checked);
	CHECK(!checked == !peer_kernel_checks(), "that was not to be expected");
	return peer_result("matrix_acl");
}
