#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A cross build for arm64, and its unit tests under qemu-user. The compiler and qemu are installed;
# libraries of arm64 are unpacked into a folder, so that dpkg here stays of one architecture.
# arm64.sh [--build DIR]: ends with 0, 1, or 77: skipped, as they can't be had.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

build=build/arm64
[ "${1:-}" != --build ] || build=$2
mkdir -p "$build"
build=$(readlink -f "$build")
libraries=(libbz2-1.0 libcmocka0 libcmocka-dev libdw1 libdw-dev libelf1 libelf-dev libffi8 libgmp10
	libgnutls30 libhogweed6 libidn2-0 libinih1 libinih-dev libjansson4 libjansson-dev liblzma5
	liblzma-dev libmicrohttpd12 libmicrohttpd-dev libncurses-dev libncursesw6 libnettle8 libp11-kit0
	libprotobuf-c1 libprotobuf-c-dev libtasn1-6 libtinfo6 libunistring2 libuv1 libuv1-dev
	systemtap-sdt-dev zlib1g zlib1g-dev)
tools=(gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)
export HAKMEM_SYSROOT=$build/sysroot

skip() {
	echo "$*"
	exit 77
}

# An apt of its own, of arm64, below the build.
foreign_apt() {
	apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Debug::NoLocking=1 \
		-o APT::Sandbox::User=root -o Dir::State="$build/apt" -o Dir::State::lists="$build/apt/lists" \
		-o Dir::State::status="$build/apt/status" -o Dir::Cache="$build/apt/cache" "$@"
}

# What packages have in /lib is in /usr/lib too, and links that lead from there to /lib lead to it.
merge_lib() {
	local folder=$HAKMEM_SYSROOT/usr/lib/aarch64-linux-gnu link
	[ ! -d "$HAKMEM_SYSROOT/lib" ] || cp -an "$HAKMEM_SYSROOT/lib/." "$HAKMEM_SYSROOT/usr/lib" || return 1
	for link in "$folder"/*.so; do
		[ -e "$link" ] || ln -sf "$(basename "$(readlink "$link")")" "$link" || return 1
	done
}

# Where all of them have been unpacked once, that is enough.
unpack_libraries() {
	[ "$(cat "$HAKMEM_SYSROOT/.complete" 2>/dev/null)" != "${libraries[*]}" ] || return 0
	mkdir -p "$build/apt/lists/partial" "$build/apt/cache/archives/partial" "$build/debs" "$HAKMEM_SYSROOT" &&
		: >"$build/apt/status" && foreign_apt update &&
		(cd "$build/debs" && foreign_apt download "${libraries[@]}") || return 1
	for deb in "$build"/debs/*.deb; do
		dpkg-deb -x "$deb" "$HAKMEM_SYSROOT" || return 1
	done
	merge_lib || return 1
	echo "${libraries[*]}" >"$HAKMEM_SYSROOT/.complete"
}

if ! dpkg-query -W "${tools[@]}" >/dev/null 2>&1; then
	[ "$(id -u)" -eq 0 ] || skip "not root, and not installed: ${tools[*]}"
	DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
		"${tools[@]}" >/dev/null || skip "apt can't install ${tools[*]}"
fi
unpack_libraries || skip "apt has no libraries of arm64"

# What can't be under qemu-user:
#   modules_stepped, scan_stepped  single-step a child, which qemu's ptrace can't
#   daemon_huge   qemu knows nothing of MADV_COLLAPSE and PR_SET_THP_DISABLE
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
	-DCMAKE_TOOLCHAIN_FILE="$PWD/deploy/packages/arm64.cmake" && cmake --build "$build" || exit 1
for library in libhakmem.so libhakmem_malloc.so; do
	readelf -h "$build/lib/$library" | grep AArch64 || exit 1
done
ctest --test-dir "$build" -L unit -E '^(modules_stepped|scan_stepped|daemon_huge)_test' -j2 --no-tests=error >"$build/log" 2>&1
code=$?
grep -vE '^ *(Start )|Passed' "$build/log"
echo "$(grep -c ' Passed ' "$build/log") unit tests pass on arm64"
exit $code
