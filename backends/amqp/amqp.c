/* SPDX-License-Identifier: MIT */
/* The classes amqp/CONNECTION. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "backends/amqp/connection.h"
#include "backends/amqp/link.h"
#include "backends/amqp/names.h"
#include "backends/amqp/starter.h"
#include "backends/caller/authority.h"
#include "backends/contract/descriptor.h"

#define STEP_NAMES 256	       /* that a walk looks at in one step */
#define BRIEFLY_NS 10000000ULL /* a lookup holds up a session thread for no longer */

static struct {
	struct ipcfs_amqp_connection *all[IPCFS_AMQP_CONNECTIONS_MAX];
	size_t count;
} connections;

void ipcfs_amqp_settings_free(struct ipcfs_amqp_settings *settings)
{
	char *const strings[] = { settings->name,   settings->vhost,	     settings->user,
				  settings->ca,	    settings->cert,	     settings->key,
				  settings->helper, settings->password_file, settings->api,
				  settings->api_ca };

	for (size_t i = 0; i < sizeof(strings) / sizeof(*strings); i++)
		free(strings[i]);
	for (size_t i = 0; i < settings->host_count; i++)
		free(settings->hosts[i]);
	for (size_t i = 0; i < settings->rule_count; i++)
		free(settings->rules[i].pattern);
	free(settings->rules);
	*settings = (struct ipcfs_amqp_settings){ 0 };
}

static int check_name(const char *shown)
{
	char name[IPCFS_AMQP_NAME_MAX + 1], again[NAME_MAX + 1];

	if (strlen(shown) > NAME_MAX)
		return -ENAMETOOLONG;
	if (ipcfs_amqp_name_read(shown, name) || ipcfs_amqp_name_show(name, again) ||
	    strcmp(shown, again) != 0)
		return -EINVAL;
	return strncmp(name, "amq.", 4) ? 0 : -EACCES; /* the broker's own */
}

static void fill_info(const struct ipcfs_amqp_connection *connection,
		      const struct ipcfs_amqp_queue *queue, struct ipcfs_info *info)
{
	*info = (struct ipcfs_info){
		.ref = { .serial = queue->serial },
		.perm = queue->perm,
		.atime = queue->since,
		.mtime = queue->since,
		.ctime = queue->since,
		.size = ipcfs_amqp_api_lists(connection) ? queue->bytes : 0,
		.messages = queue->told > queue->looked ? queue->told_messages : queue->messages,
	};
	strcpy(info->ref.name, queue->shown); /* both have NAME_MAX bytes */
}

/* As `find`, or with `size` as `stat` of the queue of this name. */
static int find_queue(const struct ipcfs_space *space, const char *name, bool size,
		      struct ipcfs_info *info)
{
	struct ipcfs_amqp_connection *connection = ipcfs_amqp_of(space);
	struct ipcfs_amqp_queue *queue;
	int err;

	pthread_mutex_lock(&connection->lock);
	err = ipcfs_amqp_queue_find(connection, name, BRIEFLY_NS, false, &queue);
	if (!err && size)
		err = ipcfs_amqp_api_size(connection, &queue);
	if (!err)
		fill_info(connection, queue, info);
	pthread_mutex_unlock(&connection->lock);
	return err;
}

static int find(const struct ipcfs_space *space, const char *name, struct ipcfs_info *info)
{
	return find_queue(space, name, false, info);
}

static int stat_brief(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      struct ipcfs_info *info)
{
	int err = find_queue(space, ref->name, false, info);

	return !err && info->ref.serial != ref->serial ? -ENOENT : err;
}

static int stat_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		    struct ipcfs_info *info)
{
	int err = find_queue(space, ref->name, true, info);

	return !err && info->ref.serial != ref->serial ? -ENOENT : err;
}

/* Returns the name at this place of the listing: those of the rules come first. NULL: none. */
static const char *name_at(const struct ipcfs_amqp_connection *connection, size_t index,
			   char shown[NAME_MAX + 1])
{
	const struct ipcfs_amqp_settings *settings = &connection->settings;
	const struct ipcfs_amqp_queue *queue;

	if (index < settings->rule_count) {
		const char *pattern = settings->rules[index].pattern;

		if (strpbrk(pattern, "*?[") || ipcfs_amqp_name_show(pattern, shown))
			return NULL;
		return shown;
	}
	queue = connection->queues[index - settings->rule_count];
	if (!queue || queue->gone)
		return NULL;
	for (size_t i = 0; i < settings->rule_count; i++)
		if (!strcmp(settings->rules[i].pattern, queue->name))
			return NULL; /* it came before */
	return strcpy(shown, queue->shown);
}

/* Sets *name to the next name of the listing. Returns whether there may be more behind it. */
static bool next_name(struct ipcfs_amqp_connection *connection, struct ipcfs_walk *at,
		      struct ipcfs_info *info)
{
	size_t count;

	*info = (struct ipcfs_info){ 0 };
	pthread_mutex_lock(&connection->lock);
	if (!at->index)
		ipcfs_amqp_api_list(connection);
	count = connection->settings.rule_count + connection->queue_count;
	if ((size_t)at->index >= count || !name_at(connection, (size_t)at->index, info->ref.name))
		info->ref.name[0] = '\0';
	pthread_mutex_unlock(&connection->lock);
	at->index++;
	return (size_t)at->index < count;
}

static int walk(const struct ipcfs_space *space, struct ipcfs_walk *at,
		int (*each)(void *arg, const struct ipcfs_info *info), void *arg)
{
	bool more = true;
	int err = 0;

	for (int i = 0; i < STEP_NAMES && more && !err; i++) {
		struct ipcfs_info info;

		more = next_name(ipcfs_amqp_of(space), at, &info);
		if (*info.ref.name)
			err = each(arg, &info);
	}
	return err ? err : more;
}

static uint64_t at_most(const struct ipcfs_space *space)
{
	struct ipcfs_amqp_connection *connection = ipcfs_amqp_of(space);
	uint64_t count;

	pthread_mutex_lock(&connection->lock);
	count = connection->settings.rule_count + connection->queue_count;
	pthread_mutex_unlock(&connection->lock);
	return count;
}

/* Returns the number of a specification as text; "": it is not given. */
static const char *given(const struct ipcfs_spec *spec, uint32_t key, uint64_t number,
			 char text[24])
{
	text[0] = '\0';
	if (spec->given & key)
		snprintf(text, 24, "%llu", (unsigned long long)number);
	return text;
}

/* Asks the broker for a new queue. -EINVAL: the name of dead= is none. Other errors of MAKE. */
static int ask_make(struct ipcfs_amqp_connection *connection, const char *name,
		    const struct ipcfs_spec *spec)
{
	char numbers[5][24], dead[IPCFS_AMQP_NAME_MAX + 1] = "", text[IPCFS_AMQP_TEXT_MAX];
	const char *strings[IPCFS_AMQP_MAKE_STRINGS] = {
		[IPCFS_AMQP_MAKE_QUEUE] = name,
		[IPCFS_AMQP_MAKE_TYPE] = spec->given & IPCFS_SPEC_BROKER_TYPE ? spec->broker.type
									      : "quorum",
		[IPCFS_AMQP_MAKE_MAXLEN] = given(spec, IPCFS_SPEC_BROKER_MAX_LENGTH,
						 spec->broker.max_length, numbers[0]),
		[IPCFS_AMQP_MAKE_MAXBYTES] = given(spec, IPCFS_SPEC_BROKER_MAX_BYTES,
						   spec->broker.max_bytes, numbers[1]),
		[IPCFS_AMQP_MAKE_TTL] = given(spec, IPCFS_SPEC_BROKER_TTL, spec->broker.ttl,
					      numbers[2]),
		[IPCFS_AMQP_MAKE_DEAD] = dead,
		[IPCFS_AMQP_MAKE_REDELIVER] = given(spec, IPCFS_SPEC_BROKER_REDELIVER,
						    spec->broker.redeliver, numbers[3]),
		[IPCFS_AMQP_MAKE_PRIO] = given(spec, IPCFS_SPEC_BROKER_PRIORITIES,
					       spec->broker.priorities, numbers[4]),
	};
	struct ipcfs_amqp_question question;
	uint32_t size = 0;
	int err = 0;

	if (spec->given & IPCFS_SPEC_BROKER_DEAD && ipcfs_amqp_name_read(spec->broker.dead, dead))
		return -EINVAL;
	for (size_t i = 0; !err && i < IPCFS_AMQP_MAKE_STRINGS; i++)
		err = ipcfs_amqp_string_add(text, &size, strings[i]);
	return err ? err : ipcfs_amqp_ask(connection, IPCFS_AMQP_MAKE, text, size, &question);
}

static int make(const struct ipcfs_space *space, const struct ipcfs_spec *spec,
		const struct ipcfs_caller *caller, struct ipcfs_info *info, const char **limit)
{
	struct ipcfs_amqp_connection *connection = ipcfs_amqp_of(space);
	char name[IPCFS_AMQP_NAME_MAX + 1];
	struct ipcfs_amqp_queue *queue;
	int err = check_name(spec->name);

	(void)caller; /* fs/ has judged it: the broker knows the daemon only */
	*limit = NULL;
	if (!err)
		err = ipcfs_amqp_name_read(spec->name, name);
	if (err)
		return err;
	pthread_mutex_lock(&connection->lock);
	err = ask_make(connection, name, spec);
	if (!err)
		err = ipcfs_amqp_queue_note(connection, name, &queue);
	if (!err)
		fill_info(connection, queue, info);
	pthread_mutex_unlock(&connection->lock);
	return err;
}

static int remove_ref(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		      const struct ipcfs_caller *caller)
{
	struct ipcfs_amqp_connection *connection = ipcfs_amqp_of(space);
	struct ipcfs_amqp_question question;
	struct ipcfs_amqp_queue *queue;
	char name[IPCFS_AMQP_NAME_MAX + 1];
	int err = ipcfs_amqp_name_read(ref->name, name);

	(void)caller;
	if (err)
		return err;
	pthread_mutex_lock(&connection->lock);
	err = ipcfs_amqp_queue_at(connection, ref->serial) ? 0 : -ENOENT;
	if (!err)
		err = ipcfs_amqp_ask(connection, IPCFS_AMQP_REMOVE, name, strlen(name), &question);
	queue = ipcfs_amqp_queue_at(connection, ref->serial); /* the lock was released */
	if (queue && (!err || err == -ENOENT))
		ipcfs_amqp_queue_gone(connection, queue);
	pthread_mutex_unlock(&connection->lock);
	return err;
}

static int change(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		  const struct ipcfs_change *wanted, const struct ipcfs_caller *caller)
{
	(void)space, (void)ref, (void)wanted, (void)caller;
	return -EOPNOTSUPP; /* the rules are in the configuration */
}

static int acl(const struct ipcfs_space *space, const struct ipcfs_ref *ref, struct ipcfs_acl *acl)
{
	(void)space, (void)ref;
	*acl = (struct ipcfs_acl){ 0 };
	return 0;
}

static int acl_of(int handle, struct ipcfs_acl *acl)
{
	(void)handle;
	*acl = (struct ipcfs_acl){ 0 };
	return 0;
}

static int set_acl(const struct ipcfs_space *space, const struct ipcfs_ref *ref,
		   const struct ipcfs_acl *acl, const struct ipcfs_caller *caller)
{
	(void)space, (void)ref, (void)acl, (void)caller;
	return -EOPNOTSUPP;
}

static const struct ipcfs_class class = {
	.family = "amqp",
	.rule = IPCFS_RULE_FILE,
	.spec_keys = IPCFS_SPEC_BROKER,
	.check_name = check_name,
	.find = find,
	.stat_brief = stat_brief,
	.stat = stat_ref,
	.walk = walk,
	.at_most = at_most,
	.make = make,
	.remove = remove_ref,
	.change = change,
	.acl = acl,
	.acl_of = acl_of,
	.set_acl = set_acl,
	.status = ipcfs_amqp_queue_status,
	.queue = &ipcfs_amqp_queue_ops,
};

/* The space of a connection lives as long as the daemon. */
static void keep_space(struct ipcfs_space *space)
{
	(void)space;
}

/* Sets what the fields of a connection are made of. Takes the settings. */
static void fill_connection(struct ipcfs_amqp_connection *connection,
			    struct ipcfs_amqp_settings *settings)
{
	connection->settings = *settings;
	*settings = (struct ipcfs_amqp_settings){ 0 };
	connection->space = (struct ipcfs_space){ .references = 1,
						  .destroy = keep_space,
						  .mq = -1,
						  .mq_mount = -1,
						  .shm = -1,
						  .process = -1,
						  .ns = -1 };
	ipcfs_authority_own(&connection->space.authority);
	connection->class = class;
	connection->class.name = connection->settings.name;
	connection->class.space = &connection->space;
	ipcfs_amqp_connection_makers(connection);
	connection->since = time(NULL);
}

/* Makes the word of this start, with which message_id begins: the boot's and the time. */
static void make_source(struct ipcfs_amqp_connection *connection)
{
	struct timespec now;
	char boot[16] = "";

	clock_gettime(CLOCK_REALTIME, &now);
	if (ipcfs_descriptor_read_path("/proc/sys/kernel/random/boot_id", boot, 9) < 8)
		strcpy(boot, "0");
	snprintf(connection->source, sizeof(connection->source), "%s-%llx%lx", boot,
		 (unsigned long long)now.tv_sec, (unsigned long)now.tv_nsec);
}

int ipcfs_amqp_add(struct ipcfs_amqp_settings *settings)
{
	struct ipcfs_amqp_connection *connection;
	int err;

	if (connections.count == IPCFS_AMQP_CONNECTIONS_MAX)
		return -ENOSPC;
	connection = calloc(1, sizeof(*connection));
	if (!connection)
		return -ENOMEM;
	err = ipcfs_amqp_link_init(connection);
	if (asprintf(&connection->api.path, "%s-api", settings->helper) < 0) {
		connection->api.path = NULL;
		err = -ENOMEM;
	}
	if (!err)
		err = ipcfs_classes_add(&connection->class);
	if (err) {
		free(connection->api.path);
		free(connection);
		return err;
	}
	fill_connection(connection, settings);
	make_source(connection);
	ipcfs_amqp_api_init(connection);
	connection->program = ipcfs_amqp_starter_program(connection->settings.helper);
	connection->api.program = ipcfs_amqp_starter_program(connection->api.path);
	connections.all[connections.count++] = connection;
	return 0;
}

static struct ipcfs_amqp_connection *connection_named(const char *name)
{
	for (size_t i = 0; i < connections.count; i++)
		if (!strcmp(connections.all[i]->class.name, name))
			return connections.all[i];
	return NULL;
}

const char *ipcfs_amqp_refuse_change(const struct ipcfs_amqp_settings *settings, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct ipcfs_amqp_connection *connection = connection_named(settings[i].name);

		if (!connection)
			return "a section is new";
		if (!ipcfs_amqp_connection_can_change(connection, &settings[i]))
			return "helper is another program";
	}
	return count < connections.count ? "a section is missing" : NULL;
}

void ipcfs_amqp_change(struct ipcfs_amqp_settings *settings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ipcfs_amqp_connection_change(connection_named(settings[i].name), &settings[i]);
}

int ipcfs_amqp_fork(void)
{
	return connections.count ? ipcfs_amqp_starter_fork() : 0;
}

int ipcfs_amqp_start(ipcfs_amqp_ready_hook *ready, void *arg)
{
	int err = 0;

	for (size_t i = 0; !err && i < connections.count; i++)
		err = ipcfs_amqp_link_start(connections.all[i], ready, arg);
	return err;
}

void ipcfs_amqp_stop(void)
{
	for (size_t i = 0; i < connections.count; i++)
		ipcfs_amqp_link_stop(connections.all[i]);
	ipcfs_amqp_starter_stop();
}

int ipcfs_amqp_status(struct ipcfs_text *out)
{
	int err = 0;

	for (size_t i = 0; !err && i < connections.count; i++) {
		if (i)
			err = ipcfs_text_add(out, "\n", 1);
		pthread_mutex_lock(&connections.all[i]->lock);
		if (!err)
			err = ipcfs_amqp_connection_status(connections.all[i], out);
		pthread_mutex_unlock(&connections.all[i]->lock);
	}
	return err;
}
