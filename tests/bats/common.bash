# SPDX-License-Identifier: MIT
# What the suites share. Every test has a daemon of its own, and an IPC namespace that tests/isolate
# made for its suite; teardown asserts that the daemon exits 0 and that no sanitizer complained.
# shellcheck shell=bash disable=SC2034,SC2154

SHELLS=(bash dash 'busybox sh')
# Where that is not what it is about (tests/run, of worlds), one of them, and fewer of what there are many of.
SHORT=${IPCFS_TEST_SHORT:-0}
[ "$SHORT" = 0 ] || SHELLS=(dash)
USERS=(0 1234)
KINDS=(posix sysv)
PEER=1234 # an ordinary user; no account is needed

# Sanitized builds are slower: what is a matter of seconds gets this many times more.
SLOW=${IPCFS_TEST_SLOW:-1}

in_user_namespace() {
	[ "$IPCFS_TEST_WORLD" = userns ]
}

# In a mount of a user namespace the kernel checks the shown modes as well: docs/security.md lists what that refuses.
kernel_checks() {
	in_user_namespace
}

# make_device FILE MAJOR MINOR SAME: nobody makes one in a user namespace, but SAME can be mounted there.
make_device() {
	if in_user_namespace; then
		fails 'not permitted' mknod "$1" c "$2" "$3"
		: >"$1"
		mount --bind "$4" "$1"
	else
		mknod -m 666 "$1" c "$2" "$3"
	fi
}

# Put before every script: helpers in plain POSIX shell.
# (coreutils' head complains that it can not seek back on what is no pipe, though it has nothing to put back.)
PRELUDE='
head() { command head "$@" 2>/dev/null; }
field() { sed -n "s/^$1=//p" "${2-$Q}/status"; }
messages() { field messages "$@"; }
until_true() { n=0; until eval "$1"; do n=$((n + 1)); [ $n -lt 500 ] || { echo "never: $1"; exit 1; }; sleep 0.02; done; }
fill() { for size in 1000 100 10 1; do
	while repeat f $size | /bin/dd of="$Q/packets" oflag=nonblock bs=8192 iflag=fullblock status=none 2>/dev/null; do :; done; done; }
repeat() { head -c "$2" /dev/zero | tr "\0" "$1"; }
'

setup() {
	common_setup
	start_mount
}

teardown() {
	common_teardown
}

common_setup() {
	MNT=$BATS_TEST_TMPDIR/mnt LOG=$BATS_TEST_TMPDIR/log
	DAEMON='' Q=''
	JOBS=()
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR" 2>/dev/null
	chmod 1777 "$BATS_TEST_TMPDIR"
	mkdir "$MNT" "$BATS_TEST_TMPDIR/reports" "$BATS_TEST_TMPDIR/bin"
	chmod 1777 "$BATS_TEST_TMPDIR/reports"
	# Ordinary users may not be able to reach the build directory.
	cp "$PEERS/mqtool" "$PEERS/coherence" "$IPCFS" "$BATS_TEST_TMPDIR/bin/"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH
	local log=log_path=$BATS_TEST_TMPDIR/reports/sanitizer
	export ASAN_OPTIONS="$log:exitcode=99:${ASAN_OPTIONS-}"
	export UBSAN_OPTIONS="$log:print_stacktrace=1:halt_on_error=1:exitcode=99:${UBSAN_OPTIONS-}"
	export TSAN_OPTIONS="$log:exitcode=99:${TSAN_OPTIONS-}"
	export MNT PRELUDE
}

common_teardown() {
	local job status=0
	for job in "${JOBS[@]}"; do
		kill -KILL "$job" 2>/dev/null && wait "$job" 2>/dev/null
	done
	[ -z "$DAEMON" ] || stop_mount || status=1
	# Whatever else a test has mounted and left when it failed.
	while umount -l "$MNT" 2>/dev/null; do :; done
	for job in $(pgrep -x ipcfs); do
		kill -KILL "$job"
	done
	remove_queues
	cat "$BATS_TEST_TMPDIR"/reports/* 2>/dev/null && status=1
	[ "$status" = 0 ] || cat "$LOG"
	return "$status"
}

# As in a new IPC namespace.
remove_queues() {
	local view=$BATS_TEST_TMPDIR/mqueue
	local name
	for name in kernel/msgmax=8192 kernel/msgmnb=16384 kernel/msgmni=32000 fs/mqueue/queues_max=256 \
		fs/mqueue/msg_max=10 fs/mqueue/msgsize_max=8192; do
		echo "${name#*=}" >"/proc/sys/${name%=*}"
	done
	ipcrm --all=msg
	mkdir -p "$view" && mount -t mqueue mqueue "$view"
	find "$view" -mindepth 1 -delete
	umount "$view"
}

# start_mount [OPTION...]: a daemon in the foreground, so that its exit status can be seen.
start_mount() {
	start_daemon -o allow_other "$@" ipcfs "$MNT"
}

start_daemon() {
	ipcfs -f "$@" >"$LOG" 2>&1 3>&- 4>&- &
	DAEMON=$!
	wait_until 'is_ready || ! running "$DAEMON"'
	running "$DAEMON" || { cat "$LOG"; return 1; }
}

# A daemon answers there: the root's attributes alone may be what a dead one has left in the kernel's cache.
is_ready() {
	mountpoint -q "$MNT" && stat -f "$MNT" >/dev/null 2>&1
}

# Ends the daemon and asserts that it exits 0 in time and leaves no mount.
stop_mount() {
	kill -TERM "$DAEMON"
	daemon_ends || return 1
	! mountpoint -q "$MNT"
}

# daemon_ends [SECONDS]: it does, with status 0.
daemon_ends() {
	local status=0 pid=$DAEMON
	wait_until '! running "$pid"' "${1:-10}" || { show_threads "$pid"; return 1; }
	DAEMON=''
	wait "$pid" || status=$?
	[ "$status" = 0 ] || { echo "the daemon's exit status is $status"; cat "$LOG"; return 1; }
}

running() {
	local state
	state=$(ps -o stat= -p "$1") && [[ $state != Z* ]]
}

show_threads() {
	echo "process $1 does not end"
	timeout 60 gdb -p "$1" -batch -ex 'thread apply all backtrace' 2>&1
}

# wait_until CONDITION [SECONDS]
wait_until() {
	local end=$((${EPOCHREALTIME/./} + ${2:-10} * SLOW * 1000000))
	until eval "$1"; do
		[ "${EPOCHREALTIME/./}" -lt "$end" ] || { echo "never: $1"; return 1; }
		sleep 0.02
	done
}

# within MILLISECONDS COMMAND...: succeeds, and that soon.
within() {
	local limit=$(($1 * SLOW)) start=${EPOCHREALTIME/./} took result=0
	shift
	"$@" || result=$?
	took=$(((${EPOCHREALTIME/./} - start) / 1000))
	[ "$took" -le "$limit" ] || { echo "took $took ms: $*"; return 1; }
	return "$result"
}

# as_user UID[:GID[:GROUP,...]] COMMAND...
as_user() {
	local uid gid groups
	IFS=: read -r uid gid groups <<<"$1"
	shift
	if [ -n "$groups" ]; then
		${EXEC-} setpriv --reuid "$uid" --regid "${gid:-$uid}" --groups "$groups" -- "$@"
	else
		${EXEC-} setpriv --reuid "$uid" --regid "${gid:-$uid}" --clear-groups -- "$@"
	fi
}

# Root as containers have it: uid 0 and no more rights than anybody.
as_weak_root() {
	setpriv --inh-caps -all --bounding-set -all -- "$@"
}

# background COMMAND...: its process id in $JOB; killed by teardown.
background() {
	EXEC=exec "$@" 3>&- 4>&- &
	JOB=$!
	JOBS+=("$JOB")
}

# The same, its output in $OUT.
background_output() {
	OUT=$BATS_TEST_TMPDIR/out.${#JOBS[@]}
	EXEC=exec "$@" >"$OUT" 2>&1 3>&- 4>&- &
	JOB=$!
	JOBS+=("$JOB")
}

# The number of processes whose request the daemon has not answered.
parked() {
	# The stack is for the machine's root alone.
	grep -l -s -E 'request_wait_answer|fuse_dev_do_poll_wait' /proc/[0-9]*/task/*/"${PARKED_IN:-stack}" | wc -l
}

# wait_parked N: N processes wait, and go on waiting.
wait_parked() {
	wait_until "[ \$(parked) -ge $1 ]"
	sleep 0.05
	[ "$(parked)" -ge "$1" ]
}

ended() {
	! running "$1"
}

# queue_name KIND: a name that was not used yet, in $NAME, and its directory in $Q.
queue_name() {
	QUEUES=$((${QUEUES:-0} + 1))
	if [ "$1" = posix ]; then
		NAME=queue$QUEUES
		Q=$MNT/posix/mq/$NAME
	else
		NAME=$(printf '0x%08x' $((0x5100 + QUEUES)))
		Q=$MNT/sysv/msg/$NAME
	fi
	export Q NAME KIND=$1
}

# new_queue KIND [UID [MKDIR'S OPTIONS...]]
new_queue() {
	local kind=$1 uid=${2:-0}
	shift; shift || :
	queue_name "$kind"
	as_user "$uid" mkdir "$@" "$Q"
}

# Until not one more byte fits.
fill() {
	local size text
	for size in 1000 100 10 1; do
		text=$(head -c "$size" /dev/zero | tr '\0' f)
		while mqtool -n "$KIND" "$NAME" send 1 "$text" 2>/dev/null; do :; done
	done
}

messages() {
	sed -n 's/^messages=//p' "${1-$Q}/status"
}

# script SHELL UID TEXT: run by that shell as that user.
script() {
	# shellcheck disable=SC2086 # a shell may be two words
	as_user "$2" timeout -k 5 $((20 * SLOW)) $1 -c "$PRELUDE$3"
}

# everywhere EXPECTED SCRIPT: with a new queue of each kind, as root and as an ordinary user, in each
# of the shells, the script prints EXPECTED and exits 0.
everywhere() {
	local kind uid shell got
	for kind in "${KINDS[@]}"; do
		for uid in "${USERS[@]}"; do
			for shell in "${SHELLS[@]}"; do
				new_queue "$kind" "$uid"
				got=$(script "$shell" "$uid" "$2" 2>&1; echo "exit $?")
				if [ "$got" != "${1:+$1$'\n'}exit 0" ]; then
					echo "in $shell as $uid with $kind/$NAME:"
					echo "expected: $1"
					echo "got: $got"
					return 1
				fi
				rmdir "$Q"
			done
		done
	done
}

# each_kind FUNCTION [ARGUMENT...]: with a new queue of each kind.
each_kind() {
	local kind
	for kind in "${KINDS[@]}"; do
		new_queue "$kind"
		echo "with $kind/$NAME:"
		# No ||: that would make a failed assertion in the function count for nothing.
		"$@"
		[ ! -d "$Q" ] || rmdir "$Q"
	done
}

# bounded COMMAND...: by time, where it is a program.
bounded() {
	if [ "$(type -t "$1")" = file ]; then
		timeout -k 5 $((20 * SLOW)) "$@"
	else
		"$@"
	fi
}

# fails MESSAGE COMMAND...: not 0, and says so.
fails() {
	local message=$1
	shift
	run bounded "$@"
	if [ "$status" = 0 ] || [ "$status" = 124 ] || [[ $output != *"$message"* ]]; then
		echo "expected '$message' from: $*"
		echo "status $status, output: $output"
		return 1
	fi
}

# equals WHAT EXPECTED
equals() {
	[ "$1" = "$2" ] || { echo "got: $1"; echo "expected: $2"; return 1; }
}
