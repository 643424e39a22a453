/* SPDX-License-Identifier: MIT */
#include "fs/daemon/amqp_url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"
#define PORT_MAX 65535
#define HOST_SIZE 256

bool ipcfs_amqp_host_is_loopback(const char *host)
{
	struct in_addr address; /* else 127.example.net would be one */

	return !strcmp(host, "localhost") || !strcmp(host, "::1") ||
	       (!strncmp(host, "127.", 4) && inet_pton(AF_INET, host, &address) == 1);
}

/* Copies the host of a URL, which is in brackets if it has colons. Returns what is behind it. */
static const char *take_host(const char *url, char host[HOST_SIZE])
{
	const char *start = strstr(url, "://"), *letters = LETTERS;
	bool brackets;
	size_t size;

	start = start ? start + 3 : "";
	brackets = *start == '[';
	start += brackets;
	if (brackets)
		letters = "0123456789abcdefABCDEF.:";
	size = strspn(start, letters);
	if (size >= HOST_SIZE || (brackets && start[size] != ']'))
		size = 0;
	memcpy(host, start, size);
	host[size] = '\0';
	return start + size + (size && brackets);
}

/* Returns what is behind the port, if there is one. NULL: it is malformed. */
static const char *pass_port(const char *text)
{
	char *end;
	unsigned long port;

	if (*text != ':')
		return text;
	if (text[1] < '0' || text[1] > '9')
		return NULL;
	port = strtoul(text + 1, &end, 10);
	return port > 0 && port <= PORT_MAX ? end : NULL;
}

bool ipcfs_amqp_url_check(const char *url)
{
	char host[HOST_SIZE];
	const char *rest;

	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		return false;
	rest = take_host(url, host);
	rest = *host ? pass_port(rest) : NULL;
	if (!rest || (*rest && *rest != '/'))
		return false;
	return !rest[strspn(rest, LETTERS "/")] && (!*rest || rest[strlen(rest) - 1] != '/');
}

bool ipcfs_amqp_url_is_open(const char *url)
{
	char host[HOST_SIZE];

	(void)take_host(url, host);
	return !strncmp(url, "http:", 5) && !ipcfs_amqp_host_is_loopback(host);
}
