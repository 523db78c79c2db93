#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs the Debian packages that building, testing and benchmarking need; with --build: those
# that building needs, and nothing that is a service or a peer.
# Does nothing, and needs no network, where all are installed.
set -euo pipefail

packages=(build-essential cmake libcmocka-dev libdw-dev libinih-dev libjansson-dev
	libmicrohttpd-dev libncurses-dev libprotobuf-c-dev libuv1-dev ninja-build pkg-config
	protobuf-c-compiler scdoc systemtap-sdt-dev)
for_tests=(abigail-tools bpftrace clang clang-format doxygen git gnuplot-nox jq libapr1-dev
	libaprutil1-dev libboost-dev libclang-rt-14-dev libjemalloc2 libmimalloc2.0 libmm-dev
	libpython3.11-testsuite libtcmalloc-minimal4 lintian man-db mandoc perl procps prometheus
	python3 python3-jsonschema python3-yaml redis-server redis-tools spin sqlite3 systemd
	util-linux valgrind)
case ${1:-} in
'') packages+=("${for_tests[@]}") ;;
--build) ;;
*) echo "install-deps: unknown argument: $1; there is --build" >&2 && exit 2 ;;
esac

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
