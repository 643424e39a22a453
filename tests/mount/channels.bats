# SPDX-License-Identifier: MIT
# How bytes become messages, in each shell, as root and as an ordinary user, for both families.
# shellcheck shell=bash disable=SC2154,SC2016
load common

@test "echo sends, cat receives, one message each, in order" {
	everywhere $'one\n1\ntwo\n0' 'echo one >"$Q/msg"; echo two >"$Q/msg"
		cat "$Q/msg"; messages; cat "$Q/msg"; messages'
}

@test ">> and > are the same, and > takes nothing away" {
	everywhere $'2\none\ntwo' 'echo one >>"$Q/msg"; echo two >"$Q/msg"; messages; cat "$Q/drain"'
}

@test "6,000 and 8,192 bytes by echo are one message" {
	everywhere $'6000\n8192\n0' 'a=$(repeat a 5999); b=$(repeat b 8191)
		echo "$a" >"$Q/msg"; cat "$Q/msg" | wc -c; echo "$b" >"$Q/msg"; cat "$Q/msg" | wc -c; messages'
}

@test "a message over the limit fails where the shell sees it, and nothing is sent" {
	everywhere $'failed\n0\nnext' 'x=$(repeat x 8192)
		echo "$x" 2>/dev/null >"$Q/msg" || echo failed; messages; echo next >"$Q/msg"; cat "$Q/msg"'
	new_queue sysv
	local x
	x=$(head -c 9000 /dev/zero | tr '\0' x)
	run bash -c 'echo "$0" >"$Q/msg"' "$x"
	[[ $status = 1 && $output == *'Message too long'* ]]
	run dd if=/dev/zero of="$Q/msg" bs=5000 count=2
	[[ $status = 1 && $output == *'Message too long'* ]]
	equals "$(messages)" 0
}

@test "a queue's own message size is the limit" {
	echo 'posix/mq/small msgsize=10' >"$MNT/create"
	echo 123456789 >"$MNT/posix/mq/small/msg"
	fails 'Message too long' bash -c 'echo 1234567890 >"$MNT/posix/mq/small/msg"'
	equals "$(cat "$MNT/posix/mq/small/drain")" 123456789
}

@test "binary bytes pass untouched" {
	everywhere $'1\n256\n1\nsame' 'bytes() { i=0; while [ $i -lt 256 ]; do printf "\\$(printf %o $i)"; i=$((i + 1)); done; }
		bytes >"$Q/msg"; messages
		cat "$Q/msg" | od -An -v -tu1 | tr -s " " "\n" | awk "NF && \$1 == n { n++ } END { print n }"
		printf "\\377\\000\\n\\001" >"$Q/msg"; messages
		[ "$(cat "$Q/msg" | od -An -tx1 | tr -d " ")" = ff000a01 ] && echo same'
}

@test "lines: each line is a message, empty ones too, a last line without its newline at close" {
	everywhere $'4\n<a>\n<>\n<b c>\nd\n' 'printf "a\n\nb c\nd" >"$Q/lines"; messages
		for i in 1 2 3; do printf "<%s>\n" "$(cat "$Q/msg")"; done; head -n 1 "$Q/lines"; echo'
}

@test "a reader gets a newline where the message lacks one, and only there" {
	everywhere $'a\nb\n3' 'printf a >"$Q/msg"; echo b >"$Q/msg"; head -n 1 "$Q/lines"; head -n 1 "$Q/lines"
		printf abc >"$Q/msg"; cat "$Q/msg" | wc -c | tr -d " "'
}

@test "one process's writes up to its close are one message" {
	everywhere $'1\na\nb' '{ echo a; echo b; } >"$Q/msg"; messages; cat "$Q/msg"'
	everywhere $'1\na\nb' '{ echo a; sleep 0.1; echo b; } >"$Q/msg"; messages; cat "$Q/msg"'
	everywhere $'1\nabc' 'printf "%s" a b c >"$Q/msg"; messages; cat "$Q/msg"; echo'
	everywhere $'1\na\nb' 'for i in a b; do echo $i; true; done >"$Q/msg"; messages; cat "$Q/msg"'
}

@test "two programs in a group are two messages" {
	everywhere $'2\na\nb' '{ /bin/echo a; /bin/echo b; } >"$Q/msg"; messages; cat "$Q/msg"; cat "$Q/msg"'
	everywhere $'2\na\nb' '{ (echo a); (echo b); } >"$Q/msg"; messages; cat "$Q/msg"; cat "$Q/msg"'
}

@test "a child that exits sends nothing of its parent's" {
	everywhere $'0\n1\na\nb' 'exec 9>"$Q/msg"; /bin/true; sleep 0.05; messages; exec 9>&-
		{ echo a; /bin/true; sleep 0.05; [ "$(messages)" = 0 ] || exit 1; echo b; } >"$Q/msg"; messages; cat "$Q/msg"'
}

@test "a descriptor that stays open sends at each redirection to it" {
	everywhere $'2\na\nb' 'exec 9>"$Q/msg"; echo a >&9; echo b >&9; messages; exec 9>&-; cat "$Q/msg"; cat "$Q/msg"'
}

@test "nothing written is nothing sent" {
	everywhere 0 ': >"$Q/msg"; : >"$Q/lines"; : >"$Q/tagged"; : >"$Q/packets"; : >"$Q/records"; true >"$Q/msg"; exec 9<>"$Q/msg"; exec 9>&-; messages'
}

@test "an empty message is the end of file at once" {
	everywhere $'1\n<>\n0' 'echo >"$Q/lines"; messages; echo "<$(cat "$Q/msg")>"; messages'
}

@test "reading on after the end gives the next message" {
	everywhere $'one\ntwo' 'echo one >"$Q/msg"; echo two >"$Q/msg"; exec 8<"$Q/msg"; cat <&8; cat <&8'
}

@test "the rest of a message that was read in part stays with the open file" {
	everywhere $'he\n1\nllo\nnext' 'echo hello >"$Q/msg"; echo next >"$Q/msg"; exec 8<"$Q/msg"
		dd bs=2 count=1 <&8 2>/dev/null; echo; messages; cat <&8; cat <&8'
	everywhere $'h\n0\nello' 'echo hello >"$Q/msg"; exec 8<"$Q/lines"; dd bs=1 count=1 <&8 2>/dev/null; echo; messages; head -n 1 <&8'
}

@test "read takes one message at a time from msg and from lines" {
	everywhere $'one 1\ntwo 0' 'echo one >"$Q/msg"; echo two >"$Q/msg"; read -r x <"$Q/msg"; echo $x $(messages); read -r x <"$Q/lines"; echo $x $(messages)'
}

@test "while job=\$(cat msg) is a worker" {
	everywhere $'did 1\ndid 2\ndid 3' '(for i in 1 2 3 stop; do echo $i >"$Q/msg"; done) &
		while job=$(cat "$Q/msg"); do [ "$job" != stop ] || break; echo "did $job"; done; wait'
}

@test "while read from lines is a consumer, seq a producer" {
	everywhere $'1\n2\n3\n4\n5' '(seq 5 >"$Q/lines"; echo stop >"$Q/lines") &
		while read -r x; do [ "$x" != stop ] || break; echo "$x"; done <"$Q/lines"; wait'
}

@test "a batch that fills the queue waits: no line is lost, doubled or cut" {
	everywhere same 'seq 500 >"$Q/lines" & [ "$(head -n 500 "$Q/lines" | cksum)" = "$(seq 500 | cksum)" ] && echo same; wait; messages | grep -v "^0$"; true'
}

@test "cat takes as many whole messages as are queued, head one" {
	everywhere $'a\n3\nb\nc\nd' 'printf "%s\n" a b c d >"$Q/lines"; head -n 1 "$Q/lines"; messages
		timeout 0.5 cat "$Q/lines" 2>/dev/null; true'
}

@test "small buffers get one message, large ones whole messages" {
	each_kind buffers
}

buffers() {
	printf '%s\n' a b c d e >"$Q/lines"
	equals "$(dd if="$Q/lines" bs=65536 count=1 status=none)" a
	equals "$(dd if="$Q/drain" bs=4096 count=1 status=none)" b
	equals "$(dd if="$Q/lines" bs=65537 count=1 status=none)" $'c\nd\ne'
}

@test "exec 9<> reads what it wrote" {
	everywhere $'hello\nagain' 'exec 9<>"$Q/lines"; echo hello >&9; read -r x <&9; echo "$x"; echo again >&9; read -r x <&9; echo "$x"'
}

@test "tagged lines have a type or priority" {
	new_queue sysv
	printf '5\tone\n7\ttwo\n9223372036854775807\tthree' >"$Q/tagged"
	equals "$(mqtool sysv "$NAME" tagged)" $'5\tone'
	equals "$(head -n 2 "$Q/tagged")" $'7\ttwo\n9223372036854775807\tthree'
	new_queue posix
	printf '5\tone\n7\ttwo\n0\tthree\n32767\tfour' >"$Q/tagged"
	equals "$(mqtool posix "$NAME" tagged)" $'32767\tfour'
	equals "$(head -n 3 "$Q/tagged")" $'7\ttwo\n5\tone\n0\tthree'
}

bad_tags() {
	local line
	for line in x 'x\ty' '\ttext' '5 text' ' 5\ttext' '05\ttext'; do
		fails 'Invalid argument' bash -c "printf -- '$line\n' >\"\$Q/tagged\""
	done
	fails 'out of range' bash -c "printf -- '-1\ttext\n' >\"\$Q/tagged\""
	fails 'out of range' bash -c "printf '99999999999999999999\ttext\n' >\"\$Q/tagged\""
	equals "$(messages)" 0
}

@test "lines that are not tagged are refused" {
	each_kind bad_tags
	new_queue sysv
	fails 'out of range' bash -c 'printf "0\tx\n" >"$Q/tagged"'
	new_queue posix
	fails 'out of range' bash -c 'printf "32768\tx\n" >"$Q/tagged"'
	equals "$(messages)" 0
}

packets() {
	(printf one; printf two) >"$Q/packets"
	dd if=/dev/zero of="$Q/packets" bs=3000 count=2 status=none
	equals "$(messages)" 4
	equals "$(dd if="$Q/packets" bs=8192 count=1 status=none)" one
	if [ "$KIND" = posix ]; then
		fails 'Message too long' dd if="$Q/packets" bs=8191 count=1
	else
		fails 'Message too long' dd if="$Q/packets" bs=2 count=1
	fi
	equals "$(messages)" 3
	equals "$(dd if="$Q/packets" bs=8192 count=1 status=none)" two
	equals "$(dd if="$Q/packets" bs=8192 count=1 status=none | wc -c)" 3000
	dd if="$Q/packets" of=/dev/null bs=8192 count=1 status=none
	fails 'Message too long' dd if=/dev/zero of="$Q/packets" bs=8193 count=1
	equals "$(messages)" 0
}

@test "packets: each write and each read is one message" {
	each_kind packets
}

@test "drain takes what is queued and never waits" {
	everywhere $'a\nb\n0' 'cat "$Q/drain"; echo a >"$Q/msg"; printf b >"$Q/msg"; cat "$Q/drain"; messages; cat "$Q/drain"'
}

several_reads() {
	seq -f %07999.0f 10 >"$Q/lines"
	equals "$(dd if="$Q/drain" bs=70000 status=none | tr -d 0)" "$(seq 9)"$'\n1'
}

# whole_messages FILE SIZE: a message of 1000 bytes has SIZE in the file.
whole_messages() {
	local file=$1 size=$2
	head -c 80000 /dev/zero | tr '\0' x | fold -w 1000 >"$Q/lines"
	equals "$(messages)" 80
	# one more, but for its last byte
	equals "$(dd if="$Q/$file" bs=$((67 * size - 1)) count=1 status=none | wc -c)" $((66 * size))
	equals "$(messages)" 14
	equals "$(dd if="$Q/$file" bs=$((67 * size)) count=1 status=none | wc -c)" $((14 * size))
}

@test "a large read has whole messages, also if all but a byte of the next one would fit" {
	echo 200000 >"$MNT/limits/msgmnb"
	new_queue sysv
	whole_messages lines 1001
	whole_messages tagged 1003
	whole_messages drain 1001
}

@test "peek/ has messages that are longer than the bytes that their queue may have now" {
	new_queue sysv
	mqtool sysv "$NAME" send 7 "$(head -c 8000 /dev/zero | tr '\0' x)"
	echo 100 >"$Q/qbytes"
	equals "$(ls "$Q/peek")" 0.7
	equals "$(wc -c <"$Q/peek/0.7")" 8000
}

@test "drain gives in the next read what did not fit into a batch" {
	echo 100000 >"$MNT/limits/msgmnb"
	each_kind several_reads
}

@test "drain leaves what is sent after its first read" {
	everywhere $'1\n2\nthen\n3' '
		printf "1\n2\n" >"$Q/lines"
		exec 9<"$Q/drain"
		/bin/dd bs=100 count=1 status=none <&9
		echo 3 >"$Q/lines"
		cat <&9
		echo then
		cat "$Q/drain"'
}

found_empty() {
	printf '1\n2\n' >"$Q/lines"
	exec 9<"$Q/drain"
	equals "$(dd bs=100 count=1 status=none <&9)" 1
	equals "$(cat "$Q/drain")" 2
	silent cat <&9
	echo 3 >"$Q/lines"
	silent cat <&9
	exec 9<&-
}

@test "drain stays at its end when others have taken what it had counted" {
	each_kind found_empty
}

@test "plain files send type 1, priority 0, and receive any" {
	local file
	for file in msg lines packets; do
		new_queue sysv
		printf 'x' >"$Q/$file"
		equals "$(mqtool sysv "$NAME" tagged)" $'1\tx'
		new_queue posix
		printf 'x' >"$Q/$file"
		equals "$(mqtool posix "$NAME" tagged)" $'0\tx'
	done
	new_queue sysv
	mqtool sysv "$NAME" send 77 text
	equals "$(cat "$Q/msg")" text
}

@test "prio/N sends with priority N; the highest comes first" {
	new_queue posix "$PEER"
	as_user "$PEER" bash -c 'echo low >"$Q/msg"; echo high >"$Q/prio/9/msg"; printf "a\nb\n" >"$Q/prio/5/lines"
		printf p >"$Q/prio/32767/packets"; echo zero >"$Q/prio/0/msg"'
	equals "$(mqtool posix "$NAME" tagged)" $'32767\tp'
	equals "$(cat "$Q/drain")" $'high\na\nb\nlow\nzero'
	fails 'not permitted' cat "$Q/prio/9/msg"
	fails 'not permitted' cat "$Q/prio/9/lines"
}

@test "type/N sends and receives type N, type/-N receives the lowest up to N" {
	new_queue sysv "$PEER"
	as_user "$PEER" bash -c 'echo seven >"$Q/type/7/msg"; echo three >"$Q/type/3/msg"; printf "a\nb\n" >"$Q/type/5/lines"
		printf "5\tc" >"$Q/tagged"; printf p >"$Q/type/9/packets"; printf x >"$Q/type/9223372036854775807/msg"'
	equals "$(cat "$Q/type/7/msg")" seven
	equals "$(head -n 1 "$Q/type/5/tagged")" $'5\ta'
	equals "$(cat "$Q/type/-5/msg")" three
	equals "$(cat "$Q/type/-5/drain")" $'b\nc'
	silent cat "$Q/type/-5/drain"
	equals "$(cat "$Q/type/9/drain")" p
	equals "$(mqtool sysv "$NAME" tagged | cut -f1)" 9223372036854775807
	fails 'Invalid argument' bash -c 'echo x >"$Q/type/-5/msg"'
	equals "$(messages)" 0
}

@test "type/N waits for its type only" {
	new_queue sysv
	background_output cat "$Q/type/5/msg"
	local five=$JOB out=$OUT
	background_output cat "$Q/type/-3/msg"
	wait_parked 2
	echo six >"$Q/type/6/msg"
	meanwhile 0.1
	running "$five"
	running "$JOB"
	echo five >"$Q/type/5/msg"
	wait "$five"
	equals "$(cat "$out")" five
	running "$JOB"
	mqtool sysv "$NAME" send 2 two
	wait "$JOB"
	equals "$(cat "$OUT")" two
	equals "$(messages)" 1
}

waits_while_empty() {
	local file
	for file in msg lines tagged packets; do
		background_output bash -c "head -n 1 \"\$Q/$file\" 2>/dev/null"
		wait_parked 1
		echo hello >"$Q/msg"
		wait "$JOB"
		[[ $(cat "$OUT") == *hello ]]
		background_output bash -c "head -n 1 \"\$Q/$file\" 2>/dev/null"
		wait_parked 1
		echo direct | mqtool "$KIND" "$NAME" send 1
		wait "$JOB"
		[[ $(head -n 1 "$OUT") == *direct ]]
	done
}

@test "reading waits while the queue is empty, for the mount and for direct senders" {
	each_kind waits_while_empty
}

waits_while_full() {
	local before
	fill
	before=$(messages)
	background bash -c 'echo through >"$Q/msg"'
	wait_parked 1
	equals "$(messages)" "$before"
	mqtool "$KIND" "$NAME" receive >/dev/null
	mqtool "$KIND" "$NAME" receive >/dev/null
	wait "$JOB"
	[[ $(cat "$Q/drain" | tail -n 1) == through ]]
	for file in lines packets; do
		fill
		background bash -c "echo through >\"\$Q/$file\""
		wait_parked 1
		mqtool "$KIND" "$NAME" receive >/dev/null
		mqtool "$KIND" "$NAME" receive >/dev/null
		wait "$JOB"
		[[ $(cat "$Q/drain" | tail -n 1) == through ]]
	done
}

@test "writing and closing wait while the queue is full" {
	each_kind waits_while_full
}

@test "a child's exit while echo waits on a full queue costs no message" {
	everywhere $'through\n0' 'fill
		(sleep 0.5; head -n 2 "$Q/lines" >/dev/null) &
		sleep 0.2 &
		echo through >"$Q/msg"
		wait
		cat "$Q/drain" | tail -n 1; messages'
	everywhere $'through\n0' 'fill
		(sleep 0.5; head -n 2 "$Q/lines" >/dev/null) &
		sleep 0.2 &
		echo through >"$Q/lines"
		wait
		cat "$Q/drain" | tail -n 1; messages'
}

nonblocking() {
	local file size
	for file in msg lines tagged packets; do
		fails 'Resource temporarily unavailable' dd if="$Q/$file" iflag=nonblock bs=8192 count=1
	done
	silent dd if="$Q/drain" iflag=nonblock bs=8192 count=1 status=none
	fill
	local full
	full=$(messages)
	for file in lines packets; do
		fails 'Resource temporarily unavailable' bash -c "head -c 1000 /dev/zero | tr '\\0' x | sed 's/\$/\\n/' | dd of=\"\$Q/$file\" oflag=nonblock bs=8192 count=1 iflag=fullblock"
	done
	for size in 1 8191 8192; do
		fails 'Resource temporarily unavailable' dd if=/dev/zero of="$Q/msg" oflag=nonblock bs="$size" count=1
	done
	fails 'Message too long' dd if=/dev/zero of="$Q/msg" oflag=nonblock bs=8193 count=1
	equals "$(messages)" "$full"
}

@test "O_NONBLOCK gives EAGAIN instead of waiting" {
	each_kind nonblocking
}

short_write() {
	/usr/bin/python3 - <<-'EOF'
	import os
	path = os.environ['Q'] + '/lines'
	fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
	text = b''.join(b'%0999d\n' % i for i in range(60))
	written = os.write(fd, text)
	assert 0 < written < len(text) and written % 1000 == 0, written
	try:
	    os.write(fd, text[written:])
	    raise SystemExit('not full')
	except BlockingIOError:
	    pass
	got = os.read(os.open(os.environ['Q'] + '/drain', os.O_RDONLY), 1 << 17)
	assert got == text[:written], (len(got), written)
	assert os.write(fd, text[written:]) > 0
	EOF
	cat "$Q/drain" >/dev/null
}

begun_line() {
	/usr/bin/python3 - <<-'EOF'
	import os
	for name, flags, error in (('lines', os.O_NONBLOCK, BlockingIOError), ('within/0.1/lines', 0, TimeoutError)):
	    fd = os.open(os.environ['Q'] + '/' + name, os.O_WRONLY | flags)
	    assert os.write(fd, b'begun') == 5
	    packets = os.open(os.environ['Q'] + '/packets', os.O_WRONLY | os.O_NONBLOCK)
	    try:
	        while True:
	            os.write(packets, b'f')
	    except BlockingIOError:
	        pass
	    try:
	        os.write(fd, b' and ended\n')
	        raise SystemExit('not full')
	    except error:
	        pass
	    drain = os.environ['Q'] + '/drain'
	    while os.read(os.open(drain, os.O_RDONLY), 1 << 17):
	        pass
	    assert os.write(fd, b' and ended\n') == 11
	    got = os.read(os.open(drain, os.O_RDONLY), 100)
	    assert got == b'begun and ended\n', (name, got)
	EOF
}

@test "a line that is begun stays when its end has no room now" {
	each_kind begun_line
}

@test "a batch of lines with O_NONBLOCK that fills the queue is a short write" {
	each_kind short_write
}

both_ways() {
	printf 'a\0b' >"$Q/msg"
	equals "$(mqtool "$KIND" "$NAME" receive | od -An -c | tr -d ' ')" 'a\0b'
	printf 'c\0d' | mqtool "$KIND" "$NAME" send 3
	equals "$(cat "$Q/msg" | od -An -c | tr -d ' ')" 'c\0d'
	mqtool "$KIND" "$NAME" send 3 tagged
	equals "$(head -n 1 "$Q/tagged")" $'3\ttagged'
}

@test "messages pass both ways between the mount and direct callers" {
	each_kind both_ways
}

many_readers() {
	local i out=$BATS_TEST_TMPDIR/all
	for i in $(seq 20); do
		background bash -c "cat \"\$Q/msg\" >>'$out'"
	done
	wait_parked 20
	for i in $(seq 20); do
		echo "$i" >"$Q/msg"
	done
	wait "${JOBS[@]}"
	equals "$(sort -n "$out")" "$(seq 20)"
	rm "$out"
	JOBS=()
}

@test "each of many readers gets one message" {
	each_kind many_readers
}

@test "a long line over the limit is refused, the lines before it arrive" {
	everywhere $'failed\na' 'x=$(repeat x 9000); printf "a\n" >"$Q/lines"; printf "%s\n" "$x" 2>/dev/null >"$Q/lines" || echo failed; cat "$Q/drain"'
}

behind_long_line() {
	perl -MErrno=EMSGSIZE -e '
		open(my $f, ">", "$ENV{Q}/lines") or die;
		sub takes { defined(syswrite($f, $_[0])) or die "$!" }
		sub refuses { !defined(syswrite($f, $_[0])) && $!{EMSGSIZE} or die "sent: $!" }
		refuses("x" x 9000); # its end comes later
		refuses("x");
		takes("x\nnext\nla");
		takes("st\n");
		refuses("x" x 9000 . "\n");
		takes("another\n");'
	equals "$(cat "$Q/drain")" $'next\nlast\nanother'
}

@test "what follows a line that is refused is sent from its first byte" {
	each_kind behind_long_line
}

# 1024 processes may have an unfinished line in one open file. Threads with descriptors of their own
# count as processes.
@test "a process whose refused line has ended has no place among those with unfinished ones" {
	new_queue posix
	timeout $((60 * SLOW)) /usr/bin/python3 - <<-'EOF'
	import ctypes, errno, os, threading
	CLONE_FILES = 0x400
	fd = os.open(os.environ['Q'] + '/lines', os.O_WRONLY)
	wrong, over = [], threading.Event()

	def refused(text):
	    try:
	        os.write(fd, text)
	        wrong.append('sent')
	    except OSError as error:
	        wrong.extend([] if error.errno == errno.EMSGSIZE else [error])

	def process(done):
	    assert ctypes.CDLL(None).unshare(CLONE_FILES) == 0
	    refused(b'x' * 9000)
	    refused(b'its end\n')
	    done.release()
	    over.wait()

	done, threads = threading.Semaphore(0), []
	for _ in range(1030):
	    threads.append(threading.Thread(target=process, args=(done,), daemon=True))
	    threads[-1].start()
	    done.acquire()
	os.write(fd, b'begun')
	over.set()
	for thread in threads:
	    thread.join()
	os.write(fd, b' and ended\n')
	assert not wrong, wrong[0]
	EOF
	equals "$(cat "$Q/drain")" 'begun and ended'
}
