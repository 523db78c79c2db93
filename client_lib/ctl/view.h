/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_VIEW_H
#define HAKC_CTL_VIEW_H

/*
 * A pool as a reader sees it, row by row: a SuperSlab, a run that is one span, or a stretch of
 * free ones. Asks nobody: all of it is read from the two files that a reader gets.
 *
 * Counts are a glimpse of a pool that is at work. Words of the heap may be any: a cell lies in its
 * row, cells don't overlap, and no more blocks live than there are.
 */

#include <stdbool.h>
#include <stdint.h>

#include "proto/shm/check.h"
#include "proto/shm/registry.h"

enum hakc_row_kind {
	HAKC_ROW_FREE,	  /* and no page of it is there */
	HAKC_ROW_WARM,	  /* free, with pages: kept, or in the daemon's reserve */
	HAKC_ROW_GRANTED, /* to `owner` */
	HAKC_ROW_ORPHAN,  /* its owner is dead, others have blocks in it */
	HAKC_ROW_DEAD,	  /* `owner` is dead, its blocks are being freed */
	HAKC_ROW_WAITING, /* empty, free after a grace */
	HAKC_ROW_KINDS,
};

enum hakc_cell_kind {
	HAKC_CELL_SLAB,
	HAKC_CELL_SPAN,
	HAKC_CELL_DAMAGED, /* words that can't be: see hakmemctl check */
};

/* A slab or a span. */
struct hakc_cell {
	enum hakc_cell_kind kind;
	uint32_t slot; /* of the row */
	uint32_t n_slots;
	unsigned cls; /* of a slab */
	uint64_t block_bytes;
	uint32_t n_blocks;
	uint32_t n_live;  /* not free: held, or in a cache of a client */
	uint32_t n_taken; /* of these: owned by others than the row's owner */
	unsigned holder;  /* who owns most of the live blocks; HAK_HOLDER_NONE: there are none */
	bool is_sampled;  /* its live blocks may have records, see samples.h */
};

#define HAKC_ROW_CELLS_MAX 32u /* slots of a SuperSlab */

struct hakc_row {
	enum hakc_row_kind kind;
	uint32_t index;	 /* of the first SuperSlab */
	uint32_t length; /* SuperSlabs */
	unsigned owner;
	unsigned holder; /* who owns most of the live bytes; HAK_HOLDER_NONE: nobody */
	bool is_huge;
	uint64_t live_bytes;
	unsigned n_cells; /* what they leave out are unused slots */
	struct hakc_cell cells[HAKC_ROW_CELLS_MAX];
};

/* What a holder owns, wherever it lies. */
struct hakc_owner {
	uint64_t superslabs; /* granted */
	struct hak_share share;
};

/* What a walk went over. */
struct hakc_totals {
	uint64_t superslabs[HAKC_ROW_KINDS];
	uint64_t live_bytes;
	uint64_t damaged; /* cells */
	struct hakc_owner owners[HAK_HOLDER_COUNT];
};

struct hakc_view {
	struct hak_geometry geometry;
	char pool[HAK_POOL_NAME_BYTES];
	int registry_fd, heap_fd; /* the caller's */
	uint64_t profile;	  /* bytes between two samples; 0: none are taken */
	struct hak_holder *holders;
	uint64_t *superslabs;
	struct hakc_totals totals; /* of the last walk */
	unsigned char *room;	   /* for what is being looked at */
};

/*
 * 0; -EPROTO: these are no files of a pool that we understand; -ENOMEM; another negative errno.
 * Holders, and which SuperSlabs there are, are those of this moment.
 */
int hakc_view_init(struct hakc_view *view, int registry_fd, int heap_fd);
void hakc_view_deinit(struct hakc_view *view);

/* Not 0 ends the walk. */
typedef int hakc_row_fn(void *context, const struct hakc_row *row);

/* All rows in their order. 0, what fn returned, or a negative errno. */
int hakc_view_walk(struct hakc_view *view, hakc_row_fn *fn, void *context);

/* In a hakc_row_fn: the free bits of a slab or span of its row, as they were when it was counted. */
const uint64_t *hakc_view_bits(const struct hakc_view *view, const struct hakc_cell *cell);

/* n bytes of the heap's file. 0 or a negative errno. */
int hakc_view_read(const struct hakc_view *view, void *ret_bytes, size_t n, uint64_t at);

/* What a holder is called; "?" for one that has never been there. */
const char *hakc_view_name(const struct hakc_view *view, unsigned holder);

/* 0: it has none. */
int32_t hakc_view_pid(const struct hakc_view *view, unsigned holder);

/* "granted", "orphan", ...: words of the JSON too. */
const char *hakc_row_text(enum hakc_row_kind kind);
const char *hakc_cell_text(enum hakc_cell_kind kind);

#endif
