/* SPDX-License-Identifier: MIT */
#include "fs/events/known_table.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define HASH_BYTES 48 /* of an item, in a hash table and of malloc(3) */

static struct ipcfs_known_key key_of(const struct ipcfs_class *class, const struct ipcfs_ref *ref)
{
	return (struct ipcfs_known_key){ .class = class, .serial = ref->serial, .key = ref->key };
}

struct ipcfs_known_object *ipcfs_known_find(const struct ipcfs_known *known,
					    const struct ipcfs_class *class,
					    const struct ipcfs_ref *ref)
{
	const struct ipcfs_known_key id = key_of(class, ref);
	struct ipcfs_known_object *object;

	HASH_FIND(hh, known->objects, &id, sizeof(id), object);
	return object;
}

/* Returns what an item takes, with its place in the hash table. */
static size_t bytes_of(size_t item, const char *name)
{
	return item + strlen(name) + 1 + HASH_BYTES;
}

/* Allocates an item, if it is paid for. NULL: it is not, or there is no memory. */
static void *allocate(struct ipcfs_known *known, size_t size, const char *name)
{
	size_t bytes = bytes_of(size, name);
	void *item;

	if (known->grow && known->bytes + bytes > known->room) {
		known->refused = known->refused || !known->grow(known->arg, bytes);
		if (known->refused)
			return NULL;
	}
	item = calloc(1, size + strlen(name) + 1);
	known->bytes += item ? bytes : 0;
	return item;
}

static void release(struct ipcfs_known *known, void *item, size_t size, const char *name)
{
	known->bytes -= bytes_of(size, name);
	free(item);
}

/* Has the object's name lead to it, if the class has a trail. Returns false without memory. */
static bool name_object(struct ipcfs_known *known, struct ipcfs_known_object *object)
{
	struct ipcfs_known_name *name;

	if (!object->id.class->trail)
		return true;
	name = ipcfs_known_name_add(known, object->id.class, object->name);
	if (!name)
		return false;
	if (name->object)
		name->object->named = NULL;
	name->object = object;
	name->passing = false;
	object->named = name;
	return true;
}

struct ipcfs_known_object *ipcfs_known_add(struct ipcfs_known *known,
					   const struct ipcfs_class *class,
					   const struct ipcfs_info *info)
{
	struct ipcfs_known_object *object;

	if (HASH_COUNT(known->objects) >= IPCFS_KNOWN_MAX)
		return NULL;
	object = allocate(known, sizeof(*object), info->ref.name);
	if (!object)
		return NULL;
	object->id = key_of(class, &info->ref);
	object->perm = info->perm;
	object->seen = known->look;
	object->fresh = true;
	strcpy(object->name, info->ref.name);
	HASH_ADD(hh, known->objects, id, sizeof(object->id), object);
	if (!object->hh.tbl) {
		release(known, object, sizeof(*object), object->name);
		return NULL;
	}
	if (name_object(known, object))
		return object;
	ipcfs_known_drop(known, object);
	return NULL;
}

/* Has the name lead nowhere. */
static void unname(struct ipcfs_known_object *object)
{
	if (object->named)
		object->named->object = NULL;
	object->named = NULL;
}

void ipcfs_known_retire(struct ipcfs_known *known, struct ipcfs_known_object *object)
{
	unname(object);
	object->gone = true;
	object->untold = false;
	object->touched = known->look;
}

void ipcfs_known_revive(struct ipcfs_known *known, struct ipcfs_known_object *object)
{
	object->gone = !name_object(known, object);
	object->seen = known->look;
	object->fresh = true;
}

void ipcfs_known_drop(struct ipcfs_known *known, struct ipcfs_known_object *object)
{
	unname(object);
	HASH_DEL(known->objects, object);
	release(known, object, sizeof(*object), object->name);
}

void ipcfs_known_tell(const struct ipcfs_known_object *object, enum ipcfs_event_kind kind,
		      const char *detail, const struct ipcfs_finding *finding)
{
	struct ipcfs_info info = { .perm = object->perm };

	info.ref.serial = object->id.serial;
	info.ref.key = (uint32_t)object->id.key;
	strcpy(info.ref.name, object->name); /* it came from a name of this size */
	finding->found(finding->arg, kind, object->id.class, &info, detail);
}

/* What identifies a name: the class, and the name without a NUL. */
struct name_key {
	const struct ipcfs_class *class;
	char name[NAME_MAX + 1];
};

#define KEY_SIZE(name) (offsetof(struct name_key, name) + strlen(name))

struct ipcfs_known_name *ipcfs_known_name(const struct ipcfs_known *known,
					  const struct ipcfs_class *class, const char *name)
{
	struct ipcfs_known_name *found;
	struct name_key key = { .class = class };

	memcpy(key.name, name, strlen(name));
	HASH_FIND(hh, known->names, &key, KEY_SIZE(name), found);
	return found;
}

struct ipcfs_known_name *ipcfs_known_name_add(struct ipcfs_known *known,
					      const struct ipcfs_class *class, const char *name)
{
	struct ipcfs_known_name *found = ipcfs_known_name(known, class, name);

	if (found || HASH_COUNT(known->names) >= 2 * IPCFS_KNOWN_MAX)
		return found;
	found = allocate(known, sizeof(*found), name);
	if (!found)
		return NULL;
	found->class = class;
	strcpy(found->name, name);
	found->touched = known->look;
	HASH_ADD_KEYPTR(hh, known->names, &found->class, KEY_SIZE(name), found);
	if (found->hh.tbl)
		return found;
	release(known, found, sizeof(*found), found->name);
	return NULL;
}

/* Tells of an object of which only the name is known. */
static void tell_name(const struct ipcfs_known_name *name, enum ipcfs_event_kind kind,
		      const struct ipcfs_finding *finding)
{
	struct ipcfs_info info = { 0 };

	info.perm.uid = info.perm.cuid = (uid_t)-1;
	info.perm.gid = info.perm.cgid = (gid_t)-1;
	strcpy(info.ref.name, name->name); /* it came from a name of this size */
	finding->found(finding->arg, kind, name->class, &info, "");
}

bool ipcfs_known_name_pass(struct ipcfs_known_name *name, const struct ipcfs_finding *finding)
{
	bool passing = name->passing;

	if (passing) {
		tell_name(name, IPCFS_EVENT_CREATED, finding);
		if (name->changed)
			tell_name(name, IPCFS_EVENT_CHANGED, finding);
		tell_name(name, IPCFS_EVENT_REMOVED, finding);
	}
	name->passing = name->changed = false;
	return passing;
}

static void free_name(struct ipcfs_known *known, struct ipcfs_known_name *name)
{
	HASH_DEL(known->names, name);
	release(known, name, sizeof(*name), name->name);
}

void ipcfs_known_names_expire(struct ipcfs_known *known)
{
	struct ipcfs_known_name *name, *next;

	HASH_ITER (hh, known->names, name, next) {
		if (name->touched + 1 < known->look) {
			name->owed_made = name->owed_removed = 0;
			name->passing = name->changed = false;
		}
		if (!name->object && name->touched + 1 < known->look &&
		    name->unsure + 1 < known->look)
			free_name(known, name);
	}
}

void ipcfs_known_free(struct ipcfs_known *known)
{
	struct ipcfs_known_object *object, *next;
	struct ipcfs_known_name *name, *next_name;

	HASH_ITER (hh, known->objects, object, next)
		ipcfs_known_drop(known, object);
	HASH_ITER (hh, known->names, name, next_name)
		free_name(known, name);
	known->look = 0;
	known->filled = false;
}
