/* SPDX-License-Identifier: MIT */
/*
 * What is left where nothing should be: each block with all that the pool's words say
 * about it, and the name that is in it. It finds the mappings of the library by their sizes.
 */
#include "tests/support/run.h"

#include "tests/stress/soak/dump.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "proto/shm/segment.h"
#include "tests/support/ctl.h"

#define SHOWN_MAX 40u

static unsigned n_shown;

/* Where this process has mapped the first of that many bytes of a hakmem memfd. */
static void *find_mapping(const char *name)
{
	char line[512];
	void *found = NULL;
	FILE *maps = fopen("/proc/self/maps", "re");

	while (maps && !found && fgets(line, sizeof(line), maps))
		if (strstr(line, name))
			found = (void *)(uintptr_t)strtoull(line, NULL, 16);
	if (maps)
		fclose(maps);
	return found;
}

static void show(const struct hak_segment *s, uint32_t slot, uint64_t w, unsigned i, size_t at)
{
	const hak_u32 *tag = &hak_segment_tags(s, slot)[i];
	uint32_t t = w & HAK_SLAB_TAGGED ? hak_tag_load(tag) : 0;

	if (n_shown++ < SHOWN_MAX)
		fprintf(stderr,
			"soak: left: SuperSlab %" PRIu32 " (owner %u), slot %" PRIu32 ", W %" PRIx64
			" (state %d, owner %u, thread %" PRIu32 ", class %u%s), block %u at %zx, "
			"tag: state %d, holder %u, inc %u, name %" PRIx64 "\n",
			hak_segment_superslab_of(s, slot),
			hak_superslab_owner(hak_load_relaxed(
				&s->superslabs[hak_segment_superslab_of(s, slot)])),
			slot, w, (int)hak_slab_state(w), hak_slab_owner(w), hak_slab_thread(w),
			hak_slab_class(w), w & HAK_SLAB_TAGGED ? ", tagged" : "", i, at,
			(int)hak_tag_state(t), hak_tag_holder(t), hak_tag_inc(t),
			*(uint64_t *)(s->base + ((uint64_t)slot << HAK_SLOT_LG) + at));
}

void soak_dump(const char *socket)
{
	json_t *status = hakt_ctl(socket, "status");
	json_t *pool = json_array_get(json_object_get(status, "pools"), 0);
	struct hak_segment s;
	struct hak_geometry g;
	void *registry, *heap;

	if (hakmem_attach(NULL) < 0 ||
	    hak_geometry_init(&g,
			      (uint64_t)json_integer_value(json_object_get(pool, "capacity_bytes")),
			      21) < 0)
		_exit(1);
	registry = find_mapping("hakmem-registry");
	heap = find_mapping("hakmem-heap");
	if (!registry || !heap)
		_exit(1);
	hak_segment_init(&s, &g, registry, heap);
	for (uint32_t slot = 0; slot < g.n_superslabs * g.slots_per_superslab; slot++) {
		uint32_t superslab = hak_segment_superslab_of(&s, slot);
		uint64_t w;
		unsigned n;
		size_t bytes;

		if (hak_superslab_state(hak_load_acquire(&s.superslabs[superslab])) ==
		    HAK_SUPERSLAB_FREE) {
			slot |= g.slots_per_superslab - 1;
			continue;
		}
		w = hak_slab_load(&s.slab_words[slot]);
		if (hak_slab_state(w) != HAK_SLAB_ACTIVE && hak_slab_state(w) != HAK_SLAB_SPAN)
			continue;
		n = hak_slab_state(w) == HAK_SLAB_SPAN ? 1
						       : hak_classes[hak_slab_class(w)].n_blocks;
		bytes = n == 1 ? 0 : hak_classes[hak_slab_class(w)].size;
		for (unsigned i = 0; i < n; i++)
			if (!(hak_load_relaxed(&hak_segment_bits(&s, slot)[i / 64]) >> i % 64 & 1))
				show(&s, slot, w, i, i * bytes);
	}
	fprintf(stderr, "soak: left: %u blocks\n", n_shown);
	_exit(0);
}
