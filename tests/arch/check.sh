#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The house rules that a machine can check; docs/architecture.md says what they are for.
# check.sh [ROOT]       checks the repository; each violation as "rule: file:line: what to do"
# check.sh --self-test  plants a violation of each rule in a copy and sees it found
# Ends with "N passed, N failed"; 0 if none failed.
set -uo pipefail
shopt -s lastpipe # what `say` counts at the end of a pipe is counted here
export LC_ALL=C
here=$(cd "$(dirname "$0")/../.." && pwd)

passed=0 failed=0

# What lies in the top directory, besides dot files.
top='CMakeLists.txt CMakePresets.json daemon client_lib proto tests bench deploy docs README.md
LICENSE CONTRIBUTING.md CHANGELOG.md'
# What proto/shm may include of C's own headers: nothing that calls the system.
plain_headers='assert|errno|stdatomic|stdbool|stddef|stdint|string'
# Structs of proto/shm with pointers: they lie in no shared memory.
#   hak_segment   a process's own view of a pool that it has mapped
#   hak_geometry  what each process works out for itself
#   hak_audit     a walk under way, its caller's
#   walk          the same, of one SuperSlab
#   text          an event's, being made
#   hak_counter   a row of a table, each program's own
views='hak_segment hak_geometry hak_audit walk hak_counter text'
longest=600 widest=100
sources='\.([ch]|cc|hpp)$'
tag_distance=15 # lines from an [order:tag] to the last access that it is about

listed() { git ls-files --cached --others --exclude-standard; }

# files PATTERN: the repository's files whose path matches and that exist.
files() { listed | grep -E "$1" | while read -r f; do [ -f "$f" ] && echo "$f"; done; }

# lines PATTERN FILE...: file:line of each match, without more.
lines() {
	local pattern=$1
	shift
	[ $# -eq 0 ] || grep -nHE "$pattern" "$@" | cut -d: -f1,2
}

# say RULE WHAT-TO-DO <places: counts the rule, names each place.
say() {
	local places
	places=$(cat)
	if [ -z "$places" ]; then
		passed=$((passed + 1))
		return
	fi
	failed=$((failed + 1))
	while read -r place; do
		echo "$1: $place: $2"
	done <<<"$places"
}

# Does `pattern` occur outside of the files that `allowed` matches?
only_in() { # RULE ALLOWED PATTERN WHAT-TO-DO
	lines "$3" $(files "$sources" | grep -vE "$2") | say "$1" "$4"
}

check_includes() {
	lines '^#include ["<]daemon/' $(files "^client_lib/.*$sources") |
		say client-includes-daemon 'the sides never meet; what both must do alike is proto/'
	lines '^#include ["<]client_lib/' $(files "^daemon/.*$sources") |
		say daemon-includes-client 'the sides never meet; what both must do alike is proto/'
	lines '^#include ["<](client_lib|daemon|tests|bench)/' $(files "^proto/.*$sources") |
		say proto-includes-a-side 'the contract knows neither side; turn the arrow around'
	grep -nHE '^#include' $(files '^proto/shm/.*\.[ch]$') |
		grep -vE "#include (\"proto/shm/[a-z_]+\.h\"|<($plain_headers)\.h>)" | cut -d: -f1,2 |
		say shm-includes "only proto/shm/ and $plain_headers: no system call, no allocation"
	only_in stdatomic '^proto/shm/atomic\.h$' '^#include <stdatomic\.h>' \
		'use proto/shm/atomic.h, whose names carry the order'
	only_in uv '^daemon/(main\.c|(daemon|realm)\.[ch]|net/.*|reclaim/.*)$' '^#include <uv\.h>' \
		'only main, daemon, net and reclaim know the loop'
	only_in generated '^proto/wire/wire\.h$' '^#include ["<].*hakmem\.pb-c\.h[">]' \
		'include proto/wire/wire.h'
	only_in mman '^(client_lib/session\.c|client_lib/malloc/source\.c|daemon/mem/.*|daemon/reclaim/lease\.c|bench/.*|tests/.*)$' '^#include <sys/mman\.h>' \
		'mapping is done by session.c, malloc/source.c and daemon/mem; lease.c makes a memfd'
	lines '^#include ["<].*\.cc?[">]' $(files "$sources") |
		say includes-source 'give it a header and link it'
}

check_structs() {
	awk -v views=" $views " '
		/^struct [a-z_]+ \{/ { inside = index(views, " " $2 " ") == 0 }
		/^}/ { inside = 0 }
		inside {
			line = $0
			sub(/\/\*.*/, "", line)
			if (line !~ /^[ \t]*\*/ && line ~ /\*/)
				print FILENAME ":" FNR
		}' $(files '^proto/shm/.*\.[ch]$') |
		say shared-pointer 'other processes map elsewhere: an offset, or name the view in check.sh'
	lines '^[ 	]*typedef[ 	]+struct' $(files "$sources") |
		say struct-typedef 'write struct x; a typedef hides what is copied'
}

check_order() {
	local code tags documented tag sites
	code=$(files '^(proto|client_lib|daemon)/.*\.[ch]$' | grep -v '^proto/shm/atomic\.h$')
	tags=$(grep -hoE '\[order:[a-z_]+\]' $code | sort -u)
	documented=$(grep -hoE '\[order:[a-z_]+\]' docs/memory-model.md 2>/dev/null | sort -u)
	for tag in $tags; do
		sites=$(grep -nHF "$tag" $code | cut -d: -f1,2)
		[ "$(wc -l <<<"$sites")" -ge 2 ] || echo "$sites"
	done | say order-partner 'a tag has two sites or more: name the other half there too'
	for tag in $tags; do
		grep -qF "$tag" <<<"$documented" || grep -nHF "$tag" $code | head -1 | cut -d: -f1,2
	done | say order-undocumented 'docs/memory-model.md has a row for each tag'
	for tag in $documented; do
		grep -qF "$tag" <<<"$tags" || grep -nHF "$tag" docs/memory-model.md | cut -d: -f1,2
	done | say order-stale 'no code carries the tag any more'
	awk -v most=$tag_distance '
		FNR == 1 { last = -most - 1 }
		/\[order:[a-z_]+\]/ { last = FNR }
		/hak_[a-z]+_(release|acquire|acq_rel)\(/ && FNR - last > most { print FILENAME ":" FNR }
		' $code | say order-untagged 'say above with which access it pairs: [order:tag]'
	lines 'memory_order_seq_cst|atomic_(load|store|fetch_[a-z]+|exchange)\(' $(files '\.[ch]$') |
		grep -vxF "proto/shm/atomic.h:$(grep -n '^#define hak_fence_seq_cst()' \
			proto/shm/atomic.h | cut -d: -f1)" |
		say order-implicit 'nothing is seq_cst; take a named order of proto/shm/atomic.h'
}

check_files() {
	listed | cut -d/ -f1 | sort -u | grep -v '^\.' | while read -r name; do
		printf '%s\n' $top | grep -qxF -- "$name" || echo "$name:1"
	done | say top 'the top directory is closed; which room does it belong to?'
	for name in $top; do
		[ -e "$name" ] || echo "$name:1"
	done | say top-missing 'the top directory has it; or change the list in check.sh'
	for f in $(files "$sources"); do
		read -r first <"$f"
		[[ $first == *SPDX-License-Identifier:\ MIT* ]] || echo "$f:1"
	done | say licence 'the first line is /* SPDX-License-Identifier: MIT */'
	lines '\<(TO''DO|FIX''ME|XX''X)\>' $(files '\.([ch]|cc|hpp|sh|md|txt|proto)$') |
		say unfinished 'finish it, or open an issue'
	for f in $(files '\.sh$'); do
		read -r first <"$f"
		[[ $first != '#!'* ]] || [ -x "$f" ] || echo "$f:1"
	done | say executable 'it has a #! line, so it is run: chmod +x'
	files '\.(cpp|cxx|C|hh|hxx|H|h\+\+|c\+\+)$' | sed 's/$/:1/' |
		say cpp-name 'C++ is .cc and .hpp'
	for f in $(files '\.(cc|hpp)$'); do
		expand -t8 "$f" | awk -v f="$f" -v most=$widest 'length > most { print f ":" FNR }'
	done | say too-wide "over $widest columns: clang-format"
	wc -l $(files '\.([ch]|cc|hpp|sh|proto|txt)$') |
		awk -v most=$longest '$1 > most && $2 != "total" { print $2 ":" most + 1 }' |
		say too-long "over $longest lines: which second noun is in it?"
}

check() {
	cd "$1" || exit 2
	check_includes
	check_structs
	check_order
	check_files
	echo "$passed passed, $failed failed"
	[ $failed -eq 0 ]
}

# plant RULE FILE TEXT...: with these lines at the end of FILE, RULE and FILE are named.
plant() {
	local rule=$1 file=$2 found
	shift 2
	[ -f "$file" ] && cp "$file" "$saved" || rm -f "$saved"
	mkdir -p "$(dirname "$file")"
	printf '%s\n' "$@" >>"$file"
	# The file's lines counted from 1: a violation is told with the line it is in.
	found=$("$here/tests/arch/check.sh" . | grep -E "^$rule: [^ ]+:[0-9]+: ")
	if grep -qF "$rule: ${expected:-$file}" <<<"$found"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "not found: $rule in $file"
	fi
	if [ -f "$saved" ]; then cp "$saved" "$file"; else rm -f "$file"; fi
}

self_test() {
	copy=$(mktemp -d) saved=$(mktemp)
	trap 'rm -rf "$copy" "$saved"' EXIT
	cd "$here" || exit 2
	listed | while read -r f; do [ ! -f "$f" ] || cp --parents "$f" "$copy"; done
	cd "$copy" || exit 2
	git init -q . && git add -A
	if ! "$here/tests/arch/check.sh" . >/dev/null; then
		echo "the copy has violations before any is planted: run check.sh"
		failed=1
	fi
	plant client-includes-daemon client_lib/conn.c '#include "daemon/config.h"'
	plant daemon-includes-client daemon/config.c '#include "client_lib/conn.h"'
	plant proto-includes-a-side proto/error.c '#include "daemon/config.h"'
	plant shm-includes proto/shm/slab.c '#include <stdlib.h>'
	plant stdatomic daemon/config.c '#include <stdatomic.h>'
	plant uv daemon/mem/pool.c '#include <uv.h>'
	plant generated daemon/net/peer.c '#include "hakmem.pb-c.h"'
	plant mman client_lib/thread.c '#include <sys/mman.h>'
	plant includes-source client_lib/thread.c '#include "client_lib/conn.c"'
	plant shared-pointer proto/shm/slab.h 'struct hak_x {' '	char *text; /* a * b */' '};'
	plant struct-typedef daemon/config.h 'typedef struct x x;'
	plant order-partner proto/shm/slab.c '/* [order:lonely] */'
	plant order-undocumented proto/shm/slab.c '/* [order:secret] */' '/* [order:secret] */'
	plant order-stale docs/memory-model.md '[order:gone]'
	plant order-untagged daemon/config.c 'hak_store_release(p, 1);'
	plant order-implicit tests/stress/party.c 'atomic_store(p, 1);'
	plant top notes.md 'a thought'
	plant licence daemon/util/nothing.c 'int nothing;'
	plant executable tests/nothing.sh '#!/bin/sh'
	plant unfinished docs/architecture.md 'TO''DO: more'
	plant too-long daemon/config.c $(seq $longest)
	plant too-long client_lib/include/hakmem.hpp $(seq $longest)
	plant too-wide tests/api/new_test.cc "	// $(printf %0$((widest - 10))d)"
	plant cpp-name tests/api/new_test.cpp '/* SPDX-License-Identifier: MIT */'
	plant licence tests/api/nothing.cc 'int nothing;'
	plant unfinished client_lib/include/hakmem.hpp '// TO''DO: more'
	plant stdatomic tests/api/new_test.cc '#include <stdatomic.h>'
	plant client-includes-daemon client_lib/include/hakmem.hpp '#include "daemon/config.h"'
	plant includes-source tests/api/new_test.cc '#include "tests/api/forms.cc"'
	mv LICENSE "$saved.moved" && git rm -q --cached LICENSE
	expected=LICENSE plant top-missing docs/architecture.md ''
	rm -f "$saved.moved"
	echo "$passed passed, $failed failed"
	[ $failed -eq 0 ]
}

case ${1:-} in
--self-test) self_test ;;
*) check "${1:-$here}" ;;
esac
