/* SPDX-License-Identifier: MIT */
/*
 * A run grows by what the daemon grants behind it and shrinks by giving back its
 * end; its block stays where it is. What is behind is looked at first, so that
 * the daemon is not asked in vain; it decides all the same. An answer that comes
 * too late is not taken in: the daemon's run is longer than ours then, which
 * shows when we ask again, or after the next welcome; else it goes back whole.
 *
 * | to grow                            | client killed after it    | daemon gone after it       |
 * |------------------------------------|---------------------------|----------------------------|
 * | kept ones that are in the way go   | less is collected         | the next welcome finds     |
 * | back                               |                           | them: the block moves      |
 * | the daemon is asked, and backs     | it ends the job, then all | the next one is asked      |
 * | what is behind                     | is collected              |                            |
 * | it commits: see superslab.h        | the longer run is         | likewise, and answers that |
 * |                                    | collected                 | it is so long already      |
 * | we know the new length, and write  | likewise; bodies that no  | nothing more is needed     |
 * | the bodies                         | head covers               | from it                    |
 * | the head's W                       | likewise                  | likewise                   |
 *
 * | to shrink                          | client killed after it    | daemon gone after it       |
 * |------------------------------------|---------------------------|----------------------------|
 * | the head's W                       | the longer run is         | the next welcome finds the |
 * |                                    | collected                 | end, and it goes back      |
 * | we know the new length             | likewise                  | likewise                   |
 * | the daemon is told, and commits:   | it ends the job, then the | likewise                   |
 * | see superslab.h                    | rest is collected         |                            |
 */
#include "client_lib/run.h"

#include "client_lib/session.h"

static uint32_t slots_of(const struct hakc_heap *heap)
{
	return heap->segment.geometry.slots_per_superslab;
}

/* The record of the run that has its block at slot; NULL: it is none of ours. */
static struct hakc_superslab *find_run(struct hakc_heap *heap, uint32_t slot)
{
	struct hakc_superslab *s = &heap->superslabs[slot / slots_of(heap)];
	uint64_t w = hak_slab_load(&heap->segment.slab_words[slot]);

	if (slot % slots_of(heap) != 0 || !s->position || !s->is_huge ||
	    hak_slab_state(w) != HAK_SLAB_SPAN || hak_slab_owner(w) != heap->holder ||
	    hak_slab_arg(w) != s->n * slots_of(heap))
		return NULL;
	return s;
}

static void set_length(struct hakc_heap *heap, struct hakc_superslab *s, uint32_t n)
{
	heap->n_granted += n - s->n;
	s->n = n;
}

bool hakc_run_make_way(struct hakc_heap *heap, uint32_t slot, uint32_t n)
{
	const struct hakc_superslab *s = find_run(heap, slot);
	uint32_t head = slot / slots_of(heap);

	if (!s || n == 0 || n > heap->segment.geometry.n_superslabs - head ||
	    n > HAK_SLAB_ARG_MAX / slots_of(heap))
		return false;
	return n <= s->n || hakc_heap_make_way(heap, head + s->n, n - s->n);
}

static bool grow(struct hakc_heap *heap, uint32_t slot, struct hakc_superslab *s, uint32_t n)
{
	uint32_t head = slot / slots_of(heap), before = s->n;

	if (hakc_session_extend(heap, head, n) < 0)
		return false;
	set_length(heap, s, n);
	if (hak_slab_resize_span(&heap->segment.slab_words[slot], heap->holder, n * slots_of(heap)))
		return true;
	/* Words that somebody scribbled over: it has to stay as it was. */
	set_length(heap, s, before);
	hakc_session_giveback_end(heap, head, before);
	return false;
}

/* If the daemon can't be told, the next welcome finds that the run is longer than it should be. */
static bool shrink(struct hakc_heap *heap, uint32_t slot, struct hakc_superslab *s, uint32_t n)
{
	if (!hak_slab_resize_span(&heap->segment.slab_words[slot], heap->holder,
				  n * slots_of(heap)))
		return false;
	set_length(heap, s, n);
	hakc_session_giveback_end(heap, slot / slots_of(heap), n);
	return true;
}

bool hakc_run_resize(struct hakc_heap *heap, uint32_t slot, uint32_t n)
{
	struct hakc_superslab *s = find_run(heap, slot);

	if (!s || n == 0)
		return false;
	if (n > s->n)
		return grow(heap, slot, s, n);
	return n == s->n || shrink(heap, slot, s, n);
}
