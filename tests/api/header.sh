#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# header.sh CC CXX: hakmem.h compiles alone, as strict C99 and C11 and as C++17;
# hakmem.hpp as C++17 and C++20 by g++ and clang++, with warnings that the library itself is not
# built with; and refuses to make containers that break between processes.
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

# Whoever includes them from elsewhere than /usr/include has its own warnings in them.
strict=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor -Werror)
for compiler in g++ clang++; do
	command -v "$compiler" >/dev/null || { echo "no      $compiler" && continue; }
	for standard in c++17 c++20; do
		for header in hakmem hakmem_offset_ptr; do
			printf '#include "%s.hpp"\n#include "%s.hpp"\n' "$header" "$header" |
				"$compiler" -x c++ -std="$standard" "${strict[@]}" -fsyntax-only \
					-Iclient_lib/include - && continue
			echo "FAILED  $header.hpp does not compile alone: $compiler, $standard"
			failed=1
		done
		if "$compiler" -std="$standard" "${strict[@]}" -fsyntax-only -Iclient_lib/include \
			tests/api/forms.cc; then
			echo "ok      $compiler, $standard"
		else
			echo "FAILED  $compiler, $standard: hakmem.hpp does not compile"
			failed=1
		fi
	done
done

# compile TEXT: of a function
compile() {
	printf '#include "hakmem.hpp"\n%s\nvoid f();\nvoid f() { %s; }\n' \
		"$(printf '#include <%s>\n' map set unordered_map unordered_set)" "$1" |
		"$cxx" -x c++ -std=c++17 -pedantic -Wall -Wextra -Werror -fsyntax-only \
			-Iclient_lib/include - 2>&1
}

# refused TEXT MESSAGE: it does not compile, and the compiler says why
refused() {
	if grep -q "$2" <<<"$(compile "$1")"; then echo "ok      no $1"; else
		echo "FAILED  $1 is not refused"
		failed=1
	fi
}

for type in 'std::vector<int, hakmem::allocator<int>>' \
	'std::deque<int, hakmem::offset_allocator<int>>' \
	'std::basic_string<char, std::char_traits<char>, hakmem::allocator<char>>' \
	'std::pair<int, std::array<int, 3>>'; do
	if compile "hakmem::make_unique<$type>()"; then echo "ok      $type"; else
		echo "FAILED  $type does not compile"
		failed=1
	fi
done
for type in 'std::list<int>' 'std::forward_list<int>' 'std::map<int, int>' \
	'std::multimap<int, int>' \
	'std::set<int>' 'std::multiset<int>' 'std::unordered_map<int, int>' \
	'std::unordered_multimap<int, int>' 'std::unordered_set<int>' \
	'std::unordered_multiset<int>' 'std::vector<int>' 'std::deque<int>' 'std::string' \
	'std::list<int, hakmem::offset_allocator<int>>' \
	'std::set<int, std::less<int>, hakmem::allocator<int>>' \
	'std::vector<bool, hakmem::allocator<bool>>' \
	'std::basic_string<char, std::char_traits<char>, hakmem::offset_allocator<char>>' \
	'std::pmr::vector<int>' 'std::bad_alloc' 'hakmem::memory_resource' \
	'std::pair<int, std::string>' 'std::array<std::string, 2>' \
	'std::vector<std::string, hakmem::allocator<std::string>>'; do
	refused "hakmem::make_unique<$type>()" 'hakmem: this container breaks'
done
type='std::vector<int, hakmem::allocator<int>>'
refused "hakmem::ticket<$type>(hakmem::make_unique<$type>())" 'hakmem: a take moves one block'
refused "hakmem::take<$type>(1)" 'hakmem: a take moves one block'
refused "struct X { $type own; }; hakmem::publish(\"a\", hakmem::make_unique<X>())" \
	'hakmem: this object may have more'
type='std::deque<int, hakmem::allocator<int>>'
refused "hakmem::publish(\"a\", hakmem::make_unique<$type>())" 'deleted function'
exit $failed
