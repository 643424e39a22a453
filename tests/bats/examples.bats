# SPDX-License-Identifier: MIT
# What examples/ promises.
# shellcheck shell=bash disable=SC2154,SC2016
load common
load semaphore

EXAMPLES=$BATS_TEST_DIRNAME/../../examples

pool() {
	local out=$BATS_TEST_TMPDIR/out.$KIND
	background bash -c '"$0"/worker-pool "$Q" 3 echo did >"$1"' "$EXAMPLES" "$out"
	seq 50 >"$Q/lines"
	printf 'stop\nstop\nstop\n' >"$Q/lines"
	wait "$JOB"
	equals "$(sort -k 2n "$out")" "$(seq -f 'did %.0f' 50)"
}

@test "worker-pool does each job once" {
	each_kind pool
}

copy() {
	local size from=$BATS_TEST_TMPDIR/from to=$BATS_TEST_TMPDIR/to
	for size in 0 1 8192 300001; do
		head -c "$size" /dev/urandom >"$from"
		background "$EXAMPLES/copy-file" send "$Q" "$from"
		timeout 20 "$EXAMPLES/copy-file" receive "$Q" "$to"
		wait "$JOB"
		cmp "$from" "$to"
	done
}

@test "copy-file moves any file" {
	each_kind copy
}

@test "watch-queues shows how full the queues are" {
	new_queue sysv
	echo hello >"$Q/msg"
	mqtool posix closed make 0
	run "$EXAMPLES/watch-queues" "$MNT" 0 1
	equals "$status" 0
	[[ $output == *"sysv/msg/$NAME "*' 1 messages'*' 6 bytes'* ]]
	# It has taken nothing.
	equals "$(messages)" 1
}

locked() {
	local i jobs=() counter=$BATS_TEST_TMPDIR/counter.$KIND
	for i in {1..5}; do
		background "$EXAMPLES/locked-counter" "$S" "$counter" 20
		jobs+=("$JOB")
	done
	for i in "${jobs[@]}"; do
		wait "$i"
	done
	"$EXAMPLES/locked-counter" "$S" "$counter"
	equals "$(cat "$counter")" 101
	value_is 1
	# Without a lock it does nothing.
	fails hold "$EXAMPLES/locked-counter" "$O/none" "$counter"
	equals "$(cat "$counter")" 101
}

@test "locked-counter loses no count" {
	each_semaphore locked
}

# The jobs that run, and those that are done.
now() {
	grep -c "^$1" "$BATS_TEST_TMPDIR/journal.$KIND"
}

limited() {
	local i pools=() job=$BATS_TEST_TMPDIR/bin/job
	export JOURNAL=$BATS_TEST_TMPDIR/journal.$KIND GO=$BATS_TEST_TMPDIR/go.$KIND
	printf '%s\n' '#!/bin/bash' 'echo "began $$" >>"$JOURNAL"' 'until [ -e "$GO" ]; do sleep 0.02; done' \
		'echo "did $1" >>"$JOURNAL"' >"$job"
	chmod 755 "$job"
	: >"$JOURNAL"
	echo 3 >"$S/value"
	for i in 0 5; do
		background_output bash -c 'seq "$2" "$(($2 + 4))" | "$0/parallel-limit" "$S" "$1"' \
			"$EXAMPLES" "$job" "$((i + 1))"
		pools+=("$JOB")
	done
	# Two lists of jobs have three slots between them,
	wait_until '[ "$(now began)" = 3 ]'
	wait_until '[ "$(state waiters)" = 2 ]'
	sleep 0.3
	equals "$(now began) $(state holders) $(direct_value)" '3 3 0'
	# a job that is killed leaves its to the next one,
	kill -KILL "$(sed -n '1s/began //p' "$JOURNAL")"
	wait_until '[ "$(now began)" = 4 ]'
	# and so does one that ends.
	touch "$GO"
	for i in "${pools[@]}"; do
		wait "$i"
	done
	equals "$(now began) $(now did)" '10 9'
	equals "$(cat "$BATS_TEST_TMPDIR"/out.* | grep -c '^parallel-limit: failed: ')" 1
	rm "$BATS_TEST_TMPDIR"/out.*
	value_is 3
}

@test "parallel-limit runs so many at once, whoever starts them" {
	each_semaphore limited
}
