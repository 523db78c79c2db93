#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# symbols.sh BUILD [sanitized]: what libhakmem.so exports is what libhakmem.map names, and what
# hakmem.h declares with HAKMEM_API; it needs no library but libc and libprotobuf-c.
set -uo pipefail
cd "$(dirname "$0")/../.."
library=$1/lib/libhakmem.so
export LC_ALL=C
failed=0

exported() { nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }'; }
mapped() { sed -n '/global:/,/local:/p' client_lib/libhakmem.map | grep -oE '\w+;' | tr -d ';'; }
declared() {
	sed -n 's/^HAKMEM_API .*[ *]\(hakmem_[a-z_]*\)(.*/\1/p' client_lib/include/hakmem.h
}
# Prototypes, whether they carry HAKMEM_API or not.
prototypes() {
	grep -oE '^[A-Za-z].*[ *]hakmem_[a-z_]+\(' client_lib/include/hakmem.h |
		sed 's/.*[ *]\(hakmem_[a-z_]*\)($/\1/'
}

# same WHAT LIST OTHER: says what only one of two lists has.
same() {
	local difference

	difference=$(diff <(sort "$2") <(sort "$3") | grep '^[<>]')
	if [ -s "$2" ] && [ -z "$difference" ]; then
		echo "ok      $1"
	else
		echo "FAILED  $1: < only the first has it, > only the second"
		echo "$difference"
		failed=1
	fi
}

lists=$(mktemp -d)
trap 'rm -rf "$lists"' EXIT
exported >"$lists/exported"
mapped >"$lists/mapped"
declared >"$lists/declared"
prototypes >"$lists/prototypes"
same "exported symbols are those of libhakmem.map" "$lists/exported" "$lists/mapped"
same "exported symbols are those of hakmem.h" "$lists/exported" "$lists/declared"
same "all prototypes carry HAKMEM_API" "$lists/prototypes" "$lists/declared"

if [ "${2:-}" != sanitized ]; then # sanitizers bring libraries of their own
	others=$(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
		grep -vE '^(libc\.so\.6|libprotobuf-c\.so\.[0-9]+|ld-linux.*)$')
	if [ -z "$others" ]; then
		echo "ok      needs only libc and libprotobuf-c"
	else
		echo "FAILED  libhakmem.so needs more than libc and libprotobuf-c:" $others
		failed=1
	fi
fi
exit $failed
