/* SPDX-License-Identifier: MIT */
/*
 * Seals and tails: plain memory of a block that is in somebody's hands. Words that somebody
 * scribbled over lead nowhere: nothing is read beyond the block.
 */
#include "proto/shm/guard.h"

#include <string.h>

#include "proto/shm/mix.h"
#include "proto/shm/sample.h"

#define SLACK_SHIFT 40
#define HASH_MASK   ((UINT64_C(1) << SLACK_SHIFT) - 1)
#define NOT_ZERO    UINT64_C(0x0101010101) /* in each byte of the hash */

static uint64_t seal_of(const struct hak_segment *segment, uint64_t start, uint64_t slack)
{
	uint64_t uuid[2], hash;

	memcpy(uuid, segment->header->uuid, sizeof(uuid));
	/* An offset has 40 bits. */
	hash = hak_mix(uuid[0] ^ hak_mix(uuid[1] ^ hak_mix(start << 24 | slack)));
	return slack << SLACK_SHIFT | (hash & HASH_MASK) | NOT_ZERO;
}

static char *seal_at(const struct hak_segment *segment, const struct hak_location *l)
{
	return (char *)(segment->base + l->start + l->bytes - HAK_GUARD_BYTES);
}

/* False: it is broken. */
static bool read_seal(const struct hak_segment *segment, const struct hak_location *l,
		      uint64_t *ret_seal, uint64_t *ret_slack)
{
	uint64_t seal;

	memcpy(&seal, seal_at(segment, l), sizeof(seal));
	*ret_seal = seal;
	*ret_slack = seal >> SLACK_SHIFT;
	return *ret_slack <= l->bytes - HAK_GUARD_BYTES &&
	       seal == seal_of(segment, l->start, *ret_slack);
}

static uint64_t tail_bytes(uint64_t slack)
{
	return slack < HAK_GUARD_TAIL ? slack : HAK_GUARD_TAIL;
}

static unsigned char tail_byte(uint64_t seal, uint64_t i)
{
	return (unsigned char)(seal >> i % (SLACK_SHIFT / 8) * 8);
}

uint64_t hak_guard_usable(const struct hak_segment *segment, const struct hak_location *l)
{
	uint64_t seal, slack;

	if (!hak_guard_is_there(l))
		return hak_sample_usable(l);
	return l->bytes - HAK_GUARD_BYTES - (read_seal(segment, l, &seal, &slack) ? slack : 0);
}

void hak_guard_set(const struct hak_segment *segment, const struct hak_location *l, uint64_t size)
{
	char *end = seal_at(segment, l);
	uint64_t slack = l->bytes - HAK_GUARD_BYTES - size, seal;

	if (!hak_guard_is_there(l))
		return;
	if (slack > HAK_GUARD_SLACK_MAX) /* what is before it is the caller's then */
		slack = HAK_GUARD_SLACK_MAX;
	seal = seal_of(segment, l->start, slack);
	for (uint64_t i = 0; i < tail_bytes(slack); i++)
		(end - slack)[i] = (char)tail_byte(seal, i);
	memcpy(end, &seal, sizeof(seal));
}

bool hak_guard_holds(const struct hak_segment *segment, const struct hak_location *l)
{
	const char *end = seal_at(segment, l);
	uint64_t seal, slack;

	if (!hak_guard_is_there(l))
		return true;
	if (!read_seal(segment, l, &seal, &slack))
		return false;
	for (uint64_t i = 0; i < tail_bytes(slack); i++)
		if ((unsigned char)(end - slack)[i] != tail_byte(seal, i))
			return false;
	return true;
}
