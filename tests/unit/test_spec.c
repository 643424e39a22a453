/* SPDX-License-Identifier: MIT */
/* Specifications, with a table of classes of this file's own. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/control/spec.h"

static int any_name(const char *name)
{
	return strcmp(name, ".") && strcmp(name, "..") ? 0 : -EINVAL;
}

static int short_name(const char *name)
{
	return strlen(name) > 10 ? -ENAMETOOLONG : strncmp(name, "0x", 2) ? -EINVAL : 0;
}

static const struct ipcfs_class mq = {
	.family = "posix",
	.name = "mq",
	.spec_keys = IPCFS_SPEC_MODE | IPCFS_SPEC_MAX_MESSAGES | IPCFS_SPEC_MAX_MESSAGE,
	.check_name = any_name,
};

static const struct ipcfs_class msg = {
	.family = "sysv",
	.name = "msg",
	.spec_keys = IPCFS_SPEC_MODE | IPCFS_SPEC_MAX_BYTES,
	.check_name = short_name,
};

static const struct ipcfs_class shm = {
	.family = "posix",
	.name = "shm",
	.spec_keys = IPCFS_SPEC_MODE | IPCFS_SPEC_SIZE,
	.check_name = any_name,
};

static const struct ipcfs_class sem = {
	.family = "sysv",
	.name = "sem",
	.spec_keys = IPCFS_SPEC_VALUES,
	.check_name = any_name,
};

static const struct ipcfs_class bare = {
	.family = "none",
	.name = "mq",
	.check_name = any_name,
};

static const struct ipcfs_class broker = {
	.family = "amqp",
	.name = "main",
	.spec_keys = IPCFS_SPEC_BROKER,
	.check_name = any_name,
};

const struct ipcfs_class *ipcfs_classes[] = { &mq, &msg, &shm, &sem, &bare, &broker, NULL };

static struct ipcfs_refusal reason;

static int parse(const char *line, struct ipcfs_spec *spec)
{
	return ipcfs_spec_parse(line, strlen(line), spec, &reason);
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
	assert_ptr_equal(spec.class, &mq);
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
	assert_ptr_equal(spec.class, &msg);
	assert_string_equal(spec.name, "0x51");
	assert_int_equal(spec.given, IPCFS_SPEC_MODE | IPCFS_SPEC_MAX_BYTES);
	assert_int_equal(spec.mode, 0);
	assert_int_equal(spec.max_bytes, 1 << 20);
}

static void queues_of_brokers(void **state)
{
	static const char *const malformed[] = {
		"amqp/main/q type=stream",   "amqp/main/q type=",      "amqp/main/q type=quorumx",
		"amqp/main/q dead=",	     "amqp/main/q ttl=1s",     "amqp/main/q mode=0600",
		"amqp/main/q prio=1 prio=1", "posix/mq/q type=quorum", "amqp/main/q dead=a/b",
	};
	static const char *const beyond[] = {
		"amqp/main/q prio=256",	      "amqp/main/q prio=0",
		"amqp/main/q ttl=4294967296", "amqp/main/q maxlen=9223372036854775808",
		"amqp/main/q redeliver=0",
	};
	struct ipcfs_spec spec;

	(void)state;
	assert_int_equal(parse("amqp/main/q type=classic maxlen=1K maxbytes=2 ttl=3 dead=a\\040b "
			       "redeliver=4 prio=255",
			       &spec),
			 0);
	assert_int_equal(spec.given, IPCFS_SPEC_BROKER);
	assert_string_equal(spec.broker.type, "classic");
	assert_string_equal(spec.broker.dead, "a b");
	assert_true(spec.broker.max_length == 1024 && spec.broker.max_bytes == 2);
	assert_true(spec.broker.ttl == 3 && spec.broker.redeliver == 4);
	assert_int_equal(spec.broker.priorities, 255);
	assert_int_equal(parse("amqp/main/q", &spec), 0);
	assert_int_equal(spec.given, 0);
	CHECK_ERRORS(malformed, -EINVAL);
	CHECK_ERRORS(beyond, -ERANGE);
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
	assert_int_equal(ipcfs_spec_parse(NULL, 0, &(struct ipcfs_spec){ 0 }, &reason), 1);
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
	/* An escape counts as the one byte that it stands for. */
	memcpy(line + head + 252, "\\040nn", 7);
	assert_int_equal(parse(line, &spec), 0);
	assert_int_equal(strlen(spec.name), 255);
	assert_int_equal(spec.name[252], ' ');
	/* If it is also malformed, it is malformed. */
	memset(line + head, 'n', 300);
	strcpy(line + head + 300, "\\");
	assert_int_equal(parse(line, &spec), -EINVAL);
	/* The class decides, too. */
	assert_int_equal(parse("sysv/msg/0x123456789", &spec), -ENAMETOOLONG);
	/* No class has such a name. */
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
		assert_int_equal(ipcfs_spec_parse(copy, sizeof(line) - 1, &spec, &reason), -EINVAL);
	}
	assert_int_equal(ipcfs_spec_parse(line, sizeof(line), &spec, &reason), -EINVAL);
	assert_int_equal(ipcfs_spec_parse("", 1, &spec, &reason), -EINVAL);
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

/* An escape can name any byte that a name can have. */
static void escapes_name_every_byte(void **state)
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
		for (const char *at = name; *at; at++)
			assert_int_equal(ipcfs_text_printf(&out, "\\%03o", (unsigned char)*at), 0);
		assert_int_equal(ipcfs_spec_parse(out.data, out.size, &spec, &reason), 0);
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

static void value_is_one(void **state)
{
	static const char *const bad[] = { "sysv/sem/a value=1,2",
					   "sysv/sem/a value=", "sysv/sem/a value=1 values=1",
					   "posix/mq/a value=1" };
	struct ipcfs_spec spec;
	uint32_t value;

	(void)state;
	CHECK_ERRORS(bad, -EINVAL);
	assert_int_equal(parse("sysv/sem/a value=7", &spec), 0);
	assert_int_equal(spec.given, IPCFS_SPEC_VALUES);
	assert_int_equal(spec.values.size, sizeof(value));
	memcpy(&value, spec.values.data, sizeof(value));
	assert_int_equal(value, 7);
	ipcfs_spec_free(&spec);
}

static void refusals_name_the_word(void **state)
{
	static const struct {
		const char *line, *word, *why;
	} refused[] = {
		{ "posix/mq",
		  "posix/mq: ", "classes posix/mq sysv/msg posix/shm sysv/sem none/mq" },
		{ "posix/none/x", "posix/none/x: ", "posix/shm" },
		{ "posix/mq/..  mode=0600", "posix/mq/..: ", "name" },
		{ "sysv/msg/0x12345678901", "sysv/msg/0x12345678901: ", "too long" },
		{ "posix/mq/x mode=0600 color=red",
		  "color=red: ", "posix/mq: mode maxmsg msgsize" },
		{ "posix/mq/x maxmsg", "maxmsg: ", "KEY=VALUE" },
		{ "posix/mq/x maxmsg=1 maxmsg=2", "maxmsg=2: ", "twice" },
		{ "posix/mq/x mode=rw", "mode=rw: ", "0660" },
		{ "posix/mq/x maxmsg=ten", "maxmsg=ten: ", "number" },
		{ "posix/mq/x maxmsg=0", "maxmsg=0: ", "from 1 to 9223372036854775807" },
		{ "sysv/sem/x values=2147483648", "values=2147483648: ", "from 0 to 2147483647" },
		{ "sysv/sem/x values=1,", "values=1,: ", "commas" },
		{ "sysv/sem/x value=1,2", "value=1,2: ", "one number" },
		{ "posix/mq/x a\033[2Jb", "a\\033[2Jb: ", "KEY=VALUE" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct ipcfs_spec spec;

		memset(&reason, 0, sizeof(reason));
		assert_true(parse(refused[i].line, &spec) < 0);
		if (strncmp(reason.text, refused[i].word, strlen(refused[i].word)) != 0 ||
		    !strstr(reason.text, refused[i].why))
			fail_msg("'%s' is refused with '%s'", refused[i].line, reason.text);
	}
}

static void refusals_have_one_length(void **state)
{
	char line[5000];
	struct ipcfs_spec spec;

	(void)state;
	memset(line, '\001', sizeof(line));
	memcpy(line, "posix/mq/x ", 11);
	assert_int_equal(ipcfs_spec_parse(line, sizeof(line), &spec, &reason), -EINVAL);
	assert_true(strnlen(reason.text, sizeof(reason.text)) < sizeof(reason.text));
	assert_memory_equal(reason.text, "\\001\\001", 8);
	assert_non_null(strstr(reason.text, "\\001...: KEY"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_a_list),
		cmocka_unit_test(value_is_one),
		cmocka_unit_test(refusals_name_the_word),
		cmocka_unit_test(refusals_have_one_length),
		cmocka_unit_test(plain_lines),
		cmocka_unit_test(lines_with_nothing_to_do),
		cmocka_unit_test(malformed_lines),
		cmocka_unit_test(values_out_of_range),
		cmocka_unit_test(long_names),
		cmocka_unit_test(escapes),
		cmocka_unit_test(embedded_nul),
		cmocka_unit_test(classes),
		cmocka_unit_test(escapes_name_every_byte),
		cmocka_unit_test(sizes),
		cmocka_unit_test(queues_of_brokers),
	};

	return cmocka_run_group_tests_name("spec", tests, NULL, NULL);
}
