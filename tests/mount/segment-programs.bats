# SPDX-License-Identifier: MIT
# Programs with shared memory of their own, and the mount that shows it.
# shellcheck shell=bash disable=SC2154,SC2016
load common

@test "Python's shared memory is seen, read and written" {
	run timeout 60 python3 - "$MNT" <<'END'
import os
import sys
from multiprocessing import Process, shared_memory

path = sys.argv[1] + '/posix/shm/'


def child(name):
    memory = shared_memory.SharedMemory(name)
    memory.buf[5:10] = b'child'
    memory.close()


memory = shared_memory.SharedMemory(create=True, size=10000)
data = path + memory.name + '/data'
assert os.listdir(path) == [memory.name]
assert os.path.getsize(data) == 10000
memory.buf[:5] = b'hello'
with open(data, 'r+b', buffering=0) as file:
    assert file.read(5) == b'hello'
    process = Process(target=child, args=(memory.name,))
    process.start()
    process.join()
    assert file.read(5) == b'child'
    file.write(b'mount')
assert bytes(memory.buf[10:15]) == b'mount'
memory.close()
os.rmdir(path + memory.name)
try:
    memory.unlink()
    sys.exit('it is still there')
except FileNotFoundError:
    pass
END
	echo "$output"
	[ "$status" = 0 ]
}

# The directory of PostgreSQL's programs, and a user who may run them.
postgres_programs() {
	local program
	PROGRAMS='' ACCOUNT=nobody
	for program in /usr/lib/postgresql/*/bin/initdb; do
		[ ! -x "$program" ] || PROGRAMS=${program%/*}
	done
	[ -n "$PROGRAMS" ] || skip 'there is no PostgreSQL'
}

@test "PostgreSQL's segments are shown, its processes count, and kill -9 leaves a stale segment" {
	local base=$BATS_TEST_TMPDIR/pg segment before pid uid
	postgres_programs
	uid=$(id -u "$ACCOUNT")
	mkdir -m 700 "$base"
	chown "$uid" "$base"
	cd "$base"
	as_user "$uid" env LC_ALL=C "$PROGRAMS/initdb" -D "$base/data" -A trust -U me >/dev/null
	as_user "$uid" "$PROGRAMS/pg_ctl" -D "$base/data" -l "$base/log" -w start -o "-k $base -c listen_addresses='' \
		-c shared_memory_type=sysv -c dynamic_shared_memory_type=posix -c min_dynamic_shared_memory=1MB" \
		>/dev/null 3>&- 4>&-
	segment=$MNT/sysv/shm/$(ls "$MNT/sysv/shm")
	. "$segment/status"
	pid=$(head -n 1 "$base/data/postmaster.pid")
	equals "$uid $creator_pid $stale" "$(id -u "$ACCOUNT") $pid no"
	[ "$nattch" -gt 1 ]
	before=$nattch
	ls "$MNT/posix/shm" | grep -q PostgreSQL
	background as_user "$uid" "$PROGRAMS/psql" -h "$base" -U me postgres -c 'select pg_sleep(60)'
	wait_until '[ "$(sed -n "s/^nattch=//p" "$segment/status")" -gt "$before" ]'
	kill -KILL "$pid" $(ps -o pid= --ppid "$pid")
	wait_until '[ "$(sed -n "s/^stale=//p" "$segment/status")" = yes ]' 20
	rmdir "$segment"
	silent ls "$MNT/sysv/shm"
}

@test "stress-ng works beside ls -lR, cat status and cat data" {
	command -v stress-ng >/dev/null || skip 'there is no stress-ng'
	background stress-ng --quiet --temp-path "$BATS_TEST_TMPDIR" --shm 2 --shm-sysv 2 --timeout 5
	while running "$JOB"; do
		ls -lR "$MNT" >/dev/null 2>&1 || :
		cat "$MNT"/*/shm/*/status >/dev/null 2>&1 || :
		head -qc 10000 "$MNT"/*/shm/*/data >/dev/null 2>&1 || :
	done
	wait "$JOB"
	ls -lR "$MNT" >/dev/null
}

@test "one program draws the picture, another shows it" {
	local examples=$BATS_TEST_DIRNAME/../../examples object=$MNT/posix/shm/picture
	timeout 20 "$examples/shared-picture" draw "$object" 5
	run timeout 20 "$examples/shared-picture" show "$object" 1
	equals "$status ${#lines[@]} ${lines[5]}" "0 20 .....O................................."
	equals "$(tr -d 'O\n' </dev/shm/picture | wc -c)" 779
	background "$examples/shared-picture" draw "$object" 30
	run timeout 20 "$examples/shared-picture" show "$object" 10
	equals "$status" 0
	[ "$(grep -c O <<<"$output")" -ge 5 ]
}
