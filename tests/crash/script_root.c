/* SPDX-License-Identifier: MIT */
/*
 * Names: published, looked up, withdrawn. What is there when a victim has died the walkers withdraw
 * (names.c), so that the next one finds no name.
 */
#include "tests/crash/scripts.h"

#include <errno.h>

#include "tests/crash/names.h"
#include "tests/support/process.h"

#define SIZE 500u

static void add_new(struct hakt_victim *v, size_t size)
{
	hakt_name_add(HAKT_NAME_OF_VICTIM, hakt_add_block(v, size), size);
}

void hakt_to_publish(struct hakt_victim *v)
{
	add_new(v, SIZE);
}

/* A block of each kind; one lies in a slab of a walker's. */
void hakt_to_publish_list(struct hakt_victim *v)
{
	add_new(v, SIZE);
	hakt_name_add(HAKT_NAME_OF_VICTIM, hakt_take_gift(1, 1), 6000);
	add_new(v, 100000);
	add_new(v, 2300000);
}

void hakt_do_publish(struct hakt_victim *v)
{
	(void)v;
	hakt_name_publish(HAKT_NAME_OF_VICTIM);
}

/* The second ticket of two is void. */
void hakt_to_publish_void(struct hakt_victim *v)
{
	hakmem_ref_t refs[HAKT_NAMED];
	void *block;

	add_new(v, SIZE);
	add_new(v, SIZE);
	hakt_name_refs(HAKT_NAME_OF_VICTIM, refs);
	HAKT_EXPECT(hakmem_take(refs[1], &block) == 0);
}

/* Refused, and nothing has changed: the first one is good. */
void hakt_do_publish_void(struct hakt_victim *v)
{
	const char *name = hakt_name_text(HAKT_NAME_OF_VICTIM);
	hakmem_ref_t refs[HAKT_NAMED];
	void *block;

	(void)v;
	hakt_name_refs(HAKT_NAME_OF_VICTIM, refs);
	hakt_set(&hakt_world->names[HAKT_NAME_OF_VICTIM].state, HAKT_NAME_REFUSED);
	HAKT_EXPECT(hakmem_root_publish(name, refs[1]) == -ESTALE);
	HAKT_EXPECT(hakmem_root_publish_list(name, refs, 2) == -ESTALE);
	HAKT_EXPECT(hakmem_take(refs[0], &block) == 0);
}

/* The ticket is given away too: a walker takes the block while it is to be published. */
void hakt_to_publish_given(struct hakt_victim *v)
{
	add_new(v, SIZE);
	add_new(v, SIZE);
}

void hakt_do_publish_given(struct hakt_victim *v)
{
	struct hakt_name *name = &hakt_world->names[HAKT_NAME_OF_VICTIM];
	struct hakt_parcel *parcel = &hakt_world->walkers[1].gifts_from[1];
	hakmem_ref_t refs[HAKT_NAMED];
	int r;

	(void)v;
	hakt_name_refs(HAKT_NAME_OF_VICTIM, refs);
	hakt_set(&name->state, HAKT_NAME_PUBLISHING);
	parcel->thing = name->things[1];
	parcel->wish = HAKT_MAY_BE_REVOKED;
	hakt_set(&parcel->state, HAKT_GIVEN);
	r = hakmem_root_publish_list(hakt_name_text(HAKT_NAME_OF_VICTIM), refs, 2);
	HAKT_EXPECT(r == 0 || r == -ESTALE);
	if (r == 0)
		hakt_set(&name->state, HAKT_NAME_PUBLISHED);
	else
		hakt_set(&name->state, HAKT_NAME_REFUSED);
}

static void want_walkers(void)
{
	hak_u32 *state = &hakt_world->names[HAKT_NAME_OF_WALKER].state;

	hakt_set(state, HAKT_NAME_WANTED);
	hakt_wait_for(state, HAKT_NAME_PUBLISHED, HAKT_NAME_PUBLISHED);
}

void hakt_to_lookup(struct hakt_victim *v)
{
	hakt_to_withdraw(v);
	want_walkers();
}

void hakt_do_lookup(struct hakt_victim *v)
{
	static const enum hakt_name_number numbers[] = {HAKT_NAME_OF_VICTIM, HAKT_NAME_OF_WALKER};
	hakmem_ref_t ref;

	(void)v;
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		const struct hakt_name *name = &hakt_world->names[numbers[i]];

		HAKT_EXPECT(hakmem_root_lookup(hakt_name_text(numbers[i]), &ref) == 0);
		HAKT_EXPECT(hakt_thing_is_whole(hakmem_ptr(ref), &name->things[0]));
	}
	HAKT_EXPECT(hakmem_root_lookup("crash/nobody's", &ref) == -ENOENT);
}

void hakt_to_withdraw(struct hakt_victim *v)
{
	hakt_to_publish_list(v);
	hakt_name_publish(HAKT_NAME_OF_VICTIM);
}

void hakt_do_withdraw(struct hakt_victim *v)
{
	(void)v;
	hakt_name_withdraw(HAKT_NAME_OF_VICTIM);
}

void hakt_to_withdraw_other(struct hakt_victim *v)
{
	(void)v;
	want_walkers();
}

void hakt_do_withdraw_other(struct hakt_victim *v)
{
	(void)v;
	hakt_name_withdraw(HAKT_NAME_OF_WALKER);
}

/* The companion's block lies in its slab, and is the victim's then; both die. */
void hakt_to_double_root(struct hakt_victim *v)
{
	add_new(v, SIZE);
	hakt_name_add(HAKT_NAME_OF_VICTIM, hakt_take_gift(1, 1), 6000);
}

void hakt_do_double_root(struct hakt_victim *v)
{
	(void)v;
	hakt_name_publish(HAKT_NAME_OF_VICTIM);
	hakt_name_withdraw(HAKT_NAME_OF_COMPANION);
}
