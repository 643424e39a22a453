# SPDX-License-Identifier: MIT
# within/SECONDS/: a wait with an end, which takes nothing when it ends by time.
# shellcheck shell=bash disable=SC2154,SC2016
load common
load semaphore

setup() {
	common_setup
	cp "$PEERS"/{semtool,edge} "$BATS_TEST_TMPDIR/bin/"
	start_mount
}

# takes_time LEAST MOST COMMAND...: asserts that it fails with ETIMEDOUT, between these milliseconds; on a
# busy machine processes alone may take three times as long as MOST.
takes_time() {
	local least=$1 most=$(($2 * 3 * SLOW)) start=${EPOCHREALTIME/./} took
	shift 2
	fails 'Connection timed out' "$@"
	took=$(((${EPOCHREALTIME/./} - start) / 1000))
	echo "$took ms: $*"
	[ "$took" -ge "$least" ]
	[ "$took" -le "$most" ]
}

# Writes as a shell does, and prints the error, which dash keeps to itself.
write_to() {
	bash -c 'printf %s "$2" >"$1"' bash "$1" "$2"
}

# The files that may wait, in each directory that has within/.
reads_end() {
	local file
	for file in msg lines tagged packets; do
		takes_time 100 1500 cat "$Q/within/0.1/$file"
	done
	takes_time 0 1000 cat "$Q/within/0/msg"
	[ "$KIND" = posix ] || takes_time 100 1500 cat "$Q/type/5/within/0.1/msg"
	[ "$KIND" = posix ] || takes_time 100 1500 cat "$Q/type/-5/within/0.1/packets"
	echo job >"$Q/msg"
	[ "$KIND" = posix ] || takes_time 100 1500 cat "$Q/type/5/within/0.1/lines"
	equals "$(cat "$Q/within/0.1/msg")" job
}

@test "a read ends with ETIMEDOUT when its time is over" {
	each_kind reads_end
}

writes_end() {
	local file full text=$'1\ttext\n'
	fill
	full=$(messages)
	for file in msg lines tagged packets; do
		takes_time 100 1500 write_to "$Q/within/0.1/$file" "$text"
		equals "$(messages)" "$full"
	done
	if [ "$KIND" = posix ]; then
		takes_time 100 1500 write_to "$Q/prio/7/within/0.1/msg" "$text"
	else
		takes_time 100 1500 write_to "$Q/type/7/within/0.1/msg" "$text"
	fi
	takes_time 0 1000 write_to "$Q/within/0/msg" "$text"
	for file in msg lines tagged packets; do
		fill
		background write_to "$Q/within/20/$file" "$text"
		wait_parked 1
		mqtool "$KIND" "$NAME" receive >/dev/null
		wait "$JOB"
	done
	not grep -v -e '^f*$' -e text < <(cat "$Q/drain")
}

@test "a write to a full queue ends with ETIMEDOUT, and sends nothing; in time it sends" {
	each_kind writes_end
}

semaphores_end() {
	echo 0 >"$S/value"
	takes_time 100 1500 write_to "$S/within/0.1/wait" 1
	takes_time 100 1500 write_to "$S/within/0.1/hold" ''
	if [ "$KIND" = sysv ]; then
		takes_time 100 1500 write_to "$O/within/0.1/op" '0:-1'
		echo 1 >"$S/value"
		takes_time 100 1500 write_to "$S/within/0.1/zero" $'\n'
		echo 0 >"$S/value"
	fi
	background write_to "$S/within/20/wait" 1
	wait_parked 1
	echo >"$S/post"
	wait "$JOB"
	value_is 0
}

@test "waits for a semaphore end with ETIMEDOUT, and take nothing" {
	each_semaphore semaphores_end
}

@test "a hold through within/ is kept, and given back by the close" {
	everywhere_from 1 $'0\nbusy\n1' '
		exec 9>"$S/within/2/hold" || exit 75
		value
		( : 8>"$S/within/0.1/hold" ) 2>/dev/null || echo busy
		exec 9>&-
		value'
}

@test "shells: the first line, or an end by time" {
	everywhere $'got job\nnothing' '
		echo job >"$Q/msg"
		IFS= read -r line <"$Q/within/5/lines" && echo "got $line"
		IFS= read -r line <"$Q/within/0.1/lines" 2>/dev/null || echo nothing
		[ "$(messages)" = 0 ]'
}

counts_anew() {
	background_output python3 -c '
import os, sys, time
file, begin = os.open(sys.argv[1], os.O_RDONLY), time.monotonic()
for _ in range(5):
    print(os.read(file, 100))
print(time.monotonic() - begin > 1)' "$Q/within/20/lines"
	for _ in 1 2 3 4 5; do
		meanwhile 0.3
		echo line >"$Q/msg"
	done
	wait "$JOB"
	equals "$(tail -n 1 "$OUT")" True
}

@test "the time counts anew for each read of lines" {
	each_kind counts_anew
}

polls_end() {
	takes_time 100 1500 python3 -c '
import os, select, sys
file = os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK)
poll = select.poll()
poll.register(file, select.POLLIN)
assert poll.poll() == [(file, select.POLLIN)]
os.read(file, 100)' "$Q/within/0.1/lines"
	# Once it has ended, the next wait has its own time; what comes in time is read.
	python3 -c '
import errno, os, select, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_NONBLOCK)
epoll = select.epoll()
epoll.register(file, select.EPOLLIN | select.EPOLLET)
def refused(error):
    try:
        os.read(file, 100)
    except OSError as got:
        assert got.errno == error, got
    else:
        assert False
for _ in range(3):
    refused(errno.EAGAIN)
    assert epoll.poll() == [(file, select.EPOLLIN)]
    refused(errno.ETIMEDOUT)
assert epoll.poll() == [(file, select.EPOLLIN)]
refused(errno.ETIMEDOUT)
assert epoll.poll() == [(file, select.EPOLLIN)] # though no read has said EAGAIN
os.write(file, b"1\tlate\n")
assert os.read(file, 100) == b"1\tlate\n"
refused(errno.EAGAIN)' "$Q/within/0.1/tagged"
	fill
	takes_time 100 1500 python3 -c '
import os, select, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK)
poll = select.poll()
poll.register(file, select.POLLOUT)
assert poll.poll() == [(file, select.POLLOUT)]
os.write(file, b"text")' "$Q/within/0.1/msg"
}

@test "poll and epoll end when the time is over, and the read or write then fails" {
	each_kind polls_end
}

expired_before_close() {
	run timeout 60 python3 -c '
import os, select, subprocess, sys
file = os.open(sys.argv[1] + "/within/0.1/lines", os.O_WRONLY)
os.write(file, b"unfinished")
subprocess.run(["bash", "-c", os.environ["PRELUDE"] + "fill"], check=True)
poll = select.poll()
poll.register(file, select.POLLOUT)
assert poll.poll() == [(file, select.POLLOUT)]
os.close(file)' "$Q"
	equals "$status $output" '0 '
	wait_until '[ "$(state waiting_writers)" = 1 ]'
	cat "$Q/drain" >/dev/null
	equals "$(cat "$Q/within/10/msg")" unfinished
}

@test "a close after a poll that ended by time loses nothing" {
	state() { sed -n "s/^$1=//p" "$Q/status"; }
	each_kind expired_before_close
}

# A poll that has ended is of no matter for what is read or written later.
poll_is_over() {
	run timeout 60 python3 -c '
import os, select, subprocess, sys, time
def timed(call):
    begin = time.monotonic()
    try:
        call()
    except TimeoutError:
        return time.monotonic() - begin
    sys.exit("not ended")
queue = sys.argv[1]
file = os.open(queue + "/within/0.3/packets", os.O_RDWR)
poll = select.poll()
poll.register(file, select.POLLIN)
assert poll.poll(50) == []                          # the caller gives up
time.sleep(1.5)
assert timed(lambda: os.read(file, 9000)) > 0.29
assert poll.poll(200) == []
assert poll.poll() == [(file, select.POLLIN)]       # the time counts anew
assert timed(lambda: os.read(file, 9000)) < 0.2
subprocess.run(["bash", "-c", os.environ["PRELUDE"] + "fill"], check=True)
poll.register(file, select.POLLOUT)
assert poll.poll() != []
os.read(file, 9000)
os.write(file, b"there is room")
subprocess.run(["bash", "-c", os.environ["PRELUDE"] + "fill"], check=True)
assert timed(lambda: os.write(file, b"there is none")) > 0.29' "$Q"
	equals "$status $output" '0 '
}

@test "a poll that ended by time is forgotten" {
	each_kind poll_is_over
}

in_two_writes() {
	run timeout 60 python3 -c '
import os, subprocess, sys
file = os.open(sys.argv[1] + "/within/0.1/msg", os.O_WRONLY)
os.write(file, b"one ")
subprocess.run(["bash", "-c", os.environ["PRELUDE"] + "fill"], check=True)
os.write(file, b"message")
os.close(file)' "$Q"
	equals "$status $output" '0 '
	cat "$Q/drain" >/dev/null
	equals "$(cat "$Q/within/10/msg")" 'one message'
}

@test "a message that is written in parts is sent whole, or not at all" {
	each_kind in_two_writes
}

@test "System V: a writer of msg whose message can't fit any more does not hold up others" {
	new_queue sysv
	fill
	background_output bash -c 'head -c 5000 /dev/zero | dd of="$Q/within/1000/msg" bs=5000 iflag=fullblock'
	wait_parked 1
	echo 4K >"$Q/qbytes"
	wait_until "ended $JOB"
	grep 'Message too long' "$OUT"
}

@test "names of within/" {
	local name
	new_queue posix
	for name in x -1 +1 1e3 5. .5 '1 ' 1,5 0x1 '' ; do
		[ -z "$name" ] || fails 'No such file' stat "$Q/within/$name"
	done
	fails 'No such file' stat "$Q/within/0.$(printf '0%.0s' {1..60})1"
	fails 'Numerical result out of range' stat "$Q/within/1000001"
	fails 'Numerical result out of range' stat "$Q/within/1000000.000001"
	for name in 0 5 0.5 0.50 007 1000000 0.0000001; do
		equals "$(ls "$Q/within/$name")" $'lease\nlines\nmsg\npackets\nrecords\ntagged'
	done
	equals "$(stat -c %i "$Q/within/0.5")" "$(stat -c %i "$Q/within/0.50")"
	silent ls "$Q/within"
	equals "$(ls "$Q/prio/3/within/1")" $'lines\nmsg\npackets'
	fails 'not permitted' mkdir "$Q/within/x"
	new_queue sysv
	equals "$(ls "$Q/type/3/within/1")" $'lease\nlines\nmsg\npackets\nrecords\ntagged'
	new_semaphore posix
	equals "$(ls "$S/within/1")" $'hold\nmonitor\nwait'
	new_semaphore sysv
	equals "$(ls "$S/within/1")" $'hold\nmonitor\nwait\nzero'
	equals "$(ls "$O/within/1")" op
	mkdir "$MNT/posix/shm/segment"
	fails 'No such file' stat "$MNT/posix/shm/segment/within"
}

made_again() {
	local uid=4321
	echo before >"$Q/within/5/msg"
	equals "$(cat "$Q/within/5/msg")" before
	rmdir "$Q"
	fails 'No such file' cat "$Q/within/5/msg"
	as_user "$uid" mkdir "$Q"
	fails 'Permission denied' as_user 1234 cat "$Q/within/5/msg"
	as_user "$uid" sh -c 'echo after >"$Q/within/5/msg"'
	equals "$(cat "$Q/msg")" after
	chmod 666 "$Q"
	takes_time 100 1500 as_user 1234 cat "$Q/within/0.1/msg"
}

@test "the names lead to the object that has the name now, with its rights" {
	each_kind made_again
}

removed_meanwhile() {
	background_output cat "$Q/within/20/msg"
	wait_parked 1
	rmdir "$Q"
	within 1000 wait_until "ended $JOB"
	grep 'Identifier removed' "$OUT"
}

@test "a removed queue ends the wait before its time" {
	each_kind removed_meanwhile
}

killed_meanwhile() {
	background cat "$Q/within/1000/msg"
	wait_parked 1
	kill -KILL "$JOB"
	within 1000 wait_until "ended $JOB"
	echo kept >"$Q/msg"
	equals "$(cat "$Q/drain")" kept
}

@test "a killed waiter ends at once and takes nothing" {
	each_kind killed_meanwhile
}

held_up() {
	fill
	background bash -c 'echo waits >"$Q/within/1000/msg"'
	wait_parked 1
	background bash -c 'echo waits >"$Q/within/1000/msg"'
	wait_parked 2
	within 1000 chmod 640 "$Q/within/1000/msg"
	within 1000 truncate -s 0 "$Q/within/1000/msg"
	within 1000 fails 'temporarily unavailable' dd if=/dev/zero of="$Q/within/1000/msg" oflag=nonblock bs=9 count=1
	kill -KILL "$JOB"
	within 1000 wait_until "ended $JOB"
	cat "$Q/drain" >/dev/null
	wait "${JOBS[0]}"
	JOBS=()
	equals "$(cat "$Q/drain")" waits
}

@test "a writer of msg that waits blocks no other caller" {
	each_kind held_up
}

# waits readers|writers [QUEUE]: one does, and is not just slow with another request.
waits() {
	wait_until 'grep -qx "waiting_'"$1"'=1" "'"${2-$Q}"'/status"'
}

stopped_writer() {
	fill
	background bash -c 'echo stopped >"$Q/within/1000/msg"'
	waits writers
	kill -STOP "$JOB"
	wait_until 'grep -q "^State:.T" /proc/'"$JOB"'/status'
	kill -CONT "$JOB"
	wait "$JOB"
	cat "$Q/drain" >/dev/null
	equals "$(cat "$Q/within/10/msg")" stopped
}

@test "a writer of msg that is stopped loses nothing: the daemon sends the message" {
	each_kind stopped_writer
}

@test "the message that a stopped writer hands over has no end by time, and takes no other's" {
	local writer reader=$MNT/posix/mq/other/within/1/msg
	new_queue posix
	mkdir "$MNT/posix/mq/other"
	fill
	background bash -c 'echo handed >"$Q/within/1000/lines"'
	writer=$JOB
	waits writers
	kill -STOP "$writer"
	wait_until "in_state $writer T"
	background_output cat "$reader"
	waits readers "$MNT/posix/mq/other"
	cat "$Q/drain" >/dev/null
	equals "$(cat "$Q/within/10/msg")" handed
	wait_until "ended $JOB"
	grep 'timed out' "$OUT"
	kill -CONT "$writer"
	wait "$writer"
}

unfinished_line() {
	fill
	within 1500 bash -c 'printf unfinished >"$Q/within/0.2/lines"'
	cat "$Q/drain" >/dev/null
	equals "$(cat "$Q/within/10/msg")" unfinished
}

@test "a close that ends an unfinished line hands it over when its time is over" {
	each_kind unfinished_line
}

@test "System V: a write to msg waits for room for the whole message" {
	new_queue sysv
	fill
	mqtool sysv "$NAME" receive >/dev/null # of 1000 bytes
	takes_time 100 1500 write_to "$Q/within/0.1/msg" "$(head -c 1001 /dev/zero | tr '\0' x)"
	write_to "$Q/within/0.1/msg" "$(head -c 1000 /dev/zero | tr '\0' x)"
	# The same without waiting.
	fails 'temporarily unavailable' dd if=/dev/zero of="$Q/msg" oflag=nonblock bs=2 count=1
}

many() {
	local threads jobs=() i
	for i in {1..40}; do
		background_output cat "$Q/within/$((i % 7 + 60)).$i/msg" # a slow machine starts them in seconds
		jobs+=("$JOB")
	done
	wait_parked 40
	not grep . "$OUT"
	threads=$(ls "/proc/$DAEMON/task" | wc -l)
	echo "$threads threads"
	[ "$threads" -lt 24 ]
	for i in {1..40}; do echo "$i" >"$Q/msg"; done
	for i in "${jobs[@]}"; do wait "$i"; done
	silent cat "$Q/drain"
}

@test "timed waits need no threads of their own" {
	each_kind many
}

end_in_order() {
	run timeout 60 python3 -c '
import os, sys, threading
files = {seconds: os.open(f"{sys.argv[1]}/within/{seconds}/lines", os.O_RDONLY) for seconds in sys.argv[2:]}
together, ended = threading.Barrier(len(files)), []
def wait(seconds):
    together.wait()
    try:
        os.read(files[seconds], 100)
    except TimeoutError:
        ended.append(seconds)
threads = [threading.Thread(target=wait, args=[seconds]) for seconds in files]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(*ended)' "$Q" $((3 * SLOW)) $((1 * SLOW)) $((2 * SLOW))
	equals "$status $output" "0 $((1 * SLOW)) $((2 * SLOW)) $((3 * SLOW))"
}

@test "waits of different lengths end in the order of their ends" {
	each_kind end_in_order
}

# edge_of QUEUE_OR_SEMAPHORE TRIES: one of each family, side by side.
edge_of() {
	local jobs=() outs=() kind
	for kind in "${KINDS[@]}"; do
		"new_$1" "$kind"
		if [ "$1" = queue ]; then S=$Q; else echo 0 >"$S/value"; fi
		background_output edge "$S" "$kind" "$NAME" "$2"
		jobs+=("$JOB") outs+=("$OUT")
	done
	for kind in 0 1; do
		wait_until "ended ${jobs[kind]}" 100
		cat "${outs[kind]}"
		wait "${jobs[kind]}"
	done
}

@test "a message that comes in the moment of the time's end is received, or stays" {
	edge_of queue "$((SHORT || SLOW > 1 ? 1000 : 5000))"
}

@test "a semaphore that is posted in the moment of the time's end is taken, or not" {
	edge_of semaphore "$((SHORT || SLOW > 1 ? 500 : 2000))"
}
