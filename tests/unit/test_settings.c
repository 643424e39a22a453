/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/daemon/config.h"

static struct ipcfs_settings settings;

static char wanted[IPCFS_SETTINGS_WANTED];

static int set(const char *name, const char *value)
{
	int err;

	wanted[0] = '\0';
	err = ipcfs_settings_set(&settings, name, value, wanted);
	if (err == -EINVAL)
		assert_true(wanted[0]);
	return err;
}

static int start(void **state)
{
	(void)state;
	ipcfs_settings_init(&settings);
	return 0;
}

static int end(void **state)
{
	(void)state;
	ipcfs_settings_free(&settings);
	return 0;
}

static void numbers_have_a_range(void **state)
{
	static const char *const bad[] = { "",
					   "-1",
					   "1000001",
					   "many",
					   "0x1",
					   "1 ",
					   " 1",
					   "1\n2",
					   "01",
					   "1K",
					   "+1",
					   "1,2",
					   "99999999999999999999" };

	(void)state;
	assert_int_equal(set("max_waiters", "7"), 0);
	assert_int_equal(set("rate", "1000000"), 0);
	assert_int_equal(set("rate", "0"), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(set("max_waiters", bad[i]), -EINVAL);
		assert_int_equal(set("rate", bad[i]), -EINVAL);
	}
	assert_int_equal(set("max_waiters", "0"), -EINVAL);
	assert_int_equal(set("max_waiters", NULL), -EINVAL);
	assert_int_equal(settings.max_waiters, 7);
	assert_int_equal(settings.rate, 0);
}

static void sizes_have_suffixes(void **state)
{
	static const char *const bad[] = { "",
					   "-1",
					   "many",
					   "0x1",
					   "1 ",
					   " 1",
					   "1k",
					   "K",
					   "1KB",
					   "1.5M",
					   "99999999999999999999" };

	(void)state;
	assert_int_equal(settings.max_bytes, 64 << 20);
	assert_int_equal(set("max_bytes", "3M"), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(set("max_bytes", bad[i]), -EINVAL);
	assert_int_equal(set("max_bytes", NULL), -EINVAL);
	assert_int_equal(settings.max_bytes, 3 << 20);
	assert_int_equal(set("max_bytes", "0"), 0);
	assert_int_equal(settings.max_bytes, 0);
}

static void lists_grow_and_are_whole_or_nothing(void **state)
{
	static const char *const bad[] = {
		"",    ":",   "1:x",  "1:-1", "4294967295",	   "1.2",
		"0x1", "1;2", "1\n2", "01",   "root:no-such-user", "no such user"
	};

	(void)state;
	assert_int_equal(set("allow_uid", "7:3"), 0);
	assert_int_equal(set("allow_uid", " 5, 3 ,4294967294:"), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(set("allow_uid", bad[i]), -EINVAL);
	assert_int_equal(set("allow_uid", NULL), -EINVAL);
	assert_int_equal(settings.allow_uid.count, 4);
	for (uint32_t id = 0; id < 10; id++)
		assert_int_equal(ipcfs_ids_have(&settings.allow_uid, id),
				 id == 3 || id == 5 || id == 7);
	assert_true(ipcfs_ids_have(&settings.allow_uid, 4294967294));
	assert_false(ipcfs_ids_have(&settings.allow_gid, 3));
}

static void names_are_looked_up(void **state)
{
	char name[400];

	(void)state;
	assert_int_equal(set("allow_uid", "daemon:1000,root"), 0);
	assert_int_equal(settings.allow_uid.count, 3);
	assert_true(ipcfs_ids_have(&settings.allow_uid, 0));
	assert_true(ipcfs_ids_have(&settings.allow_uid, getpwnam("daemon")->pw_uid));
	assert_int_equal(set("allow_gid", "tty"), 0);
	assert_int_equal(settings.allow_gid.count, 1);
	assert_int_equal(settings.allow_gid.ids[0], getgrnam("tty")->gr_gid);

	/* users are no groups */
	assert_int_equal(set("allow_uid", "root:no-such-user"), -EINVAL);
	assert_string_equal(wanted, "there is no user no-such-user");
	assert_int_equal(set("allow_gid", "no-such-group"), -EINVAL);
	assert_string_equal(wanted, "there is no group no-such-group");
	assert_int_equal(set("allow_uid", "plugdev"), -EINVAL);
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(set("allow_uid", name), -EINVAL);
	name[250] = '\0';
	assert_int_equal(set("allow_uid", name), -EINVAL);
	assert_int_equal(settings.allow_uid.count, 3);
}

static void lists_end_somewhere(void **state)
{
	char text[32];
	int err = 0, i;

	(void)state;
	for (i = 0; !err && i < 100000; i++) {
		snprintf(text, sizeof(text), "%d", i);
		err = set("allow_gid", text);
	}
	assert_int_equal(err, -E2BIG);
	assert_int_equal(settings.allow_gid.count, i - 1);
}

static void switches_and_unknown_names(void **state)
{
	(void)state;
	assert_int_equal(set("hide", NULL), 0);
	assert_true(settings.hide);
	assert_int_equal(set("hide", "no"), 0);
	assert_false(settings.hide);
	assert_int_equal(set("hide", "maybe"), -EINVAL);
	assert_int_equal(set("hides", "yes"), -ENOENT);
	assert_int_equal(set("", "yes"), -ENOENT);
}

static void what_is_given_overrides(void **state)
{
	struct ipcfs_settings line;

	(void)state;
	ipcfs_settings_init(&line);
	assert_int_equal(set("rate", "5"), 0);
	assert_int_equal(set("max_objects", "6"), 0);
	assert_int_equal(set("allow_uid", "1:2"), 0);
	assert_int_equal(set("hide", "yes"), 0);
	assert_int_equal(ipcfs_settings_set(&line, "rate", "9", wanted), 0);
	assert_int_equal(ipcfs_settings_set(&line, "allow_uid", "3", wanted), 0);
	assert_int_equal(ipcfs_settings_set(&line, "hide", "no", wanted), 0);
	assert_int_equal(ipcfs_settings_override(&settings, &line), 0);
	assert_int_equal(settings.rate, 9);
	assert_int_equal(settings.max_objects, 6);
	assert_int_equal(settings.max_waiters, 2048);
	assert_int_equal(settings.allow_uid.count, 1);
	assert_int_equal(settings.allow_uid.ids[0], 3);
	assert_false(settings.hide);
	ipcfs_settings_free(&line);
}

#ifdef IPCFS_CONFIG
static struct ipcfs_config_error error;

static int parse_bytes(const char *text, size_t size)
{
	ipcfs_settings_free(&settings);
	memset(&error, 0, sizeof(error));
	return ipcfs_config_parse(text, size, &settings, &error);
}

static int parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

static void a_file_sets_what_it_says(void **state)
{
	(void)state;
	assert_int_equal(parse("# comment\n; another\n\nrate = 50\n[ipcfs]\nhide=yes ; why not\n"
			       "allow_uid = 1, 2:3\n  4 5\r\nallow_uid : 6\nmax_objects=3"),
			 0);
	assert_int_equal(settings.rate, 50);
	assert_int_equal(settings.max_objects, 3);
	assert_true(settings.hide);
	assert_int_equal(settings.allow_uid.count, 6);
	assert_int_equal(parse(""), 0);
	assert_int_equal(settings.rate, 0);
	assert_int_equal(parse("\xef\xbb\xbfrate=1\n"), 0);
	assert_int_equal(settings.rate, 1);
}

static void fails_at(const char *text, unsigned line, const char *what)
{
	assert_int_equal(parse(text), -EINVAL);
	assert_int_equal(error.line, line);
	if (!strstr(error.what, what))
		fail_msg("'%s' says nothing of '%s'", error.what, what);
}

static void a_bad_line_is_named(void **state)
{
	char text[2000];

	(void)state;
	fails_at("rate = 5\nrate = 6\n", 2, "twice");
	fails_at("max_waiters = 5\n 7\n", 2, "twice");
	fails_at("\n\nrate = fast\n", 3, "rate: a number from 0");
	fails_at("hide\n", 1, "neither");
	fails_at("rate = 1\nnonsense\nhide = perhaps\n", 2, "neither");
	fails_at("hide = perhaps\nnonsense\n", 1, "hide");
	fails_at("[other]\nrate = 1\n", 2, "[other]");
	fails_at("[ipcfs\nrate = 1\n", 1, "neither");
	fails_at("state = /tmp\n", 1, "state");
	fails_at("config = /tmp\n", 1, "config");
	fails_at("read_only = yes\n", 1, "read_only");
	fails_at("=5\n", 1, "can't be set");
	fails_at("allow_uid =\n", 1, "allow_uid");
	fails_at("rate = 1\nallow_uid = root, no-such-user\n", 2, "no user no-such-user");
	fails_at("allow_gid = no-such-group\n", 1, "no group no-such-group");
	fails_at("rate = 1\xff\n", 1, "rate");

	memset(text, ' ', sizeof(text));
	memcpy(text, "rate = 1", 8);
	memcpy(text + 1000, "2\nhide = yes\n", 14);
	fails_at(text, 1, "longer");
	assert_false(settings.hide);

	assert_int_equal(parse_bytes("rate = 1\0\nhide = yes\n", 21), -EINVAL);
	assert_int_equal(error.line, 1);
	assert_non_null(strstr(error.what, "NUL"));
}

static void only_files_are_read(void **state)
{
	struct ipcfs_settings line, loaded;
	char directory[] = "/tmp/ipcfs-settings-XXXXXX", path[64];
	FILE *file;

	(void)state;
	ipcfs_settings_init(&line);
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/file", directory);
	assert_int_equal(ipcfs_config_load(path, &line, &loaded), -EINVAL);
	assert_int_equal(ipcfs_config_load(directory, &line, &loaded), -EINVAL);
	assert_int_equal(ipcfs_config_load("/dev/zero", &line, &loaded), -EINVAL);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(ipcfs_config_load(path, &line, &loaded), -EINVAL);
	assert_int_equal(unlink(path), 0);

	file = fopen(path, "w");
	assert_non_null(file);
	fputs("rate = 1\n", file);
	assert_int_equal(fflush(file), 0);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(ipcfs_config_load(path, &line, &loaded), -EINVAL); /* is being written */
	assert_int_equal(fclose(file), 0);
	assert_int_equal(ipcfs_config_load(path, &line, &loaded), 0);
	assert_int_equal(loaded.rate, 1);
	ipcfs_settings_free(&loaded);
	assert_int_equal(chmod(path, 0646), 0);
	assert_int_equal(ipcfs_config_load(path, &line, &loaded), -EINVAL);
	assert_int_equal(chmod(path, 0664), 0);
	assert_int_equal(ipcfs_config_load(path, &line, &loaded), -EINVAL);
	assert_int_equal(chmod(path, 0644), 0);
	file = fopen(path, "a");
	assert_non_null(file);
	for (int i = 0; i < IPCFS_CONFIG_SIZE_MAX; i += 8)
		fputs("#234567\n", file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(ipcfs_config_load(path, &line, &loaded), -EINVAL);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(directory), 0);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(numbers_have_a_range, start, end),
		cmocka_unit_test_setup_teardown(sizes_have_suffixes, start, end),
		cmocka_unit_test_setup_teardown(lists_grow_and_are_whole_or_nothing, start, end),
		cmocka_unit_test_setup_teardown(names_are_looked_up, start, end),
		cmocka_unit_test_setup_teardown(lists_end_somewhere, start, end),
		cmocka_unit_test_setup_teardown(switches_and_unknown_names, start, end),
		cmocka_unit_test_setup_teardown(what_is_given_overrides, start, end),
#ifdef IPCFS_CONFIG
		cmocka_unit_test_setup_teardown(a_file_sets_what_it_says, start, end),
		cmocka_unit_test_setup_teardown(a_bad_line_is_named, start, end),
		cmocka_unit_test(only_files_are_read),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
