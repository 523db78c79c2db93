#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# consumers.sh BUILD CC CXX: programs in C and C++ outside of this tree find what is installed, by
# pkg-config and by find_package, link the library in each way, and work.
set -uo pipefail
build=$(readlink -f "$1") cc=$2 cxx=$3
cd "$(dirname "$(readlink -f "$0")")/../.."

work=$(mktemp -d)
trap 'kill "${daemon:-}" 2>/dev/null; wait; rm -rf "$work"' EXIT
source tests/support/judge.sh

prefix=$work/prefix
for component in library development; do
	cmake --install "$build" --prefix "$prefix" --component $component >"$work/said" 2>&1
	judge $? "install: $component"
done
library=$(dirname "$(find "$prefix" -name libhakmem.so)")
export HAKMEM_SOCKET=$work/d.sock LD_LIBRARY_PATH=$library PKG_CONFIG_PATH=$library/pkgconfig
"$build/bin/hakmemd" --foreground --limit 64M --log-level warn &
daemon=$!
for _ in $(seq 1000); do
	[ ! -S "$HAKMEM_SOCKET" ] || break
	sleep 0.01
done

# works PROGRAM WHICH: it runs, and needs libhakmem.so.1 (shared) or not (static).
works() {
	if ! readelf -d "$1" >"$work/said" 2>&1; then
		false
	elif [ "$2" = static ]; then
		! grep -q 'NEEDED.*hakmem' "$work/said"
	else
		grep -q 'NEEDED.*\[libhakmem\.so\.1\]' "$work/said"
	fi
	judge $? "${1##*/}: is linked as it should be"
	"$1" >"$work/said" 2>&1
	judge $? "${1##*/}: works"
}

# by_pkg_config NAME COMPILER SOURCE WHICH
by_pkg_config() {
	local flags
	read -ra flags <<<"$(pkg-config $([ "$4" != static ] || echo --static) --cflags --libs hakmem)"
	[ "$4" != static ] || flags+=(-static)
	"$2" "$3" -Wall -Werror -o "$work/$1" "${flags[@]}" >"$work/said" 2>&1
	judge $? "$1: compiles"
	works "$work/$1" "$4"
}

[ "$(pkg-config --modversion hakmem)" = "$("$build/bin/hakmemd" --version | cut -d' ' -f2)" ]
judge $? "pkg-config knows the version"
for which in shared static; do
	by_pkg_config pkg-config-c-$which "$cc" tests/api/minimal.c $which
	by_pkg_config pkg-config-c++-$which "$cxx" tests/packages/consumer/minimal.cc $which
done

# The daemon of the same prefix is found by the library, which lies in lib/ARCHITECTURE.
install -D "$build/bin/hakmemd" "$prefix/bin/hakmemd" && mkdir -m 700 "$work/run"
env -u HAKMEM_SOCKET XDG_RUNTIME_DIR="$work/run" PATH=/usr/bin:/bin HAKMEM_AUTOSPAWN=1 \
	"$work/pkg-config-c-shared" >"$work/said" 2>&1
judge $? "autospawn: starts the daemon of the prefix"
lock=$work/run/hakmem/hakmemd.sock.lock
kill "$(cat "$lock" 2>/dev/null)" 2>"$work/said"
judge $? "autospawn: that runs"
for _ in $(seq 1000); do
	[ -e "$lock" ] || break
	sleep 0.01
done

cmake -S tests/packages/consumer -B "$work/out" -DCMAKE_PREFIX_PATH="$prefix" \
	-DMINIMAL="$PWD/tests/api/minimal.c" -DCMAKE_C_COMPILER="$cc" \
	-DCMAKE_CXX_COMPILER="$cxx" >"$work/said" 2>&1 &&
	cmake --build "$work/out" >"$work/said" 2>&1
judge $? "find_package: five programs compile"
for which in c-shared c-static c-malloc cxx-shared cxx-static; do
	works "$work/out/$which" ${which#*-}
done
verdict
