#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""slices.py WHAT MOUNT COUNT MILLISECONDS DAEMON: reads something large through a mount, while another process asks for
the attributes of MOUNT/posix/mq/innocent. Asserts that the large thing is right, and that no answer to the other
process took longer than that. DAEMON is the number of the process that serves the mount.
"""
import ctypes
import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time

WHAT, MOUNT, COUNT, LIMIT, DAEMON = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
LIBC = ctypes.CDLL(None, use_errno=True)
IPC_CREAT, IPC_RMID, IPC_NOWAIT = 0o1000, 0, 0o4000
FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE = 1, 2
KEY = 0x511ce000
GETDENTS64 = {'x86_64': 217, 'aarch64': 61}[os.uname().machine]


def check(result):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def entries(directory, size):
    """Yields (name, offset behind it) of an open directory, read with a buffer of this size."""
    buffer = ctypes.create_string_buffer(size)
    while True:
        got = check(LIBC.syscall(GETDENTS64, directory, buffer, size))
        if not got:
            return
        raw, at = buffer.raw, 0
        while at < got:
            length = int.from_bytes(raw[at + 16:at + 18], 'little')
            yield raw[at + 19:at + length].split(b'\0')[0].decode(), int.from_bytes(raw[at + 8:at + 16], 'little')
            at += length


def innocent(stop, longest):
    while not stop.is_set():
        start = time.monotonic()
        os.stat(MOUNT + '/posix/mq/innocent')
        longest.value = max(longest.value, time.monotonic() - start)
        time.sleep(0.001)


def churn(path, stop):
    while not stop.is_set():
        os.mkdir(path)
        os.rmdir(path)


def read_all(path, wanted):
    """Asserts that every name is listed once, with buffers of two sizes, from the beginning and from places within."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    for size in 32768, 1024:
        os.lseek(directory, 0, os.SEEK_SET)
        found = list(entries(directory, size))
        names = [name for name, _ in found if name in wanted]
        assert len(names) == len(set(names)), f'a name is listed twice in {path}'
        assert set(names) == wanted, f'{len(wanted - set(names))} names are not listed in {path}'
    for index in range(0, len(found) - 1, len(found) // 7):
        os.lseek(directory, found[index][1], os.SEEK_SET)
        at = next(entries(directory, 1024))[0]
        assert at in (found[index + 1][0], found[min(index + 2, len(found) - 1)][0]), 'a place has moved'
    os.close(directory)


def see_fresh(path, name):
    """Asserts that a directory that is read from its beginning again shows what was made since."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    assert name not in [entry for entry, _ in entries(directory, 32768)]
    os.mkdir(path + '/' + name)
    os.lseek(directory, 0, os.SEEK_SET)
    assert name in [entry for entry, _ in entries(directory, 32768)]
    os.rmdir(path + '/' + name)
    os.close(directory)


def queues():
    ids = [check(LIBC.msgget(KEY + i, IPC_CREAT | 0o666)) for i in range(COUNT)]
    path, name = MOUNT + '/sysv/msg', f'0x{KEY - 2:08x}'
    changing = multiprocessing.Process(target=churn, args=(f'{path}/0x{KEY - 1:08x}', STOP), daemon=True)
    changing.start()
    read_all(path, {f'0x{KEY + i:08x}' for i in range(COUNT)})
    read_all(MOUNT + '/sysv/by-id/msg', {str(number) for number in ids})
    assert sum(1 for _ in os.scandir(path)) >= COUNT
    STOP.set()
    changing.join()
    see_fresh(path, name)


def segments():
    for i in range(COUNT):
        with open(f'/dev/shm/slice{i}', 'wb'):
            pass
    path = MOUNT + '/posix/shm'
    changing = multiprocessing.Process(target=churn, args=(path + '/changing', STOP), daemon=True)
    changing.start()
    read_all(path, {f'slice{i}' for i in range(COUNT)})
    STOP.set()
    changing.join()
    see_fresh(path, 'fresh')


def objects():
    """Half of them queues, half POSIX segments. A read takes 5 ms, and a machine that is busy."""
    for i in range(COUNT // 2):
        check(LIBC.msgget(KEY + i, IPC_CREAT | 0o666))
        with open(f'/dev/shm/slice{i}', 'wb'):
            pass
    wanted = {f'0x{KEY + i:08x}' for i in range(COUNT // 2)} | {f'slice{i}' for i in range(COUNT // 2)}
    changing = [multiprocessing.Process(target=churn, args=(f'{MOUNT}/{path}', STOP), daemon=True)
                for path in (f'sysv/msg/0x{KEY - 1:08x}', 'posix/shm/changing')]
    for process in changing:
        process.start()
    for size in 1 << 20, 65536:
        stream, text, longest, reads = os.open(MOUNT + '/objects', os.O_RDONLY), b'', 0, 0
        begin = time.monotonic()
        while True:
            start = time.monotonic()
            part = os.read(stream, size)
            longest = max(longest, time.monotonic() - start)
            if not part:
                break
            text, reads = text + part, reads + 1
        os.close(stream)
        print(f'{reads} reads of {size} bytes: {time.monotonic() - begin:.2f} s, the longest {longest * 1000:.0f} ms')
        names = [json.loads(line)['name'] for line in text.decode().split('\n')[:-1]]
        names = [name for name in names if name in wanted]
        assert len(names) == len(set(names)), 'an object stands twice in objects'
        assert set(names) == wanted, f'{len(wanted - set(names))} objects are missing'
        assert size < 1 << 20 or reads > 2 * (len(text) >> 20), 'a read filled a large buffer'
        assert longest * 1000 < LIMIT / 4, f'a read took {longest} s'
    STOP.set()
    for process in changing:
        process.join()


def messages():
    queue = check(LIBC.msgget(KEY, IPC_CREAT | 0o666))
    for i in range(COUNT):
        check(LIBC.msgsnd(queue, ctypes.byref(ctypes.c_long(1 + i % 3)), 0, IPC_NOWAIT))
    names = os.listdir(f'{MOUNT}/sysv/msg/0x{KEY:08x}/peek')
    assert names == [f'{i}.{1 + i % 3}' for i in range(COUNT)], 'peek/ has other names'


def holds():
    """Holds of one set, on several semaphores by turns."""
    path = f'{MOUNT}/sysv/sem/0x{KEY:08x}'
    check(LIBC.semget(KEY, 100, IPC_CREAT | 0o666))
    with open(path + '/values', 'w', encoding='ascii') as values:
        values.write(' '.join(['1000'] * 100) + '\n')
    opened = [os.open(f'{path}/{i % 100}/hold', os.O_WRONLY) for i in range(COUNT)]
    with open(path + '/status', encoding='ascii') as status:
        lines = dict(line.rstrip('\n').split('=', 1) for line in status)
    assert lines['holders'] == str(COUNT), lines['holders']
    assert [int(lines[f'holder_{n}_semaphore']) for n in range(1, COUNT + 1)] == [i % 100 for i in range(COUNT)][::-1]
    # A value that is set voids the holds of that semaphore alone.
    with open(path + '/7/value', 'w', encoding='ascii') as value:
        value.write('5\n')
    with open(path + '/status', encoding='ascii') as status:
        lines = dict(line.rstrip('\n').split('=', 1) for line in status)
    assert lines['holders'] == str(COUNT - COUNT // 100), lines['holders']
    assert '7' not in [value for key, value in lines.items() if key.endswith('_semaphore')]
    for number in opened:
        os.close(number)


def lines():
    """A write to `create` that is too large for one request's time is taken in part."""
    text = b''.join(b'sysv/msg/0x%08x mode=600\n' % (KEY + i) for i in range(COUNT))
    create = os.open(MOUNT + '/create', os.O_WRONLY)
    writes = 0
    while text:
        done = os.write(create, text)
        assert done and text[:done].endswith(b'\n'), 'a line was cut'
        text, writes = text[done:], writes + 1
    os.close(create)
    assert writes > 1, 'the whole write was one request'
    assert len(os.listdir(MOUNT + '/sysv/msg')) == COUNT


def read_status(name, count):
    start = time.monotonic()
    for i in range(count):
        with open(f'{MOUNT}/sysv/{name}/0x{KEY + i:08x}/status', 'rb') as status:
            assert b'id=' in status.read()
    return time.monotonic() - start


def memory():
    """The status of many segments costs a few times what that of as many queues costs."""
    for i in range(COUNT):
        check(LIBC.shmget(KEY + i, 4096, IPC_CREAT | 0o666))
        check(LIBC.msgget(KEY + i, IPC_CREAT | 0o666))
    ratio = min(read_status('shm', COUNT) / read_status('msg', COUNT) for _ in range(3))
    print(f'status of segments over that of queues: {ratio:.1f}')
    assert ratio < 6, f'the status of segments takes {ratio:.1f} times as long'


def beside(read):
    """Calls read(i) in 16 processes at once for each i, and returns how many threads the daemon made for them."""
    begin = multiprocessing.Barrier(17)

    def reader(number):
        begin.wait()
        read(number)

    def threads():
        return len(os.listdir(f'/proc/{DAEMON}/task'))

    readers = [multiprocessing.Process(target=reader, args=(i,), daemon=True) for i in range(16)]
    for process in readers:
        process.start()
    usual = most = threads()
    begin.wait()
    while any(process.is_alive() for process in readers):
        most = max(most, threads())
        time.sleep(0.002)
    assert all(process.exitcode == 0 for process in readers)
    print(f'{most - usual} threads more than {usual}')
    return most - usual


def large_sets():
    """Each of 16 sets is read by stat(2) and `status`, four also by `objects`. All is there, and as long as said."""
    ids = [check(LIBC.semget(KEY + i, COUNT, IPC_CREAT | 0o666)) for i in range(16)]

    def read(number):
        path = f'{MOUNT}/sysv/sem/0x{KEY + number:08x}/status'
        size = os.stat(path).st_size
        with open(path, 'rb') as status:
            text = status.read()
        assert size == len(text), f'{size} bytes were told, {len(text)} are there'
        assert text.count(b'\nvalue_') == COUNT and text.endswith(b'\nwaiters=0\n')

    assert beside(read) < 24, 'each reader has taken a thread'
    for number in ids[4:]:
        check(LIBC.semctl(number, 0, IPC_RMID))
    with open(MOUNT + '/objects', encoding='ascii') as stream:
        sets = [json.loads(line) for line in stream]
    sets = [fields for fields in sets if fields['class'] == 'sysv/sem']
    assert sorted(fields['name'] for fields in sets) == [f'0x{KEY + i:08x}' for i in range(4)]
    assert all(f'value_{COUNT - 1}' in fields for fields in sets)


def table():
    """The memory of one segment stands in the kernel's table of all."""
    for i in range(COUNT):
        check(LIBC.shmget(KEY + i, 4096, IPC_CREAT | 0o666))
    used = check(LIBC.shmget(KEY + COUNT - 1, 0, 0))
    LIBC.shmat.restype = ctypes.c_void_p
    ctypes.memset(LIBC.shmat(used, None, 0), 1, 1)

    def read(number):
        for _ in range(5):
            with open(f'{MOUNT}/sysv/shm/0x{KEY + COUNT - 1 - number:08x}/status', encoding='ascii') as status:
                lines = dict(line.rstrip('\n').split('=', 1) for line in status)
            assert int(lines['rss']) == (0 if number else os.sysconf('SC_PAGESIZE')), lines['rss']
            time.sleep(0.05)

    assert beside(read) < 24, 'each reader has taken a thread'


def counted():
    """Users make objects beside many of others, which are all looked at for each. None gets past max_objects=20."""
    for i in range(COUNT):
        check(LIBC.msgget(KEY + i, IPC_CREAT | 0o600))

    def make(name):
        try:
            if name >= 32:
                os.mkdir(f'{MOUNT}/posix/sem/{name}')
            else:
                with open(MOUNT + '/create', 'w', encoding='ascii') as create:
                    create.write(f'posix/shm/{name} size=1\n')
        except OSError as error:
            assert error.errno == errno.ENOSPC, error

    def made():
        return len([name for kind in ('sem', 'shm') for name in os.listdir(f'{MOUNT}/posix/{kind}')])

    def maker(number):
        os.setresuid(1234, 1234, 1234)
        for i in range(3):
            make(number + 16 * i)

    assert beside(maker) < 24, 'each maker has taken a thread'
    assert 0 < made() <= 20, f'{made()} objects were made'
    os.setresuid(1234, 1234, 0)
    for i in range(100, 121):
        make(i)
    assert made() == 20, f'{made()} objects were made'
    os.setresuid(0, 0, 0)


def hidden():
    """A directory whose objects are all hidden is empty for its reader, and no answer is long."""
    count = 30000  # that no machine looks through in the time of one answer
    for i in range(count):
        check(LIBC.msgget(KEY + i, IPC_CREAT | 0o600))
    path = MOUNT + '/sysv/msg'

    def reader():
        os.setresuid(1234, 1234, 1234)
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        found = list(entries(directory, 32768))
        # The entries of no inode number are those of answers in which all was hidden.
        assert {name for name, _ in found} == {'.', '..'}, found
        assert len(found) > 4, 'the whole directory was one answer'
        assert [at for _, at in found] == sorted(at for _, at in found), 'places go back'
        for command in ['ls', '-a'], ['ls', '-la'], ['find', '.', '-mindepth', '1']:
            names = subprocess.check_output(command, cwd=path, text=True).split()
            assert (names.count('.'), names.count('..')) == ((0, 0) if command[0] == 'find' else (1, 1)), names
            assert not [name for name in names if name.startswith('0x')]

    reading = multiprocessing.Process(target=reader)
    reading.start()
    reading.join()
    assert reading.exitcode == 0
    assert len(os.listdir(path)) == count


def fallocate(number, flags, size):
    """Returns the error, or 0."""
    ctypes.set_errno(0)
    LIBC.fallocate(number, flags, ctypes.c_int64(0), ctypes.c_int64(size))
    return ctypes.get_errno()


def memory_of_a_segment():
    """Memory is reserved, and freed. A signal ends the call, and leaves the size alone; what was there stays."""
    size = 256 << 20
    path, data = '/dev/shm/slice', MOUNT + '/posix/shm/slice/data'
    with open(path, 'wb') as file:
        file.write(b'text')
    segment = os.open(data, os.O_RDWR)
    caller, begun = os.getpid(), multiprocessing.Event()
    signal.signal(signal.SIGUSR1, lambda *_: None)

    def interrupt():
        begun.set()
        while not STOP.is_set():
            if os.stat(path).st_blocks > 8:
                os.kill(caller, signal.SIGUSR1)
            time.sleep(0.001)

    interrupting = multiprocessing.Process(target=interrupt, daemon=True)
    interrupting.start()
    begun.wait()
    end, error = time.monotonic() + LIMIT / 100, 0
    while not error and time.monotonic() < end:
        os.truncate(path, 4)
        error = fallocate(segment, 0, size)
    STOP.set()
    interrupting.join()
    assert error == errno.EINTR, f'the call has not ended by a signal: error {error}'
    assert os.stat(path).st_size == 4 and 8 < os.stat(path).st_blocks < size // 512
    assert fallocate(segment, 0, size) == 0
    assert os.stat(path).st_size == size and os.stat(path).st_blocks == size // 512
    assert os.pread(segment, 8, 0) == b'text\0\0\0\0'
    # A hole that is larger than all memory; the size stays.
    assert fallocate(segment, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 1 << 60) == 0
    assert os.stat(path).st_size == size and os.stat(path).st_blocks == 0
    os.close(segment)


STOP = multiprocessing.Event()
END, LONGEST = multiprocessing.Event(), multiprocessing.Value('d', 0)
WATCH = multiprocessing.Process(target=innocent, args=(END, LONGEST), daemon=True)
WATCH.start()
{'queues': queues, 'segments': segments, 'objects': objects, 'messages': messages, 'holds': holds, 'lines': lines,
 'memory': memory, 'memory_of_a_segment': memory_of_a_segment, 'large_sets': large_sets, 'table': table,
 'counted': counted, 'hidden': hidden}[WHAT]()
END.set()
WATCH.join()
assert WATCH.exitcode == 0
print(f'the longest answer to another process took {LONGEST.value * 1000:.1f} ms')
assert LONGEST.value * 1000 <= LIMIT, f'an answer to another process took {LONGEST.value * 1000:.0f} ms'
