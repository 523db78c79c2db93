/* SPDX-License-Identifier: MIT */
/* The audit of tags beside those who move them: nothing is told, whoever is at it, or dies at it. */
#include "tests/support/run.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/pool.h"
#include "tests/support/random.h"

#define MIB	UINT64_C(1048576)
#define OWNER	9u
#define TAKER	10u
#define LEAVING 11u /* RECLAIMING */
#define MORTALS 20u /* two that die again and again */
#define PER	32u /* slots of a SuperSlab of 2 MiB */

#define SLAB  0u  /* tagged, of class 0 */
#define BLANK PER /* granted to OWNER */

static struct hakt_pool pool;
static struct hak_finding findings[8];
static unsigned n_findings;
static struct hak_share shares[HAK_HOLDER_COUNT];

static hak_u64 *word_of(uint32_t slot)
{
	return &pool.segment.slab_words[slot];
}

static hak_u32 *tag_of(uint32_t slot, unsigned block)
{
	return &hak_segment_tags(&pool.segment, slot)[block];
}

static int make_pool(void **state)
{
	(void)state;
	hakt_pool_init(&pool, 64 * MIB, 21);
	hakt_pool_set_holder(&pool, OWNER, HAK_HOLDER_ATTACHED, 1);
	hakt_pool_set_holder(&pool, TAKER, HAK_HOLDER_ATTACHED, 1);
	hakt_pool_set_holder(&pool, MORTALS, HAK_HOLDER_ATTACHED, 1);
	hakt_pool_set_holder(&pool, MORTALS + 1, HAK_HOLDER_ATTACHED, 1);
	hakt_pool_set_holder(&pool, LEAVING, HAK_HOLDER_RECLAIMING, 1);
	hakt_pool_grant(&pool, 0, 2, false, OWNER);
	assert_true(hakt_pool_cut(&pool, SLAB, OWNER, 0));
	assert_true(hak_slab_set_tagged(word_of(SLAB), OWNER));
	return 0;
}

static int drop_pool(void **state)
{
	(void)state;
	hakt_pool_deinit(&pool);
	return 0;
}

static bool add_finding(struct hak_audit *audit, const struct hak_finding *finding)
{
	(void)audit;
	if (n_findings < sizeof(findings) / sizeof(findings[0]))
		findings[n_findings++] = *finding;
	return true;
}

static void check_clean(void)
{
	if (n_findings > 0)
		fail_msg("%s in slot %u, block %u", hak_anomaly_names[findings[0].kind],
			 findings[0].slot, findings[0].block);
}

/* In threads other than cmocka's. */
static void must(bool claim)
{
	if (claim)
		return;
	fprintf(stderr, "a thread's step went wrong\n");
	abort();
}

/* What happens between the load of SLAB's bits and that of its first tag. */
static void (*meanwhile)(void);
static unsigned n_pages; /* of tags, that are passed before it happens: then it is the next look */

static void protect(unsigned page, int protection)
{
	assert_int_equal(mprotect(tag_of(SLAB, page * HAK_PAGE_BYTES / sizeof(hak_u32)),
				  HAK_PAGE_BYTES, protection),
			 0);
}

static void on_fault(int number)
{
	void (*act)(void) = meanwhile;

	(void)number;
	if (!act)
		_exit(139);
	protect(n_pages, PROT_READ | PROT_WRITE);
	if (n_pages > 0) {
		n_pages = 0;
		protect(0, PROT_NONE);
		return;
	}
	meanwhile = NULL;
	act();
}

/* Audits; act happens at the first look at SLAB's tags, or at the next one, which attributes. */
static struct hak_audit audit_interrupted(void (*act)(void), bool is_late)
{
	struct sigaction action = {.sa_handler = on_fault}, before;
	struct hak_audit audit = {.report = add_finding, .shares = shares};

	meanwhile = act;
	n_pages = is_late ? 3 : 0;
	n_findings = 0;
	memset(shares, 0, sizeof(shares));
	assert_int_equal(sigaction(SIGSEGV, &action, &before), 0);
	protect(n_pages, PROT_NONE);
	hakt_pool_audit(&pool, &audit);
	assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
	assert_null(meanwhile);
	check_clean();
	return audit;
}

static void scan_for_the_leaving(void)
{
	hak_u64 *bits = hak_segment_bits(&pool.segment, SLAB);

	for (unsigned i = 0; i < 64; i++)
		if (hak_slab_taken_bits(bits) >> i & 1 &&
		    hak_tag_scan_held(tag_of(SLAB, i), LEAVING))
			hak_slab_free(bits, UINT64_C(1) << i);
	hakt_pool_set_holder(&pool, LEAVING, HAK_HOLDER_FREE, 1);
}

static void leave_blocks(void)
{
	assert_true(hakt_pool_claim(&pool, SLAB, 0, 3) == 3);
	assert_true(hak_tag_take(tag_of(SLAB, 0), LEAVING, 0));
	assert_true(hak_tag_take(tag_of(SLAB, 1), LEAVING, 0));
	assert_true(hak_tag_free_held(tag_of(SLAB, 1), LEAVING)); /* killed there */
}

static void test_a_holder_whose_scan_ends_meanwhile_is_clean(void **state)
{
	(void)state;
	leave_blocks();
	audit_interrupted(scan_for_the_leaving, false);
	assert_int_equal(shares[LEAVING].blocks, 0);
}

static void test_blocks_that_are_freed_while_they_are_attributed_are_not_lost(void **state)
{
	struct hak_audit audit;

	(void)state;
	leave_blocks();
	audit = audit_interrupted(scan_for_the_leaving, true);
	assert_int_equal(audit.lost.blocks, 0);
	assert_int_equal(shares[LEAVING].blocks, 0);
}

static void claim_and_take(void)
{
	assert_true(hakt_pool_claim(&pool, SLAB, 0, 1) == 1);
	assert_true(hak_tag_take(tag_of(SLAB, 0), TAKER, 0));
}

static void test_a_block_that_is_claimed_and_taken_meanwhile_is_clean(void **state)
{
	(void)state;
	audit_interrupted(claim_and_take, false);
	assert_int_equal(shares[TAKER].blocks, 1);
}

static hak_u32 is_over;
static hak_u32 n_rounds; /* of the takers and of the owners that die */
static hak_u64 mail[64]; /* tickets of SLAB's blocks: inc + 1, 0: none */

/* OWNER's thread: claims, makes refs, frees what nobody took. */
static void *work_as_owner(void *context)
{
	uint64_t seed = *(uint64_t *)context;
	hak_u64 *bits = hak_segment_bits(&pool.segment, SLAB);

	while (!hak_load_relaxed(&is_over)) {
		uint64_t r = hakt_random(&seed);
		unsigned i = r % 64;

		if (hakt_pool_claim(&pool, SLAB, 0, UINT64_C(1) << i))
			hak_store_release(&mail[i],
					  (uint64_t)hak_tag_inc(hak_tag_load(tag_of(SLAB, i))) + 1);
		i = (r >> 8) % 64;
		if (r >> 32 & 1 && hak_load_acquire(&mail[i]) &&
		    hak_tag_free_local(tag_of(SLAB, i), OWNER)) {
			hak_store_relaxed(&mail[i], 0);
			hak_slab_free(bits, UINT64_C(1) << i);
		}
	}
	return NULL;
}

/* What the daemon does when a taker has been killed; then the slot is somebody else's. */
static void reclaim(unsigned holder, uint32_t generation)
{
	hak_u64 *bits = hak_segment_bits(&pool.segment, SLAB);

	hakt_pool_set_holder(&pool, holder, HAK_HOLDER_RECLAIMING, generation);
	for (unsigned i = 0; i < 64; i++)
		if (hak_slab_taken_bits(bits) >> i & 1 &&
		    hak_tag_scan_held(tag_of(SLAB, i), holder))
			hak_slab_free(bits, UINT64_C(1) << i);
	hakt_pool_set_holder(&pool, holder, HAK_HOLDER_FREE, generation);
	hakt_pool_set_holder(&pool, holder, HAK_HOLDER_ATTACHED, generation + 1);
}

/* A client that takes, passes on, frees, and is killed between any two of its steps. */
static void *work_as_taker(void *context)
{
	unsigned holder = (unsigned)(uintptr_t)context;
	hak_u64 *bits = hak_segment_bits(&pool.segment, SLAB);
	uint64_t seed = holder;
	uint32_t generation = 1;

	while (!hak_load_relaxed(&is_over)) {
		uint64_t r = hakt_random(&seed), ticket;
		unsigned i = r % 64, death = (r >> 8) % 16;

		if (death == 0)
			reclaim(holder, generation++);
		hak_add_relaxed(&n_rounds, 1);
		ticket = hak_load_acquire(&mail[i]);
		if (!ticket || !hak_tag_take(tag_of(SLAB, i), holder, (unsigned)ticket - 1))
			continue;
		if (death == 1)
			continue; /* it holds the block until its end */
		if (r >> 32 & 1) {
			hak_store_release(&mail[i], (ticket & HAK_REF_INC_MAX) + 1);
			continue;
		}
		if (hak_tag_free_held(tag_of(SLAB, i), holder) && death != 2)
			hak_slab_free(bits, UINT64_C(1) << i);
	}
	return NULL;
}

/* A SuperSlab whose owner dies, with a survivor: an orphan, then an heir's, then free again. */
static void *work_as_daemon(void *context)
{
	const uint32_t at = BLANK / PER;
	hak_u64 *bits = hak_segment_bits(&pool.segment, BLANK);

	(void)context;
	while (!hak_load_relaxed(&is_over)) {
		must(hakt_pool_cut(&pool, BLANK, OWNER, 0));
		must(hakt_pool_claim(&pool, BLANK, 0, 3) == 3);
		must(hak_slab_set_tagged(word_of(BLANK), OWNER));
		must(hak_tag_take(tag_of(BLANK, 0), TAKER, 0));
		hak_superslab_begin_collect(&pool.superslabs[at]);
		must(!hak_tag_scan_own(tag_of(BLANK, 0), OWNER));
		must(hak_tag_scan_own(tag_of(BLANK, 1), OWNER));
		hak_slab_free(bits, 2);
		hak_slab_orphan(word_of(BLANK));
		for (uint32_t i = 1; i < PER; i++)
			hak_slab_collect(word_of(BLANK + i));
		hak_superslab_orphan(&pool.superslabs[at]);
		for (uint32_t i = 0; i < PER; i++)
			if (i == 0)
				hak_slab_inherit(word_of(BLANK), TAKER);
			else
				hak_slab_grant(word_of(BLANK + i), TAKER, false);
		hak_superslab_inherit(&pool.superslabs[at], TAKER);
		must(hak_slab_pass(word_of(BLANK), TAKER, 0, 1));
		must(hak_tag_free_local(tag_of(BLANK, 0), TAKER));
		hak_slab_free(bits, 1);
		must(hakt_pool_retire(&pool, BLANK, TAKER));
		hakt_pool_collect(&pool, at);
		for (unsigned i = 0; i < HAK_CLASS_BLOCKS; i++)
			hak_store_relaxed(tag_of(BLANK, i), 0);
		hakt_pool_grant(&pool, at, 1, false, OWNER);
		hak_add_relaxed(&n_rounds, 1);
	}
	return NULL;
}

/* Only the daemon knows of an heir that is at work. */
static bool add_certain(struct hak_audit *audit, const struct hak_finding *finding)
{
	return !finding->unless_taken && add_finding(audit, finding);
}

static void start(pthread_t *thread, void *(*work)(void *context), void *context)
{
	assert_int_equal(pthread_create(thread, NULL, work, context), 0);
}

static void test_claims_takes_frees_deaths_and_orphans_meanwhile_are_clean(void **state)
{
	uint64_t seed = hakt_random_seed(), n_lost = 0;
	pthread_t threads[4];

	(void)state;
	hak_store_relaxed(&is_over, 0);
	hak_store_relaxed(&n_rounds, 0);
	start(&threads[0], work_as_owner, &seed);
	start(&threads[1], work_as_taker, (void *)(uintptr_t)(MORTALS));
	start(&threads[2], work_as_taker, (void *)(uintptr_t)(MORTALS + 1));
	start(&threads[3], work_as_daemon, NULL);
	n_findings = 0;
	for (unsigned i = 0; (i < 5000 || hak_load_relaxed(&n_rounds) < 2000000) && n_findings == 0;
	     i++) {
		struct hak_audit audit = {.report = add_certain, .shares = shares};

		hak_audit_superslab(&pool.segment, SLAB / PER, &audit);
		hak_audit_superslab(&pool.segment, BLANK / PER, &audit);
		n_lost += audit.lost.blocks;
	}
	hak_store_relaxed(&is_over, 1);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	check_clean();
	assert_int_equal(n_lost, 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_holder_whose_scan_ends_meanwhile_is_clean, make_pool,
					drop_pool),
	cmocka_unit_test_setup_teardown(
		test_blocks_that_are_freed_while_they_are_attributed_are_not_lost, make_pool,
		drop_pool),
	cmocka_unit_test_setup_teardown(test_a_block_that_is_claimed_and_taken_meanwhile_is_clean,
					make_pool, drop_pool),
	cmocka_unit_test_setup_teardown(
		test_claims_takes_frees_deaths_and_orphans_meanwhile_are_clean, make_pool,
		drop_pool),
};

HAKT_MAIN(tests, NULL, NULL)
