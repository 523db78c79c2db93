#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# hostile.sh MINUTES [--seed S] [--hostile N] [--honest N] [--restart SECONDS] [--reset SECONDS]
#   [--build DIR]
# A daemon, clients that work, and clients that scribble over all that they can write and say what
# they shouldn't (hostile/main.c). Default: build/release; build/asan tells of more than crashes.
# Last line: minutes=N scribbles=N packets=N deaths=N daemon_deaths=N hangs=N; 0 if the last two are
# 0 and there was work. --seed repeats the choices of a run, not what meets what.
set -uo pipefail
cd "$(dirname "$0")/../.."

build=build/release minutes=${1:?minutes} arguments=()
shift
while [ $# -gt 0 ]; do
	case $1 in
	--build) build=${2:?a directory} ;;
	*) arguments+=("$1" "${2:?a number}") ;;
	esac
	shift 2
done
if [ ! -x "$build/bin/hostile" ]; then
	echo "$build/bin/hostile is not there: build it first" >&2
	exit 2
fi
# A client that crashes on words that another one scribbled over is no news.
exec "$build/bin/hostile" --minutes "$minutes" ${arguments[@]+"${arguments[@]}"}
