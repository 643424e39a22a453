/* SPDX-License-Identifier: MIT */
/* Names of queues in the tree, and the rules for them. Pure. */
#ifndef IPCFS_AMQP_NAMES_H
#define IPCFS_AMQP_NAMES_H

#include <limits.h>

#include "backends/amqp/records.h"
#include "backends/contract/amqp.h"
#include "backends/contract/contract.h"

/* Returns owner and mode of the queue of this name: by the first rule that fits, else 0600 root. */
struct ipcfs_perm ipcfs_amqp_rule_for(const struct ipcfs_amqp_settings *settings, const char *name);

/*
 * Translates a broker's name into that of the tree: / and %, and the dots of . and .. are %XX.
 * -ENAMETOOLONG: the tree can't show it.
 */
int ipcfs_amqp_name_show(const char *name, char shown[NAME_MAX + 1]);

/* Translates a name of the tree into the broker's. -ENOENT: no queue is shown under this name. */
int ipcfs_amqp_name_read(const char *shown, char name[IPCFS_AMQP_NAME_MAX + 1]);

#endif
