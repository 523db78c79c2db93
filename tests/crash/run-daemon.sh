#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Kills a daemon wherever the words that it writes change, others beside it at work, and audits.
# run-daemon.sh [--full] [--seconds N] [--scenario NAME]... [--point PLACE:HIT:STEP] [--build DIR]
#   --full     all points: half an hour
#   --seconds  about so long, as many points as fit (150)
# Ends with "points=N leaked=N anomalies=N hangs=N"; 0, 1: something was found, 77: skipped, with
# the reason as the last line.
set -uo pipefail
cd "$(dirname "$0")/../.."

build=build/release arguments=()
while [ $# -gt 0 ]; do
	case $1 in
	--build) build=$2 && shift ;;
	*) arguments+=("$1") ;;
	esac
	shift
done
if [ "$(uname -m)" != x86_64 ]; then
	echo "skipped: it steps x86-64, not $(uname -m)"
	exit 77
fi
if [ ! -x "$build/bin/crash-daemon" ]; then
	echo "no $build/bin/crash-daemon: build first"
	exit 2
fi
ulimit -c 0
exec "$build/bin/crash-daemon" "${arguments[@]}" </dev/null
