#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# pages.sh BUILD: man and mandoc have nothing to say of the pages, and in them is every option of
# hakmemd and hakmemctl, every verb, every setting of the configuration, every counter, every
# function and variable of hakmem.h; and nothing that isn't there.
set -uo pipefail
build=$(readlink -f "$1")
cd "$(dirname "$(readlink -f "$0")")/../.."
export LC_ALL=C.UTF-8
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source tests/support/judge.sh

for source in docs/man/*.scd; do
	[ -s "$build/docs/man/$(basename "$source" .scd)" ]
	judge $? "$source: a page is made of it"
done
for page in "$build"/docs/man/*; do
	man --warnings=all -E UTF-8 -Tutf8 -Z -l "$page" 2>"$work/said" >/dev/null
	[ ! -s "$work/said" ]
	judge $? "${page##*/}: man has no warnings"
	# scdoc ends each paragraph, also where there was none; it writes long lines, names as they are.
	mandoc -T lint -W all "$page" | grep -vE 'skipping paragraph macro|longer than 80 bytes|lower case' \
		>"$work/said"
	[ ! -s "$work/said" ]
	judge $? "${page##*/}: mandoc has no warnings"
done

# same WHAT LIST OTHER: both have the same lines, four at least.
same() {
	diff <(sort -u "$2") <(sort -u "$3") >"$work/said" && [ "$(wc -l <"$2")" -ge 4 ]
	judge $? "$1: < only in the program, > only in the page"
}

bold() { grep -oE '\*[^* ][^*]*\*' "docs/man/$1.scd" | tr -d '*'; }

for page in hakmemd.8 hakmemctl.1 hakmem-demo.1; do
	program=${page%.*}
	"$build/bin/$program" --help | grep -oE -- '--[a-z][a-z-]*' >"$work/has"
	sed -n '/^# OPTIONS/,/^# [^O]/p' "docs/man/$page.scd" | grep -E '^\*--' |
		grep -oE -- '\*--[a-z][a-z-]*\*' | tr -d '*' >"$work/says"
	same "$program: options" "$work/has" "$work/says"
	"$build/bin/$program" --help | tr '\n' ' ' | sed 's/.*exit codes: //' |
		grep -oE '(^|[,;] +)[0-9] ' | tr -d ',; ' >"$work/has"
	sed -n '/^# EXIT STATUS/,/^# [^E]/p' "docs/man/$page.scd" |
		sed -n 's/^|\(\[\| \) \([0-9]\)$/\2/p' >"$work/says"
	same "$program: exit codes" "$work/has" "$work/says"
done
"$build/bin/hakmemctl" --help | sed -n 's/^\(exit codes: \| *\)\([0-9] [^;]*\);\?$/\2/p' >"$work/has"
sed -n '/^# EXIT STATUS/,/^# [^E]/p' docs/man/hakmemctl.1.scd |
	sed -nE '/^\|[[ ] [0-9]$/{N;s/^\|[[ ] ([0-9])\n:[< ] /\1 /p}' >"$work/says"
same "hakmemctl: what exit codes say" "$work/has" "$work/says"
"$build/bin/hakmemctl" --help | sed -n '/^verbs:/,/^$/s/^  \([a-z-]\+\( [a-z]\+\)\?\)  .*/\1/p' >"$work/has"
sed -n '/^# VERBS/,/^# [^V]/p' docs/man/hakmemctl.1.scd | grep -E '^\*[a-z]' |
	grep -oE '\*[a-z][a-z -]*\*' | tr -d '*' >"$work/says"
same "hakmemctl: verbs" "$work/has" "$work/says"

tr '\n\t' '  ' <daemon/setting.c | grep -oE '\{"[a-z-]+", *(HAKD_POOL_SECTION|"daemon"), *"[a-z_]+"' |
	sed -E 's/.*"([a-z_]+)"/\1/' >"$work/has"
sed -n '/^# THE SECTION/,/^# RELOAD/p' docs/man/hakmemd.conf.5.scd | grep -E '^\*' |
	grep -oE '\*[a-z_]+\*' | tr -d '*' >"$work/says"
same "hakmemd.conf: settings" "$work/has" "$work/says"

page=$build/docs/hakmem-counters.7.scd
"$build/bin/hakmemctl" --complete stats '' >"$work/has"
sed -nE '/^\*/{N;s/^\*([a-z0-9_\\]*)\* \((counter|gauge), [a-z]+\)\n\t[^ ].*/\1/p}' "$page" | tr -d '\\' >"$work/says"
same "hakmem-counters: counters" "$work/has" "$work/says"
[ "$(wc -l <"$work/has")" -eq "$(wc -l <"$work/says")" ]
judge $? "hakmem-counters: each once"

sed -n 's/^HAKMEM_API .*[ *]\(hakmem_[a-z_]*\)(.*/\1/p' client_lib/include/hakmem.h >"$work/has"
bold libhakmem.3 | grep -E '^hakmem_[a-z_]+$' >"$work/says"
same "libhakmem: functions" "$work/has" "$work/says"
grep -oE 'HAKMEM_[A-Z_]+' client_lib/include/hakmem.h | grep -vxE 'HAKMEM_(H|API)' >"$work/has"
bold libhakmem.3 | grep -E '^HAKMEM_[A-Z_]+$' >"$work/says"
same "libhakmem: variables and constants" "$work/has" "$work/says"
sed -n '/global:/,/local:/s/^[ 	]*\([a-z_]*\);$/\1/p' client_lib/malloc/libhakmem_malloc.map >"$work/has"
bold libhakmem_malloc.7 | grep -xE '[a-z_]*(alloc|free|memalign|malloc_[a-z_]+|array)' |
	grep -vx libhakmem_malloc >"$work/says"
same "libhakmem_malloc: functions" "$work/has" "$work/says"
verdict
