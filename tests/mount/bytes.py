#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""bytes.py MOUNT KIND: one user keeps as much as it may of one kind of thing, which the daemon keeps for it.

The mount has max_bytes=LIMIT. The user is refused at LIMIT with ENOMEM, another one is not. When all is closed
the user may keep as much again, three times in turn. Root has made the objects: see bytes.bats.

KIND `refusals`: what is refused, has ended or was read counts no more. The mount has max_leases=1.
KIND `events`: the same for a read of events. The mount has max_bytes=1M, as the open file has many.
"""
import ctypes
import errno
import fcntl
import os
import resource
import select
import signal
import struct
import sys
import time

MOUNT, KIND = sys.argv[1], sys.argv[2]
LIMIT = 256 * 1024
USER, OTHER = 1234, 1235
SLOW = int(os.environ.get('SLOW', '1'))
QUEUE = MOUNT + '/posix/mq/queue'
READ, WRITE, BOTH, NONBLOCK = os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_NONBLOCK
made = 0
waiters = set() # processes
PR_SET_PDEATHSIG = 1


def put(path, data, flags=WRITE):
    """An open file to which the data was written."""
    fd = os.open(path, flags)
    try:
        for at in range(0, len(data), 512):
            os.write(fd, data[at:at + 512])
    except OSError:
        close([fd])
        raise
    return fd


def got(path, size):
    """An open file of which some bytes were read."""
    fd = os.open(path, READ)
    try:
        os.read(fd, size)
    except OSError:
        os.close(fd)
        raise
    return fd


def rest():
    """The rest of a message. One that the limit refuses goes back to its queue."""
    os.close(put(QUEUE + '/packets', b'x' * 500))
    fd = os.open(QUEUE + '/msg', READ)
    try:
        os.read(fd, 1)
    except OSError:
        os.close(fd)
        raise
    return fd


def reader():
    """A process that takes the messages that closes send, so that none has to wait for room."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(30 * SLOW) # if the test fails, nobody ends it
        fd = os.open(QUEUE + '/packets', READ)
        while os.read(fd, 8192):
            pass
    return pid


def drain():
    """Takes what the queue has, and what the daemon sends as soon as there is room."""
    more = True
    while more:
        fd = os.open(QUEUE + '/drain', READ)
        more = bool(os.read(fd, 1 << 20))
        os.close(fd)


def paths(kept):
    """Paths of made objects, which are not read; the objects go at once."""
    global made
    fd = kept[0] if kept else os.open(MOUNT + '/create', BOTH)
    kept[:] = [fd]
    made += 1
    name = 'path%d' % made + 'x' * 200
    try:
        os.write(fd, b'posix/sem/%s\n' % name.encode())
    except OSError:
        assert not os.path.exists('/dev/shm/sem.' + name), 'it was made'
        raise
    os.unlink('/dev/shm/sem.' + name)
    return None


def waiting(number):
    """Returns whether so many wait in read(2), as root is told."""
    user = os.geteuid()
    os.seteuid(0)
    with open(MOUNT + '/posix/mq/empty/status') as status:
        told = 'waiting_readers=%d\n' % number in status.readlines()
    os.seteuid(user)
    return told


def until(condition):
    """Waits until it holds."""
    end = time.monotonic() + 10 * SLOW
    while not condition():
        assert time.monotonic() < end, 'too late'
        time.sleep(0.002)


def waiter():
    """A process that waits in read(2), or the error by which it is refused."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.close(ready)
        try:
            fd = os.open(MOUNT + '/posix/mq/empty/msg', READ)
            os.read(fd, 1)
        except OSError as error:
            os.write(tell, b'%d' % error.errno)
        os._exit(0)
    os.close(tell)
    waiters.add(pid)
    until(lambda: waiting(len(waiters)) or select.select([ready], [], [], 0)[0])
    if select.select([ready], [], [], 0)[0]:
        number = int(os.read(ready, 10) or 0)
        os.waitpid(pid, 0)
        waiters.remove(pid)
        os.close(ready)
        raise OSError(number, os.strerror(number))
    os.close(ready)
    return -pid


def node(kept):
    """A name that was not looked up before."""
    global made
    made += 1
    return os.open(QUEUE + '/prio/%d' % made, os.O_PATH)


def object_node(kept):
    global made
    made += 1
    return os.open(MOUNT + '/posix/shm/s%d' % (made % 1200), os.O_PATH)


def lock():
    fd = os.open(MOUNT + '/posix/shm/segment/data', BOTH)
    try:
        fcntl.lockf(fd, fcntl.LOCK_SH, 1, len(os.listdir('/proc/self/fd')))
        fcntl.flock(fd, fcntl.LOCK_SH)
    except OSError:
        os.close(fd)
        raise
    return fd


def poller():
    fd = os.open(MOUNT + '/posix/mq/empty/msg', READ)
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.poll(0)
    return fd


def refused(kept):
    """Reasons why lines of `create` were refused, which are not read."""
    fd = os.open(MOUNT + '/create', BOTH)
    kept.append(fd)
    for _ in range(40):
        try:
            os.write(fd, b'posix/mq/' + b'x' * 300 + b'\n')
        except OSError as error:
            assert error.errno in (errno.EINVAL, errno.ENAMETOOLONG), error
    return None


# name: (what keeps one of them, the most of them that fit into LIMIT, the least that have to)
KINDS = {
    'listing': (lambda kept: got_listing(), 40, 1),
    'status': (lambda kept: got(MOUNT + '/sysv/sem/0x00000051/status', 100), 60, 8),
    'values': (lambda kept: put(MOUNT + '/sysv/sem/0x00000051/values', b'0 ' * 2000, WRITE), 64, 30),
    'msg': (lambda kept: put(QUEUE + '/msg', b'x' * 4000), 64, 30),
    'lines': (lambda kept: put(QUEUE + '/lines', b'x' * 4000), 64, 30),
    'records': (lambda kept: put(QUEUE + '/records', struct.pack('<II', 8192, 1) + b'x' * 3992), 64, 30),
    'rest': (lambda kept: rest(), 170, 100),
    'paths': (paths, 1200, 400),
    'refused': (refused, 250, 5),
    'nodes': (node, 2048, 500),
    'objects': (object_node, 512, 120),
    'waiters': (lambda kept: waiter(), 128, 60),
    'pollers': (lambda kept: poller(), 256, 100),
    'locks': (lambda kept: lock(), 20, 8),
    'files': (lambda kept: os.open(QUEUE + '/packets', WRITE), 256, 100),
}


def got_listing():
    fd = os.open(MOUNT + '/posix/shm', READ | os.O_DIRECTORY)
    try:
        os.listdir(fd)
    except OSError:
        os.close(fd)
        raise
    return fd


def close(kept):
    for fd in kept:
        if fd is None:
            continue
        if fd >= 0:
            try:
                os.close(fd)
            except OSError as error: # what it closes is no whole line or record
                assert KIND in ('values', 'records') and error.errno == errno.EINVAL, error
            continue
        os.kill(-fd, signal.SIGKILL)
        os.waitpid(-fd, 0)
        waiters.remove(-fd)
        until(lambda: waiting(len(waiters)))
    kept.clear()


def as_user(user, call, *args):
    os.seteuid(user)
    try:
        return call(*args)
    finally:
        os.seteuid(0)


def fill(keep, most):
    """Keeps until the limit refuses one more. Returns what is kept, and the number of those that succeeded."""
    kept, number = [], 0
    try:
        while number <= most:
            fd = keep(kept)
            number += 1
            if fd is not None:
                kept.append(fd)
    except OSError as error:
        assert error.errno == errno.ENOMEM, 'number %d: %s' % (number, error)
        return kept, number
    raise AssertionError('the limit refused nothing of %d' % number)


class Over(Exception):
    """The time of a wait is over."""


def over(_signal, _frame):
    raise Over


def wait_for_lock(fd):
    """Waits a moment for the lock that root has."""
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.002 * SLOW)
        fcntl.flock(fd, fcntl.LOCK_EX)
    except Over:
        return
    raise AssertionError('nobody has the lock')


def refused_by_limit(call, *args):
    try:
        call(*args)
    except OSError as error:
        assert error.errno == errno.ENOMEM, error
        return
    raise AssertionError('not refused: %s' % args)


def waiting_requests():
    with open(MOUNT + '/metrics') as metrics:
        return next(int(line.split()[1]) for line in metrics if line.startswith('ipcfs_daemon_waiting_requests '))


def fill_with_files(least):
    """As many open files as fit. What was kept before comes back when the kernel has forgotten it."""
    end = time.monotonic() + 10 * SLOW
    while True:
        kept, number = as_user(USER, fill, lambda _: os.open(QUEUE + '/packets', READ), 256)
        if number >= least or time.monotonic() > end:
            break
        close(kept)
        time.sleep(0.02)
    assert number >= least, 'only %d, not %d' % (number, least)
    return kept, number


def reads(fd, size, expected):
    """Whether that is read now: the limit refuses as long as the kernel remembers nodes."""
    try:
        return os.read(fd, size) == expected
    except OSError as error:
        assert error.errno == errno.ENOMEM, error
        return False


def refusals():
    signal.signal(signal.SIGALRM, over)
    data = MOUNT + '/posix/shm/segment/data'
    locked = os.open(data, BOTH)
    fcntl.flock(locked, fcntl.LOCK_EX)
    files = [(data, BOTH), (MOUNT + '/posix/mq/empty/msg', READ), (QUEUE + '/lease', BOTH | NONBLOCK)] + [(QUEUE + '/msg', READ)] * 4
    lock_file, empty, lease, *readers = [as_user(USER, os.open, *file) for file in files]
    as_user(USER, wait_for_lock, lock_file) # the file is charged for its locks once
    kept, first = fill_with_files(100)
    close(kept)
    # 32 KiB of rests, and 20 KiB of waits
    for fd in readers:
        close([put(QUEUE + '/msg', b'x' * 8000)])
        until(lambda: reads(fd, 1, b'x'))
        os.read(fd, 8000)
    for _ in range(40):
        as_user(USER, wait_for_lock, lock_file)
    kept, again = fill_with_files(first - 10)
    kept += as_user(USER, fill, node, 2048)[0] # to the last byte, and beyond
    close([put(QUEUE + '/msg', b'job')])
    refused_by_limit(as_user, USER, os.read, empty, 1)
    refused_by_limit(as_user, USER, fcntl.flock, lock_file, fcntl.LOCK_EX)
    refused_by_limit(as_user, USER, os.read, lease, 9000)
    assert waiting_requests() == 0
    close(kept)
    until(lambda: reads(lease, 9000, b'job'))
    print(KIND, first, again)


def events():
    fd = as_user(USER, os.open, MOUNT + '/events', READ)
    while b'"sync"' not in os.read(fd, 1 << 16):
        pass
    kept = as_user(USER, fill, lambda _: os.open(QUEUE + '/packets', READ), 1024)[0]
    kept += as_user(USER, fill, node, 8192)[0]
    refused_by_limit(as_user, USER, os.read, fd, 1 << 16)
    assert waiting_requests() == 0
    close(kept)


def main():
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, soft))
    if KIND in ('refusals', 'events'):
        {'refusals': refusals, 'events': events}[KIND]()
        return
    keep, most, least = KINDS[KIND]
    counts, taker = [], reader() if KIND in ('msg', 'lines') else 0
    for _ in range(3):
        if KIND == 'rest':
            drain()
        # What the user closed before comes back soon: the kernel forgets nodes when it gets to it.
        end = time.monotonic() + 10 * SLOW
        while True:
            kept, number = as_user(USER, fill, keep, most)
            if number >= least or time.monotonic() > end:
                break
            as_user(USER, close, kept)
            time.sleep(0.02)
        assert number >= least, 'only %d' % number
        others = []
        fd = as_user(OTHER, keep, others)
        as_user(OTHER, close, others + ([fd] if fd is not None and fd not in others else []))
        as_user(USER, close, kept)
        counts.append(number)
    print(KIND, counts)
    if taker:
        os.kill(taker, signal.SIGKILL)


main()
