#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Compares hakmem with other allocators, side by side on this machine; bench/README.md says what
# each row measures. Builds nothing but ours; peers are Debian's (deploy/install-deps.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C

usage() {
	cat <<-END
		usage: bench/compare.sh [OPTION]...
		  --rounds N            runs of each row, interleaved (default 5)
		  --bench LIST          only these benches, by commas
		  --subject LIST        only these subjects, by commas
		  --peer NAME=LIBRARY   one more peer, by preload; may be given several times
		  --profiled            ours again, with a sample of each 512 KiB for the profile
		  --instructions        count instructions of the pairs too (callgrind)
		  --quick               one round of very short runs, to see that all works
		  --no-build            take what has been built
		  --build DIR           the build tree (default build/release)
		  --output DIR          where compare.json and compare.svg go (default build/bench)
		  --save                copy the results to bench/results/ and the picture to docs/
	END
	printf 'benches: %s\n' "$(cut -d'|' -f1 <<<"$benches" | paste -sd' ')"
	echo "subjects: ${ours[*]} ${private_peers[*]} ${shared_peers[*]} floor"
}

# bench | program | arguments | arguments of --quick | better | subjects
# A word @ stands for --seconds and the time of a run.
benches='pair64|pair64|@|@|lower|private floor
pair-mixed|pair-mixed|@|@|lower|private floor
working-set|working-set|@|@|lower|private
hardened-pair|pair-mixed|@|@|lower|hardened
hardened-working-set|working-set|@|@|lower|hardened
larson-1t|larson|5 8 1000 5000 100 4141 1|1 8 1000 5000 100 4141 1|higher|private
larson-2t|larson|5 8 1000 5000 100 4141 2|1 8 1000 5000 100 4141 2|higher|private
larson-42t|larson|1 5 1 1000 100 10000 42|1 5 1 1000 100 10000 42|higher|private
churn|churn|@|@|higher|private
xmalloc|xmalloc|@|@|higher|private
prodcons|prodcons|@|@|higher|private floor
batch-64k|batch|@ 65536|@ 65536|lower|private
batch-1m|batch|@ 1048576|@ 1048576|lower|private
sh6|sh6|1200|20|lower|private
shm-pair64|two-process|@ alone-pair|@ alone-pair|lower|alone any node floor
shm-working-set|two-process|@ alone-working-set|@ alone-working-set|lower|alone any
2p-msg64|two-process|@ msg64|@ msg64|higher|two any node floor
2p-give64|two-process|@ give64|@ give64|higher|two
2p-latency|two-process|@ latency|@ latency|lower|two any node floor
2p-pair|two-process|@ pair|@ pair|higher|two any node floor
2p-working-set|two-process|@ working-set|@ working-set|lower|two any'

ours=(malloc shared shared-2p malloc-hardened shared-hardened shared-profiled shared-2p-profiled)
private_peers=(glibc mimalloc jemalloc tcmalloc)
shared_peers=(boost-rbtree boost-cached-node ossp-mm apr-rmm)
counted='pair64 pair-mixed' # whose instructions --instructions counts
declare -A soname=([mimalloc]=libmimalloc.so.2 [jemalloc]=libjemalloc.so.2
	[tcmalloc]=libtcmalloc_minimal.so.4)
declare -A library # of each private subject

rounds=5 seconds=0.5 quick=0 build_first=1 instructions=0 save=0 profiled=0
build=build/release output=build/bench only_benches= only_subjects=
skipped=0 failed=0 directory= daemon=

. bench/support/daemon.sh

fail() {
	echo "compare: $*" >&2
	exit 2
}

skip() {
	skipped=$((skipped + 1))
	echo "skipped: $*" >&2
}

read_arguments() {
	while [ $# -gt 0 ]; do
		case $1 in
		--rounds | --bench | --subject | --peer | --build | --output)
			[ $# -ge 2 ] || fail "$1 needs a value" ;;&
		--rounds) rounds=$2 && shift ;;
		--bench) only_benches=$2 && shift ;;
		--subject) only_subjects=$2 && shift ;;
		--peer)
			[[ $2 == ?*=?* && -f ${2#*=} ]] || fail "--peer NAME=LIBRARY: $2"
			private_peers+=("${2%%=*}")
			library[${2%%=*}]=$(realpath "${2#*=}")
			shift ;;
		--build) build=$2 && shift ;;
		--output) output=$2 && shift ;;
		--profiled) profiled=1 ;;
		--instructions) instructions=1 ;;
		--quick) quick=1 rounds=1 seconds=0.02 ;;
		--no-build) build_first=0 ;;
		--save) save=1 ;;
		--help) usage && exit 0 ;;
		*) usage >&2 && exit 2 ;;
		esac
		shift
	done
	[[ $rounds =~ ^[1-9][0-9]*$ ]] || fail "--rounds $rounds"
	check_names "bench" "$only_benches" "$(cut -d'|' -f1 <<<"$benches")"
	check_names "subject" "$only_subjects" \
		"$(printf '%s\n' "${ours[@]}" "${private_peers[@]}" "${shared_peers[@]}" floor)"
}

check_names() { # WHAT LIST ALL
	local name
	for name in ${2//,/ }; do
		grep -qxF -- "$name" <<<"$3" || fail "no $1 $name; there are: $(paste -sd' ' <<<"$3")"
	done
}

wanted() { # LIST NAME
	[ -z "$1" ] || [[ ,$1, == *,$2,* ]]
}

find_libraries() {
	local name
	library[glibc]=
	library[malloc]=$(realpath -q "$build/lib/libhakmem_malloc.so" || true)
	library[malloc-hardened]=${library[malloc]}
	for name in "${!soname[@]}"; do
		library[$name]=$(ldconfig -p | awk -v s="${soname[$name]}" '$1 == s && !n++ { print $NF }')
	done
	for name in malloc malloc-hardened "${private_peers[@]}"; do
		wanted "$only_subjects" "$name" && [ "$name" != glibc ] || continue
		[ -n "${library[$name]}" ] && [ -f "${library[$name]}" ] && continue
		skip "all rows of $name: ${soname[$name]:-libhakmem_malloc.so} is not there"
		library[$name]=none
	done
	for name in "${shared_peers[@]}"; do
		wanted "$only_subjects" "$name" && [ ! -x "$build/bin/bench-two-process-$name" ] &&
			skip "all rows of $name: it was not built, its headers were not there"
	done
	return 0
}

kind_of() {
	case $1 in
	malloc | shared | shared-2p | *-hardened | *-profiled) echo ours ;;
	floor) echo floor ;;
	*) echo peer ;;
	esac
}

# The subjects of a bench's row, wanted and there.
subjects_of() { # GROUPS
	local group name also_profiled=
	[ $profiled -eq 0 ] || also_profiled=-profiled
	for group in $1; do
		case $group in
		private)
			for name in malloc shared ${also_profiled:+shared$also_profiled} \
				"${private_peers[@]}"; do
				[ "${library[$name]:-}" = none ] || echo "$name"
			done ;;
		hardened)
			for name in malloc shared malloc-hardened shared-hardened glibc; do
				[ "${library[$name]:-}" = none ] || echo "$name"
			done ;;
		alone) printf '%s\n' shared ${also_profiled:+shared$also_profiled} ;;
		two) printf '%s\n' shared-2p ${also_profiled:+shared-2p$also_profiled} ;;
		any) printf '%s\n' boost-rbtree ossp-mm apr-rmm ;;
		node) echo boost-cached-node ;; # one size only
		floor) echo floor ;;
		esac
	done | while read -r name; do
		if [[ $1 != @(private*|hardened) && $(kind_of "$name") = peer ]]; then
			[ -x "$build/bin/bench-two-process-$name" ] || continue
		fi
		! wanted "$only_subjects" "$name" || echo "$name"
	done
}

# Sets program, preload, HAKMEM_HARDENED, HAKMEM_POOL and BENCH_EXPECT, the library that must be in
# use, of PROGRAM SUBJECT.
find_program() {
	local form=${2%-*ed}
	preload=
	unset BENCH_EXPECT HAKMEM_HARDENED HAKMEM_POOL
	case $2 in
	*-hardened) export HAKMEM_HARDENED=1 ;;
	*-profiled) export HAKMEM_POOL=profiled ;;
	esac
	case $1/$2 in
	two-process/shared*) form=shared ;;&
	*/shared*) export BENCH_EXPECT=$build/lib/libhakmem.so ;;
	two-process/* | */floor) ;;
	*/glibc) form=malloc BENCH_EXPECT=$libc ;;
	*) form=malloc preload=${library[$2]} BENCH_EXPECT=${library[$2]} ;;
	esac
	[ -z "${BENCH_EXPECT:-}" ] || export BENCH_EXPECT
	case $1/$form in
	larson/shared) program=$build/bin/larson ;;
	larson/malloc) program=$build/bin/larson-malloc ;;
	*) program=$build/bin/bench-$1-$form ;;
	esac
}

record() { # BENCH SUBJECT VALUE UNIT BETTER RSS
	printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$(kind_of "$2")" "$3" "${4//-/ }" "$5" "$6" \
		>>"$directory/raw"
}

broken() { # BENCH SUBJECT
	failed=$((failed + 1))
	echo "FAILED: $1 of $2" >&2
	tail -n 5 "$directory/out" "$directory/errors" >&2
}

measure() { # BENCH PROGRAM ARGUMENTS BETTER SUBJECT
	local result
	[ ! -t 2 ] || printf '\r\033[Kround %d of %d: %s of %s' "$round" "$rounds" "$1" "$5" >&2
	find_program "$2" "$5"
	if ! "$build/bin/bench-run" --timeout 120 ${preload:+--preload "$preload"} "$program" \
		${3/@/--seconds $seconds} >"$directory/out" 2>"$directory/errors" </dev/null ||
		grep -q 'cannot be preloaded' "$directory/errors"; then
		broken "$1" "$5"
		return
	fi
	# larson has its own words: "larson: threads N, V ops/s".
	result=$(awk '
		/^peak_rss/ { rss = $2; next }
		/^larson:/ { value = $4 / 1e6; unit = "M-ops/s"; next }
		{ value = $2; unit = $3 }
		END { if (unit != "") print value, unit, rss }' "$directory/out")
	[ -n "$result" ] || { broken "$1" "$5" && return; }
	read -r value unit rss <<<"$result"
	record "$1" "$5" "$value" "$unit" "$4" "$rss"
	sed "s/^/$1 of $5: /" "$directory/errors" >&2
}

run_all() {
	local round name program_name full short better groups i subjects
	for ((round = 1; round <= rounds; round++)); do
		while IFS='|' read -r name program_name full short better groups; do
			wanted "$only_benches" "$name" || continue
			[ $quick -eq 0 ] || full=$short
			mapfile -t subjects < <(subjects_of "$groups")
			for ((i = 0; i < ${#subjects[@]}; i++)); do
				measure "$name" "$program_name" "$full" "$better" \
					"${subjects[(i + round - 1) % ${#subjects[@]}]}"
			done
		done <<<"$benches"
	done
	[ ! -t 2 ] || printf '\r\033[K' >&2
}

# The instructions of so many pairs, start and end of the program included.
count() { # ITERATIONS
	LD_PRELOAD=$preload valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" \
		--iterations "$1" >"$directory/out" 2>"$directory/errors" </dev/null &&
		awk '/Collected *:/ { n = $NF } END { if (n == "") exit 1; print n }' "$directory/errors"
}

# Twice so many pairs, and the difference: what start and end cost drops out.
count_all() {
	local name subject few many n=51200
	command -v valgrind >/dev/null || { skip "instructions: valgrind is not there" && return; }
	for name in $counted; do
		wanted "$only_benches" "$name" || continue
		for subject in $(subjects_of 'private floor'); do
			[ ! -t 2 ] || printf '\r\033[Kinstructions: %s of %s' "$name" "$subject" >&2
			find_program "$name" "$subject"
			if few=$(count $n) && many=$(count $((2 * n))); then
				record "$name-instructions" "$subject" \
					"$(awk -v a="$few" -v b="$many" -v n=$n 'BEGIN { print (b - a) / n }')" \
					instructions lower 0
			else
				broken "$name-instructions" "$subject"
			fi
		done
	done
	[ ! -t 2 ] || printf '\r\033[K' >&2
}

# Those who were to take samples have; the others have not.
check_samples() {
	local json
	unset HAKMEM_POOL
	json=$("$build/bin/hakmemctl" stats samples --json)
	jq -e '.pools | map({(.name): .clients.samples}) | add |
		.profiled > 0 and .default == 0' <<<"$json" >/dev/null ||
		fail "samples are not taken where they are to be: $json"
}

report() {
	local commit
	commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
	git diff --quiet HEAD -- . 2>/dev/null || commit+=+
	mkdir -p "$output"
	jq -R -s -f bench/support/rows.jq --arg commit "$commit" --arg date "$(date -u +%F)" \
		--arg cpu "$(awk -F': ' '/^model name/ && !n++ { print $2 }' /proc/cpuinfo)" \
		--arg cores "$(nproc)" --arg kernel "$(uname -r)" "$directory/raw" >"$directory/json"
	cp "$directory/json" "$output/compare.json"
	bash bench/support/table.sh "$output/compare.json" | tee "$directory/table"
	if ! jq -e 'any(.rows[]; .ratio != null)' "$output/compare.json" >/dev/null; then
		skip "the picture: no peer was measured"
	elif command -v gnuplot >/dev/null; then
		bash bench/support/picture.sh "$output/compare.json" "$output/compare.svg"
	else
		skip "the picture: gnuplot is not there"
	fi
	[ $save -eq 0 ] || save_results
}

save_results() {
	local base
	base=bench/results/$(jq -r '"\(.date)-\(.commit)"' "$output/compare.json")
	mkdir -p bench/results
	cp "$output/compare.json" "$base.json"
	[ ! -f "$output/compare.svg" ] || cp "$output/compare.svg" docs/compare.svg
	{
		jq -r '"# \(.date), commit \(.commit)\n\n\(.machine.cpu), \(.machine.cores) cores, " +
			"Linux \(.machine.kernel). By `bench/compare.sh --save`.\n"' "$base.json"
		echo '```' && cat "$directory/table" && echo '```'
	} >"$base.md"
	echo "saved $base.json and .md"
}

clean_up_at_end
read_arguments "$@"
if [ $build_first -eq 1 ]; then
	[ "$build" = build/release ] || fail "--build needs --no-build"
	cmake --preset release >/dev/null
	cmake --build --preset release
fi
[ -x "$build/bin/bench-run" ] || fail "$build is not built"
build=$(realpath "$build")
libc=$(ldd "$build/bin/bench-pair64-malloc" | awk '/libc\.so/ { print $3 }')
directory=$(mktemp -d)
: >"$directory/raw"
find_libraries
# A run of --quick may allocate too little for a sample at 512K.
interval=$([ $quick -eq 0 ] && echo 512K || echo 4K)
[ $profiled -eq 0 ] || printf '[pool profiled]\nprofile = %s\n' "$interval" >"$directory/hakmemd.conf"
start_daemon
run_all
[ $profiled -eq 0 ] || check_samples
[ $instructions -eq 0 ] || count_all
[ -s "$directory/raw" ] || fail "nothing was measured"
report
echo "$(jq '.rows | length' "$output/compare.json") rows, $skipped skipped, $failed failed"
[ "$failed" -eq 0 ]
