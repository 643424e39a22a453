/* SPDX-License-Identifier: MIT */
/* Directories. Their names are found at READDIR, page by page. */
#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>

#include "fs/access/access.h"
#include "fs/access/caller.h"
#include "fs/base/answered.h"
#include "fs/base/clock.h"
#include "fs/ops/file_groups.h"
#include "fs/ops/ops.h"
#include "fs/request/file_check.h"
#include "fs/request/file_saved.h"
#include "fs/request/judge.h"
#include "fs/request/reply.h"
#include "fs/tree/attr.h"
#include "fs/tree/listing.h"
#include "fs/tree/tree.h"

#define PAGE_NS (5 * 1000 * 1000) /* ns: an answer goes with the entries that it has by then */

/*
 * Loads the opener's groups and capabilities where they decide which entries there are: each
 * READDIR is answered for the opener, which may be gone by then. -ENOMEM.
 */
static int load_opener(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	if (file->key.kind != IPCFS_NODE_NAMESPACES &&
	    !atomic_load_explicit(&fs->gate.hides, memory_order_relaxed))
		return 0;
	return ipcfs_caller_load(&file->opener);
}

/* Gives the open file a listing. -ENOMEM. */
static int begin_listing(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	struct ipcfs_listing *listing = malloc(sizeof(*listing));
	int err;

	if (!listing)
		return -ENOMEM;
	ipcfs_listing_init(listing);
	file->directory.listing = listing;
	atomic_init(&file->directory.users, 1);
	err = load_opener(fs, file);
	return err ? err : ipcfs_file_charge(fs, file); /* with its groups */
}

void ipcfs_op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_node *node = ipcfs_node_at(&fs->nodes, ino);
	struct ipcfs_file *file;
	int err = 0;

	if (!node || !S_ISDIR(ipcfs_attr_type(&node->key)))
		err = -ESTALE;
	else if (node->key.object)
		err = ipcfs_judge_node(req, IPCFS_AUDIT_LIST, node, IPCFS_WANT_READ);
	if (!err)
		err = ipcfs_file_new(fs, req, node, fi->flags, &file);
	if (err) {
		ipcfs_reply_error(req, err);
		return;
	}
	err = begin_listing(fs, file);
	if (!err) {
		fi->fh = file->number;
		file->opened = true;
		ipcfs_file_save(fs, file);
		if (fuse_reply_open(req, fi) != -ENOENT)
			return;
	} else {
		ipcfs_reply_error(req, err);
	}
	ipcfs_file_free(fs, file);
}

int ipcfs_op_reopen(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	const struct ipcfs_file_ops *ops = ipcfs_ops_of(file->key.kind);

	if (S_ISDIR(ipcfs_file_kinds[file->key.kind].type))
		return begin_listing(fs, file); /* the names are found again, up to where it was */
	return ops->reopen ? ops->reopen(fs, file) : -ESTALE;
}

/* The answer to one readdir or readdirplus (`plus`), which is filled with entries of a listing. */
struct page {
	fuse_req_t req;
	struct ipcfs_lister lister;
	bool plus;
	char *bytes;
	size_t size, used;
	size_t next; /* index of the next entry of the listing */
	bool full;   /* nothing more goes into this page, or there is nothing more */
};

/* Adds an entry, if there is room for it. Returns the entry's size. */
static size_t add_plain(struct page *page, const struct ipcfs_listing_entry *entry)
{
	struct stat st = { .st_ino = entry->ino, .st_mode = entry->type };

	return fuse_add_direntry(page->req, page->bytes + page->used, page->size - page->used,
				 entry->name, &st, (off_t)page->next + 1);
}

/* Adds an entry with the attributes that a lookup would give, so that `ls -l` needs no lookups. */
static size_t add_plus(struct page *page, const struct ipcfs_listing_entry *entry)
{
	struct ipcfs_filesystem *fs = page->lister.fs;
	const struct ipcfs_node *directory = page->lister.directory;
	struct fuse_entry_param param = {
		.attr = { .st_ino = entry->ino, .st_mode = entry->type },
	};
	size_t capacity = page->size - page->used, size;
	struct ipcfs_entry found = { 0 };

	if (entry->has_info && directory->key.kind == IPCFS_NODE_CLASS) {
		found.info = entry->info;
		if (ipcfs_tree_object(fs, directory, &found.info, entry->name,
				      fuse_req_ctx(page->req)->uid, &found.node) == 0)
			ipcfs_reply_fill_entry(fs, &found, true, &param);
	}
	size = fuse_add_direntry_plus(page->req, page->bytes + page->used, capacity, entry->name,
				      &param, (off_t)page->next + 1);
	if (size > capacity && param.ino)
		ipcfs_node_forget(&fs->nodes, param.ino, 1);
	return size;
}

/* Forgets the nodes of a page of readdirplus that the kernel has not got. */
static void forget_page(const struct page *page)
{
	size_t at = 0;

	while (at < page->used) {
		const struct fuse_direntplus *entry = (const void *)(page->bytes + at);

		if (entry->entry_out.nodeid)
			ipcfs_node_forget(&page->lister.fs->nodes, entry->entry_out.nodeid, 1);
		at += FUSE_DIRENTPLUS_SIZE(entry);
	}
}

/* Adds the next entry of the listing to the page, if it has not gone since. */
static int add_next(struct page *page)
{
	struct ipcfs_listing_entry entry;
	int err = ipcfs_listing_entry(&page->lister, page->next, page->plus, &entry);
	size_t size;

	if (err && err != -ENOENT)
		return err;
	if (!err) {
		size = page->plus ? add_plus(page, &entry) : add_plain(page, &entry);
		page->full = size > page->size - page->used;
		if (page->full)
			return 0;
		page->used += size;
	}
	page->next++;
	return 0;
}

/* Finds more names. -ENOMEM: also if the opener can't pay for them; the listing is empty then. */
static int find_more(struct page *page, struct ipcfs_file *file)
{
	struct ipcfs_listing *listing = page->lister.listing;
	int err = ipcfs_listing_more(&page->lister);

	if (err || !ipcfs_file_charge(page->lister.fs, file))
		return err;
	ipcfs_listing_free(listing);
	ipcfs_listing_init(listing);
	listing->complete = true;
	listing->error = -ENOMEM;
	if (page->plus)
		forget_page(page);
	page->used = 0;
	(void)ipcfs_file_charge(page->lister.fs, file); /* fewer bytes never fail */
	return -ENOMEM;
}

/* Adds entries until the page is full, or for a few ms. Call with the lock of the file held. */
static int add_entries(struct page *page, struct ipcfs_file *file)
{
	struct ipcfs_listing *listing = page->lister.listing;
	uint64_t end = ipcfs_clock_ns() + PAGE_NS;
	int err = 0;

	while (!err && !page->full && ipcfs_clock_ns() < end) {
		if (page->next < ipcfs_listing_count(listing))
			err = add_next(page);
		else if (listing->complete && !listing->error)
			page->full = true;
		else
			err = find_more(page, file);
	}
	/* entries that are there go first: the next READDIR tells of the error */
	return page->used ? 0 : err;
}

/*
 * Adds an entry that readers pass by: "." without an inode number. The C library leaves it out, and
 * programs that see it leave "." out. The next READDIR goes on at page->next.
 */
static void add_filler(struct page *page)
{
	const struct stat none = { .st_mode = S_IFDIR };
	const struct fuse_entry_param param = { .attr = none };
	size_t size = page->plus ? fuse_add_direntry_plus(page->req, page->bytes, page->size, ".",
							  &param, (off_t)page->next)
				 : fuse_add_direntry(page->req, page->bytes, page->size, ".", &none,
						     (off_t)page->next);

	if (size <= page->size) /* the kernel asks for at least a page */
		page->used = size;
}

/*
 * Fills the page. One without an entry ends the directory, so where all objects of a few ms are
 * hidden or gone, an entry that nobody sees goes out. Not at the beginning, where an offset of 0
 * would begin anew; the directory's own entries come first there.
 */
static int fill_page(struct page *page, struct ipcfs_file *file)
{
	struct ipcfs_caller now;
	int err;

	page->lister.caller = ipcfs_file_enter_opener(file, &now);
	do {
		err = add_entries(page, file);
	} while (!err && !page->next && !page->full);
	ipcfs_file_leave_opener(file, page->lister.caller);
	if (!err && !page->used && !page->full)
		add_filler(page);
	return err;
}

/*
 * Ends a use of the open directory, and frees it after the last one. A READDIR that is held up may
 * have been answered (session), and the directory be closed before the READDIR ends.
 */
static void leave_directory(struct ipcfs_filesystem *fs, struct ipcfs_file *file)
{
	if (atomic_fetch_sub(&file->directory.users, 1) == 1)
		ipcfs_file_free(fs, file);
}

/* Answers readdir, or readdirplus (`plus`). At offset 0 the directory is read anew. */
static void read_directory(fuse_req_t req, struct ipcfs_file *file, size_t size, off_t offset,
			   bool plus)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_listing *listing = file->directory.listing;
	struct page page = {
		.req = req,
		.lister = { .fs = fs,
			    .directory = ipcfs_node_at(&fs->nodes, file->node),
			    .listing = listing },
		.plus = plus,
		.size = size,
		.next = (size_t)offset,
	};
	int err;

	atomic_fetch_add(&file->directory.users, 1);
	ipcfs_answered_allow();
	err = ipcfs_file_admitted(fs, file, fuse_req_ctx(req)->pid);
	if (!err) {
		page.bytes = malloc(size);
		err = page.bytes ? 0 : -ENOMEM;
	}
	if (!err && offset == 0) {
		pthread_mutex_lock(&file->lock);
		ipcfs_listing_free(listing);
		ipcfs_listing_init(listing);
		pthread_mutex_unlock(&file->lock);
	}
	if (!err)
		err = fill_page(&page, file);
	if (err)
		ipcfs_reply_error(req, err);
	else if (ipcfs_reply_bytes(req, page.bytes, page.used) == -ENOENT && plus)
		forget_page(&page);
	free(page.bytes);
	leave_directory(fs, file);
}

void ipcfs_op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		      struct fuse_file_info *fi)
{
	struct ipcfs_file *file = ipcfs_file_at(ipcfs_of(req), fi->fh, ino, true);

	if (file)
		read_directory(req, file, size, offset, false);
	else
		ipcfs_reply_error(req, -ESTALE);
}

void ipcfs_op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			  struct fuse_file_info *fi)
{
	struct ipcfs_file *file = ipcfs_file_at(ipcfs_of(req), fi->fh, ino, true);

	if (file)
		read_directory(req, file, size, offset, true);
	else
		ipcfs_reply_error(req, -ESTALE);
}

void ipcfs_op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ipcfs_filesystem *fs = ipcfs_of(req);
	struct ipcfs_file *file = ipcfs_file_at(fs, fi->fh, ino, true);

	if (file)
		leave_directory(fs, file);
	ipcfs_reply_error(req, 0);
}
