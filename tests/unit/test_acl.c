/* SPDX-License-Identifier: MIT */
/* Access control lists: the attribute's value and the text form, in both directions, and modes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "backends/contract/acl.h"

#define NONE 0xffffffff

struct raw {
	uint16_t tag, perm;
	uint32_t id;
};

/* The value of the attribute, as the kernel defines it (all little-endian). */
static size_t value_of(uint32_t version, const struct raw *entries, size_t count, unsigned char *to)
{
	size_t size = 0;

	for (int i = 0; i < 4; i++)
		to[size++] = (unsigned char)(version >> 8 * i);
	for (size_t e = 0; e < count; e++) {
		for (int i = 0; i < 2; i++)
			to[size++] = (unsigned char)(entries[e].tag >> 8 * i);
		for (int i = 0; i < 2; i++)
			to[size++] = (unsigned char)(entries[e].perm >> 8 * i);
		for (int i = 0; i < 4; i++)
			to[size++] = (unsigned char)(entries[e].id >> 8 * i);
	}
	return size;
}

#define CAPACITY 65536

static int parse(struct ipcfs_acl *acl, const struct raw *entries, size_t count)
{
	unsigned char *bytes = malloc(CAPACITY);
	size_t size;
	int error;

	assert_non_null(bytes);
	size = value_of(2, entries, count, bytes);
	error = ipcfs_acl_parse(acl, bytes, size);
	free(bytes);
	return error;
}

#define COUNT(list) (sizeof(list) / sizeof(*(list)))
#define PARSE(acl, ...)                                                                            \
	parse(acl, (const struct raw[]){ __VA_ARGS__ },                                            \
	      COUNT(((const struct raw[]){ __VA_ARGS__ })))

static const struct raw full[] = {
	{ 0x01, 6, NONE }, { 0x02, 4, 0 },    { 0x02, 2, 1000 }, { 0x02, 6, NONE - 1 },
	{ 0x04, 4, NONE }, { 0x08, 6, 1000 }, { 0x10, 6, NONE }, { 0x20, 0, NONE },
};

static const char full_text[] = "user::rw-\n"
				"user:0:r--\n"
				"user:1000:-w-\n"
				"user:4294967294:rw-\n"
				"group::r--\n"
				"group:1000:rw-\n"
				"mask::rw-\n"
				"other::---\n";

static void the_attribute_there_and_back(void **state)
{
	unsigned char bytes[256];
	size_t size = value_of(2, full, COUNT(full), bytes);
	struct ipcfs_text out = { 0 };
	IPCFS_ACL_AUTO acl = { 0 };

	(void)state;
	assert_int_equal(ipcfs_acl_parse(&acl, bytes, size), 0);
	assert_int_equal(acl.count, COUNT(full));
	for (size_t i = 0; i < acl.count; i++) {
		assert_int_equal(acl.entries[i].tag, full[i].tag);
		assert_int_equal(acl.entries[i].perm, full[i].perm);
	}
	assert_int_equal(acl.entries[3].id, NONE - 1);
	assert_int_equal(acl.entries[4].id, 0);
	assert_true(ipcfs_acl_is_extended(&acl));

	assert_int_equal(ipcfs_text_add(&out, "x", 1), 0);
	assert_int_equal(ipcfs_acl_format(&acl, &out), 0);
	assert_int_equal(out.size, 1 + size);
	assert_memory_equal(out.data + 1, bytes, size);
	ipcfs_text_free(&out);
}

static void text_there_and_back(void **state)
{
	struct ipcfs_text out = { 0 };
	IPCFS_ACL_AUTO acl = { 0 };
	IPCFS_ACL_AUTO again = { 0 };

	(void)state;
	assert_int_equal(parse(&acl, full, COUNT(full)), 0);
	assert_int_equal(ipcfs_acl_print(&acl, &out), 0);
	assert_int_equal(out.size, strlen(full_text));
	assert_memory_equal(out.data, full_text, out.size);
	ipcfs_text_free(&out);

	assert_int_equal(ipcfs_acl_read(&again, full_text), 0);
	assert_int_equal(again.count, acl.count);
	assert_memory_equal(again.entries, acl.entries, acl.count * sizeof(*acl.entries));
}

static void what_is_not_ours_is_refused_as_text(void **state)
{
	static const char *const bad[] = {
		"",
		"\n",
		"user::rw-\n",
		"user::rw-\ngroup::r--\nother::---",
		"user::rw-\nuser:root:rw-\ngroup::r--\nmask::rw-\nother::---\n",
		"user::rw-\nuser:010:rw-\ngroup::r--\nmask::rw-\nother::---\n",
		"user::rw-\nuser:0x1:rw-\ngroup::r--\nmask::rw-\nother::---\n",
		"user::rw-\nuser:-1:rw-\ngroup::r--\nmask::rw-\nother::---\n",
		"user::rw-\nuser:4294967295:rw-\ngroup::r--\nmask::rw-\nother::---\n",
		"user::rw-\nuser:4294967296:rw-\ngroup::r--\nmask::rw-\nother::---\n",
		"user::rw-\nuser:99999999999999999999:rw-\ngroup::r--\nmask::rw-\nother::---\n",
		"user::rw-\nuser:5:rw-\ngroup::r--\nother::---\n",
		"user::rw-\nuser:5:rw-\nuser:5:r--\ngroup::r--\nmask::rw-\nother::---\n",
		"user::rw-,group::r--,other::---\n",
		"user::rw-\n# group::r--\ngroup::r--\nother::---\n",
		"user::rw- \ngroup::r--\nother::---\n",
		"user::rwq\ngroup::r--\nother::---\n",
		"robot::rw-\ngroup::r--\nother::---\n",
		"default:user::rw-\ngroup::r--\nother::---\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		IPCFS_ACL_AUTO acl = { 0 };

		if (ipcfs_acl_read(&acl, bad[i]) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(acl.count, 0);
	}
}

static void malformed_values_are_refused(void **state)
{
	unsigned char bytes[256];
	size_t size = value_of(2, full, COUNT(full), bytes);
	IPCFS_ACL_AUTO acl = { 0 };

	(void)state;
	/* every size except the right one */
	for (size_t cut = 0; cut < size; cut++)
		assert_int_equal(ipcfs_acl_parse(&acl, bytes, cut), -EINVAL);
	(void)value_of(1, full, COUNT(full), bytes);
	assert_int_equal(ipcfs_acl_parse(&acl, bytes, size), -EOPNOTSUPP);
	(void)value_of(3, full, COUNT(full), bytes);
	assert_int_equal(ipcfs_acl_parse(&acl, bytes, size), -EOPNOTSUPP);
	(void)value_of(0x02000000, full, COUNT(full), bytes);
	assert_int_equal(ipcfs_acl_parse(&acl, bytes, size), -EOPNOTSUPP);
	assert_int_equal(acl.count, 0);
}

static void invalid_lists_are_refused(void **state)
{
	IPCFS_ACL_AUTO acl = { 0 };

	(void)state;
	/* an entry is missing */
	assert_int_equal(PARSE(&acl, { 1, 6, 0 }, { 4, 6, 0 }), -EINVAL);
	assert_int_equal(PARSE(&acl, { 4, 6, 0 }, { 0x20, 6, 0 }), -EINVAL);
	assert_int_equal(PARSE(&acl, { 1, 6, 0 }, { 2, 6, 5 }, { 4, 6, 0 }, { 0x20, 6, 0 }),
			 -EINVAL);
	/* an entry too many */
	assert_int_equal(PARSE(&acl, { 1, 6, 0 }, { 1, 6, 0 }, { 4, 6, 0 }, { 0x20, 6, 0 }),
			 -EINVAL);
	assert_int_equal(PARSE(&acl, { 1, 6, 0 }, { 2, 6, 5 }, { 2, 6, 5 }, { 4, 6, 0 },
			       { 0x10, 6, 0 }, { 0x20, 6, 0 }),
			 -EINVAL);
	/* entries out of order */
	assert_int_equal(PARSE(&acl, { 4, 6, 0 }, { 1, 6, 0 }, { 0x20, 6, 0 }), -EINVAL);
	assert_int_equal(PARSE(&acl, { 1, 6, 0 }, { 4, 6, 0 }, { 2, 6, 5 }, { 0x10, 6, 0 },
			       { 0x20, 6, 0 }),
			 -EINVAL);
	/* invalid tags, bits and ids */
	assert_int_equal(PARSE(&acl, { 1, 6, 0 }, { 4, 8, 0 }, { 0x20, 6, 0 }), -EINVAL);
	assert_int_equal(PARSE(&acl, { 1, 6, 0 }, { 3, 6, 0 }, { 4, 6, 0 }, { 0x20, 6, 0 }),
			 -EINVAL);
	assert_int_equal(PARSE(&acl, { 1, 6, 0 }, { 4, 6, 0 }, { 0x20, 6, 0 }, { 0x40, 6, 0 }),
			 -EINVAL);
	assert_int_equal(PARSE(&acl, { 1, 6, 0 }, { 2, 6, NONE }, { 4, 6, 0 }, { 0x10, 6, 0 },
			       { 0x20, 6, 0 }),
			 -EINVAL);
	assert_int_equal(acl.count, 0);
}

static void ids_come_in_any_order(void **state)
{
	IPCFS_ACL_AUTO acl = { 0 };

	(void)state;
	assert_int_equal(PARSE(&acl, { 1, 6, 0 }, { 2, 6, 9 }, { 2, 4, 7 }, { 4, 6, 0 },
			       { 0x10, 6, 0 }, { 0x20, 6, 0 }),
			 0);
	assert_int_equal(acl.entries[1].id, 7);
	assert_int_equal(acl.entries[2].id, 9);
}

static void execute_bits_are_dropped(void **state)
{
	IPCFS_ACL_AUTO acl = { 0 };
	IPCFS_ACL_AUTO read = { 0 };

	(void)state;
	assert_int_equal(PARSE(&acl, { 1, 7, 0 }, { 4, 5, 0 }, { 0x20, 1, 0 }), 0);
	assert_int_equal(ipcfs_acl_mode(&acl), 0640);
	assert_false(ipcfs_acl_is_extended(&acl));
	assert_int_equal(ipcfs_acl_read(&read, "user::rwx\ngroup::r-x\nother::--x\n"), 0);
	assert_int_equal(ipcfs_acl_mode(&read), 0640);
}

static void the_largest_attribute(void **state)
{
	struct raw *entries = calloc(8191, sizeof(*entries));
	struct ipcfs_text out = { 0 };
	IPCFS_ACL_AUTO acl = { 0 };
	IPCFS_ACL_AUTO again = { 0 };

	(void)state;
	assert_non_null(entries);
	entries[0] = full[0];
	for (uint32_t i = 1; i < 8188; i++)
		entries[i] = (struct raw){ 2, 4, 8188 - i };
	entries[8188] = full[4];
	entries[8189] = full[6];
	entries[8190] = full[7];
	assert_int_equal(parse(&acl, entries, 8191), 0);
	free(entries);
	assert_int_equal(acl.count, 8191);
	assert_int_equal(ipcfs_acl_print(&acl, &out), 0);
	assert_int_equal(ipcfs_text_add(&out, "", 1), 0);
	assert_int_equal(ipcfs_acl_read(&again, out.data), 0);
	assert_int_equal(again.count, 8191);
	ipcfs_text_free(&out);
}

static void modes(void **state)
{
	IPCFS_ACL_AUTO acl = { 0 };
	IPCFS_ACL_AUTO plain = { 0 };

	(void)state;
	/* the group may read and write, within the mask */
	assert_int_equal(PARSE(&acl, { 1, 4, 0 }, { 2, 6, 5 }, { 4, 6, 0 }, { 0x10, 4, 0 },
			       { 0x20, 2, 0 }),
			 0);
	assert_int_equal(ipcfs_acl_mode(&acl), 0442);
	assert_int_equal(ipcfs_acl_plain_mode(&acl), 0442);
	/* the group may do nothing, whatever the mask grants to others */
	ipcfs_acl_entry(&acl, IPCFS_ACL_GROUP_OBJ)->perm = 0;
	ipcfs_acl_entry(&acl, IPCFS_ACL_MASK)->perm = 6;
	assert_int_equal(ipcfs_acl_mode(&acl), 0462);
	assert_int_equal(ipcfs_acl_plain_mode(&acl), 0402);

	/* chmod sets the mask, where there is one */
	ipcfs_acl_chmod(&acl, 0777);
	assert_int_equal(ipcfs_acl_mode(&acl), 0666);
	assert_int_equal(ipcfs_acl_plain_mode(&acl), 0606);
	assert_int_equal(ipcfs_acl_entry(&acl, IPCFS_ACL_GROUP_OBJ)->perm, 0);
	assert_int_equal(ipcfs_acl_entry(&acl, IPCFS_ACL_USER)->perm, 6);
	ipcfs_acl_chmod(&acl, 0);
	assert_int_equal(ipcfs_acl_mode(&acl), 0);
	assert_int_equal(ipcfs_acl_entry(&acl, IPCFS_ACL_USER)->perm, 6);

	assert_int_equal(PARSE(&plain, { 1, 0, 0 }, { 4, 0, 0 }, { 0x20, 0, 0 }), 0);
	assert_null(ipcfs_acl_entry(&plain, IPCFS_ACL_MASK));
	ipcfs_acl_chmod(&plain, 0640);
	assert_int_equal(ipcfs_acl_mode(&plain), 0640);
	assert_int_equal(ipcfs_acl_plain_mode(&plain), 0640);
}

static void copies_are_deep(void **state)
{
	IPCFS_ACL_AUTO acl = { 0 };
	IPCFS_ACL_AUTO copy = { 0 };
	struct ipcfs_acl none = { 0 };

	(void)state;
	assert_int_equal(parse(&acl, full, COUNT(full)), 0);
	assert_int_equal(ipcfs_acl_copy(&copy, &acl), 0);
	ipcfs_acl_chmod(&acl, 0);
	assert_int_equal(ipcfs_acl_mode(&copy), 0660);
	ipcfs_acl_free(&acl);
	assert_int_equal(acl.count, 0);
	assert_null(acl.entries);
	assert_int_equal(ipcfs_acl_copy(&acl, &none), 0);
	assert_int_equal(acl.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_attribute_there_and_back),
		cmocka_unit_test(text_there_and_back),
		cmocka_unit_test(what_is_not_ours_is_refused_as_text),
		cmocka_unit_test(malformed_values_are_refused),
		cmocka_unit_test(invalid_lists_are_refused),
		cmocka_unit_test(ids_come_in_any_order),
		cmocka_unit_test(execute_bits_are_dropped),
		cmocka_unit_test(the_largest_attribute),
		cmocka_unit_test(modes),
		cmocka_unit_test(copies_are_deep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
