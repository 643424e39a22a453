# SPDX-License-Identifier: MIT
# Runs the sessions that README, the tutorial and the recipes print, with tests/tools/documents.
# Those that need systemd are run by tests/env/service, those that install by tests/env/readme, and those
# that need a broker by tests/amqp/tutorial.py.
# shellcheck shell=bash disable=SC2154
load common

AS_USER='setpriv --reuid www-data --regid www-data --clear-groups --'
SOURCE=$(realpath "$BATS_TEST_DIRNAME/../..")
DOCUMENTS=$SOURCE/tests/tools/documents

# The sessions mount, each at the path that it names.
setup() {
	common_setup
	USER_HOME=$BATS_TEST_TMPDIR/home
	install -d -o www-data -g www-data "$USER_HOME"
	mount -t tmpfs -o mode=755 tmpfs /run
	own_dev null zero full random urandom fuse
	ln -s /proc/self/fd /dev/fd
	chmod 1777 /dev/shm
	mount -t mqueue mqueue /dev/mqueue
}

teardown() {
	local left status=0
	wait_until '! pgrep -x ipcfs >/dev/null' || status=1
	left=$(tail -q -n +2 /proc/sysvipc/* && find /dev/shm /dev/mqueue -mindepth 1)
	umount -l /dev /run
	common_teardown || status=1
	equals "$left" '' && return "$status"
}

# sessions DOCUMENT HEADING...: what they print is what happens.
sessions() {
	local user="$AS_USER env --chdir $USER_HOME HOME=$USER_HOME"
	"$DOCUMENTS" --user "$user" "$SOURCE/$1" "${@:2}" 3>&- 4>&-
}

# each_session DOCUMENT FIRST LAST [ELSEWHERE...]: runs the sessions of FIRST, a heading and LAST,
# for each heading of the document that has sessions, but for those that are run ELSEWHERE.
each_session() {
	local document=$1 first=$2 last=$3 heading headings others
	shift
	others=$(printf '%s\n' "$@")
	mapfile -t headings < <("$DOCUMENTS" --list "$SOURCE/$document" | grep -vxF -e "$others")
	[ "${#headings[@]}" -gt 2 ]
	for heading in "${headings[@]}"; do
		sessions "$document" "$first" "$heading" "$last"
	done
}

@test "the tutorial" {
	each_session docs/tutorial.md Mount Unmount 'Mapping memory, on Debian 13' 'Queues of a broker'
}

# With what Debian 12 has it is refused, as the tutorial says.
@test "the tutorial: mapping memory" {
	local tour=(Mount 'Mapping memory, on Debian 13' Unmount)
	if [ "${IPCFS_TEST_PASSTHROUGH-0}" = 1 ]; then
		sessions docs/tutorial.md "${tour[@]}"
	else
		fails 'No such device' sessions docs/tutorial.md "${tour[@]}"
		umount /run/ipcfs
		rm /dev/shm/frame
	fi
}

@test "the recipes" {
	each_session docs/recipes.md 'The mount' Unmount 'A mount at boot for every podman container'
}

@test "the session of README" {
	local elsewhere=(Install 'Try and test' 'With sudo' 'Without root')
	equals "$("$DOCUMENTS" --list "$SOURCE/README.md")" "$(printf '%s\n' ipcfs "${elsewhere[@]}")"
	sessions README.md ipcfs
}
