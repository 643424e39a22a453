# SPDX-License-Identifier: MIT
# Processes that wait can be stopped, continued and traced, and lose nothing by it.
# shellcheck shell=bash disable=SC2154,SC2016
load common
load semaphore
load stopping

@test "SIGSTOP and SIGCONT: each message is sent and taken once, or refused" {
	each_file by_signals
}

@test "SIGTSTP and SIGCONT: each message is sent and taken once, or refused" {
	each_file by_terminal_signals
}

@test "a debugger: each message is sent and taken once, or refused" {
	each_file by_tracing
}

@test "SIGSTOP, SIGTSTP and a debugger: each semaphore is taken once, or not at all" {
	each_semaphore_file by_signals
	each_semaphore_file by_terminal_signals
	each_semaphore_file by_tracing
}

# on_terminal LINE SHELL...: what is sent is what the status says.
on_terminal() {
	local line=$1 got status how
	shift
	fill
	got=$(STOPS=${STOPS-stopped} /usr/bin/python3 "$BATS_TEST_DIRNAME/terminal.py" "$line" 'mqtool "$KIND" "$NAME" receive >/dev/null; mqtool "$KIND" "$NAME" receive >/dev/null' "$@") ||
		{ echo "$got"; return 1; }
	read -r status how <<<"$got"
	echo "$line in $*: status $status $how"
	wait_until '[ "$(messages)" -gt 0 ]'
	if [ "$status" = 0 ]; then
		wait_until 'cat "$Q/drain" | tail -n 1 | grep -x new'
	elif [ "${STOPS-stopped}" ]; then
		cat "$Q/drain" | grep -x new && return 1
	else
		# ksh93 catches the signal and gives up its command, whose close has succeeded.
		cat "$Q/drain"
	fi
	[ "$how" = "${STOPS-stopped}" ]
	equals "$(messages)" 0
}

# A stopped writer's message is handed to the daemon, and keeps its place.
place_kept() {
	local first
	fill
	background bash -c 'echo first >"$Q/lines"'
	first=$JOB
	wait_parked 1
	background bash -c 'echo second >"$Q/lines"'
	wait_parked 2
	kill -STOP "$first"
	wait_until "in_state $first T"
	mqtool "$KIND" "$NAME" receive >/dev/null
	mqtool "$KIND" "$NAME" receive >/dev/null
	wait_until 'ended $JOB'
	equals "$(tail -n 2 "$Q/drain" | xargs)" 'first second'
	kill -CONT "$first"
	wait "$first"
}

@test "a writer that is stopped keeps its place" {
	each_kind place_kept
}

@test "Ctrl-Z and fg in an interactive shell: the exit status tells whether the message was sent" {
	local shell kind
	for kind in "${KINDS[@]}"; do
		new_queue "$kind"
		for shell in 'bash --norc -i' 'dash -i' 'busybox ash -i' 'zsh -f -i' 'ksh93 -i' 'mksh -i' 'yash --norcfile -i'; do
			# shellcheck disable=SC2086 # a shell has options
			on_terminal '/bin/echo new >"$Q/msg"' $shell
			# shellcheck disable=SC2086
			on_terminal '(echo new >"$Q/msg")' $shell
			# The shell itself waits, and a shell does not stop.
			# shellcheck disable=SC2086
			STOPS='' on_terminal 'echo new >"$Q/msg"' $shell
			[ "$SHORT" = 0 ] || break
		done
	done
}

storm() {
	local i pids got=$BATS_TEST_TMPDIR/got.$KIND many=$((SHORT ? 100 : 300))
	begin_jobs storm
	starts msg bash -c 'for ((i = 0; i < '$many'; i++)); do echo "msg $i" >"$Q/msg" || echo "msg $i"; done'
	starts lines bash -c 'for ((i = 0; i < '$many'; i++)); do echo "lines $i" || echo "lines $i" >&2; done >"$Q/lines"'
	starts program bash -c 'for ((i = 0; i < '$many'; i++)); do /bin/echo "program $i" >"$Q/msg" || echo "program $i"; done'
	background bash -c 'while :; do head -n 1 "$Q/lines" >>"$0" 2>/dev/null; done' "$got"
	local reader=$JOB
	for ((i = 0; i < 100; i++)); do
		pids=$(waiting_pids)
		# shellcheck disable=SC2086 # several pids; some have ended
		kill -STOP $pids 2>/dev/null || :
		# shellcheck disable=SC2086
		kill -CONT $pids 2>/dev/null || :
		! jobs_ended || break
	done
	wait_until jobs_ended 60
	wait_until '[ "$(messages)" = 0 ] && [ "$(wc -l <"'"$got"'")" -ge $((3 * '$many' - $(cat "$JOBS_DIR"/*.out | wc -l))) ]' 60 ||
		{ wc -l "$got"; cat "$JOBS_DIR"/*.out; return 1; }
	kill -KILL "$reader"
	# Those that were refused have not been sent, and all others once.
	equals "$(sort "$got" "$JOBS_DIR"/*.out | cksum)" \
		"$(for ((i = 0; i < many; i++)); do printf '%s\n' "msg $i" "lines $i" "program $i"; done | sort | cksum)"
}

@test "writers and a reader that are stopped all the time: nothing is lost or doubled" {
	each_kind storm
}

@test "processes that make objects can be stopped: each is made once, or refused" {
	local i pid many=$((SHORT ? 20 : 100))
	begin_jobs makers
	starts makers bash -c 'for ((i = 0; i < '$many'; i++)); do echo sysv/msg/private >"$0" || echo refused; done' "$MNT/create"
	wait_until '[ -s "$JOBS_DIR/makers.pid" ]'
	pid=$(cat "$JOBS_DIR/makers.pid")
	for ((i = 0; i < 50; i++)); do
		kill -STOP "$pid" 2>/dev/null || break
		wait_until "has_stopped $pid || jobs_ended"
		"$PEERS/tracer" "$pid" 2>/dev/null || :
		kill -CONT "$pid" 2>/dev/null || break
	done
	wait_until jobs_ended
	equals "$(ls "$MNT/sysv/msg" | wc -l)" $((many - $(grep -c refused "$JOBS_DIR/makers.out")))
}
