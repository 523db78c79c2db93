/* SPDX-License-Identifier: MIT */
/* Geometry of a pool and validation of its registry's header. */
#include "proto/shm/registry.h"

#include <errno.h>
#include <string.h>

#include "proto/shm/modules.h"
#include "proto/shm/roots.h"
#include "proto/shm/sample.h"

#define HUGE_PAGE (UINT64_C(1) << 21)

static uint64_t align_up(uint64_t value, uint64_t alignment)
{
	return (value + alignment - 1) & ~(alignment - 1);
}

/* FNV-1a, 64 bits: offset basis and prime from draft-eastlake-fnv. */
static uint64_t mix(uint64_t hash, uint64_t value)
{
	for (unsigned i = 0; i < 8; i++, value >>= 8)
		hash = (hash ^ (value & 0xff)) * UINT64_C(0x100000001b3);
	return hash;
}

uint64_t hak_layout_fingerprint(void)
{
	const uint64_t facts[] = {
		HAK_LAYOUT_VERSION,
		sizeof(struct hak_registry),
		offsetof(struct hak_registry, capacity),
		offsetof(struct hak_registry, asked),
		sizeof(struct hak_holder),
		offsetof(struct hak_holder, pid),
		HAK_HOLDER_COUNT,
		HAK_REGISTRY_ROOTS_AT,
		sizeof(struct hak_root),
		offsetof(struct hak_root, name),
		HAK_ROOT_COUNT,
		HAK_REGISTRY_SUPERSLABS_AT,
		HAK_SUPERSLAB_OWNER_SHIFT,
		HAK_SUPERSLAB_LENGTH_SHIFT,
		HAK_SUPERSLAB_GRANT_SHIFT,
		HAK_SLAB_THREAD_SHIFT,
		HAK_SLAB_CLASS_SHIFT,
		HAK_SLAB_EPOCH_SHIFT,
		HAK_SLAB_NAMED,
		HAK_SLAB_GUARDED,
		HAK_SLAB_SAMPLED,
		sizeof(struct hak_sample),
		sizeof(struct hak_module),
		HAK_TAG_HOLDER_SHIFT,
		HAK_TAG_INC_SHIFT,
		HAK_SLAB_BITS_WORDS,
		HAK_SLOT_LG,
		HAK_CLASS_COUNT,
		HAK_CLASS_BLOCKS,
		sizeof(struct hak_client_area),
		offsetof(struct hak_client_area, n_crossings),
		offsetof(struct hak_client_area, crossings),
		HAK_STAT_COUNT,
		HAK_REF_OFFSET_BITS,
		HAK_REF_EPOCH_BITS,
	};
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (unsigned i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		hash = mix(hash, facts[i]);
	for (unsigned cls = 0; cls < HAK_CLASS_COUNT; cls++)
		hash = mix(hash, (uint64_t)hak_classes[cls].size << 32 | hak_classes[cls].n_slots);
	return hash;
}

int hak_geometry_init(struct hak_geometry *geometry, uint64_t capacity, unsigned superslab_lg)
{
	if (superslab_lg < HAK_SUPERSLAB_LG_MIN || superslab_lg > HAK_SUPERSLAB_LG_MAX)
		return -EINVAL;
	if (capacity == 0 || capacity > HAK_CAPACITY_MAX || capacity % HUGE_PAGE != 0)
		return -EINVAL;

	struct hak_geometry g = {
		.capacity = capacity,
		.superslab_lg = superslab_lg,
		.n_superslabs = (uint32_t)(capacity >> superslab_lg),
		.slots_per_superslab = 1u << (superslab_lg - HAK_SLOT_LG),
		.n_slots = (uint32_t)(capacity >> HAK_SLOT_LG),
	};
	uint64_t at = 0;

	g.slab_words_at = at;
	at = align_up(at + (uint64_t)g.n_slots * sizeof(hak_u64), HAK_PAGE_BYTES);
	g.pending_at = at;
	at = align_up(at + (uint64_t)g.n_superslabs * sizeof(hak_u32), HAK_PAGE_BYTES);
	g.areas_at = at;
	at += HAK_HOLDER_COUNT * HAK_CLIENT_AREA_BYTES;
	g.bits_at = at;
	at += (uint64_t)g.n_slots * HAK_SLAB_BITS_WORDS * sizeof(hak_u64);
	g.tags_at = align_up(at, HAK_PAGE_BYTES);
	at = g.tags_at + (uint64_t)g.n_slots * HAK_CLASS_BLOCKS * sizeof(hak_u32);
	g.data_at = align_up(at, HUGE_PAGE);
	g.heap_bytes = g.data_at + capacity;
	g.registry_bytes = align_up(HAK_REGISTRY_SUPERSLABS_AT +
					    (uint64_t)g.n_superslabs * sizeof(hak_u64),
				    HAK_PAGE_BYTES);
	*geometry = g;
	return 0;
}

int hak_registry_validate(const struct hak_registry *header, uint64_t bytes,
			  struct hak_geometry *ret_geometry)
{
	struct hak_registry copy;
	struct hak_geometry geometry;
	int r;

	if (bytes < HAK_REGISTRY_SUPERSLABS_AT)
		return -EINVAL;
	memcpy(&copy, header, sizeof(copy));
	if (copy.magic != HAK_REGISTRY_MAGIC)
		return -EINVAL;
	if (copy.layout_version != HAK_LAYOUT_VERSION ||
	    copy.fingerprint != hak_layout_fingerprint())
		return -EPROTO;
	r = hak_geometry_init(&geometry, copy.capacity, copy.superslab_lg);
	if (r < 0)
		return r;
	if (geometry.registry_bytes != bytes || copy.base % HUGE_PAGE != 0)
		return -EINVAL;
	if (memchr(copy.pool_name, 0, sizeof(copy.pool_name)) == NULL)
		return -EINVAL;
	*ret_geometry = geometry;
	return 0;
}
