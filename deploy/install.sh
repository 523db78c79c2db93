#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs hakmem on this machine: builds it, copies it below a prefix, makes the daemon's user,
# and, where systemd runs, enables and starts hakmemd. An installed daemon is upgraded:
# it is restarted, its pool and clients stay.
#   deploy/install.sh [--prefix DIR] [--built DIR] [--no-start]
#   deploy/install.sh --uninstall [--built DIR]
# --prefix: default /usr/local. --built: a release build that is there already; nothing is built.
# --uninstall: stops the daemon, which ends its pool, and removes what was copied, but for
# /etc/hakmem.
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=/usr/local built= starts=1 uninstalls=0

fail() {
	echo "install: $*" >&2
	exit 1
}

usage() { fail "unknown argument: $1; see the head of deploy/install.sh"; }

while [ $# -gt 0 ]; do
	case $1 in
	--prefix) prefix=${2:?--prefix needs a folder} && shift ;;
	--built) built=${2:?--built needs a folder} && shift ;;
	--no-start) starts=0 ;;
	--uninstall) uninstalls=1 ;;
	*) usage "$1" ;;
	esac
	shift
done
[ "$(id -u)" -eq 0 ] || fail "run as root"
has_systemd() { [ -d /run/systemd/system ]; }

if [ $uninstalls -eq 1 ]; then
	manifest=${built:-build/release}/install_manifest.txt
	[ -f "$manifest" ] || fail "$manifest isn't there: it lists what was installed"
	! has_systemd || systemctl disable --now hakmem-exporter.service hakmemd.socket hakmemd.service || true
	grep -v '^/etc/' "$manifest" | xargs -d '\n' rm -f
	grep -v '^/etc/' "$manifest" | xargs -d '\n' dirname | grep -E '/hakmem(/|$)' | sort -ru |
		xargs -r -d '\n' rmdir --ignore-fail-on-non-empty
	rm -rf /run/hakmem
	! has_systemd || systemctl daemon-reload
	ldconfig
	echo "install: removed; /etc/hakmem and the user hakmem are left"
	exit 0
fi

if [ -z "$built" ]; then
	bash deploy/install-deps.sh --build
	cmake --preset release >/dev/null
	cmake --build --preset release
	built=build/release
fi
cmake --install "$built" --prefix "$prefix" >/dev/null
# Whatever the prefix, this is where hakmemd looks.
[ -e /etc/hakmem/hakmemd.conf ] || install -D -m 644 deploy/hakmemd.conf /etc/hakmem/hakmemd.conf
ldconfig
if command -v systemd-sysusers >/dev/null; then
	systemd-sysusers hakmem.conf
	systemd-tmpfiles --create hakmem.conf
fi
if [ $starts -eq 0 ] || ! has_systemd; then
	echo "install: installed below $prefix; no systemd is to start it here:" \
		"hakmemd --supervise does without"
	exit 0
fi
systemctl daemon-reload
if systemctl --quiet is-active hakmemd.service; then
	systemctl restart hakmemd.service
	systemctl try-restart hakmem-exporter.service
else
	systemctl enable --now --quiet hakmemd.service
fi
"$prefix/bin/hakmemctl" status
