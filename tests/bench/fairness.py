# SPDX-License-Identifier: MIT
"""What an innocent user meets beside each attack of another user (tests/tools/attack): the 99th percentile of stat,
message and hold, in milliseconds, beside the attack and (in brackets) without it. For tests/bench/run.
"""
import os
import re
import subprocess

ATTACKER, INNOCENT = 1234, 4321
LIMIT = 50  # ms
# The order of tests/tools/attack.
ATTACKS = ['peek', 'qbytes', 'holds', 'queues', 'semaphores', 'create', 'fallocate', 'locked_shm', 'locked_mqueue',
           'locked_segments', 'locked_files', 'stopped_child', 'aio', 'directories', 'statuses', 'values', 'paths',
           'names', 'unfinished']
KINDS = ('stat', 'message', 'hold')
LAYOUT = '{:46} {:>20} {:>20} {:>20} {:>8}  {}'


def as_user(uid, *command):
    return ['setpriv', '--reuid', str(uid), '--regid', str(uid), '--clear-groups', *command]


def innocent(bench, mount, seconds):
    """Returns the three times. None: the innocent was not even able to begin, or to go on."""
    process = subprocess.Popen(as_user(INNOCENT, bench.program('innocent'), mount.path, str(seconds)),
                               stdout=subprocess.PIPE, text=True)
    try:
        output = process.communicate(timeout=seconds + 20)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        return None
    found = dict(re.findall(r'(\w+) n=\d+ median=\S+ p99=([\d.]+)', output))
    return [float(found[kind]) for kind in KINDS] if len(found) == len(KINDS) else None


def clean():
    subprocess.run(['ipcrm', '--all'], check=True)
    subprocess.run(['find', '/dev/shm', '-mindepth', '1', '-delete'], check=True)


def beside(bench, name, mqueue):
    mount, seconds = bench.mount(), 1 if bench.quick else 3
    without = innocent(bench, mount, seconds)
    arguments = [mqueue] if name == 'locked_mqueue' else []
    attack = subprocess.Popen(as_user(ATTACKER, 'attack', name, mount.path, *arguments), stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
    begun = attack.stdout.readline()
    times = innocent(bench, mount, seconds) if begun == 'begun\n' else None
    attack.kill()
    attack.wait()
    mount.end()
    clean()
    return times, without


def table(bench):
    tools = os.path.join(os.path.dirname(__file__), '..', 'tools')
    os.environ['PATH'] = ':'.join([tools, os.path.join(bench.build, 'tests'), os.environ['PATH']])
    mqueue = f'{bench.work}/mqueue'
    os.mkdir(mqueue)
    subprocess.run(['mount', '-t', 'mqueue', 'mqueue', mqueue], check=True)
    print(LAYOUT.format('an innocent beside (without), p99, ms', *KINDS, 'limit', ''))
    for name in ATTACKS:
        times, without = beside(bench, name, mqueue)
        if times and without:
            cells = [f'{here:.2f} ({there:.2f})' for here, there in zip(times, without)]
            verdict = 'ok' if max(times) <= LIMIT else 'MISS'
        else:
            cells, verdict = ['not served'] * 3, 'MISS'
        print(LAYOUT.format(f'attack {name}', *cells, LIMIT, verdict), flush=True)
