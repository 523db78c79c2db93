#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The USDT probes: the programs have those that docs/observe.md lists, with as many arguments, and bpftrace sees
# each of them fire. probes.sh [--build DIR]; ends with 0, 1, or 77: what could be looked at is well, bpftrace
# can't be used here, the last line says why.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

build=build/release
[ "${1:-}" != --build ] || build=$2
build=$(readlink -f "$build")
work=$(mktemp -d)
source tests/monitoring/common.sh
daemon=$build/bin/hakmemd library=$build/lib/libhakmem.so.1

# Lines of "PROVIDER:NAME ARGUMENTS", the latter a number.
listed() {
	sed -nE 's/^\| `(hakmemd|libhakmem):([a-z_]+)` \| ([^|]*) \|.*/\1:\2 \3/p' docs/observe.md |
		awk '{ print $1, NF - 1 }' | sort
}
noted() {
	readelf -n "$1" | awk '/Provider:/ { p = $2 } /Name:/ { name = p ":" $2 }
		/Arguments:/ { print name, NF - 1 }' | sort -u
}

listed >"$work/listed"
[ "$(wc -l <"$work/listed")" -ge 7 ]
judge $? "docs/observe.md lists probes: $(cut -d' ' -f1 "$work/listed" | tr '\n' ' ')"
{ noted "$daemon"; noted "$library"; } | sort | diff "$work/listed" - >"$work/said"
judge $? "readelf finds these, and no others, each with as many arguments"
readelf -d "$library" | grep NEEDED | grep -vE 'libc\.so|libprotobuf-c|ld-linux' >"$work/said"
[ $? -eq 1 ]
judge $? "libhakmem needs no library for it"
[ $failed -eq 0 ] || verdict

# What bpftrace can't do here.
refusal() {
	[ "$(id -u)" -eq 0 ] || { echo "bpftrace needs root"; return; }
	command -v bpftrace >/dev/null || { echo "bpftrace is not installed"; return; }
	unshare --mount mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null ||
		{ echo "no tracefs can be mounted"; return; }
	unshare --mount sh -c 'mount -t tracefs tracefs /sys/kernel/tracing &&
		exec timeout 30 bpftrace -e "uprobe:/bin/true:_start { } BEGIN { exit(); }"' >"$work/said" 2>&1 ||
		echo "bpftrace can't attach: $(tail -n 1 "$work/said")"
}
why=$(refusal)
[ -z "$why" ] || { echo "$why"; exit 77; }

# Each says its name, and its numbers; those of the daemon begin with the pool's.
while read -r probe n; do
	path=$daemon first=1
	[ "${probe%%:*}" = hakmemd ] || path=$library first=0
	format=${probe#*:} values=
	[ $first -eq 0 ] || format+=' %s' values=', str(arg0)'
	for ((i = first; i < n; i++)); do
		format+=' %d' values+=", arg$i"
	done
	printf 'usdt:%s:%s { printf("%s\\n"%s); }\n' "$path" "$probe" "$format" "$values"
done <"$work/listed" >"$work/trace.bt"
start bpftrace unshare --mount sh -c 'mount -t tracefs tracefs /sys/kernel/tracing &&
	exec bpftrace -B line "$0"' "$work/trace.bt"
until_true grep -q '^Attaching .* probes' "$work/bpftrace.out" # more than names: one has two places
judge $? "bpftrace knows them"
start_daemon
judge $? "a daemon starts"

seen() { grep -E "^$1\$" "$work/bpftrace.out"; }
# It attaches some time after it says so: a client that comes and goes shows when it has.
n=0
is_attached() {
	start_client "first$((++n))" && tell "first$n" ref 'ref ' && echo leave >&"${to[first$n]}" &&
		wait "${job[first$n]}" && seen 'grant .*' && seen 'refill_wait .*' && seen 'collect .*'
}
until_true is_attached
judge $? "bpftrace sees a client come and go"
[ $failed -eq 0 ] || verdict

start_client giver && tell giver ref 'ref ' && start_client taker &&
	tell taker "take $(sed -n 's/^ref //p' "$work/giver.out")" taken
judge $? "a client takes another's block"
giver=${job[giver]} taker=${job[taker]}
until_true seen "grant default [0-9]+ $giver [0-9]+ 1"
judge $? "grant: to whom, and how much"
kill -KILL $giver
until_true seen "death default [0-9]+ $giver"
judge $? "death: whose"
until_true seen "orphan default [0-9]+ 1"
judge $? "orphan"
tell taker fill full
judge $? "the other one fills the pool"
until_true seen "adopt default [0-9]+ $taker $(sed -n 's/^orphan default \([0-9]*\) 1$/\1/p' "$work/bpftrace.out" | tail -n 1) 1"
judge $? "adopt: by whom, and of which"
until_true seen "limit default [0-9]+ $taker [0-9]+ 3"
judge $? "limit: whose, for want of memory"
until_true seen 'refill_wait [0-9]+ [0-9]+'
judge $? "refill_wait"
echo leave >&"${to[taker]}"
wait $taker
judge $? "it leaves"
verdict
