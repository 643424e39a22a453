/* SPDX-License-Identifier: MIT */
/* The log-in at the broker. It blocks, for at most 25 s and as long as name resolution takes. */
#ifndef IPCFS_AMQP_LOGIN_H
#define IPCFS_AMQP_LOGIN_H

#include "backends/amqp/helper/helper.h"

/*
 * Reads the files that the record LOGIN names, becomes its user, connects and logs in. Fails the
 * helper if one of these fails. Afterwards the password is not in memory any more.
 */
void ipcfs_amqp_login(struct ipcfs_amqp_helper *helper, const struct ipcfs_amqp_packet *packet);

#endif
