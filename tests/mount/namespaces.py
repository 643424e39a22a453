#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the suite about namespaces needs and a shell can't do.

namespaces.py pass FROM TO FLAGS PATH COMMAND...
    a process in the namespaces of process FROM opens PATH (FLAGS: r, w, rw or dir) and passes it to one in those
    of process TO, where COMMAND is run with it as descriptor 9
namespaces.py tries FD NAME
    what is answered to calls below the directory FD with the object NAME in it: `CALL:ERRNO ...`
namespaces.py switch MOUNT
    with a queue `jobs` and a semaphore `lock` of the caller's: what is opened, and then another namespace is joined
namespaces.py threads MOUNT
    every thread has its own namespace
namespaces.py swap PLACE...
    /dev/shm is a link to, a mount of each of PLACE (or a link only, of link:PLACE), or itself, in turns, for ever
namespaces.py watch SECONDS DIRECTORY [NAME]
    everything that is ever listed in there; tries to read NAME, and to make `swapped`
"""
import ctypes
import errno
import os
import socket
import struct
import sys
import threading
import time

NEWNS, NEWIPC, NEWUSER, NEWPID = 0x20000, 0x08000000, 0x10000000, 0x20000000
libc = ctypes.CDLL(None, use_errno=True)


def call(function, *arguments):
    if function(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def inode(kind, pid='self'):
    return os.stat('/proc/%s/ns/%s' % (pid, kind)).st_ino


def join(pid):
    other = inode('user', pid) != inode('user')
    flags = NEWIPC | NEWNS | NEWPID | (NEWUSER if other else 0)
    call(libc.setns, os.pidfd_open(pid), flags)
    if other:
        try:
            os.setgroups([])
        except PermissionError:
            pass  # a user namespace that an ordinary user made without help
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)


def in_child(function):
    """Runs it in a process of its own. Returns its exit status."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
        except OSError as error:
            print('in_child:', error, file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def hand_on(source, target, flags, path, *command):
    ours, theirs = socket.socketpair()
    how = {'r': os.O_RDONLY, 'w': os.O_WRONLY, 'rw': os.O_RDWR, 'dir': os.O_RDONLY | os.O_DIRECTORY}[flags]

    def give():
        socket.send_fds(theirs, [b'x'], [os.open(path, how | os.O_NONBLOCK)])

    def opener():
        join(int(source))
        if in_child(give):
            os._exit(1)

    def receiver():
        join(int(target))
        fd = socket.recv_fds(ours, 1, 1)[1][0]
        os.dup2(fd, 9, True)
        sys.exit(in_child(lambda: os.execvp(command[0], command)))

    if in_child(opener):
        sys.exit('cannot be opened')
    receiver()


ACL = struct.pack('<I' + 'HHI' * 5, 2, 1, 6, 0xffffffff, 2, 6, 1000, 4, 0, 0xffffffff, 16, 6, 0xffffffff, 32, 6,
                  0xffffffff)


def attempt(results, name, function):
    try:
        function()
        results.append(name + ':yes')
    except OSError as error:
        results.append(name + ':' + errno.errorcode.get(error.errno, str(error.errno)))


def tries(fd, name):
    fd = int(fd)
    results = []

    def at(path, flags):
        os.close(os.open(path, flags | os.O_NONBLOCK, dir_fd=fd))

    attempt(results, 'open', lambda: at(name, os.O_RDONLY))
    attempt(results, 'status', lambda: at(name + '/status', os.O_RDONLY))
    attempt(results, 'write', lambda: at(name + '/packets', os.O_WRONLY))
    attempt(results, 'above', lambda: at('../../limits/msgmax', os.O_WRONLY))
    attempt(results, 'create', lambda: at('../../create', os.O_RDWR))
    attempt(results, 'list', lambda: os.listdir('/proc/self/fd/%d/' % fd + name))
    attempt(results, 'mkdir', lambda: os.mkdir('made', 0o600, dir_fd=fd))
    attempt(results, 'chmod', lambda: os.chmod(name, 0o666, dir_fd=fd))
    attempt(results, 'chown', lambda: os.chown(name, 1000, 1000, dir_fd=fd))
    attempt(results, 'setfacl', lambda: os.setxattr('/proc/self/fd/%d/' % fd + name, 'system.posix_acl_access', ACL))
    attempt(results, 'access', lambda: os.access(name, os.R_OK, dir_fd=fd) or at(name, os.O_RDONLY))
    attempt(results, 'chdir', lambda: os.fchdir(fd))
    attempt(results, 'relative', lambda: at(name + '/packets', os.O_RDONLY))
    attempt(results, 'rmdir', lambda: os.rmdir(name, dir_fd=fd))
    print(' '.join(results))


def code(function):
    try:
        return function()
    except OSError as error:
        return errno.errorcode[error.errno]


def expect(what, got, *wanted):
    if got not in wanted:
        print('%s: %r, wanted %r' % (what, got, wanted))
        expect.failures += 1


expect.failures = 0


def switch(mount):
    uid, gid = os.getuid(), os.getgid()
    queue, locks = mount + '/posix/mq', mount + '/sysv/sem'
    before = os.readlink(mount + '/self')
    file = os.open(queue + '/jobs/packets', os.O_RDWR | os.O_NONBLOCK)
    directory = os.open(queue, os.O_RDONLY)
    one = os.open(queue + '/jobs', os.O_RDONLY)
    hold = os.open(locks + '/0x52/0/hold', os.O_WRONLY)
    os.chdir(queue)
    os.write(file, b'before')
    flags = NEWIPC | (NEWUSER if uid else 0)
    call(libc.unshare, flags)
    if uid:
        for name, text in (('uid_map', '0 %d 1' % uid), ('setgroups', 'deny'), ('gid_map', '0 %d 1' % gid)):
            with open('/proc/self/' + name, 'w', encoding='ascii') as opened:
                opened.write(text)
    after = os.readlink(mount + '/self')
    expect('self', after, 'ns/%d' % inode('ipc'))
    expect('self has changed', after != before, True)
    # The open file is still the same.
    expect('read', code(lambda: os.read(file, 8192)), b'before')
    expect('write', code(lambda: os.write(file, b'after')), 5)
    # The lookup now leads to another namespace.
    expect('path', code(lambda: os.open(queue + '/jobs/packets', os.O_RDONLY)), 'ENOENT')
    expect('make', code(lambda: os.mkdir(queue + '/jobs')), None)
    expect('list', os.listdir(queue), ['jobs'])
    expect('made', code(lambda: os.read(os.open(queue + '/jobs/packets', os.O_RDONLY | os.O_NONBLOCK), 8192)), 'EAGAIN')
    if uid:
        expect('listed', os.listdir(mount + '/ns'), [after[3:]])
        expect('by number', code(lambda: os.listdir(mount + '/' + before)), 'ENOENT')
        for what, function in (
                ('below', lambda: os.open('jobs/packets', os.O_RDONLY, dir_fd=directory)),
                ('status', lambda: os.open('jobs/status', os.O_RDONLY, dir_fd=directory)),
                ('object', lambda: os.open('status', os.O_RDONLY, dir_fd=one)),
                ('relative', lambda: os.open('jobs/packets', os.O_RDONLY)),
                ('mkdir', lambda: os.mkdir('made', dir_fd=directory)),
                ('rmdir', lambda: os.rmdir('jobs', dir_fd=directory)),
                ('relative rmdir', lambda: os.rmdir('jobs')),
                ('chmod', lambda: os.chmod('jobs', 0o666, dir_fd=directory))):
            expect(what, code(function), 'EACCES')
        expect('fchmod', code(lambda: os.fchmod(one, 0o666)), 'EACCES', 'EPERM')
    else:
        # The machine's root may still use every namespace.
        os.close(os.open('jobs/status', os.O_RDONLY, dir_fd=directory))
        os.close(os.open(mount + '/' + before + '/posix/mq/jobs/status', os.O_RDONLY))
    os.close(hold)
    os.close(file)
    sys.exit(1 if expect.failures else 0)


def threads(mount):
    seen = {}
    steps = threading.Barrier(2)

    def other():
        call(libc.unshare, NEWIPC)
        number = os.stat('/proc/thread-self/ns/ipc').st_ino
        for turn in range(200):
            steps.wait()
            got = os.readlink(mount + '/self')
            seen.setdefault('other', set()).add(got)
            if turn == 0:
                expect('of the thread', got, 'ns/%d' % number)
                os.mkdir(mount + '/sysv/msg/0x77')
                expect('its objects', os.listdir(mount + '/sysv/msg'), ['0x00000077'])

    thread = threading.Thread(target=other)
    thread.start()
    for _ in range(200):
        steps.wait()
        seen.setdefault('main', set()).add(os.readlink(mount + '/self'))
    thread.join()
    expect('of the process', seen['main'], {'ns/%d' % inode('ipc')})
    expect('one each', len(seen['other']), 1)
    expect('objects of the process', os.listdir(mount + '/sysv/msg'), [])
    sys.exit(1 if expect.failures else 0)


def swap(*places):
    shm, aside = b'/dev/shm', b'/dev/aside'
    while True:
        for place in places:
            os.rename(shm, aside)
            os.symlink(place.replace('link:', ''), shm)
            time.sleep(0.0002)
            os.unlink(shm)
            os.rename(aside, shm)
            if not place.startswith('link:') and libc.mount(place.encode(), shm, None, 4096, None) == 0:
                time.sleep(0.0002)
                libc.umount2(shm, 2)
            time.sleep(0.0002)


def watch(seconds, directory, name='passwd'):
    end = time.monotonic() + float(seconds)
    seen, read, made = {}, 0, 0
    while time.monotonic() < end:
        try:
            for entry in os.listdir(directory):
                seen[entry] = seen.get(entry, 0) + 1
        except OSError:
            pass
        try:
            with open(directory + '/' + name + '/data', 'rb'):
                read += 1
        except OSError:
            pass
        try:
            os.mkdir(directory + '/swapped')
            made += 1
            os.rmdir(directory + '/swapped')
        except OSError:
            pass
    print(' '.join(sorted(entry for entry in seen if entry != 'swapped')))
    print('read %d' % read)


if __name__ == '__main__':
    {'pass': hand_on, 'tries': tries, 'switch': switch, 'threads': threads, 'swap': swap,
     'watch': watch}[sys.argv[1]](*sys.argv[2:])
