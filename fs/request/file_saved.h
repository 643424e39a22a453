/* SPDX-License-Identifier: MIT */
/*
 * Open files in the ledger (base/ledger.h): what a worker writes down of them, and how its
 * successor makes them anew. A file that has something which can't be made anew is stale then: a
 * lock, a list that is half told, or events. A hold has an entry of its own (hold_saved.c).
 */
#ifndef IPCFS_FILE_SAVED_H
#define IPCFS_FILE_SAVED_H

#include "fs/request/file.h"

/*
 * Writes an open file to the ledger, as it is now. Call with file->lock held after each change, or
 * before the kernel knows the file. Without memory the file is stale for the successor.
 */
void ipcfs_file_save(struct ipcfs_filesystem *fs, const struct ipcfs_file *file);

/*
 * Notes the answer to the request of this thread, which has changed the file, and writes the file
 * to the ledger: from now on the next worker gives this answer. `result`: bytes, or a negative
 * errno. `bytes`: of a READ; NULL: of another request. Call with file->lock held, before the
 * answer.
 */
void ipcfs_file_done(struct ipcfs_filesystem *fs, struct ipcfs_file *file, ssize_t result,
		     const void *bytes);

/*
 * Tells whether a request that a worker before has left is to be answered at once: it had all its
 * effects on the file, or their result is lost. *result is then a number of bytes, or a negative
 * errno. *bytes, those of a READ, has to be freed. False: the request is to be handled.
 */
bool ipcfs_file_was_done(struct ipcfs_file *file, int64_t *result, struct ipcfs_text *bytes);

/*
 * Returns the open file of this node that a worker before has made for the request of this thread,
 * an OPEN that it has left. NULL: there is none.
 */
struct ipcfs_file *ipcfs_file_of_request(struct ipcfs_filesystem *fs, uint64_t node);

/*
 * Makes anew the files that a worker before has left. `reopen` opens what the open of the file has
 * opened, and puts the file's lease into the queue's list; after an error of it the file is stale.
 */
void ipcfs_files_restore(struct ipcfs_filesystem *fs,
			 int (*reopen)(struct ipcfs_filesystem *fs, struct ipcfs_file *file));

/* Adds the layout of an open file in the ledger to a hash: see layout.h. */
uint64_t ipcfs_file_layout(uint64_t hash);

#endif
