#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The kill points find what they are there for: each mutation takes a step out of a copy of the
# sources, and tests/crash/run.sh must end with 1 there, with points, and with something found.
# self-test.sh [NAME]...: those only. Ends with "N passed, N failed"; 77: it can't be traced here.
set -uo pipefail
cd "$(dirname "$0")/../.."

# NAME FILE SCENARIO SED: what is to be found, and why, stands above each.
mutations() {
	cat <<'EOF'
# The slab words of the first SuperSlab that is collected are not reset: freed.
reset-one-less|daemon/net/job.c|unused|/^static void run_collect/,/^}/s/i = 0;/i = 1;/
# It is never FREE again: RECLAIMING for a holder that isn't there.
end-one-less|daemon/net/job.c|unused|/^static void end_runs/,/^}/s/i = 0;/i = 1;/
# The scan leaves out the last run: it stays granted to the dead, with its blocks.
scan-one-less|daemon/net/job.c|unused|/^void hakd_job_collect_client/,/^}/s/if (n == 0)/if (n == 0 || (i > 0 \&\& job->n_runs + 1 == n_runs))/
# The holder's slot is free before its memory is: swapped.
holder-first|daemon/net/job.c|unused|/^void hakd_job_collect_client/,/^}/s/HAK_HOLDER_RECLAIMING/HAK_HOLDER_FREE/
# A client that dies while the daemon works for it is forgotten.
death-while-busy|daemon/net/job.c|huge|s/if (client && client->is_leaving)/if (0)/
# A free of another process's block raises no hint: its span is lost to its owner.
no-hint|client_lib/free.c|process-free|s/^\thak_segment_raise_pending(&t->heap->segment, l->slot);$//
EOF
}

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files --cached --others --exclude-standard | while read -r f; do
	[ ! -f "$f" ] || cp --parents "$f" "$copy"
done

build() {
	cmake -S "$copy" -B "$copy/build" -G Ninja -DCMAKE_BUILD_TYPE=Release &&
		cmake --build "$copy/build" --target crash
}

# run SCENARIO: what run.sh says there, briefly.
run() { bash tests/crash/run.sh --build "$copy/build" --stride 7 --scenario "$1" 2>&1; }

if ! build >"$copy/log" 2>&1; then
	tail -n 30 "$copy/log"
	exit 2
fi
passed=0 failed=0
judge() { # NAME OK WHAT
	if [ "$2" = 1 ]; then
		passed=$((passed + 1))
		echo "ok      $1: $3"
	else
		failed=$((failed + 1))
		echo "FAILED  $1: $3"
	fi
}

# What is found below is not found without a mutation.
for scenario in $(mutations | grep -v '^#' | cut -d'|' -f3 | sort -u); do
	output=$(run "$scenario") code=$?
	[ $code -ne 77 ] || { echo "$output"; exit 77; }
	judge "$scenario as it is" $((code == 0)) "$(tail -n 1 <<<"$output")"
done
while IFS='|' read -r name file scenario change; do
	[[ $name != \#* ]] || continue
	[ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
	sed -i "$change" "$copy/$file"
	if cmp -s "$file" "$copy/$file"; then
		judge "$name" 0 "the sources have changed: nothing to change"
		continue
	fi
	if ! build >"$copy/log" 2>&1; then
		judge "$name" 0 "$(grep -m 1 error: "$copy/log")"
	else
		output=$(run "$scenario") code=$?
		last=$(tail -n 1 <<<"$output")
		[[ $last =~ ^points=[0-9]+\ leaked=([0-9]+)\ anomalies=([0-9]+)\ hangs=([0-9]+)$ ]]
		judge "$name" $((code == 1 && BASH_REMATCH[1] + BASH_REMATCH[2] + BASH_REMATCH[3] > 0)) \
			"$last; $(grep -m 1 '^crash: ' <<<"$output")"
	fi
	cp "$file" "$copy/$file"
done < <(mutations)
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
