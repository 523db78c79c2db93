# SPDX-License-Identifier: MIT
# What tests on a machine (machine.sh) judge by. To be sourced by one that sets
#   work  a folder; its file `said` is shown where something is wrong
#   told  the program of told.c, for clients that are told what to do
# and ends by verdict.
source tests/support/judge.sh

# holds WHAT COMMAND...: it ends with 0, on the machine.
holds() {
	local what=$1
	shift
	machine_run "$@" >"$work/said" 2>&1
	judge $? "$what"
}

# says WHAT TEXT COMMAND...: its output has TEXT in it.
says() {
	local what=$1 text=$2
	shift 2
	machine_run "$@" >"$work/said" 2>&1
	grep -qF -- "$text" "$work/said"
	judge $? "$what"
}

property() { machine_run systemctl show "${2:-hakmemd.service}" -P "$1"; }
status() { machine_run hakmemctl status --json | jq -r "$1"; }
main_pid() { property MainPID; }

# another_than PID: waits until a daemon answers that has another pid.
another_than() {
	for _ in $(seq 200); do
		[ "$(status .pid 2>/dev/null)" = "$1" ] || [ "$(property ActiveState)" != active ] ||
			return 0
		sleep 0.05
	done
	return 1
}

# start NAME: a client that is told what to do, see told.c. Is it attached?
declare -A to from job
start() {
	local fd
	mkfifo "$work/$1.to" "$work/$1.from"
	machine_run setpriv --reuid=member --regid=member --init-groups "$told" \
		<"$work/$1.to" >"$work/$1.from" 2>>"$work/log" &
	job[$1]=$!
	exec {fd}>"$work/$1.to" && to[$1]=$fd
	exec {fd}<"$work/$1.from" && from[$1]=$fd
	hear "$1"
}

# hear NAME: its answer, in `answer`.
hear() {
	IFS= read -r -t 60 -u "${from[$1]}" answer || answer='no answer'
	echo "$answer" >"$work/said"
	[ "$answer" = ok ]
}

tell() { # NAME WORD...
	echo "${*:2}" >&"${to[$1]}"
	hear "$1"
}

# heap [PID]: the inode of the heap that the daemon has.
heap() {
	machine_run bash -c 'for fd in /proc/$0/fd/*; do
		[[ $(readlink "$fd") != *memfd:hakmem-heap* ]] || stat -Lc %i "$fd"
	done' "${1:-$(main_pid)}" | sort -u
}

# goes_on WHAT PID: after it, another daemon serves the same pool, and the client is well. `pool` is the
# heap of that pool.
pool=
goes_on() {
	another_than "$2"
	judge $? "$1: the next daemon serves"
	heap >"$work/said"
	[ "$(cat "$work/said")" = "$pool" ]
	judge $? "$1: it is the same pool"
	tell client fill 40 && tell client check
	judge $? "$1: its client works on, and grows"
	holds "$1: audit" hakmemctl check
}
