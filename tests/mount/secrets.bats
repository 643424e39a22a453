# SPDX-License-Identifier: MIT
# Only its sender and its receiver know a message. Not in sanitized builds, which keep freed memory
# and allocate on their own.
# shellcheck shell=bash disable=SC2016,SC2153,SC2154
load common

setup() {
	common_setup
	# meson has the C library overwrite what is freed, and so would hide it.
	unset MALLOC_PERTURB_
	SECRET=$(head -c 32 /dev/urandom | xxd -p -c 64)
}

# Starts a daemon without the secret in its environment.
start_unaware() {
	start_mount "$@"
	export SECRET
}

# Prints the daemon's process id, and those of the processes that it forked.
search() {
	# shellcheck disable=SC2046 # several words
	"$PEERS/memory_search" "$DAEMON" $(pgrep -P "$DAEMON") <<<"$SECRET"
}

# A worker clears the request's memory only after the answer was sent.
nothing_left() {
	wait_until 'search >"$BATS_TEST_TMPDIR/found"' 5 || { cat "$BATS_TEST_TMPDIR/found"; return 1; }
}

# Writes an unfinished line, by the process $JOB. bash would close its own descriptor at once.
leave_pending() {
	background bash -c 'printf %s "$SECRET"; touch "$MNT/../written"; exec sleep 100' >"$Q/lines"
	wait_until '[ -e "$MNT/../written" ]'
	rm "$MNT/../written"
}

# The same bytes in several lengths, so that they lie in several places.
long() {
	local text=$SECRET
	while [ ${#text} -lt "$1" ]; do text=$text$text; done
	echo "${text:0:$1}"
}

through_channels() {
	local size text
	for size in 64 500 4000 8000; do
		text=$(long "$size")
		echo "$text" >"$Q/msg"
		equals "$(cat "$Q/msg")" "$text"
		echo "$text" >"$Q/lines"
		equals "$(cat "$Q/drain")" "$text"
		printf '3\t%s\n' "$text" >"$Q/tagged"
		equals "$(head -n 1 "$Q/tagged" 2>/dev/null)" "3"$'\t'"$text"
		printf %s "$text" | dd of="$Q/packets" bs=8192 iflag=fullblock status=none
		equals "$(dd if="$Q/packets" bs=8192 count=1 status=none)" "$text"
	done
}

by_number() {
	local text directory
	text=$(long 3000)
	directory=$Q/type/5
	[ "$KIND" = sysv ] || directory=$Q/prio/5
	echo "$text" >"$directory/msg"
	echo "$text" >"$directory/lines"
	if [ "$KIND" = sysv ]; then
		equals "$(cat "$Q/peek/0.5")" "$text"
		ls -l "$Q/peek" >/dev/null
	fi
	equals "$(cat "$Q/drain")" "$text"$'\n'"$text"
}

# polls FILE EVENT [SIZE]: waits by poll(2) until the file is ready, and then reads it if SIZE is given.
polls() {
	python3 -c '
import os, select, sys
event = getattr(select, sys.argv[2])
fd = os.open(sys.argv[1], (os.O_WRONLY if event == select.POLLOUT else os.O_RDONLY) | os.O_NONBLOCK)
poll = select.poll()
poll.register(fd, event)
print("polls", poll.poll(0), flush=True)
assert poll.poll(20000)[0][1] & event
if len(sys.argv) > 3 and ("packets" not in sys.argv[1] or int(sys.argv[3]) > 3000):
    os.read(fd, int(sys.argv[3]))' "$@"
}

# The file is polled while its message is there, and before the message comes. SIZE bytes of the message
# are then read; without SIZE the message stays in the queue.
polled_one() {
	local file=$1 text
	text=$(long 3000)
	# one of another type stands before it
	[ "$KIND" = posix ] || mqtool "$KIND" "$NAME" send 9 "$text"
	if [[ $file == type/* ]]; then
		background_output polls "$Q/$file" POLLIN "${@:2}"
		wait_until '[[ $(cat "$OUT") == "polls []" ]]'
		mqtool "$KIND" "$NAME" send 5 "$text"
		wait "$JOB"
		nothing_left
	fi
	mqtool "$KIND" "$NAME" send 5 "$text"
	polls "$Q/$file" POLLIN "${@:2}" >/dev/null
	nothing_left
	cat "$Q/drain" >/dev/null
}

polled() {
	local file files=(msg lines) number=prio/5
	[ "$KIND" = posix ] || files+=(type/5/msg type/5/lines type/-6/packets type/5/tagged) number=type/5
	for file in "${files[@]}"; do
		polled_one "$file"
		polled_one "$file" 10
		polled_one "$file" 8192
	done
	long 3000 >"$Q/$number/packets"
	polls "$Q/$number/lines" POLLOUT >/dev/null
	nothing_left
	cat "$Q/drain" >/dev/null
}

# Rests of messages, read to their end or given up; a rest behind which the next message comes.
in_pieces() {
	local text line
	text=$(long 700)
	echo "$text" >"$Q/msg"
	equals "$(dd if="$Q/msg" bs=7 status=none)" "$text"
	printf '%s\n%s\n' "$text" "$text" >"$Q/lines"
	read -r line <"$Q/lines"
	equals "$line" "$text"
	head -c 10 "$Q/lines" >/dev/null
	echo "$text" >"$Q/msg"
	head -c 10 "$Q/msg" >/dev/null
	equals "$(messages)" 0
}

many_at_once() {
	local i
	for ((i = 0; i < 8; i++)); do
		long $((i * 400 + 100)) >"$Q/lines"
	done
	timeout $((2 * SLOW)) cat "$Q/lines" >/dev/null || :
	equals "$(messages)" 0
}

# An unfinished line that is closed; a message that is too long; lines in pieces.
halves() {
	printf %s "$SECRET" >"$Q/lines"
	equals "$(cat "$Q/drain")" "$SECRET"
	{ printf %s "$SECRET"; printf %s "$SECRET"; /bin/true; printf %s "$SECRET$SECRET"; echo; } >"$Q/lines"
	{ printf %s "$SECRET"; printf %s "$SECRET"; } >"$Q/msg"
	equals "$(wc -c <"$Q/drain")" 386
	fails 'Message too long' bash -c 'for i in {1..400}; do printf %s "$SECRET"; done >"$Q/msg"'
	fails 'Message too long' bash -c 'for i in {1..400}; do printf %s "$SECRET"; done >"$Q/lines"'
	fails 'Message too long' dd if=<(long 9000) of="$Q/packets" bs=9001 iflag=fullblock
	fails 'Invalid argument' bash -c 'echo "$SECRET" >"$Q/tagged"'
	equals "$(messages)" 0
}

waiting_readers() {
	local file
	for file in msg lines packets tagged; do
		background cat "$Q/$file"
		wait_parked 1
		echo "$SECRET" >"$Q/msg"
		wait_until '[ "$(messages)" = 0 ]'
		kill "$JOB" 2>/dev/null || :
		wait "$JOB" || :
	done >/dev/null
}

# The message comes while the reader is killed: it is put back, or was taken.
interrupted_readers() {
	local i writer
	for ((i = 0; i < 10; i++)); do
		background cat "$Q/msg" >/dev/null
		wait_parked 1
		echo "$SECRET" >"$Q/msg" 3>&- 4>&- &
		writer=$!
		kill -KILL "$JOB" || : # it may have the message already
		wait "$JOB" || :
		wait "$writer"
		cat "$Q/drain" >/dev/null
	done
	# One more, since a message is put back a moment later.
	wait_until 'cat "$Q/drain" >/dev/null; [ "$(messages)" = 0 ]'
}

# A writer that is killed while it waits for room, and one whose queue is removed.
waiting_writers() {
	fill
	background bash -c 'echo "$SECRET" >"$Q/lines"'
	background bash -c 'echo "$SECRET" >"$Q/msg"'
	wait_parked 2
	kill -KILL "${JOBS[@]: -2:1}"
	wait "${JOBS[@]: -2:1}" || :
	rmdir "$Q"
	wait "$JOB" || :
}

WAYS=(through_channels by_number polled in_pieces many_at_once halves waiting_readers interrupted_readers waiting_writers)

segments() {
	local segment
	for segment in "$MNT/posix/shm/vault" "$MNT/sysv/shm/0x00007711"; do
		echo "${segment#"$MNT"/} size=300K" >"$MNT/create"
		for ((i = 0; i < 4000; i++)); do printf %s "$SECRET"; done |
			dd of="$segment/data" bs=64k iflag=fullblock conv=notrunc status=none
		cmp -n 64000 "$segment/data" <(for ((i = 0; i < 1000; i++)); do printf %s "$SECRET"; done)
		dd if="$segment/data" bs=100 count=3 skip=1 status=none >/dev/null
		rmdir "$segment"
	done
}

@test "the search finds what exists: an unfinished line" {
	start_unaware
	each_kind pending
}

pending() {
	leave_pending
	wait_until '! search'
	kill "$JOB"
	wait "$JOB" || :
	nothing_left
}

@test "received messages are nowhere in the daemon's memory, whichever way they went" {
	local way
	start_unaware
	for way in "${WAYS[@]}"; do
		echo "$way:"
		each_kind "$way"
		nothing_left
	done
}

@test "bytes written to a segment and read from it are not in the daemon's memory" {
	start_unaware
	segments
	nothing_left
}

@test "messages and memory are not in the log, and in no error's text" {
	local way
	start_unaware -d
	for way in "${WAYS[@]}"; do
		each_kind "$way"
	done
	segments
	stop_mount
	grep -a -q INIT "$LOG"
	equals "$(grep -a -F -e "${SECRET:0:16}" -e "${SECRET:20:16}" "$LOG")" ''
}

@test "a daemon that is killed by a signal writes no core file" {
	local work=$BATS_TEST_TMPDIR/core
	mkdir "$work"
	(
		cd "$work" || exit
		ulimit -c unlimited
		# Was one written, to any place?
		perl -e 'my $child = fork; if (!$child) { exec @ARGV } waitpid $child, 0; print $? & 127, " ", $? & 128' \
			ipcfs -f "$MNT" >status 2>"$LOG"
	) 3>&- 4>&- &
	JOBS+=($!)
	wait_until is_ready
	export SECRET
	new_queue posix
	leave_pending
	pkill -SEGV -x -P "$(pgrep -n -x perl)" ipcfs
	wait "${JOBS[0]}" || :
	equals "$(cat "$work/status")" '11 0'
	equals "$(ls "$work")" status
}
