/* SPDX-License-Identifier: MIT */
#include "fs/audit/audit.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "fs/access/caller.h"
#include "fs/audit/audit_budget.h"
#include "fs/audit/audit_sink.h"
#include "fs/base/clock.h"
#include "fs/base/counters.h"
#include "fs/base/log.h"

#define BUFFER_SIZE (512 * 1024) /* bytes; more than a burst of one uid with long names */
#define STACK (256 * 1024)
#define PUT_MS 100	  /* for one record, unless the target failed before */
#define SUMMARY_MS 1000	  /* between summaries */
#define DRAIN_MS 200	  /* for all records that are left at the end */
#define COMPLAIN_MS 60000 /* between log messages about a failing target */

/*
 * Records one behind the other: HEAD bytes (severity, and two of length), the text, a byte for a
 * newline.
 */
struct buffer {
	char *bytes;
	size_t used;
};

#define HEAD 3

struct ipcfs_audit_queue {
	pthread_mutex_t lock; /* guards what follows, up to `deadline` */
	pthread_cond_t wake;
	struct buffer filling;
	struct ipcfs_audit_budgets budgets;
	uint64_t dropped; /* records that found the buffer full */
	bool stopping;
	uint64_t deadline; /* ms: of the writer, while stopping */

	/* Used by the writer only. */
	struct buffer writing;
	struct ipcfs_audit_sink sink;
	const char *target;
	uint64_t summed;     /* ms: when summaries were written last */
	uint64_t lost;	     /* records since the target began to fail */
	uint64_t complained; /* ms: when a failing target was logged last; 0: never */
	bool failing;

	bool running;
	pthread_t thread;
};

static uint64_t now_ms(void)
{
	return ipcfs_clock_ns() / 1000000;
}

/* Appends a record. Call with queue->lock held. False: the buffer is full. */
static bool append(struct buffer *buffer, const char *record, size_t size,
		   enum ipcfs_audit_severity severity)
{
	char *at = buffer->bytes + buffer->used;

	if (BUFFER_SIZE - buffer->used < HEAD + size + 1)
		return false;
	at[0] = (char)severity;
	at[1] = (char)(size & 0xff);
	at[2] = (char)(size >> 8);
	memcpy(at + HEAD, record, size);
	buffer->used += HEAD + size + 1;
	return true;
}

/* Spends one record of the uid's budget. False: it is used up, and the record was counted. */
static bool may_record(struct ipcfs_audit_queue *queue, uid_t uid)
{
	bool may, first;

	pthread_mutex_lock(&queue->lock);
	first = !queue->budgets.any_suppressed;
	may = ipcfs_audit_spend(&queue->budgets, uid, now_ms());
	if (!may)
		ipcfs_count_lost("flood");
	if (!may && first)
		pthread_cond_signal(&queue->wake); /* a summary has to be written later */
	pthread_mutex_unlock(&queue->lock);
	return may;
}

void ipcfs_audit(struct ipcfs_audit *audit, const struct ipcfs_audit_event *event)
{
	struct ipcfs_audit_queue *queue = audit->queue;
	struct ipcfs_audit_program program = { 0 };
	char record[IPCFS_AUDIT_RECORD_MAX];
	int saved = errno;
	struct timespec when;
	size_t size;

	/* First, before anything that takes time. */
	if (!may_record(queue, ipcfs_authority_payer(event->tid, event->uid))) {
		errno = saved;
		return;
	}
	clock_gettime(CLOCK_REALTIME, &when);
	ipcfs_caller_program(event->tid, &program.pid, program.name);
	size = ipcfs_audit_format(record, event, &program, &when);
	pthread_mutex_lock(&queue->lock);
	if (!append(&queue->filling, record, size,
		    event->error ? IPCFS_AUDIT_REFUSED : IPCFS_AUDIT_ALLOWED)) {
		queue->dropped++;
		ipcfs_count_lost("buffer");
	}
	pthread_cond_signal(&queue->wake);
	pthread_mutex_unlock(&queue->lock);
	errno = saved;
}

/* From here on: the thread that writes. */

/*
 * Writes one record. Does not wait if the target did not take the last one, and at the end not
 * beyond the deadline. -ETIME: the deadline has passed.
 */
static int put_now(struct ipcfs_audit_queue *queue, char *record, size_t size,
		   enum ipcfs_audit_severity severity)
{
	int timeout_ms = queue->failing ? 0 : PUT_MS;
	uint64_t now = now_ms(), until = now + PUT_MS;

	pthread_mutex_lock(&queue->lock);
	if (queue->stopping)
		until = queue->deadline;
	pthread_mutex_unlock(&queue->lock);
	if (now >= until)
		return -ETIME;
	if (timeout_ms > (int)(until - now))
		timeout_ms = (int)(until - now);
	return ipcfs_audit_sink_put(&queue->sink, record, size, severity, timeout_ms);
}

static void put_summary(struct ipcfs_audit_queue *queue, const char *uid, uint64_t count,
			const char *reason)
{
	char record[IPCFS_AUDIT_RECORD_MAX];
	struct timespec when;
	size_t size;

	clock_gettime(CLOCK_REALTIME, &when);
	size = ipcfs_audit_format_summary(record, uid, count, reason, &when);
	/* A lost summary counts as the records that it stands for. */
	if (put_now(queue, record, size, IPCFS_AUDIT_SUPPRESSED))
		queue->lost += count;
}

/* Counts a record that was lost, and reports all lost ones when the target works again. */
static void note_result(struct ipcfs_audit_queue *queue, int err)
{
	uint64_t now = now_ms(), lost = queue->lost;

	queue->failing = err != 0;
	if (!err) {
		queue->lost = 0;
		if (lost)
			put_summary(queue, NULL, lost, "target");
		return;
	}
	queue->lost++;
	ipcfs_count_lost("target");
	if (lost || err == -ETIME || (queue->complained && now - queue->complained < COMPLAIN_MS))
		return;
	queue->complained = now;
	ipcfs_log(LOG_ERR, "audit: %s: %s; records are lost and counted", queue->target,
		  strerror(-err));
}

static void put(struct ipcfs_audit_queue *queue, char *record, size_t size,
		enum ipcfs_audit_severity severity)
{
	note_result(queue, put_now(queue, record, size, severity));
}

/* Writes how many records were not made, for each uid, and how many found the buffer full. */
static void write_summaries(struct ipcfs_audit_queue *queue)
{
	uint64_t count, dropped;
	bool shared, more = true;
	unsigned at = 0;
	char name[16];
	uid_t uid;

	queue->summed = now_ms();
	while (more) {
		pthread_mutex_lock(&queue->lock);
		more = ipcfs_audit_take_count(&queue->budgets, &at, &uid, &shared, &count);
		pthread_mutex_unlock(&queue->lock);
		snprintf(name, sizeof(name), "%u", more ? uid : 0);
		if (more)
			put_summary(queue, shared ? "others" : name, count, "flood");
	}
	pthread_mutex_lock(&queue->lock);
	dropped = queue->dropped;
	queue->dropped = 0;
	pthread_mutex_unlock(&queue->lock);
	if (dropped)
		put_summary(queue, NULL, dropped, "buffer");
}

static void write_records(struct ipcfs_audit_queue *queue)
{
	struct buffer *buffer = &queue->writing;

	if (buffer->used)
		ipcfs_audit_sink_renew(&queue->sink);
	for (size_t at = 0; at < buffer->used;) {
		char *head = buffer->bytes + at;
		size_t size = (unsigned char)head[1] | (size_t)(unsigned char)head[2] << 8;

		put(queue, head + HEAD, size, (enum ipcfs_audit_severity)head[0]);
		at += HEAD + size + 1;
	}
	buffer->used = 0;
}

static bool has_summaries(const struct ipcfs_audit_queue *queue)
{
	return queue->dropped || queue->budgets.any_suppressed;
}

/* Waits for records, or for the time of a summary if one is needed. Call with queue->lock held. */
static void wait_for_work(struct ipcfs_audit_queue *queue)
{
	while (!queue->stopping && !queue->filling.used) {
		uint64_t at = queue->summed + SUMMARY_MS;
		struct timespec until = { .tv_sec = (time_t)(at / 1000),
					  .tv_nsec = (long)(at % 1000) * 1000000 };

		if (!has_summaries(queue))
			pthread_cond_wait(&queue->wake, &queue->lock);
		else if (now_ms() >= at)
			return;
		else
			pthread_cond_timedwait(&queue->wake, &queue->lock, &until);
	}
}

static void *write_out(void *arg)
{
	struct ipcfs_audit_queue *queue = arg;
	bool stopping = false, due;

	while (!stopping) {
		struct buffer full;

		pthread_mutex_lock(&queue->lock);
		wait_for_work(queue);
		full = queue->filling;
		queue->filling = queue->writing;
		queue->writing = full;
		stopping = queue->stopping;
		due = has_summaries(queue) && (stopping || now_ms() >= queue->summed + SUMMARY_MS);
		pthread_mutex_unlock(&queue->lock);
		write_records(queue);
		if (due)
			write_summaries(queue);
	}
	if (queue->lost)
		ipcfs_log(LOG_ERR, "audit: %s: %" PRIu64 " records were lost", queue->target,
			  queue->lost);
	return NULL;
}

static void free_queue(struct ipcfs_audit_queue *queue)
{
	free(queue->filling.bytes);
	free(queue->writing.bytes);
	pthread_cond_destroy(&queue->wake);
	pthread_mutex_destroy(&queue->lock);
	free(queue);
}

static struct ipcfs_audit_queue *new_queue(void)
{
	struct ipcfs_audit_queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return NULL;
	pthread_mutex_init(&queue->lock, NULL);
	ipcfs_clock_cond_init(&queue->wake);
	queue->filling.bytes = malloc(BUFFER_SIZE);
	queue->writing.bytes = malloc(BUFFER_SIZE);
	if (!queue->filling.bytes || !queue->writing.bytes) {
		free_queue(queue);
		return NULL;
	}
	return queue;
}

int ipcfs_audit_create(struct ipcfs_audit *audit, const char *target, enum ipcfs_audit_level level)
{
	struct ipcfs_audit_queue *queue = new_queue();
	int err;

	if (!queue)
		return -ENOMEM;
	queue->target = target;
	err = ipcfs_audit_sink_open(&queue->sink, target);
	if (err) {
		free_queue(queue);
		return err;
	}
	*audit = (struct ipcfs_audit){ .level = level, .queue = queue };
	return 0;
}

int ipcfs_audit_start(struct ipcfs_audit *audit)
{
	struct ipcfs_audit_queue *queue = audit->queue;
	pthread_attr_t attributes;
	sigset_t all, before;
	int error;

	if (!queue)
		return 0;
	error = pthread_attr_init(&attributes);
	if (error)
		return -error;
	pthread_attr_setstacksize(&attributes, STACK);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&queue->thread, &attributes, write_out, queue);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	queue->running = !error;
	if (!error)
		(void)pthread_setname_np(queue->thread, "ipcfs-audit");
	return -error;
}

/* Ends the writer. False: it is stuck in writing to the target. */
static bool join_writer(struct ipcfs_audit_queue *queue)
{
	struct timespec until;

	pthread_mutex_lock(&queue->lock);
	queue->stopping = true;
	queue->deadline = now_ms() + DRAIN_MS;
	pthread_cond_signal(&queue->wake);
	pthread_mutex_unlock(&queue->lock);
	until = ipcfs_clock_after(CLOCK_REALTIME, DRAIN_MS + PUT_MS);
	return pthread_timedjoin_np(queue->thread, NULL, &until) == 0;
}

void ipcfs_audit_finish(struct ipcfs_audit *audit)
{
	struct ipcfs_audit_queue *queue = audit->queue;

	if (queue && queue->running && join_writer(queue))
		queue->running = false;
}

void ipcfs_audit_destroy(struct ipcfs_audit *audit)
{
	struct ipcfs_audit_queue *queue = audit->queue;

	*audit = (struct ipcfs_audit){ 0 };
	if (!queue)
		return;
	if (queue->running && !join_writer(queue)) {
		ipcfs_log(LOG_ERR, "audit: %s is stuck; records are lost", queue->target);
		pthread_detach(queue->thread);
		return;
	}
	ipcfs_audit_sink_close(&queue->sink);
	free_queue(queue);
}
