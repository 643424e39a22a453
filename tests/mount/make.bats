# SPDX-License-Identifier: MIT
# Making, changing and removing queues.
# shellcheck shell=bash disable=SC2154,SC2016
load common

# Prints owner, group and mode by the direct call.
direct() {
	mqtool "$KIND" "$NAME" mode
}

defaults_of_mkdir() {
	local mask
	rmdir "$Q"
	for mask in 022 077 027 002; do
		as_user "$PEER:5678" bash -c "umask $mask; mkdir \"\$Q\""
		if [ "$KIND" = posix ]; then
			equals "$(direct)" '0600 1234 5678'
		else
			equals "$(direct)" '0600 1234 5678 1234 5678'
		fi
		rmdir "$Q"
	done
	bash -c 'umask 0; mkdir "$Q"'
	equals "$(direct | cut -d' ' -f1)" 0666
}

@test "mkdir makes a queue of the caller, of mode 0600 with any umask, 0666 without one" {
	each_kind defaults_of_mkdir
}

modes_of_mkdir() {
	local shell asked
	for shell in bash dash 'busybox sh'; do
		for asked in 640:0640 666:0666 777:0666 400:0400 4755:0644 1777:0666 0:0000; do
			rmdir "$Q"
			$shell -c "mkdir -m ${asked%:*} \"\$Q\""
			equals "$shell $asked $(direct | cut -d' ' -f1)" "$shell $asked ${asked#*:}"
		done
	done
	rmdir "$Q"
	/usr/bin/python3 -c 'import os; os.umask(0o022); os.mkdir(os.environ["Q"], 0o660)'
	equals "$(direct | cut -d' ' -f1)" 0640
}

@test "mkdir -m asks for another mode; execute, setuid and sticky bits are dropped" {
	each_kind modes_of_mkdir
}

existing() {
	fails 'File exists' mkdir "$Q"
	mkdir -p "$Q"
	local inode
	inode=$(stat -c %i "$Q")
	mqtool "$KIND" "$NAME" send 1 here
	equals "$(stat -c %i "$Q")" "$inode"
	equals "$(cat "$Q/msg")" here
}

@test "mkdir of an existing queue is EEXIST, and mkdir -p succeeds" {
	each_kind existing
	mkdir "$MNT/sysv/msg/0x99"
	fails 'File exists' mkdir "$MNT/sysv/msg/0x0099"
}

@test "mkdir takes any spelling of a key" {
	local spelling
	for spelling in 0x4b45 0x4B45 0x00004b45 0xffffffff 0x1; do
		mkdir "$MNT/sysv/msg/$spelling"
		[ -d "$MNT/sysv/msg/$(printf '0x%08x' "$spelling")" ]
		rmdir "$MNT/sysv/msg/$(printf '0x%08x' "$spelling")"
	done
}

removing() {
	echo hello >"$Q/msg"
	rmdir "$Q"
	[ ! -e "$Q" ]
	fails ENOENT mqtool "$KIND" "$NAME" count
	fails 'No such file' rmdir "$Q"
	mkdir "$Q"
	equals "$(messages)" 0
	rmdir "$Q" && [ ! -e "$Q" ]
}

@test "rmdir removes, although there are files and messages" {
	each_kind removing
	local id
	id=$(mqtool sysv private make)
	rmdir "$MNT/sysv/msg/$id"
	[ -z "$(ipcs -q | grep "^0x")" ]
}

fixed_files() {
	local file
	for file in msg lines tagged packets records lease drain status; do
		fails 'not permitted' rm -f "$Q/$file"
	done
	fails 'not permitted' touch "$Q/new"
	fails 'not permitted' mkdir "$Q/new"
	fails 'not permitted' mv "$Q/msg" "$Q/other"
	fails 'not permitted' mv "$Q" "$Q.other"
	fails 'not permitted' ln "$Q/msg" "$(dirname "$Q")/link"
	fails 'not permitted' ln -s target "$Q/link"
	fails 'not permitted' mkfifo "$Q/fifo"
	fails 'not permitted' touch "$(dirname "$Q")/file"
	fails 'not permitted' ln -s target "$(dirname "$Q")/link"
	fails 'not permitted' mknod "$(dirname "$Q")/null" c 1 3
	equals "$(ls "$(dirname "$Q")")" "$NAME"
}

@test "the files inside can not be removed, renamed or added to" {
	each_kind fixed_files
}

@test "the fixed directories can not be removed, renamed or added to" {
	local directory
	for directory in posix sysv posix/mq sysv/msg sysv/by-id sysv/by-id/msg limits; do
		fails 'not permitted' rmdir "$MNT/$directory"
		fails 'not permitted' mv "$MNT/$directory" "$MNT/other"
		fails 'not permitted' chmod 700 "$MNT/$directory"
		fails 'not permitted' chown 1 "$MNT/$directory"
	done
	for directory in . posix sysv sysv/by-id sysv/by-id/msg limits; do
		fails 'not permitted' mkdir "$MNT/$directory/new"
		fails 'not permitted' touch "$MNT/$directory/new"
	done
	fails 'not permitted' rm -f "$MNT/create"
	fails 'not permitted' rm -f "$MNT/limits/msgmax"
	new_queue sysv
	fails 'not permitted' rmdir "$Q/peek"
	fails 'not permitted' rmdir "$Q/type"
	fails 'not permitted' rmdir "$Q/type/1"
	equals "$(stat -c %a "$MNT/posix/mq")" 1777
}

changing() {
	chmod 640 "$Q"
	equals "$(direct | cut -d' ' -f1)" 0640
	chmod 4777 "$Q"
	equals "$(direct | cut -d' ' -f1)" 0666
	chmod 604 "$Q/msg"
	equals "$(direct | cut -d' ' -f1)" 0604
	chmod 624 "$Q/status"
	equals "$(direct | cut -d' ' -f1)" 0624
	chown 1234 "$Q"
	chgrp 5678 "$Q/lines"
	equals "$(direct | cut -d' ' -f1-3)" '0624 1234 5678'
	chown 0:0 "$Q/drain"
	equals "$(direct | cut -d' ' -f1-3)" '0624 0 0'
}

@test "chmod, chown and chgrp of the directory and of each file are the queue's" {
	each_kind changing
}

@test "the creator stays when the owner changes" {
	new_queue sysv "$PEER"
	chown 99:98 "$Q"
	equals "$(direct)" '0600 99 98 1234 1234'
	equals "$(. "$Q/status"; echo "$uid $gid $cuid $cgid")" '99 98 1234 1234'
}

sized() {
	fails 'Invalid argument' truncate -s 100 "$Q/msg"
	truncate -s 0 "$Q/msg"
	equals "$(messages)" 0
}

@test "sizes cannot be set" {
	each_kind sized
}

# times PATH: what stat(2) shows as access and modification.
times() {
	TZ=UTC0 stat -c '%.19x %.19y' "$1"
}

@test "touch sets the times of POSIX objects, and nothing elsewhere" {
	local object before then='2020-01-02 03:04:05'
	mkdir "$MNT"/{posix/{mq,shm,sem}/a,sysv/{msg,shm,sem}/0x51}
	for object in mq shm sem; do
		TZ=UTC0 touch -d "$then" "$MNT/posix/$object/a"
		equals "$(times "$MNT/posix/$object/a")" "$then $then"
		TZ=UTC0 touch -d '2021-01-02 03:04:05' "$MNT/posix/$object/a/status"
		equals "$(times "$MNT/posix/$object/a")" '2021-01-02 03:04:05 2021-01-02 03:04:05'
	done
	TZ=UTC0 touch -a -d "$then" "$MNT/posix/shm/a/data"
	equals "$(times /dev/shm/a)" "$then 2021-01-02 03:04:05"
	touch "$MNT/posix/shm/a/data"
	[ $(($(date +%s) - $(stat -c %Y /dev/shm/a))) -lt 60 ]
	for object in msg shm sem; do
		before=$(times "$MNT/sysv/$object/0x00000051")
		TZ=UTC0 touch -d "$then" "$MNT/sysv/$object/0x00000051"{,/status}
		equals "$(times "$MNT/sysv/$object/0x00000051")" "$before"
	done
	touch "$MNT/create" "$MNT/limits/msgmax" "$MNT/posix/mq"
	fails 'not permitted' touch "$MNT/posix"
	fails 'not permitted' touch -h "$MNT"/sysv/by-id/msg/*
}

@test "touch is for those who may write" {
	local object another_time='Permission denied'
	! kernel_checks || another_time='Operation not permitted'
	mkdir "$MNT"/{posix/{mq,shm,sem}/a,sysv/{msg,shm,sem}/0x51}
	for object in posix/{mq,shm,sem}/a sysv/{msg,shm,sem}/0x51; do
		fails 'Permission denied' as_user "$PEER" touch "$MNT/$object"
		# A kernel that checks lets only the owner set another time than now: it says EPERM,
		# before it asks.
		fails "$another_time" as_user "$PEER" touch -c -d yesterday "$MNT/$object/status"
		chmod 646 "$MNT/$object"
		as_user "$PEER" touch "$MNT/$object"
		if kernel_checks; then
			fails "$another_time" as_user "$PEER" touch -d '2020-01-01' "$MNT/$object"
		else
			as_user "$PEER" touch -d '2020-01-01' "$MNT/$object"
		fi
		[ "$(stat -c %Y "$MNT/$object")" -gt 1700000000 ]
		chmod 604 "$MNT/$object"
		fails 'Permission denied' as_user "$PEER" touch "$MNT/$object"
	done
	setfacl -m "u:$PEER:rw" "$MNT/posix/mq/a"
	kernel_checks || as_user "$PEER" touch "$MNT/posix/mq/a"
	as_user "$PEER" sh -c 'echo >"$MNT/posix/mq/a/msg"'
}

copied() {
	local file=$BATS_TEST_TMPDIR/file
	echo hello >"$file"
	chmod 600 "$file"
	cp -p "$file" "$Q/msg"
	cp -a "$file" "$Q/lines"
	python3 -c 'import shutil, sys; shutil.copy2(*sys.argv[1:])' "$file" "$Q/msg"
	equals "$(messages)" 3
	equals "$(cat "$Q/msg")" hello
}

@test "programs that copy the times of a file write into a queue" {
	each_kind copied
}

@test "create makes what a specification describes" {
	echo 'posix/mq/jobs maxmsg=7 msgsize=4096 mode=0660' >"$MNT/create"
	equals "$(mqtool posix jobs mode)" '0660 0 0'
	equals "$(. "$MNT/posix/mq/jobs/status"; echo "$max_messages $max_message_size")" '7 4096'
	echo 'sysv/msg/0x51 qbytes=4K mode=0604' >"$MNT/create"
	equals "$(mqtool sysv 0x51 mode)" '0604 0 0 0 0'
	equals "$(cat "$MNT/sysv/msg/0x51/qbytes")" 4096
	echo 'posix/mq/plain' >"$MNT/create"
	equals "$(mqtool posix plain mode)" '0600 0 0'
	printf '# comment\n\n  sysv/msg/0x52\n\tposix/mq/b\\040c\n' >"$MNT/create"
	[ -d "$MNT/sysv/msg/0x52" ]
	[ -d "$MNT/posix/mq/b c" ]
}

@test "create tells the path that was made" {
	local script='exec 9<>"$MNT/create"; echo "$SPEC" >&9; read -r path <&9; cd "$MNT"; stat -c %F "$path"; cat "$path/status" >&2; echo "$path"'
	local shell
	for shell in bash dash 'busybox sh'; do
		SPEC='sysv/msg/0x4b45' script "$shell" "$PEER" "export SPEC='sysv/msg/0x4b45'; $script" >"$BATS_TEST_TMPDIR/out"
		grep -q ^directory "$BATS_TEST_TMPDIR/out"
		grep -q 'sysv/msg/0x00004b45$' "$BATS_TEST_TMPDIR/out"
		rmdir "$MNT/sysv/msg/0x00004b45"
		script "$shell" "$PEER" "SPEC='sysv/msg/private mode=0644'; $script" >"$BATS_TEST_TMPDIR/out"
		grep -qE '^directory' "$BATS_TEST_TMPDIR/out"
		equals "$(stat -c '%u %a' "$MNT"/sysv/msg/*)" '1234 755'
		rmdir "$MNT"/sysv/msg/*
		script "$shell" "$PEER" "SPEC='posix/mq/jobs maxmsg=3'; $script" >"$BATS_TEST_TMPDIR/out"
		grep -q 'posix/mq/jobs$' "$BATS_TEST_TMPDIR/out"
		rmdir "$MNT/posix/mq/jobs"
	done
}

# refused ERRNO'S TEXT SPECIFICATION
refused() {
	fails "$1" env SPEC="$2" bash -c 'printf "%s\n" "$SPEC" >"$MNT/create"'
	# The shell prints nothing else about any error.
	fails 'I/O error' env SPEC="$2" dash -c 'printf "%s\n" "$SPEC" >"$MNT/create"'
	silent ls "$MNT/posix/mq"
	silent ls "$MNT/sysv/msg"
}

@test "a bad specification makes nothing" {
	refused 'Invalid argument' 'posix/mq'
	refused 'Invalid argument' 'posix/mq/'
	refused 'Invalid argument' 'posix/none/x'
	refused 'Invalid argument' '/posix/mq/x'
	refused 'Invalid argument' 'posix/mq/a/b'
	refused 'Invalid argument' 'posix/mq/..'
	refused 'Invalid argument' 'posix/mq/x colour=red'
	refused 'Invalid argument' 'posix/mq/x maxmsg'
	refused 'Invalid argument' 'posix/mq/x maxmsg='
	refused 'Invalid argument' 'posix/mq/x maxmsg=1 maxmsg=1'
	refused 'Invalid argument' 'posix/mq/x maxmsg=-1'
	refused 'Invalid argument' 'posix/mq/x qbytes=100'
	refused 'Invalid argument' 'posix/mq/x mode=rw'
	refused 'Invalid argument' 'posix/mq/x mode=0755'
	refused 'Invalid argument' 'posix/mq/\777'
	refused 'Invalid argument' 'sysv/msg/0x0'
	refused 'Invalid argument' 'sysv/msg/51'
	refused 'Invalid argument' 'sysv/msg/name'
	refused 'Invalid argument' 'sysv/msg/0x51 maxmsg=10'
	refused 'out of range' 'posix/mq/x maxmsg=99999999999999999999999'
	refused 'too long' "posix/mq/$(printf 'n%.0s' $(seq 256))"
	mkdir "$MNT/posix/mq/jobs"
	fails 'File exists' bash -c 'echo posix/mq/jobs >"$MNT/create"'
	equals "$(ls "$MNT/posix/mq")" jobs
}

# told LINE...: prints what `create` says to these lines, each in a write of its own.
told() {
	local line
	exec 9<>"$MNT/create"
	for line in "$@"; do
		echo "$line" >&9 || :
	done 2>/dev/null
	cat <&9
	exec 9>&-
}

@test "create says which word it refused and why, in order with the paths, and the log does" {
	local said
	said=$(told 'posix/mq/a' 'posix/mq/b colour=red' 'posix/mq/a' 'sysv/msg/51' 'posix/mq/c')
	equals "$(cut -d: -f1,2 <<<"$said" | head -n 4)" \
		$'posix/mq/a\nerror: colour=red\nerror: posix/mq/a\nerror: sysv/msg/51'
	[[ $said == *'keys of posix/mq: mode maxmsg msgsize'*'File exists'*$'\nposix/mq/c' ]]
	grep -q 'no object made for uid 0: colour=red: KEY=VALUE is wanted' "$LOG"
	# A writer that does not read is told by the log.
	fails 'Invalid argument' as_user "$PEER" bash -c 'echo posix/mq/x mode=rw >"$MNT/create"'
	grep -q "uid $PEER: mode=rw: octal" "$LOG"
	equals "$(ls "$MNT/posix/mq")" $'a\nc'
}

@test "a write that made an object returns early, and the next one is refused with its reason" {
	/usr/bin/python3 - >"$BATS_TEST_TMPDIR/out" <<-'END'
		import os
		create = os.open(os.environ["MNT"] + "/create", os.O_RDWR)
		lines = b"posix/mq/q1\nposix/mq/q2 x\nposix/mq/q3\n"
		done = os.write(create, lines)
		print(done, os.read(create, 4096).decode(), end="")
		try:
		    os.write(create, lines[done:])
		except OSError as error:
		    print(error.errno, os.read(create, 4096).decode(), end="")
		print(len(os.read(create, 4096)))
		# A line that makes nothing takes no time, after which the write would return anyway.
		print(os.write(create, b"# none\nposix/mq/q2 x\n"), len(os.read(create, 4096)))
	END
	equals "$(cut -c1-21 "$BATS_TEST_TMPDIR/out")" $'12 posix/mq/q1\n22 error: x: KEY=VALU\n0\n7 0'
}

@test "a flood of refusals fills neither the log nor the daemon" {
	local lines
	/usr/bin/python3 - >"$BATS_TEST_TMPDIR/out" <<-'END'
		import os
		create = os.open(os.environ["MNT"] + "/create", os.O_RDWR)
		for i in range(5000):
		    try:
		        os.write(create, b"nonsense\n")
		    except OSError as error:
		        assert error.errno == 22
		print(sum(len(part) for part in iter(lambda: os.read(create, 1 << 16), b"")) < 70000)
	END
	equals "$(cat "$BATS_TEST_TMPDIR/out")" True
	[ "$(grep -c nonsense "$LOG")" -lt 1000 ]
	# The next line says how many are missing.
	wait_until 'told nonsense && grep -q "refused requests to make objects were not logged" "$LOG"'
	# And the one behind it does not say so again.
	lines=$(grep -c 'nonsense' "$LOG")
	wait_until 'told nonsense && [ "$(grep -c nonsense "$LOG")" -gt $lines ]'
	[ "$(sed -n 's/.* \([0-9]*\) refused requests to make .*/\1/p' "$LOG" | awk '{ sum += $1 } END { print sum }')" -lt 7000 ]
}

@test "value=N is values=N of one semaphore" {
	echo 'posix/sem/one value=3' >"$MNT/create"
	echo 'sysv/sem/0x51 value=4' >"$MNT/create"
	equals "$(cat "$MNT/posix/sem/one/value" "$MNT/sysv/sem/0x00000051/0/value" | xargs)" '3 4'
	[[ $(told 'sysv/sem/0x52 value=1,2') == 'error: value=1,2: one number is wanted' ]]
	[[ $(told 'posix/sem/two values=1,2') == 'error: values=1,2: one number is wanted' ]]
	[[ $(told 'sysv/sem/0x52 values=40000') == *'a number from 0 to 32767 is wanted' ]]
}

@test "a value beyond a limit names the file that raises the limit" {
	echo 100 >"$MNT/limits/shmmax"
	equals "$(told 'sysv/shm/0x51 size=1K')" \
		'error: sysv/shm/0x51: more than limits/shmmax allows, which is 100'
	echo '1 32000 10 3' >"$MNT/limits/sem"
	equals "$(told 'sysv/sem/0x51 values=1,2')" \
		'error: sysv/sem/0x51: more than limits/sem allows, which is 1 32000 10 3'
	export -f told
	equals "$(as_user "$PEER" bash -c 'told "posix/mq/x maxmsg=11" "posix/mq/x msgsize=9K"')" \
		$'error: posix/mq/x: more than limits/mq_msg_max allows, which is 10\nerror: posix/mq/x: more than limits/mq_msgsize_max allows, which is 8192'
	equals "$(as_user "$PEER" bash -c 'told "sysv/msg/0x51 qbytes=1M"')" \
		'error: sysv/msg/0x51: more than limits/msgmnb allows, which is 16384'
	echo 0 >"$MNT/limits/msgmni"
	equals "$(told 'sysv/msg/0x51')" \
		'error: sysv/msg/0x51: more than limits/msgmni allows, which is 0'
	fails 'No space left' mkdir "$MNT/sysv/msg/0x52"
	grep -q 'uid 0: sysv/msg/0x52: more than limits/msgmni allows, which is 0' "$LOG"
}

@test "limits take the suffixes K, M, G and T" {
	echo 16K >"$MNT/limits/msgmax"
	equals "$(cat "$MNT/limits/msgmax" /proc/sys/kernel/msgmax | xargs)" '16384 16384'
	printf '1G' >"$MNT/limits/shmmax"
	equals "$(cat /proc/sys/kernel/shmmax)" 1073741824
	echo ' 1K	2M  500 1K ' >"$MNT/limits/sem"
	equals "$(xargs </proc/sys/kernel/sem)" '1024 2097152 500 1024'
	local value
	for value in K 1k 1KK '1 K' 1Kx -1K 0x1K '' '1K 1K'; do
		fails 'Invalid argument' env value="$value" bash -c 'echo "$value" >"$MNT/limits/msgmax"'
	done
	fails 'out of range' bash -c 'echo 99999999999T >"$MNT/limits/shmmax"'
	equals "$(cat "$MNT/limits/msgmax")" 16384
}

@test "a caller that may not set a limit is refused at open, and at write" {
	local limit
	for limit in "$MNT"/limits/*; do
		fails 'Permission denied' as_user "$PEER" bash -c 'exec 9>"$0"' "$limit"
		fails 'Permission denied' as_user "$PEER" bash -c 'exec 9<>"$0"' "$limit"
		as_user "$PEER" cat "$limit" >/dev/null
	done
	fails 'Operation not permitted' bash -c 'exec setpriv --reuid "$0" --regid "$0" --clear-groups \
		bash -c "echo 5000 >&9" 9>"$MNT/limits/msgmax"' "$PEER"
	equals "$(cat "$MNT/limits/msgmax")" 8192
}

@test "a limit that is reached is ENOSPC, and the log names it" {
	echo 3 >"$MNT/limits/msgmni"
	mkdir "$MNT"/sysv/msg/0x{1,2,3}
	fails 'No space left' mkdir "$MNT/sysv/msg/0x4"
	fails 'No space left' bash -c 'echo sysv/msg/private >"$MNT/create"'
	grep -q msgmni "$LOG"
	echo 2 >"$MNT/limits/mq_queues_max"
	as_user "$PEER" mkdir "$MNT"/posix/mq/{a,b}
	fails 'No space left' as_user "$PEER" mkdir "$MNT/posix/mq/c"
	grep -q queues_max "$LOG"
	equals "$(ls "$MNT/posix/mq" "$MNT/sysv/msg" | grep -c .)" 7
}

@test "mkdir -m takes any spelling of a key" {
	mkdir -m 660 "$MNT/sysv/msg/0x7701"
	mkdir -m 606 "$MNT/sysv/msg/0X7702"
	equals "$(stat -c %a "$MNT/sysv/msg/0x00007701")" "$(sticky)771"
	equals "$(stat -c %a "$MNT/sysv/msg/0x00007702")" "$(sticky)717"
}

@test "POSIX queues are charged to their maker's RLIMIT_MSGQUEUE" {
	# The daemon's own limit is enough for nine queues of this size. Users of their own, since
	# the kernel charges across IPC namespaces, and other suites may run.
	local made
	made=$(as_user 31234 prlimit --msgqueue=200000 bash -c 'for i in 1 2 3 4 5; do mkdir "$MNT/posix/mq/a$i" && echo $i; done' 2>/dev/null | wc -l)
	equals "$made" 2
	made=$(as_user 34321 prlimit --msgqueue=400000 bash -c 'for i in 1 2 3 4 5 6; do mkdir "$MNT/posix/mq/b$i" && echo $i; done' 2>/dev/null | wc -l)
	equals "$made" 4
	fails 'No space left' as_user 31234 prlimit --msgqueue=200000 mkdir "$MNT/posix/mq/c"
}

@test "in a user namespace POSIX queues are charged to its owner as well" {
	local user made expected=10
	# The owner may have nine.
	! in_user_namespace || expected=9
	made=$(for user in 31235 34322; do
		as_user "$user" bash -c 'for i in 1 2 3 4 5; do mkdir "$MNT/posix/mq/$0-$i" && echo $i; done' "$user" 2>/dev/null
	done | wc -l)
	equals "$made" "$expected"
	! in_user_namespace || fails 'No space left' mkdir "$MNT/posix/mq/root"
}

@test "queues outlive the daemon" {
	new_queue posix
	echo one >"$Q/msg"
	local posix=$Q
	new_queue sysv
	echo two >"$Q/msg"
	stop_mount
	start_mount
	equals "$(cat "$posix/msg" "$Q/drain")" $'one\ntwo'
}
