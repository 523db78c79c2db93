/* SPDX-License-Identifier: MIT */
/*
 * A pool without a daemon, records in it, and frames of this program: which are found, what they are
 * called, and what is said where that isn't known.
 */
#include "client_lib/ctl/profile.h"

#include "tests/support/run.h"

#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client_lib/ctl/pprof.h"
#include "client_lib/ctl/style.h"
#include "proto/shm/sample.h"
#include "tests/support/directory.h"
#include "tests/support/drawing.h"
#include "tests/support/pool.h"
#include "tests/support/random.h"

enum { TOTAL = 4, PER = 32, OWNER = HAK_HOLDER_FIRST, SLAB = 0, SPAN = 20, BLOCK = 1024 };

static struct hakt_pool pool;
static struct hakc_view view;
static struct hakc_profile profile;
static struct hak_module self; /* this program */
static uintptr_t bias;
static unsigned n_put;
static char directory[HAKT_DIRECTORY_BYTES];

/* Functions to be found by name; each its own lines. Nobody calls them. */
int hakt_found_inner(int x);
int hakt_found_outer(int x);
int hakc_of_hakmem_itself(int x);
void *hakmem_malloc(size_t size);
void *hakmem_malloc_like_this(size_t size);
int hakt_found_inner(int x)
{
	return x * 3 + 1;
}
int hakt_found_outer(int x)
{
	return x * 5 + 2;
}
int hakc_of_hakmem_itself(int x)
{
	return x * 7 + 3;
}
void *hakmem_malloc(size_t size)
{
	return (void *)(size + 1);
}
void *hakmem_malloc_like_this(size_t size)
{
	return (void *)(size + 2);
}

/* Which nobody wants to be told of. */
int __hakt_found_inner(int x) __attribute__((alias("hakt_found_inner")));
int a_weak_name_for_the_same(int x) __attribute__((weak, alias("hakt_found_inner")));

/* The program is the first; its build ID is in a note. */
static int see_self(struct dl_phdr_info *info, size_t bytes, void *context)
{
	(void)bytes;
	(void)context;
	bias = info->dlpi_addr;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];
		const char *at = (const char *)(info->dlpi_addr + part->p_vaddr);
		ElfW(Nhdr) note;

		memcpy(&note, at, sizeof(note));
		if (part->p_type != PT_NOTE || note.n_type != NT_GNU_BUILD_ID)
			continue;
		self.n_id = note.n_descsz;
		memcpy(self.id, at + sizeof(note) + 4, note.n_descsz);
	}
	return 1;
}

static int start(void **state)
{
	(void)state;
	hakt_drawing_start(state);
	hakt_pool_init(&pool, (uint64_t)TOTAL << 21, 21);
	hakt_pool_set_holder(&pool, OWNER, HAK_HOLDER_ATTACHED, 1);
	hakt_pool_grant(&pool, 0, 1, false, OWNER);
	assert_true(hakt_pool_cut(&pool, SLAB, OWNER, hak_class_of(BLOCK)));
	assert_true(hak_slab_mark(&pool.segment.slab_words[SLAB], OWNER, HAK_SLAB_SAMPLED));
	hakt_directory_make(directory);
	hakc_style = (struct hakc_style){.has_raw_bytes = true};
	self = (struct hak_module){.n_id = 0};
	dl_iterate_phdr(see_self, NULL);
	assert_true(self.n_id > 0);
	assert_true(readlink("/proc/self/exe", self.path, sizeof(self.path) - 1) > 0);
	n_put = 0;
	return 0;
}

static int stop(void **state)
{
	hakc_profile_deinit(&profile);
	hakc_view_deinit(&view);
	hakt_pool_deinit(&pool);
	hakt_directory_remove(directory);
	return hakt_drawing_stop(state);
}

/* As a return address into a function of this program, of a file that is in the table as that. */
static uint64_t frame_in(const struct hak_module *module, const void *function)
{
	uint64_t number = hak_module_enter(&pool.segment, OWNER, module);

	assert_true(number > 0);
	return number << HAK_SAMPLE_MODULE_SHIFT | ((uintptr_t)function - bias + 3);
}

static struct hak_sample sample_of(int32_t pid, uint64_t weight, const uint64_t *frames, unsigned n)
{
	struct hak_sample sample = {.weight = weight,
				    .asked = 10,
				    .pid = pid,
				    .magazine = (uint8_t)hak_class_of(16),
				    .n_frames = (uint8_t)n};

	strcpy(sample.name, "allocator");
	memcpy(sample.frames, frames, n * sizeof(frames[0]));
	return sample;
}

/* Into the next block of the slab. */
static struct hak_sample *put(int32_t pid, uint64_t weight, const uint64_t *frames, unsigned n)
{
	struct hak_sample sample = sample_of(pid, weight, frames, n);
	struct hak_location l = hak_segment_locate_offset(&pool.segment, n_put * BLOCK);
	struct hak_sample *at = hak_sample_of(&pool.segment, &l);

	assert_true(hakt_pool_claim(&pool, SLAB, 0, UINT64_C(1) << n_put++) != 0);
	hak_sample_set(at, &sample, l.start);
	return at;
}

static void look_for(enum hakc_profile_grain grain, bool asks)
{
	struct hakc_profile_how how = {.grain = grain, .asks = asks};

	hakc_profile_deinit(&profile);
	hakc_view_deinit(&view);
	assert_int_equal(hakc_view_init(&view, pool.registry_fd, pool.heap_fd), 0);
	assert_int_equal(hakc_profile_init(&profile, &view, &how), 0);
}

static const char *collapse(bool asks)
{
	look_for(HAKC_GRAIN_FUNCTIONS, asks);
	hakt_page_turn();
	assert_int_equal(hakc_profile_collapse(&profile, hakt_page.out), 0);
	return hakt_page_text();
}

static const char *print(void)
{
	look_for(HAKC_GRAIN_CALLERS, true);
	hakt_page_turn();
	hakc_profile_print(&profile, hakt_page.out);
	return hakt_page_text();
}

static void test_stacks_are_lines_of_functions(void **state)
{
	uint64_t frames[] = {frame_in(&self, hakt_found_inner), frame_in(&self, hakt_found_outer)};

	(void)state;
	put(1, 1000, frames, 2);
	put(2, 500, frames, 2);
	put(1, 30, &frames[1], 1);
	frames[0]++; /* another place in the same function */
	put(1, 7, frames, 2);
	assert_string_equal(collapse(true), "allocator;hakt_found_outer 30\n"
					    "allocator;hakt_found_outer;hakt_found_inner 1507\n");
}

static void test_records_of_spans_are_found_too(void **state)
{
	uint64_t frame = frame_in(&self, hakt_found_inner);
	struct hak_sample sample = sample_of(1, 131072, &frame, 1);
	struct hak_location l;

	(void)state;
	assert_true(hakt_pool_cut_span(&pool, SPAN, OWNER, 2));
	assert_true(hak_slab_mark(&pool.segment.slab_words[SPAN], OWNER, HAK_SLAB_SAMPLED));
	l = hak_segment_locate_offset(&pool.segment, (uint64_t)SPAN << HAK_SLOT_LG);
	hak_sample_set(hak_sample_of(&pool.segment, &l), &sample, l.start);
	assert_string_equal(collapse(true), "allocator;hakt_found_inner 131072\n");
}

static void test_what_has_no_name_is_file_and_address(void **state)
{
	struct hak_module gone = {.n_id = 2, .path = "/nowhere/lib;odd\n.so"};
	uint64_t frames[] = {frame_in(&gone, (char *)bias + 0x1000), 0xabc,
			     (UINT64_C(77) << HAK_SAMPLE_MODULE_SHIFT) + 0xdef};

	(void)state;
	put(1, 5, frames, 3);
	assert_string_equal(collapse(true), "allocator;0xdef;0xabc;lib,odd?.so+0x1003 5\n");
	assert_non_null(strstr(print(), "lib,odd?.so+0x1003 < 0xabc < 0xdef\n"
					"no names from /nowhere/lib,odd?.so: it isn't there"));
}

static void test_lines_that_say_the_same_are_one(void **state)
{
	struct hak_module one = {.n_id = 1, .path = "/a/lib.so"};
	struct hak_module other = {.n_id = 1, .path = "/b/lib.so"};
	uint64_t first = frame_in(&one, (char *)bias + 0x1000);
	uint64_t second = frame_in(&other, (char *)bias + 0x1000);

	(void)state;
	put(1, 5, &first, 1);
	put(1, 6, &second, 1);
	assert_string_equal(collapse(true), "allocator;lib.so+0x1003 11\n");
	assert_int_equal(profile.stacks.n, 2);
}

static void test_files_that_changed_give_no_names(void **state)
{
	struct hak_module other = self;
	uint64_t frame;
	char expected[512];

	(void)state;
	other.id[0] ^= 1;
	frame = frame_in(&other, hakt_found_inner);
	put(1, 5, &frame, 1);
	snprintf(expected, sizeof(expected), "allocator;%s+0x%llx 5\n", strrchr(self.path, '/') + 1,
		 (unsigned long long)frame & ((UINT64_C(1) << HAK_SAMPLE_MODULE_SHIFT) - 1));
	assert_string_equal(collapse(true), expected);
	assert_non_null(strstr(print(), ": it is another file by now\n"));
}

static void test_nothing_is_read_of_files_if_not_asked(void **state)
{
	uint64_t frame = frame_in(&self, hakt_found_inner);

	(void)state;
	put(1, 5, &frame, 1);
	assert_null(strstr(collapse(false), "hakt_found_inner"));
	assert_non_null(strstr(collapse(true), "hakt_found_inner"));
}

/* The open of a pipe would wait for a writer. */
static void test_only_regular_files_are_opened(void **state)
{
	struct hak_module pipe = {.n_id = 2}, folder = {.n_id = 2};
	uint64_t frames[2];

	(void)state;
	snprintf(pipe.path, sizeof(pipe.path), "%s/pipe", directory);
	snprintf(folder.path, sizeof(folder.path), "%s", directory);
	assert_int_equal(mkfifo(pipe.path, 0600), 0);
	frames[0] = frame_in(&pipe, (char *)bias + 0x10);
	frames[1] = frame_in(&folder, (char *)bias + 0x20);
	put(1, 5, frames, 2);
	assert_non_null(strstr(collapse(true), ";pipe+0x13 5\n"));
}

/* Two clients may have entered the same file at once. */
static void test_a_file_that_was_entered_twice_is_one(void **state)
{
	struct hak_module other = {.n_id = 1, .path = "/else"};
	uint64_t frame = frame_in(&self, hakt_found_inner), second, distance;
	struct hak_module *table = (void *)&pool.segment.areas[HAK_HOLDER_NONE];

	(void)state;
	second = frame_in(&other, hakt_found_inner);
	distance = second - frame;
	memcpy(table[second >> HAK_SAMPLE_MODULE_SHIFT].id, self.id, sizeof(self.id));
	strcpy(table[second >> HAK_SAMPLE_MODULE_SHIFT].path, self.path);
	table[second >> HAK_SAMPLE_MODULE_SHIFT].n_id = self.n_id;
	assert_true(distance >> HAK_SAMPLE_MODULE_SHIFT == 1);
	put(1, 5, &second, 1);
	put(1, 6, &frame, 1);
	look_for(HAKC_GRAIN_ADDRESS, true);
	assert_int_equal(profile.stacks.n, 1);
	assert_int_equal(profile.stacks.of[0].bytes, 11);
}

static void test_hakmem_s_own_frames_are_left_out(void **state)
{
	uint64_t frames[] = {frame_in(&self, hakt_found_inner),
			     frame_in(&self, hakc_of_hakmem_itself), frame_in(&self, hakmem_malloc),
			     frame_in(&self, hakmem_malloc_like_this),
			     frame_in(&self, hakc_of_hakmem_itself)};
	struct hak_module library = {.n_id = 1, .path = "/lib/libhakmem.so.1"};
	uint64_t shared[] = {frame_in(&library, hakt_found_inner),
			     frame_in(&library, hakt_found_outer),
			     frame_in(&self, hakt_found_outer)};

	(void)state;
	put(1, 5, frames, 5);
	put(1, 6, shared, 3);
	put(1, 7, &frames[2], 1); /* if there is nothing else, they stay */
	assert_string_equal(collapse(true),
			    "allocator;hakc_of_hakmem_itself;hakmem_malloc_like_this 5\n"
			    "allocator;hakmem_malloc 7\n"
			    "allocator;hakt_found_outer 6\n");
}

static void test_records_that_do_not_hold_are_counted(void **state)
{
	uint64_t frame = frame_in(&self, hakt_found_inner);
	const char *text;

	(void)state;
	put(1, 5, &frame, 1);
	put(1, 6, &frame, 1)->weight++;
	hak_sample_end(put(1, 7, &frame, 1)); /* freed just now: nothing is wrong */
	assert_string_equal(collapse(true), "allocator;hakt_found_inner 5\n");
	assert_int_equal(profile.n_broken, 1);
	text = print();
	assert_non_null(strstr(text, "\n1 records don't hold"));
}

/* Where a word says SAMPLED of a slab that has no room for records. */
static void test_slabs_too_small_for_records_have_none(void **state)
{
	(void)state;
	assert_true(hakt_pool_cut(&pool, 4, OWNER, hak_class_of(64)));
	assert_true(hak_slab_mark(&pool.segment.slab_words[4], OWNER, HAK_SLAB_SAMPLED));
	assert_int_equal(hakt_pool_claim(&pool, 4, 0, 0xff), 0xff);
	memset((char *)pool.segment.base + (3 << HAK_SLOT_LG), 0xff, 2 << HAK_SLOT_LG);
	assert_string_equal(collapse(true), "");
	assert_int_equal(profile.n_broken, 0);
}

/* Where blocks end there is their users' data. */
static void test_slabs_that_are_not_sampled_have_none(void **state)
{
	(void)state;
	assert_true(hakt_pool_cut(&pool, 4, OWNER, hak_class_of(BLOCK)));
	assert_int_equal(hakt_pool_claim(&pool, 4, 0, 0xff), 0xff);
	memset((char *)pool.segment.base + (4 << HAK_SLOT_LG), 0xff, 1 << HAK_SLOT_LG);
	assert_string_equal(collapse(true), "");
	assert_int_equal(profile.n_broken, 0);
}

static void test_the_table_says_who_and_how_much(void **state)
{
	uint64_t frames[] = {frame_in(&self, hakt_found_inner), frame_in(&self, hakt_found_outer)};
	char expected[1024];

	(void)state;
	pool.registry->profile = 4096;
	((struct hak_holder *)(uintptr_t)&pool.segment.holders[OWNER])->pid = 11;
	strcpy(((struct hak_holder *)(uintptr_t)&pool.segment.holders[OWNER])->name, "allocator");
	put(11, 3000, frames, 2);
	frames[1]++; /* another place in the same caller */
	put(12, 1000, frames, 2);
	frames[1]--;
	put(11, 500, &frames[1], 1);
	snprintf(expected, sizeof(expected),
		 "; 3 samples are alive, for about 4500\n"
		 "       ABOUT  SAMPLES   SHARE  PROCESS                       ALLOCATED BY\n"
		 "        4000        2  88.9 %%  2 of allocator, 1 gone        hakt_found_inner "
		 "(%1$s+0x%2$llx) < hakt_found_outer\n"
		 "         500        1  11.1 %%  11 allocator                  hakt_found_outer "
		 "(%1$s+0x%3$llx)\n",
		 strrchr(self.path, '/') + 1,
		 (unsigned long long)((uintptr_t)hakt_found_inner - bias + 3),
		 (unsigned long long)((uintptr_t)hakt_found_outer - bias + 3));
	assert_non_null(strstr(print(), "a sample is taken each 4096; "));
	assert_string_equal(strchr(print(), ';'), expected);
}

/* Modules that there are, and what else may stand in the table. */
static void scribble_modules(uint64_t *seed)
{
	struct hak_module *table = (void *)&pool.segment.areas[HAK_HOLDER_NONE];
	uint64_t ready = hak_load_relaxed(&table[1].word);

	for (unsigned i = 2; i < HAK_MODULE_COUNT; i++) {
		char *bytes = (char *)&table[i];

		for (size_t k = 0; k < sizeof(table[i]); k++)
			bytes[k] = (char)hakt_random(seed);
		if (i % 2)
			strcpy(table[i].path, i % 3 ? "/dev/null" : self.path);
		hak_store_relaxed(&table[i].word, ready);
	}
}

/* The seal holds: who may write to the pool can make one. */
static void put_any(uint64_t *seed)
{
	uint64_t frames[HAK_SAMPLE_FRAMES];
	unsigned n = (unsigned)(hakt_random(seed) % (HAK_SAMPLE_FRAMES + 1));
	struct hak_sample sample;
	struct hak_location l = hak_segment_locate_offset(&pool.segment, n_put * BLOCK);

	for (unsigned i = 0; i < n; i++)
		frames[i] = hakt_random(seed) >>
			    (hakt_random(seed) % 2 ? 0 : 8 + hakt_random(seed) % 40);
	sample = sample_of((int32_t)hakt_random(seed), hakt_random(seed), frames, n);
	sample.asked = hakt_random(seed) % 3;
	sample.magazine = (uint8_t)hakt_random(seed);
	for (unsigned i = 0; i < sizeof(sample.name) - 1; i++)
		sample.name[i] = (char)hakt_random(seed);
	assert_true(hakt_pool_claim(&pool, SLAB, 0, UINT64_C(1) << n_put++) != 0);
	hak_sample_set(hak_sample_of(&pool.segment, &l), &sample, l.start);
}

static void test_whatever_records_say_there_is_an_answer(void **state)
{
	uint64_t seed = hakt_random_seed();

	(void)state;
	frame_in(&self, hakt_found_inner); /* the first one is good */
	scribble_modules(&seed);
	for (unsigned i = 0; i < 50; i++)
		put_any(&seed);
	look_for(HAKC_GRAIN_ADDRESS, true);
	assert_int_equal(profile.stacks.sum.samples, 50);
	assert_int_equal(hakc_pprof_write(&profile, hakt_page.out), 0);
	hakc_profile_json(&profile, hakt_page.out);
	hakc_style.shows_all = true;
	for (const char *at = print(); *at; at++)
		assert_true(*at == '\n' || (*at >= 0x20 && *at < 0x7f));
	for (const char *at = collapse(true); *at; at++)
		assert_true(*at == '\n' || (*at >= 0x20 && *at < 0x7f));
}

static void test_what_is_off_says_what_to_do(void **state)
{
	(void)state;
	assert_non_null(strstr(print(), "the profile is off, and nothing alive was sampled; "
					"hakmemctl profile start\n"));
	pool.registry->profile = 4096;
	assert_non_null(strstr(print(), "a sample is taken each 4096; none is alive yet\n"));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_stacks_are_lines_of_functions, start, stop),
	cmocka_unit_test_setup_teardown(test_records_of_spans_are_found_too, start, stop),
	cmocka_unit_test_setup_teardown(test_what_has_no_name_is_file_and_address, start, stop),
	cmocka_unit_test_setup_teardown(test_lines_that_say_the_same_are_one, start, stop),
	cmocka_unit_test_setup_teardown(test_files_that_changed_give_no_names, start, stop),
	cmocka_unit_test_setup_teardown(test_nothing_is_read_of_files_if_not_asked, start, stop),
	cmocka_unit_test_setup_teardown(test_only_regular_files_are_opened, start, stop),
	cmocka_unit_test_setup_teardown(test_a_file_that_was_entered_twice_is_one, start, stop),
	cmocka_unit_test_setup_teardown(test_hakmem_s_own_frames_are_left_out, start, stop),
	cmocka_unit_test_setup_teardown(test_records_that_do_not_hold_are_counted, start, stop),
	cmocka_unit_test_setup_teardown(test_slabs_too_small_for_records_have_none, start, stop),
	cmocka_unit_test_setup_teardown(test_slabs_that_are_not_sampled_have_none, start, stop),
	cmocka_unit_test_setup_teardown(test_the_table_says_who_and_how_much, start, stop),
	cmocka_unit_test_setup_teardown(test_whatever_records_say_there_is_an_answer, start, stop),
	cmocka_unit_test_setup_teardown(test_what_is_off_says_what_to_do, start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
