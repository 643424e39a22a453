# SPDX-License-Identifier: MIT
# -o namespaces while containers start and end: nothing stays, is kept or is stuck.
# shellcheck shell=bash disable=SC2010,SC2011,SC2012,SC2016,SC2030,SC2031,SC2034,SC2153,SC2154
load common
load namespaces

# Prints the daemon's threads and descriptors in an IPC namespace, or in a file system of this
# device.
kept() {
	local number=$1 device=${2-} task file
	for task in /proc/"$DAEMON"/task/*; do
		[ "$(stat -Lc %i "$task/ns/ipc" 2>/dev/null)" != "$number" ] || echo "thread $task"
	done
	for file in /proc/"$DAEMON"/fd/*; do
		[ "$(readlink "$file")" != "ipc:[$number]" ] || echo "$file"
		[ -z "$device" ] || [ "$(stat -Lc %d "$file" 2>/dev/null)" != "$device" ] || echo "$file $(readlink "$file")"
	done
	# also its children
	for task in $(pgrep -P "$DAEMON"); do
		[ "$(stat -Lc %i "/proc/$task/ns/ipc" 2>/dev/null)" != "$number" ] || echo "process $task"
	done
}

# The number behind "held".
field2() {
	awk '/^held/ { print $2 }' "$1"
}

is_not_kept() {
	wait_until '[ -z "$(kept '"$*"')" ]' 2 || { kept "$@"; return 1; }
}

# Makes a namespace that was used in every way; sets $NUMBER, and $DEVICE of its /dev/shm.
used() {
	container "$@"
	local name=${!#} at
	at=$(view "$name")
	NUMBER=${INUM[$name]}
	DEVICE=$(enter "$name" stat -c %d /dev/shm)
	inside "$name" sh -c "$MAKE" sh bytes 1
	ls -lR "$at" >/dev/null
	cat "$at"/*/*/*/status >/dev/null
	enter "$name" setfacl -m u:1000:rw "$MNT/sysv/msg/0x51" "$MNT/posix/shm/seg"
}

@test "a namespace that ends is gone, with all its files and readers" {
	local at option fd file more locked
	serve
	for option in '' -u; do
		# shellcheck disable=SC2086 # an option, or none
		used $option "name$option"
		at=$(view "name$option")
		inside "name$option" sh -c 'cd "$MNT"; cat */m*/*/drain >/dev/null'
		local jobs=() outs=()
		for file in posix/mq/jobs/msg sysv/msg/0x51/msg posix/mq/jobs/lines sysv/msg/0x51/lines; do
			background_output cat "$at/$file"
			jobs+=("$JOB") outs+=("$OUT")
		done
		wait_parked 4
		exec 5<"$at/posix/mq/jobs/packets" 6<"$at/posix/shm/seg/data" 7<"$at/sysv/msg/0x51/status" \
			8>"$at/posix/sem/lock/hold" 9>"$at/sysv/sem/0x52/0/hold" {more}<"$at/sysv/sem/0x52/values"
		background_output bash -c 'echo >"$1/sysv/sem/0x52/0/wait"' sh "$at"
		jobs+=("$JOB") outs+=("$OUT")
		background_output bash -c 'echo >"$1/posix/sem/lock/wait"' sh "$at"
		jobs+=("$JOB") outs+=("$OUT")
		wait_parked 6
		inside "name$option" sh -c 'echo "sysv/shm/0x00000077 size=1" >"$MNT/create"'
		exec {locked}<"$at/sysv/shm/0x00000077/data"
		flock "$locked"
		background_output flock "$at/sysv/shm/0x00000077/data" echo "locked"
		jobs+=("$JOB") outs+=("$OUT")
		wait_parked 7
		end_container "name$option"
		vanishes "$NUMBER"
		equals "$(ls "$MNT/ns")" "$HOST"
		for JOB in "${jobs[@]}"; do
			wait_until 'ended "$JOB"' 2
		done
		for OUT in "${outs[@]}"; do
			grep -q 'Identifier removed' "$OUT" || { echo "$OUT: $(cat "$OUT")"; return 1; }
		done
		for file in '' posix/mq posix/mq/jobs/msg limits/msgmax create; do
			refused ENOENT cat "$at/$file"
		done
		refused ENOENT mkdir "$at/posix/mq/new"
		# Each open file by itself: an error, or end of file.
		for fd in 5 7 "$more"; do
			run timeout 10 dd bs=8192 count=1 status=none <&"$fd"
			[ "$status" != 124 ]
			[ -z "$output" ] || [[ $output == *'Identifier removed'* ]]
		done
		exec 5>&- 6>&- 7>&- 8>&- 9>&- {more}>&- {locked}>&-
		is_not_kept "$NUMBER" "$DEVICE"
	done
}

@test "a namespace is not kept alive by open files" {
	serve
	used one
	local at more
	at=$(view one)
	exec 5<"$at/posix/mq/jobs/packets" 6<"$at/posix/shm/seg/data" 7<"$at/sysv/msg/0x51/packets" \
		8>"$at/posix/sem/lock/hold" 9>"$at/sysv/sem/0x52/0/hold" {more}<"$at/posix/mq"
	end_container one
	vanishes "$NUMBER"
	# Open memory may live on; the namespace may not.
	is_not_kept "$NUMBER"
	exec 5>&- 6>&- 7>&- 8>&- 9>&- {more}>&-
	is_not_kept "$NUMBER" "$DEVICE"
}

descriptors() {
	ls "/proc/$DAEMON/fd" | wc -l
}

@test "a directory of a namespace that has ended, in which a process works, has and takes no objects" {
	local class
	serve
	for class in sysv/msg sysv/sem posix/mq; do
		used "in-${class#*/}"
		cd "$(view "in-${class#*/}")/$class"
		end_container "in-${class#*/}"
		vanishes "$NUMBER"
		fails 'No such file' mkdir 0x77
		fails 'No such file' ls 0x51
		cd /
	done
}

@test "readers of events: each has those of its namespace, learns of its end, and keeps it not" {
	local ends NUMBER end
	serve
	container one
	container two
	end=$(view one) NUMBER=${INUM[one]}
	background_output cat "$(view two)/events"
	local stays=$OUT
	background_output cat "$end/events"
	ends=$OUT
	wait_until 'grep -q sync "'"$stays"'" && grep -q sync "'"$ends"'"'
	inside one sh -c 'mkdir "$MNT/sysv/msg/0x51" "$MNT/posix/shm/seg"'
	inside two sh -c 'mkdir "$MNT/sysv/msg/0x52" "$MNT/posix/shm/other"'
	wait_until 'grep -q "created.*seg" "'"$ends"'" && grep -q "created.*other" "'"$stays"'"'
	not grep 'other\|0x00000052' "$ends"
	not grep 'seg\|0x00000051' "$stays"
	inside one sh -c 'rmdir "$MNT/sysv/msg/0x51" "$MNT/posix/shm/seg"'
	wait_until 'grep -q "removed.*seg" "'"$ends"'"'
	end_container one
	vanishes "$NUMBER"
	wait_until 'ended "$JOB"'
	grep -q 'Identifier removed' "$ends"
	is_not_kept "$NUMBER"
	inside two rmdir "$MNT/posix/shm/other"
	wait_until 'grep -q "removed.*other" "'"$stays"'"'
}

@test "readers of events: eight namespaces are followed, others sampled, until one is free" {
	local i outs=() jobs=()
	serve
	for i in {1..9}; do
		container "n$i"
		background_output cat "$(view "n$i")/events"
		outs+=("$OUT") jobs+=("$JOB")
		wait_until 'grep -q sync "$OUT"'
	done
	equals "$(grep -l sampled "${outs[@]}")" "${outs[8]}"
	inside n9 sh -c 'echo >/dev/shm/seen'
	wait_until 'grep -q "created.*seen" "'"${outs[8]}"'"'
	kill -TERM "${jobs[0]}"
	wait_until 'ended "'"${jobs[0]}"'"'
	wait_until '! head -n 1 "$(view n1)/events" | grep -q sampled'
}

@test "what was in use when a namespace ended is freed when it is closed" {
	serve
	ls "$MNT/ns" >/dev/null
	local at go=$BATS_TEST_TMPDIR/go before
	before=$(descriptors)
	used one
	at=$(view one)
	inside one sh -c 'echo bytes >"$MNT/sysv/msg/0x51/msg"'
	mkfifo "$go"
	# Only held, which the daemon is not told: each name of each sort, and other spellings.
	background_output python3 -c '
import os, sys
held = []
def hold(path):
    held.append(os.open(path, os.O_PATH | os.O_NOFOLLOW))
for top, directories, files in os.walk(sys.argv[1]):
    for name in directories + files + ["."]:
        hold(os.path.join(top, name))
for name in ["msg/0x51", "msg/0X0051", "msg/0x51/type/5", "msg/0x51/type/5/lines", "msg/0x51/type/-7/msg"]:
    hold(sys.argv[1] + "/sysv/" + name)
hold(sys.argv[1] + "/posix/mq/jobs/prio/9/packets")
print("held", len(held), flush=True)
open(sys.argv[2]).read()' "$at" "$go"
	wait_until 'grep -q held "$OUT"'
	[ "$(field2 "$OUT")" -gt 80 ]
	end_container one
	vanishes "$NUMBER"
	meanwhile 1 # the daemon tries while everything is held
	echo >"$go"
	wait_until 'ended "$JOB"'
	wait_until '[ "$(descriptors)" -le '"$before"' ]' 20
}

@test "users with many /dev/shm get no more than their share" {
	serve
	ls "$MNT/ns" >/dev/null
	local before go=$BATS_TEST_TMPDIR/go
	before=$(descriptors)
	mkfifo "$go"
	background_output as_user "$OWNER" unshare --user --map-root-user --mount python3 -c '
import ctypes, os, sys
libc = ctypes.CDLL(None)
held, seen = [], 0
for i in range(100):
    libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, b"mode=1777")
    open("/dev/shm/mine", "w").close()
    held.append(os.open(os.environ["MNT"] + "/self/posix/shm", os.O_PATH))
    seen += "mine" in os.listdir(os.environ["MNT"] + "/posix/shm")
print("held", seen, flush=True)
open(sys.argv[1]).read()' "$go"
	wait_until 'grep -q held "$OUT"' 20
	equals "$(field2 "$OUT")" 32
	[ "$(descriptors)" -le $((before + 40)) ]
	# No other user loses anything.
	mkdir "$MNT/posix/shm/theirs"
	[ -f /dev/shm/theirs ]
	echo >"$go"
	wait_until 'ended "$JOB"'
	wait_until '[ "$(descriptors)" -le '$((before + 1))' ]' 20
}

@test "a namespace whose first process ends stays while others live" {
	serve
	container -s one 'mount -t tmpfs -o mode=1777 tmpfs /dev/shm; { sleep 1000 & }'
	local at other=''
	at=$(view one)
	other=$(pgrep -P "${HOLDER[one]}")
	JOBS+=("$other")
	# The youngest one was taken for it.
	PID[one]=$other
	inside one sh -c "$MAKE" sh bytes 1
	background_output cat "$at/posix/mq/jobs/lines"
	kill -KILL "${HOLDER[one]}"
	wait "${HOLDER[one]}" || :
	meanwhile 0.3
	equals "$(listed "$at")" "$ONE_OF_EACH"
	equals "$(cat "$at/posix/shm/seg/data")" bytes
	inside one sh -c 'echo more >"$MNT/posix/mq/jobs/msg"; mkdir "$MNT/posix/shm/later" "$MNT/sysv/msg/0x99"'
	wait_until 'grep -q more "$OUT"'
	meanwhile 0.7
	equals "$(ls "$at/posix/shm" | xargs)" 'later seg'
	kill -KILL "$other"
	vanishes "${INUM[one]}"
	wait_until 'ended "$JOB"' 2
	is_not_kept "${INUM[one]}"
}

@test "a namespace that is kept without a process is not shown until a process enters it" {
	serve
	local place=$BATS_TEST_TMPDIR/ns at
	used one
	at=$(view one)
	: >"$place"
	mount --bind "/proc/${PID[one]}/ns/ipc" "$place"
	end_container one
	vanishes "$NUMBER"
	equals "$(ls "$MNT/ns")" "$HOST"
	is_not_kept "$NUMBER" "$DEVICE"
	equals "$(stat -Lc %i "$place")" "$NUMBER"
	background nsenter --ipc="$place" sleep 1000
	wait_until '[ -d "'"$at"'" ]' 2
	equals "$(cat "$at/sysv/msg/0x51/msg")" bytes
	equals "$(nsenter --ipc="$place" readlink "$MNT/self")" "ns/$NUMBER"
	kill -KILL "$JOB"
	vanishes "$NUMBER"
	umount "$place"
}

@test "a process that leaves counts as one that has ended" {
	serve
	# Its last process joins the daemon's namespace.
	background_output python3 -c 'import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
own = os.open("/proc/self/ns/ipc", os.O_RDONLY)
assert libc.unshare(0x08000000) == 0
print(os.stat("/proc/self/ns/ipc").st_ino, flush=True)
os.mkdir(os.environ["MNT"] + "/posix/mq/jobs")
fd = os.open(os.environ["MNT"] + "/posix/mq/jobs/packets", os.O_RDONLY | os.O_NONBLOCK)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.02)
assert libc.setns(own, 0x08000000) == 0
print(os.readlink(os.environ["MNT"] + "/self"), flush=True)
time.sleep(1000)' "$BATS_TEST_TMPDIR/leave"
	wait_until '[ -s "$OUT" ]'
	local number
	number=$(head -n 1 "$OUT")
	wait_until '[ -d "$MNT/ns/'"$number"'/posix/mq/jobs" ]'
	: >"$BATS_TEST_TMPDIR/leave"
	vanishes "$number"
	is_not_kept "$number"
	equals "$(tail -n 1 "$OUT")" "ns/$HOST"
}

@test "a user namespace that may have three IPC namespaces has three again and again" {
	serve
	container -u outer
	enter outer sh -c 'echo 3 >/proc/sys/user/max_ipc_namespaces'
	# It has one itself, in the namespace around; two lives at a time are more than may be kept.
	enter outer bash -ec '
		for i in {1..12}; do
			n=0
			until unshare --ipc --mount sh -ec "mount -t tmpfs -o mode=1777 tmpfs /dev/shm
				cd \"\$MNT\"; mkdir posix/mq/jobs posix/shm/seg posix/sem/lock sysv/msg/0x51 sysv/sem/0x52
				echo >sysv/msg/0x51/msg; exec 8>posix/sem/lock/hold 9>sysv/sem/0x52/0/hold; ls -lR self/ >/dev/null" 2>"$1"; do
				# The kernel frees them a little later.
				grep -q "No space left" "$1" || { cat "$1"; exit 1; }
				n=$((n + 1))
				[ $n -lt 100 ] || { echo "never again"; exit 1; }
				sleep 0.05
			done
		done' sh "$BATS_TEST_TMPDIR/errors"
	wait_until '[ "$(ls "$MNT/ns" | wc -l)" = 2 ]' 2
}

descriptors() {
	ls "/proc/$DAEMON/fd" | wc -l
}

# Descriptors, threads and kilobytes.
size_of_daemon() {
	echo "$(descriptors) $(ls "/proc/$DAEMON/task" | wc -l)" \
		"$(awk '/^VmRSS/ {print $2}' "/proc/$DAEMON/status")"
}

@test "many lives leave the daemon unchanged" {
	local lives=${IPCFS_TEST_LIVES:-160} idle before size
	[ "$SLOW" = 1 ] || lives=60
	serve
	ls "$MNT/ns"
	idle=$(descriptors)
	lives "$MNT" $((lives / 2))
	# The last ones are let go after a moment.
	wait_until '[ "$(descriptors)" -le '$((idle + 4))' ]' 20
	# shellcheck disable=SC2207 # words are wanted
	before=($(size_of_daemon))
	lives "$MNT" $((lives / 2))
	wait_until '[ "$(descriptors)" -le '$((before[0] + 1))' ]' 20
	wait_until '[ "$(ls "/proc/$DAEMON/task" | wc -l)" -le '$((before[1] + 4))' ]' 5
	echo "descriptors, threads, KiB: from ${before[*]} to $(size_of_daemon)"
	# More session threads than usual end after a second. A sanitizer keeps freed memory.
	[ "$SLOW" != 1 ] ||
		wait_until 'size=($(size_of_daemon)); [ "${size[2]}" -le '$((before[2] + 256 + lives / 50))' ]' 5
}

@test "containers that come and go while all is listed" {
	local i jobs=() outs=() count=40 errors
	[ "$SLOW" = 1 ] || count=15
	serve
	for i in 1 2; do
		background_output bash -c 'while [ ! -e "$1" ]; do ls -lR "$MNT"; done 2>&1 >/dev/null | sed "s/.*: //" | sort | uniq -c' \
			sh "$BATS_TEST_TMPDIR/stop"
		jobs+=("$JOB") outs+=("$OUT")
	done
	background_output as_user "$PEER" bash -c 'while [ ! -e "$1" ]; do cat "$MNT"/ns/*/*/*/*/status; done 2>&1 >/dev/null |
		sed "s/.*: //" | sort | uniq -c' sh "$BATS_TEST_TMPDIR/stop"
	jobs+=("$JOB") outs+=("$OUT")
	background_output bash -c 'while [ ! -e "$1" ]; do cat "$MNT"/ns/*/*/*/*/status; done 2>&1 >/dev/null |
		sed "s/.*: //" | sort | uniq -c' sh "$BATS_TEST_TMPDIR/stop"
	jobs+=("$JOB") outs+=("$OUT")
	background_output lives "$MNT" "$count"
	i=$JOB errors=$OUT
	lives "$MNT" "$count"
	wait "$i" || { cat "$errors"; return 1; }
	: >"$BATS_TEST_TMPDIR/stop"
	for i in "${jobs[@]}"; do
		within 5000 wait_until '! running '"$i"
	done
	for i in "${outs[@]}"; do
		equals "$(grep -v -E 'No such file or directory|Identifier removed|Permission denied' "$i")" ''
	done
	# No caller that was root is refused.
	equals "$(grep -h 'Permission denied' "${outs[0]}" "${outs[1]}" "${outs[3]}")" ''
	wait_until '[ "$(ls "$MNT/ns")" = "$HOST" ]' 3
	stop_mount
}

@test "a namespace that ends in the middle of a request: the request is answered" {
	local i at
	serve
	for i in 1 2 3 4 5 6; do
		container "c$i"
		at=$(view "c$i")
		background_output bash -c 'cd "$1" || exit; while mkdir sysv/msg/0x51 && echo x >sysv/msg/0x51/msg && cat sysv/msg/0x51/msg &&
			mkdir posix/mq/a && rmdir posix/mq/a && mkdir posix/sem/a && echo >posix/sem/a/wait && rmdir posix/sem/a &&
			setfacl -m u:1:r sysv/msg/0x51 && rmdir sysv/msg/0x00000051; do echo round; done' sh "$at"
		wait_until 'grep -q round "$OUT"' || { cat "$OUT"; return 1; }
		sleep "0.0$((i * 7))" # each time at another moment
		end_container "c$i"
		within 5000 wait_until 'ended "$JOB"' 5
		grep -E -q 'No such file or directory|Identifier removed' "$OUT" || { tail -n 3 "$OUT"; return 1; }
		vanishes "${INUM[c$i]}"
		is_not_kept "${INUM[c$i]}"
	done
}
