#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds and runs all tests. --quick: the release build only; no sanitizers, real programs, models,
# kill points, fuzzing, soak, systemd.
# Ends with "N passed, N failed, N skipped" over stages and test programs.
set -uo pipefail
cd "$(dirname "$0")/.."

quick=0
[ "${1:-}" = --quick ] && quick=1
passed=0 failed=0 skipped=0
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# stage NAME COMMAND...: counts it, shows its output if it fails; 77: skipped, its last line says
# why.
stage() {
	local name=$1 start=$SECONDS code
	shift
	"$@" >"$logs/log" 2>&1
	code=$?
	if [ $code -eq 0 ]; then
		passed=$((passed + 1))
		echo "ok      $name ($((SECONDS - start)) s)"
	elif [ $code -eq 77 ]; then
		skipped=$((skipped + 1))
		echo "skipped $name: $(tail -n 1 "$logs/log")"
	else
		failed=$((failed + 1))
		echo "FAILED  $name ($((SECONDS - start)) s)"
		tail -n 200 "$logs/log"
		return 1
	fi
}

# programs PRESET [CTEST ARGUMENT...]: runs a built preset's tests, counting each program. They wait as
# long as they compute: four at a time are good for two cores.
programs() {
	local preset=$1 start=$SECONDS ok bad left_out
	shift
	ctest --preset "$preset" --no-tests=error -j4 "$@" >"$logs/log" 2>&1
	ok=$(grep -cE ' +Passed +' "$logs/log")
	left_out=$(grep -cE '\*\*\*Skipped +' "$logs/log")
	bad=$(grep -vE '\*\*\*Skipped +' "$logs/log" |
		grep -cE '^ *[0-9]+/[0-9]+ Test .*(\*\*\*|Exception)')
	grep -qE 'No tests were found|Errors while running' "$logs/log" && [ "$bad" -eq 0 ] && bad=1
	passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + left_out))
	echo "tests   $preset: $ok passed, $bad failed, $left_out skipped ($((SECONDS - start)) s)"
	[ "$bad" -eq 0 ] || tail -n 200 "$logs/log"
}

# real_programs BUILD: counts each program that works with our malloc as without.
real_programs() {
	local start=$SECONDS last ok bad left_out
	bash tests/programs/run.sh "$1" >"$logs/log" 2>&1
	last=$(tail -n 1 "$logs/log")
	if ! [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		ok=0 bad=1 left_out=0
	else
		ok=${BASH_REMATCH[1]} bad=${BASH_REMATCH[2]} left_out=${BASH_REMATCH[3]}
	fi
	passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + left_out))
	echo "tests   real programs: $ok passed, $bad failed, $left_out skipped" \
		"($((SECONDS - start)) s)"
	[ "$bad" -eq 0 ] || tail -n 200 "$logs/log"
}

formatted() {
	git ls-files -z --cached --others --exclude-standard '*.c' '*.h' '*.cc' '*.hpp' |
		xargs -0 clang-format --dry-run -Werror
}

build() { cmake --preset "$1" && cmake --build --preset "$1"; }

build_with_clang() {
	cmake -S . -B build/clang -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER=clang &&
		cmake --build build/clang
}

# Another hakmemd of the same layout.
build_other() {
	cmake -S . -B build/other -G Ninja -DCMAKE_BUILD_TYPE=Debug -DHAKMEM_TESTS=OFF &&
		cmake --build build/other --target hakmemd
}

bash deploy/install-deps.sh || exit 1
export ASAN_OPTIONS=detect_leaks=1 TSAN_OPTIONS=halt_on_error=1 UBSAN_OPTIONS=print_stacktrace=1
stage "formatting" formatted
stage "house rules" bash tests/arch/check.sh
stage "house rules, self-test" bash tests/arch/check.sh --self-test
stage "build release, gcc" build release && programs release
if [ $quick -eq 0 ]; then
	real_programs build/release
	stage "models" bash tests/model/run.sh
	stage "models, memory orders" bash tests/model/orders.sh
	stage "kill points" bash tests/crash/run.sh && tail -n 1 "$logs/log"
	stage "kill points of the daemon" bash tests/crash/run-daemon.sh && tail -n 1 "$logs/log"
	stage "kill points, self-test" bash tests/crash/self-test.sh
	stage "fuzzing" bash tests/fuzz/run.sh && tail -n 5 "$logs/log"
	stage "soak" bash tests/stress/soak.sh 5 && tail -n 1 "$logs/log"
	stage "hostile clients" bash tests/stress/hostile.sh 1 && tail -n 1 "$logs/log"
	stage "monitoring, with a real Prometheus" bash tests/monitoring/run.sh
	stage "probes" bash tests/monitoring/probes.sh
	stage "build another hakmemd" build_other
	stage "survive, supervised" bash tests/stress/survive.sh && tail -n 2 "$logs/log"
	stage "survive, and all else, under systemd" bash tests/systemd/run.sh && grep = "$logs/log"
	stage "packages, under systemd" bash tests/packages/run.sh
	stage "packages, the same each time" bash tests/packages/reproducible.sh
	stage "packages, arm64" bash tests/packages/arm64.sh && tail -n 1 "$logs/log"
	stage "build release, clang" build_with_clang
	stage "build asan" build asan && programs asan
	stage "hostile clients, asan" bash tests/stress/hostile.sh 1 --build build/asan &&
		tail -n 1 "$logs/log"
	stage "build tsan" build tsan && programs tsan
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
