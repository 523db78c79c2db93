#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Two builds of the same files, in different folders, with other umasks, time zones and locales, give the same
# packages, byte for byte.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source tests/support/judge.sh

# build FOLDER DATE: a copy of the tree there, of files of that date, built and packed.
build() {
	mkdir -p "$1/tree"
	git ls-files -z --cached --others --exclude-standard |
		while IFS= read -rd '' file; do [ ! -f "$file" ] || printf '%s\0' "$file"; done |
		xargs -0 cp --parents -t "$1/tree" &&
		find "$1/tree" -exec touch -d "$2" {} + &&
		cmake -S "$1/tree" -B "$1/out" -G Ninja -DCMAKE_BUILD_TYPE=Release -DHAKMEM_TESTS=OFF &&
		cmake --build "$1/out" --target hakmem hakmem_static hakmem_malloc hakmemd \
			hakmemctl hakmem-demo man reference &&
		(cd "$1/out" && cpack -G DEB -B "$1/packages")
}

(umask 022 && export TZ=UTC LC_ALL=C && build "$work/a" yesterday) >"$work/said" 2>&1
judge $? "a build"
(umask 077 && export TZ=Asia/Tokyo LC_ALL=C.UTF-8 && build "$work/another/folder" 2020-02-02) >"$work/said" 2>&1
judge $? "another build, somewhere else"
for deb in "$work"/a/packages/*.deb; do
	other=$work/another/folder/packages/${deb##*/}
	cmp "$deb" "$other" >"$work/said" 2>&1
	same=$?
	[ $same -eq 0 ] || for one in a another; do
		of=$deb
		[ $one = a ] || of=$other
		dpkg-deb -R "$of" "$work/unpacked-$one"
	done
	[ $same -eq 0 ] || diff -r --no-dereference "$work"/unpacked-* >>"$work/said" 2>&1
	judge $same "${deb##*/}"
	rm -rf "$work"/unpacked-*
done
[ "$(find "$work/a/packages" -maxdepth 1 -name '*.deb' | wc -l)" = 4 ]
judge $? "there are four"
verdict
