#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""cluster.py: two mounts, as of two hosts, share queues of three nodes that are killed and stopped.

Prints TAP. $IPCFS_AMQP is the program ipcfs-amqp, $IPCFS the daemon. Enters namespaces of its own,
as node.py does. $IPCFS_TEST_SEED chooses what is killed when.

Writers and readers work all the time. What a writer's system calls said is compared with what the
readers got, at the end.
"""
import collections
import errno
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

import rabbit
from load import SLOT, Load
from mounted import Mount, ended
from peers import LIMIT, Daemon, wait_until

NODES = 3
NODE_KILLS = 5
STOPS = 0, 4  # before these kills a node is stopped
PROGRAM_KILLS = 20
FROZEN = 12  # seconds that a node is stopped
CALM = 2  # seconds without a kill
DRAINED = LIMIT  # seconds for readers to get all that is stored
QUEUES = 'quorum', 'plain', 'jobs'  # messages of the last one are taken by lease


class Test:
    """The state that the steps share."""

    def __init__(self):
        self.seed = int(os.environ.get('IPCFS_TEST_SEED', time.time_ns() % 100000))
        self.random = random.Random(self.seed)
        self.begin = time.monotonic()
        self.nodes, self.mounts, self.loads, self.descriptors = [], [], [], []
        self.killed = collections.Counter()
        self.counts = collections.Counter()  # by queue and name; of daemons that have ended, too
        self.next_kill = 0

    def note_counts(self, mount):
        """Adds what a daemon says that may be there twice."""
        for queue in QUEUES:
            for name in 'resent', 'redelivered':
                self.counts[queue, name] += int(mount.says(name, queue))

    def harass(self):
        """Kills a program of either mount, or a reader, a few times a second."""
        time.sleep(0.1)
        if time.monotonic() < self.next_kill:
            return
        self.next_kill = time.monotonic() + self.random.uniform(0.5, 2)
        host = self.random.randrange(2)
        programs = self.mounts[host].programs()
        if programs and self.random.random() < 0.6:
            os.kill(self.random.choice(programs), signal.SIGKILL)
            self.killed['programs'] += 1
        else:
            self.loads[host].kill_reader(self.random)
            self.killed['readers'] += 1
        self.loads[host].check()

    def of_all(self, what, *arguments):
        """Returns what all loads say, as one list."""
        return [one for load in self.loads for one in getattr(load, what)(*arguments)]

    def until_up(self):
        for mount in self.mounts:
            wait_until(lambda mount=mount: mount.says('state') == 'up')

    def until_all_go_on(self):
        """Waits until each writer has stored something."""
        before = self.of_all('stored')
        wait_until(lambda: all(map(int.__lt__, before, self.of_all('stored'))))


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
    # Their leaders are with the first mount's node.
    os.mkdir(one.queue('quorum'))
    os.mkdir(one.queue('jobs'))
    make_classic(other, 'plain')
    for mount, reader in (one, other), (other, one):
        for queue in QUEUES:
            mount.sh('echo there > "$Q/lines"', queue)
            assert reader.sh('cat "$Q/msg"', queue) == 'there'
    test.descriptors = [descriptors(mount) for mount in test.mounts]


def worker_of(mount):
    """Starts a worker that takes a job, prints it, and keeps it."""
    return subprocess.Popen(['sh', '-ec', 'exec 9<>"$0/lease"; cat <&9; exec sleep 600',
                             mount.queue('jobs')], stdout=subprocess.PIPE)


def a_job_goes_to_the_other_host_if_its_worker_ends(test):
    one, other = test.mounts
    one.sh('echo first > "$Q/lines"', 'jobs')
    worker = worker_of(one)
    assert worker.stdout.read(5) == b'first'
    assert other.drained('jobs') == ''
    worker.kill()
    worker.wait()
    assert other.sh('cat "$Q/msg"', 'jobs') == 'first'


def a_job_goes_to_the_other_host_if_its_connection_ends(test):
    one, other = test.mounts
    one.sh('echo second > "$Q/lines"', 'jobs')
    lease = os.open(one.queue('jobs/lease'), os.O_RDWR)
    assert os.read(lease, SLOT) == b'second'
    for pid in one.programs():
        os.kill(pid, signal.SIGKILL)
    assert other.sh('cat "$Q/msg"', 'jobs') == 'second'
    try:
        os.write(lease, b'done\n')
        assert False
    except OSError as error:
        assert error.errno == errno.ESTALE, error
    os.close(lease)
    test.until_up()


def a_job_goes_to_the_other_host_if_its_node_ends(test):
    """The queue's leader is another node. The worker waits for its job, so it has a consumer."""
    one, other = test.mounts
    worker = worker_of(other)
    wait_until(lambda: one.says('consumers', 'jobs') == '1')
    one.sh('echo third > "$Q/lines"', 'jobs')
    assert worker.stdout.read(5) == b'third'
    time.sleep(CALM)  # until the broker has done all that it was asked for
    test.nodes[1].kill()
    assert one.sh('cat "$Q/msg"', 'jobs') == 'third'
    worker.kill()
    worker.wait()
    test.nodes[1].start()
    test.nodes[1].await_start()
    test.until_up()


def the_load_begins(test):
    test.loads = [Load(host, mount, QUEUES) for host, mount in zip('ab', test.mounts)]
    test.until_all_go_on()


def stop_for_a_while(test, node):
    node.signal(signal.SIGSTOP)
    test.killed['stopped'] += 1
    end = time.monotonic() + FROZEN
    while time.monotonic() < end:
        test.harass()
    node.signal(signal.SIGCONT)
    test.until_all_go_on()


def nodes_are_killed_and_stopped_in_turn(test):
    for number in range(NODE_KILLS):
        node = test.nodes[number % NODES]
        if number in STOPS:
            stop_for_a_while(test, node)
        node.kill()
        test.killed['nodes'] += 1
        node.start()
        node.await_start(test.harass)
        test.until_all_go_on()


def programs_and_readers_are_killed(test):
    end = time.monotonic() + LIMIT
    while test.killed['programs'] < PROGRAM_KILLS:
        assert time.monotonic() < end
        test.harass()


def a_daemon_is_killed(test):
    mount, load = test.mounts[1], test.loads[1]
    test.until_up()
    test.until_all_go_on()
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
    # It knows no queue yet. A broker that has no time to tell of one is down for those who open it.
    wait_until(lambda: all(os.path.exists(mount.queue(queue)) for queue in QUEUES))
    test.loads.append(Load('c', mount, QUEUES))
    test.until_all_go_on()


def lost(test, queue):
    """Returns what was stored, and was not read yet."""
    read = {text for text, _ in test.of_all('got', queue)}
    return set(test.of_all('written', queue)) - read - set(test.of_all('unsure', queue))


def rests(test):
    """Returns whether no message is on its way, nor leased."""
    return all(test.mounts[0].says('messages', queue) == '0' for queue in QUEUES) and not any(
        load.leases() for load in test.loads)


def counts_of(test):
    """Returns what the broker and the mounts say of the queues, in a line."""
    columns = 'name', 'messages_ready', 'messages_unacknowledged', 'consumers'
    said = test.nodes[0].control('--quiet', '--formatter', 'csv', 'list_queues', *columns).split()
    for mount in test.mounts:
        said += ['%s: %s wait' % (queue, mount.says('waiting_readers', queue)) for queue in QUEUES]
    return '; '.join(said)


def what_was_stored_is_read(test):
    test.until_up()
    for load in test.loads:
        load.stop_writers(DRAINED)
    end = time.monotonic() + DRAINED
    missing = True
    # Copies come, too.
    while missing or not rests(test) or time.sleep(CALM) or not rests(test):
        missing = set().union(*(lost(test, queue) for queue in QUEUES))
        assert time.monotonic() < end, 'lost: %s; %s' % (sorted(missing)[:9], counts_of(test))
        for load in test.loads:
            load.check()
        time.sleep(0.3)
    for load in test.loads:
        load.check()


def nothing_is_held_for_nobody(test):
    for load in test.loads:
        load.end()
    time.sleep(CALM)
    for queue in QUEUES:
        # The broker may count one that was cancelled just before its node was killed.
        if test.mounts[0].says('consumers', queue) != '0':
            print(test.nodes[0].control('list_consumers', 'queue_name', 'channel_pid', 'active'))
        test.mounts[0].sh('seq 10 > "$Q/lines"', queue)
        wait_until(lambda queue=queue: test.mounts[1].says('messages', queue) == '10')
        time.sleep(CALM)
        assert test.mounts[1].says('messages', queue) == '10'
        assert test.mounts[1].drained(queue) == test.mounts[0].sh('seq 10')


def doubles_are_flagged_or_counted(test):
    for mount in test.mounts:
        test.note_counts(mount)
    for queue in QUEUES:
        resent, redelivered = (test.counts[queue, name] for name in ('resent', 'redelivered'))
        got = test.of_all('got', queue)
        read = collections.Counter(text for text, _ in got)
        doubles = sum(read.values()) - len(read)
        print('# %s: %d stored, %d read, %d doubled; %d resent, %d redelivered' % (
            queue, len(test.of_all('written', queue)), len(read), doubles, resent, redelivered))
        never = set(read) - set(test.of_all('tried', queue))
        assert not never, 'never sent: %s' % sorted(never)[:9]
        assert doubles <= resent + redelivered
        # The copies of a leased message tell that they are copies, unless it was sent again.
        sole = collections.Counter(text for text, flagged in got if not flagged)
        assert queue != 'jobs' or sum(sole.values()) - len(sole) <= resent
    print('# killed: %s; longest write %.1f s; %.0f s' % (
        dict(test.killed), max(load.longest() for load in test.loads),
        time.monotonic() - test.begin))


def messages_of_a_sender_keep_their_order(test):
    """The broker says which ones may not: those that it flags redelivered."""
    for load in test.loads:
        late = load.late()
        assert late <= test.counts['plain', 'redelivered'], late


def descriptors(mount):
    """Returns what the daemon has open, by kind; but for those of its session threads."""
    folder = '/proc/%d/fd' % mount.daemon.pid
    kinds = collections.Counter()
    for name in os.listdir(folder):
        try:
            # Process ids and inodes are numbers.
            kinds[re.sub(r'\d+', 'N', os.readlink(os.path.join(folder, name)))] += 1
        except FileNotFoundError:  # it was just closed
            pass
    del kinds['/dev/fuse']
    return kinds


def left_processes():
    return [pid for pid in map(int, filter(str.isdigit, os.listdir('/proc')))
            if not ended(pid) and not rabbit.is_of_a_node(pid)]


def nothing_is_left(test):
    for mount, before in zip(test.mounts, test.descriptors):
        wait_until(lambda mount=mount, before=before: descriptors(mount) <= before)
    for queue in QUEUES:
        os.rmdir(test.mounts[0].queue(queue))
    for mount in test.mounts:
        mount.end()
    wait_until(lambda: rabbit.connections() == 0)
    wait_until(lambda: left_processes() == [os.getpid()])


def main():
    rabbit.prepare()
    test = Test()
    print('# seed %d' % test.seed)
    if 'IPCFS' not in os.environ:
        print('1..0 # SKIP a daemon without amqp=')
        sys.exit(77)
    rabbit.run_steps((
        three_nodes_make_a_cluster, two_mounts_share_its_queues,
        a_job_goes_to_the_other_host_if_its_worker_ends,
        a_job_goes_to_the_other_host_if_its_connection_ends,
        a_job_goes_to_the_other_host_if_its_node_ends, the_load_begins,
        nodes_are_killed_and_stopped_in_turn, programs_and_readers_are_killed, a_daemon_is_killed,
        what_was_stored_is_read, nothing_is_held_for_nobody, doubles_are_flagged_or_counted,
        messages_of_a_sender_keep_their_order, nothing_is_left), test)


main()
