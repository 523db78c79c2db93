#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What a live block costs beyond its size, by size: a pool is filled with blocks of one size, then
# all memory that it takes is compared with what was asked for. bench/README.md tells more.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C

sizes='16 32 64 100 256 1000 4096 20480 26624 32768 65536 1048576'
pool=256M build=build/release output=build/bench
directory= daemon=

. bench/support/daemon.sh

usage() {
	cat <<-END
		usage: bench/overhead.sh [OPTION]...
		  --sizes LIST   sizes of blocks, by commas (default ${sizes// /,})
		  --pool SIZE    the limit of the pool that is filled (default $pool)
		  --build DIR    the build tree (default $build)
		  --output DIR   where overhead.json goes (default $output)
	END
}

measure() { # SIZE
	local blocks private status word
	start_daemon --limit "$pool" # one for each size: nothing is left of the one before
	coproc filler { exec "$build/bin/bench-overhead" "$1"; }
	local pid=$filler_PID in=${filler[1]}
	read -r word blocks word private <&"${filler[0]}" || {
		echo "overhead: size $1 failed" >&2
		exit 1
	}
	status=$("$build/bin/hakmemctl" --json status)
	eval "exec $in>&-"
	wait "$pid"
	stop_daemon
	jq -c --argjson size "$1" --argjson blocks "$blocks" --argjson private "$private" '.pools[0]
		| (.allocated_bytes / .live_blocks) as $class
		| (.resident_bytes + $private) as $memory
		| {size: $size, class_bytes: $class, blocks: $blocks, payload_bytes: ($blocks * $size),
			granted_bytes: (.granted_superslabs * .superslab_bytes),
			resident_bytes: .resident_bytes, private_bytes: $private,
			percent_of_class: (($memory / ($blocks * $class) - 1) * 100),
			percent_of_requested: (($memory / ($blocks * $size) - 1) * 100)}' <<<"$status"
}

while [ $# -gt 0 ]; do
	case $1 in
	--sizes | --pool | --build | --output)
		[ $# -ge 2 ] || { usage >&2 && exit 2; } ;;&
	--sizes) sizes=${2//,/ } && shift ;;
	--pool) pool=$2 && shift ;;
	--build) build=$2 && shift ;;
	--output) output=$2 && shift ;;
	--help) usage && exit 0 ;;
	*) usage >&2 && exit 2 ;;
	esac
	shift
done
prepare overhead
for size in $sizes; do
	measure "$size" >>"$directory/rows"
done
mkdir -p "$output"
jq -s --arg pool "$pool" '{pool: $pool, rows: .}' "$directory/rows" >"$output/overhead.json"
printf '%9s %9s %10s %12s %12s %12s %10s %9s %10s\n' size class blocks payload granted resident \
	private '% class' '% asked'
jq -r '.rows[] | [.size, .class_bytes, .blocks, .payload_bytes, .granted_bytes, .resident_bytes,
	.private_bytes, .percent_of_class, .percent_of_requested] | @tsv' "$output/overhead.json" |
	while IFS=$'\t' read -r -a row; do
		printf '%9d %9d %10d %12d %12d %12d %10d %9.2f %10.2f\n' "${row[@]}"
	done
