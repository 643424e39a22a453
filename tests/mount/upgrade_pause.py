#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""upgrade_pause.py MOUNT QUEUE PROGRAM COUNT: what callers see of so many upgrades.

One process reads a limit by its path, one reads it by a descriptor, one sends by a descriptor what another
receives. For each upgrade the longest call of all that ended meanwhile is its pause. Prints the median and
the longest one. Exits 1 after an error of a call, or a pause of more than five seconds, which a busy machine
may take.
"""
import os
import statistics
import subprocess
import sys
import threading
import time

MOUNT, QUEUE, PROGRAM, COUNT = *sys.argv[1:4], int(sys.argv[4])
LONGEST = 5.0 * int(os.environ.get('IPCFS_TEST_SLOW', 1))
LIMIT = MOUNT + '/limits/mq_msg_max'


class Caller(threading.Thread):
    """Calls again and again, and keeps the time of the longest call."""

    goes_on = True

    def __init__(self, prepare, call):
        super().__init__()
        self.prepare, self.call, self.calls, self.longest, self.error = prepare, call, 0, 0, None

    def run(self):
        try:
            file = self.prepare()
            while Caller.goes_on:
                start = time.monotonic()
                self.call(file)
                self.longest = max(self.longest, time.monotonic() - start)
                self.calls += 1
        except Exception as error:  # whatever it is, it is told at the end
            self.error = error

    def take(self):
        longest, self.longest = self.longest, 0
        return longest


def read_path(_):
    with open(LIMIT, encoding='ascii') as file:
        assert int(file.read()) > 0


def read_descriptor(file):
    assert int(os.pread(file, 100, 0)) > 0


def send_and_receive(files):
    os.write(files[0], b'hello\n')
    assert os.read(files[1], 100) == b'hello\n'


def main():
    callers = [Caller(lambda: None, read_path),
               Caller(lambda: os.open(LIMIT, os.O_RDONLY), read_descriptor),
               Caller(lambda: (os.open(QUEUE + '/lines', os.O_WRONLY), os.open(QUEUE + '/lines', os.O_RDONLY)),
                      send_and_receive)]
    for caller in callers:
        caller.start()
    pauses = []
    for _ in range(COUNT):
        time.sleep(0.1)  # calls as they are between upgrades
        for caller in callers:
            caller.take()
        calls = [caller.calls for caller in callers]
        subprocess.run([PROGRAM, '--upgrade', MOUNT], check=True, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10 * LONGEST
        while any(caller.calls < before + 2 and not caller.error for caller, before in zip(callers, calls)):
            assert time.monotonic() < deadline, 'a call hangs'
            time.sleep(0.005)
        pauses.append(max(caller.take() for caller in callers))
    Caller.goes_on = False
    errors = []
    for caller in callers:
        caller.join()
        if caller.error:
            errors.append(caller.error)
    print('%d upgrades, %d calls, pause: median %.1f ms, longest %.1f ms; errors: %s' %
          (COUNT, sum(caller.calls for caller in callers), statistics.median(pauses) * 1000, max(pauses) * 1000,
           errors))
    sys.exit(bool(errors) or max(pauses) > LONGEST)


main()
