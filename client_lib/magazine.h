/* SPDX-License-Identifier: MIT */
#ifndef HAKC_MAGAZINE_H
#define HAKC_MAGAZINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * A stack of blocks. The one that goes next stands in the head, so that a pair of free and malloc
 * hands it over without a look at the room; the others lie in room behind the state, from
 * bottom[1] on. bottom[0] is NULL: what is next in an empty one. Zero: empty, no room. A NULL
 * among the blocks is a token, see sample.h.
 */
struct hakc_magazine {
	void *next;
	void **top; /* bottom + number of blocks */
	void **end; /* bottom + as many as there is room for now */
	void **bottom;
	void **end_max;
	uint64_t magic; /* of the class: an offset from the slab's begin ... */
	uint64_t limit; /* ... begins a block if its product with magic is below */
	uint64_t used;	/* fills and flushes since the last round of shrinking */
};

_Static_assert(sizeof(struct hakc_magazine) == 64, "a magazine's head is a cache line");

static inline uint32_t hakc_magazine_count(const struct hakc_magazine *m)
{
	return (uint32_t)(m->top - m->bottom);
}

static inline uint32_t hakc_magazine_room(const struct hakc_magazine *m)
{
	return (uint32_t)(m->end - m->bottom);
}

/* There is a block, or there is room: who calls has looked. */
static inline void *hakc_magazine_pop(struct hakc_magazine *m)
{
	void *block = m->next;

	m->next = *--m->top;
	return block;
}

static inline void hakc_magazine_push(struct hakc_magazine *m, void *block)
{
	*m->top++ = m->next;
	m->next = block;
}

/* Twice the room, up to the most that it may have. False: it has that already. */
static inline bool hakc_magazine_grow(struct hakc_magazine *m)
{
	if (m->end == m->end_max)
		return false;
	m->end += m->end_max - m->end > m->end - m->bottom ? m->end - m->bottom
							   : m->end_max - m->end;
	return true;
}

/* Puts it so that n others are below it; there is room. */
static inline void hakc_magazine_insert(struct hakc_magazine *m, uint32_t n, void *block)
{
	*m->top = m->next;
	memmove(&m->bottom[n + 2], &m->bottom[n + 1],
		(hakc_magazine_count(m) - n) * sizeof(m->bottom[0]));
	m->bottom[n + 1] = block;
	m->next = *++m->top;
}

#endif
