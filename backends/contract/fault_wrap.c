/* SPDX-License-Identifier: MIT */
/*
 * The requests for memory, descriptors, threads and processes that a test can make fail. The linker
 * has the program call these functions instead of the C library's (--wrap). The names are the
 * linker's.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backends/contract/fault.h"

#define WRAP(type, name, error, failed, parameters, ...)                                           \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters                                                              \
	{                                                                                          \
		if (!ipcfs_fault_counts())                                                         \
			return __real_##name(__VA_ARGS__);                                         \
		errno = error;                                                                     \
		return failed;                                                                     \
	}

WRAP(void *, malloc, ENOMEM, NULL, (size_t size), size)
WRAP(void *, calloc, ENOMEM, NULL, (size_t count, size_t size), count, size)
WRAP(void *, realloc, ENOMEM, NULL, (void *old, size_t size), old, size)
WRAP(void *, reallocarray, ENOMEM, NULL, (void *old, size_t count, size_t size), old, count, size)
WRAP(char *, strdup, ENOMEM, NULL, (const char *text), text)
WRAP(void *, mmap64, ENOMEM, MAP_FAILED,
     (void *at, size_t size, int access, int flags, int fd, off_t offset), at, size, access, flags,
     fd, offset)
WRAP(void *, mmap, ENOMEM, MAP_FAILED,
     (void *at, size_t size, int access, int flags, int fd, off_t offset), at, size, access, flags,
     fd, offset)
WRAP(DIR *, fdopendir, ENOMEM, NULL, (int fd), fd)
WRAP(FILE *, fopen64, EMFILE, NULL, (const char *path, const char *mode), path, mode)
WRAP(FILE *, fopen, EMFILE, NULL, (const char *path, const char *mode), path, mode)
WRAP(int, socketpair, EMFILE, -1, (int domain, int type, int protocol, int ends[2]), domain, type,
     protocol, ends)
WRAP(int, epoll_ctl, ENOSPC, -1, (int epoll, int how, int fd, struct epoll_event *event), epoll,
     how, fd, event)
WRAP(int, pthread_create, EAGAIN, EAGAIN,
     (pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg),
     thread, attributes, run, arg)
WRAP(pid_t, fork, EAGAIN, -1, (void))

/* open(2) and openat(2), which have an optional argument. */
static mode_t mode_of(int flags, va_list arguments)
{
	return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
}

#define WRAP_OPEN(name)                                                                            \
	int __real_##name(const char *path, int flags, ...);                                       \
	int __wrap_##name(const char *path, int flags, ...);                                       \
	int __wrap_##name(const char *path, int flags, ...)                                        \
	{                                                                                          \
		va_list arguments;                                                                 \
		mode_t mode;                                                                       \
                                                                                                   \
		va_start(arguments, flags);                                                        \
		mode = mode_of(flags, arguments);                                                  \
		va_end(arguments);                                                                 \
		if (!ipcfs_fault_counts())                                                         \
			return __real_##name(path, flags, mode);                                   \
		errno = EMFILE;                                                                    \
		return -1;                                                                         \
	}

#define WRAP_OPENAT(name)                                                                          \
	int __real_##name(int at, const char *path, int flags, ...);                               \
	int __wrap_##name(int at, const char *path, int flags, ...);                               \
	int __wrap_##name(int at, const char *path, int flags, ...)                                \
	{                                                                                          \
		va_list arguments;                                                                 \
		mode_t mode;                                                                       \
                                                                                                   \
		va_start(arguments, flags);                                                        \
		mode = mode_of(flags, arguments);                                                  \
		va_end(arguments);                                                                 \
		if (!ipcfs_fault_counts())                                                         \
			return __real_##name(at, path, flags, mode);                               \
		errno = EMFILE;                                                                    \
		return -1;                                                                         \
	}

WRAP_OPEN(open)
WRAP_OPEN(open64)
WRAP_OPENAT(openat)
WRAP_OPENAT(openat64)
