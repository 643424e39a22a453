#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""records.py SCENARIO [SEED]: what programs see of `records`, in the queue $Q, which is empty. See records.bats."""
import errno
import os
import random
import select
import signal
import struct
import subprocess
import sys
import time

Q, NAME, KIND = os.environ['Q'], os.environ['NAME'], os.environ['KIND']
SLOW = int(os.environ.get('SLOW', '1'))
POSIX = KIND == 'posix'
LARGEST = 8192
PLAIN, LOW, HIGH = (0, 0, 32767) if POSIX else (1, 1, 2**32 - 1)
READ, WRITE, NONBLOCK = os.O_RDONLY, os.O_WRONLY, os.O_NONBLOCK


def record(text, kind=PLAIN):
    return struct.pack('<II', len(text), kind) + text


def split(data):
    """The (type, text) of whole records; nothing else may be there."""
    found = []
    while data:
        size, kind = struct.unpack_from('<II', data)
        assert len(data) >= 8 + size, (size, data)
        found.append((kind, data[8:8 + size]))
        data = data[8 + size:]
    return found


def file(flags, name='records'):
    return os.open(f'{Q}/{name}', flags)


def get(size=65536, name='records'):
    fd = file(READ | NONBLOCK, name)
    try:
        return split(os.read(fd, size))
    finally:
        os.close(fd)


def put(data, name='records', flags=0):
    fd = file(WRITE | flags, name)
    try:
        return os.write(fd, data)
    finally:
        os.close(fd)


def failing(error, function, *arguments, **named):
    try:
        result = function(*arguments, **named)
    except OSError as failure:
        assert failure.errno == error, failure
    else:
        raise AssertionError(f'{errno.errorcode[error]} expected, got {result}')


def direct(*arguments, text=b''):
    return subprocess.run(['mqtool', '-n', KIND, NAME, *map(str, arguments)], input=text, check=True,
                          stdout=subprocess.PIPE).stdout


def status(field):
    with open(f'{Q}/status') as lines:
        return next(int(line.split('=')[1]) for line in lines if line.startswith(field + '='))


def until(condition):
    end = time.monotonic() + 10 * SLOW
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def child(function):
    """A process that calls it, and exits 0 if it returns."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
            os._exit(0)
        except BaseException as failure:
            print(repr(failure), file=sys.stderr, flush=True)
            os._exit(1)
    return pid


def succeeds(pid):
    assert os.waitpid(pid, 0)[1] == 0


def round_trip():
    texts = [b'text\n', b'', bytes(range(256)), b'\t1\n\n', b'x' * 4000]
    kinds = [HIGH, HIGH, 7, 7, 1]
    data = b''.join(map(record, texts, kinds))
    assert put(data) == len(data)
    assert status('messages') == 5
    assert get() == list(zip(kinds, texts))
    failing(errno.EAGAIN, get)
    assert put(record(b'x' * LARGEST)) == 8 + LARGEST
    assert get() == [(PLAIN, b'x' * LARGEST)]


def directly():
    put(record(b'one', 9) + record(b'', 9) + record(b'three\n', 2))
    assert direct('tagged') == b'9\tone\n'
    assert direct('tagged') == b'9\t\n'
    assert direct('tagged') == b'2\tthree\n\n'
    direct('send', 9, text=b'a\0b')
    direct('send', 3, text=b'\n')
    assert get() == [(9, b'a\0b'), (3, b'\n')]


# A record has room if the rest of the buffer could hold the queue's largest message (POSIX), or holds it.
def batches():
    count, size = 10, 100
    fits = LARGEST if POSIX else size
    for i in range(count):
        put(record(b'%0100d' % i))
    failing(errno.EMSGSIZE, get, 8 + fits - 1)
    failing(errno.EMSGSIZE, get, 7)
    assert status('messages') == count
    taken = get(8 + fits)
    assert [int(text) for _, text in taken] == [0]
    taken = get(2 * 108 + 8 + fits - 1)
    assert [int(text) for _, text in taken] == [1, 2]
    taken = get(3 * 108 + 8 + fits)
    assert [int(text) for _, text in taken] == [3, 4, 5, 6]
    assert len(get(1 << 20)) == 3
    failing(errno.EAGAIN, get)


def differing_sizes():
    """What is longer than the rest of a buffer is the first of the next read."""
    put(b''.join(record(b'x' * size) for size in (10, 3000, 20, 5000, 30)))
    if POSIX:
        assert [len(text) for _, text in get(8 + LARGEST + 17)] == [10]
        assert [len(text) for _, text in get(8 + LARGEST + 3008)] == [3000, 20]
        return
    assert [len(text) for _, text in get(3025)] == [10]
    assert [len(text) for _, text in get(3036)] == [3000, 20]
    assert [len(text) for _, text in get(5046)] == [5000, 30]
    put(record(b'') + record(b'') + record(b'ab') + record(b''))
    failing(errno.EMSGSIZE, get, 7)
    assert [text for _, text in get(8)] == [b'']
    assert [text for _, text in get(8 + 10)] == [b'', b'ab']
    assert [text for _, text in get(8)] == [b'']


def grown():
    """Messages that are longer than any was when the queue was opened."""
    fd = file(READ | NONBLOCK)
    for limit in ('msgmax', 'msgmnb'):
        with open(f'{os.environ["MNT"]}/limits/{limit}', 'w') as text:
            text.write('100000')
    with open(f'{Q}/qbytes', 'w') as text:
        text.write('100000')
    direct('send', 1, text=b'short')
    direct('send', 1, text=b'x' * 20000)
    direct('send', 1, text=b'x' * 20001)
    assert [len(text) for _, text in split(os.read(fd, 13 + 20007))] == [5]
    assert [len(text) for _, text in split(os.read(fd, 40016))] == [20000]
    assert [len(text) for _, text in split(os.read(fd, 40017))] == [20001]


def parts():
    """Writes end anywhere, and each process finishes its own record."""
    data = b''.join(record(b'%d' % i * i) for i in range(5))
    fd = file(WRITE)
    for at in range(len(data)):
        assert os.write(fd, data[at:at + 1]) == 1
    assert [text for _, text in get()] == [b'%d' % i * i for i in range(5)]
    for cut in range(1, len(data)):
        assert os.write(fd, data[:cut]) == cut
        assert os.write(fd, data[cut:]) == len(data) - cut
        assert len(get()) == 5
    # a child's bytes do not end its parent's record
    os.write(fd, record(b'parent')[:9])
    succeeds(child(lambda: os.write(fd, record(b'child'))))
    assert status('messages') == 1
    os.write(fd, record(b'parent')[9:])
    assert [text for _, text in get()] == [b'child', b'parent']
    os.close(fd)


def unfinished():
    for cut in (1, 7, 8, 12):
        fd = file(WRITE)
        os.write(fd, record(b'whole') + record(b'unfinished')[:cut])
        failing(errno.EINVAL, os.close, fd)
        assert get() == [(PLAIN, b'whole')]
    # a close by another process says nothing about it
    fd = file(WRITE)
    os.write(fd, record(b'unfinished')[:12])
    succeeds(child(lambda: os.close(fd)))
    os.write(fd, record(b'unfinished')[12:])
    os.close(fd)
    assert get() == [(PLAIN, b'unfinished')]
    # a process that passes its descriptor on, and is killed in a record
    fd = file(WRITE)
    pid = child(lambda: (os.write(fd, record(b'killed')[:9]), os.kill(os.getpid(), signal.SIGKILL)))
    os.waitpid(pid, 0)
    os.write(fd, record(b'alive'))
    os.close(fd)
    assert get() == [(PLAIN, b'alive')]
    # it waits for nobody, as there is nothing to send
    fd = file(WRITE)
    os.write(fd, record(b'unfinished')[:12])
    sent = os.write(file(WRITE | NONBLOCK), record(b'x' * 1000) * 100) // 1008
    sender = child(lambda: put(record(b'x' * 1000)))
    until(lambda: status('waiting_writers') == 1)
    signal.alarm(10 * SLOW)
    failing(errno.EINVAL, os.close, fd)
    signal.alarm(0)
    assert status('messages') == sent
    get()
    succeeds(sender)


def refused():
    good, long = record(b'good'), struct.pack('<II', LARGEST + 1, PLAIN)
    bad = [(errno.EMSGSIZE, long), (errno.EMSGSIZE, long + b'x' * (LARGEST + 1)),
           (errno.EMSGSIZE, struct.pack('<II', 2**32 - 1, PLAIN)), (errno.EMSGSIZE, long + b'\n'),
           (errno.ERANGE, record(b'x', HIGH + 1 if POSIX else 0)),
           (errno.ERANGE, record(b'x', HIGH + 1 if POSIX else 0)[:8])]
    for error, data in bad:
        fd = file(WRITE)
        failing(error, os.write, fd, data)
        assert os.write(fd, good + data) == len(good)
        assert os.write(fd, good) == len(good)
        # its header comes in two parts: what was written of it is refused as well
        os.write(fd, data[:5])
        failing(error, os.write, fd, data[5:])
        assert os.write(fd, good) == len(good)
        os.close(fd)
        assert {text for _, text in get()} == {b'good'}
        failing(errno.EAGAIN, get)


def types():
    """type/N, System V."""
    put(record(b'five', 5) + record(b'six', 6) + record(b'five again', 5))
    assert get(name='type/5/records') == [(5, b'five'), (5, b'five again')]
    failing(errno.EAGAIN, get, name='type/5/records')
    put(record(b'seven', 7), name='type/5/records')
    assert get(name='type/-7/records') == [(6, b'six'), (7, b'seven')]
    failing(errno.EINVAL, put, record(b'x'), name='type/-7/records')
    # A type that has more than 32 bits goes to the tail, behind what can be shown.
    direct('send', 2**32, text=b'large')
    put(record(b'one') + record(b'two'))
    failing(errno.EOVERFLOW, get)
    assert status('returned') == 1
    assert [text for _, text in get()] == [b'one', b'two']
    assert status('messages') == 1
    failing(errno.EOVERFLOW, get)
    assert direct('tagged') == b'%d\tlarge\n' % 2**32


def full():
    data = b''.join(record(b'%08d' % i * 50) for i in range(100))
    fd = file(WRITE | NONBLOCK)
    sent = os.write(fd, data)
    assert 0 < sent < len(data) and sent % 408 == 0, sent
    failing(errno.EAGAIN, os.write, fd, data[sent:])
    # What stands unfinished stays so.
    os.write(fd, data[sent:sent + 5])
    failing(errno.EAGAIN, os.write, fd, data[sent + 5:])
    assert [int(text[:8]) for _, text in get()] == list(range(sent // 408))
    assert os.write(fd, data[sent + 5:sent + 408]) == 403
    assert [int(text[:8]) for _, text in get()] == [sent // 408]
    os.close(fd)
    # A writer that waits sends everything, in order.
    pid = child(lambda: put(data) == len(data) or sys.exit(1))
    got = []
    fd = file(READ)
    while len(got) < 100:
        got += [int(text[:8]) for _, text in split(os.read(fd, 16384))]
    assert got == list(range(100))
    succeeds(pid)


def waiting():
    """A reader of the empty queue gets at least the message that comes."""
    for send in (lambda: direct('send', 3, text=b'come'), lambda: put(record(b'come', 3))):
        pid = child(lambda: split(os.read(file(READ), 65536)) == [(3, b'come')] or sys.exit(1))
        until(lambda: status('waiting_readers') == 1)
        send()
        succeeds(pid)
    pid = child(lambda: split(os.read(file(READ), 65536)) == [(3, b'')] or sys.exit(1))
    until(lambda: status('waiting_readers') == 1)
    # another one that has no room for any message does not wait behind it
    signal.alarm(10 * SLOW)
    failing(errno.EMSGSIZE, os.read, file(READ), 7)
    signal.alarm(0)
    direct('send', 3)
    succeeds(pid)


def killed():
    """Readers that are killed while they wait take nothing. See conservation for those that are served meanwhile."""
    readers = [child(lambda: os.read(file(READ), 65536)) for _ in range(4)]
    until(lambda: status('waiting_readers') == 4)
    for pid in readers:
        os.kill(pid, signal.SIGKILL)
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    put(b''.join(record(b'%d' % i) for i in range(8)))
    assert [text for _, text in get()] == [b'%d' % i for i in range(8)]


def polling():
    fd = os.open(f'{Q}/records', os.O_RDWR | NONBLOCK)
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLOUT)
    assert poll.poll(1000) == [(fd, select.POLLOUT)]
    os.write(fd, record(b'unfinished')[:10])
    assert poll.poll(1000) == [(fd, select.POLLOUT)]
    os.write(fd, record(b'unfinished')[10:])
    assert poll.poll(1000) == [(fd, select.POLLIN | select.POLLOUT)]
    assert split(os.read(fd, 65536)) == [(PLAIN, b'unfinished')]
    poll.modify(fd, select.POLLIN)
    assert poll.poll(50) == []
    direct('send', 1, text=b'x')
    assert poll.poll(5000 * SLOW) == [(fd, select.POLLIN)]
    assert split(os.read(fd, 65536)) == [(1, b'x')]
    data = record(b'x' * 1000)
    try:
        while True:
            os.write(fd, data)
    except BlockingIOError:
        pass
    if POSIX:
        poll.modify(fd, select.POLLOUT)
        assert poll.poll(50) == []
        direct('receive')
        assert poll.poll(5000 * SLOW) == [(fd, select.POLLOUT)]
    os.close(fd)


def removed():
    fd, out = file(READ), file(WRITE)
    pid = child(lambda: failing(errno.EIDRM, os.read, fd, 65536))
    until(lambda: status('waiting_readers') == 1)
    os.rmdir(Q)
    succeeds(pid)
    failing(errno.EIDRM, os.write, out, record(b'x'))


def differential():
    """At random by `records` or directly: what is received is what was sent, in the queue's order."""
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32)
    print('seed', seed, flush=True)
    rng = random.Random(seed)
    model, reader, writer = [], file(READ | NONBLOCK), file(WRITE | NONBLOCK)

    def fresh():
        kind = rng.choice([LOW, LOW + 1, 5, 32767])
        return kind, rng.randbytes(rng.choice([0, 1, 7, 8, 9, 64, 300]))

    def queued(messages):
        model.extend(messages)
        if POSIX:
            model.sort(key=lambda message: -message[0]) # stable: the oldest of a priority first

    def taken(messages):
        assert messages == model[:len(messages)], (messages, model)
        del model[:len(messages)]

    def send_records():
        messages = [fresh() for _ in range(rng.randrange(1, 8))]
        ends, data = [0], b''
        for kind, text in messages:
            data += record(text, kind)
            ends.append(len(data))
        try:
            sent = os.write(writer, data)
        except BlockingIOError:
            sent = 0
        queued(messages[:ends.index(sent)])

    def send_direct():
        kind, text = fresh()
        done = subprocess.run(['mqtool', '-n', KIND, NAME, 'send', str(kind)], input=text,
                              stderr=subprocess.DEVNULL, check=False).returncode == 0
        queued([(kind, text)] if done else [])

    def receive_records():
        size = rng.choice([LARGEST + 8, LARGEST + 100, 65536])
        if model:
            messages = split(os.read(reader, size))
            assert messages
            taken(messages)
        else:
            failing(errno.EAGAIN, os.read, reader, size)

    def receive_direct():
        if model:
            kind, text = direct('tagged').split(b'\t', 1)
            taken([(int(kind), text[:-1])])

    for _ in range(150):
        rng.choice([send_records, send_direct, receive_records, receive_direct])()
        assert status('messages') == len(model)


globals()[sys.argv[1]]()
