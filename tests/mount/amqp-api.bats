# SPDX-License-Identifier: MIT
# What the management API of a broker tells of queues: see amqp.bash. $BROKER/lists has a line for each
# request, $BROKER/looks one for each queue that the broker itself was asked about.
# shellcheck shell=bash disable=SC2153,SC2154,SC2016,SC2034
load common
load amqp

setup() {
	broker_setup
	config 'queue = jobs 0660 root:1234' 'api = http://127.0.0.1:15672'
	start_mount -o "amqp=$CONFIG"
	wait_until 'grep -q ^state=up "$MNT/amqp/status"'
	wait_until 'grep -qx listing=api "$MNT/amqp/status"'
}

# listed: prints the names of the queues.
listed() {
	ls "$MNT/amqp/main" | paste -s -d ' '
}

# value NAME FILE: prints a value of a status file.
value() {
	sed -n "s/^$1=//p" "$2"
}

# lines FILE: prints how many lines a file of the broker has.
lines() {
	cat "$BROKER/$1" 2>/dev/null | wc -l
}

# has_many COUNT: gives the broker so many queues.
has_many() {
	(cd "$BROKER" && seq -f q-many%.0f "$1" | xargs mkdir)
}

# again OPTION...: starts the mount once more.
again() {
	stop_mount
	start_mount -o "amqp=$CONFIG" "$@"
	wait_until 'grep -qx listing=api "$MNT/amqp/status"'
}

@test "ls has the broker's queues, whoever made them" {
	equals "$(listed)" jobs
	local long
	long=$(printf '%0253d' 0 | tr 0 x)
	mkdir "$BROKER/q-theirs" "$BROKER/q-a%b" "$BROKER/q-$long" "$BROKER/q-%%${long%xx}" # is too long
	wait_until '[ "$(listed | wc -w)" = 4 ]'
	equals "$(listed)" "a%2Fb jobs theirs $long"
	equals "$(stat -c '%a %u' "$MNT/amqp/main/theirs")" '711 0'
	rmdir "$BROKER/q-theirs"
	wait_until '[ "$(listed | wc -w)" = 3 ]'
	fails 'No such file' stat "$MNT/amqp/main/theirs"
}

@test "the list is at most a second old, and is not asked for more often" {
	local before i
	ls "$MNT/amqp/main" >/dev/null
	before=$(lines lists)
	for ((i = 0; i < 20; i++)); do
		ls "$MNT/amqp/main" >/dev/null
	done
	[ $(($(lines lists) - before)) -le 2 ]
	mkdir "$BROKER/q-new"
	wait_until '[ "$(listed)" = "jobs new" ]' 5
}

@test "ls -l of many queues asks the broker once" {
	has_many 1000
	wait_until '[ "$(listed | wc -w)" = 1001 ]'
	: >"$BROKER/looks"
	: >"$BROKER/lists"
	meanwhile 1.1 # until the list is too old
	equals "$(ls -l "$MNT/amqp/main" | grep -c many)" 1000
	[ "$(lines lists)" -le 2 ]
	[ "$(lines looks)" -le 100 ]
}

@test "st_size is the number of bytes that are queued, and 0 where nobody tells it" {
	printf 12345 >"$Q/msg"
	printf 678 >"$Q/msg"
	wait_until '[ "$(stat -c %s "$Q")" = 8 ]' 10
	mkdir "$BROKER/q-theirs"
	printf 'p1234' >"$BROKER/q-theirs/1" # its first byte is the priority
	equals "$(stat -c %s "$MNT/amqp/main/theirs")" 4
	ls -l "$MNT/amqp/main" | grep -q ' 8 .* jobs$'
	touch "$BROKER/api-down"
	kill "$(cat "$BROKER/pid.api")"
	wait_until 'grep -qx listing=known "$MNT/amqp/status"'
	wait_until '[ "$(stat -c %s "$Q")" = 0 ]' # the kernel may keep what ls has asked for
}

@test "status of a queue has more, and the rest stays" {
	local name
	printf 12345 >"$Q/msg"
	exec 9<>"$Q/lease"
	equals "$(cat <&9)" 12345
	printf 67 >"$Q/msg"
	for name in type=quorum unacked=1 bytes=2 "leader='r1@a'" "members='r1@a r2@b'" \
		"arguments='{\"x-queue-type\":\"quorum\"}'" messages=1 class=amqp/main leased=1; do
		grep -qxF "$name" "$Q/status"
	done
	exec 9<&-
	touch "$BROKER/api-down"
	grep -qx class=amqp/main "$Q/status"
	wait_until 'grep -qx listing=known "$MNT/amqp/status"'
	equals "$(grep -cE '^(type|unacked|bytes|leader|members|arguments)=' "$Q/status")" 0
}

@test "an API that fails: ls has the known names, and status says why" {
	mkdir "$BROKER/q-theirs" "$BROKER/q-later"
	wait_until '[ "$(listed)" = "jobs later theirs" ]'
	rmdir "$BROKER/q-later"
	touch "$BROKER/api-down"
	kill "$(cat "$BROKER/pid.api")"
	wait_until 'grep -qx listing=known "$MNT/amqp/status"'
	wait_until 'grep -qF "api_error='\''HTTP 500'\''" "$MNT/amqp/status"'
	mkdir "$BROKER/q-new"
	wait_until '[ "$(listed)" = "jobs theirs" ]'
	echo one >"$MNT/amqp/main/new/lines"
	equals "$(listed)" 'jobs new theirs'
	grep -qx state=up "$MNT/amqp/status"
	grep -qx last_error= "$MNT/amqp/status"
	mkdir "$BROKER/q-newer"
	rm "$BROKER/api-down"
	wait_until 'grep -qx listing=api "$MNT/amqp/status"' 20
	equals "$(value api_error "$MNT/amqp/status")" ''
	equals "$(listed)" 'jobs new newer theirs'
}

@test "an API that is silent holds up one ls for two seconds, and then nobody" {
	touch "$BROKER/api-silent"
	meanwhile 1.1 # until the list is too old
	within 3500 equals "$(listed)" jobs
	grep -qx listing=known "$MNT/amqp/status"
	within 1000 equals "$(listed)" jobs
	within 1000 grep -qx messages=0 "$Q/status"
	echo one >"$Q/lines"
	equals "$(cat "$Q/msg")" one
}

@test "a program that can't be started is told of, and keeps nothing from working" {
	stop_mount
	rm "$BATS_TEST_TMPDIR/bin/fakeamqp-api"
	start_mount -o "amqp=$CONFIG"
	wait_until 'grep -q ^state=up "$MNT/amqp/status"'
	wait_until 'grep -q "^api_error=.*ipcfs-amqp-api" "$MNT/amqp/status"'
	echo one >"$Q/lines"
	equals "$(cat "$Q/msg")" one
	equals "$(listed)" jobs
}

@test "a program that does not answer is replaced" {
	local before
	before=$(cat "$BROKER/pid.api")
	kill -STOP "$before"
	meanwhile 1.1 # until the list is too old
	within 3500 equals "$(listed)" jobs
	grep -qx listing=known "$MNT/amqp/status"
	wait_until '[ "$(cat "$BROKER/pid.api")" != "$before" ]' 20
	wait_until 'grep -qx listing=api "$MNT/amqp/status"'
	kill -KILL "$before"
}

@test "a program that lies is ended, and harms nothing else" {
	local lie before
	for lie in many asked kind; do
		before=$(cat "$BROKER/pid.api")
		echo "$lie" >"$BROKER/api-lies"
		kill "$before"
		wait_until 'grep -qx listing=known "$MNT/amqp/status"'
		wait_until '[ "$(cat "$BROKER/pid.api")" != "$before" ]'
		before=$(cat "$BROKER/pid.api")
		wait_until 'ended "$before"'
		echo "$lie" >"$Q/lines"
		equals "$(cat "$Q/msg")" "$lie"
		rm "$BROKER/api-lies"
		wait_until 'grep -qx listing=api "$MNT/amqp/status"' 20
	done
	wait_until '[ "$(listed)" = jobs ]' 20
}

@test "a listing counts for max_bytes of its reader" {
	has_many 3000
	again -o max_bytes=40000
	fails 'Cannot allocate memory' as_user 4321 ls "$MNT/amqp/main"
	again
	equals "$(as_user 4321 ls "$MNT/amqp/main" | wc -l)" 3001
}

@test "SIGHUP: api= comes and goes" {
	mkdir "$BROKER/q-theirs"
	wait_until '[ "$(listed)" = "jobs theirs" ]'
	config
	reads_again "$CONFIG was read again"
	grep -qx listing=known "$MNT/amqp/status"
	equals "$(grep -c api_error "$MNT/amqp/status")" 0
	wait_until 'ended "$(cat "$BROKER/pid.api")"'
	mkdir "$BROKER/q-new"
	equals "$(listed)" 'jobs theirs'
	config 'api = https://127.0.0.1:15671'
	reads_again "$CONFIG was read again"
	wait_until 'grep -qx listing=api "$MNT/amqp/status"'
	equals "$(listed)" 'jobs new theirs'
	grep -qx connects=2 "$MNT/amqp/status"
}

@test "a mount that was just started waits for the first list" {
	stop_mount
	mkdir "$BROKER/q-theirs"
	start_mount -o "amqp=$CONFIG"
	equals "$(ls -U "$MNT/amqp/main" | grep -c theirs)" 1
}

@test "the configuration refuses a URL that is none, or would tell the password" {
	local url
	stop_mount
	DAEMON=''
	for url in ftp://127.0.0.1 127.0.0.1:15672 http:// http://127.0.0.1:x http://127.0.0.1:0 \
		http://guest:secret@127.0.0.1 'http://127.0.0.1/?x' http://127.0.0.1/ 'http://[::1' \
		'http://a b' http://127.0.0.1:66000; do
		config "api = $url"
		refuses ':8: api: http[s]://HOST[:PORT] is wanted'
	done
	config 'api = http://mq.example.net:15672'
	refuses 'api = http: is for hosts of this machine'
	config 'api = http://127.0.0.1' 'api = http://127.0.0.1'
	refuses ':9: api is set twice'
	config 'api = https://mq.example.net:15671'
	sed -i '/^user/d; /^password/d; s/^tls.*/cert = \/c\nkey = \/k/' "$CONFIG"
	refuses 'api takes user and password_file'
}
