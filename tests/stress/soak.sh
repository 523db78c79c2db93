#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# soak.sh MINUTES [--clients N] [--kills-per-second R] [--daemon-kills-per-minute R] [--seed S]
#   [--limit SIZE] [--build DIRECTORY]
# Many clients allocate, give, take, lend, publish and free at random, and are killed and started
# anew all the time, and the daemon too; soak/main.c says what is checked. The build directory's default is
# build/release; a build with sanitizers is killed less often, since starting a client takes longer.
# Last line: kills=N daemon_kills=N takes=N stale=N leaked=N anomalies=N corrupt=N; 0 if the last three are 0.
# leaked: blocks or SuperSlabs that are left when everybody has freed everything; anomalies: of
# hakmemctl check; corrupt: all else that is wrong, each is said on stderr.
# --seed repeats the choices of a run, not what meets what.
set -uo pipefail
cd "$(dirname "$0")/../.."

build=build/release arguments=()
while [ $# -gt 0 ]; do
	case $1 in
	--build)
		build=${2:?a directory}
		shift
		;;
	*) arguments+=("$1") ;;
	esac
	shift
done
if [ ! -x "$build/bin/soak" ]; then
	echo "$build/bin/soak is not there: cmake --preset release, cmake --build --preset release" >&2
	exit 2
fi
exec "$build/bin/soak" ${arguments[@]+"${arguments[@]}"}
