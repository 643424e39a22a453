# SPDX-License-Identifier: MIT
"""The part `supervise` of tests/bench/run: what -o supervise costs, and how long a death lasts."""
import os
import signal
import statistics
import subprocess
import time

OPTIONS = 'allow_other,supervise'
TEXT = b'x' * 64
SPACING = 1.05  # seconds between two deaths: ten within ten seconds make a pause


def worker(mount):
    """The process that serves the mount. 0: there is none at this moment."""
    done = subprocess.run(['pgrep', '-P', str(mount.process.pid), '-x', 'ipcfs-worker'],
                          stdout=subprocess.PIPE, text=True, check=False)
    return int(done.stdout.split()[0]) if done.stdout else 0


def place(mount, cpus):
    pid = worker(mount) or mount.process.pid
    for task in os.listdir(f'/proc/{pid}/task'):
        os.sched_setaffinity(int(task), cpus)


def packets(queue, count):
    """Microseconds of a message of 64 bytes, written and read."""
    writer, reader = os.open(queue + '/packets', os.O_WRONLY), os.open(queue + '/packets', os.O_RDONLY)
    start = time.perf_counter()
    for _ in range(count):
        os.write(writer, TEXT)
        os.read(reader, 8192)
    end = time.perf_counter()
    os.close(writer)
    os.close(reader)
    return (end - start) / count * 1e6


def by_path(queue, count):
    """Microseconds of what `echo > msg` and `cat msg` ask for."""
    start = time.perf_counter()
    for _ in range(count):
        file = os.open(queue + '/msg', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.write(file, b'job\n')
        os.close(file)
        file = os.open(queue + '/msg', os.O_RDONLY)
        while os.read(file, 8192):
            pass
        os.close(file)
    return (time.perf_counter() - start) / count * 1e6


def cost(bench, plain, supervised):
    turns = 21 if bench.quick else 81
    all_cpus = os.sched_getaffinity(0)
    for pinned in False, True:
        cpus = {min(all_cpus)} if pinned else all_cpus
        os.sched_setaffinity(0, cpus)
        for mount in plain, supervised:
            place(mount, cpus)
        for name, work, count in (('64 bytes by packets, both ways', packets, 600),
                                  ('echo and cat of msg', by_path, 120)):
            pairs = [(work(plain.path + '/posix/mq/q', count), work(supervised.path + '/posix/mq/q', count))
                     for _ in range(turns)]
            bench.table.row(f'{name}{", one CPU" if pinned else ""}; direct: plain',
                            statistics.median(new for _, new in pairs), None,
                            statistics.median(old for old, _ in pairs),
                            statistics.median(new / old for old, new in pairs), 1.03)
    os.sched_setaffinity(0, all_cpus)


def deaths(bench, mount):
    """From SIGKILL to the answer of an open and a read."""
    files = [os.open(mount.path + '/posix/mq/q/lines', os.O_RDONLY) for _ in range(100)]
    times = []
    for _ in range(9 if bench.quick else 60):
        pid = worker(mount)
        start = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        with open(mount.path + '/limits/mq_msg_max', encoding='ascii') as file:
            file.read()
        times.append((time.perf_counter() - start) * 1000)
        time.sleep(SPACING)
    for file in files:
        os.close(file)
    times.sort()
    bench.table.row('SIGKILL to the next answer, 100 open files, ms', statistics.median(times), limit=10)
    bench.table.row('the same, the longest, ms', times[-1], limit=50)


def run(bench):
    plain, supervised = bench.mount('plain'), bench.mount('supervised', OPTIONS)
    while not worker(supervised):
        time.sleep(0.01)
    os.mkdir(plain.path + '/posix/mq/q')
    cost(bench, plain, supervised)
    plain.end()  # the next worker has the access control lists at once
    deaths(bench, supervised)
    os.rmdir(supervised.path + '/posix/mq/q')
    supervised.end()
