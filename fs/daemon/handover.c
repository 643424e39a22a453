/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314
#include "fs/daemon/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

#include "backends/contract/descriptor.h"
#include "backends/contract/text.h"
#include "fs/base/log.h"
#include "fs/base/number.h"
#include "fs/daemon/command_line.h"

#define SIZE_LIMIT (1024 * 1024) /* bytes of the file */

/* Prefixes of settings. */
#define GIVEN "given."
#define SETTING "setting."
#define LATEST "latest."

enum type { WORD, DESCRIPTOR, NUMBER, FLAG, STRING };

#define OF(field) offsetof(struct ipcfs_handover, field)

static const struct field {
	const char *name;
	enum type type;
	size_t at;
} fields[] = {
	{ "layout", WORD, OF(layout) },
	{ "number", WORD, OF(number) },
	{ "mount_id", WORD, OF(mount_id) },
	{ "device", DESCRIPTOR, OF(device) },
	{ "legacy", DESCRIPTOR, OF(legacy) },
	{ "listener", DESCRIPTOR, OF(listener) },
	{ "client", DESCRIPTOR, OF(client) },
	{ "line", DESCRIPTOR, OF(line) },
	{ "watch", DESCRIPTOR, OF(watch) },
	{ "target_process", DESCRIPTOR, OF(target) },
	{ "unmounter", DESCRIPTOR, OF(unmounter) },
	{ "image", DESCRIPTOR, OF(image) },
	{ "keeper", DESCRIPTOR, OF(keeper) },
	{ "holds", DESCRIPTOR, OF(holds) },
	{ "leases_socket", DESCRIPTOR, OF(leases[0]) },
	{ "leases_file", DESCRIPTOR, OF(leases[1]) },
	{ "leases_life", DESCRIPTOR, OF(leases[2]) },
	{ "worker", NUMBER, OF(worker) },
	{ "unmounter_process", NUMBER, OF(unmounter_process) },
	{ "privileged", FLAG, OF(privileged) },
	{ "reloaded", FLAG, OF(reloaded) },
	{ "back", FLAG, OF(back) },
	{ "why", STRING, OF(why) },
	{ "program", STRING, OF(program) },
	{ "mountpoint", STRING, OF(mountpoint) },
	{ "remembers", FLAG, OF(remembers) },
	{ "ro", FLAG, OF(options.settings.read_only) },
	{ "source", STRING, OF(options.source) },
	{ "config", STRING, OF(options.config) },
	{ "state", STRING, OF(options.state) },
	{ "amqp", STRING, OF(options.amqp) },
	{ "amqp_text", STRING, OF(options.amqp_text) },
	{ "audit", STRING, OF(options.audit) },
	{ "audit_level", NUMBER, OF(options.audit_level) },
	{ "target", NUMBER, OF(options.target) },
	{ "default_permissions", FLAG, OF(options.default_permissions) },
	{ "reexport", FLAG, OF(options.reexport) },
	{ "inotify", FLAG, OF(options.inotify) },
	{ "nosymfollow", FLAG, OF(options.no_links) },
	{ "foreground", FLAG, OF(options.foreground) },
	{ "debug", FLAG, OF(options.debug) },
};
#define FIELDS (sizeof(fields) / sizeof(*fields))

_Static_assert(IPCFS_LEASES_DESCRIPTORS == 3, "all have a name");
_Static_assert(sizeof(enum ipcfs_audit_level) == sizeof(int) && sizeof(pid_t) == sizeof(int),
	       "a NUMBER is an int");

void ipcfs_handover_init(struct ipcfs_handover *handover)
{
	*handover = (struct ipcfs_handover){ .args = FUSE_ARGS_INIT(0, NULL) };
	ipcfs_settings_init(&handover->options.settings);
	ipcfs_settings_init(&handover->options.given);
	ipcfs_settings_init(&handover->latest);
	handover->options.supervise = true;
	for (size_t i = 0; i < FIELDS; i++)
		if (fields[i].type == DESCRIPTOR)
			*(int *)(void *)((char *)handover + fields[i].at) = -1;
}

void ipcfs_handover_free(struct ipcfs_handover *handover)
{
	free(handover->why);
	free(handover->program);
	free(handover->mountpoint);
	ipcfs_options_free(&handover->options);
	ipcfs_settings_free(&handover->latest);
	fuse_opt_free_args(&handover->args);
}

static int write_field(const struct ipcfs_handover *handover, const struct field *field,
		       struct ipcfs_text *text)
{
	const void *at = (const char *)handover + field->at;
	int none = field->type == DESCRIPTOR ? -1 : 0, err = 0;

	switch (field->type) {
	case WORD:
		if (!*(const uint64_t *)at)
			return 0;
		err = ipcfs_text_printf(text, "%s=%" PRIx64, field->name, *(const uint64_t *)at);
		break;
	case DESCRIPTOR:
	case NUMBER:
		if (*(const int *)at == none)
			return 0;
		err = ipcfs_text_printf(text, "%s=%d", field->name, *(const int *)at);
		break;
	case FLAG:
		if (!*(const bool *)at)
			return 0;
		err = ipcfs_text_printf(text, "%s=1", field->name);
		break;
	case STRING:
		if (!*(char *const *)at)
			return 0;
		err = ipcfs_text_printf(text, "%s=%s", field->name, *(char *const *)at);
		break;
	}
	return err ? err : ipcfs_text_add(text, "", 1);
}

static int write_all(const struct ipcfs_handover *handover, struct ipcfs_text *text)
{
	int err = 0;

	for (size_t i = 0; !err && i < FIELDS; i++)
		err = write_field(handover, &fields[i], text);
	if (!err)
		err = ipcfs_settings_write(&handover->options.given, GIVEN, text);
	if (!err)
		err = ipcfs_settings_write(&handover->options.settings, SETTING, text);
	if (!err && handover->remembers)
		err = ipcfs_settings_write(&handover->latest, LATEST, text);
	for (int i = 0; !err && i < handover->args.argc; i++) {
		err = ipcfs_text_printf(text, "arg=%s", handover->args.argv[i]);
		if (!err)
			err = ipcfs_text_add(text, "", 1);
	}
	return err;
}

int ipcfs_handover_write(const struct ipcfs_handover *handover)
{
	struct ipcfs_text text = { 0 };
	int err = write_all(handover, &text), fd = -1;

	if (!err) {
		fd = memfd_create("ipcfs-handover", MFD_CLOEXEC);
		err = fd < 0 ? -errno : 0;
	}
	if (!err) {
		ssize_t put = ipcfs_descriptor_write_at(fd, text.data, text.size, 0);

		if (put != (ssize_t)text.size)
			err = put < 0 ? (int)put : -EIO;
	}
	if (err)
		ipcfs_descriptor_close(&fd);
	ipcfs_text_free(&text);
	return err ? err : fd;
}

static int read_field(struct ipcfs_handover *handover, const struct field *field, const char *value)
{
	void *at = (char *)handover + field->at;
	long number;

	if (field->type == STRING) {
		free(*(char **)at);
		*(char **)at = strdup(value);
		return *(char **)at ? 0 : -ENOMEM;
	}
	if (field->type == WORD)
		return sscanf(value, "%" SCNx64, (uint64_t *)at) == 1 ? 0 : -EINVAL;
	if (ipcfs_number_parse(value, strlen(value), 0, INT_MAX, &number))
		return -EINVAL;
	if (field->type == FLAG)
		*(bool *)at = number == 1;
	else
		*(int *)at = (int)number;
	return 0;
}

/* Takes an entry whose name begins with a prefix. 1: it does not. Else as ipcfs_settings_set. */
static int take_setting(struct ipcfs_settings *settings, const char *prefix, const char *name,
			const char *value)
{
	char wanted[IPCFS_SETTINGS_WANTED];
	size_t size = strlen(prefix);

	if (strncmp(name, prefix, size) != 0)
		return 1;
	return ipcfs_settings_set(settings, name + size, value, wanted);
}

static int take_entry(struct ipcfs_handover *handover, const char *name, const char *value)
{
	int result;

	for (size_t i = 0; i < FIELDS; i++)
		if (strcmp(name, fields[i].name) == 0)
			return read_field(handover, &fields[i], value);
	if (strcmp(name, "arg") == 0)
		return fuse_opt_add_arg(&handover->args, value) < 0 ? -ENOMEM : 0;
	result = take_setting(&handover->options.given, GIVEN, name, value);
	if (result == 1)
		result = take_setting(&handover->options.settings, SETTING, name, value);
	if (result == 1)
		result = take_setting(&handover->latest, LATEST, name, value);
	return result == 1 ? -EINVAL : result;
}

/* Takes the entries of a text that ends with a NUL. */
static int take_all(struct ipcfs_handover *handover, char *text, size_t size)
{
	char *end = text + size, *next;
	int err = 0;

	for (char *entry = text; !err && entry < end; entry = next) {
		char *value = strchr(entry, '=');

		next = entry + strlen(entry) + 1;
		if (value)
			*value++ = '\0';
		err = value ? take_entry(handover, entry, value) : -EINVAL;
		if (err)
			ipcfs_log(LOG_ERR, "%s can't be taken over: %s", entry, strerror(-err));
	}
	handover->options.given.read_only = handover->options.settings.read_only;
	handover->latest.read_only = handover->options.settings.read_only;
	return err;
}

int ipcfs_handover_read(int fd, struct ipcfs_handover *handover)
{
	char *text = malloc(SIZE_LIMIT);
	ssize_t size;
	int err;

	ipcfs_handover_init(handover);
	if (!text)
		return -ENOMEM;
	size = ipcfs_descriptor_read_at(fd, text, SIZE_LIMIT - 1, 0);
	if (size > 0) {
		text[size] = '\0';
		err = take_all(handover, text, (size_t)size);
	} else {
		err = size ? (int)size : -EINVAL;
	}
	free(text);
	return err;
}

static int descriptor_of(const struct ipcfs_handover *handover, size_t i)
{
	if (fields[i].type != DESCRIPTOR)
		return -1;
	return *(const int *)(const void *)((const char *)handover + fields[i].at);
}

void ipcfs_handover_inherit(const struct ipcfs_handover *handover, bool inherit)
{
	for (size_t i = 0; i < FIELDS; i++) {
		int fd = descriptor_of(handover, i);

		if (fd >= 0) /* fails for no open descriptor */
			(void)fcntl(fd, F_SETFD, inherit ? 0 : FD_CLOEXEC);
	}
}

/* Returns the lowest of the descriptors that is not below `from`. -1: there is none. */
static int next_kept(const struct ipcfs_handover *handover, int from)
{
	int next = -1;

	for (size_t i = 0; i < FIELDS; i++) {
		int fd = descriptor_of(handover, i);

		if (fd >= from && (next < 0 || fd < next))
			next = fd;
	}
	return next;
}

int ipcfs_handover_close_others(const struct ipcfs_handover *handover)
{
	int from = STDERR_FILENO + 1, kept;

	while ((kept = next_kept(handover, from)) >= 0) {
		if (kept > from && syscall(SYS_close_range, from, kept - 1, 0) < 0)
			return -errno;
		from = kept + 1;
	}
	return syscall(SYS_close_range, from, ~0U, 0) < 0 ? -errno : 0;
}
