/* SPDX-License-Identifier: MIT */
/*
 * Specifications: one line of `create`, such as
 *
 *	posix/mq/jobs maxmsg=100 msgsize=4096 mode=0660
 *
 * Fields are separated by blanks and tabs. The first is CLASS/NAME; \ooo in it (three octal digits)
 * stands for a byte, so that names with blanks can be written. Pure.
 */
#ifndef IPCFS_SPEC_H
#define IPCFS_SPEC_H

#include "../backends/backend.h"

/*
 * Read one line (without its newline). 0: *spec is filled, mode 0600 unless given. 1: the line is
 * empty or a comment (#), nothing to do. -EINVAL: malformed, unknown class, unknown or doubled key,
 * a key that this class does not have, a name the class does not take; -ERANGE: a value out of
 * range (a number that is none is -EINVAL); -ENAMETOOLONG; -ENOMEM. A filled one is freed with
 * ipcfs_spec_free.
 */
int ipcfs_spec_parse(const char *line, size_t size, struct ipcfs_spec *spec);
void ipcfs_spec_free(struct ipcfs_spec *spec);

/* The class of this family and directory name, or NULL. */
const struct ipcfs_backend *ipcfs_class_find(const char *family, const char *class_name);

/* Append a path component as the first field of a specification would have it (\ooo for what is not plain). */
int ipcfs_spec_escape(const char *name, struct ipcfs_text *out);

#endif
