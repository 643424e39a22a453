/* SPDX-License-Identifier: MIT */
/* Files of /proc that tell of a thread: shared by caller.c and caller_state.c only. */
#ifndef IPCFS_PROC_FILE_H
#define IPCFS_PROC_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define IPCFS_PROC_PATH_ROOM 64
#define IPCFS_PROC_FILE_ROOM 4096 /* enough for nearly every status file */

/* What a file holds; larger ones move to the heap. */
struct ipcfs_proc_file {
	char *text; /* ends with a NUL */
	char small[IPCFS_PROC_FILE_ROOM];
};

#define IPCFS_PROC_FILE_AUTO __attribute__((cleanup(ipcfs_proc_file_free)))
#define IPCFS_PROC_CLOSE_AUTO __attribute__((cleanup(ipcfs_proc_close)))

/* /proc/TID/NAME */
void ipcfs_proc_path(char path[IPCFS_PROC_PATH_ROOM], pid_t tid, const char *name);

/*
 * Read /proc/TID/NAME, or NAME in the thread's directory. -ENOMEM: something ran out here, which tells
 * nothing about the thread; -ENOENT and -ESRCH: there is no such thread to be seen. To be freed in each case.
 */
int ipcfs_proc_file_read(struct ipcfs_proc_file *file, pid_t tid, const char *name);
int ipcfs_proc_file_read_at(struct ipcfs_proc_file *file, int directory, const char *name);
void ipcfs_proc_file_free(struct ipcfs_proc_file *file);

/* Of a failed open(2), by errno: the errors above. */
int ipcfs_proc_open_error(void);
void ipcfs_proc_close(const int *fd);

/*
 * What stands behind `key` in a status file, or NULL. Keys are "\nName:"; a line can't be forged,
 * as the kernel escapes newlines in the command's name.
 */
const char *ipcfs_proc_file_value(const struct ipcfs_proc_file *status, const char *key);

/* A number in base 16. False: there is none. */
bool ipcfs_proc_file_mask(const struct ipcfs_proc_file *status, const char *key, uint64_t *mask);

#endif
