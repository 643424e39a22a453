/* SPDX-License-Identifier: MIT */
/* Anything written to the files of semaphores: no more is done than it says. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/semaphore/semaphore_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX 32767
#define NAME "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.-"

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void is_answer(int result)
{
	require(result == 0 || result == -EINVAL || result == -ERANGE || result == -EFBIG);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ipcfs_monitor_request request;
	struct ipcfs_text list = { 0 };
	const char *bytes = (const char *)data;
	uint32_t number = 0;
	int result;

	result = ipcfs_semaphore_parse_amount(bytes, size, MAX, &number);
	is_answer(result);
	require(result || (number > 0 && number <= MAX));

	result = ipcfs_semaphore_parse_value(bytes, size, MAX, &number);
	is_answer(result);
	require(result || number <= MAX);

	result = ipcfs_semaphore_parse_values(bytes, size, MAX, &list);
	is_answer(result);
	for (size_t i = 0; i < list.size / sizeof(uint32_t); i++)
		require(((const uint32_t *)(const void *)list.data)[i] <= MAX);
	require(list.size / sizeof(uint32_t) <= size);
	ipcfs_text_cut(&list, 0);

	result = ipcfs_semaphore_parse_ops(bytes, size, &list);
	is_answer(result);
	require(result || list.size > 0);
	require(list.size / sizeof(struct ipcfs_semaphore_op) <= size);
	ipcfs_text_free(&list);

	result = ipcfs_semaphore_parse_verb(bytes, size, &request);
	is_answer(result);
	require(result || (request.verb <= IPCFS_MONITOR_ENTER && request.count > 0));
	require(result || strspn(request.condition, NAME) == strlen(request.condition));
	return 0;
}
