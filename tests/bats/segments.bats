# SPDX-License-Identifier: MIT
load common
@test "x" { "$PEERS/coherence" "$MNT"; }
@test "y" { "$PEERS/segments" "$MNT" 50; }
