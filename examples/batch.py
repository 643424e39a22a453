#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""batch.py send QUEUE [TYPE]: sends each line of stdin as a message of this type (default: 1).
batch.py receive QUEUE: prints TYPE, a tab and the text of each message, until the queue is removed.

Uses `records`: many messages go in one write(2) or read(2). A record is the size of the text and the type, as
32-bit numbers, little-endian, and then the text.
"""
import errno
import os
import struct
import sys

HEADER = struct.Struct('<II')
BATCH = 64 * 1024  # bytes of one write
# A read that has no room for the queue's largest message fails (EMSGSIZE). One read gets 1 MiB at most.
BUFFER = 1024 * 1024


def write_all(fd, data):
    """Writes everything. As to a pipe, a write may be short: the queue was full, or a signal came."""
    while data:
        data = data[os.write(fd, data):]


def send(queue, kind=1):
    fd = os.open(queue + '/records', os.O_WRONLY)
    batch = b''
    for line in sys.stdin.buffer:
        text = line.rstrip(b'\n')
        batch += HEADER.pack(len(text), int(kind)) + text
        if len(batch) >= BATCH:
            write_all(fd, batch)
            batch = b''
    write_all(fd, batch)
    os.close(fd)


def records(data):
    """Takes whole records apart."""
    at = 0
    while at < len(data):
        size, kind = HEADER.unpack_from(data, at)
        at += HEADER.size
        yield kind, data[at:at + size]
        at += size


def receive(queue):
    fd = os.open(queue + '/records', os.O_RDONLY)
    while True:
        try:
            data = os.read(fd, BUFFER)
        except OSError as error:
            if error.errno == errno.EIDRM:
                return
            raise
        for kind, text in records(data):
            sys.stdout.buffer.write(b'%d\t%s\n' % (kind, text))
        sys.stdout.flush()


if len(sys.argv) in (3, 4) and sys.argv[1] == 'send':
    send(*sys.argv[2:])
elif len(sys.argv) == 3 and sys.argv[1] == 'receive':
    receive(sys.argv[2])
else:
    sys.exit(__doc__)
