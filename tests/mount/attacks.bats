# SPDX-License-Identifier: MIT
# Callers that try to get more than they may: by being fast, by being another user, by names, links
# and floods.
# shellcheck shell=bash disable=SC2153,SC2154,SC2016,SC2030,SC2031
load common

setup() {
	common_setup
	cp "$PEERS/credentials" "$PEERS/objtool" "$PEERS/races" "$PEERS/semtool" "$BATS_TEST_TMPDIR/bin/"
	OUTSIDE=$BATS_TEST_TMPDIR/outside
	export OUTSIDE
}

CLASSES=(posix/mq posix/shm posix/sem sysv/msg sysv/shm sysv/sem)

# new_object CLASS [UID]: sets $O to its directory, $F to a file that readers and writers open.
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

# opens COMMAND...: can the object be opened for reading by it?
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

@test "the maker of an object owns it, however fast another user removes and makes that name" {
	start_mount
	races names "$MNT" posix/mq/name $((SLOW > 1 ? 50 : 300))
	races names "$MNT" sysv/msg/0x0000acce $((SLOW > 1 ? 50 : 300))
}

@test "an open file has its opener's rights, whichever process has it or the opener's process id" {
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
		# A file that the user opened is judged by the user.
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

@test "a set-user-id program changes nothing by printing to a file of the mount" {
	local cat=$BATS_TEST_TMPDIR/bin/cat.root limit=$MNT/limits/msgmax before
	local refused='Operation not permitted'
	start_mount
	cp "$(command -v cat)" "$cat"
	chmod 4755 "$cat"
	new_queue sysv 1234
	# The user may set it, and root may, but not root for the user.
	as_user 1234 sh -c 'echo 1000 >"$1"' sh "$Q/qbytes"
	fails 'Operation not permitted' as_user 1234 sh -c 'echo 2000 | "$1" >"$2"' sh "$cat" "$Q/qbytes"
	equals "$(cat "$Q/qbytes")" 1000
	# Who may not write it may not open it. The kernel says so first where it checks modes.
	if kernel_checks; then refused='Permission denied'; fi
	fails "$refused" as_user 1235 sh -c ': >"$1/qbytes"' sh "$Q"
	fails 'Operation not permitted' as_user 1234 sh -c 'echo posix/mq/printed | "$1" >"$2"' sh "$cat" "$MNT/create"
	[ ! -e "$MNT/posix/mq/printed" ]
	fails 'Permission denied' as_user 1234 sh -c 'echo 1000 | "$1" >"$2"' sh "$cat" "$limit"
	# The other way round: a descriptor of root's is of no use to others.
	before=$(cat "$limit")
	fails 'Operation not permitted' as_user 1234 sh -c 'env echo 1000 >&9' 9>"$limit"
	fails 'Operation not permitted' as_user 1234 sh -c 'env echo posix/mq/printed >&9' 9>"$MNT/create"
	fails 'Operation not permitted' as_user 1234 sh -c 'env echo 500 >&9' 9>"$Q/qbytes"
	[ ! -e "$MNT/posix/mq/printed" ]
	equals "$(cat "$limit") $(cat "$Q/qbytes")" "$before 1000"
	# To have fewer rights than the opener is no harm.
	as_weak_root sh -c 'echo posix/mq/weak >&9' 9>"$MNT/create"
	as_user 1234:1234:50,60 sh -c 'exec 9>"$1"; env echo posix/mq/child >&9' sh "$MNT/create"
	[ -e "$MNT/posix/mq/weak" ]
	[ -e "$MNT/posix/mq/child" ]
	sh -c 'env echo "$1" >&9' sh "$before" 9>"$limit"
}

@test "a request by io_uring has no group and no capability" {
	start_mount
	cp "$PEERS/uring" "$BATS_TEST_TMPDIR/bin/"
	new_queue posix 1234
	chmod 600 "$Q"
	if ! uring open /dev/null; then
		# Containers may not use it.
		[ "$IPCFS_TEST_WORLD" = container ]
		return
	fi
	equals "$(as_user 1234 uring open "$Q/packets")" yes
	equals "$(as_user 1235 uring open "$Q/packets")" EACCES
	# The worker may have more than the caller has now, so it counts for nothing.
	equals "$(uring dropped "$Q/packets")" EACCES
	equals "$(uring personality "$Q/packets")" EACCES
	equals "$(uring open "$Q/packets")" EACCES
	equals "$(uring write "$Q/packets" text)" yes
	equals "$(as_user 1234 cat "$Q/drain")" text
	# A write that the kernel judges is judged without capabilities, too.
	new_queue sysv 1234
	equals "$(uring write "$Q/qbytes" 1000)" EPERM
}

@test "a writer whose memory comes from a file system of its own holds nobody up" {
	local stuck=$BATS_TEST_TMPDIR/stuck directory=$BATS_TEST_TMPDIR/own name server writer
	cp "$PEERS/stuckfs" "$BATS_TEST_TMPDIR/bin/"
	start_mount
	new_queue sysv 0
	mkdir "$MNT/posix/sem/lock" "$directory"
	chmod 666 "$Q"
	for name in create limits/msgmax "${Q#"$MNT"/}/qbytes" "${Q#"$MNT"/}/msg" posix/sem/lock/value posix/sem/lock/post; do
		background stuckfs "$directory" "$stuck"
		server=$JOB
		wait_until 'mountpoint -q "$BATS_TEST_TMPDIR/own"'
		background python3 -c '
import mmap, os, sys
memory = mmap.mmap(os.open(sys.argv[1], os.O_RDONLY), 4096, prot=mmap.PROT_READ)
file = os.open(sys.argv[2], os.O_WRONLY)
open(sys.argv[3], "w").close()
os.write(file, memoryview(memory)[:10])' "$directory/file" "$MNT/$name" "$stuck"
		writer=$JOB
		wait_until '[ -e "$stuck" ] && grep -q "^State:.D" "/proc/$writer/status"'
		case $name in
		*/msg) background as_user 1234 sh -c 'echo 1 >"$1"' sh "$MNT/$name" ;;
		*) background sh -c 'echo 1 >"$1"' sh "$MNT/$name" ;;
		esac
		within 2000 wait_until 'ended "$JOB"'
		running "$writer"
		rm "$stuck"
		kill -KILL "$server" "$writer"
		umount -l "$directory"
	done
}

@test "root of another user namespace has the rights of its user outside" {
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
		equals "$status $output" "1 "
		[ -d "$O" ]
		# It has the rights of its own user: no more, no less.
		new_object "$class" 1234
		opens as_user 1234 unshare --user --map-root-user
		# Root's capabilities there do not count here.
		fails 'Permission denied' opens unshare --user --map-root-user
		rmdir "$O"
	done
	fails 'Permission denied' as_user 1234 unshare --user --map-root-user bash -c 'echo 5 >"$MNT/limits/msgmni"'
	equals "$(cat "$MNT/limits/msgmni")" 32000
}

# Each way to lose the right.
take_away() {
	case $1 in
	chmod) chmod 600 "$O" ;;
	setfacl) setfacl -b "$O" ;;
	direct) objtool "$CLASS" "$NAME" chmod 600 ;;
	esac
}

@test "a caller that waited before the right was taken away gets nothing" {
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
			# The wait is judged twice a second.
			within 2000 wait_until 'ended "$JOB"'
			grep -q 'Permission denied' "$OUT"
			echo >"${F%/wait}/post"
			equals "$(cat "${F%/wait}/value")" 1
		done
	done
}

@test "ten thousand waiting requests of one user are refused beyond max_waiters, and hurt nobody" {
	local kind queue count=10000 limit=2048 before
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
		# The session's threads for such a crowd end after a second.
		[ "$SLOW" != 1 ] || wait_until \
			'[ $(($(awk "/^VmRSS/ {print \$2}" "/proc/$DAEMON/status") - '"$before"')) -lt '$((limit * 8))' ]'
		new_queue "$kind" 4321
		background_output as_user 4321 cat "$Q/msg"
		wait_until 'grep -qx waiting_readers=1 "$Q/status"'
		within 1000 as_user 4321 bash -c 'echo job >"$Q/msg"'
		within 1000 wait_until 'ended "$JOB"'
		equals "$(cat "$OUT")" job
		kill -KILL "$crowd"
		within 3000 wait_until 'ended "$crowd"'
		# Its last threads may outlive it for a moment, and count meanwhile.
		wait_until 'grep -qx waiting_readers=0 "$MNT/'"$queue"'/status"'
	done
}

# Prints the median time of a message there and back, in microseconds, as another user.
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
	# until all of them run
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

# Prints the list of the object that exists now.
list() {
	getfacl -cEn "$O" 2>/dev/null | grep 'user:[0-9]' | tr x -
}

@test "a state directory that others can reach is not used" {
	local place=$BATS_TEST_TMPDIR/state kind
	mkdir "$OUTSIDE"
	for kind in writable others link fifo; do
		case $kind in
		writable) mkdir "$place"; chmod 777 "$place" ;;
		others) mkdir -m 700 "$place"; chown 1234 "$place" ;;
		link) chmod 700 "$OUTSIDE"; ln -s "$OUTSIDE" "$place" ;;
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
	silent ls -A "$OUTSIDE"
}

@test "changes of the state directory while the daemon runs lead nowhere else" {
	local place=$BATS_TEST_TMPDIR/state inner record
	mkdir -m 700 "$place" "$OUTSIDE"
	start_mount -o "state=$place"
	new_object sysv/msg
	setfacl -m u:1234:r "$O"
	inner=$(echo "$place"/[0-9]*)
	record=$inner/lists
	# Something in the place of the file that is written.
	mv "$record" "$record.moved"
	ln -s "$OUTSIDE/record" "$record"
	within 2000 setfacl -m u:1235:r "$O"
	rm "$record"
	mkfifo "$record"
	within 2000 setfacl -m u:1236:r,u:1237:r "$O"
	rm "$record"
	mv "$record.moved" "$record"
	equals "$(list)" $'user:1234:r--\nuser:1235:r--\nuser:1236:r--\nuser:1237:r--'
	# From now on the directory is another one: lists are kept in the old one.
	mv "$place" "$place.moved"
	ln -s "$OUTSIDE" "$place"
	within 2000 setfacl -m u:1238:r "$O"
	opens as_user 1238
	silent ls -A "$OUTSIDE"
	stop_mount
	rm "$place"
	mv "$place.moved" "$place"
	# A file of this size cannot be a file of lists.
	cp "$record" "$BATS_TEST_TMPDIR/record"
	truncate -s 1T "$record"
	within 3000 start_mount -o "state=$place"
	equals "$(list)" ''
	fails 'Permission denied' opens as_user 1234
	stop_mount
	mkdir -p -m 700 "$inner"
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
		# The next object gets the same id, key and mode before the daemon has looked.
		as_user 1234 objtool "$class" "$NAME" remove
		echo "$id" >"/proc/sys/kernel/${class#sysv/}_next_id"
		as_user 1235 objtool "$class" "$NAME" make 0660
		equals "$(sed -n 's/^id=//p' "$O/status")" "$id"
		fails 'Permission denied' opens as_user 4321
		equals "$(list)" ''
		opens as_user 1235
		# It does not have the list later either, nor after a restart.
		meanwhile 0.6
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
	# The first daemon dies: the other one soon has its lists.
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
	fails 'mounted there already' as_user 1234 ipcfs "$MNT" 8<&-
	# The namespaces of a user are nobody else's.
	as_user 1234 unshare --user --map-root-user --mount --ipc bash -e -c '
		mount -t tmpfs none "$MNT"
		mkdir -p "$O"
		setfacl -m u:0:r "$O"
		[ -z "$(ls "$O")" ]' 8<&-
	equals "$(list)" 'user:4321:rw-'
	mount -t tmpfs none "$MNT"
	silent ls "$MNT"
	equals "$(cat <&8)" kept
	exec 8<&-
	umount "$MNT"
	opens as_user 4321
	equals "$(list)" 'user:4321:rw-'
}

# Every line of the log must be the daemon's own.
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
	# Options that a configuration file may not have.
	for source in 'allow_other = yes' 'suid = yes' 'rate = 5,allow_other' 'max_waiters = 5 -o allow_other' \
		'allow_uid = 0,allow_other' 'audit = /etc/passwd' 'state = /tmp' 'config = /etc/passwd'; do
		echo "$source" >"$BATS_TEST_TMPDIR/config"
		fails 'config:1: ' ipcfs -o "config=$BATS_TEST_TMPDIR/config" "$MNT"
	done
	! mountpoint -q "$MNT"
}

@test "a daemon that is killed leaves each list as it was or as it was to be" {
	local round setter=$BATS_TEST_TMPDIR/setter.py
	# Version v of object i has only the user 10000 + 100 i + v, and a group of the same number.
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

@test "a file system of a user's own over a file of /dev/shm is not there, and hides nothing else" {
	# There the set-user-id program fusermount3 is nobody's, and no user can mount.
	! in_user_namespace || return 0
	local stuck=$BATS_TEST_TMPDIR/stuck name
	cp "$PEERS/stuckfs" "$BATS_TEST_TMPDIR/bin/"
	start_mount -o max_objects=4
	# The daemon may not look at the first one; the second one lets it in, and does not answer.
	for name in closed sem.closed; do
		# fusermount3 wants a user that has a name
		as_user 65534 touch "/dev/shm/$name"
		background as_user 65534 stuckfs "/dev/shm/$name" "$stuck"
		wait_until 'grep -q " /dev/shm/$name .* fuse" /proc/self/mountinfo'
	done
	for name in open sem.open; do
		touch "/dev/shm/$name"
		background stuckfs "/dev/shm/$name" "$stuck"
		wait_until 'grep -q " /dev/shm/$name .* fuse" /proc/self/mountinfo'
	done
	: >"$stuck"
	for name in 1 2 3 4; do
		background ls "$MNT/posix/shm"
		background ls "$MNT/posix/sem"
		background stat "$MNT/posix/shm/open"
	done
	within 1000 as_user 4321 timeout 5 sh -c 'mkdir "$1/mq/job" && echo job >"$1/mq/job/msg" &&
		[ "$(cat "$1/mq/job/drain")" = job ] && mkdir "$1/sem/job" && : 9>"$1/sem/job/tryhold"' sh "$MNT/posix"
	# Two of each class are made within max_objects, though the others are there.
	as_user 4321 sh -c 'echo "posix/shm/job size=1" >"$1/create"' sh "$MNT"
	equals "$(timeout 5 ls "$MNT/posix/shm") $(timeout 5 ls "$MNT/posix/sem")" 'job job'
	for name in open closed; do
		fails 'No such file' stat "$MNT/posix/shm/$name"
		fails 'No such file' stat "$MNT/posix/sem/$name"
	done
	rm "$stuck"
	kill -KILL "${JOBS[@]}"
	wait "${JOBS[@]}" || :
	JOBS=()
	umount -l /dev/shm/{,sem.}{open,closed}
}

@test "a file system over a file of /dev/mqueue is not there, for a daemon that has no mount of its own" {
	# There the set-user-id program fusermount3 is nobody's, and no user can mount.
	! in_user_namespace || return 0
	local stuck=$BATS_TEST_TMPDIR/stuck name
	cp "$PEERS/stuckfs" "$BATS_TEST_TMPDIR/bin/"
	mkdir -p /dev/mqueue
	mount -t mqueue mqueue /dev/mqueue
	touch /dev/mqueue/{open,plain}
	chmod 666 /dev/mqueue/*
	chown 65534 "$MNT"
	as_user 65534 ipcfs "$MNT" # fusermount3 wants a user that has a name
	equals "$(as_user 65534 ls "$MNT/posix/mq" | xargs)" 'open plain'
	background stuckfs /dev/mqueue/open "$stuck"
	wait_until 'grep -q " /dev/mqueue/open .* fuse" /proc/self/mountinfo'
	: >"$stuck"
	for name in 1 2 3 4; do
		background as_user 65534 ls "$MNT/posix/mq"
		background as_user 65534 stat "$MNT/posix/mq/open"
		background as_user 65534 cat "$MNT/posix/mq/open/drain"
	done
	within 1000 as_user 65534 timeout 5 sh -c 'echo job >"$1/msg" && [ "$(cat "$1/drain")" = job ]' sh "$MNT/posix/mq/plain"
	equals "$(as_user 65534 timeout 5 ls "$MNT/posix/mq")" plain
	fails 'No such file' as_user 65534 stat "$MNT/posix/mq/open"
	rm "$stuck"
	kill -KILL "${JOBS[@]}"
	wait "${JOBS[@]}" || :
	JOBS=()
	as_user 65534 fusermount3 -u "$MNT"
	umount -l /dev/mqueue/open /dev/mqueue
}

@test "reads by io_submit that wait hold up no close, and end with their process" {
	local kind job waiting semaphore=$MNT/posix/sem/innocents
	start_mount
	cp "$PEERS/aio" "$BATS_TEST_TMPDIR/bin/"
	as_user 4321 mkdir "$semaphore"
	for kind in "${KINDS[@]}"; do
		new_queue "$kind" 1234
		# More than the kernel's background requests.
		background_output as_user 1234 aio "$Q/packets" 20
		job=$JOB
		wait_parked 20
		within 1000 as_user 4321 timeout 5 sh -c ': 9>"$1/hold"' sh "$semaphore"
		within 1000 wait_until '[ "$(cat '"$semaphore"'/value)" = 1 ]'
		as_user 1234 sh -c 'echo one >"$1/msg"' sh "$Q"
		within 1000 wait_until 'grep -qx read "$OUT"'
		# Each of them is judged by who opened the file.
		chmod 0 "$Q"
		wait_until '[ "$(parked)" = 0 ]'
		chmod 600 "$Q"
		background as_user 1234 aio "$Q/packets" 20
		job=$JOB
		wait_parked 20
		waiting=$(pgrep -P "$job")
		kill -KILL "$job"
		for job in $waiting; do within 1000 wait_until 'ended "$job"'; done
	done
}

@test "a queue whose bytes were set to 0 is listed, and its messages are shown" {
	start_mount
	new_queue sysv 1234
	as_user 1234 sh -c 'echo one >"$1/msg"' sh "$Q"
	as_user 1234 mqtool sysv "$NAME" qbytes 0
	equals "$(as_user 1234 timeout 5 cat "$Q"/peek/*)" one
	equals "$(as_user 1234 timeout 5 ls "$Q/peek")" 0.1
	equals "$(as_user 1234 timeout 5 cat "$Q/drain")" one
}

@test "file handles can't be guessed" {
	start_mount
	mkdir "$MNT"/posix/mq/{a,b,c,d}
	python3 - "$MNT"/posix/mq/{a,b,c,d} <<-'END'
	import ctypes, struct, sys
	libc = ctypes.CDLL(None, use_errno=True)
	generations = set()
	for path in sys.argv[1:]:
	    handle = ctypes.create_string_buffer(struct.pack('Ii', 128, 0), 136)
	    mount = ctypes.c_int()
	    assert libc.name_to_handle_at(-100, path.encode(), handle, ctypes.byref(mount), 0) == 0, ctypes.get_errno()
	    generations.add(struct.unpack_from('III', handle.raw, 8)[2])
	print(generations)
	assert len(generations) == 4 and min(generations) > 4096
	END
}
