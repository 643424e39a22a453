/* SPDX-License-Identifier: MIT */
#include "fs/base/number.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define READ_WRITE_BITS 0666
#define US_PER_SECOND ((uint64_t)1000 * 1000)

/*
 * Parses digits.
 *   -EINVAL: there is none, or another character, also in a number that is too large.
 *   -ERANGE: more than 64 bits.
 */
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
	/* "-0" would be a second spelling of 0. */
	if (size > 0 && text[0] == '0' && (size > 1 || negative))
		return -EINVAL;
	err = digits_parse(text, size, 10, &magnitude);
	if (err)
		return err;
	if (magnitude > most)
		return -ERANGE;
	/* In two steps: the magnitude of LONG_MIN does not fit into a long. */
	number = negative ? -(long)(magnitude - 1) - 1 : (long)magnitude;
	if (number < min || number > max)
		return -ERANGE;
	*value = number;
	return 0;
}

/* Returns the power of two that a suffix stands for. 0: it is no suffix. */
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

/* Parses the digits behind the point of a time, which are at least one. Returns *us. -EINVAL. */
static int fraction_parse(const char *text, size_t size, uint64_t *us)
{
	uint64_t scale = US_PER_SECOND;
	bool more = false;

	*us = 0;
	for (size_t i = 0; i < size; i++) {
		unsigned digit = (unsigned char)text[i] - (unsigned)'0';

		if (digit > 9)
			return -EINVAL;
		scale /= 10;
		*us += digit * scale;
		more |= !scale && digit;
	}
	*us += more;
	return size ? 0 : -EINVAL;
}

int ipcfs_seconds_parse(const char *text, size_t size, uint64_t max, uint64_t *us)
{
	const char *point = size ? memchr(text, '.', size) : NULL;
	size_t whole = point ? (size_t)(point - text) : size;
	uint64_t seconds, fraction = 0;
	int err = point ? fraction_parse(point + 1, size - whole - 1, &fraction) : 0;

	if (!err)
		err = digits_parse(text, whole, 10, &seconds);
	if (err)
		return err;
	if (seconds > max || (seconds == max && fraction))
		return -ERANGE;
	*us = seconds * US_PER_SECOND + fraction;
	return 0;
}

void ipcfs_seconds_text(uint64_t us, char text[IPCFS_SECONDS_SIZE])
{
	int size = snprintf(text, IPCFS_SECONDS_SIZE, "%" PRIu64 ".%06" PRIu64, us / US_PER_SECOND,
			    us % US_PER_SECOND);

	while (text[size - 1] == '0')
		text[--size] = '\0';
	if (text[size - 1] == '.')
		text[size - 1] = '\0';
}

int ipcfs_mode_parse(const char *text, size_t size, mode_t *mode)
{
	uint64_t bits;

	if (digits_parse(text, size, 8, &bits) || bits & ~(uint64_t)READ_WRITE_BITS)
		return -EINVAL;
	*mode = (mode_t)bits;
	return 0;
}
