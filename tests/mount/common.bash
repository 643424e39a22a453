# SPDX-License-Identifier: MIT
# What the suites share. Every test has a daemon of its own, in the IPC namespace that
# tests/env/isolate made for the suite. teardown asserts that the daemon exits 0 and that no
# sanitizer complained.
#
# A process costs some 10 ms here, and this runs for every test in every build: what bash can do
# itself starts none.
# shellcheck shell=bash disable=SC2034,SC2154

SHELLS=(bash dash 'busybox sh')
# With IPCFS_TEST_SHORT (tests/run, in the worlds) one shell, and fewer repetitions.
SHORT=${IPCFS_TEST_SHORT:-0}
[ "$SHORT" = 0 ] || SHELLS=(dash)
KINDS=(posix sysv)
PEER=1234 # an ordinary user; needs no account

# Sanitized builds are slower: limits of time are multiplied by this.
SLOW=${IPCFS_TEST_SLOW:-1}

in_user_namespace() {
	[ "$IPCFS_TEST_WORLD" = userns ]
}

# In a mount of a user namespace the kernel checks the shown modes first: docs/security.md lists
# what that refuses.
kernel_checks() {
	in_user_namespace
}

# Prints 1 where directories that others may write are sticky: see docs/security.md.
sticky() {
	! kernel_checks || echo 1
}

# make_device FILE MAJOR MINOR SAME: makes a device; in a user namespace, where that is impossible,
# mounts SAME there.
make_device() {
	if in_user_namespace; then
		fails 'not permitted' mknod "$1" c "$2" "$3"
		: >"$1"
		mount --bind "$4" "$1"
	else
		mknod -m 666 "$1" c "$2" "$3"
	fi
}

# Put before every script: helpers in plain POSIX shell. (coreutils' head complains that it cannot
# seek back on a file that is no pipe, though it has nothing to put back.)
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

# Ordinary users may be unable to reach the build directory, so the programs are copied.
once_per_file() {
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR" 2>/dev/null
	mkdir "$BATS_FILE_TMPDIR/bin"
	cp "$PEERS/mqtool" "$PEERS/coherence" "$IPCFS" "$BATS_FILE_TMPDIR/bin/"
	mkfifo "$BATS_FILE_TMPDIR/never"
}

# bats notes each command that begins, to say later which one failed. That is a third of the time of all
# suites; when one fails is soon enough.
note_failure() {
	bats_error_trap # it takes the status
	bats_capture_stack_trace
}

common_setup() {
	trap - DEBUG
	trap note_failure ERR
	MNT=$BATS_TEST_TMPDIR/mnt LOG=$BATS_TEST_TMPDIR/log
	DAEMON='' Q=''
	JOBS=()
	[ -p "$BATS_FILE_TMPDIR/never" ] || once_per_file
	remember
	mkdir "$MNT" "$BATS_TEST_TMPDIR"/{bin,mqueue,reports}
	chmod 1777 "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR/reports"
	ln "$BATS_FILE_TMPDIR"/bin/* "$BATS_TEST_TMPDIR/bin/"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH
	local log=log_path=$BATS_TEST_TMPDIR/reports/sanitizer
	export ASAN_OPTIONS="$log:exitcode=99:${ASAN_OPTIONS-}"
	export UBSAN_OPTIONS="$log:print_stacktrace=1:halt_on_error=1:exitcode=99:${UBSAN_OPTIONS-}"
	# A daemon that does not end in 0.8 s ends with its threads; the suite leaks counts threads.
	export TSAN_OPTIONS="$log:exitcode=99:report_thread_leaks=0:${TSAN_OPTIONS-}"
	export MNT PRELUDE
}

# Does all of it, wherever the test ended, so that the next test begins clean.
common_teardown() {
	local job status=0
	# Nobody who waits for a daemon that is stopped can be killed.
	[ -z "$DAEMON" ] || kill -CONT "$DAEMON"
	for job in "${JOBS[@]}"; do
		kill -KILL "$job" 2>/dev/null || continue
		wait "$job" 2>/dev/null
	done
	[ -z "$DAEMON" ] || stop_mount || status=1
	end_processes || status=1
	unmount
	remove_objects
	if any_in "$BATS_TEST_TMPDIR/reports"; then
		cat "$BATS_TEST_TMPDIR"/reports/*
		status=1
	fi
	[ "$status" = 0 ] || cat "$LOG"
	return "$status"
}

LIMITS=(kernel/{msgmax,msgmnb,msgmni,sem,shmmax,shmall,shmmni} fs/mqueue/{queues_max,msg_max,msgsize_max})

# any_in DIRECTORY: something is in it.
any_in() {
	compgen -G "$1/*" >/dev/null || compgen -G "$1/.[!.]*" >/dev/null
}

# What teardown leaves unchanged.
remember() {
	local name value processes=(/proc/[0-9]*)
	PROCESSES=" ${processes[*]#/proc/} "
	MOUNTS=' '
	while read -r value _; do
		MOUNTS+="$value "
	done </proc/self/mountinfo
	VALUES=()
	for name in "${LIMITS[@]}"; do
		read -r value <"/proc/sys/$name"
		VALUES+=("$value")
	done
}

# Sets BEGUN to the ids of the processes that this test has started.
find_begun() {
	local process pid line
	BEGUN=()
	for process in /proc/[0-9]*; do
		pid=${process#/proc/}
		[[ $PROCESSES != *" $pid "* && $pid != "$$" && $pid != "$BASHPID" ]] || continue
		# A process that has ended has no command line.
		line=''
		read -r -d '' line 2>/dev/null <"$process/cmdline"
		[ -z "$line" ] || BEGUN+=("$pid")
	done
}

none_begun() {
	find_begun
	[ ${#BEGUN[@]} = 0 ]
}

# A test that succeeded must leave no process, except processes that end by themselves.
end_processes() {
	local pid status=0
	[ -z "${BATS_TEST_COMPLETED-}" ] || wait_until none_begun 5 || status=1
	find_begun
	for pid in "${BEGUN[@]}"; do
		[ "$status" = 0 ] || ps -o pid=,args= -p "$pid"
		kill -KILL "$pid" 2>/dev/null
	done
	return "$status"
}

# Unmounts what this test has mounted, the last mount first.
unmount() {
	local id target i targets=()
	while read -r id _ _ _ target _; do
		[[ $MOUNTS == *" $id "* ]] || targets+=("$target")
	done </proc/self/mountinfo
	for ((i = ${#targets[@]} - 1; i >= 0; i--)); do
		printf -v target %b "${targets[i]}"
		umount -l "$target" 2>/dev/null
	done
}

# Tells whether there is a System V object.
any_sysv() {
	local table lines
	for table in /proc/sysvipc/*; do
		mapfile -t lines <"$table"
		[ ${#lines[@]} = 1 ] || return 0 # the first line names the columns
	done
	return 1
}

# Makes everything as in a new IPC namespace. /dev/shm and the state directory are the suite's own;
# see isolate.
remove_objects() {
	local view=$BATS_TEST_TMPDIR/mqueue i
	for i in "${!LIMITS[@]}"; do
		echo "${VALUES[i]}" >"/proc/sys/${LIMITS[i]}"
	done
	if any_sysv; then
		ipcrm --all
	fi
	if any_in /dev/shm || any_in /run/ipcfs-state; then
		find /dev/shm /run/ipcfs-state -mindepth 1 -delete
	fi
	mount -t mqueue mqueue "$view"
	if any_in "$view"; then
		find "$view" -mindepth 1 -delete
	fi
	umount "$view"
}

# start_mount [OPTION...]: starts a daemon in the foreground, so that its exit status can be seen.
start_mount() {
	start_daemon -o allow_other "$@" ipcfs "$MNT"
}

# blind_mount [OPTION...]: a daemon in the background that sees no process of its callers, mounted on
# $MNT, which it sets. `end_blind_mount` ends it.
blind_mount() {
	local place=$BATS_TEST_TMPDIR/place
	mkdir "$place"
	mount --bind "$place" "$place"
	mount --make-shared "$place"
	mkdir "$place/mnt"
	MNT=$place/mnt
	background unshare --mount --propagation unchanged --pid --fork --kill-child sh -c \
		'mount -t proc proc /proc; exec ipcfs -f "$@" ipcfs "$MNT"' sh "$@"
	BLIND=$JOB
	wait_until is_ready
}

end_blind_mount() {
	umount "$MNT"
	wait_until 'ended "$BLIND"'
	wait "$BLIND" # with status 0
	umount "${MNT%/mnt}"
}

start_daemon() {
	ipcfs -f "$@" >"$LOG" 2>&1 3>&- 4>&- &
	DAEMON=$!
	wait_until 'is_mounted && is_ready || ! running "$DAEMON"' || return 1
	running "$DAEMON" || { cat "$LOG"; return 1; }
}

# is_mounted: something is mounted on $MNT, as the kernel says without asking the daemon.
is_mounted() {
	local target
	while read -r _ _ _ _ target _; do
		[ "$target" != "$MNT" ] || return 0
	done </proc/self/mountinfo
	return 1
}

# Asks the daemon: the root's attributes alone may come from the kernel's cache, left by a dead
# daemon. The type tells the mount from the directory below it, which is seen between a stale mount
# and the new one.
is_ready() {
	[ "$(stat -f -c %t "$MNT" 2>/dev/null)" = 65735546 ] # FUSE_SUPER_MAGIC
}

# Ends the daemon and asserts that it exits 0 in time and leaves no mount.
stop_mount() {
	kill -TERM "$DAEMON"
	daemon_ends || return 1
	! is_mounted
}

# daemon_ends [SECONDS]: asserts that it ends, with status 0.
daemon_ends() {
	local status=0 pid=$DAEMON
	wait_until '! running "$pid"' "${1:-20}" || { show_threads "$pid"; return 1; }
	DAEMON=''
	wait "$pid" || status=$?
	[ "$status" = 0 ] || { echo "the daemon's exit status is $status"; cat "$LOG"; return 1; }
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

# in_state PID STATES: the process is there, in one of these states of ps(1).
in_state() {
	local stat=''
	read -rd '' stat 2>/dev/null <"/proc/$1/stat" || : # or it has ended
	# The name, in parentheses, may have anything in it; the state comes behind.
	stat=${stat##*) }
	[[ -n $stat && $2 == *"${stat:0:1}"* ]]
}

running() {
	in_state "$1" RSDTtI
}

show_threads() {
	echo "process $1 does not end"
	timeout 60 gdb -p "$1" -batch -ex 'thread apply all backtrace' 2>&1
}

# wait_until CONDITION [SECONDS]
wait_until() {
	local end=$((${EPOCHREALTIME/./} + ${2:-10} * SLOW * 1000000)) ms=10
	until eval "$1"; do
		[ "${EPOCHREALTIME/./}" -lt "$end" ] || { echo "never: $1"; return 1; }
		pause "0.0$ms"
		ms=$((ms < 60 ? ms * 3 / 2 : 90)) # a condition may cost more than the wait for it
	done
}

# pause SECONDS: sleeps, without a process of its own.
pause() {
	read -rt "$1" <>"$BATS_FILE_TMPDIR/never" || :
}

# meanwhile SECONDS: what must not happen has time to. That nothing was done is no condition that
# could be waited for.
meanwhile() {
	local i
	for ((i = 0; i < SLOW; i++)); do
		sleep "$1" # as the caller says
	done
}

# within MILLISECONDS COMMAND...: asserts that it succeeds within that time; on a busy machine, where its
# processes alone may take a second, within three times of it.
within() {
	local limit=$(($1 * 3 * SLOW)) start=${EPOCHREALTIME/./} took result=0
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

# Runs as uid 0 without capabilities.
as_weak_root() {
	setpriv --inh-caps -all --bounding-set -all -- "$@"
}

# background COMMAND...: sets $JOB to its process id; teardown kills it.
background() {
	EXEC=exec "$@" 3>&- 4>&- &
	JOB=$!
	JOBS+=("$JOB")
}

# The same, with its output in $OUT.
background_output() {
	OUT=$BATS_TEST_TMPDIR/out.${#JOBS[@]}
	EXEC=exec "$@" >"$OUT" 2>&1 3>&- 4>&- &
	JOB=$!
	JOBS+=("$JOB")
}

# Prints the number of processes whose request the daemon has not answered.
parked() {
	# Only the machine's root can read the stack.
	grep -l -s -E 'request_wait_answer|fuse_dev_do_poll_wait' /proc/[0-9]*/task/*/"${PARKED_IN:-stack}" | wc -l
}

# wait_parked N: asserts that N processes wait, and go on waiting: one whose request is answered at
# once is seen the first time only.
wait_parked() {
	wait_until "[ \$(parked) -ge $1 ] && pause 0.05 && [ \$(parked) -ge $1 ]"
}

ended() {
	! running "$1"
}

# queue_name FAMILY: sets $NAME to an unused name, and $Q to its directory.
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
	shift $(($# > 1 ? 2 : 1))
	queue_name "$kind"
	made_by "$uid" "$@" "$Q"
}

# made_by UID [OPTION...] DIRECTORY: mkdir(1). Where root has no CAP_SYS_RESOURCE, the kernel counts
# root's POSIX queues in all suites that run, and those that are gone until it frees them: some nine
# may be there. So one that has no room now is tried again.
made_by() {
	local uid=$1 said=$BATS_TEST_TMPDIR/mkdir.said tries
	shift
	for ((tries = 0; tries < 400; tries++)); do
		if as_user "$uid" mkdir "$@" 2>"$said"; then
			return
		fi
		if ! grep -q 'No space left' "$said"; then
			break
		fi
		pause 0.05
	done
	cat "$said"
	return 1
}

# Fills the queue until not one more byte fits.
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

# script SHELL UID TEXT: runs it in that shell as that user.
script() {
	# shellcheck disable=SC2086 # a shell may be two words
	as_user "$2" timeout -k 5 $((20 * SLOW)) $1 -c "$PRELUDE$3"
}

# Families, users and shells: every two of them meet.
PAIRS=(posix:0:bash sysv:1234:bash posix:1234:dash sysv:0:dash 'posix:0:busybox sh' 'sysv:1234:busybox sh')
[ "$SHORT" = 0 ] || PAIRS=(posix:0:dash posix:1234:dash sysv:0:dash sysv:1234:dash)

# everywhere EXPECTED SCRIPT: asserts that the script prints EXPECTED and exits 0, with a new queue
# of each family, as root and as an ordinary user, in each of the shells.
everywhere() {
	local pair kind uid shell got
	for pair in "${PAIRS[@]}"; do
		IFS=: read -r kind uid shell <<<"$pair"
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
}

# each_kind FUNCTION [ARGUMENT...]: runs it with a new queue of each family.
each_kind() {
	local kind
	for kind in "${KINDS[@]}"; do
		new_queue "$kind"
		echo "with $kind/$NAME:"
		# No ||: a failed assertion in the function would then count for nothing.
		"$@"
		[ ! -d "$Q" ] || rmdir "$Q"
	done
}

# in_group COMMAND...: runs timeout(1), which makes a process group; `group` has its number.
in_group() (
	echo "$BASHPID" >"$BATS_TEST_TMPDIR/group"
	exec "$@"
)

# bounded COMMAND...: runs it, with a limit of time if it is a program. What a program that failed has
# left in its process group ends: `run` would wait for it.
bounded() {
	local group status=0
	if [ "$(type -t "$1")" != file ]; then
		"$@"
		return
	fi
	in_group timeout -k 5 $((20 * SLOW)) "$@" || status=$?
	if [ "$status" != 0 ] && read -r group <"$BATS_TEST_TMPDIR/group"; then
		kill -KILL -- "-$group" 2>/dev/null || :
	fi
	return "$status"
}

# fails MESSAGE COMMAND...: asserts that it fails, and prints MESSAGE.
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

# not COMMAND...: asserts that its status is 1, as of a command that looked and found nothing.
not() {
	local status=0
	"$@" || status=$?
	[ "$status" = 1 ] || { echo "status $status: $*"; return 1; }
}

# silent COMMAND...: asserts that it succeeds, and prints nothing.
silent() {
	run bounded "$@"
	equals "$status $output" '0 '
}

# equals WHAT EXPECTED
equals() {
	[ "$1" = "$2" ] || { echo "got: $1"; echo "expected: $2"; return 1; }
}
