# SPDX-License-Identifier: MIT
# ipcfs as the program that mount(8) runs for the types ipcfs and fuse.ipcfs.
# shellcheck shell=bash disable=SC2154,SC2016,SC2028,SC2030,SC2031
load common

setup() {
	common_setup
	own_sbin
	chmod 777 "$MNT"
}

# mount(8) looks in /sbin alone: mounts one there with the same programs and the two links.
own_sbin() {
	local all=$BATS_TEST_TMPDIR/all own=$BATS_TEST_TMPDIR/sbin
	mkdir "$all" "$own"
	mount --bind /usr/sbin "$all"
	cp -rs "$all/." "$own/"
	ln -sf "$BATS_TEST_TMPDIR/bin/ipcfs" "$own/mount.ipcfs"
	ln -sf "$BATS_TEST_TMPDIR/bin/ipcfs" "$own/mount.fuse.ipcfs"
	mount --bind "$own" /usr/sbin
}

# Prints the options of the mount and of its file system.
shown() {
	sed -n "s,^[^ ]* [^ ]* [^ ]* [^ ]* $MNT \([^ ]*\) .*- fuse.ipcfs \([^ ]*\) \([^ ]*\)$,\2 \1 \3,p" /proc/self/mountinfo
}

is_mounted() {
	[ -n "$(shown)" ]
}

# The mount serves when mount(8) returns.
serves() {
	is_ready
	[ -d "$MNT/sysv/msg" ]
}

taken_off() {
	umount "$MNT"
	wait_until '! pgrep ipcfs' # its keeper, too
}

# exits STATUS MESSAGE COMMAND...: asserts that nothing is mounted by it.
exits() {
	local expected=$1
	shift
	fails "$@"
	equals "$status" "$expected"
	not is_mounted
	not pgrep ipcfs
}

@test "mount -t ipcfs and umount" {
	mount -t ipcfs here "$MNT" -o allow_other
	serves
	[[ $(shown) == 'here rw,nosuid,nodev,noexec'*allow_other ]]
	equals "$(pgrep -c -x ipcfs)" 1
	as_user 1234 mkdir "$MNT/sysv/msg/0x1"
	taken_off
	mount -r -t ipcfs '' "$MNT"
	[[ $(shown) == 'ipcfs ro,'* ]]
	fails 'Read-only file system' mkdir "$MNT/sysv/msg/0x2"
	taken_off
}

@test "the type fuse.ipcfs is the same program" {
	mount -t fuse.ipcfs here "$MNT" -o ro
	serves
	[[ $(shown) == 'here ro,'* ]]
	taken_off
	mount -f -t fuse.ipcfs here "$MNT"
	not is_mounted
	mount -s -t fuse.ipcfs here "$MNT" -o nonsense
	serves
	exits_remount
	taken_off
}

exits_remount() {
	fails "option remount: a mount of ipcfs can't be changed" mount -o remount,ro "$MNT"
	equals "$status" 1
	[[ $(shown) == *' rw,'* || $(shown) == *rw,nosuid* ]]
}

@test "mount -o remount is refused and changes nothing" {
	mount -t ipcfs here "$MNT"
	exits_remount
	serves
	taken_off
}

@test "a line of fstab, with all that mount(8) reads itself" {
	local table=$BATS_TEST_TMPDIR/fstab option line
	echo "ipcfs $MNT ipcfs allow_other,ro 0 0" >"$table"
	mount -T "$table" "$MNT"
	serves
	[[ $(shown) == 'ipcfs ro,'*allow_other ]]
	taken_off
	echo "a\\040b $MNT ipcfs defaults,nofail,_netdev,x-systemd.automount,X-a=b,comment=c,owner,group,user,users,rw,suid,dev,exec 0 0" >"$table"
	mount -a -T "$table"
	serves
	[[ $(shown) == 'a\040b rw,nosuid,nodev,noexec'* ]]
	mount -a -T "$table" # it is mounted already
	equals "$(shown | wc -l)" 1
	taken_off
	for option in defaults auto noauto user users owner group nofail _netdev x-a X-a=b comment=c rw ro suid \
		nosuid dev nodev exec noexec symfollow nosymfollow noatime relatime sync nouser silent; do
		"$BATS_TEST_TMPDIR/sbin/mount.ipcfs" here "$MNT" -o "$option" || { echo "with $option"; return 1; }
		serves
		taken_off
	done
	# What README and the recipes have, at the place where /run would be.
	rmdir "$MNT"
	sed -n "s,^ipcfs /run/ipcfs ,ipcfs $MNT ,p" "$BATS_TEST_DIRNAME"/../../docs/{recipes.md,mount.ipcfs.8.scd} >"$table"
	grep -q 'fuse\.ipcfs.*X-mount.mkdir' "$table"
	while read -r line; do
		echo "$line" >"$table.line"
		mount -T "$table.line" "$MNT"
		serves
		taken_off
	done <"$table"
	mkdir -p "$MNT"
	echo "ipcfs $MNT ipcfs noauto 0 0" >"$table"
	mount -a -T "$table"
	not is_mounted
}

@test "an ordinary user mounts what fstab lets users mount" {
	echo "ipcfs $MNT ipcfs user,noauto 0 0" >"$BATS_TEST_TMPDIR/fstab"
	[ -e /etc/fstab ] || : >/etc/fstab # Debian has an empty one, too
	mount --bind "$BATS_TEST_TMPDIR/fstab" /etc/fstab
	mkdir -p /dev/mqueue
	mountpoint -q /dev/mqueue || mount -t mqueue mqueue /dev/mqueue
	if in_user_namespace; then
		# Set-user-id programs have no effect there.
		exits 1 "can't mount on $MNT" as_user nobody:65534 "$BATS_TEST_TMPDIR/sbin/mount.ipcfs" ipcfs "$MNT"
		return
	fi
	as_user nobody:65534 mount "$MNT"
	[[ $(shown) == *"user_id=$(id -u nobody)"* ]]
	as_user nobody:65534 ls "$MNT/sysv/msg"
	as_user nobody:65534 fusermount3 -u "$MNT"
	wait_until '! pgrep ipcfs'
	# What only root may ask for.
	exits 1 'option nosymfollow takes the capability CAP_SYS_ADMIN' \
		as_user nobody:65534 "$BATS_TEST_TMPDIR/sbin/mount.ipcfs" ipcfs "$MNT" -o nosymfollow
}

@test "mount -f checks the options and the mount point, and mounts nothing" {
	silent mount -f -t ipcfs here "$MNT" -o allow_other,rate=5
	not is_mounted
	not pgrep ipcfs
	exits 1 'unknown option nonsense' mount -f -t ipcfs here "$MNT" -o nonsense
	exits 1 'option rate=x' mount -f -t ipcfs here "$MNT" -o rate=x
	exits 32 'No such file or directory' mount -f -t ipcfs here "$MNT/none"
	exits 32 'Not a directory' mount -f -t ipcfs here /etc/passwd
}

@test "mount -f leaves a dead mount, and refuses a living one" {
	start_mount
	fails 'ipcfs is mounted there already' mount -f -t ipcfs here "$MNT"
	equals "$status" 32
	kill -KILL "$DAEMON"
	wait_until '! running "$DAEMON"'
	wait "$DAEMON" || :
	DAEMON=''
	mount -f -t ipcfs here "$MNT"
	is_mounted
	not is_ready
	wait_until '! pgrep ipcfs'
	mount -t ipcfs here "$MNT"
	serves
	equals "$(shown | wc -l)" 1
	taken_off
}

@test "mount -s ignores unknown options and no bad value" {
	mount -s -t ipcfs here "$MNT" -o nonsense,more=1,ro
	serves
	[[ $(shown) == 'here ro,'* ]]
	taken_off
	exits 1 'option rate=x' mount -s -t ipcfs here "$MNT" -o nonsense,rate=x
}

@test "mount -N mounts in the mount namespace of another process" {
	background unshare --mount sleep 100
	wait_until '! [ "/proc/$JOB/ns/mnt" -ef /proc/self/ns/mnt ]'
	mount -N "$JOB" -t ipcfs here "$MNT"
	not is_mounted
	nsenter --mount="/proc/$JOB/ns/mnt" ls "$MNT/sysv/msg"
	nsenter --mount="/proc/$JOB/ns/mnt" umount "$MNT"
	wait_until '! pgrep ipcfs'
	mount -N "/proc/$JOB/ns/mnt" -t ipcfs here "$MNT"
	not is_mounted
	# Its daemon keeps the namespace.
	kill "$JOB"
	wait_until '! running "$JOB"'
	nsenter --mount="/proc/$(pgrep -x ipcfs)/ns/mnt" ls "$MNT/sysv/msg"
	pkill -TERM -x ipcfs
	wait_until '! pgrep ipcfs'
	exits 32 'mount namespace /none: No such file or directory' \
		"$BATS_TEST_TMPDIR/sbin/mount.ipcfs" here "$MNT" -N /none
}

@test "mount -N refuses auto_unmount, which would run a program of the other namespace" {
	exits 1 "-N and -o auto_unmount can't be used together" \
		"$BATS_TEST_TMPDIR/sbin/mount.ipcfs" here "$MNT" -N "$$" -o ro,auto_unmount
	not is_mounted
}

@test "mount -N refuses a namespace whose /proc shows other processes" {
	background unshare --mount --pid --fork --kill-child --mount-proc sleep 100
	wait_until 'pgrep -P "$JOB"'
	local inside
	inside=$(pgrep -P "$JOB")
	wait_until '[ "$(nsenter --mount="/proc/$inside/ns/mnt" cat /proc/1/comm)" = sleep ]'
	# The leak checker looks for the process in /proc, too.
	local -x ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0"
	exits 32 '/proc of this mount namespace does not show the processes of this pid namespace' \
		mount -N "$inside" -t ipcfs here "$MNT"
	kill "$JOB"
	# There /proc shows the program by the number that another process has for the daemon.
	exits 32 '/proc of this mount namespace does not show the processes of this pid namespace' \
		unshare --pid --fork "$BATS_TEST_TMPDIR/sbin/mount.ipcfs" here "$MNT" -N /proc/self/ns/mnt
}

@test "-o nosymfollow: the kernel follows no link of the mount" {
	mount -t ipcfs here "$MNT" -o nosymfollow
	serves
	[[ $(shown) == *nosymfollow* ]]
	local link
	mkdir "$MNT/sysv/msg/0x00004b45"
	link=$(echo "$MNT"/sysv/by-id/msg/*)
	equals "$(readlink "$link")" ../../msg/0x00004b45
	fails 'Too many levels of symbolic links' ls "$link/"
	taken_off
	mount -t ipcfs here "$MNT" -o nosymfollow,ro
	[[ $(shown) == 'here ro,nosuid,nodev,noexec,'*nosymfollow* ]]
	taken_off
	mount -t ipcfs here "$MNT"
	ls "$link/status"
	taken_off
}

@test "exit status: usage 1, system 2, mount 32" {
	local program=$BATS_TEST_TMPDIR/sbin/mount.ipcfs
	exits 1 'usage: mount.ipcfs SOURCE' "$program"
	exits 1 'usage: mount.ipcfs SOURCE' "$program" "$MNT"
	exits 1 'type ext4: only ipcfs' "$program" here "$MNT" -t ext4
	exits 1 'unknown option nonsense' mount -t ipcfs here "$MNT" -o nonsense
	exits 32 'No such file or directory' mount -t ipcfs here "$MNT/none"
	exits 32 'Not a directory' mount -t ipcfs here /etc/passwd
	exits 32 'there is no such process' mount -t ipcfs here "$MNT" -o target=999999
	exits 2 'Too many open files' prlimit --nofile=6 "$program" here "$MNT"
	run "$program" --version
	equals "$status" 0
	[[ $output == ipcfs\ * ]]
	# As ipcfs the same is 2.
	exits 2 'No such file or directory' ipcfs here "$MNT/none"
}

@test "exit status 32 without a /dev/fuse, 1 where it may not be opened" {
	own_dev null urandom
	exits 32 '/dev/fuse is missing' mount -t ipcfs here "$MNT"
	touch /dev/fuse
	mount --bind "$IPCFS_TEST_CLOSED" /dev/fuse
	exits 1 "/dev/fuse can't be opened" as_user nobody:65534 "$BATS_TEST_TMPDIR/sbin/mount.ipcfs" here "$MNT"
}

@test "exit status 8: interrupted" {
	local program
	if in_user_namespace; then
		# No user mounts there by fusermount3, which is what the signal comes into.
		exits 1 "can't mount on $MNT" as_user nobody:65534 "$BATS_TEST_TMPDIR/sbin/mount.ipcfs" here "$MNT"
		return
	fi
	# Its fusermount3 does not end.
	program=$(command -v fusermount3)
	printf '#!/bin/sh\nexec sleep 100\n' >"$BATS_TEST_TMPDIR/stub"
	chmod 755 "$BATS_TEST_TMPDIR/stub"
	mount --bind "$BATS_TEST_TMPDIR/stub" "$(realpath "$program")"
	mkdir -p /dev/mqueue
	mountpoint -q /dev/mqueue || mount -t mqueue mqueue /dev/mqueue
	background as_user nobody:65534 "$BATS_TEST_TMPDIR/sbin/mount.ipcfs" here "$MNT"
	wait_until 'pgrep -x sleep'
	kill -TERM "$JOB"
	wait_until '! running "$JOB"'
	local status=0
	wait "$JOB" || status=$?
	equals "$status" 8
	pkill -KILL -x sleep
	not is_mounted
}

@test "busybox mount runs it, too" {
	busybox mount -t ipcfs -o allow_other here "$MNT"
	serves
	[[ $(shown) == here*allow_other ]]
	taken_off
	# It keeps the options that it knows to itself: ipcfs(1), CAVEATS.
	busybox mount -t ipcfs -o ro here "$MNT"
	[[ $(shown) == 'here rw,'* ]]
	taken_off
}
