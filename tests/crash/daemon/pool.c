/* SPDX-License-Identifier: MIT */
/* Mappings of our own, for reading. */
#include "tests/crash/daemon/pool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/shm/check_roots.h"
#include "proto/shm/roots.h"

#define TOLD_MOST 5u

static struct hak_segment segment;
static const char *registry, *heap;
static int heap_file = -1;

static void *map(int fd)
{
	struct stat st;
	void *memory = MAP_FAILED;

	if (fstat(fd, &st) == 0)
		memory = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED || madvise(memory, (size_t)st.st_size, MADV_DONTFORK) != 0) {
		perror("crash-daemon: mapping the pool");
		exit(2);
	}
	return memory;
}

void hakt_crash_pool_init(int registry_fd, int heap_fd)
{
	struct hak_geometry g;
	struct stat st;

	registry = map(registry_fd);
	heap = map(heap_fd);
	heap_file = heap_fd;
	if (fstat(registry_fd, &st) != 0 ||
	    hak_registry_validate((const void *)registry, (uint64_t)st.st_size, &g) != 0) {
		fprintf(stderr, "crash-daemon: the registry is none\n");
		exit(2);
	}
	hak_segment_init(&segment, &g, (void *)(uintptr_t)registry, (void *)(uintptr_t)heap);
}

unsigned hakt_crash_pool_holder(pid_t pid)
{
	for (unsigned i = HAK_HOLDER_FIRST; i < HAK_HOLDER_COUNT; i++)
		/* [order:registry] Its pid was there before. */
		if (hak_holder_state(hak_load_acquire(&segment.holders[i].word)) ==
			    HAK_HOLDER_ATTACHED &&
		    segment.holders[i].pid == pid)
			return i;
	return HAK_HOLDER_NONE;
}

struct hakt_crash_counts hakt_crash_pool_count(void)
{
	struct hakt_crash_counts n = {0};

	for (unsigned i = HAK_HOLDER_FIRST; i < HAK_HOLDER_COUNT; i++) {
		/* [order:registry] */
		uint64_t word = hak_load_acquire(&segment.holders[i].word);

		n.attached += hak_holder_state(word) == HAK_HOLDER_ATTACHED;
		n.reclaiming_holders += hak_holder_state(word) == HAK_HOLDER_RECLAIMING;
	}
	for (uint32_t i = 0; i < segment.geometry.n_superslabs; i++) {
		/* [order:registry] */
		uint64_t s = hak_load_acquire(&segment.superslabs[i]);
		unsigned state = hak_superslab_state(s);

		n.granted += state == HAK_SUPERSLAB_GRANTED;
		n.reclaiming += state == HAK_SUPERSLAB_RECLAIMING;
		n.orphans += state == HAK_SUPERSLAB_ORPHAN;
	}
	return n;
}

static bool is_told;

static bool report(struct hak_audit *audit, const struct hak_finding *f)
{
	if (is_told && hak_check_anomalies(&audit->census) < TOLD_MOST)
		fprintf(stderr,
			"crash-daemon: %s: SuperSlab %" PRIu32 ", slot %" PRIu32 ", owner %u, word "
			"%016" PRIx64 "\n",
			hak_anomaly_texts[f->kind], f->superslab, f->slot, f->owner, f->word);
	return true; /* nothing is excused for a daemon that may be at work: it is looked at again */
}

uint64_t hakt_crash_pool_audit(uint64_t *ret_lost, bool tells)
{
	struct hak_audit audit = {.report = report};

	is_told = tells;
	for (uint32_t i = 0; i < segment.geometry.n_superslabs;)
		i += hak_audit_superslab(&segment, i, &audit);
	hak_audit_roots(&segment, &audit);
	*ret_lost = audit.lost.blocks;
	return hak_check_anomalies(&audit.census);
}

bool hakt_crash_pool_has_tags(void)
{
	const struct hak_geometry *g = &segment.geometry;
	uint64_t slots = (uint64_t)g->n_superslabs * g->slots_per_superslab;
	uint64_t end = g->tags_at + slots * HAK_CLASS_BLOCKS * sizeof(hak_u32);

	for (uint64_t at = g->tags_at; at < end;) {
		off_t data = lseek(heap_file, (off_t)at, SEEK_DATA);

		if (data < 0 || (uint64_t)data >= end)
			return false;
		at = (uint64_t)data;
		for (unsigned i = 0; i < HAK_PAGE_BYTES / sizeof(uint64_t); i++)
			if (((const uint64_t *)(const void *)(heap + at))[i] != 0)
				return true;
		at += HAK_PAGE_BYTES;
	}
	return false;
}

static uint64_t mix(uint64_t hash, const void *from, uint64_t bytes)
{
	const uint64_t *words = from;

	for (uint64_t i = 0; i < bytes / 8; i++)
		hash = (hash ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15) + (hash >> 29);
	return hash;
}

uint64_t hakt_crash_pool_hash(void)
{
	const struct hak_geometry *g = &segment.geometry;
	uint32_t n = g->n_superslabs * g->slots_per_superslab;
	uint64_t hash = mix(1, (const void *)segment.superslabs, g->n_superslabs * 8);

	hash = mix(hash, segment.holders, 16 * sizeof(segment.holders[0]));
	hash = mix(hash, registry + HAK_REGISTRY_ROOTS_AT, 4 * sizeof(struct hak_root));
	hash = mix(hash, (const void *)segment.pending, g->n_superslabs * 4);
	hash = mix(hash, (const void *)segment.slab_words, n * UINT64_C(8));
	for (uint32_t i = 0; i < n; i++) {
		uint64_t w = hak_load_relaxed(&segment.slab_words[i]); /* a glimpse */

		if (!(w & HAK_SLAB_TAGGED))
			continue;
		hash = mix(hash, (const void *)hak_segment_bits(&segment, i), 16);
		hash = mix(hash, (const void *)hak_segment_tags(&segment, i), 128);
	}
	return hash;
}
