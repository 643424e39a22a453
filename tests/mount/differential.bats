#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The mount shows what the direct calls say.
load common

@test 'hundreds of random queues are shown as direct calls, ipcs and lsipc show them' {
	"$PEERS/differential" "$MNT" 300
}

@test 'few queues, changed again and again on both sides' {
	local round
	for round in 1 2 3; do
		"$PEERS/differential" "$MNT" 10
	done
}
