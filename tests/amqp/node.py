#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""node.py: tests ipcfs-amqp against a node of RabbitMQ, which it starts and ends.

Prints TAP. $IPCFS_AMQP is the program. $IPCFS, if it is set, is the daemon, which mounts the node's
queues: see mounted.py. Must be the first process of namespaces of its own (network, process ids,
mounts, IPC objects): the node's processes end with it, and nobody else can reach the node.
"""
import errno
import os
import socket
import tempfile

import mounted
import rabbit
import secured
from peers import GOT, LIMIT, REDELIVERED, TELL, Daemon, stored, wait_until


class Helpers:
    """Both helpers of a connection."""

    def __init__(self):
        self.publish, self.consume = self.start('publish'), self.start('consume')
        for helper in self.publish, self.consume:
            assert helper.expect('UP')['text'][0].isdigit()
        self.number = 0

    @staticmethod
    def start(role, password='guest', **login):
        with tempfile.NamedTemporaryFile('w') as file:
            file.write(password)
            file.flush()
            helper = Daemon(role)
            helper.login(5672, password_file=file.name, uid=65534, gid=65534, **login)
            helper.socket.settimeout(LIMIT)
            # The file must be there until the helper has read it.
            helper.socket.recv(1, socket.MSG_PEEK)
        return helper

    def ask(self, kind, text, **fields):
        self.number += 1
        self.consume.send(kind, number=self.number, text=text)
        return self.consume.expect('ANSWER', number=self.number, **fields)

    def readers(self, queue):
        return self.ask('LOOK', queue)['readers']

    def make(self, *strings, **fields):
        strings += ('',) * (8 - len(strings))
        self.ask('MAKE', ''.join(string + '\0' for string in strings), **fields)

    def put(self, queue, numbers, answers):
        for number in numbers:
            self.publish.send('PUT', queue=queue, number=number, body=b'body%d' % number)
        got = []
        while len(got) < len(numbers):
            record = self.publish.receive()
            got += [record['type']] * len(stored(record))
        assert sorted(got) == sorted(answers), got

    def end(self):
        assert self.consume.end() == 0 and self.publish.end() == 0


def makes_and_removes(helpers):
    helpers.make('jobs', 'quorum', error=0)
    helpers.make('jobs', 'quorum', error=errno.EEXIST)
    helpers.make('small', 'classic', '3', error=0)
    helpers.make('other', 'quorum', '', '', '', '', '', '9', error=errno.EINVAL)
    helpers.make('amq.mine', 'quorum', error=errno.EACCES)
    helpers.make('gone', 'classic', error=0)
    helpers.ask('REMOVE', 'gone', error=0)
    helpers.ask('REMOVE', 'gone', error=errno.ENOENT)


def stores(helpers):
    for queue, name in enumerate(('jobs', 'small', 'nowhere'), 1):
        helpers.publish.send('OPEN', queue=queue, text=name)
    helpers.put(1, range(1, 101), ['STORED'] * 100)
    helpers.put(2, range(101, 107), ['STORED'] * 3 + ['FULL'] * 3)
    helpers.put(3, [200], ['RETURNED'])
    helpers.ask('LOOK', 'jobs', error=0, messages=100)
    helpers.ask('LOOK', 'nowhere', error=errno.ENOENT)


def gets(helpers):
    consume = helpers.consume
    consume.send('OPEN', queue=1, text='jobs')
    for number in range(1, 101):
        consume.send('GET', queue=1)
        message = consume.expect('MESSAGE', body=b'body%d' % number, flags=GOT)
        assert 'message_id=boot-%d\n' % number in message['text']
        consume.send('ACK', queue=1, number=message['number'])
    consume.send('GET', queue=1)
    consume.expect('EMPTY')


def gives_to_waiting_readers(helpers):
    consume = helpers.consume
    for number in range(300, 350):
        consume.send('WANT', queue=1, readers=1)
        helpers.put(1, [number], ['STORED'])
        message = consume.expect('MESSAGE', body=b'body%d' % number, flags=0)
        consume.send('ACK', queue=1, number=message['number'], flags=TELL)
        consume.expect('SETTLED')
    # No message has come for nobody: the next ones are all in the queue.
    helpers.put(1, range(400, 405), ['STORED'] * 5)
    helpers.ask('LOOK', 'jobs', messages=5)
    consume.quiet()
    consume.socket.settimeout(LIMIT)


def gives_back(helpers):
    consume = helpers.consume
    consume.send('GET', queue=1)
    message = consume.expect('MESSAGE', flags=GOT)
    consume.send('BACK', queue=1, number=message['number'])
    seen = []
    for _ in range(5):
        consume.send('GET', queue=1)
        seen.append(consume.expect('MESSAGE'))
    assert [one['body'] for one in seen if one['flags'] & REDELIVERED] == [message['body']]
    # All five are not settled: the end of the queue's use gives them back.
    consume.send('CLOSE', queue=1)
    consume.send('OPEN', queue=2, text='jobs')
    for _ in range(5):
        consume.send('WANT', queue=2, readers=1)
        consume.send('ACK', queue=2, number=consume.expect('MESSAGE', queue=2)['number'])


def tells_of_a_removal(helpers):
    helpers.consume.send('WANT', queue=2, readers=1)
    wait_until(lambda: helpers.readers('jobs') == 1)
    helpers.ask('REMOVE', 'jobs', error=0)
    helpers.consume.expect('ENDED', queue=2, error=errno.EIDRM)


def is_refused(_):
    for login in {'password': 'wrong'}, {'vhost': '/none'}, {'user': 'nobody'}:
        helper = Helpers.start('publish', **login)
        helper.expect('DOWN', error=errno.EACCES)
        assert helper.end() == 1


def main():
    rabbit.prepare()
    tls = secured.Steps(tempfile.mkdtemp(dir=rabbit.HOME))
    tls.node = node = rabbit.Node(settings=tls.settings(),
                                  plugins=['rabbitmq_auth_mechanism_ssl',
                                           'rabbitmq_management'])
    node.await_start()
    helpers = Helpers()
    steps = (makes_and_removes, stores, gets, gives_to_waiting_readers, gives_back,
             tells_of_a_removal, is_refused)
    if 'IPCFS' in os.environ:
        steps += mounted.Steps(tempfile.mkdtemp(dir=rabbit.HOME), node).all() + tls.all()
    rabbit.run_steps(steps, helpers)
    helpers.end()


main()
