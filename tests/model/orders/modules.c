/* SPDX-License-Identifier: MIT */
/* The table of files that frames lie in: entered by two clients, one of which may die in it. */
#include "tests/model/orders/pool.h"

#include <string.h>

#include "proto/shm/modules.h"

#define GENERATION 3u
#define LOOKED_AT  3u /* entries; the first one is none */

static struct hak_client_area area;
static struct hak_holder holders[C];
static const struct hak_segment pool = {.areas = &area, .holders = holders};
static struct hak_module *const table = (void *)&area;
static const struct hak_module files[2] = {
	{.n_id = 1, .id = {0xaa}, .path = "/lib/a"},
	{.n_id = 1, .id = {0xbb}, .path = "/lib/b"},
};
static bool is_dead;

/* Where accesses to the entry that p lies in count; NULL: p is something else. */
static const void *entry_of(const void *p)
{
	uintptr_t at = (uintptr_t)p - (uintptr_t)table;

	return at < LOOKED_AT * sizeof(*table) ? &table[at / sizeof(*table)].path : NULL;
}

/* What modules.c copies by. A may die whenever it writes to an entry. */
void *model_memcpy(void *to, const void *from, size_t n)
{
	bool is_file_of_a = (uintptr_t)from - (uintptr_t)&files[0] < sizeof(files[0]);

	if (entry_of(from))
		model_read(entry_of(from));
	if (is_file_of_a && model_choose(2)) {
		is_dead = true;
		model_die();
	}
	if (entry_of(to))
		model_write(entry_of(to));
	return memmove(to, from, n);
}

static bool is_file(const struct hak_module *entry, const struct hak_module *file)
{
	return entry->n_id == file->n_id && entry->id[0] == file->id[0] &&
	       strcmp(entry->path, file->path) == 0;
}

/* modules: A and B enter a file each; A may die, and is buried; somebody looks. */

static void modules_begin(void)
{
	memset(table, 0, LOOKED_AT * sizeof(*table));
	holders[A].word = hak_holder_pack(HAK_HOLDER_ATTACHED, GENERATION);
	holders[B].word = hak_holder_pack(HAK_HOLDER_ATTACHED, GENERATION);
	memset(got, 0, sizeof(got));
	is_dead = false;
	model_name(&table[1].word, "entry 1");
	model_name(&table[2].word, "entry 2");
	model_name(&table[1].path, "path 1");
	model_name(&table[2].path, "path 2");
	model_name(&holders[A].word, "holder A");
}

static void modules_a(void)
{
	got[0] = hak_module_enter(&pool, A, &files[0]);
}

static void modules_b(void)
{
	got[1] = hak_module_enter(&pool, B, &files[1]);
}

static void modules_daemon(void)
{
	model_join(0);
	hak_store_release(&holders[A].word, hak_holder_pack(HAK_HOLDER_RECLAIMING, GENERATION));
}

static void modules_reader(void)
{
	for (unsigned i = 1; i < LOOKED_AT; i++) {
		struct hak_module entry;

		if (!hak_module_read(&pool, i, &entry))
			continue;
		model_check(is_file(&entry, &files[0]) || is_file(&entry, &files[1]),
			    "an entry that isn't whole");
		got[3]++;
	}
}

static void modules_end(void)
{
	model_check(got[1] > 0 && is_file(&table[got[1]], &files[1]), "a file lost");
	if (!is_dead)
		model_check(got[0] > 0 && is_file(&table[got[0]], &files[0]), "a file lost");
	model_reach((unsigned)got[3]);
	if (is_dead && table[2].word == 0) /* where A was, B is */
		model_reach(3);
}

const struct model_scenario module_scenarios[] = {
	{"modules",
	 modules_begin,
	 {modules_a, modules_b, modules_daemon, modules_reader},
	 modules_end,
	 4},
	{.name = NULL},
};
