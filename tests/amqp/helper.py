#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""helper.py [NAME]: tests ipcfs-amqp against a scripted broker, which does what brokers rarely do.

Prints TAP. $IPCFS_AMQP is the program, with FILTERED=1 one with a system call filter, with
SANITIZED=1 one with a sanitizer, which does not wipe. With NAME, runs only tests whose name has it.
"""
import errno
import os
import signal
import socket
import ssl
import struct
import tempfile
import warnings

from certificates import Certificate
from peers import GOT, REDELIVERED, TELL, WAIT, Broker, Daemon, run_tests, short, stored

TESTS = []
PASSWORD = 'open-sesame-7311'


def test(function):
    TESTS.append(function)
    return function


class Stage:
    """A broker, and a helper that is logged in, with queue 1 open on channel 3."""

    def __init__(self, role, queue='jobs', tls=None, **login):
        self.broker = Broker()
        self.daemon = Daemon(role)
        self.file = tempfile.NamedTemporaryFile('w')
        self.file.write(PASSWORD + '\n')
        self.file.flush()
        self.daemon.login(self.broker.port, password_file=self.file.name, **login)
        self.start = self.broker.log_in(tls=tls)
        self.daemon.expect('UP', text='9.9.9')
        if queue:
            self.daemon.send('OPEN', queue=1, text=queue)
            self.prepared = self.broker.opened(3)

    def __enter__(self):
        return self.broker, self.daemon

    def __exit__(self, kind, *_):
        try:
            if not kind and self.daemon.helper.poll() is None:
                assert self.daemon.end() == 0
        finally:
            self.daemon.kill()
            self.broker.close()
            self.file.close()


def put(daemon, *numbers, queue=1):
    for number in numbers:
        daemon.send('PUT', queue=queue, number=number, body=b'body%d' % number)


def taken(broker, *numbers, channel=3):
    for number in numbers:
        queue, mandatory, header, body = broker.expect_message(channel)
        assert queue == b'jobs' and mandatory and body == b'body%d' % number
        assert b'boot-%d' % number in header and b'\x02' in header


def come_back(broker, number, channel=3):
    broker.send(channel, 'basic.return', struct.pack('>H', 312) + short('NO_ROUTE') + short('') +
                short('jobs'))
    broker.send_content(channel, b'body', struct.pack('>H', 1 << 7) + short('boot-%d' % number))


def confirm(broker, tag, multiple=0, channel=3):
    broker.send(channel, 'basic.ack', struct.pack('>QB', tag, multiple))


@test
def log_in():
    stage = Stage('publish')
    with stage as (broker, daemon):
        assert b'PLAIN' in stage.start and ('\0guest\0' + PASSWORD).encode() in stage.start
        assert b'connection.blocked' in stage.start and b'consumer_cancel_notify' in stage.start
        assert stage.prepared == 'confirm.select'


@test
def password_is_wiped():
    with Stage('consume') as (_, daemon):
        pid = daemon.helper.pid
        with open('/proc/%d/maps' % pid) as maps, open('/proc/%d/mem' % pid, 'rb', 0) as memory:
            for line in maps:
                start, end = (int(part, 16) for part in line.split()[0].split('-'))
                if ' rw' in line and not os.environ.get('SANITIZED'):
                    memory.seek(start)
                    assert PASSWORD.encode() not in memory.read(end - start), line
        assert PASSWORD not in open('/proc/%d/cmdline' % pid).read()


@test
def rights_are_given_up():
    for user in ({'uid': 65534, 'gid': 65533}, {}):
        with Stage('publish', **user) as (_, daemon):
            pid = daemon.helper.pid
            fields = dict(line.split(':', 1) for line in open('/proc/%d/status' % pid))
            if user:
                assert fields['Uid'].split() == ['65534'] * 4, 'the user'
                assert fields['Gid'].split() == ['65533'] * 4 and not fields['Groups'].split()
            assert int(fields['CapPrm'], 16) == int(fields['CapEff'], 16) == 0, 'capabilities'
            assert int(fields['NoNewPrivs']) == 1
            assert int(fields['Seccomp']) == (2 if os.environ.get('FILTERED') else 0)
            assert os.stat('/proc/%d/maps' % pid).st_uid == 0, 'it is dumpable'
            assert 'Max core file size        0 ' in open('/proc/%d/limits' % pid).read()


@test
def wrong_password():
    broker, daemon = Broker(), Daemon('publish')
    with tempfile.NamedTemporaryFile('w') as file:
        file.write('x')
        file.flush()
        daemon.login(broker.port, password_file=file.name)
        broker.accept()
        broker.send(0, 'connection.close', struct.pack('>H', 403) + short('ACCESS_REFUSED') +
                    bytes(4))
        daemon.expect('DOWN', error=errno.EACCES, text='ACCESS_REFUSED')
        assert daemon.end() == 1
    broker.close()


@test
def nobody_listens():
    broker, daemon = Broker(), Daemon('publish')
    broker.close()
    daemon.login(broker.port, password_file='/dev/null')
    daemon.expect('DOWN', error=errno.EHOSTDOWN)
    assert daemon.end() == 1


@test
def malformed_log_in():
    for more in ({'port': '0'}, {'port': '5x'}, {'heartbeat': '0'}, {'heartbeat': ''},
                 {'max_message': '-1'}, {'source': ''}, {'source': 'a b'}, {'source': 'a' * 65},
                 {'uid': '1', 'gid': ''}, {'password_file': '/nowhere'}, {'ca': '/nowhere'}):
        daemon = Daemon('publish')
        daemon.login(**{'port': 1, 'password_file': '/dev/null', **more})
        daemon.expect('DOWN', error=errno.EINVAL)
        assert daemon.end() == 1


@test
def is_stored():
    with Stage('publish') as (broker, daemon):
        put(daemon, 7)
        taken(broker, 7)
        daemon.quiet()
        confirm(broker, 1)
        daemon.expect('STORED', queue=1, number=7)


@test
def confirms_of_several():
    with Stage('publish') as (broker, daemon):
        put(daemon, 11, 12, 13, 14)
        taken(broker, 11, 12, 13, 14)
        confirm(broker, 3)
        assert stored(daemon.expect('STORED')) == [13]
        confirm(broker, 2, multiple=1)
        assert stored(daemon.expect('STORED')) == [11, 12]
        daemon.quiet()
        put(daemon, 15)
        taken(broker, 15)
        confirm(broker, 0, multiple=1)
        assert sorted(stored(daemon.expect('STORED'))) == [14, 15]


@test
def many_go_in_few_segments():
    def segments():
        return struct.unpack_from('I', broker.socket.getsockopt(socket.IPPROTO_TCP, 11, 200), 152)[0]

    with Stage('publish') as (broker, daemon):
        before = segments()
        daemon.helper.send_signal(signal.SIGSTOP)
        put(daemon, *range(1, 41))
        daemon.helper.send_signal(signal.SIGCONT)
        taken(broker, *range(1, 41))
        assert segments() - before < 10


@test
def not_taken():
    with Stage('publish') as (broker, daemon):
        put(daemon, 1, 2)
        taken(broker, 1, 2)
        broker.send(3, 'basic.nack', struct.pack('>QB', 2, 1))
        daemon.expect('FULL', number=1)
        daemon.expect('FULL', number=2)


@test
def returned_before_the_confirm():
    answers = (('NOT_FOUND - no queue \'jobs\' in vhost \'/\'', errno.ENOENT),
               ('NOT_FOUND - home node \'rabbit@b\' of durable queue \'jobs\' is down',
                errno.EHOSTDOWN), (None, errno.EAGAIN))
    with Stage('publish') as (broker, daemon):
        for tag, (text, error) in zip((2, 4, 6), answers):
            put(daemon, tag - 1, tag)
            taken(broker, tag - 1, tag)
            come_back(broker, tag)
            confirm(broker, tag, multiple=1)
            daemon.expect('STORED', number=tag - 1)
            broker.expect(1, 'queue.declare')
            daemon.quiet()
            if text:
                broker.close_channel(1, 404, text)
                broker.expect(1, 'channel.open')
                broker.send(1, 'channel.open-ok', bytes(4))
            else:
                broker.send(1, 'queue.declare-ok', short('jobs') + bytes(8))
            daemon.expect('RETURNED', queue=1, number=tag, error=error)


@test
def blocked():
    with Stage('publish') as (broker, daemon):
        broker.send(0, 'connection.blocked', short('low on memory'))
        daemon.expect('BLOCKED', text='low on memory')
        put(daemon, 1)
        broker.quiet()
        broker.send(0, 'connection.unblocked')
        daemon.expect('UNBLOCKED')
        taken(broker, 1)
        broker.send(0, 'connection.blocked', short('low on disk'))
        daemon.expect('BLOCKED')
        assert daemon.end() == 0


@test
def long_messages():
    body = os.urandom(300000)
    with Stage('publish') as (broker, daemon):
        daemon.send('PUT', queue=1, number=5, body=body, priority=9)
        _, _, header, got = broker.expect_message(3)
        assert got == body and header[2:4] == b'\x02\x09'
    with Stage('consume') as (broker, daemon):
        daemon.send('GET', queue=1)
        broker.expect(3, 'basic.get')
        broker.got(3, 1, body, parts=4)
        daemon.expect('MESSAGE', body=body)


@test
def got_and_settled():
    properties = (struct.pack('>H', 1 << 15 | 1 << 13 | 1 << 11 | 1 << 7) + short('text/plain') +
                  struct.pack('>I', 14) + short('a=b') + b'S' + struct.pack('>I', 5) +
                  b'\xc3\n\\ =' + bytes([6]) + short('id'))
    with Stage('consume') as (broker, daemon):
        for _ in range(4):
            daemon.send('GET', queue=1)
            broker.expect(3, 'basic.get')
        broker.got(3, 1, b'one', properties=properties)
        broker.got(3, 2, b'', redelivered=1)
        broker.got(3, 3, b'three')
        broker.send(3, 'basic.get-empty', short(''))
        one = daemon.expect('MESSAGE', body=b'one', flags=GOT, priority=6, queue=1, text=(
            'message_id=id\ncontent_type=text/plain\nheader.a\\075b=\\303\\012\\134 =\n'))
        two = daemon.expect('MESSAGE', body=b'', flags=GOT | REDELIVERED, text='')
        three = daemon.expect('MESSAGE', body=b'three')
        daemon.expect('EMPTY', queue=1)
        daemon.send('ACK', queue=1, number=two['number'], flags=TELL)
        daemon.send('BACK', queue=1, number=three['number'])
        daemon.send('DEAD', queue=1, number=one['number'], flags=TELL)
        assert broker.expect(3, 'basic.ack') == struct.pack('>QB', 2, 0)
        assert broker.expect(3, 'basic.reject') == struct.pack('>QB', 3, 1)
        assert broker.expect(3, 'basic.reject') == struct.pack('>QB', 1, 0)
        daemon.expect('SETTLED', number=two['number'])
        daemon.expect('SETTLED', number=one['number'])


def consumer_of(broker, channel=3):
    arguments = broker.expect(channel, 'basic.consume')
    queue = arguments[2]
    return arguments[4 + queue:4 + queue + arguments[3 + queue]]


@test
def cancelled_before_the_ack():
    with Stage('consume') as (broker, daemon):
        daemon.send('WANT', queue=1, readers=1)
        consumer = consumer_of(broker)
        broker.deliver(3, consumer, 1, b'job')
        message = daemon.expect('MESSAGE', body=b'job', flags=0)
        # A quorum queue keeps the message of a cancelled consumer whose node is killed.
        broker.quiet()
        daemon.send('WANT', queue=1, readers=1)
        other = consumer_of(broker)
        daemon.send('ACK', queue=1, number=message['number'])
        assert broker.expect(3, 'basic.cancel') == short(consumer) + b'\1'
        assert broker.expect(3, 'basic.ack') == struct.pack('>QB', 1, 0)
        assert other != consumer
        # A broker that sends one all the same gets it back.
        broker.deliver(3, consumer, 2, b'late')
        assert broker.expect(3, 'basic.reject') == struct.pack('>QB', 2, 1)
        daemon.quiet()


@test
def unwanted():
    with Stage('consume') as (broker, daemon):
        daemon.send('WANT', queue=1, readers=3)
        consumers = [consumer_of(broker) for _ in range(3)]
        daemon.send('WANT', queue=1, readers=2)
        assert broker.expect(3, 'basic.cancel') == short(consumers[2]) + b'\0'
        daemon.send('WANT', queue=1, readers=0)
        for consumer in consumers[:2]:
            assert broker.expect(3, 'basic.cancel') == short(consumer) + b'\0'
        broker.deliver(3, consumers[0], 1, b'late')
        for consumer in consumers:
            daemon.quiet()
            broker.send(3, 'basic.cancel-ok', short(consumer))
        assert broker.expect(3, 'basic.reject') == struct.pack('>QB', 1, 1)
        daemon.expect('UNWANTED', queue=1)
        daemon.send('WANT', queue=1)
        daemon.expect('UNWANTED')


@test
def queue_is_gone():
    for text, error in (('NOT_FOUND - no queue \'jobs\'', errno.EIDRM),
                        ('NOT_FOUND - home node \'r@b\' is down', errno.EHOSTDOWN)):
        with Stage('consume') as (broker, daemon):
            daemon.send('WANT', queue=1, readers=1)
            broker.send(3, 'basic.cancel', short(consumer_of(broker)) + b'\1')
            consumer_of(broker)
            broker.close_channel(3, 404, text)
            daemon.expect('ENDED', queue=1, error=error, text=text)
            # Records that were on their way are ignored, and the channel can be used again.
            daemon.send('GET', queue=1)
            daemon.send('CLOSE', queue=1)
            daemon.send('OPEN', queue=2, text='jobs')
            broker.opened(3)


@test
def other_ends_of_a_channel():
    for code, text, error in (
            (403, 'ACCESS_REFUSED', errno.EACCES), (405, 'RESOURCE_LOCKED', errno.EBUSY),
            (406, 'PRECONDITION_FAILED - delivery acknowledgement on channel 3 timed out',
             errno.ETIMEDOUT), (406, 'PRECONDITION_FAILED - unknown delivery tag', errno.EIO)):
        with Stage('consume') as (broker, daemon):
            daemon.send('GET', queue=1)
            broker.expect(3, 'basic.get')
            broker.close_channel(3, code, text)
            daemon.expect('ENDED', error=error)


@test
def closed_with_messages():
    with Stage('consume') as (broker, daemon):
        daemon.send('GET', queue=1)
        daemon.send('GET', queue=1)
        broker.expect(3, 'basic.get')
        broker.expect(3, 'basic.get')
        broker.got(3, 1, b'one')
        daemon.expect('MESSAGE')
        daemon.send('CLOSE', queue=1)
        broker.expect(3, 'channel.close')
        broker.got(3, 2, b'two')
        daemon.send('OPEN', queue=2, text='other')
        broker.opened(4)
        broker.send(3, 'channel.close-ok')
        daemon.send('OPEN', queue=3, text='other')
        # The answer to the last frame shows that close-ok was taken.
        channel = broker.frame()[1]
        assert channel in (3, 5)


def got(broker, daemon, tag, channel=3):
    """Has the daemon get a message on this channel. Returns the record's number."""
    daemon.send('GET', queue=1)
    broker.expect(channel, 'basic.get')
    broker.got(channel, tag, b'job%d' % tag)
    return daemon.expect('MESSAGE', queue=1, body=b'job%d' % tag)['number']


@test
def leased():
    with Stage('consume') as (broker, daemon):
        first = got(broker, daemon, 1)
        daemon.send('LEASE', queue=1, number=first)
        assert broker.opened(4) == 'basic.qos'
        # What comes next comes on the other channel, and is settled there.
        second = got(broker, daemon, 1, channel=4)
        daemon.send('ACK', queue=1, number=second)
        assert broker.expect(4, 'basic.ack') == struct.pack('>QB', 1, 0)
        daemon.send('DEAD', queue=1, number=first, flags=TELL)
        assert broker.expect(3, 'basic.reject') == struct.pack('>QB', 1, 0)
        daemon.expect('SETTLED', queue=1, number=first)
        # The next lease uses the first channel again, and the one after that opens a third.
        third = got(broker, daemon, 2, channel=4)
        daemon.send('LEASE', queue=1, number=third)
        fourth = got(broker, daemon, 2, channel=3)
        daemon.send('LEASE', queue=1, number=fourth)
        assert broker.opened(5) == 'basic.qos'
        daemon.send('ACK', queue=1, number=third, flags=TELL)
        assert broker.expect(4, 'basic.ack') == struct.pack('>QB', 2, 0)
        daemon.expect('SETTLED', number=third)
        # One spare channel is enough.
        daemon.send('ACK', queue=1, number=fourth, flags=TELL)
        assert broker.expect(3, 'basic.ack') == struct.pack('>QB', 2, 0)
        daemon.expect('SETTLED', number=fourth)
        broker.expect(3, 'channel.close')


@test
def consumers_of_a_lease_move():
    with Stage('consume') as (broker, daemon):
        first = got(broker, daemon, 1)
        daemon.send('WANT', queue=1, readers=1)
        before = consumer_of(broker)
        daemon.send('LEASE', queue=1, number=first)
        assert broker.opened(4) == 'basic.qos'
        assert broker.expect(3, 'basic.cancel') == short(before) + b'\1'
        after = consumer_of(broker, channel=4)
        broker.deliver(3, before, 2, b'late')
        assert broker.expect(3, 'basic.reject') == struct.pack('>QB', 2, 1)
        broker.deliver(4, after, 1, b'next')
        daemon.expect('MESSAGE', queue=1, body=b'next', flags=0)


@test
def a_lease_is_taken_back():
    text = 'PRECONDITION_FAILED - delivery acknowledgement on channel 3 timed out'
    with Stage('consume') as (broker, daemon):
        first = got(broker, daemon, 1)
        daemon.send('LEASE', queue=1, number=first)
        assert broker.opened(4) == 'basic.qos'
        second = got(broker, daemon, 1, channel=4)
        daemon.send('LEASE', queue=1, number=second)
        assert broker.opened(5) == 'basic.qos'
        broker.close_channel(3, 406, text)
        daemon.expect('LOST', queue=1, number=first, error=errno.ETIMEDOUT, text=text)
        # A verdict that was on its way is ignored; the other lease and the queue are as before.
        daemon.send('ACK', queue=1, number=first, flags=TELL)
        daemon.send('BACK', queue=1, number=second, flags=TELL)
        assert broker.expect(4, 'basic.reject') == struct.pack('>QB', 1, 1)
        daemon.expect('SETTLED', number=second)
        got(broker, daemon, 1, channel=5)


@test
def a_lease_with_an_answer_on_its_way():
    with Stage('consume') as (broker, daemon):
        first = got(broker, daemon, 1)
        daemon.send('GET', queue=1)
        broker.expect(3, 'basic.get')
        daemon.send('LEASE', queue=1, number=first)
        assert broker.opened(4) == 'basic.qos'
        daemon.send('ACK', queue=1, number=first, flags=TELL)
        broker.expect(3, 'basic.ack')
        daemon.expect('SETTLED', number=first)
        broker.got(3, 2, b'late answer')
        second = daemon.expect('MESSAGE', body=b'late answer', flags=GOT)['number']
        daemon.send('LEASE', queue=1, number=second)
        daemon.send('ACK', queue=1, number=second)
        broker.expect(3, 'basic.ack')
        # The answer was waited for: only now the channel is spare.
        third = got(broker, daemon, 1, channel=4)
        daemon.send('LEASE', queue=1, number=third)
        got(broker, daemon, 3, channel=3)


@test
def a_lease_whose_channel_owes_an_answer():
    with Stage('consume') as (broker, daemon):
        first = got(broker, daemon, 1)
        daemon.send('GET', queue=1)
        broker.expect(3, 'basic.get')
        daemon.send('LEASE', queue=1, number=first)
        broker.opened(4)
        broker.close_channel(3, 404, 'NOT_FOUND - no queue \'jobs\'')
        daemon.expect('ENDED', queue=1, error=errno.EIDRM)
        broker.expect(4, 'channel.close')


@test
def a_queue_is_closed_with_its_leases():
    with Stage('consume') as (broker, daemon):
        daemon.send('LEASE', queue=1, number=got(broker, daemon, 1))
        broker.opened(4)
        daemon.send('LEASE', queue=1, number=got(broker, daemon, 1, channel=4))
        broker.opened(5)
        daemon.send('CLOSE', queue=1)
        for channel in 3, 4, 5:
            broker.expect(channel, 'channel.close')


@test
def leases_without_channels():
    with Stage('consume') as (broker, daemon):
        channel, numbers = 3, []
        for _ in range(98):  # the broker allows 100 channels
            numbers.append(got(broker, daemon, len(numbers) + 1, channel=channel))
            daemon.send('LEASE', queue=1, number=numbers[-1])
            if channel < 100:
                channel += 1
                broker.opened(channel)
        numbers.append(got(broker, daemon, len(numbers) + 1, channel=100))
        for number in numbers[-2:]:
            daemon.send('ACK', queue=1, number=number, flags=TELL)
            broker.expect(100, 'basic.ack')
            daemon.expect('SETTLED', number=number)


@test
def too_long():
    with Stage('consume', max_message=10) as (broker, daemon):
        daemon.send('GET', queue=1)
        daemon.send('GET', queue=1)
        daemon.send('WANT', queue=1, readers=1)
        broker.expect(3, 'basic.get')
        broker.expect(3, 'basic.get')
        consumer = consumer_of(broker)
        broker.got(3, 1, b'x' * 11, parts=3)
        broker.got(3, 2, b'x' * 10)
        broker.deliver(3, consumer, 3, b'x' * 5000)
        assert broker.expect(3, 'basic.reject') == struct.pack('>QB', 1, 1)
        broker.expect(3, 'basic.cancel')
        assert broker.expect(3, 'basic.reject') == struct.pack('>QB', 3, 1)
        daemon.expect('TOO_LONG', flags=GOT)
        daemon.expect('MESSAGE', body=b'x' * 10)
        daemon.expect('TOO_LONG', flags=0)


@test
def half_frames():
    with Stage('consume') as (broker, daemon):
        daemon.send('GET', queue=1)
        broker.expect(3, 'basic.get')
        frames = (broker.bytes_of(3, 'basic.get-ok', struct.pack('>QB', 1, 0) + short('') +
                                  short('q') + bytes(4)) + broker.content_of(3, b'part' * 3))
        for byte in frames[:-1]:
            broker.socket.sendall(bytes([byte]))
        daemon.quiet()
        broker.socket.sendall(frames[-1:])
        daemon.expect('MESSAGE', body=b'part' * 3)


@test
def questions():
    with Stage('consume', queue=None) as (broker, daemon):
        daemon.send('LOOK', number=5, text='a')
        daemon.send('LOOK', number=6, text='b')
        broker.expect(1, 'queue.declare')
        broker.quiet()
        broker.send(1, 'queue.declare-ok', short('a') + struct.pack('>II', 42, 3))
        daemon.expect('ANSWER', number=5, error=0, messages=42, readers=3)
        broker.expect(1, 'queue.declare')
        daemon.send('REMOVE', number=7, text='c')
        broker.expect(2, 'queue.declare')
        broker.close_channel(1, 404, 'NOT_FOUND - no queue \'b\' in vhost \'/\'')
        daemon.expect('ANSWER', number=6, error=errno.ENOENT, messages=0)
        broker.expect(1, 'channel.open')
        broker.send(2, 'queue.declare-ok', short('c') + bytes(8))
        broker.expect(2, 'queue.delete')
        broker.send(2, 'queue.delete-ok', bytes(4))
        daemon.expect('ANSWER', number=7, error=0)


def make(daemon, number, *strings):
    strings = strings + ('',) * (8 - len(strings))
    daemon.send('MAKE', number=number, text=''.join(string + '\0' for string in strings))


@test
def making():
    absent = 'NOT_FOUND - no queue \'q\' in vhost \'/\''
    with Stage('consume', queue=None) as (broker, daemon):
        for strings in (('q', 'stream'), ('', 'quorum'), ('q' * 256, 'quorum')):
            make(daemon, 1, *strings)
            daemon.expect('ANSWER', number=1, error=errno.EINVAL)
        make(daemon, 2, 'q', 'quorum')
        broker.expect(2, 'queue.declare')
        broker.send(2, 'queue.declare-ok', short('q') + bytes(8))
        daemon.expect('ANSWER', number=2, error=errno.EEXIST)
        make(daemon, 3, 'q', 'classic', '5', '', '60000', 'dead', '', '9')
        broker.expect(2, 'queue.declare')
        broker.close_channel(2, 404, absent)
        broker.expect(2, 'channel.open')
        arguments = broker.expect(2, 'queue.declare')
        assert arguments[4] == 2, 'not durable'
        for part in ('x-queue-type', 'classic', 'x-max-length', 'reject-publish', 'x-message-ttl',
                     'x-dead-letter-routing-key', 'dead', 'x-max-priority'):
            assert part.encode() in arguments, part
        broker.close_channel(2, 406, 'PRECONDITION_FAILED - invalid arg')
        daemon.expect('ANSWER', number=3, error=errno.EINVAL)
        broker.expect(2, 'channel.open')
        make(daemon, 4, 'q', 'quorum', 'many')
        broker.expect(2, 'queue.declare')
        broker.close_channel(2, 404, absent)
        broker.expect(2, 'channel.open')
        daemon.expect('ANSWER', number=4, error=errno.EINVAL)


@test
def connection_errors():
    for code in 540, 541:
        with Stage('consume') as (broker, daemon):
            daemon.send('GET', queue=1)
            broker.expect(3, 'basic.get')
            broker.send(0, 'connection.close', struct.pack('>H', code) + short('INTERNAL') +
                        bytes(4))
            broker.expect(0, 'connection.close-ok')
            daemon.expect('DOWN', error=errno.EHOSTDOWN, text='INTERNAL')
            assert daemon.end() == 1


@test
def lost_connection():
    with Stage('publish') as (broker, daemon):
        put(daemon, 1)
        broker.socket.close()
        daemon.expect('DOWN', error=errno.EHOSTDOWN)
        assert daemon.end() == 1


@test
def silence():
    stage = Stage('consume', heartbeat=1)
    with stage as (_, daemon):
        daemon.send('GET', queue=1)
        daemon.expect('DOWN', error=errno.EHOSTDOWN)
        assert daemon.end() == 1


@test
def wrong_records():
    for role, kind, fields in (
            ('publish', 'GET', {}), ('consume', 'PUT', {'number': 1}),
            ('consume', 'ACK', {'number': 1}), ('consume', 'LEASE', {'number': 1}),
            ('consume', 'OPEN', {'text': 'again'}),
            ('publish', 'UNBLOCKED', {}), ('consume', 'WANT', {'readers': 17})):
        with Stage(role) as (_, daemon):
            daemon.send(kind, **{'queue': 1, **fields})
            daemon.expect('DOWN', error=errno.EPROTO)
            assert daemon.end() == 1


@test
def windows():
    with Stage('consume') as (broker, daemon):
        for _ in range(33):
            daemon.send('GET', queue=1)
        daemon.expect('DOWN', error=errno.EPROTO)
        assert daemon.end() == 1
    with Stage('publish') as (broker, daemon):
        put(daemon, *range(1, 102))
        daemon.expect('DOWN', error=errno.EPROTO)
        assert daemon.end() == 1


@test
def wrong_frames():
    for broken in (
            lambda broker: broker.got(3, 1, b'not asked'),
            lambda broker: broker.send_content(3, b'no method'),
            lambda broker: broker.send(50, 'basic.get-empty', short('')),
            lambda broker: broker.send(1, 'queue.declare-ok', short('q') + bytes(8)),
            lambda broker: broker.socket.sendall(broker.raw(3, 3, b'no header')),
            lambda broker: broker.socket.sendall(b'\xff' * 64)):
        with Stage('consume') as (broker, daemon):
            broken(broker)
            daemon.expect('DOWN', error=errno.EHOSTDOWN)
            assert daemon.end() == 1


@test
def tls():
    body = os.urandom(200000)
    with Certificate() as own, Stage('publish', tls=own.tls, host='localhost', ca=own.cert) as (
            broker, daemon):
        daemon.send('PUT', queue=1, number=1, body=body)
        assert broker.expect_message(3)[3] == body
        confirm(broker, 1)
        daemon.expect('STORED', number=1)


@test
def client_certificate():
    with Certificate() as own, Certificate('ipcfs-web') as client:
        own.tls.verify_mode = ssl.CERT_REQUIRED
        own.tls.load_verify_locations(client.cert)
        stage = Stage('consume', tls=own.tls, host='localhost', ca=own.cert, cert=client.cert,
                      key=client.key, uid=65534, gid=65534)
        with stage as (broker, daemon):
            assert b'EXTERNAL' in stage.start and PASSWORD.encode() not in stage.start
            daemon.send('GET', queue=1)
            broker.expect(3, 'basic.get')
            broker.got(3, 1, b'x' * 100000, parts=2)
            daemon.expect('MESSAGE', body=b'x' * 100000)


def is_not_trusted(tls, **login):
    broker, daemon = Broker(), Daemon('publish')
    try:
        daemon.login(broker.port, password_file='/dev/null', **login)
        told = True
        try:
            broker.accept(tls)
        except (OSError, AssertionError):
            told = False
        assert not told, 'the helper has logged in'
        daemon.expect('DOWN', error=errno.EHOSTDOWN)
        assert daemon.end() == 1
    finally:
        daemon.kill()
        broker.close()


@test
def brokers_that_are_not_trusted():
    with Certificate() as own, Certificate('elsewhere') as other:
        is_not_trusted(own.tls, host='localhost', ca=other.cert)
        is_not_trusted(other.tls, host='localhost', ca=other.cert)
        warnings.simplefilter('ignore', DeprecationWarning)
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        old.set_ciphers('ALL:@SECLEVEL=0')
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.load_cert_chain(own.cert, own.key)
        is_not_trusted(old, host='localhost', ca=own.cert)


run_tests(TESTS, 6 * WAIT)
