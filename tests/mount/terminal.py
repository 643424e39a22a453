#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Ctrl-Z on a terminal.

terminal.py LINE ROOM SHELL...
    An interactive shell gets LINE, which has to wait in a request of the mount; then Ctrl-Z and,
    if the shell prompts, `fg`; then the command ROOM ends the wait. Prints the exit status that
    the shell saw, and the word `stopped` if Ctrl-Z had stopped the job.
"""
import glob
import os
import pty
import re
import select
import subprocess
import sys
import time

SLOW = int(os.environ.get('IPCFS_TEST_SLOW', '1'))
PROMPT = 'the-prompt '
line, room, shell = sys.argv[1], sys.argv[2], sys.argv[3:]
text = ''


def parked():
    for path in glob.glob('/proc/[0-9]*/task/*/' + os.environ.get('PARKED_IN', 'stack')):
        try:
            if 'request_wait_answer' in open(path).read():
                return True
        except OSError:
            pass  # the process has ended
    return False


def until(condition, seconds=10):
    """Reads the terminal until the condition holds; tells whether it did."""
    global text
    end = time.monotonic() + seconds * SLOW
    while not condition():
        if time.monotonic() > end:
            return False
        if select.select([terminal], [], [], 0.02)[0]:
            try:
                text += os.read(terminal, 4096).decode(errors='replace')
            except OSError:
                return condition()
    return True


def need(what, condition):
    if not until(condition):
        sys.exit('%s: never %s; the terminal shows:\n%s' % (shell, what, text))


def enter(command):
    os.write(terminal, command.encode() + b'\n')


child, terminal = pty.fork()
if child == 0:
    os.environ.update(TERM='dumb', PS1=PROMPT, ENV='', HISTFILE='')
    os.execvp(shell[0], shell)
# The prompt's text is in two parts, so that what the terminal echoes is not taken for a prompt.
time.sleep(0.1)
enter("PS1='the-''prompt '")
need('a prompt', lambda: PROMPT in text)
before = text.count(PROMPT)
enter(line)
need('a process that waits', lambda: parked() and not until(lambda: not parked(), 0.1))
before = text.count(PROMPT)
os.write(terminal, b'\x1a')
# A shell that waits itself may only give up, and has no job to continue.
stops = os.environ.get('STOPS') != ''
stopped = until(lambda: text.count(PROMPT) > before, 10 if stops else 0.7) and stops
if stopped:
    enter('fg')
    until(lambda: False, 0.2)
subprocess.run(room, shell=True, check=True)
if stopped:
    before += 1
need('a prompt', lambda: text.count(PROMPT) > before)
enter('echo "status"=$?')
need('a status', lambda: re.search(r'status=\d', text))
until(lambda: False, 0.05)
print(re.search(r'status=(\d+)', text)[1], 'stopped' if stopped else '')
enter('exit')
os.close(terminal)
os.waitpid(child, 0)
