# SPDX-License-Identifier: MIT
# The recipe that makes queues anew after a boot, with the real systemd-tmpfiles.
# shellcheck shell=bash disable=SC2154
load common

setup() {
	common_setup
	start_mount
	RECIPE=$BATS_TEST_TMPDIR/queues.conf
	sed "s,/run/ipcfs,$MNT," "$BATS_TEST_DIRNAME/../../examples/ipcfs.tmpfiles" >"$RECIPE"
	USER_ID=$(id -u daemon) GROUP_ID=$(id -g daemon)
}

limits_of() {
	sed -n 's/^max_[a-z_]*=//p' "$MNT/$1/status" | xargs
}

listed() {
	(cd "$MNT" && printf '%s\n' posix/mq/* sysv/msg/* | xargs)
}

# As the system calls see them, not the mount.
has_queues() {
	equals "$(listed)" 'posix/mq/jobs posix/mq/thumbnails sysv/msg/0x00004b45 sysv/msg/0x00004b46'
	equals "$(mqtool posix jobs mode)" "0660 0 $GROUP_ID"
	equals "$(mqtool posix thumbnails mode)" "0660 $USER_ID $GROUP_ID"
	equals "$(mqtool sysv 0x00004b45 mode | cut -d' ' -f1-3)" "0600 $USER_ID $GROUP_ID"
	equals "$(mqtool sysv 0x00004b46 mode | cut -d' ' -f1-3)" "0620 $USER_ID $GROUP_ID"
	equals "$(limits_of posix/mq/thumbnails)" '5 1024'
	equals "$(sed -n 's/^max_bytes=//p' "$MNT/sysv/msg/0x00004b45/status")" 8192
	equals "$(sed -n 's/^max_bytes=//p' "$MNT/sysv/msg/0x00004b46/status")" 4096
}

@test "systemd-tmpfiles makes the queues of the recipe" {
	systemd-tmpfiles --create "$RECIPE"
	has_queues
}

@test "again: nothing is doubled or lost, and owner, group and mode come back" {
	systemd-tmpfiles --create "$RECIPE"
	echo first >"$MNT/posix/mq/jobs/msg"
	echo second >"$MNT/sysv/msg/0x00004b46/msg"
	chmod 666 "$MNT/posix/mq/jobs" "$MNT/sysv/msg/0x00004b46"
	chown root:root "$MNT/posix/mq/thumbnails" "$MNT/sysv/msg/0x00004b45"
	echo 100 >"$MNT/sysv/msg/0x00004b45/qbytes"
	systemd-tmpfiles --create "$RECIPE"
	has_queues
	equals "$(cat "$MNT/posix/mq/jobs/drain")" first
	equals "$(cat "$MNT/sysv/msg/0x00004b46/drain")" second
}

@test "one that was removed is made again beside the others" {
	systemd-tmpfiles --create "$RECIPE"
	rmdir "$MNT/posix/mq/thumbnails" "$MNT/sysv/msg/0x00004b45"
	systemd-tmpfiles --create "$RECIPE"
	has_queues
}

@test "after a boot they are there again" {
	systemd-tmpfiles --create "$RECIPE"
	stop_mount
	remove_queues
	start_mount
	equals "$(listed)" 'posix/mq/* sysv/msg/*'
	systemd-tmpfiles --create "$RECIPE"
	has_queues
}

@test "a restart of the daemon takes nothing from them" {
	systemd-tmpfiles --create "$RECIPE"
	echo kept >"$MNT/posix/mq/jobs/msg"
	stop_mount
	start_mount
	systemd-tmpfiles --create "$RECIPE"
	has_queues
	equals "$(cat "$MNT/posix/mq/jobs/drain")" kept
}

@test "systemd-tmpfiles --clean and --remove leave them alone" {
	systemd-tmpfiles --create "$RECIPE"
	systemd-tmpfiles --clean "$RECIPE"
	systemd-tmpfiles --remove "$RECIPE"
	has_queues
}

@test "a queue that can not be made is an error, and the others are made" {
	sed -i "s,^d .*posix/mq/jobs.*,d $MNT/sysv/msg/nonsense 0600 - - - -," "$RECIPE"
	run systemd-tmpfiles --create "$RECIPE"
	[ "$status" != 0 ]
	[ -d "$MNT/posix/mq/thumbnails" ]
	[ -d "$MNT/sysv/msg/0x00004b45" ]
}
