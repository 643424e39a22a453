# SPDX-License-Identifier: MIT
# Which users may use the mount, and how much of it; hidden objects; settings from a file.
# shellcheck shell=bash disable=SC2154,SC2016
load common

setup() {
	common_setup
	CONFIG=$BATS_TEST_TMPDIR/config
}

# settings LINE...: writes the configuration file.
settings() {
	printf '%s\n' "$@" >"$CONFIG"
}

# reload LINE...: the same, and the daemon reads it again.
reload() {
	local before
	settings "$@"
	before=$(read_again)
	kill -HUP "$DAEMON"
	wait_until "[ \$(read_again) -gt $before ]"
}

read_again() {
	grep -c 'was read again' "$LOG" || :
}

# refuses LINE: the daemon reads the file again, logs LINE and keeps its settings.
refuses() {
	local before
	before=$(grep -c 'settings are unchanged' "$LOG" || :)
	kill -HUP "$DAEMON"
	wait_until "[ \$(grep -c 'settings are unchanged' \"\$LOG\") -gt $before ]"
	grep -F "$1" "$LOG" || { cat "$LOG"; return 1; }
}

@test "allow_uid: nobody else gets in, not even root" {
	start_mount -o allow_uid=1234:1235
	as_user 1234 mkdir "$MNT/posix/mq/mine"
	as_user 1235 ls -l "$MNT/posix/mq" >/dev/null
	as_user 1234 bash -c 'echo hello >"$MNT/posix/mq/mine/msg"'
	equals "$(as_user 1234 cat "$MNT/posix/mq/mine/msg")" hello
	local who
	for who in 'as_user 1236' 'as_user 1236:1234' env; do
		fails 'Permission denied' $who ls "$MNT"
		fails 'Permission denied' $who ls "$MNT/posix/mq"
		fails 'Permission denied' $who cat "$MNT/posix/mq/mine/status"
		fails 'Permission denied' $who bash -c 'echo x >"$MNT/posix/mq/mine/msg"'
		fails 'Permission denied' $who mkdir "$MNT/sysv/msg/0x77"
		fails 'Permission denied' $who rmdir "$MNT/posix/mq/mine"
		fails 'Permission denied' $who chmod 666 "$MNT/posix/mq/mine"
		fails 'Permission denied' $who bash -c 'echo posix/mq/other >"$MNT/create"'
		if kernel_checks; then
			# The kernel decides by the shown mode who may go there. Nothing is shown.
			fails 'Permission denied' $who bash -c 'cd "$MNT" && ls'
		else
			fails 'Permission denied' $who bash -c 'cd "$MNT"'
		fi
	done
	# The kernel's cache helps nobody.
	fails 'Permission denied' as_user 1236 cat "$MNT/limits/msgmax"
	as_user 1234 cat "$MNT/limits/msgmax"
	fails 'Permission denied' as_user 1236 cat "$MNT/limits/msgmax"
}

@test "allow_uid: root can look at the mount and take it off" {
	start_mount -o allow_uid=1234
	stat -f "$MNT" >/dev/null
	stat "$MNT" >/dev/null
	findmnt --df "$MNT"
	umount "$MNT"
	daemon_ends
}

@test "allow_gid: the opener's group and supplementary groups count" {
	start_mount -o allow_gid=50 -o allow_uid=0
	new_queue posix 0 -m 666
	echo one >"$Q/lines"
	as_user 1234:50 ls "$MNT" >/dev/null
	as_user 1234:60:1,50,70 ls "$MNT" >/dev/null
	fails 'Permission denied' as_user 1234:60:1,70 ls "$MNT"
	fails 'Permission denied' as_user 1234:60 ls "$MNT"
	fails 'Permission denied' as_user 50:60 ls "$MNT"
	# The reader is another process than the opener, and need not be listed.
	equals "$(as_user 1234:60:50 bash -c 'cat <"$Q/drain" | cat')" one
	echo two >"$Q/lines"
	equals "$(as_user 1234:60:50 bash -c '/bin/echo three >>"$Q/lines"; exec 8<"$Q/drain"; cat <&8')" $'two\nthree'
	[[ $(as_user 1234:60:50 bash -c 'exec 8<"$Q/status"; cat <&8') == *messages=0* ]]
	echo four >"$Q/lines"
	exec 8<"$Q/drain"
	equals "$(as_user 1236 cat <&8)" four
	exec 8<&-
}

@test "allow_gid: a writer to create and limits/ has to be listed, too" {
	local file
	start_mount -o allow_gid=50
	for file in create limits/msgmax; do
		fails 'Permission denied' setpriv --groups 50 sh -c \
			'exec 9>"$1"; exec setpriv --clear-groups env echo posix/mq/one >&9' sh "$MNT/$file"
	done
	setpriv --groups 50 sh -c 'exec 9>"$1"; env echo posix/mq/two >&9' sh "$MNT/create"
	equals "$(setpriv --groups 50 ls "$MNT/posix/mq")" two
}

@test "rate: a flood from one user gets EAGAIN, and another one works on" {
	start_mount -o rate=400
	new_queue posix 1234
	local flood=$BATS_TEST_TMPDIR/flood.py
	cat >"$flood" <<-'EOF'
	import errno, os
	refused = 0
	while True:
	    try:
	        os.stat(os.environ['MNT'] + '/posix/mq/none')
	    except FileNotFoundError:
	        pass
	    except BlockingIOError:
	        refused += 1
	        if refused == 1000:
	            print('refused', flush=True)
	EOF
	background_output as_user 1235 /usr/bin/python3 "$flood"
	wait_until 'grep -q refused "$OUT"'
	# Each round takes some ten requests, so that this is not too fast.
	local i
	for i in 1 2 3 4 5 6 7 8 9 10; do
		as_user 1234 bash -c 'echo job >"$Q/msg"'
		equals "$(as_user 1234 cat "$Q/msg")" job
		sleep 0.05 # not so many at once that this user has too many, too
	done
	running "$JOB"
}

@test "rate: umount needs no token" {
	start_mount -o rate=1
	ls "$MNT" >/dev/null 2>&1 || :
	fails 'temporarily unavailable' ls "$MNT/posix/mq"
	umount "$MNT"
	daemon_ends
}

@test "the command line goes before the file" {
	settings '# who may' '[ipcfs]' 'allow_uid = 1234, 0' '  1235' 'max_waiters=1' 'hide = no'
	cd "$BATS_TEST_TMPDIR"
	start_mount -o config=config,max_waiters=2
	cd /
	as_user 1234 ls "$MNT" >/dev/null
	as_user 1235 ls "$MNT" >/dev/null
	fails 'Permission denied' as_user 1236 ls "$MNT"
	new_queue posix 1234
	background as_user 1234 cat "$Q/msg"
	background as_user 1234 cat "$Q/msg"
	wait_parked 2
	fails 'temporarily unavailable' as_user 1234 cat "$Q/msg"
	reload 'allow_uid = 1236:0' 'max_waiters = 1'
	# Still two, by the command line; only the whitelist changed.
	fails 'Permission denied' as_user 1235 ls "$MNT"
	as_user 1236 ls "$MNT" >/dev/null
	new_queue sysv 1236
	background as_user 1236 cat "$Q/msg"
	background as_user 1236 cat "$Q/msg"
	wait_parked 4
	fails 'temporarily unavailable' as_user 1236 cat "$Q/msg"
}

@test "reload: a user that is taken off the list loses the open files, too" {
	settings 'allow_uid = 0:1234'
	start_mount -o config="$CONFIG"
	local dir=$BATS_TEST_TMPDIR fd
	new_queue sysv 1234
	mkdir -m 666 "$MNT/posix/shm/memory" "$MNT/posix/sem/lock" "$MNT/posix/mq/jobs"
	echo secret >"$Q/lines"
	mkfifo -m 666 "$dir/go"
	background_output as_user 1234 bash -c '
		exec 3<"$Q/drain" 4>>"$Q/packets" 5<"$Q/status" 6<>"$MNT/create" 7>"$MNT/posix/sem/lock/post" 8<>"$MNT/posix/shm/memory/data"
		echo ready
		read -r _ <'"$dir/go"'
		cat <&3
		echo x >&4
		cat <&5
		echo posix/mq/new >&6
		echo >&7
		echo y >&8
		cd .; ls "$MNT"'
	wait_until 'grep -q ready "$OUT"'
	background_output as_user 1234 cat "$MNT/posix/mq/jobs/msg"
	local waiting=$JOB waiting_output=$OUT
	OUT=${OUT%.*}.0 JOB=${JOBS[0]}
	wait_parked 1
	reload 'allow_uid = 0'
	echo >"$dir/go"
	wait "$JOB" || :
	cat "$OUT"
	equals "$(grep -c 'Permission denied' "$OUT")" 7
	not grep -q -e secret -e messages= "$OUT"
	equals "$(messages)" 1
	[ ! -e "$MNT/posix/mq/new" ]
	# A waiting caller is judged again when a message comes.
	echo job >"$MNT/posix/mq/jobs/msg"
	wait_until 'ended "'"$waiting"'"'
	grep -q 'Permission denied' "$waiting_output"
	equals "$(cat "$MNT/posix/mq/jobs/msg")" job
	reload 'allow_uid = 0:1234'
	equals "$(as_user 1234 cat "$Q/drain")" secret
}

@test "users and groups have names, on the command line and in the file" {
	local daemon tty
	daemon=$(id -u daemon) tty=$(getent group tty | cut -d: -f3)
	settings 'allow_gid = tty'
	start_mount -o config="$CONFIG",allow_uid=root:daemon
	ls "$MNT" >/dev/null
	as_user "$daemon" ls "$MNT" >/dev/null
	as_user "1234:$tty" ls "$MNT" >/dev/null
	fails 'Permission denied' as_user 1234 ls "$MNT"
}

@test "reload: names are looked up behind the filter, without the modules of nsswitch.conf" {
	local daemon
	daemon=$(id -u daemon)
	printf '%s: ldap systemd sss files\n' passwd group >"$BATS_TEST_TMPDIR/nsswitch.conf"
	mount --bind "$BATS_TEST_TMPDIR/nsswitch.conf" /etc/nsswitch.conf
	settings 'allow_uid = 0'
	start_mount -o config="$CONFIG"
	fails 'Permission denied' as_user "$daemon" ls "$MNT"
	reload 'allow_uid = root, daemon' 'allow_gid = tty'
	as_user "$daemon" ls "$MNT" >/dev/null
	settings 'allow_uid = root' 'allow_gid = nobody-of-this-name'
	refuses "$CONFIG:2: allow_gid: there is no group nobody-of-this-name"
	as_user "$daemon" ls "$MNT" >/dev/null
	reload 'allow_uid = root'
	fails 'Permission denied' as_user "$daemon" ls "$MNT"
	stop_mount
	umount /etc/nsswitch.conf
}

@test "a bad file at the start is an error, with its line" {
	settings 'rate = 5' '' 'max_waiters = many'
	run ipcfs -o config="$CONFIG" "$MNT"
	equals "$status" 1
	[[ $output == *"$CONFIG:3: max_waiters: a number from 1 to 1000000 is wanted"* ]]
	settings 'nonsense = 1'
	fails "$CONFIG:1: nonsense" ipcfs -o config="$CONFIG" "$MNT"
	fails 'No such file' ipcfs -o config="$CONFIG.none" "$MNT"
	fails 'not a regular file' ipcfs -o config="$BATS_TEST_TMPDIR" "$MNT"
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	fails 'not a regular file' ipcfs -o config="$BATS_TEST_TMPDIR/fifo" "$MNT"
	settings 'rate = 1'
	chmod o+w "$CONFIG"
	fails 'others than its owner may write it' ipcfs -o config="$CONFIG" "$MNT"
	chmod 664 "$CONFIG"
	fails 'others than its owner may write it' ipcfs -o config="$CONFIG" "$MNT"
	chmod 644 "$CONFIG"
	chown 1234 "$CONFIG"
	fails 'it belongs to user 1234' ipcfs -o config="$CONFIG" "$MNT"
	! mountpoint -q "$MNT"
}

@test "a bad file changes nothing when it is read again, and the log says which line" {
	settings 'allow_uid = 0:1234'
	start_mount -o config="$CONFIG"
	as_user 1234 ls "$MNT" >/dev/null
	settings 'allow_uid = 0' 'rate = 1' 'hide = perhaps'
	refuses "$CONFIG:3: hide: yes or no is wanted"
	settings 'allow_uid = 0' "rate = 1 $(printf '%300s' '')2" 
	refuses "$CONFIG:2: longer than"
	printf 'allow_uid = 0\nrate = 1\0\n' >"$CONFIG"
	refuses "$CONFIG:2: a NUL byte"
	printf 'state = /tmp/x\n' >"$CONFIG"
	refuses "$CONFIG:1: state can't be set in a configuration file"
	# A line that would pretend to be another message.
	printf 'x\e[2J\nallow_uid = 0\n' >"$CONFIG"
	refuses "$CONFIG:1: neither"
	head -c 100000 /dev/zero | tr '\0' '\n' >"$CONFIG"
	refuses 'larger than 65536 bytes'
	# Files that are written, or were cut while they were.
	exec 9>"$CONFIG"
	refuses 'is being written'
	echo 'rate = 1' >&9
	refuses 'is being written'
	exec 9>&-
	printf 'rate = 1\nallow_uid = 0' >"$CONFIG"
	refuses 'does not end with the end of a line'
	: >"$CONFIG"
	refuses 'does not end with the end of a line'
	# A file that is shorter than it was, and ends well.
	settings 'rate = 1'
	refuses 'neither allow_uid nor allow_gid is left'
	settings '# allow_uid = 0:1234'
	refuses 'neither allow_uid nor allow_gid is left'
	chmod g+w "$CONFIG"
	refuses 'others than its owner may write it'
	rm "$CONFIG"
	refuses 'No such file'
	mkfifo "$CONFIG"
	refuses 'not a regular file'
	rm "$CONFIG"; mkdir "$CONFIG"
	refuses 'not a regular file'
	rmdir "$CONFIG"
	not grep -q $'\e' "$LOG"
	as_user 1234 ls "$MNT" >/dev/null
	fails 'Permission denied' as_user 1235 ls "$MNT"
	reload 'allow_uid = 0'
	fails 'Permission denied' as_user 1234 ls "$MNT"
}

@test "the background daemon reads its file again, too" {
	settings 'allow_uid = 0'
	cd "$BATS_TEST_TMPDIR"
	ipcfs -o allow_other,config=config "$MNT"
	DAEMON=$(pgrep -o -x ipcfs) # a helper, which is younger, may have the name for a moment
	fails 'Permission denied' as_user 1234 ls "$MNT"
	settings 'allow_uid = 0:1234'
	kill -HUP "$DAEMON"
	wait_until 'as_user 1234 ls "$MNT" >/dev/null 2>&1'
	umount "$MNT"
	wait_until '! pgrep -x ipcfs'
	DAEMON=''
}

@test "bad values on the command line are an error" {
	local option
	for option in rate=-1 rate=1000001 rate= max_objects=x max_opens=1K allow_uid= allow_gid=: \
		allow_uid=01 allow_gid=4294967295 hide=perhaps rate max_waiters=0; do
		run ipcfs -o "$option" "$MNT"
		equals "$status" 1
		[[ $output == *"option $option"*wanted* ]] || { echo "$output"; return 1; }
	done
	fails 'allow_uid=root:nobody-of-this-name: there is no user nobody-of-this-name' \
		ipcfs -o allow_uid=root:nobody-of-this-name "$MNT"
	equals "$status" 1
	fails 'there is no group nobody-of-this-name' ipcfs -o allow_gid=nobody-of-this-name "$MNT"
	run ipcfs --help
	equals "$status" 0
	for option in allow_uid= allow_gid= max_objects= max_opens= rate= hide config=; do
		[[ $output == *"-o $option"* ]]
	done
}

# names PATH [AS...]: prints what ls shows.
names() {
	local path=$1
	shift
	"${@:-env}" ls "$MNT/$path" | tr '\n' ' '
}

hidden() {
	fails 'No such file' as_user 1236 ls -d "$MNT/$1"
	fails 'No such file' as_user 1236 stat "$MNT/$1"
	fails 'No such file' as_user 1236 cat "$MNT/$1/status"
}

@test "hide: objects that the caller may neither read nor write and does not own are not found" {
	start_mount -o hide
	as_user 1234 mkdir -m 600 "$MNT/posix/mq/mine" "$MNT/posix/shm/mine" "$MNT/posix/sem/mine" \
		"$MNT/sysv/msg/0x00000051" "$MNT/sysv/shm/0x00000051" "$MNT/sysv/sem/0x00000051"
	mkdir -m 640 "$MNT/posix/mq/group"
	chgrp 50 "$MNT/posix/mq/group"
	mkdir -m 602 "$MNT/posix/mq/write" "$MNT/sysv/msg/0x00000052"
	as_user 1236 mkdir -m 000 "$MNT/posix/mq/zero"
	local class id
	id=$(sed -n 's/^id=//p' "$MNT/sysv/msg/0x00000051/status")

	# The owner and root look first: the kernel's cache must keep nothing of that.
	for class in posix/mq posix/shm posix/sem sysv/msg sysv/shm sysv/sem; do
		ls -l "$MNT/$class" >/dev/null
		as_user 1234 ls -l "$MNT/$class" >/dev/null
		case $class in
		posix/*) hidden "$class/mine" ;;
		*) hidden "$class/0x00000051" ;;
		esac
	done
	stat "$MNT/sysv/msg/0x51" "$MNT/sysv/by-id/msg/$id" "$MNT/sysv/msg/$id" >/dev/null
	hidden sysv/msg/0x51
	hidden "sysv/msg/$id"
	fails 'No such file' as_user 1236 readlink -v "$MNT/sysv/by-id/msg/$id"
	fails 'No such file' as_user 1236 rmdir "$MNT/posix/mq/mine"
	[[ $(names sysv/by-id/msg) == *"$id"* ]]
	[[ $(names sysv/by-id/msg as_user 1236) != *"$id "* ]]

	equals "$(names posix/mq)" 'group mine write zero '
	equals "$(names posix/mq as_user 1234)" 'mine write '
	equals "$(names posix/mq as_user 1236)" 'write zero '
	equals "$(names posix/mq as_user 1236:50)" 'group write zero '
	equals "$(names posix/mq as_user 1236:60:7,50)" 'group write zero '
	equals "$(names posix/mq as_weak_root)" 'group write '
	equals "$(names sysv/msg)" '0x00000051 0x00000052 '
	equals "$(names sysv/msg as_user 1236)" '0x00000052 '
	equals "$(names posix/shm as_user 1236)$(names posix/sem as_user 1236)" ''
	equals "$(names sysv/shm as_user 1236)$(names sysv/sem as_user 1236)" ''

	# The name is still taken.
	fails 'File exists' as_user 1236 mkdir "$MNT/posix/mq/mine"
	fails 'File exists' as_user 1236 mkdir "$MNT/sysv/sem/0x51"
	# A creator who gave it away, and a user who is let in.
	chown 1235 "$MNT/sysv/msg/0x00000051"
	chmod 0 "$MNT/sysv/msg/0x00000051"
	equals "$(names sysv/msg as_user 1234)" '0x00000051 0x00000052 '
	chmod 660 "$MNT/posix/mq/mine"; chgrp 1236 "$MNT/posix/mq/mine"
	as_user 1236 ls -d "$MNT/posix/mq/mine"
	chmod 600 "$MNT/posix/mq/mine"
	hidden posix/mq/mine
	setfacl -m u:1236:w "$MNT/posix/mq/mine" "$MNT/posix/shm/mine" "$MNT/sysv/sem/0x00000051"
	as_user 1236 ls -d "$MNT/posix/mq/mine" "$MNT/posix/shm/mine" "$MNT/sysv/sem/0x00000051"
	equals "$(names posix/shm as_user 1236)" 'mine '
}

@test "hide: what was made by a short key is seen by nobody else" {
	start_mount -o hide
	as_user 1234 mkdir "$MNT/sysv/msg/0x51"
	fails 'No such file' as_user 1236 stat "$MNT/sysv/msg/0x51"
	as_user 1234 stat "$MNT/sysv/msg/0x51" >/dev/null
}

@test "hide: can be set and taken back while the mount is there" {
	settings ''
	start_mount -o config="$CONFIG"
	new_queue posix 1234
	as_user 1236 stat "$Q" >/dev/null
	reload 'hide = yes'
	fails 'No such file' as_user 1236 stat "$Q"
	reload 'hide = no'
	as_user 1236 stat "$Q" >/dev/null
}

@test "max_objects: all classes count together, and the log names the limit" {
	start_mount -o max_objects=6
	as_user 1234 mkdir "$MNT"/{posix/{mq,shm,sem}/a,sysv/{msg,shm,sem}/0x1}
	local name
	for name in posix/{mq,shm,sem}/b sysv/{msg,shm,sem}/0x2; do
		fails 'No space left' as_user 1234 mkdir "$MNT/$name"
	done
	fails 'No space left' as_user 1234 bash -c 'echo posix/mq/b >"$MNT/create"'
	grep "uid 1234: posix/mq/b: more than max_objects allows" "$LOG"
	as_user 1235 mkdir "$MNT/posix/mq/b"
	as_user 1234 rmdir "$MNT/posix/sem/a"
	# Objects made by direct calls count, too. For System V the owner does not matter.
	as_user 1234 ipcmk -Q >/dev/null
	fails 'No space left' as_user 1234 mkdir "$MNT/posix/sem/a"
	chown 1235 "$MNT/sysv/msg/0x00000001"
	fails 'No space left' as_user 1234 mkdir "$MNT/posix/sem/a"
	chown 1235 "$MNT/posix/mq/a"
	as_user 1234 mkdir "$MNT/posix/sem/a"
	fails 'File exists' as_user 1235 mkdir "$MNT/posix/sem/a"
}

objects() {
	ls -d "$MNT"/{posix,sysv}/{msg,mq,shm,sem}/* 2>/dev/null | wc -l
}

@test "max_objects: many makers at once don't get past it" {
	start_mount -o max_objects=4
	cat >"$BATS_TEST_TMPDIR/makers.py" <<-'EOF'
	import os, threading
	# mkdir(2)s in one directory wait for each other.
	classes = ['posix/mq/q', 'posix/shm/q', 'posix/sem/q', 'sysv/msg/0x', 'sysv/shm/0x', 'sysv/sem/0x']
	def make(n):
	    start.wait()
	    for i in range(20):
	        try:
	            os.mkdir(os.environ['MNT'] + '/%s%d%02d' % (classes[n % 6], n + 1, i))
	        except OSError:
	            pass
	start = threading.Barrier(18)
	threads = [threading.Thread(target=make, args=(n,)) for n in range(18)]
	for t in threads: t.start()
	for t in threads: t.join()
	EOF
	as_user 1234 /usr/bin/python3 "$BATS_TEST_TMPDIR/makers.py"
	[ "$(objects)" -le 4 ]
	# One after the other they get their whole share.
	as_user 1234 bash -c 'for i in {1..20}; do mkdir "$MNT/posix/sem/s$i" 2>/dev/null; done' || :
	equals "$(objects)" 4
}

@test "max_opens is not reached by closed files, however many threads open and close them" {
	start_mount -o max_opens=600
	mkdir "$MNT/sysv/msg/0x51"
	python3 -c 'import os, sys, threading, time
path, end, errors, opens = sys.argv[1], time.monotonic() + 2, [], []
def run():
    count = 0
    try:
        while time.monotonic() < end:
            os.close(os.open(path, os.O_RDONLY))
            count += 1
    except OSError as e:
        errors.append(e)
    opens.append(count)
threads = [threading.Thread(target=run) for _ in range(64)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not errors, (errors[0], len(errors))
assert sum(opens) > 600, opens' "$MNT/sysv/msg/0x00000051/msg"
}

@test "max_opens: files and directories, per user" {
	start_mount -o max_opens=20
	new_queue posix 1234
	local script='
	import os, signal
	n, files = 0, []
	try:
	    while n < 100:
	        files.append(os.open(os.environ["MNT"] + ("/posix/mq" if n % 2 else "/posix/mq/queue1/msg"), os.O_RDONLY))
	        n += 1
	except OSError as e:
	    print(n, e.strerror, flush=True)
	signal.pause()'
	printf '%s\n' "$script" | sed 's/^\t//' >"$BATS_TEST_TMPDIR/opens.py"
	background_output as_user 1234 /usr/bin/python3 "$BATS_TEST_TMPDIR/opens.py"
	wait_until 'grep -q . "$OUT"'
	equals "$(cat "$OUT")" '20 Too many open files'
	fails 'Too many open files' as_user 1234 cat "$Q/status"
	# Names can still be looked up, and others open what they like.
	as_user 1234 stat "$Q" >/dev/null
	as_user 1235 ls "$MNT/posix/mq" >/dev/null
	kill "$JOB"
	wait_until 'as_user 1234 cat "$Q/status" >/dev/null 2>&1'
}

@test "without settings no user is refused anything" {
	start_mount
	as_user 1234 mkdir -m 600 "$MNT/posix/mq/mine"
	as_user 1235 stat "$MNT/posix/mq/mine" >/dev/null
	equals "$(names posix/mq as_user 1235)" 'mine '
}
