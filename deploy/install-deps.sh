#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs every Debian package that building, testing and benchmarking need.
# Does nothing, and needs no network, where all are installed.
set -euo pipefail

packages=(abigail-tools bpftrace build-essential clang clang-format cmake doxygen git gnuplot-nox
	jq libapr1-dev libaprutil1-dev libboost-dev libclang-rt-14-dev libcmocka-dev libdw-dev
	libinih-dev libjansson-dev libjemalloc2 libmicrohttpd-dev libmimalloc2.0 libmm-dev
	libncurses-dev libprotobuf-c-dev libpython3.11-testsuite libtcmalloc-minimal4 libuv1-dev
	lintian man-db mandoc ninja-build perl pkg-config procps prometheus protobuf-c-compiler
	python3 python3-jsonschema python3-yaml redis-server redis-tools scdoc spin sqlite3
	systemd systemtap-sdt-dev util-linux valgrind)

missing=()
for package in "${packages[@]}"; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "install-deps: run as root, or install by hand: ${missing[*]}" >&2
	exit 1
fi
echo "install-deps: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
# prometheus is for a test, which starts one of its own: no service of this machine.
mask=/etc/systemd/system/prometheus.service
if [[ " ${missing[*]} " == *' prometheus '* ]] && [ ! -e $mask ] && [ ! -L $mask ]; then
	mkdir -p "${mask%/*}" && ln -s /dev/null $mask
	trap 'rm -f $mask; deb-systemd-helper disable prometheus.service >/dev/null 2>&1 || true' EXIT
fi
apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
