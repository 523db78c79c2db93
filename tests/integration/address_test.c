/* SPDX-License-Identifier: MIT */
/*
 * What the library says about addresses, with a real daemon whose SuperSlabs
 * are of 1 << HAKT_SUPERSLAB_LG bytes: blocks of thousands of SuperSlabs, page
 * by page, at the pool's own address and elsewhere, and addresses of no block.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "proto/shm/ref.h"
#include "tests/support/capture.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

#define SUPERSLAB (UINT64_C(1) << HAKT_SUPERSLAB_LG)
#define CAPACITY  (UINT64_C(8) << 30)

enum { N_SUPERSLABS = 2000, MAX_BLOCKS = 64 * N_SUPERSLABS };

static struct hakt_daemon hakd;

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakd,
			  HAKT_LIST("--limit", "5G", "--capacity", "8G", "--superslab-lg",
				    HAKT_SUPERSLAB_LG == 20 ? "20" : "21", "--log-level", "warn"));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	return hakt_daemon_stop_empty(&hakd);
}

static int detach(void **state)
{
	(void)state;
	hakmem_detach();
	return 0;
}

static void attach(bool elsewhere)
{
	const struct hakmem_options options = {.offsets_only = elsewhere};

	assert_int_equal(hakmem_attach(&options), 0);
	assert_int_equal(hakmem_is_at_base(), !elsewhere);
}

static uint64_t refused(void)
{
	struct hakmem_stats stats;

	assert_int_equal(hakmem_stats(&stats, sizeof(stats)), 0);
	return stats.refused_frees;
}

/* What is wrong about a block of size bytes at p; NULL: nothing. Looks at every page. */
static const char *fault_of(const char *p, size_t size)
{
	size_t usable = hakmem_usable_size(p);
	hakmem_ref_t ref = hakmem_ref(p);

	if (usable < size || usable == 0)
		return "usable size at the begin";
	if (hakmem_usable_size(p - 1))
		return "a block one byte before";
	for (size_t at = 4096; at < usable; at += 4096)
		if (hakmem_usable_size(p + at))
			return "a block at a page of the interior";
	if (hakmem_usable_size(p + 1) || hakmem_usable_size(p + usable / 2 + 1) ||
	    hakmem_usable_size(p + usable - 1))
		return "a block in the interior";
	if (ref == 0 || hakmem_ptr(ref) != p)
		return "the ref does not lead back";
	errno = 0;
	if (hakmem_ref(p + 8) || errno != EINVAL)
		return "the interior has a ref";
	return NULL;
}

static void check_block(const char *p, size_t size)
{
	const char *fault = fault_of(p, size);

	if (fault)
		fail_msg("%p, %zu bytes: %s", (const void *)p, size, fault);
}

/* Shared with the child that is attached elsewhere. */
struct table {
	uint32_t n;
	uint32_t n_failed; /* written by the child */
	hakmem_ref_t refs[MAX_BLOCKS];
	uint32_t sizes[MAX_BLOCKS];
};

/* Blocks of 32 KiB, spans of three slots and of half a SuperSlab, a huge one now and then. */
static void fill(struct table *table)
{
	static const struct {
		unsigned size, n;
	} turns[] = {{32768, 32}, {SUPERSLAB / 2, 3}, {196608, 5}, {SUPERSLAB / 2, 3}};
	struct hakmem_stats stats = {0};

	for (unsigned turn = 0; stats.superslabs < N_SUPERSLABS; turn++) {
		unsigned size = turns[turn % 4].size;

		for (unsigned i = 0; i < turns[turn % 4].n; i++) {
			bool huge = turn % 40 == 3 && i == 0;

			assert_true(table->n < MAX_BLOCKS);
			table->sizes[table->n] = huge ? 3 * SUPERSLAB + 1 : size;
			void *block = hakmem_malloc(table->sizes[table->n]);
			assert_non_null(block);
			table->refs[table->n++] = hakmem_ref(block);
		}
		if (turn % 64 == 63)
			assert_int_equal(hakmem_stats(&stats, sizeof(stats)), 0);
	}
}

/* The child: attaches elsewhere when the table is full, and looks at all of it. */
static void look_from_elsewhere(struct table *table, int go)
{
	const struct hakmem_options options = {.offsets_only = 1};
	char byte;

	if (read(go, &byte, 1) != 1 || hakmem_attach(&options) != 0 || hakmem_is_at_base() != 0)
		_exit(1);
	for (uint32_t i = 0; i < table->n; i++) {
		char *block = hakmem_ptr(table->refs[i]);

		table->n_failed += !block || fault_of(block, table->sizes[i]) != NULL ||
				   hakmem_ref(block) != table->refs[i];
	}
	_exit(table->n_failed ? 2 : 0);
}

static void test_every_page_of_2000_superslabs_is_known_in_two_processes(void **state)
{
	struct table *table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct hakmem_stats stats;
	int ends[2], status;
	pid_t pid;

	(void)state;
	assert_true(table != MAP_FAILED);
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(ends[1]); /* so that our death ends its wait */
		look_from_elsewhere(table, ends[0]);
	}
	attach(false);
	fill(table);
	assert_int_equal(write(ends[1], "g", 1), 1);
	for (uint32_t i = 0; i < table->n; i++)
		check_block(hakmem_ptr(table->refs[i]), table->sizes[i]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(table->n_failed, 0);
	assert_int_equal(status, 0);
	for (uint32_t i = 0; i < table->n; i++)
		hakmem_free(hakmem_ptr(table->refs[i]));
	assert_int_equal(hakmem_trim(), 0);
	assert_int_equal(hakmem_stats(&stats, sizeof(stats)), 0);
	assert_int_equal(stats.superslabs, 0);
	assert_int_equal(stats.refused_frees, 0);
	assert_int_equal(hakt_daemon_status(&hakd).granted_superslabs, 0);
	assert_int_equal(hakt_daemon_status(&hakd).anomalies, 0);
	hakt_daemon_wait_resident(&hakd, CAPACITY / 32);
	close(ends[0]);
	close(ends[1]);
	munmap(table, sizeof(*table));
}

static void test_page_aligned_blocks_are_found_and_freed(void **state)
{
	static const size_t sizes[] = {0,     1,      4095,   4096,   4097,	     8192,
				       12000, 20480,  28673,  32768,  32769,	     65536,
				       65537, 100000, 524289, 600000, SUPERSLAB + 1, 5000000};
	enum { N = sizeof(sizes) / sizeof(sizes[0]), EACH = 40 };
	static char *blocks[N * EACH];

	(void)state;
	for (unsigned elsewhere = 0; elsewhere < 2; elsewhere++) {
		attach(elsewhere);
		for (unsigned i = 0; i < N * EACH; i++) {
			blocks[i] = hakmem_aligned_alloc(4096, sizes[i % N]);
			assert_non_null(blocks[i]);
			assert_int_equal((uintptr_t)blocks[i] % 4096, 0);
		}
		for (unsigned i = 0; i < N * EACH; i++)
			check_block(blocks[i], sizes[i % N]);
		for (unsigned i = 0; i < N * EACH; i++)
			hakmem_free(blocks[i]);
		assert_int_equal(hakmem_trim(), 0);
		for (unsigned i = 0; i < N * EACH; i++)
			assert_int_equal(hakmem_usable_size(blocks[i]), 0);
		assert_int_equal(refused(), 0);
		assert_int_equal(hakt_daemon_status(&hakd).live_blocks, 0);
		assert_int_equal(hakmem_detach(), 0);
	}
}

/* hakmem_free(address) is refused for this reason, in a line with the address, and counted. */
static void check_refused(void *address, const char *reason)
{
	struct hakt_capture capture;
	char wanted[64];
	uint64_t before = refused();
	char *text;

	snprintf(wanted, sizeof(wanted), "free of %p refused", address);
	hakt_capture_begin(&capture);
	errno = 42;
	hakmem_free(address);
	int error = errno;
	text = hakt_capture_end(&capture);
	if (!strstr(text, wanted) || !strstr(text, reason) || strchr(text, '\n')[1])
		fail_msg("%p, %s: stderr says: %s", address, reason, text);
	free(text);
	assert_int_equal(refused(), before + 1);
	assert_int_equal(error, 42);
}

static void check_foreign(void *address)
{
	assert_int_equal(hakmem_usable_size(address), 0);
	assert_int_equal(hakmem_ref(address), 0);
	assert_null(hakmem_realloc(address, 10));
	assert_int_equal(errno, EINVAL);
	check_refused(address, "not an address of the pool");
}

static char *never_mapped(void)
{
	char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(page != MAP_FAILED);
	assert_int_equal(munmap(page, 4096), 0);
	return page;
}

static void test_foreign_pointers_are_refused_by_their_address(void **state)
{
	static char fixed[64];
	char local[64];
	char *allocated = malloc(64);

	(void)state;
	for (unsigned elsewhere = 0; elsewhere < 2; elsewhere++) {
		attach(elsewhere);
		char *block = hakmem_malloc(64);

		assert_non_null(block);
		check_foreign(local + 16);
		check_foreign(fixed);
		check_foreign(allocated);
		check_foreign((void *)(uintptr_t)16);
		check_foreign((void *)(uintptr_t)1);
		check_foreign((void *)UINTPTR_MAX);
		check_foreign((void *)(UINTPTR_MAX - 15));
		check_foreign(never_mapped());
		check_block(block, 64); /* and life goes on */
		hakmem_free(block);
		hakmem_free(NULL);
		assert_int_equal(refused(), 8);
		assert_int_equal(hakmem_detach(), 0);
	}
	free(allocated);
}

static void test_a_byte_outside_the_pool_is_foreign(void **state)
{
	uintptr_t base[2];

	(void)state;
	for (unsigned elsewhere = 0; elsewhere < 2; elsewhere++) {
		attach(elsewhere);
		char *block = hakmem_malloc(3 * SUPERSLAB);

		assert_non_null(block);
		base[elsewhere] = (uintptr_t)block - hak_ref_offset(hakmem_ref(block));
		check_foreign((void *)(base[elsewhere] - 1));
		check_foreign((void *)(base[elsewhere] - 16));
		check_foreign((void *)(base[elsewhere] + CAPACITY));
		check_refused((void *)(base[elsewhere] + CAPACITY - 1), "no block is there");
		if (elsewhere)
			check_foreign((void *)base[0]); /* where the pool is in other processes */
		hakmem_free(block);
		assert_int_equal(hakmem_detach(), 0);
	}
	assert_true(base[0] != base[1]);
}

static void test_every_page_of_a_huge_block_is_its_interior(void **state)
{
	(void)state;
	for (unsigned elsewhere = 0; elsewhere < 2; elsewhere++) {
		attach(elsewhere);
		for (unsigned n = 1; n <= 20; n += 3) {
			char *block = hakmem_malloc(n * SUPERSLAB - 7);

			assert_non_null(block);
			assert_int_equal(hakmem_usable_size(block), n * SUPERSLAB);
			check_block(block, n * SUPERSLAB);
			check_refused(block + SUPERSLAB / 2, "inside a block");
			check_refused(block + n * SUPERSLAB - 4096, "inside a block");
			assert_int_equal(hakmem_usable_size(block + n * SUPERSLAB), 0);
			block[n * SUPERSLAB - 1] = 1;
			hakmem_free(block);
		}
		assert_int_equal(hakmem_detach(), 0);
	}
}

static void test_a_freed_huge_block_is_vacant_and_refused(void **state)
{
	(void)state;
	for (unsigned elsewhere = 0; elsewhere < 2; elsewhere++) {
		attach(elsewhere);
		char *block = hakmem_malloc(5 * SUPERSLAB);
		hakmem_ref_t ref = hakmem_ref(block);

		assert_non_null(block);
		hakmem_free(block);
		for (size_t at = 0; at < 5 * SUPERSLAB; at += 4096)
			assert_int_equal(hakmem_usable_size(block + at), 0);
		assert_int_equal(hakmem_ref(block), 0);
		assert_null(hakmem_ptr(ref));
		assert_int_equal(errno, ESTALE);
		check_refused(block, "no block is there");
		check_refused(block + 4 * SUPERSLAB, "no block is there");
		assert_int_equal(hakmem_detach(), 0);
	}
}

/* What goes back is answered before it can be granted again. */
static void wait_kept(void)
{
	for (unsigned i = 0; hakt_daemon_status(&hakd).kept_superslabs == 0; i++) {
		assert_true(i < 10000);
		usleep(1000);
	}
}

static void test_refs_of_before_a_grant_are_stale(void **state)
{
	static const size_t sizes[] = {100, 32768, 100000, 5 * SUPERSLAB};
	enum { N = sizeof(sizes) / sizeof(sizes[0]), ROUNDS = 5 };
	hakmem_ref_t refs[ROUNDS][N];

	(void)state;
	for (unsigned elsewhere = 0; elsewhere < 2; elsewhere++) {
		char *blocks[N] = {0};
		unsigned n_same = 0; /* blocks in the place of the round before */

		attach(elsewhere);
		for (unsigned round = 0; round < ROUNDS; round++) {
			for (unsigned i = 0; i < N; i++) {
				char *block = hakmem_malloc(sizes[i]);

				assert_non_null(block);
				n_same += block == blocks[i];
				blocks[i] = block;
				refs[round][i] = hakmem_ref(block);
				assert_ptr_equal(hakmem_ptr(refs[round][i]), block);
			}
			for (unsigned i = 0; i < round * N; i++) {
				assert_null(hakmem_ptr(refs[i / N][i % N]));
				assert_int_equal(errno, ESTALE);
			}
			for (unsigned i = 0; i < N; i++)
				hakmem_free(blocks[i]);
			assert_int_equal(hakmem_trim(), 0);
			assert_int_equal(hakt_daemon_status(&hakd).granted_superslabs, 0);
			wait_kept(); /* the next round gets the same SuperSlab */
		}
		assert_true(n_same > 0);
		assert_int_equal(hakmem_detach(), 0);
	}
}

static void test_blocks_left_at_detach_are_gone(void **state)
{
	static const size_t sizes[] = {100, 32768, 100000, 5 * SUPERSLAB};
	enum { N = sizeof(sizes) / sizeof(sizes[0]) };
	hakmem_ref_t refs[N];
	char *blocks[N];

	(void)state;
	attach(false);
	for (unsigned i = 0; i < N; i++) {
		blocks[i] = hakmem_malloc(sizes[i]);
		refs[i] = hakmem_ref(blocks[i]);
		assert_int_not_equal(refs[i], 0);
	}
	assert_int_equal(hakmem_detach(), 0);
	attach(false);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(hakmem_usable_size(blocks[i]), 0);
		assert_null(hakmem_ptr(refs[i]));
		assert_int_equal(errno, ESTALE);
		check_refused(blocks[i], "no block is there");
	}
}

static void test_a_ref_into_a_block_leads_nowhere(void **state)
{
	static const size_t sizes[] = {100, 32768, 100000, 5 * SUPERSLAB};

	(void)state;
	attach(false);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *block = hakmem_malloc(sizes[i]);
		hakmem_ref_t ref = hakmem_ref(block);

		assert_ptr_equal(hakmem_ptr(ref), block);
		assert_null(hakmem_ptr(ref + 1)); /* 16 bytes on */
		assert_null(hakmem_ptr(ref + sizes[i] / 16 - 1));
		hakmem_free(block);
	}
}

static void test_what_is_no_ref_of_the_pool_is_EINVAL(void **state)
{
	static const hakmem_ref_t none[] = {
		0, 1, 4096, UINT64_MAX, CAPACITY / 16, CAPACITY / 16 + (UINT64_C(1) << 36)};

	(void)state;
	attach(false);
	for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		errno = 0;
		assert_null(hakmem_ptr(none[i]));
		assert_int_equal(errno, EINVAL);
	}
}

/* Around a block of each size, in steps of 16 bytes, free and usable_size agree what is none. */
static void test_free_refuses_whatever_lookup_calls_no_block(void **state)
{
	static const size_t sizes[] = {16, 48, 1280, 3584, 5120, 26624, 32768, 100000};

	(void)state;
	attach(false);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *block = hakmem_malloc(sizes[i]);
		uint64_t before = refused(), n = 0;
		struct hakt_capture capture;
		char *text;

		assert_non_null(block);
		hakt_capture_begin(&capture);
		for (size_t at = 8; at < 8 * 65536 + sizes[i]; at += 8) {
			if (hakmem_usable_size(block + at))
				continue;
			hakmem_free(block + at);
			n++;
		}
		text = hakt_capture_end(&capture);
		free(text);
		assert_true(n > 1000);
		assert_int_equal(refused(), before + n);
		check_block(block, sizes[i]);
		hakmem_free(block);
		assert_int_equal(refused(), before + n);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_teardown(test_every_page_of_2000_superslabs_is_known_in_two_processes,
				  detach),
	cmocka_unit_test_teardown(test_page_aligned_blocks_are_found_and_freed, detach),
	cmocka_unit_test_teardown(test_foreign_pointers_are_refused_by_their_address, detach),
	cmocka_unit_test_teardown(test_a_byte_outside_the_pool_is_foreign, detach),
	cmocka_unit_test_teardown(test_every_page_of_a_huge_block_is_its_interior, detach),
	cmocka_unit_test_teardown(test_a_freed_huge_block_is_vacant_and_refused, detach),
	cmocka_unit_test_teardown(test_refs_of_before_a_grant_are_stale, detach),
	cmocka_unit_test_teardown(test_blocks_left_at_detach_are_gone, detach),
	cmocka_unit_test_teardown(test_a_ref_into_a_block_leads_nowhere, detach),
	cmocka_unit_test_teardown(test_what_is_no_ref_of_the_pool_is_EINVAL, detach),
	cmocka_unit_test_teardown(test_free_refuses_whatever_lookup_calls_no_block, detach),
};

HAKT_MAIN(tests, start, stop)
