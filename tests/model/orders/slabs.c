/* SPDX-License-Identifier: MIT */
/* Of a slab that changes hands, or its shape: W, crossings and the grace. */
#include "tests/model/orders/pool.h"

/* The daemon gives the slab, which is collected, to C, who cuts it anew and takes a block. */
static void grant(void)
{
	model_own(&tags[0]); /* its page is punched */
	model_own(&bits);    /* its next owner's */
	hak_store_relaxed(&tags[0], 0);
	hak_slab_grant(&words[0], C, true);
	model_check(hak_slab_cut(&words[0], &bits, C, 0, 1), "a granted slot isn't cut");
	claim(1, 1);
	model_check(got[1] == 1, "a fresh slab isn't its owner's");
}

/* late_take: A is dead; B takes one of its blocks by a ticket, beside the scan and all the rest. */

static void late_take_begin(void)
{
	begin(active(A, 1) | HAK_SLAB_TAGGED, 2, hak_tag_pack(HAK_TAG_NONE, 0, 0));
}

static void late_take_taker(void)
{
	if (take(B, 0))
		model_write(&content[0]);
}

static void late_daemon(void)
{
	struct hak_scan scan = {0};

	if (BREAK == GRACE_TOO_EARLY)
		grace(0);
	if (hak_scan_own(&segment, 0, 1, A, &scan))
		return; /* a survivor: see orphan */
	if (BREAK != GRACE_TOO_EARLY)
		grace(0);
	grant();
}

static void late_end(void)
{
	model_check(is_taken + got[1] == 1, "a block of two owners, or of none");
	model_check(!got[1] || (bits == 2 && tags[0] == 0), "the next owner's words are changed");
	model_reach((unsigned)got[1]);
}

/* late_free: the same of a plain free by B, of an untagged slab, that waited in a buffer. */

static void late_free_begin(void)
{
	begin(active(A, 1), 2, 0);
}

static void late_free_freer(void)
{
	uint64_t w = cross();

	if (hak_slab_state(w) != HAK_SLAB_UNUSED && hak_slab_epoch(w) == EPOCH &&
	    !(w & HAK_SLAB_TAGGED)) {
		is_taken = true;
		set_bit(1);
	}
	cross_end();
}

static void late_free_end(void)
{
	model_check(bits == 2, "the next owner's bits are changed");
	model_reach(is_taken);
}

/* last_block: B frees the last block of an orphan; the daemon gives the slab to C, who uses it. */

static void last_block_begin(void)
{
	begin(active(HAK_HOLDER_NONE, 0) | HAK_SLAB_TAGGED, 2, hak_tag_pack(HAK_TAG_OWNED, B, INC));
}

static void last_block_holder(void)
{
	model_write(&content[0]);
	model_check(free_held(B), "a holder can't free");
	hak_segment_raise_pending(&segment, 0);
}

static void last_block_daemon(void)
{
	struct hak_scan scan = {0};

	hak_scan_orphan(&segment, 0, 1, &scan);
	if (scan.n_heads)
		return;
	grace(0);
	grant();
}

static void last_block_end(void)
{
	model_check((got[1] ^ bits) == 3, "the next owner's bits are changed");
	model_check(got[1] || pending, "an orphan is forgotten");
	model_reach((unsigned)got[1]);
}

/* orphan: A is dead; B holds a block: it frees it, or hands it to a last one; C gets the slab. */

static void orphan_begin(void)
{
	begin(active(A, 1) | HAK_SLAB_TAGGED, 0, hak_tag_pack(HAK_TAG_OWNED, B, INC));
}

static void orphan_holder(void)
{
	model_write(&content[0]);
	if (model_choose(2))
		send(&channel, 1);
	else
		got[0] = free_held(B);
}

static void orphan_daemon(void)
{
	struct hak_scan scan = {0};

	if (!hak_scan_own(&segment, 0, 1, A, &scan))
		return; /* see late_take */
	got[3] = 1;
	grace(2);
	hak_scan_inherit(&segment, 0, 1, C);
	model_check(hak_slab_pass(&words[0], C, 0, 1), "an heir can't claim");
	claim(1, 3);
}

static void orphan_last(void)
{
	const unsigned last = C + 1;

	if (!hak_load_acquire(&channel))
		return;
	model_check(take(last, INC), "a survivor's ticket isn't good");
	model_write(&content[0]);
	got[2] = free_held(last);
	model_check(got[2] == 1, "a holder can't free");
}

static void orphan_end(void)
{
	model_check((got[3] ? got[1] : bits) & 2, "the dead one's block is lost");
	model_check(((got[1] ^ bits) & 1) == (got[0] | got[2]), "a block lost, or free and used");
	model_check(!(got[1] & 1) || hak_tag_state(tags[0]) == HAK_TAG_NONE,
		    "a tag on a claimed block");
	model_reach((unsigned)(got[1] & 1) + (got[2] ? 2 : 0));
}

/* pass: thread 1 of A lets the slab go, thread 2 adopts it, thread 3 makes it tagged and frees. */

static int private; /* of who claims */

static void pass_begin(void)
{
	begin(active(A, 1), 1, 0);
}

static void pass_from(void)
{
	model_write(&private);
	claim(0, 1);
	model_check(hak_slab_pass(&words[0], A, 1, 0), "a thread can't let go");
}

static void pass_to(void)
{
	if (!hak_slab_pass(&words[0], A, 0, 2))
		return;
	model_write(&private);
	claim(1, 3);
	got[1] |= 4;
}

static void pass_beside(void)
{
	model_write(&content[1]);
	model_check(hak_slab_set_tagged(&words[0], A), "the owner can't make a ref");
	model_check(hak_tag_free_local(&tags[1], A), "the owner can't free");
	set_bit(2);
}

static void pass_end(void)
{
	model_check(!(got[0] & got[1]) && (got[0] | (got[1] & 3) | bits) == 3, "a block lost");
	model_check(words[0] == (active(A, got[1] ? 2 : 0) | HAK_SLAB_TAGGED), "W lost a change");
	model_reach(got[1] ? 1 + (got[1] >> 1 & 1) : 0);
}

/* cut: A retires a slab and cuts it into another shape, beside a last free; C looks at it. */

static void cut_begin(void)
{
	begin(active(A, 1) | HAK_SLAB_TAGGED, 1, 0);
}

static void cut_claimer(void)
{
	if (!hak_slab_retire(&words[0], &bits, tags, A, 1))
		return;
	got[0] = 1;
	if (model_choose(2))
		return;
	got[0] = 2;
	model_check(hak_slab_cut(&words[0], &bits, A, 1, 1), "unused slots aren't cut");
}

static void cut_freer(void)
{
	set_bit(2);
}

static void cut_reader(void)
{
	uint64_t w = hak_slab_load(&words[0]), body, free_bits;

	free_bits = hak_load_relaxed(&bits);
	if (hak_slab_state(w) == HAK_SLAB_UNUSED)
		model_check(free_bits == 0 || free_bits == 7, "W before the last block had gone");
	else if (hak_slab_class(w) == 1) {
		body = hak_load_relaxed(&words[1]);
		model_check(hak_slab_state(body) == HAK_SLAB_BODY && hak_slab_arg(body) == 1 &&
				    hak_slab_epoch(body) == hak_slab_epoch(w),
			    "W before its body");
		model_check(hak_slab_epoch(w) == EPOCH + 1, "a shape with an old epoch");
		model_check(free_bits == 7, "W before its bits");
		got[2] = 1;
	}
}

static void cut_end(void)
{
	model_check(got[0] || bits == 3, "a block lost");
	model_reach((unsigned)got[0]);
	if (got[2])
		model_reach(3);
}

/* grant: the daemon zeroes tags and grants the slot; an auditor looks at it. */

static void grant_begin(void)
{
	begin(hak_slab_pack(HAK_SLAB_UNUSED, EPOCH, 0, 0) | HAK_SLAB_TAGGED, 0,
	      hak_tag_pack(HAK_TAG_OWNED, B, INC));
}

static void grant_daemon(void)
{
	hak_store_relaxed(&tags[0], 0);
	hak_slab_grant(&words[0], C, true);
}

static void grant_reader(void)
{
	uint64_t w = hak_slab_load(&words[0]);

	if (w & HAK_SLAB_TAGGED)
		return;
	model_check(hak_load_relaxed(&tags[0]) == 0, "a tag in an untagged slab");
	got[1] = 1;
}

static void grant_end(void)
{
	model_reach((unsigned)got[1]);
}

const struct model_scenario slab_scenarios[] = {
	{"late_take", late_take_begin, {late_take_taker, late_daemon}, late_end, 2},
	{"late_free", late_free_begin, {late_free_freer, late_daemon}, late_free_end, 2},
	{"last_block", last_block_begin, {last_block_holder, last_block_daemon}, last_block_end, 2},
	{"orphan", orphan_begin, {orphan_holder, orphan_daemon, orphan_last}, orphan_end, 4},
	{"pass", pass_begin, {pass_from, pass_to, pass_beside}, pass_end, 3},
	{"cut", cut_begin, {cut_claimer, cut_freer, cut_reader}, cut_end, 4},
	{"grant", grant_begin, {grant_daemon, grant_reader}, grant_end, 2},
	{.name = NULL},
};
