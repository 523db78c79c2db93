#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# hakmemd as deploy/install.sh installs it, on a machine with a real systemd (machine.sh): started,
# killed, hung, reloaded, upgraded, stopped, and taken off, under clients.
# run.sh [--build DIR] [--other DIR] [--kills N] [--upgrades N]: DIR: a release build; another build, that is
# upgraded to and from; how often, under eight clients that work (tests/stress/survive).
# Prints "ok" and "not ok" lines; ends with 0, 1, or 77: skipped, the last line says why.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
source tests/systemd/machine.sh

build=build/release other=build/other kills=50 upgrades=6
while [ $# -gt 0 ]; do
	case $1 in
	--build) build=$2 && shift ;;
	--other) other=$2 && shift ;;
	--kills) kills=$2 && shift ;;
	--upgrades) upgrades=$2 && shift ;;
	*) echo "run.sh: unknown argument $1" >&2 && exit 2 ;;
	esac
	shift
done
build=$(readlink -f "$build") other=$(readlink -f "$other")

refusal=$(machine_refusal)
[ -z "$refusal" ] || { echo "$refusal"; exit 77; }

work=$(mktemp -d) told=$build/bin/told
clean_up() {
	machine_stop
	rm -rf "$work"
}
trap clean_up EXIT
source tests/systemd/checks.sh

cat >"$work/setup" <<SETUP
set -e
cd '$PWD'
bash deploy/install.sh --built '$build' --no-start
useradd --system --groups hakmem member
useradd --system stranger
mkdir -p /etc/systemd/system/hakmemd.service.d
# Sooner than anybody would want it.
printf '[Service]\nWatchdogSec=1s\n' >/etc/systemd/system/hakmemd.service.d/watchdog.conf
SETUP
export MACHINE_SHARED="$PWD $build $other"
machine_start "$work/setup" >"$work/said" 2>&1
judge $? "systemd is up"
[ $failed -eq 0 ] || exit 1

units=/usr/local/lib/systemd
holds "units: nothing to be said of them" bash -c "
	systemd-analyze verify $units/system/{hakmemd.service,hakmemd.socket,hakmem-exporter.service} 2>&1 |
		tee /dev/stderr | (! grep -q hakmem)"
holds "units: nothing to be said of the user's" bash -c "
	systemd-analyze verify --user $units/user/hakmemd.service $units/user/hakmemd.socket 2>&1 |
		tee /dev/stderr | (! grep -q hakmem)"
holds "units: exposure 1.0 at most" \
	systemd-analyze security --offline=true --threshold=10 $units/system/hakmemd.service
holds "units: of the exporter's, which has a network, 1.2" \
	systemd-analyze security --offline=true --threshold=12 $units/system/hakmem-exporter.service

holds "socket: starts" systemctl enable --now hakmemd.socket
[ "$(property ActiveState)" = inactive ]
judge $? "socket: nothing runs before somebody connects"
holds "socket: its first peer starts the daemon" hakmemctl status
says "socket: for the group hakmem" "root hakmem 660" stat -c '%U %G %a' /run/hakmem/hakmemd.sock
says "daemon: a user of its own" hakmem ps -o user= -p "$(main_pid)"
says "daemon: no capabilities" "CapEff:	0000000000000000" grep CapEff "/proc/$(main_pid)/status"
demo="hakmem-demo --workers 2 --verify /usr/share/doc/systemd"
holds "a member of the group works" setpriv --reuid=member --regid=member --init-groups $demo
says "a stranger is refused, and told" "ermission" bash -c \
	"! setpriv --reuid=stranger --regid=stranger --init-groups $demo 2>&1"
# exchange FILE: as a package does it.
exchange() { machine_run bash -c "cp '$1' /usr/local/bin/.new && mv /usr/local/bin/.new /usr/local/bin/hakmemd"; }
running() { machine_run sha256sum "/proc/$(main_pid)/exe" | cut -d' ' -f1; }

cat >"$work/upgrade" <<UPGRADE
set -e
cmp /usr/local/bin/hakmemd "/proc/\$(systemctl show -P MainPID hakmemd)/exe"
next='$build'
! cmp -s '$build/bin/hakmemd' /usr/local/bin/hakmemd || next='$other'
cp "\$next/bin/hakmemd" /usr/local/bin/.new
mv /usr/local/bin/.new /usr/local/bin/hakmemd
systemctl restart hakmemd.service
UPGRADE
machine_run tee /root/upgrade <"$work/upgrade" >/dev/null
machine_run env HAKMEM_SOCKET=/run/hakmem/hakmemd.sock "$build/bin/survive" --kills "$kills" \
	--upgrades "$upgrades" --upgrade "bash /root/upgrade" >"$work/said" 2>&1
judge $? "eight clients outlive daemons: $(tail -n 1 "$work/said")"
sed 's/^/        /' "$work/said"
exchange "$build/bin/hakmemd"
holds "the build that is tested" systemctl restart hakmemd.service

start client && tell client fill 100
judge $? "a client attaches and allocates"
pool=$(heap)
[ -n "$pool" ]
judge $? "the pool has a heap"
[ "$(property NFileDescriptorStore)" = 4 ]
judge $? "systemd keeps registry, heap, and two of the client"

printf '[pool default]\nlimit = 900M\n' >"$work/conf"
machine_run tee /etc/hakmem/hakmemd.conf <"$work/conf" >/dev/null
pid=$(main_pid)
holds "reload" systemctl reload hakmemd.service
says "reload: the limit is another one" 943718400 hakmemctl status --json
[ "$(main_pid)" = "$pid" ]
judge $? "reload: by the same daemon"

machine_run kill -KILL "$pid"
goes_on "kill -9" "$pid"

pid=$(main_pid)
machine_run kill -STOP "$pid"
goes_on "watchdog, of a daemon that hangs" "$pid"
says "watchdog: the journal has it" "Watchdog timeout" journalctl -u hakmemd --no-pager

pid=$(main_pid)
holds "restart" systemctl restart hakmemd.service
goes_on "restart" "$pid"

holds "systemd is re-executed" systemctl daemon-reexec
pid=$(main_pid)
machine_run kill -KILL "$pid"
goes_on "kill -9, after systemd was re-executed" "$pid"

for to in "$other" "$build"; do
	pid=$(main_pid)
	exchange "$to/bin/hakmemd"
	holds "upgrade" systemctl restart hakmemd.service
	goes_on "upgrade" "$pid"
	[ "$(running)" = "$(sha256sum <"$to/bin/hakmemd" | cut -d' ' -f1)" ]
	judge $? "upgrade: to what was installed"
done

start doomed && tell doomed fill 100
judge $? "another client attaches and allocates"
disown "${job[doomed]}" # nobody waits for it
tell doomed pid
doomed=$answer pid=$(main_pid)
machine_run kill -KILL "$pid" "$doomed"
goes_on "killed together with a client" "$pid"
for _ in $(seq 100); do
	[ "$(status .pools[0].clients)" != 1 ] || break
	sleep 0.1
done
[ "$(status .pools[0].clients)" = 1 ]
judge $? "a death that no daemon saw is noticed"

pid=$(main_pid)
exchange /bin/false
machine_run kill -KILL "$pid"
sleep 3
tried=$(property NRestarts)
echo "restarts: $tried" >"$work/said"
[ "$tried" -gt 2 ] && [ "$(property ActiveState)" != failed ] && [ "$(property ActiveState hakmemd.socket)" = active ] &&
	[ "$(property NFileDescriptorStore)" = 4 ]
judge $? "a daemon that can't start: systemd goes on trying, and keeps the pool"
tell client check
judge $? "a daemon that can't start: its client has what it has"
says "a daemon that can't start: what it counted can be read" "figures of" hakmemctl --timeout 300 stats attached
exchange "$build/bin/hakmemd"
goes_on "a daemon that can start again" "$pid"

holds "stop" systemctl stop hakmemd.service
[ "$(property NFileDescriptorStore)" = 0 ]
judge $? "stop: systemd has let go of the pool"
for mib in $(seq 200); do
	tell client fill 1 || break
done
[ "$answer" = ESTALE ] && tell client check
judge $? "stop: ESTALE at the next refill, and what it has stays its own"
[ "$(status .pools[0].live_blocks)" = 0 ]
judge $? "stop: the next pool is another one, which it isn't in"
tell client attach && tell client fill 10 && tell client check
judge $? "stop: it can attach to that"
[ "$(heap)" != "$pool" ]
judge $? "stop: that is another heap"
pid=$(main_pid) pool=$(heap)
machine_run kill -KILL "$pid"
goes_on "kill -9 of the daemon of the next pool" "$pid"

exec {to[client]}>&-
wait "${job[client]}"
judge $? "the client ends well"
holds "at the end the pool is clean" hakmemctl check
# A user's own, by the user's own systemd, which logind would have started.
machine_run bash -c 'uid=$(id -u stranger) && install -d -o stranger -m 700 "/run/user/$uid" &&
	systemd-run --quiet --unit=stranger -p User=stranger -p Delegate=yes -p Type=notify \
		-p Environment=XDG_RUNTIME_DIR="/run/user/$uid" /lib/systemd/systemd --user' \
	>"$work/said" 2>&1
judge $? "user: systemd of a user is up"
as_user() {
	machine_run setpriv --reuid=stranger --regid=stranger --init-groups env \
		XDG_RUNTIME_DIR="/run/user/$(machine_run id -u stranger)" "$@"
}
as_user systemctl --user start hakmemd.socket >"$work/said" 2>&1
judge $? "user: the socket starts"
as_user $demo >"$work/said" 2>&1
judge $? "user: the demo finds the user's daemon, which systemd starts for it"
pid=$(as_user systemctl --user show -P MainPID hakmemd)
pool=$(heap "$pid")
machine_run kill -KILL "$pid"
for _ in $(seq 100); do
	next=$(as_user hakmemctl status --json 2>"$work/said" | jq .pid)
	[ "${next:-$pid}" = "$pid" ] || break
	sleep 0.1
done
[ -n "$pool" ] && [ "$next" != "$pid" ] && [ "$(heap "$next")" = "$pool" ]
judge $? "user: kill -9, and another serves the same pool"

machine_run systemctl stop stranger.service

says "uninstall" removed bash -c "cd '$PWD' && bash deploy/install.sh --uninstall --built '$build'"
holds "uninstall: nothing is left but settings" bash -c '
	! find /usr/local /etc/systemd /run/hakmem -name "*hakmem*" 2>/dev/null | grep -v service.d | grep .'
says "uninstall: systemd doesn't know it" "not-found" systemctl show -P LoadState hakmemd.service

verdict
