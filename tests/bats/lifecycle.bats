# SPDX-License-Identifier: MIT
# From the command line to the end of the daemon.
# shellcheck shell=bash disable=SC2154,SC2016
load common

setup() {
	common_setup
}

# own_dev NAME...: a /dev with these devices and no more, in whatever mount namespace.
own_dev() {
	local name
	local new=$BATS_TEST_TMPDIR/reports
	mount -t tmpfs -o mode=755 none "$new" || return
	mkdir "$new/mqueue" "$new/shm"
	for name in "$@"; do
		touch "$new/$name" && mount --bind "/dev/$name" "$new/$name" || return
	done
	mount -n --move "$new" /dev
}
export -f own_dev

mounts() {
	grep -c " $MNT fuse.ipcfs \| $MNT .* - fuse.ipcfs " /proc/self/mountinfo
}

daemon_pid() {
	DAEMON=$(pgrep -x ipcfs)
}

# The daemon went into the background: its end is all that can be seen.
background_daemon_ends() {
	wait_until '! pgrep -x ipcfs'
	DAEMON=''
	! mountpoint -q "$MNT"
}

@test "ipcfs returns when the mount is ready, and SIGTERM ends it" {
	local i
	for i in 1 2 3 4 5; do
		ipcfs "$MNT"
		equals "$(ls "$MNT")" $'create\nlimits\nposix\nsysv'
		daemon_pid
		kill -TERM "$DAEMON"
		background_daemon_ends
	done
}

@test "the background daemon keeps neither standard output nor the directory" {
	run timeout 10 bash -c 'cd "$MNT/.." && out=$(ipcfs "$MNT" 2>&1) && echo "<$out>"'
	equals "$status $output" '0 <>'
	daemon_pid
	equals "$(readlink "/proc/$DAEMON/cwd")" /
	local fd
	for fd in 0 1 2; do
		equals "$(readlink "/proc/$DAEMON/fd/$fd")" /dev/null
	done
	umount "$MNT"
	background_daemon_ends
}

@test "the source is shown by findmnt, ipcfs is the default" {
	ipcfs here "$MNT"
	equals "$(findmnt -no SOURCE,FSTYPE "$MNT" | tr -s ' ')" 'here fuse.ipcfs'
	umount "$MNT"
	ipcfs "$MNT"
	equals "$(findmnt -no SOURCE,FSTYPE "$MNT" | tr -s ' ')" 'ipcfs fuse.ipcfs'
	umount "$MNT"
}

@test "-h explains the options, -V tells the version" {
	run ipcfs -h
	equals "$status" 0
	[[ $output == *MOUNTPOINT* && $output == *allow_other* && $output == *'-o max_waiters'* ]]
	run ipcfs --help
	equals "$status" 0
	run ipcfs -V
	equals "$status" 0
	[[ $output == *ipcfs*0.* ]]
	run ipcfs --version
	equals "$status" 0
}

@test "-d shows the requests, in the foreground" {
	background_output ipcfs -d "$MNT"
	wait_until 'mountpoint -q "$MNT"'
	ls "$MNT"
	grep -qE "OPENDIR|LOOKUP" "$OUT"
	kill -TERM "$JOB"
	wait "$JOB"
}

@test "what is wrong with the command line is said" {
	fails 'ipcfs' ipcfs
	fails 'nonsense' ipcfs -o nonsense "$MNT"
	fails 'max_waiters' ipcfs -o max_waiters=many "$MNT"
	fails 'max_waiters' ipcfs -o max_waiters=0x "$MNT"
	fails '-z' ipcfs -z "$MNT"
	fails 'ipcfs' ipcfs one two three
	equals "$(mounts)" 0
}

@test "a missing mount point and one that is no directory are named" {
	fails "$MNT/none" ipcfs "$MNT/none"
	[[ $output == *'No such file or directory'* ]]
	touch "$MNT/file"
	fails "$MNT/file" ipcfs "$MNT/file"
	[[ ${output,,} == *'not a directory'* ]]
}

@test "a missing /dev/fuse is named" {
	run unshare --mount bash -c 'mount --bind "$(dirname "$(command -v ipcfs)")" /mnt && own_dev null && /mnt/ipcfs "$MNT"'
	[ "$status" != 0 ]
	[[ $output == */dev/fuse*--device\ /dev/fuse* ]]
}

@test "missing privilege is named" {
	chmod 777 "$MNT"
	fails /dev/fuse unshare --mount bash -c 'mount --bind "$IPCFS_TEST_CLOSED" /dev/fuse &&
		setpriv --reuid 1234 --regid 1234 --clear-groups ipcfs "$MNT"'
	[[ $output == *--device* ]]
	equals "$(mounts)" 0
	# Without fusermount3 nobody but root can mount.
	run unshare --mount bash -c 'mount --bind /dev/null "$(command -v fusermount3)" &&
		setpriv --reuid 1234 --regid 1234 --clear-groups ipcfs "$MNT"'
	[ "$status" != 0 ]
	[[ $output == *CAP_SYS_ADMIN*--cap-add* ]]
	equals "$(mounts)" 0
}

@test "a stale mount of its own is cleared" {
	start_mount
	kill -KILL "$DAEMON"
	wait "$DAEMON" || :
	fails 'Transport endpoint is not connected' ls "$MNT"
	start_mount
	ls "$MNT/sysv/msg"
	equals "$(mounts)" 1
	stop_mount
	equals "$(mounts)" 0
}

@test "a stale mount is cleared from the background too" {
	ipcfs "$MNT"
	daemon_pid
	kill -KILL "$DAEMON"
	wait_until '! pgrep -x ipcfs'
	ipcfs "$MNT"
	ls "$MNT/sysv/msg"
	equals "$(mounts)" 1
	umount "$MNT"
	background_daemon_ends
}

@test "a mount that lives is left alone" {
	start_mount
	new_queue sysv
	exec 8<"$Q/status"
	run ipcfs "$MNT"
	[ -d "$Q" ]
	cat <&8 >/dev/null
	exec 8<&-
	umount "$MNT"
	umount "$MNT" || :
}

hundred_waiters() {
	local i
	local first
	new_queue posix
	first=$Q
	new_queue sysv
	for ((i = 0; i < 50; i++)); do
		background cat "$first/msg" 2>/dev/null
		background cat "$Q/lines" 2>/dev/null
	done
	wait_parked 100
}

@test "SIGTERM, SIGINT and SIGHUP end it with 0 within a second, with a hundred waiters" {
	local signal
	for signal in TERM INT HUP; do
		start_mount
		hundred_waiters
		kill -"$signal" "$DAEMON"
		within 1000 daemon_ends
		equals "$(mounts)" 0
		within 1000 wait "${JOBS[@]}" || :
		JOBS=()
	done
}

@test "umount -f ends it with 0 within a second, with a hundred waiters" {
	start_mount
	hundred_waiters
	# It says EBUSY, and has ended the connection all the same.
	umount -f "$MNT" || :
	within 1000 daemon_ends
	equals "$(mounts)" 0
}

@test "a plain umount ends an idle one, and is EBUSY while a file is open" {
	start_mount
	new_queue posix
	exec 8<"$Q/drain"
	fails busy umount "$MNT"
	exec 8<&-
	wait_until 'umount "$MNT" 2>/dev/null'
	daemon_ends
}

@test "after umount -l the daemon ends with the last open file" {
	start_mount
	new_queue posix
	echo one >"$Q/msg"
	exec 8<"$Q/msg"
	umount -l "$MNT"
	sleep 0.2
	running "$DAEMON"
	equals "$(cat <&8)" one
	exec 8<&-
	daemon_ends
}

@test "mount -t fuse.ipcfs works, from the command line and from an fstab" {
	mkdir "$BATS_TEST_TMPDIR/sbin"
	# mount(8) looks in the directories where it would be installed.
	mount -t tmpfs none /usr/local/bin
	cp "$IPCFS" /usr/local/bin/
	mount -t fuse.ipcfs here "$MNT" -o allow_other,nosuid,nodev
	equals "$(findmnt -no SOURCE,FSTYPE "$MNT" | tr -s ' ')" 'here fuse.ipcfs'
	[[ $(findmnt -no OPTIONS "$MNT") == *nosuid*nodev*allow_other* ]]
	as_user 1234 mkdir "$MNT/sysv/msg/0x1"
	umount "$MNT"
	wait_until '! pgrep -x ipcfs'
	echo "ipcfs $MNT fuse.ipcfs allow_other,ro 0 0" >"$BATS_TEST_TMPDIR/fstab"
	mount --fstab "$BATS_TEST_TMPDIR/fstab" "$MNT"
	[[ $(findmnt -no OPTIONS "$MNT") == ro,* ]]
	umount "$MNT"
	wait_until '! pgrep -x ipcfs'
	umount /usr/local/bin
}

@test "-o ro is for looking" {
	start_mount
	new_queue posix
	echo one >"$Q/msg"
	local posix=$Q file
	new_queue sysv
	echo one >"$Q/msg"
	stop_mount
	start_mount -o ro
	for file in "$posix"/{msg,lines,tagged,packets,drain} "$Q"/{msg,lines,tagged,packets,drain,type/1/msg}; do
		fails 'Read-only file system' cat "$file"
	done
	fails 'Read-only file system' bash -c 'echo two >"$Q/msg"'
	fails 'Read-only file system' mkdir "$MNT/posix/mq/new"
	fails 'Read-only file system' rmdir "$Q"
	fails 'Read-only file system' chmod 666 "$Q"
	equals "$(messages "$posix") $(messages)" '1 1'
	equals "$(cat "$Q"/peek/0.1)" one
	ls -lR "$MNT" >/dev/null
	stop_mount
}

@test "an ordinary user mounts in namespaces of his own" {
	chmod 777 "$MNT"
	run as_user 1234 timeout 20 unshare --user --map-root-user --ipc --mount bash -e -c '
		ipcfs -o allow_other "$MNT"
		for queue in posix/mq/jobs sysv/msg/0x00000051; do
			mkdir "$MNT/$queue"
			echo hello >"$MNT/$queue/msg"
			cat "$MNT/$queue/msg"
			stat -c "%u %A" "$MNT/$queue"
			chmod 640 "$MNT/$queue"
			# No other id exists in there.
			chown 5 "$MNT/$queue" 2>&1 | grep -o "Invalid argument"
			rmdir "$MNT/$queue"
		done
		umount "$MNT"'
	equals "$status $output" $'0 hello\n0 drwx--x--x\nInvalid argument\nhello\n0 drwx--x--x\nInvalid argument'
	wait_until '! pgrep -x ipcfs'
}

@test "in a user namespace objects of ids that it does not have show the overflow id, and stay closed" {
	local ready=$BATS_TEST_TMPDIR/ready made=$BATS_TEST_TMPDIR/made daemon
	chmod 777 "$MNT"
	background_output as_user 1234 timeout 20 unshare --user --map-root-user --ipc --mount bash -e -c '
		ipcfs -o allow_other "$MNT"
		touch "$0"
		until [ -e "$1" ]; do sleep 0.02; done
		queue=$MNT/sysv/msg/0x00000077
		stat -c "%u %g %a" "$queue"
		cat "$queue/drain" 2>&1 | grep -o "Permission denied"
		chmod 666 "$queue" 2>&1 | grep -o "Value too large"
		rmdir "$queue" 2>&1 | grep -o "Value too large"
		umount "$MNT"' "$ready" "$made"
	wait_until '[ -e "$ready" ] || ! running "$JOB"'
	daemon=$(pgrep -n -x ipcfs)
	# Who makes it has no id there.
	nsenter --target "$daemon" --ipc mqtool sysv 0x77 make 600
	touch "$made"
	wait "$JOB" || :
	equals "$(cat "$OUT")" $'65534 65534 711\nPermission denied\nValue too large\nValue too large'
	wait_until '! pgrep -x ipcfs'
}

@test "an ordinary user mounts with fusermount3, where there is a /dev/mqueue" {
	chmod 777 "$MNT"
	run timeout 20 unshare --mount bash -e -c '
		# fusermount3 wants a user with a name.
		as_user() { setpriv --reuid nobody --regid nogroup --clear-groups "$@"; }
		own_dev null zero fuse
		as_user ipcfs "$MNT" && exit 1
		echo none
		mount -t mqueue mqueue /dev/mqueue
		if [ "$IPCFS_TEST_WORLD" = userns ]; then
			# Set-user-id programs of the outside have no effect.
			as_user ipcfs "$MNT" && exit 1
			exit 0
		fi
		as_user ipcfs "$MNT"
		for queue in posix/mq/jobs sysv/msg/0x00000051; do
			as_user mkdir "$MNT/$queue"
			echo hello | as_user dd status=none of="$MNT/$queue/msg"
			as_user cat "$MNT/$queue/msg"
			as_user rmdir "$MNT/$queue"
		done
		as_user fusermount3 -u "$MNT"'
	echo "$output"
	[ "$status" = 0 ]
	if in_user_namespace; then
		[[ $output == *mqueue*none*"can't mount"*CAP_SYS_ADMIN* ]]
	else
		[[ $output == *mqueue*none*hello*hello* ]]
	fi
	wait_until '! pgrep -x ipcfs'
}

@test "without allow_other it belongs to who mounted it" {
	start_daemon "$MNT"
	fails 'Permission denied' as_user 1234 ls "$MNT"
	stop_mount
}

@test "it serves after a thousand queues and files came and went" {
	start_mount
	local i
	for ((i = 0; i < 250; i++)); do
		mkdir "$MNT/sysv/msg/0x00000077" "$MNT/posix/mq/x"
		echo "$i" >"$MNT/sysv/msg/0x00000077/msg"
		echo "$i" >"$MNT/posix/mq/x/lines"
		rmdir "$MNT/sysv/msg/0x00000077" "$MNT/posix/mq/x"
	done
	equals "$(ls "$MNT/posix/mq" "$MNT/sysv/msg" | wc -l)" 3
	local files
	files=$(ls "/proc/$DAEMON/fd" | wc -l)
	[ "$files" -lt 40 ]
}
