# SPDX-License-Identifier: MIT
# The mount lets a caller do what the same caller could do with the direct call, nothing more.
# shellcheck shell=bash disable=SC2154,SC2016
load common

# may COMMAND...: prints yes, or no if it fails with EACCES.
may() {
	run "$@"
	if [ "$status" = 0 ]; then
		echo yes
	elif [[ $output == *EACCES* || $output == *'Permission denied'* ]]; then
		echo no
	else
		echo "neither: $output" >&2
		return 1
	fi
}

# judged VERDICT WHO OPERATOR: prints what the mount must say if the direct call says VERDICT. In a
# user namespace the kernel checks first, as for a file of that owner and mode, which has no
# creator.
judged() {
	if [ "$1" = yes ] && kernel_checks; then
		may $2 bash -c ": $3'$BATS_TEST_TMPDIR/file'"
	else
		echo "$1"
	fi
}

# Every user reads and writes, directly and through the mount, with the same result.
compare() {
	local who label=$1 direct mount
	[ "$KIND" = posix ] || install -o 1234 -g 5678 -m "$1" /dev/null "$BATS_TEST_TMPDIR/file"
	for who in 'as_user 1234' 'as_user 55:5678' 'as_user 55:55:5678' 'as_user 99' 'as_user 98:98:77,97' 'as_user 4321' \
		'as_weak_root' 'env'; do
		direct=$(may $who mqtool "$KIND" "$NAME" send 1 text)
		mount=$(may $who bash -c 'echo text >"$Q/packets"')
		[ "$KIND" = posix ] || direct=$(judged "$direct" "$who" '>')
		equals "$label $who writes $mount" "$label $who writes $direct"
		mqtool -n "$KIND" "$NAME" send 1 text
		mqtool -n "$KIND" "$NAME" send 1 text
		direct=$(may $who mqtool "$KIND" "$NAME" receive)
		mount=$(may $who dd if="$Q/packets" bs=8192 count=1 status=none)
		[ "$KIND" = posix ] || direct=$(judged "$direct" "$who" '<')
		equals "$label $who reads $mount" "$label $who reads $direct"
		cat "$Q/drain" >/dev/null
	done
}

@test "reading and writing a POSIX queue is as the direct call, for every mode and user" {
	local mode
	new_queue posix
	chown 1234:5678 "$Q"
	for mode in 000 600 400 200 060 040 020 006 004 002 606 660 066; do
		chmod "$mode" "$Q"
		compare "$mode"
	done
}

@test "reading and writing a System V queue is as the direct call, for every mode and user" {
	local mode
	# Creator and owner are different users.
	new_queue sysv 99:97
	chown 1234:5678 "$Q"
	for mode in 000 600 400 200 060 040 020 006 004 002 606 660 066; do
		chmod "$mode" "$Q"
		compare "$mode"
	done
}

each_file() {
	local file
	chmod 0 "$Q"
	for file in msg lines tagged packets records drain; do
		fails 'Permission denied' as_user "$PEER" cat "$Q/$file"
		[ "$file" = drain ] || fails 'Permission denied' as_user "$PEER" bash -c "echo x >\"\$Q/$file\""
	done
	fails 'Permission denied' as_user "$PEER" bash -c ': <>"$Q/lease"'
	if [ "$KIND" = posix ]; then
		fails 'Permission denied' as_user "$PEER" bash -c 'echo x >"$Q/prio/3/msg"'
		fails 'Permission denied' as_user "$PEER" cat "$Q/status"
	else
		fails 'Permission denied' as_user "$PEER" cat "$Q/type/1/msg"
		fails 'Permission denied' as_user "$PEER" bash -c 'echo x >"$Q/type/1/msg"'
		as_user "$PEER" cat "$Q/status" >/dev/null
		mqtool sysv "$NAME" send 5 secret
		fails 'Permission denied' as_user "$PEER" cat "$Q/peek/0.5"
	fi
	fails 'not permitted' as_user "$PEER" chmod 666 "$Q"
	fails 'not permitted' as_user "$PEER" chown 1234 "$Q"
	fails 'not permitted' as_user "$PEER" chmod 666 "$Q/msg"
	[ "$(as_user "$PEER" stat -c %a "$Q")" = 111 ]
}

@test "each file is guarded" {
	each_kind each_file
}

@test "only the owner, and the creator of a System V queue, removes it" {
	new_queue posix "$PEER"
	chmod 666 "$Q"
	fails 'not permitted' as_user 4321 rmdir "$Q"
	[ -d "$Q" ]
	as_user "$PEER" rmdir "$Q"
	new_queue sysv "$PEER"
	chmod 666 "$Q"
	fails 'not permitted' as_user 4321 rmdir "$Q"
	fails 'not permitted' as_weak_root rmdir "$Q"
	chown 99 "$Q"
	if kernel_checks; then
		fails 'not permitted' as_user "$PEER" rmdir "$Q"
		rmdir "$Q"
	else
		as_user "$PEER" rmdir "$Q"
	fi
	new_queue sysv "$PEER"
	chown 99 "$Q"
	as_user 99 rmdir "$Q"
	new_queue sysv "$PEER"
	rmdir "$Q"
}

@test "the owner changes mode and group, root the owner" {
	new_queue posix "$PEER"
	as_user "$PEER" chmod 640 "$Q"
	as_user 1234:1234:5678 chgrp 5678 "$Q"
	equals "$(stat -c '%u %g %a' "$Q")" '1234 5678 751'
	fails 'not permitted' as_user "$PEER" chgrp 99 "$Q"
	fails 'not permitted' as_user "$PEER" chown 99 "$Q"
	fails 'not permitted' as_weak_root chown 99 "$Q"
	fails 'not permitted' as_weak_root chmod 600 "$Q"
	new_queue sysv "$PEER"
	as_user "$PEER" chmod 640 "$Q"
	if kernel_checks; then
		fails 'not permitted' as_user "$PEER" chown 99:98 "$Q"
		return
	fi
	# System V lets the owner give it away; the creator takes it back.
	as_user "$PEER" chown 99:98 "$Q"
	equals "$(stat -c '%u %g' "$Q")" '99 98'
	as_user "$PEER" chown 1234 "$Q"
	fails 'not permitted' as_weak_root chmod 600 "$Q"
	equals "$(stat -c '%u %g %a' "$Q")" '1234 98 751'
}

revoking() {
	local go=$BATS_TEST_TMPDIR/go.$NAME out=$BATS_TEST_TMPDIR/out.$NAME
	chmod 666 "$Q"
	export GO=$go
	as_user "$PEER" bash -c '
		exec 7<"$Q/packets" 8<"$Q/msg" 9>"$Q/packets" 6>"$Q/msg" 5<"$Q/drain"
		echo ready
		until [ -e "$GO" ]; do sleep 0.02; done
		dd <&7 bs=8192 count=1 status=none || echo refused
		cat <&8 || echo refused
		cat <&5 || echo refused
		echo x >&9 || echo refused
		echo x >&6 || echo refused' >"$out" 2>&1 3>&- &
	JOBS+=($!)
	wait_until "grep -q ready '$out'"
	mqtool "$KIND" "$NAME" send 1 secret
	chmod 0 "$Q"
	touch "$go"
	wait "${JOBS[-1]}"
	equals "$(grep -c refused "$out") $(grep -c 'Permission denied' "$out") $(grep -c secret "$out")" '5 5 0'
	equals "$(messages)" 1
}

@test "after chmod 0 the next read and write on an open file are refused" {
	each_kind revoking
}

waiting_revoked() {
	chmod 666 "$Q"
	background_output as_user "$PEER" cat "$Q/msg"
	wait_parked 1
	chmod 600 "$Q"
	echo secret >"$Q/msg"
	wait_until 'ended "$JOB"'
	equals "$(cat "$OUT")" "cat: $Q/msg: Permission denied"
	equals "$(cat "$Q/drain")" secret
}

@test "after chmod 0 no use of an open file is served: poll, locks, sizes and closes neither" {
	run python3 "$BATS_TEST_DIRNAME/revoked.py" "$MNT" "$DAEMON" 1 0
	echo "$output"
	equals "$status" 0
}

@test "a waiting reader gets nothing after it has lost the right to read" {
	each_kind waiting_revoked
}

passed_on() {
	exec 8<"$Q/msg" 9>"$Q/msg"
	as_user "$PEER" bash -c 'echo from me >&9'
	equals "$(messages)" 1
	equals "$(as_user "$PEER" cat <&8)" 'from me'
	exec 8<&- 9>&-
}

@test "an open file is judged by its opener, whichever process uses it" {
	each_kind passed_on
}

opener_loses() {
	chown "$PEER" "$Q"
	run /usr/bin/python3 - <<-'EOF'
	import os
	q = os.environ['Q']
	os.seteuid(1234)
	fd = os.open(q + '/drain', os.O_RDONLY)
	os.seteuid(0)
	open(q + '/msg', 'w').write('one')
	print(os.read(fd, 100))
	os.chown(q, 0, 0)
	open(q + '/msg', 'w').write('two')
	try:
	    print(os.read(fd, 100))
	except PermissionError:
	    print('refused')
	print(open(q + '/drain').read())
	EOF
	equals "$status $output" $'0 b\'one\\n\'\nrefused\ntwo'
}

@test "taking the opener's right away takes it from every process that has the file" {
	each_kind opener_loses
}

@test "writing limits takes what the kernel asks for" {
	equals "$(may as_weak_root bash -c 'echo 32000 >"$MNT/limits/msgmni"')" \
		"$(may as_weak_root bash -c 'echo 32000 >/proc/sys/kernel/msgmni')"
	fails 'Permission denied' as_user "$PEER" bash -c 'echo 100 >"$MNT/limits/msgmni"'
	equals "$(cat "$MNT/limits/msgmni")" 32000
}

@test "the sticky class directories protect the queues of others" {
	as_user "$PEER" mkdir "$MNT/posix/mq/mine" "$MNT/sysv/msg/0x51"
	fails 'not permitted' as_user 4321 rmdir "$MNT/posix/mq/mine"
	fails 'not permitted' as_user 4321 rmdir "$MNT/sysv/msg/0x00000051"
	[ -d "$MNT/posix/mq/mine" ]
	[ -d "$MNT/sysv/msg/0x00000051" ]
}

@test "groups count as they are now, not as at the first call" {
	local kind
	for kind in posix sysv; do
		new_queue "$kind"
		chgrp 5678 "$Q"
		chmod 660 "$Q"
		fails 'Permission denied' as_user 1234:1234:1,2,3 bash -c 'echo x >"$Q/msg"'
		as_user 1234:1234:1,2,3,5678 bash -c 'echo x >"$Q/msg"'
		equals "$(as_user 1234:5678 cat "$Q/msg")" x
	done
}

@test "capabilities count, uid 0 alone does not" {
	local kind
	for kind in posix sysv; do
		new_queue "$kind" "$PEER"
		fails 'Permission denied' as_weak_root bash -c 'echo x >"$Q/msg"'
		fails 'Permission denied' as_weak_root cat "$Q/drain"
		echo x >"$Q/msg"
		if [ "$kind" = posix ]; then
			setpriv --bounding-set=-all,+dac_override cat "$Q/msg"
		else
			fails 'Permission denied' setpriv --bounding-set=-all,+dac_override cat "$Q/drain"
			if kernel_checks; then
				fails 'Permission denied' setpriv --bounding-set=-all,+ipc_owner cat "$Q/msg"
				setpriv --bounding-set=-all,+ipc_owner,+dac_override cat "$Q/msg"
				return
			fi
			setpriv --bounding-set=-all,+ipc_owner cat "$Q/msg"
		fi
	done
	# An ordinary user with the capability.
	echo x >"$Q/msg"
	equals "$(setpriv --reuid 77 --regid 77 --clear-groups --inh-caps=+ipc_owner --ambient-caps=+ipc_owner cat "$Q/msg")" x
}

@test "a list lets a user in on every class; its mask and its removal keep the user out" {
	local class name file
	for class in posix/mq posix/shm posix/sem sysv/msg sysv/shm sysv/sem; do
		case $class in
		*/mq | */msg) file=packets ;;
		*/shm) file=data ;;
		posix/sem) file=value ;;
		sysv/sem) file=0/value ;;
		esac
		name=listed
		[[ $class = posix/* ]] || name=0x00005151
		mkdir "$MNT/$class/$name"
		fails 'Permission denied' as_user "$PEER" bash -c ": <$MNT/$class/$name/$file"
		setfacl -m "u:$PEER:rw,g:98:r" "$MNT/$class/$name"
		getfacl -cnp "$MNT/$class/$name" | grep -qx "user:$PEER:rwx"
		as_user "$PEER" bash -c ": <>$MNT/$class/$name/$file"
		as_user 99:98 bash -c ": <$MNT/$class/$name/$file"
		fails 'Permission denied' as_user 99:98 bash -c ": <>$MNT/$class/$name/$file"
		chmod g-w "$MNT/$class/$name"
		fails 'Permission denied' as_user "$PEER" bash -c ": <>$MNT/$class/$name/$file"
		as_user "$PEER" bash -c ": <$MNT/$class/$name/$file"
		fails 'not permitted' as_user "$PEER" setfacl -m u:99:r "$MNT/$class/$name"
		setfacl -b "$MNT/$class/$name"
		fails 'Permission denied' as_user "$PEER" bash -c ": <$MNT/$class/$name/$file"
		rmdir "$MNT/$class/$name"
	done
}
