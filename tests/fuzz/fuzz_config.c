/* SPDX-License-Identifier: MIT */
/* Any configuration file: accepted values are in range, refused lines are explained. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/daemon/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		__builtin_trap();
}

static void check_ids(const struct ipcfs_ids *ids)
{
	require(ids->count <= 4096);
	for (size_t i = 1; i < ids->count; i++)
		require(ids->ids[i - 1] < ids->ids[i]);
	for (size_t i = 0; i < ids->count; i++)
		require(ids->ids[i] != UINT32_MAX && ipcfs_ids_have(ids, ids->ids[i]));
}

static unsigned count_lines(const char *text, size_t size)
{
	unsigned lines = 1;

	for (size_t i = 0; i < size; i++)
		lines += text[i] == '\n';
	return lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipcfs_config_error error = { 0 };
	struct ipcfs_settings settings, copy;
	/* nothing behind it may be read */
	char *text = malloc(size ? size : 1);
	int err;

	if (!text)
		return 0;
	memcpy(text, data, size);
	err = ipcfs_config_parse(text, size, &settings, &error);
	if (err)
		require(error.what[0] && error.line <= count_lines(text, size));
	require(settings.max_waiters >= 1 && settings.max_waiters <= 1000000);
	require(settings.max_waiters_all >= 1 && settings.max_waiters_all <= 1000000);
	require(settings.max_objects <= 1000000 && settings.rate <= IPCFS_RATE_MAX);
	require(!settings.read_only);
	check_ids(&settings.allow_uid);
	check_ids(&settings.allow_gid);
	/* Only the text decides, not what was set before. */
	ipcfs_settings_init(&copy);
	if (ipcfs_settings_override(&copy, &settings) == 0)
		require(copy.rate == settings.rate && copy.hide == settings.hide &&
			copy.allow_uid.count == settings.allow_uid.count);
	ipcfs_settings_free(&copy);
	ipcfs_settings_free(&settings);
	free(text);
	return 0;
}
