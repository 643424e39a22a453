# SPDX-License-Identifier: MIT
# What the daemon has given up once it serves.
# shellcheck shell=bash disable=SC2154,SC2016,SC2012,SC2030,SC2031
load common

setup() {
	common_setup
}

# value NAME [PID]: prints a line of the daemon's status, for each thread.
values() {
	sed -n "s/^$1:[[:space:]]*//p" "/proc/${2-$DAEMON}/task/"*/status | sort -u
}

# mask CAP...: prints their bits, as far as this root has them.
mask() {
	local bit own result=0
	own=$((16#$(sed -n 's/^CapPrm:[[:space:]]*//p' /proc/self/status)))
	for bit; do result=$((result | 1 << bit)); done
	printf '%016x\n' $((result & own))
}

# chown=0 dac_override=1 fowner=3 kill=5 setgid=6 setuid=7 ipc_owner=15 sys_ptrace=19 sys_admin=21
# sys_resource=24
EFFECTIVE=(1 5 6 7 15 19 21 24)
PERMITTED=("${EFFECTIVE[@]}" 0 3)

# Root cannot look into an ordinary user's mount.
is_mounted() {
	grep -q " $MNT .* - fuse.ipcfs " /proc/self/mountinfo
}

as_nobody() {
	${EXEC-} setpriv --reuid nobody --regid nogroup --clear-groups "$@"
}

# Runs as an ordinary user with a name, which fusermount3 needs, with a /dev/mqueue.
start_as_nobody() {
	chmod 777 "$MNT"
	mkdir -p /dev/mqueue
	mountpoint -q /dev/mqueue || mount -t mqueue mqueue /dev/mqueue
	EXEC="exec" as_nobody ipcfs -f "$MNT" >"$LOG" 2>&1 3>&- 4>&- &
	DAEMON=$!
	wait_until 'is_mounted || ! running "$DAEMON"'
	# The first answer comes after everything was given up.
	as_nobody ls "$MNT"
}

# In a user namespace only its root mounts, since set-user-id programs have no effect:
# docs/containers.md.
refused_as_nobody() {
	chmod 777 "$MNT"
	mkdir -p /dev/mqueue
	mountpoint -q /dev/mqueue || mount -t mqueue mqueue /dev/mqueue
	fails "can't mount on $MNT: without the capability CAP_SYS_ADMIN the set-user-id program fusermount3 must be there" \
		as_nobody ipcfs -f "$MNT"
	equals "$status" 2
	equals "$(pgrep ipcfs)" ''
}

has() {
	[[ " $IPCFS_BUILT_WITH " == *" $1 "* ]]
}

work() {
	new_queue posix
	echo one >"$Q/msg"
	background cat "$Q/type/2/msg" 2>/dev/null
	new_queue sysv
	background cat "$Q/msg"
	wait_until '[ "$(ls "/proc/$DAEMON/task" | wc -l)" -ge 4 ]'
}

@test "root's daemon keeps the capabilities that docs/security.md lists, in every thread" {
	has capabilities || return 0
	start_mount
	work
	equals "$(values CapEff)" "$(mask "${EFFECTIVE[@]}")"
	equals "$(values CapPrm)" "$(mask "${PERMITTED[@]}")"
	equals "$(values CapInh)$(values CapAmb)" "$(mask)$(mask)"
	equals "$(values CapBnd)" "$(mask)"
	# The same after it has acted as a caller.
	as_user 1234 mkdir "$MNT/sysv/msg/0x00000099"
	chown 7 "$MNT/sysv/msg/0x00000099"
	equals "$(values CapEff) $(values CapPrm)" "$(mask "${EFFECTIVE[@]}") $(mask "${PERMITTED[@]}")"
}

@test "nothing it starts could gain privileges, and its system calls are filtered" {
	start_mount
	work
	equals "$(values NoNewPrivs)" 1
	! has seccomp || equals "$(values Seccomp)" 2
}

@test "in a container it works with the system calls that are left" {
	[ "$IPCFS_TEST_WORLD" = container ] && has seccomp || return 0
	# The container's filter, with the daemon's own on top of it.
	equals "$(sed -n 's/^Seccomp_filters:[[:space:]]*//p' /proc/self/status)" 1
	fails 'not permitted' setarch -R true
	start_mount
	work
	equals "$(values Seccomp_filters)" 2
}

@test "with -d too" {
	start_mount -d
	work
	equals "$(values NoNewPrivs)" 1
	! has capabilities || equals "$(values CapEff)" "$(mask "${EFFECTIVE[@]}")"
}

@test "root of a user namespace keeps the same part of what it has" {
	has capabilities || return 0
	chmod 777 "$MNT"
	as_user 1234 timeout 20 unshare --user --map-root-user --ipc --mount bash -e -c '
		ipcfs "$MNT"
		sed -n "s/^Cap\(Eff\|Prm\|Bnd\):[[:space:]]*//p" "/proc/$(pgrep -o -x ipcfs)/status"
		umount "$MNT"' >"$BATS_TEST_TMPDIR/sets"
	local full
	full=$(printf '%016x\n' $((1 << 1 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 15 | 1 << 19 | 1 << 21 | 1 << 24)))
	equals "$(sed -n 2p "$BATS_TEST_TMPDIR/sets")" "$full"
	equals "$(sed -n 3p "$BATS_TEST_TMPDIR/sets")" "$(mask)"
	wait_until '! pgrep -x ipcfs'
}

@test "an ordinary user's daemon is confined as well, and its mount is taken off at its end" {
	local signal
	if in_user_namespace; then
		refused_as_nobody
		run is_mounted
		[ "$status" != 0 ]
		return
	fi
	for signal in TERM INT; do
		start_as_nobody
		equals "$(values CapPrm) $(values NoNewPrivs)" "$(mask) 1"
		! has seccomp || equals "$(values Seccomp)" 2
		kill -"$signal" "$DAEMON"
		daemon_ends
		run is_mounted
		[ "$status" != 0 ]
		wait_until '[ -z "$(pgrep ipcfs)" ]' # the keeper ends after it
		done
}

@test "an ordinary user's daemon leaves alone what was mounted after it" {
	local first
	if in_user_namespace; then
		# None can be: its root's mounts stay.
		refused_as_nobody
		start_mount
		fails 'mounted there already' as_nobody ipcfs -f "$MNT"
		as_nobody ls "$MNT"
		return
	fi
	start_as_nobody
	# An open file keeps the mount alive after it was taken off.
	background as_nobody sh -c 'exec 7<"$MNT/limits/msgmax"; fusermount3 -u -z "$MNT"; exec sleep 100'
	wait_until '! is_mounted'
	first=$DAEMON
	start_as_nobody
	kill -TERM "$first"
	wait "$first"
	is_mounted
	as_nobody ls "$MNT"
	kill -TERM "$DAEMON"
	daemon_ends
}

@test "a process that an ordinary user's daemon leaves ends with it, killed or not" {
	if in_user_namespace; then
		refused_as_nobody
		return
	fi
	start_as_nobody
	pgrep -x ipcfs-unmount
	kill -KILL "$DAEMON"
	wait "$DAEMON" || :
	DAEMON=''
	wait_until '! pgrep ipcfs'
	umount "$MNT"
}

@test "nothing of an ordinary user's daemon can be seen by that user" {
	has protected-memory || return 0 # the leak checker must look in
	if in_user_namespace; then
		# Nor of root's daemon.
		start_mount
		fails 'Permission denied' as_nobody cat "/proc/$DAEMON/maps"
		stop_mount
		refused_as_nobody
		return
	fi
	start_as_nobody
	equals "$(stat -c %U "/proc/$DAEMON/mem")" root
	fails 'Permission denied' as_nobody cat "/proc/$DAEMON/maps"
	stop_mount
}

@test "every descriptor of the daemon is closed on exec" {
	local info fd
	start_mount
	work
	exec 7<"$Q/status" 8<"$MNT/create"
	mkdir "$MNT/posix/sem/lock" "$MNT/sysv/sem/0x00000051"
	echo 'posix/shm/one size=4K' >"$MNT/create"
	echo 'sysv/shm/0x51 size=4K' >"$MNT/create"
	exec 9>"$MNT/posix/sem/lock/hold" 6<"$MNT/posix/shm/one/data" 5<"$MNT/sysv/shm/0x00000051/data"
	[ "$(ls "/proc/$DAEMON/fd" | wc -l)" -gt 12 ]
	for info in "/proc/$DAEMON/fdinfo/"*; do
		fd=${info##*/}
		# Except the standard streams.
		[ "$fd" -gt 2 ] || continue
		[ $((8#$(sed -n 's/^flags:[[:space:]]*//p' "$info") & 8#2000000)) != 0 ] ||
			{ readlink "/proc/$DAEMON/fd/$fd"; return 1; }
	done
	exec 5<&- 6<&- 7<&- 8<&- 9>&-
	rmdir "$MNT/posix/shm/one" "$MNT/sysv/shm/0x00000051" "$MNT/posix/sem/lock" "$MNT/sysv/sem/0x00000051"
}

@test "what was open in the process that started it is closed, in the foreground too" {
	local fd
	: >"$BATS_TEST_TMPDIR/inherited"
	exec 7<"$BATS_TEST_TMPDIR/inherited"
	start_mount
	for fd in $(readlink "/proc/$DAEMON"/fd/* "/proc/$(pgrep -x ipcfs-holds)"/fd/*); do
		[ "$fd" != "$BATS_TEST_TMPDIR/inherited" ]
	done
	exec 7<&-
}
