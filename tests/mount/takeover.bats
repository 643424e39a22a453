# SPDX-License-Identifier: MIT
# -o supervise: requests and open files go on with the next worker.
# shellcheck shell=bash disable=SC2086,SC2153,SC2154,SC2016,SC2030,SC2031
load common
load supervise

# For clients in Python: step() waits until `deaths` has killed a worker.
STEPS='
import errno, mmap, os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
def step():
    print("waits", flush=True)
    signal.sigwait([signal.SIGUSR1])
'

setup() {
	common_setup
	start_mount -o supervise
}

# deaths NUMBER OUTPUT: kills so many workers, one at each step of the client with this output, $JOB.
deaths() {
	local i
	for ((i = 1; i <= $1; i++)); do
		wait_until "[ \"\$(grep -c waits '$2')\" = $i ] || ended $JOB"
		kill_worker
		kill -USR1 "$JOB"
	done
	wait "$JOB" || { cat "$2"; return 1; }
}

# text_is FILE TEXT
text_is() {
	[ "$(cat "$1")" = "$2" ]
}

readers() {
	local i outs=()
	for i in 0 1 2; do
		background_output cat "$Q/$1"
		outs+=("$OUT")
		wait_parked $((i + 1))
	done
	for i in 0 1 2; do
		kill_worker
		wait_parked $((3 - i))
		echo "message $i" >"$Q/lines"
		wait_until "text_is ${outs[i]} 'message $i'"
		[ "$1" = msg ] || kill -KILL "${JOBS[-3 + i]}"
	done
}

@test "readers that wait go on, in the order in which they came" {
	each_kind readers msg
	each_kind readers lines
}

writers() {
	local i all
	fill
	for i in 0 1 2; do
		background sh -c 'echo "$2" >"$1"' sh "$Q/$1" "late $i"
		wait_parked $((i + 1))
	done
	kill_worker
	kill_worker
	wait_parked 3
	all=$BATS_TEST_TMPDIR/all
	: >"$all"
	wait_until 'cat "$Q/drain" >>"$all"; [ "$(grep -c late "$all")" = 3 ]'
	equals "$(grep late "$all")" $'late 0\nlate 1\nlate 2'
	wait "${JOBS[@]: -3}" # with status 0, each
	equals "$(messages)" 0
}

@test "writers to a full queue go on, in the order in which they came" {
	each_kind writers lines
}

@test "closers that wait for room go on, in the order in which they came" {
	each_kind writers msg
}

# waits_for FILE TEXT COMMAND...: a write to FILE waits for COMMAND, also after two deaths.
waits_for() {
	local file=$1 text=$2
	shift 2
	background sh -c 'echo "$2" >"$1"' sh "$file" "$text"
	wait_parked 1
	kill_worker
	wait_parked 1
	kill_worker
	wait_parked 1
	"$@"
	wait_until 'ended "$JOB"'
	wait "$JOB"
}

put() {
	echo "$2" >"$1"
}

@test "who waits for a semaphore goes on" {
	local sem=$MNT/posix/sem/one set=$MNT/sysv/sem/0x00005155
	mkdir "$sem" "$set"
	echo 0 >"$sem/value"
	echo 0 >"$set/0/value"
	waits_for "$sem/wait" 2 put "$sem/post" 2
	waits_for "$set/0/wait" 2 put "$set/0/post" 2
	equals "$(cat "$sem/value" "$set/0/value")" $'0\n0'
	waits_for "$set/op" 0:-3 put "$set/0/post" 3
	equals "$(cat "$set/0/value")" 0
	echo 1 >"$set/0/value"
	waits_for "$set/0/zero" '' put "$set/0/value" 0
}

@test "who waits for a hold goes on, and has it" {
	local sem
	mkdir "$MNT/posix/sem/one" "$MNT/sysv/sem/0x00005155"
	for sem in "$MNT/posix/sem/one" "$MNT/sysv/sem/0x00005155/0"; do
		echo 0 >"$sem/value"
		background_output bash -c 'exec 9>"$1/hold" && echo has it && exec sleep 100' bash "$sem"
		wait_parked 1
		kill_worker
		kill_worker
		wait_parked 1
		echo 2 >"$sem/post"
		wait_until 'text_is "$OUT" "has it"'
		equals "$(cat "$sem/value")" 1
		kill "$JOB"
		wait_until 'text_is "$sem/value" 2'
	done
}

# each_sem FUNCTION: calls it with a new semaphore of each family: $O its directory, $S that of its files.
each_sem() {
	for O in "$MNT/posix/sem/one" "$MNT/sysv/sem/0x00005156"; do
		mkdir "$O"
		S=$O
		[ ! -d "$O/0" ] || S=$O/0
		"$@"
		rmdir "$O"
	done
}

# state FIELD: of the semaphore's status.
state() {
	sed -n "s/^$1=//p" "$O/status"
}

value_is() {
	wait_until 'text_is "$S/value" '"$1" || { echo "$(cat "$S/value") is not $1"; return 1; }
}

holds() {
	local before
	echo 3 >"$S/value"
	exec 7>"$S/hold" 8>"$S/tryhold" 9>"$S/hold"
	before=$(grep '^holder_\|^generation' "$O/status")
	for _ in 1 2; do
		kill_worker
		equals "$(cat "$S/value")" 0
		equals "$(grep '^holder_\|^generation' "$O/status")" "$before"
		fails 'temporarily unavailable' sh -c 'exec 6>"$1/tryhold"' sh "$S"
		[ ! -e "$O/users" ] || not grep ipcfs "$O/users" # the process that keeps holds is not told of
		env echo >&8
	done
	exec 8>&-
	value_is 1
	kill_worker
	equals "$(state holders) $(cat "$S/value")" '2 1'
	exec 8>"$S/hold"
	equals "$(state generation)" $((${before##*generation=} + 1))
	kill_worker
	exec 7>&- 8>&- 9>&-
	value_is 3
	equals "$(state holders)" 0
}

@test "holds go on, and their closes give them back" {
	each_sem holds
}

void_hold() {
	echo 1 >"$S/value"
	exec 8>"$S/hold"
	kill_worker
	echo 1 >"$S/value" # whoever sets the value voids the hold
	equals "$(state holders)" 0
	kill_worker
	equals "$(state holders)" 0
	exec 8>&-
	exec 8>"$S/hold" # a close that had given it back would be seen by the value
	equals "$(cat "$S/value")" 0
	exec 8>&-
	value_is 1
}

@test "a hold that is void stays void" {
	each_sem void_hold
}

keeper_dies() {
	local keeper
	echo 2 >"$S/value"
	exec 8>"$S/hold"
	kill_worker
	keeper=$(pgrep -x ipcfs-holds)
	kill -KILL "$keeper"
	wait_until 'pgrep -x ipcfs-holds | grep -qvx '"$keeper"
	exec 9>"$S/hold"
	kill_worker
	kill_worker
	equals "$(cat "$S/value")" 0
	exec 8>&- 9>&-
	value_is 2
}

@test "holds go on when the process that keeps them was killed, too" {
	each_sem keeper_dies
	equals "$(pgrep -cx ipcfs-holds)" 1
}

# holds_end COMMAND: holds outlive a worker, and are given back when this has ended the mount.
holds_end() {
	mkdir "$MNT/posix/sem/one" "$MNT/sysv/sem/0x00005156"
	echo 1 >"$MNT/posix/sem/one/value"
	echo 1 >"$MNT/sysv/sem/0x00005156/0/value"
	exec 8>"$MNT/posix/sem/one/hold" 9>"$MNT/sysv/sem/0x00005156/0/hold"
	kill_worker
	"$1"
	exec 8>&- 9>&-
	wait_until '! pgrep -x ipcfs-holds'
	start_mount -o supervise
	equals "$(cat "$MNT/posix/sem/one/value" "$MNT/sysv/sem/0x00005156/0/value")" $'1\n1'
}

@test "when supervisor and worker are killed, all holds are given back" {
	holds_end kill_both
}

@test "the end of the mount gives holds back that had outlived a worker" {
	holds_end stop_mount
}

monitors() {
	local waiter
	echo 1 >"$S/value"
	background_output bash -c 'exec 9>"$1/monitor"; echo wait one >&9; echo woken; echo leave >&9; echo enter >&9; echo inside; exec sleep 100' bash "$S"
	waiter=$JOB
	wait_until '[ "$(state waiter_1_condition)" = one ]'
	equals "$(cat "$S/value")" 1
	kill_worker
	kill_worker
	equals "$(state waiter_1_condition) $(cat "$S/value")" 'one 1'
	exec 9>"$S/monitor"
	echo notify two >&9
	kill_worker
	echo notify one >&9
	kill_worker
	kill_worker
	# It was notified, and waits to enter.
	equals "$(state waiters) $(state waiter_1_condition)" '1 '
	[ ! -s "$OUT" ]
	echo leave >&9
	wait_until 'grep -q inside "$OUT"'
	equals "$(cat "$OUT")" $'woken\ninside'
	kill_worker
	equals "$(cat "$S/value") $(state holders)" '0 1'
	exec 9>&-
	kill -KILL "$waiter"
	value_is 1
	equals "$(state released_by_death) $(state last_dead_pid)" "1 $waiter"
	kill_worker
	equals "$(state released_by_death) $(state last_dead_pid)" "1 $waiter"
}

@test "a monitor goes on: who is inside, who waits, who was notified, who died" {
	each_sem monitors
}

@test "with target= holds of POSIX semaphores go on, those of System V are given back" {
	stop_mount
	background unshare --ipc sh -c 'ipcmk -S 1 -p 600 >/dev/null; exec sleep 1000'
	wait_until '[ "$(cat /proc/'"$JOB"'/comm)" = sleep ]'
	start_mount -o supervise,target="$JOB"
	mkdir "$MNT/posix/sem/one" "$MNT/sysv/sem/0x00005156"
	echo 1 >"$MNT/posix/sem/one/value"
	echo 1 >"$MNT/sysv/sem/0x00005156/0/value"
	exec 8>"$MNT/posix/sem/one/hold" 9>"$MNT/sysv/sem/0x00005156/0/monitor"
	kill_worker
	wait_until 'text_is "$MNT/sysv/sem/0x00005156/0/value" 1'
	fails 'Stale file handle' sh -c 'env echo leave >&9'
	equals "$(cat "$MNT/posix/sem/one/value")" 0
	exec 8>&- 9>&-
	wait_until 'text_is "$MNT/posix/sem/one/value" 1'
	equals "$(cat "$MNT/sysv/sem/0x00005156/0/value")" 1
	rmdir "$MNT/posix/sem/one"
}

orders() {
	local i all=$BATS_TEST_TMPDIR/order
	: >"$all"
	echo 1 >"$S/value"
	exec 9>"$S/monitor"
	for i in 1 2 3; do
		background bash -c 'exec 9>&-; exec 9>"$1/monitor"; echo "$2" >>"$3"' bash "$S" "$i" "$all"
		wait_until '[ "$(state waiters)" = '"$i"' ]'
	done
	kill_worker
	wait_until '[ "$(state waiters)" = 3 ]'
	exec 9>&-
	wait "${JOBS[@]: -3}"
	equals "$(cat "$all")" $'1\n2\n3'
}

@test "who waits to enter a monitor does so in order" {
	each_sem orders
}

parts() {
	echo 'one message' >"$Q/lines"
	echo 'another' >"$Q/lines"
	exec 8<"$Q/$1"
	equals "$(dd bs=3 count=1 status=none <&8)" one
	kill_worker
	equals "$(dd bs=4 count=1 status=none <&8)" ' mes'
	kill_worker
	equals "$(dd bs=20 count=1 status=none <&8)" sage
	[ "$1" = lines ] || equals "$(dd bs=20 count=1 status=none <&8 | wc -c)" 0
	kill_worker
	equals "$(dd bs=20 count=1 status=none <&8)" another
	exec 8<&-
}

@test "the rest of a message comes after a death" {
	each_kind parts lines
	each_kind parts msg
}

halves() {
	background_output python3 -c "$STEPS"'
lines, message = [os.open(sys.argv[1] + name, os.O_WRONLY) for name in ("/lines", "/msg")]
os.write(lines, b"half a ")
os.write(message, b"all of ")
step()
os.write(lines, b"line\nlast ")
os.write(message, b"a message")
step()
os.write(lines, b"one")
os.close(lines)
os.close(message)
' "$Q"
	deaths 2 "$OUT"
	equals "$(cat "$Q/drain")" $'half a line\nlast one\nall of a message'
}

@test "half a line and half a message wait for the rest" {
	each_kind halves
}

loop() {
	local i shell
	for shell in "${SHELLS[@]}"; do
		background_output $shell -c 'while read -r x; do echo "got $x"; [ "$x" != 3 ] || exit 0; done <"$1/lines"' sh "$Q"
		for i in 1 2 3; do
			wait_until 'in_state "$JOB" S' # busybox waits in poll
			kill_worker
			echo "$i" >"$Q/lines"
			wait_until 'grep -q "got $i" "$OUT"'
		done
		wait "$JOB"
		equals "$(cat "$OUT")" $'got 1\ngot 2\ngot 3'
	done
}

@test "a loop of read in a shell goes on" {
	each_kind loop
}

@test "a text that is read in two parts, a working directory and other spellings" {
	local text
	new_queue sysv
	text=$(cat "$Q/status")
	exec 8<"$Q/status" 9>"$MNT/sysv/msg/${NAME/0x0000/0x}/packets"
	equals "$(dd bs=20 count=1 status=none <&8)" "${text:0:20}"
	cd "$MNT/sysv/msg/${NAME/0x0000/0x}"
	kill_worker
	equals "$(cat <&8)" "${text:20}"
	equals "$(cat status)" "$text"
	env echo there >&9
	equals "$(cat drain)" there
	kill_worker
	ls . >"$BATS_TEST_TMPDIR/listed"
	grep -q '^status$' "$BATS_TEST_TMPDIR/listed"
	cd "$BATS_TEST_TMPDIR"
	exec 8<&- 9>&-
	rmdir "$Q"
	fails 'No such file' stat "$Q"
}

@test "a listing goes on" {
	background_output python3 -c "$STEPS"'
import ctypes
for key in range(0x6000, 0x6000 + 1500):
    assert ctypes.CDLL(None).msgget(key, 0o1600) >= 0
names = os.scandir(sys.argv[1])
all = [next(names).name]
step()
all += [entry.name for entry in names]
assert len(all) == len(set(all)) == 1500, len(all)
' "$MNT/sysv/msg"
	deaths 1 "$OUT"
}

pollers() {
	background_output python3 -c '
import os, select, sys
poll, epoll = select.poll(), select.epoll()
for waiting in poll, epoll:
    file = os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK)
    waiting.register(file, select.POLLIN if waiting is poll else select.EPOLLIN | select.EPOLLET)
print("polls", flush=True)
for turn in range(2):
    for waiting in poll, epoll:
        events = waiting.poll()
        while not events:
            events = waiting.poll()
        assert events[0][1] == select.POLLIN, events
        file = events[0][0]
        text = os.read(file, 65536)
        print("read", text, flush=True)
        try:
            os.read(file, 65536)
            print("read more")
        except BlockingIOError:
            pass
' "$Q/packets"
	wait_until 'grep -q polls "$OUT" && in_state "$JOB" S'
	for i in 1 2 3 4; do
		kill_worker
		kill_worker
		in_state "$JOB" S
		echo "$i" >"$Q/lines"
		wait_until "grep -q \"read b'$i'\" '$OUT'"
	done
	wait "$JOB"
}

@test "poll and epoll, also for edges, go on" {
	each_kind pollers
}

# Prints how many ms a command took that is to end with ETIMEDOUT.
timed_out() {
	local start=${EPOCHREALTIME/./}
	LC_ALL=C "$@" 2>&1 | grep -q 'Connection timed out'
	echo $(((${EPOCHREALTIME/./} - start) / 1000))
}

@test "a wait with an end ends in time, though the worker dies meanwhile" {
	local outs=() out took
	mkdir "$MNT/posix/sem/one"
	echo 0 >"$MNT/posix/sem/one/value"
	for kind in "${KINDS[@]}"; do
		new_queue "$kind"
		background_output timed_out cat "$Q/within/4/msg"
		outs+=("$OUT")
	done
	background_output timed_out sh -c 'env echo >"$1"' sh "$MNT/posix/sem/one/within/4/wait"
	outs+=("$OUT")
	wait_parked 3
	meanwhile 3
	kill_worker
	for out in "${outs[@]}"; do
		wait_until "[ -s $out ]"
		took=$(cat "$out")
		echo "$took ms"
		[ "$took" -ge 3990 ]
		[ "$SLOW" != 1 ] || [ "$took" -lt 6900 ] # from the death on it would have been 7 s
	done
}

@test "a signal ends a wait before and after a death" {
	local kind when
	for kind in "${KINDS[@]}"; do
		new_queue "$kind"
		for when in before after; do
			background env --default-signal=INT cat "$Q/msg"
			wait_parked 1
			if [ "$when" = before ]; then
				kill -STOP "$(worker)"
				wait_until '! grep -L "(stopped)" /proc/"$(worker)"/task/*/status | grep -q .'
				kill -INT "$JOB"
				meanwhile 0.1
				running "$JOB"
			fi
			kill_worker
			if [ "$when" = after ]; then
				wait_parked 1
				kill -INT "$JOB"
			fi
			wait_until 'ended "$JOB"'
		done
		# It has taken nothing.
		echo one >"$Q/lines"
		equals "$(messages)" 1
	done
}

@test "the mount ends in time after deaths, and waiting ends with it" {
	new_queue posix
	background_output cat "$Q/msg"
	wait_parked 1
	kill_worker
	kill_worker
	wait_parked 1
	within 1000 stop_mount
	wait_until 'ended "$JOB"'
	grep -qE 'connection abort|not connected' "$OUT"
}

@test "the data of a segment goes on" {
	local segment
	mkdir "$MNT/sysv/shm/0x00005155" "$MNT/posix/shm/one"
	truncate -s 4096 "$MNT/posix/shm/one/data"
	for segment in "$MNT/sysv/shm/0x00005155" "$MNT/posix/shm/one"; do
		background_output python3 -c "$STEPS"'
file = os.open(sys.argv[1], os.O_RDWR)
try:
    memory = mmap.mmap(file, 4096)
    memory[0:5] = b"begin"
except OSError as error:
    memory = None
    print("no mmap:", error)
    os.pwrite(file, b"begin", 0)
for turn in range(3):
    step()
    assert os.pread(file, 5, 0) == b"begin"
    os.pwrite(file, b"turn%d" % turn, 100)
    assert os.pread(file, 5, 100) == b"turn%d" % turn
    assert not memory or memory[100:105] == b"turn%d" % turn
    assert os.fstat(file).st_size == 4096
' "$segment/data"
		deaths 3 "$OUT"
		equals "$(dd if="$segment/data" bs=1 skip=100 count=5 status=none)" turn2
	done
}

verdicts() {
	printf '%s\n' one two three four >"$Q/lines"
	lease 5 one
	lease 6 two
	lease 7 three
	exec 8<>"$Q/lease"
	equals "$(dd bs=2 count=1 status=none <&8)" fo
	kill_worker
	leased 4 0
	equals "$(dd bs=9 count=1 status=none <&8)" ur
	equals "$(sed -n 's/^lease_[0-9]*_pid=//p' "$Q/status" | uniq)" $$
	equals "$(getfattr --only-values -n user.ipcfs.deliveries /dev/fd/6)" 1
	echo "done" >&5
	kill_worker
	leased 3 0
	echo again >&6
	leased 2 1
	made_by 0 "$MNT/posix/mq/dead"
	echo "dead posix/mq/dead" >&7
	exec 8>&-
	leased 0 2
	kill_worker
	fails 'not permitted' sh -c 'env echo done >&5'
	equals "$(cat "$Q/drain")" $'two\nfour'
	equals "$(cat "$MNT/posix/mq/dead/drain")" three
	rmdir "$MNT/posix/mq/dead"
	equals "$(sed -n 's/^leases_returned=//p' "$Q/status")" 2
	exec 5>&- 6>&- 7>&-
}

@test "leases go on" {
	each_kind verdicts
}

# other_helper PID: there is one, and it is another one.
other_helper() {
	wait_until 'helper | grep -qvx '"$1"
	equals "$(helper | wc -l)" 1
}

# The helper dies as a child of its worker, and as one that a worker before has made.
helper_dies() {
	local pid
	printf '%s\n' one two >"$Q/lines"
	lease 5 one
	pid=$(helper)
	kill_worker
	equals "$(helper)" "$pid"
	kill -KILL "$pid"
	other_helper "$pid"
	lease 6 two
	pid=$(helper)
	kill -KILL "$pid"
	other_helper "$pid"
	kill_worker
	leased 2 0
	kill_both
	equals "$(mqtool "$kind" "$NAME" receive) $(mqtool "$kind" "$NAME" receive)" 'one two'
	not mqtool -n "$kind" "$NAME" receive
	exec 5>&- 6>&-
	start_mount -o supervise
}

@test "leases go back when supervisor and worker are killed, also after their helper was" {
	each_kind helper_dies
}

exiting() {
	local before
	fill
	before=$(messages)
	python3 -c 'import os, sys; os.write(os.open(sys.argv[1], os.O_WRONLY), b"late\n")
os._exit(0)' "$Q/msg"
	kill_worker
	kill_worker
	equals "$(messages)" "$before"
	: >"$BATS_TEST_TMPDIR/all"
	wait_until 'cat "$Q/drain" >>"$BATS_TEST_TMPDIR/all"; grep -q late "$BATS_TEST_TMPDIR/all"'
	kill_worker
	cat "$Q/drain" >>"$BATS_TEST_TMPDIR/all"
	equals "$(grep -c late "$BATS_TEST_TMPDIR/all")" 1
}

@test "a message that a program has left as it ended goes on waiting for room" {
	each_kind exiting
}

stopped() {
	local all=$BATS_TEST_TMPDIR/all
	fill
	background sh -c 'echo late >"$1"' sh "$Q/lines"
	wait_parked 1
	kill -STOP "$JOB"
	wait_until 'in_state "$JOB" T'
	kill_worker
	kill_worker
	: >"$all"
	wait_until 'cat "$Q/drain" >>"$all"; grep -q late "$all"'
	kill_worker
	kill -CONT "$JOB"
	wait "$JOB"
	cat "$Q/drain" >>"$all"
	equals "$(grep -c late "$all")" 1
}

@test "a message of a writer that was stopped goes on waiting for room" {
	each_kind stopped
}

back_later() {
	local all=$BATS_TEST_TMPDIR/all
	echo job >"$Q/lines"
	lease 5 job
	fill
	exec 5>&-
	wait_until '[ "$(sed -n "s/^leases_returned=//p" "$Q/status")" = 1 ]'
	kill_worker
	kill_worker
	: >"$all"
	wait_until 'cat "$Q/drain" >>"$all"; grep -q job "$all"'
	kill_worker
	cat "$Q/drain" >>"$all"
	equals "$(grep -c job "$all")" 1
}

@test "a lease that goes back to a full queue goes on waiting for room" {
	each_kind back_later
}

@test "a file that has no hold goes on, though others with this name have one" {
	local file
	mkdir "$MNT/posix/sem/one"
	exec 7<"$MNT/posix/sem/one/hold" 8<"$MNT/posix/sem/one/monitor"
	kill_worker
	equals "$(cat <&7)$(cat <&8)" 11
	exec 7<&- 8<&-
}

@test "what can't go on is stale" {
	local file
	mkdir "$MNT/posix/shm/one"
	exec 5<>"$MNT/posix/shm/one/data" 7<"$MNT/events" 9<"$MNT/objects"
	flock 5
	dd bs=4K count=1 status=none <&7 >"$BATS_TEST_TMPDIR/part"
	dd bs=64K count=1 status=none <&9 >"$BATS_TEST_TMPDIR/part"
	kill_worker
	fails 'Stale file handle' flock -n 5
	fails 'Stale file handle' sh -c 'cat <&5'
	fails 'Stale file handle' sh -c 'cat <&7'
	fails 'Stale file handle' sh -c 'cat <&9'
	exec 5<&- 7<&- 9<&-
}

@test "limits of a user count what was open and pending before a death" {
	stop_mount
	start_mount -o supervise,max_opens=6,max_bytes=40960
	new_queue posix "$PEER"
	background_output as_user "$PEER" python3 -c "$STEPS"'
def refused(number, call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        assert error.errno == number, error
    else:
        raise AssertionError("not refused")
files = [os.open(sys.argv[1] + "/msg", os.O_WRONLY) for _ in range(6)]
pending = 0
try:
    for file in files:
        os.write(file, bytes(7000))
        pending += 1
except OSError as error:
    assert error.errno == errno.ENOMEM, error
assert 1 < pending < 6, pending
for turn in range(2):
    step()
    refused(errno.EMFILE, os.open, sys.argv[1] + "/lines", os.O_RDONLY)
    refused(errno.ENOMEM, os.write, files[5], bytes(7000))
for file in files:
    os.close(file)
print("pending", pending)
' "$Q"
	deaths 2 "$OUT"
	equals "$(sed -n 's/^pending //p' "$OUT")" "$(messages)"
}

# Prints the memory of a process in KiB.
memory_of() {
	awk '/^Private_(Clean|Dirty)|^Shared_Dirty/ { sum += $2 } END { print sum }' "/proc/$1/smaps_rollup"
}

descriptors() {
	local all=("/proc/$1/fd/"*)
	echo "${#all[@]}"
}

# What there is of something after a death, as long as another client does nothing.
counted() {
	echo "$(descriptors "$DAEMON") $(descriptors "$(worker)") $(awk '/^ipcfs_(nodes|open_files|objects)[ {]/' "$MNT/metrics" | tr '\n' ' ')"
}

@test "many deaths leave no descriptors and no memory" {
	local i before memory
	new_queue sysv
	exec 8<"$Q/status" 9>"$Q/lines"
	background cat "$Q/msg"
	for ((i = 0; i < 14; i++)); do
		wait_parked 1
		ls -lR "$MNT/sysv" >"$BATS_TEST_TMPDIR/listing"
		kill_worker
		if [ "$i" = 3 ]; then
			before=$(counted)
			memory=$(($(memory_of "$DAEMON") + $(memory_of "$(worker)")))
		fi
	done
	wait_until '[ "$(counted)" = "$before" ]' || { echo "$(counted) is not $before"; return 1; }
	echo "$before; $memory KiB, now $(($(memory_of "$DAEMON") + $(memory_of "$(worker)"))) KiB"
	[[ " $IPCFS_BUILT_WITH " == *" sanitizer "* ]] ||
		[ $(($(memory_of "$DAEMON") + $(memory_of "$(worker)"))) -lt $((memory + 1024)) ]
	exec 8<&- 9>&-
}

@test "commands in the pause between two workers are answered by the next one" {
	local jobs=() outs=()
	new_queue posix 0 -m 600
	kill -STOP "$DAEMON"
	kill -KILL "$(worker)"
	background chmod 640 "$Q"
	jobs+=("$JOB")
	wait_parked 1
	background setfacl -m u:1234:rw "$Q/msg"
	jobs+=("$JOB")
	background_output as_user 1234 sh -c 'until cat "$1/msg" 2>"$2"; do grep -q denied "$2" || exit 1; done' sh "$Q" "$BATS_TEST_TMPDIR/reports/../said"
	outs+=("$OUT")
	wait_parked 2
	kill -CONT "$DAEMON"
	wait "${jobs[@]}"
	echo hello >"$Q/lines"
	wait_until "text_is ${outs[0]} hello"
}

@test "with -o namespaces who waits learns that the answer is lost, and what was open is stale" {
	local kind
	stop_mount
	start_mount -o supervise,namespaces
	MNT=$MNT/$(cd "$MNT" && ls -d self 2>/dev/null || echo .)
	for kind in "${KINDS[@]}"; do
		new_queue "$kind"
		exec 8<"$Q/status"
		background_output cat "$Q/msg"
		wait_parked 1
		kill_worker
		wait_until 'ended "$JOB"'
		grep -q 'connection abort' "$OUT"
		fails 'Stale file handle' sh -c 'cat <&8'
		exec 8<&-
	done
}
