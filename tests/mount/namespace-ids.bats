# SPDX-License-Identifier: MIT
# -o namespaces, from inside a container: ids are the container's, and requests do what the direct
# call does.
# shellcheck shell=bash disable=SC2010,SC2011,SC2012,SC2016,SC2030,SC2031,SC2034,SC2153,SC2154
load common
load namespaces

NAMES=(jobs seg lock 0x00000051 0x00000053 0x00000052)

# each_class COMMAND...: runs it with $CLASS and $NAME of an object of each class.
each_class() {
	local i
	for i in "${!CLASSES[@]}"; do
		CLASS=${CLASSES[i]} NAME=${NAMES[i]}
		echo "with $CLASS/$NAME:"
		"$@"
	done
}

# owner CONTAINER: prints mode, owner and group by the direct call there.
owner() {
	enter "$1" objtool "$CLASS" "$NAME" mode
}

shown() {
	equals "$(enter box stat -c '%u %g' "$MNT/$CLASS/$NAME")" "$1 ${3-$1}"
	equals "$(stat -c '%u %g' "$(view box)/$CLASS/$NAME")" "$2 ${4-$2}"
	equals "$(sed -n 's/^[ug]id=//p' "$(view box)/$CLASS/$NAME/status" | xargs)" "$2 ${4-$2}"
}

made() {
	inside_as box "$1" mkdir "$MNT/$CLASS/$NAME"
	equals "$(owner box)" "0600 $1 $1"
	shown "$1" "$2"
	case $CLASS in
	sysv/msg) equals "$(enter box mqtool sysv "$NAME" mode)" "0600 $1 $1 $1 $1" ;;
	posix/*) ;;
	# perms, and the last four except the times
	sysv/sem) equals "$(enter box awk 'NR == 2 {print $3, $5, $6, $7, $8}' /proc/sysvipc/sem)" "600 $1 $1 $1 $1" ;;
	sysv/shm) equals "$(enter box awk 'NR == 2 {print $3, $8, $9, $10, $11}' /proc/sysvipc/shm)" "600 $1 $1 $1 $1" ;;
	esac
	enter box rmdir "$MNT/$CLASS/$NAME"
}

@test "objects made inside belong to the container's user; the host shows the user behind" {
	serve
	container -u box
	each_class made 0 "$OWNER"
	each_class made 1000 $((BASE + 1000))
}

# The direct call, by the host's root.
direct_as_root() {
	case $CLASS in
	posix/shm) "$1" "$2:$3" "/proc/${PID[box]}/root/dev/shm/$NAME" ;;
	posix/sem) "$1" "$2:$3" "/proc/${PID[box]}/root/dev/shm/sem.$NAME" ;;
	*) nsenter --target "${PID[box]}" --ipc objtool "$CLASS" "$NAME" "$@" ;;
	esac
}

changed() {
	enter box objtool "$CLASS" "$NAME" make 0644
	# by root of the container
	enter box chmod 640 "$MNT/$CLASS/$NAME"
	equals "$(owner box)" '0640 0 0'
	enter box chown 1000:1001 "$MNT/$CLASS/$NAME"
	equals "$(owner box)" '0640 1000 1001'
	shown 1000 $((BASE + 1000)) 1001 $((BASE + 1001))
	# by its new owner
	inside_as box 1000 chmod 644 "$MNT/$CLASS/$NAME"
	equals "$(owner box)" '0644 1000 1001'
	# The kernel refuses an unmapped id, as in the direct call.
	refused EINVAL enter box chown 70000 "$MNT/$CLASS/$NAME"
	fails EINVAL enter box objtool "$CLASS" "$NAME" chown 70000 0
	equals "$(owner box)" '0644 1000 1001'
	# by the host: a user without an id there
	# The host's root may give it to a user without an id there, where the direct call allows
	# it.
	local direct=yes mounted=yes
	direct_as_root chown 5 $((BASE + 1001)) 2>/dev/null || direct=no
	chown 6 "$(view box)/$CLASS/$NAME" 2>/dev/null || mounted=no
	equals "$mounted" "$direct"
	[ "$mounted" = no ] || equals "$(owner box)" '0644 65534 1001'
	chown "$OWNER:$((BASE + 1000))" "$(view box)/$CLASS/$NAME"
	equals "$(owner box)" '0644 0 1000'
	enter box rmdir "$MNT/$CLASS/$NAME"
	fails ENOENT owner box
}

@test "chmod and chown inside do what the direct calls do" {
	serve
	container -u box
	each_class changed
}

# Every way in which users of a container use an object of user 1000, through the mount and
# directly.
COMPARE='answer() {
	if text=$("$@" 2>&1); then
		echo -n " yes"
	else
		case $text in
		*EPERM* | *"not permitted"*) echo -n " EPERM" ;;
		*EACCES* | *denied*) echo -n " EACCES" ;;
		*EINVAL* | *"Invalid arg"*) echo -n " EINVAL" ;;
		*EOVERFLOW* | *"too large"*) echo -n " EOVERFLOW" ;;
		*) echo -n " $text" ;;
		esac
	fi
}
as() {
	local who=$1
	shift
	case $who in
	weak) setpriv --inh-caps -all --bounding-set -all -- "$@" ;;
	docker) setpriv --bounding-set "$1" -- "${@:2}" ;;
	*) setpriv --reuid "$who" --regid "$who" --clear-groups -- "$@" ;;
	esac
}
cd "$MNT"
while read -r class name file; do
	for mode in 0644 0600; do
		for user in 0 1000 1001 weak docker; do
			for what in read chmod chown give remove; do
				[ "$mode" = 0644 ] || [ "$what" = read ] || continue
				as 1000 objtool $class $name make $mode
				who=("$user")
				[ "$user" != docker ] || who+=("$1")
				direct=(objtool $class $name)
				case $what in
				read) direct+=(mode) mount=(dd if=$class/$name/$file of=/dev/null iflag=nonblock count=0 status=none) ;;
				chmod) direct+=(chmod 646) mount=(chmod 646 $class/$name) ;;
				chown) direct+=(chown 1000 1001) mount=(chown 1000:1001 $class/$name) ;;
				give) direct+=(chown 1001 1001) mount=(chown 1001:1001 $class/$name) ;;
				remove) direct+=(remove) mount=(rmdir $class/$name) ;;
				esac
				first=$(answer as "${who[@]}" "${direct[@]}"; echo " $(objtool $class $name mode 2>/dev/null)")
				if [ "$what" != read ]; then
					objtool $class $name remove 2>/dev/null
					as 1000 objtool $class $name make $mode
					# A refused change has one error here, and two there.
					first=${first/EACCES/EPERM}
				fi
				second=$(answer as "${who[@]}" "${mount[@]}"; echo " $(objtool $class $name mode 2>/dev/null)")
				[ "$first" = "$second" ] || echo "$class $mode $user $what: by the call$first, by the mount$second"
				echo "$first" >>"$2"
				objtool $class $name remove 2>/dev/null || :
			done
		done
	done
done <<-LIST
	posix/mq jobs packets
	posix/shm seg data
	posix/sem lock value
	sysv/msg 0x00000051 packets
	sysv/shm 0x00000053 data
	sysv/sem 0x00000052 0/value
LIST'

compare() {
	local tally=$BATS_TEST_TMPDIR/tally.$1
	: >"$tally"
	chmod 666 "$tally"
	equals "$(enter "$1" bash -c "$COMPARE" bash "$CAPABILITIES" "$tally" 2>&1)" ''
	# All sorts of answers, and none that was not understood.
	sed 's/^ \([^ ]*\).*/\1/' "$tally" | sort | uniq -c
	[ "$(grep -c '^ yes' "$tally")" -gt 40 ]
	[ "$(grep -c '^ EPERM' "$tally")" -gt 20 ]
	[ "$(grep -c '^ EACCES' "$tally")" -gt 5 ]
	equals "$(grep -v -E '^ (yes|EPERM|EACCES) ' "$tally")" ''
}

@test "permissions inside are those of the direct call: with a user namespace" {
	serve
	container -u box
	compare box
}

@test "permissions inside are those of the direct call: without one" {
	serve
	container -s box
	compare box
}

lists() {
	inside_as box 1000 mkdir "$MNT/$CLASS/$NAME"
	inside_as box 1000 setfacl -m u:1001:rw,g:1002:r "$MNT/$CLASS/$NAME"
	equals "$(enter box getfacl -cEn "$MNT/$CLASS/$NAME" | sed -n 's/:\(..\).$/:\1/; /^user:[0-9]\|^group:[0-9]/p' | xargs)" \
		'user:1001:rw group:1002:r-'
	equals "$(getfacl -pcEn "$(view box)/$CLASS/$NAME" | sed -n 's/:\(..\).$/:\1/; /^user:[0-9]\|^group:[0-9]/p' | xargs)" \
		"user:$((BASE + 1001)):rw group:$((BASE + 1002)):r-"
	local file=data
	case $CLASS in
	*/mq | */msg) file=packets ;;
	posix/sem) file=value ;;
	sysv/sem) file=0/value ;;
	esac
	local reads=(dd "if=$MNT/$CLASS/$NAME/$file" of=/dev/null iflag=nonblock count=0 status=none)
	inside_as box 1001 "${reads[@]}"
	enter box setpriv --reuid 1005 --regid 1002 --clear-groups -- "${reads[@]}"
	refused EACCES inside_as box 1005 "${reads[@]}"
	# 1001 of the host is another user.
	refused 'EACCES|ENOENT' as_user 1001 "${reads[@]/$MNT/$(view box)}"
	# Only the owner and root set lists.
	refused EPERM inside_as box 1001 setfacl -m u:1003:rw "$MNT/$CLASS/$NAME"
	enter box setfacl -m u:1003:r "$MNT/$CLASS/$NAME"
	inside_as box 1003 "${reads[@]}"
	case $CLASS in
	# the direct call reads the same list
	posix/shm) equals "$(enter box getfacl -pcEn "/dev/shm/$NAME" | grep -c '^user:100[13]:')" 2 ;;
	posix/sem) equals "$(enter box getfacl -pcEn "/dev/shm/sem.$NAME" | grep -c '^user:100[13]:')" 2 ;;
	esac
	enter box setfacl -b "$MNT/$CLASS/$NAME"
	refused EACCES inside_as box 1001 "${reads[@]}"
}

@test "setfacl and getfacl inside use the container's ids" {
	serve
	container -u box
	container -u other
	# In the other container the same names have no lists.
	local class
	each_class lists
	inside_as box 1000 setfacl -m u:1001:rw "$MNT/sysv/msg/0x00000051"
	inside_as other 1000 mkdir "$MNT/sysv/msg/0x00000051"
	equals "$(enter other getfacl -cEn "$MNT/sysv/msg/0x00000051" | grep -c '^user:[0-9]')" 0
	refused EACCES inside_as other 1001 cat "$MNT/sysv/msg/0x00000051/drain"
	inside_as box 1001 cat "$MNT/sysv/msg/0x00000051/drain"
}

# Prints how many queues of this user fit.
queues() {
	enter "$1" setpriv --reuid "$2" --regid "$2" --clear-groups -- prlimit --msgqueue=200000 \
		bash -c 'n=0; while [ $n -lt 10 ] && '"$3"' 2>"$1"; do n=$((n + 1)); done; echo $n; cat "$1" >&2' \
		sh "$BATS_TEST_TMPDIR/errors.$2.$RANDOM"
}

@test "RLIMIT_MSGQUEUE is the user's, with the queues of that user elsewhere" {
	local user box
	serve
	container -u rootless
	container rootful
	for box in rootless rootful; do
		# The machine's root has queues elsewhere, and others may have some, too.
		for user in 0 $((40000 + RANDOM % 20000)); do
			[ "$box$user" != rootful0 ] || continue
			equals "$(queues "$box" "$user" 'mqtool posix direct$n make' 2>/dev/null)" 2
			equals "$(queues "$box" "$user" 'mkdir "$MNT/posix/mq/more$n"' 2>"$BATS_TEST_TMPDIR/error")" 0
			grep -q 'No space left' "$BATS_TEST_TMPDIR/error"
			enter "$box" rmdir "$MNT/posix/mq/direct0" "$MNT/posix/mq/direct1"
			equals "$(queues "$box" "$user" 'mkdir "$MNT/posix/mq/more$n"' 2>/dev/null)" 2
			enter "$box" rmdir "$MNT/posix/mq/more0" "$MNT/posix/mq/more1"
		done
	done
}

@test "limits are written only with CAP_SYS_ADMIN there" {
	local box file
	serve
	container -s rootful
	container -u rootless
	for box in rootful rootless; do
		for file in msgmax:kernel/msgmax mq_queues_max:fs/mqueue/queues_max; do
			# If the kernel allows it at all.
			if enter "$box" sh -c 'echo 301 >"/proc/sys/$1"' sh "${file#*:}" 2>/dev/null; then
				enter "$box" sh -c 'echo 302 >"$MNT/limits/$1"' sh "${file%:*}"
				equals "$(enter "$box" cat "/proc/sys/${file#*:}" "$MNT/limits/${file%:*}" | xargs)" '302 302'
			else
				refused 'EACCES|EPERM' enter "$box" bash -c 'echo 302 >"$MNT/limits/$1"' sh "${file%:*}"
			fi
			local was
			was=$(enter "$box" cat "/proc/sys/${file#*:}")
			refused 'EACCES|EPERM' enter "$box" setpriv --bounding-set -sys_admin -- bash -c 'echo 303 >"$MNT/limits/$1"' sh "${file%:*}"
			refused 'EACCES|EPERM' inside_weak "$box" bash -c 'echo 303 >"$MNT/limits/$1"' sh "${file%:*}"
			refused 'EACCES|EPERM' inside_as "$box" 1000 bash -c 'echo 303 >"$MNT/limits/$1"' sh "${file%:*}"
			refused 'EACCES|EPERM' inside_as "$box" 1000 unshare --user --map-root-user bash -c 'echo 303 >"$MNT/limits/$1"' sh "${file%:*}"
			equals "$(enter "$box" cat "/proc/sys/${file#*:}")" "$was"
		done
	done
	equals "$(cat /proc/sys/kernel/msgmax "$MNT/limits/msgmax" /proc/sys/fs/mqueue/queues_max)" $'8192\n8192\n256'
	# At least the first one may.
	equals "$(cat "$(view rootful)/limits/msgmax")" 302
}

@test "the kernel judges the writing of a limit by the caller there" {
	serve
	container -u box
	fails 'Invalid argument' enter box bash -c 'echo -5 >"$MNT/limits/msgmni"'
	# For the host's root the rule is that of the direct call.
	if nsenter --target "${PID[box]}" --ipc sh -c 'echo 4321 >/proc/sys/kernel/msgmax' 2>/dev/null; then
		echo 4322 >"$(view box)/limits/msgmax"
	else
		refused 'EACCES|EPERM' bash -c 'echo 4322 >"$1/limits/msgmax"' sh "$(view box)"
	fi
	equals "$(cat /proc/sys/kernel/msgmax)" 8192
}

@test "qbytes above the limit needs what the direct call needs" {
	local box user
	serve
	container -u rootless
	container rootful
	for box in rootless rootful; do
		inside_as "$box" 1000 mkdir "$MNT/sysv/msg/0x51"
		inside_as "$box" 1000 sh -c 'echo 1000 >"$MNT/sysv/msg/0x51/qbytes"'
		fails EPERM inside_as "$box" 1000 mqtool sysv 0x51 qbytes 1000000
		refused EPERM inside_as "$box" 1000 bash -c 'echo 1000000 >"$MNT/sysv/msg/0x51/qbytes"'
		if enter "$box" mqtool sysv 0x51 qbytes 1000000; then
			enter "$box" sh -c 'echo 1000001 >"$MNT/sysv/msg/0x51/qbytes"'
			equals "$(enter "$box" cat "$MNT/sysv/msg/0x51/qbytes")" 1000001
		else
			refused EPERM enter "$box" bash -c 'echo 1000001 >"$MNT/sysv/msg/0x51/qbytes"'
		fi
	done
}

# attaches COMMAND...: runs objtool so, until it has the segment attached; sets $PROCESS to its pid.
attaches() {
	background_output "$@" objtool sysv/shm 0x00000051 use attached
	wait_until 'grep -q ready "$OUT"'
	PROCESS=$(youngest "$JOB")
}

# inner PID: the number of a process in its own pid namespace.
inner() {
	awk '/^NSpid:/ {print $NF}' "/proc/$1/status"
}

@test "users: processes and uids are those of the reader's namespaces" {
	serve
	container -u box
	container other
	enter box objtool sysv/shm 0x51 make 0666
	enter other objtool sysv/shm 0x51 make 0666
	local users=$MNT/sysv/shm/0x00000051/users line
	attaches inside_as box 1000
	line="pid=$(inner "$PROCESS") uid=1000 program=objtool how=attached"
	equals "$(enter box sed 1q "$users")" "$line"
	equals "$(inside_as box 1000 cat "$users")" "$line"$'\n'complete=no
	equals "$(inside_as box 1001 cat "$users")" complete=no
	equals "$(inside_weak box cat "$users")" complete=no
	equals "$(cat "$(view box)/sysv/shm/0x00000051/users")" \
		"pid=$PROCESS uid=$((BASE + 1000)) program=objtool how=attached"$'\n'complete=yes
	# The segment of the other namespace has the same number.
	equals "$(grep -h ^id= "$MNT"/ns/{"${INUM[box]}","${INUM[other]}"}/sysv/shm/0x00000051/status | uniq | wc -l)" 1
	equals "$(cat "$(view other)/sysv/shm/0x00000051/users")" complete=yes
	equals "$(enter other cat "$users")" complete=yes # it has CAP_SYS_PTRACE of the host
}

@test "users: the root of a container is told of processes that have no more capabilities" {
	serve
	container -u box
	container other
	local name mine weak users=$MNT/sysv/shm/0x00000051/users
	for name in box other; do
		enter "$name" objtool sysv/shm 0x51 make 0666
		attaches enter "$name" setpriv --bounding-set "$CAPABILITIES" --
		mine=$(inner "$PROCESS")
		attaches enter "$name" setpriv --inh-caps -all --bounding-set -all --
		weak=$(inner "$PROCESS")
		attaches enter "$name"
		equals "$(enter "$name" grep -c how=attached "$users")" 3
		# The daemon has given up some of these capabilities in its own user namespace.
		[ "$name" = box ] || mine=$weak
		equals "$(enter "$name" setpriv --bounding-set "$CAPABILITIES" -- sed 's/ .*//' "$users")" \
			"$(printf 'pid=%s\n' "$mine" "$weak" | uniq)"$'\n'complete=no
		equals "$(inside_weak "$name" sed 's/ .*//' "$users")" "pid=$weak"$'\n'complete=no
	done
}
