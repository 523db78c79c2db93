/* SPDX-License-Identifier: MIT */
/* Of a block's life in a slab that stays its owner's: bits, tags, hints. */
#include "tests/model/orders/pool.h"

/* free: B and C free a block each, which A, beside, claims. */

static void free_begin(void)
{
	begin(active(A, 1), 0, 0);
}

static void free_0(void)
{
	use_and_free(0);
}

static void free_1(void)
{
	use_and_free(1);
}

static void free_end(void)
{
	model_check((got[2] ^ bits) == 3, "a block lost");
	model_reach((unsigned)got[2]);
}

/* scan: B frees by its tag what it holds, or dies before or amid; the scan for it; A claims. */

static void scan_begin(void)
{
	begin(active(A, 1) | HAK_SLAB_TAGGED, 0, hak_tag_pack(HAK_TAG_OWNED, B, INC));
}

static void scan_dying(void)
{
	model_write(&content[0]);
	if (model_choose(2))
		model_die();
	model_check(hak_tag_free_held(&tags[0], B), "a holder can't free");
	if (model_choose(2))
		model_die();
	set_bit(1);
}

static void scan_daemon(void)
{
	struct hak_holder_set dead = {{0}};
	struct hak_scan scan = {0};

	hak_holder_set_add(&dead, B);
	model_join(0);
	hak_scan_held(&segment, 0, 1, &dead, true, &scan);
	got[1] = scan.n_freed;
}

static void scan_end(void)
{
	model_check((got[2] ^ bits) == 1, "a block lost, or free and used");
	model_check(!got[2] || hak_tag_state(tags[0]) == HAK_TAG_NONE, "a tag on a claimed block");
	model_reach((unsigned)(got[1] << 1 | got[2]));
}

/* tagged: a thread of A makes the slab's first ref, B takes it and frees; A's other one claims. */

static void tagged_begin(void)
{
	begin(active(A, 1), 0, hak_tag_pack(HAK_TAG_NONE, 0, 0));
}

static void tagged_maker(void)
{
	model_write(&content[0]);
	model_check(hak_slab_set_tagged(&words[0], A), "the owner can't make a ref");
	send(&channel, hak_tag_inc(hak_tag_load(&tags[0])) + 1);
}

static void tagged_taker(void)
{
	uint64_t ticket = hak_load_acquire(&channel);

	if (!ticket)
		return;
	model_check(take(B, (unsigned)ticket - 1), "a ticket isn't good");
	model_write(&content[0]);
	got[1] = free_held(B);
	model_check(got[1] == 1, "a holder can't free");
}

static void tagged_end(void)
{
	model_check((got[2] ^ bits) == got[1], "a block lost, or free and used");
	model_check(!got[2] || hak_tag_state(tags[0]) == HAK_TAG_NONE, "a tag on a claimed block");
	model_reach((unsigned)(got[1] + got[2]));
}

/* rivals: A is dead; B and C have a ticket each of the same inc; the scan of A's slab. */

static void rivals_begin(void)
{
	begin(active(A, 1) | HAK_SLAB_TAGGED, 2, hak_tag_pack(HAK_TAG_NONE, 0, INC));
}

static void rival(unsigned me, unsigned holder)
{
	got[me] = hak_tag_take(&tags[0], holder, INC);
	if (got[me])
		model_write(&content[0]);
}

static void rivals_b(void)
{
	rival(0, B);
}

static void rivals_c(void)
{
	rival(1, C);
}

static void rivals_daemon(void)
{
	struct hak_scan scan = {0};

	got[2] = !hak_scan_own(&segment, 0, 1, A, &scan);
	if (got[2])
		model_write(&content[0]);
}

static void one_got_it(void)
{
	model_check(got[0] + got[1] + got[2] == 1, "a block of two owners, or of none");
	model_reach(got[0] ? 0 : got[1] ? 1 : 2);
}

static void rivals_end(void)
{
	one_got_it();
	model_check(bits == (got[2] ? 3 : 2), "a bit of another's block");
}

/* frees: A frees a block of which B has a ticket, and C a plain pointer. */

static void frees_owner(void)
{
	got[0] = hak_tag_free_local(&tags[0], A);
	if (got[0])
		set_bit(1);
}

static void frees_ticket(void)
{
	got[1] = hak_tag_take(&tags[0], B, INC);
	if (got[1])
		model_check(free_held(B), "a holder can't free");
}

static void frees_plain(void)
{
	got[2] = hak_tag_free_foreign(&tags[0], C, INC);
	if (got[2])
		set_bit(1);
}

static void frees_end(void)
{
	one_got_it();
	model_check(bits == 3, "a block lost");
}

/* hand_on: A fills a block, B takes it and sends it on by a channel that orders nothing, C takes. */

static void hand_on_begin(void)
{
	begin(active(A, 1) | HAK_SLAB_TAGGED, 2, hak_tag_pack(HAK_TAG_NONE, 0, INC));
}

static void hand_on_a(void)
{
	model_write(&content[0]);
	send(&channel, 1);
}

static void hand_on_b(void)
{
	if (!hak_load_acquire(&channel))
		return;
	model_check(hak_tag_take(&tags[0], B, INC), "a ticket isn't good");
	hak_store_relaxed(&other_channel, 1);
}

static void hand_on_c(void)
{
	if (!hak_load_relaxed(&other_channel))
		return;
	got[2] = hak_tag_take(&tags[0], C, INC + 1);
	if (got[2])
		model_write(&content[0]);
}

static void hand_on_end(void)
{
	model_reach((unsigned)got[2]);
}

/* hint: B and C free a block each and say so; A looks where it was told to. */

static void hint(unsigned block)
{
	if (BREAK == HINT_BEFORE_BIT)
		hak_segment_raise_pending(&segment, 0);
	use_and_free(block);
	if (BREAK != HINT_BEFORE_BIT)
		hak_segment_raise_pending(&segment, 0);
}

static void hint_0(void)
{
	hint(0);
}

static void hint_1(void)
{
	hint(1);
}

static void hint_claimer(void)
{
	for (unsigned i = 0; i < 2; i++)
		if (hak_segment_take_pending(&segment, 0, 1))
			claim(2, 3);
}

static void hint_end(void)
{
	model_check(!bits || pending, "a free block without a hint");
	model_reach((unsigned)got[2]);
}

const struct model_scenario block_scenarios[] = {
	{"free", free_begin, {free_0, free_1, claimer}, free_end, 4},
	{"scan", scan_begin, {scan_dying, scan_daemon, claimer}, scan_end, 4},
	{"tagged", tagged_begin, {tagged_maker, tagged_taker, claimer}, tagged_end, 3},
	{"rivals", rivals_begin, {rivals_b, rivals_c, rivals_daemon}, rivals_end, 3},
	{"frees", rivals_begin, {frees_owner, frees_ticket, frees_plain}, frees_end, 3},
	{"hand_on", hand_on_begin, {hand_on_a, hand_on_b, hand_on_c}, hand_on_end, 2},
	{"hint", free_begin, {hint_0, hint_1, hint_claimer}, hint_end, 4},
	{.name = NULL},
};
