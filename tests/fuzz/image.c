/* SPDX-License-Identifier: MIT */
/*
 * A daemon gets a registry and a heap from its keeper: words as they may be, or not. It refuses
 * the pool, or takes it over: then its counts are the registry's, it audits the pool to the end,
 * and it serves a client.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/shm/roots.h"
#include "tests/fuzz/caller.h"
#include "tests/fuzz/host.h"
#include "tests/fuzz/input.h"

enum { WORDS = 200, TOTAL = 64, PER = 16, HOLDERS = 10 };

static struct hakt_host host;
static struct hakd_pool *pool; /* as it is written */

/* A run whose bodies are there, mostly; one SuperSlab of it may be written anew later. */
static void write_run(struct hakt_input *input)
{
	uint32_t at = hakt_input_pick(input, TOTAL);
	uint8_t how = hakt_input_byte(input), owner = hakt_input_byte(input) % HOLDERS;
	uint32_t n = how & 8 ? 1 + (how >> 4) : 1;
	enum hak_superslab_state state = (enum hak_superslab_state)(how & 7);

	for (uint32_t i = 0; i < n && at + i < TOTAL; i++)
		hak_store_relaxed(&pool->superslabs[at + i],
				  hak_superslab_pack(i ? HAK_SUPERSLAB_BODY : state, how & 8, owner,
						     i ? i : n, 1));
}

static void write_superslab(struct hakt_input *input)
{
	uint32_t at = hakt_input_pick(input, TOTAL);
	uint8_t how = hakt_input_byte(input), owner = hakt_input_byte(input) % HOLDERS;
	uint32_t length = hakt_input_index(input, 8);

	hak_store_relaxed(&pool->superslabs[at],
			  how & 128 ? hakt_input_take(input, 8)
				    : hak_superslab_pack((enum hak_superslab_state)(how & 7),
							 how & 8, owner, length, how >> 4));
}

/* Of this process, of none, or of any. */
static void write_holder(struct hakt_input *input)
{
	uint32_t slot = hakt_input_index(input, HOLDERS) % HAK_HOLDER_COUNT;
	struct hak_holder *holder = &pool->holders[slot];
	uint8_t how = hakt_input_byte(input);
	const int32_t pids[] = {getpid(), 0, -1, 0x7ffffff0, (int32_t)hakt_input_take(input, 4)};

	hak_store_relaxed(&holder->word,
			  how & 128 ? hakt_input_take(input, 8)
				    : hak_holder_pack((enum hak_holder_state)(how & 3), how >> 4));
	holder->pid = pids[hakt_input_pick(input, 5)];
	holder->start_time = how & 8 ? hakt_input_take(input, 8) : 0;
}

static void write_slab(struct hakt_input *input)
{
	uint32_t slot = hakt_input_slot(input, TOTAL, PER);
	uint8_t how = hakt_input_byte(input), owner = hakt_input_byte(input) % HOLDERS;
	uint32_t arg = hakt_input_index(input, 32), block;
	uint64_t w = hak_slab_pack((enum hak_slab_state)(how & 3), 1, owner,
				   (how & 3) == HAK_SLAB_ACTIVE ? arg << 16 : arg) |
		     (how & 8 ? HAK_SLAB_TAGGED : 0) | (how & 16 ? HAK_SLAB_NAMED : 0);

	hak_store_relaxed(&pool->segment.slab_words[slot],
			  how & 128 ? hakt_input_take(input, 8) : w);
	hak_store_relaxed(hak_segment_bits(&pool->segment, slot), hakt_input_byte(input));
	block = hakt_input_pick(input, 8);
	hak_store_relaxed(&hak_segment_tags(&pool->segment, slot)[block],
			  (uint32_t)hakt_input_take(input, 2));
}

static void write_root(struct hakt_input *input)
{
	struct hak_root *root = &pool->roots[hakt_input_index(input, 8) % HAK_ROOT_COUNT];
	uint64_t slot = hakt_input_slot(input, TOTAL, PER);
	uint8_t how = hakt_input_byte(input);

	hak_store_relaxed(&root->word, hak_root_pack((enum hak_root_state)(how & 7), how >> 6));
	hak_store_relaxed(&root->ref, how & 8 ? hakt_input_take(input, 8)
					      : hak_ref_make(slot << HAK_SLOT_LG, 1, how >> 4 & 1));
	hak_store_relaxed(&root->place, hakt_input_take(input, how & 32 ? 8 : 1));
	hak_store_relaxed(&root->head, hakt_input_byte(input) % 4);
	hak_store_relaxed(&root->publisher, hakt_input_take(input, 1) | UINT64_C(1) << 32);
	hak_store_relaxed(&root->taker, hakt_input_take(input, 1) | UINT64_C(1) << 32);
	hak_store_relaxed(&root->name[0], hakt_input_take(input, 8));
}

/* Any byte of the registry's header; it may have got none. */
static void write_header(struct hakt_input *input)
{
	uint8_t at = hakt_input_byte(input) % sizeof(struct hak_registry);

	((uint8_t *)pool->registry)[at] = hakt_input_byte(input);
}

static void write_area(struct hakt_input *input)
{
	struct hak_client_area *area = &pool->segment.areas[hakt_input_pick(input, HOLDERS)];
	uint32_t at;

	hak_store_relaxed(&area->n_crossings, hakt_input_take(input, 2));
	hak_store_relaxed(&area->crossings[0], hakt_input_byte(input));
	at = hakt_input_pick(input, TOTAL);
	hak_store_relaxed(&pool->segment.pending[at], (uint32_t)hakt_input_take(input, 4));
}

/* What the keeper has: copies of the pool's descriptors. */
static void make_image(struct hakt_input *input, struct hakd_keeper *ret_keeper)
{
	static void (*const writes[])(struct hakt_input * input) = {
		write_run,  write_run,	write_superslab, write_holder,
		write_slab, write_slab, write_root,	 write_area,
	};
	bool has_header = hakt_input_byte(input) % 16 == 15;

	HAKT_CLAIM(hakd_pool_new("default", HAKT_HOST_CAPACITY, HAKT_HOST_LIMIT, HAKT_HOST_LG, NULL,
				 0, &pool) == 0);
	HAKT_CLAIM(pool->segment.geometry.n_superslabs == TOTAL &&
		   pool->segment.geometry.slots_per_superslab == PER);
	if (has_header)
		write_header(input);
	for (unsigned i = 0; i < WORDS && input->n > 0; i++)
		writes[hakt_input_pick(input, 8)](input);
	hakd_keeper_init_none(ret_keeper);
	ret_keeper->pools[0].registry_fd = dup(pool->registry_fd);
	ret_keeper->pools[0].heap_fd = dup(pool->heap_fd);
	HAKT_CLAIM(ret_keeper->pools[0].registry_fd >= 0 && ret_keeper->pools[0].heap_fd >= 0);
	hakd_pool_free(pool);
}

static void ask(Hak__Request *request)
{
	hakt_caller_ask(&hakt_callers[0], request, false);
	hakt_host_settle(&host);
	hakt_callers_listen(true);
}

/* A client comes, asks for memory, has the pool audited, and goes. */
static void use(void)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Hello hello = HAK__HELLO__INIT;
	Hak__Refill refill = HAK__REFILL__INIT;
	Hak__CheckQuery check = HAK__CHECK_QUERY__INIT;
	Hak__Bye bye = HAK__BYE__INIT;

	hakt_caller_connect(&hakt_callers[0]);
	hello.protocol_version = HAK_PROTOCOL_VERSION;
	hello.layout_version = HAK_LAYOUT_VERSION;
	hello.layout_fingerprint = hak_layout_fingerprint();
	request.body_case = HAK__REQUEST__BODY_HELLO;
	request.hello = &hello;
	ask(&request);
	HAKT_CLAIM(hakt_callers[0].generation != 0 || hakt_callers[0].n_asked == 0);
	request.body_case = HAK__REQUEST__BODY_CHECK;
	request.check = &check;
	ask(&request);
	request.body_case = HAK__REQUEST__BODY_REFILL;
	refill.count = 1;
	request.refill = &refill;
	ask(&request);
	hakt_host_pass(&host, 2500); /* for who waits for memory, longest */
	hakt_host_pass(&host, 200);
	hakt_callers_listen(true);
	HAKT_CLAIM(hakt_callers[0].n_asked == 0);
	request.body_case = HAK__REQUEST__BODY_BYE;
	request.bye = &bye;
	ask(&request);
	hakt_callers_deinit();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static bool has_run; /* the first one opens what stays open */
	unsigned n_fds = hakt_host_count_fds();
	struct hakt_input input = {bytes, n};
	struct hakd_keeper keeper;
	int r;

	hakt_callers_init();
	make_image(&input, &keeper);
	r = hakt_host_start(&host, &keeper);
	HAKT_CLAIM(r == 0 || r == -EPROTO);
	if (r == 0) {
		hakt_host_settle(&host);
		hakt_host_expect_books(&host, false);
		for (unsigned i = 0; i < 5; i++)
			hakt_host_pass(&host, 250);
		hakt_host_expect_books(&host, false);
		use();
		hakt_host_expect_books(&host, false);
		hakt_host_kill(&host);
	}
	HAKT_CLAIM(!has_run || hakt_host_count_fds() == n_fds);
	has_run = true;
	return 0;
}
