#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The kill points find what they are there for: each mutation takes a step out of a copy of the
# sources, and tests/crash/run.sh must end with 1 there, and with something found; or run-daemon.sh, for
# those that a daemon needs after its predecessor's death. Without one: 0, with points.
# self-test.sh [NAME]...: those only. Ends with "N passed, N failed"; 77: it can't be traced here.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2

# NAME@FILE@SCENARIO@SED: what is to be found, and why, stands above each. SCENARIO: of run.sh, or
# daemon/ and one of run-daemon.sh.
mutations() {
	cat <<'EOF'
# The scan leaves out the first SuperSlab of the dead: free, with slab words of before.
own-one-less@daemon/reclaim/collect.c@unused@/^static void scan_own/,/^}/s/^\tstruct hakd_pool \*pool.*/&\n\tif (run == job->runs)\n\t\treturn;/
# All but the first are never taken from the dead: they stay granted to them, with their blocks.
take-one-only@daemon/reclaim/collect.c@huge@/^static void take_all/,/^}/s/\t\tif (n > 0)/\t\tif (n > 0 \&\& job->n_runs != 1)/
# What the dead held in slabs of others stays theirs.
no-scan-of-others@daemon/reclaim/collect.c@take@/^static void end_own/,/^}/s/hakd_scan_for(job, end_scans)/end_scans(job)/
# A free that the dead had begun is not finished.
freeing-left@proto/shm/tag.c@take-free@/^bool hak_tag_scan_held/,/^}/s/return is_freeing(t, holder);/return false;/
# The scan raises no hints: what the dead freed and didn't tell of is lost to its owner.
no-hint@daemon/reclaim/scan.c@process-free@s/scan->were_killed |= !job->client->has_detached;/scan->were_killed = false;/
# A survivor's block goes with the slab that it is in.
no-orphans@proto/shm/scan.c@give@/^bool hak_scan_own/,/^}/s/if (n > 0)/if (n > 1000)/
# The slot of the dead is free before their memory is: two steps swapped, and a rest between them.
slot-too-early@daemon/reclaim/collect.c@unused@/^void hakd_collect_client/,/^}/{s/HAK_HOLDER_RECLAIMING/HAK_HOLDER_FREE/;s/^\ttake_all(job)/\tuv_sleep(5);\n&/}
# A client that dies while the daemon works for it is forgotten.
death-while-busy@daemon/net/job.c@huge@s/if (client->is_leaving)/if (0)/
# What has a name goes with the slab that it is in.
root-with-the-dead@proto/shm/tag.c@publish@/^bool hak_tag_scan_own/,/^}/s/is_owners(t, owner); i++)$/(is_owners(t, owner) || hak_tag_is_held(t, HAK_HOLDER_ROOT)); i++)/
# A ticket can be taken twice.
take-without-inc@proto/shm/tag.c@hand-on@/^bool hak_tag_take/,/^}/s/inc + 1)/inc)/
# Words of a grant that a daemon died in stay in what is free.
words-of-a-grant@daemon/mem/reopen.c@daemon/grant@/case HAK_SUPERSLAB_FREE:/,/break;/s/reset(walk, at);//
# A client whose collection a daemon died in keeps its slot and its memory.
half-collected@daemon/reclaim/resume.c@daemon/death@/^static int resume_holder/,/^}/s/is_leaving = true;/is_leaving = false;/
# What the living were giving back when a daemon died is never free.
half-given-back@daemon/reclaim/resume.c@daemon/give-back@s/else if (n_begun\[slot\] > 0)/else if (0)/
EOF
}

# wanted [NAME]...: the rows of those, or all.
wanted() {
	mutations | grep -v '^#' | while IFS= read -r row; do
		[ $# -eq 0 ] || [[ " $* " == *" ${row%%@*} "* ]] || continue
		printf '%s\n' "$row"
	done
}

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files --cached --others --exclude-standard | while read -r f; do
	[ ! -f "$f" ] || cp --parents "$f" "$copy"
done

build() {
	cmake -S "$copy" -B "$copy/build" -G Ninja -DCMAKE_BUILD_TYPE=Release &&
		cmake --build "$copy/build" --target crash crash-daemon
}

# run SCENARIO SECONDS: what run.sh says there, briefly; or run-daemon.sh, in about so long.
run() {
	case $1 in
	daemon/*) bash tests/crash/run-daemon.sh --build "$copy/build" --seconds "$2" --scenario "${1#*/}" ;;
	*) bash tests/crash/run.sh --build "$copy/build" --transition 3 --scenario "$1" ;;
	esac 2>&1
}

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
for scenario in $(wanted "$@" | cut -d@ -f3 | sort -u); do
	output=$(run "$scenario" 4) code=$?
	[ $code -ne 77 ] || { echo "$output"; exit 77; }
	last=$(tail -n 1 <<<"$output")
	[[ $last =~ ^points=[1-9] ]] && [ $code -eq 0 ] && ok=1 || ok=0
	judge "$scenario as it is" $ok "$last"
done
while IFS=@ read -r name file scenario change; do
	sed -i "$change" "$copy/$file"
	if cmp -s "$file" "$copy/$file"; then
		judge "$name" 0 "the sources have changed: nothing to change"
		continue
	fi
	if ! build >"$copy/log" 2>&1; then
		judge "$name" 0 "$(grep -m 1 error: "$copy/log")"
	else
		output=$(run "$scenario" 20) code=$?
		last=$(grep '^points=' <<<"$output" | tail -n 1) # who ends late may say something behind it
		[[ $last =~ ^points=[0-9]+\ leaked=([0-9]+)\ anomalies=([0-9]+)\ hangs=([0-9]+)$ ]]
		judge "$name" $((code == 1 && BASH_REMATCH[1] + BASH_REMATCH[2] + BASH_REMATCH[3] > 0)) \
			"$last; $(grep -m 1 -E '^crash(-daemon)?: ' <<<"$output")"
	fi
	cp "$file" "$copy/$file"
done < <(wanted "$@")
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
