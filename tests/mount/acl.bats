#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Access control lists on every class: the scripts of tests/acl, and random lists compared with
# those of files.
# shellcheck shell=bash disable=SC2154,SC2016
load common

CLASSES=(posix/mq posix/shm posix/sem sysv/msg sysv/shm sysv/sem)
SCRIPTS=$BATS_TEST_DIRNAME/../acl

setup() {
	common_setup
	cp "$PEERS/objtool" "$BATS_TEST_TMPDIR/bin/"
	add_accounts
	add_programs
	start_mount
}

# alice and bob are in dev, bob also in ops. Only the suite's mount namespace has these accounts.
add_accounts() {
	local accounts=$BATS_TEST_TMPDIR
	# What an ordinary user may not read is not needed.
	cp -dR --preserve=mode /etc "$accounts/etc" 2>/dev/null || [ -e "$accounts/etc/nsswitch.conf" ]
	cat >"$accounts/etc/passwd" <<-'END'
		root:x:0:0::/:/bin/sh
		alice:x:1101:1101::/:/bin/sh
		bob:x:1102:1102::/:/bin/sh
		carol:x:1103:1103::/:/bin/sh
		dave:x:1104:1104::/:/bin/sh
	END
	cat >"$accounts/etc/group" <<-'END'
		root:x:0:
		alice:x:1101:
		bob:x:1102:
		carol:x:1103:
		dave:x:1104:
		staff:x:2100:
		dev:x:2101:alice,bob
		ops:x:2102:bob
	END
	# Not over the files themselves: such a mount is gone when somebody on the machine, as an
	# installation does, renames a new file to that name.
	mount --bind "$accounts/etc" /etc
}

# reads, writes: may the user who runs it do so? Prints yes or no.
add_programs() {
	local bin=$BATS_TEST_TMPDIR/bin
	cat >"$bin/may" <<-'END'
		#!/bin/sh
		case $1 in
		'') echo yes ;;
		*'Resource temporarily unavailable'*) echo yes ;;
		*'Permission denied'*) echo no ;;
		*) echo "$1" ;;
		esac
	END
	cat >"$bin/reads" <<-'END'
		#!/bin/sh
		may "$(dd if="$CLASSDIR/$F" iflag=nonblock bs=8192 count=1 status=none 2>&1 >/dev/null)"
	END
	cat >"$bin/writes" <<-'END'
		#!/bin/sh
		may "$(printf 1 | dd of="$CLASSDIR/$F" oflag=nonblock conv=notrunc status=none 2>&1)"
	END
	chmod 755 "$bin/may" "$bin/reads" "$bin/writes"
}

# name_object CLASS NUMBER: sets the names that the scripts use.
name_object() {
	CLASS=$1 CLASSDIR=$MNT/$1 SAVED=$BATS_TEST_TMPDIR/saved SHMFILE=''
	case $1 in
	posix/*) NAME=object$2 ;;
	*) NAME=$(printf '0x%08x' $((0x5c00 + $2))) ;;
	esac
	case $1 in
	posix/mq | sysv/msg) F=$NAME/packets ;;
	posix/sem) F=$NAME/value SHMFILE=/dev/shm/sem.$NAME ;;
	sysv/sem) F=$NAME/0/value ;;
	*) F=$NAME/data SHMFILE=/dev/shm/$NAME ;;
	esac
	export CLASS CLASSDIR NAME F SAVED SHMFILE
}

new_object() {
	OBJECTS=$((${OBJECTS:-0} + 1))
	name_object "$1" "$OBJECTS"
	objtool "$CLASS" "$NAME" make 600
}

# each_class SCRIPT [CLASS...]: runs it with a new object of each class.
each_class() {
	local class script=$SCRIPTS/$1.test
	shift
	for class in "${@:-${CLASSES[@]}}"; do
		new_object "$class"
		echo "with $class/$NAME:"
		"$SCRIPTS/run" "$script"
	done
}

@test 'entries are added and removed' {
	each_class named
}

@test 'chmod and the mask go together' {
	each_class mask
}

@test 'the first matching entry decides' {
	each_class rights
}

@test 'the directory and its files show and set one list' {
	if kernel_checks; then
		# Files of System V that everybody may read have no list there: setfacl passes them
		# over.
		each_class whole posix/mq posix/shm posix/sem
		each_class whole-checked sysv/msg sysv/shm sysv/sem
	else
		each_class whole
	fi
}

@test 'a direct change of the mode keeps the named entries of a list that the daemon keeps' {
	each_class direct-kept posix/mq sysv/msg sysv/shm sysv/sem
}

@test 'the list of an object in /dev/shm is that of the file' {
	each_class direct-file posix/shm posix/sem
}

@test 'an object with the name of a removed one does not have its list' {
	each_class fresh
}

# restarted COMMAND: ends the daemon by COMMAND and starts it again; the lists must be the same.
restarted() {
	local class number=0
	for class in "${CLASSES[@]}"; do
		new_object "$class"
		"$SCRIPTS/run" "$SCRIPTS/before-restart.test"
	done
	"$1"
	start_mount
	for class in "${CLASSES[@]}"; do
		number=$((number + 1))
		name_object "$class" "$number"
		echo "with $class/$NAME:"
		"$SCRIPTS/run" "$SCRIPTS/after-restart.test"
	done
}

kill_mount() {
	kill -KILL "$DAEMON"
	wait "$DAEMON" || :
	DAEMON=''
	umount -l "$MNT"
}

@test 'lists survive a restart of the daemon' {
	restarted stop_mount
}

@test 'lists survive the death of the daemon' {
	restarted kill_mount
}

@test 'random lists let the same callers in as those of a file, until they are taken away' {
	"$PEERS/matrix_acl" "$MNT" $((SLOW > 1 ? 4 : 20))
}

@test "a second daemon gets the lists when the first one has ended" {
	local second=$BATS_TEST_TMPDIR/second other
	new_queue sysv
	chmod 600 "$Q"
	setfacl -m "u:$PEER:rw" "$Q"
	mkdir "$second"
	ipcfs -f -o allow_other ipcfs "$second" >"$BATS_TEST_TMPDIR/log2" 2>&1 3>&- 4>&- &
	other=$!
	wait_until 'stat -f "$MNT/../second" -c %T | grep -q fuse'
	fails 'Permission denied' as_user "$PEER" bash -c ": <$second/sysv/msg/$NAME/packets"
	wait_until 'grep -q "another ipcfs keeps" "$BATS_TEST_TMPDIR/log2"'
	stop_mount
	MNT=$second DAEMON=$other LOG=$BATS_TEST_TMPDIR/log2
	wait_until 'as_user "$PEER" bash -c ": <$MNT/sysv/msg/$NAME/packets"'
	grep -q 'its access control lists are used here now' "$LOG"
}
