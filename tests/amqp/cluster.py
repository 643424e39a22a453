#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""cluster.py: two mounts, as of two hosts, share queues of three nodes that are killed in turn.

Prints TAP. $IPCFS_AMQP is the program ipcfs-amqp, $IPCFS the daemon. Enters namespaces of its own,
as node.py does. $IPCFS_TEST_SEED chooses what is killed when.

Writers and readers work all the time. What a writer's system calls said is compared with what the
readers got, at the end.
"""
import collections
import os
import random
import re
import signal
import sys
import tempfile
import time

import rabbit
from load import Load
from mounted import Mount, ended
from peers import LIMIT, Daemon, wait_until

NODES = 3
NODE_KILLS = 5
PROGRAM_KILLS = 20
FROZEN = 12  # seconds that a node is stopped
CALM = 2  # seconds without a kill
DRAINED = 2 * LIMIT  # seconds for readers to get all that is stored
QUEUES = 'quorum', 'plain'


class Test:
    """The state that the steps share."""

    def __init__(self):
        self.seed = int(os.environ.get('IPCFS_TEST_SEED', time.time_ns() % 100000))
        self.random = random.Random(self.seed)
        self.nodes, self.mounts, self.loads, self.descriptors = [], [], [], []
        self.killed = collections.Counter()
        self.counts = collections.Counter()  # of daemons that were killed
        self.next_kill = 0

    def note_counts(self, mount):
        """Adds what a daemon says that may be there twice."""
        for name in 'resent', 'redelivered':
            self.counts[name] += int(mount.says(name))

    def harass(self):
        """Kills a program of either mount, or a reader, a few times a second."""
        time.sleep(0.1)
        if time.monotonic() < self.next_kill:
            return
        self.next_kill = time.monotonic() + self.random.uniform(0.3, 1.2)
        host = self.random.randrange(2)
        programs = self.mounts[host].programs()
        if programs and self.random.random() < 0.7:
            os.kill(self.random.choice(programs), signal.SIGKILL)
            self.killed['programs'] += 1
        else:
            self.loads[host].kill_reader(self.random)
            self.killed['readers'] += 1
        self.loads[host].check()

    def read(self):
        return [text for load in self.loads for text in load.read()]

    def until_up(self):
        for mount in self.mounts:
            wait_until(lambda mount=mount: mount.says('state') == 'up')


def make_classic(mount, name):
    """Makes a queue of the broker's other sort, on the mount's first node."""
    helper = Daemon('consume')
    helper.login(5672, host=mount.hosts[0], password_file=mount.path('password'))
    helper.expect('UP')
    helper.send('MAKE', number=1, text='%s\0classic\0' % name + 6 * '\0')
    helper.expect('ANSWER', number=1, error=0)
    assert helper.end() == 0


def three_nodes_make_a_cluster(test):
    names = ['r%d@127.0.0.%d' % (number, number) for number in range(1, NODES + 1)]
    with open(rabbit.HOME + '/.erlang.cookie', 'w') as cookie:
        cookie.write('COOKIE')
        os.fchmod(cookie.fileno(), 0o400)
        rabbit.give(cookie.name)
    test.nodes = [rabbit.Node(number, names) for number in range(1, NODES + 1)]
    for node in test.nodes:
        node.await_start()


def two_mounts_share_its_queues(test):
    for host in range(2):
        folder = tempfile.mkdtemp(dir=rabbit.HOME)
        hosts = ['127.0.0.%d' % (1 + (host + i) % NODES) for i in range(NODES)]
        test.mounts.append(Mount(folder, hosts, 'heartbeat = 3'))
    one, other = test.mounts
    # Its leader is with the first mount's node.
    os.mkdir(one.queue('quorum'))
    make_classic(other, 'plain')
    for mount, reader in (one, other), (other, one):
        for queue in QUEUES:
            mount.sh('echo there > "$Q/lines"', queue)
            assert reader.sh('cat "$Q/msg"', queue) == 'there'
    test.descriptors = [descriptors(mount) for mount in test.mounts]
    test.loads = [Load(host, mount, QUEUES) for host, mount in zip('ab', test.mounts)]


def the_leader_is_stopped_for_a_while(test):
    time.sleep(CALM)
    test.nodes[0].signal(signal.SIGSTOP)
    time.sleep(FROZEN)
    test.nodes[0].signal(signal.SIGCONT)
    stored = test.loads[1].stored()
    wait_until(lambda: test.loads[1].stored() > stored)


def nodes_are_killed_in_turn(test):
    for number in range(NODE_KILLS):
        node = test.nodes[number % NODES]
        node.kill()
        test.killed['nodes'] += 1
        node.start()
        node.await_start(test.harass)


def programs_and_readers_are_killed(test):
    end = time.monotonic() + LIMIT
    while test.killed['programs'] < PROGRAM_KILLS:
        assert time.monotonic() < end
        test.harass()


def a_daemon_is_killed(test):
    mount, load = test.mounts[1], test.loads[1]
    test.until_up()
    time.sleep(CALM)
    test.note_counts(mount)
    programs = mount.programs()
    assert len(programs) == 2
    load.expect_end()
    mount.daemon.kill()
    mount.daemon.wait()
    wait_until(lambda: all(map(ended, programs)))
    load.end()
    mount.unmount()
    mount.start()
    test.loads.append(Load('c', mount, QUEUES))
    time.sleep(CALM)


def what_was_stored_is_read(test):
    test.until_up()
    for load in test.loads:
        load.stop_writers(DRAINED)
    end = time.monotonic() + DRAINED
    missing = True
    while missing:
        missing = set().union(*(load.written() for load in test.loads)) - set(test.read())
        assert not missing or time.monotonic() < end, 'lost: %s' % sorted(missing)[:9]
        time.sleep(0.3)
    # Copies come, too.
    for queue in QUEUES:
        wait_until(lambda queue=queue: test.mounts[0].says('messages', queue) == '0')
    for load in test.loads:
        load.check()


def nothing_is_held_for_nobody(test):
    for load in test.loads:
        load.end()
    time.sleep(CALM)
    for queue in QUEUES:
        # The broker may list the consumers of a node that was killed. No message goes to them.
        consumers = test.mounts[0].says('consumers', queue)
        if consumers != '0':
            print('# %s has %s consumers' % (queue, consumers))
        test.mounts[0].sh('seq 10 > "$Q/lines"', queue)
        wait_until(lambda queue=queue: test.mounts[1].says('messages', queue) == '10')
        time.sleep(CALM)
        assert test.mounts[1].says('messages', queue) == '10'
        assert test.mounts[1].drained(queue) == test.mounts[0].sh('seq 10')


def doubles_are_flagged_or_counted(test):
    for mount in test.mounts:
        test.note_counts(mount)
    read = collections.Counter(test.read())
    tried = set().union(*(load.tried() for load in test.loads))
    assert not set(read) - tried, 'never sent: %s' % sorted(set(read) - tried)[:9]
    doubles = sum(read.values()) - len(read)
    written = sum(load.stored() for load in test.loads)
    print('# %d stored, %d read, %d doubled; %s; killed %s; longest write %.1f s' % (
        written, len(read), doubles, dict(test.counts), dict(test.killed),
        max(load.longest() for load in test.loads)))
    assert doubles <= test.counts['resent'] + test.counts['redelivered']
    assert written > 1000


def messages_of_a_sender_keep_their_order(test):
    """The broker says which ones may not: those that it flags redelivered."""
    for load in test.loads:
        late = load.late()
        assert late <= test.counts['redelivered'], late


def descriptors(mount):
    """Returns what the daemon has open, by kind; but for those of its session threads."""
    folder = '/proc/%d/fd' % mount.daemon.pid
    # Process ids and inodes are numbers.
    kinds = collections.Counter(re.sub(r'\d+', 'N', os.readlink(os.path.join(folder, name)))
                                for name in os.listdir(folder))
    del kinds['/dev/fuse']
    return kinds


def connections():
    """Returns how many connections to a node there are."""
    with open('/proc/net/tcp') as table:
        lines = [line.split() for line in table][1:]
    return sum(line[3] == '01' and line[2].endswith(':%04X' % 5672) for line in lines)


def nothing_is_left(test):
    for mount, before in zip(test.mounts, test.descriptors):
        wait_until(lambda mount=mount, before=before: descriptors(mount) <= before)
    for queue in QUEUES:
        os.rmdir(test.mounts[0].queue(queue))
    for mount in test.mounts:
        mount.end()
    wait_until(lambda: connections() == 0)
    left = [pid for pid in map(int, filter(str.isdigit, os.listdir('/proc')))
            if not ended(pid) and not rabbit.is_of_a_node(pid)]
    assert left == [os.getpid()], left


def main():
    rabbit.prepare()
    test = Test()
    print('# seed %d' % test.seed)
    if 'IPCFS' not in os.environ:
        print('1..0 # SKIP a daemon without amqp=')
        sys.exit(77)
    rabbit.run_steps((
        three_nodes_make_a_cluster, two_mounts_share_its_queues, the_leader_is_stopped_for_a_while,
        nodes_are_killed_in_turn, programs_and_readers_are_killed, a_daemon_is_killed,
        what_was_stored_is_read, nothing_is_held_for_nobody, doubles_are_flagged_or_counted,
        messages_of_a_sender_keep_their_order, nothing_is_left), test)


main()
