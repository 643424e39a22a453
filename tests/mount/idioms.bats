# SPDX-License-Identifier: MIT
# Programs that read `msg` to its end get one message, however they find the end. The idioms are in
# idioms.table.
# shellcheck shell=bash disable=SC2154,SC2016
load common

try_group() {
	/usr/bin/python3 "$BATS_TEST_DIRNAME/idioms.py" "$BATS_TEST_DIRNAME/idioms.table" "$MNT" "$1"
}

@test "each shell's ways of reading msg to its end take one message" {
	try_group shells
}

@test "each language's ways of reading msg to its end take one message" {
	try_group languages
}

@test "each tool's ways of reading msg to its end take one message" {
	try_group tools
}

@test "another process that inherits the descriptor gets the next message" {
	everywhere $'one\ntwo\n0' 'echo one >"$Q/msg"; echo two >"$Q/msg"; exec 8<"$Q/msg"; cat <&8; cat <&8; messages'
	everywhere $'one\n1\ntwo' 'echo one >"$Q/msg"; echo two >"$Q/msg"; exec 8<"$Q/msg"; cat <&8; messages; (cat) <&8'
	everywhere $'<one>\nrest\n1' 'printf "one\nrest\n" >"$Q/msg"; echo two >"$Q/msg"
		{ read -r x; echo "<$x>"; cat; } <"$Q/msg"; messages'
}

@test "a process that opens msg again gets the next message" {
	everywhere $'<one>\n<>\n<two>\n0' 'echo one >"$Q/msg"; echo two >"$Q/msg"
		exec 8<"$Q/msg"; read -r x <&8; echo "<$x>"; read -r x <&8; echo "<$x>"
		exec 8<"$Q/msg"; read -r x <&8; echo "<$x>"; messages'
}

at_end() {
	/usr/bin/python3 - <<-'EOF'
	import os, select, threading
	q = os.environ['Q']

	def send(text):
	    with open(q + '/msg', 'w') as file:
	        file.write(text)

	def ready(fd):
	    """What poll, select and epoll say of reading: all the same."""
	    poll = select.poll()
	    poll.register(fd, select.POLLIN)
	    answers = [bool(poll.poll(0)), bool(select.select([fd], [], [], 0)[0])]
	    for flags in 0, select.EPOLLET:
	        with select.epoll() as epoll:
	            epoll.register(fd, select.EPOLLIN | flags)
	            answers.append(bool(epoll.poll(0)))
	    assert len(set(answers)) == 1, answers
	    return answers[0]

	for flags in 0, os.O_NONBLOCK:
	    fd = os.open(q + '/msg', os.O_RDONLY | flags)
	    assert not ready(fd)
	    with select.epoll() as edge:
	        edge.register(fd, select.EPOLLIN | select.EPOLLET)
	        assert edge.poll(0.05) == []
	        send('one')
	        send('two')
	        assert edge.poll(5) == [(fd, select.EPOLLIN)]
	        assert ready(fd)
	        assert os.read(fd, 2) == b'on'
	        assert ready(fd)
	        assert os.read(fd, 100) == b'e'
	        assert ready(fd) # the end of file
	        for _ in range(3):
	            assert os.read(fd, 100) == b''
	            assert ready(fd)
	        send('three')
	        assert os.read(fd, 100) == b''
	    # All threads of the process are at the end.
	    got = []
	    thread = threading.Thread(target=lambda: got.append(os.read(fd, 100)))
	    thread.start()
	    thread.join()
	    assert got == [b''], got
	    # A child that inherits the descriptor is not.
	    child = os.fork()
	    if child == 0:
	        os._exit(not (ready(fd) and os.read(fd, 100) == b'two' and os.read(fd, 100) == b'' and ready(fd)))
	    assert os.waitpid(child, 0)[1] == 0
	    assert os.read(fd, 100) == b''
	    other = os.open(q + '/msg', os.O_RDONLY | flags)
	    assert os.read(other, 100) == b'three'
	    assert os.read(fd, 100) == os.read(other, 100) == b''
	    os.close(fd)
	    os.close(other)
	EOF
}

@test "poll, select and epoll say that the end of file can be read, level and edge triggered" {
	each_kind at_end
}

one_line() {
	local program
	for program in "ksh93 -c 'read -r x <\"\$Q/lines\"; echo \"\$x\"'" \
		'dd if="$Q/lines" bs=64K count=1 status=none' \
		'python3 -c "import os; print(os.read(os.open(os.environ[\"Q\"] + \"/lines\", 0), 65536).decode(), end=\"\")"'; do
		seq 8 >"$Q/lines"
		equals "$(bash -c "$program")" 1
		equals "$(cat "$Q/drain" | head -n 1)" 2
		cat "$Q/drain" >/dev/null
	done
}

@test "a read of 64 KiB takes one line, so that ksh93 leaves the rest" {
	each_kind one_line
}

several() {
	seq 8 >"$Q/lines"
	ksh93 -c 'i=0; while [ $i -lt 8 ] && read -r x <"$Q/lines"; do echo "$x"; i=$((i + 1)); done' >"$BATS_TEST_TMPDIR/got"
	cmp "$BATS_TEST_TMPDIR/got" <(seq 8)
	seq 8 >"$Q/lines"
	dd if="$Q/lines" bs=65537 count=1 status=none >"$BATS_TEST_TMPDIR/got"
	cmp "$BATS_TEST_TMPDIR/got" <(seq 8)
}

@test "a read of more than 64 KiB takes as many lines as are there" {
	each_kind several
}

# As Go's runtime does it: without blocking, and by edge triggered epoll.
as_go_writes() {
	local got=$BATS_TEST_TMPDIR/got.$KIND many=$((SHORT ? 100 : 300))
	background bash -c 'while IFS= read -r x <"$Q/lines"; do echo "$x"; done >"$0"' "$got"
	local reader=$JOB
	timeout $((60 * SLOW)) /usr/bin/python3 - "$many" <<-'EOF'
	import os, select, sys

	def write(text):
	    fd = os.open(os.environ['Q'] + '/msg', os.O_WRONLY | os.O_TRUNC | os.O_CREAT | os.O_NONBLOCK)
	    with select.epoll() as epoll:
	        epoll.register(fd, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
	        while True:
	            try:
	                os.write(fd, text.encode())
	                break
	            except BlockingIOError:
	                assert epoll.poll(10), 'no room after 10 seconds'
	    os.close(fd)

	for i in range(int(sys.argv[1])):
	    write(str(i))
	EOF
	wait_until "[ \"\$(wc -l <'$got')\" -ge $many ]"
	kill "$reader"
	cmp "$got" <(seq 0 $((many - 1)))
}

@test "a writer that waits by epoll for room, as Go's os.WriteFile, loses nothing" {
	each_kind as_go_writes
}

full_nonblocking() {
	fill
	fails 'Resource temporarily unavailable' dd if=/dev/zero of="$Q/msg" bs=100 count=1 oflag=nonblock
	/usr/bin/python3 - <<-'EOF'
	import os, select
	fd = os.open(os.environ['Q'] + '/msg', os.O_WRONLY | os.O_NONBLOCK)
	poll = select.poll()
	poll.register(fd, select.POLLOUT)
	assert poll.poll(50) == []
	try:
	    os.write(fd, b'x' * 100)
	    raise SystemExit('write took it')
	except BlockingIOError:
	    pass
	os.close(fd)
	EOF
	not grep -q x <(cat "$Q/drain")
	echo small | dd of="$Q/msg" oflag=nonblock status=none
	equals "$(cat "$Q/drain")" small
}

@test "msg with O_NONBLOCK: EAGAIN at write and no POLLOUT while there is no room" {
	each_kind full_nonblocking
}
