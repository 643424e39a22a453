# SPDX-License-Identifier: MIT
# The examples do what they promise.
# shellcheck shell=bash disable=SC2153,SC2154,SC2016,SC2164
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

ended_pool() {
	local go=$BATS_TEST_TMPDIR/go.$KIND
	# shellcheck disable=SC2016
	background_output "$EXAMPLES/worker-pool" "$Q" 2 sh -c "$PRELUDE"'
		: >"$0.$1"; until_true "[ -e \"$0\" ]"; echo "did $1"' "$go"
	seq 5 >"$Q/lines"
	wait_until "[ -e $go.1 ] && [ -e $go.2 ]"
	equals "$(sed -n 's/^leased=//p' "$Q/status")" 2
	kill -TERM "$JOB"
	touch "$go"
	wait "$JOB" || equals "$?" 143
	equals "$(sort "$OUT")" $'did 1\ndid 2'
	wait_until "grep -qx waiting_readers=0 '$Q/status' && grep -qx leased=0 '$Q/status'"
	equals "$(cat "$Q/drain")" $'3\n4\n5'
}

@test "worker-pool, when it is ended, finishes what has begun and takes nothing more" {
	each_kind ended_pool
}

killed_pool() {
	background "$EXAMPLES/worker-pool" "$Q" 2 sleep
	printf '100\nbad\n' >"$Q/lines"
	wait_until "grep -qx leased=1 '$Q/status'"
	wait_until 'grep -q "dropped as dead.*3 bytes" "$LOG"'
	: >"$LOG"
	kill -HUP "$JOB"
	wait "$JOB" || equals "$?" 129
	wait_until "grep -qx messages=1 '$Q/status'"
	equals "$(cat "$Q/drain")" 100
	pkill -x sleep # what had begun goes on
}

@test "worker-pool: a job whose worker is killed is in the queue again; a job that fails is dropped" {
	each_kind killed_pool
}

# resize MESSAGE of the test: fails with a poisonous message, until the test heals it.
pipelined() {
	local from=posix/mq/raw$KIND between=${Q#"$MNT"/} failed=posix/mq/failed$KIND
	local heal=$BATS_TEST_TMPDIR/heal.$KIND out=$BATS_TEST_TMPDIR/uploaded.$KIND
	cd "$MNT"
	mkdir "$from" "$failed"
	# shellcheck disable=SC2016
	background "$EXAMPLES/pipeline" stage "$from" "$between" "$failed" \
		sh -c 'read -r x; [ "$x" != poison ] || [ -e "$0" ] || exit 1; echo "small $x"' "$heal"
	# shellcheck disable=SC2016
	background "$EXAMPLES/pipeline" stage "$between" - "$failed" sh -c 'cat >>"$0"' "$out"
	printf '%s\n' a poison b >"$from/lines"
	wait_until "grep -qx messages=1 '$failed/status'"
	wait_until "[ \"\$(sort '$out' | paste -s -d ,)\" = 'small a,small b' ]"
	grep -qx leases_returned=2 "$from/status"
	touch "$heal"
	"$EXAMPLES/pipeline" retry "$failed" "$from"
	wait_until "grep -qx 'small poison' '$out'"
	equals "$(messages "$failed")" 0
	rmdir "$from" "$failed" "$between"
	cd "$OLDPWD"
}

@test "pipeline: two stages; what fails three times is set aside, and retried" {
	each_kind pipelined
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

once() {
	equals "$("$EXAMPLES/once" "$S" echo did)" did
	not "$EXAMPLES/once" "$S" sh -c 'exit 1'
	# The lock is held by what the command has left running, too.
	background sh -c 'exec "$0"/once "$S" sh -c "sleep 1000 & sleep 1000"' "$EXAMPLES"
	wait_until '[ "$(direct_value)" = 0 ]'
	run "$EXAMPLES/once" "$S" echo did
	equals "$status" 75
	[[ $output == *"is held by process $JOB: root"*'once'* ]]
	within 5000 fails 'is held by' "$EXAMPLES/once" -w 0.2 "$S" echo did
	background_output "$EXAMPLES/once" -w 60 "$S" echo did
	wait_until '[ "$(state waiters)" = 1 ]'
	pkill -x -P "${JOBS[0]}" sleep || :
	kill "${JOBS[0]}"
	meanwhile 0.2
	equals "$(state waiters)" 1 # the first sleep has it still
	pkill -x sleep
	wait "$JOB"
	equals "$(cat "$OUT")" did
	fails "can't use" "$EXAMPLES/once" "$O/none" echo did
	fails 'usage: once' "$EXAMPLES/once" "$S"
	value_is 1
	JOBS=()
}

@test "once runs one at a time, within a time limit, and tells who has the lock" {
	each_semaphore once
}

batch() {
	local out=$BATS_TEST_TMPDIR/batch.$KIND
	background bash -c 'exec "$0"/batch.py receive "$Q" >"$1"' "$EXAMPLES" "$out"
	seq 20000 | "$EXAMPLES/batch.py" send "$Q" 7
	wait_until '[ "$(wc -l <"'"$out"'")" = 20000 ]'
	cmp "$out" <(seq 20000 | sed 's/^/7\t/')
	rmdir "$Q"
	wait "$JOB"
	fails 'No such file' "$EXAMPLES/batch.py" receive "$Q"
	fails 'batch.py send QUEUE' "$EXAMPLES/batch.py"
}

@test "batch.py sends and receives many messages at once" {
	each_kind batch
}

@test "watch-queues shows how full the queues are" {
	new_queue sysv
	echo hello >"$Q/msg"
	mqtool posix closed make 0
	run "$EXAMPLES/watch-queues" "$MNT" 0 1
	equals "$status" 0
	[[ $output == *"sysv/msg/$NAME "*' 1 messages'*' 6 bytes'* ]]
	# It took nothing.
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

# Jobs that run, and jobs that are done.
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
	# Two lists of jobs share three slots,
	wait_until '[ "$(now began)" = 3 ]'
	wait_until '[ "$(state waiters)" = 2 ]'
	meanwhile 0.3
	equals "$(now began) $(state holders) $(direct_value)" '3 3 0'
	# a killed job leaves its slot to the next one,
	kill -KILL "$(sed -n '1s/began //p' "$JOURNAL")"
	wait_until '[ "$(now began)" = 4 ]'
	# and so does a job that ends.
	touch "$GO"
	for i in "${pools[@]}"; do
		wait "$i"
	done
	equals "$(now began) $(now did)" '10 9'
	equals "$(cat "$BATS_TEST_TMPDIR"/out.* | grep -c '^parallel-limit: failed: ')" 1
	rm "$BATS_TEST_TMPDIR"/out.*
	value_is 3
}

@test "parallel-limit runs so many at once, from any terminal" {
	each_semaphore limited
}

buffered() {
	local i puts=() takes=() directory=$BATS_TEST_TMPDIR/buffer.$KIND
	mkdir "$directory"
	for i in 1 2; do
		background_output bash -c 'exec "$0"/bounded-buffer take "$S" "$1" 3' "$EXAMPLES" "$directory"
		takes+=("$JOB")
	done
	wait_until '[ "$(grep -c ^waiter_._condition=not-empty "$O/status")" = 2 ]'
	for i in 0 50; do
		background bash -c 'seq "$2" "$(($2 + 49))" | "$0"/bounded-buffer put "$S" "$1" 3' "$EXAMPLES" "$directory" "$i"
		puts+=("$JOB")
	done
	for i in "${puts[@]}"; do
		wait "$i"
	done
	wait_until '[ "$(cat "$BATS_TEST_TMPDIR"/out.* | wc -l)" = 100 ]'
	equals "$(cat "$BATS_TEST_TMPDIR"/out.* | sort -n)" "$(seq 0 99)"
	# Without takers it holds no more than its places.
	kill "${takes[@]}"
	value_is 1
	background bash -c 'seq 5 | "$0"/bounded-buffer put "$S" "$1" 3' "$EXAMPLES" "$directory"
	wait_until '[ "$(state waiter_1_condition)" = not-full ]'
	equals "$(($(cat "$directory/next") - $(cat "$directory/first")))" 3
	rm "$BATS_TEST_TMPDIR"/out.*
}

@test "bounded-buffer hands each line on, and waits where it is full or empty" {
	each_semaphore buffered
}

# leaks UID KEY...: segments whose maker has ended.
leaks() {
	as_user "$1" /usr/bin/python3 -c '
import ctypes, sys
libc = ctypes.CDLL(None)
for key in sys.argv[1:]:
    libc.shmget(int(key, 0), 8192, 0o1600)' "${@:2}"
}

@test "clean-segments lists what leaked, and removes it when told" {
	local clean=$EXAMPLES/clean-segments
	leaks 0 0x51 0x52 0
	mkdir "$MNT/sysv/shm/0x53"
	equals "$("$clean" "$MNT")" ''
	run "$clean" "$MNT" 0
	echo "$output"
	equals "$status ${#lines[@]}" '0 3'
	[[ $output == *$'0x00000051\tid '*$'\tuid 0\t8192 bytes\t0 hours'* ]]
	equals "$(find "$MNT/sysv/shm" -mindepth 1 -maxdepth 1 | wc -l)" 4
	run "$clean" -r "$MNT" 0
	equals "$status ${#lines[@]}" '0 3'
	equals "$(ls "$MNT/sysv/shm")" 0x00000053
}

@test "clean-segments -p takes POSIX segments that no process has open or mapped" {
	local clean=$EXAMPLES/clean-segments user
	cp "$PEERS/objtool" "$BATS_TEST_TMPDIR/bin/"
	leaks 0 0x51
	for user in 0 1234; do
		as_user "$user" objtool posix/shm "left$user" make 0666
	done
	objtool posix/shm open make
	objtool posix/shm mapped make
	: >"/dev/shm/"$'odd\nname'
	for user in open mapped; do
		background_output as_user 0 objtool posix/shm "$user" use "$user"
		wait_until 'grep -q ready "$OUT"'
	done
	equals "$("$clean" -p "$MNT")" ''
	equals "$("$clean" "$MNT" 0 | cut -f1)" 0x00000051
	equals "$("$clean" -p "$MNT" 0 | cut -f1 | xargs)" '0x00000051 left0 left1234 odd?name'
	# Others may use it, as far as an ordinary user knows.
	run as_user 1234 "$clean" -pru 1234 "$MNT" 0
	equals "$status" 0
	[[ $output == "clean-segments: who uses 1 POSIX segments can't be seen"* ]]
	"$clean" -pru 1234 "$MNT" 0
	"$clean" -pr "$MNT" 0
	equals "$(ls "$MNT/posix/shm")" $'mapped\nopen'
	silent ls "$MNT/sysv/shm"
}

@test "clean-segments -u takes one user's, by name or number" {
	local clean=$EXAMPLES/clean-segments
	leaks 0 0x51
	leaks "$(id -u nobody)" 0x52
	leaks 1234 0x53
	equals "$("$clean" -u nobody "$MNT" 0 | cut -f1)" 0x00000052
	equals "$("$clean" -u 1234 "$MNT" 0 | cut -f1)" 0x00000053
	"$clean" -r -u nobody "$MNT" 0
	"$clean" -ru 1234 "$MNT" 0
	equals "$(ls "$MNT/sysv/shm")" 0x00000051
	run "$clean" -u nobody-of-this-name "$MNT" 0
	equals "$status" 2
	[[ $output == *nobody-of-this-name* ]]
	local wrong
	for wrong in '' '-x /' '/ 0 0' /; do
		# shellcheck disable=SC2086 # several words
		run "$clean" $wrong
		equals "$status" 2
	done
	equals "$(ls "$MNT/sysv/shm")" 0x00000051
}

@test "clean-segments goes on after what it may not remove, and says what is left" {
	leaks 1234 0x51
	leaks 0 0x52
	leaks 1234 0x53
	leaks 0 0x54
	run as_user 1234 "$EXAMPLES/clean-segments" -r "$MNT" 0
	equals "$status" 1
	equals "$(ls "$MNT/sysv/shm")" $'0x00000052\n0x00000054'
	[[ $output == *'0x00000052'*'not permitted'*'clean-segments: 2 could not be removed' ]]
}
