# SPDX-License-Identifier: MIT
# records: many binary messages in one read or write.
# shellcheck shell=bash disable=SC2154,SC2016
load common

setup() {
	common_setup
	start_mount
	export SLOW
}

# records SCENARIO: see records.py.
records() {
	local result=0 out=$BATS_TEST_TMPDIR/out
	# No pipe: children that wait would keep it open.
	timeout -k 5 $((30 * SLOW)) python3 "$BATS_TEST_DIRNAME/records.py" "$1" >"$out" 2>&1 || result=$?
	cat "$out"
	equals "$result" 0
}

@test "what is written as records is read as records" {
	each_kind records round_trip
}

@test "direct calls send and receive the same messages" {
	each_kind records directly
}

@test "a read gives as many whole records as fit, and EMSGSIZE takes nothing" {
	each_kind records batches
	each_kind records differing_sizes
	new_queue sysv
	records grown
}

@test "writes end anywhere, and each process finishes its own record" {
	each_kind records parts
}

@test "an unfinished record is EINVAL at close, and is not sent" {
	each_kind records unfinished
	not grep lost "$LOG"
}

@test "a bad record is refused at its header, and those before it are sent" {
	each_kind records refused
}

@test "type/N receives its type, and a type of more than 32 bits is EOVERFLOW and stays" {
	new_queue sysv
	records types
	# as tagged
	[ -e "$Q/type/5/tagged" ]
	new_queue posix
	[ ! -e "$Q/prio/5/records" ]
}

@test "a full queue: a short write, EAGAIN, or waiting" {
	each_kind records full
}

@test "a reader that waits gets the message that comes" {
	each_kind records waiting
}

@test "a reader that is killed while it waits takes nothing" {
	each_kind records killed
}

@test "poll" {
	each_kind records polling
}

@test "a removed queue is EIDRM" {
	each_kind records removed
}

@test "at random by records and by direct calls" {
	each_kind records differential
}
