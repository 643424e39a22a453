# SPDX-License-Identifier: MIT
# The section "Programs that need a word" of ipcfs(5): what happens, and what works instead.
# shellcheck shell=bash disable=SC2154,SC2016
load common

setup() {
	common_setup
	start_mount
	new_queue posix
	# What the programs do must not depend on a file from before.
	cd "$BATS_TEST_TMPDIR" || return
}

# send TEXT...: each is a message.
send() {
	printf '%s\n' "$@" >"$Q/lines"
}

# left N: so many messages are queued; takes them.
left() {
	equals "$(messages)" "$1"
	cat "$Q/drain" >left
}

# endless SECONDS COMMAND...: waits for more than there is; what it has printed is in `printed`.
endless() {
	local status=0
	timeout "$(($1 * SLOW))" "${@:2}" >printed || status=$?
	equals "$status" 124
}

@test "bash's read -t waits without end; timeout works, and read -t of other shells" {
	local shell
	endless 2 bash -c 'read -t 0.5 x <"$Q/lines"'
	run timeout 0.5 head -n 1 "$Q/lines"
	equals "$status" 124
	run bash -c 'timeout 0.5 cat "$Q/msg"'
	equals "$status" 124
	for shell in zsh ksh93 mksh 'busybox ash'; do
		# shellcheck disable=SC2086 # a shell may be two words
		run timeout 5 $shell -c 'read -t 1 x <"$Q/lines" || echo nothing'
		equals "$status $output" '0 nothing'
	done
	send kept
	equals "$(timeout 5 head -n 1 "$Q/lines" 2>/dev/null)" kept
}

@test "set -o noclobber refuses >; >> and >| work" {
	local shell
	for shell in bash dash 'busybox ash' zsh ksh93 mksh yash; do
		# shellcheck disable=SC2086 # a shell may be two words
		run $shell -c 'set -C; echo lost >"$Q/msg"'
		[ "$status" != 0 ]
		[[ $output == *exist* ]]
		equals "$(messages)" 0
		# shellcheck disable=SC2086
		$shell -c 'set -C; echo one >>"$Q/msg"; echo two >|"$Q/msg"'
		equals "$(cat "$Q/drain")" $'one\ntwo'
	done
}

@test "tcsh with noclobber refuses >, and fish >?; >> works" {
	fails 'File exists' tcsh -f -c 'set noclobber; echo lost > $Q/msg'
	fails 'already exists' fish -c 'echo lost >? $Q/msg'
	equals "$(messages)" 0
	tcsh -f -c 'set noclobber; echo one >> $Q/msg; echo two >! $Q/msg'
	tcsh -f -c 'echo three > $Q/msg'
	fish -c 'echo four >> $Q/msg; echo five > $Q/msg'
	equals "$(cat "$Q/drain")" $'one\ntwo\nthree\nfour\nfive'
}

@test "mawk on lines prints nothing until its buffer is full; -W interactive works" {
	send 1 2 3
	endless 1 mawk '{ print; fflush() }' "$Q/lines"
	equals "$(wc -c <printed)" 0
	left 0
	send 1 2 3
	endless 1 mawk -W interactive '{ print }' "$Q/lines"
	equals "$(cat printed)" $'1\n2\n3'
	send 1 2 3
	endless 1 gawk '{ print; fflush() }' "$Q/lines"
	equals "$(cat printed)" $'1\n2\n3'
	send 1 2 3
	equals "$(mawk '{ print }' "$Q/drain")" $'1\n2\n3'
}

@test "tail -f takes messages and prints nothing; cat of lines works" {
	send 1 2 3
	endless 1 tail -f "$Q/lines"
	equals "$(wc -c <printed)" 0
	left 0
	send 1 2 3
	endless 1 cat "$Q/lines"
	equals "$(cat printed)" $'1\n2\n3'
}

@test "head -n -N and tail -c +N refuse, and take nothing; cat in a pipe works" {
	send 1 2 3
	fails 'Illegal seek' head -n -1 "$Q/msg"
	fails 'Illegal seek' tail -c +1 "$Q/msg"
	equals "$(messages)" 3
	equals "$(cat "$Q/msg" | tail -c +1)" 1
	printf 'a\nb\n' >"$Q/msg"
	cat "$Q/msg" "$Q/msg" >/dev/null
	equals "$(cat "$Q/msg" | head -n -1)" a
}

@test "yash's read of a message of several lines refuses; lines, or cat in a pipe work" {
	printf 'one\ntwo\n' >"$Q/msg"
	run yash -c 'read -r x <"$Q/msg"'
	equals "$status" 1
	[[ $output == *'cannot rewind'* ]]
	send one two
	equals "$(yash -c 'read -r x <"$Q/lines"; echo "<$x>"; read -r x <"$Q/lines"; echo "<$x>"')" $'<one>\n<two>'
	printf 'one\ntwo\n' >"$Q/msg"
	equals "$(yash -c 'cat "$Q/msg" | while read -r x; do echo "<$x>"; done')" $'<one>\n<two>'
}

@test "bash's source reads nothing; source of a process substitution works" {
	echo 'x=read' >"$Q/msg"
	equals "$(bash -c 'x=nothing; . "$Q/msg"; echo $x')" nothing
	equals "$(messages)" 1
	equals "$(bash -c '. <(cat "$Q/msg"); echo $x')" read
}

@test "four reads that wait take all threads of Node; UV_THREADPOOL_SIZE or a child work" {
	local code='
		const children = [];
		for (let i = 0; i < 4; i++) READ
		setTimeout(() => fs.stat("/", () => {
			console.log("alive");
			children.forEach(child => child.kill());
			process.exit(0);
		}), 200);
		setTimeout(() => process.exit(1), 1500);'
	local read='fs.readFile(process.env.Q + "/msg", () => {});'
	local child='children.push(require("child_process").execFile("cat", [process.env.Q + "/msg"]));'
	run timeout 3 node -e "${code/READ/$read}"
	[ "$status" != 0 ]
	equals "$output" ''
	run env UV_THREADPOOL_SIZE=8 timeout -s KILL 5 node -e "${code/READ/$read}"
	equals "$status $output" '137 alive'
	run timeout 5 node -e "${code/READ/$child}"
	equals "$status $output" '0 alive'
	wait_until '[ "$(parked)" = 0 ]'
}

@test "Ruby's IO.copy_stream and FileUtils.cp from msg refuse, and take nothing; read works" {
	send text
	fails 'Illegal seek' ruby -e 'IO.copy_stream(ENV["Q"] + "/msg", $stdout)'
	fails 'Illegal seek' ruby -r fileutils -e 'FileUtils.cp(ENV["Q"] + "/msg", "copy")'
	equals "$(messages)" 1
	equals "$(ruby -e 'print File.read(ENV["Q"] + "/msg")')" text
	echo text >file
	ruby -e 'IO.copy_stream("file", ENV["Q"] + "/msg")'
	equals "$(cat "$Q/msg")" text
}

@test "PHP's fread on lines goes on until it has all bytes that it asked for; fgets works" {
	send 1 2 3
	endless 1 php -r '$f = fopen(getenv("Q") . "/lines", "r"); echo fread($f, 100);'
	equals "$(wc -c <printed)" 0
	left 0
	send 1 2 3
	equals "$(php -r '$f = fopen(getenv("Q") . "/lines", "r"); echo fgets($f), fgets($f);')" $'1\n2'
	left 1
}

@test "cp -r and grep -r take messages; a read-only mount keeps them, --include=status reads none" {
	send 1 2 3
	run timeout 2 cp -r "$Q" copy
	equals "$status" 124
	left 0
	send 1 2 3
	run grep -r 2 "$Q"
	equals "$status" 2
	left 0
	send 1 2 3
	equals "$(grep -rh --include=status '^messages=' "$Q")" messages=3
	stop_mount
	start_mount -o ro
	run grep -r 2 "$Q"
	equals "$status" 2
	run timeout 10 cp -r "$Q" copy2
	equals "$status" 1
	equals "$(messages)" 3
}

@test "tar and rsync go by the size, and take nothing" {
	send 1 2 3
	tar -cf files.tar "$Q"
	rsync -r "$Q" copy
	left 3
}
