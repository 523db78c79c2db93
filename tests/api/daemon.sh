# SPDX-License-Identifier: MIT
# Sourced: a directory, and a daemon in it whose socket HAKMEM_SOCKET names; both go with the script.
directory=$(mktemp -d)
trap 'kill "${daemon:-}" 2>/dev/null || true; wait; rm -rf "$directory"' EXIT

start_daemon() { # BUILD
	export HAKMEM_SOCKET=$directory/d.sock
	unset HAKMEM_POOL HAKMEM_HARDENED
	"$1/bin/hakmemd" --foreground --limit 64M --log-level warn &
	daemon=$!
	for _ in $(seq 1000); do
		[ -S "$HAKMEM_SOCKET" ] && break
		sleep 0.01
	done
}
