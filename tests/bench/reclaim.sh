#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# reclaim.sh BUILD: bench/reclaim.sh tells of refills in calm and during scans, and that the memory
# of the dead came back. It looks at no times.
set -euo pipefail
cd "$(dirname "$0")/../.."
rows=$(bash bench/reclaim.sh --build "$1" --mib 64 --rounds 3)
for row in refill-calm-p50 refill-calm-p99 refill-during-a-scan-p50 refill-during-a-scan-p99 \
	refill-during-a-scan-p100 reclaimed-after-median reclaimed-after-most; do
	grep -qE "^$row [0-9.]*[1-9][0-9.]* (us|ms)$" <<<"$rows" ||
		{ echo "no row $row in: $rows" >&2 && exit 1; }
done
bash bench/reclaim.sh --build "$1" --mib 0 >/dev/null 2>&1 && { echo "0 MiB is no error" >&2 && exit 1; }
exit 0
