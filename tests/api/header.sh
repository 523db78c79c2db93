#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# header.sh CC CXX: hakmem.h compiles alone, as strict C99 and C11 and as C++17;
# hakmem.hpp as C++17, and refuses to make containers that break between processes.
set -uo pipefail
cd "$(dirname "$0")/../.."
cc=$1 cxx=$2
failed=0

# compiles COMPILER LANGUAGE STANDARD
compiles() {
	if printf '#include "hakmem.h"\n#include "hakmem.h"\nint unused = sizeof(hakmem_ref_t);\n' |
		"$1" -x "$2" -std="$3" -pedantic -Wall -Wextra -Werror -fsyntax-only \
			-Iclient_lib/include -; then
		echo "ok      $3"
	else
		echo "FAILED  $3: hakmem.h does not compile alone"
		failed=1
	fi
}

compiles "$cc" c c99
compiles "$cc" c c11
compiles "$cxx" c++ c++17

# make TYPE: compiles a make_unique of it
make() {
	printf '#include "hakmem.hpp"\nvoid f() { hakmem::make_unique<%s>(); }\n' "$1" |
		"$cxx" -x c++ -std=c++17 -pedantic -Wall -Wextra -Werror -fsyntax-only \
			-Iclient_lib/include - 2>&1
}

for type in 'std::vector<int, hakmem::allocator<int>>' \
	'std::deque<int, hakmem::allocator<int>>' \
	'std::basic_string<char, std::char_traits<char>, hakmem::allocator<char>>'; do
	if make "$type"; then echo "ok      $type"; else
		echo "FAILED  $type does not compile"
		failed=1
	fi
done
for type in 'std::list<int>' 'std::forward_list<int>' 'std::map<int, int>' \
	'std::multimap<int, int>' \
	'std::set<int>' 'std::multiset<int>' 'std::unordered_map<int, int>' \
	'std::unordered_multimap<int, int>' 'std::unordered_set<int>' \
	'std::unordered_multiset<int>' 'std::vector<int>' 'std::deque<int>' 'std::string' \
	'std::vector<std::string, hakmem::allocator<std::string>>'; do
	if grep -q 'hakmem: this container breaks' <<<"$(make "$type")"; then echo "ok      no $type"; else
		echo "FAILED  $type is not refused"
		failed=1
	fi
done
exit $failed
