#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# compare.sh BUILD: bench/compare.sh measures a few rows of a built tree and writes what it
# promises; the library that a row names is the one in use. No times are looked at.
set -euo pipefail
build=$(realpath "$1")
cd "$(dirname "$0")/../.."
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

bash bench/compare.sh --quick --no-build --build "$build" --output "$directory" --profiled \
	--bench pair64,prodcons,hardened-pair,2p-msg64,2p-latency \
	--subject malloc,shared,shared-2p,malloc-hardened,shared-hardened,shared-profiled,glibc,floor \
	>"$directory/table" 2>&1 || { cat "$directory/table" && exit 1; }
cat "$directory/table"
grep -qE '^[0-9]+ rows, [0-9]+ skipped, 0 failed$' "$directory/table"
# What is not there is said, not left out in silence.
[ -f "$build/lib/libhakmem_malloc.so" ] || grep -q '^skipped: all rows of malloc' "$directory/table"

holds() { # CLAIM JQ-EXPRESSION
	jq -e "$2" "$directory/compare.json" >/dev/null || { echo "not so: $1" >&2 && exit 1; }
}
holds "each row has its members" '.rows | length > 0 and all(
	(.bench | type == "string") and (.subject | type == "string") and
	(.kind | IN("ours", "peer", "floor")) and (.better | IN("higher", "lower")) and
	(.value | type == "number" and . > 0) and (.unit | type == "string" and . != "") and
	.runs == 1 and .min <= .value and .value <= .max and .peak_rss_bytes > 0)'
holds "pair64 has ours, a peer and a floor" \
	'[.rows[] | select(.bench == "pair64") | .kind] | unique == ["floor", "ours", "peer"]'
holds "hardened mode stands beside the others" \
	'[.rows[] | select(.bench == "hardened-pair") | .subject] as $there |
	["shared", "shared-hardened", "glibc"] - $there == []'
holds "and so does the profile" \
	'[.rows[] | select(.bench == "pair64") | .subject] as $there |
	["shared", "shared-profiled", "glibc"] - $there == []'
holds "two processes share a pool" \
	'.rows | any(.bench == "2p-msg64" and .subject == "shared-2p" and .kind == "ours")'
holds "the best peer's ratio is 1" \
	'.rows | any(.bench == "pair64" and .subject == "glibc" and .ratio == 1)'
holds "machine and commit are named" \
	'.commit != "" and .machine.cores > 0 and .machine.kernel != ""'
[ -s "$directory/compare.svg" ]

# A preload that does not happen is found out.
code=0
BENCH_EXPECT=$build/lib/libhakmem.so "$build/bin/bench-pair64-malloc" --seconds 0.01 \
	2>/dev/null || code=$?
[ "$code" -eq 3 ] || { echo "another allocator was measured: exit $code, not 3" >&2 && exit 1; }
