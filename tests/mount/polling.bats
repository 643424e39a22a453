#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# poll, select and epoll; many readers that wait.
load common

@test 'poll, select and epoll report what can be read and written' {
	"$PEERS/pollers" "$MNT"
}

@test 'a hundred readers of one queue wait, and end at a signal' {
	"$PEERS/blockers" "$MNT" 100 posix one "$DAEMON"
	"$PEERS/blockers" "$MNT" 100 sysv one "$DAEMON"
}

@test 'a hundred readers of a queue each wait, and end at a signal' {
	"$PEERS/blockers" "$MNT" 100 posix many "$DAEMON"
	"$PEERS/blockers" "$MNT" 100 sysv many "$DAEMON"
}

without_waiting() {
	fill
	/usr/bin/python3 - <<-'END'
	import os, select, subprocess
	q = os.environ['Q']
	fd = os.open(q + '/msg', os.O_WRONLY | os.O_NONBLOCK)
	poll = select.poll()
	poll.register(fd, select.POLLOUT)

	def shell(script):
	    subprocess.run(['bash', '-c', os.environ['PRELUDE'] + script], check=True)

	def refused():
	    try:
	        os.write(fd, b'refused')
	    except BlockingIOError:
	        return True

	assert refused() and poll.poll(0) == []
	shell('cat "$Q/drain" >/dev/null')
	assert poll.poll(5000) == [(fd, select.POLLOUT)]
	assert os.write(fd, b'handed over') == 11
	shell('fill')
	assert refused() and poll.poll(0) == []
	os.close(fd)
	# While the daemon has a message to send, no other is taken.
	fd = os.open(q + '/msg', os.O_WRONLY | os.O_NONBLOCK)
	poll = select.poll()
	poll.register(fd, select.POLLOUT)
	assert refused() and poll.poll(0) == []
	os.close(fd)
	END
	cat "$Q/drain" >/dev/null
	wait_until '[ "$(messages)" = 1 ]'
	equals "$(cat "$Q/drain")" 'handed over'
}

@test "O_NONBLOCK: a write to msg is refused while the queue is full, and a close never is" {
	each_kind without_waiting
}

all_arrive() {
	background_output bash -c 'for ((i = 0; i < 300; i++)); do cat "$Q/msg"; done'
	local reader=$JOB
	/usr/bin/python3 - <<-'END'
	import os, select, threading
	q = os.environ['Q']

	def send(first):
	    for i in range(first, 300, 3):
	        fd = os.open(q + '/msg', os.O_WRONLY | os.O_NONBLOCK)
	        poll = select.poll()
	        poll.register(fd, select.POLLOUT)
	        while True:
	            try:
	                os.write(fd, b'%d\n' % i)
	                break
	            except BlockingIOError:
	                poll.poll()
	        os.close(fd)

	threads = [threading.Thread(target=send, args=(first,)) for first in range(3)]
	for thread in threads:
	    thread.start()
	for thread in threads:
	    thread.join()
	END
	wait_until "ended $reader" 20
	equals "$(sort -n "$OUT" | cksum)" "$(seq 0 299 | cksum)"
}

@test "all messages of three threads that poll and write without waiting arrive" {
	each_kind all_arrive
}

# switches: prints how often the daemon's threads went to sleep.
switches() {
	cat /proc/"$DAEMON"/task/*/status | awk '/^voluntary_ctxt_switches/ { n += $2 } END { print n }'
}

# polls_in_vain FILE FLAGS EVENT: polls for a moment, and leaves.
polls_in_vain() {
	silent python3 -c '
import os, select, sys
poll = select.poll()
poll.register(os.open(sys.argv[1], getattr(os, sys.argv[2])), getattr(select, sys.argv[3]))
assert poll.poll(30) == []' "$@"
}

left() {
	local before
	polls_in_vain "$Q/packets" O_RDONLY POLLIN
	fill
	polls_in_vain "$Q/lines" O_WRONLY POLLOUT
	# Other threads may have something to do for a while; who looks for pollers does it 50 times a second.
	wait_until 'before=$(switches); pause 0.2; [ $(($(switches) - before)) -le 3 ]' 30
}

@test "when the pollers have left, the daemon sleeps" {
	each_kind left
}

removed_while_full() {
	fill
	background_output python3 -c '
import os, select, sys
poll = select.poll()
poll.register(os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK), select.POLLOUT)
print(poll.poll(0), flush=True)
print(poll.poll() != [])' "$Q/lines"
	wait_until 'grep -q "\[\]" "$OUT"'
	rmdir "$Q"
	wait_until 'grep -q True "$OUT"'
}

@test "who polls for room is told that the full queue was removed" {
	each_kind removed_while_full
}

# An edge triggered epoll tells once that a file is ready: it has to be told again after EAGAIN.
edges() {
	timeout $((60 * SLOW)) python3 -c '
import os, select, sys
queue = sys.argv[1]

def refused(call, *args):
    try:
        return call(*args) and False
    except BlockingIOError:
        return True

def fill():
    with open(queue + "/packets", "wb", buffering=0, opener=lambda path, flags: os.open(path, os.O_WRONLY | os.O_NONBLOCK)) as packets:
        for size in (4096, 512, 64, 1):
            while not refused(os.write, packets.fileno(), b"x" * size):
                pass

def drain():
    with open(queue + "/drain", "rb") as file:
        file.read()

for name in ("msg", "lines", "packets"):
    fd = os.open(queue + "/" + name, os.O_WRONLY | os.O_NONBLOCK)
    with select.epoll() as epoll:
        epoll.register(fd, select.EPOLLOUT | select.EPOLLET)
        for i in range(3):
            assert epoll.poll(20), "%s: no room %d" % (name, i)
            fill()
            assert refused(os.write, fd, b"text\n"), name
            drain()
    os.close(fd)
    drain()
    fd = os.open(queue + "/" + name, os.O_RDONLY | os.O_NONBLOCK)
    with select.epoll() as epoll:
        epoll.register(fd, select.EPOLLIN | select.EPOLLET)
        for i in range(1 if name == "msg" else 3):
            assert refused(os.read, fd, 8192), name
            with open(queue + "/lines", "w", encoding="ascii") as lines:
                lines.write("text\n")
            assert epoll.poll(20), "%s: no message %d" % (name, i)
            assert os.read(fd, 8192)
    os.close(fd)' "$Q"
}

@test "an edge triggered epoll tells of room and of messages after each EAGAIN" {
	each_kind edges
}
