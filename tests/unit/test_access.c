/* SPDX-License-Identifier: MIT */
/* The access rule: compared with a second implementation, and with the kernel. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <mqueue.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/contract/caller.h"
#include "fs/access/access.h"

enum { OWNER = 1001, CREATOR, STRANGER, GROUP = 2001, CREATOR_GROUP, OTHER_GROUP };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BIT(cap) ((uint64_t)1 << (cap))
#define RELEVANT (BIT(CAP_IPC_OWNER) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH))

static const uid_t uids[] = { OWNER, CREATOR, STRANGER, 0 };
static const gid_t gids[] = { GROUP, CREATOR_GROUP, OTHER_GROUP, 0 };

/* Supplementary groups; a 0 ends them. */
static gid_t group_sets[][4] = {
	{ 0 },
	{ OTHER_GROUP },
	{ GROUP },
	{ CREATOR_GROUP },
	{ OTHER_GROUP, GROUP },
	{ OTHER_GROUP, CREATOR_GROUP, GROUP },
};

static const uint64_t cap_sets[] = {
	0,
	BIT(CAP_IPC_OWNER),
	BIT(CAP_DAC_OVERRIDE),
	BIT(CAP_DAC_READ_SEARCH),
	RELEVANT,
	((uint64_t)1 << 40) - 1 - RELEVANT,
};

static const unsigned wants[] = {
	IPCFS_WANT_READ,
	IPCFS_WANT_WRITE,
	IPCFS_WANT_READ | IPCFS_WANT_WRITE,
};

#define OURS 0x1000 /* the user namespace of nearly all callers here */

static const struct ipcfs_authority our_own = { 1, { { .user_ns = OURS, .owner = (uid_t)-1 } } };

/* Of an object without a list. */
static int ask(enum ipcfs_rule rule, const struct ipcfs_perm *perm, struct ipcfs_caller *caller,
	       unsigned want, int (*load)(struct ipcfs_caller *caller))
{
	const struct ipcfs_question question = {
		.rule = rule, .perm = perm, .want = want, .authority = &our_own
	};
	enum ipcfs_reason reason;

	return ipcfs_access(&question, caller, load, &reason);
}

/* Everything that may matter about a caller. */
struct role {
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	uint64_t caps;
};

/* Goes to the next combination; those of one uid and gid follow each other. False: the last one. */
static bool role_at(size_t index, struct role *role)
{
	role->caps = cap_sets[index % COUNT(cap_sets)];
	index /= COUNT(cap_sets);
	role->groups = group_sets[index % COUNT(group_sets)];
	index /= COUNT(group_sets);
	role->gid = gids[index % COUNT(gids)];
	index /= COUNT(gids);
	if (index >= COUNT(uids))
		return false;
	role->uid = uids[index];
	return true;
}

static size_t group_count(const struct role *role)
{
	size_t count = 0;

	while (role->groups[count])
		count++;
	return count;
}

static bool member(const struct role *role, gid_t gid)
{
	bool is = role->gid == gid;

	for (size_t i = 0; i < group_count(role); i++)
		is |= role->groups[i] == gid;
	return is;
}

/* Returns the three letters of ls -l that count for this caller. */
static const char *letters_for(enum ipcfs_rule rule, const struct role *role, const char *letters)
{
	bool creator_counts = rule == IPCFS_RULE_SYSV;

	if (role->uid == OWNER || (role->uid == CREATOR && creator_counts))
		return letters;
	if (member(role, GROUP) || (member(role, CREATOR_GROUP) && creator_counts))
		return letters + 3;
	return letters + 6;
}

static bool expected(enum ipcfs_rule rule, const struct role *role, unsigned mode, unsigned want)
{
	char letters[9];
	const char *own;

	for (int i = 0; i < 9; i++)
		letters[i] = mode & (0400U >> i) ? "rwx"[i % 3] : '-';
	own = letters_for(rule, role, letters);
	if ((!(want & IPCFS_WANT_READ) || own[0] == 'r') &&
	    (!(want & IPCFS_WANT_WRITE) || own[1] == 'w'))
		return true;
	if (rule == IPCFS_RULE_SYSV)
		return role->caps & BIT(CAP_IPC_OWNER);
	if (role->caps & BIT(CAP_DAC_OVERRIDE))
		return true;
	return role->caps & BIT(CAP_DAC_READ_SEARCH) && !(want & IPCFS_WANT_WRITE);
}

/* Could groups and capabilities change the answer while they are not loaded? */
static bool depends(enum ipcfs_rule rule, uid_t uid, gid_t gid, unsigned mode, unsigned want)
{
	bool yes = false, no = false;

	for (size_t s = 0; s < COUNT(group_sets); s++)
		for (size_t c = 0; c < COUNT(cap_sets); c++) {
			struct role role = { uid, gid, group_sets[s], cap_sets[c] };

			if (expected(rule, &role, mode, want))
				yes = true;
			else
				no = true;
		}
	return yes && no;
}

static const struct role *to_load;
static unsigned loads;

static int load(struct ipcfs_caller *caller)
{
	loads++;
	caller->loaded = true;
	caller->caps = to_load->caps;
	caller->user_ns = OURS;
	caller->ngroups = group_count(to_load);
	caller->groups = to_load->groups;
	return 0;
}

static int load_without_memory(struct ipcfs_caller *caller)
{
	(void)caller;
	loads++;
	return -ENOMEM;
}

static const struct ipcfs_perm perm_template = {
	.uid = OWNER,
	.gid = GROUP,
	.cuid = CREATOR,
	.cgid = CREATOR_GROUP,
};

/* Asks one question with a caller that is not loaded, is loaded, cannot be loaded. */
static void check(enum ipcfs_rule rule, const struct role *role, unsigned mode, unsigned want,
		  bool must_load)
{
	struct ipcfs_caller caller = { .uid = role->uid, .gid = role->gid, .tid = 1 },
			    bare = caller;
	struct role bare_role = { role->uid, role->gid, group_sets[0], 0 };
	int answer = expected(rule, role, mode, want) ? 0 : -EACCES;
	int bare_answer = expected(rule, &bare_role, mode, want) ? 0 : -EACCES;
	struct ipcfs_perm perm = perm_template;

	perm.mode = mode;
	/* The fields of a caller that is not loaded mean nothing. */
	bare.caps = UINT64_MAX;
	bare.ngroups = 1;
	bare.groups = (gid_t[]){ GROUP };
	assert_int_equal(ask(rule, &perm, &bare, want, NULL), bare_answer);

	to_load = role;
	loads = 0;
	assert_int_equal(ask(rule, &perm, &caller, want, load), answer);
	assert_int_equal(loads, must_load);
	load(&caller);
	loads = 0;
	assert_int_equal(ask(rule, &perm, &caller, want, load), answer);
	assert_int_equal(ask(rule, &perm, &caller, want, NULL), answer);
	assert_int_equal(loads, 0);
	assert_int_equal(ask(rule, &perm, &bare, want, load_without_memory),
			 must_load ? -ENOMEM : answer);
	assert_int_equal(loads, must_load);
}

static void every_role(enum ipcfs_rule rule, unsigned mode, unsigned want)
{
	bool must_load = false;
	struct role role;

	for (size_t i = 0; role_at(i, &role); i++) {
		if (i % (COUNT(cap_sets) * COUNT(group_sets)) == 0)
			must_load = depends(rule, role.uid, role.gid, mode, want);
		check(rule, &role, mode, want, must_load);
	}
}

static void every_mode_and_role(void **state)
{
	(void)state;
	for (unsigned mode = 0; mode < 01000; mode++)
		for (size_t w = 0; w < COUNT(wants); w++) {
			every_role(IPCFS_RULE_FILE, mode, wants[w]);
			every_role(IPCFS_RULE_SYSV, mode, wants[w]);
		}
}

static void wanting_nothing(void **state)
{
	struct ipcfs_perm perm = perm_template;
	struct ipcfs_caller caller = { .uid = STRANGER, .gid = OTHER_GROUP };

	(void)state;
	assert_int_equal(ask(IPCFS_RULE_FILE, &perm, &caller, 0, NULL), 0);
	assert_int_equal(ask(IPCFS_RULE_SYSV, &perm, &caller, 0, NULL), 0);
}

/* Root of a container has capabilities that count if the container owns the IPC namespace. */
static void authority_decides_for_system_v(void **state)
{
	static const struct ipcfs_authority of_container = {
		2, { { .user_ns = 0x2000, .owner = STRANGER }, { .user_ns = OURS } }
	};
	struct ipcfs_perm perm = perm_template;
	struct ipcfs_question question = { .rule = IPCFS_RULE_SYSV,
					   .perm = &perm,
					   .want = IPCFS_WANT_READ };
	struct ipcfs_caller inside = { .uid = STRANGER,
				       .loaded = true,
				       .caps = BIT(CAP_IPC_OWNER),
				       .user_ns = 0x2000,
				       .foreign = true };
	struct ipcfs_caller outside = { .uid = STRANGER, .loaded = true, .user_ns = OURS };
	enum ipcfs_reason reason;

	(void)state;
	question.authority = &of_container;
	assert_int_equal(ipcfs_access(&question, &inside, NULL, &reason), 0);
	assert_int_equal(reason, IPCFS_BY_CAPABILITY);
	/*
	 * the maker of the user namespace, from outside; and a caller inside without capabilities
	 */
	assert_int_equal(ipcfs_access(&question, &outside, NULL, &reason), 0);
	inside.caps = 0;
	assert_int_equal(ipcfs_access(&question, &inside, NULL, &reason), -EACCES);

	inside.caps = outside.caps = UINT64_MAX;
	question.authority = &our_own;
	assert_int_equal(ipcfs_access(&question, &inside, NULL, &reason), -EACCES);
	assert_int_equal(ipcfs_access(&question, &outside, NULL, &reason), 0);
	question.authority = NULL;
	assert_int_equal(ipcfs_access(&question, &outside, NULL, &reason), -EACCES);
}

/* The kernel's capable_wrt_inode_uidgid(). */
static void files_need_ids_in_the_callers_user_namespace(void **state)
{
	static const struct {
		const char *uids, *gids;
		bool may;
	} maps[] = {
		{ "0 1000 10\n", "0 2000 10\n", true },	 { "0 1000 10\n", "", false },
		{ "0 1000 10\n", "0 3000 10\n", false }, { "", "0 2000 10\n", false },
		{ "0 1002 10\n", "0 2000 10\n", false }, { "", "", false },
	};
	struct ipcfs_perm perm = perm_template;
	struct ipcfs_caller caller = { .uid = STRANGER,
				       .loaded = true,
				       .caps = BIT(CAP_DAC_OVERRIDE),
				       .user_ns = 0x2000,
				       .foreign = true };

	(void)state;
	assert_int_equal(ask(IPCFS_RULE_FILE, &perm, &caller, IPCFS_WANT_READ, NULL), -EACCES);
	for (size_t i = 0; i < COUNT(maps); i++) {
		assert_int_equal(ipcfs_id_map_parse(maps[i].uids, maps[i].gids, &caller.map), 0);
		assert_int_equal(ask(IPCFS_RULE_FILE, &perm, &caller, IPCFS_WANT_READ, NULL),
				 maps[i].may ? 0 : -EACCES);
		free(caller.map);
	}
	/* for a caller of the daemon's own user namespace the map does not matter */
	caller.map = NULL;
	caller.foreign = false;
	assert_int_equal(ask(IPCFS_RULE_FILE, &perm, &caller, IPCFS_WANT_READ, NULL), 0);
}

/*
 * The kernel's own answers. A process that is root except for its effective ids and capabilities
 * plays each role.
 */
#define QUEUE_NAME "/queue"
#define KEY 0x51

static int caps_set(uint64_t effective)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -1;
	for (int i = 0; i < 2; i++)
		data[i].effective = (uint32_t)(effective >> 32 * i) & data[i].permitted;
	return (int)syscall(SYS_capset, &header, data);
}

static bool become(const struct role *role)
{
	return setgroups(group_count(role), role->groups) == 0 && setegid(role->gid) == 0 &&
	       seteuid(role->uid) == 0 && caps_set(role->caps) == 0;
}

/* Capabilities first: changing the ids needs them. */
static bool become_root(void)
{
	return caps_set(UINT64_MAX) == 0 && seteuid(0) == 0 && setegid(0) == 0 &&
	       caps_set(UINT64_MAX) == 0;
}

static bool kernel_allows_sysv(unsigned want)
{
	/* msgget(2) asks for the bits of its flags. */
	return msgget(KEY, (int)(want << 6)) >= 0;
}

static bool kernel_allows_posix(unsigned want)
{
	int flags = want == IPCFS_WANT_READ    ? O_RDONLY
		    : want == IPCFS_WANT_WRITE ? O_WRONLY
					       : O_RDWR;
	mqd_t queue = mq_open(QUEUE_NAME, flags | O_CLOEXEC);

	if (queue == (mqd_t)-1)
		return false;
	mq_close(queue);
	return true;
}

static bool same_answer(enum ipcfs_rule rule, const struct role *role, unsigned mode, unsigned want,
			bool kernel)
{
	struct ipcfs_caller caller = { .uid = role->uid, .gid = role->gid };
	struct ipcfs_perm perm = perm_template;

	perm.mode = mode;
	to_load = role;
	if ((ask(rule, &perm, &caller, want, load) == 0) == kernel)
		return true;
	fprintf(stderr,
		"rule %d mode %04o want %u uid %u gid %u %zu groups caps %#llx: kernel %d\n",
		(int)rule, mode, want, role->uid, role->gid, group_count(role),
		(unsigned long long)role->caps, kernel);
	return false;
}

static bool compare(const struct role *role, unsigned mode)
{
	bool sysv[COUNT(wants)], posix[COUNT(wants)], same = true;

	if (!become(role))
		return false;
	for (size_t w = 0; w < COUNT(wants); w++) {
		sysv[w] = kernel_allows_sysv(wants[w]);
		posix[w] = kernel_allows_posix(wants[w]);
	}
	if (!become_root())
		return false;
	for (size_t w = 0; w < COUNT(wants); w++)
		same = same_answer(IPCFS_RULE_SYSV, role, mode, wants[w], sysv[w]) &&
		       same_answer(IPCFS_RULE_FILE, role, mode, wants[w], posix[w]) && same;
	return same;
}

/* Makes a queue whose creator is CREATOR. Returns its id, or -1. */
static int make_queues(mqd_t *posix)
{
	const struct role creator = { CREATOR, CREATOR_GROUP, group_sets[0], 0 };
	struct mq_attr small = { .mq_maxmsg = 1, .mq_msgsize = 1 };
	int id;

	*posix = mq_open(QUEUE_NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &small);
	if (*posix == (mqd_t)-1 || fchown(*posix, OWNER, GROUP))
		return -1;
	if (!become(&creator))
		return -1;
	id = msgget(KEY, IPC_CREAT | IPC_EXCL | 0600);
	return become_root() ? id : -1;
}

/* Exit status: 0 the answers agree, 1 they do not, 77 it cannot be tried here. */
static int compare_all(void)
{
	struct role role;
	bool same = true;
	mqd_t posix;
	int id;

	if (geteuid() != 0 || unshare(CLONE_NEWIPC) || !become_root())
		return 77;
	id = make_queues(&posix);
	if (id < 0)
		return 77;
	for (unsigned bits = 0; bits < 64; bits++) {
		unsigned mode = (bits & 060) << 3 | (bits & 014) << 2 | (bits & 03) << 1;
		struct msqid_ds change = { .msg_perm = { .uid = OWNER, .gid = GROUP } };

		change.msg_perm.mode = (unsigned short)mode;
		change.msg_qbytes = 1;
		if (msgctl(id, IPC_SET, &change) || fchmod(posix, mode))
			return 1;
		for (size_t i = 0; role_at(i, &role); i++)
			same = compare(&role, mode) && same;
	}
	return same ? 0 : 1;
}

static void kernel_says_the_same(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0)
		_exit(compare_all());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mode_and_role),
		cmocka_unit_test(wanting_nothing),
		cmocka_unit_test(authority_decides_for_system_v),
		cmocka_unit_test(files_need_ids_in_the_callers_user_namespace),
		cmocka_unit_test(kernel_says_the_same),
	};

	return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
