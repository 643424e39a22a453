# SPDX-License-Identifier: MIT
# -o namespaces against a hostile container: every way to objects and files of other containers or
# of the host. Containers with a user namespace have all capabilities in it; the others have what
# docker leaves (`inside`).
# shellcheck shell=bash disable=SC2010,SC2011,SC2012,SC2016,SC2030,SC2031,SC2034,SC2153,SC2154
load common
load namespaces

# A victim with an object of each class that is open to all, and an attacker of each sort. Nothing
# of the victim may change.
victim_and_attackers() {
	container victim
	inside victim sh -c "$MAKE; chmod 666 */*/jobs */*/seg */*/lock */*/0x*" sh truth 5
	container rootful
	container -u rootless
	container -s shared
	ATTACKERS=(rootful rootless shared)
}

victim_is_well() {
	equals "$(listed "$(view victim)")" "$ONE_OF_EACH"
	equals "$(inside victim sh -c "$TAKE_DIRECTLY")" 'truth truth truth 5 5'
	equals "$(inside victim cat /proc/sys/kernel/msgmax)" 8192
	equals "$(cat /proc/sys/kernel/msgmax)" 8192
}

@test "a guessed number, of the host or of a container, is no way in" {
	local who number at
	serve
	mkdir "$MNT/posix/mq/hosts"
	chmod 666 "$MNT/posix/mq/hosts"
	victim_and_attackers
	for who in "${ATTACKERS[@]}"; do
		for number in "$HOST" "${INUM[victim]}"; do
			at=$MNT/ns/$number
			# Even if a caller that may has looked it up a moment ago.
			ls -lR "$at" >/dev/null
			cat "$at"/limits/msgmax "$at"/posix/mq/*/status >/dev/null
			run inside "$who" bash -c 'cd "$MNT/self" || exit
				at=$1
				for path in "" / /posix /posix/mq /posix/mq/jobs /posix/mq/hosts /posix/shm/seg/data /sysv/msg/0x51 /limits/msgmax /create; do
					stat "$at$path" && echo "GOT stat $path"
					ls "$at$path" && echo "GOT ls $path"
					[ -e "$at$path" ] && echo "GOT test $path"
					cat "$at$path" && echo "GOT cat $path"
					chmod 777 "$at$path" && echo "GOT chmod $path"
					chown 1000 "$at$path" && echo "GOT chown $path"
					setfacl -m u:0:rw "$at$path" && echo "GOT setfacl $path"
					touch -c "$at$path" && [ -e "$at$path" ] && echo "GOT touch $path"
					readlink -e "$at$path" && echo "GOT readlink $path"
				done
				mkdir "$at/posix/mq/made" && echo GOT mkdir
				rmdir "$at/posix/mq/jobs" && echo GOT rmdir
				rmdir "$at/posix/mq/hosts" && echo GOT rmdir
				echo 5000 >"$at/limits/msgmax" && echo GOT limits
				echo "posix/mq/made" >"$at/create" && echo GOT create
				echo x >"$at/posix/mq/jobs/msg" && echo GOT msg
				echo x >"$at/sysv/msg/0x51/msg" && echo GOT msg
				cd "$at" && echo GOT cd
				mv "$at/posix" "$MNT/self/x" && echo GOT mv
				true' sh "$at"
			equals "$status $(grep GOT <<<"$output")" '0 '
			# all with the same error
			equals "$(grep -v -E 'No such file|cannot touch' <<<"$output")" ''
		done
	done
	equals "$(listed)" 'posix/mq/hosts'
	victim_is_well
}

@test "dots and links lead nowhere else" {
	local who path
	serve
	victim_and_attackers
	for who in "${ATTACKERS[@]}"; do
		equals "$(inside "$who" sh -c 'ls "$MNT/self/.." "$MNT/posix/../.." "$MNT/pid/1/.." | grep -x "[0-9][0-9]*" | sort -u' 2>/dev/null)" \
			"${INUM[$who]}"
		for path in "self/../$HOST" "posix/../../${INUM[victim]}/posix" "self/../../ns/$HOST/limits/msgmax" \
			"self/posix/mq/../../../${INUM[victim]}" "pid/../ns/$HOST" "posix/mq/../../../$HOST/create"; do
			refused ENOENT inside "$who" cat "$MNT/$path"
		done
		for path in ../x ../../../x x/../../y "../../../$HOST/posix/mq/x" . ..; do
			run inside "$who" mkdir "$MNT/posix/mq/$path"
			[ "$status" != 0 ]
			run inside "$who" sh -c 'echo "posix/mq/$1" >"$MNT/create"; echo "ns/$2/posix/mq/x" >"$MNT/create"
				echo "$MNT/ns/$2/posix/mq/x" >"$MNT/create"; echo "../$2/posix/mq/x" >"$MNT/create"' sh "$path" "${INUM[victim]}"
			[ "$status" != 0 ]
		done
		equals "$(inside "$who" ls -A "$MNT/posix/mq" /dev/shm | grep -v : | xargs)" ''
	done
	equals "$(listed)" ''
	victim_is_well
}

@test "pid/ shows a container nothing of other containers' processes" {
	local who pid
	serve
	victim_and_attackers
	for who in "${ATTACKERS[@]}"; do
		# These are its own numbers, or, if it sees the daemon's, processes of others.
		for pid in "${PID[victim]}" "${HOLDER[victim]}" "$DAEMON" "$$"; do
			refused ENOENT inside "$who" cat "$MNT/pid/$pid/limits/msgmax"
			refused ENOENT inside "$who" ls "$MNT/pid/$pid/"
			run inside "$who" readlink "$MNT/pid/$pid"
			equals "$status $output" '1 '
			refused ENOENT inside "$who" mkdir "$MNT/pid/$pid/posix/mq/x"
		done
	done
	equals "$(inside rootful readlink "$MNT/pid/1")" "../ns/${INUM[rootful]}"
	equals "$(inside rootless readlink "$MNT/pid/1")" "../ns/${INUM[rootless]}"
	run inside shared readlink "$MNT/pid/1"
	equals "$status $output" '1 '
	victim_is_well
}

@test "a directory that was passed on allows looking only" {
	local who answers answer class file
	serve
	victim_and_attackers
	for who in "${ATTACKERS[@]}"; do
		for class in posix/mq/jobs sysv/msg/0x00000051 posix/shm/seg sysv/sem/0x00000052; do
			answers=$(pass victim "$who" dir "$MNT/${class%/*}" setpriv --bounding-set "$CAPABILITIES" -- \
				namespaces.py tries 9 "${class##*/}")
			echo "$who $class: $answers"
			equals "$(wc -w <<<"$answers")" 14
			for answer in $answers; do
				case $answer in
				open:EACCES | status:EACCES | write:EACCES | list:EACCES | mkdir:EACCES) ;;
				relative:EACCES | rmdir:EACCES | above:EACCES | create:EACCES) ;;
				# The kernel also checks who may change an object.
				chmod:EACCES | chown:EACCES | setfacl:EACCES | chown:EPERM | chmod:EPERM | setfacl:EPERM) ;;
				# Such files do not exist.
				# It may be looked at, which shows nothing of its contents.
				access:* | chdir:*) ;;
				write:ENOENT | relative:ENOENT) [[ $class != */msg/* && $class != */mq/* ]] ;;
				*) return 1 ;;
				esac
			done
		done
		# A namespace's own directory, and the object's.
		for file in posix/mq/jobs sysv/msg/0x51; do
			run pass victim "$who" dir "$MNT/$file" setpriv --bounding-set "$CAPABILITIES" -- \
				bash -c 'cd /proc/self/fd/9/ && cat drain status && echo x >msg && chmod 777 . && rmdir ../jobs'
			[ "$status" != 0 ]
			refused EACCES pass victim "$who" dir "$MNT/$file" setpriv --bounding-set "$CAPABILITIES" -- cat /proc/self/fd/9/drain
		done
		refused EACCES pass victim "$who" dir "$MNT/self" setpriv --bounding-set "$CAPABILITIES" -- \
			cat /proc/self/fd/9/limits/msgmax
		refused EACCES pass host "$who" dir "$MNT/self" setpriv --bounding-set "$CAPABILITIES" -- \
			sh -c 'echo 5000 >/proc/self/fd/9/limits/msgmax'
		refused EACCES pass host "$who" dir "$MNT/self" setpriv --bounding-set "$CAPABILITIES" -- \
			sh -c 'echo posix/mq/x >/proc/self/fd/9/create'
		# A directory of the tree above leads to the caller's own namespace.
		refused ENOENT pass host "$who" dir "$MNT/ns" setpriv --bounding-set "$CAPABILITIES" -- ls "/proc/self/fd/9/$HOST/"
		refused ENOENT pass host "$who" dir "$MNT/ns" setpriv --bounding-set "$CAPABILITIES" -- \
			cat "/proc/self/fd/9/${INUM[victim]}/limits/msgmax"
		equals "$(pass host "$who" dir "$MNT" setpriv --bounding-set "$CAPABILITIES" -- readlink /proc/self/fd/9/self)" \
			"ns/${INUM[$who]}"
	done
	equals "$(listed)" ''
	victim_is_well
}

@test "an open file that was passed on is judged by its opener" {
	local who queue
	serve
	victim_and_attackers
	for who in "${ATTACKERS[@]}"; do
		for queue in posix/mq/jobs sysv/msg/0x51; do
			equals "$(pass victim "$who" rw "$MNT/$queue/packets" bash -c 'dd <&9 bs=8192 count=1 status=none; printf truth >&9')" truth
			equals "$(pass victim "$who" r "$MNT/$queue/status" setpriv --bounding-set "$CAPABILITIES" -- cat /dev/fd/9 2>&1 | grep -c ^messages=)" 0 # a new open
			equals "$(pass victim "$who" r "$MNT/$queue/status" sh -c 'cat <&9' | grep -c ^messages=)" 1
		done
		equals "$(pass victim "$who" r "$MNT/posix/shm/seg/data" sh -c 'cat <&9')" truth
	done
	victim_is_well
}

@test "create and limits that were passed on make and change nothing" {
	local who
	serve
	victim_and_attackers
	for who in "${ATTACKERS[@]}"; do
		# The request has the writer's rights, and the writer has none there.
		refused 'EACCES|EPERM' pass victim "$who" rw "$MNT/create" setpriv --bounding-set "$CAPABILITIES" -- \
			bash -c 'echo posix/mq/made >&9'
		refused 'EACCES|EPERM' pass host "$who" rw "$MNT/create" setpriv --bounding-set "$CAPABILITIES" -- \
			bash -c 'echo sysv/msg/0x99 >&9'
		refused 'EACCES|EPERM' pass victim "$who" w "$MNT/limits/msgmax" setpriv --bounding-set "$CAPABILITIES" -- \
			bash -c 'echo 5000 >&9'
		refused 'EACCES|EPERM' pass host "$who" w "$MNT/limits/msgmax" setpriv --bounding-set "$CAPABILITIES" -- \
			bash -c 'echo 5000 >&9'
		equals "$(listed "$(view "$who")")" ''
	done
	equals "$(listed)" ''
	victim_is_well
}

@test "a caller that changes its namespace between open and use, or between two lookups" {
	serve
	mkdir "$MNT/posix/mq/jobs" "$MNT/sysv/sem/0x52"
	chmod 666 "$MNT/posix/mq/jobs" "$MNT/sysv/sem/0x52"
	as_user "$PEER" namespaces.py switch "$MNT"
	equals "$(mqtool posix jobs receive)" after
	wait_until '[ "$(semtool sysv 0x52 get 0)" = 1 ]'
	equals "$(listed)" 'posix/mq/jobs sysv/sem/0x00000052'
	chmod 666 "$MNT/posix/mq/jobs"
	namespaces.py switch "$MNT"
	equals "$(mqtool posix jobs receive)" after
	wait_until '[ "$(semtool sysv 0x52 get 0)" = 1 ]'
}

# Tries every way to the target of /dev/shm of the container `hostile`, from inside and from the
# host; $1 is a file there.
PROBE='cd "$1" || exit
for kind in posix/shm posix/sem; do
	ls -A $kind
	mkdir $kind/new 2>/dev/null && echo "GOT mkdir $kind/new"
	for file in $2 new; do
		cat $kind/$file/data && echo "GOT cat $file"
		cat $kind/$file/value && echo "GOT cat $file"
		rmdir $kind/$file && echo "GOT rmdir $file"
		chmod 666 $kind/$file && echo "GOT chmod $file"
	done 2>/dev/null
	echo "$kind/new" 2>/dev/null >create && echo "GOT create $kind"
done
# Everything else exists.
mkdir sysv/msg/0x00000077
rmdir sysv/msg/0x00000077'
nothing_is_shown() {
	equals "$(inside hostile bash -c "$PROBE" sh "$MNT" "$1" 2>&1)" ''
	equals "$(bash -c "$PROBE" sh "$(view hostile)" "$1" 2>&1)" ''
	refused ENOENT inside hostile mkdir "$MNT/posix/shm/new"
	refused ENOENT mkdir "$(view hostile)/posix/sem/new"
}

@test "a /dev/shm that leads elsewhere shows nothing of its target" {
	local sort script place at=$BATS_TEST_TMPDIR scripts
	serve
	mkdir "$at/closed" "$at/root" "$at/open" "$at/other"
	mount -t tmpfs -o mode=700 tmpfs "$at/closed" # the files in it are open to all
	mount -t tmpfs -o mode=755,uid=5 tmpfs "$at/root"
	mount -t tmpfs -o mode=1777 tmpfs "$at/open"
	mount -t ramfs -o mode=1777 ramfs "$at/other"
	for place in "$at/closed" "$at/root" "$at/open" "$at/other" /dev/shm; do
		echo secret >"$place/passwd"
		chmod 666 "$place/passwd"
	done
	# This is not the real /etc: a wrong build would remove what it finds.
	scripts=("mount -t tmpfs tmpfs /dev; ln -s $at/other /dev/shm"
		"mount -t tmpfs tmpfs /dev; ln -s ../../../..$at/other /dev/shm"
		"mount -t tmpfs tmpfs /dev; ln -s . /dev/dev; ln -s /proc/1/root$at/other /dev/shm"
		"mount -t tmpfs tmpfs /dev; ln -s $at/open /dev/shm"
		'mount -t tmpfs -o mode=1777 tmpfs /mnt; mkdir -m 1777 /mnt/shm; echo >/mnt/shm/passwd; mount -t tmpfs tmpfs /dev; ln -s /mnt/shm /dev/shm'
		'mount -t tmpfs tmpfs /dev; echo >/dev/shm'
		'mount -t tmpfs tmpfs /dev'
		"mount --bind $at/closed /dev/shm"
		"mount --bind $at/root /dev/shm"
		"mount --bind $at/other /dev/shm")
	for sort in '' -u; do
		for script in "${scripts[@]}"; do
			# Half of the ways are enough for the second sort.
			[ "$sort" = -u ] || [[ $script != *tmpfs* || $script == */proc/1/* ]] || continue
			echo "with $sort: $script"
			# shellcheck disable=SC2086 # an option, or none
			container $sort hostile "$script"
			nothing_is_shown passwd
			end_container hostile
		done
	done
	# The host's /dev/shm, through a process that the container sees.
	container -s hostile "mount -t tmpfs tmpfs /dev; ln -s /proc/$$/root/dev/shm /dev/shm"
	nothing_is_shown passwd
	for place in "$at/closed" "$at/root" "$at/open" "$at/other" /dev/shm; do
		equals "$(ls -A "$place") $(cat "$place/passwd") $(stat -c %a "$place/passwd")" 'passwd secret 666'
	done
	umount "$at/closed" "$at/root" "$at/open" "$at/other"
}

@test "a /dev that is a link, in a root of the caller's own, shows nothing of its target" {
	local root
	serve
	container -u box 'mount -t tmpfs -o mode=1777 tmpfs /dev/shm; mount -t tmpfs -o mode=755 tmpfs /mnt; cd /mnt
		for root in link up absolute real; do mkdir -p $root/place/shm; chmod 1777 $root/place/shm; echo x >$root/place/shm/passwd; done
		ln -s place link/dev; ln -s ../real/dev up/dev; ln -s /place absolute/dev; mv real/place real/dev
		mount -t tmpfs -o mode=1777 tmpfs real/dev/shm; echo x >real/dev/shm/passwd'
	for root in link up absolute real; do
		equals "$(inside box python3 -c 'import os, sys
mount = os.open(os.environ["MNT"], os.O_RDONLY)
os.chroot(sys.argv[1])
os.chdir("/")
names = os.listdir(os.open("posix/shm", os.O_RDONLY, dir_fd=mount))
try:
    os.mkdir("posix/shm/new", dir_fd=mount)
    names.append("made")
except FileNotFoundError:
    names.append("refused")
print(*names)' "/mnt/$root")" "$([ $root = real ] && echo passwd made || echo refused)"
	done
	equals "$(inside box find /mnt /dev/shm "$MNT/posix/shm" -name new)" /mnt/real/dev/shm/new
}

@test "a /dev/shm of a user's own is shown where all may see it" {
	serve
	container -u hostile 'mount -t tmpfs -o mode=755 tmpfs /dev; mkdir /dev/shm; echo 1 >/dev/shm/seg'
	equals "$(inside hostile ls "$MNT/posix/shm") $(ls "$(view hostile)/posix/shm")" 'seg seg'
	end_container hostile
	container -u hostile 'mount -t tmpfs -o mode=755 tmpfs /dev; mkdir -m 700 /dev/shm; echo 1 >/dev/shm/seg'
	nothing_is_shown seg
}

@test "a /dev/shm that changes between two lookups shows nothing of its target" {
	local sort other=$BATS_TEST_TMPDIR/other closed=$BATS_TEST_TMPDIR/closed open=$BATS_TEST_TMPDIR/open
	local watchers name seconds=1
	[ "$SLOW" = 1 ] || seconds=3
	serve
	mkdir "$other" "$closed" "$open"
	mount -t ramfs -o mode=1777 ramfs "$other"
	mount -t tmpfs -o mode=700 tmpfs "$closed"
	mount -t tmpfs -o mode=1777 tmpfs "$open"
	echo secret | tee "$other/passwd" "$closed/passwd" >"$open/passwd"
	for sort in '' -u; do
		name=swaps${sort#-}
		# shellcheck disable=SC2086 # an option, or none
		container $sort "$name" 'mount -t tmpfs -o mode=755 tmpfs /dev; mkdir -m 1777 /dev/shm; echo mine >/dev/shm/mine; : >/dev/null; chmod 666 /dev/null'
		background enter "$name" namespaces.py swap "$other" "$closed" "link:$open" "link:/proc/1/root$open"
		watchers=()
		background_output namespaces.py watch "$seconds" "$(view "$name")/posix/shm"
		watchers+=("$JOB" "$OUT")
		background_output inside "$name" namespaces.py watch "$seconds" "$MNT/posix/shm"
		watchers+=("$JOB" "$OUT")
		wait "${watchers[0]}"
		wait "${watchers[2]}"
		equals "$(cat "${watchers[1]}")" $'mine\nread 0'
		equals "$(cat "${watchers[3]}")" $'mine\nread 0'
		equals "$(ls -A "$other" "$closed" "$open" | grep -v : | xargs)" 'passwd passwd passwd'
	done
	[ ! -e /dev/shm/swapped ]
	kill -KILL "$JOB" "${JOBS[@]}" 2>/dev/null || :
	umount -l "$other" "$closed" "$open"
}

@test "only plain files of its /dev/shm are shown" {
	local name at
	serve
	echo secret >"$BATS_TEST_TMPDIR/outside"
	chmod 666 "$BATS_TEST_TMPDIR/outside"
	container -u one 'mount -t tmpfs -o mode=1777 tmpfs /dev/shm'
	container two
	for name in one two; do
		enter "$name" sh -c 'cd /dev/shm; ln -s "$1/outside" link; ln -s "$1/outside" sem.link; ln -s "$1" directory-link; ln -s loop loop
			mkfifo fifo sem.fifo; mkdir directory sem.directory; mknod device c 1 5; mknod sem.device c 1 5
			python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\"socket\")"
			: >mounted; mount --bind "$1/outside" mounted; echo real >real; exit 0' sh "$BATS_TEST_TMPDIR" 2>/dev/null
		equals "$(inside "$name" ls "$MNT/posix/shm") $(inside "$name" ls "$MNT/posix/sem")" 'real '
		equals "$(ls "$(view "$name")/posix/shm") $(ls "$(view "$name")/posix/sem")" 'real '
		for file in shm/link shm/loop shm/fifo shm/directory shm/device shm/socket shm/mounted shm/directory-link sem/link sem/fifo; do
			refused ENOENT inside "$name" ls "$MNT/posix/$file/"
			refused ENOENT inside "$name" bash -c 'echo x >"$1"' sh "$MNT/posix/$file/data"
			refused ENOENT cat "$(view "$name")/posix/$file/data"
			refused ENOENT rmdir "$(view "$name")/posix/$file"
			refused ENOENT chmod 666 "$(view "$name")/posix/$file"
		done
	done
	equals "$(cat "$BATS_TEST_TMPDIR/outside")" secret
}

@test "an object that becomes a link is not followed" {
	serve
	echo secret >"$BATS_TEST_TMPDIR/outside"
	chmod 600 "$BATS_TEST_TMPDIR/outside"
	container -u one
	background inside one sh -c 'cd /dev/shm; while :; do ln -s "$1" new; mv new x; echo plain >new; chmod 666 new; mv new x; done' \
		sh "$BATS_TEST_TMPDIR/outside"
	wait_until '[ -e "$(view one)/posix/shm/x" ]'
	local i seen=''
	for i in {1..80}; do
		seen+=$(cat "$(view one)/posix/shm/x/data" 2>/dev/null || :)
		chmod 666 "$(view one)/posix/shm/x" 2>/dev/null || :
		echo scribble 2>/dev/null >"$(view one)/posix/shm/x/data" || :
	done
	[[ $seen != *secret* ]]
	[[ $seen == *plain* ]]
	equals "$(cat "$BATS_TEST_TMPDIR/outside") $(stat -c %a "$BATS_TEST_TMPDIR/outside")" 'secret 600'
}

@test "root of a user namespace inside the container has only the rights of its own user" {
	local class
	serve
	container -u box
	container -s plain
	for box in box plain; do
		inside "$box" sh -c "$MAKE" sh truth 5
		run inside_as "$box" 1000 unshare --user --map-root-user bash -c '
			exec 2>/dev/null
			[ "$(id -u)" = 0 ] || echo not root
			cd "$MNT"
			[ "$(ls ns)" = "$1" ] || echo other namespaces
			for file in posix/mq/jobs/packets sysv/msg/0x51/packets posix/shm/seg/data sysv/shm/0x53/data posix/sem/lock/value sysv/sem/0x52/0/value; do
				dd if=$file of=/dev/null iflag=nonblock count=0 status=none && echo read $file
				dd if=/dev/null of=$file oflag=nonblock conv=notrunc count=0 status=none && echo write $file
			done
			for object in posix/mq/jobs sysv/msg/0x51 posix/shm/seg sysv/shm/0x53 posix/sem/lock sysv/sem/0x52; do
				chmod 666 $object && echo chmod $object
				chown 0 $object && echo chown $object
				setfacl -m u:0:rw $object && echo setfacl $object
				rmdir "$(readlink -f $object)" && echo rmdir $object
			done
			echo 5000 >limits/msgmax && echo limits
			echo 5000 >sysv/msg/0x51/qbytes && echo qbytes
			true' sh "${INUM[$box]}"
		equals "$status $output" '0 '
		equals "$(inside "$box" sh -c "$TAKE")" 'truth truth truth truth 5 5'
		# It has its own rights.
		inside_as "$box" 1000 unshare --user --map-root-user sh -ec 'cd "$MNT"; mkdir sysv/msg/0x91 posix/mq/own posix/shm/own
			chmod 640 sysv/msg/0x91; echo x >posix/mq/own/msg; [ "$(stat -c %u posix/mq/own sysv/msg/0x91 | uniq)" = 0 ]
			rmdir sysv/msg/0x00000091 posix/mq/own posix/shm/own'
	done
}

@test "user 0 without capabilities may use what user 0 owns" {
	local box object
	serve
	container -s plain
	container -u box
	for box in plain box; do
		inside_as "$box" 1000 sh -c "$MAKE" sh truth 5
		for object in $ONE_OF_EACH; do
			# User 0 owns /dev/shm, and the directory of the queues.
			[[ $object = posix/* ]] || refused EPERM inside_weak "$box" rmdir "$MNT/$object"
			refused EPERM inside_weak "$box" chmod 666 "$MNT/$object"
			refused EPERM inside_weak "$box" chown 0 "$MNT/$object"
		done
		for object in posix/mq/jobs/drain sysv/msg/0x51/drain posix/shm/seg/data sysv/shm/0x53/data posix/sem/lock/value sysv/sem/0x52/values; do
			refused EACCES inside_weak "$box" cat "$MNT/$object"
		done
		refused 'EACCES|EPERM' inside_weak "$box" bash -c 'echo 5000 >"$MNT/limits/msgmax"'
		equals "$(inside_as "$box" 1000 sh -c "$TAKE")" 'truth truth truth truth 5 5'
		inside_weak "$box" sh -ec 'mkdir "$MNT/sysv/msg/0x92"; chmod 640 "$MNT/sysv/msg/0x92"; rmdir "$MNT/sysv/msg/0x00000092"'
	done
}

@test "the capabilities that docker leaves to root count for files, not for System V" {
	serve
	container plain
	inside_as plain 1000 sh -c "$MAKE" sh truth 5
	# As by the direct calls: with CAP_DAC_OVERRIDE, without CAP_IPC_OWNER and CAP_SYS_ADMIN.
	equals "$(inside plain cat "$MNT/posix/shm/seg/data" "$MNT/posix/mq/jobs/drain" | xargs)" truthtruth
	fails EACCES inside plain mqtool sysv 0x51 receive
	refused EACCES inside plain cat "$MNT/sysv/msg/0x51/drain"
	refused EACCES inside plain cat "$MNT/sysv/sem/0x52/values"
	fails EPERM inside plain objtool sysv/msg 0x51 remove
	refused EPERM inside plain rmdir "$MNT/sysv/msg/0x00000051"
	refused EPERM inside plain chmod 666 "$MNT/sysv/msg/0x51"
	inside plain chmod 640 "$MNT/posix/mq/jobs"
	inside plain rmdir "$MNT/posix/mq/jobs"
}

@test "a container does not use the host's capabilities through its links" {
	serve
	mkdir "$MNT/sysv/msg/0x51"
	container rootful
	container -u rootless
	local who
	for who in rootful rootless; do
		# It is the same mount: a part of it that is bound in or moved is still judged by
		# the caller.
		enter "$who" sh -ec 'mkdir "$1/bound"; mount --bind "$MNT" "$1/bound"; [ "$(readlink "$1/bound/self")" = "ns/$2" ]
			umount "$1/bound"; rmdir "$1/bound"' sh "$BATS_TEST_TMPDIR" "${INUM[$who]}"
		equals "$(inside "$who" ls "$MNT/sysv/msg")" ''
	done
}

@test "files of this mount in the place of a caller's /dev or /dev/shm block no caller" {
	local place
	serve
	for place in "$MNT /dev" "$MNT/self/posix/mq /dev/shm"; do
		# shellcheck disable=SC2086 # two words
		as_user "$PEER" unshare -Urm sh -c 'mount --rbind "$1" "$2"
			for i in 1 2 3 4 5 6; do
				(n=0; while [ $n -lt 100 ]; do [ -e "$3" ]; n=$((n + 1)); done) <&0 &
			done; wait' sh $place "$MNT/ns/$HOST/posix" &
		JOBS+=($!)
		JOB=$!
		wait_until '! running "$JOB"' || { kill -KILL "$DAEMON"; return 1; }
		ls "$MNT/posix/mq"
	done
}

@test "a list of the host is not looked for in the namespace of the thread that made it" {
	local i
	serve
	container first
	inside first sh -c 'ipcmk -Q >/dev/null'
	ipcmk -Q -p 0600 >/dev/null
	mkdir "$MNT/posix/mq/jobs"
	for i in 1 2 3 4 5 6 7 8; do
		cat "$(view first)"/sysv/msg/*/status >/dev/null
	done
	setfacl -m u:1234:rw "$MNT/posix/mq/jobs"
	setfacl -m u:1234:r "$MNT"/sysv/msg/0x*
	meanwhile 1.2 # two checks of all lists
	getfacl -cp "$MNT"/sysv/msg/0x* | grep -q 1234
}

# In a container: a FUSE file system that answers no stat(2) while $BATS_TEST_TMPDIR/stuck exists,
# below an overlay, whose file is bound over files of /dev/shm. $1: the test's directory.
STUCK='mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs tmpfs /mnt
mkdir /mnt/fuse /mnt/upper /mnt/work /mnt/overlay
stuckfs /mnt/fuse "$STUCK_WHILE" & until mountpoint -q /mnt/fuse; do sleep 0.02; done
mount -t overlay -o lowerdir=/mnt/fuse,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/overlay
for i in 1 2 3 4; do
	: >/dev/shm/stuck$i; mount --bind /mnt/overlay/file /dev/shm/stuck$i
	: >/dev/shm/sem.stuck$i; mount --bind /mnt/overlay/file /dev/shm/sem.stuck$i
done
echo real >/dev/shm/real; chmod 666 /dev/shm/real'

# Asserts that the mount serves its user within a second: stat, a message, a hold.
innocent_is_served() {
	local queue=$MNT/posix/mq/innocents semaphore=$MNT/posix/sem/innocents
	within 1000 as_user 4321 timeout 5 sh -c 'mkdir "$1" "$2" && [ -d "$1" ] && echo job >"$1/msg" &&
		[ "$(cat "$1/drain")" = job ] && : 9>"$2/tryhold" && rmdir "$1" "$2"' sh "$queue" "$semaphore"
}

@test "a file system of the container's own over files of its /dev/shm holds up nobody" {
	local option stuck at view
	export STUCK_WHILE=$BATS_TEST_TMPDIR/stuck
	cp "$PEERS/stuckfs" "$BATS_TEST_TMPDIR/bin/"
	for option in namespaces target; do
		container -u "$option" "$STUCK"
		PID[$option]=$(pgrep -P "${HOLDER[$option]}") # not the server
		case $option in
		namespaces) serve; view=$(view namespaces) ;;
		target) start_mount -o "target=${PID[target]}"; view=$MNT ;;
		esac
		: >"$STUCK_WHILE"
		# More requests than the daemon has threads, of each sort.
		for stuck in 1 2 3 4; do
			for at in "ls $view/posix/shm" "ls $view/posix/sem" "stat $view/posix/shm/stuck$stuck" \
				"stat $view/posix/sem/stuck$stuck" "cat $view/posix/shm/stuck$stuck/data" "mkdir $view/posix/shm/stuck$stuck"; do
				# shellcheck disable=SC2086 # words
				background $at
			done
		done
		# With target= this mount shows the container only.
		if [ "$option" = namespaces ]; then innocent_is_served; else within 1000 timeout 5 ls "$MNT/limits"; fi
		equals "$(timeout 5 ls "$view/posix/shm") $(timeout 5 ls "$view/posix/sem")" 'real '
		refused ENOENT stat "$view/posix/shm/stuck1"
		refused ENOENT rmdir "$view/posix/shm/stuck1"
		equals "$(timeout 5 cat "$view/posix/shm/real/data")" real
		rm "$STUCK_WHILE"
		stop_mount
		end_container "$option"
	done
}
