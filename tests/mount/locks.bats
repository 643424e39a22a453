# SPDX-License-Identifier: MIT
# flock(2) and fcntl(2) locks exclude others, or are refused: on an object's directory and on `data`
# they work, on all other files they cannot.
# shellcheck shell=bash disable=SC2154,SC2016
load common
load semaphore

# python_lock HOW FILE: by flock or lockf, without waiting.
python_lock() {
	/usr/bin/python3 -c '
import fcntl, os, sys
how, path = sys.argv[1:]
fd = os.open(path, os.O_RDONLY if os.path.isdir(path) else os.O_RDWR)
getattr(fcntl, how)(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)' "$@"
}

refused() {
	local file
	for file in "$@"; do
		fails 'not supported' flock -n "$file" true
		fails 'not supported' flock -s "$file" true
		fails 'not supported' python_lock flock "$file"
		fails 'not supported' python_lock lockf "$file"
		fails 'failed to lock' zsh -f -c 'zmodload zsh/system; zsystem flock -t 0 "$0"' "$file"
		equals "$(php -r 'var_export(flock(fopen($argv[1], "r+"), LOCK_EX));' -- "$file")" false
		fails 'Exclusive locks' php -r 'if (file_put_contents($argv[1], "text\n", LOCK_EX) === false) exit(1);' -- "$file"
	done
}

@test "channel files refuse locks, with an error that programs show" {
	local kind
	for kind in "${KINDS[@]}"; do
		new_queue "$kind"
		refused "$Q/msg" "$Q/lines" "$Q/tagged" "$Q/packets" "$Q/records"
		equals "$(messages)" 0
	done
}

@test "flock COMMAND on a file of a semaphore does not run the command" {
	local kind
	for kind in "${KINDS[@]}"; do
		new_semaphore "$kind"
		fails 'not supported' flock "$S/hold" touch "$BATS_TEST_TMPDIR/ran"
		[ ! -e "$BATS_TEST_TMPDIR/ran" ]
		value_is 1
		fails 'not supported' flock -n "$S/wait" true
		fails 'not supported' python_lock lockf "$S/post"
		equals "$(direct_value)" 1
	done
}

# The objects' directories, and the files that can be locked.
lockable() {
	local kind
	LOCKABLE=()
	for kind in "${KINDS[@]}"; do
		new_queue "$kind"
		LOCKABLE+=("$Q")
		new_semaphore "$kind"
		LOCKABLE+=("$O")
	done
	mkdir "$MNT/posix/shm/locked" "$MNT/sysv/shm/0x1"
	truncate -s 4096 "$MNT/posix/shm/locked/data"
	LOCKABLE+=("$MNT/posix/shm/locked" "$MNT/sysv/shm/0x00000001" "$MNT/posix/shm/locked/data" "$MNT/sysv/shm/0x00000001/data")
}

# held PATH [-s]: a background process has the lock.
held() {
	rm -f "$BATS_TEST_TMPDIR/held"
	background flock "${@:2}" "$1" sh -c 'echo >"$0"; exec sleep 60' "$BATS_TEST_TMPDIR/held"
	wait_until '[ -e "$BATS_TEST_TMPDIR/held" ]'
}

# let_go: the holder and its command, which has the lock as well, are killed.
let_go() {
	local pids
	pids="$JOB $(pgrep -P "$JOB" || :)"
	# shellcheck disable=SC2086 # some pids
	kill -KILL $pids
}

@test "flock on an object's directory and on data: exclusive, shared, with a time limit" {
	local path
	lockable
	for path in "${LOCKABLE[@]}"; do
		echo "$path:"
		held "$path"
		run flock -n "$path" true
		equals "$status" 1
		run flock -n -s "$path" true
		equals "$status" 1
		run flock -w 0.2 -E 75 "$path" true
		equals "$status" 75
		let_go
		within 5000 flock -w 5 "$path" true
		held "$path" -s
		flock -n -s "$path" true
		run flock -n -x "$path" true
		equals "$status" 1
		let_go
		within 5000 flock -w 5 -x "$path" true
	done
}

@test "a killed holder lets go, and the next one gets the lock" {
	local path
	lockable
	for path in "${LOCKABLE[@]}"; do
		echo "$path:"
		held "$path"
		local holder=$JOB child
		child=$(pgrep -P "$holder")
		background flock "$path" true
		local next=$JOB
		sleep 0.1 # in which it would get a lock that excludes nobody
		running "$next"
		kill -KILL "$holder" "$child"
		wait "$next"
	done
}

@test "a process that waits for a lock can be killed, and holds up nobody" {
	local path
	lockable
	for path in "${LOCKABLE[@]}"; do
		echo "$path:"
		held "$path"
		local holder=$JOB
		background flock "$path" true
		sleep 0.1 # until it waits
		within 1000 ls -l "$path" >/dev/null
		within 1000 ls -lR "$MNT" >/dev/null
		kill -KILL "$JOB"
		within 2000 wait_until 'ended "$JOB"'
		JOB=$holder
		let_go
		flock -w 5 "$path" true
	done
}

@test "a lock by one path excludes one through a bind mount, and one by another spelling" {
	local bind=$BATS_TEST_TMPDIR/bind path
	mkdir "$bind"
	mount --bind "$MNT" "$bind"
	lockable
	for path in "${LOCKABLE[@]}"; do
		echo "$path:"
		held "$path"
		run flock -n "$bind${path#"$MNT"}" true
		equals "$status" 1
		let_go
		flock -w 5 "$bind${path#"$MNT"}" true
	done
	held "$MNT/sysv/shm/0x00000001"
	run flock -n "$MNT/sysv/shm/0x1" true
	equals "$status" 1
	let_go
	umount "$bind"
}

@test "a lock excludes processes of another user namespace" {
	local path
	lockable
	for path in "${LOCKABLE[@]}"; do
		echo "$path:"
		chmod 666 "$path"
		held "$path"
		run unshare --user --map-root-user flock -n "$path" true
		equals "$status" 1
		let_go
		unshare --user --map-root-user flock -w 5 "$path" true
	done
}

@test "fcntl locks on data exclude other processes, by range" {
	local path
	lockable
	for path in "${LOCKABLE[@]}"; do
		[[ $path == */data ]] || continue
		echo "$path:"
		/usr/bin/python3 - "$path" <<-'EOF'
		import fcntl, os, sys
		fd = os.open(sys.argv[1], os.O_RDWR)
		fcntl.lockf(fd, fcntl.LOCK_EX, 10, 0)

		def other(start):
		    """Whether another process gets the lock."""
		    child = os.fork()
		    if child == 0:
		        try:
		            mine = os.open(sys.argv[1], os.O_RDWR)
		            fcntl.lockf(mine, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, start)
		            os._exit(0)
		        except BlockingIOError:
		            os._exit(1)
		        finally:
		            os._exit(2)
		    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

		assert other(0) == 1
		assert other(5) == 1
		assert other(10) == 0
		fcntl.lockf(fd, fcntl.LOCK_UN, 10, 0)
		assert other(0) == 0
		EOF
		# What programs use it for.
		php -r 'exit(flock(fopen($argv[1], "r+"), LOCK_EX | LOCK_NB) ? 0 : 1);' -- "$path"
		zsh -f -c 'zmodload zsh/system; zsystem flock -t 1 "$0"' "$path"
	done
}

# As README has it.
@test "many readers or one writer, by flock on the directory" {
	local _
	mkdir "$MNT/posix/shm/table"
	truncate -s 16 "$MNT/posix/shm/table/data"
	export TABLE=$MNT/posix/shm/table
	printf '%016d' 0 >"$TABLE/data"
	local workers=()
	for _ in 1 2 3 4; do
		background bash -c 'for ((i = 0; i < 25; i++)); do
			flock "$TABLE" bash -c '\''read -r -N 16 n <"$TABLE/data"; printf %016d $((10#$n + 1)) | dd of="$TABLE/data" conv=notrunc status=none'\''
		done'
		workers+=("$JOB")
	done
	for _ in 1 2 3; do
		flock -s "$TABLE" grep -Eq '^[0-9]{16}$' "$TABLE/data"
	done
	wait "${workers[@]}"
	equals "$(cat "$TABLE/data")" 0000000000000100
}
