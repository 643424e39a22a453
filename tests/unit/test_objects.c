/* SPDX-License-Identifier: MIT */
/*
 * References and handles, taken and given back by many threads at once. The counts must be right at
 * the end in every build; the thread sanitizer sees an access without the lock even if the counts
 * are right.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/contract/contract.h"
#include "fs/access/quota.h"
#include "fs/namespaces/registry.h"
#include "fs/tree/charges.h"
#include "fs/tree/node.h"
#include "fs/tree/object.h"

#define THREADS 8
#define ROUNDS 2000
#define OBJECTS 3

static struct ipcfs_space *space;
static struct ipcfs_objects objects;
static struct ipcfs_nodes nodes;
static struct ipcfs_registry *registry;
static pthread_barrier_t start;
static atomic_int handles_open;

static int fake_open(int *handle)
{
	*handle = 1000 + atomic_fetch_add(&handles_open, 1);
	(void)sched_yield(); /* another thread may open the same object meanwhile */
	return 0;
}

static void fake_close(int handle)
{
	(void)handle;
	atomic_fetch_sub(&handles_open, 1);
}

static int queue_open(const struct ipcfs_space *in, const struct ipcfs_ref *ref,
		      enum ipcfs_direction direction, int *handle)
{
	(void)in, (void)ref, (void)direction;
	return fake_open(handle);
}

static int semaphore_open(const struct ipcfs_space *in, const struct ipcfs_ref *ref, int *handle)
{
	(void)in, (void)ref;
	return fake_open(handle);
}

static int segment_open(const struct ipcfs_space *in, const struct ipcfs_ref *ref, bool write,
			int *handle)
{
	(void)in, (void)ref, (void)write;
	return fake_open(handle);
}

static int segment_fstat(int handle, struct ipcfs_info *info)
{
	(void)info;
	return handle < 1000 ? -1 : 0;
}

static int segment_stat(const struct ipcfs_space *in, const struct ipcfs_ref *ref,
			struct ipcfs_info *info)
{
	(void)in, (void)ref;
	info->allocated = 1000;
	return 0;
}

static const struct ipcfs_queue_ops queue_ops = { .open = queue_open, .close = fake_close };
static const struct ipcfs_semaphore_ops semaphore_ops = { .open = semaphore_open,
							  .close = fake_close };
static const struct ipcfs_segment_ops segment_ops = { .open = segment_open,
						      .close = fake_close,
						      .fstat = segment_fstat };
static const struct ipcfs_class queue = { .queue = &queue_ops };
static const struct ipcfs_class semaphore = { .semaphore = &semaphore_ops };
static const struct ipcfs_class segment = { .segment = &segment_ops, .stat = segment_stat };
static const struct ipcfs_class *const classes[] = { &queue, &semaphore, &segment };

static int make_space(void **state)
{
	(void)state;
	return ipcfs_space_open(&space);
}

static int put_space(void **state)
{
	(void)state;
	ipcfs_space_unref(space);
	return 0;
}

/*
 * Returns object number i, with a reference. cmocka's asserts are for one thread: a failure here
 * ends the program.
 */
static struct ipcfs_object *take(unsigned i)
{
	const struct ipcfs_ref ref = { .serial = 5, .key = i };
	struct ipcfs_object *object = ipcfs_object_get(&objects, space, classes[i % 3], &ref);

	if (!object)
		abort();
	return object;
}

static void *references(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&start);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct ipcfs_object *object = take(i % OBJECTS);

		ipcfs_object_ref(&objects, object);
		ipcfs_object_unref(&objects, object);
		ipcfs_object_unref(&objects, object);
	}
	return NULL;
}

static void *handles(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&start);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct ipcfs_object *object = take(i % OBJECTS);
		enum ipcfs_direction direction = i / OBJECTS % 2 ? IPCFS_SEND : IPCFS_RECEIVE;
		struct ipcfs_info info;
		int handle;

		if (object->class->semaphore)
			direction = IPCFS_SEND;
		if (ipcfs_object_open(&objects, object, direction, &handle) || handle < 1000)
			abort();
		for (int j = 0; object->class->segment && j < 10; j++)
			if (ipcfs_object_fstat(&objects, object, &info))
				abort();
		ipcfs_object_close(&objects, object, direction);
		for (int j = 0; i % 4 == 0 && j < 10; j++)
			ipcfs_object_removed(&objects, object);
		ipcfs_object_unref(&objects, object);
	}
	return NULL;
}

/* Looks up a node of an object, opens, closes and forgets it. */
static void *lookups(void *arg)
{
	static const enum ipcfs_node_kind kinds[] = { IPCFS_NODE_MSG, IPCFS_NODE_STATUS,
						      IPCFS_NODE_LINES, IPCFS_NODE_VALUE };
	const pid_t tid = (pid_t)(intptr_t)arg + 1;

	pthread_barrier_wait(&start);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct ipcfs_node_key key = { .object = take(i % OBJECTS)->number,
					      .kind = kinds[i % 4] };
		struct ipcfs_node *node;
		uint64_t id;

		node = ipcfs_node_get(&nodes, &key, tid, tid % 2);
		if (!node)
			abort();
		id = node->id;
		ipcfs_node_opened(&nodes, node, true, false);
		if (!ipcfs_node_is_open(&nodes, node))
			abort();
		if (i % 3)
			ipcfs_node_forget(&nodes, id, 1);
		ipcfs_node_closed(&nodes, node, true, false);
		if (i % 3 == 0)
			ipcfs_node_forget(&nodes, id, 1);
	}
	return NULL;
}

static void run_threads(void *(*run)(void *))
{
	pthread_t threads[THREADS];

	pthread_barrier_init(&start, NULL, THREADS);
	for (intptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&start);
}

static void the_last_reference_frees(void **state)
{
	(void)state;
	assert_int_equal(ipcfs_objects_init(&objects), 0);
	run_threads(references);
	assert_null(objects.table);
	ipcfs_objects_destroy(&objects);
}

static void a_handle_is_open_for_as_long_as_it_is_used(void **state)
{
	(void)state;
	assert_int_equal(ipcfs_objects_init(&objects), 0);
	run_threads(handles);
	assert_null(objects.table);
	assert_null(objects.spares);
	assert_int_equal(handles_open, 0);
	ipcfs_objects_destroy(&objects);
}

static struct ipcfs_settings settings;
static struct ipcfs_quota *quota;

static int make_nodes(void **state)
{
	const struct ipcfs_registry_hooks hooks = { 0 };
	struct ipcfs_space *home;

	(void)state;
	ipcfs_settings_init(&settings);
	return ipcfs_space_open(&home) ||
	       ipcfs_registry_create(home, false, NULL, &hooks, &registry) ||
	       ipcfs_objects_init(&objects) || ipcfs_quota_create(&settings, &quota) ||
	       ipcfs_nodes_init(&nodes, &objects, registry, quota);
}

/* Checks that all objects and nodes but the root were given back. */
static int put_nodes(void **state)
{
	bool empty = !objects.table && HASH_COUNT(nodes.hash) == 1;

	(void)state;
	/* of all that was charged, only the root is left */
	for (uid_t uid = 0; uid < 2; uid++)
		empty &= !ipcfs_quota_charge(quota, uid, settings.max_bytes - 256);
	ipcfs_nodes_destroy(&nodes);
	ipcfs_objects_destroy(&objects);
	ipcfs_registry_destroy(registry);
	ipcfs_quota_destroy(quota);
	return empty ? 0 : -1;
}

static void a_node_lives_until_it_is_closed_and_forgotten(void **state)
{
	(void)state;
	run_threads(lookups);
}

/*
 * Returns whether a lookup by `tid`, of uid `tid` % 2, finds the same node as one by thread 1,
 * while the first node is open for reading, for writing, or not at all.
 */
static bool shared(enum ipcfs_node_kind kind, pid_t tid, bool reads, bool writes)
{
	struct ipcfs_node_key key = { .object = take(0)->number, .kind = kind };
	struct ipcfs_node *first = ipcfs_node_get(&nodes, &key, 1, 1), *second;
	bool same;

	assert_non_null(first);
	if (reads || writes)
		ipcfs_node_opened(&nodes, first, reads, writes);
	(void)take(0);
	second = ipcfs_node_get(&nodes, &key, tid, tid % 2);
	assert_non_null(second);
	same = first == second;
	if (reads || writes)
		ipcfs_node_closed(&nodes, first, reads, writes);
	ipcfs_node_forget(&nodes, second->id, 1);
	ipcfs_node_forget(&nodes, first->id, 1);
	return same;
}

/* A fencing token never goes back, not even when the object is forgotten. */
static void a_generation_never_goes_back(void **state)
{
	struct ipcfs_object *first;

	(void)state;
	assert_int_equal(ipcfs_objects_init(&objects), 0);
	first = take(1);
	assert_int_equal(first->semaphore.generation, 0);
	first->semaphore.generation = 5;
	ipcfs_object_unref(&objects, first);
	first = take(1);
	assert_int_equal(first->semaphore.generation, 5);
	ipcfs_object_unref(&objects, first);
	ipcfs_objects_destroy(&objects);
}

static void a_semaphore_is_kept_for_its_count_of_deaths(void **state)
{
	struct ipcfs_object *object;

	(void)state;
	assert_int_equal(ipcfs_objects_init(&objects), 0);
	object = take(1);
	object->semaphore.deaths = 2;
	ipcfs_object_unref(&objects, object);
	object = take(1);
	assert_int_equal(object->semaphore.deaths, 2);
	assert_int_equal(objects.kept, 0);
	ipcfs_object_removed(&objects, object);
	ipcfs_object_unref(&objects, object);
	assert_null(objects.table);
	ipcfs_objects_destroy(&objects);
}

static void a_node_is_shared_where_it_does_no_harm(void **state)
{
	(void)state;
	for (int open = 0; open < 4; open++) {
		assert_true(shared(IPCFS_NODE_MSG, 3, open & 1, open & 2));
		assert_false(shared(IPCFS_NODE_MSG, 2, open & 1, open & 2));
		assert_true(shared(IPCFS_NODE_DRAIN, 2, open & 1, open & 2));
		assert_true(shared(IPCFS_NODE_STATUS, 2, open & 1, open & 2));
		assert_false(shared(IPCFS_NODE_LINES, 2, open & 1, open & 2));
		assert_false(shared(IPCFS_NODE_VALUE, 2, open & 1, open & 2));
	}
	/* the same thread */
	assert_true(shared(IPCFS_NODE_LINES, 1, true, false));
	assert_false(shared(IPCFS_NODE_LINES, 1, false, true));
	assert_false(shared(IPCFS_NODE_VALUE, 1, true, false));
	assert_false(shared(IPCFS_NODE_VALUE, 1, false, true));
	assert_true(shared(IPCFS_NODE_WAIT, 1, false, false));
	assert_false(shared(IPCFS_NODE_WAIT, 1, false, true));
}

/* A user pays once for two requests that make memory of one segment at the same time. */
static void two_requests_of_a_user_have_one_charge(void **state)
{
	struct ipcfs_object *object;

	(void)state;
	objects.quota = quota;
	object = take(2);
	assert_int_equal(ipcfs_charges_begin(&objects, object, 1, 100), 0);
	assert_int_equal(ipcfs_charges_begin(&objects, object, 1, 50), 0);
	ipcfs_charges_end(&objects, object, 1, 100, 0);
	ipcfs_charges_end(&objects, object, 1, 50, 40);
	assert_int_equal(ipcfs_quota_memory(quota, 1, settings.max_bytes - 40, false), -ENOMEM);
	assert_int_equal(ipcfs_quota_memory(quota, 1, settings.max_bytes - 40 - IPCFS_CHARGE_BYTES,
					    false),
			 0);
	/* one that makes nothing, beside what was made before */
	ipcfs_quota_memory_freed(quota, 1, 1000);
	assert_int_equal(ipcfs_charges_begin(&objects, object, 1, 100), 0);
	ipcfs_charges_end(&objects, object, 1, 100, 0);
	ipcfs_object_removed(&objects, object);
	ipcfs_object_unref(&objects, object);
	assert_null(objects.charged);
	assert_int_equal(objects.charged_count, 0);
}

/* What messages that came back are charged for; put_nodes checks what is left. */
static void deliveries_are_released_with_their_queue(void **state)
{
	struct ipcfs_object *object;

	(void)state;
	objects.quota = quota;
	object = take(0);
	for (long type = 1; type <= 20; type++) {
		const struct ipcfs_delivery delivery = {
			.mark = ipcfs_message_mark(type, "", 0),
			.count = 1,
			.uid = 1,
		};

		ipcfs_deliveries_note(&object->queue.deliveries, &delivery, quota);
	}
	ipcfs_object_removed(&objects, object);
	ipcfs_object_unref(&objects, object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_reference_frees),
		cmocka_unit_test(a_handle_is_open_for_as_long_as_it_is_used),
		cmocka_unit_test(a_generation_never_goes_back),
		cmocka_unit_test(a_semaphore_is_kept_for_its_count_of_deaths),
		cmocka_unit_test_setup_teardown(a_node_lives_until_it_is_closed_and_forgotten,
						make_nodes, put_nodes),
		cmocka_unit_test_setup_teardown(a_node_is_shared_where_it_does_no_harm, make_nodes,
						put_nodes),
		cmocka_unit_test_setup_teardown(two_requests_of_a_user_have_one_charge, make_nodes,
						put_nodes),
		cmocka_unit_test_setup_teardown(deliveries_are_released_with_their_queue,
						make_nodes, put_nodes),
	};

	return cmocka_run_group_tests(tests, make_space, put_space);
}
