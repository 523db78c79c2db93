#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# loaded.sh BUILD: loaded.py beside a daemon.
set -euo pipefail
build=$1
cd "$(dirname "$0")/../.."

. tests/api/daemon.sh
start_daemon "$build"
python3 tests/api/loaded.py "$build/lib/libhakmem.so.1"
