#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""revoked.py MOUNT DAEMON 1 0: uses files of every kind that are open when their opener loses its right.

The opener is an ordinary user, whom the objects' modes let in. Every use after the chmod has to be refused.
"""
import errno
import fcntl
import os
import select
import signal
import time

from leaks import BOTH, KEYS, MOUNT, NONBLOCK, READ, USER, WRITE, failing, filled, read, write

CLASSES = ('posix/mq', 'sysv/msg', 'posix/sem', 'sysv/sem', 'posix/shm', 'sysv/shm')


def read_some(fd):
    return os.read(fd, 100)


def write_line(fd):
    return os.write(fd, b'1\n')


def write_tagged(fd):
    return os.write(fd, b'1\t1\n')


def write_op(fd):
    return os.write(fd, b'0:1')


def polled(fd):
    """poll(2) has no error of its own: the kernel makes POLLERR of it."""
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLOUT)
    if poll.poll(0) == [(fd, select.POLLERR)]:
        raise PermissionError(errno.EACCES, 'POLLERR')


def truncated(fd):
    os.ftruncate(fd, 1)


def allocated(fd):
    os.posix_fallocate(fd, 0, 8192)


def locked(fd):
    fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def locked_as_whole(fd):
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def uses(name):
    """(file, flags of its open, uses) of an object of this class."""
    family, kind = name.split('/')
    one = '0/' if name == 'sysv/sem' else ''
    if kind in ('mq', 'msg'):
        for file, send in (('msg', write_line), ('lines', write_line), ('packets', write_line), ('tagged', write_tagged)):
            yield file, BOTH | NONBLOCK, (read_some, send, polled)
        yield 'drain', READ, (read_some,)
    if kind == 'msg':
        yield 'type/1/lines', BOTH | NONBLOCK, (read_some, write_line, polled)
        yield 'peek/0.1', READ, (read_some,)
    if kind == 'sem':
        yield one + 'value', BOTH, (read_some, write_line)
        for file in ('post', 'wait', 'trywait'):
            yield one + file, WRITE, (write_line,)
    if name == 'sysv/sem':
        yield 'values', BOTH, (read_some, write_line)
        yield 'op', WRITE, (write_op,)
        yield one + 'zero', WRITE, (write_line,)
    if name == 'posix/shm':
        yield 'data', BOTH, (truncated, allocated, locked, locked_as_whole)
    if name == 'sysv/shm':
        yield 'data', BOTH, (locked, locked_as_whole)
    if family == 'posix':
        yield 'status', READ, (read_some,)


def refused(name, directory):
    os.mkdir(directory)
    os.chmod(directory, 0o666)
    if name in ('posix/mq', 'sysv/msg'):
        write(directory + '/packets', b'first')
    os.seteuid(USER)
    opened = [(file, os.open(directory + '/' + file, flags), calls) for file, flags, calls in uses(name)]
    os.seteuid(0)
    os.chmod(directory, 0o600)
    os.seteuid(USER)
    for file, fd, calls in opened:
        for call in calls:
            print('%s/%s: %s' % (name, file, call.__name__), flush=True)
            failing(errno.EACCES, call, fd)
        os.close(fd)
    os.seteuid(0)
    if name in ('posix/mq', 'sysv/msg'):
        assert read(directory + '/packets') == b'first'
    os.rmdir(directory)


def status_says(directory, line):
    with open(directory + '/status', encoding='utf-8') as status:
        return line + '\n' in status


def close_refused(name, directory, flags, behind):
    """A close that would send: at once, or behind a sender that waits."""
    print('%s: close, %o, behind %d' % (name, flags, behind), flush=True)
    os.mkdir(directory)
    os.chmod(directory, 0o666)
    os.seteuid(USER)
    fd = os.open(directory + '/msg', WRITE | flags)
    os.write(fd, b'secret')
    os.seteuid(0)
    pid = 0
    if behind:
        filled(directory + '/packets')
        pid = os.fork()
        if pid == 0:
            write(directory + '/lines', b'waits\n', WRITE)
            os._exit(0)
        while not status_says(directory, 'waiting_writers=1'):
            time.sleep(0.005)
    os.chmod(directory, 0o600)
    os.seteuid(USER)
    failing(errno.EACCES, os.close, fd)
    os.seteuid(0)
    with open(directory + '/drain', 'rb') as drain:
        text = drain.read()
    if pid:
        os.waitpid(pid, 0)
        with open(directory + '/drain', 'rb') as drain:
            text += drain.read()
        assert b'waits' in text
    assert b'secret' not in text
    os.rmdir(directory)


def main():
    signal.alarm(120)
    for name in CLASSES:
        directory = '%s/%s/%s' % (MOUNT, name, KEYS[name.split('/', maxsplit=1)[0]] % 0x33)
        refused(name, directory)
        if name in ('posix/mq', 'sysv/msg'):
            for flags in (0, NONBLOCK):
                close_refused(name, directory, flags, False)
            close_refused(name, directory, NONBLOCK, True)


main()
