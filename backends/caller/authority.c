/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "backends/caller/authority.h"
#include "backends/contract/descriptor.h"

static const uid_t no_owner = (uid_t)-1;

void ipcfs_authority_own(struct ipcfs_authority *authority)
{
	struct stat st;

	authority->count = 0;
	if (stat("/proc/self/ns/user", &st))
		return;
	authority->count = 1;
	authority->chain[0].user_ns = st.st_ino;
	authority->chain[0].owner = no_owner;
}

static int append(struct ipcfs_authority *authority, int user_ns)
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

/*
 * Reads the chain from the inside to the outside. The kernel shows only the daemon's user namespace
 * and those inside of it: EPERM ends the chain.
 */
static int read_chain(int ns, struct ipcfs_authority *authority)
{
	IPCFS_DESCRIPTOR_AUTO int at = ioctl(ns, NS_GET_USERNS);
	int error;

	if (at < 0)
		return -errno;
	error = append(authority, at);
	while (!error && authority->count < IPCFS_USER_NAMESPACES) {
		int around = ioctl(at, NS_GET_PARENT);

		if (around < 0)
			return errno == EPERM ? 0 : -errno;
		ipcfs_descriptor_close(&at);
		at = around;
		error = append(authority, at);
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

/*
 * Returns the caller's place in the chain, whose count means: not in it. Together with the two
 * functions below, this is the kernel's cap_capable().
 */
static size_t index_of(const struct ipcfs_authority *authority, const struct ipcfs_caller *caller)
{
	size_t index = 0;

	while (index < authority->count && authority->chain[index].user_ns != caller->user_ns)
		index++;
	return index;
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
	return index_of(authority, caller) < authority->count ? caller->caps : 0;
}

uint64_t ipcfs_authority_caps(const struct ipcfs_authority *authority,
			      const struct ipcfs_caller *caller)
{
	size_t index;

	if (!is_known(authority, caller))
		return 0;
	index = index_of(authority, caller);
	if (index > 0 && index < authority->count && caller->uid != no_owner &&
	    authority->chain[index - 1].owner == caller->uid)
		return UINT64_MAX;
	return ipcfs_authority_held(authority, caller);
}

static uint64_t inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_ino;
}

uid_t ipcfs_authority_payer(pid_t tid, uid_t uid)
{
	char path[sizeof("/proc//ns/user") + 3 * sizeof(tid)];
	IPCFS_DESCRIPTOR_AUTO int at = -1;
	uid_t payer = uid;
	struct stat own;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)tid);
	at = open(path, O_RDONLY | O_CLOEXEC);
	if (at < 0 || stat("/proc/self/ns/user", &own))
		return uid;
	while (inode_of(at) != own.st_ino) {
		int around = ioctl(at, NS_GET_PARENT);

		if (around < 0 || ioctl(at, NS_GET_OWNER_UID, &payer)) {
			ipcfs_descriptor_close(&around);
			return uid;
		}
		ipcfs_descriptor_close(&at);
		at = around;
	}
	return payer;
}
