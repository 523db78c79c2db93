/* SPDX-License-Identifier: MIT */
/* What a reader sees of a pool, which has no daemon: rows, cells, owners; and of any words. */
#include "client_lib/ctl/view.h"

#include "tests/support/run.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/pool.h"
#include "tests/support/random.h"

enum { TOTAL = 32, PER = 16, ROWS_MAX = 2 * TOTAL, OWNER = 2, TAKER = 3 };

#define CAPACITY ((uint64_t)TOTAL << 20)

static struct hakt_pool pool;
static struct hakc_view view;
static struct hakc_row rows[ROWS_MAX];
static unsigned n_rows;

static int start(void **state)
{
	(void)state;
	hakt_pool_init(&pool, CAPACITY, 20);
	hakt_pool_set_holder(&pool, OWNER, HAK_HOLDER_ATTACHED, 1);
	hakt_pool_set_holder(&pool, TAKER, HAK_HOLDER_ATTACHED, 1);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakc_view_deinit(&view);
	hakt_pool_deinit(&pool);
	return 0;
}

static int keep_row(void *context, const struct hakc_row *row)
{
	assert_null(context);
	assert_true(n_rows < ROWS_MAX);
	rows[n_rows++] = *row;
	return 0;
}

static void walk(void)
{
	n_rows = 0;
	assert_int_equal(hakc_view_walk(&view, keep_row, NULL), 0);
}

static void look(void)
{
	assert_int_equal(hakc_view_init(&view, pool.registry_fd, pool.heap_fd), 0);
	walk();
}

static void expect_row(unsigned at, enum hakc_row_kind kind, uint32_t index, uint32_t length)
{
	assert_true(at < n_rows);
	assert_int_equal(rows[at].kind, kind);
	assert_int_equal(rows[at].index, index);
	assert_int_equal(rows[at].length, length);
}

static void test_slabs_and_spans_are_cells(void **state)
{
	unsigned cls = hak_class_of(28 * 1024);
	const struct hakc_cell *cell;

	(void)state;
	assert_true(hak_classes[cls].n_slots > 1);
	hakt_pool_grant(&pool, 1, 1, false, OWNER);
	assert_true(hakt_pool_cut(&pool, PER + 0, OWNER, 0));
	assert_int_equal(hakt_pool_claim(&pool, PER + 0, 2, 0xff), 0xff);
	assert_true(hakt_pool_cut(&pool, PER + 2, OWNER, cls));
	assert_int_equal(hakt_pool_claim(&pool, PER + 2, 0, 1), 1);
	assert_true(hakt_pool_cut_span(&pool, PER + 12, OWNER, 4));
	look();
	assert_int_equal(n_rows, 3);
	expect_row(0, HAKC_ROW_FREE, 0, 1);
	expect_row(1, HAKC_ROW_GRANTED, 1, 1);
	expect_row(2, HAKC_ROW_FREE, 2, TOTAL - 2);
	assert_int_equal(rows[1].owner, OWNER);
	assert_int_equal(rows[1].n_cells, 3);
	cell = rows[1].cells;
	assert_int_equal(cell[0].kind, HAKC_CELL_SLAB);
	assert_int_equal(cell[0].slot, 0);
	assert_int_equal(cell[0].n_slots, 1);
	assert_int_equal(cell[0].n_blocks, 4096);
	assert_int_equal(cell[0].n_live, 8);
	assert_int_equal(cell[0].block_bytes, 16);
	assert_int_equal(cell[0].holder, OWNER);
	assert_int_equal(cell[1].slot, 2);
	assert_int_equal(cell[1].n_slots, hak_classes[cls].n_slots);
	assert_int_equal(cell[1].n_blocks, hak_classes[cls].n_blocks);
	assert_int_equal(cell[1].n_live, 1);
	assert_int_equal(cell[2].kind, HAKC_CELL_SPAN);
	assert_int_equal(cell[2].slot, 12);
	assert_int_equal(cell[2].n_slots, 4);
	assert_int_equal(cell[2].n_live, 1);
	assert_int_equal(rows[1].live_bytes, 8 * 16 + hak_classes[cls].size + 4 * HAK_SLOT_BYTES);
	assert_int_equal(view.totals.owners[OWNER].share.bytes, rows[1].live_bytes);
	assert_int_equal(view.totals.owners[OWNER].share.blocks, 10);
	assert_int_equal(view.totals.owners[OWNER].superslabs, 1);
}

static void test_a_run_is_one_row(void **state)
{
	(void)state;
	hakt_pool_grant(&pool, 4, 3, true, OWNER);
	assert_true(hakt_pool_cut_span(&pool, 4 * PER, OWNER, 2 * PER + 3));
	look();
	assert_int_equal(n_rows, 3);
	expect_row(1, HAKC_ROW_GRANTED, 4, 3);
	assert_true(rows[1].is_huge);
	assert_int_equal(rows[1].n_cells, 1);
	assert_int_equal(rows[1].cells[0].n_slots, 2 * PER + 3);
	assert_int_equal(view.totals.superslabs[HAKC_ROW_GRANTED], 3);
}

/* TAKER takes the first `n` blocks of a slab of OWNER. */
static void take(uint32_t slot, unsigned n)
{
	hak_u32 *tags = hak_segment_tags(&pool.segment, slot);

	assert_true(hak_slab_set_tagged(&pool.segment.slab_words[slot], OWNER));
	for (unsigned i = 0; i < n; i++)
		assert_true(hak_tag_take(&tags[i], TAKER, 0));
}

static void test_taken_blocks_are_their_taker_s(void **state)
{
	(void)state;
	hakt_pool_grant(&pool, 0, 1, false, OWNER);
	assert_true(hakt_pool_cut(&pool, 0, OWNER, hak_class_of(1024)));
	assert_int_equal(hakt_pool_claim(&pool, 0, 0, 0xff), 0xff);
	take(0, 5);
	look();
	assert_int_equal(rows[0].cells[0].n_live, 8);
	assert_int_equal(rows[0].cells[0].n_taken, 5);
	assert_int_equal(rows[0].cells[0].holder, TAKER);
	assert_int_equal(rows[0].holder, TAKER);
	assert_int_equal(rows[0].owner, OWNER);
	assert_int_equal(view.totals.owners[OWNER].share.blocks, 3);
	assert_int_equal(view.totals.owners[TAKER].share.blocks, 5);
	assert_int_equal(view.totals.owners[TAKER].share.bytes, 5 * 1024);
	assert_int_equal(view.totals.owners[TAKER].superslabs, 0);
}

static void test_an_orphan_is_its_takers(void **state)
{
	(void)state;
	hakt_pool_grant(&pool, 0, 1, false, OWNER);
	assert_true(hakt_pool_cut(&pool, 0, OWNER, hak_class_of(1024)));
	assert_int_equal(hakt_pool_claim(&pool, 0, 0, 3), 3);
	take(0, 2);
	hak_superslab_begin_collect(&pool.superslabs[0]);
	look();
	expect_row(0, HAKC_ROW_DEAD, 0, 1);
	assert_int_equal(rows[0].owner, OWNER);
	for (uint32_t i = 0; i < PER; i++)
		hak_slab_orphan(&pool.segment.slab_words[i]);
	hak_superslab_orphan(&pool.superslabs[0]);
	walk();
	expect_row(0, HAKC_ROW_ORPHAN, 0, 1);
	assert_int_equal(rows[0].owner, HAK_HOLDER_NONE);
	assert_int_equal(rows[0].holder, TAKER);
	assert_int_equal(rows[0].cells[0].n_taken, 2);
	assert_int_equal(view.totals.damaged, 0);
}

static void test_what_is_empty_and_waits_has_no_cells(void **state)
{
	(void)state;
	hakt_pool_grant(&pool, 0, 1, false, OWNER);
	hak_superslab_begin_collect(&pool.superslabs[0]);
	hak_superslab_disown(&pool.superslabs[0]);
	look();
	expect_row(0, HAKC_ROW_WAITING, 0, 1);
	assert_int_equal(rows[0].n_cells, 0);
}

static void test_free_superslabs_with_pages_are_warm(void **state)
{
	char *data = pool.heap + pool.segment.geometry.data_at;

	(void)state;
	data[UINT64_C(3) << 20] = 1;
	data[(UINT64_C(5) << 20) - 1] = 1;
	look();
	assert_int_equal(n_rows, 3);
	expect_row(0, HAKC_ROW_FREE, 0, 3);
	expect_row(1, HAKC_ROW_WARM, 3, 2);
	expect_row(2, HAKC_ROW_FREE, 5, TOTAL - 5);
	assert_int_equal(view.totals.superslabs[HAKC_ROW_WARM], 2);
}

static void test_what_was_given_back_meanwhile_is_free(void **state)
{
	(void)state;
	hakt_pool_grant(&pool, 0, 2, false, OWNER);
	look();
	hakt_pool_collect(&pool, 1);
	walk();
	expect_row(0, HAKC_ROW_GRANTED, 0, 1);
	for (unsigned i = 1; i < n_rows; i++)
		assert_int_not_equal(rows[i].kind, HAKC_ROW_GRANTED);
	assert_int_equal(view.totals.superslabs[HAKC_ROW_GRANTED], 1);
	assert_int_equal(view.totals.superslabs[HAKC_ROW_FREE], TOTAL - 1);
}

static void test_a_word_that_can_t_be_is_damaged_and_nothing_else_is(void **state)
{
	const uint64_t words[] = {
		5,					     /* no state */
		hak_slab_pack_active(1, OWNER, 255, 1),	     /* no class */
		hak_slab_pack_active(1, TAKER, 0, 1),	     /* another owner */
		hak_slab_pack(HAK_SLAB_SPAN, 1, OWNER, 0),   /* no length */
		hak_slab_pack(HAK_SLAB_SPAN, 1, OWNER, PER), /* beyond the end */
	};

	(void)state;
	hakt_pool_grant(&pool, 0, 2, false, OWNER);
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		hak_store_relaxed(&pool.segment.slab_words[1], words[i]);
		look();
		assert_int_equal(view.totals.damaged, 1);
		assert_int_equal(rows[0].n_cells, 1);
		assert_int_equal(rows[0].cells[0].kind, HAKC_CELL_DAMAGED);
		assert_int_equal(rows[0].cells[0].slot, 1);
		assert_int_equal(rows[0].live_bytes, 0);
		hakc_view_deinit(&view);
	}
}

static blkcnt_t blocks_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_blocks;
}

static void test_looking_gives_a_pool_no_memory(void **state)
{
	blkcnt_t before;

	(void)state;
	hakt_pool_grant(&pool, 0, TOTAL, false, OWNER);
	for (uint32_t slot = 0; slot < TOTAL * PER;
	     slot++) /* whose bits and tags were never written */
		hak_store_relaxed(&pool.segment.slab_words[slot],
				  hak_slab_pack_active(1, OWNER, 0, 1) | HAK_SLAB_TAGGED);
	before = blocks_of(pool.heap_fd);
	look();
	assert_int_equal(n_rows, TOTAL);
	assert_int_equal(rows[TOTAL - 1].cells[PER - 1].n_live, 4096);
	assert_int_equal(blocks_of(pool.heap_fd), before);
}

/* What is promised of cells, whatever the words are. */
static void expect_sound(const struct hakc_row *row)
{
	uint32_t end = 0;

	assert_true(row->n_cells <= PER);
	assert_true(row->length >= 1 && row->length <= TOTAL - row->index);
	for (unsigned i = 0; i < row->n_cells; i++) {
		const struct hakc_cell *cell = &row->cells[i];

		assert_true(cell->slot >= end && cell->n_slots >= 1);
		end = cell->slot + cell->n_slots;
		assert_true(end <= row->length * PER);
		assert_true(cell->n_live <= cell->n_blocks && cell->n_taken <= cell->n_live);
		assert_true(cell->holder < HAK_HOLDER_COUNT);
		assert_true(cell->n_live * cell->block_bytes <= cell->n_slots * HAK_SLOT_BYTES);
	}
}

/* Mostly words that could be, sometimes any. */
static uint64_t random_word(uint64_t *seed)
{
	uint64_t r = hakt_random(seed);

	if (r % 4 == 0)
		return hakt_random(seed);
	return hak_slab_pack((enum hak_slab_state)(r >> 8 & 3), 1,
			     r >> 16 & 7 ? OWNER : r >> 20 & 0xfff,
			     (r >> 8 & 3) == HAK_SLAB_ACTIVE ? (r >> 32 & 127) << 16
							     : (uint32_t)(r >> 32 & 31)) |
	       (r >> 48 & 1 ? HAK_SLAB_TAGGED : 0);
}

static void scribble(uint64_t *seed)
{
	for (uint32_t slot = 0; slot < TOTAL * PER; slot++)
		hak_store_relaxed(&pool.segment.slab_words[slot], random_word(seed));
	for (unsigned i = 0; i < 3000; i++) {
		uint32_t slot = hakt_random(seed) % (TOTAL * PER);

		hak_store_relaxed(&hak_segment_bits(&pool.segment, slot)[hakt_random(seed) % 64],
				  hakt_random(seed));
		hak_store_relaxed(&hak_segment_tags(&pool.segment, slot)[hakt_random(seed) % 4096],
				  (uint32_t)hakt_random(seed));
	}
}

static void test_any_words_are_walked_over(void **state)
{
	uint64_t seed = hakt_random_seed();

	(void)state;
	for (unsigned round = 0; round < 50; round++) {
		for (uint32_t i = 0; i < TOTAL; i++) {
			uint64_t r = hakt_random(&seed);
			bool scanned = round % 2; /* what the daemon has written; else any */
			uint64_t s = hak_superslab_pack(
				(enum hak_superslab_state)(r % 5), scanned ? false : r >> 8 & 1,
				OWNER, scanned ? 1 : (uint32_t)(r >> 16 & 0xffffff), 1);

			hak_store_relaxed(&pool.superslabs[i], scanned || r >> 60 ? s : r);
		}
		scribble(&seed);
		look();
		for (unsigned i = 0; i < n_rows; i++)
			expect_sound(&rows[i]);
		hakc_view_deinit(&view);
	}
}

static void test_files_that_are_no_pool_are_refused(void **state)
{
	(void)state;
	assert_int_equal(hakc_view_init(&view, pool.heap_fd, pool.registry_fd), -EPROTO);
	assert_int_equal(hakc_view_init(&view, pool.registry_fd, pool.registry_fd), -EPROTO);
	assert_int_equal(hakc_view_init(&view, -1, pool.heap_fd), -EBADF);
	pool.registry->layout_version++;
	assert_int_equal(hakc_view_init(&view, pool.registry_fd, pool.heap_fd), -EPROTO);
	pool.registry->layout_version--;
	assert_int_equal(ftruncate(pool.registry_fd, HAK_REGISTRY_SUPERSLABS_AT), 0);
	assert_int_equal(hakc_view_init(&view, pool.registry_fd, pool.heap_fd), -EPROTO);
}

static void test_a_file_that_gets_shorter_is_an_error_and_no_crash(void **state)
{
	(void)state;
	hakt_pool_grant(&pool, 0, TOTAL, false, OWNER);
	assert_true(hakt_pool_cut(&pool, 0, OWNER, 0));
	look();
	assert_int_equal(ftruncate(pool.heap_fd, 4096), 0);
	assert_int_equal(hakc_view_walk(&view, keep_row, NULL), -EPROTO);
}

static void test_who_is_nobody_has_no_name(void **state)
{
	struct hak_holder *holders = (void *)((char *)pool.registry + HAK_REGISTRY_HOLDERS_AT);

	(void)state;
	holders[TAKER].pid = 77;
	memset(holders[TAKER].name, 'x', sizeof(holders[TAKER].name)); /* no end */
	memcpy(holders[OWNER].name, "owner", 6);
	look();
	assert_string_equal(hakc_view_name(&view, OWNER), "owner");
	assert_string_equal(hakc_view_name(&view, HAK_HOLDER_ROOT), "(roots)");
	assert_string_equal(hakc_view_name(&view, TAKER), "?");
	assert_string_equal(hakc_view_name(&view, 9), "?");
	assert_string_equal(hakc_view_name(&view, HAK_HOLDER_COUNT), "?");
	assert_int_equal(hakc_view_pid(&view, TAKER), 77);
	assert_int_equal(hakc_view_pid(&view, HAK_HOLDER_COUNT), 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_slabs_and_spans_are_cells, start, stop),
	cmocka_unit_test_setup_teardown(test_a_run_is_one_row, start, stop),
	cmocka_unit_test_setup_teardown(test_taken_blocks_are_their_taker_s, start, stop),
	cmocka_unit_test_setup_teardown(test_an_orphan_is_its_takers, start, stop),
	cmocka_unit_test_setup_teardown(test_what_is_empty_and_waits_has_no_cells, start, stop),
	cmocka_unit_test_setup_teardown(test_free_superslabs_with_pages_are_warm, start, stop),
	cmocka_unit_test_setup_teardown(test_what_was_given_back_meanwhile_is_free, start, stop),
	cmocka_unit_test_setup_teardown(test_a_word_that_can_t_be_is_damaged_and_nothing_else_is,
					start, stop),
	cmocka_unit_test_setup_teardown(test_looking_gives_a_pool_no_memory, start, stop),
	cmocka_unit_test_setup_teardown(test_any_words_are_walked_over, start, stop),
	cmocka_unit_test_setup_teardown(test_files_that_are_no_pool_are_refused, start, stop),
	cmocka_unit_test_setup_teardown(test_a_file_that_gets_shorter_is_an_error_and_no_crash,
					start, stop),
	cmocka_unit_test_setup_teardown(test_who_is_nobody_has_no_name, start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
