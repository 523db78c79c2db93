#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# cpp.sh BUILD: the example of docs/cpp.md, compiled and run by the commands of the page, prints
# what the page says. The page is the only place where it is written.
set -euo pipefail
build=$(realpath "$1")
cd "$(dirname "$0")/../.."
page=$PWD/docs/cpp.md include=$PWD/client_lib/include

# block LANGUAGE: the page's only code of it
block() { awk -v fence="\`\`\`$1" '$0 == fence { on = 1; next } /^```/ { on = 0 } on' "$page"; }

. tests/api/daemon.sh
cd "$directory"
for language in cpp sh text; do
	block $language >$language
	[ -s $language ] || { echo "no $language in docs/cpp.md" && exit 1; }
done
cp cpp numbers.cc

# What an installed library has without.
export CPLUS_INCLUDE_PATH=$include LIBRARY_PATH=$build/lib LD_LIBRARY_PATH=$build/lib
start_daemon "$build"
bash -e sh >said
diff text said
"$build/bin/hakmemctl" check
if "$build/bin/hakmemctl" roots | grep numbers; then
	exit 1
fi
c++ -std=c++17 -Wall -Wextra -Wpedantic -Wconversion -Werror -fsyntax-only numbers.cc
