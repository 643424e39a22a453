/* SPDX-License-Identifier: MIT */
#include "fs/daemon/amqp_config.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/base/number.h"
#include "fs/daemon/amqp_url.h"

#define PORT 5672
#define PORT_TLS 5671
#define HEARTBEAT 10 /* seconds */
#define TIMEOUT_MAX 86400
#define MESSAGE (16 * 1024 * 1024)	/* bytes; the largest of RabbitMQ 4 */
#define MESSAGE_MAX (128 * 1024 * 1024) /* that of RabbitMQ 3 */
#define NAME_SIZE 32			/* of a connection, bytes */

/* What of a section is not in its settings. */
struct section {
	struct ipcfs_amqp_settings *settings;
	unsigned line;	   /* of its first setting */
	bool tls, tls_set; /* tls=yes or never; it is given */
	bool never;
	bool timeout_set, resend_set;
};

struct reading {
	struct ipcfs_amqp_config *config;
	struct section section;
};

/* A setting of a line. */
struct setting {
	unsigned line;
	const char *name, *value;
	struct ipcfs_config_error *error;
};

static int wants(const struct setting *setting, const char *wanted)
{
	return ipcfs_ini_fail(setting->error, setting->line, "%s: %s is wanted", setting->name,
			      wanted);
}

static int twice(const struct setting *setting)
{
	return ipcfs_ini_fail(setting->error, setting->line, "%s is set twice", setting->name);
}

static int no_memory(const struct setting *setting)
{
	ipcfs_ini_fail(setting->error, 0, "%s", strerror(ENOMEM));
	return -ENOMEM;
}

static int take_string(const struct setting *setting, char **string)
{
	if (*string)
		return twice(setting);
	if (!*setting->value)
		return wants(setting, "a value");
	*string = strdup(setting->value);
	return *string ? 0 : no_memory(setting);
}

static int take_path(const struct setting *setting, char **path)
{
	if (setting->value[0] != '/')
		return wants(setting, "an absolute path");
	return take_string(setting, path);
}

/* Takes a number of seconds, which may be 0. */
static int take_timeout(const struct setting *setting, struct section *section)
{
	long value;

	if (section->timeout_set)
		return twice(setting);
	section->timeout_set = true;
	if (ipcfs_number_parse(setting->value, strlen(setting->value), 0, TIMEOUT_MAX, &value))
		return ipcfs_ini_fail(setting->error, setting->line,
				      "%s: a number from 0 to %d is wanted", setting->name,
				      TIMEOUT_MAX);
	section->settings->timeout = (unsigned)value;
	return 0;
}

static int take_resend(const struct setting *setting, struct section *section)
{
	if (section->resend_set)
		return twice(setting);
	section->resend_set = true;
	section->settings->no_resend = !strcmp(setting->value, "no");
	if (section->settings->no_resend || !strcmp(setting->value, "yes"))
		return 0;
	return wants(setting, "yes or no");
}

static int take_number(const struct setting *setting, long max, unsigned *number)
{
	long value;

	if (*number)
		return twice(setting);
	if (ipcfs_number_parse(setting->value, strlen(setting->value), 1, max, &value))
		return ipcfs_ini_fail(setting->error, setting->line,
				      "%s: a number from 1 to %ld is wanted", setting->name, max);
	*number = (unsigned)value;
	return 0;
}

/* Parses a user's name or number. -ENOENT: there is no such user. */
static int parse_user(const char *name, uid_t *uid, gid_t *gid)
{
	const struct passwd *user = getpwnam(name);
	long number;

	if (user) {
		*uid = user->pw_uid;
		*gid = user->pw_gid;
		return 0;
	}
	if (ipcfs_number_parse(name, strlen(name), 0, UINT_MAX - 1, &number))
		return -ENOENT;
	*uid = (uid_t)number;
	*gid = (gid_t)number;
	return 0;
}

static int parse_group(const char *name, gid_t *gid)
{
	const struct group *group = getgrnam(name);
	long number;

	if (group) {
		*gid = group->gr_gid;
		return 0;
	}
	if (ipcfs_number_parse(name, strlen(name), 0, UINT_MAX - 1, &number))
		return -ENOENT;
	*gid = (gid_t)number;
	return 0;
}

static int take_hosts(const struct setting *setting, struct ipcfs_amqp_settings *settings)
{
	char list[1024], *rest = list, *host;

	if (settings->host_count)
		return twice(setting);
	if (strlen(setting->value) >= sizeof(list))
		return wants(setting, "a shorter list");
	strcpy(list, setting->value);
	while ((host = strsep(&rest, ", \t"))) {
		if (!*host)
			continue;
		if (settings->host_count == IPCFS_AMQP_HOSTS_MAX)
			return wants(setting, "a list of at most 8 hosts");
		settings->hosts[settings->host_count] = strdup(host);
		if (!settings->hosts[settings->host_count])
			return no_memory(setting);
		settings->host_count++;
	}
	return settings->host_count ? 0 : wants(setting, "a list of hosts");
}

/* Parses PATTERN MODE OWNER:GROUP into *rule, whose pattern is then part of the line. */
static int parse_rule(char *line, struct ipcfs_amqp_rule *rule, const char **wrong)
{
	char *rest = line, *mode, *owner, *group;
	uid_t uid;
	gid_t gid;

	rule->pattern = strsep(&rest, " \t");
	rest += rest ? strspn(rest, " \t") : 0;
	mode = strsep(&rest, " \t");
	rest += rest ? strspn(rest, " \t") : 0;
	owner = strsep(&rest, ":");
	group = rest;
	*wrong = "PATTERN MODE OWNER:GROUP";
	if (!*rule->pattern || !mode || !owner || !group)
		return -EINVAL;
	*wrong = "a mode of octal digits for r and w, such as 0660,";
	if (ipcfs_mode_parse(mode, strlen(mode), &rule->mode))
		return -EINVAL;
	*wrong = "an owner that is a user of this machine";
	if (parse_user(owner, &uid, &gid))
		return -EINVAL;
	*wrong = "a group of this machine";
	if (parse_group(group, &gid))
		return -EINVAL;
	rule->uid = uid;
	rule->gid = gid;
	return 0;
}

static int take_rule(const struct setting *setting, struct ipcfs_amqp_settings *settings)
{
	char line[1024];
	struct ipcfs_amqp_rule rule, *more;
	const char *wrong;

	if (strlen(setting->value) >= sizeof(line))
		return wants(setting, "a shorter line");
	strcpy(line, setting->value);
	if (parse_rule(line, &rule, &wrong))
		return wants(setting, wrong);
	more = reallocarray(settings->rules, settings->rule_count + 1, sizeof(*more));
	if (!more)
		return no_memory(setting);
	settings->rules = more;
	rule.pattern = strdup(rule.pattern);
	if (!rule.pattern)
		return no_memory(setting);
	more[settings->rule_count++] = rule;
	return 0;
}

static int take_tls(const struct setting *setting, struct section *section)
{
	if (section->tls_set)
		return twice(setting);
	section->tls_set = true;
	section->tls = !strcmp(setting->value, "yes");
	section->never = !strcmp(setting->value, "never");
	if (section->tls || section->never || !strcmp(setting->value, "no"))
		return 0;
	return wants(setting, "yes, no or never");
}

static int take_run_as(const struct setting *setting, struct ipcfs_amqp_settings *settings)
{
	if (settings->runs_as)
		return twice(setting);
	settings->runs_as = true;
	if (parse_user(setting->value, &settings->run_uid, &settings->run_gid))
		return wants(setting, "a user of this machine");
	return 0;
}

static int take_makers(const struct setting *setting, struct ipcfs_amqp_settings *settings)
{
	if (settings->has_makers)
		return twice(setting);
	settings->has_makers = true;
	return parse_group(setting->value, &settings->make_group)
		       ? wants(setting, "a group of this machine")
		       : 0;
}

/* Takes a setting whose value is a string or a number. Returns 1: it is another one. */
static int take_plain(const struct setting *setting, struct ipcfs_amqp_settings *settings)
{
	const struct {
		const char *name;
		char **string, **path;
		unsigned *number;
		long max;
	} plain[] = {
		{ "vhost", &settings->vhost, NULL, NULL, 0 },
		{ "user", &settings->user, NULL, NULL, 0 },
		{ "password_file", NULL, &settings->password_file, NULL, 0 },
		{ "ca", NULL, &settings->ca, NULL, 0 },
		{ "cert", NULL, &settings->cert, NULL, 0 },
		{ "key", NULL, &settings->key, NULL, 0 },
		{ "helper", NULL, &settings->helper, NULL, 0 },
		{ "port", NULL, NULL, &settings->port, 65535 },
		{ "heartbeat", NULL, NULL, &settings->heartbeat, 3600 },
		{ "max_message", NULL, NULL, &settings->max_message, MESSAGE_MAX },
	};

	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++) {
		if (strcmp(plain[i].name, setting->name) != 0)
			continue;
		if (plain[i].string)
			return take_string(setting, plain[i].string);
		if (plain[i].path)
			return take_path(setting, plain[i].path);
		return take_number(setting, plain[i].max, plain[i].number);
	}
	return 1;
}

static int take_api(const struct setting *setting, struct ipcfs_amqp_settings *settings)
{
#ifndef IPCFS_WITH_AMQP_API
	return ipcfs_ini_fail(setting->error, setting->line,
			      "api: ipcfs was built without libcurl and json-c");
#endif
	if (!ipcfs_amqp_url_check(setting->value))
		return wants(setting, "http[s]://HOST[:PORT]");
	return take_string(setting, &settings->api);
}

static int take_setting(const struct setting *setting, struct section *section)
{
	struct ipcfs_amqp_settings *settings = section->settings;
	int err = take_plain(setting, settings);

	if (err <= 0)
		return err;
	if (!strcmp(setting->name, "host"))
		return take_hosts(setting, settings);
	if (!strcmp(setting->name, "queue"))
		return take_rule(setting, settings);
	if (!strcmp(setting->name, "api"))
		return take_api(setting, settings);
	if (!strcmp(setting->name, "tls"))
		return take_tls(setting, section);
	if (!strcmp(setting->name, "timeout"))
		return take_timeout(setting, section);
	if (!strcmp(setting->name, "resend"))
		return take_resend(setting, section);
	if (!strcmp(setting->name, "run_as"))
		return take_run_as(setting, settings);
	if (!strcmp(setting->name, "make_group"))
		return take_makers(setting, settings);
	return ipcfs_ini_fail(setting->error, setting->line, "%s is no setting of a connection",
			      setting->name);
}

/* Sets a string that is not set. False: no memory. */
static bool set_default(char **string, const char *value)
{
	if (!*string)
		*string = strdup(value);
	return *string;
}

/* Says what a section lacks. NULL: nothing. */
static const char *what_lacks(const struct section *section)
{
	const struct ipcfs_amqp_settings *settings = section->settings;
	bool certificate = settings->cert && settings->key;

	if (!settings->host_count)
		return "host is missing";
	if (!settings->cert != !settings->key)
		return "cert and key go together";
	if (certificate && !section->tls)
		return "cert takes tls = yes";
	if (!certificate && (!settings->user || !settings->password_file))
		return "user and password_file are missing, or cert and key";
	if (settings->api && (!settings->user || !settings->password_file))
		return "api takes user and password_file";
	if (settings->api && ipcfs_amqp_url_is_open(settings->api) && !section->never)
		return "api = http: is for hosts of this machine; tls = never is for all";
	for (size_t i = 0; i < settings->host_count && !section->tls && !section->never; i++)
		if (!ipcfs_amqp_host_is_loopback(settings->hosts[i]))
			return "tls = no is for hosts of this machine; tls = never is for all";
	return NULL;
}

/* Sets which authorities are trusted: those of the connection, and those of the API. */
static bool set_authorities(const struct section *section)
{
	struct ipcfs_amqp_settings *settings = section->settings;

	if (!set_default(&settings->ca, "/etc/ssl/certs/ca-certificates.crt"))
		return false;
	if (settings->api && !strncmp(settings->api, "https:", 6) &&
	    !set_default(&settings->api_ca, settings->ca))
		return false;
	if (!section->tls) {
		free(settings->ca);
		settings->ca = NULL;
	}
	return true;
}

/* Checks a section when its last line was read, and sets what it has not set. */
static int end_section(struct section *section, struct ipcfs_config_error *error)
{
	struct ipcfs_amqp_settings *settings = section->settings;
	const char *lack;

	if (!settings)
		return 0;
	section->tls |= !section->tls_set;
	lack = what_lacks(section);
	if (lack)
		return ipcfs_ini_fail(error, section->line, "section [%s]: %s", settings->name,
				      lack);
	if (!settings->port)
		settings->port = section->tls ? PORT_TLS : PORT;
	if (!settings->heartbeat)
		settings->heartbeat = HEARTBEAT;
	if (!settings->max_message)
		settings->max_message = MESSAGE;
	if (set_default(&settings->vhost, "/") &&
	    set_default(&settings->helper, IPCFS_AMQP_HELPER) && set_authorities(section))
		return 0;
	ipcfs_ini_fail(error, 0, "%s", strerror(ENOMEM));
	return -ENOMEM;
}

/* Returns whether the name of a section can be that of a directory and of a label in metrics. */
static bool is_name(const char *name)
{
	const char *const letters =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	size_t size = strlen(name);

	return size > 0 && size < NAME_SIZE && strspn(name, letters) == size &&
	       strcmp(name, "status") != 0;
}

static int begin_section(struct reading *reading, const char *name, unsigned line,
			 struct ipcfs_config_error *error)
{
	struct ipcfs_amqp_config *config = reading->config;
	int err = end_section(&reading->section, error);

	if (err)
		return err;
	if (!is_name(name))
		return ipcfs_ini_fail(error, line,
				      "section [%s]: letters, digits, _ and - are wanted", name);
	for (size_t i = 0; i < config->count; i++)
		if (!strcmp(config->connections[i].name, name))
			return ipcfs_ini_fail(error, line, "section [%s] is there twice", name);
	if (config->count == IPCFS_AMQP_CONNECTIONS_MAX)
		return ipcfs_ini_fail(error, line, "there are too many sections");
	reading->section = (struct section){ .line = line };
	reading->section.settings = &config->connections[config->count++];
	reading->section.settings->name = strdup(name);
	if (reading->section.settings->name)
		return 0;
	config->count--;
	return -ENOMEM;
}

/* Takes a setting. For ipcfs_ini_parse. */
static int take(void *arg, unsigned line, const char *section, const char *name, const char *value,
		struct ipcfs_config_error *error)
{
	struct reading *reading = arg;
	const struct setting setting = { line, name, value, error };
	int err = 0;

	if (!*section)
		return ipcfs_ini_fail(error, line, "it stands before the first section");
	if (!reading->section.settings || strcmp(reading->section.settings->name, section) != 0)
		err = begin_section(reading, section, line, error);
	return err ? err : take_setting(&setting, &reading->section);
}

int ipcfs_amqp_config_parse(const char *text, size_t size, struct ipcfs_amqp_config *config,
			    struct ipcfs_config_error *error)
{
	struct reading reading = { .config = config };
	int err;

	*config = (struct ipcfs_amqp_config){ 0 };
	err = ipcfs_ini_parse(text, size, take, &reading, error);
	if (!err)
		err = end_section(&reading.section, error);
	if (!err && !config->count)
		err = ipcfs_ini_fail(error, 0, "it has no connection");
	return err;
}

void ipcfs_amqp_config_free(struct ipcfs_amqp_config *config)
{
	for (size_t i = 0; i < config->count; i++)
		ipcfs_amqp_settings_free(&config->connections[i]);
	config->count = 0;
}
