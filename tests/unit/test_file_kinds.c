/* SPDX-License-Identifier: MIT */
/* The table of files, against the lists of files in the manual. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "fs/control/spec.h"
#include "fs/ops/file_groups.h"
#include "fs/tree/attr.h"
#include "fs/tree/path.h"
#include "fs/tree/static_tree.h"

/* The names in a directory, with a blank behind each; "/" follows a directory, "@" a link. */
static void assert_names(struct ipcfs_node_key directory, const struct ipcfs_class *class,
			 const char *names)
{
	struct ipcfs_text listed = { 0 };
	struct ipcfs_node_key key;
	const char *name;

	for (size_t i = 0; ipcfs_static_tree_at(&directory, class, i, &name, &key); i++) {
		mode_t type = ipcfs_attr_type(&key);
		const char *mark = S_ISDIR(type) ? "/" : S_ISLNK(type) ? "@" : "";

		assert_true(S_ISDIR(type) || S_ISLNK(type) || S_ISREG(type));
		assert_int_equal(ipcfs_text_printf(&listed, "%s%s ", name, mark), 0);
	}
	assert_int_equal(ipcfs_text_add(&listed, "", 1), 0);
	assert_string_equal(listed.data, names);
	ipcfs_text_free(&listed);
}

static void names_of_a_namespace(void **state)
{
	static const struct {
		enum ipcfs_node_kind directory;
		const char *names;
	} expected[] = {
		{ IPCFS_NODE_ROOT,
		  "ns/ pid/ self@ create@ limits@ objects@ metrics@ events@ posix@ sysv@ " },
		{ IPCFS_NODE_NAMESPACES, "" },
		{ IPCFS_NODE_PROCESSES, "" },
		{ IPCFS_NODE_TREE, "create limits/ objects metrics events posix/ sysv/ " },
		{ IPCFS_NODE_LIMITS, "msgmax msgmnb msgmni sem shmmax shmall shmmni "
				     "shm_rmid_forced mq_queues_max mq_msg_max mq_msgsize_max "
				     "mq_msg_default mq_msgsize_default " },
		{ IPCFS_NODE_POSIX, "mq/ shm/ sem/ " },
		{ IPCFS_NODE_SYSV, "msg/ shm/ sem/ by-id/ " },
		{ IPCFS_NODE_BY_ID, "msg/ shm/ sem/ " },
		{ IPCFS_NODE_AMQP, "status " },
		{ IPCFS_NODE_CLASS, "" },
		{ IPCFS_NODE_IDS, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		struct ipcfs_node_key key = { .kind = expected[i].directory };

		assert_names(key, NULL, expected[i].names);
	}
}

/* The directories of an object of each class. NULL: the class has no such directory. */
static const struct class_files {
	const char *family, *name;
	const char *object;    /* the directory of an object */
	const char *types;     /* type/N/ */
	const char *priority;  /* prio/N/ */
	const char *semaphore; /* N/ of a set */
	const char *timed;     /* within/SECONDS/ of an object */
} class_files[] = {
	{ "posix", "mq",
	  .object = "prio/ within/ msg lines tagged packets records lease drain status users ",
	  .priority = "within/ msg lines packets ",
	  .timed = "msg lines tagged packets records lease " },
	{ "posix", "shm", .object = "status users data " },
	{ "posix", "sem",
	  .object = "within/ status users value wait trywait post hold tryhold monitor ",
	  .timed = "wait hold monitor " },
	{ "sysv", "msg",
	  .object =
		  "type/ within/ msg lines tagged packets records lease drain status users qbytes peek/ ",
	  .types = "within/ msg lines tagged packets records lease drain ",
	  .timed = "msg lines tagged packets records lease " },
	{ "sysv", "shm", .object = "status users data " },
	{ "sysv", "sem", .object = "within/ status users values op ", .timed = "op ",
	  .semaphore = "within/ value wait trywait post zero hold tryhold monitor " },
};

static const struct ipcfs_class *class_of(const struct class_files *files)
{
	const struct ipcfs_class *class = ipcfs_class_find(files->family, files->name);

	assert_non_null(class);
	return class;
}

static void names_of_each_class(void **state)
{
	size_t count = sizeof(class_files) / sizeof(*class_files);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		const struct class_files *files = &class_files[i];
		const struct ipcfs_class *class = class_of(files);
		struct ipcfs_node_key key = { .kind = IPCFS_NODE_OBJECT, .object = 1 };
		const char *selected = files->types ? files->types : files->priority;

		assert_names(key, class, files->object);
		key.kind = IPCFS_NODE_TIMED;
		key.within = 1;
		key.detail = IPCFS_NODE_OBJECT;
		assert_names(key, class, files->timed ? files->timed : "");
		key.within = key.detail = 0;
		key.selector = 5;
		key.kind = IPCFS_NODE_SEMAPHORE;
		if (files->semaphore)
			assert_names(key, class, files->semaphore);
		key.kind = IPCFS_NODE_SELECTED;
		key.selected = 1;
		if (selected)
			assert_names(key, class, selected);
	}
	assert_null(ipcfs_classes[count]);
}

/* type/, prio/ and peek/ are listed by other means, or not at all. */
static void directories_without_fixed_names(void **state)
{
	static const enum ipcfs_node_kind empty[] = { IPCFS_NODE_TYPES, IPCFS_NODE_PRIORITIES,
						      IPCFS_NODE_PEEKS };

	(void)state;
	for (size_t i = 0; ipcfs_classes[i]; i++)
		for (size_t j = 0; j < sizeof(empty) / sizeof(*empty); j++) {
			struct ipcfs_node_key key = { .kind = empty[j], .object = 1 };

			assert_names(key, ipcfs_classes[i], "");
		}
}

/* Each name leads to the key that it is listed with, so no directory has a name twice. */
static void names_are_found(void **state)
{
	(void)state;
	for (enum ipcfs_node_kind kind = 1; kind < IPCFS_NODE_KINDS; kind++)
		for (size_t i = 0; ipcfs_classes[i]; i++) {
			bool fixed = kind < IPCFS_NODE_ID_LINK;
			struct ipcfs_node_key key = { .kind = kind, .object = !fixed }, at, found;
			const struct ipcfs_class *class = fixed ? NULL : ipcfs_classes[i];
			const char *name;

			for (size_t j = 0; ipcfs_static_tree_at(&key, class, j, &name, &at); j++) {
				assert_int_equal(ipcfs_static_tree_find(&key, class, name, &found),
						 0);
				assert_memory_equal(&found, &at, sizeof(at));
				assert_string_equal(ipcfs_static_tree_name(&at), name);
			}
			assert_int_not_equal(ipcfs_static_tree_find(&key, class, "none", &found),
					     0);
		}
}

/* A path below an object, and the keys that its names lead to. */
static void paths_lead_back(void **state)
{
	static const struct {
		const char *family, *class;
		struct ipcfs_node_key directory; /* of the file */
		const char *file, *path;
	} samples[] = {
		{ "sysv", "msg", { .kind = IPCFS_NODE_OBJECT }, "type", "type" },
		{ "sysv", "msg", { .kind = IPCFS_NODE_OBJECT }, "within", "within" },
		{ "posix",
		  "mq",
		  { .kind = IPCFS_NODE_SELECTED, .selected = 1, .selector = 0 },
		  "msg",
		  "prio/0/msg" },
		{ "sysv",
		  "msg",
		  { .kind = IPCFS_NODE_SELECTED, .selected = 1, .selector = -3 },
		  "within",
		  "type/-3/within" },
		{ "sysv",
		  "msg",
		  { .kind = IPCFS_NODE_TIMED,
		    .selected = 1,
		    .selector = 3,
		    .within = 500001,
		    .detail = IPCFS_NODE_SELECTED },
		  "lines",
		  "type/3/within/0.5/lines" },
		{ "posix",
		  "sem",
		  { .kind = IPCFS_NODE_TIMED, .within = 1, .detail = IPCFS_NODE_OBJECT },
		  "hold",
		  "within/0/hold" },
		{ "sysv",
		  "sem",
		  { .kind = IPCFS_NODE_TIMED, .within = 2000001, .detail = IPCFS_NODE_SEMAPHORE },
		  "hold",
		  "0/within/2/hold" },
		{ "sysv",
		  "sem",
		  { .kind = IPCFS_NODE_TIMED, .within = 2000001, .detail = IPCFS_NODE_OBJECT },
		  "op",
		  "within/2/op" },
		{ "sysv",
		  "sem",
		  { .kind = IPCFS_NODE_SEMAPHORE, .selector = 7 },
		  "wait",
		  "7/wait" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
		const struct ipcfs_class *class = ipcfs_class_find(samples[i].family,
								   samples[i].class);
		struct ipcfs_node_key directory = samples[i].directory, key, above;
		char path[IPCFS_TREE_PATH_SIZE];

		directory.view = 3;
		directory.object = 5;
		assert_int_equal(ipcfs_static_tree_find(&directory, class, samples[i].file, &key),
				 0);
		above = ipcfs_tree_directory(class, &key);
		assert_memory_equal(&above, &directory, sizeof(above));
		ipcfs_tree_path(class, &key, path);
		assert_string_equal(path, samples[i].path);
	}
}

/* A file in a directory of an object has this key: the directory's, with the file's kind. */
static mode_t mask_of(const char *family, const char *name, struct ipcfs_node_key key)
{
	const struct ipcfs_class *class = ipcfs_class_find(family, name);

	assert_non_null(class);
	return ipcfs_attr_mask(class, &key);
}

static void modes_are_limited(void **state)
{
	struct ipcfs_node_key msg = { .kind = IPCFS_NODE_MSG };
	struct ipcfs_node_key drain = { .kind = IPCFS_NODE_DRAIN };

	(void)state;
	assert_int_equal(mask_of("posix", "mq", msg), 0666);
	assert_int_equal(mask_of("posix", "mq", drain), 0444);
	msg.selected = 1;
	msg.selector = 5;
	assert_int_equal(mask_of("posix", "mq", msg), 0222);
	assert_int_equal(mask_of("sysv", "msg", msg), 0666);
	msg.selector = -5;
	assert_int_equal(mask_of("sysv", "msg", msg), 0444);
	assert_int_equal(ipcfs_file_kinds[IPCFS_NODE_CREATE].mode, 0666);
	assert_int_equal(ipcfs_file_kinds[IPCFS_NODE_LIMIT].mode, 0644);
	assert_int_equal(ipcfs_file_kinds[IPCFS_NODE_CLASS].mode, 01777);
	assert_int_equal(ipcfs_file_kinds[IPCFS_NODE_STATUS].mode, 0444);
	assert_int_equal(ipcfs_file_kinds[IPCFS_NODE_MAX_BYTES].mode, 0644);
}

/* A file is handled by the operations of its group, which have what its traits ask for. */
static void regular_files_have_a_group(void **state)
{
	(void)state;
	for (enum ipcfs_node_kind kind = 1; kind < IPCFS_NODE_KINDS; kind++) {
		const struct ipcfs_file_ops *ops = ipcfs_ops_of(kind);
		const struct ipcfs_file_kind *row = &ipcfs_file_kinds[kind];
		bool regular = S_ISREG(row->type);

		assert_true(regular || S_ISDIR(row->type) || S_ISLNK(row->type));
		assert_int_equal(regular, row->group != IPCFS_GROUP_NONE);
		assert_int_equal(regular, ops->open && ops->read && ops->write);
		assert_true(!(row->traits & IPCFS_FILE_OPEN_TAKES) || ops->take);
		assert_true(!(row->traits & IPCFS_FILE_TEXT_SIZE) || ops->size);
		assert_true(!(row->traits & IPCFS_FILE_CLOSE_COMPLETES) || ops->flush);
	}
}

/* stat(2) shows one size: the object's, that of the text, or none. */
static void sizes_do_not_contradict(void **state)
{
	const unsigned sizes = IPCFS_FILE_SIZELESS | IPCFS_FILE_OBJECT_SIZE | IPCFS_FILE_TEXT_SIZE;

	(void)state;
	for (enum ipcfs_node_kind kind = 1; kind < IPCFS_NODE_KINDS; kind++) {
		unsigned size = ipcfs_file_kinds[kind].traits & sizes;

		assert_int_equal(size & (size - 1), 0);
		if (S_ISREG(ipcfs_file_kinds[kind].type))
			assert_int_not_equal(size, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_a_namespace),
		cmocka_unit_test(names_of_each_class),
		cmocka_unit_test(directories_without_fixed_names),
		cmocka_unit_test(names_are_found),
		cmocka_unit_test(paths_lead_back),
		cmocka_unit_test(modes_are_limited),
		cmocka_unit_test(regular_files_have_a_group),
		cmocka_unit_test(sizes_do_not_contradict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
