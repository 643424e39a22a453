# SPDX-License-Identifier: MIT
# -o reexport: files without offsets take those of pread(2) and pwrite(2), which virtiofsd and 9p
# servers use, and ignore them.
# shellcheck shell=bash disable=SC2154,SC2016
load common

setup() {
	common_setup
}

# python SCRIPT: runs it with functions that read and write $Q/NAME at an offset.
python() {
	/usr/bin/python3 -c '
import errno, os
FAR = (1 << 62) + 5

def at(name, flags=os.O_RDWR | os.O_NONBLOCK):
    return os.open(os.environ["Q"] + "/" + name, flags)

def fails(number, function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        assert error.errno == number, error
    else:
        raise AssertionError("no error")
'"$1"
}

anywhere() {
	python '
# A message is what one open file writes until its close, wherever.
out = at("msg", os.O_WRONLY)
assert os.pwrite(out, b"first ", FAR) == 6
assert os.pwrite(out, b"message", 0) == 7
os.close(out)

# A rest follows, whatever the offset, then the end of file; it stays for this process.
msg = at("msg", os.O_RDONLY | os.O_NONBLOCK)
assert os.pread(msg, 5, FAR) == b"first"
assert os.pread(msg, 3, 0) == b" me"
assert os.pread(msg, 100, 7) == b"ssage"
assert os.pread(msg, 100, 0) == b"" and os.pread(msg, 100, FAR) == b""

# Part of a line waits for what the next write brings.
lines = at("lines")
assert os.pwrite(lines, b"one\ntw", 100) == 6
assert os.pwrite(lines, b"o\n", 3) == 2
assert os.pread(lines, 2, FAR) == b"on"
assert os.pread(lines, 100, 0) == b"e\n"
assert os.pread(lines, 100, 0) == b"two\n"
fails(errno.EAGAIN, os.pread, lines, 100, 0)

# Reads and writes without an offset go on as before: the position means nothing.
assert os.write(lines, b"three\n") == 6
assert os.lseek(lines, 0, os.SEEK_SET) == 0
assert os.read(lines, 100) == b"three\n"

packets = at("packets")
assert os.pwrite(packets, b"packet", FAR) == 6
assert os.fstat(packets).st_size == 0
assert os.pread(packets, 8192, 1) == b"packet"

os.pwrite(packets, b"job", 0)
lease = at("lease")
assert os.pread(lease, 100, FAR) == b"job" and os.pread(lease, 100, 0) == b""
assert os.pwrite(lease, b"again\n", FAR) == 6
assert os.pread(lease, 1, FAR) == b"j" and os.pread(lease, 100, 0) == b"ob"
assert os.pwrite(lease, b"done\n", 0) == 5
assert os.pread(at("drain", os.O_RDONLY), 100, FAR) == b""
'
	equals "$(messages)" 0
	# Waiting is the same.
	background python 'print(os.pread(at("msg", os.O_RDONLY), 100, FAR).decode(), file=open(os.environ["GOT"], "w"))'
	wait_parked 1
	echo at last >"$Q/msg"
	wait "${JOBS[-1]}"
	equals "$(cat "$GOT")" 'at last'
}

@test "with -o reexport pread and pwrite at any offset are plain reads and writes" {
	start_mount -o reexport
	export GOT=$BATS_TEST_TMPDIR/got
	each_kind anywhere
	# Of the other files without offsets, too.
	python '
create = os.open(os.environ["MNT"] + "/create", os.O_WRONLY)
assert os.pwrite(create, b"posix/mq/made\n", FAR) == 14
metrics = os.open(os.environ["MNT"] + "/metrics", os.O_RDONLY)
assert os.pread(metrics, 1 << 16, FAR).startswith(b"# ")'
	[ -d "$MNT/posix/mq/made" ]
}

nowhere() {
	echo kept >"$Q/msg"
	python '
for name in "msg", "lines", "tagged", "packets", "records", "lease":
    file = at(name)
    fails(errno.ESPIPE, os.pread, file, 100, 0)
    fails(errno.ESPIPE, os.pwrite, file, b"x", 0)
    fails(errno.ESPIPE, os.lseek, file, 0, os.SEEK_CUR)
fails(errno.ESPIPE, os.pread, at("drain", os.O_RDONLY), 100, 0)
'
	equals "$(cat "$Q/drain")" kept
}

@test "without it they are ESPIPE, and take nothing" {
	start_mount
	each_kind nowhere
	fails 'Illegal seek' python 'os.pread(os.open(os.environ["MNT"] + "/objects", os.O_RDONLY), 100, 0)'
}
