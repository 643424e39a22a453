/* SPDX-License-Identifier: MIT */
/* Specifications, against a table of kinds of this file's own. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/spec.h"

static int any_name(const char *name)
{
	return strcmp(name, ".") && strcmp(name, "..") ? 0 : -EINVAL;
}

static int short_name(const char *name)
{
	return strlen(name) > 10 ? -ENAMETOOLONG : strncmp(name, "0x", 2) ? -EINVAL : 0;
}

static const struct ipcfs_backend mq = {
	.family = "posix",
	.class_name = "mq",
	.spec_keys = IPCFS_SPEC_MODE | IPCFS_SPEC_MAX_MESSAGES | IPCFS_SPEC_MAX_MESSAGE,
	.check_name = any_name,
};

static const struct ipcfs_backend msg = {
	.family = "sysv",
	.class_name = "msg",
	.spec_keys = IPCFS_SPEC_MODE | IPCFS_SPEC_MAX_BYTES,
	.check_name = short_name,
};

static const struct ipcfs_backend shm = {
	.family = "posix",
	.class_name = "shm",
	.spec_keys = IPCFS_SPEC_MODE | IPCFS_SPEC_SIZE,
	.check_name = any_name,
};

static const struct ipcfs_backend sem = {
	.family = "sysv",
	.class_name = "sem",
	.spec_keys = IPCFS_SPEC_VALUES,
	.check_name = any_name,
};

static const struct ipcfs_backend bare = {
	.family = "none",
	.class_name = "mq",
	.check_name = any_name,
};

const struct ipcfs_backend *const ipcfs_backends[] = { &mq, &msg, &shm, &sem, &bare, NULL };

static int parse(const char *line, struct ipcfs_spec *spec)
{
	return ipcfs_spec_parse(line, strlen(line), spec);
}

static void check_errors(const char *const *lines, size_t count, int want)
{
	for (size_t i = 0; i < count; i++) {
		struct ipcfs_spec spec;
		int got = parse(lines[i], &spec);

		if (got != want)
			print_message("line '%s': %d\n", lines[i], got);
		assert_int_equal(got, want);
	}
}

#define CHECK_ERRORS(lines, want) check_errors(lines, sizeof(lines) / sizeof((lines)[0]), want)

static void plain_lines(void **state)
{
	struct ipcfs_spec spec;

	(void)state;
	assert_int_equal(parse("posix/mq/jobs", &spec), 0);
	assert_ptr_equal(spec.backend, &mq);
	assert_string_equal(spec.name, "jobs");
	assert_int_equal(spec.given, 0);
	assert_int_equal(spec.mode, 0600);
	assert_int_equal(spec.max_messages | spec.max_message | spec.max_bytes, 0);

	assert_int_equal(parse("posix/mq/jobs maxmsg=100 msgsize=4096 mode=0660", &spec), 0);
	assert_int_equal(spec.given,
			 IPCFS_SPEC_MODE | IPCFS_SPEC_MAX_MESSAGES | IPCFS_SPEC_MAX_MESSAGE);
	assert_int_equal(spec.mode, 0660);
	assert_int_equal(spec.max_messages, 100);
	assert_int_equal(spec.max_message, 4096);

	assert_int_equal(parse(" \t sysv/msg/0x51\t\tmode=0 \t qbytes=1M ", &spec), 0);
	assert_ptr_equal(spec.backend, &msg);
	assert_string_equal(spec.name, "0x51");
	assert_int_equal(spec.given, IPCFS_SPEC_MODE | IPCFS_SPEC_MAX_BYTES);
	assert_int_equal(spec.mode, 0);
	assert_int_equal(spec.max_bytes, 1 << 20);
}

static void sizes(void **state)
{
	static const struct {
		const char *line;
		uint64_t size;
	} good[] = {
		{ "posix/shm/x size=0", 0 },
		{ "posix/shm/x size=1", 1 },
		{ "posix/shm/x size=3K", 3072 },
		{ "posix/shm/x size=1M mode=0640", 1 << 20 },
		{ "posix/shm/x size=1G", 1 << 30 },
		{ "posix/shm/x size=2T", (uint64_t)2 << 40 },
		{ "posix/shm/x size=4611686018427387904", (uint64_t)1 << 62 },
		{ "posix/shm/x size=9223372036854775807", INT64_MAX },
	};
	static const char *const malformed[] = {
		"posix/shm/x size=",	     "posix/shm/x size=1k",   "posix/shm/x size=1P",
		"posix/shm/x size=-1",	     "posix/shm/x size=1.5M", "posix/shm/x size=K",
		"posix/shm/x size=1 size=1", "posix/mq/x size=1",     "sysv/msg/0x1 size=1",
	};
	static const char *const beyond[] = {
		"posix/shm/x size=9223372036854775808",
		"posix/shm/x size=8388608T",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct ipcfs_spec spec;

		assert_int_equal(parse(good[i].line, &spec), 0);
		assert_true(spec.given & IPCFS_SPEC_SIZE);
		assert_int_equal(spec.size, good[i].size);
	}
	CHECK_ERRORS(malformed, -EINVAL);
	CHECK_ERRORS(beyond, -ERANGE);
}

static void lines_with_nothing_to_do(void **state)
{
	static const char *const lines[] = {
		"", " ", "\t", " \t ", "#", "# posix/mq/jobs", " \t#comment", "#posix/mq/x mode=9",
	};

	(void)state;
	CHECK_ERRORS(lines, 1);
	assert_int_equal(ipcfs_spec_parse(NULL, 0, &(struct ipcfs_spec){ 0 }), 1);
}

static void malformed_lines(void **state)
{
	static const char *const lines[] = {
		"posix",
		"posix/",
		"posix/mq",
		"posix/mq/",
		"/posix/mq/x",
		"//x",
		"posix//x",
		"posix/mq//x",
		"posix/mq/x/",
		"posix/mq/x/y",
		"posix/msg/x",
		"sysv/mq/x",
		"posi/mq/x",
		"posix/m/x",
		"posixx/mq/x",
		"POSIX/mq/x",
		"posix/mq/..",
		"posix/mq/\\056\\056",
		"sysv/msg/jobs",
		"mode=0600",
		"mode=0600 posix/mq/x",
		"posix/mq/x # comment",
		"posix/mq/x\n",
		"posix/mq/x\n mode=0600",
		"posix/mq/x mode=0600\n",
		"posix/mq/x mode",
		"posix/mq/x =",
		"posix/mq/x =0600",
		"posix/mq/x mode=",
		"posix/mq/x mode= 0600",
		"posix/mq/x mode =0600",
		"posix/mq/x mode=0600=",
		"posix/mq/x mode=700",
		"posix/mq/x mode=rw",
		"posix/mq/x MODE=0600",
		"posix/mq/x mod=0600",
		"posix/mq/x modee=0600",
		"posix/mq/x mode=0600 mode=0600",
		"posix/mq/x maxmsg=1 maxmsg=2",
		"posix/mq/x maxmsg=",
		"posix/mq/x maxmsg=-1",
		"posix/mq/x maxmsg=ten",
		"posix/mq/x maxmsg=1\\060",
		"posix/mq/x qbytes=1",
		"posix/mq/x size=1M",
		"sysv/msg/0x51 maxmsg=1",
		"sysv/msg/0x51 msgsize=1",
		"none/mq/x mode=0600",
	};

	(void)state;
	CHECK_ERRORS(lines, -EINVAL);
}

static void values_out_of_range(void **state)
{
	static const char *const lines[] = {
		"posix/mq/x maxmsg=0",
		"posix/mq/x msgsize=0",
		"posix/mq/x msgsize=0K",
		"sysv/msg/0x51 qbytes=000",
		"posix/mq/x maxmsg=9223372036854775808",
		"posix/mq/x msgsize=8388608T",
		"posix/mq/x msgsize=99999999999999999999999",
		"sysv/msg/0x51 qbytes=18446744073709551616",
	};
	struct ipcfs_spec spec;

	(void)state;
	CHECK_ERRORS(lines, -ERANGE);
	assert_int_equal(parse("posix/mq/x maxmsg=9223372036854775807", &spec), 0);
	assert_true(spec.max_messages == 9223372036854775807U);
	assert_int_equal(parse("sysv/msg/0x51 qbytes=18446744073709551615", &spec), 0);
	assert_true(spec.max_bytes == UINT64_MAX);
}

static void long_names(void **state)
{
	char line[600] = "posix/mq/";
	size_t head = strlen(line);
	struct ipcfs_spec spec;

	(void)state;
	memset(line + head, 'n', 255);
	assert_int_equal(parse(line, &spec), 0);
	assert_int_equal(strlen(spec.name), 255);
	line[head + 255] = 'n';
	assert_int_equal(parse(line, &spec), -ENAMETOOLONG);
	/* An escape counts as the one byte it stands for. */
	memcpy(line + head + 252, "\\040nn", 7);
	assert_int_equal(parse(line, &spec), 0);
	assert_int_equal(strlen(spec.name), 255);
	assert_int_equal(spec.name[252], ' ');
	/* What is malformed besides is malformed. */
	memset(line + head, 'n', 300);
	strcpy(line + head + 300, "\\");
	assert_int_equal(parse(line, &spec), -EINVAL);
	/* The class has a word, too. */
	assert_int_equal(parse("sysv/msg/0x123456789", &spec), -ENAMETOOLONG);
	/* There is no class with such a name. */
	memset(line, 'f', 300);
	strcpy(line + 300, "/mq/x");
	assert_int_equal(parse(line, &spec), -EINVAL);
}

static void escapes(void **state)
{
	static const char *const bad[] = {
		"posix/mq/\\",	      "posix/mq/\\0",	  "posix/mq/\\04",  "posix/mq/\\000",
		"posix/mq/\\057",     "posix/mq/a\\057b", "posix/mq/\\400", "posix/mq/\\777",
		"posix/mq/\\08x",     "posix/mq/\\n",	  "posix/mq/\\\\",  "posix/mq/\\x41",
		"posix/mq/a\\ b",     "posix/mq/\\-12",	  "posix/mq/\\ 12", "posix/mq\\057x",
		"posix\\057mq\\057x",
	};
	struct ipcfs_spec spec;

	(void)state;
	CHECK_ERRORS(bad, -EINVAL);
	assert_int_equal(parse("posix/mq/a\\040b\\012\\134\\377\\0419", &spec), 0);
	assert_string_equal(spec.name, "a b\n\\\377!9");
	assert_int_equal(parse("posix/\\155q/\\043", &spec), 0);
	assert_string_equal(spec.name, "#");
	/* Bytes that only look odd may stand for themselves. */
	assert_int_equal(parse("posix/mq/#\303\244=\r", &spec), 0);
	assert_string_equal(spec.name, "#\303\244=\r");
}

static void embedded_nul(void **state)
{
	static const char line[] = "posix/mq/x mode=0600";
	struct ipcfs_spec spec;

	(void)state;
	for (size_t i = 0; i < sizeof(line) - 1; i++) {
		char copy[sizeof(line)];

		memcpy(copy, line, sizeof(line));
		copy[i] = '\0';
		assert_int_equal(ipcfs_spec_parse(copy, sizeof(line) - 1, &spec), -EINVAL);
	}
	assert_int_equal(ipcfs_spec_parse(line, sizeof(line), &spec), -EINVAL);
	assert_int_equal(ipcfs_spec_parse("", 1, &spec), -EINVAL);
}

static void classes(void **state)
{
	(void)state;
	assert_ptr_equal(ipcfs_class_find("posix", "mq"), &mq);
	assert_ptr_equal(ipcfs_class_find("sysv", "msg"), &msg);
	assert_ptr_equal(ipcfs_class_find("none", "mq"), &bare);
	assert_null(ipcfs_class_find("posix", "msg"));
	assert_null(ipcfs_class_find("", ""));
}

static void escaping_is_plain(void **state)
{
	struct ipcfs_text out = { 0 };

	(void)state;
	assert_int_equal(ipcfs_spec_escape("a b\t#\\~!\n\177\303\244=", &out), 0);
	assert_int_equal(ipcfs_text_add(&out, "", 1), 0);
	assert_string_equal(out.data, "a\\040b\\011\\043\\134~!\\012\\177\\303\\244=");
	ipcfs_text_free(&out);
}

/* Every byte that a name can have, alone and between others, is read back as it was. */
static void escaping_comes_back(void **state)
{
	char all[NAME_MAX + 1];
	size_t size = 0;

	(void)state;
	for (int byte = 1; byte < 256; byte++)
		if (byte != '/')
			all[size++] = (char)byte;
	all[size] = '\0';
	for (size_t i = 0; i <= size; i++) {
		char one[] = { 'a', '.', 'z', '\0' };
		const char *name = i < size ? one : all;
		struct ipcfs_text out = { 0 };
		struct ipcfs_spec spec;

		one[1] = all[i];
		if (i == size)
			name = all;
		assert_int_equal(ipcfs_text_add(&out, "posix/mq/", 9), 0);
		assert_int_equal(ipcfs_spec_escape(name, &out), 0);
		for (size_t at = 0; at < out.size; at++)
			assert_true(out.data[at] > ' ' && out.data[at] <= '~');
		assert_int_equal(ipcfs_spec_parse(out.data, out.size, &spec), 0);
		assert_string_equal(spec.name, name);
		ipcfs_text_free(&out);
	}
}

static void values_are_a_list(void **state)
{
	static const uint32_t wanted[] = { 1, 0, 32767, INT_MAX };
	static const char *const malformed[] = {
		"sysv/sem/a values=",	 "sysv/sem/a values=,",	   "sysv/sem/a values=1,",
		"sysv/sem/a values=,1",	 "sysv/sem/a values=1,,1", "sysv/sem/a values=1,x",
		"sysv/sem/a values=-1",	 "posix/mq/a values=1",	   "sysv/sem/a values=1 values=1",
		"sysv/sem/a values=1 2",
	};
	static const char *const large[] = { "sysv/sem/a values=2147483648",
					     "sysv/sem/a values=1,99999999999999999999" };
	struct ipcfs_spec spec;

	(void)state;
	assert_int_equal(parse("sysv/sem/a values=1,0,32767,2147483647", &spec), 0);
	assert_int_equal(spec.given, IPCFS_SPEC_VALUES);
	assert_int_equal(spec.values.size, sizeof(wanted));
	assert_memory_equal(spec.values.data, wanted, sizeof(wanted));
	ipcfs_spec_free(&spec);
	assert_int_equal(parse("sysv/sem/a", &spec), 0);
	assert_int_equal(spec.values.size, 0);
	check_errors(malformed, sizeof(malformed) / sizeof(*malformed), -EINVAL);
	check_errors(large, sizeof(large) / sizeof(*large), -ERANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_a_list),
		cmocka_unit_test(plain_lines),
		cmocka_unit_test(lines_with_nothing_to_do),
		cmocka_unit_test(malformed_lines),
		cmocka_unit_test(values_out_of_range),
		cmocka_unit_test(long_names),
		cmocka_unit_test(escapes),
		cmocka_unit_test(embedded_nul),
		cmocka_unit_test(classes),
		cmocka_unit_test(escaping_is_plain),
		cmocka_unit_test(escaping_comes_back),
		cmocka_unit_test(sizes),
	};

	return cmocka_run_group_tests_name("spec", tests, NULL, NULL);
}
