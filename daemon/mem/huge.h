/* SPDX-License-Identifier: MIT */
#ifndef HAKD_HUGE_H
#define HAKD_HUGE_H

/*
 * Huge pages for a file in memory: what makes them here, found out by trying.
 * Any thread may call; the words are shared by the workers.
 */

#include <stdint.h>

#include "proto/shm/atomic.h"

#define HAKD_HUGE_BYTES (UINT64_C(1) << 21)

enum hakd_huge_method {
	HAKD_HUGE_NONE,	    /* the last try failed, or there was none */
	HAKD_HUGE_COLLAPSE, /* MADV_COLLAPSE */
	HAKD_HUGE_ADVISE,   /* MADV_HUGEPAGE, and a touch */
};

struct hakd_huge {
	hak_u32 method;	  /* enum hakd_huge_method: what worked the last time */
	hak_u32 error;	  /* NONE: the errno of the last try; 0: there was none */
	hak_u32 failures; /* in a row */
	hak_u32 pause;	  /* pieces to leave out before the next try */
};

/*
 * Backs a piece of HAKD_HUGE_BYTES that is a hole, at offset `at` of the file,
 * which is mapped shared at `memory`; both are multiples of its size. 0: one
 * huge page, all zeros. -EAGAIN: no huge page, any part of it may be backed.
 */
int hakd_huge_try(struct hakd_huge *huge, int fd, void *memory, uint64_t at);

/* "collapse", "advise" or "none: <reason>"; into text if it isn't a constant. */
const char *hakd_huge_text(const struct hakd_huge *huge, char text[96]);

#endif
