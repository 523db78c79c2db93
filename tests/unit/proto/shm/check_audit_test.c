/* SPDX-License-Identifier: MIT */
/* The audit: a healthy pool with everything in it is clean, each anomaly planted there is told alone. */
#include "tests/support/run.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/pool.h"
#include "tests/support/random.h"

#define MIB	   UINT64_C(1048576)
#define OWNER	   9u
#define OTHER	   10u
#define NOBODY	   11u /* a holder slot that is free */
#define PER	   32u /* slots of a SuperSlab of 2 MiB */
#define GENERATION 5u

/* Where the healthy pool has what. */
#define SLABS	   0u		 /* of every class, 24 SuperSlabs */
#define SPANS	   24u		 /* SuperSlab with spans */
#define BLANK	   25u		 /* granted, nothing cut */
#define RUN	   26u		 /* huge, 3 long */
#define COLLECTING 29u		 /* RECLAIMING, words half reset */
#define FREED	   30u		 /* was granted once */
#define FRESH	   31u		 /* never was */
#define SPAN	   (SPANS * PER) /* a span of 3 slots, then one of 2 */

static struct hakt_pool pool;
static struct hak_finding findings[8];
static unsigned n_findings;

static hak_u64 *word_of(uint32_t slot)
{
	return &pool.segment.slab_words[slot];
}

static void cut_slabs(void)
{
	uint32_t slot = SLABS * PER;

	for (unsigned cls = 0; cls < HAK_CLASS_COUNT; cls++) {
		if (slot % PER + hak_classes[cls].n_slots > PER)
			slot = (slot / PER + 1) * PER;
		assert_true(hakt_pool_cut(&pool, slot, OWNER, cls));
		hakt_pool_claim(&pool, slot, 0, 5);
		if (cls % 3 == 0) /* nobody claims it: its thread ended */
			assert_true(hak_slab_pass(word_of(slot), OWNER, 1, 0));
		slot += hak_classes[cls].n_slots;
	}
	assert_true(slot <= (SLABS + 24) * PER);
}

static void cut_spans(void)
{
	assert_true(hakt_pool_cut_span(&pool, SPAN, OWNER, 3));
	assert_true(hakt_pool_cut_span(&pool, SPAN + 3, OWNER, 2));
	assert_true(hakt_pool_cut_span(&pool, SPAN + 8, OWNER, 4));
	hak_slab_free(hak_segment_bits(&pool.segment, SPAN + 8), 1);
	/* Retired: its bodies stay. */
	assert_true(hakt_pool_retire(&pool, SPAN + 8, OWNER));
	assert_true(hakt_pool_cut_span(&pool, RUN * PER, OTHER,
				       2 * PER + 5)); /* shorter than its run */
}

static int make_healthy_pool(void **state)
{
	(void)state;
	hakt_pool_init(&pool, 64 * MIB, 21);
	hakt_pool_set_holder(&pool, OWNER, HAK_HOLDER_ATTACHED, GENERATION);
	hakt_pool_set_holder(&pool, OTHER, HAK_HOLDER_RECLAIMING, GENERATION);
	hakt_pool_grant(&pool, SLABS, 26, false, OWNER);
	hakt_pool_grant(&pool, RUN, 3, true, OTHER);
	hakt_pool_grant(&pool, COLLECTING, 2, false, OTHER);
	cut_slabs();
	cut_spans();
	hak_superslab_begin_collect(&pool.superslabs[COLLECTING]);
	hak_slab_collect(word_of(COLLECTING * PER));
	hakt_pool_collect(&pool, FREED);
	hak_segment_raise_pending(&pool.segment, SPAN);
	n_findings = 0;
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
	assert_true(n_findings < sizeof(findings) / sizeof(findings[0]));
	findings[n_findings++] = *finding;
	return true;
}

static struct hak_audit audit_pool(void)
{
	static uint32_t generations[HAK_HOLDER_COUNT];
	struct hak_audit audit = {.report = add_finding, .generations = generations};

	generations[OWNER] = generations[OTHER] = GENERATION;
	n_findings = 0;
	hakt_pool_audit(&pool, &audit);
	assert_int_equal(hak_check_anomalies(&audit.census), n_findings);
	return audit;
}

/* One finding, this one. */
static void expect(enum hak_anomaly kind, uint32_t superslab, uint32_t slot, unsigned owner)
{
	struct hak_audit audit = audit_pool();

	if (n_findings != 1 || findings[0].kind != kind || findings[0].superslab != superslab ||
	    findings[0].slot != slot || findings[0].owner != owner)
		fail_msg("%u findings; first: %s, SuperSlab %u, slot %u, owner %u", n_findings,
			 n_findings ? hak_anomaly_names[findings[0].kind] : "-",
			 findings[0].superslab, findings[0].slot, findings[0].owner);
	assert_int_equal(audit.census.anomalies[kind], 1);
}

/* That word of a slot instead of the one it has: this is found; then it is as before. */
static void expect_planted(uint32_t slot, uint64_t w, enum hak_anomaly kind)
{
	uint64_t before = hak_load_relaxed(word_of(slot));

	hak_store_relaxed(word_of(slot), w);
	expect(kind, slot / PER, slot, slot < RUN * PER ? OWNER : OTHER);
	hak_store_relaxed(word_of(slot), before);
}

static uint64_t make_word(unsigned state, unsigned owner, uint32_t arg)
{
	return hak_slab_pack((enum hak_slab_state)state, 1, owner, arg);
}

static void test_a_healthy_pool_with_everything_in_it_is_clean(void **state)
{
	struct hak_audit audit = audit_pool();

	(void)state;
	assert_int_equal(n_findings, 0);
	assert_int_equal(audit.census.slabs, HAK_CLASS_COUNT);
	assert_int_equal(audit.census.spans, 3);
	assert_int_equal(audit.census.superslabs, 29);
	assert_int_equal(audit.lost.blocks, 0);
	assert_int_equal(audit.stale_hints, 0);
}

static void test_each_wrong_slab_word_is_told_alone(void **state)
{
	(void)state;
	expect_planted(SPAN, make_word(HAK_SLAB_SPAN, OTHER, 3), HAK_ANOMALY_OWNER);
	expect_planted(BLANK * PER + 1, make_word(HAK_SLAB_UNUSED, OTHER, 0), HAK_ANOMALY_OWNER);
	expect_planted(BLANK * PER + 1, make_word(HAK_SLAB_BODY + 1, OWNER, 0), HAK_ANOMALY_STATE);
	expect_planted(BLANK * PER + 1, make_word(HAK_SLAB_ACTIVE, OWNER, 200u << 16 | 1),
		       HAK_ANOMALY_CLASS);
	expect_planted(SPAN + 2, make_word(HAK_SLAB_BODY, OWNER, 1), HAK_ANOMALY_BODY);
	expect_planted(SPAN + 1, make_word(HAK_SLAB_UNUSED, OWNER, 0), HAK_ANOMALY_BODY);
	expect_planted(BLANK * PER + 31, make_word(HAK_SLAB_SPAN, OWNER, 2), HAK_ANOMALY_RANGE);
	expect_planted(BLANK * PER + 31, make_word(HAK_SLAB_SPAN, OWNER, 0), HAK_ANOMALY_RANGE);
	expect_planted(RUN * PER, make_word(HAK_SLAB_SPAN, OTHER, 3 * PER + 1), HAK_ANOMALY_RANGE);
}

static void test_a_body_that_leads_out_of_its_superslab_is_told(void **state)
{
	(void)state;
	expect_planted(BLANK * PER + 1, make_word(HAK_SLAB_BODY, OWNER, 2), HAK_ANOMALY_BODY);
	expect_planted(BLANK * PER + 1, make_word(HAK_SLAB_BODY, OWNER, 0), HAK_ANOMALY_BODY);
	expect_planted(BLANK * PER + 1, make_word(HAK_SLAB_BODY, OWNER, HAK_SLAB_ARG_MAX),
		       HAK_ANOMALY_BODY);
	hak_store_relaxed(word_of(BLANK * PER + 1), make_word(HAK_SLAB_BODY, OWNER, 1));
	audit_pool();
	assert_int_equal(n_findings, 0); /* of nothing, but possible */
}

static void test_overlapping_heads_are_told(void **state)
{
	(void)state;
	expect_planted(SPAN + 1, make_word(HAK_SLAB_SPAN, OWNER, 1), HAK_ANOMALY_OVERLAP);
	assert_int_equal(findings[0].head, SPAN);
	expect_planted(SPAN + 2, make_word(HAK_SLAB_ACTIVE, OWNER, 1), HAK_ANOMALY_OVERLAP);
	hak_store_relaxed(word_of(SPAN),
			  make_word(HAK_SLAB_SPAN, OWNER, 4)); /* into its neighbour */
	expect(HAK_ANOMALY_OVERLAP, SPANS, SPAN + 3, OWNER);
}

static void test_free_bits_of_no_block_are_told(void **state)
{
	(void)state;
	hak_slab_free(hak_segment_bits(&pool.segment, SPAN + 3), 2);
	expect(HAK_ANOMALY_BITS, SPANS, SPAN + 3, OWNER);
}

static void test_a_holder_that_is_not_there_is_told_with_what_is_lost(void **state)
{
	struct hak_audit audit;

	(void)state;
	hak_superslab_begin_collect(&pool.superslabs[RUN]); /* then only it is granted to nobody */
	hakt_pool_grant(&pool, FREED, 1, false, NOBODY);
	assert_true(hakt_pool_cut_span(&pool, FREED * PER, NOBODY, 2));
	expect(HAK_ANOMALY_HOLDER, FREED, HAK_NO_SLOT, NOBODY);
	audit = audit_pool();
	assert_int_equal(audit.lost.blocks, 1);
	assert_int_equal(audit.lost.bytes, 2 * HAK_SLOT_BYTES);
	hakt_pool_set_holder(&pool, NOBODY, HAK_HOLDER_RECLAIMING, 1);
	audit = audit_pool();
	assert_int_equal(n_findings, 0); /* it is being collected */
	assert_int_equal(audit.lost.blocks, 0);
}

static void test_what_is_collected_for_nobody_is_told(void **state)
{
	(void)state;
	hakt_pool_grant(&pool, FREED, 1, false, NOBODY);
	hak_superslab_begin_collect(&pool.superslabs[FREED]);
	expect(HAK_ANOMALY_HOLDER, FREED, HAK_NO_SLOT, NOBODY);
}

static void test_an_earlier_generation_of_a_holder_is_told(void **state)
{
	(void)state;
	hakt_pool_collect(&pool, RUN);
	hak_superslab_end_collect(&pool.superslabs[COLLECTING]);
	for (uint32_t i = 0; i < PER; i++)
		hak_slab_collect(word_of(COLLECTING * PER + i));
	hakt_pool_grant(&pool, FREED, 1, false, OTHER);
	hakt_pool_set_holder(&pool, OTHER, HAK_HOLDER_ATTACHED, GENERATION - 1);
	expect(HAK_ANOMALY_GENERATION, FREED, HAK_NO_SLOT, OTHER);
	hakt_pool_set_holder(&pool, OTHER, HAK_HOLDER_ATTACHED, GENERATION + 1);
	audit_pool();
	assert_int_equal(n_findings, 0); /* attached since */
}

static void set_registry(uint32_t index, uint64_t s)
{
	hak_store_relaxed(&pool.superslabs[index], s);
}

static void test_a_run_whose_bodies_do_not_match_its_head_is_told(void **state)
{
	uint64_t before = hak_load_relaxed(&pool.superslabs[RUN + 1]);

	(void)state;
	set_registry(RUN + 1, hak_superslab_pack(HAK_SUPERSLAB_FREE, false, 0, 0, 0));
	expect(HAK_ANOMALY_RUN, RUN, HAK_NO_SLOT, OTHER);
	set_registry(RUN + 1, hak_superslab_pack(HAK_SUPERSLAB_BODY, true, OTHER, 2, 0));
	expect(HAK_ANOMALY_RUN, RUN, HAK_NO_SLOT, OTHER);
	set_registry(RUN + 1, hak_superslab_pack(HAK_SUPERSLAB_BODY, true, OWNER, 1, 0));
	expect(HAK_ANOMALY_RUN, RUN, HAK_NO_SLOT, OTHER);
	set_registry(RUN + 1, before);
	set_registry(FRESH, hak_superslab_pack(HAK_SUPERSLAB_GRANTED, true, OWNER, 2, 1));
	expect(HAK_ANOMALY_RUN, FRESH, HAK_NO_SLOT, OWNER); /* beyond the table */
	set_registry(FRESH, hak_superslab_pack(HAK_SUPERSLAB_GRANTED, true, OWNER, 0, 1));
	expect(HAK_ANOMALY_RUN, FRESH, HAK_NO_SLOT, OWNER);
	set_registry(FRESH, 7 | hak_superslab_pack(HAK_SUPERSLAB_FREE, false, OWNER, 1, 1));
	expect(HAK_ANOMALY_RUN, FRESH, HAK_NO_SLOT, OWNER);
}

static void test_a_free_superslab_with_an_owner_is_told(void **state)
{
	uint32_t slot = FREED * PER + 7;

	(void)state;
	hak_store_relaxed(word_of(slot), make_word(HAK_SLAB_UNUSED, NOBODY, 0));
	expect(HAK_ANOMALY_FREED, FREED, slot, HAK_HOLDER_NONE);
	assert_false(findings[0].unless_taken);
	hak_store_relaxed(word_of(slot), make_word(HAK_SLAB_SPAN, OWNER, 1));
	expect(HAK_ANOMALY_FREED, FREED, slot, HAK_HOLDER_NONE);
	assert_false(findings[0].unless_taken);
	/* This is what a grant looks like that is being prepared. */
	hak_store_relaxed(word_of(slot), make_word(HAK_SLAB_UNUSED, OWNER, 0));
	expect(HAK_ANOMALY_FREED, FREED, slot, HAK_HOLDER_NONE);
	assert_true(findings[0].unless_taken);
}

/* Bodies that their run has left behind, before the daemon has moved them. */
static void test_the_end_of_a_run_that_is_shortened_is_left_to_the_daemon(void **state)
{
	(void)state;
	hak_store_relaxed(word_of(RUN * PER), make_word(HAK_SLAB_SPAN, OTHER, 2 * PER));
	set_registry(RUN, hak_superslab_pack(HAK_SUPERSLAB_GRANTED, true, OTHER, 2, 1));
	expect(HAK_ANOMALY_FREED, RUN + 2, (RUN + 2) * PER, HAK_HOLDER_NONE);
	assert_true(findings[0].unless_taken);
}

static bool decline(struct hak_audit *audit, const struct hak_finding *finding)
{
	(void)audit;
	(void)finding;
	return false;
}

static void test_a_reporter_that_declines_is_not_counted(void **state)
{
	struct hak_audit audit = {.report = decline};

	(void)state;
	hak_store_relaxed(word_of(FREED * PER), make_word(HAK_SLAB_UNUSED, OWNER, 0));
	hakt_pool_audit(&pool, &audit);
	assert_int_equal(hak_check_anomalies(&audit.census), 0);
}

static void test_hints_where_nothing_was_are_told_and_stale_ones_counted(void **state)
{
	struct hak_audit audit;

	(void)state;
	hak_segment_raise_pending(&pool.segment, FRESH * PER + 3);
	expect(HAK_ANOMALY_PENDING, FRESH, HAK_NO_SLOT, HAK_HOLDER_NONE);
	hak_segment_take_pending(&pool.segment, FRESH, UINT32_MAX);
	hak_segment_raise_pending(&pool.segment, FREED * PER + 3); /* freed late */
	audit = audit_pool();
	assert_int_equal(n_findings, 0);
	assert_int_equal(audit.stale_hints, 1);
}

static void test_hints_of_slots_that_a_small_superslab_has_not_are_told(void **state)
{
	struct hak_audit audit;

	(void)state;
	hakt_pool_init(&pool, 64 * MIB, 20);
	hakt_pool_set_holder(&pool, OWNER, HAK_HOLDER_ATTACHED, GENERATION);
	hakt_pool_grant(&pool, 2, 1, false, OWNER);
	hak_store_relaxed(&pool.segment.pending[2], 0xffff);
	audit = audit_pool();
	assert_int_equal(n_findings, 0);
	assert_int_equal(audit.stale_hints, 0);
	hak_store_relaxed(&pool.segment.pending[2], 0x10000);
	expect(HAK_ANOMALY_PENDING, 2, HAK_NO_SLOT, OWNER);
	hakt_pool_deinit(&pool);
}

/* What happens between the load of a slab word and those of its free bits. */
static void (*meanwhile)(void);

static void on_fault(int number)
{
	void (*act)(void) = meanwhile;

	(void)number;
	if (!act)
		_exit(139);
	meanwhile = NULL;
	mprotect(hak_segment_bits(&pool.segment, BLANK * PER), HAK_PAGE_BYTES,
		 PROT_READ | PROT_WRITE);
	act();
}

/* Audits the blank SuperSlab, in which a slab of that class is; act happens at its first look. */
static void audit_interrupted(unsigned cls, void (*act)(void))
{
	struct sigaction action = {.sa_handler = on_fault}, before;
	struct hak_audit audit = {.report = add_finding};

	assert_true(hakt_pool_cut(&pool, BLANK * PER, OWNER, cls));
	n_findings = 0;
	meanwhile = act;
	assert_int_equal(sigaction(SIGSEGV, &action, &before), 0);
	assert_int_equal(
		mprotect(hak_segment_bits(&pool.segment, BLANK * PER), HAK_PAGE_BYTES, PROT_NONE),
		0);
	hak_audit_superslab(&pool.segment, BLANK, &audit);
	assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
	assert_null(meanwhile);
	if (n_findings > 0)
		fail_msg("%s in slot %u", hak_anomaly_names[findings[0].kind],
			 findings[0].slot % PER);
}

static void recut(void)
{
	hakt_pool_retire(&pool, BLANK * PER, OWNER);
	hakt_pool_cut_span(&pool, BLANK * PER + 1, OWNER, 2);
	hakt_pool_cut(&pool, BLANK * PER, OWNER, 0); /* more blocks than any other class */
}

static void test_a_slab_that_is_recut_while_it_is_looked_at_is_clean(void **state)
{
	(void)state;
	for (unsigned cls = 1; cls < HAK_CLASS_COUNT; cls++) {
		audit_interrupted(cls, recut);
		hakt_pool_collect(&pool, BLANK);
		hakt_pool_grant(&pool, BLANK, 1, false, OWNER);
	}
}

static void give_to_other(void)
{
	hakt_pool_collect(&pool, BLANK);
	hakt_pool_grant(&pool, BLANK, 1, false, OTHER);
}

static void test_a_superslab_that_gets_another_owner_meanwhile_is_clean(void **state)
{
	unsigned cls = 0;

	(void)state;
	while (hak_classes[cls].n_slots < 2) /* its bodies are looked at after its bits */
		cls++;
	audit_interrupted(cls, give_to_other);
}

static hak_u32 is_over;
static hak_u32 n_rounds; /* of the owner */

/* An owner that cuts and retires slabs, spans and resized spans in the blank SuperSlab. */
static void *work(void *context)
{
	uint64_t seed = *(uint64_t *)context;

	while (!hak_load_relaxed(&is_over)) {
		uint64_t r = hakt_random(&seed);
		uint32_t slot = BLANK * PER + (uint32_t)(r % 3);
		hak_u64 *bits = hak_segment_bits(&pool.segment, slot);

		hak_add_relaxed(&n_rounds, 1);
		if (r & 256) {
			hakt_pool_cut(&pool, slot, OWNER, (r >> 16) % HAK_CLASS_COUNT);
			hakt_pool_retire(&pool, slot, OWNER);
			continue;
		}
		hakt_pool_cut_span(&pool, slot, OWNER, 1 + (r >> 16) % 8);
		hak_slab_resize_span(word_of(slot), OWNER, 1 + (r >> 24) % 8);
		hak_slab_free(bits, 1);
		hakt_pool_retire(&pool, slot, OWNER);
	}
	return NULL;
}

static void test_an_owner_that_cuts_and_retires_meanwhile_is_clean(void **state)
{
	uint64_t seed = hakt_random_seed();
	pthread_t thread;

	(void)state;
	hak_store_relaxed(&is_over, 0);
	hak_store_relaxed(&n_rounds, 0);
	assert_int_equal(pthread_create(&thread, NULL, work, &seed), 0);
	n_findings = 0;
	for (unsigned i = 0;
	     (i < 300000 || hak_load_relaxed(&n_rounds) < 3000000) && n_findings == 0; i++) {
		struct hak_audit audit = {.report = add_finding};

		hak_audit_superslab(&pool.segment, BLANK, &audit);
	}
	hak_store_relaxed(&is_over, 1);
	pthread_join(thread, NULL);
	if (n_findings > 0)
		fail_msg("%s in slot %u", hak_anomaly_names[findings[0].kind],
			 findings[0].slot % PER);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_healthy_pool_with_everything_in_it_is_clean,
					make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_each_wrong_slab_word_is_told_alone, make_healthy_pool,
					drop_pool),
	cmocka_unit_test_setup_teardown(test_a_body_that_leads_out_of_its_superslab_is_told,
					make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_overlapping_heads_are_told, make_healthy_pool,
					drop_pool),
	cmocka_unit_test_setup_teardown(test_free_bits_of_no_block_are_told, make_healthy_pool,
					drop_pool),
	cmocka_unit_test_setup_teardown(test_a_holder_that_is_not_there_is_told_with_what_is_lost,
					make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_what_is_collected_for_nobody_is_told,
					make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_an_earlier_generation_of_a_holder_is_told,
					make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_a_run_whose_bodies_do_not_match_its_head_is_told,
					make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_a_free_superslab_with_an_owner_is_told,
					make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(
		test_the_end_of_a_run_that_is_shortened_is_left_to_the_daemon, make_healthy_pool,
		drop_pool),
	cmocka_unit_test_setup_teardown(test_a_reporter_that_declines_is_not_counted,
					make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(
		test_hints_where_nothing_was_are_told_and_stale_ones_counted, make_healthy_pool,
		drop_pool),
	cmocka_unit_test(test_hints_of_slots_that_a_small_superslab_has_not_are_told),
	cmocka_unit_test_setup_teardown(test_a_slab_that_is_recut_while_it_is_looked_at_is_clean,
					make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_a_superslab_that_gets_another_owner_meanwhile_is_clean,
					make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_an_owner_that_cuts_and_retires_meanwhile_is_clean,
					make_healthy_pool, drop_pool),
};

HAKT_MAIN(tests, NULL, NULL)
