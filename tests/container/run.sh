#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Clients in containers: mount, pid, ipc, net and uts namespaces of their own, a root that has
# the system's programs, a /dev/shm of 1 MiB, and of hakmem the directory of the socket alone.
# They attach, allocate, die and are reclaimed. run.sh [BUILD]; prints "ok" and "not ok" lines, ends
# with 0, 1, or 77: skipped, the last line says why.
set -uo pipefail
self=$(readlink -f "$0")
cd "$(dirname "$self")/../.."

mebibytes=96 # far more than /dev/shm has

# What a container runtime does, by hand; becomes the client. Called by ourselves, in the new namespaces.
enter_container() {
	local work=$1 build=$2 root=$1/root
	mount --make-rprivate /
	mkdir -p "$root"
	mount -t tmpfs tmpfs "$root"
	mkdir -p "$root"/{usr,proc,dev/shm,run/hakmem,opt/hakmem,old}
	for directory in bin lib lib64 sbin; do
		ln -s "usr/$directory" "$root/$directory"
	done
	mount --bind -o ro /usr "$root/usr"
	mount --bind -o ro "$build" "$root/opt/hakmem"
	mount --bind "$work/socket" "$root/run/hakmem"
	mount -t tmpfs -o size=1M tmpfs "$root/dev/shm"
	mount -t proc proc "$root/proc"
	cd "$root" || exit 1
	pivot_root . old && umount -l /old && exec env -i PATH=/usr/bin \
		LD_LIBRARY_PATH=/opt/hakmem/lib HAKMEM_SOCKET=/run/hakmem/hakmemd.sock /opt/hakmem/bin/container-client "$mebibytes"
	exit 1
}
[ "${1:-}" != --container ] || enter_container "$2" "$3"

build=$(readlink -f "${1:-build/release}")
failed=0 daemon='' outer=''
work=$(mktemp -d)

cleanup() {
	[ -z "$outer" ] || kill -KILL "$outer" 2>/dev/null
	[ -z "$daemon" ] || kill -KILL "$daemon" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT

skip() {
	echo "skipped: $*"
	exit 77
}
[ "$(id -u)" = 0 ] || skip "making namespaces needs root"
unshare --mount --pid --fork --ipc --net --uts --mount-proc true 2>/dev/null ||
	skip "namespaces are not permitted here"

# ok CLAIM COMMAND...
ok() {
	local claim=$1
	shift
	if "$@"; then
		echo "ok - $claim"
	else
		echo "not ok - $claim"
		failed=1
	fi
}

# await COMMAND...: until it is true, a minute at most.
await() {
	for _ in $(seq 600); do
		"$@" && return 0
		sleep 0.1
	done
	return 1
}

ctl() { "$build/bin/hakmemctl" --socket "$work/socket/hakmemd.sock" "$@"; }
pool() { ctl --json status 2>/dev/null | jq -r ".pools[0].$1"; }
answers() { ctl status >/dev/null 2>&1; }
is() { [ "$(pool "$1")" = "$2" ]; }
is_clean() { ctl check >/dev/null; }
is_empty() { is clients 0 && is granted_superslabs 0; }

start_client() {
	unshare --mount --pid --fork --kill-child --ipc --net --uts \
		bash "$self" --container "$work" "$build" >"$work/says" 2>"$work/errors" &
	outer=$!
	await says_something
}

says_something() { [ -s "$work/says" ] || ! kill -0 "$outer" 2>/dev/null; }

says_held() {
	grep -q "^held $((mebibytes << 20)) pid 1$" "$work/says" && return 0
	cat "$work/says" "$work/errors"
	return 1
}

# $1: where the daemon is, in words; the others: how it is started.
scenario() {
	local where=$1
	shift
	mkdir -p "$work/socket"
	"$@" "$build/bin/hakmemd" --foreground --socket "$work/socket/hakmemd.sock" \
		--limit 512M --capacity 1G --log-level warn &
	daemon=$!
	ok "$where: the daemon answers" await answers
	start_client
	ok "$where: pid 1 of a container holds $mebibytes MiB, with 1 MiB of /dev/shm" says_held
	ok "$where: it is the one client" await is clients 1
	kill -KILL "$outer" 2>/dev/null
	wait "$outer" 2>/dev/null
	outer=
	ok "$where: when it is killed, all of it comes back" await is_empty
	ok "$where: the audit is clean" is_clean
	pkill -TERM -f "$work/socket/hakmemd.sock"
	wait "$daemon" 2>/dev/null
	daemon=
	rm -rf "$work/socket"
}

scenario "outside" env
# Then the client's pid is 0 for it.
scenario "in a container of its own" unshare --pid --fork --kill-child --mount-proc
[ $failed -eq 0 ]
