# SPDX-License-Identifier: MIT
# From the command line to the end of the daemon.
# shellcheck shell=bash disable=SC2154,SC2016
load common

setup() {
	common_setup
}

mounts() {
	grep -c " $MNT fuse.ipcfs \| $MNT .* - fuse.ipcfs " /proc/self/mountinfo
}

daemon_pid() {
	DAEMON=$(pgrep -o -x ipcfs) # a helper, which is younger, may have the name for a moment
}

# The daemon is in the background: only its end can be seen.
background_daemon_ends() {
	wait_until '! pgrep -x ipcfs'
	DAEMON=''
	! mountpoint -q "$MNT"
}

@test "ipcfs returns when the mount is ready, and SIGTERM ends it" {
	local i
	for i in 1 2 3 4 5; do
		ipcfs "$MNT"
		equals "$(ls "$MNT")" $'create\nevents\nlimits\nmetrics\nobjects\nposix\nsysv'
		daemon_pid
		kill -TERM "$DAEMON"
		background_daemon_ends
	done
}

# The lines of a daemon that was built without something.
built_without() {
	[[ " $IPCFS_BUILT_WITH " == *" capabilities "* ]] ||
		echo 'ipcfs: built without libcap-ng: capabilities are not given up'
	[[ " $IPCFS_BUILT_WITH " == *" seccomp "* ]] ||
		echo 'ipcfs: built without libseccomp: system calls are not filtered'
}

@test "the background daemon keeps neither standard output nor the directory" {
	run timeout 10 bash -c 'cd "$MNT/.." && out=$(ipcfs "$MNT" 2>&1) && echo "<$out>"'
	equals "$status $output" "0 <$(built_without)>"
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

@test "a wrong command line is explained" {
	fails 'no mount point given' ipcfs
	fails 'nonsense' ipcfs -o nonsense "$MNT"
	fails 'max_waiters' ipcfs -o max_waiters=many "$MNT"
	fails 'max_waiters' ipcfs -o max_waiters=0x "$MNT"
	fails '-z' ipcfs -z "$MNT"
	fails 'too many arguments: three' ipcfs one two three
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

# refused_as_user COMMAND...: as a user with a name it fails to mount.
refused_as_user() {
	run unshare --mount bash -c 'mkdir -p /dev/mqueue && mount -t mqueue mqueue /dev/mqueue &&
		exec setpriv --reuid nobody --regid nogroup --clear-groups "$@"' - "$@" "$MNT"
	equals "$status" 2
}

# fusermount3_says REASON: so the output says, and hints about containers follow only where they are
# right: in a container's bounding set, or a user namespace.
fusermount3_says() {
	if [ "$IPCFS_TEST_WORLD" = host ]; then
		equals "$output" "$1
ipcfs: can't mount on $MNT: fusermount3 has said why"
	else
		equals "${lines[0]}" "$1"
	fi
}

@test "where fusermount3 has said why, no hints about containers follow" {
	chmod 777 "$MNT"
	refused_as_user ipcfs -o allow_other
	fusermount3_says "fusermount3: option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf"
	chmod 755 "$MNT"
	refused_as_user ipcfs
	fusermount3_says "fusermount3: user has no write access to mountpoint $MNT"
	# Without the power to mount, it does not know why.
	chmod 777 "$MNT"
	refused_as_user setpriv --no-new-privs ipcfs
	[[ $output == *--cap-add* ]]
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

@test "a living mount is left alone" {
	start_mount
	new_queue sysv
	exec 8<"$Q/status"
	fails 'mounted there already' ipcfs "$MNT"
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

# have_ended JOB...: with any status.
have_ended() {
	wait "$@" || :
}

@test "SIGTERM and SIGINT end it with 0 within a second, with a hundred waiters" {
	local signal
	for signal in TERM INT; do
		start_mount
		hundred_waiters
		kill -"$signal" "$DAEMON"
		within 1000 daemon_ends
		equals "$(mounts)" 0
		within 1000 have_ended "${JOBS[@]}"
		JOBS=()
	done
}

# survives_hangup: the daemon says at SIGHUP that there is nothing to read again, and goes on.
survives_hangup() {
	local before
	before=$(grep -c 'no config= to read again' "$LOG" || :)
	kill -HUP "$DAEMON"
	wait_until '[ "$(grep -c "no config= to read again" "$LOG")" -gt '"$before"' ]'
	ls "$MNT/sysv/msg"
	running "$DAEMON"
}

@test "SIGHUP ends no daemon: in the foreground, under nohup, and when its terminal goes" {
	start_mount
	survives_hangup
	survives_hangup
	stop_mount
	bash -c 'trap "" HUP; exec ipcfs -f "$MNT"' 2>"$LOG" 3>&- 4>&- &
	DAEMON=$!
	wait_until '[ "$(mounts)" = 1 ]'
	survives_hangup
	stop_mount
	# A terminal that goes away sends SIGHUP to the processes in its foreground.
	background command script -qec 'exec ipcfs -f "$MNT"' /dev/null
	wait_until '[ "$(mounts)" = 1 ]'
	DAEMON=$(pgrep -o -x ipcfs) # a helper, which is younger, may have the name for a moment
	kill -KILL "$JOB"
	wait_until '[ "$(ps -o tty= -p "$DAEMON")" = "?" ]'
	ls "$MNT/sysv/msg"
	umount "$MNT"
	background_daemon_ends
}

@test "the background daemon survives its terminal and SIGHUP" {
	command script -qec 'ipcfs "$MNT"' /dev/null
	daemon_pid
	kill -HUP "$DAEMON"
	wait_until 'grep -q "^ShdPnd:.*0000000000000000" "/proc/$DAEMON/status"'
	ls "$MNT/sysv/msg"
	running "$DAEMON"
	umount "$MNT"
	background_daemon_ends
}

@test "umount -f ends it with 0 within a second, with a hundred waiters" {
	start_mount
	hundred_waiters
	# It says EBUSY, and has ended the connection nevertheless.
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
	meanwhile 0.2
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
	wait_until '! pgrep ipcfs' # its keeper, too
	umount /usr/local/bin
}

@test "-o ro allows reading only" {
	start_mount
	new_queue posix
	echo one >"$Q/msg"
	local posix=$Q file
	new_queue sysv
	echo one >"$Q/msg"
	stop_mount
	start_mount -o ro
	for file in "$posix"/{msg,lines,tagged,packets,records,drain} "$Q"/{msg,lines,tagged,packets,records,drain,type/1/msg}; do
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

@test "an ordinary user mounts in namespaces of its own" {
	chmod 777 "$MNT"
	run as_user 1234 timeout 20 unshare --user --map-root-user --ipc --mount bash -e -c '
		ipcfs -o allow_other "$MNT" 2>/dev/null
		for queue in posix/mq/jobs sysv/msg/0x00000051; do
			mkdir "$MNT/$queue"
			echo hello >"$MNT/$queue/msg"
			cat "$MNT/$queue/msg"
			stat -c "%u %A" "$MNT/$queue"
			chmod 640 "$MNT/$queue"
			# No other id exists there.
			chown 5 "$MNT/$queue" 2>&1 | grep -o "Invalid argument"
			rmdir "$MNT/$queue"
		done
		umount "$MNT"'
	equals "$status $output" $'0 hello\n0 drwx--x--x\nInvalid argument\nhello\n0 drwx--x--x\nInvalid argument'
	wait_until '! pgrep -x ipcfs'
}

@test "in a user namespace objects of unmapped ids show the overflow id, and stay closed" {
	local ready=$BATS_TEST_TMPDIR/ready made=$BATS_TEST_TMPDIR/made daemon
	chmod 777 "$MNT"
	background_output as_user 1234 timeout 20 unshare --user --map-root-user --ipc --mount bash -e -c '
		ipcfs -o allow_other "$MNT" 2>/dev/null
		touch "$0"
		until [ -e "$1" ]; do sleep 0.02; done
		queue=$MNT/sysv/msg/0x00000077
		stat -c "%u %g %a" "$queue"
		cat "$queue/drain" 2>&1 | grep -o "Permission denied"
		chmod 666 "$queue" 2>&1 | grep -o "Value too large"
		rmdir "$queue" 2>&1 | grep -o "Value too large"
		umount "$MNT"' "$ready" "$made"
	wait_until '[ -e "$ready" ] || ! running "$JOB"'
	daemon=$(pgrep -o -x ipcfs)
	# The maker has no id there.
	nsenter --target "$daemon" --ipc mqtool sysv 0x77 make 600
	touch "$made"
	wait "$JOB" || :
	equals "$(cat "$OUT")" $'65534 65534 711\nPermission denied\nValue too large\nValue too large'
	wait_until '! pgrep -x ipcfs'
}

@test "an ordinary user mounts with fusermount3, without queues where there is no /dev/mqueue" {
	chmod 777 "$MNT"
	run timeout 20 unshare --mount bash -e -c '
		# fusermount3 needs a user with a name.
		as_user() { setpriv --reuid nobody --regid nogroup --clear-groups "$@"; }
		own_dev null zero fuse
		if [ "$IPCFS_TEST_WORLD" = userns ]; then
			# Set-user-id programs of the outside have no effect.
			as_user ipcfs "$MNT" && exit 1
			exit 0
		fi
		mount -t tmpfs -o mode=1777 tmpfs /dev/shm
		as_user ipcfs "$MNT"
		as_user ls -A "$MNT/posix/mq"
		as_user mkdir "$MNT/posix/mq/jobs" && exit 1
		as_user bash -c "echo posix/mq/jobs >\"\$MNT/create\"" && exit 1
		as_user stat "$MNT/posix/mq/jobs" && exit 1
		as_user mkdir "$MNT"/posix/{shm,sem}/one "$MNT"/sysv/{msg,shm,sem}/0x51
		as_user ls "$MNT"/posix/{mq,shm,sem} "$MNT"/sysv/{msg,shm,sem}
		as_user rmdir "$MNT"/posix/{shm,sem}/one "$MNT"/sysv/{msg,shm,sem}/0x51
		as_user fusermount3 -u "$MNT"
		umount -l /dev/shm
		mount -t mqueue mqueue /dev/mqueue
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
		[[ $output == *"can't mount"*CAP_SYS_ADMIN* ]]
	else
		equals "$(grep -c 'posix/mq is empty: nothing is on /dev/mqueue' <<<"$output")" 1
		equals "$(grep -c 'No such file or directory' <<<"$output")" 3
		equals "$(grep -c -e '^one$' -e '^0x00000051$' <<<"$output")" 5
		[[ $output == *hello*hello* ]]
	fi
	wait_until '! pgrep -x ipcfs'
}

@test "without allow_other only the mounting user may use it" {
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
