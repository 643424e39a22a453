/* SPDX-License-Identifier: MIT */
/* Which lists take rights away only: compared with what acl(5) grants to callers of all sorts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fs/access/acl_narrow.h"

#define ROUNDS 300000
#define IDS 3 /* users 1 to 3, groups 1 to 3; the owning group is 1 */

static bool narrows(const char *from, const char *to)
{
	IPCFS_ACL_AUTO before = { 0 };
	IPCFS_ACL_AUTO after = { 0 };

	assert_int_equal(ipcfs_acl_read(&before, from), 0);
	assert_int_equal(ipcfs_acl_read(&after, to), 0);
	return ipcfs_acl_narrows(&before, &after);
}

#define LIST "user::rw-\nuser:1:rw-\ngroup::r--\ngroup:9:rw-\nmask::rw-\nother::---\n"

static void what_users_do(void **state)
{
	(void)state;
	assert_true(narrows(LIST, LIST));
	/* chmod 600, chmod 400, setfacl -m u:1:r, -x g:9 */
	assert_true(narrows(LIST, "user::rw-\nuser:1:rw-\ngroup::r--\ngroup:9:rw-\nmask::---\n"
				  "other::---\n"));
	assert_true(narrows(LIST, "user::r--\nuser:1:rw-\ngroup::r--\ngroup:9:rw-\nmask::---\n"
				  "other::---\n"));
	assert_true(narrows(LIST, "user::rw-\nuser:1:r--\ngroup::r--\ngroup:9:rw-\nmask::rw-\n"
				  "other::---\n"));
	assert_true(narrows(LIST, "user::rw-\nuser:1:rw-\ngroup::r--\nmask::rw-\nother::---\n"));
	/* setfacl -x u:1, who had more than any group; and -m u:2:- */
	assert_true(narrows(LIST, "user::rw-\ngroup::r--\ngroup:9:rw-\nmask::rw-\nother::---\n"));
	assert_true(narrows(LIST, "user::rw-\nuser:1:rw-\nuser:2:---\ngroup::r--\ngroup:9:rw-\n"
				  "mask::rw-\nother::---\n"));
	/* what grants something to somebody, or may */
	assert_false(narrows(LIST, "user::rw-\nuser:1:rw-\nuser:2:r--\ngroup::r--\ngroup:9:rw-\n"
				   "mask::rw-\nother::---\n"));
	assert_false(narrows(LIST, "user::rw-\nuser:1:rw-\ngroup::r--\ngroup:9:rw-\nmask::rw-\n"
				   "other::r--\n"));
	assert_false(narrows("user::rw-\nuser:1:---\ngroup::r--\nmask::r--\nother::---\n",
			     "user::rw-\ngroup::r--\nother::---\n"));
	assert_false(narrows("user::rw-\nuser:1:rw-\ngroup::r--\nmask::---\nother::---\n",
			     "user::rw-\nuser:1:rw-\ngroup::r--\nmask::r--\nother::---\n"));
}

/* Makes a valid list. */
static void make(struct ipcfs_acl *acl, unsigned *seed)
{
	struct ipcfs_acl_entry *entry = acl->entries;
	static const uint16_t named[] = { IPCFS_ACL_USER, IPCFS_ACL_GROUP };

	*entry++ = (struct ipcfs_acl_entry){ .tag = IPCFS_ACL_USER_OBJ };
	for (int i = 0; i < 2; i++) {
		for (uint32_t id = 1; id <= IDS; id++)
			if (rand_r(seed) % 3 == 0)
				*entry++ = (struct ipcfs_acl_entry){ .tag = named[i], .id = id };
		if (i == 0)
			*entry++ = (struct ipcfs_acl_entry){ .tag = IPCFS_ACL_GROUP_OBJ };
	}
	*entry++ = (struct ipcfs_acl_entry){ .tag = IPCFS_ACL_MASK };
	*entry++ = (struct ipcfs_acl_entry){ .tag = IPCFS_ACL_OTHER };
	acl->count = (size_t)(entry - acl->entries);
	for (size_t i = 0; i < acl->count; i++)
		acl->entries[i].perm = (uint16_t)(rand_r(seed) % 4 * 2);
}

/* Returns whether a user that is in these groups (bits) is granted all of `want`: see acl(5). */
static bool grants(const struct ipcfs_acl *acl, uint32_t uid, unsigned groups, unsigned want)
{
	unsigned mask = ipcfs_acl_entry(acl, IPCFS_ACL_MASK)->perm;
	bool in_group = false;

	for (size_t i = 0; i < acl->count; i++)
		if (acl->entries[i].tag == IPCFS_ACL_USER && acl->entries[i].id == uid)
			return (acl->entries[i].perm & mask & want) == want;
	for (size_t i = 0; i < acl->count; i++) {
		const struct ipcfs_acl_entry *entry = &acl->entries[i];
		uint32_t id = entry->tag == IPCFS_ACL_GROUP_OBJ ? 1 : entry->id;

		if ((entry->tag != IPCFS_ACL_GROUP_OBJ && entry->tag != IPCFS_ACL_GROUP) ||
		    !(groups & 1U << id))
			continue;
		in_group = true;
		if ((entry->perm & mask & want) == want)
			return true;
	}
	return !in_group && (ipcfs_acl_entry(acl, IPCFS_ACL_OTHER)->perm & want) == want;
}

static void nobody_gains(void **state)
{
	struct ipcfs_acl_entry first[16], second[16];
	struct ipcfs_acl from = { 0, first }, to = { 0, second };
	unsigned seed = 11, found = 0;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		make(&from, &seed);
		make(&to, &seed);
		if (!ipcfs_acl_narrows(&from, &to))
			continue;
		found++;
		assert_false(second[0].perm & ~first[0].perm);
		for (uint32_t uid = 1; uid <= IDS + 1; uid++)
			for (unsigned groups = 0; groups < 16; groups += 2)
				for (unsigned want = 2; want <= 6; want += 2)
					if (grants(&to, uid, groups, want))
						assert_true(grants(&from, uid, groups, want));
	}
	assert_true(found > ROUNDS / 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_users_do),
		cmocka_unit_test(nobody_gains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
