#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# abi.sh BUILD [sanitized]: programs that were linked with libhakmem.so.1 go on with this one. Its
# symbols and their versions are those of deploy/packages/libhakmem1/symbols; a build with
# debugging information has its types compared with libhakmem.abi too, by abidiff.
# A symbol that is new is a line more, with the version that brings it. One that is gone or has
# another meaning is another library: libhakmem.so.2.
# abi.sh BUILD --write: makes libhakmem.abi anew.
set -uo pipefail
build=$(readlink -f "$1")
cd "$(dirname "$(readlink -f "$0")")/../.."
export LC_ALL=C
types=tests/packages/libhakmem.abi symbols=deploy/packages/libhakmem1/symbols
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source tests/support/judge.sh

if [ "${2:-}" = --write ]; then
	abidw --exported-interfaces-only --headers-dir client_lib/include --drop-private-types \
		--no-show-locs --no-corpus-path --no-comp-dir-path --type-id-style hash \
		"$build/lib/libhakmem.so.1" | sed '/<elf-needed>/,/<\/elf-needed>/d' >$types
	exit
fi

listed() { sed -n "/^$1 /,/^lib/p" $symbols | sed -n 's/^ \([^ ]*\) .*/\1/p' | sort; }
exported() {
	nm -D --defined-only --with-symbol-versions "$build/lib/$1" |
		awk '$2 != "A" { sub(/@@/, "@", $3); print $3 ($3 ~ /@/ ? "" : "@Base") }' | sort
}

libraries=libhakmem.so.1
[ "${2:-}" = sanitized ] || libraries+=' libhakmem_malloc.so.1'
for library in $libraries; do
	[ "$(readelf -d "$build/lib/$library" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')" = "$library" ]
	judge $? "$library: is what it is called"
	diff <(listed "$library") <(exported "$library") >"$work/said" && [ -n "$(listed "$library")" ]
	judge $? "$library: exports what $symbols lists (<)"
done

if readelf -S "$build/lib/libhakmem.so.1" | grep -q debug_info; then
	abidiff --no-added-syms $types "$build/lib/libhakmem.so.1" >"$work/said" 2>&1
	judge $? "libhakmem.so.1: functions and structs are those of $types"
fi
verdict
