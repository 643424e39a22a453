# SPDX-License-Identifier: MIT
# Processes that wait can be frozen with their control group, and lose nothing by it. Needs a
# hierarchy of control groups (version 2) to make one in.
# shellcheck shell=bash disable=SC2154,SC2016
load common
load semaphore
load stopping
load fairness

setup() {
	common_setup
	cp "$PEERS/semtool" "$BATS_TEST_TMPDIR/bin/"
	GROUPS_ROOT=$BATS_TEST_TMPDIR/cgroup
	GROUP=$GROUPS_ROOT/ipcfs-${BATS_RUN_TMPDIR##*/}-$BATS_TEST_NUMBER
	mkdir "$GROUPS_ROOT"
	mount -t cgroup2 cgroup2 "$GROUPS_ROOT"
	mkdir "$GROUP"
	start_mount
}

teardown() {
	local pid
	echo 0 >"$GROUP/cgroup.freeze"
	for pid in $(cat "$GROUP/cgroup.procs"); do
		kill -KILL "$pid"
	done
	wait_until 'rmdir "$GROUP" 2>/dev/null'
	umount "$GROUPS_ROOT"
	common_teardown || return 1
	ipcrm --all=sem
	find /dev/shm -mindepth 1 -delete
}

by_freezing() {
	local pid
	for pid in "$@"; do
		echo "$pid" >"$GROUP/cgroup.procs"
	done
	echo 1 >"$GROUP/cgroup.freeze"
	wait_until 'grep -qx "frozen 1" "$GROUP/cgroup.events"' || { cat "$GROUP/cgroup.events"; return 1; }
	echo 0 >"$GROUP/cgroup.freeze"
	wait_until 'grep -qx "frozen 0" "$GROUP/cgroup.events"'
	for pid in "$@"; do
		# It may have ended.
		echo "$pid" >"$GROUPS_ROOT/cgroup.procs" 2>/dev/null || :
	done
}

@test "cgroup.freeze: each message is sent and taken once, or refused" {
	each_file by_freezing
}

@test "cgroup.freeze: each semaphore is taken once, or not at all" {
	each_semaphore_file by_freezing
}

frozen_for_a_while() {
	local pid full got=$BATS_TEST_TMPDIR/got
	fill
	full=$(messages)
	begin_jobs frozen
	starts writer bash -c '/bin/echo new >"$Q/msg"'
	wait_parked 1
	for pid in $(waiting_pids); do
		echo "$pid" >"$GROUP/cgroup.procs"
	done
	echo 1 >"$GROUP/cgroup.freeze"
	wait_until 'grep -qx "frozen 1" "$GROUP/cgroup.events"'
	# Others use the queue meanwhile.
	within 1000 bash -c 'cat "$Q/drain"' >"$got"
	within 1000 bash -c 'echo other >"$Q/msg"'
	within 1000 bash -c 'cat "$Q/drain"' >>"$got"
	echo 0 >"$GROUP/cgroup.freeze"
	wait_until 'cat "$Q/drain" >>"'"$got"'"; jobs_ended'
	wait_until 'cat "$Q/drain" >>"'"$got"'"; [ "$(wc -l <"'"$got"'")" -ge $(('"$full"' + 1 + $(succeeded))) ]'
	equals "$(grep -cx new "$got") $(grep -cx other "$got") $(grep -vcx -e new -e other "$got")" "$(succeeded) 1 $full"
}

@test "the queue of a frozen writer can be used" {
	each_kind frozen_for_a_while
}

# Freezes what the daemon begins, as long as there is $BATS_TEST_TMPDIR/freezes.
freeze_children() {
	python3 - "$DAEMON" "$GROUP/cgroup.procs" "$BATS_TEST_TMPDIR" <<-'EOF'
	import glob, os, sys
	daemon, group, place = sys.argv[1:]
	def children():
	    for name in glob.glob(f'/proc/{daemon}/task/*/children'):
	        try:
	            yield from open(name).read().split()
	        except OSError: # the thread has ended
	            pass
	before = set(children())
	while os.path.exists(place + '/freezes'):
	    for child in set(children()) - before:
	        try:
	            with open(group, 'w') as file:
	                file.write(child)
	            open(place + '/frozen', 'w').close()
	        except OSError: # it has ended
	            pass
	EOF
}

@test "while the processes that make a user's queues are frozen, others are served" {
	prepare_attacks
	innocents 0.3
	is_served
	echo 1 >"$GROUP/cgroup.freeze"
	touch "$BATS_TEST_TMPDIR/freezes"
	background freeze_children
	FREEZER=$JOB
	attacks makers
	wait_until '[ -e "$BATS_TEST_TMPDIR/frozen" ]'
	innocents
	is_served
	kill -TERM "$DAEMON"
	within "$ENDS" wait_until is_gone
	rm "$BATS_TEST_TMPDIR/freezes"
	wait "$FREEZER"
	relents
	daemon_ends
}
