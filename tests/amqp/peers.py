# SPDX-License-Identifier: MIT
"""Both peers of ipcfs-amqp: a broker that does what its script says, and the daemon's end.

Nothing is checked here but what comes next: a script says what it expects and what it sends.
"""
import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import traceback

WAIT = 10 * float(os.environ.get('IPCFS_TEST_SLOW', '1'))
LIMIT = 3 * WAIT  # seconds for what a node does

METHODS = {
    'connection.start': (10, 10), 'connection.start-ok': (10, 11), 'connection.tune': (10, 30),
    'connection.tune-ok': (10, 31), 'connection.open': (10, 40), 'connection.open-ok': (10, 41),
    'connection.close': (10, 50), 'connection.close-ok': (10, 51), 'connection.blocked': (10, 60),
    'connection.unblocked': (10, 61), 'channel.open': (20, 10), 'channel.open-ok': (20, 11),
    'channel.close': (20, 40), 'channel.close-ok': (20, 41), 'queue.declare': (50, 10),
    'queue.declare-ok': (50, 11), 'queue.delete': (50, 40), 'queue.delete-ok': (50, 41),
    'basic.qos': (60, 10), 'basic.qos-ok': (60, 11), 'basic.consume': (60, 20),
    'basic.cancel': (60, 30), 'basic.cancel-ok': (60, 31), 'basic.publish': (60, 40),
    'basic.return': (60, 50), 'basic.deliver': (60, 60), 'basic.get': (60, 70),
    'basic.get-ok': (60, 71), 'basic.get-empty': (60, 72), 'basic.ack': (60, 80),
    'basic.reject': (60, 90), 'basic.nack': (60, 120), 'confirm.select': (85, 10),
    'confirm.select-ok': (85, 11),
}
NAMES = {number: name for name, number in METHODS.items()}

TYPES = ('LOGIN UP DOWN OPEN CLOSE ENDED LOOK MAKE REMOVE ANSWER GET WANT UNWANTED EMPTY MESSAGE '
         'TOO_LONG ACK BACK DEAD SETTLED PUT STORED FULL RETURNED BLOCKED UNBLOCKED LEASE '
         'LOST API LIST LISTED DETAIL DETAILS').split()
RECORD = struct.Struct('=BBBBIiIIIQQ')
GOT, REDELIVERED, TELL = 1, 2, 4
INLINE_MAX = 64 * 1024


def own_network():
    """Enters a network namespace with nothing but loopback. False: not allowed."""
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):
        return False
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack('16sH14x', b'lo', 0x1))
    return True


def wait_until(holds):
    end = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def stored(record):
    """The numbers of the messages that a STORED is about."""
    return [record['number'], *struct.unpack('=%dQ' % (len(record['body']) // 8), record['body'])]


def short(text):
    text = text if isinstance(text, bytes) else text.encode()
    return bytes([len(text)]) + text


class Broker:
    """One connection of a broker. Arguments of methods are given as bytes."""

    def __init__(self):
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        self.listener.settimeout(WAIT)
        self.socket = None

    def accept(self, tls=None):
        self.socket = self.listener.accept()[0]
        self.socket.settimeout(WAIT)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert self.read(8) == b'AMQP\0\0\x09\x01'
        properties = short('version') + b'S' + struct.pack('>I', 5) + b'9.9.9'
        self.send(0, 'connection.start', bytes([0, 9]) + struct.pack('>I', len(properties)) +
                  properties + struct.pack('>I', 14) + b'PLAIN EXTERNAL' +
                  struct.pack('>I', 5) + b'en_US')
        return self.expect(0, 'connection.start-ok')

    def log_in(self, heartbeat=0, tls=None):
        start = self.accept(tls)
        self.send(0, 'connection.tune', struct.pack('>HIH', 100, 131072, heartbeat))
        self.expect(0, 'connection.tune-ok')
        self.expect(0, 'connection.open')
        self.send(0, 'connection.open-ok', short(''))
        for channel in 1, 2:
            self.expect(channel, 'channel.open')
            self.send(channel, 'channel.open-ok', bytes(4))
        return start

    def opened(self, channel):
        self.expect(channel, 'channel.open')
        self.send(channel, 'channel.open-ok', bytes(4))
        name = self.expect_any(channel)[0]
        self.send(channel, name + '-ok', b'')
        return name

    def read(self, size):
        data = b''
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            assert part, 'the helper has closed the connection'
            data += part
        return data

    def frame(self):
        """The next frame that is no heartbeat: type, channel, payload."""
        while True:
            kind, channel, size = struct.unpack('>BHI', self.read(7))
            payload = self.read(size)
            assert self.read(1) == b'\xce'
            if kind != 8:
                return kind, channel, payload

    def expect_any(self, channel):
        kind, at, payload = self.frame()
        assert (kind, at) == (1, channel), (kind, at, payload)
        return NAMES[struct.unpack('>HH', payload[:4])], payload[4:]

    def expect(self, channel, name):
        got, arguments = self.expect_any(channel)
        assert got == name, 'the broker got %s, not %s' % (got, name)
        return arguments

    def quiet(self):
        """Asserts that nothing comes for a moment."""
        self.socket.settimeout(0.1)
        try:
            data = self.socket.recv(1)
            assert False, data
        except TimeoutError:
            pass
        self.socket.settimeout(WAIT)

    def expect_message(self, channel):
        """A published message: the queue, whether it is mandatory, the header, the body."""
        arguments = self.expect(channel, 'basic.publish')
        assert arguments[2] == 0, 'the exchange is not the default one'
        queue = arguments[4:4 + arguments[3]]
        header = self.frame()[2]
        size = struct.unpack('>Q', header[4:12])[0]
        body = b''
        while len(body) < size:
            body += self.frame()[2]
        return queue, arguments[-1] & 1, header[12:], body

    def raw(self, kind, channel, payload):
        return struct.pack('>BHI', kind, channel, len(payload)) + payload + b'\xce'

    def bytes_of(self, channel, name, arguments):
        return self.raw(1, channel, struct.pack('>HH', *METHODS[name]) + arguments)

    def send(self, channel, name, arguments=b''):
        self.socket.sendall(self.bytes_of(channel, name, arguments))

    def content_of(self, channel, body, properties=b'\0\0', parts=1):
        frames = self.raw(2, channel, struct.pack('>HHQ', 60, 0, len(body)) + properties)
        step = max(1, -(-len(body) // parts))
        for start in range(0, len(body), step):
            frames += self.raw(3, channel, body[start:start + step])
        return frames

    def send_content(self, channel, *content, **more):
        self.socket.sendall(self.content_of(channel, *content, **more))

    def got(self, channel, tag, body, redelivered=0, **more):
        self.send(channel, 'basic.get-ok', struct.pack('>QB', tag, redelivered) + short('') +
                  short('q') + bytes(4))
        self.send_content(channel, body, **more)

    def deliver(self, channel, consumer, tag, body, redelivered=0, **more):
        self.send(channel, 'basic.deliver', short(consumer) + struct.pack('>QB', tag, redelivered) +
                  short('') + short('q'))
        self.send_content(channel, body, **more)

    def close_channel(self, channel, code, text):
        self.send(channel, 'channel.close', struct.pack('>H', code) + short(text) + bytes(4))
        self.expect(channel, 'channel.close-ok')

    def close(self):
        if self.socket:
            self.socket.close()
        self.listener.close()


class Daemon:
    """The daemon's end of a helper that it starts."""

    def __init__(self, role, program=None, words=('test',)):
        self.socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(WAIT)
        self.helper = subprocess.Popen([program or os.environ['IPCFS_AMQP'], role, *words],
                                       stdin=other)
        other.close()
        self.type = None

    def send(self, kind, queue=0, number=0, text=b'', body=b'', readers=0, flags=0, priority=0):
        text = text if isinstance(text, bytes) else text.encode()
        header = RECORD.pack(TYPES.index(kind) + 1, flags, priority, 0, queue, 0, len(text),
                             len(body), readers, number, 0)
        if len(body) <= INLINE_MAX:
            self.socket.send(header + text + body)
            return
        file = os.memfd_create('body')
        os.write(file, body)
        socket.send_fds(self.socket, [header + text], [file])
        os.close(file)

    def login(self, port, **more):
        fields = {'host': '127.0.0.1', 'port': port, 'vhost': '/', 'user': 'guest',
                  'password_file': '', 'ca': '', 'cert': '', 'key': '', 'heartbeat': 10,
                  'max_message': 1 << 20, 'source': 'boot', 'uid': '', 'gid': ''}
        fields.update(more)
        self.send('LOGIN', text=''.join(str(value) + '\0' for value in fields.values()))

    def receive(self):
        """The next record as a dictionary; None: the helper has closed its end."""
        data, descriptors, _, _ = socket.recv_fds(self.socket, 1 << 17, 4)
        if not data:
            return None
        kind, flags, priority, _, queue, error, text, body, readers, number, messages = \
            RECORD.unpack(data[:RECORD.size])
        rest = data[RECORD.size:]
        content = rest[text:]
        if descriptors:
            content = os.pread(descriptors[0], body + 1, 0)
            os.close(descriptors[0])
        assert len(content) == body
        return {'type': TYPES[kind - 1], 'flags': flags, 'priority': priority, 'queue': queue,
                'error': -error, 'text': rest[:text].decode(), 'body': content,
                'readers': readers, 'number': number, 'messages': messages}

    def expect(self, kind, **fields):
        record = self.receive()
        assert record and record['type'] == kind, record
        for name, value in fields.items():
            assert record[name] == value, '%s is not %r: %r' % (name, value, record)
        return record

    def quiet(self):
        self.socket.settimeout(0.1)
        try:
            record = self.receive()
            assert False, record
        except TimeoutError:
            pass
        self.socket.settimeout(WAIT)

    def end(self):
        """Closes the socket, and returns the helper's exit status."""
        self.socket.close()
        return self.helper.wait(WAIT)

    def kill(self):
        if self.helper.poll() is None:
            self.helper.kill()
            self.helper.wait()


def run_tests(tests, seconds):
    """Runs those that the command line chooses, in a network of their own, and prints TAP.

    A test gets so many seconds.
    """
    if not own_network():
        print('1..0 # SKIP no network namespace of its own')
        sys.exit(77)
    os.setgroups([4242])
    chosen = [one for one in tests if not sys.argv[1:] or sys.argv[1] in one.__name__]
    failed = 0
    print('1..%d' % len(chosen))
    for number, function in enumerate(chosen, 1):
        signal.alarm(int(seconds))
        try:
            function()
            print('ok %d - %s' % (number, function.__name__), flush=True)
        except Exception:
            failed += 1
            print('not ok %d - %s' % (number, function.__name__))
            print('\n'.join('# ' + line for line in traceback.format_exc().splitlines()),
                  flush=True)
    sys.exit(failed > 0)
