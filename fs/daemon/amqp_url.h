/* SPDX-License-Identifier: MIT */
/* Hosts, and the URL of a management API. Pure. */
#ifndef IPCFS_AMQP_URL_H
#define IPCFS_AMQP_URL_H

#include <stdbool.h>

/* Returns whether a host is this machine, by its name or address. */
bool ipcfs_amqp_host_is_loopback(const char *host);

/* Returns whether a text is http[s]://HOST[:PORT][/PATH], with nothing secret in it. */
bool ipcfs_amqp_url_check(const char *url);

/* Returns whether a password would leave the machine in the clear on its way to such a URL. */
bool ipcfs_amqp_url_is_open(const char *url);

#endif
