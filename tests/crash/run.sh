#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Kills a client at each instruction of its transition code, others beside it at work, and audits.
# run.sh [--full] [--transition N] [--stride N] [--scenario NAME]... [--trace] [--build DIR]
#   --full        every step of all code, a quarter of an hour
#   --transition  every N-th step of transition code (2)
#   --stride      every N-th step of the rest, libc too (31); system calls are all killed in
#   --trace       no kills: lists the functions that each scenario goes through
# Which steps those are differs from run to run; HAKT_SEED=number repeats one.
# Ends with "points=N leaked=N anomalies=N hangs=N"; 0, 1: something was found, 77: skipped, with
# the reason as the last line.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2

. tests/crash/program.sh
arguments=()
for argument; do
	[ "$argument" = --full ] && arguments+=(--transition 1 --stride 1) || arguments+=("$argument")
done
run_program crash "${arguments[@]}"
