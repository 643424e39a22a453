# SPDX-License-Identifier: MIT
# -o namespaces: one mount on the host shows every container its own objects, and the host all of them.
# shellcheck shell=bash disable=SC2010,SC2011,SC2012,SC2016,SC2030,SC2031,SC2034,SC2153,SC2154
load common
load namespaces

@test "the root, and a namespace's directory" {
	serve
	container first
	equals "$(ls "$MNT" | xargs)" 'create events limits metrics ns objects pid posix self sysv'
	equals "$(find "$MNT" -mindepth 1 -maxdepth 1 -printf '%f %y %l\n' | sort | xargs)" \
		"create l self/create events l self/events limits l self/limits metrics l self/metrics ns d objects l self/objects pid d posix l self/posix self l ns/$HOST sysv l self/sysv"
	equals "$(ls "$MNT/ns" | sort | xargs)" "$(printf '%s\n' "$HOST" "${INUM[first]}" | sort | xargs)"
	silent ls -A "$MNT/pid"
	local number
	for number in "$HOST" "${INUM[first]}"; do
		equals "$(ls "$MNT/ns/$number" | xargs)" 'create events limits metrics objects posix sysv'
		equals "$(ls "$MNT/ns/$number/posix" "$MNT/ns/$number/sysv" | grep -v : | xargs)" 'mq sem shm by-id msg sem shm'
		equals "$(cat "$MNT/ns/$number/limits/msgmax")" 8192
	done
	# allow_other is implied
	as_user "$PEER" ls "$MNT/posix/mq"
	equals "$(findmnt -no FSTYPE "$MNT")" fuse.ipcfs
}

@test "objects made through create and the links are the caller's own" {
	local spec path
	serve
	container first
	inside first bash -ec 'exec 9<>"$MNT/create"; echo "posix/mq/jobs maxmsg=3" >&9; read -r path <&9; [ -d "$MNT/$path" ]
		echo "sysv/msg/0x51 mode=0640" >"$MNT/self/create"'
	equals "$(inside first mqtool posix jobs mode)" '0600 0 0'
	equals "$(inside first mqtool sysv 0x51 mode | cut -d' ' -f1)" 0640
	equals "$(listed)" ''
	equals "$(listed "$(view first)")" 'posix/mq/jobs sysv/msg/0x00000051'
	# The host's root may name the namespace.
	echo "sysv/sem/0x52 values=3,4" >"$(view first)/create"
	equals "$(inside first semtool sysv 0x52 all)" '3 4'
	equals "$(listed)" ''
}

@test "objects has the caller's own objects; the host may read those of each namespace" {
	local row
	serve
	container first
	container -u second
	inside first bash -ec 'mkdir "$MNT/posix/mq/jobs" "$MNT/sysv/msg/0x51"; echo hello >"$MNT/sysv/msg/0x51/msg"'
	inside_as second 1000 mkdir "$MNT/posix/shm/seg" "$MNT/sysv/sem/0x52"
	mkdir "$MNT/sysv/shm/0x53"
	row='"\(.class)/\(.name) \(.uid) \(.last_send_pid > 0)"'
	equals "$(jq -r "$row" "$MNT/objects")" 'sysv/shm/0x00000053 0 false'
	equals "$(inside first jq -r "$row" "$MNT/objects")" $'posix/mq/jobs 0 false\nsysv/msg/0x00000051 0 false'
	# The sender is the daemon, which has no number in the container.
	equals "$(jq -r "$row" "$(view first)/objects")" $'posix/mq/jobs 0 false\nsysv/msg/0x00000051 0 true'
	equals "$(inside second jq -r "$row" "$MNT/objects")" $'posix/shm/seg 1000 false\nsysv/sem/0x00000052 1000 false'
	equals "$(jq -r "$row" "$(view second)/objects")" "$(printf '%s\n' "posix/shm/seg $((BASE + 1000)) false" "sysv/sem/0x00000052 $((BASE + 1000)) false")"
	fails 'No such file' inside first cat "$(view second)/objects"
	# A reader that began before the end of its namespace is told of it.
	exec 9<"$(view first)/objects"
	end_container first
	vanishes "${INUM[first]}"
	fails 'Identifier removed' cat <&9
	exec 9<&-
}

@test "metrics has the caller's own namespace; the daemon's numbers are told at home only" {
	local messages='/^ipcfs_(objects|queue_messages|messages_sent_total).class="(posix.mq|sysv.msg)/ { print $2 }'
	serve
	container first
	container -u second
	inside first bash -ec 'mkdir "$MNT/posix/mq/jobs" "$MNT/sysv/msg/0x51" "$MNT/sysv/msg/0x52"; printf "a\nb\n" >"$MNT/posix/mq/jobs/lines"'
	inside_as second 1000 mkdir "$MNT/posix/mq/jobs"
	equals "$(awk "$messages" "$MNT/metrics" | xargs)" '0 0 0 0 0 0'
	equals "$(inside first awk "$messages" "$MNT/metrics" | xargs)" '1 2 2 0 2 0'
	equals "$(inside second awk "$messages" "$MNT/metrics" | xargs)" '1 0 0 0 0 0'
	equals "$(awk "$messages" "$(view first)/metrics" | xargs)" '1 2 2 0 2 0'
	fails 'No such file' inside first cat "$(view second)/metrics"
	equals "$(inside first grep -c ^ipcfs_daemon_ "$MNT/metrics")" 0
	equals "$(inside_as second 0 grep -c ^ipcfs_daemon_ "$MNT/metrics")" 0
	equals "$(grep -c ^ipcfs_daemon_ "$(view first)/metrics")" 0
	equals "$(awk '/^ipcfs_daemon_namespaces/ { print $2 }' "$MNT/metrics")" 3
	equals "$(inside second awk '/^ipcfs_objects_withheld.class="posix.mq/ { print $2 }' "$MNT/metrics")" 0
	equals "$(inside_as second 1001 awk '/^ipcfs_objects_withheld.class="posix.mq/ { print $2 }' "$MNT/metrics")" 1
}

# From one class to the other: the daemon's thread has to be in the namespace for System V.
dead_in() {
	"$1" "${@:2}" bash -ec '
		mkdir "$MNT/posix/mq/jobs" "$MNT/sysv/msg/0x51"
		printf "%s\n" a b >"$MNT/posix/mq/jobs/lines"
		exec 9<>"$MNT/posix/mq/jobs/lease"; cat <&9; echo "dead sysv/msg/0x51" >&9; exec 9>&-
		exec 9<>"$MNT/sysv/msg/0x51/lease"; cat <&9; echo "dead posix/mq/jobs" >&9; exec 9>&-
		exec 9<>"$MNT/sysv/msg/0x51/within/0/lease"; cat <&9 2>/dev/null || echo none; exec 9>&-
		cat "$MNT/posix/mq/jobs/drain"'
}

@test "a lease and its dead QUEUE are of the namespace; the reader sees its process's number" {
	serve
	container first
	container -u second
	equals "$(dead_in inside first)" $'aanone\nb\na'
	equals "$(dead_in inside second)" $'aanone\nb\na'
	inside first bash -ec 'echo job >"$MNT/sysv/msg/0x51/msg"'
	background inside first bash -c 'exec 9<>"$MNT/sysv/msg/0x51/lease"; cat <&9 >/dev/null; exec sleep 1000'
	wait_until 'grep -qx leased=1 "$(view first)/sysv/msg/0x51/status"'
	equals "$(inside first sed -n 's/^lease_1_uid=//p' "$MNT/sysv/msg/0x51/status")" 0
	kill -KILL "$(sed -n 's/^lease_1_pid=//p' "$(view first)/sysv/msg/0x51/status")"
	wait_until 'grep -qx messages=1 "$(view first)/sysv/msg/0x51/status"'
	equals "$(inside first mqtool sysv 0x51 receive)" job
}

@test "self is the caller's own, whichever caller asked before" {
	local name i
	serve
	container first
	container second
	container -u third
	equals "$(readlink "$MNT/self")" "ns/$HOST"
	equals "$(as_user "$PEER" readlink "$MNT/self")" "ns/$HOST"
	for i in 1 2 3; do
		for name in first second third; do
			equals "$(inside "$name" sh -c 'readlink "$MNT/self" "$MNT/self/../../self"; stat -Lc ns/%i /proc/self/ns/ipc' | uniq)" \
				"ns/${INUM[$name]}"
			equals "$(inside "$name" realpath "$MNT/posix/mq")" "$(view "$name")/posix/mq"
			equals "$(inside "$name" sh -c 'cd "$MNT/self" && pwd -P')" "$(view "$name")"
			equals "$(readlink "$MNT/self")" "ns/$HOST"
		done
	done
	# All at once, with the same name.
	for name in first second third; do
		inside "$name" sh -c 'mkdir "$MNT/posix/mq/jobs"; echo "$1" >"$MNT/posix/mq/jobs/msg"' sh "$name"
		background_output inside "$name" python3 -c 'import os, sys, time
mnt, wanted, seen = os.environ["MNT"], sys.argv[1], set()
end = time.monotonic() + 1
while time.monotonic() < end:
    seen.add((os.readlink(mnt + "/self"), os.readlink(mnt + "/pid/1"), os.stat(mnt + "/posix/mq/jobs").st_ino))
    with open(mnt + "/posix/mq/jobs/status") as status:
        seen.add([line for line in status if line.startswith("messages=")][0])
print(*{s[:2] for s in seen if isinstance(s, tuple)}, len(seen))' "$name"
		HAS[out.$name]=$OUT
		HAS[job.$name]=$JOB
	done
	for name in first second third; do
		wait "${HAS[job.$name]}"
		equals "$(cat "${HAS[out.$name]}")" "('ns/${INUM[$name]}', '../ns/${INUM[$name]}') 2"
	done
}

@test "every thread has its own namespace" {
	serve
	namespaces.py threads "$MNT"
}

@test "pid/PID leads to a process's namespace, by the caller's own numbers" {
	local pid name
	serve
	container first
	container -u second
	container -s third
	for name in first second third; do
		equals "$(readlink "$MNT/pid/${PID[$name]}")" "../ns/${INUM[$name]}"
		equals "$(ls "$MNT/pid/${PID[$name]}" | xargs)" 'create events limits metrics objects posix sysv'
	done
	equals "$(readlink "$MNT/pid/$$")" "../ns/$HOST"
	equals "$(as_user "$PEER" sh -c 'readlink "$MNT/pid/$$"')" "../ns/$HOST"
	for name in first second; do
		equals "$(inside "$name" readlink "$MNT/pid/1")" "../ns/${INUM[$name]}"
		equals "$(inside "$name" sh -c 'readlink "$MNT/pid/$$"')" "../ns/${INUM[$name]}"
		refused ENOENT inside "$name" cat "$MNT/pid/${PID[$name]}/limits/msgmax"
	done
	equals "$(inside third sh -c 'readlink "$MNT/pid/$$" "$MNT/pid/$1" | uniq' sh "${PID[third]}")" "../ns/${INUM[third]}"
	equals "$(readlink "$MNT/pid/1")" "../ns/$(stat -Lc %i /proc/1/ns/ipc)"
	# Not of a process that has ended.
	pid=${PID[first]}
	end_container first
	wait_until '! readlink "$MNT/pid/'"$pid"'"' 2
}

@test "unknown names and numbers are nothing" {
	local name
	serve
	container first
	for name in x ns/x ns/0 ns/1 ns/-1 ns/+"$HOST" ns/0"$HOST" ns/"$HOST"x ns/0x10 "ns/ $HOST" "ns/$HOST " \
		ns/18446744073709551615 ns/18446744073709551616 ns/$((HOST + (1 << 32))) "ns/1844674407370955161$HOST" \
		"ns/$HOST/x" "ns/$HOST/posix/x" "ns/$HOST/self" "ns/$HOST/ns" "ns/$HOST/pid" \
		pid/x pid/0 pid/-1 pid/01 pid/+1 pid/1x 'pid/ 1' pid/4194303 pid/4294967297 pid/99999999999999999999 pid/self \
		self/x self/self "ns/${INUM[first]}/x" "ns/$(printf '9%.0s' {1..255})"; do
		refused ENOENT ls -d "$MNT/$name"
		refused ENOENT cat "$MNT/$name"
	done
	for name in x ns/x ns/1 pid/x pid/1x "ns/$HOST/x" self/x "ns/${INUM[first]}/posix/x"; do
		refused 'EPERM|EACCES' mkdir "$MNT/$name"
		refused 'EPERM|EACCES' touch "$MNT/$name"
		refused 'EPERM|EACCES' ln -s x "$MNT/$name"
	done
	for name in ns pid self/posix "ns/$HOST" "ns/${INUM[first]}" "ns/$HOST/posix/mq"; do
		refused 'EPERM|EACCES|ENOTEMPTY' rmdir "$MNT/$name"
	done
	refused 'EPERM|EACCES' rm "$MNT/self"
	refused 'EPERM|EACCES' rm "$MNT/posix"
	refused 'EPERM|EACCES' mv "$MNT/self" "$MNT/own"
	equals "$(ls "$MNT/ns" | wc -l)" 2
}

@test "equal names and keys of all classes are each container's own" {
	local name script=$BATS_TEST_TMPDIR/script
	serve
	three_containers
	echo "$MAKE" >"$script"
	sh "$script" local 1
	inside first sh "$script" 1stst 2
	inside second sh "$script" 2ndnd 3
	inside third sh "$script" 3rdrd 4
	for name in "${THREE[@]}"; do
		equals "$(listed "$(view "$name")")" "$ONE_OF_EACH"
		equals "$(inside "$name" sh -c 'cat "$MNT"/*/m*/*/status' | grep ^messages= | xargs)" 'messages=1 messages=1'
	done
	# by direct calls, and through the mount
	equals "$(inside first sh -c "$TAKE_DIRECTLY")" '1stst 1stst 1stst 2 2'
	equals "$(inside second sh -c "$TAKE")" '2ndnd 2ndnd 2ndnd 2ndnd 3 3'
	equals "$(inside third sh -c "$TAKE_DIRECTLY")" '3rdrd 3rdrd 3rdrd 4 4'
	equals "$(sh -c "$TAKE_DIRECTLY")" 'local local local 1 1'
	# An object that is removed in one container exists in the others.
	inside first sh -c 'rmdir "$MNT"/posix/*/* "$MNT"/sysv/msg/* "$MNT"/sysv/shm/* "$MNT"/sysv/sem/*'
	equals "$(inside first sh -c 'ls /dev/shm; ipcs | grep -c 0x')" 0
	equals "$(listed "$(view first)")" ''
	equals "$(listed)" "$ONE_OF_EACH"
	for name in second third; do
		equals "$(listed "$(view "$name")")" "$ONE_OF_EACH"
		equals "$(inside "$name" sh -c 'cd "$MNT" && echo */*/*/status | wc -w')" 6
	done
}

@test "ids and by-id links are of the own namespace" {
	local id name
	serve
	three_containers
	for id in 0x61 0x62 0x63; do
		inside first mqtool sysv "$id" make
	done
	id=$(inside first sed -n 's/^id=//p' "$MNT/sysv/msg/0x63/status")
	equals "$(inside first readlink "$MNT/sysv/by-id/msg/$id")" ../../msg/0x00000063
	equals "$(readlink "$(view first)/sysv/by-id/msg/$id")" ../../msg/0x00000063
	for name in second third; do
		inside "$name" mqtool sysv 0x71 make
		refused ENOENT inside "$name" ls "$MNT/sysv/by-id/msg/$id/"
		refused ENOENT inside "$name" cat "$MNT/sysv/msg/$id/status"
		equals "$(inside "$name" ls "$MNT/sysv/by-id/msg" | wc -l)" 1
	done
	refused ENOENT cat "$MNT/sysv/msg/$id/status"
	equals "$(ls "$MNT/sysv/by-id/msg")" ''
}

@test "limits are each container's own" {
	serve
	three_containers
	echo 1111 >"$(view first)/limits/msgmax"
	echo 2222 >"$(view second)/limits/msgmax"
	echo 33 >"$(view second)/limits/mq_queues_max"
	equals "$(inside first cat /proc/sys/kernel/msgmax "$MNT/limits/msgmax" | xargs)" '1111 1111'
	equals "$(inside second cat "$MNT/limits/msgmax" "$MNT/limits/mq_queues_max" | xargs)" '2222 33'
	equals "$(inside third cat "$MNT/limits/msgmax")" 8192
	equals "$(cat "$MNT/limits/msgmax" /proc/sys/kernel/msgmax /proc/sys/fs/mqueue/queues_max | xargs)" '8192 8192 256'
	# and what the limits allow
	inside first sh -c 'mkdir "$MNT/sysv/msg/0x51"; head -c 1111 /dev/zero >"$MNT/sysv/msg/0x51/msg"'
	fails 'too long' inside first sh -c 'head -c 1112 /dev/zero >"$MNT/sysv/msg/0x51/msg"'
}

@test "the host's root sees all namespaces, takes part, and removes what leaked" {
	local name at
	serve
	three_containers
	for name in "${THREE[@]}"; do
		inside "$name" sh -c "$MAKE" sh "${name:0:5}" 7
	done
	ls -lR "$MNT" >"$BATS_TEST_TMPDIR/tree"
	equals "$(grep -c -E ' (jobs|seg|lock|0x0000005[123])$' "$BATS_TEST_TMPDIR/tree")" 18
	for name in "${THREE[@]}"; do
		at=$(view "$name")
		cat "$at"/*/*/*/status "$at"/limits/* >/dev/null
		equals "$(cat "$at/posix/mq/jobs/msg" "$at/sysv/msg/0x51/msg") $(head -c 5 "$at/posix/shm/seg/data") $(cat "$at"/{posix/sem/lock,sysv/sem/0x52/0}/value | xargs)" \
			"${name:0:5}${name:0:5} ${name:0:5} 7 7"
		echo back >"$at/posix/mq/jobs/msg"
		echo back >"$at/sysv/msg/0x51/msg"
		echo back >"$at/posix/shm/seg/data"
		echo >"$at/posix/sem/lock/post"
		echo >"$at/sysv/sem/0x52/0/post"
		equals "$(inside "$name" sh -c "$TAKE_DIRECTLY")" 'back back back 8 8'
		chmod 640 "$at/posix/mq/jobs" "$at/sysv/msg/0x51" "$at/posix/shm/seg"
		equals "$(inside "$name" mqtool sysv 0x51 mode | cut -c 1-4)" 0640
		equals "$(inside "$name" stat -c %a /dev/shm/seg)" 640
		rmdir "$at"/posix/*/* "$at"/sysv/msg/* "$at"/sysv/shm/* "$at"/sysv/sem/*
		equals "$(inside "$name" sh -c 'ls /dev/shm; ipcs | grep -c 0x')" 0
	done
	# Made from here, it belongs to the host's root.
	mkdir "$(view first)/posix/mq/new" "$(view first)/posix/shm/new" "$(view third)/sysv/msg/0x77"
	equals "$(inside first mqtool posix new mode)" '0600 0 0'
	equals "$(inside third mqtool sysv 0x77 mode)" '0600 65534 65534 65534 65534'
	# as by the direct call
	refused EOVERFLOW mkdir "$(view third)/posix/mq/new"
	refused EOVERFLOW mkdir "$(view third)/posix/shm/new"
}

# sees_only NUMBERS COMMAND...: asserts that it sees these namespaces only; no other can be guessed.
sees_only() {
	local wanted=$1
	shift
	echo "$*"
	# shellcheck disable=SC2086 # one by one
	equals "$("$@" sh -c 'cd "$MNT/ns" || exit
		echo $(ls | sort -n)
		for number; do
			for file in $number $number/ $number/posix/mq $number/limits/msgmax; do
				if text=$(ls -d $file 2>&1 && ls $file/. 2>&1 || cat $file 2>&1); then
					echo $number
				else
					case $text in *"No such file"*) ;; *) echo "$text" ;; esac
				fi
			done
		done | sort -n | uniq -c' sh "$HOST" "${INUM[@]}" | xargs)" "$wanted $(printf '4 %s\n' $wanted | xargs)"
}

numbers() {
	printf '%s\n' "$@" | sort -n | xargs
}

@test "which caller sees which namespace" {
	serve
	three_containers
	container -n third inner
	container -i third beside
	container -n first alone
	local all
	all=$(numbers "$HOST" "${INUM[@]}")
	sees_only "$all" env
	sees_only "$HOST" as_user "$PEER"
	sees_only "$HOST" as_user "4321:$OWNER"
	# Containers see their own.
	sees_only "${INUM[first]}" inside_as first 1000
	sees_only "${INUM[second]}" inside_as second 1000
	# User 0 without capabilities is like any user; but it made one of the user namespaces,
	# whose processes it sees.
	sees_only "$(numbers "$HOST" "${INUM[alone]}")" as_weak_root
	sees_only "${INUM[first]}" inside first
	sees_only "${INUM[second]}" inside second
	sees_only "${INUM[third]}" inside_as third 1000
	# A container with all capabilities is the machine's root.
	sees_only "$all" enter first
	# Root of the user namespace that owns it, or of one around that.
	sees_only "$(numbers "${INUM[third]}" "${INUM[inner]}" "${INUM[beside]}")" inside third
	sees_only "${INUM[inner]}" inside inner
	sees_only "$(numbers "${INUM[third]}" "${INUM[inner]}" "${INUM[beside]}")" inside beside
	sees_only "${INUM[alone]}" inside alone
	# Without its capabilities it is only the maker of the inner one, and not in the daemon's
	# pid namespace.
	sees_only "${INUM[third]}" inside_weak third
	sees_only "${INUM[inner]}" inside_weak inner
}

@test "the user who made a user namespace may use the namespaces in it" {
	local at
	serve
	container -u mine
	container other
	at=$(view mine)
	sees_only "$(numbers "$HOST" "${INUM[mine]}")" as_user "$OWNER"
	inside mine sh -c "$MAKE" sh inner 3
	inside_as mine 1000 mqtool sysv 0x99 make 0600
	inside_as mine 1000 mqtool posix others make 0600
	equals "$(as_user "$OWNER" cat "$at/posix/mq/jobs/msg" "$at/sysv/msg/0x51/msg")" innerinner
	as_user "$OWNER" sh -c 'echo >"$1/posix/sem/lock/post" && echo >"$1/sysv/sem/0x52/0/post"' sh "$at"
	equals "$(values inside mine)" '4 4'
	as_user "$OWNER" sh -c 'echo down >"$1/posix/mq/jobs/msg"; echo down >"$1/sysv/msg/0x51/msg"' sh "$at"
	equals "$(inside mine mqtool posix jobs receive) $(inside mine mqtool sysv 0x51 receive)" 'down down'
	# The maker has all capabilities in it, where they count there; files ask for those of the
	# machine.
	as_user "$OWNER" sh -c 'echo mail >"$1/sysv/msg/0x99/msg"' sh "$at"
	equals "$(inside_as mine 1000 mqtool sysv 0x99 receive)" mail
	refused EACCES as_user "$OWNER" bash -c 'echo mail >"$1/posix/mq/others/msg"' sh "$at"
	as_user "$OWNER" rmdir "$at/sysv/msg/0x00000099" "$at/posix/mq/jobs"
	# This holds in that namespace only.
	refused 'EPERM|EACCES' as_user "$OWNER" bash -c 'echo 5000 >"$MNT/limits/msgmax"'
}

@test "a daemon that does not see its callers shows them nothing" {
	blind_mount -o namespaces
	refused ENOENT ls "$MNT/self/"
	refused ENOENT ls "$MNT/posix/mq"
	refused ENOENT ls "$MNT/pid/$$/"
	equals "$(ls -A "$MNT/ns")" ''
	end_blind_mount
}

@test "in one namespace every caller has the /dev/shm of its own root" {
	local i
	serve
	echo host >/dev/shm/seg
	container first 'mount -t tmpfs -o mode=1777 tmpfs /dev/shm; echo first >/dev/shm/seg'
	# On the host and in the container, a caller with other mounts.
	background unshare --mount sh -c 'mount -t tmpfs -o mode=1777 tmpfs /dev/shm; echo other >/dev/shm/seg; exec sleep 1000'
	HAS[other]='' PID[other]=$JOB
	background enter first unshare --mount sh -c \
		'mount -t tmpfs -o mode=1777 tmpfs /dev/shm; echo inner >/dev/shm/seg; exec sleep 1000'
	wait_until '[ "$(cat "/proc/$(youngest "$JOB")/root/dev/shm/seg")" = inner ]'
	HAS[inner]=--pid PID[inner]=$(youngest "$JOB")
	for i in 1 2 3; do
		equals "$(cat "$MNT/posix/shm/seg/data") $(inside first cat "$MNT/posix/shm/seg/data")" 'host first'
		equals "$(inside other cat "$MNT/posix/shm/seg/data") $(inside inner cat "$MNT/posix/shm/seg/data")" 'other inner'
		equals "$(cat "$(view first)/posix/shm/seg/data")" first
	done
	inside other mkdir "$MNT/posix/mq/jobs" "$MNT/posix/shm/more"
	inside inner rmdir "$MNT/posix/shm/seg"
	equals "$(listed)" 'posix/mq/jobs posix/shm/seg'
	equals "$(inside inner ls -A /dev/shm) $(inside first ls /dev/shm)" ' seg'
	equals "$(inside other ls /dev/shm | xargs)" 'more seg'
}

@test "namespaces that are made later are shown at once" {
	serve
	local i before
	before=$(ls "$MNT/ns")
	equals "$before" "$HOST"
	for i in 1 2 3 4 5; do
		container -s "at$i"
		equals "$(ls "$MNT/ns" | wc -l)" $((i + 1))
		ls "$(view "at$i")/posix/mq"
	done
}

@test "wrong use is an error" {
	run ipcfs -o namespaces,target=$$ "$MNT"
	echo "$output"
	[ "$status" = 1 ]
	[[ $output == *namespaces*target* || $output == *target*namespaces* ]]
	run as_weak_root ipcfs -o namespaces "$MNT"
	echo "$output"
	[ "$status" = 2 ]
	[[ $output == *CAP_SYS_ADMIN* ]]
	run setpriv --bounding-set -sys_admin ipcfs -o namespaces "$MNT"
	echo "$output"
	[ "$status" = 2 ]
	[[ $output == *CAP_SYS_ADMIN* ]]
	as_user "$PEER" mkdir "$BATS_TEST_TMPDIR/own"
	run as_user "$PEER" ipcfs -o namespaces "$BATS_TEST_TMPDIR/own"
	echo "$output"
	[ "$status" = 2 ]
	[[ $output == *CAP_SYS_ADMIN* ]]
	equals "$(findmnt -no TARGET "$MNT" || findmnt -no TARGET "$BATS_TEST_TMPDIR/own")" ''
}

@test "a mount made in a container shows what is in there" {
	local own=$BATS_TEST_TMPDIR/own
	serve
	container -u box
	mkdir "$own"
	# It has the privilege only there.
	enter box sh -c 'ipcfs -o namespaces "$1" 3>&- 4>&- && ls "$1/ns" && readlink "$1/self" && umount "$1"' sh "$own" \
		>"$BATS_TEST_TMPDIR/seen"
	equals "$(xargs <"$BATS_TEST_TMPDIR/seen")" "${INUM[box]} ns/${INUM[box]}"
}

@test "ro allows reading only" {
	serve ro
	container first
	inside first mqtool posix jobs make 0666
	equals "$(inside first ls "$MNT/posix/mq")" jobs
	refused EROFS inside first mkdir "$MNT/posix/mq/new"
	refused EROFS inside first bash -c 'cat "$MNT/posix/mq/jobs/msg"'
	refused EROFS bash -c 'echo 5000 >"$1/limits/msgmax"' sh "$(view first)"
}

@test "records of the audit name the namespace" {
	local audit=$BATS_TEST_TMPDIR/audit.log name
	serve "audit=$audit,audit_level=all"
	container first
	container -u second
	for name in first second; do
		inside "$name" sh -c 'mkdir "$MNT/posix/mq/jobs" "$MNT/sysv/msg/0x51"; echo >"$MNT/posix/mq/jobs/msg"'
	done
	inside second chmod 666 "$MNT/sysv/msg/0x51"
	refused 'EPERM|EACCES' inside_as second 1000 rmdir "$MNT/posix/mq/jobs"
	cat "$(view first)/posix/mq/jobs/msg"
	record() {
		grep -E "ns(=\"?|/)${INUM[$1]}([^0-9]|$)" "$audit" | grep -F "op=\"$2\"" | grep -F -c "$3"
	}
	wait_until '[ "$(record first open "cat")" -ge 1 ]'
	equals "$(record first make 'posix/mq/jobs') $(record second make 'posix/mq/jobs')" '1 1'
	equals "$(record first make 'sysv/msg/0x00000051') $(record second make 'sysv/msg/0x00000051')" '1 1'
	equals "$(record second chmod 'mode=0666') $(record first chmod 'mode=0666')" '1 0'
	equals "$(record second remove 'verdict="deny"')" 1
	# With the host's numbers.
	equals "$(record second make "uid=\"$OWNER\"")" 2
	equals "$(grep -c -v -E "ns(=\"?|/)($HOST|${INUM[first]}|${INUM[second]})([^0-9]|$)" "$audit")" 0
}
