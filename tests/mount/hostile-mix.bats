# SPDX-License-Identifier: MIT
# Several users do at random what they can (tests/tools/hostile_mix), an innocent one works beside
# them. IPCFS_TEST_SECONDS says how long, IPCFS_TEST_SEED repeats a run.
# shellcheck shell=bash disable=SC2154,SC2016
load common
load fairness

setup() {
	common_setup
	prepare_attacks
	cp "$PEERS/hostile_mix" "$BATS_TEST_TMPDIR/bin/"
}

# Prints how many files the daemon has open: semaphores, of which it keeps 64 that nobody uses, or
# (with -v) others.
descriptors() {
	find "/proc/$DAEMON/fd" -mindepth 1 -printf '%l\n' | grep -c "$@" '^/dev/shm/sem\.'
}

# Holds the lock of /dev/shm for a moment, again and again, until it is killed. It has a user of its
# own: the others of the mix stop processes of their users.
locks_now_and_then() {
	while :; do
		EXEC='' as_user 4322 timeout -s KILL 1 attack locked_shm "$MNT" >/dev/null 2>&1 || :
	done
}

# hostile_mixed OPTION...: the mix on a mount with these options.
hostile_mixed() {
	local seconds=${IPCFS_TEST_SECONDS:-$((SHORT ? 2 : 4))} files memory
	start_mount "$@"
	innocents 0.3
	is_served
	files=$(descriptors -v) memory=$(resident)
	# Now that the innocent has its objects.
	if [ -n "${LOCKS-}" ]; then
		background locks_now_and_then
		ATTACK=$JOB
	fi
	innocents "$seconds"
	hostile_mix "$MNT" "$seconds" ${IPCFS_TEST_SEED:+"$IPCFS_TEST_SEED"}
	is_served
	[ -z "${LOCKS-}" ] || relents
	# What they have left goes; what the daemon kept for it goes, too.
	ls -lR "$MNT" >/dev/null 2>&1 || :
	find /dev/shm -mindepth 1 ! -name '*innocents*' -delete
	rmdir "$MNT"/posix/mq/mix* "$MNT"/sysv/*/0x3000000* 2>/dev/null || :
	wait_until '[ "$(descriptors -v)" -le '"$files"' ]' || { ls -l "/proc/$DAEMON/fd"; return 1; }
	[ "$(descriptors)" -le 65 ]
	# The threads of those that were held up end after a second. Sanitizers keep freed memory.
	[ "$SLOW" != 1 ] || wait_until '[ "$(($(resident) - '"$memory"'))" -lt 20000 ]'
	innocents 0.3
	is_served
	within "$ENDS" stop_mount
}

@test "an innocent user is served beside others who do what they like" {
	hostile_mixed
}

@test "the same with small shares" {
	hostile_mixed -o max_waiters=8,max_opens=40,max_objects=20,hide
}

@test "the same while the directory of the segments is locked now and then" {
	LOCKS=1 hostile_mixed
}
