/* SPDX-License-Identifier: MIT */
/*
 * The process's SuperSlabs: which slots are unused, cutting slabs and spans
 * out of them, asking the daemon for more and giving back what is too much.
 *
 * A SuperSlab is either cut into slots (owned[], unused[]) or the head of a
 * huge run, which is one span from its first slot to its last.
 */
#include "client_lib/heap.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "client_lib/session.h"

static struct hakc_heap *the_heap;
static pthread_once_t heap_once = PTHREAD_ONCE_INIT;

void *hakc_private_map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	if (madvise(memory, bytes, MADV_WIPEONFORK) != 0) {
		munmap(memory, bytes);
		return NULL;
	}
	return memory;
}

void hakc_private_unmap(void *memory, size_t bytes)
{
	if (memory)
		munmap(memory, bytes);
}

static void make_heap(void)
{
	static struct hakc_heap fallback; /* a child of a fork then shares our fate */

	the_heap = hakc_private_map(sizeof(*the_heap));
	if (!the_heap)
		the_heap = &fallback;
}

struct hakc_heap *hakc_heap(void)
{
	pthread_once(&heap_once, make_heap);
	return the_heap;
}

void hakc_list_push(struct hakc_heap *heap, uint32_t *head, uint32_t slot, enum hakc_list list)
{
	struct hakc_slab *slab = &heap->slabs[slot];

	slab->list = (uint8_t)list;
	slab->prev = 0;
	slab->next = *head;
	if (*head)
		heap->slabs[*head - 1].prev = slot + 1;
	*head = slot + 1;
}

void hakc_list_remove(struct hakc_heap *heap, uint32_t *head, uint32_t slot)
{
	struct hakc_slab *slab = &heap->slabs[slot];

	if (slab->prev)
		heap->slabs[slab->prev - 1].next = slab->next;
	else
		*head = slab->next;
	if (slab->next)
		heap->slabs[slab->next - 1].prev = slab->prev;
	slab->list = HAKC_LIST_NONE;
}

static size_t slabs_bytes(const struct hakc_heap *heap)
{
	return heap->segment.geometry.n_slots * sizeof(*heap->slabs);
}

static size_t table_bytes(const struct hakc_heap *heap)
{
	return heap->segment.geometry.n_superslabs * sizeof(uint32_t);
}

int hakc_heap_init(struct hakc_heap *heap)
{
	heap->slabs = hakc_private_map(slabs_bytes(heap));
	heap->unused = hakc_private_map(table_bytes(heap));
	heap->position = hakc_private_map(table_bytes(heap));
	heap->owned = hakc_private_map(table_bytes(heap));
	heap->n_owned = heap->n_granted = heap->n_stock = heap->room_hint = 0;
	memset(heap->unclaimed, 0, sizeof(heap->unclaimed));
	if (heap->slabs && heap->unused && heap->position && heap->owned)
		return 0;
	hakc_heap_deinit(heap);
	return -ENOMEM;
}

void hakc_heap_deinit(struct hakc_heap *heap)
{
	hakc_private_unmap(heap->slabs, slabs_bytes(heap));
	hakc_private_unmap(heap->unused, table_bytes(heap));
	hakc_private_unmap(heap->position, table_bytes(heap));
	hakc_private_unmap(heap->owned, table_bytes(heap));
	heap->slabs = NULL;
	heap->unused = heap->position = heap->owned = NULL;
}

static uint32_t all_slots(const struct hakc_heap *heap)
{
	return (uint32_t)((UINT64_C(1) << heap->segment.geometry.slots_per_superslab) - 1);
}

static void own(struct hakc_heap *heap, uint32_t superslab)
{
	heap->owned[heap->n_owned++] = superslab;
	heap->position[superslab] = heap->n_owned;
}

static void disown(struct hakc_heap *heap, uint32_t superslab)
{
	uint32_t at = heap->position[superslab] - 1;
	uint32_t last = heap->owned[--heap->n_owned];

	heap->owned[at] = last;
	heap->position[last] = at + 1;
	heap->position[superslab] = 0;
}

/* Asks for enough that a growing heap asks rarely: an eighth of what it has. */
static int refill(struct hakc_heap *heap)
{
	uint32_t granted[HAKC_REFILL_MAX];
	uint32_t n = 1 + heap->n_granted / 8;
	int r;

	hakc_count(heap, HAK_STAT_STAGE_3, 1);
	if (n > HAKC_REFILL_MAX)
		n = HAKC_REFILL_MAX;
	r = hakc_session_refill(heap, &n, granted);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < n; i++) {
		own(heap, granted[i]);
		heap->unused[granted[i]] = all_slots(heap);
		heap->n_granted++;
		heap->n_stock++;
	}
	return 0;
}

/* The first of n unused slots in a row at a multiple of step; -1: none. */
static int find_row(uint32_t unused, uint32_t n, uint32_t step, uint32_t slots)
{
	uint32_t row = (uint32_t)((UINT64_C(1) << n) - 1);

	if (unused == 0)
		return -1;
	for (uint32_t at = 0; at + n <= slots; at += step)
		if ((unused >> at & row) == row)
			return (int)at;
	return -1;
}

static bool take_row(struct hakc_heap *heap, uint32_t n, uint32_t step, uint32_t *ret_slot)
{
	uint32_t slots = heap->segment.geometry.slots_per_superslab;

	for (uint32_t i = 0; i < heap->n_owned; i++) {
		uint32_t at = (heap->room_hint + i) % heap->n_owned;
		uint32_t superslab = heap->owned[at];
		int first = find_row(heap->unused[superslab], n, step, slots);

		if (first < 0)
			continue;
		if (heap->unused[superslab] == all_slots(heap))
			heap->n_stock--;
		heap->unused[superslab] &= ~((uint32_t)((UINT64_C(1) << n) - 1) << first);
		heap->room_hint = at;
		*ret_slot = superslab * slots + (uint32_t)first;
		return true;
	}
	return false;
}

/* n slots in a row, the first at a multiple of step (1: anywhere), maybe from a refill. */
static int get_slots(struct hakc_heap *heap, uint32_t n, uint32_t step, uint32_t *ret_slot)
{
	while (!take_row(heap, n, step, ret_slot)) {
		int r = refill(heap);

		if (r < 0)
			return r;
	}
	return 0;
}

int hakc_heap_cut(struct hakc_heap *heap, unsigned cls, uint32_t thread, uint32_t *ret_slot)
{
	uint32_t slot;

	for (;;) {
		int r = get_slots(heap, hak_classes[cls].n_slots, 1, &slot);

		if (r < 0)
			return r;
		if (hak_slab_cut(&heap->segment.slab_words[slot],
				 hak_segment_bits(&heap->segment, slot), heap->holder, cls, thread))
			break;
		/* Somebody scribbled over the words of our slots: they stay out of use. */
	}
	hakc_count(heap, HAK_STAT_STAGE_2, 1);
	heap->slabs[slot] = (struct hakc_slab){.list = HAKC_LIST_NONE};
	*ret_slot = slot;
	return 0;
}

static int alloc_huge(struct hakc_heap *heap, uint64_t bytes, uint64_t alignment,
		      uint32_t *ret_slot)
{
	unsigned lg = heap->segment.geometry.superslab_lg;
	uint32_t n = (uint32_t)((bytes + (UINT64_C(1) << lg) - 1) >> lg);
	uint32_t head, slot;
	int r = hakc_session_refill_huge(heap, n, alignment, &head);

	if (r < 0)
		return r;
	slot = head * heap->segment.geometry.slots_per_superslab;
	if (!hak_slab_cut_span(&heap->segment.slab_words[slot],
			       hak_segment_bits(&heap->segment, slot), heap->holder,
			       n * heap->segment.geometry.slots_per_superslab)) {
		hakc_session_giveback(heap, &head, 1);
		return -ENOMEM;
	}
	own(heap, head);
	heap->unused[head] = 0;
	heap->n_granted += n;
	hakc_count(heap, HAK_STAT_HUGE, 1);
	*ret_slot = slot;
	return 0;
}

int hakc_heap_alloc_span(struct hakc_heap *heap, uint64_t bytes, uint64_t alignment,
			 uint32_t *ret_slot)
{
	uint64_t superslab = UINT64_C(1) << heap->segment.geometry.superslab_lg;
	uint32_t n = (uint32_t)((bytes + HAK_SLOT_BYTES - 1) >> HAK_SLOT_LG);
	uint32_t step = alignment > HAK_SLOT_BYTES ? (uint32_t)(alignment >> HAK_SLOT_LG) : 1;

	if (bytes > heap->segment.geometry.capacity)
		return -ENOMEM;
	if (bytes > superslab / 2 || alignment > superslab / 2)
		return alloc_huge(heap, bytes, alignment, ret_slot);
	for (;;) {
		int r = get_slots(heap, n, step, ret_slot);

		if (r < 0)
			return r;
		if (hak_slab_cut_span(&heap->segment.slab_words[*ret_slot],
				      hak_segment_bits(&heap->segment, *ret_slot), heap->holder, n))
			break;
	}
	hakc_count(heap, HAK_STAT_SPANS, 1);
	return 0;
}

void hakc_heap_return_stock(struct hakc_heap *heap, uint32_t keep)
{
	uint32_t batch[HAKC_REFILL_MAX];

	while (heap->n_stock > keep) {
		uint32_t n = 0;

		for (uint32_t i = heap->n_owned; i-- > 0 && n < HAKC_REFILL_MAX;) {
			uint32_t superslab = heap->owned[i];

			if (heap->unused[superslab] != all_slots(heap))
				continue;
			disown(heap, superslab);
			heap->unused[superslab] = 0;
			heap->n_granted--;
			batch[n++] = superslab;
			if (--heap->n_stock <= keep)
				break;
		}
		hakc_session_giveback(heap, batch, n);
	}
}

void hakc_heap_put_slots(struct hakc_heap *heap, uint32_t slot, uint32_t n_slots)
{
	uint32_t slots = heap->segment.geometry.slots_per_superslab;
	uint32_t superslab = slot / slots;

	heap->unused[superslab] |= (uint32_t)((UINT64_C(1) << n_slots) - 1) << slot % slots;
	if (heap->unused[superslab] != all_slots(heap))
		return;
	heap->n_stock++;
	if (heap->n_stock > HAKC_STOCK_MAX + heap->n_owned / 8)
		hakc_heap_return_stock(heap, HAKC_STOCK_MAX / 2);
}

bool hakc_heap_retire_span(struct hakc_heap *heap, uint32_t slot)
{
	hak_u64 *word = &heap->segment.slab_words[slot];
	uint32_t slots = heap->segment.geometry.slots_per_superslab;
	uint32_t n = hak_slab_arg(hak_slab_load(word));
	uint32_t superslab = slot / slots;

	if (n == 0 || n > heap->segment.geometry.n_slots - slot)
		return false;
	if (!hak_slab_retire_span(word, hak_segment_bits(&heap->segment, slot), heap->holder))
		return false;
	if (n < slots) {
		hakc_heap_put_slots(heap, slot, n);
		return true;
	}
	disown(heap, superslab);
	heap->n_granted -= n / slots;
	hakc_session_giveback(heap, &superslab, 1);
	return true;
}
