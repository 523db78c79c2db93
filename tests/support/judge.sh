# SPDX-License-Identifier: MIT
# To be sourced by a test that has made `work`, a folder: judge OK WHAT says what held (OK is 0), and
# shows the file `said` there if it didn't; verdict ends.
failed=0
: >"$work/said"

judge() {
	if [ "$1" -eq 0 ]; then
		echo "ok      $2"
	else
		failed=$((failed + 1))
		echo "not ok  $2"
		sed 's/^/        /' "$work/said"
	fi
}

verdict() {
	echo "$failed failed"
	exit $((failed > 0))
}
