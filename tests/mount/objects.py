#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""objects.py MOUNT status|lsipc|names|stream|gone: asserts that MOUNT/objects tells

status: of each object that the tree lists, once, and the fields that its status has, if the caller may read that;
lsipc: of the System V objects all that lsipc -J tells;
names: names of any bytes, in UTF-8, with all bytes in name_hex where they are no UTF-8;
stream: the same with reads of any size, from several open files at once, and to its end only once;
gone: nothing of objects that are removed meanwhile.
"""
import glob
import json
import os
import shlex
import subprocess
import sys

MOUNT, WHAT = sys.argv[1:]
CLASSES = ['posix/mq', 'posix/shm', 'posix/sem', 'sysv/msg', 'sysv/shm', 'sysv/sem']
# Whoever reads the status of a POSIX queue sets the queue's ctime.
MOVING = {'change_time'}


def read(size=65536):
    """Yields the parts that read(2) gives."""
    stream = os.open(MOUNT + '/objects', os.O_RDONLY)
    while part := os.read(stream, size):
        yield part
    assert os.read(stream, size) == b'', 'there is something behind the end'
    os.close(stream)


def objects(size=65536):
    text = b''.join(read(size)).decode('utf-8')
    assert not text or text.endswith('\n')
    return [json.loads(line) for line in text.split('\n')[:-1]]


def name_of(fields):
    return bytes.fromhex(fields['name_hex']) if 'name_hex' in fields else fields['name'].encode()


def value(key, word):
    """What JSON has for a word of status."""
    if key in ('class', 'name') or str(int(word) if word.lstrip('-').isdigit() else None) != word:
        return word
    return int(word)


def status_of(path):
    with open(os.fsencode(path) + b'/status', encoding='utf-8', errors='surrogateescape', newline='\n') as status:
        words = shlex.split(status.read())
    pairs = [word.split('=', 1) for word in words]
    assert len(dict(pairs)) == len(pairs), 'a field stands twice in status'
    return {key: value(key, word) for key, word in pairs}


def status():
    found = {}
    for fields in objects():
        key = fields['class'], name_of(fields)
        assert key not in found, f'{key} stands twice'
        found[key] = fields
    listed = {(c, n) for c in CLASSES for n in os.listdir(os.fsencode(f'{MOUNT}/{c}'))}
    assert set(found) == listed, set(found) ^ listed
    for (group, name), fields in found.items():
        path = os.fsencode(f'{MOUNT}/{group}/') + name
        try:
            wanted = status_of(path)
        except PermissionError:
            st = os.stat(path)
            mode = st.st_mode & 0o666
            assert int(fields.pop('mode'), 8) & 0o666 == mode, f'{path}: mode'
            assert fields == {'class': group, 'name': os.fsdecode(name), 'uid': st.st_uid, 'gid': st.st_gid,
                              'access_time': int(st.st_atime), 'modify_time': int(st.st_mtime),
                              'change_time': int(st.st_ctime)}, f'{path}: {fields}'
            print('closed', group)
            continue
        wanted['name'] = fields['name']
        fields.pop('name_hex', None)
        assert list(fields) == list(wanted), f'{path}: {list(fields)} {list(wanted)}'
        for key, got in fields.items():
            assert got == wanted[key] and type(got) is type(wanted[key]) or group == 'posix/mq' and key in MOVING, \
                f'{path}: {key}: {got!r} {wanted[key]!r}'
        print('open', group)


# Columns of lsipc and fields of status.
SAME = {'KEY': 'key', 'ID': 'id', 'UID': 'uid', 'GID': 'gid', 'CUID': 'cuid', 'CGID': 'cgid', 'PERMS': 'mode'}
TABLES = {
    '-q': ('sysv/msg', {'USEDBYTES': 'bytes', 'MSGS': 'messages', 'LSPID': 'last_send_pid', 'LRPID': 'last_recv_pid'}),
    '-m': ('sysv/shm', {'SIZE': 'size', 'NATTCH': 'nattch', 'CPID': 'creator_pid', 'LPID': 'last_pid'}),
    '-s': ('sysv/sem', {'NSEMS': 'nsems'}),
}


def lsipc():
    mine = objects()
    for option, (group, columns) in TABLES.items():
        columns = SAME | columns
        command = ['lsipc', option, '-J', '-b', '-P', '--notruncate', '-o', ','.join(columns)]
        rows = list(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout).values())[0]
        # lsipc 2.38 has no perms of queues
        told = {row['id']: {c: row[c.lower()] for c in columns if row[c.lower()] is not None} for row in rows}
        shown = {str(fields['id']): {c: str(fields[f]) for c, f in columns.items() if c in told[str(fields['id'])]}
                 for fields in mine if fields['class'] == group}
        assert len(told) >= 2 and told == shown, f'{told}\n{shown}'


def names():
    wanted = [b'plain', b'7', b'two words', b'a\nb', b'q"\'\\', b'\x01\x7f', 'käse €\U0001f600'.encode(), b'\xff', b'a\xc3',
              b'\xed\xa0\x80', b'\xc0\xaf', b'\xf4\x90\x80\x80', b'x' * 255, b'\xfe' * 255, b'"' * 255, b'uid=7\nmode=0',
              b'{"a":1}', b'\xe2\x82', b'-1', b'null']
    for name in wanted:
        os.mkdir(os.fsencode(MOUNT + '/posix/shm/') + name)
    raw = b''.join(read())
    assert raw.count(b'\n') == len(wanted), raw
    assert {name_of(fields) for fields in objects()} == set(wanted)
    assert not [fields for fields in objects() if fields['class'] != 'posix/shm' or type(fields['name']) is not str]
    by_name = {name_of(fields): fields for fields in objects()}
    assert by_name[b'a\xc3']['name'] == 'a\xc3' and by_name[b'a\xc3']['name_hex'] == '61c3'
    assert [name for name in wanted if 'name_hex' in by_name[name]] == [name for name in wanted if not is_text(name)]


def is_text(name):
    try:
        name.decode('utf-8')
    except UnicodeDecodeError:
        return False
    return True


def stream():
    whole = b''.join(read())
    for size in 1, 7, 4096, 1 << 20:
        assert b''.join(read(size)) == whole, size
    several = [read(50), read(5000), read(50)]
    texts = [b''] * len(several)
    while any(parts := [next(one, b'') for one in several]):
        texts = [text + part for text, part in zip(texts, parts)]
    assert texts == [whole] * len(several)
    with open(MOUNT + '/objects', encoding='utf-8') as lines:
        assert [json.loads(line) for line in lines] == objects()
    for path in glob.glob(MOUNT + '/*/*/*/status'):
        assert os.stat(path).st_size


def gone():
    """What is removed after its name was found, and before its line is made."""
    for i in range(20):
        os.mkdir(f'{MOUNT}/sysv/msg/{0x5000 + i:#x}')
    parts = read(50)
    text = next(parts)
    for i in range(1, 19):
        os.rmdir(f'{MOUNT}/sysv/msg/{0x5000 + i:#x}')
    lines = (text + b''.join(parts)).decode().split('\n')
    assert [json.loads(line)['name'] for line in lines[:-1]] == ['0x00005000', '0x00005013'], lines


globals()[WHAT]()
