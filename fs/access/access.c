/* SPDX-License-Identifier: MIT */
#include "fs/access/access.h"

#include <errno.h>
#include <linux/capability.h>

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

/* The entry that decides, and the bits that it grants. */
struct answer {
	enum ipcfs_reason reason;
	unsigned granted;
};

/*
 * Decides by the class of the mode that the caller is in. An unloaded caller may be in the group or
 * not: only bits that both classes grant are certain.
 */
static struct answer by_mode(const struct ipcfs_question *question,
			     const struct ipcfs_caller *caller, bool unloaded)
{
	unsigned mode = question->perm->mode;

	if (in_own_group(question, caller))
		return (struct answer){ IPCFS_BY_GROUP, mode >> 3 };
	return (struct answer){ IPCFS_BY_OTHER, unloaded ? mode & mode >> 3 : mode };
}

static bool is_member(const struct ipcfs_question *question, const struct ipcfs_caller *caller,
		      const struct ipcfs_acl_entry *entry)
{
	return entry->tag == IPCFS_ACL_GROUP_OBJ ? in_own_group(question, caller)
						 : in_group(caller, entry->id);
}

static struct answer by_groups(const struct ipcfs_question *question,
			       const struct ipcfs_caller *caller, unsigned mask, bool unloaded)
{
	struct answer answer = { IPCFS_BY_OTHER, 0 };
	unsigned all_groups = ~0U; /* bits that the entry of every group grants */

	for (size_t i = 0; i < question->acl->count; i++) {
		const struct ipcfs_acl_entry *entry = &question->acl->entries[i];

		if (entry->tag == IPCFS_ACL_OTHER && answer.reason == IPCFS_BY_OTHER)
			answer.granted = unloaded ? entry->perm & all_groups : entry->perm;
		if (entry->tag != IPCFS_ACL_GROUP_OBJ && entry->tag != IPCFS_ACL_GROUP)
			continue;
		all_groups &= entry->perm & mask;
		if (!is_member(question, caller, entry))
			continue;
		/* One entry must grant all that is wanted; two entries are not added up. */
		if (answer.reason != IPCFS_BY_GROUP || !(question->want & ~(entry->perm & mask)))
			answer = (struct answer){ IPCFS_BY_GROUP, entry->perm & mask };
	}
	return answer;
}

static struct answer by_list(const struct ipcfs_question *question,
			     const struct ipcfs_caller *caller, bool unloaded)
{
	const struct ipcfs_acl_entry *entry = ipcfs_acl_entry(question->acl, IPCFS_ACL_MASK);
	unsigned mask = entry ? entry->perm : ~0U;

	/*
	 * As in the kernel, named entries are skipped when the mask is empty, and other decides.
	 * The mode's group bits are not used: a direct chmod(2) may have set them, while the mask
	 * still applies.
	 */
	if (mask == 0) {
		if (in_own_group(question, caller))
			return (struct answer){ IPCFS_BY_GROUP, 0 };
		return (struct answer){ IPCFS_BY_OTHER, unloaded ? 0 : question->perm->mode };
	}
	for (size_t i = 0; i < question->acl->count; i++) {
		entry = &question->acl->entries[i];
		if (entry->tag == IPCFS_ACL_USER && entry->id == caller->uid)
			return (struct answer){ IPCFS_BY_NAMED_USER, entry->perm & mask };
	}
	return by_groups(question, caller, mask, unloaded);
}

static struct answer decide(const struct ipcfs_question *question,
			    const struct ipcfs_caller *caller, bool unloaded)
{
	if (ipcfs_access_is_owner(question->rule, question->perm, caller))
		return (struct answer){ IPCFS_BY_OWNER, question->perm->mode >> 6 };
	if (question->acl && question->acl->count)
		return by_list(question, caller, unloaded);
	return by_mode(question, caller, unloaded);
}

/*
 * Returns the capabilities that count for the object. For a file they count if it has ids in the
 * caller's user namespace.
 */
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
	bool unloaded = !caller->loaded && load;
	struct answer found = decide(question, caller, unloaded);

	/* A capability may override any refusal, so a refusal is not certain before loading. */
	if (unloaded && !grants(question, &found)) {
		int err = load(caller);

		if (err) {
			*reason = IPCFS_BY_NOTHING;
			return err;
		}
		found = decide(question, caller, false);
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
