#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Fuzzes the targets, two at a time, with libFuzzer, and tells of each
#   target: runs=N cov=N corpus=N found=N
# run.sh [--seconds N] [--target T]... [--keep]
#   --seconds N  for each target (60)
#   --target T   packet, serve, config, image or walk; may be repeated (all)
#   --keep       puts inputs that reach more than those of tests/fuzz/corpus into that, minimised
# 0: nothing was found; 1: something was, its input lies in build/fuzz/crashes, or the build failed;
# 2: usage; 77: clang or its fuzzer's library is missing.
set -uo pipefail
cd "$(dirname "$0")/../.."
. tests/support/two.sh

all=(packet serve config image walk)
targets=() seconds=60 keep=0
while [ $# -gt 0 ]; do
	case $1 in
	--seconds) seconds=${2:-} && shift ;;
	--target) targets+=("${2:-}") && shift ;;
	--keep) keep=1 ;;
	*)
		sed -n '3,10s/^# \?//p' "$0" >&2
		exit 2
		;;
	esac
	shift
done
[ ${#targets[@]} -gt 0 ] || targets=("${all[@]}")
for target in "${targets[@]}"; do
	[ -f "tests/fuzz/$target.c" ] && printf '%s\n' "${all[@]}" | grep -qx -- "$target" ||
		{ echo "run.sh: there is no target ${target:-''}; ${all[*]}" >&2 && exit 2; }
done
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "run.sh: --seconds takes a number" >&2 && exit 2; }

probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
echo 'int LLVMFuzzerTestOneInput(const unsigned char *b, unsigned long n) { return b && n ? 0 : 0; }' \
	>"$probe/probe.c"
if ! clang -fsanitize=fuzzer,address,undefined -o "$probe/probe" "$probe/probe.c" 2>/dev/null; then
	echo "clang with libFuzzer is missing (libclang-rt-14-dev)"
	exit 77
fi

build=build/fuzz
if ! { cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_COMPILER=clang \
	-DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_FLAGS=-O1 -DHAKMEM_SANITIZE=address,undefined \
	-DHAKMEM_FUZZ=ON && cmake --build $build --target fuzz; } >"$probe/build" 2>&1; then
	tail -n 50 "$probe/build"
	exit 1
fi
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
mkdir -p $build/crashes $build/logs

# value NAME LOG: what libFuzzer's last lines say of it.
value() {
	case $1 in
	runs) sed -nE 's/^stat::number_of_executed_units: *//p' "$2" ;;
	cov) sed -nE 's/^#[0-9]+.* cov: ([0-9]+) .*/\1/p' "$2" | tail -n 1 ;;
	esac
}

# fuzz TARGET: one process; leaks, and inputs that take longer than 10 s, are findings too.
fuzz() {
	local target=$1 log=$build/logs/$1 grown=$build/corpus/$1 own=tests/fuzz/corpus/$1
	local options=(-max_total_time="$seconds" -max_len=600 -len_control=0 -timeout=10
		-rss_limit_mb=4096 -print_final_stats=1 -close_fd_mask=1
		-artifact_prefix="$build/crashes/$target-") code found
	[ -f "tests/fuzz/$target.dict" ] && options+=(-dict="tests/fuzz/$target.dict")
	mkdir -p "$grown"
	"$build/bin/fuzz_$target" "${options[@]}" "$grown" "$own" >"$log" 2>&1 </dev/null
	code=$?
	found=$([ $code -eq 0 ] && echo 0 || echo 1)
	echo "$target: runs=$(value runs "$log") cov=$(value cov "$log")" \
		"corpus=$(find "$grown" "$own" -type f | wc -l) found=$found"
	if [ "$found" -eq 1 ]; then
		grep -aE 'not so:|Assertion|ERROR: |runtime error:' "$log" | head -n 5
		sed -nE 's/.*Test unit written to (.*)/kept: \1/p' "$log"
	fi
	return "$found"
}

# keep TARGET: the fewest inputs that reach what both corpora do, and what somebody gave a name.
keep() {
	local target=$1 merged=$probe/$1 own=tests/fuzz/corpus/$1
	mkdir -p "$merged"
	"$build/bin/fuzz_$target" -set_cover_merge=1 -max_len=600 -timeout=10 -close_fd_mask=3 "$merged" \
		"$own" "$build/corpus/$target" </dev/null 2>/dev/null || return 1
	find "$own" -type f -regextype posix-extended -regex '.*/[0-9a-f]{40}' -delete
	cp "$merged"/* "$own"
	echo "$target: $(find "$own" -type f | wc -l) inputs," \
		"$(cat "$own"/* | wc -c) bytes in $own"
}

# work TARGET: tells it in one piece, beside another, and keeps that nothing was found.
work() {
	local said code=0
	said=$(fuzz "$1") || code=1
	echo "$said"
	[ $keep -eq 0 ] || keep "$1" || code=1
	[ $code -ne 0 ] || touch "$probe/$1.passed"
}

for target in "${targets[@]}"; do
	beside work "$target"
done
wait
for target in "${targets[@]}"; do
	[ -e "$probe/$target.passed" ] || exit 1
done
