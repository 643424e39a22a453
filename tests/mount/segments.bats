# SPDX-License-Identifier: MIT
# Shared memory: its bytes, sizes and rights; and /dev/shm, where anybody may put anything. With
# IPCFS_TEST_PASSTHROUGH=1 passthrough must work.
# shellcheck shell=bash disable=SC2154,SC2016
load common

P=posix/shm V=sysv/shm

teardown() {
	local status=0
	common_teardown || status=1
	# A limit that nobody has lowered.
	umount -l /dev/shm
	mount -t tmpfs -o mode=1777 tmpfs /dev/shm
	return "$status"
}

# Without passthrough every request is judged; with it the judgement is at open. In a user namespace
# there is no passthrough: docs/containers.md.
fallback() {
	[ "${IPCFS_TEST_PASSTHROUGH-0}" = 0 ]
}
! in_user_namespace || export IPCFS_TEST_PASSTHROUGH=0

# make_segment SPECIFICATION: makes it, and sets $S to its directory
make_segment() {
	local path
	exec 8<>"$MNT/create"
	echo "$1" >&8
	read -r path <&8
	exec 8>&-
	S=$MNT/$path
	export S
}

value() {
	sed -n "s/^$1=//p" "$S/status"
}

# Run by python3 with the data file as its first argument.
python() {
	python3 -c "import ctypes, errno, mmap, os, sys; data = sys.argv[1]
$1" "${2-$S/data}"
}

@test "each side reads what the other writes, and System V segments keep their size" {
	"$PEERS/coherence" "$MNT"
}

@test "random segments are shown as direct calls, ipcs and lsipc show them" {
	"$PEERS/segments" "$MNT" 100
	"$PEERS/segments" "$MNT" 5
}

@test "mkdir makes an empty object, a segment of one page; create takes sizes" {
	mkdir "$MNT/$P/a" "$MNT/$V/0x51"
	equals "$(stat -c %s "$MNT/$P/a/data" "$MNT/$V/0x51/data")" "0"$'\n'"$(getconf PAGESIZE)"
	equals "$(stat -c '%a %u' /dev/shm/a "$MNT/$P/a" "$MNT/$V/0x51/.")" $'600 0\n711 0\n711 0'
	make_segment "$P/b size=3K"
	equals "$S $(value size)" "$MNT/$P/b 3072"
	make_segment "$P/empty size=0 mode=0644"
	equals "$(stat -c '%s %a' /dev/shm/empty)" '0 644'
	make_segment "$V/0x52 size=2M mode=0640"
	equals "$(value size) $(value mode)" '2097152 0640'
	make_segment "$V/private size=1"
	equals "$(value key) $(value size)" '0x00000000 1'
	make_segment "$P/big size=1G"
	equals "$(stat -c '%s %b' "$S/data")" '1073741824 0'
	make_segment "$P/giant size=4611686018427387904"
	equals "$(stat -c '%s %b' "$S/data")" '4611686018427387904 0'
	fails 'File exists' mkdir "$MNT/$P/a"
	fails 'File exists' mkdir "$MNT/$V/0x51"
	fails 'Invalid argument' mkdir "$MNT/$P/sem.x"
	fails 'Invalid argument' bash -c 'echo "sysv/msg/0x1 size=1" >"$MNT/create"'
	fails 'Invalid argument' bash -c 'echo "posix/shm/c size=1X" >"$MNT/create"'
	fails 'Numerical result out of range' bash -c 'echo "sysv/shm/0x53 size=0" >"$MNT/create"'
	fails 'Numerical result out of range' bash -c 'echo "sysv/shm/0x53 size=9223372036854775808" >"$MNT/create"'
	fails 'Invalid argument' bash -c 'echo "sysv/shm/0x53 size=8E" >"$MNT/create"' # no such suffix
	echo 4096 >/proc/sys/kernel/shmmax
	fails 'Numerical result out of range' bash -c 'echo "sysv/shm/0x53 size=4097" >"$MNT/create"'
	equals "$(ls "$MNT/$P")" $'a\nb\nbig\nempty\ngiant'
	equals "$(ls "$MNT/$V" | wc -l)" 3
}

@test "the file is made whole or not at all, whatever the umask" {
	local old
	for old in 000 077 027; do
		(umask "$old" && echo "$P/u$old size=10 mode=0666" >"$MNT/create")
		equals "$(stat -c '%a %s' "/dev/shm/u$old")" '666 10'
	done
	as_user 1234 mkdir "$MNT/$P/mine"
	equals "$(stat -c '%u:%g %a' /dev/shm/mine)" '1234:1234 600'
	chmod 755 /dev/shm
	fails 'Permission denied' as_user 1234 mkdir "$MNT/$P/more"
	fails 'Permission denied' as_user 1234 rmdir "$MNT/$P/mine"
	equals "$(ls /dev/shm)" $'mine\nu000\nu027\nu077'
}

@test "ordinary programs read and write it, in each shell" {
	local shell
	for shell in "${SHELLS[@]}"; do
		rm -f /dev/shm/x
		mkdir "$MNT/$P/x"
		S=$MNT/$P/x
		export S
		script "$shell" 0 'set -e
			echo hello >"$S/data"
			[ "$(cat "$S/data")" = hello ]
			echo more >>"$S/data"
			[ "$(cat /dev/shm/x)" = "hello
more" ]
			printf J | dd of="$S/data" conv=notrunc bs=1 seek=0 2>/dev/null
			read -r word <"$S/data"
			[ "$word" = Jello ]
			cp "$S/data" "$MNT/../copy"
			cmp "$MNT/../copy" /dev/shm/x
			seq 100000 >"$MNT/../numbers"
			cp "$MNT/../numbers" "$S/data"
			cmp "$MNT/../numbers" /dev/shm/x
			cat "$S/data" | cmp - "$MNT/../numbers"
			[ "$(tail -n 1 "$S/data")" = 100000 ]
			[ "$(wc -c <"$S/data")" = 588895 ]'
	done
	truncate -s 1M "$S/data"
	equals "$(stat -c %s "$S/data" /dev/shm/x)" $'1048576\n1048576'
	truncate -s 6 "$S/data"
	equals "$(cat "$S/data")" $'1\n2\n3'
	equals "$(xxd -p "$S/data")" 310a320a330a
	: >"$S/data"
	equals "$(stat -c %s /dev/shm/x)" 0
}

@test "a System V segment is written and read in place" {
	make_segment "$V/0x51 size=5000"
	head -c 5000 /dev/urandom >"$BATS_TEST_TMPDIR/bytes"
	cp "$BATS_TEST_TMPDIR/bytes" "$S/data"
	cmp "$BATS_TEST_TMPDIR/bytes" "$S/data"
	cp "$S/data" "$BATS_TEST_TMPDIR/back"
	cmp "$BATS_TEST_TMPDIR/bytes" "$BATS_TEST_TMPDIR/back"
	echo hello >"$S/data"
	equals "$(head -n 1 "$S/data")" hello
	equals "$(stat -c %s "$S/data")" 5000
	fails 'No space left' bash -c 'head -c 5001 /dev/zero >"$S/data"'
	fails 'No space left' bash -c 'echo x >>"$S/data"'
	fails 'not permitted' truncate -s 4999 "$S/data"
	fails 'not permitted' truncate -s 0 "$S/data"
	truncate -s 5000 "$S/data"
	equals "$(stat -c %s "$S/data") $(value size)" '5000 5000'
	equals "$(head -c 5000 "$S/data" | tr -d '\0' | wc -c)" 0
}

@test "fallocate reserves memory of a POSIX segment, and makes holes in it" {
	local at=$MNT/$P/a
	mkdir "$at" "$MNT/$V/0x51"
	fallocate -l 1M "$at/data"
	equals "$(stat -c '%s %b' /dev/shm/a)" '1048576 2048'
	printf hello | dd of="$at/data" conv=notrunc status=none
	fallocate -p -o 8192 -l 4096 "$at/data"
	equals "$(stat -c '%s %b' "$at/data")" '1048576 2040'
	fallocate -n -l 2M "$at/data"
	equals "$(stat -c '%s %b' "$at/data")" '1048576 4096'
	python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
os.posix_fallocate(fd, 0, 3 << 20)
assert os.fstat(fd).st_size == 3 << 20' "$at/data"
	equals "$(stat -c %s /dev/shm/a) $(head -c 5 "$at/data")" '3145728 hello'
	# After an error nothing has changed.
	fails 'No space left' fallocate -l 1000T "$at/data"
	fails 'not supported' fallocate -z -l 4096 "$at/data"
	equals "$(stat -c '%s %b' /dev/shm/a)" '3145728 6144'
	fails 'not supported' fallocate -l 100 "$MNT/$V/0x51/data"
	mkdir "$MNT/posix/sem/s"
	fails 'not supported' fallocate -l 100 "$MNT/posix/sem/s/value"
}

@test "Python maps it, or is refused with ENODEV" {
	local got segment
	for segment in "$P/m size=1M" "$V/0x51 size=1M"; do
		make_segment "$segment"
		got=$(python '
f = open(data, "r+b")
try:
    m = mmap.mmap(f.fileno(), 0)
except OSError as e:
    sys.exit(print(errno.errorcode[e.errno]))
m[4096:4101] = b"hello"
print(os.pread(f.fileno(), 5, 4096).decode())
os.pwrite(f.fileno(), b"J", 4096)
print(m[4096:4101].decode())
r = mmap.mmap(os.open(data, os.O_RDONLY), 0, prot=mmap.PROT_READ)
print(r[4096:4101].decode(), len(r))')
		if fallback; then
			equals "$got" ENODEV
		else
			equals "$got" $'hello\nJello\nJello 1048576'
		fi
	done
}

@test "an object that lost its name lives while it is open" {
	make_segment "$P/x size=10"
	python '
f = os.open(data, os.O_RDWR)
os.pwrite(f, b"still", 0)
os.unlink("/dev/shm/x")
assert os.fstat(f).st_size == 10 and os.fstat(f).st_nlink == 0, os.fstat(f)
assert os.pread(f, 5, 0) == b"still"
os.pwrite(f, b"there", 5)
assert os.pread(f, 10, 0) == b"stillthere"
assert not os.path.exists(data)'
	make_segment "$P/x size=10"
	equals "$(head -c 5 "$S/data" | tr -d '\0')" ''
}

@test "a System V segment that is removed ends its open files, unless it is attached" {
	make_segment "$V/0x51 size=4096"
	if in_user_namespace; then
		# An open segment stays attached: its memory has no file there, as it has for the
		# system's root.
		python '
f = os.open(data, os.O_RDWR)
os.rmdir(os.path.dirname(data))
os.pwrite(f, b"x", 0)
assert os.pread(f, 2, 0) == b"x\0"'
	elif fallback; then
		python '
f = os.open(data, os.O_RDWR)
assert len(os.pread(f, 4096, 0)) == 4096
os.rmdir(os.path.dirname(data))
for call in (lambda: os.pread(f, 1, 0), lambda: os.pwrite(f, b"x", 0)):
    try:
        call()
        raise AssertionError("it goes on")
    except OSError as e:
        assert e.errno == errno.EIDRM, e'
	else
		python '
f = os.open(data, os.O_RDONLY)
os.rmdir(os.path.dirname(data))
assert len(os.pread(f, 4096, 0)) == 4096'
	fi
	wait_until '[ -z "$(ls "$MNT/$V")" ]'
	equals "$(ipcs -m | grep -c 0x)" 0
	# With the last open file the daemon's memory goes, and with that the kernel's.
	wait_until '! grep -q SYSV "/proc/$DAEMON/maps"'
	equals "$(find "/proc/$DAEMON/fd" -lname '*SYSV*' | wc -l)" 0
}

@test "removing an attached segment shows it as dest until the last detach" {
	make_segment "$V/0x51 size=4096"
	local id
	id=$(value id)
	echo kept >"$S/data"
	background python3 -c '
import ctypes, signal, sys
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
libc.shmat(int(sys.argv[1]), None, 0)
signal.pause()' "$id"
	wait_until '[ "$(value nattch)" = 1 ]'
	equals "$(value dest)" no
	rmdir "$S"
	wait_until '[ ! -e "$S" ]'
	equals "$(ls "$MNT/$V")" "$id"
	S=$MNT/$V/$id
	equals "$(value dest) $(value key) $(value nattch)" 'yes 0x00000000 1'
	equals "$(head -n 1 "$S/data")" kept
	chmod 640 "$S"
	equals "$(value mode)" 0640
	equals "$(ipcs -m | grep -c dest)" 1
	kill -KILL "$JOB"
	wait_until '[ -z "$(ls "$MNT/$V")" ]'
}

@test "looking attaches nothing" {
	make_segment "$V/0x51 size=1M"
	local before
	before=$(shown)
	sleep 1.1 # times are seconds
	ls -lR "$MNT/sysv" >/dev/null
	find "$MNT/sysv" -size +0 >/dev/null
	cat "$S/status" >/dev/null
	du -a "$MNT/sysv" >/dev/null
	equals "$(shown)" "$before"
	equals "$(value attach_time) $(value nattch) $(value last_pid)" '0 0 0'
	cat "$S/data" >/dev/null
	equals "$(value nattch)" 0
}

# Everything that the kernel knows of it.
shown() {
	grep -E "^ +$((0x51)) " /proc/sysvipc/shm
}

@test "stale is yes only when creator and last user are gone and nothing is attached" {
	local id
	id=$(python3 -c '
import ctypes
print(ctypes.CDLL(None).shmget(0x51, 8192, 0o1600))')
	S=$MNT/$V/0x00000051
	equals "$(value stale)" yes
	equals "$(value rss) $(value swap)" '0 0'
	background python3 -c '
import ctypes, signal, sys
libc = ctypes.CDLL(None)
libc.shmat.restype = ctypes.c_void_p
at = libc.shmat(int(sys.argv[1]), None, 0)
ctypes.memset(at, 1, 8192)
signal.pause()' "$id"
	wait_until '[ "$(value rss)" = 8192 ]'
	equals "$(value stale) $(value nattch) $(value last_pid)" "no 1 $JOB"
	kill -KILL "$JOB"
	wait_until '[ "$(value stale)" = yes ]'
	equals "$(value nattch)" 0
	# Now the daemon was the last to attach it: the process before is not known.
	cat "$S/data" >/dev/null
	equals "$(value stale)" unknown
	# The daemon made what the mount made.
	mkdir "$MNT/$V/0x52" "$MNT/$P/x"
	S=$MNT/$V/0x00000052
	equals "$(value stale)" no
	S=$MNT/$P/x
	equals "$(value stale)" unknown
}

@test "reading and writing are judged as by the system, at every request" {
	local segment
	for segment in "$P/x size=10" "$V/0x51 size=10"; do
		make_segment "$segment mode=0640"
		chown 1234:5678 "$S"
		as_user 1234 bash -c 'echo mine >"$S/data"'
		as_user 99:5678 cat "$S/data" >/dev/null
		as_user 99:99:5678 cat "$S/data" >/dev/null
		fails 'Permission denied' as_user 99:5678 bash -c 'echo x >>"$S/data"'
		fails 'Permission denied' as_user 99 cat "$S/data"
		fails 'Permission denied' as_user 99 truncate -s 10 "$S/data"
		fails 'Permission denied' as_user 99 ls "$S"
		fails 'Operation not permitted' as_user 99 chmod 666 "$S/data"
		fails 'Operation not permitted' as_user 99 chown 99 "$S"
		fails 'Operation not permitted' as_user 99 rmdir "$S"
		as_user 99 stat "$S/data" >/dev/null
		chmod 0 "$S/data"
		fails 'Permission denied' as_user 1234 cat "$S/data"
		fails 'Permission denied' as_weak_root cat "$S/data"
		fails 'Permission denied' as_weak_root bash -c 'echo x >"$S/data"'
		cat "$S/data" >/dev/null
		as_user 1234 chmod 600 "$S"
		as_user 1234 rmdir "$S"
	done
	fallback || return 0
	for segment in "$P/x size=10" "$V/0x51 size=10"; do
		make_segment "$segment mode=0666"
		as_user 1234 python3 -c '
import os, subprocess, sys
r, w = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[1], os.O_WRONLY)
os.pread(r, 1, 0), os.pwrite(w, b"x", 0)
print("ready", flush=True)
sys.stdin.readline()
for call in (lambda: os.pread(r, 1, 0), lambda: os.pwrite(w, b"x", 0), lambda: os.ftruncate(w, 5)):
    try:
        call()
        sys.exit("it goes on")
    except PermissionError:
        pass' "$S/data" < <(wait_until '[ -s "$BATS_TEST_TMPDIR/ready" ]'; chmod 600 "$S"; echo) >"$BATS_TEST_TMPDIR/ready"
		rm "$BATS_TEST_TMPDIR/ready"
		rmdir "$S"
	done
}

@test "rights are taken away by the owner through the mount and in /dev/shm" {
	make_segment "$P/x size=10 mode=0600"
	chmod 644 /dev/shm/x
	equals "$(stat -c %a "$S/data" "$S/status" "$S")" $'644\n444\n755'
	as_user 99 cat "$S/data" >/dev/null
	as_user 99 cat "$S/status" >/dev/null
	chmod 4755 "$S"
	equals "$(stat -c %a /dev/shm/x)" 644
	chmod 600 /dev/shm/x
	fails 'Permission denied' as_user 99 cat "$S/status"
}

@test "only regular files of /dev/shm are shown, and nothing else is reached" {
	local secret=$BATS_TEST_TMPDIR/secret name
	echo secret >"$secret"
	ln -s "$secret" /dev/shm/link
	ln -s /etc /dev/shm/etc
	ln -s nowhere /dev/shm/broken
	mkfifo /dev/shm/fifo
	mkdir /dev/shm/directory
	make_device /dev/shm/device 1 5 /dev/zero
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("/dev/shm/socket")'
	touch /dev/shm/sem.mine /dev/shm/mounted /dev/shm/file
	mount --bind "$secret" /dev/shm/mounted
	equals "$(ls "$MNT/$P")" file
	for name in link etc broken fifo directory device socket sem.mine mounted; do
		[ ! -e "$MNT/$P/$name" ]
		within 2000 fails 'No such file' cat "$MNT/$P/$name/data"
		within 2000 fails 'No such file' bash -c 'echo x >"$1/data"' - "$MNT/$P/$name"
		fails 'No such file' rmdir "$MNT/$P/$name"
	done
	for name in link fifo directory mounted; do
		fails 'File exists' mkdir "$MNT/$P/$name"
	done
	umount /dev/shm/mounted
	equals "$(cat "$secret")" secret
	equals "$(ls /dev/shm | wc -l)" 10
}

@test "any name is shown as it is" {
	local name long
	long=$(printf 'n%.0s' $(seq 255))
	for name in 'two words' $'line\nbreak' $'\x1b[31m' $'\x01\xff' 'ä' '-n' '...' '$(id)' "a'b" "$long" "sem" "semx"; do
		echo "content" >"/dev/shm/$name"
		equals "$(cat "$MNT/$P/$name/data")" content
		bash -c '. "$1"; [ "$size" = 8 ]' - "$MNT/$P/$name/status"
	done
	equals "$(find "$MNT/$P" -mindepth 1 -maxdepth 1 -printf x | wc -c)" 12
	find "$MNT/$P" -mindepth 1 -maxdepth 1 -exec rmdir {} +
	silent ls -A /dev/shm
}

@test "a file that is swapped for another is not taken for it" {
	make_segment "$P/x size=10"
	echo old >"$S/data"
	exec 7<"$S/data" 8<"$S"
	rm /dev/shm/x
	ln -s /etc/passwd /dev/shm/x
	fails 'Stale file handle' cat /proc/self/fd/8/data
	fails 'No such file' cat "$S/data"
	equals "$(head -n 1 <&7)" old
	rm /dev/shm/x
	echo new >/dev/shm/x
	equals "$(cat "$S/data")" new
	exec 7<&- 8<&-
	# A renamed file, and a file with two names.
	mv /dev/shm/x /dev/shm/y
	fails 'No such file' cat "$S/data"
	equals "$(cat "$MNT/$P/y/data")" new
	ln /dev/shm/y /dev/shm/z
	equals "$(cat "$MNT/$P/z/data" "$MNT/$P/y/data")" $'new\nnew'
	rm /dev/shm/y
	equals "$(cat "$MNT/$P/z/data")" new
}

@test "a file that comes, goes, grows and shrinks while it is read never harms the daemon" {
	background bash -c 'while :; do
		truncate -s 3M /dev/shm/x; truncate -s 1 /dev/shm/x; rm -f /dev/shm/x; ln -s /etc/passwd /dev/shm/x; rm /dev/shm/x
		mkfifo /dev/shm/x; rm /dev/shm/x; mkdir /dev/shm/x; rmdir /dev/shm/x; done 2>/dev/null'
	local end=$((SECONDS + 3))
	while [ "$SECONDS" -lt "$end" ]; do
		cat "$MNT/$P/x/data" 2>/dev/null | tr -d '\0' | head -c 1000
		dd if=/dev/zero of="$MNT/$P/x/data" bs=1M count=2 status=none 2>/dev/null || :
		ls -l "$MNT/$P" >/dev/null 2>&1 || :
	done >"$BATS_TEST_TMPDIR/seen"
	[ ! -s "$BATS_TEST_TMPDIR/seen" ]
	kill -KILL "$JOB"
	ls -l "$MNT/$P" >/dev/null
}

@test "huge sparse files are read in places, without memory" {
	make_segment "$P/giant size=4611686018427387904"
	local used
	used=$(df --output=used /dev/shm | tail -n 1)
	equals "$(python '
f = os.open(data, os.O_RDWR)
print(len(os.pread(f, 1 << 20, 1 << 61)), os.lseek(f, 0, os.SEEK_END))
print(os.pwrite(f, b"end", (1 << 62) - 3), os.pread(f, 10, (1 << 62) - 3).decode())
print(os.pread(f, 10, 1 << 62))')" $'1048576 4611686018427387904\n3 end\nb\'\''
	used=$(($(df --output=used /dev/shm | tail -n 1) - used))
	[ "$used" -le 64 ]
	truncate -s 9223372036854775807 "$S/data"
}

@test "reads see what is there now, and allocate nothing" {
	make_segment "$P/x size=40M"
	python '
size = 40 << 20
direct = os.open("/dev/shm/x", os.O_RDWR)
fd = os.open(data, os.O_RDONLY)
def all_of_it():
    return b"".join(os.pread(fd, 1 << 20, at) for at in range(0, size + (1 << 20), 1 << 20))
assert all_of_it() == bytes(size)
assert os.fstat(direct).st_blocks == 0, os.fstat(direct)
for byte in b"xyz":
    os.pwrite(direct, bytes([byte]) * size, 0)
    assert all_of_it() == bytes([byte]) * size
os.truncate(direct, 20 << 20)
assert all_of_it() == b"z" * (20 << 20)
os.truncate(direct, size)
assert all_of_it() == b"z" * (20 << 20) + bytes(20 << 20)
assert os.pread(fd, 1 << 20, (20 << 20) - 100000) == b"z" * 100000 + bytes((1 << 20) - 100000)
assert os.fstat(direct).st_blocks == (20 << 20) // 512, os.fstat(direct)
os.truncate(direct, 100001)
assert os.pread(fd, 1 << 20, 1) == b"z" * 100000
assert os.pread(fd, 102399, 1) == b"z" * 100000'
}

@test "a full /dev/shm is ENOSPC, and nothing else" {
	mount -o remount,size=1M /dev/shm
	make_segment "$P/x size=64M"
	fails 'No space left' dd if=/dev/zero of="$S/data" bs=1M count=8 conv=notrunc
	echo hello >"$S/data"
	equals "$(cat "$S/data")" hello
	mount -o remount,size=0,nr_inodes=3 /dev/shm
	mkdir "$MNT/$P/y"
	fails 'No space left' mkdir "$MNT/$P/z"
	grep -q 'nr_inodes' "$LOG"
}

@test "System V limits are named in the log" {
	echo 1 >/proc/sys/kernel/shmmni
	mkdir "$MNT/$V/0x51"
	fails 'No space left' mkdir "$MNT/$V/0x52"
	grep -q 'limits/shmmni' "$LOG"
	echo 100 >/proc/sys/kernel/shmmni
	echo 1 >/proc/sys/kernel/shmall
	fails 'No space left' mkdir "$MNT/$V/0x52"
	grep -q 'limits/shmall' "$LOG"
}

@test "with -o ro memory can be read" {
	make_segment "$P/x size=10"
	mkdir "$MNT/$V/0x51"
	stop_mount
	start_mount -o ro
	cat "$MNT/$P/x/data" "$MNT/$V/0x51/data" >/dev/null
	fails 'Read-only file system' bash -c 'echo x >"$MNT/posix/shm/x/data"'
	fails 'Read-only file system' truncate -s 0 "$MNT/$P/x/data"
	fails 'Read-only file system' rmdir "$MNT/$V/0x51"
}

@test "without privilege segments stay attached while they are open, and are coherent, too" {
	stop_mount
	chmod 777 "$MNT"
	run as_user 1234 timeout 60 unshare --user --map-root-user --ipc --mount bash -e -c '
		mount -t tmpfs tmpfs /dev/shm
		ipcfs -o allow_other "$MNT"
		IPCFS_TEST_PASSTHROUGH=0 "$1/coherence" "$MNT" 200
		mkdir "$MNT/sysv/shm/0x51"
		exec 7<"$MNT/sysv/shm/0x51/data"
		grep nattch= "$MNT/sysv/shm/0x51/status"
		exec 7<&-
		sleep 0.5
		grep nattch= "$MNT/sysv/shm/0x51/status"
		umount "$MNT"' - "$BATS_TEST_TMPDIR/bin"
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *'coherence: ok'*nattch=1*nattch=0* ]]
	wait_until '! pgrep -x ipcfs'
}

@test "without /dev/shm no objects are shown and none can be made" {
	stop_mount
	unshare --mount bash -c 'umount -l /dev/shm; mount -t ramfs none /dev/shm && touch /dev/shm/x
		exec ipcfs -f -o allow_other ipcfs "$MNT"' >"$LOG" 2>&1 3>&- 4>&- &
	DAEMON=$!
	# Its mount is in another mount namespace: look from there.
	wait_until 'nsenter --mount --target "$DAEMON" mountpoint -q "$MNT" 2>/dev/null'
	equals "$(nsenter --mount --target "$DAEMON" ls "$MNT/$P")" ''
	fails 'No such file' nsenter --mount --target "$DAEMON" mkdir "$MNT/$P/x"
	nsenter --mount --target "$DAEMON" mkdir "$MNT/$V/0x51"
	kill -TERM "$DAEMON"
	daemon_ends
}

@test "the daemon ends while memory is open, mapped and read" {
	local segment outs=()
	for segment in "$P/x size=64M" "$V/0x51 size=64M"; do
		make_segment "$segment"
		background_output python3 -c '
import mmap, os, sys
r, w = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[1], os.O_RDWR)
try:
    m = mmap.mmap(w, 0)
except OSError:
    pass
while True:
    os.pread(r, 1 << 20, 0)
    os.pwrite(w, b"x" * 100000, 1 << 20)
    print("reads", flush=True)' "$S/data"
		outs+=("$OUT")
	done
	wait_until 'grep -q reads "${outs[0]}" && grep -q reads "${outs[1]}"'
	within 1500 stop_mount
}

@test "the daemon keeps nothing after a thousand opens" {
	local files i
	make_segment "$V/0x51 size=1M"
	mkdir "$MNT/$P/x"
	cat "$S/data" >/dev/null
	files=$(ls "/proc/$DAEMON/fd" | wc -l)
	python '
for i in range(500):
    for name in sys.argv[1:]:
        fds = [os.open(name, mode) for mode in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR)]
        os.pread(fds[0], 100, 0)
        for fd in fds:
            os.close(fd)'
	wait_until '[ "$(ls "/proc/$DAEMON/fd" | wc -l)" -le "$files" ]'
	equals "$(grep -c SYSV "/proc/$DAEMON/maps")" 0
	equals "$(value nattch)" 0
}
