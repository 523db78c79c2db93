#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# alone.sh shared|static CC BUILD [SANITIZERS]: a program that is linked with nothing but the
# library works, with the flags that pkg-config and the header's reader would use.
set -euo pipefail
how=$1 cc=$2 build=$3 sanitize=${4:-}
cd "$(dirname "$0")/../.."

. tests/api/daemon.sh
flags=(-std=c11 -Wall -Wextra -Werror -Iclient_lib/include)
[ -z "$sanitize" ] || flags+=("-fsanitize=$sanitize")
if [ "$how" = shared ]; then
	libraries=("-L$build/lib" -lhakmem "-Wl,-rpath,$build/lib")
else
	libraries=("$build/lib/libhakmem.a" $(pkg-config --libs libprotobuf-c) -pthread)
fi
"$cc" "${flags[@]}" tests/api/minimal.c -o "$directory/minimal" "${libraries[@]}"

start_daemon "$build"
"$directory/minimal"
