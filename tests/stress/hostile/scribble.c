/* SPDX-License-Identifier: MIT */
/* Words of the heap, at random and aimed, and its file. Orders don't matter: nothing is promised. */
#include "tests/stress/hostile/hostile.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static void put(struct hostile_client *client, hak_u64 *word, uint64_t value)
{
	hak_store_relaxed(word, value);
	hak_add_relaxed(&client->table->scribbles, 1);
}

static void put_tag(struct hostile_client *client, hak_u32 *word, uint32_t value)
{
	hak_store_relaxed(word, value);
	hak_add_relaxed(&client->table->scribbles, 1);
}

static uint32_t pick_slot(struct hostile_client *client)
{
	uint32_t per = client->segment.geometry.slots_per_superslab;

	return hostile_superslab(client) * per + hostile_pick(client) % per;
}

/* A slab word that says something, which is wrong in most cases. */
static uint64_t make_word(struct hostile_client *client, uint32_t slot)
{
	const struct hak_geometry *g = &client->segment.geometry;
	uint32_t in = slot % g->slots_per_superslab;
	uint64_t r = hostile_pick(client), w;
	const uint32_t args[] = {0,
				 1,
				 2,
				 in,
				 in + 1,
				 g->slots_per_superslab - in,
				 g->slots_per_superslab - in + 1,
				 slot,
				 slot + 1,
				 g->n_slots - slot,
				 g->n_slots - slot + 1,
				 HAK_SLAB_ARG_MAX,
				 (uint32_t)(r >> 40)};
	uint32_t arg = args[(r >> 8) % (sizeof(args) / sizeof(args[0]))];

	switch (r % 8) {
	case 0:
		return hostile_number(client);
	case 1:
	case 2:
	case 3: /* mostly of a class that there is */
		arg = (uint32_t)((r >> 16) % (HAK_CLASS_COUNT + 2)) << 16 | (r >> 32 & 1 ? 0 : arg);
		w = hak_slab_pack(HAK_SLAB_ACTIVE, r >> 40 & HAK_REF_EPOCH_MAX,
				  hostile_holder(client), arg);
		break;
	default:
		w = hak_slab_pack((enum hak_slab_state)((r >> 4) % 5), r >> 40 & HAK_REF_EPOCH_MAX,
				  hostile_holder(client), arg);
	}
	return w | (r >> 50 & 1 ? HAK_SLAB_TAGGED : 0) | (r >> 51 & 1 ? HAK_SLAB_NAMED : 0);
}

static void scribble_slab_word(struct hostile_client *client)
{
	uint32_t slot = pick_slot(client);

	put(client, &client->segment.slab_words[slot], make_word(client, slot));
}

/* The words of a SuperSlab as its owner could have them, but for what they say. */
static void scribble_superslab(struct hostile_client *client)
{
	uint32_t per = client->segment.geometry.slots_per_superslab;
	uint32_t first = hostile_superslab(client) * per;

	for (uint32_t i = 0; i < per; i++)
		put(client, &client->segment.slab_words[first + i], make_word(client, first + i));
}

static void scribble_bits(struct hostile_client *client)
{
	hak_u64 *bits = hak_segment_bits(&client->segment, pick_slot(client));
	uint64_t r = hostile_pick(client), value = r % 3 == 0 ? 0 : r % 3 == 1 ? UINT64_MAX : r;

	for (unsigned i = (r >> 8) % HAK_SLAB_BITS_WORDS; i < HAK_SLAB_BITS_WORDS; i++)
		put(client, &bits[i], value);
}

/* Tags that name all holders, or one, in a slab that says that it has tags. */
static void scribble_tags(struct hostile_client *client)
{
	uint32_t slot = pick_slot(client);
	hak_u64 *word = &client->segment.slab_words[slot];
	hak_u32 *tags = hak_segment_tags(&client->segment, slot);
	uint64_t r = hostile_pick(client);
	unsigned holder = hostile_holder(client);

	put(client, word, hak_load_relaxed(word) | HAK_SLAB_TAGGED);
	for (unsigned i = 0; i < HAK_CLASS_BLOCKS; i++)
		put_tag(client, &tags[i],
			r % 4 == 0 ? (uint32_t)hostile_pick(client)
				   : hak_tag_pack((enum hak_tag_state)(r >> 8 & 3),
						  r % 4 == 1 ? i : holder, (unsigned)(r >> 16)));
}

static void scribble_hints(struct hostile_client *client)
{
	put_tag(client, &client->segment.pending[hostile_superslab(client)],
		(uint32_t)hostile_number(client));
}

static void scribble_area(struct hostile_client *client)
{
	struct hak_client_area *area = &client->segment.areas[hostile_holder(client)];
	uint64_t r = hostile_pick(client), value = hostile_number(client);

	switch (r % 4) {
	case 0:
		put(client, &area->n_crossings, value);
		break;
	case 1:
		put(client, &area->counters[(r >> 8) % 504], value);
		break;
	case 2: /* as many in a crossing as there can be */
		put(client, &area->n_crossings, HAK_CROSSINGS);
		for (unsigned i = 0; i < HAK_CROSSINGS; i++)
			put(client, &area->crossings[i], value | 1);
		break;
	default:
		put(client, &area->crossings[(r >> 8) % HAK_CROSSINGS], value);
	}
}

/* Anywhere, where somebody has written already. */
static void scribble_anywhere(struct hostile_client *client)
{
	uint64_t bytes = client->segment.geometry.heap_bytes;
	off_t at = lseek(client->fds[1], (off_t)(hostile_pick(client) % bytes), SEEK_DATA);

	if (at < 0)
		return;
	at += (off_t)(hostile_pick(client) % HAK_PAGE_BYTES);
	put(client, (hak_u64 *)(void *)(client->heap + (at & ~(off_t)7)), hostile_number(client));
}

/* One word again and again, while somebody may be looking at it. */
static void scribble_in_a_race(struct hostile_client *client)
{
	uint32_t slot = pick_slot(client);
	uint64_t r = hostile_pick(client), n = r % 200000;
	uint64_t a = make_word(client, slot), b = make_word(client, slot);
	hak_u64 *word = &client->segment.slab_words[slot];
	hak_u32 *tag = &hak_segment_tags(&client->segment, slot)[(r >> 32) % HAK_CLASS_BLOCKS];
	unsigned holder = hostile_holder(client);

	if (r >> 63) {
		for (uint64_t i = 0; i < n; i++)
			put(client, word, i % 2 ? a : b);
		return;
	}
	put(client, word, hak_load_relaxed(word) | HAK_SLAB_TAGGED);
	for (uint64_t i = 0; i < n; i++)
		put_tag(client, tag, hak_tag_pack(HAK_TAG_OWNED, holder, (unsigned)i));
}

static void note_breach(struct hostile_client *client, bool is_breach, const char *what)
{
	if (!is_breach)
		return;
	fprintf(stderr, "hostile: a client could %s\n", what);
	hak_add_relaxed(&client->table->breaches, 1);
}

/* What the file's seals and modes forbid. */
static void break_in(struct hostile_client *client)
{
	const struct hak_geometry *g = &client->segment.geometry;
	uint64_t word = hostile_number(client);

	note_breach(client, ftruncate(client->fds[1], (off_t)HAK_PAGE_BYTES) == 0,
		    "make the heap shorter");
	note_breach(client, ftruncate(client->fds[1], (off_t)(2 * g->heap_bytes)) == 0,
		    "make the heap longer");
	note_breach(client, fcntl(client->fds[1], F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0,
		    "seal the heap");
	note_breach(client, pwrite(client->fds[0], &word, sizeof(word), 0) >= 0,
		    "write to the registry's file");
	note_breach(client, mprotect(client->registry, HAK_PAGE_BYTES, PROT_READ | PROT_WRITE) == 0,
		    "write to the registry");
	hak_add_relaxed(&client->table->scribbles, 5);
}

/* Pages come and go under everybody. */
static void change_file(struct hostile_client *client)
{
	const struct hak_geometry *g = &client->segment.geometry;
	uint64_t r = hostile_pick(client), bytes = (1 + (r >> 8) % 64) * HAK_PAGE_BYTES;
	uint64_t places[] = {g->slab_words_at,
			     g->pending_at,
			     g->areas_at + hostile_holder(client) * HAK_CLIENT_AREA_BYTES,
			     g->bits_at + hostile_superslab(client) * UINT64_C(16384),
			     g->tags_at + hostile_superslab(client) * UINT64_C(524288),
			     g->data_at + ((uint64_t)hostile_superslab(client) << g->superslab_lg)};
	uint64_t at = places[(r >> 16) % 6] & ~(HAK_PAGE_BYTES - 1);
	int mode = r % 3 ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE : 0;

	if (at + bytes > g->heap_bytes)
		bytes = g->heap_bytes - at;
	(void)fallocate(client->fds[1], mode, (off_t)at, (off_t)bytes);
	(void)lseek(client->fds[1], (off_t)(r >> 20), SEEK_SET); /* the daemon's position too */
	hak_add_relaxed(&client->table->scribbles, 2);
}

void hostile_scribble(struct hostile_client *client)
{
	static void (*const kinds[])(struct hostile_client *) = {scribble_slab_word,
								 scribble_slab_word,
								 scribble_superslab,
								 scribble_superslab,
								 scribble_bits,
								 scribble_tags,
								 scribble_tags,
								 scribble_hints,
								 scribble_area,
								 scribble_anywhere,
								 change_file,
								 scribble_in_a_race,
								 break_in};
	uint64_t r = hostile_pick(client);
	unsigned kind = r % (sizeof(kinds) / sizeof(kinds[0]));
	unsigned n = kinds[kind] == scribble_in_a_race || kinds[kind] == break_in
			     ? 1
			     : 1 + (r >> 8) % (r >> 24 & 1 ? 10 : 500);

	for (unsigned i = 0; i < n; i++)
		kinds[kind](client);
}
