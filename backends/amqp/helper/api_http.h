/* SPDX-License-Identifier: MIT */
/* Requests of ipcfs-amqp-api to the management API of a broker. */
#ifndef IPCFS_AMQP_API_HTTP_H
#define IPCFS_AMQP_API_HTTP_H

#include <curl/curl.h>
#include <stddef.h>

#include "backends/amqp/helper/process.h"

struct ipcfs_amqp_api {
	CURL *curl;
	struct curl_slist *addresses;
	char *queues; /* URL of the queues of the virtual host */
	char *answer; /* to the last request */
	size_t size;  /* of that, bytes */
	int error;    /* why the program ends; 0: it does not */
	char reason[IPCFS_AMQP_REASON_SIZE];
	char curl_reason[CURL_ERROR_SIZE];
};

/* Has the program end. The first call counts. reason: of any bytes. */
void ipcfs_amqp_api_fail(struct ipcfs_amqp_api *api, int error, const char *reason);

/*
 * Takes the strings of the record API: reads the files that it names, becomes its user and looks
 * up the host's addresses. Afterwards nothing is opened but connections. Fails the program if one
 * of these fails.
 */
void ipcfs_amqp_api_open(struct ipcfs_amqp_api *api, const char *const *login);

/*
 * Gets the URL of the queues with `more` behind it, in two seconds at most. Returns the status of
 * HTTP, with the answer in *api. 0: there is no answer, or the user is refused; the program fails.
 */
long ipcfs_amqp_api_get(struct ipcfs_amqp_api *api, const char *more);

/* Returns bytes as part of a URL, to be freed by curl_free. NULL: no memory; the program fails. */
char *ipcfs_amqp_api_escape(struct ipcfs_amqp_api *api, const char *bytes, size_t size);

#endif
