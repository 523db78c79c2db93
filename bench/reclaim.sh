#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# How long the memory of a killed process is away, and how long others wait for a refill meanwhile.
# bench/README.md tells more.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C

mib=1024 rounds=5 build=build/release
directory= daemon=

. bench/support/daemon.sh

usage() {
	cat <<-END
		usage: bench/reclaim.sh [OPTION]...
		  --mib N       what the process has allocated when it is killed (default $mib)
		  --rounds N    processes that are killed, one after the other (default $rounds)
		  --build DIR   the build tree (default $build)
	END
}

while [ $# -gt 0 ]; do
	case $1 in
	--mib | --rounds | --build)
		[ $# -ge 2 ] || { usage >&2 && exit 2; } ;;&
	--mib) mib=$2 && shift ;;
	--rounds) rounds=$2 && shift ;;
	--build) build=$2 && shift ;;
	--help) usage && exit 0 ;;
	*) usage >&2 && exit 2 ;;
	esac
	shift
done
prepare reclaim
start_daemon
"$build/bin/bench-reclaim" "$mib" "$rounds"
