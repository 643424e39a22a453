# SPDX-License-Identifier: MIT
# Prometheus and its node_exporter read the file `metrics`; the alerts of examples/alerts.yml.
# shellcheck shell=bash disable=SC2154,SC2016
load common

ALERTS=$(realpath "$BATS_TEST_DIRNAME/../../examples/alerts.yml")

# Makes some objects, and has some things counted.
use() {
	mkdir "$MNT/posix/mq/jobs" "$MNT/sysv/msg/0x51" "$MNT/sysv/sem/0x52" "$MNT/posix/sem/lock" "$MNT/posix/shm/seg"
	printf '%s\n' a b >"$MNT/posix/mq/jobs/lines"
	fails 'Operation not permitted' sh -c 'echo >"$MNT/posix/mq/jobs/status"'
}

@test "promtool finds nothing to complain about" {
	silent promtool check metrics <"$MNT/metrics"
	use
	silent promtool check metrics <"$MNT/metrics"
	silent sh -c 'printf "%6000s" "" | sed "s, ,sysv/sem/private\n,g" | dd of="$MNT/create" bs=1M iflag=fullblock status=none'
	silent promtool check metrics <"$MNT/metrics"
}

# Starts the exporter on a socket that is a file, as systemd does: no network is needed.
start_exporter() {
	background python3 -c 'import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1] + "/exporter")
listener.listen()
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execlp("prometheus-node-exporter", "prometheus-node-exporter", "--web.systemd-socket",
          "--collector.disable-defaults", "--collector.textfile",
          "--collector.textfile.directory=" + sys.argv[1] + "/textfiles")' "$BATS_TEST_TMPDIR"
	wait_until 'scrape >/dev/null' 30
}

scrape() {
	curl -sf --unix-socket "$BATS_TEST_TMPDIR/exporter" http://localhost/metrics
}

@test "node_exporter reads it through a symbolic link into the mount" {
	local now
	use
	mkdir "$BATS_TEST_TMPDIR/textfiles"
	ln -s "$MNT/metrics" "$BATS_TEST_TMPDIR/textfiles/ipcfs.prom"
	start_exporter
	now=$(scrape)
	grep -qx 'node_textfile_scrape_error 0' <<<"$now"
	grep -qx 'ipcfs_queue_messages{class="posix/mq"} 2' <<<"$now"
	equals "$(grep ^ipcfs_objects <<<"$now" | sort)" "$(grep ^ipcfs_objects "$MNT/metrics" | sort)"
	# The text is of the moment of each scrape, and its time says so.
	echo c >"$MNT/posix/mq/jobs/lines"
	grep -qx 'ipcfs_queue_messages{class="posix/mq"} 3' < <(scrape)
	scrape | awk -v "now=$(date +%s)" '/^node_textfile_mtime_seconds/ { age = now - $2; exit !(age > -60 && age < 60) }'
	# Without a daemon there is an error, which can be seen.
	stop_mount
	wait_until 'scrape | grep -qx "node_textfile_scrape_error 1"'
}

@test "the alerts are valid, and come when they should" {
	promtool check rules "$ALERTS" | grep -q 'SUCCESS: 5 rules found'
	cat >"$BATS_TEST_TMPDIR/test.yml" <<-EOF
	rule_files: ["$ALERTS"]
	evaluation_interval: 1m
	tests:
	  - interval: 1m
	    input_series:
	      - {series: 'up{job="node",instance="with"}', values: '1x60'}
	      - {series: 'up{job="node",instance="without"}', values: '1x60'}
	      - {series: 'ipcfs_build_info{instance="with",version="0.1.0"}', values: '1x60'}
	      - {series: 'ipcfs_queues_full{instance="with",class="posix/mq"}', values: '0x20 2x40'}
	      - {series: 'ipcfs_objects{instance="with",class="sysv/msg"}', values: '90x60'}
	      - {series: 'ipcfs_objects_limit{instance="with",class="sysv/msg"}', values: '100x60'}
	      - {series: 'ipcfs_objects{instance="with",class="posix/shm"}', values: '90x60'}
	      - {series: 'ipcfs_daemon_waiting_requests{instance="with"}', values: '10x60'}
	      - {series: 'ipcfs_daemon_waiting_requests_limit{instance="with"}', values: '10x60'}
	      - {series: 'ipcfs_daemon_audit_lost_total{instance="with",reason="flood"}', values: '5x20 6x40'}
	    alert_rule_test:
	      - {eval_time: 15m, alertname: IpcfsQueueFull, exp_alerts: []}
	      - {eval_time: 15m, alertname: IpcfsAuditLost, exp_alerts: []}
	EOF
	local line
	while read -r line; do
		echo "      - {eval_time: 28m, alertname: ${line%% *}, exp_alerts: [{exp_labels: {instance: ${line#* }}, exp_annotations: {summary: WHAT}}]}"
	done >>"$BATS_TEST_TMPDIR/test.yml" <<-'EOF'
	IpcfsGone without, job: node, severity: critical
	IpcfsQueueFull with, class: posix/mq, severity: warning
	IpcfsObjectsNearLimit with, class: sysv/msg, severity: warning
	IpcfsWaitingNearLimit with, severity: warning
	IpcfsAuditLost with, reason: flood, severity: warning
	EOF
	sed -i -e '/IpcfsGone/s/WHAT/"without has no metrics of ipcfs"/' \
		-e '/IpcfsQueueFull/s/WHAT/"with: 2 queues of posix\/mq are full"/' \
		-e '/IpcfsObjects/s/WHAT/"with: 90% of the limit of sysv\/msg are in use"/' \
		-e '/IpcfsWaiting/s/WHAT/"with: 100% of max_waiters_all wait"/' \
		-e '/IpcfsAudit/s/WHAT/"with: audit records are lost (flood)"/' "$BATS_TEST_TMPDIR/test.yml"
	promtool test rules "$BATS_TEST_TMPDIR/test.yml"
}
