#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# run.sh BUILD [CASE...]: real programs with libhakmem_malloc.so preloaded do what they do
# without it. Two cases at a time, each in a directory of its own; its output is shown if it fails.
# Ends with "N passed, N failed, N skipped".
set -uo pipefail
build=$(realpath "$1") source=$(realpath "$(dirname "$0")/../..")
shift
. "$source/tests/support/two.sh"
library=$build/lib/libhakmem_malloc.so
[ -f "$library" ] || { echo "no $library: build the release preset" >&2 && exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C
unset LD_PRELOAD

# with COMMAND...: runs it with the library preloaded. Python's tests want SIGINT, which a shell in the
# background ignores and hands on.
with() { env --default-signal LD_PRELOAD="$library" "$@"; }

# uses PID: the library is in that process.
uses() { grep -qF "$library" "/proc/$1/maps"; }

# same COMMAND...: it writes the same and ends alike with the library, and complains of nothing.
same() {
	local code=0 code_with=0
	"$@" >without.out 2>without.err </dev/null || code=$?
	with "$@" >with.out 2>with.err </dev/null || code_with=$?
	cat with.err
	[ $code -eq $code_with ] && cmp without.out with.out && cmp without.err with.err
}

needs() { # PROGRAM...: or the case is skipped
	local program
	for program in "$@"; do
		command -v "$program" >/dev/null || { echo "no $program" && exit 77; }
	done
}

case_preload() { # that what the cases rely on would be noticed
	local code=0
	same cat /proc/self/comm || return 1
	with grep -F "$library" /proc/self/maps || return 1
	LD_PRELOAD=$library.gone same true && code=1
	(library=$library.gone && same true) && code=1
	return $code
}

case_python_tests() {
	needs /usr/bin/python3
	/usr/bin/python3 -c 'import test.test_json' 2>/dev/null || { echo "no test suite" && exit 77; }
	with /usr/bin/python3 -c "import sys; sys.exit('$library' not in open('/proc/self/maps').read())" ||
		return 1
	# pymalloc would keep small objects from us.
	PYTHONMALLOC=malloc with /usr/bin/python3 -m test -j2 --timeout 240 \
		test_json test_threading test_dict test_list test_unicode test_bytes || return 1
	with /usr/bin/python3 -m test -j2 --timeout 240 test_subprocess test_multiprocessing_fork
}

case_python_threads() {
	cat >threads.py <<'PYTHON'
import hashlib, json, re, threading, zlib
def work(n, out):
    d = {}
    for i in range(20000):
        d["key%d" % (i * n)] = [i, str(i) * (i % 50), {"n": n}]
    text = json.dumps(d, sort_keys=True)
    text = re.sub(r"key(\d+)", lambda m: "k" + m.group(1)[::-1], text)
    out[n] = hashlib.sha256(zlib.compress(text.encode())).hexdigest()
out = {}
threads = [threading.Thread(target=work, args=(n, out)) for n in range(1, 9)]
[t.start() for t in threads]
[t.join() for t in threads]
print(sorted(out.items()))
PYTHON
	PYTHONMALLOC=malloc same /usr/bin/python3 threads.py
}

case_sqlite() {
	needs sqlite3
	cat >script.sql <<'SQL'
CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT, number INTEGER, data BLOB);
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
	INSERT INTO t SELECT i, printf('word %d of %x', i * 7919 % 100003, i * 31),
	i * 104729 % 65537, zeroblob(i % 200) FROM n;
CREATE INDEX t_number ON t (number);
CREATE INDEX t_word ON t (word);
UPDATE t SET word = word || ' again' WHERE number % 3 = 0;
DELETE FROM t WHERE id % 7 = 0;
SELECT count(*), sum(number), max(word), min(word), sum(length(data)) FROM t;
SELECT number % 100 AS k, count(*), group_concat(id % 10, '') FROM t GROUP BY k ORDER BY 2, 1;
SELECT a.word, b.word FROM t a JOIN t b ON a.number = b.number AND a.id < b.id ORDER BY 1, 2
	LIMIT 20000;
SELECT word FROM t ORDER BY substr(word, 8), id DESC LIMIT 50000;
VACUUM;
PRAGMA integrity_check;
SQL
	same sqlite3 :memory: ".read script.sql" && [ "$(wc -l <with.out)" -gt 70000 ]
}

case_gcc() {
	local how cc=gcc file
	needs gcc
	for how in without with; do
		mkdir $how
		for file in "$source"/client_lib/*.c "$source"/proto/shm/*.c; do
			echo "$file"
		done | xargs -P2 -I{} env $([ $how = with ] && echo "LD_PRELOAD=$library") sh -c \
			'$0 -std=c11 -D_GNU_SOURCE -DHAKMEM_VERSION=\"0\" -O2 -g -fPIC -I "$1" \
			-I "$2/generated" -c "$3" -o "$4/$(basename "$3" .c).o"' \
			$cc "$source" "$build/proto" {} $how 2>$how.err || { cat $how.err && return 1; }
	done
	cat with.err
	[ "$(ls with | wc -l)" -gt 10 ] && [ ! -s with.err ] && diff -r without with
}

case_git() {
	local repository=$source
	needs git
	git -c safe.directory='*' clone -q --no-local "$repository" start || return 1
	with git clone -q --no-local start copy 2>err && [ ! -s err ] || { cat err && return 1; }
	same git -C start log --stat -p && [ -s with.out ] || return 1
	same git -C start blame README.md || return 1
	same git -C start grep -n -E 'malloc|free' || return 1
	with git -C copy gc -q --aggressive --prune=now 2>err && [ ! -s err ] || { cat err && return 1; }
	with git -C copy fsck --full --strict 2>err || { cat err && return 1; }
	! grep -i preload err && git -C copy fsck --full --strict &&
		[ "$(git -C start rev-parse HEAD)" = "$(git -C copy rev-parse HEAD)" ] &&
		[ "$(git -C start rev-list --objects HEAD | sort | sha256sum)" = \
			"$(git -C copy rev-list --objects HEAD | sort | sha256sum)" ]
}

# redis CLIENT ARGUMENT...: of the server of this case.
redis() {
	local client=$1
	shift
	with "$client" -s "$PWD/redis.sock" "$@"
}

case_redis() {
	local server i code=0
	needs redis-server redis-benchmark redis-cli
	LD_PRELOAD=$library redis-server --port 0 --unixsocket "$PWD/redis.sock" --dir "$PWD" --io-threads 2 \
		--appendonly yes --save '' --loglevel warning >server.log 2>&1 &
	server=$!
	for i in $(seq 100); do
		[ "$(redis redis-cli ping 2>/dev/null)" = PONG ] && break
		sleep 0.1
	done
	uses $server || code=1
	redis redis-benchmark -n 5000 -r 5000 -d 200 -P 8 --threads 2 --csv >bench.csv 2>bench.err ||
		code=1
	redis redis-cli --no-raw eval 'for i = 1, 20000 do
		redis.call("set", "k" .. i, string.rep("v", i % 3000))
		redis.call("hset", "h" .. i % 100, "f" .. i, i)
		redis.call("zadd", "z", i % 977, "m" .. i) end
		for i = 1, 20000, 3 do redis.call("del", "k" .. i) end return redis.status_reply("DONE")' 0 >script.out
	grep -q DONE script.out || code=1
	[ "$(redis redis-cli zcard z)" = 20000 ] || code=1
	[ "$(redis redis-cli strlen k2999)" = 2999 ] || code=1
	redis redis-cli bgsave # in a forked child
	for i in $(seq 100); do
		redis redis-cli info persistence | grep -q 'rdb_bgsave_in_progress:0' && break
		sleep 0.1
	done
	redis redis-cli info persistence | grep -q 'rdb_last_bgsave_status:ok' || code=1
	redis redis-cli info stats | grep -E 'total_commands|total_error_replies'
	redis redis-cli info stats | grep -q 'total_error_replies:0' || code=1
	redis redis-cli shutdown || code=1
	wait $server || code=1
	cat server.log bench.err
	[ "$(wc -l <bench.csv)" -ge 20 ] && ! grep -iE 'err|preload' bench.csv bench.err &&
		! grep -iE 'hakmem|preload|crash' server.log && [ $code -eq 0 ]
}

case_perl() {
	needs perl
	cat >script.pl <<'PERL'
my (%h, @l, $sum);
for my $i (1 .. 200000) {
	my $k = "key" . ($i * 7919 % 100003);
	$h{$k} .= "x" x ($i % 20);
	push @l, $k if $i % 3 == 0;
	delete $h{"key" . ($i % 5000)} if $i % 4 == 0;
}
@l = sort { $b cmp $a } @l;
print "$_ ", length($h{$_} // ""), "\n" for sort keys %h;
print join(",", @l[0 .. 20000]), "\n";
my $text = join(" ", @l);
$sum += $1 while $text =~ /(\d+)/g;
$text =~ s/key(\d)/<$1>/g;
print "$sum ", length($text), "\n";
for my $n (1 .. 4) {
	my $pid = open(my $child, "-|") // die;
	if (!$pid) { my @m = map { $_ x $n } @l; print scalar(@m), "\n"; exit }
	print <$child>;
}
PERL
	PERL_HASH_SEED=0 same perl script.pl && [ "$(wc -l <with.out)" -gt 50000 ]
}

# With HAKMEM_HARDENED=1, which is on: it finds what such a program does wrong, and nothing else.
case_hardened() {
	needs sqlite3
	export HAKMEM_HARDENED=1
	cat >wrong.py <<'PYTHON'
import ctypes
c = ctypes.CDLL(None)
c.malloc.restype, c.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
block = c.malloc(20)
ctypes.memset(block + 20, 0, 1)
c.free(block)
c.free(block)
PYTHON
	with /usr/bin/python3 wrong.py 2>err || return 1
	cat err
	grep -q 'overflow: the block of 20 bytes' err && grep -q 'double free of' err || return 1
	mkdir threads sql fork
	(cd threads && case_python_threads) && (cd sql && case_sqlite) && (cd fork && case_perl)
}

cases=(python_tests preload git gcc hardened perl python_threads redis sqlite)
[ $# -eq 0 ] || cases=("$@")
# run NAME: prints its line, and keeps that it passed or was left out.
run() {
	local name=$1 start=$SECONDS code=0
	mkdir "$work/$name"
	(cd "$work/$name" && "case_$name") >"$work/$name.log" 2>&1 </dev/null || code=$?
	case $code in
	0) touch "$work/$name.passed" && echo "ok      $name ($((SECONDS - start)) s)" ;;
	77) touch "$work/$name.skipped" && echo "skipped $name: $(tail -n 1 "$work/$name.log")" ;;
	*) echo "FAILED  $name ($((SECONDS - start)) s)"$'\n'"$(tail -n 100 "$work/$name.log")" ;;
	esac
	rm -rf "${work:?}/$name"
}

for name in "${cases[@]}"; do
	beside run "$name"
done
wait
count() { find "$work" -maxdepth 1 -name "*.$1" | wc -l; }
passed=$(count passed) skipped=$(count skipped)
failed=$((${#cases[@]} - passed - skipped))
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
