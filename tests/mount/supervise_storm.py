#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""supervise_storm.py SECONDS SEED MOUNT=SUPERVISOR...

Workers of `-o supervise` are killed at random, while clients of all mounts, which show the same objects,
and direct callers use them. Several mounts, since a supervisor starts no more than ten workers in ten
seconds without a pause. Asserts:

- Nothing hangs: every call ends in time, and so does every wait once there is what it waits for.
- No call of a client gives another error than EIO, but for EAGAIN where it asked not to wait, and ESTALE
  of a list.
- A message whose sender was told of no error arrives once at most, whole, and behind the earlier messages
  of its sender. No more of them are missing than receivers were told EIO. In each queue one for 50 kills
  may be lost or doubled: docs/security.md says when.
- Of the messages that are leased each is done once, or sent once to the queue of the dead ones, whatever
  workers of jobs give back.
- The value of a semaphore is what was posted, less what was taken, but for the calls that got EIO.
- No more clients have a hold of a semaphore than its value allows, and at the end all are given back. No
  two are inside a monitor, and none waits in it for what was notified.

With UPGRADE=PROGRAM in the environment PROGRAM --upgrade is run in place of kills. Then no call gets EIO,
and no message is lost or doubled.

Prints the sums, and exits 1 if one of these is broken.
"""
import collections
import contextlib
import copy
import ctypes
import errno
import json
import mmap
import os
import random
import select
import signal
import struct
import subprocess
import sys
import time
import traceback

SECONDS, SEED = float(sys.argv[1]), int(sys.argv[2])
MOUNTS = [(mount, int(pid)) for mount, pid in (pair.rsplit('=', 1) for pair in sys.argv[3:])]
SLOW = int(os.environ.get('IPCFS_TEST_SLOW', 1))
UPGRADE = os.environ.get('UPGRADE')
HANG = 20 * SLOW  # seconds that no call may take
DEATHS = 10       # workers that may die in ten seconds; the next one makes a pause
END = b'end'      # the message that ends a receiver
LIBC = ctypes.CDLL(None, use_errno=True)
KEY, NAME = 0x5a01, 'storm'
QUEUES = ('posix/mq/' + NAME, 'sysv/msg/0x%08x' % KEY)
DRAINED = ('posix/mq/drained', 'sysv/msg/0x%08x' % (KEY + 1))
LEASED = ('posix/mq/leased', 'sysv/msg/0x%08x' % (KEY + 2))
DEAD = 'posix/mq/dead'
SEMAPHORES = ('posix/sem/' + NAME + '/', 'sysv/sem/0x%08x/0/' % KEY)
HELD = ('posix/sem/held/', 'sysv/sem/0x%08x/0/' % (KEY + 1))
HOLDERS = 2  # the value of these
MONITORS = ('posix/sem/monitor/', 'sysv/sem/0x%08x/0/' % (KEY + 2))


class Shared:
    """What processes share: whether the storm goes on, and when each client began its call."""

    def __init__(self):
        self.memory = mmap.mmap(-1, 3 * 4096)

    def end(self, part=0):
        self.memory[part] = 1

    def goes_on(self, part=0):
        """Whether clients go on; or, of part 1, those that drain what the others send."""
        return not self.memory[part]

    def inside(self, place, index, inside):
        """Notes that a client has a hold, or not. Returns how many have one of this place."""
        start = 4096 * (1 + place // 16) + place % 16 * 256
        self.memory[start + index] = inside
        return sum(self.memory[start:start + 256])

    def add(self, place, amount):
        """Adds to a number that a monitor guards: slowly, so that two who do it at once are seen."""
        start = 4096 * 3 - 8 * (place + 1)
        value = struct.unpack_from('q', self.memory, start)[0]
        if amount:
            time.sleep(0.0005)
            struct.pack_into('q', self.memory, start, value + amount)
        return value + amount

    def note(self, index, when):
        struct.pack_into('d', self.memory, 8 + 8 * index, when)

    def noted(self, index):
        return struct.unpack_from('d', self.memory, 8 + 8 * index)[0]


SHARED = Shared()


class Client:
    """A process that does one thing again and again, and tells at its end what happened."""

    all = []

    def __init__(self, name, run, *args):
        self.name, self.index = name, len(Client.all)
        self.errors, self.sent, self.maybe = collections.Counter(), [], []
        self.got, self.calls, self.slowest, self.fault, self.sums = [], 0, 0, None, collections.Counter()
        self.random = random.Random(SEED * 1000 + self.index)
        Client.all.append(self)
        read, write = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(write)
            self.report = read
            return
        status = 1
        try:
            for other in Client.all[:-1]:
                os.close(other.report)
            os.close(read)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            status = self.work(write, run, args)
        finally:
            os._exit(status)

    def work(self, write, run, args):
        try:
            run(self, *args)
        except Exception:  # whatever it is, the report has it
            self.fault = traceback.format_exc()
        with os.fdopen(write, 'w') as file:
            json.dump({key: getattr(self, key) for key in
                       ('errors', 'sent', 'maybe', 'got', 'calls', 'slowest', 'fault', 'sums')}, file)
        return 0

    @contextlib.contextmanager
    def call(self, *allowed, waits=False):
        """A call, or a few. Sets self.error: 0, or EIO or another one that is allowed."""
        start = time.monotonic()
        SHARED.note(self.index, 0 if waits else start)
        self.error = 0
        try:
            yield
        except OSError as error:
            self.error = error.errno
            self.errors[errno.errorcode[self.error]] += 1
            if (self.error != errno.EIO or UPGRADE) and self.error not in allowed:
                raise
        self.calls += 1
        if not waits:
            self.slowest = max(self.slowest, time.monotonic() - start)
        SHARED.note(self.index, 0)

    def collect(self):
        with os.fdopen(self.report) as file:
            text = file.read()
        os.waitpid(self.pid, 0)
        for key, value in json.loads(text or '{"fault": "it left no report"}').items():
            setattr(self, key, value)


def text_of(sender, number):
    """The message of this number: its length is known, so one that was cut is seen."""
    return b'%d.%d:' % (sender, number) + b'x' * (sender * 7 + number * 13 & 255)


def id_of(text):
    sender, number = text.split(b':')[0].split(b'.')
    return [int(sender), int(number)]


def send_all(client, send):
    """Sends until the end; a message that failed with EIO may be there or not, and is not sent again."""
    number = 0
    while SHARED.goes_on():
        if client.random.random() < 0.3:
            time.sleep(client.random.random() * 0.01)
        try:
            send(text_of(client.index, number))
        except BlockingIOError:
            continue
        (client.maybe if client.error else client.sent).append(number)
        number += 1


def keep_open(client, path, flags):
    """Returns an open file. An open has no effect but that, so EIO is not allowed."""
    while True:
        with client.call():
            return os.open(path, flags)


def write_all(file, data):
    done = os.write(file, data)
    assert done == len(data), (done, len(data))


def close_sends(client, file):
    """Closes. The error of close(2) is that of the message."""
    try:
        os.close(file)
    except OSError as error:
        client.errors['close ' + errno.errorcode[error.errno]] += 1
        assert error.errno == errno.EIO, error
        client.error = error.errno


def send_by_path(client, queue, name):
    def send(text):
        file = keep_open(client, queue + name, os.O_WRONLY)
        with client.call(waits=True):
            write_all(file, text + (b'\n' if name == '/lines' else b''))
        before = client.error
        close_sends(client, file)
        client.error = client.error or before
    send_all(client, send)


def send_by_descriptor(client, queue, name, halves):
    state = {'file': keep_open(client, queue + name, os.O_WRONLY)}

    def send(text):
        parts = [text, b'\n'] if name == '/lines' else [text]
        if name == '/lines' and not halves:
            parts = [text + b'\n']
        for part in parts:
            with client.call(waits=True):
                write_all(state['file'], part)
            if client.error:
                break
        if client.error:  # what is pending now nobody knows: another file has nothing
            before = client.error
            close_sends(client, state['file'])
            state['file'] = keep_open(client, queue + name, os.O_WRONLY)
            client.error = before
    send_all(client, send)
    os.close(state['file'])


def send_packed(client, queue):
    """Without waiting."""
    file = keep_open(client, queue + '/packets', os.O_WRONLY | os.O_NONBLOCK)

    def send(text):
        with client.call(errno.EAGAIN):
            write_all(file, text)
        if client.error == errno.EAGAIN:
            time.sleep(0.002)
            raise BlockingIOError
    send_all(client, send)


def receive_by_path(client, queue, name):
    while True:
        file, text = keep_open(client, queue + name, os.O_RDONLY), b''
        while not text.endswith(b'\n'):
            with client.call(waits=True):
                part = os.read(file, 65536 if name == '/packets' else 100)
            if client.error or not part:
                break
            text += part
            if name == '/packets':
                break
        os.close(file)
        if client.error:
            client.sums['lost'] += 1
            continue
        text = text.rstrip(b'\n')
        if text == END:
            return
        take(client, text)


def take(client, text):
    one = id_of(text)
    whole = text == text_of(*one)
    client.got.append(one + ([] if whole else [0]))


def receive_by_descriptor(client, queue, size):
    """Lines, or parts of lines."""
    file, rest = keep_open(client, queue + '/lines', os.O_RDONLY), b''
    while True:
        with client.call(waits=True):
            rest += os.read(file, size)
        if client.error:
            client.sums['lost'] += 1
            # A part of the line may be gone. A new file begins with a message.
            os.close(file)
            file, rest = keep_open(client, queue + '/lines', os.O_RDONLY), b''
            continue
        *lines, rest = rest.split(b'\n')
        for line in lines:  # one at most: see ipcfs(5)
            if line == END:
                return
            take(client, line)


def receive_edges(client, queue):
    """Waits with edge-triggered epoll, and reads until there is nothing."""
    file = keep_open(client, queue + '/packets', os.O_RDONLY | os.O_NONBLOCK)
    poll = select.epoll()
    poll.register(file, select.EPOLLIN | select.EPOLLET)
    while True:
        for _, events in poll.poll():
            assert not events & (select.EPOLLERR | select.EPOLLHUP), events
        while True:
            with client.call(errno.EAGAIN):
                text = os.read(file, 65536)
            if client.error == errno.EAGAIN:
                break
            if client.error:
                client.sums['lost'] += 1
                continue
            if text == END:
                return
            take(client, text)


def receive_drain(client, queue):
    while SHARED.goes_on(1):
        file, text = keep_open(client, queue + '/drain', os.O_RDONLY), b''
        while True:
            with client.call():
                part = os.read(file, 1 << 17)
            if client.error or not part:
                break
            text += part
        os.close(file)
        if client.error:
            client.sums['drains lost'] += 1
        for line in text.split(b'\n')[:-1]:
            take(client, line)
        time.sleep(client.random.random() * 0.05)


def lease(client, queue):
    """Takes jobs, and does them, gives them back, or sends them to the queue of the dead ones."""
    while True:
        file, text = keep_open(client, queue + '/lease', os.O_RDWR), b''
        while True:
            with client.call(waits=True):
                part = os.read(file, 100)
            if client.error or not part:
                break
            text += part
        if client.error:
            client.sums['reads of leases with EIO'] += 1
            os.close(file)
            continue
        if client.random.random() < 0.5:
            time.sleep(client.random.random() * 0.02)
        chance = client.random.random() if SHARED.goes_on() and text != END else 1
        verdict = 'again' if chance < 0.1 else 'dead ' + DEAD if chance < 0.2 else 'done'
        if 0.2 < chance < 0.4:  # the close gives it back
            verdict = None
        else:
            with client.call(errno.EAGAIN):
                os.write(file, verdict.encode())
        if verdict and client.error == errno.EIO:
            client.sums['lost'] += 1  # it may be done
        elif verdict == 'done' and text != END:
            take(client, text)
        os.close(file)
        if text == END and verdict:
            return


class Direct:
    """Direct calls on a queue."""

    def __init__(self, queue):
        self.name = queue.split('/')[-1]
        self.posix = queue.startswith('posix')
        if self.posix:
            self.queue = LIBC.mq_open(b'/' + self.name.encode(), os.O_RDWR)
        else:
            self.queue = LIBC.msgget(int(self.name, 16), 0)
        assert self.queue >= 0, (queue, ctypes.get_errno())

    def send(self, text):
        if self.posix:
            done = LIBC.mq_send(self.queue, text, ctypes.c_size_t(len(text)), 0)
        else:
            done = LIBC.msgsnd(self.queue, struct.pack('l', 1) + text, ctypes.c_size_t(len(text)), 0)
        assert done == 0, os.strerror(ctypes.get_errno())

    def receive(self):
        buffer = ctypes.create_string_buffer(65536)
        if self.posix:
            got = LIBC.mq_receive(self.queue, buffer, ctypes.c_size_t(65536), None)
            start = 0
        else:
            got = LIBC.msgrcv(self.queue, buffer, ctypes.c_size_t(65000), ctypes.c_long(0), 0)
            start = 8
        assert got >= 0, os.strerror(ctypes.get_errno())
        return buffer.raw[start:start + got]


def direct_semaphore(path):
    """Returns two functions that take the semaphore of this path, and give it back, by system calls."""
    if path.startswith('posix'):
        LIBC.sem_open.restype = ctypes.c_void_p
        semaphore = ctypes.c_void_p(LIBC.sem_open(b'/' + path.split('/')[2].encode(), 0))
        calls = [lambda: LIBC.sem_wait(semaphore), lambda: LIBC.sem_post(semaphore)]
    else:
        semaphore = LIBC.semget(int(path.split('/')[2], 16), 0, 0)
        calls = [lambda delta=delta: LIBC.semop(semaphore, struct.pack('Hhh', 0, delta, 0o10000),
                                                ctypes.c_size_t(1)) for delta in (-1, 1)]

    def checked(call):
        def run():
            assert call() == 0, os.strerror(ctypes.get_errno())
        return run
    return [checked(call) for call in calls]


def send_directly(client, queue):
    direct = Direct(queue)

    def send(text):
        client.error = 0
        direct.send(text)
        time.sleep(0.002)
    send_all(client, send)


def receive_directly(client, queue):
    direct = Direct(queue)
    while True:
        text = direct.receive()
        if text == END:
            return
        take(client, text)
        time.sleep(0.001)


def post(client, path):
    file = keep_open(client, path + 'post', os.O_WRONLY)
    while SHARED.goes_on():
        with client.call():
            os.write(file, b'\n')
        client.sums['post EIO' if client.error else 'post'] += 1
        time.sleep(client.random.random() * 0.01)


def wait(client, path):
    file = keep_open(client, path + 'wait', os.O_WRONLY)
    while SHARED.goes_on():
        with client.call(waits=True):
            os.write(file, b'\n')
        client.sums['wait EIO' if client.error else 'wait'] += 1


def hold(client, mount, path, name):
    """Holds, and looks that no more do so at once than the value allows."""
    place = HELD.index(path)
    while SHARED.goes_on():
        with client.call(waits=True):
            file = os.open(mount + path + name, os.O_WRONLY)
        if client.error:
            continue
        client.sums['holds'] += 1
        holders = SHARED.inside(place, client.index, 1)
        assert holders <= HOLDERS, holders
        with client.call():
            os.fstat(file)
        if client.random.random() < 0.3:
            time.sleep(client.random.random() * 0.05)
        SHARED.inside(place, client.index, 0)
        os.close(file)
        time.sleep(client.random.random() * 0.01)


def hold_directly(client, path):
    place, take, give = HELD.index(path), *direct_semaphore(path)
    while SHARED.goes_on():
        take()
        holders = SHARED.inside(place, client.index, 1)
        assert holders <= HOLDERS, holders
        time.sleep(client.random.random() * 0.003)
        SHARED.inside(place, client.index, 0)
        give()
        time.sleep(client.random.random() * 0.02)


def verb(client, file, text):
    """Writes a verb. After EIO nobody knows whether the client is inside, so the file is closed."""
    with client.call(waits=True):
        os.write(file, text)
    return not client.error


def produce(client, path, place):
    """Makes something in a monitor, and tells one who waits for it."""
    while SHARED.goes_on():
        with client.call(waits=True):
            file = os.open(path + 'monitor', os.O_WRONLY)
        if client.error:
            continue
        assert SHARED.inside(2 + place, client.index, 1) == 1
        SHARED.add(place, 1)
        client.sums['produced'] += 1
        # A notification that may be lost is given again.
        while not verb(client, file, b'notify made\n'):
            pass
        SHARED.inside(2 + place, client.index, 0)
        os.close(file)
        time.sleep(client.random.random() * 0.03)


def consume(client, path, place):
    """Waits in a monitor, and takes what is made. The file stays open for long: it enters and leaves."""
    file = None
    while SHARED.goes_on(1) or SHARED.add(place, 0) > 0:
        if file is None:
            with client.call(waits=True):
                file = os.open(path + 'monitor', os.O_WRONLY)
            if client.error:
                file = None
                continue
        elif not verb(client, file, b'enter\n'):
            os.close(file)
            file = None
            continue
        inside = True
        while inside and not SHARED.add(place, 0) and SHARED.goes_on(1):
            inside = verb(client, file, b'wait made\n')
        if inside:
            assert SHARED.inside(2 + place, client.index, 1) == 1
            if SHARED.add(place, 0) > 0:
                SHARED.add(place, -1)
                client.sums['consumed'] += 1
            SHARED.inside(2 + place, client.index, 0)
        if not inside or not verb(client, file, b'leave\n'):
            os.close(file)
            file = None
    if file is not None:
        os.close(file)


ACL_HEAD = struct.pack('<I', 2)


def acl(user, bits):
    entries = [(1, 6, 0xffffffff), (2, bits, user), (4, 0, 0xffffffff), (16, 7, 0xffffffff), (32, 0, 0xffffffff)]
    return ACL_HEAD + b''.join(struct.pack('<HHI', *entry) for entry in entries)


def make_and_remove(client, path):
    """
    An object of its own. After EIO it may be there or not, and so where the daemon gives up a directory that is locked
    too long. The kernel counts the queues of a user in all suites that run, so there may be no space for another one.
    """
    with client.call(errno.ENOSPC, errno.EINPROGRESS):
        os.mkdir(path)
    unsure = client.error
    with client.call(*([errno.ENOENT] if unsure else [])):
        os.stat(path)
    while True:
        with client.call(errno.EINPROGRESS, *([errno.ENOENT] if unsure else [])):
            os.rmdir(path)
        if client.error not in (errno.EIO, errno.EINPROGRESS):
            return
        unsure = True


def look(client, mount):
    """Names, attributes, lists, texts."""
    status = {}
    lists = [mount + '/posix/mq', mount + '/sysv/msg', mount + '/' + QUEUES[0]]
    own = mount + '/posix/mq/look%d' % client.index
    while SHARED.goes_on():
        queue = mount + '/' + client.random.choice(QUEUES)
        with client.call():
            os.stat(queue + '/lines')
        with client.call():
            names = os.listdir(client.random.choice(lists))
        assert client.error or len(names) >= 2, names
        with client.call():
            os.chmod(queue, client.random.choice((0o600, 0o640, 0o666)))
        with client.call():
            os.setxattr(queue, 'system.posix_acl_access', acl(1234, client.random.choice((4, 6))))
        with client.call():
            os.removexattr(queue, 'system.posix_acl_access')
        # One open file for several deaths; two reads for one text.
        if queue not in status:
            status[queue] = keep_open(client, queue + '/status', os.O_RDONLY)
        with client.call():
            text = os.pread(status[queue], 30, 0)
            text += os.pread(status[queue], 65536, 30)
        assert client.error or b'\nmode=' in text, text
        make_and_remove(client, own)
        with client.call(errno.ESTALE), open(mount + '/objects', encoding='utf-8') as file:
            for line in file:
                json.loads(line)


def worker_of(supervisor):
    with open('/proc/%d/task/%d/children' % (supervisor, supervisor), encoding='ascii') as file:
        for pid in file.read().split():
            with contextlib.suppress(OSError), open('/proc/%s/comm' % pid, encoding='ascii') as name:
                if name.read() == 'ipcfs-worker\n':
                    return int(pid)
    return 0


def kill(client, mount, supervisor):
    """Kills workers, now and then one that has not begun to serve. But three that were not ready cost all files."""
    early, deaths = False, []
    while SHARED.goes_on():
        if len(deaths) >= DEATHS and time.monotonic() - deaths[-DEATHS] < 10:
            time.sleep(0.05)
            continue
        early = not early and client.random.random() < 0.1
        if not early:
            with client.call():
                os.statvfs(mount)
        # It has answered a moment before it counts as one that has served.
        time.sleep(client.random.random() * 0.02 if early else 0.02 + client.random.random() ** 3 * 0.6)
        worker = worker_of(supervisor)
        if worker:
            os.kill(worker, signal.SIGKILL)
            client.sums['kills'] += 1
            deaths.append(time.monotonic())
        while worker and worker_of(supervisor) in (0, worker):
            time.sleep(0.002)


def upgrade(client, mount, _):
    while SHARED.goes_on():
        time.sleep(0.1 + client.random.random() * 0.6)
        done = subprocess.run([UPGRADE, '--upgrade', mount], check=False, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, encoding='utf-8')
        # on a busy machine the program may not come to run for five seconds
        assert done.returncode == 0 or 'it did not answer in time' in done.stderr, done.stderr
        client.sums['kills'] += done.returncode == 0


def watch():
    """Fails if a call does not end."""
    for client in Client.all:
        noted = SHARED.noted(client.index)
        if noted and time.monotonic() - noted > HANG:
            hangs(client)


def hangs(client):
    for one in Client.all:
        if one.fault:
            print('%s: %s' % (one.name, one.fault))
    print('%s (process %d) hangs:' % (client.name, client.pid))
    for name in ('stack', 'syscall', 'wchan'):
        with contextlib.suppress(OSError), open('/proc/%d/%s' % (client.pid, name), encoding='ascii') as file:
            print(file.read())
    for _, supervisor in MOUNTS:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(['gdb', '-p', str(worker_of(supervisor)), '-batch', '-ex', 'thread apply all backtrace'],
                           timeout=60, check=False)
    finish(1)


def finish(status):
    for client in Client.all:
        with contextlib.suppress(OSError):
            os.kill(client.pid, signal.SIGKILL)
    sys.stdout.flush()
    os._exit(status)


def ended(clients, what):
    """Waits until they have ended, and reads their reports."""
    poll, left = select.poll(), {client.report: client for client in clients}
    for report in left:
        poll.register(report, select.POLLIN)
    limit = time.monotonic() + 2 * HANG
    while left:
        for report, _ in poll.poll(1000):
            poll.unregister(report)
            left.pop(report).collect()
        if left and time.monotonic() > limit:
            print('not ended:', what, [client.name for client in left.values()])
            hangs(next(iter(left.values())))


def make(path):
    """There may be no space for a queue as long as another suite has too many."""
    deadline = time.monotonic() + HANG
    while True:
        try:
            return os.mkdir(path)
        except OSError as error:
            if error.errno != errno.ENOSPC or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def main():
    first = MOUNTS[0][0]
    for path in QUEUES + DRAINED + LEASED + (DEAD, 'posix/sem/' + NAME, 'sysv/sem/0x%08x' % KEY):
        make(first + '/' + path)
    for path in HELD + MONITORS:
        make(first + '/' + '/'.join(path.split('/')[:3]))
        with open(first + '/' + path + 'value', 'w', encoding='ascii') as file:
            file.write(str(HOLDERS if path in HELD else 1))
    receivers, senders, drains, others = {queue: [] for queue in QUEUES + LEASED}, [], [], []

    def any_mount():
        return chance.choice(MOUNTS)[0] + '/'
    chance = random.Random(SEED + 1)
    for queue in QUEUES:
        for name in ('/msg', '/packets', '/lines'):
            receivers[queue].append(Client('receive by path ' + queue + name, receive_by_path,
                                           any_mount() + queue, name))
        receivers[queue] += [
            Client('receive parts ' + queue, receive_by_descriptor, any_mount() + queue, 50),
            Client('receive lines ' + queue, receive_by_descriptor, any_mount() + queue, 4096),
            Client('receive edges ' + queue, receive_edges, any_mount() + queue),
            Client('receive directly ' + queue, receive_directly, queue)]
        for name in ('/msg', '/lines'):
            senders.append(Client('send by path ' + queue + name, send_by_path, any_mount() + queue, name))
        senders += [
            Client('send lines ' + queue, send_by_descriptor, any_mount() + queue, '/lines', False),
            Client('send halves ' + queue, send_by_descriptor, any_mount() + queue, '/lines', True),
            Client('send packets ' + queue, send_by_descriptor, any_mount() + queue, '/packets', False),
            Client('send without waiting ' + queue, send_packed, any_mount() + queue),
            Client('send directly ' + queue, send_directly, queue)]
    for queue in DRAINED:
        senders.append(Client('send to be drained ' + queue, send_by_descriptor, any_mount() + queue, '/lines', True))
        drains.append(Client('drain ' + queue, receive_drain, any_mount() + queue))
    for queue in LEASED:
        for name, halves in (('/lines', False), ('/packets', False)):
            senders.append(Client('send jobs ' + queue + name, send_by_descriptor, any_mount() + queue, name, halves))
        for _ in range(4):
            receivers[queue].append(Client('lease ' + queue, lease, any_mount() + queue))
    dead = Client('drain ' + DEAD, receive_drain, any_mount() + DEAD)
    for path in SEMAPHORES:
        for do in (post, wait) * 2:
            others.append(Client(do.__name__ + ' ' + path, do, any_mount() + path))
    for path in HELD:
        for name in ('hold', 'hold', 'hold', 'monitor'):
            others.append(Client('%s %s' % (name, path), hold, any_mount(), path, name))
        others.append(Client('hold directly ' + path, hold_directly, path))
    for place, (path, (mount, _)) in enumerate(zip(MONITORS, MOUNTS)):
        for _ in range(2):
            others.append(Client('produce ' + path, produce, mount + '/' + path, place))
        for _ in range(3):
            drains.append(Client('consume ' + path, consume, mount + '/' + path, place))
    for mount, _ in MOUNTS[:2]:
        others.append(Client('look ' + mount, look, mount))
    killers = [Client('kill ' + mount, upgrade if UPGRADE else kill, mount, supervisor) for mount, supervisor in MOUNTS]
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(0.1)
        watch()
    SHARED.end()
    ended(killers, 'killers')
    kills = sum(one.sums.get('kills', 0) for one in killers)
    # A post may have been lost; a waiter waits for it.
    spare = 4
    for path in SEMAPHORES:
        with open(first + '/' + path + 'post', 'w', encoding='ascii') as file:
            file.write(str(spare))
    ended(senders, 'senders')
    ended(others, 'others')
    for queue, clients in receivers.items():
        direct = Direct(queue)
        for _ in clients:
            direct.send(END)
        ended(clients, 'receivers of ' + queue)
    SHARED.end(1)
    wake_consumers()
    ended(drains + [dead], 'drains')
    judge(kills, senders, receivers, drains, dead, others, spare)


def wake_consumers():
    """Tells all who wait in monitors that nothing more is made."""
    for path, (mount, _) in zip(MONITORS, MOUNTS):
        with open(mount + '/' + path + 'monitor', 'w', encoding='ascii') as file:
            file.write('broadcast made\n')


def check_order(client, again, problems):
    """Messages of one sender come in order to one receiver, but for those that came again."""
    last = {}
    for sender, number, *_ in client.got:
        if (sender, number) in again:
            continue
        if number <= last.get(sender, -1):
            problems.append('%s: %d.%d behind %d.%d' % (client.name, sender, number, sender, last[sender]))
        last[sender] = number


def check_messages(senders, receivers, lost, what, problems, spared, ordered=True):
    sure = {(one.index, number) for one in senders for number in one.sent}
    maybe = {(one.index, number) for one in senders for number in one.maybe}
    indexes = {one.index for one in senders}
    got = collections.Counter()
    for one in receivers:
        again = []
        for sender, number, *cut in one.got:
            got[sender, number] += 1
            if got[sender, number] > 1:
                again.append((sender, number))
            if cut and (sender, number) in sure:
                problems.append('%s: %d.%d is not whole' % (one.name, sender, number))
        if ordered:
            check_order(one, again, problems)
    doubled = [one for one in got if got[one] > 1]
    if len(doubled) <= spared:
        doubled = []
    unknown = [one for one in got if one not in sure and one not in maybe]
    missing = [one for one in sure if not got[one]]
    print('%s: %d sent, %d may be, %d got, %d missing, %d lost by EIO' %
          (what, len(sure), len(maybe), sum(got.values()), len(missing), lost))
    assert all(sender in indexes for sender, _ in got), got
    problems += ['%s: doubled %s' % (what, one) for one in doubled if one in sure]
    problems += ['%s: never sent %s' % (what, one) for one in unknown]
    for one in doubled:
        if one not in sure:
            print('%s: %s got EIO, and came twice' % (what, one))
    if len(missing) > lost + spared:
        problems.append('%s: %d missing: %s' % (what, len(missing), sorted(missing)[:20]))


def value_of(path):
    with open(MOUNTS[0][0] + '/' + path + 'value', encoding='ascii') as file:
        return int(file.read())


def check_semaphore(path, clients, spare, problems):
    sums = collections.Counter()
    for one in clients:
        sums.update(one.sums)
    value = value_of(path)
    low = 1 + spare + sums['post'] - sums['wait'] - sums['wait EIO']
    high = 1 + spare + sums['post'] + sums['post EIO'] - sums['wait']
    print('%s: %s value %d, of %d to %d' % (path, dict(sums), value, low, high))
    if not low <= value <= high:
        problems.append('%s: %d is not in %d to %d' % (path, value, low, high))


def drain_rest(queue, client):
    """Counts what is left in a queue as the client's."""
    with open(MOUNTS[0][0] + '/' + queue + '/drain', 'rb') as file:
        client.got += [id_of(line) for line in file if line.strip() != END]


def check_holds(clients, problems):
    """What was held is given back, and what was made was taken."""
    deadline = time.monotonic() + HANG
    for path in HELD + MONITORS:
        right = HOLDERS if path in HELD else 1
        while value_of(path) != right and time.monotonic() < deadline:
            time.sleep(0.1)
        sums = collections.Counter()
        for one in clients:
            if one.name.endswith(path):
                sums.update(one.sums)
        print('%s: %s, value %d' % (path, dict(sums), value_of(path)))
        if value_of(path) != right:
            problems.append('%s: %d is not %d' % (path, value_of(path), right))
        if sums['produced'] != sums['consumed']:
            problems.append('%s: not all was consumed' % path)


def judge(kills, senders, receivers, drains, dead, others, spare):
    consumers = [one for one in drains if one.name.startswith('consume')]
    problems, spared = [], 0 if UPGRADE else kills // 50
    drain_rest(DEAD, dead)
    for queue in LEASED:
        drain_rest(queue, receivers[queue][0])
        jobs = [one for one in senders if queue in one.name]
        indexes = [one.index for one in jobs]
        done = copy.copy(dead)
        done.got = [one for one in dead.got if one[0] in indexes]
        check_messages(jobs, receivers[queue] + [done], sum(one.sums.get('lost', 0) for one in receivers[queue]),
                       queue, problems, spared, ordered=False)
        with open(MOUNTS[0][0] + '/' + queue + '/status', encoding='ascii') as file:
            if 'leased=0\n' not in file.read():
                problems.append('%s: a lease is left' % queue)
    for queue, clients in receivers.items():
        if queue in LEASED:
            continue
        check_messages([one for one in senders if queue in one.name], clients,
                       sum(one.sums.get('lost', 0) for one in clients), queue, problems, spared)
    for queue, one in zip(DRAINED, [one for one in drains if one not in consumers]):
        with open(MOUNTS[0][0] + '/' + queue + '/drain', 'rb') as file:
            one.got += [id_of(line) for line in file]
        check_messages([one for one in senders if one.name.endswith(queue)], [one],
                       1000 * one.sums.get('drains lost', 0), queue, problems, spared)
    for path in SEMAPHORES:
        check_semaphore(path, [one for one in others if one.name.endswith(path)], spare, problems)
    check_holds(others + consumers, problems)
    errors, slowest = collections.Counter(), max(Client.all, key=lambda one: one.slowest)
    for one in Client.all:
        errors.update(one.errors)
        if one.fault:
            problems.append('%s: %s' % (one.name, one.fault))
    print('%d kills, %d calls, errors %s, the slowest call %.2f s (%s)' %
          (kills, sum(one.calls for one in Client.all), dict(errors), slowest.slowest, slowest.name))
    for one in problems:
        print('PROBLEM', one)
    finish(bool(problems))


main()
