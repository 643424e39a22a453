# SPDX-License-Identifier: MIT
# What supervise.bats, takeover.bats, upgrade.bats and faults.bats share.
# shellcheck shell=bash disable=SC2154

# Prints the process that serves the mount.
worker() {
	pgrep -P "$DAEMON" -x ipcfs-worker
}

# Kills the worker, and waits until another one serves.
kill_worker() {
	local old
	old=$(worker)
	kill -KILL "$old"
	wait_until "[ -n \"\$(worker)\" ] && [ \"\$(worker)\" != $old ]"
	is_ready
}

# Kills supervisor and worker, takes the mount off, and waits until what was leased is sent.
kill_both() {
	local old
	old=$(worker)
	kill -STOP "$old" # it would end in order
	kill -KILL "$DAEMON" "$old"
	wait "$DAEMON" 2>/dev/null || :
	DAEMON=''
	umount -l "$MNT"
	wait_until '! pgrep -x ipcfs-leases'
}

# lease DESCRIPTOR MESSAGE: takes one, and asserts that it is this one.
lease() {
	eval "exec $1<>'$Q/lease'"
	equals "$(cat <&"$1")" "$2"
}

# leased NUMBER MESSAGES: so many are leased, and so many in the queue.
leased() {
	equals "$(sed -n 's/^leased=//p' "$Q/status") $(messages)" "$1 $2"
}

# helper: prints the process that sends leased messages at the end.
helper() {
	pgrep -x ipcfs-leases
}

# storm [VARIABLE=VALUE]: three mounts of the same objects outlive supervise_storm.py, which gets this
# in its environment.
storm() {
	local i first=$MNT mounts=()
	for i in 0 1 2; do
		MNT=$first.$i
		mkdir "$MNT" "$BATS_TEST_TMPDIR/state.$i"
		start_mount -o supervise,state="$BATS_TEST_TMPDIR/state.$i"
		mounts+=("$MNT=$DAEMON")
	done
	run timeout $((200 * SLOW)) env "$@" python3 "$BATS_TEST_DIRNAME/supervise_storm.py" \
		"${IPCFS_TEST_SECONDS:-15}" "${IPCFS_TEST_SEED:-$RANDOM}" "${mounts[@]}"
	echo "$output"
	equals "$status" 0
	for i in "${mounts[@]}"; do
		MNT=${i%=*} DAEMON=${i##*=}
		stop_mount
	done
}
