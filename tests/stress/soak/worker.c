/* SPDX-License-Identifier: MIT */
/*
 * A client: its threads make, resize, check and free blocks, and by give.c, loan.c
 * and root.c pass them on, until the client is killed or told to end; or, when
 * the driver turns the phase, they free everything.
 */
#include "tests/stress/soak/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/stress/contents.h"
#include "tests/stress/soak/dump.h"
#include "tests/support/now.h"
#include "tests/support/random.h"

#define SETTLE_NS (UINT64_C(60) * 1000000000) /* by then something hangs */

#ifdef __SANITIZE_THREAD__
hak_u64 soak_passing;
#endif

uint64_t soak_below(struct soak_worker *w, uint64_t end)
{
	return hakt_random(&w->random) % end;
}

void soak_count(struct soak_worker *w, enum soak_count count)
{
	/* relaxed: a number to be shown, which only this thread writes */
	hak_store_relaxed(&w->thread->counts[count],
			  hak_load_relaxed(&w->thread->counts[count]) + 1);
}

static uint64_t name_of(struct soak_worker *w, enum soak_kind kind, size_t size)
{
	return (uint64_t)kind | (uint64_t)size << 2 | (uint64_t)w->self << 26 | ++w->n_named << 33;
}

void soak_item_rename(struct soak_worker *w, struct soak_item *item, enum soak_kind kind)
{
	size_t size = soak_name_size(item->name);

	item->name = name_of(w, kind, size);
	hakt_contents_fill(item->block, size, item->name);
}

void soak_item_fail(struct soak_worker *w, const struct soak_item *item, enum soak_error error,
		    const char *what)
{
	char text[SOAK_DUMP_BYTES];

	soak_dump_block(item->block, text);
	soak_fail(w, error, "%s: block %p, %zu bytes, name %llx, first word %llx; %s", what,
		  item->block, soak_name_size(item->name), (unsigned long long)item->name,
		  *(const unsigned long long *)item->block, text);
}

void soak_item_check(struct soak_worker *w, const struct soak_item *item, size_t bytes,
		     const char *what)
{
	size_t at = hakt_contents_wrong_at(item->block, bytes, item->name);
	uint64_t found = 0;
	char text[80];

	if (at == bytes)
		return;
	memcpy(&found, (const char *)item->block + at, bytes - at < 8 ? bytes - at : 8);
	snprintf(text, sizeof(text), "%s, is wrong at %zu: %llx", what, at,
		 (unsigned long long)found);
	soak_item_fail(w, item, SOAK_E_CORRUPT, text);
}

struct soak_item soak_item_open(struct soak_worker *w, void *block, enum soak_kind kind,
				const char *what)
{
	struct soak_item item = {.block = block, .name = *(const uint64_t *)block};
	size_t size = soak_name_size(item.name);

	if (soak_name_kind(item.name) != kind || size < sizeof(uint64_t) ||
	    size > hakmem_usable_size(block))
		soak_item_fail(w, &item, SOAK_E_CORRUPT, what);
	soak_item_check(w, &item, size, what);
	return item;
}

void soak_item_free(struct soak_worker *w, const struct soak_item *item)
{
	soak_item_check(w, item, soak_name_size(item->name), "to be freed");
	memset(item->block, 0xdd, sizeof(uint64_t));
	soak_pass();
	hakmem_free(item->block);
}

bool soak_item_pick(struct soak_worker *w, struct soak_item *ret_item)
{
	unsigned i;

	if (w->n_items == 0)
		return false;
	i = (unsigned)soak_below(w, w->n_items);
	*ret_item = w->items[i];
	w->items[i] = w->items[--w->n_items];
	return true;
}

void soak_item_hold(struct soak_worker *w, const struct soak_item *item)
{
	struct soak_item old;

	if (w->n_items == SOAK_ITEMS_MAX && soak_item_pick(w, &old))
		soak_item_free(w, &old);
	w->items[w->n_items++] = *item;
}

void soak_box_put(struct soak_worker *w, hak_u64 *box, uint64_t word)
{
	hak_u64 *place = &box[soak_below(w, SOAK_BOX)];
	uint64_t old = hak_load_relaxed(place); /* relaxed: the CAS decides */

	soak_pass();
	while (!hak_cas_acq_rel(place, &old, word))
		;
}

uint64_t soak_box_get(struct soak_worker *w, hak_u64 *box)
{
	unsigned from = (unsigned)soak_below(w, SOAK_BOX);

	for (unsigned i = 0; i < SOAK_BOX; i++) {
		hak_u64 *place = &box[(from + i) % SOAK_BOX];
		uint64_t word = hak_load_relaxed(place); /* relaxed: the CAS decides */

		if (word && hak_cas_acq_rel(place, &word, 0)) {
			soak_get();
			return word;
		}
	}
	return 0;
}

/* All stages of an allocation; the mean is about 16 KiB. */
static size_t random_size(struct soak_worker *w)
{
	uint64_t kind = soak_below(w, 2000);

	if (kind < 1200)
		return 8 + soak_below(w, 249);
	if (kind < 1700)
		return 8 + soak_below(w, 4089);
	if (kind < 1900)
		return 8 + soak_below(w, 32761);
	if (kind < 1980)
		return 30000 + soak_below(w, 200u << 10);
	if (kind < 1998)
		return (200u << 10) + soak_below(w, 1400u << 10);
	return (1536u << 10) + soak_below(w, 7u << 20);
}

/* The pool is full: others must have the chance to free. */
static void on_no_memory(struct soak_worker *w)
{
	struct soak_item item;

	if (errno != ENOMEM)
		soak_fail(w, SOAK_E_REFUSED, "an allocation failed: %s", strerror(errno));
	soak_count(w, SOAK_NO_MEMORY);
	while (w->n_items > SOAK_ITEMS_MAX / 4 && soak_item_pick(w, &item))
		soak_item_free(w, &item);
	hakmem_trim();
	usleep(1000);
}

static void *allocate(struct soak_worker *w, size_t size)
{
	uint64_t kind = soak_below(w, 16);

	if (kind == 0) {
		const unsigned char *block;

		soak_write_begin();
		block = hakmem_calloc(size, 1);
		soak_write_end();
		soak_get();
		for (size_t i = 0; block && i < size; i++)
			if (block[i])
				soak_fail(w, SOAK_E_CORRUPT, "calloc of %zu is not 0 at %zu", size,
					  i);
		return (void *)(uintptr_t)block;
	}
	if (kind == 1) {
		size_t alignment = (size_t)1 << soak_below(w, size > 65536 ? 22 : 14);
		void *block = hakmem_aligned_alloc(alignment, size);

		if ((uintptr_t)block % alignment)
			soak_fail(w, SOAK_E_CORRUPT, "%p is not aligned to %zu", block, alignment);
		return block;
	}
	return hakmem_malloc(size);
}

static void make(struct soak_worker *w)
{
	size_t size = random_size(w);
	struct soak_item item = {
		.block = allocate(w, size), .name = (uint64_t)size << 2, .is_made = true};

	soak_get();
	if (!item.block) {
		on_no_memory(w);
		return;
	}
	if (hakmem_usable_size(item.block) < size)
		soak_fail(w, SOAK_E_CORRUPT, "block %p has less than %zu bytes", item.block, size);
	soak_item_rename(w, &item, SOAK_HELD);
	soak_item_hold(w, &item);
}

static void resize(struct soak_worker *w)
{
	size_t size = random_size(w), before;
	struct soak_item item;
	void *block;

	if (!soak_item_pick(w, &item))
		return;
	before = soak_name_size(item.name);
	soak_pass();
	soak_write_begin();
	block = hakmem_realloc(item.block, size);
	soak_write_end();
	if (!block) {
		soak_item_hold(w, &item); /* it is untouched */
		on_no_memory(w);
		return;
	}
	soak_get();
	item.is_made |= block != item.block;
	item.block = block;
	soak_item_check(w, &item, before < size ? before : size, "after realloc");
	item.name = (uint64_t)size << 2;
	soak_item_rename(w, &item, SOAK_HELD);
	soak_item_hold(w, &item);
}

/* Looks at one of its own without a change. */
static void look(struct soak_worker *w)
{
	struct soak_item item;
	int owner, pid = 0;
	char text[80];

	if (!soak_item_pick(w, &item))
		return;
	owner = hakmem_owner(item.block, &pid);
	if (owner != HAKMEM_OWNER_SELF || pid != (int)getpid()) {
		snprintf(text, sizeof(text), "held by us, but of owner %d, pid %d", owner, pid);
		soak_item_fail(w, &item, SOAK_E_CORRUPT, text);
	}
	soak_item_check(w, &item, soak_name_size(item.name), "held");
	soak_item_hold(w, &item);
}

static void trim(struct soak_worker *w)
{
	struct hakmem_stats stats;

	if (hakmem_trim() < 0 || hakmem_stats(&stats, sizeof(stats)) < 0)
		soak_fail(w, SOAK_E_REFUSED, "trim or stats failed");
	if (stats.refused_frees)
		soak_fail(w, SOAK_E_REFUSED, "%llu frees were refused, see above",
			  (unsigned long long)stats.refused_frees);
	hak_store_release(&w->thread->unflushed, 0);
}

static void step(struct soak_worker *w)
{
	uint64_t kind = soak_below(w, 1000);
	struct soak_item item;

	soak_count(w, SOAK_STEPS);
	if (kind < 300)
		make(w);
	else if (kind < 420 && soak_item_pick(w, &item))
		soak_item_free(w, &item);
	else if (kind < 470)
		resize(w);
	else if (kind < 500)
		look(w);
	else if (kind < 640)
		soak_give(w);
	else if (kind < 840)
		soak_receive(w);
	else if (kind < 850)
		soak_replay(w);
	else if (kind < 890)
		soak_lend(w);
	else if (kind < 940)
		soak_borrow(w);
	else if (kind < 942)
		soak_publish(w);
	else if (kind < 944)
		soak_withdraw(w);
	else if (kind < 945)
		soak_lookup(w);
	if (kind % 16 == 0) {
		soak_give_settle(w, false);
		soak_loan_settle(w, false);
	}
	if (soak_below(w, 20000) == 0)
		trim(w);
}

static void settle(struct soak_worker *w)
{
	uint64_t end = hakt_now_ns() + SETTLE_NS;
	struct soak_item item;
	bool is_busy;

	do {
		is_busy = soak_give_settle(w, true);
		is_busy |= soak_loan_settle(w, true);
		while (soak_item_pick(w, &item))
			soak_item_free(w, &item);
		if (hakt_now_ns() > end)
			soak_fail(w, SOAK_E_HANG, "%u tickets and %u loans don't come back",
				  w->n_out, w->n_lent);
		if (is_busy)
			usleep(1000);
	} while (is_busy);
}

/* Nobody publishes any more. */
static void trim_all(struct soak_worker *w)
{
	struct soak_item item;

	soak_withdraw_all(w);
	while (soak_item_pick(w, &item))
		soak_item_free(w, &item);
	trim(w);
}

static void *run_thread(void *context)
{
	struct soak_worker *w = context;

	while (hak_load_acquire(&w->client->order) == SOAK_GO_ON) {
		uint64_t phase = hak_load_acquire(&w->table->phase);

		if (phase % SOAK_PHASES == SOAK_WORK) {
			for (unsigned i = 0; i < 16; i++)
				step(w);
			continue;
		}
		if (hak_load_relaxed(&w->thread->done) == phase) { /* relaxed: our own */
			usleep(1000);
			continue;
		}
		if (phase % SOAK_PHASES == SOAK_SETTLE)
			settle(w);
		else
			trim_all(w);
		hak_store_release(&w->thread->done, phase);
	}
	return NULL;
}

static void init(struct soak_worker *w, struct soak_table *table, unsigned self)
{
	struct soak_client *client = &table->clients[soak_client_of(self)];
	uint64_t life = hak_load_acquire(&client->life);

	*w = (struct soak_worker){.table = table,
				  .client = client,
				  .thread = &table->threads[self],
				  .self = self,
				  .random = table->seed + self + (life << 16),
				  .n_named = (life & 0x7ff) << 20};
}

void soak_client_run(struct soak_table *table, unsigned client)
{
	static struct soak_worker workers[SOAK_THREADS_MAX];
	unsigned n = soak_n_threads(client);
	pthread_t threads[SOAK_THREADS_MAX];
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* without a driver there is no reason to go on */
	for (unsigned i = 0; i < n; i++)
		init(&workers[i], table, client * SOAK_THREADS_MAX + i);
	r = hakmem_attach(NULL);
	if (r < 0)
		soak_fail(&workers[0], SOAK_E_REFUSED, "cannot attach: %s", strerror(-r));
	for (unsigned i = 1; i < n; i++)
		if (pthread_create(&threads[i], NULL, run_thread, &workers[i]) != 0)
			soak_fail(&workers[i], SOAK_E_REFUSED, "no thread");
	run_thread(&workers[0]);
	for (unsigned i = 1; i < n; i++)
		pthread_join(threads[i], NULL);
	if (hak_load_acquire(&workers[0].client->order) == SOAK_DETACH) {
		r = hakmem_detach();
		if (r < 0)
			soak_fail(&workers[0], SOAK_E_REFUSED, "cannot detach: %s", strerror(-r));
	}
	_exit(0);
}
