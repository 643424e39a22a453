/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "authority.h"
#include "descriptor.h"

static const uid_t nobody_made_it = (uid_t)-1;

void ipcfs_authority_own(struct ipcfs_authority *authority)
{
	struct stat st;

	authority->count = 0;
	if (stat("/proc/self/ns/user", &st))
		return;
	authority->count = 1;
	authority->chain[0].user_ns = st.st_ino;
	authority->chain[0].owner = nobody_made_it;
}

static int add(struct ipcfs_authority *authority, int user_ns)
{
	struct stat st;
	uid_t owner;

	if (fstat(user_ns, &st) || ioctl(user_ns, NS_GET_OWNER_UID, &owner))
		return -errno;
	authority->chain[authority->count].user_ns = st.st_ino;
	authority->chain[authority->count].owner = owner;
	authority->count++;
	return 0;
}

/* The kernel shows no user namespace but ours and those inside of it: EPERM ends the way up. */
static int read_chain(int ns, struct ipcfs_authority *authority)
{
	IPCFS_DESCRIPTOR_AUTO int at = ioctl(ns, NS_GET_USERNS);
	int error;

	if (at < 0)
		return -errno;
	error = add(authority, at);
	while (!error && authority->count < IPCFS_USER_NAMESPACES) {
		int around = ioctl(at, NS_GET_PARENT);

		if (around < 0)
			return errno == EPERM ? 0 : -errno;
		ipcfs_descriptor_close(&at);
		at = around;
		error = add(authority, at);
	}
	return error;
}

int ipcfs_authority_read(int ns, struct ipcfs_authority *authority)
{
	int error;

	authority->count = 0;
	error = read_chain(ns, authority);
	if (error)
		authority->count = 0;
	return error;
}

/* As the kernel's cap_capable(). */
/* Where the caller's user namespace stands in the chain; its length: nowhere. */
static size_t place_of(const struct ipcfs_authority *authority, const struct ipcfs_caller *caller)
{
	size_t place = 0;

	while (place < authority->count && authority->chain[place].user_ns != caller->user_ns)
		place++;
	return place;
}

static bool is_known(const struct ipcfs_authority *authority, const struct ipcfs_caller *caller)
{
	return authority && caller->loaded && caller->user_ns;
}

uint64_t ipcfs_authority_held(const struct ipcfs_authority *authority,
			      const struct ipcfs_caller *caller)
{
	if (!is_known(authority, caller))
		return 0;
	return place_of(authority, caller) < authority->count ? caller->caps : 0;
}

uint64_t ipcfs_authority_caps(const struct ipcfs_authority *authority,
			      const struct ipcfs_caller *caller)
{
	size_t place;

	if (!is_known(authority, caller))
		return 0;
	place = place_of(authority, caller);
	if (place > 0 && place < authority->count && caller->uid != nobody_made_it &&
	    authority->chain[place - 1].owner == caller->uid)
		return UINT64_MAX;
	return ipcfs_authority_held(authority, caller);
}
