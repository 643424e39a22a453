#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs the ways of reading a file to its end that are in a table.

idioms.py TABLE MOUNT GROUP
    Each idiom of the group reads `msg` of a queue that holds two messages. It has to print the same
    and to exit with the same status as with a regular file that holds the first message, and to
    leave the second message in the queue. Each is tried with several sorts of messages, with POSIX
    and System V queues (IPCFS_TEST_SHORT: with one sort).
"""
import concurrent.futures
import os
import shlex
import signal
import subprocess
import sys
import tempfile

from queues import mkdir

MESSAGES = {
    'two lines': b'one\ntwo 2\n',
    'no newline': b'one\ntwo 2',
    'one line': b'one\n',
    'one word': b'one',
    'empty': b'',
}
BOTH = 'two lines', 'no newline'  # the sorts that are tried with System V queues, too
if os.environ.get('IPCFS_TEST_SHORT', '0') != '0':
    MESSAGES = {'no newline': MESSAGES['no newline']}
SECOND = b'the second\n'
SECONDS = 3 * int(os.environ.get('IPCFS_TEST_SLOW', '1'))


def idioms(table, group):
    """Yields (command, idiom) of the group's part of the table."""
    commands, lines = [], []

    def pending():
        if lines:
            yield from ((command, '\n'.join(lines)) for command in commands)

    for line in open(table):
        line = line.rstrip('\n')
        if line.startswith('\t\t'):
            lines.append(line[2:])
            continue
        yield from pending()
        lines = [line[1:]] if line.startswith('\t') else []
        if line and not line.startswith(('#', '\t')):
            name, rest = line.split(':', 1)
            commands = [shlex.split(x) for x in rest.split(', ')] if name == group else []
    yield from pending()


def run(command, idiom, path):
    """What the idiom does with a file: (exit status, output), or a word where it has no end."""
    with tempfile.TemporaryDirectory() as scratch:
        words = [{'CODE': idiom, 'MSG': path}.get(word, word) for word in command]
        process = subprocess.Popen(words, cwd=scratch, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=dict(os.environ, MSG=path, NODE_NO_WARNINGS='1'),
                                   start_new_session=True)
        try:
            output, errors = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return 'does not end'
        # Names of files are in some outputs, and differ.
        return process.returncode, output.replace(path.encode(), b'MSG'), errors.replace(path.encode(), b'MSG')


def send(queue, message):
    with open(queue + ('/msg' if message else '/lines'), 'wb') as file:
        file.write(message or b'\n')


def wrong(queue, command, idiom, message, expected):
    """Says what is wrong with the idiom on that queue, or ''."""
    mkdir(queue)
    try:
        send(queue, message)
        send(queue, SECOND)
        got = run(command, idiom, queue + '/msg')
        left = open(queue + '/drain', 'rb').read()
        if got[:2] != expected[:2]:
            return 'got %r, expected %r, left %r' % (got, expected, left)
        return '' if left == SECOND else 'left %r' % left
    finally:
        os.rmdir(queue)


def try_idiom(mount, number, command, idiom):
    """Says how the idiom fails first, or ''."""
    for sort, message in MESSAGES.items():
        with tempfile.NamedTemporaryFile() as file:
            file.write(message)
            file.flush()
            expected = run(command, idiom, file.name)
        text = 'is not installed' if expected[0] == 127 else ''
        queues = ['posix/mq/idiom%d' % number]
        if sort in BOTH:
            queues.append('sysv/msg/0x%08x' % (0x1d100000 + number))
        for queue in queues:
            text = text or wrong(os.path.join(mount, queue), command, idiom, message, expected)
            if text:
                return '%s, %s: %s: %s: %s' % (queue, sort, ' '.join(command[:2]), idiom, text)
    return ''


def main():
    table, mount, group = sys.argv[1:4]
    rows = list(enumerate(idioms(table, group)))
    workers = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
    failures = list(filter(None, workers.map(lambda row: try_idiom(mount, row[0], *row[1]), rows)))
    print(*failures, '%d idioms, %d fail' % (len(rows), len(failures)), sep='\n')
    return 1 if failures or not rows else 0


if __name__ == '__main__':
    sys.exit(main())
