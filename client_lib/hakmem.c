/* SPDX-License-Identifier: MIT */
/* The exported calls; what they mean is in hakmem.h, how they work in alloc.c and free.c. */
#include "client_lib/include/hakmem.h"

#include <errno.h>
#include <string.h>

#include "client_lib/alloc.h"
#include "client_lib/decay.h"
#include "client_lib/flush.h"
#include "client_lib/free.h"
#include "client_lib/pool.h"
#include "client_lib/resize.h"
#include "client_lib/root.h"
#include "client_lib/ticket.h"
#include "proto/shm/check.h"
#include "proto/shm/guard.h"

#define ALIGNMENT_MAX (UINT64_C(1) << 21)

const char *hakmem_version(void)
{
	return HAKMEM_VERSION;
}

int hakmem_attach(const struct hakmem_options *options)
{
	return hakc_pool_attach_first(options);
}

int hakmem_detach(void)
{
	if (hakc_self->heap)
		hakc_flush_all(hakc_self);
	return hakc_pool_detach_first();
}

void *hakmem_malloc(size_t size)
{
	return hakc_alloc(size);
}

void hakmem_free(void *block)
{
	hakc_free(block);
}

void *hakmem_calloc(size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return hakc_alloc_zeroed(bytes);
}

void *hakmem_aligned_alloc(size_t alignment, size_t size)
{
	if (alignment == 0 || (alignment & (alignment - 1)) || alignment > ALIGNMENT_MAX) {
		errno = EINVAL;
		return NULL;
	}
	return hakc_alloc_aligned(alignment, size);
}

size_t hakmem_usable_size(const void *block)
{
	int saved = errno;
	unsigned from = hakc_pool_visit(block);
	int error;
	const struct hakc_heap *heap = hakc_thread_reads(&error);
	struct hak_location l = {.place = HAK_PLACE_FOREIGN};
	size_t usable = 0;

	if (heap)
		l = hak_segment_locate(&heap->segment, (uintptr_t)block);
	if (l.place == HAK_PLACE_BLOCK)
		usable = hak_guard_usable(&heap->segment, &l);
	hakc_pool_return(from);
	errno = saved;
	return usable;
}

void *hakmem_realloc(void *block, size_t size)
{
	struct hak_location l;
	unsigned from;
	void *moved = NULL;

	if (!block)
		return hakc_alloc(size);
	from = hakc_pool_visit(block);
	l = hakc_locate(block);
	if (l.place == HAK_PLACE_BLOCK)
		moved = hakc_resize(&l, block, size);
	else
		errno = hakc_heap()->is_read_only ? EACCES : EINVAL;
	hakc_pool_return(from);
	return moved;
}

int hakmem_contains(const void *address)
{
	const struct hakc_heap *heap = hakc_self->heap ? hakc_self->heap : hakc_heap();

	return (heap->is_attached &&
		(uintptr_t)address - heap->segment.base < heap->segment.geometry.capacity) ||
	       hakc_pool_of(address) > 0;
}

hakmem_ref_t hakmem_ref(const void *block)
{
	int error = 0;
	unsigned from = hakc_pool_visit(block);
	struct hakc_thread *t = hakc_self->heap ? hakc_self : hakc_thread_get(&error);
	uint64_t ref = t ? hakc_ticket_make(t, block, &error) : HAK_REF_NONE;

	hakc_pool_return(from);
	if (ref == HAK_REF_NONE)
		errno = -error;
	return ref;
}

int hakmem_take(hakmem_ref_t ref, void **ret_block)
{
	int error;
	struct hakc_thread *t = hakc_self->heap ? hakc_self : hakc_thread_get(&error);

	return t ? hakc_ticket_take(t, ref, ret_block) : error;
}

static int find_owner(const void *block, int *ret_pid)
{
	int error;
	const struct hakc_heap *heap = hakc_thread_reads(&error);
	unsigned owner;

	if (!heap)
		return error;

	const struct hak_location l = hak_segment_locate(&heap->segment, (uintptr_t)block);

	owner = hakc_ticket_owner(heap, &l);
	if (owner == HAK_HOLDER_NONE)
		return -EINVAL;
	if (ret_pid)
		*ret_pid = owner == HAK_HOLDER_ROOT ? 0 : heap->segment.holders[owner].pid;
	if (owner == heap->holder)
		return HAKMEM_OWNER_SELF;
	return owner == HAK_HOLDER_ROOT ? HAKMEM_OWNER_ROOT : HAKMEM_OWNER_OTHER;
}

int hakmem_owner(const void *block, int *ret_pid)
{
	unsigned from = hakc_pool_visit(block);
	int r = find_owner(block, ret_pid);

	hakc_pool_return(from);
	return r;
}

/* What the quick look did not find, in all its forms. */
static void *find_ref(hakmem_ref_t ref)
{
	int error;
	const struct hakc_heap *heap = hakc_thread_reads(&error);

	if (!heap) {
		errno = -error;
		return NULL;
	}

	const struct hak_location l = hak_segment_locate_offset(&heap->segment,
								hak_ref_offset(ref));

	if (hak_ref_epoch(ref) == 0 || l.place == HAK_PLACE_FOREIGN) {
		errno = EINVAL;
		return NULL;
	}
	if (l.place != HAK_PLACE_BLOCK || hak_slab_epoch(l.word) != hak_ref_epoch(ref)) {
		errno = ESTALE;
		return NULL;
	}
	return (void *)(heap->segment.base + l.start);
}

void *hakmem_ptr(hakmem_ref_t ref)
{
	uint64_t w;

	if (hakc_thread_sees_block(hakc_self, hak_ref_offset(ref), &w) &&
	    hak_slab_epoch(w) == hak_ref_epoch(ref))
		return (void *)(hakc_self->base + hak_ref_offset(ref));
	return find_ref(ref);
}

int hakmem_root_publish(const char *name, hakmem_ref_t ref)
{
	return hakmem_root_publish_list(name, &ref, 1);
}

int hakmem_root_publish_list(const char *name, const hakmem_ref_t *refs, size_t n)
{
	int error;
	struct hakc_thread *t = hakc_thread_get(&error);

	return t ? hakc_root_publish(t->heap, name, refs, n) : error;
}

int hakmem_root_lookup(const char *name, hakmem_ref_t *ret_ref)
{
	int error;
	const struct hakc_heap *heap = hakc_thread_reads(&error);

	return heap ? hakc_root_lookup(heap, name, ret_ref) : error;
}

int hakmem_root_withdraw(const char *name, hakmem_ref_t *ret_ref)
{
	int error;
	struct hakc_thread *t = hakc_thread_get(&error);

	return t ? hakc_root_withdraw(t->heap, name, ret_ref) : error;
}

int hakmem_is_at_base(void)
{
	int error;
	const struct hakc_heap *heap = hakc_thread_reads(&error);

	return heap ? heap->is_at_base : error;
}

int hakmem_trim(void)
{
	int error;
	struct hakc_thread *t = hakc_thread_get(&error);

	if (!t)
		return error;
	hakc_decay_give_all(t, true);
	return 0;
}

static void fill_stats(struct hakc_heap *heap, struct hakmem_stats *stats)
{
	struct hak_census census = {0};
	uint64_t counters[HAK_STAT_COUNT];

	for (unsigned i = 0; i < HAK_STAT_COUNT; i++) { /* relaxed: only shown */
		counters[i] = hak_load_relaxed(&heap->area->counters[i]);
		for (uint32_t k = 0; k < heap->n_threads; k++)
			counters[i] += hak_load_relaxed(&heap->threads[k]->counts[i]);
	}
	for (uint32_t i = 0; i < heap->n_owned; i++)
		hak_check_superslab(&heap->segment, heap->owned[i], &census);
	*stats = (struct hakmem_stats){
		.superslabs = heap->n_granted,
		.superslab_bytes = UINT64_C(1) << heap->segment.geometry.superslab_lg,
		.live_blocks = census.live_blocks,
		.live_bytes = census.live_bytes,
		.claims = counters[HAK_STAT_CLAIMS],
		.frees = counters[HAK_STAT_FREES],
		.refills = counters[HAK_STAT_STAGE_3],
		.remote_frees = counters[HAK_STAT_REMOTE_FREES],
		.refused_frees = counters[HAK_STAT_DOUBLE_FREES] +
				 counters[HAK_STAT_INVALID_FREES] +
				 counters[HAK_STAT_FOREIGN_FREES],
		.out_of_memory = counters[HAK_STAT_OUT_OF_MEMORY],
		.overflows = counters[HAK_STAT_OVERFLOWS],
	};
}

int hakmem_stats(struct hakmem_stats *ret_stats, size_t bytes)
{
	struct hakc_heap *heap = hakc_heap();
	struct hakmem_stats stats;
	int r = 0;

	pthread_mutex_lock(&heap->lock);
	if (heap->is_attached)
		fill_stats(heap, &stats);
	else
		r = -ENOTCONN;
	pthread_mutex_unlock(&heap->lock);
	if (r < 0)
		return r;
	memset(ret_stats, 0, bytes);
	memcpy(ret_stats, &stats, bytes < sizeof(stats) ? bytes : sizeof(stats));
	return 0;
}
