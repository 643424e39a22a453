# SPDX-License-Identifier: MIT
# Requests in progress when the right, the connection or the daemon goes.
# shellcheck shell=bash disable=SC2154,SC2016
load common

# A program that writes to a channel and keeps the file open until its process ends.
keeper() {
	as_user "$PEER" /usr/bin/perl -MPOSIX -e '
		my ($path, $text, $flag) = @ARGV;
		open(my $file, ">", $path) or die "$path: $!\n";
		syswrite($file, $text) == length $text or die "$path: $!\n";
		mkdir($flag) or die "$flag: $!\n";
		select(undef, undef, undef, 0.01) until -e "$flag.go";
		POSIX::_exit(0);' "$@"
}

exits_late() {
	local file=$1 flag=$BATS_TEST_TMPDIR/flag.${#JOBS[@]}
	chmod 666 "$Q"
	background keeper "$Q/$file" late "$flag"
	wait_until "[ -e $flag ]"
	chmod "$2" "$Q"
	touch "$flag.go"
	wait "$JOB"
	equals "$(messages)" "$3"
	cat "$Q/drain"
}

@test "an exit sends what was written, unless the process has lost the right" {
	for file in msg lines; do
		each_kind exits_late "$file" 666 1
		each_kind exits_late "$file" 600 0
	done
}

unfinished() {
	local file=$1 flag=$BATS_TEST_TMPDIR/flag.${#JOBS[@]}
	chmod 666 "$Q"
	background keeper "$Q/$file" half "$flag"
	wait_until "[ -e $flag ]"
	stop_mount
	start_mount
	touch "$flag.go"
	wait "$JOB"
	equals "$(messages)" 0
}

@test "the daemon's end sends no incomplete messages" {
	for file in msg lines; do
		each_kind unfinished "$file"
	done
}

@test "umount -f costs no message" {
	local sender got sent outs=() readers=()
	for _ in {1..10}; do
		new_queue sysv
		outs=() readers=()
		for _ in {1..6}; do
			background_output cat "$Q/packets"
			outs+=("$OUT") readers+=("$JOB")
		done
		wait_parked 6
		# Never so many that the queue is full when the last ones are put back.
		background_output /usr/bin/perl -e '
			my $id = msgget(hex $ARGV[0], 0) // die;
			my ($sent, $end) = (0, 0);
			$SIG{TERM} = sub { $end = 1 };
			until ($end) {
				msgsnd($id, pack("l! a*", 1, "message\n"), 04000) && $sent++ for 1 .. 10;
				select(undef, undef, undef, 0.002);
			}
			print "$sent\n";' "$NAME"
		sender=$JOB sent=$OUT
		sleep 0.1 # messages pass meanwhile
		umount -f "$MNT" 2>/dev/null || : # says EBUSY, because of the readers
		daemon_ends
		kill -TERM "$sender"
		wait "$sender"
		wait "${readers[@]}" || : # they have seen the end
		umount -l "$MNT" 2>/dev/null || :
		start_mount
		got=$(cat "${outs[@]}" "$Q/drain" | grep -c '^message$')
		equals "$got" "$(cat "$sent")"
		rmdir "$Q"
	done
}
