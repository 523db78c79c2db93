#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# survive.sh [--kills N] [--upgrades N] [--workers N] [--build DIR] [--other DIR]
# Clients work while hakmemd, under hakmemd --supervise, is killed as soon as it answers again, and
# is upgraded to another build and back (survive/main.c). Defaults: 50 kills, 6 upgrades, build/release,
# build/other. tests/systemd/run.sh does the same under systemd. Last line and exit code are survive's.
set -uo pipefail
cd "$(dirname "$0")/../.."

build=build/release other=build/other kills=50 upgrades=6 workers=8
while [ $# -gt 0 ]; do
	case $1 in
	--kills) kills=$2 ;;
	--upgrades) upgrades=$2 ;;
	--workers) workers=$2 ;;
	--build) build=$2 ;;
	--other) other=$2 ;;
	*) echo "survive.sh: unknown argument $1" >&2 && exit 2 ;;
	esac
	shift 2
done
for program in "$build/bin/survive" "$other/bin/hakmemd"; do
	[ -x "$program" ] || { echo "$program is not there: build it first" >&2; exit 2; }
done

work=$(mktemp -d)
export HAKMEM_SOCKET=$work/socket
clean_up() {
	local parent
	parent=$(cat "$HAKMEM_SOCKET.lock" 2>/dev/null) && kill "$parent"
	for _ in $(seq 100); do
		[ -e "$HAKMEM_SOCKET.lock" ] || break
		sleep 0.1
	done
	rm -rf "$work"
}
trap clean_up EXIT

# Exchanges the file as a package does, once what is there is what runs, and has it started.
cat >"$work/upgrade" <<UPGRADE
set -e
parent=\$(cat '$HAKMEM_SOCKET.lock')
cmp '$work/hakmemd' "/proc/\$(pgrep -P "\$parent")/exe"
next='$build'
! cmp -s '$build/bin/hakmemd' '$work/hakmemd' || next='$other'
cp "\$next/bin/hakmemd" '$work/new'
mv '$work/new' '$work/hakmemd'
kill -USR1 "\$parent"
UPGRADE
cp "$build/bin/hakmemd" "$work/hakmemd"
"$work/hakmemd" --supervise --socket "$HAKMEM_SOCKET" --log-level error </dev/null >"$work/log" 2>&1 ||
	{ cat "$work/log"; exit 1; }
"$build/bin/survive" --workers "$workers" --kills "$kills" --upgrades "$upgrades" \
	--upgrade "bash '$work/upgrade'"
