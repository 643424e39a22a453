/* SPDX-License-Identifier: MIT */
/* Numbers, sizes and modes as users write them, and the names that each class takes. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/contract/contract.h"
#include "fs/base/number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		__builtin_trap();
}

/* A number has one spelling, that of printf. */
static void check_number(const char *text, size_t size)
{
	long value, other;
	char again[32];
	int result = ipcfs_number_parse(text, size, LONG_MIN, LONG_MAX, &value);

	require(result == 0 || result == -EINVAL || result == -ERANGE);
	if (result)
		return;
	require((size_t)snprintf(again, sizeof(again), "%ld", value) == size);
	require(!memcmp(again, text, size));
	require(ipcfs_number_parse(text, size, value, value, &other) == 0 && other == value);
	if (value < LONG_MAX)
		require(ipcfs_number_parse(text, size, value + 1, LONG_MAX, &other) == -ERANGE);
	if (value > LONG_MIN)
		require(ipcfs_number_parse(text, size, LONG_MIN, value - 1, &other) == -ERANGE);
}

static void check_size(const char *text, size_t size)
{
	uint64_t value, other;
	char again[32];
	int result = ipcfs_size_parse(text, size, UINT64_MAX, &value), length;

	require(result == 0 || result == -EINVAL || result == -ERANGE);
	if (result)
		return;
	length = snprintf(again, sizeof(again), "%llu", (unsigned long long)value);
	require(ipcfs_size_parse(again, (size_t)length, UINT64_MAX, &other) == 0 && other == value);
	require(ipcfs_size_parse(text, size, value, &other) == 0 && other == value);
	if (value > 0)
		require(ipcfs_size_parse(text, size, value - 1, &other) == -ERANGE);
}

static void check_mode(const char *text, size_t size)
{
	mode_t mode, other;
	char again[32];
	int result = ipcfs_mode_parse(text, size, &mode), length;

	require(result == 0 || result == -EINVAL);
	if (result)
		return;
	require(!(mode & ~0666U));
	length = snprintf(again, sizeof(again), "%04o", (unsigned)mode);
	require(ipcfs_mode_parse(again, (size_t)length, &other) == 0 && other == mode);
}

/* No class takes a name that cannot be a file's. */
static void check_names(const char *name)
{
	for (const struct ipcfs_class *const *at = ipcfs_classes; *at; at++) {
		int result = (*at)->check_name(name);

		require(result == 0 || result == -EINVAL || result == -ENAMETOOLONG);
		if (result)
			continue;
		require(*name && strlen(name) <= NAME_MAX && !strchr(name, '/'));
		require(strcmp(name, ".") && strcmp(name, ".."));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	char *name = malloc(size + 1);

	check_number(text, size);
	check_size(text, size);
	check_mode(text, size);
	if (name) {
		if (size)
			memcpy(name, data, size);
		name[size] = '\0';
		check_names(name);
	}
	free(name);
	return 0;
}
