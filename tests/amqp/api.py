#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""api.py [NAME]: tests ipcfs-amqp-api against a scripted HTTP server, which answers as APIs rarely do.

Prints TAP. $IPCFS_AMQP_API is the program, with FILTERED=1 one with a system call filter. With NAME,
runs only tests whose name has it.
"""
import base64
import errno
import json
import os
import socket
import ssl
import struct
import tempfile
import threading
import time
import warnings

from certificates import Certificate
from peers import WAIT, Daemon, run_tests

TESTS = []
USER, PASSWORD = 'guest', 'open-sesame-7311'
LISTED_MAX, PAGE = 16384, 500


def test(function):
    TESTS.append(function)
    return function


def answer(body, status='200 OK', *headers):
    """Returns the bytes of an answer. A body that is no bytes goes as JSON."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = ('HTTP/1.1 ' + status, 'Content-Length: %d' % len(body), *headers, '', '')
    return '\r\n'.join(lines).encode() + body


def page(*names, pages=1, **columns):
    items = [{'name': name, 'messages_ready': 1, 'message_bytes': 10, **columns} for name in names]
    return {'items': items, 'page': 1, 'page_count': pages}


class Server:
    """An HTTP server. `script` returns the bytes that answer a request; None: it is silent."""

    def __init__(self, script, tls=None, port=0):
        self.script, self.tls, self.requests, self.connections = script, tls, [], 0
        self.listener = socket.create_server(('127.0.0.1', port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            if self.tls:
                client = self.tls.wrap_socket(client, server_side=True)
            with client, client.makefile('rb') as stream:
                while self.reply(client, stream):
                    pass
        except OSError:
            pass

    def reply(self, client, stream):
        head = list(iter(lambda: stream.readline().strip(), b''))
        if not head:
            return False
        self.requests.append(head)
        # "GET PATH HTTP/1.1"
        data = self.script(head[0].split()[1].decode())
        if data is None:
            stream.read(1)
            return False
        client.sendall(data)
        return b'Connection: close' not in data

    def close(self):
        self.listener.close()


class Stage:
    """A server, and a program that was given its URL."""

    def __init__(self, script, tls=None, scheme='http', host='127.0.0.1', **login):
        self.server = Server(script, tls)
        self.file = tempfile.NamedTemporaryFile('w')
        self.file.write(PASSWORD + '\n')
        self.file.flush()
        self.daemon = Daemon('api', os.environ['IPCFS_AMQP_API'], words=())
        fields = {'url': '%s://%s:%d' % (scheme, host, self.server.port), 'vhost': '/',
                  'user': USER, 'password_file': self.file.name, 'ca': '', 'cert': '', 'key': '',
                  'uid': '', 'gid': ''}
        fields.update(login)
        self.daemon.send('API', text=''.join(str(value) + '\0' for value in fields.values()))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if not kind and self.daemon.helper.poll() is None:
                assert self.daemon.end() == 0
        finally:
            self.daemon.kill()
            self.server.close()
            self.file.close()

    def list(self, number=1):
        """Asks for the list. Returns its queues by name, and what ends it."""
        self.daemon.send('LIST', number=number)
        queues = {}
        while True:
            record = self.daemon.receive()
            if not record or record['type'] != 'LISTED':
                return queues, record
            assert record['number'] == number
            body = record['body']
            while body:
                messages, size, length = struct.unpack_from('=QQB', body)
                queues[body[17:17 + length]] = messages, size
                body = body[17 + length:]

    def lists(self, *names, **more):
        queues, end = self.list(**more)
        assert set(queues) == set(names), queues
        assert end['type'] == 'ANSWER' and end['error'] == 0 and end['text'] == '', end

    def fails(self, reason, error=errno.EHOSTDOWN):
        """Asserts that the program ends for this reason."""
        queues, end = self.list()
        assert end and end['type'] == 'DOWN' and end['error'] == error, (queues, end)
        assert reason in end['text'], end
        assert PASSWORD not in end['text']
        assert self.daemon.end() == 1


def says(*answers):
    """A script of one answer after the other; the last one stays."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


@test
def a_list():
    with Stage(says(answer(page('a', 'b')))) as stage:
        stage.lists(b'a', b'b')
        stage.lists(b'a', b'b', number=2)
        queues, _ = stage.list(3)
        assert queues == {b'a': (1, 10), b'b': (1, 10)}
        request, *headers = stage.server.requests[0]
        assert request.startswith(b'GET /api/queues/%2F?page=1&page_size=500&columns='), request
        login = base64.b64encode((USER + ':' + PASSWORD).encode())
        assert b'Authorization: Basic ' + login in headers, headers
        assert stage.server.connections == 1


@test
def a_list_of_several_pages():
    def script(path):
        number = int(path.split('page=')[1].split('&')[0])
        return answer(page(*('q%d' % i for i in range(number * PAGE - PAGE, number * PAGE)),
                           pages=3))

    with Stage(script) as stage:
        queues, end = stage.list()
        assert len(queues) == 3 * PAGE and end['error'] == 0
        assert len(stage.server.requests) == 3


@test
def a_list_that_becomes_shorter():
    with Stage(says(answer(page('a', pages=2)), answer({'error': 'page_out_of_range'},
                                                       '400 Bad Request'))) as stage:
        stage.lists(b'a')


@test
def a_list_without_queues():
    with Stage(says(answer({'items': [], 'page_count': 0}))) as stage:
        stage.lists()


@test
def more_queues_than_a_list_has():
    def script(path):
        start = int(path.split('page=')[1].split('&')[0]) * PAGE
        return answer(page(*('q%d' % i for i in range(start, start + PAGE)), pages=10**9))

    with Stage(script) as stage:
        queues, end = stage.list()
        assert len(queues) == LISTED_MAX
        assert end['error'] == 0 and 'more queues' in end['text'], end


@test
def names_of_odd_bytes():
    names = ['a/b', '.', '..', 'line\nbreak', 'ümlaut', '\x01', ' ', 'q' * 255, '"', '%2F']
    bad = ['', 'nul\0', 'q' * 256, 7, None, ['x'], {'name': 'x'}]
    with Stage(says(answer(page(*names, *bad)))) as stage:
        stage.lists(*(name.encode() for name in names))
    # No JSON, but a name has any bytes.
    with Stage(says(answer(b'{"items":[{"name":"\xff\xfe"}],"page_count":1}'))) as stage:
        stage.lists(b'\xff\xfe')


@test
def numbers_that_are_none():
    for value in -1, 'many', None, [], 1e300, True, 1 << 80:
        body = answer({'items': [{'name': 'q', 'messages_ready': value, 'message_bytes': value}],
                       'page_count': value if value != 1 << 80 else 1})
        with Stage(says(body)) as stage:
            queues, end = stage.list()
            assert end['type'] == 'ANSWER', end
            assert queues[b'q'][0] in (0, (1 << 63) - 1), (value, queues)


@test
def answers_that_are_no_list():
    for body in (b'', b'{', b'[]', b'7', b'{}', b'{"items":7}', b'{"items":{}}', b'<html>',
                 b'[' * 100000, b'{"items":' * 100000, b'{"items":[{"name":"q"}', b'\0\xff' * 99):
        with Stage(says(answer(body))) as stage:
            stage.fails('no list of queues')
    with Stage(says(answer({'items': [7, None, 'q', []], 'page_count': 1}))) as stage:
        stage.lists()


@test
def statuses():
    for status, reason, error in (
            ('401 Unauthorized', '401', errno.EACCES), ('403 Forbidden', '403', errno.EACCES),
            ('404 Not Found', '404', errno.EHOSTDOWN), ('400 Bad Request', '400', errno.EHOSTDOWN),
            ('500 Internal Server Error', '500', errno.EHOSTDOWN),
            ('503 Service Unavailable', '503', errno.EHOSTDOWN),
            ('204 No Content', '204', errno.EHOSTDOWN)):
        with Stage(says(answer(page('q'), status))) as stage:
            stage.fails(reason, error)


@test
def redirects_are_not_followed():
    elsewhere = Server(says(answer(page('stolen'))))
    for target in 'http://127.0.0.1:%d/api' % elsewhere.port, 'file:///etc/passwd', '/other':
        with Stage(says(answer(b'', '302 Found', 'Location: ' + target))) as stage:
            stage.fails('302')
            assert len(stage.server.requests) == 1
    assert not elsewhere.requests
    elsewhere.close()


def seconds_to_fail(script, reason):
    start = time.monotonic()
    with Stage(script) as stage:
        stage.fails(reason)
    return time.monotonic() - start


@test
def silence_is_over_in_two_seconds():
    assert 1.9 < seconds_to_fail(lambda _: None, 'timed out') < 2 + WAIT / 2
    half = answer(page('q'))[:-9]
    assert 1.9 < seconds_to_fail(says(half), 'timed out') < 2 + WAIT / 2
    with Stage(lambda _: None) as stage:
        stage.server.close()
        stage.fails('')


@test
def half_an_answer():
    for cut in 5, 40, -1:
        data = answer(page('q'), '200 OK', 'Connection: close')[:cut]
        with Stage(says(data + b'' if cut > 0 else data)) as stage:
            stage.server.script = lambda _, data=data: Cut(data)
            stage.fails('')


class Cut(bytes):
    """Bytes behind which the connection is closed."""

    def __contains__(self, _):
        return True


@test
def answers_that_are_too_long():
    with Stage(says(answer(b' ' * (3 << 20)))) as stage:
        stage.fails('too long')
    with Stage(says(b'HTTP/1.1 200 OK\r\n' + b'X: y\r\n' * 200000)) as stage:
        stage.fails('')


@test
def no_http():
    for data in b'\0' * 99, b'SSH-2.0-x\r\n', b'HTTP/9.9 200 OK\r\n\r\n':
        with Stage(says(Cut(data))) as stage:
            stage.fails('')


@test
def nobody_listens():
    stage = Stage(says(b''))
    stage.server.listener.shutdown(socket.SHUT_RDWR)
    stage.server.close()
    with stage:
        stage.fails('')
    with Stage(says(b''), host='no-such-host.invalid') as stage:
        stage.fails('no address')


@test
def a_connection_that_ends_between_requests_is_made_anew():
    with Stage(says(answer(page('q'), '200 OK', 'Connection: close'))) as stage:
        for number in 1, 2, 3:
            stage.lists(b'q', number=number)
        assert stage.server.connections == 3


def details(stage, name=b'q', **expected):
    stage.daemon.send('DETAIL', number=9, text=name)
    record = stage.daemon.expect('DETAILS', number=9)
    keys = 'type', 'unacked', 'bytes', 'leader', 'members', 'arguments'
    values = dict(zip(keys, record['text'].split('\0')))
    assert record['text'].count('\0') == len(keys), record
    for key, value in expected.items():
        assert values[key] == value, values


@test
def the_details_of_a_queue():
    with Stage(says(answer({
            'name': 'q', 'type': 'quorum', 'messages_unacknowledged': 3, 'message_bytes': 77, 'node': 'r1@a',
            'leader': 'r2@b', 'members': ['r1@a', 'r2@b', 7], 'arguments': {'x-queue-type': 'a/ü'},
    }))) as stage:
        details(stage, type='quorum', unacked='3', bytes='77', leader='r2@b',
                members='r1@a r2@b', arguments='{"x-queue-type":"a/??"}')
        details(stage, b'a/b \xff?&#')
        assert b'/api/queues/%2F/a%2Fb%20%FF%3F%26%23?columns=' in stage.server.requests[1][0]
    with Stage(says(answer({'name': 'q', 'node': 'r1@a', 'arguments': []}))) as stage:
        details(stage, type='', unacked='0', bytes='0', leader='r1@a', members='r1@a', arguments='{}')
    with Stage(says(answer({'name': 'q', 'members': ['m' * 200] * 99, 'leader': 'l' * 9999,
                            'arguments': {'x': 'y' * 9999}}))) as stage:
        details(stage, leader='', arguments='(too long)')


@test
def details_that_are_none():
    with Stage(says(answer({'error': 'Object Not Found'}, '404 Object Not Found'),
                    answer({'name': 'q'}))) as stage:
        stage.daemon.send('DETAIL', number=1, text='q')
        stage.daemon.expect('ANSWER', number=1, error=errno.ENOENT)
        details(stage)
    for body, status in (b'[]', '200 OK'), (b'{}', '200 OK'), (b'{}', '500 Error'):
        with Stage(says(answer(body, status))) as stage:
            stage.daemon.send('DETAIL', number=1, text='q')
            stage.daemon.expect('DOWN', error=errno.EHOSTDOWN)
            assert stage.daemon.end() == 1


@test
def tls():
    with Certificate() as own, Certificate('elsewhere') as other:
        for number in 1, 2:
            with Stage(says(answer(page('q'), '200 OK', 'Connection: close')), own.tls, 'https',
                       'localhost', ca=own.cert) as stage:
                stage.lists(b'q', number=number)
                stage.lists(b'q', number=number + 1)
        for certificate, ca, host in ((own, other, 'localhost'), (other, other, 'localhost'),
                                      (own, own, '127.0.0.1')):
            with Stage(says(answer(page('q'))), certificate.tls, 'https', host,
                       ca=ca.cert) as stage:
                stage.fails('')
                assert not stage.server.requests
        warnings.simplefilter('ignore', DeprecationWarning)
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        old.set_ciphers('ALL:@SECLEVEL=0')
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.load_cert_chain(own.cert, own.key)
        with Stage(says(answer(page('q'))), old, 'https', 'localhost', ca=own.cert) as stage:
            stage.fails('')


@test
def a_certificate_is_shown():
    with Certificate() as own, Certificate('client') as client:
        own.tls.load_verify_locations(client.cert)
        own.tls.verify_mode = ssl.CERT_REQUIRED
        with Stage(says(answer(page('q'))), own.tls, 'https', 'localhost', ca=own.cert,
                   cert=client.cert, key=client.key) as stage:
            stage.lists(b'q')


@test
def wrong_records():
    for kind, fields in (('LOOK', {'number': 1, 'text': 'q'}), ('GET', {'queue': 1}),
                         ('API', {'text': 'again\0'}), ('LISTED', {'number': 1}),
                         ('DETAIL', {'number': 1, 'text': ''})):
        with Stage(says(answer(page('q')))) as stage:
            stage.daemon.send(kind, **fields)
            stage.daemon.expect('DOWN', error=errno.EPROTO)
            assert stage.daemon.end() == 1
    with Stage(says(b''), url='ftp://127.0.0.1/') as stage:
        stage.fails('')
    with Stage(says(b''), password_file='/none') as stage:
        stage.fails('password', errno.EINVAL)


def status_of(pid, name):
    with open('/proc/%d/status' % pid) as lines:
        return next(line for line in lines if line.startswith(name + ':')).split(None, 1)[1].strip()


@test
def rights():
    with Stage(says(answer(page('q'))), uid=4321, gid=4321) as stage:
        stage.lists(b'q')
        pid = stage.daemon.helper.pid
        assert set(status_of(pid, 'Uid').split() + status_of(pid, 'Gid').split()) == {'4321'}
        assert status_of(pid, 'CapEff') == status_of(pid, 'CapPrm') == '0' * 16
        assert status_of(pid, 'NoNewPrivs') == '1'
        assert status_of(pid, 'Seccomp') == ('2' if os.environ['FILTERED'] else '0')
        assert os.stat('/proc/%d/maps' % pid).st_uid == 0  # not dumpable
        with open('/proc/%d/cmdline' % pid, 'rb') as line:
            assert line.read() == os.environ['IPCFS_AMQP_API'].encode() + b'\0api\0'
        with open('/proc/%d/environ' % pid, 'rb') as variables:
            assert PASSWORD.encode() not in variables.read()


run_tests(TESTS, 9 * WAIT)
