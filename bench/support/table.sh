#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# table.sh FILE: the rows of a compare.json as one table, ours marked by an asterisk.
set -euo pipefail

jq -r '.rows[] | [.bench, .subject, .kind, .value, .min, .max, .unit, .better, .runs,
	(.ratio // "-"), (.peak_rss_bytes // 0)] | @tsv' "$1" | awk -F'\t' '
	function number(x) {
		if (x >= 1000) return sprintf("%.0f", x)
		return x >= 100 ? sprintf("%.1f", x) : sprintf("%.2f", x)
	}
	BEGIN {
		line = "%-24s %-18s %10s  %-20s %-14s %5s %8s\n"
		printf line, "bench", "subject", "median", "min-max", "unit", "ratio", "RSS, MB"
	}
	{
		if ($1 != last && last != "") print ""
		printf line, ($1 == last ? "" : $1 ($8 == "higher" ? " >" : " <")),
			$2 ($3 == "ours" ? " *" : ""), number($4), number($5) "-" number($6), $7,
			($10 == "-" ? "-" : sprintf("%.2f", $10)),
			($11 > 0 ? sprintf("%.1f", $11 / 1e6) : "-")
		last = $1
	}
	END { print "\n> higher is better, < lower; ratio: to the best peer, above 1 is ahead; * ours" }'
