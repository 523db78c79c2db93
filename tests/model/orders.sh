#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# orders.sh [NAME...]: runs the transitions of proto/shm in every way that C11's memory orders
# allow, then each mutation of them, which must be found. NAME: only those lines. docs/recovery.md
# says what is shown by it. Ends with "N passed, N failed".
set -uo pipefail
root=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C
passed=0 failed=0 only=" $* "
flags=(-std=gnu11 -O1 -Wall -Wextra -Werror -I"$root/tests/model/orders" -I"$work" -I"$root")

# build PROGRAM SOURCE...: with the explorer, in $work.
build() { gcc "${flags[@]}" -o "$work/$1" "${@:2}" "$work"/{explore,machine}.o >"$work/log" 2>&1; }

# explorer [-D...]: compiles it.
explorer() {
	local file
	for file in explore machine; do
		gcc "${flags[@]}" "$@" -c -o "$work/$file.o" "$root/tests/model/orders/$file.c" ||
			exit 1
	done
}

# explore [SCENARIO] [-D...]: 0: holds, 1: a violation, 2: neither. Of the copy of proto/shm.
explore() {
	local code=0
	build run "${@:2}" -Dmemcpy=model_memcpy \
		"$root"/tests/model/orders/{pool,blocks,slabs,modules}.c \
		"$work"/proto/shm/{modules,scan,slab,tag}.c || return 2
	timeout 60 "$work/run" ${1:+"$1"} >"$work/log" 2>&1 </dev/null || code=$?
	[ $code -eq 1 ] && ! grep -q 'violation: ' "$work/log" && return 2
	return $code
}

# count EXPECTED CODE NAME WHAT
count() {
	local what=''
	if [ "$2" -eq "$1" ]; then
		passed=$((passed + 1))
		[ "$1" -eq 0 ] || what=$(sed -n 's/^  violation: //p' "$work/log" | head -n 1)
		echo "ok      $3 ($4${what:+: $what})"
	else
		failed=$((failed + 1))
		echo "FAILED  $3 ($4)"
		tail -n 40 "$work/log"
	fi
}

wanted() { [ "$only" = "  " ] || [[ $only == *" $1 "* ]]; }

# restore: the copy is as the source.
restore() {
	mkdir -p "$work/proto" && rm -rf "$work/proto/shm" && cp -r "$root/proto/shm" "$work/proto/"
}

# mutate FILE FUNCTION SED: changes the function in the copy; false where that changes nothing.
mutate() {
	local file=$work/proto/shm/$1
	cp "$file" "$work/before" && sed -i -E "/^[a-z].*\<$2\(/,/^}/ { $3 }" "$file" &&
		! cmp -s "$file" "$work/before"
}

# mutation EXPECTED NAME SCENARIO [FILE FUNCTION SED]...
mutation() {
	local expected=$1 name=$2 scenario=$3 code=0
	shift 3
	wanted "$name" || return 0
	restore
	while [ $# -gt 0 ]; do
		mutate "$1" "$2" "$3" || code=3
		shift 3
	done
	[ $code -eq 3 ] && echo "the mutation changes nothing: $name" >"$work/log"
	[ $code -eq 3 ] || explore "$scenario" || code=$?
	count "$expected" $code "$name" "$scenario"
}

# Weakened in proto/shm: found. weaker: nothing of what is explored needs it.
breaks() { mutation 1 "$@"; }
weaker() { mutation 0 "$@"; }

# caller NAME SCENARIO: the same in what the scenarios do themselves.
caller() {
	local code=0
	wanted "$1" || return 0
	restore
	explore "$2" -DBREAK="$1" || code=$?
	count 1 $code "$1" "$2"
}

# whole NAME: nothing is found in what is not mutated.
whole() {
	local code=0
	wanted "$1" || return 0
	restore
	explore "" || code=$?
	count 0 $code "$1" "$(awk '{ n += $2 } END { print n, "runs" }' "$work/log")"
}

# The explorer itself: what C11 allows comes about, what it forbids doesn't.
litmus() {
	local code=0
	wanted litmus || return 0
	build litmus "$root/tests/model/orders/litmus.c" &&
		"$work/litmus" >"$work/log" 2>&1 || code=1
	count 0 $code litmus "$(grep -c ' runs$' "$work/log") programs"
}

explorer -DMODEL_ALL=1
whole whole_in_all_orders
explorer
litmus
whole whole

relax='s/hak_([a-z]+)_(acq_rel|acquire|release)\(/hak_\1_relaxed(/'
breaks free_relaxed free slab.h hak_slab_free "$relax"
breaks claim_acquires_nothing free slab.h hak_slab_claim \
	's/hak_load_acquire/hak_load_relaxed/; s/hak_and_acq_rel/hak_and_release/'
caller USE_AFTER_FREE_BIT free

breaks claim_releases_nothing scan slab.h hak_slab_claim 's/hak_and_acq_rel/hak_and_acquire/'
breaks taken_bits_relaxed scan slab.h hak_slab_taken_bits "$relax"
breaks claim_keeps_tag scan slab.h hak_slab_claim 's/hak_tag_clear\(.*\)/(void)tags/'
breaks claim_bit_before_tag scan slab.h hak_slab_claim \
	's/^(\tmask &=).*/\1 hak_load_acquire(bits);\n\tif (mask) mask \&= hak_and_acq_rel(bits, ~mask);/
	s/return .*/return mask;/'
breaks scan_leaves_freeing scan tag.c hak_tag_scan_held 's/return is_freeing.*/return false;/'
breaks scan_tag_before_bit scan scan.c scan_blocks \
	's/taken = (hak_slab_taken_bits.*)/early = choose(\&tags[i * 64ul], all, whose), taken = \1/
	s/gone = .*/gone = early \& taken;/'
breaks scan_forgets_bits scan scan.c scan_blocks 's/hak_slab_free\(.*/{ }/'

breaks claim_w_before_bit tagged slab.h hak_slab_claim \
	's/^(\tmask &=)/\tuint64_t w = hak_slab_load(word);\n\1/; s/\(hak_slab_load\(word\) &/(w \&/'
breaks claim_bit_relaxed tagged slab.h hak_slab_claim 's/hak_load_acquire/hak_load_relaxed/'
breaks free_relaxed_tagged tagged slab.h hak_slab_free "$relax"
breaks ref_leaves_untagged tagged slab.c hak_slab_set_tagged 's/w \| HAK_SLAB_TAGGED/w/'
caller RELAXED_CHANNEL tagged

for scenario in late_take late_free; do
	for name in NO_CROSSING W_BEFORE_CROSSING LATE_N_CROSSINGS NO_GRACE GRACE_TOO_EARLY \
		GRACE_DOES_NOT_WAIT; do
		caller $name $scenario
	done
	breaks crossing_without_fence $scenario crossing.h hak_crossing_begin \
		's/hak_fence_seq_cst/hak_fence_none/'
	breaks crossing_fence_acq_rel $scenario crossing.h hak_crossing_begin \
		's/hak_fence_seq_cst/hak_fence_acq_rel/'
	breaks crossing_fence_first $scenario crossing.h hak_crossing_begin \
		's/hak_fence_seq_cst.*//; s/(\thak_store_relaxed)/\thak_fence_seq_cst();\n\1/'
	breaks crossing_end_relaxed $scenario crossing.h hak_crossing_end "$relax"
	breaks grace_without_fence $scenario crossing.h hak_crossing_begin_grace \
		's/hak_fence_seq_cst/hak_fence_none/'
	breaks grace_fence_acq_rel $scenario crossing.h hak_crossing_begin_grace \
		's/hak_fence_seq_cst/hak_fence_acq_rel/'
	breaks grace_load_relaxed $scenario crossing.h hak_crossing_load "$relax"
done

breaks take_without_inc rivals tag.c hak_tag_take 's/inc \+ 1/inc/'
breaks take_of_any_inc rivals tag.c hak_tag_take 's/hak_tag_inc\(t\) == inc/true/'
breaks scan_own_moves_nothing rivals tag.c hak_tag_scan_own 's/if \(move\(.*/if (t \& 1 || true)/'
breaks free_without_inc frees tag.c hak_tag_free_local 's/hak_tag_inc\(t\) \+ 1/hak_tag_inc(t)/'
breaks free_without_cas frees tag.c hak_tag_free_local \
	's/move\(.*/(hak_store_release(tag, hak_tag_pack(HAK_TAG_NONE, 0, hak_tag_inc(t) + 1)), true);/'

breaks tag_releases_nothing hand_on tag.c move 's/hak_cas_acq_rel/hak_cas_acquire/'
breaks tag_acquires_nothing hand_on tag.c move 's/hak_cas_acq_rel/hak_cas_release/' \
	tag.h hak_tag_load "$relax"
caller RELAXED_CHANNEL hand_on

breaks pass_releases_nothing pass slab.c hak_slab_pass 's/hak_cas_acq_rel/hak_cas_acquire/'
breaks pass_acquires_nothing pass slab.c hak_slab_pass 's/hak_cas_acq_rel/hak_cas_release/'
breaks pass_by_store pass slab.c hak_slab_pass \
	's/hak_cas_acq_rel\(word, &w, next\)/(hak_store_release(word, next), true)/'
breaks tagged_by_store pass slab.c hak_slab_set_tagged \
	's/hak_cas_acq_rel\(word, &w, (.*)\)\);/(hak_store_release(word, \1), true));/'

breaks head_releases_nothing cut slab.c commit_head 's/hak_cas_acq_rel/hak_cas_acquire/'
breaks retire_releases_nothing cut slab.c try_move 's/hak_cas_acq_rel/hak_cas_acquire/'
breaks w_relaxed cut slab.h hak_slab_load "$relax"
breaks head_before_bodies cut slab.c hak_slab_cut \
	's/return (write_bodies\(.*\)) &&/bool (*bodies)(hak_u64 *, unsigned, uint32_t, uint32_t,\
		unsigned) = write_bodies;/
	s/(commit_head.*);/return \1 \&\& bodies(word, owner, 1, shape->n_slots, epoch);/'
breaks head_before_bits cut slab.c hak_slab_cut \
	's/hak_store_relaxed.*/;/
	s/(commit_head.*);/\1 \&\& (hak_store_relaxed(bits, 7), true);/'
breaks cut_without_epoch cut slab.c common_epoch 's/next_epoch\(epoch\)/epoch/'
breaks retire_before_claim cut slab.c hak_slab_retire \
	's/uint64_t claimed/if (hak_slab_is_empty(bits, 2))\
		return try_move(word, w \& ~KEPT, unused_of(owner));\n&/'

breaks grant_relaxed grant slab.c hak_slab_grant "$relax"
breaks grant_seen_relaxed grant slab.h hak_slab_load "$relax"

breaks scan_own_takes_freeing orphan tag.c hak_tag_scan_own \
	's/is_freeing\(t, owner\)/hak_tag_state(t) == HAK_TAG_FREEING/'
breaks inherit_with_epoch orphan slab.c hak_slab_inherit \
	's/with_owner\((.*), owner\)\)/with_owner(\1, owner) + (1ull << HAK_SLAB_EPOCH_SHIFT))/'
breaks inherit_untagged orphan slab.c hak_slab_inherit \
	's/with_owner\((.*), owner\)\)/with_owner(\1, owner) \& ~HAK_SLAB_TAGGED)/'

breaks last_free_relaxed last_block slab.h hak_slab_free "$relax"
breaks orphan_without_look last_block scan.c has_blocks 's/return true/continue/'
breaks orphan_bits_before_hints last_block scan.c hak_scan_orphan \
	's/^(\t\thak_segment_take_pending).*/;/; s/^(\t\t\t\t\t UINT32_MAX).*//
	s/^}/\thak_segment_take_pending(segment, 0, UINT32_MAX);\n}/'

breaks raise_relaxed hint segment.h hak_segment_raise_pending "$relax"
breaks take_hint_relaxed hint segment.h hak_segment_take_pending "$relax"
caller HINT_BEFORE_BIT hint

breaks module_ready_relaxed modules modules.c hak_module_enter 's/hak_store_release/hak_store_relaxed/'
breaks module_seen_relaxed modules modules.c hak_module_read "$relax"
breaks module_claim_by_store modules modules.c hak_module_enter \
	's/!hak_cas_acq_rel\(.*\)\)/(hak_store_release(\&at->word, mine), false))/'
breaks module_of_the_living modules modules.c is_busy 's/hak_holder_state\(now\) == [A-Z_]+/!now/'
breaks module_holder_relaxed modules modules.c is_busy "$relax"

# Of these orders nothing here needs the one half; docs/recovery.md says what has it covered.
weaker claim_and_release "" slab.h hak_slab_claim 's/hak_and_acq_rel/hak_and_release/'
weaker tag_cas_release "" tag.c move 's/hak_cas_acq_rel/hak_cas_release/'
weaker tag_load_relaxed "" tag.h hak_tag_load "$relax"
weaker set_tagged_relaxed "" slab.c hak_slab_set_tagged "$relax"
weaker collect_relaxed "" slab.c hak_slab_collect "$relax"
weaker orphan_relaxed "" slab.c hak_slab_orphan "$relax"
weaker inherit_relaxed "" slab.c hak_slab_inherit "$relax"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
