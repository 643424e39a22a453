/* SPDX-License-Identifier: MIT */
/*
 * Access control lists: any attribute, any text and any stored record. An accepted list comes back
 * the same from both forms.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/access/acl_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void are_same(const struct ipcfs_acl *a, const struct ipcfs_acl *b)
{
	require(a->count == b->count);
	for (size_t i = 0; i < a->count; i++)
		require(a->entries[i].tag == b->entries[i].tag &&
			a->entries[i].perm == b->entries[i].perm &&
			a->entries[i].id == b->entries[i].id);
}

static void goes_round(struct ipcfs_acl *acl)
{
	IPCFS_ACL_AUTO from_text = { 0 };
	IPCFS_ACL_AUTO from_bytes = { 0 };
	struct ipcfs_text text = { 0 };
	struct ipcfs_text bytes = { 0 };
	mode_t mode = ipcfs_acl_mode(acl);

	require(acl->count >= 3 && ipcfs_acl_entry(acl, IPCFS_ACL_USER_OBJ) == acl->entries);
	require(!(mode & ~(mode_t)0666));
	require(!(ipcfs_acl_plain_mode(acl) & ~mode));

	require(!ipcfs_acl_format(acl, &bytes));
	require(!ipcfs_acl_parse(&from_bytes, bytes.data, bytes.size));
	are_same(acl, &from_bytes);

	require(!ipcfs_acl_print(acl, &text));
	require(!ipcfs_text_add(&text, "", 1));
	require(!ipcfs_acl_read(&from_text, text.data));
	are_same(acl, &from_text);

	ipcfs_acl_chmod(acl, 0642);
	require(ipcfs_acl_mode(acl) == 0642);
	ipcfs_text_free(&text);
	ipcfs_text_free(&bytes);
}

static void is_record(const char *text)
{
	const struct ipcfs_space_identity space = { .boot = "b", .inode = 1, .id = 2 };
	struct ipcfs_acl_record record = { 0 };
	struct ipcfs_text again = { 0 };
	int result = ipcfs_acl_record_parse(&record, &space, text);

	require(result == 0 || result == -EINVAL || result == -ESTALE);
	if (!result) {
		require(!ipcfs_acl_record_format(&record, &space, &again));
		require(again.size == strlen(text) && !memcmp(again.data, text, again.size));
	}
	ipcfs_text_free(&again);
	ipcfs_acl_free(&record.acl);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	IPCFS_ACL_AUTO parsed = { 0 };
	IPCFS_ACL_AUTO read = { 0 };
	char *text;
	int result;

	result = ipcfs_acl_parse(&parsed, data, size);
	require(result == 0 || result == -EINVAL || result == -EOPNOTSUPP);
	if (!result)
		goes_round(&parsed);

	text = strndup((const char *)data, size);
	if (!text)
		return 0;
	result = ipcfs_acl_read(&read, text);
	require(result == 0 || result == -EINVAL);
	if (!result)
		goes_round(&read);
	is_record(text);
	free(text);
	return 0;
}
