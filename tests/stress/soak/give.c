/* SPDX-License-Identifier: MIT */
/*
 * Blocks that change their owner, by a ticket in a box; see the first table of table.h. Often the
 * same ticket lies in two boxes, and tickets that were used are tried again:
 * none may be good twice.
 */
#include "tests/stress/soak/worker.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/stress/contents.h"
#include "tests/support/now.h"

#define NUMBER_MASK ((UINT64_C(1) << 23) - 1)
#define REVOKE_NS   UINT64_C(30000000) /* and up to 7 times as long */
/* An entry of a killed giver may still be claimed by who took the ticket before that. */
#define REUSE_NS UINT64_C(500000000)

/* An entry nobody needs any more; -1: none. */
static int find_entry(struct soak_worker *w)
{
	unsigned from = (unsigned)soak_below(w, SOAK_GIVES);

	for (unsigned i = 0; i < SOAK_GIVES; i++) {
		unsigned k = (from + i) % SOAK_GIVES;
		struct soak_give *give = &w->thread->gives[k];

		if (w->is_out[k])
			continue;
		if ((hak_load_acquire(&give->word) & SOAK_NOBODY) == SOAK_FREE_ENTRY ||
		    hakt_now_ns() - hak_load_acquire(&give->since) > REUSE_NS)
			return (int)k;
	}
	return -1;
}

void soak_give(struct soak_worker *w)
{
	struct soak_item item;
	struct soak_give *give;
	uint64_t number, entry;
	hakmem_ref_t ref;
	int k;

	if (w->n_out == SOAK_OUT_MAX || (k = find_entry(w)) < 0 || !soak_item_pick(w, &item))
		return;
	soak_item_check(w, &item, soak_name_size(item.name), "to be given");
	if (soak_is_lent_only(soak_name_size(item.name))) {
		soak_item_hold(w, &item);
		return;
	}
	ref = hakmem_ref(item.block);
	if (!ref) {
		if (errno != ENOMEM)
			soak_fail(w, SOAK_E_REFUSED, "no ref of %p, name %llx: %s", item.block,
				  (unsigned long long)item.name, strerror(errno));
		soak_item_free(w, &item);
		return;
	}
	give = &w->thread->gives[k];
	entry = w->self * SOAK_GIVES + (unsigned)k;
	number = ((hak_load_acquire(&give->word) >> 16) + 1) & NUMBER_MASK;
	item.name = SOAK_GIVEN_AWAY | (uint64_t)soak_name_size(item.name) << 2 | entry << 26 |
		    number << 41;
	hakt_contents_fill(item.block, soak_name_size(item.name), item.name);
	hak_store_release(&give->since, hakt_now_ns());
	hak_store_release(&give->word, number << 16 | SOAK_OUT); /* before the ref, see claim */
	hak_store_release(&give->ref, ref);
	w->is_out[k] = true;
	w->n_out++;
	soak_count(w, SOAK_GIVEN);
	for (unsigned n = soak_below(w, 8) ? 1 : 2; n > 0; n--)
		soak_box_put(w, w->table->box, ref);
}

/* We have taken a block: is it the first time? */
static void claim(struct soak_worker *w, const struct soak_item *item, uint64_t ref)
{
	uint64_t entry = item->name >> 26 & 0x7fff;
	uint64_t number = item->name >> 41;
	struct soak_give *give = &w->table->threads[entry / SOAK_GIVES].gives[entry % SOAK_GIVES];
	uint64_t word = number << 16 | SOAK_OUT, given;

	if (entry / SOAK_GIVES >= w->table->n_clients * SOAK_THREADS_MAX)
		soak_fail(w, SOAK_E_CORRUPT, "ref %llx has a block of name %llx",
			  (unsigned long long)ref, (unsigned long long)item->name);
	given = hak_load_acquire(&give->ref);
	if (hak_cas_acq_rel(&give->word, &word, number << 16 | (w->self + 1))) {
		if (given != ref)
			soak_fail(w, SOAK_E_CORRUPT, "ref %llx is not the one that was given, %llx",
				  (unsigned long long)ref, (unsigned long long)given);
	} else if (word >> 16 == number) {
		soak_fail(w, SOAK_E_TWICE,
			  "ref %llx of thread %llu was taken before, by thread %lld",
			  (unsigned long long)ref, (unsigned long long)(entry / SOAK_GIVES),
			  (long long)(word & SOAK_NOBODY) - 1);
	} else {
		soak_count(w, SOAK_LATE);
	}
}

void soak_receive(struct soak_worker *w)
{
	uint64_t ref = soak_box_get(w, w->table->box);
	struct soak_item item;
	void *block;
	int r;

	if (!ref)
		return;
	hak_store_release(&w->thread->intent, ref);
	hak_fence_seq_cst(); /* who finds the ticket used finds the intent; see soak_give_settle */
	r = hakmem_take(ref, &block);
	if (r < 0) {
		hak_store_release(&w->thread->intent, 0);
		if (r != -ESTALE)
			soak_fail(w, SOAK_E_REFUSED, "take of %llx: %s", (unsigned long long)ref,
				  strerror(-r));
		soak_count(w, SOAK_STALE);
		return;
	}
	item = soak_item_open(w, block, SOAK_GIVEN_AWAY, "taken");
	claim(w, &item, ref);
	hak_store_release(&w->thread->intent, 0);
	soak_count(w, SOAK_TAKEN);
	if (soak_below(w, 16) == 0)
		hak_store_release(&w->table->history[soak_below(w, SOAK_HISTORY)], ref);
	soak_item_rename(w, &item, SOAK_HELD);
	soak_item_hold(w, &item);
}

void soak_replay(struct soak_worker *w)
{
	uint64_t ref = hak_load_acquire(&w->table->history[soak_below(w, SOAK_HISTORY)]);
	void *block;
	int r;

	if (!ref)
		return;
	r = hakmem_take(ref, &block);
	if (r == 0)
		soak_fail(w, SOAK_E_TWICE,
			  "ref %llx, which was taken long ago, block %p, name %llx",
			  (unsigned long long)ref, block, *(unsigned long long *)block);
	if (r != -ESTALE)
		soak_fail(w, SOAK_E_REFUSED, "take of old %llx: %s", (unsigned long long)ref,
			  strerror(-r));
	soak_count(w, SOAK_REPLAYED);
}

/* Nobody has claimed it for some time: is it ours again? False: not known yet. */
static bool take_back(struct soak_worker *w, struct soak_give *give, uint64_t word)
{
	uint64_t ref = hak_load_acquire(&give->ref);
	struct soak_item item;
	bool by_the_dead;
	void *block;
	int r = hakmem_take(ref, &block);

	if (r == 0) {
		soak_get();
		item = soak_item_open(w, block, SOAK_GIVEN_AWAY, "revoked");
		claim(w, &item, ref);
		soak_count(w, SOAK_REVOKED);
		soak_item_rename(w, &item, SOAK_HELD);
		soak_item_hold(w, &item);
		return true;
	}
	if (r != -ESTALE)
		soak_fail(w, SOAK_E_REFUSED, "revoking %llx: %s", (unsigned long long)ref,
			  strerror(-r));
	if (soak_table_is_wanted(w->table, ref, &by_the_dead)) {
		if (by_the_dead)
			soak_count(w, SOAK_LOST);
		return by_the_dead;
	}
	/* Whoever took it and had no intent any more has claimed it before. */
	if (hak_load_acquire(&give->word) == word)
		soak_fail(w, SOAK_E_STALE,
			  "ref %llx, given by us %llu ms ago, is void and nobody took it",
			  (unsigned long long)ref,
			  (unsigned long long)(hakt_now_ns() - hak_load_acquire(&give->since)) /
				  1000000);
	return true;
}

bool soak_give_settle(struct soak_worker *w, bool is_final)
{
	uint64_t now = hakt_now_ns();

	for (unsigned k = 0; k < SOAK_GIVES && w->n_out > 0; k++) {
		struct soak_give *give = &w->thread->gives[k];
		uint64_t word;

		if (!w->is_out[k])
			continue;
		word = hak_load_acquire(&give->word);
		if ((word & SOAK_NOBODY) == SOAK_OUT) {
			uint64_t wait = REVOKE_NS * (1 + k % 7);

			if (!is_final && now - hak_load_acquire(&give->since) < wait)
				continue;
			if (!take_back(w, give, word))
				continue;
		}
		hak_store_release(&give->word, (word & ~(uint64_t)SOAK_NOBODY) | SOAK_FREE_ENTRY);
		w->is_out[k] = false;
		w->n_out--;
	}
	return w->n_out > 0;
}
