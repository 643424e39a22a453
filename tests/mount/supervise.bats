# SPDX-License-Identifier: MIT
# -o supervise: the mount goes on when the process that serves it is killed.
# shellcheck shell=bash disable=SC2154,SC2016
load common
load supervise

setup() {
	common_setup
}

not_mounted() {
	fails 'not a mountpoint' mountpoint "$MNT"
}

@test "commands by path go on, and objects are what they were" {
	local i shell
	start_mount -o supervise
	new_queue posix 0 -m 640
	for ((i = 0; i < 5; i++)); do
		for shell in bash dash 'busybox sh'; do
			$shell -c 'echo "$2" >"$1/msg"' sh "$Q" "$i"
		done
		kill_worker
		equals "$(messages)" 3
		equals "$(sed -n 's/^mode=//p' "$Q/status")" 0640
		equals "$(cat "$Q/drain" | tr -d "\n")" "$i$i$i"
	done
	mkdir "$MNT/sysv/sem/0x00005155"
	rmdir "$MNT/sysv/sem/0x00005155" "$Q"
	silent ls "$MNT/posix/mq"
}

@test "the next command makes or removes objects" {
	local i
	start_mount -o supervise
	mkdir "$MNT"/sysv/msg/0x0000515{0..4}
	ls "$MNT/posix/mq"
	for i in {0..4}; do
		kill_worker
		# One may come just before the kernel is told that the names are old.
		wait_until 'mkdir "$MNT/posix/mq/made"' 1
		wait_until 'rmdir "$MNT/sysv/msg/0x0000515'"$i"'"' 1
		rmdir "$MNT/posix/mq/made"
	done
}

@test "an access control list and a limit go on" {
	start_mount -o supervise
	new_queue sysv 0 -m 600
	setfacl -m u:1234:rw "$Q"
	echo 10 >"$MNT/limits/mq_msg_max"
	kill_worker
	as_user 1234 sh -c 'echo mine >"$1/msg"' sh "$Q"
	equals "$(as_user 1234 cat "$Q/msg")" mine
	fails 'Permission denied' as_user 1235 cat "$Q/msg"
	equals "$(cat "$MNT/limits/mq_msg_max")" 10
}

# Sends numbers by path, and notes those whose command succeeded, and those whose command failed.
sender() {
	local i
	for ((i = 0; i < 200; i++)); do
		if (echo "$1.$i" >"$Q/lines") 2>/dev/null; then
			echo "$1.$i" >>"$BATS_TEST_TMPDIR/sent"
		else
			echo "$1.$i" >>"$BATS_TEST_TMPDIR/failed"
		fi
	done
}

@test "eight senders by path lose nothing that was accepted while workers are killed" {
	local i kills=0 senders=()
	start_mount -o supervise
	new_queue sysv
	: >"$BATS_TEST_TMPDIR/sent"
	: >"$BATS_TEST_TMPDIR/failed"
	for ((i = 0; i < 8; i++)); do
		background sender "$i"
		senders+=("$JOB")
	done
	while [ "$(wc -l <"$BATS_TEST_TMPDIR/sent")" -lt 1200 ] && [ "$kills" -lt 40 ]; do
		kill_worker
		kills=$((kills + 1))
	done
	wait "${senders[@]}"
	echo "$kills kills, $(wc -l <"$BATS_TEST_TMPDIR/failed") commands failed"
	[ "$kills" -ge 5 ]
	cat "$Q/drain" | sort >"$BATS_TEST_TMPDIR/got"
	# A command that failed may have sent: its answer was lost. None has sent twice.
	equals "$(sort "$BATS_TEST_TMPDIR/sent" | comm -23 - "$BATS_TEST_TMPDIR/got")" ''
	equals "$(sort "$BATS_TEST_TMPDIR/sent" "$BATS_TEST_TMPDIR/failed" | comm -13 - "$BATS_TEST_TMPDIR/got")" ''
	equals "$(uniq -d "$BATS_TEST_TMPDIR/got")" ''
}

@test "SIGTERM and umount end both processes" {
	start_mount -o supervise
	kill_worker
	stop_mount
	start_mount -o supervise
	kill_worker
	umount "$MNT"
	daemon_ends
}

@test "the end of the supervisor ends the mount" {
	local old
	start_mount -o supervise
	mkdir "$MNT/posix/sem/one"
	echo 1 >"$MNT/posix/sem/one/value"
	exec 8>"$MNT/posix/sem/one/hold"
	old=$(worker)
	kill -KILL "$DAEMON"
	DAEMON=''
	wait_until "ended $old"
	exec 8<&-
	not_mounted
	start_mount
	wait_until '[ "$(cat "$MNT/posix/sem/one/value")" = 1 ]'
}

@test "workers that die at once are started more slowly, and callers are answered" {
	start_mount -o supervise
	new_queue posix
	wait_until 'kill -KILL $(worker) 2>/dev/null; grep -q "starts in 200 ms" "$LOG"' 60
	equals "$(cat "$MNT/limits/mq_msg_max")" 10
	wait_until 'kill -KILL $(worker) 2>/dev/null; grep -q "starts in 800 ms" "$LOG"' 60
	# No worker is there: the signal ends the pause.
	within 2000 stop_mount
}

@test "settings that were read again hold for the next worker" {
	local config=$BATS_TEST_TMPDIR/config
	echo 'allow_uid = 0:1234' >"$config"
	chmod 600 "$config"
	start_mount -o supervise,config="$config"
	as_user 1234 ls "$MNT/posix"
	echo 'allow_uid = 0' >"$config"
	kill -HUP "$DAEMON"
	wait_until 'grep -q "was read again" "$LOG"'
	fails 'Permission denied' as_user 1234 ls "$MNT/posix"
	# What is in the file now was not read again.
	echo 'allow_uid = 0:1234:1235' >"$config"
	kill_worker
	fails 'Permission denied' as_user 1234 ls "$MNT/posix"
	# A file that is refused changes nothing.
	echo 'nonsense' >"$config"
	kill -HUP "$DAEMON"
	wait_until '[ "$(grep -c "the settings are unchanged" "$LOG")" = 1 ]'
	kill_worker
	fails 'Permission denied' as_user 1234 ls "$MNT/posix"
}

@test "in the background, too" {
	ipcfs -o supervise "$MNT"
	DAEMON=$(pgrep -o -x ipcfs)
	equals "$(readlink "/proc/$DAEMON/fd/1" "/proc/$(worker)/fd/1")" $'/dev/null\n/dev/null'
	kill_worker
	equals "$(ls "$MNT")" $'create\nevents\nlimits\nmetrics\nobjects\nposix\nsysv'
	kill -TERM "$DAEMON"
	wait_until '! pgrep "^ipcfs"'
	DAEMON=''
	not_mounted
}

@test "an error at the start is told, and nothing stays" {
	fails 'nothing' ipcfs -f -o supervise,audit=/nothing/here "$MNT"
	not_mounted
	fails 'nothing' ipcfs -o supervise,audit=/nothing/here "$MNT"
	not_mounted
	wait_until '! pgrep "^ipcfs"'
}

@test "a target and its end" {
	background unshare --ipc sh -c 'ipcmk -Q -p 600 >/dev/null; exec sleep 1000'
	wait_until '[ "$(cat /proc/'"$JOB"'/comm)" = sleep ]'
	start_mount -o supervise,target="$JOB"
	equals "$(ls "$MNT/sysv/msg" | wc -l)" 1
	kill_worker
	equals "$(ls "$MNT/sysv/msg" | wc -l)" 1
	kill "$JOB"
	daemon_ends
}

# has_descriptors COUNT: so many has the supervisor, and one of them is of inotify(7), as of the worker's.
has_descriptors() {
	local all=("/proc/$DAEMON/fd/"*) process links
	[ ${#all[@]} = "$1" ] || return 1
	for process in "$DAEMON" "$(worker)"; do
		links=$(readlink "/proc/$process/fd/"*)
		equals "$(grep -c inotify <<<"$links")" 1 || return 1
	done
}

@test "the supervisor has one descriptor of the worker's inotify instance" {
	local all
	start_mount -o supervise
	all=("/proc/$DAEMON/fd/"*)
	has_descriptors ${#all[@]}
	for _ in 1 2 3; do
		kill_worker
		# Those of the dead worker are closed when the next one is ready.
		wait_until "has_descriptors ${#all[@]}" 2
	done
}

@test "the supervisor is small, and sleeps" {
	local switches private
	start_mount -o supervise
	private=$(awk '/^Private_(Clean|Dirty)/ { sum += $2 } END { print sum }' "/proc/$DAEMON/smaps_rollup")
	echo "$private KiB"
	[[ " $IPCFS_BUILT_WITH " == *" sanitizer "* ]] || [ "$private" -lt 1024 ]
	switches=$(grep -h switches "/proc/$DAEMON/status")
	ls -R "$MNT" >"$BATS_TEST_TMPDIR/listing"
	sleep 1 # as long as it would do something by itself
	equals "$(grep -h switches "/proc/$DAEMON/status")" "$switches"
}

@test "a storm: workers of three mounts are killed at random, and nothing is lost untold" {
	storm
}
