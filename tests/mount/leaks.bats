# SPDX-License-Identifier: MIT
# Refused and failed operations leave the daemon as it was: of every kind far more than a thousand, as
# each of some 500 operations is done 500 times.
# shellcheck shell=bash disable=SC2154
load common

setup() {
	common_setup
	# What an operation that failed has been charged for and keeps is used up long before it
	# is done the last time.
	start_mount -o max_opens=40,max_waiters=8,max_objects=12,allow_uid=0:1234
}

@test "what is refused or fails leaves no descriptor, thread, mapping, waiter, holder, object or memory" {
	local memory=1
	# Sanitizers keep freed memory; they look for leaks themselves.
	[ "$SLOW" = 1 ] || memory=0
	run python3 "$BATS_TEST_DIRNAME/leaks.py" "$MNT" "$DAEMON" $((SHORT || SLOW > 1 ? 30 : 500)) "$memory" "${IPCFS_TEST_PATTERN-}"
	echo "$output"
	equals "$status" 0
}
