/* SPDX-License-Identifier: MIT */
#include "access.h"

#include <errno.h>
#include <linux/capability.h>

#include "../backends/authority.h"
#include "../backends/id_map.h"

#define WANT_ALL (IPCFS_WANT_READ | IPCFS_WANT_WRITE)

static bool in_group(const struct ipcfs_caller *caller, gid_t gid)
{
	if (caller->gid == gid)
		return true;
	for (size_t i = 0; caller->loaded && i < caller->ngroups; i++)
		if (caller->groups[i] == gid)
			return true;
	return false;
}

bool ipcfs_access_is_owner(enum ipcfs_rule rule, const struct ipcfs_perm *perm,
			   const struct ipcfs_caller *caller)
{
	return caller->uid == perm->uid || (rule == IPCFS_RULE_SYSV && caller->uid == perm->cuid);
}

static bool in_own_group(const struct ipcfs_question *question, const struct ipcfs_caller *caller)
{
	const struct ipcfs_perm *perm = question->perm;

	return in_group(caller, perm->gid) ||
	       (question->rule == IPCFS_RULE_SYSV && in_group(caller, perm->cgid));
}

/* What decides, and what it grants. */
struct answer {
	enum ipcfs_reason reason;
	unsigned granted;
};

/*
 * The bits of the class that the caller is in. With `maybe` there may be groups that are not known
 * yet: of two classes that it could be, only what both grant is sure.
 */
static struct answer by_mode(const struct ipcfs_question *question,
			     const struct ipcfs_caller *caller, bool maybe)
{
	unsigned mode = question->perm->mode;

	if (in_own_group(question, caller))
		return (struct answer){ IPCFS_BY_GROUP, mode >> 3 };
	return (struct answer){ IPCFS_BY_OTHER, maybe ? mode & mode >> 3 : mode };
}

static bool is_member(const struct ipcfs_question *question, const struct ipcfs_caller *caller,
		      const struct ipcfs_acl_entry *entry)
{
	return entry->tag == IPCFS_ACL_GROUP_OBJ ? in_own_group(question, caller)
						 : in_group(caller, entry->id);
}

static struct answer by_groups(const struct ipcfs_question *question,
			       const struct ipcfs_caller *caller, unsigned mask, bool maybe)
{
	struct answer answer = { IPCFS_BY_OTHER, 0 };
	unsigned of_all = ~0U; /* what each group's entry grants */

	for (size_t i = 0; i < question->acl->count; i++) {
		const struct ipcfs_acl_entry *entry = &question->acl->entries[i];

		if (entry->tag == IPCFS_ACL_OTHER && answer.reason == IPCFS_BY_OTHER)
			answer.granted = maybe ? entry->perm & of_all : entry->perm;
		if (entry->tag != IPCFS_ACL_GROUP_OBJ && entry->tag != IPCFS_ACL_GROUP)
			continue;
		of_all &= entry->perm & mask;
		if (!is_member(question, caller, entry))
			continue;
		/* one entry has to grant all that is wanted: what two grant together does not count */
		if (answer.reason != IPCFS_BY_GROUP || !(question->want & ~(entry->perm & mask)))
			answer = (struct answer){ IPCFS_BY_GROUP, entry->perm & mask };
	}
	return answer;
}

static struct answer by_list(const struct ipcfs_question *question,
			     const struct ipcfs_caller *caller, bool maybe)
{
	const struct ipcfs_acl_entry *entry = ipcfs_acl_entry(question->acl, IPCFS_ACL_MASK);
	unsigned mask = entry ? entry->perm : ~0U;

	/*
	 * As the kernel: where the mask leaves nothing, named entries are not looked at, and other decides.
	 * The mode's group bits are not asked: a direct chmod may have set them, and the mask still cuts.
	 */
	if (mask == 0) {
		if (in_own_group(question, caller))
			return (struct answer){ IPCFS_BY_GROUP, 0 };
		return (struct answer){ IPCFS_BY_OTHER, maybe ? 0 : question->perm->mode };
	}
	for (size_t i = 0; i < question->acl->count; i++) {
		entry = &question->acl->entries[i];
		if (entry->tag == IPCFS_ACL_USER && entry->id == caller->uid)
			return (struct answer){ IPCFS_BY_NAMED_USER, entry->perm & mask };
	}
	return by_groups(question, caller, mask, maybe);
}

static struct answer answer(const struct ipcfs_question *question,
			    const struct ipcfs_caller *caller, bool maybe)
{
	if (ipcfs_access_is_owner(question->rule, question->perm, caller))
		return (struct answer){ IPCFS_BY_OWNER, question->perm->mode >> 6 };
	if (question->acl && question->acl->count)
		return by_list(question, caller, maybe);
	return by_mode(question, caller, maybe);
}

/* Those that count for the object. A file's do where it has ids in the caller's user namespace. */
static uint64_t capabilities(const struct ipcfs_question *question,
			     const struct ipcfs_caller *caller)
{
	const struct ipcfs_perm *perm = question->perm;

	if (!caller->loaded)
		return 0;
	if (question->rule == IPCFS_RULE_SYSV)
		return ipcfs_authority_caps(question->authority, caller);
	if (caller->foreign && (!ipcfs_id_map_has_uid(caller->map, perm->uid) ||
				!ipcfs_id_map_has_gid(caller->map, perm->gid)))
		return 0;
	return caller->caps;
}

static bool overrides(const struct ipcfs_question *question, const struct ipcfs_caller *caller)
{
	uint64_t caps = capabilities(question, caller);

	if (question->rule == IPCFS_RULE_SYSV)
		return caps >> CAP_IPC_OWNER & 1;
	return caps >> CAP_DAC_OVERRIDE & 1 ||
	       ((question->want & WANT_ALL) == IPCFS_WANT_READ && caps >> CAP_DAC_READ_SEARCH & 1);
}

static bool grants(const struct ipcfs_question *question, const struct answer *answer)
{
	return !(question->want & WANT_ALL & ~answer->granted);
}

int ipcfs_access(const struct ipcfs_question *question, struct ipcfs_caller *caller,
		 int (*load)(struct ipcfs_caller *caller), enum ipcfs_reason *reason)
{
	bool maybe = !caller->loaded && load;
	struct answer found = answer(question, caller, maybe);

	/* A capability may override every refusal, so a refusal is never certain before. */
	if (maybe && !grants(question, &found)) {
		int err = load(caller);

		if (err) {
			*reason = IPCFS_BY_NOTHING;
			return err;
		}
		found = answer(question, caller, false);
	}
	*reason = found.reason;
	if (grants(question, &found))
		return 0;
	if (!overrides(question, caller))
		return -EACCES;
	*reason = IPCFS_BY_CAPABILITY;
	return 0;
}

const char *ipcfs_reason_name(enum ipcfs_reason reason)
{
	static const char *const names[] = {
		[IPCFS_BY_OWNER] = "owner",	      [IPCFS_BY_NAMED_USER] = "named user",
		[IPCFS_BY_GROUP] = "group",	      [IPCFS_BY_OTHER] = "other",
		[IPCFS_BY_CAPABILITY] = "capability", [IPCFS_BY_NOTHING] = "unknown",
	};

	return names[reason];
}
