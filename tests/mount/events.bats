# SPDX-License-Identifier: MIT
# The file `events`: what is there, and then what happens, as JSON lines.
# shellcheck shell=bash disable=SC2154,SC2016
load common

setup() {
	common_setup
	cp "$BATS_TEST_DIRNAME/events.py" "$BATS_TEST_TMPDIR/bin/"
}

# follow [COMMAND...]: a reader, whose lines come to $SEEN.
follow() {
	background_output "$@" cat "$MNT/events"
	SEEN=$OUT
	wait_until 'grep -q sync "$SEEN"'
}

# saw FILTER: whether a line that the reader got satisfies jq's FILTER.
saw() {
	jq -e -s "any(.[]; $1)" "$SEEN" >/dev/null
}

# happened: the events that the reader got, behind the objects that were there.
happened() {
	jq -r 'select(.event != "present" and .event != "sync") | "\(.event) \(.class) \(.name)"' "$SEEN"
}

# end_reader: ends the last process in the background.
end_reader() {
	kill -TERM "$JOB"
	wait_until '! running "$JOB"'
}

@test "what is there, then what happens, with its fields" {
	start_mount
	echo 'posix/mq/jobs mode=0640
		sysv/msg/0x51' >"$MNT/create"
	follow
	equals "$(jq -r '"\(.event) \(.class) \(.name) \(.mode)"' "$SEEN")" \
		$'present posix/mq jobs 0640\npresent sysv/msg 0x00000051 0600\nsync null null null'
	mkdir "$MNT/posix/sem/lock" "$MNT/sysv/sem/0x53"
	chmod 0644 "$MNT/posix/sem/lock"
	chown 1:2 "$MNT/posix/sem/lock"
	echo 1000 >"$MNT/sysv/msg/0x00000051/qbytes"
	sh -c ': 9>"$MNT/sysv/sem/0x00000053/0/hold"'
	rmdir "$MNT/sysv/sem/0x00000053"
	wait_until 'saw ".event == \"removed\""'
	equals "$(happened)" 'created posix/sem lock
created sysv/sem 0x00000053
changed posix/sem lock
changed posix/sem lock
changed sysv/msg 0x00000051
held sysv/sem 0x00000053
released sysv/sem 0x00000053
removed sysv/sem 0x00000053'
	equals "$(jq -r 'select(.event == "changed") | .detail' "$SEEN" | xargs)" 'mode owner qbytes'
	equals "$(jq -r 'select(.event == "held") | .detail' "$SEEN")" 'semaphore 0'
	equals "$(jq -r 'select(.event == "changed") | "\(.uid):\(.gid)"' "$SEEN" | xargs)" '0:0 1:2 0:0'
	equals "$(jq -r 'select(.by) | .by' "$SEEN" | uniq)" mount
	equals "$(jq -s '[.[] | select(.event != "present" and .event != "sync") | .seq] | . == [range(.[0]; .[0] + 8)]' "$SEEN")" true
	equals "$(jq -s "all(.[]; (.time / 1e6 - now | fabs) < 60 * $SLOW)" "$SEEN")" true
	equals "$(stat -c '%A %s' "$MNT/events")" '-r--r--r-- 0'
	fails 'Operation not permitted' sh -c 'echo >"$MNT/events"'
}

@test "messages: leased, returned, full, empty; a segment becomes stale" {
	start_mount
	echo 'posix/mq/jobs maxmsg=2' >"$MNT/create"
	follow
	echo one >"$MNT/posix/mq/jobs/msg"
	echo two >"$MNT/posix/mq/jobs/msg"
	wait_until 'saw ".event == \"full\" and .name == \"jobs\""'
	sh -c 'exec 9<>"$MNT/posix/mq/jobs/lease"; cat <&9 >/dev/null'
	wait_until 'saw ".event == \"leased\"" && saw ".event == \"returned\""'
	cat "$MNT/posix/mq/jobs/drain" >/dev/null
	wait_until 'saw ".event == \"empty\""'
	not grep -q 'one\|two' "$SEEN"
	background python3 -c 'import ctypes, time
libc = ctypes.CDLL(None)
libc.shmat(libc.shmget(0x52, 5000, 0o1600), None, 0)
time.sleep(1000)'
	wait_until 'grep -q ^nattch=1 "$MNT/sysv/shm/0x00000052/status" && saw ".name == \"0x00000052\""'
	meanwhile 0.5 # a look sees that it is used
	end_reader
	wait_until 'saw ".event == \"stale\" and .name == \"0x00000052\""'
}

@test "1,000 objects made, changed and removed, through the mount and directly: all, in order" {
	local how
	start_mount
	for how in mount sysv shm mq; do
		run timeout $((60 * SLOW)) events.py storm "$MNT" "$how" 1000
		echo "$how: $output"
		equals "$status" 0
	done
}

@test "a direct caller and the mount make and remove one queue" {
	start_mount
	run timeout $((60 * SLOW)) events.py mixed "$MNT" 300
	echo "$output"
	equals "$status" 0
}

@test "objects that live for less than a look" {
	start_mount
	follow
	python3 -c 'import ctypes, os
libc = ctypes.CDLL(None)
assert libc.mq_open(b"/short", os.O_CREAT | os.O_RDWR, 0o600, None) >= 0
assert libc.mq_unlink(b"/short") == 0
assert libc.sem_open(b"/lock", os.O_CREAT, 0o600, 1)
os.mkdir("/dev/shm/directory")
assert libc.sem_unlink(b"/lock") == 0
os.rename(os.open("/dev/shm/a", os.O_CREAT) and "/dev/shm/a", "/dev/shm/b")'
	wait_until 'saw ".event == \"created\" and .name == \"b\""'
	equals "$(happened)" 'created posix/mq short
removed posix/mq short
created posix/sem lock
removed posix/sem lock
created posix/shm a
removed posix/shm a
created posix/shm b'
	equals "$(jq -r 'select(.name == "short") | "\(.by) \(.uid) \(.mode)"' "$SEEN" | uniq)" 'direct null null'
	python3 -c 'import ctypes; assert ctypes.CDLL(None).msgget(0x51, 0o1600) >= 0'
	rmdir "$MNT/sysv/msg/0x51"
	wait_until 'saw ".event == \"removed\" and .class == \"sysv/msg\""'
	equals "$(jq -r 'select(.class == "sysv/msg") | "\(.event) \(.by)"' "$SEEN")" $'created direct\nremoved mount'
}

@test "a key that is removed and made again between two looks" {
	start_mount
	python3 -c 'import ctypes; assert ctypes.CDLL(None).msgget(0x51, 0o1600) >= 0'
	follow
	python3 -c 'import ctypes
libc = ctypes.CDLL(None)
assert libc.msgctl(libc.msgget(0x51, 0), 0, None) == 0
assert libc.msgget(0x51, 0o1600) >= 0'
	wait_until 'saw ".event == \"created\""'
	equals "$(happened)" $'removed sysv/msg 0x00000051\ncreated sysv/msg 0x00000051'
	equals "$(jq -r 'select(.by) | .by' "$SEEN" | uniq)" direct
}

@test "reads take whole records, poll and epoll tell, a reader that is late learns how many it lost" {
	start_mount
	run events.py small "$MNT"
	equals "$status $output" '0 '
	run events.py ready "$MNT"
	equals "$status $output" '0 '
	run events.py late "$MNT"
	equals "$status $output" '0 '
	[ "$(sed -n 's/^ipcfs_events_total{event="lost"} //p' "$MNT/metrics")" -gt 0 ]
	[ "$(sed -n 's/^ipcfs_events_total{event="created"} //p' "$MNT/metrics")" -gt 1000 ]
	fails 'Resource temporarily unavailable' dd if="$MNT/events" iflag=nonblock of=/dev/null
}

@test "a reader that waits can be ended, and does not keep the mount" {
	start_mount
	follow
	end_reader
	follow env --default-signal=INT
	kill -INT "$JOB"
	wait_until '! running "$JOB"'
	follow
	stop_mount
	wait_until '! running "$JOB"'
}

@test "nobody is told of hidden objects; holds are told to readers, refusals to owner and root" {
	start_mount -o hide
	mkdir -m 0600 "$MNT/posix/sem/secret"
	mkdir -m 0644 "$MNT/posix/sem/open"
	mkdir -m 0644 "$MNT/sysv/msg/0x51"
	follow as_user "$PEER"
	local peers=$SEEN
	follow
	sh -c ': 8>"$MNT/posix/sem/open/hold" 9>"$MNT/posix/sem/secret/hold"'
	fails 'Permission denied' as_user "$PEER" sh -c 'echo >"$MNT/sysv/msg/0x00000051/msg"'
	echo 'posix/mq/hidden mode=0600
		posix/mq/last mode=0644' >"$MNT/create"
	wait_until 'grep -q last "$SEEN" && grep -q last "$peers"'
	equals "$(happened | grep 'secret\|hidden')" $'held posix/sem secret\nreleased posix/sem secret\ncreated posix/mq hidden'
	# where the kernel checks before it asks, the daemon has denied nothing
	equals "$(jq -r 'select(.event == "denied") | "\(.name) \(.uid) \(.detail)"' "$SEEN")" \
		"$(kernel_checks || echo "0x00000051 $PEER open: other")"
	SEEN=$peers
	equals "$(happened)" $'held posix/sem open\nreleased posix/sem open\ncreated posix/mq last'
	not grep -q 'secret\|hidden\|denied' "$peers"
}

@test "without a reader nothing looks; the last close ends the looks" {
	start_mount
	local threads
	# All that it has begun with are there.
	wait_until 'threads=$(ls "/proc/$DAEMON/task" | wc -l); pause 0.2; [ "$(ls "/proc/$DAEMON/task" | wc -l)" = "$threads" ]'
	follow
	wait_until '[ "$(ls "/proc/$DAEMON/task" | wc -l)" -ge $((threads + 2)) ]'
	end_reader
	wait_until '[ "$(ls "/proc/$DAEMON/task" | wc -l)" -le "$threads" ]'
}

@test "an open that is refused leaves nobody who looks" {
	start_mount -o max_bytes=64K
	local threads
	wait_until 'threads=$(ls "/proc/$DAEMON/task" | wc -l); pause 0.2; [ "$(ls "/proc/$DAEMON/task" | wc -l)" = "$threads" ]'
	fails 'Cannot allocate memory' as_user "$PEER" head -c 1 "$MNT/events"
	wait_until '[ "$(ls "/proc/$DAEMON/task" | wc -l)" -le "$threads" ]'
}

@test "attack: 1,000 open files that nobody reads cost their user, and nobody else" {
	start_mount -o max_bytes=8M
	follow
	background as_user "$PEER" python3 -c 'import os, sys, time
files = []
try:
    for i in range(1000):
        files.append(os.open(sys.argv[1], os.O_RDONLY))
except OSError as error:
    assert error.errno == 12, error
assert 5 < len(files) < 100, len(files)
print("full", flush=True)
time.sleep(1000)' "$MNT/events"
	wait_until '[ "$(ls "/proc/$JOB/fd" | wc -l)" -gt 10 ]'
	local i
	for ((i = 0; i < 100; i++)); do mkdir "$MNT/posix/sem/s$i"; rmdir "$MNT/posix/sem/s$i"; done
	wait_until 'saw ".event == \"removed\" and .name == \"s99\""'
	equals "$(happened | wc -l)" 200
	equals "$(cat "$MNT/posix/sem"/*/value 2>/dev/null | wc -l)" 0
}

@test "a reader that leaves pays for nothing" {
	start_mount -o max_bytes=2M
	mkdir -m 666 "$MNT/posix/sem/one"
	follow
	as_user "$PEER" python3 -c 'import os, sys
for i in range(20):
    file = os.open(sys.argv[1], os.O_RDONLY)
    while b"sync" not in os.read(file, 1 << 16):
        pass
    os.close(file)' "$MNT/events"
}

@test "attack: many objects cost those who read events; with less room fewer are known" {
	start_mount -o max_bytes=1M
	printf 'sysv/msg/0x%x\n' {4097..7096} >"$MNT/create"
	follow as_user "$PEER"
	equals "$(grep -c present "$SEEN")" 3000
	end_reader
	follow
	python3 -c 'import ctypes; assert ctypes.CDLL(None).msgget(0x51, 0o1600) >= 0'
	wait_until 'saw ".event == \"lost\" and .detail == \"objects\" and .lost == 1"'
	mkdir "$MNT/sysv/sem/0x52"
	wait_until 'saw ".event == \"created\" and .name == \"0x00000052\""'
	equals "$(happened | grep -v lost)" 'created sysv/sem 0x00000052'
}

@test "-o inotify: inotify on the mount tells what direct callers make and remove" {
	start_mount -o inotify
	run timeout $((60 * SLOW)) events.py watch "$MNT"
	echo "$output"
	equals "$status" 0
	silent find "$MNT/posix/mq" "$MNT/posix/shm" "$MNT/sysv/msg" -mindepth 1
}

@test "-o inotify: with hide nobody is told; a process that is killed is missed by nobody" {
	start_mount -o inotify,hide
	follow
	background_output events.py names "$MNT"
	local told=$OUT
	wait_until 'grep -q watches "$told"'
	python3 -c 'import ctypes; assert ctypes.CDLL(None).mq_open(b"/secret", 0o102, 0o600, None) >= 0'
	mkdir "$MNT/posix/mq/open"
	wait_until 'saw ".name == \"secret\""'
	wait_until 'grep -q open "$told"'
	not grep -q secret "$told"
	pkill -KILL -P "$DAEMON" -x ipcfs-inotify
	python3 -c 'import ctypes; assert ctypes.CDLL(None).mq_open(b"/late", 0o102, 0o600, None) >= 0'
	wait_until 'saw ".name == \"late\""'
	rmdir "$MNT/posix/mq/secret" "$MNT/posix/mq/late" "$MNT/posix/mq/open"
	fails 'do not go together' "$IPCFS" -o inotify,namespaces "$MNT"
}
