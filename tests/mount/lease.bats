# SPDX-License-Identifier: MIT
# lease: a message that survives its worker.
# shellcheck shell=bash disable=SC2034,SC2153,SC2154,SC2016,SC2119,SC2120
load common

# The worker of README: one job for each open. `work` is what it does with $job.
LOOP='
one_job() {
	job=$(cat <&9) || return
	if work 9>&-; then echo done >&9; fi
}
'

field() {
	sed -n "s/^$1=//p" "${2-$Q}/status"
}

# is FIELD VALUE: waits until status says so, for the daemon hears of a close after it.
is() {
	wait_until "[ \"\$(field $1)\" = '$2' ]"
}

# put MESSAGE...: each is one message.
put() {
	printf '%s\n' "$@" >"$Q/lines"
}

# take DESCRIPTOR MESSAGE: opens lease, and asserts that it gives this message.
take() {
	eval "exec $1<>'$Q/lease'"
	reads "$1" "$2"
}

# reads DESCRIPTOR MESSAGE
reads() {
	equals "$(cat <&"$1")" "$2"
}

is_empty() {
	fails 'unavailable' dd if="$Q/packets" iflag=nonblock bs=8192 status=none
}

done_or_back() {
	put job
	take 9 job
	equals "$(messages) $(field leased) $(field leases_returned)" '0 1 0'
	reads 9 '' # the end of the file stays
	exec 9>&-
	is leases_returned 1
	take 9 job
	echo "done" >&9
	equals "$(messages) $(field leased) $(field leases_returned)" '0 0 1'
	exec 9>&-
	is_empty
}

@test "done: the message is gone; a close without it: the message is back" {
	each_kind done_or_back
}

@test "the loop of README: each job once, in order; a job that fails comes again" {
	everywhere $'did 1\ndid 2\nfailed 3\ndid 4\ndid 3' "$LOOP"'
		mark=$(mktemp -u)
		work() {
			[ "$job" != 3 ] || [ -e "$mark" ] || { : > "$mark"; echo "failed $job"; return 1; }
			echo "did $job"
		}
		printf "%s\n" 1 2 3 4 > "$Q/lines"
		{ while one_job 9<> "$Q/within/0.1/lease"; do :; done; } 2> /dev/null
		rm "$mark"'
}

exclusive() {
	put a b c
	take 9 a
	take 8 b
	equals "$(cat "$Q/msg")" c
	is_empty
	echo "done" >&9
	put d
	reads 9 d
	equals "$(field leased)" 2
	exec 8>&-
	equals "$(cat "$Q/within/5/msg")" b
	exec 9>&-
	equals "$(cat "$Q/within/5/msg")" d
}

@test "nobody else gets a leased message; after a verdict a read takes the next one" {
	each_kind exclusive
}


@test "again: the message goes to the tail, with its type or priority" {
	new_queue sysv
	printf '5\ta\n6\tb\n' >"$Q/tagged"
	take 9 a
	echo again >&9
	equals "$(field leased) $(field leases_returned) $(messages)" '0 1 2'
	exec 9>&-
	equals "$(head -n 2 "$Q/tagged")" $'6\tb\n5\ta'
	new_queue posix
	printf '5\ta\n5\tb\n4\tc\n' >"$Q/tagged"
	take 9 a
	echo again >&9
	exec 9>&-
	equals "$(head -n 3 "$Q/tagged")" $'5\tb\n5\ta\n4\tc'
}

@test "type/N/lease takes that type; prio/N/ has no lease" {
	new_queue sysv
	printf '5\ta\n6\tb\n7\tc\n' >"$Q/tagged"
	exec 9<>"$Q/type/6/lease" 8<>"$Q/type/-6/within/5/lease"
	reads 9 b
	reads 8 a
	fails 'timed out' cat "$Q/type/6/within/0/msg"
	exec 9>&- 8>&-
	is leases_returned 2
	equals "$(cat "$Q/type/6/msg" "$Q/type/5/msg" "$Q/msg")" bac
	new_queue posix
	fails 'No such file' stat "$Q/prio/5/lease"
}

# Nothing is there: nothing is taken, and nothing is leased.
not_now() {
	exec 9<>"$Q/within/0.05/lease"
	fails 'timed out' cat <&9
	equals "$(field leased)" 0
	fails 'unavailable' python3 -c 'import os; os.set_blocking(9, False); os.read(9, 100)'
	put job
	python3 -c 'import os; assert os.read(9, 100) == b"job" and os.read(9, 100) == b""'
	python3 -c 'import os; os.set_blocking(9, True)'
	exec 9>&-
	is messages 1
}

@test "within/SECONDS/ and O_NONBLOCK end a wait that has taken nothing" {
	each_kind not_now
}

polled() {
	python3 - <<-'END'
		import os, select
		fd = os.open(os.environ['Q'] + '/lease', os.O_RDWR)
		poll = select.poll()
		poll.register(fd, select.POLLIN | select.POLLOUT)
		def events(): return poll.poll(0)[0][1]
		assert events() == select.POLLOUT, events()
		edge = select.epoll()
		edge.register(fd, select.EPOLLIN | select.EPOLLET)
		if os.fork() == 0:
		    put = os.open(os.environ['Q'] + '/packets', os.O_WRONLY)
		    os.write(put, b'job')
		    os._exit(0)
		assert edge.poll() == [(fd, select.EPOLLIN)]
		os.wait()
		assert events() == select.POLLIN | select.POLLOUT
		assert os.read(fd, 2) == b'jo' and events() == select.POLLIN | select.POLLOUT
		assert os.read(fd, 9) == b'b' and events() == select.POLLIN | select.POLLOUT
		assert os.read(fd, 9) == b'' and events() == select.POLLIN | select.POLLOUT
		os.write(fd, b'done')
		assert events() == select.POLLOUT
	END
}

@test "poll(2) and epoll(7): a message, its rest and its end are readable; a verdict never waits" {
	each_kind polled
}

# The read's buffer is smaller than the message; an empty message is one.
sizes() {
	local text
	text=$(head -c 5000 /dev/zero | tr '\0' x)
	printf %s "$text" >"$Q/msg"
	exec 9<>"$Q/lease"
	equals "$(dd bs=7 status=none <&9)" "$text"
	silent dd bs=100000 status=none <&9
	exec 9>&-
	is messages 1
	equals "$(cat "$Q/msg")" "$text"
	mqtool -n "$KIND" "$NAME" send 1 ''
	take 9 ''
	equals "$(field leased) $(messages)" '1 0'
	echo again >&9
	equals "$(field leased) $(messages)" '0 1'
	reads 9 ''
	echo "done" >&9
	exec 9>&-
	is_empty
	# one for which the reader has waited
	background bash -c 'exec 9<>"$Q/lease"; cat <&9; exec sleep 100'
	wait_parked 1
	mqtool -n "$KIND" "$NAME" send 1 ''
	is leased 1
	kill "$JOB"
	is messages 1
}

@test "messages of any size: longer than the buffer, and empty" {
	each_kind sizes
}

# The printf of coreutils writes all at once; that of bash writes each line by itself.
refused() {
	local verdict
	for verdict in DONE 'done ' $'done\n\n' 'dead ' $'\n' 'again 1' $'done\nagain' $'dead posix/mq/a\nb'; do
		fails 'Invalid argument' eval 'env printf "%s" "$verdict" >&9'
	done
	fails 'name too long' eval 'echo "dead posix/mq/$(printf %300s q)" >&9'
}

malformed() {
	local verdict
	exec 9<>"$Q/lease"
	refused
	for verdict in "done" again dead 'dead posix/mq/none'; do
		fails 'not permitted' eval 'echo "$verdict" >&9'
	done
	put job
	reads 9 job
	refused
	equals "$(field leased) $(messages)" '1 0'
	printf again >&9
	exec 9>&-
	is messages 1
	: <"$Q/lease" # tar opens every file
	fails 'Invalid argument' cat "$Q/lease"
	fails 'Invalid argument' eval ': >"$Q/lease"'
	equals "$(messages)" 1
}

@test "what is no verdict is refused, and changes nothing" {
	each_kind malformed
}

dead() {
	local target=$Q path=${Q#"$MNT"/}
	new_queue "$([ "$KIND" = posix ] && echo sysv || echo posix)"
	printf '%s\n' a b >"$Q/lines"
	take 9 a
	echo "dead $path" >&9
	equals "$(cat "$target/msg")" a
	reads 9 b
	echo dead >&9
	equals "$(field leased) $(field leases_returned) $(messages)" '0 0 0'
	grep -F "a message of ${Q#"$MNT"/} is dropped as dead, by uid 0: 1 bytes" "$LOG"
	exec 9>&-
	rmdir "$Q"
	Q=$target
}

@test "dead: the message goes to another queue, or is dropped and logged" {
	each_kind dead
}

@test "dead QUEUE: errors leave the lease as it is" {
	new_queue sysv
	local full=$Q path
	fill
	new_queue posix
	put job
	take 9 job
	for path in none posix/mq posix/mq/ posix/mq/none posix/sem/x sysv/shm/1 /posix/mq/x ../posix/mq/x \
		"posix-mq/$NAME" "posix/mq-$NAME"; do
		fails 'No such file' eval 'echo "dead $path" >&9'
	done
	fails 'unavailable' eval 'echo "dead ${full#"$MNT"/}" >&9'
	equals "$(field leased) $(messages)" '1 0'
	echo 'posix/mq/short maxmsg=1 msgsize=2' >"$MNT/create"
	fails 'too long' eval 'echo "dead posix/mq/short" >&9'
	equals "$(field leased) $(messages)" '1 0'
	cat "$full/drain" >"$BATS_TEST_TMPDIR/drained"
	# There is room for this message, and none for that of a writer that waits.
	head -c 8192 /dev/zero >"$full/packets"
	head -c 8000 /dev/zero >"$full/packets"
	background bash -c 'head -c 8192 /dev/zero >"$0/packets"' "$full"
	wait_until 'grep -qx waiting_writers=1 "'"$full"'/status"'
	fails 'unavailable' eval 'echo "dead ${full#"$MNT"/}" >&9'
	equals "$(field leased)" 1
	cat "$full/drain" >/dev/null
	wait_until 'ended "$JOB"'
	cat "$full/drain" >/dev/null
	echo "dead ${full#"$MNT"/}" >&9
	equals "$(cat "$full/msg")" job
	exec 9>&-
}


rights() {
	local mode
	chown 99:99 "$Q"
	for mode in 606 604; do
		chmod "$mode" "$Q"
		equals "$(stat -c %a "$Q/lease")" 606
		as_user "$PEER" test -w "$Q/lease"
		put job
		as_user "$PEER" bash -c 'exec 9<>"$Q/lease" && cat <&9 && echo again >&9 && cat <&9 && echo dead >&9' >"$BATS_TEST_TMPDIR/got"
		equals "$(cat "$BATS_TEST_TMPDIR/got") $(messages)" 'jobjob 0'
	done
	for mode in 602 600; do
		chmod "$mode" "$Q"
		equals "$(stat -c %a "$Q/lease")" 600
		not as_user "$PEER" test -w "$Q/lease"
		fails 'Permission denied' as_user "$PEER" bash -c ': 9<>"$Q/lease"'
	done
	setfacl -m "u:$PEER:r" "$Q"
	as_user "$PEER" bash -c ': 9<>"$Q/lease"'
	getfacl -n "$Q/lease" 2>/dev/null | grep -x "user:$PEER:rw-"
	# What changes lease changes who may read the queue, and gives and takes no right to send.
	setfacl -m "u:5678:rw,u:$PEER:0,u:5679:w" "$Q/lease"
	equals "$(getfacl -cnE "$Q" 2>/dev/null | tr x - | sort | xargs)" "$(printf '%s\n' user::rw- user:5678:r-- user:5679:--- "user:$PEER:---" group::--- mask::r-- other::--- | sort | xargs)"
	setfacl -m u:5678:w,g:5678:rw "$Q"
	setfacl -m u:5678:r "$Q/lease"
	getfacl -n "$Q" 2>/dev/null | grep -x 'user:5678:rwx'
	setfacl -b "$Q/lease"
	equals "$(stat -c %a "$Q/msg")" 600
	chmod 666 "$Q/lease"
	equals "$(stat -c %a "$Q/msg")" 644
	chmod 622 "$Q"
	chmod -R 640 "$Q"
	equals "$(stat -c %a "$Q/msg")" 640
}

@test "who may read the queue may lease, and needs no right to send" {
	each_kind rights
}

@test "the opener's right is judged at each read; a message goes back to a queue of mode 0" {
	local kind
	for kind in "${KINDS[@]}"; do
		new_queue "$kind" "$PEER" -m 600
		put a b
		background as_user "$PEER" bash -c "$PRELUDE"'
			exec 9<>"$Q/lease"; cat <&9 >/dev/null
			until_true "[ -e \"$0\" ]"; cat <&9; kill -STOP $$' "$BATS_TEST_TMPDIR/go" >"$BATS_TEST_TMPDIR/out" 2>&1
		is leased 1
		chmod 0 "$Q"
		touch "$BATS_TEST_TMPDIR/go"
		wait_until 'grep -q . "$BATS_TEST_TMPDIR/out"'
		kill -KILL "$JOB"
		is messages 2
		equals "$(cat "$Q/drain")" $'b\na'
		rm "$BATS_TEST_TMPDIR/go"
	done
}

dead_as_peer() {
	as_user "$PEER" bash -c 'exec 9<>"$Q/lease"; cat <&9; echo "dead $0" >&9' "$1" 2>&1
}

@test "dead QUEUE needs the right to send there: by mode, list, whitelist; a hidden queue is none" {
	local target
	new_queue sysv 0 -m 622
	target=$Q
	new_queue posix 0 -m 604
	put job
	[[ $(dead_as_peer "${target#"$MNT"/}") == job ]]
	equals "$(cat "$target/msg") $(messages)" 'job 0'
	chmod 600 "$target"
	put job
	[[ $(dead_as_peer "${target#"$MNT"/}") == job*'Permission denied'* ]]
	is messages 1
	setfacl -m "u:$PEER:w" "$target"
	[[ $(dead_as_peer "sysv/msg/${target##*/}") == job ]]
	equals "$(cat "$target/msg") $(messages)" 'job 0'
	stop_mount
	start_mount -o hide
	chmod 604 "$target"
	setfacl -b "$target"
	chmod 600 "$target"
	put job
	[[ $(dead_as_peer "${target#"$MNT"/}") == job*'No such file'* ]]
	is messages 1
}

# A user hands the descriptor to a process with more rights, which prints to it.
@test "dead QUEUE is not for a writer that has more rights than the opener" {
	local target
	new_queue sysv 0 -m 600
	target=$Q
	new_queue posix 0 -m 604
	put job
	python3 - "$PEER" "${target#"$MNT"/}" <<-'END'
		import errno, os, socket, sys
		ours, theirs = socket.socketpair()
		if os.fork() == 0:
		    os.setgroups([])
		    os.setgid(int(sys.argv[1]))
		    os.setuid(int(sys.argv[1]))
		    fd = os.open(os.environ['Q'] + '/lease', os.O_RDWR)
		    assert os.read(fd, 100) == b'job'
		    socket.send_fds(theirs, [b'x'], [fd])
		    os._exit(0)
		_, (fd,), _, _ = socket.recv_fds(ours, 1, 1)
		try:
		    os.write(fd, b'dead ' + sys.argv[2].encode())
		except PermissionError as error:
		    assert error.errno == errno.EPERM, error
		else:
		    sys.exit('it was sent')
		assert os.read(fd, 100) == b'' # the lease is as it was
		os.wait()
	END
	is leases_returned 1
	equals "$(messages) $(messages "$target")" '1 0'
}

killed_worker() {
	put a b
	background bash -c 'exec 9<>"$Q/lease"; cat <&9; exec sleep 100'
	is leased 1
	equals "$(field lease_1_pid) $(field lease_1_uid)" "$JOB 0"
	[ "$(field lease_1_age)" -lt 60 ]
	jq -e 'select(.name == env.NAME) | .leased == 1 and .lease_1_uid == 0' "$MNT/objects"
	within 1000 bash -c 'kill -KILL "$0"; until [ "$(sed -n s/^messages=//p "$Q/status")" = 2 ]; do :; done' "$JOB"
	equals "$(field leased) $(field leases_returned)" '0 1'
	equals "$(cat "$Q/drain")" $'b\na'
}

@test "status names each lease; SIGKILL of the worker gives the message back at once" {
	each_kind killed_worker
}

count() {
	getfattr -n user.ipcfs.deliveries --only-values --absolute-names "/dev/fd/$1"
}

deliveries() {
	fails 'No such attribute' count 9 9<>"$Q/lease"
	put poison fresh
	take 9 poison
	equals "$(count 9)" 1
	fails 'No such attribute' getfattr -n user.ipcfs.deliveries "$Q/lease"
	exec 9>&-
	is messages 2
	take 9 fresh
	take 8 poison
	equals "$(count 9) $(count 8)" '1 2'
	getfattr -d --absolute-names /dev/fd/8 | grep -x 'user.ipcfs.deliveries="2"'
	fails 'not supported' setfattr -n user.ipcfs.deliveries -v 1 /dev/fd/8
	echo again >&8
	fails 'No such attribute' count 8
	exec 9>&- 8>&-
	is messages 2
	take 9 poison
	equals "$(count 9)" 3
	echo "done" >&9
	reads 9 fresh
	echo "done" >&9
	put poison
	reads 9 poison
	equals "$(count 9)" 1
	exec 9>&-
}

@test "user.ipcfs.deliveries of an open lease tells a poisonous job from a fresh one" {
	each_kind deliveries
}

orphan() {
	put job
	bash -c 'exec 9<>"$Q/lease"; cat <&9; sleep 100 & echo "$!" >"$0"' "$BATS_TEST_TMPDIR/pid"
	equals "$(field leased)" 1
	kill -KILL "$(cat "$BATS_TEST_TMPDIR/pid")"
	is messages 1
}

@test "a child that inherited the descriptor has the lease; 9>&- keeps it from that" {
	each_kind orphan
}

full_queue() {
	local size
	put job
	take 9 job
	fill
	size=$(messages)
	background as_user "$PEER" bash -c 'echo new >"$Q/lines"' 9>&-
	wait_until '[ "$(field waiting_writers)" = 1 ]'
	exec 9>&-
	is waiting_writers 2
	meanwhile 0.1
	equals "$(field leased) $(field leases_returned) $(messages)" "0 1 $size"
	cat "$Q/drain" >"$BATS_TEST_TMPDIR/all"
	is waiting_writers 0
	cat "$Q/drain" >>"$BATS_TEST_TMPDIR/all"
	equals "$(grep -xE 'job|new' "$BATS_TEST_TMPDIR/all")" $'job\nnew'
}

@test "a queue that is full when a message comes back: it waits, before those who came to send" {
	local kind
	for kind in "${KINDS[@]}"; do
		new_queue "$kind" 0 -m 666
		full_queue
	done
}

removed() {
	local kept
	put a b
	take 9 a
	take 8 b
	rmdir "$Q"
	fails 'removed' bash -c 'echo done >&9; cat <&9'
	exec 9>&- 8>&-
	not grep -q lost "$LOG"
	# Nor is it kept for the end of the daemon.
	kept=$(find "/proc/$DAEMON/fd" -lname '*ipcfs-leases*')
	wait_until '[ "$(stat -L -c %b "$kept")" = 0 ]'
}

@test "the queue is removed: the leased message is gone with it" {
	each_kind removed
}

@test "max_leases, for each user: a read beyond it is refused, and the log tells" {
	stop_mount
	start_mount -o max_leases=2
	local kind
	for kind in "${KINDS[@]}"; do
		new_queue "$kind" 0 -m 666
		put a b c d
		as_user "$PEER" bash -c '
			exec 7<>"$Q/lease" 8<>"$Q/lease" 9<>"$Q/lease"
			cat <&7; cat <&8; ! cat <&9 || exit 1; echo done >&7; cat <&9; cat <&8' >"$BATS_TEST_TMPDIR/got" 2>&1
		grep -F 'Disk quota exceeded' "$BATS_TEST_TMPDIR/got"
		equals "$(sed 's/cat: .*//' "$BATS_TEST_TMPDIR/got" | tr -d '\n')" abc
		is messages 3
		take 9 d
		exec 9>&-
	done
	grep "uid $PEER has reached max_leases" "$LOG"
	fails 'max_leases' ipcfs -f -o max_leases=x "$BATS_TEST_TMPDIR"
}

lease_nothing() {
	python3 - <<-'EOF'
	import os, threading, time

	errors, end = set(), time.monotonic() + 1

	def read():
	    lease = os.open(os.environ['Q'] + '/lease', os.O_RDWR | os.O_NONBLOCK)
	    while time.monotonic() < end:
	        try:
	            os.read(lease, 100)
	        except BlockingIOError:
	            pass
	        except OSError as error:
	            errors.add(error.strerror)

	readers = [threading.Thread(target=read) for _ in range(4)]
	for reader in readers:
	    reader.start()
	for reader in readers:
	    reader.join()
	assert not errors, errors
	EOF
}

@test "max_leases: reads that find no message do not refuse each other" {
	stop_mount
	start_mount -o max_leases=1
	each_kind lease_nothing
}

@test "a leased message counts against max_bytes: a read beyond it takes nothing" {
	stop_mount
	start_mount -o max_bytes=64K
	new_queue sysv 0 -m 666
	head -c 8000 /dev/zero >"$Q/msg"
	head -c 8000 /dev/zero >"$Q/msg"
	run as_user "$PEER" python3 -c '
import errno, os
fds = []
try:
    while True:
        fds.append(os.open(os.environ["Q"] + "/lease", os.O_RDWR))
except OSError as error:
    assert error.errno == errno.ENOMEM, error
for fd in fds[-3:]:
    os.close(fd)
try:
    os.read(fds[0], 8000)
except OSError as error:
    assert error.errno == errno.ENOMEM, error
    print("refused")
'
	equals "$status $output" '0 refused'
	is messages 2
}

waits_in_vain() {
	silent as_user "$PEER" python3 -c '
import os
fd = os.open(os.environ["Q"] + "/within/0.01/lease", os.O_RDWR)
for _ in range(40):
    try:
        os.read(fd, 8192)
        raise SystemExit("got a message")
    except TimeoutError:
        pass
with open(os.environ["Q"] + "/msg", "w") as file:
    file.write("job")
assert os.read(fd, 8192) == b"job"'
}

@test "a read that ended without a message counts no more against max_bytes" {
	local kind
	stop_mount
	start_mount -o max_bytes=256K
	for kind in "${KINDS[@]}"; do
		new_queue "$kind" 0 -m 666
		waits_in_vain
	done
}

# worker NUMBER: it notes each job that it sees, and then each one that is done.
worker() {
	# shellcheck disable=SC2086 # a shell may be two words
	background ${SHELLS[$1 % ${#SHELLS[@]}]} -c '
		one_job() {
			job=$(cat <&9) || return
			echo "$job" >>"$SEEN"
			echo "done" >&9 && echo "$job" >>"$DONE"
		}
		while :; do one_job 9<>"$Q/lease"; done 2>/dev/null'
	WORKERS[$1]=$JOB
}

# Kills and replaces a worker now and then, while there are jobs that nobody has seen.
kill_workers() {
	local n ms
	kills=0
	while [ "$kills" -lt $((jobs / 2)) ] && [ "$(sort -u "$SEEN" | wc -l)" -lt "$jobs" ]; do
		n=$((RANDOM % ${#WORKERS[@]})) ms=$((RANDOM % (40 * SLOW)))
		sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))" # a random moment
		kill -KILL "${WORKERS[n]}"
		kills=$((kills + 1))
		worker "$n"
	done
}

# A job is done once, or is seen again. More sightings than jobs are messages that came back.
killed_at_random() {
	local jobs=$1 kills n
	WORKERS=()
	: >"$SEEN"
	: >"$DONE"
	for n in 0 1 2; do
		worker "$n"
	done
	background bash -c 'seq "$0" >"$Q/lines"' "$jobs"
	kill_workers
	wait_until '[ "$(sort -u "$SEEN" | wc -l) $(messages) $(field leased)" = "$jobs 0 0" ]' 60
	equals "$(sort -n "$DONE" | uniq -d)" ''
	echo "$jobs jobs, $(wc -l <"$SEEN") seen, $(wc -l <"$DONE") noted as done, $kills kills, $(field leases_returned) returned"
	[ $(($(wc -l <"$SEEN") - jobs)) -le "$(field leases_returned)" ]
	[ $((jobs - $(wc -l <"$DONE"))) -le "$kills" ]
	kill -KILL "${WORKERS[@]}"
}

@test "workers of every shell are killed at random moments: each job is done once, or seen again" {
	local kind end=$((SECONDS + ${IPCFS_TEST_SECONDS:-0}))
	export SEEN=$BATS_TEST_TMPDIR/seen DONE=$BATS_TEST_TMPDIR/done
	while :; do
		for kind in "${KINDS[@]}"; do
			new_queue "$kind"
			killed_at_random $((SHORT ? 40 : 100))
			rmdir "$Q"
		done
		[ "$SECONDS" -lt "$end" ] || break
	done
}

@test "the daemon ends in order: leased messages are back" {
	local kind first
	new_queue posix
	first=$Q
	put a b
	take 9 a
	new_queue sysv
	put c d
	take 8 c
	stop_mount
	exec 9>&- 8>&-
	start_mount
	equals "$(cat "$first/drain" "$Q/drain")" $'b\na\nd\nc'
}

# A process that outlives the daemon sends them.
@test "the daemon is killed: leased messages are back, in a full queue when there is room" {
	local first full
	new_queue posix
	first=$Q
	put a b
	take 9 a
	new_queue sysv
	put c
	take 8 c
	fill
	full=$(messages)
	new_queue sysv
	put d e
	take 7 d
	take 6 e
	echo "done" >&6
	kill -KILL "$DAEMON"
	wait "$DAEMON" || :
	DAEMON=''
	exec 9>&- 8>&- 7>&- 6>&-
	umount -l "$MNT"
	start_mount
	is messages 1
	equals "$(cat "$Q/msg")" d
	Q=$first
	is messages 2
	equals "$(cat "$Q/drain")" $'b\na'
	Q=$MNT/sysv/msg/0x00005102
	equals "$(messages)" "$full"
	cat "$Q/drain" >"$BATS_TEST_TMPDIR/all"
	is messages 1
	equals "$(cat "$Q/msg")" c
}
