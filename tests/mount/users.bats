# SPDX-License-Identifier: MIT
# The file `users`: which processes have an object open, mapped or attached, direct callers included.
# shellcheck shell=bash disable=SC2154,SC2016,SC2030,SC2031,SC2153
load common

setup() {
	common_setup
	cp "$PEERS/objtool" "$BATS_TEST_TMPDIR/bin/"
	start_mount
}

# make CLASS: makes an object by a direct call that everybody may use; $O is its directory.
make() {
	NAME=thing
	[[ $1 != sysv/* ]] || NAME=0x00000051
	umask 0
	objtool "$1" "$NAME" make 0666
	O=$MNT/$1/$NAME
	export O
}

# uses HOW COMMAND...: runs it in the background, until it uses the object.
uses() {
	background_output "${@:2}" objtool "$CLASS" "$NAME" use "$1"
	wait_until 'grep -q ready "$OUT"'
}

# lines COMMAND...: the processes that `users` names, and how: "$JOB open", in order.
lines() {
	"$@" cat "$O/users" | sed -n 's/^pid=\([0-9]*\) .* how=/\1 /p'
}

@test "direct users of each class are named, and how they use it" {
	local row how expected
	for row in 'posix/mq open open' 'posix/mq registered open,registered' 'posix/shm open open' 'posix/shm mapped mapped' \
		'posix/shm open+mapped open,mapped' 'posix/sem mapped mapped' 'sysv/shm attached attached'; do
		read -r CLASS how expected <<<"$row"
		echo "with $row:"
		make "$CLASS"
		equals "$(cat "$O/users")" complete=yes
		uses "$how" as_user "$PEER"
		equals "$(cat "$O/users")" "pid=$JOB uid=$PEER program=objtool how=$expected"$'\n'complete=yes
		equals "$(as_user "$PEER" sed 1q "$O/users")" "pid=$JOB uid=$PEER program=objtool how=$expected"
		kill "$JOB"
		wait_until '[ "$(cat "$O/users")" = complete=yes ]'
		objtool "$CLASS" "$NAME" remove
	done
}

@test "nobody uses a System V queue or set but through the mount" {
	for CLASS in sysv/msg sysv/sem; do
		make "$CLASS"
		uses open as_user "$PEER"
		equals "$(cat "$O/users")" complete=yes
	done
}

@test "those who have a file of the object open in the mount are named, and not the daemon" {
	for CLASS in posix/mq sysv/msg; do
		make "$CLASS"
		background as_user "$PEER" dd if="$O/within/1000/msg" bs=8192 count=1 status=none of=/dev/null
		wait_until '[ "$(lines)" = "$JOB mount" ]'
		equals "$(grep -c . "$O/users")" 2
	done
	for CLASS in posix/sem sysv/sem; do
		make "$CLASS"
		[ "$CLASS" = posix/sem ] || O=$O/0
		export HOLD=$O/hold
		echo 1 >"$O/value"
		O=${O%/0}
		background as_user "$PEER" sh -c 'exec 9>"$HOLD"; exec sleep 1000'
		wait_until '[ "$(lines)" = "$JOB mount" ]'
	done
	for CLASS in posix/shm sysv/shm; do
		make "$CLASS"
		background as_user "$PEER" sh -c 'exec 9<"$O/data"; exec sleep 1000'
		wait_until '[ "$(lines)" = "$JOB mount" ]'
	done
	# Those who read users, or look at other files, use nothing.
	background sh -c 'exec 8<"$O/users" 9<"$MNT/objects"; exec sleep 1000'
	meanwhile 0.1
	equals "$(lines | wc -l)" 1
}

# as_weak_root, for the background.
weak_root() {
	${EXEC-} setpriv --inh-caps -all --bounding-set -all -- "$@"
}

@test "a user is told of processes that ptrace(2) would let the user read" {
	CLASS=sysv/shm
	make sysv/shm
	uses attached as_user "$PEER"
	local peer=$JOB other strong weak secret
	uses attached as_user 1235
	other=$JOB
	uses attached
	strong=$JOB
	uses attached weak_root
	weak=$JOB
	background_output as_user "$PEER" python3 -c 'import ctypes, time
libc = ctypes.CDLL(None)
libc.prctl(4, 0) # PR_SET_DUMPABLE
libc.shmat(libc.shmget(0x51, 0, 0), None, 0)
print("ready", flush=True)
time.sleep(1000)'
	secret=$JOB
	wait_until 'grep -q ready "$OUT"'
	equals "$(lines | sort)" "$(printf '%s attached\n' "$peer" "$other" "$strong" "$weak" "$secret" | sort)"
	equals "$(tail -n 1 "$O/users")" complete=yes
	equals "$(lines as_user "$PEER")" "$peer attached"
	equals "$(as_user "$PEER" tail -n 1 "$O/users")" complete=no
	equals "$(lines as_user 1235)" "$other attached"
	equals "$(as_user 1236 cat "$O/users")" complete=no
	equals "$(lines as_user "$PEER:1235")" ''
	equals "$(lines as_weak_root)" "$weak attached"
	# Capabilities alone do it, too.
	equals "$(lines setpriv --reuid 1236 --regid 1236 --clear-groups --inh-caps +sys_ptrace --ambient-caps +sys_ptrace -- | wc -l)" 5
}

@test "who may not read a POSIX object is not told who uses it" {
	for CLASS in posix/mq posix/shm posix/sem; do
		make "$CLASS"
		chmod 600 "$O"
		uses open
		fails 'Permission denied' as_user "$PEER" cat "$O/users"
	done
}

# handed OPENER READER: what READER reads in a descriptor that OPENER has opened; uids.
handed() {
	python3 -c '
import os, socket, sys
def become(uid):
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
ours, theirs = socket.socketpair()
if os.fork() == 0:
    become(int(sys.argv[2]))
    socket.send_fds(theirs, [b"x"], [os.open(sys.argv[1], os.O_RDONLY)])
    os._exit(0)
file = socket.recv_fds(ours, 1, 1)[1][0]
os.wait()
become(int(sys.argv[3]))
while text := os.read(file, 1 << 16):
    os.write(1, text)
' "$O/users" "$1" "$2"
}

@test "a file that is passed on tells what both its opener and its reader may know" {
	CLASS=sysv/shm
	make sysv/shm
	uses attached as_user "$PEER"
	local peer=$JOB
	uses attached
	equals "$(handed 0 0 | wc -l)" 3
	for way in "0 $PEER" "$PEER 0" "$PEER $PEER"; do
		# shellcheck disable=SC2086 # two words
		equals "$(handed $way)" "pid=$peer uid=$PEER program=objtool how=attached"$'\n'complete=no
	done
	equals "$(handed 1235 "$PEER")" complete=no
}

@test "a line stays a line, whatever a program calls itself" {
	CLASS=sysv/shm
	make sysv/shm
	local name=$'a\n\tpid=1 \'\\' copy
	copy=$BATS_TEST_TMPDIR/bin/$name
	cp "$PEERS/objtool" "$copy"
	background_output "$copy" sysv/shm "$NAME" use attached
	wait_until 'grep -q ready "$OUT"'
	equals "$(grep -c . "$O/users")" 2
	for shell in "${SHELLS[@]}"; do
		equals "$($shell -c 'IFS= read -r line <"$O/users"; eval "$line"; echo "$pid $uid $how $program"')" \
			"$JOB 0 attached a??pid=1 '\\"
	done
}

@test "small reads, and many users: each process once" {
	CLASS=posix/shm
	make posix/shm
	background_output python3 -c '
import os, sys, time
file = os.open("/dev/shm/thing", os.O_RDONLY)
pids = []
for i in range(100):
    pid = os.fork()
    if not pid:
        time.sleep(1000)
    pids.append(pid)
print("ready", flush=True)
time.sleep(1000)'
	wait_until 'grep -q ready "$OUT"'
	equals "$(grep -c 'program=python3 how=open$' "$O/users")" 101
	equals "$(dd if="$O/users" bs=7 status=none)" "$(cat "$O/users")"
	equals "$(sed 's/ .*//' "$O/users" | sort -u | wc -l)" 102
	pkill -P "$JOB"
	kill "$JOB"
	wait_until '[ "$(cat "$O/users")" = complete=yes ]'
}

@test "processes that come and go disturb nobody, and the end is told" {
	CLASS=posix/shm
	make posix/shm
	uses mapped
	local stays=$JOB i
	background sh -c 'while :; do /bin/true 9<"/dev/shm/thing"; done'
	for ((i = 0; i < 20; i++)); do
		equals "$(grep -x "pid=$stays .*how=mapped" "$O/users")" "pid=$stays uid=0 program=objtool how=mapped"
		equals "$(tail -n 1 "$O/users")" complete=yes
	done
}

@test "an object that is removed while users is open: EIDRM" {
	for CLASS in posix/mq posix/shm posix/sem sysv/msg sysv/shm sysv/sem; do
		make "$CLASS"
		exec 8<"$O/users"
		objtool "$CLASS" "$NAME" remove
		fails 'Identifier removed' cat <&8
		exec 8<&-
	done
}

@test "a thousand processes: all are told, and another user waits for nobody" {
	local count=1000 i
	[ "$SHORT" = 0 ] && [ "$SLOW" = 1 ] || count=200
	export COUNT=$count
	CLASS=sysv/shm
	make sysv/shm
	background_output as_user "$PEER" python3 -c '
import ctypes, os, signal, time
libc = ctypes.CDLL(None)
libc.shmat(libc.shmget(0x51, 0, 0), None, 0)
os.setpgid(0, 0)
for i in range(int(os.environ["COUNT"]) - 1):
    if not os.fork():
        signal.pause()
print("ready", flush=True)
signal.pause()'
	local users=$JOB
	wait_until 'grep -q ready "$OUT"' 30
	equals "$(grep -c how=attached "$O/users")" "$count"
	for ((i = 0; i < 2; i++)); do
		background as_user "$PEER" sh -c 'while :; do cat "$O/users"; done >/dev/null'
	done
	for ((i = 0; i < 10; i++)); do
		within 1000 as_user 1235 stat "$O/status"
	done
	kill -KILL -- "-$users"
}
