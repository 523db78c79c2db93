/* SPDX-License-Identifier: MIT */
/*
 * The process's SuperSlabs: which slots are unused, cutting slabs and spans
 * out of them, asking for more and giving back what is too much.
 *
 * A SuperSlab is either cut into slots or the head of a huge run, which is one
 * span from its first slot to its last. Those that are cut are filed by the
 * length of their longest row of unused slots, so a row is found by a look at
 * one word; the shortest that will do is taken, so whole ones stay whole.
 */
#include "client_lib/heap.h"

#include <errno.h>
#include <string.h>

#include "client_lib/list.h"
#include "client_lib/session.h"
#include "client_lib/stack.h"

/*
 * Of a new slab or span. The last who wrote to it may have been another thread, ordered before us by
 * another process that freed the span meanwhile; ThreadSanitizer doesn't see such an order.
 */
static void reset_record(struct hakc_slab *slab)
{
	slab->next = slab->prev = 0;
	slab->list = HAKC_LIST_NONE;
	slab->word = 0;
	hak_store_relaxed(&slab->keeper, 0); /* as above */
}

static size_t slabs_bytes(const struct hakc_heap *heap)
{
	return heap->segment.geometry.n_slots * sizeof(*heap->slabs);
}

static size_t superslabs_bytes(const struct hakc_heap *heap)
{
	return heap->segment.geometry.n_superslabs * sizeof(*heap->superslabs);
}

static size_t owned_bytes(const struct hakc_heap *heap)
{
	return heap->segment.geometry.n_superslabs * sizeof(*heap->owned);
}

int hakc_heap_init(struct hakc_heap *heap)
{
	heap->slabs = hakc_private_map(slabs_bytes(heap));
	heap->superslabs = hakc_private_map(superslabs_bytes(heap));
	heap->owned = hakc_private_map(owned_bytes(heap));
	heap->stock_max = HAKC_STOCK_FIRST;
	if (heap->slabs && heap->superslabs && heap->owned)
		return 0;
	hakc_heap_deinit(heap);
	return -ENOMEM;
}

void hakc_heap_deinit(struct hakc_heap *heap)
{
	hakc_private_unmap(heap->slabs, slabs_bytes(heap));
	hakc_private_unmap(heap->superslabs, superslabs_bytes(heap));
	hakc_private_unmap(heap->owned, owned_bytes(heap));
	heap->slabs = NULL;
	heap->superslabs = NULL;
	heap->owned = NULL;
	heap->n_owned = heap->n_granted = heap->n_unused = heap->hint_at = heap->n_stock = 0;
	heap->stock_low = 0;
	heap->decay = (struct hakc_decay){0};
	memset(heap->rows, 0, sizeof(heap->rows));
	heap->rows_used = 0;
	heap->has_returned = false;
	memset(heap->huge, 0, sizeof(heap->huge));
	heap->n_huge_kept = heap->n_late = 0;
	heap->is_asked = false;
	heap->extended = 0;
	memset(heap->unclaimed, 0, sizeof(heap->unclaimed));
	memset(heap->sampled, 0, sizeof(heap->sampled));
	hakc_stack_deinit(heap);
}

static uint32_t slots_of(const struct hakc_heap *heap)
{
	return heap->segment.geometry.slots_per_superslab;
}

static uint32_t row_mask(uint32_t first, uint32_t n)
{
	return (uint32_t)((UINT64_C(1) << n) - 1) << first;
}

static unsigned longest_row(uint32_t unused)
{
	uint32_t rows[6] = {unused}; /* where 1, 2, 4, ... unused slots in a row begin */
	unsigned lg = 0;
	unsigned n;

	if (unused == 0)
		return 0;
	for (; lg < 5 && (rows[lg + 1] = rows[lg] & rows[lg] >> (1u << lg)); lg++)
		;
	unused = rows[lg];
	n = 1u << lg;
	while (lg-- > 0 && n < HAKC_SLOTS_MAX) { /* behind those, half as many again? */
		uint32_t longer = unused & rows[lg] >> n;

		if (longer) {
			unused = longer;
			n += 1u << lg;
		}
	}
	return n;
}

/* The first of n unused slots in a row at a multiple of step, a power of two; -1: none. */
static int find_row(uint32_t unused, uint32_t n, uint32_t step)
{
	for (uint32_t length = 1; length < n;) {
		uint32_t more = length < n - length ? length : n - length;

		unused &= unused >> more;
		length += more;
	}
	for (uint32_t at = 0; step > 1 && at < HAKC_SLOTS_MAX; at++)
		if (at % step)
			unused &= ~(UINT32_C(1) << at);
	return unused ? __builtin_ctz(unused) : -1;
}

static void unfile(struct hakc_heap *heap, uint32_t index)
{
	struct hakc_superslab *s = &heap->superslabs[index];

	if (s->row == 0)
		return;
	if (s->prev)
		heap->superslabs[s->prev - 1].next = s->next;
	else
		heap->rows[s->row] = s->next;
	if (s->next)
		heap->superslabs[s->next - 1].prev = s->prev;
	if (!heap->rows[s->row])
		heap->rows_used &= ~(UINT64_C(1) << s->row);
	if (s->row == slots_of(heap) && --heap->n_stock < heap->stock_low)
		heap->stock_low = heap->n_stock;
	s->row = 0;
}

/* n slots of a SuperSlab change from used to unused or back; files it anew. */
static void change_slots(struct hakc_heap *heap, uint32_t index, uint32_t first, uint32_t n,
			 bool unused)
{
	struct hakc_superslab *s = &heap->superslabs[index];
	unsigned row;

	heap->n_unused += unused ? n : -n;
	s->unused ^= row_mask(first, n);
	row = longest_row(s->unused);
	if (row == s->row)
		return;
	unfile(heap, index);
	if (row == 0)
		return;
	s->row = (uint8_t)row;
	s->prev = 0;
	s->next = heap->rows[row];
	if (s->next)
		heap->superslabs[s->next - 1].prev = index + 1;
	heap->rows[row] = index + 1;
	heap->rows_used |= UINT64_C(1) << row;
	if (row == slots_of(heap))
		heap->n_stock++;
}

static void own(struct hakc_heap *heap, uint32_t index, uint32_t n, bool is_huge, bool zeroed)
{
	heap->owned[heap->n_owned++] = index;
	heap->n_granted += n;
	heap->superslabs[index] = (struct hakc_superslab){
		.position = heap->n_owned,
		.n = n,
		.is_huge = is_huge,
		.dirty = zeroed ? 0 : UINT32_MAX,
	};
}

static void disown(struct hakc_heap *heap, uint32_t index)
{
	uint32_t at = heap->superslabs[index].position - 1;
	uint32_t last = heap->owned[--heap->n_owned];

	heap->owned[at] = last;
	heap->superslabs[last].position = at + 1;
	heap->superslabs[index].position = 0;
	heap->n_granted -= heap->superslabs[index].n;
}

void hakc_heap_own(struct hakc_heap *heap, const uint32_t *superslabs, uint32_t n, bool zeroed)
{
	for (uint32_t i = 0; i < n; i++) {
		own(heap, superslabs[i], 1, false, zeroed);
		change_slots(heap, superslabs[i], 0, slots_of(heap), true);
	}
}

/* The slab or span at slot, which we have inherited with its SuperSlab: how long it is; 0: none. */
static uint32_t inherit(struct hakc_heap *heap, uint32_t slot, uint32_t room)
{
	hak_u64 *word = &heap->segment.slab_words[slot];
	hak_u64 *bits = hak_segment_bits(&heap->segment, slot);
	hak_u32 *tags = hak_segment_tags(&heap->segment, slot);
	uint64_t w = hak_slab_load(word);
	unsigned cls = hak_slab_class(w);
	bool is_span = hak_slab_state(w) == HAK_SLAB_SPAN;
	uint32_t n = 0;

	if (hak_slab_owner(w) == heap->holder && is_span)
		n = hak_slab_arg(w);
	else if (hak_slab_owner(w) == heap->holder && hak_slab_state(w) == HAK_SLAB_ACTIVE &&
		 cls < HAK_CLASS_COUNT)
		n = hak_classes[cls].n_slots;
	if (n == 0 || n > room)
		return 0;
	/* Its keeper stays: it is ours since its word says so, and a thread may have freed it already. */
	heap->slabs[slot].list = HAKC_LIST_NONE;
	/* Free by now, or a hint will come from who frees the last block. */
	if (is_span ? hak_slab_retire_span(word, bits, tags, heap->holder)
		    : hak_slab_is_empty(bits, hak_classes[cls].n_blocks) &&
			      hak_slab_retire(word, bits, tags, heap->holder, 0))
		return 0;
	if (!is_span && (w & HAK_SLAB_SAMPLED))
		hakc_list_push(heap, &heap->sampled[cls], slot, HAKC_LIST_SAMPLED);
	else if (!is_span)
		hakc_list_push(heap, &heap->unclaimed[cls], slot, HAKC_LIST_UNCLAIMED);
	return n;
}

void hakc_heap_inherit(struct hakc_heap *heap, const uint32_t *superslabs, uint32_t n)
{
	uint32_t per = slots_of(heap), used;

	for (uint32_t i = 0; i < n; i++) {
		own(heap, superslabs[i], 1, false, false);
		for (uint32_t at = 0; at < per; at += used ? used : 1) {
			used = inherit(heap, superslabs[i] * per + at, per - at);
			if (used == 0)
				change_slots(heap, superslabs[i], at, 1, true);
		}
	}
}

/* Asks for enough that a growing heap asks rarely: an eighth of what it has. */
static uint32_t refill_size(const struct hakc_heap *heap)
{
	uint32_t n = 1 + heap->n_granted / 8;

	return n < HAKC_REFILL_MAX ? n : HAKC_REFILL_MAX;
}

static int refill(struct hakc_heap *heap)
{
	if (heap->has_returned) { /* what we gave back, we want again: keep more */
		heap->stock_max = heap->stock_max * 4 < HAKC_STOCK_MAX ? heap->stock_max * 4
								       : HAKC_STOCK_MAX;
		heap->has_returned = false;
	}
	return hakc_session_refill(heap, refill_size(heap));
}

/* n slots in a row out of what we have; false: there is no such row. */
static bool take_row(struct hakc_heap *heap, uint32_t n, uint32_t step, uint32_t *ret_slot,
		     bool *ret_zeroed)
{
	for (uint64_t fits = heap->rows_used >> n << n; fits; fits &= fits - 1) {
		for (uint32_t at = heap->rows[__builtin_ctzll(fits)]; at;
		     at = heap->superslabs[at - 1].next) {
			struct hakc_superslab *s = &heap->superslabs[at - 1];
			int first = find_row(s->unused, n, step);

			if (first < 0)
				continue;

			uint32_t mask = row_mask((uint32_t)first, n);

			*ret_zeroed = !(s->dirty & mask);
			s->dirty |= mask;
			change_slots(heap, at - 1, (uint32_t)first, n, false);
			*ret_slot = (at - 1) * slots_of(heap) + (uint32_t)first;
			return true;
		}
	}
	return false;
}

/* The same, with a refill if need be; asks for the next one ahead of need. */
static int get_slots(struct hakc_heap *heap, uint32_t n, uint32_t step, uint32_t *ret_slot,
		     bool *ret_zeroed)
{
	while (!take_row(heap, n, step, ret_slot, ret_zeroed)) {
		int r = refill(heap);

		if (r < 0)
			return r;
	}
	if (heap->n_stock == 0 && heap->n_unused < slots_of(heap) / 2)
		hakc_session_ask_ahead(heap, refill_size(heap));
	return 0;
}

int hakc_heap_cut(struct hakc_heap *heap, unsigned cls, uint32_t thread, uint32_t *ret_slot)
{
	bool zeroed;
	uint32_t slot;

	do { /* a slot whose words somebody scribbled over stays out of use */
		int r = get_slots(heap, hak_classes[cls].n_slots, 1, &slot, &zeroed);

		if (r < 0)
			return r;
		/* Tags that it has already may be more from now on; of a span it is one. */
		if ((hak_slab_load(&heap->segment.slab_words[slot]) & HAK_SLAB_TAGGED) &&
		    hakc_session_back_tags(heap, slot, hak_classes[cls].n_blocks) < 0) {
			hakc_heap_put_slots(heap, slot, hak_classes[cls].n_slots);
			return -ENOMEM;
		}
	} while (!hak_slab_cut(&heap->segment.slab_words[slot],
			       hak_segment_bits(&heap->segment, slot), heap->holder, cls, thread));
	hakc_count_locked(heap, HAK_STAT_STAGE_2);
	reset_record(&heap->slabs[slot]);
	*ret_slot = slot;
	return 0;
}

static void forget_huge(struct hakc_heap *heap, uint32_t at)
{
	heap->n_huge_kept -= heap->huge[at].n;
	memmove(&heap->huge[at], &heap->huge[at + 1],
		(HAKC_HUGE_KEPT - 1 - at) * sizeof(heap->huge[0]));
	heap->huge[HAKC_HUGE_KEPT - 1].n = 0;
}

/* A kept run of n SuperSlabs, or of little more. */
static bool take_huge(struct hakc_heap *heap, uint32_t n, uint64_t alignment, uint32_t *ret_head,
		      uint32_t *ret_n)
{
	for (uint32_t i = 0; i < HAKC_HUGE_KEPT && heap->huge[i].n; i++) {
		uint32_t head = heap->huge[i].head;

		if (heap->huge[i].n < n || heap->huge[i].n > n + n / 8 ||
		    ((uint64_t)head << heap->segment.geometry.superslab_lg) & (alignment - 1))
			continue;
		*ret_head = head;
		*ret_n = heap->huge[i].n;
		forget_huge(heap, i);
		hakc_count_locked(heap, HAK_STAT_CACHED_HUGE);
		return true;
	}
	return false;
}

/* One that can't be given back now is found again by the next welcome. */
static void return_huge(struct hakc_heap *heap, uint32_t head)
{
	(void)hakc_session_is_up(heap); /* not in between: it would be found at once */
	disown(heap, head);
	hakc_session_giveback(heap, &head, 1);
}

/* A run whose block was freed: kept for the next of its size, or given back. */
static void put_huge(struct hakc_heap *heap, uint32_t head)
{
	uint32_t n = heap->superslabs[head].n;

	if (n > HAKC_HUGE_KEPT_MAX) {
		return_huge(heap, head);
		return;
	}
	for (uint32_t last = HAKC_HUGE_KEPT; last-- > 0;) {
		uint32_t oldest = heap->huge[last].head, length = heap->huge[last].n;

		if (length == 0)
			continue;
		if (last < HAKC_HUGE_KEPT - 1 && heap->n_huge_kept + n <= HAKC_HUGE_KEPT_MAX)
			break;
		forget_huge(heap, last);
		return_huge(heap, oldest);
	}
	memmove(&heap->huge[1], &heap->huge[0], (HAKC_HUGE_KEPT - 1) * sizeof(heap->huge[0]));
	heap->huge[0].head = head;
	heap->huge[0].n = n;
	heap->huge[0].slice = heap->decay.slice;
	heap->n_huge_kept += n;
}

static bool cut_span_at(struct hakc_heap *heap, uint32_t slot, uint32_t n_slots)
{
	return hak_slab_cut_span(&heap->segment.slab_words[slot],
				 hak_segment_bits(&heap->segment, slot),
				 hak_segment_tags(&heap->segment, slot), heap->holder, n_slots);
}

static int alloc_huge(struct hakc_heap *heap, uint64_t bytes, uint64_t alignment,
		      uint32_t *ret_slot, bool *ret_zeroed)
{
	unsigned lg = heap->segment.geometry.superslab_lg;
	uint32_t n = (uint32_t)((bytes + (UINT64_C(1) << lg) - 1) >> lg);
	uint32_t head, slot;

	*ret_zeroed = false;
	if (!take_huge(heap, n, alignment, &head, &n)) {
		int r = hakc_session_refill_huge(heap, n, alignment, &head, ret_zeroed);

		if (r < 0)
			return r;
		own(heap, head, n, true, false);
		hakc_count_locked(heap, HAK_STAT_HUGE);
	}
	slot = head * slots_of(heap);
	if (!cut_span_at(heap, slot, n * slots_of(heap))) {
		return_huge(heap, head);
		return -ENOMEM;
	}
	*ret_slot = slot;
	return 0;
}

int hakc_heap_alloc_span(struct hakc_heap *heap, uint64_t bytes, uint64_t alignment,
			 uint32_t *ret_slot, bool *ret_zeroed)
{
	uint64_t superslab = UINT64_C(1) << heap->segment.geometry.superslab_lg;
	uint32_t n = (uint32_t)((bytes + HAK_SLOT_BYTES - 1) >> HAK_SLOT_LG);
	uint32_t step = alignment > HAK_SLOT_BYTES ? (uint32_t)(alignment >> HAK_SLOT_LG) : 1;

	if (bytes > heap->segment.geometry.capacity)
		return -ENOMEM;
	if (bytes > superslab || alignment > superslab)
		return alloc_huge(heap, bytes, alignment, ret_slot, ret_zeroed);
	do {
		int r = get_slots(heap, n, step, ret_slot, ret_zeroed);

		if (r < 0)
			return r;
	} while (!cut_span_at(heap, *ret_slot, n));
	reset_record(&heap->slabs[*ret_slot]);
	hakc_count_locked(heap, HAK_STAT_SPANS);
	return 0;
}

void hakc_heap_return_stock(struct hakc_heap *heap, uint32_t keep)
{
	uint32_t *first = &heap->rows[slots_of(heap)];
	uint32_t left = heap->n_stock > keep ? heap->n_stock - keep : 0;
	uint32_t batch[HAKC_REFILL_MAX];

	while (left > 0 && hakc_session_is_up(heap)) { /* once each: they may stay ours */
		uint32_t n = 0;

		for (; left > 0 && n < HAKC_REFILL_MAX; left--) {
			uint32_t index = *first - 1;

			change_slots(heap, index, 0, slots_of(heap), false);
			disown(heap, index);
			batch[n++] = index;
		}
		hakc_session_giveback(heap, batch, n);
	}
}

void hakc_heap_return_runs(struct hakc_heap *heap, uint64_t slice)
{
	for (uint32_t at = HAKC_HUGE_KEPT; at-- > 0 && hakc_session_is_up(heap);) {
		uint32_t head = heap->huge[at].head;

		if (heap->huge[at].n == 0 || heap->huge[at].slice >= slice)
			continue;
		forget_huge(heap, at);
		return_huge(heap, head);
	}
}

/* Where the run of head is among the kept ones; HAKC_HUGE_KEPT: it is not. */
static uint32_t find_kept(const struct hakc_heap *heap, uint32_t head)
{
	uint32_t at = 0;

	while (at < HAKC_HUGE_KEPT && (heap->huge[at].n == 0 || heap->huge[at].head != head))
		at++;
	return at;
}

static bool is_unused(const struct hakc_heap *heap, uint32_t index)
{
	const struct hakc_superslab *s = &heap->superslabs[index];

	return s->is_huge ? find_kept(heap, index) < HAKC_HUGE_KEPT : s->row == slots_of(heap);
}

static void let_go(struct hakc_heap *heap, uint32_t index)
{
	if (heap->superslabs[index].is_huge)
		forget_huge(heap, find_kept(heap, index));
	else
		change_slots(heap, index, 0, slots_of(heap), false);
	disown(heap, index);
}

bool hakc_heap_make_way(struct hakc_heap *heap, uint32_t first, uint32_t n)
{
	uint32_t batch[HAKC_REFILL_MAX], n_batch = 0;

	for (uint32_t i = first; i < first + n;) {
		const struct hakc_superslab *s = &heap->superslabs[i];
		/* Relaxed: a guess, the daemon decides. */
		uint64_t fact = hak_load_relaxed(&heap->segment.superslabs[i]);

		if (s->position ? !is_unused(heap, i) || n_batch == HAKC_REFILL_MAX
				: hak_superslab_state(fact) != HAK_SUPERSLAB_FREE)
			return false;
		if (s->position)
			batch[n_batch++] = i;
		i += s->position ? s->n : 1;
	}
	if (n_batch > 0 && hakc_session_reach(heap) < 0)
		return false;
	for (uint32_t i = 0; i < n_batch; i++)
		let_go(heap, batch[i]);
	hakc_session_giveback(heap, batch, n_batch);
	return true;
}

void hakc_heap_put_slots(struct hakc_heap *heap, uint32_t slot, uint32_t n_slots)
{
	uint32_t most = heap->stock_max + heap->decay.spare;

	change_slots(heap, slot / slots_of(heap), slot % slots_of(heap), n_slots, true);
	if (heap->n_stock > most) {
		heap->has_returned = true;
		hakc_heap_return_stock(heap, most - heap->stock_max / 4);
	}
}

bool hakc_heap_retire_span(struct hakc_heap *heap, uint32_t slot)
{
	hak_u64 *word = &heap->segment.slab_words[slot];
	uint32_t n = hak_slab_arg(hak_slab_load(word));
	uint32_t index = slot / slots_of(heap);

	if (n == 0 || heap->superslabs[index].position == 0)
		return false;
	if (heap->superslabs[index].is_huge ? n != heap->superslabs[index].n * slots_of(heap)
					    : n > slots_of(heap) - slot % slots_of(heap))
		return false;
	if (!hak_slab_retire_span(word, hak_segment_bits(&heap->segment, slot),
				  hak_segment_tags(&heap->segment, slot), heap->holder))
		return false;
	if (heap->superslabs[index].is_huge)
		put_huge(heap, index);
	else
		hakc_heap_put_slots(heap, slot, n);
	return true;
}

bool hakc_heap_resize_span(struct hakc_heap *heap, uint32_t slot, uint32_t n_slots)
{
	hak_u64 *word = &heap->segment.slab_words[slot];
	uint32_t before = hak_slab_arg(hak_slab_load(word));
	uint32_t first = slot % slots_of(heap);
	struct hakc_superslab *s = &heap->superslabs[slot / slots_of(heap)];

	if (s->is_huge || before > slots_of(heap) - first || n_slots > slots_of(heap) - first)
		return false;

	uint32_t old = row_mask(first, before), new = row_mask(first, n_slots);

	if ((new & ~old & ~s->unused) != 0 || !hak_slab_resize_span(word, heap->holder, n_slots))
		return false;
	s->dirty |= new;
	if (n_slots > before)
		change_slots(heap, slot / slots_of(heap), first + before, n_slots - before, false);
	else
		change_slots(heap, slot / slots_of(heap), first + n_slots, before - n_slots, true);
	return true;
}
