# SPDX-License-Identifier: MIT
# Making, changing and removing queues.
# shellcheck shell=bash disable=SC2154,SC2016
load common

# Owner, group and mode by the direct call.
direct() {
	mqtool "$KIND" "$NAME" mode
}

defaults_of_mkdir() {
	local mask
	rmdir "$Q"
	for mask in 022 077 027 002; do
		as_user "$PEER:5678" bash -c "umask $mask; mkdir \"\$Q\""
		if [ "$KIND" = posix ]; then
			equals "$(direct)" '0600 1234 5678'
		else
			equals "$(direct)" '0600 1234 5678 1234 5678'
		fi
		rmdir "$Q"
	done
	bash -c 'umask 0; mkdir "$Q"'
	equals "$(direct | cut -d' ' -f1)" 0666
}

@test "mkdir makes it the caller's, mode 0600 whatever the umask, 0666 without one" {
	each_kind defaults_of_mkdir
}

modes_of_mkdir() {
	local shell asked
	for shell in bash dash 'busybox sh'; do
		for asked in 640:0640 666:0666 777:0666 400:0400 4755:0644 1777:0666 0:0000; do
			rmdir "$Q"
			$shell -c "mkdir -m ${asked%:*} \"\$Q\""
			equals "$shell $asked $(direct | cut -d' ' -f1)" "$shell $asked ${asked#*:}"
		done
	done
	rmdir "$Q"
	/usr/bin/python3 -c 'import os; os.umask(0o022); os.mkdir(os.environ["Q"], 0o660)'
	equals "$(direct | cut -d' ' -f1)" 0640
}

@test "mkdir -m asks for another mode; execute, setuid and sticky bits are dropped" {
	each_kind modes_of_mkdir
}

existing() {
	fails 'File exists' mkdir "$Q"
	mkdir -p "$Q"
	local inode
	inode=$(stat -c %i "$Q")
	mqtool "$KIND" "$NAME" send 1 here
	equals "$(stat -c %i "$Q")" "$inode"
	equals "$(cat "$Q/msg")" here
}

@test "mkdir of what exists is EEXIST, and mkdir -p is content" {
	each_kind existing
	mkdir "$MNT/sysv/msg/0x99"
	fails 'File exists' mkdir "$MNT/sysv/msg/0x0099"
}

@test "mkdir takes any spelling of a key" {
	local spelling
	for spelling in 0x4b45 0x4B45 0x00004b45 0xffffffff 0x1; do
		mkdir "$MNT/sysv/msg/$spelling"
		[ -d "$MNT/sysv/msg/$(printf '0x%08x' "$spelling")" ]
		rmdir "$MNT/sysv/msg/$(printf '0x%08x' "$spelling")"
	done
}

removing() {
	echo hello >"$Q/msg"
	rmdir "$Q"
	[ ! -e "$Q" ]
	fails '' mqtool "$KIND" "$NAME" count
	[[ $output == *ENOENT* ]]
	fails 'No such file' rmdir "$Q"
	mkdir "$Q"
	equals "$(messages)" 0
	rmdir "$Q" && [ ! -e "$Q" ]
}

@test "rmdir removes, although there are files and messages" {
	each_kind removing
	local id
	id=$(mqtool sysv private make)
	rmdir "$MNT/sysv/msg/$id"
	[ -z "$(ipcs -q | grep "^0x")" ]
}

fixed_files() {
	local file
	for file in msg lines tagged packets drain status; do
		fails 'not permitted' rm -f "$Q/$file"
	done
	fails 'not permitted' touch "$Q/new"
	fails 'not permitted' mkdir "$Q/new"
	fails 'not permitted' mv "$Q/msg" "$Q/other"
	fails 'not permitted' mv "$Q" "$Q.other"
	fails 'not permitted' ln "$Q/msg" "$(dirname "$Q")/link"
	fails 'not permitted' ln -s target "$Q/link"
	fails 'not permitted' mkfifo "$Q/fifo"
	fails 'not permitted' touch "$(dirname "$Q")/file"
	fails 'not permitted' ln -s target "$(dirname "$Q")/link"
	fails 'not permitted' mknod "$(dirname "$Q")/null" c 1 3
	equals "$(ls "$(dirname "$Q")")" "$NAME"
}

@test "the files inside can not be removed, renamed or added to" {
	each_kind fixed_files
}

@test "the fixed directories can not be removed, renamed or added to" {
	local directory
	for directory in posix sysv posix/mq sysv/msg sysv/by-id sysv/by-id/msg limits; do
		fails 'not permitted' rmdir "$MNT/$directory"
		fails 'not permitted' mv "$MNT/$directory" "$MNT/other"
		fails 'not permitted' chmod 700 "$MNT/$directory"
		fails 'not permitted' chown 1 "$MNT/$directory"
	done
	for directory in . posix sysv sysv/by-id sysv/by-id/msg limits; do
		fails 'not permitted' mkdir "$MNT/$directory/new"
		fails 'not permitted' touch "$MNT/$directory/new"
	done
	fails 'not permitted' rm -f "$MNT/create"
	fails 'not permitted' rm -f "$MNT/limits/msgmax"
	new_queue sysv
	fails 'not permitted' rmdir "$Q/peek"
	fails 'not permitted' rmdir "$Q/type"
	fails 'not permitted' rmdir "$Q/type/1"
	equals "$(stat -c %a "$MNT/posix/mq")" 1777
}

changing() {
	chmod 640 "$Q"
	equals "$(direct | cut -d' ' -f1)" 0640
	chmod 4777 "$Q"
	equals "$(direct | cut -d' ' -f1)" 0666
	chmod 604 "$Q/msg"
	equals "$(direct | cut -d' ' -f1)" 0604
	chmod 624 "$Q/status"
	equals "$(direct | cut -d' ' -f1)" 0624
	chown 1234 "$Q"
	chgrp 5678 "$Q/lines"
	equals "$(direct | cut -d' ' -f1-3)" '0624 1234 5678'
	chown 0:0 "$Q/drain"
	equals "$(direct | cut -d' ' -f1-3)" '0624 0 0'
}

@test "chmod, chown and chgrp of the directory and of each file are the queue's" {
	each_kind changing
}

@test "the creator stays when the owner changes" {
	new_queue sysv "$PEER"
	chown 99:98 "$Q"
	equals "$(direct)" '0600 99 98 1234 1234'
	equals "$(. "$Q/status"; echo "$uid $gid $cuid $cgid")" '99 98 1234 1234'
}

touched() {
	fails 'not permitted' touch "$Q"
	fails 'not permitted' touch -d yesterday "$Q/msg"
	fails 'Invalid argument' truncate -s 100 "$Q/msg"
	truncate -s 0 "$Q/msg"
	equals "$(messages)" 0
}

@test "times and sizes are not to be set" {
	each_kind touched
}

@test "create makes what a specification says" {
	echo 'posix/mq/jobs maxmsg=7 msgsize=4096 mode=0660' >"$MNT/create"
	equals "$(mqtool posix jobs mode)" '0660 0 0'
	equals "$(. "$MNT/posix/mq/jobs/status"; echo "$max_messages $max_message_size")" '7 4096'
	echo 'sysv/msg/0x51 qbytes=4K mode=0604' >"$MNT/create"
	equals "$(mqtool sysv 0x51 mode)" '0604 0 0 0 0'
	equals "$(cat "$MNT/sysv/msg/0x51/qbytes")" 4096
	echo 'posix/mq/plain' >"$MNT/create"
	equals "$(mqtool posix plain mode)" '0600 0 0'
	printf '# comment\n\n  sysv/msg/0x52\n\tposix/mq/b\\040c\n' >"$MNT/create"
	[ -d "$MNT/sysv/msg/0x52" ] && [ -d "$MNT/posix/mq/b c" ]
}

@test "create tells the path that was made" {
	local script='exec 9<>"$MNT/create"; echo "$SPEC" >&9; read -r path <&9; cd "$MNT"; stat -c %F "$path"; cat "$path/status" >&2; echo "$path"'
	local shell
	for shell in bash dash 'busybox sh'; do
		SPEC='sysv/msg/0x4b45' script "$shell" "$PEER" "export SPEC='sysv/msg/0x4b45'; $script" >"$BATS_TEST_TMPDIR/out"
		grep -q ^directory "$BATS_TEST_TMPDIR/out"
		grep -q 'sysv/msg/0x00004b45$' "$BATS_TEST_TMPDIR/out"
		rmdir "$MNT/sysv/msg/0x00004b45"
		script "$shell" "$PEER" "SPEC='sysv/msg/private mode=0644'; $script" >"$BATS_TEST_TMPDIR/out"
		grep -qE '^directory' "$BATS_TEST_TMPDIR/out"
		equals "$(stat -c '%u %a' "$MNT"/sysv/msg/*)" '1234 755'
		rmdir "$MNT"/sysv/msg/*
		script "$shell" "$PEER" "SPEC='posix/mq/jobs maxmsg=3'; $script" >"$BATS_TEST_TMPDIR/out"
		grep -q 'posix/mq/jobs$' "$BATS_TEST_TMPDIR/out"
		rmdir "$MNT/posix/mq/jobs"
	done
}

# refused ERRNO'S TEXT SPECIFICATION
refused() {
	local shell
	for shell in bash dash; do
		SPEC=$2 fails "$1" env SPEC="$2" "$shell" -c 'printf "%s\n" "$SPEC" >"$MNT/create"'
	done || { [ "$shell" = dash ] && [ "$status" != 0 ]; }
	equals "$(ls "$MNT/posix/mq")$(ls "$MNT/sysv/msg")" ''
}

@test "a bad specification makes nothing" {
	refused 'Invalid argument' 'posix/mq'
	refused 'Invalid argument' 'posix/mq/'
	refused 'Invalid argument' 'posix/none/x'
	refused 'Invalid argument' '/posix/mq/x'
	refused 'Invalid argument' 'posix/mq/a/b'
	refused 'Invalid argument' 'posix/mq/..'
	refused 'Invalid argument' 'posix/mq/x colour=red'
	refused 'Invalid argument' 'posix/mq/x maxmsg'
	refused 'Invalid argument' 'posix/mq/x maxmsg='
	refused 'Invalid argument' 'posix/mq/x maxmsg=1 maxmsg=1'
	refused 'Invalid argument' 'posix/mq/x maxmsg=-1'
	refused 'Invalid argument' 'posix/mq/x qbytes=100'
	refused 'Invalid argument' 'posix/mq/x mode=rw'
	refused 'Invalid argument' 'posix/mq/x mode=0755'
	refused 'Invalid argument' 'posix/mq/\777'
	refused 'Invalid argument' 'sysv/msg/0x0'
	refused 'Invalid argument' 'sysv/msg/51'
	refused 'Invalid argument' 'sysv/msg/name'
	refused 'Invalid argument' 'sysv/msg/0x51 maxmsg=10'
	refused 'out of range' 'posix/mq/x maxmsg=99999999999999999999999'
	refused 'too long' "posix/mq/$(printf 'n%.0s' $(seq 256))"
	mkdir "$MNT/posix/mq/jobs"
	fails 'File exists' bash -c 'echo posix/mq/jobs >"$MNT/create"'
	equals "$(ls "$MNT/posix/mq")" jobs
}

@test "a limit that is reached is ENOSPC, and the log names it" {
	echo 3 >"$MNT/limits/msgmni"
	mkdir "$MNT"/sysv/msg/0x{1,2,3}
	fails 'No space left' mkdir "$MNT/sysv/msg/0x4"
	fails 'No space left' bash -c 'echo sysv/msg/private >"$MNT/create"'
	grep -q msgmni "$LOG"
	echo 2 >"$MNT/limits/mq_queues_max"
	as_user "$PEER" mkdir "$MNT"/posix/mq/{a,b}
	fails 'No space left' as_user "$PEER" mkdir "$MNT/posix/mq/c"
	grep -q queues_max "$LOG"
	equals "$(ls "$MNT/posix/mq" "$MNT/sysv/msg" | grep -c .)" 7
}

@test "mkdir -m takes any spelling of a key" {
	mkdir -m 660 "$MNT/sysv/msg/0x7701"
	mkdir -m 606 "$MNT/sysv/msg/0X7702"
	equals "$(stat -c %a "$MNT/sysv/msg/0x00007701")" 771
	equals "$(stat -c %a "$MNT/sysv/msg/0x00007702")" 717
}

@test "POSIX queues are charged to their maker's RLIMIT_MSGQUEUE" {
	# The daemon's own limit would do for nine queues of this size. Users of their own: the
	# kernel charges across IPC namespaces, and other suites may be at work.
	local made
	made=$(as_user 31234 prlimit --msgqueue=200000 bash -c 'for i in 1 2 3 4 5; do mkdir "$MNT/posix/mq/a$i" && echo $i; done' 2>/dev/null | wc -l)
	equals "$made" 2
	made=$(as_user 34321 prlimit --msgqueue=400000 bash -c 'for i in 1 2 3 4 5 6; do mkdir "$MNT/posix/mq/b$i" && echo $i; done' 2>/dev/null | wc -l)
	equals "$made" 4
	fails 'No space left' as_user 31234 prlimit --msgqueue=200000 mkdir "$MNT/posix/mq/c"
}

@test "in a user namespace POSIX queues are charged to its owner as well" {
	local user made expected=10
	# Nine are as much as the owner may have.
	! in_user_namespace || expected=9
	made=$(for user in 31235 34322; do
		as_user "$user" bash -c 'for i in 1 2 3 4 5; do mkdir "$MNT/posix/mq/$0-$i" && echo $i; done' "$user" 2>/dev/null
	done | wc -l)
	equals "$made" "$expected"
	! in_user_namespace || fails 'No space left' mkdir "$MNT/posix/mq/root"
}

@test "queues outlive the daemon" {
	new_queue posix
	echo one >"$Q/msg"
	local posix=$Q
	new_queue sysv
	echo two >"$Q/msg"
	stop_mount
	start_mount
	equals "$(cat "$posix/msg" "$Q/drain")" $'one\ntwo'
}
