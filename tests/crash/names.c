/* SPDX-License-Identifier: MIT */
/*
 * A block that has a name is nobody's but the pool's, so walkers may read it at any moment, while
 * its publisher dies and after. Only a withdrawal ends that, and who withdraws says so before: what
 * a walker has read counts if the state is as it was before. It has not come round in between, since
 * no victim begins before both walkers have settled.
 */
#include "tests/crash/names.h"

#include <errno.h>

#include "client_lib/flush.h"
#include "client_lib/thread.h"
#include "tests/support/process.h"

static struct hakt_name *get_name(enum hakt_name_number number)
{
	return &hakt_world->names[number];
}

const char *hakt_name_text(enum hakt_name_number number)
{
	static const char *const texts[HAKT_NAMES] = {"crash/victim", "crash/companion",
						      "crash/walker"};

	return texts[number];
}

void hakt_name_refs(enum hakt_name_number number, hakmem_ref_t refs[HAKT_NAMED])
{
	const struct hakt_name *name = get_name(number);

	for (uint32_t i = 0; i < name->n; i++)
		refs[i] = name->things[i].ref;
}

void hakt_name_add(enum hakt_name_number number, void *block, size_t size)
{
	struct hakt_name *name = get_name(number);
	struct hakt_thing *thing = &name->things[name->n];

	HAKT_EXPECT(block && name->n < HAKT_NAMED);
	*thing = hakt_thing_make(block, size, (uintptr_t)block + number);
	HAKT_EXPECT(hakt_thing_give(thing));
	name->n++;
}

void hakt_name_publish(enum hakt_name_number number)
{
	struct hakt_name *name = get_name(number);
	hakmem_ref_t refs[HAKT_NAMED];

	hakt_name_refs(number, refs);
	hakt_set(&name->state, HAKT_NAME_PUBLISHING);
	if (name->n == 1)
		HAKT_EXPECT(hakmem_root_publish(hakt_name_text(number), refs[0]) == 0);
	else
		HAKT_EXPECT(hakmem_root_publish_list(hakt_name_text(number), refs, name->n) == 0);
	hakt_set(&name->state, HAKT_NAME_PUBLISHED);
}

/* The same block, whoever had it in between. */
static bool is_of(hakmem_ref_t ref, const struct hakt_thing *thing)
{
	return hak_ref_offset(ref) == hak_ref_offset(thing->name) &&
	       hak_ref_epoch(ref) == hak_ref_epoch(thing->name);
}

static bool is_void(hakmem_ref_t ref)
{
	void *block;

	return hakmem_take(ref, &block) == -ESTALE;
}

/* They are the caller's, the tickets by which they were published are void. */
static void free_all(struct hakt_name *name)
{
	for (uint32_t i = 0; i < name->n; i++) {
		void *block = hakt_stock_look(&name->things[i]);

		HAKT_EXPECT(hakmem_owner(block, NULL) == HAKMEM_OWNER_SELF);
		HAKT_EXPECT(is_void(name->things[i].ref));
		hakmem_free(block);
	}
}

void hakt_name_withdraw(enum hakt_name_number number)
{
	struct hakt_name *name = get_name(number);
	hakmem_ref_t ref;

	hakt_set(&name->state, HAKT_NAME_WITHDRAWING);
	HAKT_EXPECT(hakmem_root_withdraw(hakt_name_text(number), &ref) == 0);
	HAKT_EXPECT(is_of(ref, &name->things[0]));
	name->withdrawn = ref;
	hakt_set(&name->state, HAKT_NAME_WITHDRAWN);
	free_all(name);
	hakc_flush_outgoing(hakc_self);
}

static void look(enum hakt_name_number number)
{
	struct hakt_name *name = get_name(number);
	uint32_t before = hakt_get(&name->state), after;
	bool is_there, is_whole = false;
	hakmem_ref_t ref;
	int r;

	if (before == HAKT_NAME_NONE || before == HAKT_NAME_WANTED)
		return;
	r = hakmem_root_lookup(hakt_name_text(number), &ref);
	is_there = r == 0;
	HAKT_EXPECT(is_there || r == -ENOENT);
	if (is_there) {
		const void *block = hakmem_ptr(ref);

		HAKT_EXPECT(is_of(ref, &name->things[0]));
		HAKT_EXPECT(is_void(ref)); /* to be used, not to be taken */
		is_whole = block && hakt_thing_is_whole(block, &name->things[0]);
	}
	after = hakt_get(&name->state);
	if (before == HAKT_NAME_REFUSED || before == HAKT_NAME_WITHDRAWN)
		HAKT_EXPECT(!is_there);
	if (before == HAKT_NAME_PUBLISHED && after == before)
		HAKT_EXPECT(is_there);
	if (is_there && (after == HAKT_NAME_PUBLISHING || after == HAKT_NAME_PUBLISHED))
		HAKT_EXPECT(is_whole);
}

void hakt_names_look(struct hakt_stock *w)
{
	(void)w;
	for (unsigned i = 0; i < HAKT_NAMES; i++)
		look((enum hakt_name_number)i);
}

void hakt_names_publish(struct hakt_stock *w)
{
	static const uint64_t sizes[] = {700, 40000};

	for (unsigned i = w->self; i < HAKT_NAMES; i += HAKT_WALKERS) {
		struct hakt_name *name = &hakt_world->names[i];
		struct hakt_thing made; /* by hakt_stock, which has to know what is ours again */

		if (hakt_get(&name->state) != HAKT_NAME_WANTED)
			continue;
		while (name->n < 2 && hakt_stock_make(w, sizes[name->n], &made))
			hakt_name_add((enum hakt_name_number)i, hakmem_ptr(made.name), made.size);
		if (name->n == 2)
			hakt_name_publish((enum hakt_name_number)i);
	}
}

/* Nobody else is at it any more. */
static void settle(struct hakt_stock *w, enum hakt_name_number number)
{
	struct hakt_name *name = get_name(number);
	uint32_t state = hakt_get(&name->state);
	hakmem_ref_t ref;
	int r;

	if (state == HAKT_NAME_NONE && name->n == 0)
		return;
	hakt_set(&name->state, HAKT_NAME_WITHDRAWING);
	r = hakmem_root_withdraw(hakt_name_text(number), &ref);
	if (r == 0) {
		HAKT_EXPECT(state == HAKT_NAME_PUBLISHING || state == HAKT_NAME_PUBLISHED ||
			    state == HAKT_NAME_WITHDRAWING);
		HAKT_EXPECT(is_of(ref, &name->things[0]));
		free_all(name);
		hakt_add(&w->state->n_names, 1);
	} else {
		HAKT_EXPECT(r == -ENOENT && state != HAKT_NAME_PUBLISHED);
		for (uint32_t i = 0; i < name->n; i++)
			HAKT_EXPECT(!hakt_stock_take(w, &name->things[i]));
		HAKT_EXPECT(state != HAKT_NAME_WITHDRAWN || is_void(name->withdrawn));
		hakt_add(&w->state->n_nameless, 1);
	}
	name->n = 0;
	hakt_set(&name->state, HAKT_NAME_NONE);
}

void hakt_names_settle(struct hakt_stock *w)
{
	for (unsigned i = w->self; i < HAKT_NAMES; i += HAKT_WALKERS)
		settle(w, (enum hakt_name_number)i);
}
