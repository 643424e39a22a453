/* SPDX-License-Identifier: MIT */
/*
 * Specifications of objects to be made: one line of the file `create`, such as
 *
 *	posix/mq/jobs maxmsg=100 msgsize=4096 mode=0660
 *
 * Fields are separated by blanks and tabs. The first is FAMILY/CLASS/NAME. In it \ooo, three octal
 * digits, stands for a byte, so that a name can have blanks. Pure.
 */
#ifndef IPCFS_SPEC_H
#define IPCFS_SPEC_H

#include "backends/contract/contract.h"
#include "fs/control/refusal.h"

/*
 * Parses a line of `size` bytes, without its newline. Returns 0 and fills *spec, or returns 1 for
 * an empty line or a comment (#). The mode is 0600 if the line has none. After 0, free *spec with
 * ipcfs_spec_free. After an error *reason says which word is wrong, and why.
 * -EINVAL: the line is malformed. The class is not known, or has no such name. A key is not
 * known, is given twice, or is none of this class. A value is no number.
 * -ERANGE: a value is out of range.
 * -ENAMETOOLONG: the name is longer than NAME_MAX, or than the class allows.
 * -ENOMEM.
 */
int ipcfs_spec_parse(const char *line, size_t size, struct ipcfs_spec *spec,
		     struct ipcfs_refusal *reason);
void ipcfs_spec_free(struct ipcfs_spec *spec);

/* Returns the class with this family and name, as "posix" and "mq", or NULL. */
const struct ipcfs_class *ipcfs_class_find(const char *family, const char *class_name);

#endif
