# SPDX-License-Identifier: MIT
# What a service manager is told: sd_notify(3).
# shellcheck shell=bash disable=SC2154
load common

setup() {
	common_setup
	TOLD=$BATS_TEST_TMPDIR/told
	export NOTIFY_SOCKET=$BATS_TEST_TMPDIR/notify
	: >"$TOLD"
	background socat -u "UNIX-RECV:$NOTIFY_SOCKET" "OPEN:$TOLD,append"
	wait_until '[ -S "$NOTIFY_SOCKET" ]'
}

told() {
	wait_until "[ \"\$(cat \"$TOLD\")\" = '$1' ]"
}

# start_told [OPTION...]: starts a daemon in the foreground; returns when the manager is told.
start_told() {
	ipcfs -f "$@" "$MNT" >"$LOG" 2>&1 3>&- 4>&- &
	DAEMON=$!
	wait_until '[ -s "$TOLD" ] || ! running "$DAEMON"'
}

@test "READY comes when the mount answers, STOPPING when it ends" {
	local i
	for i in 1 2 3; do
		: >"$TOLD"
		start_told
		is_ready
		equals "$(cat "$TOLD")" READY=1
		kill -TERM "$DAEMON"
		daemon_ends
		told READY=1STOPPING=1
	done
}

@test "umount is reported as an end, too" {
	start_told
	umount "$MNT"
	daemon_ends
	told READY=1STOPPING=1
}

@test "a daemon that can not mount is never ready" {
	run ipcfs -f "$BATS_TEST_TMPDIR/missing"
	equals "$status" 2
	# The listener has received everything that was sent before this.
	start_told
	equals "$(cat "$TOLD")" READY=1
	stop_mount
}

@test "in the background the exit of the first process tells that the mount is ready" {
	ipcfs "$MNT"
	is_ready
	umount "$MNT"
	wait_until '! pgrep -x ipcfs'
	start_told
	equals "$(cat "$TOLD")" READY=1
	stop_mount
}

@test "a manager that does not listen does no harm" {
	kill -KILL "$JOB"
	wait "$JOB" || :
	start_daemon ipcfs "$MNT"
	wait_until 'grep -q NOTIFY_SOCKET "$LOG"'
	stop_mount
}

@test "an upgrade is a reload of the same process" {
	start_told -o supervise
	: >"$TOLD"
	ipcfs --upgrade "$MNT"
	wait_until '[ "$(tr -d "\n" <"$TOLD" | sed "s/MONOTONIC_USEC=[0-9]*//")" = RELOADING=1READY=1 ]'
	stop_mount # of the same process id
}
