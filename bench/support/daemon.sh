# SPDX-License-Identifier: MIT
# A daemon of its own for a benchmark, sourced by it: start_daemon and stop_daemon use $build, the
# private folder $directory, and set $daemon and HAKMEM_SOCKET. Both are gone when it ends.
# Its configuration is empty, or what the benchmark has written there before.

# start_daemon [OPTION]...: returns when it answers; else ends the benchmark with 2.
start_daemon() {
	local try
	: >>"$directory/hakmemd.conf"
	export HAKMEM_SOCKET=$directory/hakmemd.sock
	unset HAKMEM_POOL HAKMEM_AUTOSPAWN HAKMEM_LOG HAKMEM_TIMEOUT_MS LD_PRELOAD
	"$build/bin/hakmemd" --foreground --socket "$HAKMEM_SOCKET" --log-level warn \
		--config "$directory/hakmemd.conf" "$@" </dev/null >"$directory/hakmemd.log" 2>&1 &
	daemon=$!
	for ((try = 0; ; try++)); do
		"$build/bin/hakmemctl" --timeout 1000 status >/dev/null 2>&1 && break
		if ! kill -0 "$daemon" 2>/dev/null || [ "$try" -ge 100 ]; then
			echo "hakmemd does not answer: $(cat "$directory/hakmemd.log")" >&2
			exit 2
		fi
		sleep 0.1
	done
}

stop_daemon() {
	if [ -n "$daemon" ]; then
		kill -TERM "$daemon" 2>/dev/null || true
		for _ in $(seq 100); do
			kill -0 "$daemon" 2>/dev/null || break
			sleep 0.1
		done
		kill -KILL "$daemon" 2>/dev/null || true
		wait "$daemon" 2>/dev/null || true
	fi
	daemon=
}

cleanup() {
	stop_daemon
	[ -z "$directory" ] || rm -rf "$directory"
}

clean_up_at_end() {
	trap cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# prepare NAME: $build has bench-NAME, which is to use libhakmem; a folder of its own.
prepare() {
	build=$(realpath "$build")
	[ -x "$build/bin/bench-$1" ] || { echo "$1: $build is not built" >&2 && exit 2; }
	clean_up_at_end
	directory=$(mktemp -d)
	export BENCH_EXPECT=$build/lib/libhakmem.so
}
