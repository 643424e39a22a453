/* SPDX-License-Identifier: MIT */
/*
 * Access control lists. libacl knows which lists are valid, and the text form. The form of the
 * kernel's attribute is parsed and formatted here, as libacl exports no function for it.
 */
#include <acl/libacl.h>
#include <endian.h>
#include <errno.h>
#include <linux/posix_acl_xattr.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/acl.h>

#include "backends/contract/acl.h"

#define PERM_VALID 07 /* the bits that an attribute's entry may have */
#define PERM_KEPT 06
#define ID_NONE UINT32_MAX  /* the id of entries without one; libacl refuses it for others */
#define ATTRIBUTE_MAX 65536 /* bytes; the kernel takes no longer value of an attribute */
#define ID_DIGITS 10

typedef struct posix_acl_xattr_header attribute_header;
typedef struct posix_acl_xattr_entry attribute_entry;

/* Declares a list of libacl that is freed at the end of its scope. */
#define LIBACL_AUTO __attribute__((cleanup(libacl_free))) acl_t

static void libacl_free(acl_t *list)
{
	if (*list)
		(void)acl_free(*list);
}

static int libacl_error(void)
{
	return errno == ENOMEM ? -ENOMEM : -EINVAL;
}

static bool has_id(uint16_t tag)
{
	return tag == IPCFS_ACL_USER || tag == IPCFS_ACL_GROUP;
}

void ipcfs_acl_free(struct ipcfs_acl *acl)
{
	free(acl->entries);
	*acl = (struct ipcfs_acl){ 0 };
}

int ipcfs_acl_copy(struct ipcfs_acl *to, const struct ipcfs_acl *from)
{
	struct ipcfs_acl copy = { .count = from->count };

	if (from->count) {
		copy.entries = calloc(from->count, sizeof(*copy.entries));
		if (!copy.entries)
			return -ENOMEM;
		memcpy(copy.entries, from->entries, from->count * sizeof(*copy.entries));
	}
	*to = copy;
	return 0;
}

static int add_entry(acl_t *list, const struct ipcfs_acl_entry *entry)
{
	acl_permset_t perms;
	acl_entry_t added;

	if (acl_create_entry(list, &added) || acl_set_tag_type(added, entry->tag) ||
	    acl_get_permset(added, &perms) || acl_clear_perms(perms))
		return libacl_error();
	if (entry->perm & ACL_READ && acl_add_perm(perms, ACL_READ))
		return libacl_error();
	if (entry->perm & ACL_WRITE && acl_add_perm(perms, ACL_WRITE))
		return libacl_error();
	if (has_id(entry->tag) && acl_set_qualifier(added, &(id_t){ entry->id }))
		return libacl_error();
	return 0;
}

/*
 * Makes a list of libacl, to be freed. Starts with the last entry: libacl searches the place of a
 * new entry from the front, which takes 80 ms for 8191 entries in order, and 1 ms from behind.
 */
static int to_libacl(const struct ipcfs_acl *acl, acl_t *list)
{
	int error = 0;

	*list = acl_init((int)acl->count);
	if (!*list)
		return libacl_error();
	for (size_t i = acl->count; i && !error; i--)
		error = add_entry(list, &acl->entries[i - 1]);
	return error;
}

static int read_entry(acl_entry_t from, struct ipcfs_acl_entry *entry)
{
	acl_permset_t perms;
	acl_tag_t tag;
	id_t *id;

	if (acl_get_tag_type(from, &tag) || acl_get_permset(from, &perms))
		return libacl_error();
	entry->tag = (uint16_t)tag;
	if (acl_get_perm(perms, ACL_READ) == 1)
		entry->perm |= ACL_READ;
	if (acl_get_perm(perms, ACL_WRITE) == 1)
		entry->perm |= ACL_WRITE;
	if (!has_id(entry->tag))
		return 0;
	id = acl_get_qualifier(from);
	if (!id)
		return libacl_error();
	entry->id = *id;
	(void)acl_free(id);
	return 0;
}

/*
 * Copies the entries of a valid list in libacl's order. *acl has to be freed.
 * -EINVAL: the list is not valid.
 * -ENOMEM.
 */
static int from_libacl(acl_t list, struct ipcfs_acl *acl)
{
	IPCFS_ACL_AUTO taken = { 0 };
	int count, which = ACL_FIRST_ENTRY;

	if (acl_valid(list))
		return libacl_error();
	count = acl_entries(list);
	if (count <= 0)
		return -EINVAL;
	taken.entries = calloc((size_t)count, sizeof(*taken.entries));
	if (!taken.entries)
		return -ENOMEM;
	for (; taken.count < (size_t)count; taken.count++) {
		acl_entry_t entry;
		int error;

		if (acl_get_entry(list, which, &entry) != 1)
			return -EINVAL;
		error = read_entry(entry, &taken.entries[taken.count]);
		if (error)
			return error;
		which = ACL_NEXT_ENTRY;
	}
	*acl = taken;
	taken = (struct ipcfs_acl){ 0 };
	return 0;
}

/*
 * Checks an entry as the kernel does: tags in order, and known bits only. `before` is the tag of
 * the entry before it.
 */
static int check_entry(const struct ipcfs_acl_entry *entry, uint16_t before)
{
	switch (entry->tag) {
	case IPCFS_ACL_USER_OBJ:
	case IPCFS_ACL_USER:
	case IPCFS_ACL_GROUP_OBJ:
	case IPCFS_ACL_GROUP:
	case IPCFS_ACL_MASK:
	case IPCFS_ACL_OTHER:
		return entry->tag < before || entry->perm & ~PERM_VALID ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

static int compare_entries(const void *left, const void *right)
{
	const struct ipcfs_acl_entry *a = left, *b = right;

	if (a->tag != b->tag)
		return a->tag < b->tag ? -1 : 1;
	return (a->id > b->id) - (a->id < b->id);
}

static int parse_entries(const unsigned char *bytes, size_t count, struct ipcfs_acl *acl)
{
	uint16_t before = 0;

	acl->entries = calloc(count, sizeof(*acl->entries));
	if (!acl->entries)
		return -ENOMEM;
	for (; acl->count < count; acl->count++) {
		struct ipcfs_acl_entry *entry = &acl->entries[acl->count];
		attribute_entry raw;

		memcpy(&raw, bytes + acl->count * sizeof(raw), sizeof(raw));
		entry->tag = le16toh(raw.e_tag);
		entry->perm = le16toh(raw.e_perm);
		if (has_id(entry->tag))
			entry->id = le32toh(raw.e_id);
		if (check_entry(entry, before))
			return -EINVAL;
		before = entry->tag;
	}
	qsort(acl->entries, count, sizeof(*acl->entries), compare_entries);
	return 0;
}

int ipcfs_acl_parse(struct ipcfs_acl *acl, const void *bytes, size_t size)
{
	IPCFS_ACL_AUTO raw = { 0 };
	attribute_header header;
	LIBACL_AUTO list = NULL;
	int error;

	if (size < sizeof(header))
		return -EINVAL;
	memcpy(&header, bytes, sizeof(header));
	if (le32toh(header.a_version) != POSIX_ACL_XATTR_VERSION)
		return -EOPNOTSUPP;
	size -= sizeof(header);
	if (!size || size > ATTRIBUTE_MAX || size % sizeof(attribute_entry))
		return -EINVAL;

	error = parse_entries((const unsigned char *)bytes + sizeof(header),
			      size / sizeof(attribute_entry), &raw);
	if (!error)
		error = to_libacl(&raw, &list);
	return error ? error : from_libacl(list, acl);
}

int ipcfs_acl_format(const struct ipcfs_acl *acl, struct ipcfs_text *out)
{
	attribute_header header = { .a_version = htole32(POSIX_ACL_XATTR_VERSION) };
	int error = ipcfs_text_reserve(out, sizeof(header) + acl->count * sizeof(attribute_entry));

	if (error)
		return error;
	/* cannot fail: the memory is reserved */
	(void)ipcfs_text_add(out, &header, sizeof(header));
	for (size_t i = 0; i < acl->count; i++) {
		const struct ipcfs_acl_entry *entry = &acl->entries[i];
		attribute_entry raw = {
			.e_tag = htole16(entry->tag),
			.e_perm = htole16(entry->perm),
			.e_id = htole32(has_id(entry->tag) ? entry->id : ID_NONE),
		};

		(void)ipcfs_text_add(out, &raw, sizeof(raw));
	}
	return 0;
}

int ipcfs_acl_print(const struct ipcfs_acl *acl, struct ipcfs_text *out)
{
	size_t size, start = out->size;
	LIBACL_AUTO list = NULL;
	int error;
	char *text;

	error = to_libacl(acl, &list);
	if (error)
		return error;
	text = acl_to_any_text(list, NULL, '\n', TEXT_NUMERIC_IDS);
	if (!text)
		return -ENOMEM;
	size = strlen(text);
	error = ipcfs_text_add(out, text, size);
	if (!error && size && text[size - 1] != '\n')
		error = ipcfs_text_add(out, "\n", 1);
	(void)acl_free(text);
	if (error)
		ipcfs_text_cut(out, start);
	return error;
}

/*
 * Returns whether these digits are an id in plain decimal. libacl would take octal and hexadecimal
 * numbers, too, and names.
 */
static bool is_id(const char *digits, size_t length)
{
	uint64_t value = 0;

	if (!length || length > ID_DIGITS || (digits[0] == '0' && length > 1))
		return false;
	for (size_t i = 0; i < length; i++)
		value = value * 10 + (uint64_t)(digits[i] - '0');
	return value < ID_NONE;
}

/*
 * Returns whether every line is an entry with a number in plain decimal, so that libacl reads it in
 * one way only, and looks up no name in the system's lists of users.
 */
static bool is_plain_text(const char *text)
{
	while (*text) {
		size_t tag = strspn(text, "abcdefghijklmnopqrstuvwxyz"), id;

		if (!tag || text[tag] != ':')
			return false;
		text += tag + 1;
		id = strspn(text, "0123456789");
		if ((id && !is_id(text, id)) || text[id] != ':')
			return false;
		text += id + 1;
		text += strspn(text, "rwx-");
		if (*text != '\n')
			return false;
		text++;
	}
	return true;
}

int ipcfs_acl_read(struct ipcfs_acl *acl, const char *text)
{
	LIBACL_AUTO list = NULL;

	if (!is_plain_text(text))
		return -EINVAL;
	list = acl_from_text(text);
	if (!list)
		return libacl_error();
	return from_libacl(list, acl);
}

struct ipcfs_acl_entry *ipcfs_acl_entry(const struct ipcfs_acl *acl, enum ipcfs_acl_tag tag)
{
	for (size_t i = 0; i < acl->count; i++)
		if (acl->entries[i].tag == tag)
			return &acl->entries[i];
	return NULL;
}

static mode_t perm_of(const struct ipcfs_acl *acl, enum ipcfs_acl_tag tag, mode_t otherwise)
{
	const struct ipcfs_acl_entry *entry = ipcfs_acl_entry(acl, tag);

	return entry ? entry->perm : otherwise;
}

static mode_t mode_with(const struct ipcfs_acl *acl, mode_t group)
{
	return perm_of(acl, IPCFS_ACL_USER_OBJ, 0) << 6 | group << 3 |
	       perm_of(acl, IPCFS_ACL_OTHER, 0);
}

mode_t ipcfs_acl_mode(const struct ipcfs_acl *acl)
{
	return mode_with(acl, perm_of(acl, IPCFS_ACL_MASK, perm_of(acl, IPCFS_ACL_GROUP_OBJ, 0)));
}

mode_t ipcfs_acl_plain_mode(const struct ipcfs_acl *acl)
{
	return mode_with(acl, perm_of(acl, IPCFS_ACL_GROUP_OBJ, 0) &
				      perm_of(acl, IPCFS_ACL_MASK, PERM_KEPT));
}

static void set_perm(const struct ipcfs_acl *acl, enum ipcfs_acl_tag tag, mode_t perm)
{
	struct ipcfs_acl_entry *entry = ipcfs_acl_entry(acl, tag);

	if (entry)
		entry->perm = (uint16_t)(perm & PERM_KEPT);
}

void ipcfs_acl_chmod(struct ipcfs_acl *acl, mode_t mode)
{
	bool masked = ipcfs_acl_entry(acl, IPCFS_ACL_MASK);

	set_perm(acl, IPCFS_ACL_USER_OBJ, mode >> 6);
	set_perm(acl, masked ? IPCFS_ACL_MASK : IPCFS_ACL_GROUP_OBJ, mode >> 3);
	set_perm(acl, IPCFS_ACL_OTHER, mode);
}
