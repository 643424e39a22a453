# SPDX-License-Identifier: MIT
"""The part `namespaces` of tests/bench/run: one mount for all IPC namespaces, and a plain mount."""
import os
import shlex
import subprocess
import sys
import time

QUEUES = {'posix': 'posix/mq/bench', 'sysv': 'sysv/msg/0x00007001'}
PREFIXES = {'packets': '', 'tagged': 'tagged:', 'msg': 'msg:'}
PATIENCE = 600  # seconds that a program may take


class Container:
    """A process that sleeps in an IPC namespace, a mount namespace and a /dev/shm of its own."""

    def __init__(self):
        self.process = subprocess.Popen(
            ['unshare', '--ipc', '--mount', 'sh', '-c',
             'mount -t tmpfs -o mode=1777 tmpfs /dev/shm && echo && exec sleep infinity'],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if not self.process.stdout.readline():
            sys.exit('a container does not start')
        self.inum = os.stat(f'/proc/{self.process.pid}/ns/ipc').st_ino
        self.within = ['nsenter', f'--target={self.process.pid}', '--ipc', '--mount']

    def end(self):
        self.process.kill()
        self.process.wait()


def until(condition):
    """Waits for the condition. Returns the milliseconds that it took."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() > start + 60:
            sys.exit('what the bench waits for does not happen')
        time.sleep(0.01)
    return (time.monotonic() - start) * 1000


def make_queues(bench, mount, within):
    where = shlex.quote(mount.path)
    bench.output(*within, 'sh', '-c', f'''
        echo {QUEUES["posix"]} msgsize=64 >{where}/create && mkdir {where}/{QUEUES["sysv"]}''', payer=True)


def measure(bench, within, file, subjects):
    """A message to and from each of the subjects; the ratios are to the first. Each: the numbers of bench-packets."""
    batches, pairs = (100, 100) if bench.quick else (600, 100)
    lines = bench.output(*within, bench.program('bench-packets'), batches, pairs // 4 if file == 'msg' else pairs,
                         *(PREFIXES[file] + subject for subject in subjects), pinned=True,
                         timeout=PATIENCE).splitlines()
    return [[float(word) for word in line.split()[1:]] for line in lines]


def requests(bench):
    """The column `direct` is the plain mount, which the ratios are to."""
    every, null = bench.mount('every', 'namespaces'), bench.null()
    containers = [Container() for _ in range(2)]
    inside = [bench.mount('plain', within=container.within) for container in containers]
    outside = bench.mount('outside')
    for mount, within in ((outside, ()), *((m, c.within) for m, c in zip(inside, containers))):
        make_queues(bench, mount, within)
    bench.place(True, every, null, outside, *inside)
    bench.table.note('below, direct: a plain mount in the same place, which the ratios are to')
    for kind, queue in QUEUES.items():
        for file in PREFIXES:
            plain, own, nothing = measure(bench, containers[0].within, file, [
                f'{inside[0].path}/{queue}/{file}', f'{every.path}/{queue}/{file}', f'{null.path}/d/e/q/f'])
            there = [f'{every.path}/ns/{container.inum}/{queue}/{file}' for container in containers]
            beside, nothing_beside, other, turns = measure(bench, (), file, [
                f'{outside.path}/{queue}/{file}', f'{null.path}/d/e/q/f', there[0], ','.join(there)])
            for name, found, zero, base in (('own', own, nothing, plain), ('host, ns/', other, nothing_beside, beside),
                                            ('host, two by turns', turns, nothing_beside, beside)):
                for i, way in enumerate(('write', 'read')):
                    bench.table.row(f'{file}, {way}, {kind}, {name}, us', found[i], zero[i], base[i],
                                    found[2 + i], 1.3)
    for name, mount in (('plain', inside[0]), ('namespaces', every)):
        for kind, queue in QUEUES.items():
            found = bench.requests(f'{mount.path}/{queue}/msg', containers[0].within)
            bench.table.note(f'requests of one echo, {name}, {kind}: {found}')
    for ended in (*inside, *containers, outside, null, every):
        ended.end()


def switch(bench):
    there, look = bench.output(bench.program('bench-namespaces'), 'switch', 20000 if bench.quick else 200000,
                               pinned=True, timeout=PATIENCE).split()
    bench.table.row('setns(CLONE_NEWIPC), there and back, us', None, direct=float(there))
    bench.table.row('stat of /proc/self/ns/ipc, us', None, direct=float(look))


def crowd(bench):
    """Many namespaces at once. Each command meets a daemon that has seen none of them."""
    count = 1000
    for command in (['ls'], ['ls', '-l']):
        every = bench.mount('every', 'namespaces')
        folder, name = f'{every.path}/ns', f'{" ".join(command)} of {count:,} namespaces'
        before, resident, descriptors = len(os.listdir(folder)), every.resident_kib(), every.descriptors()
        people = subprocess.Popen([bench.program('bench-namespaces'), 'crowd', str(count)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if people.stdout.readline() != 'ready\n':
            sys.exit('the crowd does not come')
        for turn in ('first', 'second'):
            bench.table.row(f'{name}, {turn} time, ms', bench.timed(*command, folder), limit=1000)
        seen = len(os.listdir(folder)) - before
        if seen != count:
            sys.exit(f'{seen} namespaces of {count} are listed')
        bench.table.row('resident, each of them, KiB', (every.resident_kib() - resident) / count)
        bench.table.row('descriptors, each of them', (every.descriptors() - descriptors) / count)
        people.communicate(timeout=PATIENCE)
        bench.table.row('not listed any more, after the end of all, ms',
                        until(lambda: len(os.listdir(folder)) <= before), limit=1000)
        until(lambda: every.descriptors() <= descriptors + count // 100)
        bench.table.row('resident, after the end of all, each, KiB', (every.resident_kib() - resident) / count)
        every.end()


def lives(bench):
    """Does it grow?"""
    some, all_of_them = (100, 1000) if bench.quick else (1000, 10000)
    every, resident = bench.mount('every', 'namespaces'), []
    folder = f'{every.path}/ns'
    before = len(os.listdir(folder))
    for count in (some, all_of_them - some):
        rate = float(bench.output(bench.program('bench-namespaces'), 'lives', every.path, count, payer=True,
                                  timeout=PATIENCE))
        until(lambda: len(os.listdir(folder)) <= before)
        resident.append(every.resident_kib())
    bench.table.row(f'{all_of_them:,} lives of a container, a second', rate)
    bench.table.row(f'resident after {some:,} of them, KiB', resident[0])
    bench.table.row(f'resident after {all_of_them:,} of them, KiB', resident[1])
    bench.table.row('the growth between, KiB', resident[1] - resident[0], limit=64)
    every.end()
