/* SPDX-License-Identifier: MIT */
/*
 * Samples of the profile as clients take them: whose they are, how many, and that blocks with a
 * record behind them are blocks like others.
 */
#include "tests/support/run.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client_lib/thread.h"
#include "proto/shm/modules.h"
#include "proto/shm/sample.h"
#include "tests/support/mortal.h"
#include "tests/support/random.h"

enum { SITES = 3, SITE_BYTES = 256, SIZES = 12, THREADS = 4 };

static int start_with(const char *interval)
{
	int r = hakt_mortal_start(
		HAKT_LIST("--limit", "256M", "--log-level", "warn", "--profile", interval));

	return r || hakmem_attach(NULL) != 0;
}

static int start(void **state)
{
	(void)state;
	return start_with("512K");
}

/* So often that most blocks that aren't tiny are samples. */
static int start_dense(void **state)
{
	(void)state;
	return start_with("4K");
}

/* Places that allocate, each in lines of its own; not a last call, so that it has a frame. */
#define SITE(i)                                                                 \
	static __attribute__((aligned(SITE_BYTES))) void *site_##i(size_t size) \
	{                                                                       \
		void *volatile block = hakmem_malloc(size);                     \
                                                                                \
		return block;                                                   \
	}
SITE(0)
SITE(1)
SITE(2)

/* Called through these only: a compiler would make copies of them. */
static void *(*volatile sites[SITES])(size_t) = {site_0, site_1, site_2};

static int see_bias(struct dl_phdr_info *info, size_t bytes, void *ret_bias)
{
	(void)bytes;
	*(uintptr_t *)ret_bias = info->dlpi_addr;
	return 1; /* the program is the first */
}

static bool is_of(const struct hak_sample *sample, void *(*site)(size_t))
{
	uintptr_t bias = 0;

	dl_iterate_phdr(see_bias, &bias);
	for (unsigned i = 0; i < sample->n_frames; i++) {
		uint64_t address = sample->frames[i] &
				   ((UINT64_C(1) << HAK_SAMPLE_MODULE_SHIFT) - 1);

		if (address - ((uintptr_t)site - bias) < SITE_BYTES)
			return true;
	}
	return false;
}

/* All samples that are alive; their weights by site, and of a process. */
struct sums {
	uint64_t of_site[SITES];
	uint64_t of_pid;
	uint64_t n_of_pid;
	uint64_t n;
	uint64_t n_broken;
};

static struct sums walk(pid_t pid)
{
	const struct hak_segment *segment = &hakc_heap()->segment;
	struct hak_sample_walk walk = {0};
	struct hak_sample sample;
	struct hak_location l;
	struct sums sums = {0};

	while (hak_sample_next(segment, &walk, &sample, &l)) {
		struct hak_module module;

		sums.n++;
		assert_true(sample.n_frames > 2);
		assert_true(hak_module_read(
			segment, (unsigned)(sample.frames[0] >> HAK_SAMPLE_MODULE_SHIFT), &module));
		assert_non_null(strstr(module.path, "sample_test"));
		assert_true(module.n_id > 0);
		if (sample.pid == pid) {
			sums.of_pid += sample.weight;
			sums.n_of_pid++;
		}
		for (unsigned i = 0; i < SITES; i++)
			if (is_of(&sample, sites[i]))
				sums.of_site[i] += sample.weight;
	}
	sums.n_broken = walk.n_broken;
	return sums;
}

static void check_near(uint64_t value, uint64_t expected)
{
	assert_in_range(value, expected / 2, expected * 3 / 2);
}

/* Tokens in the magazines are no blocks, and slabs of samples go when they are empty. */
static void check_nothing_is_left(void)
{
	assert_int_equal(hakmem_trim(), 0);
	assert_int_equal(hak_load_relaxed(&hakc_heap()->area->counters[HAK_STAT_LOST_FREES]), 0);
	assert_int_equal(hakt_daemon_status(&hakt_mortal_daemon).granted_superslabs, 0);
}

/* 48 MiB of 64 bytes and as much of 1 KiB, among ten times as many that don't stay. */
static void test_each_site_has_its_share_of_what_is_alive(void **state)
{
	enum { SMALL = 48 << 14, LARGE = 48 << 10 };
	void **blocks = calloc(SMALL + LARGE, sizeof(*blocks));
	struct sums sums;
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < SMALL; i++) {
		blocks[n++] = sites[0](64);
		for (unsigned k = 0; k < 10; k++)
			hakmem_free(sites[2](64));
		if (i % (SMALL / LARGE) == 0)
			blocks[n++] = sites[1](1024);
	}
	sums = walk(getpid());
	assert_int_equal(sums.n_broken, 0);
	check_near(sums.of_site[0], 48 << 20);
	check_near(sums.of_site[1], 48 << 20);
	assert_true(sums.of_site[2] < 4 << 20);
	for (size_t i = 0; i < n; i++)
		hakmem_free(blocks[i]);
	assert_int_equal(walk(getpid()).n, 0);
	free(blocks);
	check_nothing_is_left();
}

/* Several thousand samples at once, more than a thread may take: those that it does stand for all but
 * the last, of 250 us. */
static void test_samples_stand_for_those_that_were_left_out(void **state)
{
	enum { MANY = 10000 };
	void **blocks = calloc(MANY, sizeof(*blocks));

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		blocks[i] = sites[0](4000);
	assert_in_range(walk(getpid()).of_site[0], (uint64_t)MANY * 2800, (uint64_t)MANY * 4700);
	for (unsigned i = 0; i < MANY; i++)
		hakmem_free(blocks[i]);
	free(blocks);
}

static void test_spans_have_their_share_too(void **state)
{
	void *blocks[1000];
	struct sums sums;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		blocks[i] = sites[0](100000);
		for (unsigned k = 0; k < 4; k++)
			hakmem_free(sites[2](100000));
	}
	sums = walk(getpid());
	check_near(sums.of_site[0], 100000000);
	assert_true(sums.of_site[2] < 4 << 20);
	for (unsigned i = 0; i < 1000; i++)
		hakmem_free(blocks[i]);
	assert_int_equal(walk(getpid()).n, 0);
}

static const size_t sizes[SIZES] = {0,	   1,	  100,	 1000,	  8000,	   30000,
				    32768, 65536, 70000, 1000000, 2097152, 5000000};

static size_t some_size(uint64_t *seed)
{
	size_t size = sizes[hakt_random(seed) % SIZES];

	return size > 60000 && hakt_random(seed) % 16 ? size / 1000 : size;
}

struct owned {
	unsigned char *block;
	size_t size;
	unsigned char letter;
};

static void fill(struct owned *o, uint64_t *seed)
{
	/* All of it that may be used: what is behind is its record. */
	o->size = hakmem_usable_size(o->block);
	o->letter = (unsigned char)hakt_random(seed);
	memset(o->block, o->letter, o->size);
}

static bool is_whole(const struct owned *o)
{
	for (size_t i = 0; i < o->size; i++)
		if (o->block[i] != o->letter)
			return false;
	return true;
}

static bool make(struct owned *o, uint64_t *seed)
{
	size_t size = some_size(seed), alignment = (size_t)16 << hakt_random(seed) % 9;

	switch (hakt_random(seed) % 3) {
	case 0:
		o->block = hakmem_malloc(size);
		break;
	case 1:
		o->block = hakmem_calloc(1, size);
		for (size_t i = 0; o->block && i < size; i++)
			if (o->block[i] != 0)
				return false;
		break;
	default:
		o->block = hakmem_aligned_alloc(alignment, size);
		if ((uintptr_t)o->block % alignment)
			return false;
	}
	if (!o->block || hakmem_usable_size(o->block) < size)
		return false;
	fill(o, seed);
	return true;
}

static bool resize(struct owned *o, uint64_t *seed)
{
	size_t size = some_size(seed), least = size < o->size ? size : o->size;
	unsigned char *block = hakmem_realloc(o->block, size);

	if (!block)
		return size == 0;
	o->block = block;
	o->size = least;
	if (!is_whole(o))
		return false;
	fill(o, seed);
	return true;
}

/* At random, 4000 steps with 60 blocks. NULL: no byte was wrong. */
static void *work(void *argument)
{
	struct owned owned[60] = {0};
	uint64_t seed = *(uint64_t *)argument;

	for (unsigned i = 0; i < 4000; i++) {
		struct owned *o = &owned[hakt_random(&seed) % 60];

		if (!o->block) {
			if (!make(o, &seed))
				return "made";
		} else if (!is_whole(o)) {
			return "whole";
		} else if (hakt_random(&seed) % 3 == 0 && o->size) {
			if (!resize(o, &seed))
				return "resized";
		} else {
			hakmem_free(o->block);
			o->block = NULL;
		}
	}
	for (unsigned i = 0; i < 60; i++)
		hakmem_free(owned[i].block);
	return NULL;
}

static void test_what_may_be_used_of_a_block_is_not_its_record(void **state)
{
	void *blocks[HAKT_MORTAL_REFS];
	struct sums sums;

	(void)state;
	for (unsigned i = 0; i < HAKT_MORTAL_REFS; i++) {
		blocks[i] = hakmem_malloc(i * 40);
		assert_true(hakmem_usable_size(blocks[i]) >= i * 40);
		memset(blocks[i], 0xa5, hakmem_usable_size(blocks[i]));
	}
	sums = walk(getpid());
	assert_true(sums.n > HAKT_MORTAL_REFS / 4);
	assert_int_equal(sums.n_broken, 0);
	for (unsigned i = 0; i < HAKT_MORTAL_REFS; i++)
		hakmem_free(blocks[i]);
}

static void test_blocks_with_records_are_blocks_like_others(void **state)
{
	pthread_t threads[THREADS];
	uint64_t seeds[THREADS], seed = hakt_random_seed();
	struct hakmem_stats stats;
	struct sums sums;

	(void)state;
	for (unsigned i = 0; i < THREADS; i++) {
		seeds[i] = hakt_random(&seed);
		assert_int_equal(pthread_create(&threads[i], NULL, work, &seeds[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		void *wrong;

		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	sums = walk(getpid());
	assert_int_equal(sums.n, 0);
	assert_int_equal(sums.n_broken, 0);
	assert_int_equal(hakmem_stats(&stats, sizeof(stats)), 0);
	assert_int_equal(stats.refused_frees, 0);
	assert_true(hak_load_relaxed(&hakc_heap()->area->counters[HAK_STAT_SAMPLES]) > 100);
}

static int free_others(const void *context)
{
	(void)context;
	HAKT_EXPECT(hakmem_attach(NULL) == 0);
	for (unsigned i = 0; i < HAKT_MORTAL_REFS; i++)
		hakmem_free(hakt_mortal_shared->blocks[i]);
	HAKT_EXPECT(hakmem_trim() == 0);
	return 0;
}

static void test_a_sample_ends_when_another_process_frees_it(void **state)
{
	(void)state;
	for (unsigned i = 0; i < HAKT_MORTAL_REFS; i++)
		hakt_mortal_shared->blocks[i] = sites[0](4000);
	assert_true(walk(getpid()).n > HAKT_MORTAL_REFS / 8);
	hakt_process_run_child(free_others, NULL);
	assert_int_equal(walk(getpid()).n, 0);
}

static int make_to_be_taken(const void *context)
{
	(void)context;
	for (unsigned i = 0; i < HAKT_MORTAL_REFS; i++) {
		char *block = hakmem_malloc(4000);

		HAKT_EXPECT(block);
		hakt_mortal_fill(block, 3000, i);
		hakt_mortal_shared->refs[i] = hakmem_ref(block);
	}
	hakt_child_say("made");
	hakt_child_wait();
	return 0;
}

/* Of the class that the samples of the dead were in, whose slabs have free blocks now. */
static void check_only_samples_are_in_sampled_slabs(void)
{
	const struct hak_segment *segment = &hakc_heap()->segment;
	static void *blocks[2048];

	for (unsigned i = 0; i < 2048; i++) {
		struct hak_location l;

		blocks[i] = hakmem_malloc(4000 + sizeof(struct hak_sample));
		assert_non_null(blocks[i]);
		memset(blocks[i], 0x5a, hakmem_usable_size(blocks[i]));
		l = hak_segment_locate(segment, (uintptr_t)blocks[i]);
		if (hak_sample_is_there(&l)) {
			struct hak_sample sample;

			assert_true(hak_sample_read(hak_sample_of(segment, &l), l.start, &sample));
		}
	}
	for (unsigned i = 0; i < 2048; i++)
		hakmem_free(blocks[i]);
}

static void test_blocks_of_the_dead_keep_their_stack_and_an_heir_goes_on(void **state)
{
	struct hakt_process child = {0};
	void *taken[HAKT_MORTAL_REFS], *own[4096];
	struct sums before, after;
	unsigned n = 0;
	pid_t pid;

	(void)state;
	hakt_mortal_start_child(&child, make_to_be_taken, "made");
	pid = child.pid;
	for (unsigned i = 0; i < HAKT_MORTAL_REFS; i++)
		assert_int_equal(hakmem_take(hakt_mortal_shared->refs[i], &taken[i]), 0);
	before = walk(pid);
	assert_true(before.n_of_pid > HAKT_MORTAL_REFS / 8);
	hakt_process_kill(&child);
	hakt_daemon_wait_clients(&hakt_mortal_daemon, 1);
	assert_int_equal(walk(pid).n_of_pid, before.n_of_pid);
	/* Until the dead one's SuperSlabs are this process's. */
	while (n < 4096 && hak_load_relaxed(&hakc_heap()->area->counters[HAK_STAT_INHERITED]) == 0)
		assert_non_null(own[n++] = sites[0](60000));
	assert_true(hak_load_relaxed(&hakc_heap()->area->counters[HAK_STAT_INHERITED]) > 0);
	while (n < 4096)
		assert_non_null(own[n++] = sites[0](4000));
	after = walk(pid);
	assert_int_equal(after.n_of_pid, before.n_of_pid);
	assert_int_equal(after.of_pid, before.of_pid);
	assert_int_equal(after.n_broken, 0);
	for (unsigned i = 0; i < HAKT_MORTAL_REFS; i++) {
		assert_true(hakt_mortal_is_as_made(taken[i], 3000, i));
		hakmem_free(taken[i]);
	}
	assert_int_equal(walk(pid).n_of_pid, 0);
	check_only_samples_are_in_sampled_slabs();
	while (n > 0)
		hakmem_free(own[--n]);
	hakt_process_end(&child);
}

/* What unwinding allocates, of this thread, and how deep one is in another. */
static _Thread_local unsigned n_unwinding_allocates, depth, deepest;

/* The library's: to unwind may take memory, and a program's malloc may be ours. */
__attribute__((visibility("default"))) int backtrace(void **frames, int max)
{
	static int (*libc_backtrace)(void **, int);
	int n;

	if (!libc_backtrace)
		libc_backtrace = (int (*)(void **, int))dlsym(RTLD_NEXT, "backtrace");
	if (++depth > deepest)
		deepest = depth;
	for (unsigned i = 0; i < n_unwinding_allocates; i++)
		hakmem_free(hakmem_malloc(4000));
	depth--;
	n = libc_backtrace(frames, max);
	if (n > 0) /* not this one */
		memmove(frames, frames + 1, (size_t)--n * sizeof(*frames));
	return n;
}

static void test_what_taking_a_sample_allocates_is_none(void **state)
{
	void *blocks[100];
	struct sums sums;

	(void)state;
	n_unwinding_allocates = 20;
	for (unsigned i = 0; i < 100; i++)
		blocks[i] = sites[0](4000);
	n_unwinding_allocates = 0;
	assert_int_equal(deepest, 1);
	sums = walk(getpid());
	assert_true(sums.n > 10);
	assert_int_equal(sums.n_broken, 0);
	for (unsigned i = 0; i < 100; i++)
		hakmem_free(blocks[i]);
	assert_int_equal(walk(getpid()).n, 0);
	check_nothing_is_left();
}

static void test_without_an_interval_nothing_is_sampled(void **state)
{
	void *blocks[1000];

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		blocks[i] = sites[0](60000);
	assert_int_equal(walk(getpid()).n, 0);
	for (unsigned i = 0; i < 1000; i++)
		hakmem_free(blocks[i]);
}

static int start_without(void **state)
{
	return hakt_mortal_setup(state) || hakmem_attach(NULL) != 0;
}

#define WITH(setup, test) cmocka_unit_test_setup_teardown(test, setup, hakt_mortal_stop)

static const struct CMUnitTest tests[] = {
	WITH(start, test_each_site_has_its_share_of_what_is_alive),
	WITH(start_dense, test_samples_stand_for_those_that_were_left_out),
	WITH(start, test_spans_have_their_share_too),
	WITH(start_dense, test_what_may_be_used_of_a_block_is_not_its_record),
	WITH(start_dense, test_blocks_with_records_are_blocks_like_others),
	WITH(start_dense, test_a_sample_ends_when_another_process_frees_it),
	WITH(start_dense, test_blocks_of_the_dead_keep_their_stack_and_an_heir_goes_on),
	WITH(start_dense, test_what_taking_a_sample_allocates_is_none),
	WITH(start_without, test_without_an_interval_nothing_is_sampled),
};

HAKT_MAIN(tests, NULL, NULL)
