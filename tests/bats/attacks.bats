# SPDX-License-Identifier: MIT
# Who tries to get more than is due: by being fast, by being somebody else, by names, links and floods.
# shellcheck shell=bash disable=SC2153,SC2154,SC2016,SC2030,SC2031
load common

setup() {
	common_setup
	cp "$PEERS/credentials" "$PEERS/objtool" "$PEERS/races" "$PEERS/semtool" "$BATS_TEST_TMPDIR/bin/"
	OUTSIDE=$BATS_TEST_TMPDIR/outside
	export OUTSIDE
}

teardown() {
	local result=0
	common_teardown || result=1
	ipcrm --all
	# /dev/shm and the state directory are the suite's own; see isolate
	find /dev/shm -mindepth 1 -delete
	find /run/ipcfs-state -mindepth 1 -delete
	return "$result"
}

CLASSES=(posix/mq posix/shm posix/sem sysv/msg sysv/shm sysv/sem)

# new_object CLASS [UID]: its directory in $O, a file that its readers and writers open in $F.
new_object() {
	OBJECTS=$((${OBJECTS:-0} + 1))
	case $1 in
	posix/*) NAME=object$OBJECTS ;;
	*) NAME=$(printf '0x%08x' $((0xa77ac0 + OBJECTS))) ;;
	esac
	CLASS=$1 O=$MNT/$1/$NAME
	case $1 in
	*/mq | */msg) F=$O/packets ;;
	posix/sem) F=$O/value ;;
	sysv/sem) F=$O/0/value ;;
	*) F=$O/data ;;
	esac
	export CLASS NAME O F
	as_user "${2:-0}" mkdir "$O"
}

# opens COMMAND...: as that the object can be opened for reading.
opens() {
	"$@" dd if="$F" of=/dev/null iflag=nonblock count=0 status=none
}

kill_mount() {
	kill -KILL "$DAEMON"
	wait "$DAEMON" || :
	DAEMON=''
	umount -l "$MNT"
}

@test "nothing that begins after the right was taken away is served" {
	start_mount
	races revoke "$MNT" posix/mq/raced $((SLOW > 1 ? 30 : 150))
	races revoke "$MNT" sysv/msg/0x0000acce $((SLOW > 1 ? 30 : 150))
}

@test "whoever makes an object has it, however fast another one removes and makes that name" {
	start_mount
	races names "$MNT" posix/mq/name $((SLOW > 1 ? 50 : 300))
	races names "$MNT" sysv/msg/0x0000acce $((SLOW > 1 ? 50 : 300))
}

@test "an open file has its opener's rights, whoever has it or the opener's process id" {
	start_mount
	credentials hands "$MNT"
}

@test "a set-user-id program has its effective user's rights, until it drops them, and no others" {
	local program=$BATS_TEST_TMPDIR/bin/credentials go=$BATS_TEST_TMPDIR/go kind
	start_mount
	mkfifo -m 666 "$go"
	cp "$program" "$program.root"
	cp "$program" "$program.user"
	chmod 4755 "$program.root"
	chown 1236 "$program.user"
	chmod 4755 "$program.user"
	for kind in "${KINDS[@]}"; do
		new_queue "$kind"
		chmod 644 "$Q"
		# What was opened by the user is the user's.
		background_output as_user 1234 python3 -c '
import os, sys
fd = os.open(os.environ["Q"] + "/packets", os.O_RDONLY | os.O_NONBLOCK)
os.dup2(fd, 0)
print("ready", flush=True)
open(sys.argv[2]).read()
os.execl(sys.argv[1], "credentials", "asks", os.environ["Q"] + "/packets")' "$program.root" "$go"
		wait_until 'grep -q ready "$OUT"'
		chmod 600 "$Q"
		echo >"$go"
		wait "$JOB"
		equals "$(tail -n 1 "$OUT")" 'inherited:EACCES open:yes dropped:EACCES kept:yes '
		equals "$(as_user 1234 "$program.root" asks "$Q/packets" </dev/null)" \
			'inherited:yes open:yes dropped:EACCES kept:yes '
		chown 1236 "$Q"
		equals "$(as_user 1234 "$program.user" asks "$Q/packets" </dev/null)" \
			'inherited:yes open:yes dropped:EACCES kept:yes '
		chown 1234 "$Q"
		equals "$(as_user 1234 "$program.user" asks "$Q/packets" </dev/null)" \
			'inherited:yes open:EACCES dropped:yes kept:EACCES '
	done
}

@test "root of another user namespace is who it is outside" {
	local class
	start_mount
	for class in "${CLASSES[@]}"; do
		new_object "$class"
		echo "with $class"
		run as_user 1234 unshare --user --map-root-user bash -c '
			exec 2>/dev/null
			[ "$(id -u)" = 0 ] || echo not root
			dd if="$F" of=/dev/null iflag=nonblock count=0 status=none && echo read
			dd if=/dev/null of="$F" oflag=nonblock conv=notrunc count=0 status=none && echo written
			chmod 666 "$O" && echo chmod
			chown 0 "$O" && echo chown
			setfacl -m u:0:rw "$O" && echo setfacl
			rmdir "$O" && echo rmdir'
		equals "$output" ''
		[ -d "$O" ]
		# Its own it has: nothing more, nothing less.
		new_object "$class" 1234
		opens as_user 1234 unshare --user --map-root-user
		# Root's capabilities there are not those of here.
		fails 'Permission denied' opens unshare --user --map-root-user
		rmdir "$O"
	done
	fails 'Permission denied' as_user 1234 unshare --user --map-root-user bash -c 'echo 5 >"$MNT/limits/msgmni"'
	equals "$(cat "$MNT/limits/msgmni")" 32000
}

# One of each way to lose the right.
take_away() {
	case $1 in
	chmod) chmod 600 "$O" ;;
	setfacl) setfacl -b "$O" ;;
	direct) objtool "$CLASS" "$NAME" chmod 600 ;;
	esac
}

@test "who waited before the right was taken away gets nothing, however it was" {
	local how class
	start_mount
	for how in chmod setfacl direct; do
		for class in posix/mq sysv/msg; do
			new_object "$class"
			if [ "$how" = setfacl ]; then setfacl -m u:1234:rw "$O"; else chmod 666 "$O"; fi
			background_output as_user 1234 cat "$O/msg"
			wait_parked 1
			take_away "$how"
			echo secret >"$O/msg"
			within 2000 wait_until 'ended "$JOB"'
			equals "$(cat "$OUT")" "cat: $O/msg: Permission denied"
			equals "$(cat "$O/drain")" secret
		done
		for class in posix/sem sysv/sem; do
			new_object "$class"
			[ "$class" = posix/sem ] || O=$O/0
			echo 0 >"$O/value"
			O=$MNT/$class/$NAME
			if [ "$how" = setfacl ]; then setfacl -m u:1234:rw "$O"; else chmod 666 "$O"; fi
			F=${F%/value}/wait
			background_output as_user 1234 bash -c 'echo >"$F"'
			wait_parked 1
			take_away "$how"
			# It is judged again twice a second.
			within 2000 wait_until 'ended "$JOB"'
			grep -q 'Permission denied' "$OUT"
			echo >"${F%/wait}/post"
			equals "$(cat "${F%/wait}/value")" 1
		done
	done
}

@test "ten thousand who wait, of one user, are refused beyond max_waiters, and hurt nobody" {
	local kind queue count=10000 limit=2048 before after
	[ "$SLOW" = 1 ] || count=1000 limit=200
	start_mount -o "max_waiters=$limit"
	for kind in "${KINDS[@]}"; do
		new_queue "$kind" "$PEER"
		queue=${Q#"$MNT/"}
		before=$(awk '/^VmRSS/ {print $2}' "/proc/$DAEMON/status")
		background_output races waiters "$MNT" "$queue" "$count" "$limit"
		local crowd=$JOB crowd_output=$OUT
		wait_until 'grep -q . "$OUT"' 20
		equals "$(cat "$crowd_output")" waiting
		after=$(awk '/^VmRSS/ {print $2}' "/proc/$DAEMON/status")
		echo "from $before KiB to $after"
		[ "$SLOW" != 1 ] || [ $((after - before)) -lt $((limit * 8)) ]
		new_queue "$kind" 4321
		background_output as_user 4321 cat "$Q/msg"
		sleep 0.1
		within 1000 as_user 4321 bash -c 'echo job >"$Q/msg"'
		within 1000 wait_until 'ended "$JOB"'
		equals "$(cat "$OUT")" job
		kill -KILL "$crowd"
		within 3000 wait_until 'ended "$crowd"'
		# Its last threads may outlive it by a moment, and count as long.
		wait_until 'grep -qx waiting_readers=0 "$MNT/'"$queue"'/status"'
	done
}

# The median time of a message there and back, in microseconds, as another user.
median() {
	as_user 4321 python3 -c '
import os, time
q = os.environ["Q"]
times = []
for i in range(100):
    start = time.monotonic()
    fd = os.open(q + "/packets", os.O_RDWR | os.O_NONBLOCK)
    os.write(fd, b"x")
    os.read(fd, 8192)
    os.close(fd)
    times.append(time.monotonic() - start)
print(int(sorted(times)[50] * 1e6))'
}

flood() {
	for _ in 1 2 3 4; do
		background as_user 1234 python3 -c '
import os
path = os.environ["MNT"]
while True:
    try:
        os.listdir(path + "/sysv/msg")
        os.close(os.open(path + "/posix/mq/victim/packets", os.O_RDWR))
    except OSError:
        pass'
	done
	# until all of them are at it
	wait_until '[ $(($(cut -d" " -f14,15 --output-delimiter=+ /proc/'"$DAEMON"'/stat))) -gt 50 ]' 20
}

@test "a flood of requests from one user leaves another one served" {
	local options alone beside
	for options in '' rate=1000; do
		start_mount ${options:+-o $options}
		[ -d "$MNT/posix/mq/victim" ] || mkdir -m 600 "$MNT/posix/mq/victim"
		new_queue sysv 4321
		alone=$(median)
		JOBS=()
		flood
		beside=$(median)
		echo "${options:-without a rate}: $alone us alone, $beside us beside the flood"
		[ "$beside" -lt $((alone * 50 + 5000 * SLOW)) ]
		kill -KILL "${JOBS[@]}"
		wait "${JOBS[@]}" || :
		JOBS=()
		stop_mount
	done
}

@test "a link that takes an object's place in /dev/shm is never followed" {
	local file
	start_mount
	echo outside >"$OUTSIDE"
	chmod 600 "$OUTSIDE"
	printf '\1\0\0\0%28s' '' | tr ' ' '\0' >"$OUTSIDE.sem"
	chmod 600 "$OUTSIDE.sem"
	cat >"$BATS_TEST_TMPDIR/swap.py" <<-'END'
	import os
	os.umask(0)
	while True:
	    for name, target in (('x', ''), ('sem.x', '.sem')):
	        path = '/dev/shm/' + name
	        new = '/dev/shm/new-' + name
	        os.symlink(os.environ['OUTSIDE'] + target, new)
	        os.rename(new, path)
	        with open(new, 'wb') as file:
	            file.write(b'\1' + bytes(31))
	        os.rename(new, path)
	END
	background as_user 1234 python3 "$BATS_TEST_TMPDIR/swap.py"
	wait_until '[ -e /dev/shm/sem.x ]'
	MNT=$MNT python3 - <<-'END'
	import os, subprocess, time, struct
	mnt = os.environ['MNT']
	acl = struct.pack('<I' + 'HHI' * 5, 2, 1, 6, 0xffffffff, 2, 6, 1234, 4, 0, 0xffffffff, 16, 6, 0xffffffff, 32, 6, 0xffffffff)
	done = {}
	def attempt(name, call):
	    try:
	        call()
	        done[name] = done.get(name, 0) + 1
	    except OSError:
	        pass
	def write(path, data):
	    fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
	    try:
	        os.write(fd, data)
	    finally:
	        os.close(fd)
	end = time.monotonic() + 2
	while time.monotonic() < end:
	    for o, f, data in ((mnt + '/posix/shm/x', '/data', b'scribble'), (mnt + '/posix/sem/x', '/post', b'\n')):
	        attempt('chmod', lambda: os.chmod(o, 0o666))
	        attempt('chown', lambda: os.chown(o, 1234, 1234))
	        attempt('setfacl', lambda: os.setxattr(o, 'system.posix_acl_access', acl))
	        attempt('write', lambda: write(o + f, data))
	    attempt('truncate', lambda: os.truncate(mnt + '/posix/shm/x/data', 0))
	print(done)
	assert all(done.get(n, 0) > 0 for n in ('chmod', 'chown', 'setfacl', 'write', 'truncate')), done
	END
	equals "$(cat "$OUTSIDE")" outside
	equals "$(od -An -tu4 -N4 "$OUTSIDE.sem" | tr -d ' ')" 1
	for file in "$OUTSIDE" "$OUTSIDE.sem"; do
		equals "$(stat -c '%u %g %a' "$file") $(getfacl -cE "$file" 2>/dev/null | grep -c 1234)" '0 0 600 0'
	done
}

# The list of the object that is there now.
list() {
	getfacl -cEn "$O" 2>/dev/null | grep 'user:[0-9]' | tr x -
}

@test "a state directory that is not the daemon's alone is not used" {
	local place=$BATS_TEST_TMPDIR/state kind
	mkdir "$OUTSIDE"
	for kind in writable others link fifo; do
		case $kind in
		writable) mkdir "$place" && chmod 777 "$place" ;;
		others) mkdir -m 700 "$place" && chown 1234 "$place" ;;
		link) chmod 700 "$OUTSIDE" && ln -s "$OUTSIDE" "$place" ;;
		fifo) mkfifo "$place" ;;
		esac
		within 3000 start_mount -o "state=$place"
		new_object sysv/msg
		setfacl -m u:1234:r "$O"
		opens as_user 1234
		[ ! -d "$place" ] || [ -z "$(ls -A "$place/")" ]
		grep -q 'in memory only' "$LOG"
		stop_mount
		start_mount -o "state=$place"
		fails 'Permission denied' opens as_user 1234
		stop_mount
		rm -rf "$place"
	done
	[ -z "$(ls -A "$OUTSIDE")" ]
}

@test "what is done to the state directory under the daemon leads nowhere else" {
	local place=$BATS_TEST_TMPDIR/state inner record
	mkdir -m 700 "$place" "$OUTSIDE"
	start_mount -o "state=$place"
	new_object sysv/msg
	setfacl -m u:1234:r "$O"
	inner=$(echo "$place"/[0-9]*)
	record=$(echo "$inner"/sysv-*)
	# Something in the place of the file that is about to be written, and of the record.
	ln -s "$OUTSIDE/new" "$inner/new"
	within 2000 setfacl -m u:1235:r "$O"
	mkfifo "$inner/new"
	within 2000 setfacl -m u:1236:r "$O"
	rm "$record"
	ln -s "$OUTSIDE/record" "$record"
	within 2000 setfacl -m u:1237:r "$O"
	[ -f "$record" ] && [ ! -L "$record" ]
	equals "$(list)" $'user:1234:r--\nuser:1235:r--\nuser:1236:r--\nuser:1237:r--'
	# The directory is another's from now on: lists are kept where they were.
	mv "$place" "$place.moved"
	ln -s "$OUTSIDE" "$place"
	within 2000 setfacl -m u:1238:r "$O"
	opens as_user 1238
	[ -z "$(ls -A "$OUTSIDE")" ]
	stop_mount
	rm "$place"
	mv "$place.moved" "$place"
	# One that is of this size can't be a record.
	cp "$record" "$BATS_TEST_TMPDIR/record"
	truncate -s 1T "$record"
	within 3000 start_mount -o "state=$place"
	equals "$(list)" ''
	fails 'Permission denied' opens as_user 1234
	stop_mount
	cp "$BATS_TEST_TMPDIR/record" "$record"
	start_mount -o "state=$place"
	opens as_user 1238
}

@test "an id that comes again is another object" {
	local id
	start_mount
	for class in sysv/msg sysv/shm sysv/sem; do
		new_object "$class" 1234
		as_user 1234 setfacl -m u:4321:rw "$O"
		opens as_user 4321
		id=$(sed -n 's/^id=//p' "$O/status")
		# The next one gets the same id, key and mode, before the daemon has looked.
		as_user 1234 objtool "$class" "$NAME" remove
		echo "$id" >"/proc/sys/kernel/${class#sysv/}_next_id"
		as_user 1235 objtool "$class" "$NAME" make 0660
		equals "$(sed -n 's/^id=//p' "$O/status")" "$id"
		fails 'Permission denied' opens as_user 4321
		equals "$(list)" ''
		opens as_user 1235
		# Nor has it the list later, or after a restart.
		sleep 0.6
		fails 'Permission denied' opens as_user 4321
	done
	stop_mount
	start_mount
	fails 'Permission denied' opens as_user 4321
}

@test "a POSIX queue of a removed one's name is another object, for open files too" {
	start_mount
	new_object posix/mq 1234
	as_user 1234 setfacl -m u:4321:rw "$O"
	mkfifo "$BATS_TEST_TMPDIR/go"
	chmod 666 "$BATS_TEST_TMPDIR/go"
	background_output as_user 4321 bash -c 'exec 8<"$O/drain" 9>"$O/packets"; echo ready
		read -r _ <"$0"; cat <&8; echo x >&9' "$BATS_TEST_TMPDIR/go"
	wait_until 'grep -q ready "$OUT"'
	as_user 1234 objtool posix/mq "$NAME" remove
	as_user 1235 objtool posix/mq "$NAME" make 0660
	as_user 1235 bash -c 'echo secret >"$O/msg"'
	fails 'Permission denied' opens as_user 4321
	equals "$(list)" ''
	echo >"$BATS_TEST_TMPDIR/go"
	within 2000 wait_until 'ended "$JOB"'
	equals "$(grep -c secret "$OUT")" 0
	equals "$(as_user 1235 cat "$O/drain")" secret
}

@test "a second daemon of a namespace shares no list and sets none" {
	local first=$MNT second=$BATS_TEST_TMPDIR/second daemon
	mkdir "$second"
	start_mount
	daemon=$DAEMON
	new_object posix/mq
	setfacl -m u:4321:r "$O"
	local other=posix/mq/$NAME
	new_object sysv/msg 1234
	as_user 1234 setfacl -m u:4321:rw "$O"
	MNT=$second LOG=$BATS_TEST_TMPDIR/log2
	start_mount
	O=$second/sysv/msg/$NAME F=$O/packets
	equals "$(list)" ''
	fails 'Permission denied' opens as_user 4321
	fails 'Device or resource busy' as_user 1234 setfacl -m u:4321:rw "$O"
	O=$first/sysv/msg/$NAME F=$O/packets
	opens as_user 4321
	# The first one dies: its lists go to the one that is left, soon.
	kill -KILL "$daemon"
	wait "$daemon" || :
	umount -l "$first"
	O=$second/sysv/msg/$NAME F=$O/packets
	wait_until '[ "$(list)" = user:4321:rw- ]'
	as_user 1234 setfacl -m u:4322:r "$O"
	equals "$(list | xargs)" 'user:4321:rw- user:4322:r--'
	opens as_user 4322
	opens as_user 4321
	O=$second/$other F=$second/$other/packets
	equals "$(list)" 'user:4321:r--'
	opens as_user 4321
}

@test "a second mount over the first one is refused, or hides it and takes nothing of it" {
	start_mount
	new_object sysv/msg
	setfacl -m u:4321:rw "$O"
	exec 8<"$O/drain"
	echo kept >"$O/msg"
	fails 'mounted there already' ipcfs "$MNT" 8<&-
	fails '' as_user 1234 ipcfs "$MNT" 8<&-
	# Somebody's own namespaces are nobody else's.
	as_user 1234 unshare --user --map-root-user --mount --ipc bash -e -c '
		mount -t tmpfs none "$MNT"
		mkdir -p "$O"
		setfacl -m u:0:r "$O"
		[ -z "$(ls "$O")" ]' 8<&-
	equals "$(list)" 'user:4321:rw-'
	mount -t tmpfs none "$MNT"
	[ -z "$(ls "$MNT")" ]
	equals "$(cat <&8)" kept
	exec 8<&-
	umount "$MNT"
	opens as_user 4321
	equals "$(list)" 'user:4321:rw-'
}

# Every line of the log is the daemon's own.
well_formed() {
	! LC_ALL=C grep -n -v -E '^ipcfs: [ -~]*$' "$LOG" && ! grep -E '^ipcfs: FORGED' "$LOG"
}

@test "names forge no line of the log" {
	local name n=0
	start_mount -o max_objects=1
	as_user 1234 mkdir "$MNT/posix/sem/first"
	for name in $'a\nipcfs: FORGED' $'a\ripcfs: FORGED' $'\e[2J\e[1;1Hipcfs: FORGED' $'a\x7f\xff\xc2\x9b31m' \
		'%n%s%n' "$(printf '\n%.0s' {1..250})x"; do
		fails 'No space' as_user 1234 mkdir "$MNT/posix/mq/$name"
		as_user 1234 bash -c 'printf "%s\n" "posix/mq/$1" >"$MNT/create"' - "$name" 2>/dev/null || :
		n=$((n + 1))
	done
	[ "$(grep -c max_objects "$LOG")" -ge "$n" ]
	well_formed
	stop_mount
	# Nor do arguments.
	for name in $'x\nipcfs: FORGED' $'\e[2J'; do
		for option in "$name" "max_waiters=$name" "state=$name" "config=$name" "audit=$name"; do
			ipcfs -o "$option" "$BATS_TEST_TMPDIR/none$name" >"$LOG" 2>&1 && return 1
			well_formed
		done
	done
}

@test "no name becomes a mount option" {
	local source options=rw,user_id=0,group_id=0
	! kernel_checks || options+=,default_permissions
	# shellcheck disable=SC1003 # a backslash it is
	for source in 'a,allow_other' 'a,suid,dev' 'a\,allow_other' 'a\' $'a\nb / fuse.ipcfs rw' 'a b,ro' ',,' \
		'a,uid=5,user_id=5'; do
		start_daemon "$source" "$MNT"
		equals "$(findmnt -rno SOURCE "$MNT" | wc -l)" 1
		equals "$(printf %b "$(findmnt -rno SOURCE "$MNT")")" "$(printf %s "$source")"
		[[ $(findmnt -rno VFS-OPTIONS "$MNT") == rw,nosuid,nodev,noexec* ]]
		[[ $(findmnt -rno FS-OPTIONS "$MNT") == "$options" ]]
		fails 'Permission denied' as_user 1234 ls "$MNT"
		stop_mount
	done
	# What a configuration file may not say.
	for source in 'allow_other = yes' 'suid = yes' 'rate = 5,allow_other' 'max_waiters = 5 -o allow_other' \
		'allow_uid = 0,allow_other' 'audit = /etc/passwd' 'state = /tmp' 'config = /etc/passwd'; do
		echo "$source" >"$BATS_TEST_TMPDIR/config"
		fails 'config:1: ' ipcfs -o "config=$BATS_TEST_TMPDIR/config" "$MNT"
	done
	! mountpoint -q "$MNT"
}

@test "a daemon that is killed leaves each list as it was or as it was to be" {
	local round setter=$BATS_TEST_TMPDIR/setter.py
	# Version v of object i has user 10000 + 100 i + v alone, with a group of the same number.
	cat >"$setter" <<-'END'
	import os, struct, sys
	NAME = 'system.posix_acl_access'
	NONE = 0xffffffff
	def number(i, v): return 10000 + 100 * i + v
	def packed(i, v):
	    entries = ((1, 6, NONE), (2, 6, number(i, v)), (4, 0, NONE), (8, 4, number(i, v)), (16, 6, NONE), (32, 0, NONE))
	    return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *e) for e in entries)
	def without_x(acl):
	    entries = [(tag, perm & 6, number) for tag, perm, number in struct.iter_unpack('<HHI', acl[4:])]
	    return acl[:4] + b''.join(struct.pack('<HHI', *e) for e in entries)
	classes = ('posix/mq/crash%d', 'sysv/msg/0x%08x', 'sysv/shm/0x%08x', 'sysv/sem/0x%08x')
	paths = [os.environ['MNT'] + '/' + classes[i % 4] % (0xc0 + i) for i in range(16)]
	if sys.argv[1] == 'make':
	    for path in paths:
	        os.mkdir(path, 0o600)
	elif sys.argv[1] == 'set':
	    first = int(sys.argv[2])
	    turn = 0
	    while True:
	        for i, path in enumerate(paths):
	            v = (first + turn) % 100
	            print('begin', i, v, flush=True)
	            os.setxattr(path, NAME, packed(i, v))
	            print('done', i, v, flush=True)
	        turn += 1
	else:
	    done, begun = {}, {}
	    for line in open(sys.argv[2]):
	        word, i, v = line.split()[:3] if line.count(' ') == 2 else ('', 0, 0)
	        if word == 'begin': begun[int(i)] = int(v)
	        if word == 'done': done[int(i)] = int(v)
	    bad = 0
	    for i, path in enumerate(paths):
	        try:
	            got = without_x(os.getxattr(path, NAME))
	        except OSError:
	            got = None
	        allowed = {v: packed(i, v) for v in (done.get(i), begun.get(i)) if v is not None}
	        if got not in allowed.values() and not (got is None and done.get(i) != begun.get(i)):
	            print('object', i, 'done', done.get(i), 'begun', begun.get(i), 'has', got)
	            bad = 1
	    print(len(done), 'lists')
	    sys.exit(bad or len(done) < 16)
	END
	start_mount
	python3 "$setter" make
	for round in 1 2 3 4; do
		background_output python3 "$setter" set "$round"
		wait_until '[ "$(grep -c done "$OUT")" -ge $((30 + RANDOM % 50)) ]'
		kill_mount
		wait_until 'ended "$JOB"'
		start_mount
		python3 "$setter" check "$OUT"
	done
	well_formed
}
