# SPDX-License-Identifier: MIT
# What supervise.bats, takeover.bats and faults.bats share.
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
