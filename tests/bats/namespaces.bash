# SPDX-License-Identifier: MIT
# Containers for the suites about -o namespaces: made of plain unshare(1), each with an IPC, mount and (unless
# told) process namespace and a /dev/shm of its own. They have the mount because they are made after it.
# shellcheck shell=bash disable=SC2016,SC2034,SC2154

OWNER=2345 # has the containers with a user namespace; in there it is root, and N is BASE + N here
BASE=300000
IDS=65535
[ "$IPCFS_TEST_WORLD" != userns ] || BASE=30000 IDS=20000
CLASSES=(posix/mq posix/shm posix/sem sysv/msg sysv/shm sysv/sem)
# What docker leaves to a container's root.
CAPABILITIES=-all,+chown,+dac_override,+fsetid,+fowner,+mknod,+net_raw,+setgid,+setuid,+setfcap,+setpcap
CAPABILITIES+=,+net_bind_service,+sys_chroot,+kill,+audit_write

setup() {
	common_setup
	cp "$PEERS/semtool" "$PEERS/objtool" "$PEERS/lives" "$BATS_TEST_DIRNAME/namespaces.py" "$BATS_TEST_TMPDIR/bin/"
	# By container's name: its first process and what that is a child of, its IPC namespace, its options.
	declare -gA PID=() HOLDER=() INUM=() HAS=()
	HOST=$(stat -Lc %i /proc/self/ns/ipc)
	export HOST
}

teardown() {
	local result=0
	: >"$BATS_TEST_TMPDIR/stop" # what runs until it is there
	common_teardown || result=1
	ipcrm --all
	# /dev/shm and the state directory are the suite's own; see isolate
	find /dev/shm /run/ipcfs-state -mindepth 1 -delete
	return "$result"
}

serve() {
	start_mount -o "namespaces${1:+,$1}"
}

# container [-u] [-s] [-n OUTER | -i OUTER] NAME [SCRIPT]: -u with a user namespace, -s in our process namespace,
# -n in another container, with a user namespace of one id, -i without. SCRIPT is run in it first.
container() {
	local option start=() spaces=(--ipc --mount) name ready user='' outer='' own=yes
	local script='mount -t tmpfs -o mode=1777 tmpfs /dev/shm'
	OPTIND=1
	while getopts usn:i: option; do
		case $option in
		u) user=yes ;;
		s) own='' ;;
		n) outer=$OPTARG user=one ;;
		i) outer=$OPTARG ;;
		*) return 1 ;;
		esac
	done
	name=${!OPTIND}
	shift "$OPTIND"
	script=${1-$script}
	ready=$BATS_TEST_TMPDIR/ready.$name
	rm -f "$ready"
	[ -z "$own" ] || {
		spaces+=(--pid --fork --kill-child)
		script="mount -t proc proc /proc; $script"
	}
	script+="; : >$ready; exec sleep 1000"
	case $user in
	yes)
		start=(as_user "$OWNER" unshare --user sh -c 'until [ "$(id -u)" = 0 ]; do sleep 0.02; done; exec "$@"' sh)
		;;
	one) spaces+=(--user --map-root-user) ;;
	esac
	[ -z "$outer" ] || {
		start=(enter "$outer")
		[[ ${HAS[$outer]} != *--user* ]] || user=${user:-outer}
	}
	background "${start[@]}" unshare "${spaces[@]}" sh -c "$script"
	HOLDER[$name]=$JOB
	HAS[$name]="${own:+--pid }${user:+--user }"
	[ "$user" != yes ] || map_ids "$JOB"
	# shellcheck disable=SC2034 # it stands in the condition
	local pid=$JOB
	wait_until '[ -e "'"$ready"'" ] || ! running "$pid"'
	[ -e "$ready" ]
	PID[$name]=$(youngest "$JOB")
	INUM[$name]=$(stat -Lc %i "/proc/${PID[$name]}/ns/ipc")
	[ "${INUM[$name]}" != "$HOST" ]
}

map_ids() {
	local ours
	ours=$(readlink /proc/self/ns/user)
	wait_until '[ "$(readlink /proc/'"$1"'/ns/user)" != "'"$ours"'" ]'
	# In one write, which the shell's own printf doesn't do.
	env printf '0 %s 1\n1 %s %s\n' "$OWNER" $((BASE + 1)) "$IDS" >"/proc/$1/gid_map"
	env printf '0 %s 1\n1 %s %s\n' "$OWNER" $((BASE + 1)) "$IDS" >"/proc/$1/uid_map"
}

# The last of a chain of processes that have one child each.
youngest() {
	local pid=$1 child
	while child=$(pgrep -P "$pid" | head -n 1) && [ -n "$child" ]; do
		pid=$child
	done
	echo "$pid"
}

# enter NAME COMMAND...: in the container as its root, with all capabilities there are in its user namespace.
enter() {
	local name=$1
	shift
	# shellcheck disable=SC2086 # options
	${EXEC-} nsenter --target "${PID[$name]}" --ipc --mount ${HAS[$name]} -- "$@"
}

# inside NAME COMMAND...: the same; in one without a user namespace only what docker leaves.
inside() {
	if [[ ${HAS[$1]} == *--user* ]]; then
		enter "$@"
	else
		enter "$1" setpriv --bounding-set "$CAPABILITIES" -- "${@:2}"
	fi
}

# inside_as NAME UID COMMAND...: as that user of the container.
inside_as() {
	enter "$1" setpriv --reuid "$2" --regid "$2" --clear-groups -- "${@:3}"
}

# Without any capability, as user 0.
inside_weak() {
	enter "$1" setpriv --inh-caps -all --bounding-set -all -- "${@:2}"
}

end_container() {
	kill -KILL "${PID[$1]}"
	wait "${HOLDER[$1]}" || :
}

# view NAME: where the host sees it.
view() {
	echo "$MNT/ns/${INUM[$1]}"
}

# Within the second that is promised, and some more for a machine that does other things as well.
vanishes() {
	wait_until '[ ! -e "$MNT/ns/'"$1"'" ]' 2
}

# listed [DIRECTORY]: the names of all objects.
listed() {
	(cd "${1-$MNT}" && shopt -s nullglob && printf '%s\n' {posix,sysv}/{mq,msg,shm,sem}/* | xargs)
}

# One of each kind with the same names and keys wherever it runs. $1: a text of five bytes, $2: a number.
MAKE='set -e
cd "$MNT"
mkdir posix/mq/jobs sysv/msg/0x51 posix/sem/lock sysv/sem/0x52
printf "posix/shm/seg size=5\nsysv/shm/0x53 size=5\n" >create
for queue in posix/mq/jobs sysv/msg/0x51; do printf %s "$1" >$queue/msg; done
for segment in posix/shm/seg sysv/shm/0x53; do printf %s "$1" >$segment/data; done
for semaphore in posix/sem/lock sysv/sem/0x52/0; do echo "$2" >$semaphore/value; done'
ONE_OF_EACH='posix/mq/jobs posix/shm/seg posix/sem/lock sysv/msg/0x00000051 sysv/shm/0x00000053 sysv/sem/0x00000052'
# What stands in them; the messages are taken.
TAKE='set -e
cd "$MNT"
echo $(cat posix/mq/jobs/drain sysv/msg/0x51/drain) $(cat posix/shm/seg/data) $(cat sysv/shm/0x53/data) \
	$(cat posix/sem/lock/value sysv/sem/0x52/0/value)'
# The same by the calls themselves.
TAKE_DIRECTLY='echo $(mqtool posix jobs receive) $(mqtool sysv 0x51 receive) $(cat /dev/shm/seg) \
	$(semtool posix lock get) $(semtool sysv 0x52 get 0)'

# pass FROM TO FLAGS PATH COMMAND...: a process of one container opens PATH, one of another has it as descriptor 9.
# A container's name, or "host".
pass() {
	namespaces.py pass "${PID[$1]-$$}" "${PID[$2]-$$}" "$3" "$4" "${@:5}"
}

# refused ERRNOS COMMAND...: with one of these errors ("EACCES|EPERM"), by what strerror says of it.
refused() {
	local name messages=()
	for name in ${1//|/ }; do
		case $name in
		EACCES) messages+=('Permission denied') ;;
		EPERM) messages+=('Operation not permitted') ;;
		ENOENT) messages+=('No such file or directory') ;;
		EIDRM) messages+=('Identifier removed') ;;
		EINVAL) messages+=('Invalid argument') ;;
		EEXIST) messages+=('File exists') ;;
		EOVERFLOW) messages+=('Value too large') ;;
		ENOTEMPTY) messages+=('not empty') ;;
		ENOSPC) messages+=('No space left') ;;
		EROFS) messages+=('Read-only') ;;
		*) return 1 ;;
		esac
	done
	shift
	run bounded "$@"
	[ "$status" != 0 ] && [ "$status" != 124 ] && for name in "${messages[@]}"; do
		[[ $output != *"$name"* ]] || return 0
	done
	echo "expected '${messages[*]}' from: $*"
	echo "status $status, output: $output"
	return 1
}

THREE=(first second third)
three_containers() {
	container first
	container second
	container -u third
}

# values [inside NAME]: of both semaphores, by the calls.
values() {
	"$@" sh -c 'echo $(semtool posix lock get) $(semtool sysv 0x52 get 0)'
}
