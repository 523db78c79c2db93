# SPDX-License-Identifier: MIT
# To be sourced: `work` is a folder of the test's own, and goes with it; judge OK WHAT says what held,
# and shows $work/said if it didn't; verdict ends.
failed=0 work=$(mktemp -d)
: >"$work/said"
trap 'rm -rf "$work"' EXIT

judge() {
	if [ "$1" -eq 0 ]; then
		echo "ok      $2"
	else
		failed=$((failed + 1))
		echo "FAILED  $2"
		sed 's/^/        /' "$work/said"
	fi
}

verdict() {
	echo "$failed failed"
	exit $((failed > 0))
}
