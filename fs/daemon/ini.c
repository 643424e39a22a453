/* SPDX-License-Identifier: MIT */
#include "fs/daemon/ini.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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

#include "backends/contract/descriptor.h"
#include "fs/base/log.h"

/* A byte more than a file may have, and the NUL that ends the text. */
#define TEXT_SIZE (IPCFS_CONFIG_SIZE_MAX + 2)

int ipcfs_ini_fail(struct ipcfs_config_error *error, unsigned line, const char *format, ...)
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
/* State of reading a text. */
struct reading {
	const char *text;
	size_t size, at;
	unsigned line; /* the line that was read last */
	ipcfs_ini_take *take;
	void *arg;
	struct ipcfs_config_error *error;
	int result; /* of the first error */
};

/* Returns the next line, as fgets(3). Refuses one that is too long, which the library would cut. */
static char *next_line(char *line, int size, void *arg)
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
		reading->result = ipcfs_ini_fail(reading->error, reading->line, "a NUL byte");
		return NULL;
	}
	if (length >= (size_t)size) {
		reading->result = ipcfs_ini_fail(
			reading->error, reading->line,
			"longer than %d bytes (a list can go on in another line)", size - 2);
		return NULL;
	}
	memcpy(line, start, length);
	line[length] = '\0';
	reading->at += length;
	return line;
}

/* Takes a setting. Returns 1: go on; 0: there was an error. */
static int take(void *arg, const char *section, const char *name, const char *value)
{
	struct reading *reading = arg;

	if (!reading->result)
		reading->result = reading->take(reading->arg, reading->line, section, name, value,
						reading->error);
	return reading->result == 0;
}

int ipcfs_ini_parse(const char *text, size_t size, ipcfs_ini_take *each, void *arg,
		    struct ipcfs_config_error *error)
{
	struct reading reading = {
		.text = text,
		.size = size,
		.take = each,
		.arg = arg,
		.error = error,
	};
	int line = ini_parse_stream(next_line, &reading, take, &reading);

	/*
	 * libinih found a line that is neither a setting nor a section. Later lines may have been
	 * taken.
	 */
	if (line > 0 && (!reading.result || (unsigned)line < error->line))
		return ipcfs_ini_fail(error, (unsigned)line, "neither NAME = VALUE nor a comment");
	if (line < 0 && !reading.result)
		return ipcfs_ini_fail(error, 0, "%s", strerror(ENOMEM));
	return reading.result;
}
#else
int ipcfs_ini_parse(const char *text, size_t size, ipcfs_ini_take *each, void *arg,
		    struct ipcfs_config_error *error)
{
	(void)text, (void)size, (void)each, (void)arg;
	ipcfs_ini_fail(error, 0, "this ipcfs was built without configuration files (libinih)");
	return -EOPNOTSUPP;
}
#endif

static void free_text(char **text)
{
	free(*text);
}

/*
 * Checks that nobody is writing the file, and keeps writers out until it is closed. They wait in
 * open(2) meanwhile. Works where the kernel grants a lease, which takes the file's owner.
 */
static int keep_writers_out(int fd, struct ipcfs_config_error *error)
{
	/* A writer's open sends this signal, which does nothing; SIGIO would end the process. */
	if (fcntl(fd, F_SETSIG, SIGURG) < 0 || fcntl(fd, F_SETLEASE, F_RDLCK) == 0)
		return 0;
	return errno == EAGAIN ? ipcfs_ini_fail(error, 0, "it is being written") : 0;
}

/* Checks the file's type, and that none but root and the daemon's user can have written it. */
static int check_file(int fd, bool secret, struct ipcfs_config_error *error)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return ipcfs_ini_fail(error, 0, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return ipcfs_ini_fail(error, 0, "not a regular file");
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return ipcfs_ini_fail(error, 0,
				      "it belongs to user %u, not to root or the daemon's user",
				      st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return ipcfs_ini_fail(error, 0, "others than its owner may write it");
	if (secret && st.st_mode & 077)
		return ipcfs_ini_fail(error, 0, "others than its owner may use it: chmod 0600");
	return keep_writers_out(fd, error);
}

int ipcfs_ini_read(const char *path, bool secret, char **read, size_t *size,
		   struct ipcfs_config_error *error)
{
	__attribute__((cleanup(free_text))) char *text = malloc(TEXT_SIZE);
	IPCFS_DESCRIPTOR_AUTO int fd = -1;
	ssize_t got;
	int err;

	if (!text)
		return ipcfs_ini_fail(error, 0, "%s", strerror(ENOMEM));
	/* Opening a FIFO without O_NONBLOCK would wait for its other end. */
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return ipcfs_ini_fail(error, 0, "%s", strerror(errno));
	err = check_file(fd, secret, error);
	if (err)
		return err;
	got = ipcfs_descriptor_read(fd, text, TEXT_SIZE);
	if (got < 0)
		return ipcfs_ini_fail(error, 0, "%s", strerror((int)-got));
	if (got > IPCFS_CONFIG_SIZE_MAX)
		return ipcfs_ini_fail(error, 0, "larger than %d bytes", IPCFS_CONFIG_SIZE_MAX);
	/* A file that was cut, or is written in parts, rarely ends with a line. */
	if (got == 0 || text[got - 1] != '\n')
		return ipcfs_ini_fail(error, 0,
				      "it does not end with the end of a line: is it complete?");
	*read = text;
	*size = (size_t)got;
	text = NULL;
	return 0;
}

void ipcfs_ini_log(const char *path, const struct ipcfs_config_error *error)
{
	if (error->line)
		ipcfs_log(LOG_ERR, "%s:%u: %s", path, error->line, error->what);
	else
		ipcfs_log(LOG_ERR, "%s: %s", path, error->what);
}
