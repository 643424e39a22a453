# SPDX-License-Identifier: MIT
# The audit: what is recorded at which level; nothing can forge a record; a flood, or a target that
# is stuck, hurts nobody.
# shellcheck shell=bash disable=SC2154,SC2016,SC2119,SC2120,SC2030,SC2031
load common

setup() {
	common_setup
	AUDIT=$BATS_TEST_TMPDIR/audit.log
	# The operation that `requests` are recorded as.
	REFUSED_OP=open
	! kernel_checks || REFUSED_OP=write
	write_refusals
}

audited() {
	start_mount -o "audit=${2:-$AUDIT},audit_level=$1"
}

# record PATTERN...: prints the number of records that have all of these fields.
record() {
	local lines field
	lines=$(cat "$AUDIT")
	for field; do
		lines=$(grep -F -- "$field" <<<"$lines")
	done
	grep -c . <<<"$lines"
}

# recorded FIELD...: such a record exists, or will soon.
recorded() {
	# shellcheck disable=SC2034
	local fields=("$@")
	wait_until '[ "$(record "${fields[@]}")" -ge 1 ]'
}

# Every line must be a record with all its fields, and nothing else.
well_formed() {
	local time='"[-0-9]{10}T[0-9:]{8}\.[0-9]{3}Z"'
	local number='"[0-9]+"' value='"([^"\\]|\\[0-7]{3})*"' text
	text="time=$time op=\"[a-z]+\" object=$value file=$value want=\"[a-z,]*\" uid=$number gid=$number"
	text+=" pid=$number program=$value verdict=\"(allow|deny)\" reason=\"[a-z ]*\" error=\"[A-Z]*\" detail=$value"
	text+="|time=$time op=\"summary\" uid=\"[0-9a-z]*\" suppressed=$number reason=\"[a-z]+\""
	! LC_ALL=C grep -a -n -v -E "^($text)$" "${1-$AUDIT}"
}

# Puts something in this place until the test ends.
cover() {
	mount -t tmpfs -o "mode=755${2+,$2}" tmpfs "$1"
}

# refusals.py N [SECONDS]: makes N refused requests on the queue $Q, each answered in that time.
# Where the kernel itself refuses to open (docs/security.md), the queue is opened while it belongs
# to the user, and the writes are refused.
write_refusals() {
	cat >"$BATS_TEST_TMPDIR/refusals.py" <<-'END'
	import os, sys, time
	queue = os.environ['Q']
	if 'PROGRAM' in os.environ:
	    open('/proc/self/comm', 'wb').write(os.environb[b'PROGRAM'])
	if os.environ['IPCFS_TEST_WORLD'] == 'userns':
	    user = int(os.environ['REFUSED'])
	    text = os.environb.get(b'TEXT', b'x')
	    owner = os.stat(queue).st_uid
	    os.setgroups([])
	    os.chown(queue, user, -1)
	    os.setegid(user)
	    os.seteuid(user)
	    fd = os.open(queue + '/packets', os.O_WRONLY | os.O_NONBLOCK)
	    os.seteuid(0)
	    os.chown(queue, owner, -1)
	    os.setresgid(user, user, user)
	    os.setresuid(user, user, user)
	    attempt = lambda: os.write(fd, text)
	else:
	    attempt = lambda: os.open(queue + '/msg', os.O_RDONLY)
	worst = 0
	for i in range(int(sys.argv[1])):
	    start = time.monotonic()
	    try:
	        attempt()
	    except PermissionError:
	        pass
	    worst = max(worst, time.monotonic() - start)
	print('the longest took %.3f s' % worst)
	sys.exit(len(sys.argv) > 2 and worst > float(sys.argv[2]))
	END
}

# refusals N [SECONDS]: by the user $REFUSED, or 1234.
refusals() {
	export REFUSED=${REFUSED:-$PEER}
	if kernel_checks; then
		${EXEC-} python3 "$BATS_TEST_TMPDIR/refusals.py" "$@"
	else
		as_user "$REFUSED" python3 "$BATS_TEST_TMPDIR/refusals.py" "$@"
	fi
}

# requests N: makes N refusals, each answered soon.
requests() {
	refusals "$1" "$SLOW"
}

refused() {
	! as_user 1234 "$@" 2>/dev/null
}

decisions() {
	new_queue posix
	exec 9>"$Q/msg"
	exec 9>&-
	refused cat "$Q/msg"
	refused ls "$Q"
	refused rmdir "$Q"
	refused chmod 666 "$Q"
	refused chown 1234 "$Q"
	refused sh -c 'echo 1 > "$MNT/limits/msgmax"'
	chmod 640 "$Q"
	setfacl -m u:1235:r "$Q"
	as_user 1235 ls "$Q" >/dev/null
	new_queue sysv
	refused ls "$Q/peek/"
	refused test -w "$Q/msg"
	echo 1000 >"$Q/qbytes"
	chown 0:5 "$Q"
	cat "$MNT/limits/msgmni" >"$BATS_TEST_TMPDIR/msgmni"
	cat "$BATS_TEST_TMPDIR/msgmni" >"$MNT/limits/msgmni"
	echo "posix/shm/made$RANDOM size=1" >"$MNT/create"
	refused cat "$Q/nothing" # no decision
	ls -l "$MNT"/*/* >/dev/null
	rmdir "$Q"
}

refusals_are_there() {
	local who='uid="1234" gid="1234"' q
	if kernel_checks; then
		# The kernel has refused all but one without asking the daemon: they are not
		# recorded.
		new_queue posix
		requests 1
		recorded op=\"write\" object=\"posix/mq/$NAME\" file=\"packets\" want=\"write\" "$who" program=\"python3\" \
			verdict=\"deny\" reason=\"other\" error=\"EACCES\"
		recorded op=\"stat\" object=\"sysv/msg/ file=\"peek\" "$who" verdict=\"deny\" error=\"EACCES\"
		equals "$(record verdict=\"deny\")" 2
		well_formed
		return
	fi
	q=object=\"posix/mq/queue$((QUEUES - 1))\"
	recorded op=\"open\" "$q" file=\"msg\" want=\"read\" "$who" program=\"cat\" verdict=\"deny\" reason=\"other\" error=\"EACCES\"
	recorded op=\"list\" "$q" file=\"\" want=\"read\" "$who" program=\"ls\" verdict=\"deny\" error=\"EACCES\"
	recorded op=\"remove\" "$q" "$who" program=\"rmdir\" verdict=\"deny\" reason=\"kernel\" error=\"EPERM\"
	recorded op=\"chmod\" "$q" "$who" verdict=\"deny\" error=\"EPERM\" detail=\"mode=0666\"
	recorded op=\"chown\" "$q" "$who" verdict=\"deny\" error=\"EPERM\" detail=\"uid=1234\"
	recorded op=\"open\" object=\"limits/msgmax\" file=\"\" want=\"write\" "$who" verdict=\"deny\" reason=\"kernel\" error=\"EACCES\"
	recorded op=\"stat\" object=\"sysv/msg/ file=\"peek\" "$who" verdict=\"deny\" error=\"EACCES\"
	recorded op=\"access\" object=\"sysv/msg/ file=\"msg\" want=\"write\" "$who" verdict=\"deny\" error=\"EACCES\"
	well_formed
}

changes_are_there() {
	recorded op=\"make\" object=\"posix/mq/queue1\" uid=\"0\" program=\"mkdir\" verdict=\"allow\" detail=\"mode=0600\"
	recorded op=\"chmod\" object=\"posix/mq/queue1\" verdict=\"allow\" detail=\"mode=0640\"
	recorded op=\"setfacl\" object=\"posix/mq/queue1\" uid=\"0\" verdict=\"allow\"
	recorded op=\"change\" object=\"sysv/msg/0x file=\"qbytes\" verdict=\"allow\" detail=\"qbytes=1000\"
	recorded op=\"chown\" object=\"sysv/msg/0x verdict=\"allow\" detail=\"uid=0 gid=5\"
	recorded op=\"limit\" object=\"limits/msgmni\" verdict=\"allow\" "detail=\"$(cat "$BATS_TEST_TMPDIR/msgmni")\""
	recorded op=\"make\" object=\"posix/shm/made verdict=\"allow\"
	recorded op=\"remove\" object=\"sysv/msg/0x verdict=\"allow\"
}

@test "deny: refusals, and nothing else" {
	start_mount -o audit="$AUDIT" # the default
	decisions
	refusals_are_there
	equals "$(record verdict=\"allow\")" 0
	equals "$(stat -c %a "$AUDIT")" 600
}

@test "change: refusals and changes, and nothing else" {
	audited change
	decisions
	refusals_are_there
	changes_are_there
	equals "$(record verdict=\"allow\" op=\"open\")" 0
	equals "$(record verdict=\"allow\" op=\"list\")" 0
}

@test "all: what is opened and listed, too" {
	audited all
	decisions
	refusals_are_there
	changes_are_there
	recorded op=\"open\" object=\"posix/mq/queue1\" file=\"msg\" want=\"write\" "pid=\"$BASHPID\"" program=\"bash\" verdict=\"allow\" reason=\"owner\"
	recorded op=\"list\" object=\"posix/mq/queue1\" uid=\"1235\" verdict=\"allow\" "reason=\"named user\""
	ls "$MNT/posix/mq/queue1" >/dev/null
	recorded op=\"list\" object=\"posix/mq/queue1\" verdict=\"allow\"
	mkdir "$MNT/sysv/sem/0x51"
	: 9>"$MNT/sysv/sem/0x00000051/0/hold"
	recorded op=\"open\" object=\"sysv/sem/0x00000051\" file=\"0/hold\" want=\"write\" verdict=\"allow\"
	well_formed
}

# A permission is recorded at open, and when it has changed; a wait is not recorded.
@test "all: an open file is recorded when its right goes and comes back" {
	local kind
	audited all
	mkfifo -m 666 "$BATS_TEST_TMPDIR/gate"
	exec 8<>"$BATS_TEST_TMPDIR/gate"
	for kind in posix sysv; do
		new_queue "$kind" 1234
		background as_user 1234 python3 -c '
import os, sys
fd = os.open(os.environ["Q"] + "/packets", os.O_RDWR | os.O_NONBLOCK)
for line in open(sys.argv[1]):
    for i in range(5):
        try:
            os.write(fd, b"x")
            os.read(fd, 8192)
        except PermissionError:
            pass
    print("done", flush=True)
' "$BATS_TEST_TMPDIR/gate" >"$BATS_TEST_TMPDIR/said.$kind"
		echo >&8
		wait_until '[ "$(grep -c done "$BATS_TEST_TMPDIR/said.$kind")" = 1 ]'
		recorded op=\"open\" "object=\"${Q#"$MNT/"}\"" want=\"read,write\" verdict=\"allow\" uid=\"1234\"
		equals "$(record "object=\"${Q#"$MNT/"}\"" op=\"write\")" 0
		chmod 0 "$Q"
		echo >&8
		wait_until '[ "$(grep -c done "$BATS_TEST_TMPDIR/said.$kind")" = 2 ]'
		recorded op=\"write\" "object=\"${Q#"$MNT/"}\"" file=\"packets\" want=\"write\" verdict=\"deny\" error=\"EACCES\"
		wait_until '[ "$(record "object=\"${Q#"$MNT/"}\"" op=\"write\" verdict=\"deny\")" = 5 ]'
		chmod 600 "$Q"
		echo >&8
		wait_until '[ "$(grep -c done "$BATS_TEST_TMPDIR/said.$kind")" = 3 ]'
		wait_until '[ "$(record "object=\"${Q#"$MNT/"}\"" op=\"write\" verdict=\"allow\")" = 1 ]'
		kill -KILL "$JOB"
		wait_until 'ended "$JOB"' # it reads no line of the next one
	done
	exec 8>&-
	mkdir "$MNT/posix/sem/s"
	: 9>"$MNT/posix/sem/s/wait"
	echo >"$MNT/posix/sem/s/wait"
	background sh -c 'echo > "$MNT/posix/sem/s/wait"'
	wait_parked 1
	meanwhile 1.5 # the wait is judged twice a second
	equals "$(record object=\"posix/sem/s\" op=\"write\")" 0
	well_formed
}

@test "a name forges no record" {
	local name n=0
	audited all
	for name in 'a" verdict="allow' $'a"\ntime="2000-01-01T00:00:00.000Z" op="open" object="b' 'a\" uid="0' \
		$'a\r\x1b[2Jb' $'a\x7f\xff\xc3\xa4' 'a\012b' $'a\t b\\' "$(head -c 254 /dev/zero | tr '\0' '\n'; echo x)"; do
		mkdir "$MNT/posix/mq/$name"
		Q=$MNT/posix/mq/$name requests 1
		rmdir "$MNT/posix/mq/$name"
		n=$((n + 1))
	done
	wait_until '[ "$(record verdict=\"deny\" uid=\"1234\")" = "$n" ]'
	equals "$(record op=\"make\")" "$n"
	recorded 'object="posix/mq/a\042 verdict=\042allow"'
	recorded 'object="posix/mq/a\134\042 uid=\0420"'
	recorded 'object="posix/mq/a\134012b"'
	recorded 'object="posix/mq/a\177\377\303\244"'
	well_formed
	# nor does the name of a program
	new_queue sysv
	for name in 'x" uid="0' $'x"\nop="y' 'x\" y="' $'\x1b\xff'; do
		PROGRAM=$name requests 1
	done
	wait_until '[ "$(record verdict=\"deny\" uid=\"1234\")" = $((n + 4)) ]'
	recorded uid=\"1234\" 'program="x\042 uid=\0420" verdict="deny"'
	recorded uid=\"1234\" 'program="x\042\012op=\042y" verdict="deny"'
	recorded uid=\"1234\" 'program="x\134\042 y=\042" verdict="deny"'
	recorded uid=\"1234\" 'program="\033\377" verdict="deny"'
	well_formed
}

@test "no content is recorded" {
	local secret=swordfish-4711 kind
	audited all
	for kind in posix sysv; do
		new_queue "$kind"
		echo "$secret" >"$Q/msg"
		timeout 10 cat "$Q/msg" >/dev/null
		echo "$secret" >"$Q/lines"
		timeout 10 cat "$Q/drain" >/dev/null
		printf '7\t%s\n' "$secret" >"$Q/tagged"
		[ "$kind" = posix ] || cat "$Q"/peek/* >/dev/null
		refused sh -c 'echo "$1" > "$Q/msg"' sh "$secret"
		TEXT=$secret requests 1
	done
	echo "posix/shm/segment size=4096" >"$MNT/create"
	echo "$secret" 1<>"$MNT/posix/shm/segment/data"
	cat "$MNT/posix/shm/segment/data" >/dev/null
	fails error sh -c 'echo "sysv/shm/$1" >"$MNT/create"' sh "$secret"
	fails error sh -c 'echo "$1" >"$Q/qbytes"' sh "$secret"
	refused sh -c 'echo "$1" >"$MNT/limits/msgmax"' sh "$secret"
	recorded verdict=\"deny\"
	stop_mount
	# The log explains refused lines of create, and only those.
	grep -q "no object made for uid 0: sysv/shm/$secret: " "$LOG"
	equals "$(sed '/no object made for uid/d' "$LOG" | cat "$AUDIT" - | grep -c -F "$secret")" 0
	well_formed
}

@test "a flood is counted, and hurts nobody else" {
	local made counted
	audited deny
	new_queue posix
	chmod 640 "$Q"
	background_output refusals 6000
	# another user, meanwhile
	wait_until '[ "$(record uid=\"1234\")" -ge 100 ]'
	fails 'Permission denied' as_user 1235 cat "$Q/msg"
	! kernel_checks || REFUSED=1235 requests 1
	within 1000 cat "$Q/status" >/dev/null
	wait_until 'grep -q longest "$OUT"' 60
	recorded uid=\"1235\" verdict=\"deny\"
	recorded op=\"summary\" uid=\"1234\" reason=\"flood\"
	stop_mount
	made=$(record "op=\"$REFUSED_OP\"" uid=\"1234\")
	counted=$(sed -n 's/.*op="summary" uid="1234" suppressed="\([0-9]*\)".*/\1/p' "$AUDIT" | paste -sd+ | sum)
	echo "$made records, $counted counted"
	[ "$made" -ge 1000 ]
	equals "$((made + counted))" 6000
	well_formed
}

sum() {
	local terms
	read -r terms
	echo $((terms))
}

@test "a target that takes nothing holds nobody up, and what is lost is counted" {
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	audited deny "$BATS_TEST_TMPDIR/fifo"
	new_queue posix
	requests 990 # more than a pipe holds
	wait_until 'grep -q "audit: .*fifo.*records are lost" "$LOG"'
	equals "$(grep -c 'records are lost' "$LOG")" 1
	# now somebody reads again
	background_output cat "$BATS_TEST_TMPDIR/fifo"
	AUDIT=$OUT
	wait_until '[ "$(record "op=\"$REFUSED_OP\"")" -ge 50 ]'
	requests 5
	recorded op=\"summary\" uid=\"\" reason=\"target\"
	well_formed
	kill -KILL "$JOB"
	requests 1
	within 1500 stop_mount
}

@test "a daemon ends in time with all its records unwritten" {
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	audited deny "$BATS_TEST_TMPDIR/fifo"
	new_queue posix
	requests 990
	within 1500 stop_mount
	grep -q 'records were lost' "$LOG"
}

lost_by_target() {
	sed -n 's/^ipcfs_daemon_audit_lost_total{reason="target"} //p' "$MNT/metrics"
}

@test "a full disk: records are lost and counted, requests go on" {
	mkdir "$BATS_TEST_TMPDIR/small"
	cover "$BATS_TEST_TMPDIR/small" size=64k
	AUDIT=$BATS_TEST_TMPDIR/small/log
	audited deny
	new_queue posix
	requests 900
	wait_until 'grep -q "audit: .*No space left.*records are lost" "$LOG"'
	# Those that are still on their way would fill it once more.
	wait_until '[ $(($(wc -l <"$AUDIT") + $(lost_by_target))) -ge 900 ]'
	: >"$AUDIT" # now there is room
	requests 2
	recorded op=\"summary\" reason=\"target\"
	recorded "op=\"$REFUSED_OP\"" verdict=\"deny\"
	well_formed <(sed '1{/^time=/!d}' "$AUDIT")
	stop_mount
	start_mount -o audit=/dev/full
	requests 20
	wait_until 'grep -q "/dev/full: No space left on device" "$LOG"'
	stop_mount
	grep -q 'audit: /dev/full: 20 records were lost' "$LOG"
}

@test "a file that was renamed or removed is made again" {
	audited deny
	new_queue posix
	requests 3
	wait_until '[ "$(record "op=\"$REFUSED_OP\"")" = 3 ]'
	mv "$AUDIT" "$AUDIT.1"
	requests 2
	recorded "op=\"$REFUSED_OP\""
	wait_until '[ "$(record "op=\"$REFUSED_OP\"")" = 2 ]'
	equals "$(wc -l <"$AUDIT.1")" 3
	equals "$(stat -c %a "$AUDIT")" 600
	rm "$AUDIT"
	requests 1
	wait_until '[ -e "$AUDIT" ] && [ "$(record "op=\"$REFUSED_OP\"")" = 1 ]'
	# a link in its place is not followed
	rm "$AUDIT"
	ln -s "$BATS_TEST_TMPDIR/elsewhere" "$AUDIT"
	requests 1
	wait_until 'grep -q "audit: .*records are lost" "$LOG"'
	[ ! -e "$BATS_TEST_TMPDIR/elsewhere" ]
	rm "$AUDIT"
	requests 1
	recorded op=\"summary\" suppressed=\"1\" reason=\"target\"
	well_formed
}

@test "a file is added to, also from below the mount point" {
	echo first >"$AUDIT"
	audited deny
	new_queue posix
	requests 1
	recorded "op=\"$REFUSED_OP\""
	equals "$(head -n 1 "$AUDIT")" first
	stop_mount
	start_mount -o audit="$MNT/log"
	requests 1
	requests 1
	stop_mount
	AUDIT=$MNT/log
	equals "$(record "op=\"$REFUSED_OP\"")" 2
	rm "$MNT/log"
}

@test "a target that is impossible is an error at the start" {
	fails 'syslog, journal, audit or' ipcfs -f -o audit=log "$MNT"
	equals "$status" 1
	fails 'deny, change or all' ipcfs -f -o audit="$AUDIT",audit_level=some "$MNT"
	equals "$status" 1
	fails 'needs audit=' ipcfs -f -o audit_level=all "$MNT"
	equals "$status" 1
	ln -s "$BATS_TEST_TMPDIR/elsewhere" "$AUDIT"
	fails "audit: $AUDIT: " ipcfs -f -o audit="$AUDIT" "$MNT"
	equals "$status" 2
	fails "audit: $BATS_TEST_TMPDIR/bin: " ipcfs -f -o audit="$BATS_TEST_TMPDIR/bin" "$MNT"
	fails "audit: /nowhere/log: No such file" ipcfs -f -o audit=/nowhere/log "$MNT"
	equals "$(wc -l <<<"$output")" 1
	# No other error is made up for a mount of another namespace.
	fails "audit: /nowhere/log: No such file" ipcfs -f -o audit=/nowhere/log,target=$$ "$MNT"
	[[ $output != *'main thread'* ]]
	[ ! -e "$BATS_TEST_TMPDIR/elsewhere" ]
	equals "$(mountpoint "$MNT")" "$MNT is not a mountpoint"
}

# listen SOCKET: writes the datagrams that arrive there to $AUDIT, a line each.
listen() {
	rm -f "$1"
	background socat -u "UNIX-RECVFROM:$1,mode=666,fork" "SYSTEM:cat; echo" >>"$AUDIT"
	wait_until "[ -S '$1' ]"
}

@test "syslog: records as of any program, also after syslog was started again" {
	local device pid
	mkdir "$BATS_TEST_TMPDIR/dev"
	cover "$BATS_TEST_TMPDIR/dev" dev
	for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 fuse:10:229; do
		IFS=: read -r device major minor <<<"$device"
		make_device "$BATS_TEST_TMPDIR/dev/$device" "$major" "$minor" "/dev/$device"
	done
	mkdir "$BATS_TEST_TMPDIR/dev/shm"
	ln -s /proc/self/fd "$BATS_TEST_TMPDIR/dev/fd"
	mount --bind /dev/shm "$BATS_TEST_TMPDIR/dev/shm"
	mount --rbind "$BATS_TEST_TMPDIR/dev" /dev
	: >"$AUDIT"
	audited deny syslog
	new_queue posix
	requests 1 # nobody listens yet
	wait_until 'grep -q "audit: syslog: .*records are lost" "$LOG"'
	listen /dev/log
	requests 1
	recorded 'ipcfs[' "op=\"$REFUSED_OP\"" verdict=\"deny\"
	recorded op=\"summary\" suppressed=\"1\"
	# (two that arrive at once may be in one line)
	grep -q -E '<85>[A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8} ipcfs\[[0-9]+\]: time="' "$AUDIT" # authpriv.notice
	kill -KILL "$JOB"
	wait "$JOB" || :
	: >"$AUDIT"
	listen /dev/log
	requests 1
	recorded 'ipcfs[' "op=\"$REFUSED_OP\"" verdict=\"deny\"
	# a listener that reads nothing
	pid=$JOB
	kill -STOP "$pid"
	requests 500
	within 1500 stop_mount
	kill -KILL "$pid"
}

@test "journal: its own protocol" {
	cover /run
	mkdir -p /run/systemd/journal
	: >"$AUDIT"
	audited change journal
	listen /run/systemd/journal/socket
	new_queue posix
	requests 1
	wait_until 'grep -q "^MESSAGE=time=.* op=\"$REFUSED_OP\" .*verdict=\"deny\".* detail=\"\"\$" "$AUDIT"'
	# Each datagram is written by a process of its own.
	wait_until 'grep -q "^MESSAGE=time=.* op=\"make\" .*verdict=\"allow\"" "$AUDIT"'
	wait_until '[ -z "$(tail -n 1 "$AUDIT")" ]' # the newline of the last value, and the one added here
	grep -q '^SYSLOG_IDENTIFIER=ipcfs$' "$AUDIT"
	grep -q '^PRIORITY=5$' "$AUDIT"
	grep -q '^PRIORITY=6$' "$AUDIT"
}

@test "audit: whether the kernel takes it or not, requests go on" {
	if ipcfs -f -o audit=audit /nowhere 2>&1 | grep -q 'built without libaudit'; then
		fails 'built without libaudit' ipcfs -f -o audit=audit "$MNT"
		return
	fi
	audited all audit
	new_queue posix
	requests 50
	echo x >"$Q/msg"
	equals "$(timeout 10 cat "$Q/msg")" x
	within 3000 stop_mount
	[ "$(grep -c 'audit: audit: .*records are lost' "$LOG")" -le 1 ]
}

# Prints how often the writing thread has slept.
switches() {
	local writer
	writer=$(grep -l '^Name:.ipcfs-audit$' "/proc/$DAEMON"/task/*/status)
	sed -n 's/^voluntary_ctxt_switches:\s*//p' "$writer"
}

@test "without decisions nothing wakes up" {
	local before
	audited deny
	new_queue posix
	requests 1500 # so a summary is due
	recorded op=\"summary\"
	meanwhile 1.5
	before=$(switches)
	[ "$before" -gt 0 ]
	meanwhile 1
	equals "$(switches)" "$before"
}

@test "a caller that is not let in is recorded, by the whitelist and by the rate" {
	start_mount -o "audit=$AUDIT,allow_uid=0:1235"
	new_queue posix
	chmod 666 "$Q"
	exec 9<"$Q/msg"
	refused ls "$Q"
	recorded 'op="enter"' 'uid="1234"' 'verdict="deny"' 'reason="whitelist" error="EACCES"'
	exec 9<&-
	stop_mount
	start_mount -o "audit=$AUDIT,rate=5"
	fails 'temporarily unavailable' as_user 1235 sh -c 'for i in 1 2 3 4 5 6 7 8 9; do stat "$Q/status" || exit; done'
	recorded 'op="enter"' 'uid="1235"' 'verdict="deny"' 'reason="rate" error="EAGAIN"'
	well_formed
}

@test "the ids of a user namespace count for its owner, and leave records for others" {
	local holder
	# A user namespace in another one cannot get so many ids.
	in_user_namespace && return
	audited deny
	new_queue posix
	chmod 600 "$Q"
	background as_user 1234 unshare --user sh -c 'until [ "$(id -u)" = 0 ]; do sleep 0.02; done; exec "$@"' sh \
		python3 -c '
import os, sys
for uid in range(1, 301):
    if os.fork() == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        for _ in range(50): # faster than records are made for, on a slow machine, too
            try:
                open(sys.argv[1])
            except PermissionError:
                pass
        os._exit(0)
    os.wait()' "$Q/msg"
	holder=$JOB
	wait_until '[ "$(readlink /proc/'"$holder"'/ns/user)" != "$(readlink /proc/self/ns/user)" ]'
	env printf '0 1234 1\n1 300001 65535\n' >"/proc/$holder/gid_map"
	env printf '0 1234 1\n1 300001 65535\n' >"/proc/$holder/uid_map"
	wait_until 'ended "$JOB"' 60
	for _ in {1..40}; do
		fails 'Permission denied' as_user 4321 cat "$Q/msg"
	done
	stop_mount
	equals "$(record verdict=\"deny\" uid=\"4321\" op=\"open\")" 40
	recorded op=\"summary\" uid=\"1234\" reason=\"flood\"
}
