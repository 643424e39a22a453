#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""supervise_storm.py SECONDS SEED MOUNT=SUPERVISOR...

Workers of `-o supervise` are killed at random, while clients of all mounts, which show the same objects,
and direct callers use them. Several mounts, since a supervisor starts no more than ten workers in ten
seconds without a pause. Asserts:

- Nothing hangs: every call ends in time, and so does every wait once there is what it waits for.
- No call of a client gives another error than EIO, but for EAGAIN where it asked not to wait, and ESTALE
  of a list.
- A message whose sender was told of no error arrives once at most, whole, and behind the earlier messages
  of its sender. No more of them are missing than receivers were told EIO. In each queue one for 50 kills
  may be lost or doubled: docs/security.md says when.
- Of the messages that are leased each is done once, or sent once to the queue of the dead ones, whatever
  workers of jobs give back.
- The value of a semaphore is what was posted, less what was taken, but for the calls that got EIO.
- No more clients have a hold of a semaphore than its value allows, and at the end all are given back. No
  two are inside a monitor, and none waits in it for what was notified.

With UPGRADE=PROGRAM in the environment PROGRAM --upgrade is run in place of kills. Then no call gets EIO,
and no message is lost or doubled.

Prints the sums, and exits 1 if one of these is broken.
"""
import collections
import contextlib
import copy
import errno
import os
import random
import select
import signal
import subprocess
import sys
import time

from supervise_clients import (Client, DEAD, DEATHS, DRAINED, Direct, END, HANG, HELD, HOLDERS, KEY,
    LEASED, MONITORS, MOUNTS, NAME, QUEUES, SECONDS, SEED, SEMAPHORES, SHARED, UPGRADE, consume,
    hold, hold_directly, id_of, lease, look, post, produce, receive_by_descriptor, receive_by_path,
    receive_directly, receive_drain, receive_edges, send_by_descriptor, send_by_path, send_directly,
    send_packed, wait)


def worker_of(supervisor):
    with open('/proc/%d/task/%d/children' % (supervisor, supervisor), encoding='ascii') as file:
        for pid in file.read().split():
            with contextlib.suppress(OSError), open('/proc/%s/comm' % pid, encoding='ascii') as name:
                if name.read() == 'ipcfs-worker\n':
                    return int(pid)
    return 0


def kill(client, mount, supervisor):
    """Kills workers, now and then one that has not begun to serve. But three that were not ready cost all files."""
    early, deaths = False, []
    while SHARED.goes_on():
        if len(deaths) >= DEATHS and time.monotonic() - deaths[-DEATHS] < 10:
            time.sleep(0.05)
            continue
        early = not early and client.random.random() < 0.1
        if not early:
            with client.call():
                os.statvfs(mount)
        # It has answered a moment before it counts as one that has served.
        time.sleep(client.random.random() * 0.02 if early else 0.02 + client.random.random() ** 3 * 0.6)
        worker = worker_of(supervisor)
        if worker:
            os.kill(worker, signal.SIGKILL)
            client.sums['kills'] += 1
            deaths.append(time.monotonic())
        while worker and worker_of(supervisor) in (0, worker):
            time.sleep(0.002)


def upgrade(client, mount, _):
    while SHARED.goes_on():
        time.sleep(0.1 + client.random.random() * 0.6)
        done = subprocess.run([UPGRADE, '--upgrade', mount], check=False, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, encoding='utf-8')
        # on a busy machine the program may not come to run for five seconds
        assert done.returncode == 0 or 'it did not answer in time' in done.stderr, done.stderr
        client.sums['kills'] += done.returncode == 0


def watch():
    """Fails if a call does not end."""
    for client in Client.all:
        noted = SHARED.noted(client.index)
        if noted and time.monotonic() - noted > HANG:
            hangs(client)


def hangs(client):
    for one in Client.all:
        if one.fault:
            print('%s: %s' % (one.name, one.fault))
    print('%s (process %d) hangs:' % (client.name, client.pid))
    for name in ('stack', 'syscall', 'wchan'):
        with contextlib.suppress(OSError), open('/proc/%d/%s' % (client.pid, name), encoding='ascii') as file:
            print(file.read())
    for _, supervisor in MOUNTS:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(['gdb', '-p', str(worker_of(supervisor)), '-batch', '-ex', 'thread apply all backtrace'],
                           timeout=60, check=False)
    finish(1)


def finish(status):
    for client in Client.all:
        with contextlib.suppress(OSError):
            os.kill(client.pid, signal.SIGKILL)
    sys.stdout.flush()
    os._exit(status)


def ended(clients, what):
    """Waits until they have ended, and reads their reports."""
    poll, left = select.poll(), {client.report: client for client in clients}
    for report in left:
        poll.register(report, select.POLLIN)
    limit = time.monotonic() + 2 * HANG
    while left:
        for report, _ in poll.poll(1000):
            poll.unregister(report)
            left.pop(report).collect()
        if left and time.monotonic() > limit:
            print('not ended:', what, [client.name for client in left.values()])
            hangs(next(iter(left.values())))


def make(path):
    """There may be no space for a queue as long as another suite has too many."""
    deadline = time.monotonic() + HANG
    while True:
        try:
            return os.mkdir(path)
        except OSError as error:
            if error.errno != errno.ENOSPC or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def main():
    first = MOUNTS[0][0]
    for path in QUEUES + DRAINED + LEASED + (DEAD, 'posix/sem/' + NAME, 'sysv/sem/0x%08x' % KEY):
        make(first + '/' + path)
    for path in HELD + MONITORS:
        make(first + '/' + '/'.join(path.split('/')[:3]))
        with open(first + '/' + path + 'value', 'w', encoding='ascii') as file:
            file.write(str(HOLDERS if path in HELD else 1))
    receivers, senders, drains, others = {queue: [] for queue in QUEUES + LEASED}, [], [], []

    def any_mount():
        return chance.choice(MOUNTS)[0] + '/'
    chance = random.Random(SEED + 1)
    for queue in QUEUES:
        for name in ('/msg', '/packets', '/lines'):
            receivers[queue].append(Client('receive by path ' + queue + name, receive_by_path,
                                           any_mount() + queue, name))
        receivers[queue] += [
            Client('receive parts ' + queue, receive_by_descriptor, any_mount() + queue, 50),
            Client('receive lines ' + queue, receive_by_descriptor, any_mount() + queue, 4096),
            Client('receive edges ' + queue, receive_edges, any_mount() + queue),
            Client('receive directly ' + queue, receive_directly, queue)]
        for name in ('/msg', '/lines'):
            senders.append(Client('send by path ' + queue + name, send_by_path, any_mount() + queue, name))
        senders += [
            Client('send lines ' + queue, send_by_descriptor, any_mount() + queue, '/lines', False),
            Client('send halves ' + queue, send_by_descriptor, any_mount() + queue, '/lines', True),
            Client('send packets ' + queue, send_by_descriptor, any_mount() + queue, '/packets', False),
            Client('send without waiting ' + queue, send_packed, any_mount() + queue),
            Client('send directly ' + queue, send_directly, queue)]
    for queue in DRAINED:
        senders.append(Client('send to be drained ' + queue, send_by_descriptor, any_mount() + queue, '/lines', True))
        drains.append(Client('drain ' + queue, receive_drain, any_mount() + queue))
    for queue in LEASED:
        for name, halves in (('/lines', False), ('/packets', False)):
            senders.append(Client('send jobs ' + queue + name, send_by_descriptor, any_mount() + queue, name, halves))
        for _ in range(4):
            receivers[queue].append(Client('lease ' + queue, lease, any_mount() + queue))
    dead = Client('drain ' + DEAD, receive_drain, any_mount() + DEAD)
    for path in SEMAPHORES:
        for do in (post, wait) * 2:
            others.append(Client(do.__name__ + ' ' + path, do, any_mount() + path))
    for path in HELD:
        for name in ('hold', 'hold', 'hold', 'monitor'):
            others.append(Client('%s %s' % (name, path), hold, any_mount(), path, name))
        others.append(Client('hold directly ' + path, hold_directly, path))
    for place, (path, (mount, _)) in enumerate(zip(MONITORS, MOUNTS)):
        for _ in range(2):
            others.append(Client('produce ' + path, produce, mount + '/' + path, place))
        for _ in range(3):
            drains.append(Client('consume ' + path, consume, mount + '/' + path, place))
    for mount, _ in MOUNTS[:2]:
        others.append(Client('look ' + mount, look, mount))
    killers = [Client('kill ' + mount, upgrade if UPGRADE else kill, mount, supervisor) for mount, supervisor in MOUNTS]
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(0.1)
        watch()
    SHARED.end()
    ended(killers, 'killers')
    kills = sum(one.sums.get('kills', 0) for one in killers)
    # A post may have been lost; a waiter waits for it.
    spare = 4
    for path in SEMAPHORES:
        with open(first + '/' + path + 'post', 'w', encoding='ascii') as file:
            file.write(str(spare))
    ended(senders, 'senders')
    ended(others, 'others')
    for queue, clients in receivers.items():
        direct = Direct(queue)
        for _ in clients:
            direct.send(END)
        ended(clients, 'receivers of ' + queue)
    SHARED.end(1)
    wake_consumers()
    ended(drains + [dead], 'drains')
    judge(kills, senders, receivers, drains, dead, others, spare)


def wake_consumers():
    """Tells all who wait in monitors that nothing more is made."""
    for path, (mount, _) in zip(MONITORS, MOUNTS):
        with open(mount + '/' + path + 'monitor', 'w', encoding='ascii') as file:
            file.write('broadcast made\n')


def check_order(client, again, problems):
    """Messages of one sender come in order to one receiver, but for those that came again."""
    last = {}
    for sender, number, *_ in client.got:
        if (sender, number) in again:
            continue
        if number <= last.get(sender, -1):
            problems.append('%s: %d.%d behind %d.%d' % (client.name, sender, number, sender, last[sender]))
        last[sender] = number


def check_messages(senders, receivers, lost, what, problems, spared, ordered=True):
    sure = {(one.index, number) for one in senders for number in one.sent}
    maybe = {(one.index, number) for one in senders for number in one.maybe}
    indexes = {one.index for one in senders}
    got = collections.Counter()
    for one in receivers:
        again = []
        for sender, number, *cut in one.got:
            got[sender, number] += 1
            if got[sender, number] > 1:
                again.append((sender, number))
            if cut and (sender, number) in sure:
                problems.append('%s: %d.%d is not whole' % (one.name, sender, number))
        if ordered:
            check_order(one, again, problems)
    doubled = [one for one in got if got[one] > 1]
    if len(doubled) <= spared:
        doubled = []
    unknown = [one for one in got if one not in sure and one not in maybe]
    missing = [one for one in sure if not got[one]]
    print('%s: %d sent, %d may be, %d got, %d missing, %d lost by EIO' %
          (what, len(sure), len(maybe), sum(got.values()), len(missing), lost))
    assert all(sender in indexes for sender, _ in got), got
    problems += ['%s: doubled %s' % (what, one) for one in doubled if one in sure]
    problems += ['%s: never sent %s' % (what, one) for one in unknown]
    for one in doubled:
        if one not in sure:
            print('%s: %s got EIO, and came twice' % (what, one))
    if len(missing) > lost + spared:
        problems.append('%s: %d missing: %s' % (what, len(missing), sorted(missing)[:20]))


def value_of(path):
    with open(MOUNTS[0][0] + '/' + path + 'value', encoding='ascii') as file:
        return int(file.read())


def check_semaphore(path, clients, spare, problems):
    sums = collections.Counter()
    for one in clients:
        sums.update(one.sums)
    value = value_of(path)
    low = 1 + spare + sums['post'] - sums['wait'] - sums['wait EIO']
    high = 1 + spare + sums['post'] + sums['post EIO'] - sums['wait']
    print('%s: %s value %d, of %d to %d' % (path, dict(sums), value, low, high))
    if not low <= value <= high:
        problems.append('%s: %d is not in %d to %d' % (path, value, low, high))


def drain_rest(queue, client):
    """Counts what is left in a queue as the client's."""
    with open(MOUNTS[0][0] + '/' + queue + '/drain', 'rb') as file:
        client.got += [id_of(line) for line in file if line.strip() != END]


def check_holds(clients, problems):
    """What was held is given back, and what was made was taken."""
    deadline = time.monotonic() + HANG
    for path in HELD + MONITORS:
        right = HOLDERS if path in HELD else 1
        while value_of(path) != right and time.monotonic() < deadline:
            time.sleep(0.1)
        sums = collections.Counter()
        for one in clients:
            if one.name.endswith(path):
                sums.update(one.sums)
        print('%s: %s, value %d' % (path, dict(sums), value_of(path)))
        if value_of(path) != right:
            problems.append('%s: %d is not %d' % (path, value_of(path), right))
        if sums['produced'] != sums['consumed']:
            problems.append('%s: not all was consumed' % path)


def judge(kills, senders, receivers, drains, dead, others, spare):
    consumers = [one for one in drains if one.name.startswith('consume')]
    problems, spared = [], 0 if UPGRADE else kills // 50
    drain_rest(DEAD, dead)
    for queue in LEASED:
        drain_rest(queue, receivers[queue][0])
        jobs = [one for one in senders if queue in one.name]
        indexes = [one.index for one in jobs]
        done = copy.copy(dead)
        done.got = [one for one in dead.got if one[0] in indexes]
        check_messages(jobs, receivers[queue] + [done], sum(one.sums.get('lost', 0) for one in receivers[queue]),
                       queue, problems, spared, ordered=False)
        with open(MOUNTS[0][0] + '/' + queue + '/status', encoding='ascii') as file:
            if 'leased=0\n' not in file.read():
                problems.append('%s: a lease is left' % queue)
    for queue, clients in receivers.items():
        if queue in LEASED:
            continue
        check_messages([one for one in senders if queue in one.name], clients,
                       sum(one.sums.get('lost', 0) for one in clients), queue, problems, spared)
    for queue, one in zip(DRAINED, [one for one in drains if one not in consumers]):
        with open(MOUNTS[0][0] + '/' + queue + '/drain', 'rb') as file:
            one.got += [id_of(line) for line in file]
        check_messages([one for one in senders if one.name.endswith(queue)], [one],
                       1000 * one.sums.get('drains lost', 0), queue, problems, spared)
    for path in SEMAPHORES:
        check_semaphore(path, [one for one in others if one.name.endswith(path)], spare, problems)
    check_holds(others + consumers, problems)
    errors, slowest = collections.Counter(), max(Client.all, key=lambda one: one.slowest)
    for one in Client.all:
        errors.update(one.errors)
        if one.fault:
            problems.append('%s: %s' % (one.name, one.fault))
    print('%d kills, %d calls, errors %s, the slowest call %.2f s (%s)' %
          (kills, sum(one.calls for one in Client.all), dict(errors), slowest.slowest, slowest.name))
    for one in problems:
        print('PROBLEM', one)
    finish(bool(problems))


main()
