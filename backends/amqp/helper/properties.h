/* SPDX-License-Identifier: MIT */
/* The properties of a message as text. */
#ifndef IPCFS_AMQP_PROPERTIES_H
#define IPCFS_AMQP_PROPERTIES_H

#include <amqp.h>
#include <amqp_framing.h>
#include <stdint.h>

/*
 * Writes a line `name=value` for each property, and `header.NAME=value` for each header that is a
 * text, a number or a truth value. Backslashes, `=` in names, and bytes that are not printable
 * ASCII become \ooo. Leaves out a line that does not fit. Returns the bytes written.
 */
uint32_t ipcfs_amqp_properties(const amqp_basic_properties_t *properties, char *text,
			       uint32_t capacity);

#endif
