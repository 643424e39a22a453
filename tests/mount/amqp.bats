# SPDX-License-Identifier: MIT
# amqp/: queues of a broker. tests/tools/fakeamqp stands for ipcfs-amqp and for the broker, which is the
# directory $BROKER.
# shellcheck shell=bash disable=SC2153,SC2154,SC2016,SC2034
load common
load amqp

setup() {
	broker_setup
	config 'queue = jobs 0660 root:1234' 'queue = shown* 0644 1234:1234'
	start_mount -o "amqp=$CONFIG"
	wait_until 'grep -q ^state=up "$MNT/amqp/status"'
}

# ready [QUEUE]: prints how many messages the broker has for readers.
ready() {
	find "$BROKER/q-${1:-jobs}" -name '[0-9]*' ! -name '*.taken' | wc -l
}

# held [QUEUE]: prints how many messages are with readers.
held() {
	find "$BROKER/q-${1:-jobs}" -name '*.taken' | wc -l
}

# say WORD...: writes a line to descriptor 9. Not every shell tells why that fails.
say() {
	echo "$@" >&9
}

# store LINE: the same, to the lines of the queue.
store() {
	echo "$1" >"$Q/lines"
}

@test "a line that is written is stored when write(2) returns, and is read" {
	echo one >"$Q/lines"
	equals "$(ready)" 1
	equals "$(cat "$Q/msg")" one
	wait_until '[ "$(ready) $(held)" = "0 0" ]'
}

@test "all lines of one write are stored in their order" {
	seq 1 250 >"$Q/lines"
	equals "$(ready)" 250
	equals "$(cat "$Q/drain")" "$(seq 1 250)"
}

@test "msg is stored at close; a long message and an empty one come back the same" {
	repeat() { head -c "$2" /dev/zero | tr '\0' "$1"; }
	repeat x 200000 >"$Q/msg"
	: | dd of="$Q/packets" bs=1 count=1 status=none
	equals "$(cat "$Q/msg" | wc -c)" 200000
	printf '' >"$Q/msg"
	echo end >"$Q/msg"
	equals "$(cat "$Q/msg")" end
}

@test "long messages leave no descriptor open" {
	local before i
	echo first >"$Q/lines"
	equals "$(cat "$Q/drain")" first
	before=$(ls "/proc/$DAEMON/fd" | wc -l)
	for ((i = 0; i < 5; i++)); do
		head -c 200000 /dev/zero >"$Q/msg"
		equals "$(cat "$Q/msg" | wc -c)" 200000
	done
	wait_until '[ "$(ls "/proc/$DAEMON/fd" | wc -l)" -le "$before" ]'
}

@test "a reader waits for a message, and holds none after it was interrupted" {
	background_output cat "$Q/msg"
	wait_parked 1
	echo late >"$Q/lines"
	wait_until 'grep -qx late "$OUT"'
	background cat "$Q/msg"
	wait_parked 1
	kill -TERM "$JOB"
	wait_until 'ended "$JOB"'
	echo kept >"$Q/lines"
	meanwhile 0.1
	equals "$(ready) $(held)" '1 0'
	equals "$(cat "$Q/msg")" kept
}

@test "several readers wait, and each gets one message" {
	local job outs=()
	for job in 1 2 3; do
		background_output sh -c 'read -r line <"$1/lines" && echo "$line"' - "$Q"
		outs+=("$OUT")
	done
	wait_parked 3
	printf '%s\n' a b c >"$Q/lines"
	wait_until '[ "$(cat "${outs[@]}" | sort | paste -s -d ,)" = a,b,c ]'
	wait_until '[ "$(ready) $(held)" = "0 0" ]'
}

@test "a reader that waits is not forgotten when another one takes the answer" {
	local i helper
	helper=$(cat "$BROKER/pid.consume")
	for ((i = 0; i < 20; i++)); do
		exec 5<"$Q/packets" 6<"$Q/drain"
		kill -STOP "$helper"
		background_output sh -c 'exec dd bs=99 count=1 status=none <&5'
		wait_parked 1
		background sh -c 'exec dd bs=99 count=1 status=none <&6'
		wait_parked 2
		kill -CONT "$helper"
		wait_until 'ended "$JOB"'
		echo "$i" >"$Q/lines"
		wait_until 'grep -qx "$i" "$OUT"'
		exec 5<&- 6<&-
	done
}

@test "O_NONBLOCK and drain tell an empty queue from a broker that is down" {
	fails 'temporarily unavailable' dd if="$Q/packets" iflag=nonblock bs=9999 count=1
	silent cat "$Q/drain"
	touch "$BROKER/down"
	kill "$(cat "$BROKER/pid.consume")" "$(cat "$BROKER/pid.publish")"
	wait_until '! grep -q ^state=up "$MNT/amqp/status"'
	fails 'Host is down' cat "$Q/drain"
	fails 'Host is down' dd if="$Q/packets" iflag=nonblock bs=9999 count=1
	fails 'Host is down' dd if=/dev/zero of="$Q/packets" oflag=nonblock bs=10 count=1
	fails 'Host is down' stat "$MNT/amqp/main/unknown"
	fails 'Host is down' mkdir "$MNT/amqp/main/new"
}

@test "readers and writers wait while the broker is down, and go on" {
	local out
	[ -d "$Q" ]
	touch "$BROKER/down"
	kill "$(cat "$BROKER/pid.consume")" "$(cat "$BROKER/pid.publish")"
	wait_until '! grep -q ^state=up "$MNT/amqp/status"'
	background_output cat "$Q/msg"
	out=$OUT
	background_output sh -c 'echo through >"$1/lines" && echo stored' - "$Q"
	wait_parked 2
	[ ! -s "$out" ]
	[ ! -s "$OUT" ]
	rm "$BROKER/down"
	wait_until 'grep -qx through "$out" && grep -qx stored "$OUT"' 20
}

@test "a message whose confirm was lost is sent again" {
	touch "$BROKER/lose"
	echo again >"$Q/lines"
	equals "$(cat "$Q/msg")" again
	equals "$(sed -n 's/^resent=//p' "$MNT/amqp/status")" 1
	# Once, though the broker refuses it several times.
	touch "$BROKER/lose" "$BROKER/full"
	background store twice
	wait_until '[ ! -e "$BROKER/lose" ] && grep -q ^state=up "$MNT/amqp/status"'
	meanwhile 0.3
	rm "$BROKER/full"
	wait_until 'ended "$JOB"'
	equals "$(cat "$Q/msg")" twice
	equals "$(sed -n 's/^resent=//p' "$MNT/amqp/status")" 2
}

@test "a message that was with a reader when the connection ended is the broker's again" {
	echo one >"$Q/lines"
	exec 5<"$Q/lines"
	kill -STOP "$(cat "$BROKER/pid.publish")"
	kill "$(cat "$BROKER/pid.consume")"
	wait_until '[ "$(held)" = 0 ]'
	kill -CONT "$(cat "$BROKER/pid.publish")"
	equals "$(head -n 1 <&5)" one
	exec 5<&-
}

@test "a full queue: writers wait, O_NONBLOCK fails" {
	touch "$BROKER/full"
	fails 'temporarily unavailable' dd if=/dev/zero of="$Q/packets" oflag=nonblock bs=10 count=1
	background_output sh -c 'echo fits >"$1/lines" && echo stored' - "$Q"
	wait_parked 1
	rm "$BROKER/full"
	wait_until 'grep -qx stored "$OUT"'
	equals "$(cat "$Q/msg")" fits
}

@test "a writer that waits can be killed" {
	touch "$BROKER/full"
	background sh -c 'echo lost >"$1/lines"' - "$Q"
	wait_parked 1
	kill -KILL "$JOB"
	wait_until 'ended "$JOB"'
	rm "$BROKER/full"
	echo next >"$Q/lines"
	equals "$(cat "$Q/msg")" next
}

@test "messages of a killed writer keep their places at the broker until it answers" {
	touch "$BROKER/hold"
	background sh -c 'seq 1 100 >"$1/lines"' - "$Q"
	wait_until 'grep -qx waiting_writers=1 "$Q/status"'
	kill -KILL "$JOB"
	wait_until 'ended "$JOB"'
	background_output sh -c 'seq 101 200 >"$1/lines" && echo stored' - "$Q"
	wait_parked 1
	fails 'temporarily unavailable' dd if=/dev/zero of="$Q/packets" oflag=nonblock bs=10 count=1
	meanwhile 0.1
	rm "$BROKER/hold"
	wait_until 'grep -qx stored "$OUT"'
	grep -qx connects=2 "$MNT/amqp/status"
	equals "$(cat "$Q/drain")" "$(seq 1 200)"
}

@test "the message of a killed writer is not sent again after its connection has ended" {
	exec 7>"$Q/lines" # what the daemon has of the queue stays
	touch "$BROKER/hold"
	background store killed
	wait_until 'grep -qx waiting_writers=1 "$Q/status"'
	kill -KILL "$JOB"
	wait_until 'ended "$JOB"'
	kill "$(cat "$BROKER/pid.publish")"
	rm "$BROKER/hold"
	store later
	equals "$(cat "$Q/drain")" later
	exec 7>&-
}

forgotten() {
	"$PEERS/memory_search" "$DAEMON" <"$BATS_TEST_TMPDIR/secret"
}

@test "a message that was sent and received is nowhere in the daemon's memory" {
	local size i
	stop_mount
	unset MALLOC_PERTURB_ # meson has the C library overwrite what is freed, and so would hide it
	start_mount -o "amqp=$CONFIG"
	wait_until 'grep -q ^state=up "$MNT/amqp/status"'
	head -c 32 /dev/urandom | xxd -p -c 64 >"$BATS_TEST_TMPDIR/secret"
	for size in 1 100 2000; do
		for ((i = 0; i < size; i++)); do
			echo "$(<"$BATS_TEST_TMPDIR/secret")"
		done >"$BATS_TEST_TMPDIR/text"
		cat "$BATS_TEST_TMPDIR/text" >"$Q/msg"
		cat "$Q/msg" >"$BATS_TEST_TMPDIR/got"
		cmp "$BATS_TEST_TMPDIR/text" "$BATS_TEST_TMPDIR/got"
	done
	# Sanitizers keep freed memory.
	[[ " $IPCFS_BUILT_WITH " == *" sanitizer "* ]] || wait_until forgotten
}

@test "a drain that waits for an answer can be killed" {
	touch "$BROKER/mute"
	background cat "$Q/drain"
	wait_parked 1
	kill -KILL "$JOB"
	within 150 wait_until 'ended "$JOB"' # without an answer it ends after two seconds
}

@test "a blocked broker: O_NONBLOCK fails, and nothing is sent later; others wait" {
	local i
	touch "$BROKER/blocked"
	wait_until 'grep -qx state=blocked "$MNT/amqp/status"'
	for ((i = 0; i < 400; i++)); do
		exec 5>"$Q/packets" 5>&-
	done
	fails 'temporarily unavailable' dd if=/dev/zero of="$Q/packets" oflag=nonblock bs=10 count=1
	background_output sh -c 'echo waited >"$1/lines" && echo stored' - "$Q"
	wait_parked 1
	[ ! -s "$OUT" ]
	rm "$BROKER/blocked"
	wait_until 'grep -qx stored "$OUT"'
	grep -qx connects=2 "$MNT/amqp/status"
	equals "$(cat "$Q/drain")" waited
}

@test "a blocked broker: a writer that waits can be interrupted, killed and stopped" {
	local file
	touch "$BROKER/blocked"
	wait_until 'grep -qx state=blocked "$MNT/amqp/status"'
	for file in lines msg packets; do
		background_output bash -c 'trap : TERM; echo caught >"$1"' - "$Q/$file"
		wait_parked 1
		kill "$JOB"
		wait_until 'ended "$JOB"'
		[ "$file" = msg ] || grep -q 'Interrupted system call' "$OUT"
		background sh -c 'echo killed >"$1"' - "$Q/$file"
		wait_parked 1
		kill -KILL "$JOB"
		wait_until 'ended "$JOB"'
	done
	background sh -c 'echo stopped >"$1/lines"' - "$Q"
	wait_parked 1
	kill -STOP "$JOB"
	wait_until 'grep -q "^State:.T" "/proc/$JOB/status"'
	grep -qx state=blocked "$MNT/amqp/status"
	rm "$BROKER/blocked"
	kill -CONT "$JOB"
	wait_until 'ended "$JOB"'
	wait_until '[ "$(ready)" = 2 ]'
	equals "$(sort "$Q/drain")" "$(printf '%s\n' caught stopped)" # of msg: close(2) hands it over
}

@test "lines of one write that ipcfs-amqp has no room for come later, in their order" {
	local helper
	helper=$(cat "$BROKER/pid.publish")
	seq -f %03000.0f 1 100 >"$BATS_TEST_TMPDIR/long"
	kill -STOP "$helper"
	background_output sh -c 'dd if="$2" of="$1/lines" bs=1M status=none && echo stored' - "$Q" "$BATS_TEST_TMPDIR/long"
	wait_parked 1
	meanwhile 0.1
	kill -CONT "$helper"
	wait_until 'grep -qx stored "$OUT"'
	equals "$(cat "$BROKER/order")" "$(sort -n "$BROKER/order")"
	equals "$(wc -l <"$BROKER/order")" 100
}

@test "a message that waits for the broker counts for max_bytes with its copy" {
	local long=$BATS_TEST_TMPDIR/long
	stop_mount
	start_mount -o "max_bytes=700000,amqp=$CONFIG"
	wait_until 'grep -q ^state=up "$MNT/amqp/status"'
	touch "$BROKER/hold"
	head -c 260000 /dev/zero >"$long"
	background as_user 1234 dd if="$long" of="$Q/packets" bs=1M status=none
	wait_parked 1
	fails 'Cannot allocate memory' as_user 1234 dd if="$long" of="$Q/packets" bs=1M status=none
	rm "$BROKER/hold"
	wait_until 'ended "$JOB"'
	as_user 1234 dd if="$long" of="$Q/packets" bs=1M status=none
	equals "$(ready)" 2
}

@test "the process that starts ipcfs-amqp can change users, and has no other right of root's" {
	equals "$(sed -n 's/^Cap\(Inh\|Prm\|Eff\|Amb\):\t//p' "/proc/$(cat "$BROKER/pid.publish")/status" | paste -s -d ' ')" \
		'0000000000000000 00000000000000c0 00000000000000c0 0000000000000000'
}

@test "an ipcfs-amqp that can't be started is started later" {
	local starter
	starter=$(pgrep -P "$DAEMON" -x ipcfs-starter)
	prlimit --pid "$starter" --nofile=3:1024
	kill "$(cat "$BROKER/pid.consume")"
	wait_until 'grep -q "^last_error=.*open files" "$MNT/amqp/status"'
	prlimit --pid "$starter" --nofile=1024:1024
	wait_until 'grep -qx state=up "$MNT/amqp/status"'
}

@test "mkdir and rmdir make and delete queues; who waits gets EIDRM" {
	mkdir "$MNT/amqp/main/new"
	[ -d "$BROKER/q-new" ]
	fails 'File exists' mkdir "$MNT/amqp/main/new"
	background_output cat "$MNT/amqp/main/new/msg"
	wait_parked 1
	rmdir "$MNT/amqp/main/new"
	[ ! -e "$BROKER/q-new" ]
	wait_until 'grep -q "Identifier removed" "$OUT"'
	fails 'No such file' rmdir "$MNT/amqp/main/new"
	fails 'Permission denied' mkdir "$MNT/amqp/main/amq.own"
}

@test "create makes a queue with limits, a type and a place for dead letters" {
	echo 'amqp/main/q\0401 type=classic maxlen=1K maxbytes=5 ttl=60000 dead=a%2Fb redeliver=3 prio=9' >"$MNT/create"
	equals "$(paste -s -d , "$BROKER/q-q 1/made")" 'q 1,classic,1024,5,60000,a/b,3,9'
	[ -d "$MNT/amqp/main/q 1" ]
	exec 9<>"$MNT/create"
	echo 'amqp/main/plain' >&9
	equals "$(paste -s -d , "$BROKER/q-plain/made")" 'plain,quorum,,,,,,'
	fails 'File exists' say amqp/main/plain
	fails 'Invalid argument' say amqp/main/x type=stream
	fails 'Invalid argument' say amqp/main/x mode=0600
	fails 'Invalid argument' say amqp/main/x dead=a%2
	fails 'out of range' say amqp/main/x prio=256
	fails 'out of range' say amqp/main/x maxlen=0
	fails 'Permission denied' as_user 1234 bash -c 'echo amqp/main/x >"$1/create"' - "$MNT"
	cat <&9 >"$BATS_TEST_TMPDIR/told"
	exec 9<&-
	grep -qF 'error: type=stream: quorum or classic is wanted' "$BATS_TEST_TMPDIR/told"
	grep -qF 'amqp/main: type maxlen maxbytes ttl dead redeliver prio' "$BATS_TEST_TMPDIR/told"
	[ ! -e "$BROKER/q-x" ]
}

@test "a queue that was deleted elsewhere is gone" {
	background_output cat "$Q/msg"
	wait_parked 1
	rmdir "$BROKER/q-jobs"
	wait_until 'grep -q "Identifier removed" "$OUT"'
	wait_until '! [ -e "$Q" ]'
	mkdir "$BROKER/q-jobs"
	wait_until '[ -e "$Q" ]'
	echo new >"$Q/lines"
	equals "$(cat "$Q/msg")" new
}

@test "the rules decide, for each user" {
	mkdir "$BROKER/q-shown1" "$BROKER/q-other"
	equals "$(stat -c '%a %u %g' "$Q/msg" "$MNT/amqp/main/shown1/msg" "$MNT/amqp/main/other/msg" | paste -s -d ,)" \
		'660 0 1234,644 1234 1234,600 0 0'
	as_user 1234 sh -c 'echo mine >"$1/lines"' - "$Q"
	fails 'Permission denied' as_user 4321 cat "$Q/drain"
	fails 'Permission denied' as_user 1234 cat "$MNT/amqp/main/other/drain"
	fails 'Permission denied' as_user 1234 mkdir "$MNT/amqp/main/theirs"
	fails 'Permission denied' as_user 1234 rmdir "$MNT/amqp/main/shown1"
	[ ! -e "$BROKER/q-theirs" ]
	[ -d "$BROKER/q-shown1" ]
	fails 'not supported' chmod 666 "$Q"
	fails 'not supported' chown 1234 "$Q"
}

@test "ls has the names of rules and those that were used; any name can be looked up" {
	equals "$(ls "$MNT/amqp")" "$(printf '%s\n' main status)"
	equals "$(ls "$MNT/amqp/main")" jobs
	mkdir "$BROKER/q-a%b"
	[ -d "$MNT/amqp/main/a%2Fb" ]
	equals "$(ls "$MNT/amqp/main" | paste -s -d ' ')" 'a%2Fb jobs'
	fails 'No such file' stat "$MNT/amqp/main/none"
	fails 'No such file' stat "$MNT/amqp/main/a%2fb"
}

@test "status tells of the queue, amqp/status of the connection" {
	printf '%s\n' a b >"$Q/lines"
	wait_until 'grep -qx messages=2 "$Q/status"'
	grep -qx class=amqp/main "$Q/status"
	grep -qx state=up "$Q/status"
	grep -qx connection=main "$MNT/amqp/status"
	grep -qx "version='fake 1'" "$MNT/amqp/status"
	fails 'No such file' stat "$MNT/amqp/main/none"
	grep -qx 'last_error=' "$MNT/amqp/status" # that is no error of the connection
	touch "$BROKER/refuse"
	kill "$(cat "$BROKER/pid.consume")"
	wait_until 'grep -qx state=refused "$MNT/amqp/status"'
	grep -q '^last_error=.*ACCESS_REFUSED' "$MNT/amqp/status"
	fails 'Permission denied' cat "$Q/drain"
}

@test "messages that another reader may have had are counted" {
	printf '%s\n' a b >"$Q/lines"
	chmod 400 "$BROKER"/q-jobs/1 # the broker flags it
	equals "$(cat "$Q/msg" "$Q/msg")" ab
	equals "$(sed -n 's/^redelivered=//p' "$MNT/amqp/status")" 1
}

@test "poll(2) tells when there is a message" {
	background_output python3 -c 'import select, sys
f = open(sys.argv[1], "rb", buffering=0)
print(select.select([f], [], [], 0)[0] == [], flush=True)
print(select.select([f], [], [], 20)[0] != [], f.read(99))' "$Q/packets"
	wait_until 'grep -qx True "$OUT"'
	meanwhile 0.1
	echo polled >"$Q/lines"
	wait_until 'grep -qF "True b'"'polled'"'" "$OUT"'
}

@test "a broker that does not answer holds up nobody for long" {
	touch "$BROKER/silent"
	within 4000 fails 'Host is down' stat "$MNT/amqp/main/unknown"
	within 1000 fails 'Host is down' stat "$MNT/amqp/main/unknown"
	equals "$(ls "$MNT")" "$(ls "$MNT")"
}

all_answered() {
	rm "$BROKER/late"
	wait_until '! running "${JOBS[0]}" && ! running "${JOBS[1]}" && ! running "${JOBS[2]}"'
}

@test "answers in another order than their questions reach those who asked, at once" {
	local job
	mkdir "$BROKER/q-shown1" "$BROKER/q-shown2"
	exec 7<"$MNT/amqp/main/jobs/status" 8<"$MNT/amqp/main/shown1/status" 9<"$MNT/amqp/main/shown2/status"
	meanwhile 1.1 # what the broker has told counts for a second
	touch "$BROKER/late" "$BROKER/asked"
	background grep -q ^messages=0 <&7
	background grep -q ^messages=0 <&8
	background grep -q ^messages=0 <&9
	wait_until '[ "$(wc -l <"$BROKER/asked")" = 3 ]'
	within 150 all_answered # who is not told waits for two seconds
	for job in "${JOBS[@]}"; do
		wait "$job"
	done
	exec 7<&- 8<&- 9<&-
}

@test "a broker that does not answer: queues that are known are opened all the same" {
	local i
	seq 10 21 >"$Q/lines"
	touch "$BROKER/silent"
	meanwhile 1.1 # what the broker has told counts for a second
	for ((i = 0; i < 12; i++)); do
		background_output sh -c 'read -r line <"$1/lines"; echo "$line"' - "$Q"
	done
	wait_until '[ "$(cat "$BATS_TEST_TMPDIR"/out.* | wc -l)" = 12 ]'
	equals "$(sort "$BATS_TEST_TMPDIR"/out.*)" "$(seq 10 21)"
}

@test "lease: the message is with the broker until it is done" {
	printf '%s\n' one two >"$Q/lines"
	exec 9<>"$Q/lease"
	equals "$(cat <&9)" one
	equals "$(ready) $(held)" '1 1'
	equals "$(cat "$Q/msg")" two
	echo done >&9
	equals "$(ready) $(held)" '0 0'
	fails 'not permitted' say done
	exec 9<&-
}

@test "lease: again and a close give the message back, and it is flagged" {
	local about
	echo job >"$Q/lines"
	exec 9<>"$Q/lease"
	equals "$(cat <&9)" job
	about=$(cat <&9)
	equals "$about" "$(printf '%s\n' redelivered=no priority=0 message_id=fake-1)"
	silent cat <&9
	echo again >&9
	equals "$(ready) $(held)" '1 0'
	equals "$(cat <&9)" job
	grep -qx redelivered=yes <(cat <&9)
	exec 9<&-
	wait_until '[ "$(ready) $(held)" = "1 0" ]'
	grep -qx leases_returned=2 "$Q/status"
	grep -qx returned=2 "$MNT/amqp/status"
	equals "$(cat "$Q/msg")" job
}

@test "lease: a worker that is killed gives its message back" {
	echo job >"$Q/lines"
	background_output sh -c 'exec 9<>"$1/lease"; cat <&9; exec sleep 100 9<&9' - "$Q"
	wait_until 'grep -qx leased=1 "$Q/status"'
	wait_until 'grep -q job "$OUT"'
	kill -KILL "$JOB"
	wait_until '[ "$(ready) $(held)" = "1 0" ]'
	grep -qx leased=0 "$Q/status"
}

@test "lease: dead rejects, or sends to another queue" {
	mkdir "$BROKER/q-dead" "$BROKER/q-other"
	printf '%s\n' a b c d >"$Q/lines"
	exec 9<>"$Q/lease"
	equals "$(cat <&9)" a
	echo dead >&9
	equals "$(cat "$MNT/amqp/main/dead/within/5/msg")" a
	equals "$(cat <&9)" b
	echo dead amqp/main/other >&9
	equals "$(cat "$MNT/amqp/main/other/within/5/msg")" b
	mkdir "$MNT/posix/mq/failed"
	equals "$(cat <&9)" c
	echo dead posix/mq/failed >&9
	equals "$(cat "$MNT/posix/mq/failed/within/5/msg")" c
	equals "$(cat <&9)" d
	fails 'No such file' say dead amqp/main/none
	equals "$(held)" 1
	exec 9<&-
	exec 9<>"$MNT/posix/mq/failed/lease"
	echo e >"$MNT/posix/mq/failed/lines"
	equals "$(cat <&9)" e
	touch "$BROKER/full"
	fails 'temporarily unavailable' say dead amqp/main/other
	rm "$BROKER/full"
	echo dead amqp/main/other >&9
	equals "$(cat "$MNT/amqp/main/other/within/5/msg")" e
	exec 9<&-
	rmdir "$MNT/posix/mq/failed"
}

@test "lease: a verdict after the connection was lost is ESTALE, and after the time ETIMEDOUT" {
	echo job >"$Q/lines"
	exec 9<>"$Q/lease"
	equals "$(cat <&9)" job
	kill "$(cat "$BROKER/pid.consume")"
	wait_until '[ "$(ready) $(held)" = "1 0" ]'
	fails 'Stale file handle' say done
	equals "$(cat <&9)" job
	touch "$BROKER/timeout"
	wait_until '[ "$(ready) $(held)" = "1 0" ]'
	wait_until 'grep -q "^last_error=.*timed out" "$MNT/amqp/status"'
	fails 'Connection timed out' say done
	equals "$(cat <&9)" job
	echo done >&9
	exec 9<&-
	equals "$(ready) $(held)" '0 0'
}

@test "lease: a read goes on when the connection ends before the message is leased" {
	touch "$BROKER/dying"
	echo job >"$Q/lines"
	exec 9<>"$Q/lease"
	equals "$(cat <&9)" job
	cat <&9 | grep -qx redelivered=yes
	say done
	equals "$(ready) $(held)" '0 0'
}

@test "lease: a verdict does not wait for long, and is EIDRM without the queue" {
	printf '%s\n' a b >"$Q/lines"
	exec 9<>"$Q/lease"
	equals "$(cat <&9)" a
	touch "$BROKER/deaf"
	within 4000 fails 'Host is down' say done
	rm "$BROKER/deaf"
	equals "$(cat <&9)" b
	rmdir "$Q"
	fails 'Identifier removed' say done
	exec 9<&-
}

@test "lease: a verdict that waits can be stopped and killed, and the next one goes on" {
	local reader signal
	mkdir "$BROKER/q-dead"
	for signal in KILL TERM STOP; do
		printf '%s\n' a >"$Q/lines"
		exec 9<>"$Q/lease"
		equals "$(cat <&9)" a
		touch "$BROKER/deaf"
		background_output cat "$Q/msg"
		wait_parked 1
		reader=$OUT
		background sh -c 'echo done >&9'
		wait_parked 2
		echo next >"$Q/lines"
		kill -s "$signal" "$JOB"
		wait_until 'grep -qx next "$reader"'
		grep -qx leased=1 "$Q/status"
		[ "$signal" != STOP ] || wait_until 'grep -q "^State:.T" "/proc/$JOB/status"'
		rm "$BROKER/deaf"
		echo dead >&9
		exec 9<&-
		kill -s KILL "$JOB" || :
		equals "$(ready) $(held) $(ready dead)" '0 0 0'
	done
}

@test "lease: a message that another queue is to have waits so, too" {
	mkdir "$BROKER/q-other"
	echo a >"$Q/lines"
	exec 9<>"$Q/lease"
	equals "$(cat <&9)" a
	touch "$BROKER/hold"
	background_output bash -c 'trap : TERM; echo dead amqp/main/other >&9'
	wait_parked 1
	kill "$JOB"
	wait_until 'grep -q "Interrupted system call" "$OUT"'
	grep -qx leased=1 "$Q/status"
	rm "$BROKER/hold"
	echo dead amqp/main/other >&9
	exec 9<&-
	equals "$(ready) $(held)" '0 0'
	equals "$(sort -u "$MNT/amqp/main/other/drain")" a # the first one may be there, too
}

@test "lease: deliveries are the broker's count, where it has one" {
	echo job >"$Q/lines"
	exec 9<>"$Q/lease"
	equals "$(cat <&9)" job
	deliveries() { getfattr -n user.ipcfs.deliveries --only-values --absolute-names /dev/fd/9; }
	equals "$(deliveries)" 1
	echo again >&9
	equals "$(cat <&9)" job
	fails 'No such attribute' deliveries
	touch "$BROKER/counts"
	echo again >&9
	equals "$(cat <&9)" job
	equals "$(deliveries)" 3
	grep -qx header.x-delivery-count=2 <(cat <&9)
	exec 9<&-
}

@test "lease: a worker's loop with those that wait, and within" {
	fails 'Connection timed out' sh -c 'exec 9<>"$1/within/0.1/lease"; cat <&9' - "$Q"
	background_output sh -c 'one_job() { job=$(cat <&9) && echo "$job" && echo done >&9; }
while one_job 9<>"$1/lease"; do :; done' - "$Q"
	wait_parked 1
	seq 1 20 >"$Q/lines"
	wait_until '[ "$(wc -l <"$OUT")" = 20 ]'
	equals "$(cat "$OUT")" "$(seq 1 20)"
	wait_until '[ "$(ready) $(held)" = "0 0" ]'
}

@test "lease: max_leases, rules and max_bytes hold" {
	stop_mount
	start_mount -o "max_leases=1,max_bytes=300000,amqp=$CONFIG"
	wait_until 'grep -q ^state=up "$MNT/amqp/status"'
	printf '%s\n' a b >"$Q/lines"
	exec 9<>"$Q/lease" 8<>"$Q/lease"
	equals "$(cat <&9)" a
	fails 'Disk quota exceeded' sh -c 'cat <&8'
	equals "$(ready) $(held)" '1 1'
	exec 9<&- 8<&-
	wait_until '[ "$(ready) $(held)" = "2 0" ]'
	fails 'Permission denied' as_user 4321 sh -c 'exec 9<>"$1/lease"' - "$Q"
	silent as_user 1234 sh -c 'exec 9<>"$1/lease"; [ "$(cat <&9)" = a ] && echo done >&9' - "$Q"
	equals "$(cat "$Q/drain")" b
}

@test "lease: a connection has 2000, then the read fails and the message stays" {
	stop_mount
	start_mount -o "max_leases=3000,amqp=$CONFIG"
	wait_until 'grep -q ^state=up "$MNT/amqp/status"'
	(
		ulimit -n 4096
		python3 - "$MNT/amqp/main" <<-'END'
			import errno, os, sys

			def lease(queue):
			    file = os.open(queue + '/lease', os.O_RDWR)
			    os.read(file, 9)
			    return file

			# The stand-in for the broker looks through a queue for each message.
			queues = ['%s/q%d' % (sys.argv[1], i) for i in range(20)]
			for queue in queues:
			    os.mkdir(queue)
			    with open(queue + '/lines', 'w') as lines:
			        lines.write('job\n' * 100)
			files = [lease(queue) for queue in queues for _ in range(100)]
			with open(queues[0] + '/lines', 'w') as lines:
			    lines.write('last\n')
			try:
			    lease(queues[0])
			    assert False
			except OSError as error:
			    assert error.errno == errno.EMFILE, error
			os.close(files.pop())
			assert os.read(lease(queues[0]), 9) == b''
		END
	)
	wait_until '[ "$(ready q0) $(held q0) $(ready q19)" = "101 0 100" ]'
}

# again CONFIGURATION...: starts the mount with these lines in its configuration.
again() {
	stop_mount
	config 'queue = jobs 0660 root:1234' "$@"
	start_mount -o "amqp=$CONFIG"
	wait_until 'grep -q ^state=up "$MNT/amqp/status"'
}

@test "timeout= ends the wait for a broker, not that for a message" {
	local out
	again 'timeout = 1'
	background_output cat "$Q/msg"
	out=$OUT
	wait_parked 1
	meanwhile 1.2
	[ ! -s "$out" ]
	touch "$BROKER/down"
	kill "$(cat "$BROKER/pid.consume")" "$(cat "$BROKER/pid.publish")"
	wait_until 'grep -q "Connection timed out" "$out"'
	within 3000 fails 'timed out' store lost
	within 3000 fails 'timed out' cat "$Q/msg"
	rm "$BROKER/down"
	wait_until 'grep -q ^state=up "$MNT/amqp/status"' 20
	echo there >"$Q/lines"
	equals "$(cat "$Q/msg")" there
}

@test "timeout= ends the wait for an answer, for each that waits" {
	local first
	again 'timeout = 1'
	[ -d "$Q" ]
	kill -STOP "$(cat "$BROKER/pid.consume")"
	background_output cat "$Q/msg"
	first=$OUT
	background_output cat "$Q/msg"
	wait_until 'grep -q "timed out" "$first" && grep -q "timed out" "$OUT"' 5
	kill -CONT "$(cat "$BROKER/pid.consume")"
	echo kept >"$Q/lines"
	equals "$(cat "$Q/msg")" kept
}

@test "resend=no: a message whose confirm was lost is EIO, and is not sent again" {
	again 'resend = no'
	touch "$BROKER/lose"
	fails 'Input/output error' store perhaps
	echo next >"$Q/lines"
	equals "$(cat "$Q/msg")" next
	grep -qx resent=0 "$MNT/amqp/status"
}

@test "max_message= is the length of the longest message" {
	again 'max_message = 100'
	head -c 100 /dev/zero >"$Q/packets"
	fails 'Message too long' sh -c 'head -c 101 /dev/zero >"$1/packets"' - "$Q"
	equals "$(cat "$Q/msg" | wc -c)" 100
}

@test "SIGHUP reads the configuration again: rules count at once, and nothing connects anew" {
	fails 'Permission denied' as_user 4321 cat "$Q/drain"
	config 'queue = jobs 0666 root:root' 'make_group = 4321'
	reads_again "$CONFIG was read again"
	silent as_user 4321 cat "$Q/drain"
	as_user 4321 mkdir "$MNT/amqp/main/theirs"
	equals "$(stat -c '%a %g' "$MNT/amqp/main")" '775 4321'
	grep -qx connects=2 "$MNT/amqp/status"
}

@test "SIGHUP: a connection that leads elsewhere is made anew, and who waits goes on" {
	local other=$BATS_TEST_TMPDIR/other
	mkdir "$other" "$other/q-jobs"
	background_output cat "$Q/msg"
	wait_parked 1
	config
	sed -i "s,^vhost = .*,vhost = $other," "$CONFIG"
	reads_again "$CONFIG was read again"
	wait_until '[ -e "$other/pid.consume" ] && [ -e "$other/pid.publish" ]'
	echo there >"$Q/lines"
	wait_until 'grep -qx there "$OUT"'
	equals "$(ready)" 0
}

@test "SIGHUP: a bad file changes nothing, and the log says so" {
	echo job >"$Q/lines"
	config 'queue = jobs 0666 root:root' 'colour = blue'
	reads_again 'the connections to brokers are unchanged'
	grep -qF ':9: colour is no setting' "$LOG"
	fails 'Permission denied' as_user 4321 cat "$Q/drain"
	config
	printf '%s\n' '[more]' 'host = 127.0.0.1' >>"$CONFIG"
	sed -n '3,7p' "$CONFIG" >>"$CONFIG"
	reads_again 'a section is new: that takes a new start'
	sed -i 's/^.main.$/[other]/; /^.more.$/,$d' "$CONFIG"
	reads_again 'a section is new: that takes a new start'
	config
	sed -i 's,^helper = .*,helper = /bin/false,' "$CONFIG"
	reads_again 'helper is another program'
	rm "$CONFIG"
	reads_again 'the connections to brokers are unchanged'
	equals "$(cat "$Q/msg")" job
}

@test "SIGHUP: the worker that replaces a killed one has the configuration that was read again" {
	local worker
	stop_mount
	start_mount -o "supervise,amqp=$CONFIG"
	wait_until 'grep -q ^state=up "$MNT/amqp/status"'
	fails 'Permission denied' as_user 4321 cat "$Q/drain"
	config 'queue = jobs 0666 root:root'
	reads_again "$CONFIG was read again"
	worker=$(pgrep -P "$DAEMON" -x ipcfs-worker)
	kill -KILL "$worker"
	wait_until 'pgrep -P "$DAEMON" -x ipcfs-worker | grep -qvx '"$worker"
	wait_until 'grep -q ^state=up "$MNT/amqp/status"'
	silent as_user 4321 cat "$Q/drain"
}

@test "an answer to a reader that has gone is none for the next one" {
	exec 5<"$Q/drain"
	kill -STOP "$(cat "$BROKER/pid.consume")"
	background sh -c 'exec cat <&5'
	wait_parked 1
	kill -KILL "$JOB"
	wait_until 'ended "$JOB"'
	kill -CONT "$(cat "$BROKER/pid.consume")"
	meanwhile 0.1 # until the answer is there
	echo there >"$Q/lines"
	equals "$(cat "$Q/drain")" there
	exec 5<&-
}

@test "status tells what may have come twice" {
	touch "$BROKER/lose"
	echo one >"$Q/lines"
	equals "$(sed -n 's/^\(resent\|redelivered\)=//p' "$Q/status" | paste -s -d ' ')" '1 0'
	exec 9<>"$Q/lease"
	equals "$(cat <&9)" one
	kill "$(cat "$BROKER/pid.consume")"
	wait_until '[ "$(held)" = 0 ]'
	exec 9<&-
	equals "$(cat "$Q/msg")" one
	equals "$(sed -n 's/^\(resent\|redelivered\)=//p' "$Q/status" | paste -s -d ' ')" '1 1'
	equals "$(sed -n 's/^\(resent\|redelivered\)=//p' "$MNT/amqp/status" | paste -s -d ' ')" '1 1'
}

@test "a queue whose node is down, and one that does not answer, are no empty queues" {
	background_output cat "$Q/msg"
	wait_parked 1
	touch "$BROKER/q-jobs/down"
	wait_until 'grep -qx state=down "$Q/status"'
	fails 'Host is down' cat "$Q/drain"
	fails 'Host is down' dd if="$Q/packets" iflag=nonblock bs=9999 count=1
	rm "$BROKER/q-jobs/down"
	echo there >"$Q/lines"
	wait_until 'grep -qx there "$OUT"' 20
	wait_until 'grep -qx state=up "$Q/status"'
	touch "$BROKER/mute"
	background cat "$Q/msg"
	wait_until 'grep -qx state=silent "$Q/status"'
	fails 'Host is down' cat "$Q/drain"
}

@test "a configuration with one bad line is refused with its line" {
	stop_mount
	DAEMON=''
	config 'queue = jobs 0660 root'
	refuses ':8: queue: PATTERN MODE OWNER:GROUP is wanted'
	config 'queue = jobs 0660 nobody-here:root'
	refuses ':8: queue: an owner'
	config 'colour = blue'
	refuses ':8: colour is no setting'
	config 'tls = yes'
	refuses ':8: tls is set twice'
	config
	sed -i 's/127.0.0.1/mq.example.net/' "$CONFIG"
	refuses 'tls = no is for hosts of this machine'
	config
	chmod 640 "$CONFIG"
	refuses 'others than its owner may use it'
	chmod 600 "$CONFIG"
	chmod 644 "$BATS_TEST_TMPDIR/password"
	refuses 'others than its owner may use it'
	fails 'does not go together' ipcfs -f -o "amqp=$CONFIG,namespaces" "$MNT"
}

@test "many connections that start at the same time have each their own programs" {
	local i role
	stop_mount
	for i in {1..8}; do
		mkdir "$BATS_TEST_TMPDIR/broker$i"
		ln "$BATS_TEST_TMPDIR/bin/fakeamqp" "$BATS_TEST_TMPDIR/bin/fakeamqp$i"
		connection "b$i" "$BATS_TEST_TMPDIR/broker$i" "fakeamqp$i"
	done >"$CONFIG"
	start_mount -o "amqp=$CONFIG"
	wait_until '[ "$(grep -c "state=up" "$MNT/amqp/status")" = 8 ]'
	for i in {1..8}; do
		for role in publish consume; do
			wait_until '[ -s "$BATS_TEST_TMPDIR/broker$i/pid.$role" ]'
			grep -aq "fakeamqp$i" "/proc/$(cat "$BATS_TEST_TMPDIR/broker$i/pid.$role")/cmdline"
		done
	done
}

@test "a broker that is down at the start does not keep the mount from coming up" {
	stop_mount
	DAEMON=''
	touch "$BROKER/down"
	start_mount -o "amqp=$CONFIG"
	fails 'Host is down' stat "$Q"
	rm "$BROKER/down"
	wait_until '[ -d "$Q" ]'
}
