/* SPDX-License-Identifier: MIT */
/*
 * Access control lists: the access rule on random lists, compared with the kernel on files with the
 * same lists.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/contract/acl.h"
#include "fs/access/access.h"

#define LISTS 400
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { OWNER = 1001, FIRST_USER, USERS = 4, GROUP = 2001, FIRST_GROUP, GROUPS = 4 };

struct role {
	uid_t uid;
	gid_t gid;
	gid_t groups[3];
	size_t ngroups;
};

static const struct role roles[] = {
	{ .uid = OWNER, .gid = 9 },
	{ .uid = OWNER, .gid = GROUP, .groups = { FIRST_GROUP }, .ngroups = 1 },
	{ .uid = FIRST_USER, .gid = 9 },
	{ .uid = FIRST_USER + 1, .gid = GROUP },
	{ .uid = FIRST_USER + 2,
	  .gid = FIRST_GROUP,
	  .groups = { GROUP, FIRST_GROUP + 1 },
	  .ngroups = 2 },
	{ .uid = 5000, .gid = 9 },
	{ .uid = 5000, .gid = GROUP },
	{ .uid = 5000, .gid = FIRST_GROUP },
	{ .uid = 5000, .gid = 9, .groups = { FIRST_GROUP + 2, FIRST_GROUP }, .ngroups = 2 },
	{ .uid = 5000, .gid = 9, .groups = { GROUP, FIRST_GROUP, FIRST_GROUP + 1 }, .ngroups = 3 },
};

static const unsigned wants[] = { 4, 2, 6 };

static void add(struct ipcfs_acl *acl, enum ipcfs_acl_tag tag, uint32_t id)
{
	acl->entries[acl->count++] = (struct ipcfs_acl_entry){
		.tag = (uint16_t)tag,
		.perm = (uint16_t)(random() & 6),
		.id = id,
	};
}

/* Each user and group is named or not; sorted, as lists are. */
static void random_list(struct ipcfs_acl *acl)
{
	bool named = false;

	acl->entries = calloc(USERS + GROUPS + 4, sizeof(*acl->entries));
	assert_non_null(acl->entries);
	acl->count = 0;
	add(acl, IPCFS_ACL_USER_OBJ, 0);
	for (uint32_t i = 0; i < USERS; i++)
		if (random() & 1)
			add(acl, IPCFS_ACL_USER, FIRST_USER + i);
	add(acl, IPCFS_ACL_GROUP_OBJ, 0);
	for (uint32_t i = 0; i < GROUPS; i++)
		if (random() & 1)
			add(acl, IPCFS_ACL_GROUP, FIRST_GROUP + i);
	named = acl->count > 2;
	if (named || random() & 1)
		add(acl, IPCFS_ACL_MASK, 0);
	add(acl, IPCFS_ACL_OTHER, 0);
}

static void make_file(const char *name, const struct ipcfs_acl *acl)
{
	struct ipcfs_text value = { 0 };
	int fd = open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fchown(fd, OWNER, GROUP), 0);
	assert_int_equal(ipcfs_acl_format(acl, &value), 0);
	assert_int_equal(fsetxattr(fd, IPCFS_ACL_ATTRIBUTE, value.data, value.size, 0), 0);
	ipcfs_text_free(&value);
	close(fd);
}

/* Asks the kernel as this caller, in a process of its own: may[list][want]. */
static void ask_kernel(const struct role *role, const char *directory,
		       unsigned char may[LISTS][COUNT(wants)])
{
	static const int flags[] = { O_RDONLY, O_WRONLY, O_RDWR };
	pid_t child = fork();
	char name[128];
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		if (setgroups(role->ngroups, role->groups) ||
		    setresgid(role->gid, role->gid, role->gid) ||
		    setresuid(role->uid, role->uid, role->uid))
			_exit(1);
		for (size_t i = 0; i < LISTS; i++)
			for (size_t j = 0; j < COUNT(wants); j++) {
				int fd;

				snprintf(name, sizeof(name), "%s/%zu", directory, i);
				fd = open(name, flags[j] | O_CLOEXEC);
				if (fd < 0 && errno != EACCES)
					_exit(2);
				may[i][j] = fd >= 0;
				if (fd >= 0)
					close(fd);
			}
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static const struct role *loading;

static int load(struct ipcfs_caller *caller)
{
	caller->loaded = true;
	caller->ngroups = loading->ngroups;
	caller->groups = (gid_t *)(uintptr_t)loading->groups;
	return 0;
}

static void check(const struct role *role, const struct ipcfs_acl *acl, unsigned want, bool may)
{
	struct ipcfs_perm perm = { .uid = OWNER, .cuid = OWNER, .gid = GROUP, .cgid = GROUP };
	struct ipcfs_caller lazy = { .uid = role->uid, .gid = role->gid };
	struct ipcfs_caller loaded = lazy;
	struct ipcfs_question question = {
		.rule = IPCFS_RULE_FILE, .perm = &perm, .acl = acl, .want = want
	};
	enum ipcfs_reason reason;

	perm.mode = ipcfs_acl_mode(acl);
	loading = role;
	load(&loaded);
	for (int rule = 0; rule < 2; rule++) {
		question.rule = rule ? IPCFS_RULE_SYSV : IPCFS_RULE_FILE;
		assert_int_equal(ipcfs_access(&question, &loaded, NULL, &reason),
				 may ? 0 : -EACCES);
		lazy.loaded = false;
		assert_int_equal(ipcfs_access(&question, &lazy, load, &reason), may ? 0 : -EACCES);
		assert_int_not_equal(reason, IPCFS_BY_NOTHING);
	}
}

static void same_as_kernel(void **state)
{
	char directory[] = "/dev/shm/access-list-XXXXXX", name[128];
	static struct ipcfs_acl lists[LISTS];
	unsigned char(*may)[COUNT(wants)];

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(directory));
	assert_int_equal(chmod(directory, 0755), 0);
	srandom(1);
	for (size_t i = 0; i < LISTS; i++) {
		random_list(&lists[i]);
		snprintf(name, sizeof(name), "%s/%zu", directory, i);
		make_file(name, &lists[i]);
	}
	may = mmap(NULL, LISTS * sizeof(*may), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		   -1, 0);
	assert_true(may != MAP_FAILED);
	for (size_t i = 0; i < COUNT(roles); i++) {
		ask_kernel(&roles[i], directory, may);
		for (size_t j = 0; j < LISTS; j++)
			for (size_t k = 0; k < COUNT(wants); k++)
				check(&roles[i], &lists[j], wants[k], may[j][k]);
	}
	munmap(may, LISTS * sizeof(*may));
	for (size_t i = 0; i < LISTS; i++) {
		snprintf(name, sizeof(name), "%s/%zu", directory, i);
		unlink(name);
		ipcfs_acl_free(&lists[i]);
	}
	rmdir(directory);
}

/* A creator who is not the owner has the owner's bits, as in the kernel, whatever the list says. */
static void creator_is_owner(void **state)
{
	struct ipcfs_acl_entry entries[] = {
		{ .tag = IPCFS_ACL_USER_OBJ, .perm = 4 },
		{ .tag = IPCFS_ACL_USER, .perm = 2, .id = FIRST_USER },
		{ .tag = IPCFS_ACL_GROUP_OBJ },
		{ .tag = IPCFS_ACL_MASK, .perm = 6 },
		{ .tag = IPCFS_ACL_OTHER },
	};
	struct ipcfs_acl acl = { COUNT(entries), entries };
	struct ipcfs_perm perm = { .uid = OWNER, .cuid = FIRST_USER, .mode = 0460 };
	struct ipcfs_caller caller = { .uid = FIRST_USER, .gid = 9 };
	struct ipcfs_question question = {
		.rule = IPCFS_RULE_SYSV, .perm = &perm, .acl = &acl, .want = 4
	};
	enum ipcfs_reason reason;

	(void)state;
	assert_int_equal(ipcfs_access(&question, &caller, NULL, &reason), 0);
	assert_int_equal(reason, IPCFS_BY_OWNER);
	question.want = 2;
	assert_int_equal(ipcfs_access(&question, &caller, NULL, &reason), -EACCES);
	question.rule = IPCFS_RULE_FILE;
	assert_int_equal(ipcfs_access(&question, &caller, NULL, &reason), 0);
	assert_int_equal(reason, IPCFS_BY_NAMED_USER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_kernel),
		cmocka_unit_test(creator_is_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
