#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The packages of a release build: made, looked at by lintian, installed on a machine with a real
# systemd (tests/systemd/machine.sh) that has never seen this tree's programs, used by a program
# that is compiled there, upgraded under it, taken off: nothing is left.
# run.sh [--build DIR]; ends with 0, 1, or 77: skipped, the last line says why.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
source tests/systemd/machine.sh

build=build/release
[ "${1:-}" != --build ] || build=$2
build=$(readlink -f "$build")

refusal=$(machine_refusal)
[ -z "$refusal" ] || { echo "$refusal"; exit 77; }

# Packages and told are in `shared`, which the machine has at the same place.
work=$(mktemp -d) shared=$(mktemp -d) told=/root/told
clean_up() {
	machine_stop
	rm -rf "$work" "$shared"
}
trap clean_up EXIT
source tests/systemd/checks.sh
chmod 755 "$shared"

(cd "$build" && cpack -G DEB -B "$shared/made") >"$work/said" 2>&1
judge $? "cpack makes packages"
mkdir "$shared/first" "$shared/second" && mv "$shared"/made/*.deb "$shared/first"
names='hakmem hakmem-doc libhakmem-dev libhakmem1'
[ "$(for deb in "$shared"/first/*.deb; do dpkg-deb -f "$deb" Package; done | sort | tr '\n' ' ')" = "$names " ]
judge $? "they are $names"
[ "$(dpkg-deb -f "$shared"/first/libhakmem1_*.deb Multi-Arch)" = same ]
judge $? "libraries of several architectures can be there"
# hakmemd --supervise does without systemd; there is no script for other inits.
lintian --allow-root --fail-on error,warning,info --display-info --suppress-tags \
	package-supports-alternative-init-but-no-init.d-script "$shared"/first/*.deb >"$work/said" 2>&1
judge $? "lintian: nothing to be said"

# The same, of a later version.
for deb in "$shared"/first/*.deb; do
	dpkg-deb -R "$deb" "$work/deb" && sed -i -E '/^(Version|Depends):/s/0\.1\.0\>/0.1.0+next/' \
		"$work/deb/DEBIAN/control" && [ ! -f "$work/deb/usr/bin/hakmemd" ] ||
		printf next >>"$work/deb/usr/bin/hakmemd"
	dpkg-deb --root-owner-group -b "$work/deb" "$shared/second" >/dev/null
	rm -rf "$work/deb"
done

# Names with hakmem in them, on the machine: none is left, at the end, that wasn't there.
cat >"$shared/left" <<'LEFT'
find /etc /home /opt /root /srv /usr /var -xdev -path /var/cache/man -prune -o -name '*hakmem*' -print
ls -d /run/hakmem* 2>/dev/null
getent passwd hakmem
getent group hakmem
true
LEFT
# Without a systemd that runs the scripts do what can be done.
cat >"$work/setup" <<SETUP
set -e
rm -f /usr/sbin/policy-rc.d
bash '$shared/left' >/var/before
dpkg -i '$shared'/first/*.deb
getent passwd hakmem
test -x /usr/bin/hakmemd
test -d /run/hakmem
test -L /etc/systemd/system/multi-user.target.wants/hakmemd.service
dpkg --purge $names
bash '$shared/left' | diff /var/before -
SETUP
export MACHINE_SHARED="$PWD $shared"
machine_start "$work/setup" >"$work/said" 2>&1
judge $? "systemd is up, and before it was, packages came and went"
[ $failed -eq 0 ] || exit 1
install=(bash -c "dpkg -i '$shared'/\$0/*.deb")

# By the tutorial's own command; the documents besides.
began=$SECONDS
holds "install" bash -c "cd '$shared/first' && yes | $(grep '^apt install' docs/tutorial.md) && dpkg -i hakmem-doc_*.deb"
took=$((SECONDS - began))
[ $failed -eq 0 ] || exit 1
holds "install: the socket is listened on" systemctl is-active hakmemd.socket
holds "install: the daemon runs" systemctl is-active hakmemd.service
holds "install: and will after the next boot" systemctl is-enabled hakmemd.socket hakmemd.service
says "install: it is the package's" /usr/bin/hakmemd readlink "/proc/$(main_pid)/exe"
says "install: its user is its own" hakmem ps -o user= -p "$(main_pid)"
says "install: what is installed finds its daemon" hakmemd hakmemctl status
holds "install: systemd has nothing to say of the units" bash -c "cd /usr/lib/systemd && {
	systemd-analyze verify system/hakmemd.service system/hakmemd.socket system/hakmem-exporter.service
	systemd-analyze verify --user user/hakmemd.service user/hakmemd.socket
	} 2>&1 | tee /dev/stderr | (! grep -q hakmem)"
for page in hakmemd.8 hakmemctl.1 hakmem-demo.1 hakmemd.conf.5 hakmem-counters.7 libhakmem.3 libhakmem_malloc.7; do
	[ -n "$(machine_run man -w "${page##*.}" "${page%.*}" 2>"$work/said")" ]
	judge $? "install: man finds ${page%.*}"
done
says "install: bash completes hakmemctl" dump-config bash -c '
	source /usr/share/bash-completion/completions/hakmemctl
	COMP_WORDS=(hakmemctl dump) COMP_CWORD=1
	_hakmemctl hakmemctl && echo "${COMPREPLY[@]}"'

says "install: nobody has asked for the exporter" disabled bash -c \
	"! systemctl is-enabled hakmem-exporter.service"
# The machine has a network of its own, whose lo is down: SIOCSIFFLAGS, IFF_UP.
lo_up='import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 1))'
holds "exporter: it is started" bash -c 'python3 -c "$0" &&
	systemctl start hakmem-exporter.service' "$lo_up"
answers='for _ in {1..100}; do (eval "$0") 2>/dev/null | grep -q "^hakmem_up 1" && exit 0; sleep 0.1; done; exit 1'
scrape='exec 3<>/dev/tcp/127.0.0.1/9464 && printf "GET /metrics HTTP/1.0\r\n\r\n" >&3 && cat <&3'
holds "exporter: it answers" bash -c "$answers" "$scrape"
says "exporter: it has the daemon's figures" "hakmem_up 1" bash -c "$scrape"
says "exporter: and may ask for all" "hakmem_pool_live_blocks" bash -c "$scrape"
exporter_user=$(machine_run ps -o user= -p "$(property MainPID hakmem-exporter.service)")
[ -n "$exporter_user" ] && [ "$exporter_user" != root ]
judge $? "exporter: it is not root"
machine_run pkill -KILL -x hakmemctl
holds "exporter: killed, it is started again" bash -c "$answers" "$scrape"

compile='cc -Wall -Werror $0 -o $1 $(pkg-config --cflags --libs hakmem)'
holds "a program compiles" bash -c "$compile" "$PWD/tests/api/minimal.c" /root/minimal
says "its library is the package's" " /lib/x86_64-linux-gnu/libhakmem.so.1" ldd /root/minimal
machine_run chmod 755 /root
holds "there is a member of the group" useradd --system --groups hakmem member
holds "a member runs it" setpriv --reuid=member --regid=member --init-groups /root/minimal
holds "nobody else may" bash -c 'setpriv --reuid=nobody --regid=nogroup --clear-groups \
	hakmemctl status; [ $? = 4 ]'
says "malloc for a program that knows nothing of it" /usr/lib/x86_64-linux-gnu/libhakmem_malloc.so.1. \
	env LD_PRELOAD=libhakmem_malloc.so.1 cat /proc/self/maps
# By a member, with nothing but what is installed; what it says has the time that it took.
holds "the tutorial" setpriv --reuid=member --regid=member --init-groups \
	/usr/bin/python3 -B "$PWD/tests/docs/blocks.py" --installed docs/tutorial.md docs/prefork.md
grep '^ok' "$work/said"
echo "        installing took $took s"

holds "a client compiles" bash -c "$compile -D_GNU_SOURCE -I'$PWD'" "$PWD/tests/systemd/told.c" "$told"
start client && tell client fill 100
judge $? "the client attaches and allocates"
pool=$(heap)
[ -n "$pool" ]
judge $? "the pool has a heap"
machine_run bash -c 'printf "[pool default]\nkeep = 3\n" >>/etc/hakmem/hakmemd.conf'
pid=$(main_pid)
holds "upgrade" "${install[@]}" second
goes_on "upgrade" "$pid"
machine_run cmp /usr/bin/hakmemd "/proc/$(main_pid)/exe" >"$work/said" 2>&1
judge $? "upgrade: to what was installed"
holds "upgrade: the exporter goes on" systemctl is-active hakmem-exporter.service
says "upgrade: the socket stays" active systemctl is-active hakmemd.socket
says "upgrade: what somebody has set stays" "keep = 3" cat /etc/hakmem/hakmemd.conf

pid=$(main_pid)
machine_run systemctl disable hakmemd.socket hakmemd.service 2>/dev/null
holds "the first version again" "${install[@]}" first
goes_on "the first version again" "$pid"
says "upgrade: who has disabled it finds it disabled" disabled bash -c \
	"! systemctl is-enabled hakmemd.service"
machine_run systemctl enable --quiet hakmemd.service 2>/dev/null

holds "remove" dpkg --remove hakmem
says "remove: systemd doesn't know it" not-found systemctl show -P LoadState hakmemd.service
[ "$(machine_run pgrep -x hakmemd | wc -l)" = 0 ]
judge $? "remove: the daemon has ended"
[ "$(machine_run pgrep -x hakmemctl | wc -l)" = 0 ]
judge $? "remove: so has the exporter"
tell client check
judge $? "remove: the client has what it had"
holds "installed once more" "${install[@]}" first
says "installed once more: it runs" active systemctl is-active hakmemd.service
tell client attach && tell client fill 10
judge $? "installed once more: the client can attach"
exec {to[client]}>&-
wait "${job[client]}"
judge $? "the client ends well"

machine_run userdel member
holds "purge" dpkg --purge $names
machine_run rm -f /root/minimal "$told"
holds "purge: nothing is left" bash -c "bash '$shared/left' | diff /var/before - 1>&2"
says "purge: systemd doesn't know it" not-found systemctl show -P LoadState hakmemd.service
says "purge: nothing has failed" "0 loaded units" systemctl list-units --failed
verdict
