#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# picture.sh FILE PICTURE: the ratios of a compare.json to each bench's best peer, as SVG. Ours are
# bars from 1, peers dots; the further up the better.
set -euo pipefail
data=$(mktemp -d)
trap 'rm -rf "$data"' EXIT

# place: the bench's number, and ours side by side around it.
jq -r '[.rows[] | select(.ratio != null)] as $rows
	| (reduce $rows[].bench as $b ([]; if index($b) then . else . + [$b] end)) as $benches
	| $rows[] | .bench as $b | [($benches | index($b)), .bench, .kind, .subject, .ratio] | @tsv' \
	"$1" >"$data/all"
awk -F'\t' -v OFS='\t' -v d="$data" '
	{ print $1, $2 >(d "/names") }
	$4 ~ /-profiled$/ { next }
	$3 == "peer" { print $1, $5 >(d "/peers"); next }
	{ print $1 + ($4 == "malloc" ? -.2 : .2), $5 >(d "/" ($4 == "malloc" ? "malloc" : "shared")) }
	' "$data/all"
touch "$data/peers" "$data/malloc" "$data/shared"
# gnuplot refuses empty files: a point outside of the picture.
for file in peers malloc shared; do
	[ -s "$data/$file" ] || printf -- '-9\t1\n' >"$data/$file"
done
n=$(sort -u "$data/names" | wc -l)

gnuplot <<-END
	set terminal svg size $((420 + 46 * n)),480 dynamic enhanced font "sans-serif,13" background "white"
	set output "$2"
	set datafile separator "\t"
	set title "Times as good as the best peer of the row"
	set logscale y 2
	set xrange [-0.7:$n - 0.3]
	set yrange [1.0/16:16]
	set ytics ("1/16" 1.0/16, "1/8" .125, "1/4" .25, "1/2" .5, "1" 1, "2" 2, "4" 4, "8" 8, "16" 16)
	set xtics rotate by -40 nomirror
	set grid ytics linecolor "#dddddd"
	set bmargin 7
	set key outside top right
	set style fill solid 1 noborder
	set arrow from graph 0, first 1 to graph 1, first 1 nohead linecolor "#444444" linewidth 1.5
	clip(y) = y > 16 ? 16 : y < 1.0/16 ? 1.0/16 : y
	plot "$data/names" using 1:(1e-9):xtic(2) notitle, \
		"$data/malloc" using 1:(1):(\$1-.18):(\$1+.18):(1):(clip(\$2)) with boxxyerror \
			linecolor "#d95f02" title "hakmem, malloc", \
		"$data/shared" using 1:(1):(\$1-.18):(\$1+.18):(1):(clip(\$2)) with boxxyerror \
			linecolor "#1b9e77" title "hakmem, shared", \
		"$data/peers" using 1:(clip(\$2)) with points pointtype 7 pointsize .6 \
			linecolor "#666666" title "peers"
END
