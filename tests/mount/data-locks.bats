# SPDX-License-Identifier: MIT
# Locks on `data` keep the rules of fcntl(2) and flock(2), which the daemon has to serve itself.
# shellcheck shell=bash disable=SC2154,SC2016
load common

# Functions for the scripts below, which get the data file as their argument.
PYTHON='
import errno, fcntl, os, signal, struct, sys, time
path = sys.argv[1]
EX, SH, NB, UN = fcntl.LOCK_EX, fcntl.LOCK_SH, fcntl.LOCK_NB, fcntl.LOCK_UN
OFD_SETLK, OFD_SETLKW = 37, 38

def new():
    return os.open(path, os.O_RDWR)

def gets(call, *arguments):
    """Whether the lock is there without waiting."""
    try:
        call(*arguments)
        return True
    except BlockingIOError:
        return False

def ofd(fd, kind, start, length, command=OFD_SETLK):
    fcntl.fcntl(fd, command, struct.pack("hhqqi4x", kind, 0, start, length, 0))

def other(work):
    """Runs work in another process, and returns its pid."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if work() is not False else 2
        finally:
            os._exit(status)
    return child

def ends(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def state(pid):
    return open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[0]

def until(condition):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    sys.exit("never")

def asleep(pid):
    """Waits until the process waits for its lock."""
    until(lambda: open("/proc/%d/wchan" % pid).read() == "request_wait_answer")
'

# python SCRIPT: runs it with the data of a segment of each family.
python() {
	local data
	for data in posix/shm/a sysv/shm/0x00000051; do
		mkdir "$MNT/$data"
		/usr/bin/python3 -c "$PYTHON$1" "$MNT/$data/data"
		rmdir "$MNT/$data"
	done
}

@test "fcntl: any close of the process drops its locks, a child has none of them" {
	python '
fd = new()
fcntl.lockf(fd, EX, 10, 0)
assert ends(other(lambda: gets(fcntl.lockf, fd, EX | NB, 1, 5))) == 2
assert ends(other(lambda: os.close(fd))) == 0
assert ends(other(lambda: gets(fcntl.lockf, new(), EX | NB, 1, 5))) == 2
os.close(new())
assert ends(other(lambda: gets(fcntl.lockf, new(), EX | NB, 1, 5))) == 0'
}

@test "fcntl: F_GETLK tells the range and the process" {
	python '
fd = new()
fcntl.lockf(fd, SH, 10, 5)
me = os.getpid()
def ask():
    got = fcntl.fcntl(new(), fcntl.F_GETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
    assert struct.unpack("hhqqi4x", got) == (fcntl.F_RDLCK, 0, 5, 10, me), got
    got = fcntl.fcntl(new(), fcntl.F_GETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0))
    assert struct.unpack("hhqqi4x", got)[0] == fcntl.F_UNLCK
assert ends(other(ask)) == 0'
}

@test "open file description locks belong to the open file" {
	python '
one, two = new(), new()
ofd(one, fcntl.F_WRLCK, 0, 0)
assert not gets(ofd, two, fcntl.F_WRLCK, 5, 1)
os.close(new())
assert not gets(ofd, two, fcntl.F_RDLCK, 5, 1)
ofd(one, fcntl.F_UNLCK, 5, 1)
assert gets(ofd, two, fcntl.F_WRLCK, 5, 1)
assert not gets(fcntl.lockf, new(), EX | NB, 1, 5)
child = other(lambda: (os.close(two), ofd(one, fcntl.F_WRLCK, 5, 1, OFD_SETLKW)))
asleep(child)
os.close(two)
assert ends(child) == 0'
}

@test "flock belongs to the open file, is converted, and knows nothing of fcntl locks" {
	python '
one, two = new(), new()
fcntl.lockf(one, EX)
fcntl.flock(one, SH)
assert gets(fcntl.flock, two, SH | NB)
# A conversion that fails has given the old lock back.
assert not gets(fcntl.flock, one, EX | NB)
assert gets(fcntl.flock, two, EX | NB)
copy = os.dup(two)
os.close(two)
assert not gets(fcntl.flock, one, SH | NB)
os.close(copy)
fcntl.flock(one, EX) # the lock is free a moment after the last close: RELEASE is not waited for
fcntl.flock(one, UN)
assert gets(fcntl.flock, new(), EX | NB)'
}

@test "all who can have a lock that is given back get it" {
	python '
fd = new()
fcntl.flock(fd, EX)
readers = [other(lambda: fcntl.flock(new(), SH)) for _ in range(3)]
for reader in readers:
    asleep(reader)
fcntl.flock(fd, UN)
assert [ends(reader) for reader in readers] == [0, 0, 0]
# The process that holds it is killed.
def hold():
    fcntl.lockf(fd, EX)
    os.write(ready[1], b"x")
    time.sleep(100)
ready = os.pipe()
holder = other(hold)
os.read(ready[0], 1)
child = other(lambda: fcntl.lockf(new(), EX))
asleep(child)
os.kill(holder, signal.SIGKILL)
assert ends(child) == 0 and ends(holder) == -9'
}

@test "a process that waits for a lock is stopped and continued, interrupted, killed" {
	python '
fd = new()
fcntl.flock(fd, EX)
child = other(lambda: fcntl.flock(new(), EX))
asleep(child)
os.kill(child, signal.SIGSTOP)
until(lambda: state(child) == "T")
os.kill(child, signal.SIGCONT)
asleep(child)
fcntl.flock(fd, UN)
assert ends(child) == 0
fcntl.flock(fd, EX)
def interrupted():
    def stop(*_):
        raise InterruptedError
    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        fcntl.flock(new(), EX)
    except InterruptedError:
        return True
    return False
assert ends(other(interrupted)) == 0
child = other(lambda: fcntl.flock(new(), EX))
asleep(child)
os.kill(child, signal.SIGKILL)
assert ends(child) == -9
fcntl.flock(fd, UN)
assert gets(fcntl.flock, new(), EX | NB)'
}

@test "locks of one open file, and waiters of one user, are limited" {
	stop_mount
	start_mount -o max_waiters=2
	python '
fd = new()
for i in range(256):
    fcntl.lockf(fd, SH, 1, 2 * i)
try:
    fcntl.lockf(fd, SH, 1, 1000)
    sys.exit("no limit")
except OSError as e:
    assert e.errno == errno.ENOLCK, e
fcntl.lockf(fd, UN)
fcntl.lockf(fd, EX)
waiters = [other(lambda: fcntl.lockf(new(), EX)) for _ in range(2)]
for waiter in waiters:
    asleep(waiter)
def refused():
    try:
        fcntl.lockf(new(), EX)
    except OSError as e:
        return e.errno == errno.ENOLCK
    return False
assert ends(other(refused)) == 0
fcntl.lockf(fd, UN)
assert [ends(waiter) for waiter in waiters] == [0, 0]'
}

@test "a lock needs the right to use the file" {
	local data
	mkdir -m 666 "$MNT/posix/shm/a" "$MNT/sysv/shm/0x51"
	for data in "$MNT/posix/shm/a/data" "$MNT/sysv/shm/0x51/data"; do
		as_user "$PEER" flock -n "$data" true
		chmod 600 "$data"
		fails 'Permission denied' as_user "$PEER" flock -n "$data" true
	done
}

@test "the daemon ends while processes wait for locks" {
	local data=$MNT/posix/shm/a/data
	mkdir "$MNT/posix/shm/a"
	exec 5<>"$data"
	flock 5
	background_output flock "$data" true
	wait_until 'grep -q request_wait_answer "/proc/$JOB/wchan"'
	within 2000 stop_mount
	exec 5>&-
	wait_until 'ended "$JOB"'
	grep -q 'not connected' "$OUT"
}

@test "those who wait for a lock get it in the order in which they came" {
	local name holder
	mkdir "$MNT/posix/shm/ordered"
	background flock -F "$MNT/posix/shm/ordered/data" sleep 100
	holder=$JOB
	wait_until '! flock -n "$MNT/posix/shm/ordered/data" true'
	for name in 1 2 3; do
		background flock "$MNT/posix/shm/ordered/data" bash -c 'echo "$0" >>"$1"' "$name" "$BATS_TEST_TMPDIR/order"
		wait_parked "$name"
	done
	kill "$holder"
	wait_until 'ended $JOB && [ "$(wc -l <"$BATS_TEST_TMPDIR/order")" = 3 ]'
	equals "$(xargs <"$BATS_TEST_TMPDIR/order")" '1 2 3'
}
