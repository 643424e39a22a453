# SPDX-License-Identifier: MIT
# -o namespaces: what an innocent user of the host meets beside the attacks of a container that an
# ordinary user has made (tests/tools/attack).
# shellcheck shell=bash disable=SC2154
load common
load namespaces
load fairness

# In the container, as its root.
attacker() {
	inside hostile "$@"
}

# container_attacks NAME: the attack as of a container with a user namespace.
container_attacks() {
	prepare_attacks
	serve
	container -u hostile
	beside "$@"
	end_container hostile
}

@test "while a container stops the processes that make its queues" {
	container_attacks stopped_child
}

@test "while a container lists 30,000 queues" {
	container_attacks queues
}

@test "while a container lists a queue of 16,384 messages" {
	container_attacks peek
}

@test "while the directory of a container's segments is locked" {
	container_attacks locked_shm
}

@test "while the segments of a container are locked" {
	container_attacks locked_segments
}
