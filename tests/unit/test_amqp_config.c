/* SPDX-License-Identifier: MIT */
/* The file of -o amqp=, the rules in it, and the names of queues. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* the last one: it uses the names above */
#include <cmocka.h>

#include "backends/amqp/names.h"
#include "fs/daemon/amqp_config.h"

#define LOGIN "user = guest\npassword_file = /etc/p\n"

static struct ipcfs_amqp_config config;
static struct ipcfs_config_error error;

static int parse(const char *text)
{
	error = (struct ipcfs_config_error){ 0 };
	return ipcfs_amqp_config_parse(text, strlen(text), &config, &error);
}

static void fails_at(const char *text, unsigned line, const char *what)
{
	assert_int_equal(parse(text), -EINVAL);
	assert_non_null(strstr(error.what, what));
	assert_int_equal(error.line, line);
	ipcfs_amqp_config_free(&config);
}

static void everything_is_read(void **state)
{
	const struct ipcfs_amqp_settings *first = &config.connections[0];

	(void)state;
	assert_int_equal(parse("[main]\nhost = a.example, b.example\nvhost = /v\n" LOGIN
			       "port = 1234\nheartbeat = 5\nca = /ca\nhelper = /bin/false\n"
			       "run_as = 33\nmake_group = 7\n"
			       "timeout = 30\nresend = no\nmax_message = 1000\n"
			       "queue = jobs* 0660 0:12\nqueue = * 0600 0:0\n"
			       "[other]\nhost=localhost\ntls=no\n" LOGIN),
			 0);
	assert_int_equal(config.count, 2);
	assert_string_equal(first->name, "main");
	assert_int_equal(first->host_count, 2);
	assert_string_equal(first->hosts[1], "b.example");
	assert_string_equal(first->vhost, "/v");
	assert_int_equal(first->port, 1234);
	assert_int_equal(first->heartbeat, 5);
	assert_string_equal(first->ca, "/ca");
	assert_true(first->runs_as && first->run_uid == 33);
	assert_true(first->has_makers && first->make_group == 7);
	assert_true(first->timeout == 30 && first->no_resend && first->max_message == 1000);
	assert_int_equal(first->rule_count, 2);
	assert_int_equal(config.connections[1].port, 5672);
	assert_null(config.connections[1].ca);
	assert_string_equal(config.connections[1].vhost, "/");
	assert_int_equal(config.connections[1].max_message, 16 << 20);
	assert_true(!config.connections[1].timeout && !config.connections[1].no_resend);
	ipcfs_amqp_config_free(&config);
}

static void tls_is_the_default(void **state)
{
	(void)state;
	assert_int_equal(parse("[m]\nhost = a.example\n" LOGIN), 0);
	assert_int_equal(config.connections[0].port, 5671);
	assert_string_equal(config.connections[0].ca, "/etc/ssl/certs/ca-certificates.crt");
	ipcfs_amqp_config_free(&config);
	fails_at("[m]\nhost = a.example\ntls = no\n" LOGIN, 2, "hosts of this machine");
	fails_at("[m]\nhost = 127.a.example\ntls = no\n" LOGIN, 2, "hosts of this machine");
	assert_int_equal(parse("[m]\nhost = a.example\ntls = never\n" LOGIN), 0);
	ipcfs_amqp_config_free(&config);
	fails_at("[m]\nhost = 127.0.0.1\ntls = no\ncert = /c\nkey = /k\n", 2, "tls = yes");
}

#ifdef IPCFS_WITH_AMQP_API
static void the_api_has_authorities_of_its_own(void **state)
{
	const struct ipcfs_amqp_settings *settings = &config.connections[0];

	(void)state;
	assert_int_equal(parse("[m]\nhost = localhost\ntls = no\napi = https://a.example:15671\n"
			       "ca = /ca\n" LOGIN),
			 0);
	assert_string_equal(settings->api, "https://a.example:15671");
	assert_string_equal(settings->api_ca, "/ca");
	assert_null(settings->ca);
	ipcfs_amqp_config_free(&config);
	assert_int_equal(parse("[m]\nhost = a.example\napi = http://localhost:15672\n" LOGIN), 0);
	assert_null(settings->api_ca);
	assert_non_null(settings->ca);
	ipcfs_amqp_config_free(&config);
	assert_int_equal(
		parse("[m]\nhost = a.example\ntls = never\napi = http://a.example\n" LOGIN), 0);
	ipcfs_amqp_config_free(&config);
	fails_at("[m]\nhost = a\napi = http://a.example\n" LOGIN, 2, "hosts of this machine");
	fails_at("[m]\nhost = a\ncert = /c\nkey = /k\napi = https://a\n", 2, "password_file");
	fails_at("[m]\nhost = a\napi = a\n", 3, "http[s]://HOST[:PORT]");
}
#else
static void the_api_has_authorities_of_its_own(void **state)
{
	(void)state;
	fails_at("[m]\nhost = a\napi = https://a\n", 3, "built without libcurl and json-c");
}
#endif

static void bad_lines_are_refused(void **state)
{
	(void)state;
	fails_at("host = a\n", 1, "before the first section");
	fails_at("[status]\nhost = a\n", 2, "section [status]");
	fails_at("[a/b]\nhost = a\n", 2, "section [a/b]");
	fails_at("[m]\n" LOGIN "[n]\nhost = a\n", 2, "host is missing");
	fails_at("[m]\nhost = a\n" LOGIN "[n]\nhost = a\n" LOGIN "[m]\nport = 1\n", 10, "twice");
	fails_at("[m]\nhost = a\nhost = b\n", 3, "host is set twice");
	fails_at("[m]\nhost = a b c d e f g h i\n", 2, "at most 8");
	fails_at("[m]\nhost = ,\n", 2, "list of hosts");
	fails_at("[m]\nport = 65536\n", 2, "from 1 to 65535");
	fails_at("[m]\nkey = k\n", 2, "absolute path");
	fails_at("[m]\ntimeout = -1\n", 2, "from 0 to 86400");
	fails_at("[m]\nuser = u\nuser = u\n", 3, "user is set twice");
	fails_at("[m]\nkey = /k\nkey = /k\n", 3, "key is set twice");
	fails_at("[m]\nport = 1\nport = 1\n", 3, "port is set twice");
	fails_at("[m]\ntls = no\ntls = no\n", 3, "tls is set twice");
	fails_at("[m]\nrun_as = root\nrun_as = root\n", 3, "run_as is set twice");
	fails_at("[m]\nmake_group = root\nmake_group = root\n", 3, "make_group is set twice");
	fails_at("[m]\ntimeout = 0\ntimeout = 0\n", 3, "timeout is set twice");
	fails_at("[m]\nresend = never\n", 2, "yes or no");
	fails_at("[m]\nresend = yes\nresend = no\n", 3, "resend is set twice");
	fails_at("[m]\nmax_message = 134217729\n", 2, "from 1 to 134217728");
	fails_at("[m]\nuser =\n", 2, "a value");
	fails_at("[m]\npassword = secret\n", 2, "password is no setting");
	fails_at("[m]\ntls = maybe\n", 2, "yes, no or never");
	fails_at("[m]\nhost = a\n", 2, "user and password_file");
	fails_at("[m]\nhost = a\ncert = /c\n", 2, "go together");
	fails_at("[m]\nqueue = a\n", 2, "PATTERN MODE OWNER:GROUP");
	fails_at("[m]\nqueue = a 0660 0\n", 2, "PATTERN MODE OWNER:GROUP");
	fails_at("[m]\nqueue = a 0661 0:0\n", 2, "mode");
	fails_at("[m]\nqueue = a 0660 no-such-user:0\n", 2, "owner");
	fails_at("[m]\nqueue = a 0660 0:no-such-group\n", 2, "group");
	fails_at("[m]\nrun_as = no-such-user\n", 2, "user of this machine");
	fails_at("# nothing\n", 0, "no connection");
}

static void the_first_rule_counts(void **state)
{
	struct ipcfs_amqp_rule rules[] = {
		{ (char *)"jobs.*", 0660, 1, 2 },
		{ (char *)"*", 0640, 3, 4 },
	};
	const struct ipcfs_amqp_settings settings = { .rules = rules, .rule_count = 2 };
	const struct ipcfs_amqp_settings none = { 0 };
	struct ipcfs_perm perm = ipcfs_amqp_rule_for(&settings, "jobs.a/b");

	(void)state;
	assert_true(perm.mode == 0660 && perm.uid == 1 && perm.gid == 2);
	perm = ipcfs_amqp_rule_for(&settings, "job");
	assert_true(perm.mode == 0640 && perm.uid == 3 && perm.gid == 4);
	perm = ipcfs_amqp_rule_for(&none, "job");
	assert_true(perm.mode == 0600 && perm.uid == 0 && perm.gid == 0);
}

static void shows(const char *name, const char *as)
{
	char shown[NAME_MAX + 1], again[IPCFS_AMQP_NAME_MAX + 1];

	assert_int_equal(ipcfs_amqp_name_show(name, shown), 0);
	assert_string_equal(shown, as);
	assert_int_equal(ipcfs_amqp_name_read(shown, again), 0);
	assert_string_equal(again, name);
}

static void names_lead_back(void **state)
{
	char name[IPCFS_AMQP_NAME_MAX + 1], shown[NAME_MAX + 1], percents[200];

	(void)state;
	shows("jobs", "jobs");
	shows("a/b%", "a%2Fb%25");
	shows(".", "%2E");
	shows("..", "%2E%2E");
	shows("...", "...");
	assert_int_equal(ipcfs_amqp_name_read("", name), -ENOENT);
	assert_int_equal(ipcfs_amqp_name_read("a%2", name), -ENOENT);
	assert_int_equal(ipcfs_amqp_name_read("a%", name), -ENOENT);
	assert_int_equal(ipcfs_amqp_name_read("a%2f", name), -ENOENT);
	assert_int_equal(ipcfs_amqp_name_read("a%00", name), -ENOENT);
	memset(percents, '%', sizeof(percents));
	percents[sizeof(percents) - 1] = '\0';
	assert_int_equal(ipcfs_amqp_name_show(percents, shown), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_read),
		cmocka_unit_test(the_api_has_authorities_of_its_own),
		cmocka_unit_test(tls_is_the_default),
		cmocka_unit_test(bad_lines_are_refused),
		cmocka_unit_test(the_first_rule_counts),
		cmocka_unit_test(names_lead_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
