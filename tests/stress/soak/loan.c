/* SPDX-License-Identifier: MIT */
/*
 * Blocks that are used by another while they stay their owner's; see the second
 * drawing of table.h. The box has entry + 1 and the loan's number << 32.
 */
#include "tests/stress/soak/worker.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/stress/contents.h"
#include "tests/support/now.h"

#define TAKE_BACK_NS UINT64_C(50000000)
#define FREED_NS     UINT64_C(100000000) /* by then it is probably flushed */

static uint64_t pack(uint64_t number, enum soak_loan_state state, unsigned borrower)
{
	return number << 24 | (uint64_t)borrower << 8 | state;
}

void soak_lend(struct soak_worker *w)
{
	struct soak_item item;
	struct soak_loan *loan;
	uint64_t number;
	unsigned k;

	for (k = 0; k < SOAK_LOANS; k++)
		if ((hak_load_acquire(&w->thread->loans[k].word) & 0xff) == SOAK_IDLE)
			break;
	if (k == SOAK_LOANS || !soak_item_pick(w, &item))
		return;
	loan = &w->thread->loans[k];
	number = ((hak_load_acquire(&loan->word) >> 24) + 1) & UINT32_MAX;
	hak_store_release(&loan->block, (uintptr_t)item.block);
	hak_store_release(&loan->name, item.name);
	hak_store_release(&loan->ref, 0);
	hak_store_release(&loan->may_free, item.is_made);
	hak_store_release(&loan->since, hakt_now_ns());
	if (!soak_is_lent_only(soak_name_size(item.name))) {
		hakmem_ref_t ref = hakmem_ref(item.block);

		if (!ref && errno != ENOMEM)
			soak_fail(w, SOAK_E_REFUSED, "no ref of %p, name %llx: %s", item.block,
				  (unsigned long long)item.name, strerror(errno));
		hak_store_release(&loan->ref, ref);
	}
	hak_store_release(&loan->word, pack(number, SOAK_LENT, 0));
	w->n_lent++;
	soak_count(w, SOAK_LENT_OUT);
	soak_box_put(w, w->table->loan_box, number << 32 | (w->self * SOAK_LOANS + k + 1));
}

/* The lender has died or is about to, so the block may be anything. */
static bool is_void(struct soak_worker *w, const struct soak_loan *loan, unsigned lender,
		    uint64_t word)
{
	const struct soak_client *client = &w->table->clients[soak_client_of(lender)];

	return hak_load_acquire(&client->is_ending) || hak_load_acquire(&loan->word) != word;
}

/* Reads it all, twice. False: it went with its lender. */
static bool use(struct soak_worker *w, const struct soak_loan *loan, unsigned lender, uint64_t word)
{
	const struct soak_item item = {.block = (void *)(uintptr_t)hak_load_acquire(&loan->block),
				       .name = hak_load_acquire(&loan->name)};
	size_t size = soak_name_size(item.name);
	uint64_t ref = hak_load_acquire(&loan->ref);
	char text[96];

	if (is_void(w, loan, lender, word)) /* else all this is of this loan */
		return false;
	if (ref && hakmem_ptr(ref) != item.block) {
		if (is_void(w, loan, lender, word))
			return false;
		snprintf(text, sizeof(text), "ref %llx, lent by thread %u, is at %p",
			 (unsigned long long)ref, lender, hakmem_ptr(ref));
		soak_item_fail(w, &item, SOAK_E_CORRUPT, text);
	}
	for (unsigned i = 0; i < 2; i++) {
		if (hakt_contents_wrong_at(item.block, size, item.name) != size) {
			if (is_void(w, loan, lender, word))
				return false;
			snprintf(text, sizeof(text), "lent by thread %u", lender);
			soak_item_check(w, &item, size, text);
			soak_item_fail(w, &item, SOAK_E_CORRUPT, "borrowed, wrong for a moment");
		}
		sched_yield();
	}
	return true;
}

/* Frees it instead of giving it back, if the lender certainly lives meanwhile. */
static bool free_borrowed(struct soak_worker *w, struct soak_loan *loan, unsigned lender,
			  uint64_t word)
{
	struct soak_client *client = &w->table->clients[soak_client_of(lender)];
	uint64_t freeing = (word & ~UINT64_C(0xff)) | SOAK_FREEING;
	bool is_ours;

	hak_store_release(&w->thread->pin, soak_client_of(lender) + 1);
	hak_fence_seq_cst(); /* the driver sees the pin, or we see this: soak_table_begin_end */
	is_ours = !hak_load_acquire(&client->is_ending) &&
		  hak_cas_acq_rel(&loan->word, &word, freeing);
	if (is_ours) {
		if (!hak_load_acquire(&loan->ref))
			hak_store_release(&w->thread->unflushed,
					  hak_load_relaxed(&w->thread->unflushed) |
						  UINT64_C(1) << soak_client_of(lender));
		soak_pass();
		hakmem_free((void *)(uintptr_t)hak_load_acquire(&loan->block));
		hak_store_release(&loan->word, (freeing & ~UINT64_C(0xff)) | SOAK_FREED);
		soak_count(w, SOAK_LENT_FREED);
	}
	hak_store_release(&w->thread->pin, 0);
	return is_ours;
}

void soak_borrow(struct soak_worker *w)
{
	uint64_t box = soak_box_get(w, w->table->loan_box);
	unsigned entry = (unsigned)(box & UINT32_MAX) - 1;
	unsigned lender = entry / SOAK_LOANS;
	struct soak_loan *loan;
	uint64_t word, expected;

	if (!box)
		return;
	loan = &w->table->threads[lender].loans[entry % SOAK_LOANS];
	expected = pack(box >> 32, SOAK_LENT, 0);
	word = pack(box >> 32, SOAK_BORROWED, w->self);
	if (!hak_cas_acq_rel(&loan->word, &expected, word))
		return; /* the lender has it back, or has died */
	if (!use(w, loan, lender, word))
		return;
	if (hak_load_acquire(&loan->may_free) && soak_below(w, 2) &&
	    free_borrowed(w, loan, lender, word))
		return;
	/* False where the lender has died. */
	hak_cas_acq_rel(&loan->word, &word, (word & ~UINT64_C(0xff)) | SOAK_RETURNED);
}

/* The borrower has freed it, or died while it did: a ticket of before tells whether it is free. */
static void settle_freed(struct soak_worker *w, struct soak_loan *loan)
{
	struct soak_item item = {.name = hak_load_acquire(&loan->name)};
	uint64_t ref = hak_load_acquire(&loan->ref);
	int r = ref ? hakmem_take(ref, &item.block) : -ESTALE;

	if (r == 0) {
		soak_item_hold(w,
			       &item); /* the name is as it was: it is looked at when it leaves */
		soak_count(w, SOAK_UNFREED);
	} else if (r != -ESTALE) {
		soak_fail(w, SOAK_E_REFUSED, "taking %llx, which was lent: %s",
			  (unsigned long long)ref, strerror(-r));
	}
}

/* False: the loan goes on. */
static bool settle(struct soak_worker *w, struct soak_loan *loan, bool is_final)
{
	const struct soak_item item = {.block = (void *)(uintptr_t)hak_load_acquire(&loan->block),
				       .name = hak_load_acquire(&loan->name),
				       .is_made = hak_load_acquire(&loan->may_free)};
	uint64_t word = hak_load_acquire(&loan->word);

	switch ((enum soak_loan_state)(word & 0xff)) {
	case SOAK_LENT:
		if (!is_final && hakt_now_ns() - hak_load_acquire(&loan->since) < TAKE_BACK_NS)
			return false;
		if (!hak_cas_acq_rel(&loan->word, &word, (word & ~UINT64_C(0xff)) | SOAK_RETURNED))
			return false;
		/* fall through */
	case SOAK_RETURNED:
		soak_item_hold(w, &item);
		break;
	case SOAK_UNKNOWN:
		if (!hak_load_acquire(&loan->ref)) /* relaxed: who reads it asked us before */
			hak_add_relaxed(&w->client->n_unknown, 1);
		settle_freed(w, loan);
		break;
	case SOAK_FREED:
		if (!is_final && hak_load_acquire(&loan->ref) &&
		    hakt_now_ns() - hak_load_acquire(&loan->since) < FREED_NS)
			return false;
		settle_freed(w, loan);
		break;
	default:
		return false;
	}
	hak_store_release(&loan->word, (word & ~UINT64_C(0xff)) | SOAK_IDLE);
	w->n_lent--;
	return true;
}

bool soak_loan_settle(struct soak_worker *w, bool is_final)
{
	for (unsigned k = 0; k < SOAK_LOANS; k++)
		if ((hak_load_acquire(&w->thread->loans[k].word) & 0xff) != SOAK_IDLE)
			settle(w, &w->thread->loans[k], is_final);
	return w->n_lent > 0;
}
