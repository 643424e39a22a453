/* SPDX-License-Identifier: MIT */
#include "number.h"

#include <errno.h>
#include <limits.h>

#define READ_WRITE_BITS 0666

/* Nothing but digits. A number that is too big is only that (-ERANGE) if all of it is digits. */
static int digits_parse(const char *text, size_t size, unsigned base, uint64_t *value)
{
	uint64_t sum = 0;
	bool too_big = false;

	if (size == 0)
		return -EINVAL;
	for (size_t i = 0; i < size; i++) {
		unsigned digit = (unsigned char)text[i] - (unsigned)'0';

		if (digit >= base)
			return -EINVAL;
		if (__builtin_mul_overflow(sum, base, &sum) ||
		    __builtin_add_overflow(sum, digit, &sum))
			too_big = true;
	}
	if (too_big)
		return -ERANGE;
	*value = sum;
	return 0;
}

int ipcfs_number_parse(const char *text, size_t size, long min, long max, long *value)
{
	bool negative = size > 0 && text[0] == '-';
	uint64_t magnitude, most = LONG_MAX;
	long number;
	int err;

	if (negative) {
		text++;
		size--;
		most++;
	}
	/* "-0", too, would be a second spelling. */
	if (size > 0 && text[0] == '0' && (size > 1 || negative))
		return -EINVAL;
	err = digits_parse(text, size, 10, &magnitude);
	if (err)
		return err;
	if (magnitude > most)
		return -ERANGE;
	/* In two steps: the magnitude of LONG_MIN is no long. */
	number = negative ? -(long)(magnitude - 1) - 1 : (long)magnitude;
	if (number < min || number > max)
		return -ERANGE;
	*value = number;
	return 0;
}

/* How many times a suffix doubles the number; 0: it is none. */
static unsigned suffix_shift(char suffix)
{
	switch (suffix) {
	case 'K':
		return 10;
	case 'M':
		return 20;
	case 'G':
		return 30;
	case 'T':
		return 40;
	default:
		return 0;
	}
}

int ipcfs_size_parse(const char *text, size_t size, uint64_t max, uint64_t *value)
{
	unsigned shift = size > 0 ? suffix_shift(text[size - 1]) : 0;
	uint64_t number;
	int err;

	err = digits_parse(text, size - (shift > 0), 10, &number);
	if (err)
		return err;
	if (number > max >> shift)
		return -ERANGE;
	*value = number << shift;
	return 0;
}

int ipcfs_mode_parse(const char *text, size_t size, mode_t *mode)
{
	uint64_t bits;

	if (digits_parse(text, size, 8, &bits) || bits & ~(uint64_t)READ_WRITE_BITS)
		return -EINVAL;
	*mode = (mode_t)bits;
	return 0;
}
