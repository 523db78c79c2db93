#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# flood.sh BUILD: bench/flood.sh tells of each crowd what it costs. It looks at no times.
set -euo pipefail
cd "$(dirname "$0")/../.."
rows=$(bash bench/flood.sh --build "$1" --rounds 1 --ms 50)
for what in pair refill-p50 refill-p99; do
	for kind in calm busy silent asking sending garbage; do
		grep -qE "^$what-$kind [0-9.]*[1-9][0-9.]* (ns|us)$" <<<"$rows" ||
			{ echo "no row $what-$kind in: $rows" >&2 && exit 1; }
	done
done
bash bench/flood.sh --build "$1" --rounds 0 >/dev/null 2>&1 && { echo "no rounds are no error" >&2 && exit 1; }
exit 0
