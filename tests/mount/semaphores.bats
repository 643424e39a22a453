# SPDX-License-Identifier: MIT
# Semaphores: values, waits and posts, sets, status, and direct calls.
# shellcheck shell=bash disable=SC2154,SC2016,SC2119,SC2120
load common
load semaphore

@test "mkdir makes a lock, and shells wait, try and post" {
	mkdir "$MNT/posix/sem/a" "$MNT/sysv/sem/0x51"
	equals "$(cat "$MNT/posix/sem/a/value" "$MNT/sysv/sem/0x51/0/value")" $'1\n1'
	equals "$(stat -c '%a %s' "$MNT/posix/sem/a" "$MNT/sysv/sem/0x00000051")" $'711 1\n711 1'
	equals "$(ls "$MNT/posix/sem/a")" $'hold\nmonitor\npost\nstatus\ntryhold\ntrywait\nusers\nvalue\nwait\nwithin'
	equals "$(ls "$MNT/sysv/sem/0x51")" $'0\nop\nstatus\nusers\nvalues\nwithin'
	equals "$(ls "$MNT/sysv/sem/0x51/0")" $'hold\nmonitor\npost\ntryhold\ntrywait\nvalue\nwait\nwithin\nzero'
	rmdir "$MNT/posix/sem/a" "$MNT/sysv/sem/0x00000051"
	everywhere_from 1 $'0\nbusy\n1\n4\n2\n0\n7' '
		echo > "$S/wait"; value
		if echo 2>/dev/null > "$S/trywait"; then echo free; else echo busy; fi
		echo > "$S/post"; value
		echo 3 > "$S/post"; value
		printf 2 > "$S/wait"; value
		printf "\n\n" > "$S/trywait"; value
		echo 7 > "$S/value"; value'
}

@test "reading only looks" {
	everywhere_from 3 3 'for f in "$S"/*; do case $f in */status | */users | */zero | */within) ;; *)
		[ "$(cat "$f")" = 3 ] || echo "$f: $(cat "$f")" ;; esac; done; value'
	everywhere_from 2 2 'tar -cf - "$O" 2>/dev/null >/dev/null; grep -r nothing "$O"; value'
}

waiters_are_woken() {
	echo 0 >"$S/value"
	background sh -c 'echo >"$S/wait"'
	wait_parked 1
	equals "$(state waiters)" 1
	equals "$(state waiter_1_pid) $(state waiter_1_uid) $(state waiter_1_for)" "$JOB 0 wait"
	direct_post
	within 3000 wait_until 'ended $JOB'
	equals "$(direct_value)" 0
	background direct_wait
	wait_until '[ "$(state waiting)$(state waiting_inc_0)" = 1 ]'
	echo >"$S/post"
	within 3000 wait_until 'ended $JOB'
	equals "$(direct_value)" 0
	equals "$(state waiters)" 0
	# for several at once
	background sh -c 'echo 3 >"$S/wait"'
	wait_parked 1
	direct_post
	direct_post
	meanwhile 0.2
	equals "$(direct_value)" 2
	direct_post
	within 3000 wait_until 'ended $JOB'
	equals "$(direct_value)" 0
}

@test "waiting callers are woken by direct calls, and wake direct callers" {
	each_semaphore waiters_are_woken
}

many_wait() {
	local i jobs=()
	echo 0 >"$S/value"
	for i in {1..20}; do
		background sh -c 'echo >"$S/wait"'
		jobs+=("$JOB")
	done
	wait_until '[ "$(state waiters)" = 20 ]'
	# The semaphore of POSIX itself counts them, for direct callers.
	[ "$KIND" = sysv ] || wait_until '[ "$(state waiting)" = 20 ]'
	echo 20 >"$S/post"
	for i in "${jobs[@]}"; do
		within 2000 wait_until "ended $i"
		wait "$i"
	done
	equals "$(direct_value)" 0
	[ "$KIND" = sysv ] || equals "$(state waiting)" 0
}

@test "all waiting callers are woken" {
	each_semaphore many_wait
}

interrupted() {
	local signal
	echo 0 >"$S/value"
	for signal in INT TERM KILL HUP; do
		background env --default-signal=INT bash -c 'echo >"$S/wait"'
		wait_parked 1
		kill -"$signal" "$JOB"
		within 3000 wait_until 'ended $JOB'
	done
	background timeout 0.3 bash -c 'echo >"$S/wait"'
	within 3000 wait_until 'ended $JOB'
	equals "$(state waiters)" 0
	[ "$KIND" = sysv ] || equals "$(state waiting)" 0
	echo >"$S/post"
	equals "$(direct_value)" 1
	# a child's exit does not end the wait
	echo 0 >"$S/value"
	background bash -c 'sleep 0.3 & echo >"$S/wait"; exit 7'
	wait_parked 1
	meanwhile 0.6
	parked >/dev/null
	running "$JOB"
	echo >"$S/post"
	within 3000 wait_until 'ended $JOB'
	equals "$(direct_value)" 0
}

@test "a waiting caller dies of a signal at once and takes nothing" {
	each_semaphore interrupted
}

removed() {
	echo 0 >"$S/value"
	background_output bash -c "$1"
	wait_parked 1
	if [ "$2" = direct ]; then
		semtool "$KIND" "$NAME" remove
	else
		rmdir "$O"
	fi
	within 3000 wait_until 'ended $JOB'
	grep -q 'Identifier removed' "$OUT"
}

@test "removal ends every wait with EIDRM" {
	each_semaphore removed 'echo >"$S/wait"' mount
	each_semaphore removed 'echo >"$S/wait"' direct
	each_semaphore removed 'echo 3 >"$S/wait"' mount
	each_semaphore removed ': >"$S/hold"' mount
	each_semaphore removed ': >"$S/hold"' direct
}

@test "an open file of a removed semaphore is EIDRM, even when another has the name" {
	local kind
	for kind in posix sysv; do
		new_semaphore "$kind"
		exec 8>"$S/post" 7<"$S/value"
		rmdir "$O"
		mkdir "$O"
		fails 'Identifier removed' bash -c 'echo >&8'
		fails 'Identifier removed' cat <&7
		exec 8>&- 7<&-
		equals "$(direct_value)" 1
	done
}

@test "a waiting request blocks no other caller" {
	local kind
	for kind in posix sysv; do
		new_semaphore "$kind" 0
		background sh -c 'echo >"$S/wait"'
		wait_parked 1
		within 3000 fails 'Resource temporarily unavailable' bash -c 'echo >"$S/trywait"'
		within 3000 chmod 640 "$O"
		within 3000 touch -c "$O/status"
		within 3000 timeout 5 chmod 600 "$S/wait"
		within 3000 sh -c 'timeout 0.3 sh -c "echo >\"\$S/wait\""; [ $? = 124 ]'
		within 3000 sh -c 'echo >"$S/post"'
		within 3000 wait_until 'ended $JOB'
	done
}

@test "unmounting ends every wait" {
	new_semaphore posix 0
	background sh -c 'echo >"$S/wait"'
	new_semaphore sysv 0
	background sh -c 'echo >"$S/wait"'
	background sh -c ': >"$S/hold"'
	wait_parked 3
	within 1500 stop_mount
}

@test "limits on waiters count waits and holds" {
	stop_mount
	start_mount -o max_waiters=3
	new_semaphore sysv 0
	background sh -c 'echo >"$S/wait"'
	background sh -c ': >"$S/hold"'
	background sh -c 'echo 0:-1 >"$O/op"'
	wait_until '[ "$(state waiters)" = 3 ]'
	fails 'Resource temporarily unavailable' bash -c 'echo >"$S/wait"'
	fails 'Resource temporarily unavailable' bash -c ': >"$S/hold"'
}

@test "the operations of callers that wait count for max_bytes" {
	stop_mount
	start_mount -o max_bytes=64K
	new_semaphore sysv 0 1234
	# 16 open files and waiters take half of it, and as many operations twice of it.
	background_output as_user 1234 python3 -c '
import errno, os, threading
def wait():
    try:
        os.write(os.open(os.environ["O"] + "/op", os.O_WRONLY), b"0:-1 " * 500)
    except OSError as error:
        print(errno.errorcode[error.errno], flush=True)
threads = [threading.Thread(target=wait, daemon=True) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()'
	wait_until 'grep -q ENOMEM "$OUT"'
	not grep -qv ENOMEM "$OUT"
}

@test "errors are those of the direct calls, and nothing is changed" {
	new_semaphore posix 5
	fails 'Invalid argument' bash -c 'echo x >"$S/post"'
	fails 'Numerical result out of range' bash -c 'echo 0 >"$S/post"'
	fails 'Invalid argument' bash -c 'echo -1 >"$S/post"'
	fails 'Invalid argument' bash -c 'echo 1K >"$S/post"'
	fails 'Numerical result out of range' bash -c 'echo 2147483647 >"$S/post"'
	fails 'Numerical result out of range' bash -c 'echo 2147483648 >"$S/value"'
	fails 'Invalid argument' bash -c 'printf "1 2" >"$S/value"'
	equals "$(direct_value)" 5
	new_semaphore sysv 5
	fails 'Numerical result out of range' bash -c 'echo 32763 >"$S/post"'
	fails 'Numerical result out of range' bash -c 'echo 32768 >"$S/value"'
	equals "$(direct_value)" 5
	fails 'Operation not permitted' bash -c 'echo >"$O/status"'
	fails 'Operation not permitted' touch "$S/more"
	fails 'No such file' cat "$O/1/value"
	fails 'No such file' cat "$O/00/value"
}

@test "waiting for zero takes read permission only" {
	new_semaphore sysv 2
	background sh -c 'echo >"$S/zero"'
	wait_parked 1
	equals "$(semtool sysv "$NAME" zcnt 0)" 1
	equals "$(state waiting_zero_0)" 1
	echo 2 >"$S/wait"
	within 3000 wait_until 'ended $JOB'
	chmod 644 "$O"
	if kernel_checks; then
		fails 'Permission denied' as_user "$PEER" bash -c 'echo >"$S/zero"'
		return
	fi
	as_user "$PEER" sh -c 'echo >"$S/zero"'
	fails 'Permission denied' as_user "$PEER" bash -c 'echo >"$S/post"'
	as_user "$PEER" dash -c 'echo 0:0 >"$O/op"'
	fails 'Permission denied' as_user "$PEER" bash -c 'echo 0:1 >"$O/op"'
}

@test "op is one semop: all or nothing" {
	new_semaphore sysv 1,2,0
	echo '0:-1 2:+1 1:-2' >"$O/op"
	equals "$(semtool sysv "$NAME" all)" '0 0 1'
	background sh -c 'echo "2:-1 0:-1" >"$O/op"'
	wait_parked 1
	equals "$(cat "$O/values")" '0 0 1'
	echo '0:1' >"$O/op"
	within 3000 wait_until 'ended $JOB'
	equals "$(cat "$O/values")" '0 0 0'
	fails 'Numerical result out of range' bash -c 'echo "0:1 1:32767 1:1" >"$O/op"'
	fails 'File too large' bash -c 'echo "0:1 3:1" >"$O/op"'
	fails 'File too large' bash -c 'echo "0:1 99999999999:1" >"$O/op"'
	fails 'Numerical result out of range' bash -c 'echo "0:1 1:99999" >"$O/op"'
	fails 'Argument list too long' bash -c 'echo $(yes 0:1 | head -n 501) >"$O/op"'
	local bad
	for bad in '' 0 0: :1 '0:1 x' '0:--1' '0:1,1:1' '0:+-1' '0:1u'; do
		BAD=$bad fails 'Invalid argument' bash -c 'printf "%s\n" "$BAD" >"$O/op"'
	done
	fails 'Invalid argument' dd bs=100 of="$O/op" <<<$'0:1\n1:1'
	equals "$(cat "$O/values")" '0 0 0'
	background timeout 0.3 bash -c 'echo "0:1 1:-1" >"$O/op"'
	wait_until 'ended $JOB'
	equals "$(cat "$O/values")" '0 0 0'
}

@test "values are read and set together" {
	new_semaphore sysv 1,2,3
	equals "$(cat "$O/values")" '1 2 3'
	echo 4 5 6 >"$O/values"
	equals "$(semtool sysv "$NAME" all)" '4 5 6'
	printf '7,8,9' >"$O/values"
	equals "$(semtool sysv "$NAME" all)" '7 8 9'
	{ printf '1 '; printf '2 '; printf '3\n'; } >"$O/values"
	equals "$(semtool sysv "$NAME" all)" '1 2 3'
	fails 'Invalid argument' bash -c 'echo 1 2 >"$O/values"'
	fails 'Invalid argument' bash -c 'echo 1 2 3 4 >"$O/values"'
	fails 'Numerical result out of range' bash -c 'echo 1 2 32768 >"$O/values"'
	equals "$(cat "$O/values")" '1 2 3'
	# A line that gets too long is dropped, and the next one counts.
	python3 -c '
import errno, os
file = os.open(os.environ["O"] + "/values", os.O_WRONLY)
assert os.write(file, b"1 " * (1 << 19)) == 1 << 20
try:
    os.write(file, b"1")
    raise SystemExit("not too long")
except OSError as error:
    assert error.errno == errno.EINVAL, error
os.write(file, b"4 5 6\n")'
	equals "$(cat "$O/values")" '4 5 6'
}

@test "sets as large as the system allows" {
	local values
	values=$(seq -s , 32000)
	# in one write
	echo "sysv/sem/0x77 values=$values" | dd of="$MNT/create" bs=1M iflag=fullblock status=none
	equals "$(ls -U "$MNT/sysv/sem/0x77" | wc -l)" 32005
	equals "$(cat "$MNT/sysv/sem/0x77/31999/value")" 32000
	fails 'No such file' ls "$MNT/sysv/sem/0x77/32000"
	echo >"$MNT/sysv/sem/0x77/31999/wait"
	{ echo >/dev/null; } 9>"$MNT/sysv/sem/0x77/31998/hold"
	equals "$(wc -w <"$MNT/sysv/sem/0x77/values")" 32000
	# bash writes such a line in many pieces
	seq -s ' ' 32000 -1 1 >"$BATS_TEST_TMPDIR/all"
	bash -c 'echo $(cat "$1")' - "$BATS_TEST_TMPDIR/all" >"$MNT/sysv/sem/0x77/values"
	equals "$(semtool sysv 0x77 get 0) $(semtool sysv 0x77 get 31999)" '32000 1'
	equals "$(grep -c ^value_ "$MNT/sysv/sem/0x77/status")" 32000
	within 5000 ls -U "$MNT/sysv/sem/0x77" >/dev/null
	echo "sysv/sem/0x78 values=$values,1" >"$BATS_TEST_TMPDIR/all"
	fails 'Numerical result out of range' dd if="$BATS_TEST_TMPDIR/all" of="$MNT/create" bs=1M
	rmdir "$MNT/sysv/sem/0x00000077"
}

@test "stale of a set is no while somebody waits, or the process that changed it last lives" {
	semtool sysv 0x51 make 2
	O=$MNT/sysv/sem/0x00000051
	equals "$(grep ^stale= "$O/status")" stale=unknown
	semtool sysv 0x51 set 1 3
	equals "$(grep ^stale= "$O/status")" stale=unknown
	background semtool sysv 0x51 op 0:-1
	wait_until '[ "$(grep ^stale= "$O/status")" = stale=no ]'
	equals "$(as_user 4321 grep ^stale= "$O/status")" stale=no
	kill "$JOB"
	wait_until '[ "$(grep ^stale= "$O/status")" = stale=unknown ]'
	background /usr/bin/python3 -c '
import ctypes, time
libc = ctypes.CDLL(None)
libc.semctl(libc.semget(0x51, 0, 0), 1, 16, 5) # SETVAL
time.sleep(1000)'
	wait_until '[ "$(grep ^stale= "$O/status")" = stale=no ]'
	kill "$JOB"
	wait_until '[ "$(grep ^stale= "$O/status")" = stale=unknown ]'
	# The daemon, which acts for others, is nobody.
	echo 1 >"$O/0/value"
	equals "$(grep ^stale= "$O/status")" stale=unknown
}

@test "status is ipcs's, quoted for the shell" {
	new_semaphore sysv 3,0 1234
	echo '0:-1 1:+1' >"$O/op"
	local line id
	id=$(. "$O/status"; echo "$id")
	equals "$(. "$O/status"; echo "$class $key $uid $cuid $mode $nsems $value_0 $value_1 $stale")" \
		"sysv/sem $NAME 1234 1234 0600 2 2 1 unknown"
	line=$(ipcs -s -i "$id")
	equals "$(state last_pid_0)" "$(awk '$1 == "0" { print $5 }' <<<"$line")"
	equals "$(date -d "@$(state op_time)" '+%F %T')" \
		"$(date -d "$(sed -n 's/^otime = //p' <<<"$line")" '+%F %T')"
	equals "$(date -d "@$(state change_time)" '+%F %T')" \
		"$(date -d "$(sed -n 's/^ctime = //p' <<<"$line")" '+%F %T')"
	# values are for callers that may read, the rest is for all
	equals "$(stat -c %s "$O/status")" "$(cat "$O/status" | wc -c)"
	equals "$(as_user 4321 stat -c %s "$O/status")" "$(as_user 4321 cat "$O/status" | wc -c)"
	as_user 4321 grep -q '^nsems=2$' "$O/status"
	run as_user 4321 grep value_ "$O/status"
	equals "$status $output" '1 '
	mkdir "$MNT/posix/sem/it's"
	equals "$(. "$MNT/posix/sem/it's/status"; echo "$name $value $waiting $holders")" "it's 1 0 0"
}

@test "create sets the first values" {
	echo 'posix/sem/zero values=0 mode=0640' >"$MNT/create"
	equals "$(cat "$MNT/posix/sem/zero/value") $(stat -c %a /dev/shm/sem.zero)" '0 640'
	equals "$(semtool posix zero get)" 0
	# the file is what sem_open makes
	semtool posix other make 0
	chmod 640 /dev/shm/sem.other
	cmp /dev/shm/sem.zero /dev/shm/sem.other
	echo 'sysv/sem/0x80 values=1,0,3 mode=0400' >"$MNT/create"
	equals "$(cat "$MNT/sysv/sem/0x80/values")" '1 0 3'
	equals "$(. "$MNT/sysv/sem/0x80/status"; echo "$mode")" 0400
	as_user "$PEER" sh -c "echo sysv/sem/0x81 values=5 mode=0 >$MNT/create"
	equals "$(. "$MNT/sysv/sem/0x81/status"; echo "$mode $cuid $value_0")" "0000 $PEER 5"
	local bad
	for bad in values= 'values=1,' values=,1 values=x values=-1 'values=1 values=1'; do
		fails 'Invalid argument' bash -c "echo 'sysv/sem/0x90 $bad' >$MNT/create"
	done
	fails 'Invalid argument' bash -c "echo posix/sem/two values=1,1 >$MNT/create"
	fails 'Invalid argument' bash -c "echo posix/mq/two values=1 >$MNT/create"
	fails 'Numerical result out of range' bash -c "echo sysv/sem/0x90 values=32768 >$MNT/create"
	fails 'Numerical result out of range' bash -c "echo posix/sem/big values=2147483648 >$MNT/create"
	[ ! -e "$MNT/sysv/sem/0x90" ]
	fails 'File exists' mkdir "$MNT/sysv/sem/0x80"
	fails 'File exists' mkdir "$MNT/posix/sem/zero"
}

@test "random sets are what ipcs and lsipc show" {
	local i key line values
	for i in {1..40}; do
		values=$((RANDOM % 9))
		while [ $((RANDOM % 3)) != 0 ]; do
			values=$values,$((RANDOM % 9))
		done
		key=$(printf '0x%08x' $((i * 77777777)))
		echo "sysv/sem/$key values=$values mode=0$((RANDOM % 4 * 2))$((RANDOM % 4 * 2))$((RANDOM % 4 * 2))" >"$MNT/create"
		chown "$RANDOM:$RANDOM" "$MNT/sysv/sem/$key"
		equals "$(cat "$MNT/sysv/sem/$key/values")" "${values//,/ }"
		equals "$(semtool sysv "$key" all)" "${values//,/ }"
	done
	for key in "$MNT"/sysv/sem/*; do
		(. "$key/status"; echo "$key $id $uid $gid $cuid $mode $nsems")
	done | sort >"$BATS_TEST_TMPDIR/ours"
	perl -ane 'printf("0x%08x %d %d %d %d 0%03o %d\n", $F[0] & 0xffffffff, $F[1], @F[4 .. 6], oct($F[2]), $F[3]) if $. > 1' \
		/proc/sysvipc/sem | sort >"$BATS_TEST_TMPDIR/kernel"
	diff "$BATS_TEST_TMPDIR/ours" "$BATS_TEST_TMPDIR/kernel"
	lsipc -s -J -o key,id,uid,nsems | tr -d ' ",\n' | sed 's/key:/\n/g; s/[}{]//g' |
		sed -n 's/^\(0x[0-9a-f]*\)id:\([0-9]*\)uid:\([0-9]*\)nsems:\([0-9]*\).*/\1 \2 \3 \4/p' | sort >"$BATS_TEST_TMPDIR/lsipc"
	awk '{ print $1, $2, $3, $7 }' "$BATS_TEST_TMPDIR/ours" | sort | diff - "$BATS_TEST_TMPDIR/lsipc"
	for i in {1..60}; do
		semtool posix "random$i" make "$((RANDOM * RANDOM))"
		equals "$(cat "$MNT/posix/sem/random$i/value")" "$(semtool posix "random$i" get)"
	done
	equals "$(find "$MNT/posix/sem" -mindepth 1 -maxdepth 1 | wc -l)" 60
}

@test "chmod, chown and rmdir are the object's, judged by the kernel" {
	local kind
	for kind in posix sysv; do
		new_semaphore "$kind"
		chmod 660 "$O"
		chown 5:6 "$S/value"
		equals "$(state mode) $(state uid) $(state gid)" '0660 5 6'
		equals "$(stat -c '%u %g' "$O")" '5 6'
		fails 'Permission denied' as_user "$PEER" cat "$S/value"
		fails 'Permission denied' as_user "$PEER" bash -c 'echo >"$S/post"'
		fails 'Permission denied' as_user "$PEER" bash -c ': >"$S/hold"'
		fails 'Operation not permitted' as_user "$PEER" chmod 666 "$O"
		as_user 9:9:6 dash -c 'echo >"$S/post"'
		fails 'Operation not permitted' as_user 9:9:6 rmdir "$O"
		as_user 5 rmdir "$O"
		[ ! -e "$O" ]
	done
}

right_is_taken() {
	chmod 666 "$O"
	exec 8> >(exec setpriv --reuid "$PEER" --regid "$PEER" --clear-groups bash -c \
		'exec 7>"$S/post"; echo; while read -r x; do echo >&7; done' >"$BATS_TEST_TMPDIR/log.$KIND" 2>&1)
	wait_until '[ -s "$BATS_TEST_TMPDIR/log.$KIND" ]'
	echo one >&8
	value_is 2
	chmod 600 "$O"
	echo two >&8
	wait_until 'grep -q "Permission denied" "$BATS_TEST_TMPDIR/log.$KIND"'
	exec 8>&-
	equals "$(direct_value)" 2
}

@test "the right is checked at every request" {
	each_semaphore right_is_taken
}
