# SPDX-License-Identifier: MIT
# Ordinary programs work on the channel files as on a pipe.
# shellcheck shell=bash disable=SC2154,SC2016
load common

copying() {
	local file=$BATS_TEST_TMPDIR/file copy=$BATS_TEST_TMPDIR/copy
	head -c 8192 /dev/urandom >"$file"
	cp "$file" "$Q/msg"
	equals "$(messages)" 1
	cp "$Q/msg" "$copy"
	cmp "$file" "$copy"
	cat "$file" >"$Q/msg"
	cat "$Q/msg" >"$copy"
	cmp "$file" "$copy"
	echo text >"$file"
	cp "$file" "$Q/lines"
	busybox cp "$file" "$Q/lines"
	cp "$Q/drain" "$copy"
	equals "$(cat "$copy")" $'text\ntext'
}

@test "cp" {
	each_kind copying
}

@test "dd" {
	new_queue posix
	printf 'one two three' | dd of="$Q/msg" bs=4 status=none
	equals "$(messages)" 1
	equals "$(dd if="$Q/msg" bs=4 status=none)" 'one two three'
	new_queue sysv
	printf '1\n2\n3\n' | dd of="$Q/lines" bs=1 status=none
	equals "$(messages)" 3
	equals "$(dd if="$Q/lines" bs=512 count=3 status=none)" $'1\n2\n3'
	fails 'Resource temporarily unavailable' dd if="$Q/msg" iflag=nonblock
}

@test "tee" {
	new_queue posix
	local first=$Q
	new_queue sysv
	printf 'a\nb\n' | tee "$first/lines" "$Q/msg" >/dev/null
	printf 'c\n' | tee -a "$first/lines" >/dev/null
	equals "$(messages "$first") $(messages)" '3 1'
	equals "$(cat "$Q/msg")" $'a\nb'
	equals "$(cat "$first/drain")" $'a\nb\nc'
}

with_socat() {
	echo hello | socat -u - "OPEN:$Q/msg"
	equals "$(messages)" 1
	equals "$(socat -u "OPEN:$Q/msg,rdonly" -)" hello
	background_output socat -u "OPEN:$Q/lines,rdonly" -
	printf '%s\n' 1 2 3 >"$Q/lines"
	wait_until "[ \$(wc -l <'$OUT') = 3 ]"
	echo 4 >"$Q/msg"
	wait_until "[ \$(wc -l <'$OUT') = 4 ]"
	equals "$(cat "$OUT")" $'1\n2\n3\n4'
	kill "$JOB"
	wait "$JOB" || :
	# In both directions at once.
	equals "$(echo there | timeout 1 socat - "OPEN:$Q/lines,rdwr")" there
}

@test "socat" {
	each_kind with_socat
}

with_timeout() {
	run timeout 0.3 cat "$Q/msg"
	equals "$status $output" '124 '
	printf '%s\n' 1 2 3 >"$Q/lines"
	equals "$(timeout 0.5 cat "$Q/lines")" $'1\n2\n3'
	run timeout 1 cat "$Q/msg"
	equals "$status $output" '124 '
	echo later >"$Q/msg"
	equals "$(timeout 1 cat "$Q/msg")" later
}

@test "timeout cat takes nothing after the time is over" {
	each_kind with_timeout
}

@test "head, tail, grep, sort, awk, sed and wc read drain to its end" {
	new_queue posix
	printf '%s\n' 3 1 2 >"$Q/lines"
	equals "$(sort "$Q/drain")" $'1\n2\n3'
	printf '%s\n' 3 1 2 >"$Q/lines"
	equals "$(awk '{ n += $1 } END { print n }' "$Q/drain")" 6
	printf '%s\n' 3 1 2 >"$Q/lines"
	equals "$(sed -n 2p "$Q/drain")" 1
	printf '%s\n' 3 1 2 >"$Q/lines"
	equals "$(grep -c . "$Q/drain")" 3
	printf '%s\n' 3 1 2 >"$Q/lines"
	equals "$(tail -n 1 "$Q/drain")" 2
	printf '%s\n' 3 1 2 >"$Q/lines"
	equals "$(wc -l <"$Q/drain")" 3
}

@test "grep -m 1 on lines" {
	new_queue sysv
	printf '%s\n' one two three >"$Q/lines"
	equals "$(grep -m 1 two "$Q/lines")" two
}

@test "xargs -P is a pool of workers" {
	new_queue sysv
	seq 100 >"$Q/lines"
	equals "$(xargs -P 4 -n 1 echo <"$Q/drain" | sort -n | cksum)" "$(seq 100 | cksum)"
}

with_python() {
	/usr/bin/python3 - <<-'EOF'
	import os, select
	q = os.environ['Q']
	with open(q + '/msg', 'w') as f:
	    f.write('hello\n')
	    f.write('world\n')
	assert open(q + '/msg').read() == 'hello\nworld\n'
	with open(q + '/msg', 'wb') as f:
	    f.write(bytes(range(256)) * 32)
	assert open(q + '/msg', 'rb').read() == bytes(range(256)) * 32
	with open(q + '/lines', 'w') as f:
	    for i in range(5):
	        print(i, file=f)
	with open(q + '/lines') as f:
	    assert [f.readline() for i in range(2)] == ['0\n', '1\n']
	assert open(q + '/drain').read() == '2\n3\n4\n'
	with open(q + '/packets', 'r+b', buffering=0) as f:
	    f.write(b'one')
	    f.write(b'two')
	    assert [f.read(8192), f.read(8192)] == [b'one', b'two']
	    fd = f.fileno()
	    poll = select.poll()
	    poll.register(fd, select.POLLIN | select.POLLOUT)
	    assert poll.poll(1000) == [(fd, select.POLLOUT)]
	    f.write(b'three')
	    assert poll.poll(1000) == [(fd, select.POLLIN | select.POLLOUT)]
	    assert f.read(8192) == b'three'
	    assert select.select([fd], [], [], 0.05) == ([], [], [])
	    epoll = select.epoll()
	    epoll.register(fd, select.EPOLLIN)
	    assert epoll.poll(0.05) == []
	    if os.fork() == 0:
	        import time
	        time.sleep(0.1)
	        open(q + '/msg', 'w').write('four')
	        os._exit(0)
	    assert epoll.poll(5) == [(fd, select.EPOLLIN)]
	    os.wait()
	    assert f.read(8192) == b'four'
	    # Messages that are sent and taken directly are noticed, too.
	    if os.fork() == 0:
	        time = __import__('time')
	        time.sleep(0.1)
	        os.execlp('mqtool', 'mqtool', os.environ['KIND'], os.environ['NAME'], 'send', '1', 'five')
	    assert epoll.poll(5) == [(fd, select.EPOLLIN)]
	    os.wait()
	    assert f.read(8192) == b'five'
	EOF
}

@test "Python's open, poll, select and epoll" {
	each_kind with_python
}

full_poll() {
	fill
	/usr/bin/python3 - <<-'EOF'
	import os, select, subprocess, time
	q = os.environ['Q']
	fd = os.open(q + '/packets', os.O_WRONLY | os.O_NONBLOCK)
	poll = select.poll()
	poll.register(fd, select.POLLOUT)
	try:
	    while True:
	        os.write(fd, b'x')
	except BlockingIOError:
	    pass
	assert poll.poll(50) == []
	child = subprocess.Popen('sleep 0.1; exec mqtool $KIND $NAME receive >/dev/null', shell=True)
	assert poll.poll(5000) == [(fd, select.POLLOUT)]
	child.wait()
	os.write(fd, b'x')
	EOF
}

@test "POLLOUT comes when a full queue has room" {
	each_kind full_poll
}

@test "perl's IPC::Msg talks to the mount" {
	new_queue sysv
	echo 'from the mount' >"$Q/type/4/msg"
	run perl -MIPC::Msg -e '
		my $q = IPC::Msg->new(hex(substr $ENV{NAME}, 2), 0) or die "new: $!";
		my $type = $q->rcv(my $text, 8192, 0, 0) or die "rcv: $!";
		print "$type $text";
		$q->snd(9, "from perl") or die "snd: $!";'
	equals "$status $output" '0 4 from the mount'
	equals "$(head -n 1 "$Q/tagged")" $'9\tfrom perl'
}

@test "python's sysv_ipc talks to the mount" {
	new_queue sysv
	echo 'from the mount' >"$Q/type/4/msg"
	run /usr/bin/python3 -c '
import os, sysv_ipc
q = sysv_ipc.MessageQueue(int(os.environ["NAME"], 16))
print(*q.receive(type=4))
q.send(b"from python", type=9)'
	equals "$status" 0
	[[ $output == "(b'from the mount\\n', 4)"* || $output == "b'from the mount\\n' 4" ]]
	equals "$(head -n 1 "$Q/tagged")" $'9\tfrom python'
}

@test "ipcs, ipcrm, ipcmk and lsipc see the same queues" {
	new_queue sysv "$PEER" -m 640
	echo hello >"$Q/msg"
	ipcs -q | grep -E "^$NAME +[0-9]+ +[^ ]+ +640 +6 +1 *$"
	ipcrm -Q "$NAME"
	[ ! -e "$Q" ]
	local id
	id=$(ipcmk -Q -p 0604 | grep -oE '[0-9]+$')
	[ -L "$MNT/sysv/by-id/msg/$id" ]
	equals "$(stat -c %a "$MNT/sysv/msg/$id/")" 715
}

# seconds FILE: of the last modification.
seconds() {
	stat -c %Y "$1"
}

@test "cp -p, cp -a and rsync -t keep the times of files and directories, in and out" {
	local file=$BATS_TEST_TMPDIR/file shared=$MNT/posix/shm/a segment=$MNT/sysv/shm/0x00000051
	mkdir "$shared" "$segment"
	head -c 4096 /dev/urandom >"$file"
	chmod 600 "$file"
	touch -d @1600000000 "$file"
	cp -p "$file" "$shared/data"
	equals "$(seconds "$shared/data")" 1600000000
	touch -d @1610000000 "$file"
	cp -a "$file" "$shared/data"
	equals "$(seconds /dev/shm/a)" 1610000000
	touch -d @1620000000 "$file"
	rsync -t --inplace "$file" "$shared/data"
	equals "$(seconds "$shared/data")" 1620000000
	# Nothing changes a System V segment's times but its use.
	cp -p "$file" "$segment/data"
	rsync -t --inplace --ignore-times "$file" "$segment/data"
	cmp "$file" "$segment/data"
	[ "$(seconds "$segment/data")" -gt 1620000000 ]
	cp -a "$shared" "$BATS_TEST_TMPDIR/copied"
	rsync -rt "$shared/" "$BATS_TEST_TMPDIR/synced"
	cmp "$file" "$BATS_TEST_TMPDIR/copied/data"
	cmp "$file" "$BATS_TEST_TMPDIR/synced/data"
	equals "$(seconds "$BATS_TEST_TMPDIR/copied/data") $(seconds "$BATS_TEST_TMPDIR/synced/data")" '1620000000 1620000000'
	# A directory of the mount as the target.
	mkdir "$BATS_TEST_TMPDIR/from"
	cp -p "$file" "$BATS_TEST_TMPDIR/from/data"
	rsync -rt --inplace --ignore-times "$BATS_TEST_TMPDIR/from/" "$shared"
	cp -a "$BATS_TEST_TMPDIR/from/." "$shared"
	cmp "$file" "$shared/data"
}

@test "a script as from the manual: jobs in, results out, two workers" {
	new_queue posix "$PEER"
	local jobs=$Q
	new_queue sysv "$PEER"
	run as_user "$PEER" env JOBS="$jobs" RESULTS="$Q" timeout 20 sh -c '
		worker() { while job=$(cat "$JOBS/msg"); do [ "$job" = stop ] && break; echo "$((job * job))" >"$RESULTS/msg"; done; }
		worker & worker &
		seq 20 >"$JOBS/lines"
		printf "stop\nstop\n" >"$JOBS/lines"
		head -n 20 "$RESULTS/lines" 2>/dev/null | sort -n | tail -n 1
		wait'
	equals "$status $output" '0 400'
}
