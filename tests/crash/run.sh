#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Kills a client at each instruction of its transition code, others beside it at work, and audits.
# run.sh [--full] [--transition N] [--stride N] [--scenario NAME]... [--trace] [--build DIR]
#   --full        every step of all code, which takes half an hour and more
#   --transition  every N-th step of transition code (2)
#   --stride      every N-th step of the rest, libc too (31); system calls are all killed in
#   --trace       no kills: lists the functions that each scenario goes through
# Which steps those are differs from run to run; HAKT_SEED=number repeats one.
# Ends with "points=N leaked=N anomalies=N hangs=N"; 0, 1: something was found, 77: skipped, with
# the reason as the last line.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2

build=build/release arguments=()
while [ $# -gt 0 ]; do
	case $1 in
	--full) arguments+=(--transition 1 --stride 1) ;;
	--build) build=$2 && shift ;;
	*) arguments+=("$1") ;;
	esac
	shift
done
if [ "$(uname -m)" != x86_64 ]; then
	echo "skipped: it steps x86-64, not $(uname -m)"
	exit 77
fi
if [ ! -x "$build/bin/crash" ]; then
	echo "no $build/bin/crash: build first"
	exit 2
fi
# Victims die by hundreds a second: no core files.
ulimit -c 0
exec "$build/bin/crash" "${arguments[@]}" </dev/null
