/* SPDX-License-Identifier: MIT */
#include "fs/tree/attr.h"

#include <string.h>

#include "fs/tree/permission.h"

/* Returns an inode number for these words. No hash is that of the root, IPCFS_NODE_ROOT_ID. */
static uint64_t hash(const uint64_t *words, size_t count)
{
	uint64_t value = 0xcbf29ce484222325;

	for (size_t i = 0; i < count; i++) {
		value = (value ^ words[i]) * 0x9e3779b97f4a7c15;
		value ^= value >> 32;
	}
	return value | 1ULL << 32; /* larger than the root's */
}

uint64_t ipcfs_attr_ino_of(const struct ipcfs_view *view, const struct ipcfs_class *class,
			   const struct ipcfs_ref *ref, const struct ipcfs_node_key *key)
{
	const uint64_t words[] = {
		view->inode,
		ipcfs_class_number(class),
		ref->serial,
		ref->key,
		key->kind,
		key->selected,
		(uint64_t)key->selector,
		(uint64_t)key->detail,
		key->within,
	};

	return hash(words, sizeof(words) / sizeof(*words));
}

/* Returns the inode number of a node without an object, in the namespace `inode` (0: none). */
static uint64_t fixed_ino(uint64_t inode, const struct ipcfs_node_key *key)
{
	const uint64_t words[] = { inode, key->class, key->kind, (uint64_t)key->selector };

	if (key->kind == IPCFS_NODE_ROOT || (key->kind == IPCFS_NODE_TREE && !inode))
		return IPCFS_NODE_ROOT_ID;
	return hash(words, sizeof(words) / sizeof(*words));
}

uint64_t ipcfs_attr_ino(const struct ipcfs_filesystem *fs, const struct ipcfs_node_key *key)
{
	const struct ipcfs_object *object = ipcfs_object_at(&fs->objects, key->object);
	const struct ipcfs_view *view = ipcfs_view_at(fs->registry, key->view);

	if (object)
		return ipcfs_attr_ino_of(view, object->class, &object->ref, key);
	return fixed_ino(view ? view->inode : 0, key);
}

uint64_t ipcfs_attr_ino_of_namespace(uint64_t inode)
{
	const struct ipcfs_node_key key = { .kind = IPCFS_NODE_TREE };

	return fixed_ino(inode, &key);
}

mode_t ipcfs_attr_mask(const struct ipcfs_class *class, const struct ipcfs_node_key *key)
{
	mode_t mask = ipcfs_file_kinds[key->kind].mode;

	if (!key->selected || ipcfs_file_kinds[key->kind].group != IPCFS_GROUP_QUEUE ||
	    ipcfs_file_kind_has(key->kind, IPCFS_FILE_READERS_WRITE))
		return mask;
	if (!class->queue->typed_receive)
		return mask & 0222;		       /* prio/N/ is for sending only */
	return key->selector < 0 ? mask & 0444 : mask; /* type/-N/: for receiving only */
}

/*
 * Returns the sticky bit for a directory of this mode if others than the owner would seem to be
 * able to make files in it, and the kernel says so without asking the daemon (ipcfs_op_access). It
 * tells programs as fusermount3 that only the owner may mount there.
 */
static mode_t sticky(const struct ipcfs_filesystem *fs, mode_t mode)
{
	return fs->kernel_answers && mode & 0022 ? S_ISVTX : 0;
}

/* Returns the type and mode of a file of an object. `mode` is the object's. */
static mode_t object_mode(const struct ipcfs_filesystem *fs, const struct ipcfs_class *class,
			  const struct ipcfs_node_key *key, mode_t mode)
{
	const struct ipcfs_file_kind *kind = &ipcfs_file_kinds[key->kind];

	if (S_ISLNK(kind->type))
		return kind->type | kind->mode;
	if (S_ISDIR(kind->type))
		return kind->type | (mode & kind->mode) | 0111 | sticky(fs, mode);
	if (ipcfs_attr_has_own_mode(class, key->kind))
		return kind->type | kind->mode;
	if (ipcfs_file_kind_has(key->kind, IPCFS_FILE_READERS_WRITE))
		mode = (mode & 0444) | (mode & 0444) >> 1;
	return kind->type | (mode & ipcfs_attr_mask(class, key));
}

/* Returns the st_size of a file of an object: bytes, or what info->size counts for the class. */
static off_t size_of(const struct ipcfs_class *class, const struct ipcfs_node_key *key,
		     const struct ipcfs_info *info)
{
	if (ipcfs_file_kind_has(key->kind, IPCFS_FILE_OBJECT_SIZE))
		return (off_t)info->size;
	if (key->kind == IPCFS_NODE_ID_LINK)
		return (off_t)(strlen("../..//") + strlen(class->name) + strlen(info->ref.name));
	return 0;
}

void ipcfs_attr_fill(const struct ipcfs_filesystem *fs, const struct ipcfs_node_key *key,
		     const struct ipcfs_info *info, struct stat *st)
{
	const struct ipcfs_object *object = ipcfs_object_at(&fs->objects, key->object);
	const struct ipcfs_class *class = object->class;
	mode_t mode = ipcfs_permission_mode(object->space, class, info);

	memset(st, 0, sizeof(*st));
	st->st_ino = ipcfs_attr_ino(fs, key);
	st->st_mode = object_mode(fs, class, key, mode);
	st->st_nlink = 1;
	st->st_uid = info->perm.uid;
	st->st_gid = info->perm.gid;
	st->st_atim = info->atime;
	st->st_mtim = info->mtime;
	st->st_ctim = info->ctime;
	st->st_blksize = 4096;
	st->st_size = size_of(class, key, info);
	if (key->kind == IPCFS_NODE_DATA)
		st->st_blocks = (blkcnt_t)(info->allocated / 512 + (info->allocated % 512 != 0));
}

void ipcfs_attr_fixed(const struct ipcfs_filesystem *fs, const struct ipcfs_node *node,
		      struct stat *st)
{
	const struct ipcfs_file_kind *kind = &ipcfs_file_kinds[node->key.kind];
	const struct ipcfs_class *class = ipcfs_class_at(node->key.class);
	const struct ipcfs_perm *makers;

	memset(st, 0, sizeof(*st));
	st->st_ino = ipcfs_attr_ino(fs, &node->key);
	st->st_mode = kind->type | kind->mode;
	st->st_nlink = 1;
	st->st_uid = fs->uid;
	st->st_gid = fs->gid;
	st->st_atim = st->st_mtim = st->st_ctim = fs->started;
	makers = class ? class->makers : NULL;
	if (makers) {
		st->st_mode = S_IFDIR | makers->mode;
		st->st_uid = makers->uid;
		st->st_gid = makers->gid;
	}
	if (node->key.kind == IPCFS_NODE_METRICS) /* its text is made when it is read */
		clock_gettime(CLOCK_REALTIME, &st->st_mtim);
	st->st_blksize = 4096;
}
