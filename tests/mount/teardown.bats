# SPDX-License-Identifier: MIT
# A failed test leaves nothing to the next one.
# shellcheck shell=bash disable=SC2016
load common

setup() {
	common_setup
	INNER=$BATS_TEST_TMPDIR/inner.bats
	# bats takes each line that begins with @test for a test of this file.
	{ echo "load $BATS_TEST_DIRNAME/common"; sed 's/^%/@/'; } >"$INNER" <<-'END'
		%test "ends in the middle" {
			EXEC='' background bash -c 'sleep 1000'
			setsid sleep 1000 3>&- 4>&- &
			mkdir "$MNT"/{posix,sysv}/shm/0x51 "$MNT"/{posix,sysv}/sem/0x51 "$MNT/posix/mq/0x51" "$MNT/sysv/msg/0x51"
			setfacl -m u:1234:rw "$MNT/sysv/msg/0x00000051"
			exec 8<"$MNT/sysv/msg/0x51/msg"
			background cat "$MNT/posix/mq/0x51/msg"
			wait_parked 1
			mount -t tmpfs none /run
			mount -t tmpfs none "$MNT/posix"
			mkdir "$BATS_TEST_TMPDIR/second"
			ipcfs "$BATS_TEST_TMPDIR/second"
			echo 5 >/proc/sys/kernel/msgmni
			echo 5 >/proc/sys/fs/mqueue/queues_max
			echo 5 >/proc/sys/kernel/shmmni
			kill -STOP "$DAEMON"
			false
			echo 'not reached'
		}
		%test "finds nothing" {
			equals "$(pgrep -x sleep; pgrep -f 0x51/msg)" ''
			equals "$(pgrep -x ipcfs)" "$DAEMON"
			equals "$(ls "$MNT"/{posix,sysv}/{shm,sem,m*} | grep -v :$ | xargs)" ''
			silent ls /dev/shm
			silent find /run/ipcfs-state -name lists -size +0
			equals "$(grep -c fuse.ipcfs /proc/self/mountinfo)" 1
			equals "$(cat /proc/sys/kernel/msgmni /proc/sys/fs/mqueue/queues_max /proc/sys/kernel/shmmni | xargs)" "$BEFORE"
		}
	END
	BEFORE=$(cat /proc/sys/kernel/msgmni /proc/sys/fs/mqueue/queues_max /proc/sys/kernel/shmmni | xargs)
	export BEFORE
}

@test "a test that ends in the middle leaves nothing to the next one" {
	run env --unset=BATS_TEST_COMPLETED timeout 60 bats --formatter tap "$INNER"
	echo "$output"
	equals "$status" 1
	[[ $output == *'not ok 1 ends in the middle'*'ok 2 finds nothing'* ]]
	[[ $output != *'not ok 2'* && $output != *'not reached'* ]]
}

@test "a process that outlives its test is a failure" {
	printf '%s\n' "load $BATS_TEST_DIRNAME/common" '@test "leaves one" { setsid sleep 1000 3>&- 4>&- & }' \
		'@test "leaves none" { sleep 0.1 3>&- 4>&- & }' >"$INNER"
	run env --unset=BATS_TEST_COMPLETED timeout 60 bats --formatter tap "$INNER"
	echo "$output"
	equals "$status" 1
	[[ $output == *'not ok 1 leaves one'*'sleep 1000'*'ok 2 leaves none'* ]]
	[[ $output != *'not ok 2'* ]]
}
