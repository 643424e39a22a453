# SPDX-License-Identifier: MIT
# What an innocent user meets beside each attack of another user (tests/tools/attack).
# shellcheck shell=bash disable=SC2016,SC2154
load common
load fairness

setup() {
	common_setup
	prepare_attacks
	start_mount
}

@test "while the messages of a queue whose bytes were set to 0 are listed" {
	beside qbytes
}

@test "while a semaphore with 4,900 holds is shown" {
	beside holds
}

@test "while 30,000 queues are listed" {
	beside queues
}

@test "while objects tells of 30,000 queues" {
	beside objects
}

@test "while 60,000 objects are made at once" {
	beside create
}

@test "while 60,000 objects are made at once, and counted" {
	stop_mount
	start_mount -o max_objects=1000000
	beside create
}

@test "while segments grow by much" {
	beside fallocate
}

@test "while files of the mount are locked" {
	beside locked_files
}

@test "while processes that make queues are stopped" {
	beside stopped_child
}

# shows_target: mounts what a process in a container has; the host has its /dev/shm at $SHM.
shows_target() {
	stop_mount
	SHM=$BATS_TEST_TMPDIR/shm
	mkdir "$SHM"
	mount -t tmpfs -o mode=1777 none "$SHM"
	background unshare --ipc --mount --pid --fork --kill-child sh -c \
		'mount --bind "$1" /dev/shm; touch "$1/ready"; exec sleep 1000' - "$SHM"
	wait_until '[ -e "$SHM/ready" ]'
	rm "$SHM/ready"
	start_mount -o "target=$(pgrep -P "$JOB")"
}

@test "with target=, while processes that make queues are stopped" {
	shows_target
	beside stopped_child
	umount "$SHM"
}

@test "with target=, while the directory of the segments is locked" {
	shows_target
	beside locked_shm "$SHM"
	umount "$SHM"
}

@test "while reads by io_submit wait" {
	beside aio
}

@test "while a set of 32,000 semaphores is shown" {
	beside semaphores
}

@test "while a queue of 16,384 messages is listed" {
	beside peek
}

@test "while the directory of the segments is locked" {
	beside locked_shm
}

@test "while the directory of the POSIX queues is locked" {
	mount -t mqueue none "$BATS_TEST_TMPDIR/mqueue"
	beside locked_mqueue "$BATS_TEST_TMPDIR/mqueue"
}

@test "while segments are locked" {
	beside locked_segments
}

@test "while directories stay open" {
	keeps directories
}

@test "while texts stay open" {
	keeps statuses
}

@test "while lines don't end" {
	keeps values
}

@test "while paths are not read back" {
	keeps paths
}

@test "while names are looked up" {
	keeps names
}

@test "while messages don't end" {
	keeps unfinished
}

@test "while a write holds create, others make objects by it" {
	attacks locked_files
	within "$BOUND" as_user 4321 timeout $((5 * SLOW)) sh -c 'echo posix/sem/mine >"$MNT/create"'
	[ -d "$MNT/posix/sem/mine" ]
	relents
}

@test "after the directory of the segments was locked" {
	after locked_shm
}

@test "after segments were locked" {
	after locked_segments
}
