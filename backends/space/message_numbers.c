/* SPDX-License-Identifier: MIT */
#include "backends/space/message_numbers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/space/message_sender.h"

#define FIRST IPCFS_MESSAGE_SENDER_FIRST

/* Has an array of items of `size` bytes an item `index`. New items are zeros. -ENOMEM. */
static int grow(void **items, size_t *count, size_t index, size_t size)
{
	size_t more = index + 1 + index / 2;
	void *grown;

	if (index < *count)
		return 0;
	grown = reallocarray(*items, more, size);
	if (!grown)
		return -ENOMEM;
	memset((char *)grown + *count * size, 0, (more - *count) * size);
	*items = grown;
	*count = more;
	return 0;
}

static int know_number(struct ipcfs_message_numbers *numbers, int number)
{
	void *items = numbers->queues;
	int err = grow(&items, &numbers->size, (size_t)number, sizeof(*numbers->queues));

	numbers->queues = items;
	return err;
}

static int know_handle(struct ipcfs_message_numbers *numbers, int handle)
{
	void *items = numbers->by_handle;
	int err = grow(&items, &numbers->handles, (size_t)handle, sizeof(*numbers->by_handle));

	numbers->by_handle = items;
	return err;
}

int ipcfs_message_number_of(const struct ipcfs_message_numbers *numbers, int handle)
{
	return (size_t)handle < numbers->handles ? numbers->by_handle[handle] : 0;
}

struct ipcfs_message_queue *ipcfs_message_number_at(const struct ipcfs_message_numbers *numbers,
						    int number)
{
	return &numbers->queues[number];
}

int ipcfs_message_number_new(struct ipcfs_message_numbers *numbers, int handle, int *number)
{
	int free = FIRST, err;

	while ((size_t)free < numbers->size && numbers->queues[free].used)
		free++;
	err = know_number(numbers, free);
	if (!err)
		err = know_handle(numbers, handle);
	if (err)
		return err;
	numbers->queues[free] = (struct ipcfs_message_queue){ .used = true, .handle = handle };
	numbers->by_handle[handle] = free;
	*number = free;
	return 0;
}

int ipcfs_message_number_left(struct ipcfs_message_numbers *numbers, int number)
{
	int err = know_number(numbers, number);

	if (!err && !numbers->queues[number].used)
		numbers->queues[number] = (struct ipcfs_message_queue){ .used = true,
									.handle = -1 };
	return err;
}

int ipcfs_message_number_attach(struct ipcfs_message_numbers *numbers, int number, int handle)
{
	int err = know_handle(numbers, handle);

	if (err || numbers->by_handle[handle] || numbers->queues[number].handle >= 0)
		return err;
	numbers->by_handle[handle] = number;
	numbers->queues[number].handle = handle;
	return 0;
}

void ipcfs_message_number_free(struct ipcfs_message_numbers *numbers, int number)
{
	struct ipcfs_message_queue *queue = &numbers->queues[number];

	if (queue->handle >= 0)
		numbers->by_handle[queue->handle] = 0;
	*queue = (struct ipcfs_message_queue){ 0 };
}

void ipcfs_message_numbers_free(struct ipcfs_message_numbers *numbers)
{
	free(numbers->queues);
	free(numbers->by_handle);
	*numbers = (struct ipcfs_message_numbers){ 0 };
}
