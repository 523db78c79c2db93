# SPDX-License-Identifier: MIT
# Runs, one a line (bench, subject, kind, value, unit, better, rss by tabs), to rows with medians.
# ratio: to the best peer of the bench, above 1 is better than that one.
def median: sort | if length % 2 == 1 then .[length / 2 | floor]
	else (.[length / 2 - 1] + .[length / 2]) / 2 end;

[split("\n")[] | select(. != "") | split("\t")
	| {bench: .[0], subject: .[1], kind: .[2], value: (.[3] | tonumber), unit: .[4],
		better: .[5], rss: (.[6] | tonumber)}] as $runs
# Benches stay in the order in which they were run, ours before peers before floors.
| (reduce $runs[] as $r ([]; if index($r.bench) then . else . + [$r.bench] end)) as $benches
| [$benches[] as $bench
	| [$runs[] | select(.bench == $bench)] | group_by(.subject)
	| map({bench: $bench, subject: .[0].subject, kind: .[0].kind,
		value: (map(.value) | median), unit: .[0].unit, better: .[0].better, runs: length,
		min: (map(.value) | min), max: (map(.value) | max), values: map(.value)}
		+ (if .[0].rss > 0 then {peak_rss_bytes: (map(.rss) | median)} else {} end))
	| .[0].better as $better
	| (map(select(.kind == "peer") | .value)
		| if $better == "higher" then max else min end) as $best
	| map(. + {ratio: (if $best == null or .kind == "floor" then null
		elif $better == "higher" then .value / $best else $best / .value end)})
	| sort_by({ours: 0, peer: 1, floor: 2}[.kind], -(.ratio // 0))[]] as $rows
| {date: $date, commit: $commit, machine: {cpu: $cpu, cores: ($cores | tonumber), kernel: $kernel},
	rows: $rows}
