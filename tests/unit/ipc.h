/* SPDX-License-Identifier: MIT */
/* For tests with real queues: an IPC namespace of their own, callers, short ways to make queues. */
#ifndef TEST_IPC_H
#define TEST_IPC_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/contract/classes.h"

#define OTHER_UID 4711
#define OTHER_GID 4712
#define ALL_CAPABILITIES UINT64_MAX

#define FOR_EACH_KIND(class)                                                                       \
	for (const struct ipcfs_class *const *each_ = ipcfs_classes, *class;                       \
	     (class = *each_) != NULL; each_++)

static struct ipcfs_space *space;

static inline int enter_namespace(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWIPC)) {
		fprintf(stderr, "these tests need an IPC namespace: %s\n", strerror(errno));
		return -1;
	}
	return ipcfs_space_open(&space);
}

static inline int leave_namespace(void **state)
{
	(void)state;
	ipcfs_space_unref(space);
	space = NULL;
	return 0;
}

static inline uint64_t own_user_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/user", &st) ? 0 : st.st_ino;
}

/* Returns the test itself as a caller, with all its rights. */
static inline struct ipcfs_caller root_caller(void)
{
	return (struct ipcfs_caller){
		.tid = gettid(),
		.loaded = true,
		.caps = ALL_CAPABILITIES,
		.user_ns = own_user_namespace(),
	};
}

/* Returns a user without privileges. */
static inline struct ipcfs_caller other_caller(void)
{
	return (struct ipcfs_caller){
		.uid = OTHER_UID,
		.gid = OTHER_GID,
		.ruid = OTHER_UID,
		.rgid = OTHER_GID,
		.tid = gettid(),
		.loaded = true,
	};
}

static inline struct ipcfs_spec spec_for(const struct ipcfs_class *class, const char *name)
{
	struct ipcfs_spec spec = { .class = class, .mode = 0600 };

	snprintf(spec.name, sizeof(spec.name), "%s", name);
	return spec;
}

static inline int make_as(struct ipcfs_caller caller, const struct ipcfs_class *class,
			  const char *name, struct ipcfs_info *info)
{
	struct ipcfs_spec spec = spec_for(class, name);
	const char *limit = NULL;

	return class->make(space, &spec, &caller, info, &limit);
}

static inline int make(const struct ipcfs_class *class, const char *name, struct ipcfs_info *info)
{
	return make_as(root_caller(), class, name, info);
}

static inline int remove_as(struct ipcfs_caller caller, const struct ipcfs_class *class,
			    const struct ipcfs_info *info)
{
	return class->remove(space, &info->ref, &caller);
}

static inline void remove_it(const struct ipcfs_class *class, const struct ipcfs_info *info)
{
	assert_int_equal(remove_as(root_caller(), class, info), 0);
}

/* Returns a name that this class takes, different for every number. */
static inline const char *name_for(const struct ipcfs_class *class, int number)
{
	static char name[32];

	snprintf(name, sizeof(name), class->by_id ? "0x%08x" : "queue-%d", number);
	return name;
}

/* Returns what /proc says of this thread's ids, groups and capabilities. */
static inline const char *credentials(char text[2048])
{
	FILE *file = fopen("/proc/thread-self/status", "re");
	char line[512];

	assert_non_null(file);
	text[0] = '\0';
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, "Uid:", 4) || !strncmp(line, "Gid:", 4) ||
		    !strncmp(line, "Groups:", 7) || !strncmp(line, "Cap", 3))
			strncat(text, line, 2047 - strlen(text));
	fclose(file);
	return text;
}

/* For list: counts[0] objects, counts[1] of them readable by nobody; stops at counts[2] objects. */
static inline int count(void *arg, const struct ipcfs_info *info)
{
	int *counts = arg;

	counts[0]++;
	if (info->perm.uid == OTHER_UID && info->perm.mode == 0)
		counts[1]++;
	return counts[0] == counts[2] ? -ECANCELED : 0;
}

static inline bool status_says(const struct ipcfs_class *class, const struct ipcfs_ref *ref,
			       const char *line)
{
	struct ipcfs_text text = { 0 };
	char *found;

	assert_int_equal(ipcfs_text_add(&text, "\n", 1), 0);
	assert_int_equal(class->status(space, ref, &text), 0);
	assert_int_equal(ipcfs_text_add(&text, "", 1), 0);
	found = strstr(text.data, line);
	found = found && found[-1] == '\n' ? found : NULL;
	ipcfs_text_free(&text);
	return found;
}

/* Starts a process that does one thing and then stays until it is ended. */
static inline pid_t start_process(int (*action)(int argument), int argument)
{
	int ready[2];
	pid_t child;
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (action(argument) || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return child;
}

static inline void end_process(pid_t child)
{
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

#endif
