# SPDX-License-Identifier: MIT
"""A queue of a RabbitMQ node through the mount, by librabbitmq alone, and by amqp-publish and amqp-get. For
tests/bench/run. The node runs in a network of its own, with its data on the disk of /var/tmp.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), '../amqp'))
import rabbit
from peers import own_network, wait_until

CONFIG = """[main]
host = 127.0.0.1
tls = no
user = guest
password_file = {folder}/password
run_as = nobody
helper = {helper}
"""

# The microseconds of a message: stored by amqp-publish, which does not wait for the confirm, and by echo;
# received by amqp-get, and by read.
SHELL = '''
    count=$1 name=$2 queue=$3
    each() {
        local start=${EPOCHREALTIME/./} i
        for ((i = 0; i < count; i++)); do "$@" || exit; done
        echo $(((${EPOCHREALTIME/./} - start) / count))
    }
    write() { echo job >"$queue/lines"; }
    reads() { read -r job <"$queue/lines"; }
    each amqp-publish --persistent --routing-key="$name" --body=job
    each reads
    each write
    get() { amqp-get --queue="$name" >/dev/null; }
    each get'''


def private(path, text):
    with open(path, 'w') as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)


def is_up(mount):
    with open(f'{mount.path}/amqp/status') as status:
        return 'state=up\n' in status


def rows(bench, mount, name):
    """Prints the rows of a queue."""
    queue = f'{mount.path}/amqp/main/{name}'
    rounds, each = 250 if bench.quick else 1000, 1
    lines = bench.output(bench.program('bench-amqp'), rounds, each, name, queue, bench.helper,
                         f'{bench.folder}/password').splitlines()
    times = {line.split()[0]: [float(n) for n in line.split()[1:]] for line in lines}
    row = bench.table.row
    library, helper, ours, _, ratio = times['publish']
    row(f'lines, one at a time, {name}, us', ours, None, library, ratio, 1.2)
    row(f'the hop: by ipcfs-amqp alone, {name}, us more', helper - library, None, library, None, 70)
    library, _, ours, _, ratio = times['pipeline']
    row(f'1,000 lines in one write, {name}, messages/s', 1e6 / ours, None, 1e6 / library, 1 / ratio, 0.7, least=True)
    for what, text in (('get', 'packets, read'), ('loop', 'to a worker that waits')):
        library, _, ours, _, ratio = times[what]
        row(f'{text}, {name}, us', ours, None, library, ratio)
    publish, read, write, get = map(float, bench.output('bash', '-c', SHELL, 'bash', 100, name, queue).split())
    row(f'echo > lines; direct: amqp-publish, {name}, us', write, None, publish, write / publish)
    row(f'read < lines; direct: amqp-get, {name}, us', read, None, get, read / get)


def table(bench):
    if not (shutil.which('amqp-publish') and os.path.exists(rabbit.SERVER)):
        bench.table.note('brokers: needs rabbitmq-server and amqp-tools')
        return
    own_network()
    bench.folder, data = tempfile.mkdtemp(dir=bench.work), tempfile.mkdtemp(prefix='ipcfs-bench-', dir='/var/tmp')
    os.chmod(bench.folder, 0o755)
    bench.helper = os.path.join(bench.build, 'backends/amqp/helper/ipcfs-amqp')
    private(f'{bench.folder}/password', 'guest\n')
    private(f'{bench.folder}/amqp.conf', CONFIG.format(folder=bench.folder, helper=bench.helper))
    rabbit.give(data)
    node = rabbit.Node(folder=data)
    try:
        node.await_start()
        mount = bench.mount(options=f'allow_other,amqp={bench.folder}/amqp.conf')
        wait_until(lambda: is_up(mount))
        os.mkdir(f'{mount.path}/amqp/main/quorum')
        subprocess.run(['amqp-declare-queue', '--durable', '--queue=classic'], check=True, stdout=subprocess.DEVNULL)
        for name in ('quorum', 'classic'):
            rows(bench, mount, name)
        mount.end()
    finally:
        node.signal(signal.SIGTERM)
        node.process.wait()
        shutil.rmtree(data)
