/* SPDX-License-Identifier: MIT */
/*
 * Blocks that are samples of the profile. The daemon's interval is such that nobody meets a token
 * by chance, so that all victims go the same way; here they are put into the magazines.
 */
#include "tests/crash/scripts.h"

#include <execinfo.h>
#include <string.h>

#include "client_lib/thread.h"
#include "proto/shm/sample.h"
#include "tests/support/process.h"

#define SIZE 500u /* nothing else in a victim is of its class */
#define SPAN 100000u

/*
 * libc's goes through tables that only it reads, for twenty thousand steps; nothing of ours is
 * half done meanwhile. What it returns does not matter either, but it has to be in a file.
 */
__attribute__((visibility("default"))) int backtrace(void **frames, int max)
{
	int n = max < 5 ? max : 5;

	for (int i = 0; i < n; i++)
		frames[i] = (void *)((uintptr_t)hakt_mark_end + (unsigned)i);
	return n;
}

static bool is_sample(const void *block)
{
	const struct hak_segment *segment = &hakc_self->heap->segment;
	const struct hak_location l = hak_segment_locate(segment, (uintptr_t)block);
	struct hak_sample sample;

	return hak_sample_is_there(&l) &&
	       hak_sample_read(hak_sample_of(segment, &l), l.start, &sample);
}

static void put_token(unsigned magazine)
{
	struct hakc_magazine *m = &hakc_self->magazines[magazine];

	HAKT_EXPECT(m->top != m->end);
	hakc_magazine_push(m, NULL);
}

static void *make(struct hakt_victim *v, size_t size)
{
	void *block = hakt_add_block(v, size);

	HAKT_EXPECT(is_sample(block));
	memset(block, 0x5a, 64);
	return block;
}

/*
 * The next block is a sample: the slab for it is to be cut, its file to be entered, which those
 * who have died did before.
 */
void hakt_to_sample_first(struct hakt_victim *v)
{
	memset(&hakc_self->heap->segment.areas[HAK_HOLDER_NONE], 0, HAK_CLIENT_AREA_BYTES);
	hakt_add_block(v, SIZE);
	put_token(hak_class_of(SIZE));
}

/* There have been two before, of which one is alive. */
void hakt_to_sample(struct hakt_victim *v)
{
	hakt_to_sample_first(v);
	make(v, SIZE);
	put_token(hak_class_of(SIZE));
	hakmem_free(make(v, SIZE)); /* and its token is back */
	v->n--;
}

void hakt_do_sample(struct hakt_victim *v)
{
	hakmem_free(make(v, SIZE));
	hakmem_free(v->blocks[v->n - 2]); /* what prepare has left */
}

/* Somebody else goes on with it, and with what it says of us. */
void hakt_do_sample_give(struct hakt_victim *v)
{
	hakt_give(0, 1, make(v, SIZE), SIZE, 0);
}

void hakt_to_sample_span(struct hakt_victim *v)
{
	unsigned at = HAKC_SPANS_AT + (SPAN - 1) / HAK_SLOT_BYTES;

	hakt_to_sample(v);
	hakmem_free(hakt_add_block(v, SPAN));
	hakt_add_block(v, SPAN);
	put_token(at);
	hakc_self->span_bytes += (SPAN + HAK_SLOT_BYTES - 1) / HAK_SLOT_BYTES * HAK_SLOT_BYTES;
}

void hakt_do_sample_span(struct hakt_victim *v)
{
	hakmem_free(make(v, SPAN));
}
