#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""events.py storm MOUNT HOW COUNT | events.py mixed MOUNT COUNT | events.py late|small|ready|watch|names MOUNT

storm makes, changes and removes COUNT queues, segments or semaphores, and asserts that events tells of
each, in order, or how many it does not tell. HOW is `mount`, `sysv` (msgget and so on), `shm` or `mq`
(direct callers). With `sysv` it waits between the steps until it reads what it has done: what is undone
between two looks is not seen. mixed has two threads make and remove one queue, one of them through the
mount, and asserts that the events are those that have happened, and in a possible order. late does not read while more happens than is kept, and asserts that the rest is counted. small
reads with buffers of each size. ready asserts what poll and epoll say. watch asserts that inotify on
the mount (-o inotify) tells what direct callers make and remove, and makes nothing else different. names
prints what inotify tells of posix/mq.
"""
import collections
import ctypes
import json
import os
import select
import struct
import sys
import threading

LIBC = ctypes.CDLL(None, use_errno=True)
IPC_CREAT, IPC_RMID, IPC_SET, IPC_STAT = 0o1000, 0, 1, 2


class Events:
    """An open file: the objects that are there, and what happens."""

    def __init__(self, mount, flags=0):
        self.file = os.open(mount + '/events', os.O_RDONLY | flags)
        self.waiting = []
        self.seq = 0
        self.lost = 0

    def read(self):
        """The next records. Their numbers rise without a gap, but for those that are lost."""
        data = os.read(self.file, 1 << 20)
        assert data.endswith(b'\n'), data
        records = [json.loads(line) for line in data.splitlines()]
        for record in records:
            if record['event'] in ('present', 'sync'):
                self.seq = record['seq']
                continue
            assert record['seq'] >= self.seq, (record, self.seq)
            self.seq = record['seq'] + record.get('lost', 1)
            self.lost += record.get('lost', 0)
        return records

    def sync(self):
        """Reads the objects that are there."""
        present = []
        while True:
            for record in self.read():
                if record['event'] == 'sync':
                    return present
                present.append(record)

    def until(self, event, count):
        """Reads until there were so many events of this kind, and returns all."""
        found = []
        while sum(record['event'] == event for record in found) < count:
            found += self.read()
        return found

    def until_last(self):
        """Has a direct caller make and remove a queue, and returns what comes before."""
        queue = Queue(None, -1)
        queue.make()
        queue.remove()
        found = []
        while not found or found[-1].get('name') != 'storm--1':
            found += self.read()
        return [record for record in found if record.get('name') != 'storm--1']


def checked(result):
    assert result >= 0, os.strerror(ctypes.get_errno())
    return result


class ThroughMount:
    """Directories of the mount."""
    by, cls = 'mount', 'sysv/msg'

    def __init__(self, mount, number):
        self.path = '%s/sysv/msg/0x%08x' % (mount, 0x10000 + number)

    def make(self):
        os.mkdir(self.path)

    def change(self):
        os.chmod(self.path, 0o640)

    def remove(self):
        os.rmdir(self.path)


class SystemV:
    """msgget(2) and msgctl(2)."""
    by, cls = 'direct', 'sysv/msg'

    def __init__(self, mount, number):
        self.key = 0x10000 + number

    def make(self):
        self.id = checked(LIBC.msgget(self.key, IPC_CREAT | 0o600))

    def change(self):
        buffer = ctypes.create_string_buffer(256)
        checked(LIBC.msgctl(self.id, IPC_STAT, buffer))
        mode = ctypes.c_ushort.from_buffer(buffer, 20)  # msg_perm.mode of x86 and others with 64 bits
        assert mode.value & 0o777 == 0o600, oct(mode.value)
        mode.value = 0o640
        checked(LIBC.msgctl(self.id, IPC_SET, buffer))

    def remove(self):
        checked(LIBC.msgctl(self.id, IPC_RMID, None))


class Segment:
    """What shm_open(3) and shm_unlink(3) do."""
    by, cls = 'direct', 'posix/shm'

    def __init__(self, mount, number):
        self.path = '/dev/shm/storm-%d' % number

    def make(self):
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))

    def change(self):
        os.chmod(self.path, 0o640)

    def remove(self):
        os.unlink(self.path)


class Queue:
    """mq_open(3) and mq_unlink(3)."""
    by, cls = 'direct', 'posix/mq'

    def __init__(self, mount, number):
        self.name = b'/storm-%d' % number

    def make(self):
        self.file = checked(LIBC.mq_open(self.name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600, None))

    def change(self):
        os.fchmod(self.file, 0o640)

    def remove(self):
        os.close(self.file)
        checked(LIBC.mq_unlink(self.name))


def storm(mount, how, count):
    kind = {'mount': ThroughMount, 'sysv': SystemV, 'shm': Segment, 'mq': Queue}[how]
    events = Events(mount)
    assert events.sync() == []
    objects = [kind(mount, number) for number in range(count)]
    found = []
    if kind is SystemV:
        for act, event in (('make', 'created'), ('change', 'changed'), ('remove', 'removed')):
            for item in objects:
                getattr(item, act)()
            found += events.until(event, count - events.lost)
    else:
        for item in objects:
            item.make()
            item.change()
            item.remove()
        found = events.until_last()
    told = collections.defaultdict(list)
    for record in found:
        if record['event'] == 'lost':
            continue
        assert record['class'] == kind.cls and record['by'] == kind.by, record
        assert (kind.by == 'mount') == (record.get('pid') == os.getpid()), record
        told[record['name']].append(record['event'])
    whole = ['created', 'changed', 'removed']
    complete = sum(steps == whole for steps in told.values())
    missing = 3 * count - sum(len(steps) for steps in told.values())
    assert missing == events.lost, (missing, events.lost)
    assert events.lost or complete == count, (complete, count)
    for steps in told.values():
        assert [step for step in whole if step in steps] == steps, steps
    print('all' if not events.lost else 'lost %d' % events.lost)


def attempts(act, count, made):
    """Does it so often. It fails where the other thread was faster."""
    for _ in range(count):
        try:
            act()
            made.append(act)
        except FileNotFoundError as error:
            # mkdir: the queue was made, and removed before the daemon could look at it
            made.extend([act] if 'mkdir' in str(error) else [])
        except FileExistsError:
            pass


def mixed(mount, count):
    events = Events(mount)
    events.sync()
    path = mount + '/posix/mq/both'
    made = []

    def through_mount():
        try:
            os.mkdir(path)
        except FileNotFoundError as error:
            raise FileNotFoundError('mkdir') from error

    def direct():
        os.stat(mount + '/posix')  # as slow as the other one
        number = LIBC.mq_open(b'/both', os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600, None)
        if number < 0:
            raise OSError(ctypes.get_errno(), 'mq_open')
        os.close(number)

    def direct_unlink():
        os.stat(mount + '/posix')
        if LIBC.mq_unlink(b'/both'):
            raise OSError(ctypes.get_errno(), 'mq_unlink')

    acts = [through_mount, lambda: os.rmdir(path), direct, direct_unlink]
    threads = [threading.Thread(target=attempts, args=(act, count, made)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = events.until_last()
    steps = [record['event'] for record in found if record['event'] != 'lost']
    assert len(steps) + events.lost == len(made), (len(steps), events.lost, len(made))
    if not events.lost:
        assert steps == (['created', 'removed'] * len(steps))[:len(steps)], steps
    print('%d acts, %d lost' % (len(made), events.lost))


def late(mount):
    events = Events(mount)
    events.sync()
    for number in range(1000):
        item = ThroughMount(mount, number)
        item.make()
        item.remove()
    found = events.until('removed', 500)
    assert found[0]['event'] == 'lost' and found[0]['lost'] == events.lost > 0, found[0]
    assert len(found) - 1 + events.lost == 2000, (len(found), events.lost)


def small(mount):
    os.mkdir(mount + '/posix/mq/queue')
    with open(mount + '/events', 'rb', buffering=0) as file:
        try:
            file.read(20)
            assert False, 'a record that does not fit was read'
        except OSError as error:
            assert error.errno == 22, error
        first = file.read(150)
        second = file.read(150)
    assert json.loads(first)['name'] == 'queue', first
    assert json.loads(second)['event'] == 'sync', second
    os.rmdir(mount + '/posix/mq/queue')


def ready(mount):
    events = Events(mount, os.O_NONBLOCK)
    poll = select.poll()
    poll.register(events.file, select.POLLIN)
    assert poll.poll(5000)
    edge = select.epoll()
    edge.register(events.file, select.EPOLLIN | select.EPOLLET)
    assert edge.poll(5)
    assert [record['event'] for record in events.read()] == ['sync']
    try:
        events.read()
        assert False, 'there was something to read'
    except BlockingIOError:
        pass
    assert not poll.poll(0)
    for wait in (lambda: poll.poll(10000), lambda: edge.poll(10)):
        item = ThroughMount(mount, 1)
        thread = threading.Timer(0.1, item.make)
        thread.start()
        assert wait()
        thread.join()
        item.remove()
        found = events.until('removed', 1)
        assert [record['event'] for record in found] == ['created', 'removed'], found
        try:
            events.read()
        except BlockingIOError:
            pass


class Watch:
    """inotify(7) on directories of the mount."""
    KINDS = {0x40000100: 'created', 0x40000200: 'removed'}  # IN_CREATE, IN_DELETE; IN_ISDIR

    def __init__(self, mount, *classes):
        self.file = checked(LIBC.inotify_init1(0))
        self.classes = {checked(LIBC.inotify_add_watch(self.file, os.fsencode(mount + '/' + name), 0xfc6)): name
                        for name in classes}

    def read(self, count):
        """The next events, of which a read gives several."""
        found = []
        while len(found) < count:
            data = os.read(self.file, 1 << 16)
            while data:
                number, mask, _, size = struct.unpack_from('iIII', data)
                name = data[16:16 + size].rstrip(b'\0').decode()
                found.append((self.KINDS.get(mask, hex(mask)), self.classes[number], name))
                data = data[16 + size:]
        return found


def watch(mount):
    told = Watch(mount, 'posix/mq', 'posix/shm', 'sysv/msg')
    for item in (Queue(mount, 1), Segment(mount, 1), SystemV(mount, 1)):
        name = '0x00010001' if item.cls == 'sysv/msg' else 'storm-1'
        path = '%s/%s/%s' % (mount, item.cls, name)
        item.make()
        before = os.stat(path).st_ino
        os.chdir(path)  # the kernel has the directory before it is told of
        assert told.read(1) == [('created', item.cls, name)]
        assert os.getcwd() == path
        assert os.stat(path).st_ino == before and 'status' in os.listdir(path)
        os.chdir('/')
        item.remove()
        assert told.read(1) == [('removed', item.cls, name)]
        assert not os.path.exists(path)
    # gone before it is told of, and there again
    queue = Queue(mount, 2)
    for _ in range(100):
        queue.make()
        queue.remove()
    queue.make()
    steps = [step for step, _, _ in told.read(201)]
    assert steps == ['created', 'removed'] * 100 + ['created'], steps
    with open(mount + '/posix/mq/storm-2/msg', 'w') as file:
        file.write('x')
    queue.remove()
    assert told.read(1) == [('removed', 'posix/mq', 'storm-2')]
    # through the mount: once
    item = ThroughMount(mount, 3)
    item.make()
    item.remove()
    queue = Queue(mount, 4)
    queue.make()
    queue.remove()
    found = told.read(4)
    assert found == [('created', 'sysv/msg', '0x00010003'), ('removed', 'sysv/msg', '0x00010003'),
                     ('created', 'posix/mq', 'storm-4'), ('removed', 'posix/mq', 'storm-4')], found


def names(mount):
    told = Watch(mount, 'posix/mq')
    print('watches', flush=True)
    while True:
        for event in told.read(1):
            print(*event, flush=True)


if sys.argv[1] == 'storm':
    storm(sys.argv[2], sys.argv[3], int(sys.argv[4]))
elif sys.argv[1] == 'mixed':
    mixed(sys.argv[2], int(sys.argv[3]))
else:
    {'late': late, 'small': small, 'ready': ready, 'watch': watch, 'names': names}[sys.argv[1]](sys.argv[2])
