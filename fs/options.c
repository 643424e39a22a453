/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314
#include "options.h"

#include <errno.h>
#include <fuse_opt.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "audit_sink.h"
#include "config.h"
#include "log.h"
#include "number.h"

enum key {
	KEY_FOREGROUND,
	KEY_DEBUG,
	KEY_HELP,
	KEY_VERSION,
	KEY_READ_ONLY,
	KEY_READ_WRITE,
	KEY_SOURCE,
	KEY_STATE,
	KEY_AUDIT,
	KEY_AUDIT_LEVEL,
	KEY_CONFIG,
	KEY_TARGET,
	KEY_NAMESPACES,
	KEY_IGNORED,
};

static const struct fuse_opt specs[] = {
	FUSE_OPT_KEY("-f", KEY_FOREGROUND), FUSE_OPT_KEY("-d", KEY_DEBUG),
	FUSE_OPT_KEY("--debug", KEY_DEBUG), FUSE_OPT_KEY("debug", KEY_DEBUG),
	FUSE_OPT_KEY("-h", KEY_HELP), FUSE_OPT_KEY("--help", KEY_HELP),
	FUSE_OPT_KEY("-V", KEY_VERSION), FUSE_OPT_KEY("--version", KEY_VERSION),
	FUSE_OPT_KEY("ro", KEY_READ_ONLY), FUSE_OPT_KEY("rw", KEY_READ_WRITE),
	FUSE_OPT_KEY("fsname=", KEY_SOURCE), FUSE_OPT_KEY("config=", KEY_CONFIG),
	FUSE_OPT_KEY("state=", KEY_STATE), FUSE_OPT_KEY("audit=", KEY_AUDIT),
	FUSE_OPT_KEY("audit_level=", KEY_AUDIT_LEVEL), FUSE_OPT_KEY("target=", KEY_TARGET),
	FUSE_OPT_KEY("namespaces", KEY_NAMESPACES),

	/* libfuse's. */
	FUSE_OPT_KEY("allow_other", FUSE_OPT_KEY_KEEP),
	FUSE_OPT_KEY("allow_root", FUSE_OPT_KEY_KEEP),
	FUSE_OPT_KEY("auto_unmount", FUSE_OPT_KEY_KEEP),
	FUSE_OPT_KEY("default_permissions", FUSE_OPT_KEY_KEEP),
	FUSE_OPT_KEY("context=", FUSE_OPT_KEY_KEEP), FUSE_OPT_KEY("fscontext=", FUSE_OPT_KEY_KEEP),
	FUSE_OPT_KEY("defcontext=", FUSE_OPT_KEY_KEEP),
	FUSE_OPT_KEY("rootcontext=", FUSE_OPT_KEY_KEEP),

	/* What mount(8) and its helpers may say, and -s: nothing to be done about it. */
	FUSE_OPT_KEY("-s", KEY_IGNORED), FUSE_OPT_KEY("-n", KEY_IGNORED),
	FUSE_OPT_KEY("-v", KEY_IGNORED), FUSE_OPT_KEY("-t ", KEY_IGNORED),
	FUSE_OPT_KEY("subtype=", KEY_IGNORED), FUSE_OPT_KEY("comment=", KEY_IGNORED),
	FUSE_OPT_KEY("user=", KEY_IGNORED), FUSE_OPT_KEY("uhelper=", KEY_IGNORED),
	FUSE_OPT_KEY("helper=", KEY_IGNORED), FUSE_OPT_END
};

/* More of the same. dev, suid and exec too: the tree has nothing that they could be about. */
static const char *const ignored[] = {
	"defaults",	 "auto",     "noauto",	   "nofail",   "_netdev",    "_rnetdev",
	"user",		 "nouser",   "users",	   "nousers",  "owner",	     "noowner",
	"group",	 "nogroup",  "dev",	   "nodev",    "suid",	     "nosuid",
	"exec",		 "noexec",   "sync",	   "async",    "dirsync",    "atime",
	"noatime",	 "diratime", "nodiratime", "relatime", "norelatime", "strictatime",
	"nostrictatime", "lazytime", "nolazytime", "iversion", "noiversion", "mand",
	"nomand",	 "silent",   "loud",
};

static int out_of_memory(void)
{
	ipcfs_log(LOG_ERR, "%s", strerror(ENOMEM));
	return -1;
}

static int set_string(char **place, const char *value)
{
	char *copy = strdup(value);

	if (copy == NULL)
		return out_of_memory();
	free(*place);
	*place = copy;
	return 0;
}

/* NAME or NAME=VALUE of settings.h. -1 error, 0 taken, 1 no setting. */
static int take_setting(struct ipcfs_settings *settings, const char *arg)
{
	size_t size = strcspn(arg, "=");
	const char *value = arg[size] ? arg + size + 1 : NULL, *wanted = NULL;
	char name[32];
	int err = -ENOENT;

	if (size < sizeof(name)) {
		memcpy(name, arg, size);
		name[size] = '\0';
		err = ipcfs_settings_set(settings, name, value, &wanted);
	}
	switch (err) {
	case 0:
		return 0;
	case -ENOENT:
		return 1;
	case -ENOMEM:
		return out_of_memory();
	}
	ipcfs_log(LOG_ERR, "option %s: %s", arg, err == -E2BIG ? "too many" : wanted);
	return -1;
}

static int set_target(pid_t *target, const char *arg)
{
	const char *text = strchr(arg, '=') + 1;
	long value;

	if (ipcfs_number_parse(text, strlen(text), 1, INT_MAX, &value) < 0) {
		ipcfs_log(LOG_ERR, "option %s: a process id is wanted", arg);
		return -1;
	}
	*target = (pid_t)value;
	return 0;
}

static int set_audit(char **place, const char *arg)
{
	const char *target = strchr(arg, '=') + 1;

	switch (ipcfs_audit_sink_check(target)) {
	case 0:
		return set_string(place, target);
	case -EOPNOTSUPP:
		ipcfs_log(LOG_ERR, "option %s: ipcfs was built without libaudit", arg);
		return -1;
	default:
		ipcfs_log(LOG_ERR,
			  "option %s: syslog, journal, audit or a file's absolute path is wanted",
			  arg);
		return -1;
	}
}

static int set_audit_level(enum ipcfs_audit_level *place, const char *arg)
{
	*place = ipcfs_audit_level(strchr(arg, '=') + 1);
	if (*place != IPCFS_AUDIT_OFF)
		return 0;
	ipcfs_log(LOG_ERR, "option %s: deny, change or all is wanted", arg);
	return -1;
}

/* A path that means the same when the daemon has gone into the background. */
static int set_path(char **place, const char *path)
{
	char *here, *whole = NULL;
	int result = 0;

	if (path[0] == '/')
		return set_string(place, path);
	here = getcwd(NULL, 0);
	if (here == NULL) {
		ipcfs_log(LOG_ERR, "%s: where are we? %s", path, strerror(errno));
		return -1;
	}
	if (asprintf(&whole, "%s/%s", here, path) < 0) {
		whole = NULL;
		result = out_of_memory();
	} else {
		free(*place);
		*place = whole;
	}
	free(here);
	return result;
}

static int take_option(struct ipcfs_settings *settings, const char *arg)
{
	int result = take_setting(settings, arg);

	if (result <= 0)
		return result;
	if (strncmp(arg, "x-", 2) == 0 || strncmp(arg, "X-", 2) == 0)
		return 0;
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		if (strcmp(arg, ignored[i]) == 0)
			return 0;
	ipcfs_log(LOG_ERR, "unknown option %s (see ipcfs --help)", arg);
	return -1;
}

/* [SOURCE] MOUNTPOINT: the last one is the mount point. */
static int take_argument(struct ipcfs_options *options, int *count, const char *arg)
{
	if (++*count > 2) {
		ipcfs_log(LOG_ERR, "too many arguments: %s (see ipcfs --help)", arg);
		return -1;
	}
	if (*count == 2) {
		/* -o fsname= goes before. */
		if (options->source == NULL)
			options->source = options->mountpoint;
		else
			free(options->mountpoint);
		options->mountpoint = NULL;
	}
	return set_string(&options->mountpoint, arg);
}

struct parse {
	struct ipcfs_options *options;
	int count; /* of arguments that are no options */
};

/* As fuse_opt_parse(3) wants it: -1 error, 0 taken out, 1 stays. */
static int take(void *data, const char *arg, int key, struct fuse_args *args)
{
	struct parse *parse = data;
	struct ipcfs_options *options = parse->options;

	(void)args;
	switch (key) {
	case FUSE_OPT_KEY_OPT:
		return take_option(&options->given, arg);
	case FUSE_OPT_KEY_NONOPT:
		return take_argument(options, &parse->count, arg);
	case KEY_FOREGROUND:
		options->foreground = true;
		return 0;
	case KEY_DEBUG:
		options->debug = true;
		options->foreground = true;
		return 0;
	case KEY_HELP:
		options->help = true;
		return 0;
	case KEY_VERSION:
		options->version = true;
		return 0;
	case KEY_READ_ONLY:
	case KEY_READ_WRITE:
		options->given.read_only = key == KEY_READ_ONLY;
		return 0;
	case KEY_SOURCE:
		return set_string(&options->source, strchr(arg, '=') + 1);
	case KEY_CONFIG:
		return set_path(&options->config, strchr(arg, '=') + 1);
	case KEY_STATE:
		return set_path(&options->state, strchr(arg, '=') + 1);
	case KEY_AUDIT:
		return set_audit(&options->audit, arg);
	case KEY_AUDIT_LEVEL:
		return set_audit_level(&options->audit_level, arg);
	case KEY_TARGET:
		return set_target(&options->target, arg);
	case KEY_NAMESPACES:
		options->namespaces = true;
		return 0;
	case KEY_IGNORED:
		return 0;
	}
	return 1;
}

/* What libfuse shall know beside what the user asked for. */
static int add_own(struct fuse_args *args, const struct ipcfs_options *options)
{
	const char *source = options->source;
	char *name = NULL, *list = NULL;
	int result = 0;

	if (source == NULL || source[0] == '\0')
		source = "ipcfs";
	if (asprintf(&name, "fsname=%s", source) < 0)
		return out_of_memory();
	if (fuse_opt_add_opt(&list, "subtype=ipcfs,nosuid,nodev,noexec") < 0 ||
	    fuse_opt_add_opt_escaped(&list, name) < 0 ||
	    (options->settings.read_only && fuse_opt_add_opt(&list, "ro") < 0) ||
	    (options->debug && fuse_opt_add_opt(&list, "debug") < 0) ||
	    (options->namespaces && fuse_opt_add_opt(&list, "allow_other") < 0) ||
	    fuse_opt_add_arg(args, "-o") < 0 || fuse_opt_add_arg(args, list) < 0)
		result = out_of_memory();
	free(name);
	free(list);
	return result;
}

static int join_settings(struct ipcfs_options *options)
{
	if (options->config)
		return ipcfs_config_load(options->config, &options->given, &options->settings);
	if (ipcfs_settings_override(&options->settings, &options->given) < 0)
		return out_of_memory();
	return 0;
}

int ipcfs_options_parse(struct fuse_args *args, struct ipcfs_options *options)
{
	struct parse parse = { .options = options };

	*options = (struct ipcfs_options){ 0 };
	ipcfs_settings_init(&options->given);
	ipcfs_settings_init(&options->settings);
	if (fuse_opt_parse(args, &parse, specs, take) < 0)
		return -EINVAL;
	if (options->help || options->version)
		return 0;
	/* What stood behind it was taken out; it may have been left. */
	if (args->argc > 1 && strcmp(args->argv[args->argc - 1], "--") == 0) {
		free(args->argv[--args->argc]);
		args->argv[args->argc] = NULL;
	}
	if (options->mountpoint == NULL || options->mountpoint[0] == '\0') {
		ipcfs_log(LOG_ERR, "no mount point given (see ipcfs --help)");
		return -EINVAL;
	}
	if (options->namespaces && options->target) {
		ipcfs_log(LOG_ERR, "options namespaces and target= do not go together");
		return -EINVAL;
	}
	if (options->audit_level && !options->audit) {
		ipcfs_log(LOG_ERR, "option audit_level= needs audit= (see ipcfs --help)");
		return -EINVAL;
	}
	if (!options->audit_level)
		options->audit_level = IPCFS_AUDIT_DENY;
	if (join_settings(options) < 0)
		return -EINVAL;
	return add_own(args, options) < 0 ? -EINVAL : 0;
}

void ipcfs_options_free(struct ipcfs_options *options)
{
	free(options->source);
	free(options->mountpoint);
	free(options->state);
	free(options->audit);
	free(options->config);
	ipcfs_settings_free(&options->settings);
	ipcfs_settings_free(&options->given);
	*options = (struct ipcfs_options){ 0 };
}

void ipcfs_options_help(void)
{
	printf("usage: ipcfs [options] [SOURCE] MOUNTPOINT\n"
	       "\n"
	       "Shows the IPC objects of this machine or container as a tree of files on\n"
	       "MOUNTPOINT. "
	       "Returns when the mount is ready. End it with umount MOUNTPOINT or SIGTERM.\n"
	       "SOURCE is the name that the mount table shows (ipcfs).\n"
	       "\n"
	       "    -f                     stay in the foreground, messages to standard error\n"
	       "    -d, -o debug           like -f, with a line for every request\n"
	       "    -s                     accepted and ignored\n"
	       "    -h, --help             this text\n"
	       "    -V, --version          versions\n"
	       "\n"
	       "    -o state=DIR           where access control lists are kept "
	       "(/run/ipcfs-state)\n"
	       "    -o audit=WHERE         record decisions: syslog, journal, audit or /FILE\n"
	       "    -o audit_level=LEVEL   which: deny (default), change, all\n"
	       "    -o target=PID          show the IPC namespace and /dev/shm of this process,\n"
	       "                           and end with it\n"
	       "    -o namespaces          show the objects of all IPC namespaces, each caller its\n"
	       "                           own first (implies allow_other)\n"
	       "    -o ro                  for looking: nothing can be sent, received or changed\n"
	       "    -o config=FILE         take what follows, up to the next blank line, from a\n"
	       "                           file, too; read again at SIGHUP\n");
	ipcfs_settings_help();
	printf("\n"
	       "    -o allow_other         let other users in, as the objects' permissions say\n"
	       "    -o allow_root          let root in\n"
	       "    -o auto_unmount        unmount when the daemon dies\n"
	       "    -o default_permissions let the kernel check the shown modes as well\n"
	       "    -o fsname=NAME         the same as SOURCE\n"
	       "    -o context=, fscontext=, defcontext=, rootcontext=   for SELinux\n"
	       "\n"
	       "The mount is nosuid, nodev and noexec in any case. Other options of mount(8)\n"
	       "that have no meaning here (defaults, nofail, noauto, _netdev, x-..., noatime,\n"
	       "...) are ignored.\n"
	       "\n"
	       "exit status: 0 mounted, or ended in order (-f); 1 wrong usage or option;\n"
	       "2 can't mount or serve, the message says why\n");
}
