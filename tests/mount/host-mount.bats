# SPDX-License-Identifier: MIT
# One mount of the host, `-o namespaces`, in containers of every sort. tests/env/containers runs it,
# and prepares what it needs.
# shellcheck shell=bash disable=SC1091,SC2012,SC2016,SC2154,SC2164
load containers

HOST=$EXAMPLES/host
# The arguments of `host`, and more options of the recipe.
CONTAINERS=(crun podman ipcfs-user@podman systemd-nspawn systemd-nspawn ipcfs-user@bubblewrap ipcfs-user@unshare)
OPTIONS=('' '' '' '' NSPAWN=--private-users=400000:65536 '' '')
# The host's user behind the container's root.
ROOTS=(0 0 1234 0 400000 1234 1234)

setup() {
	IPC=$BATS_TEST_TMPDIR/ipc
	SHARE=$WORLD/share
	JOBS=()
	export IPC SHARE
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
	mkdir "$IPC"
	OWN=$(inode /proc/self/ns/ipc)
	"$WORLD/bin/ipcfs" -f -o namespaces "$IPC" >"$BATS_TEST_TMPDIR/log" 2>&1 3>&- 4>&- &
	DAEMON=$!
	wait_until 'mountpoint -q "$IPC" || ! kill -0 "$DAEMON" 2>/dev/null'
	mountpoint -q "$IPC"
	wait_until '[ "$(ls "$IPC/ns")" = "$OWN" ]'
}

teardown() {
	local status=0 process
	# After an early failure some containers may not have begun yet.
	while jobs -rp | grep -qvx "$DAEMON"; do
		for process in /proc/[0-9]*; do
			if [ "$(inode "$process/ns/ipc")" != "$OWN" ]; then
				kill -KILL "${process#/proc/}" 2>/dev/null || :
			fi
		done
		sleep 0.2 # and look again
	done
	[ -z "$DAEMON" ] || stop_daemon || status=1
	rm -f /dev/shm/same
	ipcrm --all=msg
	nothing_left || status=1
	[ "$status" = 0 ] || cat "$BATS_TEST_TMPDIR"/{log,said.*}
	return "$status"
}

# It must end with status 0.
stop_daemon() {
	local status=0
	kill -TERM "$DAEMON"
	wait "$DAEMON" || status=$?
	DAEMON=''
	[ "$status" = 0 ] || { echo "the daemon's exit status is $status"; return 1; }
}

wait_until() {
	local end=$((SECONDS + ${2:-20}))
	until eval "$1"; do
		[ "$SECONDS" -lt "$end" ] || { echo "never: $1"; return 1; }
		sleep 0.05 # and look again
	done
}

equals() {
	[ "$1" = "$2" ] || { echo "got: $1"; echo "expected: $2"; return 1; }
}

# Prints the number of the namespace that the link leads to.
inode() {
	readlink "$1" 2>/dev/null | tr -dc 0-9
}

# start N ROOT COMMAND...: starts container N in the background; its output goes to
# $BATS_TEST_TMPDIR/said.N.
start() {
	local n=$1 root=$2
	shift 2
	env ${OPTIONS[n]:+"${OPTIONS[n]}"} "$HOST" "$root" "$WORLD/bin/ipcfs" "${CONTAINERS[n]}" -- "$@" \
		>"$BATS_TEST_TMPDIR/said.$n" 2>&1 </dev/null 3>&- 4>&- &
	JOBS[n]=$!
}

# says N WORD: waits up to a minute until container N has printed WORD, or has ended.
waits_for() {
	wait_until "grep -q '^$2' '$BATS_TEST_TMPDIR/said.$1' || ! kill -0 ${JOBS[$1]} 2>/dev/null" 60
	grep -q "^$2" "$BATS_TEST_TMPDIR/said.$1" || { cat "$BATS_TEST_TMPDIR/said.$1"; return 1; }
}

# said N KEY: prints the value that container N printed.
said() {
	sed -n "s/^$2=//p" "$BATS_TEST_TMPDIR/said.$1"
}

# What the host sees of container N, and sends to it.
talk() {
	local n=$1 root=${ROOTS[$1]} ns name=container-$1 pid found=0 link
	ns=$(said "$n" ns)
	cd "$IPC/ns/$ns"
	equals "$(ls)" "$(printf '%s\n' create events limits metrics objects posix sysv)"
	equals "$(ls -d posix/*/* sysv/*/0x* | paste -s -d ' ')" "$(said "$n" objects)"
	# Its processes, by the host's numbers.
	for link in /proc/[0-9]*/ns/ipc; do
		[ "$(inode "$link")" = "$ns" ] || continue
		pid=${link#/proc/}
		equals "$(readlink "$IPC/pid/${pid%%/*}")" "../ns/$ns"
		found=$((found + 1))
	done
	[ "$found" -gt 0 ]

	# Owners and contents.
	equals "$(stat -c '%u %g %A' posix/mq/same posix/shm/same posix/sem/same sysv/msg/0x0000005a \
		sysv/shm/0x0000005a sysv/sem/0x0000005a | uniq)" "$root $root drwxr-x--x"
	(. posix/shm/same/status && equals "$uid $gid $mode $size" "$root $root 0640 4096")
	(. sysv/shm/0x0000005a/status && equals "$uid $cuid $mode $size $nattch" "$root $root 0640 4096 0")
	equals "$(cat posix/mq/same/msg sysv/msg/0x0000005a/msg)" "of ${name}of $name"
	equals "$(head -qn 1 posix/shm/same/data sysv/shm/0x0000005a/data)" "of $name"$'\n'"of $name"
	equals "$(cat posix/sem/same/value sysv/sem/0x0000005a/0/value)" $'1\n0'

	# In both directions.
	printf '%s\n' "host to $name" | dd of=posix/shm/same/data conv=notrunc status=none
	printf '%s\n' "host to $name" | dd of=sysv/shm/0x0000005a/data conv=notrunc status=none
	printf '%s' "to $name" >sysv/msg/0x70/msg
	others "$n" >posix/mq/inbox/msg
	echo >posix/sem/go/post
	echo >sysv/sem/0x00000060/0/post
	equals "$(timeout 20 cat posix/mq/outbox/msg)" "from $name"
	equals "$(timeout 20 head -n 1 sysv/msg/0x71/tagged 2>/dev/null)" "5	from $name"
	waits_for "$n" 'done'
	equals "$(said "$n" sees | xargs -n 1 | sort)" "$(said "$n" ns)"
	cd /
}

# All namespaces except that of container N, and what it sees.
others() {
	local i
	printf '%s' "$OWN"
	for ((i = 0; i < ${#CONTAINERS[@]}; i++)); do
		[ "$i" = "$1" ] || printf ' %s' "$(said "$i" ns)"
	done
}

live_together() {
	local n all=() root=$WORLD/roots/$1 name
	mkdir "$IPC/posix/shm/same" "$IPC/sysv/msg/0x5a"
	for ((n = 0; n < ${#CONTAINERS[@]}; n++)); do
		start "$n" "$root" /run/share/resident "container-$n" $((0x6100 + n))
	done
	for ((n = 0; n < ${#CONTAINERS[@]}; n++)); do
		waits_for "$n" ready
		all+=("$(said "$n" ns)")
	done
	equals "$(ls "$IPC/ns" | sort)" "$(printf '%s\n' "$OWN" "${all[@]}" | sort)"
	for ((n = 0; n < ${#CONTAINERS[@]}; n++)); do
		talk "$n"
	done
	# The host's own objects are unchanged.
	rm -f /dev/shm/libpod_* # podman's own
	equals "$(cd "$IPC" && ls -d posix/*/* sysv/*/0x*)" $'posix/shm/same\nsysv/msg/0x0000005a'
	equals "$(readlink "$IPC/self" "$IPC/posix")" "ns/$OWN"$'\nself/posix'

	# They end one after another.
	for ((n = 0; n < ${#CONTAINERS[@]}; n++)); do
		exec 8<"$IPC/ns/${all[n]}/sysv/msg/0x00000071/lines"
		echo end >"$IPC/ns/${all[n]}/posix/mq/inbox/msg"
		wait "${JOBS[n]}"
		unset "JOBS[n]"
		output=$(<"$BATS_TEST_TMPDIR/said.$n")
		tour_said
		wait_until "[ ! -e '$IPC/ns/${all[n]}' ]" 3
		run timeout 5 cat <&8
		[[ $status = 1 && $output == *'Identifier removed'* ]] || { echo "$status: $output"; return 1; }
		exec 8<&-
	done
	equals "$(ls "$IPC/ns")" "$OWN"
	rmdir "$IPC/posix/shm/same" "$IPC/sysv/msg/0x0000005a"
}

@test "containers of every sort: each sees its own through the host's mount, and the host sees all" {
	live_together bookworm
}

# bats test_tags=long
@test "the same with Debian 13 in them" {
	live_together trixie
}

# bats test_tags=long
@test "the recipe mounts, and the same path does in one container after another" {
	stop_daemon
	run env -u IPC "$HOST" "$WORLD/roots/bookworm" "$WORLD/bin/ipcfs" crun systemd-nspawn ipcfs-user@unshare
	echo "$output"
	[ "$status" = 0 ]
	equals "$(grep -cx 'nothing is left' <<<"$output")" 3
	run env -u IPC "$HOST" "$WORLD/roots/trixie" "$WORLD/bin/ipcfs" ipcfs-user@bubblewrap crun -- \
		sh -c 'mkdir -m 640 /run/ipc/posix/mq/jobs && stat -c %A /run/ipc/posix/mq/jobs && ls /run/ipc/posix/mq'
	equals "$status $output" $'0 drwxr-x--x\njobs\ndrwxr-x--x\njobs'
	run env -u IPC "$HOST" "$WORLD/roots/trixie" "$WORLD/bin/ipcfs" crun -- sh -c 'exit 7'
	equals "$status" 7
}

# PostgreSQL in a container.

# in_container COMMAND...: runs it as PostgreSQL's user.
in_container() {
	nsenter --target "$FIRST" --mount --ipc --pid --net \
		setpriv --reuid postgres --regid postgres --init-groups -- env PATH="$PROGRAMS:/usr/bin:/bin" LC_ALL=C "$@"
}

start_server() {
	in_container pg_ctl -D /run/pg/data -l /run/pg/log -w start -o "-k /run/pg -c listen_addresses='' \
		-c shared_memory_type=sysv -c dynamic_shared_memory_type=posix -c min_dynamic_shared_memory=1MB" \
		>/dev/null 3>&- 4>&- || { in_container cat /run/pg/log; return 1; }
	equals "$(in_container psql -h /run/pg -Atc 'select 6 * 7')" 42
}

# Sets $SEGMENT to the one System V segment, and variables to its status.
look_at_segment() {
	SEGMENT=$(echo "$IPC/ns/$NS"/sysv/shm/0x*)
	. "$SEGMENT/status"
}

# bats test_tags=long
@test "PostgreSQL in a container, seen from the host, and what it leaves" {
	local owner
	PROGRAMS=$(echo "$WORLD"/roots/postgresql/usr/lib/postgresql/*/bin)
	PROGRAMS=${PROGRAMS#"$WORLD/roots/postgresql"}
	# Its first process waits for all others.
	start 0 "$WORLD/roots/postgresql" sh -c 'install -d -o postgres -m 700 /run/pg; readlink /proc/self/ns/ipc |
		tr -dc 0-9 | sed s/^/ns=/; echo; echo ready; while sleep 0.1; do :; done'
	waits_for 0 ready
	NS=$(said 0 ns)
	FIRST=$(lsns --noheadings --raw --type ipc --output NS,PID | sed -n "s/^$NS //p")
	in_container initdb -D /run/pg/data -A trust >/dev/null
	start_server

	# Its shared memory: owner, size, users.
	owner=$(in_container id -u)
	look_at_segment
	equals "$uid $cuid $mode $stale" "$owner $owner 0600 no"
	[ "$nattch" -ge 1 ]
	[ "$size" -ge 56 ]
	equals "$size" "$(in_container cat /proc/sysvipc/shm | awk 'NR == 2 { print $4 }')"
	equals "$(ps -o comm= -p "$creator_pid")" postgres
	cd "$IPC/ns/$NS/posix/shm"
	equals "$(stat -c '%n %u %s' PostgreSQL.*)" "$(in_container sh -c 'cd /dev/shm && stat -c "%n %u %s" PostgreSQL.*')"
	equals "$(stat -c '%u %A' PostgreSQL.* | sort -u)" "$owner drwx--x--x"
	# One segment for all, and the one of min_dynamic_shared_memory.
	equals "$(stat -c %s PostgreSQL.*/data | grep -cx 1048576)" 1
	# The host's own are not the container's.
	equals "$(ls "$IPC/posix/shm" "$IPC/sysv/shm")" "$IPC/posix/shm:"$'\n\n'"$IPC/sysv/shm:"

	# Told to stop at once, it removes its memory.
	in_container pg_ctl -D /run/pg/data -w stop -m immediate >/dev/null
	wait_until '[ -z "$(ls "$IPC/ns/$NS/sysv/shm")" ]'
	start_server

	# Killed, it does not. The host removes what is left.
	look_at_segment
	# shellcheck disable=SC2046 # several
	kill -KILL "$creator_pid" $(ps -o pid= --ppid "$creator_pid")
	wait_until '[ "$(sed -n "s/^stale=//p" "$SEGMENT/status")" = yes ]'
	look_at_segment
	equals "$nattch $uid" "0 $owner"
	rmdir "$SEGMENT"
	equals "$(in_container cat /proc/sysvipc/shm | wc -l)" 1
	rmdir PostgreSQL.*
	equals "$(in_container ls /dev/shm)" ''
	cd "$WORLD"
	start_server
	in_container pg_ctl -D /run/pg/data -w stop -m fast >/dev/null

	kill -KILL "$FIRST"
	wait "${JOBS[0]}" || :
	unset 'JOBS[0]'
	wait_until '[ ! -e "$IPC/ns/$NS" ]' 3
}

# The matrix: the same caller in the container, once by the direct call and once through the host's
# mount.

# matrix N [MODES]: runs it in container N. It needs all capabilities, since the callers may have
# them.
in_matrix() {
	start "$1" "$WORLD/roots/bookworm" env TMPDIR=/run /run/share/matrix /run/ipc "${2:-2}"
	wait "${JOBS[$1]}" || { cat "$BATS_TEST_TMPDIR/said.$1"; return 1; }
	unset "JOBS[$1]"
	cat "$BATS_TEST_TMPDIR/said.$1"
	grep -q '^[1-9][0-9]* cases, 0 disagreements' "$BATS_TEST_TMPDIR/said.$1"
}

@test "every operation by every caller is as the direct call: in a rootful container" {
	OPTIONS[0]="CRUN=CAP_SYS_ADMIN CAP_IPC_OWNER CAP_DAC_READ_SEARCH"
	# Not every machine's root has this capability.
	! grep -q '^CapPrm:.*[13579bdf]......$' /proc/self/status || OPTIONS[0]+=" CAP_SYS_RESOURCE"
	in_matrix 0
}

@test "every operation by every caller is as the direct call: in a rootless container" {
	OPTIONS[2]="PODMAN=--cap-add=ALL"
	in_matrix 2
}

@test "every operation by every caller is as the direct call: in a rootful container with a user namespace" {
	OPTIONS[4]="NSPAWN=--private-users=400000:65536 --capability=all"
	in_matrix 4
}
