# SPDX-License-Identifier: MIT
# What is shown: names, attributes, status, limits, peek.
# shellcheck shell=bash disable=SC2154,SC2016
load common

@test "the fixed directories" {
	equals "$(ls "$MNT")" $'create\nevents\nlimits\nmetrics\nobjects\nposix\nsysv'
	equals "$(ls "$MNT/posix")" $'mq\nsem\nshm'
	equals "$(ls "$MNT/sysv")" $'by-id\nmsg\nsem\nshm'
	equals "$(ls "$MNT/sysv/by-id")" $'msg\nsem\nshm'
	equals "$(stat -c %a "$MNT/posix/mq" "$MNT/sysv/msg" "$MNT/limits" "$MNT/create")" $'1777\n1777\n555\n666'
	[ -z "$(ls -A "$MNT/posix/mq" "$MNT/sysv/msg" | grep -v :)" ]
}

@test "queues made by direct calls are listed until they are removed" {
	mqtool posix direct make
	mqtool sysv 0x4b45 make
	local id
	id=$(mqtool sysv private make)
	equals "$(ls "$MNT/posix/mq")" direct
	equals "$(ls "$MNT/sysv/msg")" "$(printf '%s\n' 0x00004b45 "$id" | LC_ALL=C sort)"
	mqtool posix direct remove
	mqtool sysv 0x4b45 remove
	mqtool sysv "$id" remove
	# A listing is valid for a moment.
	wait_until '[ ! -e "$MNT/posix/mq/direct" ]' 1
	wait_until '[ ! -e "$MNT/sysv/msg/0x00004b45" ]' 1
	wait_until '[ ! -e "$MNT/sysv/msg/'"$id"'" ]' 1
	silent ls "$MNT/posix/mq"
	silent ls "$MNT/sysv/msg"
	# The name belongs to another queue now.
	mqtool posix direct make 0640
	mqtool sysv 0x4b45 make 0640
	equals "$(stat -c %a "$MNT/posix/mq/direct" "$MNT/sysv/msg/0x00004b45")" $'751\n751'
}

@test "queues that the caller may not read are listed, too" {
	mqtool posix closed make 0
	mqtool sysv 0x51 make 0
	equals "$(as_user "$PEER" ls "$MNT/posix/mq" "$MNT/sysv/msg" | grep -v -e : -e '^$')" $'closed\n0x00000051'
	equals "$(as_user "$PEER" stat -c '%A %u' "$MNT/posix/mq/closed" "$MNT/sysv/msg/0x51/")" \
		$'d--x--x--x 0\nd--x--x--x 0'
}

@test "any name of a POSIX queue is shown as it is" {
	local name long
	long=$(printf 'n%.0s' $(seq 255))
	for name in 'two words' $'line\nbreak' $'\x01\xff' 'ä' '-n' '...' '$(id)' "$long" ".$RANDOM"; do
		mqtool posix "$name" make 0600 1 64
		[ -d "$MNT/posix/mq/$name" ]
		(cd "$MNT/posix/mq" && echo x >"./$name/msg" && [ "$(cat "./$name/msg")" = x ])
	done
	equals "$(find "$MNT/posix/mq" -mindepth 1 -maxdepth 1 -printf x | wc -c)" 9
	find "$MNT/posix/mq" -mindepth 1 -maxdepth 1 -exec rmdir {} +
	equals "$(find "$MNT/posix/mq" -mindepth 1 -maxdepth 1 -printf x | wc -c)" 0
}

@test "another spelling of a key is the same directory, not listed" {
	new_queue sysv
	local id spelling at=$MNT/sysv/msg
	mkdir "$at/0x4b45"
	equals "$(ls "$at")" "$(printf '%s\n' "$NAME" 0x00004b45 | sort)"
	id=$(. "$at/0x4b45/status" && echo "$id")
	for spelling in 0x4b45 0x4B45 0x004b45 0x00004B45 0X4b45 "$id"; do
		[ ! -L "$at/$spelling" ]
		equals "$(stat -c '%F %i' "$at/$spelling")" "$(stat -c '%F %i' "$at/0x00004b45")"
		equals "$(stat -c %i "$at/$spelling/"{msg,peek,type/5})" \
			"$(stat -c %i "$at/0x00004b45/"{msg,peek,type/5})"
		[ "$at/$spelling" -ef "$at/0x00004b45" ]
	done
	echo hello >"$at/0x4b45/msg"
	equals "$(cat "$at/$id/msg")" hello
	chmod 640 "$at/0x4B45"
	equals "$(stat -c %a "$at/0x00004b45" "$at/0x4b45")" $'751\n751'
	[ ! -e "$at/0x4b46" ]
	[ ! -e "$at/19269" ]
	rmdir "$at/0x4b45"
	[ ! -e "$at/0x4b45" ]
	[ ! -e "$at/0x00004b45" ]
}

@test "a directory entered by a short key can be used whatever others call it" {
	local at=$MNT/sysv/sem
	mkdir -m 660 "$at/0x51"
	equals "$(stat -c %a "$at/0x00000051")" "$(sticky)771"
	cd "$at/0x51/0"
	# The kernel keeps one name, that of the last lookup.
	ls "$at/0X51/0" >/dev/null
	[[ $(/bin/pwd) == "$at"/0[xX]*51/0 ]]
	[ "$(/bin/pwd)" -ef "$at/0x00000051/0" ]
	ls -l "$at" >/dev/null
	equals "$(cat value)" 1
	cd ..
	equals "$(cat 0/value)" 1
	background bash -c 'while :; do stat "$MNT"/sysv/sem/0X51/0/value "$MNT"/sysv/sem/0x051/values >/dev/null || exit 7; done'
	local i
	for i in {1..100}; do
		equals "$(cat "$at/0x51/0/value" "$at/0x00000051/0/value")" $'1\n1'
	done
	[ "$(/bin/pwd)" -ef "$at/0x00000051" ]
	running "$JOB"
	kill "$JOB"
	cd /
	equals "$(find "$at" -mindepth 1 -maxdepth 1 | wc -l)" 1
	fails 'are the same file' mv -T "$at/0x51" "$at/0x00000051"
	fails 'Operation not permitted' mv -T "$at/0x51" "$at/0x52"
	[ -d "$at/0x51" ]
}

@test "every spelling of a segment shows the same bytes" {
	local at=$MNT/sysv/shm
	mkdir "$at/0x51"
	exec 5<>"$at/0x51/data" 6<"$at/0x00000051/data"
	printf hello >&5
	equals "$(head -c 5 <&6)" hello
	exec 5>&- 6<&-
	cp -a "$at/0x51" "$BATS_TEST_TMPDIR/copy"
	cmp "$BATS_TEST_TMPDIR/copy/data" "$at/0x00000051/data"
}


@test "by-id leads to the names" {
	local id
	mkdir "$MNT/sysv/msg/0x51"
	id=$(mqtool sysv private make)
	local keyed
	keyed=$(sed -n 's/^id=//p' "$MNT/sysv/msg/0x51/status")
	equals "$(ls "$MNT/sysv/by-id/msg")" "$(printf '%s\n' "$keyed" "$id" | LC_ALL=C sort)"
	equals "$(readlink "$MNT/sysv/by-id/msg/$keyed")" ../../msg/0x00000051
	equals "$(readlink "$MNT/sysv/by-id/msg/$id")" "../../msg/$id"
	echo hello >"$MNT/sysv/by-id/msg/$id/msg"
	equals "$(mqtool sysv "$id" receive)" hello
	[ ! -e "$MNT/sysv/by-id/msg/0x51" ]
	[ ! -e "$MNT/sysv/by-id/msg/0$id" ]
	[ ! -e "$MNT/sysv/by-id/msg/99999999" ]
}

@test "the files of a queue" {
	new_queue posix
	local file
	equals "$(ls "$Q" | grep -v '^prio$')" $'drain\nlease\nlines\nmsg\npackets\nrecords\nstatus\ntagged\nusers\nwithin'
	[ -d "$Q/prio/0" ]
	[ -d "$Q/prio/32767" ]
	silent ls "$Q/prio"
	new_queue sysv
	equals "$(ls "$Q" | grep -v '^type$')" $'drain\nlease\nlines\nmsg\npackets\npeek\nqbytes\nrecords\nstatus\ntagged\nusers\nwithin'
	[ -d "$Q/type/1" ]
	[ -d "$Q/type/-1" ]
	[ -d "$Q/type/9223372036854775807" ]
	silent ls "$Q/type"
	for file in drain lease lines msg packets records tagged; do
		equals "$(stat -c '%s %b %F' "$Q/$file")" '0 0 regular empty file'
	done
}

attributes_of_queue() {
	local now
	equals "$(stat -c '%F %u %g %a %s' "$Q")" 'directory 0 0 711 0'
	echo hello >"$Q/msg"
	echo hello >"$Q/msg"
	equals "$(stat -c %s "$Q")" 12
	chmod 0264 "$Q"
	equals "$(stat -c '%a' "$Q")" "$(sticky)375"
	chown 1234:5678 "$Q"
	equals "$(stat -c '%u:%g' "$Q" "$Q/msg" "$Q/status")" $'1234:5678\n1234:5678\n1234:5678'
	now=$(date +%s)
	[ $((now - $(stat -c %Y "$Q"))) -lt 5 ]
	[ $((now - $(stat -c %Z "$Q"))) -lt 5 ]
	cat "$Q/msg"
	[ $((now - $(stat -c %X "$Q"))) -lt 5 ]
}

@test "ls -l shows owner, group, mode, bytes and times" {
	each_kind attributes_of_queue
}

@test "modes show as r and w, and x always" {
	local mode bits
	new_queue sysv
	for mode in 000 600 666 640 204 020 444; do
		chmod "$mode" "$Q"
		[ $((0$mode & 022)) = 0 ] && bits=0 || bits=0$(sticky)000
		equals "$(stat -c %a "$Q")" "$(printf '%o' $((0$mode | 0111 | 0$bits)))"
		equals "$(mqtool sysv "$NAME" mode | cut -d' ' -f1)" "0$mode"
	done
}

@test "find, ls -lR and du walk through everything without taking anything" {
	local kind
	for kind in posix sysv; do
		new_queue "$kind"
		echo hello >"$Q/msg"
	done
	ls -lR "$MNT" >/dev/null
	find "$MNT" -ls >/dev/null
	find "$MNT" -type f -size +0 >/dev/null
	du -s "$MNT" >/dev/null
	# The kernel sets a POSIX queue's ctime when the daemon reads the size of its messages for `status`.
	tar --warning=no-file-changed -C "$MNT" -cf - posix sysv limits >/dev/null || equals $? 1
	for kind in "$MNT"/posix/mq/* "$MNT"/sysv/msg/*; do
		equals "$(messages "$kind")" 1
	done
}

@test "every entry that is listed can be looked up, and says the same" {
	new_queue posix
	new_queue sysv
	echo one >"$Q/msg"
	find "$MNT" -mindepth 1 -printf '%p\n' | while read -r path; do
		[ -e "$path" ] || [ -L "$path" ] || { echo "$path"; exit 1; }
	done
	# find reports a type in the listing that differs from lstat's.
	silent find "$MNT" -type d -exec test ! -d {} \; -print
	silent find "$MNT" -type f -exec test ! -f {} \; -print
	# A file has the same inode number by every path.
	equals "$(ls -id "$Q" | cut -d' ' -f1)" "$(ls -i "$(dirname "$Q")" | sed -n "s/^ *\([0-9]*\) $NAME\$/\1/p")"
}

@test "no two files have the same inode number" {
	local object part
	mkdir "$MNT"/posix/{sem,shm}/one
	echo 'sysv/sem/0x00005101 values=0,0' >"$MNT/create"
	echo 'sysv/shm/0x00005101 size=1' >"$MNT/create"
	for _ in 1 2; do
		new_queue posix
		new_queue sysv
		printf '%s\n' one two >"$Q/lines"
	done
	# also in directories that are not listed
	for object in "$MNT"/posix/{mq,sem}/* "$MNT"/sysv/{msg,sem}/*; do
		for part in {,{type,prio,pid}/{1,2}/,{0,1}/}within/{1,2} {type,prio,pid}/{1,2}; do
			[ ! -d "$object/$part" ] || echo "$object/$part"
		done
	done >"$BATS_TEST_TMPDIR/unlisted"
	xargs -I{} find {} -maxdepth 1 -printf '%i %p\n' <"$BATS_TEST_TMPDIR/unlisted" >"$BATS_TEST_TMPDIR/inodes"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/inodes")" -gt 200 ]
	find "$MNT" -printf '%i %p\n' >>"$BATS_TEST_TMPDIR/inodes"
	equals "$(cut -d' ' -f1 "$BATS_TEST_TMPDIR/inodes" | sort | uniq -d)" ''
}

@test "status can be sourced in each shell and has every field" {
	local kind shell field
	for kind in posix sysv; do
		new_queue "$kind" "$PEER"
		echo hello >"$Q/msg"
		for shell in "${SHELLS[@]}"; do
			equals "$(script "$shell" "$PEER" 'set -eu; . "$Q/status"; echo $uid $gid $mode $messages $bytes $stale $returned')" \
				'1234 1234 0600 1 6 unknown 0'
		done
		grep -qvE "^[a-z_]+=([A-Za-z0-9_.,:/@%+-]*|'.*')$" "$Q/status" && return 1
		equals "$(cut -d= -f1 "$Q/status" | sort | uniq -d)" ''
	done
	for field in name key id cuid cgid last_send_pid last_recv_pid; do
		grep -q "^$field=" "$Q/status"
	done
	equals "$(. "$Q/status"; echo "$key $cuid $cgid $max_bytes $max_message_size")" "$NAME 1234 1234 16384 8192"
	. "$MNT/posix/mq/queue1/status"
	equals "$max_messages $max_message_size" '10 8192'
}

@test "status names the last sender and receiver, through the mount or direct" {
	new_queue sysv
	mqtool sysv "$NAME" send 5 hello
	. "$Q/status"
	[ "$last_send_pid" -gt 0 ]
	equals "$last_recv_pid" 0
	mqtool sysv "$NAME" receive >/dev/null
	. "$Q/status"
	[ "$last_recv_pid" -gt 0 ]
	[ "$last_recv_pid" != "$last_send_pid" ]
}

@test "status of a queue with a hostile name can be sourced" {
	local name=$'a\'; touch pwned; $(touch pwned) \x07`id`\nid=7 # "'
	mqtool posix "$name" make
	local shell
	for shell in bash dash 'busybox sh'; do
		(cd "$BATS_TEST_TMPDIR" && $shell -c '. "$1"; [ "$messages" = 0 ]' sh "$MNT/posix/mq/$name/status")
	done
	[ ! -e "$BATS_TEST_TMPDIR/pwned" ]
}

@test "limits are the kernel's, and root sets them" {
	local name path
	for name in msgmax msgmnb msgmni sem shmmax shmall shmmni; do
		equals "$(cat "$MNT/limits/$name")" "$(cat "/proc/sys/kernel/$name")"
	done
	for name in queues_max msg_max msgsize_max; do
		equals "$(cat "$MNT/limits/mq_$name")" "$(cat "/proc/sys/fs/mqueue/$name")"
	done
	equals "$(stat -c %a "$MNT/limits/msgmnb")" 644
	equals "$(as_user "$PEER" cat "$MNT/limits/msgmnb")" 16384
	echo 20000 >"$MNT/limits/msgmnb"
	echo 12 >"$MNT/limits/mq_msg_max"
	equals "$(cat /proc/sys/kernel/msgmnb /proc/sys/fs/mqueue/msg_max)" $'20000\n12'
	fails 'Permission denied' as_user "$PEER" bash -c 'echo 1 >"$MNT/limits/msgmnb"'
	fails 'Invalid argument' bash -c 'echo many >"$MNT/limits/msgmnb"'
	fails 'Invalid argument' bash -c 'echo -1 >"$MNT/limits/msgmnb"'
	fails 'out of range' bash -c 'echo 99999999999999999999 >"$MNT/limits/msgmnb"'
	equals "$(cat /proc/sys/kernel/msgmnb)" 20000
	fails 'No such file' cat "$MNT/limits/none"
}

@test "peek shows each queued message and takes none" {
	new_queue sysv
	silent ls "$Q/peek"
	mqtool sysv "$NAME" send 5 first
	printf 'a\0b' | mqtool sysv "$NAME" send 7
	mqtool sysv "$NAME" send 1 ''
	equals "$(ls "$Q/peek")" $'0.5\n1.7\n2.1'
	equals "$(stat -c %s "$Q/peek/0.5" "$Q/peek/1.7" "$Q/peek/2.1")" $'5\n3\n0'
	equals "$(cat "$Q/peek/0.5")" first
	equals "$(od -An -c "$Q/peek/1.7" | tr -d ' ')" 'a\0b'
	silent cat "$Q/peek/2.1"
	equals "$(tail -c 2 "$Q/peek/0.5")" st
	cp "$Q/peek/0.5" "$BATS_TEST_TMPDIR/copy"
	equals "$(cat "$BATS_TEST_TMPDIR/copy")" first
	equals "$(messages)" 3
	fails 'No such file' cat "$Q/peek/0.7"
	fails 'No such file' cat "$Q/peek/3.1"
	mqtool sysv "$NAME" receive >/dev/null
	equals "$(ls "$Q/peek")" $'0.7\n1.1'
	equals "$(od -An -c "$Q/peek/0.7" | tr -d ' ')" 'a\0b'
	fails 'No such file' cat "$Q/peek/0.5"
}

@test "qbytes reads and sets msg_qbytes" {
	new_queue sysv "$PEER"
	equals "$(cat "$Q/qbytes")" 16384
	as_user "$PEER" bash -c 'echo 8000 >"$Q/qbytes"'
	equals "$(cat "$Q/qbytes")" 8000
	equals "$(sed -n 's/^max_bytes=//p' "$Q/status")" 8000
	fails 'not permitted' as_user "$PEER" bash -c 'echo 1000000 >"$Q/qbytes"'
	if kernel_checks; then
		fails 'Permission denied' as_user 4321 bash -c 'echo 1 >"$Q/qbytes"'
	else
		fails 'not permitted' as_user 4321 bash -c 'echo 1 >"$Q/qbytes"'
	fi
	fails 'Invalid argument' bash -c 'echo many >"$Q/qbytes"'
	equals "$(cat "$Q/qbytes")" 8000
	# Above msgmnb it takes CAP_SYS_RESOURCE, which not every root has.
	if mqtool sysv "$NAME" qbytes 1000000; then
		echo 1000001 >"$Q/qbytes"
		equals "$(cat "$Q/qbytes")" 1000001
	else
		fails 'not permitted' bash -c 'echo 1000000 >"$Q/qbytes"'
	fi
}

@test "hundreds of queues are listed completely, while others are made and removed" {
	local i
	for ((i = 1; i <= 400; i++)); do
		mqtool sysv "$(printf '0x%x' $((0x7000 + i)))" make
	done >/dev/null
	for ((i = 1; i <= 100; i++)); do
		mqtool posix "many-$i" make 0600 1 64
	done
	background bash -c 'while :; do mqtool sysv 0x9999 make; mqtool sysv 0x9999 remove; done >/dev/null 2>&1'
	for ((i = 1; i <= 10; i++)); do
		equals "$(ls "$MNT/sysv/msg" | grep -c 0x00007)" 400
		equals "$(ls -l "$MNT/posix/mq" | grep -c many-)" 100
	done
	equals "$(ls "$MNT/sysv/msg" | sort | uniq -d)" ''
}
