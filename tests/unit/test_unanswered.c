/* SPDX-License-Identifier: MIT */
/*
 * Requests without an answer go on with the next worker, in order; those that had an effect are
 * told apart. Each worker is a process that reads requests from a socket, and ends at any point.
 */
#include <linux/fuse.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs/base/clock.h"
#include "fs/base/effects.h"
#include "fs/base/fuse_header.h"
#include "fs/base/ledger.h"
#include "fs/base/legacy.h"
#include "fs/base/unanswered.h"

#define TEXT 3000 /* bytes behind the header of a request */
#define LEFT_MAX 16

/* A request as a worker got it from the one before. */
struct got {
	uint64_t unique;
	bool begun, interrupted, whole;
};

/* What the workers tell the test, in memory that they share. */
struct shared {
	unsigned count;
	struct got got[LEFT_MAX];
	uint64_t since;
};

static struct ipcfs_legacy *legacy;
static struct ipcfs_ledger *ledger;
static struct shared *shared;
static int sockets[2]; /* the kernel's end, the worker's end */
static uint32_t parked;
static struct ipcfs_unanswered_before own;

/* As assert_true, in a worker. */
static void check(bool true_, int line)
{
	if (true_)
		return;
	fprintf(stderr, "a worker failed in line %d\n", line);
	_exit(1);
}
#define CHECK(condition) check(condition, __LINE__)

static int start(void **state)
{
	int file;

	(void)state;
	legacy = ipcfs_legacy_create(true, 0, &file);
	close(file);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (!legacy || shared == MAP_FAILED)
		return -1;
	return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets);
}

static int end(void **state)
{
	(void)state;
	close(sockets[0]);
	close(sockets[1]);
	munmap(shared, sizeof(*shared));
	return munmap(legacy, sizeof(*legacy));
}

/* Runs a worker until it ends. */
static void worker(void (*run)(void))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		ledger = ipcfs_ledger_open(&legacy->ledger);
		CHECK(ledger != NULL);
		ipcfs_unanswered_use(legacy, ledger);
		run();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void send_request(uint32_t opcode, uint64_t unique, const void *body, size_t size)
{
	struct fuse_in_header head = { .len = (uint32_t)(sizeof(head) + size),
				       .opcode = opcode,
				       .unique = unique,
				       .nodeid = 5 };
	char request[sizeof(head) + TEXT];

	memcpy(request, &head, sizeof(head));
	memcpy(request + sizeof(head), body, size);
	CHECK(write(sockets[0], request, head.len) == (ssize_t)head.len);
}

/* Has this thread read a WRITE that is known by its bytes, with the slot of this index. */
static void read_request(unsigned slot, uint64_t unique)
{
	char text[TEXT];
	void *bytes = ipcfs_unanswered_slot(slot);

	memset(text, (int)unique, TEXT);
	send_request(FUSE_WRITE, unique, text, TEXT);
	CHECK(ipcfs_unanswered_read(sockets[1], bytes, IPCFS_SLOT_BYTES) ==
	      (long)(sizeof(struct fuse_in_header) + TEXT));
}

static void read_interrupt(unsigned slot, uint64_t unique)
{
	const struct fuse_interrupt_in in = { .unique = unique };
	void *bytes = ipcfs_unanswered_slot(slot);

	send_request(FUSE_INTERRUPT, unique | 1, &in, sizeof(in));
	CHECK(ipcfs_unanswered_read(sockets[1], bytes, IPCFS_SLOT_BYTES) > 0);
}

static void read_forget(unsigned slot, uint64_t unique)
{
	const struct fuse_forget_in in = { .nlookup = 1 };
	void *bytes = ipcfs_unanswered_slot(slot);

	send_request(FUSE_FORGET, unique, &in, sizeof(in));
	CHECK(ipcfs_unanswered_read(sockets[1], bytes, IPCFS_SLOT_BYTES) > 0);
}

/* Runs something in another thread of the worker. */
static void *run_thread(void *arg)
{
	void (**run)(void) = arg;

	(*run)();
	return NULL;
}

static void elsewhere(void (*run)(void))
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, run_thread, &run) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
}

static void note(void *arg, const struct ipcfs_unanswered *request)
{
	struct got *got = &shared->got[shared->count++];
	struct ipcfs_fuse_header head;
	const char *text = (const char *)request->bytes + sizeof(struct fuse_in_header);

	(void)arg;
	CHECK(shared->count <= LEFT_MAX);
	ipcfs_fuse_header_read(request->bytes, &head);
	got->unique = head.unique;
	got->begun = request->lost || request->bad;
	CHECK(ipcfs_unanswered_is_left());
	CHECK(ipcfs_unanswered_is_lost() == request->lost);
	CHECK(ipcfs_unanswered_unique() == head.unique);
	got->interrupted = request->interrupted;
	got->whole = request->size == sizeof(struct fuse_in_header) + TEXT &&
		     text[0] == (char)head.unique && text[TEXT - 1] == (char)head.unique;
	shared->since = ipcfs_unanswered_since();
}

static void answer(void *arg, const struct ipcfs_unanswered *request)
{
	note(arg, request);
	ipcfs_unanswered_answered(shared->got[shared->count - 1].unique);
}

static void replay_and_answer(void)
{
	shared->count = 0;
	CHECK(ipcfs_unanswered_slot(0) != NULL);
	CHECK(ipcfs_unanswered_replay(answer, NULL) == 0);
	CHECK(ipcfs_ledger_next(ledger, IPCFS_LEDGER_REQUESTS, 0) == 0);
}

static void replay_only(void)
{
	shared->count = 0;
	CHECK(ipcfs_unanswered_slot(0) != NULL);
	CHECK(ipcfs_unanswered_replay(note, NULL) == 0);
}

/* Asserts that the next worker gets these requests, answers them, and that another one gets none. */
static void are_left(unsigned count, ...)
{
	va_list list;

	worker(replay_and_answer);
	va_start(list, count);
	assert_int_equal(shared->count, count);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(shared->got[i].unique, va_arg(list, unsigned));
		assert_true(shared->got[i].whole);
	}
	va_end(list);
	worker(replay_and_answer);
	assert_int_equal(shared->count, 0);
}

static void reads_three(void)
{
	for (unsigned i = 1; i <= 3; i++)
		read_request(10 - i, 2UL * i);
}

static void requests_are_handled_in_the_order_in_which_they_came(void **state)
{
	(void)state;
	worker(reads_three);
	are_left(3, 2, 4, 6);
	assert_false(shared->got[0].begun || shared->got[1].begun || shared->got[2].begun);
	assert_false(shared->got[0].interrupted || shared->got[1].interrupted);
}

/* A word behind the last one: the worker ended before it had noted when the request came. */
static void reads_and_notes_nothing(void)
{
	read_request(1, 8);
	atomic_store(&legacy->slots[1].arrived, 0);
	read_request(9, 2);
	(void)ipcfs_unanswered_park();
	ipcfs_unanswered_end();
}

static void what_came_last_is_handled_last(void **state)
{
	(void)state;
	worker(reads_and_notes_nothing);
	are_left(2, 2, 8);
}

static void answers_all(void)
{
	read_request(1, 2);
	ipcfs_unanswered_answered(2);
	ipcfs_unanswered_end();
	read_request(1, 4);
	CHECK(ipcfs_effects_act() == false);
	ipcfs_unanswered_answered(4);
	ipcfs_unanswered_end();
}

static void what_was_answered_is_not_left(void **state)
{
	(void)state;
	worker(answers_all);
	are_left(0);
}

static void keeps_at_the_end(void)
{
	read_request(1, 2);
	ipcfs_unanswered_end();
	read_request(1, 4);
	ipcfs_unanswered_end();
	read_request(2, 6);
}

static void a_turn_that_ends_without_an_answer_is_left(void **state)
{
	(void)state;
	worker(keeps_at_the_end);
	are_left(3, 2, 4, 6);
}

static void answer_2(void)
{
	ipcfs_unanswered_answered(2);
}

static void is_answered_before_its_turn_ends(void)
{
	read_request(1, 2);
	CHECK(ipcfs_unanswered_park() != 0);
	elsewhere(answer_2);
	ipcfs_unanswered_end();
	read_request(1, 4); /* the same thread goes on */
	ipcfs_unanswered_end();
}

static void is_answered_after_its_turn(void)
{
	read_request(1, 2);
	CHECK(ipcfs_unanswered_park() != 0);
	ipcfs_unanswered_end();
	read_request(1, 4);
	elsewhere(answer_2);
	ipcfs_unanswered_end();
}

static void is_answered_while_it_is_held_up(void)
{
	read_request(1, 2);
	elsewhere(answer_2); /* it was not parked */
	ipcfs_unanswered_end();
	read_request(1, 4);
}

static void another_thread_answers_at_any_time(void **state)
{
	(void)state;
	worker(is_answered_before_its_turn_ends);
	are_left(1, 4);
	worker(is_answered_after_its_turn);
	are_left(1, 4);
	worker(is_answered_while_it_is_held_up);
	are_left(1, 4);
}

static void many_are_parked_and_answered(void)
{
	for (uint64_t i = 1; i < 3000; i++) {
		read_request(1, 2 * i);
		CHECK(ipcfs_unanswered_park() != 0);
		ipcfs_unanswered_end();
		if (i > 3)
			ipcfs_unanswered_answered(2 * (i - 3));
	}
}

static void answered_requests_leave_nothing(void **state)
{
	(void)state;
	worker(many_are_parked_and_answered);
	are_left(3, 5994, 5996, 5998);
}

static void has_effects(void)
{
	read_request(1, 2);
	CHECK(!ipcfs_effects_act());
	CHECK(ipcfs_effects_act());
	read_request(2, 4);
	CHECK(!ipcfs_effects_act());
	ipcfs_effects_set(false);
	read_request(3, 6);
	(void)ipcfs_effects_act();
	CHECK(ipcfs_unanswered_park() != 0);
	ipcfs_unanswered_end();
	read_request(4, 8);
	CHECK(ipcfs_unanswered_park() != 0);
	CHECK(!ipcfs_effects_act()); /* it is another thread's by now */
	ipcfs_effects_set(true);
	ipcfs_unanswered_end();
}

static void check_begun(const bool *wanted, unsigned count)
{
	worker(replay_only);
	assert_int_equal(shared->count, count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(shared->got[i].begun, wanted[i]);
}

static void the_next_worker_knows_of_effects(void **state)
{
	static const bool wanted[] = { true, false, true, false };

	(void)state;
	worker(has_effects);
	check_begun(wanted, 4);
	check_begun(wanted, 4); /* the worker was not killed by one of them */
}

static void resume_and_act(void)
{
	own = ipcfs_unanswered_resume(parked);
	CHECK(!ipcfs_effects_act());
	ipcfs_unanswered_rest(own);
	CHECK(!ipcfs_effects_act()); /* of none */
}

static void acts_when_it_resumes(void)
{
	read_request(1, 2);
	parked = ipcfs_unanswered_park();
	ipcfs_unanswered_end();
	elsewhere(resume_and_act);
	read_request(1, 4);
	parked = ipcfs_unanswered_park();
	ipcfs_unanswered_end();
	read_request(1, 6);
	own = ipcfs_unanswered_resume(parked); /* by a thread that has a request of its own */
	ipcfs_unanswered_rest(own);
	(void)ipcfs_effects_act();
}

static void effects_of_parked_requests_are_noted(void **state)
{
	static const bool wanted[] = { true, false, true };

	(void)state;
	worker(acts_when_it_resumes);
	check_begun(wanted, 3);
}

static void answers_what_it_resumes(void)
{
	read_request(1, 2);
	parked = ipcfs_unanswered_park();
	ipcfs_unanswered_end();
	own = ipcfs_unanswered_resume(parked);
	ipcfs_unanswered_answered(2);
	CHECK(!ipcfs_effects_is_noted()); /* the entry may be another request's */
	ipcfs_unanswered_rest(own);
}

static void an_answer_ends_the_notes(void **state)
{
	(void)state;
	worker(answers_what_it_resumes);
	are_left(0);
}

static void begins_what_was_aside(void)
{
	for (uint64_t unique = 2; unique <= 6; unique += 2) {
		read_request(1, unique);
		CHECK(ipcfs_unanswered_park() != 0);
		ipcfs_unanswered_end();
	}
	ipcfs_unanswered_begin(4);
	CHECK(!ipcfs_effects_act());
	ipcfs_unanswered_end();
	ipcfs_unanswered_begin(6);
	CHECK(ipcfs_effects_is_noted());
	ipcfs_unanswered_answered(6);
	CHECK(!ipcfs_effects_is_noted());
	ipcfs_unanswered_end();
}

static void what_was_aside_is_noted(void **state)
{
	static const bool wanted[] = { false, true };

	(void)state;
	worker(begins_what_was_aside);
	check_begun(wanted, 2);
	are_left(2, 2, 4);
}

static void is_interrupted(void)
{
	read_request(1, 2);
	(void)ipcfs_unanswered_park();
	ipcfs_unanswered_end();
	read_request(2, 4); /* and is held up */
	read_request(3, 6);
	read_interrupt(4, 2);
	ipcfs_unanswered_end();
	read_interrupt(4, 4);
	ipcfs_unanswered_end();
	read_interrupt(4, 8); /* which was answered */
	ipcfs_unanswered_end();
}

static void interrupts_are_noted(void **state)
{
	(void)state;
	worker(is_interrupted);
	worker(replay_only);
	assert_int_equal(shared->count, 3);
	assert_true(shared->got[0].interrupted && shared->got[1].interrupted);
	assert_false(shared->got[2].interrupted);
	are_left(3, 2, 4, 6);
}

static void ends_with_an_interrupt(void)
{
	read_interrupt(4, 2);
}

static void an_interrupt_is_handled_once(void **state)
{
	(void)state;
	worker(ends_with_an_interrupt);
	worker(replay_only);
	assert_true(shared->count <= 1);
	worker(replay_only);
	assert_int_equal(shared->count, 0);
}

static void forgets(void)
{
	read_forget(1, 2);
	ipcfs_unanswered_end();
	read_forget(2, 4);
}

/* The worker ends before it sees what it has read. */
static void forgets_at_the_end(void)
{
	read_forget(2, 4);
	atomic_store(&legacy->slots[2].done, 0);
}

static void nothing_is_forgotten_twice(void **state)
{
	(void)state;
	worker(forgets);
	are_left(0);
	worker(forgets_at_the_end);
	worker(replay_only);
	assert_true(shared->count <= 1);
	worker(replay_only);
	assert_int_equal(shared->count, 0);
}

static void dies_of_it(void *arg, const struct ipcfs_unanswered *request)
{
	note(arg, request);
	if (!request->bad)
		_exit(0);
	ipcfs_unanswered_answered(shared->got[shared->count - 1].unique);
}

static void replay_and_die(void)
{
	shared->count = 0;
	(void)ipcfs_unanswered_slot(0);
	(void)ipcfs_unanswered_replay(dies_of_it, NULL);
}

static void two_workers_die_of_a_request_at_most(void **state)
{
	(void)state;
	worker(reads_three);
	for (unsigned first = 0; first < 3; first++) {
		worker(replay_and_die); /* the first one that was not tried */
		assert_int_equal(shared->count, first ? 2 : 1);
		assert_false(shared->got[shared->count - 1].begun);
		if (first)
			assert_true(shared->got[0].begun);
	}
	worker(replay_and_die);
	assert_int_equal(shared->count, 1);
	assert_true(shared->got[0].begun);
	are_left(0);
}

static void a_request_that_waits_kills_nobody(void **state)
{
	(void)state;
	worker(reads_three);
	for (int life = 0; life < 5; life++) {
		worker(replay_only);
		assert_int_equal(shared->count, 3);
		for (int i = 0; i < 3; i++)
			assert_false(shared->got[i].begun);
	}
	are_left(3, 2, 4, 6);
}

static void requests_keep_their_age(void **state)
{
	uint64_t before = ipcfs_clock_ns(), after;

	(void)state;
	worker(keeps_at_the_end);
	after = ipcfs_clock_ns();
	worker(replay_only);
	worker(replay_only);
	assert_true(shared->since >= before);
	assert_true(shared->since <= after + 1000000000);
	shared->since = 0;
	worker(replay_and_answer);
	assert_true(shared->since >= before);
}

/* What the next worker learns of the calls of a request, until one is new. */
static enum ipcfs_call calls[4];

/* Does what comes before a call. */
static enum ipcfs_call begin_call(bool blocks)
{
	enum ipcfs_call call = ipcfs_effects_call();

	if (call == IPCFS_CALL_NEW && !blocks)
		ipcfs_effects_calling(false);
	return call;
}

static void makes_calls(void)
{
	read_request(1, 2);
	CHECK(begin_call(false) == IPCFS_CALL_NEW);
	ipcfs_effects_called(true);
	CHECK(begin_call(true) == IPCFS_CALL_NEW);
	ipcfs_effects_called(true);
	CHECK(begin_call(false) == IPCFS_CALL_NEW);
	ipcfs_effects_called(false);
}

static void dies_in_a_call(void)
{
	makes_calls();
	CHECK(begin_call(false) == IPCFS_CALL_NEW);
}

static void dies_in_a_call_that_blocks(void)
{
	makes_calls();
	CHECK(begin_call(true) == IPCFS_CALL_NEW);
}

static void parks_and_dies_in_a_call(void)
{
	makes_calls();
	parked = ipcfs_unanswered_park();
	ipcfs_unanswered_end();
	own = ipcfs_unanswered_resume(parked);
	CHECK(ipcfs_unanswered_unique() == 2);
	CHECK(begin_call(false) == IPCFS_CALL_NEW);
}

static void make_the_calls(void *arg, const struct ipcfs_unanswered *request)
{
	note(arg, request);
	for (int i = 0; i < 3; i++)
		CHECK(begin_call(false) == calls[i]);
}

static void replay_the_calls(void)
{
	shared->count = 0;
	(void)ipcfs_unanswered_slot(0);
	CHECK(ipcfs_unanswered_replay(make_the_calls, NULL) == 0);
	CHECK(shared->count == 1);
}

static void check_calls(void (*run)(void), enum ipcfs_call third)
{
	worker(run);
	calls[0] = calls[1] = IPCFS_CALL_DONE;
	calls[2] = third;
	worker(replay_the_calls);
	assert_false(shared->got[0].begun);
	/* this one has died in the third call */
	calls[2] = IPCFS_CALL_PERHAPS;
	worker(replay_the_calls);
	are_left(1, 2);
}

static void calls_are_not_made_twice(void **state)
{
	(void)state;
	check_calls(makes_calls, IPCFS_CALL_NEW);
	check_calls(dies_in_a_call, IPCFS_CALL_PERHAPS);
	check_calls(dies_in_a_call_that_blocks, IPCFS_CALL_NEW);
	check_calls(parks_and_dies_in_a_call, IPCFS_CALL_PERHAPS);
}

static void is_dropped(void)
{
	ipcfs_legacy_drop(legacy);
	replay_only();
}

static void what_was_dropped_is_not_handled(void **state)
{
	(void)state;
	worker(reads_three);
	worker(is_dropped);
	assert_int_equal(shared->count, 3);
	assert_true(shared->got[0].begun && shared->got[1].begun && shared->got[2].begun);
	legacy->dropped = false;
	are_left(3, 2, 4, 6);
}

static void spoils_slots(void)
{
	static const uint32_t lengths[] = { 1, 39, IPCFS_SLOT_BYTES + 1, UINT32_MAX };

	for (unsigned i = 0; i < 4; i++) {
		read_request(i + 1, 2UL * i + 20);
		memcpy(legacy->slots[i + 1].request, &lengths[i], sizeof(lengths[i]));
	}
	read_request(7, 2);
	read_request(8, 2); /* a number that there is already */
}

static void slots_that_cannot_be_are_dropped(void **state)
{
	(void)state;
	worker(spoils_slots);
	are_left(1, 2);
}

static void spoils_entries(void)
{
	const struct iovec part = { shared, 60 };

	read_request(1, 2);
	parked = ipcfs_unanswered_park();
	ipcfs_unanswered_end();
	CHECK(ipcfs_ledger_put(ledger, IPCFS_LEDGER_REQUESTS, parked + 1, &part, 1) == 0);
	CHECK(ipcfs_ledger_put(ledger, IPCFS_LEDGER_REQUESTS, parked + 2, &part, 0) == 0);
	/* the same request in the ledger, and in a slot */
	read_request(2, 4);
	CHECK(ipcfs_unanswered_park() != 0);
	atomic_store(&legacy->slots[2].done, 0);
}

static void entries_that_cannot_be_are_dropped(void **state)
{
	(void)state;
	worker(spoils_entries);
	are_left(2, 2, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			requests_are_handled_in_the_order_in_which_they_came, start, end),
		cmocka_unit_test_setup_teardown(what_came_last_is_handled_last, start, end),
		cmocka_unit_test_setup_teardown(what_was_answered_is_not_left, start, end),
		cmocka_unit_test_setup_teardown(a_turn_that_ends_without_an_answer_is_left, start,
						end),
		cmocka_unit_test_setup_teardown(another_thread_answers_at_any_time, start, end),
		cmocka_unit_test_setup_teardown(answered_requests_leave_nothing, start, end),
		cmocka_unit_test_setup_teardown(the_next_worker_knows_of_effects, start, end),
		cmocka_unit_test_setup_teardown(effects_of_parked_requests_are_noted, start, end),
		cmocka_unit_test_setup_teardown(an_answer_ends_the_notes, start, end),
		cmocka_unit_test_setup_teardown(what_was_aside_is_noted, start, end),
		cmocka_unit_test_setup_teardown(interrupts_are_noted, start, end),
		cmocka_unit_test_setup_teardown(an_interrupt_is_handled_once, start, end),
		cmocka_unit_test_setup_teardown(nothing_is_forgotten_twice, start, end),
		cmocka_unit_test_setup_teardown(two_workers_die_of_a_request_at_most, start, end),
		cmocka_unit_test_setup_teardown(a_request_that_waits_kills_nobody, start, end),
		cmocka_unit_test_setup_teardown(requests_keep_their_age, start, end),
		cmocka_unit_test_setup_teardown(calls_are_not_made_twice, start, end),
		cmocka_unit_test_setup_teardown(what_was_dropped_is_not_handled, start, end),
		cmocka_unit_test_setup_teardown(slots_that_cannot_be_are_dropped, start, end),
		cmocka_unit_test_setup_teardown(entries_that_cannot_be_are_dropped, start, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
