/* SPDX-License-Identifier: MIT */
/*
 * A record: a head of HEAD bytes, "+SIZE SEQUENCE\n", and the text. '-' in place of '+' makes it
 * void. Slot 0 has the name of the format. A slot that does not begin with a head belongs to
 * nothing: what is left of void records is never looked into for sizes.
 */
#include "fs/access/acl_lists.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/contract/fault.h"

#define FORMAT "ipcfs-acl-lists 1\n"
#define SLOT 64
#define HEAD 28	 /* bytes of "+00000 00000000000000000000\n" */
#define SLACK 16 /* a record written over another one may be a little longer */
#define MORE 255
#define PAGE 4096
#define SLOTS_MAX (1U << 21) /* 128 MiB */

/* Returns the slots that a record with this many bytes of text fills. */
static uint32_t slots_for(size_t size)
{
	return (uint32_t)((HEAD + size + SLOT - 1) / SLOT);
}

static off_t offset_of(uint32_t slot)
{
	return (off_t)slot * SLOT;
}

static int write_at(const struct ipcfs_acl_lists *lists, const char *bytes, size_t size, off_t at)
{
	while (size) {
		ssize_t done = pwrite(lists->fd, bytes, size, at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		bytes += done;
		at += done;
		size -= (size_t)done;
	}
	return 0;
}

/* Makes room in the table for slots before `end`. -ENOMEM; -ENOSPC: there are too many. */
static int grow(struct ipcfs_acl_lists *lists, uint32_t end)
{
	uint8_t *grown;

	if (end <= lists->count)
		return 0;
	if (end > SLOTS_MAX)
		return -ENOSPC;
	grown = realloc(lists->slots, end);
	if (!grown)
		return -ENOMEM;
	memset(grown + lists->count, 0, end - lists->count);
	lists->slots = grown;
	lists->count = end;
	return 0;
}

static void mark(struct ipcfs_acl_lists *lists, uint32_t slot, uint32_t count)
{
	memset(lists->slots + slot, MORE, count);
	lists->slots[slot] = (uint8_t)count;
}

/* Gives free slots at the end of the file back. */
static void shrink(struct ipcfs_acl_lists *lists)
{
	if (lists->loading)
		return;
	while (lists->count > 1 && !lists->slots[lists->count - 1])
		lists->count--;
	if (ftruncate(lists->fd, lists->count > 1 ? offset_of(lists->count) : 0))
		return; /* the slots are free all the same */
}

/* Returns the first of `count` free slots, perhaps at the end of the file. */
static uint32_t find_room(const struct ipcfs_acl_lists *lists, uint32_t count)
{
	uint32_t run = 0, slot;

	for (slot = 1; slot < lists->count && run < count; slot++)
		run = lists->slots[slot] ? 0 : run + 1;
	return slot - run;
}

/* Writes a record's head, with this state, and its text. */
static int write_record(struct ipcfs_acl_lists *lists, uint32_t slot, char state,
			const struct ipcfs_text *text, uint64_t sequence)
{
	struct ipcfs_text record = { 0 };
	int error = ipcfs_fault("acl.write");

	if (!error)
		error = ipcfs_text_printf(&record, "%c%05zu %020" PRIu64 "\n", state, text->size,
					  sequence);
	if (!error)
		error = ipcfs_text_add(&record, text->data, text->size);
	/* With one call, so that a process that is killed has written a page whole or not at all. */
	if (!error)
		error = write_at(lists, record.data, record.size, offset_of(slot));
	ipcfs_text_free(&record);
	return error;
}

/* Writes a new record, which counts at the end. Sets *slot. */
static int add_record(struct ipcfs_acl_lists *lists, const struct ipcfs_text *text,
		      uint64_t sequence, uint32_t *slot)
{
	uint32_t count = slots_for(text->size + SLACK);
	int error;

	*slot = find_room(lists, count);
	error = lists->count > 1 ? 0 : write_at(lists, FORMAT, sizeof(FORMAT) - 1, 0);
	if (!error)
		error = grow(lists, *slot + count);
	if (!error)
		error = write_record(lists, *slot, '-', text, sequence);
	if (!error)
		error = ipcfs_fault("acl.commit");
	if (!error)
		error = write_at(lists, "+", 1, offset_of(*slot));
	if (error)
		shrink(lists);
	else
		mark(lists, *slot, count);
	return error;
}

/* Returns whether a record here is written whole or not at all, even if the process is killed. */
static bool is_in_one_page(uint32_t slot, size_t size)
{
	return offset_of(slot) / PAGE == (offset_of(slot) + (off_t)size - 1) / PAGE;
}

int ipcfs_acl_lists_write(struct ipcfs_acl_lists *lists, const struct ipcfs_text *text,
			  struct ipcfs_acl_place *place)
{
	struct ipcfs_acl_place fresh = { .sequence = lists->sequence + 1 }, old = *place;
	int error;

	if (text->size > IPCFS_ACL_TEXT_MAX)
		return -ENOSPC;
	error = add_record(lists, text, fresh.sequence, &fresh.slot);
	if ((error == -ENOSPC || error == -EDQUOT) && old.slot &&
	    HEAD + text->size <= (size_t)lists->slots[old.slot] * SLOT &&
	    is_in_one_page(old.slot, HEAD + text->size)) {
		error = write_record(lists, old.slot, '+', text, fresh.sequence);
		fresh.slot = old.slot;
	}
	if (error)
		return error;
	lists->sequence = fresh.sequence;
	*place = fresh;
	error = ipcfs_fault("acl.void");
	if (!error && old.slot != fresh.slot)
		error = ipcfs_acl_lists_drop(lists, &old);
	if (!error)
		return 0;
	/* the old record would count again when the new one is dropped */
	(void)ipcfs_acl_lists_drop(lists, &fresh);
	*place = old;
	return error;
}

int ipcfs_acl_lists_drop(struct ipcfs_acl_lists *lists, struct ipcfs_acl_place *place)
{
	int error;

	if (!place->slot)
		return 0;
	error = write_at(lists, "-", 1, offset_of(place->slot));
	if (error)
		return error;
	memset(lists->slots + place->slot, 0, lists->slots[place->slot]);
	shrink(lists);
	*place = (struct ipcfs_acl_place){ 0 };
	return 0;
}

/* Reads a head. Returns the size of the text. 0: there is no record that counts. */
static size_t read_head(const char *bytes, size_t size, uint64_t *sequence)
{
	char again[HEAD + 1];
	size_t length;

	if (size <= HEAD || sscanf(bytes, "+%5zu %20" SCNu64, &length, sequence) != 2 ||
	    length > IPCFS_ACL_TEXT_MAX || length > size - HEAD)
		return 0;
	(void)snprintf(again, sizeof(again), "+%05zu %020" PRIu64 "\n", length, *sequence);
	return memcmp(again, bytes, HEAD) == 0 ? length : 0;
}

/* Reads from a slot on. Returns the bytes read, with a NUL behind them. -EIO. */
static ssize_t read_slot(int fd, uint32_t slot, char bytes[HEAD + IPCFS_ACL_TEXT_MAX + 1])
{
	ssize_t got;

	do
		got = pread(fd, bytes, HEAD + IPCFS_ACL_TEXT_MAX, offset_of(slot));
	while (got < 0 && errno == EINTR);
	if (got >= 0)
		bytes[got] = '\0';
	return got < 0 ? -EIO : got;
}

/* Loads the record at this slot, if one counts there. Returns its slots, or 1, or an error. */
static int load_record(struct ipcfs_acl_lists *lists, uint32_t slot, char *bytes,
		       int (*each)(void *arg, const char *text,
				   const struct ipcfs_acl_place *place),
		       void *arg)
{
	struct ipcfs_acl_place place = { .slot = slot };
	ssize_t got = read_slot(lists->fd, slot, bytes);
	size_t size = got < 0 ? 0 : read_head(bytes, (size_t)got, &place.sequence);
	uint32_t count = slots_for(size);
	int result;

	if (!size || strnlen(bytes + HEAD, size) != size)
		return got < 0 ? (int)got : 1;
	bytes[HEAD + size] = '\0';
	result = grow(lists, slot + count);
	if (result)
		return result;
	mark(lists, slot, count);
	if (place.sequence > lists->sequence && place.sequence < UINT64_MAX)
		lists->sequence = place.sequence;
	result = each(arg, bytes + HEAD, &place);
	if (result == 1 && ipcfs_acl_lists_drop(lists, &place))
		result = 0; /* the next start finds it void again */
	return result < 0 ? result : result == 1 ? 1 : (int)count;
}

int ipcfs_acl_lists_load(struct ipcfs_acl_lists *lists, int fd,
			 int (*each)(void *arg, const char *text,
				     const struct ipcfs_acl_place *place),
			 void *arg)
{
	char *bytes = malloc(HEAD + IPCFS_ACL_TEXT_MAX + 1);
	struct stat st = { 0 };
	uint32_t end;
	int error;

	*lists = (struct ipcfs_acl_lists){ .fd = fd, .loading = true };
	error = bytes ? grow(lists, 1) : -ENOMEM;
	if (!error)
		error = fstat(fd, &st) ? -EIO : 0;
	end = st.st_size / SLOT < SLOTS_MAX ? (uint32_t)(st.st_size / SLOT) + 1 : SLOTS_MAX;
	for (uint32_t slot = 1; !error && slot < end;) {
		int result = load_record(lists, slot, bytes, each, arg);

		if (result < 0)
			error = result;
		else
			slot += (uint32_t)result;
	}
	lists->loading = false;
	if (!error)
		shrink(lists);
	free(bytes);
	return error;
}

void ipcfs_acl_lists_close(struct ipcfs_acl_lists *lists)
{
	if (lists->fd >= 0)
		close(lists->fd);
	free(lists->slots);
	*lists = (struct ipcfs_acl_lists){ .fd = -1 };
}
