/* SPDX-License-Identifier: MIT */
#include "fs/queue/reader.h"

#include <errno.h>

#include "fs/access/caller.h"

/* A process that has read of a message. */
struct reader {
	uint64_t owner;	  /* FUSE's lock owner */
	uint64_t message; /* the number of the message, as file->queue.message */
	pid_t tid;	  /* the thread that read last */
};

static struct reader *readers_of(const struct ipcfs_file *file, size_t *count)
{
	*count = file->queue.readers.size / sizeof(struct reader);
	return (void *)file->queue.readers.data;
}

/* Returns whether the reader's message has been read to the end, by this or other processes. */
static bool has_ended(const struct ipcfs_file *file, const struct reader *reader)
{
	bool rest = file->at < file->text.size || file->queue.eof_next;

	return reader->message != file->queue.message || !rest;
}

static void remove_reader(struct ipcfs_file *file, size_t index)
{
	struct ipcfs_text *text = &file->queue.readers;
	size_t count;
	struct reader *readers = readers_of(file, &count);

	for (size_t i = index + 1; i < count; i++)
		readers[i - 1] = readers[i];
	ipcfs_text_cut(text, (count - 1) * sizeof(*readers));
}

static void forget(struct ipcfs_file *file, uint64_t owner)
{
	size_t count;
	const struct reader *readers = readers_of(file, &count);

	for (size_t i = 0; i < count; i++) {
		if (readers[i].owner == owner) {
			remove_reader(file, i);
			return;
		}
	}
}

int ipcfs_reader_note(struct ipcfs_file *file, uint64_t owner, pid_t tid)
{
	struct reader reader = { .owner = owner, .message = file->queue.message, .tid = tid };
	size_t count;

	/* first, so that a failure leaves the list as it is */
	if (ipcfs_text_reserve(&file->queue.readers, sizeof(reader)))
		return -ENOMEM;
	forget(file, owner);
	(void)readers_of(file, &count);
	if (count == IPCFS_READERS_MAX)
		remove_reader(file, 0);
	return ipcfs_text_add(&file->queue.readers, &reader, sizeof(reader));
}

void ipcfs_reader_forget(struct ipcfs_file *file, uint64_t owner)
{
	pthread_mutex_lock(&file->lock);
	forget(file, owner);
	pthread_mutex_unlock(&file->lock);
}

bool ipcfs_reader_has_ended(const struct ipcfs_file *file, uint64_t owner, pid_t tid)
{
	size_t count;
	const struct reader *readers = readers_of(file, &count);

	for (size_t i = 0; i < count; i++)
		if (readers[i].owner == owner)
			return has_ended(file, &readers[i]) &&
			       ipcfs_caller_same_process(tid, readers[i].tid);
	return false;
}

bool ipcfs_reader_polls_end(struct ipcfs_file *file, pid_t tid)
{
	pid_t ended[IPCFS_READERS_MAX]; /* /proc is asked without the lock */
	const struct reader *readers;
	size_t count, found = 0;

	pthread_mutex_lock(&file->lock);
	readers = readers_of(file, &count);
	for (size_t i = 0; i < count; i++)
		if (has_ended(file, &readers[i]))
			ended[found++] = readers[i].tid;
	pthread_mutex_unlock(&file->lock);
	for (size_t i = 0; i < found; i++)
		if (ipcfs_caller_same_process(tid, ended[i]))
			return true;
	return false;
}
