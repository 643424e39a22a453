/* SPDX-License-Identifier: MIT */
#include "fs/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#define IDENT "ipcfs"
#define LINE_SIZE 1024 /* bytes of a message with its NUL; longer ones are cut */

/* Set once, by ipcfs_log_background. */
static atomic_bool in_background;

/* Copies a string, with bytes that are not printable ASCII as \ooo. Returns the copy's length. */
static size_t escape(const char *from, char to[4 * LINE_SIZE])
{
	size_t size = 0;

	for (; *from; from++) {
		unsigned char byte = (unsigned char)*from;

		if (byte >= ' ' && byte <= '~') {
			to[size++] = (char)byte;
			continue;
		}
		to[size++] = '\\';
		to[size++] = (char)('0' + (byte >> 6));
		to[size++] = (char)('0' + (byte >> 3 & 7));
		to[size++] = (char)('0' + (byte & 7));
	}
	to[size] = '\0';
	return size;
}

/* Writes to stderr. Errors are ignored: there is no other place to report them. */
static void write_stderr(const char *data, size_t size)
{
	while (size > 0) {
		ssize_t done = write(STDERR_FILENO, data, size);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return;
		data += done;
		size -= (size_t)done;
	}
}

void ipcfs_log(int priority, const char *format, ...)
{
	static const char prefix[] = IDENT ": ";
	char text[LINE_SIZE], line[sizeof(prefix) + 4 * LINE_SIZE];
	size_t size = sizeof(prefix) - 1;
	int saved = errno;
	va_list args;

	va_start(args, format);
	if (vsnprintf(text, sizeof(text), format, args) < 0)
		text[0] = '\0';
	va_end(args);

	memcpy(line, prefix, size);
	size += escape(text, line + size);
	if (atomic_load(&in_background)) {
		syslog(priority, "%s", line + sizeof(prefix) - 1);
	} else {
		/* With one write the lines of several threads don't mix. */
		line[size++] = '\n';
		write_stderr(line, size);
	}
	errno = saved;
}

void ipcfs_log_background(void)
{
	openlog(IDENT, LOG_PID, LOG_DAEMON);
	atomic_store(&in_background, true);
}
