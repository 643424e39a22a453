/* SPDX-License-Identifier: MIT */
/*
 * The processes that read msg through one open file. A process gets one message, and then stays at
 * the end of file. Another process that shares the open file gets the next message.
 *
 * A process is known by its lock owner, and by one of its threads, since the kernel gives the lock
 * owner of a process that has ended to a new one.
 */
#ifndef IPCFS_READER_H
#define IPCFS_READER_H

#include "fs/request/file.h"

/* Processes that one open file remembers; beyond that, the one that came first is forgotten. */
#define IPCFS_READERS_MAX 64

/*
 * Notes that the process reads the message that the file gives now. Call with file->lock held.
 * -ENOMEM
 */
int ipcfs_reader_note(struct ipcfs_file *file, uint64_t owner, pid_t tid);

/* Forgets the process. Takes file->lock. */
void ipcfs_reader_forget(struct ipcfs_file *file, uint64_t owner);

/* Returns whether the process has had its message to the end. Call with file->lock held. */
bool ipcfs_reader_has_ended(const struct ipcfs_file *file, uint64_t owner, pid_t tid);

/* Returns the same for a process that polls, whose owner is unknown. Takes file->lock. */
bool ipcfs_reader_polls_end(struct ipcfs_file *file, pid_t tid);

#endif
