# SPDX-License-Identifier: MIT
# To be sourced by the scripts of this folder, which have made `work`, a folder, and set `build`: starts a
# daemon, clients and others, ends them all at the end, and waits for what they come to.
jobs_started=()
declare -A to job
clean_up() {
	kill -KILL "${jobs_started[@]}" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$work"
}
trap clean_up EXIT
source tests/support/judge.sh
ctl=$build/bin/hakmemctl
export HAKMEM_SOCKET=$work/hakmemd.sock

# until_true COMMAND...: within a minute; what it says is in `said`.
until_true() {
	local end=$((SECONDS + 60))
	while [ $SECONDS -lt $end ]; do
		"$@" >"$work/said" 2>&1 && return 0
		sleep 0.1
	done
	return 1
}

# start NAME PROGRAM...: its pid is job[NAME]; what it says is in NAME.out and NAME.err.
start() {
	local name=$1
	shift
	"$@" >"$work/$name.out" 2>"$work/$name.err" </dev/null &
	job[$name]=$!
	jobs_started+=($!)
}

start_daemon() {
	start daemon "$build/bin/hakmemd" --foreground --socket "$HAKMEM_SOCKET" --capacity 1G --limit 32M
	until_true "$ctl" ping
}

# start_client NAME: client.c; it is attached, or 1.
start_client() {
	mkfifo "$work/$1.in"
	"$build/bin/monitored" <"$work/$1.in" >"$work/$1.out" 2>"$work/$1.err" &
	job[$1]=$!
	jobs_started+=($!)
	exec {to[$1]}>"$work/$1.in"
	until_true grep -qx attached "$work/$1.out"
}

# tell NAME LINE ANSWER: tells a client, and waits until it has said that.
tell() {
	echo "$2" >&"${to[$1]}"
	until_true grep -q "^$3" "$work/$1.out"
}
