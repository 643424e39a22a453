/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314
#include "fs/daemon/command_line.h"

#include <errno.h>
#include <fuse_opt.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "fs/audit/audit_sink.h"
#include "fs/base/log.h"
#include "fs/base/number.h"
#include "fs/daemon/config.h"

enum key {
	KEY_FOREGROUND,
	KEY_DEBUG,
	KEY_HELP,
	KEY_VERSION,
	KEY_UPGRADE,
	KEY_READ_ONLY,
	KEY_READ_WRITE,
	KEY_SOURCE,
	KEY_STATE,
	KEY_AMQP,
	KEY_AUDIT,
	KEY_AUDIT_LEVEL,
	KEY_CONFIG,
	KEY_TARGET,
	KEY_NAMESPACES,
	KEY_DEFAULT_PERMISSIONS,
	KEY_INOTIFY,
	KEY_SUPERVISE,
	KEY_REEXPORT,
	KEY_NO_LINKS,
	KEY_AUTO_UNMOUNT,
	KEY_REMOUNT,
	KEY_IGNORED,
};

static const struct fuse_opt specs[] = {
	FUSE_OPT_KEY("-f", KEY_FOREGROUND), FUSE_OPT_KEY("-d", KEY_DEBUG),
	FUSE_OPT_KEY("--debug", KEY_DEBUG), FUSE_OPT_KEY("debug", KEY_DEBUG),
	FUSE_OPT_KEY("-h", KEY_HELP), FUSE_OPT_KEY("--help", KEY_HELP),
	FUSE_OPT_KEY("-V", KEY_VERSION), FUSE_OPT_KEY("--version", KEY_VERSION),
	FUSE_OPT_KEY("ro", KEY_READ_ONLY), FUSE_OPT_KEY("rw", KEY_READ_WRITE),
	FUSE_OPT_KEY("fsname=", KEY_SOURCE), FUSE_OPT_KEY("config=", KEY_CONFIG),
	FUSE_OPT_KEY("amqp=", KEY_AMQP), FUSE_OPT_KEY("state=", KEY_STATE),
	FUSE_OPT_KEY("audit=", KEY_AUDIT), FUSE_OPT_KEY("audit_level=", KEY_AUDIT_LEVEL),
	FUSE_OPT_KEY("target=", KEY_TARGET), FUSE_OPT_KEY("namespaces", KEY_NAMESPACES),
	FUSE_OPT_KEY("default_permissions", KEY_DEFAULT_PERMISSIONS),
	FUSE_OPT_KEY("inotify", KEY_INOTIFY), FUSE_OPT_KEY("reexport", KEY_REEXPORT),
	FUSE_OPT_KEY("nosymfollow", KEY_NO_LINKS), FUSE_OPT_KEY("remount", KEY_REMOUNT),
	FUSE_OPT_KEY("supervise", KEY_SUPERVISE), FUSE_OPT_KEY("--upgrade", KEY_UPGRADE),

	/* Options of libfuse. */
	FUSE_OPT_KEY("allow_other", FUSE_OPT_KEY_KEEP),
	FUSE_OPT_KEY("allow_root", FUSE_OPT_KEY_KEEP),
	FUSE_OPT_KEY("auto_unmount", KEY_AUTO_UNMOUNT), FUSE_OPT_KEY("context=", FUSE_OPT_KEY_KEEP),
	FUSE_OPT_KEY("fscontext=", FUSE_OPT_KEY_KEEP),
	FUSE_OPT_KEY("defcontext=", FUSE_OPT_KEY_KEEP),
	FUSE_OPT_KEY("rootcontext=", FUSE_OPT_KEY_KEEP),

	/* Options that mount(8) and its helpers may pass, and -s: they mean nothing here. */
	FUSE_OPT_KEY("-s", KEY_IGNORED), FUSE_OPT_KEY("-n", KEY_IGNORED),
	FUSE_OPT_KEY("-v", KEY_IGNORED), FUSE_OPT_KEY("-t ", KEY_IGNORED),
	FUSE_OPT_KEY("subtype=", KEY_IGNORED), FUSE_OPT_KEY("comment=", KEY_IGNORED),
	FUSE_OPT_KEY("user=", KEY_IGNORED), FUSE_OPT_KEY("uhelper=", KEY_IGNORED),
	FUSE_OPT_KEY("helper=", KEY_IGNORED), FUSE_OPT_END
};

/* More of these. dev, suid and exec too, as the tree has no devices and no programs. */
static const char *const ignored[] = {
	"defaults",	 "auto",     "noauto",	   "nofail",	"_netdev",    "_rnetdev",
	"user",		 "nouser",   "users",	   "nousers",	"owner",      "noowner",
	"group",	 "nogroup",  "dev",	   "nodev",	"suid",	      "nosuid",
	"exec",		 "noexec",   "sync",	   "async",	"dirsync",    "atime",
	"noatime",	 "diratime", "nodiratime", "relatime",	"norelatime", "strictatime",
	"nostrictatime", "lazytime", "nolazytime", "iversion",	"noiversion", "mand",
	"nomand",	 "silent",   "loud",	   "symfollow",
};

static int out_of_memory(void)
{
	ipcfs_log(LOG_ERR, "%s", strerror(ENOMEM));
	return -1;
}

static int set_string(char **string, const char *value)
{
	char *copy = strdup(value);

	if (copy == NULL)
		return out_of_memory();
	free(*string);
	*string = copy;
	return 0;
}

/* Takes a NAME or NAME=VALUE of settings.h. Returns -1: error; 0: taken; 1: not a setting. */
static int take_setting(struct ipcfs_settings *settings, const char *arg)
{
	size_t size = strcspn(arg, "=");
	const char *value = arg[size] ? arg + size + 1 : NULL;
	char wanted[IPCFS_SETTINGS_WANTED] = "", name[32];
	int err = -ENOENT;

	if (size < sizeof(name)) {
		memcpy(name, arg, size);
		name[size] = '\0';
		err = ipcfs_settings_set(settings, name, value, wanted);
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

static int set_audit(char **string, const char *arg)
{
	const char *target = strchr(arg, '=') + 1;

	switch (ipcfs_audit_sink_check(target)) {
	case 0:
		return set_string(string, target);
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

static int set_audit_level(enum ipcfs_audit_level *level, const char *arg)
{
	*level = ipcfs_audit_level(strchr(arg, '=') + 1);
	if (*level != IPCFS_AUDIT_OFF)
		return 0;
	ipcfs_log(LOG_ERR, "option %s: deny, change or all is wanted", arg);
	return -1;
}

/* Makes a path absolute, as the background daemon changes to another directory. */
static int set_path(char **string, const char *path)
{
	char *here, *whole = NULL;
	int result = 0;

	if (path[0] == '/')
		return set_string(string, path);
	here = getcwd(NULL, 0);
	if (here == NULL) {
		ipcfs_log(LOG_ERR, "%s: the working directory is unknown: %s", path,
			  strerror(errno));
		return -1;
	}
	if (asprintf(&whole, "%s/%s", here, path) < 0) {
		whole = NULL;
		result = out_of_memory();
	} else {
		free(*string);
		*string = whole;
	}
	free(here);
	return result;
}

static int set_amqp(struct ipcfs_options *options, const char *path)
{
#ifdef IPCFS_AMQP
	return set_path(&options->amqp, path);
#else
	(void)options;
	ipcfs_log(LOG_ERR, "option amqp=%s: ipcfs was built without queues of brokers", path);
	return -1;
#endif
}

static int take_option(struct ipcfs_options *options, const char *arg)
{
	int result = take_setting(&options->given, arg);

	if (result <= 0)
		return result;
	if (strncmp(arg, "x-", 2) == 0 || strncmp(arg, "X-", 2) == 0)
		return 0;
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		if (strcmp(arg, ignored[i]) == 0)
			return 0;
	if (options->sloppy)
		return 0;
	ipcfs_log(LOG_ERR, "unknown option %s (see ipcfs --help)", arg);
	return -1;
}

static int refuse_remount(void)
{
	ipcfs_log(LOG_ERR,
		  "option remount: a mount of ipcfs can't be changed; unmount it and mount "
		  "it again (SIGHUP changes what config= has)");
	return -1;
}

/* Takes [SOURCE] MOUNTPOINT: the last argument is the mount point. */
static int take_argument(struct ipcfs_options *options, int *count, const char *arg)
{
	if (++*count > 2) {
		ipcfs_log(LOG_ERR, "too many arguments: %s (see ipcfs --help)", arg);
		return -1;
	}
	if (*count == 2) {
		/* -o fsname= takes precedence. */
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
	int count; /* of arguments that are not options */
};

/* Takes an option with a value. As take; 1: it is none of these. */
static int take_value(struct ipcfs_options *options, const char *arg, int key)
{
	switch (key) {
	case KEY_SOURCE:
		return set_string(&options->source, strchr(arg, '=') + 1);
	case KEY_CONFIG:
		return set_path(&options->config, strchr(arg, '=') + 1);
	case KEY_AMQP:
		return set_amqp(options, strchr(arg, '=') + 1);
	case KEY_STATE:
		return set_path(&options->state, strchr(arg, '=') + 1);
	case KEY_AUDIT:
		return set_audit(&options->audit, arg);
	case KEY_AUDIT_LEVEL:
		return set_audit_level(&options->audit_level, arg);
	case KEY_TARGET:
		return set_target(&options->target, arg);
	default:
		return 1;
	}
}

/* Takes an argument. For fuse_opt_parse: -1: error; 0: remove it; 1: keep it for libfuse. */
static int take(void *data, const char *arg, int key, struct fuse_args *args)
{
	struct parse *parse = data;
	struct ipcfs_options *options = parse->options;

	(void)args;
	switch (key) {
	case FUSE_OPT_KEY_OPT:
		return take_option(options, arg);
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
	case KEY_UPGRADE:
		options->upgrade = true;
		return 0;
	case KEY_READ_ONLY:
	case KEY_READ_WRITE:
		options->given.read_only = key == KEY_READ_ONLY;
		return 0;
	case KEY_NAMESPACES:
		options->namespaces = true;
		return 0;
	case KEY_DEFAULT_PERMISSIONS:
		options->default_permissions = true;
		return 1; /* libfuse's, too */
	case KEY_AUTO_UNMOUNT:
		options->auto_unmount = true;
		return 1; /* it is libfuse's */
	case KEY_INOTIFY:
		options->inotify = true;
		return 0;
	case KEY_SUPERVISE:
		options->supervise = true;
		return 0;
	case KEY_REEXPORT:
		options->reexport = true;
		return 0;
	case KEY_NO_LINKS:
		options->no_links = true;
		return 0;
	case KEY_REMOUNT:
		return refuse_remount();
	case KEY_IGNORED:
		return 0;
	default:
		return take_value(options, arg, key);
	}
}

/* Adds the options that libfuse gets in addition to the user's. */
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

/* Sets options->settings: defaults, the configuration file, the command line. */
static int join_settings(struct ipcfs_options *options)
{
	if (options->config)
		return ipcfs_config_load(options->config, &options->given, &options->settings);
	if (ipcfs_settings_override(&options->settings, &options->given) < 0)
		return out_of_memory();
	return 0;
}

int ipcfs_options_parse(struct fuse_args *args, bool sloppy, struct ipcfs_options *options)
{
	struct parse parse = { .options = options };

	*options = (struct ipcfs_options){ .sloppy = sloppy };
	ipcfs_settings_init(&options->given);
	ipcfs_settings_init(&options->settings);
	if (fuse_opt_parse(args, &parse, specs, take) < 0)
		return -EINVAL;
	if (options->help || options->version)
		return 0;
	/* libfuse keeps a "--" although the arguments behind it were removed. */
	if (args->argc > 1 && strcmp(args->argv[args->argc - 1], "--") == 0) {
		free(args->argv[--args->argc]);
		args->argv[args->argc] = NULL;
	}
	if (options->mountpoint == NULL || options->mountpoint[0] == '\0') {
		ipcfs_log(LOG_ERR, "no mount point given (see ipcfs --help)");
		return -EINVAL;
	}
	if (options->upgrade && options->source) {
		ipcfs_log(LOG_ERR, "--upgrade takes nothing but a mount point");
		return -EINVAL;
	}
	if (options->upgrade)
		return 0;
	if (options->namespaces && options->target) {
		ipcfs_log(LOG_ERR, "options namespaces and target= do not go together");
		return -EINVAL;
	}
	if (options->amqp && (options->namespaces || options->target)) {
		ipcfs_log(LOG_ERR, "option amqp= does not go together with namespaces or target=");
		return -EINVAL;
	}
	if (options->inotify && options->namespaces) {
		ipcfs_log(LOG_ERR, "options inotify and namespaces do not go together");
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
	free(options->amqp);
	free(options->amqp_text);
	free(options->config);
	ipcfs_settings_free(&options->settings);
	ipcfs_settings_free(&options->given);
	*options = (struct ipcfs_options){ 0 };
}

void ipcfs_options_help(void)
{
	printf("usage: ipcfs [options] [SOURCE] MOUNTPOINT\n"
	       "       ipcfs --upgrade MOUNTPOINT\n"
	       "       mount -t ipcfs [-o OPTION,...] SOURCE MOUNTPOINT\n"
	       "\n"
	       "Shows the IPC objects of this machine or container as a tree of files on\n"
	       "MOUNTPOINT. "
	       "Returns when the mount is ready. End it with umount MOUNTPOINT or SIGTERM.\n"
	       "SOURCE is the name that the mount table shows (ipcfs).\n"
	       "\n"
	       "    -f                     stay in the foreground, messages to standard error\n"
	       "    -d, -o debug           like -f, with a line for every request\n"
	       "    -s                     accepted and ignored\n"
	       "    --upgrade              have a mount with -o supervise go on with the program\n"
	       "                           that is installed now\n"
	       "    -h, --help             this text\n"
	       "    -V, --version          versions\n"
	       "\n"
	       "    -o state=DIR           where access control lists are kept "
	       "(/run/ipcfs-state)\n"
	       "    -o audit=WHERE         record decisions: syslog, journal, audit or /FILE\n"
	       "    -o audit_level=LEVEL   which: deny (default), change, all\n"
	       "    -o target=PID          show the IPC namespace and /dev/shm of this process,\n"
	       "                           and end with it\n"
	       "    -o namespaces          show all IPC namespaces: to a caller its own, and in\n"
	       "                           ns/ those that it may see (implies allow_other)\n"
	       "    -o inotify             inotify(7) on the mount tells of objects that direct\n"
	       "                           callers make and remove, too\n"
	       "    -o supervise           keep the mount if the process that serves it is killed\n"
	       "    -o reexport            for virtiofsd and 9p: pread(2) and pwrite(2) work on all\n"
	       "                           files\n"
	       "    -o ro                  read-only: nothing can be sent, received or changed\n"
	       "    -o amqp=FILE           show queues of RabbitMQ: the file has the connections\n"
	       "    -o config=FILE         read the settings below, up to the blank line, from a\n"
	       "                           file too, and again at SIGHUP\n");
	ipcfs_settings_help();
	printf("\n"
	       "    -o allow_other         let other users in, as the objects' permissions say\n"
	       "    -o allow_root          let root in\n"
	       "    -o auto_unmount        unmount when the daemon dies\n"
	       "    -o default_permissions let the kernel check the shown modes as well\n"
	       "    -o nosymfollow         let the kernel follow no symbolic link of the mount\n"
	       "    -o fsname=NAME         the same as SOURCE\n"
	       "    -o context=, fscontext=, defcontext=, rootcontext=   for SELinux\n"
	       "\n"
	       "The mount is nosuid, nodev and noexec in any case. Other options of mount(8)\n"
	       "that have no meaning here (defaults, nofail, noauto, _netdev, x-..., noatime,\n"
	       "...) are ignored.\n"
	       "\n"
	       "exit status: 0 mounted, ended in order (-f), or upgraded; 1 wrong usage or\n"
	       "option; 2 can't mount, serve or upgrade, the message says why\n");
}
