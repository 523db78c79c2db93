#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# run.sh [NAME...]: searches the models whole, then each mutation, which must be found, and states
# that must be reachable. NAME: only those lines. docs/recovery.md says what is shown by it.
# Two searches at a time, 2 GiB each. Ends with "N passed, N failed".
set -uo pipefail
source=$(realpath "$(dirname "$0")")/ownership.pml
. "$(dirname "$source")/../support/two.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C
started=0 only=" $* "

# pan DIRECTORY SCENARIO [-D...]: searches; 0: whole and nothing found, 1: a violation, 2: neither.
pan() {
	local log=$1/log
	(
		cd "$1" && spin -a -DSCENARIO="$2" "${@:3}" "$source" </dev/null &&
			gcc -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM=2048 -o pan pan.c &&
			timeout 300 ./pan -m200000 -w22 -E
	) >"$log" 2>&1 </dev/null
	grep -qE 'errors: [1-9]' "$log" && grep -q 'assertion violated' "$log" && return 1
	grep -q 'errors: 0' "$log" &&
		! grep -qiE 'not completed|depth too small|out of memory|error: ' "$log" && return 0
	return 2
}

# search EXPECTED NAME DIRECTORY SCENARIO [-D...]: prints the line and keeps that it passed.
search() {
	local expected=$1 name=$2 own=$3 start=$SECONDS code=0 states
	shift 3
	pan "$own" "$@" || code=$?
	states=$(awk '/states, stored/ { print $1 }' "$own/log")
	if [ $code -eq "$expected" ]; then
		echo "ok      $name ($1, ${states:-?} states, $((SECONDS - start)) s)"
		touch "$own/passed"
	else
		echo "FAILED  $name ($1, ${states:-?} states, $((SECONDS - start)) s)" \
			$'\n'"$(tail -n 40 "$own/log")"
	fi
}

# line EXPECTED NAME SCENARIO [-D...]: one line, once fewer than two are being searched.
line() {
	[ "$only" = "  " ] || [[ $only == *" $2 "* ]] || return 0
	started=$((started + 1))
	mkdir "$work/$started"
	beside search "$1" "$2" "$work/$started" "${@:3}"
}

holds() { line 0 "$@"; }
breaks() { line 1 "$1" "${@:2}" "-DBREAK_$1"; }
reaches() { line 1 "$@" -DREACHED; }

holds whole_pass PASS
holds whole_hand_on HAND_ON
holds whole_threads THREADS
holds whole_orphans ORPHANS
holds whole_roots ROOTS
holds whole_slots SLOTS
holds whole_plain PLAIN
# A take that looks at the bit too refuses no ticket.
holds bit_pass PASS -DWITH_BIT
holds bit_roots ROOTS -DWITH_BIT
holds bit_slots SLOTS -DWITH_BIT

for scenario in PASS HAND_ON THREADS ORPHANS ROOTS SLOTS PLAIN; do
	reaches "far_end_${scenario,,}" $scenario
done

breaks NO_CROSSING PASS
breaks NO_GRACE PASS
breaks GRACE_TOO_EARLY PASS
breaks W_BEFORE_CROSSING PASS
breaks TAKE_WITHOUT_INC PASS
breaks NO_EPOCH PASS
breaks GRANT_WITHOUT_EPOCH PASS
breaks GRANT_KEEPS_TAGS_UNTAGGED PASS
breaks REF_LEAVES_UNTAGGED PASS
breaks FREE_WITHOUT_INC PASS
breaks CLAIM_KEEPS_TAG PASS
breaks BIT_BEFORE_TAG PASS
breaks FREEING_LEFT PASS
breaks CLAIM_WITHOUT_INC HAND_ON
breaks FREEING_AFTER_BIT SLOTS
breaks REFUSED_WHILE_RECLAIMING HAND_ON
breaks TAG_BEFORE_BIT ORPHANS
breaks W_BEFORE_BIT THREADS -DWITHOUT_CUT
breaks TWO_CLAIMERS THREADS
breaks RETIRE_KEEPS_TAGS THREADS
breaks CUT_WITHOUT_EPOCH THREADS
breaks ADOPT_WITH_EPOCH ORPHANS
breaks UNUSED_WITH_SURVIVORS ORPHANS
breaks NO_PENDING ROOTS
breaks LIVE_BEFORE_TAG ROOTS
breaks TAKE_FROM_ROOT ROOTS
breaks WITHDRAW_FOR_THE_DEAD ROOTS
breaks SLOT_TOO_EARLY SLOTS
breaks NO_GRACE PLAIN
breaks NO_CROSSING PLAIN
breaks FLUSH_WITHOUT_INC PLAIN

wait
[ "$started" -gt 0 ] || { echo "run.sh: there is no line called $*" >&2 && exit 2; }
passed=$(find "$work" -name passed | wc -l)
echo "$passed passed, $((started - passed)) failed"
[ "$passed" -eq "$started" ]
