#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Every message is accounted for exactly once while processes are killed. IPCFS_TEST_SECONDS says
# how long each family is tried.
load common

@test 'POSIX: nothing lost, doubled, cut or out of order while processes are killed' {
	"$PEERS/conservation" "$MNT" "${IPCFS_TEST_SECONDS:-$((SHORT ? 2 : 5))}" posix
}

@test 'System V: nothing lost, doubled, cut or out of order while processes are killed' {
	"$PEERS/conservation" "$MNT" "${IPCFS_TEST_SECONDS:-$((SHORT ? 2 : 5))}" sysv
}
