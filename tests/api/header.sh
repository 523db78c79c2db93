#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# header.sh CC CXX: hakmem.h compiles alone, as strict C99 and C11 and as C++17.
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
exit $failed
