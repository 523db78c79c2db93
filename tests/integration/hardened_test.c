/* SPDX-License-Identifier: MIT */
/*
 * Hardened mode in one process, call by call: of libhakmem with a real daemon, and, with
 * HAKT_MALLOC, of libhakmem_malloc.so, which this program is linked with then. What is found is
 * read off stderr.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/shm/atomic.h"
#include "tests/support/capture.h"
#ifdef HAKT_MALLOC
#define allocate    malloc
#define allocate_0  calloc
#define allocate_at aligned_alloc
#define reallocate  realloc
#define give_back   free
#define usable_size malloc_usable_size
#else
#include "client_lib/include/hakmem.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"
#define allocate    hakmem_malloc
#define allocate_0  hakmem_calloc
#define allocate_at hakmem_aligned_alloc
#define reallocate  hakmem_realloc
#define give_back   hakmem_free
#define usable_size hakmem_usable_size
#endif

enum { N = 64, PATTERN = 0xdb, RACES = 5000 };

/* Classes of one slot and of several, a seal right behind and one further on, spans, a run. */
static const size_t sizes[] = {0,     1,     8,	    9,	    16,	    20,	     24,     25,
			       56,    57,    200,   1000,   1016,   1017,    3000,   30000,
			       32760, 32761, 70000, 131064, 131065, 1000000, 3000000};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

/* What was said meanwhile, to be freed. */
static char *said_by_free(void *block)
{
	struct hakt_capture capture;

	hakt_capture_begin(&capture);
	give_back(block);
	return hakt_capture_end(&capture);
}

static void check_free_says_nothing(void *block)
{
	char *said = said_by_free(block);

	assert_string_equal(said, "");
	free(said);
}

/* One line, with that in it, and the address. */
static void check_said(char *said, const char *what, const void *block)
{
	char address[32];

	snprintf(address, sizeof(address), "%p", block);
	if (!strstr(said, what) || !strstr(said, address) ||
	    strchr(said, '\n') != said + strlen(said) - 1)
		fail_msg("not \"%s\" of %s, but \"%s\"", what, address, said);
	free(said);
}

static char *make(size_t size)
{
	char *block = allocate(size);

	assert_non_null(block);
	memset(block, 'a', size);
	return block;
}

/* Of a span nothing is left to tell it from memory that never was a block; nor of an empty slab. */
static void check_said_of_second_free(char *said, const void *block)
{
	const char *what = strstr(said, "no block is there") ? "refused" : "double free of";

	check_said(said, what, block);
}

static void test_a_double_free_is_told_at_the_call(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SIZES; i++) {
		char *block = make(sizes[i]), *other = make(sizes[i]);

		check_free_says_nothing(block);
		check_said_of_second_free(said_by_free(block), block);
		check_free_says_nothing(other); /* in between, and the one before the last */
		check_said_of_second_free(said_by_free(block), block);
	}
}

static void *free_it(void *block)
{
	give_back(block);
	return NULL;
}

static void free_in_thread(void *block)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, free_it, block) == 0)
		pthread_join(thread, NULL);
}

/* What was said meanwhile, to be freed. */
static char *said_by_free_in_thread(void *block)
{
	struct hakt_capture capture;

	hakt_capture_begin(&capture);
	free_in_thread(block);
	return hakt_capture_end(&capture);
}

static void test_a_double_free_by_another_thread_is_told_at_the_call(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SIZES; i++) {
		char *first = make(sizes[i]), *second = make(sizes[i]), *said;

		check_free_says_nothing(first);
		if (sizes[i] > 0)
			*(volatile char *)first = 'm';
		check_said_of_second_free(said_by_free_in_thread(first), first);
		if (sizes[i] > 0) /* and has changed nothing */
			assert_int_equal(*(volatile char *)first, 'm');
		said = said_by_free_in_thread(second);
		assert_string_equal(said, "");
		free(said);
		check_said_of_second_free(said_by_free(second), second);
	}
}

/* Two threads that free the same blocks, each at the same time. */
static void *raced[RACES];
static hak_u32 n_at_start[RACES];

static void *free_with_another(void *unused)
{
	for (unsigned i = 0; i < RACES; i++) {
		hak_add_relaxed(&n_at_start[i], 1);
		while (hak_load_relaxed(&n_at_start[i]) < 2)
			sched_yield();
		give_back(raced[i]);
	}
	return unused;
}

static void test_of_two_frees_at_once_one_is_told(void **state)
{
	struct hakt_capture capture;
	unsigned n_told = 0;
	pthread_t thread;
	char *said;

	(void)state;
#ifdef __SANITIZE_THREAD__
	skip(); /* such a program has a data race: two fill the block */
#endif
	for (unsigned i = 0; i < RACES; i++)
		raced[i] = make(20);
	hakt_capture_begin(&capture);
	if (pthread_create(&thread, NULL, free_with_another, NULL) == 0) {
		free_with_another(NULL);
		pthread_join(thread, NULL);
	}
	said = hakt_capture_end(&capture);
	for (char *at = said; (at = strstr(at, "double free of")); at++)
		n_told++;
	assert_int_equal(n_told, RACES);
	free(said);
}

static void test_what_begins_no_block_is_refused(void **state)
{
	static char foreign[64];

	(void)state;
	for (unsigned i = 0; i < SIZES; i++) {
		char *block = make(sizes[i]);

		for (size_t at = 1; at < sizes[i]; at = at * 3 + 1)
			check_said(said_by_free(block + at), "inside a block", block + at);
		check_free_says_nothing(block);
	}
	check_said(said_by_free(foreign), "refused", foreign);
	check_free_says_nothing(NULL);
}

static void test_what_was_asked_for_can_be_used(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SIZES; i++) {
		char *block = make(sizes[i]);

		assert_int_equal(usable_size(block), sizes[i]);
		check_free_says_nothing(block);
	}
	for (size_t alignment = 16; alignment <= 1 << 21; alignment *= 2) {
		char *block = allocate_at(alignment, alignment);

		assert_non_null(block);
		assert_int_equal((uintptr_t)block % alignment, 0);
		assert_int_equal(usable_size(block), alignment);
		memset(block, 'a', alignment);
		check_free_says_nothing(block);
	}
}

static void test_blocks_of_zeros_are_zeros(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < SIZES; i++) {
			char *block = allocate_0(1, sizes[i]);

			assert_non_null(block);
			for (size_t at = 0; at < sizes[i]; at++)
				assert_int_equal(block[at], 0);
			memset(block, 'a', sizes[i]);
			check_free_says_nothing(block);
		}
	}
}

static void test_a_byte_behind_the_end_is_told_at_the_free(void **state)
{
	static const char values[] = {0, 'a', '\n', '\xff'};

	(void)state;
	for (unsigned i = 0; i < SIZES; i++) {
		for (unsigned k = 0; k < sizeof(values); k++) {
			char *block = make(sizes[i]), text[64];
			/* Hidden from the compiler, which knows that it is not to be. */
			volatile char *end = block + sizes[i];

			if (*end == values[k]) /* one in 128; not so of 0 */
				continue;
			*end = values[k];
			snprintf(text, sizeof(text), "overflow: the block of %zu bytes", sizes[i]);
			check_said(said_by_free(block), text, block);
			/* It has been freed all the same. */
			check_said_of_second_free(said_by_free(block), block);
		}
	}
}

static void test_0_behind_the_end_is_always_an_overflow(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SIZES; i++) {
		char *block = make(sizes[i]);

		assert_int_not_equal(block[sizes[i]], 0);
		check_free_says_nothing(block);
	}
}

static void test_a_realloc_has_a_guard_and_tells_a_broken_one(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SIZES; i++) {
		struct hakt_capture capture;
		char *block = make(sizes[i]), *before;

		for (size_t size = sizes[i] + 1; size < 2 * sizes[i] + 40; size += size / 7 + 1) {
			block = reallocate(block, size);
			assert_non_null(block);
			assert_int_equal(usable_size(block), size);
			if (sizes[i] > 0)
				assert_int_equal(block[0] + block[sizes[i] - 1], 2 * 'a');
			memset(block, 'a', size);
		}
		block = reallocate(block, sizes[i] + 1);
		assert_int_equal(usable_size(block), sizes[i] + 1);
		memset(block, 'a', sizes[i] + 1);
		*(volatile char *)(block + sizes[i] + 1) = 0;
		before = block;
		hakt_capture_begin(&capture);
		block = reallocate(block, sizes[i] + 30);
		check_said(hakt_capture_end(&capture), "overflow", before); /* once */
		check_free_says_nothing(block);
	}
}

static void test_a_realloc_of_what_was_freed_is_refused(void **state)
{
	struct hakt_capture capture;
	char *block = make(100);
	void *again;

	(void)state;
	give_back(block);
	errno = 0;
	hakt_capture_begin(&capture);
	again = reallocate(block, 110);
	check_said(hakt_capture_end(&capture), "realloc of", block);
	assert_null(again);
	assert_int_equal(errno, EINVAL);
}

static void test_what_was_freed_is_full_of_a_pattern(void **state)
{
	(void)state;
	for (unsigned i = 1; i < SIZES; i++) {
		/* A span's memory goes back to the system when all of its SuperSlab is free. */
		size_t size = sizes[i], n = size <= 32760 ? size : 0;
		volatile unsigned char *block = (unsigned char *)make(size);
		char *other = make(size);

		if (i % 2)
			give_back((void *)block);
		else
			free_in_thread((void *)block);
		for (size_t at = 0; at < n; at++)
			assert_int_equal(block[at], PATTERN);
		if (size == 70000) /* the first 64 KiB */
			assert_int_equal(block[65535], PATTERN);
		give_back(other);
	}
}

static void test_blocks_come_in_no_order(void **state)
{
	char *blocks[N];
	unsigned n_up = 0, n_next = 0;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		blocks[i] = make(56);
		n_up += i > 0 && blocks[i] > blocks[i - 1];
		n_next += i > 0 &&
			  (blocks[i] == blocks[i - 1] + 64 || blocks[i] == blocks[i - 1] - 64);
	}
	assert_in_range(n_up, 5, N - 5);
	assert_in_range(n_next, 0, 10);
	for (unsigned i = 0; i < N; i++)
		give_back(blocks[i]);
}

static void test_what_was_freed_last_does_not_come_next(void **state)
{
	unsigned n_same = 0;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		char *block = make(56), *next;

		give_back(block);
		next = make(56);
		n_same += next == block;
		give_back(next);
	}
	assert_in_range(n_same, 0, 5);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_a_double_free_is_told_at_the_call),
	cmocka_unit_test(test_a_double_free_by_another_thread_is_told_at_the_call),
	cmocka_unit_test(test_of_two_frees_at_once_one_is_told),
	cmocka_unit_test(test_what_begins_no_block_is_refused),
	cmocka_unit_test(test_what_was_asked_for_can_be_used),
	cmocka_unit_test(test_blocks_of_zeros_are_zeros),
	cmocka_unit_test(test_a_byte_behind_the_end_is_told_at_the_free),
	cmocka_unit_test(test_0_behind_the_end_is_always_an_overflow),
	cmocka_unit_test(test_a_realloc_has_a_guard_and_tells_a_broken_one),
	cmocka_unit_test(test_a_realloc_of_what_was_freed_is_refused),
	cmocka_unit_test(test_what_was_freed_is_full_of_a_pattern),
	cmocka_unit_test(test_blocks_come_in_no_order),
	cmocka_unit_test(test_what_was_freed_last_does_not_come_next),
};

#ifdef HAKT_MALLOC
/* The mode is decided before main: so once more with it. */
int main(int argc, char **argv)
{
	const char *mode = getenv("HAKMEM_HARDENED");

	if (!mode || strcmp(mode, "1") != 0) {
		setenv("HAKMEM_HARDENED", "1", 1);
		execv("/proc/self/exe", argv);
		return 1;
	}
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name(argv[0], tests, NULL, NULL);
}
#else
static struct hakt_daemon hakd;

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakd, HAKT_LIST("--limit", "256M", "--log-level", "warn"));
	setenv("HAKMEM_HARDENED", "1", 1);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakmem_detach();
	return hakt_daemon_stop_empty(&hakd);
}

HAKT_MAIN(tests, start, stop)
#endif
