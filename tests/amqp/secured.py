# SPDX-License-Identifier: MIT
"""Steps of node.py: log-ins with TLS, as the helpers and a mount see them."""
import ctypes
import errno
import os
import shutil
import signal

import rabbit
from certificates import Certificate
from mounted import Mount
from peers import Daemon, wait_until

PORT = 5671
MAKE_USER = '''rabbit_auth_backend_internal:add_user(<<"ipcfs-web">>, <<"unused">>, <<"test">>),
    rabbit_auth_backend_internal:set_permissions(<<"ipcfs-web">>, <<"/">>, <<".*">>, <<".*">>,
                                                 <<".*">>, <<"test">>).'''


def name_hosts(folder):
    """Has mq1 and mq2 be names of this machine."""
    with open(folder + '/hosts', 'w') as hosts:
        hosts.write('127.0.0.1 localhost mq1 mq2\n')
    assert not ctypes.CDLL(None).mount(hosts.name.encode(), b'/etc/hosts', None, 0x1000, None)


class Steps:
    """The steps. The node's certificate is for mq1."""

    def __init__(self, folder):
        name_hosts(folder)
        self.folder, self.mount, self.node = folder, None, None
        self.authority, self.other = Certificate('authority'), Certificate('authority')
        self.server = Certificate('mq1', self.authority)
        self.expired = Certificate('mq1', self.authority, -1)
        self.client = Certificate('ipcfs-web', self.authority)
        for certificate in self.authority, self.server:
            os.chmod(certificate.folder, 0o755)
        rabbit.give(self.server.key)

    def settings(self):
        """Returns the node's settings."""
        return ('listeners.ssl.1 = 127.0.0.1:%d' % PORT,
                'ssl_options.cacertfile = ' + self.authority.cert,
                'ssl_options.certfile = ' + self.server.cert,
                'ssl_options.keyfile = ' + self.server.key,
                'ssl_options.verify = verify_peer', 'ssl_options.fail_if_no_peer_cert = false',
                'auth_mechanisms.1 = PLAIN', 'auth_mechanisms.2 = EXTERNAL',
                'ssl_cert_login_from = common_name',
                'management.tcp.port = 15672', 'management.ssl.port = 15671',
                'management.ssl.cacertfile = ' + self.authority.cert,
                'management.ssl.certfile = ' + self.server.cert,
                'management.ssl.keyfile = ' + self.server.key)

    def reconfigure(self, *settings):
        self.mount.configure(*settings)
        self.mount.daemon.send_signal(signal.SIGHUP)

    def carries_messages(self, line):
        self.mount.sh('echo %s > "$Q/lines"' % line, 'secured')
        assert self.mount.sh('cat "$Q/msg"', 'secured') == line

    def tls_is_the_default(self, helpers):
        helpers.make('secured', 'quorum', error=0)
        ca = 'ca = ' + self.authority.cert
        self.mount = Mount(self.folder, ['mq1'], tls=(ca, *Mount.guest(self.folder)))
        self.carries_messages('password')
        assert rabbit.connections(PORT) == 2

    def the_management_api_has_tls_too(self, helpers):
        ca, guest = 'ca = ' + self.authority.cert, Mount.guest(self.folder)
        helpers.make('theirs', 'classic', error=0)
        for host, listing in ('mq2', 'known'), ('mq1', 'api'):
            self.reconfigure(ca, *guest, 'api = https://%s:15671' % host)
            wait_until(lambda: self.mount.says('listing') == listing and
                       ('mq2' in self.mount.says('api_error')) == (host == 'mq2'))
        assert 'theirs' in os.listdir(self.mount.path('mount/amqp/main'))
        helpers.ask('REMOVE', 'theirs', error=0)

    def a_certificate_is_a_log_in(self, _):
        settings = ['%s = %s' % pair for pair in (
            ('ca', self.authority.cert), ('cert', self.client.cert), ('key', self.client.key))]
        self.reconfigure(*settings)
        wait_until(lambda: self.mount.says('state') == 'refused')
        assert 'Permission denied' in self.mount.sh('! cat "$Q/drain" 2>&1', 'secured')
        self.node.control('eval', MAKE_USER)
        self.reconfigure(*settings)
        wait_until(lambda: self.mount.says('state') == 'up')
        self.carries_messages('certificate')

    def another_authority_is_a_broker_that_is_down(self, _):
        guest = Mount.guest(self.folder)
        self.reconfigure('ca = ' + self.other.cert, *guest)
        wait_until(lambda: 'verif' in self.mount.says('last_error'))
        wait_until(lambda: self.mount.says('state') == 'down')
        assert 'Host is down' in self.mount.sh('! cat "$Q/drain" 2>&1', 'secured')
        self.reconfigure('ca = ' + self.authority.cert, *guest)
        wait_until(lambda: self.mount.says('state') == 'up')
        self.carries_messages('again')
        self.mount.end()

    def is_not_trusted(self, host, authority, reason):
        daemon = Daemon('publish')
        daemon.login(PORT, host=host, ca=authority.cert, password_file='/dev/null')
        text = daemon.expect('DOWN', error=errno.EHOSTDOWN)['text']
        assert reason in text, text
        assert daemon.end() == 1

    def others_are_not_trusted(self, _):
        self.is_not_trusted('mq1', self.other, 'verif')
        self.is_not_trusted('mq2', self.authority, 'hostname')
        self.is_not_trusted('127.0.0.1', self.authority, 'hostname')
        shutil.copy(self.expired.cert, self.server.cert)
        shutil.copy(self.expired.key, self.server.key)
        self.node.control('eval', 'ssl:clear_pem_cache().')
        self.is_not_trusted('mq1', self.authority, 'verif')

    def all(self):
        api = os.path.exists(os.environ['IPCFS_AMQP'] + '-api')
        return (self.tls_is_the_default, *((self.the_management_api_has_tls_too,) if api else ()),
                self.a_certificate_is_a_log_in,
                self.another_authority_is_a_broker_that_is_down, self.others_are_not_trusted)
