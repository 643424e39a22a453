# SPDX-License-Identifier: MIT
# What the suites with real containers share; tests/env/containers runs them.
# shellcheck shell=bash disable=SC2034,SC2154

EXAMPLES=$WORLD/examples/containers

AS_USER=(setpriv --reuid ipcfs-user --regid ipcfs-user --init-groups --)

# For teardown: no process, mount, file or object may be left.
nothing_left() {
	local status=0 i left=''
	for ((i = 0; i < 100; i++)); do
		left=$(ps -e -o pid=,comm= |
			grep -E ' (ipcfs.*|podman|conmon|crun|bwrap|tour|resident|catatonit|matrix|postgres)$') || break
		sleep 0.1 # and look again
	done
	[ -z "$left" ] || { echo "left: $left"; status=1; }
	! grep ' - fuse.ipcfs ' /proc/self/mountinfo || status=1
	rm -f /dev/shm/libpod_* # podman's own
	left=$(find "$TMPDIR" "$HOME" "$XDG_RUNTIME_DIR" /dev/shm -mindepth 1 -maxdepth 1 ! -name 'bats-run-*')
	[ -z "$left" ] || { echo "left: $left"; status=1; }
	left=$(tail -q -n +2 /proc/sysvipc/*)
	[ -z "$left" ] || { echo "left: $left"; status=1; }
	return "$status"
}

# contains LINE...: asserts that the output has these lines.
contains() {
	local line
	for line in "$@"; do
		grep -qxF -e "$line" <<<"$output" || { echo "not there: $line"; echo "output: $output"; return 1; }
	done
}

# Asserts that the output is what `tour` promises.
tour_said() {
	contains 'hello, POSIX' 'hello, System V' 'shared, POSIX' 'shared, System V' 'value while held: 0' \
		'value after wait: 0' 'nothing is left'
}
