/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>
#ifdef IPCFS_CONFIG
#include <ini.h>
#endif

#include "log.h"

__attribute__((format(printf, 3, 4))) static int fail(struct ipcfs_config_error *error,
						      unsigned line, const char *format, ...)
{
	va_list args;

	error->line = line;
	va_start(args, format);
	if (vsnprintf(error->what, sizeof(error->what), format, args) < 0)
		error->what[0] = '\0';
	va_end(args);
	return -EINVAL;
}

#ifdef IPCFS_CONFIG
struct reading {
	const char *text;
	size_t size, at;
	unsigned line; /* of what was read last */
	struct ipcfs_settings *settings;
	struct ipcfs_config_error *error;
	int result; /* the first error's */
};

/* The next line, as fgets(3). The library would cut one that is too long, and go on. */
static char *next_line(char *room, int size, void *arg)
{
	struct reading *reading = arg;
	const char *start = reading->text + reading->at, *end;
	size_t length = reading->size - reading->at;

	if (reading->result || length == 0)
		return NULL;
	reading->line++;
	end = memchr(start, '\n', length);
	if (end)
		length = (size_t)(end + 1 - start);
	if (memchr(start, '\0', length)) {
		reading->result = fail(reading->error, reading->line, "a NUL byte");
		return NULL;
	}
	if (length >= (size_t)size) {
		reading->result = fail(reading->error, reading->line,
				       "longer than %d bytes (a list can go on in another line)",
				       size - 2);
		return NULL;
	}
	memcpy(room, start, length);
	room[length] = '\0';
	reading->at += length;
	return room;
}

/* 1: go on. */
static int take(void *arg, const char *section, const char *name, const char *value)
{
	struct reading *reading = arg;
	const char *wanted = "";

	if (reading->result)
		return 0;
	if (section[0] != '\0' && strcmp(section, "ipcfs") != 0)
		reading->result = fail(reading->error, reading->line,
				       "section [%s], only [ipcfs] is known", section);
	else if (ipcfs_settings_is_given(reading->settings, name))
		reading->result = fail(reading->error, reading->line, "%s is set twice", name);
	else
		reading->result = ipcfs_settings_set(reading->settings, name, value, &wanted);
	switch (reading->result) {
	case -ENOENT:
		reading->result = fail(reading->error, reading->line,
				       "%s can't be set in a configuration file", name);
		break;
	case -EINVAL:
		if (wanted[0] != '\0')
			fail(reading->error, reading->line, "%s: %s", name, wanted);
		break;
	case -E2BIG:
		reading->result = fail(reading->error, reading->line, "%s: too many", name);
		break;
	case -ENOMEM:
		fail(reading->error, 0, "%s", strerror(ENOMEM));
		reading->result = -ENOMEM;
		break;
	}
	return reading->result == 0;
}

int ipcfs_config_parse(const char *text, size_t size, struct ipcfs_settings *settings,
		       struct ipcfs_config_error *error)
{
	struct reading reading = {
		.text = text,
		.size = size,
		.settings = settings,
		.error = error,
	};
	int line;

	ipcfs_settings_init(settings);
	line = ini_parse_stream(next_line, &reading, take, &reading);
	/* A line that is neither name nor section; what came behind it may have been taken or not. */
	if (line > 0 && (!reading.result || (unsigned)line < error->line))
		return fail(error, (unsigned)line, "neither NAME = VALUE nor a comment");
	if (line < 0 && !reading.result)
		return fail(error, 0, "%s", strerror(ENOMEM));
	return reading.result;
}
#else
int ipcfs_config_parse(const char *text, size_t size, struct ipcfs_settings *settings,
		       struct ipcfs_config_error *error)
{
	(void)text;
	(void)size;
	ipcfs_settings_init(settings);
	fail(error, 0, "this ipcfs was built without configuration files (libinih)");
	return -EOPNOTSUPP;
}
#endif

static void close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static void free_text(char **text)
{
	free(*text);
}

/* All of the file into `text`, which has room for a byte more than a file may have. */
static ssize_t read_all(int fd, char *text)
{
	size_t size = 0;

	while (size <= IPCFS_CONFIG_SIZE_MAX) {
		ssize_t got = read(fd, text + size, IPCFS_CONFIG_SIZE_MAX + 1 - size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		size += (size_t)got;
	}
	return (ssize_t)size;
}

static int read_file(const char *path, struct ipcfs_settings *settings,
		     struct ipcfs_config_error *error)
{
	__attribute__((cleanup(free_text))) char *text = malloc(IPCFS_CONFIG_SIZE_MAX + 1);
	__attribute__((cleanup(close_fd))) int fd = -1;
	struct stat st;
	ssize_t size;

	ipcfs_settings_init(settings);
	if (!text)
		return fail(error, 0, "%s", strerror(ENOMEM));
	/* A FIFO would have us wait for its other end. */
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(error, 0, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(error, 0, "not a regular file");
	if (st.st_mode & S_IWOTH)
		return fail(error, 0, "everybody may write it");
	size = read_all(fd, text);
	if (size < 0)
		return fail(error, 0, "%s", strerror((int)-size));
	if (size > IPCFS_CONFIG_SIZE_MAX)
		return fail(error, 0, "larger than %d bytes", IPCFS_CONFIG_SIZE_MAX);
	return ipcfs_config_parse(text, (size_t)size, settings, error);
}

int ipcfs_config_load(const char *path, const struct ipcfs_settings *command_line,
		      struct ipcfs_settings *settings)
{
	struct ipcfs_config_error error = { 0 };
	int err = read_file(path, settings, &error);

	if (!err) {
		err = ipcfs_settings_override(settings, command_line);
		if (err)
			fail(&error, 0, "%s", strerror(-err));
	}
	if (!err)
		return 0;
	if (error.line)
		ipcfs_log(LOG_ERR, "%s:%u: %s", path, error.line, error.what);
	else
		ipcfs_log(LOG_ERR, "%s: %s", path, error.what);
	ipcfs_settings_free(settings);
	return err;
}
