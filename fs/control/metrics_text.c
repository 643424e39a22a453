/* SPDX-License-Identifier: MIT */
#include "fs/control/metrics_text.h"

#include "fs/base/counters.h"
#include "fs/tree/node.h"

/* Who is told of a family. */
enum scope {
	TO_ALL = 0,
	IF_WHOLE = 1 << 0, /* openers from whom nothing is hidden */
	AT_HOME = 1 << 1,  /* in the daemon's own namespace only */
};

/* A family of samples. */
struct family {
	const char *name, *type, *help;
	/* Appends the samples. -ENOMEM. */
	int (*add)(const struct ipcfs_metrics *metrics, const struct family *family,
		   struct ipcfs_text *out);
	bool (*has)(const struct ipcfs_class *class); /* add_sums: the classes that have samples */
	size_t offset; /* add_sums: in struct ipcfs_class_sums; add_time: in struct ipcfs_metrics */
	unsigned scope; /* enum scope, or'ed */
	unsigned what;	/* add_moves: enum ipcfs_move; add_counters: enum ipcfs_counted */
};

static bool is_any(const struct ipcfs_class *class)
{
	return class;
}

static bool is_queue(const struct ipcfs_class *class)
{
	return class->queue;
}

static bool is_segment(const struct ipcfs_class *class)
{
	return class->segment;
}

static bool is_semaphore(const struct ipcfs_class *class)
{
	return class->semaphore;
}

/* Returns whether the state of an object may be known to its readers only. */
static bool is_withheld(const struct ipcfs_class *class)
{
	return class->rule == IPCFS_RULE_FILE && !class->segment;
}

static bool is_kernel_segment(const struct ipcfs_class *class)
{
	return class->segment && class->segment->memory;
}

static int add_class(const struct family *family, const struct ipcfs_class *class, uint64_t value,
		     struct ipcfs_text *out)
{
	return ipcfs_text_printf(out, "%s{class=\"%s/%s\"} %llu\n", family->name, class->family,
				 class->name, (unsigned long long)value);
}

static int add_build(const struct ipcfs_metrics *metrics, const struct family *family,
		     struct ipcfs_text *out)
{
	(void)metrics;
	return ipcfs_text_printf(out, "%s{version=\"%s\"} 1\n", family->name, IPCFS_VERSION);
}

static int add_sums(const struct ipcfs_metrics *metrics, const struct family *family,
		    struct ipcfs_text *out)
{
	const struct ipcfs_class *class;
	int err = 0;

	for (uint32_t i = 1; !err && (class = ipcfs_class_at(i)); i++) {
		const char *sums = (const char *)&metrics->sums->classes[i];

		if (family->has(class))
			err = add_class(family, class,
					*(const uint64_t *)(const void *)(sums + family->offset),
					out);
	}
	return err;
}

/* The memory of all segments of the kernel's is one number, whatever is hidden. */
static int add_memory(const struct ipcfs_metrics *metrics, const struct family *family,
		      struct ipcfs_text *out)
{
	const struct ipcfs_class *class;
	int err = 0;

	for (uint32_t i = 1; !err && (class = ipcfs_class_at(i)); i++)
		if (class->segment && (metrics->whole || !is_kernel_segment(class)))
			err = add_class(family, class, metrics->sums->classes[i].memory, out);
	return err;
}

static int add_limits(const struct ipcfs_metrics *metrics, const struct family *family,
		      struct ipcfs_text *out)
{
	const struct ipcfs_class *class;
	int err = 0;

	for (uint32_t i = 1; !err && (class = ipcfs_class_at(i)); i++)
		if (metrics->limited[i])
			err = add_class(family, class, metrics->limits[i], out);
	return err;
}

static int add_moves(const struct ipcfs_metrics *metrics, const struct family *family,
		     struct ipcfs_text *out)
{
	const struct ipcfs_class *class;
	int err = 0;

	for (uint32_t i = 1; !err && (class = ipcfs_class_at(i)); i++)
		if (class->queue)
			err = add_class(family, class, metrics->moves[i][family->what], out);
	return err;
}

/* Appends the samples of one class about callers that wait. */
static int add_waiting_of(const struct family *family, const struct ipcfs_class *class,
			  const uint64_t *waiting, struct ipcfs_text *out)
{
	static const char *const directions[] = {
		[IPCFS_RECEIVE] = "receive", [IPCFS_SEND] = "send"
	};
	const char *const *words = class->queue ? directions : ipcfs_semaphore_waits;
	size_t count = class->queue ? 2 : IPCFS_SEMAPHORE_WAITS;
	int err = 0;

	for (size_t i = 0; !err && i < count; i++) {
		bool never = !class->queue && !class->semaphore->sets &&
			     (i == IPCFS_WAITS_ZERO || i == IPCFS_WAITS_OP);

		if (!never)
			err = ipcfs_text_printf(out, "%s{class=\"%s/%s\",for=\"%s\"} %llu\n",
						family->name, class->family, class->name, words[i],
						(unsigned long long)waiting[i]);
	}
	return err;
}

static int add_waiting(const struct ipcfs_metrics *metrics, const struct family *family,
		       struct ipcfs_text *out)
{
	const struct ipcfs_class *class;
	int err = 0;

	for (uint32_t i = 1; !err && (class = ipcfs_class_at(i)); i++)
		if (class->queue || class->semaphore)
			err = add_waiting_of(family, class, metrics->sums->classes[i].waiting, out);
	return err;
}

/* Where samples of a counter go. For ipcfs_counters_each. */
struct counter_output {
	const struct family *family;
	struct ipcfs_text *out;
};

static int add_counter(void *arg, const char *word, uint64_t count)
{
	const struct counter_output *output = arg;
	const struct family *family = output->family;

	return ipcfs_text_printf(output->out, "%s{%s=\"%s\"} %llu\n", family->name,
				 ipcfs_counters_label(family->what), word,
				 (unsigned long long)count);
}

static int add_counters(const struct ipcfs_metrics *metrics, const struct family *family,
			struct ipcfs_text *out)
{
	struct counter_output output = { family, out };

	(void)metrics;
	return ipcfs_counters_each(family->what, add_counter, &output);
}

static int add_number(const struct family *family, uint64_t value, struct ipcfs_text *out)
{
	return ipcfs_text_printf(out, "%s %llu\n", family->name, (unsigned long long)value);
}

static int add_used(const struct ipcfs_metrics *metrics, const struct family *family,
		    struct ipcfs_text *out)
{
	return add_number(family, metrics->used.waiting, out);
}

static int add_waiting_limit(const struct ipcfs_metrics *metrics, const struct family *family,
			     struct ipcfs_text *out)
{
	return add_number(family, metrics->used.waiting_limit, out);
}

static int add_open(const struct ipcfs_metrics *metrics, const struct family *family,
		    struct ipcfs_text *out)
{
	return add_number(family, metrics->used.open, out);
}

static int add_namespaces(const struct ipcfs_metrics *metrics, const struct family *family,
			  struct ipcfs_text *out)
{
	return add_number(family, metrics->namespaces, out);
}

static int add_resident(const struct ipcfs_metrics *metrics, const struct family *family,
			struct ipcfs_text *out)
{
	return add_number(family, metrics->resident, out);
}

static int add_time(const struct ipcfs_metrics *metrics, const struct family *family,
		    struct ipcfs_text *out)
{
	const char *base = (const char *)metrics;
	const struct timespec *time = (const void *)(base + family->offset);

	return ipcfs_text_printf(out, "%s %lld.%03ld\n", family->name, (long long)time->tv_sec,
				 time->tv_nsec / 1000000);
}

#define SUM(field) .add = add_sums, .offset = offsetof(struct ipcfs_class_sums, field)
#define MOVED(move) .scope = IF_WHOLE, .add = add_moves, .what = (move)
#define COUNTED(kind) .scope = IF_WHOLE | AT_HOME, .add = add_counters, .what = (kind)
#define TIME(field)                                                                                \
	.scope = AT_HOME, .add = add_time, .offset = offsetof(struct ipcfs_metrics, field)

/* All families, in the order of the file. A new one is a row here. */
static const struct family families[] = {
	{ "ipcfs_build_info", "gauge", "The version of ipcfs.", .add = add_build },
	{ "ipcfs_objects", "gauge", "Objects.", SUM(objects), .has = is_any },
	{ "ipcfs_objects_limit", "gauge", "The kernel's limit on objects.", .add = add_limits },
	{ "ipcfs_objects_withheld", "gauge",
	  "Objects whose state the reader may not know, so that it is in no sum.", SUM(withheld),
	  .has = is_withheld },
	{ "ipcfs_queue_messages", "gauge", "Messages in queues.", SUM(messages), .has = is_queue },
	{ "ipcfs_queue_bytes", "gauge", "Bytes of the messages in queues.", SUM(bytes),
	  .has = is_queue },
	{ "ipcfs_queues_full", "gauge", "Queues without room for a message of one byte.", SUM(full),
	  .has = is_queue },
	{ "ipcfs_leases", "gauge", "Messages that are leased.", SUM(leases), .has = is_queue },
	{ "ipcfs_segment_bytes", "gauge", "Sizes of segments.", SUM(bytes), .has = is_segment },
	{ "ipcfs_segment_memory_bytes", "gauge", "Memory and swap that segments take.",
	  .add = add_memory },
	{ "ipcfs_segments_stale", "gauge", "Segments that nobody uses any more.", SUM(stale),
	  .has = is_kernel_segment },
	{ "ipcfs_segments_removed", "gauge", "Removed segments that are still attached.",
	  SUM(removed), .has = is_kernel_segment },
	{ "ipcfs_semaphores", "gauge", "Semaphores, each of a set.", SUM(semaphores),
	  .has = is_semaphore },
	{ "ipcfs_semaphore_holds", "gauge", "Holds that were taken and not given back.", SUM(holds),
	  .has = is_semaphore },
	{ "ipcfs_waiting_requests", "gauge", "Callers that wait in the mount.",
	  .add = add_waiting },
	{ "ipcfs_messages_sent_total", "counter", "Messages that writers sent by the mount.",
	  MOVED(IPCFS_MOVE_SENT) },
	{ "ipcfs_messages_received_total", "counter",
	  "Messages that the mount took out of queues for readers.", MOVED(IPCFS_MOVE_RECEIVED) },
	{ "ipcfs_messages_returned_total", "counter",
	  "Messages that went back into their queue, as the reader was gone.",
	  MOVED(IPCFS_MOVE_RETURNED) },
	{ "ipcfs_daemon_requests_total", "counter", "Requests of the kernel.",
	  COUNTED(IPCFS_COUNTED_REQUESTS) },
	{ "ipcfs_daemon_errors_total", "counter", "Requests that were answered with an error.",
	  COUNTED(IPCFS_COUNTED_ERRORS) },
	{ "ipcfs_daemon_denied_total", "counter", "Decisions against a caller.",
	  COUNTED(IPCFS_COUNTED_DENIED) },
	{ "ipcfs_daemon_audit_lost_total", "counter", "Records of the audit that were not written.",
	  COUNTED(IPCFS_COUNTED_LOST) },
	{ "ipcfs_events_total", "counter",
	  "Events while somebody read them; lost: those that a reader was too late for.",
	  COUNTED(IPCFS_COUNTED_EVENTS) },
	{ "ipcfs_daemon_waiting_requests", "gauge",
	  "Callers that wait and count for the limit, of all namespaces.",
	  .scope = IF_WHOLE | AT_HOME, .add = add_used },
	{ "ipcfs_daemon_waiting_requests_limit", "gauge", "The setting max_waiters_all.",
	  .scope = AT_HOME, .add = add_waiting_limit },
	{ "ipcfs_daemon_open_files", "gauge", "Open files and directories of the mount.",
	  .scope = IF_WHOLE | AT_HOME, .add = add_open },
	{ "ipcfs_daemon_namespaces", "gauge", "IPC namespaces that the daemon has open.",
	  .scope = IF_WHOLE | AT_HOME, .add = add_namespaces },
	{ "ipcfs_daemon_cpu_seconds_total", "counter", "Processor time of the daemon.", TIME(cpu) },
	{ "ipcfs_daemon_resident_memory_bytes", "gauge", "Resident memory of the daemon.",
	  .scope = AT_HOME, .add = add_resident },
	{ "ipcfs_daemon_start_time_seconds", "gauge",
	  "When the daemon started, in seconds since the epoch.", TIME(started) },
};

static bool is_told(const struct ipcfs_metrics *metrics, const struct family *family)
{
	return (metrics->whole || !(family->scope & IF_WHOLE)) &&
	       (metrics->home || !(family->scope & AT_HOME));
}

int ipcfs_metrics_text(const struct ipcfs_metrics *metrics, struct ipcfs_text *out)
{
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(families) / sizeof(*families); i++) {
		const struct family *family = &families[i];

		if (!is_told(metrics, family))
			continue;
		err = ipcfs_text_printf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name,
					family->help, family->name, family->type);
		if (!err)
			err = family->add(metrics, family, out);
	}
	return err;
}
