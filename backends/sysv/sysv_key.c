/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "backends/sysv/sysv_key.h"

/* isxdigit(3) would depend on the locale. */
static int hex_digit(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	if (byte >= 'a' && byte <= 'f')
		return byte - 'a' + 10;
	if (byte >= 'A' && byte <= 'F')
		return byte - 'A' + 10;
	return -1;
}

int ipcfs_sysv_key_parse(const char *name, uint32_t *key)
{
	uint32_t value = 0;

	if (name[0] != '0' || (name[1] != 'x' && name[1] != 'X'))
		return -EINVAL;
	for (name += 2; *name; name++) {
		int digit = hex_digit(*name);

		if (digit < 0 || value >> 28)
			return -EINVAL;
		value = value << 4 | (uint32_t)digit;
	}
	if (!value)
		return -EINVAL;
	*key = value;
	return 0;
}

int ipcfs_sysv_id_parse(const char *name, int *id)
{
	bool leading_zero = name[0] == '0' && name[1];
	int value = 0;

	if (!*name || leading_zero)
		return -EINVAL;
	for (; *name; name++) {
		int digit = *name - '0';

		if (digit < 0 || digit > 9)
			return -EINVAL;
		if (value > (INT_MAX - digit) / 10)
			return -EINVAL;
		value = value * 10 + digit;
	}
	*id = value;
	return 0;
}

void ipcfs_sysv_name(uint32_t key, int id, char name[NAME_MAX + 1])
{
	if (key)
		(void)snprintf(name, NAME_MAX + 1, "0x%08x", key);
	else
		(void)snprintf(name, NAME_MAX + 1, "%d", id);
}

int ipcfs_sysv_name_check(const char *name)
{
	uint32_t key;

	if (strnlen(name, NAME_MAX + 1) > NAME_MAX)
		return -ENAMETOOLONG;
	if (!strcmp(name, IPCFS_SYSV_PRIVATE))
		return 0;
	return ipcfs_sysv_key_parse(name, &key);
}
