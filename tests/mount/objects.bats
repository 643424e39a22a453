# SPDX-License-Identifier: MIT
# The file `objects`: JSON lines, one object each.
# shellcheck shell=bash disable=SC2154,SC2016
load common

setup() {
	common_setup
	cp "$BATS_TEST_DIRNAME/objects.py" "$PEERS/objtool" "$PEERS/semtool" "$BATS_TEST_TMPDIR/bin/"
	start_mount
}

# objects WHAT: asserts that objects tells what it should, see objects.py.
objects() {
	objects.py "$MNT" "$1"
}

# all MODE: an object of each class, and a second one of each of System V, which has no name.
all() {
	echo "posix/mq/jobs mode=$1
		posix/shm/seg mode=$1 size=5000
		posix/sem/lock mode=$1 value=3
		sysv/msg/0x51 mode=$1
		sysv/msg/private mode=$1 qbytes=1000
		sysv/shm/0x52 mode=$1 size=5000
		sysv/shm/private mode=$1
		sysv/sem/0x53 mode=$1 values=3,4,5
		sysv/sem/private mode=$1" >"$MNT/create"
}

@test "a line for each object, with the fields of its status; the rest is a file like others" {
	silent cat "$MNT/objects"
	equals "$(stat -c '%A %s' "$MNT/objects")" '-r--r--r-- 0'
	all 0600
	echo hello >"$MNT/posix/mq/jobs/msg"
	echo hello >"$MNT/sysv/msg/0x00000051/msg"
	echo 5 >"$MNT/posix/sem/lock/post"
	background sh -c 'exec 8>"$MNT/posix/sem/lock/hold" 9>"$MNT/sysv/sem/0x00000053/1/hold"; echo >"$MNT/sysv/sem/0x00000053/0/zero"'
	wait_parked 1
	run objects status
	equals "$status" 0
	equals "$(sort <<<"$output" | uniq -c | xargs)" '1 open posix/mq 1 open posix/sem 1 open posix/shm 2 open sysv/msg 2 open sysv/sem 2 open sysv/shm'
	equals "$(jq -s 'length' "$MNT/objects")" 9
	equals "$(jq -r 'select(.class == "sysv/msg" and .messages > 0) | "\(.name) \(.bytes) \(.mode) \(.last_send_pid > 0)"' "$MNT/objects")" '0x00000051 6 0600 true'
	equals "$(jq -r 'select(.holders > 0) | "\(.class) \(.holder_1_uid)"' "$MNT/objects")" $'posix/sem 0\nsysv/sem 0'
	equals "$(jq -r 'select(.waiters > 0) | .waiter_1_for' "$MNT/objects")" zero
	equals "$(wc -l <"$MNT/objects")" 9
	equals "$(command head -n 1 "$MNT/objects" 2>/dev/null | jq -r .class)" posix/mq
	equals "$(dd if="$MNT/objects" bs=1 iflag=nonblock status=none | wc -l)" 9
	fails 'Operation not permitted' sh -c 'echo >"$MNT/objects"'
}

@test "what lsipc -J tells of System V objects" {
	all 0640
	chown 1:2 "$MNT/sysv/msg/0x00000051" "$MNT/sysv/shm/0x00000052" "$MNT/sysv/sem/0x00000053"
	echo hello >"$MNT/sysv/msg/0x00000051/msg"
	printf x | dd of="$MNT/sysv/shm/0x00000052/data" conv=notrunc status=none
	objects lsipc
	background python3 -c 'import ctypes, time
libc = ctypes.CDLL(None)
libc.shmat(libc.shmget(0x52, 0, 0), None, 0)
time.sleep(1000)'
	wait_until 'grep -q "^nattch=1$" "$MNT/sysv/shm/0x00000052/status"'
	equals "$(jq 'select(.key == "0x00000052") | .nattch' "$MNT/objects")" 1
	objects lsipc
}

# Reads as root what the ordinary user has opened.
opened_by_peer() {
	python3 -c '
import os, socket, sys
ours, theirs = socket.socketpair()
if os.fork() == 0:
    os.setgroups([])
    os.setresgid(*[int(sys.argv[2])] * 3)
    os.setresuid(*[int(sys.argv[2])] * 3)
    socket.send_fds(theirs, [b"x"], [os.open(sys.argv[1], os.O_RDONLY)])
    os._exit(0)
file = socket.recv_fds(ours, 1, 1)[1][0]
os.wait()
while text := os.read(file, 1 << 16):
    os.write(1, text)' "$MNT/objects" "$PEER"
}

@test "of other users' objects each reader is told what status and stat tell that reader" {
	all 0600
	run as_user "$PEER" objects.py "$MNT" status
	equals "$status" 0
	equals "$(sort <<<"$output" | uniq -c | xargs)" '1 closed posix/mq 1 closed posix/sem 1 closed posix/shm 2 open sysv/msg 2 open sysv/sem 2 open sysv/shm'
	# The value of a semaphore is told to readers only.
	equals "$(as_user "$PEER" jq -s 'map(select(.value_0 or .value)) | length' "$MNT/objects")" 0
	equals "$(jq -s 'map(select(.value_0 or .value)) | length' "$MNT/objects")" 3
	setfacl -m "u:$PEER:r" "$MNT/posix/mq/jobs"
	equals "$(as_user "$PEER" objects.py "$MNT" status | grep -c 'open posix/mq')" 1
	# The caller of each read counts, and the opener.
	equals "$(as_user "$PEER" jq -s 'map(select(.value_0 or .value)) | length' <"$MNT/objects")" 0
	equals "$(opened_by_peer | jq -s 'map(select(.value_0 or .value)) | length')" 0
	equals "$(opened_by_peer | wc -l)" "$(wc -l <"$MNT/objects")"
}

@test "the rest of a line that was made for another reader is told to nobody" {
	all 0600
	exec 9<"$MNT/objects"
	equals "$(head -c 1 <&9)" '{'
	as_user "$PEER" cat <&9 >"$BATS_TEST_TMPDIR/rest"
	exec 9<&-
	jq -e .name <"$BATS_TEST_TMPDIR/rest" >/dev/null
	equals "$(head -c 1 "$BATS_TEST_TMPDIR/rest")" '{'
}

@test "hide: only what the reader may see" {
	stop_mount
	start_mount -o hide
	all 0600
	as_user "$PEER" mkdir "$MNT/posix/mq/own" "$MNT/sysv/sem/0x61"
	mkdir -m 644 "$MNT/posix/shm/shown"
	equals "$(as_user "$PEER" jq -r .name "$MNT/objects" | xargs)" 'own shown 0x00000061'
	as_user "$PEER" objects.py "$MNT" status
	equals "$(wc -l <"$MNT/objects")" 12
	equals "$(opened_by_peer | wc -l)" 3
	rmdir "$MNT/posix/shm/shown" "$MNT/posix/mq/own" "$MNT/sysv/sem/0x61"
	silent as_user "$PEER" cat "$MNT/objects"
}

@test "names of any bytes" {
	objects names
	objects status
}

@test "a stream for each open file, with reads of any size" {
	all 0644
	rmdir "$MNT/posix/mq/jobs" # its ctime is that of the last read
	objects stream
}

@test "what is removed meanwhile is left out" {
	objects gone
}

@test "reading changes nothing" {
	local before
	all 0644
	echo hello >"$MNT/sysv/msg/0x00000051/msg"
	echo hello >"$MNT/posix/mq/jobs/msg"
	state() {
		cat /proc/sysvipc/*
		stat -c '%n %x %y %z' "$MNT"/posix/s*/* /dev/shm/*
		equals "$(jq -s 'map(.messages // 0) | add' "$MNT/objects")" 2
	}
	before=$(state)
	cat "$MNT/objects" "$MNT/objects" >/dev/null
	equals "$(state)" "$before"
}

@test "a limit of bytes: what a reader keeps is counted for it" {
	stop_mount
	start_mount -o max_bytes=256K
	semtool sysv 0x53 make 20000
	fails 'Cannot allocate memory' cat "$MNT/objects"
	rmdir "$MNT/sysv/sem/0x00000053"
	silent cat "$MNT/objects"
}
