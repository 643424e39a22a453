# SPDX-License-Identifier: MIT
# max_bytes: the memory that is kept for one user.
# shellcheck shell=bash disable=SC2154,SC2016
load common

setup() {
	common_setup
	export SLOW
}

# keeps KIND: see bytes.py.
keeps() {
	run bounded python3 "$BATS_TEST_DIRNAME/bytes.py" "$MNT" "$1"
	echo "$output"
	equals "$status" 0
}

objects() {
	start_mount -o max_bytes=256K "$@"
	mkdir -m 666 "$MNT/posix/mq/queue" "$MNT/posix/mq/empty"
	mkdir -m 666 "$MNT/posix/shm/segment"
	echo "sysv/sem/0x00000051 mode=0666 values=$(seq -s , 200 | sed "s/[0-9]\+/0/g")" >"$MNT/create"
	touch /dev/shm/s{0..1199}
}

@test "what is kept in open files is limited for each user, and comes back" {
	objects
	# The last one leaves nodes for a moment.
	for kind in status values msg lines records rest paths refused pollers locks files listing; do
		keeps "$kind"
	done
	grep -q 'uid 1234 has reached max_bytes' "$LOG"
	# one line a minute
	[ "$(grep -c max_bytes "$LOG")" -le $((1 + SLOW)) ]
}

@test "nodes that a user holds without opening them are limited, and come back" {
	objects
	for kind in nodes objects; do
		keeps "$kind"
	done
}

@test "waiting requests are limited by what they keep" {
	objects -o max_leases=1
	keeps waiters
	keeps refusals
}

@test "reads of events that the limit refuses do not count as waiting" {
	objects -o max_bytes=1M
	keeps events
}

@test "a user that reaches the limit stops nobody, though the log does not take the line" {
	local log=$BATS_TEST_TMPDIR/full
	touch /dev/shm/s{0..199}
	mkfifo "$log"
	exec 5<>"$log" # a reader that reads nothing
	LOG=$log start_mount -o max_bytes=64K
	dd if=/dev/zero of="$log" oflag=nonblock bs=4096 status=none 2>/dev/null || :
	as_user 1234 timeout $((10 * SLOW)) python3 -c '
import os
kept = []
try:
    while len(kept) < 200:
        kept.append(os.open(os.environ["MNT"] + "/posix/shm/s%d" % len(kept), os.O_PATH))
except OSError as error:
    assert error.errno == 12, error
assert len(kept) < 200
'
	for i in {1..20}; do
		as_user 4321 timeout $((10 * SLOW)) ls -l "$MNT/posix/shm/s$i" >/dev/null
		as_user 4321 timeout $((10 * SLOW)) mkdir "$MNT/posix/sem/s$i"
	done
	cat <&5 >"$LOG" &
	READER=$!
	stop_mount
	wait_until 'grep -aq "uid 1234 has reached max_bytes" "$LOG"'
	kill "$READER"
	exec 5>&-
}

@test "0 is no limit, and SIGHUP changes it" {
	local config=$BATS_TEST_TMPDIR/config
	echo 'max_bytes = 16K' >"$config"
	start_mount -o "config=$config"
	mkdir -m 666 "$MNT/posix/mq/queue"
	touch /dev/shm/s{0..999}
	fails 'Cannot allocate memory' as_user 1234 ls "$MNT/posix/shm"
	echo 'max_bytes = 0' >"$config"
	kill -HUP "$DAEMON"
	wait_until 'as_user 1234 ls "$MNT/posix/shm" >/dev/null 2>&1'
	echo 'max_bytes = 1M' >"$config"
	kill -HUP "$DAEMON"
	wait_until '[ "$(grep -c "was read again" "$LOG")" = 2 ]'
	as_user 1234 ls "$MNT/posix/shm" >/dev/null
}

@test "who only looks around is not refused: the kernel is told to forget" {
	start_mount -o max_bytes=4M
	touch /dev/shm/s{0..2999}
	as_user 1234 ls -lR "$MNT/posix/shm" >/dev/null
	rm /dev/shm/s*
	touch /dev/shm/t{0..2999}
	# A process whose working directory was looked up by others, too, does not notice.
	touch /dev/shm/here
	as_user 1234 stat "$MNT/posix/shm/here" >/dev/null
	cd "$MNT/posix/shm/here"
	# These names alone are more than the limit.
	as_user 1234 stat "$MNT"/posix/shm/t{0..2999}/{data,status} >/dev/null
	as_user 1234 stat "$MNT"/posix/shm/t{0..2999}/data >/dev/null
	equals "$(python3 -c "import os; print(os.getcwd())")" "$MNT/posix/shm/here"
	cd /
}

# reserves UID OBJECT: 800 KiB, of the 1 MiB that the user may have.
reserves() {
	as_user "$1" fallocate -l 800K "$MNT/posix/shm/$2/data"
}

@test "memory of segments that the daemon makes counts for the user, as long as it is there" {
	start_mount -o max_bytes=1M
	mkdir -m 666 "$MNT/posix/shm/one" "$MNT/posix/shm/other" "$MNT/posix/shm/third"
	echo 'sysv/shm/0x51 mode=0666 size=4M' >"$MNT/create"
	local data=$MNT/sysv/shm/0x00000051/data none
	reserves 1234 one
	reserves 1234 one # it is there already
	none='Cannot allocate memory'
	fails "$none" reserves 1234 other
	fails "$none" as_user 1234 dd if=/dev/zero of="$data" bs=800K count=1 conv=notrunc status=none
	equals "$(stat -c %b /dev/shm/other)" 0
	reserves 1235 other
	fallocate -l 2M "$MNT/posix/shm/third/data" # the daemon's own user does not pay
	# What direct callers free is free, and what they remove, also while a file of it is open.
	truncate -s 0 /dev/shm/one
	as_user 1234 dd if=/dev/zero of="$data" bs=800K count=1 conv=notrunc status=none
	as_user 1234 dd if=/dev/zero of="$data" bs=800K count=1 conv=notrunc status=none
	fails "$none" reserves 1234 one
	exec 8<"$data"
	ipcrm -M 0x51
	# Without the rights to open the memory as a file, the open file keeps the segment attached.
	[ "${IPCFS_TEST_WORLD:-host}" = host ] || exec 8<&-
	wait_until 'reserves 1234 one 2>/dev/null'
	exec 8<&-
	exec 7<>"$MNT/posix/shm/one/data"
	rm /dev/shm/one
	mkdir -m 666 "$MNT/posix/shm/one"
	fails "$none" reserves 1234 one
	exec 7>&-
	wait_until 'reserves 1234 one 2>/dev/null'
	rmdir "$MNT/posix/shm/one"
	mkdir -m 666 "$MNT/posix/shm/one"
	wait_until 'reserves 1234 one 2>/dev/null'
}

@test "memory at the end of the largest segments counts, too" {
	local offset
	start_mount -o max_bytes=1M
	mkdir -m 666 "$MNT/posix/shm/one" "$MNT/posix/shm/other"
	as_user 1234 fallocate -l 800K "$MNT/posix/shm/one/data"
	# 2^63 - 2^30 - 4096, and behind it what ends one page before 2^63
	for offset in 9223372035781029888 9223372036853952512; do
		fails 'Cannot allocate memory' as_user 1234 \
			fallocate -o "$offset" -l 800K "$MNT/posix/shm/other/data"
		as_user 1234 fallocate -o "$offset" -l 100K "$MNT/posix/shm/other/data"
		fails 'Cannot allocate memory' as_user 1234 \
			fallocate -o "$offset" -l 300K "$MNT/posix/shm/other/data"
		truncate -s 0 /dev/shm/other
	done
}

@test "what the limit refuses of many segments counts for none of them" {
	start_mount -o max_bytes=256K
	mkdir -m 666 "$MNT/posix/shm/one" "$MNT/posix/shm/other"
	touch /dev/shm/s{0..79}
	chmod 666 /dev/shm/s*
	as_user 1234 fallocate -l 200K "$MNT/posix/shm/one/data"
	as_user 1234 python3 -c '
import errno, os
for i in range(80):
    fd = os.open(os.environ["MNT"] + "/posix/shm/s%d/data" % i, os.O_RDWR)
    try:
        os.posix_fallocate(fd, 0, 100 << 10)
    except OSError as error:
        assert error.errno == errno.ENOMEM, error
    else:
        raise AssertionError(i)
    os.close(fd)'
	as_user 1234 fallocate -l 40K "$MNT/posix/shm/other/data"
}

@test "many users of a segment pay for what each of them has made" {
	local i
	start_mount -o max_bytes=256K
	mkdir -m 666 "$MNT/posix/shm/one"
	for i in {0..9}; do
		as_user $((1234 + i)) fallocate -o $((i * 200))K -l 200K "$MNT/posix/shm/one/data"
	done
	fails 'Cannot allocate memory' as_user 1234 fallocate -o 2000K -l 200K "$MNT/posix/shm/one/data"
	truncate -s 100K /dev/shm/one
	as_user 1234 fallocate -o 100K -l 100K "$MNT/posix/shm/one/data"
}

@test "a writer does not pay for what another process makes of the segment meanwhile" {
	start_mount -o max_bytes=1M
	mkdir -m 666 "$MNT/posix/shm/one" "$MNT/posix/shm/other"
	as_user 1234 python3 -c '
import os, subprocess, sys
fd = os.open(sys.argv[1], os.O_WRONLY)
other = subprocess.Popen(["fallocate", "-l", "64M", sys.argv[2]])
while other.poll() is None:
    os.pwrite(fd, bytes(4096), 0)
' "$MNT/posix/shm/one/data" /dev/shm/one
	reserves 1234 other
}

resident() {
	awk '/^VmRSS/ {print $2}' "/proc/$DAEMON/status"
}

@test "memory of many forgotten nodes goes back" {
	local before
	start_mount
	before=$(resident)
	touch /dev/shm/s{0..19999}
	as_user 1234 ls -l "$MNT/posix/shm" >/dev/null
	(cd "$MNT/posix/shm" && find . -mindepth 1 -maxdepth 1 -type d -print0 | xargs -0 rmdir)
	# Sanitizers keep freed memory.
	[ "$SLOW" = 1 ] || return 0
	wait_until "[ \$(resident) -le $((before + 10240)) ]" || { resident; return 1; }
}

@test "memory of large requests goes back when small ones follow" {
	local before
	start_mount
	echo 'posix/shm/large size=1M' >"$MNT/create"
	python3 -c '
import os, sys
file = os.open(sys.argv[1], os.O_RDWR)
for _ in range(2000):
    os.pwrite(file, b"small", 0)' "$MNT/posix/shm/large/data"
	before=$(resident)
	python3 -c '
import os, sys
file = os.open(sys.argv[1], os.O_RDWR)
for size in 1 << 20, 5:
    for _ in range(2000 if size == 5 else 20):
        os.pwrite(file, bytes(size), 0)' "$MNT/posix/shm/large/data"
	[ "$SLOW" = 1 ] || return 0
	echo "$before KiB before, $(resident) after"
	wait_until "[ \$(resident) -le $((before + 512)) ]" 2
}

# Many queues of a user, with a list each, until no more lists fit.
fill_state() {
	as_user 1235 bash -c '
		mkdir "$MNT"/sysv/msg/0x{1000..1400}
		setfacl -m u:1236:r "$MNT"/sysv/msg/0x{1000..1400}' 2>&1 | grep -q 'No space left'
}

@test "a full state directory keeps nobody from taking rights away" {
	local state=$BATS_TEST_TMPDIR/state
	mkdir "$state"
	mount -t tmpfs -o size=64k,mode=700 none "$state"
	start_mount -o "state=$state"
	new_queue posix 1234 -m 600
	as_user 1234 setfacl -m u:1236:rw,u:1237:r "$Q"
	fill_state
	# less than 512 bytes for a list
	[ "$(as_user 1235 getfacl -cn "$MNT"/sysv/msg/0x* 2>/dev/null | grep -c '^user:1236:')" -ge 128 ]
	as_user 1234 setfacl -m u:1236:r "$Q"
	fails 'Permission denied' as_user 1236 bash -c ': >"$Q/packets"'
	as_user 1234 setfacl -x u:1237 "$Q"
	fails 'Permission denied' as_user 1237 cat "$Q/drain"
	as_user 1234 chmod 600 "$Q"
	fails 'Permission denied' as_user 1236 cat "$Q/drain"
	stop_mount
	start_mount -o "state=$state"
	fails 'Permission denied' as_user 1236 cat "$Q/drain"
	as_user 1234 chmod 660 "$Q"
	as_user 1236 cat "$Q/drain"
	fails 'Permission denied' as_user 1236 bash -c ': >"$Q/packets"'
	fails 'Permission denied' as_user 1237 cat "$Q/drain"
	stop_mount
}
