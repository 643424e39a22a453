#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""leaks.py MOUNT DAEMON ROUNDS MEMORY [PATTERN]: does each refused or failed operation, many times.

Each operation is one row of the table that `operations` makes. ROUNDS of it must leave the daemon
with as many descriptors, threads, mappings and children as before the first time, the same waiters, holders and objects.
With MEMORY 1 also with as much memory: what grows by a page or two and then stops is a cache, what grows in every
one of several rounds is a leak. The mount has to have max_opens=OPENS, max_waiters=WAITERS, max_objects=OBJECTS
and allow_uid=0:USER, so that a count of an operation that failed is used up soon.
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

from queues import mkdir

MOUNT, DAEMON, ROUNDS, MEMORY = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == '1'
PATTERN = sys.argv[5] if len(sys.argv) > 5 else ''
OPENS, WAITERS, OBJECTS = 40, 8, 12
USER, STRANGER = 1234, 4321
KEYS = {'sysv': '0x000000%02x', 'posix': 'object%d'}
READ, WRITE, BOTH, NONBLOCK = os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_NONBLOCK
PR_SET_PDEATHSIG = 1
REFUSED = (errno.EACCES, errno.EPERM)
GROWTH = 6 # KiB in a round of half of them; of 250 the smallest leaked piece is 8 KiB


class Interrupted(Exception):
    waits = False


def interrupt(*_):
    if Interrupted.waits:
        raise Interrupted


signal.signal(signal.SIGALRM, interrupt)


def failing(expected, call, *args):
    """The call fails by one of these errors."""
    expected = expected if isinstance(expected, tuple) else (expected,)
    try:
        result = call(*args)
    except OSError as error:
        assert error.errno in expected, 'got %s' % error
    else:
        raise AssertionError('it succeeded: %r' % (result,))


def as_user(user, call, *args):
    os.seteuid(user)
    try:
        return call(*args)
    finally:
        os.seteuid(0)


def open_close(path, flags):
    os.close(os.open(path, flags))


def using(path, flags, use):
    fd = os.open(path, flags)
    try:
        return use(fd)
    finally:
        os.close(fd)


def write(path, data, flags=WRITE | NONBLOCK):
    return using(path, flags, lambda fd: os.write(fd, data))


def read(path, size=8192, flags=READ | NONBLOCK):
    return using(path, flags, lambda fd: os.read(fd, size))


def interrupted(call, *args):
    """The call waits, and a signal ends it."""
    try:
        Interrupted.waits = True
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.001) # again, as the first may come before the call
        call(*args)
    except Interrupted:
        return
    finally:
        Interrupted.waits = False
        signal.setitimer(signal.ITIMER_REAL, 0)
    raise AssertionError('it did not wait')


def read_interrupted(path):
    using(path, READ, lambda fd: interrupted(os.read, fd, 8192))


def write_interrupted(path, data=b'\n'):
    using(path, WRITE, lambda fd: interrupted(os.write, fd, data))


def killed(call, *args):
    """The call waits in a process that is killed."""
    pid = os.fork()
    if pid == 0:
        try:
            call(*args)
        finally:
            os._exit(1)
    time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def polled(path, flags):
    """Registered several times, and closed before it comes."""
    event = select.EPOLLIN if flags & 3 == READ else select.EPOLLOUT

    def use(fd):
        with select.epoll() as epoll:
            epoll.register(fd, event)
            for _ in range(4): # each time the daemon gets a handle of 24 bytes
                epoll.modify(fd, event | select.EPOLLET)
            epoll.poll(0)
    using(path, flags | NONBLOCK, use)


def acl(*entries):
    return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *entry) for entry in entries)


NONE = 0xffffffff
GOOD_ACL = acl((1, 6, NONE), (2, 6, USER), (4, 0, NONE), (16, 6, NONE), (32, 0, NONE))
NO_MASK = acl((1, 6, NONE), (2, 6, USER), (4, 0, NONE), (32, 0, NONE))


def set_acl(path, value, name='system.posix_acl_access'):
    os.setxattr(path, name, value)


def create(text, flags=WRITE):
    return write(MOUNT + '/create', text if isinstance(text, bytes) else text.encode(), flags)


def remade(path, flags, use, expected):
    """The object is removed while it is open, and made again."""
    directory = path
    while os.path.basename(os.path.dirname(directory)) not in ('mq', 'shm', 'sem', 'msg'):
        directory = os.path.dirname(directory)
    fd = os.open(path, flags)
    try:
        os.rmdir(directory)
        mkdir(directory)
        failing(expected, use, fd)
    finally:
        os.close(fd)


def open_of_another(directory, file):
    """What was looked up is removed, and made again: the open file would be of another object."""
    fd = os.open(directory + '/' + file, os.O_PATH)
    try:
        os.rmdir(directory)
        mkdir(directory)
        failing((errno.ESTALE, errno.EIDRM, errno.ENOENT), open_close, '/proc/self/fd/%d' % fd, READ | NONBLOCK)
    finally:
        os.close(fd)


def monitor_verbs(fd):
    for verb in (b'notify', b'notify a 3', b'broadcast', b'leave', b'enter'):
        os.write(fd, verb)
    failing(errno.EDEADLK, os.write, fd, b'enter')
    failing(errno.EINVAL, os.write, fd, b'none')
    os.write(fd, b'leave')
    failing(errno.EPERM, os.write, fd, b'wait')
    os.write(fd, b'enter')


def too_many_opens(path):
    fds = []
    try:
        while len(fds) <= OPENS:
            fds.append(os.open(path, READ))
    finally:
        for fd in fds:
            os.close(fd)


def cut_listing(path):
    with os.scandir(path) as entries:
        next(entries)


def cut_creation(fd):
    os.write(fd, b'posix/mq/good\n')
    failing(errno.EINVAL, os.write, fd, b'nonsense\n')


def listing_of_removed(path):
    fd = os.open(path, READ)
    try:
        os.rmdir(path)
        mkdir(path)
        os.listdir(fd)
    finally:
        os.close(fd)


def filled(path):
    """No more message fits."""
    for size in (4096, 512, 64, 1):
        try:
            while True:
                write(path, b'x' * size)
        except BlockingIOError:
            pass


def wait_for_readers(status, count):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with open(status, encoding='utf-8') as lines:
            if 'waiting_readers=%d\n' % count in lines:
                return
        time.sleep(0.01)
    raise AssertionError('there are never %d readers' % count)


def start_waiters(path, status):
    """As many as may wait."""
    pids = []
    for _ in range(WAITERS):
        pids.append(os.fork())
        if pids[-1] == 0:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            try:
                read(path, 10, READ)
            finally:
                os._exit(1)
    wait_for_readers(status, WAITERS)
    return pids


def stop_waiters(pids, status):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    wait_for_readers(status, 0)


def without_memory_for_queues(path):
    before = resource.getrlimit(resource.RLIMIT_MSGQUEUE)
    resource.setrlimit(resource.RLIMIT_MSGQUEUE, (0, before[1]))
    try:
        as_user(USER, os.mkdir, path)
    finally:
        resource.setrlimit(resource.RLIMIT_MSGQUEUE, before)


def refusals(class_path, directory, files):
    """(name, operation) for every class: by who may not, and by nobody who could."""
    user = USER
    for file in files:
        for how, flags in (('read', READ), ('write', WRITE), ('both', BOTH)):
            yield 'open %s %s refused' % (file, how), lambda f=file, fl=flags: failing(
                REFUSED, as_user, user, open_close, '%s/%s' % (directory, f), fl | NONBLOCK)
    # Where the one direction is allowed, and open by then.
    for mode, what in ((0o644, 'both, reading allowed'), (0o622, 'both, writing allowed')):
        yield None, lambda m=mode: os.chmod(directory, m)
        for file in files:
            yield 'open %s %s' % (file, what), lambda f=file: failing(
                REFUSED, as_user, user, open_close, '%s/%s' % (directory, f), BOTH | NONBLOCK)
    yield None, lambda: os.chmod(directory, 0o600)
    yield 'users', lambda: read(directory + '/users')
    yield 'access refused', lambda: as_user(user, os.access, directory + '/' + files[0], os.R_OK)
    yield 'list refused', lambda: failing(REFUSED, as_user, user, os.listdir, directory)
    yield 'mkdir that is there', lambda: failing(errno.EEXIST, os.mkdir, directory)
    yield 'create that is there', lambda: failing(errno.EEXIST, create, directory[len(MOUNT) + 1:] + '\n')
    yield 'made and gone', lambda: (os.mkdir(class_path + '/0x7e7e'), os.rmdir(class_path + '/0x00007e7e' if 'sysv' in class_path
                                                                              else class_path + '/0x7e7e'))
    yield 'mkdir too long', lambda: failing((errno.ENAMETOOLONG, errno.EINVAL), os.mkdir, class_path + '/' + 'n' * 256)
    yield 'rmdir refused', lambda: failing(REFUSED, as_user, user, os.rmdir, directory)
    yield 'rmdir of none', lambda: failing(errno.ENOENT, os.rmdir, class_path + '/0x7e7e')
    yield 'rmdir inside', lambda: failing((errno.ENOTDIR, errno.EPERM), os.rmdir, directory + '/status')
    yield 'stat of none', lambda: failing(errno.ENOENT, os.stat, class_path + '/0x7e7e/status')
    yield 'chmod refused', lambda: failing(REFUSED, as_user, user, os.chmod, directory, 0o666)
    yield 'chown refused', lambda: failing(REFUSED, as_user, user, os.chown, directory, user, user)
    yield 'times refused', lambda: failing(REFUSED, as_user, user, os.utime, directory)
    yield 'setfacl refused', lambda: failing(REFUSED, as_user, user, set_acl, directory, GOOD_ACL)
    yield 'setfacl without mask', lambda: failing(errno.EINVAL, set_acl, directory, NO_MASK)
    yield 'setfacl malformed', lambda: failing((errno.EINVAL, errno.EOPNOTSUPP), set_acl, directory, b'\2\0\0\0xyz')
    yield 'setfacl default', lambda: failing(errno.EOPNOTSUPP, set_acl, directory, GOOD_ACL, 'system.posix_acl_default')
    yield 'setfattr', lambda: failing(errno.EOPNOTSUPP, set_acl, directory, b'x', 'user.x')
    yield 'setfacl and back', lambda: (set_acl(directory, GOOD_ACL), os.removexattr(directory, 'system.posix_acl_access'))
    yield 'listing cut', lambda: cut_listing(directory)
    yield 'listing of removed', lambda: listing_of_removed(directory)
    yield 'open of removed and made again', lambda: open_of_another(directory, files[0])
    yield 'stranger stat', lambda: failing(errno.EACCES, as_user, STRANGER, os.stat, directory)
    yield 'stranger open', lambda: failing(errno.EACCES, as_user, STRANGER, open_close, directory + '/' + files[0], READ)
    yield 'stranger open of what is known', lambda: using(directory + '/' + files[0], os.O_PATH, lambda fd: failing(
        errno.EACCES, as_user, STRANGER, open_close, '/proc/self/fd/%d' % fd, READ | NONBLOCK))
    yield 'stranger mkdir', lambda: failing(errno.EACCES, as_user, STRANGER, os.mkdir, class_path + '/0x7e7e')
    yield 'stranger list', lambda: failing(errno.EACCES, as_user, STRANGER, os.listdir, class_path)


def record(text, kind=1):
    return struct.pack('<II', len(text), kind) + text


def leased(directory, act):
    """Leases a message, acts on the open file, and takes the message where it came back."""
    write(directory + '/lines', b'job\n')
    using(directory + '/lease', BOTH, lambda fd: (os.read(fd, 9), act(fd)))
    while b'leased=0\n' not in read(directory + '/status', 9999):
        time.sleep(0.001) # the daemon hears of a close after it
    read(directory + '/drain')


def of_queues(family, directory):
    msg, lines, tagged, packets, records = (directory + '/' + file for file in FILES['msg'])
    number = directory + ('/type/' if family == 'sysv' else '/prio/')
    for bad, error in (('x', errno.EINVAL), ('01', errno.EINVAL), ('99999999999999999999', errno.ERANGE)):
        yield 'selector %s' % bad, lambda b=bad, e=error: failing(e, os.stat, number + b)
    for path in (msg, lines, packets):
        yield 'too long for %s' % path[len(directory):], lambda p=path: failing(errno.EMSGSIZE, write, p, b'x' * 9000)
    yield 'too long in pieces', lambda: failing(errno.EMSGSIZE, using, msg, WRITE, lambda fd: [
        os.write(fd, b'x' * 1000) for _ in range(9)])
    yield 'tagged malformed', lambda: failing(errno.EINVAL, write, tagged, b'no tag\n')
    yield 'tagged out of range', lambda: failing(errno.ERANGE, write, tagged, b'99999999999999999999\tx\n')
    yield 'record out of range', lambda: failing(errno.ERANGE, write, records, record(b'x', 70000 if family == 'posix' else 0))
    yield 'record too long', lambda: failing(errno.EMSGSIZE, write, records, struct.pack('<II', 9000, 1))
    yield 'record unfinished', lambda: failing(errno.EINVAL, write, records, record(b'half')[:9])
    yield 'records', lambda: (write(records, record(b'one') * 5), read(records, 1 << 17))
    lease = directory + '/lease'
    yield 'lease for reading alone', lambda: failing(errno.EINVAL, using, lease, READ, lambda fd: os.read(fd, 9))
    yield 'lease for writing alone', lambda: failing(errno.EINVAL, using, lease, WRITE, lambda fd: None)
    yield 'verdict without a lease', lambda: failing(errno.EPERM, using, lease, BOTH, lambda fd: os.write(fd, b'done'))
    yield 'lease of nothing', lambda: failing(errno.EAGAIN, using, lease, BOTH | NONBLOCK, lambda fd: os.read(fd, 9))
    for verdict in (b'done', b'dead', b'dead ' + directory[len(MOUNT) + 1:].encode()):
        yield 'lease, %s' % verdict[:5].decode(), lambda v=verdict: leased(directory, lambda fd: os.write(fd, v))
    yield 'lease returned', lambda: leased(directory, lambda fd: None)
    yield 'lease, malformed', lambda: leased(directory, lambda fd: failing(errno.EINVAL, os.write, fd, b'x'))
    yield 'lease, dead to none', lambda: leased(directory, lambda fd: failing(errno.ENOENT, os.write, fd, b'dead posix/mq/none'))
    for path in (msg, lines, tagged, packets):
        yield 'empty %s' % path[len(directory):], lambda p=path: failing(errno.EAGAIN, read, p)
        yield 'interrupted %s' % path[len(directory):], lambda p=path: read_interrupted(p)
        yield 'polled %s' % path[len(directory):], lambda p=path: polled(p, READ)
    for path, flags in (('msg', READ), ('lease', BOTH)):
        yield 'empty within %s' % path, lambda p=path, f=flags: failing(
            errno.ETIMEDOUT, using, directory + '/within/0.001/' + p, f, lambda fd: os.read(fd, 9))
    yield 'interrupted by number', lambda: read_interrupted(number + '5/msg' if family == 'sysv' else msg)
    yield 'killed reader', lambda: killed(read, lines, 8192, READ)
    yield 'too small a buffer', lambda: (write(packets, b'x' * 100), failing(errno.EMSGSIZE, read, packets, 5),
                                         read(directory + '/drain'))
    yield 'rest given up', lambda: (write(packets, b'x' * 100), read(msg, 5))
    yield 'status written', lambda: failing(errno.EPERM, open_close, directory + '/status', WRITE)
    yield 'drain written', lambda: failing(errno.EPERM, open_close, directory + '/drain', WRITE)
    removed = errno.EIDRM
    yield 'read of removed', lambda: remade(msg, READ, lambda fd: os.read(fd, 10), removed)
    yield 'write to removed', lambda: remade(packets, WRITE, lambda fd: os.write(fd, b'x'), removed)
    yield 'line for removed', lambda: remade(lines, WRITE, lambda fd: os.write(fd, b'x\n'), removed)
    if family == 'sysv':
        yield 'qbytes malformed', lambda: failing(errno.EINVAL, write, directory + '/qbytes', b'many')
        yield 'qbytes refused', lambda: failing(REFUSED, as_user, USER, write, directory + '/qbytes', b'1')
        yield 'create too large', lambda: failing(errno.EPERM, as_user, USER, create, 'sysv/msg/0x7e qbytes=1G\n')
        yield None, lambda: [write(packets, b'x' * 100) for _ in range(3)]
        yield 'peek listed', lambda: os.listdir(directory + '/peek')
        yield 'peek cut', lambda: cut_listing(directory + '/peek')
        yield None, lambda: [read(packets) for _ in range(3)]
        yield 'peek of none', lambda: failing(errno.ENOENT, os.stat, directory + '/peek/0.7')
    else:
        yield 'number read', lambda: failing(errno.EPERM, read, number + '5/msg')
        yield 'no memory for queues', lambda: failing(errno.ENOSPC, without_memory_for_queues, MOUNT + '/posix/mq/none')
    waiters = []
    yield None, lambda: waiters.extend(start_waiters(msg, directory + '/status'))
    yield 'too many waiters', lambda: failing(errno.EAGAIN, read, lines, 10, READ)
    yield None, lambda: stop_waiters(waiters, directory + '/status')
    yield None, lambda: filled(packets)
    for path, data in ((lines, b'x' * 5000 + b'\n'), (packets, b'x' * 5000)):
        yield 'full %s' % path[len(directory):], lambda p=path, d=data: failing(errno.EAGAIN, write, p, d)
        yield 'interrupted full %s' % path[len(directory):], lambda p=path, d=data: write_interrupted(p, d)
        yield 'polled full %s' % path[len(directory):], lambda p=path: polled(p, WRITE)
    yield 'full within msg', lambda: failing(
        errno.ETIMEDOUT, write, directory + '/within/0.001/msg', b'x' * 5000, WRITE)
    yield 'killed writer', lambda: killed(write, lines, b'x\n', WRITE)


def of_semaphores(family, directory):
    one = directory + '/0' if family == 'sysv' else directory
    yield 'value malformed', lambda: failing(errno.EINVAL, write, one + '/value', b'x')
    yield 'value out of range', lambda: failing(errno.ERANGE, write, one + '/value', b'2147483648')
    yield 'post malformed', lambda: failing(errno.EINVAL, write, one + '/post', b'x')
    yield 'post out of range', lambda: failing(errno.ERANGE, write, one + '/post', b'2147483647')
    yield 'hold and back', lambda: open_close(one + '/hold', WRITE)
    yield 'monitor and back', lambda: using(one + '/monitor', WRITE, monitor_verbs)
    yield 'monitor wait interrupted', lambda: using(one + '/monitor', WRITE, lambda fd: interrupted(os.write, fd, b'wait\n'))
    yield 'monitor wait killed', lambda: killed(using, one + '/monitor', WRITE, lambda fd: os.write(fd, b'wait x\n'))
    yield 'monitor wait of removed', lambda: remade(one + '/monitor', WRITE, lambda fd: os.write(fd, b'wait'), errno.EIDRM)
    yield 'post to removed', lambda: remade(one + '/post', WRITE, lambda fd: os.write(fd, b'1'), errno.EIDRM)
    yield 'hold of removed', lambda: remade(one + '/hold', WRITE, lambda fd: failing(errno.ENOENT, os.stat, one + '/none')
                                            or os.stat(one + '/none'), errno.ENOENT)
    if family == 'sysv':
        yield 'create out of range', lambda: failing(errno.ERANGE, create, 'sysv/sem/0x7e values=1,32768\n')
        yield 'op malformed', lambda: failing(errno.EINVAL, write, directory + '/op', b'0')
        yield 'op too large', lambda: failing(errno.EFBIG, write, directory + '/op', b'7:1')
        yield 'op too many', lambda: failing(errno.E2BIG, write, directory + '/op', b'0:1 ' * 501)
        yield 'values malformed', lambda: failing(errno.EINVAL, write, directory + '/values', b'1 2')
        yield 'zero interrupted', lambda: write_interrupted(one + '/zero')
        yield 'number of none', lambda: failing(errno.ENOENT, os.stat, directory + '/9/value')
    yield None, lambda: write(one + '/value', b'0')
    yield 'trywait', lambda: failing(errno.EAGAIN, write, one + '/trywait', b'\n')
    yield 'tryhold', lambda: failing(errno.EAGAIN, open_close, one + '/tryhold', WRITE)
    yield 'wait not blocking', lambda: failing(errno.EAGAIN, write, one + '/wait', b'\n')
    yield 'hold not blocking', lambda: failing(errno.EAGAIN, open_close, one + '/hold', WRITE | NONBLOCK)
    yield 'wait interrupted', lambda: write_interrupted(one + '/wait')
    yield 'wait for many interrupted', lambda: write_interrupted(one + '/wait', b'3')
    yield 'monitor interrupted', lambda: interrupted(open_close, one + '/monitor', WRITE)
    yield 'monitor killed', lambda: killed(open_close, one + '/monitor', WRITE)
    yield 'hold interrupted', lambda: interrupted(open_close, one + '/hold', WRITE)
    yield 'wait killed', lambda: killed(write, one + '/wait', b'\n', WRITE)
    yield 'hold killed', lambda: killed(open_close, one + '/hold', WRITE)
    if family == 'sysv':
        yield 'op interrupted', lambda: write_interrupted(directory + '/op', b'0:-1')


def of_segments(family, directory):
    data = directory + '/data'
    yield 'truncate refused', lambda: failing(REFUSED, as_user, USER, os.truncate, data, 1)
    if family == 'sysv':
        yield 'truncate', lambda: failing(errno.EPERM, os.truncate, data, 1)
        yield 'written behind its end', lambda: failing(errno.ENOSPC, using, data, WRITE, lambda fd: os.pwrite(fd, b'x', 1 << 20))
    yield 'removed while open', lambda: remade(data, READ, lambda fd: failing(errno.ENOENT, os.stat, directory + '/none')
                                               or os.stat(directory + '/none'), errno.ENOENT)


def events():
    """Reads the first events. Threads of the daemon end after the close."""
    before = len(os.listdir('/proc/%s/task' % DAEMON))
    using(MOUNT + '/events', READ, lambda fd: os.read(fd, 1 << 16))
    while len(os.listdir('/proc/%s/task' % DAEMON)) > before:
        time.sleep(0.001)


def of_the_mount():
    for text in ('nonsense', 'posix/mq', 'posix/mq/..', 'posix/mq/x maxmsg=-1', 'posix/mq/x mode=0755', 'sysv/msg/0x0',
                 'sysv/sem/0x7e values=1,', 'posix/mq/x colour=red'):
        yield 'create %s' % text, lambda t=text: failing(errno.EINVAL, create, t + '\n')
    yield 'create too much', lambda: failing((errno.ERANGE, errno.EINVAL), create, 'posix/mq/x maxmsg=9999999999\n')
    yield 'create binary', lambda: failing(errno.EINVAL, create, b'\0' * 100000)
    yield 'create cut', lambda: (using(MOUNT + '/create', WRITE, cut_creation), os.rmdir(MOUNT + '/posix/mq/good'))
    yield 'limit malformed', lambda: failing(errno.EINVAL, write, MOUNT + '/limits/msgmax', b'many')
    yield 'limit refused', lambda: failing(REFUSED, as_user, USER, write, MOUNT + '/limits/msgmax', b'1')
    yield 'mkdir in a fixed directory', lambda: failing(errno.EPERM, os.mkdir, MOUNT + '/posix/x')
    yield 'rmdir of a fixed directory', lambda: failing((errno.EPERM, errno.EBUSY), os.rmdir, MOUNT + '/posix/mq')
    yield 'mkdir of what is no key', lambda: failing(errno.EINVAL, os.mkdir, MOUNT + '/sysv/msg/x')
    yield 'listing cut', lambda: cut_listing(MOUNT + '/sysv')
    yield None, lambda: [open('/dev/shm/many%d' % i, 'w').close() for i in range(400)]
    yield 'long listing cut', lambda: cut_listing(MOUNT + '/posix/shm')
    yield None, lambda: [os.unlink('/dev/shm/many%d' % i) for i in range(400)]
    yield 'events', events
    yield 'metrics cut', lambda: using(MOUNT + '/metrics', READ, lambda fd: os.read(fd, 10))
    yield 'too many opens', lambda: failing(errno.EMFILE, as_user, USER, too_many_opens, MOUNT + '/create')
    yield 'lock', lambda: using(MOUNT + '/posix', READ, lambda fd: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB))
    yield None, lambda: [as_user(USER, os.mkdir, '%s/sysv/msg/0x6%x' % (MOUNT, i)) for i in range(OBJECTS)]
    for family, name in (('posix', 'mq'), ('posix', 'shm'), ('posix', 'sem'), ('sysv', 'msg'), ('sysv', 'shm'), ('sysv', 'sem')):
        yield 'too many objects, %s' % name, lambda f=family, n=name: failing(
            errno.ENOSPC, as_user, USER, os.mkdir, '%s/%s/%s/0x7f' % (MOUNT, f, n))
    yield None, lambda: [os.rmdir('%s/sysv/msg/0x0000006%x' % (MOUNT, i)) for i in range(OBJECTS)]


FILES = {
    'mq': ['msg', 'lines', 'tagged', 'packets', 'records', 'status'],
    'msg': ['msg', 'lines', 'tagged', 'packets', 'records'],
    'shm': ['data'],
    'sem': ['value', 'wait', 'trywait', 'post', 'hold', 'tryhold', 'monitor'],
}


def operations():
    number = 0
    for family, name, more in (('posix', 'mq', of_queues), ('sysv', 'msg', of_queues), ('posix', 'sem', of_semaphores),
                               ('sysv', 'sem', of_semaphores), ('posix', 'shm', of_segments), ('sysv', 'shm', of_segments)):
        number += 1
        class_path = '%s/%s/%s' % (MOUNT, family, name)
        directory = '%s/%s' % (class_path, KEYS[family] % number)
        files = [('0/' if family == 'sysv' and name == 'sem' else '') + file for file in FILES[name]]
        mkdir(directory, 0o600)
        for rows in (refusals(class_path, directory, files), more(family, directory)):
            for what, call in rows:
                yield what and '%s/%s: %s' % (family, name, what), call
        os.rmdir(directory)
    for what, call in of_the_mount():
        yield what and 'mount: %s' % what, call


def anonymous():
    with open('/proc/%s/smaps_rollup' % DAEMON, encoding='ascii') as file:
        return next(int(line.split()[1]) for line in file if line.startswith('Anonymous:'))


def process():
    """What has to be the same of the process."""
    directory = '/proc/' + DAEMON
    with open(directory + '/maps', encoding='utf-8', errors='replace') as maps:
        # An allocator's mappings come and go.
        mappings = sum(1 for line in maps if len(line.split()) > 5)
    seen = {'descriptors': len(os.listdir(directory + '/fd')), 'threads': len(os.listdir(directory + '/task')),
            'mappings': mappings}
    seen['children'] = ' '.join(sorted(children()))
    return seen


def children():
    """The processes that any thread of the daemon has forked."""
    tasks = '/proc/%s/task/' % DAEMON
    for task in os.listdir(tasks):
        try:
            with open(tasks + task + '/children', encoding='ascii') as text:
                yield from text.read().split()
        except OSError: # the thread has ended
            pass


def state():
    """What has to be the same."""
    seen = {**process(), 'objects': [], 'waiting': []}
    for family in ('posix', 'sysv'):
        for name in os.listdir('%s/%s' % (MOUNT, family)):
            path = '%s/%s/%s' % (MOUNT, family, name)
            for entry in os.listdir(path) if name != 'by-id' else []:
                seen['objects'].append('%s/%s' % (path, entry))
                with open('%s/%s/status' % (path, entry), encoding='utf-8') as status:
                    seen['waiting'] += [line for line in status if line.split('=')[0] in (
                        'waiters', 'holders', 'waiting', 'waiting_readers', 'waiting_writers')]
    return seen


def settled():
    """The state when it has not changed for a moment: the daemon closes after it has answered."""
    before, now = None, state()
    while now != before:
        time.sleep(0.02)
        before, now = now, state()
    return now


def quiet():
    """Waits until the process has been the same for a second: what only waited for work has ended."""
    before, since = process(), time.monotonic()
    while time.monotonic() - since < 1:
        time.sleep(0.05)
        now = process()
        if now != before:
            before, since = now, time.monotonic()


def same_state(before, spares=0, state=state):
    """Or will be soon: on a busy machine requests are held up, and threads more than usual stay for them."""
    end = time.monotonic() + 30
    while True:
        now = state()
        # Threads and helpers may end that only waited for work, and close what they had open.
        if now['threads'] < before['threads']:
            now = {key: before[key] if key in ('threads', 'descriptors', 'mappings') and now[key] < before[key] else now[key]
                   for key in now}
        # A semaphore's last handle stays open for the next.
        now = {key: before[key] if key in ('descriptors', 'mappings') and 0 <= now[key] - before[key] <= spares else now[key]
               for key in now}
        if now == before:
            return ''
        if time.monotonic() > end:
            return ', '.join('%s: %s, then %s' % (key, before[key], now[key]) for key in now if now[key] != before[key])
        time.sleep(0.02)


def grows(call, memory):
    """Memory does, in each of the last rounds. The first ones fill what was freed before."""
    grown = []
    while len(grown) < 2 or (memory and grown[-1] > GROWTH and len(grown) < 10):
        before = anonymous()
        for _ in range(ROUNDS // 2):
            call()
        grown.append(anonymous() - before)
    return 'memory: %s KiB in %d each' % (grown, ROUNDS // 2) if memory and min(grown[-3:]) > GROWTH else ''


def remove_known(path):
    """Removes a semaphore through the mount while a process has its directory: only a user can keep it open."""
    fd = os.open(path, os.O_PATH)
    os.rmdir(path)
    return fd


def remove_directly(path):
    """Removes a semaphore without the mount: only a reference can keep it open."""
    os.unlink('/dev/shm/sem.' + os.path.basename(path))
    while os.path.exists(path): # what was just listed is shown for a moment
        time.sleep(0.005)
    return os.open('/', os.O_PATH)


def kept_open(call):
    """A POSIX semaphore on which the call was made is closed when it is removed, in either way."""
    directory = MOUNT + '/posix/sem'
    path = directory + '/' + os.listdir(directory)[0]
    mode, value = os.stat(path).st_mode & 0o666, read(path + '/value')

    def make():
        mkdir(path)
        os.chmod(path, mode)
        write(path + '/value', value)
    for remove in (remove_known, remove_directly):
        os.rmdir(path)
        before = settled()['descriptors']
        make()
        call()
        fd = remove(path)
        end = time.monotonic() + 5
        while process()['descriptors'] > before and time.monotonic() < end:
            time.sleep(0.005)
        left = process()['descriptors'] - before
        os.close(fd)
        make()
        if left > 0:
            return '%d descriptors stay open (%s)' % (left, remove.__name__)
    return ''


def tried(name, call, memory):
    before = settled()
    problem = grows(call, memory)
    problem = same_state(before, '/sem' in name) or problem
    return problem or (kept_open(call) if name.startswith('posix/sem') else '')


def main():
    failures = count = 0
    # What is opened once and for all, and what the allocator begins with.
    for _, call in operations():
        call()
    quiet()
    for name, call in operations():
        if name is None:
            call()
            continue
        if PATTERN not in name:
            continue
        count += 1
        start = time.monotonic()
        try:
            # Of a file that was open when its object was removed, the kernel keeps the node until
            # it wants memory.
            problem = tried(name, call, MEMORY and 'removed' not in name)
        except (AssertionError, OSError) as error:
            problem = '%s: %s' % (type(error).__name__, error)
        if problem:
            failures += 1
            print('%s: %s' % (name, problem))
            if failures == 3:
                break
        elif 'TIMES' in os.environ:
            print('%s: %.1f s' % (name, time.monotonic() - start))
        sys.stdout.flush()
    print('%d operations, %d leaks' % (count, failures))
    sys.exit(failures > 0 or count == 0)


if __name__ == '__main__':
    main()
