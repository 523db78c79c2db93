#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What peers that are silent, or ask all the time, cost the others; bench/README.md tells more.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C

rounds=5 ms=500 build=build/release
directory= daemon=

. bench/support/daemon.sh

usage() {
	cat <<-END
		usage: bench/flood.sh [OPTION]...
		  --ms N        how long each is measured, a round (default $ms)
		  --rounds N    rounds; medians of them (default $rounds)
		  --build DIR   the build tree (default $build)
	END
}

while [ $# -gt 0 ]; do
	case $1 in
	--ms | --rounds | --build)
		[ $# -ge 2 ] || { usage >&2 && exit 2; } ;;&
	--ms) ms=$2 && shift ;;
	--rounds) rounds=$2 && shift ;;
	--build) build=$2 && shift ;;
	--help) usage && exit 0 ;;
	*) usage >&2 && exit 2 ;;
	esac
	shift
done
prepare flood
# The daemon, with all threads that it will have, shares the first core with the crowd.
cores=$(taskset -cp $$ | sed 's/.*: //')
taskset -cp "${cores%%[-,]*}" $$ >/dev/null
start_daemon
taskset -cp "$cores" $$ >/dev/null
"$build/bin/bench-flood" "$rounds" "$ms"
