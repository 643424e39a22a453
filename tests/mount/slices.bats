# SPDX-License-Identifier: MIT
# No request keeps others waiting, however large the thing is that it reads or makes.
# shellcheck shell=bash disable=SC2154,SC2016
load common

setup() {
	common_setup
	start_mount
	mkdir "$MNT/posix/mq/innocent"
	echo 32000 >/proc/sys/kernel/msgmni
	[ "$SHORT" = 0 ] && [ "$SLOW" = 1 ] || PART=10
}

# slices WHAT COUNT: the longest answer to another process is at most a second.
slices() {
	python3 "$BATS_TEST_DIRNAME/slices.py" "$1" "$MNT" $(($2 / ${PART:-1})) $((1000 * SLOW)) "$DAEMON"
}

@test "a directory of 30,000 queues lists each once while others come and go, and keeps its places" {
	slices queues 30000
}

@test "a directory of many segments lists each once while others come and go, and keeps its places" {
	slices segments 10000
}

@test "objects tells of 30,000 objects once while others come and go, in reads of a few ms" {
	slices objects 30000
}

@test "peek/ lists thousands of messages" {
	slices messages 16000
}

@test "status tells of thousands of holds, also after one semaphore was set" {
	slices holds 2000
}

@test "the status of thousands of segments is read in linear time" {
	slices memory 2000
}

@test "the status of large sets takes one thread for all readers of a user" {
	PART=1 slices large_sets 16000
}

@test "the status of some of 30,000 segments takes one thread for all readers of a user" {
	echo 32768 >/proc/sys/kernel/shmmni
	PART=1 slices table 30000
}

@test "a write of thousands of lines to create is taken in parts, each line once" {
	slices lines 10000
}

@test "objects that are counted among 30,000 of others take one thread for all makers of a user" {
	stop_mount
	start_mount -o max_objects=20
	PART=1 slices counted 30000
}

@test "a directory of hidden queues is listed in several answers" {
	stop_mount
	start_mount -o hide
	slices hidden 1
}

@test "memory of a segment is reserved in parts, until the caller is interrupted" {
	slices memory_of_a_segment 1
}

@test "programs write what create leaves of a large write" {
	local count=$((4000 / ${PART:-1})) shell
	# Lines of 16 bytes: shells cut a long text at the ends of their buffers, and a line in two there.
	seq -f %.0f 16384 $((16383 + count)) | xargs printf 'sysv/msg/0x%04x\n' >"$BATS_TEST_TMPDIR/lines"
	made() {
		equals "$(ipcs -q | grep -c '^0x')" "$count"
		ipcrm --all=msg
	}
	cat "$BATS_TEST_TMPDIR/lines" >"$MNT/create"
	made
	dd if="$BATS_TEST_TMPDIR/lines" of="$MNT/create" bs=1M status=none
	made
	cp "$BATS_TEST_TMPDIR/lines" /dev/stdout >"$MNT/create"
	made
	for shell in "${SHELLS[@]}"; do
		$shell -c 'text=$(cat "$1"); echo "$text" >"$MNT/create"' - "$BATS_TEST_TMPDIR/lines"
		made
	done
	python3 -c 'import os, sys; open(os.environ["MNT"] + "/create", "w").write(open(sys.argv[1]).read())' "$BATS_TEST_TMPDIR/lines"
	made
}
