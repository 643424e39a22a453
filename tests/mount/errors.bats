# SPDX-License-Identifier: MIT
# Bad input: the promised errno; nothing changed, nothing leaked.
# shellcheck shell=bash disable=SC2154,SC2016
load common

teardown() {
	# A failed request must leave nothing in the daemon.
	local files status=0
	files=$(ls "/proc/$DAEMON/fd" | wc -l)
	[ "$files" -lt 40 ] || { ls -l "/proc/$DAEMON/fd"; status=1; }
	common_teardown || status=1
	return "$status"
}

@test "names that cannot exist are not found" {
	local name
	for name in 0x 0x0 0x00000000 x51 0xg 0x123456789 51 007 -1 +1 1e3 ' 0x51' '0x51 ' "$(printf 'n%.0s' $(seq 255))"; do
		fails 'No such file' ls "$MNT/sysv/msg/$name"
	done
	for name in none '\' "$(printf 'n%.0s' $(seq 255))"; do
		fails 'No such file' ls "$MNT/posix/mq/$name"
	done
	fails 'No such file' ls "$MNT/posix/mq/$(printf 'n%.0s' $(seq 256))"
	fails 'No such file' ls "$MNT/sysv/msg/$(printf 'n%.0s' $(seq 256))"
	fails 'No such file' ls "$MNT/posix/shm/x"
	fails 'No such file' cat "$MNT/none"
}

@test "names that cannot exist are not made" {
	local name
	for name in 0x 0x0 0x00000000 x51 0xg 0x123456789 51 007 -1 +1 name ' 0x51' '0x51 ' 0xx51 '0x 1' 0x-1; do
		fails 'Invalid argument' mkdir -- "$MNT/sysv/msg/$name"
	done
	fails 'too long' mkdir "$MNT/posix/mq/$(printf 'n%.0s' $(seq 256))"
	mkdir "$MNT/posix/mq/$(printf 'n%.0s' $(seq 255))"
	silent ls "$MNT/sysv/msg"
}

@test "types and priorities that cannot exist" {
	local number
	new_queue sysv
	for number in x '' 1x ' 1' 01 +1 0x1 1.5 - --1; do
		[ -n "$number" ] || continue
		fails 'Invalid argument' ls "$Q/type/$number"
	done
	for number in 0 9223372036854775808 99999999999999999999 -9223372036854775809; do
		fails 'out of range' ls "$Q/type/$number"
	done
	new_queue posix
	for number in x 1x 01 +1; do
		fails 'Invalid argument' ls "$Q/prio/$number"
	done
	for number in -1 32768 99999999999999999999; do
		fails 'out of range' ls "$Q/prio/$number"
	done
	fails 'No such file' ls "$Q/prio/1/peek"
	fails 'No such file' ls "$Q/type/1"
}

oversized() {
	local file
	head -c 20000 /dev/zero >"$BATS_TEST_TMPDIR/big"
	for file in msg packets lines; do
		fails 'Message too long' dd if="$BATS_TEST_TMPDIR/big" of="$Q/$file" bs=20000
	done
	for file in msg lines; do
		fails 'Message too long' dd if="$BATS_TEST_TMPDIR/big" of="$Q/$file" bs=1000
	done
	fails 'Message too long' cp "$BATS_TEST_TMPDIR/big" "$Q/msg"
	cat "$Q/drain" >/dev/null
	# The file still works.
	exec 9>"$Q/msg"
	fails 'Message too long' bash -c 'dd if="$0" bs=20000 status=none >&9' "$BATS_TEST_TMPDIR/big"
	echo fits >&9
	equals "$(cat "$Q/msg")" fits
	exec 9>&-
	equals "$(messages)" 0
	echo fine >"$Q/msg"
	equals "$(cat "$Q/msg")" fine
}

@test "messages that are too long are refused, and nothing of them is sent" {
	each_kind oversized
}

vanishing() {
	local directory
	exec 7<"$Q/status" 8<"$Q"
	(
		cd "$Q"
		rmdir "$Q"
		fails 'No such file' cat msg
		fails 'No such file' ls peek
		fails 'No such file' bash -c 'echo x >msg'
	)
	fails 'No such file' cat "$Q/msg"
	fails 'No such file' bash -c 'echo x >"$Q/msg"'
	fails 'No such file' chmod 600 "$Q"
	fails 'No such file' rmdir "$Q"
	exec 7<&- 8<&-
}

@test "a removed queue is ENOENT" {
	each_kind vanishing
}

@test "a queue that comes and goes under its users" {
	local kind i
	for kind in posix sysv; do
		new_queue "$kind"
		background bash -c 'while :; do rmdir "$Q"; mkdir "$Q"; done 2>/dev/null'
		background bash -c 'while :; do mqtool "$KIND" "$NAME" remove; mqtool "$KIND" "$NAME" make; done >/dev/null 2>&1'
		for i in 1 2 3; do
			background bash -c 'while :; do echo x >"$Q/msg"; cat "$Q/drain"; ls -l "$Q"; cat "$Q/status"; chmod 640 "$Q"; stat "$Q/msg"; done >/dev/null 2>&1'
		done
		sleep 2 # of that
		for i in "${JOBS[@]}"; do
			kill -KILL "$i"
		done
		JOBS=()
		wait_until '[ "$(parked)" = 0 ]'
		within 1000 ls -lR "$MNT" >/dev/null
	done
}

@test "bytes of a refused specification, limit or qbytes are not kept" {
	local i
	for ((i = 0; i < 20; i++)); do
		fails 'Invalid argument' bash -c 'head -c 100000 /dev/zero >"$MNT/create"'
		fails 'Invalid argument' bash -c 'head -c 100000 /dev/zero >"$MNT/limits/msgmax"'
	done
	equals "$(cat "$MNT/limits/msgmax")" 8192
	exec 9<>"$MNT/create"
	fails 'Invalid argument' bash -c 'echo nonsense >&9'
	echo posix/mq/good >&9
	# All that is kept is the reason.
	local said
	said=$(cat <&9)
	[[ $said == 'error: nonsense: '*$'\nposix/mq/good' ]]
	exec 9>&-
}

@test "status, limits and peek can not be written, create and qbytes read as they should" {
	new_queue sysv "$PEER"
	fails 'not permitted' bash -c 'echo x >"$Q/status"'
	silent cat "$MNT/create"
	mqtool sysv "$NAME" send 1 text
	fails 'not permitted' bash -c 'echo x >"$Q/peek/0.1"'
	fails 'not permitted' rm -f "$Q/peek/0.1"
	fails 'not permitted' bash -c 'echo x >"$Q/drain"'
	equals "$(messages)" 1
}

@test "unsupported operations are refused" {
	new_queue posix
	run /usr/bin/python3 - <<-'EOF'
	import ctypes, os
	libc = ctypes.CDLL(None, use_errno=True)
	fd = os.open(os.environ['Q'] + '/msg', os.O_RDWR)
	PROT_READ_WRITE, MAP_SHARED = 3, 1
	libc.mmap(None, ctypes.c_size_t(4096), PROT_READ_WRITE, MAP_SHARED, fd, ctypes.c_long(0))
	print(os.strerror(ctypes.get_errno()))
	EOF
	equals "$status $output" '0 No such device'
	fails 'not supported' setfattr -n user.x -v y "$Q"
	fails 'No such attribute' getfattr -n user.x "$Q"
	fails 'Illegal seek' /usr/bin/python3 -c '
import os
os.lseek(os.open(os.environ["Q"] + "/msg", os.O_RDONLY), 1, 0)'
	equals "$(messages)" 0
}
