# SPDX-License-Identifier: MIT
# -o namespaces: waits and holds, in containers with equal names.
# shellcheck shell=bash disable=SC2010,SC2011,SC2012,SC2016,SC2030,SC2031,SC2034,SC2153,SC2154
load common
load namespaces

# Readers of queues of one name in two containers and on the host, then a message for one of them.
only_one_wakes() {
	local queue=$1 kind=${1%%/*} name=${1##*/} who jobs=() outs=()
	mkdir "$MNT/$queue"
	background_output cat "$MNT/$queue/msg"
	jobs[0]=$JOB outs[0]=$OUT
	for who in 1 2 3; do
		inside "${THREE[who - 1]}" mkdir "$MNT/$queue"
		background_output inside "${THREE[who - 1]}" cat "$MNT/$queue/msg"
		jobs[who]=$JOB outs[who]=$OUT
	done
	wait_parked 4
	inside second mqtool "$kind" "$name" send 1 direct
	wait_until 'ended "${jobs[2]}"' 2
	equals "$(cat "${outs[2]}")" direct
	wait_parked 3
	inside third sh -c 'echo mounted >"$MNT/'"$queue"'/msg"'
	wait_until 'ended "${jobs[3]}"' 2
	equals "$(cat "${outs[3]}")" mounted
	wait_parked 2
	silent cat "${outs[0]}" "${outs[1]}"
	echo host >"$MNT/ns/${INUM[first]}/$queue/msg"
	wait_until 'ended "${jobs[1]}"' 2
	equals "$(cat "${outs[1]}")" host
	wait_parked 1
	echo own >"$MNT/$queue/msg"
	wait_until 'ended "${jobs[0]}"' 2
	equals "$(cat "${outs[0]}")" own
}

@test "a waiting reader is woken only by a message of its own namespace: POSIX" {
	serve
	three_containers
	only_one_wakes posix/mq/jobs
}

@test "a waiting reader is woken only by a message of its own namespace: System V" {
	serve
	three_containers
	only_one_wakes sysv/msg/0x00000051
}

@test "writers that wait for room, likewise" {
	local queue who outs=()
	serve
	container first
	container -u second
	for queue in posix/mq/jobs sysv/msg/0x00000051; do
		for who in first second; do
			inside "$who" sh -c 'mkdir "$1"; while dd if=/dev/zero of="$1/packets" oflag=nonblock bs=8192 count=1 status=none 2>/dev/null; do :; done' \
				sh "$MNT/$queue"
			background_output inside "$who" sh -c 'echo more >"$1/packets"; echo done' sh "$MNT/$queue"
			outs+=("$OUT")
		done
		wait_parked 2
		inside second dd if="$MNT/$queue/packets" of=/dev/null bs=8192 count=2 status=none
		wait_until 'grep -q done "${outs[1]}"' 2
		wait_parked 1
		silent cat "${outs[0]}"
		dd if="$(view first)/$queue/packets" of=/dev/null bs=8192 count=2 status=none
		wait_until 'grep -q done "${outs[0]}"' 2
		outs=()
	done
}

@test "poll reports what arrives in the caller's own namespace" {
	local queue outs=() who
	serve
	container first
	container second
	for queue in posix/mq/jobs sysv/msg/0x00000051; do
		for who in first second; do
			inside "$who" mkdir "$MNT/$queue"
			background_output inside "$who" python3 -c 'import os, select, sys
fd = os.open(sys.argv[1] + "/packets", os.O_RDONLY | os.O_NONBLOCK)
poll = select.poll()
poll.register(fd, select.POLLIN)
print("ready", flush=True)
poll.poll()
print(os.read(fd, 8192))' "$MNT/$queue"
			outs+=("$OUT")
			wait_until 'grep -q ready "$OUT"'
		done
		inside second mqtool "${queue%%/*}" "${queue##*/}" send 1 here
		wait_until 'grep -q here "${outs[1]}"' 2
		meanwhile 0.1
		equals "$(cat "${outs[0]}")" ready
		inside first mqtool "${queue%%/*}" "${queue##*/}" send 1 there
		wait_until 'grep -q there "${outs[0]}"' 2
		outs=()
	done
}

SEMAPHORES=(posix/sem/lock sysv/sem/0x52/0)

semaphores_in() {
	inside "$1" mkdir "$MNT/posix/sem/lock" "$MNT/sysv/sem/0x52"
}

@test "a caller that waits for a semaphore gets that of its own namespace" {
	local semaphore who outs=()
	serve
	three_containers
	for who in "${THREE[@]}"; do
		semaphores_in "$who"
	done
	for semaphore in "${SEMAPHORES[@]}"; do
		for who in "${THREE[@]}"; do
			inside "$who" sh -c 'echo 0 >"$1/value"' sh "$MNT/$semaphore"
			background_output inside "$who" sh -c 'echo >"$1/wait"; echo done' sh "$MNT/$semaphore"
			outs+=("$OUT")
		done
		wait_parked 3
		inside second sh -c 'echo >"$1/post"' sh "$MNT/$semaphore"
		wait_until 'grep -q done "${outs[1]}"' 2
		wait_parked 2
		case $semaphore in
		posix/*) inside third semtool posix lock post ;;
		*) inside third semtool sysv 0x52 op 0:1 ;;
		esac
		wait_until 'grep -q done "${outs[2]}"' 2
		wait_parked 1
		silent cat "${outs[0]}"
		echo >"$(view first)/$semaphore/post"
		wait_until 'grep -q done "${outs[0]}"' 2
		outs=()
	done
}

# hold_in NAME SECONDS: starts a process that holds both; sets $JOB to its number, and $CHILD to
# that of its child in the container.
hold_in() {
	local ready=$BATS_TEST_TMPDIR/held.$1.$RANDOM
	background inside "$1" bash -c 'exec 8>"$MNT/posix/sem/lock/hold" 9>"$MNT/sysv/sem/0x52/0/hold"; : >"$1"; exec sleep 1000' \
		sh "$ready"
	wait_until '[ -e "'"$ready"'" ]'
	CHILD=$(youngest "$JOB")
}

value_is() {
	wait_until '[ "$(values inside '"$1"')" = "'"$2"'" ]'
}

@test "holds belong to one namespace, and are given back when the holder is killed" {
	local who first
	serve
	three_containers
	for who in "${THREE[@]}"; do
		semaphores_in "$who"
		hold_in "$who"
		value_is "$who" '0 0'
		[ "$who" != first ] || first=$CHILD
	done
	kill -KILL "$first"
	value_is first '1 1'
	value_is second '0 0'
	# Setting the value of one semaphore ends no hold of another.
	inside first sh -c 'echo 5 >"$MNT/posix/sem/lock/value"; echo 5 >"$MNT/sysv/sem/0x52/0/value"'
	hold_in first
	value_is first '4 4'
	kill -KILL "$CHILD"
	value_is first '5 5'
	equals "$(values inside second) $(values inside third)" '0 0 0 0'
	equals "$(sed -n 's/^holders=//p' "$(view second)/posix/sem/lock/status" "$(view third)/sysv/sem/0x52/status" | xargs)" '1 1'
	# The host's root may take and give, too.
	exec 8>"$(view first)/posix/sem/lock/hold" 9>"$(view first)/sysv/sem/0x52/0/hold"
	value_is first '4 4'
	exec 8>&- 9>&-
	value_is first '5 5'
}

@test "a daemon that is killed leaves nothing taken, in any namespace" {
	local who
	serve
	three_containers
	mkdir "$MNT/posix/sem/lock" "$MNT/sysv/sem/0x52"
	exec 8>"$MNT/posix/sem/lock/hold" 9>"$MNT/sysv/sem/0x52/0/hold"
	for who in "${THREE[@]}"; do
		semaphores_in "$who"
		hold_in "$who"
		value_is "$who" '0 0'
	done
	kill -KILL "$DAEMON"
	wait "$DAEMON" || :
	DAEMON=''
	for who in "${THREE[@]}"; do
		value_is "$who" '1 1'
	done
	wait_until '[ "$(values)" = "1 1" ]'
	exec 8>&- 9>&-
	umount -l "$MNT"
	wait_until '! pgrep -x ipcfs-holds'
}

@test "the end of the daemon gives everything back once" {
	local who
	serve
	three_containers
	for who in "${THREE[@]}"; do
		semaphores_in "$who"
		hold_in "$who"
	done
	stop_mount
	for who in "${THREE[@]}"; do
		value_is "$who" '1 1'
	done
	wait_until '! pgrep -x ipcfs-holds'
}

@test "SIGTERM ends the daemon at once, with waiting callers in three namespaces" {
	local who queue waiters=() outs=() i
	serve
	three_containers
	for who in "${THREE[@]}"; do
		semaphores_in "$who"
		hold_in "$who"
		for queue in posix/mq/jobs sysv/msg/0x51; do
			inside "$who" mkdir "$MNT/$queue"
			background_output inside "$who" cat "$MNT/$queue/msg"
			waiters+=("$JOB") outs+=("$OUT")
		done
		background_output inside "$who" bash -c 'echo >"$MNT/sysv/sem/0x52/0/wait"'
		waiters+=("$JOB") outs+=("$OUT")
	done
	wait_parked 9
	within 1000 stop_mount
	for i in "${!outs[@]}"; do
		wait_until 'ended "${waiters[i]}"'
		grep -q 'not connected\|connection abort' "${outs[i]}"
	done
	for who in "${THREE[@]}"; do
		value_is "$who" '1 1'
	done
}

# monitors NAME: a waiter in the first container and one on the host; each is woken by its own.
monitors() {
	local at=$MNT/$1 of=$MNT/${1%/0} here there out=$BATS_TEST_TMPDIR/woken
	mkdir "$of"
	inside first mkdir "$of"
	background bash -c 'exec 9>"$1/monitor"; echo wait >&9; echo host >>"$2"' - "$at" "$out"
	here=$JOB
	background inside first bash -c 'exec 9>"$1/monitor"; echo wait >&9; echo first' - "$at" >"$out.first"
	there=$JOB
	wait_until "grep -q ^waiter_1_condition= '$of/status' && inside first grep -q ^waiter_1_condition= '$of/status'"
	inside first bash -c '{ echo notify >&9; } 9>"$1/monitor"' - "$at"
	wait_until "ended $there"
	equals "$(cat "$out.first")" first
	running "$here"
	{ echo notify >&9; } 9>"$at/monitor"
	wait_until "ended $here"
	equals "$(cat "$out")" host
	# A killed occupant leaves, and wakes the waiter, in the namespace of both.
	background inside first bash -c 'exec 9>"$1/monitor"; echo wait >&9; echo first' - "$at" >"$out.first"
	there=$JOB
	wait_until "inside first grep -q ^waiter_1_condition= '$of/status'"
	background inside first bash -c 'exec 9>"$1/monitor"; exec sleep 60' - "$at"
	wait_until "[ \"\$(inside first cat '$at/value')\" = 0 ]"
	inside first pkill -KILL -x sleep
	wait_until "ended $there"
	equals "$(cat "$out.first")" first
	wait_until "[ \"\$(inside first cat '$at/value')\" = 1 ]"
	# Removed directly
	background inside first bash -c 'exec 9>"$1/monitor"; echo wait >&9' - "$at" 2>"$out.first"
	wait_until "inside first grep -q ^waiter_1_condition= '$of/status'"
	inside first sh -c 'rm -f /dev/shm/sem.*; ipcrm --all'
	wait_until "ended $JOB"
	grep -q 'Identifier removed' "$out.first"
	rm "$out"*
}

@test "monitors: those of a container are its own" {
	serve
	container first
	monitors posix/sem/lock
	monitors sysv/sem/0x00000051/0
}
