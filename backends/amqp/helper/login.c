/* SPDX-License-Identifier: MIT */
#include "backends/amqp/helper/login.h"

#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "backends/amqp/helper/process.h"
#include "backends/amqp/helper/wipe.h"

enum {
	CHANNELS_MAX = 2047,
	FRAME_MAX = 128 * 1024,
	CONNECT_S = 10,
	HEARTBEAT_MAX_S = 3600,
	SOURCE_MAX = 64,
};

/* The strings of LOGIN, by their number. */
typedef const char *const *strings;

static bool is_source(const char *text)
{
	size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789-");

	return length && length <= SOURCE_MAX && !text[length];
}

/* Takes what is used after the log-in. */
static bool take_settings(struct ipcfs_amqp_helper *helper, strings login)
{
	unsigned long long heartbeat, max_message;

	if (!ipcfs_amqp_number(login[IPCFS_AMQP_LOGIN_HEARTBEAT], 1, HEARTBEAT_MAX_S, &heartbeat) ||
	    !ipcfs_amqp_number(login[IPCFS_AMQP_LOGIN_MAX_MESSAGE], 1, IPCFS_AMQP_BODY_MAX,
			       &max_message) ||
	    !is_source(login[IPCFS_AMQP_LOGIN_SOURCE]))
		return false;
	helper->heartbeat = (long)heartbeat;
	helper->max_message = max_message;
	(void)snprintf(helper->source, sizeof(helper->source), "%s",
		       login[IPCFS_AMQP_LOGIN_SOURCE]);
	return true;
}

/* Makes the socket, with TLS where there is a file of certificates. Returns NULL on errors. */
static amqp_socket_t *make_socket(amqp_connection_state_t connection, strings login)
{
	const char *cert = login[IPCFS_AMQP_LOGIN_CERT];
	amqp_socket_t *socket;

	if (!*login[IPCFS_AMQP_LOGIN_CA])
		return amqp_tcp_socket_new(connection);
	socket = amqp_ssl_socket_new(connection);
	if (!socket || amqp_ssl_socket_set_cacert(socket, login[IPCFS_AMQP_LOGIN_CA]) ||
	    amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST))
		return NULL;
	amqp_ssl_socket_set_verify_peer(socket, true);
	amqp_ssl_socket_set_verify_hostname(socket, true);
	if (*cert && amqp_ssl_socket_set_key(socket, cert, login[IPCFS_AMQP_LOGIN_KEY]))
		return NULL;
	return socket;
}

/* Notes why the broker, or the library, refused the log-in. */
static void refused(struct ipcfs_amqp_helper *helper, amqp_rpc_reply_t reply)
{
	const amqp_connection_close_t *close = reply.reply.decoded;
	char line[IPCFS_AMQP_REASON_SIZE];
	int error;

	if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION) {
		ipcfs_amqp_fail(helper, -EHOSTDOWN, amqp_error_string2(reply.library_error));
	} else if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
		error = ipcfs_amqp_reply_error(close->reply_code, close->reply_text);
		(void)ipcfs_amqp_printable(close->reply_text, line, sizeof(line));
		ipcfs_amqp_fail(helper, error == -EACCES ? error : -EHOSTDOWN, line);
	} else {
		ipcfs_amqp_fail(helper, -EHOSTDOWN, "the broker refuses the log-in");
	}
}

static amqp_table_entry_t capability(const char *name)
{
	return (amqp_table_entry_t){
		.key = amqp_cstring_bytes(name),
		.value = { .kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = true },
	};
}

static amqp_rpc_reply_t log_in(struct ipcfs_amqp_helper *helper, strings login,
			       const char *password)
{
	/* Without these the broker does not tell that it is blocked, or that a queue is gone. */
	amqp_table_entry_t able[] = {
		capability("basic.nack"),
		capability("connection.blocked"),
		capability("consumer_cancel_notify"),
		capability("publisher_confirms"),
	};
	amqp_table_entry_t capabilities = {
		.key = amqp_cstring_bytes("capabilities"),
		.value = { .kind = AMQP_FIELD_KIND_TABLE,
			   .value.table = { sizeof(able) / sizeof(*able), able } },
	};
	const amqp_table_t properties = { 1, &capabilities };
	const char *vhost = login[IPCFS_AMQP_LOGIN_VHOST];
	int heartbeat = (int)helper->heartbeat;

	/* The broker takes the name from the certificate. The library refuses an empty one. */
	if (*login[IPCFS_AMQP_LOGIN_CERT])
		return amqp_login_with_properties(helper->connection, vhost, CHANNELS_MAX,
						  FRAME_MAX, heartbeat, &properties,
						  AMQP_SASL_METHOD_EXTERNAL, "certificate");
	return amqp_login_with_properties(helper->connection, vhost, CHANNELS_MAX, FRAME_MAX,
					  heartbeat, &properties, AMQP_SASL_METHOD_PLAIN,
					  login[IPCFS_AMQP_LOGIN_USER], password);
}

/* Connects and logs in. `password` is "" with a certificate. */
static void connect_to_broker(struct ipcfs_amqp_helper *helper, amqp_socket_t *socket,
			      strings login, const char *password)
{
	struct timeval timeout = { .tv_sec = CONNECT_S };
	unsigned long long port;
	amqp_rpc_reply_t reply;
	int status;

	if (!ipcfs_amqp_number(login[IPCFS_AMQP_LOGIN_PORT], 1, UINT16_MAX, &port)) {
		ipcfs_amqp_fail(helper, -EINVAL, "the port is malformed");
		return;
	}
	status = amqp_socket_open_noblock(socket, login[IPCFS_AMQP_LOGIN_HOST], (int)port,
					  &timeout);
	if (status != AMQP_STATUS_OK) {
		ipcfs_amqp_fail(helper, -EHOSTDOWN, amqp_error_string2(status));
		return;
	}
	reply = log_in(helper, login, password);
	if (reply.reply_type != AMQP_RESPONSE_NORMAL)
		refused(helper, reply);
}

/* Makes the table of channels that the broker allows. */
static void make_channels(struct ipcfs_amqp_helper *helper)
{
	int max = amqp_get_channel_max(helper->connection);

	if (max < IPCFS_AMQP_FIRST_CHANNEL || max > CHANNELS_MAX) {
		ipcfs_amqp_fail(helper, -EHOSTDOWN, "the broker allows too few channels");
		return;
	}
	helper->channel_max = (amqp_channel_t)max;
	helper->channels = calloc((size_t)max + 1, sizeof(struct ipcfs_amqp_queue *));
	if (!helper->channels)
		ipcfs_amqp_fail(helper, -ENOMEM, "no memory for the channels");
}

/* Does all that needs root: reads the files, and becomes the user. Returns NULL if it fails. */
static amqp_socket_t *prepare(struct ipcfs_amqp_helper *helper, strings login,
			      char password[IPCFS_AMQP_PASSWORD_SIZE])
{
	amqp_socket_t *socket;

	helper->connection = amqp_new_connection();
	socket = helper->connection ? make_socket(helper->connection, login) : NULL;
	if (!socket) {
		ipcfs_amqp_fail(helper, -EINVAL, "a certificate or key can't be used");
		return NULL;
	}
	if (!*login[IPCFS_AMQP_LOGIN_CERT] &&
	    ipcfs_amqp_read_password(login[IPCFS_AMQP_LOGIN_PASSWORD_FILE], password)) {
		ipcfs_amqp_fail(helper, -EINVAL, "the password can't be read");
		return NULL;
	}
	if (!ipcfs_amqp_become(login[IPCFS_AMQP_LOGIN_UID], login[IPCFS_AMQP_LOGIN_GID])) {
		ipcfs_amqp_fail(helper, -EINVAL, "can't become the user of this program");
		return NULL;
	}
	return socket;
}

void ipcfs_amqp_login(struct ipcfs_amqp_helper *helper, const struct ipcfs_amqp_packet *packet)
{
	const char *login[IPCFS_AMQP_LOGIN_STRINGS];
	char password[IPCFS_AMQP_PASSWORD_SIZE] = "";
	amqp_socket_t *socket;

	if (packet->record.type != IPCFS_AMQP_LOGIN ||
	    !ipcfs_amqp_strings(packet->bytes, packet->record.text, login,
				IPCFS_AMQP_LOGIN_STRINGS) ||
	    !take_settings(helper, login)) {
		ipcfs_amqp_fail(helper, -EINVAL, "the log-in is malformed");
		return;
	}
	socket = prepare(helper, login, password);
	if (socket)
		connect_to_broker(helper, socket, login, password);
	if (!ipcfs_amqp_wipe(login[IPCFS_AMQP_LOGIN_USER], password))
		ipcfs_amqp_fail(helper, -ENOMEM, "the password can't be wiped");
	explicit_bzero(password, sizeof(password));
	if (!helper->error)
		make_channels(helper);
}
