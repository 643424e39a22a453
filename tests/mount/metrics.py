#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""metrics.py form | metrics.py sums MOUNT | metrics.py refusals QUEUE UID COUNT

form: checks the text on standard input by the rules of Prometheus' text format, version 0.0.4, and
prints the names of its samples. sums: compares the sums in MOUNT/metrics with the status of all
objects. refusals: root has the user write to a queue, after the right to do so was taken away.
"""
import os
import re
import socket
import sys

SAMPLE = re.compile(r'([a-z_]+)(\{((?:[a-z_]+="[^"\\\n]*",?)*)\})? (\d+(?:\.\d+)?)')
CLASSES = ('posix/mq', 'posix/shm', 'posix/sem', 'sysv/msg', 'sysv/shm', 'sysv/sem')


def samples(text):
    """The samples of a text, each with its value, and the checks of its form."""
    found, types, helped, family = {}, {}, set(), None
    assert text.endswith('\n'), text[-100:]
    for line in text.splitlines():
        words = line.split(' ', 3)
        if words[:2] == ['#', 'HELP']:
            family = words[2]
            assert family not in helped and words[3], line
            helped.add(family)
        elif words[:2] == ['#', 'TYPE']:
            assert words[2] == family and family not in types, line
            types[family] = words[3]
            assert words[3] in ('gauge', 'counter'), line
            assert (words[3] == 'counter') == family.endswith('_total'), line
        elif not line.startswith('#'):
            match = SAMPLE.fullmatch(line)
            assert match and match[1] == family and family in types, line
            key = line.rsplit(' ', 1)[0]
            assert key not in found, line
            found[key] = match[4]
        else:
            assert line == '# counting objects' and not helped, line
    assert len(types) > 10 and all(name.startswith('ipcfs_') for name in types), types
    return found


def status(path):
    """The fields of a status file."""
    with open(path) as file:
        return dict(line.rstrip('\n').split('=', 1) for line in file)


def expected(mount, cls):
    """The sums of a class, by the samples' names."""
    objects = [status('%s/%s/%s/status' % (mount, cls, name)) for name in os.listdir('%s/%s' % (mount, cls))]

    def add(field):
        return sum(int(fields[field]) for fields in objects)

    sums = {'ipcfs_objects': len(objects)}
    if cls in ('posix/mq', 'sysv/msg'):
        sums['ipcfs_queue_messages'], sums['ipcfs_queue_bytes'] = add('messages'), add('bytes')
        sums['for="receive"'], sums['for="send"'] = add('waiting_readers'), add('waiting_writers')
    elif cls.endswith('shm'):
        sums['ipcfs_segment_bytes'] = add('size')
        sums['ipcfs_segment_memory_bytes'] = add('rss') + add('swap') if cls == 'sysv/shm' else add('allocated')
    else:
        sums['ipcfs_semaphores'] = add('nsems') if cls == 'sysv/sem' else len(objects)
        sums['ipcfs_semaphore_holds'] = add('holders')
        for word in ('wait', 'hold', 'monitor') + (('zero', 'op') if cls == 'sysv/sem' else ()):
            sums['for="%s"' % word] = sum(list(fields.values()).count(word) for fields in objects)
    if cls == 'sysv/shm':
        sums['ipcfs_segments_stale'] = sum(fields['stale'] == 'yes' for fields in objects)
        sums['ipcfs_segments_removed'] = sum(fields['dest'] == 'yes' for fields in objects)
    return sums


def compare(mount):
    """Compares the sums of all classes."""
    with open(mount + '/metrics') as file:
        found = samples(file.read())
    for cls in CLASSES:
        for name, value in expected(mount, cls).items():
            key = '%s{class="%s"}' % (name, cls)
            if name.startswith('for='):
                key = 'ipcfs_waiting_requests{class="%s",%s}' % (cls, name)
            assert found[key] == str(value), '%s: %s, not %s' % (key, found[key], value)


def refusals(queue, uid, count):
    """Has the daemon refuse so many writes: the kernel asks it, in whatever world."""
    ours, theirs = socket.socketpair()
    os.chmod(queue, 0o666)
    if os.fork() == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        packets = os.open(queue + '/packets', os.O_WRONLY | os.O_NONBLOCK)
        theirs.send(b'x')
        theirs.recv(1)
        for _ in range(count):
            try:
                os.write(packets, b'x')
                os._exit(1)
            except PermissionError:
                pass
        os._exit(0)
    ours.recv(1)
    os.chmod(queue, 0o600)
    ours.send(b'x')
    assert os.wait()[1] == 0


if sys.argv[1] == 'form':
    print('\n'.join(samples(sys.stdin.read())))
elif sys.argv[1] == 'sums':
    compare(sys.argv[2])
else:
    refusals(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
