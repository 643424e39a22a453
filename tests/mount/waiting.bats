# SPDX-License-Identifier: MIT
# Nothing is ever stuck: a waiting caller can be interrupted, blocks no other caller, and learns of
# the queue's end.
# shellcheck shell=bash disable=SC2154,SC2016
load common

killed_readers() {
	local file signal
	for file in msg lines tagged packets records; do
		for signal in INT TERM KILL HUP; do
			# A background job of a script ignores SIGINT; env resets that.
			background env --default-signal=INT cat "$Q/$file"
			wait_parked 1
			kill -"$signal" "$JOB"
			within 1000 wait_until "ended $JOB"
			echo kept >"$Q/msg"
			equals "$(messages)" 1
			equals "$(cat "$Q/drain")" kept
		done
	done
}

@test "a waiting reader dies of a signal at once and takes nothing" {
	each_kind killed_readers
}

killed_writers() {
	local file signal full
	fill
	full=$(messages)
	for file in msg lines packets; do
		for signal in INT TERM KILL HUP; do
			background env --default-signal=INT bash -c "echo lost >\"\$Q/$file\""
			wait_parked 1
			kill -"$signal" "$JOB"
			within 1000 wait_until "ended $JOB"
			equals "$(messages)" "$full"
		done
	done
	wait_until '[ "$(parked)" = 0 ]'
	cat "$Q/drain" | grep lost && return 1
	equals "$(messages)" 0
}

@test "a waiting writer dies of a signal at once, and its message is not sent" {
	each_kind killed_writers
}

@test "a signal with a handler ends a read with EINTR" {
	local kind
	for kind in posix sysv; do
		new_queue "$kind"
		run timeout 10 /usr/bin/perl -e '
			open(my $f, "<", "$ENV{Q}/msg") or die;
			$SIG{ALRM} = sub { print "alarm "; };
			alarm 1;
			my $n = sysread($f, my $x, 100);
			print defined $n ? "got" : $!{EINTR} ? "EINTR" : $!;'
		equals "$status $output" '0 alarm EINTR'
	done
}

@test "signals that are ignored unless caught cost a waiting writer no message" {
	local kind signal
	for kind in posix sysv; do
		new_queue "$kind"
		fill
		background bash -c 'echo through >"$Q/msg"'
		wait_parked 1
		for signal in CHLD CONT URG WINCH CHLD; do
			kill -"$signal" "$JOB"
			meanwhile 0.05
			running "$JOB"
		done
		cat "$Q/drain" >/dev/null
		wait "$JOB"
		equals "$(cat "$Q/drain")" through
		# Nor do they hide the signal that ends the wait.
		fill
		background bash -c 'echo never >"$Q/msg"'
		wait_parked 1
		kill -CHLD "$JOB"
		meanwhile 0.05
		kill -KILL "$JOB"
		wait_until 'ended $JOB' || { kill -KILL "$DAEMON"; return 1; }
		equals "$(grep -c never "$Q/drain")" 0
	done
}

held_up() {
	local file=$1 before
	fill
	exec 7>"$Q/$file"
	background bash -c "exec 7>&-; echo waits >\"\$Q/$file\""
	wait_parked 1
	# Everything that needs no room in the queue goes on.
	within 1000 stat "$Q" "$Q/$file" >/dev/null
	within 1000 bash -c "exec 9>\"\$Q/$file\""
	within 1000 bash -c "exec 9<>\"\$Q/$file\""
	within 1000 bash -c ": >\"\$Q/$file\""
	within 1000 bash -c ": >>\"\$Q/$file\""
	within 1000 truncate -s 0 "$Q/$file"
	within 1000 chmod 640 "$Q/$file"
	within 1000 chmod 600 "$Q"
	within 1000 chown 0:0 "$Q/$file"
	within 1000 touch "$Q/$file"
	within 1000 fails 'not permitted' rm -f "$Q/$file"
	within 1000 fails 'Resource temporarily unavailable' bash -c "head -c 2000 /dev/zero | dd of=\"\$Q/packets\" oflag=nonblock bs=2000 iflag=fullblock"
	within 1000 ls -lR "$Q" >/dev/null
	within 1000 cat "$Q/status" >/dev/null
	# A second writer, another one by the descriptor from before, and a reader.
	background bash -c "exec 7>&-; echo waits too >\"\$Q/$file\""
	local second=$JOB
	background bash -c 'echo and this >&7; exec 7>&-'
	local third=$JOB
	exec 7>&-
	wait_parked 3
	within 1000 bash -c 'head -n 3 "$Q/lines" >/dev/null'
	wait "$second" "$third"
	wait "${JOBS[0]}"
	JOBS=()
	equals "$(cat "$Q/drain" | tail -n 3 | sort)" $'and this\nwaits\nwaits too'
}

@test "a writer of msg that waits on a full queue blocks no other caller" {
	each_kind held_up msg
}

@test "a writer of lines that waits on a full queue blocks no other caller" {
	each_kind held_up lines
}

@test "a writer of packets that waits on a full queue blocks no other caller" {
	each_kind held_up packets
}

removed() {
	local how file
	for how in rmdir direct; do
		[ -d "$Q" ] || mkdir "$Q"
		local readers=() outs=()
		for file in msg lines tagged packets records; do
			background_output cat "$Q/$file"
			readers+=("$JOB") outs+=("$OUT")
		done
		wait_parked 5
		if [ "$how" = rmdir ]; then
			within 1000 rmdir "$Q"
		else
			mqtool "$KIND" "$NAME" remove
		fi
		for file in 0 1 2 3 4; do
			within 1000 wait_until "ended ${readers[file]}"
			grep 'Identifier removed' "${outs[file]}"
		done
		mkdir "$Q"
		fill
		for file in lines packets; do
			background_output bash -c "(head -c 1000 /dev/zero | tr '\\0' x; echo) | dd bs=2000 iflag=fullblock of=\"\$Q/$file\""
			readers+=("$JOB") outs+=("$OUT")
		done
		wait_parked 2
		if [ "$how" = rmdir ]; then
			within 1000 rmdir "$Q"
		else
			mqtool "$KIND" "$NAME" remove
		fi
		for file in 5 6; do
			within 1000 wait_until "ended ${readers[file]}"
			grep 'Identifier removed' "${outs[file]}"
		done
		JOBS=()
	done
}

@test "removing a queue wakes its waiting callers, by the mount or by a direct call" {
	each_kind removed
}

@test "a caller that opened a queue before its removal gets EIDRM" {
	new_queue sysv
	exec 8<"$Q/msg" 9>"$Q/msg"
	rmdir "$Q"
	mkdir "$Q"
	echo other >"$Q/msg"
	fails 'Identifier removed' bash -c 'cat <&8'
	fails 'Identifier removed' bash -c 'echo x >&9'
	equals "$(messages)" 1
	exec 8<&- 9>&-
	new_queue posix
	echo rest >"$Q/msg"
	exec 8<"$Q/lines"
	rmdir "$Q"
	mkdir "$Q"
	equals "$(timeout 5 head -n 1 <&8)" rest
	fails 'Identifier removed' bash -c 'cat <&8'
	exec 8<&-
	equals "$(messages)" 0
}

@test "thirty waiting callers leave the session free" {
	local i
	new_queue posix
	for ((i = 0; i < 15; i++)); do
		background cat "$Q/msg"
	done
	new_queue sysv
	for ((i = 0; i < 15; i++)); do
		background cat "$Q/msg"
	done
	wait_parked 30
	within 1000 ls -lR "$MNT" >/dev/null
	within 1000 mkdir "$MNT/sysv/msg/0x9"
	within 1000 bash -c 'echo x >"$MNT/sysv/msg/0x9/msg"; cat "$MNT/sysv/msg/0x9/msg"'
	for i in "${JOBS[@]}"; do
		kill -KILL "$i"
	done
	within 1000 wait_until '[ "$(parked)" = 0 ]'
}

@test "limits on waiters, for each user and for all, refuse the next one" {
	stop_mount
	start_mount -o max_waiters=3,max_waiters_all=5
	local i
	new_queue posix "$PEER" -m 666
	chmod 666 "$Q"
	for i in 1 2 3; do
		background as_user "$PEER" cat "$Q/msg"
	done
	wait_parked 3
	fails 'Resource temporarily unavailable' as_user "$PEER" cat "$Q/msg"
	fails 'Resource temporarily unavailable' as_user "$PEER" cat "$Q/lines"
	for i in 1 2; do
		background as_user 4321 cat "$Q/msg"
	done
	wait_parked 5
	fails 'Resource temporarily unavailable' as_user 4321 cat "$Q/msg"
	# A request that need not wait is never refused.
	local posix=$Q
	new_queue sysv "$PEER"
	as_user "$PEER" bash -c 'echo x >"$Q/msg"; cat "$Q/msg"'
	kill -KILL "${JOBS[0]}"
	wait_until '[ "$(parked)" = 4 ]'
	background as_user 4321 cat "$posix/msg"
	wait_parked 5
}

@test "a refused writer sees it at write" {
	stop_mount
	start_mount -o max_waiters=1
	local kind
	for kind in posix sysv; do
		new_queue "$kind" "$PEER"
		fill
		background as_user "$PEER" bash -c 'echo waits >"$Q/lines"'
		wait_parked 1
		fails 'Resource temporarily unavailable' as_user "$PEER" bash -c 'echo refused >"$Q/lines"'
		kill -KILL "$JOB"
		wait_until '[ "$(parked)" = 0 ]'
	done
}

poll_waits() {
	background_output /usr/bin/python3 -c '
import os, select
fd = os.open(os.environ["Q"] + "/msg", os.O_RDONLY)
poll = select.poll()
poll.register(fd, select.POLLIN)
assert poll.poll(0) == []
print("polls", flush=True)
print(poll.poll(20000) != [], flush=True)'
	local job=$JOB
	wait_until 'grep -q polls "$OUT"'
	within 1000 rmdir "$Q"
	within 1000 wait_until "ended $job"
	equals "$(cat "$OUT")" $'polls\nTrue'
}

@test "poll is woken by the removal" {
	each_kind poll_waits
}

@test "a killed program is never stuck, whatever it waits for" {
	local i kind
	for kind in posix sysv; do
		new_queue "$kind"
		for i in $(seq 30); do
			background cat "$Q/msg"
			kill -KILL "$JOB"
		done
		within 2000 wait_until '[ "$(parked)" = 0 ]'
		echo kept >"$Q/msg"
		equals "$(cat "$Q/drain")" kept
	done
}

@test "the queue is intact after readers were killed in mid-stream" {
	local kind i
	for kind in posix sysv; do
		new_queue "$kind"
		background bash -c 'seq 3000 >"$Q/lines"'
		local writer=$JOB
		for i in $(seq 10); do
			background cat "$Q/msg" >/dev/null
			kill -KILL "$JOB" 2>/dev/null || true # it may have its message already
		done
		wait_until '[ "$(parked)" -le 1 ]'
		background_output cat "$Q/lines"
		wait "$writer"
		# A lost message went to a reader that was killed after its receive: at most one
		# each. Messages that were put back may come after the last line.
		wait_until "[ \$(wc -l <'$OUT') -ge 2990 ]" || { wc -l "$OUT"; cat "$Q/status"; return 1; }
		kill "$JOB"
		wait "$JOB" || :
		equals "$(sort -n "$OUT" | uniq -d)" ''
	done
}

closed_by_signal() {
	local signal
	for signal in ALRM TERM USR1; do
		fill
		background_output perl -e '
			$SIG{$ARGV[0]} = sub { };
			open(my $f, ">", "$ENV{Q}/msg") or die;
			syswrite($f, "kept") or die;
			close($f) or die "close: $!";
			print "closed";' "$signal"
		wait_parked 1
		kill -"$signal" "$JOB"
		within 1000 wait_until "ended $JOB"
		equals "$(cat "$OUT")" closed
		cat "$Q/drain" >/dev/null
		wait_until '[ "$(messages)" = 1 ]'
		equals "$(cat "$Q/drain")" kept
	done
}

@test "a signal that is caught ends a close, and its message is sent all the same" {
	each_kind closed_by_signal
}

@test "what closes hand to the daemon is not refused by the limit on waiters" {
	stop_mount
	start_mount -o max_waiters=1
	local kind i
	for kind in posix sysv; do
		new_queue "$kind" "$PEER"
		for i in 1 2 3 4 5; do
			background as_user "$PEER" perl -e '
				$SIG{USR1} = sub { };
				open(my $f, ">", "$ENV{Q}/msg") or die;
				syswrite($f, "kept") or die;
				open(my $w, ">", $ARGV[0]) or die;
				print $w "written\n";
				close($w);
				select(undef, undef, undef, 0.02) until -e $ARGV[1];
				close($f) or die "close: $!";' "$BATS_TEST_TMPDIR/written.$kind.$i" "$BATS_TEST_TMPDIR/go.$kind"
		done
		wait_until '[ "$(cat "$BATS_TEST_TMPDIR"/written.'"$kind"'.* 2>/dev/null | wc -l)" = 5 ]'
		fill
		touch "$BATS_TEST_TMPDIR/go.$kind"
		wait_parked 5
		kill -USR1 "${JOBS[@]}"
		for i in "${JOBS[@]}"; do
			wait "$i"
		done
		JOBS=()
		cat "$Q/drain" >/dev/null
		wait_until '[ "$(messages)" = 5 ]'
		equals "$(cat "$Q/drain" | grep -c kept)" 5
	done
}
