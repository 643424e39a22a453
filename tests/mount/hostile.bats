# SPDX-License-Identifier: MIT
# /dev/shm is open to all: no file there may crash, block or mislead the daemon.
# shellcheck shell=bash disable=SC2154,SC2016,SC2119,SC2120
load common
load semaphore

# The 32 bytes of a semaphore: value, waiters, the `private` word.
semaphore_bytes() {
	perl -e 'print pack("VVVVx16", @ARGV)' -- "$@"
}

alive() {
	running "$DAEMON"
	within 2000 ls -lR "$MNT/posix" >/dev/null
	within 3000 mkdir "$MNT/posix/sem/alive"
	within 3000 sh -c 'echo >"$MNT/posix/sem/alive/wait"; echo >"$MNT/posix/sem/alive/post"'
	within 3000 rmdir "$MNT/posix/sem/alive"
}

@test "a file that is no semaphore is neither shown nor opened" {
	local name
	echo secret >"$BATS_TEST_TMPDIR/outside"
	cd /dev/shm
	ln -s "$BATS_TEST_TMPDIR/outside" sem.link
	semaphore_bytes 1 0 128 0 >"$BATS_TEST_TMPDIR/other"
	ln -s "$BATS_TEST_TMPDIR/other" sem.link2
	ln -s sem.link3 sem.link3
	mkfifo sem.fifo
	mkdir sem.directory
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sem.socket")'
	make_device sem.device 1 3 /dev/null
	make_device sem.zero 1 5 /dev/zero
	: >sem.empty
	truncate -s 31 sem.short
	truncate -s 33 sem.long
	truncate -s 9223372036854775807 sem.giant
	semaphore_bytes 1 0 128 0 >"$BATS_TEST_TMPDIR/mounted"
	: >sem.mounted
	mount --bind "$BATS_TEST_TMPDIR/mounted" sem.mounted
	: >sem.
	cd /
	within 3000 silent ls "$MNT/posix/sem"
	for name in link link2 link3 fifo directory socket device zero empty short long giant mounted .. .; do
		case $name in .. | .) continue ;; esac
		fails 'No such file' cat "$MNT/posix/sem/$name/value"
		fails 'No such file' bash -c "echo >$MNT/posix/sem/$name/wait"
		fails 'No such file' rmdir "$MNT/posix/sem/$name"
		fails 'No such file' chmod 666 "$MNT/posix/sem/$name"
	done
	fails 'File exists' mkdir "$MNT/posix/sem/link"
	equals "$(cat "$BATS_TEST_TMPDIR/outside")" secret
	alive
	umount /dev/shm/sem.mounted
	! in_user_namespace || umount /dev/shm/sem.device /dev/shm/sem.zero
}

@test "any name is shown as it is" {
	local name names=("new
line" $'esc\e[31mape' $'\xff\xfe' ' blank ' '-n' '...' "quote'\"" "$(printf 'n%.0s' {1..251})")
	for name in "${names[@]}"; do
		semaphore_bytes 3 0 128 0 >"/dev/shm/sem.$name"
		equals "$(cat "$MNT/posix/sem/$name/value")" 3
		equals "$(. "$MNT/posix/sem/$name/status"; printf %s "$name")" "$name"
		echo >"$MNT/posix/sem/$name/wait"
		{ :; } 9>"$MNT/posix/sem/$name/hold"
		wait_until '[ "$(od -An -tu4 -N4 "/dev/shm/sem.$name" | tr -d " ")" = 2 ]'
	done
	equals "$(find "$MNT/posix/sem" -mindepth 1 -maxdepth 1 -printf x)" xxxxxxxx
	for name in "${names[@]}"; do
		rmdir "$MNT/posix/sem/$name"
		mkdir "$MNT/posix/sem/$name"
		rmdir "$MNT/posix/sem/$name"
	done
	silent ls /dev/shm
	fails 'File name too long' mkdir "$MNT/posix/sem/$(printf 'n%.0s' {1..252})"
	silent ls "$MNT/posix/sem"
}

# Every file is in use when `attack` (a shell command on $F) comes. The users get an error or a
# value.
under_attack() {
	local attack=$1 file
	new_semaphore posix 1
	export F=/dev/shm/sem.$NAME
	exec 9>"$S/hold" 8>"$S/post" 7<"$S/value" 6>"$S/wait"
	background bash -c 'exec 9>&- 8>&- 7<&- 6>&-; echo >"$S/wait"'
	background bash -c 'exec 9>&- 8>&- 7<&- 6>&-; : >"$S/hold"'
	background bash -c 'exec 9>&- 8>&- 7<&- 6>&-; echo 3 >"$S/wait"'
	wait_parked 3
	eval "$attack"
	for file in 8 6; do
		timeout 2 bash -c "echo >&$file" 2>/dev/null || :
	done
	timeout 2 cat <&7 >/dev/null 2>&1 || :
	timeout 2 cat "$O/status" >/dev/null 2>&1 || :
	timeout 2 bash -c 'echo 1 >"$S/value"; echo >"$S/trywait"; echo >"$S/post"; : >"$S/tryhold"' 2>/dev/null || :
	exec 9>&- 8>&- 7<&- 6>&-
	alive
	for file in "${JOBS[@]}"; do
		kill -KILL "$file" 2>/dev/null || :
		within 3000 wait_until "ended $file"
	done
	JOBS=()
	rm -rf "$F"
	alive
}

@test "semaphores that are cut, overwritten and swapped while a caller waits" {
	under_attack 'truncate -s 0 "$F"'
	under_attack 'truncate -s 0 "$F"; truncate -s 32 "$F"'
	under_attack 'truncate -s 4 "$F"'
	under_attack 'truncate -s 1000000 "$F"'
	under_attack 'fallocate -p -o 0 -l 32 "$F"'
	under_attack 'head -c 32 /dev/urandom | dd of="$F" conv=notrunc status=none'
	under_attack 'head -c 32 /dev/zero | tr "\0" "\377" | dd of="$F" conv=notrunc status=none'
	under_attack 'semaphore_bytes 0 0 0 0 | dd of="$F" conv=notrunc status=none'
	under_attack 'semaphore_bytes 4294967295 4294967295 64 0 | dd of="$F" conv=notrunc status=none'
	under_attack 'semaphore_bytes 0 3 127 99 | dd of="$F" conv=notrunc status=none'
	under_attack 'rm "$F"; semaphore_bytes 9 0 128 0 >"$F"'
	under_attack 'semaphore_bytes 9 0 128 0 >"$F.x"; mv "$F.x" "$F"'
	under_attack 'rm "$F"; ln -s /etc/passwd "$F"'
	under_attack 'rm "$F"; mkfifo "$F"'
	under_attack 'rm "$F"; mkdir "$F"'
	under_attack 'chmod 0 "$F"; chown 1234 "$F"'
}

@test "a crafted private word wakes no caller wrongly and aborts none" {
	new_semaphore posix 0
	local word
	for word in 0 1 127 128 129 4294967295; do
		semaphore_bytes 0 0 "$word" 0 | dd of="/dev/shm/sem.$NAME" conv=notrunc status=none
		background bash -c 'echo >"$S/wait"'
		wait_parked 1
		echo >"$S/post"
		within 3000 wait_until 'ended $JOB'
		equals "$(cat "$S/value")" 0
	done
	# a poster with a wrong word finds no waiter on its futex: the daemon looks in any case
	semaphore_bytes 0 0 0 0 | dd of="/dev/shm/sem.$NAME" conv=notrunc status=none
	background bash -c 'echo >"$S/wait"'
	wait_parked 1
	direct_post
	within 3000 wait_until 'ended $JOB'
	equals "$(cat "$S/value")" 0
}

@test "the keeper survives damaged semaphores" {
	local i
	for i in {1..6}; do
		new_semaphore posix 2
		eval "exec {FD[$i]}>\"\$S/hold\"" 2>/dev/null || :
		export "F$i=/dev/shm/sem.$NAME"
		eval "exec 2$i>\"\$S/hold\""
	done
	truncate -s 0 "$F1"
	rm "$F2"
	head -c 32 /dev/zero | tr '\0' '\377' | dd of="$F3" conv=notrunc status=none
	truncate -s 3 "$F4"
	kill -KILL "$DAEMON"
	wait "$DAEMON" || :
	DAEMON=''
	wait_until '! pgrep -x ipcfs-holds'
	equals "$(od -An -tu4 -N4 "$F5" | tr -d ' ')" 2
	equals "$(od -An -tu4 -N4 "$F6" | tr -d ' ')" 2
	umount -l "$MNT"
}

@test "while everything in /dev/shm changes, no caller is stuck" {
	local churn end
	background bash -c '
		cd /dev/shm
		while :; do
			for i in 1 2 3 4; do
				rm -rf sem.c$i
				case $((RANDOM % 8)) in
				0) mkfifo sem.c$i ;;
				1) mkdir sem.c$i ;;
				2) ln -s /etc/shadow sem.c$i ;;
				3) truncate -s $((RANDOM % 40)) sem.c$i ;;
				4) truncate -s 4611686018427387904 sem.c$i ;;
				5) head -c 32 /dev/urandom >sem.c$i ;;
				*) perl -e "print pack(q(VVVVx16), 1, 0, 128, 0)" >sem.c$i; chmod 666 sem.c$i ;;
				esac
			done
		done'
	churn=$JOB
	end=$((SECONDS + 6))
	while [ "$SECONDS" -lt "$end" ]; do
		for i in 1 2 3 4; do
			S=$MNT/posix/sem/c$i timeout 5 bash -c '
				echo >"$S/trywait"; cat "$S/value"; echo >"$S/post"; { cat "$S/status"; } 9>"$S/tryhold"
				timeout 0.05 bash -c "echo >\"\$S/wait\""; echo 1 >"$S/value"' >/dev/null 2>&1 || [ $? != 124 ]
		done
		# Some files that ls has listed are gone when it looks.
		within 2000 sh -c 'ls -lR "$MNT/posix" >/dev/null 2>&1; [ $? -le 2 ]'
	done
	kill -KILL "$churn"
	wait_until 'ended $churn'
	rm -rf /dev/shm/sem.*
	alive
}
