/* SPDX-License-Identifier: MIT */
#include "backends/amqp/records.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "backends/contract/descriptor.h"

enum { ERROR_MAX = 4095 }; /* the kernel's largest */

enum text {
	NO_TEXT,
	NAME,	    /* 1 to IPCFS_AMQP_NAME_MAX bytes but NUL */
	LINE,	    /* printable ASCII, perhaps none */
	PROPERTIES, /* the same in lines that end with a newline */
	STRINGS,    /* each ends with a NUL */
	LINES,	    /* the same, of printable ASCII */
};

/* The fields that a record may use: the others are 0. */
enum field {
	QUEUE = 1 << 0,	 /* and it is not 0 */
	NUMBER = 1 << 1, /* and it is not 0 */
	PRIORITY = 1 << 2,
	BODY = 1 << 3,
	ERROR = 1 << 4,
	FAILURE = 1 << 5, /* an error that is not 0 */
	STATE = 1 << 6,	  /* messages, readers */
	READERS = 1 << 7, /* up to IPCFS_AMQP_READERS_MAX */
	HELPER = 1 << 8,  /* sent by the helper, else by the daemon */
	NUMBERS = 1 << 9, /* a body of numbers, fewer than IPCFS_AMQP_PUTS_MAX */
	LIST = 1 << 10,	  /* a body of queues, not longer than IPCFS_AMQP_INLINE_MAX */
};

static const struct form {
	unsigned fields;
	enum text text;
	unsigned flags;
} forms[IPCFS_AMQP_TYPES] = {
	[IPCFS_AMQP_LOGIN] = { 0, STRINGS, 0 },
	[IPCFS_AMQP_UP] = { HELPER, LINE, 0 },
	[IPCFS_AMQP_DOWN] = { HELPER | FAILURE, LINE, 0 },
	[IPCFS_AMQP_OPEN] = { QUEUE, NAME, 0 },
	[IPCFS_AMQP_CLOSE] = { QUEUE, NO_TEXT, 0 },
	[IPCFS_AMQP_ENDED] = { HELPER | QUEUE | FAILURE, LINE, 0 },
	[IPCFS_AMQP_LOOK] = { NUMBER, NAME, 0 },
	[IPCFS_AMQP_MAKE] = { NUMBER, STRINGS, 0 },
	[IPCFS_AMQP_REMOVE] = { NUMBER, NAME, 0 },
	[IPCFS_AMQP_ANSWER] = { HELPER | NUMBER | ERROR | STATE, LINE, 0 },
	[IPCFS_AMQP_GET] = { QUEUE, NO_TEXT, 0 },
	[IPCFS_AMQP_WANT] = { QUEUE | READERS, NO_TEXT, 0 },
	[IPCFS_AMQP_UNWANTED] = { HELPER | QUEUE, NO_TEXT, 0 },
	[IPCFS_AMQP_EMPTY] = { HELPER | QUEUE, NO_TEXT, 0 },
	[IPCFS_AMQP_MESSAGE] = { HELPER | QUEUE | NUMBER | PRIORITY | BODY, PROPERTIES,
				 IPCFS_AMQP_GOT | IPCFS_AMQP_REDELIVERED },
	[IPCFS_AMQP_TOO_LONG] = { HELPER | QUEUE, NO_TEXT, IPCFS_AMQP_GOT },
	[IPCFS_AMQP_ACK] = { QUEUE | NUMBER, NO_TEXT, IPCFS_AMQP_TELL },
	[IPCFS_AMQP_BACK] = { QUEUE | NUMBER, NO_TEXT, IPCFS_AMQP_TELL },
	[IPCFS_AMQP_DEAD] = { QUEUE | NUMBER, NO_TEXT, IPCFS_AMQP_TELL },
	[IPCFS_AMQP_SETTLED] = { HELPER | QUEUE | NUMBER, NO_TEXT, 0 },
	[IPCFS_AMQP_PUT] = { QUEUE | NUMBER | PRIORITY | BODY, NO_TEXT, 0 },
	[IPCFS_AMQP_STORED] = { HELPER | QUEUE | NUMBER | NUMBERS, NO_TEXT, 0 },
	[IPCFS_AMQP_FULL] = { HELPER | QUEUE | NUMBER, NO_TEXT, 0 },
	[IPCFS_AMQP_RETURNED] = { HELPER | QUEUE | NUMBER | FAILURE, NO_TEXT, 0 },
	[IPCFS_AMQP_BLOCKED] = { HELPER, LINE, 0 },
	[IPCFS_AMQP_UNBLOCKED] = { HELPER, NO_TEXT, 0 },
	[IPCFS_AMQP_LEASE] = { QUEUE | NUMBER, NO_TEXT, 0 },
	[IPCFS_AMQP_LOST] = { HELPER | QUEUE | NUMBER | FAILURE, LINE, 0 },
	[IPCFS_AMQP_API] = { 0, STRINGS, 0 },
	[IPCFS_AMQP_LIST] = { NUMBER, NO_TEXT, 0 },
	[IPCFS_AMQP_LISTED] = { HELPER | NUMBER | LIST, NO_TEXT, 0 },
	[IPCFS_AMQP_DETAIL] = { NUMBER, NAME, 0 },
	[IPCFS_AMQP_DETAILS] = { HELPER | NUMBER, LINES, 0 },
};

static bool is_printable(const char *text, size_t size, bool lines)
{
	for (size_t i = 0; i < size; i++) {
		if ((text[i] < ' ' || text[i] > '~') && !(lines && text[i] == '\n'))
			return false;
	}
	return !lines || !size || text[size - 1] == '\n';
}

/* Returns whether all bytes but the NULs are printable. */
static bool are_lines(const char *text, size_t size)
{
	const char *end = text + size;

	while (text < end && is_printable(text, strlen(text), false))
		text += strlen(text) + 1;
	return text >= end;
}

static bool is_text(enum text kind, const char *text, size_t size)
{
	switch (kind) {
	case NAME:
		return size && size <= IPCFS_AMQP_NAME_MAX && !memchr(text, '\0', size);
	case LINE:
		return is_printable(text, size, false);
	case PROPERTIES:
		return is_printable(text, size, true);
	case STRINGS:
		return size && text[size - 1] == '\0';
	case LINES:
		return size && text[size - 1] == '\0' && are_lines(text, size);
	default:
		return !size;
	}
}

static bool is_error(int32_t error, unsigned fields)
{
	if (fields & FAILURE && !error)
		return false;
	return error <= 0 && error >= (fields & (ERROR | FAILURE) ? -ERROR_MAX : 0);
}

static uint32_t readers_max(unsigned fields)
{
	if (fields & STATE)
		return UINT32_MAX;
	return fields & READERS ? IPCFS_AMQP_READERS_MAX : 0;
}

/* Returns whether the fields are in their ranges, and those that are not used are 0. */
static bool are_fields(const struct ipcfs_amqp_record *record, unsigned fields)
{
	if (record->unused || !(fields & NUMBER) != !record->number ||
	    !(fields & QUEUE) != !record->queue)
		return false;
	if ((record->priority && !(fields & PRIORITY)) || (record->messages && !(fields & STATE)))
		return false;
	return record->readers <= readers_max(fields) && is_error(record->error, fields);
}

/* Returns whether a body may have this size. */
static bool is_body(uint32_t size, unsigned fields)
{
	const uint32_t number = sizeof(uint64_t);

	if (fields & NUMBERS)
		return size < IPCFS_AMQP_PUTS_MAX * number && size % number == 0;
	if (fields & LIST)
		return size <= IPCFS_AMQP_INLINE_MAX;
	return size <= (fields & BODY ? IPCFS_AMQP_BODY_MAX : 0);
}

/* Returns whether the sizes add up, and a long body is in a memfd. */
static bool are_sizes(const struct ipcfs_amqp_packet *packet, size_t size, unsigned fields)
{
	const struct ipcfs_amqp_record *record = &packet->record;
	bool is_long = record->body > IPCFS_AMQP_INLINE_MAX;

	if (record->text > IPCFS_AMQP_TEXT_MAX || !is_body(record->body, fields))
		return false;
	return size == sizeof(*record) + record->text + (is_long ? 0 : record->body) &&
	       (packet->descriptor >= 0) == is_long;
}

/* Returns whether the bytes are a list of one queue or more. */
static bool is_list(const char *list, size_t size)
{
	const char *end = list + size;
	struct ipcfs_amqp_listed queue;
	int got;

	while ((got = ipcfs_amqp_listed_next(&list, end, &queue)) == 1)
		continue;
	return size && got == 0;
}

bool ipcfs_amqp_is_legal(const struct ipcfs_amqp_packet *packet, size_t size,
			 enum ipcfs_amqp_direction direction)
{
	const struct ipcfs_amqp_record *record = &packet->record;
	const struct form *form;

	if (size < sizeof(*record) || !record->type || record->type >= IPCFS_AMQP_TYPES)
		return false;
	form = &forms[record->type];
	return !(form->fields & HELPER) == (direction == IPCFS_AMQP_FROM_DAEMON) &&
	       !(record->flags & ~form->flags) && are_fields(record, form->fields) &&
	       are_sizes(packet, size, form->fields) &&
	       is_text(form->text, packet->bytes, record->text) &&
	       (!(form->fields & LIST) || is_list(packet->bytes + record->text, record->body));
}

/*
 * Makes a memfd with a long body. Returns the descriptor, to be closed.
 * -ENOMEM, -EMFILE, -ENFILE.
 */
static int body_file(const void *body, size_t size)
{
	IPCFS_DESCRIPTOR_AUTO int file = memfd_create("body", MFD_CLOEXEC);
	ssize_t written;
	int made;

	if (file < 0)
		return -errno;
	written = ipcfs_descriptor_write_at(file, body, size, 0);
	if (written < 0)
		return (int)written;
	if ((size_t)written < size)
		return -ENOMEM;
	made = file;
	file = -1;
	return made;
}

/* Adds a descriptor to a message that has room for one. */
static void attach(struct msghdr *message, int descriptor)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
}

int ipcfs_amqp_send(int socket, const struct ipcfs_amqp_record *record, const void *text,
		    const void *body)
{
	bool is_long = record->body > IPCFS_AMQP_INLINE_MAX;
	IPCFS_DESCRIPTOR_AUTO int file = -1;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec parts[] = {
		{ (void *)record, sizeof(*record) },
		{ (void *)text, record->text },
		{ (void *)body, is_long ? 0 : record->body },
	};
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 3 };
	ssize_t sent;

	if (is_long) {
		file = body_file(body, record->body);
		if (file < 0)
			return file;
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		attach(&message, file);
	}
	do
		sent = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

/* Takes the first descriptor of a message, and closes the others. Returns false if there are any. */
static bool take_descriptors(struct msghdr *message, int *descriptor)
{
	bool is_one = true;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
	     header = CMSG_NXTHDR(message, header)) {
		size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int next;

			memcpy(&next, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
			if (*descriptor < 0) {
				*descriptor = next;
			} else {
				ipcfs_descriptor_close(&next);
				is_one = false;
			}
		}
	}
	return is_one;
}

int ipcfs_amqp_receive(int socket, enum ipcfs_amqp_direction direction,
		       struct ipcfs_amqp_packet *packet)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))];
	struct iovec parts[] = {
		{ &packet->record, sizeof(packet->record) },
		{ packet->bytes, sizeof(packet->bytes) },
	};
	struct msghdr message = {
		.msg_iov = parts,
		.msg_iovlen = 2,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t size;

	packet->descriptor = -1;
	do
		size = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (size < 0 && errno == EINTR);
	if (size < 0)
		return errno == ECONNRESET ? 0 : -errno;
	if (!size)
		return 0;
	if (!take_descriptors(&message, &packet->descriptor) ||
	    message.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
	    !ipcfs_amqp_is_legal(packet, (size_t)size, direction)) {
		ipcfs_descriptor_close(&packet->descriptor);
		return -EPROTO;
	}
	return 1;
}

int ipcfs_amqp_body(const struct ipcfs_amqp_packet *packet, void *body)
{
	const struct ipcfs_amqp_record *record = &packet->record;
	ssize_t got;

	if (record->body <= IPCFS_AMQP_INLINE_MAX) {
		memcpy(body, packet->bytes + record->text, record->body);
		return 0;
	}
	got = ipcfs_descriptor_read_at(packet->descriptor, body, record->body, 0);
	if (got < 0)
		return (int)got;
	return (size_t)got == record->body ? 0 : -EPROTO;
}

int ipcfs_amqp_string_add(char *text, uint32_t *size, const char *string)
{
	size_t more = strlen(string) + 1;

	if (more > IPCFS_AMQP_TEXT_MAX - *size)
		return -E2BIG;
	memcpy(text + *size, string, more);
	*size += (uint32_t)more;
	return 0;
}

bool ipcfs_amqp_strings(const char *text, size_t size, const char **strings, size_t count)
{
	const char *end = text + size;

	for (size_t i = 0; i < count; i++) {
		const char *nul = memchr(text, '\0', (size_t)(end - text));

		if (!nul)
			return false;
		strings[i] = text;
		text = nul + 1;
	}
	return text == end;
}

/* A queue of a list: two numbers, the length of its name in one byte, and the name. */
enum { LISTED_HEAD = 2 * sizeof(uint64_t) + 1 };

int ipcfs_amqp_listed_add(char *list, uint32_t *size, const struct ipcfs_amqp_listed *queue)
{
	size_t length = strlen(queue->name);
	char *at = list + *size;

	if (LISTED_HEAD + length > IPCFS_AMQP_INLINE_MAX - *size)
		return -E2BIG;
	memcpy(at, &queue->messages, sizeof(uint64_t));
	memcpy(at + sizeof(uint64_t), &queue->bytes, sizeof(uint64_t));
	at[LISTED_HEAD - 1] = (char)length;
	memcpy(at + LISTED_HEAD, queue->name, length);
	*size += (uint32_t)(LISTED_HEAD + length);
	return 0;
}

int ipcfs_amqp_listed_next(const char **list, const char *end, struct ipcfs_amqp_listed *queue)
{
	size_t left = (size_t)(end - *list), length;

	if (!left)
		return 0;
	if (left < LISTED_HEAD)
		return -EPROTO;
	memcpy(&queue->messages, *list, sizeof(uint64_t));
	memcpy(&queue->bytes, *list + sizeof(uint64_t), sizeof(uint64_t));
	length = (unsigned char)(*list)[LISTED_HEAD - 1];
	if (length > left - LISTED_HEAD || !is_text(NAME, *list + LISTED_HEAD, length))
		return -EPROTO;
	memcpy(queue->name, *list + LISTED_HEAD, length);
	queue->name[length] = '\0';
	*list += LISTED_HEAD + length;
	return 1;
}
