#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A daemon, the exporter and a real Prometheus, with the configuration and the rules of deploy/monitoring,
# but that it looks each second. run.sh [--build DIR]; ends with 0, 1, or 77: skipped, the last line
# says why.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

build=build/release
[ "${1:-}" != --build ] || build=$2
build=$(readlink -f "$build")
for program in prometheus promtool jq python3; do
	command -v $program >/dev/null || { echo "$program is not installed"; exit 77; }
done

work=$(mktemp -d)
source tests/monitoring/common.sh
unset http_proxy HTTP_PROXY

fetch() { python3 -c 'import sys, urllib.request
sys.stdout.write(urllib.request.urlopen(sys.argv[1]).read().decode())' "$1"; }

# ask EXPRESSION: Prometheus' answer, JSON.
ask() { fetch "$prometheus_url/api/v1/query?query=$(jq -rn --arg e "$1" '$e | @uri')"; }

# is EXPRESSION VALUE: of the one series there is.
is() { [ "$(ask "$1" | tee "$work/answer" | jq -r '.data.result | map(.value[1]) | join(" ")')" = "$2" ]; }

scraped_after() { ask 'timestamp(hakmem_up)' | jq -e --argjson t "$1" '.data.result[0].value[1] | tonumber > $t'; }
has_series() { ask "$1" | jq -e '.data.result | length > 0'; }

promtool check rules deploy/monitoring/hakmem.rules.yml >"$work/said" 2>&1
judge $? "promtool: rules"
promtool check config deploy/monitoring/prometheus.yml >"$work/said" 2>&1
judge $? "promtool: configuration"
promtool test rules tests/monitoring/rules_test.yml >"$work/said" 2>&1
judge $? "promtool: the rules' unit tests"

start exporter "$ctl" exporter --listen 127.0.0.1:0
until_true grep -q '^http://.*/metrics$' "$work/exporter.out"
judge $? "the exporter says where it listens"
[ $failed -eq 0 ] || verdict
metrics_url=$(cat "$work/exporter.out")
fetch "$metrics_url" >"$work/said" && grep -qx 'hakmem_up 0' "$work/said"
judge $? "before there ever was a daemon: hakmem_up 0"
promtool check metrics <"$work/said" >"$work/lint" 2>&1 && [ ! -s "$work/lint" ]
judge $? "promtool: nothing to be said of that"

address=${metrics_url#http://} address=${address%/metrics}
sed -E "s/^(  (scrape|evaluation)_interval): .*/\1: 1s/; s/127\.0\.0\.1:9464/$address/" \
	deploy/monitoring/prometheus.yml >"$work/prometheus.yml"
cp deploy/monitoring/hakmem.rules.yml "$work"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
prometheus_url=http://127.0.0.1:$port
start prometheus prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" \
	--web.listen-address="127.0.0.1:$port"
until_true fetch "$prometheus_url/-/ready"
judge $? "Prometheus is ready"
[ $failed -eq 0 ] || { tail -n 20 "$work/prometheus.err"; verdict; }

until_true is up 1
judge $? "it scrapes the exporter"
until_true is hakmem_up 0
judge $? "and knows that there is no daemon"
start_daemon
judge $? "a daemon starts"
until_true is hakmem_up 1
judge $? "hakmem_up is 1"
"$ctl" metrics >"$work/metrics" && promtool check metrics <"$work/metrics" >"$work/said" 2>&1 && [ ! -s "$work/said" ]
judge $? "promtool: nothing to be said of hakmemctl metrics"

start_client client
judge $? "a client is attached"
[ $failed -eq 0 ] || verdict
# So that there is an increase.
until_true has_series 'hakmem_client_out_of_memory_total == 0'
judge $? "it has got all that it wanted"
tell client fill full
judge $? "a client takes all that there is"

same_as_stats() {
	"$ctl" stats --json >"$work/before.json" && until_true scraped_after "$(date +%s.%N)" &&
		ask '{__name__=~"hakmem_(client|daemon|pool)_.*"}' >"$work/answer" &&
		"$ctl" stats --json >"$work/after.json" &&
		python3 tests/monitoring/compare.py "$work/before.json" "$work/after.json" <"$work/answer"
}
until_true same_as_stats
judge $? "each figure of hakmemctl stats is scraped: $(tail -n 1 "$work/said")"
until_true is 'hakmem_pool_live_blocks' "$("$ctl" status --json | jq '.pools[0].live_blocks')"
judge $? "so is what a status says"

fetch "$prometheus_url/api/v1/rules" >"$work/answer"
jq -e '[.data.groups[].rules[]] | length == 10 and all(.health == "ok")' "$work/answer" >"$work/said" 2>&1
judge $? "all rules are loaded, and can be evaluated"
until_true is 'ALERTS{alertname="HakmemOutOfMemory",alertstate="firing",pool="default"}' 1
judge $? "an alert fires: allocations have failed"
until_true is 'ALERTS{alertname="HakmemRefusals",alertstate="firing"}' 1
judge $? "and another: the daemon has refused memory"
until_true is 'ALERTS{alertname="HakmemPoolNearLimit",alertstate="pending",pool="default"}' 1
judge $? "one more is pending: the pool is near its limit"
python3 tests/monitoring/dashboard.py deploy/monitoring/hakmem-dashboard.json "$prometheus_url" \
	"$work/metrics" deploy/monitoring/hakmem.rules.yml >"$work/said" 2>&1
judge $? "dashboard and alerts name what there is: $(tail -n 1 "$work/said")"

kill -KILL "${job[daemon]}"
wait "${job[daemon]}" 2>/dev/null # no news
until_true is hakmem_up 0
judge $? "the daemon is killed: hakmem_up is 0"
until_true has_series 'hakmem_figures_age_seconds > 1 and on() hakmem_client_out_of_memory_total > 0'
judge $? "what it counted is still there, and how old that is"
until_true is 'ALERTS{alertname="HakmemDaemonDown",alertstate="pending"}' 1
judge $? "the alert for that is pending"
start_daemon
until_true is hakmem_up 1
judge $? "another daemon: hakmem_up is 1"
kill -0 "${job[exporter]}"
judge $? "the exporter is the one that it was"

echo leave >&"${to[client]}"
wait "${job[client]}"
judge $? "the client ends"
kill -TERM "${job[exporter]}"
wait "${job[exporter]}"
judge $? "SIGTERM ends the exporter with 0"
until_true is up 0
judge $? "Prometheus knows that, too"
verdict
