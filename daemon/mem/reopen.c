/* SPDX-License-Identifier: MIT */
/*
 * Two walks over the registry's words: the first only looks whether a daemon
 * can have left them, so that a pool that is refused is not touched; the second
 * repairs. Both step from head to head, so a body that they come by is one that
 * no head covers. Slab words are looked at only where somebody wrote: to read
 * another would give it a page. Memory is punched without a look: the kernel
 * does not tell a page that was made and never written from a hole.
 */
#include "daemon/mem/reopen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/mem/backing.h"
#include "proto/shm/roots.h"
#include "proto/shm/scan.h"

struct walk {
	struct hakd_pool *pool;
	uint64_t
		next_words; /* offset of the first slab word, after those asked about, that has data */
	uint32_t free_from; /* those from here on are free, and are to be punched */
};

/* Has anybody ever written a slab word of it? True where the kernel doesn't tell. */
static bool has_words(struct walk *walk, uint32_t superslab)
{
	const struct hak_geometry *g = &walk->pool->segment.geometry;
	uint64_t bytes = g->slots_per_superslab * sizeof(hak_u64);
	uint64_t from = g->slab_words_at + superslab * bytes;

	if (walk->next_words < from) {
		off_t at = lseek(walk->pool->heap_fd, (off_t)from, SEEK_DATA); /* nobody uses it */

		walk->next_words = at >= 0 ? (uint64_t)at : errno == ENXIO ? UINT64_MAX : from;
	}
	return walk->next_words < from + bytes;
}

/* Relaxed in all of this file: the last writer is dead, and we are the only one. */
static bool is_body(const hak_u64 *head, uint32_t distance)
{
	uint64_t h = hak_load_relaxed(head), s = hak_load_relaxed(&head[distance]);
	/* A run that becomes nobody's does so from its end on. */
	bool is_leaving = hak_superslab_state(h) == HAK_SUPERSLAB_RECLAIMING &&
			  hak_superslab_owner(s) == HAK_HOLDER_NONE;

	return hak_superslab_state(s) == HAK_SUPERSLAB_BODY &&
	       hak_superslab_length(s) == distance &&
	       (hak_superslab_owner(s) == hak_superslab_owner(h) || is_leaving);
}

/* Is it a run of which each word says so, at a head that is none itself and not FREE? */
static bool is_run(const hak_u64 *head, uint32_t room)
{
	uint64_t s = hak_load_relaxed(head);
	uint32_t n = hak_superslab_length(s);

	if (n < 1 || n > room || (n > 1 && !hak_superslab_is_huge(s)))
		return false;
	for (uint32_t i = 1; i < n; i++)
		if (!is_body(head, i))
			return false;
	return true;
}

static int examine(const struct hakd_pool *pool)
{
	uint32_t total = pool->segment.geometry.n_superslabs;

	for (uint32_t i = 0; i < total;) {
		uint64_t s = hak_load_relaxed(&pool->superslabs[i]);
		enum hak_superslab_state state = hak_superslab_state(s);

		if (state == HAK_SUPERSLAB_FREE || state == HAK_SUPERSLAB_BODY) {
			i++;
			continue;
		}
		if (state > HAK_SUPERSLAB_ORPHAN || !is_run(&pool->superslabs[i], total - i)) {
			fprintf(stderr,
				"hakmemd: cannot take over the pool: its registry contradicts "
				"itself at SuperSlab %u (word %016llx)\n",
				i, (unsigned long long)s);
			return -EPROTO;
		}
		i += hak_superslab_length(s);
	}
	return 0;
}

/* A collected word keeps its epoch, and TAGGED. */
static bool is_reset(const struct hakd_pool *pool, uint32_t superslab)
{
	uint32_t per = pool->segment.geometry.slots_per_superslab;

	for (uint32_t slot = superslab * per; slot < (superslab + 1) * per; slot++) {
		uint64_t w = hak_load_relaxed(&pool->segment.slab_words[slot]);

		if ((w & ~HAK_SLAB_TAGGED) !=
		    hak_slab_pack(HAK_SLAB_UNUSED, hak_slab_epoch(w), HAK_HOLDER_NONE, 0))
			return false;
	}
	return true;
}

/* Nobody's. */
static void reset(struct walk *walk, uint32_t superslab)
{
	if (has_words(walk, superslab) && !is_reset(walk->pool, superslab))
		hakd_backing_reset(walk->pool, superslab, 1, true);
}

/*
 * What is free up to `end` loses its pages. Its tags are zero by now; they may have pages, of
 * one that came not to use them.
 */
static void punch(struct walk *walk, uint32_t end)
{
	if (end <= walk->free_from)
		return;
	hakd_backing_punch(walk->pool, walk->free_from, end - walk->free_from);
	hakd_backing_zero_tags(walk->pool, walk->free_from, end - walk->free_from);
}

/*
 * An orphan; if it was to be an heir's, it gets it whole, wherever the daemon died. The registry alone
 * says so: a slab word that names one says what somebody wrote, and is reset when it is looked at.
 */
static void settle_orphan(struct hakd_pool *pool, uint32_t at, uint64_t s)
{
	uint32_t per = pool->segment.geometry.slots_per_superslab;
	unsigned heir = hak_superslab_owner(s);

	if (hak_superslab_is_huge(s) || heir < HAK_HOLDER_FIRST ||
	    hak_holder_state(hak_load_relaxed(&pool->holders[heir].word)) == HAK_HOLDER_FREE) {
		pool->n_orphans += hak_superslab_length(s);
		return;
	}
	hak_scan_inherit(&pool->segment, at * per, (at + 1) * per, heir);
	hak_superslab_inherit(&pool->superslabs[at], heir);
}

/* A run of n is taken, whosever it is. */
static void take(struct walk *walk, uint32_t at, uint32_t n)
{
	memset(&walk->pool->states[at], HAKD_TAKEN, n);
	walk->pool->n_taken += n;
	punch(walk, at);
	walk->free_from = at + n;
}

/* One SuperSlab, or a run; how many. */
static uint32_t repair(struct walk *walk, uint32_t at)
{
	struct hakd_pool *pool = walk->pool;
	uint64_t s = hak_load_relaxed(&pool->superslabs[at]);
	uint32_t n = hak_superslab_length(s);

	switch (hak_superslab_state(s)) {
	case HAK_SUPERSLAB_FREE:
		n = 1;
		reset(walk, at);
		break;
	case HAK_SUPERSLAB_BODY:
		n = 1;
		reset(walk, at);
		hak_superslab_drop_body(&pool->superslabs[at]);
		take(walk, at, n);
		pool->n_collecting++;
		break;
	case HAK_SUPERSLAB_RECLAIMING:
		take(walk, at, n);
		pool->n_collecting += n;
		break;
	case HAK_SUPERSLAB_ORPHAN:
		settle_orphan(pool, at, s);
		take(walk, at, n);
		break;
	case HAK_SUPERSLAB_GRANTED:
		take(walk, at, n);
		break;
	}
	return n;
}

int hakd_reopen(struct hakd_pool *pool)
{
	struct walk walk = {.pool = pool};
	int r = examine(pool);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < pool->segment.geometry.n_superslabs;)
		i += repair(&walk, i);
	punch(&walk, pool->segment.geometry.n_superslabs);
	hak_roots_resume(&pool->segment, pool->roots);
	return 0;
}
