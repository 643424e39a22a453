# SPDX-License-Identifier: MIT
# What examples/ promises.
# shellcheck shell=bash disable=SC2154,SC2016
load common

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
