/* SPDX-License-Identifier: MIT */
#define FUSE_USE_VERSION 314
#include "fs/daemon/process.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <malloc.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

#include "fs/base/log.h"

/* The soft limit is not raised beyond this, even if the hard limit is higher. */
#define DESCRIPTORS_MAX (1024 * 1024)

#define LARGE_BLOCK (128 * 1024) /* bytes */

#if defined(__SANITIZE_ADDRESS__)
#define MAY_PROTECT_MEMORY 0 /* the leak checker needs access to the memory */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MAY_PROTECT_MEMORY 0
#endif
#endif
#ifndef MAY_PROTECT_MEMORY
#define MAY_PROTECT_MEMORY 1
#endif

/* Raises the limit on open descriptors. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (limit.rlim_cur >= limit.rlim_max || limit.rlim_cur >= DESCRIPTORS_MAX)
		return;
	limit.rlim_cur = limit.rlim_max < DESCRIPTORS_MAX ? limit.rlim_max : DESCRIPTORS_MAX;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		ipcfs_log(LOG_WARNING, "RLIMIT_NOFILE: %s", strerror(errno));
}

/*
 * Keeps message bytes from core dumps, debuggers and readers of /proc. Depending on
 * fs.suid_dumpable, the kernel makes the daemon dumpable again when a thread changes its ids. So
 * the size of core dumps is limited too, to one byte: unlike a limit of 0 that also applies to
 * programs of core_pattern (core(5)).
 */
static void protect_memory(void)
{
	const struct rlimit none = { .rlim_cur = 1, .rlim_max = 1 };

	if (!MAY_PROTECT_MEMORY)
		return;
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		ipcfs_log(LOG_WARNING, "PR_SET_DUMPABLE: %s", strerror(errno));
	if (setrlimit(RLIMIT_CORE, &none) < 0) {
		/* A limit of 0 can't be raised to 1 without privilege, and is kept. */
		if (errno != EPERM)
			ipcfs_log(LOG_WARNING, "RLIMIT_CORE: %s", strerror(errno));
	}
}

/*
 * Keeps malloc(3) from holding unused memory: two arenas instead of one for each waiting thread,
 * and large blocks of their own, which go back to the system when they are freed. Without a fixed
 * size for these, freed blocks become part of an arena.
 */
static void tune_malloc(void)
{
#ifdef M_ARENA_MAX
	mallopt(M_ARENA_MAX, 2);
#endif
#ifdef M_MMAP_THRESHOLD
	mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
#endif
}

void ipcfs_process_set_up(bool debug)
{
	/* libfuse writes its debug lines in pieces, which can't be logged as lines. */
	if (debug)
		fuse_set_log_func(NULL);
	else
		protect_memory();
	/* Objects get the mode that the caller asked for. */
	umask(0);
	raise_descriptors();
	tune_malloc();
}

int ipcfs_process_own(int inherited)
{
#if defined(__SANITIZE_THREAD__)
	int own = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (own < 0 || syscall(SYS_dup3, inherited, own, O_CLOEXEC) < 0)
		return inherited;
	close(inherited);
	return own;
#else
	return inherited;
#endif
}
