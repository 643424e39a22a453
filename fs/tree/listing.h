/* SPDX-License-Identifier: MIT */
/*
 * Listings: the names in an open directory. They are found step by step, as they are asked for, and
 * a name keeps its place until the listing begins anew.
 */
#ifndef IPCFS_LISTING_H
#define IPCFS_LISTING_H

#include "fs/tree/state.h"

/* What is kept of a directory's entry. */
struct ipcfs_listing_name {
	uint64_t ino;  /* 0: of an object of a class */
	uint32_t name; /* offset of the name in names.data; the name ends with a NUL */
	mode_t type;   /* S_IFDIR, S_IFREG or S_IFLNK */
};

/* Guarded by the lock of its open file. All that grows is in `names` and `entries`. */
struct ipcfs_listing {
	struct ipcfs_text names;
	struct ipcfs_text entries; /* array of struct ipcfs_listing_name */
	struct ipcfs_walk walk;	   /* the directory of a class, or of by-id/ */
	uint64_t next;		   /* peek/: number of the next message; a set: of a semaphore */
	bool complete;		   /* all names are found, or an error ended it */
	int error;		   /* a negative errno; told behind the names; 0: none */
};

/* An entry for an answer to READDIR. */
struct ipcfs_listing_entry {
	const char *name; /* belongs to the listing, and ends with its next change */
	mode_t type;
	uint64_t ino;
	bool has_info; /* info is that of the object, in full if it was asked for */
	struct ipcfs_info info;
};

/* A listing, and whose it is. */
struct ipcfs_lister {
	struct ipcfs_filesystem *fs;
	const struct ipcfs_node *directory;
	struct ipcfs_caller *caller; /* the opener of the directory */
	struct ipcfs_listing *listing;
};

/* Initialises a listing without names. Free it with ipcfs_listing_free. */
void ipcfs_listing_init(struct ipcfs_listing *listing);
void ipcfs_listing_free(struct ipcfs_listing *listing);

/*
 * Finds some more names, in at most a few ms, unless the listing is complete. Begin with a fresh
 * listing.
 * -ESTALE: the object of the directory is gone.
 * -ENOMEM, and the errors of the class.
 */
int ipcfs_listing_more(const struct ipcfs_lister *lister);

/* Returns the bytes of memory that the listing fills. What is reserved behind them is unused. */
size_t ipcfs_listing_bytes(const struct ipcfs_listing *listing);

/* Returns the number of names that were found so far. */
size_t ipcfs_listing_count(const struct ipcfs_listing *listing);

/*
 * Returns an entry as it is now, with `full` for READDIRPLUS.
 * -ENOENT: the object was removed since, or is hidden from the caller.
 * -ENOMEM, and the errors of the class.
 */
int ipcfs_listing_entry(const struct ipcfs_lister *lister, size_t index, bool full,
			struct ipcfs_listing_entry *entry);

#endif
