/* SPDX-License-Identifier: MIT */
/*
 * The walk of a reader. It doesn't map the pool, it reads the files: a copy can't change while it
 * is looked at, a hole that is read stays a hole (a page that is touched becomes memory), and a
 * file whose memory has run out is an error and no SIGBUS.
 *
 * Of a SuperSlab: its word in the registry, its slab words, their free bits, of TAGGED slabs the
 * tags, and the registry's word again. If that has changed, or a slab word can't be, which it can't
 * while it is being cut, all of it is looked at again, a few times.
 */
#include "client_lib/ctl/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOKS	      4u
#define BITS_BYTES    (HAK_SLAB_BITS_WORDS * sizeof(uint64_t))
#define TAGS_BYTES    (HAK_CLASS_BLOCKS * sizeof(uint32_t))
#define NOBODY_S_NAME "?"

/* What is read of a SuperSlab. */
struct room {
	uint64_t words[HAKC_ROW_CELLS_MAX];
	uint64_t bits[HAKC_ROW_CELLS_MAX][HAK_SLAB_BITS_WORDS];
	uint32_t tags[HAK_CLASS_BLOCKS];
	uint32_t counts[HAK_HOLDER_COUNT]; /* blocks of a cell, by holders; all 0 between cells */
	struct hakc_row row;
};

_Static_assert(HAKC_ROW_CELLS_MAX == 1u << (HAK_SUPERSLAB_LG_MAX - HAK_SLOT_LG),
	       "a cell a slot of the largest SuperSlab");

/* All of it, or -EPROTO: the file is shorter; or a negative errno. */
static int read_at(int fd, void *ret_bytes, size_t n, uint64_t at)
{
	char *to = ret_bytes;

	while (n > 0) {
		ssize_t got = pread(fd, to, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EPROTO;
		to += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

static int read_registry(struct hakc_view *view)
{
	struct hak_registry header;
	struct stat st;
	int r;

	if (fstat(view->registry_fd, &st) != 0)
		return -errno;
	r = read_at(view->registry_fd, &header, sizeof(header), 0);
	if (r == 0)
		r = hak_registry_validate(&header, (uint64_t)st.st_size, &view->geometry);
	if (r < 0)
		return r == -EINVAL ? -EPROTO : r;
	if (fstat(view->heap_fd, &st) != 0)
		return -errno;
	if ((uint64_t)st.st_size != view->geometry.heap_bytes)
		return -EPROTO;
	memcpy(view->pool, header.pool_name, sizeof(view->pool) - 1);
	view->profile = hak_load_relaxed(&header.profile); /* of our copy */
	view->holders = malloc(HAK_HOLDER_COUNT * sizeof(*view->holders));
	view->superslabs = malloc(view->geometry.n_superslabs * sizeof(*view->superslabs));
	view->room = calloc(1, sizeof(struct room));
	if (!view->holders || !view->superslabs || !view->room)
		return -ENOMEM;
	r = read_at(view->registry_fd, view->holders, HAK_HOLDER_COUNT * sizeof(*view->holders),
		    HAK_REGISTRY_HOLDERS_AT);
	if (r == 0)
		r = read_at(view->registry_fd, view->superslabs,
			    view->geometry.n_superslabs * sizeof(*view->superslabs),
			    HAK_REGISTRY_SUPERSLABS_AT);
	return r;
}

int hakc_view_init(struct hakc_view *view, int registry_fd, int heap_fd)
{
	int r;

	*view = (struct hakc_view){.registry_fd = registry_fd, .heap_fd = heap_fd};
	r = read_registry(view);
	if (r < 0)
		hakc_view_deinit(view);
	return r;
}

void hakc_view_deinit(struct hakc_view *view)
{
	free(view->holders);
	free(view->superslabs);
	free(view->room);
	view->holders = NULL;
	view->superslabs = NULL;
	view->room = NULL;
}

const uint64_t *hakc_view_bits(const struct hakc_view *view, const struct hakc_cell *cell)
{
	const struct room *room = (const void *)view->room;

	return room->bits[cell->slot % HAKC_ROW_CELLS_MAX];
}

int hakc_view_read(const struct hakc_view *view, void *ret_bytes, size_t n, uint64_t at)
{
	return read_at(view->heap_fd, ret_bytes, n, at);
}

const char *hakc_view_name(const struct hakc_view *view, unsigned holder)
{
	if (holder == HAK_HOLDER_ROOT)
		return "(roots)";
	if (holder >= HAK_HOLDER_COUNT ||
	    !memchr(view->holders[holder].name, 0, sizeof(view->holders[holder].name)) ||
	    view->holders[holder].name[0] == 0)
		return NOBODY_S_NAME;
	return view->holders[holder].name;
}

int32_t hakc_view_pid(const struct hakc_view *view, unsigned holder)
{
	return holder >= HAK_HOLDER_FIRST && holder < HAK_HOLDER_COUNT ? view->holders[holder].pid
								       : 0;
}

const char *hakc_row_text(enum hakc_row_kind kind)
{
	static const char *const texts[] = {"free", "warm", "granted", "orphan", "dead", "waiting"};

	_Static_assert(sizeof(texts) / sizeof(texts[0]) == HAKC_ROW_KINDS, "a text a kind");
	return texts[kind];
}

const char *hakc_cell_text(enum hakc_cell_kind kind)
{
	static const char *const texts[] = {"slab", "span", "damaged"};

	return texts[kind];
}

/* How many slots of the row a slab or span has by its word; 0: the word can't be. */
static uint32_t length_of(uint64_t w, uint32_t left)
{
	uint32_t n = 0;

	if (hak_slab_state(w) == HAK_SLAB_SPAN)
		n = hak_slab_arg(w);
	else if (hak_slab_state(w) == HAK_SLAB_ACTIVE && hak_slab_class(w) < HAK_CLASS_COUNT)
		n = hak_classes[hak_slab_class(w)].n_slots;
	return n <= left ? n : 0;
}

/* Unused slots, and bodies without a head, which are. */
static bool is_unused(uint64_t w)
{
	return hak_slab_state(w) == HAK_SLAB_UNUSED || hak_slab_state(w) == HAK_SLAB_BODY;
}

/* Live blocks by who owns them, by their tags; into room->counts. */
static void count_tags(struct room *room, const struct hakc_cell *cell, unsigned owner)
{
	const uint64_t *bits = room->bits[cell->slot % HAKC_ROW_CELLS_MAX];

	for (uint32_t i = 0; i < cell->n_blocks; i++) {
		uint32_t tag = room->tags[i];

		if (bits[i / 64] >> (i % 64) & 1)
			continue;
		room->counts[hak_tag_state(tag) == HAK_TAG_NONE ? owner : hak_tag_holder(tag)]++;
	}
}

static void credit(struct hakc_totals *totals, const struct hakc_cell *cell, unsigned holder,
		   uint32_t n)
{
	totals->owners[holder].share.blocks += n;
	totals->owners[holder].share.bytes += n * cell->block_bytes;
}

/* Adds the live blocks of a cell to who owns them; counts is all 0 afterwards. */
static void credit_counts(struct hakc_totals *totals, uint32_t *counts, struct hakc_cell *cell,
			  unsigned owner)
{
	uint32_t most = 0;

	for (unsigned i = 0; i < HAK_HOLDER_COUNT; i++) {
		if (counts[i] == 0)
			continue;
		if (counts[i] > most) {
			most = counts[i];
			cell->holder = i;
		}
		if (i != owner)
			cell->n_taken += counts[i];
		credit(totals, cell, i, counts[i]);
		counts[i] = 0;
	}
}

/* Who owns the live blocks; an untagged slab's are its owner's. */
static int attribute(struct hakc_view *view, uint32_t slot, uint64_t w, struct hakc_cell *cell)
{
	struct room *room = (void *)view->room;
	unsigned owner = hak_slab_owner(w);
	int r = 0;

	if (cell->n_live == 0)
		return 0;
	if (!(w & HAK_SLAB_TAGGED)) {
		cell->holder = owner;
		credit(&view->totals, cell, owner, cell->n_live);
		return 0;
	}
	r = read_at(view->heap_fd, room->tags, cell->n_blocks * sizeof(room->tags[0]),
		    view->geometry.tags_at + slot * TAGS_BYTES);
	if (r == 0) {
		count_tags(room, cell, owner);
		credit_counts(&view->totals, room->counts, cell, owner);
	}
	return r;
}

static void count_live(const struct room *room, struct hakc_cell *cell)
{
	const uint64_t *bits = room->bits[cell->slot % HAKC_ROW_CELLS_MAX];
	uint32_t n_free = 0;

	for (unsigned i = 0; i < hak_slab_bits_words(cell->n_blocks); i++)
		n_free += (uint32_t)__builtin_popcountll(bits[i] &
							 hak_slab_bits_mask(cell->n_blocks, i));
	cell->n_live = cell->n_blocks - n_free;
}

/* Reads the cell that begins at a slot of the row; its bits are in the room. */
static struct hakc_cell make_cell(const struct room *room, uint32_t slot, uint32_t left)
{
	uint64_t w = room->words[slot];
	struct hakc_cell cell = {.slot = slot, .n_slots = length_of(w, left)};
	bool is_orphan = room->row.kind == HAKC_ROW_ORPHAN;

	if (cell.n_slots == 0 || (room->row.kind != HAKC_ROW_DEAD && !is_orphan &&
				  hak_slab_owner(w) != room->row.owner)) {
		cell.kind = HAKC_CELL_DAMAGED;
		cell.n_slots = 1;
		return cell;
	}
	cell.kind = hak_slab_state(w) == HAK_SLAB_SPAN ? HAKC_CELL_SPAN : HAKC_CELL_SLAB;
	cell.is_sampled = (w & HAK_SLAB_SAMPLED) != 0;
	cell.n_blocks = 1;
	cell.block_bytes = (uint64_t)cell.n_slots << HAK_SLOT_LG;
	if (cell.kind == HAKC_CELL_SLAB) {
		cell.cls = hak_slab_class(w);
		cell.n_blocks = hak_classes[cell.cls].n_blocks;
		cell.block_bytes = hak_classes[cell.cls].size;
	}
	count_live(room, &cell);
	return cell;
}

/* The words and bits of a SuperSlab, or of the head of a run. */
static int read_words(struct hakc_view *view, uint32_t first, uint32_t n)
{
	struct room *room = (void *)view->room;
	bool has_blocks = false;
	int r = read_at(view->heap_fd, room->words, n * sizeof(room->words[0]),
			view->geometry.slab_words_at + first * sizeof(uint64_t));

	for (uint32_t i = 0; r == 0 && i < n; i++)
		has_blocks |= !is_unused(room->words[i]);
	if (r == 0 && has_blocks)
		r = read_at(view->heap_fd, room->bits, n * BITS_BYTES,
			    view->geometry.bits_at + first * BITS_BYTES);
	return r;
}

/* Fills the row's cells; *ret_damaged: so many can't be. */
static int look(struct hakc_view *view, unsigned *ret_damaged)
{
	struct room *room = (void *)view->room;
	struct hakc_row *row = &room->row;
	uint32_t per = view->geometry.slots_per_superslab;
	uint32_t n = row->is_huge ? 1 : per, slots = row->length * per, slot = 0;
	int r = read_words(view, row->index * per, n);

	row->n_cells = 0;
	*ret_damaged = 0;
	while (r == 0 && slot < n) {
		struct hakc_cell cell;

		if (is_unused(room->words[slot])) {
			slot++;
			continue;
		}
		cell = make_cell(room, slot, slots - slot);
		*ret_damaged += cell.kind == HAKC_CELL_DAMAGED;
		row->cells[row->n_cells++] = cell;
		slot += cell.n_slots;
	}
	return r;
}

/* Which of the cells' holders has most bytes of the row. */
static unsigned holder_of(const struct hakc_row *row)
{
	unsigned best = HAK_HOLDER_NONE;
	uint64_t most = 0;

	for (unsigned i = 0; i < row->n_cells; i++) {
		uint64_t bytes = 0;

		for (unsigned k = 0; k < row->n_cells; k++)
			if (row->cells[k].holder == row->cells[i].holder)
				bytes += row->cells[k].n_live * row->cells[k].block_bytes;
		if (bytes > most) {
			most = bytes;
			best = row->cells[i].holder;
		}
	}
	return best;
}

/* What a word of the registry says; false: of a SuperSlab that is free. */
static bool begin_row(const struct hakc_view *view, uint32_t index, uint64_t s,
		      struct hakc_row *row)
{
	uint32_t n = hak_superslab_length(s);

	row->index = index;
	row->owner = hak_superslab_owner(s);
	row->is_huge = hak_superslab_is_huge(s);
	row->length = n >= 1 && n <= view->geometry.n_superslabs - index && row->is_huge ? n : 1;
	row->holder = HAK_HOLDER_NONE;
	row->live_bytes = 0;
	row->n_cells = 0;
	switch (hak_superslab_state(s)) {
	case HAK_SUPERSLAB_GRANTED:
		row->kind = HAKC_ROW_GRANTED;
		return true;
	case HAK_SUPERSLAB_ORPHAN:
		row->kind = HAKC_ROW_ORPHAN;
		return true;
	case HAK_SUPERSLAB_RECLAIMING:
		row->kind = row->owner == HAK_HOLDER_NONE ? HAKC_ROW_WAITING : HAKC_ROW_DEAD;
		return true;
	default:
		return false;
	}
}

/* The registry's word now. */
static int read_superslab(const struct hakc_view *view, uint32_t index, uint64_t *ret_s)
{
	return read_at(view->registry_fd, ret_s, sizeof(*ret_s),
		       HAK_REGISTRY_SUPERSLABS_AT + index * sizeof(*ret_s));
}

/* Looks until it has seen one grant whole, or LOOKS times. 1: it is free by now. */
static int look_again(struct hakc_view *view, uint32_t index)
{
	struct hakc_row *row = &((struct room *)(void *)view->room)->row;

	for (unsigned i = 0; i < LOOKS; i++) {
		uint64_t s, now;
		unsigned n_damaged = 0;
		int r = read_superslab(view, index, &s);

		if (r < 0)
			return r;
		if (!begin_row(view, index, s, row))
			return 1;
		if (row->kind != HAKC_ROW_WAITING)
			r = look(view, &n_damaged);
		if (r == 0)
			r = read_superslab(view, index, &now);
		if (r < 0)
			return r;
		if (now == s && n_damaged == 0)
			return 0;
	}
	return 0;
}

static int visit(struct hakc_view *view, uint32_t index, hakc_row_fn *fn, void *context,
		 uint32_t *ret_length)
{
	struct room *room = (void *)view->room;
	struct hakc_row *row = &room->row;
	uint32_t first = index * view->geometry.slots_per_superslab;
	struct hakc_totals *totals = &view->totals;
	int r = look_again(view, index);

	*ret_length = 1;
	totals->superslabs[HAKC_ROW_FREE] += r > 0;
	if (r != 0)
		return r < 0 ? r : 0;
	for (unsigned i = 0; r == 0 && i < row->n_cells; i++) {
		struct hakc_cell *cell = &row->cells[i];

		r = attribute(view, first + cell->slot, room->words[cell->slot], cell);
		row->live_bytes += cell->n_live * cell->block_bytes;
		totals->damaged += cell->kind == HAKC_CELL_DAMAGED;
	}
	if (r < 0)
		return r;
	row->holder = holder_of(row);
	totals->superslabs[row->kind] += row->length;
	totals->live_bytes += row->live_bytes;
	if (row->kind == HAKC_ROW_GRANTED)
		totals->owners[row->owner].superslabs += row->length;
	*ret_length = row->length;
	return fn(context, row);
}

/*
 * How many of the n free SuperSlabs from index on are alike, with pages or without. Pages of the
 * data that are there are told by the file, so nothing is touched.
 */
static uint32_t count_alike(const struct hakc_view *view, uint32_t index, uint32_t n,
			    enum hakc_row_kind *ret_kind)
{
	unsigned lg = view->geometry.superslab_lg;
	uint32_t length;

	for (length = 0; length < n; length++) {
		uint64_t at = view->geometry.data_at + ((uint64_t)(index + length) << lg);
		off_t data = lseek(view->heap_fd, (off_t)at, SEEK_DATA); /* -1: none behind it */
		uint64_t cold = data < 0 ? n : ((uint64_t)data - at) >> lg;

		if (cold == 0)
			continue;
		if (length == 0) {
			*ret_kind = HAKC_ROW_FREE;
			return cold < n ? (uint32_t)cold : n;
		}
		break;
	}
	*ret_kind = HAKC_ROW_WARM;
	return length;
}

static bool is_free(uint64_t s)
{
	return hak_superslab_state(s) == HAK_SUPERSLAB_FREE ||
	       hak_superslab_state(s) == HAK_SUPERSLAB_BODY ||
	       hak_superslab_state(s) > HAK_SUPERSLAB_ORPHAN;
}

static int visit_free(struct hakc_view *view, uint32_t index, hakc_row_fn *fn, void *context,
		      uint32_t *ret_length)
{
	struct hakc_row *row = &((struct room *)(void *)view->room)->row;
	uint32_t n = 1;

	while (index + n < view->geometry.n_superslabs && is_free(view->superslabs[index + n]))
		n++;
	*row = (struct hakc_row){.index = index};
	row->length = count_alike(view, index, n, &row->kind);
	view->totals.superslabs[row->kind] += row->length;
	*ret_length = row->length;
	return fn(context, row);
}

int hakc_view_walk(struct hakc_view *view, hakc_row_fn *fn, void *context)
{
	int r = 0;

	memset(&view->totals, 0, sizeof(view->totals));
	for (uint32_t i = 0, n; r == 0 && i < view->geometry.n_superslabs; i += n)
		r = is_free(view->superslabs[i]) ? visit_free(view, i, fn, context, &n)
						 : visit(view, i, fn, context, &n);
	return r;
}
