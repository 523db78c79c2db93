#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# alone.sh shared|static CC BUILD [SANITIZERS]: a program that is linked with nothing but the
# library works, with the flags that pkg-config and the header's reader would use.
set -euo pipefail
how=$1 cc=$2 build=$3 sanitize=${4:-}
cd "$(dirname "$0")/../.."

directory=$(mktemp -d)
trap 'kill "${daemon:-}" 2>/dev/null || true; wait; rm -rf "$directory"' EXIT

flags=(-std=c11 -Wall -Wextra -Werror -Iclient_lib/include)
[ -z "$sanitize" ] || flags+=("-fsanitize=$sanitize")
if [ "$how" = shared ]; then
	libraries=("-L$build/lib" -lhakmem "-Wl,-rpath,$build/lib")
else
	libraries=("$build/lib/libhakmem.a" $(pkg-config --libs libprotobuf-c) -pthread)
fi
"$cc" "${flags[@]}" tests/api/minimal.c -o "$directory/minimal" "${libraries[@]}"

export HAKMEM_SOCKET=$directory/d.sock
"$build/bin/hakmemd" --foreground --limit 64M --log-level warn &
daemon=$!
for _ in $(seq 1000); do
	[ -S "$HAKMEM_SOCKET" ] && break
	sleep 0.01
done
"$directory/minimal"
