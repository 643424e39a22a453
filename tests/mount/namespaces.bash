# SPDX-License-Identifier: MIT
# Containers for the suites about -o namespaces: made with unshare(1), each with an IPC, a mount and
# (unless told) a pid namespace, and a /dev/shm. They have the mount because they are made after it.
# shellcheck shell=bash disable=SC2016,SC2034,SC2154

OWNER=2345 # owns the containers with a user namespace; it is root there, and N is BASE + N here
BASE=300000
IDS=65535
[ "$IPCFS_TEST_WORLD" != userns ] || BASE=30000 IDS=20000
CLASSES=(posix/mq posix/shm posix/sem sysv/msg sysv/shm sysv/sem)
# The capabilities that docker leaves to a container's root.
CAPABILITIES=-all,+chown,+dac_override,+fsetid,+fowner,+mknod,+net_raw,+setgid,+setuid,+setfcap,+setpcap
CAPABILITIES+=,+net_bind_service,+sys_chroot,+kill,+audit_write

setup() {
	common_setup
	cp "$PEERS/semtool" "$PEERS/objtool" "$PEERS/lives" "$BATS_TEST_DIRNAME/namespaces.py" "$BATS_TEST_TMPDIR/bin/"
	# By container's name: its first process and the parent of that, its IPC namespace, its
	# options.
	declare -gA PID=() HOLDER=() INUM=() HAS=()
	HOST=$(stat -Lc %i /proc/self/ns/ipc)
	export HOST
}

teardown() {
	: >"$BATS_TEST_TMPDIR/stop" # some processes run until it exists
	common_teardown
}

serve() {
	start_mount -o "namespaces${1:+,$1}"
}

# container [-u] [-s] [-n OUTER | -i OUTER] NAME [SCRIPT]: makes a container. -u: with a user
# namespace; -s: in the test's pid namespace; -n: in another container, with a user namespace of one
# id; -i: in another container, without. SCRIPT is run in it first.
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
	# In one write, which the shell's own printf does not do.
	env printf '0 %s 1\n1 %s %s\n' "$OWNER" $((BASE + 1)) "$IDS" >"/proc/$1/gid_map"
	env printf '0 %s 1\n1 %s %s\n' "$OWNER" $((BASE + 1)) "$IDS" >"/proc/$1/uid_map"
}

# Prints the last of a chain of processes that have one child each.
youngest() {
	local pid=$1 child
	while child=$(pgrep -P "$pid" | head -n 1) && [ -n "$child" ]; do
		pid=$child
	done
	echo "$pid"
}

# enter NAME COMMAND...: runs it in the container as root, with all capabilities in its user
# namespace.
enter() {
	local name=$1
	shift
	# shellcheck disable=SC2086 # options
	${EXEC-} nsenter --target "${PID[$name]}" --ipc --mount ${HAS[$name]} -- "$@"
}

# inside NAME COMMAND...: the same; without a user namespace only with the capabilities that docker
# leaves.
inside() {
	if [[ ${HAS[$1]} == *--user* ]]; then
		enter "$@"
	else
		enter "$1" setpriv --bounding-set "$CAPABILITIES" -- "${@:2}"
	fi
}

# inside_as NAME UID COMMAND...: runs it as that user of the container.
inside_as() {
	enter "$1" setpriv --reuid "$2" --regid "$2" --clear-groups -- "${@:3}"
}

# Runs it as user 0 without any capability.
inside_weak() {
	enter "$1" setpriv --inh-caps -all --bounding-set -all -- "${@:2}"
}

end_container() {
	kill -KILL "${PID[$1]}"
	wait "${HOLDER[$1]}" || :
}

# view NAME: prints the path where the host sees it.
view() {
	echo "$MNT/ns/${INUM[$1]}"
}

# Within the promised second, and some more for a busy machine.
vanishes() {
	wait_until '[ ! -e "$MNT/ns/'"$1"'" ]' 2
}

# listed [DIRECTORY]: prints the names of all objects.
listed() {
	(cd "${1-$MNT}" && shopt -s nullglob && printf '%s\n' {posix,sysv}/{mq,msg,shm,sem}/* | xargs)
}

# Makes an object of each class, with the same names and keys wherever it runs. $1: a text of five
# bytes, $2: a number.
MAKE='set -e
cd "$MNT"
mkdir posix/mq/jobs sysv/msg/0x51 posix/sem/lock sysv/sem/0x52
printf "posix/shm/seg size=5\nsysv/shm/0x53 size=5\n" >create
for queue in posix/mq/jobs sysv/msg/0x51; do printf %s "$1" >$queue/msg; done
for segment in posix/shm/seg sysv/shm/0x53; do printf %s "$1" >$segment/data; done
for semaphore in posix/sem/lock sysv/sem/0x52/0; do echo "$2" >$semaphore/value; done'
ONE_OF_EACH='posix/mq/jobs posix/shm/seg posix/sem/lock sysv/msg/0x00000051 sysv/shm/0x00000053 sysv/sem/0x00000052'
# Prints their contents; takes the messages.
TAKE='set -e
cd "$MNT"
echo $(cat posix/mq/jobs/drain sysv/msg/0x51/drain) $(cat posix/shm/seg/data) $(cat sysv/shm/0x53/data) \
	$(cat posix/sem/lock/value sysv/sem/0x52/0/value)'
# The same by direct calls.
TAKE_DIRECTLY='echo $(mqtool posix jobs receive) $(mqtool sysv 0x51 receive) $(cat /dev/shm/seg) \
	$(semtool posix lock get) $(semtool sysv 0x52 get 0)'

# pass FROM TO FLAGS PATH COMMAND...: a process of container FROM opens PATH; COMMAND, in container
# TO, has it as descriptor 9. FROM and TO may be "host".
pass() {
	namespaces.py pass "${PID[$1]-$$}" "${PID[$2]-$$}" "$3" "$4" "${@:5}"
}

# refused ERRNOS COMMAND...: asserts that it fails with one of these errors ("EACCES|EPERM"), by the
# text of strerror.
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
	for name in "${messages[@]}"; do
		[[ $status = 0 || $status = 124 || $output != *"$name"* ]] || return 0
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

# values [inside NAME]: prints the values of both semaphores, by direct calls.
values() {
	"$@" sh -c 'echo $(semtool posix lock get) $(semtool sysv 0x52 get 0)'
}
