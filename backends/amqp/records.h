/* SPDX-License-Identifier: MIT */
/*
 * The records between the daemon and ipcfs-amqp, the program that talks to a broker. Neither end
 * trusts the other: ipcfs_amqp_receive hands out only records that are whole and legal in their
 * direction. All numbers are in the byte order of the machine.
 *
 * Each ipcfs-amqp has one connection to a broker, and one SOCK_SEQPACKET socket to the daemon, its
 * descriptor 0. It ends when the socket is closed. `ipcfs-amqp publish` sends messages, and
 * `ipcfs-amqp consume` does all the rest: a broker that is short of memory does not read from
 * connections that publish. The daemon must always read the socket: ipcfs-amqp waits until it does.
 *
 * The daemon gives each queue that it uses a number (OPEN). Records about a queue are handled in
 * their order. Behind the number is a channel of the connection.
 */
#ifndef IPCFS_AMQP_RECORDS_H
#define IPCFS_AMQP_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	IPCFS_AMQP_NAME_MAX = 255,	 /* bytes of a queue's name; at least 1, none of them NUL */
	IPCFS_AMQP_TEXT_MAX = 16 * 1024, /* bytes of a record's text */
	IPCFS_AMQP_INLINE_MAX = 64 * 1024, /* bytes of a body in the record; a longer one: memfd */
	IPCFS_AMQP_BODY_MAX = 1024 << 20,  /* bytes of a body */
	IPCFS_AMQP_GETS_MAX = 32,	   /* GETs of a queue that have no answer yet */
	IPCFS_AMQP_READERS_MAX = 16,	   /* consumers of a queue */
	IPCFS_AMQP_PUTS_MAX = 100,	   /* PUTs of a queue that have no answer yet */
	IPCFS_AMQP_LEASES_MAX = 2000,	   /* leases of a connection, which has 2047 channels */
	IPCFS_AMQP_LISTED_MAX = 16384,	   /* queues of a list */
};

enum ipcfs_amqp_direction { IPCFS_AMQP_FROM_DAEMON, IPCFS_AMQP_FROM_HELPER };

/*
 * "number: ..." and so on name the fields that a record uses. All others are 0. A text is one
 * name or line without NUL, unless the comment says "strings".
 */
enum ipcfs_amqp_type {
	/* The first record, from the daemon. text: strings, `enum ipcfs_amqp_login`. */
	IPCFS_AMQP_LOGIN = 1,
	/* The first record from ipcfs-amqp: it is logged in. text: the broker's version. */
	IPCFS_AMQP_UP,
	/*
	 * The last record from ipcfs-amqp: the connection has ended. text: the reason. error:
	 * -EACCES: the broker refuses user, password or virtual host (403, 530).
	 * -EINVAL: the login is malformed, or a file that it names can't be used.
	 * -EPROTO: a record from the daemon was wrong.
	 * -ENOMEM.
	 * -EHOSTDOWN: there is no connection, for any other reason.
	 */
	IPCFS_AMQP_DOWN,

	/*
	 * Begins to use a queue. queue: its number, larger than all before. text: its name. There
	 * is no answer: the first use of the queue shows whether it exists.
	 */
	IPCFS_AMQP_OPEN,
	/*
	 * Ends the use of a queue: all its messages that were not settled go back. queue. Nothing
	 * happens if the queue has ENDED. There is no answer. Records of this queue that are on
	 * their way may still come.
	 */
	IPCFS_AMQP_CLOSE,
	/*
	 * The use of a queue has ended: its messages that were not settled are the broker's again,
	 * and PUTs without an answer may have been stored. Later records of the daemon about it are
	 * ignored. queue. text: what the broker said, or nothing. error:
	 * -EIDRM: the queue is gone, or never was.
	 * -EHOSTDOWN: the queue's node is down.
	 * -ETIMEDOUT: a message was not settled within the broker's consumer_timeout.
	 * -EACCES: the broker does not allow it to the user of the connection.
	 * -EBUSY: another connection has the queue for itself (405).
	 * -EMFILE: the connection has no channel left.
	 * -EIO: any other error of the channel.
	 * -ENOMEM.
	 */
	IPCFS_AMQP_ENDED,

	/* The rest but PUT and its answers is for `ipcfs-amqp consume`. */

	/*
	 * Questions. number: chosen by the daemon, comes back in ANSWER. LOOK, REMOVE: text: the
	 * queue's name. MAKE: text: strings, `enum ipcfs_amqp_make`. Questions wait for each other,
	 * but LOOK does not wait for MAKE and REMOVE.
	 */
	IPCFS_AMQP_LOOK,
	IPCFS_AMQP_MAKE,
	IPCFS_AMQP_REMOVE,
	/*
	 * Answer to a question. number: the question. text: what the broker said, or nothing.
	 * messages, readers: with LOOK and 0 only. error: 0 or
	 * -ENOENT: there is no queue of this name (LOOK, REMOVE).
	 * -EEXIST: there is one already (MAKE).
	 * -EHOSTDOWN: the queue's node is down.
	 * -EACCES: the broker does not allow it to the user of the connection.
	 * -EINVAL: the broker does not take these arguments (406), or the text is malformed.
	 * -EBUSY: another connection has the queue for itself (405).
	 * -EIO: any other refusal.
	 */
	IPCFS_AMQP_ANSWER,

	/*
	 * Asks for one message. queue. The answers come in order: MESSAGE or TOO_LONG with GOT, or
	 * EMPTY.
	 */
	IPCFS_AMQP_GET,
	/*
	 * Sets how many readers wait for a message without GET; 0 in the beginning. queue, readers.
	 * Each MESSAGE or TOO_LONG without GOT has lowered it by one. When it is set to 0, the
	 * answer is UNWANTED: no MESSAGE without GOT comes behind it.
	 */
	IPCFS_AMQP_WANT,
	IPCFS_AMQP_UNWANTED,
	/* Answer to GET: the queue is empty. queue. */
	IPCFS_AMQP_EMPTY,
	/*
	 * A message, to be settled. queue. number: larger than that of all messages before. flags:
	 * GOT, REDELIVERED. priority. text: properties, as lines `name=value`, all of printable
	 * ASCII. body.
	 */
	IPCFS_AMQP_MESSAGE,
	/* A message of more than max_message bytes went back to the queue. queue. flags: GOT. */
	IPCFS_AMQP_TOO_LONG,
	/*
	 * Settle a message: a reader has it; back to the queue; to the dead-letter queue, if there
	 * is one. queue, number: those of MESSAGE. flags: TELL: the answer is SETTLED, once the
	 * broker was sent what settles the message.
	 */
	IPCFS_AMQP_ACK,
	IPCFS_AMQP_BACK,
	IPCFS_AMQP_DEAD,
	IPCFS_AMQP_SETTLED,

	/*
	 * For `ipcfs-amqp publish`: a message to be stored. queue. number: part of the message_id,
	 * so no other message of the source may have it. priority. body.
	 */
	IPCFS_AMQP_PUT,
	/*
	 * The broker has the message. queue, number. body: the numbers of others that it has, too,
	 * of 8 bytes each.
	 */
	IPCFS_AMQP_STORED,
	/* The broker has not taken it: the queue is full, or has no leader. queue, number. */
	IPCFS_AMQP_FULL,
	/*
	 * The broker has not taken it. queue, number. error:
	 * -ENOENT: there is no queue of this name.
	 * -EHOSTDOWN: the queue's node is down.
	 * -EAGAIN: the queue has come back meanwhile.
	 * Otherwise those of ANSWER.
	 */
	IPCFS_AMQP_RETURNED,
	/*
	 * The broker takes no messages now, as it is short of memory or disk; and it takes them
	 * again. text: the broker's reason; with UNBLOCKED none.
	 */
	IPCFS_AMQP_BLOCKED,
	IPCFS_AMQP_UNBLOCKED,

	/*
	 * Says that a message stays unsettled for long. It gets the channel to itself, as far as
	 * the connection has channels: so the broker can take it back without the others. queue,
	 * number: those of MESSAGE. There is no answer.
	 */
	IPCFS_AMQP_LEASE,
	/*
	 * The broker has taken a leased message back. Records of the daemon that settle it are
	 * ignored. queue, number. text: what the broker said. error:
	 * -ETIMEDOUT: it was not settled within the broker's consumer_timeout.
	 * Otherwise those of ENDED.
	 */
	IPCFS_AMQP_LOST,

	/*
	 * The rest, ANSWER and DOWN are for ipcfs-amqp-api, which asks the broker's management API.
	 * This is its first record. text: strings, `enum ipcfs_amqp_api_login`. There is no answer.
	 */
	IPCFS_AMQP_API,
	/* Asks for all queues. number. The answers are LISTED, any number of them, and ANSWER. */
	IPCFS_AMQP_LIST,
	/*
	 * One queue or more. number: that of LIST. body: ipcfs_amqp_listed_add has written it. A
	 * list has at most IPCFS_AMQP_LISTED_MAX; the text of ANSWER says that there are more.
	 */
	IPCFS_AMQP_LISTED,
	/*
	 * Asks about a queue. number. text: its name. The answer is DETAILS, or ANSWER with
	 * -ENOENT: there is no queue of this name.
	 */
	IPCFS_AMQP_DETAIL,
	/* Answer to DETAIL. number. text: strings of printable ASCII, `enum ipcfs_amqp_details`. */
	IPCFS_AMQP_DETAILS,
	IPCFS_AMQP_TYPES
};

enum ipcfs_amqp_flag {
	IPCFS_AMQP_GOT = 1 << 0,	 /* the answer to a GET */
	IPCFS_AMQP_REDELIVERED = 1 << 1, /* another reader may have had the message */
	IPCFS_AMQP_TELL = 1 << 2,	 /* say SETTLED */
};

/*
 * A record begins with this. `text` bytes of text follow, and a body of at most
 * IPCFS_AMQP_INLINE_MAX bytes. A longer body is a memfd that is sent along.
 */
struct ipcfs_amqp_record {
	uint8_t type;  /* enum ipcfs_amqp_type */
	uint8_t flags; /* enum ipcfs_amqp_flag */
	uint8_t priority;
	uint8_t unused;	   /* 0 */
	uint32_t queue;	   /* number of the queue, not 0 */
	int32_t error;	   /* 0 or a negative errno */
	uint32_t text;	   /* bytes */
	uint32_t body;	   /* bytes */
	uint32_t readers;  /* WANT: see there; ANSWER: consumers of the queue */
	uint64_t number;   /* not 0 */
	uint64_t messages; /* that the queue has ready */
};

/* The strings of LOGIN. Numbers are decimal. "" where the comment has a condition. */
enum ipcfs_amqp_login {
	IPCFS_AMQP_LOGIN_HOST, /* with TLS a DNS name, which the certificate must have */
	IPCFS_AMQP_LOGIN_PORT,
	IPCFS_AMQP_LOGIN_VHOST,
	IPCFS_AMQP_LOGIN_USER,		/* unless there is a certificate */
	IPCFS_AMQP_LOGIN_PASSWORD_FILE, /* its first line; unless there is a certificate */
	IPCFS_AMQP_LOGIN_CA,		/* file of certificates; "": no TLS */
	IPCFS_AMQP_LOGIN_CERT,		/* file, with TLS only: EXTERNAL, the user is its name */
	IPCFS_AMQP_LOGIN_KEY,		/* file, with a certificate */
	IPCFS_AMQP_LOGIN_HEARTBEAT,	/* seconds, 1 to 3600 */
	IPCFS_AMQP_LOGIN_MAX_MESSAGE,	/* bytes */
	IPCFS_AMQP_LOGIN_SOURCE, /* 1 to 64 letters, digits, -: message_id is SOURCE-NUMBER */
	IPCFS_AMQP_LOGIN_UID,	 /* becomes this user before it connects; "": stays as it is */
	IPCFS_AMQP_LOGIN_GID,	 /* with a uid */
	IPCFS_AMQP_LOGIN_STRINGS
};

/* The strings of MAKE. All but the first two may be "". Numbers are decimal. */
enum ipcfs_amqp_make {
	IPCFS_AMQP_MAKE_QUEUE,
	IPCFS_AMQP_MAKE_TYPE,	   /* "quorum" or "classic" */
	IPCFS_AMQP_MAKE_MAXLEN,	   /* messages */
	IPCFS_AMQP_MAKE_MAXBYTES,  /* bytes of all messages */
	IPCFS_AMQP_MAKE_TTL,	   /* ms */
	IPCFS_AMQP_MAKE_DEAD,	   /* the queue for dead letters */
	IPCFS_AMQP_MAKE_REDELIVER, /* deliveries */
	IPCFS_AMQP_MAKE_PRIO,	   /* the largest priority, 1 to 255 */
	IPCFS_AMQP_MAKE_STRINGS
};

/* The strings of API. */
enum ipcfs_amqp_api_login {
	IPCFS_AMQP_API_URL, /* http[s]://HOST[:PORT][/PATH] */
	IPCFS_AMQP_API_VHOST,
	IPCFS_AMQP_API_USER,
	IPCFS_AMQP_API_PASSWORD_FILE, /* its first line */
	IPCFS_AMQP_API_CA,	      /* file of certificates, for https */
	IPCFS_AMQP_API_CERT,	      /* file, with https; "": none */
	IPCFS_AMQP_API_KEY,	      /* file, with a certificate */
	IPCFS_AMQP_API_UID,	      /* becomes this user before it connects; "": stays as it is */
	IPCFS_AMQP_API_GID,	      /* with a uid */
	IPCFS_AMQP_API_STRINGS
};

/* The strings of DETAILS. Numbers are decimal. */
enum ipcfs_amqp_details {
	IPCFS_AMQP_DETAILS_TYPE,      /* "quorum", "classic" and so on */
	IPCFS_AMQP_DETAILS_UNACKED,   /* messages */
	IPCFS_AMQP_DETAILS_BYTES,     /* of all messages */
	IPCFS_AMQP_DETAILS_LEADER,    /* node */
	IPCFS_AMQP_DETAILS_MEMBERS,   /* nodes, with blanks between */
	IPCFS_AMQP_DETAILS_ARGUMENTS, /* JSON */
	IPCFS_AMQP_DETAILS_STRINGS
};

/* A queue of a list. */
struct ipcfs_amqp_listed {
	uint64_t messages, bytes;
	char name[IPCFS_AMQP_NAME_MAX + 1];
};

/* A record as it was received. */
struct ipcfs_amqp_packet {
	struct ipcfs_amqp_record record;
	int descriptor; /* of a long body; belongs to the receiver; -1: none */
	char bytes[IPCFS_AMQP_TEXT_MAX + IPCFS_AMQP_INLINE_MAX]; /* text, then body; no NUL added */
};

/*
 * Sends one record without waiting. text: record->text bytes. body: record->body bytes; a long one
 * is copied to a memfd.
 * -EAGAIN: the socket has no room.
 * -EPIPE: the other end is closed.
 * -ENOMEM, -EMFILE, -ENFILE: no memfd could be made.
 * Errors of sendmsg(2) but EINTR.
 */
int ipcfs_amqp_send(int socket, const struct ipcfs_amqp_record *record, const void *text,
		    const void *body);

/*
 * Receives one record without waiting, and returns 1; or 0: the other end is closed.
 * -EAGAIN: there is none.
 * -EPROTO: the record is wrong. The caller must not go on with this peer.
 * Errors of recvmsg(2) but EINTR.
 */
int ipcfs_amqp_receive(int socket, enum ipcfs_amqp_direction direction,
		       struct ipcfs_amqp_packet *packet);

/*
 * Returns whether a packet of `size` bytes, from the record on, is legal in this direction. Pure;
 * called by ipcfs_amqp_receive.
 */
bool ipcfs_amqp_is_legal(const struct ipcfs_amqp_packet *packet, size_t size,
			 enum ipcfs_amqp_direction direction);

/*
 * Copies the packet's body, packet->record.body bytes.
 * -EPROTO: the memfd is shorter.
 * Errors of pread(2) but EINTR.
 */
int ipcfs_amqp_body(const struct ipcfs_amqp_packet *packet, void *body);

/*
 * Appends a string and its NUL to text with `*size` of IPCFS_AMQP_TEXT_MAX bytes.
 * -E2BIG: there is no room.
 */
int ipcfs_amqp_string_add(char *text, uint32_t *size, const char *string);

/*
 * Appends a queue to a list with `*size` of IPCFS_AMQP_INLINE_MAX bytes.
 * -E2BIG: there is no room.
 */
int ipcfs_amqp_listed_add(char *list, uint32_t *size, const struct ipcfs_amqp_listed *queue);

/*
 * Takes the first queue of a list that ends at `end`, and moves *list behind it. Returns 1; or 0:
 * there is none.
 * -EPROTO: the list is malformed.
 */
int ipcfs_amqp_listed_next(const char **list, const char *end, struct ipcfs_amqp_listed *queue);

/* Sets `count` strings to those of the text. Returns false if it has not exactly so many. */
bool ipcfs_amqp_strings(const char *text, size_t size, const char **strings, size_t count);

#endif
