/* SPDX-License-Identifier: MIT */
/*
 * Blocks that are the pool's for a while, under one of a few names. Whoever publishes or withdraws
 * may be killed at it: then the block is one's or the pool's, and in both cases what it contains
 * says what it is.
 */
#include "tests/stress/soak/worker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAMES	   8u
#define NAME_BYTES 16

static void make_name(uint64_t i, char name[NAME_BYTES])
{
	snprintf(name, NAME_BYTES, "soak-%u", (unsigned)i);
}

void soak_publish(struct soak_worker *w)
{
	struct soak_item item;
	char name[NAME_BYTES];
	hakmem_ref_t ref;
	int r;

	if (!soak_item_pick(w, &item))
		return;
	soak_item_check(w, &item, soak_name_size(item.name), "to be published");
	ref = soak_is_lent_only(soak_name_size(item.name)) ? 0 : hakmem_ref(item.block);
	if (!ref) { /* no memory for tags, if it isn't that */
		soak_item_free(w, &item);
		return;
	}
	make_name(soak_below(w, NAMES), name);
	soak_item_rename(w, &item, SOAK_ROOT);
	soak_pass();
	r = hakmem_root_publish(name, ref);
	if (r == 0) {
		soak_count(w, SOAK_PUBLISHED);
		return;
	}
	if (r != -EEXIST)
		soak_item_fail(w, &item, SOAK_E_REFUSED, strerror(-r));
	soak_item_rename(w, &item, SOAK_HELD);
	soak_item_hold(w, &item);
}

static bool withdraw(struct soak_worker *w, uint64_t i)
{
	struct soak_item item;
	char name[NAME_BYTES];
	hakmem_ref_t ref;
	void *block;
	int r;

	make_name(i, name);
	r = hakmem_root_withdraw(name, &ref);
	if (r == -ENOENT)
		return false;
	block = r == 0 ? hakmem_ptr(ref) : NULL;
	if (!block)
		soak_fail(w, SOAK_E_REFUSED, "withdrawing %s: %s", name, strerror(-r));
	soak_get();
	item = soak_item_open(w, block, SOAK_ROOT, "withdrawn");
	soak_count(w, SOAK_WITHDRAWN);
	soak_item_rename(w, &item, SOAK_HELD);
	soak_item_hold(w, &item);
	return true;
}

void soak_withdraw(struct soak_worker *w)
{
	withdraw(w, soak_below(w, NAMES));
}

void soak_withdraw_all(struct soak_worker *w)
{
	for (unsigned i = 0; i < NAMES; i++)
		withdraw(w, i);
}

void soak_lookup(struct soak_worker *w)
{
	char name[NAME_BYTES];
	hakmem_ref_t ref;
	void *block;
	int r;

	make_name(soak_below(w, NAMES), name);
	r = hakmem_root_lookup(name, &ref);
	if (r == -ENOENT)
		return;
	if (r < 0)
		soak_fail(w, SOAK_E_REFUSED, "looking up %s: %s", name, strerror(-r));
	/* It is the pool's, or was withdrawn meanwhile; by this ref it is nobody's to take. */
	if (hakmem_take(ref, &block) == 0)
		soak_fail(w, SOAK_E_TWICE, "ref %llx of name %s was taken", (unsigned long long)ref,
			  name);
}
