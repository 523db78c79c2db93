#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# From a fresh checkout to a running demo: installs what building needs, builds,
# runs a daemon of its own in a private folder and the demo against it. Takes
# the demo's arguments (default: --kill-every 50 --verify: workers are killed all
# the time, and the count must be exact); audits the pool and shows what is left in
# it. Ends with the demo's exit code, or the audit's, and leaves no process and no
# file behind but build/.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=build/release/bin
directory=
daemon=

step() {
	echo "quickstart: $*"
}

fail() {
	echo "quickstart: $*" >&2
	exit 1
}

cleanup() {
	if [ -n "$daemon" ] && kill -0 "$daemon" 2>/dev/null; then
		step "stopping hakmemd"
		kill -TERM "$daemon" 2>/dev/null || true
		for _ in $(seq 100); do
			kill -0 "$daemon" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL "$daemon" 2>/dev/null || true
	fi
	[ -z "$daemon" ] || wait "$daemon" 2>/dev/null || true
	[ -z "$directory" ] || rm -rf "$directory"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

[ $# -gt 0 ] || set -- --kill-every 50 --verify

step "installing what the build needs"
bash deploy/install-deps.sh --build
step "building"
cmake --preset release >/dev/null
cmake --build --preset release

directory=$(mktemp -d)
# In a folder of our own, whatever the caller's environment says.
export HAKMEM_SOCKET="$directory/hakmemd.sock"
unset HAKMEM_POOL HAKMEM_AUTOSPAWN

step "starting hakmemd on $HAKMEM_SOCKET"
"$bin/hakmemd" --foreground --socket "$HAKMEM_SOCKET" &
daemon=$!
for ((try = 0; ; try++)); do
	if "$bin/hakmemctl" --timeout 1000 status >/dev/null 2>&1; then
		break
	fi
	kill -0 "$daemon" 2>/dev/null || fail "hakmemd ended; its messages are above"
	[ "$try" -lt 200 ] || fail "hakmemd does not answer after 20 s"
	sleep 0.1
done

step "running hakmem-demo $*"
code=0
"$bin/hakmem-demo" "$@" || code=$?
step "hakmemctl check and status, afterwards"
audit=0
"$bin/hakmemctl" check || audit=$?
[ $code -ne 0 ] || code=$audit
"$bin/hakmemctl" status || true
exit "$code"
