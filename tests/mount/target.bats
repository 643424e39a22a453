# SPDX-License-Identifier: MIT
# -o target=PID: a mount on the host shows what a process in a container has.
# shellcheck shell=bash disable=SC2010,SC2016,SC2030,SC2031,SC2034,SC2153,SC2154
load common

OWNER=1234 # owner of the container with a user namespace

setup() {
	common_setup
	cp "$PEERS/semtool" "$BATS_TEST_TMPDIR/bin/"
}

# container [-u] [SCRIPT]: makes a container whose process is $INSIDE, with -u in a user namespace.
# SCRIPT is run in it first.
container() {
	local user=() script='mount -t tmpfs -o mode=1777 tmpfs /dev/shm'
	CONTAINERS=$((${CONTAINERS:-0} + 1))
	READY=$BATS_TEST_TMPDIR/ready.$CONTAINERS
	ENTER=()
	if [ "${1-}" = -u ]; then
		user=(as_user "$OWNER")
		ENTER=(--user --preserve-credentials)
		set -- "${@:2}"
	fi
	background "${user[@]}" unshare ${user[0]:+--user --map-root-user} --ipc --mount --pid --fork \
		--kill-child sh -c "${1-$script}; touch $READY; exec sleep 1000"
	HOLDER=$JOB
	wait_until '[ -e "$READY" ] || ! running "$HOLDER"'
	INSIDE=$(pgrep -P "$HOLDER")
}

# inside COMMAND...: runs it in the container, as its root.
inside() {
	if [ "${#ENTER[@]}" != 0 ]; then
		as_user "$OWNER" nsenter --target "$INSIDE" --ipc --mount "${ENTER[@]}" -- "$@"
	else
		${EXEC-} nsenter --target "$INSIDE" --ipc --mount -- "$@"
	fi
}

end_container() {
	kill -KILL "$INSIDE"
	wait "$HOLDER" || :
}

show_target() {
	start_mount -o "target=$INSIDE" "$@"
}

not_mounted() {
	[ -z "$(findmnt -no TARGET "$MNT")" ]
}

# Prints the names of all objects.
listed() {
	(cd "$MNT" && shopt -s nullglob && printf '%s\n' {posix,sysv}/{mq,msg,shm,sem}/* | xargs)
}

# make_one_of_each TEXT VALUE: makes an object of each class, with equal names wherever it is run.
make_one_of_each() {
	"${@:3}" sh -ec "mqtool posix jobs make 0666; mqtool posix jobs send 1 $1
		mqtool sysv 0x51 make 0666 >/dev/null; mqtool sysv 0x51 send 1 $1
		printf $1 >/dev/shm/seg
		perl -e 'print pack(\"VVVVx16\", $2, 0, 128, 0)' >/dev/shm/sem.lock
		semtool sysv 0x52 make 1; semtool sysv 0x52 set 0 $2
		echo $((4000 + $2)) >/proc/sys/kernel/msgmax"
}

no_segments() {
	equals "$(ls -A "$MNT/posix/shm" "$MNT/posix/sem" | grep -v : | xargs)" ''
	fails 'No such file' mkdir "$MNT/posix/shm/new"
	fails 'No such file' mkdir "$MNT/posix/sem/new"
	fails 'No such file' cat "$MNT/posix/shm/passwd/data"
	grep -q 'without a /dev/shm that could be shown' "$LOG"
	# Everything else exists.
	mkdir "$MNT/sysv/msg/0x77"
	inside mqtool sysv 0x77 count
}

@test "the mount shows the container's objects, and nothing of the host under the same names" {
	container
	make_one_of_each host 5
	mqtool posix onlyhost make
	mqtool sysv 0x99 make
	echo >/dev/shm/onlyhost
	make_one_of_each inside 7 inside
	show_target
	equals "$(listed)" 'posix/mq/jobs posix/shm/seg posix/sem/lock sysv/msg/0x00000051 sysv/sem/0x00000052'
	equals "$(cat "$MNT/posix/mq/jobs/msg" "$MNT/sysv/msg/0x51/msg" "$MNT/posix/shm/seg/data")" \
		insideinsideinside
	equals "$(cat "$MNT/posix/sem/lock/value" "$MNT/sysv/sem/0x52/0/value" "$MNT/limits/msgmax" | xargs)" '7 7 4007'
	equals "$(mqtool posix jobs count) $(mqtool sysv 0x51 count)" '1 1'
	equals "$(cat /proc/sys/kernel/msgmax)" 4005
}

@test "messages, memory and values pass between the mount and the container" {
	container
	show_target
	mkdir "$MNT/posix/mq/jobs" "$MNT/sysv/msg/0x51" "$MNT/posix/sem/lock" "$MNT/sysv/sem/0x52"
	echo "posix/shm/seg size=5" >"$MNT/create"
	echo "sysv/shm/0x53 size=4096" >"$MNT/create"
	# Out and in, with a waiting reader.
	background_output inside mqtool posix jobs receive
	echo down >"$MNT/posix/mq/jobs/msg"
	wait_until 'grep -q down "$OUT"'
	background_output cat "$MNT/posix/mq/jobs/msg"
	wait_parked 1
	inside mqtool posix jobs send 1 up
	wait_until 'grep -q up "$OUT"'
	background_output inside mqtool sysv 0x51 receive
	echo down >"$MNT/sysv/msg/0x51/msg"
	wait_until 'grep -q down "$OUT"'
	background_output cat "$MNT/sysv/msg/0x51/msg"
	wait_parked 1
	inside mqtool sysv 0x51 send 1 up
	wait_until 'grep -q up "$OUT"'
	# Memory and semaphores.
	printf hello >"$MNT/posix/shm/seg/data"
	equals "$(inside cat /dev/shm/seg)" hello
	inside sh -c 'printf HELLO >/dev/shm/seg'
	equals "$(cat "$MNT/posix/shm/seg/data")" HELLO
	equals "$(inside ipcs -m | grep -c 0x00000053)" 1
	{
		equals "$(inside semtool posix lock get) $(inside semtool sysv 0x52 get 0)" '0 0'
	} 8>"$MNT/posix/sem/lock/hold" 9>"$MNT/sysv/sem/0x52/0/hold"
	wait_until '[ "$(inside semtool posix lock get) $(inside semtool sysv 0x52 get 0)" = "1 1" ]'
	echo 4321 >"$MNT/limits/msgmax"
	equals "$(inside cat /proc/sys/kernel/msgmax)" 4321
	# The host has nothing of it.
	equals "$(ls -A /dev/shm)$(ipcs | grep -c 0x)" 0
	fails ENOENT mqtool posix jobs count
	rmdir "$MNT"/posix/*/* "$MNT"/sysv/msg/* "$MNT"/sysv/shm/* "$MNT"/sysv/sem/*
	equals "$(inside sh -c 'ls -A /dev/shm; ipcs | grep -c 0x')" 0
}

@test "the log names the target, and the mount table the source" {
	container
	show_target -o ro
	grep -q "target: process $INSIDE, IPC namespace $(stat -Lc %i "/proc/$INSIDE/ns/ipc")\$" "$LOG"
	equals "$(findmnt -no SOURCE,FSTYPE "$MNT" | xargs)" 'ipcfs fuse.ipcfs'
	fails 'Read-only' mkdir "$MNT/posix/mq/new"
	stop_mount
	start_daemon -o "target=$INSIDE" database "$MNT"
	equals "$(findmnt -no SOURCE "$MNT")" database
}

@test "the daemon ends in order, and soon, when the process ends" {
	container
	show_target
	mkdir "$MNT/posix/mq/jobs" "$MNT/sysv/msg/0x51" "$MNT/posix/sem/lock"
	background_output cat "$MNT/posix/mq/jobs/msg"
	local readers=("$JOB") outs=("$OUT")
	background_output cat "$MNT/sysv/msg/0x51/msg"
	readers+=("$JOB") outs+=("$OUT")
	background sleep 1000 9>"$MNT/posix/sem/lock/hold"
	wait_parked 2
	end_container
	within 1000 daemon_ends
	not_mounted
	grep -q 'the target process has ended' "$LOG"
	wait_until 'ended "${readers[0]}" && ended "${readers[1]}"'
	grep -q 'not connected\|connection abort' "${outs[0]}"
	grep -q 'not connected\|connection abort' "${outs[1]}"
}

@test "in the background, too" {
	container
	ipcfs -o "target=$INSIDE" "$MNT" 3>&- 4>&-
	mkdir "$MNT/posix/mq/jobs"
	inside mqtool posix jobs count
	local daemon
	daemon=$(pgrep -x ipcfs)
	end_container
	wait_until '! running "$daemon"' 1
	not_mounted
}

@test "SIGTERM and umount end the daemon, and leave the process alone" {
	container
	show_target
	stop_mount
	show_target
	umount "$MNT"
	daemon_ends
	running "$INSIDE"
}

@test "another process with the number of the one that ended is not taken for it" {
	container
	show_target
	inside mqtool posix jobs make
	kill -STOP "$DAEMON"
	local was=$INSIDE again='' tries=0
	end_container
	until [ "$again" = "$was" ]; do
		[ $((tries++)) -lt 100 ]
		echo $((was - 1)) >/proc/sys/kernel/ns_last_pid
		sleep 1000 3>&- 4>&- &
		again=$!
		JOBS+=("$again")
	done
	echo $((was + 5000)) >/proc/sys/kernel/ns_last_pid # away from the daemon's number
	kill -CONT "$DAEMON"
	within 1000 daemon_ends
	running "$was"
}

@test "a /dev/shm that leads elsewhere reaches nothing" {
	local script place closed=$BATS_TEST_TMPDIR/closed root=$BATS_TEST_TMPDIR/root
	local open=$BATS_TEST_TMPDIR/open other=$BATS_TEST_TMPDIR/other
	mkdir "$closed" "$root" "$open" "$other"
	mount -t tmpfs -o mode=700 tmpfs "$closed" # the files in it are open to all
	mount -t tmpfs -o mode=755 tmpfs "$root"   # as /run
	mount -t tmpfs -o mode=1777 tmpfs "$open"
	mount -t ramfs -o mode=1777 ramfs "$other"
	for place in "$closed" "$root" "$open" "$other"; do
		cp /etc/passwd "$place/passwd"
	done
	# This is not the real /etc: a wrong build would write there.
	for script in "mount -t tmpfs tmpfs /dev; ln -s $other /dev/shm" \
		"mount -t tmpfs tmpfs /dev; ln -s . /dev/dev; ln -s /proc/1/root$other /dev/shm" \
		"mount -t tmpfs tmpfs /dev; ln -s $open /dev/shm" \
		"mount --rbind $other /dev/shm" \
		'mount -t tmpfs tmpfs /dev; echo >/dev/shm' \
		'mount -t tmpfs tmpfs /dev' \
		"mount --bind $closed /dev/shm" \
		"mount --bind $root /dev/shm" \
		"mount --bind $other /dev/shm"; do
		echo "with: $script"
		container -u "$script"
		show_target
		no_segments
		end_container
		daemon_ends
	done
	umount "$closed" "$root" "$open" "$other"
}

@test "a later mount over /dev/shm is not followed" {
	local other=$BATS_TEST_TMPDIR/other
	mkdir "$other"
	mount -t ramfs -o mode=1777 ramfs "$other"
	cp /etc/passwd "$other/passwd"
	container 'mount -t tmpfs -o mode=1777 tmpfs /dev/shm; echo true >/dev/shm/seg'
	show_target
	inside sh -c "mount -t tmpfs -o mode=1777 tmpfs /dev/shm; echo false >/dev/shm/seg; mount --rbind $other /dev/shm"
	equals "$(ls "$MNT/posix/shm")" seg
	equals "$(cat "$MNT/posix/shm/seg/data")" true
	fails 'No such file' cat "$MNT/posix/shm/passwd/data"
	end_container
	daemon_ends
	umount "$other"
}

@test "a /dev/shm that belongs to the sandbox's own user is shown if all may see it" {
	container -u 'mount -t tmpfs -o mode=755 tmpfs /dev; mkdir /dev/shm; echo 1 >/dev/shm/seg'
	show_target
	equals "$(ls "$MNT/posix/shm")" seg
	end_container
	daemon_ends
	container -u 'mount -t tmpfs -o mode=755 tmpfs /dev; mkdir -m 700 /dev/shm; echo 1 >/dev/shm/seg'
	show_target
	no_segments
}

# with_ids CALL: a container whose process, once root, has made this call, with a /dev/shm of uid 1235.
with_ids() {
	local ready=$BATS_TEST_TMPDIR/ready.$((${CONTAINERS:-0} + 1))
	container "mount -t tmpfs -o mode=755,uid=1235 tmpfs /dev/shm; echo 1 >/dev/shm/seg
		exec /usr/bin/python3 -c 'import os, time; os.$1; open(\"$ready\", \"w\"); time.sleep(1000)'"
	show_target
}

@test "the sandbox's own user is its effective one" {
	with_ids 'seteuid(1235)'
	equals "$(ls "$MNT/posix/shm")" seg
	end_container
	daemon_ends
	with_ids 'setreuid(1235, 0)'
	no_segments
}

@test "the host's own /dev/shm, bound into the container, is shown as it is" {
	container 'true'
	echo both >/dev/shm/seg
	show_target
	equals "$(cat "$MNT/posix/shm/seg/data")" both
	mkdir "$MNT/posix/shm/made"
	[ -f /dev/shm/made ]
}

@test "a user namespace: the host's ids are shown, and count" {
	container -u
	inside sh -c 'mqtool posix jobs make 0600; mqtool sysv 0x51 make 0600; echo hi >/dev/shm/seg; chmod 600 /dev/shm/seg'
	show_target
	equals "$(stat -c %u "$MNT"/posix/*/* "$MNT"/sysv/msg/* | xargs)" "$OWNER $OWNER $OWNER"
	# Root, the container's owner, and another user.
	echo root >"$MNT/posix/mq/jobs/msg"
	as_user "$OWNER" sh -c 'echo owner >"$MNT/sysv/msg/0x51/msg"'
	equals "$(inside mqtool posix jobs receive) $(inside mqtool sysv 0x51 receive)" 'root owner'
	local object
	for object in posix/mq/jobs/msg sysv/msg/0x51/msg posix/shm/seg/data; do
		fails 'Permission denied' as_user 4321 sh -c "echo >$MNT/$object"
	done
	fails 'Operation not permitted' as_user 4321 rmdir "$MNT/posix/mq/jobs"
	fails 'Operation not permitted' as_user 4321 chmod 666 "$MNT/sysv/msg/0x51"
	chmod 640 "$MNT/posix/mq/jobs" "$MNT/sysv/msg/0x51" "$MNT/posix/shm/seg"
	equals "$(inside mqtool posix jobs mode) $(inside mqtool sysv 0x51 mode | cut -d' ' -f1)" '0640 0 0 0640'
	equals "$(inside stat -c %a /dev/shm/seg)" 640
	rmdir "$MNT"/posix/mq/jobs "$MNT"/sysv/msg/* "$MNT"/posix/shm/seg
	equals "$(inside sh -c 'ls /dev/shm; ipcs | grep -c 0x')" 0
}

@test "a user namespace: a caller without an id there cannot make POSIX objects, as by the direct call" {
	container -u
	show_target
	as_user "$OWNER" mkdir "$MNT/posix/mq/mine" "$MNT/posix/shm/mine" "$MNT/posix/sem/mine" "$MNT/sysv/msg/0x51"
	equals "$(inside mqtool posix mine mode)" '0600 0 0'
	equals "$(inside stat -c '%a %u' /dev/shm/mine /dev/shm/sem.mine | xargs)" '600 0 600 0'
	equals "$(inside mqtool sysv 0x51 mode)" '0600 0 0 0 0'
	fails EOVERFLOW nsenter --target "$INSIDE" --ipc mqtool posix direct make
	fails 'Value too large' mkdir "$MNT/posix/mq/root"
	fails 'Value too large' mkdir "$MNT/posix/shm/root"
	fails 'Value too large' mkdir "$MNT/posix/sem/root"
	equals "$(inside ls -A /dev/shm | xargs)" 'mine sem.mine'
	# The kernel does not check that for System V objects.
	mkdir "$MNT/sysv/msg/0x52"
	equals "$(inside mqtool sysv 0x52 mode)" '0600 65534 65534 65534 65534'
	# Nor may the host's root write these.
	fails 'Permission denied' nsenter --target "$INSIDE" --ipc sh -c 'echo 4321 >/proc/sys/kernel/msgmax'
	fails 'Permission denied' bash -c "echo 4321 >$MNT/limits/msgmax"
}

@test "access control lists are those of the container's namespace" {
	container
	local other=$BATS_TEST_TMPDIR/host daemon
	mqtool sysv 0x51 make 0600
	inside mqtool sysv 0x51 make 0600
	mkdir "$other"
	ipcfs -o allow_other "$other" 3>&- 4>&-
	show_target
	# Both are kept at once, each by itself.
	setfacl -m u:5432:rw "$MNT/sysv/msg/0x51"
	setfacl -m u:6543:rw "$other/sysv/msg/0x51"
	equals "$(getfacl -pc "$MNT/sysv/msg/0x51" | grep '^user:[0-9]')" user:5432:rwx
	equals "$(getfacl -pc "$other/sysv/msg/0x51" | grep '^user:[0-9]')" user:6543:rwx
	stop_mount
	show_target
	equals "$(getfacl -pc "$MNT/sysv/msg/0x51" | grep '^user:[0-9]')" user:5432:rwx
	daemon=$(pgrep -x ipcfs | grep -vx "$DAEMON")
	umount "$other"
	wait_until '! running "$daemon"'
}

@test "two containers with equal names have a mount each" {
	container
	make_one_of_each first 1 inside
	show_target
	local first=$DAEMON first_mount=$MNT
	container
	make_one_of_each second 2 inside
	MNT=$BATS_TEST_TMPDIR/second
	mkdir "$MNT"
	show_target
	equals "$(cat "$first_mount/posix/mq/jobs/msg" "$MNT/posix/mq/jobs/msg")" firstsecond
	equals "$(cat "$first_mount/posix/shm/seg/data" "$MNT/posix/shm/seg/data")" firstsecond
	equals "$(cat "$first_mount/sysv/sem/0x52/0/value" "$MNT/sysv/sem/0x52/0/value" | xargs)" '1 2'
	stop_mount
	MNT=$first_mount DAEMON=$first
}

@test "with the /proc of another pid namespace no mount starts, as callers have other numbers there" {
	local option
	# The leak checker looks for the process in /proc, too.
	local -x ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0"
	for option in allow_other target=1 namespaces; do
		run timeout $((20 * SLOW)) unshare --pid --fork --kill-child sh -c 'ipcfs -f -o "$1" "$2"; echo "status $?"' - "$option" "$MNT"
		echo "$output"
		[[ $output == *'/proc of this mount namespace does not show the processes of this pid namespace'* ]]
		[[ $output == *'status 2' ]]
		equals "$status" 0
	done
	not_mounted
}

@test "a target that is no process id is wrong usage" {
	local value
	for value in 0 -1 '' x 5x 0x10 ' 5' 5.0 05 99999999999 18446744073709551617; do
		run ipcfs -o "target=$value" "$MNT"
		echo "$value: $output"
		[ "$status" = 1 ]
		[[ $output == *"target=$value: a process id is wanted"* ]]
	done
	not_mounted
}

# refused MESSAGE COMMAND...
refused() {
	local message=$1
	shift
	run "$@"
	echo "$output"
	[ "$status" = 2 ]
	[[ $output == *"$message"* ]]
	not_mounted
}

@test "a target that cannot be shown is an error, with status 2" {
	refused 'target=4194303: there is no such process' ipcfs -o target=4194303 "$MNT"
	background_output python3 -c 'import os, time
zombie = os.fork()
if zombie == 0:
    os._exit(0)
os.waitid(os.P_PID, zombie, os.WEXITED | os.WNOWAIT)
print(zombie, flush=True)
time.sleep(1000)'
	wait_until '[ -s "$OUT" ]'
	refused "has ended" ipcfs -o "target=$(cat "$OUT")" "$MNT"
	background_output python3 -c 'import threading, time
thread = threading.Thread(target=time.sleep, args=(1000,))
thread.start()
print(thread.native_id, flush=True)'
	wait_until '[ -s "$OUT" ]'
	refused 'not the main thread of a process' ipcfs -o "target=$(cat "$OUT")" "$MNT"
}

@test "without the privilege to join, the message says what is needed" {
	container
	local own=$BATS_TEST_TMPDIR/own
	refused CAP_SYS_ADMIN as_weak_root ipcfs -o "target=$INSIDE" "$MNT"
	as_user "$PEER" mkdir "$own"
	refused CAP_SYS_ADMIN as_user "$PEER" ipcfs -o "target=$INSIDE" "$own"
	# The owner of the user namespace has it only there.
	end_container
	container -u
	refused CAP_SYS_ADMIN as_user "$OWNER" ipcfs -o "target=$INSIDE" "$own"
}

@test "the owner of a user namespace can use the mount inside it" {
	container -u
	inside mqtool posix jobs make
	inside sh -c 'echo seen >/dev/shm/seg'
	as_user "$OWNER" mkdir "$BATS_TEST_TMPDIR/own"
	as_user "$OWNER" nsenter --target "$INSIDE" --user --preserve-credentials unshare --mount sh -ec \
		'ipcfs -o "target=$0" "$1" 3>&- 4>&-; ls "$1/posix/mq"; cat "$1/posix/shm/seg/data"; umount "$1"' \
		"$INSIDE" "$BATS_TEST_TMPDIR/own" >"$BATS_TEST_TMPDIR/seen"
	equals "$(xargs <"$BATS_TEST_TMPDIR/seen")" 'jobs seen'
	wait_until '! pgrep -x ipcfs'
}
