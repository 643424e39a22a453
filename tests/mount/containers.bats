# SPDX-License-Identifier: MIT
# Mounts inside containers. tests/env/containers runs it, and prepares what it needs.
# shellcheck shell=bash disable=SC2154,SC2016

load containers

read -ra SUITES <<<"$RELEASES"
SOURCE=$WORLD/source

teardown() {
	nothing_left
}

# says TEXT...: asserts that it failed, and that its output has these texts.
says() {
	local text
	[ "$status" != 0 ] || { echo "it did not fail: $output"; return 1; }
	for text in "$@"; do
		[[ $output == *"$text"* ]] || { echo "not said: $text"; echo "output: $output"; return 1; }
	done
}

# tour COMMAND...: asserts that the example does what it promises, in each of the roots.
tour() {
	local suite
	for suite in "${SUITES[@]}"; do
		run timeout 120 "$@" "$WORLD/roots/$suite" "$WORLD/bin/ipcfs-$suite"
		[ "$status" = 0 ] || { echo "in $suite: status $status: $output"; return 1; }
		tour_said
		# owned by root, as the container sees it
		[ "$(grep -cE '^d[rwx-]{9} +1 +0 +0 ' <<<"$output")" = 6 ] || { echo "$output"; return 1; }
		equal_users "$suite"
	done
}

# many_users: the same, in a container with users other than root.
many_users() {
	USERS=many tour "$@"
}

# Asserts that the tour has shown users besides root.
equal_users() {
	if [ "${USERS-}" = many ]; then
		contains 'another user: 1000 1000, given to 7' 'in its list: user:1000:r-x'
	else
		contains 'no other users here'
	fi
}

@test "unshare -Urmi, by an ordinary user" {
	tour "${AS_USER[@]}" "$EXAMPLES/unshare"
}

@test "bubblewrap, by an ordinary user" {
	tour "${AS_USER[@]}" "$EXAMPLES/bubblewrap"
}

@test "crun" {
	many_users "$EXAMPLES/crun"
}

@test "rootful podman" {
	many_users "$EXAMPLES/podman"
}

@test "rootless podman" {
	many_users "${AS_USER[@]}" "$EXAMPLES/podman"
}

@test "systemd-nspawn" {
	many_users "$EXAMPLES/systemd-nspawn"
}

@test "systemd-nspawn with a user namespace" {
	many_users env NSPAWN=--private-users=300000:65536 "$EXAMPLES/systemd-nspawn"
}

# The message names what is missing, and the flag that grants it.

ROOT=$WORLD/roots/bookworm
BINARY=$WORLD/bin/ipcfs-bookworm

in_podman() {
	# podman needs short paths.
	timeout 60 podman --root "$STORAGE/storage" --runroot "$STORAGE/run" --tmpdir "$STORAGE/tmp" \
		--storage-driver vfs --cgroup-manager cgroupfs --events-backend file \
		run --rm --cgroups=disabled --network=none --systemd=false --read-only --volume "$BINARY:/run/ipcfs:ro" "$@" \
		--rootfs "$ROOT" /run/ipcfs /mnt
}

@test "podman: the message says what is missing" {
	STORAGE=$(mktemp -d)
	run in_podman --cap-add SYS_ADMIN
	says '/dev/fuse is missing' '--device /dev/fuse'
	run in_podman --device /dev/fuse
	says "can't mount on /mnt" CAP_SYS_ADMIN '--cap-add SYS_ADMIN'
	echo '{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [ { "action": "SCMP_ACT_ERRNO",
		"names": [ "mount", "fsopen" ] } ] }' >"$BATS_TEST_TMPDIR/seccomp"
	run in_podman --device /dev/fuse --cap-add SYS_ADMIN --security-opt seccomp="$BATS_TEST_TMPDIR/seccomp"
	says "can't mount on /mnt" seccomp '--security-opt seccomp='
	rm -rf "$STORAGE"
}

in_bwrap() {
	"${AS_USER[@]}" timeout 20 bwrap --unshare-user --unshare-pid --die-with-parent --uid 0 --gid 0 \
		--ro-bind "$ROOT" / --proc /proc --dev /dev --tmpfs /run --ro-bind "$BINARY" /run/ipcfs "$@" /run/ipcfs /mnt
}

@test "bwrap: the message says what is missing" {
	run in_bwrap --unshare-ipc --cap-add CAP_SYS_ADMIN
	says '/dev/fuse is missing' '--dev-bind /dev/fuse /dev/fuse'
	run in_bwrap --unshare-ipc --dev-bind /dev/fuse /dev/fuse
	says CAP_SYS_ADMIN '--cap-add CAP_SYS_ADMIN'
	run in_bwrap --dev-bind /dev/fuse /dev/fuse --cap-add CAP_SYS_ADMIN
	[[ $status = 0 && $output == *'posix/mq is empty'*'IPC namespace'*'--unshare-ipc'* ]]
}

in_nspawn() {
	timeout 20 systemd-nspawn --quiet --register=no --keep-unit --private-network --directory="$ROOT" --read-only \
		--console=pipe --timezone=off --resolv-conf=off --link-journal=no --bind-ro="$BINARY:/run/ipcfs" "$@" /run/ipcfs /mnt
}

@test "systemd-nspawn: the message says what is missing" {
	run in_nspawn
	says '/dev/fuse is missing' '--bind=/dev/fuse'
	run in_nspawn --bind=/dev/fuse --drop-capability=CAP_SYS_ADMIN
	says CAP_SYS_ADMIN '--capability=CAP_SYS_ADMIN'
	run in_nspawn --bind=/dev/fuse --system-call-filter='~mount fsopen'
	says seccomp '--system-call-filter=@mount'
}

@test "unshare: the message says what is missing" {
	mkdir "$BATS_TEST_TMPDIR/mnt"
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
	chmod 777 "$BATS_TEST_TMPDIR/mnt"
	cp "$BINARY" "$BATS_TEST_TMPDIR/ipcfs"
	run "${AS_USER[@]}" unshare -Uri "$BATS_TEST_TMPDIR/ipcfs" "$BATS_TEST_TMPDIR/mnt"
	says 'mount namespace' 'unshare: -m'
	# The queues of the machine belong to others.
	run "${AS_USER[@]}" unshare -Urm sh -c 'mount -t tmpfs tmpfs /dev/shm; mount --bind /dev/shm /dev/mqueue 2>/dev/null
		"$@" && ls "$2/posix/mq" && umount "$2"' sh "$BATS_TEST_TMPDIR/ipcfs" "$BATS_TEST_TMPDIR/mnt"
	[[ $status = 0 && $output == *'posix/mq is empty'*'IPC namespace'*'unshare -i'* ]]
	rm -r "$XDG_RUNTIME_DIR/ipcfs-state" # the mount came up, and keeps lists there
}

# bats test_tags=long
@test "the Containerfile makes an image, and a container of it serves" {
	local podman context tour
	STORAGE=$(mktemp -d)
	podman=(podman --root "$STORAGE/storage" --runroot "$STORAGE/run" --tmpdir "$STORAGE/tmp" --storage-driver vfs
		--cgroup-manager cgroupfs --events-backend file)
	context=$STORAGE/context
	mkdir "$context"
	# A clean tree.
	tar -C "$SOURCE" -c --exclude=./build --exclude='./build-*' --exclude=./.git . | tar -C "$context" -x
	tar -C "$SOURCE/build/roots/bookworm" -c . | "${podman[@]}" import --quiet - base
	tar -C "$SOURCE/build/roots/bookworm-build" -c --exclude=./root/ipcfs . | "${podman[@]}" import --quiet - build-base
	"${podman[@]}" build --quiet --isolation=chroot --pull=never --layers=false \
		--build-arg BASE=localhost/base --build-arg BUILD_BASE=localhost/build-base \
		--file "$context/examples/containers/Containerfile" --tag ipcfs "$context"

	run "${podman[@]}" run --rm --cgroups=disabled --network=none --pull=never ipcfs --version
	[[ $status = 0 && $output == ipcfs\ [0-9]* ]]
	tour=$EXAMPLES/tour
	run "${podman[@]}" run --rm --cgroups=disabled --network=none --pull=never --device /dev/fuse --cap-add SYS_ADMIN \
		--volume "$tour:/run/tour:ro" --entrypoint /run/tour ipcfs ipcfs
	echo "$output"
	[ "$status" = 0 ]
	contains 'hello, POSIX' 'another user: 1000 1000, given to 7' 'nothing is left'
	# The intended use: a container that serves, and ends when told to.
	"${podman[@]}" run --detach --name serves --cgroups=disabled --network=none --pull=never --device /dev/fuse \
		--cap-add SYS_ADMIN ipcfs
	timeout 20 sh -c 'until "$@"; do sleep 0.1; done' sh "${podman[@]}" exec serves mountpoint -q /run/ipcfs
	"${podman[@]}" exec serves mkdir /run/ipcfs/posix/mq/jobs
	"${podman[@]}" stop --time 10 serves
	[ "$("${podman[@]}" wait serves)" = 0 ]
	"${podman[@]}" rm serves
	rm -rf "$STORAGE"
}
