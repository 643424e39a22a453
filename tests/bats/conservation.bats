#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Every message is accounted for exactly once, whoever is killed. IPCFS_TEST_SECONDS says for how
# long each kind of queue is tried.
load common

@test 'POSIX: nothing lost, doubled, cut or out of order while processes are killed' {
	"$PEERS/conservation" "$MNT" "${IPCFS_TEST_SECONDS:-$((SHORT ? 2 : 5))}" posix
}

@test 'System V: nothing lost, doubled, cut or out of order while processes are killed' {
	"$PEERS/conservation" "$MNT" "${IPCFS_TEST_SECONDS:-$((SHORT ? 2 : 5))}" sysv
}
