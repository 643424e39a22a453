/* SPDX-License-Identifier: MIT */
/* Files in a thread's directory of /proc, see proc(5). */
#ifndef IPCFS_PROC_FILE_H
#define IPCFS_PROC_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define IPCFS_PROC_PATH_SIZE 64
#define IPCFS_PROC_FILE_SIZE 4096 /* bytes; enough for nearly every status file */

/* The content of a file, on the heap if it is larger than `small`. */
struct ipcfs_proc_file {
	char *text; /* ends with a NUL */
	char small[IPCFS_PROC_FILE_SIZE];
};

#define IPCFS_PROC_FILE_AUTO __attribute__((cleanup(ipcfs_proc_file_free)))

/* Writes the path /proc/TID/NAME. */
void ipcfs_proc_path(char path[IPCFS_PROC_PATH_SIZE], pid_t tid, const char *name);

/*
 * Reads /proc/TID/NAME, or NAME in the thread's opened directory. Free the file with
 * ipcfs_proc_file_free, after an error too.
 *   -ENOMEM: memory or descriptors ran out; nothing was learnt about the thread.
 *   -ENOENT, -ESRCH: there is no such thread, or /proc does not show it.
 *   Other errors of open(2) and read(2).
 */
int ipcfs_proc_file_read(struct ipcfs_proc_file *file, pid_t tid, const char *name);
int ipcfs_proc_file_read_at(struct ipcfs_proc_file *file, int directory, const char *name);
void ipcfs_proc_file_free(struct ipcfs_proc_file *file);

/* Returns the error of an open(2) in /proc that has just failed, as above. */
int ipcfs_proc_open_error(void);

/*
 * Returns the text behind `key` in a status file, or NULL. A key has the form "\nName:". A process
 * can't forge a line, as the kernel escapes newlines in its name.
 */
const char *ipcfs_proc_file_value(const struct ipcfs_proc_file *status, const char *key);

/* Reads the number behind `key`, in base 16. False: there is none. */
bool ipcfs_proc_file_mask(const struct ipcfs_proc_file *status, const char *key, uint64_t *mask);

#endif
