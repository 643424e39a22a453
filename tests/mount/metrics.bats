# SPDX-License-Identifier: MIT
# The file `metrics`: numbers for Prometheus.
# shellcheck shell=bash disable=SC2016,SC2153,SC2154
load common

setup() {
	common_setup
	cp "$BATS_TEST_DIRNAME/metrics.py" "$PEERS/objtool" "$PEERS/semtool" "$BATS_TEST_TMPDIR/bin/"
	start_mount
}

# sample NAME [FILE]: prints the value of a sample, as it is now or as it was read into FILE.
sample() {
	awk -v "name=$1" '$1 == name { print $2 }' "${2:-$MNT/metrics}"
}

# read_metrics NAME: reads the file into $BATS_TEST_TMPDIR/NAME.
read_metrics() {
	cat "$MNT/metrics" >"$BATS_TEST_TMPDIR/$1"
}

# grown SAMPLE COMMAND...: prints by how much the sample grows while COMMAND runs, beyond what reading
# the file adds to it.
grown() {
	local name=$1 at=$BATS_TEST_TMPDIR
	shift
	read_metrics first
	read_metrics second
	"$@" >/dev/null || :
	read_metrics third
	awk -v "name=$name" 'FNR == 1 { file++ } $1 == name { was[file] = $2 }
		END { print was[3] - was[2] - (was[2] - was[1]) }' "$at/first" "$at/second" "$at/third"
}

# all MODE: an object of each class, and a second one of some.
all() {
	echo "posix/mq/jobs mode=$1 maxmsg=2
		posix/mq/more mode=$1
		posix/shm/seg mode=$1 size=5000
		posix/sem/lock mode=$1 value=3
		sysv/msg/0x51 mode=$1
		sysv/msg/private mode=$1 qbytes=10
		sysv/shm/0x52 mode=$1 size=5000
		sysv/shm/private mode=$1 size=100
		sysv/sem/0x53 mode=$1 values=3,4,5
		sysv/sem/private mode=$1" >"$MNT/create"
}

@test "the text format: families with help and type, each sample once, to the end of file" {
	equals "$(stat -c '%A %s' "$MNT/metrics")" '-r--r--r-- 0'
	all 0600
	metrics.py form >/dev/null <"$MNT/metrics"
	dd if="$MNT/metrics" bs=1 status=none | metrics.py form >/dev/null
	equals "$(curl -s "file://$MNT/metrics" | metrics.py form)" "$(metrics.py form <"$MNT/metrics")"
	equals "$(head -c 2 <"$MNT/metrics")" '# '
	equals "$(sample "ipcfs_build_info{version=\"$("$IPCFS" --version | sed -n 's/^ipcfs //p')\"}")" 1
	fails 'Operation not permitted' sh -c 'echo >"$MNT/metrics"'
	# Its text is of the moment of the read, and so is its time.
	wait_until "[ \$(stat -c %Y '$MNT/metrics') -gt $(stat -c %Y "$MNT/objects") ]"
}

@test "sums over the objects are what status and ipcs tell" {
	all 0600
	echo hello >"$MNT/posix/mq/jobs/lines"
	echo hello >"$MNT/posix/mq/jobs/lines"
	echo hello >"$MNT/posix/mq/more/lines"
	printf '0123456789' >"$(dirname "$(grep -l '^max_bytes=10$' "$MNT"/sysv/msg/*/status)")/packets"
	printf x | dd of="$MNT/sysv/shm/0x00000052/data" conv=notrunc status=none
	printf x | dd of="$MNT/posix/shm/seg/data" conv=notrunc status=none
	metrics.py sums "$MNT"
	equals "$(sample 'ipcfs_queues_full{class="posix/mq"}')" 1
	equals "$(sample 'ipcfs_queues_full{class="sysv/msg"}')" 1
	equals "$(sample 'ipcfs_queue_bytes{class="posix/mq"}')" 15
	equals "$(sample 'ipcfs_leases{class="posix/mq"}')" 0
	exec 9<>"$MNT/posix/mq/more/lease"
	equals "$(cat <&9)" hello
	equals "$(sample 'ipcfs_leases{class="posix/mq"}')" 1
	equals "$(sample 'ipcfs_queue_bytes{class="posix/mq"}')" 10
	exec 9>&-
	wait_until '[ "$(sample "ipcfs_leases{class=\"posix/mq\"}")" = 0 ]'
	equals "$(sample 'ipcfs_semaphores{class="sysv/sem"}')" 4
	equals "$(sample 'ipcfs_objects{class="sysv/msg"}')" "$(ipcs -q | grep -c ^0x)"
	equals "$(sample 'ipcfs_objects_limit{class="sysv/sem"}')" "$(ipcs -ls | awk '/max number of arrays/ { print $NF }')"
	equals "$(sample 'ipcfs_objects_limit{class="sysv/msg"}')" "$(cat /proc/sys/kernel/msgmni)"
	# The maker is no process any more.
	equals "$(sample 'ipcfs_segments_stale{class="sysv/shm"}')" "$(cat "$MNT"/sysv/shm/*/status | grep -c '^stale=yes$')"
	python3 -c 'import ctypes; ctypes.CDLL(None).shmget(0x54, 100, 0o1600)'
	equals "$(sample 'ipcfs_segments_stale{class="sysv/shm"}')" "$(cat "$MNT"/sysv/shm/*/status | grep -c '^stale=yes$')"
	background python3 -c 'import ctypes, time
libc = ctypes.CDLL(None)
libc.shmat(libc.shmget(0x52, 0, 0), None, 0)
time.sleep(1000)'
	wait_until 'grep -q "^nattch=1$" "$MNT/sysv/shm/0x00000052/status"'
	ipcrm -M 0x52
	equals "$(sample 'ipcfs_segments_removed{class="sysv/shm"}')" 1
	metrics.py sums "$MNT"
}

@test "holds and waiting callers are those that status tells" {
	all 0600
	background sh -c 'exec 7>"$MNT/posix/sem/lock/hold" 8>"$MNT/sysv/sem/0x00000053/1/hold" 9>"$MNT/sysv/sem/0x00000053/1/hold"
		exec cat "$MNT/posix/mq/jobs/msg"'
	background sh -c 'echo >"$MNT/sysv/sem/0x00000053/0/zero"'
	wait_parked 2
	read_metrics now
	equals "$(sample 'ipcfs_semaphore_holds{class="posix/sem"}' "$BATS_TEST_TMPDIR/now")" 1
	equals "$(sample 'ipcfs_semaphore_holds{class="sysv/sem"}' "$BATS_TEST_TMPDIR/now")" 2
	equals "$(sample 'ipcfs_waiting_requests{class="posix/mq",for="receive"}' "$BATS_TEST_TMPDIR/now")" 1
	equals "$(sample 'ipcfs_waiting_requests{class="posix/mq",for="send"}' "$BATS_TEST_TMPDIR/now")" 0
	equals "$(sample 'ipcfs_waiting_requests{class="sysv/sem",for="zero"}' "$BATS_TEST_TMPDIR/now")" 1
	equals "$(sample ipcfs_daemon_waiting_requests "$BATS_TEST_TMPDIR/now")" 2
	equals "$(sample ipcfs_daemon_waiting_requests_limit "$BATS_TEST_TMPDIR/now")" 8192
	equals "$(grep -c '^ipcfs_waiting_requests.* [1-9]' "$BATS_TEST_TMPDIR/now")" 2
	metrics.py sums "$MNT"
	kill "${JOBS[@]}"
	given_back() { equals "$(sample 'ipcfs_semaphore_holds{class="sysv/sem"}')" 0; }
	wait_until given_back
	wait_until '[ "$(sample ipcfs_daemon_waiting_requests)" = 0 ]'
}

@test "messages are counted once each" {
	local class
	new_queue posix
	for class in posix/mq sysv/msg; do
		[ "$class" = posix/mq ] || { rmdir "$Q"; new_queue sysv; }
		equals "$(grown "ipcfs_messages_sent_total{class=\"$class\"}" sh -c 'printf "a\nb\nc\n" >"$Q/lines"; echo d >"$Q/msg"')" 4
		equals "$(grown "ipcfs_messages_received_total{class=\"$class\"}" sh -c 'cat "$Q/msg" "$Q/msg" >/dev/null')" 2
		equals "$(grown "ipcfs_messages_received_total{class=\"$class\"}" cat "$Q/drain")" 2
		# Messages of direct callers are not the mount's.
		equals "$(grown "ipcfs_messages_sent_total{class=\"$class\"}" mqtool "$KIND" "$NAME" send 1 direct)" 0
		equals "$(sample "ipcfs_queue_messages{class=\"$class\"}")" 1
		equals "$(sample "ipcfs_messages_returned_total{class=\"$class\"}")" 0
	done
	# A type for which `records` has no room goes back to the queue.
	cat "$Q/drain"
	mqtool sysv "$NAME" send 5000000000 large
	equals "$(grown 'ipcfs_messages_returned_total{class="sysv/msg"}' dd if="$Q/records" bs=4096 count=1 status=none)" 1
	equals "$(messages) $(sed -n 's/^returned=//p' "$Q/status")" '1 1'
	equals "$(sample 'ipcfs_messages_sent_total{class="sysv/msg"}')" 4
	equals "$(sample 'ipcfs_messages_received_total{class="sysv/msg"}')" 6
}

@test "an empty message that a waiting reader gets is counted as received" {
	new_queue sysv
	background sh -c 'cat "$Q/msg" >/dev/null'
	wait_parked 1
	mqtool sysv "$NAME" send 1 ''
	wait_until 'ended "$JOB"'
	equals "$(sample 'ipcfs_messages_received_total{class="sysv/msg"}')" 1
	equals "$(sample 'ipcfs_messages_returned_total{class="sysv/msg"}')" 0
}

@test "requests, errors and refusals are counted once each" {
	all 0600
	equals "$(grown 'ipcfs_daemon_requests_total{op="mkdir"}' mkdir "$MNT/posix/mq/one")" 1
	equals "$(grown 'ipcfs_daemon_requests_total{op="rmdir"}' rmdir "$MNT/posix/mq/one")" 1
	equals "$(grown 'ipcfs_daemon_requests_total{op="write"}' sh -c 'echo >"$MNT/posix/mq/jobs/lines"')" 1
	equals "$(grown 'ipcfs_daemon_requests_total{op="statfs"}' stat -f "$MNT")" 1
	equals "$(sample 'ipcfs_daemon_requests_total{op="init"}')" 1
	not grep ESTALE "$MNT/metrics"
	equals "$(grown 'ipcfs_daemon_errors_total{errno="ENOENT"}' stat "$MNT/posix/mq/none")" 1
	equals "$(grown 'ipcfs_daemon_denied_total{reason="other"}' metrics.py refusals "$MNT/posix/mq/jobs" "$PEER" 2)" 2
	equals "$(grown 'ipcfs_daemon_errors_total{errno="EACCES"}' metrics.py refusals "$MNT/posix/mq/jobs" "$PEER" 3)" 3
	# In a mount of a user namespace the kernel refuses this by itself.
	kernel_checks ||
		equals "$(grown 'ipcfs_daemon_denied_total{reason="kernel"}' as_user "$PEER" chmod 666 "$MNT/posix/mq/jobs")" 1
	equals "$(grown 'ipcfs_daemon_errors_total{errno="EPERM"}' sh -c 'echo >"$MNT/posix/mq/jobs/status"')" 1
	equals "$(sample 'ipcfs_daemon_denied_total{reason="whitelist"}')" 0
}

@test "the daemon's own numbers" {
	local pages
	exec 9<"$MNT/limits"
	equals "$(sample ipcfs_daemon_open_files)" 2
	exec 9<&-
	wait_until '[ "$(sample ipcfs_daemon_open_files)" = 1 ]'
	equals "$(sample ipcfs_daemon_namespaces)" 1
	equals "$(sample ipcfs_daemon_start_time_seconds | cut -d . -f 1)" "$(stat -c %X "$MNT")"
	read -r _ pages _ <"/proc/$DAEMON/statm"
	# Within a factor of two: it may change meanwhile.
	awk -v "told=$(sample ipcfs_daemon_resident_memory_bytes)" -v "is=$((pages * $(getconf PAGESIZE)))" \
		'BEGIN { exit !(told > is / 2 && told < is * 2) }'
	cpu() { sample ipcfs_daemon_cpu_seconds_total; }
	equals "$(grep -c '^ipcfs_daemon_cpu_seconds_total [0-9]*\.[0-9][0-9][0-9]$' "$MNT/metrics")" 1
	before=$(cpu)
	more() { ls -R "$MNT" >/dev/null; awk -v "a=$before" -v "b=$(cpu)" 'BEGIN { exit !(b > a) }'; }
	wait_until more
}

@test "refusals are as many as the audit records, and records that are lost are counted" {
	stop_mount
	start_mount -o "audit=$BATS_TEST_TMPDIR/records"
	all 0600
	metrics.py refusals "$MNT/posix/mq/jobs" "$PEER" 3
	denied() { grep -c 'verdict="deny"' "$BATS_TEST_TMPDIR/records"; }
	wait_until '[ "$(denied)" -ge 3 ]'
	equals "$(awk '/^ipcfs_daemon_denied_total/ { n += $2 } END { print n }' "$MNT/metrics")" "$(denied)"
	equals "$(awk '/^ipcfs_daemon_audit_lost_total/ { n += $2 } END { print n }' "$MNT/metrics")" 0
	metrics.py refusals "$MNT/posix/mq/jobs" "$PEER" 1500
	summed() { sed -n 's/.*suppressed="\([0-9]*\)" reason="flood".*/\1/p' "$BATS_TEST_TMPDIR/records" | awk '{ n += $1 } END { print n + 0 }'; }
	complete() { [ $(($(denied) + $(summed))) = 1503 ]; }
	wait_until complete
	equals "$(sample 'ipcfs_daemon_audit_lost_total{reason="flood"}')" "$(summed)"
}

# as_opener UID PATH: root reads what that user has opened.
as_opener() {
	python3 -c '
import os, socket, sys
ours, theirs = socket.socketpair()
if os.fork() == 0:
    os.setgroups([])
    os.setresgid(*[int(sys.argv[2])] * 3)
    os.setresuid(*[int(sys.argv[2])] * 3)
    socket.send_fds(theirs, [b"x"], [os.open(sys.argv[1], os.O_RDONLY)])
    os._exit(0)
file = socket.recv_fds(ours, 1, 1)[1][0]
os.wait()
while text := os.read(file, 1 << 16):
    os.write(1, text)' "$MNT/metrics" "$1" >"$2"
}

@test "of POSIX queues and semaphores the opener's sums have those that it may read" {
	local peer=$BATS_TEST_TMPDIR/peer
	all 0600
	echo hello >"$MNT/posix/mq/jobs/msg"
	echo hello >"$MNT/sysv/msg/0x00000051/msg"
	as_user "$PEER" cat "$MNT/metrics" >"$peer"
	equals "$(sample 'ipcfs_objects{class="posix/mq"}' "$peer")" 2
	equals "$(sample 'ipcfs_objects_withheld{class="posix/mq"}' "$peer")" 2
	equals "$(sample 'ipcfs_objects_withheld{class="posix/sem"}' "$peer")" 1
	equals "$(sample 'ipcfs_queue_messages{class="posix/mq"}' "$peer")" 0
	equals "$(sample 'ipcfs_queue_messages{class="sysv/msg"}' "$peer")" 1
	equals "$(sample 'ipcfs_segment_bytes{class="posix/shm"}' "$peer")" 5000
	setfacl -m "u:$PEER:r" "$MNT/posix/mq/jobs"
	as_user "$PEER" cat "$MNT/metrics" >"$peer"
	equals "$(sample 'ipcfs_objects_withheld{class="posix/mq"}' "$peer")" 1
	equals "$(sample 'ipcfs_queue_messages{class="posix/mq"}' "$peer")" 1
	setfacl -b "$MNT/posix/mq/jobs"
	as_opener "$PEER" "$peer"
	equals "$(sample 'ipcfs_queue_messages{class="posix/mq"}' "$peer")" 0
	equals "$(sample 'ipcfs_queue_messages{class="posix/mq"}')" 1
	equals "$(sample 'ipcfs_objects_withheld{class="posix/mq"}')" 0
}

@test "hide: only what the opener may see, and no totals of what it may not" {
	local peer=$BATS_TEST_TMPDIR/peer
	stop_mount
	start_mount -o hide
	all 0600
	as_user "$PEER" mkdir "$MNT/posix/mq/own" "$MNT/sysv/sem/0x61"
	echo hello >"$MNT/posix/mq/jobs/msg"
	as_user "$PEER" cat "$MNT/metrics" >"$peer"
	metrics.py form >/dev/null <"$peer"
	equals "$(grep '^ipcfs_objects{' "$peer" | cut -d ' ' -f 2 | xargs)" '1 0 0 0 0 1'
	not grep -E 'total|daemon_(requests|errors|denied|audit|open|namespaces)|sysv/shm"} [^0]' <(grep -v cpu_seconds "$peer" | grep -v _limit)
	equals "$(sample 'ipcfs_objects{class="posix/mq"}')" 3
	equals "$(sample 'ipcfs_messages_sent_total{class="posix/mq"}')" 1
	equals "$(sample 'ipcfs_daemon_requests_total{op="init"}')" 1
}

@test "reading changes nothing, and attaches nothing" {
	local before
	all 0644
	echo hello >"$MNT/sysv/msg/0x00000051/msg"
	state() {
		cat /proc/sysvipc/*
		stat -c '%n %x %y %z' "$MNT"/posix/*/* /dev/shm/*
		find "/proc/$DAEMON/fd" -printf '%l\n' | sort
	}
	before=$(state)
	cat "$MNT/metrics" "$MNT/metrics" >/dev/null
	equals "$(state)" "$before"
}

@test "10,000 objects are counted in slices, and soon" {
	printf '%10000s' '' | sed 's, ,sysv/sem/private\n,g' | dd of="$MNT/create" bs=1M iflag=fullblock status=none
	within 5000 cp "$MNT/metrics" "$BATS_TEST_TMPDIR/copy"
	metrics.py form >/dev/null <"$BATS_TEST_TMPDIR/copy"
	equals "$(sample 'ipcfs_objects{class="sysv/sem"}' "$BATS_TEST_TMPDIR/copy")" 10000
	equals "$(sample 'ipcfs_semaphores{class="sysv/sem"}')" 10000
	# Objects that go between two slices are no error.
	exec 9<"$MNT/metrics"
	dd bs=64K count=1 status=none <&9 >"$BATS_TEST_TMPDIR/copy"
	ipcrm --all=sem
	cat <&9 >>"$BATS_TEST_TMPDIR/copy"
	exec 9<&-
	metrics.py form >/dev/null <"$BATS_TEST_TMPDIR/copy"
	equals "$(sample 'ipcfs_objects{class="sysv/sem"}')" 0
}

@test "a limit of bytes: what a reader keeps is counted for it" {
	stop_mount
	start_mount -o max_bytes=8K
	fails 'Cannot allocate memory' cat "$MNT/metrics"
	stop_mount
	start_mount -o max_bytes=64K
	silent sh -c 'cat "$MNT/metrics" >/dev/null'
}
