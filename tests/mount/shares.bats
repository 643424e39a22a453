# SPDX-License-Identifier: MIT
# What one user takes from another by using something up, by passing files on, or by a helper of the
# daemon that does not answer.
# shellcheck shell=bash disable=SC2154,SC2016,SC2030,SC2031
load common

setup() {
	common_setup
}

kill_mount() {
	kill -KILL "$DAEMON"
	wait "$DAEMON" || :
	DAEMON=''
	umount -l "$MNT"
}

@test "with a keeper that does not answer, a hold is recorded or refused, and none is lost" {
	local keeper place=$MNT/posix/sem
	start_mount
	mkfifo -m 666 "$BATS_TEST_TMPDIR/go"
	as_user 1234 mkdir "$place/known" "$place/new"
	echo 1000 | tee "$place/known/value" >"$place/new/value"
	keeper=$(pgrep -x ipcfs-holds)
	cd "$place"
	background_output as_user 1234 python3 -c '
import errno, os, signal, sys
held = [os.open("known/tryhold", os.O_WRONLY) for _ in range(10)]
print("ten", flush=True)
open(sys.argv[1]).read()
for name in "known", "new":
    try:
        for number in range(400):
            held.append(os.open(name + "/tryhold", os.O_WRONLY))
    except OSError as error:
        number = errno.errorcode[error.errno]
    print(name, number, flush=True)
signal.pause()' "$BATS_TEST_TMPDIR/go"
	cd /
	wait_until 'grep -sqx ten "$OUT"'
	kill -STOP "$keeper"
	echo >"$BATS_TEST_TMPDIR/go"
	wait_until 'grep -q "^new" "$OUT"' 60
	cat "$OUT"
	# EAGAIN would say that the semaphore is 0. The daemon may have got the keeper to go on.
	tail -n 1 "$OUT" | grep -qxE 'new (ENOLCK|399)'
	kill_mount
	kill -CONT "$keeper" 2>/dev/null || :
	wait_until '! pgrep -x ipcfs-holds >/dev/null'
	equals "$(od -An -tu4 -N4 /dev/shm/sem.known | tr -d ' ')" 1000
	equals "$(od -An -tu4 -N4 /dev/shm/sem.new | tr -d ' ')" 1000
}

# Gives queues of the user lists until it is refused, and prints how.
FILL='
import ctypes, errno, os, struct, sys
acl = struct.pack("<I" + "HHI" * 5, 2, 1, 6, 0xffffffff, 2, 6, 4323, 4, 0, 0xffffffff, 16, 6, 0xffffffff, 32, 0, 0xffffffff)
libc = ctypes.CDLL(None)
try:
    for key in range(0x20000000, 0x20001100):
        assert libc.msgget(key, 0o1600) >= 0
        os.setxattr("%s/sysv/msg/%#010x" % (sys.argv[1], key), "system.posix_acl_access", acl)
    print("never refused")
except OSError as error:
    print(errno.errorcode[error.errno], key - 0x20000000)'

@test "chmod takes a right away though lists fill the state directory" {
	local place=$BATS_TEST_TMPDIR/small queues=()
	mkdir "$place"
	mount -t tmpfs -o size=8M,mode=700 tmpfs "$place"
	start_mount -o "state=$place"
	for _ in 1 2; do
		new_queue sysv 4321
		as_user 4321 setfacl -m u:4322:rw "$Q"
		as_user 4322 cat "$Q/drain"
		queues+=("$Q")
	done
	run as_user 1234 python3 -c "$FILL" "$MNT"
	echo "$output"
	[[ $output == ENOSPC* ]]
	# The other user has a share.
	as_user 4321 setfacl -m u:4324:rw "${queues[0]}"
	as_user 4324 cat "${queues[0]}/drain"
	as_user 4321 chmod 600 "${queues[0]}"
	# Taking a right away needs no room.
	fails 'No space left' dd if=/dev/zero of="$place/filler" bs=64K count=200
	as_user 4321 chmod 600 "${queues[1]}"
	for Q in "${queues[@]}"; do
		fails 'Permission denied' as_user 4322 cat "$Q/drain"
	done
	kill_mount
	start_mount -o "state=$place"
	for Q in "${queues[@]}"; do
		fails 'Permission denied' as_user 4322 cat "$Q/drain"
	done
	stop_mount
	umount "$place"
}

@test "a set-user-id program whose standard output is a control file changes nothing" {
	local program=$BATS_TEST_TMPDIR/bin/told kind before made=$MNT/posix/sem/told
	start_mount
	cp /usr/bin/printf "$program"
	chmod 4755 "$program"
	new_queue sysv
	chmod 666 "$Q"
	before=$(cat "$Q/qbytes")
	for kind in "$Q/qbytes 8000" "$MNT/limits/msgmax 5000" "$MNT/create posix/sem/told"; do
		# shellcheck disable=SC2016,SC2086 # two words
		run as_user 1234 sh -c '"$0" "%s\n" "$2" >>"$1"' "$program" $kind
		echo "$kind: $status $output"
		[ "$status" != 0 ]
	done
	equals "$(cat "$Q/qbytes" "$MNT/limits/msgmax" | xargs)" "$before 8192"
	[ ! -e "$made" ]
	# Nor what an ordinary user writes to a file that root has opened.
	for kind in "$Q/qbytes 8000" "$MNT/limits/msgmax 5000" "$MNT/create posix/sem/told"; do
		# shellcheck disable=SC2016,SC2086 # two words
		run bash -c 'exec setpriv --reuid 1234 --regid 1234 --clear-groups printf "%s\n" "$1" >>"$0"' $kind
		echo "$kind: $status $output"
		[ "$status" != 0 ]
	done
	equals "$(cat "$Q/qbytes" "$MNT/limits/msgmax" | xargs)" "$before 8192"
	[ ! -e "$made" ]
}

@test "a user who may write mounts nothing over another's object" {
	# There the set-user-id program fusermount3 is nobody's, and no user can mount.
	! in_user_namespace || return 0
	local mode place
	cp "$PEERS/stuckfs" "$BATS_TEST_TMPDIR/bin/"
	start_mount
	for mode in 622 666 777; do
		new_queue posix
		chmod "$mode" "$Q"
		for place in "$Q" "$Q/type/1" "$Q/prio/1" "$Q/peek" "$MNT/posix/mq"; do
			[ -d "$place" ] || continue
			# fusermount3 wants a user that has a name. It would go on.
			fails mountpoint as_user 65534 timeout $((5 * SLOW)) stuckfs "$place" "$BATS_FILE_TMPDIR/never"
			not grep -q " $MNT/.* fuse" /proc/self/mountinfo
		done
		echo mine >"$Q/msg"
		equals "$(cat "$Q/drain")" mine
		rmdir "$Q"
	done
}
