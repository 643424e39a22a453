/* SPDX-License-Identifier: MIT */
/*
 * The text of a record. Each record has exactly one text: what was read is formatted again, and
 * refused if the two texts differ.
 */
#include "fs/access/acl_record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CLASS_SIZE 32 /* family/class */

void ipcfs_acl_record_of(struct ipcfs_acl_record *record, const struct ipcfs_class *class,
			 const struct ipcfs_info *info)
{
	*record = (struct ipcfs_acl_record){ .class = class, .ref = info->ref };
	if (class->rule != IPCFS_RULE_SYSV)
		return;
	record->cuid = info->perm.cuid;
	record->cgid = info->perm.cgid;
	record->ctime = info->ctime;
}

bool ipcfs_acl_record_is_of(const struct ipcfs_acl_record *record, const struct ipcfs_ref *ref,
			    const struct ipcfs_perm *perm)
{
	if (record->ref.serial != ref->serial || record->ref.key != ref->key)
		return false;
	if (record->class->rule == IPCFS_RULE_SYSV)
		return record->cuid == perm->cuid && record->cgid == perm->cgid;
	return strcmp(record->ref.name, ref->name) == 0;
}

/* Appends a name as one word of printable ASCII. */
static int add_escaped(struct ipcfs_text *out, const char *name)
{
	int error = 0;

	for (; *name && !error; name++) {
		unsigned char byte = (unsigned char)*name;

		if (byte > ' ' && byte <= '~' && byte != '\\')
			error = ipcfs_text_add(out, name, 1);
		else
			error = ipcfs_text_printf(out, "\\%03o", byte);
	}
	return error;
}

static int unescape(const char *word, char name[NAME_MAX + 1])
{
	size_t size = 0;

	for (; *word; word++) {
		unsigned byte = (unsigned char)*word;

		if (byte == '\\') {
			if (sscanf(word + 1, "%3o", &byte) != 1 || strlen(word) < 4)
				return -EINVAL;
			word += 3;
		}
		if (size == NAME_MAX || !byte || byte == '/')
			return -EINVAL;
		name[size++] = (char)byte;
	}
	name[size] = '\0';
	return size ? 0 : -EINVAL;
}

int ipcfs_acl_record_format(const struct ipcfs_acl_record *record,
			    const struct ipcfs_space_identity *space, struct ipcfs_text *out)
{
	const struct ipcfs_ref *ref = &record->ref;
	size_t start = out->size;
	int error;

	error = ipcfs_text_printf(out,
				  "ipcfs-acl 1\n"
				  "namespace %s %" PRIu64 " %" PRIu64 "\n"
				  "object %s/%s %" PRIu64 " %" PRIu32 " %u %u %lld %ld\n"
				  "name ",
				  space->boot, space->inode, space->id, record->class->family,
				  record->class->name, ref->serial, ref->key, record->cuid,
				  record->cgid, (long long)record->ctime.tv_sec,
				  (long)record->ctime.tv_nsec);
	if (!error)
		error = add_escaped(out, ref->name);
	if (!error)
		error = ipcfs_text_add(out, "\n", 1);
	if (!error)
		error = ipcfs_acl_print(&record->acl, out);
	if (error)
		ipcfs_text_cut(out, start);
	return error;
}

static const struct ipcfs_class *find_class(const char *name)
{
	for (size_t i = 0; ipcfs_classes[i]; i++) {
		const struct ipcfs_class *class = ipcfs_classes[i];
		size_t family = strlen(class->family);

		if (strncmp(name, class->family, family) == 0 && name[family] == '/' &&
		    strcmp(name + family + 1, class->name) == 0)
			return class;
	}
	return NULL;
}

/* Reads what stands above the list. Returns its size, or -EINVAL. */
static int parse_head(struct ipcfs_acl_record *record, struct ipcfs_space_identity *space,
		      const char *text)
{
	char class[CLASS_SIZE + 1], name[4 * NAME_MAX + 1];
	long long seconds;
	int size = 0;
	long nanoseconds;

	if (sscanf(text,
		   "ipcfs-acl 1 namespace %39s %" SCNu64 " %" SCNu64 " object %32s %" SCNu64
		   " %" SCNu32 " %u %u %lld %ld name %1020s%n",
		   space->boot, &space->inode, &space->id, class, &record->ref.serial,
		   &record->ref.key, &record->cuid, &record->cgid, &seconds, &nanoseconds, name,
		   &size) != 11)
		return -EINVAL;
	record->ctime.tv_sec = (time_t)seconds;
	record->ctime.tv_nsec = nanoseconds;
	record->class = find_class(class);
	if (!record->class || unescape(name, record->ref.name) || text[size] != '\n')
		return -EINVAL;
	return size + 1;
}

/* Checks that `text` is the record's only text. -EINVAL: it is not; -ENOMEM. */
static int check_form(const struct ipcfs_acl_record *record,
		      const struct ipcfs_space_identity *space, const char *text)
{
	struct ipcfs_text again = { 0 };
	int error = ipcfs_acl_record_format(record, space, &again);

	if (!error && (again.size != strlen(text) || memcmp(again.data, text, again.size)))
		error = -EINVAL;
	ipcfs_text_free(&again);
	return error;
}

int ipcfs_acl_record_parse(struct ipcfs_acl_record *record,
			   const struct ipcfs_space_identity *space, const char *text)
{
	struct ipcfs_acl_record read = { 0 };
	struct ipcfs_space_identity of = { 0 };
	int error, head = parse_head(&read, &of, text);

	if (head < 0)
		return head;
	error = ipcfs_acl_read(&read.acl, text + head);
	if (!error)
		error = check_form(&read, &of, text);
	if (!error && (!of.id || of.id != space->id || of.inode != space->inode ||
		       strcmp(of.boot, space->boot)))
		error = -ESTALE;
	if (error)
		ipcfs_acl_free(&read.acl);
	else
		*record = read;
	return error;
}

void ipcfs_acl_record_name(const struct ipcfs_class *class, const struct ipcfs_ref *ref,
			   char name[IPCFS_ACL_RECORD_NAME])
{
	(void)snprintf(name, IPCFS_ACL_RECORD_NAME, "%.16s-%.16s-%" PRIu64 "-%08" PRIx32,
		       class->family, class->name, ref->serial, ref->key);
}
