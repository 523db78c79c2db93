#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# self-test.sh BUILD: mistakes are made in a copy of the documents, one at a time, and found.
set -uo pipefail
build=$(readlink -f "$1")
cd "$(dirname "$(readlink -f "$0")")/../.."
tree=$PWD
work=$(mktemp -d) copy=
trap 'rm -rf "$work" "$copy"' EXIT
copy=$(mktemp -d)
source tests/support/judge.sh
export PYTHONDONTWRITEBYTECODE=1

git ls-files -z --cached --others --exclude-standard |
	while IFS= read -rd '' file; do [ ! -f "$file" ] || printf '%s\0' "$file"; done |
	xargs -0 cp --parents -t "$copy"
cd "$copy" && git init -q . && git add -A
cp -r docs "$work/docs" && cp README.md tests/docs/pages.py "$work"
include=client_lib/include && cp -r $include "$work/include"

links() { tests/docs/links.py; }
figures() { tests/docs/figures.py; }
blocks() { tests/docs/blocks.py --build "$build" "$@"; }
# That of the build, of the copy's headers.
reference() {
	{ sed "s#$tree/#$copy/#g" "$build/docs/Doxyfile" && echo "OUTPUT_DIRECTORY = $work/reference"; } | doxygen -
}

# finds WHAT SAID COMMAND...: it fails, and says that; then the documents are as they were.
finds() {
	local what=$1 text=$2
	shift 2
	! "$@" >"$work/said" 2>&1 && grep -qE -- "$text" "$work/said"
	judge $? "found: $what"
	rm -rf docs && cp -r "$work/docs" . && cp "$work/README.md" . && cp "$work/pages.py" tests/docs
	rm -rf $include && cp -r "$work/include" $include
	git add -A
}

links >"$work/said" 2>&1
judge $? "links: nothing before"
echo '[x](nowhere.md)' >>docs/cpp.md
finds "a link to no file" 'docs/cpp.md:[0-9]+: there is no docs/nowhere.md' links
echo '[x](install.md#nothing)' >>docs/cpp.md
finds "a link to no heading" 'docs/install.md has no heading #nothing' links
echo '[x](/etc/passwd)' >>docs/cpp.md
finds "an absolute path" '/etc/passwd is an absolute path' links
echo '# Alone' >docs/alone.md
finds "a page that no link leads to" 'docs/alone.md:1: no link leads here' links
echo 'x' >docs/pictures/alone.svg
finds "a picture that no page shows" 'docs/pictures/alone.svg:1: no link leads here' links
rm docs/prefork.md
finds "a page that has gone" 'there is no docs/prefork.md' links

sed -i '/`xmalloc` |/s/[0-9]\.[0-9]/9.9/' docs/performance.md
finds "a figure that was not measured" "its figures aren't those of" figures
sed -i 's/807b3d2/f6e0ce6/g' docs/performance.md
finds "figures of another comparison" "its figures aren't of" figures

if [ -e "$build/docs/Doxyfile" ]; then
	mkdir "$work/reference"
	reference >"$work/said" 2>&1
	judge $? "reference: nothing before"
	printf 'HAKMEM_API int hakmem_more(void);\n' >>$include/hakmem.h
	finds "a call without a comment" 'hakmem.h:.*hakmem_more.* is not documented' reference
	sed -i '/The object, unless somebody has taken it/d' $include/hakmem.hpp
	finds "a call of C++ without one" 'hakmem.hpp:.*revoke.* is not documented' reference
fi

# page LINE...: a page of its own, in which that is.
page() { printf '%s\n' "$@" >docs/new.md; }
page '```sh' 'echo 3 blocks' '```' '' '```text' '3 blocks' '```' '```sh' 'echo 14' '```' '```console' '3' '```'
blocks docs/new.md >"$work/said" 2>&1
judge $? "blocks: nothing in a page that is right"
page '```sh' 'echo 4 blocks' '```' '```text' '3 blocks' '```'
finds "another output" 'docs/new.md:4: expected' blocks docs/new.md
page '```sh' 'echo 1 anomalies' '```' '```console' '0 anomalies' '```'
finds "something where nothing should be" 'docs/new.md:4: expected' blocks docs/new.md
page '```sh' 'echo 0 blocks' '```' '```console' '5 blocks' '```'
finds "nothing where something should be" 'docs/new.md:4: expected' blocks docs/new.md
page '```sh' 'echo a' 'echo b' '```' '```text' 'a' '```'
finds "more output" 'docs/new.md:5: expected' blocks docs/new.md
page '```sh' 'true' '```' '```sh' 'false' 'true' '```' '```sh' 'true' '```'
finds "a command that fails" 'docs/new.md:4: the commands end with 1' blocks docs/new.md
page '```sh' 'hakmemctl frobnicate' '```'
finds "a verb that isn't there" "the commands end with 2" blocks docs/new.md
page '```sh' 'sleep 1000 &' '```'
finds "a process that is left" 'leave processes: sleep' blocks docs/new.md
mark=$((100000 + $$))K
page '```sh' "HAKMEM_SOCKET=\$PWD/own hakmemd --supervise --log-level warn --limit $mark" '```'
finds "a daemon that is left" 'leave processes: hakmemd' blocks docs/new.md
! pgrep -af -- "--limit $mark" >"$work/said"
judge $? "what is left is ended, with what that has started"
page '```c' '/* x.c */' '#include <hakmem.h>' 'int main(void) { int unused; }' '```'
finds "a program with warnings" 'docs/new.md:1: x.c has warnings' blocks docs/new.md
page '```c' 'hakmem_free(NULL);' '```'
finds "code without a name" 'docs/new.md:1: code without a name' blocks docs/new.md
page '```rust' 'fn main() {}' '```'
finds "a language that nobody runs" 'what is a block of rust' blocks docs/new.md
page '```text' 'hello' '```'
finds "output of nothing" 'no commands right above it' blocks docs/new.md
sed -i 's/hakmem_free(same); .*/hakmem_free(same + 16);/' README.md
finds "a fragment that does something else" 'with the page' blocks README.md
sed -i 's/hakmem_root_lookup("config", &ref); .*/hakmem_root_look("config", \&ref);/' README.md
finds "a fragment that does not compile" 'with the page' blocks README.md
sed -i 's/^bash tests.run.sh/bash tests\/runs.sh/' README.md
finds "a row of pages.py for no block" 'pages.py has a block that begins with: bash tests/run.sh' blocks README.md
sed -i 's/"for language in cpp sh text"/"no such word"/' tests/docs/pages.py
finds "a stage that doesn't run its block" "has no 'no such word'" blocks docs/cpp.md
verdict
