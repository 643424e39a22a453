#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""faults.py MOUNT DAEMON 1 0 [PATTERN]: does operations for whose want something is not there.

The daemon is of a build with fault points. Each operation is one row of the table that `operations` makes: it is done
once, and then again with the first, the second, ... request of the daemon for memory, a descriptor, a thread or a
process failing, until an operation needs fewer requests. Each time it either succeeds and has its whole effect, or
fails by one of WANTS and has none; and the daemon is as it was, see leaks.py.
"""
import ctypes
import errno
import hashlib
import mmap
import os
import select
import signal
import struct
import subprocess
import sys
import time

import leaks
from leaks import BOTH, GOOD_ACL, MOUNT, NONBLOCK, PATTERN, READ, USER, WRITE

WANTS = (errno.ENOMEM, errno.EIO, errno.EAGAIN, errno.EMFILE, errno.ENOSPC, errno.ENOLCK)
SECONDS = 10  # in which an operation has to end
MOST = 200    # requests of one operation

with open(os.environ['IPCFS_FAULTS'] + '/countdown', 'r+b') as shared:
    COUNTDOWN = mmap.mmap(shared.fileno(), 8)


def fail_request(number):
    """The request of this number from now fails; 0: none does."""
    COUNTDOWN[:] = struct.pack('q', number)


def was_reached():
    return struct.unpack('q', COUNTDOWN[:])[0] == 0


LIBC = ctypes.CDLL(None, use_errno=True)
CLASS = [] # (family, name) of the class whose operations are tried now


class Hangs(Exception):
    pass


def hangs(*_):
    raise Hangs('it hangs')


signal.signal(signal.SIGALRM, hangs)


def slurp(path):
    with open(path, 'rb') as file:
        return file.read()


def shown(path, name):
    """What a user sees of an object."""
    st = os.stat(path)
    try:
        acl = os.getxattr(path, 'system.posix_acl_access')
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise
        acl = None
    lines = slurp(path + '/status').decode().split('\n')
    keys = ('messages', 'bytes', 'qbytes', 'value', 'size', 'holders', 'waiters', 'waiting')
    status = [line for line in lines if line.split('=')[0].split('_')[0] in keys]
    data = hashlib.md5(slurp(path + '/data')).hexdigest() if name == 'shm' else ''
    return st.st_mode, st.st_uid, st.st_gid, acl, status, data


def world():
    """The objects of the class that is tried, and what others see."""
    found = {}
    for family, name in CLASS:
        directory = '%s/%s/%s' % (MOUNT, family, name)
        for entry in os.listdir(directory):
            if entry != 'by-id':
                found[family, name, entry] = shown(directory + '/' + entry, name)
    found['msgmax'] = slurp(MOUNT + '/limits/msgmax')
    return found


def world_like(wanted=None):
    """The world when it is as wanted, or has not changed for a moment: what a close does comes after it."""
    before, now = None, world()
    for _ in range(100):
        if now == (wanted or before):
            break
        time.sleep(0.005)
        before, now = now, world()
    return now


class Row:
    """An operation. `call` gets what `prepare` returns, as `undo` does."""

    def __init__(self, name, call, prepare=lambda: None, undo=lambda it: None):
        self.name, self.call, self.prepare, self.undo = name, call, prepare, undo

    def once(self, number, wanted=None, done=None):
        """Returns (result, the world before, the world after, whether the request was reached)."""
        it = self.prepare()
        try:
            before = world_like(wanted)
            fail_request(number)
            signal.alarm(SECONDS)
            try:
                result = self.call(it)
            except OSError as error:
                result = error
            finally:
                signal.alarm(0)
            if not was_reached():
                time.sleep(0.005) # what the daemon does after the reply
            reached = was_reached()
            fail_request(0)
            return result, before, world_like(wanted if isinstance(result, OSError) else done), reached
        finally:
            fail_request(0)
            self.undo(it)

    def problem(self):
        result, before, done, _ = self.once(0)
        if isinstance(result, OSError):
            return 'fails without a fault: %s' % result
        leaks.settled()
        state = process()
        for number in range(1, MOST):
            got, now_before, after, reached = self.once(number, before, done)
            what = 'request %d: ' % number
            if now_before != before:
                return what + 'the world was not restored'
            if isinstance(got, OSError):
                if not reached:
                    return what + 'fails without a fault: %s' % got
                if got.errno not in WANTS:
                    return what + 'got %s' % got
                if after != before:
                    return what + 'failed by %s, but: %s' % (got, difference(before, after))
            elif got != result:
                return what + 'got %r, not %r' % (got, result)
            elif after != done:
                return what + 'succeeded, but: %s' % difference(done, after)
            problem = leaks.same_state(state, state=process)
            if problem:
                return what + '(%s) %s' % (got, problem)
            if not reached:
                return leaks.kept_open(lambda: self.each(number)) if CLASS == [('posix', 'sem')] else ''
        return 'needs %d requests' % MOST

    def each(self, count):
        """Once with each of so many requests failing."""
        for number in range(1, count + 1):
            self.once(number)


def difference(wanted, got):
    return ', '.join('%s: %s, not %s' % (key, got.get(key), wanted.get(key))
                     for key in {**wanted, **got} if got.get(key) != wanted.get(key))


def access(path, mode):
    """As os.access, which hides the error."""
    if LIBC.access(path.encode(), mode):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def opened(path, flags):
    return lambda: os.open(path, flags)


def on_file(name, path, flags, call, before=lambda: None, undo=lambda: None):
    """The operation of an open file."""
    def prepare():
        before()
        return os.open(path, flags)

    def end(fd):
        os.close(fd)
        undo()
    return Row(name, call, prepare, end)


def parked(pid):
    """Waits until this child has ended, or waits for the daemon. Returns whether it waits."""
    seen = 0
    while seen < 3:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return False
        with open('/proc/%d/stack' % pid, encoding='ascii') as stack:
            seen = seen + 1 if 'request_wait_answer' in stack.read() else 0
        time.sleep(0.003)
    return True


def waiting(call, give, take):
    """`call` waits in a process; `give`, a direct call, lets it go on. If it fails nevertheless, `take` takes it back."""
    pid = os.fork()
    if pid == 0:
        try:
            call()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno)
    waits = parked(pid)
    if waits:
        give()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        if waits:
            take()
        raise OSError(status, os.strerror(status))
    return waits


def direct(*command):
    return subprocess.run(command, check=True, capture_output=True).stdout


def of_objects(family, name, directory, files):
    yield Row('stat', lambda _: os.stat(directory).st_mode)
    yield Row('list', lambda _: sorted(os.listdir(directory)))
    yield Row('list of the class', lambda _: sorted(os.listdir(os.path.dirname(directory))))
    yield Row('status', lambda _: slurp(directory + '/status').count(b'\n'))
    yield Row('users', lambda _: b'complete=' in slurp(directory + '/users')) # with another line, or an error
    yield Row('access', lambda _: leaks.as_user(USER, access, directory, os.R_OK))
    for file in files:
        for how, flags in (('reading', READ), ('writing', WRITE), ('both', BOTH)):
            if (how == 'reading') == (file in ('hold', 'tryhold', 'monitor', '0/hold', '0/tryhold', '0/monitor')):
                continue
            yield Row('open %s for %s' % (file, how), lambda it: it.append(os.open(directory + '/' + file, flags | NONBLOCK)),
                      lambda: [], lambda it: it and os.close(it[0]))
    made = os.path.dirname(directory) + '/' + ('0x0000aaaa' if family == 'sysv' else 'made')
    there = lambda: os.path.exists(made) and os.rmdir(made)
    yield Row('mkdir', lambda _: os.mkdir(made), undo=lambda _: there())
    yield Row('mkdir of a user', lambda _: leaks.as_user(USER, os.mkdir, made), undo=lambda _: there())
    yield Row('create', lambda fd: os.write(fd, (made[len(MOUNT) + 1:] + '\n').encode()),
              opened(MOUNT + '/create', WRITE), lambda fd: (os.close(fd), there()))
    yield Row('rmdir', lambda _: os.rmdir(made), lambda: os.mkdir(made), lambda _: there())
    if family == 'sysv':
        yield Row('readlink', lambda _: os.readlink(id_link(name)))
        yield Row('other spelling', lambda _: os.stat(os.path.dirname(directory) + '/' + SPELLING[name]).st_mode)
    for what, first in (('', lambda: None), (' with a list', lambda: leaks.set_acl(directory, GOOD_ACL))):
        def plain(_=None):
            if family == 'sysv' or os.getxattr(directory, 'system.posix_acl_access'):
                os.removexattr(directory, 'system.posix_acl_access')

        def back(_=None):
            try:
                os.removexattr(directory, 'system.posix_acl_access')
            except OSError as error:
                if error.errno != errno.ENODATA:
                    raise
            os.chown(directory, 0, 0)
            os.chmod(directory, 0o600)
        yield Row('chmod' + what, lambda _: os.chmod(directory, 0o640), first, back)
        yield Row('chown' + what, lambda _: os.chown(directory, USER, USER), first, back)
        yield Row('setfacl' + what, lambda _: leaks.set_acl(directory, GOOD_ACL), first, back)
        yield Row('getfacl' + what, lambda _: sorted(os.listxattr(directory)), first, back)
    yield Row('setfacl -b', lambda _: os.removexattr(directory, 'system.posix_acl_access'),
              lambda: leaks.set_acl(directory, GOOD_ACL), back)


def id_link(name):
    by_id = MOUNT + '/sysv/by-id/' + name
    return by_id + '/' + os.listdir(by_id)[0]


SPELLING = {'msg': '0x1', 'sem': '0x3', 'shm': '0x5'}


def of_queues(family, directory):
    name = os.path.basename(directory)
    texts = [b'first', b'second', b'third']
    packets = directory + '/packets'

    def send():
        for text in texts:
            leaks.write(packets, text)

    def drain():
        return slurp(directory + '/drain')
    large = {'lines': all_lines, 'tagged': all_lines, 'records': all_records}
    for file in ('msg', 'lines', 'tagged', 'packets', 'records'):
        path = directory + '/' + file
        if file != 'records': # reads of it take as many as they can
            yield on_file('read of %s' % file, path, READ | NONBLOCK, lambda fd: os.read(fd, 8192), send, drain)
        if file in large:
            yield on_file('large read of %s' % file, path, READ | NONBLOCK, large[file], send, drain)
        line = {'tagged': b'5\tone\n', 'records': leaks.record(b'one')}.get(file, b'one\n')
        yield on_file('write to %s' % file, path, WRITE | NONBLOCK, lambda fd: os.write(fd, line), undo=drain)
        yield Row('waiting read of %s' % file,
                  lambda _: waiting(lambda: slurp_one(path), lambda: direct('mqtool', family, name, 'send', '1', 'sent'),
                                    lambda: direct('mqtool', family, name, 'receive')), undo=lambda _: drain())
        yield on_file('poll of %s' % file, path, READ | NONBLOCK, poll_once)
    yield on_file('several lines', directory + '/lines', WRITE, lambda fd: os.write(fd, b'one\ntwo\nthree\n'), undo=drain)
    yield on_file('drain', directory + '/drain', READ, lambda fd: os.read(fd, 8192), send, drain)
    yield Row('lease', lambda fd: os.read(fd, 8192), lambda: (send(), os.open(directory + '/lease', BOTH | NONBLOCK))[1],
              lambda fd: (os.close(fd), drain()))
    # What `again` has no memory to send stays with the keeper, until the daemon ends.
    for verdict in ('done', 'dead', 'dead %s/%s/%s' % (*CLASS[0], name)):
        yield Row('lease, ' + verdict, lambda fd, verdict=verdict: os.write(fd, verdict.encode()),
                  lambda: (send(), leased(directory + '/lease'))[1], lambda fd: (os.close(fd), drain()))
    yield Row('rest', read_rest, lambda: (send(), begun(directory + '/msg'))[1], lambda fd: (os.close(fd), drain()))
    yield Row('waiting close', lambda _: waiting(lambda: written_and_closed(directory + '/msg'),
                                                 lambda: direct('mqtool', family, name, 'receive'), lambda: fill(packets)),
              lambda: fill(packets), lambda _: drain())
    yield Row('close that sends', close_copy, lambda: written(directory + '/msg'), lambda fds: (os.close(fds[0]), drain()))
    if family == 'sysv':
        yield Row('peek', lambda _: [slurp(directory + '/peek/' + one) for one in sorted(os.listdir(directory + '/peek'))],
                  send, lambda _: drain())
        yield on_file('qbytes', directory + '/qbytes', BOTH, lambda fd: os.write(fd, b'8192\n'),
                      undo=lambda: leaks.write(directory + '/qbytes', b'16384\n'))


def slurp_one(path):
    fd = os.open(path, READ)
    os.read(fd, 16384)


def all_lines(fd):
    return sorted(everything(fd).split(b'\n'))


def all_records(fd):
    data, found = everything(fd), []
    while data:
        end = 8 + int.from_bytes(data[:4], 'little')
        found.append(data[:end])
        data = data[end:]
    return sorted(found)


def everything(fd):
    """All that is there. A message for which the daemon had no memory has gone to the tail."""
    text = os.read(fd, 1 << 17)
    while True:
        try:
            text += os.read(fd, 1 << 17)
        except BlockingIOError:
            return text
        except OSError as error:
            assert error.errno == errno.ENOMEM, error


def begun(path):
    """A message is read in part."""
    fd = os.open(path, READ)
    os.read(fd, 2)
    return fd


def read_rest(fd):
    """A read that fails leaves the rest for the next."""
    try:
        return os.read(fd, 10)
    except OSError:
        rest = os.read(fd, 10)
        assert rest == b'rst', rest
        raise


def poll_once(fd):
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return poll.poll(0)


def leased(path):
    fd = os.open(path, BOTH | NONBLOCK)
    os.read(fd, 8192)
    return fd


def fill(packets):
    fd = os.open(packets, WRITE | NONBLOCK)
    try:
        while True:
            os.write(fd, b'x' * 8192)
    except BlockingIOError:
        os.close(fd)


def written_and_closed(path):
    fd = os.open(path, WRITE)
    os.write(fd, b'w' * 8000) # charged to its user until it is sent or refused
    os.close(fd)


def written(path):
    """Two descriptors of one open file, and a message that the close of one sends."""
    fd = os.open(path, WRITE)
    os.write(fd, b'whole')
    return [fd, os.dup(fd)]


def close_copy(fds):
    os.close(fds[1])


def process():
    """The state of the process; the keeper may be another one."""
    state = leaks.process()
    return {**state, 'children': len(state['children'].split())}


def kill_keeper():
    for child in leaks.children():
        try:
            os.kill(int(child), signal.SIGKILL)
        except ProcessLookupError: # one that was killed before, and of which the daemon learns now
            pass
        while not is_dead(child):
            time.sleep(0.001)


def is_dead(pid):
    try:
        return slurp('/proc/%s/stat' % pid).rpartition(b')')[2].startswith(b' Z')
    except (FileNotFoundError, ProcessLookupError): # the daemon has taken its status
        return True


def of_semaphores(family, directory):
    one = directory + '/0' if family == 'sysv' else directory
    name = os.path.basename(directory)
    post = lambda: direct('semtool', family, name, *(('op', '0:1') if family == 'sysv' else ('post',)))
    take = lambda: direct('semtool', family, name, *(('op', '0:-1') if family == 'sysv' else ('wait',)))
    set_to = lambda value: leaks.write(one + '/value', b'%d' % value)
    yield on_file('value', one + '/value', READ, lambda fd: os.read(fd, 100))
    yield on_file('set', one + '/value', WRITE, lambda fd: os.write(fd, b'7'), undo=lambda: set_to(1))
    for file in ('post', 'wait', 'trywait'):
        yield on_file(file, one + '/' + file, WRITE, lambda fd: os.write(fd, b'\n'), undo=lambda: set_to(1))
    for file in ('hold', 'tryhold', 'monitor'):
        yield Row(file, lambda it: it.append(os.open(one + '/' + file, WRITE)), lambda: [],
                  lambda it: it and os.close(it[0]))
        yield Row('%s and its close' % file, lambda _: os.close(os.open(one + '/' + file, WRITE)))
    yield Row('close of hold', os.close, opened(one + '/hold', WRITE))
    if family == 'posix':
        yield Row('hold with a new keeper', lambda it: it.append(os.open(one + '/hold', WRITE)), lambda: kill_keeper() or [],
                  lambda it: (it and os.close(it[0]), leaks.open_close(one + '/hold', WRITE)))
    yield Row('waiting wait', lambda _: waiting(lambda: leaks.write(one + '/wait', b'\n', WRITE), post, take),
              lambda: set_to(0), lambda _: set_to(1))
    yield Row('waiting hold', lambda _: waiting(lambda: leaks.open_close(one + '/hold', WRITE), post, take),
              lambda: set_to(0), lambda _: set_to(1))
    if family == 'sysv':
        yield on_file('values', directory + '/values', READ, lambda fd: os.read(fd, 100))
        yield on_file('set all', directory + '/values', WRITE, lambda fd: os.write(fd, b'5\n'), undo=lambda: set_to(1))
        yield on_file('op', directory + '/op', WRITE, lambda fd: os.write(fd, b'0:2'), undo=lambda: set_to(1))
        yield on_file('many ops', directory + '/op', WRITE, lambda fd: os.write(fd, b'0:1 ' * 30), undo=lambda: set_to(1))


def of_segments(family, directory):
    data = directory + '/data'
    whole = lambda: using(data, lambda fd: os.pwrite(fd, b'before', 0))
    if family == 'posix':
        yield Row('truncate', lambda _: os.truncate(data, 8192), undo=lambda _: (os.truncate(data, 6), whole()))
        yield Row('open with O_TRUNC', lambda _: leaks.open_close(data, WRITE | os.O_TRUNC), undo=lambda _: whole())
    yield on_file('read', data, READ, lambda fd: os.pread(fd, 6, 0))
    yield on_file('write', data, WRITE, lambda fd: os.pwrite(fd, b'after!', 0), undo=whole)


def using(path, use):
    return leaks.using(path, WRITE, use)


def present():
    """How many objects `events` tells of at its start."""
    text, fd = b'', os.open(MOUNT + '/events', READ)
    try:
        while b'"event":"sync"' not in text:
            text += os.read(fd, 1 << 16)
    finally:
        os.close(fd)
    return text.count(b'"event":"present"')


def of_the_mount():
    yield Row('list', lambda _: sorted(os.listdir(MOUNT)))
    yield Row('statfs', lambda _: os.statvfs(MOUNT).f_bsize)
    yield Row('limit', lambda _: slurp(MOUNT + '/limits/msgmax'))
    yield on_file('set limit', MOUNT + '/limits/msgmax', WRITE, lambda fd: os.write(fd, b'4096'),
                  undo=lambda: leaks.write(MOUNT + '/limits/msgmax', b'8192'))
    yield Row('objects', lambda _: slurp(MOUNT + '/objects').count(b'\n'))
    yield Row('metrics', lambda _: slurp(MOUNT + '/metrics').count(b'# TYPE ')) # what can't be known has no line
    yield Row('events', lambda _: present())
    yield Row('list of ids', lambda _: len(os.listdir(MOUNT + '/sysv/by-id/msg')))


def rows():
    number = 0
    for family, name, more in (('sysv', 'msg', of_queues), ('posix', 'mq', of_queues), ('sysv', 'sem', of_semaphores),
                               ('posix', 'sem', of_semaphores), ('sysv', 'shm', of_segments), ('posix', 'shm', of_segments)):
        number += 1
        CLASS[:] = [(family, name)]
        directory = '%s/%s/%s/%s' % (MOUNT, family, name, leaks.KEYS[family] % number)
        if name == 'shm':
            leaks.create('%s size=6\n' % directory[len(MOUNT) + 1:])
            using(directory + '/data', lambda fd: os.pwrite(fd, b'before', 0))
        else:
            os.mkdir(directory, 0o600)
        files = [('0/' if family == 'sysv' and name == 'sem' else '') + file for file in leaks.FILES[name] if file != 'status']
        yield from (('%s/%s: %s' % (family, name, row.name), row) for row in of_objects(family, name, directory, files))
        yield from (('%s/%s: %s' % (family, name, row.name), row) for row in more(family, directory))
    yield from (('mount: ' + row.name, row) for row in of_the_mount())


def first_open():
    """The first open file needs the most. Opens that fail for want of it are charged to nobody: max_opens is 20."""
    for number in range(1, 9):
        for _ in range(25):
            fail_request(number)
            try:
                os.close(os.open(MOUNT + '/create', WRITE))
            except OSError as error:
                assert error.errno in (errno.ENOMEM, errno.EAGAIN), 'request %d: %s' % (number, error)
            fail_request(0)


def main():
    first_open()
    count = failures = 0
    for name, row in rows():
        if PATTERN not in name:
            continue
        count += 1
        start = time.monotonic()
        try:
            problem = row.problem()
        except (Hangs, OSError, AssertionError, subprocess.CalledProcessError) as error:
            problem = '%s: %s' % (type(error).__name__, error)
        if problem:
            failures += 1
            print('%s: %s' % (name, problem))
        elif 'TIMES' in os.environ:
            print('%s: %.1f s' % (name, time.monotonic() - start))
        sys.stdout.flush()
    print('%d operations, %d problems' % (count, failures))
    sys.exit(failures > 0 or count == 0)


main()
