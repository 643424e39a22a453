/* SPDX-License-Identifier: MIT */
/* Whether one access control list grants nothing that another one does not. Pure. */
#ifndef IPCFS_ACL_NARROW_H
#define IPCFS_ACL_NARROW_H

#include "backends/contract/acl.h"

/*
 * Tells whether nobody has more rights by `to` than by `from`, whatever groups the caller is in.
 * Where this depends on groups, the answer is no.
 */
bool ipcfs_acl_narrows(const struct ipcfs_acl *from, const struct ipcfs_acl *to);

#endif
