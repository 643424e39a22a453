# SPDX-License-Identifier: MIT
# lease: the end of the daemon gives leased messages back, however it comes.
# shellcheck shell=bash disable=SC2153,SC2154,SC2016,SC2119,SC2120
load common
load namespaces

helper() {
	pgrep -x ipcfs-leases
}

# kill_daemon: and take its mount off.
kill_daemon() {
	kill -KILL "$DAEMON"
	wait "$DAEMON" || :
	DAEMON=''
	umount -l "$MNT"
}

no_helper() {
	wait_until '! pgrep -x ipcfs-leases'
}

# descriptors PID: prints how many it has.
descriptors() {
	find "/proc/$1/fd" -mindepth 1 | wc -l
}

# lease DESCRIPTOR MESSAGE: takes one, and asserts that it is this one.
lease() {
	eval "exec $1<>'$Q/lease'"
	equals "$(cat <&"$1")" "$2"
}

# tagged [WHO]: prints the next message of the queue by the direct call.
tagged() {
	local type
	[ "$KIND" = posix ] && type='' || type=0
	"$@" mqtool -n "$KIND" "$NAME" tagged $type
}

# comes TYPE MESSAGE
comes() {
	wait_until "LINE=\$(tagged 2>/dev/null)"
	equals "$LINE" "$1"$'\t'"$2"
}

# Three are leased: one is done, two come back in the order in which they were taken.
ended_by() {
	local mode=$1
	start_mount
	new_queue "$KIND"
	printf '5\ta\n5\tb\n5\tc\n' >"$Q/tagged"
	lease 9 a
	lease 8 b
	lease 7 c
	echo "done" >&8
	"$mode"
	comes 5 a
	comes 5 c
	no_helper
	not tagged # there is no other one
	exec 9>&- 8>&- 7>&-
	mqtool "$KIND" "$NAME" remove
}

@test "a daemon that is killed, or that ends, leaves no message leased" {
	for KIND in posix sysv; do
		ended_by kill_daemon
		ended_by stop_mount
	done
}

@test "a queue of an ordinary user with no mode at all gets its message" {
	for KIND in posix sysv; do
		start_mount
		new_queue "$KIND" 1234
		echo job >"$Q/lines"
		as_user 1234 chmod 0 "$Q"
		lease 9 job
		kill_daemon
		wait_until '! pgrep -x ipcfs-leases'
		exec 9>&-
		equals "$(tagged)" "$([ "$KIND" = posix ] && echo 0 || echo 1)"$'\t'job
	done
}

@test "the helper has one capability, a filter, and few descriptors, from the start" {
	local pid filters
	KIND=posix
	start_mount
	pid=$(helper)
	equals "$(descriptors "$pid")" 2
	new_queue posix
	echo job >"$Q/lines"
	lease 9 job
	equals "$(helper)" "$pid"
	equals "$(sed -n 's/^Cap\(Prm\|Eff\):.//p' "/proc/$pid/status" | uniq)" 0000000000008000
	equals "$(grep -c '^Cap\(Inh\|Amb\):.0*$' "/proc/$pid/status")" 2
	equals "$(sed -n 's/^NoNewPrivs:.//p' "/proc/$pid/status")" 1
	if [[ $IPCFS_BUILT_WITH == *seccomp* ]]; then
		filters=$(sed -n 's/^Seccomp_filters:.//p' "/proc/$DAEMON/status")
		equals "$(sed -n 's/^Seccomp_filters:.//p' "/proc/$pid/status")" $((filters + 1))
	fi
	wait_until '[ "$(descriptors '"$pid"')" = 3 ]' # the order may still be on its way to it
	equals "$(readlink "/proc/$pid/cwd")" /
	# nor does it end with the terminal's session
	kill -TERM "$pid"
	kill -INT "$pid"
	meanwhile 0.1
	running "$pid"
	echo "done" >&9
	exec 9>&-
	wait_until '[ "$(descriptors '"$pid"')" = 2 ]'
}

@test "a helper that is killed or stopped while messages are leased: none is lost" {
	local pid
	for KIND in posix sysv; do
		start_mount
		new_queue "$KIND"
		printf '5\ta\n5\tb\n5\tc\n' >"$Q/tagged"
		lease 9 a
		pid=$(helper)
		kill -KILL "$pid"
		# without any lease after it there is another one
		wait_until 'helper | grep -qvx '"$pid"
		lease 8 b
		pid=$(helper)
		kill -STOP "$pid"
		wait_until 'grep -q "^State:.T" /proc/'"$pid"'/status'
		lease 7 c
		kill_daemon
		comes 5 a
		comes 5 b
		comes 5 c
		no_helper
		exec 9>&- 8>&- 7>&-
	done
}

@test "a full queue is waited for" {
	for KIND in posix sysv; do
		start_mount
		new_queue "$KIND"
		echo job >"$Q/lines"
		lease 9 job
		fill
		kill_daemon
		meanwhile 0.2
		helper
		wait_until '[[ $(tagged) = *job ]]'
		no_helper
		exec 9>&-
	done
}

as_nobody() {
	${EXEC-} setpriv --reuid nobody --regid nogroup --clear-groups "$@"
}

@test "the helper of an ordinary user's daemon has no capability, and serves that user's queues" {
	if in_user_namespace; then
		fails 'fusermount3 must be there' as_nobody ipcfs -f "$MNT"
		return
	fi
	chmod 777 "$MNT"
	mkdir -p /dev/mqueue
	mountpoint -q /dev/mqueue || mount -t mqueue mqueue /dev/mqueue
	for KIND in posix sysv; do
		queue_name "$KIND"
		EXEC="exec" as_nobody ipcfs -f "$MNT" >"$LOG" 2>&1 3>&- 4>&- &
		DAEMON=$!
		wait_until 'as_nobody mkdir "$Q" 2>/dev/null'
		background as_nobody bash -c 'echo job >"$Q/lines"; exec 9<>"$Q/lease"; cat <&9; exec sleep 1000'
		wait_until 'as_nobody grep -qx leased=1 "$Q/status"'
		equals "$(grep -c '^Cap\(Prm\|Eff\|Inh\|Amb\):.0*$' "/proc/$(helper)/status")" 4
		kill_daemon
		comes "$([ "$KIND" = posix ] && echo 0 || echo 1)" job
		no_helper
	done
}

@test "a daemon that could not send a message back leases none" {
	! in_user_namespace || return 0
	chmod 777 "$MNT"
	KIND=sysv
	queue_name "$KIND"
	ipcmk -Q -p 0644 >/dev/null
	EXEC="exec" as_nobody ipcfs -f "$MNT" >"$LOG" 2>&1 3>&- 4>&- &
	DAEMON=$!
	wait_until "as_nobody sh -c 'ls -d \"\$MNT\"/sysv/msg/0x*' >/dev/null 2>&1"
	Q=$(as_nobody sh -c 'echo "$MNT"/sysv/msg/0x*')
	export Q
	mqtool sysv "${Q##*/}" send 1 job
	fails 'Permission denied' as_nobody bash -c ': 9<>"$Q/lease"'
	equals "$(as_nobody cat "$Q/msg")" job
	fails 'Permission denied' as_nobody bash -c 'echo job >"$Q/msg"'
	ipcrm -Q "${Q##*/}"
	kill_daemon
}

@test "with -o namespaces each message comes back where it was; an ended namespace has no helper" {
	local who
	serve
	three_containers
	for who in "${THREE[@]}"; do
		for KIND in posix sysv; do
			queue_name "$KIND"
			enter "$who" sh -c 'mkdir "$Q" && echo "$1" >"$Q/lines"' sh "$who"
			background enter "$who" bash -c 'exec 9<>"$Q/lease"; cat <&9; sleep 1000'
			wait_until 'enter '"$who"' grep -qx leased=1 "$Q/status"'
		done
	done
	# one for the POSIX queues, and one for each namespace with System V leases
	equals "$(helper | wc -l)" 4
	end_container second
	vanishes "${INUM[second]}"
	equals "$(helper | wc -l)" 3
	kill_daemon
	for who in first third; do
		wait_until '[ "$(enter '"$who"' mqtool -n sysv '"$NAME"' receive 2>&1)" != EAGAIN ]'
	done
	no_helper
}

@test "with -o namespaces an orderly end, too, waits for room in a full queue" {
	serve
	container first
	KIND=sysv
	queue_name "$KIND"
	enter first sh -c 'mkdir "$Q"; echo job >"$Q/lines"'
	background enter first bash -c 'exec 9<>"$Q/lease"; cat <&9; sleep 1000'
	wait_until 'enter first grep -qx leased=1 "$Q/status"'
	enter first sh -c 'echo 4 >"$Q/qbytes"; echo full | head -c 4 >"$Q/packets"'
	kill "$JOB"
	stop_mount
	equals "$(helper | wc -l)" 1
	equals "$(enter first mqtool -n sysv "$NAME" receive)" full
	wait_until '[ "$(enter first mqtool -n sysv "$NAME" receive 2>/dev/null)" = job ]'
	no_helper
}
