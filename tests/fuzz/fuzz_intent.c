/* SPDX-License-Identifier: MIT */
/* What is written into the files of semaphores: anything, and no more than what it says is done. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/intent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX 32767

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
	struct ipcfs_text list = { 0 };
	const char *bytes = (const char *)data;
	uint32_t number = 0;
	int result;

	result = ipcfs_intent_amount(bytes, size, MAX, &number);
	is_answer(result);
	require(result || (number > 0 && number <= MAX));

	result = ipcfs_intent_value(bytes, size, MAX, &number);
	is_answer(result);
	require(result || number <= MAX);

	result = ipcfs_intent_values(bytes, size, MAX, &list);
	is_answer(result);
	for (size_t i = 0; i < list.size / sizeof(uint32_t); i++)
		require(((const uint32_t *)(const void *)list.data)[i] <= MAX);
	require(list.size / sizeof(uint32_t) <= size);
	ipcfs_text_cut(&list, 0);

	result = ipcfs_intent_ops(bytes, size, &list);
	is_answer(result);
	require(result || list.size > 0);
	require(list.size / sizeof(struct ipcfs_semaphore_op) <= size);
	ipcfs_text_free(&list);
	return 0;
}
