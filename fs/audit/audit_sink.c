/* SPDX-License-Identifier: MIT */
#include "fs/audit/audit_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#ifdef IPCFS_LIBAUDIT
#include <libaudit.h>
#endif

#include "backends/contract/descriptor.h"

#define IDENT "ipcfs"
#define SYSLOG_SOCKET "/dev/log"
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

struct ipcfs_audit_sink_ops {
	const char *name; /* of the target; NULL: any path */
	int (*open)(struct ipcfs_audit_sink *sink, const char *target);
	int (*put)(struct ipcfs_audit_sink *sink, char *record, size_t size,
		   enum ipcfs_audit_severity severity, int timeout_ms);
};

static int priority(enum ipcfs_audit_severity severity)
{
	static const int priorities[] = {
		[IPCFS_AUDIT_ALLOWED] = LOG_INFO,
		[IPCFS_AUDIT_REFUSED] = LOG_NOTICE,
		[IPCFS_AUDIT_SUPPRESSED] = LOG_WARNING,
	};

	return priorities[severity];
}

/* Waits until `fd` can be written. 0: try again. -EAGAIN: it could not. */
static int wait_until_writable(int fd, int timeout_ms)
{
	struct pollfd writable = { .fd = fd, .events = POLLOUT };
	int ready = timeout_ms > 0 ? poll(&writable, 1, timeout_ms) : 0;

	return ready > 0 || (ready < 0 && errno == EINTR) ? 0 : -EAGAIN;
}

/* Files. */

static int open_file(struct ipcfs_audit_sink *sink)
{
	const int flags = O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	struct stat st;
	int fd;

	fd = openat(sink->directory, sink->file, flags | O_WRONLY | O_CREAT, 0600);
	if (fd < 0 && errno == ENXIO) /* a FIFO without a reader: it holds as much as it can */
		fd = openat(sink->directory, sink->file, flags | O_RDWR);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 ||
	    !(S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))) {
		close(fd);
		return -EINVAL;
	}
	sink->fd = fd;
	sink->torn = false;
	return 0;
}

static int file_open(struct ipcfs_audit_sink *sink, const char *target)
{
	const char *slash = strrchr(target, '/');
	char directory[PATH_MAX];

	if ((size_t)(slash - target) >= sizeof(directory))
		return -ENAMETOOLONG;
	memcpy(directory, target, (size_t)(slash - target));
	directory[slash - target] = '\0';
	sink->directory = open(slash == target ? "/" : directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (sink->directory < 0)
		return -errno;
	sink->file = slash + 1;
	return open_file(sink);
}

/*
 * Writes a record with one writev(2). One that was written only in part is ended by a newline
 * before the next.
 */
static int write_line(struct ipcfs_audit_sink *sink, char *record, size_t size)
{
	const struct iovec parts[] = { { (void *)"\n", sink->torn ? 1 : 0 }, { record, size + 1 } };
	size_t wanted = parts[0].iov_len + parts[1].iov_len;
	ssize_t done;

	record[size] = '\n';
	do
		done = writev(sink->fd, parts, 2);
	while (done < 0 && errno == EINTR);
	if (done == (ssize_t)wanted) {
		sink->torn = false;
		return 0;
	}
	if (done < 0)
		return -errno;
	sink->torn = sink->torn ? done != 1 : done != 0;
	return -ENOSPC;
}

static int file_put(struct ipcfs_audit_sink *sink, char *record, size_t size,
		    enum ipcfs_audit_severity severity, int timeout_ms)
{
	int err = sink->fd < 0 ? open_file(sink) : 0;

	(void)severity;
	if (!err)
		err = write_line(sink, record, size);
	if (err == -EAGAIN && !wait_until_writable(sink->fd, timeout_ms))
		err = write_line(sink, record, size);
	if (err == -EPIPE)
		ipcfs_descriptor_close(&sink->fd);
	return err;
}

/* Syslog and journal, which take datagrams. */

static int connect_to(struct ipcfs_audit_sink *sink, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	sink->fd = fd;
	return 0;
}

/* Sends one datagram, after connecting if necessary. */
static int send_once(struct ipcfs_audit_sink *sink, const char *path, const struct iovec *parts,
		     size_t count)
{
	const struct msghdr message = { .msg_iov = (struct iovec *)parts, .msg_iovlen = count };
	int err = sink->fd < 0 ? connect_to(sink, path) : 0;
	ssize_t sent;

	if (err)
		return err;
	do
		sent = sendmsg(sink->fd, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

static int send_parts(struct ipcfs_audit_sink *sink, const char *path, const struct iovec *parts,
		      size_t count, int timeout_ms)
{
	int err = send_once(sink, path, parts, count);

	if (err == -EAGAIN) {
		err = wait_until_writable(sink->fd, timeout_ms);
	} else if (err) {
		ipcfs_descriptor_close(&sink->fd); /* it may have been restarted */
		err = 0;
	} else {
		return 0;
	}
	if (!err)
		err = send_once(sink, path, parts, count);
	if (err && err != -EAGAIN)
		ipcfs_descriptor_close(&sink->fd);
	return err;
}

/* Sends the datagram of syslog(3), a function that may block. */
static int syslog_put(struct ipcfs_audit_sink *sink, char *record, size_t size,
		      enum ipcfs_audit_severity severity, int timeout_ms)
{
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t now = time(NULL);
	struct tm tm = { 0 };
	char head[64];
	int length;

	localtime_r(&now, &tm);
	length = snprintf(head, sizeof(head), "<%d>%s %2d %02d:%02d:%02d " IDENT "[%d]: ",
			  LOG_AUTHPRIV | priority(severity), months[tm.tm_mon], tm.tm_mday,
			  tm.tm_hour, tm.tm_min, tm.tm_sec, (int)getpid());
	return send_parts(sink, SYSLOG_SOCKET,
			  (struct iovec[]){ { head, (size_t)length }, { record, size } }, 2,
			  timeout_ms);
}

/*
 * Sends the datagram of sd_journal_send(3), a function that may block: lines KEY=value, where no
 * value has a newline (the journal's native protocol).
 */
static int journal_put(struct ipcfs_audit_sink *sink, char *record, size_t size,
		       enum ipcfs_audit_severity severity, int timeout_ms)
{
	char head[128];
	int length;

	length = snprintf(head, sizeof(head),
			  "PRIORITY=%d\nSYSLOG_FACILITY=%d\nSYSLOG_IDENTIFIER=" IDENT "\nMESSAGE=",
			  priority(severity), LOG_FAC(LOG_AUTHPRIV));
	record[size] = '\n';
	return send_parts(sink, JOURNAL_SOCKET,
			  (struct iovec[]){ { head, (size_t)length }, { record, size + 1 } }, 2,
			  timeout_ms);
}

#ifdef IPCFS_LIBAUDIT
static int kernel_put(struct ipcfs_audit_sink *sink, char *record, size_t size,
		      enum ipcfs_audit_severity severity, int timeout_ms)
{
	int result;

	(void)timeout_ms;
	record[size] = '\0';
	errno = 0;
	if (sink->fd < 0)
		sink->fd = audit_open();
	if (sink->fd < 0)
		return errno ? -errno : -EIO;
	result = audit_log_user_message(sink->fd, AUDIT_TRUSTED_APP, record, NULL, NULL, NULL,
					severity == IPCFS_AUDIT_ALLOWED);
	if (result > 0)
		return 0;
	ipcfs_descriptor_close(&sink->fd);
	if (result < 0 && result != -1)
		return result;
	return errno ? -errno : -EIO;
}
#endif

static const struct ipcfs_audit_sink_ops sinks[] = {
	{ "syslog", NULL, syslog_put },
	{ "journal", NULL, journal_put },
#ifdef IPCFS_LIBAUDIT
	{ "audit", NULL, kernel_put },
#endif
	{ NULL, file_open, file_put },
};

static const struct ipcfs_audit_sink_ops *sink_ops_of(const char *target)
{
	const struct ipcfs_audit_sink_ops *ops = sinks;

	while (ops->name && strcmp(ops->name, target) != 0)
		ops++;
	return ops;
}

int ipcfs_audit_sink_check(const char *target)
{
	if (sink_ops_of(target)->name)
		return 0;
	if (strcmp(target, "audit") == 0)
		return -EOPNOTSUPP;
	return target[0] == '/' && target[strlen(target) - 1] != '/' ? 0 : -EINVAL;
}

int ipcfs_audit_sink_open(struct ipcfs_audit_sink *sink, const char *target)
{
	int err;

	*sink = (struct ipcfs_audit_sink){ .ops = sink_ops_of(target), .fd = -1, .directory = -1 };
	err = sink->ops->open ? sink->ops->open(sink, target) : 0;
	if (err)
		ipcfs_audit_sink_close(sink);
	return err;
}

void ipcfs_audit_sink_close(struct ipcfs_audit_sink *sink)
{
	ipcfs_descriptor_close(&sink->fd);
	ipcfs_descriptor_close(&sink->directory);
}

void ipcfs_audit_sink_renew(struct ipcfs_audit_sink *sink)
{
	struct stat ours, there;

	if (sink->directory < 0 || sink->fd < 0)
		return;
	if (fstatat(sink->directory, sink->file, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	    fstat(sink->fd, &ours) == 0 && ours.st_dev == there.st_dev &&
	    ours.st_ino == there.st_ino)
		return;
	ipcfs_descriptor_close(&sink->fd);
}

int ipcfs_audit_sink_put(struct ipcfs_audit_sink *sink, char *record, size_t size,
			 enum ipcfs_audit_severity severity, int timeout_ms)
{
	return sink->ops->put(sink, record, size, severity, timeout_ms);
}
