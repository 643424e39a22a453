# SPDX-License-Identifier: MIT
# Users who mount something of their own over a file or directory of this mount would get what
# others write there.
# shellcheck shell=bash disable=SC2016,SC2030,SC2031,SC2154
load common

ATTACKER=1 # fusermount3 needs a user with a name

setup() {
	common_setup
	# In a user namespace the machine's own has no rights.
	cp "$(command -v fusermount3)" "$BATS_TEST_TMPDIR/bin/"
	chmod 4755 "$BATS_TEST_TMPDIR/bin/fusermount3"
}

# covers UID PATH...: has fusermount3 mount for this user on each path. Prints those on which it did.
covers() {
	as_user "$1" python3 -c '
import os, socket, subprocess, sys
ours, theirs = socket.socketpair()
for path in sys.argv[1:]:
    mount = subprocess.run(["fusermount3", "--", path], pass_fds=[theirs.fileno()],
                           env={**os.environ, "_FUSE_COMMFD": str(theirs.fileno())},
                           stderr=subprocess.PIPE, text=True)
    if mount.returncode == 0:
        print(path)
    else:
        # refused as a place to mount, and not because the user may not mount at all
        assert any(reason in mount.stderr for reason in
                   ("no write access", "not owned by user", "failed to open")), mount.stderr' "${@:2}"
}

# Makes an object of each class with this mode, and sets $PLACES to all that the mount shows.
make_places() {
	local mode=$1 class object
	for class in posix/{mq,shm,sem} sysv/{msg,shm,sem}; do
		object=$MNT/$class/$([[ $class = posix/* ]] && echo object || echo 0x51)
		[ ! -d "$object" ] || rmdir "$(readlink -f "$object")"
		mkdir -m 600 "$object"
		chmod "$mode" "$object"
	done
	echo x >"$MNT/sysv/msg/0x51/msg"
	mapfile -t PLACES < <(find "$MNT/" -not -type l)
	PLACES+=("$MNT"/posix/mq/object/prio/5{,/msg} "$MNT"/sysv/msg/0x51/type/{5,-5}{,/msg})
}

# Prints what is mounted below the mount.
mounted_below() {
	cut -d ' ' -f 5 /proc/self/mountinfo | grep -F "$MNT/"
}

@test "a user with write permission mounts over nothing of the mount" {
	local options mode own=$BATS_TEST_TMPDIR/own
	as_user "$ATTACKER" mkdir "$own"
	as_user "$ATTACKER" touch "$own.file"
	equals "$(covers "$ATTACKER" "$own" "$own.file" | xargs)" "$own $own.file"
	for options in allow_other default_permissions $([ "$IPCFS_TEST_WORLD" != host ] || echo namespaces); do
		start_mount -o "$options"
		for mode in 622 666 777; do
			make_places "$mode"
			[ "${#PLACES[@]}" -gt 50 ]
			equals "$options $mode: $(covers "$ATTACKER" "${PLACES[@]}")" "$options $mode: "
		done
		not mounted_below
		stop_mount
	done
	umount "$own" "$own.file"
}

@test "an owner mounts over nothing, or over directories where the kernel answers access(2)" {
	local directories
	start_mount
	make_places 600
	chown "$ATTACKER" "$MNT"/posix/*/object "$MNT"/sysv/{msg,shm,sem}/0x*
	if kernel_checks; then
		directories=("$MNT"/posix/*/object "$MNT"/sysv/{msg,shm,sem}/0x*)
		PLACES=("${directories[@]}" "$MNT/posix/mq/object/msg" "$MNT/create")
		equals "$(covers "$ATTACKER" "${PLACES[@]}")" "$(printf '%s\n' "${directories[@]}")"
		return
	fi
	equals "$(covers "$ATTACKER" "${PLACES[@]}")" ''
}

@test "access(2) says that nothing can be made in an object's directory, and tells of files and classes" {
	local kind uid
	start_mount
	for kind in "${KINDS[@]}"; do
		for uid in 0 "$PEER"; do
			new_queue "$kind" "$PEER"
			as_user "$uid" test -w "$Q/msg"
			as_user "$uid" test -w "${Q%/*}"
			as_user "$uid" test -r "$Q"
			as_user "$uid" test -x "$Q"
			if kernel_checks; then
				as_user "$uid" test -w "$Q"
			else
				not as_user "$uid" test -w "$Q"
				not as_user "$uid" test -w "$MNT/limits"
			fi
		done
	done
}

@test "where the kernel answers access(2), directories that others may write are sticky" {
	local options expected before
	for options in allow_other default_permissions; do
		start_mount -o "$options"
		for mode in 600 640 620 602 666; do
			new_queue posix "$PEER"
			before=$(stat -c %A "$Q")
			as_user "$PEER" chmod "$mode" "$Q"
			expected=
			[ "$options" = allow_other ] && ! kernel_checks || [ $((0$mode & 022)) = 0 ] || expected=t
			equals "$(stat -c %A "$Q" | tr -dc t)" "$expected"
			equals "$(stat -c %A "$Q/msg" | tr -dc t)" ''
			# The bit is no part of the object's mode: chmod neither sets nor removes it.
			as_user "$PEER" chmod +t "$Q"
			as_user "$PEER" chmod u+w,u-t "$Q"
			equals "$(stat -c %A "$Q" | tr -dc t)" "$expected"
			equals "$(sed -n 's/^mode=//p' "$Q/status")" "0$mode"
			as_user "$PEER" chmod g=,o= "$Q"
			equals "$(stat -c %A "$Q")" "$before"
			# fs.protected_regular refuses O_CREAT in a sticky directory of another owner
			as_user "$PEER" chmod 622 "$Q"
			as_user 4321 sh -c 'echo job >"$Q/msg"'
			equals "$(cat "$Q/drain")" job
			as_user "$PEER" rmdir "$Q"
		done
		stop_mount
	done
}

@test "a program that has dropped its rights for good opens as its user does" {
	start_mount
	new_queue posix
	chmod 666 "$Q"
	# real, effective and saved uid at once; then the effective one alone, as of setuid programs
	python3 -c '
import os
path = os.environ["Q"] + "/packets"
os.setresuid(-1, 1234, 0)
os.close(os.open(path, os.O_WRONLY))
os.setresuid(1234, 0, 0)
os.close(os.open(path, os.O_WRONLY))
os.setresuid(1234, 1234, 1234)
os.close(os.open(path, os.O_WRONLY))'
}

@test "a mount in a mount namespace of a user's own keeps nobody from the object" {
	local kind
	start_mount
	mkdir -m 755 "$BATS_TEST_TMPDIR/place"
	for kind in "${KINDS[@]}"; do
		new_queue "$kind" "$PEER"
		chmod 622 "$Q"
		background as_user 4321 unshare --user --map-root-user --mount sh -c \
			'mount --bind "$1" "$Q" && : >"$2" && exec sleep 1000' sh \
			"$BATS_TEST_TMPDIR/place" "$BATS_TEST_TMPDIR/reports/$kind"
		wait_until "[ -e '$BATS_TEST_TMPDIR/reports/$kind' ]"
		rm "$BATS_TEST_TMPDIR/reports/$kind"
		echo job >"$Q/msg"
		equals "$(as_user "$PEER" cat "$Q/msg")" job
		as_user "$PEER" rmdir "$Q"
		[ ! -e "$Q" ]
		new_queue "$kind" "$PEER"
	done
}

# mount_for UID PATH...: mounts FUSE file systems as a set-user-id program might for that user. Their
# server answers nothing.
mount_for() {
	background_output python3 -c '
import ctypes, errno, os, stat, sys, time
libc = ctypes.CDLL(None, use_errno=True)
fds = []
types = [stat.S_IFMT(os.stat(path).st_mode) for path in sys.argv[2:]]
def mount(path, kind):
    fds.append(os.open("/dev/fuse", os.O_RDWR))
    options = "fd=%d,rootmode=%o,user_id=%s,group_id=0" % (fds[-1], kind, sys.argv[1])
    return libc.mount(b"covers", path.encode(), b"fuse", 0, options.encode()) == 0
for path, kind in zip(sys.argv[2:], types):
    # ENOENT: the place was looked up anew, or what was mounted there was taken away, meanwhile
    while not mount(path, kind):
        if ctypes.get_errno() != errno.ENOENT:
            sys.exit(os.strerror(ctypes.get_errno()))
print("mounted", flush=True)
time.sleep(1000)' "$@"
	wait_until '[ -s "$OUT" ]'
	equals "$(cat "$OUT")" mounted
}

@test "what a user has mounted over files of the mount is taken away, also where it is bound" {
	local bound="$BATS_TEST_TMPDIR/a place" file
	mkdir "$bound"
	start_mount
	mount --bind "$MNT" "$bound"
	make_places 666
	for file in posix/mq/object posix/mq/object/msg create; do
		mount_for "$ATTACKER" "$MNT/$file"
		wait_until 'not mounted_below'
		wait_until 'grep -q "unmounted what user $ATTACKER had mounted on $MNT/$file\$" "$LOG"'
		mount_for "$ATTACKER" "$bound/$file"
		wait_until '! grep -q "place/" /proc/self/mountinfo'
	done
	echo job >"$MNT/posix/mq/object/msg"
	equals "$(cat "$bound/posix/mq/object/msg")" job
	# The daemon may be looking there once more.
	wait_until 'umount "$bound"'
}

@test "several of a user's mounts at one place are taken away, and what root mounts stays" {
	local place=$BATS_TEST_TMPDIR/place
	mkdir "$place"
	start_mount
	make_places 666
	mount --bind "$place" "$MNT/posix/mq/object"
	mount_for 0 "$MNT/posix/sem/object"
	mount_for "$ATTACKER" "$MNT"/posix/shm/object{,,} "$MNT/sysv/msg/0x51/msg"
	wait_until '[ "$(mounted_below | wc -l)" = 2 ]'
	equals "$(mounted_below | sort)" "$MNT/posix/mq/object"$'\n'"$MNT/posix/sem/object"
	umount -l "$MNT/posix/sem/object"
	umount "$MNT/posix/mq/object"
}

# Prints how often the daemon's threads have gone to sleep.
sleeps() {
	cat /proc/"$DAEMON"/task/*/status | awk '/^voluntary_ctxt_switches/ { n += $2 } END { print n }'
}

sleeps_on() {
	local before
	before=$(sleeps)
	meanwhile 1
	[ "$(sleeps)" = "$before" ]
}

@test "without changes of mounts the daemon that watches them sleeps" {
	# A sanitizer has a thread of its own, which wakes up.
	[ "$SLOW" -lt 4 ] || return 0
	start_mount
	wait_until sleeps_on
}
