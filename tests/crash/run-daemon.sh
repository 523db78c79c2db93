#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Kills a daemon wherever the words that it writes change, others beside it at work, and audits.
# run-daemon.sh [--full] [--seconds N] [--scenario NAME]... [--point PLACE:HIT:STEP] [--build DIR]
#   --full     all points, about three times as many
#   --seconds  about so long, as many points as fit (150)
# Ends with "points=N leaked=N anomalies=N hangs=N"; 0, 1: something was found, 77: skipped, with
# the reason as the last line.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2

. tests/crash/program.sh
run_program crash-daemon "$@"
