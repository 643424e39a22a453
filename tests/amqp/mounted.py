# SPDX-License-Identifier: MIT
"""Steps of node.py: the queues of its node as a mount shows them.

$IPCFS is the daemon. What the node says itself comes from the helpers of node.py, which have
connections of their own.
"""
import errno
import os
import signal
import subprocess
import time

from peers import LIMIT, wait_until


def stat_of(pid):
    """Returns name, state and parent of a process; None if it has ended."""
    try:
        with open('/proc/%s/stat' % pid) as stat:
            name, rest = stat.read().split('(', 1)[1].rsplit(')', 1)
        return name, rest.split()[0], int(rest.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def ended(pid):
    """Returns whether a process has ended. Nobody waits for those of the starter then."""
    stat = stat_of(pid)
    return not stat or stat[1] == 'Z'


class Mount:
    """A mount with one connection, main, to these hosts. `tls`: settings of a log-in with TLS."""

    def __init__(self, folder, hosts=('127.0.0.1',), *settings, tls=()):
        self.folder, self.hosts, self.daemon = folder, hosts, None
        for name in 'mount', 'state':
            os.mkdir(self.path(name), 0o700)
        self.write('password', 'guest')
        self.configure(*(tls or ('tls = no', *self.guest(folder))), *settings)
        self.start()

    @staticmethod
    def guest(folder):
        """Returns the settings by which the user guest logs in, of a mount in this folder."""
        return 'user = guest', 'password_file = %s/password' % folder

    def configure(self, *settings):
        self.write('amqp.conf', '\n'.join((
            '[main]', 'host = ' + ', '.join(self.hosts), 'run_as = nobody',
            'helper = ' + os.environ['IPCFS_AMQP'], *settings)))

    def start(self):
        options = 'amqp=%s,state=%s' % (self.path('amqp.conf'), self.path('state'))
        self.daemon = subprocess.Popen([os.environ['IPCFS'], '-f', '-o', options,
                                        self.path('mount')])
        wait_until(lambda: os.path.exists(self.path('mount/amqp')))
        wait_until(lambda: self.says('state') == 'up')

    def unmount(self):
        """Removes the mount of a daemon that has not done it itself."""
        subprocess.run(['umount', '-l', self.path('mount')], check=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def queue(self, name):
        return self.path('mount/amqp/main/' + name)

    def write(self, name, text):
        with open(self.path(name), 'w') as out:
            os.fchmod(out.fileno(), 0o600)
            out.write(text + '\n')

    def says(self, name, queue=None):
        """Returns a value of amqp/status, or of a queue's status."""
        path = self.queue(queue) if queue else self.path('mount/amqp')
        with open(path + '/status') as status:
            return dict(line.rstrip('\n').split('=', 1) for line in status)[name]

    def sh(self, command, queue='mounted'):
        """Runs a command as a user types it. Returns what it printed; it must succeed."""
        return subprocess.run(['sh', '-euc', command], env={**os.environ, 'Q': self.queue(queue)},
                              check=True, stdout=subprocess.PIPE, text=True, timeout=LIMIT).stdout

    def drained(self, queue='mounted'):
        """Returns all messages of a queue. A node that has no time for an answer looks like one that is down."""
        lines, end = '', time.monotonic() + LIMIT
        while True:
            drain = subprocess.run(['cat', self.queue(queue) + '/drain'], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, timeout=LIMIT)
            lines += drain.stdout
            if drain.returncode == 0:
                return lines
            assert 'Host is down' in drain.stderr and time.monotonic() < end, drain.stderr

    def programs(self):
        """Returns the process ids of the daemon's ipcfs-amqp: two, unless one has just ended."""
        found = []
        for pid in filter(str.isdigit, os.listdir('/proc')):
            stat = stat_of(pid)
            parent = stat_of(stat[2]) if stat and stat[0] == 'ipcfs-amqp' else None
            if parent and (parent[0], parent[2]) == ('ipcfs-starter', self.daemon.pid):
                found.append(int(pid))
        return found

    def end(self):
        programs = self.programs()
        self.daemon.terminate()
        assert self.daemon.wait(LIMIT) == 0
        wait_until(lambda: all(map(ended, programs)))
        assert len(programs) == 2


class Steps:
    """The steps, which share a mount in this folder."""

    def __init__(self, folder, node):
        self.folder, self.node, self.mount = folder, node, None

    def reader(self, helpers, command):
        """Starts a reader of the empty queue, and returns it when the node knows that it waits."""
        env = {**os.environ, 'Q': self.mount.queue('mounted')}
        reader = subprocess.Popen(['sh', '-c', command], env=env, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
        wait_until(lambda: helpers.readers('mounted') == 1)
        return reader

    def a_mount_makes_a_queue(self, helpers):
        self.mount = Mount(self.folder)
        self.mount.sh('mkdir "$Q"; ! mkdir "$Q" 2>&1; cat "$Q/status"')
        assert 'mounted' in os.listdir(self.mount.path('mount/amqp/main'))
        helpers.ask('LOOK', 'mounted', error=0, messages=0)

    def a_written_line_is_stored_and_read(self, helpers):
        self.mount.sh('echo job1 > "$Q/lines"')
        helpers.ask('LOOK', 'mounted', messages=1)
        assert self.mount.sh('cat "$Q/msg"') == 'job1'

    def many_lines_of_one_write_keep_their_order(self, helpers):
        lines = self.mount.sh('seq 200')
        self.mount.sh('seq 200 > "$Q/lines"')
        helpers.ask('LOOK', 'mounted', messages=200)
        assert self.mount.drained() == lines
        assert self.mount.drained() == ''

    def a_waiting_reader_gets_what_comes(self, helpers):
        reader = self.reader(helpers, 'read -r line < "$Q/lines" && echo "$line"')
        self.mount.sh('echo late > "$Q/lines"')
        assert reader.communicate(timeout=LIMIT)[0] == 'late\n'
        wait_until(lambda: helpers.readers('mounted') == 0)

    def a_reader_that_is_killed_holds_nothing(self, helpers):
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGKILL:
            reader = self.reader(helpers, 'exec cat "$Q/msg"')
            reader.send_signal(number)
            assert reader.communicate(timeout=LIMIT)[0] == '' and reader.returncode == -number
            wait_until(lambda: helpers.readers('mounted') == 0)
            self.mount.sh('echo kept > "$Q/lines"')
            helpers.ask('LOOK', 'mounted', messages=1)
            assert self.mount.drained() == 'kept\n'

    def an_empty_queue_is_told_in_each_way(self, helpers):
        assert self.mount.drained() == ''
        for command, reason in (
                ('dd if="$Q/packets" iflag=nonblock bs=99 count=1', 'temporarily unavailable'),
                ('cat "$Q/within/0.3/msg"', 'timed out')):
            assert reason in self.mount.sh('! %s 2>&1' % command), command
        wait_until(lambda: helpers.readers('mounted') == 0)
        reader = self.reader(helpers, 'cat "$Q/within/60/msg"')
        self.mount.sh('echo soon > "$Q/within/60/lines"')
        assert reader.communicate(timeout=LIMIT)[0] == 'soon'

    def killed_programs_are_replaced(self, _):
        # The answer comes after the acknowledgements: else the last message would come again.
        assert not os.path.exists(self.mount.queue('unknown'))
        killed = self.mount.programs()
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        # Neither is told of an end of file: both wait for the next connection.
        self.mount.sh('echo again > "$Q/lines"')
        got = self.mount.sh('cat "$Q/msg"')
        assert got == 'again', got
        wait_until(lambda: int(self.mount.says('connects')) >= 4)
        assert len(killed) == 2 and not set(killed) & set(self.mount.programs())

    def an_alarm_holds_up_writers_alone(self, helpers):
        self.mount.sh('echo before > "$Q/lines"')
        self.node.control('set_vm_memory_high_watermark', 'absolute', '1')
        # The node says it to the first message that it does not take.
        writer = subprocess.Popen(['sh', '-c', 'echo after > "$1/lines"', '-',
                                   self.mount.queue('mounted')])
        wait_until(lambda: self.mount.says('state') == 'blocked')
        assert 'unavailable' in self.mount.sh(
            '! echo not | dd of="$Q/packets" oflag=nonblock bs=99 2>&1')
        assert self.mount.sh('cat "$Q/msg"') == 'before'
        reader = self.reader(helpers, 'cat "$Q/msg"')
        assert 'timed out' in self.mount.sh('! /bin/echo not 2>&1 > "$Q/within/0.3/lines"')
        assert writer.poll() is None
        self.node.control('set_vm_memory_high_watermark', '0.4')
        assert reader.communicate(timeout=LIMIT)[0] == 'after' and writer.wait(LIMIT) == 0
        wait_until(lambda: self.mount.says('state') == 'up')
        helpers.ask('LOOK', 'mounted', messages=0)  # those that failed are not sent later

    def a_queue_that_another_one_deletes_is_gone(self, helpers):
        reader = self.reader(helpers, 'cat "$Q/msg"')
        writer = os.open(self.mount.queue('mounted/lines'), os.O_WRONLY)
        helpers.ask('REMOVE', 'mounted', error=0)
        assert 'Identifier removed' in reader.communicate(timeout=LIMIT)[0]
        try:
            os.write(writer, b'lost\n')
            assert False
        except OSError as error:
            assert error.errno == errno.EIDRM
        os.close(writer)
        self.mount.sh('[ ! -e "$Q" ]; mkdir "$Q"')

    def the_management_api_lists_the_queues(self, helpers):
        self.mount.configure('tls = no', *Mount.guest(self.folder), 'api = http://127.0.0.1:15672')
        self.mount.daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: self.mount.says('listing') == 'api')
        for name, kind in ('theirs', 'quorum'), ('a/b', 'classic'):
            helpers.make(name, kind, error=0)
        wait_until(lambda: {'theirs', 'a%2Fb', 'mounted'} <= set(self.names()))
        self.mount.sh('printf 12345 > "$Q/msg"', 'theirs')
        # The node tells its statistics every five seconds.
        wait_until(lambda: os.stat(self.mount.queue('theirs')).st_size == 5)
        wait_until(lambda: self.mount.says('bytes', 'theirs') == '5')
        for queue, kind in ('theirs', 'quorum'), ('a%2Fb', 'classic'):
            assert self.mount.says('leader', queue) == "'%s'" % self.node.name
            assert self.mount.says('members', queue) == "'%s'" % self.node.name
            assert self.mount.says('type', queue) == kind
            assert '"x-queue-type":"%s"' % kind in self.mount.says('arguments', queue)
        wait_until(lambda: self.mount.says('unacked', 'theirs') == '0')
        for name in 'theirs', 'a/b':
            helpers.ask('REMOVE', name, error=0)
        wait_until(lambda: not {'theirs', 'a%2Fb'} & set(self.names()))

    def a_user_whom_the_management_api_refuses(self, _):
        self.node.control('set_user_tags', 'guest')
        self.mount.configure('tls = no', *Mount.guest(self.folder), 'api = http://localhost:15672')
        self.mount.daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: '401' in self.mount.says('api_error'))
        assert self.mount.says('listing') == 'known' and self.mount.says('state') == 'up'
        assert 'mounted' in self.names()
        self.node.control('set_user_tags', 'guest', 'administrator')

    def names(self):
        return os.listdir(self.mount.path('mount/amqp/main'))

    def rmdir_deletes_the_queue(self, helpers):
        self.mount.sh('echo lost > "$Q/lines"; rmdir "$Q"; [ ! -e "$Q" ]')
        helpers.ask('LOOK', 'mounted', error=errno.ENOENT)
        self.mount.end()

    def all(self):
        return (self.a_mount_makes_a_queue, self.a_written_line_is_stored_and_read,
                self.many_lines_of_one_write_keep_their_order,
                self.a_waiting_reader_gets_what_comes, self.a_reader_that_is_killed_holds_nothing,
                self.an_empty_queue_is_told_in_each_way, self.killed_programs_are_replaced,
                self.an_alarm_holds_up_writers_alone,
                self.a_queue_that_another_one_deletes_is_gone, *self.of_the_api(),
                self.rmdir_deletes_the_queue)

    def of_the_api(self):
        if not os.path.exists(os.environ['IPCFS_AMQP'] + '-api'):
            return ()
        return self.the_management_api_lists_the_queues, self.a_user_whom_the_management_api_refuses
