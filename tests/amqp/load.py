# SPDX-License-Identifier: MIT
"""Writers and readers of a mount's queues that work all the time, each a process of its own.

A message is HOST.KIND-NUMBER; a writer writes the next one when the last one is stored. What a
writer knows is in memory that it shares with the test. A reader has the kernel put each message
into a file of its own: so the message is there even if the reader is killed before its system call
returns.
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
PAUSE = 0.04     # seconds between two messages of a writer
BATCH = 5        # messages of one write


class Record(ctypes.Structure):
    """What a worker tells. `count`: messages that it has written or read."""
    _fields_ = [('count', ctypes.c_uint64), ('longest', ctypes.c_double), ('error', ctypes.c_int)]


class Worker:
    """A process that does work(*arguments)."""

    def __init__(self, name, *arguments):
        self.name = name
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
    def __init__(self, name, stop, write, each=1):
        self.each = each
        super().__init__(name, stop, write)

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
    def __init__(self, name, path, reopen=False):
        self.arguments = name, path, reopen
        self.log = os.memfd_create(name)
        os.ftruncate(self.log, SLOT * SLOTS)
        super().__init__(name, path, reopen)

    def again(self):
        """Starts another one."""
        return Reader(*self.arguments)

    def work(self, path, reopen):
        log, file = memoryview(mmap.mmap(self.log, SLOT * SLOTS)), -1
        while self.record.count < SLOTS:
            if file < 0:
                file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            at = self.record.count * SLOT
            if os.readv(file, [log[at:at + SLOT]]) <= 0:
                raise OSError(errno.ENODATA, 'an end of file')
            self.record.count += 1
            if reopen:
                os.close(file)
                file = -1
        raise OSError(errno.ENOSPC, 'its file is full')

    def texts(self):
        data = os.pread(self.log, SLOT * (self.record.count + 1), 0)
        return [text.strip(b'\0\n').decode() for text in
                (data[at:at + SLOT] for at in range(0, len(data), SLOT)) if text.strip(b'\0')]


class Load:
    """The workers of a host. `queues`: two, of which the second one keeps the order."""

    def __init__(self, host, mount, queues):
        any_order, one_order = map(mount.queue, queues)
        self.stop = ctypes.c_uint8.from_buffer(mmap.mmap(-1, 1))
        self.expected, self.over = {0}, False
        self.writers = [Writer(host + '.line', self.stop, by_lines(any_order)),
                        Writer(host + '.batch', self.stop, by_lines(any_order), BATCH),
                        Writer(host + '.msg', self.stop, by_msg(any_order)),
                        Writer(host + '.plain', self.stop, by_lines(one_order))]
        # Two readers could not tell the order.
        self.orderly = [Reader('plain', one_order + '/packets')] if host != 'a' else []
        self.readers = [Reader('packets', any_order + '/packets'),
                        Reader('lines', any_order + '/lines', True)]
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

    def written(self):
        """Returns the messages whose write has succeeded."""
        return set().union(*(writer.texts() for writer in self.writers))

    def tried(self):
        return set().union(*(writer.texts(writer.each) for writer in self.writers))

    def stored(self):
        return sum(writer.record.count for writer in self.writers)

    def longest(self):
        return max(writer.record.longest for writer in self.writers)

    def read(self):
        """Returns all that was read, in the order of each reader."""
        return [text for reader in self.killed + self.readers + self.orderly
                for text in reader.texts()]

    def late(self):
        """Returns how many messages came behind a later one of their sender, for the first time."""
        last, seen, late = collections.Counter(), set(), 0
        for text in (text for reader in self.orderly for text in reader.texts()):
            sender, number = re.fullmatch(r'(.*)-(\d+)', text).groups()
            late += text not in seen and int(number) < last[sender]
            last[sender] = max(last[sender], int(number))
            seen.add(text)
        return late
