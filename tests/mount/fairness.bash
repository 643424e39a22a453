# SPDX-License-Identifier: MIT
# For suites about attacks with an innocent user beside them: the 99th percentile of stat, message
# and hold has a bound that no noise reaches. tests/bench/run fairness prints the figures.
# shellcheck shell=bash disable=SC2016,SC2034,SC2154

BOUND=1000 # ms
ENDS=2000  # ms for the daemon, which allows itself 800

prepare_attacks() {
	cp "$PEERS"/{aio,innocent,trapped} "$BATS_TEST_DIRNAME/../tools/attack" "$BATS_TEST_TMPDIR/bin/"
	[ "$SLOW" = 1 ] || BOUND=2000
	# Longer than the bound, or a request that is never answered would not be seen.
	LASTS=$((BOUND * 5 / 4))e-3
	# The processes of an attack.
	BEGUN="$BATS_TEST_TMPDIR/bin/attack|^trapped |^aio "
}

# attacker COMMAND...: runs it as the user who attacks.
attacker() {
	as_user "$PEER" "$@"
}

# attacks NAME [ARGUMENT...]: begins it; $ATTACK is its process.
attacks() {
	background_output attacker attack "$1" "$MNT" "${@:2}"
	ATTACK=$JOB ATTACKS=$OUT
	wait_until 'grep -sqx begun "$OUT" || ! running "$ATTACK"' 60 || { cat "$OUT"; return 1; }
	grep -sqx begun "$OUT" || { cat "$OUT"; return 1; }
}

# innocents: begins what the innocent does, $INNOCENT, and waits until it has its objects.
innocents() {
	background_output as_user 4321 innocent "$MNT" "${1:-$LASTS}" "$BOUND"
	INNOCENT=$JOB INNOCENTS=$OUT
	wait_until 'grep -sqx ready "$INNOCENTS" || ! running "$INNOCENT"' || { cat "$INNOCENTS"; return 1; }
}

# Asserts that the innocent was served in time.
is_served() {
	wait_until 'ended "$INNOCENT"' 20 || { cat "$INNOCENTS"; return 1; }
	tail -n +2 "$INNOCENTS"
	wait "$INNOCENT"
}

# Ends the attack; nothing of it stays, not even a process that could not be killed.
relents() {
	kill -KILL "$ATTACK"
	wait "$ATTACK" || :
	wait_until '! pgrep -f "$BEGUN" >/dev/null' || { ps -o pid=,stat=,wchan=,args= -p "$(pgrep -d , -f "$BEGUN")"; return 1; }
}

# The mount is gone, and so is the daemon, but for threads that the kernel does not let go. One closes
# the daemon's inotify(7), for which the kernel waits until a process has run that it has interrupted
# in a notification: on a busy machine for seconds.
is_gone() {
	! grep -q " $MNT " /proc/self/mountinfo || return 1
	ended "$DAEMON" || grep -qs flush_work "/proc/$DAEMON/wchan"
}

# Prints what the daemon has in memory of its own, in KiB. (It maps segments, too.)
resident() {
	awk '/^RssAnon/ {print $2}' "/proc/$DAEMON/status"
}

# beside NAME [ARGUMENT...]: the innocent is served without the attack and beside it, and the daemon
# ends in time beside it. $GROWTH: what the attack costs the daemon's memory, in KiB.
beside() {
	local before
	innocents 0.3
	is_served
	before=$(resident)
	attacks "$@"
	innocents
	is_served
	GROWTH=$(($(resident) - before))
	kill -TERM "$DAEMON"
	within "$ENDS" wait_until is_gone
	relents
	daemon_ends
}

# after NAME [ARGUMENT...]: when the attack ends, the daemon serves on as if nothing had been.
after() {
	innocents 0.3
	is_served
	attacks "$@"
	# Requests that were held up have been answered, and their nodes forgotten.
	innocents 1
	is_served
	echo 2 >/proc/sys/vm/drop_caches 2>/dev/null || :
	relents
	innocents 0.3
	is_served
	within "$ENDS" stop_mount
}

# keeps NAME: the same; what the daemon keeps for the attacker is bounded.
keeps() {
	stop_mount
	start_mount -o max_bytes=8M
	beside "$1"
	cat "$ATTACKS"
	echo "$GROWTH KiB more"
	# Sanitizers keep freed memory.
	[ "$SLOW" != 1 ] || [ "$GROWTH" -lt 40000 ]
}
