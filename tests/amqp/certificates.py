# SPDX-License-Identifier: MIT
"""Certificates that live as long as a test."""
import shutil
import ssl
import subprocess
import tempfile


def openssl(*arguments):
    subprocess.run(['openssl', *arguments], check=True, stderr=subprocess.DEVNULL)


class Certificate:
    """A certificate for a name, its key, and the TLS of a broker with them.

    `by` signs it, or else it signs itself.
    """

    def __init__(self, name='localhost', by=None, days=2):
        self.folder = tempfile.mkdtemp()
        self.cert, self.key = self.folder + '/cert', self.folder + '/key'
        request = ('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                   '-subj', '/CN=' + name, '-addext', 'subjectAltName=DNS:' + name,
                   '-keyout', self.key)
        if by:
            openssl(*request, '-out', self.folder + '/request')
            openssl('x509', '-req', '-in', self.folder + '/request', '-CA', by.cert, '-CAkey',
                    by.key, '-CAcreateserial', '-copy_extensions', 'copy', '-days', str(days),
                    '-out', self.cert)
        else:
            openssl(*request, '-x509', '-days', str(days), '-out', self.cert)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(self.cert, self.key)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)
