/* SPDX-License-Identifier: MIT */
#include "attr.h"

#include <errno.h>
#include <string.h>

#include "control.h"
#include "peek.h"
#include "permission.h"

/* The same after a restart, which a pointer would not be. */
static uint64_t class_number(const struct ipcfs_backend *class)
{
	uint64_t number = 0;

	while (ipcfs_backends[number] && ipcfs_backends[number] != class)
		number++;
	return number;
}

static uint64_t hash(const uint64_t *words, size_t count)
{
	uint64_t value = 0xcbf29ce484222325;

	for (size_t i = 0; i < count; i++) {
		value = (value ^ words[i]) * 0x9e3779b97f4a7c15;
		value ^= value >> 32;
	}
	return value | 1ULL << 32; /* clear of the root's */
}

uint64_t ipcfs_attr_ino_of(const struct ipcfs_backend *class, const struct ipcfs_ref *ref,
			   const struct ipcfs_node_key *key)
{
	const uint64_t words[] = {
		key->view->inode, class_number(class),	   ref->serial, ref->key, key->kind,
		key->selected,	  (uint64_t)key->selector,
	};

	return hash(words, sizeof(words) / sizeof(*words));
}

static bool is_root(const struct ipcfs_node_key *key)
{
	return key->kind == IPCFS_NODE_ROOT || (key->kind == IPCFS_NODE_TREE && !key->view->inode);
}

uint64_t ipcfs_attr_ino(const struct ipcfs_node_key *key)
{
	const uint64_t words[] = {
		key->view ? key->view->inode : 0,
		key->class ? class_number(key->class) : 0,
		key->kind,
		(uint64_t)key->selector,
	};

	if (key->object)
		return ipcfs_attr_ino_of(key->object->class, &key->object->ref, key);
	return is_root(key) ? IPCFS_NODE_ROOT_ID : hash(words, sizeof(words) / sizeof(*words));
}

/* Below type/N with N < 0 messages are only received; prio/N is for sending. */
static mode_t selected_mask(const struct ipcfs_node_key *key)
{
	if (!key->selected)
		return 0666;
	if (!key->object->class->queue->typed_receive)
		return 0222;
	return key->selector < 0 ? 0444 : 0666;
}

mode_t ipcfs_attr_mask(const struct ipcfs_node_key *key)
{
	switch (key->kind) {
	case IPCFS_NODE_MSG:
	case IPCFS_NODE_LINES:
	case IPCFS_NODE_TAGGED:
	case IPCFS_NODE_PACKETS:
		return selected_mask(key);
	case IPCFS_NODE_DRAIN:
	case IPCFS_NODE_PEEK:
		return 0444;
	case IPCFS_NODE_STATUS:
		return 0444;
	default:
		return 0666;
	}
}

static mode_t object_mode(const struct ipcfs_node_key *key, mode_t mode)
{
	switch (key->kind) {
	case IPCFS_NODE_ID_LINK:
	case IPCFS_NODE_ALIAS:
		return S_IFLNK | 0777;
	case IPCFS_NODE_OBJECT:
	case IPCFS_NODE_SELECTORS:
	case IPCFS_NODE_SELECTED:
	case IPCFS_NODE_PEEKS:
	case IPCFS_NODE_SEMAPHORE:
		return S_IFDIR | (mode & 0666) | 0111;
	case IPCFS_NODE_STATUS:
		if (key->object->class->rule == IPCFS_RULE_SYSV)
			return S_IFREG | 0444; /* as ipcs shows it to all */
		return S_IFREG | (mode & 0444);
	case IPCFS_NODE_MAX_BYTES:
		return S_IFREG | 0644;
	default:
		return S_IFREG | (mode & ipcfs_attr_mask(key));
	}
}

static mode_t fixed_mode(const struct ipcfs_node_key *key)
{
	switch (key->kind) {
	case IPCFS_NODE_CREATE:
		return S_IFREG | 0666;
	case IPCFS_NODE_LIMIT:
		return S_IFREG | 0644;
	case IPCFS_NODE_CLASS:
		return S_IFDIR | 01777;
	case IPCFS_NODE_PROCESS:
	case IPCFS_NODE_SELF:
	case IPCFS_NODE_INTO_SELF:
		return S_IFLNK | 0777;
	default:
		return S_IFDIR | 0555;
	}
}

mode_t ipcfs_attr_type(const struct ipcfs_node_key *key)
{
	return (key->object ? object_mode(key, 0) : fixed_mode(key)) & S_IFMT;
}

void ipcfs_attr_fill(const struct ipcfs_node_key *key, const struct ipcfs_info *info,
		     struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = ipcfs_attr_ino(key);
	st->st_mode = object_mode(key, ipcfs_permission_mode(key->object->space, key->object->class,
							     info));
	st->st_nlink = 1;
	st->st_uid = info->perm.uid;
	st->st_gid = info->perm.gid;
	st->st_atim = info->atime;
	st->st_mtim = info->mtime;
	st->st_ctim = info->ctime;
	st->st_blksize = 4096;
	if (key->kind == IPCFS_NODE_OBJECT || key->kind == IPCFS_NODE_PEEK ||
	    key->kind == IPCFS_NODE_DATA)
		st->st_size = (off_t)info->size;
	else if (key->kind == IPCFS_NODE_ALIAS)
		st->st_size = (off_t)strlen(info->ref.name);
	else if (key->kind == IPCFS_NODE_ID_LINK)
		st->st_size = (off_t)(strlen("../..//") + strlen(key->object->class->class_name) +
				      strlen(info->ref.name));
	if (key->kind == IPCFS_NODE_DATA)
		st->st_blocks = (blkcnt_t)(info->allocated / 512 + (info->allocated % 512 != 0));
}

void ipcfs_attr_fixed(const struct ipcfs_filesystem *fs, const struct ipcfs_node *node,
		      struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = ipcfs_attr_ino(&node->key);
	st->st_mode = fixed_mode(&node->key);
	st->st_nlink = 1;
	st->st_uid = fs->uid;
	st->st_gid = fs->gid;
	st->st_atim = st->st_mtim = st->st_ctim = fs->started;
	st->st_blksize = 4096;
}

/* What an open file of a removed object shows: it has no name any more. */
static void attr_removed(struct ipcfs_filesystem *fs, const struct ipcfs_node *node,
			 struct stat *st)
{
	struct ipcfs_info info = { .ref = node->key.object->ref };

	if (node->key.kind == IPCFS_NODE_DATA) /* the memory may live on */
		ipcfs_object_look(&fs->objects, node->key.object, &info);
	ipcfs_attr_fill(&node->key, &info, st);
	st->st_nlink = 0;
}

int ipcfs_attr_look(fuse_req_t req, struct ipcfs_node *node, struct stat *st)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	const struct ipcfs_object *object = node->key.object;
	struct ipcfs_info info;
	int err;

	if (!object) {
		ipcfs_attr_fixed(fs, node, st);
		return 0;
	}
	if (node->key.kind == IPCFS_NODE_OBJECT)
		err = object->class->stat(object->space, &object->ref, &info);
	else
		err = object->class->glance(object->space, &object->ref, &info);
	if (err == -ENOENT) {
		if (!ipcfs_node_is_open(&fs->nodes, node))
			return -ESTALE;
		attr_removed(fs, node, st);
		return 0;
	}
	if (err)
		return err;
	if (node->key.kind == IPCFS_NODE_PEEK) {
		err = ipcfs_peek_size(fs, &node->key, &info.size);
		if (err)
			return err == -ENOENT ? -ESTALE : err;
	}
	ipcfs_attr_fill(&node->key, &info, st);
	/* bash's `.` reads as many bytes as a file says it has, and tar wants as many as it said */
	if (node->key.kind == IPCFS_NODE_STATUS)
		st->st_size = (off_t)ipcfs_control_size(req, node);
	return 0;
}
