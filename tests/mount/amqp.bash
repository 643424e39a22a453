# SPDX-License-Identifier: MIT
# Connections to a broker: tests/tools/fakeamqp stands for ipcfs-amqp and for the broker, which is the
# directory $BROKER.
# shellcheck shell=bash disable=SC2153,SC2154,SC2016,SC2034

# broker_setup: makes a broker with the queue jobs, and the folder of a configuration.
broker_setup() {
	common_setup
	BROKER=$BATS_TEST_TMPDIR/broker CONFIG=$BATS_TEST_TMPDIR/amqp.conf
	Q=$MNT/amqp/main/jobs
	mkdir "$BROKER" "$BROKER/q-jobs"
	echo secret >"$BATS_TEST_TMPDIR/password"
	chmod 600 "$BATS_TEST_TMPDIR/password"
	cp "$BATS_TEST_DIRNAME/../tools/fakeamqp" "$BATS_TEST_TMPDIR/bin/"
	cp "$BATS_TEST_DIRNAME/../tools/fakeamqp" "$BATS_TEST_TMPDIR/bin/fakeamqp-api"
}

# connection NAME BROKER PROGRAM LINE...: prints a section of the configuration, with these lines more.
connection() {
	printf '%s\n' "[$1]" 'host = 127.0.0.1' 'tls = no' "vhost = $2" 'user = guest' \
		"password_file = $BATS_TEST_TMPDIR/password" "helper = $BATS_TEST_TMPDIR/bin/$3" "${@:4}"
}

# config LINE...: writes a configuration with these lines more.
config() {
	connection main "$BROKER" fakeamqp "$@" >"$CONFIG"
	chmod 600 "$CONFIG"
}

# refuses MESSAGE: asserts that the daemon does not start with this configuration.
refuses() {
	fails "$1" ipcfs -f -o "amqp=$CONFIG" "$MNT"
}

# reads_again TEXT: sends SIGHUP, and waits until the log has this text.
reads_again() {
	TEXT=$1
	: >"$LOG"
	kill -HUP "$DAEMON"
	wait_until 'grep -qF "$TEXT" "$LOG"'
}
