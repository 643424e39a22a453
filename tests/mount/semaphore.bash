# SPDX-License-Identifier: MIT
# What the suites about semaphores share.
# shellcheck shell=bash disable=SC2034,SC2154

PRELUDE=$PRELUDE'
value() { cat "$S/value"; }
state() { sed -n "s/^$1=//p" "$O/status"; }
'

setup() {
	common_setup
	cp "$PEERS/semtool" "$BATS_TEST_TMPDIR/bin/"
	start_mount
}

# new_semaphore FAMILY [VALUE [UID]]: sets $S to the directory of its files, $O to that of its
# status.
new_semaphore() {
	SEMAPHORES=$((${SEMAPHORES:-0} + 1))
	if [ "$1" = posix ]; then
		NAME=sem$SEMAPHORES
		O=$MNT/posix/sem/$NAME S=$O
	else
		NAME=$(printf '0x%08x' $((0x5100 + SEMAPHORES)))
		O=$MNT/sysv/sem/$NAME S=$O/0
	fi
	export O S NAME KIND=$1
	as_user "${3:-0}" sh -c "echo $1/sem/$NAME values=${2:-1} >$MNT/create"
}

# Prints the value by a direct call.
direct_value() {
	case $KIND in
	posix) semtool posix "$NAME" get ;;
	sysv) semtool sysv "$NAME" get 0 ;;
	esac
}

direct_post() {
	case $KIND in
	posix) semtool posix "$NAME" post ;;
	sysv) semtool sysv "$NAME" op 0:1 ;;
	esac
}

direct_wait() {
	case $KIND in
	posix) semtool posix "$NAME" wait ;;
	sysv) semtool sysv "$NAME" op 0:-1 ;;
	esac
}

state() {
	sed -n "s/^$1=//p" "$O/status"
}

value_is() {
	wait_until "[ \"\$(direct_value)\" = $1 ]"
}

# each_semaphore FUNCTION [ARGUMENT...]: runs it with a new semaphore of each family.
each_semaphore() {
	local kind
	for kind in "${KINDS[@]}"; do
		new_semaphore "$kind"
		echo "with $kind/$NAME:"
		# No ||: a failed assertion in the function would then count for nothing.
		"$@"
		[ ! -d "$O" ] || rmdir "$O"
	done
}

# everywhere_from VALUE EXPECTED SCRIPT: as everywhere, with a semaphore of this value.
everywhere_from() {
	local pair kind uid shell got
	for pair in "${PAIRS[@]}"; do
		IFS=: read -r kind uid shell <<<"$pair"
		new_semaphore "$kind" "$1" "$uid"
		got=$(script "$shell" "$uid" "$3" 2>&1; echo "exit $?")
		if [ "$got" != "${2:+$2$'\n'}exit 0" ]; then
			echo "in $shell as $uid with $kind/$NAME:"
			echo "expected: $2"
			echo "got: $got"
			return 1
		fi
		rmdir "$O"
	done
}
