# SPDX-License-Identifier: MIT
"""The part `events` of tests/bench/run: what a reader of the file events costs."""
import ctypes
import json
import os
import statistics
import threading
import time

LIBC = ctypes.CDLL(None)
OBJECTS = 10000
KEY = 0x10000


class Reader:
    """Reads events in a thread of its own, and keeps how many there were, and of which names."""

    def __init__(self, mount):
        self.file = os.open(f'{mount.path}/events', os.O_RDONLY)
        self.count, self.lost, self.times = 0, 0, {}
        self.synced = threading.Event()
        self.ended = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        self.synced.wait()

    def run(self):
        while not self.ended:
            lines = os.read(self.file, 1 << 20).splitlines()
            now = time.monotonic()
            for event in map(json.loads, lines):
                if event['event'] == 'sync':
                    self.synced.set()
                elif event['event'] != 'present':
                    self.count += 1
                    self.lost += event.get('lost', 0)
                    self.times.setdefault(event.get('name'), now)

    def wait_for(self, name):
        while name not in self.times:
            time.sleep(0.001)
        return self.times[name]

    def end(self, mount):
        """The reader sees one event more, and closes."""
        self.ended = True
        os.mkdir(f'{mount.path}/posix/sem/last')
        self.thread.join()
        os.close(self.file)
        os.rmdir(f'{mount.path}/posix/sem/last')


def cpu(mount):
    """Seconds of the daemon on a processor, by its clock (clock_getcpuclockid(3))."""
    return time.clock_gettime(~mount.process.pid << 3 | 2)


def lives(mount, count):
    """Makes and removes a queue so often, through the mount. Returns the microseconds of one life."""
    path = f'{mount.path}/sysv/msg/0x00007777'
    start = time.monotonic()
    for _ in range(count):
        os.mkdir(path)
        os.rmdir(path)
    return (time.monotonic() - start) / count * 1e6


def cost_of_acts(bench, mount):
    count = 200 if bench.quick else 1000
    alone, told = [], []
    for _ in range(5 if bench.quick else 15):
        alone.append(lives(mount, count))
        reader = Reader(mount)
        told.append(lives(mount, count))
        reader.end(mount)
    ratio = statistics.median(with_reader / without for with_reader, without in zip(told, alone))
    bench.table.row('a queue made and removed, events are read, us', statistics.median(told), None,
                    statistics.median(alone), ratio)


def cost_of_direct_acts(bench, mount):
    count = 500 if bench.quick else 2000
    reader = Reader(mount)
    before = cpu(mount)
    for i in range(count):
        os.close(LIBC.mq_open(b'/bench', os.O_CREAT | os.O_RDWR, 0o600, None))
        LIBC.mq_unlink(b'/bench')
        if i % 100 == 99:
            time.sleep(0.05)
    os.close(LIBC.mq_open(b'/end', os.O_CREAT | os.O_RDWR, 0o600, None))
    reader.wait_for('end')
    used = cpu(mount) - before
    bench.table.row('an event of a direct caller, daemon CPU, us', used / (2 * count) * 1e6)
    if reader.lost:
        bench.table.note(f'{reader.lost} events were lost')
    LIBC.mq_unlink(b'/end')
    reader.end(mount)


def delay(reader, count):
    """Milliseconds until a direct caller's queue is told of."""
    delays = []
    for i in range(count):
        start = time.monotonic()
        queue = LIBC.msgget(0x5000 + i, 0o1600)
        delays.append((reader.wait_for(f'0x{0x5000 + i:08x}') - start) * 1000)
        LIBC.msgctl(queue, 0, None)
        reader.times.clear()
    return statistics.median(delays)


def looks(bench, mount):
    count = 5 if bench.quick else 20
    for objects in (0, OBJECTS):
        queues = [LIBC.msgget(KEY + i, 0o1600) for i in range(objects)]
        reader = Reader(mount)
        before, start = cpu(mount), time.monotonic()
        time.sleep(3)
        share = (cpu(mount) - before) / (time.monotonic() - start) * 100
        bench.table.row(f'looks at {objects:,} queues, CPU, %', share, limit=20)
        bench.table.row(f'a direct caller\'s queue is told of, {objects:,} others, ms', delay(reader, count))
        reader.end(mount)
        for queue in queues:
            LIBC.msgctl(queue, 0, None)


def run(bench):
    mount = bench.mount(options='allow_other,max_bytes=0')
    cost_of_acts(bench, mount)
    cost_of_direct_acts(bench, mount)
    looks(bench, mount)
    mount.end()
