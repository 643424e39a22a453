#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# poll, select and epoll; many readers that wait.
load common

@test 'poll, select and epoll tell what can be read and written' {
	"$PEERS/pollers" "$MNT"
}

@test 'a hundred readers of one queue wait, and end at a signal' {
	"$PEERS/blockers" "$MNT" 100 posix one "$DAEMON"
	"$PEERS/blockers" "$MNT" 100 sysv one "$DAEMON"
}

@test 'a hundred readers of a queue each wait, and end at a signal' {
	"$PEERS/blockers" "$MNT" 100 posix many "$DAEMON"
	"$PEERS/blockers" "$MNT" 100 sysv many "$DAEMON"
}
