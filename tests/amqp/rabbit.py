# SPDX-License-Identifier: MIT
"""Real nodes of RabbitMQ, in namespaces of a test's own, and how its steps are run and told."""
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback

from peers import WAIT, own_network

SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server'
CONTROL = '/usr/lib/rabbitmq/bin/rabbitmqctl'
HOME = '/var/lib/rabbitmq'
LOGS = '/var/log/rabbitmq'
START = 18 * WAIT  # seconds for a node to start, on a machine that does much else


def prepare():
    """Enters the namespaces, and goes on as their first process. Returns in that one only."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.getuid() or not os.path.exists(SERVER):
        print('1..0 # SKIP no root, or no rabbitmq-server')
        sys.exit(77)
    if not own_network() or libc.unshare(0x20000000 | 0x00020000 | 0x08000000):
        print('1..0 # SKIP no namespaces')
        sys.exit(77)
    child = os.fork()
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: nothing is left if the test is killed
    for source, target, kind, flags in (
            (None, b'/', None, 0x44000), (b'proc', b'/proc', b'proc', 0),
            (b'tmpfs', HOME.encode(), b'tmpfs', 0), (b'tmpfs', LOGS.encode(), b'tmpfs', 0),
            (b'tmpfs', b'/dev/shm', b'tmpfs', 0)):
        assert not libc.mount(source, target, kind, flags, None), (target, ctypes.get_errno())
    for folder in HOME, LOGS:
        give(folder)


def give(path):
    """Gives a file to the nodes."""
    shutil.chown(path, 'rabbitmq', 'rabbitmq')


class Node:
    """A node, alone or one of several. Its data are below `folder`, and outlive it."""

    def __init__(self, number=0, others=(), settings=(), plugins=(), folder=HOME):
        self.address = '127.0.0.%d' % (number or 1)
        self.name = 'r%d@%s' % (number, self.address) if number else 'rabbit@localhost'
        self.folder = os.path.join(folder, str(number))
        os.mkdir(self.folder)
        give(self.folder)
        with open(self.folder + '/node.conf', 'w') as conf:
            conf.write('listeners.tcp.1 = %s:5672\nloopback_users = none\n' % self.address)
            for place, other in enumerate(others, 1):
                conf.write('cluster_formation.classic_config.nodes.%d = %s\n' % (place, other))
            if others:
                conf.write('cluster_formation.peer_discovery_backend = classic_config\n')
            conf.writelines(line + '\n' for line in settings)
        with open(self.folder + '/plugins', 'w') as enabled:
            enabled.write('[%s].\n' % ', '.join(plugins))
        # epmd is asked at a node's own address. No two nodes may have the same port for each other.
        self.env = {
            'HOME': folder, 'PATH': os.environ['PATH'], 'RUNNING_UNDER_SYSTEMD': '1',
            'RABBITMQ_CONFIG_FILE': self.folder + '/node.conf', 'RABBITMQ_NODENAME': self.name,
            'RABBITMQ_MNESIA_BASE': self.folder, 'RABBITMQ_LOG_BASE': self.folder,
            'RABBITMQ_ENABLED_PLUGINS_FILE': self.folder + '/plugins',
            'RABBITMQ_DIST_PORT': str(25672 + number),
            'RABBITMQ_USE_LONGNAME': 'true' if number else 'false',
            'ERL_EPMD_ADDRESS': '127.0.0.1,127.0.0.2,127.0.0.3' if number else '127.0.0.1',
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': '+S 1:1 +sbwt none'}
        self.process = None
        self.start()

    def user(self):
        return {'user': 'rabbitmq', 'group': 'rabbitmq', 'extra_groups': [], 'env': self.env,
                'cwd': self.folder}

    def start(self):
        self.process = subprocess.Popen([SERVER], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, **self.user())

    def control(self, *arguments):
        """Runs rabbitmqctl, which takes a second or two, and returns its output."""
        return subprocess.run([CONTROL, '--node', self.name, *arguments], check=True, timeout=START,
                              stdout=subprocess.PIPE, text=True, **self.user()).stdout

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def answers(self):
        """Returns whether the node speaks AMQP."""
        try:
            with socket.create_connection((self.address, 5672), 5) as probe:
                probe.sendall(b'AMQP\0\0\x09\x01')
                return bool(probe.recv(1))
        except OSError:
            return False

    def await_start(self, meanwhile=lambda: time.sleep(0.1)):
        end = time.monotonic() + START
        while not self.answers():
            assert time.monotonic() < end, '%s does not start' % self.name
            meanwhile()


def connections(port=5672):
    """Returns how many connections to this port of nodes there are."""
    with open('/proc/net/tcp') as table:
        lines = [line.split() for line in table][1:]
    return sum(line[3] == '01' and line[2].endswith(':%04X' % port) for line in lines)


def is_of_a_node(pid):
    """Returns whether the process is a node's, or has ended."""
    try:
        return pwd.getpwuid(os.stat('/proc/%d' % pid).st_uid).pw_name == 'rabbitmq'
    except FileNotFoundError:
        return True


def run_steps(steps, argument):
    """Runs the steps, which get the argument, and prints TAP. The first failure ends the test."""
    print('1..%d' % len(steps))
    for number, step in enumerate(steps, 1):
        try:
            step(argument)
        except Exception:
            # The later ones need what this one has left.
            print('not ok %d - %s' % (number, step.__name__))
            print('\n'.join('# ' + line for line in traceback.format_exc().splitlines()))
            sys.exit(1)
        print('ok %d - %s' % (number, step.__name__), flush=True)
