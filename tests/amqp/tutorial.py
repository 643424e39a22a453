#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tutorial.py: runs what the tutorial prints about a broker, with tests/tools/documents.

Prints TAP. $IPCFS and $IPCFS_AMQP are the programs, which are installed in the namespaces that the
script enters, as node.py does. The packages that the tutorial installs are there already.
"""
import ctypes
import os
import subprocess
import sys

import rabbit
from mounted import ended

SOURCE = os.path.join(os.path.dirname(os.path.realpath(__file__)), '../..')
PROGRAMS = {'bin/ipcfs': os.environ.get('IPCFS', ''),
            'libexec/ipcfs-amqp': os.environ['IPCFS_AMQP'], 'bin/apt-get': '/bin/true'}


def install():
    libc = ctypes.CDLL(None)
    libc.unshare(0x04000000)  # the node's name is the host's
    libc.sethostname(b'localhost', 9)
    for target in b'/run', b'/usr/local', b'/root':
        assert not libc.mount(b'tmpfs', target, b'tmpfs', 0, b'mode=755')
    for name, program in PROGRAMS.items():
        path = os.path.join('/usr/local', name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # Not a link: the daemon executes no program in a folder that others may change.
        subprocess.run(['cp', program, path], check=True)


def the_tutorial_sends_a_job_from_one_mount_to_another(_):
    env = {**os.environ, 'HOME': '/root', 'PATH': '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'}
    done = subprocess.run([SOURCE + '/tests/tools/documents', SOURCE + '/docs/tutorial.md',
                           'Queues of a broker'], env=env, stdout=subprocess.PIPE, text=True)
    assert not done.returncode, done.stdout


def nothing_is_left(_):
    left = [pid for pid in map(int, filter(str.isdigit, os.listdir('/proc')))
            if not ended(pid) and not rabbit.is_of_a_node(pid) and pid != os.getpid()]
    assert not left, left
    assert not os.listdir('/root')


def main():
    if not PROGRAMS['bin/ipcfs']:
        print('1..0 # SKIP a daemon without amqp=')
        sys.exit(77)
    rabbit.prepare()
    install()
    rabbit.run_steps((the_tutorial_sends_a_job_from_one_mount_to_another, nothing_is_left), None)


main()
