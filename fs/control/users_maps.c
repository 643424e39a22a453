/* SPDX-License-Identifier: MIT */
#include "fs/control/users_maps.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#define SEGMENT "/SYSV"
#define KEY_DIGITS 8

/* Tells whether a path, which may be cut off, is that of a System V segment: /SYSV and its key. */
static bool is_segment(const char *path)
{
	const char *key = path + strlen(SEGMENT);

	if (strncmp(path, SEGMENT, strlen(SEGMENT)) != 0)
		return false;
	for (size_t i = 0; i < KEY_DIGITS; i++)
		if (!isxdigit((unsigned char)key[i]))
			return false;
	return key[KEY_DIGITS] == ' ' || key[KEY_DIGITS] == '\0';
}

/* Parses a line without its newline. False: it is no mapping of a file. */
static bool parse(const char *line, struct ipcfs_mapping *mapping)
{
	unsigned long long inode;
	unsigned major, minor;
	int path = 0;

	if (sscanf(line, "%*[0-9a-f]-%*[0-9a-f] %*4s %*[0-9a-f] %8x:%8x %20llu %n", &major, &minor,
		   &inode, &path) != 3)
		return false;
	*mapping = (struct ipcfs_mapping){
		.device = makedev(major, minor),
		.inode = inode,
		.attached = path && is_segment(line + path),
	};
	return inode || mapping->attached; /* a segment's id may be 0 */
}

int ipcfs_maps_feed(struct ipcfs_maps *maps, const char *bytes, size_t size,
		    int (*each)(void *arg, const struct ipcfs_mapping *mapping), void *arg)
{
	int result = 0;

	for (size_t i = 0; !result && i < size; i++) {
		struct ipcfs_mapping mapping;

		if (bytes[i] != '\n') {
			if (maps->size < sizeof(maps->line) - 1)
				maps->line[maps->size++] = bytes[i];
			continue;
		}
		maps->line[maps->size] = '\0';
		maps->size = 0;
		if (parse(maps->line, &mapping))
			result = each(arg, &mapping);
	}
	return result;
}
