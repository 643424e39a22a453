# SPDX-License-Identifier: MIT
# What the suites about stopped, traced and frozen processes share.
# shellcheck shell=bash disable=SC2034,SC2154,SC2016

EVERY=(bash dash 'busybox ash' zsh ksh93 mksh yash)
[ "$SHORT" = 0 ] || EVERY=(bash dash)

# starts NAME COMMAND...: in the background; its output and exit status are files of that name.
starts() {
	local name=$1
	shift
	# Each job is a process group, as those of a terminal: SIGTSTP stops no orphaned group.
	bash -c 'perl -e "setpgrp; exec @ARGV" "${@:2}" >"$1.out" 2>"$1.err" & echo $! >"$1.pid"; wait $!; echo $? >"$1.status"' - "$JOBS_DIR/$name" "$@" 3>&- 4>&- &
	JOBS+=("$!")
	NAMES+=("$name")
}

# begin_jobs DIRECTORY
begin_jobs() {
	JOBS_DIR=$BATS_TEST_TMPDIR/$1
	rm -rf "$JOBS_DIR"
	mkdir "$JOBS_DIR"
	NAMES=()
}

# The processes of the jobs that wait in a request: the children of a shell, too.
waiting_pids() {
	grep -l -s request_wait_answer /proc/[0-9]*/task/*/"${PARKED_IN:-stack}" | cut -d/ -f3 | sort -un
}

# The shells that poll before they read.
polling_pids() {
	local file pid states=()
	for file in "$JOBS_DIR"/*.pid; do
		read -r pid <"$file"
		states+=("/proc/$pid/wchan")
	done
	grep -l -s '^poll_schedule' "${states[@]}" | cut -d/ -f3
}

has_stopped() {
	in_state "$1" Tt
}

# interrupt_jobs HOW: each process that waits is stopped as HOW says, and goes on.
interrupt_jobs() {
	local pids
	# A program that exits without closing what it wrote to does not wait.
	wait_until 'find_ended; [ $(($(parked) + $(polling_pids | wc -l) + ENDED)) -ge ${#NAMES[@]} ]'
	pids=$(waiting_pids; polling_pids)
	# shellcheck disable=SC2086 # several pids
	"$1" $pids
}

by_signals() {
	local pid
	kill -STOP "$@"
	for pid in "$@"; do
		wait_until "has_stopped $pid"
	done
	kill -CONT "$@"
	# Each process has run since.
	for pid in "$@"; do
		wait_until "! has_stopped $pid"
	done
}

by_terminal_signals() {
	local pid
	kill -TSTP "$@"
	for pid in "$@"; do
		wait_until "has_stopped $pid"
	done
	kill -CONT "$@"
}

by_tracing() {
	local pid
	for pid in "$@"; do
		"$PEERS/tracer" "$pid"
	done
}

jobs_ended() {
	local name
	for name in "${NAMES[@]}"; do
		[ -e "$JOBS_DIR/$name.status" ] || return 1
	done
}

# Sets ENDED to how many jobs have ended.
find_ended() {
	local name
	ENDED=0
	for name in "${NAMES[@]}"; do
		[ ! -e "$JOBS_DIR/$name.status" ] || ENDED=$((ENDED + 1))
	done
}

# succeeded: how many jobs have exited 0.
succeeded() {
	cat "$JOBS_DIR"/*.status 2>/dev/null | grep -c '^0$' || :
}

# format_of FILE TEXT: what printf(1) is given to write this text to FILE as a message.
format_of() {
	case $1 in
	tagged) printf '%s' "1\\t$2\\n" ;;
	records) printf '\\%03o\\000\\000\\000\\001\\000\\000\\000%s' "${#2}" "$2" ;;
	*) printf '%s' "$2\\n" ;;
	esac
}

# The jobs that write to FILE of a full queue: of each shell, and of other programs.
start_writers() {
	local file=$1 shell n=0 text name
	begin_jobs writers
	for shell in "${EVERY[@]}"; do
		# shellcheck disable=SC2086 # a shell may be two words
		starts "builtin$n" $shell -c 'printf "$0" >"$1"' "$(format_of "$file" "new builtin$n")" "$Q/$file"
		# shellcheck disable=SC2086
		starts "program$n" $shell -c '/bin/printf "$0" >"$1"' "$(format_of "$file" "new program$n")" "$Q/$file"
		n=$((n + 1))
	done
	text=$JOBS_DIR/text
	for name in python perl cp dd tee; do
		# shellcheck disable=SC2059 # a format
		printf "$(format_of "$file" "new $name")" >"$text.$name"
	done
	starts python /usr/bin/python3 -c 'import sys; f = open(sys.argv[2], "wb"); f.write(open(sys.argv[1], "rb").read()); f.close()' \
		"$text.python" "$Q/$file"
	starts perl perl -e 'open $t, "<", $ARGV[0]; $x = join "", <$t>; open $f, ">", $ARGV[1] or die $!; print $f $x; close $f or die $!' \
		"$text.perl" "$Q/$file"
	starts cp cp "$text.cp" "$Q/$file"
	starts dd dd "if=$text.dd" "of=$Q/$file" status=none
	starts tee bash -c 'tee "$1" <"$0" >/dev/null' "$text.tee" "$Q/$file"
}

# writers HOW FILE: a message is in the queue once if its writer exited 0, and never if not.
writers() {
	local full name got=$BATS_TEST_TMPDIR/got
	fill
	full=$(messages)
	start_writers "$2"
	interrupt_jobs "$1"
	equals "$(messages)" "$full"
	: >"$got"
	wait_until 'cat "$Q/drain" >>"'"$got"'"; jobs_ended && [ "$(grep -c ^new "'"$got"'")" -ge "$(succeeded)" ]' ||
		{ cat "$got" | grep new; head "$JOBS_DIR"/*.status; return 1; }
	sleep 0.1 # in which a message that is there twice would come
	cat "$Q/drain" >>"$got"
	for name in "${NAMES[@]}"; do
		equals "$name: $(grep -c "^new $name\$" "$got")" \
			"$name: $([ "$(cat "$JOBS_DIR/$name.status")" = 0 ] && echo 1 || echo 0)" || { cat "$JOBS_DIR/$name.err"; return 1; }
	done
	equals "$(grep -vc ^new "$got")" "$full"
}

start_readers() {
	local file=$1 shell n=0
	begin_jobs readers
	for shell in "${EVERY[@]}"; do
		# shellcheck disable=SC2086 # a shell may be two words
		[[ $file = @(packets|records) ]] || starts "read$n" $shell -c 'read -r x <"$0" && echo "$x"' "$Q/$file"
		n=$((n + 1))
	done
	starts dd dd "if=$Q/$file" bs=16384 count=1 status=none
	starts python /usr/bin/python3 -c 'import os, sys; os.write(1, os.read(os.open(sys.argv[1], 0), 16384))' "$Q/$file"
	starts perl perl -e 'open $f, "<", $ARGV[0]; defined(sysread $f, $x, 16384) or die $!; print $x' "$Q/$file"
	[ "$file" != msg ] || starts cat cat "$Q/$file"
	[[ $file = @(packets|records) ]] || starts head bash -c 'head -n 1 "$0" 2>/dev/null' "$Q/$file"
}

# readers HOW FILE: each reader that exited 0 has a message, the others have taken none.
readers() {
	local sent=0
	start_readers "$2"
	interrupt_jobs "$1"
	equals "$(messages)" 0
	# A reader that still waits gets a message; a reader that gave up has taken none.
	until jobs_ended; do
		[ "$sent" -lt "${#NAMES[@]}" ] || wait_until jobs_ended
		echo "message $sent" >"$Q/msg"
		sent=$((sent + 1))
		wait_until '[ "$(messages)" = 0 ] || jobs_ended'
	done
	equals "$(cat "$JOBS_DIR"/*.out | grep -a -o message | wc -l)" "$(succeeded)"
	equals "$(cat "$JOBS_DIR"/*.out "$Q/drain" | grep -a -oE 'message [0-9]+' | sort)" "$(seq -f 'message %.0f' 0 $((sent - 1)) | sort)"
}

# each_file HOW: writers and readers of every file of both sorts of queues. What a shell does depends
# on the file, and not on the sort of queue behind it, so all shells write and read POSIX queues.
each_file() {
	local how=$1 file kind EVERY=("${EVERY[@]}") files=(msg lines tagged packets records)
	[ "$SHORT" = 0 ] || [ "$how" = by_signals ] || files=(msg lines)
	for kind in "${KINDS[@]}"; do
		[ "$kind" = posix ] || EVERY=(bash dash)
		for file in "${files[@]}"; do
			new_queue "$kind"
			echo "$kind, writers of $file:"
			writers "$how" "$file"
			rmdir "$Q"
			new_queue "$kind"
			echo "$kind, readers of $file:"
			readers "$how" "$file"
			rmdir "$Q"
		done
	done
}

start_takers() {
	local file=$1 line=$2 shell n=0
	begin_jobs takers
	for shell in "${EVERY[@]}"; do
		if [ "$file" = hold ]; then
			# shellcheck disable=SC2086 # a shell may be two words
			starts "hold$n" $shell -c '{ echo inside; } 9>"$0"' "$S/hold"
		else
			# shellcheck disable=SC2086
			starts "shell$n" $shell -c 'echo "$0" >"$1"' "$line" "$O/$file"
		fi
		n=$((n + 1))
	done
	starts python /usr/bin/python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY)
os.write(fd, sys.argv[2].encode() + b"\n")
os.close(fd)' "$([ "$file" = hold ] && echo "$S/hold" || echo "$O/$file")" "$line"
}

# takers HOW FILE LINE: what was taken of the semaphore is what those have taken that exited 0.
takers() {
	local how=$1 file=$2 line=$3 many
	start_takers "$file" "$line"
	many=${#NAMES[@]}
	interrupt_jobs "$how"
	equals "$(direct_value)" 0
	for ((i = 0; i < many; i++)); do
		direct_post
	done
	wait_until jobs_ended || { cat "$O/status"; return 1; }
	if [ "$file" = hold ]; then
		value_is "$many"
		equals "$(state holders)" 0
		return
	fi
	value_is $((many - $(succeeded)))
}

# zero HOW
zero() {
	begin_jobs zero
	local shell n=0
	for shell in "${EVERY[@]}"; do
		# shellcheck disable=SC2086 # a shell may be two words
		starts "zero$n" $shell -c 'echo >"$0"' "$S/zero"
		n=$((n + 1))
	done
	interrupt_jobs "$1"
	equals "$(direct_value)" 1
	semtool sysv "$NAME" op 0:-1
	wait_until jobs_ended || { cat "$O/status"; return 1; }
	equals "$(direct_value)" 0
}

# each_semaphore_file HOW
each_semaphore_file() {
	local how=$1
	new_semaphore posix 0
	takers "$how" wait ''
	rmdir "$O"
	new_semaphore posix 0
	takers "$how" hold ''
	rmdir "$O"
	new_semaphore sysv 0
	takers "$how" 0/wait ''
	rmdir "$O"
	new_semaphore sysv 0
	takers "$how" hold ''
	rmdir "$O"
	new_semaphore sysv 0
	takers "$how" op 0:-1
	rmdir "$O"
	new_semaphore sysv 1
	zero "$how"
	rmdir "$O"
}
