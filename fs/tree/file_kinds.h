/* SPDX-License-Identifier: MIT */
/*
 * The table of files: for each kind of file its name, the directories in which it stands, the
 * classes that have it, its mode and its traits. Pure.
 */
#ifndef IPCFS_FILE_KINDS_H
#define IPCFS_FILE_KINDS_H

#include "backends/contract/contract.h"

/*
 * The kind of a node: an index into ipcfs_file_kinds. A directory lists its files in this
 * order. "selector" and "detail" are those of struct ipcfs_node_key.
 */
enum ipcfs_node_kind {
	IPCFS_NODE_NONE,
	/* above the namespaces; only in a mount with -o namespaces */
	IPCFS_NODE_ROOT,
	IPCFS_NODE_NAMESPACES, /* ns/ */
	IPCFS_NODE_PROCESSES,  /* pid/ */
	IPCFS_NODE_PROCESS,    /* pid/PID; selector: the namespace's inode number, detail: PID */
	IPCFS_NODE_SELF,       /* self, a link to the caller's own namespace */
	IPCFS_NODE_INTO_SELF,  /* links create, limits, ...; selector: the target's kind */
	/* the fixed part of one namespace: what it has without any object */
	IPCFS_NODE_TREE, /* its root */
	IPCFS_NODE_CREATE,
	IPCFS_NODE_LIMITS,
	IPCFS_NODE_LIMIT, /* selector: index into ipcfs_limits */
	IPCFS_NODE_OBJECTS,
	IPCFS_NODE_METRICS,
	IPCFS_NODE_EVENTS,
	IPCFS_NODE_POSIX,
	IPCFS_NODE_SYSV,
	IPCFS_NODE_AMQP, /* only where there is a connection to a broker */
	IPCFS_NODE_AMQP_STATUS,
	IPCFS_NODE_CLASS, /* posix/mq/ and so on; the key's class says which */
	IPCFS_NODE_BY_ID,
	IPCFS_NODE_IDS, /* by-id/CLASS/ */
	/* the files of an object */
	IPCFS_NODE_ID_LINK, /* by-id/CLASS/ID */
	IPCFS_NODE_OBJECT,
	IPCFS_NODE_TYPES,      /* type/ */
	IPCFS_NODE_PRIORITIES, /* prio/ */
	IPCFS_NODE_SELECTED,   /* type/N/ or prio/N/; selector: N, as in the files below it */
	IPCFS_NODE_WITHIN,     /* within/; detail: the kind of the directory that it stands in */
	IPCFS_NODE_TIMED,      /* within/SECONDS/; detail: as of within/ */
	IPCFS_NODE_MSG,
	IPCFS_NODE_LINES,
	IPCFS_NODE_TAGGED,
	IPCFS_NODE_PACKETS,
	IPCFS_NODE_RECORDS,
	IPCFS_NODE_LEASE,
	IPCFS_NODE_DRAIN,
	IPCFS_NODE_STATUS,
	IPCFS_NODE_USERS,
	IPCFS_NODE_MAX_BYTES, /* qbytes */
	IPCFS_NODE_PEEKS,     /* peek/ */
	IPCFS_NODE_PEEK,      /* peek/INDEX.TYPE; selector: INDEX, detail: TYPE */
	IPCFS_NODE_DATA,      /* the bytes of a segment */
	/* of one semaphore; selector: its number in the set */
	IPCFS_NODE_SEMAPHORE, /* N/ of a set */
	IPCFS_NODE_VALUE,
	IPCFS_NODE_WAIT,
	IPCFS_NODE_TRYWAIT,
	IPCFS_NODE_POST,
	IPCFS_NODE_ZERO,
	IPCFS_NODE_HOLD,
	IPCFS_NODE_TRYHOLD,
	IPCFS_NODE_MONITOR,
	/* of a whole set */
	IPCFS_NODE_VALUES,
	IPCFS_NODE_OP,
	IPCFS_NODE_KINDS /* the number of kinds */
};

/* The files that one struct ipcfs_file_ops handles. */
enum ipcfs_file_group {
	IPCFS_GROUP_NONE, /* of directories and links */
	IPCFS_GROUP_QUEUE,
	IPCFS_GROUP_SEMAPHORE,
	IPCFS_GROUP_SEGMENT,
	IPCFS_GROUP_CONTROL,
	IPCFS_GROUP_EVENTS,
	IPCFS_GROUPS /* the number of groups */
};

/*
 * The parts that a class may have. A file stands in the directories of the classes that have all
 * that it needs.
 */
enum ipcfs_class_part {
	IPCFS_HAS_QUEUE = 1 << 0,
	IPCFS_HAS_TYPES = 1 << 1,      /* messages can be received by type: type/ */
	IPCFS_HAS_PRIORITIES = 1 << 2, /* messages have priorities: prio/ */
	IPCFS_HAS_PEEK = 1 << 3,       /* queued messages can be copied: peek/ */
	IPCFS_HAS_MAX_BYTES = 1 << 4,  /* qbytes can be set */
	IPCFS_HAS_SEGMENT = 1 << 5,
	IPCFS_HAS_SETS = 1 << 6,	  /* an object is a set of semaphores */
	IPCFS_HAS_ONE_SEMAPHORE = 1 << 7, /* an object is one semaphore */
	IPCFS_HAS_WAITS = 1 << 8,	  /* calls may wait: within/ */
	IPCFS_HAS_LEASES = 1 << 9,	  /* taken messages can be kept: lease */
};

/* Flags of a kind of file. */
enum ipcfs_file_trait {
	/* stat(2) shows size 0, whatever a read would give */
	IPCFS_FILE_SIZELESS = 1 << 0,
	/* stat(2) shows info.size of the object */
	IPCFS_FILE_OBJECT_SIZE = 1 << 1,
	/* stat(2) shows the length of the text that a read would give */
	IPCFS_FILE_TEXT_SIZE = 1 << 2,
	/* reads and writes have no offset, and a byte is read once */
	IPCFS_FILE_STREAM = 1 << 3,
	/*
	 * A write may wait, in the daemon or for the memory that it writes from, which a FUSE file
	 * system may supply. Meanwhile the kernel holds the lock of the inode.
	 */
	IPCFS_FILE_WRITE_WAITS = 1 << 4,
	/* close(2) may send what was written: the kernel must send FLUSH */
	IPCFS_FILE_CLOSE_COMPLETES = 1 << 5,
	/* an open for writing takes the semaphore, and may wait for it */
	IPCFS_FILE_OPEN_TAKES = 1 << 6,
	/*
	 * The kernel judges each write by the credentials of the writer. They must not go beyond
	 * those of the opener.
	 */
	IPCFS_FILE_WRITER_JUDGED = 1 << 7,
	/* stat(2) shows a mode other than the object's */
	IPCFS_FILE_OWN_MODE = 1 << 8,
	/* requests on a node without an object are handled in its IPC namespace */
	IPCFS_FILE_IN_NAMESPACE = 1 << 9,
	/* a name may lead each caller to another node, or to none: the kernel must not cache it */
	IPCFS_FILE_PER_CALLER = 1 << 10,
	/* lookups and stat(2) require read permission on the object */
	IPCFS_FILE_READERS_ONLY = 1 << 11,
	/* a wait may have an end: the file stands in within/SECONDS/, too */
	IPCFS_FILE_TIMED = 1 << 12,
	/*
	 * the name leads to the same node as long as the directory lives: the kernel may cache it
	 */
	IPCFS_FILE_NAME_STAYS = 1 << 13,
	/*
	 * A write needs the right to read the object. stat(2) shows `w` where the object has `r`,
	 * so the file can't be used to change mode or list.
	 */
	IPCFS_FILE_READERS_WRITE = 1 << 14,
};

/* A directory in which a file stands, and what the class of the object must have. */
struct ipcfs_file_place {
	enum ipcfs_node_kind directory; /* IPCFS_NODE_NONE: this place is not used */
	unsigned needs;			/* IPCFS_HAS_*, or'ed */
};

#define IPCFS_FILE_PLACES 3

/* A row of the table. */
struct ipcfs_file_kind {
	const char *name; /* NULL: the files of this kind have names of their own */
	struct ipcfs_file_place places[IPCFS_FILE_PLACES];
	enum ipcfs_file_group group;
	mode_t type; /* S_IFDIR, S_IFREG or S_IFLNK */
	/* The permission bits. A file of an object has those of them that the object's mode has. */
	mode_t mode;
	unsigned traits; /* IPCFS_FILE_*, or'ed */
};

/* The table; its index is enum ipcfs_node_kind. */
extern const struct ipcfs_file_kind ipcfs_file_kinds[IPCFS_NODE_KINDS];

/* Returns what a class has: IPCFS_HAS_*, or'ed. The class NULL has nothing. */
unsigned ipcfs_class_parts(const struct ipcfs_class *class);

/*
 * Returns whether a file of this kind stands in a directory of that kind. `parts` is what the
 * class of the directory's object has.
 */
bool ipcfs_file_kind_stands_in(enum ipcfs_node_kind kind, enum ipcfs_node_kind directory,
			       unsigned parts);

/* Returns whether files of this kind have the trait. */
static inline bool ipcfs_file_kind_has(enum ipcfs_node_kind kind, enum ipcfs_file_trait trait)
{
	return ipcfs_file_kinds[kind].traits & trait;
}

#endif
