# SPDX-License-Identifier: MIT
# monitor: a semaphore as a mutex with conditions. The open file is the occupant.
# shellcheck shell=bash disable=SC2153,SC2154,SC2016,SC2119,SC2120
load common
load semaphore

setup() {
	common_setup
	cp "$PEERS/semtool" "$BATS_TEST_TMPDIR/bin/"
	start_mount
	ORDER=$BATS_TEST_TMPDIR/order
	export ORDER FLAG=$BATS_TEST_TMPDIR/flag
	install -m 666 /dev/null "$ORDER"
	install -m 666 /dev/null "$FLAG"
}

# says VERB...: writes a verb to the monitor, from another occupant.
says() {
	{ echo "$*" >&9; } 9>"$S/monitor"
}

# sleeper NAME [CONDITION]: waits in the monitor, and notes its name when it is inside again.
sleeper() {
	background bash -c 'exec 9>&-; exec 9>"$S/monitor"; echo "wait $2" >&9 && echo "$1" >>"$ORDER"' - "$@"
	wait_until 'grep -qx "waiter_$(number_of "$JOB")_condition='"${2-}"'" "$O/status"'
}

# number_of PID: prints the number of this waiter in status.
number_of() {
	sed -n "s/^waiter_\([0-9]*\)_pid=$1\$/\1/p" "$O/status"
}

# entrant NAME: waits to enter, and notes its name when it is inside.
entrant() {
	background bash -c 'exec 9>&-; exec 9>"$S/monitor"; echo "$1" >>"$ORDER"' - "$1"
	wait_until '[ -n "$(number_of "$JOB")" ]'
}

order_is() {
	wait_until "[ \"\$(xargs <'$ORDER')\" = '$1' ]"
}

# No more than that happens.
order_stays() {
	order_is "$1"
	meanwhile 0.2
	equals "$(xargs <"$ORDER")" "$1"
}

@test "opening enters, the last close leaves" {
	everywhere_from 1 $'0\n1\nbusy\n1' '
		{ value; } 9> "$S/monitor"; until_true "[ \$(value) = 1 ]"; value
		{ (exec 8> "$S/tryhold") 2>/dev/null || echo busy; } 9> "$S/monitor"
		until_true "[ \$(value) = 1 ]"; value'
	everywhere_from 1 $'0\n1\n0\n1' '
		exec 9<> "$S/monitor"; value; echo leave >&9; value; echo enter >&9; value; exec 9>&-
		until_true "[ \$(value) = 1 ]"; value'
}

@test "wait leaves, and is inside again when it was notified" {
	everywhere_from 1 $'1\n0\nwoken 0' '
		sleeps() { grep -q ^waiter_1_condition= "$O/status"; }
		{ echo wait >&9 && echo "woken $(value)"; } 9> "$S/monitor" & until_true sleeps; value
		{ value; echo notify >&9; } 9> "$S/monitor"; wait'
}

@test "the loop of the manual waits until it is true" {
	everywhere_from 1 $'not yet\nnot yet\nready' '
		: > "$FLAG"
		{ until [ -s "$FLAG" ]; do echo not yet; echo wait >&9 || exit; done; echo ready; } 9> "$S/monitor" &
		until_true "grep -q ^waiter_1_condition= \"$O/status\""
		{ echo notify >&9; } 9> "$S/monitor"
		until_true "[ \$(value) = 1 ]"
		until_true "grep -q ^waiter_1_condition= \"$O/status\""
		{ echo 1 > "$FLAG"; echo notify >&9; } 9> "$S/monitor"; wait; : > "$FLAG"'
}

made_again() {
	local token
	exec 9>"$S/monitor"
	token=$(state holder_1_generation)
	rmdir "$O"
	as_user 0 sh -c "echo $KIND/sem/$NAME values=1 >$MNT/create"
	exec 8>"$S/monitor"
	echo "$token, then $(state holder_1_generation)"
	[ "$(state holder_1_generation)" -gt "$token" ]
	exec 8>&- 9>&-
}

@test "generation: a semaphore that is made again goes on behind the tokens of the removed one" {
	each_semaphore made_again
}

@test "a semaphore whose dead holders are remembered is not kept open" {
	new_semaphore posix
	background bash -c 'exec 9>"$S/monitor"; exec sleep 1000'
	wait_until '[ "$(direct_value)" = 0 ]'
	kill -KILL "$JOB"
	wait_until '[ "$(state released_by_death)" = 1 ]'
	rm "/dev/shm/sem.$NAME"
	fails 'No such file' stat "$O"
	echo 2 >/proc/sys/vm/drop_caches 2>/dev/null || :
	wait_until '! ls -l "/proc/$DAEMON/fd" | grep -q "sem[.]$NAME"'
}

# The verb through within/$2; notes how it ended, and the value then.
timed() {
	background_output bash -c 'exec 9>&-; exec 9>"$S/within/$2/monitor" || exit
		if echo "$1" >&9; then echo done; fi 2>&1; echo "$(cat "$S/value")"; echo notify >&9' - "$@"
	TIMED=$OUT
}

with_an_end() {
	# Nobody notifies.
	timed wait 0.3
	wait "$JOB"
	equals "$(sed 's/.*: //' "$TIMED" | xargs)" 'Connection timed out 0'
	value_is 1
	# Nobody notifies, and the semaphore is taken when the time is over.
	timed wait 0.3
	wait_until 'grep -q ^waiter_1_condition= "$O/status"'
	exec 8>"$S/monitor"
	meanwhile 0.6
	running "$JOB"
	exec 8>&-
	wait "$JOB"
	equals "$(sed 's/.*: //' "$TIMED" | xargs)" 'Connection timed out 0'
	value_is 1
	# It was notified in time.
	timed wait $((2 * SLOW))
	wait_until 'grep -q ^waiter_1_condition= "$O/status"'
	exec 8>"$S/monitor"
	echo notify >&8
	meanwhile 2.5
	running "$JOB"
	exec 8>&-
	wait "$JOB"
	equals "$(xargs <"$TIMED")" 'done 0'
	value_is 1
	# To enter.
	exec 8>"$S/monitor"
	fails 'Connection timed out' bash -c 'exec 8>&-; : 9>"$S/within/0.2/monitor"'
	exec 8>&-
	value_is 1
	exec 9>"$S/within/0.2/monitor"
	echo leave >&9
	exec 8>"$S/hold"
	fails 'Connection timed out' bash -c 'echo enter >&9'
	fails 'not permitted' bash -c 'echo notify >&9'
	exec 8>&-
	echo enter >&9
	echo notify >&9
	exec 9>&-
	value_is 1
}

@test "through within/ a wait ends by time, and is inside; who enters gives up" {
	each_semaphore with_an_end
}

@test "a wait that ended by time, and whose caller is killed before it is inside, wakes nobody" {
	local waiter
	new_semaphore posix
	background bash -c 'exec 9>&-; exec 9>"$S/within/$0/monitor"; echo wait >&9' "$SLOW"
	waiter=$JOB
	# On a machine that is too busy it is inside again, and has gone, before others have come.
	wait_until 'grep -q ^waiter_1_condition= "$O/status" || ended '"$waiter"
	sleeper other
	exec 9>"$S/monitor"
	wait_until '[ "$(grep -c ^waiter_._condition= "$O/status")" = 1 ]'
	! running "$waiter" || kill -KILL "$waiter"
	wait_until "ended $waiter"
	exec 9>&-
	order_stays ''
	says notify
	order_is other
}

direct() {
	exec 9>"$S/monitor"
	background direct_wait
	meanwhile 0.2
	running "$JOB"
	echo leave >&9
	wait_until 'ended $JOB'
	equals "$(direct_value)" 0
	# and the other way round
	background bash -c 'echo enter >&9; echo in >>"$ORDER"; sleep 60'
	wait_parked 1
	equals "$(state waiter_1_for)" monitor
	order_stays ''
	direct_post
	order_stays in
	equals "$(direct_value)" 0
	kill -KILL "$JOB"
	exec 9>&-
	value_is 1
	: >"$ORDER"
	# With another value as many are inside.
	echo 2 >"$S/value"
	exec 8>"$S/monitor" 7>"$S/monitor"
	equals "$(direct_value) $(state holders)" '0 2'
	exec 8>&- 7>&-
	value_is 2
}

@test "direct callers take part in the mutual exclusion" {
	each_semaphore direct
}

named() {
	sleeper a1 a
	sleeper b1 b
	sleeper a2 a
	sleeper none
	sleeper a3 a
	says notify b
	order_stays b1
	says notify c
	says broadcast c
	says notify
	order_stays 'b1 none'
	says notify a
	order_stays 'b1 none a1'
	says broadcast a
	order_is 'b1 none a1 a2 a3'
	value_is 1
	equals "$(state waiters)" 0
	: >"$ORDER"
}

@test "conditions have names; notifications without waiters are dropped" {
	each_semaphore named
}

served_in_order() {
	local i
	for i in {1..6}; do
		sleeper "s$i"
	done
	exec 9>"$S/monitor"
	entrant e1
	echo notify 3 >&9
	entrant e2
	echo notify >&9
	equals "$(sed -n 's/^waiter_.*_for=//p' "$O/status" | xargs)" 'monitor monitor monitor monitor monitor monitor monitor monitor'
	equals "$(grep -c '^waiter_[1-6]_condition=' "$O/status")" 0
	equals "$(grep -c '^waiter_[78]_condition=$' "$O/status")" 2
	exec 9>&-
	order_stays 'e1 s1 s2 s3 e2 s4'
	exec 9>"$S/monitor"
	echo broadcast >&9
	entrant e3
	exec 9>&-
	order_is 'e1 s1 s2 s3 e2 s4 s5 s6 e3'
	value_is 1
	: >"$ORDER"
	# Nobody overtakes: whoever leaves and enters again at once comes after those who wait.
	exec 9>"$S/monitor"
	for i in {1..10}; do
		entrant "f$i"
		{ echo leave; echo enter; } >&9
		equals "$(tail -n 1 "$ORDER")" "f$i"
	done
	exec 9>&-
	value_is 1
	: >"$ORDER"
}

@test "entry and wake-up are first come, first served" {
	each_semaphore served_in_order
}

refused() {
	local verb
	exec 9>"$S/monitor"
	for verb in nonsense '' 'wait 1' 'wait a b' 'notify a b' 'broadcast 1' 'leave now' 'wait a,b'; do
		fails 'Invalid argument' bash -c 'echo "$1" >&9' - "$verb"
	done
	# one verb in one write
	fails 'Invalid argument' /usr/bin/python3 -c 'import os; os.write(9, b"leave\nleave\n")'
	fails 'out of range' bash -c 'echo notify 0 >&9'
	fails 'Resource deadlock avoided' bash -c 'echo enter >&9'
	equals "$(state holders) $(direct_value)" '1 0' # nothing of it was done
	echo leave >&9
	for verb in wait 'wait a' notify broadcast leave; do
		fails 'not permitted' bash -c 'echo "$1" >&9' - "$verb"
	done
	equals "$(state holders) $(direct_value) $(state waiters)" '0 1 0'
	echo enter >&9
	equals "$(state holders) $(direct_value)" '1 0'
	exec 9>&-
	value_is 1
	# who only reads has taken nothing
	equals "$(cat "$S/monitor")" 1
}

@test "a verb that can't be done is an error, and changes nothing" {
	each_semaphore refused
}

nonblocking() {
	/usr/bin/python3 -c '
import errno, os, sys
def fails(number, call, *args):
    try:
        call(*args)
    except OSError as error:
        assert error.errno == number, error
        return
    raise AssertionError(args)
path = os.environ["S"] + "/monitor"
value = lambda: open(os.environ["S"] + "/value").read()
first = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
fails(errno.EAGAIN, os.open, path, os.O_WRONLY | os.O_NONBLOCK)
fails(errno.EAGAIN, os.write, first, b"wait")
assert value() == "0\n"
os.write(first, b"leave")
second = os.open(path, os.O_WRONLY)
fails(errno.EAGAIN, os.write, first, b"enter")
os.close(second)
while value() != "1\n":
    pass
os.write(first, b"enter")
assert value() == "0\n"
'
}

@test "with O_NONBLOCK what would wait is EAGAIN, and changes nothing" {
	each_semaphore nonblocking
}

killed_holder() {
	local before pid
	before=$(state released_by_death)
	background bash -c 'exec 9>"$S/monitor"; exec sleep 60'
	value_is 0
	pid=$JOB
	entrant next
	kill -KILL "$pid"
	order_is next
	value_is 1
	equals "$(state released_by_death) $(state last_dead_pid)" "$((before + 1)) $pid"
	[ "$(state last_dead_since)" -ge "$(($(date +%s) - 5))" ]
	: >"$ORDER"
	# An end is no death, and neither is a child's death.
	bash -c 'exec 9>"$S/monitor"; exit 3' || equals "$?" 3
	bash -c 'exec 9>"$S/monitor"; sleep 60 & kill -KILL $!; wait; :' 2>/dev/null
	value_is 1
	equals "$(state released_by_death)" "$((before + 1))"
	# A holder that leaves before it is killed held nothing.
	background bash -c 'exec 9>"$S/monitor"; echo leave >&9; exec sleep 60'
	wait_until '[ "$(ps -o comm= -p "$JOB")" = sleep ]'
	kill -KILL "$JOB"
	wait_until 'ended $JOB'
	meanwhile 0.1
	equals "$(state released_by_death)" "$((before + 1))"
}

@test "a killed holder leaves at once, and is counted" {
	each_semaphore killed_holder
}

orphaned() {
	# The opener is killed; its child has the monitor until it ends, and then the opener's death counts.
	background bash -c 'exec 9>"$S/monitor"
		sh -c "until [ -e \"\$ORDER.end\" ]; do sleep 0.02; done" & echo $! >"$ORDER"; wait'
	wait_until '[ -s "$ORDER" ]'
	kill -KILL "$JOB"
	wait_until 'ended $JOB'
	equals "$(state holders) $(state holder_1_pid) $(state released_by_death)" '1  0'
	: >"$ORDER.end"
	value_is 1
	wait_until '[ "$(state released_by_death) $(state last_dead_pid)" = "1 $JOB" ]'
	# Who uses the monitor that it inherited is named.
	bash -c 'exec 9>"$S/monitor"; bash -c "echo leave >&9; echo enter >&9; echo >>\"$ORDER\"; exec sleep 60" & echo $! >"$ORDER.child"' 3>&- 4>&-
	JOBS+=("$(cat "$ORDER.child")")
	wait_until '[ "$(state holder_1_pid)" = "$(cat "$ORDER.child")" ]'
	kill -KILL "$(cat "$ORDER.child")"
	value_is 1
	wait_until '[ "$(state released_by_death)" = 2 ]'
	rm "$ORDER.end"
	: >"$ORDER"
}

@test "children that inherit it are inside, and status names a process that lives" {
	each_semaphore orphaned
}

# A killed holder may have been about to notify, or may have been notified: those who wait look again.
roused_by_death() {
	sleeper s1
	sleeper s2 a
	background bash -c 'exec 9>"$S/monitor"; exec sleep 60'
	value_is 0
	order_stays ''
	kill -KILL "$JOB"
	order_is 's1 s2'
	value_is 1
	: >"$ORDER"
}

@test "a killed holder rouses all who wait" {
	each_semaphore roused_by_death
}

@test "a holder whose death the daemon can't see rouses all who wait" {
	stop_mount
	blind_mount -o allow_other
	new_semaphore posix
	background bash -c 'exec 9>"$S/monitor"; echo wait >&9 && echo woken >>"$ORDER"'
	wait_until 'grep -q ^waiter_1_condition= "$O/status"'
	background bash -c 'exec 9>"$S/monitor"; exec sleep 60'
	wait_until '[ "$(direct_value)" = 0 ]'
	kill -KILL "$JOB"
	order_is woken
	end_blind_mount
}

killed_waiters() {
	local first
	# while they wait for a notification,
	sleeper s1
	first=$JOB
	sleeper s2
	kill -KILL "$first"
	wait_until '[ "$(state waiters)" = 1 ]'
	says notify
	order_stays s2
	# and after it, while they wait to enter
	sleeper s3
	first=$JOB
	sleeper s4
	exec 9>"$S/monitor"
	echo notify >&9
	wait_until '[ "$(grep -c ^waiter_._condition= "$O/status")" = 1 ]'
	kill -KILL "$first"
	wait_until '[ "$(state waiters)" = 1 ] && ! grep -q ^waiter_._condition= "$O/status"'
	exec 9>&-
	order_stays 's2 s4'
	value_is 1
	equals "$(state waiters) $(state holders) $(state released_by_death)" '0 0 0'
	: >"$ORDER"
}

@test "a killed waiter takes no notification with it" {
	each_semaphore killed_waiters
}

CATCHES='
open(my $m, ">", "$ENV{S}/monitor") or die; $SIG{USR1} = sub {};
print syswrite($m, "wait\n") ? "inside\n" : "$!\n";
print syswrite($m, "leave\n") ? "left\n" : "$!\n"; print syswrite($m, "enter\n") ? "entered\n" : "$!\n";'

caught() {
	local first
	# during the wait,
	background_output perl -e "\$| = 1;$CATCHES"
	wait_until 'grep -q ^waiter_1_condition= "$O/status"'
	kill -USR1 "$JOB"
	wait_until 'ended $JOB'
	equals "$(cat "$OUT")" $'Interrupted system call\nOperation not permitted\nentered'
	value_is 1
	# and when another is inside: the notification goes to the next
	background_output perl -e "\$| = 1;$CATCHES"
	first=$JOB
	wait_until 'grep -q ^waiter_1_condition= "$O/status"'
	local out=$OUT
	sleeper s1
	exec 9>"$S/monitor"
	echo notify >&9
	kill -USR1 "$first"
	wait_until 'grep -q permitted "'"$out"'"'
	exec 9>&-
	wait_until 'ended $JOB && ended '"$first"
	equals "$(cat "$out")" $'Interrupted system call\nOperation not permitted\nentered'
	order_is s1
	value_is 1
	: >"$ORDER"
}

@test "a signal ends a wait, and the caller is outside" {
	each_semaphore caught
}

stopped() {
	background_output bash -c 'exec 9>"$S/monitor"; echo wait >&9; echo enter >&9 && echo entered'
	wait_until 'grep -q ^waiter_1_condition= "$O/status"'
	kill -STOP "$JOB"
	wait_until "in_state $JOB T"
	equals "$(state waiters)" 0
	kill -CONT "$JOB"
	wait_until 'ended $JOB'
	grep -q 'Interrupted system call' "$OUT"
	grep -qx entered "$OUT"
	value_is 1
}

@test "a waiter can be stopped: it is outside then" {
	each_semaphore stopped
}

removes() {
	case $1$KIND in
	*mount*) rmdir "$O" ;;
	*posix) semtool posix "$NAME" remove ;;
	*sysv) semtool sysv "$NAME" remove ;;
	esac
}

removed() {
	local first out
	background_output bash -c 'exec 9>"$S/monitor"; echo wait >&9'
	first=$JOB out=$OUT
	wait_until 'grep -q ^waiter_1_condition= "$O/status"'
	exec 9>"$S/monitor"
	background_output bash -c 'exec 9>&-; exec 9>"$S/monitor"'
	wait_parked 2
	within 1500 removes "$1"
	within 1500 wait_until 'ended $JOB && ended '"$first"
	grep -q 'Identifier removed' "$OUT"
	grep -q 'Identifier removed' "$out"
	fails 'Identifier removed' bash -c 'echo notify >&9'
	exec 9>&-
}

@test "waits end when the semaphore is removed, through the mount or directly" {
	each_semaphore removed mount
	each_semaphore removed directly
}

many_removed() {
	local count=40
	background_output python3 -c '
import errno, os, sys, threading
told = []
def wait(number):
    file = os.open(os.environ["S"] + "/monitor", os.O_WRONLY)
    try:
        os.write(file, b"wait c%d" % number)
    except OSError as error:
        told.append(errno.errorcode[error.errno])
threads = [threading.Thread(target=wait, args=(i,)) for i in range(int(sys.argv[1]))]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(told), *set(told))' "$count"
	wait_until '[ "$(grep -c "^waiter_.*_condition=" "$O/status")" = '"$count"' ]'
	removes directly
	wait_until 'ended $JOB' 8
	equals "$(cat "$OUT")" "$count EIDRM"
}

@test "a semaphore is removed directly: all who wait are told at once" {
	each_semaphore many_removed
}

withdrawn() {
	local first out
	new_semaphore "$1" 1 0
	chmod 666 "$O"
	background_output as_user 1234 bash -c 'exec 9>"$S/monitor"; echo wait >&9'
	first=$JOB out=$OUT
	wait_until 'grep -q ^waiter_1_condition= "$O/status"'
	sleeper s1
	chmod 600 "$O"
	says notify
	wait_until "ended $first"
	grep -q 'Permission denied' "$out"
	order_is s1
	value_is 1
	rmdir "$O"
	: >"$ORDER"
}

@test "a waiter whose right was taken away is refused, and passes the notification on" {
	withdrawn posix
	withdrawn sysv
}

left_without_right() {
	new_semaphore "$1"
	chmod 666 "$O"
	background_output as_user 1234 bash -c 'exec 9>"$S/monitor"; read -r _; echo leave >&9 && echo left; echo enter >&9' <&7
	value_is 0
	chmod 600 "$O"
	echo >&7
	wait_until 'ended $JOB'
	grep -qx left "$OUT"
	grep -q 'Permission denied' "$OUT"
	value_is 1
}

@test "an occupant whose right was taken away can leave, and not enter again" {
	mkfifo "$BATS_TEST_TMPDIR/go"
	exec 7<>"$BATS_TEST_TMPDIR/go"
	left_without_right posix
	left_without_right sysv
	exec 7<&-
}

fencing() {
	local i before token
	before=$(state generation)
	for i in 1 2 3; do
		exec 9>"$S/monitor"
		token=$(state generation)
		equals "$token $(state holder_1_generation)" "$((before + i)) $token"
		exec 9>&-
		value_is 1
	done
	exec 9>"$S/hold"
	equals "$(state generation)" "$((before + 4))"
	exec 9>&-
	# each time that it is taken again
	{ echo leave >&9; echo enter >&9; } 9>"$S/monitor"
	equals "$(state generation)" "$((before + 6))"
	sleeper s1
	says notify
	order_is s1
	value_is 1
	equals "$(state generation)" "$((before + 9))"
	: >"$ORDER"
	# The kernel forgets the semaphore, the daemon doesn't.
	echo 2 >/proc/sys/vm/drop_caches 2>/dev/null || :
	[ "$(state generation)" -ge "$((before + 9))" ]
}

@test "generation grows with each entry: a fencing token" {
	each_semaphore fencing
}

@test "names of conditions are for those who may read" {
	new_semaphore sysv # everybody may read status
	chmod 622 "$O"
	sleeper s1 secret
	as_user 1234 cat "$O/status" >"$BATS_TEST_TMPDIR/seen"
	grep -qx waiter_1_for=monitor "$BATS_TEST_TMPDIR/seen"
	not grep -q secret "$BATS_TEST_TMPDIR/seen"
	equals "$(state waiter_1_condition)" secret
	says notify secret
	order_is s1
}

# crowd N: a process with N open files of the monitor, each of which waits.
crowd() {
	${EXEC-} /usr/bin/python3 -c '
import os, sys, threading
def occupy(number):
    fd = os.open(os.environ["S"] + "/monitor", os.O_WRONLY)
    try:
        os.write(fd, b"wait %c" % (97 + number % 2))
        print("woken", flush=True)
    except OSError as error:
        print(error.errno, "inside" if os.write(fd, b"leave") else "", flush=True)
    os.close(fd)
threading.stack_size(65536)
for number in range(int(sys.argv[1])):
    threading.Thread(target=occupy, args=(number,)).start()
' "$1"
}

threads() {
	find "/proc/$DAEMON/task" -mindepth 1 -maxdepth 1 | wc -l
}

crowded() {
	local before
	before=$(threads)
	background_output crowd 200
	wait_until '[ "$(grep -c ^waiter_.*_condition= "$O/status")" = 200 ]'
	# Session threads that were made meanwhile end after a second.
	wait_until "[ \$(threads) -le $((before + 10)) ]"
	within 5000 says broadcast a
	within 5000 says broadcast b
	within 5000 wait_until 'ended $JOB'
	equals "$(sort "$OUT" | uniq -c | xargs)" '200 woken'
	value_is 1
}

@test "two hundred wait without a thread for each" {
	each_semaphore crowded
}

@test "waiters count against max_waiters: one more is EAGAIN, and still inside" {
	stop_mount
	start_mount -o max_waiters=4
	each_semaphore bounded_crowd
}

bounded_crowd() {
	local first out
	background_output crowd 4
	first=$JOB out=$OUT
	wait_until '[ "$(grep -c ^waiter_.*_condition= "$O/status")" = 4 ]'
	background_output crowd 1
	wait_until 'ended $JOB'
	equals "$(cat "$OUT")" '11 inside'
	# Entering must not have to wait: not for the one that just left, nor for those that are woken.
	value_is 1
	{
		echo broadcast a >&9
		echo broadcast b >&9
	} 9>"$S/monitor"
	wait_until "ended $first"
	equals "$(sort "$out" | uniq -c | xargs)" '4 woken'
	value_is 1
}

@test "the end of the daemon ends all waits and leaves nothing taken" {
	local name i pids=()
	new_semaphore posix
	sleeper s1
	pids+=("$JOB")
	background bash -c 'exec 9>"$S/monitor"; exec sleep 60'
	value_is 0
	entrant e1
	pids+=("$JOB")
	name=$NAME
	new_semaphore sysv
	sleeper s2
	pids+=("$JOB")
	kill -TERM "$DAEMON"
	daemon_ends
	for i in "${pids[@]}"; do
		wait_until "ended $i"
	done
	value_is 1
	semtool posix "$name" get >"$ORDER"
	equals "$(cat "$ORDER")" 1
}

# The bounded buffer: 8 places, and one line of state that is written by one write(2), so that a kill
# leaves it as it was or as it should be. It has the numbers of the first item and of the next one,
# and of each producer how many it has put.
PLACES='
state() { read -r head tail c1 c2 c3 c4 <"$B/state"; }
commit() { printf "%6d%6d%6d%6d%6d%6d\n" $head $tail $c1 $c2 $c3 $c4 1<>"$B/state"; }
'

# Puts items ME.0 to ME.(EACH - 1), going on where it was killed. While there is a file `die`, it is
# killed inside, with its item put and not counted.
PRODUCER='
more=1
while [ $more = 1 ]; do
	{
		state
		eval "mine=\$c$ME"
		while [ $mine -lt $EACH ] && [ $((tail - head)) -ge 8 ]; do
			echo "wait not-full" >&9 || exit 1
			state
		done
		if [ $mine -lt $EACH ]; then
			printf "%3d%6d\n" $ME $mine 1<>"$B/place.$((tail % 8))"
			[ ! -e "$B/die" ] || kill -KILL $$
			tail=$((tail + 1)); eval "c$ME=$((mine + 1))"
			commit
			echo "notify not-empty" >&9 || exit 1
		else
			more=0
		fi
	} 9>"$S/monitor" || exit 1
done
'

# Takes items until all are taken.
CONSUMER='
more=1
while [ $more = 1 ]; do
	{
		state
		while [ $head -lt $((4 * EACH)) ] && [ $tail = $head ]; do
			echo "wait not-empty" >&9 || exit 1
			state
		done
		if [ $head -lt $((4 * EACH)) ]; then
			read -r from item <"$B/place.$((head % 8))"
			echo "$from $item" >"$B/got.$head"
			head=$((head + 1))
			commit
			echo "notify not-full" >&9 || exit 1
		else
			echo "broadcast not-empty" >&9 || exit 1
			more=0
		fi
	} 9>"$S/monitor" || exit 1
done
'

# The same in Python.
IN_PYTHON='
import os, sys
S, B, me, each = os.environ["S"], os.environ["B"], int(os.environ["ME"]), int(os.environ["EACH"])
def state():
    return [int(word) for word in open(B + "/state").read().split()]
def overwrite(path, text):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
    os.write(fd, text.encode())
    os.close(fd)
def commit(now):
    overwrite(B + "/state", "%6d%6d%6d%6d%6d%6d\n" % tuple(now))
def put(say):
    now = state()
    while now[1 + me] < each and now[1] - now[0] >= 8:
        say("wait not-full")
        now = state()
    if now[1 + me] == each:
        return False
    overwrite(B + "/place.%d" % (now[1] % 8), "%3d%6d\n" % (me, now[1 + me]))
    now[1] += 1
    now[1 + me] += 1
    commit(now)
    say("notify not-empty")
    return True
def take(say):
    now = state()
    while now[0] < 4 * each and now[0] == now[1]:
        say("wait not-empty")
        now = state()
    if now[0] == 4 * each:
        say("broadcast not-empty")
        return False
    overwrite(B + "/got.%d" % now[0], " ".join(open(B + "/place.%d" % (now[0] % 8)).read().split()) + "\n")
    now[0] += 1
    commit(now)
    say("notify not-full")
    return True
more = True
while more:
    fd = os.open(S + "/monitor", os.O_WRONLY)
    more = (put if sys.argv[1] == "put" else take)(lambda verb: os.write(fd, verb.encode()))
    os.close(fd)
'

# worker ME put|take: starts it again whenever it was killed. Its process is in pid.ROLE.ME.
worker() {
	local text=$PLACES$PRODUCER
	[ "$2" = put ] || text=$PLACES$CONSUMER
	case $1 in
	1) set -- "$1" "$2" bash -c "$text" ;;
	2) set -- "$1" "$2" dash -c "$text" ;;
	3) set -- "$1" "$2" busybox ash -c "$text" ;;
	4) set -- "$1" "$2" /usr/bin/python3 -c "$IN_PYTHON" "$2" ;;
	esac
	ME=$1 background_output bash -c 'pid=$B/pid.$2.$1
		shift 2
		until sh -c "echo \$\$ >\"\$0\"; exec \"\$@\"" "$pid" "$@"; do [ $? = 137 ] || echo failed; done' - "$@"
}

bounded_buffer() {
	local i victims workers=() role
	export B=$BATS_TEST_TMPDIR/buffer.$KIND EACH=$1
	mkdir "$B"
	printf '%6d%6d%6d%6d%6d%6d\n' 0 0 0 0 0 0 >"$B/state"
	: >"$B/die"
	for i in 1 2 3 4; do
		for role in put take; do
			worker "$i" "$role"
			workers+=("$JOB")
		done
	done
	wait_until '[ "$(cat "$B"/pid.* | wc -l)" = 8 ]'
	# On a loaded machine, it may be that of those below none dies inside.
	wait_until '[ "$(state released_by_death)" -gt 0 ]'
	rm "$B/die"
	for ((i = 0; i < 40; i++)); do
		# whoever it is, and whoever is inside
		victims=("$B"/pid.*)
		# shellcheck disable=SC2046 # no holder is no word
		kill -KILL "$(cat "${victims[RANDOM % 8]}")" $(state holder_1_pid) 2>/dev/null || :
		sleep 0.05 # of work
	done
	for i in "${workers[@]}"; do
		wait_until "ended $i" 60 || { cat "$O/status" "$B/state"; return 1; }
	done
	# Each item was taken once, and in the order in which its producer has put it.
	seq -f "$B/got.%.0f" 0 "$((4 * EACH - 1))" | xargs cat >"$B/all"
	equals "$(wc -l <"$B/all") $(find "$B" -name 'got.*' | wc -l)" "$((4 * EACH)) $((4 * EACH))"
	for i in 1 2 3 4; do
		equals "$(sed -n "s/^$i //p" "$B/all" | cksum)" \
			"$(seq 0 "$((EACH - 1))" | cksum)"
	done
	value_is 1
	equals "$(state waiters) $(state holders)" '0 0'
	not grep -l failed "$BATS_TEST_TMPDIR"/out.*
}

@test "a bounded buffer loses and doubles nothing while its users are killed at random" {
	each_semaphore bounded_buffer "$([ "$SHORT" = 0 ] && echo 800 || echo 400)"
}
