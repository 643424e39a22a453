#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The mount lets a caller do what the same caller could do with the direct call, and nothing more.
load common

@test 'every operation by every caller, on every class and mode, is as the direct call' {
	"$PEERS/matrix" "$MNT" $((SLOW > 1 ? 4 : 16))
}
