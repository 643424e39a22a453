# SPDX-License-Identifier: MIT
# ipcfs --upgrade: the mount goes on with another program, and nobody gets an error.
# shellcheck shell=bash disable=SC2154,SC2016,SC2030,SC2031
load common
load semaphore
load supervise

setup() {
	common_setup
	PROGRAM=$BATS_TEST_TMPDIR/bin/ipcfs
	ASK=$BATS_TEST_TMPDIR/bin/ask # the command, while PROGRAM is something else
	ln "$BATS_FILE_TMPDIR/bin/ipcfs" "$ASK"
	cp --remove-destination "$ASK" "$PROGRAM" # the file has other names
	cp "$PEERS/semtool" "$BATS_TEST_TMPDIR/bin/"
}

# another FROM TO: installs, by rename(2), a program in which this text is another one of the same length.
another() {
	LC_ALL=C sed "s#$1#$2#g" "$BATS_FILE_TMPDIR/bin/ipcfs" >"$PROGRAM.new"
	not cmp -s "$PROGRAM.new" "$BATS_FILE_TMPDIR/bin/ipcfs"
	chmod 755 "$PROGRAM.new"
	mv "$PROGRAM.new" "$PROGRAM"
}

# version X: installs a program that calls itself X.2.0.
version() {
	another '\x000\.2\.0\x00' "\x00$1.2.0\x00"
}

# script TEXT: installs a shell script.
script() {
	printf '#!/bin/sh\n%s\n' "$1" >"$PROGRAM.new"
	chmod 755 "$PROGRAM.new"
	mv "$PROGRAM.new" "$PROGRAM"
}

# serves X: a program that calls itself X.2.0 does.
serves() {
	grep -q "^ipcfs_build_info{version=\"$1.2.0\"} 1\$" "$MNT/metrics"
}

# upgrades X: to a program that calls itself X.2.0.
upgrades() {
	equals "$("$ASK" --upgrade "$MNT")" "$MNT: served by ipcfs $1.2.0, $PROGRAM"
	serves "$1"
}

# refused REASON: nothing changes, and the command says why.
refused() {
	local old
	old=$(worker)
	fails "$1" "$ASK" --upgrade "$MNT"
	[[ $output == *"nothing has changed"* ]]
	equals "$(worker)" "$old"
	serves 0
}

@test "another program serves the mount, in the same process, again and again" {
	local i old
	start_mount -o supervise
	new_queue posix
	exec 8<>"$Q/lines"
	cd "$Q"
	for i in 1 2 3 4 5; do
		old=$(worker)
		version "$i"
		upgrades "$i"
		[ "$(worker)" != "$old" ]
		echo "$i" >&8
		equals "$(cat msg)" "$i"
	done
	cd /
	exec 8>&-
	# It is replaced as before when it is killed, and ends as before.
	kill_worker
	serves 5
	umount "$MNT"
	daemon_ends
}

@test "the program may be copied to its place in any way" {
	start_mount -o supervise
	version 1
	upgrades 1
	cp --remove-destination "$BATS_FILE_TMPDIR/bin/ipcfs" "$PROGRAM"
	upgrades 0
	LC_ALL=C sed 's#\x000\.2\.0\x00#\x002.2.0\x00#g' "$PROGRAM" >"$BATS_TEST_TMPDIR/other"
	# Linux keeps a file that is executed from being written, in most versions. Where it does not,
	# the processes that run are harmed, whoever does that.
	if (exec 9<>"$PROGRAM") 2>/dev/null; then
		equals 'the kernel allows it' 'the kernel allows it'
	else
		fails 'Text file busy' cp "$BATS_TEST_TMPDIR/other" "$PROGRAM"
	fi
	mv "$BATS_TEST_TMPDIR/other" "$PROGRAM"
	chmod 755 "$PROGRAM"
	upgrades 2
}

@test "those who wait, and what is half read, go on" {
	local out=() kind
	start_mount -o supervise
	version 1
	for kind in posix sysv; do
		new_queue "$kind"
		background_output cat "$Q/msg"
		out+=("$OUT" "$Q")
	done
	mkdir "$MNT/posix/sem/one"
	echo 0 >"$MNT/posix/sem/one/value"
	background sh -c 'echo >"$MNT/posix/sem/one/wait"'
	new_queue sysv
	echo 'half of it' >"$Q/lines"
	exec 7<"$Q/msg"
	equals "$(dd bs=5 count=1 status=none <&7)" 'half '
	wait_parked 3
	background_output python3 -c '
import os, select, sys
file = os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK)
poll = select.poll()
poll.register(file, select.POLLIN)
print("polls", flush=True)
text = None
while text is None:
    assert poll.poll() == [(file, select.POLLIN)]
    try:
        text = os.read(file, 100)
    except BlockingIOError:
        pass  # it went to the reader that came before
print(text.decode(), end="")' "${out[1]}/lines"
	wait_until '[ "$(cat "$OUT")" = polls ] && in_state "$JOB" S'
	upgrades 1
	wait_parked 3
	equals "$(cat <&7)" 'of it'
	exec 7<&-
	echo >"$MNT/posix/sem/one/post"
	echo sysv >"${out[3]}/lines"
	wait_until '[ "$(cat "'"${out[2]}"'")" = sysv ]'
	printf 'first\n' >"${out[1]}/lines"
	printf 'second\n' >"${out[1]}/lines"
	wait_until '[ "$(cat "'"${out[0]}"'")" = first ]'
	wait_until '[ "$(cat "$OUT")" = "polls
second" ]'
}

holds() {
	local before keeper
	echo 3 >"$S/value"
	exec 7>"$S/hold" 8>"$S/tryhold" 9>"$S/hold"
	before=$(grep '^holder_\|^generation' "$O/status")
	keeper=$(pgrep -x ipcfs-holds)
	for _ in 1 2; do
		upgrades 1
		equals "$(cat "$S/value")" 0
		equals "$(grep '^holder_\|^generation' "$O/status")" "$before"
		equals "$(pgrep -x ipcfs-holds)" "$keeper"
		fails 'temporarily unavailable' sh -c 'exec 6>"$1/tryhold"' sh "$S"
	done
	exec 8>&-
	value_is 1
	upgrades 1
	exec 8>"$S/hold"
	kill_worker
	equals "$(state holders) $(cat "$S/value")" '3 0'
	exec 7>&- 8>&- 9>&-
	value_is 3
	equals "$(state holders)" 0
}

@test "holds go on, and their closes give them back" {
	start_mount -o supervise
	version 1
	each_semaphore holds
}

keeper_dies() {
	local keeper
	echo 2 >"$S/value"
	exec 8>"$S/hold"
	keeper=$(pgrep -x ipcfs-holds)
	upgrades 1
	kill -KILL "$keeper"
	wait_until 'pgrep -x ipcfs-holds | grep -qvx '"$keeper"
	exec 9>"$S/hold"
	upgrades 1
	equals "$(cat "$S/value")" 0
	exec 8>&- 9>&-
	value_is 2
}

@test "holds go on when the process that keeps them was killed, too" {
	start_mount -o supervise
	version 1
	each_semaphore keeper_dies
	equals "$(pgrep -cx ipcfs-holds)" 1
}

leases() {
	local pid
	printf '%s\n' one two three four >"$Q/lines"
	lease 5 one
	lease 6 two
	lease 7 three
	exec 8<>"$Q/lease"
	equals "$(dd bs=2 count=1 status=none <&8)" fo
	pid=$(helper)
	upgrades 1
	leased 4 0
	equals "$(helper)" "$pid"
	equals "$(dd bs=9 count=1 status=none <&8)" ur
	echo "done" >&5
	upgrades 1
	echo again >&6
	leased 2 1
	kill -KILL "$pid"
	wait_until 'helper | grep -qvx '"$pid"
	upgrades 1
	exec 8>&-
	leased 1 2
	equals "$(cat "$Q/drain")" $'two\nfour'
	echo again >&7
	equals "$(cat "$Q/drain")" three
	leased 0 0
	exec 5>&- 6>&- 7>&-
}

@test "leases go on" {
	start_mount -o supervise
	version 1
	each_kind leases
}

@test "what is held and leased goes back at the end that comes after an upgrade" {
	local end
	for end in kill_both stop_mount; do
		start_mount -o supervise
		new_queue posix
		mkdir "$MNT/posix/sem/one" "$MNT/sysv/sem/0x00005156"
		echo 1 | tee "$MNT/posix/sem/one/value" >"$MNT/sysv/sem/0x00005156/0/value"
		exec 8>"$MNT/posix/sem/one/hold" 9>"$MNT/sysv/sem/0x00005156/0/hold"
		echo job >"$Q/lines"
		lease 5 job
		upgrades 0
		"$end"
		exec 5>&- 8>&- 9>&-
		wait_until '! pgrep "^ipcfs-"'
		equals "$(mqtool posix "$NAME" receive)" job
		start_mount -o supervise
		equals "$(cat "$MNT/posix/sem/one/value" "$MNT/sysv/sem/0x00005156/0/value")" $'1\n1'
		rmdir "$MNT/posix/sem/one" "$MNT/sysv/sem/0x00005156" "$Q"
		stop_mount
	done
}

@test "a program that is broken changes nothing" {
	local old
	start_mount -o supervise
	script 'exit 1'
	refused "it can't take over (exit status 1)"
	script 'echo "a library is missing" >&2; exit 127'
	refused "it can't take over: a library is missing"
	script 'kill -SEGV $$'
	refused 'it was ended by signal 11'
	script 'echo ipcfs-state: yes 9; exit 1'
	refused "it can't take over"
	script 'echo ipcfs-state: no; exit 0'
	refused "it can't take over: ipcfs-state: no"
	echo 'no program' >"$PROGRAM.new"
	chmod 755 "$PROGRAM.new"
	mv "$PROGRAM.new" "$PROGRAM"
	refused 'Exec format error'
	chmod 644 "$PROGRAM"
	refused 'Permission denied'
	rm "$PROGRAM"
	refused 'No such file or directory'
	mkdir "$PROGRAM"
	refused 'it is no regular file'
	rmdir "$PROGRAM"
	version 1
	upgrades 1
}

@test "a program that hangs is given up, and the mount is served meanwhile" {
	local start=$EPOCHSECONDS other
	start_mount -o supervise
	script 'sleep 1000 & sleep 1000'
	background_output "$ASK" --upgrade "$MNT"
	wait_until 'pgrep -x sleep >/dev/null'
	other=$OUT
	fails 'another upgrade is under way' "$ASK" --upgrade "$MNT"
	kill_worker
	serves 0
	wait_until 'ended "$JOB"'
	equals "$(cat "$other")" "ipcfs: $MNT: not upgraded: $PROGRAM: it did not answer in time; nothing has changed"
	[ $((EPOCHSECONDS - start)) -ge 5 ]
	wait_until '! pgrep -x sleep'
	serves 0
}

@test "a program with another layout of the state changes nothing" {
	start_mount -o supervise
	another ipcfs-state-1 ipcfs-state-2
	refused 'the state of the mount has another layout'
}

@test "a program that another user can write is not executed" {
	start_mount -o supervise
	chmod 757 "$PROGRAM"
	refused 'others may write it'
	chmod 775 "$PROGRAM"
	refused 'others may write it'
	version 1
	chown 1234 "$PROGRAM"
	refused 'it belongs to another user'
	chown 0 "$PROGRAM"
	upgrades 1
}

@test "when processes of the new program fail, the one before goes on, and no caller gets an error" {
	local i
	background unshare --ipc sleep 1000
	wait_until '[ "$(cat /proc/'"$JOB"'/comm)" = sleep ]'
	start_mount -o supervise,target="$JOB"
	new_queue posix
	exec 8<>"$Q/lines"
	background_output cat "$Q/msg"
	wait_parked 1
	# No worker of it can join the IPC namespace.
	another ns/ipc ns/cpi
	for i in 1 2; do
		fails 'the processes that were to serve have failed; the program before serves the mount again' \
			"$ASK" --upgrade "$MNT"
		serves 0
		wait_parked 1
	done
	version 1
	upgrades 1
	wait_parked 1
	echo hello >&8
	exec 8>&-
	wait_until '[ "$(cat "$OUT")" = hello ]'
}

@test "a worker that does not stop is ended" {
	start_mount -o supervise
	version 1
	kill -STOP "$(worker)"
	within 5000 "$ASK" --upgrade "$MNT"
	serves 1
	kill -TERM "$DAEMON"
	daemon_ends
}

@test "settings are what they were, and SIGHUP reads them as before" {
	local config=$BATS_TEST_TMPDIR/config
	echo 'allow_uid = 0:1234' >"$config"
	chmod 600 "$config"
	start_mount -o supervise,max_waiters=7,config="$config"
	echo 'allow_uid = 0:1235' >"$config"
	upgrades 0
	as_user 1234 ls "$MNT/posix"
	fails 'Permission denied' as_user 1235 ls "$MNT/posix"
	kill -HUP "$DAEMON"
	wait_until 'grep -q "was read again" "$LOG"'
	fails 'Permission denied' as_user 1234 ls "$MNT/posix"
	as_user 1235 ls "$MNT/posix"
	echo 'allow_uid = 0:1236' >"$config"
	upgrades 0
	kill_worker
	as_user 1235 ls "$MNT/posix"
	fails 'Permission denied' as_user 1236 ls "$MNT/posix"
	# A file that can't be read now is no reason to refuse.
	rm "$config"
	upgrades 0
	as_user 1235 ls "$MNT/posix"
}

@test "another mount at the same path is left alone" {
	local first second other=$BATS_TEST_TMPDIR/other
	mkdir "$other"
	start_mount -o supervise
	first=$DAEMON
	mount --bind "$MNT" "$other"
	umount -l "$MNT"
	start_mount -o supervise
	second=$DAEMON
	version 1
	"$ASK" --upgrade "$other"
	serves 0
	grep -q 'version="1.2.0"' "$other/metrics"
	umount "$other"
	DAEMON=$first
	daemon_ends
	DAEMON=$second
	upgrades 1
	stop_mount
}

@test "options go on: a target, audit, the source, read-only" {
	background unshare --ipc sh -c 'ipcmk -Q -p 600 >/dev/null; exec sleep 1000'
	wait_until '[ "$(cat /proc/'"$JOB"'/comm)" = sleep ]'
	start_mount -o "supervise,ro,audit=$BATS_TEST_TMPDIR/audit,audit_level=all,fsname=a,target=$JOB"
	version 1
	upgrades 1
	equals "$(cat "$MNT/sysv/msg/"*/status | grep -c ^messages=)" 1
	fails 'Read-only' mkdir "$MNT/sysv/msg/0x00005151"
	: >"$BATS_TEST_TMPDIR/audit"
	cat "$MNT/sysv/msg/"*/status >/dev/null
	wait_until '[ -s "$BATS_TEST_TMPDIR/audit" ]'
	kill "$JOB"
	daemon_ends
}

@test "in the background, too" {
	ipcfs -o supervise "$MNT"
	DAEMON=$(pgrep -o -x ipcfs)
	version 1
	cd /
	upgrades 1
	equals "$(pgrep -o -x ipcfs)" "$DAEMON"
	equals "$(readlink "/proc/$DAEMON/fd/1" "/proc/$(worker)/fd/1")" $'/dev/null\n/dev/null'
	upgrades 1
	kill -TERM "$DAEMON"
	wait_until '! pgrep "^ipcfs"'
	DAEMON=''
	not is_mounted
}

@test "descriptors and processes do not add up" {
	local count info processes=$'ipcfs-holds\nipcfs-leases\nipcfs-worker'
	start_mount -o supervise
	upgrades 0
	wait_until 'set -- /proc/$DAEMON/fd/*; [ "$(readlink "$@" | grep -c inotify)" = 1 ]'
	set -- "/proc/$DAEMON/fd/"*
	count=$#
	for _ in 1 2 3; do
		upgrades 0
		wait_until "set -- /proc/\$DAEMON/fd/*; [ \$# -le $count ]"
		equals "$(ps -o comm= --ppid "$DAEMON" | sort)" "$processes"
	done
	# None of them is inherited by what the process executes.
	for info in "/proc/$DAEMON/fdinfo/"*; do
		[ "${info##*/}" -le 2 ] || [ $((0$(sed -n 's/^flags:[^1-9]*//p' "$info") & 02000000)) != 0 ]
	done
}

@test "only root and the user who mounted may ask" {
	start_mount -o supervise
	as_user 1234 ls "$MNT"
	fails 'only root and the user who mounted it may upgrade this mount' as_user 1234 "$ASK" --upgrade "$MNT"
	serves 0
}

@test "an ordinary user upgrades the own mount, and so does root" {
	local run
	if in_user_namespace; then
		fails . as_user 65534 ipcfs -o supervise "$MNT" # set-user-id programs have no effect
		return
	fi
	as_nobody() { setpriv --reuid nobody --regid nogroup --clear-groups env XDG_RUNTIME_DIR="$run" "$@"; }
	run=/run/user/$(id -u nobody)
	mkdir -p "$run"
	chown nobody "$run" "$MNT"
	chmod 700 "$run"
	as_nobody ipcfs -o supervise "$MNT"
	DAEMON=$(pgrep -o -x ipcfs)
	version 1
	equals "$(as_nobody "$ASK" --upgrade "$MNT")" "$MNT: served by ipcfs 1.2.0, $PROGRAM"
	as_nobody grep -q 'version="1.2.0"' "$MNT/metrics"
	version 2
	"$ASK" --upgrade "$MNT"
	as_nobody grep -q 'version="2.2.0"' "$MNT/metrics"
	fails 'only root and the user who mounted it may' as_user 1234 "$ASK" --upgrade "$MNT"
	# It may be a program of the user's, but not of another one's.
	version 3
	chown nobody "$PROGRAM"
	as_nobody "$ASK" --upgrade "$MNT"
	chown 1234 "$PROGRAM"
	fails 'it belongs to another user' as_nobody "$ASK" --upgrade "$MNT"
	as_nobody fusermount3 -u "$MNT"
	wait_until '! pgrep "^ipcfs"'
	DAEMON=''
	rm -r "$run"
}

@test "the command tells what is no mount that can be upgraded" {
	fails 'no ipcfs is mounted there' "$ASK" --upgrade "$MNT"
	fails 'No such file or directory' "$ASK" --upgrade "$MNT/nothing"
	fails 'no mount point given' "$ASK" --upgrade
	fails 'takes nothing but a mount point' "$ASK" --upgrade ipcfs "$MNT"
	start_mount
	fails 'no supervisor of this mount listens' "$ASK" --upgrade "$MNT"
	fails 'no ipcfs is mounted there' "$ASK" --upgrade "$MNT/posix"
	stop_mount
	start_mount -o supervise,auto_unmount
	fails 'auto_unmount' "$ASK" --upgrade "$MNT"
	serves 0
}

@test "a mount of all namespaces is not upgraded" {
	in_user_namespace && return # it has not the capabilities for such a mount
	start_mount -o supervise,namespaces
	fails 'with -o namespaces the requests that are under way would fail' "$ASK" --upgrade "$MNT"
	ls "$MNT/posix"
}

@test "the command does not believe another user who listens" {
	local device
	start_mount
	device=$(mountpoint -d "$MNT")
	chmod 777 /run/ipcfs-state
	background as_user 1234 python3 -c '
import socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(sys.argv[1])
listener.listen()
while True:
    listener.accept()[0].send(b"0served by nobody")' "/run/ipcfs-state/upgrade.$device"
	wait_until '[ -S "/run/ipcfs-state/upgrade.'"$device"'" ]'
	fails 'another user listens in place of the supervisor' "$ASK" --upgrade "$MNT"
	chmod 700 /run/ipcfs-state
}

@test "many upgrades under load: three mounts, clients of all sorts, and nobody gets an error" {
	storm "UPGRADE=$ASK"
}

@test "callers see a pause" {
	start_mount -o supervise
	new_queue posix
	run timeout $((60 * SLOW)) python3 "$BATS_TEST_DIRNAME/upgrade_pause.py" "$MNT" "$Q" "$ASK" "${IPCFS_TEST_UPGRADES:-20}"
	echo "$output"
	equals "$status" 0
}
