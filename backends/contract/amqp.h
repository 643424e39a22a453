/* SPDX-License-Identifier: MIT */
/*
 * Queues of RabbitMQ brokers. Each connection is a class of the family amqp, with a space of its
 * own. The program ipcfs-amqp talks to the broker: see backends/amqp/records.h.
 */
#ifndef IPCFS_CONTRACT_AMQP_H
#define IPCFS_CONTRACT_AMQP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "backends/contract/text.h"

#define IPCFS_AMQP_HOSTS_MAX 8
#define IPCFS_AMQP_CONNECTIONS_MAX 16

/* Owner and mode of the queues whose names the pattern fits. */
struct ipcfs_amqp_rule {
	char *pattern; /* as fnmatch(3) knows it; owned */
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

/* The settings of a connection. Strings are owned. NULL: not set. */
struct ipcfs_amqp_settings {
	char *name;			   /* of the class */
	char *hosts[IPCFS_AMQP_HOSTS_MAX]; /* tried in turn */
	size_t host_count;
	unsigned port;
	char *vhost, *user;
	char *password_file;  /* its first line is the password */
	char *ca;	      /* certificates of authorities; NULL: the connection has no TLS */
	char *cert, *key;     /* log in by certificate */
	char *api;	      /* URL of the management API; NULL: there is none */
	char *api_ca;	      /* certificates of authorities for it; NULL: it has no TLS */
	unsigned heartbeat;   /* seconds */
	unsigned timeout;     /* seconds that a request waits for the broker; 0: for ever */
	unsigned max_message; /* bytes */
	bool no_resend;	      /* a message whose confirm was lost is not sent again */
	char *helper;	      /* path of ipcfs-amqp; with -api behind it that of ipcfs-amqp-api */
	bool runs_as;	      /* ipcfs-amqp becomes this user */
	uid_t run_uid;
	gid_t run_gid;
	bool has_makers; /* members of the group may make and remove queues, not root alone */
	gid_t make_group;
	struct ipcfs_amqp_rule *rules; /* the first that fits counts; owned */
	size_t rule_count;
};

/* Frees what the settings own. They are empty then. */
void ipcfs_amqp_settings_free(struct ipcfs_amqp_settings *settings);

/*
 * Adds the class of a connection, before the first request. Takes what the settings own, but after
 * an error.
 * -ENOSPC: there are too many connections or classes.
 * -ENOMEM, -EMFILE.
 */
int ipcfs_amqp_add(struct ipcfs_amqp_settings *settings);

/*
 * Says why the connections can't get these settings while the daemon runs: a new start is needed.
 * NULL: they can.
 */
const char *ipcfs_amqp_refuse_change(const struct ipcfs_amqp_settings *settings, size_t count);

/*
 * Gives all connections these settings, which ipcfs_amqp_refuse_change has not refused, and takes
 * what they own. A connection that leads elsewhere now is made anew, and one that is down is tried
 * at once.
 */
void ipcfs_amqp_change(struct ipcfs_amqp_settings *settings, size_t count);

/*
 * Starts the process that starts ipcfs-amqp, if there is a connection. Call while the daemon has
 * one thread and all its privileges, which this process keeps.
 * Errors of fork(2) and socketpair(2).
 */
int ipcfs_amqp_fork(void);

/*
 * Tells that a handle becomes ready, which its descriptor shows afterwards. It may be closed by
 * then, and its number another descriptor's. Called by the thread of a connection, without any
 * lock.
 */
typedef void ipcfs_amqp_ready_hook(void *arg, int handle);

/*
 * Starts a thread for each connection. Call when the daemon has given up privileges.
 * -EAGAIN, -ENOMEM.
 */
int ipcfs_amqp_start(ipcfs_amqp_ready_hook *ready, void *arg);

/* Ends the threads and all ipcfs-amqp. No answer comes any more. */
void ipcfs_amqp_stop(void);

/*
 * Appends the text of amqp/status: lines of each connection.
 * -ENOMEM
 */
int ipcfs_amqp_status(struct ipcfs_text *out);

#endif
