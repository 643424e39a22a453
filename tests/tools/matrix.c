/* SPDX-License-Identifier: MIT */
/*
 * Checks that the mount lets a caller do what the same caller could do with the direct call, and
 * nothing more.
 *
 *	matrix MOUNT [MODES]
 *
 * For every class, caller, mode (MODES of the 64) and operation two equal objects exist. The caller
 * does the operation directly on one and through the mount on the other. Errors, what was read, and
 * the objects afterwards must be equal. Prints the number of cases, and each disagreement. The
 * exceptions are those of docs/security.md, counted.
 *
 * In a mount of a user namespace the kernel checks first, as for a file of that owner, group and
 * mode. Such a file exists, and where the kernel refuses it the mount must refuse, too.
 */
#include <sys/stat.h>

#include "matrix.h"
#include "peer.h"

#define MODES 64
#define MODES_USUAL 16

/* The owners of the objects. Only System V has a creator. */
static const struct matrix_facts ownerships[] = {
	{ .uid = MATRIX_OWNER,
	  .gid = MATRIX_GROUP,
	  .cuid = MATRIX_CREATOR,
	  .cgid = MATRIX_CREATOR_GROUP },
	{ 0 },
};
#define OWNERSHIPS (sizeof(ownerships) / sizeof(*ownerships))
#define PAIRS (MATRIX_KINDS * OWNERSHIPS)

/* The two objects, and what both are like before each operation. */
struct pair {
	struct matrix_object objects[2]; /* by enum matrix_side */
	struct matrix_facts base;
};

struct tally {
	unsigned long cases, allowed, exceptions, disagreements;
};

static struct tally tallies[MATRIX_KINDS];

/* The exceptions of docs/security.md that concern these operations. */
static struct {
	const char *name;
	unsigned long count;
} exceptions[] = { { "sem_open wants to read and write", 0 },
		   { "open for both is two opens", 0 },
		   { "the kernel checks as well", 0 } };

static void count_exception(const char *name)
{
	for (size_t i = 0; i < sizeof(exceptions) / sizeof(*exceptions); i++)
		if (!strcmp(exceptions[i].name, name)) {
			exceptions[i].count++;
			return;
		}
	peer_die("an exception that is not known: %s", name);
}

static struct pair pairs[PAIRS];

/* The file that the kernel judges; in a directory like those of the classes, root's and sticky. */
static struct matrix_object oracle;
static char oracle_directory[PEER_PATH];

static void make_oracle(void)
{
	const char *tmpdir = getenv("TMPDIR");

	peer_path(oracle_directory, "%s/oracle", tmpdir ? tmpdir : "/tmp");
	if (mkdir(oracle_directory, 01777))
		peer_die("%s", oracle_directory);
	snprintf(oracle.file, sizeof(oracle.file), "%.100s/file", oracle_directory);
	oracle.fd = -1;
}

static void remove_oracle(void)
{
	if (oracle.fd >= 0 && (unlink(oracle.file) || close(oracle.fd)))
		peer_die("%s", oracle.file);
	if (rmdir(oracle_directory))
		peer_die("%s", oracle_directory);
}

/* Returns what the kernel says before it asks the daemon. */
static int kernel_says(const struct matrix_worker *worker, enum matrix_op op,
		       const struct matrix_facts *base, const struct matrix_arguments *arguments)
{
	/* everybody may read qbytes, and the owner may write it */
	mode_t mode = op == OP_QBYTES || op == OP_QBYTES_MORE ? 0644 : base->mode;
	struct matrix_outcome outcome;

	if (oracle.fd < 0)
		oracle.fd = open(oracle.file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (oracle.fd < 0 || fchown(oracle.fd, base->uid, base->gid) || fchmod(oracle.fd, mode))
		peer_die("%s", oracle.file);
	matrix_ask(worker, MATRIX_FILE, op, &oracle, arguments, &outcome);
	if (op == OP_REMOVE && !outcome.error) {
		close(oracle.fd);
		oracle.fd = -1;
	}
	return outcome.error;
}

/*
 * Sets the result that is expected through the mount, where it is not the direct one. The kernel
 * alone answers access(2) and an open for reading and writing; for POSIX the rest is as for a file
 * in any case.
 */
static void checked_first(const struct matrix_worker *worker, const struct pair *pair,
			  enum matrix_op op, const struct matrix_arguments *arguments,
			  struct matrix_outcome *wanted, struct matrix_facts *left)
{
	bool access = op == OP_MAY_READ || op == OP_MAY_WRITE;
	int error;

	if (!matrix_kinds[pair->objects[0].kind]->sysv && op != OP_OPEN_BOTH)
		return;
	error = kernel_says(worker, op, &pair->base, arguments);
	if (!error && !access)
		return;
	if (wanted->error != error)
		wanted->exception = "the kernel checks as well";
	wanted->error = error;
	wanted->value = 0;
	*left = pair->base;
}

/* Objects are made by their creator. */
static void make(struct matrix_object *object, int kind, const struct matrix_facts *owner,
		 const char *name, uint32_t key)
{
	int err;

	object->kind = kind;
	if (setegid(owner->cgid) || seteuid(owner->cuid))
		peer_die("becoming the creator");
	err = matrix_kinds[kind]->make(object, name, key);
	if (seteuid(0) || setegid(0))
		peer_die("becoming root");
	if (err) {
		errno = -err;
		peer_die("making %s %s", matrix_kinds[kind]->name, name);
	}
}

static void remake(struct pair *pair, enum matrix_side side)
{
	size_t index = (size_t)(pair - pairs);
	char name[32];

	snprintf(name, sizeof(name), "matrix-%zu-%d", index, (int)side);
	make(&pair->objects[side], (int)(index / OWNERSHIPS), &ownerships[index % OWNERSHIPS], name,
	     (uint32_t)(0x5a00 + 2 * index + side));
}

static void make_pairs(void)
{
	for (size_t i = 0; i < PAIRS; i++) {
		struct pair *pair = &pairs[i];

		remake(pair, MATRIX_DIRECT);
		remake(pair, MATRIX_MOUNT);
		matrix_kinds[i / OWNERSHIPS]->facts(&pair->objects[0], &pair->base);
		pair->base.content = 1;
		pair->base.uid = ownerships[i % OWNERSHIPS].uid;
		pair->base.gid = ownerships[i % OWNERSHIPS].gid;
		if (!matrix_kinds[i / OWNERSHIPS]->sysv) {
			pair->base.cuid = pair->base.uid;
			pair->base.cgid = pair->base.gid;
		}
	}
}

static void remove_pairs(void)
{
	for (size_t i = 0; i < 2 * PAIRS; i++) {
		const struct matrix_object *object = &pairs[i / 2].objects[i % 2];

		matrix_kinds[object->kind]->remove(object);
	}
}

static bool same(const struct matrix_facts *one, const struct matrix_facts *other)
{
	if (!one->there || !other->there)
		return one->there == other->there;
	return one->uid == other->uid && one->gid == other->gid && one->cuid == other->cuid &&
	       one->cgid == other->cgid && one->mode == other->mode &&
	       one->content == other->content && one->size == other->size;
}

/* Restores both objects, and makes a removed one again. */
static void restore(struct pair *pair, int side, const struct matrix_facts *now)
{
	const struct matrix_kind *kind = matrix_kinds[pair->objects[side].kind];

	if (now && same(now, &pair->base))
		return;
	if (now && !now->there) {
		kind->remove(&pair->objects[side]);
		remake(pair, side);
	}
	kind->restore(&pair->objects[side], &pair->base);
}

static const char *error_name(const struct matrix_outcome *outcome)
{
	return outcome->error ? strerrorname_np(outcome->error) : "success";
}

static void print_facts(const char *label, const struct matrix_facts *facts)
{
	if (facts->there)
		printf("  %s: %u:%u (creator %u:%u) mode %03o, holds %lld, size %lld\n", label,
		       facts->uid, facts->gid, facts->cuid, facts->cgid, facts->mode,
		       facts->content, facts->size);
	else
		printf("  %s: gone\n", label);
}

static struct matrix_arguments arguments_for(enum matrix_op op, const struct matrix_caller *caller,
					     const struct pair *pair, unsigned variant)
{
	struct matrix_arguments arguments = { .uid = (uid_t)-1,
					      .gid = (gid_t)-1,
					      .mode = pair->base.mode ^ 0644,
					      .variant = variant,
					      .now = pair->base };

	switch (op) {
	case OP_CHOWN_SELF:
		arguments.uid = caller->uid;
		break;
	case OP_CHOWN_OTHER:
		arguments.uid = 20099;
		break;
	case OP_CHGRP_SELF:
		arguments.gid = caller->gid;
		break;
	case OP_CHGRP_MEMBER:
		arguments.gid = caller->member ? caller->member : 40000;
		break;
	case OP_CHGRP_OTHER:
		arguments.gid = 30099;
		break;
	default:
		break;
	}
	return arguments;
}

/* The daemon gives a hold back soon after the last close. */
static void facts_after(enum matrix_op op, const struct pair *pair, int side,
			struct matrix_facts *facts)
{
	const struct matrix_object *object = &pair->objects[side];
	const double end = peer_now() + 5 * peer_slow();

	do
		matrix_kinds[object->kind]->facts(object, facts);
	while (op == OP_HOLD && !same(facts, &pair->base) && peer_now() < end);
}

static void one_case(const struct matrix_worker *worker, struct pair *pair, enum matrix_op op)
{
	const int kind = pair->objects[0].kind;
	struct tally *tally = &tallies[kind];
	struct matrix_arguments arguments = arguments_for(op, worker->caller, pair,
							  (unsigned)tally->cases);
	struct matrix_outcome outcomes[2], wanted;
	struct matrix_facts facts[2], left;

	for (int side = 0; side < 2; side++) {
		matrix_ask(worker, side, op, &pair->objects[side], &arguments, &outcomes[side]);
		facts_after(op, pair, side, &facts[side]);
	}
	tally->cases++;
	tally->allowed += !outcomes[MATRIX_DIRECT].error;
	wanted = outcomes[MATRIX_DIRECT];
	left = facts[MATRIX_DIRECT];
	if (peer_kernel_checks())
		checked_first(worker, pair, op, &arguments, &wanted, &left);
	if (wanted.exception) {
		tally->exceptions++;
		count_exception(wanted.exception);
	}
	if (wanted.error != outcomes[1].error || wanted.value != outcomes[1].value ||
	    wanted.facts.uid != outcomes[1].facts.uid ||
	    wanted.facts.gid != outcomes[1].facts.gid ||
	    wanted.facts.mode != outcomes[1].facts.mode || !same(&left, &facts[1])) {
		tally->disagreements++;
		peer_fail(
			"%s, %s, mode %03o of %u:%u, %s (%u): directly %s, wanted %s, through the mount %s (read %lld, %lld; mode %o, %o)",
			matrix_kinds[kind]->name, worker->caller->name, pair->base.mode,
			pair->base.uid, pair->base.gid, matrix_op_names[op], arguments.variant,
			error_name(&outcomes[0]), error_name(&wanted), error_name(&outcomes[1]),
			wanted.value, outcomes[1].value, wanted.facts.mode, outcomes[1].facts.mode);
		if (peer_failures <= 100 && !same(&left, &facts[1])) {
			print_facts("wanted", &left);
			print_facts("through the mount", &facts[1]);
		}
	}
	restore(pair, 0, &facts[0]);
	restore(pair, 1, &facts[1]);
}

/* Returns the nth combination of read and write bits; neighbours are well mixed. */
static mode_t mode_of(unsigned n)
{
	n = n * 37 % MODES;
	return (n & 060) << 3 | (n & 014) << 2 | (n & 3) << 1;
}

static void each_mode(const struct matrix_worker *worker, struct pair *pair, unsigned modes,
		      bool listing)
{
	const struct matrix_kind *kind = matrix_kinds[pair->objects[0].kind];

	for (unsigned n = 0; n < modes; n++) {
		pair->base.mode = mode_of(n + 11 * (unsigned)(worker->caller - matrix_callers));
		restore(pair, 0, NULL);
		restore(pair, 1, NULL);
		for (enum matrix_op op = 0; op < OP_COUNT; op++)
			if (kind->ops >> op & 1 && (op == OP_LIST) == listing)
				one_case(worker, pair, op);
	}
}

static void one_caller(const struct matrix_caller *caller, unsigned modes)
{
	struct matrix_worker worker;

	matrix_worker_start(&worker, caller);
	for (size_t i = 0; i < PAIRS; i++)
		each_mode(&worker, &pairs[i], modes, true);
	peer_sleep_ms(60); /* a listing may be 50 ms old */
	for (size_t i = 0; i < PAIRS; i++)
		each_mode(&worker, &pairs[i], modes, false);
	matrix_worker_end(&worker);
}

int main(int argc, char **argv)
{
	struct tally sum = { 0 };
	unsigned modes;
	double start = peer_now();

	if (argc < 2) {
		fprintf(stderr, "usage: %s MOUNT [MODES]\n", argv[0]);
		return 2;
	}
	modes = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : MODES_USUAL;
	umask(0);
	matrix_start(argv[1]);
	make_pairs();
	make_oracle();
	for (unsigned i = 0; i < matrix_caller_count; i++)
		one_caller(&matrix_callers[i], modes);
	remove_oracle();
	remove_pairs();
	matrix_end();
	for (int i = 0; i < MATRIX_KINDS; i++) {
		printf("%s: %lu cases (%lu allowed), %lu by exception, %lu disagreements\n",
		       matrix_kinds[i]->name, tallies[i].cases, tallies[i].allowed,
		       tallies[i].exceptions, tallies[i].disagreements);
		sum.cases += tallies[i].cases;
		sum.disagreements += tallies[i].disagreements;
	}
	for (size_t i = 0; i < sizeof(exceptions) / sizeof(*exceptions); i++)
		printf("exception: %s: %lu\n", exceptions[i].name, exceptions[i].count);
	printf("%lu cases, %lu disagreements, %.0f s\n", sum.cases, sum.disagreements,
	       peer_now() - start);
	if (peer_kernel_checks())
		CHECK(exceptions[2].count, "the kernel has not checked anything");
	return peer_result("matrix");
}
