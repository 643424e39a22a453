# SPDX-License-Identifier: MIT
# Several who wait for one object, in several ways, and what changes under all of them; exact sizes.
# shellcheck shell=bash disable=SC2154,SC2016
load common

setup() {
	common_setup
	cp "$PEERS/semtool" "$BATS_TEST_TMPDIR/bin/"
	start_mount
	WAITERS=() OUTS=()
}

# waits COMMAND...: in the background, until `all_end` or `nobody_ended`.
waits() {
	background_output "$@"
	WAITERS+=("$JOB") OUTS+=("$OUT")
}

# all_end TEXT: within two seconds, each with this output.
all_end() {
	local i
	within 2000 wait_until 'nobody_runs'
	for i in "${!WAITERS[@]}"; do
		[[ $(cat "${OUTS[i]}") == *"$1"* ]] || { echo "waiter $i: $(cat "${OUTS[i]}")"; return 1; }
	done
	WAITERS=() OUTS=()
}

nobody_runs() {
	local job
	for job in "${WAITERS[@]}"; do
		ended "$job" || return 1
	done
}

# polls FILE EVENT: says what poll(2) said.
polls() {
	python3 -c '
import os, select, sys
flags = os.O_WRONLY if sys.argv[2] == "POLLOUT" else os.O_RDONLY
fd = os.open(sys.argv[1], flags | os.O_NONBLOCK)
poll = select.poll()
poll.register(fd, getattr(select, sys.argv[2]))
assert poll.poll(0) == [], "ready at once"
print("polls", flush=True)
print("woken" if poll.poll(20000) else "never", flush=True)' "$@"
}

# pollers FILE... EVENT: several wait by poll(2).
pollers() {
	local file event=${*: -1} out before=${#OUTS[@]}
	for file in "${@:1:$#-1}"; do
		waits polls "$file" "$event"
	done
	for out in "${OUTS[@]:before}"; do
		wait_until "grep -q polls $out"
	done
}

# The files that wait in lines of their own: all messages, two types, all up to one.
readers_files() {
	printf '%s\n' msg lines tagged packets records
	[ "$KIND" = posix ] || printf '%s\n' type/5/msg type/5/lines type/7/packets type/-9/tagged
}

readers_lose() {
	local file count=0 mine
	"$1"
	for file in $(readers_files); do
		waits as_user "$PEER" cat "$Q/$file"
		count=$((count + 1))
	done
	wait_parked "$count"
	background_output cat "$Q/msg"
	mine=$OUT
	wait_parked $((count + 1))
	"$2"
	all_end 'Permission denied'
	running "$JOB"
	mqtool "$KIND" "$NAME" send 5 kept
	wait "$JOB"
	equals "$(cat "$mine")" kept
	equals "$(messages)" 0
}

writers_lose() {
	local full
	"$1"
	fill
	full=$(messages)
	# A program that says what close(2) says, which a shell does not.
	waits as_user "$PEER" bash -c '/bin/echo lost >"$Q/msg"'
	waits as_user "$PEER" bash -c '/bin/echo lost >"$Q/lines"'
	waits as_user "$PEER" bash -c '/bin/echo lost >"$Q/packets"'
	if [ "$KIND" = sysv ]; then
		waits as_user "$PEER" bash -c '/bin/echo lost >"$Q/type/5/msg"'
		waits as_user "$PEER" bash -c '/bin/echo lost >"$Q/type/5/lines"'
	fi
	wait_parked "${#WAITERS[@]}"
	equals "$(messages)" "$full"
	"$2"
	all_end 'Permission denied'
	equals "$(messages)" "$full"
	not grep -q lost "$Q/drain"
}

open_to_all() { chmod 666 "$Q"; }
closed() { chmod 600 "$Q"; }
listed() { setfacl -m "u:$PEER:rw" "$Q"; }
taken_off() { setfacl -x "u:$PEER" "$Q"; }
masked() { chmod g= "$Q"; }

@test "chmod: all who wait to read lose their right at once, and nobody else does" {
	each_kind readers_lose open_to_all closed
}

@test "a list changed: all who wait to read lose their right at once, and nobody else does" {
	each_kind readers_lose listed taken_off
	each_kind readers_lose listed masked
}

@test "chmod: all who wait to write lose their right at once, and nothing is sent" {
	each_kind writers_lose open_to_all closed
}

@test "a list changed: all who wait to write lose their right at once, and nothing is sent" {
	each_kind writers_lose listed taken_off
	each_kind writers_lose listed masked
}

semaphores_lose() {
	local one=$O file
	[ "$KIND" = posix ] || one=$O/0
	echo 0 >"$one/value"
	"$1"
	waits as_user "$PEER" bash -c 'echo >"$0/wait"' "$one"
	waits as_user "$PEER" bash -c 'echo 3 >"$0/wait"' "$one"
	waits as_user "$PEER" bash -c ': >"$0/hold"' "$one"
	if [ "$KIND" = sysv ]; then
		waits as_user "$PEER" bash -c 'echo 0:-1 >"$0/op"' "$O"
		waits as_user "$PEER" bash -c 'echo 0:-1 1:-1 >"$0/op"' "$O"
	fi
	wait_parked "${#WAITERS[@]}"
	"$2"
	all_end 'Permission denied'
	echo >"$one/post"
	equals "$(cat "$one/value")" 1
	equals "$(sed -n 's/^waiters=//p' "$O/status")" 0
	rmdir "$O"
}

@test "chmod and a changed list: all who wait for a semaphore lose their right, and take nothing" {
	for KIND in posix sysv; do
		O=$MNT/$KIND/sem/0x00000051 Q=$O
		echo "$KIND/sem/0x00000051 values=$([ "$KIND" = posix ] && echo 0 || echo 0,0)" >"$MNT/create"
		semaphores_lose open_to_all closed
		echo "$KIND/sem/0x00000051 values=$([ "$KIND" = posix ] && echo 0 || echo 0,0)" >"$MNT/create"
		semaphores_lose listed taken_off
	done
}

qbytes_raised() {
	new_queue sysv
	echo 1000 >"$Q/qbytes"
	fill
	equals "$(sed -n 's/^bytes=//p' "$Q/status")" 1000
	waits bash -c 'echo one >"$Q/msg" && echo sent'
	waits bash -c 'echo two >"$Q/lines" && echo sent'
	waits bash -c 'echo three >"$Q/packets" && echo sent'
	waits bash -c 'echo four >"$Q/type/4/lines" && echo sent'
	wait_parked 4
	"$@" 2000
	all_end sent
	equals "$(mqtool sysv "$NAME" receive >/dev/null; cat "$Q/drain" | tail -n 4 | sort | xargs)" 'four one three two'
	# Those who poll learn it, too.
	fill
	pollers "$Q/lines" "$Q/lines" "$Q/packets" "$Q/type/4/lines" POLLOUT
	"$@" 4000
	all_end woken
}

by_the_mount() { echo "$1" >"$Q/qbytes"; }
directly() { mqtool sysv "$NAME" qbytes "$1"; }

@test "qbytes raised: all who wait for room have it, whoever raised it" {
	qbytes_raised by_the_mount
	qbytes_raised directly
}

several_pollers() {
	local file files=()
	for file in $(readers_files); do
		files+=("$Q/$file")
	done
	pollers "${files[@]}" "${files[@]}" POLLIN
	# Of a type that all of them wait for.
	for file in 5 7; do
		mqtool "$KIND" "$NAME" send "$file" text
	done
	all_end woken
	cat "$Q/drain" >/dev/null
	pollers "${files[@]}" POLLIN
	rmdir "$Q"
	all_end woken
	mkdir "$Q"
	fill
	pollers "$Q/lines" "$Q/packets" "$Q/packets" POLLOUT
	cat "$Q/drain" >/dev/null
	all_end woken
}

@test "all who poll one queue are woken" {
	each_kind several_pollers
}

by_type() {
	local i
	new_queue sysv
	for i in 1 2 3; do
		waits bash -c 'head -n 1 "$Q/type/5/lines"'
		waits bash -c 'head -n 1 "$Q/type/6/lines"'
	done
	wait_parked 6
	for i in 1 2 3; do
		mqtool sysv "$NAME" send 5 of
		mqtool sysv "$NAME" send 6 of
	done
	all_end of
	equals "$(messages)" 0
}

empty_stays() {
	local file
	for file in lines msg tagged type/1/packets; do
		new_queue sysv
		chmod 666 "$Q"
		waits as_user "$PEER" cat "$Q/$file"
		wait_parked 1
		mqtool sysv "$NAME" mode 600
		mqtool sysv "$NAME" send 1 ''
		all_end 'Permission denied'
		wait_until '[ "$(messages)" = 1 ]'
	done
}

@test "an empty message stays if the reader who waits for it has lost the right" {
	empty_stays
}

@test "all who wait for a type get one of it each" {
	by_type
}

# size_of NUMBER: so many bytes, of which none is a newline.
bytes() {
	head -c "$1" /dev/zero | tr '\0' x
}

# direct_size [TAG]: the size of the next message, by the direct call.
direct_size() {
	mqtool "$KIND" "$NAME" receive | wc -c
}

exact() {
	local max=$1 file tag
	for file in lines msg packets; do
		bytes "$max" | dd of="$Q/$file" bs="$max" iflag=fullblock status=none
		equals "$file $(direct_size)" "$file $max"
		equals "$(messages)" 0
	done
	# In pieces, up to the close.
	for file in lines msg; do
		{ bytes $((max - 1)); /bin/true; bytes 1; } | dd of="$Q/$file" bs=1 status=none
		equals "$file $(direct_size)" "$file $max"
		{ bytes "$max"; echo; } | dd of="$Q/lines" bs=$((max + 1)) iflag=fullblock status=none
		equals "$(direct_size)" "$max"
	done
	for tag in 1 12345; do
		{ printf '%s\t' "$tag"; bytes "$max"; } | dd of="$Q/tagged" bs=$((max + 6)) iflag=fullblock status=none
		equals "$(mqtool "$KIND" "$NAME" tagged | cut -f1)" "$tag"
		{ printf '%s\t' "$tag"; bytes "$max"; } | dd of="$Q/tagged" bs=$((max + 6)) iflag=fullblock status=none
		equals "$(direct_size)" "$max"
	done
	# Through the mount, both ways.
	for file in msg packets drain; do
		bytes "$max" >"$Q/lines"
		equals "$file $(dd if="$Q/$file" bs=$((max + 1)) count=1 status=none | tr -d '\n' | wc -c)" "$file $max"
	done
	# One more is too much: at the write, or at the close.
	for file in lines msg packets; do
		SIZE=$((max + 1)) fails 'Message too long' bash -c \
			'head -c "$SIZE" /dev/zero | dd of="$Q/$0" bs="$SIZE" iflag=fullblock' "$file"
	done
	for file in lines msg; do
		SIZE=$((max + 1)) fails 'Message too long' bash -c 'head -c "$SIZE" /dev/zero | dd of="$Q/$0" bs=1000' "$file"
	done
	# At the write, where it can be known by then: a program that looks at no close must see it.
	for file in lines msg packets; do
		fails 'Message too long' python3 -c '
import os, sys
os.write(os.open(sys.argv[1], os.O_WRONLY), b"x" * int(sys.argv[2]))' "$Q/$file" $((max + 1))
	done
	SIZE=$((max + 1)) fails 'Message too long' bash -c \
		'{ printf "5\t"; head -c "$SIZE" /dev/zero; } | dd of="$Q/tagged" bs=20000 iflag=fullblock'
	SIZE=$((max + 1)) fails 'Message too long' bash -c \
		'{ head -c "$SIZE" /dev/zero | tr "\0" x; echo; } | dd of="$Q/lines" bs=20000 iflag=fullblock'
	equals "$(messages)" 0
}

@test "a message of exactly the largest size passes by each file, one byte more does not" {
	each_kind exact 8192
	echo 4096 >"$MNT/limits/msgmax"
	new_queue sysv
	exact 4096
	queue_name posix
	echo "posix/mq/$NAME msgsize=1500 maxmsg=3" >"$MNT/create"
	exact 1500
}

# A thousand processes may have an unfinished line in one open file; the next one is refused.
owners() {
	timeout $((60 * SLOW)) python3 -c '
import errno, os, sys
MOST = 1024
fd = os.open(sys.argv[1], os.O_WRONLY)
ready, go_on = os.pipe(), os.pipe()
for i in range(MOST + 1):
    if os.fork() == 0:
        os.close(go_on[1])
        try:
            os.write(fd, b"x")
            os.write(ready[1], b"w")
        except OSError as error:
            os.write(ready[1], b"r" if error.errno == errno.ENOMEM else b"?")
        os.read(go_on[0], 1)
        os._exit(0)
told = b""
while len(told) < MOST + 1:
    told += os.read(ready[0], MOST)
os.close(go_on[1])
for i in range(MOST + 1):
    os.wait()
assert (told.count(b"w"), told.count(b"r")) == (MOST, 1), told' "$Q/lines"
}

@test "in one open file exactly 1,024 processes have an unfinished line" {
	new_queue sysv
	owners
}

@test "an unfinished line of values has exactly a mebibyte" {
	mkdir "$MNT/sysv/sem/0x00000052"
	python3 -c '
import errno, os, sys
fd = os.open(sys.argv[1], os.O_WRONLY)
for i in range(16):
    assert os.write(fd, b"1" * 65536) == 65536
try:
    os.write(fd, b"1")
except OSError as error:
    assert error.errno == errno.EINVAL, error
else:
    raise AssertionError("one byte more is kept")' "$MNT/sysv/sem/0x00000052/values"
}
