# SPDX-License-Identifier: MIT
# The recipe that makes queues anew after a boot, with the real systemd-tmpfiles.
# shellcheck shell=bash disable=SC2154
load common

setup() {
	common_setup
	ROOT=
	! in_user_namespace || own_root
	start_mount
	RECIPE=$BATS_TEST_TMPDIR/queues.conf
	# Its path below the root of systemd-tmpfiles.
	BELOW=${MNT#"$ROOT"}
	sed "s,/run/ipcfs,$BELOW," "$BATS_TEST_DIRNAME/../../examples/ipcfs.tmpfiles" >"$RECIPE"
	USER_ID=$(id -u daemon) GROUP_ID=$(id -g daemon)
}

# Makes a root directory that belongs to root, as in a container. systemd-tmpfiles follows no path
# from one user's directory to another user's, and in a user namespace the machine's directories
# belong to nobody.
own_root() {
	local place
	ROOT=$BATS_TEST_TMPDIR/root
	mkdir "$ROOT"
	mount -t tmpfs -o mode=755 tmpfs "$ROOT"
	for place in /*; do
		if [ -L "$place" ]; then
			cp -P "$place" "$ROOT/"
		elif [[ $place == /@(bin|dev|etc|lib*|proc|sbin|usr) ]]; then
			mkdir "$ROOT$place"
			mount --rbind "$place" "$ROOT$place"
		fi
	done
	mkdir "$ROOT/run" "$ROOT/tmp"
	MNT=$ROOT/mnt
	mkdir "$MNT"
}

tmpfiles() {
	if [ -n "$ROOT" ]; then
		cp "$RECIPE" "$ROOT/run/queues.conf"
		chroot "$ROOT" systemd-tmpfiles "$1" /run/queues.conf
	else
		systemd-tmpfiles "$1" "$RECIPE"
	fi
}

limits_of() {
	sed -n 's/^max_[a-z_]*=//p' "$MNT/$1/status" | xargs
}

listed() {
	(cd "$MNT" && printf '%s\n' posix/mq/* sysv/msg/* | xargs)
}

# As the direct calls see them.
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
	if in_user_namespace; then
		sed "s,$BELOW,$MNT," "$RECIPE" >"$RECIPE.outside"
		fails 'unsafe path transition' systemd-tmpfiles --create "$RECIPE.outside"
		equals "$(listed)" 'posix/mq/* sysv/msg/*'
	fi
	tmpfiles --create
	has_queues
}

@test "a second run: nothing is doubled or lost, and owner, group and mode are set again" {
	tmpfiles --create
	echo first >"$MNT/posix/mq/jobs/msg"
	echo second >"$MNT/sysv/msg/0x00004b46/msg"
	chmod 666 "$MNT/posix/mq/jobs" "$MNT/sysv/msg/0x00004b46"
	chown root:root "$MNT/posix/mq/thumbnails" "$MNT/sysv/msg/0x00004b45"
	echo 100 >"$MNT/sysv/msg/0x00004b45/qbytes"
	tmpfiles --create
	has_queues
	equals "$(cat "$MNT/posix/mq/jobs/drain")" first
	equals "$(cat "$MNT/sysv/msg/0x00004b46/drain")" second
}

@test "a removed queue is made again beside the others" {
	tmpfiles --create
	rmdir "$MNT/posix/mq/thumbnails" "$MNT/sysv/msg/0x00004b45"
	tmpfiles --create
	has_queues
}

@test "after a boot the queues exist again" {
	tmpfiles --create
	stop_mount
	remove_objects
	start_mount
	equals "$(listed)" 'posix/mq/* sysv/msg/*'
	tmpfiles --create
	has_queues
}

@test "a restart of the daemon takes nothing from the queues" {
	tmpfiles --create
	echo kept >"$MNT/posix/mq/jobs/msg"
	stop_mount
	start_mount
	tmpfiles --create
	has_queues
	equals "$(cat "$MNT/posix/mq/jobs/drain")" kept
}

@test "systemd-tmpfiles --clean and --remove leave the queues alone" {
	tmpfiles --create
	tmpfiles --clean
	tmpfiles --remove
	has_queues
}

@test "a queue that can not be made is an error, and the others are made" {
	sed -i "s,^d .*posix/mq/jobs.*,d $BELOW/sysv/msg/nonsense 0600 - - - -," "$RECIPE"
	run tmpfiles --create
	[ "$status" != 0 ]
	[ -d "$MNT/posix/mq/thumbnails" ]
	[ -d "$MNT/sysv/msg/0x00004b45" ]
}
