/* SPDX-License-Identifier: MIT */
#include "log.h"

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
#define LINE_ROOM 1024 /* what is longer is cut */

/* Owned by this file, set once. */
static atomic_bool in_background;

/* Copy a string, bytes that are not printable ASCII as \ooo. Returns the size; `to` is ended. */
static size_t escape(const char *from, char to[4 * LINE_ROOM])
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

/* Where nobody listens on stderr there is nobody to tell, so what fails here ends here. */
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
	char text[LINE_ROOM], line[sizeof(prefix) + 4 * LINE_ROOM];
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
		/* One write, so that lines of several threads don't mix. */
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
