/* SPDX-License-Identifier: MIT */
#include "backends/amqp/helper/api_http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "backends/contract/descriptor.h"

enum {
	ANSWER_MAX = 2 << 20, /* bytes of an answer */
	FILE_MAX = 4 << 20,   /* of a file of certificates */
	REQUEST_MS = 2000,
	URL_MAX = 2048,
	ADDRESSES_SIZE = 1024,
	UNAUTHORIZED = 401,
	FORBIDDEN = 403,
};

void ipcfs_amqp_api_fail(struct ipcfs_amqp_api *api, int error, const char *reason)
{
	if (api->error)
		return;
	api->error = error;
	(void)ipcfs_amqp_to_printable(reason, strlen(reason), api->reason, sizeof(api->reason));
}

static void set(struct ipcfs_amqp_api *api, CURLcode result)
{
	if (result != CURLE_OK)
		ipcfs_amqp_api_fail(api, -EINVAL, curl_easy_strerror(result));
}

/* Takes a part of an answer. For CURLOPT_WRITEFUNCTION: a smaller number ends the request. */
static size_t take_part(char *bytes, size_t one, size_t size, void *arg)
{
	struct ipcfs_amqp_api *api = arg;

	(void)one; /* it is 1 */
	if (size > ANSWER_MAX - api->size)
		return 0;
	memcpy(api->answer + api->size, bytes, size);
	api->size += size;
	return size;
}

/* Has libcurl use the bytes of a file, as no file can be opened later. "": none. */
static void set_file(struct ipcfs_amqp_api *api, CURLoption option, const char *path)
{
	struct curl_blob blob = { .flags = CURL_BLOB_COPY };
	ssize_t size;

	if (!*path || api->error)
		return;
	blob.data = malloc(FILE_MAX);
	size = blob.data ? ipcfs_descriptor_read_path(path, blob.data, FILE_MAX) : -ENOMEM;
	if (size < 0 || size == FILE_MAX - 1) {
		ipcfs_amqp_api_fail(api, -EINVAL, "a certificate or key can't be read");
	} else {
		blob.len = (size_t)size;
		set(api, curl_easy_setopt(api->curl, option, &blob));
		explicit_bzero(blob.data, blob.len);
	}
	free(blob.data);
}

/* Sets what is the same for all brokers. Nothing is followed that an answer names. */
static void set_limits(struct ipcfs_amqp_api *api)
{
	CURL *curl = api->curl;

	set(api, curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https"));
	set(api, curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L));
	set(api, curl_easy_setopt(curl, CURLOPT_PROXY, ""));
	set(api, curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1));
	set(api, curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC));
	set(api, curl_easy_setopt(curl, CURLOPT_CAPATH, NULL)); /* `ca` alone is trusted */
	set(api, curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L));
	set(api, curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)REQUEST_MS));
	set(api, curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2));
	set(api, curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L));
	set(api, curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L));
	set(api, curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_part));
	set(api, curl_easy_setopt(curl, CURLOPT_WRITEDATA, api));
	set(api, curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, api->curl_reason));
}

/* Reads what is root's: password, certificates, key. */
static void read_files(struct ipcfs_amqp_api *api, const char *const *login)
{
	char password[IPCFS_AMQP_PASSWORD_SIZE] = "";

	if (ipcfs_amqp_read_password(login[IPCFS_AMQP_API_PASSWORD_FILE], password))
		ipcfs_amqp_api_fail(api, -EINVAL, "the password can't be read");
	set(api, curl_easy_setopt(api->curl, CURLOPT_USERNAME, login[IPCFS_AMQP_API_USER]));
	set(api, curl_easy_setopt(api->curl, CURLOPT_PASSWORD, password));
	explicit_bzero(password, sizeof(password));
	set_file(api, CURLOPT_CAINFO_BLOB, login[IPCFS_AMQP_API_CA]);
	set_file(api, CURLOPT_SSLCERT_BLOB, login[IPCFS_AMQP_API_CERT]);
	set_file(api, CURLOPT_SSLKEY_BLOB, login[IPCFS_AMQP_API_KEY]);
}

/* Appends the addresses of a host to `list`, with a comma between. False: it has none. */
static bool look_up(const char *host, const char *port, char list[ADDRESSES_SIZE])
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found, *one;
	size_t size = strlen(list);
	const char *comma = "";

	if (getaddrinfo(host, port, &hints, &found))
		return false;
	for (one = found; one; one = one->ai_next) {
		char address[INET6_ADDRSTRLEN];

		if (getnameinfo(one->ai_addr, one->ai_addrlen, address, sizeof(address), NULL, 0,
				NI_NUMERICHOST) ||
		    size + sizeof(address) + 3 > ADDRESSES_SIZE)
			continue;
		size += (size_t)snprintf(list + size, ADDRESSES_SIZE - size,
					 one->ai_family == AF_INET6 ? "%s[%s]" : "%s%s", comma,
					 address);
		comma = ",";
	}
	freeaddrinfo(found);
	return *comma;
}

/* Looks the host's addresses up, unless it is one itself. */
static void resolve(struct ipcfs_amqp_api *api, const char *host, const char *port)
{
	char list[ADDRESSES_SIZE];
	int size = snprintf(list, sizeof(list), "%s:%s:", host, port);

	if (host[0] == '[')
		return;
	if (size < 0 || size > ADDRESSES_SIZE / 2 || !look_up(host, port, list)) {
		ipcfs_amqp_api_fail(api, -EHOSTDOWN, "the host has no address");
		return;
	}
	api->addresses = curl_slist_append(NULL, list);
	if (!api->addresses)
		ipcfs_amqp_api_fail(api, -ENOMEM, "no memory for addresses");
	set(api, curl_easy_setopt(api->curl, CURLOPT_RESOLVE, api->addresses));
}

/* Finds the host of the URL, and its addresses. */
static void take_host(struct ipcfs_amqp_api *api, const char *url)
{
	CURLU *parts = curl_url();
	char *host = NULL, *port = NULL;

	if (!parts || curl_url_set(parts, CURLUPART_URL, url, 0) ||
	    curl_url_get(parts, CURLUPART_HOST, &host, 0) ||
	    curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT))
		ipcfs_amqp_api_fail(api, -EINVAL, "the URL is malformed");
	else
		resolve(api, host, port);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(parts);
}

char *ipcfs_amqp_api_escape(struct ipcfs_amqp_api *api, const char *bytes, size_t size)
{
	char *escaped = curl_easy_escape(api->curl, bytes, (int)size);

	if (!escaped)
		ipcfs_amqp_api_fail(api, -ENOMEM, "no memory for a URL");
	return escaped;
}

static void take_vhost(struct ipcfs_amqp_api *api, const char *url, const char *vhost)
{
	char *escaped = ipcfs_amqp_api_escape(api, vhost, strlen(vhost));

	if (escaped && asprintf(&api->queues, "%s/api/queues/%s", url, escaped) < 0) {
		api->queues = NULL;
		ipcfs_amqp_api_fail(api, -ENOMEM, "no memory for a URL");
	}
	curl_free(escaped);
}

void ipcfs_amqp_api_open(struct ipcfs_amqp_api *api, const char *const *login)
{
	api->answer = malloc(ANSWER_MAX);
	if (api->answer && !curl_global_init(CURL_GLOBAL_DEFAULT))
		api->curl = curl_easy_init();
	if (!api->curl) {
		ipcfs_amqp_api_fail(api, -ENOMEM, "no memory for answers");
		return;
	}
	set_limits(api);
	read_files(api, login);
	if (!ipcfs_amqp_become(login[IPCFS_AMQP_API_UID], login[IPCFS_AMQP_API_GID]))
		ipcfs_amqp_api_fail(api, -EINVAL, "can't become the user of this program");
	if (!api->error)
		take_host(api, login[IPCFS_AMQP_API_URL]);
	if (!api->error)
		take_vhost(api, login[IPCFS_AMQP_API_URL], login[IPCFS_AMQP_API_VHOST]);
}

/* Makes the request. Returns the status of HTTP; 0: there is no answer. */
static long request(struct ipcfs_amqp_api *api, const char *url)
{
	long status = 0;
	CURLcode result;

	api->size = 0;
	api->curl_reason[0] = '\0';
	set(api, curl_easy_setopt(api->curl, CURLOPT_URL, url));
	if (api->error)
		return 0;
	result = curl_easy_perform(api->curl);
	if (result == CURLE_WRITE_ERROR)
		ipcfs_amqp_api_fail(api, -EHOSTDOWN, "the answer is too long");
	else if (result != CURLE_OK)
		ipcfs_amqp_api_fail(api, -EHOSTDOWN,
				    *api->curl_reason ? api->curl_reason
						      : curl_easy_strerror(result));
	else
		set(api, curl_easy_getinfo(api->curl, CURLINFO_RESPONSE_CODE, &status));
	return api->error ? 0 : status;
}

long ipcfs_amqp_api_get(struct ipcfs_amqp_api *api, const char *more)
{
	char url[URL_MAX], reason[64];
	int size = snprintf(url, sizeof(url), "%s%s", api->queues, more);
	long status;

	if (size < 0 || size >= URL_MAX) {
		ipcfs_amqp_api_fail(api, -EINVAL, "the URL is too long");
		return 0;
	}
	status = request(api, url);
	if (status != UNAUTHORIZED && status != FORBIDDEN)
		return status;
	(void)snprintf(reason, sizeof(reason), "HTTP %ld: the user is refused", status);
	ipcfs_amqp_api_fail(api, -EACCES, reason);
	return 0;
}
