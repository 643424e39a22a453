/* SPDX-License-Identifier: MIT */
#include "fs/control/refusal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "fs/base/log.h"
#include "fs/base/log_share.h"

#define WORD_MAX 64 /* bytes of a word that are kept */

static struct ipcfs_log_share logged = { .lock = PTHREAD_MUTEX_INITIALIZER };

void ipcfs_refusal_set(struct ipcfs_refusal *reason, const char *word, size_t size,
		       const char *format, ...)
{
	size_t kept = size < WORD_MAX ? size : WORD_MAX, at = 0;
	char shown[4 * WORD_MAX + 1] = "", why[sizeof(reason->text)];
	va_list args;

	for (size_t i = 0; i < kept; i++) {
		unsigned char byte = (unsigned char)word[i];

		at += (size_t)snprintf(shown + at, sizeof(shown) - at,
				       byte > ' ' && byte <= '~' ? "%c" : "\\%03o", byte);
	}
	va_start(args, format);
	if (vsnprintf(why, sizeof(why), format, args) < 0)
		why[0] = '\0';
	va_end(args);
	for (char *tab = strchr(why, '\t'); tab; tab = strchr(tab, '\t'))
		*tab = ' '; /* limits/sem has some */
	snprintf(reason->text, sizeof(reason->text), "%s%s: %s", shown, size > kept ? "..." : "",
		 why);
}

void ipcfs_refusal_log(uid_t uid, const struct ipcfs_refusal *reason)
{
	unsigned long left_out;

	if (!ipcfs_log_may(&logged, &left_out))
		return;
	if (left_out)
		ipcfs_log(LOG_NOTICE, "%lu refused requests to make objects were not logged",
			  left_out);
	ipcfs_log(LOG_NOTICE, "no object made for uid %u: %s", uid, reason->text);
}
