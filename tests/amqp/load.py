# SPDX-License-Identifier: MIT
"""Writers and readers of a mount's queues that work all the time, each a process of its own.

A message is HOST.KIND-NUMBER; a writer writes the next one when the last one is stored. What a
writer knows is in memory that it shares with the test. A reader has the kernel put each message
into a file of its own: so the message is there even if the reader is killed before its system call
returns. One that takes leases notes there how far it came with each.
"""
import collections
import ctypes
import errno
import mmap
import os
import re
import signal
import time

SLOT = 64        # bytes for a message of a reader's file
SLOTS = 1 << 16  # for so many messages of a reader
PAUSE = 0.1      # seconds between two messages of a writer
BATCH = 5        # messages of one write
LEASES = 2       # readers of a host that take leases

# What a slot's last byte says about a lease. One whose verdict was not answered may be done or not.
TAKEN, TOLD, DONE, LOST = range(4)


class Record(ctypes.Structure):
    """What a worker tells. `count`: messages that it has written or read."""
    _fields_ = [('count', ctypes.c_uint64), ('longest', ctypes.c_double), ('error', ctypes.c_int)]


class Worker:
    """A process that does work(*arguments) with a queue."""

    def __init__(self, name, queue, *arguments):
        self.name, self.queue = name, queue
        self.record = Record.from_buffer(mmap.mmap(-1, ctypes.sizeof(Record)))
        self.pid = os.fork()
        if self.pid:
            return
        try:
            self.work(*arguments)
        except OSError as error:
            self.record.error = error.errno
        finally:
            os._exit(0)

    def work(self, *arguments):
        raise NotImplementedError

    def kill(self):
        """Ends it, if it has not ended, and returns its error."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self.pid = 0
        return self.record.error

    def ended(self):
        if self.pid and os.waitpid(self.pid, os.WNOHANG)[0]:
            self.pid = 0
        return not self.pid


class Writer(Worker):
    def __init__(self, name, queue, stop, write, each=1):
        self.each = each
        super().__init__(name, queue, stop, write)

    def work(self, stop, write):
        while not stop.value:
            texts = [self.text(self.record.count + i) for i in range(self.each)]
            begin = time.monotonic()
            self.record.count += write(texts)
            self.record.longest = max(self.record.longest, time.monotonic() - begin)
            time.sleep(PAUSE)

    def text(self, number):
        return '%s-%d' % (self.name, number)

    def texts(self, more=0):
        return set(map(self.text, range(self.record.count + more)))


def by_lines(path):
    """Returns what writes lines with one write(2), and returns how many of them are stored."""
    file = None

    def write(texts):
        nonlocal file
        if file is None:  # in the writer's process
            file = os.open(path + '/lines', os.O_WRONLY | os.O_CLOEXEC)
        data = ''.join(text + '\n' for text in texts).encode()
        return data[:os.write(file, data)].count(b'\n')
    return write


def by_msg(path):
    """Returns what stores a message when it closes the file."""
    def write(texts):
        file = os.open(path + '/msg', os.O_WRONLY | os.O_CLOEXEC)
        os.write(file, texts[0].encode())
        os.close(file)
        return 1
    return write


class Reader(Worker):
    HOW = os.O_RDONLY

    def __init__(self, name, queue, path, reopen=False):
        self.arguments = name, queue, path, reopen
        self.log = os.memfd_create(name)
        os.ftruncate(self.log, SLOT * SLOTS)
        super().__init__(name, queue, path, reopen)

    def again(self):
        """Starts another one."""
        return type(self)(*self.arguments)

    def work(self, path, reopen):
        log, file = memoryview(mmap.mmap(self.log, SLOT * SLOTS)), -1
        while self.record.count < SLOTS:
            if file < 0:
                file = os.open(path, self.HOW | os.O_CLOEXEC)
            self.take(file, log[self.record.count * SLOT:][:SLOT])
            self.record.count += 1
            if reopen:
                os.close(file)
                file = -1
        raise OSError(errno.ENOSPC, 'its file is full')

    def take(self, file, slot):
        if os.readv(file, [slot]) <= 0:
            raise OSError(errno.ENODATA, 'an end of file')

    def slots(self):
        """Returns the slots that have a message, the last one even if it is not counted."""
        data = os.pread(self.log, SLOT * (self.record.count + 1), 0)
        slots = (data[at:at + SLOT] for at in range(0, len(data), SLOT))
        return [slot for slot in slots if slot[0]]

    def got(self):
        """Returns the messages that it got, each with whether it knows of a copy."""
        return [(slot.strip(b'\0\n').decode(), False) for slot in self.slots()]

    def unsure(self):
        """Returns the messages of which it does not know whether they come again."""
        return []

    def leases(self):
        """Returns whether it has a lease."""
        return False


class Leaser(Reader):
    """Takes each message by a lease, and says `done` some time later."""
    HOW = os.O_RDWR

    def take(self, file, slot):
        super().take(file, slot[:-2])
        assert os.read(file, SLOT) == b''
        slot[-2] = b'redelivered=yes' in os.read(file, 64 * SLOT).splitlines()
        time.sleep(PAUSE)
        slot[-1] = TOLD
        try:
            os.write(file, b'done\n')
            slot[-1] = DONE
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            slot[-1] = LOST

    def of_state(self, state):
        return [(slot[:-2].strip(b'\0').decode(), bool(slot[-2])) for slot in self.slots()
                if slot[-1] == state]

    def got(self):
        return self.of_state(DONE)

    def unsure(self):
        return [text for text, _ in self.of_state(TOLD)]

    def leases(self):
        return bool(self.of_state(TAKEN))


class Load:
    """The workers of a host. `queues`: one of any order, one that keeps it, one for leases."""

    def __init__(self, host, mount, queues):
        self.stop = ctypes.c_uint8.from_buffer(mmap.mmap(-1, 1))
        self.expected, self.over = {0}, False
        any_order, one_order, leased = queues
        self.writers = [Writer(host + '.' + name, queue, self.stop, way(mount.queue(queue)), each)
                        for name, queue, way, each in (
                            ('line', any_order, by_lines, 1), ('batch', any_order, by_lines, BATCH),
                            ('msg', any_order, by_msg, 1), ('plain', one_order, by_lines, 1),
                            ('job', leased, by_lines, 1))]
        # Two readers could not tell the order.
        self.orderly = [Reader('plain', one_order, mount.queue(one_order) + '/packets')
                        for _ in range(host != 'a')]
        self.readers = [Reader('packets', any_order, mount.queue(any_order) + '/packets'),
                        Reader('lines', any_order, mount.queue(any_order) + '/lines', True)]
        self.readers += [Leaser('lease', leased, mount.queue(leased) + '/lease', True)
                         for _ in range(LEASES)]
        self.killed = []

    def kill_reader(self, random):
        """Kills a reader of any order, and starts another one like it."""
        place = random.randrange(len(self.readers))
        reader = self.readers[place]
        assert reader.kill() in self.expected, (reader.name, os.strerror(reader.record.error))
        self.killed.append(reader)
        self.readers[place] = reader.again()

    def check(self):
        """Asserts that nobody has ended that was not told to."""
        for worker in [] if self.over else self.writers + self.readers + self.orderly:
            stopped = self.stop.value and worker in self.writers
            if worker.ended() and not stopped:
                assert worker.record.error and worker.record.error in self.expected, \
                    (worker.name, os.strerror(worker.record.error))

    def stop_writers(self, limit):
        self.stop.value = 1
        end = time.monotonic() + limit
        while not all(writer.ended() for writer in self.writers):
            assert time.monotonic() < end, 'a writer waits for ever'
            time.sleep(0.05)
        for writer in self.writers:
            assert writer.record.error in self.expected, \
                (writer.name, os.strerror(writer.record.error))

    def expect_end(self):
        """From now on the mount may be gone."""
        self.expected |= {errno.ENOTCONN, errno.ECONNABORTED}

    def end(self):
        self.over = True
        for worker in self.writers + self.readers + self.orderly:
            error = worker.kill()
            assert error in self.expected, (worker.name, os.strerror(error))

    def of(self, queue, workers):
        return [worker for worker in workers if worker.queue == queue]

    def written(self, queue):
        """Returns the messages whose write has succeeded."""
        return set().union(*(writer.texts() for writer in self.of(queue, self.writers)))

    def tried(self, queue):
        return set().union(*(writer.texts(writer.each) for writer in self.of(queue, self.writers)))

    def stored(self):
        """Returns how many messages each writer has stored that goes on."""
        return [] if self.over else [writer.record.count for writer in self.writers]

    def longest(self):
        return max(writer.record.longest for writer in self.writers)

    def readers_of(self, queue):
        return self.of(queue, self.killed + self.readers + self.orderly)

    def got(self, queue):
        """Returns all that was read, in the order of each reader: text, whether a copy is known."""
        return [got for reader in self.readers_of(queue) for got in reader.got()]

    def unsure(self, queue):
        return {text for reader in self.readers_of(queue) for text in reader.unsure()}

    def leases(self):
        """Returns whether a reader has a lease."""
        return not self.over and any(reader.leases() for reader in self.readers)

    def late(self):
        """Returns how many messages came behind a later one of their sender, for the first time."""
        last, seen, late = collections.Counter(), set(), 0
        for text in (text for reader in self.orderly for text, _ in reader.got()):
            sender, number = re.fullmatch(r'(.*)-(\d+)', text).groups()
            late += text not in seen and int(number) < last[sender]
            last[sender] = max(last[sender], int(number))
            seen.add(text)
        return late
