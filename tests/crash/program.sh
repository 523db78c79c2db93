# SPDX-License-Identifier: MIT
# What run.sh and run-daemon.sh have in common, sourced by them.

# run_program NAME [ARGUMENT]...: becomes that program of the build tree (--build DIR); or ends with 77,
# skipped, or with 2.
run_program() {
	local program=$1 build=build/release arguments=()
	shift
	while [ $# -gt 0 ]; do
		case $1 in
		--build) build=$2 && shift ;;
		*) arguments+=("$1") ;;
		esac
		shift
	done
	if [ "$(uname -m)" != x86_64 ]; then
		echo "skipped: it steps x86-64, not $(uname -m)"
		exit 77
	fi
	if [ ! -x "$build/bin/$program" ]; then
		echo "no $build/bin/$program: build first"
		exit 2
	fi
	# They die by hundreds a second: no core files.
	ulimit -c 0
	exec "$build/bin/$program" "${arguments[@]}" </dev/null
}
