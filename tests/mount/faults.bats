# SPDX-License-Identifier: MIT
# Moments that only a held daemon shows, and what is missing when it is asked for. Only in a build with
# -Dfault_points=true: see README.md.
# shellcheck shell=bash disable=SC2154,SC2016,SC2030,SC2031,SC2119,SC2120,SC2153
load common
load semaphore
load supervise

setup() {
	common_setup
	cp "$PEERS/semtool" "$BATS_TEST_TMPDIR/bin/"
	export IPCFS_FAULTS=$BATS_TEST_TMPDIR/faults
	mkdir -m 777 "$IPCFS_FAULTS"
	at object.left 'fail 1'
	at quota.left 'fail 1'
	# What an operation that failed is charged for and keeps is used up soon.
	start_mount -o max_opens=20,max_waiters=3,max_objects=20,max_leases=3,max_bytes=1M
}

# A test that failed leaves no thread held. What a daemon that ended in order still counted, or had
# references to, was never given back.
teardown() {
	find "$IPCFS_FAULTS" -name '*.*' ! -name '*.left*' -delete
	common_teardown
	not compgen -G "$IPCFS_FAULTS/*.left.reached"
}

# at POINT ORDER: the daemon does this when it comes to the point.
at() {
	echo "$2" >"$IPCFS_FAULTS/$1"
}

reached() {
	wait_until "[ -e $IPCFS_FAULTS/$1.reached ]"
}

go_on() {
	rm "$IPCFS_FAULTS/$1" "$IPCFS_FAULTS/$1.reached"
}

# kill_caller PID: kills a caller whose request the daemon has taken. The caller ends only after
# the reply; the daemon has been told when this returns.
kill_caller() {
	kill -KILL "$1"
	wait_until "grep -q '^State:.*D ' /proc/$1/status"
	# The kernel sends what the daemon is told about killed callers before any other request.
	for _ in 1 2 3; do stat -f "$MNT" >/dev/null; done
}

# dies_at POINT COMMAND...: the daemon kills itself there while the command runs. The mount is
# made again.
dies_at() {
	local point=$1
	shift
	at "$point" kill
	background "$@"
	has_died "$point"
}

has_died() {
	local status=0
	wait_until '! running "$DAEMON"'
	wait "$DAEMON" 2>/dev/null || status=$?
	equals "$status" 137
	wait "$JOB" 2>/dev/null || :
	rm "$IPCFS_FAULTS/$1"
	umount -l "$MNT"
	start_mount
}

reader_killed() {
	local way=$1 file=$2
	[ "$way" = waiting ] || mqtool "$KIND" "$NAME" send 1 message
	at read.answer hold
	background dd if="$Q/$file" bs=16384 count=1 status=none
	if [ "$way" = waiting ]; then
		wait_parked 1
		mqtool "$KIND" "$NAME" send 1 message
	fi
	reached read.answer
	equals "$(messages)" 0
	kill_caller "$JOB"
	go_on read.answer
	wait_until 'ended $JOB'
	wait_until '[ "$(messages)" = 1 ]'
	equals "$(mqtool "$KIND" "$NAME" tagged)" $'1\tmessage'
}

@test "a reader that is killed after its message was taken loses nothing" {
	local file
	for file in msg packets lines tagged records; do
		each_kind reader_killed at_once "$file"
		each_kind reader_killed waiting "$file"
	done
}

several_taken() {
	local i order=$'1\tmessage1\n2\tmessage2\n3\tmessage3'
	[ "$KIND" = sysv ] || order=$(tac <<<"$order") # by priority
	for i in 1 2 3; do mqtool "$KIND" "$NAME" send "$i" "message$i"; done
	at read.answer hold
	background dd if="$Q/$1" bs=100000 count=1 status=none
	reached read.answer
	equals "$(messages)" 0
	kill_caller "$JOB"
	go_on read.answer
	wait_until 'ended $JOB'
	wait_until '[ "$(messages)" = 3 ]'
	for i in 1 2 3; do mqtool "$KIND" "$NAME" tagged; done >"$BATS_TEST_TMPDIR/got"
	equals "$(cat "$BATS_TEST_TMPDIR/got")" "$order"
}

@test "a reader that is killed after many messages were taken loses none of them, and they keep their order" {
	each_kind several_taken lines
	each_kind several_taken tagged
	each_kind several_taken records
}

lease_reader_killed() {
	[ "$1" = waiting ] || mqtool "$KIND" "$NAME" send 1 message
	at lease.answer hold
	background bash -c 'exec 9<>"$Q/lease"; exec dd bs=16384 count=1 status=none <&9'
	if [ "$1" = waiting ]; then
		wait_parked 1
		mqtool "$KIND" "$NAME" send 1 message
	fi
	reached lease.answer
	equals "$(messages)" 0
	kill_caller "$JOB"
	go_on lease.answer
	wait_until 'ended $JOB'
	wait_until '[ "$(messages)" = 1 ]'
	grep -qx leased=0 "$Q/status"
	equals "$(mqtool "$KIND" "$NAME" tagged)" $'1\tmessage'
}

@test "a reader of lease that is killed before it has its message: the message is back" {
	each_kind lease_reader_killed at_once
	each_kind lease_reader_killed waiting
}

# The daemon dies when it has taken the message, before the reader has it; and when it is about to
# send the message back.
leased_once() {
	local point
	for point in lease.answer lease.return; do
		mqtool "$KIND" "$NAME" send 1 message
		dies_at "$point" bash -c 'exec 9<>"$Q/lease"; cat <&9; exec 9>&-'
		wait_until '[ "$(messages)" = 1 ]'
		equals "$(mqtool "$KIND" "$NAME" tagged)" $'1\tmessage'
		meanwhile 0.2
		equals "$(messages)" 0 # it was not sent twice
	done
}

@test "the daemon dies with a message that is leased: the message is there once" {
	each_kind leased_once
}

waiter_killed() {
	echo 0 >"$S/value"
	background bash -c 'echo >"$S/wait"'
	wait_parked 1
	at operation.answer hold
	direct_post
	reached operation.answer
	equals "$(direct_value)" 0
	kill_caller "$JOB"
	go_on operation.answer
	value_is 1
	wait_until 'ended $JOB'
}

@test "a waiter that is killed after its semaphore was taken gives it back" {
	each_semaphore waiter_killed
}

opener_killed() {
	local way=$1 point
	for point in hold.taken hold.reply; do
		[ "$way" != waiting ] || echo 0 >"$S/value"
		[ "$way" = waiting ] || at "$point" hold
		background bash -c 'exec 9>"$S/hold"; sleep 60'
		if [ "$way" = waiting ]; then
			wait_parked 1
			at "$point" hold
			direct_post
		fi
		reached "$point"
		equals "$(direct_value)" 0
		kill_caller "$JOB"
		go_on "$point"
		value_is 1
		wait_until '[ "$(state holders)" = 0 ]'
	done
}

@test "an opener that is killed before the reply gives its hold back" {
	each_semaphore opener_killed at_once
	each_semaphore opener_killed waiting
}

monitor_killed_inside() {
	local first
	rm -f "$BATS_TEST_TMPDIR/woken"
	# The file stays open here: its close is not what leaves.
	exec 9>"$S/monitor"
	background bash -c 'echo wait other >&9'
	first=$JOB
	wait_until 'grep -qx "waiter_._condition=other" "$O/status"'
	background bash -c 'exec 9>&-; exec 9>"$S/monitor"; echo wait other >&9; echo woken >"$1"' - "$BATS_TEST_TMPDIR/woken"
	wait_until '[ "$(grep -cx "waiter_._condition=other" "$O/status")" = 2 ]'
	at monitor.answer hold
	{ echo notify other >&8; } 8>"$S/monitor"
	reached monitor.answer
	kill_caller "$first"
	go_on monitor.answer
	wait_until '[ -e "$BATS_TEST_TMPDIR/woken" ]'
	value_is 1
	equals "$(state holders) $(state waiters)" '0 0'
	exec 9>&-
}

@test "a waiter in a monitor that is killed after it was woken leaves, and wakes the next one" {
	each_semaphore monitor_killed_inside
}

monitor_parked() {
	# It is killed, and its file closed, before its hold was given back.
	at monitor.parked hold
	background bash -c 'exec 9>"$S/monitor"; echo wait >&9; sleep 60'
	reached monitor.parked
	kill -KILL "$JOB"
	wait_until 'ended $JOB'
	equals "$(direct_value)" 0
	go_on monitor.parked
	value_is 1
	wait_until '[ "$(state holders) $(state waiters)" = "0 0" ]'
	# A notification of that moment is not missed.
	echo 2 >"$S/value"
	at monitor.parked hold
	background bash -c 'exec 9>"$S/monitor"; echo wait >&9'
	reached monitor.parked
	{ echo notify >&9; } 9>"$S/monitor"
	wait_until 'ended $JOB'
	wait "$JOB"
	go_on monitor.parked
	value_is 2
}

@test "what comes while a waiter leaves its monitor finds it waiting" {
	each_semaphore monitor_parked
}

two_reads() {
	printf 'aaaa\nbbbb\n' >"$Q/lines"
	at read.answer hold
	exec 9<"$Q/lines"
	background_output bash -c 'exec dd bs=2 count=1 status=none <&9'
	local first=$OUT pid=$JOB second
	reached read.answer
	second=$(dd bs=2 count=1 status=none <&9)
	go_on read.answer
	wait "$pid"
	# in the order of the replies
	equals "$second$(cat "$first")$(head -c 6 <&9 | tr '\n' .)" bbbb.aaaa.
	exec 9<&-
}

@test "two reads of one open file mix no messages" {
	each_kind two_reads
}

# What a user sees of permissions.
permissions() {
	stat -c '%a %u %g' "$1"
	getfacl -cEn "$1"
}

not_stored() {
	local object=$1 point=$2 error=$3 before list
	shift 3
	for list in '' yes; do
		[ -z "$list" ] || setfacl -m "u:$PEER:rw" "$object"
		before=$(permissions "$object")
		at "$point" "fail $error"
		# Without a list, chmod and chown store none.
		if [ -n "$list" ] || [ "$1" = setfacl ]; then
			echo "$point, $error, list '$list': $*"
			run "$@" "$object"
			[ "$status" != 0 ]
			[ -e "$IPCFS_FAULTS/$point.reached" ]
			equals "$(permissions "$object")" "$before"
			rm "$IPCFS_FAULTS/$point.reached"
		fi
		rm "$IPCFS_FAULTS/$point"
		"$@" "$object"
		[ "$(permissions "$object")" != "$before" ]
		setfacl -b "$object"
		chown 0:0 "$object"
		chmod 600 "$object"
	done
}

@test "a chmod, chown or setfacl whose list can't be stored changes nothing" {
	local class object point
	for class in posix/mq sysv/msg sysv/sem sysv/shm; do
		object=$MNT/$class/0x00000071
		mkdir -m 600 "$object"
		for point in permission.changed acl.write acl.commit; do
			not_stored "$object" "$point" 5 chmod 606
			not_stored "$object" "$point" 12 chown "$PEER:$PEER"
			not_stored "$object" "$point" 5 setfacl -m u:4321:rw
		done
		not_stored "$object" acl.write 28 setfacl -m u:4321:rw
		rmdir "$object"
	done
}

@test "a chmod or setfacl that takes rights away succeeds where its list can't be written" {
	local class object file
	for class in posix/mq sysv/msg sysv/sem sysv/shm; do
		object=$MNT/$class/0x00000072
		case $class in
		*/sem) file=op ;;
		*/shm) file=data ;;
		*) file=msg ;;
		esac
		mkdir -m 600 "$object"
		setfacl -m "u:$PEER:rw,u:4321:rw" "$object"
		at acl.write 'fail 28'
		setfacl -m "u:$PEER:r" "$object"
		as_user "$PEER" test -r "$object"
		not as_user "$PEER" test -w "$object/$file"
		setfacl -x "u:$PEER" "$object"
		not as_user "$PEER" test -r "$object"
		as_user 4321 test -w "$object/$file"
		chmod 600 "$object"
		not as_user 4321 test -r "$object"
		# What grants more is refused, and is no reason to lose what is in memory.
		fails 'No space left' chmod 660 "$object"
		[ -e "$IPCFS_FAULTS/acl.write.reached" ]
		not as_user 4321 test -r "$object"
		grep -q "$class/.* is kept in memory for now" "$LOG"
		rm "$IPCFS_FAULTS"/acl.write*
		kill -KILL "$DAEMON"
		wait "$DAEMON" || :
		umount -l "$MNT"
		start_mount
		not as_user 4321 test -r "$object"
		rmdir "$object"
	done
}

@test "a list that can't replace another one is not there at the next start" {
	local class object before
	for class in posix/mq sysv/msg; do
		object=$MNT/$class/0x00000073
		mkdir -m 600 "$object"
		setfacl -m "u:$PEER:r" "$object"
		before=$(permissions "$object")
		at acl.void 'fail 5'
		fails 'Input/output error' setfacl -m u:4321:rw "$object"
		[ -e "$IPCFS_FAULTS/acl.void.reached" ]
		rm "$IPCFS_FAULTS"/acl.void*
		equals "$(permissions "$object")" "$before"
		stop_mount
		start_mount
		equals "$(permissions "$object")" "$before"
		rmdir "$object"
	done
}

@test "a list that can't be removed stays, with its mode" {
	local before
	new_queue posix
	setfacl -m "u:$PEER:rw" "$Q"
	before=$(permissions "$Q")
	at acl.remove 'fail 5'
	fails 'Input/output error' setfacl -b "$Q"
	equals "$(permissions "$Q")" "$before"
	rm "$IPCFS_FAULTS"/acl.remove*
	setfacl -b "$Q"
	not grep -q "$PEER" <(permissions "$Q")
}

# after_kill POINT OBJECT COMMAND...: permissions are the old or the new ones.
after_kill() {
	local point=$1 object=$2 before after new
	shift 2
	before=$(permissions "$object")
	dies_at "$point" "$@" "$object"
	after=$(permissions "$object")
	"$@" "$object"
	new=$(permissions "$object")
	[ "$before" != "$new" ]
	# Without its list, an object has the mode that the list gives to direct calls, which is
	# less.
	[ "$after" = "$before" ] || [ "$after" = "$new" ] || not grep -q '^user:[0-9]' <<<"$after"
	as_user 4322 bash -c 'exec 9<"$0/msg"' "$object" 2>/dev/null && return 1
	setfacl -b "$object"
	chmod 600 "$object"
}

@test "a daemon that is killed while a list changes leaves nobody with more rights" {
	local kind point
	for kind in posix sysv; do
		new_queue "$kind"
		for point in permission.changed acl.write acl.commit acl.void; do
			after_kill "$point" "$Q" setfacl -m "u:$PEER:rw,u:4322:-"
			setfacl -m "u:$PEER:rw" "$Q"
			after_kill "$point" "$Q" setfacl -m "u:4321:rw"
			setfacl -m "u:$PEER:rw" "$Q"
			after_kill "$point" "$Q" chmod 640
		done
	done
}

reader_and_daemon() {
	local point
	mqtool "$KIND" "$NAME" send 1 taken
	mqtool "$KIND" "$NAME" send 1 stays
	dies_at read.answer dd if="$Q/packets" bs=8192 count=1 status=none
	equals "$(messages)" 1
	equals "$(mqtool "$KIND" "$NAME" receive)" stays
	# before it is taken
	dies_at waits.park bash -c 'head -n 1 "$Q/lines"'
	equals "$(messages)" 0
	# while it gives the message of a killed reader back
	for point in queue.put_back queue.detached; do
		mqtool "$KIND" "$NAME" send 1 taken
		mqtool "$KIND" "$NAME" send 1 stays
		at read.answer hold
		background dd if="$Q/packets" bs=8192 count=1 status=none
		reached read.answer
		at "$point" kill
		kill_caller "$JOB"
		go_on read.answer
		has_died "$point"
		equals "$(mqtool "$KIND" "$NAME" receive)" stays
		equals "$(messages)" 0
	done
}

@test "a daemon that is killed loses the message that it has taken, and no other" {
	each_kind reader_and_daemon
}

holder_and_daemon() {
	local point
	for point in hold.taken hold.reply waits.park; do
		[ "$point" != waits.park ] || echo 0 >"$S/value"
		dies_at "$point" bash -c 'exec 9>"$S/hold"'
		[ "$point" != waits.park ] || echo 1 >"$S/value"
		value_is 1
		equals "$(state holders)" 0
	done
	[ "$KIND" = posix ] || return 0
	for point in keeper.order record.taking record.giving; do
		dies_at "$point" bash -c 'exec 9>"$S/hold"'
		value_is 1
	done
}

@test "a daemon that is killed while it takes or gives back a hold leaves the value" {
	each_semaphore holder_and_daemon
}

parked_late() {
	at waits.park hold
	background_output dd if="$Q/packets" bs=8192 count=1 status=none
	reached waits.park
	mqtool "$KIND" "$NAME" send 1 message
	go_on waits.park
	wait_until 'ended $JOB'
	equals "$(cat "$OUT")" message
	fill
	at waits.park hold
	background bash -c 'echo waits >"$Q/lines"'
	reached waits.park
	cat "$Q/drain" >/dev/null
	go_on waits.park
	wait_until 'ended $JOB'
	wait "$JOB"
}

parked_late_semaphore() {
	local file
	for file in wait hold; do
		echo 0 >"$S/value"
		at waits.park hold
		background bash -c "echo >\"\$S/$file\""
		reached waits.park
		direct_post
		go_on waits.park
		wait_until 'ended $JOB'
		wait "$JOB"
	done
	value_is 1
}

@test "what comes between a caller's attempt and its waiting is not missed" {
	each_kind parked_late
	each_semaphore parked_late_semaphore
}

# killed_at POINT COMMAND...: the caller is killed when the daemon has come there, and ends.
killed_at() {
	local point=$1
	shift
	at "$point" hold
	background "$@"
	reached "$point"
	kill_caller "$JOB"
	go_on "$point"
	wait_until 'ended $JOB' || { kill -KILL "$DAEMON"; return 1; } # or teardown waits for it
}

killed_before_waiting() {
	killed_at waits.park "$@"
	killed_at waits.parking "$@"
}

@test "a caller that is killed before it waits ends, and has taken nothing" {
	local kind data=$MNT/posix/shm/x/data
	for kind in "${KINDS[@]}"; do
		new_queue "$kind"
		killed_before_waiting dd if="$Q/packets" bs=8192 count=1 status=none
		echo stays >"$Q/lines"
		equals "$(cat "$Q/drain")" stays
		new_semaphore "$kind" 0
		killed_before_waiting bash -c 'echo >"$S/wait"'
		direct_post
		equals "$(direct_value)" 1
	done
	mkdir "$MNT/posix/shm/x"
	exec 9<"$data"
	flock 9
	killed_at lock.parking flock "$data" true
	exec 9<&-
	flock -n "$data" true
}

right_is_taken() {
	local change
	setfacl -m "u:$PEER:rw" "$Q"
	for change in "chmod 600" "setfacl -b"; do
		at waits.tried hold
		background_output as_user "$PEER" dd if="$Q/packets" bs=8192 count=1
		reached waits.tried
		$change "$Q"
		go_on waits.tried
		wait_until 'ended $JOB'
		grep -q 'Permission denied' "$OUT"
		setfacl -m "u:$PEER:rw" "$Q"
	done
}

@test "a right that is taken between an attempt and the blocking call ends the wait" {
	new_queue sysv
	right_is_taken
}

# threads_killed PID COUNT: so many threads of a killed process wait for the daemon to answer.
threads_killed() {
	[ "$(grep -l '^State:.D' "/proc/$1/task/"*/status | wc -l)" = "$2" ]
}

@test "more callers than the daemon looks at in one go are killed: all of them end" {
	local count=80 full
	stop_mount
	start_mount
	new_queue posix
	fill
	full=$(messages)
	at waits.serve hold
	background python3 -c '
import os, sys, threading
def write():
    os.write(os.open(os.environ["Q"] + "/packets", os.O_WRONLY), b"late")
threads = [threading.Thread(target=write) for _ in range(int(sys.argv[1]))]
for thread in threads: thread.start()
for thread in threads: thread.join()' "$count"
	wait_until '[ "$(sed -n s/^waiting_writers=//p "$Q/status")" = '"$count"' ]'
	reached waits.serve
	kill -KILL "$JOB"
	wait_until "threads_killed $JOB $count"
	for _ in 1 2 3; do stat -f "$MNT" >/dev/null; done # see kill_caller
	go_on waits.serve
	wait_until "threads_killed $JOB 0" || { kill -KILL "$DAEMON"; return 1; }
	equals "$(messages)" "$full"
}

@test "what happens between the look of a reader of events and its waiting is not missed" {
	at events.wait hold
	background_output cat "$MNT/events"
	reached events.wait
	mkdir "$MNT/posix/mq/made"
	meanwhile 0.1 # the events are served, and the reader does not wait for them yet
	go_on events.wait
	wait_until 'grep -q made "$OUT"'
}

@test "a writer that is killed sends nothing when its time ends before it is answered" {
	new_queue sysv
	fill
	at waits.serve hold
	background bash -c 'printf unfinished >"$Q/within/0.1/lines"'
	reached waits.serve
	kill_caller "$JOB"
	meanwhile 0.2
	go_on waits.serve
	wait_until 'ended "$JOB"'
	equals "$(sed -n s/^waiting_writers=//p "$Q/status")" 0
	not grep unfinished <(cat "$Q/drain")
}

@test "a segment that is truncated while the kernel reads it is EIO, and the log says nothing" {
	head -c 1M /dev/urandom >/dev/shm/x
	at segment.mapped hold
	background_output python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
try:
    print(len(os.pread(fd, 1 << 20, 0)))
except OSError as e:
    print(e.strerror)
print(os.pread(fd, 1 << 20, 0))
os.truncate("/dev/shm/x", 1 << 20)
print(os.pread(fd, 1 << 20, 0) == bytes(1 << 20))' "$MNT/posix/shm/x/data"
	reached segment.mapped
	truncate -s 0 /dev/shm/x
	go_on segment.mapped
	wait_until 'ended "$JOB"'
	equals "$(cat "$OUT")" $'Input/output error\nb\'\'\nTrue'
	equals "$(grep -ci address "$LOG")" 0
}

# The first waiter's turn has come, and what it waits for is there, when a second caller comes.
overtaking_reader() {
	local first
	at waits.serve hold
	background_output dd if="$Q/packets" bs=8192 count=1 status=none
	first=$OUT
	reached waits.serve
	mqtool "$KIND" "$NAME" send 1 first
	background_output dd if="$Q/packets" bs=8192 count=1 status=none
	wait_parked 2
	mqtool "$KIND" "$NAME" send 1 second
	go_on waits.serve
	wait_until 'ended ${JOBS[-2]} && ended $JOB'
	equals "$(cat "$first") $(cat "$OUT")" 'first second'
}

overtaking_writer() {
	fill
	at waits.serve hold
	background bash -c 'echo first >"$Q/lines"'
	reached waits.serve
	mqtool "$KIND" "$NAME" receive >/dev/null
	mqtool "$KIND" "$NAME" receive >/dev/null
	background bash -c 'echo second >"$Q/lines"'
	wait_parked 2
	go_on waits.serve
	wait_until 'ended ${JOBS[-2]} && ended $JOB'
	equals "$(tail -n 2 "$Q/drain" | xargs)" 'first second'
}

# The message of a process that exits is handed to the daemon.
overtaking_exit() {
	local full
	fill
	full=$(messages)
	at waits.serve hold
	background bash -c 'echo first >"$Q/lines"'
	reached waits.serve
	mqtool "$KIND" "$NAME" receive >/dev/null
	mqtool "$KIND" "$NAME" receive >/dev/null
	perl -MPOSIX -e 'open(my $f, ">", "$ENV{Q}/msg") or die; syswrite($f, "second") or die; POSIX::_exit(0)'
	go_on waits.serve
	wait_until 'ended $JOB && [ "$(messages)" = '"$full"' ]'
	equals "$(tail -n 2 "$Q/drain" | xargs)" 'first second'
}

overtaking_entrant() {
	local out=$BATS_TEST_TMPDIR/entered
	: >"$out"
	echo 0 >"$S/value"
	at waits.serve hold
	background bash -c 'exec 9>"$S/monitor"; echo first >>"$1"' - "$out"
	reached waits.serve
	direct_post
	fails 'temporarily unavailable' dd of="$S/monitor" oflag=nonblock if=/dev/null
	background bash -c 'exec 9>"$S/monitor"; echo second >>"$1"' - "$out"
	wait_parked 2
	go_on waits.serve
	wait_until 'ended ${JOBS[-2]} && ended $JOB'
	equals "$(xargs <"$out")" 'first second'
}

@test "a caller that comes later does not overtake one that waits" {
	each_kind overtaking_reader
	each_kind overtaking_writer
	each_kind overtaking_exit
	each_semaphore overtaking_entrant
}

# poller FILE EVENT: a process that waits by poll(2), in the background.
poller() {
	background_output python3 -c '
import os, select, sys
event = getattr(select, sys.argv[2])
fd = os.open(sys.argv[1], (os.O_WRONLY if event == select.POLLOUT else os.O_RDONLY) | os.O_NONBLOCK)
poll = select.poll()
poll.register(fd, event)
print(poll.poll(0), flush=True)
poll.poll()' "$@"
	wait_until '[ "$(cat "$OUT")" = "[]" ]'
}

told() {
	local file files=(lines packets)
	[ "$KIND" = posix ] || files+=(type/1/msg)
	for file in "${files[@]}"; do
		poller "$Q/$file" POLLIN
		echo text >"$Q/lines"
		wait_until 'ended $JOB'
		fill
		poller "$Q/lines" POLLOUT
		cat "$Q/drain" >/dev/null
		wait_until 'ended $JOB'
		poller "$Q/$file" POLLIN
		background_output cat "$Q/$file"
		wait_until '[ "$(sed -n s/^waiting_readers=//p "$Q/status")" = 1 ]'
		rmdir "$Q"
		wait_until 'ended $JOB && ended ${JOBS[-2]}'
		[[ $(cat "$OUT") == *'Identifier removed'* ]]
		mkdir "$Q"
	done
}

@test "waiters and pollers are told what the mount does: nobody has to look or to watch for it" {
	at waits.check 'fail 1'
	at waits.watch 'fail 1'
	each_kind told
}

@test "the keeper that replaces a killed one has all holds from its fork" {
	local first
	new_semaphore posix 5
	first=$NAME
	exec 9>"$S/hold"
	new_semaphore posix 3
	exec 8>"$S/hold"
	dies_at keeper.forked kill -KILL "$(pgrep -x ipcfs-holds)"
	value_is 3
	NAME=$first
	value_is 5
	exec 9>&- 8>&-
}

@test "a killed keeper is replaced though a semaphore was closed meanwhile" {
	local keeper first
	new_semaphore posix 5
	first=$NAME
	exec 9>"$S/hold"
	new_semaphore posix 3
	true 8>"$S/hold"
	value_is 3
	keeper=$(pgrep -x ipcfs-holds)
	at keeper.check hold
	kill -KILL "$keeper"
	reached keeper.check
	rmdir "$S"
	wait_until '! ls -l "/proc/$DAEMON/fd" | grep -q "sem[.]$NAME"'
	go_on keeper.check
	wait_until 'pgrep -x ipcfs-holds | grep -qvx '"$keeper"
	NAME=$first
	kill -KILL "$DAEMON"
	wait "$DAEMON" || :
	DAEMON=''
	value_is 5
	exec 9>&-
}

@test "a hold that the keeper can't be told of is not taken" {
	new_semaphore posix
	at keeper.order 'fail 105'
	fails 'No locks available' bash -c 'exec 9>"$S/hold"'
	equals "$(direct_value) $(state holders)" '1 0'
	rm "$IPCFS_FAULTS"/keeper.order*
	exec 9>"$S/hold"
	equals "$(direct_value) $(state holders)" '0 1'
	exec 9>&-
	value_is 1
}

unkept() {
	local error
	echo job >"$Q/lines"
	exec 9<>"$Q/lease"
	# EAGAIN, as of fork(2), would say that the queue is empty
	for error in '12 allocate memory' '11 No locks'; do
		at leases.keep "fail ${error%% *}"
		fails "${error#* }" cat <&9
		rm "$IPCFS_FAULTS"/leases.keep*
		equals "$(sed -n 's/^leased=//p' "$Q/status") $(messages)" '0 1'
	done
	equals "$(cat <&9)" job
	echo "done" >&9
	exec 9>&-
}

@test "a message that can't be kept is not leased" {
	each_kind unkept
}

# moved WHAT: prints the number of messages of this queue's class that were received or returned.
moved() {
	sed -n 's/^ipcfs_messages_'"$1"'_total{class="sysv.msg"} //p' "$MNT/metrics"
}

@test "an empty message that can't be kept is counted as received as often as it is returned" {
	new_queue sysv
	at leases.keep 'fail 11'
	background_output bash -c 'exec 9<>"$Q/lease"; cat <&9'
	wait_parked 1
	mqtool sysv "$NAME" send 1 ''
	wait_until 'ended "$JOB"'
	grep -q 'No locks' "$OUT"
	wait_until '[ "$(messages)" = 1 ]'
	[ "$(moved received)" -gt 0 ]
	equals "$(moved received)" "$(moved returned)"
}

@test "an empty message that a waiting reader leases is counted as received once" {
	new_queue sysv
	background bash -c 'exec 9<>"$Q/lease"; cat <&9; echo "done" >&9'
	wait_parked 1
	mqtool sysv "$NAME" send 1 ''
	wait_until 'ended "$JOB"'
	equals "$(moved received)" 1
}

leased_and_daemon() {
	local point
	for point in lease.answer lease.return; do
		echo job >"$Q/lines"
		dies_at "$point" bash -c 'exec 9<>"$Q/lease"; cat <&9'
		wait_until '[ "$(messages)" = 1 ]'
		equals "$(cat "$Q/drain")" job
	done
}

@test "a daemon that is killed while it leases a message or gives it back leaves it in the queue" {
	each_kind leased_and_daemon
}

@test "a set of semaphores that can't get its values is not made" {
	local user
	at set.values 'fail 12'
	for user in 0 "$PEER"; do
		fails 'Cannot allocate memory' as_user "$user" mkdir "$MNT/sysv/sem/0x00000061"
		[ -e "$IPCFS_FAULTS/set.values.reached" ]
		rm "$IPCFS_FAULTS/set.values.reached"
		not grep -q . <(tail -n +2 /proc/sysvipc/sem)
	done
	rm "$IPCFS_FAULTS/set.values"
	mkdir "$MNT/sysv/sem/0x00000061"
}

# A user's long work is done by one thread. One that has done it is free for other requests.
@test "a request that is held up delays no long work of its user, whatever its thread did before" {
	local i
	new_queue posix
	semtool sysv 0x00005199 make 5000
	for ((i = 0; i < 12; i++)); do
		cat "$MNT/sysv/sem/0x00005199/status" >"$BATS_TEST_TMPDIR/status"
	done
	for ((i = 0; i < 3; i++)); do
		echo message >"$Q/msg"
		at read.answer hold
		background dd if="$Q/packets" bs=8192 count=1 status=none
		reached read.answer
		bounded cat "$MNT/sysv/sem/0x00005199/status" >"$BATS_TEST_TMPDIR/again"
		equals "$(wc -l <"$BATS_TEST_TMPDIR/again")" "$(wc -l <"$BATS_TEST_TMPDIR/status")"
		go_on read.answer
		wait "$JOB"
	done
}

@test "a child that outlives the daemon keeps no request: its caller is answered" {
	at child.begun hold
	background as_user "$PEER" mkdir "$MNT/posix/mq/made"
	reached child.begun
	kill -TERM "$DAEMON"
	wait_until 'ended "$DAEMON"'
	wait_until 'ended "$JOB"' || { go_on child.begun; return 1; }
	go_on child.begun
}

@test "an operation for which memory, a descriptor, a thread or a process is missing has its whole effect or none" {
	run python3 "$BATS_TEST_DIRNAME/faults.py" "$MNT" "$DAEMON" 1 0 "${IPCFS_TEST_PATTERN-}"
	echo "$output"
	equals "$status" 0
}

@test "what workers die of when they take over is dropped, and who waits is told" {
	stop_mount
	start_mount -o supervise
	new_queue posix
	exec 8<"$Q/status"
	background_output cat "$Q/msg"
	wait_parked 1
	at supervise.take_over kill
	kill -KILL "$(worker)"
	wait_until 'grep -q "what was open is dropped" "$LOG"'
	rm "$IPCFS_FAULTS/supervise.take_over"
	wait_until 'ended "$JOB"'
	grep -q 'Input/output error' "$OUT"
	fails 'Stale file handle' sh -c 'cat <&8'
	exec 8<&-
	echo one >"$Q/msg"
	equals "$(cat "$Q/msg")" one
}

# worker_dies_at POINT COMMAND...: the worker is killed there while the command runs, which goes on and
# prints the job.
worker_dies_at() {
	local point=$1
	shift
	at "$point" hold
	background_output "$@"
	reached "$point"
	kill_worker
	go_on "$point"
	wait_until 'ended "$JOB"'
	wait "$JOB"
	equals "$(cat "$OUT")" job
}

# in_the_end MESSAGE...: these are in the queue, which nobody has leased any, and no other one comes
# when ipcfs ends.
in_the_end() {
	local message
	wait_until 'grep -qx leased=0 "$Q/status"'
	wait_until '[ "$(messages)" = '$#' ]'
	kill_both
	for message; do equals "$(mqtool -n "$KIND" "$NAME" receive)" "$message"; done
	not mqtool -n "$KIND" "$NAME" receive
	start_mount -o supervise
}

job_done() {
	local point
	for point in leases.keep lease.answer lease.kept lease.noted lease.done lease.forgotten; do
		echo "$point"
		echo job >"$Q/lines"
		worker_dies_at "$point" bash -c 'exec 9<>"$Q/lease"; cat <&9; env echo "done" >&9'
		in_the_end
	done
}

@test "a worker that is killed as a job is leased and done: it is done once" {
	stop_mount
	start_mount -o supervise
	each_kind job_done
}

job_back() {
	local point verdict
	for point in lease.saved lease.return queue.detached detached.sent detached.forgotten; do
		for verdict in 'env echo again >&9' :; do
			echo "$point $verdict"
			echo job >"$Q/lines"
			worker_dies_at "$point" bash -c 'exec 9<>"$Q/lease"; cat <&9; '"$verdict"
			in_the_end job
		done
	done
}

@test "a worker that is killed as a job goes back to its queue: it is there once" {
	stop_mount
	start_mount -o supervise
	each_kind job_back
}

job_dead() {
	local point
	made_by 0 "$MNT/posix/mq/dead"
	for point in lease.dead lease.done lease.forgotten; do
		echo "$point"
		echo job >"$Q/lines"
		worker_dies_at "$point" bash -c 'exec 9<>"$Q/lease"; cat <&9; env echo "dead posix/mq/dead" >&9'
		in_the_end
		equals "$(cat "$MNT/posix/mq/dead/drain")" job
	done
	rmdir "$MNT/posix/mq/dead"
}

@test "a worker that is killed as a job goes to another queue: it is there once" {
	stop_mount
	start_mount -o supervise
	each_kind job_dead
}

# The reader of FILE is killed when its message was taken, and the worker at POINT.
put_back() {
	local point reader
	for point in queue.put_back detached.saved detached.handed detached.sent detached.forgotten; do
		echo "$point"
		echo job >"$Q/lines"
		at read.answer hold
		at lease.answer hold
		background bash -c 'exec 9<>"$1"; exec dd bs=16384 count=1 status=none <&9' bash "$Q/$1"
		reader=$JOB
		reached "$2"
		kill_caller "$reader"
		at "$point" hold
		rm "$IPCFS_FAULTS/$2"
		reached "$point"
		kill_worker
		rm "$IPCFS_FAULTS"/{read,lease}.answer* "$IPCFS_FAULTS/$point"*
		wait_until 'ended '"$reader"
		in_the_end job
	done
}

@test "a worker that is killed as it puts a message back: it is there once" {
	stop_mount
	start_mount -o supervise
	each_kind put_back lines read.answer
	each_kind put_back lease lease.answer
}

@test "what workers of another program die of is held against no request and no open file" {
	stop_mount
	start_mount -o supervise
	new_queue posix
	echo leased >"$Q/lines"
	lease 5 leased
	mkdir "$MNT/posix/sem/one"
	echo 1 >"$MNT/posix/sem/one/value"
	exec 7>"$MNT/posix/sem/one/hold"
	exec 8<"$Q/status"
	background_output cat "$Q/msg" 5>&- 7>&-
	wait_parked 1
	at upgrade.replay kill
	for _ in 1 2; do
		fails 'have failed; the program before serves the mount again' ipcfs --upgrade "$MNT"
		wait_parked 1
	done
	rm "$IPCFS_FAULTS/upgrade.replay"
	echo "done" >&5
	exec 5>&-
	equals "$(cat "$MNT/posix/sem/one/value")" 0
	exec 7>&-
	wait_until '[ "$(cat "$MNT/posix/sem/one/value")" = 1 ]'
	grep -q mode <&8
	exec 8<&-
	ipcfs --upgrade "$MNT"
	echo one >"$Q/lines"
	wait_until '[ "$(cat "$OUT")" = one ]'
}

# with_worker_killed POINT COMMAND...: the worker is killed there while the command runs in the background.
with_worker_killed() {
	local point=$1 old
	shift
	at "$point" hold
	background "$@"
	reached "$point"
	old=$(worker)
	kill -KILL "$old"
	rm "$IPCFS_FAULTS/$point" "$IPCFS_FAULTS/$point.reached"
	wait_until "[ -n \"\$(worker)\" ] && [ \"\$(worker)\" != $old ]"
	is_ready
}

# is_held: by one, and its death gives the semaphore back.
is_held() {
	value_is "$1"
	wait_until '[ "$(state holders)" = 1 ]'
	kill -KILL "$JOB"
	value_is $(($1 + 1))
	wait_until '[ "$(state holders)" = 0 ]'
}

hold_and_worker() {
	local point points=(hold.called hold.taken hold.reply)
	[ "$KIND" = sysv ] || points+=(record.taking)
	echo 2 >"$S/value"
	for point in "${points[@]}"; do
		with_worker_killed "$point" bash -c 'exec 9>"$S/hold"; exec sleep 60'
		is_held 1
		with_worker_killed "$point" bash -c 'exec 9>"$S/monitor"; exec sleep 60'
		is_held 1
		# others hold one meanwhile
		exec 8>"$S/hold"
		with_worker_killed "$point" bash -c 'exec 8>&-; exec 9>"$S/hold"; exec sleep 60'
		value_is 0
		equals "$(state holders)" 2
		exec 8>&-
		is_held 1
	done
}

waiting_hold_and_worker() {
	local point
	for point in hold.called hold.taken hold.reply; do
		echo 0 >"$S/value"
		background bash -c 'exec 9>"$S/hold"; exec sleep 60'
		wait_parked 1
		with_worker_killed "$point" bash -c 'echo 2 >"$S/post"'
		wait "$JOB"
		JOB=${JOBS[-2]}
		is_held 1
	done
}

release_and_worker() {
	local point points=(hold.given)
	[ "$KIND" = sysv ] || points+=(record.giving)
	echo 2 >"$S/value"
	for point in hold.left hold.freed; do
		with_worker_killed "$point" bash -c 'exec 9>"$S/monitor"; echo leave >&9; echo $? >"$1"; exec sleep 60' - "$BATS_TEST_TMPDIR/left"
		wait_until '[ -s "$BATS_TEST_TMPDIR/left" ]'
		equals "$(cat "$BATS_TEST_TMPDIR/left") $(state holders)" '0 0'
		rm "$BATS_TEST_TMPDIR/left"
		kill -KILL "$JOB"
	done
	for point in "${points[@]}"; do
		echo 2 >"$S/value"
		exec 8>"$S/hold"
		with_worker_killed "$point" bash -c 'exec 8>&-; exec 9>"$S/hold"; exec 9>&-'
		value_is 1
		equals "$(state holders)" 1
		exec 8>&-
		value_is 2
		with_worker_killed "$point" bash -c 'exec 9>"$S/monitor"; echo leave >&9; echo $? >"$1"; exec sleep 60' - "$BATS_TEST_TMPDIR/left"
		wait_until '[ -s "$BATS_TEST_TMPDIR/left" ]'
		equals "$(cat "$BATS_TEST_TMPDIR/left") $(state holders)" '0 0'
		rm "$BATS_TEST_TMPDIR/left"
		value_is 2
		kill -KILL "$JOB"
	done
}

dead_holder_and_worker() {
	local holder
	echo 1 >"$S/value"
	background bash -c 'exec 9>"$S/monitor"; exec sleep 60'
	holder=$JOB
	value_is 0
	with_worker_killed hold.given kill -KILL "$holder"
	value_is 1
	wait_until '[ "$(state released_by_death) $(state last_dead_pid)" = "1 '"$holder"'" ]'
}

monitor_and_worker() {
	local point waiter
	for point in monitor.parked hold.given; do
		echo 1 >"$S/value"
		with_worker_killed "$point" bash -c 'exec 9>"$S/monitor"; echo wait one >&9; exec sleep 60'
		waiter=$JOB
		value_is 1
		wait_until 'grep -qx waiter_1_condition=one "$O/status"'
		{ echo notify one >&9; } 9>"$S/monitor"
		JOB=$waiter
		is_held 0
	done
	for point in hold.called hold.taken monitor.answer; do
		background bash -c 'exec 9>"$S/monitor"; echo wait one >&9; exec sleep 60'
		waiter=$JOB
		wait_until 'grep -qx waiter_1_condition=one "$O/status"'
		# The notifier has left: what is called, taken and answered is the waiter's.
		exec 9>"$S/monitor"
		echo notify one >&9
		with_worker_killed "$point" bash -c 'echo leave >&9'
		exec 9>&-
		JOB=$waiter
		is_held 0
	done
}

@test "with -o supervise a hold that is taken while the worker is killed is held once" {
	stop_mount
	start_mount -o supervise
	each_semaphore hold_and_worker
	each_semaphore waiting_hold_and_worker
}

@test "with -o supervise a hold that is given back while the worker is killed is given back once" {
	stop_mount
	start_mount -o supervise
	each_semaphore release_and_worker
	each_semaphore dead_holder_and_worker
}

@test "with -o supervise a wait in a monitor goes on from where it was when the worker was killed" {
	stop_mount
	start_mount -o supervise
	each_semaphore monitor_and_worker
}

stale_holds() {
	echo 2 >"$S/value"
	exec 8>"$S/hold" 9>"$S/monitor"
	at supervise.take_over kill
	kill -KILL "$(worker)"
	wait_until 'grep -q "what was open is dropped" "$LOG"'
	rm "$IPCFS_FAULTS/supervise.take_over"
	value_is 2
	equals "$(state holders)" 0
	fails 'Stale file handle' sh -c 'env echo leave >&9'
	exec 8>&- 9>&-
	: >"$LOG"
	exec 8>"$S/hold"
	kill -KILL "$(worker)"
	value_is 1
	exec 8>&-
	value_is 2
}

@test "with -o supervise holds are given back when what was open is dropped" {
	stop_mount
	start_mount -o supervise
	each_semaphore stale_holds
}
