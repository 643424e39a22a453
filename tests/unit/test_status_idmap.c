/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/control/status_idmap.h"

static pid_t less_by_thousand(void *arg, pid_t pid)
{
	(void)arg;
	return pid > 1000 ? pid - 1000 : 0;
}

static void translates(const char *from, const char *to, bool ids, bool processes)
{
	struct ipcfs_status_idmap translation = {
		.ids = ids,
		.process = processes ? less_by_thousand : NULL,
	};
	struct ipcfs_id_map *map = NULL;
	struct ipcfs_text text = { 0 };

	assert_int_equal(ipcfs_id_map_parse("0 100000 1000\n", "0 200000 1000\n", &map), 0);
	translation.map = map;
	assert_int_equal(ipcfs_text_add(&text, from, strlen(from)), 0);
	assert_int_equal(ipcfs_status_idmap_apply(&text, &translation), 0);
	assert_int_equal(ipcfs_text_add(&text, "", 1), 0);
	assert_string_equal(text.data, to);
	ipcfs_text_free(&text);
	free(map);
}

static void users_groups_and_processes(void **state)
{
	(void)state;
	translates("uid=100005\ngid=200006\ncuid=100000\ncgid=200999\nmode=0600\n",
		   "uid=5\ngid=6\ncuid=0\ncgid=999\nmode=0600\n", true, true);
	translates("last_send_pid=1005\nlast_recv_pid=0\nlast_pid_0=1007\nlast_pid_12=999\n",
		   "last_send_pid=5\nlast_recv_pid=0\nlast_pid_0=7\nlast_pid_12=0\n", true, true);
	translates("holder_1_pid=1005\nholder_1_uid=100001\nwaiter_2_uid=100002\nholders=1\n",
		   "holder_1_pid=5\nholder_1_uid=1\nwaiter_2_uid=2\nholders=1\n", true, true);
}

static void what_has_no_number_there(void **state)
{
	(void)state;
	translates("uid=0\ngid=0\nuid=101000\n", "uid=65534\ngid=65534\nuid=65534\n", true, true);
}

static void only_what_is_asked_for(void **state)
{
	(void)state;
	translates("uid=100005\nlast_pid=1005\n", "uid=5\nlast_pid=1005\n", true, false);
	translates("uid=100005\nlast_pid=1005\n", "uid=100005\nlast_pid=5\n", false, true);
	translates("value_0=100005\nid=1005\nkey=0x00000051\nstale=unknown\nsize=1005\n",
		   "value_0=100005\nid=1005\nkey=0x00000051\nstale=unknown\nsize=1005\n", true,
		   true);
	translates("", "", true, true);
}

static void names_are_no_keys(void **state)
{
	(void)state;
	translates("name='x\nuid=100005\ny'\nuid=100005\n", "name='x\nuid=100005\ny'\nuid=5\n",
		   true, true);
	translates("name='it'\\''s\nuid=100001'\nuid=100005\n",
		   "name='it'\\''s\nuid=100001'\nuid=5\n", true, true);
	translates("uid='100005'\nuid=\nuid=12x\n", "uid='100005'\nuid=\nuid=12x\n", true, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_groups_and_processes),
		cmocka_unit_test(what_has_no_number_there),
		cmocka_unit_test(only_what_is_asked_for),
		cmocka_unit_test(names_are_no_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
